"""Keyed random streams: the same integers on every Python, system and processor.

The bits come from a standard (SHAKE-128, FIPS 202), not from an implementation, and they
are read as little-endian integers whatever the machine.  A stream is addressed by name:
seed, table, column and unit, where the unit is a day, a block of a day's orders, a week,
a block of products or one customer.  So a new column or table takes nothing from the
others, and any unit can be made alone, in any order.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

# Rises when the same seed is meant to give other bytes.
FORMAT_VERSION = 2

LARGEST_SEED = 2**64 - 1

# A draw is a word: an integer in [0, WORDS), every value equally likely.
WORD_BITS = 32
WORDS = 1 << WORD_BITS


class Streams(NamedTuple):
    """All random streams of one *seed*, an integer in [0, LARGEST_SEED].

    A longer draw of a stream begins with the shorter one, so a unit may grow at its end.
    """

    seed: int

    def draw_bytes(self, table: str, column: str, unit: object, count: int) -> bytes:
        """Return the first *count* bytes of the stream that the four names address."""
        name = f"shop\0{FORMAT_VERSION}\0{self.seed}\0{table}\0{column}\0{unit}"
        return hashlib.shake_128(name.encode("utf-8")).digest(count)

    def draw_halves(
        self, table: str, column: str, unit: object, count: int
    ) -> tuple[int, ...]:
        """Return the first *count* half words of a stream, integers in [0, 2**16)."""
        return struct.unpack(f"<{count}H", self.draw_bytes(table, column, unit, 2 * count))

    def draw(self, table: str, column: str, unit: object, count: int) -> tuple[int, ...]:
        """Return the first *count* words of a stream, integers in [0, WORDS).

        >>> Streams(42).draw("users", "city", "2024-02-29", 2)
        (3013701493, 1839631782)
        """
        return struct.unpack(f"<{count}I", self.draw_bytes(table, column, unit, 4 * count))


def scale_word(word: int, low: int, high: int) -> int:
    """Return the integer in [*low*, *high*) that lies where *word* lies in its range.

    >>> scale_word(0, 10, 20), scale_word(WORDS - 1, 10, 20)
    (10, 19)
    """
    return low + ((high - low) * word >> WORD_BITS)


def is_chosen(word: int, per_mille: int) -> bool:
    """Tell whether an event that happens *per_mille* times in 1,000 happens at *word*."""
    return word * 1000 < per_mille << WORD_BITS
