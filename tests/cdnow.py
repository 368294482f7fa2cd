"""Turn CDNOW_master.txt, real purchases of 1997 and 1998, into the contract's five files.

    python -m tests.cdnow CDNOW_master.txt OUT_DIR

One row of the source, a number of CDs and an amount in dollars, becomes one order with one
item, paid at once.  Facts that the source does not contain get the simplest value: one
product without cost, midnight, one country and city, a name made of the number.

The data were published by P. Fader and B. Hardie for research.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from utils.atomic_files import write_atomically
from utils.contract import read_contract
from utils.helpers import DataError, print_safely, report_error

Row = tuple[int | str, ...]

PRODUCT_ID = 1


class Purchase(NamedTuple):
    """A row of the source; *at* is the first second of its day."""

    user_id: int
    at: str
    quantity: int
    total_cents: int


def read_purchases(master: Path) -> list[Purchase]:
    """Read the source: a blank line, a header, then customer, day, CDs and dollars."""
    purchases = []
    for number, line in enumerate(master.read_text(encoding="ascii").splitlines(), 1):
        if not line.strip()[:1].isdigit():
            continue
        try:
            purchases.append(parse_purchase(line))
        except ValueError as error:
            raise DataError(
                f"{master}:{number}: {line!r}, expected customer, YYYYMMDD, CDs and"
                " dollars. Use CDNOW_master.txt unchanged."
            ) from error
    if not purchases:
        raise DataError(
            f"{master}: no line is a purchase. Give the path of CDNOW_master.txt."
        )
    return purchases


def parse_purchase(line: str) -> Purchase:
    """Read one line of the source.

    >>> parse_purchase(" 00004 19970101  2   29.33")
    Purchase(user_id=4, at='1997-01-01T00:00:00Z', quantity=2, total_cents=2933)
    """
    user_id, day, quantity, dollars = line.split()
    whole, _, cents = dollars.partition(".")
    if len(cents) != 2 or len(day) != 8 or int(quantity) < 1:
        raise ValueError(line)
    at = f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00Z"
    return Purchase(int(user_id), at, int(quantity), int(whole) * 100 + int(cents))


def convert_users(purchases: Iterable[Purchase]) -> Iterator[Row]:
    """Yield the users, who sign up with their first purchase."""
    signed_up: dict[int, str] = {}
    for purchase in purchases:
        first = signed_up.setdefault(purchase.user_id, purchase.at)
        signed_up[purchase.user_id] = min(first, purchase.at)
    for user_id, at in sorted(signed_up.items()):
        email = f"customer{user_id:05}@example.com"
        yield user_id, email, f"Customer {user_id}", "US", "Unknown", "unknown", at


def convert_products(purchases: Sequence[Purchase]) -> Iterator[Row]:
    """Yield the one product, at the mean price of all CDs sold and at no cost."""
    cents = sum(purchase.total_cents for purchase in purchases)
    price = round(cents / sum(purchase.quantity for purchase in purchases))
    launched_at = min(purchase.at for purchase in purchases)
    yield PRODUCT_ID, "CD", "Compact disc", "music", "CDNOW", price, 0, launched_at


def convert_orders(purchases: Iterable[Purchase]) -> Iterator[Row]:
    """Yield an order per purchase, without coupon, shipping and tax."""
    for order_id, (user_id, at, _, cents) in enumerate(purchases, 1):
        yield order_id, user_id, at, "delivered", cents, 0, 0, 0, cents


def convert_order_items(purchases: Iterable[Purchase]) -> Iterator[Row]:
    """Yield an item per purchase.

    The unit price is rounded up to a whole cent; the discount of the line is the excess, so
    that the line total is exactly the amount paid.
    """
    for order_id, (_, _, quantity, cents) in enumerate(purchases, 1):
        unit_price = -(-cents // quantity)
        discount = unit_price * quantity - cents
        yield order_id, order_id, PRODUCT_ID, quantity, unit_price, discount, cents


def convert_payments(purchases: Iterable[Purchase]) -> Iterator[Row]:
    """Yield a charge per purchase."""
    for order_id, (_, at, _, cents) in enumerate(purchases, 1):
        yield order_id, order_id, "charge", "card", "succeeded", cents, at


CONVERTERS = {
    "users": convert_users,
    "products": convert_products,
    "orders": convert_orders,
    "order_items": convert_order_items,
    "payments": convert_payments,
}


def convert_master(master: Path, out_dir: Path) -> dict[str, int]:
    """Write the five files into *out_dir*; return the number of rows of each."""
    purchases = sorted(read_purchases(master), key=lambda purchase: purchase.at)
    row_counts = {}
    texts = {}
    for table in read_contract().tables:
        rows = [table.column_names, *CONVERTERS[table.name](purchases)]
        row_counts[table.name] = len(rows) - 1
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        texts[out_dir / f"{table.name}.csv"] = text.getvalue()
    write_atomically(texts)
    return row_counts


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cdnow", description=__doc__)
    parser.add_argument("master", type=Path, help="CDNOW_master.txt")
    parser.add_argument("out_dir", type=Path, help="folder for the five CSV files")
    args = parser.parse_args(argv)
    try:
        row_counts = convert_master(args.master, args.out_dir)
    except (DataError, OSError, ValueError) as error:
        report_error("cdnow", error)
        return 1
    for name, count in row_counts.items():
        print_safely(f"{name}.csv: {count:,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
