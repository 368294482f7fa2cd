"""Compare a generated shop with bands for its statistics, most from published figures.

    python -m pip install -r benchmarks/requirements.txt
    python benchmarks/realism.py --users 20000 --seed 1 2 3

The script makes one shop a seed in a temporary folder and reads its five CSV files as an
analyst would, without the ground truth.  It prints Markdown: a table with one row a
statistic, how many bands come from which kind of source, how each row is measured, and
what is deliberately not modelled.  The exit status is 1 if a value is outside its band.

A *valid* order was paid and not cancelled.  The *value* of an order is its goods after
discounts, before shipping, tax and refunds.

Public data sets: CDNOW is the purchase log of Fader and Hardie's papers; UCI is the Online
Retail data set; Olist the Brazilian marketplace's; CJ the grocer's Complete Journey of
dunnhumby; a teaching shop is Maven's.  Yearly figures for the United States: NRF, Adobe,
Worldpay.  theLook is a public demo shop whose profile of the day is a design.

Papers: Bijmolt, van Heerde and Pieters (2005) on price elasticity; Cavallo (2018) on price
changes; Schmitt, Skiera and Van den Bulte (2011) on referred customers; Hemmati et al.
(2021) on free shipping; Asdecker and Schulze on returns in Germany; SSRN 3895309 on
returns by number of orders.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

# A script finds modules in its own folder; these are in the one above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.realism_baskets import basket_rows
from benchmarks.realism_cdnow import separability_row
from benchmarks.realism_customers import loyalty_rows, spending_rows
from benchmarks.realism_groups import group_rows
from benchmarks.realism_habits import habit_rows, taste_rows, value_rows
from benchmarks.realism_hours import hour_rows
from benchmarks.realism_names import name_rows
from benchmarks.realism_noise import noise_rows
from benchmarks.realism_payments import payment_rows
from benchmarks.realism_prices import price_rows, promotion_rows
from benchmarks.realism_process import purchase_process_rows
from benchmarks.realism_products import product_rows
from benchmarks.realism_returns import order_life_rows
from benchmarks.realism_rows import Kind, Row, misses
from benchmarks.realism_seasons import season_rows
from benchmarks.shop_files import Shop, read_shop
from utils.helpers import PROJECT_ROOT, DataError, print_safely, report_error

NOT_MODELLED = (
    "fraud and chargebacks",
    "stock: nothing sells out, no order waits for goods",
    "views, searches and abandoned carts: only purchases are recorded",
    "substitute products and recommendations",
    "exchange rates: all money is in one currency, whatever the country",
    "households and companies: a customer is one person with one account",
    "marketing spend, and several channels sharing one customer",
    "several addresses, moves, and customers who change their e-mail address",
    "exchanges: goods are returned for money, never for another size",
    "reviews, ratings and support calls",
    "trends of taste, competition and the price level",
    "faulty rows, unless --faults plants them",
)


def measure(shop: Shop, cdnow: Path | None = None) -> list[Row]:
    """Return every row of *shop*, in the order of the table.

    Without the file *cdnow* the row that needs it is not measured.
    """
    return [
        *loyalty_rows(shop),
        *purchase_process_rows(shop),
        *spending_rows(shop),
        *value_rows(shop),
        *taste_rows(shop),
        *habit_rows(shop),
        *basket_rows(shop),
        *product_rows(shop),
        *price_rows(shop),
        *promotion_rows(shop),
        *order_life_rows(shop),
        *payment_rows(shop),
        *season_rows(shop),
        *noise_rows(shop),
        *hour_rows(shop),
        *group_rows(shop),
        *name_rows(shop),
        separability_row(shop, cdnow),
    ]


def judge(values: Mapping[str, Row]) -> str:
    """Return the verdict on one statistic, measured in the shops *values*, by name."""
    missed = [shop for shop, row in values.items() if misses(row)]
    if all(row.band is None for row in values.values()):
        return "not judged"
    if all(row.value is None for row in values.values()):
        return "not measured"
    if not missed:
        return "ok"
    return "MISS" if len(values) == 1 else f"MISS ({', '.join(missed)})"


def format_value(value: float | None) -> str:
    """Return *value* with three decimals; whole numbers without, NaN and None as a dash.

    >>> format_value(0.5), format_value(19), format_value(math.nan)
    ('0.500', '19', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.0f}" if value == int(value) else f"{value:.3f}"


def render_report(measured: Mapping[str, Sequence[Row]]) -> str:
    """Return the Markdown of the rows *measured*, which are by shop."""
    statistics = [
        dict(zip(measured, rows, strict=True))
        for rows in zip(*measured.values(), strict=True)
    ]
    firsts = [next(iter(values.values())) for values in statistics]
    numbers = {
        method: number
        for number, method in enumerate(dict.fromkeys(row.method for row in firsts), 1)
    }
    head = ["statistic", "target band", "source", *measured, "verdict"]
    lines = [_render_cells(head), _render_cells(["---"] * len(head))]
    for first, values in zip(firsts, statistics, strict=True):
        band = "–" if first.band is None else str(first.band)
        shown = [format_value(row.value) for row in values.values()]
        name = f"{first.name} [{numbers[first.method]}]"
        lines.append(_render_cells([name, band, first.source.text, *shown, judge(values)]))
    lines += ["", _summarize(statistics)]
    kinds = Counter(row.source.kind for row in firsts if row.band is not None)
    lines += ["", "What the bands rest on:", ""]
    lines += [f"- {kinds[kind]} on {kind}" for kind in Kind]
    lines += ["", "## How each row is measured", ""]
    lines += [f"{number}. {method}" for method, number in numbers.items()]
    lines += ["", "## What is deliberately not modelled", ""]
    lines += [f"- {omission}" for omission in NOT_MODELLED]
    return "\n".join(lines)


def _summarize(statistics: Sequence[Mapping[str, Row]]) -> str:
    """Return in a sentence how many statistics are within their bands."""
    verdicts = Counter(judge(values).partition(" (")[0] for values in statistics)
    measured = verdicts["ok"] + verdicts["MISS"]
    summary = f"{verdicts['ok']} of {measured} statistics are within their bands."
    if verdicts["not measured"]:
        summary += f" {verdicts['not measured']} not measured: it needs --cdnow."
    return summary


def _render_cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        description="Compare a generated shop with published figures of real ones."
    )
    parser.add_argument(
        "--users",
        type=int,
        default=20_000,
        metavar="N",
        help="customers of each shop that is made (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        nargs="+",
        default=[42],
        metavar="S",
        help="seeds, a shop each (default: 42)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="measure the five CSV files in this folder instead of making a shop",
    )
    parser.add_argument(
        "--cdnow",
        type=Path,
        metavar="FILE",
        help="CDNOW_master.txt: let a classifier separate its customers from the shop's",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    try:
        require_libraries("numpy", "scipy", *(["sklearn"] if args.cdnow else []))
        if args.data_dir is not None:
            measured = {"ours": measure(read_shop(args.data_dir), args.cdnow)}
        else:
            measured = {
                f"seed {seed}": measure(make_shop(seed, args.users), args.cdnow)
                for seed in dict.fromkeys(args.seed)
            }
    except (DataError, OSError) as error:
        report_error("realism", error)
        return 1
    except KeyboardInterrupt:
        report_error("realism", "interrupted")
        return 130
    print_safely(render_report(measured))
    return int(any(misses(row) for rows in measured.values() for row in rows))


def require_libraries(*names: str) -> None:
    """Raise `DataError` if one of the libraries *names* is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise DataError(
                f"{name} is not installed. It comes with:"
                " python -m pip install -r benchmarks/requirements.txt"
            )


def make_shop(seed: int, users: int) -> Shop:
    """Return the shop that the generator's command makes in its default window."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(PROJECT_ROOT / "generate_data.py"),
            "--generate",
            f"--seed={seed}",
            f"--users={users}",
            f"--out-dir={folder}",
        ]
        # The project's own script, with two numbers and a folder.
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
        if done.returncode != 0:
            raise DataError(f"generate_data.py ended with status {done.returncode}.")
        return read_shop(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
