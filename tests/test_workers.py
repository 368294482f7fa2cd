"""Any number of workers: every command gives the same bytes and prints the same lines."""

from __future__ import annotations

import multiprocessing
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

import generate_data
import ingest
import run_query
from tests.cdnow import convert_master
from tests.support import (
    IN_CI,
    WORKER_COUNTS,
    ShopCase,
    read_tree,
    skip,
    skip_without_processes,
)
from tests.test_cdnow import MASTER

# What is too small for several processes, reduced so that these shops are not.
THRESHOLDS = {
    "data_generation.days.USERS_PER_WORKER": 1,
    "data_generation.days.USERS_PER_PIECE": 20,
    "db.reporting.report.BYTES_PER_WORKER": 1,
    "db.verify.BYTES_PER_WORKER": 1,
    "queries.reading.BYTES_PER_WORKER": 1,
    "queries.forecast.forecast.PURCHASES_PER_WORKER": 1,
}

# The other numbers start processes in the way of the system.
START_METHODS = {2: "spawn"}
PLAN = ("--users", 200) if IN_CI else ("--users", 60, "--start", "2025-11-01")

Main = Callable[[Sequence[str]], int]


@contextmanager
def count_processes() -> Iterator[list[BaseProcess]]:
    """Collect the processes that are started in the block, in which no shop is small."""
    started: list[BaseProcess] = []
    start = BaseProcess.start

    def start_counted(process: BaseProcess) -> None:
        started.append(process)
        start(process)

    with ExitStack() as stack:
        for name, value in THRESHOLDS.items():
            stack.enter_context(mock.patch(name, value))
        stack.enter_context(mock.patch.object(BaseProcess, "start", start_counted))
        yield started


def write_purchases(path: Path) -> None:
    """Write purchases as in CDNOW_master.txt, of customers whose ids are tens."""
    rng = random.Random(18)  # noqa: S311
    lines = []
    for customer_id in range(10, 1_010, 10):
        day = date(1997, 1, 1) + timedelta(rng.randrange(90))
        while day <= date(1998, 6, 30):
            dollars = rng.randrange(500, 9_000) / 100
            lines.append(f"{customer_id:05} {day:%Y%m%d} 2 {dollars:.2f}\n")
            day += timedelta(1 + int(rng.expovariate(1 / 120)))
    path.write_text("".join(lines), encoding="ascii")


def copy_tenth(master: Path, path: Path) -> None:
    """Copy the purchases of every tenth customer."""
    lines = master.read_text(encoding="ascii").splitlines(keepends=True)
    tenth = [line for line in lines if line.split()[:1] and line.split()[0][-1] == "0"]
    path.write_text("".join(tenth), encoding="ascii")


class SameBytes(ShopCase):
    """The files and lines of a command with several workers are those with one."""

    def setUp(self) -> None:
        """Skip where there are no processes."""
        super().setUp()
        skip_without_processes()

    def run_command(self, main: Main, workers: int, *arguments: object) -> str:
        """Run *main* with *workers*, which starts processes if they are several."""
        multiprocessing.set_start_method(START_METHODS.get(workers), force=True)
        self.addCleanup(multiprocessing.set_start_method, None, force=True)
        with count_processes() as started:
            result = self.succeed(main, *arguments, "--workers", workers)
        if workers == 1:
            self.assertEqual(started, [])
        else:
            # The forecast starts others than the query.
            self.assertGreater(len(started), workers * ("--forecast" in arguments))
        return result.stdout

    def assert_same_outputs(self, run: Callable[[int, Path], Sequence[str]]) -> None:
        """Fail unless *run* writes and prints the same with any number of workers.

        It gets the number, and an empty folder that has the same path each time.
        """
        folder = self.folder / "out"
        expected: dict[str, bytes] = {}
        for workers in (1, *WORKER_COUNTS):
            with self.subTest(workers=workers):
                printed = "".join(run(workers, folder)).encode()
                written = {"what is printed": printed, **read_tree(folder)}
                shutil.rmtree(folder)
                expected = expected or written
                self.assertEqual(written.keys(), expected.keys())
                changed = [name for name in written if written[name] != expected[name]]
                self.assertEqual(changed, [])

    def analyse(self, workers: int, out: Path, as_of: str) -> Iterator[str]:
        """Report on the folder's shop, query and verify it; yield what is printed."""
        database = ("--database", self.database)
        at = (*database, "--out-dir", out)
        yield self.run_command(ingest.main, workers, "--report", *at)
        yield self.run_command(run_query.main, workers, "--no-forecast", *at)
        for options in (
            ("--by", "country", "--forecast"),
            ("--cohort", "quarter", "--forecast", "--as-of", as_of),
        ):
            out_dir = ("--out-dir", out / "".join(options))
            yield self.run_command(run_query.main, workers, *options, *database, *out_dir)
        files = ("--data-dir", self.folder)
        yield self.run_command(ingest.main, workers, "--verify", *files, *at)

    def skip_analysis_outside_ci(self) -> None:
        """Skip all commands one after the other; other tests run each with workers."""
        if not IN_CI:
            skip("all commands by several workers on one shop run in CI only")

    def test_generator(self) -> None:
        def run(workers: int, out: Path) -> list[str]:
            arguments = ("--generate", *PLAN, "--truth", "--out-dir", out)
            return [self.run_command(generate_data.main, workers, *arguments)]

        self.assert_same_outputs(run)

    def test_analysis_of_a_generated_shop(self) -> None:
        self.skip_analysis_outside_ci()
        self.generate(*PLAN)
        self.ingest()
        self.assert_same_outputs(
            lambda workers, out: [*self.analyse(workers, out, "2025-06-30")]
        )

    def test_analysis_of_purchases_like_those_of_cdnow(self) -> None:
        self.skip_analysis_outside_ci()
        purchases = self.folder / "purchases.txt"
        if MASTER.is_file():
            copy_tenth(MASTER, purchases)
        else:
            write_purchases(purchases)
        convert_master(purchases, self.folder)
        self.ingest("--currency", "USD", "--as-of", "1998-06-30")
        self.assert_same_outputs(
            lambda workers, out: [*self.analyse(workers, out, "1998-03-15")]
        )
