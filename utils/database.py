"""Reading a loaded database: opened unchangeable, and what it says of its data."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from utils.contract import PROVENANCE_TABLE, read_contract
from utils.helpers import DataError, hash_file

REMEDY = "Make it with 'python ingest.py --ingest', or name another with --database."

# How long to wait for another program's lock on the database, in seconds.
LOCK_TIMEOUT = 5.0

# Subject → property → value: all of `submission_meta`.
Provenance = Mapping[str, Mapping[str, str]]


@contextmanager
def open_database(database: Path) -> Iterator[sqlite3.Connection]:
    """Open *database* read-only, as one unchanging picture for the whole block.

    Raise `DataError` if it is missing, locked, damaged or without one of the contract's
    columns, and if another file takes its place before the block ends.
    """
    before = _identify(database)
    try:
        with closing(_connect_read_only(database)) as connection:
            connection.execute("BEGIN")
            _require_columns(connection, database)
            yield connection
    except sqlite3.DatabaseError as error:
        reason = _explain_refusal(error)
        if reason is None:
            raise
        raise DataError(f"{database}: {reason}") from error
    if _identify(database) != before:
        raise DataError(f"{database}: was replaced meanwhile. Run the command again.")


def describe_file(database: Path) -> dict[str, Any]:
    """Return what names the file *database* in the results: its SHA-256 and its bytes."""
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
    """Return the last day that the data speak for, or None when there is no data."""
    as_of = provenance.get("dataset", {}).get("as_of")
    if as_of and not is_date(as_of):
        raise DataError(
            f"{PROVENANCE_TABLE}: dataset as_of is {as_of!r}, expected a day as YYYY-MM-DD."
            " Load the data again with 'python ingest.py --ingest'."
        )
    return as_of or None


def find_currency(provenance: Provenance) -> str | None:
    """Return the ISO 4217 code of the amounts, or None if the manifest tells none."""
    code = provenance.get("generator", {}).get("currency", "")
    return code if re.fullmatch(r"[A-Z]{3}", code) else None


def is_date(text: str) -> bool:
    """Return whether *text* is a day of the calendar, written YYYY-MM-DD.

    >>> is_date("2024-02-29"), is_date("2023-02-29"), is_date("20240229")
    (True, False, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _identify(database: Path) -> tuple[int, ...]:
    """Return what changes when the file at *database* does."""
    if not database.is_file():
        kind = "is a folder" if database.is_dir() else "no such file"
        raise DataError(f"{database}: {kind}. {REMEDY}")
    status = database.stat()
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def _connect_read_only(database: Path) -> sqlite3.Connection:
    """Return a connection that cannot change *database*, nor make it by a mistyped path."""
    connection = sqlite3.connect(
        read_only_uri(database), uri=True, isolation_level=None, timeout=LOCK_TIMEOUT
    )
    # A query may not make other files, nor read them.
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    # A text that is not UTF-8 is a finding of the report, not the end of it.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def read_only_uri(database: Path) -> str:
    """Return the URI that opens *database* read-only, whatever characters its path has.

    `Path.as_uri` is not used: SQLite refuses the host that it writes for a Windows share.

    >>> read_only_uri(Path("50% off?.db")).endswith("/50%25%20off%3F.db?mode=ro")
    True
    """
    path = Path(os.path.abspath(database)).as_posix()
    root = "" if path.startswith("/") else "/"
    return f"file://{root}{quote(os.fsencode(path), safe='/:')}?mode=ro"


def _require_columns(connection: sqlite3.Connection, database: Path) -> None:
    """Raise `DataError` naming the tables and columns of the contract that are missing."""
    expected = {table.name: table.column_names for table in read_contract().tables}
    expected[PROVENANCE_TABLE] = ["subject", "property", "value"]
    missing = []
    for table, columns in expected.items():
        names = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        found = {name for (name,) in names}
        absent = [f"{table}.{column}" for column in columns if column not in found]
        missing += absent if found else [table]
    if missing:
        raise DataError(f"{database}: has no {', '.join(missing)}. {REMEDY}")


def _explain_refusal(error: sqlite3.Error) -> str | None:
    """Return what the user can do about *error*, or None if it is a fault of ours."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "is being written by another program. Let it finish, then run again."
    if name.startswith("SQLITE_NOTADB"):
        return f"is not a SQLite database. {REMEDY}"
    if name == "SQLITE_READONLY_ROLLBACK":
        return (
            "holds the half of a change whose program died. Open it once with a program"
            " that may write to it, or load the data again: python ingest.py --ingest"
        )
    if name.startswith("SQLITE_CORRUPT"):
        return f"is damaged: {error}. {REMEDY}"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR")):
        return f"cannot be read: {error}. {REMEDY}"
    return None


def find_inexact_refund(connection: sqlite3.Connection) -> int | None:
    """Return the payment_id of a refund whose share of goods SQLite cannot reckon exactly.

    None if every one of a valid order can be.  A product beyond 2**63 - 1 becomes a
    floating-point number without a word, and so does a share to which a fraction is added:
    past 2**53 it loses cents.
    """
    # Payments come first in a CROSS JOIN, so that few orders are looked up, by their key.
    row = connection.execute(
        """
        WITH refunds AS (
            SELECT
                payments.payment_id,
                payments.amount_cents * (orders.subtotal_cents - orders.discount_cents)
                AS amount_times_goods,
                orders.total_cents
            FROM payments
            CROSS JOIN orders
                ON payments.order_id = orders.order_id
            WHERE
                payments.kind = 'refund'
                AND payments.status = 'succeeded'
                AND orders.total_cents > 0
                AND orders.status IN (
                    'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
                )
        )

        SELECT MIN(refunds.payment_id)
        FROM refunds
        WHERE
            TYPEOF(refunds.amount_times_goods) <> 'integer'
            OR refunds.amount_times_goods / refunds.total_cents > 1 << 53
        """
    ).fetchone()
    return None if row[0] is None else int(row[0])
