"""A parallel run reports what a run in one process reports."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from tests import parallel, support


class Outcomes(unittest.TestCase):
    """A test of each outcome."""

    def succeed(self) -> None:
        """Pass."""

    def fail_now(self) -> None:
        self.fail("a reason to fail")

    def raise_error(self) -> None:
        raise ValueError("a reason to stop")

    def skip_now(self) -> None:
        self.skipTest("a reason to skip")

    def fail_in_subtests(self) -> None:
        for number in range(3):
            with self.subTest(number=number):
                self.assertEqual(number, 1)


class WithoutSetUp(unittest.TestCase):
    """A class that cannot be set up."""

    @classmethod
    def setUpClass(cls) -> None:
        raise OSError("a reason not to start")

    def succeed(self) -> None:
        """Pass."""


def make_suite() -> unittest.TestSuite:
    """Return every test of the two classes."""
    names = ("succeed", "fail_now", "raise_error", "skip_now", "fail_in_subtests")
    return unittest.TestSuite([*map(Outcomes, names), WithoutSetUp("succeed")])


def summarize(result: unittest.TestResult) -> dict[str, object]:
    """Return all that *result* holds, tracebacks by their last line."""
    return {
        "run": result.testsRun,
        "skipped": [(str(test), reason) for test, reason in result.skipped],
        "failures": [(str(test), text.split()[-1]) for test, text in result.failures],
        "errors": [(str(test), text.split()[-1]) for test, text in result.errors],
    }


class RecordedRun(unittest.TestCase):
    """A recorded run is replayed as it was."""

    def test_replay_reports_every_outcome(self) -> None:
        direct = unittest.TestResult()
        make_suite().run(direct)
        recorded, replayed = parallel.RecordingResult(), unittest.TestResult()
        make_suite().run(recorded)
        with mock.patch("tests.parallel.count_skip") as count_skip:
            for event in recorded.events:
                event.replay(replayed)
        self.assertEqual(summarize(replayed), summarize(direct))
        self.assertEqual(len(direct.failures), 3)
        self.assertEqual(len(direct.errors), 2)
        count_skip.assert_called_once_with("a reason to skip")

    def test_replay_prints_the_same_dots(self) -> None:
        printed = []
        for is_recorded in (False, True):
            stream = io.StringIO()
            runner = unittest.TextTestRunner(stream, verbosity=1)
            result = runner._makeResult()
            recorded = parallel.RecordingResult()
            make_suite().run(recorded if is_recorded else result)
            with mock.patch("tests.parallel.count_skip"):
                for event in recorded.events:
                    event.replay(result)
            printed.append(stream.getvalue())
        self.assertEqual(printed, [".FEsFFE"] * 2)


class ClassDistribution(unittest.TestCase):
    """The test classes are the tasks of the workers."""

    def test_each_test_is_in_one_class(self) -> None:
        classes = parallel.split_by_class(unittest.TestSuite([make_suite()]))
        self.assertEqual([len(tests) for tests in classes], [5, 1])

    def test_slowest_classes_start_first_and_lone_ones_run_last(self) -> None:
        classes = parallel.split_by_class(make_suite())
        name = type(self).__module__
        for constant, batches in (
            ("SLOWEST_MODULES", [[0, 1]]),
            ("LONE_MODULES", [[], [0], [1]]),
        ):
            with mock.patch.object(parallel, constant, (name,)):
                self.assertEqual(parallel.plan_batches(classes), batches)

    def test_slow_modules_start_in_the_order_of_their_list(self) -> None:
        tests = [
            type("Any", (Outcomes,), {"__module__": name})("succeed")
            for name in ("quick", "slow", "slowest")
        ]
        with mock.patch.object(parallel, "SLOWEST_MODULES", ("slowest", "slow")):
            self.assertEqual(parallel.plan_batches([[test] for test in tests]), [[2, 1, 0]])

    def test_named_modules_exist(self) -> None:
        for name in (*parallel.SLOWEST_MODULES, *parallel.LONE_MODULES):
            path = parallel.TESTS_DIR.parent / f"{name.replace('.', '/')}.py"
            self.assertTrue(path.exists(), name)

    def test_worker_with_other_classes_is_an_error(self) -> None:
        classes = parallel.split_by_class(make_suite())
        with (
            mock.patch("tests.parallel._classes", classes),
            contextlib.redirect_stderr(io.StringIO()),
            self.assertRaisesRegex(RuntimeError, "class 1 begins with .*WithoutSetUp"),
        ):
            parallel.run_class(1, "tests.test_x.Another.test")


class SharedSamples(unittest.TestCase):
    """The processes of a parallel run make a sample once."""

    def setUp(self) -> None:
        """Share a folder."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        patch = mock.patch.object(support, "shared_dir", Path(temporary.name))
        patch.start()
        self.addCleanup(patch.stop)

    def test_sample_that_several_need_at_once_is_made_once(self) -> None:
        made = []

        def fill(folder: Path) -> None:
            time.sleep(0.01)
            made.append(folder)
            (folder / "file").touch()

        with ThreadPoolExecutor(3) as executor:
            futures = [executor.submit(support.make_once, "a", fill) for _ in range(3)]
        folders = {future.result() for future in futures}
        self.assertEqual((len(folders), len(made)), (1, 1))
        self.assertTrue((folders.pop() / "file").is_file())

    def test_sample_whose_making_fails_is_made_again(self) -> None:
        fill = mock.Mock(side_effect=[OSError, None])
        with self.assertRaises(OSError):
            support.make_once("a", fill)
        self.assertTrue(support.make_once("a", fill).is_dir())
