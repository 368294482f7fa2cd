"""The contract as rules that any data-quality tool can express.

They are read from db/schema.sql: types, required and unique columns, lists of values,
bounds, patterns, references, and the CHECKs that compare columns.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from utils.contract import Contract, Table
from utils.engines.dialects import DUCKDB
from utils.engines.proofs import list_keys, list_rules, translate_rule
from utils.rules import Rule

# The format of the columns of type `instant`.
INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_BOUND = re.compile(r"\w+ (>=?) (-?\d+)")
_RANGE = re.compile(r"\w+ BETWEEN (-?\d+) AND (-?\d+)")
_GLOB = re.compile(r"\w+ GLOB '((?:\[[^\]]+\])+)'")
_WITHIN = re.compile(r"(\w+) BETWEEN (.+) AND (.+)")

# The LIKEs of the schema as regular expressions, which most tools have instead.
_PATTERNS = {"email LIKE '_%@_%' AND email NOT LIKE '%@%@%'": "[^@]+@[^@]+"}


class ColumnRules(NamedTuple):
    """What a cell of the column *name* must be; *type* is integer, text or instant."""

    name: str
    type: str
    is_required: bool
    is_unique: bool
    choices: list[str]
    minimum: int | None
    maximum: int | None
    pattern: str


class RowRule(NamedTuple):
    """A CHECK, for *python* and for *duckdb*; *python* is '' if it is about one column."""

    name: str
    python: str
    duckdb: str


class Reference(NamedTuple):
    """A reference from *column* to *parent_column* of *parent_table*."""

    column: str
    parent_table: str
    parent_column: str


class TableRules(NamedTuple):
    """All rules of the table *name*; *key* is the column of its primary key."""

    name: str
    key: str
    columns: list[ColumnRules]
    references: list[Reference]
    row_rules: list[RowRule]


def list_table_rules(contract: Contract) -> list[TableRules]:
    """Return the rules of each table of *contract*, parents first."""
    keys = {(table.name, *names) for table, names in list_keys(contract)}
    return [
        TableRules(
            table.name,
            table.key[0],
            [
                describe_column(table, name, rules, is_unique=(table.name, name) in keys)
                for name in table.column_names
            ],
            [Reference(*key) for key in table.foreign_keys],
            [describe_row_rule(table, rule) for rule in rules if not rule.is_instant],
        )
        for table, rules in list_rules(contract)
    ]


def describe_column(table: Table, name: str, rules: Any, *, is_unique: bool) -> ColumnRules:
    """Return what the *rules* of *table* require of its column *name* alone."""
    column = table.find_column(name)
    own = [rule for rule in rules if rule.find_columns(table.column_names) == {name}]
    minimum, maximum = find_bounds(own)
    return ColumnRules(
        name,
        "instant"
        if any(rule.is_instant for rule in own)
        else {"INTEGER": "integer", "TEXT": "text"}[column.type],
        column.is_required,
        is_unique,
        [choice for rule in own for choice in rule.choices],
        minimum,
        maximum,
        "".join(map(find_pattern, own)),
    )


def find_bounds(rules: list[Rule]) -> tuple[int | None, int | None]:
    """Return the least and the greatest number that *rules* accept.

    >>> find_bounds([Rule("a", "a > 0")]), find_bounds([Rule("a", "a BETWEEN 1 AND 9")])
    ((1, None), (1, 9))
    """
    for rule in rules:
        if bound := _BOUND.fullmatch(rule.expression):
            return int(bound[2]) + (bound[1] == ">"), None
        if span := _RANGE.fullmatch(rule.expression):
            return int(span[1]), int(span[2])
    return None, None


def find_pattern(rule: Rule) -> str:
    """Return the regular expression that *rule* is, or ''.

    >>> find_pattern(Rule("code_is_capitals", "code GLOB '[A-Z][A-Z]'"))
    '[A-Z][A-Z]'
    """
    glob = _GLOB.fullmatch(rule.expression)
    return glob[1] if glob else _PATTERNS.get(rule.expression, "")


def describe_row_rule(table: Table, rule: Rule) -> RowRule:
    """Return the CHECK *rule* of *table* in the languages of the tools."""
    is_about_one = len(rule.find_columns(table.column_names)) < 2
    return RowRule(
        rule.name,
        "" if is_about_one else translate_to_python(rule.expression),
        translate_rule(DUCKDB, rule.expression),
    )


def translate_to_python(expression: str) -> str:
    """Return a CHECK of numbers as Python, and as pandas' `eval`, writes it.

    >>> translate_to_python("a BETWEEN 0 AND b * c"), translate_to_python("a = b - c")
    ('0 <= a and a <= b * c', 'a == b - c')
    """
    if within := _WITHIN.fullmatch(expression):
        return f"{within[2]} <= {within[1]} and {within[1]} <= {within[3]}"
    return expression.replace(" = ", " == ")


def write_rules(rules: list[TableRules], path: Path) -> None:
    """Write *rules* to the file *path*, for a program without this project's modules."""
    path.write_text(json.dumps(rules), encoding="utf-8", newline="\n")


def read_rules_file(path: Path) -> list[TableRules]:
    """Return the rules in the file *path*."""
    return [
        TableRules(
            name,
            key,
            [ColumnRules(*each) for each in columns],
            [Reference(*each) for each in references],
            [RowRule(*each) for each in row_rules],
        )
        for name, key, columns, references, row_rules in json.loads(
            path.read_text(encoding="utf-8")
        )
    ]
