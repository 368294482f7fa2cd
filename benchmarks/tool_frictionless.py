"""frictionless: validate the data package, with no limit of errors.

The manifest beside the files states types, required columns, keys and references.  What
Table Schema can express of db/schema.sql is added to a copy: `unique`, `enum`, `minimum`,
`maximum`, `pattern` and the format of instants.  A CHECK that compares columns is a
`row-constraint`.  A byte that is not UTF-8 ends the validation of its file, and that of the
files that refer to it, so such files are validated again as latin-1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from benchmarks.tool_findings import REFERENCE, Found, Job, Record, read_records, run_tool
from benchmarks.tool_rules import (
    INSTANT_FORMAT,
    ColumnRules,
    TableRules,
)

# More errors than a file has cells.
_ALL_ERRORS = 2**31


def find_with_frictionless(job: Job) -> Iterator[Found]:
    """Yield what frictionless finds in the files of *job*, one table after the other."""
    package = json.loads((job.data_dir / "datapackage.json").read_text(encoding="utf-8"))
    rules = {table.name: table for table in job.rules}
    for resource in package["resources"]:
        extend_schema(resource["schema"], rules[resource["name"]])
    errors = validate(package, job)
    if undecoded := find_undecoded(errors):
        for resource in package["resources"]:
            if resource["name"] in undecoded:
                resource["encoding"] = "latin-1"
        errors = validate(package, job)
    for name, found in errors.items():
        records = read_records(job.data_dir / f"{name}.csv")
        for error in found:
            if place := read_error(rules[name], error, records):
                yield place


def validate(package: Mapping[str, Any], job: Job) -> dict[str, list[dict[str, Any]]]:
    """Return the errors of each table of the data package *package*."""
    frictionless = import_module("frictionless")
    resources = frictionless.Package(package, basepath=str(job.data_dir)).resources
    errors = {}
    for resource, table in zip(resources, job.rules, strict=True):
        checks = [
            frictionless.checks.row_constraint(formula=rule.python)
            for rule in table.row_rules
            if rule.python
        ]
        checklist = frictionless.Checklist(checks=checks)
        report = resource.validate(checklist, limit_errors=_ALL_ERRORS)
        found = report.tasks[0].errors if report.tasks else report.errors
        errors[resource.name] = [error.to_descriptor() for error in found]
    return errors


def find_undecoded(errors: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str]:
    """Return the tables whose files frictionless cannot decode, or those they refer to."""
    return {
        name
        for name, found in errors.items()
        if any(error["type"] == "encoding-error" for error in found)
    }


def extend_schema(schema: dict[str, Any], table: TableRules) -> None:
    """Add the rules of *table* to its Table Schema."""
    columns = {column.name: column for column in table.columns}
    for field in schema["fields"]:
        column = columns[field["name"]]
        field["constraints"] |= list_constraints(column)
        if column.type == "instant":
            field["format"] = INSTANT_FORMAT


def list_constraints(column: ColumnRules) -> dict[str, Any]:
    """Return the constraints of *column* as Table Schema names them."""
    constraints = {
        "unique": column.is_unique,
        "enum": column.choices,
        "pattern": column.pattern,
        "minimum": column.minimum,
        "maximum": column.maximum,
    }
    return {
        name: value
        for name, value in constraints.items()
        if value is not None and value not in ("", [], False)
    }


def read_error(
    table: TableRules, error: Mapping[str, Any], records: Sequence[Record]
) -> Found | None:
    """Return the place of an *error* of the report; None if it is the complete file's.

    frictionless counts records; *records* has the line of each.
    """
    number = error.get("rowNumber")
    if number is None or number > len(records):
        return None
    names = {column.name for column in table.columns}
    column = error.get("fieldName", "")
    return Found(
        table.name,
        "",
        records[number - 1].line,
        column if column in names else "",
        REFERENCE if error["type"] == "foreign-key" else error["type"],
    )


if __name__ == "__main__":
    sys.exit(run_tool(find_with_frictionless))
