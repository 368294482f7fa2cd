"""Whether a run may replace the files that are in its folders."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from data_generation.datapackage import is_blind
from utils.answer_key import KEY_MANIFEST_NAME
from utils.contract import MANIFEST_NAME
from utils.helpers import DataError, suggest_fix
from utils.shapes import read_document, record

# Each is in every manifest of a kind: of a shop or its ground truth, and of an answer key.
_OWN_MEMBERS = ("format_version", "clean_manifest")

_ADVICE = "choose another folder with --out-dir"


def require_own_files(paths: Sequence[Path]) -> None:
    """Raise `DataError` unless *paths*, those of a folder together, may be replaced.

    Files that exist may be replaced if the folder has a manifest of this generator, of
    whatever shop: then they were made here before.
    """
    for folder, of_folder in groupby(paths, key=lambda path: path.parent):
        existing = [path for path in of_folder if os.path.lexists(path)]
        _refuse_obstacle(folder, existing)
        if existing and not any(map(_is_own_manifest, _list_manifests(folder))):
            raise DataError(
                f"{existing[0]}: would be replaced, but no manifest in its folder states"
                f" that this generator made it. Move it away, or {_ADVICE}."
            )


def _refuse_obstacle(folder: Path, existing: Sequence[Path]) -> None:
    """Raise `DataError` if *folder* is a file, or one of its *existing* files a folder."""
    error = None
    if os.path.lexists(folder) and not folder.is_dir():
        error = OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    for path in existing:
        if path.is_dir():
            error = OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if error:
        raise DataError(
            f"{error.filename}: cannot be written: {error.strerror}."
            f" {suggest_fix(error)}, or {_ADVICE}."
        )


def _list_manifests(folder: Path) -> Iterator[Path]:
    """Yield the paths of the manifests that *folder* may have, of parts too."""
    yield folder.joinpath(MANIFEST_NAME)
    yield folder.joinpath(KEY_MANIFEST_NAME)
    yield from folder.glob(f"{MANIFEST_NAME}.part-*")


def _is_own_manifest(path: Path) -> bool:
    try:
        document = read_document(path, record({}), remedy="").content
    except DataError:
        return False
    return is_blind(document) or any(name in document for name in _OWN_MEMBERS)
