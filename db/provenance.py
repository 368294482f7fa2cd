"""Where the data came from: the manifest beside the files, and `submission_meta`."""

from __future__ import annotations

import hashlib
import json
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from db.digest import dataset_digest, provenance_digest
from db.loading import LoadedFile
from utils.contract import MANIFEST_NAME, PROVENANCE_TABLE, Contract
from utils.database import is_date
from utils.helpers import DataError

# Rises when the same input is meant to give another database.
TOOL_VERSION = "1.1"

# What happens in the shop, and when; another schema may have less.
_EVENTS = (
    ("users", "signed_up_at"),
    ("orders", "ordered_at"),
    ("payments", "processed_at"),
)


class Manifest(NamedTuple):
    """The manifest beside the files; an empty *document* and no *sha256* without one."""

    document: dict[str, Any]
    sha256: str | None


def read_manifest(path: Path) -> Manifest:
    """Return the manifest at *path*, or an empty one if there is no such file."""
    if not path.exists():
        return Manifest({}, None)
    if not path.is_file():
        raise DataError(f"{path}: is no file. Remove it to load the files without it.")
    try:
        data = path.read_bytes()
        document = json.loads(data.decode("utf-8"))
        # JSON may escape half a character, which no database can store.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: not valid JSON: {error}. Mend the manifest, or remove it to load"
            " the files without one."
        ) from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object. Mend the manifest, or remove it.")
    return Manifest(document, hashlib.sha256(data).hexdigest())


def compare_with_manifest(manifest: Manifest, file: LoadedFile) -> str:
    """Return how *file* compares with the manifest.

    That is `matches`, `differs`, `unlisted` (the manifest does not name it) or `absent`
    (there is no manifest).
    """
    if not manifest.document:
        return "absent"
    listed = find_listed_hash(manifest, file.name)
    if listed is None:
        return "unlisted"
    return "matches" if listed == f"sha256:{file.sha256}" else "differs"


def find_listed_hash(manifest: Manifest, file_name: str) -> str | None:
    """Return the hash that *manifest* lists of the file, '' if it lists the file only."""
    for resource in _listed_resources(manifest.document):
        if resource.get("path") == file_name:
            return str(resource.get("hash", ""))
    return None


def _listed_resources(document: dict[str, Any]) -> list[dict[str, Any]]:
    resources = document.get("resources")
    if not isinstance(resources, list):
        return []
    return [resource for resource in resources if isinstance(resource, dict)]


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
        facts[file.name, "manifest"] = compare_with_manifest(manifest, file)
        digests[table.name] = file.content_sha256
        facts[table.name, "content_sha256"] = file.content_sha256
    facts["dataset", "content_sha256"] = dataset_digest(digests)
    if manifest.document:
        facts[MANIFEST_NAME, "sha256"] = manifest.sha256
    generator = _read_generator(manifest.document)
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


def _read_generator(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what *manifest* tells about the data's making; only plain values count.

    Raise `DataError` if a day of its window never was.
    """
    window = manifest.get("window")
    if not isinstance(window, dict):
        window = {}
    stated = {
        "seed": manifest.get("seed"),
        "users": manifest.get("users"),
        "window_start": window.get("start"),
        "window_end": window.get("end"),
        "format_version": manifest.get("format_version"),
        "currency": manifest.get("currency"),
    }
    for name in ("window_start", "window_end"):
        day = stated[name]
        if day is not None and not (isinstance(day, str) and is_date(day)):
            raise DataError(
                f"{MANIFEST_NAME}: {name} is {day!r}, expected a day as YYYY-MM-DD."
                " Mend the manifest, or remove it to load the files without one."
            )
    return {name: value for name, value in stated.items() if isinstance(value, (int, str))}


def choose_as_of(
    connection: sqlite3.Connection, contract: Contract, window_end: object
) -> str | None:
    """Return the last day that the data speaks for, YYYY-MM-DD, or None without any.

    That is *window_end*, the manifest's last day, unless something happened after it.
    """
    columns = {table.name: table.column_names for table in contract.tables}
    latest = [str(window_end or "")]
    for table, column in _EVENTS:
        if column in columns.get(table, ()):
            ((last_at,),) = connection.execute(f"SELECT MAX({column}) FROM {table}")
            latest.append(str(last_at or "")[:10])
    return max(latest) or None
