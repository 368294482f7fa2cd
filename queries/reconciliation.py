"""The totals by an independent computation, and whether the cells add up to them.

Each table is summed on its own, without the cohort query, and the refunds are summed in
Python's integers.  Orders that do not count are counted by reason.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from queries.cohort_cells import Cell
from queries.options import VALID_STATUSES, Options

# The end of the last day's last second; as text it sorts after all times of the day.
END_OF_DAY = "T23:59:59Z"

ORDERS_SQL = """
    SELECT
        COUNT(*),
        COUNT(DISTINCT orders.user_id),
        COALESCE(SUM(orders.discount_cents), 0)
    FROM orders
    WHERE orders.ordered_at <= :end AND orders.status IN ({statuses})
"""

ORDER_TIMES_SQL = """
    SELECT
        MIN(orders.ordered_at),
        MAX(orders.ordered_at)
    FROM orders
    WHERE orders.status IN ({statuses})
"""

# In a CROSS JOIN SQLite scans the first table and looks up the second by its key, so that
# each file page is read in order.  Other engines get an INNER JOIN.
LINES_SQL = """
    SELECT
        COALESCE(SUM(order_items.quantity), 0),
        COALESCE(SUM(order_items.line_total_cents), 0)
    FROM order_items
    CROSS JOIN orders
        ON order_items.order_id = orders.order_id
    WHERE orders.ordered_at <= :end AND orders.status IN ({statuses})
"""

REFUNDS_SQL = """
    SELECT
        payments.amount_cents,
        orders.subtotal_cents - orders.discount_cents,
        orders.total_cents,
        orders.ordered_at,
        payments.processed_at
    FROM payments
    CROSS JOIN orders
        ON payments.order_id = orders.order_id
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
        AND orders.total_cents > 0
        AND orders.status IN ({statuses})
"""

EXCLUDED_SQL = """
    SELECT
        CASE
            WHEN orders.ordered_at > :end THEN 'after the as-of day'
            ELSE 'status ' || orders.status
        END AS reason,
        COUNT(*) AS order_count,
        SUM(orders.total_cents) AS total_cents
    FROM orders
    WHERE orders.ordered_at > :end OR orders.status NOT IN ({statuses})
    GROUP BY reason
    ORDER BY reason
"""

USERS_SQL = "SELECT COUNT(*) FROM users WHERE users.signed_up_at <= :end"


class Totals(NamedTuple):
    """The totals of all valid orders until the as-of day.

    *refunds* are by month: the cents refunded in it, and the cents refunded of its orders.
    *excluded* lists (reason, order count, cents).  *first_order_at* is of the valid orders,
    *last_event_at* of these and their refunds, even if it is after the as-of day.
    """

    order_count: int
    unit_count: int
    buyer_count: int
    user_count: int
    net_cents: int
    refund_cents: int
    refunds: dict[str, tuple[int, int]]
    excluded: list[tuple[str, int, int]]
    first_order_at: str | None
    last_event_at: str | None


class TableSums(NamedTuple):
    """The rows of the queries above, except the refunds."""

    orders: tuple[int, int, int]
    lines: tuple[int, int]
    order_times: tuple[str | None, str | None]
    users: tuple[int]
    excluded: list[tuple[str, int, int]]


class RefundShare(NamedTuple):
    """The share of goods in one refund, or in several with the same two months.

    *last_counted_at* is the time from which the last of them counts.
    """

    last_counted_at: str
    paid_month: str
    order_month: str
    cents: int


def sum_tables(connection: sqlite3.Connection, options: Options, as_of: str) -> Totals:
    """Return the totals of the valid orders until *as_of*, summed table by table."""
    statuses = options.valid_statuses or VALID_STATUSES
    end = as_of + END_OF_DAY
    names = {f"s{at}": status for at, status in enumerate(statuses)}
    placeholders = ", ".join(f":{name}" for name in names)

    def execute(sql: str) -> sqlite3.Cursor:
        return connection.execute(sql.format(statuses=placeholders), {"end": end} | names)

    sums = TableSums(
        execute(ORDERS_SQL).fetchone(),
        execute(LINES_SQL).fetchone(),
        execute(ORDER_TIMES_SQL).fetchone(),
        execute(USERS_SQL).fetchone(),
        execute(EXCLUDED_SQL).fetchall(),
    )
    return compute_totals(sums, compute_shares(execute(REFUNDS_SQL)), end)


def compute_shares(refunds: Iterable[tuple[Any, ...]]) -> Iterator[RefundShare]:
    """Yield the share of goods in each of *refunds*, rounded down to a cent."""
    for amount, goods, total, ordered_at, processed_at in refunds:
        counted_at = max(ordered_at, processed_at)
        share = amount * goods // total
        yield RefundShare(counted_at, counted_at[:7], ordered_at[:7], share)


def compute_totals(sums: TableSums, refunds: Iterable[RefundShare], end: str) -> Totals:
    """Return the totals of *sums* and of those *refunds* that count by *end*."""
    order_count, buyer_count, discount_cents = sums.orders
    unit_count, lines_cents = sums.lines
    first_order_at, last_event_at = sums.order_times
    (user_count,) = sums.users
    paid_out: dict[str, int] = {}
    of_orders: dict[str, int] = {}
    for last_counted_at, paid_month, order_month, cents in refunds:
        last_event_at = max(last_event_at or "", last_counted_at)
        if last_counted_at <= end:
            paid_out[paid_month] = paid_out.get(paid_month, 0) + cents
            of_orders[order_month] = of_orders.get(order_month, 0) + cents
    refund_cents = sum(paid_out.values())
    return Totals(
        order_count=order_count,
        unit_count=unit_count,
        buyer_count=buyer_count,
        user_count=user_count,
        net_cents=lines_cents - discount_cents - refund_cents,
        refund_cents=refund_cents,
        refunds={
            month: (paid_out.get(month, 0), of_orders.get(month, 0))
            for month in sorted(paid_out | of_orders)
        },
        excluded=sums.excluded,
        first_order_at=first_order_at,
        last_event_at=last_event_at,
    )


def reconcile(cells: Sequence[Cell], totals: Totals) -> dict[str, Any]:
    """Return the sums of *cells* beside those of the tables, and the excluded orders."""
    sizes = {cell["cohort"]: cell["cohort_size"] for cell in cells}
    sums = {
        name: sum(cell.get(name) or 0 for cell in cells)
        for name in ("order_count", "unit_count", "refund_cents", "net_cents")
    }
    pairs = {
        "customer_count": (sum(sizes.values()), totals.buyer_count),
        "order_count": (sums["order_count"], totals.order_count),
        "unit_count": (sums["unit_count"], totals.unit_count),
        "refund_cents": (sums["refund_cents"], totals.refund_cents),
        "net_cents": (sums["net_cents"], totals.net_cents),
    }
    return {
        "sums": [
            {"figure": name, "of_cells": found, "of_tables": expected}
            for name, (found, expected) in pairs.items()
        ],
        "user_count": totals.user_count,
        "users_without_valid_order": totals.user_count - totals.buyer_count,
        "excluded_orders": [
            {"reason": reason, "order_count": count, "total_cents": cents}
            for reason, count, cents in totals.excluded
        ],
        "refunds_by_month": [
            {"month": month, "paid_out_cents": paid_out, "of_orders_cents": of_orders}
            for month, (paid_out, of_orders) in totals.refunds.items()
        ],
    }


_LABELS = {
    "customer_count": "customers of all cohorts",
    "order_count": "orders of all cells",
    "unit_count": "units of all cells",
    "refund_cents": "refunds of all cells, in cents",
    "net_cents": "net of all cells, in cents",
}


def find_differences(
    reconciliation: Mapping[str, Any], columns: Sequence[str]
) -> list[str]:
    """Return each sum that differs, as text, of those that the query's *columns* allow."""
    return [
        f"{_LABELS[record['figure']]}: {record['of_cells']}; of all valid orders:"
        f" {record['of_tables']}"
        for record in reconciliation["sums"]
        if record["of_cells"] != record["of_tables"]
        and record["figure"] in (*columns, "customer_count")
    ]
