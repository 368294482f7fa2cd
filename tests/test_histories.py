"""Purchase histories: columns of all customers, and joined parts of them."""

from __future__ import annotations

import unittest
from itertools import combinations, permutations
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
    """Parts of the users, in any order, are the histories of all users."""

    def test_any_cut_between_users_gives_the_same_histories(self) -> None:
        expected = collect_histories(ROWS)
        for cuts in ((0, 0), (0, 5), (2, 2), (2, 3), (3, 3), (5, 5)):
            first, second = cuts
            parts = [ROWS[:first], ROWS[first:second], ROWS[second:]]
            for order in permutations(map(collect_histories, parts)):
                with self.subTest(cuts):
                    self.assertEqual(join_histories(order), expected)
        self.assertEqual(join_histories([]), collect_histories([]))

    def test_any_choice_of_users_gives_the_same_histories(self) -> None:
        expected = collect_histories(ROWS)
        user_ids = sorted({user_id for user_id, _, _ in ROWS})
        for chosen in combinations(user_ids, 2):
            parts = [
                collect_histories(row for row in ROWS if (row[0] in chosen) is is_first)
                for is_first in (True, False)
            ]
            with self.subTest(chosen):
                self.assertEqual(join_histories(parts), expected)

    def test_user_in_two_parts_is_refused(self) -> None:
        parts = [collect_histories(ROWS[:1]), collect_histories(ROWS[1:])]
        with self.assertRaisesRegex(ValueError, "is in two parts"):
            join_histories(parts)
