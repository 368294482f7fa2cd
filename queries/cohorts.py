"""From the cells of the cohort query to ratios, cohorts and averages; rows in, rows out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from queries.uncertainty import Spread, wilson_interval
from utils.helpers import DataError
from utils.ratios import ratio

# The ages at which a cohort's value is told, in months.
CLV_MONTHS = (3, 6, 12, 24)

# What a query must give: the key of a cell, and what its ratios are made of.
KEY_COLUMNS = ("cohort_month", "months_since", "cohort_size")
SUMMED_COLUMNS = (
    "cohort_size",
    "active_customers",
    "order_count",
    "net_cents",
    "cum_net_cents",
    "cum_margin_cents",
)
NEVER_NULL_COLUMNS = (*KEY_COLUMNS, "is_complete")
NEEDED_COLUMNS = tuple(dict.fromkeys((*KEY_COLUMNS, *SUMMED_COLUMNS, "is_complete")))

# Columns that are counted within a month, and those that run on from month to month.
FLOW_COLUMNS = (
    "active_customers",
    "order_count",
    "unit_count",
    "gross_cents",
    "discount_cents",
    "refund_cents",
    "net_cents",
    "cost_cents",
    "margin_cents",
)
RUNNING_COLUMNS = ("repeat_customers", "cum_net_cents", "cum_margin_cents")
FLAG_COLUMNS = ("is_observed", "is_complete")
ADDED_COLUMNS = ("cohort_size", *FLOW_COLUMNS, *RUNNING_COLUMNS)

Cell = dict[str, Any]

# By the name of a cohort and the months since: what its customers have been worth.
Spreads = Mapping[tuple[str, int], Spread]


class Result(NamedTuple):
    """What a query gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


# ---- Cells -------------------------------------------------------------------------------


def read_cells(result: Result, query_path: Path) -> list[Cell]:
    """Return one dictionary per row of *result*, with `cohort` for its `cohort_month`.

    Raise `DataError` naming *query_path* if the rows are not cohort cells.
    """
    if missing := [name for name in NEEDED_COLUMNS if name not in result.columns]:
        raise DataError(
            f"{query_path}: its result lacks {', '.join(missing)}. Expected the columns of"
            " queries/join_query.sql; others may be added."
        )
    if twice := [name for name, count in Counter(result.columns).items() if count > 1]:
        raise DataError(f"{query_path}: gives {', '.join(twice)} more than once.")
    if "cohort" in result.columns:
        raise DataError(
            f"{query_path}: has a column cohort, the name that the JSON gives to"
            " cohort_month. Rename the column."
        )
    names = ["cohort" if name == "cohort_month" else name for name in result.columns]
    cells = []
    seen = set()
    for number, row in enumerate(result.rows, 1):
        cell = dict(zip(names, row, strict=True))
        _check_cell(cell, f"{query_path}: row {number} of its result")
        key = cell.get("segment"), cell["cohort"], cell["months_since"]
        if key in seen:
            raise DataError(
                f"{query_path}: row {number} of its result is cohort {key[1]}, months since"
                f" {key[2]} again. Expected one row for each."
            )
        seen.add(key)
        cells.append(cell)
    return cells


def _check_cell(cell: Cell, place: str) -> None:
    """Raise `DataError` naming *place* unless *cell* can be summed and written.

    Only a cell that is not complete, say one of the future, may lack figures.
    """
    for name, value in cell.items():
        if name == "cohort":
            kind = "text"
            fits = isinstance(value, str)
        elif name in NEEDED_COLUMNS:
            kind = "a whole number"
            may_lack = name not in NEVER_NULL_COLUMNS and not cell["is_complete"]
            fits = isinstance(value, int) or (value is None and may_lack)
        else:
            kind = "text, a finite number or NULL"
            fits = (
                value is None
                or isinstance(value, (int, str))
                or (isinstance(value, float) and math.isfinite(value))
            )
        if not fits:
            raise DataError(f"{place}: {name_column(name)} is {value!r}, expected {kind}.")


def name_column(name: str, grain: str = "month") -> str:
    """Return the column of the query, or of the CSV file, for this *name* in a cell."""
    return f"cohort_{grain}" if name == "cohort" else name


def split_segments(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Return the cells of each segment, in the order of the segments' names."""
    segments: dict[str, list[Cell]] = {}
    for cell in cells:
        segments.setdefault(cell["segment"], []).append(cell)
    return dict(sorted(segments.items()))


def add_segments(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells of all segments together; the segments share no customer."""
    together: dict[tuple[str, int], Cell] = {}
    for cell in cells:
        key = cell["cohort"], cell["months_since"]
        whole = together.get(key)
        if whole is None:
            together[key] = {name: cell[name] for name in cell if name != "segment"}
            continue
        for name in ADDED_COLUMNS:
            whole[name] += cell[name]
    return [together[key] for key in sorted(together)]


def roll_up_quarters(cells: Iterable[Cell], last_month: str) -> list[Cell]:
    """Return the cells of cohorts by quarter, from those of one segment by month.

    *last_month* is the last one observed, as YYYY-MM.  Months since go on counting each
    customer's own months: the cell of 3 holds what all did in the third month after the
    one of their first order.  It is observed when the quarter's last month is that old.
    """
    by_quarter: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        month = cell["cohort"]
        by_quarter.setdefault(name_quarter(month), {}).setdefault(month, []).append(cell)
    rolled = []
    last_index = month_index(last_month)
    for quarter, members in sorted(by_quarter.items()):
        # Months are told by their cells, 0 to the last one observed.
        ages = max(len(month_cells) for month_cells in members.values())
        age_of_youngest = last_index - (int(quarter[:4]) * 12 + int(quarter[-1]) * 3 - 1)
        is_last_over = all(cells[-1]["is_complete"] for cells in members.values())
        for age in range(ages):
            there = [cells[age] for cells in members.values() if age < len(cells)]
            so_far = [cells[min(age, len(cells) - 1)] for cells in members.values()]
            is_over = age < age_of_youngest or (age == age_of_youngest and is_last_over)
            rolled.append(
                {name: there[0][name] for name in ("segment",) if name in there[0]}
                | {"cohort": quarter, "months_since": age}
                | {"cohort_size": sum(cell["cohort_size"] for cell in so_far)}
                | {name: sum(cell[name] for cell in there) for name in FLOW_COLUMNS}
                | {name: sum(cell[name] for cell in so_far) for name in RUNNING_COLUMNS}
                | {"is_observed": int(age <= age_of_youngest), "is_complete": int(is_over)}
            )
    return rolled


def name_quarter(month: str) -> str:
    """Return the quarter of a month.

    >>> name_quarter("2024-01"), name_quarter("2024-12")
    ('2024-Q1', '2024-Q4')
    """
    return f"{month[:4]}-Q{(int(month[5:7]) + 2) // 3}"


def month_index(month: str) -> int:
    """Return the number of a month, 12 x year + month - 1.

    >>> month_index("2024-03")
    24290
    """
    return int(month[:4]) * 12 + int(month[5:7]) - 1


# ---- Ratios ------------------------------------------------------------------------------


def derive_ratios(sums: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the ratios of one cell, or of several cells summed."""
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


# A cell that not all of its customers have reached is no share of them.
_NO_RATIOS = dict.fromkeys(
    derive_ratios(dict.fromkeys(SUMMED_COLUMNS, 1)),
)


def add_ratios(cell: Cell) -> Cell:
    """Return *cell* with its ratios, which are None where it is not wholly observed."""
    return cell | (derive_ratios(cell) if cell.get("is_observed", 1) else _NO_RATIOS)


def summarize_cells(cells: Sequence[Cell], spreads: Spreads) -> dict[str, Any]:
    """Return cohorts, cells, average and summary: what the JSON says beside its source."""
    cells = [add_ratios(cell) for cell in cells]
    cohorts = build_cohorts(cells, spreads)
    average = build_average(cells)
    return {
        "cohorts": cohorts,
        "cells": cells,
        "average": average,
        "summary": build_summary(cohorts, average, spreads),
    }


def build_cohorts(cells: Sequence[Cell], spreads: Spreads) -> list[dict[str, Any]]:
    """Return one record per cohort, with its CLV at the ages it has wholly reached.

    *spreads* tell how the customers of a cohort differ at such an age.
    """
    by_cohort: dict[str, dict[int, Cell]] = {}
    for cell in cells:
        by_cohort.setdefault(cell["cohort"], {})[cell["months_since"]] = cell
    cohorts = []
    for name, ages in by_cohort.items():
        first = next(iter(ages.values()))
        observed = [
            age
            for age, cell in ages.items()
            if cell["net_cents"] is not None and cell.get("is_observed", 1)
        ]
        cohort: dict[str, Any] = {
            "cohort": name,
            "cohort_size": first["cohort_size"],
            "last_months_since": max(observed, default=None),
            "clv": [],
        }
        for months in CLV_MONTHS:
            cell = ages.get(months, {})
            is_complete = bool(cell.get("is_complete"))
            value = cell["cum_net_per_customer_cents"] if is_complete else None
            spread = spreads.get((name, months)) if is_complete else None
            cohort["clv"].append(_describe_clv(months, value, spread))
        cohorts.append(cohort)
    return cohorts


def _describe_clv(
    months: int, value: float | None, spread: Spread | None
) -> dict[str, float | None]:
    """Return CLV at *months*: the mean, its interval and the median, in cents."""
    return {
        "months": months,
        "cents": value,
        "low_cents": spread.low_cents if spread else None,
        "high_cents": spread.high_cents if spread else None,
        "median_cents": spread.median_cents if spread else None,
    }


def build_average(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return one record per age over its complete cells, weighted by cohort size.

    Sums are divided by sums: an average of the cells' ratios would weigh a small cohort
    like a large one.
    """
    by_age: dict[int, list[Cell]] = {}
    for cell in cells:
        if cell["is_complete"]:
            by_age.setdefault(cell["months_since"], []).append(cell)
    average = []
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
    return average


def build_summary(
    cohorts: Sequence[Mapping[str, Any]],
    average: Sequence[Mapping[str, Any]],
    spreads: Spreads,
) -> dict[str, Any]:
    """Return the shop in a few figures: the average CLV, and of how many cohorts it is.

    Of *spreads* those of no cohort, named '', are of all that are old enough.
    """
    by_age = {record["months_since"]: record for record in average}
    summary: dict[str, Any] = {
        "cohort_count": len(cohorts),
        "customer_count": sum(cohort["cohort_size"] for cohort in cohorts),
        "clv": [],
    }
    for months in CLV_MONTHS:
        record = by_age.get(months, {})
        value = record.get("cum_net_per_customer_cents")
        clv = _describe_clv(months, value, spreads.get(("", months)))
        summary["clv"].append(clv | {"cohort_count": record.get("cohort_count", 0)})
    return summary
