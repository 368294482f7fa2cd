"""The forecast in several processes: the same figures and refusals as in one."""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from queries.forecast.forecast import (
    PURCHASES_PER_WORKER,
    forecast_cohorts,
    limit_forecast_workers,
)
from queries.forecast.histories import PurchaseHistories, collect_histories
from tests.forecast_shop import (
    AS_OF,
    known_forecast,
    known_shop,
    known_sources,
    run_known,
)
from tests.support import IN_CI, WORKER_COUNTS, run_spawned, skip
from utils.helpers import DataError
from utils.processes import count_processors


class ForecastWorkers(unittest.TestCase):
    """Any number of processes gives the same forecast."""

    def setUp(self) -> None:
        """Let a process be worth its start for any number of purchases."""
        if count_processors() == 1 and not hasattr(os, "fork"):
            skip("needs several processes")
        patch = mock.patch("queries.forecast.forecast.PURCHASES_PER_WORKER", 1)
        patch.start()
        self.addCleanup(patch.stop)

    def test_any_number_of_workers_gives_the_same_forecast(self) -> None:
        sources = known_sources()
        for workers in WORKER_COUNTS:
            with self.subTest(workers=workers):
                found = forecast_cohorts(
                    sources.histories, sources.refunds, AS_OF, worker_count=workers
                )
                self.assertEqual(found, known_forecast())

    def test_processes_that_begin_without_a_copy_give_the_same_files(self) -> None:
        if not IN_CI:
            skip("the forecast in new processes runs in CI only: it takes seconds")
        with tempfile.TemporaryDirectory() as folder:
            finished = run_spawned(
                "run_query",
                "queries.forecast.forecast.PURCHASES_PER_WORKER",
                *("--out-dir", folder, "--forecast", "--workers", 2),
                *("--database", known_shop() / "shop.db"),
            )
            self.assertEqual((finished.returncode, finished.stderr), (0, ""))
            files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        self.assertEqual(files, run_known().files)

    def test_refusals_are_those_of_one_process(self) -> None:
        rows = [(user, f"2024-0{user % 2 + 1}-10", 500) for user in range(1, 200)]
        free = [(user, "2024-06-10", 0) for user in range(1, 200)]
        for refused, until in (
            (rows, "2024-02-10"),
            (rows, "2024-12-31"),
            (sorted(rows + free), "2024-12-31"),
        ):
            messages = {
                workers: self.refuse(collect_histories(refused), until, workers)
                for workers in (1, *WORKER_COUNTS)
            }
            with self.subTest(until, rows=len(refused)):
                self.assertEqual(len(set(messages.values())), 1, messages)

    def refuse(self, histories: PurchaseHistories, as_of: str, workers: int) -> str:
        """Return why there is no forecast from *as_of*."""
        with self.assertRaises(DataError) as caught:
            forecast_cohorts(histories, {}, as_of, worker_count=workers)
        return str(caught.exception)


class ForecastProcesses(unittest.TestCase):
    """Few purchases are forecast by one process."""

    def test_each_process_has_enough_purchases(self) -> None:
        histories = collect_histories((user, "2024-01-01", 1) for user in range(10))
        for least, expected in ((1, 8), (3, 3), (5, 2), (6, 1), (PURCHASES_PER_WORKER, 1)):
            with mock.patch("queries.forecast.forecast.PURCHASES_PER_WORKER", least):
                self.assertEqual(limit_forecast_workers(histories, 8), expected)

    def test_known_shop_starts_no_process(self) -> None:
        sources = known_sources()
        with mock.patch("utils.processes.open_workers", side_effect=AssertionError):
            found = forecast_cohorts(
                sources.histories, sources.refunds, AS_OF, worker_count=8
            )
        self.assertEqual(found, known_forecast())
