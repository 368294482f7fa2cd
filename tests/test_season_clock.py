"""Shop time: busy months count for more, if the purchases tell which they are."""

from __future__ import annotations

import random
import unittest
from collections import Counter
from datetime import date
from statistics import fmean

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.forecast import (
    PurchaseHistory,
    TimedFit,
    describe_customers,
    fit_models,
)
from queries.forecast.seasonality import (
    STEADY,
    Clock,
    build_clock,
    count_by_month,
    expect_by_month,
    measure_seasonal_factors,
    tells_seasons,
)

# A quiet summer and a busy end; the mean over the days of a year is 1.
SEASONS = (0.9, 0.9, 1.0, 1.0, 0.9, 0.8, 0.6, 0.6, 0.9, 1.1, 1.5, 1.8)

MODEL = PurchaseModel(1.2, 8.0, 0.7, 2.5, 0.0, 0, ((0.0,) * 4,) * 4)


def day(text: str) -> int:
    """Return the ordinal of a day such as 2024-02-29."""
    return date.fromisoformat(text).toordinal()


def simulate_pasts(seed: int, count: int, clock: Clock) -> dict[int, PurchaseHistory]:
    """Return customers whose rate is steady in the time of *clock*.

    They come evenly over its days.
    """
    chance = random.Random(seed)  # noqa: S311
    r, alpha, a, b = MODEL.parameters
    pasts = {}
    for user_id in range(1, count + 1):
        rate = chance.gammavariate(r, 1 / alpha) / 7
        dropout = chance.betavariate(a, b)
        first = clock.first + chance.randrange(len(clock.ends))
        days, now, at = [first], clock.count_until(first), first
        while chance.random() >= dropout or len(days) == 1:
            now += chance.expovariate(rate)
            while at < clock.last and clock.count_until(at) < now:
                at += 1
            if clock.count_until(at) < now:
                break
            if at > days[-1]:
                days.append(at)
        scale = 5000 / chance.gammavariate(4.0, 1.0)
        cents = [round(chance.gammavariate(4.0, scale)) for _ in days]
        pasts[user_id] = PurchaseHistory(days, cents)
    return pasts


def fit_until(pasts: dict[int, PurchaseHistory], clock: Clock) -> TimedFit:
    """Return the fit to all days of *clock*."""
    return fit_models(pasts, clock.last, clock.last).timed


class TheSeasons(unittest.TestCase):
    """Come out of the purchases, where these can tell them."""

    def make_clock(self, first: str, last: str) -> Clock:
        return build_clock(SEASONS, day(first), day(last))

    def test_are_those_that_customers_were_made_with(self) -> None:
        for seed in (1, 2):
            clock = self.make_clock("2023-01-01", "2024-12-31")
            pasts = simulate_pasts(seed, 1200, clock)
            fit = fit_until(pasts, clock)
            repeats = count_by_month(
                Counter(at for past in pasts.values() for at in past.days[1:])
            )
            assert fit.speeds is not None
            for month, (found, known) in enumerate(
                zip(fit.speeds, SEASONS, strict=True), 1
            ):
                # Purchases of one customer come in clusters, which doubles their variance;
                # the rule of PRIOR_PURCHASES draws a little towards 1.
                error = (2 / repeats[month]) ** 0.5
                with self.subTest(seed=seed, month=month, repeats=repeats[month]):
                    self.assertLess(abs(found / known - 1), 3 * error + 0.02)

    def test_of_steady_customers_are_near_one(self) -> None:
        clock = build_clock(STEADY, day("2023-01-01"), day("2024-12-31"))
        fit = fit_until(simulate_pasts(3, 1200, clock), clock)
        assert fit.speeds is not None
        for speed in fit.speeds:
            self.assertAlmostEqual(speed, 1, delta=0.16)

    def test_bring_the_parameters_back_that_steady_days_hide(self) -> None:
        # Seen until the end of December; in calendar days all look livelier than they are.
        clock = self.make_clock("2023-01-01", "2024-12-31")
        pasts = simulate_pasts(1, 1200, clock)
        fit = fit_until(pasts, clock)
        for name, known, found, error in zip(
            ("r", "alpha", "a", "b"),
            MODEL.parameters,
            fit.purchases.parameters,
            fit.purchases.standard_errors,
            strict=True,
        ):
            with self.subTest(name, found=found):
                self.assertLess(abs(found - known), 3.5 * error)

    def test_are_not_told_without_a_year(self) -> None:
        clock = self.make_clock("2023-01-01", "2023-12-30")
        fit = fit_until(simulate_pasts(1, 400, clock), clock)
        self.assertIsNone(fit.speeds)
        self.assertEqual(fit.clock.count_between(day("2023-06-30"), day("2023-07-31")), 31)

    def test_are_not_told_where_they_could_be_the_age_of_the_customers(self) -> None:
        starts = {day(f"2023-{month:02}-15"): 5 for month in range(1, 13)}
        self.assertTrue(tells_seasons(starts, day("2024-01-14")))
        self.assertFalse(tells_seasons(starts, day("2024-01-13")), "364 days")
        # Nobody new since March: every later month is seen at one age only, ...
        spring = {at: count for at, count in starts.items() if at < day("2023-04-01")}
        self.assertFalse(tells_seasons(spring, day("2024-11-30")))
        # ... until it comes again.
        self.assertTrue(tells_seasons(spring, day("2025-01-01")))


class TheClock(unittest.TestCase):
    """Counts whole days of the shop."""

    def test_counts_a_busy_month_double_also_in_a_leap_year(self) -> None:
        speeds = (1, 2, *STEADY[2:])
        for year, expected in ((2024, 1 + 29 * 2 + 2), (2023, 1 + 28 * 2 + 2)):
            clock = build_clock(speeds, day(f"{year}-01-01"), day(f"{year}-12-31"))
            found = clock.count_between(day(f"{year}-01-30"), day(f"{year}-03-02"))
            self.assertEqual(found, expected)
            self.assertEqual(clock.last, day(f"{year}-12-31"))

    def test_keeps_two_purchases_of_one_shop_day_a_day_apart(self) -> None:
        first = day("2024-07-01")
        clock = build_clock((0.1,) * 12, first, first + 30)
        pasts = {
            1: PurchaseHistory([first, first + 1], [1, 100]),
            2: PurchaseHistory([first + 30], [1]),
        }
        self.assertEqual(describe_customers(pasts, first + 2, clock), {1: (1, 1, 1, 100.0)})
        self.assertEqual(describe_customers(pasts, first + 30, clock)[2], (0, 0, 0, 0.0))

    def test_never_lets_a_purchase_come_after_today(self) -> None:
        first = day("2024-01-01")
        chance = random.Random(5)  # noqa: S311
        speeds = [chance.uniform(0.2, 3.0) for _ in range(12)]
        clock = build_clock(speeds, first, first + 400)
        for _ in range(300):
            days = sorted(chance.sample(range(first, first + 400), 3))
            (one,) = describe_customers(
                {1: PurchaseHistory(days, [5, 6, 7])}, days[-1], clock
            ).values()
            self.assertTrue(0 < one.recency_days <= one.age_days)


class Expectations(unittest.TestCase):
    """By month of the calendar are the model's, cut at the ends of months."""

    def test_of_customers_by_hand(self) -> None:
        first, until = day("2024-01-30"), day("2024-03-02")
        clock = build_clock(STEADY, first, until)
        found = expect_by_month(MODEL, clock, {first: 3, day("2024-02-10"): 2}, until)
        grow = MODEL.expected_purchases
        self.assertAlmostEqual(found[1], 3 * grow(1))
        self.assertAlmostEqual(found[2], 3 * (grow(30) - grow(1)) + 2 * grow(19))
        self.assertAlmostEqual(
            found[3], 3 * (grow(32) - grow(30)) + 2 * (grow(21) - grow(19))
        )
        self.assertEqual(sum(found[month] for month in range(4, 13)), 0)

    def test_of_nothing_leave_the_speed_at_the_mean(self) -> None:
        first = day("2024-01-01")
        clock = build_clock(STEADY, first, first + 59)
        busy = measure_seasonal_factors(
            MODEL, clock, STEADY, {first: 90}, {first + 40: 500}, first + 59
        )
        self.assertEqual(len(set(busy[2:])), 1)
        self.assertGreater(busy[1], busy[2])
        self.assertGreater(busy[2], busy[0])
        days = (31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
        mean = (
            sum(speed * length for speed, length in zip(busy, days, strict=True)) / 365.25
        )
        self.assertAlmostEqual(mean, 1)

    def test_move_the_speed_by_as_much_as_there_are_purchases(self) -> None:
        # With n expected and 2 n counted it goes from 1 to (2 n + 16) / (n + 16).
        first = day("2024-01-01")
        clock = build_clock(STEADY, first, first + 30)
        customers = 1000
        expected = customers * MODEL.expected_purchases(30)
        speeds = measure_seasonal_factors(
            MODEL,
            clock,
            STEADY,
            {first: customers},
            {first + 9: round(2 * expected)},
            first + 30,
        )
        ratio = (round(2 * expected) + 16) / (expected + 16)
        self.assertAlmostEqual(speeds[0] / fmean(speeds[1:]), ratio)


if __name__ == "__main__":
    unittest.main()
