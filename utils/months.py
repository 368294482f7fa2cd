"""Months and quarters as texts and as consecutive numbers."""

from __future__ import annotations

import re
from datetime import date

# The years of the days that a manifest states.  A window of more days is a mistake, and its
# tables by month would be too large.
FIRST_YEAR, LAST_YEAR = 1900, 9000
MOST_DAYS = 36_525


def is_month(text: str) -> bool:
    """Return whether *text* is a month, written YYYY-MM.

    >>> is_month("2025-03"), is_month("2025-13"), is_month("2025-3")
    (True, False, False)
    """
    return re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) is not None


def month_number(month: str) -> int:
    """Return the number of months from year 0 to *month*, a text that begins YYYY-MM.

    >>> month_number("2025-03") - month_number("2024-12-31")
    3
    """
    return int(month[:4]) * 12 + int(month[5:7]) - 1


def month_text(number: int) -> str:
    """Return the month with this *number* as YYYY-MM.

    >>> month_text(month_number("2024-12") + 1)
    '2025-01'
    """
    return f"{number // 12:04}-{number % 12 + 1:02}"


def first_day(number: int) -> date:
    """Return the first day of the month with this *number*.

    >>> first_day(month_number("2024-12") + 1)
    datetime.date(2025, 1, 1)
    """
    return date(number // 12, number % 12 + 1, 1)


def quarter_text(month: str) -> str:
    """Return the quarter of *month*, a text that begins YYYY-MM.

    >>> quarter_text("2025-03"), quarter_text("2025-04")
    ('2025-Q1', '2025-Q2')
    """
    return f"{month[:4]}-Q{(int(month[5:7]) + 2) // 3}"


def last_month_number(quarter: str) -> int:
    """Return the number of the last month of *quarter*, written YYYY-Qn.

    >>> month_text(last_month_number("2025-Q1"))
    '2025-03'
    """
    return int(quarter[:4]) * 12 + int(quarter[-1]) * 3 - 1
