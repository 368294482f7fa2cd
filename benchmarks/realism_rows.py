"""A statistic of a shop, the band that it is judged by, and what the band rests on."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple


class Band(NamedTuple):
    """The values that a statistic may take, both ends included."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        """Return whether *value* is within the band; NaN never is."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        """Return the band as the table shows it.

        >>> str(Band(0.45, 0.56)), str(Band(2, math.inf)), str(Band(1, 1))
        ('0.45 to 0.56', '≥ 2', '1')
        """
        if self.high == math.inf:
            return f"≥ {self.low:g}"
        if self.low == self.high:
            return f"{self.low:g}"
        return f"{self.low:.4g} to {self.high:.4g}"


def around(centre: float, distance: float) -> Band:
    """Return the band of all values at most *distance* away from *centre*."""
    return Band(centre - distance, centre + distance)


class Kind(StrEnum):
    """What a band rests on."""

    PUBLISHED = "published figures"
    MEASURED = "what a public data set shows, measured for this project"
    DEMO = "a demo shop, alone or beside a published figure"
    TRUTH = "the generator's own parameters"
    OWN = "the project's own choice"


class Source(NamedTuple):
    """Where a band comes from."""

    kind: Kind
    text: str


OWN = Source(Kind.OWN, "own")
# Of a row without a band and without a figure to compare with.
NO_SOURCE = Source(Kind.OWN, "–")


def published(text: str) -> Source:
    """Return the source of a band around a published figure."""
    return Source(Kind.PUBLISHED, text)


def measured(text: str) -> Source:
    """Return the source of a band around what public data sets show in the same measure."""
    return Source(Kind.MEASURED, text)


def demo(text: str) -> Source:
    """Return the source of a band that rests on theLook."""
    return Source(Kind.DEMO, text)


def ground_truth(value: float) -> Source:
    """Return the source of a band around a parameter of the generator."""
    return Source(Kind.TRUTH, f"ground truth {value:g}")


class Row(NamedTuple):
    """One statistic; *method* is how it is measured.

    Without a *band* it is not judged; a *value* of None was not measured.
    """

    name: str
    band: Band | None
    source: Source
    method: str
    value: float | None


def misses(row: Row) -> bool:
    """Return whether *row* has a band and its value is outside."""
    return row.band is not None and row.value is not None and row.value not in row.band
