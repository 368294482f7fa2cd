"""The records of a CSV file with their places, also after a record that is not CSV."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from functools import partial
from typing import IO, NamedTuple

from utils.csv_bytes import max_line_bytes

# A field as the strict `csv` module reads it; `tail` follows the closing quote.
_FIELD = re.compile(
    r'"(?P<quoted>[^"]*(?:""[^"]*)*)(?P<close>"?)(?P<tail>[^,]*)|(?P<plain>[^,]*)'
)

# The same where a line begins within quotes.
_REST = re.compile(r'[^"]*(?:""[^"]*)*(?P<close>"?)[^,]*')

# Bytes that are not UTF-8, as `surrogateescape` decodes them, and NULs.
BAD_CHARACTERS = re.compile("[\udc80-\udcff]+|\0+")

# Places of bad bytes that are listed of one record, and bytes quoted of one place.
MOST_BAD_PLACES = 100
MOST_BAD_BYTES = 8


class Record(NamedTuple):
    """The cells of a record; it begins in *line*, at the byte *offset* of the file."""

    line: int
    offset: int
    cells: list[str]


class BadBytes(NamedTuple):
    """Bytes that are not UTF-8, or NULs; *offset* is in the file, *data* the first of them.

    *field* counts from 1, in the record; *is_last* means that the record has more bad bytes
    that are not listed.
    """

    line: int
    field: int
    offset: int
    data: bytes
    is_last: bool = False


class UnreadableRecord(Exception):
    """A record that is not CSV.

    *cells* are those before the fault; *is_alone* means that no other row is lost with this
    record.
    """

    def __init__(self, line: int, field: int, offset: int, code: str, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.field = field
        self.offset = offset
        self.code = code
        self.message = message
        self.cells: list[str] = []
        self.is_alone = False


class RecordReader(Iterator[Record]):
    """Reads the records of *file*, opened for bytes, that should have *columns* fields.

    Bytes that are not UTF-8 become lone surrogates in the cells; they and NULs are
    listed in `bad_bytes` until the next record is read.  Raise `UnreadableRecord` for a
    record that is not CSV; the next call continues where a row probably begins.
    """

    def __init__(self, file: IO[bytes], columns: int) -> None:
        self._file = file
        self._columns = columns
        self._most_bytes = max_line_bytes(columns)
        self._line = 0
        self._texts: list[str] = []
        self._offsets: list[int] = []
        self._is_cut = False
        self._bad: list[tuple[int, int, int, bytes]] = []
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        self._offset = file.tell()
        self._lines = self._read_lines()
        self._rows = csv.reader(self._lines, strict=True)
        self.bad_bytes: list[BadBytes] = []

    def __next__(self) -> Record:
        """Return the next record."""
        line, offset = self._line + 1, self._offset
        self._texts.clear()
        self._offsets.clear()
        self._is_cut = False
        if self.bad_bytes:
            self.bad_bytes = []
        try:
            cells = next(self._rows)
        except csv.Error as error:
            raise self._resume_after(self._explain_csv_error(line, str(error))) from error
        if self._is_cut:
            raise self._resume_after(
                self._locate(
                    line,
                    0,
                    0,
                    "E_TOO_LONG",
                    f"a line is longer than {self._most_bytes:,} bytes, more than its"
                    " fields may hold",
                )
            )
        # `csv` takes CRs before the end of a line, and one at the end of the file.
        if self._texts[-1].endswith(("\r\r\n", "\r")):
            raise self._resume_after(self._explain_return(line, len(self._texts) - 1))
        if self._bad:
            self._place_bad_bytes()
        return Record(line, offset, cells)

    @property
    def line_end(self) -> str:
        """Return the end of the last record: LF, CRLF or, at the end of the file, ."""
        text = self._texts[-1]
        return "CRLF" if text.endswith("\r\n") else "LF" if text.endswith("\n") else ""

    # ---- The lines -----------------------------------------------------------------------

    def _read_lines(self) -> Iterator[str]:
        """Yield the lines, which end at LF alone; `csv` removes a CR before it.

        Only the beginning of a line that is too long to be valid is kept.
        """
        for raw in iter(partial(self._file.readline, self._most_bytes), b""):
            self._line += 1
            self._offsets.append(self._offset)
            is_cut = len(raw) == self._most_bytes and not raw.endswith(b"\n")
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                # Where it was cut, the rest of a character may be missing.
                text, _ = codecs.utf_8_decode(raw, "surrogateescape", not is_cut)
                self._note_bad_bytes(text)
            else:
                if "\0" in text:
                    self._note_bad_bytes(text)
            self._offset += len(raw)
            if is_cut:
                self._skip_line()
            self._texts.append(text)
            yield text

    def _skip_line(self) -> None:
        """Read on to the end of the line that was cut."""
        self._is_cut = True
        for raw in iter(partial(self._file.readline, self._most_bytes), b""):
            self._offset += len(raw)
            if raw.endswith(b"\n"):
                break

    def _note_bad_bytes(self, text: str) -> None:
        """Record where in the line *text* the first bad bytes are."""
        at = len(self._texts)
        offset, end = self._offset, 0
        for found in BAD_CHARACTERS.finditer(text):
            if len(self._bad) > MOST_BAD_PLACES:
                break
            offset += len(text[end : found.start()].encode("utf-8", "surrogateescape"))
            data = found[0][:MOST_BAD_BYTES].encode("utf-8", "surrogateescape")
            self._bad.append((at, found.start(), offset, data))
            offset, end = offset + len(found[0]), found.end()

    def _place_bad_bytes(self) -> None:
        """List the bad bytes that were recorded, with the fields that contain them."""
        starts = [0]
        for text in self._texts:
            starts.append(starts[-1] + len(text))
        first_line = self._line - len(self._texts) + 1
        fields = enumerate(split_fields("".join(self._texts)), start=1)
        number, field = next(fields)
        for at, position, offset, data in self._bad[:MOST_BAD_PLACES]:
            # The comma after a field belongs to no field, and is never bad.
            while field.end() <= starts[at] + position:
                number, field = next(fields)
            self.bad_bytes.append(BadBytes(first_line + at, number, offset, data))
        if len(self._bad) > MOST_BAD_PLACES:
            self.bad_bytes[-1] = self.bad_bytes[-1]._replace(is_last=True)
        self._bad.clear()

    # ---- What is not CSV -----------------------------------------------------------------

    def _locate(
        self, line: int, at: int, field: int, code: str, message: str
    ) -> UnreadableRecord:
        """Return an error in the line *at*, from 0, of the record that begins in *line*."""
        return UnreadableRecord(line + at, field, self._offsets[at], code, message)

    def _explain_return(self, line: int, at: int) -> UnreadableRecord:
        return self._locate(
            line,
            at,
            0,
            "E_LINE_END",
            "a CR that is not part of a line end, expected LF or CRLF at the end of each"
            " line and no other CR outside quotes",
        )

    def _explain_csv_error(self, line: int, error: str) -> UnreadableRecord:
        """Return why `csv` rejects the record that begins in *line* with *error*."""
        last = len(self._texts) - 1
        if "new-line character" in error:
            return self._explain_return(line, last)
        cells: list[str] = []
        field = None
        for field in split_fields("".join(self._texts)):
            cell = read_field(field)
            is_long = len(cell) > csv.field_size_limit()
            if is_long or not is_valid(field):
                break
            cells.append(cell)
        else:
            raise RuntimeError(f"line {line} cannot be read: {error}")
        at = field.string.count("\n", 0, field.start())
        end_line = line + last if at < last else None
        code, message = explain_field(field, end_line, is_long=is_long)
        fault = self._locate(line, at, len(cells) + 1, code, message)
        fault.cells = cells
        return fault

    def _resume_after(self, fault: UnreadableRecord) -> UnreadableRecord:
        """Return *fault*, after moving to the place where the next record begins."""
        first = self._line - len(self._texts) + 1
        at, is_complete = self._find_next(fault.line - first)
        if self._bad:
            self._place_bad_bytes()
        following = first + at
        if at < len(self._texts):
            # Its lines are read again, and so are the bad bytes in them.
            self._file.seek(self._offsets[at])
            self._offset = self._offsets[at]
            self._line = following - 1
            self.bad_bytes = [bad for bad in self.bad_bytes if bad.line < following]
        self._lines = self._read_lines()
        self._rows = csv.reader(self._lines, strict=True)
        skipped = range(fault.line + 1, following)
        if len(skipped) == 1:
            fault.message += f"; line {skipped[0]} was skipped"
        elif skipped:
            fault.message += f"; lines {skipped[0]} to {skipped[-1]} were skipped"
        fault.is_alone = (is_complete or not skipped) and not (
            self._is_cut or fault.code == "E_LINE_END"
        )
        return fault

    def _find_next(self, fault_at: int) -> tuple[int, bool]:
        """Return in which line of the last record, or after it, a row probably begins.

        That is the first line after the fault that has the fields of a row by itself, or
        else the line after the record, where stray quotes count as text.  More lines are
        read for that; each one ends a field or the search, so they are few.  Also return
        whether the lines before it are one complete row.
        """
        characters = 0
        count, is_within = 1, False
        at = 0
        while True:
            text = self._texts[at]
            if at > fault_at and count_fields(text, is_within=False) == (
                self._columns,
                False,
            ):
                return at, False
            more, is_within = count_fields(text, is_within=is_within)
            count += more - 1
            characters += len(text)
            at += 1
            if at == len(self._texts) and (
                not is_within
                or count > self._columns
                or characters > csv.field_size_limit()
                or next(self._lines, None) is None
            ):
                return at, count == self._columns and not is_within


def split_fields(text: str) -> Iterator[re.Match[str]]:
    r"""Yield the fields of the record *text*, stray quotes taken as text.

    >>> [field[0] for field in split_fields('1,"two, ""and""\nmore",,"open')]
    ['1', '"two, ""and""\nmore"', '', '"open']
    """
    position = 0
    while position <= len(text):
        field = _FIELD.match(text, position)
        assert field is not None  # noqa: S101 - it matches anything
        yield field
        position = field.end() + 1


def read_field(field: re.Match[str]) -> str:
    """Return the cell in *field*, one of `split_fields`."""
    if field["quoted"] is None:
        return field["plain"].rstrip("\r\n")
    return field["quoted"].replace('""', '"')


def is_open(field: re.Match[str]) -> bool:
    """Return whether *field* opens a quote and does not close it."""
    return field["quoted"] is not None and not field["close"]


def is_valid(field: re.Match[str]) -> bool:
    """Return whether *field* has neither an open quote nor text after a closing one."""
    return not is_open(field) and not (field["tail"] or "").rstrip("\r\n")


def explain_field(
    field: re.Match[str], end_line: int | None, *, is_long: bool
) -> tuple[str, str]:
    """Return code and message for *field*, the first one that `csv` rejects.

    *end_line* is the last line of the record if the field begins in another one.
    """
    limit = f"{csv.field_size_limit():,} characters"
    if is_open(field) and (not is_long or end_line is not None):
        within = f" within {limit}" if is_long else ""
        return "E_QUOTES", f"the quote that opens here is never closed{within}"
    if is_long:
        return "E_TOO_LONG", f"a field is longer than {limit}, which is the limit"
    if end_line is None:
        return "E_QUOTES", (
            "text follows a closing quote, expected a comma; a quote within quotes is"
            " written twice"
        )
    return (
        "E_QUOTES",
        f"the quote that opens here is closed only in line {end_line}, where text follows",
    )


def count_fields(text: str, *, is_within: bool) -> tuple[int, bool]:
    r"""Return how many fields the line *text* has, and whether it ends within quotes.

    *is_within* is whether it begins within quotes.

    >>> count_fields('more",3,"fo', is_within=True)
    (3, True)
    """
    count, position = 0, 0
    if is_within:
        rest = _REST.match(text)
        assert rest is not None  # noqa: S101 - it matches anything
        count, position, is_within = 1, rest.end() + 1, not rest["close"]
    for field in split_fields(text[position:]) if position <= len(text) else ():
        count += 1
        is_within = is_open(field)
    return count, is_within
