"""Texts that differ from others in what nobody sees, or were read in a wrong encoding.

Such a difference divides a customer, a channel or a category into two.  SQL cannot express
it: no function of all engines normalizes a text, and a file that contains the characters
themselves is unreadable.  SQL therefore selects the texts that are not plain ASCII, and
Python decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from utils.contract import Contract, Table

# A text that no one can mistake: empty, or ASCII without a blank at its ends.
PLAIN_TEXT = "([!-~]([ -~]*[!-~])?)?"

_INVISIBLE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\xa0\u1680\u2000-\u200a\u202f\u205f"  # blanks other than the one of the keyboard
    "\xad\u034f\u115f\u1160\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0"  # without width
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # writing direction
    "\ufffd"  # what a wrong encoding left
    # Joiners belong to the spelling between two letters of some scripts, or two emoji.
    "]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)


def list_text_columns(table: Table) -> list[str]:
    """Return the columns of *table* with texts, without timestamps: they have a check."""
    return [
        column.name
        for column in table.columns
        if column.type == "TEXT" and not column.name.endswith("_at")
    ]


def select_unusual_texts(table: Table, is_unusual: Callable[[str], str]) -> str:
    """Return the SELECT of the key and the texts of the rows with a text that is not plain.

    *is_unusual* returns the SQL condition for a column.
    """
    texts = list_text_columns(table)
    keys = [f"{name} AS key_{at}" for at, name in enumerate(table.key)]
    return (
        f"SELECT {', '.join([*keys, *texts])} FROM {table.name}"
        f" WHERE {' OR '.join(f'({is_unusual(name)})' for name in texts)}"
        f" ORDER BY {', '.join(table.key)}"
    )


def is_unusual_in_sqlite(column: str) -> str:
    """Return the SQL condition that the text of *column* is not `PLAIN_TEXT`."""
    # Most texts have no blank, so the first comparison is the only one.
    return (
        f"{column} GLOB '*[^!-~]*' AND"
        f" ({column} GLOB '*[^ -~]*' OR {column} GLOB ' *' OR {column} GLOB '* ')"
    )


def list_checked_tables(contract: Contract) -> list[Table]:
    """Return the tables of *contract* with texts, by name."""
    with_texts = [table for table in contract.tables if list_text_columns(table)]
    return sorted(with_texts, key=lambda table: table.name)


def find_invisible_faults(table: Table, row: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the faults of a *row* that `select_unusual_texts` returned.

    Each fault is the table, key and column of a text, what is invisible, and the text.
    """
    key, texts = row[: len(table.key)], row[len(table.key) :]
    row_id = key[0] if len(key) == 1 else ", ".join(map(str, key))
    for at, text in enumerate(texts):
        # Most texts beside the one that was selected are plain.
        if not isinstance(text, str) or _is_plain(text):
            continue
        if fault := describe_invisible(text):
            column = list_text_columns(table)[at]
            yield [table.name, row_id, column, fault, escape_invisible(text)]


def _is_plain(text: str) -> bool:
    """Return whether *text* is `PLAIN_TEXT`; the pattern takes four times as long."""
    return text.isascii() and text.isprintable() and text == text.strip()


# Few names and cities of many users are different.
@lru_cache(maxsize=4096)
def describe_invisible(text: str) -> str:
    r"""Return what nobody sees in *text*, or '' if all of it is visible.

    >>> describe_invisible("social "), describe_invisible("ann@example.com\u200b")
    ('a blank at an end', 'U+200B zero width space')
    >>> describe_invisible("Malmo\u0308")
    'an accent as a character of its own (not NFC)'
    >>> describe_invisible("Malmö"), describe_invisible("MalmÃ¶")
    ('', 'UTF-8 that was read as Windows-1252')
    """
    if _is_plain(text):
        return ""
    faults = ["a blank at an end"] if text != text.strip() else []
    faults += [
        f"U+{ord(letter):04X} {unicodedata.name(letter, 'control character').lower()}"
        for letter in dict.fromkeys(_INVISIBLE.findall(text))
    ]
    if not unicodedata.is_normalized("NFC", text):
        faults.append("an accent as a character of its own (not NFC)")
    if _was_misread(text):
        faults.append("UTF-8 that was read as Windows-1252")
    return ", ".join(faults)


def _was_misread(text: str) -> bool:
    """Return whether the bytes of *text* in Windows-1252 are a text in UTF-8."""
    try:
        text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return False
    return not text.isascii()


def escape_invisible(text: str) -> str:
    r"""Return *text* in quotes, with escapes for what nobody sees.

    >>> print(escape_invisible("social "), escape_invisible("Malmo\u0308"))
    'social ' 'Malmo\u0308'
    """
    visible = _INVISIBLE.sub(lambda match: ascii(match[0])[1:-1], text)
    if not unicodedata.is_normalized("NFC", text):
        visible = "".join(
            ascii(letter)[1:-1] if unicodedata.combining(letter) else letter
            for letter in visible
        )
    return f"'{visible}'"
