"""The figures of a shop: how they follow from sums, and the sums of a clean shop.

Terms are those of shop_figures.sql, which computes the same for some customers whose rows
may have faults.  In a clean shop one pass over orders and refunds is enough.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from utils.ratios import ratio

_VALID_STATUSES = frozenset(
    ("paid", "shipped", "delivered", "partially_returned", "returned")
)


class FigureSums(NamedTuple):
    """Sums over customers; the cohorts are those that completed 12 months."""

    net_cents: int
    order_count: int
    customer_count: int
    repeat_count: int
    cohort_customer_count: int
    cohort_net_cents: int


class Figures(NamedTuple):
    """The figures of a shop as its owner knows them; None where nobody is counted."""

    net_cents: int
    order_count: int
    customer_count: int
    repeat_rate: float | None
    clv_12_cents: float | None


def derive_figures(sums: FigureSums) -> Figures:
    """Return the figures of *sums*.

    >>> derive_figures(FigureSums(900, 5, 4, 1, 2, 301))[3:]
    (0.25, 150.5)
    """
    return Figures(
        sums.net_cents,
        sums.order_count,
        sums.customer_count,
        ratio(sums.repeat_count, sums.customer_count),
        ratio(sums.cohort_net_cents, sums.cohort_customer_count, digits=2),
    )


@cache
def number_month(month: str) -> int:
    """Return the number of a *month* that is written YYYY-MM: 12 x year + month."""
    return 12 * int(month[:4]) + int(month[5:])


class CleanSums:
    """Sums up a clean shop: first its refunds, then its orders in the order of time.

    *last_month* is the last complete one.  The lines of a clean order make up its subtotal,
    so they are not read.  Per user a few bytes are kept, and the refunds.
    """

    def __init__(self, user_count: int, last_month: int) -> None:
        self._last_cohort = last_month - 12
        self._refunds: dict[str, list[tuple[int, int]]] = defaultdict(list)
        # By user: the month of the first valid order, and whether there was another one.
        self._first_months = array("l", [0]) * (user_count + 1)
        self._are_repeat = bytearray(user_count + 1)
        self._net_cents = self._order_count = self._cohort_net_cents = 0

    def add_refund(self, order_id: str, cents: str, processed_at: str) -> None:
        """Count a refund that succeeded, when its order is counted."""
        self._refunds[order_id].append((int(cents), number_month(processed_at[:7])))

    def add_order(self, row: Sequence[str]) -> None:
        """Count an order; *row* has the columns that `EffectMeter` stores of it."""
        order_id, user, ordered_at, status, subtotal, discount, total = row
        if status not in _VALID_STATUSES:
            return
        user_id, month = int(user), number_month(ordered_at[:7])
        first = self._first_months[user_id]
        if first:
            self._are_repeat[user_id] = 1
        else:
            first = self._first_months[user_id] = month
        self._order_count += 1
        goods = int(subtotal) - int(discount)
        last = first + 12 if first <= self._last_cohort else 0
        self._add_net(goods, is_of_cohort=month <= last)
        if order_id in self._refunds and total != "0":
            for cents, refund_month in self._refunds[order_id]:
                share = cents * goods // int(total)
                self._add_net(-share, is_of_cohort=max(month, refund_month) <= last)

    def _add_net(self, cents: int, *, is_of_cohort: bool) -> None:
        self._net_cents += cents
        if is_of_cohort:
            self._cohort_net_cents += cents

    def compute(self) -> FigureSums:
        """Return the sums over all that was counted."""
        user_count = len(self._first_months)
        return FigureSums(
            self._net_cents,
            self._order_count,
            user_count - self._first_months.count(0),
            self._are_repeat.count(1),
            sum(0 < month <= self._last_cohort for month in self._first_months),
            self._cohort_net_cents,
        )
