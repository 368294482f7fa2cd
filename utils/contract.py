"""The contract as code: tables, columns and rules, read from `schema.sql` by SQLite itself.

Nothing here knows a table's name.  SQLite parses the schema in an empty database in
memory, and its catalogue answers what the tables, columns and keys are.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from utils.helpers import PROJECT_ROOT, DataError

SCHEMA_PATH = PROJECT_ROOT / "db" / "schema.sql"

# What the generator writes beside the files, and the loader compares them with.
MANIFEST_NAME = "datapackage.json"

# The one table that is not a CSV file: where the data came from.
PROVENANCE_TABLE = "submission_meta"

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

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
    with closing(sqlite3.connect(":memory:")) as connection:
        # A schema may not reach out for other files.
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        try:
            connection.executescript(source.decode("utf-8"))
        except (sqlite3.Error, UnicodeDecodeError, ValueError) as error:
            raise DataError(
                f"{schema_path}: not a valid SQLite schema: {error}. Mend it, or leave"
                " --schema away."
            ) from error
        contract = _describe(connection, hashlib.sha256(source).hexdigest())
        fault = _find_unsupported(connection, contract)
    if fault is not None:
        raise DataError(f"{schema_path}: {fault}. Mend it, or leave --schema away.")
    return contract


def _find_unsupported(connection: sqlite3.Connection, contract: Contract) -> str | None:
    """Return what keeps *contract* from being filled from CSV files, if anything does."""
    if not contract.tables:
        return "creates no table, expected CREATE TABLE statements"
    triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    for (name,) in triggers:
        return f"trigger {name} would change what was loaded, expected tables and indexes"
    for table in contract.tables:
        if not _PLAIN_NAME.fullmatch(table.name):
            return f"table name {table.name!r}, expected letters, digits and underscores"
        if not table.key or table.name in _list_without_rowid(connection):
            return f"table {table.name}, expected a PRIMARY KEY and no WITHOUT ROWID"
        for column in table.columns:
            if not _PLAIN_NAME.fullmatch(column.name):
                return f"column name {column.name!r} in {table.name}, expected a plain one"
            if column.type not in ("INTEGER", "TEXT"):
                return (
                    f"{table.name}.{column.name} is {column.type or 'without a type'},"
                    " expected INTEGER or TEXT"
                )
    return None


def _list_without_rowid(connection: sqlite3.Connection) -> list[str]:
    names = connection.execute("SELECT name FROM pragma_table_list WHERE wr = 1")
    return [name for (name,) in names]


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
    references = connection.execute(
        'SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)'
        " ORDER BY id DESC, seq",
        (name,),
    ).fetchall()
    in_key_order = sorted((pk, column) for column, _, _, pk in described if pk)
    return Table(
        name=name,
        columns=tuple(
            Column(column, type_name, bool(notnull))
            for column, type_name, notnull, _ in described
        ),
        key=tuple(column for _, column in in_key_order),
        foreign_keys=tuple(
            # A reference without a column means the parent's key, of the same name here.
            ForeignKey(column, parent, parent_column or column)
            for column, parent, parent_column in references
        ),
    )
