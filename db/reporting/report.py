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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from db.reporting.figures import derive_kpis, derive_trend
from db.reporting.markdown import describe_verdict, render_markdown, render_summary
from utils.atomic_files import write_atomically
from utils.contract import PROVENANCE_TABLE, Contract, read_contract
from utils.database import (
    Provenance,
    describe_file,
    find_as_of,
    find_currency,
    find_inexact_refund,
    find_schema_differences,
    open_database,
    read_provenance,
)
from utils.digest import dataset_digest, provenance_digest, table_digest
from utils.helpers import (
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    render_json,
)

__all__ = ["build_report", "render_markdown", "render_summary", "report_database"]

CHECKS_DIR = PROJECT_ROOT / "db" / "checks"
TRENDS_DIR = PROJECT_ROOT / "db" / "trends"

SCHEMA_VERSION = "2.0"

# The three checks that are made here.
WHOLE_CHECK = "database_is_whole"
RULES_CHECK = "database_keeps_its_rules"
CONTENT_CHECK = "files_content_as_loaded"

# Of SQLite's own messages all are wanted; a number has to be told.
MOST_MESSAGES = 2**31 - 1

# Breaking rows shown of each check, and characters shown of a text in them.
SAMPLE_ROWS = 5
SAMPLE_CHARACTERS = 120

# What the words of the report mean, for readers of both files.
DEFINITIONS = {
    "gross_cents": "quantity × unit price of valid orders, before any discount",
    "discount_cents": "given on lines and on whole orders",
    "refund_cents": "given back for goods, in the month it was paid out;"
    " the shares of shipping and tax are left out",
    "net_cents": "net revenue: gross − discount − refund",
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

    def read_word(self, word: str) -> str:
        """Return the text of `-- word: text`; raise `DataError` if it is not there."""
        if word not in self.header:
            raise DataError(
                f"{self.file}: has no '-- {word}: …' line, expected one. Mend its head."
            )
        return self.header[word]

    @property
    def key(self) -> list[str]:
        """Return the columns that name a row of the result."""
        return self.read_word("Key").rstrip(".").split(", ")


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

    *row_count* is None when the check could not be made; *note* then says why.  It is no
    fault if there was nothing to judge by, which *is_judged* tells.
    """

    columns: list[str]
    row_count: int | None
    sample: list[list[Any]]
    note: str | None = None
    is_judged: bool = True


class Loaded(NamedTuple):
    """What the checks made here look at: the database, and what was recorded of it."""

    connection: sqlite3.Connection
    contract: Contract
    provenance: Provenance
    digests: Mapping[str, str]

    @property
    def has_other_schema(self) -> bool:
        """Return whether it was loaded under another schema than *contract*."""
        recorded = self.provenance.get("schema.sql", {}).get("sha256")
        return recorded not in (None, self.contract.sha256)


def report_database(database: Path, out_dir: Path | None = None) -> Report:
    """Write `report.json` and `report.md` about *database*; return the report.

    They go to *out_dir*, or to the project's root and a copy of the JSON to where the page
    reads it: all of them or none.  Raise `DataError` if *database* is missing, locked, or
    not one of ours.
    """
    return publish_report(read_report(database), out_dir)


def publish_report(found: Report, out_dir: Path | None) -> Report:
    """Write the report *found* and what is rendered from it, all or nothing; return it."""
    text = render_json(found)
    report: Report = json.loads(text)
    folder = PROJECT_ROOT if out_dir is None else out_dir
    texts = {folder / "report.json": text, folder / "report.md": render_markdown(report)}
    if out_dir is None:
        texts[PUBLISHED_DIR / "report.json"] = text
    write_atomically(texts)
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
    return assemble_report(
        provenance,
        source=file,
        checks=run_checks(Loaded(connection, contract, provenance, digests)),
        trends=run_trends(connection, as_of),
        tables=count_rows(connection, contract),
        content_sha256=dataset_digest(digests),
    )


def assemble_report(
    provenance: Provenance,
    *,
    source: Mapping[str, Any],
    checks: list[Row],
    trends: dict[str, Row],
    tables: list[Row],
    content_sha256: str | None = None,
) -> Report:
    """Return the report of what was found; *source* names the database or the engine.

    *content_sha256* is that of the rows as they were found, if they were digested.
    """
    if content_sha256 is None:
        content_sha256 = provenance["dataset"]["content_sha256"]
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": find_as_of(provenance),
        "currency": find_currency(provenance),
        "database": dict(source),
        "dataset": {"content_sha256": content_sha256},
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
            sha256=hashlib.sha256(data).hexdigest(),
        )
        for path in sorted(folder.glob("*.sql"))
        for data in [path.read_bytes()]
        for sql in [decode_sql(path, data)]
    ]


def decode_sql(path: Path, data: bytes) -> str:
    """Return the *data* of the file *path* as text whose lines end as SQL's do."""
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text. Save it as UTF-8.") from error


def read_header(sql: str) -> dict[str, str]:
    r"""Return the lines `-- Word: text` of *sql* as word → text.

    >>> read_header("-- Title: Users without an order\n-- Severity: info\nSELECT 1;")
    {'Title': 'Users without an order', 'Severity': 'info'}
    """
    return dict(re.findall(r"^-- ([A-Z][a-z]+): (.+)$", sql, flags=re.MULTILINE))


def list_checks() -> list[Check]:
    """Return every check by name: the SQL files, and the three made here."""
    made_here = [
        Check(
            WHOLE_CHECK,
            "Every cell has its type, and pages and indexes are whole",
            "error",
            THRESHOLDS["error"],
            ["message"],
        ),
        Check(
            RULES_CHECK,
            "Tables, indexes and rules are those of db/schema.sql",
            "error",
            THRESHOLDS["error"],
            ["object"],
        ),
        Check(
            CONTENT_CHECK,
            "Every table holds the very cells that were loaded",
            "error",
            THRESHOLDS["error"],
            ["table_name"],
        ),
    ]
    from_files = [
        Check(
            query.name,
            query.read_word("Title"),
            read_severity(query),
            read_thresholds(query),
            query.key,
            query,
        )
        for query in read_queries(CHECKS_DIR)
    ]
    return sorted([*made_here, *from_files], key=lambda check: check.name)


def read_severity(query: Query) -> str:
    """Return the severity that *query* states, which must be a known word."""
    severity = query.read_word("Severity")
    if severity not in THRESHOLDS:
        raise DataError(
            f"{query.file}: '-- Severity: {severity}', expected {', '.join(THRESHOLDS)}."
            " Mend the file's head."
        )
    return severity


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
        return THRESHOLDS[read_severity(query)]
    return Thresholds(own.get("Warns"), own.get("Fails"))


def run_checks(loaded: Loaded) -> list[Row]:
    """Return what every check found, by name."""
    return [describe_check(check, run_check(check, loaded)) for check in list_checks()]


def run_check(check: Check, loaded: Loaded) -> Findings:
    """Return the rows that *check* finds, counted one by one, so memory stays flat."""
    if check.name == RULES_CHECK and loaded.has_other_schema:
        note = "loaded under another schema than db/schema.sql"
        return Findings(check.key, None, [], note=note, is_judged=False)
    try:
        columns, rows = open_rows(check, loaded)
        sample = [[show_cell(cell) for cell in row] for row in islice(rows, SAMPLE_ROWS)]
        return Findings(columns, len(sample) + sum(1 for _ in rows), sample)
    except sqlite3.OperationalError as error:
        return Findings(check.key, None, [], note=explain_overflow(error))


def open_rows(check: Check, loaded: Loaded) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Return the columns of *check*, and all the rows that it finds."""
    if check.query is not None:
        return execute_query(loaded.connection, check.query)
    if check.name == WHOLE_CHECK:
        return ["message"], find_damage(loaded.connection)
    if check.name == RULES_CHECK:
        changed = find_schema_differences(loaded.connection, loaded.contract)
        return ["object", "fault"], iter(changed)
    return ["table_name", "recorded_sha256", "found_sha256"], find_other_digests(loaded)


def describe_check(check: Check, findings: Findings) -> Row:
    """Return a check as the report holds it; only its *findings* decide the status."""
    status = "info"
    if findings.is_judged:
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
    check = checks[name]
    with open_database(database, allow_damage=True) as connection:
        contract = read_contract()
        digests = {}
        if check.query is None:
            digests = {
                table.name: table_digest(connection, table) for table in contract.tables
            }
        loaded = Loaded(connection, contract, read_provenance(connection), digests)
        try:
            columns, rows = open_rows(check, loaded)
            yield columns
            yield from rows
        except sqlite3.OperationalError as error:
            file = check.query.file if check.query else check.name
            raise DataError(f"{file}: {explain_overflow(error)}.") from error


def execute_query(
    connection: sqlite3.Connection, query: Query
) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Return the columns and the rows of *query*; raise `DataError` if it is no query."""
    try:
        cursor = connection.execute(query.sql)
        if cursor.description is None:
            raise DataError(f"{query.file}: returns no rows, expected one SELECT. Mend it.")
    except (sqlite3.ProgrammingError, sqlite3.Warning) as error:  # two statements, or NUL
        raise DataError(f"{query.file}: {error} Mend it: one SELECT.") from error
    except sqlite3.OperationalError as error:
        # Not what the rows or the file do to it, which has other codes or says so.
        is_its_own = error.sqlite_errorname in ("SQLITE_ERROR", "SQLITE_READONLY")
        if is_its_own and not is_overflow(error):
            raise DataError(f"{query.file}: {error}. Mend its SQL.") from error
        raise
    return [column[0] for column in cursor.description], cursor


def is_overflow(error: sqlite3.OperationalError) -> bool:
    """Return whether *error* tells of a sum that does not fit."""
    return "integer overflow" in str(error)


def explain_overflow(error: sqlite3.OperationalError) -> str:
    """Return the note for a sum that does not fit; raise any other *error* again."""
    if not is_overflow(error):
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


def find_damage(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """Yield what SQLite itself finds wrong with pages, columns, types and indexes.

    CHECKs are left out: SQLite does not load them from a file opened read-only, and would
    say that all is well.  Each of them has a file in `checks/`.
    """
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for (message,) in connection.execute(f"PRAGMA integrity_check({MOST_MESSAGES})"):
        if message != "ok":
            yield [message]


def find_other_digests(loaded: Loaded) -> Iterator[list[str | None]]:
    """Yield the tables whose digest is not the one recorded when they were loaded."""
    found = {**loaded.digests, PROVENANCE_TABLE: provenance_digest(loaded.connection)}
    for table, digest in found.items():
        recorded = loaded.provenance.get(table, {}).get("content_sha256")
        if recorded != digest:
            yield [table, recorded, digest]


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
    return describe_trends(
        [(query, *select_rows(connection, query)) for query in read_queries(TRENDS_DIR)],
        find_inexact_refund(connection),
        as_of,
    )


def describe_trends(
    answers: Iterable[tuple[Query, list[Row], str | None]],
    inexact_refund: int | None,
    as_of: str | None,
) -> dict[str, Row]:
    """Return the *answers*, each with its rows and a note, as the report holds them.

    No refund is told where the one of the payment *inexact_refund* is not exact.
    """
    trends = {}
    for query, found, note in answers:
        rows = found
        if inexact_refund is not None and rows and "refund_cents" in rows[0]:
            rows, note = [], f"the refund of payment_id {inexact_refund} is too large"  # noqa: PLW2901
        trends[query.name] = {
            "title": query.read_word("Title"),
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
        columns, found = execute_query(connection, query)
        rows = [dict(zip(columns, row, strict=True)) for row in found]
    except sqlite3.OperationalError as error:
        return [], explain_overflow(error)
    # Where a product does not fit, SQLite turns to floating point without a word.
    if any(isinstance(cell, float) for row in rows for cell in row.values()):
        return [], "the amounts are too large to multiply in 64 bits"
    return rows, None
