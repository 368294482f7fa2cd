"""The forecast of each cohort: the document for the JSON, from purchase histories.

A purchase is a day on which a customer has valid orders; its value is that of the goods
after discounts.  Time is in seasonally adjusted days where seasons can be measured (see
`seasonality`).  Refunds are subtracted as a share of the value, the same for all customers,
because they have no model of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from operator import call
from typing import Any, NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.clv import (
    INTERVAL_LEVEL,
    GroupForecast,
    estimate_forecast,
)
from queries.forecast.fitting import ModelFit, fit_models
from queries.forecast.forecast_sums import (
    SimilarCustomers,
    add_sums,
    count_members,
    sum_groups,
)
from queries.forecast.gamma_gamma import SpendingModel
from queries.forecast.histories import PurchaseHistories, name_cohort, parse_day
from queries.forecast.holdout import build_holdout, judge_holdout
from queries.forecast.newton import FittedModel
from queries.forecast.observed_customers import (
    CountedHistories,
    ObservedCustomers,
    count_histories,
    describe_groups,
    observe_customers,
    select_customers,
)
from queries.forecast.rate_effect import RateTest
from queries.forecast.seasonality import SeasonalClock
from queries.forecast.value_variation import measure_value_variation
from utils.helpers import DataError
from utils.months import first_day, month_number
from utils.processes import run_tasks
from utils.ratios import quotient

HORIZON_MONTHS = (3, 6, 12)

# The longest horizon, with a leap day.
MAX_DAYS_AHEAD = 366

# The purchases for which a process is started, which take about 0.3 s.
PURCHASES_PER_WORKER = 20_000

# How many months ago the months on which the share of refunds is measured ended at least:
# orders of later months may still be refunded.
REFUND_MONTHS = 2


# The clocks that the models may count in.
SEASONAL_CLOCK, CALENDAR_CLOCK = "seasonally adjusted days", "calendar days"


class CohortForecast(NamedTuple):
    """The forecast as in the JSON, with all that it was computed from."""

    document: dict[str, Any]
    fit: ModelFit
    kept_share: float
    customers: ObservedCustomers


def forecast_cohorts(
    histories: PurchaseHistories,
    refunds: Mapping[str, tuple[int, int]],
    as_of: str,
    *,
    segments: Mapping[int, str] | None = None,
    is_by_quarter: bool = False,
    worker_count: int = 1,
) -> CohortForecast:
    """Forecast from the end of the day *as_of*, for cohorts by month or by quarter.

    *refunds* are by month: the cents refunded in it, and the cents refunded of its orders.
    *segments* are by user id; with them the customers of each are forecast too.
    At most *worker_count* processes compute it; their number changes no figure.  Raise
    `DataError` where the data do not support a model.
    """
    if not as_of:
        raise DataError("There are no orders to forecast from, expected some. Load orders.")
    worker_count = limit_forecast_workers(histories, worker_count)
    customers = observe_customers(histories, parse_day(as_of))
    counted = count_histories(customers)
    steps = list_steps(histories, customers, counted)
    with closing(run_tasks(call, steps, worker_count)) as results:
        fit = next(results)
        # Here, so that the purchases are not sent to the process of the fit.
        kept_share = compute_kept_share(histories, refunds, as_of)
        variation = measure_value_variation(histories, customers.until)
        fit = fit._replace(value_variation=variation)
        holdout = next(results)
    if holdout.get("has_rate_effect"):
        fit = fit.use_rate_effect()
    groups = group_by_cohort(counted, fit.purchases.clock, is_by_quarter=is_by_quarter)
    total, *cohorts = forecast_groups(fit, list(groups.values()), as_of, kept_share)
    add_differences(cohorts, total)
    factors = fit.purchases.seasonal_factors
    document = {
        "is_forecast": True,
        "from": as_of,
        "level": INTERVAL_LEVEL,
        "purchase_model": describe_purchase_model(fit.purchases.model),
        "spending_model": describe_spending_model(fit.spending, fit.rate_test),
        "clock": SEASONAL_CLOCK if factors else CALENDAR_CLOCK,
        "seasonal_factors": [round(factor, 3) for factor in factors] if factors else None,
        "kept_share": round(kept_share, 4),
        "total": total,
        "cohorts": [
            {"cohort": name, "cohort_size": count_members(members), "horizons": horizons}
            for (name, members), horizons in zip(groups.items(), cohorts, strict=True)
        ],
        "holdout": holdout,
        "verdict": judge_holdout(holdout),
    }
    if segments:
        document["segments"] = forecast_segments(
            fit, split_customers(customers, segments), total, as_of, kept_share
        )
    return CohortForecast(document, fit, kept_share, customers)


def limit_forecast_workers(histories: PurchaseHistories, worker_count: int) -> int:
    """Return how many processes, at most *worker_count*, are worth their start."""
    return max(1, min(worker_count, len(histories.days) // PURCHASES_PER_WORKER))


def list_steps(
    histories: PurchaseHistories, customers: ObservedCustomers, counted: CountedHistories
) -> list[tuple[Any, ...]]:
    """Return the steps that do not depend on each other: functions and their arguments."""
    return [
        (fit_models, counted, customers, customers.until + MAX_DAYS_AHEAD),
        (build_holdout, histories, customers.until),
    ]


def group_by_cohort(
    histories: CountedHistories, clock: SeasonalClock, *, is_by_quarter: bool
) -> dict[str, list[SimilarCustomers]]:
    """Return the customers of each cohort, by name, in days of *clock*."""
    cohorts: dict[str, list[SimilarCustomers]] = {}
    # Groups are sorted by their first day, and so are the names.
    for group, described in zip(
        histories.groups, describe_groups(histories, clock), strict=True
    ):
        name = name_cohort(group.first_day, is_by_quarter=is_by_quarter)
        cohorts.setdefault(name, []).append(described)
    return cohorts


def forecast_segments(
    fit: ModelFit,
    segments: Mapping[str, ObservedCustomers],
    total: Sequence[Mapping[str, Any]],
    as_of: str,
    kept_share: float,
) -> list[dict[str, Any]]:
    """Return the forecast of each of *segments*; *total* is that of all customers.

    The models are those of all customers, and each customer has an expectation of its own.
    So the segments add up to the total.
    """
    groups = [
        describe_groups(count_histories(customers), fit.purchases.clock)
        for customers in segments.values()
    ]
    _, *found = forecast_groups(fit, groups, as_of, kept_share)
    add_differences(found, total)
    return [
        {"segment": name, "customer_count": len(customers.user_ids), "horizons": horizons}
        for (name, customers), horizons in zip(segments.items(), found, strict=True)
    ]


def split_customers(
    customers: ObservedCustomers, segments: Mapping[int, str]
) -> dict[str, ObservedCustomers]:
    """Return the customers of each segment, in the order of the segments' names."""
    places: dict[str, list[int]] = {}
    for place, user_id in enumerate(customers.user_ids):
        places.setdefault(segments[user_id], []).append(place)
    return {name: select_customers(customers, places[name]) for name in sorted(places)}


def add_differences(
    groups: Sequence[Sequence[Mapping[str, Any]]], total: Sequence[Mapping[str, Any]]
) -> None:
    """Change the net of the *groups* until it adds up to the *total*, by horizon.

    Each group was rounded once; the cents that rounding leaves go to the largest.
    """
    for at, horizon in enumerate(total):
        nets = [horizons[at]["net_cents"] for horizons in groups]
        add_difference(nets, horizon["net_cents"]["forecast"])


def add_difference(nets: Sequence[dict[str, Any]], total: int) -> None:
    """Change the forecasts in *nets*, the largest first, by a cent until they are *total*.

    An interval that ends at such a forecast is extended to it.

    >>> nets = [{"forecast": 10}, {"forecast": 30}, {"forecast": 20}]
    >>> nets = [net | {"low": 0, "high": net["forecast"]} for net in nets]
    >>> add_difference(nets, 62)
    >>> [(net["forecast"], net["high"]) for net in nets]
    [(10, 10), (31, 31), (21, 21)]
    """
    difference = total - sum(net["forecast"] for net in nets)
    step = 1 if difference > 0 else -1
    largest_first = sorted(nets, key=lambda net: -net["forecast"])
    for net in largest_first[: abs(difference)]:
        net["forecast"] += step
        net["low"] = min(net["low"], net["forecast"])
        net["high"] = max(net["high"], net["forecast"])


def forecast_groups(
    fit: ModelFit,
    groups: Sequence[Sequence[SimilarCustomers]],
    as_of: str,
    kept_share: float,
) -> list[list[dict[str, Any]]]:
    """Return the forecasts of all *groups* together and of each of them.

    Each is one for each of `HORIZON_MONTHS`.
    """
    until = parse_day(as_of)
    days = [count_days_ahead(as_of, months) for months in HORIZON_MONTHS]
    clock_days = [fit.purchases.clock.days_between(until, until + each) for each in days]
    deviations = [fit.deviate(until, each) for each in days]
    sums = sum_groups(fit.purchases.model, fit.spending, groups, clock_days)
    total = [add_sums(by_group) for by_group in zip(*sums, strict=True)]
    return [
        [
            {"months": horizon_months, "days": horizon_days}
            | describe_forecast(
                estimate_forecast(
                    fit.purchases.model, fit.spending, of_horizon, kept_share, deviation
                )
            )
            for horizon_months, horizon_days, deviation, of_horizon in zip(
                HORIZON_MONTHS, days, deviations, of_group, strict=True
            )
        ]
        for of_group in [total, *sums]
    ]


def count_days_ahead(as_of: str, months: int) -> int:
    """Return the days in the *months* that start on the day after *as_of*.

    They end before the same day of a later month, or before its last day if it has no such
    day.  So six months from the end of June reach to the end of December.

    >>> [count_days_ahead(day, 6) for day in ("2025-06-30", "2025-06-29", "2025-08-30")]
    [184, 183, 181]
    """
    start = _next_day(as_of)
    month = month_number(start.isoformat()) + months
    first = first_day(month)
    month_days = (first_day(month + 1) - first).days
    return (first.replace(day=min(start.day, month_days)) - start).days


def _next_day(day: str) -> date:
    return date.fromisoformat(day) + timedelta(days=1)


def compute_kept_share(
    histories: PurchaseHistories,
    refunds: Mapping[str, tuple[int, int]],
    as_of: str,
) -> float:
    """Return the share of goods sold that was not refunded, in cents.

    It is measured on the months that ended at least `REFUND_MONTHS` before *as_of*;
    *refunds* are as in `forecast_cohorts`.  Raise `DataError` if nothing was sold in them,
    or nothing of it was kept.
    """
    # The month of the next day is the first month that is not complete.
    first_excluded = month_number(_next_day(as_of).isoformat()) - REFUND_MONTHS
    first_excluded_day = first_day(first_excluded).toordinal()
    goods = sum(
        cents
        for day, cents in zip(histories.days, histories.cents, strict=True)
        if day < first_excluded_day
    )
    returned = sum(
        of_orders
        for month, (_, of_orders) in refunds.items()
        if month_number(month) < first_excluded
    )
    if goods <= 0:
        raise DataError(
            f"No goods were sold in months that ended at least {REFUND_MONTHS} months"
            f" before {as_of}, expected some: the share of refunds is measured on them."
            " Load a longer window."
        )
    if returned >= goods:
        raise DataError(
            f"Refunds are {returned / goods:.0%} of the goods sold in months that ended at"
            f" least {REFUND_MONTHS} months before {as_of}, expected less than 100%: no net"
            " remains to forecast. Look for refunds that were recorded twice."
        )
    return 1 - returned / goods


# ---- As JSON -----------------------------------------------------------------------------


def add_cumulative_values(
    document: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]
) -> None:
    """Add to each horizon of a cohort its age and its net until then, for each customer.

    That is the net so far, from the last observed one of *cells*, plus the forecast; the
    age is `months_since`, counted as in *cells*.
    """
    last_cells = {
        cell["cohort"]: cell
        for cell in sorted(cells, key=lambda cell: cell["months_since"])
        if cell.get("is_observed", 1)
    }
    for cohort in document["cohorts"]:
        last = last_cells.get(cohort["cohort"])
        if last is None:
            continue
        for horizon in cohort["horizons"]:
            horizon["months_since"] = last["months_since"] + horizon["months"]
            horizon["cum_net_per_customer_cents"] = {
                name: quotient(last["cum_net_cents"] + cents, cohort["cohort_size"])
                for name, cents in horizon["net_cents"].items()
            }


def describe_forecast(forecast: GroupForecast) -> dict[str, Any]:
    """Return the purchase days of *forecast* and its net in cents, with intervals."""
    count = forecast.customer_count
    return {
        "purchases": forecast.purchases.describe(digits=1),
        "net_cents": forecast.value.describe(),
        "net_per_customer_cents": round(forecast.value.total / count) if count else None,
    }


def describe_purchase_model(model: PurchaseModel) -> dict[str, Any]:
    """Return the parameters of *model* with their unit and standard errors."""
    return {"name": model.name, "time_unit": model.time_unit} | _describe_fit(model)


def describe_spending_model(
    model: SpendingModel, rate_test: RateTest | None
) -> dict[str, Any]:
    """Return the parameters of *model*, their unit and standard errors, and the test."""
    return {
        "name": model.name,
        "money_unit": model.money_unit,
        **_describe_fit(model),
        "frequency_correlation": round(model.frequency_correlation, 3),
        "has_finite_variance": model.has_finite_variance,
        "rate_test": rate_test
        and {
            "statistic": round(rate_test.statistic, 2),
            "p_value": float(f"{rate_test.p_value:.2g}"),
        },
    }


def _describe_fit(model: FittedModel) -> dict[str, Any]:
    """Return parameters to four significant digits: no data determine more."""
    names = model.parameter_names
    return {
        "customer_count": model.customer_count,
        "log_likelihood": round(model.log_likelihood, 2),
        "parameters": {
            name: float(f"{value:.4g}")
            for name, value in zip(names, model.parameters, strict=True)
        },
        "standard_errors": {
            name: float(f"{value:.2g}")
            for name, value in zip(names, model.standard_errors, strict=True)
        },
    }
