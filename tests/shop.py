"""A shop small enough to compute by hand, for the tests of report and query.

Four users, four products, eight orders, as of 2024-03-15: January and February 2024 are
complete, March is not.  Every order status occurs.

    order  user  ordered     status              subtotal discount shipping  tax  total
    1      1     2024-01-10  delivered               3800      300      500  700   4700
    2      2     2024-01-20  partially_returned      5000        0        0 1000   6000
    3      1     2024-02-14  returned                1000        0      500  300   1800
    4      2     2024-02-15  cancelled, paid back    2000        0        0  400   2400
    5      3     2024-02-29  paid                    3000        0        0  600   3600
    6      3     2024-03-10  pending                 5000        0        0 1000   6000
    7      1     2024-03-12  shipped                 7000     1000        0 1200   7200
    8      2     2024-03-14  cancelled, never paid   1000        0        0  200   1200

Valid are 1, 2, 3, 5 and 7.  Gross is before discounts: order 1 is 1 x 2000 + 2 x 1000 =
4000, its discount 200 on the mugs' line + 300 on the order = 500.  Refunds count in the
month they are paid, with the share that goods have in the total, rounded down:

    order 2, 2024-02-05: 1000 * 5000 / 6000 = 833.3 -> 833
    order 3, 2024-02-20:  700 * 1000 / 1800 = 388.8 -> 388
    order 3, 2024-03-02: 1100 * 1000 / 1800 = 611.1 -> 611

    month    gross discount refund   net orders  new customers  returning
    2024-01   9000      500      0  8500  2      2 (1 and 2)    0
    2024-02   4000        0   1221  2779  2      1 (3)          1 (1)
    2024-03   7000     1000    611  5389  1      0              1 (1)
    all      20000     1500   1832 16668  5      3, one of them repeat (1)
"""

from __future__ import annotations

import csv
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from utils.contract import SCHEMA_PATH, Table, read_contract
from utils.digest import dataset_digest, provenance_digest, table_digest

Row = tuple[int | str, ...]

# user_id, email, full_name, country_code, city, acquisition_channel, signed_up_at
USERS: list[Row] = [
    (1, "ann@example.com", "Ann Ångman", "SE", "Malmö", "organic", "2024-01-01T08:00:00Z"),
    (2, "bob@example.com", "Bob Brown", "GB", "Leeds", "email", "2024-01-05T00:00:00Z"),
    (3, "eve@example.com", "Eve O'Neil", "IE", "Cork", "organic", "2024-02-10T12:00:00Z"),
    (4, "zoe@example.com", "Zoë Null", "SE", "Lund", "paid_search", "2024-03-01T10:00:00Z"),
]

# product_id, sku, product_name, category, brand, price_cents, cost_cents, launched_at
PRODUCTS: list[Row] = [
    (1, "SKU-1", "Teapot", "kitchen", "Örn", 2000, 1200, "2023-12-01T00:00:00Z"),
    (2, "SKU-2", "Mug", "kitchen", "Örn", 1000, 400, "2023-12-01T00:00:00Z"),
    (3, "SKU-3", "Lamp", "home", "Lux", 5000, 3000, "2024-01-15T00:00:00Z"),
    (4, "SKU-4", "Rug", "home", "Lux", 9000, 6000, "2024-01-15T00:00:00Z"),
]

# In cents: order_id, user_id, ordered_at, status, subtotal, discount, shipping, tax, total
ORDERS: list[Row] = [
    (1, 1, "2024-01-10T09:00:00Z", "delivered", 3800, 300, 500, 700, 4700),
    (2, 2, "2024-01-20T20:15:00Z", "partially_returned", 5000, 0, 0, 1000, 6000),
    (3, 1, "2024-02-14T20:30:00Z", "returned", 1000, 0, 500, 300, 1800),
    (4, 2, "2024-02-15T11:00:00Z", "cancelled", 2000, 0, 0, 400, 2400),
    (5, 3, "2024-02-29T23:59:59Z", "paid", 3000, 0, 0, 600, 3600),
    (6, 3, "2024-03-10T12:00:00Z", "pending", 5000, 0, 0, 1000, 6000),
    (7, 1, "2024-03-12T20:00:00Z", "shipped", 7000, 1000, 0, 1200, 7200),
    (8, 2, "2024-03-14T00:00:00Z", "cancelled", 1000, 0, 0, 200, 1200),
]

# In cents: order_item_id, order_id, product_id, quantity, unit_price, discount, line_total
ORDER_ITEMS: list[Row] = [
    (1, 1, 1, 1, 2000, 0, 2000),
    (2, 1, 2, 2, 1000, 200, 1800),
    (3, 2, 3, 1, 5000, 0, 5000),
    (4, 3, 2, 1, 1000, 0, 1000),
    (5, 4, 1, 1, 2000, 0, 2000),
    (6, 5, 2, 3, 1000, 0, 3000),
    (7, 6, 3, 1, 5000, 0, 5000),
    (8, 7, 1, 1, 2000, 0, 2000),
    (9, 7, 3, 1, 5000, 0, 5000),
    (10, 8, 2, 1, 1000, 0, 1000),
]

# In cents: payment_id, order_id, kind, method, status, amount, processed_at
PAYMENTS: list[Row] = [
    (1, 1, "charge", "card", "succeeded", 4700, "2024-01-10T09:00:30Z"),
    (2, 2, "charge", "wallet", "succeeded", 6000, "2024-01-20T20:15:10Z"),
    (3, 2, "refund", "wallet", "succeeded", 1000, "2024-02-05T10:00:00Z"),
    (4, 3, "charge", "card", "succeeded", 1800, "2024-02-14T20:31:00Z"),
    (5, 4, "charge", "card", "succeeded", 2400, "2024-02-15T11:00:20Z"),
    (6, 4, "refund", "card", "succeeded", 2400, "2024-02-16T08:00:00Z"),
    (7, 3, "refund", "card", "succeeded", 700, "2024-02-20T09:00:00Z"),
    (8, 5, "charge", "card", "failed", 3600, "2024-02-29T23:59:59Z"),
    (9, 5, "charge", "gift_card", "succeeded", 2000, "2024-03-01T00:00:40Z"),
    (10, 5, "charge", "card", "succeeded", 1600, "2024-03-01T00:00:50Z"),
    (11, 3, "refund", "card", "succeeded", 1100, "2024-03-02T09:00:00Z"),
    (12, 6, "charge", "wallet", "failed", 6000, "2024-03-10T12:00:05Z"),
    (13, 7, "charge", "card", "succeeded", 7200, "2024-03-12T20:00:10Z"),
]

AS_OF = "2024-03-15"


def create_shop(
    path: Path,
    *,
    users: Sequence[Row] = USERS,
    products: Sequence[Row] = PRODUCTS,
    orders: Sequence[Row] = ORDERS,
    order_items: Sequence[Row] = ORDER_ITEMS,
    payments: Sequence[Row] = PAYMENTS,
    as_of: str = AS_OF,
) -> Path:
    """Make the database *path* as the loader would, with rows in the schema's column order.

    An empty *as_of* is not recorded, as for a shop without events.
    """
    rows_by_table = {
        "users": users,
        "products": products,
        "orders": orders,
        "order_items": order_items,
        "payments": payments,
    }
    tables = read_contract().tables
    with closing(sqlite3.connect(path)) as connection:
        # Otherwise each statement of the schema waits for the disk.
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY")
        connection.executescript(SCHEMA_PATH.read_text(encoding="utf-8"))
        for table in tables:
            _insert_rows(connection, table, rows_by_table[table.name])
        record_provenance(connection, as_of=as_of)
        connection.commit()
    return path


def create_empty_shop(path: Path) -> Path:
    """Make a database that was loaded from five files with a header and no rows."""
    return create_shop(
        path, users=[], products=[], orders=[], order_items=[], payments=[], as_of=""
    )


# The days of the events of a tangled shop; the last one is its as-of day.
TANGLED_DAYS = [date(2023, 10, 20) + timedelta(days=day) for day in range(235)]


def create_tangled_shop(path: Path, *, seed: int) -> Path:
    """Make a database of 24 users with random cases that make counts go wrong.

    Orders share a timestamp, are not in the order of their keys, have no lines or cost
    nothing; categories tie; refunds are earlier than their order, partial or much later.
    """
    chance = random.Random(f"tangled shop {seed}")  # noqa: S311
    keys = iter(chance.sample(range(1, 1000), 400))
    users = [
        (
            key,
            f"{key}@example.com",
            "A B",
            chance.choice(("SE", "GB")),
            "Lund",
            chance.choice(("organic", "email", "paid_search")),
            "2023-10-01T00:00:00Z",
        )
        for key in range(1, 25)
    ]
    categories = ("home", "toys", "Zoo", "home", "ärt")
    products = [
        (
            key,
            f"SKU-{key}",
            "Thing",
            category,
            "Örn",
            1000,
            100 * key,
            "2023-10-01T00:00:00Z",
        )
        for key, category in enumerate(categories, 1)
    ]
    orders: list[Row] = []
    items: list[Row] = []
    payments: list[Row] = []
    for user in users:
        for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
            key = next(keys)
            lines = _tangle_lines(chance, key, len(items))
            items += lines
            subtotal = sum(int(line[-1]) for line in lines)
            discount = chance.choice((0, 0, subtotal // 3, subtotal))
            shipping, tax = chance.choice((0, 499)), chance.choice((0, 77))
            total = subtotal - discount + shipping + tax
            ordered_at = _tangle_timestamp(chance)
            status = chance.choice((*TANGLED_STATUSES, "delivered", "delivered"))
            orders.append(
                (key, user[0], ordered_at, status, subtotal, discount, shipping, tax, total)
            )
            for _ in range(chance.choice((0, 0, 1, 2))):
                kind = chance.choice(("refund", "refund", "charge"))
                outcome = chance.choice(("succeeded", "succeeded", "failed"))
                amount = chance.randrange(total + 1)
                at = chance.choice((ordered_at, _tangle_timestamp(chance)))
                payments.append((len(payments) + 1, key, kind, "card", outcome, amount, at))
    return create_shop(
        path,
        users=users,
        products=products,
        orders=orders,
        order_items=items,
        payments=payments,
        as_of=str(TANGLED_DAYS[-1]),
    )


TANGLED_STATUSES = (
    "pending",
    "paid",
    "shipped",
    "partially_returned",
    "returned",
    "cancelled",
)


def _tangle_lines(chance: random.Random, order_id: int, row_count: int) -> list[Row]:
    lines: list[Row] = []
    for key in range(row_count + 1, row_count + 1 + chance.choice((0, 1, 1, 2, 4))):
        quantity, discount = chance.choice((1, 1, 2)), chance.choice((0, 0, 300))
        total = quantity * 1000 - discount
        product_id = chance.randrange(1, 6)
        lines.append((key, order_id, product_id, quantity, 1000, discount, total))
    return lines


def _tangle_timestamp(chance: random.Random) -> str:
    day = chance.choice((*TANGLED_DAYS, *TANGLED_DAYS[:40:20] * 20))
    return f"{day}T{chance.choice(('00:00:00', '23:59:59'))}Z"


def write_files(database: Path, folder: Path) -> None:
    """Write the five tables of *database* to CSV files in *folder*."""
    with closing(sqlite3.connect(database)) as connection:
        for table in read_contract().tables:
            path = folder / f"{table.name}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(table.column_names)
                writer.writerows(connection.execute(f"SELECT * FROM {table.name}"))


def record_provenance(connection: sqlite3.Connection, *, as_of: str = AS_OF) -> None:
    """Write into `submission_meta` what the loader would, replacing its rows."""
    tables = read_contract().tables
    digests = {table.name: table_digest(connection, table) for table in tables}
    facts = [
        ("dataset", "as_of", as_of),
        ("dataset", "content_sha256", dataset_digest(digests)),
        ("generator", "currency", "EUR"),
        ("generator", "seed", "7"),
    ]
    for name, digest in digests.items():
        count = connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]
        facts += [
            (name, "content_sha256", digest),
            (f"{name}.csv", "manifest", "matches"),
            (f"{name}.csv", "rows", str(count)),
        ]
    connection.executemany(
        "INSERT OR REPLACE INTO submission_meta VALUES (?, ?, ?)",
        [fact for fact in facts if fact[2]],
    )
    seal_provenance(connection)


def seal_provenance(connection: sqlite3.Connection) -> None:
    """Record the digest of `submission_meta` as it is now."""
    connection.execute(
        "INSERT OR REPLACE INTO submission_meta VALUES"
        " ('submission_meta', 'content_sha256', ?)",
        (provenance_digest(connection),),
    )


def _insert_rows(connection: sqlite3.Connection, table: Table, rows: Sequence[Row]) -> None:
    marks = ", ".join("?" * len(table.columns))
    connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)
