"""Where the data came from: the manifest beside the files, and `submission_meta`."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Sequence
from typing import Any

from db.loading.loader import LoadedFile
from utils.contract import MANIFEST_NAME, PROVENANCE_TABLE, Contract
from utils.database import EVENTS
from utils.digest import dataset_digest, provenance_digest
from utils.manifest import TOOL_VERSION, Manifest, compare_with_manifest, read_generator


def record_provenance(
    connection: sqlite3.Connection,
    contract: Contract,
    loaded: Sequence[LoadedFile],
    manifest: Manifest,
) -> None:
    """Write what was loaded, under which rules and by what, into the provenance table."""
    facts: dict[tuple[str, str], Any] = {("schema.sql", "sha256"): contract.sha256}
    digests = {}
    for table, file in zip(contract.tables, loaded, strict=True):
        for name in ("sha256", "bytes", "rows", "form"):
            facts[file.name, name] = getattr(file, name)
        facts[file.name, "rows_stored"] = count_stored(connection, table.name, file)
        facts[file.name, "manifest"] = compare_with_manifest(
            manifest, file.name, file.sha256
        )
        digests[table.name] = file.content_sha256
        facts[table.name, "content_sha256"] = file.content_sha256
    facts["dataset", "content_sha256"] = dataset_digest(digests)
    if manifest.document:
        facts[MANIFEST_NAME, "sha256"] = manifest.sha256
    generator = read_generator(manifest.document)
    facts |= {("generator", name): value for name, value in generator.items()}
    facts["dataset", "as_of"] = choose_as_of(
        connection, contract, generator.get("window_end")
    )
    facts["loader", "tool_version"] = TOOL_VERSION
    facts["loader", "python_version"] = platform.python_version()
    facts["loader", "sqlite_version"] = sqlite3.sqlite_version
    insert = f"INSERT INTO {PROVENANCE_TABLE} (subject, property, value) VALUES (?, ?, ?)"
    connection.executemany(
        insert,
        sorted(
            (subject, name, str(value))
            for (subject, name), value in facts.items()
            if value is not None
        ),
    )
    digest = provenance_digest(connection)
    connection.execute(insert, (PROVENANCE_TABLE, "content_sha256", digest))


def count_stored(connection: sqlite3.Connection, table: str, file: LoadedFile) -> int:
    """Return the number of rows in *table*, which must be those of *file*."""
    (count,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
    if count != file.rows:
        raise RuntimeError(f"{file.name}: {file.rows} rows were read, {count} stored")
    return int(count)


def choose_as_of(
    connection: sqlite3.Connection, contract: Contract, window_end: object
) -> str | None:
    """Return the last day that the data speaks for, YYYY-MM-DD, or None without any.

    That is *window_end*, the manifest's last day, unless something happened after it.
    """
    columns = {table.name: table.column_names for table in contract.tables}
    latest = [str(window_end or "")]
    for table, column in EVENTS:
        if column in columns.get(table, ()):
            ((last_at,),) = connection.execute(f"SELECT MAX({column}) FROM {table}")
            latest.append(str(last_at or "")[:10])
    return max(latest) or None
