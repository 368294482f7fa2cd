"""pandera: a schema for each frame of tool_frames.py, validated with `lazy=True`.

Its columns have `nullable`, `unique` and the checks `isin` (also for references), `ge`,
`le` and `str_matches`; a CHECK that compares columns is a check of the frame.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.tool_findings import REFERENCE, Found, Job, run_tool
from benchmarks.tool_frames import (
    Frame,
    list_parents,
    list_patterns,
    read_frames,
)
from benchmarks.tool_rules import ColumnRules, RowRule


def find_with_pandera(job: Job) -> Iterator[Found]:
    """Yield what pandas and pandera find in the files of *job*."""
    frames, refused = read_frames(job)
    yield from refused
    errors = import_module("pandera.errors")
    for frame in frames.values():
        try:
            make_schema(frames, frame).validate(frame.values, lazy=True)
        except errors.SchemaErrors as error:
            yield from read_failures(frame, error.failure_cases.to_dict("records"))


def make_schema(frames: dict[str, Frame], frame: Frame) -> Any:
    """Return the schema of *frame*; its references are to rows of *frames*."""
    pandera = import_module("pandera.pandas")
    table = frame.table
    parents = dict(list_parents(frames, table))
    columns = {}
    for column in table.columns:
        checks = list_checks(pandera, column)
        if column.name in parents:
            checks.append(pandera.Check.isin(parents[column.name], error=REFERENCE))
        columns[column.name] = pandera.Column(
            checks=checks, nullable=not column.is_required, unique=column.is_unique
        )
    rules = [compare_columns(pandera, rule) for rule in table.row_rules if rule.python]
    return pandera.DataFrameSchema(columns, checks=rules)


def list_checks(pandera: Any, column: ColumnRules) -> list[Any]:
    """Return what the cells of *column* must fulfil, as checks."""
    check = pandera.Check
    checks = [check.str_matches(f"^(?:{each})$") for each in list_patterns(column)]
    if column.choices:
        checks.append(check.isin(column.choices))
    if column.minimum is not None:
        checks.append(check.ge(column.minimum))
    if column.maximum is not None:
        checks.append(check.le(column.maximum))
    return checks


def compare_columns(pandera: Any, rule: RowRule) -> Any:
    """Return *rule* as a check of complete rows."""
    return pandera.Check(lambda values: values.eval(rule.python), error=rule.name)


def read_failures(frame: Frame, failures: list[dict[str, Any]]) -> Iterator[Found]:
    """Yield the places of the *failures* that pandera lists.

    A failure of a complete row is listed once for each of its cells.
    """
    for failure in failures:
        at = failure["index"]
        if at is None or at != at:  # NaN: about the complete frame
            continue
        is_row = failure["schema_context"] == "DataFrameSchema"
        column = "" if is_row else failure["column"]
        yield frame.locate(int(at), column, str(failure["check"]))


if __name__ == "__main__":
    sys.exit(run_tool(find_with_pandera))
