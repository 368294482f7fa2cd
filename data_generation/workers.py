"""Run a job for several tasks, in this process or in several; the rows keep their order.

A job is a function whose first two arguments are a function that writes rows and one that
reports progress.  In this process rows go straight to their files.  A worker process writes
them to scratch files, which are appended in the order of the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from utils.processes import WorkerPool, add_progress, explain_lost_worker, open_workers

# An additional process saves more time than its start costs from about so many users on.
USERS_PER_WORKER = 20_000

# Takes a table's name and lines of its file.
Write = Callable[[str, Sequence[str]], None]

# Takes what is new: users signed up, orders made, rows written.
OnProgress = Callable[[int, int, int], None]


class ScratchFile(NamedTuple):
    """Finished rows of one table in a file of their own."""

    table: str
    path: Path
    rows: int


class Executor(Protocol):
    """Runs a job for each of several tasks; results and rows in the tasks' order."""

    def run(
        self, job: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Yield what *job* returns for each of *tasks*, its further arguments."""


class SerialExecutor:
    """Runs every task in this process."""

    def __init__(self, write: Write, on_progress: OnProgress) -> None:
        self._write = write
        self._on_progress = on_progress

    def run(
        self, job: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Yield what *job* returns for each of *tasks*."""
        for task in tasks:
            yield job(self._write, self._on_progress, *task)


class ProcessExecutor:
    """Runs tasks in *workers*; *append* takes each scratch file when it is finished."""

    def __init__(
        self, workers: WorkerPool, scratch: Path, append: Callable[[ScratchFile], None]
    ) -> None:
        self._workers = workers
        self._scratch = scratch
        self._append = append

    def run(
        self, job: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Yield what *job* returns for each of *tasks*."""
        futures = [
            self._workers.submit(
                _run_task, self._scratch / f"{job.__name__}.{number}", job, task
            )
            for number, task in enumerate(tasks)
        ]
        for future in futures:
            result, files = self._workers.wait(future)
            for file in files:
                self._append(file)
                file.path.unlink()
            yield result


@contextmanager
def open_executor(
    count: int,
    scratch: Path,
    append: Callable[[ScratchFile], None],
    on_progress: OnProgress,
) -> Iterator[ProcessExecutor]:
    """Start *count* worker processes; when the block ends, none of them is left.

    Raise `DataError` if the system ends one of them.
    """
    with explain_lost_worker(), open_workers(count, 3, on_progress) as workers:
        yield ProcessExecutor(workers, scratch, append)


def _run_task(
    stem: Path, job: Callable[..., Any], task: tuple[Any, ...]
) -> tuple[Any, list[ScratchFile]]:
    """Return what *job* returns for *task*, and the files of its rows beside *stem*."""
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

        result = job(write, add_progress, *task)
    return result, [
        ScratchFile(table, Path(file.name), row_counts[table])
        for table, file in files.items()
    ]
