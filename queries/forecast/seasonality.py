"""Shop time: days that count for more when the season is busy, measured from the purchases.

BG/NBD takes a customer's rate to be steady.  A shop's is not: who comes in December looks
livelier than they will be in spring, and a forecast in calendar days believes it.  So the
models count in days of the shop, of which a year has as many as the calendar's, a busy
month more and a quiet month fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel

# A season is measured over a whole year at least.
LEAST_DAYS = 365

# How far months differ before they are looked at: speeds are Gamma with mean 1 and a
# standard deviation of a quarter, which weighs as much as 16 purchases.  So a month of few
# purchases stays near 1, and one of hundreds is what its purchases say.
PRIOR_PURCHASES = 16

# Measuring is over when no month's speed changes by more than this, or after some rounds.
LEAST_CHANGE = 0.01
MOST_ROUNDS = 5

_MONTH_DAYS = (31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
STEADY = (1.0,) * 12


class Clock(NamedTuple):
    """Counts shop time: *ends* are the shop days from *first* up to each day's end."""

    first: int
    ends: list[float]

    @property
    def last(self) -> int:
        """Return the last day that is counted."""
        return self.first + len(self.ends) - 1

    def count_until(self, day: int) -> float:
        """Return the shop days up to the end of *day*, an ordinal."""
        return self.ends[day - self.first]

    def count_between(self, start: int, end: int) -> int:
        """Return the whole shop days from the end of *start* to the end of *end*."""
        return round(self.count_until(end) - self.count_until(start))


def tells_seasons(starts: Mapping[int, int], until: int) -> bool:
    """Return whether the days up to *until* tell a season from the customers' age.

    They do if there is a year of them, and customers of different age meet in each month:
    those whose first purchase is in it, by the days of *starts*, or of another year.
    Where nobody new came since spring, a quiet autumn may be the season or the age: from
    the year 1997 of CDNOW, the half year after is foretold 13 % too high with a clock, and
    3 % too low without.
    """
    first = min(starts)
    months = {date.fromordinal(day).month for day in starts}
    months |= {month for month, _ in end_months(first + LEAST_DAYS, until)}
    return until + 1 - first >= LEAST_DAYS and len(months) == len(STEADY)


def build_clock(speeds: Sequence[float], first: int, last: int) -> Clock:
    """Return a clock from *first* to *last*; *speeds* are those of the calendar's months.

    >>> build_clock(STEADY, 1, 3)
    Clock(first=1, ends=[1.0, 2.0, 3.0])
    """
    ends = []
    time = 0.0
    for day in range(first, last + 1):
        time += speeds[date.fromordinal(day).month - 1]
        ends.append(time)
    return Clock(first, ends)


def count_by_month(by_day: Mapping[int, int]) -> Counter[int]:
    """Return what is counted *by_day*, an ordinal, by month of the calendar, 1 to 12."""
    by_month: Counter[int] = Counter()
    for day, count in by_day.items():
        by_month[date.fromordinal(day).month] += count
    return by_month


def measure_seasonal_factors(
    model: PurchaseModel,
    clock: Clock,
    speeds: Sequence[float],
    starts: Mapping[int, int],
    repeats: Mapping[int, int],
    until: int,
) -> list[float]:
    """Return better *speeds*: those that make the repeats of each month the expected ones.

    As far as there are enough of them (`PRIOR_PURCHASES`): a month of which nothing is
    known stays at 1.  *model* was fitted in the time of *clock*, which runs at *speeds*;
    *starts* count customers by the day of their first purchase, *repeats* purchases after
    it.  The mean over a year stays 1.
    """
    expected = expect_by_month(model, clock, starts, until)
    actual = count_by_month(repeats)
    better = [
        (actual[month] + PRIOR_PURCHASES) / (expected[month] / speed + PRIOR_PURCHASES)
        for month, speed in enumerate(speeds, start=1)
    ]
    year = sum(_MONTH_DAYS)
    mean = sum(speed * days / year for speed, days in zip(better, _MONTH_DAYS, strict=True))
    return [speed / mean for speed in better]


def expect_by_month(
    model: PurchaseModel, clock: Clock, starts: Mapping[int, int], until: int
) -> dict[int, float]:
    """Return the repeat purchases that *model* expects by month of the calendar."""
    first = min(starts)
    by_age = model.expected_by_age(clock.count_between(first, until))
    months = [(month, clock.count_until(end)) for month, end in end_months(first, until)]
    expected = dict.fromkeys(range(1, 13), 0.0)
    for start, count in starts.items():
        started = clock.count_until(start)
        so_far = 0.0
        for month, ended in months:
            if ended > started:
                by_then = by_age[round(ended - started)]
                expected[month] += count * (by_then - so_far)
                so_far = by_then
    return expected


def end_months(first: int, last: int) -> list[tuple[int, int]]:
    """Return the months of the days *first* to *last*: which, and its last day there.

    >>> [(month, date.fromordinal(end).isoformat()) for month, end in end_months(
    ...     date(2024, 1, 30).toordinal(), date(2024, 3, 1).toordinal())]
    [(1, '2024-01-31'), (2, '2024-02-29'), (3, '2024-03-01')]
    """
    months = []
    begin = first
    while begin <= last:
        day = date.fromordinal(begin)
        after = (day.replace(day=28) + timedelta(days=4)).replace(day=1).toordinal()
        months.append((day.month, min(after - 1, last)))
        begin = after
    return months
