"""The scratch database of a diagnosis: accepted rows and rejected rows of each table.

It has the tables, unique indexes and rules of the contract, so that a rule is stated once,
in the schema.  Each table has a second one of the same name and columns in the attached
database `rejected`, without rules, for the rows that break one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from db.loading.loader import prove_canonical
from db.loading.records import Record
from utils.connections import open_connection
from utils.contract import Contract, Table
from utils.csv_bytes import RejectedInput

# Only lookups by key and by UNIQUE read the scratch; this much of it stays in memory.
_CACHE_KIB = 32_768

# What SQLite stores for a cell.
Value = int | str | None


@contextmanager
def open_scratch(contract: Contract) -> Iterator[sqlite3.Connection]:
    """Open an empty scratch database with the tables and unique indexes of *contract*."""
    with closing(open_connection("")) as connection:
        connection.execute("ATTACH '' AS rejected")
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA foreign_keys = OFF")
        for schema in ("main", "rejected"):
            connection.execute(f"PRAGMA {schema}.cache_size = -{_CACHE_KIB // 2}")
        connection.execute("BEGIN")
        for statement in (*contract.table_statements, *contract.index_statements):
            if not statement.upper().startswith("CREATE INDEX"):
                connection.execute(statement)
        # The values that a rejected row probably has in columns that others refer to.
        connection.execute(
            "CREATE TEMP TABLE guesses (table_name, column_name, value,"
            " PRIMARY KEY (table_name, column_name, value)) WITHOUT ROWID"
        )
        yield connection


class ScratchTable:
    """The rows of *table*, whose file names its columns in *header*.

    Each row also has the *line* and the *offset* of its record; these columns, and all
    others that are added, begin with *stem*, which makes them longer than any name of the
    contract.
    """

    def __init__(
        self, connection: sqlite3.Connection, table: Table, header: Sequence[str]
    ) -> None:
        self.connection = connection
        self.table = table
        self.header = header
        self.columns = [table.find_column(name) for name in header]
        self.stem = "_" * max(map(len, table.column_names))
        self.line, self.offset = f"{self.stem}line", f"{self.stem}offset"
        ((self.statement,),) = connection.execute(
            "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?",
            (table.name,),
        )
        self._create_rejected()
        for place in (self.line, self.offset):
            connection.execute(f"ALTER TABLE main.{table.name} ADD COLUMN {place} INTEGER")
        marks = ", ".join("NULLIF(?, '')" for _ in header)
        names = ", ".join([*header, self.line, self.offset])
        self._insert = f"INSERT INTO main.{table.name} ({names}) VALUES ({marks}, ?, ?)"

    def _create_rejected(self) -> None:
        """Create the table of rejected rows; its columns compare as the table's do."""
        name = self.table.name
        probe = f"{self.stem}probe"
        columns = ", ".join(self.table.column_names)
        self.connection.execute(f"CREATE INDEX main.{probe} ON {name} ({columns})")
        collations = self.connection.execute(
            "SELECT coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno", (probe,)
        ).fetchall()
        self.connection.execute(f"DROP INDEX main.{probe}")
        declared = ", ".join(
            f"{column.name} {column.type} COLLATE {collation}"
            for column, (collation,) in zip(self.table.columns, collations, strict=True)
        )
        self.connection.execute(
            f"CREATE TABLE rejected.{name}"
            f" ({self.line} INTEGER PRIMARY KEY, {self.offset} INTEGER, {declared})"
        )

    def accept_chunk(self, records: Sequence[Record]) -> bool:
        """Store *records* if all of them are valid; return whether they are."""
        self.connection.execute("SAVEPOINT chunk")
        try:
            prove_canonical([record.cells for record in records], self.columns)
            self.connection.executemany(
                self._insert, [(*each.cells, each.line, each.offset) for each in records]
            )
        except (RejectedInput, sqlite3.IntegrityError):
            self.connection.execute("ROLLBACK TO chunk")
            return False
        finally:
            self.connection.execute("RELEASE chunk")
        return True

    def reject(self, record: Record, values: Mapping[str, Value]) -> None:
        """Store *record* among the rejected rows; an invalid cell has no value there."""
        marks = ", ".join("?" for _ in self.header)
        names = ", ".join([self.line, self.offset, *self.header])
        self.connection.execute(
            f"INSERT INTO rejected.{self.table.name} ({names}) VALUES (?, ?, {marks})",
            (record.line, record.offset, *map(values.get, self.header)),
        )

    def accept(self, record: Record) -> str:
        """Move the rejected *record* to the accepted rows; return why not, or ''."""
        try:
            self.connection.execute(
                self._insert, (*record.cells, record.line, record.offset)
            )
        except sqlite3.IntegrityError as error:
            return str(error)
        self.connection.execute(
            f"DELETE FROM rejected.{self.table.name} WHERE {self.line} = ?", (record.line,)
        )
        return ""

    def has_rejected(self) -> bool:
        """Return whether a row is rejected."""
        found = self.connection.execute(f"SELECT 1 FROM rejected.{self.table.name} LIMIT 1")
        return found.fetchone() is not None

    def add_guess(self, column: str, value: Value) -> None:
        """Record that a rejected row probably has *value* in *column*."""
        self.connection.execute(
            "INSERT OR IGNORE INTO temp.guesses VALUES (?, ?, ?)",
            (self.table.name, column, value),
        )

    def index_rejected(self, column: str) -> None:
        """Create an index on *column* of the rejected rows."""
        name = self.table.name
        index = f"{name}{self.stem}{column}"
        self.connection.execute(f"CREATE INDEX rejected.{index} ON {name} ({column})")
