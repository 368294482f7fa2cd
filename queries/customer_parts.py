"""The customers in parts, which several processes query at the same time.

Every figure of the query is a sum over customers, so the parts add up to what one process
returns for all customers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from queries.cohort_cells import FLAG_COLUMNS, QueryRows
from queries.customer_values import ValueArrays
from queries.forecast.histories import PurchaseHistories, join_histories
from queries.query_file import CohortQuery
from utils.sql_text import find_parts, replace_body

# The CTE of join_query.sql that chooses a part, and the divisor in its conditions.
PART_CTE = "counted_remainders"
DIVISOR = 1009

# What identifies a cell; sorted by these columns, rows have the order of the query.
CELL_COLUMNS = ("segment", "cohort_month", "months_since", "period_month")

# The integers of SQLite.
_INTEGERS = range(-(1 << 63), 1 << 63)


class PartData(NamedTuple):
    """The rows of a query, the values and the purchases of its customers.

    *values* are None for a query that lacks them; *histories* are empty without a forecast,
    and *segments*, by user id, without a forecast by segment.
    """

    rows: QueryRows
    values: ValueArrays | None
    histories: PurchaseHistories
    segments: dict[int, str]


def split_query(query: CohortQuery, part_count: int) -> list[CohortQuery]:
    """Return *query* for each of *part_count* parts of the customers.

    A user's own query remains one part: its rows need not be sums over customers.
    """
    if (
        part_count < 2
        or not query.is_default
        or PART_CTE not in find_parts(query.text).bodies
    ):
        return [query]
    bounds = [DIVISOR * number // part_count for number in range(part_count + 1)]
    # The schema forbids a negative id; its remainder would be negative.
    bounds[0] = 1 - DIVISOR
    return [_select_part(query, first, stop - 1) for first, stop in pairwise(bounds)]


def _select_part(query: CohortQuery, first: int, last: int) -> CohortQuery:
    body = f"SELECT {first} AS first_remainder, {last} AS last_remainder"
    return query._replace(text=replace_body(query.text, PART_CTE, body))


def add_parts(parts: Sequence[PartData]) -> PartData:
    """Return the data of all customers, the sums of those of *parts*.

    Raise `OverflowError` if a sum is not a 64-bit integer, as SQLite does.
    """
    if len(parts) == 1:
        return parts[0]
    return PartData(
        _add_rows([part.rows for part in parts]),
        _join_values([part.values for part in parts if part.values is not None]),
        join_histories([part.histories for part in parts]),
        {user: name for part in parts for user, name in part.segments.items()},
    )


def _add_rows(parts: Sequence[QueryRows]) -> QueryRows:
    """Return the cells of all customers, in the order of the query."""
    columns = parts[0].columns
    key_at = [columns.index(name) for name in CELL_COLUMNS]
    fixed_at = {columns.index(name) for name in (*CELL_COLUMNS, *FLAG_COLUMNS)}
    sum_at = [at for at in range(len(columns)) if at not in fixed_at]
    cells: dict[tuple[Any, ...], list[Any]] = {}
    for row in (row for part in parts for row in part.rows):
        key = tuple(row[at] for at in key_at)
        if key not in cells:
            cells[key] = list(row)
            continue
        for at in sum_at:
            cells[key][at] += row[at]
    rows = [tuple(cells[key]) for key in sorted(cells)]
    if any(row[at] not in _INTEGERS for row in rows for at in sum_at):
        raise OverflowError("integer overflow")
    return QueryRows(columns, rows)


def _join_values(parts: Iterable[ValueArrays]) -> ValueArrays:
    """Return the values of all customers, those of one of *parts* after the other."""
    joined: ValueArrays = {}
    for part in parts:
        for key, arrays in part.items():
            if key not in joined:
                joined[key] = arrays
                continue
            for all_values, values in zip(joined[key], arrays, strict=True):
                all_values.extend(values)
    return joined


def has_damaged_text(rows: QueryRows) -> bool:
    """Return whether a segment is not UTF-8: as text it may equal another such one."""
    at = rows.columns.index("segment")
    return any("\ufffd" in row[at] for row in rows.rows)
