"""An amount that is not written in whole cents: what it means, if it has one reading."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from utils.formats import count_minor_digits, is_currency

# An amount: perhaps with a currency before or after it, a sign before or after it, or the
# brackets of accounts.  A number ends with a digit; it may begin with its separator.
_AMOUNT = re.compile(
    r"(?P<open>\(?)(?P<before>[^\d\s.,()+-]{0,3})\s*(?P<sign>[+-]?)\s*"
    r"(?P<number>[.,]?\d(?:[\d.,'\s]*\d)?)\s*(?P<minus>-?)\s*"
    r"(?P<after>[^\d\s.,()+-]{0,3})(?P<close>\)?)"
)
_SIGN_FIRST = re.compile(r"([+-])\s*([^\d\s.,()+-]{1,3})\s*")

# The currency of a symbol that no other one has, and symbols of letters that several have.
_SYMBOLS = {
    "€": "EUR",
    "₩": "KRW",
    "₫": "VND",
    "₹": "INR",
    "₺": "TRY",
    "₽": "RUB",
    "₴": "UAH",
    "₪": "ILS",
    "zł": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
    "R$": "BRL",
    "US$": "USD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "A$": "AUD",
}
_SHARED_SYMBOLS = {"kr", "Kr", "Fr", "Rs"}

# Thousands in groups, then perhaps decimals after another separator.  India has groups of
# two digits before the last three.
_GROUPED = re.compile(
    r"[1-9]\d{0,2}([.,'\s])\d{3}(?:\1\d{3})*(?:(?!\1)[.,]\d{1,3})?"
    r"|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d{1,3})?"
)
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:\.\d+)?e[+-]?\d+", re.IGNORECASE)

# A longer decimal, such as 15.299999999999999, is the text of a binary number if it is
# this near to whole cents.
_NOISE = Decimal("0.000001")

# An amount of 64 bits has no more digits.
_MOST_CHARACTERS, _MOST_DIGITS = 40, 18


def explain_amount(cell: str, currency: str | None) -> str:
    """Return what *cell* means in cents, the question that decides, or ''.

    A cent is the smallest unit of the *currency*, if it is known, or else of the one that
    the cell names.

    >>> [explain_amount(cell, None) for cell in ("€12.50", "1.250,5", "abc")]
    ['perhaps 1250', 'perhaps 125050', '']
    >>> explain_amount("12.500", None), explain_amount("12.500", "JPY")
    ('is the point a decimal point or a thousands separator?', 'perhaps 12500')
    >>> explain_amount("1250.0", None)
    'is it 1250 or 125000 cents?'
    """
    text = _normalize(cell) if len(cell) <= _MOST_CHARACTERS else ""
    if _SCIENTIFIC.fullmatch(text):
        return "write it without an exponent"
    found = _AMOUNT.fullmatch(text)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return ""
    marks = [mark for mark in (found["before"], found["after"]) if mark]
    codes = {_find_currency(mark) for mark in marks}
    named = next(filter(None, codes), None)
    if None in codes or codes - {"", named}:
        return ""
    if named and currency and named != currency:
        return f"it is in {named}, not in {currency}: convert it, or correct the currency"
    if found["minus"] and (found["sign"] or found["open"]):
        return ""
    minus = "-" if "-" in (found["sign"], found["minus"]) or found["open"] else ""
    digits = count_minor_digits(named or currency)
    return _explain_number(found["number"], minus, digits, has_unit=bool(marks))


def _find_currency(mark: str) -> str | None:
    """Return the code of the currency *mark*, '' if several have it, or None.

    >>> [_find_currency(mark) for mark in ("USD", "€", "$", "kg")]
    ['USD', 'EUR', '', None]
    """
    if is_currency(mark):
        return mark
    is_sign = len(mark) == 1 and unicodedata.category(mark) == "Sc"
    is_shared = is_sign or mark in _SHARED_SYMBOLS
    return _SYMBOLS.get(mark, "" if is_shared else None)


def _normalize(cell: str) -> str:
    """Return *cell* with plain blanks and signs, the sign after the currency."""
    text = unicodedata.normalize("NFKC", cell).strip()
    text = text.replace("\u2212", "-").replace("\u2019", "'")
    return _SIGN_FIRST.sub(r"\2\1", text, count=1) if text[:1] in "+-" else text


def _explain_number(number: str, minus: str, digits: int, *, has_unit: bool) -> str:
    """Return what the positive *number* means in cents; *minus* is put before it.

    A unit has 10 to the power of *digits* cents.  *has_unit* means that a currency is
    named, so that a whole number may be in units.
    """
    if _GROUPED.fullmatch(number):
        separators = re.findall(r"[.,'\s]", number)
        if digits and separators in (["."], [","]):
            name = "point" if separators == ["."] else "comma"
            return f"is the {name} a decimal {name} or a thousands separator?"
        has_decimals = separators[0] != separators[-1]
        end = number.rindex(separators[-1]) if has_decimals else len(number)
        number = re.sub(r"[.,'\s]", "", number[:end]) + number[end:]
    is_long = sum(map(str.isdigit, number)) > _MOST_DIGITS
    if is_long or not re.fullmatch(r"\d*(?:[.,]?\d+)", number):
        return ""
    amount = Decimal(number.replace(",", "."))
    exact = amount.scaleb(digits)
    cents = round(exact)
    if number.isdigit() and not has_unit:
        return f"perhaps {minus if amount else ''}{int(number)}"
    is_whole = number.isdigit() or re.fullmatch(r"\d+[.,]0", number)
    if is_whole and cents != amount:
        return f"is it {minus}{int(amount)} or {minus}{cents} cents?"
    if abs(exact - cents) <= _NOISE:
        return f"perhaps {minus if amount else ''}{cents}"
    return "it has a fraction of a cent"
