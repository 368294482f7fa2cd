"""The swap: a new database replaces the old one atomically.

It is built in a hidden file beside its target.  A lock file keeps a second ingest out.
SQLite applies a journal or a log of the old database before its file is replaced, because
beside a new file of that name it would destroy the new one.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from utils.connections import open_connection
from utils.contract import PROVENANCE_TABLE, Contract, read_contract
from utils.database import (
    LOCK_TIMEOUT,
    SchemaObject,
    create_empty_database,
    decode_text,
    describe_damage,
    is_damage,
    is_wal,
    list_loaded_tables,
    list_objects,
    read_only_uri,
)
from utils.helpers import DataError, suggest_fix
from utils.signals import block_signals

# Each system has one of these; WebAssembly may have none, and one process only.
if sys.platform == "win32":
    import msvcrt
else:
    try:
        import fcntl
    except ImportError:
        fcntl = None  # type: ignore[assignment]

# The errors of a file system that has no locks.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

IS_WINDOWS = os.name == "nt"

# The first bytes of a SQLite database; an empty file is an empty database too.
SQLITE_MAGIC = b"SQLite format 3\0"


def name_partials(target: Path) -> tuple[Path, Path]:
    """Return the hidden files beside *target* in which this process builds."""
    stem = f".{target.name}.{os.getpid()}"
    return target.with_name(f"{stem}.partial"), target.with_name(f"{stem}.shard.partial")


@contextmanager
def lock_target(target: Path) -> Iterator[None]:
    """Lock *target* against other ingests while the block runs.

    Missing folders are created, and removed if they stay empty.  Files that crashed runs
    have left are removed.  Raise `DataError` if another ingest holds the lock, or if the
    folder does not allow it.
    """
    lock = _TargetLock(target)
    try:
        try:
            lock.acquire()
            yield
        finally:
            lock.release()
    finally:
        # A signal may have interrupted the first call; a second signal is ignored.
        lock.release()


class _TargetLock:
    """The lock file of *target*, and the folders that were created for it."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._lock = target.with_name(f".{target.name}.lock")
        self._made: list[Path] = []
        self._descriptors: list[int] = []

    def acquire(self) -> None:
        """Create the folder, lock it, then remove what crashed runs left."""
        # No signal may arrive between the creation of a file and the record of it.
        with block_signals():
            self._made = _make_folders(self._target.parent)
            try:
                self._descriptors.append(_open_lock(self._lock, self._target))
                _remove_leftovers(self._target)
            except OSError as error:
                if os.path.lexists(self._lock) and not self._descriptors:
                    raise DataError(
                        f"{self._lock}: cannot be locked: {error.strerror or error}. If no"
                        " ingest is running, remove it and try again."
                    ) from error
                raise _explain_unusable_folder(self._target.parent, error) from error

    def release(self) -> None:
        """Remove unfinished files, unlock, then remove new empty folders; repeatable."""
        while self._descriptors:
            with suppress(OSError):
                _remove_leftovers(self._target)
            with block_signals():
                _drop_lock(self._lock, self._descriptors.pop())
        for folder in reversed(self._made):
            with suppress(OSError):
                folder.rmdir()


def _make_folders(folder: Path) -> list[Path]:
    """Create *folder*; return the folders that were missing, the outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explain_unusable_folder(folder, error) from error
    return missing[::-1]


def _explain_unusable_folder(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"{folder}: cannot create a database here: {error.strerror or error}."
        " Choose another place with --database."
    )


def _open_lock(lock: Path, target: Path) -> int:
    """Return the descriptor of *lock*, now locked by this process.

    Its holder removes the file, so the file that was locked must still have that name.
    """
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, target)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                    return descriptor
        except DataError:  # the file is another process's
            os.close(descriptor)
            raise
        except OSError:
            _drop_lock(lock, descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, target: Path) -> None:
    """Lock the file of *descriptor*; raise `DataError` if another process holds it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        elif fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return
        if not (IS_WINDOWS or isinstance(error, BlockingIOError)):
            raise
        raise DataError(
            f"{target}: another ingest is writing it; this one did nothing. Wait until the"
            " other one ends, then run again if necessary."
        ) from error


def _drop_lock(lock: Path, descriptor: int) -> None:
    # Windows removes no open file; elsewhere the name is removed before the lock.
    if IS_WINDOWS:
        os.close(descriptor)
    with suppress(OSError):
        lock.unlink()
    if not IS_WINDOWS:
        os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    """Remove the unfinished files of ingests of *target*, none of which is running."""
    name = re.escape(target.name)
    pattern = re.compile(rf"\.{name}\.\d+(\.shard)?\.partial(-journal)?")
    for found in os.listdir(target.parent):
        if pattern.fullmatch(found):
            with suppress(OSError):
                (target.parent / found).unlink()


def require_replaceable(
    target: Path, contract: Contract | None = None, *, must_be_writable: bool = True
) -> None:
    """Raise `DataError` unless *target* is absent or is a database that may be replaced.

    It may be replaced if loads made all that is in it; *contract*, by default that of
    `db/schema.sql`, defines what this load will make.  The database is not opened if a
    journal or log is beside it; `lock_database` repeats the check.
    """
    try:
        exists = _require_file(target, must_be_writable=must_be_writable)
        if not exists or any(map(os.path.lexists, _list_logs(target))):
            return
        with closing(create_empty_database(contract or read_contract())) as model:
            new_objects = list_objects(model)
        # Immutable: nothing is locked, recovered or created beside it.
        uri = read_only_uri(target) + "&immutable=1"
        with closing(open_connection(uri, uri=True)) as connection:
            _require_only_loaded(connection, target, new_objects)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be read: {error.strerror or error}. Allow reading it"
            " and its folder, or name another file with --database."
        ) from error
    except sqlite3.DatabaseError as error:
        raise _explain_damage(target, error) from error


def _list_logs(target: Path) -> list[Path]:
    """Return the journal and the log that may be beside *target*."""
    return [target.with_name(target.name + suffix) for suffix in ("-journal", "-wal")]


def _require_file(target: Path, *, must_be_writable: bool = True) -> bool:
    """Return whether *target* exists; raise `DataError` if it cannot be replaced."""
    if target.is_symlink():  # its target has been looked up before
        raise DataError(
            f"{target}: is a link to nothing. Remove it, or name another file with"
            " --database."
        )
    if not target.exists():
        # SQLite would apply what a deleted database left behind to the new one.
        for leftover in (*_list_logs(target), target.with_name(f"{target.name}-shm")):
            if leftover.exists():
                raise DataError(
                    f"{leftover}: left by a deleted database, it would damage the new one."
                    " Move it away, or name another file with --database."
                )
        return False
    if target.is_dir():
        raise DataError(f"{target}: is a folder. Name a file with --database.")
    if not target.is_file():
        raise DataError(f"{target}: is not a regular file. Name one with --database.")
    if must_be_writable and not os.access(target, os.W_OK):
        raise DataError(
            f"{target}: is read-only. Allow writing, or name another file with --database."
        )
    with open(target, "rb") as file:
        head = file.read(len(SQLITE_MAGIC))
    if head not in (b"", SQLITE_MAGIC):
        raise DataError(
            f"{target}: file is not a database; it was left as it is. Move it away, or"
            " name another file with --database."
        )
    return True


@contextmanager
def lock_database(target: Path, new_objects: Sequence[SchemaObject]) -> Iterator[None]:
    """Lock the old database *target* against other writers while the block runs.

    SQLite first applies a journal or log that a crashed program left beside it: beside a
    new file it would destroy the new one.  Windows cannot rename over an open file, so
    there the lock ends where the block begins.  *new_objects* lists what will be in the new
    database.  Raise `DataError` if *target* is in use, is no database, or holds what no
    load made.
    """
    try:
        _require_replaceable_content(target, new_objects)
        with _restore_wal_mode(target):
            with closing(open_connection(target, timeout=LOCK_TIMEOUT)) as connection:
                if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                    connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("BEGIN IMMEDIATE")
                _require_only_loaded(connection, target, new_objects)
                if not IS_WINDOWS:
                    yield
            if IS_WINDOWS:
                yield
    except sqlite3.OperationalError as error:
        raise DataError(
            f"{target}: cannot be replaced: {error}. {_suggest_unlock(error)} and try"
            " again; it was left as it is."
        ) from error
    except sqlite3.DatabaseError as error:
        raise _explain_damage(target, error) from error


def _require_replaceable_content(target: Path, new_objects: Sequence[SchemaObject]) -> None:
    """Raise `DataError` if *target* may not be replaced, before anything changes it.

    To apply a log to a database that the loader did not make would change its file.
    """
    uri = read_only_uri(target)
    try:
        with closing(open_connection(uri, uri=True, timeout=LOCK_TIMEOUT)) as connection:
            _require_only_loaded(connection, target, new_objects)
    except sqlite3.OperationalError as error:
        # A crashed program left half a transaction; the next writer rolls it back.
        if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
            raise


@contextmanager
def _restore_wal_mode(target: Path) -> Iterator[None]:
    """Put *target* back into WAL mode if it was and the block does not replace it."""
    before, had_log = os.stat(target), is_wal(target)
    try:
        yield
    except BaseException:
        # A log of the old file would destroy a new one of that name.
        if had_log and os.path.samestat(before, os.stat(target)):
            with suppress(sqlite3.Error), closing(open_connection(target)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        raise


def _suggest_unlock(error: sqlite3.OperationalError) -> str:
    """Return what to do when SQLite cannot lock the old database."""
    name = error.sqlite_errorname
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return "Free some space"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return "Allow writing to it and to its folder"
    return "Close the programs that use it"


def _explain_damage(target: Path, error: sqlite3.Error) -> DataError:
    fault = describe_damage(error) if is_damage(error) else f"{error}"
    return DataError(
        f"{target}: {fault}; it was left as it is. Move it away, or name another file"
        " with --database."
    )


def _require_only_loaded(
    connection: sqlite3.Connection, target: Path, new_objects: Sequence[SchemaObject]
) -> None:
    """Raise `DataError` if the database holds what no load made, except *new_objects*.

    Indexes do not count: no data is lost with them.
    """
    # The content of a damaged database may be replaced too.
    connection.text_factory = decode_text
    recorded = list_loaded_tables(connection)
    names = {("table", name) for name in recorded}
    if recorded:
        names.add(("table", PROVENANCE_TABLE))
    names |= {(each.kind, each.name) for each in new_objects if each.kind != "table"}
    found = [each for each in list_objects(connection) if each.kind != "index"]
    foreign = [each for each in found if (each.kind, each.name) not in names]
    if foreign and not recorded and foreign[0].kind == "table":
        what, names_found = "other tables", [each.name for each in foreign]
    else:
        what = "what no load made"
        names_found = [f"{each.kind} {each.name}" for each in foreign]
    if not found:
        names_found = [
            f"a {name}"
            for name in ("user_version", "application_id")
            if connection.execute(f"PRAGMA {name}").fetchone() != (0,)
        ]
    if names_found:
        named = ", ".join(names_found[:3]) + (", …" if len(names_found) > 3 else "")
        raise DataError(
            f"{target}: holds {what} ({named}), so it was left as it is. Move it away, or"
            " name another file with --database."
        )


def publish_database(partial: Path, target: Path) -> None:
    """Rename the finished *partial* to *target*; readers see the old or the new one."""
    try:
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        if _require_file(target):
            _copy_owner_and_mode(partial, target)
            with closing(open_connection(partial)) as connection:
                new_objects = list_objects(connection)
            with lock_database(target, new_objects):
                os.replace(partial, target)
        else:
            os.replace(partial, target)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be replaced: {error.strerror or error}. {suggest_fix(error)}"
            " and try again; it was left as it is."
        ) from error
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise DataError(
            f"{target}: is the new database, but its folder cannot be synced:"
            f" {error.strerror or error}. A power cut now might bring the old one back;"
            " load again when the disk works."
        ) from error


def _copy_owner_and_mode(partial: Path, target: Path) -> None:
    """Give *partial* the owner and the permissions of *target*, as far as allowed."""
    status = target.stat()
    if not IS_WINDOWS:
        with suppress(OSError):
            os.chown(partial, status.st_uid, status.st_gid)
    os.chmod(partial, stat.S_IMODE(status.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make a rename in *folder* survive a power cut, where the system can."""
    if IS_WINDOWS:  # it cannot open a folder; the file system journals renames
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
