"""Keyed random streams: the same integers on every Python, system and processor.

The bits come from a standard (SHAKE-128, FIPS 202), not from an implementation, and they
are read as little-endian integers on every machine.  A stream has a name of four parts:
seed, table, column and unit.  The unit is a day, a block of a day's orders, a week, a block
of products or one customer.  So a new column or table does not change the random numbers of
the others, and units can be made in any order.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import NamedTuple

# Increased when the bytes of a seed change on purpose.
FORMAT_VERSION = 3

LARGEST_SEED = 2**64 - 1

# A word is one random number: an integer in [0, WORDS), every value equally likely.
WORD_BITS = 32
WORDS = 1 << WORD_BITS


class Streams(NamedTuple):
    """All random streams of one *seed*, an integer in [0, LARGEST_SEED].

    A longer draw of a stream begins with the shorter one, so rows can be appended to a unit
    without changing the earlier ones.
    """

    seed: int

    def draw_bytes(self, table: str, column: str, unit: object, count: int) -> bytes:
        """Return the first *count* bytes of the stream with this name."""
        name = f"shop\0{FORMAT_VERSION}\0{self.seed}\0{table}\0{column}\0{unit}"
        return hashlib.shake_128(name.encode("utf-8")).digest(count)

    def draw_halves(
        self, table: str, column: str, unit: object, count: int
    ) -> tuple[int, ...]:
        """Return the first *count* half words (16 bits) of a stream, in [0, 2**16)."""
        return struct.unpack(f"<{count}H", self.draw_bytes(table, column, unit, 2 * count))

    def draw(self, table: str, column: str, unit: object, count: int) -> tuple[int, ...]:
        """Return the first *count* words (32 bits) of a stream, in [0, WORDS).

        >>> Streams(42).draw("users", "city", "2024-02-29", 2)
        (4016492092, 2236603150)
        """
        return struct.unpack(f"<{count}I", self.draw_bytes(table, column, unit, 4 * count))


def scale_word(word: int, low: int, high: int) -> int:
    """Return *word*, scaled from [0, WORDS) to an integer in [*low*, *high*).

    >>> scale_word(0, 10, 20), scale_word(WORDS - 1, 10, 20)
    (10, 19)
    """
    return low + ((high - low) * word >> WORD_BITS)


def list_chosen(words: Iterable[int], per_mille: int) -> list[int]:
    """Return the indexes of the *words* that `is_chosen` selects.

    >>> list_chosen([0, WORDS // 2, WORDS // 4], 500)
    [0, 2]
    """
    limit = -(-(per_mille << WORD_BITS) // 1000)
    return [index for index, word in enumerate(words) if word < limit]


def is_chosen(word: int, per_mille: int) -> bool:
    """Return whether *word* selects an event of probability *per_mille* in 1,000."""
    return word * 1000 < per_mille << WORD_BITS
