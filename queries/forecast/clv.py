"""Expected purchases of groups of customers and their value, with intervals.

BG/NBD gives the number of purchases and Gamma-Gamma the value of each; frequency and value
are assumed to be independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.bg_nbd_expectations import (
    PurchaseSummary,
    differentiate_purchases,
    expect_pairs,
    expect_purchases,
)
from queries.forecast.gamma_gamma import SpendingModel
from queries.forecast.newton import delta_variance
from utils.helpers import DataError

# The probability that an interval contains the actual figure, if the model is right.
INTERVAL_LEVEL = 0.95


class Customer(NamedTuple):
    """One customer's purchases up to the day of the forecast.

    *frequency* counts the days with a purchase after the first; *recency_days* is the age
    at the last of them and *age_days* the age now, both since the first purchase;
    *mean_value* is the mean value of those days.  Without such days, recency and mean value
    are 0.
    """

    frequency: int
    recency_days: int
    age_days: int
    mean_value: float

    @property
    def summary(self) -> PurchaseSummary:
        """Return the part of it that the purchase model needs."""
        return self.frequency, self.recency_days, self.age_days


class Estimate(NamedTuple):
    """A forecast total and two standard deviations of it.

    *chance_sd* comes from the customers' random behaviour, given the parameters; it is None
    if the spending model has no finite variance.  *parameter_sd* comes from the error of
    the parameters.  Neither contains the error of a wrong model: a holdout shows that.
    """

    total: float
    chance_sd: float | None
    parameter_sd: float

    def interval(self, level: float) -> tuple[float, float] | None:
        """Return the bounds that contain the total with probability *level*.

        They are normal, from both deviations together, and not below zero; None where the
        variance is not finite.
        """
        if self.chance_sd is None:
            return None
        half_width = NormalDist().inv_cdf((1 + level) / 2)
        half_width *= math.hypot(self.chance_sd, self.parameter_sd)
        return max(0.0, self.total - half_width), self.total + half_width

    def describe(self, *, digits: int | None = None, scale: float = 1.0) -> dict[str, Any]:
        """Return the total and its interval times *scale*, rounded to *digits* decimals.

        Without *digits* the figures are whole numbers.
        """
        low, high = self.interval(INTERVAL_LEVEL) or (None, None)
        return {
            name: None if figure is None else round(figure * scale, digits)
            for name, figure in (("forecast", self.total), ("low", low), ("high", high))
        }


class GroupForecast(NamedTuple):
    """The expected purchase days of a group of customers, and the value of these days."""

    customer_count: int
    purchases: Estimate
    value: Estimate


def forecast_groups(
    purchases: PurchaseModel,
    spending: SpendingModel,
    groups: Mapping[str, Sequence[Customer]],
    *,
    days: int,
) -> dict[str, GroupForecast]:
    """Return the forecast of each of *groups* for the next *days*.

    Deviations of groups do not add up, because all groups share the parameters: for a
    total, pass all customers as one more group.  Each distinct summary is computed once.
    """
    index: dict[PurchaseSummary, int] = {}
    tallies = {
        name: _tally_group(customers, index, spending) for name, customers in groups.items()
    }
    summaries = list(index)
    expectations = _Expectations(
        expect_purchases(purchases.parameters, summaries, days),
        expect_pairs(purchases.parameters, summaries, days),
        differentiate_purchases(purchases.parameters, summaries, days),
    )
    return {
        name: GroupForecast(
            len(groups[name]),
            _estimate_purchases(tally, expectations, purchases),
            _estimate_value(tally, expectations, purchases, spending),
        )
        for name, tally in tallies.items()
    }


def forecast_each(
    purchases: PurchaseModel,
    spending: SpendingModel,
    customers: Sequence[Customer],
    *,
    days: int,
) -> list[tuple[float, float]]:
    """Return the expected purchases of each of *customers* in *days*, and their value."""
    counts = expect_purchases(
        purchases.parameters, [customer.summary for customer in customers], days
    )
    return [
        (count, count * spending.expected_value(customer.frequency, customer.mean_value))
        for count, customer in zip(counts, customers, strict=True)
    ]


# ---- Groups of customers -----------------------------------------------------------------


class _Expectations(NamedTuple):
    """By summary: E[X], E[X(X - 1)], and E[X] derived by each log-parameter."""

    purchases: list[float]
    pairs: list[float]
    derivatives: list[list[float]]


@dataclass(slots=True)
class _ValueSums:
    """Sums over customers of one summary, where e = E[p / nu] is their expected value.

    *slopes* are the sums of e derived by the logarithms of p, q and gamma.
    """

    customer_count: int = 0
    values: float = 0.0  # of e
    squared_values: float = 0.0  # of e^2
    rate_squares: float = 0.0  # of E[(p / nu)^2]
    purchase_squares: float = 0.0  # of E[Z^2]
    slopes: list[float] = field(default_factory=lambda: [0.0] * 3)


# The sums of a group, by the position of the summary in the list of all.
_GroupTally = dict[int, _ValueSums]


def _tally_group(
    customers: Iterable[Customer],
    index: dict[PurchaseSummary, int],
    spending: SpendingModel,
) -> _GroupTally:
    """Return the sums over *customers*; their summaries are added to *index*."""
    tally: _GroupTally = {}
    for customer in customers:
        position = index.setdefault(customer.summary, len(index))
        _add_customer(tally.setdefault(position, _ValueSums()), customer, spending)
    return tally


def _add_customer(sums: _ValueSums, customer: Customer, spending: SpendingModel) -> None:
    frequency, _, _, mean_value = customer
    if mean_value < 0:
        raise DataError(
            f"A customer's repeat purchases are worth {mean_value:g} {spending.money_unit}"
            " each, expected zero or more. Count refunds only up to the amount paid."
        )
    p, q, gamma = spending.parameters
    value = spending.expected_value(frequency, mean_value)
    rate_square, purchase_square = spending.expected_squares(frequency, mean_value)
    sums.customer_count += 1
    sums.values += value
    sums.squared_values += value * value
    sums.rate_squares += rate_square
    sums.purchase_squares += purchase_square
    # The derivatives of ln e, from e = p (gamma + x m) / (q + p x - 1).
    shape = q + p * frequency - 1
    sums.slopes[0] += value * (q - 1) / shape
    sums.slopes[1] -= value * q / shape
    sums.slopes[2] += value * gamma / (gamma + frequency * mean_value)


def _estimate_purchases(
    tally: _GroupTally, expectations: _Expectations, purchases: PurchaseModel
) -> Estimate:
    """Return the purchases of a group.

    The variance of one customer's is E[X] + E[X(X - 1)] - E[X]^2; customers are
    independent.  The deviation by the parameters is that of the delta method.
    """
    total = variance = 0.0
    slopes = [0.0] * len(expectations.derivatives)
    for position, sums in tally.items():
        count = sums.customer_count
        x, pairs = expectations.purchases[position], expectations.pairs[position]
        total += count * x
        variance += count * (x + pairs - x * x)
        for i, derivative in enumerate(expectations.derivatives):
            slopes[i] += count * derivative[position]
    parameter_variance = delta_variance(slopes, purchases.covariance)
    return Estimate(total, math.sqrt(variance), math.sqrt(parameter_variance))


def _estimate_value(
    tally: _GroupTally,
    expectations: _Expectations,
    purchases: PurchaseModel,
    spending: SpendingModel,
) -> Estimate:
    """Return the value of the purchases of a group.

    With X purchases of independent values Z given nu, the variance of one customer's is
    E[X] E[Z^2] + E[X(X - 1)] E[(p / nu)^2] - (E[X] E[p / nu])^2.  The two models are
    fitted separately, so the variances by their parameters add up.
    """
    total = variance = 0.0
    by_purchases = [0.0] * len(expectations.derivatives)
    by_spending = [0.0] * len(spending.parameters)
    for position, sums in tally.items():
        x, pairs = expectations.purchases[position], expectations.pairs[position]
        total += sums.values * x
        variance += (
            x * sums.purchase_squares
            + pairs * sums.rate_squares
            - x * x * sums.squared_values
        )
        for i, derivative in enumerate(expectations.derivatives):
            by_purchases[i] += sums.values * derivative[position]
        for i, slope in enumerate(sums.slopes):
            by_spending[i] += slope * x
    parameter_variance = delta_variance(by_purchases, purchases.covariance)
    parameter_variance += delta_variance(by_spending, spending.covariance)
    chance_sd = math.sqrt(variance) if math.isfinite(variance) else None
    return Estimate(total, chance_sd, math.sqrt(parameter_variance))
