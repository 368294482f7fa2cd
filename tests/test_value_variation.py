"""The variation of value: measured from the quarters of the past, added to intervals."""

from __future__ import annotations

import math
import random
import unittest
from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean

from queries.forecast.clv import estimate_forecast, forecast_group
from queries.forecast.demand import NO_DEVIATION, CommonDeviation, DemandVariation
from queries.forecast.forecast_sums import ForecastSums
from queries.forecast.histories import PurchaseHistories
from queries.forecast.observed_customers import count_histories, describe_groups
from queries.forecast.value_variation import (
    NO_VALUE_VARIATION,
    ValueVariation,
    deviate_value,
    measure_value_variation,
)
from tests.customer_samples import (
    make_histories,
    make_purchase_model,
    make_spending_model,
)
from tests.forecast_shop import AS_OF, known_forecast, known_sources, ordinal

FIRST, LAST = ordinal("2023-01-01"), ordinal("2024-12-31")
QUARTERS = [
    ordinal(f"{year}-{month}-15")
    for year in (2023, 2024)
    for month in ("02", "05", "08", "11")
]


def make_repeats(customers: Iterable[list[tuple[int, int]]]) -> PurchaseHistories:
    """Return histories with these repeat purchases, after a first one of any value."""
    return make_histories(
        {user_id: [(FIRST, 7777), *repeats] for user_id, repeats in enumerate(customers)}
    )


def draw_shop(rng: random.Random, deviation: float) -> PurchaseHistories:
    """Return 100 customers with four purchases in some quarters, at a mean of their own.

    The level of all customers deviates by *deviation* in each quarter, independently.
    """
    levels = [math.exp(rng.gauss(0, deviation)) for _ in QUARTERS]
    customers = []
    for _ in range(100):
        mean = 100_000 * math.exp(rng.gauss(0, 0.6))
        customers.append(
            [
                (day + place, round(mean * level * math.exp(rng.gauss(0, 0.3))))
                for day, level in zip(QUARTERS, levels, strict=True)
                if rng.random() < 0.2
                for place in range(4)
            ]
        )
    return make_repeats(customers)


class ValueVariance(unittest.TestCase):
    """The variance beyond chance is that with which the quarters were drawn."""

    def estimate(self, deviation: float) -> float:
        """Return the mean estimate for quarters that deviate by *deviation*."""
        rng = random.Random(5)  # noqa: S311
        return fmean(
            measure_value_variation(draw_shop(rng, deviation), LAST).quarter_variance
            for _ in range(40)
        )

    def test_variance_is_that_of_the_drawn_quarters(self) -> None:
        self.assertAlmostEqual(self.estimate(0.2) / 0.04, 1, delta=0.1)

    def test_chance_of_customers_is_no_variation(self) -> None:
        # Estimates below 0 count as 0, so the mean is above it.  If purchases of one
        # customer counted as independent, it would be 0.013.
        self.assertLess(self.estimate(0.0), 0.005)

    def test_variance_is_the_one_worked_by_hand(self) -> None:
        # Two quarters of 100 customers each, who spend 90 and 110 cents.  The deviations
        # from the mean of all are -1000 and 1000; by chance their squares are 5,000 each,
        # because a customer adds 10 in one quarter less 5 in both.
        customers = [
            [(QUARTERS[number // 100], 90 + number // 100 * 20)] for number in range(200)
        ]
        found = measure_value_variation(make_repeats(customers), LAST)
        variance = (2 * 1000**2 - 2 * 5_000) / (2 * 0.5 * 10_000**2)
        self.assertAlmostEqual(found.quarter_variance, variance)
        self.assertAlmostEqual(found.level_variance, variance / 2)

    def test_only_repeat_purchases_until_the_day_count(self) -> None:
        customers = [
            [(day, 100 + place) for place, day in enumerate(QUARTERS)] for _ in range(9)
        ]
        both = [repeats[:2] for repeats in customers]
        self.assertEqual(
            measure_value_variation(make_repeats(customers), QUARTERS[1]),
            measure_value_variation(make_repeats(both), LAST),
        )

    def test_nothing_is_measured_where_no_quarters_can_be_compared(self) -> None:
        shops: list[list[list[tuple[int, int]]]] = [[], [[]]]
        shops += [[[(QUARTERS[0], cents)]] for cents in (0, 100)]
        for customers in shops:
            with self.subTest(customers=customers):
                found = measure_value_variation(make_repeats(customers), LAST)
                self.assertEqual(found, NO_VALUE_VARIATION)


class CommonDeviations(unittest.TestCase):
    """Value deviates with the demand and by itself; purchases with the demand alone."""

    def test_deviation_of_four_years_is_that_of_sixteen_quarters(self) -> None:
        variation = ValueVariation(0.0016, 0.0009)
        for days, variance in ((1461, 0.0010), (91, 0.0025), (31, 0.0025)):
            with self.subTest(days=days):
                found = deviate_value(variation, days)
                self.assertAlmostEqual(found, math.sqrt(variance))
        self.assertEqual(deviate_value(NO_VALUE_VARIATION, 90), 0.0)

    def test_both_estimates_have_their_own_deviation(self) -> None:
        sums = ForecastSums(1, 2.0, 0.0, (), 40.0, 0.0, 0.0, (), ())
        models = (
            replace(make_purchase_model(0.25, 5.0, 0.8, 2.5), covariance=()),
            replace(make_spending_model(6.0, 4.0, 15.0), covariance=()),
        )
        found = estimate_forecast(*models, sums, 0.5, CommonDeviation(0.03, 0.05))
        self.assertAlmostEqual(found.purchases.common_sd, 0.06)
        self.assertAlmostEqual(found.value.common_sd, 1.0)

    def test_deviation_of_value_contains_that_of_demand(self) -> None:
        forecast = known_forecast()
        until = forecast.customers.until
        demand = DemandVariation(0.0064, 0.0)
        purchases = forecast.fit.purchases._replace(demand=demand)
        fit = forecast.fit._replace(
            purchases=purchases, value_variation=ValueVariation(0.0036, 0.0)
        )
        found = fit.deviate(until, 31)
        self.assertAlmostEqual(found.purchases, 0.08)
        self.assertAlmostEqual(found.value, 0.1)


class ForecastDeviation(unittest.TestCase):
    """The intervals of a forecast contain the variation measured in its histories."""

    def test_variation_is_that_of_the_observed_purchases(self) -> None:
        found = known_forecast().fit.value_variation
        expected = measure_value_variation(known_sources().histories, ordinal(AS_OF))
        self.assertEqual(found, expected)
        self.assertGreater(found.quarter_variance, 0)

    def test_intervals_of_the_document_contain_the_deviation(self) -> None:
        forecast = known_forecast()
        fit, customers = forecast.fit, forecast.customers
        clock = fit.purchases.clock
        expected = [
            forecast_group(
                fit.purchases.model,
                fit.spending,
                describe_groups(count_histories(customers), clock),
                days=clock.days_between(customers.until, customers.until + 365),
                kept_share=forecast.kept_share,
                deviation=deviation,
            )
            for deviation in (fit.deviate(customers.until, 365), NO_DEVIATION)
        ]
        *_, year = forecast.document["total"]
        self.assertEqual(year["net_cents"], expected[0].value.describe())
        self.assertNotEqual(year["net_cents"], expected[1].value.describe())
