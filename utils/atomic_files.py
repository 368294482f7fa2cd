"""Atomic output files: a run writes all of its files completely, or changes none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from utils.helpers import DataError, suggest_fix
from utils.signals import block_signals


def write_atomically(texts: Mapping[Path, str]) -> None:
    """Write *texts*, by path, as UTF-8 with their newlines unchanged: all files or none."""
    with open_atomically(list(texts)) as files:
        for file, text in zip(files, texts.values(), strict=True):
            file.write(text.encode("utf-8"))


@contextmanager
def open_atomically(paths: Sequence[Path]) -> Iterator[Sequence[IO[bytes]]]:
    """Open *paths* for writing bytes; all of them appear, complete, or none does.

    The bytes go to hidden files beside *paths*.  When the block ends without an error,
    these files are synced and renamed to *paths* in order; if one rename fails, the earlier
    ones are undone.  Missing folders are created.  Raise `DataError` naming the path that
    the system refuses.
    """
    partials = [_hidden_path(path, "partial") for path in paths]
    current = paths[0]
    try:
        with ExitStack() as stack:
            files = []
            for path, partial in zip(paths, partials, strict=True):
                current = path
                path.parent.mkdir(parents=True, exist_ok=True)
                files.append(stack.enter_context(open(partial, "wb")))
            # An error while they are written, such as a full disk, concerns the folder.
            current = paths[0].parent
            yield files
            for path, file in zip(paths, files, strict=True):
                current = path
                file.flush()
                os.fsync(file.fileno())
        # No signal may arrive between a rename and the record of how to undo it.
        with block_signals():
            _rename_all(partials, paths)
    except OSError as error:
        raise DataError(
            f"{error.filename2 or current}: cannot be written: {error.strerror or error}."
            f" {suggest_fix(error)}, or choose another folder."
        ) from error
    finally:
        # A signal may interrupt the first call; later ones are ignored.
        try:
            _remove(partials)
        finally:
            _remove(partials)


@contextmanager
def open_scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder in *parent* for the block, then remove it with its files.

    Rejected: `tempfile.TemporaryDirectory`.  A signal that arrives while it removes the
    files leaves the others.
    """
    folder = None
    try:
        with block_signals():
            name = tempfile.mkdtemp(dir=parent, prefix=".scratch.", suffix=".partial")
            folder = Path(name)
        yield folder
    finally:
        with block_signals():
            if folder is not None:
                shutil.rmtree(folder)


def _remove(partials: Sequence[Path]) -> None:
    for partial in partials:
        with suppress(OSError):
            partial.unlink()


def _hidden_path(path: Path, purpose: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{purpose}")


def _rename_all(partials: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename *partials* to *paths*; if one rename fails, restore the earlier files."""
    backups = [_hidden_path(path, "old.partial") for path in paths]
    try:
        with ExitStack() as undo:
            for partial, path, backup in zip(partials, paths, backups, strict=True):
                existed = path.exists()
                try:
                    if existed:
                        _link_or_copy(path, backup)
                    os.replace(partial, path)
                except OSError as error:
                    # The message names the target, not a hidden file unknown to the user.
                    error.filename2 = os.fspath(path)
                    raise
                if existed:
                    undo.callback(os.replace, backup, path)
                else:
                    undo.callback(path.unlink)
            undo.pop_all()
    finally:
        for backup in backups:
            backup.unlink(missing_ok=True)


def _link_or_copy(path: Path, backup: Path) -> None:
    """Make *backup* a second name of the file *path*, or a copy without hard links."""
    backup.unlink(missing_ok=True)
    try:
        os.link(path, backup)
    except OSError:  # not every file system has hard links
        shutil.copy2(path, backup)
