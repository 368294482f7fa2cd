"""The forecast of odd shops: each figure is inside its interval, and groups add up."""

from __future__ import annotations

import math
import random
import unittest
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from queries.forecast.forecast import forecast_cohorts
from tests.customer_samples import make_histories
from tests.forecast_shop import ordinal

AS_OF = "2024-12-31"


def forecast_shop(
    values: Iterable[int], *, rate_shape: float = 1.0, refunded: float = 0.0
) -> dict[str, Any]:
    """Return the forecast of a year of customers, each of whom pays one of *values*.

    Their rates are Gamma-distributed with the shape *rate_shape*; the share *refunded* of
    all goods is refunded.
    """
    rng = random.Random(7)  # noqa: S311
    first, last = ordinal("2024-01-01"), ordinal(AS_OF)
    purchases: dict[int, dict[int, int]] = {}
    for user_id, cents in enumerate(values):
        start = first + rng.randrange(180)
        days = purchases[user_id] = {start: cents}
        rate = rng.gammavariate(rate_shape, 0.03 / rate_shape)
        day = start + rng.expovariate(rate)
        while day <= last:
            days[int(day)] = cents
            day += rng.expovariate(rate)
    histories = make_histories(
        {user_id: days.items() for user_id, days in purchases.items()}
    )
    refunds = {"2024-01": (0, round(refunded * sum(histories.cents)))}
    segments = {user_id: f"{user_id % 9}" for user_id in purchases}
    return forecast_cohorts(histories, refunds, AS_OF, segments=segments).document


def find_estimates(record: Any) -> Iterator[Mapping[str, float]]:
    """Yield all forecasts with intervals inside *record*."""
    if isinstance(record, dict):
        if "low" in record:
            yield record
        record = list(record.values())
    if isinstance(record, list):
        for part in record:
            yield from find_estimates(part)


class OddShops(unittest.TestCase):
    """Whatever the shop, a forecast is inside its interval, and groups add up."""

    def check(self, document: Mapping[str, Any]) -> None:
        """Expect intervals that contain their forecasts, and parts that add up."""
        estimates = list(find_estimates(document))
        self.assertGreater(len(estimates), 6 * (1 + 6 + 9))
        for estimate in estimates:
            self.assertLessEqual(estimate["low"], estimate["forecast"])
            self.assertLessEqual(estimate["forecast"], estimate["high"])
        for part in ("cohorts", "segments"):
            for at, horizon in enumerate(document["total"]):
                nets = [one["horizons"][at]["net_cents"] for one in document[part]]
                total = horizon["net_cents"]["forecast"]
                self.assertEqual(sum(net["forecast"] for net in nets), total)

    def test_forecasts_are_inside_their_intervals_and_add_up(self) -> None:
        values = [1000 + 10 * number for number in range(100)]
        for name, document in (
            ("refunds of nearly all goods", forecast_shop(values, refunded=0.6)),
            ("one cent a purchase", forecast_shop([1] * 100)),
            ("one cent or nothing", forecast_shop([1, 0] * 60)),
            ("one very large customer", forecast_shop([10**11, *values])),
        ):
            with self.subTest(name):
                self.check(document)

    def test_extreme_spending_has_intervals_of_the_measured_variance(self) -> None:
        rng = random.Random(3)  # noqa: S311
        values = [round(1000 * math.exp(rng.gauss(0, 1))) for _ in range(100)]
        document = forecast_shop(values)
        self.check(document)
        self.assertFalse(document["spending_model"]["has_finite_variance"])
        self.assertLess(document["spending_model"]["parameters"]["q"], 2)

    def test_customers_who_buy_at_one_rate_have_a_forecast_and_a_good_holdout(self) -> None:
        document = forecast_shop([1000] * 150, rate_shape=1e6)
        self.check(document)
        self.assertEqual(document["purchase_model"]["name"], "Poisson")
        self.assertEqual(document["verdict"]["status"], "good")
