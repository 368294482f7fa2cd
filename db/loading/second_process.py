"""Large files are loaded by two processes, the second one into a shard.

A shard is a temporary database beside the new one; it holds some of the tables until they
are copied into the new database.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from db.loading.loader import (
    LoadedFile,
    OnRead,
    create_indexes,
    create_tables,
    load_tables,
    open_new,
)
from utils.contract import Contract, Table
from utils.helpers import DataError
from utils.processes import WorkerPool, add_progress, count_processors, open_workers

if TYPE_CHECKING:
    from concurrent.futures import Future

# From this many bytes on a second process saves more time than its start takes.
BYTES_FOR_TWO = 1 << 23


def split_tables(contract: Contract, data_dir: Path) -> tuple[list[Table], list[Table]]:
    """Return the tables that this process loads, and those that a second one can load.

    The second list has the first tables, up to half of the bytes; it is empty if the files
    are small.  The split depends on the files alone, because the layout of the database
    depends on the split.
    """
    sizes = [(data_dir / f"{table.name}.csv").stat().st_size for table in contract.tables]
    tables = list(contract.tables)
    if sum(sizes) < BYTES_FOR_TWO:
        return tables, []
    count = max(n for n in range(len(sizes)) if 2 * sum(sizes[:n]) <= sum(sizes))
    return tables[count:], tables[:count]


@contextmanager
def load_in_second_process(
    contract: Contract,
    tables: Sequence[Table],
    data_dir: Path,
    shard: Path,
    on_read: OnRead,
    *,
    worker_count: int,
) -> Iterator[Callable[[], list[LoadedFile]]]:
    """Load *tables* into the database *shard* in another process while the block runs.

    The block gets a function that waits for the end, then returns the files or raises what
    stopped them.  With a single processor or a *worker_count* of 1, the function itself
    does the work.
    """
    if not tables or worker_count == 1 or count_processors() == 1:
        yield (
            lambda: load_shard(contract, tables, data_dir, shard, on_read) if tables else []
        )
        return
    with open_workers(1, 2, on_read) as workers:
        future = workers.submit(load_shard, contract, tables, data_dir, shard)
        yield lambda: _await(workers, future)


def _await(workers: WorkerPool, future: Future[list[LoadedFile]]) -> list[LoadedFile]:
    """Return the result of *future*; raise `DataError` if the system ended the worker."""
    from concurrent.futures import BrokenExecutor

    try:
        loaded: list[LoadedFile] = workers.wait(future)
    except BrokenExecutor as error:
        raise DataError(
            "the second process of the load was ended by the system, perhaps because memory"
            " ran out; the database was left as it is. Run again."
        ) from error
    return loaded


def load_shard(
    contract: Contract,
    tables: Sequence[Table],
    data_dir: Path,
    shard: Path,
    on_read: OnRead = add_progress,
) -> list[LoadedFile]:
    """Load *tables* with their indexes into the new database *shard*."""
    with closing(open_new(shard)) as connection:
        connection.execute("BEGIN")
        create_tables(connection, contract)
        loaded = load_tables(connection, tables, data_dir, on_read)
        create_indexes(connection, contract)
        connection.execute("COMMIT")
    return loaded


def merge_shard(
    connection: sqlite3.Connection, tables: Sequence[Table], shard: Path
) -> None:
    """Copy the rows of *tables* from the database *shard* into empty, indexed tables.

    Between tables with the same rules and indexes SQLite copies rows as they are stored.
    """
    connection.execute("ATTACH ? AS shard", (os.fspath(shard),))
    for table in tables:
        connection.execute(
            f"INSERT INTO main.{table.name} SELECT * FROM shard.{table.name}"
        )
