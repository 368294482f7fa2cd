"""An instant in another form than the contract's: its UTC spelling, or what it lacks."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from db.loading.faults import quote_value

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LOCAL_DATE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d\d)(?P<rest>\D.*)?")
_BLANK_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")
_ZONE_NAME = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)

# No instant has more.
_MOST_CHARACTERS = 40

# Seconds or milliseconds since 1970, of the years 2001 to 2286.
_UNIX_TIME = re.compile(r"([1-9]\d{9})(?:\.0+|\d{3})?")


def explain_instant(cell: str) -> str:
    """Return the UTC spelling of *cell*, or what it lacks, or ''.

    >>> explain_instant("2024-01-02 10:00:00+01:00"), explain_instant("2024-01-02T10:00")
    ('perhaps 2024-01-02T09:00:00Z', 'the time zone is missing')
    """
    text = cell.strip() if len(cell) <= _MOST_CHARACTERS else ""
    unix_time = _UNIX_TIME.fullmatch(text)
    if unix_time:
        start = datetime(1970, 1, 1, tzinfo=UTC)
        return f"perhaps {_spell(start + timedelta(seconds=int(unix_time[1])))}"
    instant = _parse(text)
    if instant is None:
        return _explain_date(text)
    if instant.tzinfo is not None:
        try:
            return f"perhaps {_spell(instant)}"
        except OverflowError:  # before the year 1 or after 9999 in UTC
            return ""
    has_time = len(text) > len("2024-01-02")
    return "the time zone is missing" if has_time else "time and time zone are missing"


def _parse(text: str) -> datetime | None:
    """Return the instant that *text* means in a form of ISO 8601, if it does."""
    if not text[:1].isdigit():
        return None
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    # A blank may be before the offset, and UTC may be written as a name.
    text = _ZONE_NAME.sub("+00:00", _BLANK_BEFORE_OFFSET.sub("", text))
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    return None


def _spell(instant: datetime) -> str:
    """Return *instant* in UTC as the contract writes it, without fractions of a second."""
    utc = instant.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="seconds") + "Z"


def _explain_date(text: str) -> str:
    """Return what is wrong with the date that begins *text*, or ''."""
    iso = _DATE.match(text)
    if iso:
        try:
            date.fromisoformat(iso[0])
        except ValueError:
            return f"{iso[0]} is not in the calendar"
        return f"{quote_value(text[len(iso[0]) + 1 :])} is not a time of day"
    local = _LOCAL_DATE.fullmatch(text)
    if local is None:
        return ""
    first, second = int(local[1]), int(local[2])
    is_clear = first == second or max(first, second) > 12
    advice = "write YYYY-MM-DD" if is_clear else "which number is the month?"
    return f"{advice}; time and time zone are missing" if not local["rest"] else advice
