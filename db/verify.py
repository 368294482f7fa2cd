"""The chain from the manifest to the report, walked link by link.

Nothing is taken on trust: the files are hashed, the tables digested, and the report made
again.  Where rows differ from their file, the file is loaded once more to name the cell.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from db.digest import dataset_digest, provenance_digest, table_digest
from db.loading import LoadedFile, Refusal, create_tables, load_table, open_new
from db.provenance import find_listed_hash, read_manifest
from db.report import read_report, render_markdown
from utils.contract import MANIFEST_NAME, PROVENANCE_TABLE, Contract, Table
from utils.database import Provenance, open_database, read_provenance
from utils.helpers import PROJECT_ROOT, PUBLISHED_DIR, DataError, hash_file, render_json
from utils.links import Link, compare_text, show

_LOAD = "Load the files again: python ingest.py --ingest"
_REPORT = "Report again: python ingest.py --report"


def verify_load(contract: Contract, data_dir: Path, database: Path) -> Iterator[Link]:
    """Yield the links manifest → CSV → database of the files in *data_dir*.

    Raise `DataError` if *database* cannot be read or the manifest is broken.
    """
    with open_database(database) as connection:
        provenance = read_provenance(connection)
        yield from _verify_manifest(contract, data_dir, provenance)
        yield _verify_schema(contract, provenance)
        digests = {}
        for table in contract.tables:
            digests[table.name] = table_digest(connection, table)
            yield _verify_table(
                connection, contract, table, data_dir, provenance, digests[table.name]
            )
        yield _verify_provenance(connection, provenance, dataset_digest(digests))


def _verify_manifest(
    contract: Contract, data_dir: Path, provenance: Provenance
) -> Iterator[Link]:
    """Yield the links from the manifest, if there is one or was one, to the files."""
    path = data_dir / MANIFEST_NAME
    manifest = read_manifest(path)
    recorded = provenance.get(MANIFEST_NAME, {}).get("sha256")
    if manifest.sha256 != recorded:
        state = "is missing" if manifest.sha256 is None else "is not the one of the load"
        yield Link(f"{MANIFEST_NAME} -> database", f"{MANIFEST_NAME} {state}. {_LOAD}")
    for table in contract.tables:
        name = f"{table.name}.csv"
        listed = find_listed_hash(manifest, name)
        if listed is None:
            continue
        fault = ""
        if not (data_dir / name).is_file():
            fault = f"{name} is missing"
        elif listed != f"sha256:{hash_file(data_dir / name)}":
            fault = (
                f"{name} is not the file that {MANIFEST_NAME} describes. Make the files"
                " again: python generate_data.py --generate"
            )
        yield Link(f"{MANIFEST_NAME} -> {name}", fault)


def _verify_schema(contract: Contract, provenance: Provenance) -> Link:
    recorded = provenance.get("schema.sql", {}).get("sha256")
    fault = "" if recorded == contract.sha256 else "the rules have changed since the load"
    return Link("schema.sql -> database", f"{fault}. {_LOAD}" if fault else "")


def _verify_table(
    connection: sqlite3.Connection,
    contract: Contract,
    table: Table,
    data_dir: Path,
    provenance: Provenance,
    digest: str,
) -> Link:
    """Return the link from the file of *table* to its rows, whose digest is *digest*."""
    path = data_dir / f"{table.name}.csv"
    name = f"{path.name} -> {table.name}"
    if not path.is_file():
        return Link(name, f"{path.name} is missing")
    recorded = provenance.get(path.name, {})
    sha256 = hash_file(path)
    is_file_recorded = sha256 == recorded.get("sha256")
    is_table_recorded = digest == provenance.get(table.name, {}).get("content_sha256")
    if is_file_recorded and is_table_recorded and digest == sha256:
        return Link(name)
    # The file is not canonical, or something was changed: only loading it again tells.
    with closing(open_new("")) as scratch:
        create_tables(scratch, contract)
        loaded = _load_again(scratch, table, path)
        if loaded is None:
            return Link(name, f"{path.name} can no longer be loaded. {_LOAD}")
        if loaded.content_sha256 != digest:
            where = find_row_difference(table, connection, scratch)
            return Link(name, f"{where} in {path.name}. {_LOAD}")
    if not is_file_recorded:
        return Link(name, f"{path.name} is not the file that was loaded. {_LOAD}")
    if not is_table_recorded:
        return Link(name, f"the digest recorded of {table.name} is another one. {_LOAD}")
    return Link(name)


def _load_again(scratch: sqlite3.Connection, table: Table, path: Path) -> LoadedFile | None:
    scratch.execute("BEGIN")
    try:
        return load_table(scratch, table, path, lambda _rows, _bytes: None)
    except (Refusal, csv.Error, UnicodeDecodeError, sqlite3.IntegrityError):
        return None


def find_row_difference(
    table: Table, found: sqlite3.Connection, expected: sqlite3.Connection
) -> str:
    """Return the first row, by key, in which two databases differ in *table*."""
    rows = f"SELECT * FROM {table.name} ORDER BY {', '.join(table.key)}"
    end: tuple[Any, ...] = ()
    pairs = zip(
        chain(found.execute(rows), [end]),
        chain(expected.execute(rows), [end]),
        strict=False,
    )
    for row, other in pairs:
        if row == other:
            continue
        if not other or (row and _key(table, row) < _key(table, other)):
            return f"{_name_row(table, row)} is not"
        if not row or _key(table, row) > _key(table, other):
            return f"{_name_row(table, other)} is missing; it is"
        at = next(i for i, cell in enumerate(row) if cell != other[i])
        return (
            f"{_name_row(table, row)}: {table.column_names[at]} is {show(row[at])},"
            f" and {show(other[at])}"
        )
    return "the rows are other ones than"


def _key(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(row[table.column_names.index(name)] for name in table.key)


def _name_row(table: Table, row: tuple[Any, ...]) -> str:
    values = zip(table.key, _key(table, row), strict=True)
    return f"{table.name}, " + ", ".join(f"{name} {show(value)}" for name, value in values)


def _verify_provenance(
    connection: sqlite3.Connection, provenance: Provenance, digest: str
) -> Link:
    name = f"database -> {PROVENANCE_TABLE}"
    recorded = provenance.get(PROVENANCE_TABLE, {}).get("content_sha256")
    if recorded != provenance_digest(connection):
        return Link(name, f"{PROVENANCE_TABLE} was changed since the load. {_LOAD}")
    if provenance.get("dataset", {}).get("content_sha256") != digest:
        return Link(name, f"the digest recorded of the data set is another one. {_LOAD}")
    return Link(name)


def verify_report(database: Path, out_dir: Path | None = None) -> Iterator[Link]:
    """Yield the links from *database* to its report, which is made again, in *out_dir*.

    Without it the report is looked for in the project's root and where the page reads it.
    """
    try:
        text = render_json(read_report(database))
    except DataError as error:
        yield Link("database -> report.json", str(error))
        return
    folder = PROJECT_ROOT if out_dir is None else out_dir
    path = folder / "report.json"
    yield compare_text("database -> report.json", path, text, remedy=_REPORT)
    markdown = render_markdown(json.loads(text))
    path = folder / "report.md"
    yield compare_text("report.json -> report.md", path, markdown, remedy=_REPORT)
    if out_dir is None:
        path = PUBLISHED_DIR / "report.json"
        yield compare_text("report.json -> the page's copy", path, text, remedy=_REPORT)
