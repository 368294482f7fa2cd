"""Work out the cohort table a second time: from the CSV files, in plain Python.

    python -m tests.recount DATA_DIR --as-of YYYY-MM-DD

prints what query_result.csv must hold, to the byte.  Nothing is shared with the SQL: the
files are read as they are, months are dates, and every cell is counted from the orders.
"""

from __future__ import annotations

import argparse
import calendar
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

PAID_AND_KEPT = {"paid", "shipped", "delivered", "partially_returned", "returned"}

COLUMNS = (
    "cohort_month",
    "months_since",
    "period_month",
    "cohort_size",
    "active_customers",
    "repeat_customers",
    "order_count",
    "unit_count",
    "gross_cents",
    "discount_cents",
    "refund_cents",
    "net_cents",
    "cost_cents",
    "margin_cents",
    "cum_net_cents",
    "cum_margin_cents",
    "is_complete",
)

Record = dict[str, str]
Row = tuple[int | str, ...]


class Order(NamedTuple):
    """A valid order: who placed it, in which month, and what was asked for its goods."""

    user_id: str
    month: date
    goods_cents: int
    total_cents: int


@dataclass(slots=True)
class Tally:
    """What one customer did in one month."""

    order_count: int = 0
    unit_count: int = 0
    gross_cents: int = 0
    discount_cents: int = 0
    refund_cents: int = 0
    cost_cents: int = 0


# By user_id and month.
Tallies = defaultdict[tuple[str, date], Tally]


class Shop(NamedTuple):
    """What happened: the valid orders of each customer, earliest first, and all tallies."""

    orders_by_user: dict[str, list[Order]]
    tallies: Tallies


def recount_cohorts(folder: Path, as_of: date) -> list[Row]:
    """Return every cell of the five files in *folder* until *as_of*, as in `COLUMNS`."""
    shop = count_shop(folder)
    cohorts: dict[date, list[list[Order]]] = defaultdict(list)
    for orders in shop.orders_by_user.values():
        cohorts[orders[0].month].append(orders)
    tallies: dict[tuple[date, date], list[Tally]] = defaultdict(list)
    for (user_id, month), tally in shop.tallies.items():
        tallies[shop.orders_by_user[user_id][0].month, month].append(tally)
    return [
        row
        for cohort_month, members in sorted(cohorts.items())
        for row in recount_cohort(tallies, cohort_month, members, as_of)
    ]


def count_shop(folder: Path) -> Shop:
    """Read the five files and count everything under its customer and month."""
    orders: dict[str, Order] = {}
    tallies: Tallies = defaultdict(Tally)
    for record in read_records(folder, "orders"):
        if record["status"] in PAID_AND_KEPT:
            order = read_order(record)
            orders[record["order_id"]] = order
            tally = tallies[order.user_id, order.month]
            tally.order_count += 1
            tally.discount_cents += int(record["discount_cents"])
    count_items(folder, orders, tallies)
    count_refunds(folder, orders, tallies)
    orders_by_user: dict[str, list[Order]] = {
        record["user_id"]: [] for record in read_records(folder, "users")
    }
    for order in sorted(orders.values(), key=lambda order: order.month):
        orders_by_user[order.user_id].append(order)
    return Shop({user: mine for user, mine in orders_by_user.items() if mine}, tallies)


def read_records(folder: Path, table: str) -> Iterator[Record]:
    """Yield the records of a file."""
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def read_order(record: Record) -> Order:
    """Return the order that *record* of orders.csv tells of."""
    goods_cents = int(record["subtotal_cents"]) - int(record["discount_cents"])
    month = month_of(record["ordered_at"])
    return Order(record["user_id"], month, goods_cents, int(record["total_cents"]))


def count_items(folder: Path, orders: dict[str, Order], tallies: Tallies) -> None:
    """Add the lines of valid *orders* to *tallies*."""
    unit_costs = {
        record["product_id"]: int(record["cost_cents"])
        for record in read_records(folder, "products")
    }
    for record in read_records(folder, "order_items"):
        order = orders.get(record["order_id"])
        if order is None:
            continue
        quantity = int(record["quantity"])
        tally = tallies[order.user_id, order.month]
        tally.unit_count += quantity
        tally.gross_cents += quantity * int(record["unit_price_cents"])
        tally.discount_cents += int(record["discount_cents"])
        tally.cost_cents += quantity * unit_costs[record["product_id"]]


def count_refunds(folder: Path, orders: dict[str, Order], tallies: Tallies) -> None:
    """Add to *tallies* the goods' share of what was paid back, when it was paid back."""
    for record in read_records(folder, "payments"):
        order = orders.get(record["order_id"])
        is_refund = (record["kind"], record["status"]) == ("refund", "succeeded")
        if order is None or not is_refund or not order.total_cents:
            continue
        month = max(order.month, month_of(record["processed_at"]))
        share = int(record["amount_cents"]) * order.goods_cents // order.total_cents
        tallies[order.user_id, month].refund_cents += share


def recount_cohort(
    tallies_by_cell: dict[tuple[date, date], list[Tally]],
    cohort_month: date,
    members: Sequence[Sequence[Order]],
    as_of: date,
) -> Iterator[Row]:
    """Yield the cells of one cohort, from its own month to that of *as_of*.

    *members* are the orders of each of its customers.
    """
    second_orders = [orders[1].month for orders in members if len(orders) > 1]
    cum_net = cum_margin = 0
    for months_since, month in enumerate(months_until(cohort_month, as_of)):
        tallies = tallies_by_cell.get((cohort_month, month), [])
        gross = sum(tally.gross_cents for tally in tallies)
        discount = sum(tally.discount_cents for tally in tallies)
        refund = sum(tally.refund_cents for tally in tallies)
        cost = sum(tally.cost_cents for tally in tallies)
        net = gross - discount - refund
        margin = net - cost
        cum_net += net
        cum_margin += margin
        yield (
            f"{cohort_month:%Y-%m}",
            months_since,
            f"{month:%Y-%m}",
            len(members),
            sum(tally.order_count > 0 for tally in tallies),
            sum(second <= month for second in second_orders),
            sum(tally.order_count for tally in tallies),
            sum(tally.unit_count for tally in tallies),
            gross,
            discount,
            refund,
            net,
            cost,
            margin,
            cum_net,
            cum_margin,
            int(as_of >= last_day_of(month)),
        )


def month_of(instant: str) -> date:
    """Return the first day of the month of an instant such as 2024-02-29T12:00:00Z."""
    return first_day_of(instant[:7])


@cache
def first_day_of(month: str) -> date:
    """Return the first day of a month such as 2024-02."""
    return date.fromisoformat(f"{month}-01")


def months_until(month: date, as_of: date) -> Iterator[date]:
    """Yield *month* and each one after it that has begun by *as_of*."""
    while month <= as_of:
        yield month
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)


def last_day_of(month: date) -> date:
    """Return the last day of *month*.

    >>> last_day_of(date(2024, 2, 1))
    datetime.date(2024, 2, 29)
    """
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.recount")
    parser.add_argument("data_dir", type=Path, help="folder of the five CSV files")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, metavar="DATE")
    args = parser.parse_args(argv)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(recount_cohorts(args.data_dir, args.as_of))
    return 0


if __name__ == "__main__":
    sys.exit(main())
