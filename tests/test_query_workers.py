"""Any number of processes gives the same result of the query."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from unittest import mock

from queries.customer_parts import DIVISOR, PART_CTE, split_query
from queries.options import Options
from queries.query_file import QUERY_PATH, read_cohort_query
from tests.query_cases import GRAINS, SEGMENTS, QueryCase
from tests.shop import TANGLED_DAYS, Row, create_tangled_shop
from tests.support import IN_CI, WORKER_COUNTS, run_spawned, skip_without_processes
from utils.processes import run_tasks
from utils.sql_text import replace_select

BOUNDS_SQL = f"SELECT * FROM {PART_CTE}"


class WorkersCase(QueryCase):
    """A test whose small databases are read by several processes."""

    def setUp(self) -> None:
        """Let a process be worth its start for any database."""
        skip_without_processes()
        super().setUp()
        patch = mock.patch("queries.reading.BYTES_PER_WORKER", 1)
        patch.start()
        self.addCleanup(patch.stop)

    def read_results(self, *arguments: object) -> tuple[bytes, bytes]:
        """Run the script, which must succeed without messages; return both files."""
        self.read_document(*arguments)
        return self.read("query_result.csv"), self.read("query_result.json")

    def assert_same_results(self, *arguments: object, workers: tuple[int, ...]) -> None:
        """Fail unless each number of *workers* gives the files of one process."""
        alone = self.read_results("--workers", 1, *arguments)
        for number in workers:
            with self.subTest(arguments, workers=number):
                found = self.read_results("--workers", number, *arguments)
                self.assertEqual(found, alone)


class SameResults(WorkersCase):
    """The parts of the customers add up to the result of one process."""

    def test_any_number_of_workers_gives_the_same_files(self) -> None:
        self.copy_sample()
        self.ingest()
        self.assert_same_results("--forecast", workers=WORKER_COUNTS)

    def test_every_option_gives_the_same_files(self) -> None:
        create_tangled_shop(self.database, seed=3)
        last_day = ("--as-of", TANGLED_DAYS[len(TANGLED_DAYS) // 2])
        statuses = ("--valid-status", "paid,delivered,returned")
        cases = [(grain, by) for grain in GRAINS for by in SEGMENTS]
        # Outside CI three of the eight, of both grains.
        for grain, by in cases if IN_CI else cases[::3]:
            segments = ("--by", by) if by else ()
            options = ("--cohort", grain, *segments)
            self.assert_same_results(*options, *last_day, *statuses, workers=(3,))

    def create_spread_orders(self, step: int, *, cents: int, **tables: list[Row]) -> None:
        """Create a shop of an order for each of four users, with ids in steps of *step*."""
        day = "2024-03-05"
        users: list[Row] = [
            (
                step * number,
                f"u{number}@x.example",
                "A",
                "DE",
                "B",
                "search",
                f"{day}T00:00:00Z",
            )
            for number in range(1, 5)
        ]
        orders = [(number, step * number, day, "paid", cents) for number in range(1, 5)]
        self.create_orders(*orders, as_of="2024-03-31", users=users, **tables)

    def test_ids_in_steps_of_the_divisor_are_counted(self) -> None:
        for step in (1, DIVISOR // 4, DIVISOR):
            self.create_spread_orders(step, cents=500)
            self.assert_same_results(workers=WORKER_COUNTS)

    def test_shop_without_orders_gives_the_same_files(self) -> None:
        self.create_orders(as_of="2024-03-31")
        self.assert_same_results("--by", "channel", workers=(4,))

    def test_segment_that_is_not_utf_8_gives_the_result_of_one_process(self) -> None:
        create_tangled_shop(self.database, seed=3)
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute(
                "UPDATE users SET acquisition_channel ="
                " CAST(x'61' || CHAR(user_id % 2 + 1) || x'ff' AS TEXT)"
                " WHERE acquisition_channel = (SELECT MIN(acquisition_channel) FROM users)"
            )
            connection.commit()
        self.assert_same_results("--by", "channel", workers=(3,))

    def test_sum_of_parts_that_overflows_is_refused(self) -> None:
        # Gross overflows, but not the sum of the lines: only one of four is not free.
        line = 10**18
        items: list[Row] = [
            (4 * number + at, number, 1, 10**6, 10**12, line * (at > 0), line * (at == 0))
            for number in range(1, 5)
            for at in range(4)
        ]
        self.create_spread_orders(DIVISOR // 4, cents=line, order_items=items)
        for workers in (1, 3):
            with self.subTest(workers=workers):
                result = self.run_query("--workers", workers)
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertIn(
                    "the sum of its amounts overflows 64-bit integers", result.stderr
                )

    def test_processes_that_begin_without_a_copy_give_the_same_files(self) -> None:
        create_tangled_shop(self.database, seed=3)
        expected = self.read_results("--workers", 1, "--forecast")
        finished = run_spawned(
            "run_query",
            "queries.reading.BYTES_PER_WORKER",
            *("--database", self.database, "--out-dir", self.out_dir),
            *("--workers", 2, "--forecast"),
        )
        self.assertEqual((finished.returncode, finished.stderr), (0, ""))
        found = self.read("query_result.csv"), self.read("query_result.json")
        self.assertEqual(found, expected)


class ChosenNumber(WorkersCase):
    """The number of processes and of parts depends on the data and on the query."""

    def count_processes(self, *arguments: object) -> list[int]:
        """Run the script; return how many parts of customers and processes it used."""
        with (
            mock.patch("utils.database.run_tasks", wraps=run_tasks) as run,
            mock.patch("queries.reading.split_query", wraps=split_query) as split,
        ):
            self.assertEqual(self.run_query(*arguments).status, 0)
        (_, part_count), _ = split.call_args
        return [part_count, run.call_args.args[-1] if run.called else 1]

    def test_as_many_parts_as_workers_are_read(self) -> None:
        create_tangled_shop(self.database, seed=3)
        self.assertEqual(self.count_processes("--workers", 3), [3, 3])
        with mock.patch("utils.processes.count_processors", return_value=2):
            self.assertEqual(self.count_processes(), [2, 2])

    def test_small_database_starts_no_process(self) -> None:
        create_tangled_shop(self.database, seed=3)
        size = self.database.stat().st_size
        for least, expected in ((size // 2, 2), (size // 2 + 1, 1)):
            with mock.patch("queries.reading.BYTES_PER_WORKER", least):
                self.assertEqual(self.count_processes("--workers", 8), [expected] * 2)

    def test_parts_contain_each_remainder_once(self) -> None:
        query = read_cohort_query(None, Options())
        for part_count in (2, 3, 8, DIVISOR if IN_CI else 40):
            with self.subTest(part_count), closing(sqlite3.connect(":memory:")) as database:
                bounds = [
                    database.execute(replace_select(part.text, BOUNDS_SQL)).fetchone()
                    for part in split_query(query, part_count)
                ]
                self.assertEqual(len(bounds), part_count)
                found = [each for first, last in bounds for each in range(first, last + 1)]
                self.assertEqual(found, list(range(1 - DIVISOR, DIVISOR)))

    def test_query_of_the_user_is_one_part(self) -> None:
        path = self.folder / "copy.sql"
        path.write_bytes(QUERY_PATH.read_bytes())
        query = read_cohort_query(path, Options())
        self.assertEqual(split_query(query, 4), [query])
