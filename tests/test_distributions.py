"""Distributions made without floats follow their formulas."""

from __future__ import annotations

import math
import unittest
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from statistics import mean, pvariance

from data_generation.model import baskets, customers
from data_generation.model.distributions import (
    UNIT,
    Quantiles,
    _logarithm,
    apportion,
    beta,
    exponential,
    gamma,
    powers_of_two,
    sample_quantiles,
)
from data_generation.model.streams import WORDS


def gamma_cdf(shape: float, x: float) -> float:
    """Return the gamma distribution's cumulative function, by integrating its density.

    Below shape 1 the density has a pole at 0, which y = x**shape removes.
    """
    if shape < 1:
        area = simpson(lambda y: math.exp(-(y ** (1 / shape))), x**shape)
        return area / math.gamma(shape + 1)
    return simpson(lambda t: t ** (shape - 1) * math.exp(-t), x) / math.gamma(shape)


def simpson(function: Callable[[float], float], top: float, steps: int = 400) -> float:
    """Return the integral of *function* from 0 to *top* by Simpson's rule."""
    width = top / steps
    inner = sum((4 if at % 2 else 2) * function(at * width) for at in range(1, steps))
    return (function(0.0) + inner + function(top)) * width / 3


class ProbabilityTables(unittest.TestCase):
    """Distributions made without floats follow their formulas."""

    def quantile_error(
        self, table: Quantiles, cumulative: Callable[[float], float]
    ) -> float:
        """Return the largest gap between the table's and the true cumulative function.

        Values below 10**-4 are omitted: as a purchase rate they mean never.
        """
        words = range(WORDS // 2000, WORDS, WORDS // 1000)
        values = {word: table.value_at(word) / UNIT for word in words}
        return max(
            abs(cumulative(value) - word / WORDS)
            for word, value in values.items()
            if value >= 1e-4
        )

    def test_exponential_table_follows_its_formula(self) -> None:
        error = self.quantile_error(exponential(), lambda x: 1 - math.exp(-x))
        self.assertLess(error, 1e-4)

    def test_gamma_table_follows_its_integrated_density(self) -> None:
        for shape in (customers.RATE_SHAPE, customers.SPEND_Q, baskets.SPEND_P):
            with self.subTest(shape):
                error = self.quantile_error(gamma(shape), partial(gamma_cdf, float(shape)))
                self.assertLess(error, 5e-4)

    def test_beta_table_follows_its_integrated_density(self) -> None:
        a, b = float(customers.DROPOUT_A), float(customers.DROPOUT_B)
        norm = math.gamma(a) * math.gamma(b) / math.gamma(a + b)

        def cumulative(x: float) -> float:
            return simpson(lambda y: (1 - y ** (1 / a)) ** (b - 1), x**a) / a / norm

        table = beta(customers.DROPOUT_A, customers.DROPOUT_B)
        self.assertLess(self.quantile_error(table, cumulative), 5e-4)

    def test_every_table_covers_all_words_and_never_decreases(self) -> None:
        for table in (exponential(), gamma("0.243"), gamma("6.25"), beta("0.793", "2.426")):
            self.assertEqual((table.cuts[0], table.cuts[-1]), (0, WORDS))
            self.assertEqual(table.cuts, sorted(set(table.cuts)))
            self.assertEqual(table.values, sorted(table.values))
            self.assertGreaterEqual(table.value_at(WORDS - 1), table.value_at(0))

    def test_sampled_table_has_the_quantiles_of_the_cell_middles(self) -> None:
        for table in (exponential(), gamma("0.243"), beta("0.793", "2.426")):
            middles = range(WORDS >> 11, WORDS, WORDS >> 10)
            self.assertEqual(
                sample_quantiles(table, 10), [table.value_at(word) for word in middles]
            )

    def test_logarithms_added_from_factors_have_the_digits_of_a_table(self) -> None:
        for number in range(1, 289):
            with self.subTest(number):
                self.assertAlmostEqual(_logarithm(number), Decimal(number).ln(), 15)

    def test_apportioned_counts_differ_by_at_most_one_from_exact_shares(self) -> None:
        for weights in ([1], [3, 0, 5], [10**9, 1, 10**9], list(range(50))):
            dealt = apportion(weights, 256)
            self.assertEqual((len(dealt), dealt), (256, sorted(dealt)))
            for index, weight in enumerate(weights):
                exact = 256 * weight / sum(weights)
                self.assertAlmostEqual(dealt.count(index), exact, delta=1)

    def test_fractional_steps_are_powers_of_two(self) -> None:
        for at, step in enumerate(powers_of_two(16, -40, 40)):
            self.assertAlmostEqual(step / UNIT, 2 ** ((at - 40) / 16), delta=1e-8)

    def test_spending_levels_follow_gamma_gamma(self) -> None:
        levels = customers.build_customer_tables().levels
        values = [2 ** ((level - customers.ZERO_LEVEL) / 16) for level in levels]
        self.assertEqual(levels, sorted(levels))
        self.assertAlmostEqual(mean(values), 1, delta=0.02)
        noise = baskets.build_basket_tables().noise
        for kind, above in ((0, 1), (0b010, -3), (0b011, 4), (0b110, -3), (0b111, 4)):
            factors = [
                2 ** ((level - above - baskets.ZERO_NOISE) / 16) for level in noise[kind]
            ]
            self.assertAlmostEqual(mean(factors), 1, delta=0.01)
            # For p = 4.6 the variance is 1 ÷ 4.6.
            self.assertAlmostEqual(pvariance(factors), 0.217, delta=0.01)
        self.assertEqual(len(noise), customers.KIND_MASK + 1)
        # The highest customer's highest order, and the lowest one's lowest, have tables.
        self.assertLess(max(levels) + max(map(max, noise)), baskets.LEVELS)
        self.assertGreaterEqual(min(levels) + min(map(min, noise)), 0)
