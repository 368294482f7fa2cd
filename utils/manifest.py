"""The manifest beside the CSV files, as the loader and the engines read it."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any, NamedTuple

from utils.contract import MANIFEST_NAME
from utils.helpers import DataError
from utils.shapes import MANIFEST, read_document

# It rises when the same input gives another database on purpose.
TOOL_VERSION = "1.2"

_REMEDY = "Correct the manifest, or remove it to load the files without one."


class Manifest(NamedTuple):
    """A manifest; if there is none, *document* is empty and *sha256* is None."""

    document: dict[str, Any]
    sha256: str | None

    @property
    def last_day(self) -> str | None:
        """Return the last day that it states for the data, YYYY-MM-DD."""
        day: str | None = read_generator(self.document).get("window_end")
        return day

    @property
    def is_generated(self) -> bool:
        """Return whether it states the random seed of a generated shop."""
        return self.document.get("seed") is not None


def read_manifest(path: Path, *, remedy: str = _REMEDY) -> Manifest:
    """Return the manifest at *path*, or an empty one if the file does not exist.

    Raise `DataError`, which ends with *remedy*, if it is not a usable manifest.
    """
    if not path.exists():
        return Manifest({}, None)
    return Manifest(*read_document(path, MANIFEST, remedy=remedy))


def compare_with_manifest(manifest: Manifest, file_name: str, sha256: str) -> str:
    """Return how the file with this *sha256* compares with the manifest.

    The answer is `matches`, `differs`, `unlisted` (the manifest does not list the file),
    `not compared: no SHA-256` (it lists the file without one) or `absent` (there is no
    manifest).
    """
    if manifest.sha256 is None:
        return "absent"
    listed = find_listed_hash(manifest, file_name)
    if listed is None:
        return "unlisted"
    if not listed:
        return "not compared: no SHA-256"
    return "matches" if listed == sha256 else "differs"


def find_listed_hash(manifest: Manifest, file_name: str) -> str | None:
    """Return the SHA-256 of the file in *manifest*: '' without one, None if not listed."""
    for resource in manifest.document.get("resources") or []:
        path = resource.get("path")
        is_file = isinstance(path, str) and posixpath.normpath(path) == file_name
        # The hash of a table in parts is the hash of the joined parts.
        is_in_parts = isinstance(path, list) and f"{resource.get('name')}.csv" == file_name
        if is_file or is_in_parts:
            return _read_sha256(resource.get("hash") or "")
    return None


def _read_sha256(text: str) -> str:
    """Return the digits of the SHA-256 *text*, or '' if it is a hash of another kind.

    Other programs write other kinds: in a Data Package, a hash without a kind is an MD5.

    >>> _read_sha256("SHA256:0AF1"), _read_sha256("md5:0af1"), _read_sha256("0af1")
    ('0af1', '', '')
    """
    kind, _, digits = text.strip().lower().rpartition(":")
    is_sha256 = kind in ("sha256", "sha-256") or (not kind and len(digits) == 64)
    return digits if is_sha256 else ""


def read_generator(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the generator's facts that *manifest* states."""
    window = manifest.get("window") or {}
    is_calm = manifest.get("is_calm")
    facts = {
        "seed": manifest.get("seed"),
        "users": manifest.get("users"),
        "window_start": window.get("start"),
        "window_end": window.get("end"),
        "format_version": manifest.get("format_version"),
        "currency": manifest.get("currency"),
        "process": manifest.get("process"),
        "is_calm": None if is_calm is None else int(is_calm),
    }
    return {name: value for name, value in facts.items() if value is not None}


def add_stated_facts(
    manifest: Manifest, *, as_of: str | None, currency: str | None
) -> Manifest:
    """Return *manifest* with the last day *as_of* and the *currency*, where given.

    Raise `DataError` if it states another value already.
    """
    stated = read_generator(manifest.document)
    for option, name, value in (
        ("--as-of", "window_end", as_of),
        ("--currency", "currency", currency),
    ):
        if value and stated.get(name, value) != value:
            raise DataError(
                f"{option} {value}: {MANIFEST_NAME} states {stated[name]}. Omit the option,"
                " or correct the manifest."
            )
    document = dict(manifest.document)
    if as_of:
        document["window"] = {**(document.get("window") or {}), "end": as_of}
    if currency:
        document["currency"] = currency
    return manifest._replace(document=document)
