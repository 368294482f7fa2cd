"""The table of forecasts by process summarizes the scores of several shops."""

from __future__ import annotations

import unittest
from typing import Any

from benchmarks.score_forecasts import ShopScore, read_score, render_row


def make_document(low: int, high: int, **holdout: Any) -> dict[str, Any]:
    """Return a forecast whose year has the interval from *low* to *high*."""
    year = {"days": 365, "net_cents": {"low": low, "high": high}}
    return {"total": [{"days": 90}, year], "holdout": holdout}


def make_score(expected: int, realised: int) -> dict[str, Any]:
    """Return the score of a forecast of 120 cents, 60 for each of two groups."""
    deciles = [
        {"forecast_net_cents": 60, "expected_net_cents": cents}
        for cents in (expected // 2 + 10, expected // 2 - 10)
    ]
    total = {
        "expected_net_cents": expected,
        "realised_net_cents": realised,
        "error_to_expected": 120 / expected - 1,
        "error_to_realised": 120 / realised - 1,
    }
    return {"days": 365, "total": total, "deciles": deciles, "cohort_error": 0.25}


class ForecastTable(unittest.TestCase):
    """A row has means, extremes, and how often the intervals contain the truth."""

    def test_score_states_errors_and_whether_intervals_contain_the_truth(self) -> None:
        purchases = {"low": 5, "high": 9, "actual": 10, "error": -0.3}
        document = make_document(90, 110, purchases=purchases)
        score = read_score(document, make_score(100, 150))
        # The groups have 60 and 40 cents, so the second one is 20 too high.
        self.assertEqual(
            (score.tenths, score.cohorts, score.holdout), (0.2, 0.25, -0.3), score
        )
        self.assertTrue(score.contains_expected)
        self.assertFalse(score.contains_realised)
        self.assertFalse(score.holdout_contains)

    def test_holdout_that_was_refused_does_not_count(self) -> None:
        score = read_score(make_document(90, 110, refused="too few"), make_score(100, 100))
        self.assertEqual((score.holdout, score.holdout_contains), (None, None))
        self.assertIn("| – | 0 of 0 | 3 |", render_row("steady", [score], 3))

    def test_row_has_the_mean_and_the_extremes_in_per_cent(self) -> None:
        scores = [
            ShopScore(error, 0, 0.1, 0.2, error > 0, True, 0.0, True)
            for error in (-0.1, 0.02, 0.05)
        ]
        self.assertEqual(
            render_row("steady", scores, 0),
            "| steady | -1.0 (-10.0 to +5.0) | +0.0 (+0.0 to +0.0) | 10.0 (10.0 to 10.0)"
            " | 20.0 (20.0 to 20.0) | 2 of 3 | 3 of 3 | +0.0 (+0.0 to +0.0) | 3 of 3 | 0 |",
        )
