"""A cell: whether it is a canonical value of its column, and what it probably means."""

from __future__ import annotations

import re

from db.loading.money import explain_amount
from db.loading.records import Record
from utils.contract import Column
from utils.months import YEARS, is_outside_years

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1

# An integer of more characters than this has more than 64 bits.
_MOST_DIGITS = 25


def check_cell(column: Column, cell: str) -> tuple[str, str] | None:
    """Return code and expectation if *cell* is not a canonical value of *column*."""
    if cell == "":
        return ("E_MISSING", "a value") if column.is_required else None
    if column.is_event and is_outside_years(cell):
        return "E_RANGE", f"an instant of {YEARS}"
    if column.type != "INTEGER":
        return None
    if not _INTEGER.fullmatch(cell):
        unit = "whole cents" if is_money(column) else "a whole number"
        return "E_INTEGER", f"{unit} such as 4299"
    if not _SMALLEST <= int(cell[:_MOST_DIGITS]) <= _LARGEST:
        return "E_RANGE", "an integer of at most 64 bits"
    return None


def is_money(column: Column) -> bool:
    """Return whether *column* has amounts in the smallest unit of the currency."""
    return column.name.endswith("_cents")


def explain_number(column: Column, cell: str, currency: str | None) -> str:
    """Return what *cell*, no canonical integer of *column*, probably means, or ''.

    *currency* is the one of the amounts, None if it is not known.
    """
    if is_money(column):
        return explain_amount(cell, currency)
    guess = guess_integer(cell)
    return f"perhaps {guess}" if guess else ""


def guess_integer(cell: str) -> str:
    """Return the integer that *cell* probably means in its canonical form, or ''.

    >>> guess_integer(" 012"), guess_integer("1.0"), guess_integer("1,001")
    ('12', '1', '1001')
    """
    text = cell.strip()
    if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3}){1,5}(?:\.0+)?", text):
        text = text.replace(",", "")
    whole = re.fullmatch(r"([+-]?\d{1,18})(?:\.0+)?", text)
    return str(int(whole[1])) if whole else ""


def convert(column: Column, cell: str) -> int | str | None:
    """Return a canonical *cell* as SQLite stores it."""
    if cell == "":
        return None
    return int(cell) if column.type == "INTEGER" else cell


def is_blank(record: Record) -> bool:
    """Return whether *record* is a line of blanks only; a pair of quotes is a cell."""
    return not record.cells or (record.cells[0].isspace() and len(record.cells) == 1)
