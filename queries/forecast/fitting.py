"""Fit both models to the histories of a shop, with seasonal factors where measurable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel, fit_purchases
from queries.forecast.demand import (
    NO_VARIATION,
    CommonDeviation,
    DemandVariation,
    deviate_demand,
    measure_demand,
)
from queries.forecast.gamma_gamma import SpendingModel, fit_spending
from queries.forecast.observed_customers import (
    CountedHistories,
    ObservedCustomers,
    count_by_summary,
    list_summaries,
)
from queries.forecast.rate_effect import (
    RatedValue,
    RateSpendingModel,
    RateTest,
    fit_rate_effect,
)
from queries.forecast.seasonality import (
    MAX_CHANGE,
    MAX_ROUNDS,
    NO_SEASONS,
    SeasonalClock,
    build_clock,
    has_measurable_seasons,
    measure_seasonal_factors,
)
from queries.forecast.value_variation import (
    NO_VALUE_VARIATION,
    ValueVariation,
    deviate_value,
)
from utils.helpers import DataError

# In a single cohort, the age of the customers and the season cannot be separated.
MIN_COHORTS = 2


class PurchaseFit(NamedTuple):
    """The purchase model, and the clock that it was fitted with.

    *seasonal_factors* are those of *clock*, for January, February, ...; None where none can
    be measured and the clock counts calendar days.  *demand* is what varies beside them.
    """

    model: PurchaseModel
    clock: SeasonalClock
    seasonal_factors: list[float] | None
    demand: DemandVariation = NO_VARIATION


class ModelFit(NamedTuple):
    """Both models, fitted to the same customers.

    *rated* is the spending model with a rate effect, significant or not, and *rate_test*
    the test of it; both are None where the customers determine no effect.
    *value_variation* is how much the value of purchases varies by quarter; it is measured
    apart, on the histories that `fit_models` does not need.
    """

    purchases: PurchaseFit
    spending: SpendingModel
    rated: RateSpendingModel | None
    rate_test: RateTest | None
    value_variation: ValueVariation = NO_VALUE_VARIATION

    def list_choices(self) -> list[ModelFit]:
        """Return this fit and, if there is one, that with the rate effect."""
        return [self, *([self._replace(spending=self.rated)] if self.rated else [])]

    def use_rate_effect(self) -> ModelFit:
        """Return this fit, with the rate effect if its test is significant."""
        if self.rated and self.rate_test and self.rate_test.is_significant:
            return self._replace(spending=self.rated)
        return self

    def deviate(self, until: int, days: int) -> CommonDeviation:
        """Return how all customers together deviate in the *days* after *until*."""
        purchases = deviate_demand(self.purchases.demand, self.purchases.clock, until, days)
        value = deviate_value(self.value_variation, days)
        return CommonDeviation(purchases, math.hypot(purchases, value))


def fit_models(
    histories: CountedHistories, customers: ObservedCustomers, last: int
) -> ModelFit:
    """Fit both models to *customers*, whose histories are counted in *histories*.

    The clock reaches to the day *last*.  Raise `DataError` where the data do not support
    the models.
    """
    purchases = fit_purchase_model(histories, last)
    values = list_rated_values(customers, purchases)
    spending = fit_spending(((x, mean) for x, mean, _ in values), money_unit="cents")
    return ModelFit(purchases, spending, *fit_rate_effect(values, spending))


def fit_purchase_model(histories: CountedHistories, last: int) -> PurchaseFit:
    """Fit the purchase model, with seasonal factors where they can be measured.

    The clock reaches to the day *last*.  Raise `DataError` where the data do not support a
    model.
    """
    starts = histories.starts
    require_cohorts(starts, histories.until)
    fit = fit_with_clock(histories, build_clock(NO_SEASONS, min(starts), last))
    if has_measurable_seasons(starts, histories.until):
        fit = fit_with_seasons(fit, histories)
    demand = measure_demand(
        fit.model,
        fit.clock,
        starts,
        histories.repeats,
        histories.until,
        has_seasons=fit.seasonal_factors is not None,
    )
    return fit._replace(demand=demand)


def list_rated_values(
    customers: ObservedCustomers, purchases: PurchaseFit
) -> list[RatedValue]:
    """Return the values of the customers who paid for a repeat purchase.

    Their rates are those of *purchases*.
    """
    log_rate = cache(purchases.model.log_rate)
    return [
        (frequency, spent / frequency, log_rate(frequency, age))
        for (frequency, _, age), spent in zip(
            list_summaries(customers, purchases.clock), customers.spent, strict=True
        )
        if spent > 0
    ]


def require_cohorts(starts: Mapping[int, int], until: int) -> None:
    """Raise `DataError` unless the first purchases, counted by day, are in two months."""
    if not starts:
        raise DataError(
            f"There are no customers to forecast: no valid order by"
            f" {date.fromordinal(until)}. Load valid orders, or choose a later day with"
            " --as-of."
        )
    cohorts = {date.fromordinal(day).isoformat()[:7] for day in starts}
    if len(cohorts) < MIN_COHORTS:
        raise DataError(
            f"All customers first bought in {min(cohorts)}, expected first purchases in at"
            f" least {MIN_COHORTS} months: with one, the age of customers cannot be"
            " separated from the season. Load a longer window."
        )


def fit_with_seasons(first_fit: PurchaseFit, histories: CountedHistories) -> PurchaseFit:
    """Return *first_fit* with seasonal factors: both are fitted in turn.

    Where no model can be fitted in seasonally adjusted days, *first_fit* stays.
    """
    starts = histories.starts
    fit, factors = first_fit, list(NO_SEASONS)
    for _ in range(MAX_ROUNDS):
        old_factors = factors
        factors = measure_seasonal_factors(
            fit.model, fit.clock, old_factors, starts, histories.repeats, histories.until
        )
        clock = build_clock(factors, fit.clock.first, fit.clock.last)
        try:
            fit = fit_with_clock(histories, clock, near=fit.model)
        except DataError:
            return first_fit
        fit = fit._replace(seasonal_factors=factors)
        if _largest_change(old_factors, factors) <= MAX_CHANGE:
            break
    return fit


def _largest_change(old: list[float], new: list[float]) -> float:
    return max(abs(after / before - 1) for before, after in zip(old, new, strict=True))


def fit_with_clock(
    histories: CountedHistories, clock: SeasonalClock, *, near: PurchaseModel | None = None
) -> PurchaseFit:
    """Fit the purchase model in the days of *clock*, beginning *near* a similar one."""
    return PurchaseFit(fit_purchases(count_by_summary(histories, clock), near), clock, None)
