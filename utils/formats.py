"""Figures as text, for the terminal and for Markdown; any value as text for a message.

Floats are converted to the decimal that the JSON contains, as on the page: in binary,
110.5 cents are 1.10499… units.  Halves are rounded away from zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain, repeat
from typing import Any

# The text in place of a missing figure.
NO_FIGURE = "–"

# A value in a message is cut to this many characters.
MAX_VALUE_CHARACTERS = 60

# A text in quotes is cut to this many, so that both quotes are there.
QUOTED_CHARACTERS = 40

# The currencies by the number of digits after the decimal point: the column "minor unit" in
# list one of ISO 4217, which its maintenance agency, SIX, publishes.
_CURRENCIES_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN"
    " BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL"
    " GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK"
    " LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO"
    " NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE"
    " SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES"
    " WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DIGITS = {
    code: digits
    for digits, codes in _CURRENCIES_BY_DIGITS.items()
    for code in codes.split()
}


def count_minor_digits(currency: str | None) -> int:
    """Return the digits after the decimal point in an amount of *currency*.

    An unknown currency has two.

    >>> count_minor_digits("EUR"), count_minor_digits("JPY"), count_minor_digits("KWD")
    (2, 0, 3)
    """
    return _DIGITS.get(currency or "", 2)


def is_currency(code: str) -> bool:
    """Return whether *code* is that of a currency in ISO 4217.

    >>> is_currency("EUR"), is_currency("kg")
    (True, False)
    """
    return code in _DIGITS


def format_money(cents: float | None, currency: str | None) -> str:
    """Return *cents*, minor units of *currency*, as an amount without the currency's code.

    >>> format_money(123456, "EUR"), format_money(-5, None), format_money(110.5, None)
    ('1,234.56', '-0.05', '1.11')
    >>> format_money(123456, "JPY"), format_money(123456, "KWD"), format_money(None, "JPY")
    ('123,456', '123.456', '–')
    """
    if cents is None:
        return NO_FIGURE
    unit = Decimal(1).scaleb(-count_minor_digits(currency))
    return f"{_round(Decimal(repr(cents)) * unit, unit):,}"


def format_amount(cents: float | None, currency: str | None, *, space: str = " ") -> str:
    """Return *cents* as an amount, with *space* and the code of *currency* if it is known.

    >>> format_amount(8000, "JPY"), format_amount(8000, None), format_amount(None, "JPY")
    ('8,000 JPY', '80.00', '–')
    """
    text = format_money(cents, currency)
    return text if cents is None or not currency else f"{text}{space}{currency}"


def format_percent(share: float | None, *, sign: str = "") -> str:
    """Return *share* of one in percent; *sign* "+" adds the sign of a positive share.

    >>> format_percent(0.1234), format_percent(0.0625), format_percent(None)
    ('12.3%', '6.3%', '–')
    >>> format_percent(0.0898, sign="+"), format_percent(-0.122, sign="+")
    ('+9.0%', '-12.2%')
    """
    if share is None:
        return NO_FIGURE
    return f"{_round(Decimal(repr(share)) * 100, Decimal('0.1')):{sign}}%"


def format_whole_percent(share: float | None) -> str:
    """Return *share* of one in whole percent; a positive share below 0.5 % is `<1`.

    >>> format_whole_percent(0.147), format_whole_percent(0.004), format_whole_percent(0.0)
    ('15', '<1', '0')
    """
    if share is None:
        return NO_FIGURE
    return (
        "<1" if 0 < share < 0.005 else str(_round(Decimal(repr(share)) * 100, Decimal(1)))
    )


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


def shorten_text(text: str, start: int) -> str:
    """Return *text*; one that is too long begins at *start* and is cut at its end."""
    if len(text) > MAX_VALUE_CHARACTERS and start > 0:
        text = "…" + text[start:]
    if len(text) <= MAX_VALUE_CHARACTERS:
        return text
    return text[: MAX_VALUE_CHARACTERS - 1] + "…"


def quote_value(value: Any) -> str:
    """Return *value* in quotes if it is a text, otherwise as JSON contains it.

    >>> quote_value("foo"), quote_value(True), quote_value(None), quote_value(1.5)
    ("'foo'", 'true', 'null', '1.5')
    """
    if isinstance(value, (str, bytes)):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def shorten_value(value: Any) -> str:
    """Return *value* for a message, with control characters escaped, cut if it is long.

    >>> shorten_value("12.50"), shorten_value("a" * 90), shorten_value([None])
    ("'12.50'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'…", '[null]')
    """
    if not isinstance(value, str):
        return shorten_text(quote_value(value), 0)
    cut = value[:QUOTED_CHARACTERS]
    return repr(cut) + ("…" if len(value) > len(cut) else "")


def _round(number: Decimal, unit: Decimal) -> Decimal:
    return number.quantize(unit, rounding=ROUND_HALF_UP)


def align_columns(rows: Sequence[Sequence[str]], least: Iterable[int] = ()) -> list[str]:
    """Return a line for each of *rows*: the first text to the left, others to the right.

    A column is as wide as its content with two blanks before it, or as *least* states, if
    that is wider; columns beyond *least* have no least width.

    >>> align_columns([["", "size"], ["2024-01", "1,000,000"]], [7, 9])
    ['              size', '2024-01  1,000,000']
    """
    lengths = (max(map(len, column)) for column in zip(*rows, strict=True))
    widths = [
        max(width, length if at == 0 else length + 2)
        for at, (width, length) in enumerate(
            zip(chain(least, repeat(0)), lengths, strict=False)
        )
    ]
    return [
        "".join(
            f"{text:{'>' if at else '<'}{width}}"
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
