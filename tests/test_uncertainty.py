"""Intervals and medians: compared with published figures, definitions and `statistics`."""

from __future__ import annotations

import math
import random
import unittest
from array import array
from statistics import NormalDist, fmean, median, stdev

from queries.uncertainty import LEVEL, Spread, Z, describe_spread, wilson_interval

# R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
# Medicine 17 (1998), Table I, method 3 (score without continuity correction).
NEWCOMBE = {
    (81, 263): (0.2553, 0.3662),
    (15, 148): (0.0624, 0.1605),
    (0, 20): (0.0, 0.1611),
    (1, 29): (0.0061, 0.1718),
}


class Quantile(unittest.TestCase):
    """The quantile is that of the normal distribution at the level of the intervals."""

    def test_quantile_leaves_equal_shares_on_both_sides(self) -> None:
        self.assertAlmostEqual(Z, NormalDist().inv_cdf((1 + LEVEL) / 2), places=14)


class IntervalOfAShare(unittest.TestCase):
    """The interval of a share is Wilson's."""

    def test_interval_equals_the_published_one(self) -> None:
        for (successes, trials), expected in NEWCOMBE.items():
            with self.subTest(successes=successes, trials=trials):
                found = wilson_interval(successes, trials, digits=4)
                self.assertEqual(found, expected)

    def test_ends_are_z_standard_errors_from_the_share(self) -> None:
        # Its definition: the true shares p with |found - p| <= z * root(p (1 - p) / n).
        z = NormalDist().inv_cdf(0.975)
        for successes, trials in (
            (1, 2),
            (1, 3),
            (2, 7),
            (30, 31),
            (1157, 7846),
            (528, 7846),
            (1, 10**6),
        ):
            share = successes / trials
            for end in wilson_interval(successes, trials, digits=15):
                with self.subTest(successes=successes, trials=trials, end=end):
                    assert end is not None
                    reach = z * math.sqrt(end * (1 - end) / trials)
                    self.assertAlmostEqual(abs(share - end), reach, places=11)

    def test_interval_of_none_all_and_half_equals_that_by_hand(self) -> None:
        z = NormalDist().inv_cdf(0.975)
        for trials in (2, 10, 1000):
            with self.subTest(trials=trials):
                whole = trials + z * z
                self.assertEqual(wilson_interval(0, trials), (0, round(z * z / whole, 6)))
                self.assertEqual(
                    wilson_interval(trials, trials), (round(trials / whole, 6), 1)
                )
                half = z / (2 * math.sqrt(whole))
                self.assertEqual(
                    wilson_interval(trials // 2, trials),
                    (round(0.5 - half, 6), round(0.5 + half, 6)),
                )

    def test_interval_mirrors_that_of_the_failures(self) -> None:
        for trials in range(1, 40):
            for successes in range(trials + 1):
                low, high = wilson_interval(successes, trials)
                other_low, other_high = wilson_interval(trials - successes, trials)
                assert low is not None and high is not None
                assert other_low is not None and other_high is not None
                self.assertAlmostEqual(low, 1 - other_high, places=6)
                self.assertAlmostEqual(high, 1 - other_low, places=6)
                self.assertLessEqual(0, low)
                self.assertLessEqual(low, successes / trials + 5e-7)
                self.assertLessEqual(successes / trials, high + 5e-7)
                self.assertLessEqual(high, 1)

    def test_interval_contains_the_true_share_at_its_level(self) -> None:
        # Summed over all outcomes, not drawn; near 0 the normal interval falls far below.
        for trials, share in ((20, 0.1), (50, 0.05), (200, 0.3)):
            with self.subTest(trials=trials, share=share):
                held = 0.0
                for successes in range(trials + 1):
                    low, high = wilson_interval(successes, trials)
                    assert low is not None and high is not None
                    if low <= share <= high:
                        held += (
                            math.comb(trials, successes)
                            * share**successes
                            * (1 - share) ** (trials - successes)
                        )
                self.assertAlmostEqual(held, 0.95, delta=0.02)

    def test_interval_of_invalid_counts_is_none(self) -> None:
        for successes, trials in (
            (0, 0),
            (1, 0),
            (None, 3),
            (3, None),
            (None, None),
            (4, 3),
            (-1, 3),
        ):
            with self.subTest(successes=successes, trials=trials):
                self.assertEqual(wilson_interval(successes, trials), (None, None))


class SpreadOfAmounts(unittest.TestCase):
    """The spread equals that of the statistics module."""

    def assert_spread(self, amounts: list[int]) -> None:
        """Fail unless the spread of *amounts* is that of `statistics`, to two places."""
        found = describe_spread(array("q", amounts))
        reach = NormalDist().inv_cdf(0.975) * stdev(amounts) / math.sqrt(len(amounts))
        self.assertEqual(found.total_cents, sum(amounts))
        for figure, expected in (
            (found.low_cents, fmean(amounts) - reach),
            (found.high_cents, fmean(amounts) + reach),
            (found.median_cents, median(amounts)),
        ):
            assert figure is not None
            self.assertAlmostEqual(figure, expected, delta=0.005_001)

    def test_spread_equals_that_of_statistics(self) -> None:
        for seed in range(20):
            generator = random.Random(f"spread {seed}")  # noqa: S311
            count = generator.randrange(2, 400)
            amounts = [int(generator.lognormvariate(8, 1.5)) - 500 for _ in range(count)]
            with self.subTest(seed=seed):
                self.assert_spread(amounts)

    def test_large_amounts_with_small_differences_lose_no_digit(self) -> None:
        # In floating point the squares, 10 ** 26, would swallow the differences.
        amounts = [10**13 + cents for cents in (0, 100, 200)]
        # Standard deviation 100, error 57.735, and 1.959964 of it are 113.16.
        self.assertEqual(
            describe_spread(amounts),
            Spread(3 * 10**13 + 300, 10**13 - 13.16, 10**13 + 213.16, 10**13 + 100),
        )

    def test_equal_amounts_have_no_spread(self) -> None:
        self.assertEqual(describe_spread([700] * 9), Spread(6300, 700, 700, 700))

    def test_median_of_an_even_number_is_between_the_middle_two(self) -> None:
        self.assertEqual(describe_spread([1, 2, 9, 4]).median_cents, 3)
        self.assertEqual(describe_spread([4, 1]).median_cents, 2.5)
        self.assertEqual(describe_spread([-4, -1]).median_cents, -2.5)

    def test_one_amount_has_no_interval_and_none_has_nothing(self) -> None:
        self.assertEqual(describe_spread([5]), Spread(5, None, None, 5))
        self.assertEqual(describe_spread([]), Spread(0, None, None, None))
