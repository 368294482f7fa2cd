"""Statistics of small hand-made shops are those that are worked out by hand."""

from __future__ import annotations

import csv
import math
import random
import tempfile
import unittest
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import realism, realism_process
from benchmarks.realism_baskets import (
    BEST_SELLERS,
    basket_rows,
    best_seller_lift,
    category_lift,
    padded_share,
)
from benchmarks.realism_cdnow import (
    describe_customers,
    list_cdnow,
    list_shop_customers,
    measure_separability,
)
from benchmarks.realism_customers import find_cohort, loyalty_rows
from benchmarks.realism_groups import find_interval, group_rows, list_first_year_values
from benchmarks.realism_habits import (
    count_repeated_lines,
    first_value_correlation,
    gap_correlation,
    repeat_lift,
    shuffle_products,
    taste_rows,
    value_rows,
)
from benchmarks.realism_hours import hour_rows, weekend_distance
from benchmarks.realism_names import name_rows
from benchmarks.realism_noise import measure_noise
from benchmarks.realism_payments import payment_rows
from benchmarks.realism_prices import find_promotions, fit_elasticity, price_rows
from benchmarks.realism_products import product_rows
from benchmarks.realism_returns import order_life_rows, overdispersion, return_rate
from benchmarks.realism_rows import OWN, Band, Kind, Row, misses
from benchmarks.realism_seasons import (
    category_shares,
    christmas_multiple,
    november_multiple,
    peak_multiple,
    weekday_range,
)
from benchmarks.shop_files import Line, Order, Payment, Product, Shop, User, read_shop
from tests.support import ROOT, SMALL_SAMPLE, call, sample_shop, skip_or_fail
from utils.helpers import DataError

# A Monday.
START = datetime(2024, 1, 1, tzinfo=UTC)


def make_user(number: int, **changes: Any) -> User:
    """Return a British user who signed up on the first day, with *changes*."""
    user = User(
        user_id=str(number),
        email=f"user{number}@example.com",
        full_name=f"Ada Lovelace{number}",
        country_code="GB",
        city="Ashcombe",
        channel="direct",
        signed_up_at=START,
    )
    return user._replace(**changes)


def make_product(number: int, category: str = "Shoes", **changes: Any) -> Product:
    """Return a product of 50.00 that costs 20.00, launched before the window."""
    launched = START - timedelta(days=30)
    product = Product(str(number), category, "Otterby", 5000, 2000, launched)
    return product._replace(**changes)


class ShopMaker:
    """Collects users, products and orders, then makes the shop of them."""

    def __init__(self, products: Iterable[Product] = ()) -> None:
        self.users: dict[int, User] = {}
        self.products = [*products]
        self.orders: list[Order] = []
        self.lines: list[Line] = []
        self.payments: list[Payment] = []
        self._ids = count(1)

    def add_order(
        self,
        user: int,
        day: float,
        *products: int,
        cents: int = 5000,
        status: str = "delivered",
        methods: Sequence[str] = ("wallet",),
        discount_cents: int = 0,
        shipping_cents: int = 0,
    ) -> None:
        """Add an order with a line of one unit for each of *products*.

        Of the payment *methods* all but the last one fail.
        """
        self.users.setdefault(user, make_user(user))
        order_id = str(next(self._ids))
        instant = START + timedelta(days=day)
        self.orders.append(
            Order(
                order_id,
                str(user),
                instant,
                status,
                value_cents=cents,
                subtotal_cents=cents,
                discount_cents=0,
                shipping_cents=shipping_cents,
                total_cents=cents,
            )
        )
        self.lines += [
            Line(order_id, str(product), 1, 5000, discount_cents, 5000 - discount_cents)
            for product in products or (1,)
        ]
        self.payments += [
            Payment(
                order_id,
                "charge",
                method,
                "succeeded" if number == len(methods) else "failed",
                cents,
                instant,
            )
            for number, method in enumerate(methods, 1)
        ]
        if "returned" in status:
            self.payments.append(
                Payment(order_id, "refund", methods[-1], "succeeded", cents, instant)
            )

    def make(self) -> Shop:
        """Return the shop; a product that nobody described is a pair of shoes."""
        known = {product.product_id for product in self.products}
        sold = {line.product_id for line in self.lines} or {"1"}
        products = [
            *self.products,
            *(make_product(int(number)) for number in sorted(sold - known)),
        ]
        orders = sorted(self.orders, key=lambda order: order.ordered_at)
        users = [*self.users.values()] or [make_user(1)]
        return Shop(users, products, orders, self.lines, self.payments)


def find_value(rows: Iterable[Row], name: str) -> float:
    """Return the value of the row called *name*."""
    value = next(row.value for row in rows if row.name == name)
    assert value is not None
    return value


class Files(unittest.TestCase):
    """A shop is read from its five files."""

    def test_generated_shop_is_read_as_it_was_written(self) -> None:
        folder = sample_shop(*SMALL_SAMPLE)
        shop = read_shop(folder)

        def total(table: str, column: str) -> int:
            with open(folder / f"{table}.csv", encoding="utf-8", newline="") as file:
                return sum(int(row[column]) for row in csv.DictReader(file))

        for table, column, value in (
            ("products", "price_cents", sum(row.price_cents for row in shop.products)),
            ("products", "cost_cents", sum(row.cost_cents for row in shop.products)),
            ("orders", "subtotal_cents", sum(row.subtotal_cents for row in shop.orders)),
            ("orders", "shipping_cents", sum(row.shipping_cents for row in shop.orders)),
            ("order_items", "quantity", sum(row.quantity for row in shop.lines)),
            ("order_items", "line_total_cents", sum(row.total_cents for row in shop.lines)),
            ("payments", "amount_cents", sum(row.amount_cents for row in shop.payments)),
        ):
            with self.subTest(table, column=column):
                self.assertEqual(value, total(table, column))
        self.assertEqual(
            sum(order.value_cents for order in shop.orders),
            total("orders", "subtotal_cents") - total("orders", "discount_cents"),
        )

    def test_only_paid_orders_are_valid_and_only_old_ones_have_known_returns(self) -> None:
        maker = ShopMaker()
        for status in ("pending", "cancelled", "paid", "shipped", "delivered", "returned"):
            maker.add_order(1, 0, status=status)
        maker.add_order(1, 59.5)
        maker.add_order(1, 40)
        shop = maker.make()
        self.assertEqual(len(shop.valid_orders), 6)
        self.assertEqual(len(shop.old_orders), 0)
        maker.add_order(1, 60)
        self.assertEqual(len(maker.make().old_orders), 4)

    def test_a_shop_without_orders_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            for path in sample_shop(*SMALL_SAMPLE).glob("*.csv"):
                with open(path, encoding="utf-8") as file:
                    header = next(file)
                Path(name, path.name).write_text(header, encoding="utf-8")
            with self.assertRaisesRegex(DataError, "no orders to measure"):
                read_shop(Path(name))


class Loyalty(unittest.TestCase):
    """Customers of the first three months are observed for eighteen."""

    def test_repeats_are_those_of_the_cohort(self) -> None:
        maker = ShopMaker()
        # Day 91 is in April, day 547 in July of the next year.
        for user, days in enumerate(
            ((0, 30), (90,), (90, 180.5, 546), (91, 92), (0, *range(40, 50)), (3, 547))
        ):
            for day in days:
                maker.add_order(user, day)
        rows = loyalty_rows(maker.make())
        for name, value in (
            ("one-time buyers", 2 / 5),
            ("repeat within 90 days", 2 / 5),
            ("10 orders or more", 1 / 5),
            ("active in bin k = 0", 1 / 5),
            ("active in bin k = 1", 1 / 5),
            ("active in bin k = 3", 1 / 5),
        ):
            with self.subTest(name):
                self.assertEqual(find_value(rows, name), value)

    def test_shorter_data_have_no_cohort(self) -> None:
        maker = ShopMaker()
        maker.add_order(1, 545)
        self.assertEqual(find_cohort(maker.make()), [])
        maker.add_order(1, 546)
        self.assertEqual(len(find_cohort(maker.make())), 0)
        maker.add_order(1, 0)
        self.assertEqual(len(find_cohort(maker.make())), 1)


class Promotions(unittest.TestCase):
    """A promotion is compared with the product's other weeks."""

    def make_promoted_shop(self, lift: int) -> Shop:
        """Return a shop of ten weeks; in the fifth product 1 costs half.

        Both products sell ten lines a week; in that week product 1 sells *lift* times as
        many and product 2 the rest, so their category sells the same.
        """
        maker = ShopMaker()
        for week in range(10):
            first = 10 * lift if week == 5 else 10
            for number in range(40):
                product = 1 if number < first else 2
                discount = 2500 if product == 1 and week == 5 else 0
                maker.add_order(
                    number, week * 7 + number % 7, product, discount_cents=discount
                )
        return maker.make()

    def test_lift_and_elasticity_are_those_of_the_week(self) -> None:
        for lift, elasticity in ((1, 0.0), (2, -1.0), (4, -2.0)):
            with self.subTest(lift):
                (week,) = find_promotions(self.make_promoted_shop(lift))
                self.assertEqual(week.sold, 10 * lift)
                self.assertAlmostEqual(week.expected, 10)
                self.assertEqual(week.paid, 0.5)
                self.assertAlmostEqual(fit_elasticity([week]), elasticity, places=6)

    def test_products_that_are_rarely_sold_are_left_out(self) -> None:
        maker = ShopMaker()
        for week in range(20):
            maker.add_order(week, week * 7, 1, discount_cents=500 if week == 3 else 0)
        self.assertEqual(find_promotions(maker.make()), [])


class Prices(unittest.TestCase):
    """Prices, margins and losses are read from the catalogue and the lines."""

    def test_margins_vary_within_a_category_only(self) -> None:
        margins = {"Shoes": (1000, 3000), "Bags & Accessories": (500, 2500)}
        maker = ShopMaker(
            make_product(number, category, cost_cents=cost)
            for category, costs in margins.items()
            for number, cost in enumerate(costs, len(category))
        )
        maker.add_order(1, 0, 5)
        rows = price_rows(maker.make())
        # Margins .8 and .4, .9 and .5: each .2 from its mean; four values, two means.
        spread = find_value(rows, "spread of margins within a category")
        self.assertAlmostEqual(spread, math.sqrt(4 * 0.2**2 / 2))

    def test_prices_are_compared_with_those_of_the_next_month(self) -> None:
        maker = ShopMaker()
        for day in (0, 20, 31, 60, 130):
            maker.add_order(1, day, 1, 2)
        shop = maker.make()
        # Two lines an order; product 1 costs more from the third order on.
        for index in range(4, 10, 2):
            shop.lines[index] = shop.lines[index]._replace(unit_price_cents=6000)
        # January to February and February to March are pairs of months, March to May none.
        name = "products whose price changes in a month"
        self.assertEqual(find_value(price_rows(shop), name), 1 / 4)

    def test_losses_and_moved_prices_are_counted_by_line_and_product(self) -> None:
        maker = ShopMaker([make_product(1, price_cents=4999), make_product(2)])
        for number in range(50):
            discount = 3500 if number == 0 else 0
            maker.add_order(number, number, 1, 2, discount_cents=discount)
        shop = maker.make()
        shop.lines[-1] = shop.lines[-1]._replace(unit_price_cents=5100)
        rows = price_rows(shop)
        self.assertEqual(find_value(rows, "lines at a loss"), 2 / 100)
        self.assertEqual(find_value(rows, "products whose price moved"), 0.5)
        self.assertEqual(find_value(rows, "prices that end in 99"), 0.5)


class Products(unittest.TestCase):
    """Products end when they are no longer sold, and begin with their first sale."""

    def test_a_product_ends_90_days_before_the_end_of_the_data(self) -> None:
        maker = ShopMaker()
        for number in range(50):
            maker.add_order(1, number * 0.1, 1, 2)
            maker.add_order(1, number * 2, 3)
        maker.add_order(1, 5.5, 4)
        name = "products that end"
        self.assertAlmostEqual(find_value(product_rows(maker.make()), name), 2 / 3)

    def test_first_sales_are_those_of_products_launched_in_the_window(self) -> None:
        later = START + timedelta(days=5)
        maker = ShopMaker([make_product(2, launched_at=later), make_product(3)])
        maker.add_order(1, 0, 3)
        maker.add_order(1, 31, 2)
        maker.add_order(1, 32, 2)
        name = "first sales on the 1st of a month"
        self.assertEqual(find_value(product_rows(maker.make()), name), 1)


class Habits(unittest.TestCase):
    """What orders of one customer have in common is compared with chance."""

    def test_loyal_customers_have_the_lift_of_their_number(self) -> None:
        # Four customers with a category each: by chance one time in four.
        categories = ("Shoes", "Tops & Shirts", "Toys & Games", "Beauty & Care")
        maker = ShopMaker(
            make_product(number, category) for number, category in enumerate(categories)
        )
        for number in range(4):
            for day in range(5):
                maker.add_order(number, day, number)
        name = "same category as in the last order, lift"
        self.assertEqual(find_value(taste_rows(maker.make()), name), 4)

    def test_chance_is_that_of_the_group(self) -> None:
        maker = ShopMaker()
        for number, methods in ((1, "wallet"), (2, "wallet"), (3, "card"), (4, "card")):
            for day in range(3):
                maker.add_order(number, day, methods=("gift_card", methods))
        shop = maker.make()

        def measure(size: int) -> float:
            return repeat_lift(
                shop,
                lambda order: shop.method_of[order.order_id],
                lambda order: str((int(order.user_id) - 1) // size),
            )

        self.assertEqual((measure(4), measure(2)), (2, 1))

    def test_lines_bought_before_are_counted_in_later_orders_only(self) -> None:
        maker = ShopMaker()
        maker.add_order(1, 0, 1, 2)
        maker.add_order(1, 1, 2, 3)
        maker.add_order(1, 2, 1, 3, 4)
        maker.add_order(2, 3, 1)
        shop = maker.make()
        self.assertEqual(count_repeated_lines(shop, shop.baskets), 3)

    def test_shuffling_keeps_the_products_of_a_month(self) -> None:
        maker = ShopMaker()
        for day in range(60):
            maker.add_order(day, day, day, day + 1)
        shop = maker.make()
        shuffled = shuffle_products(shop)
        for month in (1, 2):
            counts = [
                Counter(
                    line.product_id
                    for order in shop.orders
                    if order.ordered_at.month == month
                    for line in baskets[order.order_id]
                )
                for baskets in (shop.baskets, shuffled)
            ]
            self.assertEqual(*counts)
        self.assertNotEqual(shuffled, shop.baskets)
        self.assertEqual(shuffled, shuffle_products(shop))

    def test_values_vary_within_and_between_customers(self) -> None:
        maker = ShopMaker()
        for user, exponents in enumerate(((5, 7), (9, 11), (8,))):
            for day, exponent in enumerate(exponents):
                maker.add_order(user, day, cents=round(math.exp(exponent)))
        rows = value_rows(maker.make())
        # Within: 4 squares of 1 and 2 means. Between: 16 − 2, ÷ 2 orders a customer.
        within = find_value(rows, "spread of ln order value within a customer")
        alike = find_value(rows, "order values: correlation within customers")
        self.assertAlmostEqual(within, math.sqrt(2), places=2)
        self.assertAlmostEqual(alike, 7 / 9, places=2)

    def test_gaps_are_compared_within_a_customer(self) -> None:
        # Each one spends in proportion to the gap; the one who waits longer spends less.
        maker = ShopMaker()
        for user, (unit, cents) in enumerate(((1, 9000), (10, 100))):
            day = 0
            for gap in (0, 1, 2, 4):
                day += gap * unit
                maker.add_order(user, day, cents=max(gap, 1) * cents)
        histories = list(maker.make().valid_orders_by_user.values())
        self.assertAlmostEqual(gap_correlation(histories), 1)

    def test_first_values_are_ranked_against_the_mean_of_later_ones(self) -> None:
        for later, expected in (((2, 8, 100), 1), ((100, 8, 2), -1), ((2, 100, 8), 0.5)):
            maker = ShopMaker()
            for user, cents in enumerate(later):
                maker.add_order(user, 0, cents=1000**user)
                maker.add_order(user, 1, cents=cents)
                maker.add_order(user, 2, cents=cents)
            histories = list(maker.make().valid_orders_by_user.values())
            with self.subTest(later):
                self.assertAlmostEqual(first_value_correlation(histories), expected)


class Baskets(unittest.TestCase):
    """Pairs and the steps at free shipping are compared with what chance gives."""

    def test_best_sellers_bought_together_have_the_lift_of_their_group(self) -> None:
        maker = ShopMaker()
        for number in range(BEST_SELLERS):
            for order in range(4):
                maker.add_order(order, number, number)
        # 60 single lines, then 60 pairs of every two best sellers, many times.
        self.assertEqual(best_seller_lift(maker.make()), 0)
        for first in range(BEST_SELLERS):
            for second in range(first):
                maker.add_order(1, 50, first, second)
        # Each product is in 4 + 14 of 165 orders, each pair in one.
        self.assertAlmostEqual(best_seller_lift(maker.make()), 165 / 18**2)

    def test_baskets_of_one_category_have_the_lift_of_their_number(self) -> None:
        # In each month two categories of as many lines: by chance one in two.
        maker = ShopMaker(
            make_product(number, category)
            for number, category in enumerate(("Shoes", "Toys & Games") * 2)
        )
        for day in (0, 40):
            for first in (0, 1):
                maker.add_order(1, day, first, first + 2, first)
        self.assertEqual(category_lift(maker.make()), 2)

    def test_products_on_two_lines_and_discounts_are_counted(self) -> None:
        maker = ShopMaker()
        maker.add_order(1, 0, 1, 2)
        maker.add_order(1, 0, 1, 2, 1, discount_cents=500)
        maker.add_order(1, 0, 3, 4)
        shop = maker.make()
        shop.orders[0] = shop.orders[0]._replace(discount_cents=100)
        rows = basket_rows(shop)
        self.assertEqual(find_value(rows, "baskets of distinct products"), 2 / 3)
        self.assertEqual(find_value(rows, "lines on promotion"), 3 / 7)
        self.assertEqual(find_value(rows, "orders with a coupon"), 1 / 3)
        self.assertEqual(find_value(rows, "most lines of an order"), 3)

    def test_orders_raised_above_the_threshold_are_found(self) -> None:
        # The fifths of 50.00 from 10.00 on hold 1,024, 512, 256 … orders.
        maker = ShopMaker()
        padded = 16
        for step, orders in enumerate((1024, 512, 256, 128, 64, 32, 16, 8)):
            change = {3: -padded, 4: padded}.get(step, 0)
            cents = 1000 + step * 1000
            for _ in range(orders + change):
                maker.add_order(1, 0, cents=cents, shipping_cents=499 * (cents < 5000))
        maker.add_order(1, 0, cents=4999, shipping_cents=499)
        # One more below the threshold, which gives its place.
        self.assertAlmostEqual(padded_share(maker.make()), (padded - 0.5) / 128, places=3)


class Returns(unittest.TestCase):
    """Returns are compared between categories, customers and numbers of orders."""

    def test_rates_by_category_are_those_of_the_first_line(self) -> None:
        maker = ShopMaker([make_product(1), make_product(2, "Beauty & Care")])
        for number in range(200):
            for product, returned in ((1, number % 2 == 0), (2, number % 10 == 0)):
                status = "returned" if returned else "delivered"
                maker.add_order(number, 1, product, 3 - product, status=status)
        maker.add_order(999, 300)
        name = "returns: clothing ÷ lowest category"
        self.assertAlmostEqual(find_value(order_life_rows(maker.make()), name), 5)

    def test_serial_returners_return_nearly_everything(self) -> None:
        maker = ShopMaker()
        for user, returned in ((1, 5), (2, 4), (3, 0)):
            for number in range(5):
                status = "partially_returned" if number < returned else "delivered"
                maker.add_order(user, number, status=status)
        maker.add_order(4, 300)
        rows = order_life_rows(maker.make())
        self.assertAlmostEqual(find_value(rows, "serial returners"), 1 / 3)

    def test_habits_of_return_are_overdispersed(self) -> None:
        maker = ShopMaker()
        for user in range(10):
            for number in range(5):
                status = "returned" if user < 5 else "delivered"
                maker.add_order(user, number, status=status)
        maker.add_order(99, 300)
        # Of five orders at rate ½: (5 − 2.5)² ÷ (5 × ½ × ½).
        self.assertAlmostEqual(overdispersion(maker.make()), 5)

    def test_returned_value_is_that_of_old_orders_and_succeeded_refunds(self) -> None:
        maker = ShopMaker()
        maker.add_order(1, 0, cents=3000, status="returned")
        maker.add_order(1, 1, cents=9000)
        maker.add_order(1, 2, cents=7000, status="cancelled")
        maker.add_order(1, 99, cents=5000, status="returned")
        shop = maker.make()
        shop.payments.append(shop.payments[1]._replace(status="failed"))
        self.assertEqual(return_rate(shop), 0.25)

    def test_refunds_of_working_days_are_seen(self) -> None:
        maker = ShopMaker()
        for day in range(14):
            maker.add_order(day, day + 0.4 + 0.02 * day, status="returned")
            maker.add_order(day, day + 0.9, status="cancelled")
        rows = order_life_rows(maker.make())
        self.assertEqual(find_value(rows, "refunds in the busiest 10 hours"), 1)
        self.assertAlmostEqual(find_value(rows, "refunds on Saturday and Sunday"), 2 / 7)

    def test_methods_have_their_share_in_succeeded_charges(self) -> None:
        maker = ShopMaker()
        for number, method in enumerate(("wallet", "credit_card", "gift_card", "wallet")):
            maker.add_order(number, 0, methods=("debit_card", method))
        rows = payment_rows(maker.make())
        for name, value in (("wallet", 0.5), ("credit_card", 0.25), ("other", 0.25)):
            self.assertEqual(find_value(rows, f"payments by {name}"), value)
        self.assertEqual(find_value(rows, "failed attempts"), 0.5)
        self.assertEqual(find_value(rows, "payments per order"), 2)

    def test_second_attempt_is_compared_with_the_failed_one(self) -> None:
        maker = ShopMaker()
        maker.add_order(1, 0, methods=("wallet", "wallet"))
        maker.add_order(1, 1, methods=("wallet", "debit_card"))
        maker.add_order(1, 2, methods=("wallet",))
        name = "second attempts by another method"
        self.assertEqual(find_value(payment_rows(maker.make()), name), 0.5)


class Days(unittest.TestCase):
    """Noise is what trend and weekday do not explain."""

    def measure(self, counts: Sequence[int]) -> tuple[float, float]:
        """Return the noise of as many orders a day as *counts*."""
        maker = ShopMaker()
        for day, orders in enumerate(counts):
            for _ in range(orders):
                maker.add_order(1, day)
        shop = maker.make()
        return measure_noise(shop, [order.ordered_at for order in shop.orders])[:2]

    def test_weekdays_and_growth_are_no_noise(self) -> None:
        week = (10, 12, 14, 16, 18, 30, 5)
        variance, _ = self.measure(week * 20)
        self.assertLess(variance, 0.02)
        variance, _ = self.measure(list(range(10, 150)))
        self.assertLess(variance, 0.02)

    def test_variance_is_in_units_of_the_mean_and_memory_is_that_of_the_next_day(
        self,
    ) -> None:
        # Weeks of 14 and of 6 around 10: 4² ÷ 10; neighbours agree six times of seven.
        variance, memory = self.measure(([14] * 7 + [6] * 7) * 20)
        self.assertAlmostEqual(variance, 1.6, delta=0.05)
        self.assertAlmostEqual(memory, 5 / 7, delta=0.02)

    def test_peaks_are_compared_with_the_season(self) -> None:
        by_day = {date(2024, 11, 1) + timedelta(days=day): 10 for day in range(61)}
        # Black Friday and Cyber Monday of 2024; the season's mean is 10 + 51 ÷ 61.
        by_day |= {date(2024, 11, 29): 31, date(2024, 12, 2): 40}
        mean = (59 * 10 + 71) / 61
        self.assertAlmostEqual(peak_multiple(by_day, 2024, 0), 31 / mean)
        self.assertAlmostEqual(peak_multiple(by_day, 2024, 3), 40 / mean)

    def test_november_is_compared_with_the_months_before(self) -> None:
        first = date(2024, 1, 1)
        by_day = {first + timedelta(days=day): 10 for day in range(366)}
        by_day |= {date(2024, 11, day): 25 for day in range(1, 31)}
        self.assertEqual(november_multiple(by_day, [2023, 2024]), 2.5)

    def test_weekdays_are_compared_outside_the_season(self) -> None:
        # Every Sunday 14, else 10; the season is busy on Mondays.
        first = date(2024, 1, 1)
        days = [first + timedelta(days=day) for day in range(366)]
        by_day = {
            day: 99
            if day.month > 10 and day.weekday() == 0
            else 14 - 4 * (day.weekday() < 6)
            for day in days
        }
        self.assertEqual(weekday_range(by_day), 1.4)

    def test_categories_have_their_share_in_the_lines_of_a_month(self) -> None:
        maker = ShopMaker([make_product(1), make_product(2, "Coats & Knitwear")])
        maker.add_order(1, 0, 1, 2, 2, 2)
        maker.add_order(1, 40, 1)
        shop = maker.make()
        shares = {"Shoes": 0.25, "Coats & Knitwear": 0.75}
        self.assertEqual(category_shares(shop, 1), shares)
        self.assertEqual(category_shares(shop, 2), {"Shoes": 1})

    def test_christmas_is_compared_with_the_week_before(self) -> None:
        by_day = {date(2024, 12, day): 20 for day in range(1, 24)}
        by_day |= {date(2024, 12, day): 5 for day in (24, 25, 26)}
        self.assertEqual(christmas_multiple(by_day, 2024), 0.25)


class Hours(unittest.TestCase):
    """Hours are those of the customer's clock."""

    def test_every_country_has_its_own_evening(self) -> None:
        # 21:00 UTC is 15:00 in the US and 22:00 in Germany.
        for country, is_evening in (("US", 0), ("DE", 1), ("BR", 1), ("GB", 1)):
            with self.subTest(country):
                maker = ShopMaker()
                maker.users[1] = make_user(1, country_code=country)
                for day in range(1000):
                    maker.add_order(1, day + 21 / 24)
                name = "countries busiest in their evening"
                self.assertEqual(find_value(hour_rows(maker.make()), name), is_evening)

    def test_weekends_differ_by_the_share_that_moves(self) -> None:
        maker = ShopMaker()
        for day in range(14):
            for number in range(4):
                late = day % 7 >= 5 and number == 0
                maker.add_order(1, day + (20 if late else 12) / 24)
        self.assertAlmostEqual(weekend_distance(maker.make()), 0.25)


class Groups(unittest.TestCase):
    """Channels differ in the first year's value of their customers and in their share."""

    def test_large_channels_and_countries_are_compared(self) -> None:
        maker = ShopMaker()
        for number in range(1000):
            social, german = number % 2, number % 4 > 1
            maker.users[number] = make_user(
                number,
                channel=("email", "social")[social],
                country_code="DE" if german else "GB",
            )
            # Of 500 users by e-mail 300 buy, of the others 150.
            if number // 2 % 10 < (3 if social else 6):
                method = "wallet" if german else "debit_card"
                maker.add_order(number, 0, methods=(method,))
        maker.add_order(1, 300)
        rows = group_rows(maker.make())
        self.assertEqual(find_value(rows, "channels: highest ÷ lowest"), 2)
        errors = 0.3 / math.sqrt(0.45 * 0.55 * (2 / 500))
        found = find_value(rows, "channels: standard errors apart")
        self.assertAlmostEqual(found, errors)

    def test_first_year_values_end_after_a_year(self) -> None:
        maker = ShopMaker()
        maker.users[1] = make_user(1, channel="referral")
        for user, day, cents in ((1, 0, 100), (1, 364, 20), (1, 366, 3), (2, 300, 7)):
            maker.add_order(user, day, cents=cents)
        worth = list_first_year_values(maker.make())
        self.assertEqual(worth, {"referral": [120]})

    def test_channels_are_apart_if_their_intervals_do_not_overlap(self) -> None:
        low, high = find_interval([1, 2, 3])
        self.assertAlmostEqual((low + high) / 2, 2)
        self.assertAlmostEqual(high - low, 2 * 1.96 / math.sqrt(3), places=3)
        maker = ShopMaker()
        for number in range(90):
            channel = ("email", "referral", "social")[number % 3]
            maker.users[number] = make_user(number, channel=channel)
            cents = {"email": 1000, "referral": 2000, "social": 1000}[channel]
            maker.add_order(number, 0, cents=cents + number)
        maker.add_order(999, 400)
        rows = group_rows(maker.make())
        self.assertEqual(find_value(rows, "channels: pairs with a different CLV"), 2)
        means = (1043.5, 2044.5, 1045.5)
        found = find_value(rows, "referral ÷ mean CLV")
        self.assertAlmostEqual(found, means[1] / (sum(means) / 3))


class NamesAndCities(unittest.TestCase):
    """Names and cities are counted within a country."""

    def test_names_in_use_are_the_number_of_equally_frequent_names(self) -> None:
        maker = ShopMaker()
        for number in range(2000):
            maker.users[number] = make_user(
                number,
                full_name=f"Ada {number % 5}",
                city="Ashcombe" if number % 4 else "Dunmoor",
                channel="email" if number % 8 < 4 else "social",
                email=f"ada.{number if number % 10 == 0 else 'x'}@example.com",
            )
        rows = name_rows(maker.make())
        self.assertAlmostEqual(find_value(rows, "full names in use"), 5, places=1)
        self.assertEqual(find_value(rows, "cities: first ÷ fifth"), 3)
        self.assertEqual(find_value(rows, "family names: first ÷ tenth"), 1)
        self.assertEqual(find_value(rows, "e-mail addresses with the user's id"), 0.1)
        name = "city and channel, chi-square ÷ degrees"
        self.assertAlmostEqual(find_value(rows, name), 0)

    def test_a_channel_in_one_city_only_is_far_from_chance(self) -> None:
        maker = ShopMaker()
        for number in range(100):
            city, channel = (("Ashcombe", "email"), ("Dunmoor", "social"))[number % 2]
            maker.users[number] = make_user(number, city=city, channel=channel)
        name = "city and channel, chi-square ÷ degrees"
        # Four cells of 25 expected, which hold 50 or none.
        self.assertAlmostEqual(find_value(name_rows(maker.make()), name), 100)


class Gaps(unittest.TestCase):
    """How even the gaps between purchases are, from the first two gaps of customers."""

    def test_regularity_follows_the_share_of_the_first_gap(self) -> None:
        maker = ShopMaker()
        for user, days in enumerate(((0, 1, 4), (5, 8, 9, 30), (2, 3, 4), (7, 8), (9,))):
            for day in days:
                maker.add_order(user, day)
        # The shares 1/4, 3/4 and 1/2 have the variance 1/24 around 1/2.
        self.assertAlmostEqual(realism_process.measure_regularity(maker.make()), 2.5)


class Separability(unittest.TestCase):
    """Customers are described without units, from a shop as from CDNOW's file."""

    def make_master(self, text: str) -> Path:
        """Return the path of a purchase log with the lines *text*."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "CDNOW_master.txt")
        path.write_text(text, encoding="ascii")
        return path

    def test_cdnow_and_a_shop_with_its_purchases_are_described_alike(self) -> None:
        log = [(0, 1000), (0, 500), (5, 3000), (20, 6000), (460, 100)]
        lines = [
            f" 00001 {START + timedelta(days=day):%Y%m%d} 1 {cents / 100:.2f}\n"
            for day, cents in log
        ]
        maker = ShopMaker()
        for day, cents in log:
            maker.add_order(1, day, cents=cents)
        (customer,) = list_cdnow(self.make_master("".join(lines)))
        self.assertEqual(list_shop_customers(maker.make()), [customer])
        self.assertEqual([*customer.values()], [1500, 3000, 6000])
        (features,) = describe_customers([customer])
        # Gaps of 5 and 15 days; a Monday, a Saturday and a Sunday; values ½, 1 and 2
        # times the median.
        self.assertEqual(features[:2], [0.5, 1.5])
        self.assertEqual(features[2:6], [0] * 4)
        expected = (2 / 3, 0, math.log(2))
        for value, by_hand in zip(features[6:], expected, strict=True):
            self.assertAlmostEqual(value, by_hand)

    def test_features_have_no_unit_of_money_or_time(self) -> None:
        first = {START.date() + timedelta(days=7 * day): 10**day for day in range(4)}
        second = {START.date() + timedelta(days=14 * day): 7 * 10**day for day in range(4)}
        (features,), (scaled,) = describe_customers([first]), describe_customers([second])
        for value, other in zip(features, scaled, strict=True):
            self.assertAlmostEqual(value, other)

    def test_a_classifier_separates_what_differs_only(self) -> None:
        if find_spec("sklearn") is None:
            skip_or_fail(self, "scikit-learn is not installed: no classifier was tried")
        chance = random.Random(1)  # noqa: S311

        def make_customers(spread: float) -> list[dict[date, int]]:
            return [
                {
                    START.date() + timedelta(days=chance.randrange(400)): round(
                        math.exp(chance.gauss(8, spread))
                    )
                    for _ in range(6)
                }
                for _ in range(300)
            ]

        alike = measure_separability(make_customers(0.5), make_customers(0.5))
        apart = measure_separability(make_customers(0.5), make_customers(1.5))
        self.assertAlmostEqual(alike, 0.5, delta=0.1)
        self.assertGreater(apart, 0.9)


class Command(unittest.TestCase):
    """The script measures the shop of a folder, and names what it misses."""

    def test_report_of_a_folder_is_printed(self) -> None:
        with (
            mock.patch.object(realism, "require_libraries"),
            mock.patch.object(
                realism_process, "fit_bg_nbd", return_value=realism_process.TRUTH
            ),
        ):
            status, out, err = call(realism.main, "--data-dir", sample_shop(*SMALL_SAMPLE))
        self.assertEqual((status, err), (1, ""))
        self.assertTrue(
            out.startswith("| statistic | target band | source | ours | verdict |\n")
        )
        self.assertIn("| ground truth 0.2426 | 0.243 | ok |\n", out)

    def test_miss_sets_the_status(self) -> None:
        for value, expected in ((2.5, 0), (0.5, 1)):
            row = Row("name", Band(1, 3), OWN, "method", value)
            with (
                self.subTest(value=value),
                mock.patch.object(realism, "require_libraries"),
                mock.patch.object(realism, "read_shop"),
                mock.patch.object(realism, "measure", return_value=[row]),
            ):
                status, out, _ = call(realism.main, "--data-dir", "shop")
                self.assertEqual(status, expected)
                self.assertEqual("| MISS |" in out, value < 1)

    def test_missing_library_and_missing_folder_are_named(self) -> None:
        with mock.patch.object(realism, "find_spec", return_value=None):
            status, out, err = call(realism.main)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("numpy is not installed", err)
        self.assertIn("pip install -r benchmarks/requirements.txt", err)
        with mock.patch.object(realism, "require_libraries"):
            status, out, err = call(realism.main, "--data-dir", "no such folder")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("no such folder", err)


class Report(unittest.TestCase):
    """The report has all rows, and the documents state their number."""

    def measure_tiny_shop(self) -> list[Row]:
        """Return the rows of a shop of one order, without the libraries for numbers."""
        maker = ShopMaker()
        maker.add_order(1, 0)
        with mock.patch.object(
            realism_process, "fit_bg_nbd", return_value=realism_process.TRUTH
        ):
            return realism.measure(maker.make())

    def test_a_shop_of_one_order_is_measured(self) -> None:
        rows = self.measure_tiny_shop()
        self.assertEqual(len({row.name for row in rows}), len(rows))
        report = realism.render_report({"tiny": rows})
        for row in rows:
            with self.subTest(row.name):
                self.assertEqual(report.count(f"\n| {row.name} ["), 1)

    def test_a_value_that_cannot_be_computed_is_a_miss(self) -> None:
        rows = [
            row
            for row in self.measure_tiny_shop()
            if row.value is not None and math.isnan(row.value)
        ]
        self.assertTrue(any(row.band is not None for row in rows))
        for row in rows:
            self.assertEqual(misses(row), row.band is not None, row.name)

    def test_what_was_not_measured_neither_passes_nor_misses(self) -> None:
        rows = self.measure_tiny_shop()
        (row,) = (row for row in rows if row.value is None)
        self.assertFalse(misses(row))
        report = realism.render_report({"tiny": rows})
        self.assertIn(f"{row.source.text} | – | not measured |", report)
        judged = sum(row.band is not None for row in rows)
        passed = sum(row.band is not None and not misses(row) for row in rows) - 1
        self.assertIn(
            f"\n{passed} of {judged - 1} statistics are within their bands."
            " 1 not measured: it needs --cdnow.\n",
            report,
        )

    def test_documents_state_how_many_bands_rest_on_what(self) -> None:
        judged = [row for row in self.measure_tiny_shop() if row.band is not None]
        kinds = Counter(row.source.kind for row in judged)
        document = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
        self.assertIn(f"| {len(judged)} statistics of a generated shop", document)
        for kind in Kind:
            self.assertIn(f"| {kinds[kind]} | {kind}", document)
