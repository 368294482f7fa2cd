"""The progress bar: what it shows, when, and that it leaves an empty line."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import unittest
from contextlib import suppress
from unittest import mock

import generate_data
from tests.support import Result, ShopCase
from utils.progress import ProgressBar, measure_columns, render_progress


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.now


class Terminal(io.StringIO):
    """A stream that is a terminal, which shows in its last line what was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = ""

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        """Show what was written."""
        super().flush()
        self.flushed = self.getvalue()

    @property
    def line(self) -> str:
        shown: list[str] = []
        for text in self.flushed.split("\n")[-1].split("\r"):
            shown[: len(text)] = text
        return "".join(shown).rstrip()


class ProgressBarDisplay(unittest.TestCase):
    """The progress bar is one line on a terminal while the work runs."""

    def setUp(self) -> None:
        """Make a bar of 80 columns."""
        self.clock, self.terminal = Clock(), Terminal()
        self.columns = 80
        self.bar = ProgressBar(
            self.terminal, clock=self.clock, measure=lambda _stream: self.columns
        )

    def test_bar_is_not_shown_in_the_first_second(self) -> None:
        with self.bar as watch:
            for milliseconds in range(1000):
                self.clock.now = 100 + milliseconds / 1000
                watch(milliseconds, milliseconds)
        self.assertEqual(self.terminal.getvalue(), "")

    def test_bar_shows_work_rows_speed_and_time_left(self) -> None:
        with self.bar as watch:
            self.clock.now += 10
            watch(1_234_560, 400)
            # 10 s for two fifths: 15 s for the others.
            self.assertEqual(
                self.terminal.line,
                "  [########------------]  40%  1,234,560 rows  123,456 rows/s  0:15 left",
            )

    def test_bar_is_redrawn_at_most_ten_times_a_second(self) -> None:
        with self.bar as watch:
            for step in range(2 * 1024):
                self.clock.now = 101 + step / 1024
                watch(step, step // 3)
            self.assertIn(self.terminal.getvalue().count("\r"), range(18, 22))

    def test_bar_never_decreases(self) -> None:
        with self.bar as watch:
            self.clock.now += 5
            watch(10, 500)
            self.clock.now += 5
            watch(20, 300)
            self.assertIn(" 50% ", self.terminal.line)
            self.assertIn(" 20 rows", self.terminal.line)

    def test_bar_fits_a_terminal_that_shrinks(self) -> None:
        with self.bar as watch:
            for columns in (200, 80, 60, 40, 20, 5):
                self.columns = columns
                self.clock.now += 5
                watch(10**9, 999)
                drawn = self.terminal.getvalue().rpartition("\r")[2]
                self.assertLess(len(drawn), columns)
                # A terminal's ^C after the bar also fits on the line.
                self.assertLess(len(drawn.rstrip()) + len("^C"), columns)
                self.assertTrue(drawn.isascii())

    def test_bar_leaves_an_empty_line_also_after_an_error(self) -> None:
        for error in (None, ValueError, KeyboardInterrupt):
            self.setUp()
            with suppress(ValueError, KeyboardInterrupt), self.bar as watch:
                self.clock.now += 5
                watch(1, 1)
                self.terminal.write("^C")
                if error:
                    raise error
            self.assertEqual(self.terminal.line, "")
            self.assertTrue(self.terminal.getvalue().endswith("\r"))

    def test_time_left_is_unknown_before_work_is_done(self) -> None:
        self.assertNotIn("left", render_progress(0, 0, 2.0, 80))
        self.assertIn(
            "100%  5 rows  2 rows/s  0:00 left", render_progress(5, 1000, 2.5, 80)
        )

    def test_closed_terminal_does_not_stop_the_run(self) -> None:
        with (
            mock.patch.object(self.terminal, "write", side_effect=OSError(5, "gone")),
            self.bar as watch,
        ):
            self.clock.now += 5
            watch(1, 1)

    def test_width_of_a_stream_without_a_size_is_the_fallback(self) -> None:
        with mock.patch.dict(os.environ, {"COLUMNS": ""}):
            self.assertGreater(measure_columns(self.terminal), 0)
        with mock.patch.dict(os.environ, {"COLUMNS": "33"}):
            self.assertEqual(measure_columns(self.terminal), 33)


class ProgressOfARun(ShopCase):
    """The bar is shown on a terminal only, and is gone when something is printed."""

    def run_on(self, stderr: io.StringIO, *arguments: object) -> Result:
        """Return the result of a run that draws the bar at once."""
        line = [
            "--generate",
            "--users",
            "50",
            "--end",
            "2024-03-31",
            "--out-dir",
            str(self.folder),
        ]
        with (
            mock.patch("utils.progress.DELAY_SECONDS", 0),
            mock.patch("utils.progress.REDRAW_SECONDS", 0),
            contextlib.redirect_stderr(stderr),
            contextlib.redirect_stdout(io.StringIO()) as stdout,
        ):
            status = generate_data.main([*line, *map(str, arguments)])
        return Result(status, stdout.getvalue(), stderr.getvalue())

    def test_bar_of_a_run_is_shown_on_a_terminal_and_cleared(self) -> None:
        terminal = Terminal()
        result = self.run_on(terminal)
        self.assertEqual(result.status, 0)
        self.assertIn("rows/s", result.stderr)
        self.assertIn("[####################] 100%", result.stderr)
        self.assertEqual(terminal.line, "")

    def test_bar_of_a_run_is_cleared_before_an_error_is_printed(self) -> None:
        for error, words in (
            (OSError(28, "No space left on device"), "No space left on device"),
            (KeyboardInterrupt(), "interrupted"),
        ):
            terminal = Terminal()
            with mock.patch("data_generation.spans.plan_blocks", side_effect=error):
                result = self.run_on(terminal)
            bar, error_text, _ = result.stderr.rpartition("\rgenerate_data: error: ")
            self.assertEqual(error_text[:1], "\r")
            self.assertIn("rows/s", bar)
            self.assertIn(words, result.stderr)

    def test_bar_of_a_run_is_shown_only_on_a_terminal_and_unless_quiet(self) -> None:
        self.assertEqual(self.run_on(io.StringIO()).stderr, "")
        self.assertEqual(self.run_on(Terminal(), "--quiet"), Result(0, "", ""))

    def test_run_without_stderr_succeeds(self) -> None:
        line = ["--generate", "--users", "3", "--quiet", "--out-dir", str(self.folder)]
        with mock.patch.object(sys, "stderr", None):
            self.assertEqual(generate_data.main(line), 0)
