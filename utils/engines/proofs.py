"""The proof, by an engine, that its tables keep the contract; the loader proves the same.

Four questions: does every cell have the type of its column, does every row keep the CHECKs
of `schema.sql`, are keys unique, does every reference find its row?  All of it is derived
from the contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

from utils.contract import Column, Contract, Table, split_sql
from utils.database import create_empty_database
from utils.engines.content import FINGERPRINT_DIGITS, TableContent
from utils.engines.dialects import Dialect, match_text
from utils.engines.process import Script
from utils.formats import count_noun
from utils.months import FIRST_YEAR, LAST_YEAR, YEARS
from utils.rules import Rule, read_rules

# The names of the queries.
_CELLS, _RULES, _KEYS, _REFERENCES = "cells_of_", "rules_of_", "keys", "references"

_INSTANT_FORMAT = "'%Y-%m-%dT%H:%M:%SZ'"


class FailedProof(NamedTuple):
    """Rows of *table* that break the contract: how many, and one *example*.

    *place* is what they break: a column, a rule, a key or a reference.
    """

    kind: str
    table: str
    place: str
    row_count: int
    example: str

    def describe(self) -> str:
        """Return the failure in a sentence."""
        rows = count_noun(self.row_count, "row")
        return f"{self.table}: {rows} {self.kind} {self.place}, for example {self.example}"


def render_raw_line(table: Table) -> str:
    """Return the SQL of a row of `raw_…` as a canonical CSV line, without its line end."""
    cells = []
    for column in table.columns:
        needs_quotes = " OR ".join(
            f"INSTR({column.name}, {character}) > 0"
            for character in ("','", "'\"'", "CHR(10)", "CHR(13)")
        )
        cells.append(
            f"COALESCE(CASE WHEN {needs_quotes} THEN '\"' || REPLACE({column.name}, '\"',"
            f" '\"\"') || '\"' ELSE {column.name} END, '')"
        )
    return " || ',' || ".join(cells)


# ---- The queries -------------------------------------------------------------------------


def add_proofs(script: Script, contract: Contract, *, has_fingerprints: bool) -> None:
    """Add the queries of the proof to *script*.

    With *has_fingerprints* also the fingerprint of each table's rows is queried.
    """
    for table in contract.tables:
        figures = ["COUNT(*) AS row_count"]
        if has_fingerprints:
            number = script.dialect.fingerprint.format(
                text=render_raw_line(table), digits=FINGERPRINT_DIGITS
            )
            figures.append(f"'' || COALESCE(SUM({number}), 0) AS fingerprint")
        else:
            figures.append("'' AS fingerprint")
        for at, column in enumerate(table.columns):
            figures += _count_invalid_cells(script.dialect, table, column, at)
        script.add_query(
            _CELLS + table.name, f"SELECT {', '.join(figures)} FROM raw_{table.name}"
        )
    for table, rules in list_rules(contract):
        if rules:
            select = _count_broken_rules(script.dialect, table, rules)
            script.add_query(_RULES + table.name, select)
    script.add_query(_KEYS, " UNION ALL ".join(_count_duplicates(contract)))
    references = list(_count_orphans(contract))
    if references:
        script.add_query(_REFERENCES, " UNION ALL ".join(references))


def _count_invalid_cells(
    dialect: Dialect, table: Table, column: Column, at: int
) -> list[str]:
    """Return the SQL of the number of invalid cells of *column*, and of an example."""
    name = column.name
    is_invalid = f"{name} IS NULL" if column.is_required else "1 = 0"
    if column.type == "INTEGER":
        is_invalid += (
            f" OR CAST(TRY_CAST({name} AS BIGINT) AS {dialect.text_type}) <> {name}"
            f" OR ({name} IS NOT NULL AND TRY_CAST({name} AS BIGINT) IS NULL)"
        )
    if column.is_event:
        is_invalid += f" OR {name} < '{FIRST_YEAR}-' OR {name} >= '{LAST_YEAR + 1}-'"
    key = " || ', ' || ".join(f"COALESCE({each}, '?')" for each in table.key)
    label = dialect.quote(f"{' and '.join(table.key)} ")
    quote = dialect.quote("'")
    value = f"COALESCE({quote} || {name} || {quote}, 'without a value')"
    example = f"{label} || {key} || ': ' || {value}"
    return [
        f"COUNT(CASE WHEN {is_invalid} THEN 1 END) AS invalid_{at}",
        f"MIN(CASE WHEN {is_invalid} THEN {example} END) AS example_{at}",
    ]


def list_rules(contract: Contract) -> list[tuple[Table, Sequence[Rule]]]:
    """Return the CHECKs of each table of *contract*."""
    statements = {
        words[2]: statement
        for statement in contract.table_statements
        for words in [[part for part in split_sql(statement) if part != " "]]
    }
    return [(table, read_rules(statements[table.name])) for table in contract.tables]


def _count_broken_rules(dialect: Dialect, table: Table, rules: Sequence[Rule]) -> str:
    """Return the SQL of how many rows break each of *rules*, with an example of each."""
    cells = ", ".join(
        f"CAST({column.name} AS {dialect.wide_type}) AS {column.name}"
        if column.type == "INTEGER"
        else column.name
        for column in table.columns
    )
    key = " || ', ' || ".join(f"CAST({name} AS {dialect.text_type})" for name in table.key)
    figures = []
    for at, rule in enumerate(rules):
        is_broken = f"NOT ({translate_rule(dialect, rule.expression)})"
        figures += [
            f"COUNT(CASE WHEN {is_broken} THEN 1 END) AS broken_{at}",
            f"MIN(CASE WHEN {is_broken} THEN {key} END) AS example_{at}",
        ]
    return f"SELECT {', '.join(figures)} FROM (SELECT {cells} FROM {table.name}) AS wide"


def translate_rule(dialect: Dialect, expression: str) -> str:
    """Return the CHECK *expression* without what only SQLite understands.

    That is GLOB, and the comparison with `strftime` that proves an instant.  Anything else
    that an engine does not understand makes it fail, so that no rule is skipped.
    """
    expression = re.sub(
        r"(\w+)\s+GLOB\s+'((?:[^']|'')*)'", partial(_translate_glob, dialect), expression
    )
    return re.sub(
        rf"(\w+)\s+IS\s+strftime\({_INSTANT_FORMAT}, *(\w+), *'\+0 days'\)",
        lambda found: (
            f"COALESCE({found[1]} = {dialect.instant.format(text=found[2])},"
            f" {found[1]} IS NULL)"
        ),
        expression,
    )


def _translate_glob(dialect: Dialect, found: re.Match[str]) -> str:
    """Return the GLOB that was *found* as a match of a regular expression."""
    pattern = "".join(
        part if part.startswith("[") else {"?": ".", "*": ".*"}.get(part) or re.escape(part)
        for part in re.findall(r"\[\^?[^\]]+\]|.", found[2].replace("''", "'"))
    )
    return match_text(dialect, found[1], pattern)


def list_keys(contract: Contract) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """Yield each table with the columns of its key, and of each of its UNIQUE indexes."""
    with closing(create_empty_database(contract)) as model:
        for table in contract.tables:
            yield table, table.key
            indexes = model.execute(
                "SELECT name FROM pragma_index_list(?)"
                " WHERE \"unique\" AND origin <> 'pk' AND NOT partial ORDER BY name",
                (table.name,),
            ).fetchall()
            for (index,) in indexes:
                found = model.execute(
                    "SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,)
                )
                names = tuple(name for (name,) in found)
                if None not in names:
                    yield table, names


def _count_duplicates(contract: Contract) -> Iterator[str]:
    """Yield for each key the SQL of how many of its values occur more than once."""
    for table, names in list_keys(contract):
        columns = ", ".join(names)
        example = " || ', ' || ".join(f"('' || {name})" for name in names)
        has_values = " AND ".join(f"{name} IS NOT NULL" for name in names)
        yield (
            f"SELECT '{table.name}' AS table_name, '{columns}' AS place, COUNT(*) AS n,"
            f" MIN({example}) AS example FROM (SELECT {columns} FROM {table.name}"
            f" WHERE {has_values} GROUP BY {columns} HAVING COUNT(*) > 1) AS duplicates"
        )


def _count_orphans(contract: Contract) -> Iterator[str]:
    """Yield for each reference the SQL of how many rows have no parent."""
    for table in contract.tables:
        for reference in table.foreign_keys:
            child = f"{table.name}.{reference.column}"
            parent = f"{reference.parent_table}.{reference.parent_column}"
            yield (
                f"SELECT '{table.name}' AS table_name, '{reference.column}' AS place,"
                f" COUNT(*) AS n, '' || MIN({child}) AS example FROM {table.name}"
                f" WHERE {child} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
                f" {reference.parent_table} WHERE {parent} = {child})"
            )


# ---- Their answers -----------------------------------------------------------------------


def count_read_rows(script: Script, contract: Contract) -> dict[str, int]:
    """Return how many rows of each table the engine has read."""
    return {table.name: script.rows[_CELLS + table.name][0][0] for table in contract.tables}


def find_invalid_cells(script: Script, contract: Contract) -> list[FailedProof]:
    """Return the columns with cells that have another type or no value."""
    failures = []
    for table in contract.tables:
        (row,) = script.rows[_CELLS + table.name]
        for column, count, example in zip(table.columns, row[2::2], row[3::2], strict=True):
            if count:
                years = f" of {YEARS}" if column.is_event else ""
                place = f"{column.type}{years} in {column.name}"
                failures.append(
                    FailedProof("without a valid", table.name, place, count, example)
                )
    return failures


def find_broken_rules(script: Script, contract: Contract) -> list[FailedProof]:
    """Return the CHECKs and the UNIQUE keys that rows break."""
    failures = []
    for table, rules in list_rules(contract):
        if not rules:
            continue
        (row,) = script.rows[_RULES + table.name]
        label = " and ".join(table.key)
        for rule, count, key in zip(rules, row[::2], row[1::2], strict=True):
            if count:
                failures.append(
                    FailedProof("breaking", table.name, rule.name, count, f"{label} {key}")
                )
    return [*failures, *_read_failures(script, _KEYS, "sharing a")]


def find_broken_references(script: Script) -> list[FailedProof]:
    """Return the references that find no row."""
    return _read_failures(script, _REFERENCES, "referring to no row by")


def _read_failures(script: Script, query: str, kind: str) -> list[FailedProof]:
    return [
        FailedProof(kind, table, place, count, example)
        for table, place, count, example in script.rows.get(query, [])
        if count
    ]


def find_misread_tables(
    script: Script, contents: Sequence[TableContent]
) -> Iterator[list[str]]:
    """Yield each table whose rows, as the engine read them, are not those of its files."""
    for content in contents:
        name = content.files.table.name
        (row,) = script.rows[_CELLS + name]
        expected = f"{content.rows} rows, {content.fingerprint}"
        found = f"{row[0]} rows, {row[1]}"
        if expected != found:
            yield [name, expected, found]
