"""Run complete processes in rounds and measure their time, cores and memory."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

ROOT = Path(__file__).resolve().parent.parent

DEFAULT_ROUNDS = 5
DEFAULT_USERS = 150_000

# `os.wait4` returns the peak in KiB, on macOS in bytes.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
MIB = 1024 * 1024

# /proc/stat lists the time of all processors: user, nice, system, idle, iowait, ….
IDLE_COLUMNS = {3, 4}

Name = TypeVar("Name", bound=Hashable)
Measured = TypeVar("Measured")


class BenchmarkError(Exception):
    """A program that cannot be installed or run; the text holds its output."""


class Usage(NamedTuple):
    """Time and memory of a process and of the processes below it that it waited for.

    *peak_bytes* is the resident peak of the largest one, *others_seconds* the processor
    time of all other programs of the machine meanwhile (0 without /proc/stat).
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    others_seconds: float = 0.0

    @property
    def cores(self) -> float:
        """How many cores it had on average: its processor share."""
        return self.cpu_seconds / self.wall_seconds

    @property
    def others_cores(self) -> float:
        """How many cores other programs had."""
        return self.others_seconds / self.wall_seconds


def run_process(
    command: Sequence[str], folder: Path, *, status: int | Collection[int] = 0
) -> Usage:
    """Run *command* in *folder* to its end; raise `BenchmarkError` if it fails.

    *status* is the exit status that it must have, or those that it may have.
    On Linux a peak below this process's own (some 20 MB) cannot be seen.
    """
    with tempfile.TemporaryFile() as log:
        busy = read_busy_seconds()
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603  the benchmarks make the commands
            command,
            cwd=folder,
            env=keep_bytecode(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _, waited, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_seconds = time.perf_counter() - started
        busy = read_busy_seconds() - busy
        process.returncode = os.waitstatus_to_exitcode(waited)
        expected = {status} if isinstance(status, int) else status
        if process.returncode not in expected:
            raise BenchmarkError(
                f"{' '.join(command)}: exit status {process.returncode}\n{_read_tail(log)}"
            )
    cpu_seconds = used.ru_utime + used.ru_stime
    return Usage(
        wall_seconds,
        cpu_seconds,
        used.ru_maxrss * PEAK_UNIT,
        max(0.0, busy - cpu_seconds),
    )


def clone_commit(commit: str, folder: Path) -> None:
    """Make a clone of the project in *folder*, as it was at *commit*."""
    run_process(["git", "clone", "--quiet", "--no-checkout", str(ROOT), "."], folder)
    run_process(["git", "checkout", "--quiet", "--detach", commit, "--"], folder)


def keep_bytecode(environment: Mapping[str, str]) -> dict[str, str]:
    """Return *environment* such that Python stores compiled modules, as for a user."""
    return {
        name: value
        for name, value in environment.items()
        if name != "PYTHONDONTWRITEBYTECODE"
    }


def read_busy_seconds() -> float:
    """Return the processor time of all programs since the start of the machine, or 0."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return 0.0
    # The last two columns, of guest systems, are part of the first two.
    ticks = map(int, line.split()[1:9])
    busy = sum(count for place, count in enumerate(ticks) if place not in IDLE_COLUMNS)
    return busy / os.sysconf("SC_CLK_TCK")


def _read_tail(log: IO[bytes], size: int = 2_000) -> str:
    log.seek(0)
    return log.read()[-size:].decode("utf-8", "replace").rstrip()


def run_rounds(
    measures: Mapping[Name, Callable[[], Measured]],
    rounds: int,
    describe: Callable[[Measured], str],
) -> dict[Name, list[Measured]]:
    """Return what each of *measures* returned in each round, without the first.

    The order is rotated, so that no program is always the first of its round.
    """
    names = list(measures)
    runs: dict[Name, list[Measured]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            run = measures[name]()
            if number:
                runs[name].append(run)
            place = f"Round {number} of {rounds}" if number else "Warming up"
            note(f"{place}: {name}, {describe(run)}")
    return runs


def count_lines(path: Path) -> int:
    """Return the number of newlines in the file at *path*."""
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(MIB), b""))


def describe_usage(usage: Usage) -> str:
    """Return the time in *usage*."""
    return f"{usage.wall_seconds:.2f} s"


def describe_machine() -> str:
    """Return what the figures are measured on, without the machine's name."""
    return (
        f"{read_processor()}, {os.cpu_count()} cores; {platform.python_implementation()}"
        f" {platform.python_version()}; {platform.system()} {platform.release()};"
        f" load {os.getloadavg()[0]:.1f} at the start"
    )


def read_processor() -> str:
    """Return the processor's model, if the system reports it."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def note(text: str) -> None:
    """Print progress on stderr."""
    sys.stderr.write(text + "\n")


def print_line(text: str) -> None:
    """Print a line of the result."""
    sys.stdout.write(text + "\n")


def parse_count(text: str) -> int:
    """Return the number in *text*, from 1 on."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1")
    return int(text)


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add the options that state how much is measured, and how often."""
    add_users(parser)
    add_rounds(parser)


def add_users(parser: argparse.ArgumentParser, default: int = DEFAULT_USERS) -> None:
    """Add the option that states how large the shop is."""
    parser.add_argument(
        "--users",
        type=parse_count,
        default=default,
        metavar="N",
        help="size of the shop (default: %(default)s)",
    )


def add_rounds(parser: argparse.ArgumentParser) -> None:
    """Add the option that states how often each program is measured."""
    parser.add_argument(
        "--rounds",
        type=parse_count,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help="counted runs of each program (default: %(default)s)",
    )
