"""SQL files that begin with the same CTEs: what they share is computed once."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from db.reporting.checks import Query
from utils.sql_text import find_parts, replace_select


def group_queries(queries: Iterable[Query]) -> list[list[Query]]:
    """Return *queries* in groups that begin with the same CTE, or of one query."""
    groups: dict[str, list[Query]] = defaultdict(list)
    for query in queries:
        first_cte = _skip_header(query.sql).partition("\n)")[0]
        groups[first_cte if first_cte.startswith("WITH") else query.file].append(query)
    return list(groups.values())


@contextmanager
def store_shared_ctes(
    connection: sqlite3.Connection, queries: Sequence[Query]
) -> Iterator[list[Query]]:
    """Let *queries* read the CTEs that they share from temporary tables, in the block.

    Two queries share a CTE if they have the same text up to its end.  Only one that
    aggregates is stored: reading it then costs less than computing it again.  If one
    cannot be computed, the block gets *queries* unchanged, and runs into the reason.
    """
    counts = Counter(each for query in queries for each in list_beginnings(query.sql))
    shared = {beginning for beginning, count in counts.items() if count > 1}
    tables: dict[str, str] = {}
    try:
        try:
            stored = [_store_ctes(connection, query, shared, tables) for query in queries]
        except (sqlite3.Error, sqlite3.Warning):
            stored = list(queries)
        yield stored
    finally:
        for table in tables.values():
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def list_beginnings(sql: str) -> dict[str, str]:
    """Return the text of *sql* from `WITH` to the end of each CTE, with the CTE's name.

    >>> list_beginnings("WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a, b")
    {'WITH a AS (SELECT 1': 'a', 'WITH a AS (SELECT 1), b AS (SELECT 2': 'b'}
    """
    header = len(sql) - len(_skip_header(sql))
    bodies = find_parts(sql).bodies
    return {sql[header:end]: name for name, (_, end) in bodies.items()}


def _skip_header(sql: str) -> str:
    """Return *sql* from its first `WITH` on, or all of it if there is none."""
    return sql[max(sql.find("WITH"), 0) :]


def _store_ctes(
    connection: sqlite3.Connection, query: Query, shared: set[str], tables: dict[str, str]
) -> Query:
    """Return *query* reading its *shared* CTEs from *tables*, which are made if missing."""
    sql = query.sql
    for beginning, name in list_beginnings(query.sql).items():
        start, end = find_parts(sql).bodies[name]
        if beginning not in shared or "GROUP BY" not in sql[start:end]:
            continue
        if beginning not in tables:
            tables[beginning] = f"temp.shared_{len(tables)}"
            select = replace_select(sql, f"SELECT * FROM {name}")
            connection.execute(f"CREATE TABLE {tables[beginning]} AS {select}")
        # Otherwise SQLite copies the table where a query reads the CTE twice.
        body = f"NOT MATERIALIZED (SELECT * FROM {tables[beginning]}"
        sql = sql[: start - 1] + body + sql[end:]
    return query._replace(sql=sql)
