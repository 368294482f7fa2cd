"""A cell, a column name, a header: what they should be, and what they may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from db.loading.faults import show
from db.loading.records import Record
from utils.contract import Column

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1

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


def judge_cell(column: Column, cell: str) -> tuple[str, str] | None:
    """Return code and expectation if *cell* is not a canonical value of *column*."""
    if cell == "":
        return ("E_MISSING", "a value") if column.is_required else None
    if column.type != "INTEGER":
        return None
    if not _INTEGER.fullmatch(cell):
        is_money = column.name.endswith("_cents")
        unit = "whole cents" if is_money else "a whole number"
        meant = guess_integer(cell, is_money=is_money)
        return "E_INTEGER", f"{unit} such as 4299" + (f"; perhaps {meant}" if meant else "")
    if not _SMALLEST <= int(cell[:25]) <= _LARGEST:
        return "E_RANGE", "an integer of at most 64 bits"
    return None


def guess_integer(cell: str, *, is_money: bool) -> str:
    """Return what *cell* may stand for, as it should be written, or ''.

    >>> guess_integer(" 012", is_money=False), guess_integer("19.99", is_money=True)
    ('12', '1999')
    """
    text = cell.strip()
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return str(int(text))
    if is_money and re.fullmatch(r"-?\d{1,16}\.\d\d", text):
        return str(int(text.replace(".", "")))
    return ""


def convert(column: Column, cell: str) -> int | str | None:
    """Return a sound *cell* as SQLite stores it."""
    if cell == "":
        return None
    return int(cell) if column.type == "INTEGER" else cell


def is_blank(record: Record) -> bool:
    """Return whether *record* is a line with nothing but blanks; two quotes are a cell."""
    return not record.cells or (record.cells[0].isspace() and len(record.cells) == 1)


def find_delimiter(header: Sequence[str]) -> str | None:
    """Return what tells of a delimiter that is no comma, in words, or None."""
    if header[0].lower().startswith("sep="):
        return "the first line tells Excel a separator, remove it"
    if len(header) > 1:
        return None
    found = [
        name
        for character, name in _DELIMITERS.items()
        if len([part for part in header[0].split(character) if part.strip()]) > 1
    ]
    return f"columns look separated by {found[0]}" if found else None


def find_nearest(name: str, missing: Sequence[str]) -> tuple[str | None, bool]:
    """Return the one of the *missing* columns that *name* may mean, and if no other may.

    >>> find_nearest("Total cents", ["total_cents", "subtotal_cents"])
    ('total_cents', True)
    """
    plain = re.sub(r"[\s-]+", "_", name.strip()).lower()
    nearest = difflib.get_close_matches(plain, missing, n=2)
    if not nearest:
        return None, False
    return nearest[0], nearest[0] == plain or len(nearest) == 1


def explain_column(name: str, at: int, nearest: str | None) -> str:
    """Return what is wrong with the column *name*, the one at *at*, in words."""
    if not name.strip():
        return f"column {at} has no name"
    hint = f"; did you mean {nearest}?" if nearest else ""
    return f"column {show(name)} is not expected{hint}"


def find_named_column(rule: str, columns: Sequence[str]) -> str | None:
    """Return the column that begins the name of *rule*, the longest one if several do.

    >>> find_named_column("total_cents_is_right", ["total_cents", "total", "user_id"])
    'total_cents'
    """
    beginnings = [name for name in columns if rule.startswith(f"{name}_")]
    return max(beginnings, key=len, default=None)
