"""Run the cohort query read-only, derive its ratios, write query_result.csv and .json."""

from __future__ import annotations

import csv
import hashlib
import io
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from queries.cohorts import Result, build_cells, summarize_cells
from utils.contract import PROVENANCE_TABLE
from utils.database import (
    Provenance,
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

SCHEMA_VERSION = "1.0"
QUERY_PATH = Path(__file__).resolve().with_name("join_query.sql")
CSV_NAME = "query_result.csv"
JSON_NAME = "query_result.json"

# Paid and not cancelled.  Said a second time, as the check must not lean on the query.
_VALID = """
    orders.status IN ('paid', 'shipped', 'delivered', 'partially_returned', 'returned')
"""

_ORDERS_SQL = f"""
    SELECT
        COUNT(DISTINCT orders.user_id),
        COALESCE(SUM(orders.discount_cents), 0),
        MAX(orders.ordered_at)
    FROM orders
    WHERE {_VALID}
"""

# Of a CROSS JOIN SQLite, which alone runs these, reads the first table through and looks
# the other one up by its key: once down the file, not to and fro by an index.
_LINES_SQL = f"""
    SELECT COALESCE(SUM(order_items.line_total_cents), 0)
    FROM order_items
    CROSS JOIN orders
        ON order_items.order_id = orders.order_id
    WHERE {_VALID}
"""

_REFUNDS_SQL = f"""
    SELECT
        payments.amount_cents,
        orders.subtotal_cents - orders.discount_cents,
        orders.total_cents,
        payments.processed_at
    FROM payments
    CROSS JOIN orders
        ON payments.order_id = orders.order_id
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
        AND orders.total_cents > 0
        AND {_VALID}
"""

# The schema forbids it, and a program that turns its rules off allows it.
_ODD_LINE_SQL = """
    SELECT MIN(order_items.order_item_id)
    FROM order_items
    WHERE
        order_items.line_total_cents
        <> order_items.quantity * order_items.unit_price_cents
        - order_items.discount_cents
"""


class Totals(NamedTuple):
    """The whole shop's figures, summed table by table without the cohort query."""

    buyer_count: int
    net_cents: int
    last_event_at: str | None


class Reading(NamedTuple):
    """All that is taken from the database, in one snapshot; *source* names the file."""

    provenance: Provenance
    totals: Totals
    result: Result
    source: dict[str, Any]


class Answer(NamedTuple):
    """What the query gave, the document made of it, and what its reader should know."""

    result: Result
    document: dict[str, Any]
    notes: list[str]


class Outcome(NamedTuple):
    """What a run wrote, and what its reader should know about it."""

    document: dict[str, Any]
    paths: list[Path]
    notes: list[str]


def query_database(
    database: Path, *, query_path: Path = QUERY_PATH, out_dir: Path | None = None
) -> Outcome:
    """Run the query at *query_path* on *database* and write CSV and JSON.

    Without *out_dir* they go to the project's root, and a copy of the JSON to the page.
    Raise `DataError` when the user can mend it; old results then stay as they were.
    """
    answer = compute_result(database, query_path)
    paths = write_result(answer.result, answer.document, out_dir)
    return Outcome(answer.document, paths, answer.notes)


def compute_result(database: Path, query_path: Path = QUERY_PATH) -> Answer:
    """Run the query at *query_path* on *database*; raise what `query_database` does."""
    sql = read_query(query_path)
    reading = read_database(database, sql.decode("utf-8-sig"), query_path)
    provenance = reading.provenance
    document = {
        "schema_version": SCHEMA_VERSION,
        "as_of": find_as_of(provenance),
        "currency": find_currency(provenance),
        "database": reading.source,
        "dataset": {"content_sha256": provenance.get("dataset", {}).get("content_sha256")},
        "query": {
            "file": _name_file(query_path),
            "sha256": hashlib.sha256(sql).hexdigest(),
        },
        **summarize_cells(build_cells(reading.result, query_path)),
    }
    notes = find_differences(document, reading.totals, query_path)
    if notes and query_path.resolve() == QUERY_PATH:
        # Another query may leave orders out on purpose; ours may not be written like that.
        require_sound(database)
        raise RuntimeError("the cohorts do not reconcile: " + "; ".join(notes))
    return Answer(reading.result, document, notes)


def read_query(query_path: Path) -> bytes:
    """Return the bytes of the SQL file at *query_path*."""
    try:
        sql = query_path.read_bytes()
        text = sql.decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{query_path}: cannot be read: {error.strerror}."
            " Name an SQL file with --query."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{query_path}: is not UTF-8 text: {error}.") from error
    if not text.strip():
        raise DataError(f"{query_path}: is empty. Expected one SELECT.")
    return sql


def read_database(database: Path, sql: str, query_path: Path) -> Reading:
    """Run *sql*, which came from *query_path*, and read the facts that go with it."""
    with open_database(database) as connection:
        provenance = read_provenance(connection)
        totals = _sum_safely(connection, database)
        require_as_of(provenance, totals, database)
        try:
            result = fetch_result(connection, sql)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if "overflow" in str(error):
                raise _refuse_amounts(database) from error
            raise DataError(
                f"{query_path}: SQLite refuses it on {database}: {error}."
                " Expected one SELECT; mend it, or leave --query away."
            ) from error
        return Reading(provenance, totals, result, describe_file(database))


def fetch_result(connection: sqlite3.Connection, sql: str) -> Result:
    """Run the one SELECT in *sql*; raise `ValueError` if it is something else."""
    cursor = connection.execute(sql)
    if cursor.description is None:
        raise ValueError("it gives no rows")
    return Result(tuple(column[0] for column in cursor.description), cursor.fetchall())


def sum_tables(connection: sqlite3.Connection) -> Totals:
    """Sum the valid orders table by table; refunds one by one, in Python's integers."""
    buyer_count, discount_cents, last_event_at = connection.execute(_ORDERS_SQL).fetchone()
    (net_cents,) = connection.execute(_LINES_SQL).fetchone()
    net_cents -= discount_cents
    for amount, goods, total, processed_at in connection.execute(_REFUNDS_SQL):
        net_cents -= amount * goods // total
        last_event_at = max(last_event_at, processed_at)
    return Totals(buyer_count, net_cents, last_event_at)


def _sum_safely(connection: sqlite3.Connection, database: Path) -> Totals:
    inexact_refund = find_inexact_refund(connection)
    if inexact_refund is not None:
        raise DataError(
            f"{database}: the refund of payment_id {inexact_refund} is too large to reckon"
            " with in 64 bits."
        )
    try:
        return sum_tables(connection)
    except sqlite3.OperationalError as error:
        if "overflow" in str(error):
            raise _refuse_amounts(database) from error
        raise


def _refuse_amounts(database: Path) -> DataError:
    return DataError(f"{database}: its amounts are too large to reckon with in 64 bits.")


def require_sound(database: Path) -> None:
    """Raise `DataError` if rows of *database* break a rule that the figures rest on."""
    with open_database(database) as connection:
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        (odd_line,) = connection.execute(_ODD_LINE_SQL).fetchone()
    fault = None
    if broken is not None:
        child, row_id, parent, _ = broken
        fault = f"row {row_id} of {child} refers to a row of {parent} that is not there"
    elif odd_line is not None:
        fault = (
            f"order_item_id {odd_line} has a total that is not quantity x price - discount"
        )
    if fault:
        raise DataError(
            f"{database}: {fault}. Mend the data and load them: python ingest.py --ingest"
        )


def require_as_of(provenance: Provenance, totals: Totals, database: Path) -> None:
    """Raise `DataError` unless every event lies before the end of the as-of day."""
    as_of = find_as_of(provenance)
    if totals.last_event_at is None or (as_of and totals.last_event_at[:10] <= as_of):
        return
    raise DataError(
        f"{database}: {PROVENANCE_TABLE}: as_of is {as_of or 'missing'}, yet the last order"
        f" or refund is of {totals.last_event_at}."
        " Load the data again: python ingest.py --ingest"
    )


def find_differences(
    document: Mapping[str, Any], totals: Totals, query_path: Path
) -> list[str]:
    """Compare the cells with the tables' own sums; return what differs, as notes."""
    net_cents = sum(cell["net_cents"] or 0 for cell in document["cells"])
    customer_count = document["summary"]["customer_count"]
    return [
        f"{_name_file(query_path)}: {name}: {found}; of all valid orders: {expected}"
        for name, found, expected in (
            ("net of all cells, in cents", net_cents, totals.net_cents),
            ("customers of all cohorts", customer_count, totals.buyer_count),
        )
        if found != expected
    ]


def write_result(
    result: Result, document: Mapping[str, Any], out_dir: Path | None
) -> list[Path]:
    """Write CSV and JSON, all of them or none; return their paths."""
    json_text = render_json(document)
    folder = PROJECT_ROOT if out_dir is None else out_dir
    texts = {folder / CSV_NAME: render_csv(result), folder / JSON_NAME: json_text}
    if out_dir is None:
        texts[PUBLISHED_DIR / JSON_NAME] = json_text
    write_all_whole(texts)
    return list(texts)


def render_csv(result: Result) -> str:
    """Return the rows as the query gave them: a header, integers, NULL as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows(result.rows)
    return text.getvalue()


def _name_file(path: Path) -> str:
    """Return *path* relative to the project, or only its name: the same on any machine."""
    try:
        return path.resolve().relative_to(PROJECT_ROOT).as_posix()
    except ValueError:
        return path.name
