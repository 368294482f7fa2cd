"""Purchase histories: columns of all customers, and joined parts of them."""

from __future__ import annotations

import unittest
from typing import Any

from queries.forecast.histories import (
    collect_histories,
    join_histories,
    name_cohort,
)
from tests.customer_samples import list_purchases
from tests.forecast_shop import ordinal

ROWS = [
    (3, "2024-01-10", 8500),
    (3, "2024-02-29", 4000),
    (7, "2024-03-01", 6000),
    (2**63 - 1, "2024-01-10", -(2**63)),
    (2**63 - 1, "2024-04-01", 0),
]


class CollectedHistories(unittest.TestCase):
    """Rows sorted by user and day become one history for each user."""

    def test_purchases_of_each_user_are_kept_in_order(self) -> None:
        histories = collect_histories(ROWS)
        self.assertEqual(
            list_purchases(histories),
            {
                3: [(ordinal("2024-01-10"), 8500), (ordinal("2024-02-29"), 4000)],
                7: [(ordinal("2024-03-01"), 6000)],
                2**63 - 1: [(ordinal("2024-01-10"), -(2**63)), (ordinal("2024-04-01"), 0)],
            },
        )
        self.assertEqual(
            [name_cohort(day, is_by_quarter=False) for day in histories.first_days],
            ["2024-01", "2024-03", "2024-01"],
        )

    def test_no_rows_are_no_histories(self) -> None:
        self.assertEqual(list_purchases(collect_histories([])), {})
        self.assertEqual(len(collect_histories([]).first_days), 0)

    def test_row_of_another_form_is_named(self) -> None:
        rows: list[Any] = [(1, "2024-01-10", 0.5), (None, "2024-01-10", 1), (1, None, 1)]
        for row in rows:
            with self.subTest(row), self.assertRaisesRegex(ValueError, "None|0.5"):
                collect_histories([row])


class JoinedHistories(unittest.TestCase):
    """Parts by ranges of user ids, in their order, are the histories of all users."""

    def test_any_cut_between_users_gives_the_same_histories(self) -> None:
        expected = collect_histories(ROWS)
        for cuts in ((0, 0), (0, 5), (2, 2), (2, 3), (3, 3), (5, 5)):
            first, second = cuts
            parts = [ROWS[:first], ROWS[first:second], ROWS[second:]]
            with self.subTest(cuts):
                self.assertEqual(join_histories(map(collect_histories, parts)), expected)
        self.assertEqual(join_histories([]), collect_histories([]))

    def test_parts_in_another_order_or_with_the_same_user_are_refused(self) -> None:
        for first, second in ((ROWS[2:], ROWS[:2]), (ROWS[:1], ROWS[1:])):
            parts = [collect_histories(first), collect_histories(second)]
            with self.subTest(first), self.assertRaisesRegex(ValueError, "not above"):
                join_histories(parts)
