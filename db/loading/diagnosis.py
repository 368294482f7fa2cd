"""The diagnostic path: read rejected files again and name all their faults.

A fault has a place: file, line, and the number of the field in its line, counted from 1.
Memory stays flat whatever the number of faults.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from db.loading.faults import Fault, FaultKind, Faults, identify_kind
from db.loading.header import read_header
from db.loading.keys import find_duplicates, find_orphans
from db.loading.messages import FaultMessages
from db.loading.records import RecordReader
from db.loading.rows import RowChecker, add_unchecked
from db.loading.scratch import ScratchTable, open_scratch
from utils.contract import Contract, Table
from utils.signatures import HEAD_BYTES, find_other_encoding, find_signature


def find_faults(
    contract: Contract,
    data_dir: Path,
    *,
    currency: str | None,
    max_errors: int,
    write_fault: Callable[[Fault], object],
) -> Faults:
    """Return the faults of the contract's CSV files in *data_dir*.

    The *currency* of the amounts, if it is known, decides how many decimals they have.
    Of each kind the first *max_errors* are kept; *write_fault* gets every one,
    in reading order.
    """
    first: list[Fault] = []
    counts: Counter[FaultKind] = Counter()
    with open_scratch(contract) as scratch:
        for fault in _read_files(scratch, contract, data_dir, currency):
            write_fault(fault)
            kind = identify_kind(fault)
            counts[kind] += 1
            if counts[kind] <= max_errors:
                first.append(fault)
    files = [f"{table.name}.csv" for table in contract.tables]
    first.sort(key=lambda fault: (files.index(fault.file), fault.line))
    return Faults(first, counts)


def _read_files(
    scratch: sqlite3.Connection, contract: Contract, data_dir: Path, currency: str | None
) -> Iterator[Fault]:
    """Yield the faults of all files, then those of the references between them."""
    diagnoses = {
        table.name: _FileDiagnosis(scratch, contract, table, data_dir, currency)
        for table in contract.tables
    }
    for diagnosis in diagnoses.values():
        yield from diagnosis.find_faults()
    for diagnosis in diagnoses.values():
        for key in diagnosis.table.foreign_keys:
            if diagnosis.rows is not None and diagnoses[key.parent_table].is_complete:
                yield from find_orphans(diagnosis.rows, key, diagnosis.messages)


class _FileDiagnosis:
    """The diagnosis of the file of *table*; *rows* are what was read of it, if any."""

    def __init__(
        self,
        scratch: sqlite3.Connection,
        contract: Contract,
        table: Table,
        data_dir: Path,
        currency: str | None,
    ) -> None:
        self.table = table
        self.messages = FaultMessages(table, currency)
        self.rows: ScratchTable | None = None
        # Whether every row was checked, so that a parent not found is really missing.
        self.is_complete = False
        self._scratch = scratch
        self._tables = contract.tables
        self._path = data_dir / self.messages.file
        self._referred = {
            key.parent_column
            for child in contract.tables
            for key in child.foreign_keys
            if key.parent_table == table.name
        }

    def find_faults(self) -> Iterator[Fault]:
        """Yield the faults of the file's form, cells, rules and unique values."""
        with open(self._path, "rb") as file:
            fault = self._check_format(file.read(HEAD_BYTES))
            if fault is not None:
                yield self._describe_unread(fault)
                return
            file.seek(0)
            reader = RecordReader(file, len(self.table.columns))
            header = read_header(reader, self.table, self._tables, self.messages)
            if not header.columns:
                *others, last = header.faults
                yield from others
                yield self._describe_unread(last)
                return
            yield from header.faults
            self.messages.header = header.columns
            self.rows = ScratchTable(self._scratch, self.table, header.columns)
            checker = RowChecker(self.rows, self._referred, self.messages)
            yield from checker.find_faults(reader)
        self.is_complete = checker.has_all_parents
        yield from find_duplicates(self.rows, self.messages)
        for column in sorted(self._referred):
            self.rows.index_rejected(column)

    def _check_format(self, head: bytes) -> Fault | None:
        """Return the fault that a file beginning with *head* is not CSV in UTF-8, if so."""
        signature = find_signature(head)
        if signature is not None:
            return self.messages.describe_format(signature)
        encoding = find_other_encoding(head)
        return self.messages.describe_encoding(encoding) if encoding else None

    def _describe_unread(self, fault: Fault) -> Fault:
        """Return *fault*, which hides all rows, with what was therefore not checked."""
        return add_unchecked(
            fault, "its rows were not checked", is_parent=bool(self._referred)
        )
