"""The products on sale, their prices and promotions, and the baskets made of them."""

from __future__ import annotations

import unittest
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from statistics import mean

from data_generation.model import (
    assortment,
    baskets,
    catalog,
    companions,
    prices,
    seasons,
)
from data_generation.model.events import SALE_PER_CENTS, Event, Kind
from data_generation.model.streams import Streams
from tests.support import IN_CI

WINDOW = seasons.plan_calendar(date(2024, 3, 15), date(2025, 6, 30))
DAYS = len(WINDOW.days) if IN_CI else 130
SEED = Streams(5)
QUANTITY_COUNT = len(prices.QUANTITIES)


def list_products(choices: list[int]) -> list[int]:
    """Return the index of the product of each choice."""
    return [choice >> prices.QUANTITY_BITS for choice in choices]


def make_products(count: int, category: int = 0) -> list[catalog.Product]:
    """Return *count* products of one category at different prices."""
    return [
        catalog.Product(
            product_id=number + 1,
            sku=f"S-{number}",
            name="Name",
            category=category,
            brand=0,
            price_cents=999 + 700 * number,
            cost_cents=500,
            launch_day=-1,
            end_day=10_000,
            popularity=100,
        )
        for number in range(count)
    ]


def open_assortment(products: list[catalog.Product]) -> assortment.Assortment:
    """Return the assortment of a window that begins in the middle of a month."""
    return assortment.Assortment(SEED, WINDOW, products)


def fill(
    seed: int, levels: list[int], counts: list[int], tables: baskets.ChoiceTables
) -> list[int]:
    """Return the choices of orders with these levels and line counts."""
    streams = Streams(seed)
    picks = baskets.draw_picks(streams, "product_id", "x", len(levels))
    return baskets.fill_baskets(streams, "x", picks, levels, bytes(counts), tables)


class Baskets(unittest.TestCase):
    """A basket has distinct products, near the order's budget."""

    def test_basket_of_the_smallest_catalogue_has_no_product_twice(self) -> None:
        tables, _ = open_assortment(make_products(6)).select_day(0)
        levels, counts = list(range(60, 160)) * 5, [1 + at % 6 for at in range(500)]
        lines = list_products(fill(2, levels, counts, tables))
        self.assertEqual(len(lines), sum(counts))
        at = 0
        for count in counts:
            self.assertEqual(len(set(lines[at : at + count])), count)
            at += count

    def test_basket_costs_about_its_budget(self) -> None:
        tables, priced = open_assortment(catalog.make_products(SEED, 1)).select_day(0)
        for level in (92, 104, 116):
            for count in (1, 2, 3):
                budget = baskets.level_cents()[level]
                if max(baskets.build_basket_tables().line_counts[level]) < count:
                    continue
                lines = fill(3, [level] * 900, [count] * 900, tables)
                paid = sum(priced.cents[line] for line in lines) / 900
                with self.subTest(level=level, count=count):
                    # The cheapest products bound what several lines cost.
                    most = 1.35 if count == 1 else 1.8
                    self.assertTrue(0.75 < paid / budget < most, paid / budget)

    def test_lines_of_an_order_differ_in_price(self) -> None:
        tables, priced = open_assortment(catalog.make_products(SEED, 1)).select_day(0)
        lines = [priced.cents[line] for line in fill(3, [116] * 900, [3] * 900, tables)]
        first, *further = (mean(lines[at::3]) for at in range(3))
        self.assertTrue(all(first > 1.3 * cents for cents in further))
        self.assertGreater(
            sum(
                max(pair) > 2 * min(pair)
                for pair in zip(lines[1::3], lines[2::3], strict=True)
            ),
            300,
        )

    def test_some_lines_are_of_a_bulk_quantity(self) -> None:
        quantities: Counter[int] = Counter()
        shop = open_assortment(catalog.make_products(SEED, len(WINDOW.days)))
        for day in range(0, len(WINDOW.days), 30):
            tables, _ = shop.select_day(day)
            quantities.update(
                prices.QUANTITIES[choice % QUANTITY_COUNT] for choice in tables.choices
            )
        bulk = sum(quantities[quantity] for quantity in prices.QUANTITIES[4:])
        self.assertTrue(0.0003 < bulk / quantities.total() < 0.002)
        self.assertTrue(all(quantities[quantity] for quantity in prices.QUANTITIES))


class Companions(unittest.TestCase):
    """A best seller is often bought together with another one."""

    def setUp(self) -> None:
        """Open the shop of two years on a Monday, when prices begin."""
        shop = open_assortment(catalog.make_products(SEED, 730))
        self.tables, _ = shop.select_day(3)
        self.promotions = shop._prices.promotions

    def test_rows_of_companions_have_best_sellers_only_one_unit_each(self) -> None:
        best = self.tables.best_sellers
        self.assertTrue(8 < len(best) < 30, len(best))
        choices = self.tables.choices[companions.BEST_SELLERS :]
        self.assertEqual(len(choices), baskets.CATEGORY_SIZE)
        self.assertEqual(set(list_products(choices)), set(best))
        self.assertEqual({choice % QUANTITY_COUNT for choice in choices}, {0})

    def test_best_sellers_are_a_third_of_all_choices_or_more(self) -> None:
        shares = self.tables.best_sellers.values()
        self.assertTrue(0.25 < sum(shares) / companions.SHARE_UNIT < 0.6)
        least = companions.SHARE_UNIT * companions.BEST_SELLER_PER_MILLE / 1000
        self.assertGreaterEqual(min(shares), least - 1)

    def test_further_line_is_a_best_seller_more_often_after_another_one(self) -> None:
        best = self.tables.best_sellers
        products = list_products(fill(3, [110] * 4000, [2] * 4000, self.tables))
        after: dict[bool, list[bool]] = {True: [], False: []}
        for first, further in zip(products[::2], products[1::2], strict=True):
            after[first in best].append(further in best)
        usual = mean(after[False])
        # Those of companions that would be best sellers anyway do not count, and the first
        # product is not bought twice.
        more = (1 - usual) * companions.COMPANION_256THS / 256
        self.assertTrue(0.6 * more < mean(after[True]) - usual <= more)

    def test_promoted_best_seller_has_more_of_the_places(self) -> None:
        plain, promoted = (
            companions.list_companions(
                [
                    companions.BestSeller(1, share, 2999),
                    companions.BestSeller(2, 100, 2999),
                ]
            )
            for share in (100, 200)
        )
        counts = Counter(list_products(plain))
        self.assertEqual(counts[1], counts[2])
        counts = Counter(list_products(promoted))
        self.assertAlmostEqual(counts[1] / counts[2], 2, delta=0.05)

    def test_cheaper_best_seller_has_more_of_the_places_in_cheaper_rows(self) -> None:
        rows = companions.list_companions(
            [companions.BestSeller(1, 1, 999), companions.BestSeller(2, 1, 9999)]
        )
        cheap, dear = (Counter(list_products(part)) for part in (rows[:256], rows[-256:]))
        self.assertGreater(cheap[1], 2 * cheap[2])
        self.assertGreater(dear[2], 2 * dear[1])

    def test_rows_without_a_best_seller_have_their_size(self) -> None:
        self.assertEqual(companions.list_companions([]), [0] * baskets.CATEGORY_SIZE)


class Taste(unittest.TestCase):
    """A customer's orders have more in common than chance, all orders no more than that."""

    def setUp(self) -> None:
        """Give 4,000 users 6 orders each."""
        self.users = [user for user in range(1, 4_001) for _ in range(6)]
        picks = baskets.draw_picks(SEED, "product_id", "x", len(self.users))
        self.picks = baskets.add_taste(SEED, "x", picks, self.users)

    def count_equal(self, picks: Iterable[object]) -> float:
        """Return the share of orders whose pick is that of the same user's next order."""
        same = [
            pick == after for at, (pick, after) in enumerate(pairwise(picks)) if at % 6 < 5
        ]
        return mean(same)

    def test_orders_of_a_user_share_the_byte_of_the_category(self) -> None:
        share = (baskets.TASTE_256THS / 256) ** 2
        self.assertAlmostEqual(
            self.count_equal(self.picks.categories), share + (1 - share) / 256, delta=0.01
        )

    def test_fewer_orders_of_a_user_share_the_place_too(self) -> None:
        share = (baskets.PRODUCT_TASTE_256THS / 256) ** 2
        self.assertAlmostEqual(
            self.count_equal(zip(*self.picks, strict=True)), share, delta=0.01
        )

    def test_every_category_byte_stays_as_likely(self) -> None:
        counts = Counter(self.picks.categories)
        mean_count = len(self.users) / 256
        self.assertTrue(
            all(0.5 * mean_count < counts[byte] < 1.6 * mean_count for byte in range(256))
        )


class Shelf(unittest.TestCase):
    """A product is on sale from the day after its launch to the day before its end."""

    def find_days(self, product: catalog.Product) -> list[int]:
        """Return the days on which *product* is sold among others of its category."""
        shop = open_assortment([*make_products(8), product._replace(popularity=400)])
        days = range(DAYS)
        return [day for day in days if 8 in list_products(shop.select_day(day)[0].choices)]

    def test_product_is_sold_from_the_day_after_its_launch(self) -> None:
        late = make_products(9)[8]._replace(launch_day=20)
        self.assertEqual(self.find_days(late), list(range(21, DAYS)))

    def test_product_is_not_sold_from_its_end_on(self) -> None:
        ended = make_products(9)[8]._replace(end_day=100)
        self.assertEqual(self.find_days(ended), list(range(100)))

    def test_day_does_not_depend_on_the_days_selected_before(self) -> None:
        products = catalog.make_products(SEED, len(WINDOW.days))
        shop = open_assortment(products)
        days = list(range(0, len(WINDOW.days), 13 if IN_CI else 61))
        forwards = [repr(shop.select_day(day)) for day in days]
        backwards = [repr(shop.select_day(day)) for day in reversed(days)]
        self.assertEqual(forwards, backwards[::-1])
        alone = open_assortment(products).select_day(days[5])
        self.assertEqual(repr(alone), forwards[5])

    def test_longer_window_has_the_same_products_and_prices_before(self) -> None:
        longer = seasons.plan_calendar(WINDOW.start, WINDOW.days[-1] + timedelta(days=300))
        short = open_assortment(catalog.make_products(SEED, len(WINDOW.days)))
        products = catalog.make_products(SEED, len(longer.days))
        long = assortment.Assortment(SEED, longer, products)
        for day in (0, 100, 300, len(WINDOW.days) - 1):
            tables, priced = short.select_day(day)
            long_tables, long_priced = long.select_day(day)
            self.assertEqual(tables, long_tables)
            self.assertEqual(priced.texts, long_priced.texts[: len(priced.texts)])

    def test_older_product_of_the_same_popularity_sells_less(self) -> None:
        products = make_products(2)
        old = products[0]._replace(launch_day=-1095, price_cents=2999)
        new = products[1]._replace(price_cents=2999)
        tables, _ = open_assortment([old, new]).select_day(0)
        counts = Counter(list_products(tables.choices[: baskets.CATEGORY_SIZE]))
        self.assertLess(counts[0], 0.85 * counts[1])


class Promotions(unittest.TestCase):
    """A promotion lasts from Monday to Sunday, and more of the product is sold."""

    def test_promotion_lasts_from_monday_to_sunday(self) -> None:
        shop = open_assortment(catalog.make_products(SEED, 1))
        sums = []
        for day in range(21):
            tables, priced = shop.select_day(day)
            sums.append((sum(priced.cents), Counter(list_products(tables.choices))))
        weeks = [sums[3:10], sums[10:17]]  # 15 March 2024 is a Friday
        for week in weeks:
            self.assertTrue(all(day == week[0] for day in week))
        self.assertEqual(len({sums[0][0], weeks[0][0][0], weeks[1][0][0]}), 3)

    def test_promoted_product_has_more_places_the_larger_the_discount(self) -> None:
        shop = open_assortment(catalog.make_products(SEED, 1))
        plain: Counter[int] = Counter()
        promoted: Counter[int] = Counter()
        for day in range(3, 300, 7):
            tables, _ = shop.select_day(day)
            before = Counter(
                list_products([at for rows in shop._rows for at in rows.choices])
            )
            after = Counter(list_products(tables.choices[: companions.BEST_SELLERS]))
            for index in range(len(shop._products)):
                per_cent = shop._prices.promotions.get(index, 0)
                plain[per_cent] += before[index]
                promoted[per_cent] += after[index]
        lifts = {per_cent: promoted[per_cent] / plain[per_cent] for per_cent in plain}
        self.assertLess(lifts[0], 1)
        self.assertEqual(sorted(lifts, key=lambda at: lifts[at]), [0, 10, 15, 20, 30])
        for per_cent, lift in lifts.items():
            if per_cent:
                # Elasticities of 1.5 to 3.78, less what other promotions take.
                self.assertTrue(
                    (1 - per_cent / 100) ** -1.5 < lift < (1 - per_cent / 100) ** -3.78,
                    lifts,
                )


class Sales(unittest.TestCase):
    """In a sale two products in five have the sale's discount, in every category."""

    def find_discounts(self, events: list[Event], day: date) -> dict[int, int]:
        """Return the discounts of *day* by product, in a shop with *events*."""
        products = catalog.make_products(SEED, 730)
        price_list = prices.PriceList(SEED, WINDOW, products, events)
        price_list.select_week((day - WINDOW.start).days, day)
        return price_list.promotions

    def test_sale_has_one_discount_in_all_categories_for_a_week(self) -> None:
        products = catalog.make_products(SEED, 730)
        for subject, per_cent in enumerate(SALE_PER_CENTS):
            monday = date(2024, 5, 13)
            sale = Event(Kind.SALE, monday, date(2024, 5, 19), 400, subject)
            found = self.find_discounts([sale], monday)
            self.assertEqual(set(found.values()), {per_cent})
            self.assertTrue(0.35 < len(found) / len(products) < 0.5)
            self.assertEqual(
                {products[index].category for index in found},
                set(range(len(catalog.CATEGORIES))),
            )
            for day in (date(2024, 5, 12), date(2024, 5, 20)):
                self.assertEqual(
                    self.find_discounts([sale], day), self.find_discounts([], day)
                )


class Prices(unittest.TestCase):
    """List prices move in steps; they end as prices do; costs leave a margin or none."""

    def setUp(self) -> None:
        """Make the catalogue of two years."""
        self.products = catalog.make_products(SEED, 730)
        self.histories = [
            prices.find_price_history(SEED, product, 730) for product in self.products
        ]

    def test_every_history_begins_with_the_price_of_products_csv(self) -> None:
        for product, history in zip(self.products, self.histories, strict=True):
            self.assertEqual(history.days[0], product.launch_day)
            self.assertEqual(history.price_at(product.launch_day), product.price_cents)

    def test_every_price_of_a_product_has_the_same_ending_and_is_within_bounds(
        self,
    ) -> None:
        for product, history in zip(self.products, self.histories, strict=True):
            for cents in history.cents:
                self.assertEqual(cents % 100, product.price_cents % 100)
                self.assertTrue(0.6 <= cents / product.price_cents < 1.71)

    def test_a_sixth_of_the_prices_changes_in_a_month(self) -> None:
        # Cavallo 2018: 15.4 to 27.4 % of products change in a month.
        changes = sum(len(history.days) - 1 for history in self.histories)
        months = sum((730 - product.launch_day) / 30.4 for product in self.products)
        self.assertTrue(0.154 < changes / months < 0.274, changes / months)
        self.assertTrue(0.1 < mean(len(at.days) == 1 for at in self.histories) < 0.35)

    def test_prices_have_several_endings(self) -> None:
        endings = Counter(product.price_cents % 100 for product in self.products)
        self.assertTrue(0.3 < endings[99] / len(self.products) < 0.6)
        self.assertEqual(set(endings), set(catalog.PRICE_ENDINGS))

    def test_few_products_are_sold_almost_without_a_margin(self) -> None:
        shares = [product.cost_cents / product.price_cents for product in self.products]
        self.assertTrue(min(shares) > 0.2 and max(shares) < 0.96)
        self.assertTrue(0.005 < mean(share > 0.75 for share in shares) < 0.13)

    def test_no_cheap_or_popular_product_is_sold_almost_without_a_margin(self) -> None:
        for seed in range(4):
            for product in catalog.make_products(Streams(seed), 730):
                if product.cost_cents > 0.75 * product.price_cents:
                    category = catalog.CATEGORIES[product.category]
                    span = category.high_cents - category.low_cents
                    least = category.low_cents + span / 5
                    self.assertGreater(product.price_cents, least)
                    most = catalog.MOST_LEADER_POPULARITY
                    self.assertLessEqual(product.popularity, most)


class Brands(unittest.TestCase):
    """A brand has two or three categories and a price tier."""

    def test_every_category_has_brands_of_each_tier(self) -> None:
        for number in range(len(catalog.CATEGORIES)):
            tiers = {brand.tier for brand in catalog.BRANDS if number in brand.categories}
            self.assertEqual(tiers, {0, 1, 2}, catalog.CATEGORIES[number].name)
        self.assertTrue(all(len(brand.categories) in (2, 3) for brand in catalog.BRANDS))

    def test_products_have_a_brand_of_their_category_at_its_tier(self) -> None:
        by_tier: dict[int, list[float]] = {0: [], 1: [], 2: []}
        for product in catalog.make_products(SEED, 730):
            brand, category = (
                catalog.BRANDS[product.brand],
                catalog.CATEGORIES[product.category],
            )
            self.assertIn(product.category, brand.categories)
            by_tier[brand.tier].append(product.price_cents / category.high_cents)
        self.assertTrue(mean(by_tier[0]) < 0.7 * mean(by_tier[1]))
        self.assertTrue(mean(by_tier[1]) < 0.7 * mean(by_tier[2]))
