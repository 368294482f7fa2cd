"""The header of a CSV file: which column each name means, and what is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from db.loading.cells import is_blank
from db.loading.faults import Fault
from db.loading.messages import FaultMessages
from db.loading.records import Record, RecordReader, UnreadableRecord
from utils.contract import Table

_DELIMITERS = {
    ";": "semicolons",
    "\t": "tabs",
    "|": "bars",
    "^": "carets",
    "=": "equals signs",
    "\x1f": "unit separators",
    ":": "colons",
    " ": "blanks",
}


class Header(NamedTuple):
    """The columns that a header means, in its order, and its *faults*.

    *columns* is empty if the header does not determine which column is which.
    """

    columns: list[str]
    faults: list[Fault]


def read_header(reader: RecordReader, table: Table, messages: FaultMessages) -> Header:
    """Read the header of *table* from *reader*, with the blank lines before it."""
    faults: list[Fault] = []
    try:
        record = next(reader, None)
        if record is not None and is_blank(record):
            faults.append(messages.describe_blank_start())
        while record is not None and is_blank(record):
            record = next(reader, None)
    except UnreadableRecord as error:
        bad_bytes = map(messages.describe_bad_bytes, reader.bad_bytes)
        return Header([], [*bad_bytes, messages.describe_unreadable(error)])
    if record is None:
        return Header([], [messages.describe_empty_file()])
    if reader.bad_bytes:
        return Header([], [*faults, *map(messages.describe_bad_bytes, reader.bad_bytes)])
    delimiter = find_delimiter(record.cells)
    if delimiter is not None:
        return Header([], [*faults, messages.describe_delimiter(record, delimiter)])
    columns, name_faults = match_columns(record, table, messages)
    return Header(columns, [*faults, *name_faults])


def match_columns(
    record: Record, table: Table, messages: FaultMessages
) -> tuple[list[str], list[Fault]]:
    """Return the columns that the names in *record* mean, and the faults of the names.

    There are no columns unless the names mean each column of *table* once.
    """
    expected = table.column_names
    missing = [name for name in expected if name not in record.cells]
    columns = []
    faults = []
    for field, name in enumerate(record.cells, start=1):
        if name not in expected:
            nearest, is_certain = find_nearest(name, missing)
            if nearest is not None:
                missing.remove(nearest)
            columns.append(nearest if nearest is not None and is_certain else name)
            faults.append(messages.describe_unknown_column(record, field, nearest))
        else:
            columns.append(name)
            if name in record.cells[: field - 1]:
                faults.append(messages.describe_repeated_column(record, field))
    if missing:
        faults.append(messages.describe_missing_columns(record, missing, expected))
    return columns if sorted(columns) == sorted(expected) else [], faults


def find_delimiter(header: Sequence[str]) -> str | None:
    """Return what shows that the delimiter of *header* is not a comma, or None."""
    if header[0].lower().startswith("sep="):
        return "the first line sets a separator for Excel, remove it"
    if len(header) > 1:
        return None
    found = _list_delimiters(header[0])
    return next((f"columns look separated by {name}" for name in found), None)


def _list_delimiters(text: str) -> Iterator[str]:
    """Yield the delimiters that divide *text* into two cells or more."""
    for character, name in _DELIMITERS.items():
        if len([part for part in text.split(character) if part.strip()]) > 1:
            yield name


def find_nearest(name: str, missing: Sequence[str]) -> tuple[str | None, bool]:
    """Return the *missing* column that *name* probably means, and whether that is certain.

    It is certain if no other missing column is similar.

    >>> find_nearest("Total cents", ["total_cents", "subtotal_cents"])
    ('total_cents', True)
    """
    plain = re.sub(r"[\s-]+", "_", name.strip()).lower()
    nearest = difflib.get_close_matches(plain, missing, n=2)
    if not nearest:
        return None, False
    return nearest[0], nearest[0] == plain or len(nearest) == 1
