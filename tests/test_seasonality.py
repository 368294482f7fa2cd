"""Seasonal factors: measured from the purchases where these separate them from age."""

from __future__ import annotations

import random
import unittest
from collections import Counter
from collections.abc import Iterable
from functools import cache
from statistics import fmean
from typing import Any
from unittest import mock

from queries.forecast import fitting
from queries.forecast.bg_nbd_expectations import expect_purchases
from queries.forecast.fitting import PurchaseFit, fit_purchase_model
from queries.forecast.histories import PurchaseHistories
from queries.forecast.observed_customers import (
    CountedHistories,
    count_histories,
    observe_customers,
)
from queries.forecast.seasonality import (
    NO_SEASONS,
    SeasonalClock,
    build_clock,
    count_by_month,
    expect_by_month,
    has_measurable_seasons,
    measure_seasonal_factors,
)
from tests.customer_samples import make_histories, make_purchase_model
from tests.forecast_shop import ordinal
from utils.helpers import DataError

# A quiet summer and a busy end; the mean over the days of a year is 1.
SEASONS = (0.9, 0.9, 1.0, 1.0, 0.9, 0.8, 0.6, 0.6, 0.9, 1.1, 1.5, 1.8)

MODEL = make_purchase_model(1.2, 8.0, 0.7, 2.5)


def simulate_histories(seed: int, count: int, clock: SeasonalClock) -> PurchaseHistories:
    """Return customers whose purchase rate is constant in the days of *clock*.

    Their first purchases are spread evenly over its days.
    """
    rng = random.Random(seed)  # noqa: S311
    r, alpha, a, b = MODEL.parameters
    purchases: dict[int, Iterable[tuple[int, int]]] = {}
    for user_id in range(1, count + 1):
        rate = rng.gammavariate(r, 1 / alpha) / 7
        dropout = rng.betavariate(a, b)
        first = clock.first + rng.randrange(len(clock.ends))
        days, now, at = [first], clock.days_until(first), first
        while rng.random() >= dropout or len(days) == 1:
            now += rng.expovariate(rate)
            while at < clock.last and clock.days_until(at) < now:
                at += 1
            if clock.days_until(at) < now:
                break
            if at > days[-1]:
                days.append(at)
        scale = 5000 / rng.gammavariate(4.0, 1.0)
        cents = [round(rng.gammavariate(4.0, scale)) for _ in days]
        purchases[user_id] = zip(days, cents, strict=True)
    return make_histories(purchases)


def fit_until(histories: PurchaseHistories, clock: SeasonalClock) -> PurchaseFit:
    """Return the fit to all days of *clock*."""
    counted = count_histories(observe_customers(histories, clock.last))
    return fit_purchase_model(counted, clock.last)


@cache
def fit_two_years(seed: int) -> tuple[PurchaseHistories, PurchaseFit]:
    """Return simulated histories of two years with `SEASONS`, and the fit to them."""
    clock = build_clock(SEASONS, ordinal("2023-01-01"), ordinal("2024-12-31"))
    histories = simulate_histories(seed, 1200, clock)
    return histories, fit_until(histories, clock)


class SeasonalFactors(unittest.TestCase):
    """The factors are recovered from the purchases, where these determine them."""

    def test_fit_recovers_the_factors_of_simulated_customers(self) -> None:
        for seed in (1, 2):
            histories, fit = fit_two_years(seed)
            repeats = count_by_month(
                Counter(histories.days) - Counter(histories.first_days)
            )
            assert fit.seasonal_factors is not None
            for month, (found, known) in enumerate(
                zip(fit.seasonal_factors, SEASONS, strict=True), 1
            ):
                # Purchases of one customer come in clusters, which doubles their variance;
                # the prior moves the factor a little towards 1.
                error = (2 / repeats[month]) ** 0.5
                with self.subTest(seed=seed, month=month, repeats=repeats[month]):
                    self.assertLess(abs(found / known - 1), 3 * error + 0.02)

    def test_fit_in_calendar_days_stays_where_a_seasonal_one_fails(self) -> None:
        histories, _ = fit_two_years(1)
        counted = count_histories(observe_customers(histories, ordinal("2024-12-31")))
        real_fit = fitting.fit_with_clock

        def fit_calendar_days_only(
            histories: CountedHistories, clock: SeasonalClock, **options: Any
        ) -> PurchaseFit:
            if clock.days_between(clock.first, clock.first + 31) != 31:
                raise DataError("no model fits in adjusted days")
            return real_fit(histories, clock, **options)

        with mock.patch.object(fitting, "fit_with_clock", fit_calendar_days_only):
            fit = fit_purchase_model(counted, ordinal("2024-12-31"))
        self.assertIsNone(fit.seasonal_factors)
        self.assertEqual(fit.clock.days_until(fit.clock.last), len(fit.clock.ends))

    def test_factors_are_near_one_without_seasons(self) -> None:
        clock = build_clock(NO_SEASONS, ordinal("2023-01-01"), ordinal("2024-12-31"))
        fit = fit_until(simulate_histories(3, 1200, clock), clock)
        assert fit.seasonal_factors is not None
        for factor in fit.seasonal_factors:
            self.assertAlmostEqual(factor, 1, delta=0.16)

    def test_seasonal_fit_recovers_the_parameters(self) -> None:
        # Observed to the end of December: in calendar days the rates would be too high.
        _, fit = fit_two_years(1)
        for name, known, found, error in zip(
            ("r", "alpha", "a", "b"),
            MODEL.parameters,
            fit.model.parameters,
            fit.model.standard_errors,
            strict=True,
        ):
            with self.subTest(name, found=found):
                self.assertLess(abs(found - known), 3.5 * error)

    def test_fitting_ends_when_the_factors_no_longer_change(self) -> None:
        clock = build_clock(NO_SEASONS, ordinal("2023-01-01"), ordinal("2024-12-31"))
        histories = simulate_histories(3, 300, clock)
        for change, rounds in ((0.009, 1), (0.011, 5)):
            steps = [[(1 + change) ** number] * 12 for number in range(1, 7)]
            with (
                self.subTest(change),
                mock.patch.object(
                    fitting, "measure_seasonal_factors", side_effect=steps
                ) as measure,
            ):
                fit_until(histories, clock)
                self.assertEqual(measure.call_count, rounds)

    def test_less_than_a_year_is_fitted_in_calendar_days(self) -> None:
        clock = build_clock(SEASONS, ordinal("2023-01-01"), ordinal("2023-12-30"))
        fit = fit_until(simulate_histories(1, 400, clock), clock)
        self.assertIsNone(fit.seasonal_factors)
        self.assertEqual(
            fit.clock.days_between(ordinal("2023-06-30"), ordinal("2023-07-31")), 31
        )

    def test_seasons_are_not_measured_where_they_could_be_the_age_of_customers(
        self,
    ) -> None:
        starts = {ordinal(f"2023-{month:02}-15"): 5 for month in range(1, 13)}
        self.assertTrue(has_measurable_seasons(starts, ordinal("2024-01-14")))
        self.assertFalse(has_measurable_seasons(starts, ordinal("2024-01-13")), "364 days")
        # Nobody new since March: each later month is observed at one age only, ...
        spring = {at: count for at, count in starts.items() if at < ordinal("2023-04-01")}
        self.assertFalse(has_measurable_seasons(spring, ordinal("2024-11-30")))
        # ... until the next year.
        self.assertTrue(has_measurable_seasons(spring, ordinal("2025-01-01")))


class Clock(unittest.TestCase):
    """The clock converts calendar days to seasonally adjusted days."""

    def test_month_with_factor_two_counts_double_in_leap_years_too(self) -> None:
        factors = (1, 2, *NO_SEASONS[2:])
        for year, expected in ((2024, 1 + 29 * 2 + 2), (2023, 1 + 28 * 2 + 2)):
            clock = build_clock(factors, ordinal(f"{year}-01-01"), ordinal(f"{year}-12-31"))
            found = clock.days_between(ordinal(f"{year}-01-30"), ordinal(f"{year}-03-02"))
            self.assertEqual(found, expected)
            self.assertEqual(clock.last, ordinal(f"{year}-12-31"))


class MonthlyExpectations(unittest.TestCase):
    """Expectations by calendar month are the model's, and move the factors."""

    def test_expectations_by_month_equal_those_computed_by_hand(self) -> None:
        first, until = ordinal("2024-01-30"), ordinal("2024-03-02")
        clock = build_clock(NO_SEASONS, first, until)
        found = expect_by_month(MODEL, clock, {first: 3, ordinal("2024-02-10"): 2}, until)

        def grow(days: int) -> float:
            return expect_purchases(MODEL.parameters, [(0, 0, 0)], days)[0]

        self.assertAlmostEqual(found[1], 3 * grow(1))
        self.assertAlmostEqual(found[2], 3 * (grow(30) - grow(1)) + 2 * grow(19))
        self.assertAlmostEqual(
            found[3], 3 * (grow(32) - grow(30)) + 2 * (grow(21) - grow(19))
        )
        self.assertEqual(sum(found[month] for month in range(4, 13)), 0)

    def test_months_without_expectation_have_the_same_factor(self) -> None:
        first = ordinal("2024-01-01")
        clock = build_clock(NO_SEASONS, first, first + 59)
        factors = measure_seasonal_factors(
            MODEL, clock, NO_SEASONS, {first: 90}, {first + 40: 500}, first + 59
        )
        self.assertEqual(len(set(factors[2:])), 1)
        self.assertGreater(factors[1], factors[2])
        self.assertGreater(factors[2], factors[0])
        days = (31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
        mean = (
            sum(factor * length for factor, length in zip(factors, days, strict=True))
            / 365.25
        )
        self.assertAlmostEqual(mean, 1)

    def test_factor_is_the_weighted_ratio_of_actual_to_expected(self) -> None:
        # With n expected and 2 n actual purchases it is (2 n + 16) / (n + 16).
        first = ordinal("2024-01-01")
        clock = build_clock(NO_SEASONS, first, first + 30)
        customers = 1000
        expected = customers * expect_purchases(MODEL.parameters, [(0, 0, 0)], 30)[0]
        factors = measure_seasonal_factors(
            MODEL,
            clock,
            NO_SEASONS,
            {first: customers},
            {first + 9: round(2 * expected)},
            first + 30,
        )
        ratio = (round(2 * expected) + 16) / (expected + 16)
        self.assertAlmostEqual(factors[0] / fmean(factors[1:]), ratio)
