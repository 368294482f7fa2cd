"""The variation of demand: measured from the months of the past, added to intervals."""

from __future__ import annotations

import math
import random
import unittest
from collections import Counter
from statistics import NormalDist, fmean

from queries.forecast.clv import Estimate
from queries.forecast.demand import (
    NO_VARIATION,
    DemandVariation,
    Month,
    deviate_demand,
    estimate_variance,
    measure_demand,
)
from queries.forecast.seasonality import NO_SEASONS, build_clock, expect_months
from tests.customer_samples import make_purchase_model
from tests.forecast_shop import ordinal


class DemandVariance(unittest.TestCase):
    """The variance beyond chance is that with which the months were drawn."""

    def estimate(self, deviation: float, *, group_count: int) -> float:
        """Return the mean estimate for months that deviate by *deviation*."""
        rng = random.Random(5)  # noqa: S311
        estimates = []
        for _ in range(300):
            months = []
            for number in range(24):
                expected = 200.0 * (number + 1)
                mean = expected * (1 + rng.gauss(0, deviation))
                actual = round(rng.gauss(mean, math.sqrt(2 * expected)))
                months.append(Month(number % group_count, expected, 2 * expected, actual))
            estimates.append(estimate_variance(months))
        return fmean(estimates)

    def test_variance_is_that_of_the_drawn_months(self) -> None:
        for group_count in (1, 12):
            with self.subTest(group_count=group_count):
                found = self.estimate(0.1, group_count=group_count)
                self.assertAlmostEqual(found / 0.01, 1, delta=0.1)

    def test_chance_alone_is_no_variation(self) -> None:
        # Estimates below 0 count as 0, so the mean is above it.
        self.assertLess(self.estimate(0.0, group_count=12), 0.0005)

    def test_single_month_of_a_level_shows_no_variation(self) -> None:
        self.assertEqual(estimate_variance([Month(1, 100.0, 100.0, 300)]), 0.0)
        self.assertEqual(estimate_variance([]), 0.0)
        self.assertEqual(estimate_variance([Month(1, 0.0, 0.0, 0)]), 0.0)

    def test_months_of_data_are_compared_with_the_model(self) -> None:
        # Two complete years: demand of 2023 is a tenth below the model, of 2024 a tenth
        # above it.
        first, until = ordinal("2023-01-01"), ordinal("2024-12-31")
        model = make_purchase_model(0.25, 5.0, 0.8, 2.5)
        clock = build_clock(NO_SEASONS, first, until)
        starts = {first + 30 * n: 100_000 for n in range(24)}
        expected = expect_months(model, clock, starts, until)
        repeats: Counter[int] = Counter()
        for number, count in enumerate(expected):
            day = ordinal(f"{2023 + number // 12}-{number % 12 + 1:02}-15")
            repeats[day] = round(count * (0.9 if number < 12 else 1.1))
        found = measure_demand(model, clock, starts, repeats, until, has_seasons=True)
        # Two months that deviate by -0.1 and 0.1 have the variance 0.02.
        self.assertAlmostEqual(found.month_variance, 0.02, delta=0.001)
        shares = [count / sum(expected) for count in expected]
        level_variance = found.month_variance * sum(share**2 for share in shares)
        self.assertAlmostEqual(found.level_variance, level_variance)


class DemandDeviation(unittest.TestCase):
    """Months of the forecast deviate independently; the level deviates once."""

    UNTIL = ordinal("2024-12-31")
    CLOCK = build_clock(NO_SEASONS, UNTIL - 30, UNTIL + 365)

    def test_deviation_of_a_year_is_that_of_twelve_months(self) -> None:
        demand = DemandVariation(0.01, 0.0)
        found = deviate_demand(demand, self.CLOCK, self.UNTIL, 365)
        self.assertAlmostEqual(found, math.sqrt(0.01 / 12), delta=0.0001)
        # January alone.
        self.assertAlmostEqual(deviate_demand(demand, self.CLOCK, self.UNTIL, 31), 0.1)

    def test_deviation_of_the_level_is_added(self) -> None:
        demand = DemandVariation(0.01, 0.0021)
        found = deviate_demand(demand, self.CLOCK, self.UNTIL, 31)
        self.assertAlmostEqual(found, 0.11)
        self.assertEqual(deviate_demand(NO_VARIATION, self.CLOCK, self.UNTIL, 365), 0.0)

    def test_interval_adds_the_deviation_of_demand(self) -> None:
        # 1.96 deviations of hypot(3, 4, 12) = 13 on either side.
        low, high = Estimate(100.0, 3.0, 4.0, 12.0).interval(0.95)
        half_width = NormalDist().inv_cdf(0.975) * 13
        self.assertAlmostEqual(low, 100 - half_width)
        self.assertAlmostEqual(high, 100 + half_width)
