"""What BG/NBD expects of a customer's coming days, from what is known of them.

Sources: FHL 2005 and note 021, as queries/forecast/bg_nbd.py names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from queries.forecast.newton import Vector

# The unit of alpha, and the divisor that brings whole days to it.
TIME_UNIT = "week"
DAYS_PER_UNIT = 7

# Of the quadrature over the dropout probability: the step in log-odds, its part of the
# standard deviation if that is less, and the weight that is neglected.
_WIDEST_STEP = 0.5
_STEP_OF_DEVIATION = 0.7
_LEAST_WEIGHT = 1e-13

# Relative step of the numeric derivatives; their error goes with its square.
_NUDGE = 1e-3

# Frequency, recency and age, the latter two in days since the first purchase.
History = tuple[int, int, int]


class _DropoutRule(NamedTuple):
    """Dropout probabilities and their weights, the one at zero apart."""

    zero_weight: float
    nodes: list[tuple[float, float]]


def probability_alive(parameters: Vector, history: History) -> float:
    """Return 1 / (1 + A4 / A3), as in the likelihood of `bg_nbd`."""
    r, alpha, a, b = parameters
    frequency, recency, age = history
    if not frequency:
        return 1.0
    gap = (alpha + age / DAYS_PER_UNIT) / (alpha + recency / DAYS_PER_UNIT)
    d = math.log(a / (b + frequency - 1)) + (r + frequency) * math.log(gap)
    return 1 / (1 + math.exp(d)) if d < 0 else math.exp(-d) / (1 + math.exp(-d))


def expect_futures(
    parameters: Vector, histories: Sequence[History], days: int, *, age_step: int = 1
) -> list[float]:
    """Return the purchases expected of each of *histories* in the next *days*."""
    return _expect(parameters, histories, days, _future_given_alive, age_step=age_step)


def expect_pairs(
    parameters: Vector, histories: Sequence[History], days: int
) -> list[float]:
    """Return E[X(X - 1)] of each of *histories* in the next *days*."""
    return _expect(parameters, histories, days, _pairs_given_alive)


def expect_by_age(parameters: Vector, days: int) -> list[float]:
    """Return a new customer's repeat purchases by the ages of 0 to *days* days."""
    r, alpha, a, b = parameters
    rule = _build_rule(a, b)
    return [
        _future_given_alive(rule, r, day / DAYS_PER_UNIT / alpha) for day in range(days + 1)
    ]


def _expect(
    parameters: Vector,
    histories: Sequence[History],
    days: int,
    given_alive: Callable[[_DropoutRule, float, float], float],
    *,
    age_step: int = 1,
) -> list[float]:
    """Return a moment of each of *histories*: *given_alive*, times P(alive).

    Given alive, lambda is Gamma(r + x, alpha + T) and the dropout probability Beta(a,
    b + x), whatever t_x (FHL 2005): the rule of quadrature is made once per frequency, the
    moment once per frequency and age, the latter rounded to a multiple of *age_step* days.
    """
    r, alpha, a, b = parameters
    rules: dict[int, _DropoutRule] = {}
    moments: dict[tuple[int, int], float] = {}
    results = []
    for history in histories:
        frequency = history[0]
        age = round(history[2] / age_step) * age_step
        moment = moments.get((frequency, age))
        if moment is None:
            if frequency not in rules:
                rules[frequency] = _build_rule(a, b + frequency)
            s = days / DAYS_PER_UNIT / (alpha + age / DAYS_PER_UNIT)
            moment = given_alive(rules[frequency], r + frequency, s)
            moments[frequency, age] = moment
        results.append(moment * probability_alive(parameters, history))
    return results


def _future_given_alive(rule: _DropoutRule, k: float, s: float) -> float:
    """Return E[X] given alive; k = r + x and s = t / (alpha + T).

    E[X | lambda, p] is (1 - exp(-lambda p t)) / p.  The mean over lambda ~ Gamma(k,
    alpha + T) is (1 - (1 + p s)^-k) / p, whose limit at p = 0 is k s; the mean over p is
    left to *rule*.  Carried out with Gauss's 2F1, it is the fraction of FHL 2005.
    """
    expm1, log1p = math.expm1, math.log1p
    inner = sum([weight / p * expm1(-k * log1p(p * s)) for p, weight in rule.nodes])
    return rule.zero_weight * k * s - inner


def _pairs_given_alive(rule: _DropoutRule, k: float, s: float) -> float:
    """Return E[X(X - 1)] given alive; k and s as for `_future_given_alive`.

    Two purchases at times u < v need life after both but the last:
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
            # Three terms of its power series: the difference below would lose digits.
            part = limit * (1 - (k + 2) * y * (2 / 3 - (k + 3) * y / 4))
        else:
            alive = math.exp(-k * math.log1p(y)) * (1 + k * y / (1 + y))
            part = 2 / (p * p) * (1 - alive)
        total += weight * (1 - p) * part
    return total


def _build_rule(a: float, b: float) -> _DropoutRule:
    """Return a rule of quadrature for means over p ~ Beta(*a*, *b*).

    The trapezoidal rule in the log-odds of p: what is averaged here is analytic there
    within a strip that hangs neither on the horizon nor on a, so it converges as fast for
    a = 1 or s = 1000, where a power series does not.  Nodes at p = 0 and p = 1 carry the
    tails, such that the total and the mean of p are exact.
    """
    deviation = math.sqrt(1 / a + 1 / b)
    width = min(_WIDEST_STEP, _STEP_OF_DEVIATION * deviation)
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
            if weight * (p if direction < 0 else rest) < _LEAST_WEIGHT:
                break
            nodes.append((p, weight))
            total += weight
            mean += weight * p
            step += 1
    one_weight = a / (a + b) - mean
    nodes.append((1.0, one_weight))
    return _DropoutRule(1 - total - one_weight, nodes)


def derive_futures(
    parameters: Vector, histories: Sequence[History], days: int
) -> list[list[float]]:
    """Return the derivatives of the expected purchases by the logarithms of *parameters*.

    One list over *histories* per parameter, by central differences.  Ages count in whole
    weeks where P(alive) is not concerned: a seventh of the work for about a
    percent of the deviation, or less.
    """
    derivatives = []
    for i in range(len(parameters)):
        above, below = (
            expect_futures(
                tuple(
                    value * math.exp(sign * _NUDGE) if i == j else value
                    for j, value in enumerate(parameters)
                ),
                histories,
                days,
                age_step=DAYS_PER_UNIT,
            )
            for sign in (1, -1)
        )
        derivatives.append(
            [(up - down) / (2 * _NUDGE) for up, down in zip(above, below, strict=True)]
        )
    return derivatives
