"""The slow road: read a refused input again, cell by cell, and name its faults.

Rows go one by one into a scratch database that has the contract's own rules, so a rule is
stated once, in the schema.  Each fault has a place: file, line, and the number of the field
in its line, counted from 1.  Lines are the file's own, right after quoted line breaks too.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from utils.contract import Column, Contract, Table
from utils.helpers import DataError

# Faults kept word for word; the others are only counted.
MOST_FAULTS = 50

# Values are shown up to this many characters.
SHOWN_CHARACTERS = 40

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


class Fault(NamedTuple):
    """One fault and its place; *line* and *field* count from 1, 0 meaning the whole."""

    file: str
    line: int
    field: int
    code: str
    message: str

    def __str__(self) -> str:
        """Return `file:line:field: CODE message`, without the parts that do not apply."""
        place = ":".join([self.file, *(str(part) for part in self[1:3] if part)])
        return f"{place}: {self.code} {self.message}"


class Faults(NamedTuple):
    """The faults of an input: the first ones, and how many there are in all."""

    first: list[Fault]
    total: int

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return self.total > 0


class InputFaults(DataError):
    """The input was refused; the text has one line a fault."""

    def __init__(self, faults: Faults) -> None:
        lines = [str(fault) for fault in faults.first]
        if faults.total > len(lines):
            lines.append(f"… and {faults.total - len(lines):,} more")
        noun = "fault" if faults.total == 1 else "faults"
        super().__init__(
            f"{faults.total:,} {noun} in the input; the database was left as it is.\n"
            + "\n".join(lines)
        )
        self.faults = faults


def find_faults(contract: Contract, data_dir: Path) -> Faults:
    """Return the faults of the contract's CSV files in *data_dir*, in reading order."""
    first: list[Fault] = []
    total = 0
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        for fault in _read_all(scratch, contract, data_dir):
            total += 1
            if total <= MOST_FAULTS:
                first.append(fault)
    return Faults(first, total)


def _read_all(
    scratch: sqlite3.Connection, contract: Contract, data_dir: Path
) -> Iterator[Fault]:
    scratch.execute("PRAGMA journal_mode = OFF")
    scratch.execute("PRAGMA foreign_keys = OFF")
    for statement in (*contract.table_statements, *contract.index_statements):
        scratch.execute(statement)
    scratch.execute(
        "CREATE TEMP TABLE places"
        " (table_name, row_id, line, PRIMARY KEY (table_name, row_id)) WITHOUT ROWID"
    )
    scratch.execute(
        "CREATE TEMP TABLE refused (table_name, key, PRIMARY KEY (table_name, key))"
    )
    scratch.execute("BEGIN")
    unread = []
    for table in contract.tables:
        reader = _TableReader(scratch, table, data_dir / f"{table.name}.csv")
        yield from reader.find_faults()
        if not reader.is_read:
            unread.append(table.name)
    for table in contract.tables:
        yield from _find_orphans(scratch, table, unread)


class _TableReader:
    """Reads one file into the scratch database and yields what is wrong on the way."""

    def __init__(self, scratch: sqlite3.Connection, table: Table, path: Path) -> None:
        self._scratch = scratch
        self._table = table
        self._path = path
        # Whether every row was looked at, so that a missing parent really is missing.
        self.is_read = False

    def find_faults(self) -> Iterator[Fault]:
        """Yield the faults of the file's form, cells, keys and rules."""
        data = self._path.read_bytes()
        encoding_fault = _find_encoding_fault(data)
        if encoding_fault is not None:
            yield self._fault(*encoding_fault)
            return
        records = _Records(data.decode("utf-8-sig"))
        try:
            header = next(records, None)
            if header is None:
                yield self._fault(0, 0, "E_EMPTY", "the file is empty, expected a header")
                return
            wrong = list(self._find_header_faults(header.cells))
            if wrong:
                yield from wrong
                return
            for record in records:
                yield from self._read_record(header.cells, record)
        except csv.Error as error:
            yield self._fault(records.line, 0, "E_QUOTES", _explain_quotes(error))
            return
        self.is_read = True

    def _fault(self, line: int, field: int, code: str, message: str) -> Fault:
        return Fault(self._path.name, line, field, code, message)

    def _find_header_faults(self, header: Sequence[str]) -> Iterator[Fault]:
        expected = self._table.column_names
        for delimiter, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if len(header) == 1 and delimiter in header[0]:
                yield self._fault(
                    1, 0, "E_DELIMITER",
                    f"columns look separated by {name}, expected commas",
                )  # fmt: skip
                return
        for at, name in enumerate(header, start=1):
            if name not in expected:
                yield self._fault(1, at, "E_HEADER", _explain_column(name, expected))
            elif header.index(name) != at - 1:
                yield self._fault(1, at, "E_HEADER", f"column {show(name)} comes twice")
        missing = [name for name in expected if name not in header]
        if missing:
            yield self._fault(1, 0, "E_HEADER", f"column {', '.join(missing)} is missing")

    def _read_record(self, header: Sequence[str], record: _Record) -> Iterator[Fault]:
        if len(record.cells) != len(header):
            yield self._explain_width(header, record)
            self._remember_refused(dict(zip(header, record.cells, strict=False)))
            return
        cells = dict(zip(header, record.cells, strict=True))
        wrong = [
            self._fault(record.line, at, code, f"{name} is {show(cells[name])}, {expected}")
            for at, name in enumerate(header, start=1)
            for code, expected in _judge_cell(self._table.find_column(name), cells[name])
        ]
        yield from wrong or self._insert(header, record)
        if wrong:
            self._remember_refused(cells)

    def _explain_width(self, header: Sequence[str], record: _Record) -> Fault:
        if not record.cells:
            return self._fault(
                record.line, 0, "E_BLANK_LINE", "the line is blank, remove it"
            )
        return self._fault(
            record.line, 0, "E_FIELDS",
            f"{len(record.cells)} fields, expected {len(header)} as in the header",
        )  # fmt: skip

    def _insert(self, header: Sequence[str], record: _Record) -> Iterator[Fault]:
        """Insert the row under the contract's rules; yield the rule that it breaks."""
        marks = ", ".join("NULLIF(?, '')" for _ in header)
        statement = f"INSERT INTO {self._table.name} ({', '.join(header)}) VALUES ({marks})"
        try:
            cursor = self._scratch.execute(statement, record.cells)
        except sqlite3.IntegrityError as error:
            yield self._explain_rule(header, record, error)
            self._remember_refused(dict(zip(header, record.cells, strict=True)))
        else:
            self._scratch.execute(
                "INSERT INTO places VALUES (?, ?, ?)",
                (self._table.name, cursor.lastrowid, record.line),
            )

    def _explain_rule(
        self, header: Sequence[str], record: _Record, error: sqlite3.IntegrityError
    ) -> Fault:
        kind, _, subject = str(error).partition(" constraint failed: ")
        cells = dict(zip(header, record.cells, strict=True))
        columns = [name.rpartition(".")[2] for name in subject.split(", ")]
        if kind == "UNIQUE" and set(columns) <= set(header):
            values = ", ".join(f"{name} {show(cells[name])}" for name in columns)
            place = self._find_line(columns, [cells[name] for name in columns])
            return self._fault(
                record.line, header.index(columns[0]) + 1, "E_DUPLICATE",
                f"{values} is already {place}, expected it once",
            )  # fmt: skip
        column = find_named_column(subject, header)
        if column is None:
            return self._fault(record.line, 0, "E_RULE", f"the row breaks {error}")
        return self._fault(
            record.line, header.index(column) + 1, "E_RULE",
            f"{column} is {show(cells[column])}, which breaks the rule {subject}",
        )  # fmt: skip

    def _find_line(self, columns: Sequence[str], values: Sequence[str]) -> str:
        where = " AND ".join(f"{name} = ?" for name in columns)
        found = self._scratch.execute(
            f"SELECT line FROM places JOIN {self._table.name} AS earlier"
            f" ON row_id = earlier.rowid WHERE table_name = ? AND {where}",
            (self._table.name, *values),
        ).fetchone()
        # An index may call values the same that are not equal, such as 'A' and 'a'.
        return f"in line {found[0]}" if found else "there in another spelling"

    def _remember_refused(self, cells: dict[str, str]) -> None:
        """Keep the key of a refused row, so that its children are not called orphans."""
        self._scratch.execute(
            "INSERT OR IGNORE INTO refused VALUES (?, ?)",
            (self._table.name, cells.get(self._table.key[0])),
        )


class _Record(NamedTuple):
    line: int
    cells: list[str]


class _Records(Iterator[_Record]):
    """The records of a CSV text, each with the line where it begins.

    After an error *line* is where the record in error began.
    """

    def __init__(self, text: str) -> None:
        self._reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        self.line = 1

    def __next__(self) -> _Record:
        self.line = self._reader.line_num + 1
        return _Record(self.line, next(self._reader))


def _find_encoding_fault(data: bytes) -> tuple[int, int, str, str] | None:
    """Return line, field (0: unknown), code and message of the first byte not text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return (
            1,
            0,
            "E_ENCODING",
            "the file looks like UTF-16, expected UTF-8; save it as that",
        )
    nul = data.find(b"\0")
    if nul >= 0:
        return _line_of(data, nul), 0, "E_NUL", f"a NUL at byte {nul}, expected text"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = data[error.start : error.end].hex(" ")
        return (
            _line_of(data, error.start), 0, "E_ENCODING",
            f"byte {error.start} is {bad}, which is not UTF-8; save the file as UTF-8",
        )  # fmt: skip
    return None


def _line_of(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _judge_cell(column: Column, cell: str) -> Iterator[tuple[str, str]]:
    """Yield code and expectation if *cell* is not a canonical value of *column*."""
    if cell == "":
        if column.is_required:
            yield "E_MISSING", "expected a value"
    elif column.type == "INTEGER":
        if not _INTEGER.fullmatch(cell):
            unit = "whole cents" if column.name.endswith("_cents") else "a whole number"
            yield "E_INTEGER", f"expected {unit} such as 1250"
        elif not _SMALLEST <= int(cell[:25]) <= _LARGEST:
            yield "E_RANGE", "expected an integer of at most 64 bits"


def _explain_column(name: str, expected: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name.strip().lower(), expected, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"column {show(name)} is not expected{hint}"


def _explain_quotes(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "the quote that opens in this record is never closed"
    if "field larger than field limit" in str(error):
        return "a field is longer than 131,072 characters; is a quote left open?"
    return f"the record is not CSV: {error}"


def find_named_column(rule: str, columns: Sequence[str]) -> str | None:
    """Return the column that begins the name of *rule*, the longest one if several do.

    >>> find_named_column("total_cents_is_right", ["total_cents", "total", "user_id"])
    'total_cents'
    """
    beginnings = [name for name in columns if rule.startswith(f"{name}_")]
    return max(beginnings, key=len, default=None)


def _find_orphans(
    scratch: sqlite3.Connection, table: Table, unread: Sequence[str]
) -> Iterator[Fault]:
    """Yield the rows of *table* whose parent is nowhere in a file that was read whole."""
    for key in table.foreign_keys:
        if key.parent_table in unread:
            continue
        orphans = scratch.execute(
            f"SELECT line, child.{key.column}"
            f" FROM places JOIN {table.name} AS child ON row_id = child.rowid"
            f" LEFT JOIN {key.parent_table} AS parent"
            f" ON parent.{key.parent_column} = child.{key.column}"
            f" LEFT JOIN refused ON refused.table_name = ?"
            f" AND refused.key = CAST(child.{key.column} AS TEXT)"
            f" WHERE places.table_name = ? AND child.{key.column} IS NOT NULL"
            f" AND parent.{key.parent_column} IS NULL AND refused.key IS NULL"
            f" ORDER BY line",
            (key.parent_table, table.name),
        )
        field = table.column_names.index(key.column) + 1
        for line, value in orphans:
            yield Fault(
                f"{table.name}.csv", line, field, "E_REFERENCE",
                f"{key.column} {value} is not in {key.parent_table}.csv",
            )  # fmt: skip


def show(value: str) -> str:
    """Return *value* quoted, with control characters escaped, cut if it is long.

    >>> show("12.50")
    "'12.50'"
    """
    cut = value[:SHOWN_CHARACTERS]
    return repr(cut) + ("…" if len(value) > len(cut) else "")
