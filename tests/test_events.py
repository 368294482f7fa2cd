"""What happens in a shop: noise from day to day, holidays, uneven sign-ups."""

from __future__ import annotations

import unittest
from datetime import date, timedelta
from itertools import pairwise
from statistics import correlation, mean, pstdev

from data_generation.model import seasons
from data_generation.model.customers import plan_signups
from data_generation.model.events import Shocks
from data_generation.model.streams import Streams
from data_generation.plan import DEFAULT_END, DEFAULT_START

CALM = Shocks(Streams(1), is_calm=True)


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
        for seed in range(20):
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
        for users in (5_000, 20_000, 100_000, 2_000_000):
            expected = self.plan(CALM, users)
            for seed in (1, 2, 3):
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


if __name__ == "__main__":
    unittest.main()
