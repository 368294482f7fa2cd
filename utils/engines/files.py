"""The CSV files of each table: one file, or several parts in several layouts.

Parts joined in order are the table's one file.  Each part has the header, as most engines
write it, or only the first part has it.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from utils.contract import Contract, Table
from utils.csv_bytes import max_line_bytes
from utils.helpers import DataError, identify_file
from utils.signatures import (
    HEAD_BYTES,
    QUOTED_LINES,
    describe_foreign_head,
    describe_other_table,
)

# The number of a part and the count of all parts, as generate_data.py names its files.
_PART_NAME = re.compile(r"part-(\d+)-of-(\d+)")
_DIGITS = re.compile(r"(\d+)")


class PartFile(NamedTuple):
    """One file of a table; *identity* changes when the file does.

    *line_end* ends its first line: LF, CRLF, or nothing.
    """

    path: Path
    has_header: bool
    line_end: bytes
    identity: tuple[int, ...]


class TableFiles(NamedTuple):
    """The *parts* of *table*; *header* names its columns in the order of the files."""

    table: Table
    header: tuple[str, ...]
    parts: tuple[PartFile, ...]

    @property
    def name(self) -> str:
        """Return the name of the joined parts."""
        return f"{self.table.name}.csv"

    @property
    def header_ends(self) -> set[bytes]:
        """Return the line ends of the headers of all parts."""
        return {part.line_end for part in self.parts if part.has_header}


def find_tables(contract: Contract, data_dir: Path) -> list[TableFiles]:
    """Return the files of each table of *contract* in *data_dir*, in its order.

    Raise `DataError` naming a table that is missing, that is there in two layouts, or
    whose header is not the contract's.
    """
    if not data_dir.is_dir():
        raise DataError(
            f"{data_dir}: no such folder. Name the folder of the CSV files with --data-dir."
        )
    return [find_table(table, data_dir, contract.tables) for table in contract.tables]


def find_table(table: Table, data_dir: Path, tables: Sequence[Table] = ()) -> TableFiles:
    """Return the files of *table* in *data_dir*; raise what `find_tables` does.

    A file that contains another one of *tables* is named as that.
    """
    name = f"{table.name}.csv"
    path = data_dir / name
    layouts = {
        name: [path] if path.is_file() else [],
        f"{name}/": _list_files(path),
        f"{table.name}/": _list_files(data_dir / table.name),
        f"{name}.part-K-of-N": sorted(data_dir.glob(f"{name}.part-*-of-*")),
        f"part-K-of-N/{name}": [
            *data_dir.glob(f"part-*-of-*/{name}"),
            *data_dir.glob(f"part-*-of-*/{name}.part-*-of-*"),
        ],
    }
    found = {layout: paths for layout, paths in layouts.items() if paths}
    if not found:
        raise DataError(
            f"{path}: no such file, nor a folder of its parts. Expected {name}, a folder"
            f" {table.name}/, or {name}.part-K-of-N. Name their folder with --data-dir."
        )
    if len(found) > 1:
        raise DataError(
            f"{data_dir}: holds {table.name} more than once: {', '.join(found)}."
            " Keep one of them."
        )
    (paths,) = found.values()
    paths = sorted(paths, key=lambda path: _natural_order(path, data_dir))
    _require_all_parts(paths, data_dir)
    return _read_headers(table, paths, tables)


def _list_files(folder: Path) -> list[Path]:
    """Return the files of *folder* except those hidden by Hadoop: `_SUCCESS`, `.x.crc`."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(("_", "."))
    ]


def _natural_order(path: Path, folder: Path) -> list[tuple[int, int, str]]:
    """Return a sort key of *path* that puts part 10 after part 9."""
    words = _DIGITS.split(path.relative_to(folder).as_posix())
    return [
        (0, int(word), word) if word.isdigit() else (1, 0, word) for word in words if word
    ]


def _require_all_parts(paths: Sequence[Path], folder: Path) -> None:
    """Raise `DataError` if the names in *paths* count parts and not each is there once."""
    names = [path.relative_to(folder).as_posix() for path in paths]
    counted = [(name, match[-1]) for name in names if (match := _PART_NAME.findall(name))]
    totals = sorted({int(total) for _, (_, total) in counted})
    if len(totals) > 1:
        raise DataError(
            f"{paths[0].parent}: holds parts of {' and of '.join(map(str, totals))}."
            " Keep the parts of one split."
        )
    present: set[int] = set()
    for name, (number, total) in counted:
        if int(number) in present or not 1 <= int(number) <= int(total):
            raise DataError(
                f"{folder / name}: there is no such part of {total}, or another file has"
                " its number. Remove the file that does not belong to the table."
            )
        present.add(int(number))
    # A name may count more parts than a list can hold.
    numbers = (number for number in range(1, sum(totals) + 1) if number not in present)
    if missing := list(islice(numbers, 5)):
        name, (number, total) = counted[0]
        path = folder / name.replace(
            f"part-{number}-of-", f"part-{missing[0]:0{len(number)}}-of-"
        )
        raise DataError(
            f"{path}: no such file; of {total} parts, number {', '.join(map(str, missing))}"
            f" is missing. Make it with generate_data.py --part {missing[0]}/{total}."
        )


def _read_headers(
    table: Table, paths: Sequence[Path], tables: Sequence[Table]
) -> TableFiles:
    """Return *paths* as parts of *table*, each with or without a header."""
    header: tuple[str, ...] = ()
    parts = []
    for path in paths:
        line = _read_first_line(path, len(table.columns))
        first = _parse_header(line)
        has_header = sorted(first) == sorted(table.column_names)
        if has_header:
            header = header or first
        elif (len(first) != len(header) or not header) and (
            finding := _recognize(path, first, table, tables)
        ):
            raise DataError(f"{path}:1: {finding}.")
        if fault := _find_header_fault(line, first, header):
            expected = ", ".join(header or table.column_names)
            raise DataError(f"{path}:1: {fault}. Expected {expected}. Correct the header.")
        end = line[len(line.rstrip(b"\r\n")) :]
        parts.append(PartFile(path, has_header, end, identify_file(path)))
    return TableFiles(table, header, tuple(parts))


def _recognize(
    path: Path, first: tuple[str, ...], table: Table, tables: Sequence[Table]
) -> str | None:
    """Return what the file *path* with the cells *first* is instead of a part of *table*.

    Return None if that is not known; it may then have rows, or another header.
    """
    with open(path, "rb") as file:
        found = describe_foreign_head(file.read(HEAD_BYTES))
    if len(first) == 1 and {*first[0].split(",")}.issuperset(table.column_names):
        found = QUOTED_LINES
    return found or describe_other_table(first, table, tables)


def _find_header_fault(
    line: bytes, first: tuple[str, ...], header: tuple[str, ...]
) -> str | None:
    """Return what is wrong with the first *line* of a part, or None.

    *first* is its cells; *header* is that of the parts so far, or empty before it is found.
    """
    if first == header != ():
        return None
    # A value may be the name of a column, such as the channel `email`.
    if not header or len(set(first) & set(header)) > len(header) // 2:
        found = ", ".join(first) or line.decode("utf-8", "replace")
        return f"the columns are {found[:200]!r}"
    if line.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark, but not with the header"
    return None


def _read_first_line(path: Path, column_count: int) -> bytes:
    """Return the first line of *path*, or as much of it as a header can need."""
    with open(path, "rb") as file:
        return file.readline(min(max_line_bytes(column_count), 1 << 16))


def _parse_header(line: bytes) -> tuple[str, ...]:
    """Return the cells of *line*; no cells if it is empty or not CSV in UTF-8."""
    text = line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n")
    try:
        return tuple(next(csv.reader([text.decode("utf-8")], strict=True), []))
    except (UnicodeDecodeError, csv.Error):
        return ()
