"""The named CHECKs of a table, read from its CREATE TABLE statement."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from utils.contract import split_sql

_TEXT = re.compile(r"'((?:[^']|'')*)'")
_CHOICE = re.compile(r"\s*(\w+)\s+IN\s*\((.*)\)\s*", re.DOTALL | re.IGNORECASE)


class Rule(NamedTuple):
    """A named CHECK; *expression* is its SQL, without comments."""

    name: str
    expression: str

    @property
    def choices(self) -> list[str]:
        """Return the allowed texts, if the rule is a list of texts."""
        choice = _CHOICE.fullmatch(self.expression)
        if not choice:
            return []
        return [text.replace("''", "'") for text in _TEXT.findall(choice[2])]

    def describe_expected(self, value: str) -> str:
        """Return what the rule accepts instead of *value*, or '' if that is not known."""
        if self.choices:
            nearest = difflib.get_close_matches(value.strip().lower(), self.choices, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            return f"one of {', '.join(map(repr, self.choices))}{hint}"
        if "%Y-%m-%dT%H:%M:%SZ" in self.expression:
            return "a valid UTC instant, such as 2024-02-29T23:59:59Z"
        return ""


def read_rules(statement: str) -> list[Rule]:
    r"""Return the named CHECKs of the CREATE TABLE *statement*, in order.

    >>> read_rules("CREATE TABLE t (a, CONSTRAINT a_is_one CHECK (a IN (1)) -- one\n)")
    [Rule(name='a_is_one', expression='a IN (1)')]
    """
    parts = split_sql(statement)
    places = [at for at, part in enumerate(parts) if part != " "]
    rules = []
    for first, second, third, fourth in zip(
        places, places[1:], places[2:], places[3:], strict=False
    ):
        if (parts[first].upper(), parts[third].upper()) == ("CONSTRAINT", "CHECK"):
            name = parts[second].strip('"`[]')
            rules.append(Rule(name, _read_parentheses(parts, fourth)))
    return rules


def _read_parentheses(parts: Sequence[str], start: int) -> str:
    """Return the content of the parentheses that open at *start*."""
    depth = 0
    for end in range(start, len(parts)):
        depth += {"(": 1, ")": -1}.get(parts[end], 0)
        if depth == 0:
            break
    return "".join(parts[start + 1 : end]).strip()
