"""Compute the cohort table independently: from the CSV files, in plain Python.

    python -m tests.recount DATA_DIR --as-of YYYY-MM-DD

prints the exact bytes of query_result.csv, also with --cohort, --by and --valid-status;
with --values, the value of each customer.  It shares nothing with the SQL: the files are
read as they are, months are dates, and every cell is counted from the orders.
"""

from __future__ import annotations

import argparse
import calendar
import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

PAID_AND_KEPT = frozenset(
    {"paid", "shipped", "delivered", "partially_returned", "returned"}
)

COLUMNS = (
    "cohort_month",
    "months_since",
    "period_month",
    "cohort_size",
    "active_customers",
    "repeat_customers",
    "order_count",
    "unit_count",
    "gross_cents",
    "discount_cents",
    "refund_cents",
    "net_cents",
    "cost_cents",
    "margin_cents",
    "cum_net_cents",
    "cum_margin_cents",
    "is_observed",
    "is_complete",
)

# Figures of one month come before those that accumulate.  The customers of a quarter have
# no calendar month in common.
QUARTER_COLUMNS = (
    "cohort_quarter",
    "months_since",
    "cohort_size",
    "active_customers",
    "order_count",
    "unit_count",
    "gross_cents",
    "discount_cents",
    "refund_cents",
    "net_cents",
    "cost_cents",
    "margin_cents",
    "repeat_customers",
    "cum_net_cents",
    "cum_margin_cents",
    "is_observed",
    "is_complete",
)

# In months; a customer's value is the net through the month of that age.
VALUE_AGES = (3, 6, 12, 24)

Record = dict[str, str]
Row = tuple[int | str, ...]


class Order(NamedTuple):
    """A valid order: its user, its time, and the price of its goods."""

    order_id: int
    user_id: str
    ordered_at: str
    month: date
    goods_cents: int
    discount_cents: int
    total_cents: int


@dataclass(slots=True)
class Tally:
    """The figures of one customer in one month."""

    order_count: int = 0
    unit_count: int = 0
    gross_cents: int = 0
    discount_cents: int = 0
    refund_cents: int = 0
    cost_cents: int = 0

    @property
    def net_cents(self) -> int:
        """Return the net."""
        return self.gross_cents - self.discount_cents - self.refund_cents


@dataclass(slots=True)
class Customer:
    """One customer: all valid orders, earliest first, and a tally for each active month.

    *segments* are the customer's channel, country and category.
    """

    orders: list[Order] = field(default_factory=list)
    tallies: defaultdict[date, Tally] = field(default_factory=lambda: defaultdict(Tally))
    segments: dict[str, str] = field(default_factory=dict)

    @property
    def first_month(self) -> date:
        """Return the month of the first order."""
        return self.orders[0].month


class Value(NamedTuple):
    """The net of one customer at each of `VALUE_AGES`, in cents."""

    segment: str
    cohort: str
    net_cents: tuple[int, ...]


def recount_cohorts(
    folder: Path,
    as_of: date,
    *,
    grain: str = "month",
    by: str | None = None,
    statuses: Collection[str] = PAID_AND_KEPT,
) -> list[Row]:
    """Return every cell of the five files in *folder* until *as_of*, as in `name_columns`.

    *grain* and *by* choose the cohorts and segments, *statuses* the orders that count.
    """
    return list(count_cells(count_shop(folder, as_of, statuses), as_of, grain, by))


def name_columns(grain: str = "month", by: str | None = None) -> tuple[str, ...]:
    """Return the columns of the cells; with *by*, that of the segment is the first.

    >>> name_columns("quarter", "country")[:3]
    ('segment', 'cohort_quarter', 'months_since')
    """
    columns = COLUMNS if grain == "month" else QUARTER_COLUMNS
    return ("segment", *columns) if by else columns


# ---- From the files ----------------------------------------------------------------------


def count_shop(
    folder: Path, as_of: date, statuses: Collection[str] = PAID_AND_KEPT
) -> list[Customer]:
    """Return the customers until *as_of*, with their orders, from the five files."""
    orders = {
        record["order_id"]: read_order(record)
        for record in read_records(folder, "orders")
        if record["status"] in statuses and is_by(record["ordered_at"], as_of)
    }
    customers: defaultdict[str, Customer] = defaultdict(Customer)
    for order in orders.values():
        customers[order.user_id].orders.append(order)
        tally = customers[order.user_id].tallies[order.month]
        tally.order_count += 1
        tally.discount_cents += order.discount_cents
    for customer in customers.values():
        customer.orders.sort(key=lambda order: (order.ordered_at, order.order_id))
    count_items(folder, orders, customers)
    count_refunds(folder, orders, customers, as_of)
    for record in read_records(folder, "users"):
        if record["user_id"] in customers:
            segments = customers[record["user_id"]].segments
            segments["channel"] = record["acquisition_channel"]
            segments["country"] = record["country_code"]
    return list(customers.values())


def read_records(folder: Path, table: str) -> Iterator[Record]:
    """Yield the records of a file."""
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def read_order(record: Record) -> Order:
    """Return the order in *record* of orders.csv."""
    return Order(
        order_id=int(record["order_id"]),
        user_id=record["user_id"],
        ordered_at=record["ordered_at"],
        month=month_of(record["ordered_at"]),
        goods_cents=int(record["subtotal_cents"]) - int(record["discount_cents"]),
        discount_cents=int(record["discount_cents"]),
        total_cents=int(record["total_cents"]),
    )


def count_items(
    folder: Path, orders: dict[str, Order], customers: dict[str, Customer]
) -> None:
    """Add the lines of *orders* to the tallies, and find each customer's first category."""
    products = {
        record["product_id"]: (int(record["cost_cents"]), record["category"])
        for record in read_records(folder, "products")
    }
    spent: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in read_records(folder, "order_items"):
        order = orders.get(record["order_id"])
        if order is None:
            continue
        unit_cost, category = products[record["product_id"]]
        quantity = int(record["quantity"])
        customer = customers[order.user_id]
        tally = customer.tallies[order.month]
        tally.unit_count += quantity
        tally.gross_cents += quantity * int(record["unit_price_cents"])
        tally.discount_cents += int(record["discount_cents"])
        tally.cost_cents += quantity * unit_cost
        if order is customer.orders[0]:
            spent[order.user_id][category] += int(record["line_total_cents"])
    for user_id, customer in customers.items():
        customer.segments["category"] = choose_category(spent[user_id])


def choose_category(spent: dict[str, int]) -> str:
    """Return the category with the largest amount *spent*, the first by name of equals.

    >>> choose_category({"toys": 5, "home": 5, "food": 4}), choose_category({})
    ('home', 'none')
    """
    return min(spent, key=lambda name: (-spent[name], name), default="none")


def count_refunds(
    folder: Path, orders: dict[str, Order], customers: dict[str, Customer], as_of: date
) -> None:
    """Add the goods' share of the refunds to the tallies of their months.

    A refund before its order counts with the order; one after *as_of* does not count.
    """
    for record in read_records(folder, "payments"):
        order = orders.get(record["order_id"])
        is_refund = (record["kind"], record["status"]) == ("refund", "succeeded")
        if order is None or not is_refund or not order.total_cents:
            continue
        if is_by(record["processed_at"], as_of):
            month = max(order.month, month_of(record["processed_at"]))
            share = int(record["amount_cents"]) * order.goods_cents // order.total_cents
            customers[order.user_id].tallies[month].refund_cents += share


# ---- From customers to cells -------------------------------------------------------------


def count_cells(
    customers: Iterable[Customer], as_of: date, grain: str = "month", by: str | None = None
) -> Iterator[Row]:
    """Yield the cells of *customers* until *as_of*, cohort by cohort."""
    for (segment, cohort), members in sorted(group(customers, grain, by).items()):
        for row in count_cohort(members, cohort, as_of, grain):
            yield (segment, *row) if by else row


def group(
    customers: Iterable[Customer], grain: str, by: str | None
) -> dict[tuple[str, str], list[Customer]]:
    """Return the customers of each segment and cohort."""
    cohorts: defaultdict[tuple[str, str], list[Customer]] = defaultdict(list)
    for customer in customers:
        segment = customer.segments[by] if by else ""
        cohorts[segment, name_cohort(customer.first_month, grain)].append(customer)
    return cohorts


def count_cohort(
    members: Sequence[Customer], cohort: str, as_of: date, grain: str
) -> Iterator[Row]:
    """Yield the cells of one cohort, until its first customer's month is that of *as_of*.

    Each customer's months are counted from the first order's own.
    """
    tallies: defaultdict[int, list[Tally]] = defaultdict(list)
    second_ages = []
    for customer in members:
        for month, tally in customer.tallies.items():
            tallies[months_between(customer.first_month, month)].append(tally)
        if len(customer.orders) > 1:
            second = customer.orders[1].month
            second_ages.append(months_between(customer.first_month, second))
    cum_net = cum_margin = 0
    youngest = last_month_of(cohort)
    first_month = min(customer.first_month for customer in members)
    for age in range(months_between(first_month, as_of) + 1):
        mine = tallies[age]
        gross = sum(tally.gross_cents for tally in mine)
        discount = sum(tally.discount_cents for tally in mine)
        refund = sum(tally.refund_cents for tally in mine)
        cost = sum(tally.cost_cents for tally in mine)
        net = gross - discount - refund
        margin = net - cost
        cum_net += net
        cum_margin += margin
        period = add_months(youngest, age)
        size = len(members)
        active = sum(tally.order_count > 0 for tally in mine)
        repeat = sum(second <= age for second in second_ages)
        flows = (
            sum(tally.order_count for tally in mine),
            sum(tally.unit_count for tally in mine),
            gross,
            discount,
            refund,
            net,
            cost,
            margin,
        )
        ends = (
            cum_net,
            cum_margin,
            int(period <= as_of),
            int(last_day_of(period) <= as_of),
        )
        if grain == "month":
            yield (cohort, age, f"{period:%Y-%m}", size, active, repeat, *flows, *ends)
        else:
            yield (cohort, age, size, active, *flows, repeat, *ends)


def list_values(
    customers: Iterable[Customer], grain: str = "month", by: str | None = None
) -> list[Value]:
    """Return the value of each of *customers* at every age, even one not yet reached."""
    return [
        Value(
            customer.segments[by] if by else "",
            name_cohort(customer.first_month, grain),
            tuple(
                sum(
                    tally.net_cents
                    for month, tally in customer.tallies.items()
                    if months_between(customer.first_month, month) <= age
                )
                for age in VALUE_AGES
            ),
        )
        for customer in customers
    ]


# ---- Months ------------------------------------------------------------------------------


def is_by(instant: str, day: date) -> bool:
    """Return whether *instant* is before the end of *day*.

    >>> is_by("2024-02-29T23:59:59Z", date(2024, 2, 29))
    True
    """
    return instant[:10] <= day.isoformat()


def month_of(instant: str) -> date:
    """Return the first day of the month of an instant such as 2024-02-29T12:00:00Z."""
    return first_day_of(instant[:7])


@cache
def first_day_of(month: str) -> date:
    """Return the first day of a month such as 2024-02."""
    return date.fromisoformat(f"{month}-01")


@cache
def name_cohort(month: date, grain: str) -> str:
    """Return the name of the month or the quarter that contains *month*.

    >>> name_cohort(date(2024, 10, 1), "month"), name_cohort(date(2024, 10, 1), "quarter")
    ('2024-10', '2024-Q4')
    """
    quarter = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 3, 8: 3, 9: 3, 10: 4, 11: 4, 12: 4}
    return f"{month:%Y-%m}" if grain == "month" else f"{month:%Y}-Q{quarter[month.month]}"


def last_month_of(cohort: str) -> date:
    """Return the last month of a cohort: its own, or the third of its quarter.

    >>> last_month_of("2024-05"), last_month_of("2024-Q2")
    (datetime.date(2024, 5, 1), datetime.date(2024, 6, 1))
    """
    months = {"Q1": "03", "Q2": "06", "Q3": "09", "Q4": "12"}
    year, part = cohort.split("-")
    return first_day_of(f"{year}-{months.get(part, part)}")


@cache
def months_between(month: date, later: date) -> int:
    """Return how many months *later* is after *month*.

    >>> months_between(date(2023, 11, 1), date(2024, 2, 29))
    3
    """
    return (later.year - month.year) * 12 + later.month - month.month


def add_months(month: date, count: int) -> date:
    """Return the month *count* months after *month*.

    >>> add_months(date(2023, 11, 1), 0), add_months(date(2023, 11, 1), 14)
    (datetime.date(2023, 11, 1), datetime.date(2025, 1, 1))
    """
    years, months = divmod(month.month - 1 + count, 12)
    return date(month.year + years, months + 1, 1)


def last_day_of(month: date) -> date:
    """Return the last day of *month*.

    >>> last_day_of(date(2024, 2, 1))
    datetime.date(2024, 2, 29)
    """
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


# ---- The command -------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.recount")
    parser.add_argument("data_dir", type=Path, help="folder of the five CSV files")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, metavar="DATE")
    parser.add_argument("--cohort", choices=("month", "quarter"), default="month")
    parser.add_argument("--by", choices=("channel", "country", "category"))
    parser.add_argument(
        "--valid-status", default=",".join(sorted(PAID_AND_KEPT)), metavar="NAMES"
    )
    parser.add_argument(
        "--values", action="store_true", help="one row per customer instead"
    )
    args = parser.parse_args(argv)
    statuses = args.valid_status.split(",")
    customers = count_shop(args.data_dir, args.as_of, statuses)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if args.values:
        writer.writerow(("segment", "cohort", *(f"net_{age}m_cents" for age in VALUE_AGES)))
        for value in list_values(customers, args.cohort, args.by):
            writer.writerow((value.segment, value.cohort, *value.net_cents))
        return 0
    writer.writerow(name_columns(args.cohort, args.by))
    writer.writerows(count_cells(customers, args.as_of, args.cohort, args.by))
    return 0


if __name__ == "__main__":
    sys.exit(main())
