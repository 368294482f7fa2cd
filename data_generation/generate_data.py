"""The run: from a plan to five CSV files and their manifest.

Sign-up days make users and their moments of purchase; order days make orders, lines and
payments.  Ids are dense and rise with time, and every file is in time order.  The days are
made by this process or by several; the files appear only when all of them are whole.
"""

from __future__ import annotations

import gc
import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

from data_generation.datapackage import Written, describe_package, read_manifest
from data_generation.model.orders import Ids
from data_generation.plan import Plan, Span, cut_days
from data_generation.spans import (
    count_span,
    list_products,
    open_shop,
    order_span,
    sign_up_span,
)
from data_generation.workers import (
    MOST_WORKERS,
    USERS_PER_WORKER,
    Executor,
    ScratchFile,
    SerialExecutor,
    open_executor,
)
from utils.atomic_files import open_atomically
from utils.contract import MANIFEST_NAME, read_contract
from utils.helpers import hash_file, hash_files, render_json

COPY_BYTES = 1 << 20

ORDER_TABLES = ("orders", "order_items", "payments")

# What a sign-up and an order take, in proportion, and how many orders a user will make:
# how far a run has come is estimated from them.
SIGNUP_WORK, ORDER_WORK = 1, 2
ORDERS_PER_USER = 2


class Part(NamedTuple):
    """Part *number* of *total* of every file, by time; the parts in order are the file."""

    number: int
    total: int

    def name_file(self, table: str) -> str:
        """Return the name of this part of a table's file.

        >>> Part(2, 16).name_file("users"), Part(1, 1).name_file("users")
        ('users.csv.part-02-of-16', 'users.csv')
        """
        return f"{table}.csv{self.suffix}"

    @property
    def suffix(self) -> str:
        """Return what the names of this part's files end with.

        >>> Part(2, 16).suffix, Part(1, 1).suffix
        ('.part-02-of-16', '')
        """
        if self.total == 1:
            return ""
        width = len(str(self.total))
        return f".part-{self.number:0{width}}-of-{self.total}"


WHOLE = Part(1, 1)


class Progress:
    """How far a run has come; *watch* is told rows made and work done, per mille."""

    def __init__(self, user_count: int, watch: Callable[[int, int], None] | None) -> None:
        self.order_count = ORDERS_PER_USER * user_count
        self._user_count = user_count
        self._watch = watch
        self._rows = 0
        self._done = 0

    def tell(self, users: int, orders: int, rows: int) -> None:
        """Note that so many *users* and *orders* more are made, and *rows* written."""
        self._rows += rows
        self._done += SIGNUP_WORK * users + ORDER_WORK * orders
        work = SIGNUP_WORK * self._user_count + ORDER_WORK * self.order_count
        if self._watch is not None:
            self._watch(self._rows, 1000 * self._done // max(work, self._done, 1))


class TableFile:
    """One CSV file being written: counts and hashes what passes through."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self._name = name
        self._file = file
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._rows = 0

    def write_header(self, column_names: Sequence[str]) -> None:
        """Begin the file with the names of its columns."""
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

    def describe(self) -> Written:
        """Return what has been written so far."""
        return Written(
            path=self._name,
            bytes=self._bytes,
            rows=self._rows,
            sha256=self._hash.hexdigest(),
        )

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)


class Verified(NamedTuple):
    """A file as `verify_shop` found it; *verdict* is in words."""

    path: str
    is_exact: bool
    verdict: str


def generate_shop(
    plan: Plan,
    out_dir: Path,
    *,
    tables: Collection[str] = (),
    part: Part = WHOLE,
    workers: int = 1,
    watch: Callable[[int, int], None] | None = None,
) -> list[Written]:
    """Write the CSV files of *plan* and their manifest into *out_dir*.

    Only *tables*, if any are named.  Of the *parts* of a file only the first has headers,
    and the manifest of each tells which it is.  Return what was written, in the contract's
    order, without the manifest.
    Raise `DataError` if *out_dir* cannot be written to; the files of an earlier run then
    stay as they are.
    """
    contract = read_contract()
    wanted = [table for table in contract.tables if not tables or table.name in tables]
    names = [part.name_file(table.name) for table in wanted]
    names.append(MANIFEST_NAME + part.suffix)
    with open_atomically([out_dir / name for name in names]) as opened:
        files = {
            table.name: TableFile(name, file)
            for table, name, file in zip(wanted, names, opened, strict=False)
        }
        if part.number == 1:
            for table in wanted:
                files[table.name].write_header(table.column_names)
        with _without_garbage_collection():
            _fill_files(plan, files, part, workers, watch, out_dir)
        written = {name: file.describe() for name, file in files.items()}
        document = describe_package(plan, contract, written)
        if part != WHOLE:
            document["part"] = part._asdict()
        opened[-1].write(render_json(document).encode("utf-8"))
    return list(written.values())


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Let reference counts alone free memory: the run makes many lists and no cycles."""
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
    watch: Callable[[int, int], None] | None,
    out_dir: Path,
) -> None:
    """Make the rows of *part* and write those of the tables that have *files*."""
    shop = open_shop(plan)
    calendar, signups = shop.calendar, shop.signups
    whole = Span(0, len(calendar.days))
    ours = cut_days(calendar, signups, whole, part.total)[part.number - 1]
    most = min(MOST_WORKERS, sum(signups[: ours.stop]) // USERS_PER_WORKER)
    workers = max(1, min(workers, most))
    earlier = cut_days(calendar, signups, Span(0, ours.first), workers)
    spans = cut_days(calendar, signups, ours, workers)
    progress = Progress(sum(signups[: ours.stop]), watch)

    def write(table: str, rows: Sequence[str]) -> None:
        if table in files:
            files[table].write_rows(rows)

    def append(file: ScratchFile) -> None:
        if file.table in files:
            files[file.table].append_file(file)

    if part.number == 1:
        write("products", list_products(shop))
    with tempfile.TemporaryDirectory(
        dir=out_dir, prefix=".generate_data.", suffix=".partial"
    ) as folder:
        scratch = Path(folder)
        make = partial(_make_days, plan, earlier, spans, scratch, files, progress)
        if workers == 1:
            make(SerialExecutor(write, progress.tell))
        else:
            with open_executor(workers, scratch, append, progress.tell) as crew:
                make(crew)


def _make_days(
    plan: Plan,
    earlier: Sequence[Span],
    spans: Sequence[Span],
    scratch: Path,
    tables: Collection[str],
    progress: Progress,
    crew: Executor,
) -> None:
    """Make users, then orders, of *spans*, and what must be known of *earlier* ones.

    Sign-up days need nothing but themselves.  Order days need all earlier moments of
    purchase, and how many ids the orders before them take.
    """
    last_day = spans[-1].stop
    diaries = list(
        crew.run(
            sign_up_span,
            [
                (plan, span, last_day, scratch, span in spans and "users" in tables)
                for span in [*earlier, *spans]
                if span.first < span.stop
            ],
        )
    )
    if not any(table in ORDER_TABLES for table in tables):
        return
    progress.order_count = sum(diary.count_orders(last_day) for diary in diaries)
    counted = [*earlier, *spans[:-1]]
    counts = crew.run(count_span, [(plan, span, diaries) for span in counted])
    before = list(accumulate(counts, Ids.add, initial=Ids()))[len(earlier) :]
    for _ in crew.run(
        order_span,
        [
            (plan, span, diaries, ids)
            for span, ids in zip(spans, before, strict=True)
            if span.first < span.stop
        ],
    ):
        pass


def verify_shop(out_dir: Path, *, workers: int = 1) -> tuple[Plan, list[Verified]]:
    """Compare the files in *out_dir* with their manifest, and with what its seed makes.

    The shop is made again, from the plan in the manifest, in a temporary folder.  Return
    that plan and a verdict for each file that the manifest names, and for the manifest.
    Raise `DataError` if the manifest is missing or states no plan of this format version.
    """
    plan, listed = read_manifest(out_dir / MANIFEST_NAME)
    with tempfile.TemporaryDirectory() as folder:
        made = generate_shop(plan, Path(folder), tables=list(listed), workers=workers)
        made_sha256 = hash_file(Path(folder) / MANIFEST_NAME)
    verified = []
    for file in made:
        table = listed[file.path.removesuffix(".csv")]
        paths = [out_dir / path for path in table.paths]
        verified.append(_judge_file(file.path, paths, file.sha256, table.sha256))
    # Of parts the manifest lists more than one of whole files does.
    if all(len(table.paths) == 1 for table in listed.values()):
        path = out_dir / MANIFEST_NAME
        verified.append(_judge_file(path.name, [path], made_sha256, None))
    return plan, verified


def _judge_file(
    name: str, paths: Sequence[Path], made_sha256: str, listed_sha256: str | None
) -> Verified:
    try:
        sha256 = hash_files(paths)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        verdict = "missing" if missing == name else f"missing: {missing}"
        return Verified(name, is_exact=False, verdict=verdict)
    if sha256 == made_sha256:
        return Verified(name, is_exact=True, verdict="exactly what this seed makes")
    if sha256 == listed_sha256:
        verdict = "as its manifest says, but not what this seed makes"
    else:
        verdict = "differs from what this seed makes"
    return Verified(name, is_exact=False, verdict=verdict)
