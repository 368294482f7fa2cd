"""Digests of loaded rows: equal on every machine, changed by any change of a cell."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from utils.contract import PROVENANCE_TABLE, Table

# Rows hashed in one call: few calls, and little memory.
_BATCH_ROWS = 4096

# All bytes of plain cells: without those that separate cells, or need quotes.
_PLAIN_BYTES = bytes(set(range(256)) - set(b',"\n\r'))

# Of these, what everybody sees: ASCII without blanks and controls.
_VISIBLE_BYTES = bytes(set(range(ord("!"), ord("~") + 1)) & set(_PLAIN_BYTES))


class TableDigest(NamedTuple):
    """The SHA-256 of a table, and whether all its cells are of visible ASCII alone.

    Such a cell has no blank either; one with a comma or a quote does not count as visible.
    """

    sha256: str
    is_visible: bool


def table_digest(connection: sqlite3.Connection, table: Table) -> str:
    """Return the SHA-256 of *table* as a canonical CSV file.

    That is UTF-8 with LF, the header and the columns in the declared order, rows in the
    order of the primary key, quotes only where a cell needs them; NULL is an empty cell,
    and an empty text two quotes.  `sha256sum` of a canonical file prints the same digest.
    """
    return digest_cells(connection, table).sha256


def digest_cells(connection: sqlite3.Connection, table: Table) -> TableDigest:
    """Return what `table_digest` does for *table*, and whether its cells are visible."""
    digest = hashlib.sha256(render_header(table))
    row_count, allowed = 0, _VISIBLE_BYTES
    for lines in _select_batches(connection, table, _render_plain_row(table)):
        text = b"".join(lines)
        separators = (b"," * (len(table.columns) - 1) + b"\n") * len(lines)
        if text.translate(None, allowed) != separators:
            allowed = _PLAIN_BYTES
            if text.translate(None, allowed) != separators:
                break
        digest.update(text)
        row_count += len(lines)
    else:
        return TableDigest(digest.hexdigest(), allowed is _VISIBLE_BYTES)
    # A cell needs quotes: SQL decides it for each cell, in twice the time.
    for lines in _select_batches(connection, table, _render_row(table), row_count):
        digest.update(b"".join(lines))
    return TableDigest(digest.hexdigest(), is_visible=False)


def _select_batches(
    connection: sqlite3.Connection, table: Table, line: str, offset: int = 0
) -> Iterator[list[bytes]]:
    """Yield the SQL expression *line* of the rows of *table* after the first *offset*."""
    # The cast returns the bytes of the line without decoding them.
    rows = connection.execute(
        f"SELECT CAST({line} AS BLOB) FROM {table.name}"
        f" ORDER BY {', '.join(table.key)} LIMIT -1 OFFSET {offset}"
    )
    while batch := rows.fetchmany(_BATCH_ROWS):
        yield [line for (line,) in batch]


def _render_plain_row(table: Table) -> str:
    """Return the SQL of a row as CSV, unless a cell has a comma, quote or line break.

    One call of `PRINTF` takes half the time of as many concatenations.  It cuts a text at a
    NUL, and an empty text needs quotes, so a row with either is rendered cell by cell; so
    is a row of a manipulated file with a NULL, or a text in a column of integers: numbers
    sort before all texts.
    """
    integers, texts = (
        [column.name for column in table.columns if (column.type == "INTEGER") is kind]
        for kind in (True, False)
    )
    # With a single argument, MAX and MIN are aggregates.
    plain = [f"MAX({', '.join(integers)}, 0) < ''"] if integers else []
    plain += [f"MIN({', '.join(texts)}, 'a') > ''"] if texts else []
    plain += [f"NOT INSTR({' || '.join(texts)}, char(0))"] if texts else []
    formats = ",".join("%s" for _ in table.columns)
    return (
        f"CASE WHEN {' AND '.join(plain)}"
        f" THEN PRINTF('{formats}' || char(10), {', '.join(table.column_names)})"
        f" ELSE {_render_row(table)} END"
    )


def _render_row(table: Table) -> str:
    """Return the SQL of a row as CSV, whatever its cells are."""
    cells = [
        # SQLite removes a bare IFNULL of a NOT NULL column, but damage may cause a NULL.
        f"IFNULL({column.name} || '', '')"
        if column.type == "INTEGER"
        else _render_text(column.name)
        for column in table.columns
    ]
    return " || ',' || ".join(cells) + " || char(10)"


def render_header(table: Table) -> bytes:
    """Return the first line of the canonical CSV file of *table*."""
    return (",".join(table.column_names) + "\n").encode("utf-8")


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
