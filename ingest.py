"""Load five CSV files into SQLite, and report on their integrity and trends."""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    # Until `main` handles it, Ctrl-C ends the run at once: an import prints no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import re
import sqlite3
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from utils.arguments import (
    CommandLineParser,
    add_workers_option,
    complete_commands,
    complete_error,
    day_of_years,
    engine_options,
    find_conflict,
    list_given,
    whole_number,
)
from utils.contract import SCHEMA_PATH
from utils.helpers import (
    DATABASE_PATH,
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    escape_controls,
    escape_line,
    print_safely,
    render_files,
    report_error,
    shorten_path,
)
from utils.months import FIRST_YEAR, LAST_YEAR
from utils.signals import raise_on_signals, report_interruption

# The options of which one is needed for an effect of another.
_LOADS = ("--ingest", "--check")
NEEDED_OPTIONS = {
    "--engine": ("--report",),
    "--spark-arg": ("--engine spark",),
    "--data-dir": (*_LOADS, "--verify", "--grade", "--engine"),
    "--schema": (*_LOADS, "--verify", "--grade"),
    "--database": (*_LOADS, "--report", "--rows", "--verify"),
    "--workers": (*_LOADS, "--report", "--verify"),
    "--out-dir": ("--report", "--verify", "--grade"),
    "--errors": _LOADS,
    "--max-errors": _LOADS,
    "--strict": ("--report", "--grade"),
    "--findings": ("--grade",),
    "--cleaned": ("--grade",),
    "--least-recall": ("--grade",),
    "--least-precision": ("--grade",),
}

# The options that have no effect beside another, and why.
EXCLUDED_OPTIONS = {
    "--grade": (
        "is a run of its own",
        (*_LOADS, "--report", "--rows", "--verify", "--database", "--workers"),
    ),
    "--engine": (
        "reports on the CSV files, without SQLite",
        (*_LOADS, "--rows", "--verify", "--database", "--schema", "--workers"),
    ),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = CommandLineParser(
        prog="ingest.py",
        description="Load users, products, orders, order_items and payments from CSV files"
        " into SQLite, all or nothing, and report on what was loaded.",
        epilog="Next: python run_query.py",
        parents=[engine_options()],
    )
    add_actions(parser)
    add_inputs(parser)
    add_outputs(parser)
    add_grading(parser)
    return parser


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose what is done."""
    load = parser.add_mutually_exclusive_group()
    load.add_argument("--ingest", action="store_true", help="load the files")
    load.add_argument(
        "--check",
        action="store_true",
        help="do everything that --ingest does except replacing the database",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="write report.json and report.md: integrity and trends",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with status 1: with --report if a check of severity error fails, with"
        " --grade if recall or precision is too low",
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
        help="verify checksums from manifest to result: CSV files, database, report and"
        " query result",
    )


def add_grading(parser: argparse.ArgumentParser) -> None:
    """Add the options that grade findings, or cleaned files, with an answer key."""
    group = parser.add_argument_group(
        "planted faults", "what generate_data.py --generate --faults planted"
    )
    group.add_argument(
        "--grade",
        type=Path,
        default=None,
        metavar="KEY",
        help="grade what the loader and the report find in the faulty files, with the"
        " answer key in the folder KEY (the faulty files: --data-dir, by default the folder"
        " faulty beside KEY)",
    )
    judged = group.add_mutually_exclusive_group()
    judged.add_argument(
        "--findings",
        type=Path,
        default=None,
        metavar="FILE",
        help="with --grade: grade the findings of any tool instead, a CSV file of"
        " table,key[,column] or file,line[,field]",
    )
    judged.add_argument(
        "--cleaned",
        type=Path,
        default=None,
        metavar="DIR",
        help="with --grade: grade cleaned files instead",
    )
    for name in ("recall", "precision"):
        group.add_argument(
            f"--least-{name}",
            type=whole_number(0, 100),
            default=None,
            metavar="PERCENT",
            help=f"with --grade --strict: the least {name} (default: 100)",
        )


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the options that name what is read and loaded."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder of the CSV files, or of their parts with another engine (default: the"
        " project's root)",
    )
    parser.add_argument(
        "--database",
        type=Path,
        metavar="FILE",
        help="database to create or to report on (default: db/ecommerce.db)",
    )
    parser.add_argument(
        "--schema",
        type=Path,
        metavar="FILE",
        help="tables and their rules (default: db/schema.sql)",
    )
    parser.add_argument(
        "--as-of",
        type=day_of_years(FIRST_YEAR, LAST_YEAR),
        default=None,
        metavar="DATE",
        help="last day that the data cover, YYYY-MM-DD, if datapackage.json does not state"
        " it (default: the day of the last event)",
    )
    parser.add_argument(
        "--currency",
        type=currency_code,
        default=None,
        metavar="CODE",
        help="ISO 4217 code of the amounts, if datapackage.json does not state it",
    )


def currency_code(text: str) -> str:
    """Return *text* if it has the form of an ISO 4217 code, as an argument's type.

    >>> currency_code("JPY")
    'JPY'
    """
    if not re.fullmatch("[A-Z]{3}", text):
        raise argparse.ArgumentTypeError(f"{text!r}, expected an ISO 4217 code such as EUR")
    return text


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the options for the report and for the messages."""
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
        type=whole_number(0, 999_999_999),
        default=None,
        metavar="N",
        help="number of faults to list of each code in each column (default: 100)",
    )
    parser.add_argument(
        "--errors",
        type=Path,
        default=None,
        metavar="FILE",
        help="write every fault to FILE, one JSON object a line",
    )
    add_workers_option(parser)
    parser.add_argument(
        "--quiet", action="store_true", help="print only warnings and errors"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = argparse.Namespace()  # without options until they are parsed
    try:
        with raise_on_signals():
            parser = build_parser()
            parser.parse_args(argv, args)
            conflict = find_option_conflict(list_given(parser, args))
            if conflict:
                parser.error(conflict)
            actions = (args.ingest, args.check, args.report, args.rows, args.verify)
            if not any(actions) and args.grade is None:
                parser.print_help(sys.stderr)
                return 2
            return run(args)
    except (DataError, OSError, sqlite3.Error) as error:
        report_error("ingest", complete_error(error, args))
        return 1
    except MemoryError:
        report_error("ingest", "out of memory; the existing files were left as they are")
        return 1
    except KeyboardInterrupt as end:
        return report_interruption("ingest", end)


def run(args: argparse.Namespace) -> int:
    """Do what *args* request; return the exit status."""
    if args.ingest or args.check:
        run_ingest(args)
    has_passed = run_report(args) if args.report else True
    if args.rows:
        print_rows(args.database or DATABASE_PATH, args.rows)
    if args.verify:
        has_passed = run_verification(args) and has_passed
    if args.grade is not None:
        has_passed = run_grading(args) and has_passed
    return 0 if has_passed else 1


def find_option_conflict(given: Collection[str]) -> str | None:
    """Return which option of *given* has no effect with the others, if one has none."""
    has_least = "--least-recall" in given or "--least-precision" in given
    if has_least and "--grade" in given and "--strict" not in given:
        return "--least-recall and --least-precision set the exit status; add --strict"
    if ("--as-of" in given or "--currency" in given) and not {*_LOADS} & {*given}:
        return (
            "--as-of and --currency apply to a load; add --ingest or --check, or state both"
            " in datapackage.json"
        )
    return find_conflict(given, NEEDED_OPTIONS, EXCLUDED_OPTIONS)


def run_ingest(args: argparse.Namespace) -> None:
    """Load the files that *args* name and print what was loaded."""
    # Imported here so that --help and usage errors appear without delay.
    from db.ingest import ingest_folder
    from db.loading.faults import MOST_FAULTS
    from utils.progress import open_progress_bar

    data_dir, database = args.data_dir or PROJECT_ROOT, args.database or DATABASE_PATH
    with open_progress_bar(quiet=args.quiet) as on_progress:
        result = ingest_folder(
            data_dir,
            database,
            args.schema or SCHEMA_PATH,
            as_of=args.as_of.isoformat() if args.as_of else None,
            currency=args.currency,
            is_check=args.check,
            max_errors=MOST_FAULTS if args.max_errors is None else args.max_errors,
            errors_path=args.errors,
            worker_count=args.workers or 2,
            on_progress=on_progress,
        )
    if not args.quiet:
        loaded = f"Loaded into {shorten_path(database)}:"
        print_safely("No faults; nothing was loaded:" if args.check else loaded)
        print_safely(
            render_files(
                (shorten_path(data_dir / file.name), file.rows, file.sha256)
                for file in result.files
            )
        )
    for sentence in [] if args.quiet else result.notes:
        print_safely(f"ingest: note: {sentence}", file=sys.stderr)
    for sentence in result.warnings:
        print_safely(f"ingest: warning: {sentence}", file=sys.stderr)
    for name in result.changed:
        print_safely(
            f"ingest: warning: {name} differs from datapackage.json;"
            + (
                " it has no faults."
                if args.check
                else " it was loaded, and the report lists it."
            ),
            file=sys.stderr,
        )


def run_report(args: argparse.Namespace) -> bool:
    """Report on the data that *args* name; return False if the run has to fail."""
    from db.reporting.markdown import render_summary

    out_dir: Path | None = args.out_dir
    report = make_report(args)
    if not args.quiet:
        print_safely(complete_commands(render_summary(report), args))
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
        "ingest", f"failed checks: {', '.join(failed)}. See {shorten_path(written[0])}."
    )
    return False


def make_report(args: argparse.Namespace) -> dict[str, Any]:
    """Write the report with the engine that *args* name; return it."""
    if args.engine == "sqlite":
        from db.reporting.report import report_database
        from utils.processes import count_processors

        return report_database(
            args.database or DATABASE_PATH,
            args.out_dir,
            worker_count=args.workers or count_processors(),
        )
    from db.reporting.engine_report import report_files
    from utils.engines.process import open_engine

    engine = open_engine(args.engine, args.spark_arg)
    return report_files(engine, args.data_dir or PROJECT_ROOT, args.out_dir)


def print_rows(database: Path, check: str) -> None:
    """Print every row that *check* finds in *database*, as CSV."""
    import csv
    import io

    from db.reporting.report import list_rows

    is_terminal = sys.stdout is not None and sys.stdout.isatty()

    def print_note(note: str) -> None:
        print_safely(f"ingest: note: {note}", file=sys.stderr)

    for row in list_rows(database, check, on_note=print_note):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        text = line.getvalue()
        # A file or a pipe gets the cells unchanged.
        print_safely(text, escape=escape_controls if is_terminal else str)


def run_verification(args: argparse.Namespace) -> bool:
    """Print the result of each verification; return whether all of them passed."""
    from itertools import chain

    from db.verify import verify_files
    from queries.verify_result import verify_result
    from utils.contract import read_contract
    from utils.processes import count_processors

    contract = read_contract(args.schema or SCHEMA_PATH)
    database = args.database or DATABASE_PATH
    workers = args.workers or count_processors()
    verifications = chain(
        verify_files(
            contract,
            args.data_dir or PROJECT_ROOT,
            database,
            args.out_dir,
            worker_count=workers,
        ),
        verify_result(database, args.out_dir, worker_count=workers),
    )
    failed = count = 0
    for verification in verifications:
        count += 1
        if verification.fault:
            failed += 1
            fault = escape_line(complete_commands(verification.fault, args))
            print_safely(f"  failed  {verification.name}: {fault}")
        elif not args.quiet:
            print_safely(f"  passed  {verification.name}")
    if failed:
        report_error("ingest", f"{failed} of {count} verifications failed")
        return False
    if not args.quiet:
        print_safely(f"All {count} verifications passed.")
    return True


def run_grading(args: argparse.Namespace) -> bool:
    """Print and write the grade that *args* request; return False if it is too low."""
    from data_generation.faults.repair import read_clean_files, require_key_of
    from db.fault_grading.grade_run import find_low_share, grade_work, write_fault_grade
    from db.fault_grading.grade_texts import render_terminal
    from utils.answer_key import FAULTY_FOLDER

    data_dir = args.data_dir or args.grade.parent / FAULTY_FOLDER
    require_key_of(args.grade, data_dir)
    graded = grade_work(
        args.grade,
        data_dir,
        args.schema or SCHEMA_PATH,
        findings_path=args.findings,
        cleaned_dir=args.cleaned,
        read_clean=read_clean_files(args.grade, data_dir),
    )
    if not args.quiet:
        print_safely(render_terminal(graded))
    if args.out_dir is not None:
        for path in write_fault_grade(graded, args.out_dir):
            if not args.quiet:
                print_safely(f"Written: {shorten_path(path)}")
    least = {"recall": args.least_recall, "precision": args.least_precision}
    low = find_low_share(graded, {**least}) if args.strict else None
    if low:
        report_error("ingest", low)
    return not low


if __name__ == "__main__":
    sys.exit(main())
