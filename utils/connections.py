"""SQLite connections, whose statements end when a signal ends the run."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from utils.signals import is_signal_received

# Python runs the handler of a signal only between its own instructions, and a statement
# may take hours.  So SQLite calls a function each time that it has executed this number
# of instructions, which takes less than a millisecond.
INSTRUCTIONS_PER_CALL = 10_000


class _Connection(sqlite3.Connection):
    """A connection whose errors are all SQLite's, also about a damaged schema."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute *sql*; raise `sqlite3.DatabaseError` for a message that is not UTF-8.

        Such a message contains text of a damaged file.  Python cannot decode it.
        """
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            message = error.object.decode("utf-8", "backslashreplace")
            damage = sqlite3.DatabaseError(message)
            damage.sqlite_errorname = "SQLITE_CORRUPT"
            raise damage from error


def open_connection(
    database: Path | str, *, uri: bool = False, timeout: float = 5.0
) -> sqlite3.Connection:
    """Return a connection to *database* that begins no transaction by itself.

    If a signal arrives during a statement, SQLite raises an error of its own;
    `raise_on_signals` turns it into `SignalReceived`.
    """
    connection = sqlite3.connect(
        database, uri=uri, timeout=timeout, isolation_level=None, factory=_Connection
    )
    connection.set_progress_handler(is_signal_received, INSTRUCTIONS_PER_CALL)
    return connection
