"""Expected purchases of groups of customers and their value, with intervals.

BG/NBD gives the number of purchases and Gamma-Gamma the value of each; frequency and value
are assumed to be independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.demand import NO_DEVIATION, CommonDeviation
from queries.forecast.forecast_sums import ForecastSums, SimilarCustomers, sum_forecasts
from queries.forecast.gamma_gamma import SpendingModel
from queries.forecast.newton import delta_variance

# The probability that an interval contains the actual figure, if the model is right.
INTERVAL_LEVEL = 0.95


class Estimate(NamedTuple):
    """A forecast total and three standard deviations of it.

    *chance_sd* comes from the customers' random behaviour, given the parameters,
    *parameter_sd* from the error of the parameters, *common_sd* from what changes the
    purchases of all customers together.  None of them contains the error of a wrong model:
    a holdout shows that.
    """

    total: float
    chance_sd: float
    parameter_sd: float
    common_sd: float = 0.0

    def interval(self, level: float) -> tuple[float, float]:
        """Return the bounds that contain the total with probability *level*.

        They are normal, from all deviations together, and not below zero unless the total
        is.
        """
        half_width = NormalDist().inv_cdf((1 + level) / 2)
        half_width *= math.hypot(self.chance_sd, self.parameter_sd, self.common_sd)
        low = self.total - half_width
        return low if self.total < 0 else max(0.0, low), self.total + half_width

    def describe(self, *, digits: int | None = None) -> dict[str, Any]:
        """Return the total and its interval, rounded to *digits* decimals.

        Without *digits* the figures are whole numbers.
        """
        low, high = self.interval(INTERVAL_LEVEL)
        return {
            name: round(figure, digits)
            for name, figure in (("forecast", self.total), ("low", low), ("high", high))
        }


class GroupForecast(NamedTuple):
    """The expected purchase days of a group of customers, and the value of these days."""

    customer_count: int
    purchases: Estimate
    value: Estimate


def forecast_group(
    purchases: PurchaseModel,
    spending: SpendingModel,
    customers: Sequence[SimilarCustomers],
    *,
    days: int,
    kept_share: float = 1.0,
    deviation: CommonDeviation = NO_DEVIATION,
) -> GroupForecast:
    """Return the forecast of *customers* for the next *days*; see `estimate_forecast`."""
    (sums,) = sum_forecasts(purchases, spending, customers, [days])
    return estimate_forecast(purchases, spending, sums, kept_share, deviation)


def estimate_forecast(
    purchases: PurchaseModel,
    spending: SpendingModel,
    sums: ForecastSums,
    kept_share: float = 1.0,
    deviation: CommonDeviation = NO_DEVIATION,
) -> GroupForecast:
    """Return the forecast of a group from its *sums*, of which *kept_share* is kept.

    *kept_share*, 0 to 1, is what refunds leave of the value.  *deviation* is what all
    customers have in common, see `ModelFit.deviate`.

    The deviation by the parameters is that of the delta method.  The two models are fitted
    separately, so the variances of a value by their parameters add up.

    Refunds are random too.  If a purchase is either kept, with probability k, or refunded
    completely, the variance of the value V of purchases Z that remains is
    k^2 Var[V] + k (1 - k) E[sum of Z^2].
    """
    parameter_variance = delta_variance(sums.purchase_slopes, purchases.covariance)
    value_parameter_variance = delta_variance(sums.value_slopes, purchases.covariance)
    value_parameter_variance += delta_variance(sums.spending_slopes, spending.covariance)
    value_variance = kept_share**2 * sums.value_variance
    value_variance += kept_share * (1 - kept_share) * sums.value_squares
    return GroupForecast(
        sums.customer_count,
        Estimate(
            sums.purchases,
            math.sqrt(sums.purchase_variance),
            math.sqrt(parameter_variance),
            deviation.purchases * sums.purchases,
        ),
        Estimate(
            kept_share * sums.value,
            math.sqrt(value_variance),
            kept_share * math.sqrt(value_parameter_variance),
            deviation.value * kept_share * sums.value,
        ),
    )
