"""The tables of a folder on an engine: declared from their files, proved and described."""

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
    list_event_columns,
    read_contract,
)
from utils.database import Provenance, create_empty_database
from utils.digest import render_header
from utils.engines.content import TableContent, read_contents
from utils.engines.dialects import CsvSource, Dialect, store_rows
from utils.engines.files import find_tables
from utils.engines.process import Engine, Row, Script, run_script
from utils.engines.proofs import (
    add_proofs,
    count_read_rows,
    find_broken_references,
    find_broken_rules,
    find_invalid_cells,
    render_raw_line,
)
from utils.formats import count_noun
from utils.helpers import DataError, identify_file
from utils.load_facts import (
    collect_file_facts,
    collect_table_facts,
    describe_loader,
    list_facts,
)
from utils.manifest import Manifest, read_manifest

# The names of the queries.
_LINES, _AS_OF, _VERSION = "lines_of_", "as_of", "version"


class Session(NamedTuple):
    """The tables of a folder, declared in a *script* that *engine* has not run yet.

    *digests* maps each table to the SHA-256 of its rows, or to the hash that computes it.
    """

    engine: Engine
    script: Script
    contract: Contract
    data_dir: Path
    contents: Sequence[TableContent]
    manifest: Manifest
    digests: dict[str, Any]

    @property
    def dialect(self) -> Dialect:
        """Return the dialect of the engine."""
        return self.engine.dialect


def open_session(
    engine: Engine, data_dir: Path, *, has_fingerprints: bool = False
) -> Session:
    """Read the files in *data_dir*; return the session that declares them to *engine*.

    With *has_fingerprints* the run also proves that the engine reads the cells that the
    files hold.
    """
    require_local(data_dir)
    contract = read_contract()
    manifest = read_manifest(data_dir / MANIFEST_NAME)
    tables = find_tables(contract, data_dir)
    contents = read_contents(tables, has_fingerprints=has_fingerprints)
    script = Script(engine.dialect)
    session = Session(engine, script, contract, data_dir.resolve(), contents, manifest, {})
    script.add_query(_VERSION, "SELECT version() AS version")
    for content in contents:
        _declare_table(session, content)
    _declare_provenance(session)
    for content in contents:
        if content.content_sha256 is None:
            _add_digest_query(session, content.files.table)
        else:
            session.digests[content.files.table.name] = content.content_sha256
    add_proofs(script, contract, has_fingerprints=has_fingerprints)
    return session


def require_local(data_dir: Path) -> None:
    """Raise `DataError` if *data_dir* is the address of a remote file system."""
    # Path has joined the two slashes.
    address = re.match(r"([a-z][a-z0-9+]+):/", str(data_dir))
    if address is not None:
        raise DataError(
            f"--data-dir {address[1]}://: the files are also hashed on this machine, so"
            " this machine and the engine must read them under the same path, such as a"
            " mounted share. Mount it, and name its folder."
        )


def run_session(session: Session) -> None:
    """Run the script; raise `DataError` if the engine fails, or a file was changed."""
    run_script(session.engine, session.script, session.data_dir)
    for content in session.contents:
        for part in content.files.parts:
            if identify_file(part.path) != part.identity:
                raise DataError(f"{part.path}: was changed during the run. Run it again.")


# ---- Tables ------------------------------------------------------------------------------


def _declare_table(session: Session, content: TableContent) -> None:
    """Declare a table twice: its cells as text (`raw_…`), and with the contract's types."""
    files, dialect, script = content.files, session.dialect, session.script
    filled = [part for part in files.parts if part.path.stat().st_size]
    source = CsvSource(
        files.header,
        session.data_dir,
        [part.path.resolve() for part in filled if part.has_header],
        [part.path.resolve() for part in filled if not part.has_header],
        content.has_quotes,
    )
    name = files.table.name
    script.add_statements(*dialect.read_csv(f"raw_{name}", source))
    cells = ", ".join(_convert_cell(dialect, column) for column in files.table.columns)
    script.add_statements(*store_rows(dialect, name, f"SELECT {cells} FROM raw_{name}"))


def _convert_cell(dialect: Dialect, column: Column) -> str:
    """Return the SQL of a cell of *column*; NULL if it is not a canonical integer."""
    if column.type != "INTEGER":
        return column.name
    cast = f"TRY_CAST({column.name} AS BIGINT)"
    return (
        f"CASE WHEN CAST({cast} AS {dialect.text_type}) = {column.name} THEN {cast} END"
        f" AS {column.name}"
    )


# ---- Provenance --------------------------------------------------------------------------


def _declare_provenance(session: Session) -> None:
    """Declare `submission_meta` with all facts that queries may read from it."""
    dialect, script = session.dialect, session.script
    if session.manifest.last_day:
        days = [f"SELECT {dialect.quote(session.manifest.last_day)} AS day"]
    else:
        days = [
            f"SELECT SUBSTR(MAX({column}), 1, 10) AS day FROM {table.name}"
            for table, column in list_event_columns(session.contract)
        ]
    latest = f"SELECT MAX(day) AS as_of FROM ({' UNION ALL '.join(days)}) AS days"
    script.add_statements(*store_rows(dialect, "as_of_of_data", latest))
    script.add_query(_AS_OF, "SELECT as_of FROM as_of_of_data")
    facts = collect_file_facts(session.contract, session.contents, session.manifest)
    rows = ", ".join(
        f"({', '.join(dialect.quote(str(each)) for each in (*names, value))})"
        for names, value in sorted(facts.items())
    )
    script.add_statements(
        f"CREATE TEMPORARY VIEW {PROVENANCE_TABLE} AS"
        " SELECT subject, property, value"
        f" FROM (VALUES {rows}) AS facts (subject, property, value)"
        " UNION ALL SELECT 'dataset' AS subject, 'as_of' AS property, as_of AS value"
        " FROM as_of_of_data WHERE as_of > ''"
    )


def _add_digest_query(session: Session, table: Table) -> None:
    """Query the rows of *table* in the order of its key, to hash them in this process."""
    digest = hashlib.sha256(render_header(table))
    session.digests[table.name] = digest

    def hash_row(row: Row) -> None:
        digest.update(f"{row[0]}\n".encode())

    keys = ", ".join(
        f"TRY_CAST({name} AS BIGINT)" if table.find_column(name).type == "INTEGER" else name
        for name in table.key
    )
    line = render_raw_line(table)
    session.script.add_query(
        _LINES + table.name,
        f"SELECT line FROM (SELECT {line} AS line, {keys} AS place FROM raw_{table.name})"
        " AS placed ORDER BY place, line"
        if len(table.key) == 1
        else f"SELECT {line} AS line FROM raw_{table.name} ORDER BY {keys}",
        hash_row,
    )


def describe_engine(session: Session) -> dict[str, str]:
    """Return what the results name in place of a database: the engine and its version."""
    ((version,),) = session.script.rows[_VERSION]
    return {"engine": session.dialect.name, "version": version.split()[0].lstrip("v")}


def read_session_provenance(session: Session) -> Provenance:
    """Return what `submission_meta` would contain after a load of the same files.

    `loader` names the engine instead of SQLite.
    """
    digests = {
        name: digest if isinstance(digest, str) else digest.hexdigest()
        for name, digest in session.digests.items()
    }
    counts = count_read_rows(session.script, session.contract)
    ((as_of,),) = session.script.rows[_AS_OF]
    engine = describe_engine(session)
    facts = {
        **collect_file_facts(session.contract, session.contents, session.manifest),
        **collect_table_facts(session.contract, digests, counts, as_of),
        **describe_loader(
            {"engine": engine["engine"], "engine_version": engine["version"]}
        ),
    }
    provenance: dict[str, dict[str, str]] = {}
    for subject, name, value in sorted(list_facts(facts)):
        provenance.setdefault(subject, {})[name] = value
    return provenance


# ---- The answers -------------------------------------------------------------------------


def require_valid(session: Session) -> None:
    """Raise `DataError` if a row breaks what the loader would have refused."""
    counts = count_read_rows(session.script, session.contract)
    failures = [
        f"{content.name}: {count_noun(content.rows, 'row')}, of which"
        f" {session.dialect.title} reads {counts[content.files.table.name]}"
        for content in session.contents
        if counts[content.files.table.name] != content.rows
    ]
    failures += [
        failure.describe()
        for failure in (
            *find_invalid_cells(session.script, session.contract),
            *find_broken_rules(session.script, session.contract),
            *find_broken_references(session.script),
        )
    ]
    if failures:
        more = f" ({count_noun(len(failures) - 1, 'more failure')})" if failures[1:] else ""
        raise DataError(
            f"{session.data_dir}: {failures[0]}{more}. The report lists all: python"
            f" ingest.py --report --engine {session.dialect.name} --data-dir DIR"
        )


def list_columns(contract: Contract, queries: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the columns of each of *queries*, each one SELECT, as SQLite names them.

    An engine returns no column names with a result that has no rows.
    """
    with closing(create_empty_database(contract)) as empty:
        return [
            tuple(column[0] for column in empty.execute(sql).description or ())
            for sql in queries
        ]
