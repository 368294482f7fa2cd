"""How the days differ in what neither trend nor weekday explains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import pairwise
from statistics import fmean, linear_regression
from typing import NamedTuple

from benchmarks.realism_math import ratio
from benchmarks.realism_rows import Band, Row, measured
from benchmarks.shop_files import DAY, WEEK_DAYS, Shop

NOVEMBER = 11

# About as many orders a day have UCI, CDNOW and a shop of 20,000 users.
USUAL_ORDERS = 50


class Noise(NamedTuple):
    """Deviations of days from what trend and weekday explain.

    *variance* is in units of chance: 1 if events are independent; *memory* is the
    correlation of a day with the next; *mean* is that of the events a day.
    """

    variance: float
    memory: float
    mean: float

    @property
    def variation(self) -> float:
        """Return the coefficient of variation of what the days expect."""
        return math.sqrt(max(self.variance - 1, 0) / self.mean)

    def scale_down(self, size: float) -> Noise:
        """Return the noise that the days would have with at most *size* events a day.

        What the days expect varies as before; chance has a larger part.

        >>> Noise(5, 0.75, 40).scale_down(10)
        Noise(variance=2.0, memory=0.46875, mean=10)
        """
        if not self.mean > size:
            return self
        share = size / self.mean
        variance = 1 + (self.variance - 1) * share
        return Noise(variance, self.memory * self.variance * share / variance, size)


def noise_rows(shop: Shop) -> list[Row]:
    """Return the rows on the noise of sign-ups and orders."""
    method = (
        "Events a day from January to October, less a straight line and the weekdays' means"
    )
    usual = f"In a shop of over {USUAL_ORDERS} orders a day: as of {USUAL_ORDERS}."
    sign_ups = measure_noise(shop, [user.signed_up_at for user in shop.users])
    orders = measure_noise(shop, [order.ordered_at for order in shop.orders])
    usual_orders = orders.scale_down(USUAL_ORDERS)
    return [
        Row(
            "sign-ups a day, variance ÷ mean",
            Band(1.3, 4),
            measured("CDNOW 3.5, a teaching shop 1.35"),
            f"{method}: mean of the squared deviations ÷ expected.",
            sign_ups.variance,
        ),
        Row(
            "orders a day, variance ÷ mean",
            Band(1.6, 6),
            measured("CJ 1.8, UCI 3.2, CDNOW 6.4"),
            f"{method}: mean of the squared deviations ÷ expected. {usual}",
            usual_orders.variance,
        ),
        Row(
            "orders a day, memory from day to day",
            Band(0.2, 0.55),
            measured("a teaching shop .30, CDNOW .54"),
            f"{method}: correlation of neighbouring days. {usual}",
            usual_orders.memory,
        ),
        Row(
            "orders a day, variation beyond chance",
            None,
            measured("UCI .20, CDNOW .26"),
            f"{method}: standard deviation ÷ mean, after the variance of chance is taken"
            " off.",
            orders.variation,
        ),
    ]


def measure_noise(shop: Shop, instants: Iterable[datetime]) -> Noise:
    """Return the noise of the events at *instants*, outside the season of gifts."""
    by_day = Counter(instant.date() for instant in instants)
    days = [
        day
        for number in range((shop.end - shop.start).days)
        if (day := shop.start.date() + number * DAY).month < NOVEMBER
    ]
    counts = [by_day[day] for day in days]
    if len(days) < WEEK_DAYS or not any(counts):
        return Noise(math.nan, math.nan, math.nan)
    deviations = [
        (count - expected) / math.sqrt(expected) if expected else 0.0
        for count, expected in zip(counts, _expect_days(days, counts), strict=True)
    ]
    variance = fmean(deviation**2 for deviation in deviations)
    covariance = fmean(before * after for before, after in pairwise(deviations))
    return Noise(variance, ratio(covariance, variance), fmean(counts))


def _expect_days(days: Sequence[date], counts: Sequence[int]) -> list[float]:
    """Return what a straight line and the weekdays' means expect of each of *days*."""
    line = linear_regression([day.toordinal() for day in days], counts)
    trend = [max(line.intercept + line.slope * day.toordinal(), 0) for day in days]
    counted, expected = [0.0] * WEEK_DAYS, [0.0] * WEEK_DAYS
    for day, count, value in zip(days, counts, trend, strict=True):
        counted[day.weekday()] += count
        expected[day.weekday()] += value
    factors = [ratio(*pair) for pair in zip(counted, expected, strict=True)]
    return [value * factors[day.weekday()] for day, value in zip(days, trend, strict=True)]
