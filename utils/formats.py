"""Figures as text, for the terminal and for Markdown: money, shares and counts.

Floats are converted to the decimal that the JSON contains, as on the page: in binary,
110.5 cents are 1.10499… units.  Halves are rounded away from zero.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

# The text in place of a missing figure.
NO_FIGURE = "–"


def format_money(cents: float | None) -> str:
    """Return *cents* as an amount.

    >>> format_money(123456), format_money(-5), format_money(110.5), format_money(None)
    ('1,234.56', '-0.05', '1.11', '–')
    """
    if cents is None:
        return NO_FIGURE
    return f"{_round(Decimal(repr(cents)).scaleb(-2), '0.01'):,}"


def format_percent(share: float | None, *, sign: str = "") -> str:
    """Return *share* of one in percent; *sign* "+" adds the sign of a positive share.

    >>> format_percent(0.1234), format_percent(0.0625), format_percent(None)
    ('12.3%', '6.3%', '–')
    >>> format_percent(0.0898, sign="+"), format_percent(-0.122, sign="+")
    ('+9.0%', '-12.2%')
    """
    if share is None:
        return NO_FIGURE
    return f"{_round(Decimal(repr(share)) * 100, '0.1'):{sign}}%"


def format_whole_percent(share: float | None) -> str:
    """Return *share* of one in whole percent; a positive share below 0.5 % is `<1`.

    >>> format_whole_percent(0.147), format_whole_percent(0.004), format_whole_percent(0.0)
    ('15', '<1', '0')
    """
    if share is None:
        return NO_FIGURE
    return "<1" if 0 < share < 0.005 else str(_round(Decimal(repr(share)) * 100, "1"))


def format_count(count: int | None) -> str:
    """Return *count* with thousands separators.

    >>> format_count(1200), format_count(None)
    ('1,200', '–')
    """
    return NO_FIGURE if count is None else f"{count:,}"


def count_noun(count: int, noun: str, *, space: str = " ") -> str:
    """Return *count* and its *noun*, with *space* between them.

    >>> count_noun(1, "row"), count_noun(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,}{space}{noun}" + ("" if count == 1 else "s")


def _round(number: Decimal, unit: str) -> Decimal:
    return number.quantize(Decimal(unit), rounding=ROUND_HALF_UP)
