"""What a fault is, where it is, and how all of them are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from utils.helpers import DataError

# Faults of one kind in one file that are kept word for word; the others are counted.
MOST_FAULTS = 100

# Values are shown up to this many characters.
SHOWN_CHARACTERS = 40


class Fault(NamedTuple):
    """One fault and its place.

    *line* and *field* count from 1, 0 meaning the whole; *offset* is the byte in the file
    where the record begins, or the wrong byte itself.  *value* is the cell, uncut.
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
    """The faults of an input: the first ones, and how many there are by file and code."""

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

    *where_all* tells where all of them are, if some are not listed.
    """

    def __init__(self, faults: Faults, *, where_all: str) -> None:
        noun = "fault" if faults.total == 1 else "faults"
        cut = list(_tell_cut(faults))
        if cut:
            cut.append(where_all)
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


def show(value: str) -> str:
    """Return *value* quoted, with control characters escaped, cut if it is long.

    >>> show("12.50")
    "'12.50'"
    """
    cut = value[:SHOWN_CHARACTERS]
    return repr(cut) + ("…" if len(value) > len(cut) else "")
