"""Verify checksums from the manifest to the report: each file is what it was made from.

No recorded value is trusted: the files are hashed, the tables digested, and the report is
made again.  If rows differ from their file, the file is loaded again to find the cell.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from db.loading.loader import LoadedFile, create_tables, load_table, open_new
from db.reporting.markdown import render_markdown
from db.reporting.report import read_report
from utils.contract import MANIFEST_NAME, PROVENANCE_TABLE, Contract, Table
from utils.csv_bytes import RejectedInput
from utils.database import (
    LOAD_AGAIN,
    MOVE_AND_LOAD_AGAIN,
    Provenance,
    UnusableDatabase,
    describe_damage,
    find_loaded_contract,
    find_missing_rules,
    find_schema_differences,
    find_temporary_folder,
    is_damage,
    is_wal,
    limit_workers,
    open_database,
    read_provenance,
    require_columns,
    run_reads,
)
from utils.digest import TableDigest, dataset_digest, digest_cells, provenance_digest
from utils.formats import shorten_value
from utils.helpers import (
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    hash_file,
    identify_file,
    render_json,
    shorten_path,
)
from utils.manifest import Manifest, find_listed_hash, read_manifest
from utils.verification import (
    Verification,
    compare_text,
    describe_difference,
    read_json,
    read_result,
)

# The bytes of the database for which a process is started to digest them.
BYTES_PER_WORKER = 16 << 20

_REPORT = "Report again: python ingest.py --report"

# The name of what concerns every file and its table.
_ALL_FILES = "CSV files -> database"

# What rendering a JSON file raises that is not a report.
_NOT_A_REPORT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class FileHash(NamedTuple):
    """The SHA-256 of a file, or the *fault* why it cannot be read."""

    sha256: str
    fault: str = ""


class KnownDigests(NamedTuple):
    """The digests of the tables of the file that has this *identity*."""

    identity: tuple[int, ...]
    digests: dict[Table, TableDigest]


def verify_files(
    contract: Contract,
    data_dir: Path,
    database: Path,
    out_dir: Path | None = None,
    *,
    worker_count: int = 1,
) -> Iterator[Verification]:
    """Yield what `verify_load` and `verify_report` do; each table is digested once."""
    known = yield from verify_load(contract, data_dir, database, worker_count=worker_count)
    yield from verify_report(database, out_dir, known=known, worker_count=worker_count)


def verify_load(
    contract: Contract, data_dir: Path, database: Path, *, worker_count: int = 1
) -> Generator[Verification, None, KnownDigests | None]:
    """Yield the verifications manifest → CSV → database of the files in *data_dir*.

    Return the digests of the tables, if they are those of the file until it changes.  At
    most *worker_count* processes hash files and digest tables.  A *database* that is
    damaged or not the loader's fails the verifications that need it.  Raise `DataError` if
    it cannot be read for another reason, or if there is no space to compare.
    """
    try:
        return (yield from _verify_database(contract, data_dir, database, worker_count))
    except UnusableDatabase as error:
        yield Verification(_ALL_FILES, str(error))
        return None


def _verify_database(
    contract: Contract, data_dir: Path, database: Path, worker_count: int
) -> Generator[Verification, None, KnownDigests | None]:
    with open_database(database, allow_damage=True) as connection:
        identity, is_in_log = identify_file(database), is_wal(database)
        provenance = read_provenance(connection)
        if not provenance:
            raise UnusableDatabase(
                f"{database}: {PROVENANCE_TABLE} has no row, so there is nothing to compare"
                f" the files with. {LOAD_AGAIN}"
            )
        loaded = find_loaded_contract(connection, contract, provenance)
        require_columns(connection, database, loaded)
        # The tables first, because digesting one takes longer than hashing its file.
        reads: list[tuple[Any, ...]] = [(_digest, table) for table in loaded.tables]
        reads += [(_hash, data_dir / f"{table.name}.csv") for table in loaded.tables]
        process_count = limit_workers(database, worker_count, BYTES_PER_WORKER)
        with closing(run_reads(connection, database, reads, process_count)) as results:
            digests = {table: next(results) for table in loaded.tables}
            hashes = {table.name: next(results) for table in loaded.tables}
        yield from _verify_folder(data_dir, provenance, hashes)
        yield from _verify_manifest(data_dir, provenance, hashes)
        yield _verify_schema(connection, contract, loaded)
        for table in loaded.tables:
            file, digest = hashes[table.name], digests[table]
            try:
                verification = _verify_table(
                    connection, loaded, table, data_dir, provenance, file, digest
                )
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                fault = f"the database {describe_damage(error)}. {MOVE_AND_LOAD_AGAIN}"
                verification = Verification(_name_load(table), fault)
            yield verification
        yield _verify_provenance(connection, loaded, provenance)
    # The rows of a database in WAL mode change without its file.
    if is_in_log:
        return None
    sound = {
        table: digest
        for table, digest in digests.items()
        if isinstance(digest, TableDigest)
    }
    return KnownDigests(identity, sound)


def _digest(
    connection: sqlite3.Connection, table: Table
) -> TableDigest | sqlite3.DatabaseError:
    """Return the digest of the rows of *table*, or the error that its damage causes."""
    try:
        return digest_cells(connection, table)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return error


def _hash(_connection: sqlite3.Connection, path: Path) -> FileHash:
    """Return the SHA-256 of the file *path*, or why it has none."""
    try:
        return FileHash(hash_file(path))
    except FileNotFoundError:
        return FileHash("", f"{path.name} is missing")
    except OSError as error:
        return FileHash("", f"{path.name} cannot be read: {error.strerror or error}")


def _verify_folder(
    data_dir: Path, provenance: Provenance, hashes: Mapping[str, FileHash]
) -> Iterator[Verification]:
    """Yield a failed verification if no file in *data_dir* is the one that was loaded."""
    if not any(
        file.sha256 == provenance.get(f"{name}.csv", {}).get("sha256")
        for name, file in hashes.items()
    ):
        yield Verification(
            _ALL_FILES,
            f"no CSV file in {shorten_path(data_dir)} is as it was loaded. If the files are"
            " in another folder, name it with --data-dir.",
        )


def _verify_manifest(
    data_dir: Path, provenance: Provenance, hashes: Mapping[str, FileHash]
) -> Iterator[Verification]:
    """Yield the verifications of the manifest, if there is or was one, and the files."""
    try:
        manifest = read_manifest(data_dir / MANIFEST_NAME)
    except (DataError, OSError) as error:
        reason = getattr(error, "strerror", None)
        fault = f"{MANIFEST_NAME} cannot be read: {reason}" if reason else str(error)
        yield Verification(f"{MANIFEST_NAME} -> database", fault)
        return
    yield from _verify_listed(manifest, provenance, hashes)


def _verify_listed(
    manifest: Manifest, provenance: Provenance, hashes: Mapping[str, FileHash]
) -> Iterator[Verification]:
    recorded = provenance.get(MANIFEST_NAME, {}).get("sha256")
    if manifest.sha256 != recorded:
        state = (
            "is missing" if manifest.sha256 is None else "is not the one that was loaded"
        )
        yield Verification(
            f"{MANIFEST_NAME} -> database", f"{MANIFEST_NAME} {state}. {LOAD_AGAIN}"
        )
    remedy = f"Restore it, or correct its hash in {MANIFEST_NAME} and load the files again."
    if manifest.is_generated:
        remedy = "Make the files again: python generate_data.py --generate"
    for table, (sha256, fault) in hashes.items():
        name = f"{table}.csv"
        listed = find_listed_hash(manifest, name)
        if not listed:
            continue
        differs = listed != sha256
        changed = f"{name} is not the file that {MANIFEST_NAME} describes. {remedy}"
        yield Verification(
            f"{MANIFEST_NAME} -> {name}", fault or (changed if differs else "")
        )


def _verify_schema(
    connection: sqlite3.Connection, contract: Contract, loaded: Contract
) -> Verification:
    """Return whether the tables, indexes and rules of the database are the schema's.

    A database that was *loaded* under another schema may have more of them than *contract*.
    """
    if loaded.sha256 == contract.sha256:
        changed = [" ".join(each) for each in find_schema_differences(connection, contract)]
        cause, remedy = "", LOAD_AGAIN
    else:
        changed = find_missing_rules(connection, contract)
        cause = "the database, loaded under another schema, lacks or changes "
        remedy = (
            "Name that schema with --schema, or load the files again under this one:"
            " python ingest.py --ingest"
        )
    fault = cause + ", ".join(changed[:3]) + (", …" if len(changed) > 3 else "")
    return Verification("schema.sql -> database", f"{fault}. {remedy}" if changed else "")


def _name_load(table: Table) -> str:
    return f"{table.name}.csv -> {table.name}"


def _verify_table(
    connection: sqlite3.Connection,
    contract: Contract,
    table: Table,
    data_dir: Path,
    provenance: Provenance,
    file: FileHash,
    digest: TableDigest | sqlite3.DatabaseError,
) -> Verification:
    """Return whether the rows of *table*, with this *digest*, are those of its *file*."""
    path = data_dir / f"{table.name}.csv"
    name = _name_load(table)
    if file.fault:
        return Verification(name, file.fault)
    if isinstance(digest, sqlite3.DatabaseError):
        raise digest
    recorded = provenance.get(path.name, {})
    is_file_recorded = file.sha256 == recorded.get("sha256")
    found = digest.sha256
    is_table_recorded = found == provenance.get(table.name, {}).get("content_sha256")
    if is_file_recorded and is_table_recorded and found == file.sha256:
        return Verification(name)
    # The file is not canonical, or something was changed: load it again to find out.
    with closing(open_new("")) as scratch:
        create_tables(scratch, contract)
        loaded = _load_again(scratch, table, path)
        if loaded is None:
            return Verification(name, f"{path.name} can no longer be loaded. {LOAD_AGAIN}")
        if loaded.content_sha256 != found:
            where = find_row_difference(table, connection, scratch)
            return Verification(name, f"{where} in {path.name}. {LOAD_AGAIN}")
    if not is_file_recorded:
        return Verification(
            name, f"{path.name} is not the file that was loaded. {LOAD_AGAIN}"
        )
    if not is_table_recorded:
        return Verification(
            name, f"the recorded digest of {table.name} is different. {LOAD_AGAIN}"
        )
    return Verification(name)


def _load_again(scratch: sqlite3.Connection, table: Table, path: Path) -> LoadedFile | None:
    """Load *path* into *scratch*; return None if it can no longer be loaded."""
    scratch.execute("BEGIN")
    try:
        return load_table(scratch, table, path, lambda _rows, _bytes: None)
    except (RejectedInput, csv.Error, UnicodeDecodeError, sqlite3.IntegrityError):
        return None
    except sqlite3.OperationalError as error:
        raise DataError(
            f"{find_temporary_folder()}: {path.name} cannot be loaded here to compare it:"
            f" {error}. Free some space, or name another folder in SQLITE_TMPDIR."
        ) from error


def find_row_difference(
    table: Table, found: sqlite3.Connection, expected: sqlite3.Connection
) -> str:
    """Return the first row, by key, in which two databases differ in *table*."""
    rows = (
        f"SELECT {', '.join(table.column_names)} FROM {table.name}"
        f" ORDER BY {', '.join(table.key)}"
    )
    end: tuple[Any, ...] = ()
    pairs = zip(
        chain(found.execute(rows), [end]),
        chain(expected.execute(rows), [end]),
        strict=False,
    )
    last: list[tuple[int, Any]] | None = None
    for row, other in pairs:
        # 1 and 1.0 are equal, but not the same cell.
        if repr(row) == repr(other):
            last = _rank(table, row) if row else None
            continue
        if row and _rank(table, row) == last:
            return f"{_name_row(table, row)} appears twice, but once"
        if not other or (row and _rank(table, row) < _rank(table, other)):
            return f"{_name_row(table, row)} is not"
        if not row or _rank(table, row) > _rank(table, other):
            return f"{_name_row(table, other)} is missing; it is"
        cells = zip(table.column_names, row, other, strict=True)
        column, cell, counterpart = next(
            (column, *both) for column, *both in cells if repr(both[0]) != repr(both[1])
        )
        where = describe_difference(cell, counterpart, "and")
        return f"{_name_row(table, row)}: {column} {where}"
    return "the rows differ from those"


def _rank(table: Table, row: tuple[Any, ...]) -> list[tuple[int, Any]]:
    """Return the key of *row* as SQLite sorts it: NULL, numbers, texts, blobs."""
    ranks = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}
    # Without a value, only the rank is compared.
    return [(ranks[type(cell)], 0 if cell is None else cell) for cell in _key(table, row)]


def _key(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(row[table.column_names.index(name)] for name in table.key)


def _name_row(table: Table, row: tuple[Any, ...]) -> str:
    values = zip(table.key, _key(table, row), strict=True)
    return f"{table.name}, " + ", ".join(
        f"{name} {shorten_value(value)}" for name, value in values
    )


def _verify_provenance(
    connection: sqlite3.Connection, contract: Contract, provenance: Provenance
) -> Verification:
    """Return whether the recorded digests match what the load recorded."""
    name = f"database -> {PROVENANCE_TABLE}"
    recorded = provenance.get(PROVENANCE_TABLE, {}).get("content_sha256")
    if recorded != provenance_digest(connection):
        return Verification(
            name, f"{PROVENANCE_TABLE} was changed since the load. {LOAD_AGAIN}"
        )
    # From the recorded digests: _verify_table compares each with its table.
    digests = {
        table.name: str(provenance.get(table.name, {}).get("content_sha256"))
        for table in contract.tables
    }
    if provenance.get("dataset", {}).get("content_sha256") != dataset_digest(digests):
        return Verification(
            name, f"the recorded digest of the data set is different. {LOAD_AGAIN}"
        )
    return Verification(name)


def verify_report(
    database: Path,
    out_dir: Path | None = None,
    *,
    known: KnownDigests | None = None,
    worker_count: int = 1,
) -> Iterator[Verification]:
    """Yield whether the report in *out_dir* is the one that *database* gives.

    At most *worker_count* processes read the database; the *known* digests are not computed
    again, unless its file has changed since.  Without *out_dir* the report is in
    the project's root and where the page reads it.  What is made from `report.json` may
    come from the existing one or from the correct one, so that one failed verification
    causes no other.
    """
    folder = PROJECT_ROOT if out_dir is None else out_dir
    path = folder / "report.json"
    texts, pages = _read_made_from(path)
    try:
        digests = _find_digests(known, database)
        text = render_json(
            read_report(database, worker_count=worker_count, digests=digests)
        )
    except (DataError, OSError, sqlite3.Error) as error:
        yield Verification("database -> report.json", str(error))
    else:
        yield compare_text("database -> report.json", path, text, remedy=_REPORT)
        if text not in texts:
            texts.append(text)
            pages.append(render_markdown(json.loads(text)))
    if not texts:
        return
    path = folder / "report.md"
    yield compare_text("report.json -> report.md", path, *pages, remedy=_REPORT)
    if out_dir is None:
        path = PUBLISHED_DIR / "report.json"
        yield compare_text("report.json -> the page's copy", path, *texts, remedy=_REPORT)


def _find_digests(
    known: KnownDigests | None, database: Path
) -> dict[Table, TableDigest] | None:
    """Return the *known* digests, or None if the file *database* has changed since."""
    if known is None or known.identity != identify_file(database):
        return None
    return known.digests


def _read_made_from(path: Path) -> tuple[list[str], list[str]]:
    """Return the text of the report at *path* and of its `report.md`, if it is a report."""
    try:
        page = render_markdown(read_json(path))
        return [read_result(path)], [page]
    except (OSError, *_NOT_A_REPORT):
        return [], []
