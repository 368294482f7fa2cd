"""One run of the loader: five CSV files into a new database, one transaction, one swap."""

from __future__ import annotations

import csv
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from db.loading.diagnosis import find_faults
from db.loading.faults import (
    MOST_FAULTS,
    Fault,
    Faults,
    InputFaults,
    open_fault_file,
    require_writable,
)
from db.loading.loader import (
    LoadedFile,
    create_indexes,
    create_tables,
    load_in_second_process,
    load_tables,
    merge_shard,
    open_new,
    split_tables,
)
from db.loading.provenance import (
    record_provenance,
)
from db.loading.swap import (
    lock_target,
    name_partials,
    publish_database,
    require_replaceable,
)
from utils.contract import MANIFEST_NAME, SCHEMA_PATH, Contract, read_contract
from utils.csv_bytes import RejectedInput
from utils.helpers import DATABASE_PATH, DataError, identify_file
from utils.manifest import Manifest, compare_with_manifest, read_manifest

# Takes the rows so far and the part of the bytes that is read, per mille.
Watch = Callable[[int, int], None]


# What stops the fast road; the slow one says why.
_REFUSALS = (RejectedInput, csv.Error, UnicodeDecodeError, sqlite3.IntegrityError)


class Outcome(NamedTuple):
    """The files as they were loaded; *changed* ones are not the manifest's.

    *warnings* are sentences about what is sound, yet hardly meant.
    """

    files: list[LoadedFile]
    changed: list[str]
    warnings: list[str]


class _Progress:
    """Adds up what is told of the rows and bytes, and tells *watch* of the whole."""

    def __init__(self, watch: Watch, total_bytes: int) -> None:
        self._watch = watch
        self._total_bytes = max(total_bytes, 1)
        self._rows = 0
        self._bytes = 0

    def tell(self, rows: int, byte_count: int) -> None:
        """Add *rows* and *byte_count*."""
        self._rows += rows
        self._bytes += byte_count
        self._watch(self._rows, 1000 * self._bytes // self._total_bytes)


def ingest_folder(
    data_dir: Path,
    database: Path = DATABASE_PATH,
    schema_path: Path = SCHEMA_PATH,
    *,
    is_check: bool = False,
    max_errors: int = MOST_FAULTS,
    errors_path: Path | None = None,
    watch: Watch = lambda _rows, _per_mille: None,
) -> Outcome:
    """Load the CSV files in *data_dir* into a new *database* under the rules of the schema.

    Return the files as they were read.  Raise `DataError` for anything the user can mend
    (`InputFaults` lists the faults of the files themselves, of each kind *max_errors*);
    *database* is then untouched, as it always is if *is_check*.  *errors_path* takes all
    faults as JSON Lines; without a fault it becomes an empty file.
    """
    contract = read_contract(schema_path)
    target = Path(os.path.realpath(database))
    if errors_path is not None:
        taken = [schema_path, *_list_inputs(contract, data_dir), *_list_outputs(target)]
        require_writable(errors_path, taken)
    _require_files(contract, data_dir)
    require_replaceable(target, contract)
    manifest = read_manifest(data_dir / MANIFEST_NAME)
    faults: Faults | None = None
    cause: Exception | None = None
    unwritten = ""
    with lock_target(target):
        before = _identify_files(contract, data_dir)
        progress = _Progress(watch, sum(size for size, *_ in before))
        try:
            with open_fault_file(errors_path) as write_fault:
                try:
                    with _tell_what_failed(schema_path, target):
                        loaded = _build_database(
                            contract, data_dir, manifest, target, progress
                        )
                        _require_unchanged(contract, data_dir, before)
                        if not is_check:
                            publish_database(name_partials(target)[0], target)
                except _REFUSALS as error:
                    cause = error
                    found = _explain(
                        contract, schema_path, data_dir, max_errors, write_fault
                    )
                    _require_unchanged(contract, data_dir, before)
                    faults = found
        except DataError as error:
            # With faults at hand only their file can have failed.
            if not faults:
                raise
            unwritten = str(error)
    if faults:
        raise InputFaults(
            faults,
            where_all=f"All of them are in {errors_path}."
            if errors_path
            else "--errors FILE writes all of them, --max-errors N lists more.",
            also=unwritten,
        ) from cause
    if cause is not None:
        raise RuntimeError(f"the load failed, yet no fault was found: {cause}") from cause
    return Outcome(
        loaded,
        changed=[
            file.name
            for file in loaded
            if compare_with_manifest(manifest, file.name, file.sha256) == "differs"
        ],
        warnings=[file.warning for file in loaded if file.warning],
    )


def _list_inputs(contract: Contract, data_dir: Path) -> list[Path]:
    """Return the files that a load reads from *data_dir*."""
    names = [f"{table.name}.csv" for table in contract.tables]
    return [data_dir / name for name in (*names, MANIFEST_NAME)]


def _list_outputs(target: Path) -> list[Path]:
    """Return the files that a load makes or minds: the database and those beside it."""
    names = [f"{target.name}{suffix}" for suffix in ("", "-journal", "-wal", "-shm")]
    beside = [target.with_name(name) for name in (*names, f".{target.name}.lock")]
    return [*beside, *name_partials(target)]


@contextmanager
def _tell_what_failed(schema_path: Path, target: Path) -> Iterator[None]:
    """Turn what the system or the schema refuses in the block into a `DataError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _explain_database_error(
            error,
            schema_path,
            f"{target}: cannot be made",
            "there and in the temporary folder, or choose another place with --database",
        ) from error
    except OSError as error:
        raise DataError(
            f"{error.filename or target}: {error.strerror or error}. Mend that and run"
            " again; the database was left as it is."
        ) from error


def _explain(
    contract: Contract,
    schema_path: Path,
    data_dir: Path,
    max_errors: int,
    write_fault: Callable[[Fault], object],
) -> Faults:
    """Return the faults of the files in *data_dir*; hand all of them to *write_fault*."""
    try:
        return find_faults(
            contract, data_dir, max_errors=max_errors, write_fault=write_fault
        )
    except sqlite3.OperationalError as error:
        raise _explain_database_error(
            error,
            schema_path,
            f"{tempfile.gettempdir()}: the faults of the input cannot be looked for here",
            "there, or name another folder in TMPDIR",
        ) from error
    except OSError as error:
        raise DataError(
            f"{error.filename or data_dir}: cannot be read again:"
            f" {error.strerror or error}. Mend that and run again; the database was left as"
            " it is."
        ) from error


def _explain_database_error(
    error: sqlite3.OperationalError, schema_path: Path, what: str, where: str
) -> DataError:
    """Return what the user can do about *error*: free space *where*, or mend the schema."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_ERROR":
        what, advice = f"{schema_path}: cannot be obeyed", "Mend it, or leave --schema away"
    elif name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
        advice = f"Free some space {where}"
    else:
        advice = "Mend that and run again"
    return DataError(f"{what}: {error}; the database was left as it is. {advice}.")


def _require_files(contract: Contract, data_dir: Path) -> None:
    """Raise `DataError` naming every file of *contract* that *data_dir* lacks."""
    if data_dir.exists() and not data_dir.is_dir():
        raise DataError(
            f"{data_dir}: not a folder. Name the files' folder with --data-dir."
        )
    names = [f"{table.name}.csv" for table in contract.tables]
    lacking = [name for name in names if not (data_dir / name).is_file()]
    odd = [name for name in lacking if (data_dir / name).exists()]
    missing = [name for name in lacking if name not in odd]
    faults = [f"{name} is no file" for name in odd]
    advice = "Put the data there."
    if missing:
        faults.append(f"missing {', '.join(missing)}")
        advice = (
            "Make them with 'python generate_data.py --generate', or name their folder with"
            " --data-dir."
        )
    if faults:
        raise DataError(f"{data_dir}: {', '.join(faults)}. {advice}")


def _identify_files(contract: Contract, data_dir: Path) -> list[tuple[int, ...]]:
    """Return what `identify_file` does of each input file."""
    return [identify_file(data_dir / f"{table.name}.csv") for table in contract.tables]


def _require_unchanged(
    contract: Contract, data_dir: Path, before: list[tuple[int, ...]]
) -> None:
    if _identify_files(contract, data_dir) != before:
        raise DataError(
            f"{data_dir}: a file changed while it was read; the database was left as it"
            " is. Wait until the files are finished, then run again."
        )


def _build_database(
    contract: Contract,
    data_dir: Path,
    manifest: Manifest,
    target: Path,
    progress: _Progress,
) -> list[LoadedFile]:
    """Fill the new database file beside *target* in one transaction.

    Of large files another process loads a half into *shard*; the layout of the result
    depends on the files alone.
    """
    partial, shard = name_partials(target)
    ours, theirs = split_tables(contract, data_dir)
    with (
        load_in_second_process(
            contract, theirs, data_dir, shard, progress.tell
        ) as await_theirs,
        closing(open_new(partial)) as connection,
    ):
        connection.execute("BEGIN")
        create_tables(connection, contract)
        loaded = load_tables(connection, ours, data_dir, progress.tell)
        create_indexes(connection, contract)
        loaded += await_theirs()
        if theirs:
            merge_shard(connection, theirs, shard)
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise RejectedInput("a reference to a row that does not exist")
        names = [f"{table.name}.csv" for table in contract.tables]
        loaded.sort(key=lambda file: names.index(file.name))
        record_provenance(connection, contract, loaded, manifest)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")
    return loaded
