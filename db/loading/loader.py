"""The fast road: CSV files into tables, each file read once.

The very bytes that are parsed are hashed.  Whole columns are proved canonical at a time,
SQLite does the rest (STRICT types, CHECKs, keys).  Nothing here explains a fault: whatever
stops this road sends the input down the slow one (`diagnosis`).
"""

from __future__ import annotations

import csv
import io
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from db.loading.records import RecordReader, UnreadableRecord
from utils.contract import Column, Contract, Table
from utils.csv_bytes import (
    BUFFER_BYTES,
    HashingReader,
    KeyOrder,
    RejectedInput,
    describe_form,
    max_line_bytes,
)
from utils.digest import table_digest
from utils.helpers import DataError
from utils.processes import (
    WorkerPool,
    add_progress,
    count_processors,
    open_workers,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

# Rows proved and inserted at once: few enough to stay in the processor's cache (5,000 take
# a third longer).
CHUNK_ROWS = 500

# From so many bytes on a second process is worth its start.
BYTES_FOR_TWO = 1 << 23

# An integer has one spelling.  SQLite alone would take ' 12', '012', '1e3' and '5.0' too.
_INTEGER = r"(?:0|-?[1-9][0-9]{0,18})"
_REQUIRED_INTEGERS = re.compile(rf"{_INTEGER}(?:\n{_INTEGER})*")
_OPTIONAL_INTEGERS = re.compile(rf"{_INTEGER}?(?:\n{_INTEGER}?)*")

# What is told of progress: so many rows and bytes more have been loaded.
Tell = Callable[[int, int], None]


class LoadedFile(NamedTuple):
    """One input as it was read.

    *form* says how: its encoding, line ends, and what else is not canonical about it.
    *content_sha256* is the digest of its table's rows (see `utils.digest`).  *warning* is a
    sentence about what is allowed, yet hardly meant, or ''.
    """

    name: str
    sha256: str
    bytes: int
    rows: int
    form: str
    content_sha256: str
    warning: str = ""


def load_tables(
    connection: sqlite3.Connection, tables: Sequence[Table], data_dir: Path, tell: Tell
) -> list[LoadedFile]:
    """Insert the CSV files of *tables* in *data_dir*; raise what `load_table` does."""
    return [
        load_table(connection, table, data_dir / f"{table.name}.csv", tell)
        for table in tables
    ]


def load_table(
    connection: sqlite3.Connection, table: Table, path: Path, tell: Tell
) -> LoadedFile:
    """Insert the rows of the CSV file *path* into *table*.

    Columns may come in any order.  Raise `RejectedInput`, `csv.Error`, `UnicodeDecodeError` or
    `sqlite3.IntegrityError` at the first row that does not fit.
    """
    rows = 0
    with open(path, "rb", buffering=0) as raw:
        source = HashingReader(raw, max_line_bytes(len(table.columns)))
        # Lines end at LF alone: csv then refuses a lone CR, which would split a row.
        text = io.TextIOWrapper(
            io.BufferedReader(source, BUFFER_BYTES), encoding="utf-8-sig", newline="\n"
        )
        reader = csv.reader(text, strict=True)
        header = next(reader, [])
        if sorted(header) != sorted(table.column_names):
            raise RejectedInput("a header that is not the contract's")
        columns = [table.find_column(name) for name in header]
        order = KeyOrder(table, header)
        insert = (
            f"INSERT INTO {table.name} ({', '.join(header)})"
            f" VALUES ({', '.join(map(_insert_value, columns))})"
        )
        told = 0
        while chunk := list(islice(reader, CHUNK_ROWS)):
            cells_by_column = prove_canonical(chunk, columns)
            connection.executemany(insert, chunk)
            rows += len(chunk)
            if order.position is not None:
                order.follow(cells_by_column[order.position])
            tell(len(chunk), source.byte_count - told)
            told = source.byte_count
    warning = "" if rows else f"{path.name} has a header and no rows."
    if not source.has_uniform_line_ends:
        warning = _compare_line_ends(path, table) or warning
    form = describe_form(source, table, header, order)
    sha256 = source.hexdigest()
    return LoadedFile(
        name=path.name,
        sha256=sha256,
        bytes=source.byte_count,
        rows=rows,
        form=form,
        content_sha256=sha256 if form == "canonical" else table_digest(connection, table),
        warning=warning,
    )


def _compare_line_ends(path: Path, table: Table) -> str:
    """Return a warning if the records of the CSV file *path* end in different ways, or ''.

    Line breaks within quotes are none of theirs.  Raise `RejectedInput` at a CR that ends none.
    """
    with open(path, "rb") as file:
        reader = RecordReader(file, len(table.columns))
        first = warning = ""
        try:
            for record in reader:
                first = first or reader.line_end
                if reader.line_end not in (first, "") and not warning:
                    warning = (
                        f"{path.name}:{record.line} ends with {reader.line_end}, the lines"
                        f" before it with {first}."
                    )
        except UnreadableRecord as error:
            raise RejectedInput(error.message) from error
    return warning


def _insert_value(column: Column) -> str:
    """Return how an INSERT takes a cell of *column*; of an optional one '' is no value."""
    return "?" if column.is_required else "NULLIF(?, '')"


def prove_canonical(
    rows: Sequence[Sequence[str]], columns: Sequence[Column]
) -> list[tuple[str, ...]]:
    """Return the cells of *rows* by column.

    Raise `RejectedInput` unless every row has *columns*, no required cell is empty and integers
    are canonical.  One pattern runs over a whole column, with line breaks between the
    cells; a cell that brings its own line break gives itself away by their number.
    """
    try:
        cells_by_column = list(zip(*rows, strict=True))
    except ValueError as error:
        raise RejectedInput("rows of different lengths") from error
    if len(cells_by_column) != len(columns):
        raise RejectedInput("rows of another length than the header")
    for column, cells in zip(columns, cells_by_column, strict=True):
        if column.type == "INTEGER":
            pattern = _REQUIRED_INTEGERS if column.is_required else _OPTIONAL_INTEGERS
            text = "\n".join(cells)
            if text.count("\n") != len(rows) - 1 or not pattern.fullmatch(text):
                raise RejectedInput("a cell that is not a canonical integer")
        elif column.is_required and "" in cells:
            raise RejectedInput("an empty cell where a value belongs")
    return cells_by_column


# ---- Two processes -----------------------------------------------------------------------


def split_tables(contract: Contract, data_dir: Path) -> tuple[list[Table], list[Table]]:
    """Return the tables that this process loads, and those that another one can.

    The other one's are the first ones that make up half of the bytes at most; there are
    none if the files are small.  It depends on the files alone, as the layout of the
    database does on it.
    """
    sizes = [(data_dir / f"{table.name}.csv").stat().st_size for table in contract.tables]
    tables = list(contract.tables)
    if sum(sizes) < BYTES_FOR_TWO:
        return tables, []
    count = max(n for n in range(len(sizes)) if 2 * sum(sizes[:n]) <= sum(sizes))
    return tables[count:], tables[:count]


@contextmanager
def load_in_second_process(
    contract: Contract, tables: Sequence[Table], data_dir: Path, shard: Path, tell: Tell
) -> Iterator[Callable[[], list[LoadedFile]]]:
    """Load *tables* into the database *shard* while the block runs, in another process.

    The block gets a function that waits for the end and returns the files or raises what
    stopped them.  With one processor only, the work is done when it is called.
    """
    if not tables or count_processors() == 1:
        yield lambda: load_shard(contract, tables, data_dir, shard, tell) if tables else []
        return
    with open_workers(1, 2, tell) as workers:
        future = workers.submit(load_shard, contract, tables, data_dir, shard)
        yield lambda: _await(workers, future)


def _await(workers: WorkerPool, future: Future[list[LoadedFile]]) -> list[LoadedFile]:
    """Return the result of *future*; raise `DataError` if the system ended the worker."""
    from concurrent.futures import BrokenExecutor

    try:
        loaded: list[LoadedFile] = workers.wait(future)
    except BrokenExecutor as error:
        raise DataError(
            "the second process of the load was ended by the system, perhaps for want of"
            " memory; the database was left as it is. Run again."
        ) from error
    return loaded


def load_shard(
    contract: Contract,
    tables: Sequence[Table],
    data_dir: Path,
    shard: Path,
    tell: Tell = add_progress,
) -> list[LoadedFile]:
    """Load *tables* with their indexes into the new database *shard*."""
    with closing(open_new(shard)) as connection:
        connection.execute("BEGIN")
        create_tables(connection, contract)
        loaded = load_tables(connection, tables, data_dir, tell)
        create_indexes(connection, contract)
        connection.execute("COMMIT")
    return loaded


def merge_shard(
    connection: sqlite3.Connection, tables: Sequence[Table], shard: Path
) -> None:
    """Move the rows of *tables* from the database *shard* into empty ones with indexes.

    Between tables with the same rules and indexes SQLite copies rows as they are stored.
    """
    connection.execute("ATTACH ? AS shard", (os.fspath(shard),))
    for table in tables:
        connection.execute(
            f"INSERT INTO main.{table.name} SELECT * FROM shard.{table.name}"
        )


def open_new(path: Path | str) -> sqlite3.Connection:
    """Return a connection to the new database *path*, of which only the end counts.

    An empty *path* means a database that goes with its connection.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    # Thrown away unless it is finished, so a journal on disk would guard nothing.
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = OFF")  # checked as a whole
    return connection


def create_tables(connection: sqlite3.Connection, contract: Contract) -> None:
    """Create every table of *contract*."""
    for statement in contract.table_statements:
        connection.execute(statement)


def create_indexes(connection: sqlite3.Connection, contract: Contract) -> None:
    """Create every index of *contract*."""
    for statement in contract.index_statements:
        connection.execute(statement)
