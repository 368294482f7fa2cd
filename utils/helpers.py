"""What two or more rooms share: the user's errors, paths, hashing and safe writing."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

# Every default path starts here, whatever folder a script is started from.
PROJECT_ROOT = Path(__file__).resolve().parent.parent

DATABASE_PATH = PROJECT_ROOT / "db" / "ecommerce.db"

# The static page reads its two JSON files here, also from a plain static host.
PUBLISHED_DIR = PROJECT_ROOT / "frontend" / "data"


class DataError(Exception):
    """A fault that the user can mend; the text names place, fault and next step."""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the file at *path*, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def open_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open *path* for writing bytes so that it appears only when it is whole.

    The bytes go to a hidden file beside *path*, which is synced and renamed over it when
    the block ends well, and removed when it does not.  Missing folders are made.
    Raise `DataError` naming *path* when the system refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            raise DataError(
                f"{path}: cannot be written: {error.strerror or error}."
                " Close programs that hold it, or choose a folder that you may write to."
            ) from error
        raise


def write_whole(path: Path, text: str) -> None:
    """Write *text* to *path* as UTF-8 with its newlines as they are; all or nothing."""
    with open_whole(path) as file:
        file.write(text.encode("utf-8"))


def show_path(path: Path) -> str:
    """Return *path* as a reader wants it: from the working folder if it lies below it."""
    with suppress(ValueError):
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    return str(path)


def render_json(document: Any) -> str:
    """Return *document* as JSON text that two runs write alike; refuse NaN and infinity."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def report_error(program: str, error: BaseException) -> None:
    """Print *error* on stderr the way all four scripts do, on any terminal's encoding."""
    print_safely(f"{program}: error: {error}", file=sys.stderr)


def print_safely(text: str, *, file: IO[str] | None = None) -> None:
    """Print *text*, escaping the characters that the terminal's encoding does not have.

    A Windows console may be cp1252 and a container's ASCII: neither may end a run.
    """
    stream = file if file is not None else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)
