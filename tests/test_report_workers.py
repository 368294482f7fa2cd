"""Any number of processes gives the same report and the same verifications."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from unittest import mock

import ingest
from db import verify
from db.reporting import report
from db.reporting.checks import INTACT_CHECK
from db.reporting.report import LONG_READS, list_reads
from tests.shop import create_tangled_shop
from tests.support import (
    IN_CI,
    WORKER_COUNTS,
    Result,
    ShopCase,
    call,
    run_spawned,
    skip_without_processes,
)
from tests.test_report import FORGET_AN_INDEX
from utils.contract import read_contract
from utils.processes import run_tasks


class WorkersCase(ShopCase):
    """A test whose small databases are read by several processes."""

    def setUp(self) -> None:
        """Let a process be worth its start for any database."""
        skip_without_processes()
        super().setUp()
        for module in (report, verify):
            patch = mock.patch.object(module, "BYTES_PER_WORKER", 1)
            patch.start()
            self.addCleanup(patch.stop)

    def run_script(self, action: str, *arguments: object) -> Result:
        """Run *action* of the script on the folder's files and database."""
        files = () if action == "--report" else ("--data-dir", self.folder)
        out = () if action == "--ingest" else ("--out-dir", self.folder / "out")
        where = (*files, "--database", self.database, *out)
        return call(ingest.main, action, *where, *arguments)

    def read_reports(self) -> list[bytes]:
        """Return the contents of both files of the report."""
        return [
            (self.folder / "out" / f"report.{kind}").read_bytes() for kind in ("json", "md")
        ]

    def assert_same_reports(self, *workers: int) -> None:
        """Fail unless each number of *workers* gives the output and files of one."""
        alone = self.run_script("--report", "--workers", 1), self.read_reports()
        self.assertEqual((alone[0].status, alone[0].stderr), (0, ""))
        for number in workers:
            with self.subTest(workers=number):
                found = self.run_script("--report", "--workers", number)
                self.assertEqual((found, self.read_reports()), alone)


class SameReport(WorkersCase):
    """The number of processes changes no byte of the report."""

    def test_any_number_of_workers_gives_the_same_files(self) -> None:
        self.copy_sample()
        self.ingest()
        self.assert_same_reports(*WORKER_COUNTS)

    def test_shop_with_many_faults_gives_the_same_files(self) -> None:
        create_tangled_shop(self.database, seed=3)
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("UPDATE users SET city = city || ' '")
            connection.execute("DELETE FROM payments")
            connection.commit()
        self.assert_same_reports(3)

    def test_damage_is_reported_or_refused_as_by_one_process(self) -> None:
        self.copy_sample()
        self.ingest()
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(FORGET_AN_INDEX)
        self.assert_same_reports(2)
        data = bytearray(self.database.read_bytes())
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        self.database.write_bytes(data)
        alone, found = (
            self.run_script("--report", "--workers", number) for number in (1, 2)
        )
        self.assertEqual(alone.status, 1)
        self.assertEqual(found, alone)

    def test_processes_that_begin_without_a_copy_give_the_same_files(self) -> None:
        create_tangled_shop(self.database, seed=3)
        self.run_script("--report", "--workers", 1)
        expected = self.read_reports()
        finished = run_spawned(
            "ingest",
            "db.reporting.report.BYTES_PER_WORKER",
            *("--report", "--workers", 2, "--database", self.database),
            *("--out-dir", self.folder / "out"),
        )
        self.assertEqual((finished.returncode, finished.stderr), (0, ""))
        self.assertEqual(self.read_reports(), expected)


class SameVerifications(WorkersCase):
    """The number of processes changes no line of `--verify`, nor their order."""

    def test_any_number_of_workers_prints_the_same_lines(self) -> None:
        self.copy_sample()
        self.ingest("--report", "--out-dir", self.folder / "out")
        for is_changed in (False, True) if IN_CI else (True,):
            if is_changed:
                self.edit_line("users.csv", 2, lambda line: line.replace("2024", "2025"))
            alone = self.run_script("--verify", "--workers", 1)
            for number in WORKER_COUNTS:
                with self.subTest(is_changed=is_changed, workers=number):
                    self.assertEqual(
                        self.run_script("--verify", "--workers", number), alone
                    )
        self.assertIn("failed  users.csv -> users", alone.stdout)


class ChosenNumber(WorkersCase):
    """Small data start no process, and the long reads are known ones."""

    def count_processes(self, action: str, *arguments: object) -> list[int]:
        """Run the script; return of how many processes each of its pools was."""
        with mock.patch("utils.database.run_tasks", wraps=run_tasks) as run:
            self.assertEqual(self.run_script(action, *arguments).stderr, "")
        return [each.args[-1] for each in run.call_args_list]

    def test_small_database_starts_no_process(self) -> None:
        create_tangled_shop(self.database, seed=3)
        size = self.database.stat().st_size
        for least, expected in ((size // 2, [2]), (size // 2 + 1, [])):
            with mock.patch.object(report, "BYTES_PER_WORKER", least):
                found = self.count_processes("--report", "--workers", 8)
                self.assertEqual(found, expected)

    def test_load_of_one_worker_starts_no_process(self) -> None:
        self.copy_sample()
        with (
            mock.patch("db.loading.second_process.BYTES_FOR_TWO", 0),
            mock.patch("db.loading.second_process.count_processors", return_value=2),
            mock.patch("db.loading.second_process.open_workers", side_effect=OSError),
        ):
            self.assertEqual(self.run_script("--ingest", "--workers", 1).status, 0)
            self.assertEqual(self.run_script("--ingest", "--workers", 2).status, 1)

    def test_types_are_read_first_then_what_takes_long(self) -> None:
        first, *others = list_reads(self.database, read_contract(), {})
        self.assertEqual(first, ("types", INTACT_CHECK))
        found = [name for names in others for name in names if name in LONG_READS]
        self.assertEqual(found, [*LONG_READS])
