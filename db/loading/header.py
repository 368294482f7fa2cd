"""The header of a CSV file: which column each name means, and what is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from db.loading.cells import is_blank
from db.loading.faults import Fault
from db.loading.messages import DELIMITERS, FaultMessages
from db.loading.records import Record, RecordReader, UnreadableRecord
from utils.contract import Table
from utils.signatures import describe_other_table

# Lines before the header, such as a title, among which it is searched.
_MOST_FOREIGN_LINES = 20

# Names of a header that are compared with columns, and the ratio of `difflib` from which
# two are a probable pair.
_MOST_NAMES = 100
_LEAST_RATIO = 0.5


class Header(NamedTuple):
    """The columns that a header means, in its order, and its *faults*.

    *columns* is empty if the header does not determine which column is which.
    """

    columns: list[str]
    faults: list[Fault]


def read_header(
    reader: RecordReader, table: Table, tables: Sequence[Table], messages: FaultMessages
) -> Header:
    """Read the header of *table* from *reader*, with the lines before it.

    A header of another one of *tables* is named as that.
    """
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
    fault = check_form(record, table, tables, messages)
    if fault is not None:
        return Header([], [*faults, fault])
    columns, fault = match_columns(record, table, messages)
    if not columns and not any(name in table.column_names for name in record.cells):
        later = _find_later_header(reader, table)
        if later is not None:
            faults.append(messages.describe_foreign_lines(record, later.line))
            columns, fault = match_columns(later, table, messages)
    return Header(columns, [*faults, *([fault] if fault else [])])


def check_form(
    record: Record, table: Table, tables: Sequence[Table], messages: FaultMessages
) -> Fault | None:
    """Return the fault that the first *record* shows of the complete file, if any."""
    cells = record.cells
    if cells[0].lower().startswith("sep="):
        finding = "the first line sets a separator for Excel, remove it"
        return messages.describe_delimiter(record, finding)
    if len(cells) == 1 and "," in cells[0] and _are_names(cells[0].split(","), table):
        return messages.describe_quoted_lines(record)
    delimiter = find_delimiter(cells, table)
    if delimiter is not None:
        return messages.describe_delimiter(record, f"columns look separated by {delimiter}")
    if _is_row(cells, table):
        names = table.column_names
        finding = f"the first line is a row, expected the header {','.join(names)}"
        return messages.describe_other_header(record, names, finding)
    other = describe_other_table([*map(normalize_name, cells)], table, tables)
    if other is not None:
        return messages.describe_other_header(record, table.column_names, other)
    return None


def _is_row(cells: Sequence[str], table: Table) -> bool:
    """Return whether *cells* have a number in each column of integers, and no name."""
    if len(cells) != len(table.columns):
        return False
    numbers = [
        cell
        for column, cell in zip(table.columns, cells, strict=True)
        if column.type == "INTEGER"
    ]
    return bool(numbers) and all(re.fullmatch(r"\W*\d[\d\W]*", each) for each in numbers)


def _find_later_header(reader: RecordReader, table: Table) -> Record | None:
    """Return the first record of the next lines that has every name of *table*, if any."""
    try:
        return next(
            (
                record
                for record in islice(reader, _MOST_FOREIGN_LINES)
                if not reader.bad_bytes and {*table.column_names} <= {*record.cells}
            ),
            None,
        )
    except UnreadableRecord:
        return None


# ---- Names -------------------------------------------------------------------------------


def match_columns(
    record: Record, table: Table, messages: FaultMessages
) -> tuple[list[str], Fault | None]:
    """Return the columns that the names in *record* mean, and the fault of the names.

    There are no columns unless the names mean each column of *table* once.
    """
    expected = table.column_names
    unknown = [name for name in record.cells if name not in expected]
    missing = [name for name in expected if name not in record.cells]
    if sorted(record.cells) == sorted(expected):
        return record.cells, None
    pairs = pair_names(unknown, missing)
    fault = messages.describe_names(record, expected, pairs)
    columns = [
        pairs[name] if name in pairs and is_certain(name, missing) else name
        for name in record.cells
    ]
    return columns if sorted(columns) == sorted(expected) else [], fault


def pair_names(unknown: Sequence[str], missing: Sequence[str]) -> dict[str, str]:
    """Return the *missing* column that each of the *unknown* names probably means.

    The most similar pairs come first; a name or a column is in one pair at most.

    >>> pair_names(["Total", "Sub-Total", "note"], ["total_cents", "subtotal_cents"])
    {'Sub-Total': 'subtotal_cents', 'Total': 'total_cents'}
    """
    ratios = [
        (-difflib.SequenceMatcher(None, normalize_name(name), column).ratio(), name, column)
        for name in unknown[:_MOST_NAMES]
        for column in missing
    ]
    pairs: dict[str, str] = {}
    for ratio, name, column in sorted(ratios):
        is_free = name not in pairs and column not in pairs.values()
        if -ratio >= _LEAST_RATIO and is_free:
            pairs[name] = column
    return pairs


def is_certain(name: str, missing: Sequence[str]) -> bool:
    """Return whether *name* means one of the *missing* columns and no other is similar.

    >>> is_certain("Total cents", ["total_cents", "subtotal_cents"])
    True
    """
    plain = normalize_name(name)
    return plain in missing or len(difflib.get_close_matches(plain, missing, n=2)) == 1


def normalize_name(name: str) -> str:
    """Return *name* in the form of a column's name.

    >>> normalize_name(' "Order ID" ')
    'order_id'
    """
    return re.sub(r"[\s-]+", "_", name.strip("\"' \t")).lower()


# ---- Delimiters --------------------------------------------------------------------------


def find_delimiter(cells: Sequence[str], table: Table) -> str | None:
    """Return the delimiter that divides the only one of *cells* into names of *table*.

    >>> from utils.contract import read_contract
    >>> orders = read_contract().tables[2]
    >>> [find_delimiter(["order_id;status", *more], orders) for more in ([], [""])]
    ['semicolons', None]
    """
    if len(cells) > 1:
        return None
    for delimiter, name in _iterate_delimiters(cells[0]):
        if _are_names(cells[0].split(delimiter), table):
            return name
    return None


def _iterate_delimiters(text: str) -> Iterator[tuple[str, str]]:
    """Yield the delimiters in *text* and their names."""
    return ((each, name) for each, name in DELIMITERS.items() if each in text)


def _are_names(pieces: Sequence[str], table: Table) -> bool:
    """Return whether *pieces* are names of *table*: two of them, or similar to half."""
    count = len(table.columns)
    if _count_columns(pieces, table) >= min(2, count):
        return True
    return len(pair_names(pieces, table.column_names)) >= max(3, count / 2)


def _count_columns(names: Sequence[str], table: Table) -> int:
    """Return how many of *names* are columns of *table*."""
    return len({*map(normalize_name, names)} & {*table.column_names})
