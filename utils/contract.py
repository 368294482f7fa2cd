"""The contract as code: tables, columns and rules, read from `schema.sql` by SQLite itself.

Nothing here knows a table's name.  SQLite parses the schema in an empty database in
memory, and its catalogue answers what the tables, columns and keys are.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from utils.helpers import PROJECT_ROOT, DataError

SCHEMA_PATH = PROJECT_ROOT / "db" / "schema.sql"

# What the generator writes beside the files, and the loader compares them with.
MANIFEST_NAME = "datapackage.json"

# The one table that is not a CSV file: where the data came from.
PROVENANCE_TABLE = "submission_meta"

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Quoted text, quoted names, comments, words, blanks; anything else is one character.
SQL_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\w+|\s+|.""",
    re.DOTALL,
)

# STRICT tables came with SQLite 3.37.
OLDEST_SQLITE = (3, 37, 0)


class Column(NamedTuple):
    """A column as declared: *type* is `INTEGER` or `TEXT`."""

    name: str
    type: str
    is_required: bool


class ForeignKey(NamedTuple):
    """A reference from *column* to *parent_column* of *parent_table*."""

    column: str
    parent_table: str
    parent_column: str


class Table(NamedTuple):
    """A table of the contract; *key* names the columns of its primary key."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def column_names(self) -> list[str]:
        """Return the column names in the order declared, which is the CSV header."""
        return [column.name for column in self.columns]

    def find_column(self, name: str) -> Column:
        """Return the column called *name*, which must be there."""
        return self.columns[self.column_names.index(name)]


class Contract(NamedTuple):
    """All of `schema.sql`: *tables* are the CSV files, in the order declared.

    *table_statements* creates every table, *index_statements* every index: a load runs the
    first before the rows and the second after them.
    """

    tables: tuple[Table, ...]
    table_statements: tuple[str, ...]
    index_statements: tuple[str, ...]
    sha256: str


def split_sql(statement: str) -> list[str]:
    r"""Return the parts of *statement*; a comment counts as the blank that it is.

    >>> split_sql("a IN ('b c') -- d\n")
    ['a', ' ', 'IN', ' ', '(', "'b c'", ')', ' ', ' ', ' ']
    """
    return [
        " " if part.isspace() or part.startswith(("--", "/*")) else part
        for part in SQL_TOKEN.findall(statement)
    ]


def read_contract(schema_path: Path = SCHEMA_PATH) -> Contract:
    """Read the contract from *schema_path*.

    Raise `DataError` if SQLite is too old, or the file is missing or is not valid SQL.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise DataError(
            f"SQLite {sqlite3.sqlite_version} is too old: STRICT tables need 3.37 or newer."
            " Use a Python that brings a newer SQLite."
        )
    try:
        source = schema_path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{schema_path}: cannot be read: {error.strerror}. Name a schema with --schema."
        ) from error
    try:
        return _parse(source)
    except _Unusable as error:
        raise DataError(
            f"{schema_path}: {error}. Mend it, or leave --schema away."
        ) from error


class _Unusable(Exception):
    """Why a schema cannot be the contract, in words."""


# A run asks for the contract wherever it opens a database.
@lru_cache(maxsize=4)
def _parse(source: bytes) -> Contract:
    """Return the contract that the schema *source* states; raise `_Unusable`."""
    with closing(sqlite3.connect(":memory:")) as connection:
        # A schema may not reach out for other files.
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        try:
            connection.executescript(source.decode("utf-8"))
        except (sqlite3.Error, UnicodeDecodeError, ValueError) as error:
            raise _Unusable(f"not a valid SQLite schema: {error}") from error
        contract = _describe(connection, hashlib.sha256(source).hexdigest())
        fault = _find_unsupported(connection, contract)
    if fault is not None:
        raise _Unusable(fault)
    return contract


def _find_unsupported(connection: sqlite3.Connection, contract: Contract) -> str | None:
    """Return what keeps *contract* from being filled from CSV files, if anything does."""
    if not contract.tables:
        return "creates no table, expected CREATE TABLE statements"
    triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    for (name,) in triggers:
        return f"trigger {name} would change what was loaded, expected tables and indexes"
    for table in contract.tables:
        fault = (
            _find_odd_name(connection, table)
            or _find_odd_table(connection, table)
            or _find_odd_reference(connection, contract, table)
        )
        if fault is not None:
            return fault
    for statement in (*contract.table_statements, *contract.index_statements):
        fault = _find_odd_clause(statement)
        if fault is not None:
            return fault
    return None


def _find_odd_name(connection: sqlite3.Connection, table: Table) -> str | None:
    """Return which name of *table* cannot be written without quotes, if one cannot."""
    if not _PLAIN_NAME.fullmatch(table.name):
        return f"table name {table.name!r}, expected letters, digits and underscores"
    for name in table.column_names:
        if not _PLAIN_NAME.fullmatch(name):
            return f"column name {name!r} in {table.name}, expected a plain one"
    for what, query in (
        (f"table name {table.name!r}", f"SELECT * FROM {table.name}"),
        *(
            (f"column name {name!r} in {table.name}", f"SELECT 1 AS {name} ORDER BY {name}")
            for name in table.column_names
        ),
    ):
        try:
            connection.execute(query)
        except sqlite3.OperationalError:
            return f"{what} is a word of SQL, expected another"
    return None


def _find_odd_table(connection: sqlite3.Connection, table: Table) -> str | None:
    """Return what about *table* the loader does not support, if anything."""
    ((is_without_rowid, is_strict),) = connection.execute(
        "SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?",
        (table.name,),
    )
    if not table.key or is_without_rowid:
        return f"table {table.name}, expected a PRIMARY KEY and no WITHOUT ROWID"
    for column in table.columns:
        if column.type not in ("INTEGER", "TEXT"):
            return (
                f"{table.name}.{column.name} is {column.type or 'without a type'},"
                " expected INTEGER or TEXT"
            )
    # Others take 2**63 as a floating-point number.
    return None if is_strict else f"table {table.name} is not STRICT, expected it to be"


def _find_odd_reference(
    connection: sqlite3.Connection, contract: Contract, table: Table
) -> str | None:
    """Return which FOREIGN KEY of *table* finds no single row, if one does not."""
    wide = connection.execute(
        "SELECT 1 FROM pragma_foreign_key_list(?) WHERE seq > 0", (table.name,)
    )
    if wide.fetchone():
        return f"a FOREIGN KEY of {table.name} has several columns, expected one"
    parents = {parent.name for parent in contract.tables}
    for key in table.foreign_keys:
        if key.parent_table not in parents:
            return f"{table.name}.{key.column} refers to {key.parent_table}, no such table"
    try:
        connection.execute(f"PRAGMA foreign_key_check({table.name})")
    except sqlite3.OperationalError as error:
        return f"{error}, expected a reference to a key or a UNIQUE column"
    return None


def _find_odd_clause(statement: str) -> str | None:
    """Return which clause of *statement* hides faults from the reader, if one does."""
    words = [part.upper() for part in split_sql(statement) if part != " "]
    for at, pair in enumerate(pairwise(words)):
        if pair == ("ON", "CONFLICT"):
            return f"ON CONFLICT after {words[at - 1]!r} would drop rows, expected none"
        if pair == ("CHECK", "(") and words[at - 2] != "CONSTRAINT":
            return (
                f"a CHECK after {words[at - 1]!r} has no name, expected CONSTRAINT name"
                " CHECK (…): the name is what a reader is told"
            )
    return None


def _describe(connection: sqlite3.Connection, sha256: str) -> Contract:
    catalogue = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema"
        " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY rowid"
    ).fetchall()
    return Contract(
        tables=tuple(
            _describe_table(connection, name)
            for kind, name, _ in catalogue
            if kind == "table" and name != PROVENANCE_TABLE
        ),
        table_statements=tuple(sql for kind, _, sql in catalogue if kind == "table"),
        index_statements=tuple(sql for kind, _, sql in catalogue if kind != "table"),
        sha256=sha256,
    )


def _describe_table(connection: sqlite3.Connection, name: str) -> Table:
    described = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY cid', (name,)
    ).fetchall()
    # A reference names things in any case, and means the key if it names no column.
    references = connection.execute(
        'SELECT "from", IFNULL(parent.name, "table"), ('
        "   SELECT name FROM pragma_table_info(parent.name)"
        """ WHERE IIF("to" IS NULL, pk = 1, name = "to" COLLATE NOCASE))"""
        " FROM pragma_foreign_key_list(?)"
        " LEFT JOIN sqlite_schema AS parent"
        """ ON parent.type = 'table' AND parent.name = "table" COLLATE NOCASE"""
        " ORDER BY id DESC, seq",
        (name,),
    ).fetchall()
    in_key_order = sorted((pk, column) for column, _, _, pk in described if pk)
    return Table(
        name=name,
        columns=tuple(
            # SQLite would count an INTEGER key up by itself where it is NULL.
            Column(column, type_name, bool(notnull or pk))
            for column, type_name, notnull, pk in described
        ),
        key=tuple(column for _, column in in_key_order),
        foreign_keys=tuple(
            ForeignKey(column, parent, parent_column)
            for column, parent, parent_column in references
        ),
    )
