"""The text of a query: where its CTEs are, and replacing parts of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from utils.contract import SQL_TOKEN


class SqlParts(NamedTuple):
    """The start and end of each CTE's body, by name, and the start of the last SELECT."""

    bodies: dict[str, tuple[int, int]]
    select_at: int


class SimpleSelect(NamedTuple):
    """A SELECT of rows: its text, what it reads, and the condition for its rows."""

    text: str
    source: str
    condition: str


class _Token(NamedTuple):
    """A word or character outside all parentheses, or a pair of them with its content."""

    text: str
    start: int
    end: int


# The words of a SELECT that begin its parts, or make its rows others than those it reads.
_CLAUSES = {
    *("select", "distinct", "from", "where", "group", "having", "order", "limit"),
    *("with", "union", "intersect", "except", "window"),
}


# More than the queries of a report, which are read in turn, twice each.
@lru_cache(maxsize=128)
def find_parts(sql: str) -> SqlParts:
    """Return the places of the parts of *sql*, `WITH name AS (body), ... SELECT ...`.

    >>> find_parts("WITH one AS (SELECT (1)) SELECT * FROM one")
    SqlParts(bodies={'one': (13, 23)}, select_at=25)
    """
    bodies: dict[str, tuple[int, int]] = {}
    words: list[str] = []
    for token in _split_tokens(sql):
        if token.text == "select":
            return SqlParts(bodies, token.start)
        if token.text == "()" and len(words) > 1 and words[-1] == "as":
            bodies[words[-2]] = (token.start + 1, token.end - 1)
        elif token.text != "()":
            words.append(token.text)
    return SqlParts(bodies, len(sql))


def find_simple_select(sql: str) -> SimpleSelect | None:
    """Return the parts of *sql*, `SELECT ... FROM source WHERE condition ORDER BY ...`.

    None if it is another statement, such as one with a CTE, or if a function, which may
    aggregate, is among its columns.

    >>> find_simple_select("SELECT a FROM b WHERE (c) ORDER BY a;")
    SimpleSelect(text='SELECT a FROM b WHERE (c) ORDER BY a', source='b', condition='(c)')
    """
    tokens = [token for token in _split_tokens(sql) if token.text != ";"]
    clauses = [token for token in tokens if token.text in _CLAUSES]
    if [token.text for token in clauses] != ["select", "from", "where", "order"]:
        return None
    select, source, where, order = clauses
    if any(token.text == "()" and token.start < source.start for token in tokens):
        return None
    return SimpleSelect(
        sql[select.start : tokens[-1].end],
        sql[source.end : where.start].strip(),
        sql[where.end : order.start].strip(),
    )


def _split_tokens(sql: str) -> Iterator[_Token]:
    """Yield the tokens of *sql* in lower case; a pair of parentheses is the token `()`."""
    depth = start = 0
    for found in SQL_TOKEN.finditer(sql):
        text = found[0]
        if text.isspace() or text.startswith(("--", "/*")):
            continue
        if text == "(":
            start = found.start() if depth == 0 else start
            depth += 1
        elif text == ")":
            depth -= 1
            if depth == 0:
                yield _Token("()", start, found.end())
        elif depth == 0:
            yield _Token(text.lower(), found.start(), found.end())


def replace_body(sql: str, name: str, body: str) -> str:
    """Return *sql* with *body* in its CTE *name*; raise `KeyError` if it has none.

    >>> replace_body("WITH one AS (SELECT 1) SELECT * FROM one", "one", "SELECT 2")
    'WITH one AS (SELECT 2) SELECT * FROM one'
    """
    start, end = find_parts(sql).bodies[name]
    return sql[:start] + body + sql[end:]


def replace_select(sql: str, select: str) -> str:
    """Return the CTEs of *sql*, followed by *select*.

    >>> replace_select("WITH one AS (SELECT 1) SELECT * FROM one", "SELECT 3")
    'WITH one AS (SELECT 1) SELECT 3'
    """
    return sql[: find_parts(sql).select_at] + select
