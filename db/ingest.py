"""One run of the loader: five CSV files into a new database, one transaction, one swap."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from db.diagnosis import find_faults
from db.faults import MOST_FAULTS, Fault, Faults, InputFaults
from db.loading import (
    LoadedFile,
    Refusal,
    create_indexes,
    create_tables,
    load_beside,
    load_tables,
    open_new,
    share_out,
    take_shard,
)
from db.provenance import (
    Manifest,
    compare_with_manifest,
    read_manifest,
    record_provenance,
)
from db.swap import hold_turn, name_partials, publish_database, require_replaceable
from utils.contract import MANIFEST_NAME, SCHEMA_PATH, Contract, read_contract
from utils.helpers import DATABASE_PATH, DataError, open_all_whole, write_all_whole

# Takes the rows so far and the part of the bytes that is read, per mille.
Watch = Callable[[int, int], None]


class Outcome(NamedTuple):
    """The files as they were loaded; *changed* ones are not the manifest's."""

    files: list[LoadedFile]
    changed: list[str]


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
    _require_files(contract, data_dir)
    require_replaceable(target)
    manifest = read_manifest(data_dir / MANIFEST_NAME)
    with hold_turn(target):
        before = _identify_files(contract, data_dir)
        progress = _Progress(watch, sum(size for size, _ in before))
        partial, shard = name_partials(target)
        try:
            loaded = _build_database(contract, data_dir, manifest, partial, shard, progress)
            _require_unchanged(contract, data_dir, before)
            if not is_check:
                publish_database(partial, target)
        except (Refusal, csv.Error, UnicodeDecodeError, sqlite3.IntegrityError) as error:
            faults = _explain(contract, data_dir, max_errors, errors_path)
            _require_unchanged(contract, data_dir, before)
            if faults:
                raise InputFaults(
                    faults,
                    where_all=f"All of them are in {errors_path}."
                    if errors_path
                    else "--errors FILE writes all of them, --max-errors N lists more.",
                ) from error
            raise RuntimeError(
                f"the load failed, yet no fault was found: {error}"
            ) from error
        except sqlite3.OperationalError as error:
            raise DataError(
                f"{target}: cannot be made: {error}; it was left as it is. Free some space"
                " there and in the temporary folder, or choose another place with"
                " --database."
            ) from error
        except OSError as error:
            raise DataError(
                f"{error.filename or target}: {error.strerror or error}. Mend that and run"
                " again; the database was left as it is."
            ) from error
    if errors_path is not None:
        write_all_whole({errors_path: ""})
    changed = [
        file.name for file in loaded if compare_with_manifest(manifest, file) == "differs"
    ]
    return Outcome(loaded, changed)


def _explain(
    contract: Contract, data_dir: Path, max_errors: int, errors_path: Path | None
) -> Faults:
    """Return the faults of the files in *data_dir*; write all of them to *errors_path*."""
    try:
        if errors_path is None:
            return find_faults(contract, data_dir, max_errors=max_errors)
        with open_all_whole([errors_path]) as (file,):

            def write(fault: Fault) -> None:
                line = json.dumps(fault.describe(), ensure_ascii=False) + "\n"
                file.write(line.encode("utf-8"))

            return find_faults(contract, data_dir, max_errors=max_errors, sink=write)
    except sqlite3.OperationalError as error:
        raise DataError(
            f"{tempfile.gettempdir()}: the faults of the input cannot be looked for here:"
            f" {error}. Free some space, or name another folder in TMPDIR; the database was"
            " left as it is."
        ) from error


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
    contract: Contract,
    data_dir: Path,
    manifest: Manifest,
    partial: Path,
    shard: Path,
    progress: _Progress,
) -> list[LoadedFile]:
    """Fill the new database file *partial* in one transaction.

    Of large files another process loads a half into *shard*; the layout of the result
    depends on the files alone.
    """
    ours, theirs = share_out(contract, data_dir)
    with (
        load_beside(contract, theirs, data_dir, shard, progress.tell) as await_theirs,
        closing(open_new(partial)) as connection,
    ):
        connection.execute("BEGIN")
        create_tables(connection, contract)
        loaded = load_tables(connection, ours, data_dir, progress.tell)
        create_indexes(connection, contract)
        loaded += await_theirs()
        if theirs:
            take_shard(connection, theirs, shard)
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise Refusal("a reference to a row that does not exist")
        names = [f"{table.name}.csv" for table in contract.tables]
        loaded.sort(key=lambda file: names.index(file.name))
        record_provenance(connection, contract, loaded, manifest)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")
    return loaded
