"""The contract: tables, columns and rules, read from `schema.sql` by SQLite itself.

Only the columns with the time of an event are named here.  SQLite parses the schema in an
empty database in memory, and the tables, columns and keys are read from its catalogue.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Collection
from contextlib import closing
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from utils.connections import open_connection
from utils.helpers import MOST_SQL_BYTES, PROJECT_ROOT, DataError, read_regular_file

SCHEMA_PATH = PROJECT_ROOT / "db" / "schema.sql"

# The manifest that the generator writes beside the files; the loader compares both.
MANIFEST_NAME = "datapackage.json"

# The one table without a CSV file: it records what was loaded.
PROVENANCE_TABLE = "submission_meta"

# The columns with the time of an event; another schema may lack some of them.
EVENTS = frozenset(
    {("users", "signed_up_at"), ("orders", "ordered_at"), ("payments", "processed_at")}
)

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Quoted texts and names, comments, words, blanks; any other token is one character.
SQL_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\w+|\s+|.""",
    re.DOTALL,
)

# The first version with STRICT tables.
OLDEST_SQLITE = (3, 37, 0)


class Column(NamedTuple):
    """A declared column; *type* is `INTEGER` or `TEXT`.

    *is_event* is whether it has the time of an event.
    """

    name: str
    type: str
    is_required: bool
    is_event: bool


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
        """Return the column names in declared order: the CSV header."""
        return [column.name for column in self.columns]

    def find_column(self, name: str) -> Column:
        """Return the column called *name*, which must exist."""
        return self.columns[self.column_names.index(name)]


class Contract(NamedTuple):
    """All of `schema.sql`; *tables* are those with a CSV file, in declared order.

    *table_statements* create all tables, before the rows are loaded; *index_statements*
    create all indexes, after that.
    """

    tables: tuple[Table, ...]
    table_statements: tuple[str, ...]
    index_statements: tuple[str, ...]
    sha256: str


def split_sql(statement: str) -> list[str]:
    r"""Return the tokens of *statement*; a comment or white space becomes one blank.

    >>> split_sql("a IN ('b c') -- d\n")
    ['a', ' ', 'IN', ' ', '(', "'b c'", ')', ' ', ' ', ' ']
    """
    return [
        " " if token.isspace() or token.startswith(("--", "/*")) else token
        for token in SQL_TOKEN.findall(statement)
    ]


def read_contract(schema_path: Path = SCHEMA_PATH) -> Contract:
    """Read the contract from *schema_path*.

    Raise `DataError` if SQLite is too old, or the file is missing or is not valid SQL.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise DataError(
            f"SQLite {sqlite3.sqlite_version} is too old: STRICT tables need 3.37 or newer."
            " Use a Python with a newer SQLite."
        )
    try:
        source = read_regular_file(schema_path, MOST_SQL_BYTES)
    except OSError as error:
        raise DataError(
            f"{schema_path}: cannot be read: {error.strerror}. Name a schema with --schema."
        ) from error
    try:
        return _parse(source)
    except _UnsupportedSchema as error:
        raise DataError(f"{schema_path}: {error}. Correct it, or omit --schema.") from error


class _UnsupportedSchema(Exception):
    """The reason why a schema cannot be the contract."""


# A run reads the contract each time it opens a database.
@lru_cache(maxsize=4)
def _parse(source: bytes) -> Contract:
    """Return the contract in the schema *source*; raise `_UnsupportedSchema`."""
    with closing(open_connection(":memory:")) as connection:
        # A schema must not open other files.
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        try:
            connection.executescript(source.decode("utf-8"))
        except (sqlite3.Error, UnicodeDecodeError, ValueError) as error:
            raise _UnsupportedSchema(f"not a valid SQLite schema: {error}") from error
        contract = _describe(connection, hashlib.sha256(source).hexdigest())
        problem = _find_unsupported(connection, contract)
    if problem is not None:
        raise _UnsupportedSchema(problem)
    return contract


def _find_unsupported(connection: sqlite3.Connection, contract: Contract) -> str | None:
    """Return the first feature of *contract* that loading CSV files does not support."""
    if not contract.tables:
        return "creates no table, expected CREATE TABLE statements"
    triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    for (name,) in triggers:
        return f"trigger {name} would change loaded rows, expected tables and indexes"
    for table in contract.tables:
        problem = (
            _find_unsupported_name(connection, table)
            or _find_unsupported_table(connection, table)
            or _find_unsupported_reference(connection, contract, table)
        )
        if problem is not None:
            return problem
    for statement in (*contract.table_statements, *contract.index_statements):
        problem = _find_unsupported_clause(statement)
        if problem is not None:
            return problem
    return None


def _find_unsupported_name(connection: sqlite3.Connection, table: Table) -> str | None:
    """Return the name in *table* that SQL accepts only in quotes, if there is one."""
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
            return f"{what} is a keyword of SQL, expected another name"
    return None


def _find_unsupported_table(connection: sqlite3.Connection, table: Table) -> str | None:
    """Return what the loader does not support in *table*, if anything."""
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
    # A table that is not STRICT stores 2**63 as a floating-point number.
    return None if is_strict else f"table {table.name} is not STRICT, expected it to be"


def _find_unsupported_reference(
    connection: sqlite3.Connection, contract: Contract, table: Table
) -> str | None:
    """Return the FOREIGN KEY of *table* that does not refer to one row, if there is one."""
    with_several_columns = connection.execute(
        "SELECT 1 FROM pragma_foreign_key_list(?) WHERE seq > 0", (table.name,)
    )
    if with_several_columns.fetchone():
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


def _find_unsupported_clause(statement: str) -> str | None:
    """Return the clause of *statement* that would hide a fault, if there is one."""
    words = [part.upper() for part in split_sql(statement) if part != " "]
    for at, pair in enumerate(pairwise(words)):
        if pair == ("ON", "CONFLICT"):
            return f"ON CONFLICT after {words[at - 1]!r} would drop rows, expected none"
        if pair == ("CHECK", "(") and words[at - 2] != "CONSTRAINT":
            return (
                f"a CHECK after {words[at - 1]!r} has no name, expected CONSTRAINT name"
                " CHECK (…): messages contain the name"
            )
    return None


def describe_stored_contract(
    connection: sqlite3.Connection, table_names: Collection[str], sha256: str
) -> Contract:
    """Return the contract of a database: its own tables, of those called *table_names*.

    *sha256* is the digest of the schema under which they were loaded.  Raise `DataError` if
    a table was changed to one that no schema may have.
    """
    stored = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
    )
    statements = {name: sql for name, sql in stored if name in table_names}
    tables = tuple(_describe_table(connection, name) for name in statements)
    for table in tables:
        problem = _find_unsupported_name(connection, table) or _find_unsupported_table(
            connection, table
        )
        if problem is not None:
            raise DataError(
                f"the database was changed: {problem}. Load the files again: python"
                " ingest.py --ingest"
            )
    return Contract(tables, tuple(statements.values()), (), sha256)


def list_event_columns(contract: Contract) -> list[tuple[Table, str]]:
    """Return the tables of *contract* with the time of an event, each with its column."""
    return [
        (table, column.name)
        for table in contract.tables
        for column in table.columns
        if column.is_event
    ]


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
    # A reference may differ in case, and means the primary key if it names no column.
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
            # A key is required, because SQLite would replace NULL by the next number.
            Column(column, type_name, bool(notnull or pk), (name, column) in EVENTS)
            for column, type_name, notnull, pk in described
        ),
        key=tuple(column for _, column in in_key_order),
        foreign_keys=tuple(
            ForeignKey(column, parent, parent_column)
            for column, parent, parent_column in references
        ),
    )
