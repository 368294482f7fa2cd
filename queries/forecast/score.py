"""The score: a forecast compared with the ground truth of a synthetic shop."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
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
from queries.forecast.forecast import MAX_DAYS_AHEAD, CohortForecast, add_difference
from queries.forecast.histories import name_cohort
from queries.forecast.observed_customers import (
    count_histories,
    describe_groups,
    select_customers,
)
from utils.contract import MANIFEST_NAME
from utils.database import Provenance
from utils.formats import count_noun
from utils.helpers import DataError, hash_file, open_regular_file
from utils.manifest import (
    Manifest,
    compare_with_manifest,
    read_generator,
    read_manifest,
)
from utils.shapes import integer

USERS_NAME = "users.csv"

# Facts of the shop that its ground truth must share, named as in manifest and database.
_SHARED = (
    "seed",
    "users",
    "window_start",
    "window_end",
    "format_version",
    "process",
    "is_calm",
)

# The facts that the options of the generator make, if the shop ends with its sign-ups.
_OPTIONS = {
    "seed": "--seed",
    "users": "--users",
    "window_start": "--start",
    "window_end": "--end",
    "process": "--process",
}

# The columns that are read of the users in the ground truth, whose cells are integers.  The
# sums of all users are exact in every figure that is printed.
_CENTS = integer(-(10**15), 10**15)
_TRUTH_COLUMNS = {
    "user_id": integer(1, 2**63 - 1),
    "is_buyer": integer(0, 1),
    "expected_value_cents_365d": _CENTS,
    "realised_value_cents_365d": _CENTS,
}


class Truth(NamedTuple):
    """The net of a user in the days after, in cents: its expectation, and one outcome."""

    expected_cents: int
    realised_cents: int


class GroundTruth(NamedTuple):
    """The ground truth of each user who buys, by user id, and how many days it covers."""

    days: int
    truths: dict[int, Truth]


def read_truth(folder: Path, provenance: Provenance, as_of: str) -> GroundTruth:
    """Return the ground truth in *folder*.

    Raise `DataError` if it is missing, incomplete, or of another shop or another day.
    """
    generator = provenance.get("generator", {})
    remedy = propose_command(generator)
    manifest = _read_manifest(folder / MANIFEST_NAME, remedy)
    _require_same_shop(folder, manifest, generator, remedy)
    _require_same_day(folder, read_generator(manifest.document), generator, as_of)
    days: Any = manifest.document.get("horizon_days")
    for fault in integer(1, MAX_DAYS_AHEAD)("horizon_days", days):
        raise DataError(f"{folder / MANIFEST_NAME}: {fault}. {remedy}")
    path = folder / USERS_NAME
    try:
        if compare_with_manifest(manifest, USERS_NAME, hash_file(path)) != "matches":
            raise DataError(f"{path}: is not the file that {MANIFEST_NAME} lists. {remedy}")
        users = _read_users(path, remedy)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read: {reason}. {remedy}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a CSV file in UTF-8: {error}. {remedy}") from error
    _require_same_count(path, len(users), provenance)
    return GroundTruth(
        days,
        {user_id: Truth(*cents) for user_id, (buys, *cents) in users.items() if buys},
    )


def propose_command(generator: Mapping[str, str]) -> str:
    """Return how the ground truth of a shop with these facts is made.

    It gets a folder of its own: a command without the options of the shop, or for a shop
    whose files were edited, would replace the files.

    >>> propose_command({"seed": "7", "window_end": "2025-12-31", "is_calm": "1"})
    'Make it in a folder of its own: python generate_data.py --generate --truth --seed 7\
 --end 2025-12-31 --calm --out-dir known-7, and add --truth-dir known-7/truth'
    """
    facts = {"seed": "SEED", **generator}
    options = [
        f"{option} {shlex.quote(facts[name])}"
        for name, option in _OPTIONS.items()
        if name in facts
    ]
    if facts.get("is_calm") == "1":
        options.append("--calm")
    start = "Make it in a folder of its own"
    if "seed" not in generator:
        start = (
            "The database does not state the seed and the options of its shop, because the"
            f" files were made with --blind, or loaded without {MANIFEST_NAME}. Make the"
            " ground truth with them"
        )
    folder = shlex.quote(f"known-{facts['seed']}")
    return (
        f"{start}: python generate_data.py --generate --truth {' '.join(options)}"
        f" --out-dir {folder}, and add --truth-dir {folder}/truth"
    )


def _read_manifest(path: Path, remedy: str) -> Manifest:
    if not path.exists():
        raise DataError(f"{path}: is missing, and with it the ground truth. {remedy}")
    return read_manifest(path, remedy=remedy)


def _require_same_shop(
    folder: Path, manifest: Manifest, generator: Mapping[str, str], remedy: str
) -> None:
    """Raise `DataError` unless the facts of the ground truth are those of the database.

    Without the seed the facts that the database knows are compared; whether the same users
    buy, which no other shop shares, is compared when the forecast is scored.
    """
    stated = read_generator(manifest.document)
    is_known = "seed" in generator
    for name in (name for name in _SHARED if is_known or name in generator):
        theirs, ours = str(stated.get(name, "unknown")), generator.get(name, "unknown")
        if theirs != ours:
            raise DataError(
                f"{folder}: is the ground truth of another shop: its {name} is {theirs},"
                f" the database's {ours}. {remedy}"
            )


def _require_same_day(
    folder: Path, stated: Mapping[str, Any], generator: Mapping[str, str], as_of: str
) -> None:
    """Raise `DataError` unless the ground truth starts after *as_of*, as the forecast."""
    window_end = stated.get("window_end", "an unknown day")
    if window_end == as_of:
        return
    fix = "Omit --as-of or --score."
    if "window_end" not in generator:
        fix = f"Load the files with the day: python ingest.py --ingest --as-of {window_end}"
    raise DataError(
        f"{folder}: starts after {window_end}, the forecast after {as_of or 'no day'}."
        f" {fix}"
    )


def _require_same_count(path: Path, count: int, provenance: Provenance) -> None:
    """Raise `DataError` unless the ground truth has as many users as the database."""
    loaded = provenance.get(USERS_NAME, {}).get("rows_stored")
    if loaded not in (None, str(count)):
        raise DataError(
            f"{path}: has {count_noun(count, 'user')}, the database {loaded}. Expected the"
            " ground truth of the same shop: a shop made with --until needs its --end and"
            " --until again."
        )


def _read_users(path: Path, remedy: str) -> dict[int, list[int]]:
    """Return the other cells of each user in the file *path*, by user id.

    Raise `DataError` for a bad cell.
    """
    users = {}
    with (
        open_regular_file(path) as data,
        io.TextIOWrapper(data, encoding="utf-8", newline="") as file,
    ):
        reader = csv.DictReader(file, restval="")
        for record in reader:
            cells = {name: _parse_integer(record.get(name, "")) for name in _TRUTH_COLUMNS}
            for name, shape in _TRUTH_COLUMNS.items():
                for fault in shape(name, cells[name]):
                    where = f"{path}: line {reader.line_num}"
                    raise DataError(f"{where}: {fault}. {remedy}")
            user_id, *others = cells.values()
            users[user_id] = others
    return users


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
        raise DataError(
            f"{USERS_NAME}: user {missing[0]}, who bought, is missing or never buys in the"
            " ground truth, so it is of another shop. Name the folder of this shop's ground"
            " truth with --truth-dir."
        )
    cohorts: dict[str, list[int]] = {}
    for place, first_day in enumerate(customers.first_days):
        name = name_cohort(first_day, is_by_quarter=is_by_quarter)
        cohorts.setdefault(name, []).append(place)
    ranked = rank_customers(forecast_customers(customers, forecast.fit, days))
    names = sorted(cohorts)
    (total,), of_cohorts, of_deciles = _compare_parts(
        forecast,
        truths,
        days,
        [ranked],
        [cohorts[name] for name in names],
        split_evenly(ranked, DECILES),
    )
    by_cohort = [
        {"cohort": name} | record for name, record in zip(names, of_cohorts, strict=True)
    ]
    return {
        "days": days,
        "total": total,
        "cohorts": by_cohort,
        "cohort_error": measure_error(by_cohort),
        "deciles": [
            {"decile": number} | record for number, record in enumerate(of_deciles, 1)
        ],
    }


def _compare_parts(
    forecast: CohortForecast,
    truths: Mapping[int, Truth],
    days: int,
    *parts: Sequence[Sequence[int]],
) -> Iterator[list[dict[str, Any]]]:
    """Yield the groups of each of *parts*, beside their truth, in the next *days*.

    A group lists the places of its customers, and the first part is one group of all.  As
    in the forecast, the groups of a part add up to it.
    """
    user_ids = forecast.customers.user_ids
    total_cents = None
    for groups in parts:
        nets = [_forecast_members(forecast, days, places) for places in groups]
        total_cents = nets[0]["forecast"] if total_cents is None else total_cents
        add_difference(nets, total_cents)
        yield [
            {"customer_count": len(places)}
            | compare_with_truth(net, [truths[user_ids[place]] for place in places])
            for places, net in zip(groups, nets, strict=True)
        ]


def _forecast_members(
    forecast: CohortForecast, days: int, places: Sequence[int]
) -> dict[str, Any]:
    """Return the net of the customers at *places* in the next *days*, in cents."""
    customers = select_customers(forecast.customers, places)
    purchases, spending, *_ = forecast.fit
    return forecast_group(
        purchases.model,
        spending,
        describe_groups(count_histories(customers), purchases.clock),
        days=purchases.clock.days_between(customers.until, customers.until + days),
        kept_share=forecast.kept_share,
        deviation=forecast.fit.deviate(customers.until, days),
    ).value.describe()


def compare_with_truth(net: Mapping[str, int], truths: Sequence[Truth]) -> dict[str, Any]:
    """Return *net*, a forecast with its interval, beside the sums of *truths*, in cents.

    The interval contains a sum or not.

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
        record[f"contains_{kind}"] = net["low"] <= cents <= net["high"]
    return record


def measure_error(groups: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the sum of the groups' absolute errors as a share of the expectation."""
    expected = sum(group["expected_net_cents"] for group in groups)
    error = sum(
        abs(group["forecast_net_cents"] - group["expected_net_cents"]) for group in groups
    )
    return round(error / expected, 4) if expected else None
