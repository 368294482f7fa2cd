"""Demand time follows the demand of days, and hours follow the clocks of countries."""

from __future__ import annotations

import unittest
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise, product
from statistics import mean
from unittest import mock

from data_generation.model import customers, markets, seasons
from data_generation.model.people import format_user_rows
from data_generation.model.streams import Streams


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
