"""Tasks in several processes: the same results as in one, and no process is left."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import unittest
from unittest import mock

from tests.support import skip_without_processes
from utils.helpers import DataError
from utils.processes import run_tasks


def describe_process(text: str) -> tuple[str, int]:
    """Return *text* and the process in which this runs."""
    return text, os.getpid()


def divide(dividend: int, divisor: int) -> float:
    """Return the quotient, unless *divisor* is 0."""
    return dividend / divisor


def kill_process(number: int) -> int:
    """Kill this process by a signal if *number* is 1."""
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class Tasks(unittest.TestCase):
    """A task gives the same result in any process."""

    def setUp(self) -> None:
        """Skip where there are no processes."""
        skip_without_processes()
        self.addCleanup(self.assertEqual, multiprocessing.active_children(), [])

    def test_results_have_the_order_of_the_tasks(self) -> None:
        tasks = [(str(number),) for number in range(7)]
        for workers in (1, 2, 3, 9):
            with self.subTest(workers=workers):
                texts, processes = zip(
                    *run_tasks(describe_process, tasks, workers), strict=True
                )
                self.assertEqual([(text,) for text in texts], tasks)
                self.assertLessEqual(len(set(processes)), workers)
                self.assertEqual(os.getpid() in processes, workers == 1)

    def test_single_task_starts_no_process(self) -> None:
        self.assertEqual(
            list(run_tasks(describe_process, [("a",)], 8)), [("a", os.getpid())]
        )
        self.assertEqual(list(run_tasks(describe_process, [], 8)), [])

    def test_exception_of_a_task_is_raised_with_its_traceback(self) -> None:
        with self.assertRaises(ZeroDivisionError) as caught:
            list(run_tasks(divide, [(1, 1), (1, 0), (2, 1)], 2))
        self.assertIn("in divide", "".join(caught.exception.__notes__))

    def test_worker_that_is_killed_is_reported_with_the_next_step(self) -> None:
        with self.assertRaisesRegex(DataError, r"ended by the system.* --workers\.$"):
            list(run_tasks(kill_process, [(number,) for number in range(4)], 2))

    def test_process_that_the_system_refuses_is_reported_with_the_next_step(self) -> None:
        refused = BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        with (
            mock.patch("multiprocessing.Process.start", side_effect=[None, refused]),
            mock.patch("multiprocessing.Process.terminate"),
            mock.patch("multiprocessing.Process.join"),
            self.assertRaisesRegex(DataError, r"^no other process .* --workers 1\.$"),
        ):
            list(run_tasks(describe_process, [("a",), ("b",)], 2))

    def test_results_that_nobody_reads_leave_no_process(self) -> None:
        results = run_tasks(describe_process, [("a",), ("b",), ("c",)], 2)
        self.assertEqual(next(results)[0], "a")
        results.close()
        self.assertEqual(multiprocessing.active_children(), [])
