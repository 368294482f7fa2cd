"""The generator: same seed, same bytes, plausible customers, a manifest that is true."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import math
import os
import tempfile
import unittest
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import correlation, mean
from unittest import mock

import generate_data
from data_generation import catalog, customers, seasons
from data_generation.distributions import UNIT, Quantiles, beta, exponential, gamma
from data_generation.streams import WORDS, Streams
from tests.support import (
    ROOT,
    Result,
    ShopCase,
    call,
    refuse_to_replace,
    run_script,
    sample_shop,
)
from utils.contract import read_contract

# The promise: these bytes, on every Python, system and processor.  A change here is a new
# format version.  From: python generate_data.py --generate --seed 42 --users 150
GOLDEN = {
    "users.csv": "6c9738c701e9766647293c1439328116070a7675539c0043cd415c96220e02cd",
    "products.csv": "c0a2ffe39cdd9af287742443c265b7aea7eb34da2c2065c1a458ddd56152768f",
    "orders.csv": "0a623eb1433d2cfff536d504d6aa6b5b7629120c19bb65c0854f78e0557a9e7e",
    "order_items.csv": "1dfc248dd6aee3a2139668701563c01c216ed94c16ff77aff996dd6c26a8f8d7",
    "payments.csv": "2ee57234ea855ad8b44c00b285e5c7518d1d05a6018d68ff7e876da035138d56",
}


def hash_folder(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in *folder*, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def read_rows(folder: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of *table* in *folder*."""
    with open(folder / f"{table}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TheSameSeed(ShopCase):
    """Gives the same bytes whatever surrounds the run."""

    def test_gives_the_published_checksums(self) -> None:
        digests = hash_folder(sample_shop())
        self.assertEqual({name: digests[name] for name in GOLDEN}, GOLDEN)

    def test_gives_the_same_bytes_in_another_surrounding(self) -> None:
        surroundings = {
            "hash seed": {"PYTHONHASHSEED": "1"},
            "other hash seed": {"PYTHONHASHSEED": "987", "PYTHONUTF8": "0"},
            "time zone and locale": {"TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "C"},
        }
        expected = {name: digest for name, digest in hash_folder(sample_shop()).items()
                    if name in GOLDEN or name == "datapackage.json"}  # fmt: skip
        for name, env in surroundings.items():
            with self.subTest(name):
                out_dir = self.folder / name
                result = run_script(
                    "generate_data.py", "--generate", "--users", 150, "--out-dir", out_dir,
                    cwd=self.folder, env=env,
                )  # fmt: skip
                self.assertEqual(result.status, 0, result.stderr)
                self.assertEqual(hash_folder(out_dir), expected)

    def test_overwrites_an_earlier_run_without_a_trace(self) -> None:
        self.generate("--users", 10)
        first = hash_folder(self.folder)
        self.generate("--users", 30)
        self.generate("--users", 10)
        self.assertEqual(hash_folder(self.folder), first)

    def test_is_not_the_same_as_its_neighbour(self) -> None:
        seen = set()
        for seed in (0, 1, 2, 42, 2**32, 2**63, 2**64 - 1):
            self.generate("--users", 5, "--seed", seed)
            seen.add(hash_folder(self.folder)["users.csv"])
        self.assertEqual(len(seen), 7)

    def test_streams_are_told_apart_by_every_part_of_their_name(self) -> None:
        streams = Streams(1)
        draws = [
            streams.draw("users", "city", "2024-01-01", 4),
            streams.draw("users", "city", "2024-01-02", 4),
            streams.draw("users", "cit", "y2024-01-01", 4),
            streams.draw("orders", "city", "2024-01-01", 4),
            Streams(11).draw("users", "city", "2024-01-01", 4),
        ]
        self.assertEqual(len(set(draws)), len(draws))

    def test_a_longer_draw_begins_with_the_shorter(self) -> None:
        streams = Streams(7)
        self.assertEqual(streams.draw("a", "b", 1, 100)[:9], streams.draw("a", "b", 1, 9))


class TheOutputPath(unittest.TestCase):
    """Nothing on it may differ between platforms or runs."""

    FORBIDDEN_MODULES = frozenset({"random", "uuid", "secrets", "time", "math", "locale"})
    FORBIDDEN_NAMES = frozenset(
        {"hash", "float", "id", "now", "today", "urandom", "utcnow"}
    )

    def test_calls_nothing_that_breaks_the_promise(self) -> None:
        for path in sorted((ROOT / "data_generation").glob("*.py")):
            for place, name in self.find_names(path):
                self.assertNotIn(name, self.FORBIDDEN_MODULES | self.FORBIDDEN_NAMES, place)

    def test_holds_no_float(self) -> None:
        for path in sorted((ROOT / "data_generation").glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant):
                    self.assertNotIsInstance(
                        node.value, float, f"{path.name}:{node.lineno}"
                    )
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                    # Only Decimal and Path divide; their files are known.
                    self.assertIn(path.name, {"distributions.py", "generate_data.py"})

    @staticmethod
    def find_names(path: Path) -> Iterator[tuple[str, str]]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            place = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                yield from ((place, alias.name.split(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield place, node.module.split(".")[0]
            elif isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name):
                    yield place, node.func.id
                elif isinstance(node.func, ast.Attribute):
                    yield place, node.func.attr


class TheTables(unittest.TestCase):
    """Distributions without floats follow their formulas."""

    def quantile_error(
        self, table: Quantiles, cumulative: Callable[[float], float]
    ) -> float:
        """Return the largest gap between the table's and the true cumulative function.

        Values below a ten-thousandth are left out: as a rate they mean never.
        """
        words = range(WORDS // 2000, WORDS, WORDS // 1000)
        values = {word: table.value_at(word) / UNIT for word in words}
        return max(
            abs(cumulative(value) - word / WORDS)
            for word, value in values.items()
            if value >= 1e-4
        )

    def test_exponential_follows_its_formula(self) -> None:
        error = self.quantile_error(exponential(), lambda x: 1 - math.exp(-x))
        self.assertLess(error, 1e-4)

    def test_gamma_follows_its_integrated_density(self) -> None:
        for shape in (customers.RATE_SHAPE, customers.SPEND_Q, "6.25"):
            with self.subTest(shape):
                error = self.quantile_error(gamma(shape), partial(gamma_cdf, float(shape)))
                self.assertLess(error, 5e-4)

    def test_beta_follows_its_integrated_density(self) -> None:
        a, b = float(customers.DROPOUT_A), float(customers.DROPOUT_B)
        norm = math.gamma(a) * math.gamma(b) / math.gamma(a + b)

        def cumulative(x: float) -> float:
            return simpson(lambda y: (1 - y ** (1 / a)) ** (b - 1), x**a) / a / norm

        table = beta(customers.DROPOUT_A, customers.DROPOUT_B)
        self.assertLess(self.quantile_error(table, cumulative), 5e-4)

    def test_every_table_covers_all_words_and_never_falls(self) -> None:
        for table in (exponential(), gamma("0.243"), gamma("6.25"), beta("0.793", "2.426"),
                      seasons.HOURS):  # fmt: skip
            self.assertEqual((table.cuts[0], table.cuts[-1]), (0, WORDS))
            self.assertEqual(table.cuts, sorted(set(table.cuts)))
            self.assertEqual(table.values, sorted(table.values))
            self.assertGreaterEqual(table.value_at(WORDS - 1), table.value_at(0))


def gamma_cdf(shape: float, x: float) -> float:
    """Return the gamma distribution's cumulative function, by integrating its density.

    Below shape 1 the density has a pole at 0, which y = x**shape removes.
    """
    if shape < 1:
        area = simpson(lambda y: math.exp(-(y ** (1 / shape))), x**shape)
        return area / math.gamma(shape + 1)
    return simpson(lambda t: t ** (shape - 1) * math.exp(-t), x) / math.gamma(shape)


def simpson(function: Callable[[float], float], top: float, steps: int = 400) -> float:
    """Return the integral of *function* from 0 to *top* by Simpson's rule."""
    width = top / steps
    inner = sum((4 if at % 2 else 2) * function(at * width) for at in range(1, steps))
    return (function(0.0) + inner + function(top)) * width / 3


class TheCalendar(unittest.TestCase):
    """Time runs by the demand of the day, and never back."""

    def test_a_year_of_shop_time_is_nearly_a_year(self) -> None:
        for year in range(2019, 2031):
            calendar = seasons.plan_calendar(date(year, 1, 1), date(year, 12, 31))
            ratio = calendar.ticks[-1] / seasons.DAY_TICKS / len(calendar.days)
            self.assertAlmostEqual(ratio, 1, delta=0.05)

    def test_a_purchase_without_delay_is_not_before_its_sign_up(self) -> None:
        streams = Streams(3)
        calendar = seasons.plan_calendar(date(2024, 11, 28), date(2024, 12, 3))
        with mock.patch("data_generation.customers._first_delay", return_value=0):
            for user in customers.sign_up_users(streams, calendar, 2, 1, 5000):
                signed_up_at = user.row.strip().rpartition(",")[2]
                for first in customers.find_purchases(streams, calendar, user, "x")[:1]:
                    self.assertEqual(calendar.format_instant(first.second), signed_up_at)

    def test_ticks_become_seconds_in_order_and_within_their_day(self) -> None:
        calendar = seasons.plan_calendar(date(2024, 2, 28), date(2024, 3, 1))
        ticks = [calendar.ticks[-1] * at // 5000 for at in range(5000)]
        seconds = [calendar.second_at(tick) for tick in ticks]
        self.assertEqual(seconds, sorted(seconds))
        self.assertLess(seconds[-1], calendar.end_second)
        for day, start in enumerate(calendar.ticks[:-1]):
            self.assertEqual(calendar.second_at(start), day * 86_400)

    def test_instants_are_written_as_the_contract_wants(self) -> None:
        calendar = seasons.plan_calendar(date(2024, 2, 28), date(2024, 3, 1))
        self.assertEqual(calendar.format_instant(0), "2024-02-28T00:00:00Z")
        self.assertEqual(calendar.format_instant(2 * 86_400 - 1), "2024-02-29T23:59:59Z")

    def test_black_friday_follows_the_fourth_thursday_of_november(self) -> None:
        for year in range(1990, 2060):
            november = [date(year, 11, 1) + timedelta(days=at) for at in range(30)]
            thursdays = [day for day in november if day.weekday() == 3]
            self.assertEqual(
                seasons.find_black_friday(year), thursdays[3] + timedelta(days=1)
            )


class TheWords(unittest.TestCase):
    """Rows are joined with commas as they are, so no word may need quotes."""

    def all_words(self) -> Iterator[str]:
        for country in catalog.COUNTRIES:
            yield from (*country.cities, *country.given_names, *country.family_names)
            yield country.code
        for category in catalog.CATEGORIES:
            yield from (category.name, *category.nouns)
        yield from (*catalog.BRANDS, *catalog.STYLES)
        yield from (channel.replace("_", " ") for channel in catalog.CHANNELS.items)

    def test_no_word_needs_quotes_in_csv(self) -> None:
        for word in self.all_words():
            self.assertNotRegex(word, r'[,"\r\n\0_]|^\s|\s$|^$')

    def test_some_words_are_not_ascii(self) -> None:
        self.assertGreater(sum(not word.isascii() for word in self.all_words()), 50)

    def test_every_name_makes_an_ascii_address_in_a_reserved_domain(self) -> None:
        for country in catalog.COUNTRIES:
            for given in country.given_names:
                for family in country.family_names:
                    address = customers.make_email(given, family, 5, 0)
                    self.assertRegex(address, r"^[a-z]{2,}\.[a-z]{2,}\.5@example\.com$")


class AGeneratedShop(ShopCase):
    """The five files agree with the contract, the manifest and one another."""

    def test_has_the_contract_s_headers(self) -> None:
        for table in read_contract().tables:
            text = (sample_shop() / f"{table.name}.csv").read_text(encoding="utf-8")
            self.assertEqual(text.split("\n", 1)[0], ",".join(table.column_names))

    def test_is_described_by_its_manifest(self) -> None:
        manifest = json.loads(
            (sample_shop() / "datapackage.json").read_text(encoding="utf-8")
        )
        self.assertEqual(manifest["seed"], 42)
        self.assertEqual(manifest["users"], 150)
        self.assertEqual(manifest["window"], {"start": "2024-01-01", "end": "2025-12-31"})
        self.assertEqual(manifest["format_version"], 1)
        contract = read_contract()
        for table, resource in zip(contract.tables, manifest["resources"], strict=True):
            data = (sample_shop() / resource["path"]).read_bytes()
            self.assertEqual(resource["bytes"], len(data))
            self.assertEqual(resource["rows"], data.count(b"\n") - 1)
            self.assertEqual(resource["hash"], f"sha256:{hashlib.sha256(data).hexdigest()}")
            fields = [field["name"] for field in resource["schema"]["fields"]]
            self.assertEqual(fields, table.column_names)
            self.assertEqual(resource["schema"]["primaryKey"], list(table.key))

    def test_has_dense_ids_in_time_order(self) -> None:
        for table, instant in (
            ("users", "signed_up_at"), ("products", "launched_at"),
            ("orders", "ordered_at"), ("payments", "processed_at"),
            ("order_items", "order_id"),
        ):  # fmt: skip
            rows = read_rows(sample_shop(), table)
            ids = [int(next(iter(row.values()))) for row in rows]
            self.assertEqual(ids, list(range(1, len(rows) + 1)), table)
            moments = [row[instant].rjust(20) for row in rows]
            self.assertEqual(moments, sorted(moments), table)

    def test_has_every_status_kind_and_method(self) -> None:
        self.generate("--users", 1500, "--start", "2025-01-01")
        orders = Counter(row["status"] for row in read_rows(self.folder, "orders"))
        payments = read_rows(self.folder, "payments")
        self.assertEqual(len(orders), 7, orders)
        self.assertEqual({row["kind"] for row in payments}, {"charge", "refund"})
        self.assertEqual({row["status"] for row in payments}, {"succeeded", "failed"})
        self.assertEqual(
            {row["method"] for row in payments},
            {"wallet", "credit_card", "debit_card", "bank_transfer", "gift_card"},
        )

    def test_knows_nothing_of_the_time_after_its_window(self) -> None:
        self.generate("--users", 300, "--end", "2024-03-31")
        for table, instant in (("orders", "ordered_at"), ("payments", "processed_at"),
                               ("users", "signed_up_at")):  # fmt: skip
            for row in read_rows(self.folder, table):
                self.assertLess(row[instant], "2024-04-01", row)

    def test_never_puts_a_product_twice_into_a_basket(self) -> None:
        lines = [
            (row["order_id"], row["product_id"])
            for row in read_rows(sample_shop(), "order_items")
        ]
        self.assertEqual(len(lines), len(set(lines)))


def find_spending_levels(user_count: int) -> dict[int, int]:
    """Return the hidden spending level of each user of the default shop, by id."""
    streams = Streams(42)
    calendar = seasons.plan_calendar(generate_data.DEFAULT_START, generate_data.DEFAULT_END)
    levels: dict[int, int] = {}
    for day, count in enumerate(customers.plan_signups(streams, calendar, user_count)):
        users = customers.sign_up_users(streams, calendar, day, len(levels) + 1, count)
        levels |= {user.user_id: user.spending_level for user in users}
    return levels


def count_share(rows: list[dict[str, str]], column: str) -> float:
    """Return the share of *rows* in which *column* is not 0."""
    return sum(row[column] != "0" for row in rows) / len(rows)


class ACustomerBase(unittest.TestCase):
    """The first honest model: growth, repeat purchases that die out, season and hours."""

    folder: Path
    orders: list[dict[str, str]]
    counts: Counter[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Make 3,000 users, enough for shares to settle."""
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        call(generate_data.main, "--generate", "--users", 3000, "--out-dir", cls.folder)
        cls.orders = read_rows(cls.folder, "orders")
        cls.counts = Counter(row["user_id"] for row in cls.orders)

    def test_has_the_number_of_users_asked_for_and_grows(self) -> None:
        years = Counter(row["signed_up_at"][:4] for row in read_rows(self.folder, "users"))
        self.assertEqual(years.total(), 3000)
        self.assertGreater(years["2025"], 1.3 * years["2024"])

    def test_buys_once_mostly_and_some_often(self) -> None:
        once = sum(count == 1 for count in self.counts.values()) / len(self.counts)
        self.assertTrue(0.45 < once < 0.65, once)
        self.assertGreater(max(self.counts.values()), 15)
        self.assertLess(len(self.counts), 3000)

    def test_buys_more_in_the_evening_and_on_black_friday_and_cyber_monday(self) -> None:
        hours = Counter(row["ordered_at"][11:13] for row in self.orders)
        self.assertGreater(hours["19"], 2.5 * hours["05"])
        days = Counter(row["ordered_at"][:10] for row in self.orders)
        for year in (2024, 2025):
            for peak in (0, 3):  # Black Friday and Cyber Monday
                day = seasons.find_black_friday(year) + timedelta(days=peak)
                before = day - timedelta(days=7)
                self.assertGreater(days[str(day)], 1.8 * days[str(before)], day)

    def test_spends_by_its_hidden_level(self) -> None:
        levels = find_spending_levels(3000)
        spent = sorted(
            (levels[int(row["user_id"])], int(row["subtotal_cents"])) for row in self.orders
        )
        fifth = len(spent) // 5
        low = mean(cents for _, cents in spent[:fifth])
        high = mean(cents for _, cents in spent[-fifth:])
        self.assertGreater(high, 2.4 * low)
        logs = [(math.log(level), math.log(cents)) for level, cents in spent]
        self.assertGreater(correlation(*zip(*logs, strict=True)), 0.5)
        self.assertTrue(7000 < mean(cents for _, cents in spent) < 9000)

    def test_uses_coupons_promotions_and_gift_cards(self) -> None:
        items = read_rows(self.folder, "order_items")
        charges = [
            row for row in read_rows(self.folder, "payments") if row["kind"] == "charge"
        ]
        for name, share, low, high in (
            ("coupons", count_share(self.orders, "discount_cents"), 0.08, 0.2),
            ("promotions", count_share(items, "discount_cents"), 0.04, 0.12),
        ):
            self.assertTrue(low < share < high, (name, share))
        orders = Counter(row["order_id"] for row in charges if row["status"] == "succeeded")
        split = sum(count == 2 for count in orders.values()) / len(orders)
        self.assertTrue(0.015 < split < 0.045, split)

    def test_fails_cancels_and_returns_now_and_then(self) -> None:
        status = Counter(row["status"] for row in self.orders)
        share = {name: count / len(self.orders) for name, count in status.items()}
        self.assertTrue(0.01 < share["cancelled"] < 0.06, share)
        self.assertTrue(0.08 < share["returned"] + share["partially_returned"] < 0.2, share)
        payments = read_rows(self.folder, "payments")
        failed = sum(row["status"] == "failed" for row in payments) / len(payments)
        self.assertTrue(0.01 < failed < 0.08, failed)

    def test_buys_coats_in_winter_and_swimwear_in_summer(self) -> None:
        categories = {
            row["product_id"]: row["category"] for row in read_rows(self.folder, "products")
        }
        months = {row["order_id"]: row["ordered_at"][5:7] for row in self.orders}
        sold = Counter(
            (categories[row["product_id"]], months[row["order_id"]])
            for row in read_rows(self.folder, "order_items")
        )
        coats, swim = "Coats & Knitwear", "Summer & Swim"
        self.assertGreater(sold[coats, "12"], 3 * sold[coats, "06"])
        self.assertGreater(sold[swim, "06"], 2 * sold[swim, "12"])


class AnEdgeOfScale(ShopCase):
    """Small and odd windows work and load."""

    def test_few_users_and_short_windows_load(self) -> None:
        for arguments in (
            ("--users", 0), ("--users", 1), ("--users", 2),
            ("--users", 50, "--start", "2024-02-29", "--end", "2024-02-29"),
            ("--users", 20, "--start", "2016-01-01", "--end", "2025-12-31"),
        ):  # fmt: skip
            with self.subTest(arguments):
                self.generate(*arguments)
                result = self.ingest()
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertEqual(
                    self.query("SELECT COUNT(*) FROM users"), [(arguments[1],)]
                )


class Verification(ShopCase):
    """--verify says per file whether it is exactly what the manifest's seed makes."""

    def verify(self) -> Result:
        """Return what --verify says of the folder."""
        return call(generate_data.main, "--verify", "--out-dir", self.folder)

    def test_of_an_untouched_shop_holds_and_changes_nothing(self) -> None:
        self.generate("--users", 20, "--seed", 7, "--end", "2024-06-30")
        before = hash_folder(self.folder)
        result = self.verify()
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertEqual(result.stdout.count("exactly what this seed makes"), 6)
        self.assertIn("Seed 7, 20 users, 2024-01-01 to 2024-06-30", result.stdout)
        self.assertEqual(hash_folder(self.folder), before)

    def test_names_the_file_that_was_changed_forged_or_lost(self) -> None:
        self.generate("--users", 20)
        orders, manifest = self.folder / "orders.csv", self.folder / "datapackage.json"
        was = hashlib.sha256(orders.read_bytes()).hexdigest()
        orders.write_bytes(orders.read_bytes().replace(b"delivered", b"shipped", 1))
        result = self.verify()
        self.assertEqual(result.status, 1)
        self.assertRegex(result.stdout, r"orders\.csv +differs from what this seed makes")
        self.assertEqual(result.stdout.count("exactly what this seed makes"), 5)
        self.assertIn("1 of 6 files", result.stderr)

        forged = hashlib.sha256(orders.read_bytes()).hexdigest()
        manifest.write_text(
            manifest.read_text(encoding="utf-8").replace(was, forged), encoding="utf-8"
        )
        result = self.verify()
        self.assertRegex(result.stdout, r"orders\.csv +as its manifest says, but not what")
        self.assertRegex(result.stdout, r"datapackage\.json +differs from what")

        orders.unlink()
        self.assertRegex(self.verify().stdout, r"orders\.csv +missing")

    def test_without_a_manifest_of_its_own_says_what_to_do(self) -> None:
        for text, words in (
            (None, "cannot be read"),
            ("{}", "is not a manifest"),
            ("[1]", "is not a manifest"),
            ("no JSON", "is not a manifest"),
        ):
            with self.subTest(text):
                if text is not None:
                    (self.folder / "datapackage.json").write_text(text, encoding="utf-8")
                result = self.verify()
                self.assertEqual(result.status, 1)
                self.assertIn(words, result.stderr)
                self.assertIn("--generate", result.stderr)

    def test_refuses_another_format_version_and_a_plan_that_is_none(self) -> None:
        self.generate("--users", 2)
        manifest = self.folder / "datapackage.json"
        text = manifest.read_text(encoding="utf-8")
        for old, new, words in (
            ('"format_version": 1', '"format_version": 999', "999"),
            ('"seed": 42', '"seed": "42"', "not a plan"),
            ('"seed": 42', '"seed": -42', "not a plan"),
            ('"users": 2,', '"users": -2,', "not a plan"),
            ('"end": "2025', '"end": "2023', "not a plan"),
        ):
            with self.subTest(new):
                self.assertIn(old, text)
                manifest.write_text(text.replace(old, new), encoding="utf-8")
                result = self.verify()
                self.assertEqual(result.status, 1)
                self.assertIn(words, result.stderr)


class TheCommand(ShopCase):
    """The command line of generate_data.py."""

    def test_without_an_action_prints_help_and_exits_2(self) -> None:
        result = call(generate_data.main)
        self.assertEqual(result.status, 2)
        self.assertIn("--generate", result.stderr)

    def test_refuses_what_is_no_seed_count_or_date(self) -> None:
        for option, value in (
            ("--seed", "-1"), ("--seed", str(2**64)), ("--seed", "1.5"), ("--seed", "x"),
            ("--seed", "１"), ("--users", "-1"), ("--users", "many"),
            ("--start", "2024-02-30"),
            ("--start", "20240101"), ("--end", "tomorrow"), ("--end", "2023-12-31"),
            ("--end", "9999-12-31"),
        ):  # fmt: skip
            with self.subTest(option=option, value=value):
                result = call(
                    generate_data.main,
                    "--generate",
                    "--out-dir",
                    self.folder,
                    option,
                    value,
                )
                self.assertEqual(result.status, 2)
                self.assertIn(option, result.stderr)
                self.assertEqual(os.listdir(self.folder), [])

    def test_an_unwritable_folder_is_named_and_nothing_is_left(self) -> None:
        (self.folder / "file").touch()
        result = call(
            generate_data.main, "--generate", "--out-dir", self.folder / "file" / "deep"
        )
        self.assertEqual(result.status, 1)
        self.assertIn("cannot be written", result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_a_failure_or_interruption_leaves_the_old_files_whole(self) -> None:
        self.generate("--users", 20)
        before = hash_folder(self.folder)
        for error, status in (
            (OSError(28, "No space left on device"), 1),
            (KeyboardInterrupt(), 130),
        ):
            with (
                self.subTest(status),
                mock.patch("data_generation.generate_data.promote", side_effect=error),
            ):
                result = call(
                    generate_data.main,
                    "--generate",
                    "--users",
                    50,
                    "--out-dir",
                    self.folder,
                )
                self.assertEqual(result.status, status)
                self.assertEqual(hash_folder(self.folder), before)

    def test_a_refused_rename_puts_every_old_file_back(self) -> None:
        self.generate("--users", 20)
        before = hash_folder(self.folder)
        arguments = ("--generate", "--users", 50, "--out-dir", self.folder)
        for link in (os.link, mock.Mock(side_effect=OSError(95, "no links here"))):
            with (
                refuse_to_replace("orders.csv"),
                mock.patch("utils.helpers.os.link", link),
            ):
                result = call(generate_data.main, *arguments)
            self.assertEqual(result.status, 1)
            self.assertIn("orders.csv: cannot be written: in use", result.stderr)
            self.assertEqual(hash_folder(self.folder), before)

    def test_says_what_it_wrote(self) -> None:
        result = self.succeed(
            generate_data.main, "--generate", "--users", 3, "--out-dir", self.folder
        )
        for table in read_contract().tables:
            self.assertIn(f"{table.name}.csv", result.stdout)


if __name__ == "__main__":
    unittest.main()
