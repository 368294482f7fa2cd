"""Tell what each month's new customers have been worth since, from the database."""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.helpers import (
    DATABASE_PATH,
    DataError,
    print_safely,
    report_error,
    show_path,
)
from utils.signals import obey_signals, report_end


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
        "--database", type=Path, default=DATABASE_PATH, metavar="FILE",
        help="the database to read (default: db/ecommerce.db)",
    )  # fmt: skip
    parser.add_argument(
        "--query", type=Path, default=None, metavar="FILE",
        help="one SELECT with the columns of the default (default: queries/join_query.sql)",
    )  # fmt: skip
    parser.add_argument(
        "--out-dir", type=Path, default=None, metavar="DIR",
        help="folder for the results (default: the project's root, with a copy of"
        " query_result.json for the page)",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    try:
        with obey_signals():
            run_query(args.database, args.query, args.out_dir)
    except (DataError, OSError, sqlite3.Error) as error:
        report_error("run_query", error)
        return 1
    except KeyboardInterrupt as end:
        return report_end("run_query", end)
    return 0


def run_query(database: Path, query_path: Path | None, out_dir: Path | None) -> None:
    """Query *database*, write the results and print their summary."""
    # Imported here so that --help and a mistyped option answer at once.
    from queries.run_query import QUERY_PATH, query_database
    from queries.summary import render_summary

    outcome = query_database(database, query_path=query_path or QUERY_PATH, out_dir=out_dir)
    width = shutil.get_terminal_size().columns
    print_safely(render_summary(outcome.document, width=width))
    print_safely("")
    for path in outcome.paths:
        print_safely(f"Written: {show_path(path)}")
    for note in outcome.notes:
        print_safely(f"run_query: note: {note}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
