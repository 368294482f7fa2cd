"""Write what a fault does to a row: the lines of a faulty file, and rows of the key."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterable
from typing import IO, Any, NamedTuple

from data_generation.faults.fault_kinds import (
    Edit,
    PlantedKind,
    Row,
    Site,
    split_row,
)
from utils.answer_key import FAULT_COLUMNS, Decoy, PlantedFault
from utils.contract import Table

# The amount of a row of each table, for the effect of a fault on all of it.
_AMOUNTS = {
    "orders": "total_cents",
    "order_items": "line_total_cents",
    "payments": "amount_cents",
}


class Happening(NamedTuple):
    """What an incident has done: its faults by table, and their first and last day."""

    kind: PlantedKind
    row_counts: Counter[str]
    days: list[str]


class KeyPlace(NamedTuple):
    """Where a fault is: as `PlantedFault` has it."""

    table: str
    key: str
    column: str
    line: int | None
    field: int | None


class Change(NamedTuple):
    """What a fault changes, by *edit*; the texts are a cell or a complete line."""

    fault_class: str
    level: str
    clean: str
    faulty: str
    edit: Edit
    effect_cents: int | None = None


class _LaterRow(NamedTuple):
    """A row that is written at the end: added, or moved from its place."""

    row: Row
    site: Site
    incident: int
    edit: Edit
    is_moved: bool = False


class FaultyFile:
    """The faulty file of a table being written; it counts the lines."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.lines = 0

    def write_line(self, line: bytes) -> int:
        """Append *line*; return its number."""
        self._file.write(line)
        self.lines += 1
        return self.lines

    def write_text(self, text: str) -> int:
        """Append *text*, which may contain bytes as surrogates; return its line."""
        return self.write_line(encode_text(text) + b"\n")


def encode_text(text: str) -> bytes:
    """Return the bytes of *text*; lone surrogates are bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def show_text(text: str) -> str:
    r"""Return *text* with carriage returns and bytes that are not UTF-8 written out.

    >>> show_text("Zo\udceb\r")
    'Zo\\xeb\\r'
    """
    return encode_text(text).decode("utf-8", "backslashreplace").replace("\r", "\\r")


class KeyWriter:
    """The files faults.csv and decoys.csv being written; it counts what happened."""

    def __init__(self, faults: IO[bytes], decoys: IO[bytes]) -> None:
        self._faults = _open_rows(faults)
        self._decoys = _open_rows(decoys)
        self.happenings: dict[str, Happening] = {}
        self.counts: Counter[str] = Counter()
        self.decoy_count = 0
        self._faults.writerow(FAULT_COLUMNS)
        self._decoys.writerow(Decoy._fields)

    def add(self, site: Site, place: KeyPlace, change: Change, day: str) -> None:
        """Write a fault, or a decoy, of the kind of *site*."""
        kind = site.kind
        self.counts[kind.name] += 1
        self._count(site, place.table, day)
        number = f"{kind.name}-{self.counts[kind.name]:05}"
        if kind.is_decoy:
            row = (place.table, place.key, place.line or 0, 1, change.faulty)
            self._write_decoy(Decoy(number, kind.name, *row, kind.description))
            return
        edit = change.edit
        fault = PlantedFault(
            number,
            site.name_incident(),
            kind.name,
            change.fault_class,
            change.level,
            *place,
            show_text(change.clean),
            show_text(change.faulty),
            kind.expected if edit.expected is None else edit.expected,
            kind.tier if edit.tier is None else edit.tier,
            kind.certainty,
            change.effect_cents,
        )
        self._faults.writerow(fault)

    def add_own_decoy(self, number: int, line: int, text: str) -> None:
        """Write the order *text* in *line* as the *number*-th largest one of the shop."""
        key = text.split(",", 1)[0]
        name = "own_large_order"
        row = ("orders", key, line, 0, text, "one of the largest orders of the shop")
        self._write_decoy(Decoy(f"{name}-{number:05}", name, *row))

    def _write_decoy(self, decoy: Decoy) -> None:
        self.decoy_count += 1
        self._decoys.writerow(decoy)

    def _count(self, site: Site, table: str, day: str) -> None:
        happening = self.happenings.setdefault(
            site.name_incident(), Happening(site.kind, Counter(), [])
        )
        happening.row_counts[table] += 1
        if day:
            days = [*happening.days, day]
            happening.days[:] = [min(days), max(days)]


def write_rows(file: IO[bytes], rows: Iterable[Iterable[Any]]) -> None:
    """Write *rows* to *file* as lines of CSV; None is an empty cell."""
    _open_rows(file).writerows(rows)


def _open_rows(file: IO[bytes]) -> Any:
    return csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")


class TablePlanter:
    """Writes the faulty file of *table*, and each of its faults to *key*."""

    def __init__(self, table: Table, output: FaultyFile, key: KeyWriter) -> None:
        self._key = key
        self._output = output
        # Writes a line as it is; returns its number.
        self.pass_line = output.write_line
        self._names = table.column_names
        self._event = next((each.name for each in table.columns if each.is_event), "")
        self._later: list[_LaterRow] = []
        self.name = table.name

    def read_row(self, line: bytes) -> Row:
        """Return the cells of the clean *line* by column."""
        return split_row(line, self._names)

    def plant(self, line: bytes, row: Row, site: Site, edit: Edit) -> None:
        """Write the clean *line*, whose cells are *row*, as *edit* changes it."""
        for text in edit.before:
            self._add_line(row, site, edit, text, key="")
        self._plant_row(line, row, site, edit)
        for text in edit.after:
            self._add_line(row, site, edit, text, key=row[self._names[0]])
        self._later += [
            _LaterRow(added, site, site.incident, edit) for added in edit.appended
        ]

    def _plant_row(self, line: bytes, row: Row, site: Site, edit: Edit) -> None:
        text = line.decode("utf-8").rstrip("\n")
        level = ("missing", "row") if edit.is_dropped else (site.kind.fault_class, "row")
        if edit.is_moved:
            self._later.append(_LaterRow(row, site, site.incident, edit, is_moved=True))
        elif edit.is_dropped:
            change = Change(*level, text, "", edit, self._measure(row, -1))
            self._record(row, site, None, change)
        elif edit.text is not None:
            number = self._output.write_text(edit.text)
            self._record(row, site, number, Change(*level, text, edit.text, edit))
        elif edit.cells or edit.broken:
            self._plant_cells(row, site, edit)
        else:
            self.pass_line(line)

    def _plant_cells(self, row: Row, site: Site, edit: Edit) -> None:
        kind = site.kind
        number = self._output.write_text(",".join({**row, **edit.cells}.values()))
        # Of a redundant row, a changed cell elsewhere is incorrect.
        fault_class = "missing" if kind.fault_class == "missing" else "incorrect"
        for column, faulty in edit.cells.items():
            level = "relation" if kind.level == "relation" else "cell"
            effect = compare_cents(column, row[column], faulty)
            change = Change(fault_class, level, row[column], faulty, edit, effect)
            self._record(row, site, number, change, column)
        for column in edit.broken:
            cell = row[column]
            change = Change("incorrect", "relation", cell, cell, edit)
            self._record(row, site, number, change, column)

    def _add_line(self, row: Row, site: Site, edit: Edit, text: str, *, key: str) -> None:
        number = self._output.write_text(text)
        place = KeyPlace(self.name, key, "", number, None)
        change = Change("redundant", "row", "", text, edit)
        self._key.add(site, place, change, self._find_day(row))

    def _record(
        self, row: Row, site: Site, line: int | None, change: Change, column: str = ""
    ) -> None:
        field = self._names.index(column) + 1 if column else None
        place = KeyPlace(self.name, row[self._names[0]], column, line, field)
        self._key.add(site, place, change, self._find_day(row))

    def flush_later(self) -> None:
        """Write the rows that arrive later, in the order of their ids."""
        key_name = self._names[0]
        for row, site, incident, edit, is_moved in sorted(
            self._later, key=lambda later: int(later.row[key_name])
        ):
            site.incident = incident
            text = ",".join(row.values())
            number = self._output.write_text(text)
            if is_moved:
                change = Change("incorrect", "row", text, text, edit, 0)
            else:
                effect = self._measure(row, 1)
                change = Change("redundant", "row", "", text, edit, effect)
            self._record(row, site, number, change)
        self._later.clear()

    def cut(self, lines: list[bytes], site: Site) -> None:
        """Write the first of *lines* in part, and omit the others: the file ends there."""
        data = b"".join(lines)
        kept = len(lines[0]) // 2
        row = self.read_row(lines[0])
        number = self._output.write_line(data[:kept])
        clean = data[kept:].decode("utf-8")
        change = Change("missing", "file", clean, "", Edit())
        self._record(row, site, number, change)

    def _find_day(self, row: Row) -> str:
        return row[self._event][:10] if self._event else ""

    def _measure(self, row: Row, sign: int) -> int | None:
        column = _AMOUNTS.get(self.name)
        return sign * int(row[column]) if column else None


def compare_cents(column: str, clean: str, faulty: str) -> int | None:
    """Return by how much an amount is off; None if it is no amount or no number."""
    try:
        return int(faulty) - int(clean) if column.endswith("_cents") else None
    except ValueError:
        return None
