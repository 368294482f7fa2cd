"""DuckDB: `read_csv` with reject tables, and tables with the constraints of the contract.

The types are BIGINT, VARCHAR, and TIMESTAMP with the format of the contract.  Rows that the
reader cannot read or convert are stored as rejects.  The others are inserted, in one
transaction, into tables with NOT NULL, UNIQUE, PRIMARY KEY, FOREIGN KEY and each CHECK; the
insert ends at the first row that breaks one.  With `--queries`, a query for each rule lists
the keys of all rows that break it, before the insert; DuckDB has no command that does so.
A file in which the strict parser reaches an invalid state, as it does at a lone CR, is read
with strict_mode = false, which the message proposes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.tool_findings import REFERENCE, Found, Job, list_line_numbers, run_tool
from benchmarks.tool_rules import (
    INSTANT_FORMAT,
    ColumnRules,
    TableRules,
)

_TYPES = {"integer": "BIGINT", "text": "VARCHAR", "instant": "TIMESTAMP"}

# The value of a key that occurs twice, or of a reference to no row.
_KEY = re.compile(r'key "(\w+): (.+?)" (violates|does not exist)', re.IGNORECASE)


def find_with_duckdb(job: Job, *, has_queries: bool) -> Iterator[Found]:
    """Yield what DuckDB finds in the files of *job*; load them into its database.

    With *has_queries* the rows that break a rule are queried, before the load.
    """
    connection = import_module("duckdb").connect(str(job.database))
    for table in job.rules:
        path = job.data_dir / f"{table.name}.csv"
        stage_rows(connection, table, path)
        yield from read_rejects(connection, table, list_line_numbers(path))
    if has_queries:
        for table in job.rules:
            yield from query_rules(connection, table)
    yield from load_rows(connection, job.rules)


def stage_rows(connection: Any, table: TableRules, path: Path) -> None:
    """Read *path* as rows of *table*, strictly if possible, and store its rejects."""
    try:
        connection.execute(read_file(table, path, "true"))
    except import_module("duckdb").InvalidInputException:
        connection.execute(read_file(table, path, "false"))


def read_file(table: TableRules, path: Path, strict_mode: str) -> str:
    """Return the statement that reads *path* as rows of *table*."""
    columns = ", ".join(f"'{each.name}': '{_TYPES[each.type]}'" for each in table.columns)
    return (
        f"CREATE TEMP TABLE staged_{table.name} AS FROM read_csv('{path}', header = true,"
        f" delim = ',', quote = '\"', columns = {{{columns}}}, auto_detect = false,"
        f" timestampformat = '{INSTANT_FORMAT}', strict_mode = {strict_mode},"
        f" store_rejects = true, rejects_table = 'rejects_{table.name}',"
        f" rejects_scan = 'scan_{table.name}')"
    )


def read_rejects(
    connection: Any, table: TableRules, numbers: Sequence[int]
) -> Iterator[Found]:
    """Yield the rows of *table* that the CSV reader did not accept.

    A lone CR is the end of a line for DuckDB; *numbers* are the lines for all others.
    """
    rows = connection.execute(
        f"SELECT line, column_name, error_type FROM rejects_{table.name}"
    ).fetchall()
    names = {column.name for column in table.columns}
    for line, column, error in rows:
        place = column if column in names and error == "CAST" else ""
        yield Found(table.name, "", numbers[line - 1], place, error)


# ---- Each rule as a query ----------------------------------------------------------------


def query_rules(connection: Any, table: TableRules) -> Iterator[Found]:
    """Yield the staged rows of *table* that break one of its rules."""
    for column, label, condition in list_conditions(table):
        keys = connection.execute(
            f"SELECT {table.key} FROM staged_{table.name} AS staged WHERE {condition}"
        ).fetchall()
        for (key,) in keys:
            if key is not None:
                yield Found(table.name, str(key), None, column, label)


def list_conditions(table: TableRules) -> Iterator[tuple[str, str, str]]:
    """Yield the column, the name and the SQL of what no row of *table* may fulfil."""
    staged = f"staged_{table.name}"
    for column in table.columns:
        name = column.name
        if column.is_required:
            yield name, "required", f"{name} IS NULL"
        if column.is_unique:
            values = f"SELECT {name} FROM {staged} GROUP BY {name} HAVING COUNT(*) > 1"
            yield name, "unique", f"{name} IN ({values})"
    for reference in table.references:
        parent = reference.parent_column
        is_there = (
            f"EXISTS (FROM staged_{reference.parent_table} AS parent"
            f" WHERE parent.{parent} = staged.{reference.column})"
        )
        is_orphan = f"staged.{reference.column} IS NOT NULL AND NOT {is_there}"
        yield reference.column, REFERENCE, is_orphan
    for rule in table.row_rules:
        yield "", rule.name, f"NOT ({rule.duckdb})"


# ---- The constraints ---------------------------------------------------------------------


def create_tables(rules: list[TableRules]) -> Iterator[str]:
    """Yield the statements that create the tables of the contract in DuckDB."""
    for table in rules:
        parts = [*map(_define_column, table.columns), f"PRIMARY KEY ({table.key})"]
        parts += [
            f"FOREIGN KEY ({each.column})"
            f" REFERENCES {each.parent_table} ({each.parent_column})"
            for each in table.references
        ]
        parts += [f"CHECK ({rule.duckdb})" for rule in table.row_rules]
        yield f"CREATE TABLE {table.name} ({', '.join(parts)})"


def _define_column(column: ColumnRules) -> str:
    words = [column.name, _TYPES[column.type]]
    words += ["NOT NULL"] * column.is_required + ["UNIQUE"] * column.is_unique
    return " ".join(words)


def load_rows(connection: Any, rules: list[TableRules]) -> Iterator[Found]:
    """Replace the rows of all tables; yield what stops it, if anything.

    DuckDB checks references at once, so the tables are made again, not emptied.
    """
    error_type = import_module("duckdb").Error
    connection.execute("BEGIN")
    try:
        for table in reversed(rules):
            connection.execute(f"DROP TABLE IF EXISTS {table.name}")
        for statement in create_tables(rules):
            connection.execute(statement)
        for table in rules:
            name = table.name
            connection.execute(f"INSERT INTO {name} FROM staged_{name}")
        connection.execute("COMMIT")
    except error_type as error:
        connection.execute("ROLLBACK")
        yield from find_named_rows(connection, table, str(error))


def find_named_rows(connection: Any, table: TableRules, text: str) -> Iterator[Found]:
    """Yield the rows of *table* with the value that the *text* of an error names."""
    column, value, label = read_constraint_error(text)
    if column not in {each.name for each in table.columns}:
        return
    keys = connection.execute(
        f"SELECT {table.key} FROM staged_{table.name} WHERE CAST({column} AS VARCHAR) = ?",
        [value],
    ).fetchall()
    for (key,) in keys:
        yield Found(table.name, str(key), None, column, label)


def read_constraint_error(text: str) -> tuple[str, str, str]:
    """Return the column and the value that the *text* of an error names, and its label.

    >>> read_constraint_error('Duplicate key "user_id: 7" violates primary key constraint.')
    ('user_id', '7', 'unique')
    """
    place = _KEY.search(text)
    if place is None:
        return "", "", ""
    return place[1], place[2], "unique" if place[3] == "violates" else REFERENCE


if __name__ == "__main__":
    arguments = sys.argv[1:]
    queries = arguments[-1:] == ["--queries"]
    sys.exit(
        run_tool(
            partial(find_with_duckdb, has_queries=queries),
            arguments[:-1] if queries else arguments,
        )
    )
