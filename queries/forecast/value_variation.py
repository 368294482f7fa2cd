"""How much the value of a purchase varies by quarter beyond chance, and what it adds.

The spending model draws the purchases of each customer independently.  Price changes, sales
and the mix of products change the value of a purchase for all customers together.  Quarters
of the past show by how much: the values of their repeat purchases deviate from the mean of
all of them by more than chance.  The quarters of a forecast deviate as much.

Such changes last, so neighbouring months resemble each other, and months that count as
independent would deviate too little in a year.  Means of longer periods are less
dependent, but a few years have only a few (the method of batch means: Law 2015, Simulation
Modeling and Analysis, 9.5.3).  A quarter is the compromise here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from queries.forecast.histories import PurchaseHistories

QUARTER_DAYS = 365.25 / 4

# The repeat purchases of a customer by quarter: their number, and their cents.
Quarters: TypeAlias = Mapping[int, Sequence[int]]


class ValueVariation(NamedTuple):
    """The relative variance of the value of a quarter's purchases, and of the fitted level.

    It is that of the mean value of a purchase, beyond chance.
    """

    quarter_variance: float
    level_variance: float


NO_VALUE_VARIATION = ValueVariation(0.0, 0.0)


def measure_value_variation(histories: PurchaseHistories, until: int) -> ValueVariation:
    """Return the variation of the value of repeat purchases until the day *until*.

    A quarter with the share w of the purchases, n, deviates by D, its cents less n times
    the mean m.  The expected sum of D^2 is the sum of c (n m)^2 v, where v is the variance
    and c = 1 - 2 w + sum of w^2 takes account of the mean, plus that by chance.  None is
    measured in a single quarter.
    """
    customers = list(list_quarters(histories, until))
    totals = _add_quarters(customers)
    count = sum(of_quarter for of_quarter, _ in totals.values())
    cents = sum(of_quarter for _, of_quarter in totals.values())
    if cents <= 0:
        return NO_VALUE_VARIATION
    mean = cents / count
    shares = {quarter: number / count for quarter, (number, _) in totals.items()}
    squares = math.fsum(share**2 for share in shares.values())
    excess = math.fsum((cents - number * mean) ** 2 for number, cents in totals.values())
    excess -= _sum_chance(customers, shares, mean)
    weight = math.fsum(
        (1 - 2 * shares[quarter] + squares) * (number * mean) ** 2
        for quarter, (number, _) in totals.items()
    )
    variance = max(excess / weight, 0.0) if weight > 0 else 0.0
    return ValueVariation(variance, variance * squares)


def list_quarters(histories: PurchaseHistories, until: int) -> Iterator[Quarters]:
    """Yield the repeat purchases of each customer who has some until the day *until*."""
    _, starts, days, cents = histories
    for start, end in pairwise(starts):
        quarters: dict[int, list[int]] = {}
        for place in range(start + 1, end):
            if days[place] > until:
                break
            of_quarter = quarters.setdefault(_find_quarter(days[place]), [0, 0])
            of_quarter[0] += 1
            of_quarter[1] += cents[place]
        if quarters:
            yield quarters


@cache
def _find_quarter(day: int) -> int:
    """Return the quarter of *day*, an ordinal, counted from the year 0."""
    found = date.fromordinal(day)
    return 4 * found.year + (found.month - 1) // 3


def _add_quarters(customers: Iterable[Quarters]) -> dict[int, tuple[int, int]]:
    """Return number and cents of the purchases of all *customers* by quarter."""
    totals: dict[int, tuple[int, int]] = {}
    for quarters in customers:
        for quarter, (number, cents) in quarters.items():
            count, total = totals.get(quarter, (0, 0))
            totals[quarter] = count + number, total + cents
    return totals


def _sum_chance(
    customers: Iterable[Quarters], shares: Mapping[int, float], mean: float
) -> float:
    """Return the sum of the variances by chance of the quarters' deviations.

    Customers are independent, the purchases of one of them are not.  So each adds the
    square of what it contributes to the deviation of a quarter: its own deviation d there
    less the *shares* w of its d in all quarters.
    """
    chance = squares = 0.0
    products = dict.fromkeys(shares, 0.0)
    for quarters in customers:
        deviations = {
            quarter: cents - number * mean for quarter, (number, cents) in quarters.items()
        }
        total = sum(deviations.values())
        squares += total * total
        for quarter, deviation in deviations.items():
            chance += deviation * deviation
            products[quarter] += deviation * total
    return chance + math.fsum(
        share * (share * squares - 2 * products[quarter])
        for quarter, share in shares.items()
    )


def deviate_value(variation: ValueVariation, days: int) -> float:
    """Return the relative standard deviation of the value of a purchase in *days* ahead.

    Quarters deviate independently, a shorter time as much as a quarter; the error of the
    level is that of the past.

    >>> deviate_value(ValueVariation(0.0004, 0.0), 30)
    0.02
    """
    quarters = max(days / QUARTER_DAYS, 1.0)
    return math.sqrt(variation.quarter_variance / quarters + variation.level_variance)
