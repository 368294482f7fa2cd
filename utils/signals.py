"""Signals that end a run: the first one is obeyed, and nothing disturbs the clearing up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from utils.helpers import report_error

# SIGHUP, of a terminal that is closed, does not exist on Windows.
ENDING_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]


class SignalReceived(KeyboardInterrupt):
    """The run was told to end; *status* is its exit status, as a shell counts it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.status = 128 + signal_number
        self.reason = "interrupted" if signal_number == signal.SIGINT else "terminated"


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Raise `SignalReceived` in the block when the system or the user ends the run.

    Further signals are ignored until the block is left.  In a thread that gets no signals
    nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    for number, handler in before.items():
        # What whoever started us wants ignored (nohup) stays ignored.
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def block_signals() -> Iterator[None]:
    """Let no signal end the run within the block: it is delivered at the block's end."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Undo in a new process what `block_signals` held back in the one that started it."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)


def report_interruption(program: str, end: KeyboardInterrupt) -> int:
    """Say on stderr that *program* was ended; return its exit status."""
    if isinstance(end, SignalReceived):
        report_error(program, end.reason)
        return end.status
    report_error(program, "interrupted")
    return 130


def _end(signal_number: int, _frame: FrameType | None) -> NoReturn:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise SignalReceived(signal_number)
