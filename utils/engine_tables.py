"""The tables of a folder on another engine, and the proof that they are sound.

The loader proves what it loads.  An engine that reads the files themselves is asked the
same: is every cell what its column says, does every row keep the CHECKs of `schema.sql`,
are keys unique, do references find their row.  Everything is taken from the contract.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from utils.contract import (
    MANIFEST_NAME,
    PROVENANCE_TABLE,
    Column,
    Contract,
    Table,
    read_contract,
    split_sql,
)
from utils.database import EVENTS, Provenance, make_empty
from utils.digest import dataset_digest, digest_facts, render_header
from utils.engines import CsvRead, Engine, Row, Script, run_script
from utils.helpers import DataError
from utils.manifest import (
    TOOL_VERSION,
    Manifest,
    compare_with_manifest,
    read_generator,
    read_manifest,
)
from utils.rules import Rule, read_rules
from utils.table_files import (
    FINGERPRINT_DIGITS,
    Survey,
    find_tables,
    identify,
    survey_tables,
)

# The names of the answers that prove the tables.
_WHOLE, _RULES, _LINES = "whole_of_", "rules_of_", "lines_of_"
_KEYS, _REFERENCES, _AS_OF, _VERSION = "keys", "references", "as_of", "version"

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


class Session(NamedTuple):
    """The tables of a folder, put into a *script* for an engine that has not run yet."""

    script: Script
    contract: Contract
    data_dir: Path
    surveys: Sequence[Survey]
    manifest: Manifest
    digests: dict[str, Any]

    @property
    def engine(self) -> Engine:
        """Return the engine that the script is for."""
        return self.script.engine


def open_session(
    engine: Engine, data_dir: Path, *, has_fingerprints: bool = False
) -> Session:
    """Survey the files in *data_dir*; return the session that declares them to *engine*.

    *has_fingerprints* asks for proof that the engine reads the very cells of the files.
    """
    require_local(data_dir)
    contract = read_contract()
    manifest = read_manifest(data_dir / MANIFEST_NAME)
    surveys = survey_tables(
        find_tables(contract, data_dir), has_fingerprints=has_fingerprints
    )
    script = Script(engine)
    session = Session(script, contract, data_dir.resolve(), surveys, manifest, {})
    script.ask(_VERSION, "SELECT version() AS version")
    for survey in surveys:
        _declare_table(session, survey)
    _declare_provenance(session)
    _ask_proofs(session, has_fingerprints=has_fingerprints)
    return session


def require_local(data_dir: Path) -> None:
    """Raise `DataError` if *data_dir* is the address of a file system elsewhere."""
    # A Path has folded the two slashes.
    address = re.match(r"([a-z][a-z0-9+]+):/", str(data_dir))
    if address is not None:
        raise DataError(
            f"--data-dir {address[1]}://: the files are also hashed here, so they must lie"
            " where this machine and the engine's can read them, such as a mounted share."
            " Mount it, and name its folder."
        )


def run_session(session: Session) -> None:
    """Run the script; raise `DataError` if the engine fails, or a file was changed."""
    run_script(session.script, session.data_dir)
    for survey in session.surveys:
        for part in survey.files.parts:
            if identify(part.path) != part.identity:
                raise DataError(f"{part.path}: was changed meanwhile. Run again.")


# ---- Tables ------------------------------------------------------------------------------


def _declare_table(session: Session, survey: Survey) -> None:
    """Declare the rows of a table: as texts (`raw_…`), and of the contract's types."""
    files, engine, script = survey.files, session.engine, session.script
    filled = [part for part in files.parts if part.path.stat().st_size]
    read = CsvRead(
        files.header,
        session.data_dir,
        [part.path.resolve() for part in filled if part.has_header],
        [part.path.resolve() for part in filled if not part.has_header],
        survey.has_quotes,
    )
    name = files.table.name
    script.do(*engine.read_csv(f"raw_{name}", read))
    cells = ", ".join(_type_cell(engine, column) for column in files.table.columns)
    script.do(*engine.keep(name, f"SELECT {cells} FROM raw_{name}"))


def _type_cell(engine: Engine, column: Column) -> str:
    """Return the SQL of a cell of *column*; what is no canonical integer is NULL."""
    if column.type != "INTEGER":
        return column.name
    cast = f"TRY_CAST({column.name} AS BIGINT)"
    return (
        f"CASE WHEN CAST({cast} AS {engine.text_type}) = {column.name} THEN {cast} END"
        f" AS {column.name}"
    )


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


# ---- Provenance --------------------------------------------------------------------------


def _declare_provenance(session: Session) -> None:
    """Declare `submission_meta` with all that the queries may look for in it."""
    engine, script = session.engine, session.script
    window_end = read_generator(session.manifest.document).get("window_end")
    days = [f"SELECT {engine.quote(str(window_end or ''))} AS day"]
    for table, column in EVENTS:
        if any(table == known.name for known in session.contract.tables):
            days.append(f"SELECT SUBSTR(MAX({column}), 1, 10) AS day FROM {table}")
    latest = f"SELECT MAX(day) AS as_of FROM ({' UNION ALL '.join(days)}) AS days"
    script.do(*engine.keep("as_of_of_data", latest))
    script.ask(_AS_OF, "SELECT as_of FROM as_of_of_data")
    facts = _collect_facts(session)
    rows = ", ".join(
        f"({', '.join(engine.quote(str(each)) for each in (*names, value))})"
        for names, value in sorted(facts.items())
    )
    script.do(
        f"CREATE TEMPORARY VIEW {PROVENANCE_TABLE} AS"
        " SELECT subject, property, value"
        f" FROM (VALUES {rows}) AS facts (subject, property, value)"
        " UNION ALL SELECT 'dataset' AS subject, 'as_of' AS property, as_of AS value"
        " FROM as_of_of_data WHERE as_of > ''"
    )
    for survey in session.surveys:
        if survey.content_sha256 is None:
            _ask_lines(session, survey.files.table)
        else:
            session.digests[survey.files.table.name] = survey.content_sha256


def _ask_lines(session: Session, table: Table) -> None:
    """Ask for the rows of *table* in the order of its key, to digest them here."""
    digest = hashlib.sha256(render_header(table))
    session.digests[table.name] = digest

    def take(row: Row) -> None:
        digest.update(f"{row[0]}\n".encode())

    keys = ", ".join(
        f"TRY_CAST({name} AS BIGINT)" if table.find_column(name).type == "INTEGER" else name
        for name in table.key
    )
    line = render_raw_line(table)
    session.script.ask(
        _LINES + table.name,
        f"SELECT line FROM (SELECT {line} AS line, {keys} AS place FROM raw_{table.name})"
        " AS placed ORDER BY place, line"
        if len(table.key) == 1
        else f"SELECT {line} AS line FROM raw_{table.name} ORDER BY {keys}",
        take,
    )


def _collect_facts(session: Session) -> dict[tuple[str, str], object]:
    """Return what `submission_meta` holds and the files alone tell, as the loader does."""
    facts: dict[tuple[str, str], object] = {
        ("schema.sql", "sha256"): session.contract.sha256
    }
    for survey in session.surveys:
        name = survey.files.name
        for fact in ("sha256", "bytes", "rows", "form"):
            facts[name, fact] = getattr(survey, fact)
        facts[name, "manifest"] = compare_with_manifest(
            session.manifest, name, survey.sha256
        )
    if session.manifest.document:
        facts[MANIFEST_NAME, "sha256"] = session.manifest.sha256
    generator = read_generator(session.manifest.document)
    return facts | {("generator", name): value for name, value in generator.items()}


def describe_engine(session: Session) -> dict[str, str]:
    """Return what stands in the results for a database: the engine, and its version."""
    ((version,),) = session.script.rows[_VERSION]
    return {"engine": session.engine.name, "version": version.split()[0].lstrip("v")}


def read_session_provenance(session: Session) -> Provenance:
    """Return what `submission_meta` would hold after a load, as far as it can be told.

    `loader` names the engine instead of SQLite.
    """
    facts = _collect_facts(session)
    digests = {
        table.name: digest if isinstance(digest, str) else digest.hexdigest()
        for table in session.contract.tables
        for digest in [session.digests[table.name]]
    }
    counts = count_rows(session)
    for survey in session.surveys:
        table = survey.files.table.name
        facts[survey.files.name, "rows_stored"] = counts[table]
        facts[table, "content_sha256"] = digests[table]
    facts["dataset", "content_sha256"] = dataset_digest(digests)
    ((as_of,),) = session.script.rows[_AS_OF]
    if as_of:
        facts["dataset", "as_of"] = as_of
    facts["loader", "tool_version"] = TOOL_VERSION
    facts["loader", "python_version"] = platform.python_version()
    facts["loader", "engine"], facts["loader", "engine_version"] = describe_engine(
        session
    ).values()
    rows = sorted((*names, str(value)) for names, value in facts.items())
    rows.append((PROVENANCE_TABLE, "content_sha256", digest_facts(rows)))
    provenance: dict[str, dict[str, str]] = {}
    for subject, name, value in sorted(rows):
        provenance.setdefault(subject, {})[name] = value
    return provenance


# ---- Proofs ------------------------------------------------------------------------------


def _ask_proofs(session: Session, *, has_fingerprints: bool) -> None:
    """Ask whether cells, rows, keys and references are what the contract says."""
    script, contract = session.script, session.contract
    for table in contract.tables:
        whole = ["COUNT(*) AS row_count"]
        if has_fingerprints:
            number = session.engine.fingerprint(render_raw_line(table), FINGERPRINT_DIGITS)
            whole.append(f"'' || COALESCE(SUM({number}), 0) AS fingerprint")
        else:
            whole.append("'' AS fingerprint")
        for at, column in enumerate(table.columns):
            whole += _count_odd_cells(session.engine, table, column, at)
        script.ask(_WHOLE + table.name, f"SELECT {', '.join(whole)} FROM raw_{table.name}")
    for table, rules in list_rules(contract):
        if rules:
            script.ask(_RULES + table.name, _count_broken(session.engine, table, rules))
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
    with closing(make_empty(contract)) as model:
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


def count_rows(session: Session) -> dict[str, int]:
    """Return how many rows of each table the engine has read."""
    return {
        table.name: session.script.rows[_WHOLE + table.name][0][0]
        for table in session.contract.tables
    }


def find_odd_cells(session: Session) -> list[Fault]:
    """Return the columns of which cells are not of their type, or missing."""
    faults = []
    for table in session.contract.tables:
        (row,) = session.script.rows[_WHOLE + table.name]
        for column, count, one in zip(table.columns, row[2::2], row[3::2], strict=True):
            if count:
                faults.append(
                    Fault("with a cell that is no", table.name,
                          f"{column.type} in {column.name}", count, one)
                )  # fmt: skip
    return faults


def find_broken_rules(session: Session) -> list[Fault]:
    """Return the CHECKs and the UNIQUE keys that rows break."""
    faults = []
    for table, rules in list_rules(session.contract):
        if not rules:
            continue
        (row,) = session.script.rows[_RULES + table.name]
        for rule, count, one in zip(rules, row[::2], row[1::2], strict=True):
            if count:
                faults.append(_name_fault(table, "break", rule.name, count, one))
    return [
        *faults,
        *(
            Fault("share a", name, place, count, one)
            for name, place, count, one in session.script.rows[_KEYS]
            if count
        ),
    ]


def find_orphans(session: Session) -> list[Fault]:
    """Return the references that find no row."""
    return [
        Fault("refer to nothing by", name, place, count, one)
        for name, place, count, one in session.script.rows.get(_REFERENCES, [])
        if count
    ]


def _name_fault(table: Table, kind: str, place: str, count: int, one: Any) -> Fault:
    return Fault(kind, table.name, place, count, f"{' and '.join(table.key)} {one}")


def find_other_cells(session: Session) -> Iterator[list[str]]:
    """Yield the tables of which the engine did not read the cells that the files hold."""
    for survey in session.surveys:
        name = survey.files.table.name
        (row,) = session.script.rows[_WHOLE + name]
        expected = f"{survey.rows} rows, {survey.fingerprint}"
        found = f"{row[0]} rows, {row[1]}"
        if expected != found:
            yield [name, expected, found]


def require_sound(session: Session) -> None:
    """Raise `DataError` if a row breaks what a load would have refused."""
    faults = [
        *find_odd_cells(session),
        *find_broken_rules(session),
        *find_orphans(session),
    ]
    counts = count_rows(session)
    short = [
        f"{survey.files.name}: {survey.rows} rows, of which {session.engine.title} reads"
        f" {counts[survey.files.table.name]}"
        for survey in session.surveys
        if counts[survey.files.table.name] != survey.rows
    ]
    told = [*short, *(fault.describe() for fault in faults)]
    if told:
        more = f" ({len(told) - 1} more such faults)" if len(told) > 1 else ""
        raise DataError(
            f"{session.data_dir}: {told[0]}{more}. All are in the report: python ingest.py"
            f" --report --engine {session.engine.name} --data-dir DIR"
        )


def list_columns(contract: Contract, sql: str) -> tuple[str, ...]:
    """Return the columns of the one SELECT *sql*, as SQLite names them.

    An engine says nothing of an answer without rows.
    """
    with closing(make_empty(contract)) as model:
        cursor = model.execute(sql)
        return tuple(column[0] for column in cursor.description or ())
