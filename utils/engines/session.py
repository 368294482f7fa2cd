"""The tables of a folder on another engine: declared to it, and where they come from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from utils.contract import (
    MANIFEST_NAME,
    PROVENANCE_TABLE,
    Column,
    Contract,
    Table,
    read_contract,
)
from utils.database import EVENTS, Provenance, create_empty_database
from utils.digest import render_header
from utils.engines.files import Survey, find_tables, survey_tables
from utils.engines.process import CsvRead, Engine, Row, Script, run_script
from utils.engines.proofs import (
    ask_proofs,
    count_rows,
    find_broken_rules,
    find_odd_cells,
    find_orphans,
    render_raw_line,
)
from utils.helpers import DataError, identify_file
from utils.load_facts import (
    collect_file_facts,
    collect_table_facts,
    describe_loader,
    list_facts,
)
from utils.manifest import Manifest, read_generator, read_manifest

# The names of the answers.
_LINES, _AS_OF, _VERSION = "lines_of_", "as_of", "version"


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
    ask_proofs(script, contract, has_fingerprints=has_fingerprints)
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
            if identify_file(part.path) != part.identity:
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
    facts = collect_file_facts(session.contract, session.surveys, session.manifest)
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


def describe_engine(session: Session) -> dict[str, str]:
    """Return what stands in the results for a database: the engine, and its version."""
    ((version,),) = session.script.rows[_VERSION]
    return {"engine": session.engine.name, "version": version.split()[0].lstrip("v")}


def read_session_provenance(session: Session) -> Provenance:
    """Return what `submission_meta` would hold after a load, as far as it can be told.

    `loader` names the engine instead of SQLite.
    """
    digests = {
        name: digest if isinstance(digest, str) else digest.hexdigest()
        for name, digest in session.digests.items()
    }
    ((as_of,),) = session.script.rows[_AS_OF]
    facts = {
        **collect_file_facts(session.contract, session.surveys, session.manifest),
        **collect_table_facts(
            session.contract, digests, count_rows(session.script, session.contract), as_of
        ),
        **describe_loader(
            dict(
                zip(
                    ("engine", "engine_version"),
                    describe_engine(session).values(),
                    strict=True,
                )
            )
        ),
    }
    provenance: dict[str, dict[str, str]] = {}
    for subject, name, value in sorted(list_facts(facts)):
        provenance.setdefault(subject, {})[name] = value
    return provenance


# ---- What was found ----------------------------------------------------------------------


def require_sound(session: Session) -> None:
    """Raise `DataError` if a row breaks what a load would have refused."""
    faults = [
        *find_odd_cells(session.script, session.contract),
        *find_broken_rules(session.script, session.contract),
        *find_orphans(session.script),
    ]
    counts = count_rows(session.script, session.contract)
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
    with closing(create_empty_database(contract)) as model:
        cursor = model.execute(sql)
        return tuple(column[0] for column in cursor.description or ())
