"""Expectations of BG/NBD: the purchases of customers in the days to come.

Sources: FHL 2005 and note 021, by their names in queries/forecast/bg_nbd.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache, partial
from itertools import product
from operator import mul
from typing import NamedTuple

from queries.forecast.newton import Vector

# The unit of alpha, and the divisor that brings whole days to it.
TIME_UNIT = "week"
DAYS_PER_UNIT = 7

# The quadrature over the dropout probability: its largest step in log-odds, its step as a
# share of the standard deviation where that is smaller, and the weight that is neglected.
_MAX_STEP = 0.5
_STEP_PER_DEVIATION = 0.7
_MIN_WEIGHT = 1e-13

# The error of interpolated expectations, and how far from the real line they are still of
# moderate size: at a distance of pi, 1 + p s is 0, and (1 + p s)^-k is infinite.
_PRECISION = 1e-12
_DISTANCE = 2 / 3 * math.pi

# Frequency, recency and age of a customer: the days with a purchase after the first, and
# the days from the first purchase to the last one and to today.
PurchaseSummary = tuple[int, int, int]

# Frequency and age.
CustomerKind = tuple[int, int]


class _Quadrature(NamedTuple):
    """A quadrature rule: dropout probabilities with their weights, that of zero apart."""

    zero_weight: float
    nodes: list[tuple[float, float]]


def list_alive(parameters: Vector, customers: Iterable[PurchaseSummary]) -> list[float]:
    """Return P(alive), that they have not dropped out, of each of *customers* (note 021).

    It is 1 / (1 + A4 / A3), with the terms of the likelihood in `bg_nbd`, and 1 without a
    repeat purchase: customers drop out only after one.
    """
    r, alpha, *dropout = parameters
    exp, log, start = math.exp, math.log, alpha * DAYS_PER_UNIT
    offset = cache(partial(_log_dropout_odds, dropout))
    log_odds = [
        offset(x) + (r + x) * log((start + age) / (start + recency))
        for x, recency, age in customers
    ]
    return [1 / (1 + exp(d)) if d < 0 else exp(-d) / (1 + exp(-d)) for d in log_odds]


def _log_dropout_odds(dropout: Sequence[float], frequency: int) -> float:
    odds = find_dropout_odds(dropout, frequency) if frequency else 0.0
    return math.log(odds) if odds else -math.inf


def expect_purchases(
    parameters: Vector, customers: Sequence[PurchaseSummary], days: int
) -> list[float]:
    """Return the expected purchases of each of *customers* in the next *days*."""
    summaries = list(dict.fromkeys(customers))
    kinds = [(x, age) for x, _, age in summaries]
    (given_alive,) = tabulate_purchases(parameters, kinds, [days])
    expected = {
        summary: alive * given_alive[kind]
        for summary, kind, alive in zip(
            summaries, kinds, list_alive(parameters, summaries), strict=True
        )
    }
    return [expected[summary] for summary in customers]


# Given alive, lambda is Gamma(r + x, alpha + T) and the dropout probability Beta(a, b + x),
# whatever t_x (FHL 2005).  So an expectation of a customer is that of all customers of the
# frequency and age, times P(alive).


def tabulate_purchases(
    parameters: Vector, kinds: Iterable[CustomerKind], horizons: Sequence[int]
) -> list[dict[CustomerKind, float]]:
    """Return the expected purchases of *kinds* of customers who are alive.

    There is one table for each of *horizons*, in days.  It has the conditional expectation
    of FHL 2005, without P(alive).  Its closed form with Gauss's 2F1 divides by a - 1 and
    converges slowly over long horizons, so its integral over the dropout probability is
    computed instead.
    """
    return _tabulate(_purchases_given_alive, parameters, kinds, horizons)


def tabulate_pairs(
    parameters: Vector, kinds: Iterable[CustomerKind], horizons: Sequence[int]
) -> list[dict[CustomerKind, float]]:
    """Return E[X(X - 1)] of the purchases X as in `tabulate_purchases`."""
    return _tabulate(_pairs_given_alive, parameters, kinds, horizons)


def _tabulate(
    expect: Callable[[_Quadrature, float, float], float],
    parameters: Vector,
    kinds: Iterable[CustomerKind],
    horizons: Sequence[int],
) -> list[dict[CustomerKind, float]]:
    """Return *expect* by kind; it has a rule, k and s as in `_purchases_given_alive`."""
    r, alpha, *dropout = parameters
    ages: dict[int, list[int]] = defaultdict(list)
    for frequency, age in kinds:
        ages[frequency].append(age)
    start = alpha * DAYS_PER_UNIT
    oldest = max(map(max, ages.values()), default=0)
    grid = _build_grid(min(horizons) / (start + oldest), max(horizons) / start)
    tables: list[dict[CustomerKind, float]] = [{} for _ in horizons]
    for frequency, of_frequency in ages.items():
        values = grid.tabulate(
            partial(expect, _choose_rule(dropout, frequency), r + frequency),
            [days / (start + age) for days in horizons for age in of_frequency],
        )
        places = product(tables, of_frequency)
        for (table, age), value in zip(places, values, strict=True):
            table[frequency, age] = value
    return tables


def find_dropout_odds(dropout: Sequence[float], frequency: int) -> float:
    """Return the expected odds p / (1 - p) of the last dropout, at *frequency* purchases.

    *dropout* are the parameters after r and alpha: a and b of BG/NBD, whose factor in A4
    this is; the odds themselves where all customers have the same; none without dropout.

    >>> [find_dropout_odds(dropout, 3) for dropout in ([0.5, 2], [0.1], [])]
    [0.125, 0.1, 0.0]
    """
    if len(dropout) < 2:
        return float(sum(dropout))
    a, b = dropout
    return a / (b + frequency - 1)


def expect_purchases_by_age(parameters: Vector, days: int) -> list[float]:
    """Return a new customer's expected repeat purchases by the age of 0, 1, ... *days*."""
    if not days:
        return [0.0]
    r, alpha, *dropout = parameters
    expect = partial(_purchases_given_alive, _choose_rule(dropout, 0), r)
    shares = [day / DAYS_PER_UNIT / alpha for day in range(1, days + 1)]
    return [0.0, *_build_grid(shares[0], shares[-1]).tabulate(expect, shares)]


def _purchases_given_alive(rule: _Quadrature, k: float, s: float) -> float:
    """Return E[X] given alive; k = r + x and s = t / (alpha + T).

    E[X | lambda, p] is (1 - exp(-lambda p t)) / p.  The mean over lambda ~ Gamma(k,
    alpha + T) is (1 - (1 + p s)^-k) / p, whose limit at p = 0 is k s; *rule* gives the mean
    over p.  In closed form, with Gauss's 2F1, it is the fraction of FHL 2005.
    """
    expm1, log1p = math.expm1, math.log1p
    inner = sum([weight / p * expm1(-k * log1p(p * s)) for p, weight in rule.nodes])
    return rule.zero_weight * k * s - inner


def _pairs_given_alive(rule: _Quadrature, k: float, s: float) -> float:
    """Return E[X(X - 1)] given alive; k and s as for `_purchases_given_alive`.

    For purchases at times u < v the customer must survive all purchases before v:
    E[X(X - 1) | lambda, p] = 2 (1 - p) lambda^2 times the integral of v exp(-lambda p v)
    over 0 < v < t, that is 2 (1 - p) / p^2 (1 - exp(-lambda p t) (1 + lambda p t)).  The
    mean over lambda, with y = p s, is
    2 (1 - p) / p^2 (1 - (1 + y)^-k (1 + k y / (1 + y))), whose limit at p = 0 is
    k (k + 1) s^2.
    """
    limit = k * (k + 1) * s * s
    total = rule.zero_weight * limit
    for p, weight in rule.nodes:
        y = p * s
        if k * y < 1e-3:
            # Three terms of the power series: the difference below would lose digits.
            part = limit * (1 - (k + 2) * y * (2 / 3 - (k + 3) * y / 4))
        else:
            alive = math.exp(-k * math.log1p(y)) * (1 + k * y / (1 + y))
            part = 2 / (p * p) * (1 - alive)
        total += weight * (1 - p) * part
    return total


class _Grid:
    """Values of s = t / (alpha + T), from *least* to *most*, to interpolate expectations.

    By a polynomial in ln(1 + s).  An expectation is an analytic function of it also at
    complex numbers, up to `_DISTANCE` from the real line.  So at Chebyshev's nodes the
    error falls by the same factor with each more of them (Trefethen 2013, "Approximation
    Theory and Approximation Practice", theorem 8.2): 20 to 30 nodes replace 1,000 ages.
    Where all s are small, an expectation is in proportion to s or to its square, and the
    error must be as much smaller.
    """

    def __init__(self, least: float, most: float) -> None:
        low, high = math.log1p(least), math.log1p(most)
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        rate = math.asinh(_DISTANCE / self._half) if self._half else math.inf
        precision = _PRECISION * min(1.0, most) ** 2
        count = math.ceil(-math.log(precision) / rate) or 1
        angles = [math.pi * (at + 0.5) / count for at in range(count)]
        self._nodes = [math.cos(angle) for angle in angles]
        self._signs = [(-1) ** at * math.sin(angle) for at, angle in enumerate(angles)]
        self._weigh = cache(self._list_weights)

    def tabulate(
        self, function: Callable[[float], float], shares: Sequence[float]
    ) -> list[float]:
        """Return *function* at each of *shares*, computed at nodes if they are fewer."""
        if len(shares) <= len(self._nodes):
            return list(map(function, shares))
        places = [self._middle + self._half * node for node in self._nodes]
        values = [function(math.expm1(place)) for place in places]
        weights = map(self._weigh, shares)
        return [sum(map(mul, each, values)) / total for each, total in weights]

    def _list_weights(self, share: float) -> tuple[list[float], float]:
        """Return the nodes' weights at *share* and their sum: the barycentric formula."""
        place = (math.log1p(share) - self._middle) / self._half
        signs = zip(self._signs, self._nodes, strict=True)
        try:
            weights = [sign / (place - node) for sign, node in signs]
        except ZeroDivisionError:
            weights = [float(node == place) for node in self._nodes]
        return weights, sum(weights)


# All frequencies have the same grid, and so have parameters that differ in r, a or b.
@lru_cache(maxsize=4)
def _build_grid(least: float, most: float) -> _Grid:
    return _Grid(least, most)


def _choose_rule(dropout: Sequence[float], frequency: int) -> _Quadrature:
    """Return the rule for means over the dropout probability of a customer who is alive."""
    if not dropout:
        return _Quadrature(1.0, [])
    if len(dropout) == 1:
        return _Quadrature(0.0, [(dropout[0] / (1 + dropout[0]), 1.0)])
    a, b = dropout
    return _build_quadrature(a, b + frequency)


# The rules of one parameter vector, one for each frequency, are used again for each age.
@lru_cache(maxsize=1024)
def _build_quadrature(a: float, b: float) -> _Quadrature:
    """Return a quadrature rule for means over p ~ Beta(*a*, *b*).

    The trapezoidal rule in the log-odds of p.  The integrands are analytic there within a
    strip that depends neither on the horizon nor on a, so that it converges as fast for
    a = 1 or s = 1000, where a power series does not.  Nodes at p = 0 and p = 1 carry the
    tails, with weights that make the total and the mean of p exact.
    """
    deviation = math.sqrt(1 / a + 1 / b)
    width = min(_MAX_STEP, _STEP_PER_DEVIATION * deviation)
    log_scale = math.log(width) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    center = math.log(a / b)
    nodes = []
    total = mean = 0.0
    for direction in (-1, 1):
        step = 0 if direction < 0 else 1
        while True:
            u = center + direction * step * width
            p, rest = 1 / (1 + math.exp(-u)), 1 / (1 + math.exp(u))
            weight = math.exp(log_scale + a * math.log(p) + b * math.log(rest))
            if weight * (p if direction < 0 else rest) < _MIN_WEIGHT:
                break
            nodes.append((p, weight))
            total += weight
            mean += weight * p
            step += 1
    one_weight = a / (a + b) - mean
    nodes.append((1.0, one_weight))
    return _Quadrature(1 - total - one_weight, nodes)
