"""The named CHECKs of a table, read from its CREATE TABLE statement."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from utils.contract import split_sql

_TEXT = re.compile(r"'((?:[^']|'')*)'")
_CHOICE = re.compile(r"\s*(\w+)\s+IN\s*\((.*)\)\s*", re.DOTALL | re.IGNORECASE)


_EQUATION = re.compile(r"\s*(\w+)\s*=([\w\s()+*-]+)")
_CAPITALS = re.compile(r"\s*\w+\s+GLOB\s+'((?:\[A-Z\])+)'\s*", re.IGNORECASE)


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

    @property
    def is_instant(self) -> bool:
        """Return whether the rule accepts instants of UTC only."""
        return "%Y-%m-%dT%H:%M:%SZ" in self.expression

    @property
    def equation(self) -> tuple[str, str] | None:
        """Return the column and the arithmetic that it must equal, if the rule is that.

        >>> Rule("total_is_sum", "total = net + tax").equation
        ('total', 'net + tax')
        """
        equation = _EQUATION.fullmatch(self.expression)
        return (equation[1], " ".join(equation[2].split())) if equation else None

    def find_columns(self, columns: Iterable[str]) -> set[str]:
        """Return those of *columns* that the rule compares."""
        return {*re.findall(r"\w+", _TEXT.sub("", self.expression))} & {*columns}

    def describe_expected(self) -> str:
        """Return what the rule accepts; if in doubt, its SQL.

        >>> Rule("code_is_short", "code GLOB '[A-Z][A-Z]'").describe_expected()
        '2 capital letters, such as DE'
        """
        if self.choices:
            return f"one of {', '.join(map(repr, self.choices))}"
        if self.is_instant:
            return "a valid UTC instant, such as 2024-02-29T23:59:59Z"
        if self._capital_count:
            letters = "DEFGHIJK"[: self._capital_count]
            return f"{self._capital_count} capital letters, such as {letters}"
        return " ".join(self.expression.split())

    def suggest_value(self, value: str) -> str:
        """Return which value that the rule accepts *value* probably means, or ''.

        >>> Rule("code_is_short", "code GLOB '[A-Z][A-Z]'").suggest_value("us")
        'perhaps US'
        """
        nearest = difflib.get_close_matches(value.strip().lower(), self.choices, n=1)
        if nearest:
            return f"did you mean {nearest[0]!r}?"
        guess = value.strip().upper()
        is_code = re.fullmatch("[A-Z]+", guess) and len(guess) == self._capital_count
        return f"perhaps {guess}" if is_code else ""

    @property
    def _capital_count(self) -> int:
        """Return how many capital letters a value must have, 0 if that is not the rule."""
        capitals = _CAPITALS.fullmatch(self.expression)
        return capitals[1].count("[") if capitals else 0


@cache
def read_rules(statement: str) -> tuple[Rule, ...]:
    r"""Return the named CHECKs of the CREATE TABLE *statement*, in order.

    >>> read_rules("CREATE TABLE t (a, CONSTRAINT a_is_one CHECK (a IN (1)) -- one\n)")
    (Rule(name='a_is_one', expression='a IN (1)'),)
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
    return tuple(rules)


def _read_parentheses(parts: Sequence[str], start: int) -> str:
    """Return the content of the parentheses that open at *start*."""
    depth = 0
    for end in range(start, len(parts)):
        depth += {"(": 1, ")": -1}.get(parts[end], 0)
        if depth == 0:
            break
    return "".join(parts[start + 1 : end]).strip()
