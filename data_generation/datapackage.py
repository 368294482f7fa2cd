"""The manifest: a Frictionless Data Package that also states how the data was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from data_generation.model.catalog import CURRENCY
from data_generation.model.streams import FORMAT_VERSION
from data_generation.plan import Plan, find_plan_error
from utils.contract import Contract, Table
from utils.helpers import DataError


class FileEntry(NamedTuple):
    """A finished file as the manifest lists it; *rows* does not count the header."""

    path: str
    bytes: int
    rows: int
    sha256: str


def describe_package(
    plan: Plan, contract: Contract, files: Mapping[str, FileEntry]
) -> dict[str, Any]:
    """Return the manifest of *files*, given by table."""
    title = f"A synthetic shop: seed {plan.seed}, {plan.users} users"
    return {
        **describe_origin(plan, title),
        "resources": [
            describe_resource(
                files[table.name], table.name, _describe_schema(table, list(files))
            )
            for table in contract.tables
            if table.name in files
        ],
    }


def describe_origin(plan: Plan, title: str) -> dict[str, Any]:
    """Return the part of a manifest that states how the data was made."""
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "synthetic-commerce",
        "title": title,
        "seed": plan.seed,
        "users": plan.users,
        "users_by": plan.end.isoformat(),
        "window": {"start": plan.start.isoformat(), "end": plan.until.isoformat()},
        "format_version": FORMAT_VERSION,
        "currency": CURRENCY,
    }


def describe_resource(file: FileEntry, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the resource of *file* in a manifest."""
    return {
        "name": name,
        "type": "table",
        "path": file.path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": file.bytes,
        "hash": f"sha256:{file.sha256}",
        "rows": file.rows,
        "schema": schema,
    }


def _describe_schema(table: Table, written: Sequence[str]) -> dict[str, Any]:
    """Return the Table Schema of *table*; columns named `*_at` contain timestamps.

    It states only the references to tables that are *written*.
    """
    schema: dict[str, Any] = {
        "fields": [
            {
                "name": column.name,
                "type": _field_type(column.name, column.type),
                "constraints": {"required": column.is_required},
            }
            for column in table.columns
        ],
        "primaryKey": list(table.key),
    }
    references = [
        {
            "fields": [key.column],
            "reference": {"resource": key.parent_table, "fields": [key.parent_column]},
        }
        for key in table.foreign_keys
        if key.parent_table in written
    ]
    if references:
        schema["foreignKeys"] = references
    return schema


def _field_type(name: str, declared: str) -> str:
    if name.endswith("_at"):
        return "datetime"
    return {"INTEGER": "integer", "TEXT": "string"}[declared]


class TableEntry(NamedTuple):
    """A table as a manifest lists it: its files in order, and all of them together."""

    paths: tuple[str, ...]
    bytes: int
    rows: int
    sha256: str


def read_package(path: Path) -> tuple[Plan, dict[str, TableEntry]]:
    """Return the plan that the manifest at *path* states, and the tables it lists.

    Raise `DataError` if it is no manifest of this generator and this format version.
    """
    advice = "Make the files with --generate, or name their folder with --out-dir."
    try:
        document = json.loads(path.read_bytes())
        version = document["format_version"]
        plan = _parse_plan(document)
        tables = {file["name"]: _parse_table(file) for file in document["resources"]}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. {advice}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is not a manifest of this generator. {advice}") from error
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path}: format_version is {version!r}, expected {FORMAT_VERSION}."
            " Verify with the version of the project that made the files."
        )
    is_whole = type(plan.seed) is type(plan.users) is int
    error_text = find_plan_error(plan) if is_whole else "seed or users is not an integer"
    if error_text:
        raise DataError(f"{path}: does not state a usable plan: {error_text}. {advice}")
    return plan, tables


def _parse_plan(document: dict[str, Any]) -> Plan:
    return Plan(
        document["seed"],
        document["users"],
        date.fromisoformat(document["window"]["start"]),
        date.fromisoformat(document["users_by"]),
        date.fromisoformat(document["window"]["end"]),
    )


def _parse_table(resource: dict[str, Any]) -> TableEntry:
    path = resource["path"]
    return TableEntry(
        tuple(path) if isinstance(path, list) else (path,),
        resource["bytes"],
        resource["rows"],
        resource["hash"].removeprefix("sha256:"),
    )
