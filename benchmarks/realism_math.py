"""Plain statistics that the rows of `realism.py` share; without data they are NaN."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import correlation, fmean
from typing import NamedTuple


def share(answers: Iterable[bool]) -> float:
    """Return how many of *answers* are true, as a ratio; NaN of none.

    >>> share([True, False, True, True])
    0.75
    """
    known = list(answers)
    return ratio(sum(known), len(known))


def ratio(part: float, total: float) -> float:
    """Return *part* ÷ *total*; NaN where *total* is 0."""
    return part / total if total else math.nan


def mean(values: Iterable[float]) -> float:
    """Return the mean of *values*; NaN of none."""
    known = list(values)
    return fmean(known) if known else math.nan


def pearson(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Pearson's correlation; NaN where either side does not vary."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return correlation(first, second)


def top_share(values: Iterable[float], top: float) -> float:
    """Return the share of the largest *top* of *values* in their sum.

    >>> top_share([8, 1, 1, 0, 0], 0.2)
    0.8
    """
    falling = sorted(values, reverse=True)
    return ratio(sum(falling[: round(len(falling) * top)]), sum(falling))


def gini(values: Iterable[float]) -> float:
    """Return the Gini coefficient of *values*: 0 if they are equal, near 1 if one is all.

    >>> gini([1, 1, 1]), gini([0, 0, 0, 1])
    (0.0, 0.75)
    """
    rising = sorted(values)
    count = len(rising)
    weighted = sum((2 * rank - count - 1) * value for rank, value in enumerate(rising, 1))
    return ratio(weighted, count * sum(rising))


class Spread(NamedTuple):
    """The variance of values *within* groups, and *between* the means of the groups."""

    within: float
    between: float


def split_variance(groups: Iterable[Sequence[float]]) -> Spread:
    """Return the variance components of *groups*, of which those of one value do not count.

    The estimator is that of the one-way analysis of variance with groups of unequal sizes.

    >>> split_variance([[1, 3], [5, 7], [9]])
    Spread(within=2.0, between=7.0)
    """
    known = [group for group in groups if len(group) > 1]
    count = sum(map(len, known))
    if len(known) < 2:
        return Spread(math.nan, math.nan)
    means = list(map(fmean, known))
    total_mean = fmean(value for group in known for value in group)
    inside = sum(
        (value - centre) ** 2
        for group, centre in zip(known, means, strict=True)
        for value in group
    )
    outside = sum(
        len(group) * (centre - total_mean) ** 2
        for group, centre in zip(known, means, strict=True)
    )
    size = (count - sum(len(group) ** 2 for group in known) / count) / (len(known) - 1)
    within = inside / (count - len(known))
    return Spread(within, (outside / (len(known) - 1) - within) / size)


class Gap(NamedTuple):
    """How far the highest of several shares is above the lowest.

    *standard_errors* is the distance in standard errors of a difference of two shares;
    *ratio* is the higher one ÷ the lower one.
    """

    standard_errors: float
    ratio: float


def find_gap(groups: Iterable[tuple[int, int]]) -> Gap:
    """Return the gap between the shares of *groups*, each given as (hits, trials).

    >>> find_gap([(50, 100), (25, 100), (40, 100)]).ratio
    2.0
    """
    shares = sorted((hits / trials, hits, trials) for hits, trials in groups if trials)
    if not shares:
        return Gap(math.nan, math.nan)
    (low, low_hits, low_trials), (high, high_hits, high_trials) = shares[0], shares[-1]
    pooled = ratio(low_hits + high_hits, low_trials + high_trials)
    variance = pooled * (1 - pooled) * (1 / low_trials + 1 / high_trials)
    return Gap(ratio(high - low, math.sqrt(variance)), ratio(high, low))
