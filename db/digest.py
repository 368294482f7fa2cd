"""The digest of loaded rows: the same on any machine, and changed by a single cell."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping

from utils.contract import Table

# Rows hashed at once: enough to spare the calls, little enough to stay flat in memory.
_BATCH_ROWS = 4096


def table_digest(connection: sqlite3.Connection, table: Table) -> str:
    """Return the SHA-256 of the rows of *table* in the order of its primary key.

    A row is one line: its cells as SQLite's `quote()` writes them, joined by commas.
    """
    # The cast hands over the line's bytes as they are, whatever they would decode to.
    cells = " || ',' || ".join(f"quote({name})" for name in table.column_names)
    lines = connection.execute(
        f"SELECT CAST({cells} || char(10) AS BLOB) FROM {table.name}"
        f" ORDER BY {', '.join(table.key)}"
    )
    digest = hashlib.sha256()
    while batch := lines.fetchmany(_BATCH_ROWS):
        digest.update(b"".join([line for (line,) in batch]))
    return digest.hexdigest()


def dataset_digest(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 of *digests*, which maps each table, in order, to its own.

    >>> dataset_digest({})[:16]
    'e3b0c44298fc1c14'
    """
    lines = "".join(f"{name} {digest}\n" for name, digest in digests.items())
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()
