"""The score: a forecast compared with the ground truth of a synthetic shop."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from queries.forecast.calibration import (
    DECILES,
    forecast_customers,
    rank_customers,
    relative_error,
    split_evenly,
)
from queries.forecast.clv import forecast_group
from queries.forecast.forecast import MAX_DAYS_AHEAD, CohortForecast
from queries.forecast.histories import name_cohort
from queries.forecast.observed_customers import (
    count_histories,
    describe_groups,
    select_customers,
)
from utils.contract import MANIFEST_NAME
from utils.database import Provenance
from utils.formats import shorten_value
from utils.helpers import DataError, hash_file, open_regular_file
from utils.manifest import (
    Manifest,
    compare_with_manifest,
    read_generator,
    read_manifest,
)
from utils.shapes import integer

USERS_NAME = "users.csv"

_MAKE = "Make it with: python generate_data.py --generate --truth"

# Facts of the shop that its ground truth must share, named as in manifest and database.
_SHARED = ("seed", "users", "window_start", "window_end", "format_version")
# Those that manifests of format version 2 do not state.
_STATED_LATER = ("process", "is_calm")

# The columns that are read of the users in the ground truth, whose cells are integers.  The
# sums of all users are exact in every figure that is printed.
_CENTS = integer(-(10**15), 10**15)
_TRUTH_COLUMNS = {
    "user_id": integer(1, 2**63 - 1),
    "expected_value_cents_365d": _CENTS,
    "realised_value_cents_365d": _CENTS,
}


class Truth(NamedTuple):
    """The net of a user in the days after, in cents: its expectation, and one outcome."""

    expected_cents: int
    realised_cents: int


class GroundTruth(NamedTuple):
    """The ground truth of each user, by user id, and how many days it covers."""

    days: int
    truths: dict[int, Truth]


def read_truth(folder: Path, provenance: Provenance, as_of: str) -> GroundTruth:
    """Return the ground truth in *folder*.

    Raise `DataError` if it is missing, incomplete, or of another shop or another day.
    """
    manifest = _read_manifest(folder / MANIFEST_NAME)
    _require_same_shop(folder, manifest, provenance.get("generator", {}), as_of)
    days = manifest.document.get("horizon_days")
    if type(days) is not int or not 0 < days <= MAX_DAYS_AHEAD:
        raise DataError(
            f"{folder / MANIFEST_NAME}: horizon_days is {shorten_value(days)}, expected"
            f" 1 to {MAX_DAYS_AHEAD}. {_MAKE}"
        )
    path = folder / USERS_NAME
    try:
        if compare_with_manifest(manifest, USERS_NAME, hash_file(path)) != "matches":
            raise DataError(f"{path}: is not the file that {MANIFEST_NAME} lists. {_MAKE}")
        return GroundTruth(days, _read_users(path))
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read: {reason}. {_MAKE}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a CSV file in UTF-8: {error}. {_MAKE}") from error


def _read_manifest(path: Path) -> Manifest:
    if not path.exists():
        raise DataError(f"{path}: is missing, and with it the ground truth. {_MAKE}")
    return read_manifest(path, remedy=_MAKE)


def _require_same_shop(
    folder: Path, manifest: Manifest, generator: Mapping[str, str], as_of: str
) -> None:
    """Raise `DataError` unless the ground truth is of the database, from *as_of* on."""
    stated = read_generator(manifest.document)
    later = [name for name in _STATED_LATER if name in stated or name in generator]
    for name in (*_SHARED, *later):
        if str(stated.get(name)) != generator.get(name):
            raise DataError(
                f"{folder}: is the ground truth of another shop: its {name} is"
                f" {stated.get(name)}, the database's {generator.get(name, 'unknown')}."
                f" {_MAKE}"
            )
    if generator["window_end"] != as_of:
        raise DataError(
            f"{folder}: starts after {generator['window_end']}, the forecast after"
            f" {as_of or 'no day'}. Omit --as-of or --score."
        )


def _read_users(path: Path) -> dict[int, Truth]:
    """Return the truths in the file *path* by user id; raise `DataError` for a bad cell."""
    truths = {}
    with (
        open_regular_file(path) as data,
        io.TextIOWrapper(data, encoding="utf-8", newline="") as file,
    ):
        reader = csv.DictReader(file)
        for record in reader:
            cells = {name: _parse_integer(record.get(name)) for name in _TRUTH_COLUMNS}
            for name, shape in _TRUTH_COLUMNS.items():
                for fault in shape(name, cells[name]):
                    where = f"{path}: line {reader.line_num}"
                    raise DataError(f"{where}: {fault}. {_MAKE}")
            user_id, *cents = cells.values()
            truths[user_id] = Truth(*cents)
    return truths


def _parse_integer(cell: Any) -> Any:
    """Return *cell* as an integer if it is written as one, else unchanged."""
    is_integer = isinstance(cell, str) and re.fullmatch("-?[0-9]{1,19}", cell)
    return int(cell) if is_integer else cell


def score_forecast(
    forecast: CohortForecast,
    truths: Mapping[int, Truth],
    days: int,
    *,
    is_by_quarter: bool = False,
) -> dict[str, Any]:
    """Return how the *forecast* of *days* compares with *truths*, by user id."""
    customers = forecast.customers
    missing = [user_id for user_id in customers.user_ids if user_id not in truths]
    if missing:
        raise DataError(f"{USERS_NAME}: user {missing[0]} is missing from it. {_MAKE}")
    cohorts: dict[str, list[int]] = {}
    for place, first_day in enumerate(customers.first_days):
        name = name_cohort(first_day, is_by_quarter=is_by_quarter)
        cohorts.setdefault(name, []).append(place)
    ranked = rank_customers(forecast_customers(customers, forecast.fit, days))
    compare = partial(_compare_members, forecast, truths, days)
    by_cohort = [{"cohort": name} | compare(cohorts[name]) for name in sorted(cohorts)]
    return {
        "days": days,
        "total": compare(range(len(ranked))),
        "cohorts": by_cohort,
        "cohort_error": measure_error(by_cohort),
        "deciles": [
            {"decile": number} | compare(members)
            for number, members in enumerate(split_evenly(ranked, DECILES), 1)
        ],
    }


def _compare_members(
    forecast: CohortForecast, truths: Mapping[int, Truth], days: int, places: Sequence[int]
) -> dict[str, Any]:
    """Return the forecast of the customers at *places*, of *days*, beside their truth."""
    customers = select_customers(forecast.customers, places)
    purchases, spending, *_ = forecast.fit
    net = forecast_group(
        purchases.model,
        spending,
        describe_groups(count_histories(customers), purchases.clock),
        days=purchases.clock.days_between(customers.until, customers.until + days),
        kept_share=forecast.kept_share,
        deviation=forecast.fit.deviate(customers.until, days),
    ).value.describe()
    members = [truths[user_id] for user_id in customers.user_ids]
    return {"customer_count": len(members)} | compare_with_truth(net, members)


def compare_with_truth(
    net: Mapping[str, int | None], truths: Sequence[Truth]
) -> dict[str, Any]:
    """Return *net*, a forecast with its interval, beside the sums of *truths*, in cents.

    The interval contains a sum or not; where there is none, both answers are None.

    >>> net = {"forecast": 120, "low": 90, "high": 150}
    >>> found = compare_with_truth(net, [Truth(40, 0), Truth(60, 160)])
    >>> found["error_to_expected"], found["contains_expected"], found["contains_realised"]
    (0.2, True, False)
    """
    record: dict[str, Any] = {f"{name}_net_cents": cents for name, cents in net.items()}
    sums = {
        "expected": sum(truth.expected_cents for truth in truths),
        "realised": sum(truth.realised_cents for truth in truths),
    }
    for kind, cents in sums.items():
        record[f"{kind}_net_cents"] = cents
        record[f"error_to_{kind}"] = relative_error(net["forecast"], cents)
        record[f"contains_{kind}"] = _contains(net["low"], net["high"], cents)
    return record


def _contains(low: int | None, high: int | None, cents: int) -> bool | None:
    return None if low is None or high is None else low <= cents <= high


def measure_error(groups: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the sum of the groups' absolute errors as a share of the expectation."""
    expected = sum(group["expected_net_cents"] for group in groups)
    error = sum(
        abs(group["forecast_net_cents"] - group["expected_net_cents"]) for group in groups
    )
    return round(error / expected, 4) if expected else None
