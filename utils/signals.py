"""Signals that end a run: the first one is raised, later ones do not stop its cleanup."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from utils.helpers import report_error

# SIGHUP, sent when a terminal is closed, does not exist on Windows.
ENDING_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]


class SignalReceived(KeyboardInterrupt):
    """A signal ended the run; *status* is the exit status that shells use for it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.status = 128 + signal_number
        self.reason = "interrupted" if signal_number == signal.SIGINT else "terminated"


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Raise `SignalReceived` in the block when the system or the user ends the run.

    Further signals are ignored until the block ends.  Only the main thread receives
    signals; in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    for number, handler in before.items():
        # A signal that our parent ignores (nohup) stays ignored.
        if handler is not signal.SIG_IGN:
            signal.signal(number, _raise_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def block_signals() -> Iterator[None]:
    """Delay signals that would end the run until the block ends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Undo `block_signals` in a new process, which inherits the block of its parent."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)


def report_interruption(program: str, interrupt: KeyboardInterrupt) -> int:
    """Print on stderr that *program* was interrupted; return its exit status."""
    if isinstance(interrupt, SignalReceived):
        report_error(program, interrupt.reason)
        return interrupt.status
    report_error(program, "interrupted")
    return 130


def _raise_signal(signal_number: int, _frame: FrameType | None) -> NoReturn:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise SignalReceived(signal_number)
