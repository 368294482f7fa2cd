"""Purchase histories of customers, from rows of the query to the input of the models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from typing import NamedTuple

from queries.forecast.clv import Customer
from queries.forecast.seasonality import SeasonalClock
from utils.months import quarter_text


class PurchaseHistory(NamedTuple):
    """One customer's purchase days, ascending, as ordinals, and their goods in cents."""

    days: list[int]
    cents: list[int]


def collect_histories(rows: Iterable[tuple[int, str, int]]) -> dict[int, PurchaseHistory]:
    """Return the history of each user, from rows sorted by user id and day.

    A row is the user id, the day as YYYY-MM-DD, and the value of its goods in cents.
    """
    histories: dict[int, PurchaseHistory] = {}
    for user_id, day, cents in rows:
        history = histories.get(user_id)
        if history is None:
            history = histories[user_id] = PurchaseHistory([], [])
        history.days.append(parse_day(day))
        history.cents.append(cents)
    return histories


@cache
def parse_day(day: str) -> int:
    """Return the ordinal of a day such as 2024-02-29."""
    return date.fromisoformat(day).toordinal()


def name_cohort(history: PurchaseHistory, *, is_by_quarter: bool) -> str:
    """Return the month or the quarter of the first purchase, as in the query's cells."""
    day = date.fromordinal(history.days[0]).isoformat()
    return quarter_text(day) if is_by_quarter else day[:7]


def describe_customers(
    histories: Mapping[int, PurchaseHistory], until: int, clock: SeasonalClock
) -> dict[int, Customer]:
    """Return each user who has bought by the day *until*, as the models need them.

    Recency and age are whole days of *clock*.  A repeat purchase counts as at least one
    day after the first, even where the clock rounds the time between them to zero.
    """
    customers = {}
    for user_id, (days, cents) in histories.items():
        first = days[0]
        if first > until:
            continue
        count = sum(1 for day in days if day <= until)
        repeats = count - 1
        recency = clock.days_between(first, days[count - 1])
        recency = max(recency, 1) if repeats else 0
        customers[user_id] = Customer(
            frequency=repeats,
            recency_days=recency,
            age_days=max(clock.days_between(first, until), recency),
            mean_value=sum(cents[1:count]) / repeats if repeats else 0.0,
        )
    return customers
