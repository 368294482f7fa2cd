"""The slow road: read a refused input again and name its faults, all of them.

Sound stretches go into a scratch database in chunks, as on the fast road; in the others
row by row, cell by cell and rule by rule.  The scratch has the contract's own rules, so a
rule is stated once, in the schema.  A fault has a place: file, line, and the number of the
field in its line, counted from 1.  Memory stays flat whatever the number of faults.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from db.cells import (
    convert,
    explain_column,
    find_delimiter,
    find_named_column,
    find_nearest,
    is_blank,
    judge_cell,
)
from db.faults import MOST_FAULTS, Fault, Faults, show
from db.loading import CHUNK_ROWS, Refusal, prove_canonical
from db.records import Record, RecordReader, Unreadable, find_other_encoding
from db.rules import RuleBook
from utils.contract import Column, Contract, Table

# Bytes that are not UTF-8, as the record reader hands them on.
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")

# Only lookups by key and by UNIQUE happen in the scratch; so much of it stays in memory.
_SCRATCH_CACHE_KIB = 32_768


def find_faults(
    contract: Contract,
    data_dir: Path,
    *,
    max_errors: int = MOST_FAULTS,
    sink: Callable[[Fault], object] = lambda _fault: None,
) -> Faults:
    """Return the faults of the contract's CSV files in *data_dir*, in reading order.

    Of each code in each file the first *max_errors* are kept; *sink* gets every one.
    """
    first: list[Fault] = []
    counts: Counter[tuple[str, str]] = Counter()
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        for fault in _read_all(scratch, contract, data_dir):
            sink(fault)
            kind = fault.file, fault.code
            counts[kind] += 1
            if counts[kind] <= max_errors:
                first.append(fault)
    return Faults(first, counts)


def _read_all(
    scratch: sqlite3.Connection, contract: Contract, data_dir: Path
) -> Iterator[Fault]:
    scratch.execute("PRAGMA journal_mode = MEMORY")
    scratch.execute("PRAGMA foreign_keys = OFF")
    scratch.execute(f"PRAGMA cache_size = -{_SCRATCH_CACHE_KIB}")
    scratch.execute("BEGIN")
    for statement in (*contract.table_statements, *contract.index_statements):
        if not statement.upper().startswith("CREATE INDEX"):
            scratch.execute(statement)
    # Of a row that was refused: what it is called, and what it refers to.
    scratch.execute(
        "CREATE TABLE refused_names (table_name, column_name, value, line, offset,"
        " PRIMARY KEY (table_name, column_name, value)) WITHOUT ROWID"
    )
    scratch.execute(
        "CREATE TABLE refused_references (table_name, column_name, value, line, offset)"
    )
    unread = []
    for table, statement in zip(contract.tables, _statements(contract), strict=True):
        reader = _TableReader(scratch, contract, table, statement, data_dir)
        yield from reader.find_faults()
        if not reader.is_read:
            unread.append(table.name)
    for table in contract.tables:
        for key in table.foreign_keys:
            if key.parent_table not in unread:
                yield from _find_orphans(scratch, contract, table, key.column)


def _statements(contract: Contract) -> list[str]:
    """Return the CREATE statements of the contract's tables, in their order."""
    found = []
    for table in contract.tables:
        pattern = re.compile(rf"\s*CREATE\s+TABLE\s+[\"'`\[]?{table.name}\b", re.IGNORECASE)
        found += [sql for sql in contract.table_statements if pattern.match(sql)][:1]
    return found


class _TableReader:
    """Reads one file into the scratch database and yields what is wrong on the way."""

    def __init__(
        self,
        scratch: sqlite3.Connection,
        contract: Contract,
        table: Table,
        statement: str,
        data_dir: Path,
    ) -> None:
        self._scratch = scratch
        self._table = table
        self._path = data_dir / f"{table.name}.csv"
        self._line, self._offset = _add_place(scratch, table)
        self._keys = _list_unique(scratch, table)
        self._names = _list_names(contract, table, self._keys)
        self._rules = RuleBook(scratch, statement, table.column_names)
        self._header: list[str] = []
        self._columns: list[Column] = []
        # Whether every row was looked at, so that a missing parent really is missing.
        self.is_read = False

    def find_faults(self) -> Iterator[Fault]:
        """Yield the faults of the file's form, cells, keys and rules."""
        with open(self._path, "rb") as file:
            head = file.read(4096)
            encoding = find_other_encoding(head)
            if encoding is not None:
                yield self._fault(
                    1, 0, "E_ENCODING",
                    f"the file looks like {encoding}, expected UTF-8; save it as that",
                    offset=0, expected="UTF-8",
                )  # fmt: skip
                return
            file.seek(0)
            reader = RecordReader(file)
            wrong = list(self._read_header(reader))
            if wrong:
                yield from wrong
                return
            yield from self._read_rows(reader)
        yield from self._find_duplicates_of_refused()

    def _fault(
        self,
        line: int,
        field: int,
        code: str,
        message: str,
        *,
        offset: int | None = None,
        value: str | None = None,
        expected: str | None = None,
    ) -> Fault:
        column = self._header[field - 1] if 0 < field <= len(self._header) else None
        return Fault(
            self._path.name, line, field, code, message, column, offset, value, expected
        )

    # ---- The header ----------------------------------------------------------------------

    def _read_header(self, reader: RecordReader) -> Iterator[Fault]:
        """Take the header; yield what is wrong with it."""
        try:
            record = next(reader, None)
            starts_blank = record is not None and is_blank(record)
            while record is not None and is_blank(record):
                record = next(reader, None)
        except Unreadable as error:
            yield self._explain_unreadable(error)
            return
        if record is None:
            yield self._fault(0, 0, "E_EMPTY", "the file is empty, expected a header")
            return
        if starts_blank:
            yield self._fault(
                1, 0, "E_BLANK_LINE",
                "blank lines come before the header, remove them",
                offset=0, expected="the header",
            )  # fmt: skip
        bad = list(self._find_bad_bytes(reader, record))
        yield from bad
        if not bad:
            yield from self._find_header_faults(record)
        self._header = record.cells
        if sorted(record.cells) == sorted(self._table.column_names):
            self._columns = [self._table.find_column(name) for name in record.cells]

    def _find_header_faults(self, record: Record) -> Iterator[Fault]:
        header, line = record.cells, record.line
        delimiter = find_delimiter(header)
        if delimiter is not None:
            yield self._fault(
                line, 0, "E_DELIMITER",
                f"{delimiter}, expected columns separated by commas",
                offset=record.offset, expected="commas",
            )  # fmt: skip
            return
        expected = self._table.column_names
        missing = [name for name in expected if name not in header]
        for at, name in enumerate(header, start=1):
            if name not in expected:
                nearest = find_nearest(name, missing)
                if nearest is not None:
                    missing.remove(nearest)
                message = explain_column(name, at, nearest)
            elif header.index(name) != at - 1:
                message = f"column {show(name)} comes twice"
            else:
                continue
            yield self._fault(
                line, at, "E_HEADER", message, offset=record.offset, value=name
            )
        if missing:
            yield self._fault(
                line, 0, "E_HEADER", f"column {', '.join(missing)} is missing",
                offset=record.offset, expected=", ".join(expected),
            )  # fmt: skip

    # ---- The rows ------------------------------------------------------------------------

    def _read_rows(self, reader: RecordReader) -> Iterator[Fault]:
        is_end = False
        is_readable = True
        while not is_end:
            chunk: list[Record] = []
            faults: list[Fault] = []
            has_bad_bytes = False
            try:
                for record in islice(reader, CHUNK_ROWS):
                    if reader.bad_bytes:
                        has_bad_bytes = True
                        faults = list(self._find_bad_bytes(reader, record))
                        break
                    chunk.append(record)
                is_end = not chunk and not has_bad_bytes
            except Unreadable as error:
                faults = [self._explain_unreadable(error)]
                is_readable = False
                is_end = error.is_end
            yield from self._read_chunk(chunk)
            yield from faults
            if has_bad_bytes:
                yield from self._read_record(record, is_known_bad=True)
        self.is_read = is_readable

    def _explain_unreadable(self, error: Unreadable) -> Fault:
        return self._fault(
            error.line, error.field, error.code, error.message, offset=error.offset
        )

    def _find_bad_bytes(self, reader: RecordReader, record: Record) -> Iterator[Fault]:
        for bad in reader.bad_bytes:
            is_nul = bad.data == b"\0"
            fields = (
                at
                for at, cell in enumerate(record.cells, start=1)
                if ("\0" in cell if is_nul else _NOT_UTF_8.search(cell))
            )
            field = next(fields, 0)
            what = f"a NUL at byte {bad.offset}, expected text"
            if not is_nul:
                what = (
                    f"byte {bad.offset} is {bad.data.hex(' ')}, which is not UTF-8; save"
                    " the file as UTF-8"
                )
            yield self._fault(
                bad.line, field, "E_NUL" if is_nul else "E_ENCODING", what,
                offset=bad.offset, value=bad.data.hex(" "), expected="UTF-8 text",
            )  # fmt: skip

    def _read_chunk(self, chunk: Sequence[Record]) -> Iterator[Fault]:
        """Store *chunk* as a whole if it is sound, else record by record."""
        if not chunk:
            return
        self._scratch.execute("SAVEPOINT chunk")
        try:
            prove_canonical([record.cells for record in chunk], self._columns)
            self._scratch.executemany(
                self._insert_statement(),
                [(*record.cells, record.line, record.offset) for record in chunk],
            )
        except (Refusal, sqlite3.IntegrityError):
            self._scratch.execute("ROLLBACK TO chunk")
            for record in chunk:
                yield from self._read_record(record)
        finally:
            self._scratch.execute("RELEASE chunk")

    def _insert_statement(self) -> str:
        marks = ", ".join("NULLIF(?, '')" for _ in self._header)
        names = ", ".join([*self._header, self._line, self._offset])
        return f"INSERT INTO {self._table.name} ({names}) VALUES ({marks}, ?, ?)"

    def _read_record(
        self, record: Record, *, is_known_bad: bool = False
    ) -> Iterator[Fault]:
        """Store *record* if it is sound, else yield all that is wrong with it."""
        if len(record.cells) != len(self._header):
            yield self._explain_width(record)
            self._remember(record, {}, but=())
            return
        cells = dict(zip(self._header, record.cells, strict=True))
        is_sound = not is_known_bad
        values: dict[str, int | str | None] = {}
        for at, column in enumerate(self._columns, start=1):
            cell = cells[column.name]
            if "\0" in cell or _NOT_UTF_8.search(cell):
                continue  # told with its byte
            fault = judge_cell(column, cell)
            if fault is None:
                values[column.name] = convert(column, cell)
                continue
            is_sound = False
            code, expected = fault
            yield self._fault(
                record.line, at, code,
                f"{column.name} is {show(cell)}, expected {expected}",
                offset=record.offset, value=cell, expected=expected,
            )  # fmt: skip
        for rule in self._rules.find_broken(values):
            is_sound = False
            yield self._explain_rule(record, cells, rule.name, rule.expect)
        if is_sound:
            yield from self._insert(record, cells, values)
        else:
            self._remember(record, values, but=())

    def _explain_width(self, record: Record) -> Fault:
        place = record.line, 0
        if is_blank(record):
            what = "the line is blank, remove it"
            return self._fault(*place, "E_BLANK_LINE", what, offset=record.offset)
        hint = ""
        if record.cells == ["\x1a"]:
            hint = "; a Ctrl-Z that ends files of old programs, remove it"
        return self._fault(
            *place, "E_FIELDS",
            f"{len(record.cells)} fields, expected {len(self._header)} as in the header"
            + hint,
            offset=record.offset, expected=str(len(self._header)),
        )  # fmt: skip

    def _explain_rule(
        self,
        record: Record,
        cells: Mapping[str, str],
        rule: str,
        expect: Callable[[str], str] = lambda _value: "",
    ) -> Fault:
        column = find_named_column(rule, self._header)
        if column is None:
            what = f"the row breaks the rule {rule}"
            return self._fault(record.line, 0, "E_RULE", what, offset=record.offset)
        expected = expect(cells[column])
        hint = f"; expected {expected}" if expected else ""
        return self._fault(
            record.line, self._header.index(column) + 1, "E_RULE",
            f"{column} is {show(cells[column])}, which breaks the rule {rule}{hint}",
            offset=record.offset, value=cells[column], expected=expected or rule,
        )  # fmt: skip

    def _insert(
        self,
        record: Record,
        cells: Mapping[str, str],
        values: Mapping[str, int | str | None],
    ) -> Iterator[Fault]:
        """Insert a row that is sound in itself; yield what it shares with another one."""
        try:
            self._scratch.execute(
                self._insert_statement(), (*record.cells, record.line, record.offset)
            )
        except sqlite3.IntegrityError as error:
            kind, _, subject = str(error).partition(" constraint failed: ")
            if kind != "UNIQUE":
                yield self._explain_rule(record, cells, subject or str(error))
                self._remember(record, values, but=())
                return
            twice = [key for key in self._keys if self._find_line(key, values) is not None]
            for key in twice:
                yield self._explain_twice(
                    record, cells, key, f"in line {self._find_line(key, values)}"
                )
            columns = [name.rpartition(".")[2] for name in subject.split(", ")]
            if not twice:
                # An index may call values the same that are not equal: 'A' and 'a'.
                known = [name for name in columns if name in cells] or self._header[:1]
                yield self._explain_twice(record, cells, known, "there in another spelling")
            self._remember(record, values, but=[name for key in twice for name in key])

    def _explain_twice(
        self, record: Record, cells: Mapping[str, str], key: Sequence[str], place: str
    ) -> Fault:
        what = ", ".join(f"{name} {show(cells[name])}" for name in key)
        return self._fault(
            record.line, self._header.index(key[0]) + 1, "E_DUPLICATE",
            f"{what} is already {place}, expected it once",
            offset=record.offset, value=cells[key[0]], expected="a value not used before",
        )  # fmt: skip

    def _find_line(
        self, key: Sequence[str], values: Mapping[str, int | str | None]
    ) -> int | None:
        """Return the line of the row stored under *key* with these *values*."""
        found = self._scratch.execute(
            f"SELECT {self._line} FROM {self._table.name}"
            f" WHERE {' AND '.join(f'{name} = ?' for name in key)}",
            [values[name] for name in key],
        ).fetchone()
        return None if found is None else int(found[0])

    def _remember(
        self,
        record: Record,
        values: Mapping[str, int | str | None],
        *,
        but: Sequence[str],
    ) -> None:
        """Keep what names a refused row, and what it refers to.

        So its children are not called orphans, and its own faults of that kind are found.
        The columns *but* name another row already.
        """
        if not values and record.cells:
            # Of a row of another width the first cells may still be right.
            values = {
                column.name: convert(column, cell)
                for column, cell in zip(self._columns, record.cells, strict=False)
                if column.name in self._table.key and judge_cell(column, cell) is None
            }
        place = record.line, record.offset
        for name in self._names:
            if values.get(name) is not None and name not in but:
                self._scratch.execute(
                    "INSERT OR IGNORE INTO refused_names VALUES (?, ?, ?, ?, ?)",
                    (self._table.name, name, values[name], *place),
                )
        for key in self._table.foreign_keys:
            if values.get(key.column) is not None:
                self._scratch.execute(
                    "INSERT INTO refused_references VALUES (?, ?, ?, ?, ?)",
                    (self._table.name, key.column, values[key.column], *place),
                )

    def _find_duplicates_of_refused(self) -> Iterator[Fault]:
        """Yield the stored rows that share a key with one refused for another reason."""
        for (name,) in (key for key in self._keys if len(key) == 1):
            pairs = self._scratch.execute(
                f"SELECT refused.value, refused.line, refused.offset,"
                f" stored.{self._line}, stored.{self._offset}"
                f" FROM refused_names AS refused JOIN {self._table.name} AS stored"
                f" ON stored.{name} = refused.value"
                f" WHERE refused.table_name = ? AND refused.column_name = ?"
                f" ORDER BY refused.line",
                (self._table.name, name),
            )
            for value, *places in pairs:
                (earlier, _), (later, offset) = sorted(
                    [tuple(places[:2]), tuple(places[2:])]
                )
                yield self._fault(
                    later, self._header.index(name) + 1, "E_DUPLICATE",
                    f"{name} {show(str(value))} is already in line {earlier}, expected it"
                    " once",
                    offset=offset, value=str(value), expected="a value not used before",
                )  # fmt: skip


# ---- What the scratch is told and asked --------------------------------------------------


def _add_place(scratch: sqlite3.Connection, table: Table) -> tuple[str, str]:
    """Give the scratch *table* columns for line and offset; return their names."""
    # Longer than any other name, so that it is none of them.
    stem = "_" * max(map(len, table.column_names))
    for name in (f"{stem}line", f"{stem}offset"):
        scratch.execute(f"ALTER TABLE {table.name} ADD COLUMN {name} INTEGER")
    return f"{stem}line", f"{stem}offset"


def _list_unique(scratch: sqlite3.Connection, table: Table) -> list[list[str]]:
    """Return the sets of columns of which no two rows may hold the same."""
    keys = [list(table.key)]
    indexes = scratch.execute(
        'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial ORDER BY seq',
        (table.name,),
    ).fetchall()
    for (index,) in indexes:
        found = scratch.execute("SELECT name FROM pragma_index_info(?)", (index,))
        names = [name for (name,) in found]
        # An index of an expression has no name for it.
        if None not in names and names not in keys:
            keys.append(names)
    return keys


def _list_names(contract: Contract, table: Table, keys: list[list[str]]) -> list[str]:
    """Return the columns by which a row of *table* is told from others or referred to."""
    referred = [
        key.parent_column
        for child in contract.tables
        for key in child.foreign_keys
        if key.parent_table == table.name
    ]
    alone = [key[0] for key in keys if len(key) == 1]
    return list(dict.fromkeys([*alone, *referred]))


def _find_orphans(
    scratch: sqlite3.Connection, contract: Contract, table: Table, column: str
) -> Iterator[Fault]:
    """Yield the rows of *table*, stored or refused, whose *column* finds no parent."""
    key = next(key for key in table.foreign_keys if key.column == column)
    parent = next(found for found in contract.tables if found.name == key.parent_table)
    described = scratch.execute("SELECT name FROM pragma_table_info(?)", (table.name,))
    *_, line, offset = (name for (name,) in described)
    orphans = scratch.execute(
        f"WITH children AS ("
        f" SELECT {column} AS value, {line} AS line, {offset} AS offset FROM {table.name}"
        f" UNION ALL SELECT value, line, offset FROM refused_references"
        f" WHERE table_name = ?1 AND column_name = ?2)"
        f" SELECT children.value, children.line, children.offset FROM children"
        f" LEFT JOIN {parent.name} AS parent ON parent.{key.parent_column} = children.value"
        f" LEFT JOIN refused_names AS refused ON refused.table_name = ?3"
        f" AND refused.column_name = ?4 AND refused.value = children.value"
        f" WHERE children.value IS NOT NULL AND refused.value IS NULL"
        f" AND parent.{key.parent_column} IS NULL ORDER BY children.line",
        (table.name, column, parent.name, key.parent_column),
    )
    field = table.column_names.index(column) + 1
    for value, at_line, at_offset in orphans:
        yield Fault(
            f"{table.name}.csv", at_line, field, "E_REFERENCE",
            f"{column} {value} is not in {parent.name}.csv",
            column, at_offset, str(value), f"a {key.parent_column} of {parent.name}.csv",
        )  # fmt: skip
