"""The fast path: CSV files into tables; each file is read once.

The bytes that are parsed are also hashed.  Complete columns are proved canonical at once,
SQLite does the rest (STRICT types, CHECKs, keys).  Nothing here explains a fault: whatever
stops the fast path sends the input to the diagnostic path (`diagnosis`).
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from db.loading.records import RecordReader, UnreadableRecord
from utils.connections import open_connection
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
from utils.months import has_outside_years

# Rows proved and inserted in one step: few enough to stay in the processor's cache (5,000
# take a third longer).
CHUNK_ROWS = 500

# An integer has one spelling.  SQLite alone would accept ' 12', '012', '1e3' and '5.0' too.
_INTEGER = r"(?:0|-?[1-9][0-9]{0,18})"
_REQUIRED_INTEGERS = re.compile(rf"{_INTEGER}(?:\n{_INTEGER})*")
_OPTIONAL_INTEGERS = re.compile(rf"{_INTEGER}?(?:\n{_INTEGER}?)*")

# Called with the number of rows and of bytes that were read since the last call.
OnRead = Callable[[int, int], None]


class LoadedFile(NamedTuple):
    """One CSV file as it was read.

    *form* is `canonical` or lists what is not: encoding, line ends, order and quotes.
    *content_sha256* is the digest of its table's rows (see `utils.digest`).  *warnings* are
    sentences about what is allowed but probably not intended, *notes* about what is only
    worth knowing.
    """

    name: str
    sha256: str
    bytes: int
    rows: int
    form: str
    content_sha256: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def add_sentence(self, sentence: str, *, is_warning: bool) -> LoadedFile:
        """Return the file with one more *sentence*, a warning or a note."""
        if is_warning:
            return self._replace(warnings=(*self.warnings, sentence))
        return self._replace(notes=(*self.notes, sentence))


def load_tables(
    connection: sqlite3.Connection,
    tables: Sequence[Table],
    data_dir: Path,
    on_read: OnRead,
) -> list[LoadedFile]:
    """Insert the CSV files of *tables* in *data_dir*; raise what `load_table` does."""
    return [
        load_table(connection, table, data_dir / f"{table.name}.csv", on_read)
        for table in tables
    ]


def load_table(
    connection: sqlite3.Connection, table: Table, path: Path, on_read: OnRead
) -> LoadedFile:
    """Insert the rows of the CSV file *path* into *table*.

    The columns may be in any order.  Raise `RejectedInput`, `csv.Error`,
    `UnicodeDecodeError` or `sqlite3.IntegrityError` at the first row that does not fit.
    """
    rows = reported = 0
    with open(path, "rb", buffering=0) as raw:
        source = HashingReader(raw, max_line_bytes(len(table.columns)))
        # Lines end at LF alone: csv then rejects a lone CR, which would split a row.
        text = io.TextIOWrapper(
            io.BufferedReader(source, BUFFER_BYTES), encoding="utf-8-sig", newline="\n"
        )
        reader = csv.reader(text, strict=True)
        header = next(reader, [])
        if sorted(header) != sorted(table.column_names):
            raise RejectedInput("a header that is not the contract's")
        order = KeyOrder(table, header)
        for count in _insert_rows(connection, table, header, order, reader):
            rows += count
            on_read(count, source.byte_count - reported)
            reported = source.byte_count
    is_uniform = source.has_uniform_line_ends
    warning = "" if is_uniform else _compare_line_ends(path, table)
    form = describe_form(source, table, header, order)
    sha256 = source.hexdigest()
    return LoadedFile(
        name=path.name,
        sha256=sha256,
        bytes=source.byte_count,
        rows=rows,
        form=form,
        content_sha256=sha256 if form == "canonical" else table_digest(connection, table),
        warnings=(warning,) if warning else (),
    )


def _insert_rows(
    connection: sqlite3.Connection,
    table: Table,
    header: Sequence[str],
    order: KeyOrder,
    rows: Iterable[list[str]],
) -> Iterator[int]:
    """Insert *rows* into *table* in chunks; yield the number of rows of each."""
    columns = [table.find_column(name) for name in header]
    insert = (
        f"INSERT INTO {table.name} ({', '.join(header)})"
        f" VALUES ({', '.join(map(_insert_value, columns))})"
    )
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        cells_by_column = prove_canonical(chunk, columns)
        connection.executemany(insert, chunk)
        if order.position is not None:
            order.follow(cells_by_column[order.position])
        yield len(chunk)


def _compare_line_ends(path: Path, table: Table) -> str:
    """Return a warning if the records of the CSV file *path* end in different ways, or ''.

    Line breaks within quotes do not count.  Raise `RejectedInput` at a lone CR.
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
    """Return the SQL that inserts a cell of *column*; in an optional one '' is NULL."""
    return "?" if column.is_required else "NULLIF(?, '')"


def prove_canonical(
    rows: Sequence[Sequence[str]], columns: Sequence[Column]
) -> list[tuple[str, ...]]:
    """Return the cells of *rows* by column.

    Raise `RejectedInput` unless every row has *columns*, no required cell is empty,
    integers are canonical and events are within the years of the data.  One pattern runs
    over a complete column, with line breaks between the cells; a cell that contains a line
    break changes their number.
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
        elif column.is_event and has_outside_years(cells):
            raise RejectedInput("an event outside the years of the data")
    return cells_by_column


def open_new(path: Path | str) -> sqlite3.Connection:
    """Return a connection to the new database *path*, whose changes are not journalled.

    An empty *path* is a temporary database, which ends with the connection.
    """
    connection = open_connection(path)
    # It is deleted unless it is completed, so a journal on disk would protect nothing.
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = OFF")  # checked once, at the end
    return connection


def create_tables(connection: sqlite3.Connection, contract: Contract) -> None:
    """Create every table of *contract*."""
    for statement in contract.table_statements:
        connection.execute(statement)


def create_indexes(connection: sqlite3.Connection, contract: Contract) -> None:
    """Create every index of *contract*."""
    for statement in contract.index_statements:
        connection.execute(statement)
