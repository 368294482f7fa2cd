"""Measure the generator beside tpchgen-cli, jafgen, a Faker loop and its last version.

    python benchmarks/compare_generators.py
    python benchmarks/compare_generators.py --against tpchgen --rounds 9
    python benchmarks/compare_generators.py --against format-2
    python benchmarks/compare_generators.py --memory

Complete processes are measured, from start to exit, with one worker or thread a tool
unless --workers states another number.  So start-up counts, and so does tpchgen-cli's text
pool, which it makes in each run.  A round runs every tool once, in a rotated order, each in
an empty folder.  Ratios are taken within a round, so a slow period of the machine affects
both sides.  One run of each tool before the rounds warms the file cache and is not counted.
Rows are lines of CSV without the headers, bytes are those of the CSV files.  The generator
also syncs its files to the disk before it ends; the peers do not.

Sizes: tpchgen-cli runs twice a round: at a scale factor of *users* ÷ 1,000,000, which makes
about as many rows as the generator makes from *users*, and at scale factor 1, where its
start-up is a small share.  jafgen and Faker are slow and make fewer rows.  The generator of
format version 2 runs in a clone of its last commit and makes about as many rows.  With
--memory the memory of the generator is measured instead.

The peers are installed, on the first run, from peers.txt into an environment of their own.
Processes are measured with `os.wait4`, which Windows does not have.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.measuring import (  # noqa: E402
    MIB,
    BenchmarkError,
    Usage,
    add_sizes,
    clone_commit,
    count_lines,
    describe_machine,
    describe_usage,
    note,
    parse_count,
    run_process,
    run_rounds,
)
from benchmarks.peers import (  # noqa: E402
    REQUIREMENTS,
    default_environment,
    prepare_environment,
    read_versions,
)

FAKER_SHOP = ROOT / "benchmarks" / "faker_shop.py"

JAFGEN_YEARS = 1
FAKER_USERS = 5_000

# The target: the generator's rows a second ÷ the peer's, as the median of the rounds.
# The last one is in rows per second of processor time: 12 % more time than version 2 took.
TARGET_RATIOS = {
    "tpchgen": 1.0,
    "tpchgen-sf1": 1.0,
    "jafgen": 30.0,
    "faker": 150.0,
    "format-2": 0.89,
}

# The last commit of format version 2.
PREVIOUS_COMMIT = "8cde0e5"

# The target of --memory: a bound, and the largest factor for ten times the users.
MOST_PEAK_BYTES = 250_000_000
MEMORY_USERS_FACTOR = 10
MOST_PEAK_GROWTH = 1.3
SAMPLING_SECONDS = 0.05


class Tool(NamedTuple):
    """A generator of CSV files: *command* leaves them in or below the folder it runs in."""

    name: str
    version: str
    command: tuple[str, ...]


class Run(NamedTuple):
    """One run of a tool: its usage and what it wrote."""

    usage: Usage
    rows: int
    bytes: int

    @property
    def rows_per_second(self) -> float:
        """Rows per second of wall time."""
        return self.rows / self.usage.wall_seconds

    @property
    def rows_per_cpu_second(self) -> float:
        """Rows per second of processor time, in all threads and child processes."""
        return self.rows / self.usage.cpu_seconds

    @property
    def bytes_per_second(self) -> float:
        """Bytes per second of wall time."""
        return self.bytes / self.usage.wall_seconds


class Comparison(NamedTuple):
    """The generator ÷ *peer*: a ratio per round in rows/s, and medians of two others."""

    peer: str
    ratios: tuple[float, ...]
    cpu_ratio: float
    bytes_ratio: float

    @property
    def is_reached(self) -> bool:
        """Whether the median ratio reaches the target."""
        is_version = self.peer == "format-2"
        reached = self.cpu_ratio if is_version else statistics.median(self.ratios)
        return reached >= TARGET_RATIOS[self.peer]


class MemoryPeak(NamedTuple):
    """The resident peak at *users*: of the largest process, and of all at one time."""

    users: int
    largest_bytes: int
    sum_bytes: int


# Running and measuring


def measure_tool(tool: Tool, scratch: Path | None) -> Run:
    """Run *tool* in a new folder below *scratch*, which is removed again."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="shop-benchmark-") as name:
        folder = Path(name)
        usage = run_process(tool.command, folder)
        files = list(folder.rglob("*.csv"))
        if not files:
            raise BenchmarkError(f"{tool.name}: no CSV file was written")
        rows = sum(count_lines(file) - 1 for file in files)
        return Run(usage, rows, sum(file.stat().st_size for file in files))


def describe_run(run: Run) -> str:
    """Return the time and the speed of *run*."""
    return f"{describe_usage(run.usage)}, {run.rows_per_second:,.0f} rows/s"


# The tools


def generator_tool(
    users: int, workers: int, name: str = "generate_data.py", root: Path = ROOT
) -> Tool:
    """Return this project's generator, as it is in the checkout *root*."""
    return Tool(
        name,
        f"{platform.python_implementation()} {platform.python_version()}",
        (
            sys.executable,
            str(root / "generate_data.py"),
            "--generate",
            "--seed",
            "42",
            "--users",
            str(users),
            "--workers",
            str(workers),
            "--quiet",
            "--out-dir",
            ".",
        ),
    )


def peer_tool(name: str, users: int, threads: int, environment: Path) -> Tool:
    """Return the peer *name* as it is installed in *environment*.

    Only tpchgen-cli has *threads*.
    """
    versions = read_versions(REQUIREMENTS.read_text(encoding="utf-8"))
    folder = environment / "bin"
    if name.startswith("tpchgen"):
        package, program = "tpchgen-cli", "tpchgen-cli"
        scale = "1" if name == "tpchgen-sf1" else f"{users / 1_000_000:g}"
        arguments = ["csv", "-s", scale, "-n", str(threads), "-q", "-o", "."]
    elif name == "jafgen":
        package, program = "jafgen", "jafgen"
        arguments = [str(JAFGEN_YEARS)]
    else:
        package, program = "Faker", "python"
        arguments = [str(FAKER_SHOP), "--users", str(FAKER_USERS)]
    return Tool(name, versions[package], (str(folder / program), *arguments))


# Memory


def measure_peak(users: int, scratch: Path | None) -> MemoryPeak:
    """Run the generator for *users* and return its resident peak."""
    note(f"Running the generator for {users:,} users")
    with sample_children() as sums:
        run = measure_tool(generator_tool(users, workers=1), scratch)
    return MemoryPeak(users, run.usage.peak_bytes, max(sums, default=0))


@contextmanager
def sample_children() -> Iterator[list[int]]:
    """Collect, while the block runs, the resident bytes of all processes below this one.

    A page that several of them share counts in each.  Nothing is collected without /proc.
    """
    sums: list[int] = []
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(SAMPLING_SECONDS):
            sums.append(sum_resident_bytes(os.getpid()))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield sums
    finally:
        is_over.set()
        sampler.join()


def sum_resident_bytes(pid: int) -> int:
    """Return the resident bytes of the processes below *pid*, without *pid* itself."""
    total = 0
    for list_of_children in Path(f"/proc/{pid}/task").glob("*/children"):
        # A process may end during the reading.
        with suppress(OSError):
            for child in list_of_children.read_text(encoding="ascii").split():
                pages = Path(f"/proc/{child}/statm").read_text(encoding="ascii").split()[1]
                total += int(pages) * os.sysconf("SC_PAGE_SIZE")
                total += sum_resident_bytes(int(child))
    return total


def is_memory_bounded(few: MemoryPeak, many: MemoryPeak) -> bool:
    """Whether the peaks at *few* and *many* users reach the targets.

    >>> is_memory_bounded(MemoryPeak(1, 200_000_000, 0), MemoryPeak(10, 270_000_000, 0))
    False
    """
    return (
        few.largest_bytes <= MOST_PEAK_BYTES
        and many.largest_bytes <= MOST_PEAK_GROWTH * few.largest_bytes
    )


# What is printed


def compare_runs(peer: str, ours: Sequence[Run], theirs: Sequence[Run]) -> Comparison:
    """Return the ratios of *ours* to *theirs*, by round."""
    pairs = list(zip(ours, theirs, strict=True))
    return Comparison(
        peer=peer,
        ratios=tuple(our.rows_per_second / their.rows_per_second for our, their in pairs),
        cpu_ratio=statistics.median(
            our.rows_per_cpu_second / their.rows_per_cpu_second for our, their in pairs
        ),
        bytes_ratio=statistics.median(
            our.bytes_per_second / their.bytes_per_second for our, their in pairs
        ),
    )


def render_runs(tools: Sequence[Tool], runs: dict[str, list[Run]]) -> str:
    """Return a Markdown table: medians of the rounds, but the highest of the peaks."""
    lines = [
        "| tool | version | rows | bytes | wall s | CPU s | rows/s | MB/s | peak MiB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for tool in tools:
        of_tool = runs[tool.name]
        rows = statistics.median(run.rows for run in of_tool)
        size = statistics.median(run.bytes for run in of_tool)
        wall = statistics.median(run.usage.wall_seconds for run in of_tool)
        cpu = statistics.median(run.usage.cpu_seconds for run in of_tool)
        speed = statistics.median(run.rows_per_second for run in of_tool)
        flow = statistics.median(run.bytes_per_second for run in of_tool)
        peak = max(run.usage.peak_bytes for run in of_tool)
        lines.append(
            f"| {tool.name} | {tool.version} | {rows:,.0f} | {size:,.0f} | {wall:.2f}"
            f" | {cpu:.2f} | {speed:,.0f} | {flow / 1e6:.1f} | {peak / MIB:.0f} |"
        )
    return "\n".join(lines)


def render_comparisons(comparisons: Sequence[Comparison]) -> str:
    """Return a Markdown table of the generator ÷ each peer."""
    lines = [
        "| generator ÷ peer | rows/s | lowest | highest | rows/CPU s | MB/s | target | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    lines += [
        f"| {each.peer} | {statistics.median(each.ratios):.2f} | {min(each.ratios):.2f}"
        f" | {max(each.ratios):.2f} | {each.cpu_ratio:.2f} | {each.bytes_ratio:.2f}"
        f" | {TARGET_RATIOS[each.peer]:g} | {render_verdict(each.is_reached)} |"
        for each in comparisons
    ]
    return "\n".join(lines)


def render_peaks(peaks: Sequence[MemoryPeak]) -> str:
    """Return a Markdown table of *peaks*, in decimal megabytes."""
    lines = [
        "| users | peak MB, largest process | peak MB, all processes (sampled) |",
        "| ---: | ---: | ---: |",
    ]
    lines += [
        f"| {peak.users:,} | {peak.largest_bytes / 1e6:.1f} | {peak.sum_bytes / 1e6:.1f} |"
        for peak in peaks
    ]
    return "\n".join(lines)


def render_verdict(is_reached: bool) -> str:
    """Return the word for a target."""
    return "reached" if is_reached else "MISSED"


# The command line


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        description="Measure the generator beside its peers, or its memory."
        " Exit status 1 when a promise is missed.",
    )
    parser.add_argument(
        "--against",
        nargs="+",
        choices=list(TARGET_RATIOS),
        default=list(TARGET_RATIOS),
        help="the peers (default: all)",
    )
    add_sizes(parser)
    parser.add_argument(
        "--workers",
        type=parse_count,
        default=1,
        metavar="N",
        help="workers of the generator and threads of tpchgen-cli; the others have one"
        " (default: 1)",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="instead: the generator's memory peak at --users, and at ten times as many",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        help="write the output below this folder (default: the system's temporary one)",
    )
    parser.add_argument(
        "--environment",
        type=Path,
        default=default_environment(),
        metavar="DIR",
        help="virtual environment for the peers (default: in the user's cache)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if not hasattr(os, "wait4"):
        parser.error("this system has no os.wait4, which measures the processes")
    scratch = args.scratch.resolve() if args.scratch else None
    try:
        if args.memory:
            return report_memory(args.users, scratch)
        with tempfile.TemporaryDirectory(prefix="shop-previous-") as clone:
            tools = list(choose_tools(args, Path(clone)))
            return report_speed(tools, args.rounds, args.workers, scratch)
    except (BenchmarkError, OSError, subprocess.CalledProcessError) as error:
        note(f"compare_generators: error: {error}")
        return 1
    except KeyboardInterrupt:
        note("compare_generators: error: interrupted")
        return 130


def choose_tools(args: argparse.Namespace, clone: Path) -> Iterator[Tool]:
    """Yield the generator and the peers of *args*; *clone* is an empty folder."""
    yield generator_tool(args.users, args.workers)
    environment = args.environment.resolve()
    if set(args.against) != {"format-2"}:
        prepare_environment(environment)
    for name in TARGET_RATIOS:
        if name not in args.against:
            continue
        if name == "format-2":
            clone_commit(PREVIOUS_COMMIT, clone)
            yield generator_tool(args.users, args.workers, name, clone)
        else:
            yield peer_tool(name, args.users, args.workers, environment)


def report_speed(
    tools: Sequence[Tool], rounds: int, workers: int, scratch: Path | None
) -> int:
    """Print the first of *tools* ÷ each other; return the exit status."""
    machine = describe_machine()
    measures = {tool.name: partial(measure_tool, tool, scratch) for tool in tools}
    runs = run_rounds(measures, rounds, describe_run)
    ours, *peers = tools
    comparisons = [
        compare_runs(peer.name, runs[ours.name], runs[peer.name]) for peer in peers
    ]
    sys.stdout.write(
        f"{render_runs(tools, runs)}\n\n{render_comparisons(comparisons)}\n\n"
        f"Rounds: {rounds}; medians, but the highest peak; complete processes;"
        f" workers of the generator and threads of tpchgen-cli: {workers}.\n{machine}.\n"
    )
    return 0 if all(each.is_reached for each in comparisons) else 1


def report_memory(users: int, scratch: Path | None) -> int:
    """Print the memory peak at *users* and ten times as many; return the exit status."""
    machine = describe_machine()
    few = measure_peak(users, scratch)
    many = measure_peak(users * MEMORY_USERS_FACTOR, scratch)
    is_reached = is_memory_bounded(few, many)
    sys.stdout.write(
        f"{render_peaks([few, many])}\n\n"
        f"Target: at most {MOST_PEAK_BYTES / 1e6:.0f} MB at {users:,} users, at most"
        f" {MOST_PEAK_GROWTH:g} times that peak at {users * MEMORY_USERS_FACTOR:,}:"
        f" {many.largest_bytes / few.largest_bytes:.2f} times,"
        f" {render_verdict(is_reached)}.\n"
        f"{machine}.\n"
    )
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
