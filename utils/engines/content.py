"""The content of a table's files, read once: hash, bytes, rows, form, digest, fingerprint.

The loader computes the same figures of the files that it loads, except the fingerprint.
Files that an engine reads in another way than the loader, or that both refuse, are refused
here; `content_faults.py` reads them again to name the place.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import IO, Any, NamedTuple

from utils.csv_bytes import (
    BUFFER_BYTES,
    HashingReader,
    KeyOrder,
    RejectedInput,
    describe_form,
    max_line_bytes,
)
from utils.digest import render_header
from utils.engines.content_faults import find_fault
from utils.engines.files import PartFile, TableFiles
from utils.helpers import DataError

# Rows, or bytes, that are read together.
_CHUNK_ROWS = 5000
_BLOCK_BYTES = 1 << 20

# A cell in a canonical line that begins with blanks and a quote: DuckDB drops the blanks.
_BLANK_BEFORE_QUOTE = re.compile(r'(?:^|,)" +""', re.MULTILINE)

_count_commas = methodcaller("count", b",")

# Hexadecimal digits of a row's MD5 that count for a table's fingerprint: 60 bits.
FINGERPRINT_DIGITS = 15


class TableContent(NamedTuple):
    """What the *files* of a table hold, joined in order.

    *form* is `canonical`, or lists the deviations.  *content_sha256* is the digest of the
    rows, or None if they are not in the order of the key and must be sorted first.
    *fingerprint* is the sum of the rows' MD5s, or None if it was not requested.
    """

    files: TableFiles
    sha256: str
    bytes: int
    rows: int
    form: str
    content_sha256: str | None
    has_quotes: bool
    fingerprint: int | None

    @property
    def name(self) -> str:
        """Return the name of the joined parts."""
        return self.files.name


def read_contents(
    tables: Sequence[TableFiles], *, has_fingerprints: bool
) -> list[TableContent]:
    """Return the content of the files of each of *tables*.

    Raise `DataError` naming the file and line of what an engine and the loader do not read
    in the same way.
    """
    return [read_content(files, has_fingerprint=has_fingerprints) for files in tables]


def read_content(files: TableFiles, *, has_fingerprint: bool) -> TableContent:
    """Return the content of *files*; raise what `read_contents` does."""
    rows = _RowCollector(files, has_fingerprint=has_fingerprint)
    with closing(_PartsReader(files.parts)) as parts:
        source = HashingReader(parts, max_line_bytes(len(files.header)))
        reader = io.BufferedReader(source, BUFFER_BYTES)
        try:
            _read_rows(reader, rows)
        except (csv.Error, UnicodeDecodeError, RejectedInput) as error:
            raise find_fault(files) or DataError(
                f"{files.name}: is not CSV in UTF-8: {error}. Write it again."
            ) from error
    has_one_line_end = source.has_uniform_line_ends and len(files.header_ends) < 2
    is_certain = has_one_line_end and not parts.has_odd_quotes
    if not is_certain and (fault := find_fault(files)):
        raise fault
    return TableContent(
        files=files,
        sha256=source.hexdigest(),
        bytes=source.byte_count,
        rows=rows.count,
        form=describe_form(source, files.table, files.header, rows.order),
        content_sha256=rows.hexdigest() if rows.order.is_ascending else None,
        has_quotes=source.has_quotes,
        fingerprint=rows.fingerprint,
    )


def _read_rows(reader: IO[bytes], rows: _RowCollector) -> None:
    """Pass all of *reader* to *rows*: as lines of bytes while possible, then parsed."""
    rest = reader.readline()
    has_header = True
    if rows.accepts_lines_after(rest):
        has_header = False
        rest = b""
        while block := reader.read(_BLOCK_BYTES):
            lines, end, rest = (rest + block).rpartition(b"\n")
            if not rows.add_lines(lines + end):
                rest = lines + end + rest
                break
    unparsed = io.BufferedReader(_PrefixedReader(rest, reader), BUFFER_BYTES)
    # After the header, what looks like a byte order mark belongs to a cell.
    encoding = "utf-8-sig" if has_header else "utf-8"
    text = io.TextIOWrapper(unparsed, encoding=encoding, newline="\n")
    records = csv.reader(text, strict=True)
    if has_header:
        next(records)
    while chunk := list(islice(records, _CHUNK_ROWS)):
        rows.add_records(chunk)


# ---- The joined parts --------------------------------------------------------------------


class _PartsReader(io.RawIOBase):
    """The parts of a table as one raw file: one header, the rows of all parts.

    *has_odd_quotes* becomes True with a part that may end within quotes.
    """

    def __init__(self, parts: Sequence[PartFile]) -> None:
        self.has_odd_quotes = False
        self._quotes = 0
        self._parts = iter(parts)
        self._file: io.BufferedReader | None = None
        self._is_first = True
        self._last = b"\n"
        self._path: Path | None = None

    def readable(self) -> bool:
        """Return True: this is a reader."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*; return the number of bytes, 0 at the end."""
        while True:
            if self._file is None and not self._open_next():
                return 0
            assert self._file is not None  # noqa: S101
            count = self._file.readinto(buffer)
            if count:
                data = bytes(buffer[:count])
                self._quotes += data.count(b'"')
                self._last = data[-1:]
                return count
            self._file.close()
            self._file = None
            self.has_odd_quotes |= self._quotes % 2 == 1
            self._quotes = 0

    def _open_next(self) -> bool:
        part = next(self._parts, None)
        if part is None:
            return False
        if self._last != b"\n":
            raise DataError(
                f"{self._path}: its last line has no line end, and other parts follow."
                " Write each part to the end of a line."
            )
        self._path = part.path
        self._file = open(part.path, "rb")  # noqa: SIM115
        if part.has_header and not self._is_first:
            self._file.readline()
        self._is_first = False
        return True

    def close(self) -> None:
        """Close the part that is open."""
        if self._file is not None:
            self._file.close()
        super().close()


class _PrefixedReader(io.RawIOBase):
    """The bytes *prefix*, then the rest of a file."""

    def __init__(self, prefix: bytes, rest: IO[bytes]) -> None:
        self._prefix = prefix
        self._rest = rest

    def readable(self) -> bool:
        """Return True: this is a reader."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*; return the number of bytes, 0 at the end."""
        data = self._prefix[: len(buffer)] or self._rest.read(len(buffer))
        self._prefix = self._prefix[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


# ---- The rows ----------------------------------------------------------------------------


class _RowCollector:
    """The number, key order, digest and fingerprint of the rows that were added."""

    def __init__(self, files: TableFiles, *, has_fingerprint: bool) -> None:
        table = files.table
        self.count = 0
        self.fingerprint = 0 if has_fingerprint else None
        self.order = KeyOrder(table, files.header)
        self._width = len(files.header)
        self._positions = [files.header.index(name) for name in table.column_names]
        self._is_reordered = list(files.header) != table.column_names
        self._header = render_header(table)
        self._digest = hashlib.sha256(self._header)

    def accepts_lines_after(self, header: bytes) -> bool:
        """Return whether `add_lines` can read the lines that follow *header*."""
        return self.order.position == 0 and header == self._header

    def add_lines(self, lines: bytes) -> bool:
        """Add complete *lines*; return False, and add nothing, if they must be parsed.

        Without quotes and CRs a line is canonical as it is, its cells end at its commas,
        and no cell is longer than its line.
        """
        if b'"' in lines or b"\r" in lines:
            return False
        rows = lines.splitlines()
        commas = set(map(_count_commas, rows))
        if (
            commas - {self._width - 1}
            or max(map(len, rows), default=0) > csv.field_size_limit()
        ):
            return False
        lines.decode("utf-8")
        self.order.follow([row.partition(b",")[0] for row in rows])
        self._digest.update(lines)
        self.count += len(rows)
        if self.fingerprint is not None:
            self.fingerprint += sum(map(_fingerprint, rows))
        return True

    def add_records(self, records: Sequence[list[str]]) -> None:
        """Add *records*, the next rows; raise `RejectedInput` if engines refuse them."""
        if any(width != self._width for width in set(map(len, records))):
            raise RejectedInput("a row with more or fewer cells than the header")
        self.count += len(records)
        if (at := self.order.position) is not None:
            self.order.follow([record[at] for record in records])
        lines = self._render(records)
        text = "".join(lines)
        if ' ""' in text and _BLANK_BEFORE_QUOTE.search(text):
            raise RejectedInput("a blank before a quote")
        if self.order.is_ascending:
            self._digest.update(text.encode())
        if self.fingerprint is not None:
            self.fingerprint += sum(_fingerprint(line[:-1].encode()) for line in lines)

    def hexdigest(self) -> str:
        """Return the SHA-256 of the rows as a canonical file."""
        return self._digest.hexdigest()

    def _render(self, records: Sequence[list[str]]) -> list[str]:
        """Return *records* as canonical lines."""
        if self._is_reordered:
            records = [[record[at] for at in self._positions] for record in records]
        return [render_line(record) for record in records]


def render_line(cells: Sequence[str]) -> str:
    r"""Return *cells* as a canonical line of CSV: quotes only where they are needed.

    >>> render_line(["1", "a, b", ""])
    '1,"a, b",\n'
    """
    line = ",".join(cells)
    is_plain = '"' not in line and "\r" not in line and "\n" not in line
    if is_plain and line.count(",") == len(cells) - 1:
        return line + "\n"
    return ",".join(map(_quote_cell, cells)) + "\n"


def _quote_cell(cell: str) -> str:
    if any(character in cell for character in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _fingerprint(line: bytes) -> int:
    """Return what a row adds to its table's fingerprint; the sum ignores their order."""
    digest = hashlib.md5(line, usedforsecurity=False).hexdigest()
    return int(digest[:FINGERPRINT_DIGITS], 16)
