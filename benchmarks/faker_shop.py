"""Make the five tables of the shop with Faker, as a peer for compare_generators.py.

The columns are those of db/schema.sql; orders per user, items per order and payments per
order have about the generator's means.  Every drawn value comes from a provider of Faker,
because that is the purpose of the library; sums are plain Python.  Names are drawn without
Faker's weights, as its documentation recommends for speed.  This script does less than the
generator: rows are not in time order, and customers, seasons and products do not differ.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from faker import Faker  # type: ignore[import-not-found, unused-ignore]

SEED = 42
START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2025, 12, 31, tzinfo=UTC)
PRODUCT_COUNT = 300

# Each is drawn evenly: on average 1.88 orders a user and 1.71 items an order.
ORDER_COUNTS = (0, 1, 1, 1, 2, 2, 3, 5)
ITEM_COUNTS = (1, 1, 1, 1, 2, 2, 4)
FAILED_CHARGE_PER_CENT = 5
REFUND_PER_CENT = 18

CATEGORIES = ("Shoes", "Bags", "Tops", "Dresses", "Coats", "Accessories")
CHANNELS = ("organic_search", "paid_search", "email", "social", "referral", "direct")
METHODS = ("credit_card", "debit_card", "wallet", "bank_transfer", "gift_card")
STATUSES = ("pending", "paid", "shipped", "delivered", "cancelled")
DISCOUNTS_PER_CENT = (0, 0, 0, 10)
SHIPPING_CENTS = (0, 490, 990)
TAX_PER_CENT = 8

COLUMNS = {
    "users": "user_id,email,full_name,country_code,city,acquisition_channel,signed_up_at",
    "products": "product_id,sku,product_name,category,brand,price_cents,cost_cents,"
    "launched_at",
    "orders": "order_id,user_id,ordered_at,status,subtotal_cents,discount_cents,"
    "shipping_cents,tax_cents,total_cents",
    "order_items": "order_item_id,order_id,product_id,quantity,unit_price_cents,"
    "discount_cents,line_total_cents",
    "payments": "payment_id,order_id,kind,method,status,amount_cents,processed_at",
}

Row = tuple[object, ...]


class User(NamedTuple):
    """A row of users.csv, with its instant as a `datetime`."""

    user_id: int
    email: str
    full_name: str
    country_code: str
    city: str
    acquisition_channel: str
    signed_up_at: datetime


class Product(NamedTuple):
    """A row of products.csv, with its instant as a `datetime`."""

    product_id: int
    sku: str
    product_name: str
    category: str
    brand: str
    price_cents: int
    cost_cents: int
    launched_at: datetime


class Order(NamedTuple):
    """A row of orders.csv, with its instant as a `datetime`."""

    order_id: int
    user_id: int
    ordered_at: datetime
    status: str
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    tax_cents: int
    total_cents: int


class Item(NamedTuple):
    """A row of order_items.csv without its key."""

    order_id: int
    product_id: int
    quantity: int
    unit_price_cents: int
    discount_cents: int
    line_total_cents: int


class Payment(NamedTuple):
    """A row of payments.csv without its key, with its instant as a `datetime`."""

    order_id: int
    kind: str
    method: str
    status: str
    amount_cents: int
    processed_at: datetime


def make_user(fake: Faker, user_id: int) -> User:
    """Return a user who signs up within the window."""
    return User(
        user_id=user_id,
        email=fake.unique.email(),
        full_name=fake.name(),
        country_code=fake.country_code(),
        city=fake.city(),
        acquisition_channel=fake.random_element(CHANNELS),
        signed_up_at=fake.date_time_between(START, END, tzinfo=UTC),
    )


def make_product(fake: Faker, product_id: int) -> Product:
    """Return a product that costs the shop half its price."""
    price_cents = fake.random_int(500, 20_000)
    return Product(
        product_id=product_id,
        sku=fake.unique.bothify("??-#####"),
        product_name=fake.catch_phrase(),
        category=fake.random_element(CATEGORIES),
        brand=fake.company(),
        price_cents=price_cents,
        cost_cents=price_cents // 2,
        launched_at=START,
    )


def make_item(fake: Faker, order_id: int, products: Sequence[Product]) -> Item:
    """Return a line of order *order_id* with one of *products*."""
    product = fake.random_element(products)
    quantity = fake.random_int(1, 3)
    gross_cents = quantity * product.price_cents
    discount_cents = gross_cents * fake.random_element(DISCOUNTS_PER_CENT) // 100
    return Item(
        order_id=order_id,
        product_id=product.product_id,
        quantity=quantity,
        unit_price_cents=product.price_cents,
        discount_cents=discount_cents,
        line_total_cents=gross_cents - discount_cents,
    )


def make_order(fake: Faker, order_id: int, user: User, items: Iterable[Item]) -> Order:
    """Return the order of *user* that consists of *items*."""
    subtotal_cents = sum(item.line_total_cents for item in items)
    discount_cents = subtotal_cents * fake.random_element(DISCOUNTS_PER_CENT) // 100
    shipping_cents = fake.random_element(SHIPPING_CENTS)
    tax_cents = (subtotal_cents - discount_cents) * TAX_PER_CENT // 100
    return Order(
        order_id=order_id,
        user_id=user.user_id,
        ordered_at=fake.date_time_between(user.signed_up_at, END, tzinfo=UTC),
        status=fake.random_element(STATUSES),
        subtotal_cents=subtotal_cents,
        discount_cents=discount_cents,
        shipping_cents=shipping_cents,
        tax_cents=tax_cents,
        total_cents=subtotal_cents - discount_cents + shipping_cents + tax_cents,
    )


def make_payments(fake: Faker, order: Order) -> Iterator[Payment]:
    """Yield the charge of *order*, sometimes after a failed one or before a refund."""
    method = fake.random_element(METHODS)
    paid_at = order.ordered_at + timedelta(seconds=fake.random_int(30, 300))
    charge = Payment(
        order.order_id, "charge", method, "succeeded", order.total_cents, paid_at
    )
    if fake.boolean(FAILED_CHARGE_PER_CENT):
        yield charge._replace(status="failed", processed_at=order.ordered_at)
    yield charge
    if fake.boolean(REFUND_PER_CENT):
        refunded_at = paid_at + timedelta(days=fake.random_int(3, 30))
        yield charge._replace(kind="refund", processed_at=refunded_at)


def make_shop(fake: Faker, user_count: int) -> dict[str, list[Row]]:
    """Return the rows of the five tables, by table, for *user_count* users."""
    products = [make_product(fake, number) for number in range(1, PRODUCT_COUNT + 1)]
    users = [make_user(fake, number) for number in range(1, user_count + 1)]
    orders: list[Row] = []
    items: list[Row] = []
    payments: list[Row] = []
    for user in users:
        for _ in range(fake.random_element(ORDER_COUNTS)):
            order_id = len(orders) + 1
            lines = [
                make_item(fake, order_id, products)
                for _ in range(fake.random_element(ITEM_COUNTS))
            ]
            order = make_order(fake, order_id, user, lines)
            orders.append(order)
            items += ((number, *line) for number, line in enumerate(lines, len(items) + 1))
            for payment in make_payments(fake, order):
                payments.append((len(payments) + 1, *payment))
    return {
        "users": [*users],
        "products": [*products],
        "orders": orders,
        "order_items": items,
        "payments": payments,
    }


def write_table(path: Path, header: str, rows: Iterable[Row]) -> None:
    """Write *rows* below *header* to the CSV file at *path*, instants as in the schema."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        for row in rows:
            writer.writerow(
                value.strftime("%Y-%m-%dT%H:%M:%SZ")
                if isinstance(value, datetime)
                else value
                for value in row
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the shop's five tables with Faker.")
    parser.add_argument("--users", type=int, default=1_000, metavar="N")
    parser.add_argument("--out-dir", type=Path, default=Path(), metavar="DIR")
    args = parser.parse_args(argv)

    Faker.seed(SEED)
    for name, rows in make_shop(Faker(use_weighting=False), args.users).items():
        write_table(args.out_dir / f"{name}.csv", COLUMNS[name], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
