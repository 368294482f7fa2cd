"""The last day that the data cover: the stated one, or the day of the last event."""

from __future__ import annotations

import sqlite3

from utils.contract import Contract
from utils.database import EVENTS


def find_last_day(
    connection: sqlite3.Connection, contract: Contract, stated: str | None
) -> str | None:
    """Return the last day that the data cover, YYYY-MM-DD, or None if there is none.

    That is the *stated* day, even if there are later events, or else the day of the last
    event.
    """
    if stated:
        return stated
    columns = {table.name: table.column_names for table in contract.tables}
    latest = ""
    for table, column in EVENTS:
        if column in columns.get(table, ()):
            ((last_at,),) = connection.execute(f"SELECT MAX({column}) FROM {table}")
            latest = max(latest, str(last_at or "")[:10])
    return latest or None
