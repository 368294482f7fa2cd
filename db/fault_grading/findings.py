"""What a tool found in faulty files: places, read from its file of findings."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from utils.contract import Contract, Table
from utils.formats import shorten_value
from utils.helpers import DataError, open_regular_file

# The columns of a file of findings; a place is named by the first two or the next two.
COLUMNS = ("table", "key", "file", "line", "column", "field", "label")

_EXPECTED = "Expected a header of table,key[,column] or file,line[,field]"


class Finding(NamedTuple):
    """A place where a tool found a fault: a row, by *key* or *line*, or a cell in it.

    *line* and *field* count from 1, with the header.  A finding about a time has *days*,
    its first and last one, and no row.  *label* is what the tool calls the fault.
    """

    table: str
    key: str = ""
    line: int | None = None
    column: str = ""
    label: str = ""
    days: tuple[str, str] | None = None

    def describe(self) -> str:
        """Return the place as text.

        >>> Finding("orders", "17", column="user_id").describe()
        'orders 17 user_id'
        """
        if self.days:
            first, last = self.days
            return f"{self.table} {first}" + (f" to {last}" if last != first else "")
        row = self.key or f"line {self.line}"
        return " ".join(filter(None, (self.table, row, self.column)))


def read_findings(path: Path, contract: Contract) -> Iterator[Finding]:
    """Yield the findings in the CSV file *path*.

    Raise `DataError` if it cannot be read, has no column that names a place, or names a
    table or column that *contract* does not have.  Whether the row exists is not checked.
    """
    tables = {table.name: table for table in contract.tables}
    for place, cells in _read_rows(path):
        yield _convert(place, cells, tables)


def _read_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each row of the file *path*, and its cells by their column."""
    try:
        with open_regular_file(path) as file:
            rows = csv.reader((line.decode("utf-8-sig") for line in file), strict=True)
            header = [name.strip().lower() for name in next(rows, [])]
            _require_columns(path, header)
            for row in rows:
                if len(row) > len(header):
                    raise DataError(
                        f"{path}:{rows.line_num}: {len(row)} fields, expected"
                        f" {len(header)}, as in the header."
                    )
                if any(row):
                    named = zip(header, map(str.strip, row), strict=False)
                    yield f"{path}:{rows.line_num}", dict(named)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read: {reason}. {_EXPECTED}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not CSV in UTF-8: {error}. {_EXPECTED}.") from error


def _require_columns(path: Path, header: Sequence[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        name = shorten_value(unknown[0])
        raise DataError(f"{path}:1: {name} is not a column of findings. {_EXPECTED}.")
    if not {"table", "key"} <= {*header} and not {"file", "line"} <= {*header}:
        raise DataError(f"{path}:1: no columns that name a row. {_EXPECTED}.")


def _convert(place: str, cells: dict[str, str], tables: dict[str, Table]) -> Finding:
    """Return the finding with these *cells*, which are at *place* in their file."""
    name = cells.get("table") or Path(cells.get("file", "")).name
    table = tables.get(name.removesuffix(".csv"))
    if table is None:
        known = ", ".join(tables)
        found = shorten_value(name)
        raise DataError(f"{place}: {found} is not a table, expected one of {known}.")
    key = cells.get("key", "")
    line = _read_number(place, "line", cells.get("line", ""))
    if not key and line is None:
        raise DataError(f"{place}: names no row, expected a key or a line.")
    field = _read_number(place, "field", cells.get("field", ""))
    column = cells.get("column", "")
    if not column and field is not None and field <= len(table.columns):
        column = table.columns[field - 1].name
    if column and column not in table.column_names:
        names, found = ", ".join(table.column_names), shorten_value(column)
        raise DataError(
            f"{place}: {found} is not a column of {table.name}, expected one of {names}."
        )
    return Finding(table.name, key, line, column, cells.get("label", ""))


def _read_number(place: str, name: str, text: str) -> int | None:
    """Return *text* as a number from 1 on; None if it is empty."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text[:18]) > 0):
        found = shorten_value(text)
        raise DataError(f"{place}: {name} is {found}, expected a number from 1 on.")
    return int(text[:18])
