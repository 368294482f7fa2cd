"""The purchase process of a shop: BG/NBD's parameters, and how even the gaps are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from benchmarks.realism_math import mean, ratio
from benchmarks.realism_rows import Band, Row, around, ground_truth, measured
from benchmarks.shop_files import DAY, WEEK_DAYS, Shop
from data_generation.model.seasons import DAY_TICKS, plan_calendar
from data_generation.spans import build_shop

# BG/NBD for CDNOW, rates in weeks (Fader, Hardie, Lee 2005): what the generator draws from.
TRUTH = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}


class History(NamedTuple):
    """A customer's data for BG/NBD; *recency* and *age* count from the first order."""

    frequency: int
    recency: float
    age: float


def make_histories(shop: Shop, clock: Callable[[datetime], float]) -> list[History]:
    """Return every buyer's history, in the units of *clock*.

    The generator's first purchase is not part of the process; BG/NBD describes the repeat
    purchases and the dropout after each of them.
    """
    end = clock(shop.end)
    histories = []
    for orders in shop.orders_by_user.values():
        first, last = clock(orders[0].ordered_at), clock(orders[-1].ordered_at)
        histories.append(History(len(orders) - 1, last - first, end - first))
    return histories


def make_shop_clock(shop: Shop) -> Callable[[datetime], float]:
    """Return the function from a timestamp to weeks of shop time since the shop's start.

    Shop time is calendar time weighted by the expected demand: a day in December is longer
    than one in July, and a day of an outage is short.  Within a day it runs evenly here,
    because the curve of the hours moves a timestamp by less than a day, which is small
    beside rates in weeks.  A shop of another origin has the seasons only.
    """
    start, last = shop.start, (shop.end - DAY).date()
    calendar = build_shop(shop.plan).calendar if shop.plan else None
    if calendar is None or start.date() != calendar.start or last > calendar.days[-1]:
        calendar = plan_calendar(start.date(), last)
    weeks = [tick / (DAY_TICKS * WEEK_DAYS) for tick in calendar.ticks]
    weeks.append(weeks[-1])

    def read_clock(instant: datetime) -> float:
        day, within = divmod(instant - start, DAY)
        return weeks[day] + (weeks[day + 1] - weeks[day]) * (within / DAY)

    return read_clock


def fit_bg_nbd(histories: Sequence[History]) -> dict[str, float]:
    """Return the maximum-likelihood parameters of BG/NBD for *histories*.

    The likelihood is equation 6 of Fader, Hardie and Lee (2005), in logarithms; the search
    is over the parameters' logarithms, which keeps them positive.
    """
    # Installed for the benchmarks only.
    import numpy as np  # type: ignore[import-not-found, unused-ignore]
    from scipy.optimize import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        minimize,
    )
    from scipy.special import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        gammaln,
    )

    frequency, recency, age = np.array(histories, dtype=float).T
    has_repeated = frequency > 0
    repeats = np.maximum(frequency, 1)

    def loss(logarithms: Any) -> float:
        r, alpha, a, b = np.exp(logarithms)
        common = gammaln(r + frequency) - gammaln(r) + r * np.log(alpha)
        common += gammaln(a + b) - gammaln(a + b + frequency)
        common += gammaln(b + frequency) - gammaln(b)
        alive = -(r + frequency) * np.log(alpha + age)
        dropped = np.log(a / (b + repeats - 1)) - (r + frequency) * np.log(alpha + recency)
        either = np.where(has_repeated, np.logaddexp(alive, dropped), alive)
        return -float(np.mean(common + either))

    start = np.log([0.5, 5.0, 1.0, 2.0])
    options = {"xatol": 1e-6, "fatol": 1e-12, "maxiter": 5000, "maxfev": 5000}
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    return dict(zip(TRUTH, map(float, np.exp(found.x)), strict=True))


def measure_regularity(shop: Shop) -> float:
    """Return Wheat and Morrison's k of the first two gaps of each customer.

    If gaps are gamma-distributed with shape k, the share of the first in both has the
    variance 1 ÷ 4(2k + 1): k is 1 for a Poisson process, larger for more even gaps and
    smaller for bursts (Wheat and Morrison 1990).
    """
    shares = [
        (second.ordered_at - first.ordered_at) / (third.ordered_at - first.ordered_at)
        for first, second, third in (
            orders[:3] for orders in shop.orders_by_user.values() if len(orders) > 2
        )
        if third.ordered_at > first.ordered_at
    ]
    variance = mean((share - 0.5) ** 2 for share in shares)
    return (ratio(1, 4 * variance) - 1) / 2


def purchase_process_rows(shop: Shop) -> list[Row]:
    """Return the rows on the purchase process, estimated from the orders."""
    method = (
        "BG/NBD by maximum likelihood over all buyers: time 0 is the first order, frequency"
        " the number of later ones, of every status; weeks of shop time: calendar time"
        " weighted by expected demand (seasons, weekdays, shocks). At 20,000 users"
        " chance alone moves r by 3 %, alpha by 5 %, a by 8 % and b by 11 % (standard"
        " deviations over 12 seeds); at 100,000 users by 1 %, 1 %, 1 % and 4 % (4 seeds)."
    )
    plain_method = "The same in weeks of the plain calendar, which the seasons disturb."
    in_shop_time = fit_bg_nbd(make_histories(shop, make_shop_clock(shop)))
    in_plain_time = fit_bg_nbd(
        make_histories(shop, lambda instant: (instant - shop.start) / (WEEK_DAYS * DAY))
    )
    return [
        *(
            Row(
                f"BG/NBD {name}, shop time",
                around(truth, truth / 10),
                ground_truth(truth),
                method,
                in_shop_time[name],
            )
            for name, truth in TRUTH.items()
        ),
        *(
            Row(
                f"BG/NBD {name}, plain time",
                None,
                ground_truth(truth),
                plain_method,
                in_plain_time[name],
            )
            for name, truth in TRUTH.items()
        ),
        Row(
            "regularity of gaps, Wheat–Morrison k",
            Band(0.9, 1.25),
            measured("CDNOW 1.07; UCI 2.0, Complete Journey 2.1"),
            "Customers with three orders or more: (1 ÷ 4v − 1) ÷ 2, where v is the"
            " variance of the first gap's share in the first two gaps. It is 1 for a"
            " Poisson process, larger for more even gaps, and smaller for bursts.",
            measure_regularity(shop),
        ),
    ]
