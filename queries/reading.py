"""What a run takes from the database: cells, customers' values, purchases, sums."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from queries.cohorts import CLV_MONTHS, Result
from queries.forecast.histories import PurchaseHistory, collect_histories
from queries.options import Options, require_options
from queries.reconciliation import Totals, sum_tables
from queries.sql_text import find_parts, replace_body, replace_select
from queries.uncertainty import Spread
from utils.contract import PROVENANCE_TABLE
from utils.database import (
    Provenance,
    describe_file,
    find_as_of,
    find_inexact_refund,
    find_temporary_folder,
    open_database,
    read_provenance,
)
from utils.helpers import DataError

_ROOM = Path(__file__).resolve().parent
VALUES_PATH = _ROOM / "customer_values.sql"
DAYS_PATH = _ROOM / "purchase_days.sql"

# The CTEs that are kept in temporary tables while both the cells and the customers' values
# are summed from them.
SEGMENTS_CTE = "customer_segments"
CUSTOMERS_CTE = "customer_months"

# The CTE that the purchases of a forecast are taken from.
ORDERS_CTE = "order_totals"

# A row of customer_values.sql: segment, cohort as a month's number, net at each age.
ValueRow = tuple[Any, ...]

# The schema forbids it, and a program that turns its rules off allows it.
_ODD_LINE_SQL = """
    SELECT MIN(order_items.order_item_id)
    FROM order_items
    WHERE
        order_items.line_total_cents
        IS NOT order_items.quantity * order_items.unit_price_cents
        - order_items.discount_cents
"""

# The customers' values by segment and cohort month, an array for each age of CLV.
# (In quotes, because Python 3.11 takes no subscript of an array.)
Values: TypeAlias = "dict[tuple[str, str], list[array[int]]]"


# Grain, months, segment or None, cohort or '' for all of them.
SpreadKey = tuple[str, int, str | None, str]


class MeasuredValues(NamedTuple):
    """How customers' own values are spread, as the engine has measured it."""

    spreads: dict[SpreadKey, Spread]


class Reading(NamedTuple):
    """All that is taken from the data, in one snapshot; *source* names the database.

    *values* are the customers' own, None of a query that does not tell them; *histories* are
    their purchases, if a forecast is asked for.
    """

    provenance: Provenance
    totals: Totals
    result: Result
    values: Values | MeasuredValues | None
    histories: dict[int, PurchaseHistory]
    source: dict[str, Any]


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


def read_database(
    database: Path, sql: str, query_path: Path, options: Options, *, tells_values: bool
) -> Reading:
    """Run *sql*, which came from *query_path*, and read the facts that go with it.

    *tells_values* asks for the customers' own values, which not every query can tell.
    """
    with open_database(database) as connection:
        provenance = read_provenance(connection)
        data_as_of = find_as_of(provenance)
        require_options(connection, options, data_as_of or "")
        totals = _sum_safely(connection, database, options, options.as_of or data_as_of)
        require_as_of(provenance, totals, database)
        try:
            result, values = run_sql(
                connection,
                sql,
                has_segments=options.by is not None,
                tells_values=tells_values,
            )
            histories = (
                read_histories(connection, sql, query_path) if options.has_forecast else {}
            )
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if "overflow" in str(error):
                raise _refuse_amounts(database) from error
            if "disk is full" in str(error):
                raise DataError(
                    f"{find_temporary_folder()}: no room for what the query keeps there:"
                    f" {error}. Free some space, or name another folder in SQLITE_TMPDIR."
                ) from error
            raise DataError(
                f"{query_path}: SQLite refuses it on {database}: {error}."
                " Expected one SELECT; mend it, or leave --query away."
            ) from error
        source = describe_file(database)
        return Reading(provenance, totals, result, values, histories, source)


def run_sql(
    connection: sqlite3.Connection,
    sql: str,
    *,
    has_segments: bool = False,
    tells_values: bool = True,
) -> tuple[Result, Values | None]:
    """Return the cells of the query *sql* and, if it *tells_values*, the customers' own.

    Both are sums over one CTE of it, which is the costly part; it is run once.
    *has_segments* tells that customers are told apart.
    """
    try:
        if has_segments and SEGMENTS_CTE in find_parts(sql).bodies:
            # With a key, which SQLite does not make for the CTE.
            sql = keep(
                connection, sql, SEGMENTS_CTE, "(user_id INTEGER PRIMARY KEY, segment)"
            )
        if not tells_values or CUSTOMERS_CTE not in find_parts(sql).bodies:
            return fetch_result(connection, sql), None
        sql = keep(connection, sql, CUSTOMERS_CTE)
        result = fetch_result(connection, sql)
        select = VALUES_PATH.read_text(encoding="utf-8")
        return result, collect_values(connection.execute(replace_select(sql, select)))
    finally:
        for name in (SEGMENTS_CTE, CUSTOMERS_CTE):
            connection.execute(f"DROP TABLE IF EXISTS temp.kept_{name}")


def keep(
    connection: sqlite3.Connection, sql: str, name: str, columns: str | None = None
) -> str:
    """Put the CTE *name* of *sql* into a temporary table; return *sql* reading that."""
    select = replace_select(sql, f"SELECT * FROM {name}")
    if columns is None:
        connection.execute(f"CREATE TEMPORARY TABLE kept_{name} AS {select}")
    else:
        connection.execute(f"CREATE TEMPORARY TABLE kept_{name} {columns}")
        connection.execute(f"INSERT INTO kept_{name} {select}")
    return replace_body(sql, name, f"SELECT * FROM kept_{name}")


def fetch_result(connection: sqlite3.Connection, sql: str) -> Result:
    """Run the one SELECT in *sql*; raise `ValueError` if it is something else."""
    cursor = connection.execute(sql)
    if cursor.description is None:
        raise ValueError("it gives no rows")
    return Result(tuple(column[0] for column in cursor.description), cursor.fetchall())


def read_histories(
    connection: sqlite3.Connection, sql: str, query_path: Path
) -> dict[int, PurchaseHistory]:
    """Return the purchases of each customer, from the orders of the query *sql*."""
    require_orders_cte(sql, query_path)
    select = DAYS_PATH.read_text(encoding="utf-8")
    return collect_histories(connection.execute(replace_select(sql, select)))


def require_orders_cte(sql: str, query_path: Path) -> None:
    """Raise `DataError` if *sql*, from *query_path*, has no orders to forecast from."""
    if ORDERS_CTE not in find_parts(sql).bodies:
        raise DataError(
            f"{query_path}: has no CTE {ORDERS_CTE}, from which purchases are forecast."
            " Leave --forecast away, or take it over from queries/join_query.sql."
        )


def collect_values(rows: Iterable[ValueRow]) -> Values:
    """Return the values that *rows* of customer_values.sql tell."""
    values: dict[tuple[str, int], list[array[int]]] = {}
    for segment, cohort, *amounts in rows:
        arrays = values.get((segment, cohort))
        if arrays is None:
            arrays = values[segment, cohort] = [array("q") for _ in CLV_MONTHS]
        for of_age, amount in zip(arrays, amounts, strict=True):
            of_age.append(amount)
    return {
        (segment, f"{cohort // 12:04}-{cohort % 12 + 1:02}"): arrays
        for (segment, cohort), arrays in values.items()
    }


def _sum_safely(
    connection: sqlite3.Connection, database: Path, options: Options, as_of: str | None
) -> Totals:
    inexact_refund = find_inexact_refund(connection)
    if inexact_refund is not None:
        raise DataError(
            f"{database}: the refund of payment_id {inexact_refund} is too large to reckon"
            " with in 64 bits."
        )
    try:
        # Without a last day nothing counts, as in the query.
        return sum_tables(connection, options, as_of or "")
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
