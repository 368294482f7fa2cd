"""The sqlite3 shell: `.import --csv --skip 1` into the tables of db/schema.sql.

References are enforced, and all tables are replaced in one transaction.  The shell prints
the line of each row that it refuses, and imports the others.  It runs twice: without -bail
and with ROLLBACK at the end, because that lists the faults of all files, and with -bail and
COMMIT, because only that keeps the old data.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.tool_findings import REFERENCE, Found, Job, run_tool

_MESSAGE = re.compile(r"(?P<path>.+?\.csv):(?P<line>\d+): (?P<fault>.+)")
_CONSTRAINT = re.compile(r"(?:UNIQUE|NOT NULL) constraint failed: \w+\.(\w+)")


def find_with_shell(job: Job) -> Iterator[Found]:
    """Yield what the shell prints about the files of *job*, and load them."""
    yield from read_shell_messages(_run_shell(job, end="ROLLBACK;"))
    _run_shell(job, "-bail", end="COMMIT;")


def _run_shell(job: Job, *options: str, end: str) -> str:
    """Replace the tables in the database of *job*; return what the shell prints."""
    lines = ["PRAGMA foreign_keys = ON;", "BEGIN;"]
    lines += [f"DELETE FROM {table.name};" for table in reversed(job.rules)]
    lines += [
        f'.import --csv --skip 1 "{job.data_dir / table.name}.csv" {table.name}'
        for table in job.rules
    ]
    done = subprocess.run(  # noqa: S603  the paths are made by the benchmark
        ["sqlite3", *options, str(job.database)],  # noqa: S607  the one on the PATH
        input="\n".join([*lines, end]) + "\n",
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stderr


def read_shell_messages(text: str) -> Iterator[Found]:
    """Yield the rows that the shell's messages are about.

    >>> list(read_shell_messages("a/orders.csv:7: expected 9 columns but found 1 - …"))
    [Found(table='orders', key='', line=7, column='', label='expected 9 columns')]
    """
    for message in _MESSAGE.finditer(text):
        fault = message["fault"].removeprefix("INSERT failed: ")
        place = _CONSTRAINT.match(fault)
        is_reference = fault.startswith("FOREIGN KEY")
        yield Found(
            Path(message["path"]).stem,
            line=int(message["line"]),
            column=place[1] if place else "",
            label=REFERENCE if is_reference else fault.partition(" but ")[0],
        )


if __name__ == "__main__":
    sys.exit(run_tool(find_with_shell))
