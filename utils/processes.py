"""Worker processes that never outlive the process that started them."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from utils.helpers import DataError
from utils.signals import block_signals, unblock_signals

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor
    from ctypes import Array
    from multiprocessing.connection import Connection

# Seconds between two readings of the workers' progress.
POLL_SECONDS = 0.1


def count_processors() -> int:
    """Return how many processors this process may use; 1 on WebAssembly."""
    if sys.platform in ("emscripten", "wasi"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LostWorkerError(DataError):
    """The system ended a worker process."""


class _Worker:
    """A worker process with a pipe and counts of its own.

    Nothing is shared by several workers, so nothing has a lock: a worker that the system
    kills would hold it forever.
    """

    def __init__(self, count_number: int) -> None:
        # Imported here because WebAssembly does not have it.
        import multiprocessing

        self.counts = multiprocessing.RawArray("Q", count_number)
        self._pipe, end = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=_run_worker, args=(end, self.counts), daemon=True
        )
        self.process.start()
        # The pipe ends with the worker only if no other process has its end open.
        end.close()

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return what *function* returns in the worker, or raise what it raises.

        Raise `BrokenExecutor` if the worker has ended.
        """
        from concurrent.futures import BrokenExecutor

        try:
            self._pipe.send((function, arguments))
            value, error = self._pipe.recv()
        except (EOFError, OSError) as end:
            raise BrokenExecutor("a worker process was ended by the system") from end
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """Wait for the end of the process, then close its pipe."""
        self.process.join()
        self._pipe.close()


class WorkerPool:
    """Worker processes that report progress as counts, each time what is new.

    A function that a worker runs counts with `add_progress`.
    """

    def __init__(
        self,
        workers: Sequence[_Worker],
        threads: ThreadPoolExecutor,
        on_progress: Callable[..., None],
    ) -> None:
        self._workers = workers
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in workers:
            self._idle.put(worker)
        # Each thread waits for one worker at a time.
        self._threads = threads
        self._reported = self._sum_counts()
        self._on_progress = on_progress

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Let a worker call *function* with *arguments*."""
        # A new thread inherits the block, so the main thread gets all signals.
        with block_signals():
            return self._threads.submit(self._call, function, arguments)

    def wait(self, future: Future[Any]) -> Any:
        """Return the result of *future*, reporting progress until it is there.

        Raise what the function raised, or `BrokenExecutor` if the system ended a worker.
        """
        from concurrent.futures import wait

        is_done = False
        while not is_done:
            is_done = bool(wait([future], timeout=POLL_SECONDS).done)
            counts = self._sum_counts()
            self._on_progress(
                *(new - old for new, old in zip(counts, self._reported, strict=True))
            )
            self._reported = counts
        return future.result()

    def _sum_counts(self) -> list[int]:
        all_counts = zip(*(worker.counts for worker in self._workers), strict=True)
        return [sum(counts) for counts in all_counts]

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        from concurrent.futures import BrokenExecutor

        worker = self._idle.get()
        try:
            return worker.call(function, arguments)
        except BrokenExecutor:
            # The others would work for a run that has failed.
            _terminate(self._workers)
            raise
        finally:
            self._idle.put(worker)


@contextmanager
def open_workers(
    process_count: int, count_number: int, on_progress: Callable[..., None]
) -> Iterator[WorkerPool]:
    """Start *process_count* workers whose progress is *count_number* counts.

    When the block ends, also by an error, no worker is left.  Raise `DataError` if the
    system refuses to start one.
    """
    # Rejected: ProcessPoolExecutor, whose queues have locks that a worker can die with.
    from concurrent.futures import ThreadPoolExecutor

    workers: list[_Worker] = []
    threads = ThreadPoolExecutor(process_count)
    try:
        # Workers start with signals blocked, until their own handlers are set.
        with block_signals():
            workers.extend(_make_worker(count_number) for _ in range(process_count))
        yield WorkerPool(workers, threads, on_progress)
    finally:
        _terminate(workers)
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


def _make_worker(count_number: int) -> _Worker:
    """Return a new worker; raise `DataError` if the system refuses another process."""
    try:
        return _Worker(count_number)
    except OSError as error:
        raise DataError(
            f"no other process can be started: {error.strerror or error}. Use --workers 1."
        ) from error


def run_tasks(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], worker_count: int
) -> Generator[Any, None, None]:
    """Yield what *function* returns for each of *tasks*, its arguments, in their order.

    At most *worker_count* processes run them; a single one is this process.  Raise
    `LostWorkerError` if the system ends a worker.
    """
    process_count = min(worker_count, len(tasks))
    if process_count < 2:
        yield from (function(*task) for task in tasks)
        return
    with (
        explain_lost_worker(),
        open_workers(process_count, 0, lambda: None) as workers,
    ):
        futures = [workers.submit(function, *task) for task in tasks]
        yield from map(workers.wait, futures)


@contextmanager
def explain_lost_worker() -> Iterator[None]:
    """Turn the loss of a worker in the block into a `LostWorkerError`."""
    # Imported here because WebAssembly does not have it.
    from concurrent.futures import BrokenExecutor

    try:
        yield
    except BrokenExecutor as error:
        raise LostWorkerError(
            "a worker process was ended by the system, perhaps because memory ran out."
            " Use fewer --workers."
        ) from error


def _terminate(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()


# In a worker, the one array that it adds its progress to.
_counts: list[Array[Any]] = []


def add_progress(*new: int) -> None:
    """Add *new* to the counts of the pool; for a function that a worker runs."""
    (counts,) = _counts
    for index, count in enumerate(new):
        counts[index] += count


def _run_worker(pipe: Connection, counts: Array[Any]) -> None:
    """Answer each call that comes through *pipe* with a result or an exception."""
    _start_worker(counts)
    # A forked worker has a copy of the parent's end, so the pipe does not end with the
    # parent: there `_exit_with_parent` ends this process.
    with suppress(EOFError, OSError):
        while True:
            function, arguments = pipe.recv()
            pipe.send(_answer_call(function, arguments))


def _answer_call(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, Exception | None]:
    """Return the result of *function* and None, or None and the exception."""
    try:
        return function(*arguments), None
    except Exception as error:  # noqa: BLE001 - the parent raises it
        # Imported here because it takes milliseconds, which good runs do not need.
        import traceback

        # A pickled exception has no traceback.
        error.add_note(traceback.format_exc())
        return None, error


def _start_worker(counts: Array[Any]) -> None:
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
