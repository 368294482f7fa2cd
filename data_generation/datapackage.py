"""The manifest: a Frictionless Data Package that also states how the data was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from data_generation.model.markets import CURRENCY
from data_generation.model.streams import FORMAT_VERSION
from data_generation.plan import Part, Plan, find_plan_error
from utils.contract import Contract, Table, read_contract
from utils.helpers import DataError
from utils.shapes import (
    COUNT,
    DAY,
    FACTS,
    list_of,
    one_or_more,
    read_document,
    record,
    text,
)

_SCHEMA = "https://datapackage.org/profiles/2.0/datapackage.json"

# Of a manifest that states no seed.
_BLIND_TITLE = "A shop"

# Names of tables that a message lists.
MOST_NAMED = 10

# A path below the manifest's folder.  It names no other folder, no hidden file and nothing
# that a terminal or another system would read in another way.
_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
_FILE_PATH = text(f"{_NAME}(/{_NAME})*", "the name of a file in the same folder")

_VERSIONED = record({name: FACTS[name] for name in ("seed", "format_version")})

# What --verify and --join-parts read of the manifest that the generator wrote.
_PACKAGE = record(
    {
        **{
            name: FACTS[name]
            for name in ("seed", "users", "format_version", "process", "is_calm")
        },
        "users_by": DAY,
        "window": record({"start": DAY, "end": DAY}),
        "resources": list_of(
            record(
                {
                    "name": text("[a-z_]+", "the name of a table"),
                    "path": one_or_more(_FILE_PATH),
                    "bytes": COUNT,
                    "rows": COUNT,
                },
                {"hash": text("sha256:[0-9a-f]{64}", "sha256: and 64 digits")},
            ),
            least=1,
        ),
    },
    {"part": record({"number": COUNT, "total": COUNT})},
)


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
        "resources": describe_resources(contract, files),
    }


def describe_blind_package(
    plan: Plan, contract: Contract, files: Mapping[str, FileEntry]
) -> dict[str, Any]:
    """Return a manifest of *files*, given by table, with which nobody can make them."""
    return {
        "$schema": _SCHEMA,
        "name": "shop",
        "title": _BLIND_TITLE,
        "window": {"start": plan.start.isoformat(), "end": plan.until.isoformat()},
        "currency": CURRENCY,
        "resources": describe_resources(contract, files),
    }


def is_blind(document: Mapping[str, Any]) -> bool:
    """Return whether *document* is a manifest as `describe_blind_package` makes it."""
    return "seed" not in document and document.get("title") == _BLIND_TITLE


def describe_resources(
    contract: Contract, files: Mapping[str, FileEntry]
) -> list[dict[str, Any]]:
    """Return the resources of a manifest of *files*, given by table."""
    return [
        describe_resource(
            files[table.name], table.name, _describe_schema(table, list(files))
        )
        for table in contract.tables
        if table.name in files
    ]


def describe_origin(plan: Plan, title: str) -> dict[str, Any]:
    """Return the part of a manifest that states how the data was made."""
    return {
        "$schema": _SCHEMA,
        "name": "synthetic-commerce",
        "title": title,
        "seed": plan.seed,
        "users": plan.users,
        "users_by": plan.end.isoformat(),
        "window": {"start": plan.start.isoformat(), "end": plan.until.isoformat()},
        "format_version": FORMAT_VERSION,
        "process": plan.process,
        "is_calm": plan.is_calm,
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
    """A table as a manifest lists it: its files in order, and all of them together.

    The SHA-256 is empty if the manifest lists none, as after `--no-table-hash`.
    """

    paths: tuple[str, ...]
    bytes: int
    rows: int
    sha256: str


class Package(NamedTuple):
    """What a manifest states: the plan, the tables by name, and its part, if it has one."""

    plan: Plan
    tables: dict[str, TableEntry]
    part: Part | None


_ADVICE = "Make the files with --generate, or name their folder with --out-dir."


def read_package(path: Path) -> Package:
    """Return what the manifest at *path* states.

    Raise `DataError` if it is no manifest of this generator and this format version.
    """
    fault = "is not a manifest of this generator: "
    document = read_document(path, record({}), fault=fault, remedy=_ADVICE).content
    _refuse_blind(path, document)
    if (error_text := next(_VERSIONED("", document), None)) is not None:
        raise DataError(f"{path}: {fault}{error_text}. {_ADVICE}")
    # Only then the rest: another version may have another shape.
    _require_this_version(path, document["format_version"])
    if (error_text := next(_PACKAGE("", document), None)) is not None:
        raise DataError(f"{path}: {fault}{error_text}. {_ADVICE}")
    package = _parse_package(document)
    if error_text := find_plan_error(package.plan):
        raise DataError(f"{path}: does not state a usable plan: {error_text}. {_ADVICE}")
    names = [resource["name"] for resource in document["resources"]]
    if error_text := _find_table_error(names):
        raise DataError(f"{path}: {fault}{error_text}. {_ADVICE}")
    return package


def _refuse_blind(path: Path, document: Mapping[str, Any]) -> None:
    """Raise `DataError` if *document* states no seed on purpose."""
    if is_blind(document):
        raise DataError(
            f"{path}: is a manifest of --blind or --faults, which states no seed, so the"
            " files cannot be made from it again. Whoever has the seed makes the shop again"
            " with --generate in another folder, and compares the files."
        )


def _require_this_version(path: Path, version: int) -> None:
    """Raise `DataError` unless *version* is the format version of this generator."""
    if version == FORMAT_VERSION:
        return
    advice = "Use the newer release of the project that made them."
    if version < FORMAT_VERSION:
        advice = (
            "It cannot make them again, but they can be loaded as they are. For the rest"
            " use the release that made them: data_generation/README.md, Format versions."
        )
    raise DataError(
        f"{path}: the files are of format_version {version}, and this generator makes"
        f" {FORMAT_VERSION}. {advice}"
    )


def _parse_package(document: Mapping[str, Any]) -> Package:
    """Return what *document*, which has the shape `_PACKAGE`, states."""
    plan = Plan(
        document["seed"],
        document["users"],
        date.fromisoformat(document["window"]["start"]),
        date.fromisoformat(document["users_by"]),
        date.fromisoformat(document["window"]["end"]),
        document["process"],
        document["is_calm"],
    )
    tables = {
        resource["name"]: _parse_table(resource) for resource in document["resources"]
    }
    part = document.get("part")
    return Package(plan, tables, part and Part(part["number"], part["total"]))


def _parse_table(resource: Mapping[str, Any]) -> TableEntry:
    path = resource["path"]
    return TableEntry(
        tuple(path) if isinstance(path, list) else (path,),
        resource["bytes"],
        resource["rows"],
        (resource.get("hash") or "").removeprefix("sha256:"),
    )


def _find_table_error(names: Sequence[str]) -> str | None:
    """Return why *names* are not the tables of a package, in words; None if they are."""
    known = [table.name for table in read_contract().tables]
    if sorted(names) == sorted(name for name in known if name in names):
        return None
    return (
        f"resources list {', '.join(names[:MOST_NAMED])}, expected each of"
        f" {', '.join(known)} once at most"
    )
