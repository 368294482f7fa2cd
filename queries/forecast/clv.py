"""What groups of customers will buy next, and for how much: expectations, and intervals.

BG/NBD tells how often they come back, Gamma-Gamma what a purchase is worth; frequency and
value are taken to be independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.bg_nbd_expectations import (
    History,
    derive_futures,
    expect_futures,
    expect_pairs,
)
from queries.forecast.gamma_gamma import SpendingModel
from queries.forecast.newton import delta_variance
from utils.helpers import DataError


class Customer(NamedTuple):
    """One customer's past, up to the day of the forecast.

    *frequency* counts the days with a purchase after the first; *recency_days* is the age
    at the last of them and *age_days* the age now, both since the first purchase;
    *mean_value* is the mean value of those days.  Without them it is 0, and recency too.
    """

    frequency: int
    recency_days: int
    age_days: int
    mean_value: float

    @property
    def history(self) -> History:
        """Return what the purchase model knows of the customer."""
        return self.frequency, self.recency_days, self.age_days


class Estimate(NamedTuple):
    """A forecast total and two standard deviations around it.

    *chance_sd* is of what the customers do by chance if the parameters are right, None if
    the spending model gives it no finite value; *parameter_sd* is of what the parameters
    do to the total.  Neither knows whether the model is right: quote a hold-out beside.
    """

    total: float
    chance_sd: float | None
    parameter_sd: float

    def interval(self, level: float) -> tuple[float, float] | None:
        """Return the bounds that hold the total with probability *level*; None if unknown.

        Normal, of both deviations together, and never below zero.
        """
        if self.chance_sd is None:
            return None
        reach = NormalDist().inv_cdf((1 + level) / 2)
        reach *= math.hypot(self.chance_sd, self.parameter_sd)
        return max(0.0, self.total - reach), self.total + reach


class Forecast(NamedTuple):
    """What a group of customers is expected to do: purchase days, and their value."""

    customer_count: int
    purchases: Estimate
    value: Estimate


def forecast_customers(
    purchases: PurchaseModel,
    spending: SpendingModel,
    groups: Mapping[str, Sequence[Customer]],
    *,
    days: int,
) -> dict[str, Forecast]:
    """Return for each of *groups* what its customers are expected to do in *days*.

    Deviations of groups do not add up, as all share the parameters: for a total, pass all
    customers as one more group.  Work is done once per distinct history.
    """
    index: dict[History, int] = {}
    tallies = {}
    for name, customers in groups.items():
        tally = tallies[name] = _GroupTally(len(customers))
        for customer in customers:
            place = index.setdefault(customer.history, len(index))
            _add_customer(tally, place, customer, spending)
    histories = list(index)
    moments = _Moments(
        expect_futures(purchases.parameters, histories, days),
        expect_pairs(purchases.parameters, histories, days),
        derive_futures(purchases.parameters, histories, days),
    )
    return {
        name: _forecast_group(tally, moments, purchases, spending)
        for name, tally in tallies.items()
    }


def expect_each(
    purchases: PurchaseModel,
    spending: SpendingModel,
    customers: Sequence[Customer],
    *,
    days: int,
) -> list[tuple[float, float]]:
    """Return the purchases and the value expected of each of *customers* in *days*."""
    futures = expect_futures(
        purchases.parameters, [customer.history for customer in customers], days
    )
    return [
        (future, future * spending.expected_value(customer.frequency, customer.mean_value))
        for future, customer in zip(futures, customers, strict=True)
    ]


# ---- Groups of customers -----------------------------------------------------------------


class _Moments(NamedTuple):
    """By history: E[X], E[X(X - 1)], and E[X] derived by each log-parameter."""

    futures: list[float]
    pairs: list[float]
    derivatives: list[list[float]]


@dataclass
class _GroupTally:
    """Sums over one group's customers, by their history's place in the list of all.

    A row is [customers, sum of e, of e^2, of E[(p / nu)^2], of E[Z^2], and of e derived by
    the logarithms of p, q and gamma], where e = E[p / nu].
    """

    customer_count: int

    def __post_init__(self) -> None:
        self.rows: dict[int, list[float]] = {}


def _add_customer(
    tally: _GroupTally, place: int, customer: Customer, spending: SpendingModel
) -> None:
    """Add *customer*, whose history is at *place*, to *tally*."""
    frequency, _, _, mean_value = customer
    if mean_value < 0:
        raise DataError(
            f"A customer's repeat purchases are worth {mean_value:g} {spending.money_unit}"
            " each, expected zero or more. Count refunds up to what was paid."
        )
    p, q, gamma = spending.parameters
    value = spending.expected_value(frequency, mean_value)
    square, purchase_square = spending.expected_squares(frequency, mean_value)
    # The derivatives of ln e, worked from e = p (gamma + x m) / (q + p x - 1).
    shape = q + p * frequency - 1
    row = tally.rows.setdefault(place, [0.0] * 8)
    row[0] += 1
    row[1] += value
    row[2] += value * value
    row[3] += square
    row[4] += purchase_square
    row[5] += value * (q - 1) / shape
    row[6] -= value * q / shape
    row[7] += value * gamma / (gamma + frequency * mean_value)


def _forecast_group(
    tally: _GroupTally, moments: _Moments, purchases: PurchaseModel, spending: SpendingModel
) -> Forecast:
    """Return the forecast of one group.

    Chance: with X purchases of independent values Z given nu, the variance of a customer's
    value is E[X] E[Z^2] + E[X(X - 1)] E[(p / nu)^2] - (E[X] E[p / nu])^2, and that of X is
    E[X] + E[X(X - 1)] - E[X]^2; customers are independent.  Parameters: the delta method,
    the two models being fitted apart.
    """
    count = value = count_variance = value_variance = 0.0
    by_spending = [0.0] * 3
    count_by_purchases = [0.0] * len(moments.derivatives)
    value_by_purchases = [0.0] * len(moments.derivatives)
    for place, row in tally.rows.items():
        customers, values, value_squares, squares, purchase_squares, *slopes = row
        x, pairs = moments.futures[place], moments.pairs[place]
        count += customers * x
        value += values * x
        count_variance += customers * (x + pairs - x * x)
        value_variance += x * purchase_squares + pairs * squares - x * x * value_squares
        for i, slope in enumerate(slopes):
            by_spending[i] += slope * x
        for i, derivative in enumerate(moments.derivatives):
            count_by_purchases[i] += customers * derivative[place]
            value_by_purchases[i] += values * derivative[place]
    count_spread = delta_variance(count_by_purchases, purchases.covariance)
    value_spread = delta_variance(value_by_purchases, purchases.covariance)
    value_spread += delta_variance(by_spending, spending.covariance)
    known = math.isfinite(value_variance)
    return Forecast(
        tally.customer_count,
        Estimate(count, math.sqrt(count_variance), math.sqrt(count_spread)),
        Estimate(
            value, math.sqrt(value_variance) if known else None, math.sqrt(value_spread)
        ),
    )
