"""What differs between DuckDB and Spark: program, types, functions, reading of CSV files.

A `Dialect` describes one engine.  Its texts with names in braces are templates for
`str.format`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from utils.contract import split_sql
from utils.helpers import DataError

# The function that replaces LOWER in both engines: like SQLite's, it changes ASCII alone.
_LOWER = "translate(x, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"


class CsvSource(NamedTuple):
    """The CSV files of one table; *columns* in their order.

    *paths* and *headerless_paths* are absolute and below *folder*.
    """

    columns: Sequence[str]
    folder: Path
    paths: Sequence[Path]
    headerless_paths: Sequence[Path]
    has_quotes: bool


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One engine: how its program is started, and what its SQL writes in its own way."""

    name: str
    title: str

    # The program; it is looked for in bin/ below *home_variable*, or on the PATH.
    program: str
    install_hint: str
    # Options of its command line; {scratch} is a temporary folder.
    options: Sequence[str]
    home_variable: str = ""
    # Values that are put before the user's own in the environment.
    environment: Mapping[str, str] = field(default_factory=dict)

    # Statements that come first in every script.
    settings: Sequence[str]
    text_type: str
    # A type of whole numbers that holds the product of any two 64-bit integers.
    wide_type: str

    # Text as a literal.
    quote: Callable[[str], str]
    # The statements that make a view, named first, of CSV rows as texts.
    read_csv: Callable[[str, CsvSource], list[str]]
    # The statements that store the rows of {select} under {name}.
    store_rows: Sequence[str]
    # The statement that prints {text}, which holds no quotes, on a line of its own.
    print_text: str
    # The rows of {select}, each as one JSON text in a column called {column}.
    json_rows: str
    # The quotient of whole numbers, rounded towards 0.
    quotient: str
    # Whether {text} matches {pattern}, the literal of a regular expression.
    match: str
    # {text} parsed as a UTC instant and written again; NULL if it is none.
    instant: str
    # The first {digits} hexadecimal digits of the MD5 of {text}, as a number.
    fingerprint: str


# ---- DuckDB ------------------------------------------------------------------------------


def quote_for_duckdb(text: str) -> str:
    """Return *text* as a literal of DuckDB, which doubles quotes."""
    return "'" + text.replace("'", "''") + "'"


def read_csv_with_duckdb(view: str, source: CsvSource) -> list[str]:
    """Return the statement with which DuckDB makes *view* of the rows of *source*."""
    names = ", ".join(source.columns)
    types = ", ".join(f"{quote_for_duckdb(name)}: 'VARCHAR'" for name in source.columns)
    selects = []
    for paths, has_header in ((source.paths, "true"), (source.headerless_paths, "false")):
        if paths:
            # Paths are relative, so that no character of the folder's acts as a pattern.
            relative = (os.path.relpath(path, source.folder) for path in paths)
            files = ", ".join(map(quote_for_duckdb, relative))
            selects.append(
                f"SELECT {names} FROM read_csv([{files}], header = {has_header},"
                f" columns = {{{types}}}, auto_detect = false, delim = ',',"
                " quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
                " null_padding = false, max_line_size = 16777216)"
            )
    return [f"CREATE VIEW {view} AS {' UNION ALL '.join(selects)}"]


DUCKDB = Dialect(
    name="duckdb",
    title="DuckDB",
    program="duckdb",
    install_hint="pip install duckdb-cli, or see https://duckdb.org/install.",
    # A database on disk, so that tables may be larger than the memory.
    options=("-init", os.devnull, "-batch", "-bail", "{scratch}/scratch.duckdb"),
    settings=(
        ".mode list",
        ".headers off",
        ".nullvalue NULL",
        # NULL sorts first, as in SQLite and Spark.
        "SET default_null_order = 'sqlite'",
        f"CREATE MACRO ascii_lower(x) AS {_LOWER}",
    ),
    text_type="VARCHAR",
    wide_type="HUGEINT",
    quote=quote_for_duckdb,
    read_csv=read_csv_with_duckdb,
    store_rows=("CREATE TABLE {name} AS {select}",),
    print_text=".print {text}",
    json_rows="SELECT to_json(answer) AS {column} FROM ({select}) AS answer",
    quotient="({dividend} // {divisor})",
    match="regexp_matches({text}, {pattern})",
    instant="strftime(TRY_CAST({text} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%SZ')",
    fingerprint="CAST('0x' || SUBSTR(MD5({text}), 1, {digits}) AS BIGINT)",
)


# ---- Spark -------------------------------------------------------------------------------


def quote_for_spark(text: str) -> str:
    """Return *text* as a literal of Spark, which escapes quotes and backslashes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read_csv_with_spark(view: str, source: CsvSource) -> list[str]:
    """Return the statements with which Spark makes *view* of the rows of *source*."""
    columns = ", ".join(f"{name} STRING" for name in source.columns)
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
        # Spark can split a file between executors only if no quoted text has line breaks.
        "multiLine": str(source.has_quotes).lower(),
    }
    statements: list[str] = []
    views: list[str] = []
    for paths, has_header in ((source.paths, "true"), (source.headerless_paths, "false")):
        if paths:
            of_view = {**options, "header": has_header, "path": join_hadoop_paths(paths)}
            pairs = ", ".join(
                f"{key} {quote_for_spark(value)}" for key, value in of_view.items()
            )
            views.append(f"{view}_{len(views)}")
            statements.append(
                f"CREATE TEMPORARY VIEW {views[-1]} ({columns}) USING csv OPTIONS ({pairs})"
            )
    union = " UNION ALL ".join(f"SELECT * FROM {each}" for each in views)
    return [*statements, f"CREATE TEMPORARY VIEW {view} AS {union}"]


def join_hadoop_paths(paths: Sequence[Path]) -> str:
    """Return *paths* as the one path that Hadoop expands to them.

    Raise `DataError` if a path holds a character of Hadoop's patterns.

    >>> join_hadoop_paths([Path("/data/a.csv"), Path("/data/b.csv")])
    'file:///data/{a.csv,b.csv}'
    """
    names = [path.absolute().as_posix() for path in paths]
    for name in names:
        if re.search(r"[{}\[\]*?\\,]", name):
            raise DataError(
                f"{name}: Spark reads one of these characters as a pattern: {{}}[]*?\\,."
                " Rename the file or its folder."
            )
    if len(names) == 1:
        return "file:///" + names[0].lstrip("/")
    folder = os.path.commonpath([os.path.dirname(name) for name in names])
    rest = ",".join(os.path.relpath(name, folder) for name in names)
    return f"file:///{folder.lstrip('/')}/{{{rest}}}"


_SPARK_INSTANT = "\"yyyy-MM-dd'T'HH:mm:ss'Z'\""

SPARK = Dialect(
    name="spark",
    title="Spark",
    program="spark-sql",
    home_variable="SPARK_HOME",
    install_hint=(
        "Spark 4 and Java 17 (pip install pyspark installs Spark), and set SPARK_HOME."
    ),
    options=(
        "--name",
        "synthetic-commerce",
        "--conf",
        "spark.ui.showConsoleProgress=false",
        # No metastore is needed, and none is left in the working directory.
        "--conf",
        "spark.sql.catalogImplementation=in-memory",
    ),
    # Java's warnings go to stderr: standard output holds the answers.
    environment={"SPARK_SUBMIT_OPTS": "-Xlog:disable -Xlog:all=warning:stderr"},
    settings=(
        # A number that does not fit is an error, whatever the user's defaults are.
        "SET spark.sql.ansi.enabled=true",
        "SET spark.sql.session.timeZone=UTC",
        "SET spark.sql.legacy.timeParserPolicy=CORRECTED",
        # Otherwise a query of few columns does not notice a row of too many cells.
        "SET spark.sql.csv.parser.columnPruning.enabled=false",
        f"CREATE TEMPORARY FUNCTION ascii_lower(x STRING) RETURNS STRING RETURN {_LOWER}",
    ),
    text_type="STRING",
    wide_type="DECIMAL(38, 0)",
    quote=quote_for_spark,
    read_csv=read_csv_with_spark,
    # Rows are stored when they are first read, and spill to disk.
    store_rows=(
        "CREATE TEMPORARY VIEW {name} AS {select}",
        "CACHE LAZY TABLE {name} OPTIONS ('storageLevel' 'MEMORY_AND_DISK')",
    ),
    print_text="SELECT '{text}'",
    json_rows=(
        "SELECT to_json(struct(*), map('ignoreNullFields', 'false')) AS {column}"
        " FROM ({select}) AS answer"
    ),
    quotient="({dividend} div {divisor})",
    match="{text} RLIKE {pattern}",
    instant=(
        f"date_format(try_to_timestamp({{text}}, {_SPARK_INSTANT}), {_SPARK_INSTANT})"
    ),
    fingerprint=("CAST(conv(SUBSTR(md5({text}), 1, {digits}), 16, 10) AS DECIMAL(38, 0))"),
)

DIALECTS = {dialect.name: dialect for dialect in (DUCKDB, SPARK)}


# ---- Both --------------------------------------------------------------------------------


def store_rows(dialect: Dialect, name: str, select: str) -> list[str]:
    """Return the statements that store the rows of *select* under *name*."""
    return [text.format(name=name, select=select) for text in dialect.store_rows]


def match_text(dialect: Dialect, text: str, pattern: str) -> str:
    r"""Return the SQL of whether all of *text* matches the regular expression *pattern*.

    The pattern ends with \z, because a line feed may follow $.
    """
    complete = rf"(?s)\A(?:{pattern})\z"
    return dialect.match.format(text=text, pattern=dialect.quote(complete))


def translate_select(sql: str) -> str:
    r"""Return the one SELECT in *sql* as both engines accept it.

    Comments are removed, because an engine may end a statement at a semicolon in one.
    LOWER becomes the function that does what SQLite's does.

    >>> translate_select("SELECT LOWER(a) -- b; c\nFROM d;")
    'SELECT ascii_lower(a)   FROM d'
    """
    parts = ["ascii_lower" if part.upper() == "LOWER" else part for part in split_sql(sql)]
    return "".join(parts).strip().removesuffix(";").rstrip()
