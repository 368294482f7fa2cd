"""The fast road: five CSV files into a new database, in one transaction and one swap.

Each file is read once; the very bytes that are parsed are hashed.  Whole columns are
proved canonical at a time, SQLite does the rest (STRICT types, CHECKs, keys).  Nothing here
explains a fault: whatever stops this road sends the input down the slow one (`faults`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import re
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from db.digest import dataset_digest, table_digest
from db.faults import InputFaults, find_faults
from utils.contract import (
    MANIFEST_NAME,
    PROVENANCE_TABLE,
    SCHEMA_PATH,
    Column,
    Contract,
    Table,
    read_contract,
)
from utils.database import LOCK_TIMEOUT, is_date
from utils.helpers import DATABASE_PATH, DataError

IS_WINDOWS = os.name == "nt"

# Rises when the same input is meant to give another database.
TOOL_VERSION = "1.0"

# How a SQLite database begins; an empty file is an empty database too.
SQLITE_MAGIC = b"SQLite format 3\0"

# Rows proved and inserted at once.
CHUNK_ROWS = 5_000

# An integer has one spelling.  SQLite alone would take ' 12', '012', '1e3' and '5.0' too.
_INTEGER = r"(?:0|-?[1-9][0-9]{0,18})"
_REQUIRED_INTEGERS = re.compile(rf"{_INTEGER}(?:\n{_INTEGER})*")
_OPTIONAL_INTEGERS = re.compile(rf"{_INTEGER}?(?:\n{_INTEGER}?)*")

# Bytes read, hashed and searched for NUL at once.
BUFFER_BYTES = 1 << 18


class LoadedFile(NamedTuple):
    """One input as it was read; *manifest* tells how it compares with the manifest.

    That is `matches`, `differs`, `unlisted` (the manifest does not name it) or `absent`
    (there is no manifest).
    """

    path: Path
    sha256: str
    bytes: int
    rows: int
    manifest: str


class Manifest(NamedTuple):
    """The manifest beside the files; an empty *document* and no *sha256* without one."""

    document: dict[str, Any]
    sha256: str | None


class Refusal(Exception):
    """The fast road met something it does not take; the slow road will say what."""


class HashingReader(io.RawIOBase):
    """A raw file that hashes and counts the bytes that pass, and refuses NUL among them."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._hash = hashlib.sha256()
        self.byte_count = 0

    def readable(self) -> bool:
        """Return True: this is a reader."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*; return the number of bytes, 0 at the end."""
        count = self._raw.readinto(buffer) or 0
        data = bytes(memoryview(buffer)[:count])
        if b"\0" in data:
            raise Refusal("a NUL byte")
        self._hash.update(data)
        self.byte_count += count
        return count

    def hexdigest(self) -> str:
        """Return the SHA-256 of all bytes read so far."""
        return self._hash.hexdigest()


def ingest_folder(
    data_dir: Path, database: Path = DATABASE_PATH, schema_path: Path = SCHEMA_PATH
) -> list[LoadedFile]:
    """Load the CSV files in *data_dir* into a new *database* under the rules of the schema.

    Return the files as they were read.  Raise `DataError` for anything the user can mend
    (`InputFaults` lists the faults of the files themselves); *database* is then untouched.
    """
    contract = read_contract(schema_path)
    target = Path(os.path.realpath(database))
    _require_files(contract, data_dir)
    require_replaceable(target)
    before = _identify_files(contract, data_dir)
    manifest = read_manifest(data_dir / MANIFEST_NAME)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        loaded = _build_database(contract, data_dir, manifest, partial)
        _require_unchanged(contract, data_dir, before)
        publish_database(partial, target)
    except (Refusal, csv.Error, UnicodeDecodeError, sqlite3.IntegrityError) as error:
        faults = find_faults(contract, data_dir)
        _require_unchanged(contract, data_dir, before)
        if faults:
            raise InputFaults(faults) from error
        raise RuntimeError(f"the load failed, yet no fault was found: {error}") from error
    except sqlite3.OperationalError as error:
        raise DataError(
            f"{target}: cannot be made: {error}; it was left as it is. Free some space, or"
            " choose another place with --database."
        ) from error
    finally:
        for leftover in (partial, partial.with_name(f"{partial.name}-journal")):
            with suppress(OSError):
                leftover.unlink()
    return loaded


def _require_files(contract: Contract, data_dir: Path) -> None:
    """Raise `DataError` naming every file of *contract* that *data_dir* lacks."""
    if data_dir.exists() and not data_dir.is_dir():
        raise DataError(
            f"{data_dir}: not a folder. Name the files' folder with --data-dir."
        )
    names = [f"{table.name}.csv" for table in contract.tables]
    lacking = [name for name in names if not (data_dir / name).is_file()]
    odd = [name for name in lacking if (data_dir / name).exists()]
    if odd:
        raise DataError(f"{data_dir}: {', '.join(odd)} is no file. Put the data there.")
    if lacking:
        raise DataError(
            f"{data_dir}: missing {', '.join(lacking)}. Make them with"
            " 'python generate_data.py --generate', or name their folder with --data-dir."
        )


def _identify_files(contract: Contract, data_dir: Path) -> list[tuple[int, int]]:
    """Return what changes when one of the input files does."""
    found = [(data_dir / f"{table.name}.csv").stat() for table in contract.tables]
    return [(status.st_size, status.st_mtime_ns) for status in found]


def _require_unchanged(
    contract: Contract, data_dir: Path, before: list[tuple[int, int]]
) -> None:
    if _identify_files(contract, data_dir) != before:
        raise DataError(
            f"{data_dir}: a file changed while it was read; the database was left as it"
            " is. Wait until the files are finished, then run again."
        )


def _build_database(
    contract: Contract, data_dir: Path, manifest: Manifest, partial: Path
) -> list[LoadedFile]:
    """Fill the new database file *partial* in one transaction and sync it."""
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        connection = sqlite3.connect(partial, isolation_level=None)
        # Only the finished file counts, so a journal on disk would guard nothing.
        connection.execute("PRAGMA journal_mode = MEMORY")
    except (OSError, sqlite3.OperationalError) as error:
        raise DataError(
            f"{partial.parent}: cannot make a database here: {error}."
            " Choose another place with --database."
        ) from error
    with closing(connection):
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")  # checked as a whole, below
        connection.execute("BEGIN")
        for statement in contract.table_statements:
            connection.execute(statement)
        loaded = [
            load_table(connection, table, data_dir / f"{table.name}.csv", manifest)
            for table in contract.tables
        ]
        for statement in contract.index_statements:
            connection.execute(statement)
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise Refusal("a reference to a row that does not exist")
        record_provenance(connection, contract, loaded, manifest)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    return loaded


def load_table(
    connection: sqlite3.Connection, table: Table, path: Path, manifest: Manifest
) -> LoadedFile:
    """Insert the rows of the CSV file *path* into *table*.

    Columns may come in any order.  Raise `Refusal`, `csv.Error`, `UnicodeDecodeError` or
    `sqlite3.IntegrityError` at the first row that does not fit.
    """
    rows = 0
    with open(path, "rb", buffering=0) as raw:
        source = HashingReader(raw)
        text = io.TextIOWrapper(
            io.BufferedReader(source, BUFFER_BYTES), encoding="utf-8-sig", newline=""
        )
        reader = csv.reader(text, strict=True)
        header = next(reader, [])
        if sorted(header) != sorted(table.column_names):
            raise Refusal("a header that is not the contract's")
        columns = [table.find_column(name) for name in header]
        insert = _insert_statement(table, columns)
        while chunk := list(islice(reader, CHUNK_ROWS)):
            prove_canonical(chunk, columns)
            connection.executemany(insert, chunk)
            rows += len(chunk)
    return LoadedFile(
        path=path,
        sha256=source.hexdigest(),
        bytes=source.byte_count,
        rows=rows,
        manifest=compare_with_manifest(manifest, path.name, source.hexdigest()),
    )


def _insert_statement(table: Table, columns: Sequence[Column]) -> str:
    """Return the INSERT for rows with *columns* in that order; '' is no value."""
    # Integers that are required have been proved not to be empty.
    values = [
        "?" if column.type == "INTEGER" and column.is_required else "NULLIF(?, '')"
        for column in columns
    ]
    names = ", ".join(column.name for column in columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(values)})"


def prove_canonical(rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    """Raise `Refusal` unless every row has *columns* and its integers are canonical.

    One pattern runs over a whole column, with line breaks between the cells; a cell that
    brings its own line break gives itself away by their number.
    """
    try:
        cells_by_column = list(zip(*rows, strict=True))
    except ValueError as error:
        raise Refusal("rows of different lengths") from error
    if len(cells_by_column) != len(columns):
        raise Refusal("rows of another length than the header")
    for column, cells in zip(columns, cells_by_column, strict=True):
        if column.type == "INTEGER":
            pattern = _REQUIRED_INTEGERS if column.is_required else _OPTIONAL_INTEGERS
            text = "\n".join(cells)
            if text.count("\n") != len(rows) - 1 or not pattern.fullmatch(text):
                raise Refusal("a cell that is not a canonical integer")


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


def compare_with_manifest(manifest: Manifest, file_name: str, sha256: str) -> str:
    """Return how the file's *sha256* compares with the manifest (see `LoadedFile`)."""
    if not manifest.document:
        return "absent"
    for resource in _listed_resources(manifest.document):
        if resource.get("path") == file_name:
            return "matches" if resource.get("hash") == f"sha256:{sha256}" else "differs"
    return "unlisted"


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
    for file in loaded:
        for name in ("sha256", "bytes", "rows", "manifest"):
            facts[file.path.name, name] = getattr(file, name)
    digests = {table.name: table_digest(connection, table) for table in contract.tables}
    for table_name, digest in digests.items():
        facts[table_name, "content_sha256"] = digest
    facts["dataset", "content_sha256"] = dataset_digest(digests)
    if manifest.document:
        facts[MANIFEST_NAME, "sha256"] = manifest.sha256
    generator = _read_generator(manifest.document)
    facts |= {("generator", name): value for name, value in generator.items()}
    facts["dataset", "as_of"] = choose_as_of(connection, generator.get("window_end"))
    facts["loader", "tool_version"] = TOOL_VERSION
    facts["loader", "python_version"] = platform.python_version()
    facts["loader", "sqlite_version"] = sqlite3.sqlite_version
    connection.executemany(
        f"INSERT INTO {PROVENANCE_TABLE} (subject, property, value) VALUES (?, ?, ?)",
        sorted(
            (subject, name, str(value))
            for (subject, name), value in facts.items()
            if value is not None
        ),
    )


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


def choose_as_of(connection: sqlite3.Connection, window_end: object) -> str | None:
    """Return the last day that the data speaks for, YYYY-MM-DD, or None without any.

    That is *window_end*, the manifest's last day, unless something happened after it.
    """
    (last_event,) = connection.execute(
        "SELECT SUBSTR(MAX(last_at), 1, 10) FROM ("
        " SELECT MAX(signed_up_at) AS last_at FROM users"
        " UNION ALL SELECT MAX(ordered_at) FROM orders"
        " UNION ALL SELECT MAX(processed_at) FROM payments)"
    ).fetchone()
    return max(str(window_end or ""), last_event or "") or None


def require_replaceable(target: Path) -> None:
    """Raise `DataError` unless *target* is absent or is a database that may be replaced.

    It is only looked at here; `hold_database` looks into it.
    """
    if not target.exists():
        # SQLite would play what a vanished database left behind into the new one.
        for suffix in ("-journal", "-wal", "-shm"):
            leftover = target.with_name(target.name + suffix)
            if leftover.exists():
                raise DataError(
                    f"{leftover}: left by a database that is gone, it would spoil the new"
                    " one. Move it away, or name another file with --database."
                )
    elif target.is_dir():
        raise DataError(f"{target}: is a folder. Name a file with --database.")
    elif not target.is_file():
        raise DataError(f"{target}: is no regular file. Name one with --database.")
    elif not os.access(target, os.W_OK):
        raise DataError(
            f"{target}: is read-only. Allow writing, or name another with --database."
        )
    else:
        with open(target, "rb") as file:
            head = file.read(len(SQLITE_MAGIC))
        if head not in (b"", SQLITE_MAGIC):
            raise DataError(
                f"{target}: file is not a database; it was left as it is. Move it away, or"
                " name another file with --database."
            )


@contextmanager
def hold_database(target: Path) -> Iterator[None]:
    """Keep other writers out of the old database *target* while the block runs.

    A journal or log that a dead program left beside it is played back first: beside a new
    file it would destroy it.  Windows cannot rename over an open file, so there the hold
    ends where the block begins.  Raise `DataError` if *target* is in use or no database.
    """
    try:
        connection = sqlite3.connect(target, isolation_level=None, timeout=LOCK_TIMEOUT)
        with closing(connection):
            if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN IMMEDIATE")
            _require_own(connection, target)
            if not IS_WINDOWS:
                yield
        if IS_WINDOWS:
            yield
    except sqlite3.OperationalError as error:
        raise DataError(
            f"{target}: cannot be replaced: {error}. Close the programs that use it and"
            " try again; it was left as it is."
        ) from error
    except sqlite3.DatabaseError as error:
        raise DataError(
            f"{target}: {error}; it was left as it is. Move it away, or name another file"
            " with --database."
        ) from error


def _require_own(connection: sqlite3.Connection, target: Path) -> None:
    """Raise `DataError` if the database holds tables, yet none of ours."""
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    names = {name for (name,) in tables}
    if names and PROVENANCE_TABLE not in names:
        raise DataError(
            f"{target}: holds other tables ({', '.join(sorted(names)[:3])}), so it was left"
            " as it is. Move it away, or name another file with --database."
        )


def publish_database(partial: Path, target: Path) -> None:
    """Swap the finished *partial* in as *target*; readers see the old or the new."""
    if not target.exists():
        require_replaceable(target)
        os.replace(partial, target)
    else:
        os.chmod(partial, stat.S_IMODE(target.stat().st_mode))
        with hold_database(target):
            try:
                os.replace(partial, target)
            except PermissionError as error:
                raise DataError(
                    f"{target}: cannot be replaced: {error.strerror}. Close the programs"
                    " that use it and try again; it was left as it is."
                ) from error
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in *folder* last through a power cut, where the system can."""
    if IS_WINDOWS:  # it cannot open a folder; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
