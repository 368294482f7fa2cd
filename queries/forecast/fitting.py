"""Fit both models to the histories of a shop, with seasonal factors where measurable."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel, fit_purchases
from queries.forecast.gamma_gamma import SpendingModel, fit_spending
from queries.forecast.observed_customers import (
    CountedHistories,
    ObservedCustomers,
    count_by_summary,
    describe_groups,
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
from utils.helpers import DataError

# In a single cohort, the age of the customers and the season cannot be separated.
MIN_COHORTS = 2


class PurchaseFit(NamedTuple):
    """The purchase model, and the clock that it was fitted with.

    *seasonal_factors* are those of *clock*, for January, February, ...; None where none can
    be measured and the clock counts calendar days.
    """

    model: PurchaseModel
    clock: SeasonalClock
    seasonal_factors: list[float] | None


class ModelFit(NamedTuple):
    """Both models, fitted to the same customers."""

    purchases: PurchaseFit
    spending: SpendingModel


def fit_purchase_model(histories: CountedHistories, last: int) -> PurchaseFit:
    """Fit the purchase model, with seasonal factors where they can be measured.

    The clock reaches to the day *last*.  Raise `DataError` where the data do not support a
    model.
    """
    starts = histories.starts
    require_cohorts(starts, histories.until)
    fit = fit_with_clock(histories, build_clock(NO_SEASONS, min(starts), last))
    if has_measurable_seasons(starts, histories.until):
        return fit_with_seasons(fit, histories)
    return fit


def fit_spending_model(customers: ObservedCustomers) -> SpendingModel:
    """Fit the spending model to the customers who paid for a repeat purchase.

    Raise `DataError` where the data do not support a model.
    """
    return fit_spending(
        (
            (frequency, spent / frequency)
            for frequency, spent in zip(customers.frequencies, customers.spent, strict=True)
            if spent > 0
        ),
        money_unit="cents",
    )


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
            fit = fit_with_clock(histories, clock)._replace(seasonal_factors=factors)
        except DataError:
            return first_fit
        if _largest_change(old_factors, factors) <= MAX_CHANGE:
            break
    return fit


def _largest_change(old: list[float], new: list[float]) -> float:
    return max(abs(after / before - 1) for before, after in zip(old, new, strict=True))


def fit_with_clock(histories: CountedHistories, clock: SeasonalClock) -> PurchaseFit:
    """Fit the purchase model in the days of *clock*."""
    customers = describe_groups(histories, clock)
    return PurchaseFit(fit_purchases(count_by_summary(customers)), clock, None)
