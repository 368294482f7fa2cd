"""The report on a loaded database: run all checks and trends, write the results.

A check is a SQL file in `checks/` that returns the rows that break a rule, a trend one in
`trends/` that returns integers; `figures` derives the ratios.  `report.json` contains the
complete result; `report.md` is rendered from it alone.
"""

from __future__ import annotations

import difflib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from db.reporting.checks import (
    BUILT_IN_COLUMNS,
    CONTENT_CHECK,
    INTACT_CHECK,
    SAMPLE_ROWS,
    SCHEMA_CHECK,
    TEXT_CHECK,
    TRENDS_DIR,
    Check,
    Findings,
    Query,
    describe_check,
    digest_queries,
    find_not_applicable,
    list_checks,
    read_queries,
    sample_row,
)
from db.reporting.figures import (
    KPI_TRENDS,
    NEEDED_COLUMNS,
    are_dated_by_day,
    derive_kpis,
    derive_trend,
)
from db.reporting.invisible_text import (
    find_invisible_faults,
    is_unusual_in_sqlite,
    list_checked_tables,
    list_text_columns,
    select_unusual_texts,
)
from db.reporting.markdown import describe_verdict, render_markdown
from db.reporting.shared_ctes import group_queries, store_shared_ctes
from db.reporting.shared_scans import count_together, group_by_source
from utils.atomic_files import write_atomically
from utils.contract import PROVENANCE_TABLE, Contract, Table, read_contract
from utils.database import (
    Provenance,
    describe_file,
    find_as_of,
    find_currency,
    find_inexact_refund,
    find_loaded_contract,
    find_schema_differences,
    is_overflow,
    limit_workers,
    open_database,
    read_provenance,
    require_types,
    run_reads,
)
from utils.digest import (
    TableDigest,
    dataset_digest,
    digest_cells,
    provenance_digest,
    table_digest,
)
from utils.formats import count_minor_digits, shorten_value
from utils.helpers import (
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    render_json,
)

SCHEMA_VERSION = "2.1"

# `PRAGMA integrity_check` stops after 100 messages unless it is given another number.
MOST_MESSAGES = 2**31 - 1

# The bytes of the database for which a process is started; starting one costs as much time
# as reading a small part of them.
BYTES_PER_WORKER = 4 << 20

# The names of reads; the others are named for their check, trend or table.
TYPES, COUNTS, SOURCE, INEXACT_REFUND = "types", "row counts", "file", "inexact refund"

# The reads that take longest, the longest first.
LONG_READS = (
    "db/trends/revenue_by_month.sql",  # with those that share its CTEs
    "digest of users",
    "digest of order_items",
    "digest of payments",
    "payments_match_order_status",
    "digest of orders",
    "format_timestamp",
    "volume_shifted_hours",
    "cohort_first_is_too_large",
    "volume_unusual_day",
    "db/trends/top_products.sql",
)

# What the figures of the report mean, for readers of both files.
DEFINITIONS = {
    "gross_cents": "quantity × unit price of valid orders, before any discount",
    "discount_cents": "discounts on lines and on orders",
    "refund_cents": "paid back for goods, in the month of the payment;"
    " without the shares of shipping and tax",
    "net_cents": "gross − discount − refund",
    "order_count": "paid and not cancelled, including those returned later",
    "placed_count": "orders of any status",
    "aov_cents": "net revenue ÷ valid orders",
    "user_count": "all users who signed up",
    "customer_count": "users with a valid order",
    "repeat_customer_count": "customers with two valid orders or more",
    "net_per_customer_cents": "net revenue ÷ customers",
    "repeat_rate": "repeat customers ÷ customers",
    "refund_rate": "refund ÷ (gross − discount)",
    "cancellation_rate": "cancelled orders ÷ orders placed",
    "return_rate": "orders returned completely or in part ÷ valid orders",
    "failed_payment_rate": "failed charges ÷ all charges",
    "new_customers": "customers whose first valid order is in the month",
    "returning_customers": "customers of the month who are not new",
    "is_complete": "1 if the data cover the complete month, else 0",
}

Row = dict[str, Any]
Report = dict[str, Any]


class LoadedDatabase(NamedTuple):
    """An open database, with the row counts and digests of its tables as they are now.

    *contract* is the one under which the rows were loaded.
    """

    connection: sqlite3.Connection
    contract: Contract
    provenance: Provenance
    row_counts: Mapping[str, int]
    digests: Mapping[str, str]

    @property
    def has_different_schema(self) -> bool:
        """Return whether the data were loaded under another schema than ours."""
        return self.contract.sha256 != read_contract().sha256


def report_database(
    database: Path, out_dir: Path | None = None, *, worker_count: int = 1
) -> Report:
    """Write `report.json` and `report.md` about *database* atomically; return the report.

    They are written to *out_dir*, or to the project's root with a copy of the JSON where
    the page reads it.  At most *worker_count* processes read the database.  Raise
    `DataError` if *database* is missing, locked, or was not made by a load.
    """
    return publish_report(read_report(database, worker_count=worker_count), out_dir)


def publish_report(document: Report, out_dir: Path | None) -> Report:
    """Write *document* as JSON and Markdown, atomically; return it as the JSON has it."""
    text = render_json(document)
    report: Report = json.loads(text)
    folder = PROJECT_ROOT if out_dir is None else out_dir
    texts = {folder / "report.json": text, folder / "report.md": render_markdown(report)}
    if out_dir is None:
        texts[PUBLISHED_DIR / "report.json"] = text
    write_atomically(texts)
    return report


def read_report(
    database: Path,
    *,
    worker_count: int = 1,
    digests: Mapping[Table, TableDigest] | None = None,
) -> Report:
    """Return the report on the file *database*, which is opened read-only.

    At most *worker_count* processes read it; their number changes nothing in the report.
    A table whose digest is in *digests* is not digested again.
    """
    with open_database(database, defers_check=True) as connection:
        provenance = read_provenance(connection)
        contract = find_loaded_contract(connection, read_contract(), provenance)
        reads = list_reads(database, contract, provenance, digests)
        process_count = limit_workers(database, worker_count, BYTES_PER_WORKER)
        with closing(
            run_reads(connection, database, list(reads.values()), process_count)
        ) as results:
            answers = name_answers(reads, results)
        loaded = LoadedDatabase(
            connection,
            contract,
            provenance,
            row_counts=answers[COUNTS],
            digests={table.name: answers[name_digest(table)] for table in contract.tables},
        )
        return build_report(loaded, answers)


def build_report(loaded: LoadedDatabase, answers: Mapping[str, Any]) -> Report:
    """Return the report on *loaded*, from what all reads of `list_reads` returned."""
    trends = [(query, *answers[query.file]) for query in read_queries(TRENDS_DIR)]
    return assemble_report(
        loaded.provenance,
        source=answers[SOURCE],
        checks=[
            describe_check(check, judge_findings(check, loaded, answers))
            for check in list_checks()
        ],
        trends=describe_trends(
            trends, answers[INEXACT_REFUND], find_as_of(loaded.provenance)
        ),
        tables=describe_tables(loaded.row_counts),
        content_sha256=dataset_digest(loaded.digests),
    )


def read_loaded(
    connection: sqlite3.Connection, *, has_digests: bool = True
) -> LoadedDatabase:
    """Return the database of *connection*, with the digests of its tables if requested."""
    provenance = read_provenance(connection)
    contract = find_loaded_contract(connection, read_contract(), provenance)
    tables = contract.tables if has_digests else ()
    digests = {table.name: table_digest(connection, table) for table in tables}
    counts = count_rows(connection, contract)
    return LoadedDatabase(connection, contract, provenance, counts, digests)


def assemble_report(
    provenance: Provenance,
    *,
    source: Mapping[str, Any],
    checks: list[Row],
    trends: dict[str, Row],
    tables: list[Row],
    content_sha256: str | None = None,
) -> Report:
    """Return the report; *source* describes the database or the engine.

    *content_sha256* is the digest of the rows as they are now, if they were digested.
    """
    if content_sha256 is None:
        content_sha256 = provenance["dataset"]["content_sha256"]
    queries = [each["sql"] for each in (*checks, *trends.values()) if each["sql"]]
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": find_as_of(provenance),
        "currency": find_currency(provenance),
        "currency_digits": count_minor_digits(find_currency(provenance)),
        "database": dict(source),
        "dataset": {"content_sha256": content_sha256},
        "queries": {"sha256": digest_queries(queries)},
        "verdict": derive_verdict(checks),
        "kpis": derive_kpis(trends, tables),
        "definitions": DEFINITIONS,
        "checks": checks,
        "tables": tables,
        "trends": trends,
        "provenance": provenance,
    }


def count_rows(connection: sqlite3.Connection, contract: Contract) -> dict[str, int]:
    """Return the number of rows of each table, in the contract's order."""
    return {
        table.name: connection.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone()[0]
        for table in contract.tables
    }


def describe_tables(row_counts: Mapping[str, int]) -> list[Row]:
    """Return the tables with their numbers of rows, as the report contains them."""
    return [{"table": name, "rows": count} for name, count in row_counts.items()]


# ---- What the processes read -------------------------------------------------------------


def list_reads(
    database: Path,
    contract: Contract,
    provenance: Provenance,
    digests: Mapping[Table, TableDigest] | None = None,
) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """Return all that the report reads: a function and its arguments, by names.

    It returns an answer for each of the names; *digests* are those that are known.  The
    types are checked first, because nothing else has a meaning without them.  What takes
    long comes next, so that no process works alone at the end.
    """
    checks = {check.name: check for check in list_checks()}
    single: dict[str, tuple[Any, ...]] = {
        SCHEMA_CHECK: (examine, checks[SCHEMA_CHECK], contract, provenance),
        COUNTS: (count_rows, contract),
        INEXACT_REFUND: (find_inexact_refund,),
        SOURCE: (hash_database, database),
    }
    reads: dict[tuple[str, ...], tuple[Any, ...]] = {
        (name,): (answer_alone, *read) for name, read in single.items()
    }
    for table in contract.tables:
        known = digests.get(table) if digests else None
        reads[name_digest(table), name_texts(table)] = (examine_texts, table, known)
    by_file = {check.query.file: check for check in checks.values() if check.query}
    queries = [check.query for check in by_file.values() if check.query]
    for group in group_by_source(queries):
        names = tuple(query.name for query in group)
        reads[names] = (examine_together, group, by_file, contract, provenance)
        queries = [query for query in queries if query not in group]
    for group in group_queries([*queries, *read_queries(TRENDS_DIR)]):
        names = tuple(
            query.name if query.file in by_file else query.file for query in group
        )
        reads[names] = (answer_together, group, by_file, contract, provenance)
    intact = checks[INTACT_CHECK]
    return {
        (TYPES, INTACT_CHECK): (examine_cells, database, intact, contract, provenance),
        **{names: reads[names] for names in sorted(reads, key=rank_read)},
    }


def rank_read(names: Sequence[str]) -> int:
    """Return the place of the read of *names* among all reads, the longest first."""
    return min(
        LONG_READS.index(name) if name in LONG_READS else len(LONG_READS) for name in names
    )


def name_answers(
    reads: Iterable[tuple[str, ...]], results: Iterable[Sequence[Any]]
) -> dict[str, Any]:
    """Return the answers of *reads* by name, from the *results* of the reads."""
    answers: dict[str, Any] = {}
    for names, result in zip(reads, results, strict=True):
        answers |= zip(names, result, strict=True)
    return answers


def name_digest(table: Table) -> str:
    """Return the name of the read that digests *table*."""
    return f"digest of {table.name}"


def name_texts(table: Table) -> str:
    """Return the name of what nobody sees in the texts of *table*."""
    return f"texts of {table.name}"


def hash_database(_connection: sqlite3.Connection, database: Path) -> dict[str, Any]:
    """Return SHA-256 and size of the file *database*."""
    return describe_file(database)


def examine_cells(
    connection: sqlite3.Connection,
    database: Path,
    check: Check,
    contract: Contract,
    provenance: Provenance,
) -> tuple[None, Findings]:
    """Return what `require_types` and the integrity check *check* find.

    The integrity check includes the types, so those are checked alone only if it finds a
    fault, to raise what `require_types` does.
    """
    findings = examine(connection, check, contract, provenance)
    if findings.row_count != 0:
        require_types(connection, database)
    return None, findings


def examine_texts(
    connection: sqlite3.Connection, table: Table, known: TableDigest | None
) -> tuple[str, Findings]:
    """Return the digest of *table*, unless it is *known*, and the invisible in its texts.

    The digest reads all cells.  Where it finds visible characters alone, as in orders and
    payments, the texts are not read again.
    """
    digest = known or digest_cells(connection, table)
    tables = [table] if list_text_columns(table) and not digest.is_visible else []
    rows = find_invisible_texts(connection, tables)
    return digest.sha256, count_findings(BUILT_IN_COLUMNS[TEXT_CHECK], rows)


def join_texts(contract: Contract, answers: Mapping[str, Any]) -> Findings:
    """Return what nobody sees in the texts of all tables, from *answers* for each."""
    found = [answers[name_texts(table)] for table in list_checked_tables(contract)]
    sample = [row for findings in found for row in findings.sample]
    row_count = sum(findings.row_count for findings in found)
    return Findings(BUILT_IN_COLUMNS[TEXT_CHECK], row_count, sample[:SAMPLE_ROWS])


def answer_alone(
    connection: sqlite3.Connection, function: Callable[..., Any], *arguments: Any
) -> list[Any]:
    """Return the one answer of *function*."""
    return [function(connection, *arguments)]


def answer_together(
    connection: sqlite3.Connection,
    queries: Sequence[Query],
    checks: Mapping[str, Check],
    contract: Contract,
    provenance: Provenance,
) -> list[Findings | tuple[list[Row], str | None]]:
    """Return what `examine` or `select_rows` does for *queries*, which share CTEs.

    *checks* has the checks by their files; the other queries are trends.
    """
    with store_shared_ctes(connection, queries) as stored:
        return [
            examine(
                connection, checks[query.file]._replace(query=query), contract, provenance
            )
            if query.file in checks
            else select_rows(connection, query)
            for query in stored
        ]


def examine_together(
    connection: sqlite3.Connection,
    queries: Sequence[Query],
    checks: Mapping[str, Check],
    contract: Contract,
    provenance: Provenance,
) -> list[Findings]:
    """Return what `examine` does for the checks of *queries*, which have one source.

    *checks* has them by their files.  One pass counts the rows of all; if that fails, each
    check is examined alone, and runs into the reason.
    """
    counted: Sequence[tuple[Query, int | None]]
    try:
        counted = count_together(connection, queries)
    except (sqlite3.Error, sqlite3.Warning):
        counted = [(query, None) for query in queries]
    findings = []
    for query, count in counted:
        check = checks[query.file]._replace(query=query)
        found = examine(connection, check, contract, provenance)
        findings.append(found if count is None else found._replace(row_count=count))
    return findings


def examine(
    connection: sqlite3.Connection, check: Check, contract: Contract, provenance: Provenance
) -> Findings:
    """Return what *check* finds, whether or not it applies; it needs no digests."""
    return collect_findings(check, LoadedDatabase(connection, contract, provenance, {}, {}))


# ---- Checks ------------------------------------------------------------------------------


def run_check(check: Check, loaded: LoadedDatabase) -> Findings:
    """Return what *check* finds, or why it does not apply."""
    return judge_applicability(check, loaded) or collect_findings(check, loaded)


def judge_findings(
    check: Check, loaded: LoadedDatabase, answers: Mapping[str, Any]
) -> Findings:
    """Return what `run_check` would, from *answers* where they have the findings."""
    if check.name == CONTENT_CHECK:
        return collect_findings(check, loaded)
    if check.name == TEXT_CHECK:
        return join_texts(loaded.contract, answers)
    findings: Findings = answers[check.name]
    return judge_applicability(check, loaded) or findings


def collect_findings(check: Check, loaded: LoadedDatabase) -> Findings:
    """Return what *check* finds; the rows are counted one by one, in constant memory."""
    try:
        return count_findings(*open_rows(check, loaded))
    except sqlite3.OperationalError as error:
        return Findings(check.key, None, [], note=explain_overflow(error))


def count_findings(columns: list[str], rows: Iterator[Sequence[Any]]) -> Findings:
    """Return the findings of all *rows*, with the first few as a sample."""
    sample = [sample_row(row) for row in islice(rows, SAMPLE_ROWS)]
    return Findings(columns, len(sample) + sum(1 for _ in rows), sample)


def judge_applicability(check: Check, loaded: LoadedDatabase) -> Findings | None:
    """Return the findings of a *check* that does not apply to *loaded*, else None."""
    if check.name == SCHEMA_CHECK and loaded.has_different_schema:
        note = "the data were loaded under another schema than db/schema.sql"
        return Findings(check.key, None, [], note=note, is_applicable=False)
    return find_not_applicable(check, loaded.row_counts)


def open_rows(
    check: Check, loaded: LoadedDatabase
) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Return the columns of *check*, and all the rows that it finds."""
    if check.query is not None:
        return execute_query(loaded.connection, check.query)
    rows: Iterator[Sequence[Any]]
    if check.name == INTACT_CHECK:
        rows = find_damage(loaded.connection)
    elif check.name == SCHEMA_CHECK:
        rows = iter(find_schema_differences(loaded.connection, loaded.contract))
    elif check.name == TEXT_CHECK:
        rows = find_invisible_texts(loaded.connection, list_checked_tables(loaded.contract))
    else:
        rows = find_changed_tables(loaded)
    return BUILT_IN_COLUMNS[check.name], rows


def list_rows(
    database: Path, name: str, *, on_note: Callable[[str], None]
) -> Iterator[Sequence[Any]]:
    """Yield the columns, then every breaking row, of the check *name* on *database*.

    If the check does not apply, there are no rows, and *on_note* is called with the reason.
    Raise `DataError` if there is no such check, or the database cannot be read.
    """
    checks = {check.name: check for check in list_checks()}
    if name not in checks:
        nearest = find_nearest_check(name, checks.values())
        raise DataError(
            f"there is no check {name!r}; did you mean {nearest}? report.md lists all"
            f" {len(checks)}."
        )
    check = checks[name]
    with open_database(database, allow_damage=True) as connection:
        try:
            loaded = read_loaded(connection, has_digests=check.name == CONTENT_CHECK)
            not_applicable = judge_applicability(check, loaded)
            columns, rows = open_rows(check, loaded)
            yield columns
            if not_applicable:
                on_note(f"{name}: {not_applicable.note}")
            else:
                yield from rows
        except sqlite3.OperationalError as error:
            file = check.query.file if check.query else check.name
            raise DataError(f"{file}: {explain_overflow(error)}.") from error


def find_nearest_check(name: str, checks: Iterable[Check]) -> str:
    """Return the name of the check whose words, also of its title, are most like *name*.

    For `spreadsheet` the names alone would propose `price_below_cost`.
    """
    given = re.findall(r"[a-z]+", name.lower()) or [""]

    def compare(check: Check) -> tuple[float, float]:
        words = re.findall(r"[a-z]+", f"{check.name} {check.title}".lower())
        best = [max(map(partial(measure_likeness, word), words)) for word in given]
        return sum(best) / len(best), measure_likeness(name, check.name)

    return max(checks, key=compare).name


def measure_likeness(one: str, other: str) -> float:
    """Return how like two words are, from 0 to 1."""
    return difflib.SequenceMatcher(None, one, other).ratio()


def execute_query(
    connection: sqlite3.Connection, query: Query
) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Return the columns and rows of *query*; raise `DataError` if it is not one SELECT."""
    try:
        cursor = connection.execute(query.sql)
        if cursor.description is None:
            raise DataError(
                f"{query.file}: returns no rows, expected one SELECT. Correct the file."
            )
    except (sqlite3.ProgrammingError, sqlite3.Warning) as error:  # two statements, or NUL
        raise DataError(
            f"{query.file}: {error} Expected one SELECT. Correct the file."
        ) from error
    except sqlite3.OperationalError as error:
        # Errors in the SQL have these codes; damaged files have others.
        is_its_own = error.sqlite_errorname in ("SQLITE_ERROR", "SQLITE_READONLY")
        if is_its_own and not is_overflow(error):
            raise DataError(f"{query.file}: {error}. Correct its SQL.") from error
        raise
    return [column[0] for column in cursor.description], cursor


def explain_overflow(error: sqlite3.OperationalError) -> str:
    """Return the note for a sum that does not fit; raise any other *error* again."""
    if not is_overflow(error):
        raise error
    return "the sum of the amounts overflows 64-bit integers"


def find_damage(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """Yield the faults that SQLite finds in pages, columns, types and indexes.

    CHECKs are not included: SQLite does not load them from a file opened read-only, and
    would report no fault.  Each of them has a file in `checks/`.
    """
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for (message,) in connection.execute(f"PRAGMA integrity_check({MOST_MESSAGES})"):
        if message != "ok":
            yield [message]


def find_invisible_texts(
    connection: sqlite3.Connection, tables: Iterable[Table]
) -> Iterator[list[Any]]:
    """Yield the texts with characters that nobody sees, of every column of *tables*."""
    for table in tables:
        select = select_unusual_texts(table, is_unusual_in_sqlite)
        for row in connection.execute(select):
            yield from find_invisible_faults(table, row)


def find_changed_tables(loaded: LoadedDatabase) -> Iterator[list[str | None]]:
    """Yield the tables whose digest differs from the one recorded by the load."""
    found = {**loaded.digests, PROVENANCE_TABLE: provenance_digest(loaded.connection)}
    for table, digest in found.items():
        recorded = loaded.provenance.get(table, {}).get("content_sha256")
        if recorded != digest:
            yield [table, recorded, digest]


def derive_verdict(checks: Sequence[Row]) -> Row:
    """Return the verdict on *checks*: fail if an error failed, else warn if one warned."""
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
    """Return the *answers*, each a trend with its rows and a note, by name.

    If the refund of the payment *inexact_refund* cannot be computed exactly, a trend with
    refunds has no rows.  Raise `DataError` if a trend of the key figures is missing.
    """
    trends = {
        query.name: describe_trend(query, rows, note, inexact_refund, as_of)
        for query, rows, note in answers
    }
    for name in KPI_TRENDS:
        if name not in trends:
            raise DataError(
                f"db/trends/{name}.sql: no such file, and the key figures are computed of"
                " it. Restore the file."
            )
    return trends


def describe_trend(
    query: Query,
    rows: list[Row],
    note: str | None,
    inexact_refund: int | None,
    as_of: str | None,
) -> Row:
    """Return the trend *query* with its *rows* and their ratios, as the report has it."""
    if inexact_refund is not None and rows and "refund_cents" in rows[0]:
        rows, note = [], f"the refund of payment_id {inexact_refund} is too large"
    elif query.name == "weekday_by_hour" and are_dated_by_day(rows):
        rows, note = [], "all orders are dated at 00:00, so their hours are missing"
    return {
        "title": query.require_header("Title"),
        "sql": {"file": query.file, "sha256": query.sha256},
        "note": note,
        "rows": derive_trend(query.name, rows, as_of),
    }


def select_rows(
    connection: sqlite3.Connection, query: Query
) -> tuple[list[Row], str | None]:
    """Return the rows of the trend *query*, and a note if they could not be computed."""
    try:
        columns, found = execute_query(connection, query)
        rows = list(found)
    except sqlite3.OperationalError as error:
        return [], explain_overflow(error)
    # Where a product does not fit, SQLite silently returns a floating-point number.
    if any(isinstance(cell, float) and abs(cell) >= 2**63 for row in rows for cell in row):
        return [], "a product of the amounts overflows 64-bit integers"
    return name_cells(query, columns, rows), None


def name_cells(
    query: Query, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> list[Row]:
    """Return the *rows* of the trend *query*, each cell by the name of its column.

    Raise `DataError` if two columns have one name, one is `is_complete`, one that the
    report needs is missing, or a cell has another type than its column has in a report.
    """
    needed = NEEDED_COLUMNS.get(query.name, ())
    for column in needed:
        if column not in columns:
            raise DataError(
                f"{query.file}: no column is named {column}, expected one, because the"
                " report computes with it. Correct its SQL, or give a trend of your own"
                " another name."
            )
    for column in columns:
        if columns.count(column) > 1:
            raise DataError(
                f"{query.file}: more than one column is named {column}, expected different"
                " names. Correct its SQL."
            )
        if column == "is_complete":
            raise DataError(
                f"{query.file}: a column is named is_complete, expected another name: the"
                " report adds it to months. Correct its SQL."
            )
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    for number, row in enumerate(named, start=1):
        for column, cell in row.items():
            if expected := find_expected_type(column, cell, is_needed=column in needed):
                text = "NULL" if cell is None else shorten_value(cell)
                raise DataError(
                    f"{query.file}: {column} of row {number:,} is {text}, expected"
                    f" {expected}. Correct its SQL."
                )
    return named


def find_expected_type(column: str, cell: Any, *, is_needed: bool = False) -> str | None:
    """Return in words what *column* of a trend has to contain; None if *cell* is that.

    One that *is_needed* for the report's own figures always has an integer.

    >>> find_expected_type("net_cents", 0.5), find_expected_type("net_cents", None)
    ('an integer', None)
    """
    if column == "month":
        return None if isinstance(cell, str) else "YYYY-MM"
    if isinstance(cell, int) or (cell is None and not is_needed):
        return None
    if is_needed or column.endswith(("_cents", "_rate", "_share")):
        return "an integer"
    return None if isinstance(cell, str) else "an integer or a text"
