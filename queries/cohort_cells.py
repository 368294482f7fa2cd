"""The cells of the cohort query: read, checked, added up by segment and by quarter."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from utils.formats import shorten_value
from utils.helpers import DataError
from utils.months import (
    YEARS,
    is_month,
    is_outside_years,
    last_month_number,
    month_number,
    quarter_text,
)

# The columns that every query must have: the key of a cell, and the parts of its ratios.
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

# Figures of one month, and figures that accumulate from month to month.
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

# Counts of customers of a cohort, and the least values of other columns.
PART_COLUMNS = ("active_customers", "repeat_customers")
LEAST_VALUES = {"months_since": 0, "cohort_size": 1, "order_count": 0, "unit_count": 0}

# One cohort in one month of its age: the columns of the query, with `cohort` instead of
# `cohort_month`, because the cells of quarters have the same form.
Cell = dict[str, Any]


class QueryRows(NamedTuple):
    """The columns and rows of a query, or of query_result.csv."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def column_name(name: str, grain: str = "month") -> str:
    """Return the column of the query, or of query_result.csv, for *name* in a cell."""
    return f"cohort_{grain}" if name == "cohort" else name


# ---- From rows ---------------------------------------------------------------------------


def read_cells(result: QueryRows, query_path: Path) -> list[Cell]:
    """Return one cell for each row of *result*.

    Raise `DataError` naming *query_path* if the rows are not possible cohort cells.
    """
    _require_cell_columns(result.columns, query_path)
    cells = build_cells(result)
    seen = set()
    for number, cell in enumerate(cells, 1):
        _require_cell_values(cell, f"{query_path}: row {number} of its result")
        key = cell.get("segment"), cell["cohort"], cell["months_since"]
        if key in seen:
            raise DataError(
                f"{query_path}: row {number} of its result repeats cohort {key[1]}, months"
                f" since {key[2]}. Expected one row for each."
            )
        seen.add(key)
    return cells


def build_cells(result: QueryRows) -> list[Cell]:
    """Return one cell for each row of *result*, which may be that of a mistaken query."""
    names = ["cohort" if name == "cohort_month" else name for name in result.columns]
    return [dict(zip(names, row, strict=True)) for row in result.rows]


def _require_cell_columns(columns: Sequence[str], query_path: Path) -> None:
    if missing := [name for name in NEEDED_COLUMNS if name not in columns]:
        raise DataError(
            f"{query_path}: its result lacks {', '.join(missing)}. Expected the columns of"
            " queries/join_query.sql; others may be added."
        )
    if repeated := [name for name, count in Counter(columns).items() if count > 1]:
        raise DataError(
            f"{query_path}: its result has {', '.join(repeated)} more than once."
        )
    if "cohort" in columns:
        raise DataError(
            f"{query_path}: its result has a column cohort, the name that the JSON uses"
            " for cohort_month. Rename the column."
        )


def _require_cell_values(cell: Cell, place: str) -> None:
    """Raise `DataError` naming *place* unless *cell* is possible.

    Only a cell that is not complete, such as one of the future, may lack figures.
    """
    needed = NEEDED_COLUMNS if cell["is_complete"] else NEVER_NULL_COLUMNS
    for name, value in cell.items():
        may_be_null = column_name(name) not in (*needed, *FLAG_COLUMNS, "period_month")
        if value is None and may_be_null:
            continue
        if expected := _find_expectation(name, value, cell["cohort_size"]):
            raise DataError(
                f"{place}: {column_name(name)} is {_show_value(value)}, expected"
                f" {expected}."
            )


def _find_expectation(name: str, value: Any, cohort_size: Any) -> str | None:
    """Return what the column *name* should hold instead of *value*, or None if nothing."""
    if name in ("cohort", "period_month"):
        expected = f"a month as YYYY-MM of {YEARS}"
        is_text = isinstance(value, str)
        is_valid = is_text and is_month(value) and not is_outside_years(value)
    elif name in FLAG_COLUMNS:
        expected = "0 or 1"
        is_valid = value in (0, 1) and isinstance(value, int)
    elif name in PART_COLUMNS and isinstance(cohort_size, int):
        expected = f"a whole number from 0 to {cohort_size}, the size of the cohort"
        is_valid = isinstance(value, int) and 0 <= value <= cohort_size
    elif name in LEAST_VALUES:
        expected = f"a whole number, at least {LEAST_VALUES[name]}"
        is_valid = isinstance(value, int) and value >= LEAST_VALUES[name]
    elif name in (*NEEDED_COLUMNS, *ADDED_COLUMNS):
        expected, is_valid = "a whole number", isinstance(value, int)
    else:
        expected = "text, a finite number or NULL"
        is_finite = not isinstance(value, float) or math.isfinite(value)
        is_valid = isinstance(value, (int, float, str)) and is_finite
    return None if is_valid else expected


def _show_value(value: Any) -> str:
    return "NULL" if value is None else shorten_value(value)


# ---- Segments and quarters ---------------------------------------------------------------


def require_arrangeable(
    cells: Sequence[Cell], query_path: Path, *, has_segments: bool, is_by_quarter: bool
) -> None:
    """Raise `DataError` naming *query_path* if `arrange_cells` cannot add up *cells*."""
    if has_segments:
        _require_addable(cells, ("segment", *ADDED_COLUMNS), query_path)
    if is_by_quarter:
        _require_addable(cells, (*ADDED_COLUMNS, *FLAG_COLUMNS), query_path)
        _require_every_age(cells, query_path)


def arrange_cells(
    cells: Sequence[Cell], *, has_segments: bool, is_by_quarter: bool, as_of: str | None
) -> tuple[list[Cell], list[Cell]]:
    """Return the cells of all customers, and the cells of each segment, if *has_segments*.

    *cells* are by month and segment.
    """
    without_segment = [
        {name: cell[name] for name in cell if name != "segment"} for cell in cells
    ]
    if has_segments:
        # Segments are added by month, before the quarters: the quarter of one segment may
        # end at an earlier age than that of another, and would be missing from the sum.
        without_segment = add_segments(cells)
    if not is_by_quarter:
        return without_segment, list(cells) if has_segments else []
    last_month = (as_of or "0000-00")[:7]
    segments = split_segments(cells) if has_segments else {}
    return roll_up_quarters(without_segment, last_month), [
        {"segment": name} | cell
        for name, members in segments.items()
        for cell in roll_up_quarters(members, last_month)
    ]


def _require_addable(
    cells: Sequence[Cell], needed: Sequence[str], query_path: Path
) -> None:
    """Raise `DataError` naming *query_path* unless all *cells* have values of *needed*."""
    missing = [name for name in needed if cells and name not in cells[0]]
    if missing:
        raise DataError(
            f"{query_path}: its result lacks {', '.join(missing)}, which this option adds"
            " up. Copy the columns from queries/join_query.sql."
        )
    for cell in cells:
        for name in needed:
            if not _is_addable(name, cell[name]):
                raise DataError(
                    f"{query_path}: {column_name(name)} is {_show_value(cell[name])},"
                    " which this option cannot add up. Expected a value as in"
                    " queries/join_query.sql."
                )


def _is_addable(name: str, value: Any) -> bool:
    return isinstance(value, str if name == "segment" else int)


def _require_every_age(cells: Iterable[Cell], query_path: Path) -> None:
    """Raise `DataError` unless the ages of each cohort are 0, 1, 2 and so on, in order."""
    counts: Counter[tuple[str | None, str]] = Counter()
    for cell in cells:
        cohort = cell.get("segment"), cell["cohort"]
        if cell["months_since"] != counts[cohort]:
            raise DataError(
                f"{query_path}: the cell {counts[cohort] + 1} of cohort {cohort[1]} has"
                f" months_since {cell['months_since']}, expected {counts[cohort]}. Quarters"
                " add up cells of each month, in order; correct the query, or omit"
                " --cohort."
            )
        counts[cohort] += 1


def split_segments(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Return the cells of each segment, in the order of the segments' names."""
    segments: dict[str, list[Cell]] = {}
    for cell in cells:
        segments.setdefault(cell["segment"], []).append(cell)
    return dict(sorted(segments.items()))


def add_segments(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells of all segments together; no customer is in two segments."""
    sums: dict[tuple[str, int], Cell] = {}
    for cell in cells:
        key = cell["cohort"], cell["months_since"]
        if key not in sums:
            sums[key] = {name: cell[name] for name in cell if name != "segment"}
            continue
        for name in ADDED_COLUMNS:
            sums[key][name] += cell[name]
    return [sums[key] for key in sorted(sums)]


def roll_up_quarters(cells: Iterable[Cell], last_month: str) -> list[Cell]:
    """Return the cells of cohorts by quarter, from those of one segment by month.

    *last_month* is the last observed month, as YYYY-MM.  Months since still count from
    each customer's own month: cell 3 holds the third month after the month of the first
    order.  It is observed when the last month of the quarter has reached that age.
    """
    quarters: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        months = quarters.setdefault(quarter_text(cell["cohort"]), {})
        months.setdefault(cell["cohort"], []).append(cell)
    last_number = month_number(last_month)
    return [
        cell
        for quarter, months in sorted(quarters.items())
        for cell in _add_months(
            quarter, list(months.values()), last_number - last_month_number(quarter)
        )
    ]


def _add_months(quarter: str, months: list[list[Cell]], observed_age: int) -> list[Cell]:
    """Return the cells of *quarter*: the sums of its *months*, age by age.

    The cells of a month have the ages 0 to the last observed one.  *observed_age* is the
    last one that all months of the quarter have reached.
    """
    is_last_age_complete = all(cells[-1]["is_complete"] for cells in months)
    added = []
    for age in range(max(map(len, months))):
        present = [cells[age] for cells in months if age < len(cells)]
        latest = [cells[min(age, len(cells) - 1)] for cells in months]
        is_complete = age < observed_age or (age == observed_age and is_last_age_complete)
        added.append(
            {"cohort": quarter, "months_since": age}
            | {"cohort_size": sum(cell["cohort_size"] for cell in latest)}
            | {name: sum(cell[name] for cell in present) for name in FLOW_COLUMNS}
            | {name: sum(cell[name] for cell in latest) for name in RUNNING_COLUMNS}
            | {"is_observed": int(age <= observed_age), "is_complete": int(is_complete)}
        )
    return added


# ---- Back to rows ------------------------------------------------------------------------


def build_rows(
    cells: Sequence[Cell], columns: Sequence[str], *, has_segments: bool, grain: str
) -> QueryRows:
    """Return the rows of query_result.csv; without cells, *columns* are the query's."""
    if cells:
        names = [column_name(name, grain) for name in cells[0]]
        return QueryRows(tuple(names), [tuple(cell.values()) for cell in cells])
    names = [name for name in columns if name != "segment"]
    if grain == "quarter":
        names = ["cohort_quarter", "months_since", *ADDED_COLUMNS, *FLAG_COLUMNS]
    return QueryRows((*(["segment"] if has_segments else []), *names), [])
