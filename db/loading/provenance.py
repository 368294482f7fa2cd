"""The rows of `submission_meta` that a load writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from db.loading.loader import LoadedFile
from utils.contract import PROVENANCE_TABLE, Contract
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
    as_of: str | None,
) -> None:
    """Write into `submission_meta` what was loaded, under which rules and by what.

    *loaded* has the files in the order of the contract's tables; *as_of* is the last day.
    """
    by_table = dict(zip((table.name for table in contract.tables), loaded, strict=True))
    facts = collect_file_facts(contract, loaded, manifest)
    facts |= collect_table_facts(
        contract,
        digests={name: file.content_sha256 for name, file in by_table.items()},
        row_counts={
            name: count_stored(connection, name, file) for name, file in by_table.items()
        },
        as_of=as_of,
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
