"""Make a synthetic shop: five CSV files and their manifest, the same bytes for a seed."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from data_generation.model.streams import LARGEST_SEED
from data_generation.plan import FIRST_YEAR, LAST_YEAR, MOST_USERS, Plan, find_fault
from utils.helpers import (
    PROJECT_ROOT,
    DataError,
    print_safely,
    render_files,
    report_error,
    shorten_path,
)
from utils.signals import raise_on_signals, report_interruption

DEFAULT_SEED = 42
DEFAULT_USERS = 5_000
# The default window: 24 whole months.
DEFAULT_START = date(2024, 1, 1)
DEFAULT_END = date(2025, 12, 31)

# What --generate makes where the command line says nothing; --verify takes none of these,
# so the parser keeps only those that were given.
DEFAULTS: dict[str, Any] = {
    "seed": DEFAULT_SEED,
    "users": DEFAULT_USERS,
    "start": DEFAULT_START,
    "end": DEFAULT_END,
    "until": None,
    "tables": (),
    "part": (1, 1),
    "truth": False,
}

MOST_PARTS = 9_999
MOST_WORKERS = 1_024


def parse_seed(text: str) -> int:
    """Return the seed in *text*, an integer from 0 to 2**64 - 1."""
    return _parse_integer(text, 0, LARGEST_SEED)


def parse_user_count(text: str) -> int:
    """Return the number of users in *text*."""
    return _parse_integer(text, 0, MOST_USERS)


def parse_worker_count(text: str) -> int:
    """Return the number of processes in *text*."""
    return _parse_integer(text, 1, MOST_WORKERS)


def parse_part_count(text: str) -> int:
    """Return the number of parts in *text*."""
    return _parse_integer(text, 1, MOST_PARTS)


def _parse_integer(text: str, least: int, most: int) -> int:
    if not (
        text.isascii() and text.isdigit() and len(text) < 30 and least <= int(text) <= most
    ):
        raise argparse.ArgumentTypeError(
            f"{text[:30]!r}, expected a whole number from {least} to {most}"
        )
    return int(text)


def parse_date(text: str) -> date:
    """Return the day in *text*, written YYYY-MM-DD, of the years 1900 to 9000."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise argparse.ArgumentTypeError(
            f"{text[:30]!r}, expected a date such as 2025-12-31, of the years {FIRST_YEAR}"
            f" to {LAST_YEAR}"
        )
    return day


def parse_part(text: str) -> tuple[int, int]:
    """Return which part of how many *text* means.

    >>> parse_part("2/16")
    (2, 16)
    """
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    number, total = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= total:
        raise argparse.ArgumentTypeError(
            f"{text[:30]!r}, expected K/N such as 2/16, where 1 <= K <= N <= {MOST_PARTS}"
        )
    return number, total


def parse_tables(text: str) -> tuple[str, ...]:
    """Return the names of tables in *text*, which commas separate."""
    # Only who names tables waits for SQLite, which reads the contract.
    from utils.contract import read_contract

    known = [table.name for table in read_contract().tables]
    names = tuple(text.split(","))
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"{name[:30]!r} is no table, expected some of {','.join(known)}"
            )
    return names


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        prog="generate_data.py",
        description="Make a synthetic shop: users, products, orders, order_items and"
        " payments as CSV files, and datapackage.json, which describes them.",
        epilog="Next: python ingest.py --ingest",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--generate", action="store_true", help="write the files")
    action.add_argument(
        "--verify",
        action="store_true",
        help="say of each file in --out-dir whether it is exactly what the seed in its"
        " manifest makes; the shop is made again in a temporary folder",
    )
    action.add_argument(
        "--join-parts",
        action="store_true",
        help="write the manifest of the whole for the parts in --out-dir: all of them must"
        " be there, as --part made them",
    )
    parser.add_argument(
        "--out-dir",
        type=Path,
        default=PROJECT_ROOT,
        metavar="DIR",
        help="folder for the files (default: the project's root)",
    )
    parser.add_argument(
        "--workers",
        type=parse_worker_count,
        metavar="N",
        help="processes that share the work; a small shop takes fewer (default: as many as"
        " there are processors)",
    )
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="no progress bar and no summary; errors are still told",
    )
    _add_plan_options(parser)
    _add_choice_options(parser)
    return parser


def _add_plan_options(parser: argparse.ArgumentParser) -> None:
    plan = parser.add_argument_group(
        "which shop", "the manifest tells --verify", argument_default=argparse.SUPPRESS
    )
    plan.add_argument(
        "--seed",
        type=parse_seed,
        metavar="N",
        help="where chance starts, 0 to 2**64 - 1; the same seed gives the same bytes"
        f" (default: {DEFAULT_SEED})",
    )
    plan.add_argument(
        "--users",
        type=parse_user_count,
        metavar="N",
        help=f"customers who sign up from --start to --end (default: {DEFAULT_USERS})",
    )
    plan.add_argument(
        "--start",
        type=parse_date,
        metavar="DATE",
        help=f"first day of the window (default: {DEFAULT_START})",
    )
    plan.add_argument(
        "--end",
        type=parse_date,
        metavar="DATE",
        help=f"day by which --users have signed up (default: {DEFAULT_END})",
    )
    plan.add_argument(
        "--until",
        type=parse_date,
        metavar="DATE",
        help="last day of the window: the same shop goes on, with sign-ups at their pace"
        " (default: --end)",
    )


def _add_choice_options(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_argument_group(
        "how much of it", "for --generate only", argument_default=argparse.SUPPRESS
    )
    choice.add_argument(
        "--tables",
        type=parse_tables,
        metavar="NAMES",
        help="only these tables, such as users,orders; other files are left alone"
        " (default: all)",
    )
    choice.add_argument(
        "--part",
        type=parse_part,
        metavar="K/N",
        help="only part K of N of each file, for N machines; the parts in order are the"
        " file (default: 1/1, the whole)",
    )
    choice.add_argument(
        "--truth",
        action="store_true",
        help="also write what no shop knows of its users and products, into truth/",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
        with raise_on_signals():
            if args.verify or args.join_parts:
                refuse_choices(parser, args)
                return run_verification(args) if args.verify else run_join(args)
            if args.generate:
                args = argparse.Namespace(**{**DEFAULTS, **vars(args)})
                run_generator(read_plan(parser, args), args)
                return 0
    except (DataError, OSError) as error:
        report_error("generate_data", error)
        return 1
    except KeyboardInterrupt as end:
        return report_interruption("generate_data", end)
    parser.print_help(sys.stderr)
    return 2


def refuse_choices(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with status 2 if *args* choose what their action reads from the manifest."""
    given = ", ".join(f"--{name}" for name in DEFAULTS if name in args)
    if given:
        action = "--verify" if args.verify else "--join-parts"
        parser.error(f"{action} takes the plan from the manifest; leave {given} away")


def read_plan(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Plan:
    """Return the plan that *args* state; end with status 2 if it cannot be made."""
    if args.truth and args.part != DEFAULTS["part"]:
        parser.error("--truth is made as a whole; leave --part away")
    plan = Plan(args.seed, args.users, args.start, args.end, args.until or args.end)
    fault = find_fault(plan)
    if fault:
        # Seed and users were found good when they were read.
        days = "--start/--end/--until" if args.until else "--start/--end"
        parser.error(f"argument {days}: {fault}")
    return plan


def run_generator(plan: Plan, args: argparse.Namespace) -> None:
    """Write what *args* want of the shop of *plan*; print what was written."""
    # Imported here so that --help and a mistyped option answer at once.
    from data_generation.generate_data import WHOLE, Part, generate_shop
    from utils.contract import MANIFEST_NAME
    from utils.processes import count_processors
    from utils.progress import open_progress_bar

    out_dir = args.out_dir
    part = Part(*args.part)
    workers = args.workers or count_processors()
    with open_progress_bar(quiet=args.quiet) as watch:
        written = generate_shop(
            plan, out_dir, tables=args.tables, part=part, workers=workers, watch=watch
        )
    if args.truth:
        from data_generation.truth import write_truth

        with open_progress_bar(quiet=args.quiet) as watch:
            written += write_truth(plan, out_dir, workers=workers, watch=watch)
    if args.quiet:
        return
    which = "" if part == WHOLE else f", part {part.number} of {part.total}"
    print_safely(f"{render_plan(plan)}{which}:")
    print_safely(
        render_files(
            (shorten_path(out_dir / file.path), file.rows, file.sha256) for file in written
        )
    )
    print_safely(f"  {shorten_path(out_dir / (MANIFEST_NAME + part.suffix))}")
    if part != WHOLE:
        print_safely("Next, with all parts in one folder: --join-parts")


def run_join(args: argparse.Namespace) -> int:
    """Write the manifest of the parts in the folder; print what it lists."""
    from data_generation.parts import join_parts
    from utils.contract import MANIFEST_NAME

    out_dir = args.out_dir
    plan, total, joined = join_parts(out_dir)
    if not args.quiet:
        print_safely(f"{render_plan(plan)}, {total} parts:")
        print_safely(
            render_files(
                (shorten_path(out_dir / file.path), file.rows, file.sha256)
                for file in joined
            )
        )
        print_safely(f"  {shorten_path(out_dir / MANIFEST_NAME)}")
    return 0


def render_plan(plan: Plan) -> str:
    """Return *plan* in words.

    >>> render_plan(Plan(42, 5000, DEFAULT_START, DEFAULT_END, date(2026, 1, 31)))
    'Seed 42, 5,000 users by 2025-12-31, 2024-01-01 to 2026-01-31'
    """
    by = "" if plan.until == plan.end else f" by {plan.end}"
    return f"Seed {plan.seed}, {plan.users:,} users{by}, {plan.start} to {plan.until}"


def run_verification(args: argparse.Namespace) -> int:
    """Print a verdict on each file in the folder; return 1 unless all are exact."""
    from data_generation.generate_data import verify_shop
    from utils.processes import count_processors

    out_dir = args.out_dir
    plan, files = verify_shop(out_dir, workers=args.workers or count_processors())
    if not args.quiet:
        print_safely(f"{render_plan(plan)}:")
        width = max(len(shorten_path(out_dir / file.path)) for file in files)
        for file in files:
            print_safely(f"  {shorten_path(out_dir / file.path):<{width}}  {file.verdict}")
    wrong = sum(not file.is_exact for file in files)
    if not wrong:
        return 0
    report_error(
        "generate_data",
        f"{wrong} of {len(files)} files are not what this seed makes. Make them again:"
        f" --generate {render_options(plan, [file.path for file in files])} and the same"
        " --out-dir.",
    )
    return 1


def render_options(plan: Plan, paths: Sequence[str]) -> str:
    """Return the options that make the files at *paths*, a manifest among them."""
    from utils.contract import read_contract

    options = f"--seed {plan.seed} --users {plan.users} --start {plan.start}"
    options += f" --end {plan.end}"
    if plan.until != plan.end:
        options += f" --until {plan.until}"
    tables = [path.removesuffix(".csv") for path in paths if path.endswith(".csv")]
    if tables and len(tables) < len(read_contract().tables):
        options += f" --tables {','.join(tables)}"
    return options


if __name__ == "__main__":
    sys.exit(main())
