"""Make a synthetic shop: five CSV files and their manifest, the same bytes for a seed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from data_generation.streams import LARGEST_SEED
from utils.helpers import (
    PROJECT_ROOT,
    DataError,
    print_safely,
    render_files,
    report_error,
    show_path,
)

# The default window: 24 whole months.
DEFAULT_START = date(2024, 1, 1)
DEFAULT_END = date(2025, 12, 31)
DEFAULT_USERS = 5_000
MOST_USERS = 100_000_000


def parse_seed(text: str) -> int:
    """Return the seed in *text*, an integer from 0 to 2**64 - 1."""
    return _parse_integer(text, 0, LARGEST_SEED)


def parse_user_count(text: str) -> int:
    """Return the number of users in *text*."""
    return _parse_integer(text, 0, MOST_USERS)


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
    if day is None or day.isoformat() != text or not 1900 <= day.year <= 9000:
        raise argparse.ArgumentTypeError(
            f"{text[:30]!r}, expected a date such as 2025-12-31, of the years 1900 to 9000"
        )
    return day


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
        "--verify", action="store_true",
        help="say of each file in --out-dir whether it is exactly what the seed in its"
        " manifest makes; the shop is made again in a temporary folder",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=parse_seed, default=42, metavar="N",
        help="where chance starts, 0 to 2**64 - 1; the same seed gives the same bytes"
        " (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--users", type=parse_user_count, default=DEFAULT_USERS, metavar="N",
        help="customers who sign up in the window (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--start", type=parse_date, default=DEFAULT_START, metavar="DATE",
        help="first day of the window (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--end", type=parse_date, default=DEFAULT_END, metavar="DATE",
        help="last day of the window (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--out-dir", type=Path, default=PROJECT_ROOT, metavar="DIR",
        help="folder for the files (default: the project's root)",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if not (args.generate or args.verify):
        parser.print_help(sys.stderr)
        return 2
    if args.end < args.start:
        parser.error(f"--end {args.end} is before --start {args.start}")

    try:
        if args.verify:
            return run_verification(args.out_dir)
        run_generator(args.seed, args.users, args.start, args.end, args.out_dir)
    except (DataError, OSError) as error:
        report_error("generate_data", error)
        return 1
    except KeyboardInterrupt:
        report_error("generate_data", "interrupted")
        return 130
    return 0


def run_generator(seed: int, users: int, start: date, end: date, out_dir: Path) -> None:
    """Write the shop into *out_dir* and print what was written."""
    # Imported here so that --help and a mistyped option answer at once.
    from data_generation.generate_data import Plan, generate_shop
    from utils.contract import MANIFEST_NAME

    written = generate_shop(Plan(seed, users, start, end), out_dir)
    print_safely(f"Seed {seed}, {users:,} users, {start} to {end}:")
    print_safely(
        render_files(
            (show_path(out_dir / file.path), file.rows, file.sha256) for file in written
        )
    )
    print_safely(f"  {show_path(out_dir / MANIFEST_NAME)}")


def run_verification(out_dir: Path) -> int:
    """Print a verdict on each file in *out_dir*; return 1 unless all are exact."""
    from data_generation.generate_data import verify_shop

    plan, files = verify_shop(out_dir)
    print_safely(f"Seed {plan.seed}, {plan.users:,} users, {plan.start} to {plan.end}:")
    width = max(len(show_path(out_dir / file.path)) for file in files)
    for file in files:
        print_safely(f"  {show_path(out_dir / file.path):<{width}}  {file.verdict}")
    wrong = sum(not file.is_exact for file in files)
    if not wrong:
        return 0
    report_error(
        "generate_data",
        f"{wrong} of {len(files)} files are not what this seed makes. --generate with the"
        " seed, users and window above makes them again.",
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
