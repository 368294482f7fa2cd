"""The rows of `submission_meta` that a load writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from db.loading.loader import LoadedFile
from utils.contract import PROVENANCE_TABLE, Contract
from utils.database import EVENTS
from utils.load_facts import (
    collect_file_facts,
    collect_table_facts,
    describe_loader,
    list_facts,
)
from utils.manifest import Manifest


def record_provenance(
    connection: sqlite3.Connection,
    contract: Contract,
    loaded: Sequence[LoadedFile],
    manifest: Manifest,
) -> None:
    """Write into `submission_meta` what was loaded, under which rules and by what.

    *loaded* has the files in the order of the contract's tables.
    """
    by_table = dict(zip((table.name for table in contract.tables), loaded, strict=True))
    facts = collect_file_facts(contract, loaded, manifest)
    window_end = facts.get(("generator", "window_end"))
    facts |= collect_table_facts(
        contract,
        digests={name: file.content_sha256 for name, file in by_table.items()},
        row_counts={
            name: count_stored(connection, name, file) for name, file in by_table.items()
        },
        as_of=find_last_day(connection, contract, window_end),
    )
    facts |= describe_loader({"sqlite_version": sqlite3.sqlite_version})
    connection.executemany(
        f"INSERT INTO {PROVENANCE_TABLE} (subject, property, value) VALUES (?, ?, ?)",
        list_facts(facts),
    )


def count_stored(connection: sqlite3.Connection, table: str, file: LoadedFile) -> int:
    """Return the number of rows in *table*; raise if *file* has another number of rows."""
    (count,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
    if count != file.rows:
        raise RuntimeError(f"{file.name}: {file.rows} rows were read, {count} stored")
    return int(count)


def find_last_day(
    connection: sqlite3.Connection, contract: Contract, window_end: object
) -> str | None:
    """Return the last day that the data cover, YYYY-MM-DD, or None if there is none.

    That is *window_end*, the last day in the manifest, or the day of the last event if
    that is later.
    """
    columns = {table.name: table.column_names for table in contract.tables}
    latest = [str(window_end or "")]
    for table, column in EVENTS:
        if column in columns.get(table, ()):
            ((last_at,),) = connection.execute(f"SELECT MAX({column}) FROM {table}")
            latest.append(str(last_at or "")[:10])
    return max(latest) or None
