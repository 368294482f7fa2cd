"""The expected size of a customer's next orders depends on the gaps before them."""

from __future__ import annotations

import math
import random
import unittest

from data_generation.model import customers
from data_generation.model.distributions import UNIT
from data_generation.model.purchase_processes import PROCESSES, STEADY
from data_generation.model.seasons import DAY_TICKS
from data_generation.order_sizes import expect_size, find_long_share, list_size_factors

WEEK = 7 * DAY_TICKS


class LongGaps(unittest.TestCase):
    """The share of long gaps is that of the gaps which end within the horizon."""

    def test_steady_share_follows_the_exponential_distribution(self) -> None:
        for mean_gap, elapsed, horizon in ((10, 0, 52), (3, 2, 52), (80, 0, 52), (4, 7, 9)):
            with self.subTest(mean_gap=mean_gap, elapsed=elapsed, horizon=horizon):
                start, long, stop = (
                    math.exp(-weeks / mean_gap)
                    for weeks in (elapsed, max(elapsed, 8), elapsed + horizon)
                )
                share = find_long_share(
                    STEADY, mean_gap * WEEK, elapsed * WEEK, horizon * WEEK
                )
                exact = (long - stop) / (start - stop)
                self.assertAlmostEqual(share / UNIT, exact, delta=0.005)

    def test_share_of_every_process_is_that_of_its_gaps(self) -> None:
        chance = random.Random(1)  # noqa: S311
        for name, process in PROCESSES.items():
            gaps = customers.build_gaps(process)
            weeks = [6 * chance.choice(gaps) / 65536 for _ in range(40_000)]
            ended = [gap for gap in weeks if 2 < gap <= 2 + 30]
            share = find_long_share(process, 6 * WEEK, 2 * WEEK, 30 * WEEK) / UNIT
            simulated = sum(gap > 8 for gap in ended) / len(ended)
            with self.subTest(name):
                self.assertAlmostEqual(share, simulated, delta=0.015)

    def test_gap_that_no_table_has_is_long_if_it_can_be(self) -> None:
        self.assertEqual(find_long_share(STEADY, WEEK // 100, 60 * WEEK, 52 * WEEK), UNIT)
        self.assertEqual(find_long_share(STEADY, 10**6 * WEEK, 0, WEEK), 0)


class OrderSizes(unittest.TestCase):
    """The next order is a first one or ends the gap that has begun; others follow."""

    def test_factors_are_those_of_the_kinds_of_purchases(self) -> None:
        factors = [factor / UNIT for factor in list_size_factors()]
        self.assertEqual(len(factors), customers.KIND_MASK + 1)
        for kind, step in ((0, 1), (2, -3), (3, 4), (6, -3), (7, 4)):
            self.assertAlmostEqual(factors[kind], 2 ** (step / 16), places=6)

    def test_single_first_order_has_the_factor_of_first_orders(self) -> None:
        size = expect_size(STEADY, 10 * WEEK, None, UNIT // 2, 52 * WEEK)
        self.assertEqual(size, list_size_factors()[0])

    def test_order_after_a_long_time_is_large(self) -> None:
        size = expect_size(STEADY, 10 * WEEK, 20 * WEEK, UNIT, 52 * WEEK)
        self.assertEqual(size, list_size_factors()[-1])

    def test_many_orders_of_a_frequent_buyer_are_small(self) -> None:
        size = expect_size(STEADY, WEEK, 20 * WEEK, 50 * UNIT, 52 * WEEK) / UNIT
        *_, short, long = (factor / UNIT for factor in list_size_factors())
        self.assertAlmostEqual(size, short + (long - short) / 50, delta=0.001)
