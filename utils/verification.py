"""The links of the chain from the CSV files to the results: whether each one holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

SHOWN_CHARACTERS = 60


class Verification(NamedTuple):
    """One link of the chain; *fault* says where it is broken, and is empty if it holds."""

    name: str
    fault: str = ""


def compare_text(name: str, path: Path, *expected: str, remedy: str) -> Verification:
    """Return the link *name* to the file *path*, which must hold one of *expected*.

    Where it holds none, it is compared with the first.  *remedy* tells how to make it.
    """
    try:
        found = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Verification(name, f"{path.name} is missing. {remedy}")
    except UnicodeDecodeError:
        return Verification(name, f"{path.name} is not UTF-8 text. {remedy}")
    except OSError as error:
        return Verification(
            name, f"{path.name} cannot be read: {error.strerror or error}. {remedy}"
        )
    if found in expected:
        return Verification(name)
    where = find_json_difference(found, expected[0])
    return Verification(
        name, f"{where or find_line_difference(found, expected[0])}. {remedy}"
    )


def read_json(path: Path) -> Any:
    """Return the document in the file *path*, or None if there is none to be read."""
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def read_texts(*paths: Path) -> list[str]:
    """Return the texts of those of *paths* that can be read."""
    texts = []
    for path in paths:
        try:
            texts.append(path.read_bytes().decode("utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
    return texts


def find_line_difference(found: str, expected: str) -> str:
    r"""Return where two texts differ first.

    >>> find_line_difference("a\nc\n", "a\nb\n")
    "line 2 is 'c', expected 'b'"
    """
    pairs = zip_longest(found.split("\n"), expected.split("\n"), fillvalue="")
    for number, (line, other) in enumerate(pairs, start=1):
        if line != other:
            return f"line {number} {describe_difference(line, other)}"
    return "the ends differ"


def find_json_difference(found: str, expected: str) -> str | None:
    """Return where two JSON texts differ first, or None if that is not in a value.

    >>> find_json_difference('{"a": [1, 3]}', '{"a": [1, 2]}')
    'a[1] is 3, expected 2'

    The digest of the whole database alone may differ because of either.
    """
    try:
        documents = json.loads(found), json.loads(expected)
    except (ValueError, RecursionError):
        return None
    places = list(islice(_walk("", *documents), 2))
    if not places:
        return None
    if not places[0].startswith("database.sha256 "):
        return places[0]
    if len(places) == 1:
        return f"{places[0]}: it was changed, or the database was"
    return "the file is of another database, or of this one before it was changed"


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
        yield f"{place} {describe_difference(found, expected)}"


def describe_difference(found: Any, expected: Any, word: str = "expected") -> str:
    """Return what is *found* and what was *expected*, both where they begin to differ.

    >>> describe_difference(3, 2)
    'is 3, expected 2'
    >>> describe_difference("a" * 90 + "b", "a" * 90 + "c", "not")
    "is …aaaaaaaaaaaaaaaaaaaab', not …aaaaaaaaaaaaaaaaaaaac'"
    """
    texts = repr(found), repr(expected)
    pairs = enumerate(zip_longest(*texts))
    at = next((at for at, (one, other) in pairs if one != other), 0)
    # A few characters before it, so that a reader sees where he is.
    start = max(0, at - SHOWN_CHARACTERS // 3)
    shown = [shorten_text(text, start) for text in texts]
    return f"is {shown[0]}, {word} {shown[1]}"


def shorten_text(text: str, start: int) -> str:
    """Return *text*, if it is too long without what lies before *start*, cut to size."""
    if len(text) > SHOWN_CHARACTERS and start > 0:
        text = "…" + text[start:]
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def shorten_value(value: Any) -> str:
    """Return *value* as a message shows it, cut to size."""
    return shorten_text(repr(value), 0)
