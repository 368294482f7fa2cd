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
from datetime import date, timedelta
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

# Ticks in a day of average demand.  Few enough that 20 years of them fit into one digit of
# CPython's integers, which makes the arithmetic of purchase times faster.
DAY_BITS = 17
DAY_TICKS = 1 << DAY_BITS

DAY_SECONDS = 86_400

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

# January to December, per cent: low after Christmas, high in November and December.
MONTH_PER_CENT = (97, 98, 99, 97, 98, 97, 93, 96, 98, 101, 122, 126)

# Black Friday and Cyber Monday have 2.74 and 3.37 times the demand of the mean day of
# November and December (Adobe 2024).  These factors, applied to an ordinary Friday and
# Monday, bring the orders near that.
BLACK_FRIDAY_PER_CENT = 378
CYBER_MONDAY_PER_CENT = 347

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


def plan_calendar(start: date, end: date) -> Calendar:
    """Return the calendar of the days from *start* to *end*, both included."""
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return Calendar(
        start=start,
        days=days,
        texts=[day.isoformat() for day in days],
        ticks=list(accumulate((demand(day) for day in days), initial=0)),
    )


def demand(day: date) -> int:
    """Return how much demand time passes on *day*, in ticks.

    >>> demand(date(2024, 12, 2)) > 3 * demand(date(2024, 9, 2))
    True
    """
    per_cent = MONTH_PER_CENT[day.month - 1] * WEEKDAY_PER_CENT[day.weekday()]
    ticks = DAY_TICKS * per_cent // 10_000
    black_friday = find_black_friday(day.year)
    if day == black_friday:
        return ticks * BLACK_FRIDAY_PER_CENT // 100
    if day == black_friday + timedelta(days=3):
        return ticks * CYBER_MONDAY_PER_CENT // 100
    return ticks


def find_black_friday(year: int) -> date:
    """Return the day after the fourth Thursday of November.

    >>> find_black_friday(2024)
    datetime.date(2024, 11, 29)
    """
    first = date(year, 11, 1)
    first_thursday = (3 - first.weekday()) % 7
    return first + timedelta(days=first_thursday + 21 + 1)
