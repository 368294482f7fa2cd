"""Worker processes that never outlive the process that started them."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from utils.signals import block_signals, unblock_signals

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor
    from multiprocessing.sharedctypes import SynchronizedArray

# Seconds between two readings of the workers' progress.
POLL_SECONDS = 0.1


def count_processors() -> int:
    """Return how many processors this process may use; 1 on WebAssembly."""
    if sys.platform in ("emscripten", "wasi"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool:
    """Worker processes that report progress as counts, each time what is new.

    A function that a worker runs counts with `add_progress`.
    """

    def __init__(
        self,
        pool: ProcessPoolExecutor,
        counts: SynchronizedArray[int],
        on_progress: Callable[..., None],
    ) -> None:
        self._pool = pool
        self._counts = counts
        self._reported = [0] * len(counts)
        self._on_progress = on_progress

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Let a worker call *function* with *arguments*."""
        return self._pool.submit(function, *arguments)

    def wait(self, future: Future[Any]) -> Any:
        """Return the result of *future*, reporting progress until it is there.

        Raise what the function raised, or `BrokenExecutor` if the system ended a worker.
        """
        from concurrent.futures import wait

        is_done = False
        while not is_done:
            is_done = bool(wait([future], timeout=POLL_SECONDS).done)
            with self._counts.get_lock():
                counts = self._counts[:]
            self._on_progress(
                *(new - old for new, old in zip(counts, self._reported, strict=True))
            )
            self._reported = counts
        return future.result()


@contextmanager
def open_workers(
    process_count: int, count_number: int, on_progress: Callable[..., None]
) -> Iterator[WorkerPool]:
    """Start *process_count* workers whose progress is *count_number* counts.

    When the block ends, also by an error, no worker is left.
    """
    # Imported here because WebAssembly has neither module.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    class Pool(ProcessPoolExecutor):
        """A pool whose workers start with signals blocked, until their handlers are set."""

        def submit(
            self, function: Callable[..., Any], /, *args: Any, **options: Any
        ) -> Future[Any]:
            """Submit a call; this starts the workers."""
            with block_signals():
                return super().submit(function, *args, **options)

    counts = multiprocessing.Array("Q", count_number)
    others = multiprocessing.active_children()
    with Pool(process_count, initializer=_start_worker, initargs=(counts,)) as pool:
        try:
            yield WorkerPool(pool, counts, on_progress)
        except BaseException:
            # Nothing waits for their results.
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
            raise


# In a worker, the one array that it adds its progress to.
_counts: list[SynchronizedArray[int]] = []


def add_progress(*new: int) -> None:
    """Add *new* to the counts of the pool; for a function that a worker runs."""
    (counts,) = _counts
    with counts.get_lock():
        for index, count in enumerate(new):
            counts[index] += count


def _start_worker(counts: SynchronizedArray[int]) -> None:
    # The handlers of the parent clean up its files; a worker only ends.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A signal that our parent ignores (nohup) stays ignored.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Ctrl-C reaches all processes of the terminal; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unblock_signals()
    gc.disable()
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _counts.append(counts)


def _exit_with_parent() -> None:
    """End this process when its parent has ended, for whatever reason."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
