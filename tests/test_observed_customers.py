"""Observed customers: counted by distinct histories, described in days of a clock."""

from __future__ import annotations

import random
import unittest
from collections import Counter

from queries.forecast.forecast_sums import ForecastSums, SimilarCustomers, sum_forecasts
from queries.forecast.histories import PurchaseHistories, collect_histories
from queries.forecast.observed_customers import (
    HistoryGroup,
    count_by_summary,
    count_histories,
    describe_groups,
    list_summaries,
    observe_customers,
)
from queries.forecast.seasonality import NO_SEASONS, build_clock
from tests.customer_samples import (
    PUBLISHED_PURCHASES,
    Customer,
    group_customers,
    make_histories,
    make_spending_model,
)
from tests.forecast_shop import ordinal
from utils.helpers import DataError

FIRST = ordinal("2024-01-01")
DAYS = 400


def draw_histories(seed: int, count: int) -> PurchaseHistories:
    """Return random histories, many of which are alike."""
    rng = random.Random(seed)  # noqa: S311
    purchases = {}
    for user_id in range(1, count + 1):
        days = rng.sample(range(0, DAYS, 20), rng.randint(1, 4))
        purchases[user_id] = [(FIRST + day, rng.randrange(5000)) for day in sorted(days)]
    return make_histories(purchases)


def flatten_sums(sums: ForecastSums) -> list[float]:
    """Return all figures of *sums*."""
    return [
        figure
        for field in sums
        for figure in (field if isinstance(field, tuple) else (field,))
    ]


class ObservedHistories(unittest.TestCase):
    """Customers are those who bought by a day, with what they bought by then."""

    HISTORIES = collect_histories(
        [
            (1, "2024-01-10", 8500),
            (1, "2024-02-29", 4000),
            (1, "2024-03-01", 500),
            (2, "2024-03-01", 6000),
            (5, "2024-01-10", 100),
            (5, "2024-02-29", 200),
        ]
    )

    def test_nothing_after_the_day_is_observed(self) -> None:
        january, february, march = map(ordinal, ("2024-01-10", "2024-02-29", "2024-03-01"))
        for until, users, frequencies, spent, repeats in (
            (january - 1, [], [], [], {}),
            (january, [1, 5], [0, 0], [0, 0], {}),
            (february, [1, 5], [1, 1], [4000, 200], {february: 2}),
            (march, [1, 2, 5], [2, 0, 1], [4500, 0, 200], {february: 2, march: 1}),
        ):
            with self.subTest(until - january):
                found = observe_customers(self.HISTORIES, until)
                self.assertEqual([*found.user_ids], users)
                self.assertEqual([*found.frequencies], frequencies)
                self.assertEqual([*found.spent], spent)
                self.assertEqual(+found.repeats, Counter(repeats))

    def test_customers_with_the_same_days_are_counted_together(self) -> None:
        first, last = ordinal("2024-01-10"), ordinal("2024-02-29")
        counted = count_histories(observe_customers(self.HISTORIES, last))
        self.assertEqual(
            counted.groups,
            [HistoryGroup(first, 1, [last], [2], [4200], [4000**2 + 200**2])],
        )
        self.assertEqual(counted.starts, {first: 2})

    def test_repeat_purchases_of_negative_value_are_refused(self) -> None:
        rows = [(1, "2024-01-10", 5), (1, "2024-01-11", -9), (1, "2024-01-12", 1)]
        histories = collect_histories(rows)
        with self.assertRaisesRegex(DataError, "worth -4 cents each"):
            observe_customers(histories, ordinal("2024-01-12"))


class DescribedCustomers(unittest.TestCase):
    """Ages and recencies are days of a clock, the same for groups and for customers."""

    def test_repeat_purchase_is_at_least_one_day_after_the_first(self) -> None:
        clock = build_clock((0.1,) * 12, FIRST, FIRST + 30)
        histories = make_histories(
            {1: [(FIRST, 1), (FIRST + 1, 100)], 2: [(FIRST + 30, 1)]}
        )
        for until, expected in (
            (FIRST + 2, [SimilarCustomers(1, 1, [1], [1], [100], [10_000])]),
            (
                FIRST + 30,
                [
                    SimilarCustomers(1, 3, [1], [1], [100], [10_000]),
                    SimilarCustomers(0, 0, [0], [1], [0], [0]),
                ],
            ),
        ):
            with self.subTest(until - FIRST):
                counted = count_histories(observe_customers(histories, until))
                self.assertEqual(describe_groups(counted, clock), expected)

    def test_recency_is_never_larger_than_age(self) -> None:
        for seed in range(20):
            rng = random.Random(seed)  # noqa: S311
            factors = [rng.uniform(0.2, 3.0) for _ in range(12)]
            clock = build_clock(factors, FIRST, FIRST + DAYS)
            observed = observe_customers(draw_histories(seed, 30), FIRST + DAYS)
            for frequency, recency, age in list_summaries(observed, clock):
                self.assertTrue(0 <= recency <= age)
                self.assertEqual(frequency > 0, recency > 0)

    def test_groups_count_the_summaries_of_the_customers(self) -> None:
        for factors in (NO_SEASONS, (0.1,) * 12, tuple(range(1, 13))):
            clock = build_clock(factors, FIRST, FIRST + DAYS)
            observed = observe_customers(draw_histories(7, 500), FIRST + DAYS // 2)
            counted = count_histories(observed)
            with self.subTest(factors):
                rows = sum(len(group.last_days) for group in counted.groups)
                self.assertLess(rows, 250)
                self.assertEqual(
                    count_by_summary(counted, clock),
                    Counter(list_summaries(observed, clock)),
                )

    def test_forecast_of_groups_is_that_of_each_customer_alone(self) -> None:
        clock = build_clock(NO_SEASONS, FIRST, FIRST + DAYS)
        observed = observe_customers(draw_histories(7, 500), FIRST + DAYS)
        customers = [
            Customer(*summary, spent / (summary[0] or 1))
            for summary, spent in zip(
                list_summaries(observed, clock), observed.spent, strict=True
            )
        ]
        models = PUBLISHED_PURCHASES, make_spending_model(6.0, 4.0, 1500.0)
        grouped, alone = (
            sum_forecasts(*models, each, [91])[0]
            for each in (
                describe_groups(count_histories(observed), clock),
                group_customers(customers),
            )
        )
        for found, expected in zip(flatten_sums(grouped), flatten_sums(alone), strict=True):
            self.assertAlmostEqual(found / expected, 1, delta=1e-9)
