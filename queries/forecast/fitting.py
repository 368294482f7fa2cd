"""Fit both models to the histories of a shop, with seasonal factors where measurable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel, fit_purchases
from queries.forecast.clv import Customer
from queries.forecast.gamma_gamma import SpendingModel, fit_spending
from queries.forecast.histories import PurchaseHistories, describe_customers
from queries.forecast.seasonality import (
    MAX_CHANGE,
    MAX_ROUNDS,
    NO_SEASONS,
    SeasonalClock,
    build_clock,
    has_measurable_seasons,
    measure_seasonal_factors,
)
from utils.helpers import DataError

# In a single cohort, the age of the customers and the season cannot be separated.
MIN_COHORTS = 2


class PurchaseFit(NamedTuple):
    """The purchase model, with the customers and the clock that it was fitted with.

    *customers* are by user id.  *seasonal_factors* are those of *clock*, for January,
    February, ...; None where none can be measured and the clock counts calendar days.
    """

    model: PurchaseModel
    customers: dict[int, Customer]
    clock: SeasonalClock
    seasonal_factors: list[float] | None


class ModelFit(NamedTuple):
    """Both models, fitted to the same customers."""

    purchases: PurchaseFit
    spending: SpendingModel


def fit_models(histories: PurchaseHistories, until: int, last: int) -> ModelFit:
    """Fit both models to the purchases up to the day *until*.

    The clock reaches to the day *last*.  Raise `DataError` where the data do not support a
    model.
    """
    starts = Counter(day for day in histories.first_days if day <= until)
    require_cohorts(starts, until)
    purchases = fit_with_clock(histories, until, build_clock(NO_SEASONS, min(starts), last))
    if has_measurable_seasons(starts, until):
        purchases = fit_with_seasons(purchases, histories, starts, until)
    spending = fit_spending(
        (
            (customer.frequency, customer.mean_value)
            for customer in purchases.customers.values()
            if customer.frequency and customer.mean_value > 0
        ),
        money_unit="cents",
    )
    return ModelFit(purchases, spending)


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


def fit_with_seasons(
    first_fit: PurchaseFit,
    histories: PurchaseHistories,
    starts: Mapping[int, int],
    until: int,
) -> PurchaseFit:
    """Return *first_fit* with seasonal factors: both are fitted in turn.

    *starts* counts customers by the day of their first purchase.
    """
    repeats = Counter(day for day in histories.days if day <= until)
    repeats.subtract(starts)
    fit, factors = first_fit, list(NO_SEASONS)
    for _ in range(MAX_ROUNDS):
        old_factors = factors
        factors = measure_seasonal_factors(
            fit.model, fit.clock, old_factors, starts, repeats, until
        )
        clock = build_clock(factors, fit.clock.first, fit.clock.last)
        fit = fit_with_clock(histories, until, clock)._replace(seasonal_factors=factors)
        if _largest_change(old_factors, factors) <= MAX_CHANGE:
            break
    return fit


def _largest_change(old: list[float], new: list[float]) -> float:
    return max(abs(after / before - 1) for before, after in zip(old, new, strict=True))


def fit_with_clock(
    histories: PurchaseHistories, until: int, clock: SeasonalClock
) -> PurchaseFit:
    """Fit the purchase model to the purchases up to *until*, in the days of *clock*."""
    customers = describe_customers(histories, until, clock)
    model = fit_purchases(Counter(each.summary for each in customers.values()))
    return PurchaseFit(model, customers, clock, None)
