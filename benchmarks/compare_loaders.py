"""Measure the loader beside the sqlite3 shell, sqlite-utils and DuckDB, or its diagnosis.

    python benchmarks/compare_loaders.py
    python benchmarks/compare_loaders.py --rounds 9 --users 300000
    python benchmarks/compare_loaders.py --faults

Complete processes are measured, from start to exit.  A round runs every tool
once, in a rotated order; the ratios are taken within a round, so a slow period of the
machine affects both sides.  One run of each before the rounds is not counted.

The sqlite3 shell does the same job: the schema with its rules, `.import` of the five files
in one transaction, the indexes, `PRAGMA foreign_key_check`.  sqlite-utils (no rules, no
indexes but the key, one call a file) and DuckDB (keys, NOT NULL and references, its own
format) are there for orientation.

--faults measures the diagnosis instead: of one fault, and of one fault in each of a million
rows.  The exit status is 1 if a target is missed.  The peers are
those of peers.txt, installed as by compare_generators.py; the shell must be on the PATH.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.measuring import (  # noqa: E402
    MIB,
    Usage,
    add_sizes,
    count_lines,
    describe_machine,
    describe_usage,
    print_line,
    run_process,
    run_rounds,
)
from benchmarks.peers import (  # noqa: E402
    default_environment,
    find_shell,
    prepare_environment,
)
from utils.contract import read_contract  # noqa: E402

GENERATOR = ROOT / "generate_data.py"
INGEST = ROOT / "ingest.py"

# Targets: ours ÷ the shell by wall time; the diagnosis ÷ the load; the memory of both.
MOST_RATIO = 1.0
MOST_DIAGNOSIS = 5.0
MOST_PEAK_BYTES = 200_000_000
FAULTY_ROWS = 1_000_000


class Loader(NamedTuple):
    """A tool that loads the files; *command* makes the database of a path it gets."""

    name: str
    command: Callable[[Path], list[str]]


def write_shell_script(data_dir: Path, script: Path) -> None:
    """Write what the sqlite3 shell is to do with the files in *data_dir*."""
    contract = read_contract()
    lines = ["PRAGMA synchronous = OFF;", "BEGIN;"]
    lines += [f"{statement};" for statement in contract.table_statements]
    for table in contract.tables:
        lines.append(f".import --csv --skip 1 {data_dir / table.name}.csv {table.name}")
    lines += [f"{statement};" for statement in contract.index_statements]
    lines += ["PRAGMA foreign_key_check;", "COMMIT;"]
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")


DUCKDB_LOADER = """
import sys, duckdb
sys.path.insert(0, sys.argv[3])
from utils.contract import read_contract
connection = duckdb.connect(sys.argv[2])
connection.execute("BEGIN")
for table in read_contract().tables:
    columns = [
        f"{c.name} {'BIGINT' if c.type == 'INTEGER' else 'VARCHAR'} NOT NULL"
        for c in table.columns
    ]
    keys = [f"PRIMARY KEY ({', '.join(table.key)})"]
    keys += [
        f"FOREIGN KEY ({k.column}) REFERENCES {k.parent_table} ({k.parent_column})"
        for k in table.foreign_keys
    ]
    connection.execute(f"CREATE TABLE {table.name} ({', '.join(columns + keys)})")
    connection.execute(f"COPY {table.name} FROM '{sys.argv[1]}/{table.name}.csv' (HEADER)")
connection.execute("COMMIT")
"""


def list_loaders(data_dir: Path, scratch: Path, python: Path) -> list[Loader]:
    """Return the loaders of *data_dir*; *python* has the peers."""
    shell = find_shell("compare_loaders")
    script = scratch / "load.sql"
    write_shell_script(data_dir, script)
    utils = python.with_name("sqlite-utils")
    inserts = " && ".join(
        f'"{utils}" insert "$0" {table.name} "{data_dir / table.name}.csv" --csv'
        f" --pk {table.key[0]} --silent"
        for table in read_contract().tables
    )
    return [
        Loader(
            "ours",
            lambda path: [
                sys.executable,
                str(INGEST),
                "--ingest",
                "--quiet",
                "--data-dir",
                str(data_dir),
                "--database",
                str(path),
            ],
        ),
        Loader(
            "sqlite3 shell",
            lambda path: [
                shell,
                "-bail",
                str(path),
                f".read {script}",
            ],
        ),
        Loader("sqlite-utils", lambda path: ["/bin/sh", "-c", inserts, str(path)]),
        Loader(
            "DuckDB",
            lambda path: [
                str(python),
                "-c",
                DUCKDB_LOADER,
                str(data_dir),
                str(path),
                str(ROOT),
            ],
        ),
    ]


def measure_load(loader: Loader, scratch: Path) -> Usage:
    """Return what *loader* takes for a database in a new folder below *scratch*."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        return run_process(loader.command(Path(folder) / "shop.db"), Path(folder))


def render_table(usages: dict[str, list[Usage]], rows: int) -> str:
    """Return the medians as a Markdown table."""
    lines = [
        "| loader | wall s | CPU s | rows/s | peak MiB | ours ÷ it, wall |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in usages.items():
        wall = statistics.median(run.wall_seconds for run in runs)
        cpu = statistics.median(run.cpu_seconds for run in runs)
        peak = max(run.peak_bytes for run in runs) / MIB
        ratio = "" if name == "ours" else f"{find_ratio(usages, name):.2f}"
        lines.append(
            f"| {name} | {wall:.2f} | {cpu:.2f} | {rows / wall:,.0f} | {peak:.0f}"
            f" | {ratio} |"
        )
    return "\n".join(lines)


def find_ratio(usages: dict[str, list[Usage]], name: str) -> float:
    """Return the median over the rounds of our wall time ÷ that of the loader *name*."""
    return statistics.median(
        ours.wall_seconds / other.wall_seconds
        for ours, other in zip(usages["ours"], usages[name], strict=True)
    )


def generate(users: int, folder: Path) -> int:
    """Make the files of *users* in *folder*; return the rows."""
    command = [
        sys.executable,
        str(GENERATOR),
        "--generate",
        "--quiet",
        "--users",
        str(users),
        "--out-dir",
        str(folder),
    ]
    run_process(command, folder)
    return sum(
        count_lines(folder / f"{table.name}.csv") - 1 for table in read_contract().tables
    )


def compare(users: int, rounds: int, scratch: Path) -> bool:
    """Print the comparison; return whether the targets are reached."""
    environment = default_environment()
    prepare_environment(environment)
    python = environment / "bin" / "python"
    rows = generate(users, scratch)
    loaders = list_loaders(scratch, scratch, python)
    measures = {loader.name: partial(measure_load, loader, scratch) for loader in loaders}
    usages = run_rounds(measures, rounds, describe_usage)
    print_line(f"{describe_machine()}; {users:,} users, {rows:,} rows; rounds: {rounds}\n")
    print_line(render_table(usages, rows))
    ratio = find_ratio(usages, "sqlite3 shell")
    peak = max(run.peak_bytes for run in usages["ours"])
    print_line(f"\nours ÷ sqlite3 shell: {ratio:.2f}, at most {MOST_RATIO}")
    return ratio <= MOST_RATIO and peak <= MOST_PEAK_BYTES


def measure_faults(users: int, scratch: Path) -> bool:
    """Print the cost of the diagnosis; return whether the targets are reached."""
    rows = generate(users, scratch)
    load = measure_ingest(scratch, status=0)
    print_line(
        f"load of {rows:,} rows: {load.wall_seconds:.1f} s, {load.peak_bytes / MIB:.0f} MiB"
    )
    path = scratch / "order_items.csv"
    with open(path, "rb+") as file:
        file.seek(-2, os.SEEK_END)
        last_digit = file.read(1)
        file.seek(-2, os.SEEK_END)
        file.write(b"x")
    one = measure_ingest(scratch, status=1)
    ratio = one.wall_seconds / load.wall_seconds
    print_line(
        f"one fault: {one.wall_seconds:.1f} s, {ratio:.1f} times the load,"
        f" {one.peak_bytes / MIB:.0f} MiB"
    )
    with open(path, "rb+") as file:
        file.seek(-2, os.SEEK_END)
        file.write(last_digit)
    with open(scratch / "payments.csv", "rb") as file:
        header = file.readline()
    line = b",1,charge,card,failed,x,2024-01-01T00:00:00Z\n"
    with open(scratch / "payments.csv", "wb") as file:
        file.write(header)
        file.writelines(b"%d%s" % (number, line) for number in range(1, FAULTY_ROWS + 1))
    all_rows = measure_ingest(scratch, status=1)
    written = (scratch / "errors.jsonl").stat().st_size / MIB
    print_line(
        f"a fault in each of {FAULTY_ROWS:,} rows: {all_rows.wall_seconds:.1f} s,"
        f" {all_rows.peak_bytes / MIB:.0f} MiB, {written:.0f} MiB of JSON Lines"
    )
    peak = max(one.peak_bytes, all_rows.peak_bytes)
    return ratio <= MOST_DIAGNOSIS and peak <= MOST_PEAK_BYTES


def measure_ingest(folder: Path, *, status: int) -> Usage:
    """Return what an ingest of *folder* takes, which must end with *status*."""
    command = [
        sys.executable,
        str(INGEST),
        "--ingest",
        "--quiet",
        "--data-dir",
        str(folder),
        "--database",
        str(folder / "shop.db"),
        "--errors",
        str(folder / "errors.jsonl"),
        "--max-errors",
        "1",
    ]
    return run_process(command, folder, status=status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_sizes(parser)
    parser.add_argument("--faults", action="store_true", help="measure the diagnosis")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="shop-loaders-") as folder:
        scratch = Path(os.path.realpath(folder))
        if args.faults:
            return 0 if measure_faults(args.users, scratch) else 1
        return 0 if compare(args.users, args.rounds, scratch) else 1


if __name__ == "__main__":
    sys.exit(main())
