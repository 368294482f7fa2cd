"""Make the CSV files of a plan and their manifest, or verify them.

Sign-up days make users and the times of their purchases; order days make orders, lines and
payments.  Ids are dense and ascend with time, and every file is in time order.  One process
or several make the days; the files appear only when all of them are complete.
"""

from __future__ import annotations

import gc
import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from data_generation.datapackage import (
    FileEntry,
    describe_blind_package,
    describe_package,
    read_package,
)
from data_generation.days import (
    Work,
    WorkEstimate,
    divide_days,
    make_days,
    share_days,
)
from data_generation.plan import UNDIVIDED, Part, Plan
from data_generation.spans import (
    build_shop,
    format_product_rows,
    require_planned_users,
)
from data_generation.workers import ScratchFile, open_executor
from utils.atomic_files import open_atomically, open_scratch_folder
from utils.contract import MANIFEST_NAME, read_contract
from utils.helpers import hash_file, hash_files, render_json

COPY_BYTES = 1 << 20


class TableFile:
    """A CSV file being written, with its size, rows and hash so far."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self._name = name
        self._file = file
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._rows = 0

    def write_header(self, column_names: Sequence[str]) -> None:
        """Write the first line, the names of the columns."""
        self._write((",".join(column_names) + "\n").encode("utf-8"))

    def write_rows(self, rows: Sequence[str]) -> None:
        """Append *rows*, each a line with its newline."""
        self._rows += len(rows)
        self._write("".join(rows).encode("utf-8"))

    def append_file(self, file: ScratchFile) -> None:
        """Append the rows of *file*."""
        self._rows += file.rows
        with open(file.path, "rb") as source:
            while data := source.read(COPY_BYTES):
                self._write(data)

    def describe(self) -> FileEntry:
        """Return the manifest's entry of what has been written so far."""
        return FileEntry(self._name, self._bytes, self._rows, self._hash.hexdigest())

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)


def list_shop_paths(out_dir: Path, tables: Collection[str], part: Part) -> list[Path]:
    """Return the files of a *part* of *tables*, none for all; the manifest is the last."""
    known = [table.name for table in read_contract().tables]
    names = [part.name_file(name) for name in known if not tables or name in tables]
    return [out_dir / name for name in (*names, MANIFEST_NAME + part.suffix)]


def generate_shop(
    plan: Plan,
    out_dir: Path,
    *,
    tables: Collection[str] = (),
    part: Part = UNDIVIDED,
    is_blind: bool = False,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[FileEntry]:
    """Write the CSV files of *plan* and their manifest into *out_dir*.

    Write only *tables*, if any are given.  Only the first *part* of a file has a header;
    the manifest of each part states its number.  If it *is_blind*, the manifest states no
    seed.  Return the entries of the files in the order of the contract, without the
    manifest.  Raise `DataError` if *out_dir* cannot be written to; the files of an earlier
    run then remain unchanged.
    """
    contract = read_contract()
    chosen = [table for table in contract.tables if not tables or table.name in tables]
    with open_atomically(list_shop_paths(out_dir, tables, part)) as opened:
        files = {
            table.name: TableFile(part.name_file(table.name), file)
            for table, file in zip(chosen, opened, strict=False)
        }
        if part.number == 1:
            for table in chosen:
                files[table.name].write_header(table.column_names)
        with without_garbage_collection():
            _fill_files(plan, files, part, workers, on_progress, out_dir)
        entries = {name: file.describe() for name, file in files.items()}
        describe = describe_blind_package if is_blind else describe_package
        document = describe(plan, contract, entries)
        if part != UNDIVIDED:
            document["part"] = part._asdict()
        opened[-1].write(render_json(document).encode("utf-8"))
    return list(entries.values())


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Free memory by reference counts alone: the run makes many lists and no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _fill_files(
    plan: Plan,
    files: dict[str, TableFile],
    part: Part,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
    out_dir: Path,
) -> None:
    """Write the rows of *part* to *files*, given by table; other tables are not written."""
    shop = build_shop(plan)
    days = divide_days(shop, part, workers)
    estimate = WorkEstimate(days.user_count, on_progress)

    def write(table: str, rows: Sequence[str]) -> None:
        if table in files:
            files[table].write_rows(rows)

    def append(file: ScratchFile) -> None:
        if file.table in files:
            files[file.table].append_file(file)

    if part.number == 1:
        write("products", format_product_rows(shop))
    with open_scratch_folder(out_dir) as scratch:
        work = Work(plan, days, files, scratch, estimate)
        if days.workers == 1:
            make_days(work, write)
        else:
            with open_executor(days.workers, scratch, append, estimate.add) as executor:
                share_days(work, executor)


class FileVerdict(NamedTuple):
    """Whether a file is exactly what its seed makes; *text* states it in words."""

    path: str
    is_exact: bool
    text: str


def verify_shop(out_dir: Path, *, workers: int = 1) -> tuple[Plan, list[FileVerdict]]:
    """Compare the files in *out_dir* with their manifest, and with what its seed makes.

    The shop is generated again, from the plan in the manifest, in a temporary folder.
    Return that plan, and a verdict on each listed file and on the manifest.  Raise
    `DataError` if the manifest is missing or has no plan of this format version.
    """
    plan, listed, _ = read_package(out_dir / MANIFEST_NAME)
    if "users" in listed:
        require_planned_users(out_dir / MANIFEST_NAME, plan, listed["users"].rows)
    with tempfile.TemporaryDirectory() as folder:
        made = generate_shop(plan, Path(folder), tables=list(listed), workers=workers)
        manifest_sha256 = hash_file(Path(folder) / MANIFEST_NAME)
    verdicts = []
    for file in made:
        table = listed[file.path.removesuffix(".csv")]
        paths = [out_dir / path for path in table.paths]
        verdicts.append(_compare_file(file.path, paths, file.sha256, table.sha256))
    # The manifest of joined parts also lists the parts, which the new one does not.
    if all(len(table.paths) == 1 for table in listed.values()):
        path = out_dir / MANIFEST_NAME
        verdicts.append(_compare_file(path.name, [path], manifest_sha256, None))
    return plan, verdicts


def _compare_file(
    name: str, paths: Sequence[Path], made_sha256: str, listed_sha256: str | None
) -> FileVerdict:
    try:
        sha256 = hash_files(paths)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        text = "missing" if missing == name else f"missing: {missing}"
        return FileVerdict(name, is_exact=False, text=text)
    except OSError as error:
        text = f"cannot be read: {error.strerror or error}"
        return FileVerdict(name, is_exact=False, text=text)
    if sha256 == made_sha256:
        return FileVerdict(name, is_exact=True, text="exactly what this seed makes")
    if sha256 == listed_sha256:
        text = "matches its manifest, but not what this seed makes"
    else:
        text = "differs from what this seed makes"
    return FileVerdict(name, is_exact=False, text=text)
