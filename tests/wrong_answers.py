"""Cohort tables with well-known mistakes, computed in plain Python from small shops.

It shares nothing with the query or with the mistakes of `queries/grading`: times are dates,
amounts are added up order by order, and a mistake is a name that changes one of the steps.
"""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.shop import Row, create_shop

AS_OF = "2024-09-20"
START = datetime(2024, 1, 1)  # noqa: DTZ001 - all times are UTC

VALID = {"paid", "shipped", "delivered", "partially_returned", "returned"}
STATUSES = [
    *["delivered"] * 9,
    *sorted(VALID),
    "returned",
    "cancelled",
    "cancelled",
    "pending",
]

FIGURES = (
    *("cohort_size", "active_customers", "order_count", "unit_count", "gross_cents"),
    *("discount_cents", "refund_cents", "net_cents", "cum_net_cents", "is_complete"),
)

Record = dict[str, Any]


class SmallShop(NamedTuple):
    """The rows of the five tables."""

    users: list[Row]
    products: list[Row]
    orders: list[Row]
    order_items: list[Row]
    payments: list[Row]


def build_shop(seed: int, user_count: int = 60) -> SmallShop:
    """Return a random shop in which every well-known mistake changes something."""
    chance = random.Random(f"wrong answers {seed}")  # noqa: S311
    products: list[Row] = [
        (key, f"S{key}", "Thing", "home", "Örn", 900 * key, 300 * key, write_time(START))
        for key in range(1, 6)
    ]
    shop = SmallShop([], products, [], [], [])
    for user_id in range(1, user_count + 1):
        signed_up_at = START + timedelta(minutes=chance.randrange(150 * 1440))
        shop.users.append(
            (
                user_id,
                f"{user_id}@example.com",
                "A B",
                "SE",
                "Lund",
                "email",
                write_time(signed_up_at),
            )
        )
        at = signed_up_at
        for _ in range(chance.choice((0, 1, 1, 2, 3, 5))):
            at += timedelta(minutes=chance.randrange(1, 60 * 1440))
            if chance.random() < 0.4:
                # Around midnight before the next month, which time zones shift.
                next_month = (at.replace(day=1) + timedelta(days=32)).replace(day=1)
                edge = next_month.replace(hour=0, minute=0)
                at = max(at, edge + timedelta(minutes=chance.randrange(-550, 550)))
            if write_time(at) <= AS_OF:
                _add_order(shop, chance, user_id, at)
    return shop


def _add_order(shop: SmallShop, chance: random.Random, user_id: int, at: datetime) -> None:
    order_id = len(shop.orders) + 1
    subtotal = 0
    for _ in range(chance.choice((1, 1, 2, 3))):
        product_id, quantity = chance.randrange(1, 6), chance.choice((1, 1, 2, 4))
        price = 900 * product_id - chance.choice((0, 0, 100))
        discount = chance.choice((0, 0, 50))
        total = quantity * price - discount
        item_id = len(shop.order_items) + 1
        shop.order_items.append(
            (item_id, order_id, product_id, quantity, price, discount, total)
        )
        subtotal += total
    discount = chance.choice((0, 0, subtotal // 10))
    shipping, tax = chance.choice((0, 499)), (subtotal - discount) // 5
    total = subtotal - discount + shipping + tax
    status = chance.choice(STATUSES)
    shop.orders.append(
        (
            order_id,
            user_id,
            write_time(at),
            status,
            subtotal,
            discount,
            shipping,
            tax,
            total,
        )
    )
    outcomes = chance.choice((["succeeded"], ["failed", "succeeded"]))
    for outcome in outcomes if status != "pending" else ["failed"]:
        _add_payment(shop, order_id, "charge", outcome, total, at)
    if status in ("returned", "partially_returned", "cancelled"):
        amount = total // 2 if status == "partially_returned" else total
        _add_payment(
            shop,
            order_id,
            "refund",
            "succeeded",
            amount,
            at + timedelta(days=chance.randrange(1, 50)),
        )


def _add_payment(
    shop: SmallShop, order_id: int, kind: str, outcome: str, amount: int, at: datetime
) -> None:
    row = (len(shop.payments) + 1, order_id, kind, "card", outcome, amount, write_time(at))
    if row[-1] <= f"{AS_OF}T23:59:59Z":
        shop.payments.append(row)


def write_shop(shop: SmallShop, path: Path) -> None:
    """Make the database *path* with the rows of *shop*."""
    create_shop(path, **shop._asdict(), as_of=AS_OF)


def write_time(time: datetime) -> str:
    """Return *time* as in the files."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def read_time(text: Any) -> datetime:
    """Return the time in *text*."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007


def number_month(time: datetime) -> int:
    """Return the number of the month of *time*."""
    return time.year * 12 + time.month


# ---- The table ---------------------------------------------------------------------------


class Amounts(NamedTuple):
    """The units and amounts of one order."""

    units: int
    gross: int
    discount: int
    refunds: list[tuple[datetime, int]]


def compute_table(shop: SmallShop, mistakes: Collection[str] = ()) -> list[Record]:
    """Return the cohort table of *shop* with *mistakes*, a record for each cell."""
    statuses = choose_statuses(mistakes)
    orders = [order for order in shop.orders if order[3] in statuses]
    hours = next((int(m.partition(":")[2]) for m in mistakes if ":" in m), 0)
    shift = timedelta(hours=hours)
    firsts: dict[Any, datetime] = {}
    for order in orders:
        at = read_time(order[2])
        firsts[order[1]] = min(firsts.get(order[1], at), at)
    months = {user: number_month(first + shift) for user, first in firsts.items()}
    cohorts = choose_cohorts(shop, months, mistakes)

    def find_age(user: Any, at: datetime) -> int:
        month = number_month(at + shift)
        if "thirty_day_months" in mistakes:
            month = months[user] + (at - firsts[user]) // timedelta(days=30)
        return month - cohorts[user]

    tallies: defaultdict[tuple[int, int], Tally] = defaultdict(Tally)
    for order in orders:
        user, amounts = order[1], compute_amounts(shop, order, mistakes)
        tally = tallies[cohorts[user], find_age(user, read_time(order[2]))]
        tally.users.add(user)
        tally.orders += 1
        tally.units += amounts.units
        tally.gross += amounts.gross
        tally.discount += amounts.discount
        for at, refund in amounts.refunds:
            tallies[cohorts[user], find_age(user, at)].refund += refund
    records = list(list_cells(tallies, cohorts))
    for mistake in mistakes:
        records = change_table(records, mistake)
    return records


class Tally:
    """What happens in one cell."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.users: set[Any] = set()
        self.orders = self.units = self.gross = self.discount = self.refund = 0


def choose_statuses(mistakes: Collection[str]) -> set[str]:
    """Return the statuses that count."""
    statuses = set(VALID)
    if {"cancelled_orders_counted", "all_orders_counted"} & {*mistakes}:
        statuses.add("cancelled")
    if {"pending_orders_counted", "all_orders_counted"} & {*mistakes}:
        statuses.add("pending")
    if "returned_orders_excluded" in mistakes:
        statuses -= {"returned", "partially_returned"}
    if "only_delivered_orders_counted" in mistakes:
        statuses = {"delivered"}
    return statuses


def choose_cohorts(
    shop: SmallShop, months: dict[Any, int], mistakes: Collection[str]
) -> dict[Any, int]:
    """Return the cohort of each user who is in one, as the number of its month."""
    found = months
    if {"cohorts_by_sign_up", "cohorts_by_sign_up_of_customers"} & {*mistakes}:
        found = {user[0]: number_month(read_time(user[6])) for user in shop.users}
    if {"cohorts_by_any_order", "cohorts_by_any_order_of_customers"} & {*mistakes}:
        found = {}
        for order in shop.orders:
            month = number_month(read_time(order[2]))
            found[order[1]] = min(found.get(order[1], month), month)
    if any(mistake.endswith("_of_customers") for mistake in mistakes):
        found = {user: month for user, month in found.items() if user in months}
    return found


def compute_amounts(shop: SmallShop, order: Row, mistakes: Collection[str]) -> Amounts:
    """Return the units and amounts of *order*."""
    lines = [line for line in shop.order_items if line[1] == order[0]]
    payments = [payment for payment in shop.payments if payment[1] == order[0]]
    units, gross, discount = add_lines(shop, lines, mistakes)
    order_discount = int(order[5])
    refunds = list_refunds(order, payments, mistakes)
    if {"order_discounts_ignored", "discounts_ignored"} & {*mistakes}:
        order_discount = 0
    if {"paid_amounts_as_revenue", "failed_charges_counted"} & {*mistakes}:
        gross = add_charges(payments, mistakes)
        discount = order_discount = 0
    if "joined_before_aggregating" in mistakes:
        times = max(1, len(payments))
        units, gross, discount = units * times, gross * times, discount * times
        order_discount *= times * len(lines)
        refunds = [(at, share * len(lines)) for at, share in refunds]
    return Amounts(units, gross, discount + order_discount, refunds)


def add_lines(
    shop: SmallShop, lines: Iterable[Row], mistakes: Collection[str]
) -> tuple[int, int, int]:
    """Return units, gross and discount of *lines*."""
    units = gross = discount = 0
    for _, _, product_id, quantity, sold_for, line_discount, _ in lines:
        list_price = shop.products[int(product_id) - 1][5]
        price = list_price if "list_price_instead_of_line" in mistakes else sold_for
        count = 1 if "quantity_ignored" in mistakes else int(quantity)
        units += count
        gross += count * int(price)
        if not {"line_discounts_ignored", "discounts_ignored"} & {*mistakes}:
            discount += int(line_discount)
    return units, gross, discount


def add_charges(payments: Iterable[Row], mistakes: Collection[str]) -> int:
    """Return the sum of the charges among *payments* that count."""
    counts_all = "failed_charges_counted" in mistakes
    return sum(
        int(payment[5])
        for payment in payments
        if payment[2] == "charge" and (counts_all or payment[4] == "succeeded")
    )


def list_refunds(
    order: Row, payments: Iterable[Row], mistakes: Collection[str]
) -> list[tuple[datetime, int]]:
    """Return the times and amounts of the refunds of *order*."""
    if "refunds_ignored" in mistakes:
        return []
    goods, total = int(order[4]) - int(order[5]), int(order[8])
    refunds = []
    for _, _, kind, _, outcome, amount, at in payments:
        if (kind, outcome) == ("refund", "succeeded"):
            share = int(amount) * goods // total
            if "refunds_with_shipping_and_tax" in mistakes:
                share = int(amount)
            in_order_month = "refunds_in_order_month" in mistakes
            refunds.append((read_time(order[2] if in_order_month else at), share))
    return refunds


def list_cells(
    tallies: dict[tuple[int, int], Tally], cohorts: dict[Any, int]
) -> Iterable[Record]:
    """Yield the cells of each cohort until the month of `AS_OF`."""
    last = number_month(datetime.fromisoformat(AS_OF))
    sizes: defaultdict[int, int] = defaultdict(int)
    for cohort in cohorts.values():
        sizes[cohort] += 1
    for cohort, size in sorted(sizes.items()):
        cum_net = 0
        for age in range(last - cohort + 1):
            tally = tallies.get((cohort, age), Tally())
            net = tally.gross - tally.discount - tally.refund
            cum_net += net
            year, month = divmod(cohort - 1, 12)
            yield {
                "cohort": f"{year}-{month + 1:02}",
                "months_since": age,
                "cohort_size": size,
                "active_customers": len(tally.users),
                "order_count": tally.orders,
                "unit_count": tally.units,
                "gross_cents": tally.gross,
                "discount_cents": tally.discount,
                "refund_cents": tally.refund,
                "net_cents": net,
                "cum_net_cents": cum_net,
                "is_complete": int(cohort + age < last),
            }


# ---- Averages over the cohorts -----------------------------------------------------------


def list_averages(records: Iterable[Record], way: str = "") -> list[Record]:
    """Return the averages of *records* by age, right or in the wrong *way*."""
    by_cohort: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_cohort[record["cohort"]].append(record)
    oldest = max(len(cells) for cells in by_cohort.values())
    averages: list[Record] = []
    total = 0.0
    for age in range(oldest):
        cells = [cells[age] for cells in by_cohort.values() if age < len(cells)]
        if way != "running_month_in_average":
            cells = [cell for cell in cells if cell["is_complete"]]
        if not cells:
            break
        so_far = [cell["cum_net_cents"] / cell["cohort_size"] for cell in cells]
        customers = sum(cell["cohort_size"] for cell in cells)
        value = sum(cell["cum_net_cents"] for cell in cells) / customers
        total += sum(cell["net_cents"] for cell in cells) / customers
        if way == "average_of_averages":
            value = sum(so_far) / len(so_far)
        elif way == "median_for_mean":
            value = statistics.median(so_far)
        elif way == "averages_added_up":
            value = total
        elif way == "young_cohorts_in_average":
            latest = [cells[min(age, len(cells) - 1)] for cells in by_cohort.values()]
            customers = sum(cell["cohort_size"] for cell in latest)
            value = sum(cell["cum_net_cents"] for cell in latest) / customers
        averages.append({"months_since": age, "ltv_cents": round(value, 2)})
    return averages


# ---- Mistakes of the table ---------------------------------------------------------------


def change_table(records: list[Record], mistake: str) -> list[Record]:
    """Return *records* with a *mistake* that concerns the table only; most do not."""
    if mistake == "ages_from_one":
        return [one | {"months_since": one["months_since"] + 1} for one in records]
    if mistake == "orders_instead_of_customers":
        return [one | {"active_customers": one["order_count"]} for one in records]
    if mistake == "customers_instead_of_orders":
        return [one | {"order_count": one["active_customers"]} for one in records]
    if mistake == "running_month_complete":
        return [one | {"is_complete": 1} for one in records]
    if mistake == "not_cumulated":
        return [one | {"cum_net_cents": one["net_cents"]} for one in records]
    if mistake == "quiet_months_missing":
        return [one for one in records if one["order_count"] or one["refund_cents"]]
    if mistake == "cumulated_twice":
        return accumulate_again(records)
    if mistake in ("future_as_zero", "future_as_carried_sums"):
        return fill_triangle(records, keeps_sums=mistake == "future_as_carried_sums")
    return records


def accumulate_again(records: list[Record]) -> list[Record]:
    """Return *records*, whose net is cumulative, with the sums of these sums."""
    sums: defaultdict[str, int] = defaultdict(int)
    changed = []
    for record in records:
        sums[record["cohort"]] += record["cum_net_cents"]
        changed.append(record | {"cum_net_cents": sums[record["cohort"]]})
    return changed


def fill_triangle(records: list[Record], *, keeps_sums: bool) -> list[Record]:
    """Return *records* with cells of the future for each cohort but the oldest."""
    filled = list(records)
    oldest = max(record["months_since"] for record in records)
    for cohort in {record["cohort"] for record in records}:
        last = [record for record in records if record["cohort"] == cohort][-1]
        kept = {"cohort", "cohort_size", *(["cum_net_cents"] if keeps_sums else [])}
        blank = {name: last[name] if name in kept else 0 for name in last}
        ages = range(last["months_since"] + 1, oldest + 1)
        filled += [blank | {"months_since": age} for age in ages]
    return filled
