"""Habits: what a customer does again and again, as a number that follows from the user id.

A habit needs no memory and no draw for each customer: it is a step of a fixed length for
each user id through the integers modulo 2**32, from a start that the random seed gives.
Steps with the fractional parts of different square roots spread each habit evenly and make
the habits independent of each other (Weyl's equidistribution theorem).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from data_generation.model.streams import WORD_BITS, Streams

# The fractional parts of square roots, in 2**-32; each habit has one of its own.
STEPS = {
    "taste": 1_779_033_703,  # √2
    "method": 3_144_134_277,  # √3
    "returner": 1_013_904_242,  # √5
}


# The users, in bits, after which a table of a habit begins again, so that it fits into the
# processor's cache.
CYCLE_BITS = 12
CYCLE_MASK = (1 << CYCLE_BITS) - 1


class Habit(NamedTuple):
    """One habit of all users of a shop."""

    start: int
    step: int

    def list_halves(self, users: Iterable[int]) -> list[int]:
        """Return the half word (16 bits) of each of *users*.

        >>> Habit(0, 1 << 31).list_halves([1, 2, 3])
        [32768, 0, 32768]
        """
        start, step = self
        return [start + step * user >> WORD_BITS - 16 & 65535 for user in users]

    def list_cycle(self) -> bytes:
        """Return the high byte of the habit by the CYCLE_BITS low bits of the user id.

        Looking it up takes a quarter of the time of `list_halves`.  Users whose ids have
        the same low bits have the same habit.
        """
        return _list_cycle(*self)

    def list_consecutive(self, first: int, count: int) -> bytes:
        """Return the bytes of the cycle for *count* users whose ids begin with *first*."""
        cycle, start = self.list_cycle(), first & CYCLE_MASK
        return (cycle[start:] + cycle * (1 + count // len(cycle)))[:count]


@lru_cache(maxsize=len(STEPS))
def _list_cycle(start: int, step: int) -> bytes:
    halves = Habit(start, step).list_halves(range(1 << CYCLE_BITS))
    return bytes([half >> 8 for half in halves])


@lru_cache(maxsize=len(STEPS))
def find_habit(streams: Streams, name: str) -> Habit:
    """Return the habit *name*, one of STEPS, of the shop of *streams*."""
    (start,) = streams.draw("users", "habit", name, 1)
    return Habit(start, STEPS[name])
