"""Tables of Markdown, in which any text is displayed literally."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from utils.formats import NO_FIGURE

# A space at which a browser does not break the line.
NO_BREAK = "\u00a0"

# A longer text is cut in a cell, or in a wide cell.
CELL_CHARACTERS = 60
WIDE_CHARACTERS = 160


class TableColumn(NamedTuple):
    """A column of a Markdown table; texts longer than *width* characters are cut."""

    heading: str
    is_figure: bool = False
    width: int = CELL_CHARACTERS


def render_table(columns: Sequence[TableColumn], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; its cells are escaped, its figures right-aligned."""
    lines = [
        [escape(column.heading) for column in columns],
        ["---:" if column.is_figure else "---" for column in columns],
    ]
    for row in rows:
        cells = zip(row, columns, strict=True)
        lines.append([escape(cell, width=column.width) for cell, column in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# What Markdown would not display as it is.  GitHub turns a bare address into a link, unless
# an escape interrupts it.  Inside a word '_' is not emphasis, and column names stay
# readable without '\\'.
_MARKUP = re.compile(
    r"[\\`*\[\]|~$#!]|\.(?<=[Ww]{3}\.)|:(?=//)|_(?<![0-9A-Za-z]_)|_(?![0-9A-Za-z])"
)

_ENTITY = re.compile(r"&(?=#?\w+;)")


def escape(value: object, *, width: int = WIDE_CHARACTERS) -> str:
    r"""Return *value* as Markdown that displays it literally, on one line, cut to *width*.

    >>> print(escape("a|b <i>`x`\n*y*"))
    a\|b &lt;i&gt;\`x\`\\n\*y\*
    >>> escape("four", width=4), escape("fives", width=4)
    ('four', 'fiv…')
    """
    text = NO_FIGURE if value is None else str(value)
    if len(text) > width:
        text = text[: width - 1] + "…"
    # Control characters, also those that change the writing direction, become escapes.
    if not text.replace(NO_BREAK, " ").isprintable():
        text = "".join(
            letter if letter.isprintable() or letter == NO_BREAK else ascii(letter)[1:-1]
            for letter in text
        )
    # Any other '&' is displayed as it is, here and in a text editor.
    text = _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\g<0>", text)
