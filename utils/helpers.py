"""What two or more rooms share: the user's errors, paths, hashing and safe writing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

# Without this an older Python ends in a traceback about something else.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("This needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

# Every default path starts here, whatever folder a script is started from.
PROJECT_ROOT = Path(__file__).resolve().parent.parent

DATABASE_PATH = PROJECT_ROOT / "db" / "ecommerce.db"

# The static page reads its two JSON files here, also from a plain static host.
PUBLISHED_DIR = PROJECT_ROOT / "frontend" / "data"


# What --engine takes beside sqlite; here, because every start of a script needs it.
ENGINE_NAMES = ("duckdb", "spark")


class DataError(Exception):
    """A fault that the user can mend; the text names place, fault and next step."""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the file at *path*, as 64 hexadecimal digits."""
    return hash_files([path])


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the files at *paths*, as if they were one file."""
    whole = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: whole)
    return whole.hexdigest()


@contextmanager
def open_atomically(paths: Sequence[Path]) -> Iterator[Sequence[IO[bytes]]]:
    """Open *paths* for writing bytes so that all of them appear, whole, or none does.

    The bytes go to hidden files beside *paths*.  When the block ends well these are synced
    and renamed over *paths* in order; if a rename is refused, those before it are undone.
    Missing folders are made.  Raise `DataError` naming the path that the system refuses.
    """
    partials = [_hide(path, "partial") for path in paths]
    current = paths[0]
    try:
        with ExitStack() as stack:
            files = []
            for path, partial in zip(paths, partials, strict=True):
                current = path
                path.parent.mkdir(parents=True, exist_ok=True)
                files.append(stack.enter_context(open(partial, "wb")))
            # While all are being filled, a fault is the folder's: it is full, say.
            current = paths[0].parent
            yield files
            for path, file in zip(paths, files, strict=True):
                current = path
                file.flush()
                os.fsync(file.fileno())
        _swap_in(partials, paths)
    except OSError as error:
        raise DataError(
            f"{error.filename2 or current}: cannot be written: {error.strerror or error}."
            f" {suggest_fix(error)}, or choose another folder."
        ) from error
    finally:
        for partial in partials:
            with suppress(OSError):
                partial.unlink()


def _hide(path: Path, purpose: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{purpose}")


def _swap_in(partials: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename *partials* over *paths*; if one is refused, put the old files back."""
    olds = [_hide(path, "old.partial") for path in paths]
    try:
        with ExitStack() as undoing:
            for partial, path, old in zip(partials, paths, olds, strict=True):
                was_there = path.exists()
                try:
                    if was_there:
                        _keep(path, old)
                    os.replace(partial, path)
                except OSError as error:
                    # Not the hidden file beside it, which the user does not know.
                    error.filename2 = os.fspath(path)
                    raise
                if was_there:
                    undoing.callback(os.replace, old, path)
                else:
                    undoing.callback(path.unlink)
            undoing.pop_all()
    finally:
        for old in olds:
            old.unlink(missing_ok=True)


def _keep(path: Path, old: Path) -> None:
    """Give the content of *path* the second name *old*, without copying it if possible."""
    old.unlink(missing_ok=True)
    try:
        os.link(path, old)
    except OSError:  # not every file system has links
        shutil.copy2(path, old)


# What the user can do about an error of the system.
_ADVICE = {
    errno.ENOSPC: "Free some space",
    getattr(errno, "EDQUOT", errno.ENOSPC): "Free some space",
    errno.EFBIG: "Allow larger files",
    # Windows says it of what another program has open.
    errno.EACCES: "Allow writing to it and its folder, or close the programs that use it",
    # In a folder such as /tmp a file belongs to who made it.
    errno.EPERM: "Make it a file of your own",
    errno.EROFS: "Allow writing to it and to its folder",
    errno.EBUSY: "Close the programs that use it",
    errno.EISDIR: "Move the folder of that name away",
    errno.ENOTDIR: "Move what is no folder away",
    errno.EIO: "See whether the disk is sound",
}


def suggest_fix(error: OSError) -> str:
    """Return what to do about *error*, as the beginning of a sentence.

    >>> suggest_fix(OSError(errno.ENOSPC, "full"))
    'Free some space'
    """
    return _ADVICE.get(error.errno or 0, "Mend that")


def write_atomically(texts: Mapping[Path, str]) -> None:
    """Write *texts*, by path, as UTF-8 with their newlines as they are; all or none."""
    with open_atomically(list(texts)) as files:
        for file, text in zip(files, texts.values(), strict=True):
            file.write(text.encode("utf-8"))


def show_path(path: Path) -> str:
    """Return *path* as a reader wants it: from the working folder if it lies below it."""
    with suppress(ValueError, OSError):
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    return str(path)


def render_files(files: Iterable[tuple[str, int, str]]) -> str:
    """Return a line for each of *files*: its path, its rows, the head of its SHA-256."""
    files = list(files)
    width = max(len(path) for path, _, _ in files)
    return "\n".join(
        f"  {path:<{width}} {rows:>9,} rows  sha256 {sha256[:16]}"
        for path, rows, sha256 in files
    )


def render_json(document: Any) -> str:
    """Return *document* as JSON text that two runs write alike; refuse NaN and infinity."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def report_error(program: str, error: Exception | str) -> None:
    """Print *error* on stderr the way all four scripts do, on any terminal's encoding."""
    print_safely(f"{program}: error: {escape_controls(str(error))}", file=sys.stderr)


def escape_controls(text: str) -> str:
    r"""Return *text* with its control characters escaped, which a value or a path may hold.

    >>> escape_controls("a\x1b]0;b\n")
    'a\\x1b]0;b\n'
    """
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else ascii(character)[1:-1]
        for character in text
    )


# Stands for what standard output is when something is printed.
_STDOUT: Any = object()


def print_safely(text: str, *, file: IO[str] | None = _STDOUT) -> None:
    """Print *text*, escaping the characters that the terminal's encoding does not have.

    A Windows console may be cp1252 and a container's ASCII, and the reader of a pipe may
    have gone: none of them may end a run.  Raise `DataError` if what is printed gets lost.
    """
    stream = sys.stdout if file is _STDOUT else file
    if stream is None:  # closed before the start, or a Windows program without a console
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)
        stream.flush()
    except OSError as error:
        # What is still to be said goes nowhere, or the end of the run would try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        # Nobody reads on: the work does.  Windows says EINVAL of a pipe without a reader.
        if error.errno in (errno.EPIPE, errno.EINVAL) or file is not _STDOUT:
            return
        raise DataError(
            f"standard output: cannot be written: {error.strerror or error}. What it was to"
            " tell of is done; send it elsewhere."
        ) from error
