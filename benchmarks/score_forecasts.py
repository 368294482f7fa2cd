"""Compare the forecast with the ground truth, by purchase process.

    python benchmarks/score_forecasts.py --users 20000 --seed 1 2 3 4 5
    python benchmarks/score_forecasts.py --process steady --seed $(seq 80)

The forecast assumes the steady process (BG/NBD); the others show what it loses where its
assumptions fail.  Each shop is made, loaded and forecast as by the commands.  The tables
are the errors, how often the 95 % intervals contain the ground truth, and the errors by
tenths of the customers.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.measuring import note, parse_count, print_line  # noqa: E402
from data_generation.generate_data import generate_shop  # noqa: E402
from data_generation.model.purchase_processes import PROCESSES  # noqa: E402
from data_generation.plan import DEFAULT_END, DEFAULT_START, Plan  # noqa: E402
from data_generation.truth import write_truth  # noqa: E402
from db.ingest import ingest_folder  # noqa: E402
from queries.forecast.calibration import (  # noqa: E402
    DECILES,
    forecast_customers,
    rank_customers,
    split_evenly,
)
from queries.forecast.forecast import CohortForecast, forecast_cohorts  # noqa: E402
from queries.forecast.score import (  # noqa: E402
    GroundTruth,
    measure_error,
    read_truth,
    score_forecast,
)
from queries.options import Options  # noqa: E402
from queries.query_file import read_cohort_query  # noqa: E402
from queries.reading import read_database  # noqa: E402
from utils.helpers import DataError  # noqa: E402
from utils.processes import count_processors, run_tasks  # noqa: E402

DEFAULT_SEEDS = [1, 2, 3, 4, 5]

# The figures of the ground truth: the expectation, and one random outcome.
KINDS = ("expected", "realised")
GROUPS = ("all", "cohorts", "tenths")

ERROR_HEADINGS = (
    "process",
    "error to expected, %",
    "to realised",
    "by tenths, absolute",
    "by cohorts, absolute",
    "holdout, purchases",
    "interval contains them",
    "refused",
)
INTERVAL_HEADINGS = (
    "95 % intervals of",
    *(f"{group}: contain {kind}" for group in GROUPS for kind in KINDS),
)
TENTH_HEADINGS = ("value, %", "purchases, %", "value of a purchase, %")


class TenthScore(NamedTuple):
    """The sums of a tenth of the customers, ordered by forecast: forecast and expectation.

    The latter is of the ground truth, its purchases those that count.
    """

    purchases: float
    expected_purchases: float
    cents: float
    expected_cents: float


class ShopScore(NamedTuple):
    """How the forecast of a year compares with the ground truth of one shop.

    Errors are relative; *tenths* and *cohorts* are sums of absolute errors as a share of
    the expectation.  *inside* are the answers whether an interval contains a figure, by
    group of intervals and kind of figure; None where there is no interval.
    """

    to_expected: float
    to_realised: float
    tenths: float
    cohorts: float
    inside: Mapping[tuple[str, str], Sequence[bool | None]]
    holdout: float | None
    holdout_contains: bool | None


class Shop(NamedTuple):
    """The score of a shop and of the tenths of its customers, best first."""

    score: ShopScore
    tenths: Sequence[TenthScore]


def score_shop(plan: Plan) -> Shop | str:
    """Return the scores of the shop of *plan*, or why there is no forecast."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database, truth_dir = folder / "shop.db", folder / "truth"
        generate_shop(plan, folder)
        write_truth(plan, folder)
        ingest_folder(folder, database, worker_count=1)
        data = read_database(database, read_cohort_query(None, Options(has_forecast=True)))
        truth = read_truth(truth_dir, data.provenance, data.as_of or "")
        orders = read_expected_orders(truth_dir / "users.csv")
    try:
        forecast = forecast_cohorts(data.histories, data.totals.refunds, data.as_of or "")
    except DataError as error:
        return str(error)
    score = score_forecast(forecast, truth.truths, truth.days)
    placed = data.totals.order_count + sum(count for _, count, _ in data.totals.excluded)
    # Orders that do not count and second ones on a day are as many as in the window.
    share = len(data.histories.days) / placed
    return Shop(
        read_score(forecast.document["holdout"], score),
        score_tenths(
            forecast,
            truth,
            {user_id: count * share for user_id, count in orders.items()},
        ),
    )


def read_expected_orders(path: Path) -> dict[int, float]:
    """Return the expected orders of the next year by user id, from users.csv of a truth."""
    with open(path, encoding="utf-8", newline="") as file:
        return {
            int(row["user_id"]): float(row["expected_orders_365d"])
            for row in csv.DictReader(file)
        }


def read_score(holdout: Mapping[str, Any], score: Mapping[str, Any]) -> ShopScore:
    """Return the figures of a *score*, and of the *holdout* of its forecast."""
    total, purchases = score["total"], holdout.get("purchases", {})
    groups = zip(GROUPS, ([total], score["cohorts"], score["deciles"]), strict=True)
    return ShopScore(
        total["error_to_expected"],
        total["error_to_realised"],
        measure_error(score["deciles"]) or 0.0,
        score["cohort_error"],
        {
            (group, kind): [record[f"contains_{kind}"] for record in records]
            for group, records in groups
            for kind in KINDS
        },
        purchases.get("error"),
        purchases["low"] <= purchases["actual"] <= purchases["high"] if purchases else None,
    )


def score_tenths(
    forecast: CohortForecast, truth: GroundTruth, expected_purchases: Mapping[int, float]
) -> list[TenthScore]:
    """Return the sums of each tenth; *expected_purchases* are by user id."""
    user_ids = forecast.customers.user_ids
    columns = forecast_customers(forecast.customers, forecast.fit, truth.days)
    tenths = []
    for places in split_evenly(rank_customers(columns), DECILES):
        purchases, cents = columns.add_up(places)
        members = [user_ids[place] for place in places]
        tenths.append(
            TenthScore(
                purchases,
                sum(expected_purchases[user_id] for user_id in members),
                cents * forecast.kept_share,
                sum(truth.truths[user_id].expected_cents for user_id in members),
            )
        )
    return tenths


# ---- Tables ------------------------------------------------------------------------------


def show(values: Iterable[float | None], form: str = "+.1f") -> str:
    """Return the mean of *values*, without None, and the extremes, in per cent.

    >>> show([0.01, None, 0.03]), show([])
    ('+2.0 (+1.0 to +3.0)', '–')
    """
    found = [100 * value for value in values if value is not None]
    if not found:
        return "–"
    return f"{fmean(found):{form}} ({min(found):{form}} to {max(found):{form}})"


def count_true(answers: Iterable[bool | None]) -> str:
    """Return how many of *answers*, without None, are true.

    >>> count_true([True, None, False])
    '1 of 2'
    """
    found = [answer for answer in answers if answer is not None]
    return f"{sum(found)} of {len(found)}"


def render_errors(process: str, scores: Sequence[ShopScore], refused: int) -> str:
    """Return the row of *process* in the table of errors."""
    cells = [
        process,
        show(score.to_expected for score in scores),
        show(score.to_realised for score in scores),
        show((score.tenths for score in scores), ".1f"),
        show((score.cohorts for score in scores), ".1f"),
        show(score.holdout for score in scores),
        count_true(score.holdout_contains for score in scores),
        str(refused),
    ]
    return f"| {' | '.join(cells)} |"


def render_intervals(process: str, scores: Sequence[ShopScore]) -> str:
    """Return the row of *process* in the table of intervals."""
    cells = [process]
    for group in GROUPS:
        for kind in KINDS:
            answers = [each for score in scores for each in score.inside[group, kind]]
            known = [answer for answer in answers if answer is not None]
            share = f" ({100 * fmean(known):.1f} %)" if known else ""
            cells.append(count_true(known) + share)
    return f"| {' | '.join(cells)} |"


def render_tenths(shops: Sequence[Sequence[TenthScore]]) -> list[str]:
    """Return a row for each tenth: errors of all *shops* together, and the extremes."""
    rows = []
    for number, tenths in enumerate(zip(*shops, strict=True), 1):
        together = TenthScore(*map(sum, zip(*tenths, strict=True)))
        cells = [str(number)]
        for measure in (measure_value, measure_purchases, measure_value_per_purchase):
            errors = [100 * measure(tenth) for tenth in tenths]
            cells.append(
                f"{100 * measure(together):+.1f} ({min(errors):+.1f} to {max(errors):+.1f})"
            )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def measure_value(tenth: TenthScore) -> float:
    """Return the relative error of the value of *tenth*."""
    return tenth.cents / tenth.expected_cents - 1


def measure_purchases(tenth: TenthScore) -> float:
    """Return the relative error of the purchases of *tenth*."""
    return tenth.purchases / tenth.expected_purchases - 1


def measure_value_per_purchase(tenth: TenthScore) -> float:
    """Return the relative error of the value of one purchase of *tenth*."""
    return (1 + measure_value(tenth)) / (1 + measure_purchases(tenth)) - 1


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        description="Compare the forecast with the ground truth, by purchase process."
    )
    parser.add_argument(
        "--users",
        type=parse_count,
        default=20_000,
        metavar="N",
        help="customers of each shop (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        nargs="+",
        default=DEFAULT_SEEDS,
        metavar="S",
        help="seeds, a shop of each process each (default: 1 to 5)",
    )
    parser.add_argument(
        "--process",
        nargs="+",
        choices=PROCESSES,
        default=[*PROCESSES],
        metavar="NAME",
        help=f"purchase processes (default: {', '.join(PROCESSES)})",
    )
    parser.add_argument(
        "--calm", action="store_true", help="shops without events and daily noise"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    results = {
        process: score_shops(process, args.seed, args.users, is_calm=args.calm)
        for process in args.process
    }
    print_table(
        ERROR_HEADINGS,
        [
            render_errors(
                process, [shop.score for shop in shops], len(args.seed) - len(shops)
            )
            for process, shops in results.items()
        ],
    )
    print_table(
        INTERVAL_HEADINGS,
        [
            render_intervals(process, [shop.score for shop in shops])
            for process, shops in results.items()
        ],
    )
    for process, shops in results.items():
        print_table(
            (process, *TENTH_HEADINGS), render_tenths([shop.tenths for shop in shops])
        )
    return 0


def score_shops(
    process: str, seeds: Sequence[int], users: int, *, is_calm: bool
) -> list[Shop]:
    """Return the scores of the shops that have a forecast, one of each seed."""
    days = DEFAULT_START, DEFAULT_END, DEFAULT_END
    tasks = [(Plan(seed, users, *days, process, is_calm),) for seed in seeds]
    shops = []
    results = run_tasks(score_shop, tasks, count_processors())
    for seed, shop in zip(seeds, results, strict=True):
        if isinstance(shop, str):
            note(f"{process}, seed {seed}: {shop}")
            continue
        error = shop.score.to_expected
        (is_inside,) = shop.score.inside["all", "expected"]
        place = "inside" if is_inside else "outside"
        note(f"{process}, seed {seed}: {error:+.1%}, the expectation is {place}")
        shops.append(shop)
    return shops


def print_table(headings: Sequence[str], rows: Sequence[str]) -> None:
    """Print *rows* below *headings*, with a blank line after them."""
    print_line(f"| {' | '.join(headings)} |")
    print_line("| --- |" + " ---: |" * (len(headings) - 1))
    for row in [*rows, ""]:
        print_line(row)


if __name__ == "__main__":
    sys.exit(main())
