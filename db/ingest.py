"""One run of the loader: five CSV files into a new database, one transaction, one swap."""

from __future__ import annotations

import csv
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
from db.loading.inputs import require_files
from db.loading.last_day import add_far_day, find_last_day, warn_of_far_events
from db.loading.loader import (
    LoadedFile,
    OnRead,
    create_indexes,
    create_tables,
    load_tables,
    open_new,
)
from db.loading.provenance import record_provenance
from db.loading.second_process import load_in_second_process, merge_shard, split_tables
from db.loading.swap import (
    lock_target,
    name_partials,
    publish_database,
    require_replaceable,
)
from utils.atomic_files import open_scratch_folder
from utils.contract import MANIFEST_NAME, SCHEMA_PATH, Contract, read_contract
from utils.csv_bytes import RejectedInput
from utils.database import find_temporary_folder
from utils.helpers import (
    DATABASE_PATH,
    HAS_CHANGE_TIME,
    DataError,
    hash_file,
    identify_file,
)
from utils.manifest import (
    Manifest,
    add_stated_facts,
    compare_with_manifest,
    read_manifest,
)

# Called with the rows read so far and the share of the bytes, per mille.
OnProgress = Callable[[int, int], None]

# What ends the fast path; the diagnostic path then finds the reasons.
_REJECTIONS = (RejectedInput, csv.Error, UnicodeDecodeError, sqlite3.IntegrityError)


class LoadResult(NamedTuple):
    """The files that were loaded; those in *changed* differ from the manifest.

    *warnings* are sentences about what is allowed but probably not intended, *notes* about
    what is only worth knowing.
    """

    files: list[LoadedFile]
    changed: list[str]
    warnings: list[str]
    notes: list[str]


class _Load(NamedTuple):
    """What a run reads, and the database *target* that it makes."""

    contract: Contract
    schema_path: Path
    data_dir: Path
    manifest: Manifest
    target: Path
    is_check: bool
    worker_count: int
    place_option: str
    on_progress: OnProgress


class _Rejection(NamedTuple):
    """The *faults* of an input, and the error that ended the fast path."""

    faults: Faults
    cause: Exception


def ingest_folder(
    data_dir: Path,
    database: Path = DATABASE_PATH,
    schema_path: Path = SCHEMA_PATH,
    *,
    as_of: str | None = None,
    currency: str | None = None,
    is_check: bool = False,
    max_errors: int = MOST_FAULTS,
    errors_path: Path | None = None,
    worker_count: int = 2,
    place_option: str = "--database",
    on_progress: OnProgress = lambda _rows, _per_mille: None,
) -> LoadResult:
    """Load the CSV files in *data_dir* into a new *database* under the rules of the schema.

    *as_of* (YYYY-MM-DD) and *currency* are recorded as if the manifest stated them.
    Return the files as they were read.  Raise `DataError` for anything the user can fix
    (`InputFaults` lists the faults of the files themselves, *max_errors* of each kind); the
    *database* is then unchanged, as it always is if *is_check*.  All faults are written to
    *errors_path* as JSON Lines; without a fault it becomes an empty file.  A second process
    loads a part of large files, unless *worker_count* is 1.  *place_option* is what the
    user can change if *database* cannot be written.
    """
    contract = read_contract(schema_path)
    target = Path(os.path.realpath(database))
    if errors_path is not None:
        taken = [schema_path, *_list_inputs(contract, data_dir), *_list_outputs(target)]
        require_writable(errors_path, taken)
    require_files(contract, data_dir)
    require_replaceable(target, contract, must_be_writable=not is_check)
    manifest = read_manifest(data_dir / MANIFEST_NAME)
    manifest = add_stated_facts(manifest, as_of=as_of, currency=currency)
    load = _Load(
        contract,
        schema_path,
        data_dir,
        manifest,
        target,
        is_check,
        worker_count,
        place_option,
        on_progress,
    )
    with _prepare_target(load) as prepared:
        loaded = _load_or_raise(prepared, max_errors, errors_path)
    states = {
        file.name: compare_with_manifest(manifest, file.name, file.sha256)
        for file in loaded
    }
    # The generator may make a file without rows for a shop of few users.
    empty = [
        file.name
        for file in loaded
        if not file.rows and not (manifest.is_generated and states[file.name] == "matches")
    ]
    return LoadResult(
        loaded,
        changed=[name for name, state in states.items() if state == "differs"],
        warnings=[
            *(sentence for file in loaded for sentence in file.warnings),
            *_warn_of_empty_files(empty),
        ],
        notes=[sentence for file in loaded for sentence in file.notes],
    )


def _warn_of_empty_files(names: Sequence[str]) -> list[str]:
    """Return a warning that the files *names* have no rows, if there are such files."""
    verb = "has" if len(names) == 1 else "have"
    return [f"{', '.join(names)} {verb} a header and no rows."] if names else []


def _list_inputs(contract: Contract, data_dir: Path) -> list[Path]:
    """Return the files that a load reads from *data_dir*."""
    return [*_list_csv_files(contract, data_dir), data_dir / MANIFEST_NAME]


def _list_csv_files(contract: Contract, data_dir: Path) -> list[Path]:
    return [data_dir / f"{table.name}.csv" for table in contract.tables]


def _list_outputs(target: Path) -> list[Path]:
    """Return the files that a load creates or removes: the database and those beside it."""
    names = [f"{target.name}{suffix}" for suffix in ("", "-journal", "-wal", "-shm")]
    beside = [target.with_name(name) for name in (*names, f".{target.name}.lock")]
    return [*beside, *name_partials(target)]


# ---- The run -----------------------------------------------------------------------------


@contextmanager
def _prepare_target(load: _Load) -> Iterator[_Load]:
    """Lock the target of *load* for the block.

    A check replaces nothing: its target is in a scratch folder instead, because the folder
    of the database may be read-only.
    """
    if not load.is_check:
        with lock_target(load.target):
            yield load
        return
    # Where SQLite puts large files too; /tmp may be in memory.
    with open_scratch_folder(Path(find_temporary_folder())) as folder:
        yield load._replace(target=folder / "check.db", place_option="SQLITE_TMPDIR")


def _load_or_raise(
    load: _Load, max_errors: int, errors_path: Path | None
) -> list[LoadedFile]:
    """Run *load*; return the files, or raise `InputFaults` if they have faults."""
    result: list[LoadedFile] | _Rejection | None = None
    write_error = ""
    try:
        with open_fault_file(errors_path) as write_fault:
            result = _load_or_diagnose(load, max_errors, write_fault)
    except DataError as error:
        # After the diagnosis only the file of the faults can have failed.
        if not isinstance(result, _Rejection):
            raise
        write_error = str(error)
    if isinstance(result, list):
        return result
    assert result is not None  # noqa: S101 - else the block has raised
    where_all = "--errors FILE writes all of them, --max-errors N lists more."
    if errors_path:
        where_all = f"All of them are in {errors_path}."
    raise InputFaults(
        result.faults, where_all=where_all, also=write_error
    ) from result.cause


def _load_or_diagnose(
    load: _Load, max_errors: int, write_fault: Callable[[Fault], object]
) -> list[LoadedFile] | _Rejection:
    """Build and publish the database; if the input is rejected, return its faults."""
    before = _identify_files(load)
    try:
        with _explain_system_errors(load):
            loaded = _build_database(load)
            _require_unchanged(load, before, loaded)
            if not load.is_check:
                publish_database(name_partials(load.target)[0], load.target)
            return loaded
    except _REJECTIONS as error:
        faults = _diagnose(load, max_errors, write_fault)
        _require_unchanged(load, before)
        if not faults:
            raise RuntimeError(
                f"the load failed, but no fault was found: {error}"
            ) from error
        return _Rejection(faults, error)


def _identify_files(load: _Load) -> list[tuple[int, ...]]:
    return [identify_file(path) for path in _list_csv_files(load.contract, load.data_dir)]


def _require_unchanged(
    load: _Load, before: list[tuple[int, ...]], loaded: Sequence[LoadedFile] = ()
) -> None:
    """Raise `DataError` unless the input files are those identified by *before*.

    Where the system does not record each change, the files in *loaded* are hashed again.
    """
    hashed = () if HAS_CHANGE_TIME else loaded
    if _identify_files(load) != before or any(
        hash_file(load.data_dir / file.name) != file.sha256 for file in hashed
    ):
        raise DataError(
            f"{load.data_dir}: a file changed while it was read; the database was left as"
            " it is. Wait until the files are complete, then run again."
        )


def _build_database(load: _Load) -> list[LoadedFile]:
    """Fill the new database file beside the target in one transaction.

    If the files are large, a second process loads some of the tables into a shard.  The
    layout of the result depends on the files alone.
    """
    contract, data_dir = load.contract, load.data_dir
    partial, shard = name_partials(load.target)
    own_tables, shard_tables = split_tables(contract, data_dir)
    on_read = _sum_progress(load)
    with (
        load_in_second_process(
            contract,
            shard_tables,
            data_dir,
            shard,
            on_read,
            worker_count=load.worker_count,
        ) as await_shard,
        closing(open_new(partial)) as connection,
    ):
        connection.execute("BEGIN")
        create_tables(connection, contract)
        loaded = load_tables(connection, own_tables, data_dir, on_read)
        create_indexes(connection, contract)
        loaded += await_shard()
        if shard_tables:
            merge_shard(connection, shard_tables, shard)
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise RejectedInput("a reference to a row that does not exist")
        names = [f"{table.name}.csv" for table in contract.tables]
        loaded.sort(key=lambda file: names.index(file.name))
        as_of = find_last_day(connection, contract, load.manifest.last_day)
        record_provenance(connection, contract, loaded, load.manifest, as_of)
        if load.manifest.last_day:
            loaded = add_far_day(connection, contract, loaded, load.manifest)
        else:
            loaded = warn_of_far_events(connection, contract, data_dir, loaded, as_of)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")
    return loaded


def _sum_progress(load: _Load) -> OnRead:
    """Return a function that adds up rows and bytes, then reports the sums."""
    total = max(sum(size for size, *_ in _identify_files(load)), 1)
    rows = byte_count = 0

    def on_read(new_rows: int, new_bytes: int) -> None:
        nonlocal rows, byte_count
        rows += new_rows
        byte_count += new_bytes
        load.on_progress(rows, 1000 * byte_count // total)

    return on_read


# ---- What goes wrong ---------------------------------------------------------------------


@contextmanager
def _explain_system_errors(load: _Load) -> Iterator[None]:
    """Turn errors of SQLite and of the system in the block into `DataError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _explain_database_error(
            error,
            load.schema_path,
            f"{load.target}: cannot be made",
            "there and in the temporary folder, or choose another place with"
            f" {load.place_option}",
        ) from error
    except OSError as error:
        raise DataError(
            f"{error.filename or load.target}: {error.strerror or error}. Fix that and run"
            " again; the database was left as it is."
        ) from error


def _diagnose(
    load: _Load, max_errors: int, write_fault: Callable[[Fault], object]
) -> Faults:
    """Return the faults of the files; pass all of them to *write_fault*."""
    try:
        return find_faults(
            load.contract,
            load.data_dir,
            currency=load.manifest.document.get("currency"),
            max_errors=max_errors,
            write_fault=write_fault,
        )
    except sqlite3.OperationalError as error:
        raise _explain_database_error(
            error,
            load.schema_path,
            f"{tempfile.gettempdir()}: the search for the faults of the input failed here",
            "there, or name another folder in TMPDIR",
        ) from error
    except OSError as error:
        raise DataError(
            f"{error.filename or load.data_dir}: cannot be read again:"
            f" {error.strerror or error}. Fix that and run again; the database was left as"
            " it is."
        ) from error


def _explain_database_error(
    error: sqlite3.OperationalError, schema_path: Path, what: str, where: str
) -> DataError:
    """Return what to do about *error*: free space *where*, or correct the schema."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_ERROR":
        what, remedy = f"{schema_path}: is not usable", "Correct it, or omit --schema"
    elif name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
        remedy = f"Free some space {where}"
    else:
        remedy = "Fix that and run again"
    return DataError(f"{what}: {error}; the database was left as it is. {remedy}.")
