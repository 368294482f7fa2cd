"""Wrong answers that differ from the right one in the table, not in the query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from queries.cohort_cells import FLOW_COLUMNS, RUNNING_COLUMNS
from queries.grading.answers import Answer, Figures, Place
from utils.ratios import ratio

# The cumulative columns, each with what it accumulates.
_SUMS = {
    "cum_net_cents": "net_cents",
    "cum_margin_cents": "margin_cents",
    "cum_net_per_customer_cents": "net_per_customer_cents",
}

Reshape = Callable[[Answer], Answer]


def start_ages_at_one(cells: Answer) -> Answer:
    """Return *cells* whose first month is 1."""
    return {
        place._replace(months_since=place.months_since + 1): figures
        for place, figures in cells.items()
    }


def count_orders_as_customers(cells: Answer) -> Answer:
    """Return *cells* with orders in place of active customers."""

    def change(figures: Figures) -> dict[str, Any]:
        orders, size = figures["order_count"], figures["cohort_size"]
        share = ratio(_whole(orders), _whole(size), digits=6)
        return {"active_customers": orders, "retention": share}

    return {place: {**figures, **change(figures)} for place, figures in cells.items()}


def count_customers_as_orders(cells: Answer) -> Answer:
    """Return *cells* with active customers in place of orders."""

    def change(figures: Figures) -> dict[str, Any]:
        active, net = figures["active_customers"], figures["net_cents"]
        return {
            "order_count": active,
            "aov_cents": ratio(_whole(net), _whole(active), digits=2),
        }

    return {place: {**figures, **change(figures)} for place, figures in cells.items()}


def omit_quiet_months(cells: Answer) -> Answer:
    """Return *cells* without those in which nothing happened."""
    return {
        place: figures
        for place, figures in cells.items()
        if any(figures[name] for name in FLOW_COLUMNS)
    }


def fill_future_with_zeros(cells: Answer) -> Answer:
    """Return *cells* with zeros up to the age of the oldest cohort."""
    return _fill_future(cells, {})


def carry_sums_into_future(cells: Answer) -> Answer:
    """Return *cells* with no activity, and the last sums, up to the oldest cohort's age."""
    return _fill_future(cells, dict.fromkeys((*RUNNING_COLUMNS, *_SUMS)))


def _fill_future(cells: Answer, carried: Mapping[str, None]) -> Answer:
    filled = dict(cells)
    oldest = max((place.months_since for place in cells), default=0)
    for cohort in _group_cohorts(cells).values():
        last = cohort[-1]
        for age in range(last.months_since + 1, oldest + 1):
            figures = cells[last]
            filled[last._replace(months_since=age)] = {
                name: figures[name] if name in carried or name == "cohort_size" else 0
                for name in figures
            }
    return filled


def take_all_months_as_complete(cells: Answer) -> Answer:
    """Return *cells* of which each is complete."""
    return {place: {**figures, "is_complete": 1} for place, figures in cells.items()}


def forget_to_accumulate(cells: Answer) -> Answer:
    """Return *cells* whose cumulative amounts are those of the month."""

    def change(figures: Figures) -> dict[str, Any]:
        return {name: figures[of] for name, of in _SUMS.items()} | {
            "cum_margin_per_customer_cents": ratio(
                _whole(figures["margin_cents"]), _whole(figures["cohort_size"]), digits=2
            )
        }

    return {place: {**figures, **change(figures)} for place, figures in cells.items()}


def accumulate_twice(cells: Answer) -> Answer:
    """Return *cells* whose cumulative amounts are accumulated once more."""
    changed: dict[Place, Figures] = {}
    for cohort in _group_cohorts(cells).values():
        sums: dict[str, list[int]] = {
            name: list(accumulate(_whole(cells[place][name]) or 0 for place in cohort))
            for name in ("cum_net_cents", "cum_margin_cents")
        }
        for at, place in enumerate(cohort):
            size = _whole(cells[place]["cohort_size"])
            net, margin = (values[at] for values in sums.values())
            changed[place] = {
                **cells[place],
                "cum_net_cents": net,
                "cum_margin_cents": margin,
                "cum_net_per_customer_cents": ratio(net, size, digits=2),
                "cum_margin_per_customer_cents": ratio(margin, size, digits=2),
            }
    return changed


def _group_cohorts(cells: Answer) -> dict[tuple[str, str], list[Place]]:
    """Return the places of each cohort, by age."""
    cohorts: dict[tuple[str, str], list[Place]] = {}
    for place in sorted(cells):
        cohorts.setdefault((place.segment, place.cohort), []).append(place)
    return cohorts


def _whole(value: int | float | None) -> int | None:
    return None if value is None else int(value)


# Name, what the wrong answer is, why it is wrong, how to avoid it, and the function.
TABLE_MISTAKES: list[tuple[str, str, str, str, Reshape]] = [
    (
        "ages_from_one",
        "months since are counted from 1",
        "the month of the first order is 0, so every age is shifted by one.",
        "subtract the cohort's month from the month, and add nothing.",
        start_ages_at_one,
    ),
    (
        "orders_instead_of_customers",
        "orders are counted instead of customers",
        "a customer with two orders in a month is active once.",
        "count each customer once a month, such as with COUNT(DISTINCT user_id).",
        count_orders_as_customers,
    ),
    (
        "customers_instead_of_orders",
        "customers are counted instead of orders",
        "a customer with two orders in a month has placed two.",
        "count orders, each once.",
        count_customers_as_orders,
    ),
    (
        "quiet_months_missing",
        "months without activity are missing",
        "a month in which no customer of the cohort bought is an observed zero.",
        "build a row for each cohort and month first, then join what happened.",
        omit_quiet_months,
    ),
    (
        "future_as_zero",
        "months in the future are zeros",
        "nobody knows yet what happens there; a zero looks like the end of all buying.",
        "omit the months after the last day of the data, or keep them empty.",
        fill_future_with_zeros,
    ),
    (
        "future_as_carried_sums",
        "months in the future repeat the last sums",
        "nobody knows yet what happens there; a constant sum looks like an end of buying.",
        "omit the months after the last day of the data, or keep them empty.",
        carry_sums_into_future,
    ),
    (
        "running_month_complete",
        "the running month is taken as complete",
        "the last month ends after the last day of the data, so its figures will grow.",
        "compare the last day of the data with the end of the month.",
        take_all_months_as_complete,
    ),
    (
        "not_cumulated",
        "cumulative amounts are those of the month",
        "the value of a cohort so far contains all months from the first one.",
        "add up the months of the cohort, such as with SUM(…) OVER (… ORDER BY month).",
        forget_to_accumulate,
    ),
    (
        "cumulated_twice",
        "cumulative amounts are accumulated twice",
        "each month is then contained once for every month after it.",
        "accumulate the amounts of the months, not sums that are cumulative already.",
        accumulate_twice,
    ),
]
