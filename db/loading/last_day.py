"""The last day that the data cover: the stated one, or the day of the last event.

A day that one mistyped year has moved decides which cohorts are old enough, so events far
beyond all others give a warning, and so does a stated day far beyond all events.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from db.loading.loader import LoadedFile
from db.loading.records import RecordReader, UnreadableRecord
from utils.contract import MANIFEST_NAME, Contract, Table, list_event_columns
from utils.csv_bytes import RejectedInput
from utils.database import is_date
from utils.formats import shorten_value
from utils.manifest import Manifest
from utils.months import month_number, month_text

# Events are far beyond the others if the month with events before them is more than 13
# months earlier, and they are a single event or at most one event in 20.  A shop that sells
# in one season of the year has no such gap; one that opens again soon has more than one
# event in 20.
FAR_MONTHS = 13
FAR_ONE_IN = 20

# The data of a shop that has closed may end years before the day that its owner states; a
# mistyped decade is ten years.
MISTYPED_MONTHS = 108

# In a generated shop the sign-ups go on to the last day, at the same pace or a growing one.
# Where this number of them is expected, a time without any is no chance (e to the power
# -20).
EXPECTED_SIGN_UPS = 20

# The checks `causality_far_after_other_events` and `causality_stated_day_far_after_events`
# have these figures too.

# Lines that a warning names in each file; the last of more is "…".
_MOST_LINES = 6


class EventGap(NamedTuple):
    """A time without events: *last_day* is before it, *next_day* after it.

    *latest_day* is the day of the last event.
    """

    last_day: str
    next_day: str
    latest_day: str


def find_last_day(
    connection: sqlite3.Connection, contract: Contract, stated: str | None
) -> str | None:
    """Return the last day that the data cover, YYYY-MM-DD, or None if there is none.

    That is the *stated* day, even if there are later events, or else the day of the last
    event.
    """
    if stated:
        return stated
    latest = ""
    for table, column in list_event_columns(contract):
        ((last_at,),) = connection.execute(f"SELECT MAX({column}) FROM {table.name}")
        latest = max(latest, str(last_at or "")[:10])
    return latest or None


def add_far_day(
    connection: sqlite3.Connection,
    contract: Contract,
    loaded: Sequence[LoadedFile],
    manifest: Manifest,
) -> list[LoadedFile]:
    """Return the *loaded* files, with a warning if the last day of *manifest* is far.

    A file that has the last event gets the warning, or a note: a user may state the day of
    a shop that has closed.
    """
    stated, latest = manifest.last_day, find_last_day(connection, contract, None)
    if stated is None or latest is None or not is_date(latest):
        return list(loaded)
    months = month_number(stated) - month_number(latest)
    if months <= FAR_MONTHS:
        return list(loaded)
    is_warning = months > MISTYPED_MONTHS
    if manifest.is_generated:
        is_warning = _expects_sign_ups(connection, contract, stated, months)
        if not is_warning:
            return list(loaded)
    name = next(
        f"{table.name}.csv"
        for table, column in list_event_columns(contract)
        if _count_from(connection, table, column, latest)
    )
    days = (date.fromisoformat(stated) - date.fromisoformat(latest)).days
    sentence = (
        f"{name}: the stated last day, {stated}, is {days:,} days after the last event"
        f" ({latest}); months without events make cohorts old enough for a CLV."
    )
    if is_warning:
        sentence += f" Correct --as-of, or the end of the window in {MANIFEST_NAME}."
    return [
        file.add_sentence(sentence, is_warning=is_warning) if file.name == name else file
        for file in loaded
    ]


def _expects_sign_ups(
    connection: sqlite3.Connection, contract: Contract, stated: str, months: int
) -> bool:
    """Return whether a generated shop has sign-ups in the *months* before *stated*."""
    for table, column in list_event_columns(contract):
        if table.name == "users":
            sql = f"SELECT COUNT(*), MIN({column}) FROM {table.name}"
            ((count, first_at),) = connection.execute(sql)
            if first_at and is_date(first_at[:10]):
                all_months = month_number(stated) - month_number(first_at)
                return bool(count * months >= EXPECTED_SIGN_UPS * all_months)
    return False


def warn_of_far_events(
    connection: sqlite3.Connection,
    contract: Contract,
    data_dir: Path,
    loaded: Sequence[LoadedFile],
    latest: str | None,
) -> list[LoadedFile]:
    """Return the *loaded* files of *data_dir*, with a warning for each with far events.

    *latest* is the day of the last event.
    """
    gap = find_gap(connection, contract, latest)
    if gap is None:
        return list(loaded)
    warnings = {}
    for table, column in list_event_columns(contract):
        path = data_dir / f"{table.name}.csv"
        if _count_from(connection, table, column, gap.next_day):
            warnings[path.name] = _describe_far_events(path, table, column, gap)
    return [
        file.add_sentence(warnings[file.name], is_warning=True)
        if file.name in warnings
        else file
        for file in loaded
    ]


def find_gap(
    connection: sqlite3.Connection, contract: Contract, latest: str | None
) -> EventGap | None:
    """Return the first gap after which all events, up to *latest*, are far beyond."""
    events = list_event_columns(contract)
    if latest is None or not is_date(latest):
        return None
    total = sum(_count_rows(connection, table) for table, _ in events)
    most_far = max(1, total // FAR_ONE_IN)
    # Mostly the last months have so many events that no gap needs to be searched.
    start = month_text(month_number(latest) - FAR_MONTHS)
    recent = sum(_count_from(connection, *event, start) for event in events)
    if recent > most_far:
        return None
    gap = None
    next_day, later = latest, 0
    for first_day, last_day, count in _count_by_month(connection, events):
        if not (is_date(first_day) and is_date(last_day)):
            return None
        if month_number(next_day) - month_number(last_day) > FAR_MONTHS:
            gap = EventGap(last_day, next_day, latest)
        later += count
        if later > most_far:
            break
        next_day = first_day
    return gap


def _count_rows(connection: sqlite3.Connection, table: Table) -> int:
    ((count,),) = connection.execute(f"SELECT COUNT(*) FROM {table.name}")
    return int(count)


def _count_from(connection: sqlite3.Connection, table: Table, column: str, day: str) -> int:
    """Return the number of events in *column* of *table* on *day* or later."""
    sql = f"SELECT COUNT(*) FROM {table.name} WHERE {column} >= ?"
    ((count,),) = connection.execute(sql, (day,))
    return int(count)


def _count_by_month(
    connection: sqlite3.Connection, events: Sequence[tuple[Table, str]]
) -> sqlite3.Cursor:
    """Return first day, last day and number of events of each month, the latest first."""
    days = " UNION ALL ".join(
        f"SELECT SUBSTR({column}, 1, 10) AS day FROM {table.name}"
        f" WHERE {column} IS NOT NULL"
        for table, column in events
    )
    return connection.execute(
        f"SELECT MIN(day), MAX(day), COUNT(*) FROM ({days})"
        " GROUP BY SUBSTR(day, 1, 7) ORDER BY SUBSTR(day, 1, 7) DESC"
    )


def _describe_far_events(path: Path, table: Table, column: str, gap: EventGap) -> str:
    """Return a warning that names the events of the CSV file *path* after *gap*."""
    rows = list(islice(_find_far_rows(path, table, column, gap.next_day), _MOST_LINES))
    if not rows:
        raise RejectedInput("a file that is not the one that was loaded")
    (line, value), *others = rows
    lines = [str(number) for number, _ in others]
    if len(rows) == _MOST_LINES:
        lines[-1] = "…"
    also = f" (also in lines {', '.join(lines)})" if lines else ""
    days = (date.fromisoformat(gap.next_day) - date.fromisoformat(gap.last_day)).days
    return (
        f"{path.name}:{line}: {column} is {shorten_value(value)}{also}. No event is in the"
        f" {days - 1:,} days after {gap.last_day}; without such late events, that would be"
        f" the last day of the data instead of {gap.latest_day}, and fewer cohorts would"
        f" be old enough for a CLV. Correct the rows, or load with --as-of {gap.last_day}."
    )


def _find_far_rows(
    path: Path, table: Table, column: str, day: str
) -> Iterator[tuple[int, str]]:
    """Yield line and value of each event in *column* on *day* or later, in file order."""
    with open(path, "rb") as file:
        reader = RecordReader(file, len(table.columns))
        try:
            header = next(reader).cells
            for record in reader:
                cells = dict(zip(header, record.cells, strict=False))
                if cells.get(column, "") >= day:
                    yield record.line, cells[column]
        except (StopIteration, UnreadableRecord) as error:
            raise RejectedInput("a file that is not the one that was loaded") from error
