"""Run the test classes of a suite in as many processes as there are processors.

`python -m unittest` without names uses this through `tests.load_tests`; a run of named
modules stays in one process.  Each class is one task, so its set-up runs once.  A worker
sends back the events of its tests, and the parent reports them as its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import unittest
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tests import support
from tests.support import IN_CI, count_skip

TESTS_DIR = Path(__file__).resolve().parent

# Started first, in this order: each has a class that takes seconds, those of the engines
# minutes.  A slow class that starts last leaves the other processors without work.
SLOWEST_MODULES = (
    "tests.test_engines",
    "tests.test_engine_csv",
    "tests.test_crashes",
    "tests.test_page",
    "tests.test_parts",
    "tests.test_csv_records",
    "tests.test_grading_guide",
    "tests.test_documents",
    "tests.test_mutated_files",
    "tests.test_forecast",
    "tests.test_generate_command",
    "tests.test_spans",
    "tests.test_verify",
    "tests.test_workers",
    "tests.test_query_workers",
    "tests.test_forecast_workers",
    "tests.test_cdnow",
    "tests.test_truth",
    "tests.test_events",
    "tests.test_engine_files",
    "tests.test_last_day",
    "tests.test_integrity",
)

# Run after the others, one class at a time: a browser's speed is measured.
LONE_MODULES = ("tests.test_page_quality",)


class WorkerError(Exception):
    """An exception in a worker's test; its text is the traceback from there."""


@dataclass(frozen=True)
class RemoteTest:
    """A test that ran in a worker, as far as a test result needs it."""

    test_id: str
    name: str
    description: str | None

    failureException = AssertionError

    def __str__(self) -> str:
        """Return the name that reports show."""
        return self.name

    def id(self) -> str:
        """Return the dotted name."""
        return self.test_id

    def shortDescription(self) -> str | None:  # noqa: N802
        """Return the first line of the docstring."""
        return self.description


class Event(NamedTuple):
    """A call of *method* of a test result for *test*, with a traceback or a reason."""

    method: str
    test: RemoteTest
    text: str = ""

    def replay(self, result: unittest.TestResult) -> None:
        """Report the event to *result*."""
        arguments: tuple[Any, ...] = (self.test,)
        if self.method in {"addError", "addFailure"}:
            arguments += ((WorkerError, WorkerError(f"\n{self.text}"), None),)
        elif self.method == "addSkip":
            count_skip(self.text)
            arguments += (self.text,)
        getattr(result, self.method)(*arguments)


class RecordingResult(unittest.TestResult):
    """A test result that records its events for another process."""

    def __init__(self) -> None:
        """Start without events."""
        super().__init__()
        self.events: list[Event] = []

    def _record(self, method: str, test: Any, text: str = "") -> None:
        remote = RemoteTest(test.id(), str(test), test.shortDescription())
        self.events.append(Event(method, remote, text))

    def startTest(self, test: Any) -> None:  # noqa: N802
        super().startTest(test)
        self._record("startTest", test)

    def addSuccess(self, test: Any) -> None:  # noqa: N802
        self._record("addSuccess", test)

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        self._record("addSkip", test, reason)

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._record("addError", *self.errors[-1])

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._record("addFailure", *self.failures[-1])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        if err is not None:
            is_failure = issubclass(err[0], test.failureException)
            (self.addFailure if is_failure else self.addError)(subtest, err)


class ParallelSuite(unittest.TestSuite):
    """A suite of all tests that runs its classes in worker processes."""

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        """Run the tests; report each to *result* when the class it belongs to has ended."""
        classes = split_by_class(self)
        # In CI the tests wait for browsers and engines a third of the time.
        worker_count = min((os.cpu_count() or 1) + IN_CI, len(classes))
        if debug or worker_count < 2:
            return super().run(result, debug)
        # Workers end without atexit: what their tests leave is removed with this folder.
        with tempfile.TemporaryDirectory() as folder:
            executor = ProcessPoolExecutor(
                worker_count,
                # Safe on Linux only; there it saves the imports.
                multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn"),
                initializer=load_classes,
                initargs=(folder, unittest.defaultTestLoader.testNamePatterns),
            )
            try:
                for batch in plan_batches(classes):
                    futures = [
                        executor.submit(run_class, index, classes[index][0].id())
                        for index in batch
                    ]
                    for future in as_completed(futures):
                        for event in future.result():
                            event.replay(result)
                        if result.shouldStop:
                            return result
            finally:
                executor.shutdown(cancel_futures=True)
        return result


def plan_batches(classes: Sequence[Sequence[unittest.TestCase]]) -> list[list[int]]:
    """Return the numbers of *classes* that run together, one batch after the other."""
    modules = [type(tests[0]).__module__ for tests in classes]
    together = [index for index, name in enumerate(modules) if name not in LONE_MODULES]
    places = {name: place for place, name in enumerate(SLOWEST_MODULES)}
    together.sort(key=lambda index: places.get(modules[index], len(places)))
    alone = [[index] for index, name in enumerate(modules) if name in LONE_MODULES]
    return [together, *alone]


def split_by_class(suite: unittest.TestSuite) -> list[list[unittest.TestCase]]:
    """Return the tests of *suite*, by class; doctests count as one."""
    return [list(tests) for _, tests in groupby(iterate_tests(suite), type)]


def iterate_tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield the tests of *suite* and of the suites in it."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from iterate_tests(test)
        else:
            yield test


def discover(loader: unittest.TestLoader) -> ParallelSuite:
    """Return the tests of this folder that *loader* finds."""
    return ParallelSuite(
        loader.discover(str(TESTS_DIR), top_level_dir=str(TESTS_DIR.parent))
    )


_classes: list[list[unittest.TestCase]] = []


def load_classes(folder: str, patterns: list[str] | None) -> None:
    """In a worker: find the tests again, with temporary files in *folder*."""
    tempfile.tempdir = folder
    support.shared_dir = Path(folder)
    loader = unittest.TestLoader()
    loader.testNamePatterns = patterns
    _classes[:] = split_by_class(discover(loader))


def run_class(index: int, first_test_id: str) -> list[Event]:
    """In a worker: run the tests of class number *index*; return what they reported.

    *first_test_id* proves that parent and worker number the classes in the same way.
    """
    tests = _classes[index]
    if tests[0].id() != first_test_id:
        raise RuntimeError(
            f"class {index} begins with {tests[0].id()}, not {first_test_id}"
        )
    result = RecordingResult()
    unittest.TestSuite(tests).run(result)
    return result.events
