"""The holdout: its error on real customers, its length, and its refusal."""

from __future__ import annotations

import unittest
from collections import Counter
from functools import cache
from typing import Any

from queries.forecast.histories import PurchaseHistories, collect_histories
from queries.forecast.holdout import build_holdout, count_holdout_days
from tests.customer_samples import find_cdnow, list_purchases, make_histories
from tests.forecast_shop import known_sources, ordinal


@cache
def read_cdnow(name: str) -> PurchaseHistories:
    """Return the customers of the CDNOW file *name*, to 30 June 1998."""
    path = find_cdnow(name)
    bought: Counter[tuple[int, str]] = Counter()
    for line in path.read_text(encoding="ascii").splitlines():
        # In the sample, its own customer number follows that of the master file.
        *numbers, day, _, dollars = line.split() or [""] * 4
        if day.isdigit():
            iso = f"{day[:4]}-{day[4:6]}-{day[6:]}"
            bought[int(numbers[-1]), iso] += round(float(dollars) * 100)
    return collect_histories(
        (user, day, cents) for (user, day), cents in sorted(bought.items())
    )


class HoldoutOfRealCustomers(unittest.TestCase):
    """Fitted to 39 weeks of CDNOW, the forecast of the next 39 has the known error."""

    def check_holdout(self, name: str) -> dict[str, Any]:
        """Return the holdout of the file *name*; check its actual figures."""
        histories = read_cdnow(name)
        found = build_holdout(histories, ordinal("1998-06-30"))
        self.assertEqual((found["fitted_until"], found["days"]), ("1997-09-30", 273))
        self.assertEqual(found["customer_count"], len(histories.user_ids))
        split = ordinal("1997-09-30")
        later = [
            cents
            for day, cents in zip(histories.days, histories.cents, strict=True)
            if day > split
        ]
        self.assertEqual(found["purchases"]["actual"], len(later))
        self.assertEqual(found["value_cents"]["actual"], sum(later))
        return found

    def test_forecast_of_the_sample_is_12_percent_too_low(self) -> None:
        found = self.check_holdout("CDNOW_sample.txt")
        self.assertEqual(found["purchases"]["actual"], 1882)
        self.assertAlmostEqual(found["purchases"]["forecast"], 1653, delta=1)
        self.assertAlmostEqual(found["purchases"]["error"], -0.12, delta=0.005)

    def test_forecast_of_the_master_file_is_14_percent_too_low(self) -> None:
        found = self.check_holdout("CDNOW_master.txt")
        self.assertAlmostEqual(found["purchases"]["error"], -0.14, delta=0.005)
        # The interval does not contain the error of a wrong model.
        self.assertLess(found["purchases"]["high"], found["purchases"]["actual"])


class HoldoutDays(unittest.TestCase):
    """The holdout is half of the data or a year, and leaves a year to measure seasons."""

    def count(self, days: int, *, new_customer_days: int) -> int:
        """Return the holdout days of *days*, with new customers in the first of them."""
        first = ordinal("2023-01-01")
        starts = {first + day: 1 for day in range(new_customer_days)}
        return count_holdout_days(starts, first + days - 1)

    def test_holdout_is_half_of_the_data_or_leaves_a_year(self) -> None:
        for days, new_customer_days, expected in (
            (120, 120, 60),
            (450, 450, 225),  # 85 days would be too few
            (455, 455, 90),
            (546, 546, 181),
            (546, 90, 273),  # as CDNOW: no measurable seasons
            (728, 728, 363),
            (731, 731, 365),
            (1500, 1500, 365),
        ):
            with self.subTest(days=days, new_customer_days=new_customer_days):
                self.assertEqual(
                    self.count(days, new_customer_days=new_customer_days), expected
                )


class RefusedHoldout(unittest.TestCase):
    """A holdout without a model does not prevent the forecast."""

    def test_first_part_without_enough_customers_leaves_the_forecast_without_holdout(
        self,
    ) -> None:
        # Five months: in the first half only 17 customers bought again.
        sources, start = known_sources(), ordinal("2025-08-01")
        young = {
            user_id: purchases
            for user_id, purchases in list_purchases(sources.histories).items()
            if purchases[0][0] >= start
        }
        found = sources._replace(histories=make_histories(young)).forecast().document
        self.assertTrue(found["total"])
        self.assertEqual(set(found["holdout"]), {"refused"})
        self.assertIn("17 repeat customers, expected", found["holdout"]["refused"])
