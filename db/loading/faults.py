"""The faults of an input: their places, the message that lists them, the file of all."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from utils.atomic_files import open_atomically
from utils.formats import count_noun
from utils.helpers import DataError, open_regular_file

# Faults of one kind that are listed; the others are only counted.
MOST_FAULTS = 100

# From this number of faults on, they are counted by kind before they are listed.
_SUMMARIZED_FAULTS = 20


class Fault(NamedTuple):
    """One fault and its place.

    *line* and *field* count from 1; 0 means the complete file or line.  *offset* is the
    byte in the file where the record begins, or its named line, or the wrong byte itself.
    *value* is the complete cell.
    """

    file: str
    line: int
    field: int
    code: str
    message: str
    column: str | None = None
    offset: int | None = None
    value: str | None = None
    expected: str | None = None

    def __str__(self) -> str:
        """Return `file:line:field: CODE message`, without a line or field that is 0."""
        place = ":".join([self.file, *(str(part) for part in self[1:3] if part)])
        return f"{place}: {self.code} {self.message}"

    def describe(self) -> dict[str, Any]:
        """Return the fault for programs: every part with its name."""
        return {
            "file": self.file,
            "line": self.line or None,
            "field": self.field or None,
            "column": self.column,
            "byte_offset": self.offset,
            "code": self.code,
            "value": self.value,
            "expected": self.expected,
            "message": self.message,
        }


class FaultKind(NamedTuple):
    """Faults of the same *code* in the same *column* of a *file*."""

    file: str
    column: str | None
    code: str


class Faults(NamedTuple):
    """The *first* faults of each kind, by line, and the counts of all."""

    first: list[Fault]
    counts: Counter[FaultKind]

    @property
    def total(self) -> int:
        """Return the number of faults."""
        return self.counts.total()

    def __bool__(self) -> bool:
        """Return whether there is a fault."""
        return self.total > 0


class InputFaults(DataError):
    """The input has *faults*; the message counts them by kind, then lists them one a line.

    If some are not listed, *where_all* is a sentence about where all of them are.  *also*
    is a second error, or ''.
    """

    def __init__(self, faults: Faults, *, where_all: str, also: str = "") -> None:
        is_complete = len(faults.first) == faults.total
        is_summarized = faults.total >= _SUMMARIZED_FAULTS or not is_complete
        last = also or ("" if is_complete else where_all)
        count = count_noun(faults.total, "fault")
        lines = [
            f"{count} in the input; the database was left as it is.",
            *(_summarize(faults) if is_summarized else []),
            *map(str, faults.first),
            *([last] if last else []),
        ]
        super().__init__(*lines)
        self.faults = faults


def _summarize(faults: Faults) -> Iterator[str]:
    """Yield a line for each kind of fault with its count, those of a file together."""
    listed = Counter(map(identify_kind, faults.first))
    files = list(dict.fromkeys(kind.file for kind in faults.counts))
    kinds = sorted(
        faults.counts.items(), key=lambda item: (files.index(item[0].file), -item[1])
    )
    for kind, count in kinds:
        place = f"{kind.file} {kind.column}" if kind.column else kind.file
        note = f" ({listed[kind]:,} listed)" if listed[kind] < count else ""
        yield f"{count:>9,}  {kind.code:<12}  {place}{note}"


def identify_kind(fault: Fault) -> FaultKind:
    """Return the kind of *fault*."""
    return FaultKind(fault.file, fault.column, fault.code)


# ---- The file of all faults --------------------------------------------------------------


def require_writable(path: Path, taken: Iterable[Path]) -> None:
    """Raise `DataError` if *path* cannot take the faults, or would destroy something.

    It must be a stream, a new file, or an old one that has faults or nothing in it, and
    none of the files *taken*, under any name.
    """
    try:
        real = Path(os.path.realpath(path))
        status = os.stat(path) if os.path.exists(path) else None
        # Missing folders are created later.
        folder = next(part for part in (real, *real.parents) if os.path.lexists(part))
    except ValueError as error:  # a NUL in it
        raise _explain_unusable_path(path, f"cannot be written: {error}") from error
    for other in taken:
        if _is_same(real, Path(os.path.realpath(other))):
            raise _explain_unusable_path(
                path, f"faults written there would overwrite {other}"
            )
    if status is None and not folder.is_dir():
        raise _explain_unusable_path(path, f"cannot be written: {folder} is not a folder")
    if status is None or _is_stream(status):
        return
    if stat.S_ISDIR(status.st_mode):
        raise _explain_unusable_path(path, "is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise _explain_unusable_path(path, "is not a regular file")
    if not os.access(path, os.W_OK):
        raise _explain_unusable_path(path, "is read-only")
    if not _holds_faults(path):
        raise _explain_unusable_path(path, "has another content than faults")


def _holds_faults(path: Path) -> bool:
    """Return whether the file *path* is empty, or begins as `open_fault_file` writes it."""
    try:
        with open_regular_file(path) as file:
            start = file.read(1_000)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise _explain_unusable_path(path, reason) from error
    return not start or re.match(rb'{"file": "[^"\n]+", "line": ', start) is not None


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two paths, free of links, name the same file or would name it."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.normcase(path) == os.path.normcase(other)


def _explain_unusable_path(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: {reason}. Name another file with --errors.")


def _is_stream(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)


@contextmanager
def open_fault_file(path: Path | None) -> Iterator[Callable[[Fault], object]]:
    """Open *path*, unless it is None; the block gets a function that writes a fault.

    The file appears complete when the block ends without an error; a link stays a link.
    An error of writing is raised as `DataError` before or after the block, never within
    it, so that it does not hide the faults.
    """
    if path is None:
        yield lambda _fault: None
        return
    is_stream = os.path.exists(path) and _is_stream(os.stat(path))
    write_errors: list[OSError] = []
    opened = (
        _open_stream(path) if is_stream else open_atomically([Path(os.path.realpath(path))])
    )
    with opened as (file,):

        def write(fault: Fault) -> None:
            line = json.dumps(fault.describe(), ensure_ascii=False) + "\n"
            if not write_errors:
                try:
                    file.write(line.encode("utf-8"))
                except OSError as error:
                    write_errors.append(error)

        yield write
        if write_errors:
            raise write_errors[0]


@contextmanager
def _open_stream(path: Path) -> Iterator[Sequence[IO[bytes]]]:
    """Open the device or pipe *path*; a pipe must have a reader."""
    no_wait = getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, os.O_WRONLY | no_wait)
        with open(descriptor, "wb") as file:
            if no_wait:
                os.set_blocking(descriptor, True)
            yield [file]
    except OSError as error:
        is_unread = error.errno == errno.ENXIO
        reason = "no program reads from it" if is_unread else error.strerror or error
        raise _explain_unusable_path(path, f"cannot be written: {reason}") from error
