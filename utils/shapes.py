"""Reading a JSON document of a shape, what shapes consist of, and the manifest's shape.

A document may come from another program, another person or a damaged disk.  It is read
once, here: a regular file of a limited size and depth, whose known values have the types
and bounds that the shape states.  Members that a shape does not name are ignored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from utils.formats import shorten_value
from utils.helpers import DataError, parse_json, read_regular_file
from utils.months import FIRST_YEAR, LAST_YEAR, YEARS, find_window_error

# A joined manifest of 9,999 parts of each table has 12 MB.
MOST_BYTES = 1 << 25

# Entries of a list; a table has at most 9,999 parts.
MOST_ENTRIES = 10_000

# Yields what is wrong with a value, in words that begin with its place.
Shape = Callable[[str, Any], Iterator[str]]


class Document(NamedTuple):
    """A JSON object, and the SHA-256 of the file that contains it."""

    content: dict[str, Any]
    sha256: str


def read_document(path: Path, shape: Shape, *, remedy: str, fault: str = "") -> Document:
    """Return the document in the file *path*, which has the *shape*.

    Raise `DataError` with the reason why it cannot be used, which ends with *remedy*; a
    value of another shape is named after *fault*.
    """
    try:
        data = read_regular_file(path, MOST_BYTES)
        content = parse_json(data.decode("utf-8-sig"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise DataError(f"{path}: {reason}. {remedy}") from error
    except ValueError as error:
        reason = f"is not valid JSON: {error}"
        raise DataError(f"{path}: {reason}. {remedy}") from error
    reason = next(shape("", content), "")
    if reason:
        raise DataError(f"{path}: {fault}{reason}. {remedy}")
    return Document(content, hashlib.sha256(data).hexdigest())


# ---- The parts of a shape ----------------------------------------------------------------


def _describe(place: str, value: Any, expected: str) -> str:
    """Return that the *value* at *place* is not what is *expected*.

    >>> _describe("window.end", 7, "a day")
    'window.end is 7, expected a day'
    >>> _describe("seed", None, "an integer")
    'seed is null, expected an integer'
    """
    return f"{place or 'the document'} is {shorten_value(value)}, expected {expected}"


def integer(least: int, most: int) -> Shape:
    """Return the shape of an integer from *least* to *most*."""

    def find_faults(place: str, value: Any) -> Iterator[str]:
        # JSON's true and 1.0 are no integers, although they equal 1.
        if type(value) is not int or not least <= value <= most:
            yield _describe(place, value, f"an integer from {least} to {most}")

    return find_faults


def text(pattern: str, expected: str, *, most: int = 255) -> Shape:
    """Return the shape of a text of at most *most* characters that *pattern* matches."""

    def find_faults(place: str, value: Any) -> Iterator[str]:
        is_short = isinstance(value, str) and len(value) <= most
        if not is_short or not re.fullmatch(pattern, value, re.DOTALL):
            yield _describe(place, value, expected)

    return find_faults


def list_of(shape: Shape, *, least: int = 0, most: int = MOST_ENTRIES) -> Shape:
    """Return the shape of a list with *least* to *most* entries of *shape*."""

    def find_faults(place: str, value: Any) -> Iterator[str]:
        if not isinstance(value, list):
            yield _describe(place, value, "a list")
        elif not least <= len(value) <= most:
            yield f"{place} has {len(value)} entries, expected {least} to {most}"
        else:
            for at, entry in enumerate(value):
                yield from shape(f"{place}[{at}]", entry)

    return find_faults


def record(
    required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None
) -> Shape:
    """Return the shape of an object; an *optional* member may be missing or null."""
    shapes = {**required, **(optional or {})}

    def find_faults(place: str, value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield _describe(place, value, "an object")
            return
        for name, shape in shapes.items():
            inner = f"{place}.{name}" if place else name
            if name in required and name not in value:
                yield f"{inner} is missing"
            elif name in required or value.get(name) is not None:
                yield from shape(inner, value[name])

    return find_faults


def one_or_more(shape: Shape) -> Shape:
    """Return the shape of a *shape*, or of a list of them that is not empty."""
    many = list_of(shape, least=1)

    def find_faults(place: str, value: Any) -> Iterator[str]:
        return many(place, value) if isinstance(value, list) else shape(place, value)

    return find_faults


def _find_boolean_faults(place: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with *value* as a boolean."""
    if type(value) is not bool:
        yield _describe(place, value, "true or false")


def _find_day_faults(place: str, value: Any) -> Iterator[str]:
    try:
        day = date.fromisoformat(value)
        is_usable = day.isoformat() == value and FIRST_YEAR <= day.year <= LAST_YEAR
    except (TypeError, ValueError):
        is_usable = False
    if not is_usable:
        yield _describe(place, value, f"a day as YYYY-MM-DD of {YEARS}")


def _find_window_faults(place: str, value: Any) -> Iterator[str]:
    faults = list(record({}, {"start": DAY, "end": DAY})(place, value))
    yield from faults
    if faults or not value.get("start") or not value.get("end"):
        return
    start, end = date.fromisoformat(value["start"]), date.fromisoformat(value["end"])
    error = find_window_error(start, end)
    if error:
        yield f"{place} is {error}"


# ---- The shapes --------------------------------------------------------------------------

BOOLEAN: Shape = _find_boolean_faults
COUNT = integer(0, 2**64 - 1)
ANY_TEXT = text(".*", "a text of at most 10,000 characters", most=10_000)
DAY: Shape = _find_day_faults
WINDOW: Shape = _find_window_faults

# What manifests state about how the data were made.
FACTS = {
    "seed": COUNT,
    "users": COUNT,
    "window": WINDOW,
    "format_version": COUNT,
    "currency": text("[A-Z]{3}", "an ISO 4217 code such as EUR"),
    "process": text("[a-z]+", "the name of a purchase process"),
    "is_calm": BOOLEAN,
}

# What a load reads of datapackage.json.  All of it may be missing, because other programs
# and people write such files too; their paths are compared and never opened.
MANIFEST = record(
    {},
    {
        **FACTS,
        "resources": list_of(
            record({}, {"name": ANY_TEXT, "path": one_or_more(ANY_TEXT), "hash": ANY_TEXT})
        ),
    },
)
