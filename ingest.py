"""Load five CSV files into SQLite, and report on their integrity and trends."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils.contract import SCHEMA_PATH
from utils.helpers import (
    DATABASE_PATH,
    ENGINE_NAMES,
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    escape_controls,
    print_safely,
    render_files,
    report_error,
    shorten_path,
)
from utils.signals import raise_on_signals, report_interruption


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        prog="ingest.py",
        description="Load users, products, orders, order_items and payments from CSV into"
        " SQLite, all or nothing, and report on what was loaded.",
        epilog="Next: python run_query.py",
    )
    load = parser.add_mutually_exclusive_group()
    load.add_argument("--ingest", action="store_true", help="load the files")
    load.add_argument(
        "--check",
        action="store_true",
        help="do all that --ingest does but the last step: the database stays as it is",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="write report.json and report.md: integrity and trends",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="with --report: exit with status 1 if a check of severity error fails",
    )
    parser.add_argument(
        "--rows",
        metavar="CHECK",
        default=None,
        help="print every row that the check CHECK of the report finds, as CSV",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="prove the chain manifest, CSV, database, report, query result, link by link",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=PROJECT_ROOT,
        metavar="DIR",
        help="folder of the CSV files; with another engine also of their parts (default:"
        " the project's root)",
    )
    parser.add_argument(
        "--engine",
        choices=("sqlite", *ENGINE_NAMES),
        default="sqlite",
        help="with --report: SQLite on the database, or DuckDB or Spark on the CSV files"
        " themselves (default: sqlite)",
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
        "--database",
        type=Path,
        default=DATABASE_PATH,
        metavar="FILE",
        help="the database to make or to report on (default: db/ecommerce.db)",
    )
    parser.add_argument(
        "--schema",
        type=Path,
        default=SCHEMA_PATH,
        metavar="FILE",
        help="the tables and their rules (default: db/schema.sql)",
    )
    parser.add_argument(
        "--out-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder for the report (default: the project's root, with a copy of"
        " report.json for the page)",
    )
    parser.add_argument(
        "--max-errors",
        type=parse_count,
        default=None,
        metavar="N",
        help="faults to list of each kind in each file (default: 100)",
    )
    parser.add_argument(
        "--errors",
        type=Path,
        default=None,
        metavar="FILE",
        help="write every fault to FILE, one JSON object a line",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but warnings and errors"
    )
    return parser


def parse_count(text: str) -> int:
    """Return *text* as a whole number, 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, such as 100")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    try:
        with raise_on_signals():
            return run(argv)
    except (DataError, OSError, sqlite3.Error) as error:
        report_error("ingest", error)
        return 1
    except MemoryError:
        report_error("ingest", "out of memory; what was there before was left as it is")
        return 1
    except KeyboardInterrupt as end:
        return report_interruption("ingest", end)


def run(argv: Sequence[str] | None) -> int:
    """Do what the command line *argv* asks for; return the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.strict and not args.report:
        parser.error("--strict judges the report; add --report")
    tells_faults = args.errors is not None or args.max_errors is not None
    if tells_faults and not (args.ingest or args.check):
        parser.error("--errors and --max-errors tell of a load; add --ingest or --check")
    fault = find_option_conflict(args)
    if fault:
        parser.error(fault)
    if not (args.ingest or args.check or args.report or args.rows or args.verify):
        parser.print_help(sys.stderr)
        return 2
    if args.ingest or args.check:
        run_ingest(args)
    is_sound = run_report(args) if args.report else True
    if args.rows:
        print_rows(args.database, args.rows)
    if args.verify:
        is_sound = run_verification(args) and is_sound
    return 0 if is_sound else 1


def find_option_conflict(args: argparse.Namespace) -> str | None:
    """Return which option of *args* means nothing to its engine, if one does."""
    if args.engine != "spark" and args.spark_arg:
        return "--spark-arg is for --engine spark"
    if args.engine == "sqlite":
        return None
    if not args.report:
        return "--engine is what makes the report; add --report"
    others = {
        "--ingest": args.ingest,
        "--check": args.check,
        "--rows": args.rows,
        "--verify": args.verify,
        "--database": args.database != DATABASE_PATH,
        "--schema": args.schema != SCHEMA_PATH,
    }
    odd = [name for name, is_given in others.items() if is_given]
    return f"{odd[0]} is SQLite's; leave it away, or --engine" if odd else None


def run_ingest(args: argparse.Namespace) -> None:
    """Load the files that *args* name and print what was loaded."""
    # Imported here so that --help and a mistyped option answer at once.
    from db.ingest import ingest_folder
    from db.loading.faults import MOST_FAULTS
    from utils.progress import open_progress_bar

    with open_progress_bar(quiet=args.quiet) as watch:
        outcome = ingest_folder(
            args.data_dir,
            args.database,
            args.schema,
            is_check=args.check,
            max_errors=MOST_FAULTS if args.max_errors is None else args.max_errors,
            errors_path=args.errors,
            watch=watch,
        )
    if not args.quiet:
        done = f"Loaded into {shorten_path(args.database)}"
        print_safely("Sound, and not loaded:" if args.check else f"{done}:")
        print_safely(
            render_files(
                (shorten_path(args.data_dir / file.name), file.rows, file.sha256)
                for file in outcome.files
            )
        )
    for sentence in outcome.warnings:
        print_safely(f"ingest: warning: {sentence}", file=sys.stderr)
    for name in outcome.changed:
        print_safely(
            f"ingest: warning: {name} is not what datapackage.json says;"
            + (
                " it is sound all the same."
                if args.check
                else " it was loaded all the same, and the report tells of it."
            ),
            file=sys.stderr,
        )


def run_report(args: argparse.Namespace) -> bool:
    """Report on the data that *args* name; return False if it is to fail the run."""
    from db.reporting.report import render_summary

    out_dir: Path | None = args.out_dir
    report = make_report(args)
    if not args.quiet:
        print_safely(render_summary(report))
    folder = out_dir if out_dir is not None else PROJECT_ROOT
    written = [folder / "report.md", folder / "report.json"]
    if out_dir is None:
        written.append(PUBLISHED_DIR / "report.json")
    for path in [] if args.quiet else written:
        print_safely(f"Written: {shorten_path(path)}")
    if not args.strict or report["verdict"]["status"] != "fail":
        return True
    failed = [check["check"] for check in report["checks"] if check["status"] == "fail"]
    report_error(
        "ingest", f"not sound: {', '.join(failed)}. See {shorten_path(written[0])}."
    )
    return False


def make_report(args: argparse.Namespace) -> dict[str, Any]:
    """Write the report by the engine that *args* name; return it."""
    if args.engine == "sqlite":
        from db.reporting.report import report_database

        return report_database(args.database, args.out_dir)
    from db.reporting.engine_report import report_files
    from utils.engines.process import open_engine

    engine = open_engine(args.engine, args.spark_arg)
    return report_files(engine, args.data_dir, args.out_dir)


def print_rows(database: Path, check: str) -> None:
    """Print every row that *check* finds in *database*, as CSV."""
    import csv
    import io

    from db.reporting.report import list_rows

    for row in list_rows(database, check):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        text = line.getvalue()
        # A terminal obeys control characters; a file or a pipe gets the cells as they are.
        print_safely(escape_controls(text) if sys.stdout.isatty() else text)


def run_verification(args: argparse.Namespace) -> bool:
    """Print of each link of the chain whether it holds; return whether all do."""
    from itertools import chain

    from db.verify import verify_load, verify_report
    from queries.verify_result import verify_result
    from utils.contract import read_contract

    links = chain(
        verify_load(read_contract(args.schema), args.data_dir, args.database),
        verify_report(args.database, args.out_dir),
        verify_result(args.database, args.out_dir),
    )
    broken = count = 0
    for link in links:
        count += 1
        broken += bool(link.fault)
        if link.fault:
            print_safely(f"  broken  {link.name}: {link.fault}")
        elif not args.quiet:
            print_safely(f"  holds   {link.name}")
    if broken:
        report_error("ingest", f"{broken} of {count} links are broken")
        return False
    if not args.quiet:
        print_safely(f"All {count} links hold.")
    return True


if __name__ == "__main__":
    sys.exit(main())
