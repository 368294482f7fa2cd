"""What several folders share: user errors, default paths, hashing and safe printing."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

# Without this an older Python would end in an unrelated traceback.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("This needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

# Every default path starts here, whatever the working directory is.
PROJECT_ROOT = Path(__file__).resolve().parent.parent

DATABASE_PATH = PROJECT_ROOT / "db" / "ecommerce.db"

# The page reads its two JSON files from here, also on a plain static host.
PUBLISHED_DIR = PROJECT_ROOT / "frontend" / "data"

# The values of --engine besides sqlite.  They are here because every start of a script
# needs them, and importing utils.engines takes longer.
ENGINE_NAMES = ("duckdb", "spark")


# A document that a command reads has at most this many levels of lists and objects.
MOST_LEVELS = 50

# A file of SQL that the user names, a query or a schema, has at most this many bytes.
MOST_SQL_BYTES = 1 << 20


class DataError(Exception):
    """An error that the user can fix; its *lines* name place, fault and next step."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines

    def __str__(self) -> str:
        """Return the lines as one text."""
        return "\n".join(self.lines)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the file at *path*, as 64 hexadecimal digits."""
    return hash_files([path])


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the files at *paths* joined in order."""
    digest = hashlib.sha256()
    for path in paths:
        with open_regular_file(path) as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def open_regular_file(path: Path) -> BufferedReader:
    """Open the file at *path* to read its bytes.

    Raise `OSError` if it is a folder, a device or a pipe: reading one may never end.
    """
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the caller's
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    # Without this flag, opening a pipe waits until another program writes to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Return the bytes of the file at *path*; raise `OSError` if it has too many."""
    with open_regular_file(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} bytes", str(path))
    return data


# Windows records when a file was created, but not when it was last changed.
HAS_CHANGE_TIME = os.name != "nt"


def identify_file(path: Path) -> tuple[int, ...]:
    """Return numbers, first the size, that change when the file at *path* is changed.

    A program can set the time of modification, as `cp -p` and `rsync -t` do, but not the
    time of change.  Unless `HAS_CHANGE_TIME`, only the content shows such a change.
    """
    status = path.stat()
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return status.st_size, *times, status.st_dev, status.st_ino


# What the user can do about an error of the operating system.
_FIXES = {
    errno.ENOSPC: "Free some space",
    getattr(errno, "EDQUOT", errno.ENOSPC): "Free some space",
    errno.EFBIG: "Allow larger files",
    # Windows reports this for a file that another program has open.
    errno.EACCES: "Allow writing to it and its folder, or close the programs that use it",
    # In a folder such as /tmp only the owner of a file may replace it.
    errno.EPERM: "Become the owner of the file",
    errno.EROFS: "Allow writing to it and to its folder",
    errno.EBUSY: "Close the programs that use it",
    errno.EISDIR: "Move the folder of that name away",
    errno.ENOTDIR: "Move the file away that has the name of a needed folder",
    errno.EIO: "Check the disk for errors",
}


def suggest_fix(error: OSError) -> str:
    """Return what to do about *error*, as the beginning of a sentence.

    >>> suggest_fix(OSError(errno.ENOSPC, "full"))
    'Free some space'
    """
    return _FIXES.get(error.errno or 0, "Fix the cause")


def shorten_path(path: Path) -> str:
    """Return *path*, for display, relative to the working directory if it is below it."""
    with suppress(ValueError, OSError):
        path = path.resolve().relative_to(Path.cwd().resolve())
        return escape_line(path.as_posix())
    return escape_line(str(path))


def render_files(files: Iterable[tuple[str, int, str]]) -> str:
    """Return a line for each of *files*: its path, its rows, the start of its SHA-256.

    A file whose SHA-256 is empty was not hashed; its line ends after the rows.
    """
    files = list(files)
    width = max(len(path) for path, _, _ in files)
    count_width = max(9, *(len(f"{rows:,}") for _, rows, _ in files))
    return "\n".join(
        f"  {path:<{width}} {rows:>{count_width},} rows"
        + (f"  sha256 {sha256[:16]}" if sha256 else "")
        for path, rows, sha256 in files
    )


def render_json(document: Any) -> str:
    """Return *document* as JSON, equal for equal documents; refuse NaN and infinity."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def parse_json(text: str) -> Any:
    """Return the JSON document in *text*.

    Raise `ValueError` for invalid JSON, for what UTF-8 or arithmetic cannot hold (half of a
    character, NaN, infinity), for a key that an object has twice, and for more than
    `MOST_LEVELS` levels.
    """
    too_deep = f"it has more than {MOST_LEVELS} levels"
    try:
        document = json.loads(
            text,
            object_pairs_hook=_build_object,
            parse_float=_parse_finite,
            parse_constant=_parse_finite,
        )
    except RecursionError as error:
        raise ValueError(too_deep) from error
    level = [document]
    for _ in range(MOST_LEVELS + 1):
        level = [inner for outer in level for inner in _list_inner(outer)]
    if level:
        raise ValueError(too_deep)
    if "\\ud" in text.lower():
        # An escaped half of a character is the only way to what UTF-8 cannot encode.
        try:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError("it contains half of a character") from error
    return document


def _build_object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in members:
        if name in content:
            raise ValueError(f"it has {name[:30]!r} twice in one object")
        content[name] = value
    return content


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:30]} is not a finite number")
    return number


def _list_inner(value: Any) -> Iterable[Any]:
    """Return the values directly in *value*, a list or an object."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def report_error(program: str, error: Exception | str) -> None:
    """Print *error* on stderr in the form that all four scripts use.

    Only a `DataError` has several lines: a line end in a path or a value begins no line.
    """
    lines = error.lines if isinstance(error, DataError) else [str(error)]
    print_safely(
        f"{program}: error: " + "\n".join(map(escape_line, lines)), file=sys.stderr
    )


def escape_controls(text: str) -> str:
    r"""Return *text* with its control characters escaped; a value or a path may hold some.

    >>> escape_controls("a\x1b]0;b\n")
    'a\\x1b]0;b\n'
    """
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else ascii(character)[1:-1]
        for character in text
    )


def escape_line(text: str) -> str:
    r"""Return *text* on one line, with its control characters and line ends escaped.

    >>> escape_line("a\x1b]0;b\n")
    'a\\x1b]0;b\\n'
    """
    return escape_controls(text).replace("\n", "\\n")


# A default that means "whatever sys.stdout is at the time of the call".
_STDOUT: Any = object()


def print_safely(
    text: str,
    *,
    file: IO[str] | None = _STDOUT,
    escape: Callable[[str], str] = escape_controls,
) -> None:
    """Print *text*, escaped by *escape* and where the encoding of *file* has no character.

    Every line of the scripts is printed here, because a terminal executes the control
    characters in any text from outside: a cell, a path, a key of a JSON file, the name of
    a table.  A Windows console may use cp1252, a container ASCII, and the reader of a pipe
    may have closed it: none of these ends a run.  Raise `DataError` if standard output
    cannot be written for another reason.
    """
    stream = sys.stdout if file is _STDOUT else file
    if stream is None:  # closed before the start, or a Windows program without a console
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        encoded = escape(text).encode(encoding, "backslashreplace")
        print(encoded.decode(encoding), file=stream)
        stream.flush()
    except OSError as error:
        # Later output is discarded: at exit, Python would otherwise flush and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        # The reader closed the pipe; the work continues.  Windows reports EINVAL for this.
        if error.errno in (errno.EPIPE, errno.EINVAL) or file is not _STDOUT:
            return
        raise DataError(
            f"standard output: cannot be written: {error.strerror or error}. The work"
            " itself is complete; redirect the output elsewhere."
        ) from error
