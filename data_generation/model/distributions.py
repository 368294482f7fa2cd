"""Distributions as integer tables, built with `decimal`, never with the C library's floats.

`math.log`, `exp` and `pow` differ in the last bit between platforms; `decimal` rounds as
its specification says, everywhere.  Each table maps a word (see `streams`) to an integer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import cache
from itertools import accumulate, pairwise
from typing import Generic, NamedTuple, TypeVar

from data_generation.model.streams import WORD_BITS, WORDS

# Continuous values are fixed-point numbers: an integer count of 2**-UNIT_BITS.
UNIT_BITS = 32
UNIT = 1 << UNIT_BITS

# Digits carried while a table is built; tables keep fewer than ten.
PRECISION = 18

Item = TypeVar("Item")


class Quantiles(NamedTuple):
    """A continuous distribution: *values* at the words *cuts*, straight lines between.

    *cuts* rises from 0 to WORDS; *values* never falls.
    """

    cuts: list[int]
    values: list[int]

    def value_at(self, word: int) -> int:
        """Return the quantile at *word*, an integer in the unit of *values*."""
        cell = bisect_right(self.cuts, word) - 1
        low, high = self.values[cell], self.values[cell + 1]
        start, stop = self.cuts[cell], self.cuts[cell + 1]
        return low + (high - low) * (word - start) // (stop - start)


class Choice(NamedTuple, Generic[Item]):
    """A discrete distribution: *items* with their cumulated weights as words, *cuts*."""

    items: tuple[Item, ...]
    cuts: list[int]

    def item_at(self, word: int) -> Item:
        """Return the item that *word* falls on."""
        return self.items[bisect_right(self.cuts, word)]


def expand(table: Quantiles, bits: int) -> list[int]:
    """Return the quantiles of *table* at the middles of 2***bits* equal cells.

    >>> expand(Quantiles([0, WORDS], [0, 800]), 2)
    [100, 300, 500, 700]
    """
    width = WORDS >> bits
    words = range(width >> 1, WORDS, width)
    expanded: list[int] = []
    for (start, stop), (low, high) in zip(
        pairwise(table.cuts), pairwise(table.values), strict=True
    ):
        until = (stop + (width >> 1) - 1) // width
        expanded += [
            low + (high - low) * (word - start) // (stop - start)
            for word in words[len(expanded) : until]
        ]
    return expanded


def deal(weights: Sequence[int], size: int) -> list[int]:
    """Return *size* indexes of *weights*, each as often as its weight's share, in order.

    >>> deal([2, 0, 1, 1], 8)
    [0, 0, 0, 0, 2, 2, 3, 3]
    """
    totals = list(accumulate(weights))
    marks = [(size * total + totals[-1] // 2) // totals[-1] for total in totals]
    dealt: list[int] = []
    for index, mark in enumerate(marks):
        dealt += [index] * (mark - len(dealt))
    return dealt


@cache
def octave_steps(steps: int, low: int, high: int) -> list[int]:
    """Return UNIT × 2**(number ÷ *steps*) for each number from *low* to *high*."""
    with localcontext() as context:
        context.prec = PRECISION
        step = Decimal(2).ln() / steps
        return [int(UNIT * (step * number).exp()) for number in range(low, high + 1)]


def power_law_weight(word: int) -> int:
    """Return a weight with a long tail: 1,000 × (share of *word* + 0.008)**-1.25."""
    with localcontext() as context:
        context.prec = PRECISION
        inverse = WORDS / (word + Decimal(WORDS) / 125)
        return int(1000 * inverse * inverse.sqrt().sqrt())


def weigh_choice(items: Sequence[Item], weights: Sequence[int]) -> Choice[Item]:
    """Return the choice among *items* in proportion to the integers *weights*.

    >>> weigh_choice("ab", [3, 1]).item_at(WORDS * 3 // 4)
    'b'
    """
    totals = list(accumulate(weights))
    return Choice(tuple(items), [WORDS * total // totals[-1] for total in totals[:-1]])


@cache
def exponential() -> Quantiles:
    """Return the exponential distribution with mean 1, in fixed point.

    Each octave of the tail has 32 cells of equal probability, so the tail is as exact as
    the body; the last word is some 22 means away.
    """
    with localcontext() as context:
        context.prec = PRECISION
        octave_length = Decimal(2).ln()
        steps = [-(Decimal(64 - step) / 64).ln() for step in range(32)]
        lengths = [
            octave * octave_length + step for octave in range(WORD_BITS) for step in steps
        ]
        values = [int(length * UNIT) for length in lengths]
    survivals = [
        (64 - step << WORD_BITS - 6) >> octave
        for octave in range(WORD_BITS)
        for step in range(32)
    ]
    cuts = [WORDS - survival for survival in survivals]
    return _without_empty_cells([*cuts, WORDS], [*values, values[-1] + UNIT])


@cache
def gamma(shape: str) -> Quantiles:
    """Return the gamma distribution with rate 1 and *shape* (decimal text), in fixed point.

    The cumulative function is the series of the lower incomplete gamma function
    (NIST DLMF 8.7.1), all of whose terms are positive; dividing by its last value stands
    in for the constant factor.
    """
    with localcontext() as context:
        context.prec = PRECISION
        alpha = Decimal(shape)
        # Beyond 40 lies less than a word of the shapes that are used.
        points = [40 * (Decimal(step) / 288) ** 4 for step in range(1, 289)]
        totals = [_incomplete_gamma(alpha, point) for point in points]
        return _tabulate(points, totals)


@cache
def beta(first: str, second: str) -> Quantiles:
    """Return the beta distribution (*first*, *second*: decimal texts), in fixed point.

    The cumulative function is the power series of the incomplete beta function
    (NIST DLMF 8.17.7), normed at 1; 300 terms leave less than a millionth there.
    """
    with localcontext() as context:
        context.prec = PRECISION
        alpha, omega = Decimal(first), Decimal(second)
        points = [(Decimal(step) / 256) ** 2 for step in range(1, 257)]
        totals = [_incomplete_beta(alpha, omega, point) for point in points]
        return _tabulate(points, totals)


def _incomplete_gamma(alpha: Decimal, point: Decimal) -> Decimal:
    term = total = 1 / alpha
    least = term.scaleb(-12)
    divisor = alpha
    while term > least:
        divisor += 1
        term *= point / divisor
        total += term
    return (alpha * point.ln() - point).exp() * total


def _incomplete_beta(alpha: Decimal, omega: Decimal, point: Decimal) -> Decimal:
    power, least = Decimal(1), Decimal("1e-12")
    total = 1 / alpha
    for n in range(1, 300):
        power *= (n - omega) * point / n
        total += power / (alpha + n)
        if abs(power) < least:
            break
    return (alpha * point.ln()).exp() * total


def _tabulate(points: list[Decimal], totals: list[Decimal]) -> Quantiles:
    cuts = [0, *(int(total * WORDS / totals[-1]) for total in totals)]
    values = [0, *(int(point * UNIT) for point in points)]
    return _without_empty_cells(cuts, values)


def _without_empty_cells(cuts: list[int], values: list[int]) -> Quantiles:
    """Return the table without cells too narrow for a word, or turned round by rounding."""
    kept = Quantiles([cuts[0]], [values[0]])
    for cut, value in zip(cuts, values, strict=True):
        if cut > kept.cuts[-1]:
            kept.cuts.append(cut)
            kept.values.append(value)
    return kept
