"""Purchase histories of customers, from rows of the query.

They are columns, not objects: 430,000 users have 800,000 purchases.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from heapq import merge
from itertools import count, repeat
from typing import NamedTuple

from utils.months import quarter_text


class PurchaseHistories(NamedTuple):
    """The purchases of all customers, one customer after the other.

    *user_ids* ascend.  The purchases of customer i are those from *starts*[i] up to, not
    including, *starts*[i + 1]: *days* as ordinals, ascending, and the *cents* of their
    goods.
    """

    user_ids: array[int]
    starts: array[int]
    days: array[int]
    cents: array[int]

    @property
    def first_days(self) -> array[int]:
        """Return the day of each customer's first purchase."""
        return array("i", [self.days[start] for start in self.starts[:-1]])


def collect_histories(rows: Iterable[tuple[int, str, int]]) -> PurchaseHistories:
    """Return the histories of the customers in *rows*, sorted by user id and day.

    A row is the user id, the day as YYYY-MM-DD, and the value of its goods in cents; raise
    `ValueError` for another one.
    """
    found = PurchaseHistories(array("q"), array("q"), array("i"), array("q"))
    user_ids, starts, days, cents = found
    for user_id, day, value in rows:
        try:
            if not user_ids or user_id != user_ids[-1]:
                user_ids.append(user_id)
                starts.append(len(days))
            days.append(parse_day(day))
            cents.append(value)
        except TypeError as error:
            raise ValueError(f"{user_id}, {day}, {value}: {error}") from error
    starts.append(len(days))
    return found


def join_histories(parts: Sequence[PurchaseHistories]) -> PurchaseHistories:
    """Return *parts* as one, in the order of the user ids; no user is in two of them.

    >>> rows = [(1, "2024-01-10", 500), (1, "2024-02-29", 300), (7, "2024-03-01", 200)]
    >>> parts = [collect_histories(rows[2:]), collect_histories(rows[:2])]
    >>> join_histories(parts) == collect_histories(rows)
    True
    """
    joined = collect_histories(())
    user_ids, starts, days, cents = joined
    customers = [
        zip(part.user_ids, repeat(number), count()) for number, part in enumerate(parts)
    ]
    for user_id, number, at in merge(*customers):
        if user_ids and user_id == user_ids[-1]:
            raise ValueError(f"the user {user_id} is in two parts")
        part = parts[number]
        purchases = slice(part.starts[at], part.starts[at + 1])
        user_ids.append(user_id)
        days.extend(part.days[purchases])
        cents.extend(part.cents[purchases])
        starts.append(len(days))
    return joined


@cache
def parse_day(day: str) -> int:
    """Return the ordinal of a day such as 2024-02-29."""
    return date.fromisoformat(day).toordinal()


@cache
def name_cohort(first_day: int, *, is_by_quarter: bool) -> str:
    """Return the month or the quarter of a first purchase, as in the query's cells."""
    day = date.fromordinal(first_day).isoformat()
    return quarter_text(day) if is_by_quarter else day[:7]
