"""Gamma-Gamma, the value of a customer's purchases: mean values in, a fitted model out.

The values of a customer's purchases are Gamma(p, nu), and nu ~ Gamma(q, gamma).

Source: note 025, Fader, Hardie 2013, "The Gamma-Gamma Model of Monetary Value",
brucehardie.com/notes/025/.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import StatisticsError, correlation
from typing import ClassVar, NamedTuple

from queries.forecast.bg_nbd import MIN_REPEAT_CUSTOMERS
from queries.forecast.newton import (
    COMMON_SHAPE,
    FittedModel,
    LogLikelihood,
    NoFiniteEstimateError,
    Vector,
    add_log_likelihoods,
    maximize,
)
from utils.formats import count_noun
from utils.helpers import DataError


class ValueFactors(NamedTuple):
    """What the means of a purchase's value Z are proportional to, given the history.

    With the rate gamma + x mean of the distribution of nu: E[p / nu] is *value* times the
    rate; E[(p / nu)^2] and E[Z^2] are the others times its square.
    """

    value: float
    squared_rate: float
    squared_purchase: float


@dataclass(frozen=True)
class SpendingModel(FittedModel):
    """Gamma-Gamma: its parameters p, q and gamma, of which gamma is in *money_unit*.

    *frequency_correlation* is the correlation of frequency and mean value among the
    customers; the model assumes that it is 0.  *square_ratio* is the mean square of the
    customers' mean values by the square of their mean, as measured.
    """

    name = "Gamma-Gamma"
    parameter_names: ClassVar[Sequence[str]] = ("p", "q", "gamma")

    money_unit: str
    frequency_correlation: float
    square_ratio: float

    @property
    def has_finite_variance(self) -> bool:
        """Return whether the mean values of customers have a finite variance."""
        return self.parameters[1] > 2

    def scale_at(self, _log_rate: float) -> float:
        """Return gamma, which does not depend on a customer's purchase rate."""
        return self.parameters[2]

    def list_effects(self, _log_rate: float) -> Vector:
        """Return the exponents of the factors of a customer's scale; there are none."""
        return ()

    def expected_value(self, frequency: int, spent: float, log_rate: float) -> float:
        """Return the expected value of the customer's next purchase (note 025).

        That is E[p / nu], where nu given the history is Gamma(q + p x, gamma + x mean);
        *spent* is x mean.  *log_rate* is the logarithm of the expected purchase rate.
        """
        return self.value_factors(frequency).value * (self.scale_at(log_rate) + spent)

    def value_factors(self, frequency: int) -> ValueFactors:
        """Return the factors of the means of a customer's next purchase.

        Where the model has no finite variance, as q is 2 or less, the mean square of a
        customer's mean value is at most that measured of all, in proportion to the square
        of its expectation.  So the intervals stay finite, and contain what was observed.
        """
        p, q = self.parameters[:2]
        most = math.inf if self.has_finite_variance else self.square_ratio
        return _list_factors(p, q, frequency, most)


# The factors of one model, one for each frequency, are used again for each customer.
@lru_cache(maxsize=1024)
def _list_factors(p: float, q: float, frequency: int, most: float) -> ValueFactors:
    shape = q + p * frequency
    inverse_square = 1 / ((shape - 1) * (shape - 2)) if shape > 2 else math.inf
    inverse_square = min(inverse_square, most / (shape - 1) ** 2)
    return ValueFactors(
        p / (shape - 1), p * p * inverse_square, p * (p + 1) * inverse_square
    )


class CommonMeanModel(SpendingModel):
    """Gamma-Gamma where the mean value of a purchase is the same for all customers.

    It is the limit of large q and gamma, of which q is `COMMON_SHAPE`.
    """

    name = "Gamma-Gamma with a common mean"


def fit_spending(values: Iterable[tuple[int, float]], *, money_unit: str) -> SpendingModel:
    """Fit Gamma-Gamma to (frequency, mean value) of the repeat customers.

    By maximum likelihood (`_evaluate`), with `maximize` from p = gamma = 1 and q = 2.  The
    search works in units of the geometric mean, so that cents and dollars take the same
    steps and one very large value does not change the unit much.  The model and its
    log-likelihood are in *money_unit*.  Where the customers are too alike for a finite
    estimate, the limit `CommonMeanModel` is fitted.  Raise `DataError` where the data do
    not support a model.
    """
    # In order, so that no sum depends on the order of the input.
    customers_by_value = Counter(sorted(values))
    _check_values(customers_by_value)
    tally = _tally_values(customers_by_value)
    try:
        optimum = maximize(
            lambda parameters: _evaluate(tally, parameters),
            start=(1.0, 2.0, 1.0),
            names=SpendingModel.parameter_names,
            model="spending model",
        )
    except NoFiniteEstimateError:
        return _fit_common_mean(customers_by_value, money_unit)
    p, q, gamma = optimum.parameters
    if q <= 1:
        raise DataError(
            f"The spending model has no finite mean: q is {q:.2f}, expected above 1. A few"
            " customers spend extreme amounts: look for test or wholesale orders."
        )
    return SpendingModel(
        (p, q, gamma * tally.unit),
        log_likelihood=optimum.log_likelihood - tally.customer_count * math.log(tally.unit),
        customer_count=tally.customer_count,
        covariance=optimum.covariance,
        money_unit=money_unit,
        frequency_correlation=_correlate(customers_by_value),
        square_ratio=_measure_squares(customers_by_value),
    )


def _fit_common_mean(
    customers_by_value: Counter[tuple[int, float]], money_unit: str
) -> CommonMeanModel:
    """Return the model whose mean and variance are those of the customers' purchases.

    The mean of x purchases has a variance of 1 / x of that of one purchase.
    """
    count = customers_by_value.total()
    purchases = sum(n * x for (x, _), n in customers_by_value.items())
    mean = sum(n * x * value for (x, value), n in customers_by_value.items()) / purchases
    squares = sum(
        n * x * (value / mean - 1) ** 2 for (x, value), n in customers_by_value.items()
    )
    p = min((count - 1) / squares, COMMON_SHAPE) if squares else COMMON_SHAPE
    return CommonMeanModel(
        (p, COMMON_SHAPE, (COMMON_SHAPE - 1) * mean / p),
        log_likelihood=sum(
            n * _log_density(p * x, p * x / mean, value)
            for (x, value), n in customers_by_value.items()
        ),
        customer_count=count,
        covariance=((0.0,) * 3, (0.0,) * 3, (0.0, 0.0, 1 / (p * purchases))),
        money_unit=money_unit,
        frequency_correlation=_correlate(customers_by_value),
        square_ratio=_measure_squares(customers_by_value),
    )


def _log_density(shape: float, rate: float, value: float) -> float:
    """Return the logarithm of the density of Gamma(*shape*, *rate*) at *value*."""
    return (
        shape * math.log(rate)
        - math.lgamma(shape)
        + (shape - 1) * math.log(value)
        - rate * value
    )


def _check_values(customers_by_value: Mapping[tuple[int, float], int]) -> None:
    """Raise `DataError` unless enough repeat customers spent more than zero."""
    count = sum(customers_by_value.values())
    if any(frequency < 1 for frequency, _ in customers_by_value):
        raise ValueError("a customer without a repeat purchase has no mean value")
    unpaid = sum(n for (_, mean), n in customers_by_value.items() if not mean > 0)
    customers = count_noun(count, "repeat customer")
    if unpaid:
        raise DataError(
            f"The spending model has {unpaid} of {customers} whose purchases are worth zero"
            " or less, expected more than zero. Omit them from its fit."
        )
    if not count:
        raise DataError(
            "Nothing was spent on repeat purchases, expected some with a value above zero."
            " Check the order items, their prices and the discounts."
        )
    if count < MIN_REPEAT_CUSTOMERS:
        raise DataError(
            f"The spending model has {customers} with a value, expected at least"
            f" {MIN_REPEAT_CUSTOMERS}. Load more customers or a longer window."
        )


def _correlate(customers_by_value: Counter[tuple[int, float]]) -> float:
    """Return the correlation of frequency and mean value; 0 where either is constant."""
    frequencies, means = zip(*customers_by_value.elements(), strict=True)
    try:
        return correlation(frequencies, means)
    except StatisticsError:
        return 0.0


def _measure_squares(customers_by_value: Counter[tuple[int, float]]) -> float:
    """Return the mean square of the mean values by the square of their mean."""
    count = customers_by_value.total()
    total = math.fsum(n * mean for (_, mean), n in customers_by_value.items())
    squares = math.fsum(n * mean**2 for (_, mean), n in customers_by_value.items())
    return count * squares / total**2


# ---- The likelihood ----------------------------------------------------------------------


class _SpendingTally(NamedTuple):
    """The sums over repeat customers that the likelihood needs.

    *unit* is the geometric mean of the customers' mean values: the sum of the logarithms of
    the means, in this unit, is 0.  *by_frequency* lists, for each frequency, (total spent
    in the unit, customers); *weighted_log_totals* is the sum of frequency x ln total.
    """

    unit: float
    customer_count: int
    by_frequency: list[tuple[int, list[tuple[float, int]]]]
    weighted_log_totals: float


def _tally_values(customers_by_value: Counter[tuple[int, float]]) -> _SpendingTally:
    count = customers_by_value.total()
    logs = sum(n * math.log(mean) for (_, mean), n in customers_by_value.items())
    unit = math.exp(logs / count)
    totals: dict[int, list[tuple[float, int]]] = defaultdict(list)
    weighted = 0.0
    for (frequency, mean), n in customers_by_value.items():
        total = frequency * (mean / unit)
        totals[frequency].append((total, n))
        weighted += n * frequency * math.log(total)
    return _SpendingTally(unit, count, list(totals.items()), weighted)


def _evaluate(tally: _SpendingTally, parameters: Vector) -> LogLikelihood:
    """Return the log-likelihood of Gamma-Gamma, and its derivatives by p, q, gamma.

    Note 025, of the mean m of x purchases, per customer:

        ln Gamma(p x + q) - ln Gamma(p x) - ln Gamma(q) + q ln gamma
        + (p x - 1) ln m + p x ln x - (p x + q) ln(gamma + x m)

    As the unit makes the sum of ln m zero, the terms with ln m and ln x add up to
    p x ln(x m).
    """
    p, q, gamma = parameters
    count = tally.customer_count
    log_gamma = math.log(gamma)
    common = LogLikelihood(
        p * tally.weighted_log_totals + count * (q * log_gamma - math.lgamma(q)),
        (
            tally.weighted_log_totals,
            count * (log_gamma - digamma(q)),
            count * q / gamma,
        ),
        (
            (0.0,),
            (0.0, -count * trigamma(q)),
            (0.0, count / gamma, -count * q / gamma**2),
        ),
    )
    by_frequency = [
        _evaluate_frequency(x, rows, parameters) for x, rows in tally.by_frequency
    ]
    return add_log_likelihoods([common, *by_frequency])


def _evaluate_frequency(
    x: int, rows: Sequence[tuple[float, int]], parameters: Vector
) -> LogLikelihood:
    """Return the part of the customers with *x* repeat purchases: (total, customers)."""
    p, q, gamma = parameters
    log = math.log
    n, logs, rates, squares = 0, 0.0, 0.0, 0.0
    for total, copies in rows:
        scale = gamma + total
        rate = copies / scale
        n += copies
        logs += copies * log(scale)
        rates += rate
        squares += rate / scale
    px, k = p * x, p * x + q
    first, second = digamma(k), trigamma(k)
    return LogLikelihood(
        n * (math.lgamma(k) - math.lgamma(px)) - k * logs,
        (
            x * (n * (first - digamma(px)) - logs),
            n * first - logs,
            -k * rates,
        ),
        (
            (x * x * n * (second - trigamma(px)),),
            (x * n * second, n * second),
            (-x * rates, -rates, k * squares),
        ),
    )


def digamma(y: float) -> float:
    """Return the derivative of ln Gamma (Abramowitz, Stegun 1964, 6.3.5 and 6.3.18).

    >>> round(digamma(1.0), 12)  # Euler's constant, negated
    -0.577215664902
    """
    shift = 0.0
    while y < 10:
        shift -= 1 / y
        y += 1
    s = 1 / (y * y)
    tail = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s / 132))))
    return shift + math.log(y) - 1 / (2 * y) - tail


def trigamma(y: float) -> float:
    """Return the derivative of `digamma` (Abramowitz, Stegun 1964, 6.4.6 and 6.4.12).

    >>> round(trigamma(1.0) - math.pi**2 / 6, 12)
    0.0
    """
    shift = 0.0
    while y < 10:
        shift += 1 / (y * y)
        y += 1
    s = 1 / (y * y)
    tail = s * (1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * 5 / 66))))
    return shift + (1 + 1 / (2 * y) + tail) / y
