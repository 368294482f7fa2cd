"""The swap: a new database takes the place of the old one, whole or not at all.

It is built in a hidden file beside its target.  One ingest at a time has the turn; a
journal or log of the old database is played back before its file goes, because beside
a new file of that name it would destroy it.
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

from utils.contract import PROVENANCE_TABLE, Contract, read_contract
from utils.database import (
    LOCK_TIMEOUT,
    SchemaObject,
    create_empty_database,
    is_wal,
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

# How a system says that it has no locks at all.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

IS_WINDOWS = os.name == "nt"

# How a SQLite database begins; an empty file is an empty database too.
SQLITE_MAGIC = b"SQLite format 3\0"


def name_partials(target: Path) -> tuple[Path, Path]:
    """Return the hidden files beside *target* in which this process builds."""
    stem = f".{target.name}.{os.getpid()}"
    return target.with_name(f"{stem}.partial"), target.with_name(f"{stem}.shard.partial")


@contextmanager
def lock_target(target: Path) -> Iterator[None]:
    """Let this process alone build *target* while the block runs.

    Missing folders are made, and go again if they stay empty.  What runs that died have
    left is removed.  Raise `DataError` if another ingest has the turn, or if the folder
    refuses.
    """
    turn = _TargetLock(target)
    try:
        try:
            turn.take()
            yield
        finally:
            turn.leave()
    finally:
        # A signal may have cut the first one short; a second signal is ignored.
        turn.leave()


class _TargetLock:
    """The turn of this process to build *target*: a locked file, and no leftovers."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._lock = target.with_name(f".{target.name}.lock")
        self._made: list[Path] = []
        self._descriptors: list[int] = []

    def take(self) -> None:
        """Make the folder, lock, and remove what dead runs left."""
        # Between the making of a thing and the note of it no signal may come.
        with block_signals():
            self._made = _make_folders(self._target.parent)
            try:
                self._descriptors.append(_take_lock(self._lock, self._target))
                _remove_leftovers(self._target)
            except OSError as error:
                if os.path.lexists(self._lock) and not self._descriptors:
                    raise DataError(
                        f"{self._lock}: cannot be locked: {error.strerror or error}. If no"
                        " ingest is running, remove it and try again."
                    ) from error
                raise _refuse_folder(self._target.parent, error) from error

    def leave(self) -> None:
        """Remove what is left, unlock, and take empty new folders away; do it once."""
        while self._descriptors:
            with suppress(OSError):
                _remove_leftovers(self._target)
            with block_signals():
                _drop_lock(self._lock, self._descriptors.pop())
        for folder in reversed(self._made):
            with suppress(OSError):
                folder.rmdir()


def _make_folders(folder: Path) -> list[Path]:
    """Make *folder*; return the folders that were missing, the outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refuse_folder(folder, error) from error
    return missing[::-1]


def _refuse_folder(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"{folder}: cannot make a database here: {error.strerror or error}."
        " Choose another place with --database."
    )


def _take_lock(lock: Path, target: Path) -> int:
    """Return the descriptor of *lock*, which no other process holds.

    The file goes with its holder, so what was locked must still be what the path names.
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
    """Lock the file of *descriptor* as long as it is open; raise `DataError` if it is."""
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
            f"{target}: another ingest is making it; this one did nothing. Wait for the"
            " other's end, then run again if need be."
        ) from error


def _drop_lock(lock: Path, descriptor: int) -> None:
    # Windows removes no open file; elsewhere the name goes before the lock does.
    if IS_WINDOWS:
        os.close(descriptor)
    with suppress(OSError):
        lock.unlink()
    if not IS_WINDOWS:
        os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    """Remove what ingests of *target* built and did not finish; none is running now."""
    name = re.escape(target.name)
    pattern = re.compile(rf"\.{name}\.\d+(\.shard)?\.partial(-journal)?")
    for found in os.listdir(target.parent):
        if pattern.fullmatch(found):
            with suppress(OSError):
                (target.parent / found).unlink()


def require_replaceable(target: Path, contract: Contract | None = None) -> None:
    """Raise `DataError` unless *target* is absent or is a database that may be replaced.

    It may be if loads made all that is in it; *contract*, by default that of
    `db/schema.sql`, says what this one will make.  The file is only looked at, and not into
    if a journal or log lies beside it: `lock_database` does that once more.
    """
    try:
        if not _require_file(target) or any(map(os.path.lexists, _list_logs(target))):
            return
        with closing(create_empty_database(contract or read_contract())) as model:
            ours = list_objects(model)
        # Immutable: nothing is locked, played back, or made beside it.
        uri = read_only_uri(target) + "&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            _require_own(connection, target, ours)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be looked at: {error.strerror or error}. Allow reading it"
            " and its folder, or name another file with --database."
        ) from error
    except sqlite3.DatabaseError as error:
        raise _refuse_damaged(target, error) from error


def _list_logs(target: Path) -> list[Path]:
    """Return what may lie beside *target* and belongs to it."""
    return [target.with_name(target.name + suffix) for suffix in ("-journal", "-wal")]


def _require_file(target: Path) -> bool:
    """Return whether *target* is there; raise `DataError` if it cannot be replaced."""
    if target.is_symlink():  # what it led to has been looked up before
        raise DataError(
            f"{target}: is a link that leads nowhere. Remove it, or name another file with"
            " --database."
        )
    if not target.exists():
        # SQLite would play what a vanished database left behind into the new one.
        for leftover in (*_list_logs(target), target.with_name(f"{target.name}-shm")):
            if leftover.exists():
                raise DataError(
                    f"{leftover}: left by a database that is gone, it would spoil the new"
                    " one. Move it away, or name another file with --database."
                )
        return False
    if target.is_dir():
        raise DataError(f"{target}: is a folder. Name a file with --database.")
    if not target.is_file():
        raise DataError(f"{target}: is no regular file. Name one with --database.")
    if not os.access(target, os.W_OK):
        raise DataError(
            f"{target}: is read-only. Allow writing, or name another with --database."
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
def lock_database(target: Path, ours: Sequence[SchemaObject]) -> Iterator[None]:
    """Keep other writers out of the old database *target* while the block runs.

    A journal or log that a dead program left beside it is played back first: beside a new
    file it would destroy it.  Windows cannot rename over an open file, so there the hold
    ends where the block begins.  *ours* is what will take the place of what is in it.
    Raise `DataError` if *target* is in use, no database, or holds what no load made.
    """
    try:
        _look_into(target, ours)
        with _keep_log(target):
            connection = sqlite3.connect(target, isolation_level=None, timeout=LOCK_TIMEOUT)
            with closing(connection):
                if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                    connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("BEGIN IMMEDIATE")
                _require_own(connection, target, ours)
                if not IS_WINDOWS:
                    yield
            if IS_WINDOWS:
                yield
    except sqlite3.OperationalError as error:
        raise DataError(
            f"{target}: cannot be replaced: {error}. {_advise_on_lock(error)} and try"
            " again; it was left as it is."
        ) from error
    except sqlite3.DatabaseError as error:
        raise _refuse_damaged(target, error) from error


def _look_into(target: Path, ours: Sequence[SchemaObject]) -> None:
    """Raise `DataError` if *target* is not to be replaced, before anything is done to it.

    A log that is to be folded into somebody else's database would change its file.
    """
    uri = read_only_uri(target)
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT)) as connection:
            _require_own(connection, target, ours)
    except sqlite3.OperationalError as error:
        # Half a change of a dead program: to take it back is what its next reader does.
        if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
            raise


@contextmanager
def _keep_log(target: Path) -> Iterator[None]:
    """Let *target* be in WAL mode again if it was and the block does not replace it."""
    before, had_log = os.stat(target), is_wal(target)
    try:
        yield
    except BaseException:
        # A log of the old file beside the new one would destroy it.
        if had_log and os.path.samestat(before, os.stat(target)):
            with suppress(sqlite3.Error), closing(sqlite3.connect(target)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        raise


def _advise_on_lock(error: sqlite3.OperationalError) -> str:
    """Return what to do when SQLite cannot get hold of the old database."""
    name = error.sqlite_errorname
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return "Free some space"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return "Allow writing to it and to its folder"
    return "Close the programs that use it"


def _refuse_damaged(target: Path, error: sqlite3.Error) -> DataError:
    return DataError(
        f"{target}: {error}; it was left as it is. Move it away, or name another file"
        " with --database."
    )


def _require_own(
    connection: sqlite3.Connection, target: Path, ours: Sequence[SchemaObject]
) -> None:
    """Raise `DataError` if the database holds what neither a load made nor *ours* names.

    Indexes are left out: nothing is lost with them.
    """
    recorded = _list_loaded_tables(connection)
    names = {("table", name) for name in recorded}
    names |= {(each.kind, each.name) for each in ours if each.kind != "table"}
    found = [each for each in list_objects(connection) if each.kind != "index"]
    strange = [each for each in found if (each.kind, each.name) not in names]
    if strange and not recorded and strange[0].kind == "table":
        what, words = "other tables", [each.name for each in strange]
    else:
        what, words = "what no load made", [f"{each.kind} {each.name}" for each in strange]
    if not found:
        words = [
            f"a {name}"
            for name in ("user_version", "application_id")
            if connection.execute(f"PRAGMA {name}").fetchone() != (0,)
        ]
    if words:
        named = ", ".join(words[:3]) + (", …" if len(words) > 3 else "")
        raise DataError(
            f"{target}: holds {what} ({named}), so it was left as it is. Move it away, or"
            " name another file with --database."
        )


def _list_loaded_tables(connection: sqlite3.Connection) -> set[str]:
    """Return the tables that the last load says it filled, and where it says so."""
    columns = connection.execute(
        "SELECT name FROM pragma_table_info(?)", (PROVENANCE_TABLE,)
    )
    if not {name for (name,) in columns} >= {"subject", "property", "value"}:
        return set()
    subjects = connection.execute(
        f"SELECT subject FROM {PROVENANCE_TABLE} WHERE property = 'content_sha256'"
        " AND typeof(subject) = 'text'"
    )
    tables = {subject for (subject,) in subjects} - {"dataset", PROVENANCE_TABLE}
    return tables | {PROVENANCE_TABLE} if tables else set()


def publish_database(partial: Path, target: Path) -> None:
    """Swap the finished *partial* in as *target*; readers see the old or the new."""
    try:
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        if _require_file(target):
            _keep_owner_and_mode(partial, target)
            with closing(sqlite3.connect(partial)) as connection:
                ours = list_objects(connection)
            with lock_database(target, ours):
                os.replace(partial, target)
        else:
            os.replace(partial, target)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be replaced: {error.strerror or error}. {suggest_fix(error)} and"
            " try again; it was left as it is."
        ) from error
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise DataError(
            f"{target}: is the new database, but its folder cannot be synced:"
            f" {error.strerror or error}. A power cut now might bring the old one back;"
            " load again when the disk is sound."
        ) from error


def _keep_owner_and_mode(partial: Path, target: Path) -> None:
    """Give *partial* the owner and the permissions of *target*, as far as allowed."""
    status = target.stat()
    if not IS_WINDOWS:
        with suppress(OSError):
            os.chown(partial, status.st_uid, status.st_gid)
    os.chmod(partial, stat.S_IMODE(status.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make a rename in *folder* last through a power cut, where the system can."""
    if IS_WINDOWS:  # it cannot open a folder; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
