"""From cells to ratios, and to the records of cohorts, averages and the summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from statistics import median
from typing import Any

from queries.cohort_cells import SUMMED_COLUMNS, Cell
from queries.customer_values import ALL_COHORTS, CLV_MONTHS, Spreads
from queries.uncertainty import Spread, wilson_interval
from utils.ratios import ratio

# The first cohort is too large beyond this multiple of the median of the later ones, if
# there are enough of them, and enough customers in it.
TIMES_THE_MEDIAN = 2
FEWEST_LATER_COHORTS = 6
FEWEST_CUSTOMERS = 20


def derive_ratios(sums: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the ratios of one cell, or of the sums of several cells."""
    customers, active = sums["cohort_size"], sums["active_customers"]
    low, high = wilson_interval(active, customers)
    return {
        "retention": ratio(active, customers, digits=6),
        "retention_low": low,
        "retention_high": high,
        "aov_cents": ratio(sums["net_cents"], sums["order_count"], digits=2),
        "net_per_customer_cents": ratio(sums["net_cents"], customers, digits=2),
        "cum_net_per_customer_cents": ratio(sums["cum_net_cents"], customers, digits=2),
        "cum_margin_per_customer_cents": ratio(
            sums["cum_margin_cents"], customers, digits=2
        ),
    }


# The ratios of a cell that some of its customers have not reached yet.
_NO_RATIOS = dict.fromkeys(derive_ratios(dict.fromkeys(SUMMED_COLUMNS, 1)))


def add_ratios(cell: Cell) -> Cell:
    """Return *cell* with its ratios; they are None until all customers have reached it."""
    return cell | (derive_ratios(cell) if cell.get("is_observed", 1) else _NO_RATIOS)


def summarize_cells(
    cells: Sequence[Cell], spreads: Spreads, *, omitted_cohort: str | None = None
) -> dict[str, Any]:
    """Return the JSON's cohorts, cells, average and summary.

    *spreads* hold the interval and the median of each CLV, as in `measure_spreads`.  The
    averages are without *omitted_cohort*.
    """
    cells = [add_ratios(cell) for cell in cells]
    cohorts = build_cohorts(cells, spreads)
    average = build_average([cell for cell in cells if cell["cohort"] != omitted_cohort])
    return {
        "cohorts": cohorts,
        "cells": cells,
        "average": average,
        "summary": build_summary(cohorts, average, spreads),
    }


def build_cohorts(cells: Sequence[Cell], spreads: Spreads) -> list[dict[str, Any]]:
    """Return one record per cohort, with its CLV at the ages that it has completed."""
    by_cohort: dict[str, dict[int, Cell]] = {}
    for cell in cells:
        by_cohort.setdefault(cell["cohort"], {})[cell["months_since"]] = cell
    return [_build_cohort(name, ages, spreads) for name, ages in by_cohort.items()]


def _build_cohort(name: str, ages: Mapping[int, Cell], spreads: Spreads) -> dict[str, Any]:
    observed = [
        age
        for age, cell in ages.items()
        if cell["net_cents"] is not None and cell.get("is_observed", 1)
    ]
    complete = {age: cell for age, cell in ages.items() if cell["is_complete"]}
    return {
        "cohort": name,
        "cohort_size": next(iter(ages.values()))["cohort_size"],
        "last_months_since": max(observed, default=None),
        "clv": [
            _describe_clv(
                months,
                complete[months]["cum_net_per_customer_cents"],
                spreads.get((name, months)),
            )
            if months in complete
            else _describe_clv(months, None, None)
            for months in CLV_MONTHS
        ],
    }


def _describe_clv(
    months: int, mean: float | None, spread: Spread | None
) -> dict[str, float | None]:
    """Return the CLV at *months*: the mean, its interval and the median, in cents."""
    return {
        "months": months,
        "cents": mean,
        "low_cents": spread.low_cents if spread else None,
        "high_cents": spread.high_cents if spread else None,
        "median_cents": spread.median_cents if spread else None,
    }


def build_average(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return one record per age over its complete cells, weighted by cohort size.

    Sums are divided by sums: a mean of the cells' ratios would give a small cohort the
    weight of a large one.  The cumulative averages of two ages are of different cohorts, so
    the later one can be lower; the chained one adds up the average net of each age, and
    falls only if that is negative.
    """
    by_age: dict[int, list[Cell]] = {}
    for cell in cells:
        if cell["is_complete"]:
            by_age.setdefault(cell["months_since"], []).append(cell)
    average: list[dict[str, Any]] = []
    steps = []
    for months_since, members in sorted(by_age.items()):
        sums = {name: sum(cell[name] for cell in members) for name in SUMMED_COLUMNS}
        average.append(
            {
                "months_since": months_since,
                "cohort_count": len(members),
                "customer_count": sums["cohort_size"],
            }
            | derive_ratios(sums)
        )
        steps.append((months_since, sums["net_cents"], sums["cohort_size"]))
    for record, cents in zip(average, _chain(steps), strict=True):
        record["chained_net_per_customer_cents"] = cents
    return average


def _chain(steps: Iterable[tuple[int, int, int]]) -> Iterator[float | None]:
    """Yield the sum so far of cents ÷ customers of (age, cents, customers).

    It is None after an age that is missing or has no customers.

    >>> list(_chain([(0, 100, 3), (1, 100, 3), (2, 100, 3), (4, 100, 3)]))
    [33.33, 66.67, 100.0, None]
    """
    total, is_known = Fraction(0), True
    for expected_age, (age, cents, customers) in enumerate(steps):
        is_known = is_known and age == expected_age and customers > 0
        if is_known:
            total += Fraction(cents, customers)
        yield ratio(total.numerator, total.denominator, digits=2) if is_known else None


def build_summary(
    cohorts: Sequence[Mapping[str, Any]],
    average: Sequence[Mapping[str, Any]],
    spreads: Spreads,
) -> dict[str, Any]:
    """Return the number of customers, and the average CLV with its number of cohorts."""
    by_age = {record["months_since"]: record for record in average}
    clv = []
    for months in CLV_MONTHS:
        record = by_age.get(months, {})
        mean = record.get("cum_net_per_customer_cents")
        clv.append(
            _describe_clv(months, mean, spreads.get((ALL_COHORTS, months)))
            | {"cohort_count": record.get("cohort_count", 0)}
        )
    return {
        "cohort_count": len(cohorts),
        "customer_count": sum(cohort["cohort_size"] for cohort in cohorts),
        "large_first_cohort": find_large_first_cohort(
            {cohort["cohort"]: cohort["cohort_size"] for cohort in cohorts}
        ),
        "clv": clv,
    }


def find_large_first_cohort(sizes: Mapping[str, int]) -> dict[str, Any] | None:
    """Return the first cohort if it seems to include who bought before the data begin.

    *sizes* are by cohort, in order.  The rule is that of the check
    `cohort_first_is_too_large` of the report, which also states why.

    >>> find_large_first_cohort({"2011-01": 90, **{f"2011-0{n}": 30 for n in range(2, 9)}})
    {'cohort': '2011-01', 'cohort_size': 90, 'median_of_later': 30}
    """
    (first, size), *later = sizes.items() if sizes else [("", 0)]
    if len(later) < FEWEST_LATER_COHORTS or size < FEWEST_CUSTOMERS:
        return None
    smaller = sum(size > TIMES_THE_MEDIAN * other for _, other in later)
    if 2 * smaller <= len(later):
        return None
    return {
        "cohort": first,
        "cohort_size": size,
        "median_of_later": round(median(other for _, other in later)),
    }
