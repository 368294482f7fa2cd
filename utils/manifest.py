"""The manifest beside the files, as those who read the files take it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from utils.contract import MANIFEST_NAME
from utils.database import is_date
from utils.helpers import DataError

# Rises when the same input is meant to give another database.
TOOL_VERSION = "1.1"


class Manifest(NamedTuple):
    """The manifest beside the files; an empty *document* and no *sha256* without one."""

    document: dict[str, Any]
    sha256: str | None


def read_manifest(path: Path) -> Manifest:
    """Return the manifest at *path*, or an empty one if there is no such file."""
    if not path.exists():
        return Manifest({}, None)
    if not path.is_file():
        raise DataError(f"{path}: is no file. Remove it to load the files without it.")
    try:
        data = path.read_bytes()
        document = json.loads(data.decode("utf-8"))
        # JSON may escape half a character, which no database can store.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: not valid JSON: {error}. Mend the manifest, or remove it to load"
            " the files without one."
        ) from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object. Mend the manifest, or remove it.")
    return Manifest(document, hashlib.sha256(data).hexdigest())


def compare_with_manifest(manifest: Manifest, file_name: str, sha256: str) -> str:
    """Return how the file with that *sha256* compares with the manifest.

    That is `matches`, `differs`, `unlisted` (the manifest does not name it) or `absent`
    (there is no manifest).
    """
    if not manifest.document:
        return "absent"
    listed = find_listed_hash(manifest, file_name)
    if listed is None:
        return "unlisted"
    return "matches" if listed == f"sha256:{sha256}" else "differs"


def find_listed_hash(manifest: Manifest, file_name: str) -> str | None:
    """Return the hash that *manifest* lists of the file, '' if it lists the file only."""
    for resource in _listed_resources(manifest.document):
        path = resource.get("path")
        # The hash of a table in parts is that of the parts put together.
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
    """Return what *manifest* tells about the data's making; only plain values count.

    Raise `DataError` if a day of its window never was.
    """
    window = manifest.get("window")
    if not isinstance(window, dict):
        window = {}
    stated = {
        "seed": manifest.get("seed"),
        "users": manifest.get("users"),
        "window_start": window.get("start"),
        "window_end": window.get("end"),
        "format_version": manifest.get("format_version"),
        "currency": manifest.get("currency"),
    }
    for name in ("window_start", "window_end"):
        day = stated[name]
        if day is not None and not (isinstance(day, str) and is_date(day)):
            raise DataError(
                f"{MANIFEST_NAME}: {name} is {day!r}, expected a day as YYYY-MM-DD."
                " Mend the manifest, or remove it to load the files without one."
            )
    return {name: value for name, value in stated.items() if isinstance(value, (int, str))}
