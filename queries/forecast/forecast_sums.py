"""Sums of the expected purchases of customers, of their value, and of the variances.

A conditional expectation of BG/NBD is P(alive) times an expectation given alive.  P(alive)
does not depend on the horizon, and the other factor depends neither on the recency nor on
the value.  So P(alive) is computed once for each distinct history, summed over the
customers of one frequency and age, and then multiplied by the factor of each horizon.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache, partial
from operator import mul
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.bg_nbd_expectations import (
    DAYS_PER_UNIT,
    expect_pairs_given_alive,
    expect_purchases_given_alive,
    list_alive,
)
from queries.forecast.gamma_gamma import SpendingModel
from queries.forecast.newton import Vector

# Step of the numeric derivatives, by the logarithm of a parameter; their error is
# proportional to its square.
_DERIVATIVE_STEP = 1e-3


class SimilarCustomers(NamedTuple):
    """Customers of the same frequency and age, counted by recency.

    *frequency* counts the days with a purchase after the first; *age_days* is the time
    since the first.  The columns have an entry for each of *recencies*, the ages at the
    last of those days (0 without them): the number of customers, what they *spent* on those
    days, and the squares of what each of them spent, added up.
    """

    frequency: int
    age_days: int
    recencies: Sequence[int]
    customer_counts: Sequence[int]
    spent: Sequence[float]
    squares_spent: Sequence[float]


class ForecastSums(NamedTuple):
    """Sums over customers, from which the forecast of a group is estimated.

    *value_squares* is the expected sum of the squared values of all purchases.  Slopes are
    the derivatives by the logarithms of the models' parameters.
    """

    customer_count: int
    purchases: float
    purchase_variance: float
    purchase_slopes: Vector
    value: float
    value_variance: float
    value_squares: float
    value_slopes: Vector
    spending_slopes: Vector


def count_members(groups: Iterable[SimilarCustomers]) -> int:
    """Return the number of customers in all *groups*."""
    return sum(sum(group.customer_counts) for group in groups)


def add_sums(groups: Sequence[ForecastSums]) -> ForecastSums:
    """Return the sums over the customers of all *groups*."""
    return ForecastSums(
        sum(group.customer_count for group in groups),
        math.fsum(group.purchases for group in groups),
        math.fsum(group.purchase_variance for group in groups),
        _add_vectors([group.purchase_slopes for group in groups]),
        math.fsum(group.value for group in groups),
        math.fsum(group.value_variance for group in groups),
        math.fsum(group.value_squares for group in groups),
        _add_vectors([group.value_slopes for group in groups]),
        _add_vectors([group.spending_slopes for group in groups]),
    )


def _add_vectors(vectors: Sequence[Vector]) -> Vector:
    return tuple(map(math.fsum, zip(*vectors, strict=True)))


def sum_forecasts(
    purchases: PurchaseModel,
    spending: SpendingModel,
    customers: Sequence[SimilarCustomers],
    horizons: Sequence[int],
) -> list[ForecastSums]:
    """Return the sums over *customers* for each of *horizons*, in days.

    The variance of a customer's purchases X is E[X] + E[X(X - 1)] - E[X]^2.  That of their
    value, with independent values Z given nu, is
    E[X] E[Z^2] + E[X(X - 1)] E[(p / nu)^2] - (E[X] E[p / nu])^2.  Customers are
    independent.
    """
    prepared = _prepare(purchases, spending, customers)
    return [_sum_horizon(prepared, days) for days in horizons]


# ---- What does not depend on the horizon -------------------------------------------------


class _AliveSums(NamedTuple):
    """Sums of P(alive), given *parameters*, for each of some similar customers.

    Those in *values* are weighted by the expected value E[p / nu] of a purchase.
    """

    parameters: Vector
    counts: list[float]
    values: list[float]


class _SquareSums(NamedTuple):
    """Sums for the variances, for each of some similar customers.

    They are of P(alive)^2, of its product with E[p / nu]^2, and of the products of P(alive)
    with E[(p / nu)^2] and with E[Z^2].
    """

    counts: list[float]
    values: list[float]
    rates: list[float]
    purchases: list[float]


class _Prepared(NamedTuple):
    """Similar customers with all that does not depend on the horizon.

    *log_rates* are those of each of *customers*.  *shifted* has, for each parameter, sums
    for a larger and for a smaller value of it.
    """

    spending: SpendingModel
    customers: Sequence[SimilarCustomers]
    log_rates: list[float]
    alive: _AliveSums
    squares: _SquareSums
    shifted: list[tuple[_AliveSums, _AliveSums]]


def _prepare(
    purchases: PurchaseModel,
    spending: SpendingModel,
    customers: Sequence[SimilarCustomers],
) -> _Prepared:
    log_rates = [purchases.log_rate(each.frequency, each.age_days) for each in customers]
    values = []
    for each, log_rate in zip(customers, log_rates, strict=True):
        gamma = spending.scale_at(log_rate)
        factor = spending.value_factors(each.frequency).value
        values.append(
            [
                factor * (count * gamma + spent)
                for count, spent in zip(each.customer_counts, each.spent, strict=True)
            ]
        )

    def sum_alive(vector: Vector) -> _AliveSums:
        return _sum_alive(vector, customers, values)

    parameters = purchases.parameters
    return _Prepared(
        spending,
        customers,
        log_rates,
        sum_alive(parameters),
        _sum_squares(parameters, spending, customers, log_rates),
        [
            (sum_alive(above), sum_alive(below))
            for above, below in _shift_parameters(parameters)
        ],
    )


def _shift_parameters(parameters: Vector) -> list[tuple[Vector, Vector]]:
    """Return *parameters* with each of them in turn increased, and decreased, by a step."""
    up, down = math.exp(_DERIVATIVE_STEP), math.exp(-_DERIVATIVE_STEP)
    return [
        (
            (*parameters[:i], value * up, *parameters[i + 1 :]),
            (*parameters[:i], value * down, *parameters[i + 1 :]),
        )
        for i, value in enumerate(parameters)
    ]


def _sum_alive(
    parameters: Vector,
    customers: Sequence[SimilarCustomers],
    values: Sequence[Sequence[float]],
) -> _AliveSums:
    """Return the sums; *values* are the expected ones, added up for each recency."""
    sums = _AliveSums(parameters, [], [])
    for (frequency, age, recencies, counts, *_), of_recencies in zip(
        customers, values, strict=True
    ):
        alive = list_alive(parameters, frequency, age, recencies)
        sums.counts.append(_sum_products(alive, counts))
        sums.values.append(_sum_products(alive, of_recencies))
    return sums


def _sum_squares(
    parameters: Vector,
    spending: SpendingModel,
    customers: Sequence[SimilarCustomers],
    log_rates: Sequence[float],
) -> _SquareSums:
    sums = _SquareSums([], [], [], [])
    for (frequency, age, recencies, counts, *columns), log_rate in zip(
        customers, log_rates, strict=True
    ):
        gamma = spending.scale_at(log_rate)
        factors = spending.value_factors(frequency)
        alive = list_alive(parameters, frequency, age, recencies)
        alive_squares = [p * p for p in alive]
        # The sums of (gamma + spent)^2.
        rate_squares = [
            gamma * (count * gamma + 2 * spent) + square
            for count, spent, square in zip(counts, *columns, strict=True)
        ]
        of_rates = _sum_products(alive, rate_squares)
        sums.counts.append(_sum_products(alive_squares, counts))
        sums.values.append(factors.value**2 * _sum_products(alive_squares, rate_squares))
        sums.rates.append(factors.squared_rate * of_rates)
        sums.purchases.append(factors.squared_purchase * of_rates)
    return sums


# ---- One horizon -------------------------------------------------------------------------


def _sum_horizon(prepared: _Prepared, days: int) -> ForecastSums:
    """Return the sums for the next *days*."""
    _, customers, _, alive, squares, shifted = prepared
    pairs = [
        expect_pairs_given_alive(alive.parameters, x, age, days=days)
        for x, age, *_ in customers
    ]
    expected = _expect_purchases(alive.parameters, customers, days)
    expected_squares = [x * x for x in expected]
    total = _sum_products(alive.counts, expected)
    slopes = [_differentiate(above, below, customers, days) for above, below in shifted]
    value_squares = _sum_products(squares.purchases, expected)
    return ForecastSums(
        count_members(customers),
        total,
        total
        + _sum_products(alive.counts, pairs)
        - _sum_products(squares.counts, expected_squares),
        tuple(of_count for of_count, _ in slopes),
        _sum_products(alive.values, expected),
        value_squares
        + _sum_products(squares.rates, pairs)
        - _sum_products(squares.values, expected_squares),
        value_squares,
        tuple(of_value for _, of_value in slopes),
        _differentiate_by_spending(prepared, expected),
    )


def _expect_purchases(
    parameters: Vector,
    customers: Sequence[SimilarCustomers],
    days: int,
    *,
    age_step: int = 1,
) -> list[float]:
    """Return the expected purchases of one of each *customers*, given alive.

    Ages are rounded to a multiple of *age_step* days.
    """
    expect = cache(partial(expect_purchases_given_alive, parameters, days=days))
    return [expect(x, round(age / age_step) * age_step) for x, age, *_ in customers]


def _differentiate(
    above: _AliveSums, below: _AliveSums, customers: Sequence[SimilarCustomers], days: int
) -> tuple[float, float]:
    """Return the derivatives of the expected purchases and of their value.

    They are central differences between two vectors of parameters.  Ages are rounded to
    whole weeks except in P(alive): this takes a seventh of the time and changes the
    deviation by about one percent, or less.
    """
    up, down = (
        _expect_purchases(each.parameters, customers, days, age_step=DAYS_PER_UNIT)
        for each in (above, below)
    )
    return (
        _divide_difference(
            _sum_products(above.counts, up), _sum_products(below.counts, down)
        ),
        _divide_difference(
            _sum_products(above.values, up), _sum_products(below.values, down)
        ),
    )


def _divide_difference(above: float, below: float) -> float:
    return (above - below) / (2 * _DERIVATIVE_STEP)


def _differentiate_by_spending(prepared: _Prepared, expected: Sequence[float]) -> Vector:
    """Return the derivatives of the value by the logarithms of the spending parameters.

    Those of ln e, from e = E[p / nu] = p (gamma + x m) / (q + p x - 1), are
    (q - 1) / shape, -q / shape and gamma / (gamma + x m), where shape is the divisor.
    """
    spending, customers, log_rates, alive, *_ = prepared
    p, q = spending.parameters[:2]
    shapes = [q + p * each.frequency - 1 for each in customers]
    by_shape = _sum_products(
        alive.values, [x / shape for x, shape in zip(expected, shapes, strict=True)]
    )
    by_scales = [
        p * x / shape * spending.scale_at(log_rate)
        for x, shape, log_rate in zip(expected, shapes, log_rates, strict=True)
    ]
    effects = [
        [scale * exponent for scale, exponent in zip(by_scales, column, strict=True)]
        for column in zip(*map(spending.list_effects, log_rates), strict=True)
    ]
    return (
        by_shape * (q - 1),
        -by_shape * q,
        *(_sum_products(alive.counts, column) for column in [by_scales, *effects]),
    )


def _sum_products(left: Iterable[float], right: Iterable[float]) -> float:
    """Return the sum of the products, rounded once, so that their order is irrelevant."""
    return math.fsum(map(mul, left, right))
