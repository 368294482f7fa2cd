"""How demand changes through the year, the week and the day.

There are two kinds of time.  *Calendar time* is days of the window (0 is the first) and
seconds of the day, in UTC.  *Demand time* is counted in ticks and runs faster while demand
is high; over a year it is about as long as calendar time.  Customers buy at a constant rate
in demand time.  So seasons and hours shape the data, and the hidden purchase rates can
still be recovered from it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

# Ticks in a day of average demand.  Few enough that 20 years of them fit into one digit of
# CPython's integers, which makes the arithmetic of purchase times faster.
DAY_BITS = 17
DAY_TICKS = 1 << DAY_BITS

DAY_SECONDS = 86_400

PER_MILLE = 1000

# Orders by hour of the day, as weights: the hourly profile of a public retail demo shop
# (theLook), lowest at five and six in the morning.  Its peak at seven in the evening is a
# little sharper here, so that it can be distinguished from the hours beside it.
HOUR_WEIGHTS = (
    36,
    30,
    24,
    20,
    18,
    17,
    17,
    18,
    20,
    22,
    27,
    34,
    40,
    46,
    51,
    57,
    64,
    70,
    76,
    79,
    77,
    62,
    52,
    45,
)

# Monday to Sunday, per cent; the same source.
WEEKDAY_PER_CENT = (112, 100, 100, 102, 88, 85, 115)

# January to December in the middle of the month, per cent: low after Christmas, high in
# November and December.  Demand is linear between the 15ths, so no month begins with a
# step.
MONTH_PER_CENT = (94, 95, 96, 94, 95, 94, 90, 93, 95, 98, 118, 128)
MIDDLE_DAY = 15

# Days on which most people do something else, by month and day, in per cent.  Olist's
# orders of 24 to 26 December are .19 to .58 of those of the week before; the two days
# around New Year are our own choice.
HOLIDAYS_PER_CENT = {(12, 24): 48, (12, 25): 28, (12, 26): 52, (12, 31): 66, (1, 1): 62}

# Black Friday and Cyber Monday have 2.74 and 3.37 times the demand of the mean day of
# November and December (Adobe 2024).  These factors, applied to an ordinary Friday and
# Monday, bring the orders near that.
BLACK_FRIDAY_PER_CENT = 350
CYBER_MONDAY_PER_CENT = 328

# The text of a timestamp: its day, MINUTES[second // 60] and SECONDS[second % 60].
MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60)]
SECONDS = [f"{second:02d}Z" for second in range(60)]


@cache
def make_clock() -> array[int]:
    """Return the second of the day at each of DAY_TICKS equal shares of a day's demand."""
    clock = array("I")
    total = sum(HOUR_WEIGHTS)
    marks = [DAY_TICKS * mark // total for mark in accumulate(HOUR_WEIGHTS, initial=0)]
    hour_seconds = DAY_SECONDS // len(HOUR_WEIGHTS)
    for hour, (start, stop) in enumerate(pairwise(marks)):
        clock.extend(
            [
                hour * hour_seconds + hour_seconds * at // (stop - start)
                for at in range(stop - start)
            ]
        )
    return clock


class Calendar(NamedTuple):
    """A window of days; *ticks* is the demand time at each midnight, the last included."""

    start: date
    days: list[date]
    texts: list[str]
    ticks: list[int]

    @property
    def end_second(self) -> int:
        """Return the first second after the window, counted from its start."""
        return len(self.days) * DAY_SECONDS

    def format_timestamp(self, second: int) -> str:
        """Return the time *second* seconds after the window's start as ISO 8601 text."""
        day, second = divmod(second, DAY_SECONDS)
        return f"{self.texts[day]}{MINUTES[second // 60]}{SECONDS[second % 60]}"

    def second_at(self, tick: int) -> int:
        """Return the second of calendar time at *tick*; it never decreases."""
        day = bisect_right(self.ticks, tick) - 1
        start, stop = self.ticks[day], self.ticks[day + 1]
        return (
            day * DAY_SECONDS + make_clock()[(tick - start << DAY_BITS) // (stop - start)]
        )


def plan_calendar(
    start: date, end: date, find_factor: Callable[[date], int] = lambda _: PER_MILLE
) -> Calendar:
    """Return the calendar of the days from *start* to *end*, both included.

    *find_factor* returns a day's demand, per mille of what the season leads to expect.
    """
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    demands = (demand(day) * find_factor(day) // PER_MILLE for day in days)
    return Calendar(
        start=start,
        days=days,
        texts=[day.isoformat() for day in days],
        ticks=list(accumulate(demands, initial=0)),
    )


def demand(day: date) -> int:
    """Return how much demand time the season gives *day*, in ticks.

    >>> demand(date(2024, 12, 2)) > 3 * demand(date(2024, 9, 2))
    True
    """
    per_cent = WEEKDAY_PER_CENT[day.weekday()] * find_peak(day)
    per_cent = per_cent * HOLIDAYS_PER_CENT.get((day.month, day.day), 100) // 100
    return DAY_TICKS * _interpolate_months(day) * per_cent // 10_000_000


def find_peak(day: date) -> int:
    """Return the demand of *day* in per cent: 100 except for two days of November.

    >>> find_peak(date(2024, 11, 29)), find_peak(date(2024, 11, 30))
    (350, 100)
    """
    days_later = (day - find_black_friday(day.year)).days
    return {0: BLACK_FRIDAY_PER_CENT, 3: CYBER_MONDAY_PER_CENT}.get(days_later, 100)


def _interpolate_months(day: date) -> int:
    """Return the demand of the time of the year on *day*, per mille."""
    before = day.replace(day=MIDDLE_DAY)
    if day < before:
        before = (before - timedelta(days=28)).replace(day=MIDDLE_DAY)
    after = (before + timedelta(days=31)).replace(day=MIDDLE_DAY)
    low, high = (10 * MONTH_PER_CENT[middle.month - 1] for middle in (before, after))
    return low + (high - low) * (day - before).days // (after - before).days


def find_black_friday(year: int) -> date:
    """Return the day after the fourth Thursday of November.

    >>> find_black_friday(2024)
    datetime.date(2024, 11, 29)
    """
    first = date(year, 11, 1)
    first_thursday = (3 - first.weekday()) % 7
    return first + timedelta(days=first_thursday + 21 + 1)
