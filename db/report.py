"""The report: what is wrong with a loaded database, and what it says about the shop.

Every check is one SQL file in `checks/` that returns the rows that break a rule, every
trend one in `trends/` that returns whole numbers; here they are run, and the ratios are
made.  `report.json` is the whole result; `report.md` is rendered from it alone.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from db.digest import dataset_digest, table_digest
from db.ratios import derive_kpis, derive_trend
from db.report_markdown import render_markdown, render_summary
from utils.contract import PROVENANCE_TABLE, Contract, read_contract
from utils.helpers import (
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    hash_file,
    render_json,
    write_whole,
)

__all__ = ["build_report", "render_markdown", "render_summary", "report_database"]

CHECKS_DIR = PROJECT_ROOT / "db" / "checks"
TRENDS_DIR = PROJECT_ROOT / "db" / "trends"

SCHEMA_VERSION = "1.0"

# Breaking rows shown of each check, and characters shown of a text in them.
SAMPLE_ROWS = 5
SAMPLE_CHARACTERS = 120

REMEDY = "Make it with 'python ingest.py --ingest', or name another with --database."

# How long to wait for another program's lock on the database, in seconds.
LOCK_TIMEOUT = 5.0

# What the words of the report mean, for readers of both files.
DEFINITIONS = {
    "gross_cents": "quantity × unit price of valid orders, before any discount",
    "discount_cents": "given on lines and on whole orders",
    "refund_cents": "given back for goods, in the month it was paid out;"
    " the shares of shipping and tax are left out",
    "revenue_cents": "net: gross − discount − refund",
    "order_count": "valid: paid and not cancelled, whether or not they came back later",
    "placed_count": "orders of any status",
    "aov_cents": "average order value: net revenue ÷ valid orders",
    "user_count": "everybody who signed up",
    "customer_count": "users with a valid order",
    "repeat_customer_count": "customers with two valid orders or more",
    "net_per_customer_cents": "net revenue ÷ customers",
    "repeat_rate": "repeat customers ÷ customers",
    "refund_rate": "refund ÷ (gross − discount)",
    "cancellation_rate": "cancelled orders ÷ orders placed",
    "return_rate": "orders returned, wholly or in part ÷ valid orders",
    "failed_payment_rate": "failed charges ÷ attempts to charge",
    "new_customers": "customers whose first valid order lies in the month",
    "returning_customers": "customers of the month who are not new",
    "is_complete": "1 if the data speak for the whole month, 0 if it still runs",
}

Row = dict[str, Any]
Report = dict[str, Any]


class Query(NamedTuple):
    """A file of `checks/` or `trends/`; *header* holds its `-- Word: text` lines."""

    name: str
    header: dict[str, str]
    sql: str

    @property
    def key(self) -> list[str]:
        """Return the columns that name a row of the result."""
        return self.header["Key"].rstrip(".").split(", ")


class Findings(NamedTuple):
    """What a check found: *row_count* breaking rows, the first few of them as *sample*.

    *row_count* is None when the check could not be made; *note* then says why.
    """

    columns: list[str]
    row_count: int | None
    sample: list[list[Any]]
    note: str | None = None


def report_database(database: Path, out_dir: Path | None = None) -> Report:
    """Write `report.json` and `report.md` about *database*; return the report.

    They go to *out_dir*, or to the project's root and then a copy of the JSON to where the
    page reads it.  Raise `DataError` if *database* is missing, locked, or not one of ours.
    """
    text = render_json(read_report(database))
    report: Report = json.loads(text)
    folder = PROJECT_ROOT if out_dir is None else out_dir
    write_whole(folder / "report.json", text)
    write_whole(folder / "report.md", render_markdown(report))
    if out_dir is None:
        write_whole(PUBLISHED_DIR / "report.json", text)
    return report


def read_report(database: Path) -> Report:
    """Return the report about the file *database*, which is opened read-only."""
    contract = read_contract()
    with open_database(database) as connection:
        require_tables(connection, contract, database)
        file = {"sha256": hash_file(database), "bytes": database.stat().st_size}
        return build_report(connection, contract, file=file)


@contextmanager
def open_database(database: Path) -> Iterator[sqlite3.Connection]:
    """Open *database* read-only, as one unchanging picture for the whole block.

    Raise `DataError` for whatever SQLite says about the file rather than about the SQL, and
    if another file takes its place meanwhile.
    """
    if not database.is_file():
        kind = "is a folder" if database.is_dir() else "no such file"
        raise DataError(f"{database}: {kind}. {REMEDY}")
    before = database.stat()
    try:
        with closing(connect_read_only(database)) as connection:
            connection.execute("BEGIN")
            yield connection
    except sqlite3.DatabaseError as error:
        reason = explain_refusal(error)
        if reason is None:
            raise
        raise DataError(f"{database}: {reason}") from error
    after = database.stat()
    if (before.st_ino, before.st_mtime_ns) != (after.st_ino, after.st_mtime_ns):
        raise DataError(f"{database}: was replaced meanwhile. Run the report again.")


def connect_read_only(database: Path) -> sqlite3.Connection:
    """Return a connection that cannot change *database*, nor make it by a mistyped path."""
    uri = database.resolve().as_uri()
    # SQLite takes no host in the URI of a Windows share, only an empty one before it.
    if not uri.startswith("file:///"):
        uri = uri.replace("file://", "file:////", 1)
    connection = sqlite3.connect(
        f"{uri}?mode=ro", uri=True, isolation_level=None, timeout=LOCK_TIMEOUT
    )
    # A text that is not UTF-8 is a finding, not the end of the report.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def explain_refusal(error: sqlite3.Error) -> str | None:
    """Return what the user can do about *error*, or None if it is a fault of ours."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "is being written by another program. Let it finish, then run again."
    if name.startswith("SQLITE_NOTADB"):
        return f"is not a SQLite database. {REMEDY}"
    if name.startswith("SQLITE_CORRUPT"):
        return f"is damaged: {error}. {REMEDY}"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR")):
        return f"cannot be read: {error}. {REMEDY}"
    return None


def require_tables(
    connection: sqlite3.Connection, contract: Contract, database: Path
) -> None:
    """Raise `DataError` naming the tables and columns of *contract* that are not there."""
    expected = {table.name: table.column_names for table in contract.tables}
    expected[PROVENANCE_TABLE] = ["subject", "property", "value"]
    missing = []
    for table, columns in expected.items():
        found = {
            name
            for (name,) in connection.execute(
                "SELECT name FROM pragma_table_info(?)", (table,)
            )
        }
        absent = [f"{table}.{column}" for column in columns if column not in found]
        missing += absent if found else [table]
    if missing:
        raise DataError(f"{database}: has no {', '.join(missing)}. {REMEDY}")


def build_report(
    connection: sqlite3.Connection, contract: Contract, *, file: Mapping[str, Any]
) -> Report:
    """Return the report about the database of *connection*; *file* tells its digest."""
    provenance = read_provenance(connection)
    as_of = read_as_of(provenance)
    digests = {table.name: table_digest(connection, table) for table in contract.tables}
    checks = run_checks(connection, provenance, digests)
    trends = run_trends(connection, as_of)
    tables = count_rows(connection, contract)
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": as_of,
        "currency": read_currency(provenance),
        "database": dict(file),
        "dataset": {"content_sha256": dataset_digest(digests)},
        "verdict": judge(checks),
        "kpis": derive_kpis(trends, tables),
        "definitions": DEFINITIONS,
        "checks": checks,
        "tables": tables,
        "trends": trends,
        "provenance": provenance,
    }


def read_provenance(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Return all of `submission_meta`, as subject → property → value."""
    provenance: dict[str, dict[str, str]] = {}
    for subject, name, value in connection.execute(
        "SELECT subject, property, value FROM submission_meta ORDER BY subject, property"
    ):
        provenance.setdefault(subject, {})[name] = value
    return provenance


def read_as_of(provenance: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return the last day that the data speak for, or None when there is no data."""
    as_of = provenance.get("dataset", {}).get("as_of")
    if as_of and not is_date(as_of):
        raise DataError(
            f"submission_meta: dataset as_of is {as_of!r}, expected a day as YYYY-MM-DD."
            " Load the data again with 'python ingest.py --ingest'."
        )
    return as_of or None


def read_currency(provenance: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return the ISO 4217 code of the amounts, or None if the manifest tells none."""
    code = provenance.get("generator", {}).get("currency", "")
    return code if re.fullmatch(r"[A-Z]{3}", code) else None


def is_date(text: str) -> bool:
    """Return whether *text* is a day of the calendar, written YYYY-MM-DD.

    >>> is_date("2024-02-29"), is_date("2023-02-29"), is_date("20240229")
    (True, False, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def count_rows(connection: sqlite3.Connection, contract: Contract) -> list[Row]:
    """Return the number of rows of each table, in the contract's order."""
    return [
        {
            "table": table.name,
            "rows": connection.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone()[0],
        }
        for table in contract.tables
    ]


# ---- Checks ------------------------------------------------------------------------------


def read_queries(folder: Path) -> list[Query]:
    """Return the SQL files of *folder*, sorted by name."""
    return [
        Query(path.stem, read_header(sql), sql)
        for path in sorted(folder.glob("*.sql"))
        for sql in [path.read_text(encoding="utf-8")]
    ]


def read_header(sql: str) -> dict[str, str]:
    r"""Return the lines `-- Word: text` of *sql* as word → text.

    >>> read_header("-- Title: Users without an order\n-- Severity: info\nSELECT 1;")
    {'Title': 'Users without an order', 'Severity': 'info'}
    """
    return dict(re.findall(r"^-- ([A-Z][a-z]+): (.+)$", sql, flags=re.MULTILINE))


def run_checks(
    connection: sqlite3.Connection,
    provenance: Mapping[str, Mapping[str, str]],
    digests: Mapping[str, str],
) -> list[Row]:
    """Return what every check found, by name: the SQL files and the two made here."""
    checks = [
        describe_check(
            "database_is_whole",
            "SQLite finds the file's pages, columns and types whole",
            "error",
            ["message"],
            check_database(connection),
        ),
        describe_check(
            "files_content_as_loaded",
            "Every table holds the very cells that were loaded",
            "error",
            ["table_name"],
            check_digests(provenance, digests),
        ),
    ]
    for query in read_queries(CHECKS_DIR):
        title, severity = query.header["Title"], query.header["Severity"]
        findings = find_rows(connection, query)
        checks.append(describe_check(query.name, title, severity, query.key, findings))
    return sorted(checks, key=lambda check: str(check["check"]))


def describe_check(
    name: str, title: str, severity: str, key: Sequence[str], findings: Findings
) -> Row:
    """Return a check as the report holds it; only its *findings* decide the status."""
    statuses = {"error": "fail", "warning": "warn", "info": "info"}
    return {
        "check": name,
        "title": title,
        "severity": severity,
        "status": "pass" if findings.row_count == 0 else statuses[severity],
        "count": findings.row_count,
        "key": list(key),
        "columns": findings.columns,
        "sample": findings.sample,
        "note": findings.note,
    }


def find_rows(connection: sqlite3.Connection, query: Query) -> Findings:
    """Return the rows that *query* finds, counted one by one, so memory stays flat."""
    try:
        cursor = connection.execute(query.sql)
        columns = [column[0] for column in cursor.description]
        first_rows = cursor.fetchmany(SAMPLE_ROWS)
        sample = [[show_cell(cell) for cell in row] for row in first_rows]
        return Findings(columns, len(sample) + sum(1 for _ in cursor), sample)
    except sqlite3.OperationalError as error:
        return Findings(query.key, None, [], note=explain_overflow(error))


def explain_overflow(error: sqlite3.OperationalError) -> str:
    """Return the note for a sum that does not fit; raise any other *error* again."""
    if "integer overflow" not in str(error):
        raise error
    return "the amounts are too large to add up in 64 bits"


def show_cell(cell: object) -> int | str | None:
    """Return *cell* as a sample shows it: whole if it is a number, a text cut to size.

    >>> show_cell(17), show_cell("x" * 500)[-3:], show_cell(1e400)
    (17, 'xx…', 'inf')
    """
    if cell is None or isinstance(cell, int):
        return cell
    text = str(cell)
    return text if len(text) <= SAMPLE_CHARACTERS else text[: SAMPLE_CHARACTERS - 1] + "…"


def check_database(connection: sqlite3.Connection) -> Findings:
    """Return what SQLite itself finds wrong with pages, columns and types, up to 100.

    CHECKs are left out: SQLite does not load them from a file opened read-only, and would
    say that all is well.  Each of them has a file in `checks/`.
    """
    connection.execute("PRAGMA ignore_check_constraints = ON")
    messages = [
        [show_cell(message)]
        for (message,) in connection.execute("PRAGMA quick_check")
        if message != "ok"
    ]
    return Findings(["message"], len(messages), messages[:SAMPLE_ROWS])


def check_digests(
    provenance: Mapping[str, Mapping[str, str]], digests: Mapping[str, str]
) -> Findings:
    """Return the tables whose digest is not the one recorded when they were loaded."""
    recorded = {table: provenance.get(table, {}).get("content_sha256") for table in digests}
    differing: list[list[Any]] = [
        [table, recorded[table], digest]
        for table, digest in digests.items()
        if recorded[table] != digest
    ]
    columns = ["table_name", "recorded_sha256", "found_sha256"]
    return Findings(columns, len(differing), differing[:SAMPLE_ROWS])


def judge(checks: Sequence[Row]) -> Row:
    """Return the verdict on *checks*: it passes unless a warning or an error found rows."""
    errors = sum(check["status"] == "fail" for check in checks)
    warnings = sum(check["status"] == "warn" for check in checks)
    nouns = {"check": len(checks), "error": errors, "warning": warnings}
    counts = ", ".join(
        f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in nouns.items()
    )
    return {
        "status": "fail" if errors else "warn" if warnings else "pass",
        "errors": errors,
        "warnings": warnings,
        "checks": len(checks),
        "text": f"{'Not sound' if errors else 'Sound'}. {counts}.",
    }


# ---- Trends ------------------------------------------------------------------------------


def run_trends(connection: sqlite3.Connection, as_of: str | None) -> dict[str, Row]:
    """Return every trend with its ratios, by the name of its file."""
    trends = {}
    for query in read_queries(TRENDS_DIR):
        rows, note = select_rows(connection, query)
        trends[query.name] = {
            "title": query.header["Title"],
            "note": note,
            "rows": derive_trend(query.name, rows, as_of),
        }
    return trends


def select_rows(
    connection: sqlite3.Connection, query: Query
) -> tuple[list[Row], str | None]:
    """Return the rows of *query* and a note, which says why if there are none."""
    try:
        cursor = connection.execute(query.sql)
        columns = [column[0] for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor]
    except sqlite3.OperationalError as error:
        return [], explain_overflow(error)
    # Where a product does not fit, SQLite turns to floating point without a word.
    if any(isinstance(cell, float) for row in rows for cell in row.values()):
        return [], "the amounts are too large to multiply in 64 bits"
    return rows, None
