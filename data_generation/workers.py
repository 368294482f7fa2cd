"""Several processes at one job, or this one alone: the rows come in the same order.

A job takes a function to write rows with, one to tell its progress, and its own arguments.
Alone, rows go straight to their files; a worker writes them to pieces in the scratch
folder, which are put together in the order of the tasks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

from utils.helpers import DataError
from utils.processes import open_pool

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor
    from multiprocessing.sharedctypes import SynchronizedArray

# A process more is worth its start from about so many users on.
USERS_PER_WORKER = 20_000

# Windows waits for no more processes than 61.
MOST_WORKERS = 61 if sys.platform == "win32" else 1024

# Seconds between two looks at what the workers have done.
GLANCE_SECONDS = 0.1


class Piece(NamedTuple):
    """Rows of one table, finished and in a file of their own."""

    table: str
    path: Path
    rows: int


class Executor(Protocol):
    """Does a job for each of several tasks; results and rows in the tasks' order."""

    def run(
        self, job: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Yield what *job* returns for each of *tasks*, its arguments."""


class SerialExecutor:
    """Only this process, which writes with *write* and tells *tell*."""

    def __init__(
        self,
        write: Callable[[str, Sequence[str]], None],
        tell: Callable[[int, int, int], None],
    ) -> None:
        self._write = write
        self._tell = tell

    def run(
        self, job: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Yield what *job* returns for each of *tasks*."""
        for task in tasks:
            yield job(self._write, self._tell, *task)


class ProcessExecutor:
    """Workers of *pool*; *append* gets each finished piece, *tell* the progress."""

    def __init__(
        self,
        pool: ProcessPoolExecutor,
        progress: SynchronizedArray[int],
        scratch: Path,
        append: Callable[[Piece], None],
        tell: Callable[[int, int, int], None],
    ) -> None:
        self._pool = pool
        self._progress = progress
        self._told = [0] * len(progress)
        self._scratch = scratch
        self._append = append
        self._tell = tell

    def run(
        self, job: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Yield what *job* returns for each of *tasks*."""
        futures = [
            self._pool.submit(
                _do_task, self._scratch / f"{job.__name__}.{number}", job, task
            )
            for number, task in enumerate(tasks)
        ]
        for future in futures:
            result, pieces = self._await(future)
            for piece in pieces:
                self._append(piece)
                piece.path.unlink()
            yield result

    def _await(self, future: Future[tuple[Any, list[Piece]]]) -> tuple[Any, list[Piece]]:
        """Return the result of *future*, telling now and then how far all are."""
        from concurrent.futures import wait

        is_done = False
        while not is_done:
            is_done = bool(wait([future], timeout=GLANCE_SECONDS).done)
            with self._progress.get_lock():
                now = self._progress[:]
            self._tell(
                *(count - before for count, before in zip(now, self._told, strict=True))
            )
            self._told = now
        return future.result()


@contextmanager
def open_executor(
    count: int,
    scratch: Path,
    append: Callable[[Piece], None],
    tell: Callable[[int, int, int], None],
) -> Iterator[ProcessExecutor]:
    """Start *count* worker processes; in the end, also a bad one, none of them is left.

    Raise `DataError` if the system ends one of them.
    """
    # Imported here because WebAssembly has neither.
    import multiprocessing
    from concurrent.futures import BrokenExecutor

    progress = multiprocessing.Array("Q", 3)
    try:
        with open_pool(count, _take_progress, progress) as pool:
            yield ProcessExecutor(pool, progress, scratch, append, tell)
    except BrokenExecutor as error:
        raise DataError(
            "a worker process was ended by the system, perhaps for want of memory."
            " Take fewer --workers."
        ) from error


# In a worker, the one array that it counts its progress in.
_progress: list[SynchronizedArray[int]] = []


def _take_progress(progress: SynchronizedArray[int]) -> None:
    _progress.append(progress)


def _do_task(
    stem: Path, job: Callable[..., Any], task: tuple[Any, ...]
) -> tuple[Any, list[Piece]]:
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        row_counts: dict[str, int] = {}

        def write(table: str, rows: Sequence[str]) -> None:
            if table not in files:
                path = stem.with_name(f"{stem.name}.{table}")
                files[table] = stack.enter_context(open(path, "wb"))
                row_counts[table] = 0
            files[table].write("".join(rows).encode("utf-8"))
            row_counts[table] += len(rows)

        result = job(write, _tell, *task)
    return result, [
        Piece(table, Path(file.name), row_counts[table]) for table, file in files.items()
    ]


def _tell(*counts: int) -> None:
    (progress,) = _progress
    with progress.get_lock():
        for at, count in enumerate(counts):
            progress[at] += count
