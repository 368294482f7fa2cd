"""What happens in a shop: noise from day to day, holidays, uneven sign-ups, events."""

from __future__ import annotations

import tempfile
import unittest
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import correlation, mean, pstdev
from unittest import mock

from data_generation import event_truth
from data_generation.generate_data import generate_shop
from data_generation.model import channels, orders, seasons
from data_generation.model.customers import plan_signups
from data_generation.model.events import (
    SALE_AFTERMATH,
    SALE_PER_CENTS,
    Event,
    Kind,
    Shocks,
)
from data_generation.model.streams import Streams
from data_generation.plan import DEFAULT_END, DEFAULT_START, Plan
from data_generation.spans import Shop, build_shop
from tests.support import IN_CI, read_rows, skip
from utils.contract import read_contract

DAY = timedelta(days=1)
DEMAND_OR_CHANNEL = {Kind.CAMPAIGN, Kind.SALE, Kind.OUTAGE, Kind.BAD_CHANNEL}

CALM = Shocks(Streams(1), is_calm=True)

SEEDS = range(20 if IN_CI else 4)


def list_days(start: date, end: date) -> list[date]:
    """Return the days from *start* to *end*, both included."""
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


def find_demands(shocks: Shocks, year: int) -> dict[date, float]:
    """Return the demand of each day of *year*, in days of average demand."""
    calendar = seasons.plan_calendar(
        date(year, 1, 1), date(year, 12, 31), shocks.find_factor
    )
    lengths = (after - before for before, after in pairwise(calendar.ticks))
    return {
        day: ticks / seasons.DAY_TICKS
        for day, ticks in zip(calendar.days, lengths, strict=True)
    }


class Seasons(unittest.TestCase):
    """Demand follows the year without steps, and falls on holidays."""

    def test_year_of_demand_time_is_about_a_year_whatever_happens(self) -> None:
        for seed in SEEDS:
            for year in (2023, 2024, 2025):
                demands = find_demands(Shocks(Streams(seed)), year)
                self.assertAlmostEqual(mean(demands.values()), 1, delta=0.05)

    def test_no_month_begins_with_a_step(self) -> None:
        for year in (2024, 2025):
            usual = {
                day: demand / seasons.WEEKDAY_PER_CENT[day.weekday()]
                for day, demand in find_demands(CALM, year).items()
                if seasons.find_peak(day) == 100
                and (day.month, day.day) not in seasons.HOLIDAYS_PER_CENT
            }
            for day, demand in usual.items():
                before = usual.get(day - timedelta(days=1), demand)
                self.assertAlmostEqual(demand / before, 1, delta=0.02, msg=f"{day}")

    def test_christmas_is_quieter_than_the_week_before(self) -> None:
        for year in range(2020, 2030):
            demands = find_demands(CALM, year)
            week = mean(demands[date(year, 12, day)] for day in range(17, 24))
            for day in (24, 25, 26):
                self.assertTrue(0.2 < demands[date(year, 12, day)] / week < 0.7)


class DailyNoise(unittest.TestCase):
    """Busy and quiet days follow each other more often than by chance."""

    def setUp(self) -> None:
        """List the noise of twenty years, without the days that have none."""
        shocks = Shocks(Streams(5))
        self.noise = [
            shocks.find_noise(day)
            for day in list_days(date(2010, 1, 1), date(2029, 12, 31))
            if seasons.find_peak(day) == 100
        ]

    def test_noise_changes_no_mean_and_has_its_standard_deviation(self) -> None:
        # Exactly, but for two peaks a year.
        self.assertAlmostEqual(mean(self.noise), 1000, delta=2)
        self.assertAlmostEqual(pstdev(self.noise), 200, delta=10)

    def test_noise_of_neighbouring_days_is_correlated(self) -> None:
        # Of the weights 5 to 1: 40 ÷ 55 for neighbours, 0 from the fifth day on.
        for lag, expected in ((1, 40 / 55), (2, 26 / 55), (5, 0), (6, 0)):
            found = correlation(self.noise[:-lag], self.noise[lag:])
            self.assertAlmostEqual(found, expected, delta=0.06)

    def test_published_peaks_and_calm_shops_have_no_noise(self) -> None:
        for year in range(2020, 2030):
            friday = seasons.find_black_friday(year)
            for day in (friday, friday + timedelta(days=3)):
                self.assertEqual(Shocks(Streams(year)).find_noise(day), 1000)
        for day in list_days(date(2024, 1, 1), date(2024, 12, 31)):
            self.assertEqual(CALM.find_factor(day), 1000)

    def test_noise_of_a_day_does_not_depend_on_the_days_seen_before(self) -> None:
        days = list_days(date(2023, 12, 1), date(2024, 3, 1))
        forward, backward = Shocks(Streams(9)), Shocks(Streams(9))
        found = [forward.find_noise(day) for day in days]
        self.assertEqual(found[::-1], [backward.find_noise(day) for day in days[::-1]])
        self.assertGreater(len(set(found)), 50)


class UnevenSignUps(unittest.TestCase):
    """Sign-ups vary more than by chance, and their total is exact."""

    def plan(
        self, shocks: Shocks, users: int, end: date = DEFAULT_END, paced_days: int = 731
    ) -> list[int]:
        """Return the sign-ups of each day of a window from the default start."""
        calendar = seasons.plan_calendar(DEFAULT_START, end, shocks.find_factor)
        return plan_signups(shocks, calendar, users, paced_days)

    def test_variance_is_about_twice_the_mean_at_any_size(self) -> None:
        for users in (5_000, 20_000, 100_000):
            expected = self.plan(CALM, users)
            for seed in (1, 2, 3) if IN_CI else (1,):
                counts = self.plan(Shocks(Streams(seed)), users)
                found = mean(
                    (count - usual) ** 2 / usual
                    for count, usual in zip(counts, expected, strict=True)
                    if usual
                )
                self.assertTrue(1.3 < found < 4, (users, seed, found))

    def test_total_is_exact_for_any_number_of_users(self) -> None:
        for users in (0, 1, 10, 150, 9_999):
            counts = self.plan(Shocks(Streams(users)), users)
            self.assertEqual(sum(counts), users)
            self.assertGreaterEqual(min(counts), 0)

    def test_longer_window_only_appends(self) -> None:
        shocks = Shocks(Streams(3))
        longer = self.plan(shocks, 9_000, date(2027, 6, 30))
        self.assertEqual(longer[:731], self.plan(shocks, 9_000))


class Events(unittest.TestCase):
    """What happens follows from the seed and the calendar, and events do not mix."""

    def test_every_kind_happens_within_two_years_of_any_shop(self) -> None:
        for seed in SEEDS:
            listed = Shocks(Streams(seed)).list_events(DEFAULT_START, DEFAULT_END)
            self.assertEqual({event.kind for event in listed}, set(Kind), seed)

    def test_window_that_begins_or_ends_elsewhere_has_the_same_events(self) -> None:
        expected = Shocks(Streams(8)).list_events(date(2023, 1, 1), date(2026, 12, 31))
        for start, end in (
            (date(2024, 1, 1), date(2024, 12, 31)),
            (date(2024, 2, 20), date(2025, 3, 1)),
            (date(2025, 6, 15), date(2025, 6, 15)),
        ):
            found = Shocks(Streams(8)).list_events(start, end)
            touching = [event for event in expected if event.first <= end <= DEFAULT_END]
            self.assertEqual(found, [event for event in touching if start <= event.end])

    def test_demand_of_one_day_is_changed_by_one_event(self) -> None:
        for seed in SEEDS:
            shocks = Shocks(Streams(seed))
            days = list_days(date(2022, 1, 1), date(2025, 12, 31))
            listed = shocks.list_events(days[0], days[-1])
            for day in days:
                effects = [event.find_effect(day) for event in listed]
                self.assertLessEqual(sum(effect != 0 for effect in effects), 1, day)
                self.assertEqual(shocks.find_effect(day), 1000 + sum(effects))
                if (day.month, day.day) > (11, 15):
                    self.assertEqual(effects, [0] * len(effects))

    def test_sale_takes_as_many_orders_as_it_brings(self) -> None:
        for seed in SEEDS:
            shocks = Shocks(Streams(seed))
            for event in shocks.list_events(DEFAULT_START, DEFAULT_END):
                if event.kind is Kind.SALE:
                    self.assertEqual(event.first.weekday(), 0)
                    days = list_days(event.first, event.end)
                    self.assertEqual({day.weekday() for day in days}, set(range(7)))
                    total = sum(map(event.find_effect, days))
                    self.assertTrue(-SALE_AFTERMATH * 7 <= total <= 0, total)

    def test_march_of_the_readme_falls_for_the_reasons_that_it_gives(self) -> None:
        shocks = Shocks(Streams(1015))
        demands = find_demands(shocks, 2025)
        february, march = (
            mean(demand for day, demand in demands.items() if day.month == month)
            for month in (2, 3)
        )
        self.assertLess(march, 0.85 * february)
        listed = shocks.list_events(date(2025, 2, 1), date(2025, 3, 31))
        self.assertEqual(
            [event.kind for event in listed if event.kind in DEMAND_OR_CHANNEL],
            [Kind.SALE, Kind.BAD_CHANNEL, Kind.OUTAGE],
        )

    def test_outage_lasts_a_day_or_two(self) -> None:
        found = {
            (event.last - event.first).days + 1
            for seed in range(20)
            for event in Shocks(Streams(seed)).list_events(DEFAULT_START, DEFAULT_END)
            if event.kind is Kind.OUTAGE
        }
        self.assertEqual(found, {1, 2})

    def test_later_orders_have_three_times_as_many_coupons_during_a_campaign(self) -> None:
        usual, during = (orders.build_kind_tables(has) for has in (False, True))
        for trait, (table, more) in enumerate(zip(usual, during, strict=True)):
            # By kind of the purchase; the lowest bit of an order's kind is the coupon.
            counts, raised = (
                [sum(kind & 1 for kind in kinds[at]) for at in (0, 2)]
                for kinds in (table, more)
            )
            self.assertEqual(counts[0], raised[0], trait)
            self.assertAlmostEqual(raised[1], 3 * counts[1], delta=2, msg=trait)
            self.assertGreater(counts[1], 10)

    def test_day_of_a_campaign_is_known(self) -> None:
        shocks = Shocks(Streams(1))
        days = list_days(DEFAULT_START, DEFAULT_END)
        campaigns = [
            event
            for event in shocks.list_events(DEFAULT_START, DEFAULT_END)
            if event.kind is Kind.CAMPAIGN
        ]
        expected = {
            day for event in campaigns for day in list_days(event.first, event.last)
        }
        self.assertTrue(expected)
        self.assertEqual({day for day in days if shocks.has_campaign(day)}, expected)
        self.assertFalse(any(map(CALM.has_campaign, days)))

    def test_calm_shop_has_no_event(self) -> None:
        self.assertEqual(CALM.list_events(DEFAULT_START, DEFAULT_END), [])


def make_rows(plan: Plan, *tables: str) -> dict[str, list[dict[str, str]]]:
    """Return the rows of *tables* of the shop of *plan*."""
    build_shop.cache_clear()
    with tempfile.TemporaryDirectory() as folder:
        generate_shop(plan, Path(folder), tables=tables)
        made = {table: read_rows(Path(folder, f"{table}.csv")) for table in tables}
    build_shop.cache_clear()
    return made


class EffectsOfEvents(unittest.TestCase):
    """An event can be seen in the data, beside the same shop without events."""

    shop: Shop
    events: list[Event]
    with_events: dict[str, list[dict[str, str]]]
    without: dict[str, list[dict[str, str]]]

    @classmethod
    def setUpClass(cls) -> None:
        """Make a shop of 20,000 users, with its events and without them."""
        if not IN_CI:
            skip("the effects of events are measured in CI only: it takes seconds")
        plan = Plan(1, 20_000, DEFAULT_START, DEFAULT_END, DEFAULT_END)
        cls.events = Shocks(Streams(1)).list_events(DEFAULT_START, DEFAULT_END)
        tables = ("users", "products", "orders", "order_items")
        cls.with_events = make_rows(plan, *tables)
        with mock.patch.object(Shocks, "list_year", return_value=[]):
            cls.without = make_rows(plan, *tables)
        cls.shop = build_shop(plan)

    def compare_orders(self, days: Iterable[date]) -> float:
        """Return orders with events ÷ without, on *days*."""
        chosen = set(map(str, days))
        with_events, without = (
            sum(row["ordered_at"][:10] in chosen for row in made["orders"])
            for made in (self.with_events, self.without)
        )
        return with_events / without

    def find_change(self, kind: Kind, days: Callable[[Event], list[date]]) -> float:
        """Return how much more orders there are on the *days* of the events of *kind*.

        Compared are days without a change of demand: their orders are fewer too, because
        of the bad channels.
        """
        chosen = {day for event in self.events if event.kind is kind for day in days(event)}
        usual = [
            day
            for day in list_days(DEFAULT_START, DEFAULT_END)
            if self.shop.shocks.find_effect(day) == 1000
        ]
        return self.compare_orders(chosen) / self.compare_orders(usual) - 1

    def mean_size(self, kind: Kind) -> float:
        """Return how much the events of *kind* change orders on average, as a ratio.

        It is .8 of their size: the orders of the visit of a sign-up, a quarter of all,
        follow half of it, because sign-ups do, and other first orders are delayed.
        """
        sizes = [event.per_mille for event in self.events if event.kind is kind]
        return mean(sizes) / 1000 * 0.8

    def test_campaign_brings_orders(self) -> None:
        found = self.find_change(
            Kind.CAMPAIGN, lambda event: list_days(event.first, event.last)
        )
        # Of some 1,800 orders on either side: the standard error is 4 %.
        self.assertAlmostEqual(found, self.mean_size(Kind.CAMPAIGN), delta=0.13)

    def test_outage_stops_nearly_all_orders(self) -> None:
        found = self.find_change(Kind.OUTAGE, lambda event: [event.first])
        self.assertLess(found, -0.7)

    def test_sale_only_pulls_orders_forward(self) -> None:
        size = self.mean_size(Kind.SALE)
        for expected, days in (
            (size, lambda event: list_days(event.first, event.last)),
            (-size / 2, lambda event: list_days(event.last + DAY, event.end)),
            (0, lambda event: list_days(event.first, event.end)),
        ):
            found = self.find_change(Kind.SALE, days)
            self.assertAlmostEqual(found, expected, delta=0.15)

    def test_bad_channel_brings_fewer_buyers(self) -> None:
        complete = [
            event
            for event in self.events
            if event.kind is Kind.BAD_CHANNEL and event.last <= DEFAULT_END
        ]
        self.assertTrue(complete)
        for event in complete:
            usual, bad = (
                count_buyers(made, channels.CHANNELS[event.subject].name, event)
                for made in (self.without, self.with_events)
            )
            # About 400 users: the standard error of the ratio is 5 %.
            self.assertAlmostEqual(bad / usual, 1 + event.per_mille / 1000, delta=0.15)

    def test_viral_product_is_sold_much_more_for_three_weeks(self) -> None:
        counts: Counter[str] = Counter()
        for event in self.events:
            if event.kind is Kind.VIRAL_PRODUCT:
                product = event_truth.find_value(self.shop, event)
                first, last, weeks = event.first, event.last, timedelta(days=21)
                counts["usual"] += count_lines(self.without, product, first, last)
                for name, days in (
                    ("before", -weeks),
                    ("viral", 0 * DAY),
                    ("after", weeks),
                ):
                    counts[name] += count_lines(
                        self.with_events, product, first + days, last + days
                    )
        self.assertGreater(counts["viral"], 20)
        for name in ("usual", "before", "after"):
            self.assertGreater(counts["viral"], 3 * counts[name], counts)

    def test_price_rise_moves_all_prices_of_a_brand_for_good(self) -> None:
        rises = [event for event in self.events if event.kind is Kind.PRICE_RISE]
        self.assertTrue(rises)
        for event in rises:
            size = event.per_mille / 1000
            usual, risen = (
                list_prices(made, event_truth.find_value(self.shop, event), event.first)
                for made in (self.without, self.with_events)
            )
            both = [product for product in risen if product in usual]
            self.assertGreater(len(both), 5)
            ratio = mean(risen[product] / usual[product] for product in both)
            # Another rise of the same brand adds to it; prices are rounded to dollars.
            most = sum(each.per_mille for each in rises if each.subject == event.subject)
            self.assertTrue(size - 0.03 < ratio - 1 < most / 1000 + 0.03, ratio)


def count_lines(
    made: dict[str, list[dict[str, str]]], product: str, first: date, last: date
) -> int:
    """Return how many lines of *product* were ordered from *first* to *last*."""
    ordered = {
        row["order_id"]
        for row in made["orders"]
        if str(first) <= row["ordered_at"][:10] <= str(last)
    }
    return sum(
        row["product_id"] == product and row["order_id"] in ordered
        for row in made["order_items"]
    )


def list_prices(
    made: dict[str, list[dict[str, str]]], brand: str, first: date
) -> dict[str, float]:
    """Return the price of each product of *brand* in the eight weeks from *first* on."""
    of_brand = {row["product_id"] for row in made["products"] if row["brand"] == brand}
    last = first + timedelta(days=55)
    ordered = {
        row["order_id"]
        for row in made["orders"]
        if str(first) <= row["ordered_at"][:10] <= str(last)
    }
    prices: dict[str, list[int]] = {}
    for row in made["order_items"]:
        if row["product_id"] in of_brand and row["order_id"] in ordered:
            prices.setdefault(row["product_id"], []).append(int(row["unit_price_cents"]))
    return {product: mean(cents) for product, cents in prices.items()}


def count_buyers(
    made: dict[str, list[dict[str, str]]], channel: str, event: Event
) -> float:
    """Return the share of buyers among who signed up by *channel* during *event*."""
    buyers = {row["user_id"] for row in made["orders"]}
    signed_up = [
        row["user_id"]
        for row in made["users"]
        if row["acquisition_channel"] == channel
        and str(event.first) <= row["signed_up_at"][:10] <= str(event.last)
    ]
    return sum(user in buyers for user in signed_up) / len(signed_up)


class EventTruth(unittest.TestCase):
    """The files of the ground truth list the events and the demand of each day."""

    def test_events_are_listed_with_their_days_and_places(self) -> None:
        shop = build_shop(Plan(1, 10, DEFAULT_START, DEFAULT_END, DEFAULT_END))
        columns = {table.name: table.column_names for table in read_contract().tables}
        rows = event_truth.list_event_truth(shop)
        self.assertGreater(len(rows), 10)
        for row in rows:
            kind, first, last, table, column, _, size, text = row.rstrip("\n").split(",")
            self.assertLessEqual(first, str(DEFAULT_END))
            self.assertGreaterEqual(last or first, str(DEFAULT_START))
            self.assertEqual(last == "", kind == Kind.PRICE_RISE)
            self.assertIn(column, columns[table])
            self.assertIn(f"{abs(int(size)) // 10}.", text, kind)

    def test_sale_and_campaign_are_listed_with_both_effects(self) -> None:
        shop = build_shop(Plan(1, 10, DEFAULT_START, DEFAULT_END, DEFAULT_END))
        rows = [row.split(",") for row in event_truth.list_event_truth(shop)]
        for event in shop.shocks.list_events(DEFAULT_START, DEFAULT_END):
            found = [row for row in rows if row[:2] == [event.kind, str(event.first)]]
            places = [(*row[3:5], int(row[6])) for row in found]
            if event.kind is Kind.SALE:
                size = -10 * SALE_PER_CENTS[event.subject]
                self.assertEqual(places[1], ("order_items", "discount_cents", size))
                self.assertEqual(found[1][2], str(event.last))
                self.assertIn("off the list prices of 42.0 % of the products", found[1][7])
            elif event.kind is Kind.CAMPAIGN:
                self.assertEqual(places[1], ("orders", "discount_cents", 2000))
                self.assertEqual(found[1][2], str(event.last))
            else:
                self.assertEqual(len(found), 1)

    def test_demand_of_a_day_is_season_times_events_times_noise(self) -> None:
        shop = build_shop(Plan(1, 10, DEFAULT_START, DEFAULT_END, DEFAULT_END))
        rows = event_truth.list_day_truth(shop)
        self.assertEqual(len(rows), 731)
        for row in rows:
            season, events, noise, demand = map(int, row.split(",")[1:])
            product = season * events * noise / 10**6
            # A day is a complete number of slots of demand time.
            self.assertAlmostEqual(demand, product, delta=8 + product / 100, msg=row)
