"""Tell what each month's new customers have been worth since, from the database."""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utils.helpers import (
    DATABASE_PATH,
    ENGINE_NAMES,
    PROJECT_ROOT,
    DataError,
    print_safely,
    report_error,
    shorten_path,
)
from utils.signals import raise_on_signals, report_interruption

if TYPE_CHECKING:
    from queries.options import Options
    from queries.run_query import Outcome


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        prog="run_query.py",
        description="Run the cohort query on the database, which is only read, and write"
        " query_result.csv (what the query gave) and query_result.json (with the ratios:"
        " retention, order value, customer lifetime value).",
        epilog="Before: python ingest.py --ingest.  Next: python serve_frontend.py",
    )
    parser.add_argument(
        "--database",
        type=Path,
        default=None,
        metavar="FILE",
        help="the database to read (default: db/ecommerce.db)",
    )
    parser.add_argument(
        "--engine",
        choices=("sqlite", *ENGINE_NAMES),
        default="sqlite",
        help="what runs the query: SQLite on the database, or DuckDB or Spark on the CSV"
        " files themselves (default: sqlite)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="with another engine: folder of the CSV files, or of their parts (default: the"
        " project's root)",
    )
    parser.add_argument(
        "--spark-arg",
        action="append",
        default=[],
        metavar="ARG",
        help="with --engine spark: an argument for spark-sql, such as"
        " --spark-arg=--master --spark-arg=yarn; may be given again",
    )
    parser.add_argument(
        "--query",
        type=Path,
        default=None,
        metavar="FILE",
        help="one SELECT with the columns of the default (default: queries/join_query.sql)",
    )
    parser.add_argument(
        "--cohort",
        choices=("month", "quarter"),
        default="month",
        help="cohorts by month or by quarter of the first order (default: month)",
    )
    parser.add_argument(
        "--by",
        choices=("channel", "country", "category"),
        default=None,
        help="tell customers apart by acquisition channel, by country, or by the category"
        " that most of their first order's money went to",
    )
    parser.add_argument(
        "--as-of",
        type=parse_day,
        default=None,
        metavar="DATE",
        help="the last day that counts, YYYY-MM-DD (default: the data's last day)",
    )
    parser.add_argument(
        "--valid-status",
        type=parse_names,
        default=None,
        metavar="NAMES",
        help="statuses of the orders that count, separated by commas (default: paid,"
        "shipped,delivered,partially_returned,returned)",
    )
    parser.add_argument(
        "--forecast",
        action="store_true",
        help="also what each cohort is expected to bring in the next 3, 6 and 12 months"
        " (BG/NBD and Gamma-Gamma), with a hold-out that shows the error",
    )
    parser.add_argument(
        "--score",
        action="store_true",
        help="with --forecast: hold it against the truth of a synthetic shop",
    )
    parser.add_argument(
        "--truth-dir",
        type=Path,
        default=PROJECT_ROOT / "truth",
        metavar="DIR",
        help="folder of the truth (default: truth)",
    )
    parser.add_argument(
        "--out-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder for the results (default: the project's root, with a copy of"
        " query_result.json for the page)",
    )
    return parser


def parse_day(text: str) -> str:
    """Return *text*, a day of the calendar written YYYY-MM-DD."""
    from utils.database import is_date

    if not is_date(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2025-11-30")
    return text


def parse_names(text: str) -> tuple[str, ...]:
    """Return the names in *text*, without those that come again."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing; expected paid,shipped")
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.score and not args.forecast:
        parser.error("--score judges the forecast; add --forecast")
    fault = find_option_conflict(args)
    if fault:
        parser.error(fault)
    try:
        with raise_on_signals():
            run_query(args)
    except (DataError, OSError, sqlite3.Error) as error:
        report_error("run_query", error)
        return 1
    except KeyboardInterrupt as end:
        return report_interruption("run_query", end)
    return 0


def find_option_conflict(args: argparse.Namespace) -> str | None:
    """Return which option of *args* means nothing to the engine, if one does."""
    if args.engine == "sqlite" and args.data_dir is not None:
        return "--data-dir is read by another engine; add --engine, or load the files"
    if args.engine != "sqlite" and args.database is not None:
        return "--database is SQLite's; leave it away, or --engine"
    if args.engine != "spark" and args.spark_arg:
        return "--spark-arg is for --engine spark"
    return None


def run_query(args: argparse.Namespace) -> None:
    """Query the data that *args* name, write the results and print their summary."""
    # Imported here so that --help and a mistyped option answer at once.
    from queries.options import Options
    from queries.summary import render_score, render_summary

    options = Options(
        args.cohort, args.by, args.as_of, args.valid_status, has_forecast=args.forecast
    )
    outcome = answer(args, options)
    width = shutil.get_terminal_size().columns
    print_safely(render_summary(outcome.document, width=width, has_colour=takes_colour()))
    if outcome.score:
        print_safely("")
        print_safely(render_score(outcome.score, outcome.document["currency"]))
    print_safely("")
    for path in outcome.paths:
        print_safely(f"Written: {shorten_path(path)}")
    for note in outcome.notes:
        print_safely(f"run_query: note: {note}", file=sys.stderr)


def answer(args: argparse.Namespace, options: Options) -> Outcome:
    """Let the engine that *args* name run the query with *options*; write the results."""
    from queries.run_query import QUERY_PATH, query_database, query_files
    from utils.engines.process import open_engine

    query_path = args.query or QUERY_PATH
    truth_dir = args.truth_dir if args.score else None
    if args.engine == "sqlite":
        return query_database(
            args.database or DATABASE_PATH,
            query_path=query_path,
            options=options,
            truth_dir=truth_dir,
            out_dir=args.out_dir,
        )
    return query_files(
        open_engine(args.engine, args.spark_arg),
        args.data_dir or PROJECT_ROOT,
        query_path=query_path,
        options=options,
        truth_dir=truth_dir,
        out_dir=args.out_dir,
    )


def takes_colour() -> bool:
    """Return whether stdout is a terminal on which colour is wanted (no-color.org)."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    is_able = os.name != "nt" and os.environ.get("TERM", "dumb") != "dumb"
    return is_terminal and is_able and not os.environ.get("NO_COLOR")


if __name__ == "__main__":
    sys.exit(main())
