"""What the cohorts will bring: the models fitted to the shop's purchases, and a hold-out.

A purchase is a day with valid orders of a customer, its value the goods after discounts.
Time is the shop's (see `season_clock`), where the data tell its seasons.  What is sent back
is taken off as a share of the whole shop, because a refund has no model of its own.  Every
figure that is forecast says so in its name.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any, NamedTuple

from queries.cohorts import month_index, name_key, name_quarter
from queries.forecast.bg_nbd import PurchaseModel, fit_purchases
from queries.forecast.clv import Customer, Estimate, Forecast, forecast_customers
from queries.forecast.gamma_gamma import SpendingModel, fit_spending
from queries.forecast.seasonality import (
    LEAST_CHANGE,
    LEAST_DAYS,
    MOST_ROUNDS,
    STEADY,
    Clock,
    build_clock,
    measure_seasonal_factors,
    tells_seasons,
)
from utils.helpers import DataError
from utils.ratios import quotient

HORIZON_MONTHS = (3, 6, 12)

# The share of intervals that hold what comes, if the model is right.
LEVEL = 0.95

# The last days of the data are held back: half of them, at most a year.  Where the data
# tell the seasons, the first part keeps the year that tells them, if that leaves this many.
MOST_HOLDOUT_DAYS = 365
LEAST_HOLDOUT_DAYS = 90

# How far ahead the clock goes: the longest horizon, with a leap day.
MOST_AHEAD = 366

# Refunds are counted of months that ended so many months ago: later ones still get some.
MONTHS_UNTIL_REFUNDED = 2

# Of a single cohort the customers' age and the calendar are one.
LEAST_COHORTS = 2

# The group of all customers, which is no cohort's name.
ALL = ""


class PurchaseHistory(NamedTuple):
    """One customer's purchase days, ascending, as ordinals, and their goods in cents."""

    days: list[int]
    cents: list[int]


class TimedFit(NamedTuple):
    """The purchase model in the time of *clock*, and the customers by user id.

    *speeds* are those of the calendar's months, which *clock* counts by; of a steady one
    they are None.
    """

    purchases: PurchaseModel
    customers: dict[int, Customer]
    clock: Clock
    speeds: list[float] | None


class Fit(NamedTuple):
    """Both models of the same customers."""

    timed: TimedFit
    spending: SpendingModel


class CohortForecast(NamedTuple):
    """A forecast as the JSON says it, and what it was made with."""

    document: dict[str, Any]
    fit: Fit
    kept_share: float


def collect_histories(rows: Iterable[tuple[int, str, int]]) -> dict[int, PurchaseHistory]:
    """Return the past of each user from rows of user id, day and cents, in that order."""
    pasts: dict[int, PurchaseHistory] = {}
    for user_id, day, cents in rows:
        past = pasts.get(user_id)
        if past is None:
            past = pasts[user_id] = PurchaseHistory([], [])
        past.days.append(count_day(day))
        past.cents.append(cents)
    return pasts


@cache
def count_day(day: str) -> int:
    """Return the ordinal of a day such as 2024-02-29."""
    return date.fromisoformat(day).toordinal()


def fit_models(pasts: Mapping[int, PurchaseHistory], until: int, last: int) -> Fit:
    """Fit both models to what happened by *until*; raise `DataError` if they cannot be.

    The clock goes on to *last*.
    """
    starts = Counter(past.days[0] for past in pasts.values() if past.days[0] <= until)
    require_cohorts(starts)
    timed = fit_purchase_days(pasts, until, build_clock(STEADY, min(starts), last))
    if tells_seasons(starts, until):
        timed = settle_seasons(timed, pasts, starts, until)
    spending = fit_spending(
        (
            (customer.frequency, customer.mean_value)
            for customer in timed.customers.values()
            if customer.frequency and customer.mean_value > 0
        ),
        money_unit="cents",
    )
    return Fit(timed, spending)


def require_cohorts(starts: Mapping[int, int]) -> None:
    """Raise `DataError` unless the first purchases, counted by day, make some cohorts."""
    if not starts:
        raise DataError("There are no customers to forecast. Load valid orders of some.")
    cohorts = {date.fromordinal(day).isoformat()[:7] for day in starts}
    if len(cohorts) < LEAST_COHORTS:
        raise DataError(
            f"All customers first bought in {min(cohorts)}: of a single cohort nobody can"
            " tell whether it buys less because customers leave or because the season is"
            f" over, expected at least {LEAST_COHORTS}. Load a longer window."
        )


def settle_seasons(
    steady: TimedFit,
    pasts: Mapping[int, PurchaseHistory],
    starts: Mapping[int, int],
    until: int,
) -> TimedFit:
    """Return the fit of *steady* in a clock with seasons, both fitted in turn."""
    repeats = Counter(
        day for past in pasts.values() for day in past.days[1:] if day <= until
    )
    timed, speeds = steady, list(STEADY)
    for _ in range(MOST_ROUNDS):
        better = measure_seasonal_factors(
            timed.purchases, timed.clock, speeds, starts, repeats, until
        )
        change = max(abs(new / old - 1) for new, old in zip(better, speeds, strict=True))
        speeds = better
        clock = build_clock(speeds, timed.clock.first, timed.clock.last)
        timed = fit_purchase_days(pasts, until, clock)._replace(speeds=speeds)
        if change <= LEAST_CHANGE:
            break
    return timed


def fit_purchase_days(
    pasts: Mapping[int, PurchaseHistory], until: int, clock: Clock
) -> TimedFit:
    """Fit the purchase model to what happened by *until*, in the time of *clock*."""
    customers = describe_customers(pasts, until, clock)
    purchases = fit_purchases(Counter(each.history for each in customers.values()))
    return TimedFit(purchases, customers, clock, None)


def describe_customers(
    pasts: Mapping[int, PurchaseHistory], until: int, clock: Clock
) -> dict[int, Customer]:
    """Return what the models know on the day *until* of each who has bought by then.

    Days are those of *clock*, in whole numbers; two purchases of one shop day are a day
    apart all the same.
    """
    customers = {}
    for user_id, (days, cents) in pasts.items():
        first = days[0]
        if first > until:
            continue
        count = sum(1 for day in days if day <= until)
        repeats = count - 1
        recency = clock.count_between(first, days[count - 1])
        recency = max(recency, 1) if repeats else 0
        customers[user_id] = Customer(
            frequency=repeats,
            recency_days=recency,
            age_days=max(clock.count_between(first, until), recency),
            mean_value=sum(cents[1:count]) / repeats if repeats else 0.0,
        )
    return customers


def forecast_cohorts(
    pasts: Mapping[int, PurchaseHistory],
    refunds: Mapping[str, tuple[int, int]],
    as_of: str,
    *,
    is_by_quarter: bool = False,
) -> CohortForecast:
    """Forecast from the end of *as_of* on; raise `DataError` where no model can be fitted.

    *refunds* are by month: what was paid out in it, and what went back of its orders.
    """
    until = find_last_day(as_of)
    fit = fit_models(pasts, until, until + MOST_AHEAD)
    kept_share = measure_kept_share(pasts, refunds, as_of)
    groups: dict[str, list[Customer]] = {ALL: []}
    for user_id, customer in fit.timed.customers.items():
        cohort = name_cohort(pasts[user_id], is_by_quarter=is_by_quarter)
        groups[ALL].append(customer)
        groups.setdefault(cohort, []).append(customer)
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in groups}
    for months in HORIZON_MONTHS:
        days = count_days_ahead(as_of, months)
        forecasts = forecast_customers(
            fit.timed.purchases,
            fit.spending,
            groups,
            days=fit.timed.clock.count_between(until, until + days),
        )
        for name, forecast in forecasts.items():
            told[name].append(
                {"months": months, "days": days} | describe_forecast(forecast, kept_share)
            )
    key = "cohort_quarter" if is_by_quarter else "cohort_month"
    speeds = fit.timed.speeds
    document = {
        "is_forecast": True,
        "from": as_of,
        "level": LEVEL,
        "purchase_model": describe_purchase_model(fit.timed.purchases),
        "spending_model": describe_spending_model(fit.spending),
        "seasonal_factors": [round(speed, 3) for speed in speeds] if speeds else None,
        "kept_share": round(kept_share, 4),
        "total": told[ALL],
        "cohorts": [
            {key: name, "cohort_size": len(groups[name]), "horizons": told[name]}
            for name in sorted(groups)
            if name != ALL
        ],
        "holdout": hold_out(pasts, until),
    }
    return CohortForecast(document, fit, kept_share)


def find_last_day(as_of: str) -> int:
    """Return *as_of* as an ordinal; raise `DataError` where no year can follow it."""
    if not as_of:
        raise DataError("There are no orders to forecast from. Load some.")
    until = count_day(as_of)
    if until + MOST_AHEAD > date.max.toordinal():
        raise DataError(
            f"The data end with {as_of}, less than a year before the calendar does. Mend"
            " the dates, or name an earlier day with --as-of."
        )
    return until


def name_cohort(past: PurchaseHistory, *, is_by_quarter: bool) -> str:
    """Return the cohort of the customer with *past*, as the cells name it."""
    month = date.fromordinal(past.days[0]).isoformat()[:7]
    return name_quarter(month) if is_by_quarter else month


def count_days_ahead(as_of: str, months: int) -> int:
    """Return how many days the *months* have that begin with the day after *as_of*.

    They end before the same day of a later month, or before its last day if it has no such
    day.  So six months from the end of June on are those to the end of December.

    >>> [count_days_ahead(day, 6) for day in ("2025-06-30", "2025-06-29", "2025-08-30")]
    [184, 183, 181]
    """
    start = date.fromisoformat(as_of) + timedelta(days=1)
    index = start.year * 12 + start.month - 1 + months
    first = date(index // 12, index % 12 + 1, 1)
    month_days = monthrange(first.year, first.month)[1]
    return (first.replace(day=min(start.day, month_days)) - start).days


def measure_kept_share(
    pasts: Mapping[int, PurchaseHistory], refunds: Mapping[str, tuple[int, int]], as_of: str
) -> float:
    """Return the share of the goods sold that was not sent back, of months long over."""
    # The month of the next day is the first that is not over.
    after = date.fromisoformat(as_of) + timedelta(days=1)
    last = month_index(after.isoformat()[:7]) - 1 - MONTHS_UNTIL_REFUNDED
    first_young_day = date((last + 1) // 12, (last + 1) % 12 + 1, 1).toordinal()
    goods = sum(
        cents
        for past in pasts.values()
        for day, cents in zip(*past, strict=True)
        if day < first_young_day
    )
    returned = sum(
        of_orders for month, (_, of_orders) in refunds.items() if month_index(month) <= last
    )
    if goods <= 0:
        raise DataError(
            f"No goods were sold in a month that ended {MONTHS_UNTIL_REFUNDED} months"
            f" before {as_of}, so that what is kept of them is not known. Load a longer"
            " window."
        )
    return 1 - returned / goods


# ---- The hold-out ------------------------------------------------------------------------


def hold_out(pasts: Mapping[int, PurchaseHistory], until: int) -> dict[str, Any]:
    """Return how the models, fitted to the first part of the data, build_forecast the rest.

    The customers are those of the first part; value is that of goods, before refunds.
    """
    days = count_holdout_days(Counter(past.days[0] for past in pasts.values()), until)
    split = until - days
    try:
        fit = fit_models(pasts, split, until)
    except DataError as error:
        return {"refused": str(error)}
    customers = fit.timed.customers
    forecast = forecast_customers(
        fit.timed.purchases,
        fit.spending,
        {ALL: list(customers.values())},
        days=fit.timed.clock.count_between(split, until),
    )
    purchases = value = 0
    for user_id in customers:
        for day, cents in zip(*pasts[user_id], strict=True):
            if split < day <= until:
                purchases += 1
                value += cents
    return {
        "fitted_until": date.fromordinal(split).isoformat(),
        "days": days,
        "customer_count": len(customers),
        "purchases": compare_with_actual(forecast[ALL].purchases, purchases),
        "value_cents": compare_with_actual(forecast[ALL].value, value),
    }


def count_holdout_days(starts: Mapping[int, int], until: int) -> int:
    """Return how many days up to *until* are held back from a fit.

    *starts* count customers by the day of their first purchase.
    """
    day_count = until + 1 - min(starts)
    days = min(MOST_HOLDOUT_DAYS, day_count // 2)
    spare = day_count - LEAST_DAYS
    if spare >= LEAST_HOLDOUT_DAYS and tells_seasons(starts, until):
        return min(days, spare)
    return days


def compare_with_actual(estimate: Estimate, actual: int) -> dict[str, Any]:
    """Return *estimate* and the *actual* figure; *error* is relative to the latter."""
    return describe_estimate(estimate) | {
        "actual": actual,
        "error": round(estimate.total / actual - 1, 4) if actual else None,
    }


# ---- As JSON -----------------------------------------------------------------------------


def add_cumulative_values(
    document: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]
) -> None:
    """Add to each horizon of a cohort its age and its net until then, for each customer.

    That is the net so far, from the last observed one of *cells*, plus the forecast; the
    age is `months_since`, counted as in *cells*.
    """
    last_cells = {
        cell[name_key(cell)]: cell
        for cell in sorted(cells, key=lambda cell: cell["months_since"])
        if cell.get("is_observed", 1)
    }
    for cohort in document["cohorts"]:
        last = last_cells.get(cohort[name_key(cohort)])
        if last is None:
            continue
        for horizon in cohort["horizons"]:
            horizon["months_since"] = last["months_since"] + horizon["months"]
            horizon["cum_net_per_customer_cents"] = {
                name: None
                if cents is None
                else quotient(last["cum_net_cents"] + cents, cohort["cohort_size"])
                for name, cents in horizon["net_cents"].items()
            }


def describe_forecast(forecast: Forecast, kept_share: float) -> dict[str, Any]:
    """Return the purchase days of *forecast* and its net in cents, with intervals."""
    net = forecast.value.total * kept_share
    count = forecast.customer_count
    return {
        "purchases": describe_estimate(forecast.purchases, digits=1),
        "net_cents": describe_estimate(forecast.value, scale=kept_share),
        "net_per_customer_cents": round(net / count) if count else None,
    }


def describe_estimate(
    estimate: Estimate, *, digits: int | None = None, scale: float = 1.0
) -> dict[str, Any]:
    """Return *estimate* and its interval times *scale*, to *digits* decimals.

    Without *digits* the figures are whole numbers.
    """
    low, high = estimate.interval(LEVEL) or (None, None)
    return {
        name: None if figure is None else round(figure * scale, digits)
        for name, figure in (("forecast", estimate.total), ("low", low), ("high", high))
    }


def describe_purchase_model(model: PurchaseModel) -> dict[str, Any]:
    """Return BG/NBD's parameters with their unit and standard errors."""
    return {
        "name": "BG/NBD",
        "time_unit": model.time_unit,
        **_describe_parameters(("r", "alpha", "a", "b"), model),
    }


def describe_spending_model(model: SpendingModel) -> dict[str, Any]:
    """Return Gamma-Gamma's parameters with their unit and standard errors."""
    return {
        "name": "Gamma-Gamma",
        "money_unit": model.money_unit,
        **_describe_parameters(("p", "q", "gamma"), model),
        "frequency_correlation": round(model.frequency_correlation, 3),
    }


def _describe_parameters(
    names: Sequence[str], model: PurchaseModel | SpendingModel
) -> dict[str, Any]:
    """Return parameters to four significant digits: more than data ever tell."""
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
