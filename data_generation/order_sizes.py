"""How large the next orders of a customer are, by the gaps before them.

A first order and one after a short or a long gap are above or below the customer's spending
level by fixed factors, see `baskets`.  So a customer who buys rarely spends more on an
order than one of the same level who buys often.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

from data_generation.model import baskets, customers
from data_generation.model.distributions import UNIT, UNIT_BITS, powers_of_two
from data_generation.model.purchase_processes import Process


@cache
def list_size_factors() -> list[int]:
    """Return the mean order ÷ the customer's mean, by kind of purchase, in fixed point."""
    steps = baskets.list_kind_steps()
    powers = powers_of_two(customers.LEVELS_PER_DOUBLING, min(steps), max(steps))
    return [powers[step - min(steps)] for step in steps]


def expect_size(
    process: Process, mean_gap: int, elapsed: int | None, orders: int, horizon: int
) -> int:
    """Return the expected mean factor of a customer's next *orders*, in fixed point.

    The last order was *elapsed* ticks ago, or there is none; *orders*, a fixed-point
    number, are expected in the next *horizon* ticks.  The next order ends a gap that has
    lasted for a while, or is the first one; later orders have gaps of their own.
    """
    later = _expect_factor(process, mean_gap, 0, horizon)
    if elapsed is None:
        following = list_size_factors()[0]
    else:
        following = _expect_factor(process, mean_gap, elapsed, horizon)
    # More than one order makes the share of the following one smaller.
    share = UNIT if orders <= UNIT else (UNIT << UNIT_BITS) // orders
    return later + ((following - later) * share >> UNIT_BITS)


def _expect_factor(process: Process, mean_gap: int, elapsed: int, horizon: int) -> int:
    """Return the expected factor of the order after a gap that ends within *horizon*."""
    *_, short, long = list_size_factors()
    long_share = find_long_share(process, mean_gap, elapsed, horizon)
    return short + ((long - short) * long_share >> UNIT_BITS)


def find_long_share(process: Process, mean_gap: int, elapsed: int, horizon: int) -> int:
    """Return the share of long gaps among those that end within *horizon*, in fixed point.

    The gaps have lasted *elapsed* already.

    >>> week = customers.LONG_GAP_TICKS // 8
    >>> round(find_long_share(Process(), 10 * week, 0, 10**6 * week) / UNIT, 2)  # e**-.8
    0.45
    >>> find_long_share(Process(), 10 * week, 9 * week, 10 * week) == UNIT
    True
    """
    gaps = customers.build_gaps(process)
    least = max(elapsed, customers.LONG_GAP_TICKS)
    start, long_start, stop = (
        bisect_right(gaps, (ticks << 16) // mean_gap)
        for ticks in (elapsed, least, elapsed + horizon)
    )
    if start >= stop:
        return UNIT if least < elapsed + horizon else 0
    return UNIT * max(stop - long_start, 0) // (stop - start)
