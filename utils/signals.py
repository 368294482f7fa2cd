"""Signals that end a run: the first one is raised, later ones change nothing."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager
from types import FrameType

from utils.helpers import report_error

# SIGHUP is sent when a terminal is closed, and SIGBREAK by Ctrl-Break on Windows.
ENDING_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
]

# The signal that ended the run, if there was one.
_received: list[int] = []


class SignalReceived(KeyboardInterrupt):
    """A signal ended the run; *status* is the exit status that shells use for it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.status = 128 + signal_number
        self.reason = "interrupted" if signal_number == signal.SIGINT else "terminated"


@contextmanager
def raise_on_signals(*, though_ignored: Container[int] = ()) -> Iterator[None]:
    """Raise `SignalReceived` in the block when the system or the user ends the run.

    A signal that our parent ignores (nohup) stays ignored, unless it is *though_ignored*.
    Further signals are ignored to the end of the process, which is near.  Only the main
    thread receives signals; in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received.clear()
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    hook, sys.unraisablehook = sys.unraisablehook, _report_unless_signal
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number in though_ignored:
            signal.signal(number, _raise_first)
    try:
        yield
    finally:
        if _received and hasattr(signal, "pthread_sigmask"):
            # For ever: at its end Python gives a signal its default effect again.
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        # Where it arrived, another error may have replaced it.
        raise_received_signal()
        with block_signals():
            for number, handler in before.items():
                signal.signal(number, handler)
            sys.unraisablehook = hook


def raise_received_signal() -> None:
    """Raise `SignalReceived` again if a signal has ended the run."""
    if _received:
        raise SignalReceived(_received[0])


def is_signal_received() -> bool:
    """Return whether a signal has ended the run; Python handles signals in this call."""
    return bool(_received)


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


def _raise_first(signal_number: int, _frame: FrameType | None) -> None:
    # Rejected: to ignore the other signals here.  Python prints a traceback for one that
    # has already arrived.
    if not _received:
        _received.append(signal_number)
        raise SignalReceived(signal_number)


def _report_unless_signal(unraisable: sys.UnraisableHookArgs) -> None:
    """Print no traceback of a signal that arrives in a finalizer: it is raised again."""
    if not isinstance(unraisable.exc_value, SignalReceived):
        sys.__unraisablehook__(unraisable)
