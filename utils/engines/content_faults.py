"""The first place in a table's files that an engine and the loader do not read alike.

The files are read once more for it, each part on its own, record by record.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from typing import IO

from utils.csv_bytes import RejectedInput, max_line_bytes
from utils.engines.files import PartFile, TableFiles
from utils.helpers import DataError

# What the strict `csv` module refuses, by words of its error.
_CSV_ERRORS = {
    "expected after": "text follows a closing quote",
    "unexpected end of data": "a cell begins with a quote and has no closing quote",
    "new-line character": "a CR that ends no line is outside quotes",
    "field larger": f"a cell has more than {csv.field_size_limit():,} characters",
}

# The next steps: for what the loader refuses too, and for what only it reads.
_REFUSED = "Correct it; python ingest.py --check lists all faults of a table in one file."
_LOADED = "or load the files with python ingest.py --ingest and omit --engine."


def find_fault(files: TableFiles) -> DataError | None:
    """Return the error that names the first fault in *files*, or None if there is none."""
    for part in files.parts:
        if fault := _find_in_part(part, len(files.header)):
            return fault
    return None


def _find_in_part(part: PartFile, width: int) -> DataError | None:
    """Return the error that names the first fault in *part*, with rows of *width* cells."""
    line = 1
    with open(part.path, "rb") as file:
        reader = _LineReader(file, max_line_bytes(width))
        records = csv.reader(reader, strict=True)
        try:
            for record in records:
                fault = _describe_record(record, width) or reader.describe_line_end()
                if fault is not None:
                    return DataError(f"{part.path}:{line}: {fault}")
                line = records.line_num + 1
        except (csv.Error, RejectedInput) as error:
            return DataError(
                f"{part.path}:{line}: is not CSV: {_explain(str(error))}. {_REFUSED}"
            )
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            return DataError(
                f"{part.path}:{reader.number}: the byte 0x{byte:02X} is not UTF-8."
                f" Save the file as UTF-8. {_REFUSED}"
            )
    return None


def _explain(error: str) -> str:
    """Return the *error* of the `csv` module in our words."""
    return next((text for words, text in _CSV_ERRORS.items() if words in error), error)


def _describe_record(record: list[str], width: int) -> str | None:
    """Return what is wrong with *record*, which has to have *width* cells, or None."""
    if not record:
        return f"is an empty line. Expected {width} cells. {_REFUSED}"
    if len(record) != width:
        return f"the number of cells is {len(record)}, expected {width}. {_REFUSED}"
    for cell in record:
        if cell.startswith(" ") and cell.lstrip(" ").startswith('"'):
            return (
                f"the cell {cell[:80]!r} has a blank before its quote, which DuckDB drops."
                f" Expected the quote first. Remove the blank, {_LOADED}"
            )
    return None


class _LineReader(Iterator[str]):
    """The lines of a *file*, decoded; *number* is that of the last one, *line* its text."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self._file = file
        self._most_bytes = most_bytes
        self._first_break = ""
        self.number = 0
        self.line = ""

    def __next__(self) -> str:
        """Return the next line; raise `RejectedInput` for a NUL or a line too long."""
        data = self._file.readline(self._most_bytes + 1)
        if not data:
            raise StopIteration
        self.number += 1
        if len(data) > self._most_bytes:
            raise RejectedInput("a line that is too long")
        if b"\0" in data:
            raise RejectedInput("a NUL byte")
        if self.number == 1:
            data = data.removeprefix(codecs.BOM_UTF8)
        self.line = data.decode("utf-8")
        if self.number == 1 and (found := re.search("\r?\n|\r", self.line)):
            self._first_break = found[0]
        return self.line

    def describe_line_end(self) -> str | None:
        """Return how the end of the last line, that of a row, differs; or None.

        Engines take the first line break of a file, also one in quotes, for its line end.
        """
        end = self.line[len(self.line.rstrip("\r\n")) :]
        if end == "" or end == self._first_break in ("\n", "\r\n"):
            return None
        return (
            f"this row ends with {_name_line_end(end)}, the first line break of the file is"
            f" {_name_line_end(self._first_break)}. Engines refuse or misread mixed line"
            f" ends. Write all lines with LF, {_LOADED}"
        )


def _name_line_end(end: str) -> str:
    return end.replace("\r", "CR").replace("\n", "LF")
