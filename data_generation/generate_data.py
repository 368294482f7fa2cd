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
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

from data_generation.datapackage import (
    FileEntry,
    describe_package,
    read_package,
    require_planned_users,
)
from data_generation.model.orders import Ids
from data_generation.plan import WHOLE, Part, Plan, Span, cut_days
from data_generation.spans import (
    Shop,
    build_shop,
    count_span,
    format_product_rows,
    order_span,
    sign_up_span,
)
from data_generation.workers import (
    USERS_PER_WORKER,
    Executor,
    ScratchFile,
    SerialExecutor,
    open_executor,
)
from utils.atomic_files import open_atomically, open_scratch_folder
from utils.contract import MANIFEST_NAME, read_contract
from utils.helpers import hash_file, hash_files, render_json

COPY_BYTES = 1 << 20

ORDER_TABLES = ("orders", "order_items", "payments")

# The progress of a run is estimated from these: the relative work of a sign-up and of an
# order, and the number of orders per user.
SIGNUP_WORK, ORDER_WORK = 1, 2
ORDERS_PER_USER = 2


class WorkEstimate:
    """The progress of a run, as rows made and work done per mille of the estimate."""

    def __init__(
        self, user_count: int, on_progress: Callable[[int, int], None] | None
    ) -> None:
        self.order_count = ORDERS_PER_USER * user_count
        self._user_count = user_count
        self._on_progress = on_progress
        self._rows = 0
        self._done = 0

    def add(self, users: int, orders: int, rows: int) -> None:
        """Add *users* and *orders* that have been made, and *rows* that were written."""
        self._rows += rows
        self._done += SIGNUP_WORK * users + ORDER_WORK * orders
        work = SIGNUP_WORK * self._user_count + ORDER_WORK * self.order_count
        if self._on_progress is not None:
            self._on_progress(self._rows, 1000 * self._done // max(work, self._done, 1))


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


def generate_shop(
    plan: Plan,
    out_dir: Path,
    *,
    tables: Collection[str] = (),
    part: Part = WHOLE,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[FileEntry]:
    """Write the CSV files of *plan* and their manifest into *out_dir*.

    Write only *tables*, if any are given.  Only the first *part* of a file has a header;
    the manifest of each part states its number.  Return the entries of the files in the
    order of the contract, without the manifest.  Raise `DataError` if *out_dir* cannot be
    written to; the files of an earlier run then remain unchanged.
    """
    contract = read_contract()
    chosen = [table for table in contract.tables if not tables or table.name in tables]
    names = [part.name_file(table.name) for table in chosen]
    names.append(MANIFEST_NAME + part.suffix)
    with open_atomically([out_dir / name for name in names]) as opened:
        files = {
            table.name: TableFile(name, file)
            for table, name, file in zip(chosen, names, opened, strict=False)
        }
        if part.number == 1:
            for table in chosen:
                files[table.name].write_header(table.column_names)
        with _without_garbage_collection():
            _fill_files(plan, files, part, workers, on_progress, out_dir)
        entries = {name: file.describe() for name, file in files.items()}
        document = describe_package(plan, contract, entries)
        if part != WHOLE:
            document["part"] = part._asdict()
        opened[-1].write(render_json(document).encode("utf-8"))
    return list(entries.values())


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Free memory by reference counts alone: the run makes many lists and no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class SpanPlan(NamedTuple):
    """The spans of a part, one for each worker, and of the days before it."""

    earlier: list[Span]
    spans: list[Span]
    user_count: int


def _plan_spans(shop: Shop, part: Part, workers: int) -> SpanPlan:
    """Return the spans of *part*; small parts get fewer than *workers* spans."""
    calendar, counts = shop.calendar, shop.signup_counts
    all_days = Span(0, len(calendar.days))
    days = cut_days(calendar, counts, all_days, part.total)[part.number - 1]
    user_count = sum(counts[: days.stop])
    workers = max(1, min(workers, user_count // USERS_PER_WORKER))
    return SpanPlan(
        cut_days(calendar, counts, Span(0, days.first), workers),
        cut_days(calendar, counts, days, workers),
        user_count,
    )


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
    span_plan = _plan_spans(shop, part, workers)
    estimate = WorkEstimate(span_plan.user_count, on_progress)

    def write(table: str, rows: Sequence[str]) -> None:
        if table in files:
            files[table].write_rows(rows)

    def append(file: ScratchFile) -> None:
        if file.table in files:
            files[file.table].append_file(file)

    if part.number == 1:
        write("products", format_product_rows(shop))
    with open_scratch_folder(out_dir) as scratch:
        if len(span_plan.spans) == 1:
            serial = SerialExecutor(write, estimate.add)
            _make_days(plan, span_plan, scratch, files, estimate, serial)
        else:
            with open_executor(
                len(span_plan.spans), scratch, append, estimate.add
            ) as executor:
                _make_days(plan, span_plan, scratch, files, estimate, executor)


def _make_days(
    plan: Plan,
    span_plan: SpanPlan,
    scratch: Path,
    tables: Collection[str],
    estimate: WorkEstimate,
    executor: Executor,
) -> None:
    """Make the users and then the orders of *span_plan*.

    A sign-up day does not depend on other days.  Order days need all earlier purchases and
    the number of ids that the orders before them use.
    """
    earlier, spans, _ = span_plan
    last_day = spans[-1].stop
    signup_files = list(
        executor.run(
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
    estimate.order_count = sum(files.count_orders(last_day) for files in signup_files)
    counted = [*earlier, *spans[:-1]]
    counts = executor.run(count_span, [(plan, span, signup_files) for span in counted])
    ids_before = list(accumulate(counts, Ids.add, initial=Ids()))[len(earlier) :]
    for _ in executor.run(
        order_span,
        [
            (plan, span, signup_files, ids)
            for span, ids in zip(spans, ids_before, strict=True)
            if span.first < span.stop
        ],
    ):
        pass


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
    require_planned_users(out_dir / MANIFEST_NAME, plan, listed)
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
