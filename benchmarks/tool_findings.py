"""What a tool found, as the CSV file that `ingest.py --grade --findings` reads.

Tools number the records of a CSV file, or the lines; `read_records` compares both.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.tool_rules import TableRules, read_rules_file

# The label of a reference to no row.
REFERENCE = "reference"


class Found(NamedTuple):
    """A row that a tool found, by *key* or by *line* from 1, or a cell in it.

    *label* is what the tool calls the fault.
    """

    table: str
    key: str = ""
    line: int | None = None
    column: str = ""
    label: str = ""


class Record(NamedTuple):
    """A record of a CSV file: the *line* in which it begins, and its cells."""

    line: int
    cells: list[str]


class Job(NamedTuple):
    """What a tool gets: faulty files, the rules, and a database that holds clean rows."""

    data_dir: Path
    rules: list[TableRules]
    database: Path


def read_records(path: Path) -> list[Record]:
    """Return the records of the CSV file *path* as a lenient reader divides it.

    A lone CR ends a record, a quote that is not closed extends one to the end of the file,
    a blank line is a record without cells, and each byte that is not UTF-8 is replaced.
    """
    ends = [0]

    def count_ends(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            ends[0] += line.endswith("\n")
            yield line

    records: list[Record] = []
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(count_ends(file))
        while True:
            line = ends[0] + 1
            cells = next(reader, None)
            if cells is None:
                return records
            records.append(Record(line, cells))


def list_line_numbers(path: Path) -> list[int]:
    """Return the line of each line of *path* for a reader that ends lines at a lone CR."""
    with open(path, "rb") as file:
        return [
            number for number, line in enumerate(file, start=1) for _ in line.splitlines()
        ]


def drop_consequences(
    findings: Iterable[Found], data_dir: Path, rules: Iterable[TableRules]
) -> Iterator[Found]:
    """Yield *findings* without references to rows that are in their file.

    A tool that refuses a row finds that others refer to nothing then.  Who corrects the row
    corrects these too, so they are no findings of their own.
    """
    tables = {table.name: table for table in rules}
    lines = {name: _read_lines(data_dir / f"{name}.csv") for name in tables}
    keys = {name: {line[0] for line in lines[name]} for name in tables}
    by_key = {(name, line[0]): line for name in tables for line in lines[name]}
    for found in findings:
        if found.label == REFERENCE:
            row = by_key.get((found.table, found.key), [])
            if found.line:
                row = lines[found.table][found.line - 1]
            if not _is_orphan(tables[found.table], row, keys):
                continue
        yield found


def _read_lines(path: Path) -> list[list[str]]:
    """Return the first cells of each line of *path*: the keys are before any text."""
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        return [line.rstrip("\r\n").split(",", 3) for line in file]


def _is_orphan(table: TableRules, row: list[str], keys: Mapping[str, set[str]]) -> bool:
    """Return whether *row* of *table* refers to a row that is not among the *keys*."""
    names = [column.name for column in table.columns]
    cells = dict(zip(names, row, strict=False))
    return any(
        cells.get(each.column, "") not in keys[each.parent_table]
        for each in table.references
    )


def read_findings_file(path: Path) -> list[Found]:
    """Return the findings in the file *path*, which `write_findings` made."""
    with open(path, encoding="utf-8", newline="") as file:
        return [
            Found(table, key, int(line) if line else None, column, label)
            for table, key, line, column, label in list(csv.reader(file))[1:]
        ]


def write_findings(findings: Iterable[Found], path: Path) -> None:
    """Write *findings* to *path*, each of them once."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Found._fields)
        writer.writerows(dict.fromkeys(findings))


def run_tool(
    find: Callable[[Job], Iterable[Found]], argv: Sequence[str] | None = None
) -> int:
    """Run *find* as the program `TOOL DATA_DIR RULES DATABASE FINDINGS`."""
    data_dir, rules, database, findings = map(Path, sys.argv[1:] if argv is None else argv)
    job = Job(data_dir, read_rules_file(rules), database)
    write_findings(find(job), findings)
    return 0
