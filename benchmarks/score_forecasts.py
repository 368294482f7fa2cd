"""Compare the forecast with the ground truth, by purchase process.

    python benchmarks/score_forecasts.py --users 20000 --seed 1 2 3 4 5

The forecast assumes the steady process (BG/NBD); the others show what it loses where its
assumptions fail.  Each shop is made, loaded and queried as by the commands.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
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
from queries.forecast.score import measure_error  # noqa: E402
from queries.options import Options  # noqa: E402
from queries.run_query import query_database  # noqa: E402

DEFAULT_SEEDS = [1, 2, 3, 4, 5]


class ShopScore(NamedTuple):
    """How the forecast of a year compares with the ground truth of one shop.

    Errors are relative; *tenths* and *cohorts* are sums of absolute errors as a share of
    the expectation, the former of tenths of the customers, ordered by forecast.
    """

    to_expected: float
    to_realised: float
    tenths: float
    cohorts: float
    contains_expected: bool
    contains_realised: bool
    holdout: float | None
    holdout_contains: bool | None


def score_shop(plan: Plan) -> ShopScore | str:
    """Return the score of the shop of *plan*, or why there is no forecast."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = folder / "shop.db"
        generate_shop(plan, folder)
        write_truth(plan, folder)
        ingest_folder(folder, database, worker_count=1)
        outcome = query_database(
            database,
            options=Options(has_forecast=True),
            truth_dir=folder / "truth",
            out_dir=folder,
        )
    forecast = outcome.document["forecast"]
    if outcome.score is None:
        return str(forecast["refused"])
    return read_score(forecast, outcome.score)


def read_score(forecast: dict[str, Any], score: dict[str, Any]) -> ShopScore:
    """Return the figures of *forecast* and *score* that are compared."""
    (year,) = [each for each in forecast["total"] if each["days"] == score["days"]]
    net, total = year["net_cents"], score["total"]
    purchases = forecast["holdout"].get("purchases", {})
    return ShopScore(
        total["error_to_expected"],
        total["error_to_realised"],
        measure_error(score["deciles"]) or 0.0,
        score["cohort_error"],
        net["low"] <= total["expected_net_cents"] <= net["high"],
        net["low"] <= total["realised_net_cents"] <= net["high"],
        purchases.get("error"),
        purchases["low"] <= purchases["actual"] <= purchases["high"] if purchases else None,
    )


def render_row(process: str, scores: Sequence[ShopScore], refused: int) -> str:
    """Return the row of *process* in the table."""

    def show(read: Callable[[ShopScore], float | None], form: str = "+.1f") -> str:
        values = [100 * value for score in scores if (value := read(score)) is not None]
        if not values:
            return "–"
        least, most = min(values), max(values)
        return f"{fmean(values):{form}} ({least:{form}} to {most:{form}})"

    def count(read: Callable[[ShopScore], bool | None]) -> str:
        found = [is_inside for score in scores if (is_inside := read(score)) is not None]
        return f"{sum(found)} of {len(found)}"

    cells = [
        process,
        show(lambda score: score.to_expected),
        show(lambda score: score.to_realised),
        show(lambda score: score.tenths, ".1f"),
        show(lambda score: score.cohorts, ".1f"),
        count(lambda score: score.contains_expected),
        count(lambda score: score.contains_realised),
        show(lambda score: score.holdout),
        count(lambda score: score.holdout_contains),
        str(refused),
    ]
    return f"| {' | '.join(cells)} |"


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
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    print_line(
        "| process | error to expected, % | to realised | by tenths, absolute | by cohorts,"
        " absolute | interval contains expected | realised | holdout, purchases | interval"
        " contains them | refused |"
    )
    print_line("| --- |" + " ---: |" * 9)
    for process in PROCESSES:
        scores, refused = [], 0
        for seed in args.seed:
            days = DEFAULT_START, DEFAULT_END, DEFAULT_END
            score = score_shop(Plan(seed, args.users, *days, process))
            note(f"{process}, seed {seed}: {score}")
            if isinstance(score, ShopScore):
                scores.append(score)
            else:
                refused += 1
        print_line(render_row(process, scores, refused))
    return 0


if __name__ == "__main__":
    sys.exit(main())
