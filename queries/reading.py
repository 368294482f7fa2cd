"""The data of a run, read from the database in one snapshot."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from queries.cohort_cells import QueryRows
from queries.customer_parts import PartData, add_parts, has_damaged_text, split_query
from queries.customer_values import MeasuredSpreads, ValueArrays, collect_values
from queries.forecast.histories import PurchaseHistories, collect_histories
from queries.options import Options, require_options
from queries.query_file import CUSTOMERS_CTE, ORDERS_CTE, CohortQuery
from queries.reconciliation import Totals, sum_tables
from utils.contract import PROVENANCE_TABLE
from utils.database import (
    Provenance,
    describe_file,
    find_as_of,
    find_inexact_refund,
    find_stated_day,
    is_overflow,
    limit_workers,
    needs_more_space,
    open_database,
    read_provenance,
    require_types,
    run_reads,
)
from utils.helpers import DataError
from utils.months import YEARS, is_outside_years
from utils.sql_text import find_parts, replace_body, replace_select

if TYPE_CHECKING:
    from queries.forecast.score import GroundTruth

_FOLDER = Path(__file__).resolve().parent
VALUES_PATH = _FOLDER / "customer_values.sql"
DAYS_PATH = _FOLDER / "purchase_days.sql"
SEGMENTS_PATH = _FOLDER / "purchase_segments.sql"

# The bytes of the database for which a process is started; starting one costs as much time
# as reading a quarter of them.
BYTES_PER_WORKER = 8 << 20

# The CTE with the segment of each customer.
SEGMENTS_CTE = "customer_segments"

# The schema forbids such a row; a program that ignores CHECK constraints can write it.
_WRONG_LINE_SQL = """
    SELECT MIN(order_items.order_item_id)
    FROM order_items
    WHERE
        order_items.line_total_cents
        IS NOT order_items.quantity * order_items.unit_price_cents
        - order_items.discount_cents
"""


class QueryData(NamedTuple):
    """The data of a run; *source* identifies the database, or the engine.

    *as_of* is the last day that counts, None if there is no order.  *values* are None for
    a query that lacks them; *histories* are empty without a forecast, *segments*, by user
    id, without a forecast by segment, and *truth* is None without a score.
    """

    provenance: Provenance
    as_of: str | None
    totals: Totals
    rows: QueryRows
    values: ValueArrays | MeasuredSpreads | None
    histories: PurchaseHistories
    segments: dict[int, str]
    truth: GroundTruth | None
    source: dict[str, Any]


def read_database(
    database: Path,
    query: CohortQuery,
    truth_dir: Path | None = None,
    *,
    worker_count: int = 1,
) -> QueryData:
    """Run *query* on *database*; return its rows with all that belongs to them.

    At most *worker_count* processes read it.  With *truth_dir* the ground truth there is
    read, before the query, which takes longer.
    """
    options = query.options
    with open_database(database, defers_check=True) as connection:
        worker_count = limit_workers(database, worker_count, BYTES_PER_WORKER)
        parts = split_query(query, worker_count)
        reads = [
            (require_sound_cells, database),
            (sum_totals, database, options),
            *((read_part, part) for part in parts),
            (hash_source, database),
        ]
        with closing(run_reads(connection, database, reads, worker_count)) as results:
            next(results)
            provenance = read_provenance(connection)
            data_as_of = find_as_of(provenance)
            require_options(connection, options, data_as_of or "")
            as_of = options.as_of or data_as_of
            truth = None
            if truth_dir:
                from queries.forecast.score import read_truth

                truth = read_truth(truth_dir, provenance, as_of or "")
            totals = next(results)
            require_events_by_as_of(provenance, totals, database)
            require_years(as_of, totals, database)
            try:
                data = add_parts([next(results) for _ in parts])
                if len(parts) > 1 and has_damaged_text(data.rows):
                    data = read_part(connection, query)
            except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
                explained = _explain_failure(error, database, query)
                if explained is None:
                    raise
                raise explained from error
            source = next(results)
        return QueryData(provenance, as_of, totals, *data, truth, source)


def _explain_failure(
    error: Exception, database: Path, query: CohortQuery
) -> DataError | None:
    """Return what is wrong with the data or the user's query, None for other reasons."""
    # A query of the user may overflow by itself, whatever the amounts are.
    if is_overflow(error) and query.is_default:
        return _refuse_amounts(database)
    # `open_database` explains what is wrong with its file or the system.
    if query.is_default or needs_more_space(error):
        return None
    return DataError(
        f"{query.path}: SQLite refuses it on {database}: {error}. Expected one SELECT. Fix"
        " the query, or omit --query."
    )


# ---- What one process reads --------------------------------------------------------------


def require_sound_cells(connection: sqlite3.Connection, database: Path) -> None:
    """Raise `DataError` unless cells have their types and indexes the rows of tables."""
    require_types(connection, database, with_indexes=True)


def hash_source(_connection: sqlite3.Connection, database: Path) -> dict[str, Any]:
    """Return SHA-256 and size of the file *database*."""
    return describe_file(database)


def read_part(connection: sqlite3.Connection, query: CohortQuery) -> PartData:
    """Return the rows of *query* with what else is read of its customers."""
    try:
        if query.options.has_forecast and query.is_default:
            # Cells and purchases are sums over the orders, whose lines are joined once.
            text = materialize_cte(connection, query.text, ORDERS_CTE)
            query = query._replace(text=text)
        rows, values = run_cohort_query(connection, query)
        histories = read_histories(connection, query)
        return PartData(rows, values, histories, read_segments(connection, query))
    finally:
        connection.execute(f"DROP TABLE IF EXISTS temp.stored_{ORDERS_CTE}")


# ---- The query ---------------------------------------------------------------------------


def run_cohort_query(
    connection: sqlite3.Connection, query: CohortQuery
) -> tuple[QueryRows, ValueArrays | None]:
    """Return the rows of *query* and, if it has them, the customers' own values.

    Both are sums over one CTE, which is the expensive part; it is computed once.
    """
    sql = query.text
    try:
        if query.options.by and SEGMENTS_CTE in find_parts(sql).bodies:
            # The table gets a key, which SQLite does not build for a CTE.
            sql = materialize_cte(
                connection, sql, SEGMENTS_CTE, "(user_id INTEGER PRIMARY KEY, segment)"
            )
        if not query.has_values:
            return fetch_rows(connection, sql), None
        sql = materialize_cte(connection, sql, CUSTOMERS_CTE)
        rows = fetch_rows(connection, sql)
        select = VALUES_PATH.read_text(encoding="utf-8")
        return rows, collect_values(connection.execute(replace_select(sql, select)))
    finally:
        for name in (SEGMENTS_CTE, CUSTOMERS_CTE):
            connection.execute(f"DROP TABLE IF EXISTS temp.stored_{name}")


def materialize_cte(
    connection: sqlite3.Connection, sql: str, name: str, columns: str | None = None
) -> str:
    """Store the CTE *name* of *sql* in a temporary table; return *sql* reading the table.

    *columns* declares the table's columns, which are otherwise those of the CTE.
    """
    select = replace_select(sql, f"SELECT * FROM {name}")
    if columns is None:
        connection.execute(f"CREATE TEMPORARY TABLE stored_{name} AS {select}")
    else:
        connection.execute(f"CREATE TEMPORARY TABLE stored_{name} {columns}")
        connection.execute(f"INSERT INTO stored_{name} {select}")
    return replace_body(sql, name, f"SELECT * FROM stored_{name}")


def fetch_rows(connection: sqlite3.Connection, sql: str) -> QueryRows:
    """Run the one SELECT in *sql*; raise `ValueError` if it is something else."""
    cursor = connection.execute(sql)
    if cursor.description is None:
        raise ValueError("it returns no rows")
    return QueryRows(tuple(column[0] for column in cursor.description), cursor.fetchall())


def read_histories(connection: sqlite3.Connection, query: CohortQuery) -> PurchaseHistories:
    """Return the purchases of each customer; none if *query* needs no forecast."""
    if not query.options.has_forecast:
        return collect_histories(())
    select = DAYS_PATH.read_text(encoding="utf-8")
    return collect_histories(connection.execute(replace_select(query.text, select)))


def read_segments(connection: sqlite3.Connection, query: CohortQuery) -> dict[int, str]:
    """Return the segment of each customer; none if *query* forecasts no segments."""
    if not (query.options.has_forecast and query.options.by):
        return {}
    select = SEGMENTS_PATH.read_text(encoding="utf-8")
    return dict(connection.execute(replace_select(query.text, select)))


# ---- The totals, and whether the data can be trusted ------------------------------------


def sum_totals(connection: sqlite3.Connection, database: Path, options: Options) -> Totals:
    """Return the totals of *database*; raise `DataError` if they overflow."""
    as_of = options.as_of or find_as_of(read_provenance(connection))
    inexact_refund = find_inexact_refund(connection)
    if inexact_refund is not None:
        raise DataError(
            f"{database}: the refund of payment_id {inexact_refund} is too large: its share"
            " of goods overflows 64-bit integers."
        )
    try:
        # Without a last day no order counts, as in the query.
        return sum_tables(connection, options, as_of or "")
    except sqlite3.OperationalError as error:
        if is_overflow(error):
            raise _refuse_amounts(database) from error
        raise


def _refuse_amounts(database: Path) -> DataError:
    return DataError(
        f"{database}: the sum of its amounts overflows 64-bit integers. Correct the data"
        " and load them again: python ingest.py --ingest"
    )


def require_valid_rows(database: Path) -> None:
    """Raise `DataError` if rows of *database* break a rule on which the figures depend."""
    with open_database(database) as connection:
        orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
        (wrong_line,) = connection.execute(_WRONG_LINE_SQL).fetchone()
    fault = None
    if orphan is not None:
        child, row_id, parent, _ = orphan
        fault = f"row {row_id} of {child} refers to a missing row of {parent}"
    elif wrong_line is not None:
        fault = (
            f"the total of order_item_id {wrong_line} is not quantity x price - discount"
        )
    if fault:
        raise DataError(
            f"{database}: {fault}. Fix the data and load them: python ingest.py --ingest"
        )


def require_events_by_as_of(provenance: Provenance, totals: Totals, source: Path) -> None:
    """Raise `DataError` unless all events of *source* are on or before its last day.

    After a stated last day there may be events: the report lists them, and the query
    excludes them.
    """
    as_of = find_as_of(provenance)
    is_stated = as_of is not None and as_of == find_stated_day(provenance)
    if totals.last_event_at is None or is_stated:
        return
    if as_of and totals.last_event_at[:10] <= as_of:
        return
    raise DataError(
        f"{source}: {PROVENANCE_TABLE}: as_of is {as_of or 'missing'}, but the last order"
        f" or refund is of {totals.last_event_at}."
        " Load the data again: python ingest.py --ingest"
    )


def require_years(as_of: str | None, totals: Totals, source: Path) -> None:
    """Raise `DataError` if the cells of *source* would begin or end outside `YEARS`."""
    for subject, text in (
        ("the first order is of", totals.first_order_at),
        ("the as-of day is", as_of),
    ):
        if text and is_outside_years(text):
            raise DataError(
                f"{source}: {subject} {text[:10]}, expected a day of {YEARS}. Correct the"
                " data and load them again: python ingest.py --ingest"
            )
