"""The tables of forecasts by process summarize the scores of several shops."""

from __future__ import annotations

import unittest
from typing import Any

from benchmarks.score_forecasts import (
    ShopScore,
    TenthScore,
    read_score,
    render_errors,
    render_intervals,
    render_tenths,
)

INSIDE = {
    (group, kind): [kind == "expected"]
    for group in ("all", "cohorts", "tenths")
    for kind in ("expected", "realised")
}


def make_score(expected: int, realised: int) -> dict[str, Any]:
    """Return the score of a forecast of 120 cents, 60 for each of two groups."""
    deciles = [
        {
            "forecast_net_cents": 60,
            "expected_net_cents": cents,
            "contains_expected": cents > 50,
            "contains_realised": True,
        }
        for cents in (expected // 2 + 10, expected // 2 - 10)
    ]
    total = {
        "expected_net_cents": expected,
        "realised_net_cents": realised,
        "error_to_expected": 120 / expected - 1,
        "error_to_realised": 120 / realised - 1,
        "contains_expected": True,
        "contains_realised": False,
    }
    cohorts = [{"contains_expected": True, "contains_realised": None}]
    return {"total": total, "deciles": deciles, "cohorts": cohorts, "cohort_error": 0.25}


class ForecastTable(unittest.TestCase):
    """The rows have means, extremes, and how often the intervals contain the truth."""

    def test_score_states_errors_and_whether_intervals_contain_the_truth(self) -> None:
        purchases = {"low": 5, "high": 9, "actual": 10, "error": -0.3}
        score = read_score({"purchases": purchases}, make_score(100, 150))
        # The groups have 60 and 40 cents, so the second one is 20 too high.
        self.assertEqual(
            (score.tenths, score.cohorts, score.holdout), (0.2, 0.25, -0.3), score
        )
        self.assertEqual(score.inside["all", "expected"], [True])
        self.assertEqual(score.inside["all", "realised"], [False])
        self.assertEqual(score.inside["cohorts", "realised"], [None])
        self.assertEqual(score.inside["tenths", "expected"], [True, False])
        self.assertFalse(score.holdout_contains)

    def test_holdout_that_was_refused_does_not_count(self) -> None:
        score = read_score({"refused": "too few"}, make_score(100, 100))
        self.assertEqual((score.holdout, score.holdout_contains), (None, None))
        self.assertIn("| – | 0 of 0 | 3 |", render_errors("steady", [score], 3))

    def test_row_has_the_mean_and_the_extremes_in_per_cent(self) -> None:
        scores = [
            ShopScore(error, 0, 0.1, 0.2, INSIDE, 0.0, error > 0)
            for error in (-0.1, 0.02, 0.05)
        ]
        self.assertEqual(
            render_errors("steady", scores, 0),
            "| steady | -1.0 (-10.0 to +5.0) | +0.0 (+0.0 to +0.0) | 10.0 (10.0 to 10.0)"
            " | 20.0 (20.0 to 20.0) | +0.0 (+0.0 to +0.0) | 2 of 3 | 0 |",
        )

    def test_intervals_are_counted_over_all_shops(self) -> None:
        scores = [
            ShopScore(0, 0, 0, 0, INSIDE | {("cohorts", "realised"): answers}, 0, None)
            for answers in ([True, False], [True, None, True])
        ]
        self.assertEqual(
            render_intervals("steady", scores),
            "| steady | 2 of 2 (100.0 %) | 0 of 2 (0.0 %) | 2 of 2 (100.0 %)"
            " | 3 of 4 (75.0 %) | 2 of 2 (100.0 %) | 0 of 2 (0.0 %) |",
        )

    def test_tenths_are_added_up_over_the_shops(self) -> None:
        shops = [[TenthScore(10, 8, 300, 200)], [TenthScore(10, 12, 300, 400)]]
        (row,) = render_tenths(shops)
        # 600 of 600 cents; 20 of 20 purchases; 1.5 ÷ 1.25 and 0.75 ÷ (5 / 6).
        value, purchases, ratio = "-25.0 to +50.0", "-16.7 to +25.0", "-10.0 to +20.0"
        self.assertEqual(
            row, f"| 1 | +0.0 ({value}) | +0.0 ({purchases}) | +0.0 ({ratio}) |"
        )
