"""How much the demand of months varies beyond season and chance, and what it adds.

The models draw the purchases of each customer independently, so the error of a large group
would be almost zero.  Campaigns, outages and the weather change the demand of all customers
together.  Months of the past show by how much: their repeat purchases deviate from those
that the model expects by more than chance.  Months of the future deviate as much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.bg_nbd_expectations import DAYS_PER_UNIT
from queries.forecast.seasonality import SeasonalClock, expect_months, list_month_ends


class Month(NamedTuple):
    """The repeat purchases of a month: expected, actual, and their variance by chance.

    *group* is the same for months whose level was fitted together.
    """

    group: int
    expected: float
    variance: float
    actual: int


class DemandVariation(NamedTuple):
    """The relative variance of the demand of a month, and that of the fitted level."""

    month_variance: float
    level_variance: float


NO_VARIATION = DemandVariation(0.0, 0.0)


class CommonDeviation(NamedTuple):
    """The relative standard deviations of what all customers have in common.

    They are those of the number of purchases in a time, and of the sum of their values.
    """

    purchases: float
    value: float


NO_DEVIATION = CommonDeviation(0.0, 0.0)


def measure_demand(
    model: PurchaseModel,
    clock: SeasonalClock,
    starts: Mapping[int, int],
    repeats: Mapping[int, int],
    until: int,
    *,
    has_seasons: bool,
) -> DemandVariation:
    """Return the variation of the demand until the day *until*.

    *starts* counts customers by the day of their first purchase, *repeats* later purchases
    by day.  With *has_seasons* each calendar month has a level of its own.

    The purchases of one customer come in clusters: with rates of Gamma(r, alpha), the
    variance of the purchases in a time t is 1 + (r + 1) t / alpha times their number.
    """
    r, alpha = model.parameters[:2]
    ends = list_month_ends(min(starts), until)
    bounds = [min(starts) - 1, *(end for _, end in ends)]
    months = []
    for (number, _), (start, end), expected in zip(
        ends, pairwise(bounds), expect_months(model, clock, starts, until), strict=True
    ):
        time = clock.days_between(max(start, min(starts)), end) / DAYS_PER_UNIT
        actual = sum(count for day, count in repeats.items() if start < day <= end)
        variance = expected * (1 + (r + 1) * time / alpha)
        months.append(Month(number if has_seasons else 0, expected, variance, actual))
    variance = estimate_variance(months)
    return DemandVariation(
        variance, variance * _add_squared_shares([month.expected for month in months])
    )


def estimate_variance(months: Iterable[Month]) -> float:
    """Return the relative variance of a month's demand beyond chance, at least 0.

    A month with e expected and a actual purchases, whose share of its group's expected
    ones is w, has the residual a - w A, where A are the actual purchases of the group.  The
    expected sum of the squared residuals is the sum of c (v e^2 + s), where v is the
    variance, s that by chance, and c = 1 - 2 w + sum of w^2 takes account of the fitted
    level of the group.

    >>> pair = [Month(1, 1000.0, 1000.0, 1100), Month(1, 1000.0, 1000.0, 900)]
    >>> estimate_variance(pair)
    0.019
    """
    groups: dict[int, list[Month]] = {}
    for month in months:
        if month.expected > 0:
            groups.setdefault(month.group, []).append(month)
    excess = weight = 0.0
    for members in groups.values():
        expected = math.fsum(month.expected for month in members)
        actual = sum(month.actual for month in members)
        squares = _add_squared_shares([month.expected for month in members])
        for month in members:
            share = month.expected / expected
            factor = 1 - 2 * share + squares
            excess += (month.actual - share * actual) ** 2 - factor * month.variance
            weight += factor * month.expected**2
    return max(excess / weight, 0.0) if weight > 0 else 0.0


def _add_squared_shares(amounts: Sequence[float]) -> float:
    """Return the sum of the squares of the shares of *amounts*.

    >>> _add_squared_shares([1.0, 1.0]), _add_squared_shares([])
    (0.5, 0.0)
    """
    total = math.fsum(amounts)
    return math.fsum((each / total) ** 2 for each in amounts) if total else 0.0


def deviate_demand(
    demand: DemandVariation, clock: SeasonalClock, until: int, days: int
) -> float:
    """Return the relative standard deviation of the demand in the *days* after *until*.

    Months deviate independently; the error of the level is that of the past.
    """
    ends = [until, *(end for _, end in list_month_ends(until + 1, until + days))]
    amounts = [
        clock.days_until(end) - clock.days_until(start) for start, end in pairwise(ends)
    ]
    variance = demand.month_variance * _add_squared_shares(amounts)
    return math.sqrt(variance + demand.level_variance)
