"""Great Expectations: a suite for each frame of tool_frames.py, `result_format` COMPLETE.

Values are expected to be not null, unique, in a set (also for references), between bounds,
and to match a regular expression.  An expectation is about columns, so a CHECK that
compares several is a computed column, which must be true.
"""

from __future__ import annotations

import os
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
from benchmarks.tool_rules import ColumnRules


def find_with_expectations(job: Job) -> Iterator[Found]:
    """Yield what pandas and Great Expectations find in the files of *job*."""
    # It must not send anything.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    gx = import_module("great_expectations")
    frames, refused = read_frames(job)
    yield from refused
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("files")
    for frame in frames.values():
        name = frame.table.name
        suite = gx.ExpectationSuite(
            name=name, expectations=list(list_expectations(gx.expectations, frames, frame))
        )
        asset = source.add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe(name).get_batch(
            {"dataframe": add_rule_columns(frame)}
        )
        result = batch.validate(suite, result_format="COMPLETE")
        yield from read_results(frame, result.to_json_dict()["results"])


def add_rule_columns(frame: Frame) -> Any:
    """Return the values of *frame* with a column for each rule that compares columns."""
    values = frame.values
    rules = [rule for rule in frame.table.row_rules if rule.python]
    return values.assign(**{rule.name: values.eval(rule.python) for rule in rules})


def list_expectations(gxe: Any, frames: dict[str, Frame], frame: Frame) -> Iterator[Any]:
    """Yield what the rows of *frame* must fulfil; its references are to *frames*."""
    for column in frame.table.columns:
        yield from list_column_expectations(gxe, column)
    for name, parents in list_parents(frames, frame.table):
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=parents.tolist())
    for rule in frame.table.row_rules:
        if rule.python:
            yield gxe.ExpectColumnValuesToBeInSet(column=rule.name, value_set=[True])


def list_column_expectations(gxe: Any, column: ColumnRules) -> Iterator[Any]:
    """Yield what the cells of *column* must fulfil."""
    name = column.name
    if column.is_required:
        yield gxe.ExpectColumnValuesToNotBeNull(column=name)
    if column.is_unique:
        yield gxe.ExpectColumnValuesToBeUnique(column=name)
    if column.choices:
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=column.choices)
    for pattern in list_patterns(column):
        yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=f"^(?:{pattern})$")
    if column.minimum is not None or column.maximum is not None:
        yield gxe.ExpectColumnValuesToBeBetween(
            column=name, min_value=column.minimum, max_value=column.maximum
        )


def read_results(frame: Frame, results: list[dict[str, Any]]) -> Iterator[Found]:
    """Yield the places of all unexpected values in *results*."""
    names = {column.name for column in frame.table.columns}
    references = {reference.column for reference in frame.table.references}
    for result in results:
        expectation = result["expectation_config"]
        column, label = expectation["kwargs"]["column"], expectation["type"]
        if column in references and label == "expect_column_values_to_be_in_set":
            label = REFERENCE
        for at in result["result"].get("unexpected_index_list") or []:
            yield frame.locate(at, column if column in names else "", label)


if __name__ == "__main__":
    sys.exit(run_tool(find_with_expectations))
