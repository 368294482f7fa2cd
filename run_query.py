"""Compute retention and customer lifetime value (CLV) of each cohort of customers."""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    # Until `main` handles it, Ctrl-C ends the run at once: an import prints no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import os
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utils.arguments import (
    CommandLineParser,
    add_workers_option,
    complete_error,
    day_of_years,
    engine_options,
    find_conflict,
    list_given,
    names,
    whole_number,
)
from utils.helpers import (
    DATABASE_PATH,
    PROJECT_ROOT,
    DataError,
    print_safely,
    report_error,
    shorten_path,
)
from utils.months import FIRST_YEAR, LAST_YEAR
from utils.signals import raise_on_signals, report_interruption

if TYPE_CHECKING:
    from queries.options import Options
    from queries.run_query import QueryOutcome


# The options of which one is needed for an effect of another.
NEEDED_OPTIONS = {
    "--data-dir": ("--engine",),
    "--spark-arg": ("--engine spark",),
    "--truth-dir": ("--score",),
    "--columns": ("--grade",),
    "--require": ("--grade",),
    "--tolerance": ("--grade",),
    "--points": ("--grade",),
}

# The options that have no effect beside another, and why.
EXCLUDED_OPTIONS = {
    "--engine": (
        "reads the CSV files, and uses all processors by itself",
        ("--database", "--workers"),
    ),
    "--grade": (
        "compares with the project's query on SQLite, whose result it does not print",
        ("--query", "--engine", "--forecast", "--score", "--all"),
    ),
    "--score": ("compares with the value of the default orders", ("--valid-status",)),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = CommandLineParser(
        prog="run_query.py",
        description="Run the cohort query on the database, which is opened read-only."
        " Write query_result.csv (the rows of the query) and query_result.json (with the"
        " ratios: retention, average order value, customer lifetime value).",
        epilog="Before: python ingest.py --ingest.  Next: python serve_frontend.py",
        parents=[engine_options()],
    )
    _add_files(parser)
    _add_query_options(parser)
    _add_forecast_options(parser)
    _add_grade_options(parser)
    return parser


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        type=Path,
        metavar="FILE",
        help="database to read (default: db/ecommerce.db)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="with --engine duckdb or spark: folder of the CSV files, or of their parts"
        " (default: the project's root)",
    )
    parser.add_argument(
        "--query",
        type=Path,
        metavar="FILE",
        help="one SELECT with the columns of the default (default: queries/join_query.sql)",
    )
    parser.add_argument(
        "--out-dir",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: the project's root, with a copy of"
        " query_result.json for the page)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="print all cohorts and segments (default: the latest 12 cohorts and the 10"
        " segments of the highest value)",
    )
    add_workers_option(parser)


def _add_query_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cohort",
        choices=("month", "quarter"),
        default="month",
        help="cohorts by month or by quarter of the first order (default: month)",
    )
    parser.add_argument(
        "--by",
        choices=("channel", "country", "category"),
        help="segment customers by acquisition channel, by country, or by the category"
        " with the largest share of their first order",
    )
    parser.add_argument(
        "--as-of",
        type=day_of_years(FIRST_YEAR, LAST_YEAR),
        metavar="DATE",
        help="last day that counts, YYYY-MM-DD (default: the last day of the data)",
    )
    parser.add_argument(
        "--valid-status",
        type=names,
        metavar="NAMES",
        help="statuses of the orders that count, separated by commas (default: paid,"
        "shipped,delivered,partially_returned,returned)",
    )
    parser.add_argument(
        "--omit-first-cohort",
        action="store_true",
        help="average over the cohorts after the first one, which in most real shops"
        " includes all who bought before the data begin",
    )


def _add_forecast_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--forecast",
        action=argparse.BooleanOptionalAction,
        help="forecast the net of each cohort in the next 3, 6 and 12 months (BG/NBD and"
        " Gamma-Gamma), with a holdout that measures the error (default: yes, unless"
        " --query names another query)",
    )
    parser.add_argument(
        "--score",
        action="store_true",
        help="compare the forecast with the ground truth of a synthetic shop",
    )
    parser.add_argument(
        "--truth-dir",
        type=Path,
        metavar="DIR",
        help="folder of the ground truth (default: truth)",
    )


def _add_grade_options(parser: argparse.ArgumentParser) -> None:
    grading = parser.add_argument_group(
        "grading", "compare somebody's table with the result, which is not written then"
    )
    grading.add_argument(
        "--grade",
        type=Path,
        metavar="FILE",
        help="CSV or JSON file with a cohort table, or a folder of such files: print which"
        " cells are wrong, and the mistake that explains them; the exit status is 1 unless"
        " all are right",
    )
    grading.add_argument(
        "--columns",
        type=header_names,
        metavar="NAMES",
        help="what their columns are, if their names do not show it: THEIRS=OURS,…",
    )
    grading.add_argument(
        "--require",
        type=figure_names,
        metavar="NAMES",
        help="columns of ours that count even if they were not handed in",
    )
    grading.add_argument(
        "--tolerance",
        type=whole_number(0, 1_000_000_000),
        metavar="CENTS",
        help="by how much an amount may differ (default: 0)",
    )
    grading.add_argument(
        "--points",
        type=Path,
        metavar="FILE",
        help="TOML file with the points of each column, in a table [points] (default: 10"
        " for each column handed in)",
    )


def header_names(text: str) -> dict[str, str]:
    """Return the headers in *text*, THEIRS=OURS,…, with our columns."""
    from queries.grading.matching import parse_columns

    try:
        return parse_columns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def figure_names(text: str) -> tuple[str, ...]:
    """Return the names in *text*, separated by commas, each a column that is graded."""
    from queries.grading.answers import FIGURE_COLUMNS

    found = names(text)
    if unknown := [name for name in found if name not in FIGURE_COLUMNS]:
        raise argparse.ArgumentTypeError(
            f"{unknown[0][:40]!r}, expected names of {', '.join(FIGURE_COLUMNS)}"
        )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = argparse.Namespace()  # without options until they are parsed
    try:
        with raise_on_signals():
            parser = build_parser()
            parser.parse_args(argv, args)
            conflict = find_option_conflict(parser, args)
            if conflict:
                parser.error(conflict)
            if args.grade is not None:
                return grade(args)
            run_query(args)
    except (DataError, OSError, sqlite3.Error) as error:
        report_error("run_query", complete_error(error, args))
        return 1
    except KeyboardInterrupt as end:
        return report_interruption("run_query", end)
    return 0


def find_option_conflict(
    parser: argparse.ArgumentParser, args: argparse.Namespace
) -> str | None:
    """Return why the options of *args* do not fit together, or None if they do."""
    conflict = find_conflict(list_given(parser, args), NEEDED_OPTIONS, EXCLUDED_OPTIONS)
    if conflict:
        return conflict
    if args.score and not has_forecast(args):
        change = "add --forecast" if args.forecast is None else "omit --no-forecast"
        return f"--score evaluates the forecast; {change}"
    if args.grade and args.out_dir and args.out_dir.resolve() == args.grade.resolve():
        return "--out-dir is the folder of the submissions; choose another"
    return None


def has_forecast(args: argparse.Namespace) -> bool:
    """Return whether *args* request a forecast; another query may not allow one."""
    return args.query is None if args.forecast is None else args.forecast


def run_query(args: argparse.Namespace) -> None:
    """Run the query as *args* request, write the results and print their summary."""
    # Imported here so that --help and usage errors appear without delay.
    from queries.summary import escape_between_colours, render_result, render_score

    outcome = query_source(args, build_options(args, has_forecast=has_forecast(args)))
    width = shutil.get_terminal_size().columns
    print_safely(
        render_result(
            outcome.document,
            width=width,
            has_colour=has_colour(),
            has_all_rows=args.all,
        ),
        escape=escape_between_colours,
    )
    if outcome.score:
        print_safely("")
        print_safely(render_score(outcome.score, outcome.document["currency"]))
    print_safely("")
    for path in outcome.paths:
        print_safely(f"Written: {shorten_path(path)}")
    for note in outcome.notes:
        print_safely(f"run_query: note: {note}", file=sys.stderr)


def build_options(args: argparse.Namespace, *, has_forecast: bool) -> Options:
    """Return the options of the query that *args* state."""
    from queries.options import Options

    as_of = args.as_of.isoformat() if args.as_of else None
    return Options(
        args.cohort,
        args.by,
        as_of,
        args.valid_status,
        has_forecast=has_forecast,
        omits_first_cohort=args.omit_first_cohort,
    )


def grade(args: argparse.Namespace) -> int:
    """Grade the file that *args* name; return 0 for full marks, else 1."""
    from queries.grading.grade_output import render_grade, write_grade
    from queries.grading.grading import (
        Grade,
        Rules,
        grade_file,
        grade_folder,
        prepare_reference,
        read_scheme,
    )
    from queries.grading.ranking import render_ranking, write_ranking
    from utils.processes import count_processors

    rules = Rules(
        columns=args.columns or {},
        required=args.require or (),
        tolerance=args.tolerance or 0,
        scheme=read_scheme(args.points, args.require or ()) if args.points else None,
    )
    reference = prepare_reference(
        args.database or DATABASE_PATH,
        build_options(args, has_forecast=False),
        args.workers or count_processors(),
    )
    if args.grade.is_dir():
        grades = grade_folder(args.grade, reference, rules)
        print_safely(render_ranking(grades))
        paths = [write_ranking(grades, args.out_dir)] if args.out_dir else []
        is_full = all(isinstance(one, Grade) and one.marks.is_full for one in grades)
    else:
        found = grade_file(args.grade, reference, rules)
        width = shutil.get_terminal_size().columns
        print_safely(render_grade(found, width=width))
        paths = write_grade(found, args.out_dir) if args.out_dir else []
        is_full = found.marks.is_full
    if paths:
        print_safely("")
    for path in paths:
        print_safely(f"Written: {shorten_path(path)}")
    return 0 if is_full else 1


def query_source(args: argparse.Namespace, options: Options) -> QueryOutcome:
    """Run the query on the database, or by another engine; write the results."""
    from queries.run_query import query_database, query_files
    from utils.processes import count_processors

    truth_dir = args.truth_dir or PROJECT_ROOT / "truth" if args.score else None
    if args.engine == "sqlite":
        return query_database(
            args.database or DATABASE_PATH,
            query_path=args.query,
            options=options,
            truth_dir=truth_dir,
            out_dir=args.out_dir,
            worker_count=args.workers or count_processors(),
        )
    from utils.engines.process import open_engine

    return query_files(
        open_engine(args.engine, args.spark_arg),
        args.data_dir or PROJECT_ROOT,
        query_path=args.query,
        options=options,
        truth_dir=truth_dir,
        out_dir=args.out_dir,
    )


def has_colour() -> bool:
    """Return whether stdout is a terminal that shows colours (no-color.org)."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    is_able = os.name != "nt" and os.environ.get("TERM", "dumb") != "dumb"
    return is_terminal and is_able and not os.environ.get("NO_COLOR")


if __name__ == "__main__":
    sys.exit(main())
