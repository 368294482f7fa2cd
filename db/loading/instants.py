"""An instant in another form than the contract's: its UTC spelling, or what it lacks."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta

from utils.formats import shorten_value
from utils.months import YEARS, is_outside_years

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL_DATE = re.compile(
    r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d\d)(?P<rest>\D.*)?", re.ASCII
)
_BLANK_BEFORE_OFFSET = re.compile(r" (?=[+-]\d\d:?\d\d$)", re.ASCII)
# The order of year, month and day is the same with any separator.
_YEAR_FIRST = re.compile(r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})(?=[TZtz +-]|$)", re.ASCII)
_UTC_NAME = re.compile(r" ?(?:UTC|GMT|Z)$", re.IGNORECASE | re.ASCII)

# `fromisoformat` takes any character between date and time, also the sign of an offset.
_ISO_INSTANT = re.compile(
    r"\d{4}-?(?:\d\d-?\d\d|W\d\d-?\d)(?:[T ]\d.*)?", re.IGNORECASE | re.ASCII
)
_OFFSET = re.compile(r"Z|UTC|GMT|[+-]\d\d(?::?\d\d)?", re.IGNORECASE | re.ASCII)
_ZONE_NAME = re.compile(r"[A-Z]{2,5}|[A-Z]\w+/[\w/]+", re.ASCII)
_CLOCK = re.compile(
    r"(?P<hour>\d\d?)(?P<rest>:\d\d(?::\d\d)?)(?:[.,]\d+)?"
    r" ?(?P<half>[ap]\.?m\b\.?)? ?(?P<zone>.*)",
    re.IGNORECASE | re.ASCII,
)

# No instant has more.
_MOST_CHARACTERS = 40

# Seconds or milliseconds since 1970, of the years 2001 to 2286.
_UNIX_TIME = re.compile(r"([1-9]\d{9})(?:\.0+|\d{3})?", re.ASCII)

# A spreadsheet counts days from this one; the share of the day follows the separator.
_SPREADSHEET_START = datetime(1899, 12, 30, tzinfo=UTC)
_SPREADSHEET_DAY = re.compile(r"(\d{5})(?:[.,](\d+))?", re.ASCII)

# Such numbers of the years 1970 to 2099; others are more probably something else.
_SPREADSHEET_DAYS = range(25_569, 73_051)


def explain_instant(cell: str) -> str:
    """Return the UTC spelling of *cell*, or what it lacks, or ''.

    >>> explain_instant("2024-01-02 10:00:00+01:00"), explain_instant("2024-01-02T10:00")
    ('perhaps 2024-01-02T09:00:00Z', 'the time zone is missing')
    """
    text = " ".join(cell.split()) if len(cell) <= _MOST_CHARACTERS else ""
    text = _YEAR_FIRST.sub(_join_date, text, count=1)
    unix_time = _UNIX_TIME.fullmatch(text)
    if unix_time:
        if _is_date(text[:8]):
            return "is it a date or seconds since 1970?"
        start = datetime(1970, 1, 1, tzinfo=UTC)
        return _propose(start + timedelta(seconds=int(unix_time[1])))
    instant = _parse(text)
    if instant is None:
        return _explain_spreadsheet_day(text) or _explain_date(text)
    if instant.tzinfo is not None:
        return _propose(instant)
    has_time = len(text) > len("2024-01-02")
    return "the time zone is missing" if has_time else "time and time zone are missing"


def _join_date(date_parts: re.Match[str]) -> str:
    """Return year, month and day in a form of ISO 8601."""
    year, _, month, day = date_parts.groups()
    return f"{year}-{month:0>2}-{day:0>2}"


def _explain_spreadsheet_day(text: str) -> str:
    """Return the date of the day number *text* of a spreadsheet, or ''.

    >>> _explain_spreadsheet_day("45293")
    "it looks like a spreadsheet's day number: 2024-01-02; time and time zone are missing"
    """
    number = _SPREADSHEET_DAY.fullmatch(text)
    if number is None or int(number[1]) not in _SPREADSHEET_DAYS:
        return ""
    minutes = round(float(f"0.{number[2] or 0}") * 24 * 60)
    instant = _SPREADSHEET_START + timedelta(days=int(number[1]), minutes=minutes)
    shown = instant.isoformat(" ", "minutes")[: 16 if number[2] else 10]
    lack = "the time zone is missing" if number[2] else "time and time zone are missing"
    return f"it looks like a spreadsheet's day number: {shown}; {lack}"


def _parse(text: str) -> datetime | None:
    """Return the instant that *text* means in a form of ISO 8601, if it does."""
    if not _ISO_INSTANT.fullmatch(text):
        return None
    # A blank may be before the offset, and UTC may be written as a name.
    text = _UTC_NAME.sub("+00:00", _BLANK_BEFORE_OFFSET.sub("", text))
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    return None


def _is_date(text: str) -> bool:
    """Return whether *text* is a day of the calendar in a form of ISO 8601."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _propose(instant: datetime) -> str:
    """Return *instant* in UTC as the contract writes it, without fractions of a second."""
    try:
        utc = instant.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # before the year 1 or after 9999 in UTC
        return ""
    spelling = utc.isoformat(timespec="seconds") + "Z"
    if is_outside_years(spelling):
        return f"in UTC it is {spelling}, expected an instant of {YEARS}"
    return f"perhaps {spelling}"


def _explain_date(text: str) -> str:
    """Return what is wrong with the date that begins *text*, or ''."""
    iso = _DATE.match(text)
    if iso:
        if not _is_date(iso[0]):
            return f"{iso[0]} is not in the calendar"
        return _explain_time(text[iso.end() :].lstrip("Tt "))
    local = _LOCAL_DATE.fullmatch(text)
    if local is None:
        return ""
    first, second = int(local[1]), int(local[2])
    is_clear = first == second or max(first, second) > 12
    advice = "write YYYY-MM-DD" if is_clear else "which number is the month?"
    return f"{advice}; time and time zone are missing" if not local["rest"] else advice


def _explain_time(text: str) -> str:
    """Return what is wrong with *text*, which follows a date, or ''.

    >>> _explain_time("+01:00"), _explain_time("10:00 CET")
    ('the time of day is missing', "convert it from 'CET' to UTC")
    """
    if not text:
        return "time and time zone are missing"
    if _OFFSET.fullmatch(text):
        return "the time of day is missing"
    clock = _CLOCK.fullmatch(text)
    if clock is None or not _is_time(clock["hour"].zfill(2) + clock["rest"]):
        return f"{shorten_value(text)} is not a time of day"
    advice = []
    if clock["half"]:
        advice.append("write the time of day in 24 hours")
    elif len(clock["hour"]) == 1:
        advice.append("write the hour in two digits")
    zone = clock["zone"]
    if not zone:
        advice.append("the time zone is missing")
    elif _ZONE_NAME.fullmatch(zone) and not _OFFSET.fullmatch(zone):
        advice.append(f"convert it from {shorten_value(zone)} to UTC")
    elif not _OFFSET.fullmatch(zone):
        return f"{shorten_value(zone)} is not a time zone"
    return "; ".join(advice)


def _is_time(text: str) -> bool:
    """Return whether *text* is a time of day in a form of ISO 8601."""
    try:
        time.fromisoformat(text)
    except ValueError:
        return False
    return True
