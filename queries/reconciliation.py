"""The whole shop's figures by another road, and whether the cohorts add up to them.

Tables are summed one by one, without the cohort query, and refunds one by one in Python's
integers; what the query leaves out is counted with its reason.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from queries.cohorts import Cell
from queries.options import VALID_STATUSES, Options

# How an instant of the last day ends, as text that sorts behind all of them.
END_OF_DAY = "T23:59:59Z"

ORDERS_SQL = """
    SELECT
        COUNT(*),
        COUNT(DISTINCT orders.user_id),
        COALESCE(SUM(orders.discount_cents), 0)
    FROM orders
    WHERE orders.ordered_at <= :end AND orders.status IN ({statuses})
"""

LAST_ORDER_SQL = """
    SELECT MAX(orders.ordered_at)
    FROM orders
    WHERE orders.status IN ({statuses})
"""

# Of a CROSS JOIN SQLite, which alone runs these, reads the first table through and looks
# the other one up by its key: once down the file, not to and fro by an index.
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
    """The whole shop, until the as-of day.

    *refunds* are by month: what was paid out in it, and what went back of its orders.
    *excluded* is by reason: how many orders, for how much.  *last_event_at* is of the
    valid orders and their refunds, whatever the as-of day.
    """

    order_count: int
    unit_count: int
    buyer_count: int
    user_count: int
    net_cents: int
    refund_cents: int
    refunds: dict[str, tuple[int, int]]
    excluded: list[tuple[str, int, int]]
    last_event_at: str | None


class Figures(NamedTuple):
    """The rows that the queries above give."""

    orders: tuple[int, int, int]
    lines: tuple[int, int]
    last_order: tuple[str | None]
    users: tuple[int]
    excluded: list[tuple[str, int, int]]


class Refund(NamedTuple):
    """One refund, or several of the same months: the share of goods in it.

    *last_counted_at* is when the last of them counts.
    """

    last_counted_at: str
    paid_month: str
    order_month: str
    cents: int


def sum_tables(connection: sqlite3.Connection, options: Options, as_of: str) -> Totals:
    """Sum the valid orders until *as_of*, table by table."""
    statuses = options.valid_statuses or VALID_STATUSES
    end = as_of + END_OF_DAY
    names = {f"s{at}": status for at, status in enumerate(statuses)}
    values = {"end": end} | names

    def ask(sql: str) -> sqlite3.Cursor:
        return connection.execute(
            sql.format(statuses=", ".join(f":{name}" for name in names)), values
        )

    return collect_totals(
        Figures(
            ask(ORDERS_SQL).fetchone(),
            ask(LINES_SQL).fetchone(),
            ask(LAST_ORDER_SQL).fetchone(),
            ask(USERS_SQL).fetchone(),
            ask(EXCLUDED_SQL).fetchall(),
        ),
        share_refunds(ask(REFUNDS_SQL)),
        end,
    )


def share_refunds(rows: Iterable[tuple[Any, ...]]) -> Iterator[Refund]:
    """Yield of each of *rows*, a refund, the share that goods have in it."""
    for amount, goods, total, ordered_at, processed_at in rows:
        counted_at = max(ordered_at, processed_at)
        yield Refund(counted_at, counted_at[:7], ordered_at[:7], amount * goods // total)


def collect_totals(figures: Figures, refunds: Iterable[Refund], end: str) -> Totals:
    """Return the totals of *figures* and of those *refunds* that count by *end*."""
    order_count, buyer_count, discount_cents = figures.orders
    unit_count, lines_cents = figures.lines
    (last_event_at,) = figures.last_order
    (user_count,) = figures.users
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
        excluded=figures.excluded,
        last_event_at=last_event_at,
    )


def reconcile(cells: Sequence[Cell], totals: Totals) -> dict[str, Any]:
    """Return what the cells add up to beside what the tables do, and what is left out."""
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


# A sum, in words.
_WORDS = {
    "customer_count": "customers of all cohorts",
    "order_count": "orders of all cells",
    "unit_count": "units of all cells",
    "refund_cents": "refunds of all cells, in cents",
    "net_cents": "net of all cells, in cents",
}


def find_differences(
    reconciliation: Mapping[str, Any], columns: Sequence[str]
) -> list[str]:
    """Return what does not add up, in words, of the figures that the *columns* tell."""
    return [
        f"{_WORDS[record['figure']]}: {record['of_cells']}; of all valid orders:"
        f" {record['of_tables']}"
        for record in reconciliation["sums"]
        if record["of_cells"] != record["of_tables"]
        and record["figure"] in (*columns, "customer_count")
    ]
