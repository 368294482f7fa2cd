"""Compare somebody's cleaned files with the clean ones: repaired, left, damaged."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from db.fault_grading.answer_places import AnswerKey
from db.fault_grading.fault_grades import (
    GRADE_VERSION,
    divide,
    group_in_all_ways,
    is_counted,
)
from utils.answer_key import Decoy, PlantedFault
from utils.contract import Contract, Table
from utils.helpers import DataError, open_regular_file

# Returns the bytes of the clean file of a table, in parts.
ReadClean = Callable[[str], Iterable[bytes]]

# What became of a fault; one that was changed has another wrong value now.
OUTCOMES = ("repaired", "changed", "left")

# Cells that were right and are wrong now, and rows that were right and are gone, or new.
DAMAGES = ("cells_changed", "rows_lost", "rows_added")

Cells = tuple[str, ...]
Row = dict[str, Any]


class CleanedTable(NamedTuple):
    """The rows of a cleaned file by key; *copies* are rows whose key was there already.

    *junk_count* counts lines that are no row: without a cell, or a header again.
    """

    rows: dict[str, Cells]
    copies: Counter[str]
    junk_count: int


def grade_cleaned(
    key: AnswerKey, cleaned_dir: Path, contract: Contract, read_clean: ReadClean
) -> Row:
    """Return the grade of the five files in *cleaned_dir*, for JSON.

    *read_clean* returns the clean files.  The order of rows and columns does not count.
    Of a row that was delivered twice under two keys either may be kept.  Precision is the
    share of the repairs among all that was changed; planted decoys are legal, but not in
    the clean files, so whether they were kept is only stated.  Raise `DataError` if a
    cleaned file cannot be read as CSV with the columns of *contract*.
    """
    outcomes: dict[str, str] = {}
    damages: Counter[str] = Counter()
    decoys_removed = 0
    for table in contract.tables:
        cleaned = read_cleaned(cleaned_dir / f"{table.name}.csv", table)
        faults = [fault for fault in key.faults if fault.table == table.name]
        decoys = [decoy for decoy in key.decoys if decoy.table == table.name]
        comparison = _TableComparison(table, cleaned, faults, decoys)
        comparison.compare(read_clean(table.name))
        outcomes |= comparison.outcomes
        damages += comparison.damages
        decoys_removed += comparison.decoys_removed
    counted = [fault for fault in key.faults if is_counted(fault)]
    totals = _count(counted, outcomes)
    wrong = totals["changed"] + damages.total()
    return {
        "schema_version": GRADE_VERSION,
        "faults": totals,
        "damage": {name: damages[name] for name in DAMAGES},
        "decoys_removed": decoys_removed,
        "precision": divide(totals["repaired"], totals["repaired"] + wrong),
        **group_in_all_ways(counted, lambda some: _count(some, outcomes)),
    }


def read_cleaned(path: Path, table: Table) -> CleanedTable:
    """Return the rows of the cleaned file *path*; raise `DataError` if it is not one."""
    names = list(table.column_names)
    expected = f"Expected the columns {','.join(names)}"
    rows: dict[str, Cells] = {}
    copies: Counter[str] = Counter()
    junk_count = 0
    try:
        with open_regular_file(path) as file:
            lines = csv.reader((line.decode("utf-8-sig") for line in file), strict=True)
            first = next(lines, None)
            if first is None:
                raise DataError(f"{path}: is empty. {expected}.")
            header = [name.strip().lower() for name in first]
            if sorted(header) != sorted(names):
                raise DataError(f"{path}:1: has other columns. {expected}.")
            order = [header.index(name) for name in names]
            at_key = names.index(table.key[0])
            for line in lines:
                if len(line) != len(names) or line == header or not any(line):
                    junk_count += 1
                    continue
                cells = tuple(line[at] for at in order)
                if cells[at_key] in rows:
                    copies[cells[at_key]] += 1
                rows.setdefault(cells[at_key], cells)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read: {reason}. {expected}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not CSV in UTF-8: {error}. {expected}.") from error
    return CleanedTable(rows, copies, junk_count)


class _TableComparison:
    """Compares the cleaned rows of one table with the clean ones."""

    def __init__(
        self,
        table: Table,
        cleaned: CleanedTable,
        faults: Sequence[PlantedFault],
        decoys: Sequence[Decoy],
    ) -> None:
        self.outcomes: dict[str, str] = {}
        self.damages: Counter[str] = Counter()
        self.decoys_removed = 0
        self._columns = list(table.column_names)
        # Two deliveries of an event differ in its key, and in that of its order.
        is_part = table.name in ("order_items", "payments")
        self._first_of_content = 2 if is_part else 1
        self._cleaned = cleaned
        self._rest = set(cleaned.rows)
        self._decoys = [decoy for decoy in decoys if decoy.planted]
        self._cut = [fault for fault in faults if fault.level == "file"]
        self._by_key: dict[str, list[PlantedFault]] = defaultdict(list)
        for fault in faults:
            if fault.key and fault.fault_class != "redundant":
                self._by_key[fault.key].append(fault)
        self._redundant = [fault for fault in faults if fault.fault_class == "redundant"]
        self._contents = {self._find_content(_parse(f.faulty)) for f in self._redundant}
        # The originals that are missing in the cleaned file, by their content.
        self._absent: Counter[Cells] = Counter()

    def compare(self, clean_lines: Iterable[bytes]) -> None:
        """Find the outcome of every fault, and the damage to everything else."""
        for cells in _read_rows(clean_lines):
            self._compare_row(cells)
        self._judge_redundant()
        self._judge_decoys()
        self.damages["rows_lost"] += self._absent.total()
        self.damages["rows_added"] += len(self._rest)

    def _find_content(self, cells: Cells) -> Cells:
        return cells[self._first_of_content :]

    def _compare_row(self, clean: Cells) -> None:
        """Compare the *clean* row with the cleaned one of its key."""
        found = self._cleaned.rows.get(clean[0])
        self._rest.discard(clean[0])
        faults = [*self._by_key[clean[0]], *self._find_cut(clean[0])]
        columns = {fault.column for fault in faults}
        for fault in faults:
            self._note(fault, self._judge(fault, clean, found))
        if found is None:
            if not faults and self._find_content(clean) in self._contents:
                self._absent[self._find_content(clean)] += 1
            elif not faults or all(columns):
                self.damages["rows_lost"] += 1
        elif "" not in columns:
            self.damages["cells_changed"] += sum(
                cell != right and column not in columns
                for column, cell, right in zip(self._columns, found, clean, strict=True)
            )

    def _find_cut(self, key: str) -> list[PlantedFault]:
        """Return the fault of a truncated file, if it cut off the row *key*."""
        return [fault for fault in self._cut if int(key) > int(fault.key)]

    def _note(self, fault: PlantedFault, outcome: str) -> None:
        """Note the *outcome* of *fault*; that of several rows is the worst of theirs."""
        known = self.outcomes.get(fault.fault_id, "repaired")
        self.outcomes[fault.fault_id] = max(known, outcome, key=OUTCOMES.index)

    def _judge(self, fault: PlantedFault, clean: Cells, found: Cells | None) -> str:
        """Return what became of *fault*, whose row is *clean* and now *found*."""
        is_missing = fault.fault_class == "missing" and not fault.column
        if found is None:
            return "left" if is_missing else "changed"
        if not fault.column:
            is_left = found == _parse(fault.faulty)
            return "repaired" if found == clean else "left" if is_left else "changed"
        at = self._columns.index(fault.column)
        if found[at] == clean[at]:
            return "repaired"
        return "left" if found[at] == fault.faulty else "changed"

    def _judge_redundant(self) -> None:
        """Judge the copies, and the lines that are no rows."""
        for fault in self._redundant:
            is_there = fault.key in self._rest
            self._rest.discard(fault.key)
            content = self._find_content(_parse(fault.faulty))
            if not fault.key:
                is_there = self._cleaned.junk_count > 0
            elif fault.key in self._cleaned.copies:
                is_there = True
            elif is_there and self._absent[content]:
                # The copy was kept instead of the original.
                self._absent[content] -= 1
                is_there = False
            self._note(fault, "left" if is_there else "repaired")

    def _judge_decoys(self) -> None:
        """Count planted decoys that were removed; the shop's own are rows like others."""
        for decoy in self._decoys:
            self.decoys_removed += decoy.key not in self._rest
            self._rest.discard(decoy.key)


def _read_rows(parts: Iterable[bytes]) -> Iterator[Cells]:
    """Yield the rows of a clean file in *parts*, without its header."""
    rows = csv.reader(_split_lines(parts))
    next(rows)
    yield from map(tuple, rows)


def _split_lines(parts: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from (line.decode("utf-8") for line in lines)


def _parse(line: str) -> Cells:
    """Return the cells of the *line* of a key, as well as they can be read."""
    return tuple(next(csv.reader([line]), ()))


# ---- Counts ------------------------------------------------------------------------------


def _count(faults: Sequence[PlantedFault], outcomes: dict[str, str]) -> Row:
    """Return how many of *faults* have each outcome, and the share that was repaired."""
    counts = Counter(outcomes.get(fault.fault_id, "left") for fault in faults)
    return {
        "planted": len(faults),
        **{outcome: counts[outcome] for outcome in OUTCOMES},
        "recall": divide(counts["repaired"], len(faults)),
    }
