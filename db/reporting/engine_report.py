"""The report on the CSV files themselves, by DuckDB or Spark instead of SQLite.

The engine runs the same checks and trends.  It also proves what a load would have proved,
cell by cell and rule by rule (`utils/engines/proofs.py`); the results replace the built-in
checks of a database.  The texts that are not plain ASCII are judged by Python, as there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from db.reporting.checks import (
    BUILT_IN_COLUMNS,
    INTACT_CHECK,
    SAMPLE_ROWS,
    SCHEMA_CHECK,
    TEXT_CHECK,
    TRENDS_DIR,
    Check,
    Findings,
    Query,
    Row,
    describe_check,
    find_not_applicable,
    list_checks,
    read_queries,
    sample_row,
)
from db.reporting.invisible_text import (
    PLAIN_TEXT,
    find_invisible_faults,
    list_checked_tables,
    select_unusual_texts,
)
from db.reporting.report import (
    Report,
    assemble_report,
    describe_tables,
    describe_trends,
    name_cells,
    publish_report,
)
from utils.contract import Table
from utils.database import VALID_REFUNDS_SQL, find_as_of
from utils.engines.dialects import match_text, translate_select
from utils.engines.process import Engine, require_64_bits
from utils.engines.proofs import (
    count_read_rows,
    find_broken_rules,
    find_invalid_cells,
    find_misread_tables,
)
from utils.engines.session import (
    Session,
    describe_engine,
    list_columns,
    open_session,
    read_session_provenance,
    run_session,
)

# Spark's time to plan a query grows faster than the query, and each query costs it time.
CHECKS_PER_QUERY = 6

_COUNTS, _SAMPLES, _INEXACT = "counts_of_checks", "samples_of_checks", "inexact_refund"


def report_files(engine: Engine, data_dir: Path, out_dir: Path | None = None) -> Report:
    """Report on the CSV files in *data_dir* by *engine*; write as `report_database` does.

    Raise `DataError` if the files cannot be read, or the engine fails.
    """
    session = open_session(engine, data_dir, has_fingerprints=True)
    checks, trends = list_checks(), read_queries(TRENDS_DIR)
    queries = [check.query for check in checks if check.query is not None]
    _add_checks(session, queries)
    for trend in trends:
        session.script.add_query(trend.name, translate_select(trend.sql))
    _add_text_check(session)
    session.script.add_query(_INEXACT, _find_inexact_refund(engine))
    run_session(session)
    columns = _list_columns(session, [*queries, *trends])
    provenance = read_session_provenance(session)
    ((inexact_refund,),) = session.script.rows[_INEXACT]
    counts = count_read_rows(session.script, session.contract)
    report = assemble_report(
        provenance,
        source=describe_engine(session),
        checks=list(_describe_checks(session, checks, columns, counts)),
        trends=describe_trends(
            _read_trends(session, trends, columns), inexact_refund, find_as_of(provenance)
        ),
        tables=describe_tables(counts),
    )
    return publish_report(report, out_dir)


def _add_checks(session: Session, queries: Sequence[Query]) -> None:
    """Add the queries for the row counts of the checks, then for their first rows."""
    counts, samples = [], []
    for query in queries:
        found = f"({translate_select(query.sql)}) AS found"
        counts.append(f"SELECT '{query.name}' AS check_name, COUNT(*) AS n FROM {found}")
        first = f"SELECT * FROM {found} LIMIT {SAMPLE_ROWS}"
        cells = session.dialect.json_rows.format(select=first, column="row_cells")
        samples.append(
            f"SELECT '{query.name}' AS check_name, row_cells FROM ({cells}) AS r"
        )
    for name, selects in ((_COUNTS, counts), (_SAMPLES, samples)):
        rows = session.script.rows[name] = []
        for at in range(0, len(selects), CHECKS_PER_QUERY):
            union = " UNION ALL ".join(selects[at : at + CHECKS_PER_QUERY])
            session.script.add_query(f"{name}_{at}", union, rows.append)


def _add_text_check(session: Session) -> None:
    """Add the queries for texts with characters that nobody sees; keep what they find."""
    dialect = session.dialect
    found = session.script.rows[TEXT_CHECK] = []

    def is_unusual(column: str) -> str:
        return f"NOT {match_text(dialect, column, PLAIN_TEXT)}"

    for table in list_checked_tables(session.contract):

        def keep_faults(row: Sequence[Any], table: Table = table) -> None:
            found.extend(map(tuple, find_invisible_faults(table, row)))

        select = select_unusual_texts(table, is_unusual)
        session.script.add_query(f"{TEXT_CHECK}_{table.name}", select, keep_faults)


def _find_inexact_refund(engine: Engine) -> str:
    """Return the SQL of `utils.database.find_inexact_refund` for *engine*."""
    wide = engine.dialect.wide_type
    return translate_select(
        VALID_REFUNDS_SQL.format(
            product=f"CAST(payments.amount_cents AS {wide})"
            f" * CAST(orders.subtotal_cents - orders.discount_cents AS {wide})",
            total=f"CAST(orders.total_cents AS {wide})",
            join="INNER JOIN",
            inexact=f"refunds.amount_times_goods > {2**63 - 1}"
            f" OR refunds.amount_times_goods >= {2**53 + 1} * refunds.total_cents",
        )
    )


def _list_columns(session: Session, queries: Sequence[Query]) -> dict[str, list[str]]:
    """Return the columns of each of *queries*, by its name."""
    found = list_columns(session.contract, [query.sql for query in queries])
    return {query.name: list(names) for query, names in zip(queries, found, strict=True)}


def _read_trends(
    session: Session, trends: Sequence[Query], columns: dict[str, list[str]]
) -> list[tuple[Query, list[Row], None]]:
    """Return each of *trends* with its rows and without a note."""
    rows = session.script.rows
    return [
        (trend, name_cells(trend, columns[trend.name], rows[trend.name]), None)
        for trend in trends
    ]


def _describe_checks(
    session: Session,
    checks: Sequence[Check],
    columns: dict[str, list[str]],
    row_counts: Mapping[str, int],
) -> Iterator[Row]:
    """Yield what each of *checks* found, as the report contains it."""
    counts: dict[str, int] = dict(session.script.rows[_COUNTS])
    samples = _read_samples(session)
    for check in checks:
        if check.query is None:
            findings = _find_by_proofs(session, check)
        else:
            name = check.name
            findings = find_not_applicable(check, row_counts) or Findings(
                columns[name], counts[name], samples.get(name, [])
            )
        # `--rows` lists them from a loaded database, which an engine does not have.
        yield describe_check(check, findings) | {"all_rows": None}


def _read_samples(session: Session) -> dict[str, list[list[Any]]]:
    """Return the first rows that each check found, by its name."""
    samples: dict[str, list[list[Any]]] = {}
    for name, row in session.script.rows[_SAMPLES]:
        # An engine may return JSON within JSON as text or as an object.
        cells = (json.loads(row) if isinstance(row, str) else row).values()
        require_64_bits(session.dialect, name, cells)
        samples.setdefault(name, []).append(sample_row(list(cells)))
    return samples


def _find_by_proofs(session: Session, check: Check) -> Findings:
    """Return what the proofs found for the built-in *check*."""
    rows: list[list[Any]]
    if check.name == INTACT_CHECK:
        found = find_invalid_cells(session.script, session.contract)
        rows = [[proof.describe()] for proof in found]
    elif check.name == SCHEMA_CHECK:
        found = find_broken_rules(session.script, session.contract)
        rows = [[f"table {proof.table}", proof.describe()] for proof in found]
    elif check.name == TEXT_CHECK:
        rows = [list(row) for row in session.script.rows[TEXT_CHECK]]
    else:
        rows = [list(row) for row in find_misread_tables(session.script, session.contents)]
    sample = [sample_row(row) for row in rows[:SAMPLE_ROWS]]
    return Findings(BUILT_IN_COLUMNS[check.name], len(rows), sample)
