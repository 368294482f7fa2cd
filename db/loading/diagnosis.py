"""The slow road: read a refused input again and name its faults, all of them.

Sound stretches go into a scratch database in chunks, as on the fast road; in the others
row by row, cell by cell and rule by rule.  The scratch has the contract's own rules, so a
rule is stated once, in the schema.  A fault has a place: file, line, and the number of the
field in its line, counted from 1.  Memory stays flat whatever the number of faults.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from db.loading.cells import (
    convert,
    explain_column,
    find_delimiter,
    find_named_column,
    find_nearest,
    guess_integer,
    is_blank,
    judge_cell,
)
from db.loading.faults import MOST_FAULTS, Fault, Faults, show
from db.loading.keys import RuleBook, read_terms
from db.loading.loader import CHUNK_ROWS, prove_canonical
from db.loading.records import (
    BAD_CHARACTERS,
    Record,
    RecordReader,
    Unreadable,
    find_other_encoding,
)
from utils.contract import Column, Contract, ForeignKey, Table, split_sql
from utils.csv_bytes import RejectedInput
from utils.rules import Rule

# Only lookups by key and by UNIQUE happen in the scratch; so much of it stays in memory.
_SCRATCH_CACHE_KIB = 32_768


def find_faults(
    contract: Contract,
    data_dir: Path,
    *,
    max_errors: int = MOST_FAULTS,
    sink: Callable[[Fault], object] = lambda _fault: None,
) -> Faults:
    """Return the faults of the contract's CSV files in *data_dir*.

    Of each code in each file the first *max_errors* are kept; *sink* gets every one, in
    reading order.
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
    files = [f"{table.name}.csv" for table in contract.tables]
    first.sort(key=lambda fault: (files.index(fault.file), fault.line))
    return Faults(first, counts)


def _read_all(
    scratch: sqlite3.Connection, contract: Contract, data_dir: Path
) -> Iterator[Fault]:
    # Beside the tables, the rows that were refused, in tables of the same names.
    scratch.execute("ATTACH '' AS refused")
    scratch.execute("PRAGMA journal_mode = MEMORY")
    scratch.execute("PRAGMA foreign_keys = OFF")
    for schema in ("main", "refused"):
        scratch.execute(f"PRAGMA {schema}.cache_size = -{_SCRATCH_CACHE_KIB // 2}")
    scratch.execute("BEGIN")
    for statement in (*contract.table_statements, *contract.index_statements):
        if not statement.upper().startswith("CREATE INDEX"):
            scratch.execute(statement)
    # What a row that was refused may be called.
    scratch.execute(
        "CREATE TEMP TABLE guesses (table_name, column_name, value,"
        " PRIMARY KEY (table_name, column_name, value)) WITHOUT ROWID"
    )
    readers = {}
    for table in contract.tables:
        reader = _TableReader(scratch, contract, table, data_dir)
        readers[table.name] = reader
        yield from reader.find_faults()
    for reader in readers.values():
        yield from reader.find_orphans(readers)


class _TableReader:
    """Reads one file into the scratch database and yields what is wrong on the way."""

    def __init__(
        self,
        scratch: sqlite3.Connection,
        contract: Contract,
        table: Table,
        data_dir: Path,
    ) -> None:
        self._scratch = scratch
        self._table = table
        self._path = data_dir / f"{table.name}.csv"
        # Longer than any other name, so that it is none of them.
        self._stem = "_" * max(map(len, table.column_names))
        self._line, self._offset = f"{self._stem}line", f"{self._stem}offset"
        self._uniques = _list_unique(scratch, table)
        ((statement,),) = scratch.execute(
            "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?",
            (table.name,),
        )
        self._add_places()
        self._rules = RuleBook(scratch, statement, f"refused.{table.name}", self._line)
        self._referred = {
            key.parent_column
            for child in contract.tables
            for key in child.foreign_keys
            if key.parent_table == table.name
        }
        self._header: list[str] = []
        self._columns: list[Column] = []
        # Whether every row was looked at, so that a missing parent really is missing.
        self.is_read = True

    def _add_places(self) -> None:
        """Give the table a line and an offset, and make one without rules for bad rows."""
        name = self._table.name
        columns = ", ".join(self._table.column_names)
        probe = f"{self._stem}probe"
        self._scratch.execute(f"CREATE INDEX main.{probe} ON {name} ({columns})")
        collations = self._scratch.execute(
            "SELECT coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno", (probe,)
        ).fetchall()
        self._scratch.execute(f"DROP INDEX main.{probe}")
        declared = ", ".join(
            f"{column.name} {column.type} COLLATE {collation}"
            for column, (collation,) in zip(self._table.columns, collations, strict=False)
        )
        self._scratch.execute(
            f"CREATE TABLE refused.{name}"
            f" ({self._line} INTEGER PRIMARY KEY, {self._offset} INTEGER, {declared})"
        )
        for place in (self._line, self._offset):
            self._scratch.execute(f"ALTER TABLE main.{name} ADD COLUMN {place} INTEGER")

    def find_faults(self) -> Iterator[Fault]:
        """Yield the faults of the file's form, cells, keys and rules."""
        with open(self._path, "rb") as file:
            head = file.read(4096)
            encoding = find_other_encoding(head)
            if encoding is not None:
                fault = self._fault(
                    1,
                    0,
                    "E_ENCODING",
                    f"the file looks like {encoding}, expected UTF-8; save it as that",
                    offset=0,
                    expected="UTF-8",
                )
                yield self._tell_unread(fault, "its rows were not looked at")
                return
            file.seek(0)
            reader = RecordReader(file, len(self._table.columns))
            *wrong, last = [None, *self._read_header(reader)]
            yield from filter(None, wrong)
            if not self._columns and last is not None:
                yield self._tell_unread(last, "its rows were not looked at")
                return
            yield from filter(None, [last])
            yield from self._read_rows(reader)
        yield from self._find_duplicates()
        for column in sorted(self._referred):
            name = self._table.name
            index = f"{name}{self._stem}{column}"
            self._scratch.execute(f"CREATE INDEX refused.{index} ON {name} ({column})")

    def _tell_unread(self, fault: Fault, what: str = "") -> Fault:
        """Return *fault*, which hides rows, with the words that say so."""
        self.is_read = False
        hidden = [what] if what else []
        if self._referred:
            hidden.append(f"no reference to {self._path.name} was judged")
        return fault._replace(message="; ".join([fault.message, *hidden]))

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
        """Take the header; yield what is wrong with it.

        The columns stay empty if it does not tell which is which.
        """
        try:
            record = next(reader, None)
            starts_blank = record is not None and is_blank(record)
            while record is not None and is_blank(record):
                record = next(reader, None)
        except Unreadable as error:
            yield from self._find_bad_bytes(reader)
            yield self._place_unreadable(error)
            return
        if record is None:
            yield self._fault(0, 0, "E_EMPTY", "the file is empty, expected a header")
            return
        if starts_blank:
            yield self._fault(
                1,
                0,
                "E_BLANK_LINE",
                "blank lines come before the header, remove them",
                offset=0,
                expected="the header",
            )
        if reader.bad_bytes:
            yield from self._find_bad_bytes(reader)
            return
        delimiter = find_delimiter(record.cells)
        if delimiter is not None:
            yield self._fault(
                record.line,
                0,
                "E_DELIMITER",
                f"{delimiter}, expected columns separated by commas",
                offset=record.offset,
                expected="commas",
            )
            return
        meant: list[str] = []
        yield from self._find_header_faults(record, meant)
        if sorted(meant) == sorted(self._table.column_names):
            self._header = meant
            self._columns = [self._table.find_column(name) for name in meant]

    def _find_header_faults(self, record: Record, meant: list[str]) -> Iterator[Fault]:
        """Yield what is wrong with the names; add the columns that they mean to *meant*.

        A name that may mean several columns is taken as it stands.
        """
        header, line = record.cells, record.line
        expected = self._table.column_names
        missing = [name for name in expected if name not in header]
        for at, name in enumerate(header, start=1):
            column = name
            if name not in expected:
                nearest, is_sure = find_nearest(name, missing)
                if nearest is not None:
                    missing.remove(nearest)
                    column = nearest if is_sure else name
                message = explain_column(name, at, nearest)
            elif header.index(name) != at - 1:
                message = f"column {show(name)} comes twice"
            else:
                message = ""
            meant.append(column)
            if message:
                yield self._fault(
                    line, at, "E_HEADER", message, offset=record.offset, value=name
                )
        if missing:
            names = ", ".join(missing)
            yield self._fault(
                line,
                0,
                "E_HEADER",
                f"column {names} is missing"
                if len(missing) == 1
                else f"columns {names} are missing",
                offset=record.offset,
                expected=", ".join(expected),
            )

    # ---- The rows ------------------------------------------------------------------------

    def _read_rows(self, reader: RecordReader) -> Iterator[Fault]:
        is_end = False
        while not is_end:
            chunk: list[Record] = []
            faults: list[Fault] = []
            bad: Record | None = None
            try:
                for record in islice(reader, CHUNK_ROWS):
                    if reader.bad_bytes:
                        bad = record
                        faults = list(self._find_bad_bytes(reader))
                        break
                    chunk.append(record)
                is_end = not chunk and bad is None
            except Unreadable as error:
                faults = [*self._find_bad_bytes(reader), self._explain_unreadable(error)]
            yield from self._read_chunk(chunk)
            yield from faults
            if bad is not None:
                yield from self._read_record(bad, is_known_bad=True)

    def _explain_unreadable(self, error: Unreadable) -> Fault:
        fault = self._place_unreadable(error)
        known = self._guess(error.cells) if error.is_alone else set()
        return fault if known >= self._referred else self._tell_unread(fault)

    def _place_unreadable(self, error: Unreadable) -> Fault:
        return self._fault(
            error.line, error.field, error.code, error.message, offset=error.offset
        )

    def _find_bad_bytes(self, reader: RecordReader) -> Iterator[Fault]:
        for bad in reader.bad_bytes:
            is_nul = bad.data.startswith(b"\0")
            what = f"a NUL at byte {bad.offset}, expected text"
            if not is_nul:
                what = (
                    f"byte {bad.offset} is {bad.data.hex(' ')}, which is not UTF-8; save"
                    " the file as UTF-8"
                )
            if bad.is_last:
                what += "; others in this row are not told"
            yield self._fault(
                bad.line,
                bad.field,
                "E_NUL" if is_nul else "E_ENCODING",
                what,
                offset=bad.offset,
                value=bad.data.hex(" "),
                expected="UTF-8 text",
            )

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
        except (RejectedInput, sqlite3.IntegrityError):
            self._scratch.execute("ROLLBACK TO chunk")
            for record in chunk:
                yield from self._read_record(record)
        finally:
            self._scratch.execute("RELEASE chunk")

    def _insert_statement(self) -> str:
        marks = ", ".join("NULLIF(?, '')" for _ in self._header)
        names = ", ".join([*self._header, self._line, self._offset])
        return f"INSERT INTO main.{self._table.name} ({names}) VALUES ({marks}, ?, ?)"

    def _read_record(
        self, record: Record, *, is_known_bad: bool = False
    ) -> Iterator[Fault]:
        """Store *record* if it is sound, else yield all that is wrong with it."""
        if len(record.cells) != len(self._header):
            yield self._explain_width(record)
            self._guess(record.cells)
            return
        is_sound = not is_known_bad
        values: dict[str, int | str | None] = {}
        for at, (column, cell) in enumerate(
            zip(self._columns, record.cells, strict=True), start=1
        ):
            if BAD_CHARACTERS.search(cell):
                continue  # told with its byte
            fault = judge_cell(column, cell)
            if fault is None:
                values[column.name] = convert(column, cell)
                continue
            is_sound = False
            code, expected = fault
            yield self._fault(
                record.line,
                at,
                code,
                f"{column.name} is {show(cell)}, expected {expected}",
                offset=record.offset,
                value=cell,
                expected=expected,
            )
        self._refuse(record, values)
        for rule in self._rules.find_broken(record.line):
            is_sound = False
            yield self._explain_rule(record, rule)
        if is_sound:
            yield from self._accept(record)
        else:
            self._guess(record.cells)

    def _explain_width(self, record: Record) -> Fault:
        place = record.line, 0
        if is_blank(record):
            what = "the line is blank, remove it"
            return self._fault(*place, "E_BLANK_LINE", what, offset=record.offset)
        hint = ""
        if record.cells == ["\x1a"]:
            hint = "; a Ctrl-Z that ends files of old programs, remove it"
        return self._fault(
            *place,
            "E_FIELDS",
            f"{len(record.cells)} {'field' if len(record.cells) == 1 else 'fields'},"
            f" expected {len(self._header)} as in the header{hint}",
            offset=record.offset,
            expected=str(len(self._header)),
        )

    def _explain_rule(self, record: Record, rule: Rule) -> Fault:
        column = find_named_column(rule.name, self._header)
        condition = " ".join(rule.expression.split())
        if column is None:
            return self._fault(
                record.line,
                0,
                "E_RULE",
                f"the row breaks the rule {rule.name}",
                offset=record.offset,
                expected=condition,
            )
        field = self._header.index(column) + 1
        cell = record.cells[field - 1]
        expected = rule.expect(cell)
        hint = f"; expected {expected}" if expected else ""
        return self._fault(
            record.line,
            field,
            "E_RULE",
            f"{column} is {show(cell)}, which breaks the rule {rule.name}{hint}",
            offset=record.offset,
            value=cell,
            expected=expected or condition,
        )

    def _refuse(self, record: Record, values: Mapping[str, int | str | None]) -> None:
        """Put *record* among the refused rows; a bad cell has no value there."""
        marks = ", ".join("?" for _ in self._header)
        names = ", ".join([self._line, self._offset, *self._header])
        self._scratch.execute(
            f"INSERT INTO refused.{self._table.name} ({names}) VALUES (?, ?, {marks})",
            (record.line, record.offset, *map(values.get, self._header)),
        )

    def _accept(self, record: Record) -> Iterator[Fault]:
        """Move a row that is sound in itself to the others, unless a key comes twice."""
        try:
            self._scratch.execute(
                self._insert_statement(), (*record.cells, record.line, record.offset)
            )
        except sqlite3.IntegrityError as error:
            # Which row has the key already is asked when all have been read.
            if not str(error).startswith("UNIQUE constraint failed: "):
                yield self._fault(
                    record.line,
                    0,
                    "E_RULE",
                    f"the row is refused: {error}",
                    offset=record.offset,
                )
        else:
            self._scratch.execute(
                f"DELETE FROM refused.{self._table.name} WHERE {self._line} = ?",
                (record.line,),
            )

    def _guess(self, cells: Sequence[str]) -> set[str]:
        """Keep what a bad row of *cells* may be called, so its children are no orphans.

        Return the columns of which that is known.
        """
        known = set()
        for column, cell in zip(self._columns, cells, strict=False):
            if column.name not in self._referred:
                continue
            meant = cell
            if judge_cell(column, cell) is not None:
                meant = guess_integer(cell, is_money=False)
            if judge_cell(column, meant) is None and not BAD_CHARACTERS.search(meant):
                known.add(column.name)
                self._scratch.execute(
                    "INSERT OR IGNORE INTO temp.guesses VALUES (?, ?, ?)",
                    (self._table.name, column.name, convert(column, meant)),
                )
        return known

    # ---- Between rows --------------------------------------------------------------------

    def _find_duplicates(self) -> Iterator[Fault]:
        """Yield the rows, stored or refused, that share a key with an earlier one."""
        refused = f"refused.{self._table.name}"
        if self._scratch.execute(f"SELECT 1 FROM {refused} LIMIT 1").fetchone():
            for number, unique in enumerate(self._uniques):
                same = f"{self._table.name}{self._stem}{number}"
                yield from self._find_twice(unique, same)

    def _find_twice(self, unique: _Unique, same: str) -> Iterator[Fault]:
        """Yield the rows that have what is *unique* in common with an earlier one.

        Such a row is refused itself, or one was before it; so only keys of refused rows
        are looked up, in a table called *same*.  It stays: dropping it takes memory.
        """
        line, offset = f"{self._stem}at", f"{self._stem}byte"
        keys = [f"{self._stem}key{number}" for number in range(len(unique.terms))]
        for statement in self._collect_same(unique, same, keys, [line, offset]):
            self._scratch.execute(statement)
        alike = " AND ".join(f"earlier.{key} = {same}.{key}" for key in keys)
        found = self._scratch.execute(
            f"WITH later AS (SELECT {line}, {offset}, {', '.join(keys)},"
            f" (SELECT MIN(earlier.{line}) FROM refused.{same} AS earlier WHERE {alike})"
            f" AS earliest FROM refused.{same})"
            f" SELECT {line}, {offset}, earliest, {', '.join(keys)} FROM later"
            f" WHERE earliest < {line} ORDER BY {line}"
        )
        for at_line, at_offset, earliest, *values in found:
            yield self._explain_twice(unique, at_line, at_offset, earliest, values)

    def _collect_same(
        self, unique: _Unique, same: str, keys: Sequence[str], places: Sequence[str]
    ) -> Iterator[str]:
        """Yield the SQL that puts what refused rows have of *unique* into a table *same*.

        The stored rows that have it too are added; *places* name their line and offset.
        """
        name = self._table.name
        where = f"({unique.condition})" if unique.condition else "TRUE"
        declared = ", ".join(
            f"{key} COLLATE {collation}"
            for key, collation in zip(keys, unique.collations, strict=True)
        )
        matches = " AND ".join(
            f"({term}) = {key}" for term, key in zip(unique.terms, keys, strict=True)
        )
        columns = ", ".join([*unique.terms, self._line, self._offset])
        insert = f"INSERT INTO refused.{same} SELECT {columns}"
        wanted = f"(SELECT DISTINCT {', '.join(keys)} FROM refused.{same})"
        yield f"CREATE TABLE refused.{same} ({declared}, {', '.join(places)})"
        yield f"{insert} FROM refused.{name} WHERE {where}"
        index = ", ".join([*keys, places[0]])
        yield f"CREATE INDEX refused.{same}_idx ON {same} ({index})"
        yield f"{insert} FROM {wanted} CROSS JOIN main.{name} ON {matches} WHERE {where}"

    def _explain_twice(
        self,
        unique: _Unique,
        line: int,
        offset: int,
        earliest: int,
        values: Sequence[int | str],
    ) -> Fault:
        what = ", ".join(
            f"{term} {show(str(value))}"
            for term, value in zip(unique.names, values, strict=True)
        )
        columns = [part for part in split_sql(unique.names[0]) if part in self._header]
        field = self._header.index(columns[0]) + 1 if columns else 0
        others = sorted(set(unique.collations) - {"BINARY"})
        how = f" by the measure of {', '.join(others)}" if others else ""
        where = f" where {unique.condition}" if unique.condition else ""
        return self._fault(
            line,
            field,
            "E_DUPLICATE",
            f"{what} is already in line {earliest}{how}, expected it once{where}",
            offset=offset,
            value=str(values[0]),
            expected="a value not used before",
        )

    def find_orphans(self, readers: Mapping[str, _TableReader]) -> Iterator[Fault]:
        """Yield the rows, stored or refused, whose parent is not in *readers*' files."""
        for key in self._table.foreign_keys:
            if self._header and readers[key.parent_table].is_read:
                yield from self._find_orphans(key)

    def _find_orphans(self, key: ForeignKey) -> Iterator[Fault]:
        column, parent = key.column, key.parent_table
        rows = " UNION ALL ".join(
            f"SELECT {column} AS value, {self._line} AS line, {self._offset} AS offset"
            f" FROM {schema}.{self._table.name} WHERE {column} IS NOT NULL"
            for schema in ("main", "refused")
        )
        absent = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {schema}.{parent} AS parent"
            f" WHERE parent.{key.parent_column} = child.value)"
            for schema in ("main", "refused")
        )
        orphans = self._scratch.execute(
            f"SELECT child.value, child.line, child.offset FROM ({rows}) AS child"
            f" WHERE {absent} AND NOT EXISTS (SELECT 1 FROM temp.guesses"
            f" WHERE table_name = ? AND column_name = ? AND guesses.value = child.value)"
            f" ORDER BY child.line",
            (parent, key.parent_column),
        )
        field = self._header.index(column) + 1
        for value, line, offset in orphans:
            shown = value if isinstance(value, int) else show(value)
            yield self._fault(
                line,
                field,
                "E_REFERENCE",
                f"{column} {shown} is not in {parent}.csv",
                offset=offset,
                value=str(value),
                expected=f"a {key.parent_column} of {parent}.csv",
            )


class _Unique(NamedTuple):
    """What no two rows may have in common, of those that meet the *condition* if any.

    *terms* are SQL; *names* the same as a reader knows them.
    """

    terms: list[str]
    names: list[str]
    collations: list[str]
    condition: str


def _list_unique(scratch: sqlite3.Connection, table: Table) -> list[_Unique]:
    """Return the key of *table* and whatever else its rows may not have in common."""
    found = []
    if [column.type for column in map(table.find_column, table.key)] == ["INTEGER"]:
        # The one key that needs no index.
        found.append(_Unique(list(table.key), list(table.key), ["BINARY"], ""))
    indexes = scratch.execute(
        "SELECT list.name, own.sql FROM pragma_index_list(?) AS list"
        " JOIN main.sqlite_schema AS own ON own.name = list.name"
        """ WHERE list."unique" ORDER BY list.origin <> 'pk', list.seq""",
        (table.name,),
    ).fetchall()
    for index, statement in indexes:
        described = scratch.execute(
            "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno",
            (index,),
        ).fetchall()
        terms, condition = read_terms(statement) if statement else ([], "")
        found.append(
            _Unique(
                [
                    f"{name} COLLATE {collation}" if name else terms[at]
                    for at, (name, collation) in enumerate(described)
                ],
                [name or terms[at] for at, (name, _) in enumerate(described)],
                [collation for _, collation in described],
                condition,
            )
        )
    return found
