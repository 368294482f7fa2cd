"""Keys and references: rows that repeat a unique value, or refer to a row that is missing.

Both are searched after all rows have been read, among the accepted and the rejected ones.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from db.loading.faults import Fault
from db.loading.messages import FaultMessages
from db.loading.scratch import ScratchTable
from utils.contract import ForeignKey, Table, split_sql
from utils.formats import shorten_value

_DIRECTION = re.compile(r"\s(?:ASC|DESC)\s*$", re.IGNORECASE)


class Unique(NamedTuple):
    """What no two rows that meet *condition* may have in common; '' means all rows.

    *terms* are SQL, *names* the same terms without their collation.
    """

    terms: list[str]
    names: list[str]
    collations: list[str]
    condition: str


# ---- Unique values -----------------------------------------------------------------------


def list_uniques(connection: sqlite3.Connection, table: Table) -> list[Unique]:
    """Return the key of *table* and all else that must be unique in it."""
    uniques = []
    if [column.type for column in map(table.find_column, table.key)] == ["INTEGER"]:
        # The one key that has no index.
        uniques.append(Unique(list(table.key), list(table.key), ["BINARY"], ""))
    indexes = connection.execute(
        "SELECT list.name, own.sql FROM pragma_index_list(?) AS list"
        " JOIN main.sqlite_schema AS own ON own.name = list.name"
        """ WHERE list."unique" ORDER BY list.origin <> 'pk', list.seq""",
        (table.name,),
    ).fetchall()
    return uniques + [_describe_index(connection, *index) for index in indexes]


def _describe_index(
    connection: sqlite3.Connection, index: str, statement: str | None
) -> Unique:
    """Return what *index* makes unique; a key has no CREATE INDEX *statement*."""
    described = connection.execute(
        "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno", (index,)
    ).fetchall()
    terms, condition = read_terms(statement) if statement else ([], "")
    return Unique(
        [
            f"{name} COLLATE {collation}" if name else terms[at]
            for at, (name, collation) in enumerate(described)
        ],
        [name or terms[at] for at, (name, _) in enumerate(described)],
        [collation for _, collation in described],
        condition,
    )


def read_terms(statement: str) -> tuple[list[str], str]:
    """Return the terms of the CREATE INDEX *statement*, and its condition or ''.

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


def find_duplicates(scratch: ScratchTable, messages: FaultMessages) -> Iterator[Fault]:
    """Yield the rows that have a unique value in common with an earlier row.

    Such a row is rejected itself, or the earlier one is: so only the values of rejected
    rows are looked up.
    """
    if not scratch.has_rejected():
        return
    for number, unique in enumerate(list_uniques(scratch.connection, scratch.table)):
        keys = [f"{scratch.stem}key{at}" for at in range(len(unique.terms))]
        shared = _collect_shared(scratch, unique, number, keys)
        names = ", ".join(["line", "byte", *keys])
        has_same_keys = " AND ".join(f"earlier.{key} = shared.{key}" for key in keys)
        rows = scratch.connection.execute(
            f"WITH later AS (SELECT {names}, (SELECT MIN(earlier.line)"
            f" FROM rejected.{shared} AS earlier WHERE {has_same_keys}) AS earliest"
            f" FROM rejected.{shared} AS shared)"
            f" SELECT line, byte, earliest, {', '.join(keys)} FROM later"
            " WHERE earliest < line ORDER BY line"
        )
        for line, offset, earliest, *values in rows:
            columns = [
                part for part in split_sql(unique.names[0]) if part in scratch.header
            ]
            yield messages.describe_duplicate(
                line,
                columns[0] if columns else None,
                _describe_shared(unique, values, earliest),
                offset=offset,
                value=str(values[0]),
            )


def _collect_shared(
    scratch: ScratchTable, unique: Unique, number: int, keys: Sequence[str]
) -> str:
    """Collect the rejected rows and the accepted ones with the same unique value.

    Return the name of the table in `rejected` with their lines, bytes and *keys*.  It is
    not dropped: that would take memory.
    """
    name, places = scratch.table.name, (scratch.line, scratch.offset)
    shared = f"{name}{scratch.stem}{number}"
    where = f"({unique.condition})" if unique.condition else "TRUE"
    declared = ", ".join(
        f"{key} COLLATE {collation}"
        for key, collation in zip(keys, unique.collations, strict=True)
    )
    matches = " AND ".join(
        f"({term}) = {key}" for term, key in zip(unique.terms, keys, strict=True)
    )
    insert = f"INSERT INTO rejected.{shared} SELECT {', '.join([*unique.terms, *places])}"
    distinct = f"(SELECT DISTINCT {', '.join(keys)} FROM rejected.{shared})"
    for statement in (
        f"CREATE TABLE rejected.{shared} ({declared}, line, byte)",
        f"{insert} FROM rejected.{name} WHERE {where}",
        f"CREATE INDEX rejected.{shared}_idx ON {shared} ({', '.join(keys)}, line)",
        f"{insert} FROM {distinct} CROSS JOIN main.{name} ON {matches} WHERE {where}",
    ):
        scratch.connection.execute(statement)
    return shared


def _describe_shared(unique: Unique, values: Sequence[int | str], earliest: int) -> str:
    """Return the message that a row has *values* which the line *earliest* has already."""
    what = ", ".join(
        f"{name} {shorten_value(str(value))}"
        for name, value in zip(unique.names, values, strict=True)
    )
    others = sorted(set(unique.collations) - {"BINARY"})
    how = f" under the collation {', '.join(others)}" if others else ""
    where = f" where {unique.condition}" if unique.condition else ""
    return f"{what} is already in line {earliest}{how}, expected it once{where}"


# ---- References --------------------------------------------------------------------------


def find_orphans(
    scratch: ScratchTable, key: ForeignKey, messages: FaultMessages
) -> Iterator[Fault]:
    """Yield the rows whose parent by *key* is neither in the parent's file nor guessed."""
    column, parent = key.column, key.parent_table
    rows = " UNION ALL ".join(
        f"SELECT {column} AS value, {scratch.line} AS line, {scratch.offset} AS offset"
        f" FROM {schema}.{scratch.table.name} WHERE {column} IS NOT NULL"
        for schema in ("main", "rejected")
    )
    absent = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {schema}.{parent} AS parent"
        f" WHERE parent.{key.parent_column} = child.value)"
        for schema in ("main", "rejected")
    )
    orphans = scratch.connection.execute(
        f"SELECT child.value, child.line, child.offset FROM ({rows}) AS child"
        f" WHERE {absent} AND NOT EXISTS (SELECT 1 FROM temp.guesses"
        f" WHERE table_name = ? AND column_name = ? AND guesses.value = child.value)"
        f" ORDER BY child.line",
        (parent, key.parent_column),
    )
    for value, line, offset in orphans:
        yield messages.describe_orphan(line, key, value, offset=offset)
