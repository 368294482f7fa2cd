"""Distributions as integer tables, built with `decimal` instead of the C library.

`math.log`, `exp` and `pow` differ in the last bit between platforms; `decimal` rounds the
same way everywhere.  Each table maps a word (a 32-bit random integer, see `streams`) to an
integer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import cache
from itertools import accumulate, pairwise, repeat
from operator import floordiv
from typing import Generic, NamedTuple, TypeVar

from data_generation.model.streams import WORD_BITS, WORDS

# Continuous values are fixed-point numbers: an integer count of 2**-UNIT_BITS.
UNIT_BITS = 32
UNIT = 1 << UNIT_BITS

# Digits carried while a table is built; a table keeps fewer than ten.
PRECISION = 18
LEAST_TERM = Decimal("1e-12")

Item = TypeVar("Item")


class Quantiles(NamedTuple):
    """A continuous distribution: *values* at the words *cuts*, linear between them.

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


class DiscreteDistribution(NamedTuple, Generic[Item]):
    """A discrete distribution: *items*, and as words their cumulated weights, *cuts*."""

    items: tuple[Item, ...]
    cuts: list[int]

    def item_at(self, word: int) -> Item:
        """Return the item that *word* selects."""
        return self.items[bisect_right(self.cuts, word)]


def format_fraction(part: int, total: int, digits: int) -> str:
    """Return *part* ÷ *total*, rounded down to *digits* decimals.

    >>> format_fraction(5, 4, 3)
    '1.250'
    """
    scaled = part * 10**digits // total
    return f"{scaled // 10**digits}.{scaled % 10**digits:0{digits}d}"


def sample_quantiles(table: Quantiles, bits: int) -> list[int]:
    """Return the quantiles of *table* at the middles of 2***bits* equal cells.

    >>> sample_quantiles(Quantiles([0, WORDS], [0, 800]), 2)
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


def apportion(weights: Sequence[int], size: int) -> list[int]:
    """Return *size* indexes of *weights* in order, each in proportion to its weight.

    >>> apportion([2, 0, 1, 1], 8)
    [0, 0, 0, 0, 2, 2, 3, 3]
    """
    scaled = [size * weight for weight in weights]
    return fill_places(range(len(weights)), find_marks(scaled, size))


def find_marks(scaled: Sequence[int], size: int) -> list[int]:
    """Return where the places of each index begin in `apportion`, and where they end.

    *scaled* are the weights × *size*.

    >>> find_marks([16, 0, 8, 8], 8)
    [0, 4, 4, 6, 8]
    """
    totals, total = cumulate(scaled, size)
    return list(map(floordiv, totals, repeat(total)))


def cumulate(scaled: Sequence[int], size: int) -> tuple[list[int], int]:
    """Return the cumulated weights *scaled*, and how much weight each of *size* places has.

    The first is half of the weight of a place, so that dividing rounds.

    >>> cumulate([16, 0, 8, 8], 8)
    ([2, 18, 18, 26, 34], 4)
    """
    total = sum(scaled) // size
    return list(accumulate(scaled, initial=total // 2)), total


def fill_places(items: Sequence[Item], marks: Sequence[int]) -> list[Item]:
    """Return each of *items* once for each place from its mark to the next of *marks*.

    >>> fill_places("abcd", [0, 2, 2, 3, 4])
    ['a', 'a', 'c', 'd']
    """
    filled: list[Item] = []
    for item, start, stop in zip(items, marks, marks[1:], strict=False):
        if start < stop:
            filled += [item] * (stop - start)
    return filled


@cache
def powers_of_two(steps: int, low: int, high: int) -> list[int]:
    """Return UNIT × 2**(number ÷ *steps*) for each number from *low* to *high*."""
    with localcontext() as context:
        context.prec = PRECISION
        step = _logarithm(2) / steps
        return [int(UNIT * (step * number).exp()) for number in range(low, high + 1)]


def power_law_weight(word: int) -> int:
    """Return a weight with a long tail: 1,000 × (share of *word* + 0.008)**-1.125."""
    with localcontext() as context:
        context.prec = PRECISION
        inverse = WORDS / (word + Decimal(WORDS) / 125)
        return int(1000 * inverse * inverse.sqrt().sqrt().sqrt())


def discrete(items: Sequence[Item], weights: Sequence[int]) -> DiscreteDistribution[Item]:
    """Return the distribution of *items* in proportion to the integers *weights*.

    >>> discrete("ab", [3, 1]).item_at(WORDS * 3 // 4)
    'b'
    """
    totals = list(accumulate(weights))
    return DiscreteDistribution(
        tuple(items), [WORDS * total // totals[-1] for total in totals[:-1]]
    )


@cache
def exponential() -> Quantiles:
    """Return the exponential distribution with mean 1, in fixed point.

    Each halving of the tail's probability has 32 cells of equal probability, so the tail is
    as exact as the body; the last word is about 22 times the mean.
    """
    with localcontext() as context:
        context.prec = PRECISION
        half_life = _logarithm(2)
        steps = [_logarithm(64) - _logarithm(64 - step) for step in range(32)]
        lengths = [
            halving * half_life + step for halving in range(WORD_BITS) for step in steps
        ]
        values = [int(length * UNIT) for length in lengths]
    survivals = [
        (64 - step << WORD_BITS - 6) >> halving
        for halving in range(WORD_BITS)
        for step in range(32)
    ]
    cuts = [WORDS - survival for survival in survivals]
    return _without_empty_cells([*cuts, WORDS], [*values, values[-1] + UNIT])


@cache
def hyperexponential(short_per_mille: int, short_mean_per_mille: int) -> Quantiles:
    """Return a mixture of two exponential distributions with mean 1, in fixed point.

    Of 1,000 values *short_per_mille* have the mean *short_mean_per_mille* ÷ 1,000; the mean
    of the others is longer, so that the mean of all is 1.
    """
    with localcontext() as context:
        context.prec = PRECISION
        share, short_mean = Decimal(short_per_mille) / 1000, Decimal(short_mean_per_mille)
        short_rate = 1000 / short_mean
        long_rate = (1 - share) / (1 - share / short_rate)
        # Above 64 there is less than one word of the mixtures in use.
        points = [64 * (Decimal(step) / 288) ** 4 for step in range(1, 289)]
        totals = [
            1
            - share * (-short_rate * point).exp()
            - (1 - share) * (-long_rate * point).exp()
            for point in points
        ]
        return _tabulate(points, totals)


@cache
def gamma(shape: str) -> Quantiles:
    """Return the gamma distribution with rate 1 and *shape* (decimal text), in fixed point.

    The cumulative function is the series of the lower incomplete gamma function
    (NIST DLMF 8.7.1), all of whose terms are positive.  Its last value norms it, so
    constant factors are not needed: the power of a step replaces that of its point.
    """
    with localcontext() as context:
        context.prec = PRECISION
        alpha, steps = Decimal(shape), range(1, 289)
        # Above 40 there is less than one word of the shapes in use.
        points = [40 * (Decimal(step) / 288) ** 4 for step in steps]
        divisors = [alpha + n for n in range(1, 200)]
        totals = [
            (4 * alpha * _logarithm(step) - point).exp() * _sum_gamma(point, divisors)
            for step, point in zip(steps, points, strict=True)
        ]
        return _tabulate(points, totals)


@cache
def beta(first: str, second: str) -> Quantiles:
    """Return the beta distribution (*first*, *second*: decimal texts), in fixed point.

    The cumulative function is the power series of the incomplete beta function
    (NIST DLMF 8.17.7), normed at 1, where 300 terms leave an error below 10**-6.
    """
    with localcontext() as context:
        context.prec = PRECISION
        alpha, omega = Decimal(first), Decimal(second)
        points = [(Decimal(step) / 256) ** 2 for step in range(1, 257)]
        factors = [((n - omega) / n, 1 / (alpha + n)) for n in range(1, 300)]
        totals = [
            (2 * alpha * _logarithm(step)).exp() * (1 / alpha + _sum_beta(point, factors))
            for step, point in enumerate(points, 1)
        ]
        return _tabulate(points, totals)


@cache
def _logarithm(number: int) -> Decimal:
    """Return the natural logarithm of *number*, as the sum of those of its factors.

    `Decimal.ln` takes as long as a hundred sums.
    """
    for factor in range(2, 17):
        if factor < number and number % factor == 0:
            return _logarithm(factor) + _logarithm(number // factor)
    return Decimal(number).ln()


def _sum_gamma(point: Decimal, divisors: Sequence[Decimal]) -> Decimal:
    """Return the series of the lower incomplete gamma function, with 1 as its first term.

    A term is the one before × *point* ÷ the next of *divisors*.
    """
    term = total = Decimal(1)
    for divisor in divisors:
        term *= point / divisor
        total += term
        if term <= LEAST_TERM:
            break
    return total


def _sum_beta(point: Decimal, factors: Sequence[tuple[Decimal, Decimal]]) -> Decimal:
    """Return the series of the incomplete beta function after its first term.

    The next power is the last one × *point* × the first of the next of *factors*; a term is
    the power × the second.
    """
    power, total = Decimal(1), Decimal(0)
    for factor, share in factors:
        power *= point * factor
        total += power * share
        if abs(power) < LEAST_TERM:
            break
    return total


def _tabulate(points: list[Decimal], totals: list[Decimal]) -> Quantiles:
    cuts = [0, *(int(total * WORDS / totals[-1]) for total in totals)]
    values = [0, *(int(point * UNIT) for point in points)]
    return _without_empty_cells(cuts, values)


def _without_empty_cells(cuts: list[int], values: list[int]) -> Quantiles:
    """Return the table without cells that are narrower than a word after rounding."""
    kept = Quantiles([cuts[0]], [values[0]])
    for cut, value in zip(cuts, values, strict=True):
        if cut > kept.cuts[-1]:
            kept.cuts.append(cut)
            kept.values.append(value)
    return kept
