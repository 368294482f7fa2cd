"""Run a job for several tasks in several processes; the rows keep their order.

A job is a function whose first two arguments are a function that writes rows and one that
reports progress.  A worker process writes rows to scratch files, which this process appends
in the order of the tasks, while the workers make the next ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from utils.processes import WorkerPool, add_progress, explain_lost_worker, open_workers

if TYPE_CHECKING:
    from concurrent.futures import Future

# Tasks of a job that are submitted at a time, for each worker.
TASKS_PER_WORKER = 3

# Takes a table's name and lines of its file.
Write = Callable[[str, Sequence[str]], None]

# Takes what is new: users signed up, orders made, rows written.
OnProgress = Callable[[int, int, int], None]


class ScratchFile(NamedTuple):
    """Finished rows of one table in a file of their own."""

    table: str
    path: Path
    rows: int


class Executor:
    """Runs jobs in *workers*; *append* takes each scratch file when it is finished.

    At most *window* tasks of a job are unfinished, so that rows are appended while the
    workers make the next ones.
    """

    def __init__(
        self,
        workers: WorkerPool,
        scratch: Path,
        append: Callable[[ScratchFile], None],
        window: int,
    ) -> None:
        self._workers = workers
        self._scratch = scratch
        self._append = append
        self._window = window
        self._numbers = count(1)

    def submit(self, job: Callable[..., Any], *task: Any) -> Future[Any]:
        """Let a worker call *job* with *task*, its further arguments."""
        stem = self._scratch / f"{job.__name__}.{next(self._numbers)}"
        return self._workers.submit(_run_task, stem, job, task)

    def finish(self, future: Future[Any]) -> Any:
        """Append the rows of *future* when it is done; return the result of its job."""
        result, files = self._workers.wait(future)
        for file in files:
            self._append(file)
            file.path.unlink()
        return result

    def run(
        self, job: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[Any]:
        """Yield what *job* returns for each of *tasks*; results and rows in their order."""
        futures: deque[Future[Any]] = deque()
        for task in tasks:
            futures.append(self.submit(job, *task))
            if len(futures) == self._window:
                yield self.finish(futures.popleft())
        while futures:
            yield self.finish(futures.popleft())


@contextmanager
def open_executor(
    process_count: int,
    scratch: Path,
    append: Callable[[ScratchFile], None],
    on_progress: OnProgress,
) -> Iterator[Executor]:
    """Start *process_count* worker processes; when the block ends, none of them is left.

    Raise `DataError` if the system ends one of them.
    """
    with explain_lost_worker(), open_workers(process_count, 3, on_progress) as workers:
        yield Executor(workers, scratch, append, TASKS_PER_WORKER * process_count)


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
