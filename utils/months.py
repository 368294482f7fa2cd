"""Months and quarters as texts and as consecutive numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

# The years of events and of the last day.  A later year is a typing error, which would add
# a cell per month; the cohort query has steps for 9,999 months, these years have 3,600.
FIRST_YEAR, LAST_YEAR = 1900, 2199
YEARS = f"the years {FIRST_YEAR} to {LAST_YEAR}"

# The days of the longest window that a manifest may state, 100 years.
_MOST_DAYS = 36_525


def is_outside_years(text: str) -> bool:
    """Return whether *text* begins with a year, YYYY-, outside `YEARS`.

    >>> is_outside_years("2950-01-03"), is_outside_years("2025-01-03")
    (True, False)
    """
    is_dated = re.match(r"[0-9]{4}-", text) is not None
    return is_dated and not FIRST_YEAR <= int(text[:4]) <= LAST_YEAR


def has_outside_years(texts: Sequence[str]) -> bool:
    """Return whether one of *texts* begins with a year outside `YEARS`.

    >>> has_outside_years(["2025-01-03", "0000-01-03"]), has_outside_years(["3/1/2025"])
    (True, False)
    """
    # Years of four digits sort as texts, so mostly the first and the last are enough.
    are_within = f"{FIRST_YEAR}-" <= min(texts) and max(texts) < f"{LAST_YEAR + 1}-"
    return not are_within and any(map(is_outside_years, texts))


def find_window_error(start: date, end: date) -> str | None:
    """Return why the days from *start* to *end* are no window, in words; None if they are.

    >>> find_window_error(date(2025, 1, 1), date(2024, 1, 1))
    '2025-01-01 to 2024-01-01, expected an end that is not before the start'
    """
    expected = None
    if end < start:
        expected = "an end that is not before the start"
    elif not FIRST_YEAR <= start.year <= end.year <= LAST_YEAR:
        expected = f"days of {YEARS}"
    elif (end - start).days >= _MOST_DAYS:
        expected = "at most 100 years"
    return expected and f"{start} to {end}, expected {expected}"


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
