"""What the report derives from the integers of the SQL: ratios, months, periods.

Rows in, rows out.  A ratio with denominator 0 is None.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from utils.months import is_month, month_number, month_text, quarter_text
from utils.ratios import quotient, ratio

# A gap longer than a century is a mistyped year; filling it would bury the other months.
LONGEST_FILLED_SPAN = 1200

# Fewer orders can all be in the first hour of a day by chance.
FEWEST_ORDERS_FOR_HOURS = 10

# The periods into which months are grouped, with their label for a month YYYY-MM.
PERIOD_LABELS: dict[str, Callable[[str], str]] = {
    "month": lambda month: month,
    "quarter": quarter_text,
    "year": lambda month: month[:4],
}

Row = dict[str, Any]


class Period(NamedTuple):
    """A month, quarter or year; *is_complete* once all of its months are over."""

    label: str
    net_cents: int
    is_complete: bool


def derive_trend(name: str, rows: list[Row], as_of: str | None) -> list[Row]:
    """Return the *rows* of the trend *name* with its ratios.

    A trend by month gets a row for every month, and `is_complete`.
    """
    if not rows:
        return rows
    if "month" in rows[0]:
        rows = [
            {**row, "is_complete": is_complete(row["month"], as_of)}
            for row in fill_months(rows, as_of)
        ]
    derive = DERIVATIONS.get(name)
    return derive(rows) if derive else rows


def derive_revenue(rows: list[Row]) -> list[Row]:
    """Return the months with AOV, refund rate and the share of returning customers."""
    return [
        {
            **row,
            "aov_cents": quotient(row["net_cents"], row["order_count"]),
            "refund_rate": ratio(
                row["refund_cents"], row["gross_cents"] - row["discount_cents"]
            ),
            "returning_share": ratio(
                row["returning_customers"],
                row["new_customers"] + row["returning_customers"],
            ),
        }
        for row in rows
    ]


def derive_cancellations(rows: list[Row]) -> list[Row]:
    """Return the months with their rates of cancellation and return."""
    return [
        {
            **row,
            "cancellation_rate": ratio(row["cancelled_count"], row["placed_count"]),
            "return_rate": ratio(
                row["partially_returned_count"] + row["returned_count"], row["order_count"]
            ),
        }
        for row in rows
    ]


def derive_payments(rows: list[Row]) -> list[Row]:
    """Return the payment methods with failure rate and share of the money charged."""
    total = sum(row["charged_cents"] for row in rows)
    return [
        {
            **row,
            "failure_rate": ratio(row["failed_count"], row["charge_count"]),
            "charged_share": ratio(row["charged_cents"], total),
        }
        for row in rows
    ]


def derive_segments(rows: list[Row]) -> list[Row]:
    """Return countries or channels with conversion, AOV and share of net revenue."""
    total = sum(row["net_cents"] for row in rows)
    return [
        {
            **row,
            "conversion_rate": ratio(row["customer_count"], row["user_count"]),
            "aov_cents": quotient(row["net_cents"], row["order_count"]),
            "net_share": ratio(row["net_cents"], total),
        }
        for row in rows
    ]


def derive_categories(rows: list[Row]) -> list[Row]:
    """Return the categories with their share of gross revenue."""
    total = sum(row["gross_cents"] for row in rows)
    return [{**row, "gross_share": ratio(row["gross_cents"], total)} for row in rows]


def derive_frequencies(rows: list[Row]) -> list[Row]:
    """Return the numbers of orders per customer with their share of the customers."""
    total = sum(row["customer_count"] for row in rows)
    return [{**row, "customer_share": ratio(row["customer_count"], total)} for row in rows]


def are_dated_by_day(rows: Sequence[Row]) -> bool:
    """Return whether the orders in *rows*, by hour, have dates only: all are at 00:00."""
    return (
        all(row["hour"] == 0 for row in rows)
        and sum(row["order_count"] for row in rows) >= FEWEST_ORDERS_FOR_HOURS
    )


def fill_hours(rows: list[Row]) -> list[Row]:
    """Return one row for each of the week's 168 hours; an hour without orders has 0."""
    counts = {(row["weekday"], row["hour"]): row["order_count"] for row in rows}
    return [
        {"weekday": weekday, "hour": hour, "order_count": counts.get((weekday, hour), 0)}
        for weekday in range(7)
        for hour in range(24)
    ]


# The columns that the report computes with, by trend; all but `month` have integers.
NEEDED_COLUMNS: dict[str, tuple[str, ...]] = {
    "category_mix": ("gross_cents",),
    "channels": ("user_count", "customer_count", "order_count", "net_cents"),
    "countries": ("user_count", "customer_count", "order_count", "net_cents"),
    "orders_per_customer": ("orders_per_customer", "customer_count", "order_count"),
    "payment_methods": ("charge_count", "failed_count", "charged_cents"),
    "refunds_and_cancellations": (
        *("month", "placed_count", "order_count", "cancelled_count"),
        *("partially_returned_count", "returned_count"),
    ),
    "revenue_by_month": (
        *("month", "order_count", "gross_cents", "discount_cents", "refund_cents"),
        *("net_cents", "new_customers", "returning_customers"),
    ),
    "weekday_by_hour": ("weekday", "hour", "order_count"),
}

# The trends of which the key figures are computed.
KPI_TRENDS = (
    *("orders_per_customer", "payment_methods"),
    *("refunds_and_cancellations", "revenue_by_month"),
)

DERIVATIONS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "category_mix": derive_categories,
    "channels": derive_segments,
    "countries": derive_segments,
    "orders_per_customer": derive_frequencies,
    "payment_methods": derive_payments,
    "refunds_and_cancellations": derive_cancellations,
    "revenue_by_month": derive_revenue,
    "weekday_by_hour": fill_hours,
}


def fill_months(rows: list[Row], as_of: str | None) -> list[Row]:
    """Return *rows* with a row of zeros for each month between them, and up to *as_of*.

    A month after a stated *as_of*, whose events fail a check, adds no months before it.
    If a month is not of the calendar, or has several rows, return *rows* unchanged.
    """
    by_month = {row["month"]: row for row in rows}
    if len(by_month) < len(rows) or not all(map(is_month, by_month)):
        return rows
    last_month = as_of[:7] if as_of else max(by_month)
    first, last = month_number(min(last_month, *by_month)), month_number(last_month)
    if last - first >= LONGEST_FILLED_SPAN:
        return rows
    zeros = dict.fromkeys(rows[0], 0)
    months = [month_text(number) for number in range(first, last + 1)]
    filled = [by_month.get(month, {**zeros, "month": month}) for month in months]
    return filled + [row for row in rows if row["month"] > last_month]


def is_complete(month: str, as_of: str | None) -> int:
    """Return 1 if *as_of* is the last day of *month* or later, else 0.

    >>> is_complete("2024-02", "2024-02-28"), is_complete("2024-02", "2024-02-29")
    (0, 1)
    """
    if as_of is None:
        return 0
    last_day = calendar.monthrange(int(as_of[:4]), int(as_of[5:7]))[1]
    is_over = int(as_of[8:]) == last_day
    return int(month < as_of[:7] or (month == as_of[:7] and is_over))


def group_by_period(
    rows: Sequence[Mapping[str, Any]], *, at_most: int
) -> tuple[str, list[Period]]:
    """Return the name of the periods, and the months *rows* grouped into them.

    The periods are the shortest with *at_most* groups, or years if all have more.
    """
    noun = next(
        (
            noun
            for noun, label in PERIOD_LABELS.items()
            if len({label(row["month"]) for row in rows}) <= at_most
        ),
        "year",
    )
    label = PERIOD_LABELS[noun]
    sums: dict[str, int] = {}
    for row in rows:
        period = label(row["month"])
        sums[period] = sums.get(period, 0) + row["net_cents"]
    next_month = month_text(month_number(rows[-1]["month"]) + 1)
    incomplete = {label(row["month"]) for row in rows if not row["is_complete"]}
    incomplete.add(label(next_month))
    return noun, [Period(name, net, name not in incomplete) for name, net in sums.items()]


def derive_kpis(trends: Mapping[str, Row], tables: Sequence[Row]) -> Row:
    """Return the key figures: sums over *trends* and *tables*, and their ratios."""
    months = trends["revenue_by_month"]
    net = sum_column(months, "net_cents")
    gross, discount = (
        sum_column(months, "gross_cents"),
        sum_column(months, "discount_cents"),
    )
    refund = sum_column(months, "refund_cents")
    placed = sum_column(trends["refunds_and_cancellations"], "placed_count")
    customers = count_customers(trends["orders_per_customer"])
    kpis: Row = {
        "gross_cents": gross,
        "discount_cents": discount,
        "refund_cents": refund,
        "net_cents": net,
        "order_count": customers["order_count"],
        "placed_count": placed,
        "user_count": next(row["rows"] for row in tables if row["table"] == "users"),
        "customer_count": customers["customer_count"],
        "repeat_customer_count": customers["repeat_customer_count"],
        "aov_cents": quotient(net, customers["order_count"]),
        "net_per_customer_cents": quotient(net, customers["customer_count"]),
        "repeat_rate": ratio(
            customers["repeat_customer_count"], customers["customer_count"]
        ),
        "refund_rate": ratio(refund, gross - discount),
        **derive_order_rates(trends),
        "last_complete_month": find_last_complete_month(months["rows"]),
    }
    if months["note"]:
        kpis |= dict.fromkeys(name for name in kpis if name.endswith("_cents"))
        kpis["refund_rate"] = None
    return kpis


def count_customers(by_frequency: Row) -> dict[str, int]:
    """Return the numbers of orders, customers and repeat customers.

    *by_frequency* is the trend `orders_per_customer`.
    """
    customer_count = sum_column(by_frequency, "customer_count")
    once_count = sum(
        row["customer_count"]
        for row in by_frequency["rows"]
        if row["orders_per_customer"] == 1
    )
    return {
        "order_count": sum_column(by_frequency, "order_count"),
        "customer_count": customer_count,
        "repeat_customer_count": customer_count - once_count,
    }


def derive_order_rates(trends: Mapping[str, Row]) -> Row:
    """Return the rates of cancelled orders, returned orders and failed charges."""
    orders, payments = trends["refunds_and_cancellations"], trends["payment_methods"]
    returned = sum_column(orders, "returned_count")
    returned += sum_column(orders, "partially_returned_count")
    return {
        "cancellation_rate": ratio(
            sum_column(orders, "cancelled_count"), sum_column(orders, "placed_count")
        ),
        "return_rate": ratio(returned, sum_column(orders, "order_count")),
        "failed_payment_rate": ratio(
            sum_column(payments, "failed_count"), sum_column(payments, "charge_count")
        ),
    }


def sum_column(trend: Row, column: str) -> int:
    """Return the sum of *column* over the rows of *trend*."""
    return sum(row[column] for row in trend["rows"])


def find_last_complete_month(rows: Sequence[Row]) -> Row | None:
    """Return the figures of the last complete month, or None if there is none.

    *change_on_year* is the relative change from the same month of the year before; None
    where that month is missing or has 0.
    """
    complete = {
        row["month"]: row for row in rows if row["is_complete"] and is_month(row["month"])
    }
    if not complete:
        return None
    last = complete[max(complete)]
    before = complete.get(month_text(month_number(last["month"]) - 12))
    columns = ("net_cents", "order_count", "new_customers", "returning_customers")
    return {
        **{column: last[column] for column in ("month", *columns)},
        "aov_cents": last["aov_cents"],
        "change_on_year": {
            column: ratio(last[column] - before[column], before[column]) if before else None
            for column in columns
        },
    }
