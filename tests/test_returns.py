"""Returns: who returns what, how often, and when it is refunded."""

from __future__ import annotations

import tempfile
import unittest
from collections import defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import generate_data
from data_generation.model import customers, returns
from data_generation.model.catalog import CATEGORIES
from data_generation.model.habits import find_habit
from data_generation.model.markets import COUNTRIES
from data_generation.model.streams import Streams
from tests.support import call, read_rows

CLOTHING = (0, 1, 2, 3, 4)
USERS = 3000


def list_chances() -> dict[tuple[int, int, int, int, int], Fraction]:
    """Return every chance by number class, coupon, category, returner class and country."""
    return {
        (kind >> 1, kind & 1, category, *divmod(at, len(COUNTRIES))): Fraction(part, 65536)
        for kind, by_category in enumerate(returns.list_return_chances())
        for category, parts in enumerate(by_category)
        for at, part in enumerate(parts)
    }


def weigh(key: tuple[int, int, int, int, int]) -> int:
    """Return how many orders of a typical shop have the features of *key*."""
    number, coupon, category, returner, country = key
    return (
        returns.NUMBER_WEIGHTS[number]
        * (86, 14)[coupon]
        * CATEGORIES[category].weight
        * customers.RETURNER_WEIGHTS[returner]
        * COUNTRIES[country].weight
    )


class ReturnChances(unittest.TestCase):
    """The chance of a return has the published means and is a product of odds."""

    def setUp(self) -> None:
        """Compute all chances."""
        self.chances = list_chances()

    def mean_chance(self, feature: int, values: tuple[int, ...]) -> float:
        """Return the mean chance of the orders with one of *values* of *feature*."""
        chosen = [key for key in self.chances if key[feature] in values]
        total = sum(weigh(key) for key in chosen)
        return float(sum(weigh(key) * self.chances[key] for key in chosen) / total)

    def test_each_country_returns_its_stated_share(self) -> None:
        for number, country in enumerate(COUNTRIES):
            share = self.mean_chance(4, (number,))
            self.assertAlmostEqual(share, country.returned_per_mille / 1000, delta=0.01)

    def test_clothing_is_returned_at_least_four_times_as_often_as_the_lowest(self) -> None:
        lowest = min(self.mean_chance(2, (number,)) for number in range(len(CATEGORIES)))
        self.assertGreater(self.mean_chance(2, CLOTHING), 4 * lowest)

    def test_share_of_returns_rises_with_the_number_of_the_order(self) -> None:
        first, *others = (self.mean_chance(0, (number,)) for number in range(4))
        self.assertEqual(others, sorted(others))
        self.assertTrue(1.25 < others[-1] / first < 1.5, others[-1] / first)

    def test_order_with_a_coupon_is_returned_a_little_more_often(self) -> None:
        without, with_coupon = (self.mean_chance(1, (coupon,)) for coupon in (0, 1))
        self.assertTrue(1.1 < with_coupon / without < 1.35, with_coupon / without)

    def test_ratio_of_odds_is_the_ratio_of_the_factors(self) -> None:
        shoes, home = 4, 6
        for key in [key for key in self.chances if key[2] == home and key[3] in (1, 2)]:
            low, high = self.chances[key], self.chances[(*key[:2], shoes, *key[3:])]
            ratio = (high / (1 - high)) / (low / (1 - low))
            self.assertAlmostEqual(float(ratio), 125 / 8, delta=0.5)

    def test_every_category_has_a_factor(self) -> None:
        names = [category.name for category in CATEGORIES]
        self.assertEqual(list(returns.CATEGORY_PER_CENT), names)


class ReturnedOrders(unittest.TestCase):
    """The orders of a shop are returned by their chances."""

    orders: list[dict[str, str]]
    firsts: dict[str, dict[str, str]]
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        """Make a shop; find the old orders that were delivered, and their first lines."""
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        call(generate_data.main, "--generate", "--users", USERS, "--out-dir", cls.folder)
        cls.orders = [
            row
            for row in read_rows(cls.folder / "orders.csv")
            if row["ordered_at"] < "2025-11-01" and row["status"] != "cancelled"
        ]
        cls.firsts = {}
        for row in read_rows(cls.folder / "order_items.csv"):
            cls.firsts.setdefault(row["order_id"], row)

    def list_rates(self, keys: dict[str, int]) -> dict[int, float]:
        """Return the rate of returns by the key that *keys* has for each order."""
        groups: dict[int, list[bool]] = defaultdict(list)
        for row in self.orders:
            groups[keys[row["order_id"]]].append(row["status"].endswith("returned"))
        return {key: fmean(group) for key, group in groups.items()}

    def test_rate_of_returns_depends_on_the_category_of_the_first_line(self) -> None:
        numbers = {category.name: at for at, category in enumerate(CATEGORIES)}
        categories = {
            row["product_id"]: numbers[row["category"]]
            for row in read_rows(self.folder / "products.csv")
        }
        rates = self.list_rates(
            {order: categories[row["product_id"]] for order, row in self.firsts.items()}
        )
        lowest_clothing = min(rates[number] for number in CLOTHING)
        self.assertGreater(
            lowest_clothing, 2.5 * max(rates[number] for number in (6, 7, 8))
        )

    def test_rate_of_returns_depends_on_the_customers_habit(self) -> None:
        habits = find_habit(Streams(42), "returner").list_consecutive(1, USERS)
        classes = [customers.list_returner_classes()[habit] for habit in habits]
        rates = self.list_rates(
            {row["order_id"]: classes[int(row["user_id"]) - 1] for row in self.orders}
        )
        self.assertLess(rates[0], 0.06)
        self.assertTrue(rates[0] < rates[1] < rates[2] < rates[3])
        self.assertGreater(rates[3], 0.8)

    def test_first_line_is_the_one_that_is_returned_in_part(self) -> None:
        refunds = {
            row["order_id"]: int(row["amount_cents"])
            for row in read_rows(self.folder / "payments.csv")
            if row["kind"] == "refund"
        }
        partly = [row for row in self.orders if row["status"] == "partially_returned"]
        self.assertGreater(len(partly), 50)
        for row in partly:
            line = int(self.firsts[row["order_id"]]["line_total_cents"])
            share = int(row["total_cents"]) * line // int(row["subtotal_cents"])
            self.assertEqual(refunds[row["order_id"]], share)

    def test_refund_is_made_in_working_hours_of_the_customers_country(self) -> None:
        hours = {country.code: country.utc_offset_hours for country in COUNTRIES}
        offsets = {
            row["user_id"]: timedelta(hours=hours[row["country_code"]])
            for row in read_rows(self.folder / "users.csv")
        }
        returned = {
            row["order_id"]: offsets[row["user_id"]]
            for row in self.orders
            if row["status"].endswith("returned")
        }
        for row in read_rows(self.folder / "payments.csv"):
            if row["kind"] == "refund" and row["order_id"] in returned:
                utc = datetime.strptime(row["processed_at"], "%Y-%m-%dT%H:%M:%S%z")
                local = utc + returned[row["order_id"]]
                self.assertIn(local.weekday(), range(6))
                self.assertIn(local.hour, range(9, 17))
