"""Reading a loaded database: opened read-only, checked, with its provenance."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from utils.connections import open_connection
from utils.contract import (
    PROVENANCE_TABLE,
    Contract,
    describe_stored_contract,
    read_contract,
)
from utils.helpers import DataError, hash_file, identify_file
from utils.processes import run_tasks
from utils.rules import read_rules
from utils.signals import raise_received_signal

REMEDY = "Name another with --database, or make it: python ingest.py --ingest"
LOAD_AGAIN = "Load the files again: python ingest.py --ingest"
# The loader does not replace a file that it cannot read.
MOVE_AND_LOAD_AGAIN = "Move it away, then load the files again: python ingest.py --ingest"

# How long to wait for another program's lock on the database, in seconds.
LOCK_TIMEOUT = 5.0

# All of `submission_meta`, as subject → property → value.
Provenance = Mapping[str, Mapping[str, str]]


class SchemaObject(NamedTuple):
    """A table, index, view or trigger, on *table*, created by *sql*."""

    kind: str
    name: str
    table: str
    sql: str | None


# The first refund whose share of goods is {inexact}; each engine computes it differently.
VALID_REFUNDS_SQL = """
    WITH refunds AS (
        SELECT
            payments.payment_id,
            {product} AS amount_times_goods,
            {total} AS total_cents
        FROM payments
        {join} orders
            ON payments.order_id = orders.order_id
        WHERE
            payments.kind = 'refund'
            AND payments.status = 'succeeded'
            AND orders.total_cents > 0
            AND orders.status IN (
                'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
            )
    )

    SELECT MIN(refunds.payment_id) AS payment_id
    FROM refunds
    WHERE {inexact}
"""


class UnusableDatabase(DataError):
    """The file is not a database that the loader made, or it is damaged."""


@contextmanager
def open_database(
    database: Path, *, allow_damage: bool = False, defers_check: bool = False
) -> Iterator[sqlite3.Connection]:
    """Open *database* read-only, as one unchanging snapshot for the block.

    Raise `DataError` if it is missing, locked, damaged or lacks a column of the contract,
    and if another file replaces it before the block ends.  Unless *allow_damage*, raise it
    also if a cell could have another type than its column in the contract.  With
    *defers_check* the block calls `require_types` for that, before it uses a cell.
    """
    before = _identify_database(database)
    try:
        with closing(_connect_read_only(database)) as connection:
            connection.execute("BEGIN")
            require_columns(connection, database, read_contract())
            if not allow_damage:
                _require_constraints(connection, database)
                if not defers_check:
                    require_types(connection, database)
            yield connection
    except (sqlite3.DatabaseError, DataError) as error:
        # An interrupted statement may have been reported as such an error.
        raise_received_signal()
        if isinstance(error, DataError):
            raise
        if needs_more_space(error):
            raise explain_full_folder(error) from error
        reason = _explain_refusal(error, database)
        if reason is None:
            raise
        is_unusable = is_damage(error) or is_other_file(error)
        kind = UnusableDatabase if is_unusable else DataError
        raise kind(f"{database}: {reason}") from error
    raise_received_signal()
    _require_same_file(database, before)


def _require_same_file(database: Path, identity: tuple[int, ...]) -> None:
    """Raise `DataError` unless the file *database* still has *identity*."""
    if _identify_database(database) != identity:
        raise DataError(f"{database}: was replaced during the run. Run the command again.")


def limit_workers(database: Path, worker_count: int, bytes_per_worker: int) -> int:
    """Return how many processes, at most *worker_count*, are worth their start.

    Each has to read *bytes_per_worker* of the file *database*.
    """
    return max(1, min(worker_count, database.stat().st_size // bytes_per_worker))


def run_reads(
    connection: sqlite3.Connection,
    database: Path,
    reads: Sequence[tuple[Any, ...]],
    worker_count: int,
) -> Generator[Any, None, None]:
    """Yield what each of *reads* returns: a function and its arguments.

    The function is called with a connection to *database* before its arguments: with
    *connection*, which `open_database` returned, or in one of *worker_count* processes
    with one of its own.  All read the state that *connection* reads.
    """
    (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    # In WAL mode other programs may write meanwhile, so a later connection reads another
    # state.  Otherwise the lock that *connection* has keeps the file unchanged.
    if worker_count < 2 or journal_mode == "wal":
        yield from (function(connection, *arguments) for function, *arguments in reads)
        return
    identity = _identify_database(database)
    tasks = [(database, identity, *read) for read in reads]
    yield from run_tasks(_read_apart, tasks, worker_count)


def _read_apart(
    database: Path, identity: tuple[int, ...], function: Callable[..., Any], *arguments: Any
) -> Any:
    """Return what *function* returns for a new connection to the file of *identity*."""
    with closing(_connect_read_only(database)) as connection:
        _require_same_file(database, identity)
        connection.execute("BEGIN")
        return function(connection, *arguments)


def describe_file(database: Path) -> dict[str, Any]:
    """Return SHA-256 and size of the file *database*, as the results contain them."""
    return {"sha256": hash_file(database), "bytes": database.stat().st_size}


def read_provenance(connection: sqlite3.Connection) -> Provenance:
    """Return all of `submission_meta`, as subject → property → value."""
    provenance: dict[str, dict[str, str]] = {}
    for subject, name, value in connection.execute(
        f"SELECT subject, property, value FROM {PROVENANCE_TABLE}"
        " ORDER BY subject, property"
    ):
        provenance.setdefault(subject, {})[name] = value
    return provenance


def find_as_of(provenance: Provenance) -> str | None:
    """Return the last day that the data cover, or None without data."""
    as_of = provenance.get("dataset", {}).get("as_of")
    if as_of and not is_date(as_of):
        raise DataError(
            f"{PROVENANCE_TABLE}: dataset as_of is {as_of!r}, expected a day as YYYY-MM-DD."
            f" {LOAD_AGAIN}"
        )
    return as_of or None


def find_stated_day(provenance: Provenance) -> str | None:
    """Return the last day that the manifest or `ingest.py --as-of` stated, or None."""
    return provenance.get("generator", {}).get("window_end")


def find_currency(provenance: Provenance) -> str | None:
    """Return the ISO 4217 code of the amounts, or None if the manifest has none."""
    code = provenance.get("generator", {}).get("currency", "")
    return code if re.fullmatch(r"[A-Z]{3}", code) else None


def is_date(text: str) -> bool:
    """Return whether *text* is a date that exists, written YYYY-MM-DD.

    >>> is_date("2024-02-29"), is_date("2023-02-29"), is_date("20240229")
    (True, False, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _identify_database(database: Path) -> tuple[int, ...]:
    """Return the identity of the file *database*; raise `DataError` if it is missing."""
    try:
        if not database.is_file():
            if database.is_dir():
                raise DataError(f"{database}: is a folder. Name a file with --database.")
            if database.exists():
                raise DataError(
                    f"{database}: is not a regular file. Name one with --database."
                )
            raise DataError(f"{database}: no such file. {REMEDY}")
        return identify_file(database)
    except OSError as error:
        raise DataError(
            f"{database}: cannot be read: {error.strerror or error}. Allow reading its"
            " folder, or name another with --database."
        ) from error


def _connect_read_only(database: Path) -> sqlite3.Connection:
    """Return a connection that cannot change *database*, nor create it if it is missing."""
    connection = open_connection(read_only_uri(database), uri=True, timeout=LOCK_TIMEOUT)
    # A query must not open other files.
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    # The report lists a text that is not UTF-8; it does not end there.
    connection.text_factory = decode_text
    return connection


def decode_text(data: bytes) -> str:
    """Return the text of a cell; it may be damaged."""
    return data.decode("utf-8", "replace")


def read_only_uri(database: Path) -> str:
    """Return the URI that opens *database* read-only, with any character in its path.

    `Path.as_uri` writes the server of a Windows share as the host, which SQLite refuses.

    >>> read_only_uri(Path("50% off?.db")).endswith("/50%25%20off%3F.db?mode=ro")
    True
    """
    path = Path(os.path.abspath(database)).as_posix()
    root = "" if path.startswith("/") else "/"
    return f"file://{root}{quote(os.fsencode(path), safe='/:')}?mode=ro"


def require_columns(
    connection: sqlite3.Connection, database: Path, contract: Contract
) -> None:
    """Raise `UnusableDatabase` naming the tables and columns of *contract* that it lacks.

    A view in place of a table is refused before it is read: it may never end.
    """
    expected = {table.name: table.column_names for table in contract.tables}
    expected[PROVENANCE_TABLE] = ["subject", "property", "value"]
    kinds = dict(
        connection.execute(
            "SELECT LOWER(name), type FROM pragma_table_list WHERE schema = 'main'"
        )
    )
    missing = []
    for table, columns in expected.items():
        if kinds.get(table.lower(), "table") != "table":
            raise UnusableDatabase(
                f"{database}: differs from schema.sql: {table} is not a table."
                f" {MOVE_AND_LOAD_AGAIN}"
            )
        names = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        found = {name for (name,) in names}
        absent = [f"{table}.{column}" for column in columns if column not in found]
        missing += absent if found else [table]
    if missing:
        raise UnusableDatabase(f"{database}: has no {', '.join(missing)}. {REMEDY}")


def _require_constraints(connection: sqlite3.Connection, database: Path) -> None:
    """Raise `DataError` unless the tables refuse cells as those of the contract do."""
    contract = read_contract()
    with closing(create_empty_database(contract)) as model:
        weaker = [
            constraint
            for table in (*(table.name for table in contract.tables), PROVENANCE_TABLE)
            for constraint in _find_weaker_constraints(model, connection, table)
        ]
    if weaker:
        raise DataError(
            f"{database}: differs from schema.sql: {', '.join(weaker[:3])}. {LOAD_AGAIN}"
        )


def require_types(
    connection: sqlite3.Connection, database: Path, *, with_indexes: bool = False
) -> None:
    """Raise `DataError` unless every cell of the contract's columns has its type.

    A STRICT table guarantees that, unless the file was manipulated; therefore all cells
    are checked (0.3 s for 1.3 million rows).  *with_indexes* raise it also if an index
    does not have the rows of its table (1 s).
    """
    # Otherwise these checks also evaluate CHECKs, which do not concern types.
    connection.execute("PRAGMA ignore_check_constraints = ON")
    check = "integrity_check" if with_indexes else "quick_check"
    (message,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
    if message != "ok":
        raise UnusableDatabase(
            f"{database}: is damaged: {' '.join(message.split())}. {MOVE_AND_LOAD_AGAIN}."
            " All that SQLite finds: python ingest.py --rows database_is_intact"
        )


def _find_weaker_constraints(
    model: sqlite3.Connection, found: sqlite3.Connection, table: str
) -> Iterator[str]:
    """Yield why *table* in *found* accepts cells that *model* does not."""
    if _is_strict(model, table) and not _is_strict(found, table):
        yield f"{table} is not STRICT"
    columns = _describe_columns(found, table)
    for name, (kind, is_required, is_key) in _describe_columns(model, table).items():
        found_kind, found_required, found_key = columns[name]
        if found_kind != kind:
            yield f"{table}.{name} is {found_kind or 'without a type'}"
        elif is_required and not found_required:
            yield f"{table}.{name} may be NULL"
        elif is_key and not found_key:
            yield f"{table}.{name} is not a key"


def _is_strict(connection: sqlite3.Connection, table: str) -> bool:
    row = connection.execute(
        "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)
    ).fetchone()
    return bool(row and row[0])


def _describe_columns(
    connection: sqlite3.Connection, table: str
) -> dict[str, tuple[str, bool, bool]]:
    """Return the type of each column, whether it is NOT NULL, and whether it is a key."""
    rows = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (table,)
    )
    return {name: (kind, bool(required), bool(key)) for name, kind, required, key in rows}


def find_loaded_contract(
    connection: sqlite3.Connection, contract: Contract, provenance: Provenance
) -> Contract:
    """Return the contract under which the rows of the database were loaded.

    That is *contract*, unless the load recorded another schema: then the database itself
    states its tables and columns, which may be more than those of *contract*.
    """
    recorded = provenance.get("schema.sql", {}).get("sha256")
    if recorded in (None, contract.sha256):
        return contract
    names = {table.name for table in contract.tables} | list_loaded_tables(connection)
    return describe_stored_contract(connection, names, recorded)


def list_loaded_tables(connection: sqlite3.Connection) -> set[str]:
    """Return the tables that the last load recorded; none if there is no record."""
    columns = connection.execute(
        "SELECT name FROM pragma_table_info(?)", (PROVENANCE_TABLE,)
    )
    if not {name for (name,) in columns} >= {"subject", "property", "value"}:
        return set()
    subjects = connection.execute(
        f"SELECT subject FROM {PROVENANCE_TABLE} WHERE property = 'content_sha256'"
        " AND typeof(subject) = 'text'"
    )
    return {subject for (subject,) in subjects} - {"dataset", PROVENANCE_TABLE}


def find_missing_rules(connection: sqlite3.Connection, contract: Contract) -> list[str]:
    """Return the columns, rules and indexes of *contract* that the database lacks."""
    with closing(create_empty_database(contract)) as model:
        expected = _list_rules(model, contract)
    missing = expected - _list_rules(connection, contract)
    return sorted({name for name, _ in missing})


def _list_rules(connection: sqlite3.Connection, contract: Contract) -> set[tuple[str, str]]:
    """Return the names of what the tables of *contract* have, each with its meaning."""
    found = list_objects(connection)
    rules = {
        (f"index {each.name}", each.sql or "") for each in found if each.kind == "index"
    }
    for table in contract.tables:
        for name, properties in _describe_columns(connection, table.name).items():
            rules.add((f"{table.name}.{name}", repr(properties)))
        references = connection.execute(
            'SELECT "from", "table" FROM pragma_foreign_key_list(?)', (table.name,)
        )
        rules |= {
            (f"the reference of {table.name}.{column}", to) for column, to in references
        }
        sql = next(
            (each.sql for each in found if (each.kind, each.name) == ("table", table.name)),
            "",
        )
        rules |= {(f"CHECK {rule.name}", rule.expression) for rule in read_rules(sql or "")}
    return rules


def create_empty_database(contract: Contract) -> sqlite3.Connection:
    """Return an empty database in memory with the tables and indexes of *contract*."""
    connection = open_connection(":memory:")
    for statement in (*contract.table_statements, *contract.index_statements):
        connection.execute(statement)
    return connection


def list_objects(connection: sqlite3.Connection) -> list[SchemaObject]:
    """Return the objects of the database except those that SQLite itself adds."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE NOT (name LIKE 'sqlite^_%' ESCAPE '^' AND (type = 'table' OR sql IS NULL))"
        " ORDER BY type, name"
    )
    return [SchemaObject(*row) for row in rows]


def find_schema_differences(
    connection: sqlite3.Connection, contract: Contract
) -> list[tuple[str, str]]:
    """Return the objects that differ from those of *contract*, and how."""
    with closing(create_empty_database(contract)) as model:
        expected = {(found.kind, found.name): found for found in list_objects(model)}
    found = {(each.kind, each.name): each for each in list_objects(connection)}
    changed = []
    for name in sorted({*expected, *found}):
        if name not in found:
            changed.append((" ".join(name), "is missing"))
        elif name not in expected:
            changed.append((" ".join(name), "is not in schema.sql"))
        elif found[name] != expected[name]:
            changed.append((" ".join(name), "has other rules"))
    return changed


def is_wal(database: Path) -> bool:
    """Return whether the file *database* is in WAL mode: its log is a separate file."""
    with open(database, "rb") as file:
        # https://www.sqlite.org/fileformat.html: the file format read version.
        return file.read(20)[19:] == b"\2"


def find_temporary_folder() -> str:
    """Return the folder of SQLite's temporary files."""
    if os.name == "nt":
        return tempfile.gettempdir()
    # https://www.sqlite.org/tempfiles.html: the first of these that exists.
    named = [os.environ.get(name, "") for name in ("SQLITE_TMPDIR", "TMPDIR")]
    folders = [*filter(None, named), "/var/tmp", "/usr/tmp", "/tmp"]  # noqa: S108
    usable = (each for each in folders if os.path.isdir(each) and os.access(each, os.W_OK))
    return next(usable, ".")


def needs_more_space(error: Exception) -> bool:
    """Return whether *error* of a reader means that its temporary tables do not fit."""
    # A file larger than the system allows (`ulimit -f`) is an error of writing.
    is_unwritten = getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_WRITE"
    return is_unwritten or "disk is full" in str(error)


def explain_full_folder(error: Exception) -> DataError:
    """Return what to do about *error*, for which `needs_more_space` is true."""
    return DataError(
        f"{find_temporary_folder()}: has no space for the temporary tables of the queries:"
        f" {error}. Free some space, allow larger files, or name another folder in"
        " SQLITE_TMPDIR."
    )


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether *error* means that the file of the database is damaged."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_CORRUPT")


def is_overflow(error: Exception) -> bool:
    """Return whether *error* of SQLite means that a sum overflows 64-bit integers."""
    return "integer overflow" in str(error)


def is_other_file(error: sqlite3.Error) -> bool:
    """Return whether *error* means that the file is not a SQLite database."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_NOTADB")


def describe_damage(error: sqlite3.Error) -> str:
    """Return in one line that a database is damaged; *error* may quote lines of it."""
    return f"is damaged: {' '.join(str(error).split())}"


def _explain_refusal(error: sqlite3.Error, database: Path) -> str | None:
    """Return what is wrong and how to fix it, or None if *error* is a bug in our code."""
    name = getattr(error, "sqlite_errorname", "")
    if is_damage(error):
        return f"{describe_damage(error)}. {MOVE_AND_LOAD_AGAIN}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "is being written by another program. Let it finish, then run again."
    if is_other_file(error):
        return f"is not a SQLite database. {REMEDY}"
    if name == "SQLITE_READONLY_ROLLBACK":
        return (
            "holds an unfinished change of a program that was killed. Open it once with a"
            " program that may write to it, or load the data again: python ingest.py"
            " --ingest"
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and _needs_unwritable_log(
        database
    ):
        return (
            f"cannot be read: {error}. It is in WAL mode, and its log cannot be written in"
            " its folder: allow writing there, or copy the database elsewhere."
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR")):
        return (
            f"cannot be read: {error}. Allow reading it, or name another with --database."
        )
    return None


def _needs_unwritable_log(database: Path) -> bool:
    """Return whether *database* can be read, but not its folder written for the log."""
    try:
        return is_wal(database) and not os.access(database.parent, os.W_OK)
    except OSError:
        return False


def find_inexact_refund(connection: sqlite3.Connection) -> int | None:
    """Return the payment_id of a refund whose share of goods SQLite computes inexactly.

    None if all refunds of valid orders are exact.  A product beyond 2**63 - 1 becomes a
    floating-point number without an error, and so does a share to which a fraction is
    added: beyond 2**53 it loses cents.
    """
    # In a CROSS JOIN payments come first, so that few orders are read, by their key.
    sql = VALID_REFUNDS_SQL.format(
        product="payments.amount_cents * (orders.subtotal_cents - orders.discount_cents)",
        total="orders.total_cents",
        join="CROSS JOIN",
        inexact="TYPEOF(refunds.amount_times_goods) <> 'integer'"
        " OR refunds.amount_times_goods / refunds.total_cents > 1 << 53",
    )
    (payment_id,) = connection.execute(sql).fetchone()
    return None if payment_id is None else int(payment_id)
