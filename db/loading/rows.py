"""The rows of a CSV file, read into the scratch database: what is wrong within each row.

Rows without a fault go there in chunks, as on the fast path.  A chunk with a fault is read
again row by row, cell by cell and rule by rule.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice

from db.loading.cells import check_cell, convert, guess_integer
from db.loading.faults import Fault
from db.loading.loader import CHUNK_ROWS
from db.loading.messages import FaultMessages
from db.loading.records import BAD_CHARACTERS, Record, RecordReader, UnreadableRecord
from db.loading.scratch import ScratchTable, Value
from utils.rules import Rule, read_rules

# A line without a letter or digit, such as one of quotes or a Ctrl-Z, has no key.
_WORD = re.compile(r"\w")


class RowChecker:
    """Checks the rows of one file and stores them in *scratch*.

    *referred* are the columns that other tables refer to.  If a row is lost together with
    such a value, `has_all_parents` becomes False: a reference to it is then no fault.
    """

    def __init__(
        self,
        scratch: ScratchTable,
        referred: set[str],
        messages: FaultMessages,
    ) -> None:
        self._scratch = scratch
        self._referred = referred
        self._messages = messages
        self._rules = RuleBook(
            scratch.connection,
            scratch.statement,
            f"rejected.{scratch.table.name}",
            scratch.line,
            scratch.header,
        )
        self.has_all_parents = True

    def find_faults(self, reader: RecordReader) -> Iterator[Fault]:
        """Yield what is wrong with the rows that *reader* has left."""
        is_end = False
        while not is_end:
            chunk: list[Record] = []
            faults: list[Fault] = []
            bad: Record | None = None
            try:
                for record in islice(reader, CHUNK_ROWS):
                    if reader.bad_bytes:
                        bad = record
                        faults = list(
                            map(self._messages.describe_bad_bytes, reader.bad_bytes)
                        )
                        break
                    chunk.append(record)
                is_end = not chunk and bad is None
            except UnreadableRecord as error:
                faults = [
                    *map(self._messages.describe_bad_bytes, reader.bad_bytes),
                    self._describe_lost(error),
                ]
            yield from self._check_chunk(chunk)
            if bad is None:
                yield from faults
            else:
                yield from self._check_record(bad, faults)

    def _describe_lost(self, error: UnreadableRecord) -> Fault:
        """Return the fault of a record that cannot be read, after guessing its key."""
        fault = self._messages.describe_unreadable(error)
        known = self._guess(error.cells) if error.is_alone else set()
        (fault,) = self._note_lost([fault], known)
        return fault

    def _note_lost(self, faults: Sequence[Fault], known: set[str]) -> Sequence[Fault]:
        """Return the *faults* of a rejected row, whose keys in the *known* columns count.

        If another key is lost, children may refer to it: the fault of its column, or else
        the first, states that references were not checked.
        """
        lost = self._referred - known
        if not lost:
            return faults
        self.has_all_parents = False
        cause = next((fault for fault in faults if fault.column in lost), faults[0])
        return [
            add_unchecked(fault, is_parent=True) if fault is cause else fault
            for fault in faults
        ]

    def _check_chunk(self, chunk: Sequence[Record]) -> Iterator[Fault]:
        """Store *chunk* in one step if all of it is valid, else record by record."""
        if not chunk or self._scratch.accept_chunk(chunk):
            return
        for record in chunk:
            yield from self._check_record(record)

    def _check_record(
        self, record: Record, byte_faults: Sequence[Fault] = ()
    ) -> Iterator[Fault]:
        """Store *record* if it is valid, else yield all that is wrong with it.

        *byte_faults* are those that the reader has found in it.
        """
        line_fault = self._describe_line(record)
        if line_fault is not None:
            faults = [*byte_faults, line_fault]
            has_key = line_fault.code == "E_FIELDS" and any(map(_WORD.search, record.cells))
            # A row in one field has other separators or quotes: that field is no key.
            cells = record.cells if len(record.cells) > 1 else []
            yield from self._note_lost(faults, self._guess(cells)) if has_key else faults
            return
        values: dict[str, Value] = {}
        faults = [*byte_faults, *self._check_cells(record, values)]
        self._scratch.reject(record, values)
        faults += [
            self._messages.describe_broken_rule(record, rule, result)
            for rule, result in self._rules.find_broken(record.line)
        ]
        if faults:
            yield from self._note_lost(faults, self._guess(record.cells))
        else:
            yield from self._accept(record)

    def _describe_line(self, record: Record) -> Fault | None:
        """Return the one fault of the complete line of *record*, if it is no row."""
        columns, cells = self._scratch.columns, record.cells
        if len(cells) != len(columns):
            return self._messages.describe_width(record)
        fault = self._messages.describe_line(record)
        is_row = fault is None or not any(map(check_cell, columns, cells))
        return None if is_row else fault

    def _check_cells(self, record: Record, values: dict[str, Value]) -> Iterator[Fault]:
        """Yield the faults of the cells; put the value of each valid one into *values*."""
        cells = zip(self._scratch.columns, record.cells, strict=True)
        for field, (column, cell) in enumerate(cells, start=1):
            if BAD_CHARACTERS.search(cell):
                continue  # the reader has listed the bytes
            fault = check_cell(column, cell)
            if fault is None:
                values[column.name] = convert(column, cell)
            else:
                yield self._messages.describe_cell(record, field, column, *fault)

    def _accept(self, record: Record) -> Iterator[Fault]:
        """Accept a row that is valid by itself, unless it repeats a key."""
        reason = self._scratch.accept(record)
        # Which row has the key already is determined when all rows have been read.
        if reason and not reason.startswith("UNIQUE constraint failed: "):
            yield self._messages.describe_rejection(record, reason)

    def _guess(self, cells: Sequence[str]) -> set[str]:
        """Record the key that a bad row of *cells* probably has, for its children.

        Return the columns in which a value is known.
        """
        known = set()
        for column, cell in zip(self._scratch.columns, cells, strict=False):
            if column.name not in self._referred:
                continue
            guess = cell
            if check_cell(column, cell) is not None:
                guess = guess_integer(cell)
            if check_cell(column, guess) is None and not BAD_CHARACTERS.search(guess):
                known.add(column.name)
                self._scratch.add_guess(column.name, convert(column, guess))
        return known


class RuleBook:
    """The CHECK rules of the CREATE *statement*, one by one; SQLite names only the first.

    Their text is taken from the statement and evaluated over a row of *table*, which has
    the same *columns* and no rules.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        statement: str,
        table: str,
        row_name: str,
        columns: Sequence[str],
    ) -> None:
        self._connection = connection
        self._rules = read_rules(statement)
        self._columns = [rule.find_columns(columns) for rule in self._rules]
        # Two columns for each rule: whether it is broken, and the result of its sum.
        pairs = [
            f"NOT ({rule.expression}), {rule.equation[1] if rule.equation else 'NULL'}"
            for rule in self._rules
        ]
        self._query = f"SELECT {', '.join(pairs)} FROM {table} WHERE {row_name} = ?"

    def find_broken(self, row: int) -> Iterator[tuple[Rule, int | None]]:
        """Yield the rules that the row called *row* breaks, and the result they expect.

        A rule about several columns is not among them if one of these breaks a rule of its
        own: it would only repeat that.
        """
        if not self._rules:
            return
        cells = self._connection.execute(self._query, (row,)).fetchone()
        rules = zip(self._rules, self._columns, cells[::2], cells[1::2], strict=True)
        broken = [
            (rule, names, result) for rule, names, is_broken, result in rules if is_broken
        ]
        wrong = set().union(*(names for _, names, _ in broken if len(names) == 1))
        for rule, names, result in broken:
            if len(names) == 1 or not names & wrong:
                yield rule, result if isinstance(result, int) else None


def add_unchecked(fault: Fault, what: str = "", *, is_parent: bool) -> Fault:
    """Return *fault*, which hides rows, with what was therefore not checked."""
    parts = [fault.message, *([what] if what else [])]
    if is_parent:
        parts.append(f"references to {fault.file} were not checked")
    return fault._replace(message="; ".join(parts))
