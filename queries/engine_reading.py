"""What a run takes from another engine: the same that it takes from a database.

The customers' own values stay in the engine, which counts, adds up and sorts them; only
the purchases of a forecast are fetched, one row per customer and day.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from queries.cohorts import Result, name_quarter
from queries.forecast.histories import PurchaseHistory, collect_histories
from queries.options import VALID_STATUSES, Options, require_day, require_statuses
from queries.reading import (
    CUSTOMERS_CTE,
    DAYS_PATH,
    VALUES_PATH,
    MeasuredValues,
    Reading,
    SpreadKey,
    require_orders_cte,
)
from queries.reconciliation import (
    END_OF_DAY,
    EXCLUDED_SQL,
    LAST_ORDER_SQL,
    LINES_SQL,
    ORDERS_SQL,
    USERS_SQL,
    Figures,
    Refund,
    Totals,
    collect_totals,
)
from queries.sql_text import find_parts, replace_body, replace_select
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

SPREADS_PATH = Path(__file__).resolve().with_name("value_spreads.sql")

# Of each refund of a valid order the goods' share, added up where months and side of the
# as-of day are the same.
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

# Past this a share to which the query adds a fraction loses its cents.
_LARGEST_SHARE = 1 << 53


def read_engine(
    engine: Engine,
    data_dir: Path,
    sql: str,
    query_path: Path,
    options: Options,
    *,
    tells_values: bool,
) -> Reading:
    """Let *engine* run *sql* over the files in *data_dir*, with the facts that go with it.

    Raise `DataError` if the files are not sound, or the engine fails.
    """
    session = open_session(engine, data_dir)
    require_statuses(options, _list_statuses(session))
    columns = _name_columns(session, sql, query_path)
    has_values = tells_values and CUSTOMERS_CTE in find_parts(sql).bodies
    _ask_totals(session, options)
    _ask_cells(session, sql, has_values=has_values)
    if options.has_forecast:
        require_orders_cte(sql, query_path)
        select = DAYS_PATH.read_text(encoding="utf-8")
        session.script.add_query(
            "purchase_days", translate_select(replace_select(sql, select))
        )
    run_session(session)
    require_valid(session)
    provenance = read_session_provenance(session)
    require_day(options, find_as_of(provenance) or "")
    rows = session.script.rows
    return Reading(
        provenance,
        _read_totals(session, options, find_as_of(provenance) or ""),
        Result(columns, rows["cells"]),
        MeasuredValues(_read_spreads(rows["spreads"])) if has_values else None,
        _read_histories(rows.get("purchase_days", [])),
        describe_engine(session),
    )


def _name_columns(session: Session, sql: str, query_path: Path) -> tuple[str, ...]:
    """Return the columns of *sql*; raise `DataError` unless it is one SELECT."""
    try:
        (columns,) = list_columns(session.contract, [sql])
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise DataError(
            f"{query_path}: is no SQL that all engines take: {error}."
            " Expected one SELECT; mend it, or leave --query away."
        ) from error
    if not columns:
        raise DataError(f"{query_path}: gives no rows. Expected one SELECT; mend it.")
    return columns


def _list_statuses(session: Session) -> list[str]:
    """Return the statuses that the rule of the orders allows; others are refused."""
    for table, rules in list_rules(session.contract):
        for rule in rules:
            if table.name == "orders" and rule.name.startswith("status_"):
                return rule.choices
    return list(VALID_STATUSES)


def _ask_totals(session: Session, options: Options) -> None:
    """Ask for the sums that the cells are reconciled with."""
    dialect = session.dialect
    statuses = ", ".join(map(dialect.quote, options.valid_statuses or VALID_STATUSES))
    last_day = "(SELECT COALESCE(MAX(as_of), '') FROM as_of_of_data)"
    if options.as_of is not None:
        last_day = dialect.quote(options.as_of)
    end = f"({last_day} || '{END_OF_DAY}')"
    # Each amount fits into 64 bits, a product of two need not.
    quotient = dialect.quotient.format(
        dividend=f"(CAST(payments.amount_cents AS {dialect.wide_type})"
        f" * CAST(orders.subtotal_cents - orders.discount_cents AS {dialect.wide_type}))",
        divisor="orders.total_cents",
    )
    for name, sql in (
        ("orders", ORDERS_SQL),
        ("lines", LINES_SQL),
        ("last_order", LAST_ORDER_SQL),
        ("users", USERS_SQL),
        ("excluded", EXCLUDED_SQL),
        ("refunds", _REFUNDS_SQL),
    ):
        # The order of a CROSS JOIN is SQLite's business; others take none with ON.
        text = sql.replace("CROSS JOIN", "INNER JOIN").replace(":end", end)
        text = text.format(statuses=statuses, end=end, quotient=quotient)
        session.script.add_query(name, translate_select(text))


def _ask_cells(session: Session, sql: str, *, has_values: bool) -> None:
    """Ask for the cells of the query *sql* and, of ours, for the customers' spreads."""
    script, dialect = session.script, session.dialect
    if not has_values:
        script.add_query("cells", translate_select(sql))
        return
    for name in (CUSTOMERS_CTE, "as_of_months"):
        select = replace_select(sql, f"SELECT * FROM {name}")
        # Views of these names would be hidden by the CTEs.
        script.add_statements(
            *store_rows(dialect, f"kept_{name}", translate_select(select))
        )
    kept = replace_body(sql, CUSTOMERS_CTE, f"SELECT * FROM kept_{CUSTOMERS_CTE}")
    script.add_query("cells", translate_select(kept))
    values = replace_select(kept, VALUES_PATH.read_text(encoding="utf-8"))
    script.add_statements(*store_rows(dialect, "customer_values", translate_select(values)))
    script.add_statements(
        *store_rows(dialect, "as_of_months", "SELECT * FROM kept_as_of_months")
    )
    script.add_query("spreads", translate_select(SPREADS_PATH.read_text(encoding="utf-8")))


# ---- From its rows -----------------------------------------------------------------------


def _read_totals(session: Session, options: Options, data_as_of: str) -> Totals:
    rows = session.script.rows
    shares = [row[4] for row in rows["refunds"]]
    if any(share > _LARGEST_SHARE for share in shares):
        raise DataError(
            f"{session.data_dir}: a refund of {max(shares)} cents is too large to reckon"
            " with in 64 bits."
        )
    figures = Figures(
        rows["orders"][0],
        rows["lines"][0],
        rows["last_order"][0],
        rows["users"][0],
        rows["excluded"],
    )
    refunds = (Refund(*row[:4]) for row in rows["refunds"])
    return collect_totals(figures, refunds, (options.as_of or data_as_of) + END_OF_DAY)


def _read_spreads(rows: Iterable[tuple[Any, ...]]) -> dict[SpreadKey, Spread]:
    """Return the spreads that *rows* of value_spreads.sql tell."""
    spreads = {}
    for grain, months, segment, first_index, count, total, square_sum, middle in rows:
        cohort = "" if first_index is None else _name_cohort(grain, first_index)
        spread = measure_spread(count, total, int(square_sum), middle)
        spreads[grain, months, segment, cohort] = spread
    return spreads


def _name_cohort(grain: str, index: int) -> str:
    month = f"{index // 12:04}-{index % 12 + 1:02}"
    return month if grain == "month" else name_quarter(month)


def _read_histories(rows: list[tuple[Any, ...]]) -> dict[int, PurchaseHistory]:
    return collect_histories((user_id, day, cents) for user_id, day, cents in rows)
