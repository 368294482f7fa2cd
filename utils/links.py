"""The links of the chain from the CSV files to the results: whether each one holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

SHOWN_CHARACTERS = 60


class Link(NamedTuple):
    """One link of the chain; *fault* says where it is broken, and is empty if it holds."""

    name: str
    fault: str = ""


def compare_text(name: str, path: Path, expected: str, *, remedy: str) -> Link:
    """Return the link *name* to the file *path*, which must hold the text *expected*.

    *remedy* tells how to make the file.
    """
    try:
        found = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Link(name, f"{path.name} is missing. {remedy}")
    except UnicodeDecodeError:
        return Link(name, f"{path.name} is not UTF-8 text. {remedy}")
    if found == expected:
        return Link(name)
    where = find_json_difference(found, expected) or find_line_difference(found, expected)
    if where.startswith("database.sha256 "):
        where = f"{path.name} is of another database, or of this one before it was changed"
    return Link(name, f"{where}. {remedy}")


def find_line_difference(found: str, expected: str) -> str:
    r"""Return where two texts differ first.

    >>> find_line_difference("a\nc\n", "a\nb\n")
    "line 2 is 'c', expected 'b'"
    """
    pairs = zip_longest(found.split("\n"), expected.split("\n"), fillvalue="")
    for number, (line, other) in enumerate(pairs, start=1):
        if line != other:
            return f"line {number} is {show(line)}, expected {show(other)}"
    return "the ends differ"


def find_json_difference(found: str, expected: str) -> str | None:
    """Return where two JSON texts differ first, or None if that is not in a value.

    >>> find_json_difference('{"a": [1, 3]}', '{"a": [1, 2]}')
    'a[1] is 3, expected 2'
    """
    try:
        documents = json.loads(found), json.loads(expected)
    except (ValueError, RecursionError):
        return None
    return next(_walk("", *documents), None)


def _walk(place: str, found: Any, expected: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in {**expected, **found}:
            inner = f"{place}.{name}" if place else name
            if name not in found:
                yield f"{inner} is missing"
            elif name not in expected:
                yield f"{inner} is not expected"
            else:
                yield from _walk(inner, found[name], expected[name])
    elif isinstance(found, list) and isinstance(expected, list):
        for at, pair in enumerate(zip(found, expected, strict=False)):
            yield from _walk(f"{place}[{at}]", *pair)
        if len(found) != len(expected):
            yield f"{place} has {len(found)} entries, expected {len(expected)}"
    elif (type(found), found) != (type(expected), expected):
        yield f"{place} is {show(found)}, expected {show(expected)}"


def show(value: Any) -> str:
    """Return *value* as a message shows it, cut to size."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
