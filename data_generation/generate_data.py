"""The run: from a plan to five CSV files and their manifest.

Sign-up days make users and their moments of purchase; the moments are sorted into order
days; order days make orders, items and payments.  Ids are dense and rise with time, and
every file is in time order.  The files appear only when all of them are whole.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import IO, Any, NamedTuple

from data_generation.catalog import (
    CATEGORIES,
    CURRENCY,
    LAUNCH_HOUR,
    Product,
    make_products,
    stock_shelves,
)
from data_generation.customers import Purchase, find_purchases, plan_signups, sign_up_users
from data_generation.orders import Payment, make_order_day, promote
from data_generation.seasons import DAY_SECONDS, Calendar, plan_calendar
from data_generation.streams import FORMAT_VERSION, LARGEST_SEED, Streams
from utils.contract import MANIFEST_NAME, Contract, Table, read_contract
from utils.helpers import DataError, hash_file, open_all_whole, render_json


class Plan(NamedTuple):
    """What to make: *users* customers who sign up from *start* to *end*, both included."""

    seed: int
    users: int
    start: date
    end: date


class Written(NamedTuple):
    """A finished file as the manifest tells of it; *rows* leaves the header out."""

    path: str
    bytes: int
    rows: int
    sha256: str


class Verified(NamedTuple):
    """A file as `verify_shop` found it; *verdict* is in words."""

    path: str
    is_exact: bool
    verdict: str


class TableFile:
    """One CSV file being written: counts and hashes what passes through."""

    def __init__(self, table: Table, file: IO[bytes]) -> None:
        self._name = table.name
        self._file = file
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._rows = 0
        self._write(",".join(table.column_names) + "\n")

    def write_rows(self, rows: list[str]) -> None:
        """Append *rows*, each a line with its newline."""
        self._rows += len(rows)
        self._write("".join(rows))

    def describe(self) -> Written:
        """Return what has been written so far."""
        return Written(
            path=f"{self._name}.csv",
            bytes=self._bytes,
            rows=self._rows,
            sha256=self._hash.hexdigest(),
        )

    def _write(self, text: str) -> None:
        data = text.encode("utf-8")
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)


def generate_shop(plan: Plan, out_dir: Path) -> list[Written]:
    """Write the five CSV files of *plan* and their manifest into *out_dir*.

    Return what was written, in the contract's order.  Raise `DataError` if *out_dir*
    cannot be written to; the files of an earlier run then stay as they are.
    """
    contract = read_contract()
    names = [*(f"{table.name}.csv" for table in contract.tables), MANIFEST_NAME]
    with open_all_whole([out_dir / name for name in names]) as (*opened, manifest):
        files = {
            table.name: TableFile(table, file)
            for table, file in zip(contract.tables, opened, strict=True)
        }
        fill_files(plan, {name: file.write_rows for name, file in files.items()})
        written = [file.describe() for file in files.values()]
        document = describe_package(plan, contract, written)
        manifest.write(render_json(document).encode("utf-8"))
    return written


def verify_shop(out_dir: Path) -> tuple[Plan, list[Verified]]:
    """Compare the files in *out_dir* with their manifest, and with what its seed makes.

    The shop is made again, from the plan in the manifest, in a temporary folder.  Return
    that plan and a verdict for each of the five files and the manifest.  Raise `DataError`
    if the manifest is missing or states no plan of this format version.
    """
    plan, listed = _read_manifest(out_dir / MANIFEST_NAME)
    with tempfile.TemporaryDirectory() as folder:
        made = {file.path: file.sha256 for file in generate_shop(plan, Path(folder))}
        made[MANIFEST_NAME] = hash_file(Path(folder) / MANIFEST_NAME)
    return plan, [
        _judge_file(out_dir / path, made_sha256, listed.get(path))
        for path, made_sha256 in made.items()
    ]


def _read_manifest(path: Path) -> tuple[Plan, dict[str, str]]:
    """Return the plan that the manifest at *path* states, and each file's SHA-256."""
    advice = "Make the files with --generate, or name their folder with --out-dir."
    try:
        document = json.loads(path.read_bytes())
        version = document["format_version"]
        window = document["window"]
        plan = Plan(
            document["seed"],
            document["users"],
            date.fromisoformat(window["start"]),
            date.fromisoformat(window["end"]),
        )
        listed = {
            file["path"]: file["hash"].removeprefix("sha256:")
            for file in document["resources"]
        }
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. {advice}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is not a manifest of this generator. {advice}") from error
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path}: format_version is {version!r}, this generator makes {FORMAT_VERSION}."
            " Verify with the version of the project that made the files."
        )
    is_plan = (
        type(plan.seed) is type(plan.users) is int
        and 0 <= plan.seed <= LARGEST_SEED
        and plan.users >= 0
        and plan.start <= plan.end
    )
    if not is_plan:
        raise DataError(f"{path}: seed, users or window is not a plan. {advice}")
    return plan, listed


def _judge_file(path: Path, made_sha256: str, listed_sha256: str | None) -> Verified:
    try:
        sha256 = hash_file(path)
    except FileNotFoundError:
        return Verified(path.name, is_exact=False, verdict="missing")
    if sha256 == made_sha256:
        return Verified(path.name, is_exact=True, verdict="exactly what this seed makes")
    if sha256 == listed_sha256:
        verdict = "as its manifest says, but not what this seed makes"
    else:
        verdict = "differs from what this seed makes"
    return Verified(path.name, is_exact=False, verdict=verdict)


def fill_files(plan: Plan, write: dict[str, Callable[[list[str]], None]]) -> None:
    """Make every row of *plan* and pass it on, as lines, to its table's function."""
    streams = Streams(plan.seed)
    calendar = plan_calendar(plan.start, plan.end)
    products = make_products(streams, len(calendar.days))
    write["products"]([_format_product(calendar, product) for product in products])
    diary = _Diary()
    for day_number, count in enumerate(plan_signups(streams, calendar, plan.users)):
        _sign_up_day(streams, calendar, day_number, count, diary, write["users"])
    for day_number in range(len(calendar.days)):
        _order_day(streams, calendar, day_number, products, diary, write)


class _Diary:
    """What the days hand to later days: purchases and payments to come, ids given out."""

    def __init__(self) -> None:
        self.purchases: dict[int, list[Purchase]] = defaultdict(list)
        self.payments: dict[int, list[Payment]] = defaultdict(list)
        self.user_count = 0
        self.order_count = 0
        self.item_count = 0
        self.payment_count = 0


def _sign_up_day(
    streams: Streams,
    calendar: Calendar,
    day_number: int,
    count: int,
    diary: _Diary,
    write_users: Callable[[list[str]], None],
) -> None:
    users = sign_up_users(streams, calendar, day_number, diary.user_count + 1, count)
    diary.user_count += count
    write_users([user.row for user in users])
    for at, user in enumerate(users):
        unit = f"{calendar.texts[day_number]}/{at}"
        for purchase in find_purchases(streams, calendar, user, unit):
            diary.purchases[purchase.second // DAY_SECONDS].append(purchase)


def _order_day(
    streams: Streams,
    calendar: Calendar,
    day_number: int,
    products: list[Product],
    diary: _Diary,
    write: dict[str, Callable[[list[str]], None]],
) -> None:
    purchases = sorted(diary.purchases.pop(day_number, []), key=lambda made: made[:3])
    if purchases:
        shelves = stock_shelves(products, day_number, calendar.days[day_number].month)
        orders = list(
            make_order_day(
                streams,
                calendar,
                day_number,
                purchases,
                shelves,
                promote(streams, calendar, day_number, len(products)),
                first_order_id=diary.order_count + 1,
                first_item_id=diary.item_count + 1,
            )
        )
        write["orders"]([order.row for order in orders])
        items = [row for order in orders for row in order.item_rows]
        write["order_items"](items)
        diary.order_count += len(orders)
        diary.item_count += len(items)
        for order in orders:
            for payment in order.payments:
                diary.payments[payment.second // DAY_SECONDS].append(payment)
    write["payments"](_number_payments(calendar, day_number, diary))


def _number_payments(calendar: Calendar, day_number: int, diary: _Diary) -> list[str]:
    payments = sorted(diary.payments.pop(day_number, []))
    first_id = diary.payment_count + 1
    diary.payment_count += len(payments)
    return [
        f"{payment_id},{payment.order_id},{payment.kind},{payment.method},{payment.status},"
        f"{payment.amount_cents},{calendar.format_instant(payment.second)}\n"
        for payment_id, payment in enumerate(payments, start=first_id)
    ]


def _format_product(calendar: Calendar, product: Product) -> str:
    launched_on = date.fromordinal(calendar.start.toordinal() + product.launch_day)
    return (
        f"{product.product_id},{product.sku},{product.name},"
        f"{CATEGORIES[product.category].name},{product.brand},{product.price_cents},"
        f"{product.cost_cents},{launched_on.isoformat()}T{LAUNCH_HOUR:02d}:00:00Z\n"
    )


def describe_package(
    plan: Plan, contract: Contract, written: list[Written]
) -> dict[str, Any]:
    """Return the manifest: a Frictionless Data Package with how the data was made."""
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "synthetic-commerce",
        "title": f"A synthetic shop: seed {plan.seed}, {plan.users} users",
        "seed": plan.seed,
        "users": plan.users,
        "window": {"start": plan.start.isoformat(), "end": plan.end.isoformat()},
        "format_version": FORMAT_VERSION,
        "currency": CURRENCY,
        "resources": [
            {
                "name": table.name,
                "type": "table",
                "path": file.path,
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "bytes": file.bytes,
                "hash": f"sha256:{file.sha256}",
                "rows": file.rows,
                "schema": _describe_schema(table),
            }
            for table, file in zip(contract.tables, written, strict=True)
        ],
    }


def _describe_schema(table: Table) -> dict[str, Any]:
    """Return the Table Schema of *table*; columns in `_at` hold instants."""
    schema: dict[str, Any] = {
        "fields": [
            {
                "name": column.name,
                "type": _field_type(column.name, column.type),
                "constraints": {"required": column.is_required},
            }
            for column in table.columns
        ],
        "primaryKey": list(table.key),
    }
    if table.foreign_keys:
        schema["foreignKeys"] = [
            {
                "fields": [key.column],
                "reference": {"resource": key.parent_table, "fields": [key.parent_column]},
            }
            for key in table.foreign_keys
        ]
    return schema


def _field_type(name: str, declared: str) -> str:
    if name.endswith("_at"):
        return "datetime"
    return {"INTEGER": "integer", "TEXT": "string"}[declared]
