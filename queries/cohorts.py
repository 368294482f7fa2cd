"""From the cells of the cohort query to ratios, cohorts and averages; rows in, rows out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from utils.helpers import DataError
from utils.ratios import ratio

# The ages at which a cohort's value is told, in months.
CLV_MONTHS = (3, 6, 12)

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

Cell = dict[str, Any]


class Result(NamedTuple):
    """What a query gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def derive_ratios(sums: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the ratios of one cell, or of several cells summed."""
    customers = sums["cohort_size"]
    return {
        "retention": ratio(sums["active_customers"], customers, digits=6),
        "aov_cents": ratio(sums["net_cents"], sums["order_count"], digits=2),
        "net_per_customer_cents": ratio(sums["net_cents"], customers, digits=2),
        "cum_net_per_customer_cents": ratio(sums["cum_net_cents"], customers, digits=2),
        "cum_margin_per_customer_cents": ratio(
            sums["cum_margin_cents"], customers, digits=2
        ),
    }


def build_cells(result: Result, query_path: Path) -> list[Cell]:
    """Return one dictionary per row: the query's columns, then the ratios.

    Raise `DataError` naming *query_path* when the result is not one of cohort cells.
    """
    if missing := [name for name in NEEDED_COLUMNS if name not in result.columns]:
        raise DataError(
            f"{query_path}: its result lacks {', '.join(missing)}. Expected the columns of"
            " queries/join_query.sql; others may be added."
        )
    if twice := [name for name, count in Counter(result.columns).items() if count > 1]:
        raise DataError(f"{query_path}: gives {', '.join(twice)} more than once.")
    cells = []
    seen = set()
    for number, row in enumerate(result.rows, 1):
        cell = dict(zip(result.columns, row, strict=True))
        _check_cell(cell, f"{query_path}: row {number} of its result")
        key = cell["cohort_month"], cell["months_since"]
        if key in seen:
            raise DataError(
                f"{query_path}: row {number} of its result is cohort {key[0]}, months since"
                f" {key[1]} again. Expected one row for each."
            )
        seen.add(key)
        cells.append(cell | derive_ratios(cell))
    return cells


def _check_cell(cell: Cell, place: str) -> None:
    """Raise `DataError` naming *place* unless *cell* can be summed and written.

    Only a cell that is not complete, say one of the future, may lack figures.
    """
    for name, value in cell.items():
        if name == "cohort_month":
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
            raise DataError(f"{place}: {name} is {value!r}, expected {kind}.")


def summarize_cells(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return cohorts, cells, average and summary: what the JSON says beside its source."""
    cohorts = build_cohorts(cells)
    average = build_average(cells)
    return {
        "cohorts": cohorts,
        "cells": list(cells),
        "average": average,
        "summary": build_summary(cohorts, average),
    }


def build_cohorts(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return one record per cohort, with its CLV at the ages it has wholly reached."""
    by_cohort: dict[str, dict[int, Cell]] = {}
    for cell in cells:
        by_cohort.setdefault(cell["cohort_month"], {})[cell["months_since"]] = cell
    cohorts = []
    for cohort_month, ages in by_cohort.items():
        observed = [age for age, cell in ages.items() if cell["net_cents"] is not None]
        cohort: dict[str, Any] = {
            "cohort_month": cohort_month,
            "cohort_size": next(iter(ages.values()))["cohort_size"],
            "last_months_since": max(observed, default=None),
        }
        for months in CLV_MONTHS:
            cell = ages.get(months, {})
            value = cell["cum_net_per_customer_cents"] if cell.get("is_complete") else None
            cohort[f"clv_{months}m_cents"] = value
        cohorts.append(cohort)
    return cohorts


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
    cohorts: Sequence[Mapping[str, Any]], average: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the shop in a few figures: the average CLV, and of how many cohorts it is."""
    by_age = {record["months_since"]: record for record in average}
    summary: dict[str, Any] = {
        "cohort_count": len(cohorts),
        "customer_count": sum(cohort["cohort_size"] for cohort in cohorts),
    }
    for months in CLV_MONTHS:
        record = by_age.get(months, {})
        summary[f"clv_{months}m_cents"] = record.get("cum_net_per_customer_cents")
        summary[f"clv_{months}m_cohort_count"] = record.get("cohort_count", 0)
    return summary
