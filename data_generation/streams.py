"""Keyed random streams: the same integers on every Python, system and processor.

The bits come from a standard (SHAKE-128, FIPS 202), not from an implementation, and they
are read as little-endian integers whatever the machine.  A stream is addressed by name:
seed, table, column and unit, where the unit is a day, a week, a block of rows or one
customer.  So a new column
or table takes nothing from the others, and any unit can be made alone, in any order.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

# Rises when the same seed is meant to give other bytes.
FORMAT_VERSION = 1

LARGEST_SEED = 2**64 - 1

# A draw is a word: an integer in [0, WORDS), every value equally likely.
WORD_BITS = 32
WORDS = 1 << WORD_BITS


class Streams(NamedTuple):
    """All random streams of one *seed*, an integer in [0, LARGEST_SEED]."""

    seed: int

    def draw(self, table: str, column: str, unit: object, count: int) -> tuple[int, ...]:
        """Return the first *count* words of the stream that the four names address.

        A longer draw begins with the shorter one, so a unit may grow at its end.

        >>> Streams(42).draw("users", "city", "2024-02-29", 2)
        (3012977466, 4277033387)
        """
        name = "\0".join(
            ("shop", str(FORMAT_VERSION), str(self.seed), table, column, str(unit))
        )
        digest = hashlib.shake_128(name.encode("utf-8")).digest(4 * count)
        return struct.unpack(f"<{count}I", digest)


def scale_word(word: int, low: int, high: int) -> int:
    """Return the integer in [*low*, *high*) that lies where *word* lies in its range.

    >>> scale_word(0, 10, 20), scale_word(WORDS - 1, 10, 20)
    (10, 19)
    """
    return low + ((high - low) * word >> WORD_BITS)


def is_chosen(word: int, per_mille: int) -> bool:
    """Tell whether an event that happens *per_mille* times in 1,000 happens at *word*."""
    return word * 1000 < per_mille << WORD_BITS
