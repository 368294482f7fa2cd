"""The parts of `--verify`: comparing a file with the text that it should contain."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from utils.formats import MAX_VALUE_CHARACTERS, quote_value, shorten_text
from utils.helpers import parse_json, read_regular_file

# A larger result is not read: it would not fit into the memory of a small machine.
MOST_RESULT_BYTES = 1 << 28


class Verification(NamedTuple):
    """One verified step, from *name*'s input to its output; *fault* is '' if they agree."""

    name: str
    fault: str = ""


def compare_text(name: str, path: Path, *expected: str, remedy: str) -> Verification:
    """Return whether the file *path* contains one of the *expected* texts.

    If not, the fault is its first difference from the first of them; *remedy* is added.
    """
    try:
        found = read_result(path)
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


def read_result(path: Path) -> str:
    """Return the text of the file *path*; raise `OSError` or `UnicodeDecodeError`."""
    return read_regular_file(path, MOST_RESULT_BYTES).decode("utf-8")


def read_json(path: Path) -> Any:
    """Return the JSON document in the file *path*, or None if it cannot be read."""
    try:
        return parse_json(read_result(path))
    except (OSError, ValueError):
        return None


def read_texts(*paths: Path) -> list[str]:
    """Return the texts of the readable files among *paths*."""
    texts = []
    for path in paths:
        try:
            texts.append(read_result(path))
        except (OSError, UnicodeDecodeError):
            continue
    return texts


def find_line_difference(found: str, expected: str) -> str:
    r"""Return the first line in which two texts differ.

    >>> find_line_difference("a\nc\n", "a\nb\n")
    "line 2 is 'c', expected 'b'"
    >>> find_line_difference("a", "a\n")
    'the ends differ'
    """
    pairs = zip_longest(found.split("\n"), expected.split("\n"), fillvalue="")
    for number, (line, other) in enumerate(pairs, start=1):
        if line != other:
            return f"line {number} {describe_difference(line, other)}"
    return "the ends differ"


def find_json_difference(found: str, expected: str) -> str | None:
    """Return the first value in which two JSON texts differ, or None if no value differs.

    >>> find_json_difference('{"a": [1, 3]}', '{"a": [1, 2]}')
    'a[1] is 3, expected 2'

    If only the database's digest differs, either file may have been changed.
    """
    try:
        documents = parse_json(found), parse_json(expected)
    except ValueError:
        return None
    places = list(islice(_find_differences("", *documents), 2))
    if not places:
        return None
    if not places[0].startswith("database.sha256 "):
        return places[0]
    if len(places) == 1:
        return f"{places[0]}: it was changed, or the database was"
    return "the file is of another database, or of this one before it was changed"


def _find_differences(place: str, found: Any, expected: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in {**expected, **found}:
            inner = f"{place}.{name}" if place else name
            if name not in found:
                yield f"{inner} is missing"
            elif name not in expected:
                yield f"{inner} is not expected"
            else:
                yield from _find_differences(inner, found[name], expected[name])
    elif isinstance(found, list) and isinstance(expected, list):
        for at, pair in enumerate(zip(found, expected, strict=False)):
            yield from _find_differences(f"{place}[{at}]", *pair)
        if len(found) != len(expected):
            yield f"{place} has a length of {len(found)}, expected {len(expected)}"
    elif (type(found), found) != (type(expected), expected):
        yield f"{place} {describe_difference(found, expected)}"


def describe_difference(found: Any, expected: Any, word: str = "expected") -> str:
    """Return *found* and *expected* in words, both from where they begin to differ.

    >>> describe_difference(3, 2)
    'is 3, expected 2'
    >>> describe_difference("a" * 90 + "b", "a" * 90 + "c", "not")
    "is …aaaaaaaaaaaaaaaaaaaab', not …aaaaaaaaaaaaaaaaaaaac'"
    """
    texts = quote_value(found), quote_value(expected)
    pairs = enumerate(zip_longest(*texts))
    at = next((at for at, (one, other) in pairs if one != other), 0)
    # A few equal characters before the difference show where it is.
    start = max(0, at - MAX_VALUE_CHARACTERS // 3)
    one, other = (shorten_text(text, start) for text in texts)
    return f"is {one}, {word} {other}"
