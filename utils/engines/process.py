"""Other engines than SQLite, reached by their own command lines: DuckDB and Spark.

A run is one process: one SQL script in, rows as JSON out, one a line.  What the engines
write differently (how CSV is read, how a table is kept) stands here, once for each.
"""

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

from utils.contract import split_sql
from utils.helpers import DataError
from utils.signals import block_signals, unblock_signals

# A row as the engine gave it, its values in the order of the columns.
Row = tuple[Any, ...]
Take = Callable[[Row], None]

# Lines of an engine's own error that are shown, and characters of each.
_MOST_ERROR_LINES = 12
_MOST_ERROR_CHARACTERS = 400

# Seconds that an engine has to end by itself when the run is ended.
_PATIENCE = 10.0

# SQLite's whole numbers; DuckDB's sums go beyond without a word.
_MOST = 2**63 - 1

# What SQLite's LOWER does: to the capitals of ASCII alone.
_LOWER = "translate(x, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"

# Of what is said when a number does not fit into 64 bits.
_OVERFLOW = re.compile(
    r"ARITHMETIC_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE|CAST_OVERFLOW|Out of Range Error|"
    r"out of range for the destination type"
)

# What Spark says whether or not it fails.
_NOISE = re.compile(
    r"\s*at |\d\d/\d\d/\d\d |\d{4}-\d\d-\d\d[T ]|Using Spark's|Setting default|To adjust|"
    r"[\s:]*[+:]- |'[A-Z]|Spark Web UI|Spark master|Time taken|WARNING|\s*\.\.\. \d+ more|$"
)
_WARNING = re.compile(r"\d\d/\d\d/\d\d [\d:]+ WARN ")
_EXCEPTION = re.compile(r"[\w.$]+(?:Exception|Error)\b")


class CsvRead(NamedTuple):
    """What an engine reads a table's CSV files with.

    *paths* are absolute; those of *bare_paths* have no header.
    """

    columns: Sequence[str]
    folder: Path
    paths: Sequence[Path]
    bare_paths: Sequence[Path]
    has_quotes: bool


class Engine:
    """What both engines do; *arguments* are the user's own for its command line."""

    name: str
    title: str
    text_type: str
    # A whole number that holds the product of any two of 64 bits.
    wide_type: str
    settings: Sequence[str]

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = list(arguments)

    def build_environment(self) -> dict[str, str]:
        """Return the environment that the engine runs in: the user's own."""
        return dict(os.environ)

    def find_command(self) -> str:
        """Return the path of the program; raise `DataError` if it is not there."""
        raise NotImplementedError

    def build_command(self, script: Path, scratch: Path) -> list[str]:
        """Return the command that runs *script*; *scratch* is a folder of its own."""
        raise NotImplementedError

    def mark(self, text: str) -> str:
        """Return the statement that prints *text* on a line."""
        raise NotImplementedError

    def quote(self, text: str) -> str:
        """Return *text* as a literal."""
        raise NotImplementedError

    def read_csv(self, view: str, read: CsvRead) -> list[str]:
        """Return the statements that make *view*: the rows of CSV files as texts."""
        raise NotImplementedError

    def keep(self, name: str, select: str) -> list[str]:
        """Return the statements that keep the rows of *select* as the table *name*."""
        raise NotImplementedError

    def select_json(self, select: str, *, name: str = "json_text") -> str:
        """Return *select* with each row as one JSON text, in a column called *name*."""
        raise NotImplementedError

    def divide(self, dividend: str, divisor: str) -> str:
        """Return the SQL of a quotient of whole numbers, rounded towards 0."""
        raise NotImplementedError

    def matches(self, text: str, pattern: str) -> str:
        """Return the SQL of whether all of *text* is like the regular *pattern*."""
        raise NotImplementedError

    def render_instant(self, text: str) -> str:
        """Return the SQL of *text* read as an instant and written again; NULL if none."""
        raise NotImplementedError

    def fingerprint(self, text: str, digits: int) -> str:
        """Return the SQL of the first *digits* of the MD5 of *text*, as a number."""
        raise NotImplementedError


class DuckDB(Engine):
    """DuckDB, for one big machine."""

    name = "duckdb"
    title = "DuckDB"
    text_type = "VARCHAR"
    wide_type = "HUGEINT"
    settings = (
        ".mode list",
        ".headers off",
        ".nullvalue NULL",
        # As SQLite sorts, and Spark.
        "SET default_null_order = 'sqlite'",
        f"CREATE MACRO ascii_lower(x) AS {_LOWER}",
    )

    def find_command(self) -> str:
        """Return the path of `duckdb`."""
        found = shutil.which("duckdb")
        if found is None:
            raise DataError(
                "--engine duckdb: there is no program 'duckdb' on the PATH. Install it:"
                " pip install duckdb-cli, or see https://duckdb.org/install."
            )
        return found

    def build_command(self, script: Path, scratch: Path) -> list[str]:
        """Return the command line; a database on disk lets more in than the memory."""
        database = scratch / "scratch.duckdb"
        return [
            self.find_command(),
            "-init",
            os.devnull,
            "-batch",
            "-bail",
            os.fspath(database),
            "-f",
            os.fspath(script),
        ]

    def mark(self, text: str) -> str:
        """Return a command of the shell."""
        return f".print {text}"

    def quote(self, text: str) -> str:
        """Return *text* with its quotes doubled."""
        return "'" + text.replace("'", "''") + "'"

    def read_csv(self, view: str, read: CsvRead) -> list[str]:
        """Return one view over all files."""
        names = ", ".join(read.columns)
        columns = ", ".join(f"{self.quote(name)}: 'VARCHAR'" for name in read.columns)
        reads = []
        for paths, has_header in ((read.paths, "true"), (read.bare_paths, "false")):
            if paths:
                # From the folder, so that no character of its path is taken for a glob.
                relative = (os.path.relpath(path, read.folder) for path in paths)
                files = ", ".join(map(self.quote, relative))
                reads.append(
                    f"SELECT {names} FROM read_csv([{files}], header = {has_header},"
                    f" columns = {{{columns}}}, auto_detect = false, delim = ',',"
                    " quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
                    " null_padding = false, max_line_size = 16777216)"
                )
        return [f"CREATE VIEW {view} AS {' UNION ALL '.join(reads)}"]

    def keep(self, name: str, select: str) -> list[str]:
        """Return one statement."""
        return [f"CREATE TABLE {name} AS {select}"]

    def select_json(self, select: str, *, name: str = "json_text") -> str:
        """Return *select* with each row as one JSON text."""
        return f"SELECT to_json(answer) AS {name} FROM ({select}) AS answer"

    def divide(self, dividend: str, divisor: str) -> str:
        """Return a division of whole numbers."""
        return f"({dividend} // {divisor})"

    def matches(self, text: str, pattern: str) -> str:
        """Return a full match."""
        return f"regexp_full_match({text}, {self.quote('(?s)' + pattern)})"

    def render_instant(self, text: str) -> str:
        """Return a cast there and back."""
        return f"strftime(TRY_CAST({text} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%SZ')"

    def fingerprint(self, text: str, digits: int) -> str:
        """Return a cast of hexadecimal digits."""
        return f"CAST('0x' || SUBSTR(MD5({text}), 1, {digits}) AS BIGINT)"


class Spark(Engine):
    """Apache Spark, for many machines."""

    name = "spark"
    title = "Spark"
    text_type = "STRING"
    wide_type = "DECIMAL(38, 0)"
    settings = (
        # What does not fit is an error, whatever the user's defaults are.
        "SET spark.sql.ansi.enabled=true",
        "SET spark.sql.session.timeZone=UTC",
        "SET spark.sql.legacy.timeParserPolicy=CORRECTED",
        # Or a row of too many cells would not be seen by a query of few columns.
        "SET spark.sql.csv.parser.columnPruning.enabled=false",
        f"CREATE TEMPORARY FUNCTION ascii_lower(x STRING) RETURNS STRING RETURN {_LOWER}",
    )

    def find_command(self) -> str:
        """Return the path of `spark-sql`, first of the SPARK_HOME that is named."""
        home = os.environ.get("SPARK_HOME")
        path = os.path.join(home, "bin") if home else None
        found = shutil.which("spark-sql", path=path)
        if found is not None:
            return found
        where = f"in {path}, where SPARK_HOME points" if path else "on the PATH"
        raise DataError(
            f"--engine spark: there is no program 'spark-sql' {where}. Install Spark 4 and"
            " Java 17 (pip install pyspark brings the first) and set SPARK_HOME."
        )

    def build_environment(self) -> dict[str, str]:
        """Return the user's own, with Java's warnings moved off the answers' stream."""
        own = os.environ.get("SPARK_SUBMIT_OPTS", "")
        return {
            **os.environ,
            "SPARK_SUBMIT_OPTS": f"-Xlog:disable -Xlog:all=warning:stderr {own}".strip(),
        }

    def build_command(self, script: Path, scratch: Path) -> list[str]:  # noqa: ARG002
        """Return the command line; the user's arguments come last, so that they win."""
        return [
            self.find_command(),
            "--name",
            "synthetic-commerce",
            "--conf",
            "spark.ui.showConsoleProgress=false",
            # Nothing outlives the run: no metastore is needed, nor left in the folder.
            "--conf",
            "spark.sql.catalogImplementation=in-memory",
            *self.arguments,
            "-f",
            os.fspath(script),
        ]

    def mark(self, text: str) -> str:
        """Return a SELECT of the text."""
        return f"SELECT {self.quote(text)}"

    def quote(self, text: str) -> str:
        """Return *text* with its quotes and backslashes escaped."""
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def read_csv(self, view: str, read: CsvRead) -> list[str]:
        """Return a view over the files with a header, one over those without, and both."""
        columns = ", ".join(f"{name} STRING" for name in read.columns)
        options = {
            "quote": '"',
            "escape": '"',
            "nullValue": "",
            "emptyValue": "",
            "mode": "FAILFAST",
            "encoding": "UTF-8",
            "enforceSchema": "true",
            "ignoreLeadingWhiteSpace": "false",
            "ignoreTrailingWhiteSpace": "false",
            # Only a file without quotes can be cut anywhere and shared out.
            "multiLine": str(read.has_quotes).lower(),
        }
        statements: list[str] = []
        views: list[str] = []
        for paths, has_header in ((read.paths, "true"), (read.bare_paths, "false")):
            if paths:
                told = {**options, "header": has_header, "path": name_paths(paths)}
                pairs = ", ".join(f"{key} {self.quote(told[key])}" for key in told)
                views.append(f"{view}_{len(views)}")
                statements.append(
                    f"CREATE TEMPORARY VIEW {views[-1]} ({columns})"
                    f" USING csv OPTIONS ({pairs})"
                )
        union = " UNION ALL ".join(f"SELECT * FROM {each}" for each in views)
        return [*statements, f"CREATE TEMPORARY VIEW {view} AS {union}"]

    def keep(self, name: str, select: str) -> list[str]:
        """Return a view that is filled when it is first asked, and spills to disk."""
        return [
            f"CREATE TEMPORARY VIEW {name} AS {select}",
            f"CACHE LAZY TABLE {name} OPTIONS ('storageLevel' 'MEMORY_AND_DISK')",
        ]

    def select_json(self, select: str, *, name: str = "json_text") -> str:
        """Return *select* with each row as one JSON text, also its NULLs."""
        return (
            f"SELECT to_json(struct(*), map('ignoreNullFields', 'false')) AS {name}"
            f" FROM ({select}) AS answer"
        )

    def divide(self, dividend: str, divisor: str) -> str:
        """Return a division of whole numbers."""
        return f"({dividend} div {divisor})"

    def matches(self, text: str, pattern: str) -> str:
        r"""Return a match from \A to \z, as $ would let a line feed follow."""
        whole = rf"(?s)\A(?:{pattern})\z"
        return f"{text} RLIKE {self.quote(whole)}"

    def render_instant(self, text: str) -> str:
        """Return a timestamp there and back."""
        form = "\"yyyy-MM-dd'T'HH:mm:ss'Z'\""
        return f"date_format(try_to_timestamp({text}, {form}), {form})"

    def fingerprint(self, text: str, digits: int) -> str:
        """Return a conversion between bases."""
        return f"CAST(conv(SUBSTR(md5({text}), 1, {digits}), 16, 10) AS {self.wide_type})"


def name_paths(paths: Sequence[Path]) -> str:
    """Return the one path by which Hadoop finds *paths*; raise `DataError` if none is.

    >>> name_paths([Path("/data/a.csv"), Path("/data/b.csv")])
    'file:///data/{a.csv,b.csv}'
    """
    names = [path.absolute().as_posix() for path in paths]
    for name in names:
        if re.search(r"[{}\[\]*?\\,]", name):
            raise DataError(
                f"{name}: Spark takes one of these characters for a pattern: {{}}[]*?\\,."
                " Rename the file or its folder."
            )
    if len(names) == 1:
        return "file:///" + names[0].lstrip("/")
    folder = os.path.commonpath([os.path.dirname(name) for name in names])
    rest = ",".join(os.path.relpath(name, folder) for name in names)
    return f"file:///{folder.lstrip('/')}/{{{rest}}}"


ENGINES: dict[str, type[Engine]] = {"duckdb": DuckDB, "spark": Spark}


def open_engine(name: str, arguments: Sequence[str] = ()) -> Engine:
    """Return the engine called *name*; raise `DataError` if it is not installed."""
    engine = ENGINES[name](arguments)
    engine.find_command()
    return engine


# ---- The script --------------------------------------------------------------------------


class Script:
    """Statements for *engine*, in order, and what takes the rows of those that ask."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.token = f"@@{secrets.token_hex(8)}"
        self.takers: dict[str, Take] = {}
        self.rows: dict[str, list[Row]] = {}
        self._lines: list[str] = []
        self._is_asking = False
        self.do(*engine.settings)

    def do(self, *statements: str) -> None:
        """Add *statements* of which nobody wants rows."""
        if self._is_asking:
            self._add(self.engine.mark(f"{self.token} -"))
            self._is_asking = False
        for statement in statements:
            self._add(statement)

    def ask(self, name: str, select: str, take: Take | None = None) -> None:
        """Add *select*; its rows are given to *take*, or kept in `rows` under *name*."""
        self.rows[name] = []
        self.takers[name] = take or self.rows[name].append
        self._is_asking = True
        self._add(self.engine.mark(f"{self.token} {name}"))
        self._add(self.engine.select_json(select))

    def render(self) -> str:
        """Return the whole script; its last line proves that it came to its end."""
        return "".join([*self._lines, self._finish(self.engine.mark(f"{self.token} end"))])

    def _add(self, statement: str) -> None:
        self._lines.append(self._finish(statement))

    @staticmethod
    def _finish(statement: str) -> str:
        return statement + ("\n" if statement.startswith(".") else ";\n")


def translate(sql: str) -> str:
    r"""Return the one SELECT in *sql* as every engine takes it.

    Comments go, as an engine may split a script at a semicolon in one, and LOWER becomes
    the function that does what SQLite's does.

    >>> translate("SELECT LOWER(a) -- b; c\nFROM d;")
    'SELECT ascii_lower(a)   FROM d'
    """
    parts = ["ascii_lower" if part.upper() == "LOWER" else part for part in split_sql(sql)]
    return "".join(parts).strip().removesuffix(";").rstrip()


# ---- The process -------------------------------------------------------------------------


def run_script(script: Script, folder: Path) -> None:
    """Let the engine run *script* in *folder*, and hand its rows to those who take them.

    Raise `DataError` with the engine's own words if it fails.  It never outlives this.
    """
    with tempfile.TemporaryDirectory(prefix="shop-engine-") as scratch:
        path = Path(scratch) / "script.sql"
        path.write_text(script.render(), encoding="utf-8", newline="\n")
        command = script.engine.build_command(path, Path(scratch))
        with open(Path(scratch) / "errors.txt", "w+b") as errors:
            last, status = _follow(script, command, folder, errors)
            if status != 0 or last != "end":
                errors.seek(0)
                raise _explain(script.engine, status, last, errors.read())


def _follow(
    script: Script, command: Sequence[str], folder: Path, errors: IO[bytes]
) -> tuple[str, int]:
    """Run *command*; return the last mark that its output showed, and its status."""
    last = ""
    with _start(command, folder, errors, script.engine) as process:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            if line.startswith(script.token.encode()):
                last = line.split(maxsplit=1)[1].strip().decode()
            elif last in script.takers and line.strip():
                script.takers[last](_read_row(script.engine, last, line))
        return last, process.wait()


@contextlib.contextmanager
def _start(
    command: Sequence[str], folder: Path, errors: IO[bytes], engine: Engine
) -> Iterator[subprocess.Popen[bytes]]:
    """Start *command* as the head of a group of processes, and leave none of it."""
    try:
        with block_signals():
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=engine.build_environment(),
                start_new_session=os.name != "nt",
                # Or the engine would inherit that its end is held back.
                preexec_fn=None if os.name == "nt" else unblock_signals,  # noqa: PLW1509
            )
    except OSError as error:
        raise DataError(
            f"{command[0]}: cannot be run: {error.strerror}. Install {engine.title} anew."
        ) from error
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and all that it has started."""
    _send(process, signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        _send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _send(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.terminate()
        else:
            os.killpg(process.pid, number)


def _read_row(engine: Engine, name: str, line: bytes) -> Row:
    """Return the row that *line* of the answer *name* holds."""
    try:
        row = json.loads(line)
    except ValueError as error:
        text = line[:_MOST_ERROR_CHARACTERS].decode("utf-8", "replace").strip()
        raise DataError(f"{engine.title} ({name}): {text!r} is no row of JSON.") from error
    if not isinstance(row, dict):
        raise DataError(f"{engine.title} ({name}): {row!r} is no row.")
    require_64_bits(engine, name, row.values())
    return tuple(row.values())


def require_64_bits(engine: Engine, name: str, values: Iterable[Any]) -> None:
    """Raise `DataError` if one of *values* would have been an error of SQLite."""
    if any(isinstance(value, int) and abs(value) > _MOST for value in values):
        raise DataError(
            f"{engine.title} ({name}): the amounts are too large to reckon with in 64 bits."
        )


def _explain(engine: Engine, status: int, last: str, errors: bytes) -> DataError:
    """Return what is told of an engine that ended with *status* before its end."""
    text = errors.decode("utf-8", "replace")
    where = f" at {last}" if last not in ("", "-", "end") else ""
    how = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
    if _OVERFLOW.search(text):
        how = "found amounts that are too large to reckon with in 64 bits"
    said = "\n".join(f"  {line}" for line in pick_errors(text))
    return DataError(
        f"{engine.title} {how}{where}." + (f" It said:\n{said}" if said else "")
    )


def pick_errors(text: str) -> list[str]:
    r"""Return the lines of *text* that tell what went wrong, without a log's noise.

    >>> pick_errors("26/01/01 10:00:00 INFO All is well\n[NO_TABLE] no t\n\tat x.Y(Y:1)\n")
    ['[NO_TABLE] no t']
    """
    picked: list[str] = []
    is_warned = False
    for line in text.splitlines():
        is_its_own = is_warned and _EXCEPTION.match(line)
        is_warned = bool(_WARNING.match(line))
        if not (is_its_own or _NOISE.match(line) or line in picked):
            picked.append(line[:_MOST_ERROR_CHARACTERS])
    return picked[:_MOST_ERROR_LINES]
