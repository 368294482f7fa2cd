"""Sums of the expected purchases of customers, of their value, and of the variances.

A conditional expectation of BG/NBD is P(alive) times an expectation given alive.  P(alive)
does not depend on the horizon, so it is computed once for each distinct history.  The other
factor depends neither on the recency nor on the value, so it is computed once for each
frequency and age, for all groups of customers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from operator import mul
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.bg_nbd_expectations import (
    DAYS_PER_UNIT,
    CustomerKind,
    list_alive,
    tabulate_pairs,
    tabulate_purchases,
)
from queries.forecast.gamma_gamma import SpendingModel, ValueFactors
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
    """Return the sums over *customers* for each of *horizons*, in days."""
    (sums,) = sum_groups(purchases, spending, [customers], horizons)
    return sums


def sum_groups(
    purchases: PurchaseModel,
    spending: SpendingModel,
    groups: Sequence[Sequence[SimilarCustomers]],
    horizons: Sequence[int],
) -> list[list[ForecastSums]]:
    """Return the sums over the customers of each of *groups*, for each of *horizons*.

    The variance of a customer's purchases X is E[X] + E[X(X - 1)] - E[X]^2.  That of their
    value, with independent values Z given nu, is
    E[X] E[Z^2] + E[X(X - 1)] E[(p / nu)^2] - (E[X] E[p / nu])^2.  Customers are
    independent.
    """
    kinds = {(each.frequency, each.age_days) for group in groups for each in group}
    tables = _tabulate_expectations(purchases.parameters, kinds, horizons)
    sums = []
    for customers in groups:
        prepared = _prepare(purchases, spending, customers)
        sums.append([_sum_horizon(prepared, table) for table in tables])
    return sums


# ---- What does not depend on the horizon -------------------------------------------------


class _Alive(NamedTuple):
    """P(alive) for each history, added up over its customers.

    In *values* it is weighted by the expected value E[p / nu] of a purchase.
    """

    counts: list[float]
    values: list[float]


class _Squares(NamedTuple):
    """What the variances need for each history, added up over its customers.

    That is P(alive)^2, its product with E[p / nu]^2, and the products of P(alive) with
    E[(p / nu)^2] and with E[Z^2].
    """

    counts: list[float]
    values: list[float]
    rates: list[float]
    purchases: list[float]


class _Prepared(NamedTuple):
    """The histories of a group with all that does not depend on the horizon.

    The lists have an entry for each history; the ages in *weekly_kinds* are whole weeks.
    *shifted* has, for each parameter, P(alive) for a larger and for a smaller value of it.
    """

    spending: SpendingModel
    customer_count: int
    kinds: list[CustomerKind]
    weekly_kinds: list[CustomerKind]
    log_rates: list[float]
    alive: _Alive
    squares: _Squares
    shifted: list[tuple[_Alive, _Alive]]


def _prepare(
    purchases: PurchaseModel,
    spending: SpendingModel,
    customers: Sequence[SimilarCustomers],
) -> _Prepared:
    summaries = [
        (x, recency, age) for x, age, recencies, *_ in customers for recency in recencies
    ]
    counts = [count for each in customers for count in each.customer_counts]
    spent = [cents for each in customers for cents in each.spent]
    squares_spent = [square for each in customers for square in each.squares_spent]
    log_rate = cache(purchases.log_rate)
    log_rates = [log_rate(x, age) for x, _, age in summaries]
    scales = list(map(cache(spending.scale_at), log_rates))
    factors = [spending.value_factors(x) for x, *_ in summaries]
    # The sums of gamma + spent, and of its square.
    rates = [
        count * scale + cents
        for count, scale, cents in zip(counts, scales, spent, strict=True)
    ]
    squares = [
        scale * (rate + cents) + square
        for scale, rate, cents, square in zip(
            scales, rates, spent, squares_spent, strict=True
        )
    ]
    values = [factor.value * rate for factor, rate in zip(factors, rates, strict=True)]

    def weigh_alive(alive: Sequence[float]) -> _Alive:
        return _Alive(list(map(mul, alive, counts)), list(map(mul, alive, values)))

    alive = list_alive(purchases.parameters, summaries)
    kinds = [(x, age) for x, _, age in summaries]
    return _Prepared(
        spending,
        sum(counts),
        kinds,
        list(map(_round_age, kinds)),
        log_rates,
        weigh_alive(alive),
        _weigh_squares(alive, counts, factors, squares),
        [
            (
                weigh_alive(list_alive(above, summaries)),
                weigh_alive(list_alive(below, summaries)),
            )
            for above, below in _shift_parameters(purchases.parameters)
        ],
    )


def _round_age(kind: CustomerKind) -> CustomerKind:
    """Return *kind* with an age of whole weeks, enough for the derivatives.

    There are fewer of them, and it changes the deviation by about one percent, or less.
    """
    frequency, age_days = kind
    return frequency, round(age_days / DAYS_PER_UNIT) * DAYS_PER_UNIT


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


def _weigh_squares(
    alive: Sequence[float],
    counts: Sequence[int],
    factors: Sequence[ValueFactors],
    squares: Sequence[float],
) -> _Squares:
    alive_squares = [p * p for p in alive]
    alive_rates = list(map(mul, alive, squares))
    return _Squares(
        list(map(mul, alive_squares, counts)),
        [
            factor.value**2 * p * square
            for factor, p, square in zip(factors, alive_squares, squares, strict=True)
        ],
        [factor.squared_rate * r for factor, r in zip(factors, alive_rates, strict=True)],
        [
            factor.squared_purchase * r
            for factor, r in zip(factors, alive_rates, strict=True)
        ],
    )


# ---- One horizon -------------------------------------------------------------------------


class _Expectations(NamedTuple):
    """Expectations by kind of customer, given alive: E[X] and E[X(X - 1)] of purchases X.

    *shifted* has, for each parameter, E[X] for a larger and for a smaller value of it, at
    ages of whole weeks.
    """

    purchases: dict[CustomerKind, float]
    pairs: dict[CustomerKind, float]
    shifted: Sequence[tuple[dict[CustomerKind, float], dict[CustomerKind, float]]]


def _tabulate_expectations(
    parameters: Vector, kinds: Collection[CustomerKind], horizons: Sequence[int]
) -> list[_Expectations]:
    """Return the expectations of *kinds* of customers for each of *horizons*."""
    weekly_kinds = set(map(_round_age, kinds))
    shifted = [
        zip(
            tabulate_purchases(above, weekly_kinds, horizons),
            tabulate_purchases(below, weekly_kinds, horizons),
            strict=True,
        )
        for above, below in _shift_parameters(parameters)
    ]
    return [
        _Expectations(*tables)
        for tables in zip(
            tabulate_purchases(parameters, kinds, horizons),
            tabulate_pairs(parameters, kinds, horizons),
            zip(*shifted, strict=True),
            strict=True,
        )
    ]


def _sum_horizon(prepared: _Prepared, expectations: _Expectations) -> ForecastSums:
    """Return the sums for the horizon of *expectations*."""
    _, customer_count, kinds, weekly_kinds, _, alive, squares, shifted = prepared
    expected = [expectations.purchases[kind] for kind in kinds]
    pairs = [expectations.pairs[kind] for kind in kinds]
    expected_squares = [x * x for x in expected]
    total = _sum_products(alive.counts, expected)
    slopes = _differentiate(shifted, expectations.shifted, weekly_kinds)
    value_squares = _sum_products(squares.purchases, expected)
    return ForecastSums(
        customer_count,
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


def _differentiate(
    shifted: Sequence[tuple[_Alive, _Alive]],
    tables: Sequence[tuple[dict[CustomerKind, float], dict[CustomerKind, float]]],
    kinds: Sequence[CustomerKind],
) -> list[tuple[float, float]]:
    """Return the derivatives of the expected purchases and of their value.

    They are central differences, for each parameter between a larger and a smaller one.
    """
    slopes = []
    for (above, below), of_parameter in zip(shifted, tables, strict=True):
        up, down = ([table[kind] for kind in kinds] for table in of_parameter)
        slopes.append(
            (
                _divide_difference(
                    _sum_products(above.counts, up), _sum_products(below.counts, down)
                ),
                _divide_difference(
                    _sum_products(above.values, up), _sum_products(below.values, down)
                ),
            )
        )
    return slopes


def _divide_difference(above: float, below: float) -> float:
    return (above - below) / (2 * _DERIVATIVE_STEP)


def _differentiate_by_spending(prepared: _Prepared, expected: Sequence[float]) -> Vector:
    """Return the derivatives of the value by the logarithms of the spending parameters.

    Those of ln e, from e = E[p / nu] = p (gamma + x m) / (q + p x - 1), are
    (q - 1) / shape, -q / shape and gamma / (gamma + x m), where shape is the divisor.
    """
    spending, _, kinds, _, log_rates, alive, *_ = prepared
    p, q = spending.parameters[:2]
    scale_at = cache(spending.scale_at)
    shapes = [q + p * frequency - 1 for frequency, _ in kinds]
    by_shape = _sum_products(
        alive.values, [x / shape for x, shape in zip(expected, shapes, strict=True)]
    )
    by_scales = [
        p * x / shape * scale
        for x, shape, scale in zip(expected, shapes, map(scale_at, log_rates), strict=True)
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
