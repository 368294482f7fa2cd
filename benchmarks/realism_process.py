"""The parameters of BG/NBD, estimated from the orders of a shop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from benchmarks.realism_rows import Row, around, ground_truth
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


def purchase_process_rows(shop: Shop) -> list[Row]:
    """Return the rows on BG/NBD's parameters, estimated from the orders."""
    method = (
        "BG/NBD by maximum likelihood over all buyers: time 0 is the first order, frequency"
        " the number of later ones, of every status; weeks of shop time: calendar time"
        " weighted by expected demand (seasons, weekdays, shocks). At 20,000 users"
        " chance alone moves r by 2 %, alpha by 3 %, a by 6 % and b by 9 % (standard"
        " deviations over 16 seeds); at 100,000 users by 1 %, 2 %, 3 % and 4 % (12 seeds)."
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
    ]
