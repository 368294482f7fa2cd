"""One run of an engine's program: a SQL script goes in, rows as lines of JSON come out."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from utils.engines.dialects import DIALECTS, Dialect
from utils.helpers import DataError
from utils.signals import block_signals, unblock_signals

# The values of a row, in the order of the columns.
Row = tuple[Any, ...]

# How much of an engine's own error is shown.
_MAX_ERROR_LINES = 12
_MAX_LINE_CHARACTERS = 400

# How long an engine has to end by itself after SIGTERM, in seconds.
_SECONDS_TO_END = 10.0

# SQLite's largest integer; sums of DuckDB go beyond it without an error.
_MAX_INTEGER = 2**63 - 1

# In the engines' errors about numbers that do not fit into 64 bits.
_OVERFLOW = re.compile(
    r"ARITHMETIC_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE|CAST_OVERFLOW|Out of Range Error|"
    r"out of range for the destination type"
)

# Lines that Spark writes whether or not it fails.
_LOG_LINE = re.compile(
    r"\s*at |\d\d/\d\d/\d\d |\d{4}-\d\d-\d\d[T ]|Using Spark's|Setting default|To adjust|"
    r"[\s:]*[+:]- |'[A-Z]|Spark Web UI|Spark master|Time taken|WARNING|\s*\.\.\. \d+ more|$"
)
_WARNING = re.compile(r"\d\d/\d\d/\d\d [\d:]+ WARN ")
_EXCEPTION = re.compile(r"[\w.$]+(?:Exception|Error)\b")


class Engine(NamedTuple):
    """An installed engine; *arguments* are the user's own for its command line."""

    dialect: Dialect
    program: str
    arguments: Sequence[str]


def open_engine(name: str, arguments: Sequence[str] = ()) -> Engine:
    """Return the engine called *name*; raise `DataError` if it is not installed."""
    dialect = DIALECTS[name]
    return Engine(dialect, find_program(dialect), arguments)


def find_program(dialect: Dialect) -> str:
    """Return the path of the engine's program; raise `DataError` if it is missing."""
    home = os.environ.get(dialect.home_variable) if dialect.home_variable else None
    folder = os.path.join(home, "bin") if home else None
    found = shutil.which(dialect.program, path=folder)
    if found is not None:
        return found
    where = f"in {folder}, named by {dialect.home_variable}" if folder else "on the PATH"
    raise DataError(
        f"--engine {dialect.name}: there is no program {dialect.program!r} {where}."
        f" Install it: {dialect.install_hint}"
    )


# ---- The script --------------------------------------------------------------------------


class Script:
    """Statements for an engine, in order, and the handlers of the rows of its queries."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        # A line with this prefix separates the rows of one query from those of the next.
        self.separator = f"@@{secrets.token_hex(8)}"
        self.row_handlers: dict[str, Callable[[Row], None]] = {}
        self.rows: dict[str, list[Row]] = {}
        self._lines: list[str] = []
        self._is_after_query = False
        self.add_statements(*dialect.settings)

    def add_statements(self, *statements: str) -> None:
        """Add *statements* whose output is ignored."""
        if self._is_after_query:
            self._add_separator("-")
            self._is_after_query = False
        for statement in statements:
            self._add(statement)

    def add_query(
        self, name: str, select: str, on_row: Callable[[Row], None] | None = None
    ) -> None:
        """Add *select*; its rows go to *on_row*, or are collected in `rows` by *name*."""
        self.rows[name] = []
        self.row_handlers[name] = on_row or self.rows[name].append
        self._add_separator(name)
        self._add(self.dialect.json_rows.format(select=select, column="json_text"))
        self._is_after_query = True

    def finish(self) -> str:
        """Return the complete script; its last line proves that all of it was run."""
        self._add_separator("end")
        return "".join(self._lines)

    def _add_separator(self, name: str) -> None:
        self._add(self.dialect.print_text.format(text=f"{self.separator} {name}"))

    def _add(self, statement: str) -> None:
        self._lines.append(statement + ("\n" if statement.startswith(".") else ";\n"))


# ---- The process -------------------------------------------------------------------------


def run_script(engine: Engine, script: Script, folder: Path) -> None:
    """Run *script* by *engine* in *folder*; pass its rows to their handlers.

    Raise `DataError` with the engine's own error if it fails.  The program never outlives
    this call.
    """
    with tempfile.TemporaryDirectory(prefix="shop-engine-") as scratch:
        path = Path(scratch) / "script.sql"
        path.write_text(script.finish(), encoding="utf-8", newline="\n")
        with open(Path(scratch) / "errors.txt", "w+b") as errors:
            last, status = _read_answers(engine, script, path, folder, errors)
            if status != 0 or last != "end":
                errors.seek(0)
                raise _describe_failure(engine.dialect, status, last, errors.read())


def _read_answers(
    engine: Engine, script: Script, path: Path, folder: Path, errors: IO[bytes]
) -> tuple[str, int]:
    """Run the script at *path*; return its last separator's name and the exit status."""
    last = ""
    with _start_program(engine, path, folder, errors) as process:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            if line.startswith(script.separator.encode()):
                last = line.split(maxsplit=1)[1].strip().decode()
            elif last in script.row_handlers and line.strip():
                script.row_handlers[last](_parse_row(engine.dialect, last, line))
        return last, process.wait()


@contextlib.contextmanager
def _start_program(
    engine: Engine, path: Path, folder: Path, errors: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start *engine* on the script at *path* as a process group; end all of it on error."""
    try:
        with block_signals():
            process = subprocess.Popen(  # noqa: S603
                _build_command(engine, path),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=_build_environment(engine.dialect),
                start_new_session=os.name != "nt",
                # Otherwise the engine inherits the block on signals.
                preexec_fn=None if os.name == "nt" else unblock_signals,  # noqa: PLW1509
            )
    except OSError as error:
        raise DataError(
            f"{engine.program}: cannot be run: {error.strerror}. Install"
            f" {engine.dialect.title} again."
        ) from error
    try:
        yield process
    except BaseException:
        _end_program(process)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _build_command(engine: Engine, path: Path) -> list[str]:
    """Return the command; the user's arguments follow ours, so that they take effect."""
    scratch = os.fspath(path.parent)
    options = [option.format(scratch=scratch) for option in engine.dialect.options]
    return [engine.program, *options, *engine.arguments, "-f", os.fspath(path)]


def _build_environment(dialect: Dialect) -> dict[str, str]:
    """Return the user's environment with the values that *dialect* puts first."""
    return {
        **os.environ,
        **{
            name: f"{value} {os.environ.get(name, '')}".strip()
            for name, value in dialect.environment.items()
        },
    }


def _end_program(process: subprocess.Popen[bytes]) -> None:
    """End *process* and all processes that it has started."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        _signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.terminate()
        else:
            os.killpg(process.pid, number)


def _parse_row(dialect: Dialect, name: str, line: bytes) -> Row:
    """Return the row in *line*, an answer to the query *name*."""
    try:
        row = json.loads(line)
    except ValueError as error:
        text = line[:_MAX_LINE_CHARACTERS].decode("utf-8", "replace").strip()
        raise DataError(
            f"{dialect.title} ({name}): {text!r} is not a row in JSON."
        ) from error
    if not isinstance(row, dict):
        raise DataError(f"{dialect.title} ({name}): {row!r} is not a row.")
    require_64_bits(dialect, name, row.values())
    return tuple(row.values())


def require_64_bits(dialect: Dialect, name: str, values: Iterable[Any]) -> None:
    """Raise `DataError` if one of *values* would have been an error of SQLite."""
    if any(isinstance(value, int) and abs(value) > _MAX_INTEGER for value in values):
        raise DataError(f"{dialect.title} ({name}): the amounts overflow 64-bit integers.")


def _describe_failure(dialect: Dialect, status: int, last: str, errors: bytes) -> DataError:
    """Return the error of an engine that ended with *status*, or before its script did."""
    text = errors.decode("utf-8", "replace")
    where = f" at {last}" if last not in ("", "-", "end") else ""
    how = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
    if _OVERFLOW.search(text):
        how = "failed: the amounts overflow 64-bit integers"
    lines = [f"  {line}" for line in select_error_lines(text)]
    its_error = " Its error:" if lines else ""
    return DataError(f"{dialect.title} {how}{where}.{its_error}", *lines)


def select_error_lines(log: str) -> list[str]:
    r"""Return the lines of *log* that explain a failure, without the engine's log lines.

    >>> select_error_lines("26/01/01 10:00:00 INFO OK\n[NO_TABLE] no t\n\tat x.Y(Y:1)\n")
    ['[NO_TABLE] no t']
    """
    selected: list[str] = []
    is_after_warning = False
    for line in log.splitlines():
        # The exception that a warning reports is on the line after it.
        belongs_to_warning = is_after_warning and _EXCEPTION.match(line)
        is_after_warning = bool(_WARNING.match(line))
        if not (belongs_to_warning or _LOG_LINE.match(line) or line in selected):
            selected.append(line[:_MAX_LINE_CHARACTERS])
    return selected[:_MAX_ERROR_LINES]
