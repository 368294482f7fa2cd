"""The generator: the same bytes for a seed, plausible customers, a correct manifest."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import math
import tempfile
import unittest
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain, pairwise, product
from operator import itemgetter
from pathlib import Path
from statistics import correlation, mean, pvariance
from unittest import mock

import generate_data
from data_generation.model import (
    assortment,
    baskets,
    catalog,
    customers,
    lifecycle,
    markets,
    orders,
    seasons,
)
from data_generation.model.channels import CHANNELS
from data_generation.model.distributions import (
    UNIT,
    Quantiles,
    _logarithm,
    apportion,
    beta,
    exponential,
    gamma,
    powers_of_two,
    sample_quantiles,
)
from data_generation.model.events import Shocks
from data_generation.model.names import FAMILY_NAMES, GIVEN_NAMES
from data_generation.model.people import format_user_rows
from data_generation.model.streams import FORMAT_VERSION, WORDS, Streams
from data_generation.plan import DEFAULT_END, DEFAULT_START
from tests.golden_sums import OTHER_SHOP, OTHER_SUMS, SAMPLE_SUMS
from tests.support import (
    IN_CI,
    ROOT,
    SAMPLE_USERS,
    ShopCase,
    call,
    hash_folder,
    run_script,
    sample_shop,
)
from utils.contract import read_contract


def read_rows(folder: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of *table* in *folder*."""
    with open(folder / f"{table}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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
            *("generate_data.py", "parts.py", "spans.py", "spark_job.py", "workers.py"),
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


class ProbabilityTables(unittest.TestCase):
    """Distributions made without floats follow their formulas."""

    def quantile_error(
        self, table: Quantiles, cumulative: Callable[[float], float]
    ) -> float:
        """Return the largest gap between the table's and the true cumulative function.

        Values below 10**-4 are omitted: as a purchase rate they mean never.
        """
        words = range(WORDS // 2000, WORDS, WORDS // 1000)
        values = {word: table.value_at(word) / UNIT for word in words}
        return max(
            abs(cumulative(value) - word / WORDS)
            for word, value in values.items()
            if value >= 1e-4
        )

    def test_exponential_table_follows_its_formula(self) -> None:
        error = self.quantile_error(exponential(), lambda x: 1 - math.exp(-x))
        self.assertLess(error, 1e-4)

    def test_gamma_table_follows_its_integrated_density(self) -> None:
        for shape in (customers.RATE_SHAPE, customers.SPEND_Q, baskets.SPEND_P):
            with self.subTest(shape):
                error = self.quantile_error(gamma(shape), partial(gamma_cdf, float(shape)))
                self.assertLess(error, 5e-4)

    def test_beta_table_follows_its_integrated_density(self) -> None:
        a, b = float(customers.DROPOUT_A), float(customers.DROPOUT_B)
        norm = math.gamma(a) * math.gamma(b) / math.gamma(a + b)

        def cumulative(x: float) -> float:
            return simpson(lambda y: (1 - y ** (1 / a)) ** (b - 1), x**a) / a / norm

        table = beta(customers.DROPOUT_A, customers.DROPOUT_B)
        self.assertLess(self.quantile_error(table, cumulative), 5e-4)

    def test_every_table_covers_all_words_and_never_decreases(self) -> None:
        for table in (exponential(), gamma("0.243"), gamma("6.25"), beta("0.793", "2.426")):
            self.assertEqual((table.cuts[0], table.cuts[-1]), (0, WORDS))
            self.assertEqual(table.cuts, sorted(set(table.cuts)))
            self.assertEqual(table.values, sorted(table.values))
            self.assertGreaterEqual(table.value_at(WORDS - 1), table.value_at(0))

    def test_sampled_table_has_the_quantiles_of_the_cell_middles(self) -> None:
        for table in (exponential(), gamma("0.243"), beta("0.793", "2.426")):
            middles = range(WORDS >> 11, WORDS, WORDS >> 10)
            self.assertEqual(
                sample_quantiles(table, 10), [table.value_at(word) for word in middles]
            )

    def test_logarithms_added_from_factors_have_the_digits_of_a_table(self) -> None:
        for number in range(1, 289):
            with self.subTest(number):
                self.assertAlmostEqual(_logarithm(number), Decimal(number).ln(), 15)

    def test_apportioned_counts_differ_by_at_most_one_from_exact_shares(self) -> None:
        for weights in ([1], [3, 0, 5], [10**9, 1, 10**9], list(range(50))):
            dealt = apportion(weights, 256)
            self.assertEqual((len(dealt), dealt), (256, sorted(dealt)))
            for index, weight in enumerate(weights):
                exact = 256 * weight / sum(weights)
                self.assertAlmostEqual(dealt.count(index), exact, delta=1)

    def test_fractional_steps_are_powers_of_two(self) -> None:
        for at, step in enumerate(powers_of_two(16, -40, 40)):
            self.assertAlmostEqual(step / UNIT, 2 ** ((at - 40) / 16), delta=1e-8)

    def test_spending_levels_follow_gamma_gamma(self) -> None:
        levels = customers.build_customer_tables().levels
        values = [2 ** ((level - customers.ZERO_LEVEL) / 16) for level in levels]
        self.assertEqual(levels, sorted(levels))
        self.assertAlmostEqual(mean(values), 1, delta=0.02)
        noise = baskets.build_basket_tables().noise
        for kind, above in ((0, 1), (0b010, -3), (0b011, 4), (0b110, -3), (0b111, 4)):
            factors = [
                2 ** ((level - above - baskets.ZERO_NOISE) / 16) for level in noise[kind]
            ]
            self.assertAlmostEqual(mean(factors), 1, delta=0.01)
            # For p = 4.6 the variance is 1 ÷ 4.6.
            self.assertAlmostEqual(pvariance(factors), 0.217, delta=0.01)
        self.assertEqual(len(noise), customers.KIND_MASK + 1)
        # The highest customer's highest order, and the lowest one's lowest, have tables.
        self.assertLess(max(levels) + max(map(max, noise)), baskets.LEVELS)
        self.assertGreaterEqual(min(levels) + min(map(min, noise)), 0)


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


class DemandTime(unittest.TestCase):
    """Demand time depends on the demand of the day and never decreases."""

    def test_year_of_demand_time_is_about_a_year(self) -> None:
        for year in range(2019, 2031):
            calendar = seasons.plan_calendar(date(year, 1, 1), date(year, 12, 31))
            ratio = calendar.ticks[-1] / seasons.DAY_TICKS / len(calendar.days)
            self.assertAlmostEqual(ratio, 1, delta=0.05)

    def test_purchase_without_delay_does_not_precede_its_sign_up(self) -> None:
        streams = Streams(3)
        calendar = seasons.plan_calendar(date(2024, 11, 28), date(2024, 12, 3))
        signups = customers.PurchaseSchedule()
        with (
            mock.patch.object(customers, "VISIT_TICKS", 0),
            mock.patch.object(customers, "FIRST_DELAY_TICKS", 0),
        ):
            new_users = customers.sign_up_day(
                streams, calendar, 2, 1, 5000, calendar.ticks[-1], signups
            )
        rows = format_user_rows(streams, new_users)
        firsts = [
            purchase for purchase in signups.purchases if not purchase & customers.KIND_MASK
        ]
        self.assertGreater(len(firsts), 4000)
        for purchase in firsts:
            user = purchase >> customers.USER_SHIFT & customers.MOST_USER_ID
            ordered_at = calendar.format_timestamp(purchase >> customers.TIME_SHIFT)
            self.assertEqual(rows[user - 1].strip().rpartition(",")[2], ordered_at)

    def test_slots_of_demand_have_one_day_each(self) -> None:
        calendar = seasons.plan_calendar(date(2024, 11, 28), date(2024, 12, 3))
        for number, (start, stop) in enumerate(pairwise(calendar.ticks)):
            is_weekend = int(calendar.days[number].weekday() >= 5)
            for tick in (start, stop - 1):
                self.assertEqual(
                    calendar.day_times[calendar.slot_days[tick >> seasons.SLOT_BITS]],
                    (start, stop - start >> seasons.SLOT_BITS, is_weekend, number * 86_400),
                )
        slot_count = calendar.ticks[-1] >> seasons.SLOT_BITS
        self.assertEqual(slot_count, len(calendar.slot_days))

    def test_tick_at_a_second_is_between_those_of_the_midnights(self) -> None:
        calendar = seasons.plan_calendar(date(2024, 2, 28), date(2024, 3, 1))
        for number, (start, stop) in enumerate(pairwise(calendar.ticks)):
            midnight = number * 86_400
            self.assertEqual(calendar.tick_at(midnight), start)
            self.assertEqual(calendar.tick_at(midnight + 43_200), (start + stop) // 2)
            self.assertLess(calendar.tick_at(midnight + 86_399), stop)

    def test_timestamps_are_written_as_the_contract_requires(self) -> None:
        calendar = seasons.plan_calendar(date(2024, 2, 28), date(2024, 3, 1))
        self.assertEqual(calendar.format_timestamp(0), "2024-02-28T00:00:00Z")
        self.assertEqual(calendar.format_timestamp(2 * 86_400 - 1), "2024-02-29T23:59:59Z")

    def test_black_friday_follows_the_fourth_thursday_of_november(self) -> None:
        for year in range(1990, 2060):
            november = [date(year, 11, 1) + timedelta(days=at) for at in range(30)]
            thursdays = [day for day in november if day.weekday() == 3]
            self.assertEqual(
                seasons.find_black_friday(year), thursdays[3] + timedelta(days=1)
            )


class LocalHours(unittest.TestCase):
    """Customers buy by the clock of their country, earlier or later by their habit."""

    def list_seconds(self, clock: seasons.Clock, is_weekend: int) -> list[int]:
        """Return the second of the UTC day at each share of its demand."""
        starts, offset = clock
        start = starts[is_weekend]
        dial = seasons.build_dial()[start : start + (1 << seasons.CLOCK_BITS)]
        return [second - offset for second in dial]

    def test_seconds_never_decrease_and_are_within_their_day(self) -> None:
        for clock in set(customers.list_clocks()):
            for is_weekend in (0, 1):
                seconds = self.list_seconds(clock, is_weekend)
                self.assertEqual(seconds, sorted(seconds))
                self.assertEqual((seconds[0], seconds[-1] // 60), (0, 1439))

    def test_demand_of_both_habits_has_the_local_hours_of_the_curve(self) -> None:
        curves = seasons.WEEKDAY_HOURS, seasons.WEEKEND_HOURS
        for country, is_weekend in product(markets.COUNTRIES, (0, 1)):
            hours: Counter[int] = Counter()
            for habit in range(seasons.HABITS):
                clock = seasons.make_clock(country.utc_offset_hours, habit)
                hours.update(
                    (second // 3600 + country.utc_offset_hours) % 24
                    for second in self.list_seconds(clock, is_weekend)
                )
            curve = curves[is_weekend]
            for hour, weight in enumerate(curve):
                with self.subTest(country=country.code, weekend=is_weekend, hour=hour):
                    share = hours[hour] / hours.total()
                    self.assertAlmostEqual(share, weight / sum(curve), delta=0.003)

    def test_customer_is_in_the_same_hour_more_often_than_by_chance(self) -> None:
        by_habit = [
            Counter(
                second // 3600
                for second in self.list_seconds(seasons.make_clock(1, habit), 0)
            )
            for habit in range(seasons.HABITS)
        ]
        both = sum(by_habit, Counter[int]())
        same = mean(
            sum(count**2 for count in hours.values()) / hours.total() ** 2
            for hours in by_habit
        )
        by_chance = sum(count**2 for count in both.values()) / both.total() ** 2
        self.assertTrue(1.25 < same / by_chance < 1.35, same / by_chance)


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
            rows = read_rows(sample_shop(), table)
            ids = [int(next(iter(row.values()))) for row in rows]
            self.assertEqual(ids, list(range(1, len(rows) + 1)), table)
            values = [row[instant].rjust(20) for row in rows]
            self.assertEqual(values, sorted(values), table)

    def test_shop_has_every_status_kind_and_method(self) -> None:
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

    def test_no_row_is_later_than_the_window(self) -> None:
        self.generate("--users", 300, "--end", "2024-03-31")
        for table, instant in (
            ("orders", "ordered_at"),
            ("payments", "processed_at"),
            ("users", "signed_up_at"),
        ):
            for row in read_rows(self.folder, table):
                self.assertLess(row[instant], "2024-04-01", row)

    def test_no_order_contains_a_product_twice(self) -> None:
        lines = [
            (row["order_id"], row["product_id"])
            for row in read_rows(sample_shop(), "order_items")
        ]
        self.assertEqual(len(lines), len(set(lines)))


class OrderLifecycle(unittest.TestCase):
    """Payments and statuses are consistent for every lifecycle and all random bits."""

    EXTREMES = (0, 2**64 - 1, 0x5555555555555555, 0xFFFF0000FFFF0000)

    def all_codes(self) -> list[int]:
        """Return every lifecycle code of any country."""
        codes = set[int]().union(*chain(*lifecycle.build_lifecycle_tables()))
        return sorted(codes | {lifecycle.keep_goods()[code] for code in codes})

    def list_payments(
        self, code: int, chance: int, first_share: int
    ) -> list[tuple[int, str]]:
        """Return the payments of an order of 10,000 cents at second 0."""
        return lifecycle.list_payments(code, 0, 240, chance, 10_000, first_share)

    def test_lifecycle_has_as_many_payments_as_are_counted_before(self) -> None:
        counts = lifecycle.count_payments()
        self.assertGreater(len(self.all_codes()), 30)
        for code in self.all_codes():
            for first_share in (0, 2_000):
                for chance in self.EXTREMES:
                    payments = self.list_payments(code, chance, first_share)
                    self.assertEqual(len(payments), counts[code], code)

    def test_lifecycle_ends_within_its_number_of_days(self) -> None:
        # For an order of the last second of its day, these are the complete days after it.
        latest = (lifecycle.LIFECYCLE_DAYS - 1) * seasons.DAY_SECONDS
        for code in self.all_codes():
            for chance in self.EXTREMES:
                seconds = [second for second, _ in self.list_payments(code, chance, 2_000)]
                self.assertEqual(seconds, sorted(seconds))
                self.assertGreater(seconds[0], 0)
                self.assertLess(seconds[-1], latest)
                final = lifecycle.final_statuses()[code]
                status = lifecycle.find_status(code, 0, 240, chance, latest, final)
                self.assertEqual(status, final)

    def test_refunds_never_exceed_the_charges(self) -> None:
        for code in self.all_codes():
            for chance in self.EXTREMES:
                for first_share in (0, 2_000):
                    sums: Counter[str] = Counter()
                    for _, text in self.list_payments(code, chance, first_share):
                        _, kind, method, status, amount, _ = text.split(",")
                        self.assertGreater(int(amount), 0)
                        if status == "succeeded":
                            sums[kind] += int(amount)
                            sums[method] += int(amount) * (1 if kind == "charge" else -1)
                    final = lifecycle.final_statuses()[code]
                    paid = (
                        0 if lifecycle.split_code(code)[1] >= lifecycle.UNPAID else 10_000
                    )
                    self.assertEqual(sums["charge"], paid)
                    back = {",delivered,": 0, ",partially_returned,": first_share or paid}
                    self.assertEqual(sums["refund"], back.get(final, paid))
                    methods = sums.keys() - {"charge", "refund"}
                    self.assertTrue(all(sums[method] >= 0 for method in methods))

    def test_status_only_moves_forward(self) -> None:
        rank = {",pending,": 0, ",paid,": 1, ",shipped,": 2, ",delivered,": 3}
        for code in self.all_codes():
            for chance in self.EXTREMES:
                seen = [
                    rank.get(
                        lifecycle.find_status(
                            code,
                            0,
                            240,
                            chance,
                            hour * 3600,
                            lifecycle.final_statuses()[code],
                        ),
                        4,
                    )
                    for hour in range(0, 43 * 24, 5)
                ]
                self.assertEqual(seen, sorted(seen))
                self.assertEqual(seen[0], 0)


class Purchases(unittest.TestCase):
    """Purchase times follow the customer's hidden rate and dropout."""

    def sign_up(self, dropout: int, end_day: int = 700) -> customers.PurchaseSchedule:
        """Return the purchases of 400 customers who buy every two days."""
        tables = customers.build_customer_tables()
        # ticks between purchases = gap × inverse >> 12, where a gap of 1 is 65,536
        inverse = 2 * seasons.DAY_TICKS * 4096 // 65536
        patched = tables._replace(
            inverse_rates=[inverse] * 65536, dropouts=[dropout] * 4096
        )
        with mock.patch.object(seasons, "demand", return_value=seasons.DAY_TICKS):
            calendar = seasons.plan_calendar(date(2024, 1, 1), date(2025, 12, 31))
        signups = customers.PurchaseSchedule()
        # Without seasons and hours, times between purchases are those of demand time.
        clocks = [((0, 0), 0)] * len(customers.list_clocks())
        dial = [86_400 * share >> 15 for share in range(1 << 15)]
        with (
            mock.patch.object(customers, "build_customer_tables", return_value=patched),
            mock.patch.object(customers, "list_clocks", return_value=clocks),
            mock.patch.object(customers, "build_dial", return_value=dial),
        ):
            customers.sign_up_day(
                Streams(9), calendar, 0, 1, 400, calendar.ticks[end_day], signups
            )
        return signups

    def test_purchase_times_follow_the_customers_rate(self) -> None:
        by_user: dict[int, list[int]] = {}
        for purchase in self.sign_up(dropout=0).purchases:
            by_user.setdefault(
                purchase >> customers.USER_SHIFT & customers.MOST_USER_ID, []
            ).append(purchase)
        gaps = [
            (after >> customers.TIME_SHIFT) - (before >> customers.TIME_SHIFT)
            for purchases in by_user.values()
            for before, after in pairwise(purchases)
        ]
        self.assertGreater(min(map(len, by_user.values())), 250)
        days = [gap / 86_400 for gap in gaps]
        # Some 110,000 exponential gaps: the mean's error is 0.3 %.
        self.assertAlmostEqual(mean(days), 2, delta=0.03)
        self.assertAlmostEqual(sum(day > 2 for day in days) / len(days), 0.368, delta=0.01)
        self.assertGreater(correlation(days[:-1], days[1:]), -0.02)
        self.assertLess(correlation(days[:-1], days[1:]), 0.02)

    def test_customers_drop_out_with_their_probability(self) -> None:
        signups = self.sign_up(dropout=65536 // 4)
        left = [second for second in signups.departures if second > 0]
        never = signups.departures.count(-1)
        # Four repeat purchases on average: within 700 days all customers drop out.
        self.assertEqual(len(left) + never, 400)
        repeats = sum(purchase & customers.KIND_MASK > 0 for purchase in signups.purchases)
        self.assertAlmostEqual(repeats / len(left), 4, delta=0.6)
        last = {
            purchase >> customers.USER_SHIFT & customers.MOST_USER_ID: purchase
            >> customers.TIME_SHIFT
            for purchase in signups.purchases
        }
        self.assertEqual(sorted(last.values()), sorted(left))

    def test_end_of_the_window_does_not_change_earlier_purchases(self) -> None:
        whole, shorter = self.sign_up(dropout=100), self.sign_up(dropout=100, end_day=300)
        end = 300 * 86_400 << customers.TIME_SHIFT
        self.assertEqual(
            [purchase for purchase in whole.purchases if purchase < end], shorter.purchases
        )


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
        cls.orders = read_rows(cls.folder, "orders")
        cls.counts = Counter(row["user_id"] for row in cls.orders)

    def test_shop_has_the_requested_number_of_users_and_grows(self) -> None:
        years = Counter(row["signed_up_at"][:4] for row in read_rows(self.folder, "users"))
        self.assertEqual(years.total(), 3000)
        self.assertGreater(years["2025"], 1.3 * years["2024"])

    def test_most_customers_buy_once_and_some_often(self) -> None:
        once = sum(count == 1 for count in self.counts.values()) / len(self.counts)
        self.assertTrue(0.45 < once < 0.65, once)
        self.assertGreater(max(self.counts.values()), 15)
        self.assertLess(len(self.counts), 3000)

    def test_each_country_buys_in_its_own_evening(self) -> None:
        users = read_rows(self.folder, "users")
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
        self.assertTrue(0.01 < split < 0.04, split)

    def test_some_payments_fail_and_some_orders_are_cancelled_or_returned(self) -> None:
        status = Counter(row["status"] for row in self.orders)
        share = {name: count / len(self.orders) for name, count in status.items()}
        self.assertTrue(0.01 < share["cancelled"] < 0.06, share)
        self.assertTrue(0.1 < share["returned"] + share["partially_returned"] < 0.25, share)
        payments = read_rows(self.folder, "payments")
        failed = sum(row["status"] == "failed" for row in payments) / len(payments)
        self.assertTrue(0.01 < failed < 0.08, failed)

    def test_coats_sell_in_winter_and_swimwear_in_summer(self) -> None:
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
