"""How demand changes through the year, the week and the day.

There are two kinds of time.  *Calendar time* is days of the window (0 is the first) and
seconds of the day, in UTC.  *Demand time* is counted in ticks and runs faster while demand
is high; over a year it is about as long as calendar time.  Customers buy at a constant rate
in demand time.  So seasons and hours shape the data, and the hidden purchase rates can
still be recovered from it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import accumulate, pairwise, repeat
from operator import floordiv
from typing import NamedTuple, TypeAlias

# Ticks in a day of average demand.  Few enough that 20 years of them fit into one digit of
# CPython's integers, which makes the arithmetic of purchase times faster.
DAY_BITS = 17
DAY_TICKS = 1 << DAY_BITS

# A day of demand is a number of slots, about 512; a table finds the day of a slot.
SLOT_BITS = 8

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600
SATURDAY = 5

# The equal shares into which a clock divides the demand of a day, in bits.  With SHARE_BITS
# and a day's slots the share of a tick is computed in one digit of CPython's integers.
CLOCK_BITS = 15
SHARE_BITS = CLOCK_BITS - SLOT_BITS

PER_MILLE = 1000

# Orders by hour of the day, as weights.  All days together have the hourly profile of a
# public retail demo shop (theLook), lowest at five and six in the morning, with its peak at
# seven in the evening.  Weekends are an hour later and a little flatter (our own choice);
# the mean absolute difference to the other days is .18 of the mean (Olist .10, a toy shop
# .13, UCI .19).
WEEKDAY_HOURS = (
    *(32, 27, 21, 18, 16, 16, 16, 18, 20, 22, 28, 36),
    *(42, 48, 53, 60, 68, 73, 80, 80, 77, 58, 49, 43),
)
WEEKEND_HOURS = (
    *(45, 37, 31, 26, 22, 20, 19, 19, 20, 22, 24, 28),
    *(35, 40, 46, 50, 55, 62, 67, 76, 76, 73, 60, 51),
)

# How many per cent more half of the customers buy at each hour, and the others less: some
# shop during the day, some in the evening.  So a customer's next order is in the same hour
# 1.25 times as often as by chance (UCI 1.27, Complete Journey 1.66); our own choice.
DAYTIME_PER_CENT = (
    *(-54, -48, -43, -26, 0, 34, 62, 78, 78, 78, 78, 78),
    *(77, 72, 63, 50, 30, 8, -20, -44, -61, -71, -71, -65),
)
HABITS = 2

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
CYBER_MONDAY_PER_CENT = 340

# The text of a timestamp: its day, MINUTES[second // 60] and SECONDS[second % 60].
MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60)]
SECONDS = [f"{second:02d}Z" for second in range(60)]


# How a customer's hours follow from the demand of a UTC day: its starts and its offset.
# `build_dial()[share + starts[is_weekend]] - offset` is the second of the day at a share
# of its demand, in 2**-CLOCK_BITS; it never decreases during the day.  A plain tuple, which
# the interpreter unpacks fastest.
Clock: TypeAlias = tuple[tuple[int, int], int]


@cache
def build_dial() -> array[int]:
    """Return the second of the local day at each share of its demand, for all profiles.

    Each profile has two days: a UTC day is a part of the first and a part of the second.
    """
    dial = array("I")
    for weights in _list_profiles():
        day: list[int] = []
        for hour, (start, stop) in enumerate(pairwise(_mark_hours(weights))):
            length = stop - start
            first, last = HOUR_SECONDS * hour * length, HOUR_SECONDS * (hour + 1) * length
            day += map(floordiv, range(first, last, HOUR_SECONDS), repeat(length))
        # Lists are appended faster than iterators.
        dial.fromlist(day)
        dial.fromlist([DAY_SECONDS + second for second in day])
    return dial


@cache
def make_clock(utc_offset_hours: int, habit: int) -> Clock:
    """Return the clock of customers with a *habit* in a country.

    >>> (weekday, weekend), _ = make_clock(-6, 0)
    >>> build_dial()[weekday] == build_dial()[weekend] == 18 * 3600
    True
    """
    midnight = utc_offset_hours % 24
    weekday, weekend = (
        (2 * number << CLOCK_BITS) + _mark_hours(weights)[midnight]
        for number, weights in enumerate(_list_profiles())
        if number % HABITS == habit
    )
    return (weekday, weekend), HOUR_SECONDS * midnight


def _list_profiles() -> list[list[int]]:
    """Return the weights of the hours, for each habit on weekdays, then on weekends."""
    return [
        [
            weight * (100 + sign * per_cent)
            for weight, per_cent in zip(weights, DAYTIME_PER_CENT, strict=True)
        ]
        for weights in (WEEKDAY_HOURS, WEEKEND_HOURS)
        for sign in (1, -1)
    ]


def _mark_hours(weights: Sequence[int]) -> list[int]:
    """Return the share of the day's demand before each hour, in 2**-CLOCK_BITS."""
    totals = list(accumulate(weights, initial=0))
    return [(total << CLOCK_BITS) // totals[-1] for total in totals]


class Calendar(NamedTuple):
    """A window of days; *ticks* is the demand time at each midnight, the last included.

    *slot_days* has the number of the day of each slot of 2**SLOT_BITS ticks; *day_times*
    has, for each day, the tick at which it begins, its number of slots, 1 at a weekend or
    else 0, and its first second of the window.
    """

    start: date
    days: list[date]
    texts: list[str]
    ticks: list[int]
    slot_days: array[int]
    day_times: list[tuple[int, int, int, int]]

    @property
    def end_second(self) -> int:
        """Return the first second after the window, counted from its start."""
        return len(self.days) * DAY_SECONDS

    def format_timestamp(self, second: int) -> str:
        """Return the time *second* seconds after the window's start as ISO 8601 text."""
        day, second = divmod(second, DAY_SECONDS)
        return f"{self.texts[day]}{MINUTES[second // 60]}{SECONDS[second % 60]}"

    def tick_at(self, second: int) -> int:
        """Return the demand time at a *second* of the window, as if a day were even."""
        day, second = divmod(second, DAY_SECONDS)
        start, stop = self.ticks[day : day + 2]
        return start + (stop - start) * second // DAY_SECONDS


def plan_calendar(
    start: date, end: date, find_factor: Callable[[date], int] = lambda _: PER_MILLE
) -> Calendar:
    """Return the calendar of the days from *start* to *end*, both included.

    *find_factor* returns a day's demand, per mille of what the season leads to expect.
    """
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    demands = (demand(day) * find_factor(day) // PER_MILLE for day in days)
    # The nearest complete number of slots, so that a slot has one day.
    half = 1 << SLOT_BITS - 1
    lengths = [max(ticks + half >> SLOT_BITS, 1) << SLOT_BITS for ticks in demands]
    midnights = list(accumulate(lengths, initial=0))
    slot_days = array("H")
    for number, length in enumerate(lengths):
        slot_days += array("H", [number]) * (length >> SLOT_BITS)
    day_times = [
        (start, length >> SLOT_BITS, int(day.weekday() >= SATURDAY), number * DAY_SECONDS)
        for number, (day, start, length) in enumerate(
            zip(days, midnights, lengths, strict=False)
        )
    ]
    texts = [day.isoformat() for day in days]
    return Calendar(start, days, texts, midnights, slot_days, day_times)


# The calendar and the sign-ups need it.
@cache
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


@cache
def find_black_friday(year: int) -> date:
    """Return the day after the fourth Thursday of November.

    >>> find_black_friday(2024)
    datetime.date(2024, 11, 29)
    """
    first = date(year, 11, 1)
    first_thursday = (3 - first.weekday()) % 7
    return first + timedelta(days=first_thursday + 21 + 1)
