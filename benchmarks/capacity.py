"""Measure the cost of shops of given sizes, and extrapolate to a larger one.

    python benchmarks/capacity.py --users 5000 150000 --engines sqlite duckdb spark
    python benchmarks/capacity.py --users 1500000 --plan 100000000 --parts 400

Every command runs once, as a complete process.  Generation uses one worker, so processor
time is that of one core.  `duckdb` and `spark-sql` are found as the scripts find them;
Spark runs on all cores of this machine.  --plan extrapolates from the last size measured,
with the formulas that it prints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.measuring import (  # noqa: E402
    MIB,
    Usage,
    count_lines,
    describe_machine,
    note,
    parse_count,
    print_line,
    run_process,
)
from utils.contract import read_contract  # noqa: E402

TABLES = [table.name for table in read_contract().tables]
SPARK = ["--engine", "spark", "--spark-arg=--master", "--spark-arg=local[*]"]
ENGINES = {"sqlite": [], "duckdb": ["--engine", "duckdb"], "spark": SPARK}

# What an order day reads of the days before: a timestamp a purchase, traits a user.
TIMESTAMP_BYTES, TRAIT_BYTES = 8, 2
PART_COUNT = 16
HOUR = 3600


class Generation(NamedTuple):
    """The rows and bytes of the files of *users*, and what it took to make them.

    *sign_up* is for the users alone, *first_part* and *last_part* for those of sixteen.
    """

    users: int
    rows: dict[str, int]
    bytes: dict[str, int]
    complete: Usage
    sign_up: Usage
    first_part: Usage
    last_part: Usage


def run_script(name: str, *arguments: object) -> Usage:
    """Run one of the project's commands."""
    return run_process([sys.executable, str(ROOT / name), *map(str, arguments)], ROOT)


def generate(users: int, folder: Path, *options: object) -> Usage:
    """Make the files of *users* in *folder* by one worker."""
    return run_script(
        "generate_data.py",
        "--generate",
        "--quiet",
        "--workers",
        1,
        "--users",
        users,
        "--out-dir",
        folder,
        *options,
    )


def measure_generation(users: int, folder: Path, scratch: Path) -> Generation:
    """Make the shop in *folder*, and parts of it in *scratch*."""
    complete = generate(users, folder)
    paths = {table: folder / f"{table}.csv" for table in TABLES}
    return Generation(
        users,
        {table: count_lines(path) - 1 for table, path in paths.items()},
        {table: path.stat().st_size for table, path in paths.items()},
        complete,
        generate(users, scratch, "--tables", "users"),
        generate(users, scratch, "--part", f"1/{PART_COUNT}"),
        generate(users, scratch, "--part", f"{PART_COUNT}/{PART_COUNT}"),
    )


def render_generation(made: Generation) -> str:
    """Return rows, bytes and costs as lines of Markdown."""
    rows, size = sum(made.rows.values()), sum(made.bytes.values())
    lines = [
        f"### {made.users:,} users",
        "",
        f"- {rows:,} rows, {size / 1e6:,.1f} MB: {size / made.users:,.1f} bytes a user",
        *(
            f"- {table}: {made.rows[table] / made.users:.3f} rows and"
            f" {made.bytes[table] / made.users:.1f} bytes a user"
            for table in TABLES
        ),
        (
            f"- one core: {made.complete.cpu_seconds:.1f} s,"
            f" {rows / made.complete.cpu_seconds:,.0f} rows/s,"
            f" peak {made.complete.peak_bytes / MIB:,.0f} MiB"
        ),
        (
            f"- users alone {made.sign_up.cpu_seconds:.1f} s; part 1/{PART_COUNT}"
            f" {made.first_part.cpu_seconds:.1f} s, part {PART_COUNT}/{PART_COUNT}"
            f" {made.last_part.cpu_seconds:.1f} s,"
            f" peak {made.last_part.peak_bytes / MIB:,.0f} MiB"
        ),
    ]
    return "\n".join(lines)


def measure_engines(folder: Path, scratch: Path, engines: Sequence[str]) -> str:
    """Return a table of the query's wall time on each of *engines*, from the CSV files."""
    lines = ["| engine | wall | peak of the largest process |", "| --- | ---: | ---: |"]
    database = scratch / "shop.db"
    for engine in engines:
        where: list[object] = ["--database", database]
        if engine == "sqlite":
            load = run_script(
                "ingest.py", "--ingest", "--quiet", "--data-dir", folder, *where
            )
            lines.append(_render_line("load into SQLite", load))
        else:
            where = ["--data-dir", folder, *ENGINES[engine]]
        out = scratch / engine
        query = run_script("run_query.py", "--no-forecast", *where, "--out-dir", out)
        lines.append(_render_line(f"{engine}: query", query))
    texts = {(scratch / engine / "query_result.csv").read_bytes() for engine in engines}
    same = "the same bytes" if len(texts) == 1 else "DIFFERENT BYTES"
    return "\n".join([*lines, "", f"query_result.csv: {same}."])


def _render_line(name: str, usage: Usage) -> str:
    return f"| {name} | {usage.wall_seconds:.1f} s | {usage.peak_bytes / MIB:,.0f} MiB |"


def extrapolate(made: Generation, users: int, parts: int) -> str:
    """Return what *users* in *parts* need, extrapolated from the measured *made*."""
    scale = users / made.users
    one_pass, sign_up = made.complete.cpu_seconds * scale, made.sign_up.cpu_seconds * scale
    # A part repeats work for the days before it: sign-ups, and counting ids.
    again = max(0.0, made.last_part.cpu_seconds * scale - one_pass / PART_COUNT)
    repeated = again * PART_COUNT / (PART_COUNT - 1)
    total = one_pass + repeated * (parts - 1) / 2
    longest = one_pass / parts + repeated * (parts - 1) / parts
    orders = made.rows["orders"] * scale
    size = sum(made.bytes.values()) * scale
    return "\n".join(
        [
            f"### {users:,} users in {parts:,} parts, extrapolated",
            "",
            f"- files: {size / 1e9:,.1f} GB = users x bytes a user",
            f"- one pass: {one_pass / HOUR:,.2f} core-hours = users x seconds a user",
            f"- of which sign-ups: {sign_up / HOUR:,.2f} core-hours",
            f"- repeated by the last part: R = {repeated / HOUR:,.2f} core-hours",
            f"- all parts: {total / HOUR:,.1f} core-hours = one pass + R x (parts - 1) / 2",
            f"- longest part: {longest / HOUR:,.2f} hours = one pass / parts + R",
            (
                f"- memory of a part: {TRAIT_BYTES * users / 1e9:,.2f} GB of traits ="
                f" {TRAIT_BYTES} bytes x users"
            ),
            (
                f"- scratch of a part: {TIMESTAMP_BYTES * orders / 1e9:,.1f} GB of"
                f" timestamps = {TIMESTAMP_BYTES} bytes x orders;"
                " also the size of a shuffle"
            ),
        ]
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--users",
        type=parse_count,
        nargs="+",
        default=[5_000, 150_000],
        metavar="N",
        help="sizes to measure (default: 5000 150000)",
    )
    parser.add_argument(
        "--engines", nargs="*", choices=list(ENGINES), default=[], help="engines to measure"
    )
    parser.add_argument(
        "--plan", type=parse_count, metavar="N", help="number of users to extrapolate to"
    )
    parser.add_argument(
        "--parts",
        type=parse_count,
        default=100,
        metavar="N",
        help="with --plan: parts they are made in (default: 100)",
    )
    parser.add_argument(
        "--scratch", type=Path, metavar="DIR", help="folder for temporary files"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    print_line(describe_machine())
    for users in args.users:
        with tempfile.TemporaryDirectory(dir=args.scratch) as name:
            folder, scratch = Path(name, "shop"), Path(name, "scratch")
            note(f"{users:,} users")
            made = measure_generation(users, folder, scratch)
            print_line(f"\n{render_generation(made)}")
            if args.engines:
                print_line(f"\n{measure_engines(folder, scratch, args.engines)}")
    if args.plan:
        print_line(f"\n{extrapolate(made, args.plan, args.parts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
