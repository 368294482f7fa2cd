"""The manifest: a Frictionless Data Package with how the data was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from data_generation.model.catalog import CURRENCY
from data_generation.model.streams import FORMAT_VERSION
from data_generation.plan import Plan, find_fault
from utils.contract import Contract, Table
from utils.helpers import DataError


class Written(NamedTuple):
    """A finished file as the manifest tells of it; *rows* leaves the header out."""

    path: str
    bytes: int
    rows: int
    sha256: str


def describe_package(
    plan: Plan, contract: Contract, written: Mapping[str, Written]
) -> dict[str, Any]:
    """Return the manifest of the files *written*, by the table of *contract* they hold."""
    title = f"A synthetic shop: seed {plan.seed}, {plan.users} users"
    return {
        **describe_origin(plan, title),
        "resources": [
            describe_resource(
                written[table.name], table.name, _describe_schema(table, list(written))
            )
            for table in contract.tables
            if table.name in written
        ],
    }


def describe_origin(plan: Plan, title: str) -> dict[str, Any]:
    """Return how the data were made."""
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


def describe_resource(file: Written, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a file as the manifest lists it."""
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


def _describe_schema(table: Table, made: Sequence[str]) -> dict[str, Any]:
    """Return the Table Schema of *table*; columns in `_at` hold instants.

    Only references to tables that are *made* can be stated.
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
        if key.parent_table in made
    ]
    if references:
        schema["foreignKeys"] = references
    return schema


def _field_type(name: str, declared: str) -> str:
    if name.endswith("_at"):
        return "datetime"
    return {"INTEGER": "integer", "TEXT": "string"}[declared]


class Listed(NamedTuple):
    """A table as the manifest lists it: its files in order, the SHA-256 of all together."""

    paths: tuple[str, ...]
    sha256: str


def read_manifest(path: Path) -> tuple[Plan, dict[str, Listed]]:
    """Return the plan that the manifest at *path* states, and the tables it lists."""
    advice = "Make the files with --generate, or name their folder with --out-dir."
    try:
        document = json.loads(path.read_bytes())
        version = document["format_version"]
        window = document["window"]
        plan = Plan(
            document["seed"],
            document["users"],
            date.fromisoformat(window["start"]),
            date.fromisoformat(document["users_by"]),
            date.fromisoformat(window["end"]),
        )
        listed = {
            file["name"]: Listed(
                tuple(file["path"]) if isinstance(file["path"], list) else (file["path"],),
                file["hash"].removeprefix("sha256:"),
            )
            for file in document["resources"]
        }
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. {advice}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is not a manifest of this generator. {advice}") from error
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path}: format_version is {version!r}, this generator makes {FORMAT_VERSION}."
            " Verify with the version of the project that made the files."
        )
    is_whole = type(plan.seed) is type(plan.users) is int
    fault = find_fault(plan) if is_whole else "seed or users is not a number"
    if fault:
        raise DataError(f"{path}: states no plan: {fault}. {advice}")
    return plan, listed
