"""The report: what is wrong with a loaded database, and what it says about the shop.

Every check is one SQL file in `checks/` that returns the rows that break a rule, every
trend one in `trends/` that returns whole numbers; here they are run.  The ratios are made
in `ratios.py`.  `report.json` is the whole result; `report.md` is rendered from it alone.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from db.digest import dataset_digest, provenance_digest, table_digest
from db.ratios import derive_kpis, derive_trend
from db.report_markdown import describe_verdict, render_markdown, render_summary
from utils.contract import PROVENANCE_TABLE, Contract, read_contract
from utils.database import (
    describe_file,
    find_as_of,
    find_currency,
    find_inexact_refund,
    open_database,
    read_provenance,
)
from utils.helpers import (
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    render_json,
    write_all_whole,
)

__all__ = ["build_report", "render_markdown", "render_summary", "report_database"]

CHECKS_DIR = PROJECT_ROOT / "db" / "checks"
TRENDS_DIR = PROJECT_ROOT / "db" / "trends"

SCHEMA_VERSION = "1.0"

# The two checks that are made here.
WHOLE_CHECK = "database_is_whole"
CONTENT_CHECK = "files_content_as_loaded"

# Breaking rows shown of each check, and characters shown of a text in them.
SAMPLE_ROWS = 5
SAMPLE_CHARACTERS = 120

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
    file: str
    sha256: str

    @property
    def key(self) -> list[str]:
        """Return the columns that name a row of the result."""
        return self.header["Key"].rstrip(".").split(", ")


class Thresholds(NamedTuple):
    """How many breaking rows are tolerated before a check warns or fails; None: any."""

    warn_above: int | None
    fail_above: int | None

    def judge(self, count: int | None) -> str:
        """Return the status of a check that found *count* rows, or could not be made.

        >>> Thresholds(warn_above=0, fail_above=10).judge(10)
        'warn'
        """
        for status, limit in (("fail", self.fail_above), ("warn", self.warn_above)):
            if limit is not None and (count is None or count > limit):
                return status
        return "pass" if self != INFO_ONLY or count == 0 else "info"


INFO_ONLY = Thresholds(None, None)

# What a check of each severity tolerates, unless its header says otherwise.
THRESHOLDS = {
    "error": Thresholds(warn_above=None, fail_above=0),
    "warning": Thresholds(warn_above=0, fail_above=None),
    "info": INFO_ONLY,
}


class Check(NamedTuple):
    """A question to the data; *query* is None if the answer is made here."""

    name: str
    title: str
    severity: str
    thresholds: Thresholds
    key: list[str]
    query: Query | None = None


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

    They go to *out_dir*, or to the project's root and a copy of the JSON to where the page
    reads it: all of them or none.  Raise `DataError` if *database* is missing, locked, or
    not one of ours.
    """
    text = render_json(read_report(database))
    report: Report = json.loads(text)
    folder = PROJECT_ROOT if out_dir is None else out_dir
    texts = {folder / "report.json": text, folder / "report.md": render_markdown(report)}
    if out_dir is None:
        texts[PUBLISHED_DIR / "report.json"] = text
    write_all_whole(texts)
    return report


def read_report(database: Path) -> Report:
    """Return the report about the file *database*, which is opened read-only."""
    with open_database(database) as connection:
        return build_report(connection, read_contract(), file=describe_file(database))


def build_report(
    connection: sqlite3.Connection, contract: Contract, *, file: Mapping[str, Any]
) -> Report:
    """Return the report about the database of *connection*; *file* tells its digest."""
    provenance = read_provenance(connection)
    as_of = find_as_of(provenance)
    digests = {table.name: table_digest(connection, table) for table in contract.tables}
    checks = run_checks(connection, provenance, digests)
    trends = run_trends(connection, as_of)
    tables = count_rows(connection, contract)
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": as_of,
        "currency": find_currency(provenance),
        "database": dict(file),
        "dataset": {"content_sha256": dataset_digest(digests)},
        "queries": {"sha256": digest_queries()},
        "verdict": judge(checks),
        "kpis": derive_kpis(trends, tables),
        "definitions": DEFINITIONS,
        "checks": checks,
        "tables": tables,
        "trends": trends,
        "provenance": provenance,
    }


def digest_queries() -> str:
    """Return the SHA-256 over the digests of all checks and trends, by file."""
    digest = hashlib.sha256()
    for query in [*read_queries(CHECKS_DIR), *read_queries(TRENDS_DIR)]:
        digest.update(f"{query.file} {query.sha256}\n".encode())
    return digest.hexdigest()


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
        Query(
            name=path.stem,
            header=read_header(sql),
            sql=sql,
            file=f"db/{folder.name}/{path.name}",
            sha256=hashlib.sha256(sql.encode("utf-8")).hexdigest(),
        )
        for path in sorted(folder.glob("*.sql"))
        for sql in [path.read_text(encoding="utf-8")]
    ]


def read_header(sql: str) -> dict[str, str]:
    r"""Return the lines `-- Word: text` of *sql* as word → text.

    >>> read_header("-- Title: Users without an order\n-- Severity: info\nSELECT 1;")
    {'Title': 'Users without an order', 'Severity': 'info'}
    """
    return dict(re.findall(r"^-- ([A-Z][a-z]+): (.+)$", sql, flags=re.MULTILINE))


def list_checks() -> list[Check]:
    """Return every check by name: the SQL files, and the two made here."""
    made_here = [
        Check(WHOLE_CHECK, "SQLite finds the file's pages, columns and types whole",
              "error", THRESHOLDS["error"], ["message"]),
        Check(CONTENT_CHECK, "Every table holds the very cells that were loaded",
              "error", THRESHOLDS["error"], ["table_name"]),
    ]  # fmt: skip
    from_files = [
        Check(
            query.name,
            query.header["Title"],
            query.header["Severity"],
            read_thresholds(query),
            query.key,
            query,
        )
        for query in read_queries(CHECKS_DIR)
    ]
    return sorted([*made_here, *from_files], key=lambda check: check.name)


def read_thresholds(query: Query) -> Thresholds:
    """Return what *query* tolerates: its severity's rule, or its own lines instead.

    Those are `-- Warns: above 10 rows` and `-- Fails: above 100 rows`.
    """
    own = {}
    for word in ("Warns", "Fails"):
        text = query.header.get(word)
        if text is None:
            continue
        found = re.fullmatch(r"above (\d+) rows\.?", text, re.ASCII)
        if found is None:
            raise DataError(
                f"{query.file}: '-- {word}: {text}', expected '-- {word}: above N rows'."
                " Mend the file's head."
            )
        own[word] = int(found[1])
    if not own:
        return THRESHOLDS[query.header["Severity"]]
    return Thresholds(own.get("Warns"), own.get("Fails"))


def run_checks(
    connection: sqlite3.Connection,
    provenance: Mapping[str, Mapping[str, str]],
    digests: Mapping[str, str],
) -> list[Row]:
    """Return what every check found, by name."""
    checks = []
    for check in list_checks():
        if check.query is not None:
            findings = find_rows(connection, check.query)
        elif check.name == WHOLE_CHECK:
            findings = check_database(connection)
        else:
            findings = check_digests(connection, provenance, digests)
        checks.append(describe_check(check, findings))
    return checks


def describe_check(check: Check, findings: Findings) -> Row:
    """Return a check as the report holds it; only its *findings* decide the status."""
    status = check.thresholds.judge(findings.row_count)
    sql = check.query and {"file": check.query.file, "sha256": check.query.sha256}
    return {
        "check": check.name,
        "title": check.title,
        "severity": check.severity,
        "thresholds": check.thresholds._asdict(),
        "status": status,
        "count": findings.row_count,
        "key": check.key,
        "columns": findings.columns,
        "sample": findings.sample,
        "note": findings.note,
        "sql": sql,
        "all_rows": None if status == "pass" else f"python ingest.py --rows {check.name}",
    }


def list_rows(database: Path, name: str) -> Iterator[Sequence[Any]]:
    """Yield the columns, then every breaking row, of the check *name* on *database*.

    Raise `DataError` if there is no such check, or the database cannot be read.
    """
    checks = {check.name: check for check in list_checks()}
    if name not in checks:
        nearest = difflib.get_close_matches(name, checks, n=1, cutoff=0)
        raise DataError(
            f"there is no check {name!r}; did you mean {nearest[0]}? report.md lists all"
            f" {len(checks)}."
        )
    query = checks[name].query
    with open_database(database) as connection:
        if query is None:
            contract = read_contract()
            digests = {
                table.name: table_digest(connection, table) for table in contract.tables
            }
            findings = (
                check_database(connection)
                if name == WHOLE_CHECK
                else check_digests(connection, read_provenance(connection), digests)
            )
            yield findings.columns
            yield from findings.sample
            return
        try:
            cursor = connection.execute(query.sql)
            yield [column[0] for column in cursor.description]
            yield from cursor
        except sqlite3.OperationalError as error:
            raise DataError(f"{query.file}: {explain_overflow(error)}.") from error


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
    connection: sqlite3.Connection,
    provenance: Mapping[str, Mapping[str, str]],
    digests: Mapping[str, str],
) -> Findings:
    """Return the tables whose digest is not the one recorded when they were loaded."""
    found = {**digests, PROVENANCE_TABLE: provenance_digest(connection)}
    recorded = {table: provenance.get(table, {}).get("content_sha256") for table in found}
    differing: list[list[Any]] = [
        [table, recorded[table], digest]
        for table, digest in found.items()
        if recorded[table] != digest
    ]
    columns = ["table_name", "recorded_sha256", "found_sha256"]
    return Findings(columns, len(differing), differing[:SAMPLE_ROWS])


def judge(checks: Sequence[Row]) -> Row:
    """Return the verdict on *checks*: it passes unless a warning or an error found rows."""
    errors = sum(check["status"] == "fail" for check in checks)
    warnings = sum(check["status"] == "warn" for check in checks)
    verdict = {
        "status": "fail" if errors else "warn" if warnings else "pass",
        "errors": errors,
        "warnings": warnings,
        "checks": len(checks),
    }
    word, counts = describe_verdict(verdict)
    return {**verdict, "text": f"{word}. {counts}."}


# ---- Trends ------------------------------------------------------------------------------


def run_trends(connection: sqlite3.Connection, as_of: str | None) -> dict[str, Row]:
    """Return every trend with its ratios, by the name of its file."""
    trends = {}
    inexact_refund = find_inexact_refund(connection)
    for query in read_queries(TRENDS_DIR):
        rows, note = select_rows(connection, query)
        if inexact_refund is not None and rows and "refund_cents" in rows[0]:
            rows, note = [], f"the refund of payment_id {inexact_refund} is too large"
        trends[query.name] = {
            "title": query.header["Title"],
            "sql": {"file": query.file, "sha256": query.sha256},
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
