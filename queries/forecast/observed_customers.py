"""The customers observed by a day, counted by what the models need of their histories.

Most customers share their history with others, as far as the models need it: 150,000 users
of the generator have 118,897 customers and 44,946 distinct histories.  These are counted
once, and described again for each clock.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from queries.forecast.bg_nbd_expectations import PurchaseSummary
from queries.forecast.forecast_sums import SimilarCustomers
from queries.forecast.histories import PurchaseHistories
from queries.forecast.seasonality import SeasonalClock
from utils.helpers import DataError


class ObservedCustomers(NamedTuple):
    """The customers who bought by the day *until*, with an entry in each array.

    *first_days* and *last_days* are ordinals, *frequencies* count the purchases after the
    first by that day, and *spent* are the cents of these.  *repeats* counts them by day.
    """

    until: int
    user_ids: array[int]
    first_days: array[int]
    last_days: array[int]
    frequencies: array[int]
    spent: array[int]
    repeats: Counter[int]


class HistoryGroup(NamedTuple):
    """The customers of one first day and one frequency, counted by their last day.

    The columns have an entry for each of *last_days*: the number of customers, the cents
    that they *spent* after the first purchase, and the squares of what each of them spent,
    added up.
    """

    first_day: int
    frequency: int
    last_days: list[int]
    customer_counts: list[int]
    spent: list[int]
    squares_spent: list[int]


class CountedHistories(NamedTuple):
    """Groups of customers observed by the day *until*, and their *repeats* by day."""

    until: int
    groups: list[HistoryGroup]
    repeats: Counter[int]

    @property
    def starts(self) -> Counter[int]:
        """Return the number of customers by the day of their first purchase."""
        starts: Counter[int] = Counter()
        for group in self.groups:
            starts[group.first_day] += sum(group.customer_counts)
        return starts


def observe_customers(histories: PurchaseHistories, until: int) -> ObservedCustomers:
    """Return the customers who bought by the day *until*, with what they bought by then.

    Raise `DataError` if a customer's repeat purchases are worth less than nothing.
    """
    user_ids, starts, days, cents = histories
    repeats = Counter(day for day in days if day <= until)
    found = ObservedCustomers(
        until, array("q"), array("i"), array("i"), array("i"), array("q"), repeats
    )
    for user_id, (start, end) in zip(user_ids, pairwise(starts), strict=True):
        if days[start] > until:
            continue
        last = bisect_right(days, until, start, end) - 1
        found.user_ids.append(user_id)
        found.first_days.append(days[start])
        found.last_days.append(days[last])
        found.frequencies.append(last - start)
        found.spent.append(sum(cents[start + 1 : last + 1]))
    repeats.subtract(found.first_days)
    _require_value(found)
    return found


def select_customers(
    customers: ObservedCustomers, places: Sequence[int]
) -> ObservedCustomers:
    """Return those of *customers* at *places*; their purchases by day are not counted."""
    user_ids, first_days, last_days, frequencies, spent = (
        array(column.typecode, [column[place] for place in places])
        for column in customers[1:-1]
    )
    return ObservedCustomers(
        customers.until, user_ids, first_days, last_days, frequencies, spent, Counter()
    )


def _require_value(observed: ObservedCustomers) -> None:
    least = min(observed.spent, default=0)
    if least < 0:
        frequency = observed.frequencies[observed.spent.index(least)]
        raise DataError(
            f"A customer's repeat purchases are worth {least / frequency:g} cents each,"
            " expected zero or more. Count refunds only up to the amount paid."
        )


def count_histories(observed: ObservedCustomers) -> CountedHistories:
    """Return the groups of *observed*, sorted by first day and frequency."""
    sums: dict[tuple[int, int, int], list[int]] = {}
    for first_day, frequency, last_day, spent in zip(
        observed.first_days,
        observed.frequencies,
        observed.last_days,
        observed.spent,
        strict=True,
    ):
        key = first_day, frequency, last_day
        of_key = sums.get(key)
        if of_key is None:
            sums[key] = [1, spent, spent * spent]
        else:
            of_key[0] += 1
            of_key[1] += spent
            of_key[2] += spent * spent
    groups = []
    for (first_day, frequency), keys in groupby(sorted(sums), itemgetter(0, 1)):
        members = [
            (last_day, *sums[first_day, frequency, last_day]) for *_, last_day in keys
        ]
        groups.append(
            HistoryGroup(first_day, frequency, *map(list, zip(*members, strict=True)))
        )
    return CountedHistories(observed.until, groups, observed.repeats)


def describe_groups(
    histories: CountedHistories, clock: SeasonalClock
) -> list[SimilarCustomers]:
    """Return each group of *histories* in whole days of *clock*."""
    described = []
    for first_day, frequency, last_days, *columns in histories.groups:
        age, *recencies = count_days(
            clock, first_day, [histories.until, *last_days], frequency
        )
        described.append(SimilarCustomers(frequency, age, recencies, *columns))
    return described


def count_days(
    clock: SeasonalClock, first_day: int, days: Iterable[int], frequency: int
) -> list[int]:
    """Return the ages on *days* of a customer with *frequency* repeat purchases.

    A repeat purchase counts as at least one day after the first, even where the clock
    rounds the time between them to zero.
    """
    first, ends = clock
    before = ends[first_day - first]
    least = 1 if frequency else 0
    return [round(ends[day - first] - before) or least for day in days]


def list_summaries(
    customers: ObservedCustomers, clock: SeasonalClock
) -> list[PurchaseSummary]:
    """Return the frequency, recency and age of each of *customers*, in days of *clock*."""
    summaries: dict[tuple[int, int, int], PurchaseSummary] = {}
    found = []
    for history in zip(
        customers.first_days, customers.frequencies, customers.last_days, strict=True
    ):
        if history not in summaries:
            first_day, frequency, last_day = history
            days = [last_day, customers.until]
            recency, age = count_days(clock, first_day, days, frequency)
            summaries[history] = frequency, recency, age
        found.append(summaries[history])
    return found


def count_by_summary(
    histories: CountedHistories, clock: SeasonalClock
) -> dict[PurchaseSummary, int]:
    """Return the number of customers by frequency, recency and age, in days of *clock*."""
    summaries: dict[PurchaseSummary, int] = {}
    for frequency, age, recencies, counts, *_ in describe_groups(histories, clock):
        for recency, count in zip(recencies, counts, strict=True):
            summary = frequency, recency, age
            summaries[summary] = summaries.get(summary, 0) + count
    return summaries
