"""A progress bar on a terminal: one line of ASCII, rewritten, removed at the end."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType
from typing import TextIO

BAR_CELLS = 20

# Shorter work shows no bar, so that a small run does not flicker.
DELAY_SECONDS = 1.0

REDRAW_SECONDS = 0.1


def render_progress(rows: int, per_mille: int, seconds: float, columns: int) -> str:
    """Return the progress line for *rows* made and *per_mille* of the work in *seconds*.

    Three of the terminal's *columns* stay free: for the ^C that it echoes, and the last
    one, after which some terminals begin another line.

    >>> render_progress(1_234_567, 410, 1.52, 80)
    '  [########------------]  41%  1,234,567 rows  812,215 rows/s  0:02 left'
    >>> render_progress(1_234_567, 410, 1.52, 40)
    '   41%  1,234,567 rows'
    """
    cells = BAR_CELLS * per_mille // 1000
    rate = rows / seconds if seconds > 0 else 0.0
    parts = [f"{per_mille // 10:3}%", f" {rows:,} rows", f" {rate:,.0f} rows/s"]
    if per_mille > 0:
        remaining = round(seconds * (1000 - per_mille) / per_mille)
        parts.append(f" {render_duration(remaining)} left")
    line = f"  [{'#' * cells:-<{BAR_CELLS}}] {' '.join(parts)}"
    width = max(columns - 3, 0)
    while len(line) > width and parts:
        # The bar is omitted first, then the last figure.
        line = f"  {' '.join(parts)}"
        parts.pop()
    return line[:width]


def render_duration(seconds: int) -> str:
    """Return *seconds*, an integer, as minutes or hours.

    >>> render_duration(7), render_duration(187), render_duration(7325)
    ('0:07', '3:07', '2:02:05')
    """
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def measure_columns(stream: TextIO) -> int:
    """Return the width of the terminal of *stream*.

    `shutil.get_terminal_size` alone looks at standard output, which may be a file.
    """
    with suppress(OSError, ValueError, AttributeError):
        if columns := os.get_terminal_size(stream.fileno()).columns:
            return columns
    return shutil.get_terminal_size().columns


class ProgressBar:
    """A bar on *stream*, a terminal; as a context manager it returns `update`."""

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        measure: Callable[[TextIO], int] = measure_columns,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._measure = measure
        self._start = clock()
        self._due = self._start + DELAY_SECONDS
        self._per_mille = 0
        self._drawn = ""

    def __enter__(self) -> Callable[[int, int], None]:
        """Return the function that updates the bar."""
        return self.update

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the line, so that the next output starts on an empty one."""
        if self._drawn:
            self._write("\r" + " " * (self._measure(self._stream) - 1) + "\r")

    def update(self, rows: int, per_mille: int) -> None:
        """Draw the bar for *rows* made so far, at most once every REDRAW_SECONDS."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + REDRAW_SECONDS
        # The bar never goes back, even if the work is more than was estimated.
        self._per_mille = max(self._per_mille, per_mille)
        columns = self._measure(self._stream)
        line = render_progress(rows, self._per_mille, now - self._start, columns)
        self._write("\r" + line.ljust(min(len(self._drawn), columns - 1)))
        self._drawn = line

    def _write(self, text: str) -> None:
        # The run continues without its terminal.
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def open_progress_bar(
    *, quiet: bool = False
) -> AbstractContextManager[Callable[[int, int], None]]:
    """Return a progress bar; it shows nothing if *quiet*, or if stderr is no terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda _rows, _per_mille: None)
    return ProgressBar(sys.stderr)
