"""The holdout: its error on real customers, its length, and its refusal."""

from __future__ import annotations

import unittest
from collections import Counter
from functools import cache
from typing import Any

from queries.forecast.calibration import (
    HoldoutColumns,
    continue_as_before,
    find_later_purchases,
    list_deciles,
    measure_customers,
)
from queries.forecast.histories import PurchaseHistories, collect_histories
from queries.forecast.holdout import build_holdout, count_holdout_days, judge_holdout
from queries.forecast.observed_customers import observe_customers
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

    def test_errors_of_the_sample_are_the_published_ones(self) -> None:
        found = self.check_holdout("CDNOW_sample.txt")
        # Jerath, Fader, Hardie 2011, table 3: 19.4 % by week, 2.6 % cumulative.
        self.assertEqual(found["tracking"]["weeks"], 39)
        self.assertAlmostEqual(found["tracking"]["weekly_error"], 0.194, delta=0.0005)
        self.assertAlmostEqual(found["tracking"]["cumulative_error"], 0.026, delta=0.0005)
        # Platzer, Reutterer 2016, table 4: .77 for Pareto/NBD, 1.00 for the rule of thumb.
        self.assertAlmostEqual(found["mean_absolute_error"], 0.78, delta=0.01)
        self.assertAlmostEqual(found["naive"]["mean_absolute_error"], 1.0, delta=0.03)

    def test_rate_effect_is_omitted_where_it_makes_the_holdout_worse(self) -> None:
        found = self.check_holdout("CDNOW_sample.txt")
        self.assertIs(found["has_rate_effect"], False)
        self.assertGreater(found["value_cents"]["error"], -0.17)

    def test_deciles_add_up_to_the_holdout(self) -> None:
        found = self.check_holdout("CDNOW_sample.txt")
        deciles = found["deciles"]
        self.assertEqual([each["decile"] for each in deciles], list(range(1, 11)))
        self.assertEqual(sum(each["customer_count"] for each in deciles), 2357)
        self.assertEqual(sum(each["purchases"]["actual"] for each in deciles), 1882)
        forecast = sum(each["purchases"]["forecast"] for each in deciles)
        self.assertAlmostEqual(forecast, found["purchases"]["forecast"], delta=1)
        cents = sum(
            each["purchases"]["forecast"] * each["value_per_purchase_cents"]["forecast"]
            for each in deciles
        )
        self.assertAlmostEqual(cents / found["value_cents"]["forecast"], 1, delta=0.002)

    def test_forecast_of_the_master_file_is_14_percent_too_low(self) -> None:
        found = self.check_holdout("CDNOW_master.txt")
        self.assertAlmostEqual(found["purchases"]["error"], -0.14, delta=0.005)
        # The interval does not contain the error of a wrong model.
        self.assertLess(found["purchases"]["high"], found["purchases"]["actual"])


class MeasuresByHand(unittest.TestCase):
    """The measures of a holdout equal those worked out by hand for a few customers."""

    # Days of purchases by user; the holdout is days 101 to 114.
    HISTORIES = make_histories(
        {
            1: [(1, 500), (51, 300), (101, 700), (110, 100)],
            2: [(1, 500), (100, 400)],
            3: [(61, 900)],
            4: [(105, 900), (106, 900)],
        }
    )

    def test_later_purchases_are_those_of_earlier_customers(self) -> None:
        later = find_later_purchases(self.HISTORIES, 100, 114)
        self.assertEqual(list(later.columns.purchases), [2, 0, 0])
        self.assertEqual(list(later.columns.cents), [800, 0, 0])
        self.assertEqual(later.by_day, {101: 1, 110: 1})

    def test_naive_rule_goes_on_at_the_pace_since_the_first_purchase(self) -> None:
        customers = observe_customers(self.HISTORIES, 100)
        naive = continue_as_before(customers, 14)
        # One repeat purchase in 99 days; none in 39.
        self.assertEqual(list(naive.purchases), [14 / 99, 14 / 99, 0])
        self.assertEqual(list(naive.cents), [14 * 300 / 99, 14 * 400 / 99, 0])

    def test_errors_are_means_of_absolute_errors(self) -> None:
        actual = find_later_purchases(self.HISTORIES, 100, 114).columns
        forecast = HoldoutColumns([1.5, 0.25, 0.0], [600.0, 100.0, 0.0])
        naive = HoldoutColumns([1.0, 1.0, 1.0], [400.0, 400.0, 400.0])
        found = measure_customers(forecast, naive, actual)
        self.assertEqual(found["mean_absolute_error"], 0.25)
        self.assertEqual(
            found["naive"],
            {
                "mean_absolute_error": 1.0,
                "purchases": {"forecast": 3, "actual": 2, "error": 0.5},
                "value_cents": {"forecast": 1200, "actual": 800, "error": 0.5},
            },
        )

    def test_deciles_are_ranked_by_forecast_value(self) -> None:
        count = 20
        forecast = HoldoutColumns([1.0] * count, [100.0 * at for at in range(count)])
        actual = HoldoutColumns([2] * count, [300 * at for at in range(count)])
        first, *_, last = list_deciles(forecast, actual)
        self.assertEqual(
            first,
            {
                "decile": 1,
                "customer_count": 2,
                "purchases": {"forecast": 2.0, "actual": 4, "error": -0.5},
                "value_per_purchase_cents": {
                    "forecast": 1850,
                    "actual": 2775,
                    "error": -0.3333,
                },
            },
        )
        self.assertEqual(last["value_per_purchase_cents"]["forecast"], 50)

    def test_verdict_follows_the_larger_error(self) -> None:
        for purchases, value, status in (
            (0.15, -0.1, "good"),
            (0.16, 0.0, "rough"),
            (0.0, -0.4, "rough"),
            (0.0, 0.41, "not usable"),
        ):
            holdout = {"purchases": {"error": purchases}, "value_cents": {"error": value}}
            with self.subTest(purchases=purchases, value=value):
                self.assertEqual(judge_holdout(holdout)["status"], status)
        self.assertEqual(
            judge_holdout({"refused": "why"}),
            {"status": "not tested", "text": "Not tested: there is no holdout."},
        )


class HoldoutWithoutPurchases(unittest.TestCase):
    """A holdout in which nobody bought is one, and its forecast is not usable."""

    def test_verdict_states_that_nobody_bought(self) -> None:
        last = ordinal("2024-12-31")
        early = {
            user_id: [purchase for purchase in purchases if purchase[0] <= last]
            for user_id, purchases in list_purchases(known_sources().histories).items()
            if purchases[0][0] <= last
        }
        found = build_holdout(make_histories(early), ordinal("2025-12-31"))
        self.assertEqual((found["fitted_until"], found["days"]), ("2024-12-31", 365))
        purchases = found["purchases"]
        self.assertEqual((purchases["actual"], purchases["error"]), (0, None))
        self.assertEqual(
            judge_holdout(found),
            {
                "status": "not usable",
                "text": "Not usable: nobody bought in the holdout, for which"
                f" {purchases['forecast']} purchases were forecast.",
            },
        )

    def test_verdict_states_that_purchases_had_no_value(self) -> None:
        holdout = {
            "purchases": {"forecast": 5, "actual": 4, "error": 0.25},
            "value_cents": {"forecast": 900, "actual": 0, "error": None},
        }
        self.assertEqual(
            judge_holdout(holdout),
            {
                "status": "not usable",
                "text": "Not usable: the purchases of the holdout had no value.",
            },
        )


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
        # Five months: in the first half few customers bought again.
        sources, start = known_sources(), ordinal("2025-08-01")
        young = {
            user_id: purchases
            for user_id, purchases in list_purchases(sources.histories).items()
            if purchases[0][0] >= start
        }
        sources = sources._replace(histories=make_histories(young), refunds={})
        found = sources.forecast().document
        self.assertTrue(found["total"])
        self.assertEqual(set(found["holdout"]), {"refused"})
        self.assertRegex(
            found["holdout"]["refused"],
            r"^The first part of the data, 7\d days until 2025-10-1\d, supports no model\."
            r" .*\b\d+ repeat customers, expected",
        )
