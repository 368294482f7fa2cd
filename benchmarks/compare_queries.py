"""Measure the cohort query beside DuckDB, which runs the same SQL on the CSV files.

    python benchmarks/compare_queries.py
    python benchmarks/compare_queries.py --rounds 9 --users 430000

Complete processes are measured, from start to exit.  A round runs each once,
in a rotated order; the ratios are taken within a round.  One round before is not counted.

`cohort query` runs queries/join_query.sql on the loaded database with Python's sqlite3, for
parts of the customers in as many processes as there are processors (cohort_query.py), and
in one process.
`run_query.py` is the complete script: the query, the values of each customer, the
reconciliation, the hash of the database and both files; with the forecast also the models.
DuckDB reads the five CSV files with the columns and types of db/schema.sql, and runs the
same file with all processors.  The exit status is 1 if a target is missed.  DuckDB is
the version in peers.txt, installed as by compare_generators.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.compare_loaders import generate, measure_ingest  # noqa: E402
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
from benchmarks.peers import default_environment, prepare_environment  # noqa: E402
from utils.processes import count_processors  # noqa: E402

QUERY = ROOT / "queries" / "join_query.sql"
QUERY_IN_PARTS = ROOT / "benchmarks" / "cohort_query.py"
OURS = "cohort query"
PEER = "DuckDB from CSV"

# The promises: the query ÷ DuckDB by wall time; the memory of the script.
MOST_RATIO = 1.0
MOST_PEAK_BYTES = 200_000_000

ON_SQLITE = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
rows = connection.execute(open(sys.argv[2], encoding="utf-8").read()).fetchall()
print(len(rows))
"""

ON_DUCKDB = """
import sys, duckdb
sys.path.insert(0, sys.argv[3])
from utils.contract import read_contract
connection = duckdb.connect(config={"threads": sys.argv[4]})
for table in read_contract().tables:
    types = {"INTEGER": "BIGINT", "TEXT": "VARCHAR"}
    columns = {column.name: types[column.type] for column in table.columns}
    path = f"{sys.argv[1]}/{table.name}.csv"
    connection.read_csv(path, header=True, dtype=columns).create_view(table.name)
connection.execute(
    "CREATE TABLE submission_meta AS SELECT 'dataset' AS subject, 'as_of' AS property,"
    " '2025-12-31' AS value"
)
rows = connection.execute(open(sys.argv[2], encoding="utf-8").read()).fetchall()
print(len(rows))
"""


class Command(NamedTuple):
    """What is measured, and the command line that does it."""

    name: str
    line: list[str]


def list_commands(folder: Path, python: Path) -> list[Command]:
    """Return what is measured on the shop in *folder*; *python* has DuckDB."""
    database = str(folder / "shop.db")
    script = [
        sys.executable,
        str(ROOT / "run_query.py"),
        "--database",
        database,
        "--out-dir",
        str(folder),
    ]
    return [
        Command(OURS, query_command(folder, count_processors())),
        Command(f"{OURS}, one process", query_command(folder, 1)),
        Command("run_query.py --no-forecast", [*script, "--no-forecast"]),
        Command("run_query.py", script),
        Command(PEER, duckdb_command(folder, python, count_processors())),
    ]


def query_command(folder: Path, workers: int) -> list[str]:
    """Return the command that runs the cohort query on the database in *folder*."""
    database = str(folder / "shop.db")
    if workers == 1:
        return [sys.executable, "-c", ON_SQLITE, database, str(QUERY)]
    return [sys.executable, str(QUERY_IN_PARTS), database, str(workers)]


def duckdb_command(folder: Path, python: Path, threads: int) -> list[str]:
    """Return the command that runs the cohort query on the CSV files in *folder*."""
    arguments = [str(folder), str(QUERY), str(ROOT), str(threads)]
    return [str(python), "-c", ON_DUCKDB, *arguments]


def find_ratios(usages: dict[str, list[Usage]], name: str) -> list[float]:
    """Return by round the wall time of *name* ÷ that of DuckDB, ascending."""
    return sorted(
        run.wall_seconds / peer.wall_seconds
        for run, peer in zip(usages[name], usages[PEER], strict=True)
    )


def render_table(usages: dict[str, list[Usage]]) -> str:
    """Return the medians as a Markdown table."""
    lines = [
        "| what | wall s | CPU s | peak MiB | it ÷ DuckDB, wall |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in usages.items():
        wall = statistics.median(run.wall_seconds for run in runs)
        cpu = statistics.median(run.cpu_seconds for run in runs)
        peak = max(run.peak_bytes for run in runs) / MIB
        ratios = find_ratios(usages, name)
        spread = f" ({ratios[0]:.2f} to {ratios[-1]:.2f})" if name != PEER else ""
        ratio = f"{statistics.median(ratios):.2f}{spread}" if name != PEER else ""
        lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {ratio} |")
    return "\n".join(lines)


def compare(users: int, rounds: int, folder: Path) -> bool:
    """Print the comparison; return whether the targets are reached."""
    environment = default_environment()
    prepare_environment(environment)
    generate(users, folder)
    measure_ingest(folder, status=0)
    orders = count_lines(folder / "orders.csv") - 1
    commands = list_commands(folder, environment / "bin" / "python")
    measures = {name: partial(run_process, line, folder) for name, line in commands}
    usages = run_rounds(measures, rounds, describe_usage)
    print_line(
        f"{describe_machine()}; {users:,} users, {orders:,} orders; rounds: {rounds}\n"
    )
    print_line(render_table(usages))
    ratio = statistics.median(find_ratios(usages, OURS))
    peak = max(run.peak_bytes for run in usages["run_query.py --no-forecast"])
    print_line(f"\n{OURS} ÷ {PEER}: {ratio:.2f}, at most {MOST_RATIO}")
    return ratio <= MOST_RATIO and peak <= MOST_PEAK_BYTES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_sizes(parser)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="shop-queries-") as name:
        folder = Path(os.path.realpath(name))
        return 0 if compare(args.users, args.rounds, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
