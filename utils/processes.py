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


def count_processors() -> int:
    """Return how many processors this process may use; 1 where there are no processes."""
    if sys.platform in ("emscripten", "wasi"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def open_pool(
    count: int, prepare: Callable[..., None], *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """Start a pool of *count* workers, each of which first calls *prepare*.

    In the end, also a bad one, none of them is left.
    """
    # Imported here because WebAssembly has neither.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    class Pool(ProcessPoolExecutor):
        """Lets no signal reach a worker before it has its own way with them."""

        def submit(
            self, function: Callable[..., Any], /, *args: Any, **options: Any
        ) -> Future[Any]:
            """Submit as any pool does; it is then that workers start."""
            with block_signals():
                return super().submit(function, *args, **options)

    others = multiprocessing.active_children()
    with Pool(count, initializer=_start_worker, initargs=(prepare, *arguments)) as pool:
        try:
            yield pool
        except BaseException:
            # Nobody waits for what they are at.
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
            raise


def _start_worker(prepare: Callable[..., None], *arguments: Any) -> None:
    # What the parent does at the end of its life is not for its copy to do.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What whoever started us wants ignored (nohup) stays ignored.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unblock_signals()
    gc.disable()
    threading.Thread(target=_follow_parent, daemon=True).start()
    prepare(*arguments)


def _follow_parent() -> None:
    """End this process when its parent has ended, however that was."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
