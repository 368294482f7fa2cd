"""What a fault is, where it is, and how all of them are told and written."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from utils.atomic_files import open_atomically
from utils.helpers import DataError

# Faults of one kind in one file that are kept word for word; the others are counted.
MOST_FAULTS = 100

# Values are shown up to this many characters.
SHOWN_CHARACTERS = 40


class Fault(NamedTuple):
    """One fault and its place.

    *line* and *field* count from 1, 0 meaning the whole; *offset* is the byte in the file
    where the record begins, or the line of it that is told, or the wrong byte itself.
    *value* is the cell, uncut.
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
        """Return `file:line:field: CODE message`, without the parts that do not apply."""
        place = ":".join([self.file, *(str(part) for part in self[1:3] if part)])
        return f"{place}: {self.code} {self.message}"

    def describe(self) -> dict[str, Any]:
        """Return the fault for programs: every part by its name."""
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


class Faults(NamedTuple):
    """The faults of an input: the first ones, and how many there are by file and code.

    The *first* ones of each code in each file, as they were read, are in order of lines.
    """

    first: list[Fault]
    counts: Counter[tuple[str, str]]

    @property
    def total(self) -> int:
        """Return how many there are in all."""
        return self.counts.total()

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return self.total > 0


class InputFaults(DataError):
    """The input was refused; the text has one line a fault.

    *where_all* tells where all of them are, if some are not listed; *also*, if there is
    anything, what else went wrong.
    """

    def __init__(self, faults: Faults, *, where_all: str, also: str = "") -> None:
        noun = "fault" if faults.total == 1 else "faults"
        cut = list(_tell_cut(faults))
        if cut and not also:
            cut.append(where_all)
        elif also:
            cut.append(also)
        super().__init__(
            f"{faults.total:,} {noun} in the input; the database was left as it is.\n"
            + "\n".join([*map(str, faults.first), *cut])
        )
        self.faults = faults


def _tell_cut(faults: Faults) -> Iterator[str]:
    listed = Counter((fault.file, fault.code) for fault in faults.first)
    for (file, code), count in faults.counts.items():
        more = count - listed[file, code]
        if more:
            yield f"… and {more:,} more {code} in {file}"


def quote_value(value: str) -> str:
    """Return *value* quoted, with control characters escaped, cut if it is long.

    >>> quote_value("12.50")
    "'12.50'"
    """
    cut = value[:SHOWN_CHARACTERS]
    return repr(cut) + ("…" if len(value) > len(cut) else "")


# ---- The file of all faults --------------------------------------------------------------


def require_writable(path: Path, taken: Iterable[Path]) -> None:
    """Raise `DataError` if faults written to *path* would destroy something.

    That is one of *taken*, by whatever name, or anything that is neither a plain file nor a
    stream.
    """
    try:
        real = Path(os.path.realpath(path))
        status = os.stat(path) if os.path.exists(path) else None
        # Folders that are missing are made.
        folder = next(part for part in (real, *real.parents) if os.path.lexists(part))
    except ValueError as error:  # a NUL in it
        raise _refuse_path(path, f"cannot be written: {error}") from error
    for other in taken:
        if _is_same(real, Path(os.path.realpath(other))):
            raise _refuse_path(path, f"faults written there would overwrite {other}")
    if status is None and not folder.is_dir():
        raise _refuse_path(path, f"cannot be written: {folder} is no folder")
    if status is None or _is_stream(status):
        return
    if stat.S_ISDIR(status.st_mode):
        raise _refuse_path(path, "is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise _refuse_path(path, "is no regular file")
    if not os.access(path, os.W_OK):
        raise _refuse_path(path, "is read-only")


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two paths without links lead, or would lead, to the same file."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.normcase(path) == os.path.normcase(other)


def _refuse_path(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: {reason}. Name another file with --errors.")


def _is_stream(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)


@contextmanager
def open_fault_file(path: Path | None) -> Iterator[Callable[[Fault], object]]:
    """Open *path* for faults, if it is one; the block gets what writes a fault.

    A file appears whole when the block ends well; a link stays one.  What cannot be written
    is a `DataError` before the block or after it, never within.
    """
    if path is None:
        yield lambda _fault: None
        return
    is_stream = os.path.exists(path) and _is_stream(os.stat(path))
    refused: list[OSError] = []
    opened = (
        _open_stream(path) if is_stream else open_atomically([Path(os.path.realpath(path))])
    )
    with opened as (file,):

        def write(fault: Fault) -> None:
            line = json.dumps(fault.describe(), ensure_ascii=False) + "\n"
            if not refused:
                try:
                    file.write(line.encode("utf-8"))
                except OSError as error:
                    refused.append(error)

        yield write
        if refused:
            raise refused[0]


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
        reason = "nobody reads from it" if is_unread else error.strerror or error
        raise _refuse_path(path, f"cannot be written: {reason}") from error
