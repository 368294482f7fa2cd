"""Confidence intervals of shares and means, and medians; numbers in, numbers out."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from utils.ratios import ratio

# The share of intervals that contain the true value, and its normal quantile,
# NormalDist().inv_cdf(0.975).  It is a constant because only +, -, *, / and the square root
# give the same last bit on every platform.
LEVEL = 0.95
Z = 1.959963984540054


def wilson_interval(
    successes: int | None, trials: int | None, *, digits: int = 6
) -> tuple[float | None, float | None]:
    """Return the interval of the share *successes* / *trials*, or (None, None) without one.

    E. B. Wilson, Journal of the American Statistical Association 22 (1927): it stays
    within 0 and 1 and is valid for small numbers, where the usual interval is not.

    >>> wilson_interval(1157, 7846, digits=4), wilson_interval(0, 10, digits=4)
    ((0.1398, 0.1555), (0.0, 0.2775))
    """
    if successes is None or trials is None or not 0 <= successes <= trials or trials == 0:
        return None, None
    share = successes / trials
    spread = Z * Z / trials
    middle = share + spread / 2
    reach = Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low = (middle - reach) / (1 + spread) if successes else 0.0
    high = (middle + reach) / (1 + spread) if successes < trials else 1.0
    return round(low, digits), round(high, digits)


class Spread(NamedTuple):
    """Sum, interval of the mean (None of fewer than two) and median, in cents."""

    total_cents: int
    low_cents: float | None
    high_cents: float | None
    median_cents: float | None


def describe_spread(amounts: Sequence[int] | array[int]) -> Spread:
    """Return the spread of *amounts*, in whole cents.

    The interval is that of a mean by the normal approximation, ± 1.96 standard errors.

    >>> tuple(describe_spread([100, 300, 200, 1000]))
    (1600, -0.08, 800.08, 250.0)
    """
    ordered = sorted(amounts)
    count = len(amounts)
    return measure_spread(
        count,
        sum(amounts),
        sum(amount * amount for amount in amounts),
        ordered[(count - 1) // 2] + ordered[count // 2] if count else 0,
    )


def measure_spread(count: int, total: int, square_sum: int, middle: int) -> Spread:
    """Return the spread of *count* amounts whose sum is *total*.

    *square_sum* is the sum of their squares, *middle* the sum of the two middle amounts,
    or twice the middle one if *count* is odd.

    >>> measure_spread(4, 1600, 1140000, 500) == describe_spread([100, 300, 200, 1000])
    True
    """
    if not count:
        return Spread(0, None, None, None)
    median = ratio(middle, 2, digits=2)
    if count < 2:
        return Spread(total, None, None, median)
    # Integers up to the one root, so that a difference of large squares loses no digit.
    squares = count * square_sum - total * total
    error = math.sqrt(squares / (count * count * (count - 1)))
    mean = total / count
    low, high = round(mean - Z * error, 2), round(mean + Z * error, 2)
    return Spread(total, low, high, median)
