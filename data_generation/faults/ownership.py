"""Which kind of fault may change which row: no row belongs to two kinds.

Customers and products are shared out among lanes by their ids, and weeks among the batch
kinds, whatever kinds are chosen.  So two faults never meet, nothing has to be resolved, and
another kind in a profile changes no row of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from data_generation.faults.fault_kinds import LANES, PlantedKind
from data_generation.model.streams import Streams

# The ids whose lanes are drawn at a time.
_BLOCK = 4096

# The weeks of which each batch kind owns one.
_WEEKS = 48

_NOBODY = 0


class Week(NamedTuple):
    """A week that the batch kind *number* owns, its *incident*-th one."""

    number: int
    incident: int


def share_out_ids(
    streams: Streams, table: str, kinds: Sequence[PlantedKind], count: int
) -> bytearray:
    """Return the number of the kind that owns each id of *table*, up to *count*."""
    owners = bytearray(LANES)
    for kind in kinds:
        for lane in kind.lanes:
            owners[lane] = kind.number
    by_word = bytes(owners[word % LANES] for word in range(256))
    numbers = bytearray()
    for block in range(count // _BLOCK + 1):
        words = streams.draw_bytes("faults", f"{table} lane", block, _BLOCK)
        numbers += words.translate(by_word)
    return numbers[: count + 1]


def share_out_days(
    streams: Streams, kinds: Sequence[PlantedKind], first: date, last: date
) -> dict[bytes, Week]:
    """Return who owns the days from *first* to *last*, each as the bytes of its date.

    Every kind owns one week in each 48, or in all of a shorter window.  The first and the
    last week belong to nobody, so that no event leaves the window.
    """
    starts = [first + timedelta(days=day) for day in range(7, (last - first).days - 12, 7)]
    days = {}
    for at in range(0, len(starts), _WEEKS):
        block = starts[at : at + _WEEKS]
        words = streams.draw("faults", "week", at, len(block))
        order = sorted(range(len(block)), key=words.__getitem__)
        for kind, week in zip(kinds, order, strict=False):
            owner = Week(kind.number, at // _WEEKS + 1)
            for day in range(7):
                text = (block[week] + timedelta(days=day)).isoformat()
                days[text.encode("ascii")] = owner
    return days


class Ownership:
    """The owner of each customer, and of each order by its customer, day and place."""

    def __init__(
        self,
        users: bytearray,
        days: Mapping[bytes, Week],
        customer_numbers: frozenset[int],
        tail: int,
    ) -> None:
        self.users = users
        self._single = [Week(number, 1) for number in range(LANES)]
        self._days = days
        self._customer_numbers = customer_numbers
        self._tail = tail

    def find_owner(self, order_id: int, user_id: int, day: bytes) -> Week:
        """Return the kind that may change the order, and its incident."""
        owner = self._single[self.users[user_id]]
        if owner.number in self._customer_numbers:
            return owner
        if order_id > self._tail:
            return self._single[_NOBODY]
        return self._days.get(day, owner)
