"""The data of a run, read by another engine from the CSV files.

The customers' own values stay in the engine, which counts, sums and sorts them.  Only the
purchases of a forecast are fetched, one row per customer and day.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from queries.cohort_cells import QueryRows
from queries.customer_values import ALL_COHORTS, MeasuredSpreads, SpreadKey
from queries.forecast.histories import collect_histories
from queries.forecast.score import read_truth
from queries.options import VALID_STATUSES, Options, require_day, require_statuses
from queries.query_file import CUSTOMERS_CTE, CohortQuery
from queries.reading import (
    DAYS_PATH,
    SEGMENTS_PATH,
    VALUES_PATH,
    QueryData,
    require_events_by_as_of,
    require_years,
)
from queries.reconciliation import (
    END_OF_DAY,
    EXCLUDED_SQL,
    LINES_SQL,
    ORDER_TIMES_SQL,
    ORDERS_SQL,
    USERS_SQL,
    RefundShare,
    TableSums,
    Totals,
    compute_totals,
)
from queries.uncertainty import Spread, measure_spread
from utils.database import find_as_of
from utils.engines.dialects import store_rows, translate_select
from utils.engines.process import Engine
from utils.engines.proofs import list_rules
from utils.engines.session import (
    Session,
    describe_engine,
    list_columns,
    open_session,
    read_session_provenance,
    require_valid,
    run_session,
)
from utils.helpers import DataError
from utils.months import month_text, quarter_text
from utils.sql_text import replace_body, replace_select

SPREADS_PATH = Path(__file__).resolve().with_name("value_spreads.sql")

# The share of goods in the refunds of valid orders, summed by the two months and by whether
# the refund counts by the end of the as-of day.
_REFUNDS_SQL = """
    WITH refunds AS (
        SELECT
            CASE
                WHEN payments.processed_at < orders.ordered_at THEN orders.ordered_at
                ELSE payments.processed_at
            END AS counted_at,
            SUBSTR(orders.ordered_at, 1, 7) AS order_month,
            {quotient} AS cents
        FROM payments
        INNER JOIN orders
            ON payments.order_id = orders.order_id
        WHERE
            payments.kind = 'refund'
            AND payments.status = 'succeeded'
            AND orders.total_cents > 0
            AND orders.status IN ({statuses})
    )

    SELECT
        MAX(counted_at) AS last_counted_at,
        SUBSTR(counted_at, 1, 7) AS paid_month,
        order_month,
        SUM(cents) AS refund_cents,
        MAX(cents) AS largest_cents
    FROM refunds
    GROUP BY
        SUBSTR(counted_at, 1, 7),
        order_month,
        CASE WHEN counted_at <= {end} THEN 1 ELSE 0 END
    ORDER BY last_counted_at, order_month
"""

# A larger share loses cents when the query adds a fraction to it.
_LARGEST_SHARE = 1 << 53


def read_engine(
    engine: Engine, data_dir: Path, query: CohortQuery, truth_dir: Path | None = None
) -> QueryData:
    """Run *query* by *engine* on the files in *data_dir*; return its data.

    Raise `DataError` if the files break a rule, or the engine fails.
    """
    options = query.options
    session = open_session(engine, data_dir)
    require_statuses(options, _list_statuses(session))
    columns = _list_query_columns(session, query)
    _add_totals_queries(session, options)
    _add_cells_queries(session, query)
    if options.has_forecast:
        select = replace_select(query.text, DAYS_PATH.read_text(encoding="utf-8"))
        session.script.add_query("purchase_days", translate_select(select))
    if options.has_forecast and options.by:
        select = replace_select(query.text, SEGMENTS_PATH.read_text(encoding="utf-8"))
        session.script.add_query("purchase_segments", translate_select(select))
    run_session(session)
    require_valid(session)
    provenance = read_session_provenance(session)
    data_as_of = find_as_of(provenance)
    require_day(options, data_as_of or "")
    as_of = options.as_of or data_as_of
    rows = session.script.rows
    totals = _read_totals(session, as_of or "")
    require_events_by_as_of(provenance, totals, data_dir)
    require_years(as_of, totals, data_dir)
    return QueryData(
        provenance,
        as_of,
        totals,
        QueryRows(columns, rows["cells"]),
        MeasuredSpreads(_read_spreads(rows["spreads"])) if query.has_values else None,
        collect_histories(
            (user_id, day, cents) for user_id, day, cents in rows.get("purchase_days", [])
        ),
        dict(rows.get("purchase_segments", [])),
        read_truth(truth_dir, provenance, as_of or "") if truth_dir else None,
        describe_engine(session),
    )


def _list_query_columns(session: Session, query: CohortQuery) -> tuple[str, ...]:
    """Return the columns of *query*; raise `DataError` unless it is one SELECT."""
    try:
        (columns,) = list_columns(session.contract, [query.text])
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise DataError(
            f"{query.path}: is not SQL that every engine accepts: {error}. Expected one"
            " SELECT. Fix the query, or omit --query."
        ) from error
    if not columns:
        raise DataError(
            f"{query.path}: returns no rows. Expected one SELECT. Fix the query."
        )
    return columns


def _list_statuses(session: Session) -> list[str]:
    """Return the order statuses that the schema allows; files with others are refused."""
    for table, rules in list_rules(session.contract):
        for rule in rules:
            if table.name == "orders" and rule.name.startswith("status_"):
                return rule.choices
    return list(VALID_STATUSES)


def _add_totals_queries(session: Session, options: Options) -> None:
    """Add the queries of the totals with which the cells are reconciled."""
    dialect = session.dialect
    statuses = ", ".join(map(dialect.quote, options.valid_statuses or VALID_STATUSES))
    last_day = "(SELECT COALESCE(MAX(as_of), '') FROM as_of_of_data)"
    if options.as_of is not None:
        last_day = dialect.quote(options.as_of)
    end = f"({last_day} || '{END_OF_DAY}')"
    # Each amount fits into 64 bits, but the product of two may not.
    quotient = dialect.quotient.format(
        dividend=f"(CAST(payments.amount_cents AS {dialect.wide_type})"
        f" * CAST(orders.subtotal_cents - orders.discount_cents AS {dialect.wide_type}))",
        divisor="orders.total_cents",
    )
    for name, sql in (
        ("orders", ORDERS_SQL),
        ("lines", LINES_SQL),
        ("order_times", ORDER_TIMES_SQL),
        ("users", USERS_SQL),
        ("excluded", EXCLUDED_SQL),
        ("refunds", _REFUNDS_SQL),
    ):
        # CROSS JOIN fixes the join order in SQLite only; elsewhere it allows no ON.
        text = sql.replace("CROSS JOIN", "INNER JOIN").replace(":end", end)
        text = text.format(statuses=statuses, end=end, quotient=quotient)
        session.script.add_query(name, translate_select(text))


def _add_cells_queries(session: Session, query: CohortQuery) -> None:
    """Add the query of the cells and, if it has them, that of the customers' spreads."""
    script, dialect = session.script, session.dialect
    if not query.has_values:
        script.add_query("cells", translate_select(query.text))
        return
    for name in (CUSTOMERS_CTE, "as_of_months"):
        select = translate_select(replace_select(query.text, f"SELECT * FROM {name}"))
        # The name differs from that of the CTE, which would hide the stored rows.
        script.add_statements(*store_rows(dialect, f"stored_{name}", select))
    sql = replace_body(query.text, CUSTOMERS_CTE, f"SELECT * FROM stored_{CUSTOMERS_CTE}")
    script.add_query("cells", translate_select(sql))
    values = translate_select(replace_select(sql, VALUES_PATH.read_text(encoding="utf-8")))
    script.add_statements(*store_rows(dialect, "customer_values", values))
    as_of_months = "SELECT * FROM stored_as_of_months"
    script.add_statements(*store_rows(dialect, "as_of_months", as_of_months))
    spreads = SPREADS_PATH.read_text(encoding="utf-8")
    if query.options.omits_first_cohort:
        spreads = replace_body(spreads, "averages", "SELECT 0 AS has_first_cohort")
    script.add_query("spreads", translate_select(spreads))


# ---- From the rows of the engine ---------------------------------------------------------


def _read_totals(session: Session, as_of: str) -> Totals:
    rows = session.script.rows
    largest = max((row[4] for row in rows["refunds"]), default=0)
    if largest > _LARGEST_SHARE:
        raise DataError(
            f"{session.data_dir}: a refund of {largest} cents is too large: its share of"
            " goods overflows 64-bit integers."
        )
    sums = TableSums(
        rows["orders"][0],
        rows["lines"][0],
        rows["order_times"][0],
        rows["users"][0],
        rows["excluded"],
    )
    shares = (RefundShare(*row[:4]) for row in rows["refunds"])
    return compute_totals(sums, shares, as_of + END_OF_DAY)


def _read_spreads(rows: Iterable[tuple[Any, ...]]) -> dict[SpreadKey, Spread]:
    """Return the spreads in *rows* of value_spreads.sql."""
    spreads = {}
    for grain, months, segment, first_index, count, total, square_sum, middle in rows:
        cohort = ALL_COHORTS
        if first_index is not None:
            month = month_text(first_index)
            cohort = month if grain == "month" else quarter_text(month)
        spread = measure_spread(count, total, int(square_sum), middle)
        spreads[grain, months, segment, cohort] = spread
    return spreads
