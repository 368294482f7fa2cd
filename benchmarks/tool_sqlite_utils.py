"""sqlite-utils: one `insert` for each file into the tables of db/schema.sql.

The options are `--csv --truncate --no-detect-types`.  A command ends at the first row that
the table does not accept, and its message has the values of the 100 rows of a batch.  So a
command that fails runs again with `--batch-size 1`, which names the row.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.tool_findings import Found, Job, run_tool
from benchmarks.tool_rules import TableRules

_STATEMENT = re.compile(
    r"INSERT INTO \S+ \((.+?)\) VALUES \(.+\)\nparameters = (\[.*\])", re.DOTALL
)


def find_with_sqlite_utils(job: Job) -> Iterator[Found]:
    """Yield the rows that sqlite-utils names while it loads the files of *job*."""
    for table in job.rules:
        if _insert_rows(job, table):
            message = _insert_rows(job, table, "--batch-size", "1")
            yield from read_failed_insert(table, message)


def _insert_rows(job: Job, table: TableRules, *options: str) -> str:
    """Insert the file of *table*; return the error message, '' without one."""
    program = Path(sys.executable).with_name("sqlite-utils")
    path = job.data_dir / f"{table.name}.csv"
    done = subprocess.run(  # noqa: S603  the paths are made by the benchmark
        [
            *(program, "insert", job.database, table.name, path, "--csv", "--truncate"),
            *("--no-detect-types", "--silent", *options),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stderr if done.returncode else ""


def read_failed_insert(table: TableRules, message: str) -> Iterator[Found]:
    """Yield the row of *table* that the error *message* has the values of."""
    if statement := _STATEMENT.search(message):
        names = re.findall(r"\w+", statement[1])
        cells = dict(zip(names, ast.literal_eval(statement[2]), strict=True))
        if key := cells[table.key]:
            yield Found(table.name, key, None, "", message.partition("\n")[0])


if __name__ == "__main__":
    sys.exit(run_tool(find_with_sqlite_utils))
