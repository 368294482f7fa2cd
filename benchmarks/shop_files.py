"""A shop read from its five CSV files, with what the statistics of `realism.py` need."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from data_generation.datapackage import read_package
from data_generation.plan import Plan
from utils.contract import MANIFEST_NAME
from utils.helpers import DataError

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

DAY = timedelta(days=1)
WEEK_DAYS = 7
SATURDAY = 5
MONTHS_A_YEAR = 12

# Local time, without daylight saving: hours from UTC by country, and for all others.
HOURS_FROM_UTC = {"US": -6, "BR": -3, "GB": 0}
OTHER_HOURS_FROM_UTC = 1

NOT_VALID = frozenset({"pending", "cancelled"})
RETURNED = frozenset({"returned", "partially_returned"})

# An order this old has been delivered for 45 days: its returns are known.
OLD_ENOUGH = 60 * DAY


class User(NamedTuple):
    """A row of users.csv, with the columns that are needed."""

    user_id: str
    email: str
    full_name: str
    country_code: str
    city: str
    channel: str
    signed_up_at: datetime


class Product(NamedTuple):
    """A row of products.csv, with the columns that are needed."""

    product_id: str
    category: str
    brand: str
    price_cents: int
    cost_cents: int
    launched_at: datetime


class Order(NamedTuple):
    """A row of orders.csv; *value_cents* is its goods after discounts."""

    order_id: str
    user_id: str
    ordered_at: datetime
    status: str
    value_cents: int
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    total_cents: int

    @property
    def is_valid(self) -> bool:
        """Return whether the order was paid and not cancelled."""
        return self.status not in NOT_VALID


class Line(NamedTuple):
    """A row of order_items.csv, with the columns that are needed."""

    order_id: str
    product_id: str
    quantity: int
    unit_price_cents: int
    discount_cents: int
    total_cents: int


class Payment(NamedTuple):
    """A row of payments.csv, with the columns that are needed."""

    order_id: str
    kind: str
    method: str
    status: str
    amount_cents: int
    processed_at: datetime


@dataclass(frozen=True)
class Shop:
    """The five tables; orders are in time order, lines in the order of their ids.

    *plan* is that of a shop of this generator and this version, None for any other.
    """

    users: list[User]
    products: list[Product]
    orders: list[Order]
    lines: list[Line]
    payments: list[Payment]
    plan: Plan | None = None

    @cached_property
    def start(self) -> datetime:
        """Return the first midnight of the month of the first sign-up."""
        first = min(user.signed_up_at for user in self.users)
        return first.replace(day=1, hour=0, minute=0, second=0)

    @cached_property
    def end(self) -> datetime:
        """Return the midnight after the last event: the end of the data."""
        instants = [
            *(user.signed_up_at for user in self.users),
            *(order.ordered_at for order in self.orders),
            *(payment.processed_at for payment in self.payments),
        ]
        return max(instants).replace(hour=0, minute=0, second=0) + DAY

    @cached_property
    def valid_orders(self) -> list[Order]:
        """Return the orders that were paid and not cancelled."""
        return [order for order in self.orders if order.is_valid]

    @cached_property
    def old_orders(self) -> list[Order]:
        """Return the valid orders whose returns are known."""
        latest = self.end - OLD_ENOUGH
        return [order for order in self.valid_orders if order.ordered_at < latest]

    @cached_property
    def orders_by_user(self) -> dict[str, list[Order]]:
        """Return the orders of each customer who has one, in time order."""
        return group_items(self.orders, lambda order: order.user_id)

    @cached_property
    def valid_orders_by_user(self) -> dict[str, list[Order]]:
        """Return the valid orders of each customer who has one, in time order."""
        return group_items(self.valid_orders, lambda order: order.user_id)

    @cached_property
    def category_of(self) -> dict[str, str]:
        """Return the category of each product."""
        return {product.product_id: product.category for product in self.products}

    @cached_property
    def country_of(self) -> dict[str, str]:
        """Return the country of each user."""
        return {user.user_id: user.country_code for user in self.users}

    @cached_property
    def order_of(self) -> dict[str, Order]:
        """Return the orders by their id."""
        return {order.order_id: order for order in self.orders}

    @cached_property
    def main_category_of(self) -> dict[str, str]:
        """Return the category of the first line of each order."""
        return {
            order_id: self.category_of[basket[0].product_id]
            for order_id, basket in self.baskets.items()
        }

    @cached_property
    def method_of(self) -> dict[str, str]:
        """Return the payment method of each paid order: that of its first charge."""
        return {
            charge.order_id: charge.method
            for charge in reversed(self.charges)
            if charge.status == "succeeded"
        }

    def read_local_time(self, order: Order) -> datetime:
        """Return when *order* was placed, by the clock of its customer's country."""
        country = self.country_of[order.user_id]
        return order.ordered_at + timedelta(
            hours=HOURS_FROM_UTC.get(country, OTHER_HOURS_FROM_UTC)
        )

    @cached_property
    def baskets(self) -> dict[str, list[Line]]:
        """Return the lines of every order."""
        return group_items(self.lines, lambda line: line.order_id)

    @cached_property
    def charges(self) -> list[Payment]:
        """Return the charges, failed ones included."""
        return [payment for payment in self.payments if payment.kind == "charge"]

    @cached_property
    def years(self) -> list[int]:
        """Return the calendar years that the data covers to their end."""
        return list(range(self.start.year, self.end.year))


def add_months(day: datetime, months: int) -> datetime:
    """Return the first of the month that is *months* after the month of *day*.

    >>> add_months(datetime(2024, 1, 1), 18)
    datetime.datetime(2025, 7, 1, 0, 0)
    """
    years, month = divmod(day.month - 1 + months, MONTHS_A_YEAR)
    return day.replace(year=day.year + years, month=month + 1, day=1)


def group_items(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return *items* by their *key*, each group in the order of the items."""
    groups: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def read_shop(data_dir: Path) -> Shop:
    """Return the shop whose five CSV files lie in *data_dir*."""
    shop = Shop(
        users=[
            User(
                row["user_id"],
                row["email"],
                row["full_name"],
                row["country_code"],
                row["city"],
                row["acquisition_channel"],
                datetime.fromisoformat(row["signed_up_at"]),
            )
            for row in _read_rows(data_dir, "users")
        ],
        products=[
            Product(
                row["product_id"],
                row["category"],
                row["brand"],
                int(row["price_cents"]),
                int(row["cost_cents"]),
                datetime.fromisoformat(row["launched_at"]),
            )
            for row in _read_rows(data_dir, "products")
        ],
        orders=sorted(
            map(_make_order, _read_rows(data_dir, "orders")),
            key=lambda order: (order.ordered_at, int(order.order_id)),
        ),
        lines=[
            Line(
                row["order_id"],
                row["product_id"],
                int(row["quantity"]),
                int(row["unit_price_cents"]),
                int(row["discount_cents"]),
                int(row["line_total_cents"]),
            )
            for row in sorted(
                _read_rows(data_dir, "order_items"),
                key=lambda row: int(row["order_item_id"]),
            )
        ],
        payments=[
            Payment(
                row["order_id"],
                row["kind"],
                row["method"],
                row["status"],
                int(row["amount_cents"]),
                datetime.fromisoformat(row["processed_at"]),
            )
            for row in _read_rows(data_dir, "payments")
        ],
        plan=_read_plan(data_dir),
    )
    if not (shop.users and shop.products and shop.lines and shop.payments):
        raise DataError(f"{data_dir}: no orders to measure. Take a shop with more users.")
    return shop


def _read_plan(data_dir: Path) -> Plan | None:
    with suppress(DataError):
        return read_package(data_dir / MANIFEST_NAME).plan
    return None


def _read_rows(data_dir: Path, table: str) -> Iterator[dict[str, str]]:
    path = data_dir / f"{table}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        try:
            yield from csv.DictReader(file)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: not a CSV file in UTF-8: {error}.") from error


def _make_order(row: Mapping[str, str]) -> Order:
    return Order(
        order_id=row["order_id"],
        user_id=row["user_id"],
        ordered_at=datetime.fromisoformat(row["ordered_at"]),
        status=row["status"],
        value_cents=int(row["subtotal_cents"]) - int(row["discount_cents"]),
        subtotal_cents=int(row["subtotal_cents"]),
        discount_cents=int(row["discount_cents"]),
        shipping_cents=int(row["shipping_cents"]),
        total_cents=int(row["total_cents"]),
    )
