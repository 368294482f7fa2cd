"""The manifest beside the CSV files, as the loader and the engines read it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from utils.contract import MANIFEST_NAME
from utils.database import is_date
from utils.helpers import DataError

# It rises when the same input gives another database on purpose.
TOOL_VERSION = "1.1"

_REMEDY = "Correct the manifest, or remove it to load the files without one."


class Manifest(NamedTuple):
    """A manifest; if there is none, *document* is empty and *sha256* is None."""

    document: dict[str, Any]
    sha256: str | None


def read_manifest(path: Path, *, remedy: str = _REMEDY) -> Manifest:
    """Return the manifest at *path*, or an empty one if the file does not exist.

    Raise `DataError`, which ends with *remedy*, if the file is not a JSON object.
    """
    if not path.exists():
        return Manifest({}, None)
    if not path.is_file():
        raise DataError(f"{path}: is not a file. {remedy}")
    try:
        data = path.read_bytes()
        document = json.loads(data.decode("utf-8"))
        # JSON may contain an escaped half of a character, which SQLite cannot store.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not valid JSON: {error}. {remedy}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object. {remedy}")
    return Manifest(document, hashlib.sha256(data).hexdigest())


def compare_with_manifest(manifest: Manifest, file_name: str, sha256: str) -> str:
    """Return how the file with this *sha256* compares with the manifest.

    The answer is `matches`, `differs`, `unlisted` (the manifest does not list the file) or
    `absent` (there is no manifest).
    """
    if not manifest.document:
        return "absent"
    listed = find_listed_hash(manifest, file_name)
    if listed is None:
        return "unlisted"
    return "matches" if listed == f"sha256:{sha256}" else "differs"


def find_listed_hash(manifest: Manifest, file_name: str) -> str | None:
    """Return the hash of the file in *manifest*: '' without a hash, None if not listed."""
    for resource in _listed_resources(manifest.document):
        path = resource.get("path")
        # The hash of a table in parts is the hash of the joined parts.
        is_in_parts = isinstance(path, list) and f"{resource.get('name')}.csv" == file_name
        if path == file_name or is_in_parts:
            return str(resource.get("hash", ""))
    return None


def _listed_resources(document: dict[str, Any]) -> list[dict[str, Any]]:
    resources = document.get("resources")
    if not isinstance(resources, list):
        return []
    return [resource for resource in resources if isinstance(resource, dict)]


def read_generator(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the generator's facts in *manifest*; only plain values count.

    Raise `DataError` if a day of its window is not a date.
    """
    window = manifest.get("window")
    if not isinstance(window, dict):
        window = {}
    facts = {
        "seed": manifest.get("seed"),
        "users": manifest.get("users"),
        "window_start": window.get("start"),
        "window_end": window.get("end"),
        "format_version": manifest.get("format_version"),
        "currency": manifest.get("currency"),
    }
    for name in ("window_start", "window_end"):
        day = facts[name]
        if day is not None and not (isinstance(day, str) and is_date(day)):
            raise DataError(
                f"{MANIFEST_NAME}: {name} is {day!r}, expected a day as YYYY-MM-DD."
                f" {_REMEDY}"
            )
    return {name: value for name, value in facts.items() if isinstance(value, (int, str))}
