"""Gamma-Gamma: published figures, the recovery of known parameters, refusals."""

from __future__ import annotations

import math
import random
import unittest
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from unittest import mock

from queries.forecast import gamma_gamma, newton
from queries.forecast.gamma_gamma import fit_spending
from tests.customer_samples import (
    SimulatedShop,
    list_values,
    read_cdnow_sample,
    simulate_year,
)
from tests.derivatives import check_derivatives
from utils.helpers import DataError


class PublishedFigures(unittest.TestCase):
    """The published fit and expected values of CDNOW are reproduced."""

    def test_fit_gives_the_published_parameters(self) -> None:
        model = fit_spending(list_values(read_cdnow_sample()[0]), money_unit="dollar")
        self.assertEqual((model.customer_count, model.money_unit), (946, "dollar"))
        p, q, gamma = model.parameters
        self.assertAlmostEqual(p, 6.25, delta=0.005)
        self.assertAlmostEqual(q, 3.74, delta=0.005)
        self.assertAlmostEqual(gamma, 15.44, delta=0.01)
        self.assertAlmostEqual(model.log_likelihood, -4055.92, delta=0.02)
        # Fader, Hardie, Lee 2005, "RFM and CLV", find .11 too.
        self.assertAlmostEqual(model.frequency_correlation, 0.11, delta=0.005)

    def test_expected_values_of_ten_customers_are_the_published_ones(self) -> None:
        customers = read_cdnow_sample()[0]
        model = fit_spending(list_values(customers), money_unit="dollar")
        found = [model.expected_value(c.frequency, c.spent, 0.0) for c in customers[:10]]
        published = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
        for value, expected in zip(found, published, strict=True):
            self.assertAlmostEqual(value, expected, delta=0.01)


class FittedModel(unittest.TestCase):
    """The fit recovers known parameters and does not depend on the form of its input."""

    def test_fit_recovers_the_parameters_of_simulated_customers(self) -> None:
        for seed, known in enumerate(((6.0, 4.0, 15.0), (1.5, 3.0, 2000.0)), 1):
            with self.subTest(known):
                made = SimulatedShop(seed, 3000, age_days=546, spending=known)
                model = fit_spending(list_values(made.customers), money_unit="dollar")
                for value, truth, error in zip(
                    model.parameters, known, model.standard_errors, strict=True
                ):
                    self.assertLess(abs(value - truth), 3.5 * error, model)

    def test_derivatives_of_the_likelihood_equal_its_differences(self) -> None:
        values = list_values(SimulatedShop(5, 300, age_days=364).customers)
        tally = gamma_gamma._tally_values(Counter(values))
        check_derivatives(
            self, lambda at: gamma_gamma._evaluate(tally, at), (2.0, 3.0, 0.7)
        )

    def test_fit_of_cents_is_that_of_dollars(self) -> None:
        values = list_values(simulate_year())
        dollars = fit_spending(values, money_unit="dollar")
        cents = fit_spending([(x, m * 100) for x, m in values], money_unit="cent")
        p, q, gamma = dollars.parameters
        for found, expected in zip(cents.parameters, (p, q, gamma * 100), strict=True):
            self.assertAlmostEqual(found / expected, 1, delta=1e-9)
        # A density per cent is a hundredth of that per dollar, for each customer.
        shift = cents.customer_count * math.log(100)
        self.assertAlmostEqual(
            cents.log_likelihood, dollars.log_likelihood - shift, delta=1e-6
        )

    def test_squares_of_the_values_are_measured(self) -> None:
        # (4 * 1 + 9) / 5 over the square of (4 * 1 + 3) / 5, and a different frequency.
        values = [(1, 1.0), (2, 1.0), (1, 1.0), (3, 1.0), (1, 3.0)] * 20
        model = fit_spending(values, money_unit="dollar")
        self.assertAlmostEqual(model.square_ratio, 13 / 5 / (7 / 5) ** 2)

    def test_log_likelihood_is_that_of_the_published_density(self) -> None:
        # Note 025, written out for each customer, in the money unit itself.
        values = list_values(simulate_year())
        model = fit_spending(values, money_unit="dollar")
        p, q, gamma = model.parameters
        expected = sum(
            math.lgamma(p * x + q)
            - math.lgamma(p * x)
            - math.lgamma(q)
            + q * math.log(gamma)
            + (p * x - 1) * math.log(mean)
            + p * x * math.log(x)
            - (p * x + q) * math.log(gamma + x * mean)
            for x, mean in values
        )
        self.assertAlmostEqual(model.log_likelihood, expected, delta=1e-6)

    def test_fit_does_not_depend_on_the_order_of_the_rows(self) -> None:
        values = list_values(simulate_year())
        self.assertEqual(
            fit_spending(values, money_unit="dollar"),
            fit_spending(values[::-1], money_unit="dollar"),
        )

    def test_correlation_is_zero_where_frequency_is_constant(self) -> None:
        values = [(2, mean) for x, mean in list_values(simulate_year()) if x == 2]
        model = fit_spending(values, money_unit="dollar")
        self.assertEqual(model.frequency_correlation, 0.0)


class CommonMean(unittest.TestCase):
    """Where the customers' means do not differ, all have the same."""

    def test_identical_values_are_the_forecast(self) -> None:
        model = fit_spending([(2, 20.0)] * 400, money_unit="dollar")
        self.assertEqual(model.name, "Gamma-Gamma with a common mean")
        for frequency, spent in ((0, 0.0), (2, 40.0), (50, 1000.0)):
            found = model.expected_value(frequency, spent, 0.0)
            self.assertAlmostEqual(found, 20, delta=0.001)

    def test_values_that_differ_by_chance_alone_have_their_mean_and_deviation(self) -> None:
        rng = random.Random(1)  # noqa: S311
        values = [
            (x, fmean(rng.gammavariate(4.0, 2.5) for _ in range(x)))
            for x in (1, 2, 3, 5) * 300
        ]
        model = fit_spending(values, money_unit="dollar")
        self.assertEqual(model.name, "Gamma-Gamma with a common mean")
        mean = model.expected_value(0, 0.0, 0.0)
        self.assertAlmostEqual(mean, 10, delta=0.3)
        # A purchase of shape 4 has half of its mean as its deviation.
        factors, gamma = model.value_factors(0), model.parameters[2]
        deviation = math.sqrt(factors.squared_purchase * gamma**2 - mean**2)
        self.assertAlmostEqual(deviation, 5, delta=0.3)
        # The error of the mean: the deviation over the root of 3,300 purchases.
        self.assertAlmostEqual(mean * model.covariance[2][2] ** 0.5, 0.087, delta=0.01)


class Refusals(unittest.TestCase):
    """Data that do not support the model are refused in words."""

    def refuse(self, values: Sequence[tuple[int, float]], *words: str) -> None:
        """Expect the fit of *values* to be refused in *words*."""
        with self.assertRaises(DataError) as caught:
            fit_spending(values, money_unit="dollar")
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_no_values_are_refused(self) -> None:
        self.refuse([], "Nothing was spent on repeat purchases", "Check the order items")

    def test_29_customers_are_refused(self) -> None:
        self.refuse([(1, 5.0)] * 29, "29 repeat customers with a value")

    def test_values_of_zero_or_less_are_refused(self) -> None:
        values = [(1, 5.0 + i) for i in range(40)]
        for value in (0.0, -3.0):
            with self.subTest(value):
                self.refuse([*values, (2, value)], "1 of 41", "zero or less", "Omit them")

    def test_customers_without_repeat_purchase_raise_value_error(self) -> None:
        with self.assertRaisesRegex(ValueError, "without a repeat purchase"):
            fit_spending([(0, 5.0)] * 40, money_unit="dollar")

    def test_values_without_a_finite_mean_are_refused(self) -> None:
        made = SimulatedShop(4, 1500, age_days=364, spending=(6.0, 0.5, 1.0))
        self.refuse(list_values(made.customers), "q is 0.", "above 1")

    def test_fit_without_convergence_is_refused(self) -> None:
        with mock.patch.object(newton, "MAX_STEPS", 2):
            self.refuse(list_values(simulate_year()), "did not converge", "gamma ", "Load")
