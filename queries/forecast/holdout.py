"""The holdout: models fitted to the first part of the data forecast the last part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from queries.forecast.calibration import (
    continue_as_before,
    find_later_purchases,
    forecast_choices,
    measure_customers,
    measure_values,
    relative_error,
    track_weeks,
)
from queries.forecast.clv import Estimate, forecast_group
from queries.forecast.fitting import fit_models
from queries.forecast.histories import PurchaseHistories
from queries.forecast.observed_customers import (
    count_histories,
    describe_groups,
    observe_customers,
)
from queries.forecast.seasonality import MIN_DAYS, has_measurable_seasons
from queries.forecast.value_variation import measure_value_variation
from utils.formats import count_noun
from utils.helpers import DataError

# The holdout is the last half of the data, at most a year.  Where seasons are measurable,
# the first part keeps at least a year, if that leaves this many days.
MAX_HOLDOUT_DAYS = 365
MIN_HOLDOUT_DAYS = 90

# A forecast is good where neither the purchases nor the value of the holdout are further
# off than the first share, and not usable where one of them is beyond the second.
# Published errors of such models on a holdout are 2 to 15 %.
GOOD_ERROR, USABLE_ERROR = 0.15, 0.40


def build_holdout(histories: PurchaseHistories, until: int) -> dict[str, Any]:
    """Return the forecast of the last days up to *until* beside the actual figures.

    The customers are those of the first part; value is that of goods, before refunds.  It
    also decides whether the spending model has a rate effect: with the smaller errors.  The
    effect need not be significant in the first part; `ModelFit.use_rate_effect` requires it
    of all data.  Where the first part does not support a model, return the reason as
    `refused`.
    """
    days = count_holdout_days(Counter(histories.first_days), until)
    split = until - days
    try:
        observed = observe_customers(histories, split)
        counted = count_histories(observed)
        choices = fit_models(counted, observed, until).list_choices()
    except DataError as error:
        return {"refused": _explain_refusal(histories, split, error)}
    later = find_later_purchases(histories, split, until)
    actual = later.columns
    forecasts = forecast_choices(observed, choices, days)
    best = 0
    if len(choices) > 1:
        errors = [measure_values(forecast, actual) for forecast in forecasts]
        best = errors.index(min(errors))
    variation = measure_value_variation(histories, split)
    fit = choices[best]._replace(value_variation=variation)
    purchases = fit.purchases
    forecast = forecast_group(
        purchases.model,
        fit.spending,
        describe_groups(counted, purchases.clock),
        days=purchases.clock.days_between(split, until),
        deviation=fit.deviate(split, days),
    )
    purchase_count, cents = map(round, actual.add_up(range(len(actual.cents))))
    return {
        "fitted_until": date.fromordinal(split).isoformat(),
        "days": days,
        "customer_count": forecast.customer_count,
        "purchases": compare_with_actual(forecast.purchases, purchase_count),
        "value_cents": compare_with_actual(forecast.value, cents),
        "has_rate_effect": best > 0,
        "tracking": track_weeks(purchases, observed, later, until),
        **measure_customers(forecasts[best], continue_as_before(observed, days), actual),
    }


def _explain_refusal(histories: PurchaseHistories, split: int, error: DataError) -> str:
    """Return why the first part of the data, which ends at *split*, has no model."""
    days = split + 1 - min(histories.first_days)
    return (
        f"The first part of the data, {count_noun(days, 'day')} until"
        f" {date.fromordinal(split)}, supports no model. {error}"
    )


def judge_holdout(holdout: Mapping[str, Any]) -> dict[str, str]:
    """Return a verdict on the forecast from its *holdout*: `status`, and `text` in words.

    >>> of_purchases, of_value = {"error": 0.04}, {"error": -0.362}
    >>> judge_holdout({"purchases": of_purchases, "value_cents": of_value})["text"]
    'Rough: in the holdout the value was forecast 36% too low.'
    """
    if "refused" in holdout:
        return {"status": "not tested", "text": "Not tested: there is no holdout."}
    purchases, value = holdout["purchases"], holdout["value_cents"]
    if purchases["error"] is None or value["error"] is None:
        return {"status": "not usable", "text": _explain_zero(purchases)}
    errors = {"number of purchases": purchases["error"], "value": value["error"]}
    name = max(errors, key=lambda name: abs(errors[name]))
    error = errors[name]
    status = "rough" if abs(error) <= USABLE_ERROR else "not usable"
    if abs(error) <= GOOD_ERROR:
        status = "good"
    direction = "high" if error > 0 else "low"
    return {
        "status": status,
        "text": f"{status.capitalize()}: in the holdout the {name} was forecast"
        f" {abs(error):.0%} too {direction}.",
    }


def _explain_zero(purchases: Mapping[str, Any]) -> str:
    """Return why a holdout whose purchases or their value are 0 has no relative error."""
    if purchases["actual"]:
        return "Not usable: the purchases of the holdout had no value."
    count = count_noun(purchases["forecast"], "purchase")
    return f"Not usable: nobody bought in the holdout, for which {count} were forecast."


def count_holdout_days(starts: Mapping[int, int], until: int) -> int:
    """Return the number of days up to *until* that are not used for the fit.

    *starts* counts customers by the day of their first purchase.
    """
    day_count = until + 1 - min(starts)
    days = min(MAX_HOLDOUT_DAYS, day_count // 2)
    spare = day_count - MIN_DAYS
    if spare >= MIN_HOLDOUT_DAYS and has_measurable_seasons(starts, until):
        return min(days, spare)
    return days


def compare_with_actual(estimate: Estimate, actual: int) -> dict[str, Any]:
    """Return *estimate* and the *actual* figure; *error* is relative to the latter."""
    return estimate.describe() | {
        "actual": actual,
        "error": relative_error(estimate.total, actual),
    }
