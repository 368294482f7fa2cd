"""The records of a CSV file with their places, and what keeps a record from being read."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from typing import IO, NamedTuple

# Marks of other encodings, the longer ones first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

# Bytes in which an encoding without a mark shows itself.
_HEAD_BYTES = 256


class Record(NamedTuple):
    """A record's cells; *line* is where it begins, *offset* the byte in the file."""

    line: int
    offset: int
    cells: list[str]


class BadByte(NamedTuple):
    """Bytes that are not UTF-8, or a NUL; *offset* is in the file."""

    line: int
    offset: int
    data: bytes


class Unreadable(Exception):
    """A record that is not CSV.  *is_end* tells that nothing after it can be read."""

    def __init__(
        self, line: int, field: int, offset: int, code: str, message: str, *, is_end: bool
    ) -> None:
        super().__init__(message)
        self.line = line
        self.field = field
        self.offset = offset
        self.code = code
        self.message = message
        self.is_end = is_end


def find_other_encoding(head: bytes) -> str | None:
    """Return the encoding that *head*, the beginning of a file, shows, if not UTF-8.

    >>> find_other_encoding("user_id,email".encode("utf-16-le"))
    'UTF-16'
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    # In text of mostly Western letters every other byte is NUL, or three of four.
    sample = head[:_HEAD_BYTES]
    nul_share = sample.count(0) / len(sample) if sample else 0
    if nul_share > 0.7:
        return "UTF-32"
    return "UTF-16" if nul_share > 0.4 else None


class RecordReader(Iterator[Record]):
    """Reads the records of *file*, opened for bytes, line by line.

    Bytes that are not UTF-8 become lone surrogates in the cells; they and NULs are
    listed in `bad_bytes` until the next record is read.  Raise `Unreadable` for a record
    that is not CSV; the next call goes on behind it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._line = 0
        self._offset = 0
        self._texts: list[str] = []
        self._rows = csv.reader(self._read_lines(), strict=True)
        self.bad_bytes: list[BadByte] = []

    def __next__(self) -> Record:
        """Return the next record."""
        line, offset = self._line + 1, self._offset
        self._texts.clear()
        if self.bad_bytes:
            self.bad_bytes = []
        try:
            return Record(line, offset, next(self._rows))
        except csv.Error as error:
            raise self._explain(line, offset, str(error)) from error

    def _read_lines(self) -> Iterator[str]:
        """Yield the lines, which end at LF alone; `csv` knows a CR before it."""
        mark = self._file.read(len(codecs.BOM_UTF8))
        if mark == codecs.BOM_UTF8:
            self._offset = len(mark)
        else:
            self._file.seek(0)
        for raw in self._file:
            self._line += 1
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                self._note_bad(error.start, raw[error.start : error.end])
                text = raw.decode("utf-8", "surrogateescape")
            if "\0" in text:
                self._note_bad(raw.index(0), b"\0")
            self._offset += len(raw)
            self._texts.append(text)
            yield text

    def _note_bad(self, position: int, data: bytes) -> None:
        self.bad_bytes.append(BadByte(self._line, self._offset + position, data))

    def _explain(self, line: int, offset: int, error: str) -> Unreadable:
        if "new-line character" in error:
            return Unreadable(
                line, 0, offset, "E_LINE_END",
                "a CR that ends no line, expected LF or CRLF at a line's end and no CR"
                " elsewhere outside quotes",
                is_end=False,
            )  # fmt: skip
        at = find_quote(self._texts)
        limit = f"{csv.field_size_limit():,}"
        if "field larger" in error and not (at.is_open and len(self._texts) > 1):
            cells = self._texts[-1].split(",")
            lengths = [len(cell) > csv.field_size_limit() for cell in cells]
            field = lengths.index(True) + 1 if any(lengths) else at.field
            return Unreadable(
                line, field, offset, "E_TOO_LONG",
                f"a field is longer than {limit} characters, which is the limit",
                is_end=at.is_open,
            )  # fmt: skip
        if "field larger" in error or "unexpected end" in error:
            within = f" within {limit} characters" if "field larger" in error else ""
            return Unreadable(
                line + at.line, at.field, offset, "E_QUOTES",
                f"the quote that opens here is never closed{within}; nothing after it was"
                " read",
                is_end=True,
            )  # fmt: skip
        return Unreadable(
            line + at.line, at.field, offset, "E_QUOTES",
            "text follows a closing quote, expected a comma; a quote within quotes is"
            " written twice",
            is_end=False,
        )  # fmt: skip


class Quote(NamedTuple):
    """Where the last quoted field of a record begins; *line* counts from 0."""

    line: int
    field: int
    is_open: bool


def find_quote(texts: list[str]) -> Quote:
    r"""Return the field of the lines *texts* where reading stopped.

    >>> find_quote(['1,"two\n', 'lines",3,"open\n'])
    Quote(line=1, field=4, is_open=True)
    """
    field = 1
    opened = Quote(0, 1, is_open=True)
    is_open = is_closed = False
    at_start = True
    for line, text in enumerate(texts):
        for character in text:
            if is_open:
                is_open, is_closed = character != '"', character == '"'
            elif character == '"' and (at_start or is_closed):
                # Right behind a closing one it stands for a quote within quotes.
                opened = Quote(line, field, is_open=True) if at_start else opened
                is_open = True
            elif character == ",":
                field += 1
            elif is_closed and character not in "\r\n":
                return Quote(line, field, is_open=False)
            at_start = not is_open and character == ","
            is_closed = is_closed and not is_open and character == '"'
    return opened if is_open else Quote(0, field, is_open=False)
