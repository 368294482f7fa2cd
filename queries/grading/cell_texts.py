"""The texts in somebody's table as numbers, months and ages."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from utils.months import is_month, is_outside_years, quarter_text

# No figure is longer; a longer text is not one.
_MOST_CHARACTERS = 40

_NULLS = {"", "null", "nan", "none", "na", "n/a", "#n/a", "<na>", "nat", "-", "–", "\\n"}
_FLAGS = {"true": "1", "yes": "1", "false": "0", "no": "0"}

# Around the digits: signs of currencies, codes, percent, and the apostrophe that keeps a
# spreadsheet from reading a formula.
_DECORATION = re.compile(r"^'|[$€£¥₹\s\u00a0\u202f]|\b[A-Z]{3}\b")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?|[0-9]*\.[0-9]+)(?:e[+-]?[0-9]{1,2})?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:[,'][0-9]{3})+(?:\.[0-9]*)?")

_MONTHS = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_NAMED_MONTH = re.compile(
    r"(?:[0-9]{1,2}[ .-])?([a-z]{3})[a-z]*[ .,/'-]+([0-9]{4}|[0-9]{2})"
)
_YEAR_FIRST = re.compile(
    r"([0-9]{4})[-/. ]?m?(0[1-9]|1[0-2]|[1-9](?![0-9]))(?:[-/.]?[0-9]{1,2})?"
    r"(?:[t ][0-9:.+-]*z?)?"
)
_YEAR_LAST = re.compile(r"(?:([0-9]{1,2})([/.]))?([0-9]{1,2})[-/.]([0-9]{4})")
_QUARTER = re.compile(r"([0-9]{4})[- ]?q([1-4])|q([1-4])[- /]?([0-9]{4})")
_AGE = re.compile(r"(?:months?|m|period|p|\+)?[ _+-]?([0-9]{1,4})(?:\.0+)?", re.IGNORECASE)


class Number(NamedTuple):
    """A number with the count of its decimals."""

    value: int | float
    decimals: int


def is_null(text: str) -> bool:
    """Return whether *text* means that there is no value.

    >>> is_null("NULL"), is_null(""), is_null("0")
    (True, True, False)
    """
    return text.strip().lower() in _NULLS


@lru_cache(maxsize=1 << 16)
def read_number(text: str) -> Number | None:
    """Return the number in *text*, or None if it is not one.

    >>> read_number("1,234.50"), read_number("$ 12").value, read_number("(3.5)").value
    (Number(value=1234.5, decimals=2), 12, -3.5)
    >>> read_number("1.234,50").value, read_number("12,5 %").value, read_number("=1+1")
    (1234.5, 12.5, None)
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    text = _FLAGS.get(text.strip().lower(), text).replace("\u2212", "-")
    text = _DECORATION.sub("", text)
    text = text.removesuffix("%")
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1]}"
    text = _write_point(text).lower()
    if not _NUMBER.fullmatch(text):
        return None
    value = int(text) if text.lstrip("+-").isdigit() else float(text)
    decimals = 0 if "e" in text else len(text.partition(".")[2])
    if "e" in text:
        decimals = 16
    return Number(int(value) if value == int(value) else value, decimals)


def _write_point(text: str) -> str:
    """Return *text* with a point before its decimals, and without separators of thousands.

    >>> [_write_point(text) for text in ("1,234", "12,5", "1.234.567,8", "1'000.5")]
    ['1234', '12.5', '1234567.8', '1000.5']
    """
    if _GROUPED.fullmatch(text):
        return re.sub("[,']", "", text)
    if text.count(",") == 1 and text.rfind(",") > text.rfind("."):
        return text.replace(".", "").replace(",", ".")
    return text


@lru_cache(maxsize=1 << 14)
def read_month(text: str) -> str | None:
    """Return the month in *text* as YYYY-MM, or None if it has none.

    >>> [read_month(text) for text in ("2025-03-01", "Mar 2025", "03/2025", "202503")]
    ['2025-03', '2025-03', '2025-03', '2025-03']
    >>> read_month("March"), read_month("1.3.2025"), read_month("2025-13")
    (None, '2025-03', None)
    """
    text = text.strip().lower().removeprefix("'")
    if len(text) > _MOST_CHARACTERS:
        return None
    if found := _YEAR_FIRST.fullmatch(text):
        year, month = found[1], int(found[2])
    elif found := _YEAR_LAST.fullmatch(text):
        year, month = found[4], _choose_month(found[1], found[2], found[3])
    elif (found := _NAMED_MONTH.fullmatch(text)) and found[1] in _MONTHS:
        year, month = found[2], _MONTHS.index(found[1]) + 1
    else:
        return None
    year = f"20{year}" if len(year) == 2 else year
    name = f"{year}-{month:02}"
    return None if is_outside_years(name) or not is_month(name) else name


def _choose_month(first: str | None, mark: str | None, second: str) -> int:
    """Return the month of 1/3 or 3/1: the other number is a day, mostly the first.

    >>> _choose_month("1", "/", "3"), _choose_month("3", "/", "1")
    (3, 3)
    """
    is_american = mark == "/" and first is not None and int(second) == 1
    return int(first or 0) if is_american and 1 < int(first or 0) <= 12 else int(second)


def read_quarter(text: str) -> str | None:
    """Return the quarter in *text* as YYYY-Qn: its name, or a month of it.

    >>> read_quarter("2025Q1"), read_quarter("Q4 2025"), read_quarter("2025-03")
    ('2025-Q1', '2025-Q4', '2025-Q1')
    """
    found = _QUARTER.fullmatch(text.strip().lower())
    if found:
        return f"{found[1] or found[4]}-Q{found[2] or found[3]}"
    month = read_month(text)
    return quarter_text(month) if month else None


def read_age(text: str) -> int | None:
    """Return the number of months in *text*, or None if it has none.

    >>> [read_age(text) for text in ("3", "M3", "month_3", "3.0", "2025-03", "")]
    [3, 3, 3, 3, None, None]
    """
    found = _AGE.fullmatch(text.strip())
    return int(found[1]) if found and int(found[1]) < 1900 else None
