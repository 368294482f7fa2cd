"""The bytes of a CSV file: hashed while they are read, and what is odd about them."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import Any

# Bytes read, hashed and searched for NUL at once.
BUFFER_BYTES = 1 << 18

# A character of UTF-8 has no more.
_CHARACTER_BYTES = 4


class RejectedInput(Exception):
    """A reader met something it does not take."""


class HashingReader(io.RawIOBase):
    """A raw file that hashes and counts the bytes that pass, and refuses some of them.

    Those are NUL and a line of surely more than *most_bytes*, which no row needs.
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
        self._look_at(data)
        self.byte_count += count
        return count

    def _look_at(self, data: bytes) -> None:
        if not data:
            return
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
    def has_returns(self) -> bool:
        """Return whether a CR was among the bytes."""
        return self._returns > 0

    @property
    def has_uniform_line_ends(self) -> bool:
        """Return whether all line breaks are alike, and no CR stands elsewhere."""
        return self._returns == self._pairs and self._pairs in (0, self._line_feeds)

    def list_deviations(self) -> list[str]:
        """Return what about the bytes is not as in a canonical CSV file."""
        oddities = ["BOM"] if self._head == b"\xef\xbb\xbf" else []
        if self._returns:
            oddities.append("CRLF" if self.has_uniform_line_ends else "mixed line ends")
        if self._last not in (b"", b"\n"):
            oddities.append("no line end at the end")
        if self.has_quotes:
            oddities.append("quotes")
        return oddities


def max_line_bytes(columns: int) -> int:
    """Return how many bytes a line can have at most of which *columns* fields are sound."""
    # Each field may have its quotes and its comma; a BOM and CRLF come on top.
    return columns * (csv.field_size_limit() * _CHARACTER_BYTES + 3) + 5
