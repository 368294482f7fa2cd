"""The bytes of a CSV file: hashed while they are read, and described by their form.

The canonical form of a table's file is UTF-8 with LF, the header and the columns in the
order declared, rows in the order of the key, quotes only where a cell needs them.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

from utils.contract import Table

# Bytes that are read, hashed and searched for NUL in one call.
BUFFER_BYTES = 1 << 18

# A character takes at most this many bytes in UTF-8.
_CHARACTER_BYTES = 4


class RejectedInput(Exception):
    """The fast path found something in a file that it does not accept."""


class HashingReader(io.RawIOBase):
    """A raw file that hashes and counts the bytes that are read through it.

    It rejects NUL bytes and a line that is certainly longer than *most_bytes*, which no
    valid row needs.
    """

    def __init__(self, raw: io.RawIOBase, most_bytes: int) -> None:
        self._raw = raw
        self._most_bytes = most_bytes
        self._bytes_of_line = 0
        self._hash = hashlib.sha256()
        self._head = b""
        self._last = b""
        self._line_feeds = 0
        self._returns = 0
        self._pairs = 0
        self.byte_count = 0
        self.has_quotes = False

    def readable(self) -> bool:
        """Return True: this is a reader."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*; return the number of bytes, 0 at the end."""
        count = self._raw.readinto(buffer) or 0
        data = bytes(memoryview(buffer)[:count])
        if b"\0" in data:
            raise RejectedInput("a NUL byte")
        self._hash.update(data)
        if data:
            self._count_characters(data)
        self.byte_count += count
        return count

    def _count_characters(self, data: bytes) -> None:
        """Count the quotes and line ends in the block *data*, the next one of the file."""
        self._head = self._head or data[:3]
        self.has_quotes = self.has_quotes or b'"' in data
        line_feeds = data.count(b"\n")
        self._line_feeds += line_feeds
        self._bytes_of_line = 0 if line_feeds else self._bytes_of_line + len(data)
        if self._bytes_of_line > self._most_bytes:
            raise RejectedInput("a line that is too long")
        if b"\r" in data or self._last == b"\r":
            self._returns += data.count(b"\r")
            self._pairs += data.count(b"\r\n") + (self._last + data[:1] == b"\r\n")
        self._last = data[-1:]

    def hexdigest(self) -> str:
        """Return the SHA-256 of all bytes read so far."""
        return self._hash.hexdigest()

    @property
    def has_uniform_line_ends(self) -> bool:
        """Return whether all lines have the same ending, and no other place has a CR."""
        return self._returns == self._pairs and self._pairs in (0, self._line_feeds)

    def list_deviations(self) -> list[str]:
        """Return in what ways the bytes differ from those of a canonical CSV file."""
        deviations = ["BOM"] if self._head == codecs.BOM_UTF8 else []
        if self._returns:
            deviations.append("CRLF" if self.has_uniform_line_ends else "mixed line ends")
        if self._last not in (b"", b"\n"):
            deviations.append("no line end at the end")
        if self.has_quotes:
            deviations.append("quotes")
        return deviations


class KeyOrder:
    """Whether the rows of a file are in the order of their key, as far as they are read.

    Only a key of one integer column is followed; *position* is the index of that column in
    the *header* of the file, or None.  Rows with another key count as not in order.
    """

    def __init__(self, table: Table, header: Sequence[str]) -> None:
        is_plain = len(table.key) == 1 and table.find_column(table.key[0]).type == "INTEGER"
        self.position = header.index(table.key[0]) if is_plain else None
        self.is_ascending = is_plain
        self._last_key = -(2**63) - 1

    def follow(self, keys: Iterable[str] | Iterable[bytes]) -> None:
        """Compare *keys*, those of the next rows, with the keys before them."""
        if not self.is_ascending:
            return
        try:
            numbers = [self._last_key, *map(int, keys)]
        except ValueError:
            self.is_ascending = False
            return
        self.is_ascending = numbers == sorted(numbers)
        self._last_key = numbers[-1]


def describe_form(
    source: HashingReader, table: Table, header: Sequence[str], order: KeyOrder
) -> str:
    """Return `canonical`, or in what ways the file of *table* differs from that form."""
    deviations = source.list_deviations()
    if list(header) != table.column_names:
        deviations.append("columns in another order")
    if not order.is_ascending:
        deviations.append("rows in another order")
    return ", ".join(["UTF-8", *deviations]) if deviations else "canonical"


def max_line_bytes(columns: int) -> int:
    """Return the most bytes that a line of *columns* valid fields can have."""
    # Each field may have its quotes and its comma; a BOM and CRLF are added to that.
    return columns * (csv.field_size_limit() * _CHARACTER_BYTES + 3) + 5
