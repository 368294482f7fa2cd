"""The CHECK rules of a table one by one, so that all that a row breaks can be told.

SQLite names only the first.  The rules' text is taken from the CREATE statement and asked
about a row of another table with the same columns, so a rule is still stated once, in the
schema, and means what it means there.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from utils.contract import split_sql
from utils.rules import Rule, read_rules

_DIRECTION = re.compile(r"\s(?:ASC|DESC)\s*$", re.IGNORECASE)


def read_terms(statement: str) -> tuple[list[str], str]:
    """Return what the CREATE INDEX *statement* orders by, and its condition or ''.

    >>> read_terms("CREATE UNIQUE INDEX i ON t (LOWER(a), b DESC) WHERE b > 0")
    (['LOWER(a)', 'b'], 'b > 0')
    """
    parts = split_sql(statement)
    start = parts.index("(")
    terms = [""]
    depth = 0
    for end in range(start, len(parts)):
        depth += {"(": 1, ")": -1}.get(parts[end], 0)
        if depth == 0:
            break
        if depth == 1 and parts[end] == ",":
            terms.append("")
        elif end > start:
            terms[-1] += parts[end]
    condition = "".join(parts[end + 1 :]).strip()
    return [_DIRECTION.sub("", term).strip() for term in terms], condition[5:].strip()


class RuleBook:
    """The rules of the CREATE *statement*, asked about rows of *table*, which has none."""

    def __init__(
        self, connection: sqlite3.Connection, statement: str, table: str, row_name: str
    ) -> None:
        self._connection = connection
        self._rules = read_rules(statement)
        answers = ", ".join(f"NOT ({rule.expression})" for rule in self._rules)
        self._query = f"SELECT {answers} FROM {table} WHERE {row_name} = ?"

    def find_broken(self, row: int) -> Iterator[Rule]:
        """Yield the rules that the row called *row* breaks."""
        if not self._rules:
            return
        answers = self._connection.execute(self._query, (row,)).fetchone()
        for rule, answer in zip(self._rules, answers, strict=True):
            if answer:
                yield rule
