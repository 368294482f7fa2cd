"""The text of a query: its named subqueries, and what may be put in their place."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from utils.contract import SQL_TOKEN


class Parts(NamedTuple):
    """Where in a query's text the bodies of its CTEs are, by name, and its last SELECT."""

    bodies: dict[str, tuple[int, int]]
    select_at: int


@lru_cache(maxsize=16)
def find_parts(sql: str) -> Parts:
    """Return where the parts of *sql*, `WITH name AS (body), ... SELECT ...`, are.

    >>> find_parts("WITH one AS (SELECT (1)) SELECT * FROM one")
    Parts(bodies={'one': (13, 23)}, select_at=25)
    """
    bodies: dict[str, tuple[int, int]] = {}
    outside: list[str] = []
    select_at = len(sql)
    depth = start = 0
    for found in SQL_TOKEN.finditer(sql):
        word = found[0]
        if word.isspace() or word.startswith(("--", "/*")):
            continue
        if word == "(":
            start = found.end() if depth == 0 else start
            depth += 1
        elif word == ")":
            depth -= 1
            if depth == 0 and len(outside) > 1 and outside[-1] == "as":
                bodies[outside[-2]] = (start, found.start())
        elif depth == 0:
            outside.append(word.lower())
            if outside[-1] == "select":
                select_at = found.start()
                break
    return Parts(bodies, select_at)


def replace_body(sql: str, name: str, body: str) -> str:
    """Return *sql* with *body* as that of its CTE *name*; raise `KeyError` without one.

    >>> replace_body("WITH one AS (SELECT 1) SELECT * FROM one", "one", "SELECT 2")
    'WITH one AS (SELECT 2) SELECT * FROM one'
    """
    start, end = find_parts(sql).bodies[name]
    return sql[:start] + body + sql[end:]


def replace_select(sql: str, select: str) -> str:
    """Return *sql* with the same CTEs and *select* behind them.

    >>> replace_select("WITH one AS (SELECT 1) SELECT * FROM one", "SELECT 3")
    'WITH one AS (SELECT 1) SELECT 3'
    """
    return sql[: find_parts(sql).select_at] + select
