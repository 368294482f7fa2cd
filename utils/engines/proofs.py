"""The proof that the tables of a folder are sound, asked of the engine that reads them.

The loader proves what it loads.  An engine is asked the same of the files: is every cell
what its column says, does every row keep the CHECKs of `schema.sql`, are keys unique, do
references find their row.  Everything is taken from the contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from utils.contract import Column, Contract, Table, split_sql
from utils.database import create_empty_database
from utils.engines.files import FINGERPRINT_DIGITS, Survey
from utils.engines.process import Engine, Script
from utils.rules import Rule, read_rules

# The names of the answers.
_WHOLE, _RULES, _KEYS, _REFERENCES = "whole_of_", "rules_of_", "keys", "references"

_INSTANT_FORM = "'%Y-%m-%dT%H:%M:%SZ'"


class Fault(NamedTuple):
    """Rows of *table* that are not what the contract says: how many, and one of them.

    *place* is what they break: a column, the name of a rule, a key or a reference.
    """

    kind: str
    table: str
    place: str
    row_count: int
    example: str

    def describe(self) -> str:
        """Return the fault in a sentence."""
        rows = "1 row" if self.row_count == 1 else f"{self.row_count:,} rows"
        return f"{self.table}: {rows} {self.kind} {self.place}, one is {self.example}"


def render_raw_line(table: Table) -> str:
    """Return the SQL of a row of `raw_…` as a canonical line of CSV, without its end."""
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


# ---- Proofs ------------------------------------------------------------------------------


def ask_proofs(script: Script, contract: Contract, *, has_fingerprints: bool) -> None:
    """Ask whether cells, rows, keys and references are what the contract says."""
    for table in contract.tables:
        whole = ["COUNT(*) AS row_count"]
        if has_fingerprints:
            number = script.engine.fingerprint(render_raw_line(table), FINGERPRINT_DIGITS)
            whole.append(f"'' || COALESCE(SUM({number}), 0) AS fingerprint")
        else:
            whole.append("'' AS fingerprint")
        for at, column in enumerate(table.columns):
            whole += _count_odd_cells(script.engine, table, column, at)
        script.ask(_WHOLE + table.name, f"SELECT {', '.join(whole)} FROM raw_{table.name}")
    for table, rules in list_rules(contract):
        if rules:
            script.ask(_RULES + table.name, _count_broken(script.engine, table, rules))
    script.ask(_KEYS, " UNION ALL ".join(_count_twins(contract)))
    references = list(_count_orphans(contract))
    if references:
        script.ask(_REFERENCES, " UNION ALL ".join(references))


def _count_odd_cells(engine: Engine, table: Table, column: Column, at: int) -> list[str]:
    """Return the SQL of how many cells of *column* are not of its type, and of one."""
    name = column.name
    odd = f"{name} IS NULL" if column.is_required else "1 = 0"
    if column.type == "INTEGER":
        odd += (
            f" OR CAST(TRY_CAST({name} AS BIGINT) AS {engine.text_type}) <> {name}"
            f" OR ({name} IS NOT NULL AND TRY_CAST({name} AS BIGINT) IS NULL)"
        )
    key = " || ', ' || ".join(f"COALESCE({each}, '?')" for each in table.key)
    where = engine.quote(f"{' and '.join(table.key)} ")
    mark = engine.quote("'")
    value = f"COALESCE({mark} || {name} || {mark}, 'without a value')"
    return [
        f"COUNT(CASE WHEN {odd} THEN 1 END) AS odd_{at}",
        f"MIN(CASE WHEN {odd} THEN {where} || {key} || ': ' || {value} END) AS one_{at}",
    ]


def list_rules(contract: Contract) -> list[tuple[Table, list[Rule]]]:
    """Return the CHECKs of each table of *contract*."""
    statements = {
        words[2]: statement
        for statement in contract.table_statements
        for words in [[part for part in split_sql(statement) if part != " "]]
    }
    return [(table, read_rules(statements[table.name])) for table in contract.tables]


def _count_broken(engine: Engine, table: Table, rules: Sequence[Rule]) -> str:
    """Return the SQL of how many rows break each of *rules*, and of one of each."""
    cells = ", ".join(
        f"CAST({column.name} AS {engine.wide_type}) AS {column.name}"
        if column.type == "INTEGER"
        else column.name
        for column in table.columns
    )
    counts = []
    for at, rule in enumerate(rules):
        broken = f"NOT ({translate_rule(engine, rule.expression)})"
        key = " || ', ' || ".join(
            f"CAST({name} AS {engine.text_type})" for name in table.key
        )
        counts += [
            f"COUNT(CASE WHEN {broken} THEN 1 END) AS broken_{at}",
            f"MIN(CASE WHEN {broken} THEN {key} END) AS one_{at}",
        ]
    return f"SELECT {', '.join(counts)} FROM (SELECT {cells} FROM {table.name}) AS wide"


def translate_rule(engine: Engine, expression: str) -> str:
    """Return the CHECK *expression* without what SQLite alone understands.

    That is GLOB, and the comparison with `strftime` by which an instant is proved; anything
    else that an engine does not know is its error, so that no rule is passed over.
    """
    glob = partial(_translate_glob, engine)
    expression = re.sub(r"(\w+)\s+GLOB\s+'((?:[^']|'')*)'", glob, expression)
    return re.sub(
        rf"(\w+)\s+IS\s+strftime\({_INSTANT_FORM}, *(\w+), *'\+0 days'\)",
        lambda found: (
            f"COALESCE({found[1]} = {engine.render_instant(found[2])}, {found[1]} IS NULL)"
        ),
        expression,
    )


def _translate_glob(engine: Engine, found: re.Match[str]) -> str:
    """Return the GLOB that was *found* as a regular expression."""
    pattern = "".join(
        part if part.startswith("[") else {"?": ".", "*": ".*"}.get(part) or re.escape(part)
        for part in re.findall(r"\[\^?[^\]]+\]|.", found[2].replace("''", "'"))
    )
    return engine.matches(found[1], pattern)


def _list_keys(contract: Contract) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """Yield the columns that no two rows of a table may share: the key, UNIQUE indexes."""
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


def _count_twins(contract: Contract) -> Iterator[str]:
    """Yield for each key the SQL of how many of its values are there more than once."""
    for table, names in _list_keys(contract):
        columns = ", ".join(names)
        label = ", ".join(names)
        example = " || ', ' || ".join(f"('' || {name})" for name in names)
        there = " AND ".join(f"{name} IS NOT NULL" for name in names)
        yield (
            f"SELECT '{table.name}' AS table_name, '{label}' AS place, COUNT(*) AS n,"
            f" MIN({example}) AS one FROM (SELECT {columns} FROM {table.name}"
            f" WHERE {there} GROUP BY {columns} HAVING COUNT(*) > 1) AS twins"
        )


def _count_orphans(contract: Contract) -> Iterator[str]:
    """Yield for each reference the SQL of how many rows' it finds nothing."""
    for table in contract.tables:
        for reference in table.foreign_keys:
            child = f"{table.name}.{reference.column}"
            parent = f"{reference.parent_table}.{reference.parent_column}"
            yield (
                f"SELECT '{table.name}' AS table_name, '{reference.column}' AS place,"
                f" COUNT(*) AS n, '' || MIN({child}) AS one FROM {table.name}"
                f" WHERE {child} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
                f" {reference.parent_table} WHERE {parent} = {child})"
            )


# ---- What was found ----------------------------------------------------------------------


def count_rows(script: Script, contract: Contract) -> dict[str, int]:
    """Return how many rows of each table the engine has read."""
    return {table.name: script.rows[_WHOLE + table.name][0][0] for table in contract.tables}


def find_odd_cells(script: Script, contract: Contract) -> list[Fault]:
    """Return the columns of which cells are not of their type, or missing."""
    faults = []
    for table in contract.tables:
        (row,) = script.rows[_WHOLE + table.name]
        for column, count, one in zip(table.columns, row[2::2], row[3::2], strict=True):
            if count:
                faults.append(
                    Fault(
                        "with a cell that is no",
                        table.name,
                        f"{column.type} in {column.name}",
                        count,
                        one,
                    )
                )
    return faults


def find_broken_rules(script: Script, contract: Contract) -> list[Fault]:
    """Return the CHECKs and the UNIQUE keys that rows break."""
    faults = []
    for table, rules in list_rules(contract):
        if not rules:
            continue
        (row,) = script.rows[_RULES + table.name]
        for rule, count, one in zip(rules, row[::2], row[1::2], strict=True):
            if count:
                faults.append(_name_fault(table, "break", rule.name, count, one))
    return [
        *faults,
        *(
            Fault("share a", name, place, count, one)
            for name, place, count, one in script.rows[_KEYS]
            if count
        ),
    ]


def find_orphans(script: Script) -> list[Fault]:
    """Return the references that find no row."""
    return [
        Fault("refer to nothing by", name, place, count, one)
        for name, place, count, one in script.rows.get(_REFERENCES, [])
        if count
    ]


def _name_fault(table: Table, kind: str, place: str, count: int, one: Any) -> Fault:
    return Fault(kind, table.name, place, count, f"{' and '.join(table.key)} {one}")


def find_other_cells(script: Script, surveys: Sequence[Survey]) -> Iterator[list[str]]:
    """Yield the tables of which the engine did not read the cells that the files hold."""
    for survey in surveys:
        name = survey.files.table.name
        (row,) = script.rows[_WHOLE + name]
        expected = f"{survey.rows} rows, {survey.fingerprint}"
        found = f"{row[0]} rows, {row[1]}"
        if expected != found:
            yield [name, expected, found]
