"""The generator: the same bytes for a seed, plausible customers, a correct manifest."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import tempfile
import unittest
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from operator import itemgetter
from pathlib import Path
from statistics import correlation, mean

import generate_data
from data_generation.model import assortment, catalog, customers, markets, orders, seasons
from data_generation.model.channels import CHANNELS
from data_generation.model.events import Shocks
from data_generation.model.names import FAMILY_NAMES, GIVEN_NAMES
from data_generation.model.streams import FORMAT_VERSION, Streams
from data_generation.plan import DEFAULT_END, DEFAULT_START
from tests.golden_sums import OTHER_SHOP, OTHER_SUMS, SAMPLE_SUMS
from tests.support import (
    IN_CI,
    ROOT,
    SAMPLE_USERS,
    ShopCase,
    call,
    hash_folder,
    read_rows,
    run_script,
    sample_shop,
)
from utils.contract import read_contract


class Reproducibility(ShopCase):
    """The same seed gives the same bytes in every environment."""

    def test_same_seed_gives_the_published_checksums(self) -> None:
        self.assert_sums(sample_shop(), SAMPLE_SUMS)

    def test_another_shop_gives_its_published_checksums(self) -> None:
        self.generate(*OTHER_SHOP)
        self.assert_sums(self.folder, OTHER_SUMS)

    def assert_sums(self, folder: Path, sums: dict[int, dict[str, str]]) -> None:
        """Fail unless the tables in *folder* have the *sums* of this format version."""
        digests = hash_folder(folder)
        self.assertEqual(
            {table: digests[f"{table}.csv"] for table in sums[2]}, sums[FORMAT_VERSION]
        )

    def test_hash_seed_time_zone_and_locale_change_no_byte(self) -> None:
        environments = {
            "hash seed and encoding": {"PYTHONHASHSEED": "987", "PYTHONUTF8": "0"},
            "other hash seed, time zone and locale": {
                "PYTHONHASHSEED": "1",
                "TZ": "Asia/Tokyo",
                "LC_ALL": "C",
                "LANG": "C",
            },
        }
        window = () if IN_CI else ("--end", "2024-02-29")
        plan = ("--users", SAMPLE_USERS, *window)
        self.generate(*plan, "--out-dir", self.folder / "here")
        expected = hash_folder(self.folder / "here")
        for name, env in list(environments.items())[0 if IN_CI else 1 :]:
            with self.subTest(name):
                out_dir = self.folder / name
                result = run_script(
                    "generate_data.py",
                    "--generate",
                    *plan,
                    "--out-dir",
                    out_dir,
                    cwd=self.folder,
                    env=env,
                )
                self.assertEqual(result.status, 0, result.stderr)
                self.assertEqual(hash_folder(out_dir), expected)

    def test_new_run_overwrites_every_earlier_file(self) -> None:
        short = ("--end", "2024-03-31")
        self.generate("--users", 10, *short)
        first = hash_folder(self.folder)
        self.generate("--users", 30, *short)
        self.generate("--users", 10, *short)
        self.assertEqual(hash_folder(self.folder), first)

    def test_different_seeds_give_different_files(self) -> None:
        seen = set()
        for seed in (0, 1, 2, 42, 2**32, 2**63, 2**64 - 1):
            self.generate("--users", 5, "--end", "2024-01-31", "--seed", seed)
            seen.add(hash_folder(self.folder)["users.csv"])
        self.assertEqual(len(seen), 7)

    def test_streams_differ_if_any_part_of_their_name_differs(self) -> None:
        streams = Streams(1)
        draws = [
            streams.draw("users", "city", "2024-01-01", 4),
            streams.draw("users", "city", "2024-01-02", 4),
            streams.draw("users", "cit", "y2024-01-01", 4),
            streams.draw("orders", "city", "2024-01-01", 4),
            Streams(11).draw("users", "city", "2024-01-01", 4),
        ]
        self.assertEqual(len(set(draws)), len(draws))

    def test_longer_draw_begins_with_the_shorter_one(self) -> None:
        streams = Streams(7)
        for draw in (streams.draw, streams.draw_halves, streams.draw_bytes):
            self.assertEqual(draw("a", "b", 1, 100)[:9], draw("a", "b", 1, 9))


class GeneratorSource(unittest.TestCase):
    """The generator's code uses nothing that differs between platforms or runs."""

    MODULES = frozenset({"random", "uuid", "secrets", "time", "math", "locale", "numpy"})
    CALLS = frozenset(
        {"hash", "float", "id", "now", "today", "urandom", "utcnow", "round", "set"}
    )
    # Where `/` divides decimals or joins paths.
    DIVIDING = frozenset(
        {
            "distributions.py",
            "expectations.py",
            "truth.py",
            *("days.py", "generate_data.py", "parts.py", "spans.py"),
            *("spark_job.py", "workers.py"),
            *("effects.py", "plant.py", "repair.py"),
        }
    )
    # These use this machine's byte order, which is allowed for scratch files only.
    NATIVE = frozenset({"tofile", "fromfile", "frombytes", "tobytes", "cast"})
    SCRATCH = frozenset({"spans.py", "pieces.py"})

    def find_faults(self, name: str, source: str) -> list[str]:
        """Return what in *source*, the text of a file called *name*, breaks the promise."""
        return [
            fault
            for node in ast.walk(ast.parse(source))
            for fault in self.check_node(name, node)
        ]

    def check_node(self, name: str, node: ast.AST) -> Iterator[str]:
        """Yield what in *node* breaks the promise."""
        place = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (f"{place}: imports {module}" for module in self.find_imports(node))
        elif isinstance(node, ast.Call):
            yield from (f"{place}: calls {name}" for name in self.find_calls(name, node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{place}: a float"
        elif isinstance(node, ast.Set | ast.SetComp):
            yield f"{place}: a set has no order"
        elif isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Div) and name not in self.DIVIDING:
                yield f"{place}: divides into a float"
            is_text = isinstance(node.left, ast.JoinedStr) or isinstance(
                getattr(node.left, "value", None), str
            )
            if isinstance(node.op, ast.Mod) and is_text:
                yield f"{place}: formats with %"

    def find_imports(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        """Yield the forbidden modules that *node* imports."""
        from_module = getattr(node, "module", None)
        for module in [from_module] if from_module else [part.name for part in node.names]:
            if module.split(".")[0] in self.MODULES:
                yield module

    def find_calls(self, name: str, node: ast.Call) -> Iterator[str]:
        """Yield what *node* calls, if that may differ between machines."""
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if called in self.CALLS or (called in self.NATIVE and name not in self.SCRATCH):
            yield called
        if called in ("pack", "unpack"):
            form = ast.unparse(node.args[0]) if node.args else ""
            if not form.lstrip("f").strip("'\"").startswith("<"):
                yield f"{called} without a byte order"

    def test_generator_uses_nothing_that_differs_between_machines(self) -> None:
        for path in sorted((ROOT / "data_generation").rglob("*.py")):
            faults = self.find_faults(path.name, path.read_text(encoding="utf-8"))
            self.assertEqual(faults, [])

    def test_check_finds_every_forbidden_construct(self) -> None:
        for source in (
            "import random",
            "from math import log",
            "import uuid as u",
            "hash('a')",
            "x = float('1')",
            "date.today()",
            "datetime.now()",
            "os.urandom(4)",
            "x = 1.5",
            "a / b",
            "for x in {1, 2}: pass",
            "{x for x in y}",
            "set(x)",
            "'%d' % 4",
            "struct.unpack('4I', data)",
            "struct.unpack(f'{n}I', data)",
            "round(x)",
            "memoryview(x).cast('I')",
            "array('I', x).tobytes()",
            "from time import time",
        ):
            with self.subTest(source):
                self.assertTrue(self.find_faults("any.py", source))
        self.assertEqual(self.find_faults("any.py", "struct.unpack(f'<{n}I', x)"), [])


class TextValues(unittest.TestCase):
    """Rows are joined with commas without quoting, so no text may need quotes."""

    def all_words(self) -> Iterator[str]:
        for country in markets.COUNTRIES:
            yield from (country.code, *country.cities)
            yield from GIVEN_NAMES[country.code].split()
            yield from FAMILY_NAMES[country.code].split()
        for category in catalog.CATEGORIES:
            yield from (category.name, *category.nouns)
        yield from (*(brand.name for brand in catalog.BRANDS), *catalog.STYLES)
        names = [channel.name for channel in CHANNELS]
        yield from (channel.replace("_", " ") for channel in names)

    def test_no_word_needs_quotes_in_csv(self) -> None:
        for word in self.all_words():
            self.assertNotRegex(word, r'[,"\r\n\0_]|^\s|\s$|^$')

    def test_some_words_are_not_ascii(self) -> None:
        self.assertGreater(sum(not word.isascii() for word in self.all_words()), 50)


class GeneratedShop(ShopCase):
    """The five files agree with the contract, the manifest and one another."""

    def test_files_have_the_headers_of_the_contract(self) -> None:
        for table in read_contract().tables:
            text = (sample_shop() / f"{table.name}.csv").read_text(encoding="utf-8")
            self.assertEqual(text.split("\n", 1)[0], ",".join(table.column_names))

    def test_manifest_describes_every_file(self) -> None:
        manifest = json.loads(
            (sample_shop() / "datapackage.json").read_text(encoding="utf-8")
        )
        self.assertEqual(manifest["seed"], 42)
        self.assertEqual(manifest["users"], 150)
        self.assertEqual(manifest["window"], {"start": "2024-01-01", "end": "2025-12-31"})
        self.assertEqual(manifest["format_version"], FORMAT_VERSION)
        self.assertEqual(manifest["users_by"], "2025-12-31")
        contract = read_contract()
        for table, resource in zip(contract.tables, manifest["resources"], strict=True):
            data = (sample_shop() / resource["path"]).read_bytes()
            self.assertEqual(resource["bytes"], len(data))
            self.assertEqual(resource["rows"], data.count(b"\n") - 1)
            self.assertEqual(resource["hash"], f"sha256:{hashlib.sha256(data).hexdigest()}")
            fields = [field["name"] for field in resource["schema"]["fields"]]
            self.assertEqual(fields, table.column_names)
            self.assertEqual(resource["schema"]["primaryKey"], list(table.key))

    def test_manifest_states_the_foreign_keys(self) -> None:
        manifest = json.loads(
            (sample_shop() / "datapackage.json").read_text(encoding="utf-8")
        )
        references = {
            (resource["name"], key["fields"][0]): key["reference"]
            for resource in manifest["resources"]
            for key in resource["schema"].get("foreignKeys", [])
        }
        # Written out here, not read from the schema.
        self.assertEqual(
            references,
            {
                ("orders", "user_id"): {"resource": "users", "fields": ["user_id"]},
                ("order_items", "order_id"): {"resource": "orders", "fields": ["order_id"]},
                ("order_items", "product_id"): {
                    "resource": "products",
                    "fields": ["product_id"],
                },
                ("payments", "order_id"): {"resource": "orders", "fields": ["order_id"]},
            },
        )

    def test_manifest_states_no_foreign_key_to_an_omitted_table(self) -> None:
        self.generate("--users", 2, "--end", "2024-01-31", "--tables", "orders,payments")
        manifest = json.loads((self.folder / "datapackage.json").read_bytes())
        orders, payments = (resource["schema"] for resource in manifest["resources"])
        self.assertNotIn("foreignKeys", orders)
        self.assertEqual(len(payments["foreignKeys"]), 1)

    def test_ids_are_dense_and_in_time_order(self) -> None:
        for table, instant in (
            ("users", "signed_up_at"),
            ("products", "launched_at"),
            ("orders", "ordered_at"),
            ("payments", "processed_at"),
            ("order_items", "order_id"),
        ):
            rows = read_rows(sample_shop() / f"{table}.csv")
            ids = [int(next(iter(row.values()))) for row in rows]
            self.assertEqual(ids, list(range(1, len(rows) + 1)), table)
            values = [row[instant].rjust(20) for row in rows]
            self.assertEqual(values, sorted(values), table)

    def test_shop_has_every_status_kind_and_method(self) -> None:
        self.generate("--users", 1500, "--start", "2025-01-01")
        orders = Counter(row["status"] for row in read_rows(self.folder / "orders.csv"))
        payments = read_rows(self.folder / "payments.csv")
        self.assertEqual(len(orders), 7, orders)
        self.assertEqual({row["kind"] for row in payments}, {"charge", "refund"})
        self.assertEqual({row["status"] for row in payments}, {"succeeded", "failed"})
        self.assertEqual(
            {row["method"] for row in payments},
            {"wallet", "credit_card", "debit_card", "bank_transfer", "gift_card"},
        )

    def test_no_row_is_later_than_the_window(self) -> None:
        self.generate("--users", 300, "--end", "2024-03-31")
        for table, instant in (
            ("orders", "ordered_at"),
            ("payments", "processed_at"),
            ("users", "signed_up_at"),
        ):
            for row in read_rows(self.folder / f"{table}.csv"):
                self.assertLess(row[instant], "2024-04-01", row)

    def test_no_order_contains_a_product_twice(self) -> None:
        lines = [
            (row["order_id"], row["product_id"])
            for row in read_rows(sample_shop() / "order_items.csv")
        ]
        self.assertEqual(len(lines), len(set(lines)))


class Money(unittest.TestCase):
    """Sums are those of the contract, to the cent."""

    def test_money_adds_up_for_every_coupon_and_country(self) -> None:
        for number, country in enumerate(markets.COUNTRIES):
            for per_cent in (0, 10, 15):
                subtotals = [0, 99, 7499, 7500, 8333, 8334, 8823, 8824, 123_456_789]
                count = len(subtotals)
                money = orders.compute_money(
                    subtotals, [per_cent] * count, [number] * count
                )
                for subtotal, discount, fee, tax, total in zip(*money, strict=True):
                    self.assertEqual(discount, subtotal * per_cent // 100)
                    goods = subtotal - discount
                    self.assertEqual(fee, country.shipping_cents if goods < 7500 else 0)
                    self.assertLessEqual(
                        abs(1000 * tax - goods * country.tax_per_mille), 500
                    )
                    self.assertEqual(total, goods + fee + tax)

    def test_payments_of_one_second_keep_their_order(self) -> None:
        calendar = seasons.plan_calendar(date(2024, 1, 1), date(2024, 1, 2))
        payments = orders.DayPayments()
        for second, text in ((5, ",a,"), (5, ",b,"), (3, ",c,"), (5, ",d,")):
            payments.add(second, text)
        rows = [
            row
            for part in orders.format_payments(payments, calendar.texts[1], 7)
            for row in part
        ]
        self.assertEqual(
            rows,
            [
                "7,c,2024-01-02T00:00:03Z\n",
                "8,a,2024-01-02T00:00:05Z\n",
                "9,b,2024-01-02T00:00:05Z\n",
                "10,d,2024-01-02T00:00:05Z\n",
            ],
        )

    def test_payment_after_midnight_follows_the_later_payments_of_its_day(self) -> None:
        calendar = seasons.plan_calendar(date(2024, 1, 1), date(2024, 1, 2))
        builder = orders.OrderBuilder(Streams(1), calendar, orders.Ids())
        late = orders.PlacedOrders(
            ids=["1", "2"],
            countries=[0, 0],
            lifecycles=bytes(2),
            seconds=[86_380, 86_390],
            delays=bytes([15, 15]),
            chances=(0, 0),
            totals=[100, 200],
            first_shares={},
        )
        builder._add_immediate_charges(0, late)
        builder.payments_by_day[1].add(5, "of the day before")
        empty = assortment.Assortment(Streams(1), calendar, [])
        self.assertEqual(list(builder.make_day(0, [], empty)), [])
        self.assertEqual(builder.payments_by_day[0].seconds, [86_395])
        self.assertEqual(builder.payments_by_day[1].seconds, [5, 5])
        self.assertTrue(builder.payments_by_day[1].texts[1].startswith(",2,"))
        self.assertEqual(list(builder.make_day(1, [], empty)), [])
        self.assertEqual(list(builder.payments_by_day), [0, 1])


def find_spending_levels(user_count: int) -> dict[int, int]:
    """Return the hidden spending level of each user of the default shop, by id."""
    streams = Streams(42)
    shocks = Shocks(streams)
    calendar = seasons.plan_calendar(DEFAULT_START, DEFAULT_END, shocks.find_factor)
    signups = customers.PurchaseSchedule()
    counts = customers.plan_signups(shocks, calendar, user_count, len(calendar.days))
    first_id = 1
    for day, count in enumerate(counts):
        customers.sign_up_day(streams, calendar, day, first_id, count, 0, signups)
        first_id += count
    return {
        user: trait >> customers.LEVEL_SHIFT
        for user, trait in enumerate(signups.traits, start=1)
    }


def count_share(rows: list[dict[str, str]], column: str) -> float:
    """Return the share of *rows* in which *column* is not 0."""
    return sum(row[column] != "0" for row in rows) / len(rows)


class CustomerBase(unittest.TestCase):
    """A shop shows growth, repeat purchases, dropout, seasons and hours."""

    folder: Path
    orders: list[dict[str, str]]
    counts: Counter[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Make 3,000 users, enough for stable shares."""
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        call(generate_data.main, "--generate", "--users", 3000, "--out-dir", cls.folder)
        cls.orders = read_rows(cls.folder / "orders.csv")
        cls.counts = Counter(row["user_id"] for row in cls.orders)

    def test_shop_has_the_requested_number_of_users_and_grows(self) -> None:
        years = Counter(
            row["signed_up_at"][:4] for row in read_rows(self.folder / "users.csv")
        )
        self.assertEqual(years.total(), 3000)
        self.assertGreater(years["2025"], 1.3 * years["2024"])

    def test_most_customers_buy_once_and_some_often(self) -> None:
        once = sum(count == 1 for count in self.counts.values()) / len(self.counts)
        self.assertTrue(0.45 < once < 0.65, once)
        self.assertGreater(max(self.counts.values()), 15)
        self.assertLess(len(self.counts), 3000)

    def test_each_country_buys_in_its_own_evening(self) -> None:
        users = read_rows(self.folder / "users.csv")
        countries = {row["user_id"]: row["country_code"] for row in users}
        for table, column in ((self.orders, "ordered_at"), (users, "signed_up_at")):
            times = [(row[column], countries[row["user_id"]]) for row in table]
            self.assertEqual(times, sorted(times, key=itemgetter(0)), column)
            for country, evening, morning in (
                ("US", ("00", "01", "02"), ("10", "11", "12")),
                ("FR", ("17", "18", "19"), ("03", "04", "05")),
            ):
                with self.subTest(country, column=column):
                    hours = Counter(at[11:13] for at, of in times if of == country)
                    most = sum(hours[hour] for hour in evening)
                    self.assertGreater(most, 2.5 * sum(hours[hour] for hour in morning))

    def test_black_friday_and_cyber_monday_have_more_orders(self) -> None:
        days = Counter(row["ordered_at"][:10] for row in self.orders)
        for offset in (0, 3):  # Black Friday and Cyber Monday
            busy_days = [
                seasons.find_black_friday(year) + timedelta(days=offset)
                for year in (2024, 2025)
            ]
            before = sum(days[str(day - timedelta(days=7))] for day in busy_days)
            self.assertGreater(sum(days[str(day)] for day in busy_days), 1.8 * before)

    def test_order_values_follow_the_hidden_spending_level(self) -> None:
        levels = find_spending_levels(3000)
        spent = sorted(
            (levels[int(row["user_id"])], int(row["subtotal_cents"])) for row in self.orders
        )
        fifth = len(spent) // 5
        low = mean(cents for _, cents in spent[:fifth])
        high = mean(cents for _, cents in spent[-fifth:])
        self.assertGreater(high, 2.4 * low)
        logs = [(float(level), math.log(cents)) for level, cents in spent]
        self.assertGreater(correlation(*zip(*logs, strict=True)), 0.5)

    def test_coupons_promotions_and_gift_cards_occur(self) -> None:
        items = read_rows(self.folder / "order_items.csv")
        charges = [
            row
            for row in read_rows(self.folder / "payments.csv")
            if row["kind"] == "charge"
        ]
        for name, share, low, high in (
            ("coupons", count_share(self.orders, "discount_cents"), 0.08, 0.2),
            ("promotions", count_share(items, "discount_cents"), 0.04, 0.12),
        ):
            self.assertTrue(low < share < high, (name, share))
        orders = Counter(row["order_id"] for row in charges if row["status"] == "succeeded")
        split = sum(count == 2 for count in orders.values()) / len(orders)
        self.assertTrue(0.01 < split < 0.04, split)

    def test_some_payments_fail_and_some_orders_are_cancelled_or_returned(self) -> None:
        status = Counter(row["status"] for row in self.orders)
        share = {name: count / len(self.orders) for name, count in status.items()}
        self.assertTrue(0.01 < share["cancelled"] < 0.06, share)
        self.assertTrue(0.1 < share["returned"] + share["partially_returned"] < 0.25, share)
        payments = read_rows(self.folder / "payments.csv")
        failed = sum(row["status"] == "failed" for row in payments) / len(payments)
        self.assertTrue(0.01 < failed < 0.08, failed)

    def test_coats_sell_in_winter_and_swimwear_in_summer(self) -> None:
        categories = {
            row["product_id"]: row["category"]
            for row in read_rows(self.folder / "products.csv")
        }
        months = {row["order_id"]: row["ordered_at"][5:7] for row in self.orders}
        sold = Counter(
            (categories[row["product_id"]], months[row["order_id"]])
            for row in read_rows(self.folder / "order_items.csv")
        )
        coats, swim = "Coats & Knitwear", "Summer & Swim"
        self.assertGreater(sold[coats, "12"], 3 * sold[coats, "06"])
        self.assertGreater(sold[swim, "06"], 2 * sold[swim, "12"])


class ScaleLimits(ShopCase):
    """Small shops and unusual windows can be made and loaded."""

    def test_few_users_and_short_windows_can_be_loaded(self) -> None:
        years = ("--start", "2019-01-01", "--end", "2025-12-31")
        for arguments in (
            ("--users", 0, "--end", "2024-03-31"),
            ("--users", 1, "--end", "2024-03-31"),
            ("--users", 2, "--end", "2024-06-30"),
            ("--users", 50, "--start", "2024-02-29", "--end", "2024-02-29"),
            *([("--users", 20, *years)] if IN_CI else []),
        ):
            with self.subTest(arguments):
                self.generate(*arguments)
                result = self.ingest()
                # Files without rows are as the generator makes them.
                self.assertEqual((result.status, result.stderr), (0, ""), result)
                self.assertEqual(
                    self.query("SELECT COUNT(*) FROM users"), [(arguments[1],)]
                )
