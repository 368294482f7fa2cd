"""Each purchase process has its own shape of gaps, and the same mean."""

from __future__ import annotations

import math
import unittest
from collections.abc import Callable, Iterable
from datetime import date
from itertools import groupby, pairwise
from statistics import fmean, pvariance

from data_generation.model import customers, seasons
from data_generation.model.distributions import UNIT, gamma, hyperexponential
from data_generation.model.purchase_processes import PROCESSES, Process, find_drift_step
from data_generation.model.streams import WORDS, Streams

CALENDAR = seasons.plan_calendar(date(2024, 1, 1), date(2027, 12, 31))


def list_times(process: Process, day_number: int, user_count: int) -> list[list[int]]:
    """Return the ticks of each customer's purchases; the customers sign up on one day."""
    schedule = customers.PurchaseSchedule()
    customers.sign_up_day(
        Streams(5),
        CALENDAR,
        day_number,
        1,
        user_count,
        CALENDAR.ticks[-1],
        schedule,
        process,
    )
    by_user = groupby(
        schedule.purchases,
        lambda purchase: purchase >> customers.USER_SHIFT & customers.MOST_USER_ID,
    )
    return [
        [purchase >> customers.TIME_SHIFT for purchase in purchases]
        for _, purchases in by_user
    ]


def measure_regularity(all_times: Iterable[list[int]]) -> float:
    """Return Wheat and Morrison's k of the first two gaps of each customer.

    The share that the first gap has of both is Beta(k, k) for gamma gaps of shape k, of
    which the variance is 1 ÷ 4(2k + 1).
    """
    shares = [
        (times[1] - times[0]) / (times[2] - times[0])
        for times in all_times
        if len(times) > 2 and times[2] > times[0]
    ]
    return (1 / (4 * pvariance(shares, 0.5)) - 1) / 2


class Gaps(unittest.TestCase):
    """The times between purchases follow the formulas of their process."""

    def assert_distribution(
        self, values: list[float], cumulative: Callable[[float], float]
    ) -> None:
        """Fail unless the sorted *values* are quantiles at equal steps."""
        self.assertEqual(values, sorted(values))
        error = max(
            abs(cumulative(value) - (at + 0.5) / len(values))
            for at, value in enumerate(values)
        )
        self.assertLess(error, 5e-4)

    def list_gaps(self, name: str) -> list[float]:
        """Return the gaps of the process *name*, in means of a customer."""
        return [gap / 65536 for gap in customers.build_gaps(PROCESSES[name])]

    def test_steady_gaps_are_exponential(self) -> None:
        for name in ("steady", "drifting"):
            self.assert_distribution(self.list_gaps(name), lambda x: 1 - math.exp(-x))

    def test_regular_gaps_are_erlang_2(self) -> None:
        self.assert_distribution(
            self.list_gaps("regular"), lambda x: 1 - (1 + 2 * x) * math.exp(-2 * x)
        )

    def test_clumpy_gaps_are_a_mixture_of_short_and_long_ones(self) -> None:
        # Seven gaps of ten have the mean .15; the mean of the others makes that of all 1.
        long = (1 - 0.7 * 0.15) / 0.3
        self.assert_distribution(
            self.list_gaps("clumpy"),
            lambda x: 1 - 0.7 * math.exp(-x / 0.15) - 0.3 * math.exp(-x / long),
        )

    def test_gaps_of_every_process_have_the_mean_1(self) -> None:
        for name in PROCESSES:
            self.assertAlmostEqual(fmean(self.list_gaps(name)), 1, delta=2e-4)

    def test_tables_cover_all_words_and_never_decrease(self) -> None:
        for table in (gamma("2"), hyperexponential(700, 150)):
            self.assertEqual((table.cuts[0], table.cuts[-1]), (0, WORDS))
            self.assertEqual(table.cuts, sorted(set(table.cuts)))
            self.assertEqual(table.values, sorted(table.values))
            self.assertGreater(table.value_at(WORDS - 1), 15 * UNIT)

    def test_regularity_of_purchases_differs_by_process(self) -> None:
        found = {
            name: measure_regularity(list_times(process, 0, 6000))
            for name, process in PROCESSES.items()
        }
        # A window cuts long gaps off, which makes the measure a little larger.
        for name, k in (("steady", 1), ("regular", 2), ("clumpy", 0.5), ("drifting", 1)):
            self.assertAlmostEqual(found[name] / k, 1.1, delta=0.2, msg=name)


class Drift(unittest.TestCase):
    """Of a drifting shop each cohort buys less than the one before."""

    def test_later_cohorts_buy_less(self) -> None:
        def count_repeats(name: str, day_number: int) -> int:
            end = CALENDAR.ticks[day_number + 365]
            return sum(
                sum(time < end for time in times[1:])
                for times in list_times(PROCESSES[name], day_number, 5000)
            )

        counts = [count_repeats("drifting", day) for day in (0, 360, 720, 1080)]
        self.assertEqual(counts, sorted(counts, reverse=True))
        self.assertGreater(counts[0], 2 * counts[3])
        # Day 360 has the published parameters.
        self.assertEqual(counts[1], count_repeats("steady", 360))

    def test_drift_ends_at_its_last_step(self) -> None:
        drifting = PROCESSES["drifting"]
        steps = [find_drift_step(drifting, day) for day in range(36_500)]
        self.assertEqual((steps[0], steps[-1]), (0, 36))
        self.assertEqual({after - before for before, after in pairwise(steps)}, {0, 1})
        first, middle, last = (
            customers.find_purchase_tables(drifting, day) for day in (0, 360, 36_499)
        )
        for at in range(0, 16_384, 1000):
            self.assertAlmostEqual(
                last.inverse_rates[at] / middle.inverse_rates[at], 2, delta=0.01
            )
        self.assertLess(sum(first.dropouts), sum(middle.dropouts))
        self.assertLess(sum(middle.dropouts), sum(last.dropouts))
        self.assertLess(max(last.dropouts), 65536)
