"""Digests of loaded rows: equal on every machine, changed by any change of a cell."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from utils.contract import PROVENANCE_TABLE, Table

# Rows hashed in one call: few calls, and little memory.
_BATCH_ROWS = 4096


def table_digest(connection: sqlite3.Connection, table: Table) -> str:
    """Return the SHA-256 of *table* as a canonical CSV file.

    That is UTF-8 with LF, the header and the columns in the declared order, rows in the
    order of the primary key, quotes only where a cell needs them; NULL is an empty cell,
    and an empty text two quotes.  `sha256sum` of a canonical file prints the same digest.
    """
    cells = " || ',' || ".join(
        _render_integers([column.name for column in columns])
        if kind == "INTEGER"
        else " || ',' || ".join(_render_text(column.name) for column in columns)
        for kind, columns in groupby(table.columns, lambda column: column.type)
    )
    # The cast returns the bytes of the line without decoding them.
    lines = connection.execute(
        f"SELECT CAST({cells} || char(10) AS BLOB) FROM {table.name}"
        f" ORDER BY {', '.join(table.key)}"
    )
    digest = hashlib.sha256(render_header(table))
    while batch := lines.fetchmany(_BATCH_ROWS):
        digest.update(b"".join([line for (line,) in batch]))
    return digest.hexdigest()


def render_header(table: Table) -> bytes:
    """Return the first line of the canonical CSV file of *table*."""
    return (",".join(table.column_names) + "\n").encode("utf-8")


def _render_integers(names: Sequence[str]) -> str:
    """Return the SQL of the cells of adjacent columns of integers as CSV.

    One call of `printf` takes half the time of as many concatenations.  It cuts a text at a
    NUL, so a cell that is no integer, in a manipulated file, is concatenated.
    """
    # SQLite removes a bare IFNULL of a NOT NULL column, but damage may cause a NULL.
    others = " || ',' || ".join(f"IFNULL({name} || '', '')" for name in names)
    if len(names) == 1:
        return others
    are_integers = " AND ".join(f"TYPEOF({name}) = 'integer'" for name in names)
    formats = ",".join("%d" for _ in names)
    return (
        f"CASE WHEN {are_integers} THEN PRINTF('{formats}', {', '.join(names)})"
        f" ELSE {others} END"
    )


def _render_text(name: str) -> str:
    """Return the SQL of the cell of the text column *name* as CSV."""
    needs_quotes = " OR ".join(
        f"INSTR({name}, {character})"
        for character in ("','", "'\"'", "char(10)", "char(13)")
    )
    return (
        f"IFNULL(CASE WHEN {name} = '' OR {needs_quotes}"
        f" THEN '\"' || REPLACE({name}, '\"', '\"\"') || '\"' ELSE {name} END, '')"
    )


def dataset_digest(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 of *digests*, the digest of each table, in order.

    >>> dataset_digest({})[:16]
    'e3b0c44298fc1c14'
    """
    lines = "".join(f"{name} {digest}\n" for name, digest in digests.items())
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def provenance_digest(connection: sqlite3.Connection) -> str:
    """Return the SHA-256 of `submission_meta`, without the row that contains it."""
    return facts_digest(
        connection.execute(
            f"SELECT subject, property, value FROM {PROVENANCE_TABLE}"
            f" WHERE NOT (subject IS '{PROVENANCE_TABLE}'"
            " AND property IS 'content_sha256')"
            " ORDER BY subject, property"
        )
    )


def facts_digest(rows: Iterable[tuple[Any, ...]]) -> str:
    """Return the SHA-256 of *rows* of `submission_meta`, in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode("utf-8", "backslashreplace") + b"\n")
    return digest.hexdigest()
