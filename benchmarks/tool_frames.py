"""Frames, of pandera and of Great Expectations: the files as `pandas.read_csv` reads them.

Every cell is read as text, with bad bytes replaced, which no text may contain.  Whole
numbers and instants are converted, and what is none is missing, so that the rule `required`
finds it.  pandas skips a row with too many fields with a warning, which is a finding, and
so is its error about quotes that are not closed; the rows before them are read then.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tool_findings import Found, Job, Record, read_records
from benchmarks.tool_rules import INSTANT_FORMAT, ColumnRules, TableRules

# What pandas reads in place of bytes that are not UTF-8, as the manifest requires.
NO_BAD_BYTES = "[^\ufffd]*"


class Frame(NamedTuple):
    """The rows of a table; *lines* has the line of each row in the file."""

    table: TableRules
    values: Any
    lines: list[int]

    def locate(self, at: int, column: str, label: str) -> Found:
        """Return the row at position *at* as a finding."""
        return Found(self.table.name, "", self.lines[at], column, label)


def read_frames(job: Job) -> tuple[dict[str, Frame], list[Found]]:
    """Return the frames of all tables of *job*, and what pandas itself does not accept."""
    frames, findings = {}, []
    for table in job.rules:
        path = job.data_dir / f"{table.name}.csv"
        kept, refused = divide_records(table, read_records(path))
        values = read_texts(path, kept)
        for column in table.columns:
            values[column.name] = convert_cells(values[column.name], column)
        lines = [record.line for record in kept]
        frames[table.name] = Frame(table, values, lines[: len(values)])
        findings += refused
        findings += [
            Found(table.name, "", line, "", "ends within quotes")
            for line in lines[len(values) :]
        ]
    return frames, findings


def divide_records(
    table: TableRules, records: Sequence[Record]
) -> tuple[list[Record], list[Found]]:
    """Return the rows that pandas reads, and findings about those with too many fields."""
    rows = records[1:]
    kept = [row for row in rows if len(row.cells) <= len(table.columns)]
    refused = [
        Found(table.name, "", row.line, "", "too many fields")
        for row in rows
        if len(row.cells) > len(table.columns)
    ]
    return kept, refused


def read_texts(path: Path, kept: Sequence[Record]) -> Any:
    """Return the rows *kept* of *path* as texts; an empty cell is a missing one.

    pandas refuses a file that ends within quotes, and names the row in which they begin; so
    only the rows before are read then.
    """
    pandas = import_module("pandas")
    options = {
        "dtype": str,
        "keep_default_na": False,
        "na_values": [""],
        "skip_blank_lines": False,
        "encoding_errors": "replace",
        "on_bad_lines": "warn",
    }
    with warnings.catch_warnings(action="ignore"):
        try:
            frame = pandas.read_csv(path, **options)
        except pandas.errors.ParserError:
            frame = pandas.read_csv(path, nrows=len(kept) - 1, **options)
    return frame


def convert_cells(cells: Any, column: ColumnRules) -> Any:
    """Return the texts *cells* in the type of *column*; missing where they are none."""
    pandas = import_module("pandas")
    if column.type == "integer":
        numbers = pandas.to_numeric(cells, errors="coerce")
        return numbers.where(numbers % 1 == 0).astype("float64")
    if column.type == "instant":
        return pandas.to_datetime(cells, format=INSTANT_FORMAT, errors="coerce")
    return cells


def list_parents(frames: dict[str, Frame], table: TableRules) -> Iterator[tuple[str, Any]]:
    """Yield each column of *table* that refers to a row, and the keys that there are."""
    for reference in table.references:
        parents = frames[reference.parent_table].values[reference.parent_column]
        yield reference.column, parents.dropna().unique()


def list_patterns(column: ColumnRules) -> list[str]:
    """Return the regular expressions that match the complete text of *column*."""
    if column.type != "text":
        return []
    return [NO_BAD_BYTES, *filter(None, [column.pattern])]
