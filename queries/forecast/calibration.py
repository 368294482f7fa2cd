"""How good the forecast of a holdout is: per customer, by decile, by week.

The measures are those of the literature.  Beside the model is the naive rule, that each
customer goes on as before, so that a reader sees what the model adds.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from operator import sub
from statistics import fmean
from typing import Any, NamedTuple, TypeVar

from queries.forecast.bg_nbd_expectations import (
    DAYS_PER_UNIT,
    expect_purchases,
)
from queries.forecast.fitting import ModelFit, PurchaseFit
from queries.forecast.histories import PurchaseHistories
from queries.forecast.observed_customers import ObservedCustomers, list_summaries
from queries.forecast.seasonality import expect_totals

DECILES = 10

Item = TypeVar("Item")


class HoldoutColumns(NamedTuple):
    """Purchases of customers in the holdout and their cents, an entry for each customer."""

    purchases: Sequence[float]
    cents: Sequence[float]

    def add_up(self, places: Sequence[int]) -> tuple[float, float]:
        """Return the purchases and the cents of the customers at *places*."""
        return (
            math.fsum(self.purchases[place] for place in places),
            math.fsum(self.cents[place] for place in places),
        )


class LaterPurchases(NamedTuple):
    """What customers of the first part did in the holdout; *by_day* counts purchases."""

    columns: HoldoutColumns
    by_day: Counter[int]


def find_later_purchases(
    histories: PurchaseHistories, split: int, until: int
) -> LaterPurchases:
    """Return what the customers who bought by *split* bought after it, by *until*."""
    _, starts, days, cents = histories
    purchases, values, by_day = array("i"), array("q"), Counter[int]()
    for start, end in pairwise(starts):
        if days[start] > split:
            continue
        first = bisect_right(days, split, start, end)
        stop = bisect_right(days, until, start, end)
        by_day.update(days[first:stop])
        purchases.append(stop - first)
        values.append(sum(cents[first:stop]))
    return LaterPurchases(HoldoutColumns(purchases, values), by_day)


def forecast_customers(
    customers: ObservedCustomers, fit: ModelFit, days: int
) -> HoldoutColumns:
    """Return the purchases and cents expected of *customers* in the next *days*."""
    (forecast,) = forecast_choices(customers, [fit], days)
    return forecast


def forecast_choices(
    customers: ObservedCustomers, choices: Sequence[ModelFit], days: int
) -> list[HoldoutColumns]:
    """Return the forecast by each of *choices*, which have the same purchase model."""
    purchases = choices[0].purchases
    summaries = list_summaries(customers, purchases.clock)
    counts = expect_purchases(
        purchases.model.parameters,
        summaries,
        purchases.clock.days_between(customers.until, customers.until + days),
    )
    log_rate = cache(purchases.model.log_rate)
    return [
        HoldoutColumns(
            array("d", counts),
            array(
                "d",
                [
                    count * fit.spending.expected_value(x, spent, log_rate(x, age))
                    for count, (x, _, age), spent in zip(
                        counts, summaries, customers.spent, strict=True
                    )
                ],
            ),
        )
        for fit in choices
    ]


def continue_as_before(customers: ObservedCustomers, days: int) -> HoldoutColumns:
    """Return the purchases of the next *days* if each customer goes on as before.

    That is at the customer's own pace of repeat purchases since the first one.
    """
    ages = [max(customers.until - first, 1) for first in customers.first_days]
    return HoldoutColumns(
        *(
            array("d", [days * past / age for past, age in zip(column, ages, strict=True)])
            for column in (customers.frequencies, customers.spent)
        )
    )


def measure_customers(
    forecast: HoldoutColumns, naive: HoldoutColumns, actual: HoldoutColumns
) -> dict[str, Any]:
    """Return the errors per customer, the totals of the naive rule, and the deciles."""
    purchases, cents = naive.add_up(range(len(naive.purchases)))
    actual_purchases, actual_cents = actual.add_up(range(len(actual.purchases)))
    return {
        "mean_absolute_error": _measure_error(forecast, actual),
        "naive": {
            "mean_absolute_error": _measure_error(naive, actual),
            "purchases": _compare(purchases, actual_purchases),
            "value_cents": _compare(cents, actual_cents),
        },
        "deciles": list_deciles(forecast, actual),
    }


def _measure_error(forecast: HoldoutColumns, actual: HoldoutColumns) -> float:
    """Return the mean absolute error of the purchases of one customer."""
    return round(fmean(map(abs, map(sub, forecast.purchases, actual.purchases))), 3)


def _compare(
    forecast: float | None, actual: float | None, *, digits: int | None = None
) -> dict[str, Any]:
    """Return both figures, rounded to *digits* decimals, and the relative error."""
    return {
        "forecast": None if forecast is None else round(forecast, digits),
        "actual": None if actual is None else round(actual),
        "error": relative_error(forecast, actual),
    }


def relative_error(forecast: float | None, actual: float | None) -> float | None:
    """Return (*forecast* - *actual*) / *actual*, to four decimals.

    It is None without one of both, and where the actual figure is 0.

    >>> relative_error(120, 100), relative_error(0, 100), relative_error(120, 0)
    (0.2, -1.0, None)
    """
    return round(forecast / actual - 1, 4) if forecast is not None and actual else None


def _divide(cents: float, purchases: float) -> float | None:
    return cents / purchases if purchases else None


def list_deciles(forecast: HoldoutColumns, actual: HoldoutColumns) -> list[dict[str, Any]]:
    """Return forecast and actual figures of each tenth of the customers, best first.

    Errors of the purchases and of the value of one purchase are apart, because they have
    different causes.
    """
    ranked = rank_customers(forecast)
    deciles: list[dict[str, Any]] = []
    for number, members in enumerate(split_evenly(ranked, DECILES), 1):
        expected, expected_cents = forecast.add_up(members)
        purchases, cents = actual.add_up(members)
        deciles.append(
            {
                "decile": number,
                "customer_count": len(members),
                "purchases": _compare(expected, purchases, digits=1),
                "value_per_purchase_cents": _compare(
                    _divide(expected_cents, expected), _divide(cents, purchases)
                ),
            }
        )
    return deciles


def rank_customers(forecast: HoldoutColumns) -> list[int]:
    """Return the places of the customers, the highest forecast value first."""
    return sorted(range(len(forecast.cents)), key=lambda place: -forecast.cents[place])


def measure_values(forecast: HoldoutColumns, actual: HoldoutColumns) -> float:
    """Return the absolute errors of the deciles' value, added up, in cents."""
    ranked = rank_customers(forecast)
    errors = [
        forecast.add_up(members)[1] - actual.add_up(members)[1]
        for members in split_evenly(ranked, DECILES)
    ]
    return math.fsum(map(abs, errors))


def split_evenly(ranked: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """Return *ranked* as *count* groups in order, whose sizes differ by at most one.

    >>> split_evenly("abcde", 2)
    ['ab', 'cde']
    """
    bounds = [len(ranked) * number // count for number in range(count + 1)]
    return [ranked[low:high] for low, high in pairwise(bounds)]


def track_weeks(
    fit: PurchaseFit, customers: ObservedCustomers, later: LaterPurchases, until: int
) -> dict[str, int | float | None]:
    """Return the tracking errors by week of the holdout, up to the day *until*.

    They are mean absolute percentage errors of the repeat purchases that the model expects
    of new customers of the same first days, without their histories.  The cumulative ones
    count from the first day of the data on, so purchases before the holdout dilute them.
    """
    ends = range(customers.until, until + 1, DAYS_PER_UNIT)
    expected = expect_totals(fit.model, fit.clock, Counter(customers.first_days), ends)
    actual = [sum(customers.repeats.values())]
    for end in ends[:-1]:
        week = range(end + 1, end + 1 + DAYS_PER_UNIT)
        actual.append(actual[-1] + sum(later.by_day[day] for day in week))
    increments = [
        [after - before for before, after in pairwise(totals)]
        for totals in (expected, actual)
    ]
    return {
        "weeks": len(ends) - 1,
        "weekly_error": _average_error(*increments),
        "cumulative_error": _average_error(expected[1:], actual[1:]),
    }


def _average_error(expected: Sequence[float], actual: Sequence[float]) -> float | None:
    """Return the mean absolute percentage error; None where an actual figure is 0."""
    if not actual or not all(actual):
        return None
    errors = [abs(one / other - 1) for one, other in zip(expected, actual, strict=True)]
    return round(fmean(errors), 4)
