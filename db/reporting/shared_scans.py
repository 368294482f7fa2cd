"""Checks that read the same rows: one pass counts the rows that each of them finds."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence

from db.reporting.checks import SAMPLE_ROWS, Query
from utils.sql_text import find_simple_select


def group_by_source(queries: Iterable[Query]) -> list[list[Query]]:
    """Return the groups of *queries* that select rows of the same source by a condition."""
    groups: dict[str, list[Query]] = defaultdict(list)
    for query in queries:
        if select := find_simple_select(query.sql):
            groups[select.source].append(query)
    return [group for group in groups.values() if len(group) > 1]


def count_together(
    connection: sqlite3.Connection, queries: Sequence[Query]
) -> list[tuple[Query, int]]:
    """Return each of *queries*, limited to its first rows, and how many rows it finds.

    All of them have the same source, so one pass counts for all.
    """
    selects = [each for query in queries if (each := find_simple_select(query.sql))]
    # A condition may end with a comment.
    counts = ", ".join(f"COUNT(*) FILTER (WHERE {each.condition}\n)" for each in selects)
    found = connection.execute(f"SELECT {counts} FROM {selects[0].source}").fetchone()
    return [
        (query._replace(sql=f"{select.text}\nLIMIT {min(count, SAMPLE_ROWS)}"), count)
        for query, select, count in zip(queries, selects, found, strict=True)
    ]
