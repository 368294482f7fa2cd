"""The files that make up a table, and what they hold: hashed, counted, looked over.

A table is one file, or several parts that put together in order are that file.  A part may
bring the header again, as most engines write it, or leave it to the first one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from utils.contract import Contract, Table
from utils.csv_bytes import (
    BUFFER_BYTES,
    HashingReader,
    KeyOrder,
    RejectedInput,
    describe_form,
    max_line_bytes,
)
from utils.digest import render_header
from utils.helpers import DataError, identify_file

# Rows, or bytes, taken at once.
_CHUNK_ROWS = 5000
_BLOCK_BYTES = 1 << 20

# The number of a part and that of all of them, as generate_data.py names them.
_PART = re.compile(r"part-(\d+)-of-(\d+)")
_DIGITS = re.compile(r"(\d+)")

# Hexadecimal digits of a row's MD5 that count for a table's fingerprint: 60 bits.
FINGERPRINT_DIGITS = 15

_BOM = b"\xef\xbb\xbf"


class Part(NamedTuple):
    """A file of a table; *has_header* tells whether its first line names the columns.

    *identity* is what changes when the file does.
    """

    path: Path
    has_header: bool
    identity: tuple[int, ...]


class TableFiles(NamedTuple):
    """The *parts* of *table*; *header* names its columns in the order of the files."""

    table: Table
    header: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Return what the parts are called when they are put together."""
        return f"{self.table.name}.csv"


class Survey(NamedTuple):
    """What the *files* of a table hold, put together as one file.

    *form* says what is not canonical about it, as the loader does.  *content_sha256* is
    the digest of its rows, None if they are not in the order of the key: then the rows
    have to be sorted first.  *fingerprint* adds up the rows' MD5s, if that was asked for.
    """

    files: TableFiles
    sha256: str
    bytes: int
    rows: int
    form: str
    content_sha256: str | None
    has_quotes: bool
    has_returns: bool
    fingerprint: int | None

    @property
    def name(self) -> str:
        """Return what the parts are called when they are put together."""
        return self.files.name


# ---- Which files -------------------------------------------------------------------------


def find_tables(contract: Contract, data_dir: Path) -> list[TableFiles]:
    """Return the files of each table of *contract* in *data_dir*, in its order.

    Raise `DataError` naming what is missing, there twice, or headed by something else.
    """
    if not data_dir.is_dir():
        raise DataError(
            f"{data_dir}: no such folder. Name the folder of the CSV files with --data-dir."
        )
    return [find_table(table, data_dir) for table in contract.tables]


def find_table(table: Table, data_dir: Path) -> TableFiles:
    """Return the files of *table* in *data_dir*; raise what `find_tables` does."""
    name = f"{table.name}.csv"
    whole = data_dir / name
    layouts = {
        name: [whole] if whole.is_file() else [],
        f"{name}/": _list_files(whole),
        f"{table.name}/": _list_files(data_dir / table.name),
        f"{name}.part-K-of-N": sorted(data_dir.glob(f"{name}.part-*-of-*")),
        f"part-K-of-N/{name}": [
            *data_dir.glob(f"part-*-of-*/{name}"),
            *data_dir.glob(f"part-*-of-*/{name}.part-*-of-*"),
        ],
    }
    found = {layout: paths for layout, paths in layouts.items() if paths}
    if not found:
        raise DataError(
            f"{whole}: no such file, nor a folder of its parts. Expected {name}, a folder"
            f" {table.name}/, or {name}.part-K-of-N. Name their folder with --data-dir."
        )
    if len(found) > 1:
        raise DataError(
            f"{data_dir}: holds {table.name} more than once: {', '.join(found)}."
            " Move away what is not meant."
        )
    (paths,) = found.values()
    paths = sorted(paths, key=lambda path: _natural_order(path, data_dir))
    _require_all_parts(paths, data_dir)
    return _read_headers(table, paths)


def _list_files(folder: Path) -> list[Path]:
    """Return the files of *folder*, but those that Hadoop hides: `_SUCCESS`, `.x.crc`."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(("_", "."))
    ]


def _natural_order(path: Path, folder: Path) -> list[tuple[int, int, str]]:
    """Return by what *path* is sorted: part 10 comes after part 9."""
    words = _DIGITS.split(path.relative_to(folder).as_posix())
    return [
        (0, int(word), word) if word.isdigit() else (1, 0, word) for word in words if word
    ]


def _require_all_parts(paths: Sequence[Path], folder: Path) -> None:
    """Raise `DataError` if one of the parts that *paths* count is not there."""
    told = [_PART.findall(path.relative_to(folder).as_posix()) for path in paths]
    numbers = [(int(of_path[-1][0]), int(of_path[-1][1])) for of_path in told if of_path]
    if not numbers:
        return
    totals = sorted({total for _, total in numbers})
    if len(totals) > 1:
        raise DataError(
            f"{paths[0].parent}: holds parts of {' and of '.join(map(str, totals))}."
            " Leave those of one cut."
        )
    there = {number for number, _ in numbers}
    missing = sorted(set(range(1, totals[0] + 1)) - there)
    if missing:
        raise DataError(
            f"{paths[0]}: of {totals[0]} parts number {', '.join(map(str, missing[:5]))}"
            " is missing. Make it with generate_data.py --part K/N."
        )


def _read_headers(table: Table, paths: Sequence[Path]) -> TableFiles:
    """Return *paths* with what their first lines are."""
    header: tuple[str, ...] = ()
    parts = []
    for path in paths:
        first = _read_first_record(path, len(table.columns))
        if sorted(first) == sorted(table.column_names):
            header = header or first
            if first != header:
                raise DataError(
                    f"{path}: has its columns in another order than the parts before it."
                    " Write all parts with the same columns."
                )
            parts.append(Part(path, has_header=True, identity=identify_file(path)))
        elif header:
            parts.append(Part(path, has_header=False, identity=identify_file(path)))
        else:
            raise DataError(
                f"{path}:1: the columns are {', '.join(first)[:200]!r}, expected"
                f" {', '.join(table.column_names)}. Mend the header."
            )
    return TableFiles(table, header, tuple(parts))


def _read_first_record(path: Path, column_count: int) -> tuple[str, ...]:
    """Return the cells of the first line of *path*, none of an empty file."""
    most = min(max_line_bytes(column_count), 1 << 16)
    with open(path, "rb") as file:
        line = file.readline(most).removeprefix(_BOM).rstrip(b"\r\n")
    try:
        return tuple(next(csv.reader([line.decode("utf-8")], strict=True), []))
    except (UnicodeDecodeError, csv.Error):
        return ()


# ---- What they hold ----------------------------------------------------------------------


class _PartsReader(io.RawIOBase):
    """The parts of a table as one raw file: one header, the rows of all."""

    def __init__(self, parts: Sequence[Part]) -> None:
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
                self._last = bytes(buffer[count - 1 : count])
                return count
            self._file.close()
            self._file = None

    def _open_next(self) -> bool:
        part = next(self._parts, None)
        if part is None:
            return False
        if self._last != b"\n":
            raise DataError(
                f"{self._path}: its last line has no end, and other parts follow. Write"
                " each part to the end of a line."
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


def survey_tables(tables: Sequence[TableFiles], *, has_fingerprints: bool) -> list[Survey]:
    """Read the files of *tables* through; return what each holds, in order.

    Raise `DataError` naming the file that is no CSV of UTF-8.
    """
    return [survey_table(files, has_fingerprint=has_fingerprints) for files in tables]


def survey_table(files: TableFiles, *, has_fingerprint: bool) -> Survey:
    """Read *files* through once; raise what `survey_tables` does."""
    content = _Content(files, has_fingerprint=has_fingerprint)
    with closing(_PartsReader(files.parts)) as parts:
        source = HashingReader(parts, max_line_bytes(len(files.header)))
        reader = io.BufferedReader(source, BUFFER_BYTES)
        try:
            _read_rows(reader, content)
        except (csv.Error, UnicodeDecodeError, RejectedInput) as error:
            raise DataError(
                f"{files.parts[0].path}: no CSV of UTF-8 near row {content.rows + 1} of"
                f" {files.name}: {error}. python ingest.py --check names each fault of"
                " files that are put together."
            ) from error
    return _describe(files, source, content)


def _read_rows(reader: IO[bytes], content: _Content) -> None:
    """Hand all rows of *reader* to *content*: as bytes as long as that can be done."""
    rest = reader.readline()
    has_header = True
    if content.takes_lines(rest):
        has_header = False
        rest = b""
        while block := reader.read(_BLOCK_BYTES):
            lines, end, rest = (rest + block).rpartition(b"\n")
            if not content.add_lines(lines + end):
                rest = lines + end + rest
                break
    whole = io.BufferedReader(_Chain(rest, reader), BUFFER_BYTES)
    text = io.TextIOWrapper(whole, encoding="utf-8-sig", newline="\n")
    rows = csv.reader(text, strict=True)
    if has_header:
        next(rows)
    while chunk := list(islice(rows, _CHUNK_ROWS)):
        content.add(chunk)


class _Chain(io.RawIOBase):
    """Some bytes that were read already, then the rest of a file."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        """Return True: this is a reader."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*; return the number of bytes, 0 at the end."""
        data = self._first[: len(buffer)] or self._rest.read(len(buffer))
        self._first = self._first[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Content:
    """The rows of a table, as they go by."""

    def __init__(self, files: TableFiles, *, has_fingerprint: bool) -> None:
        table = files.table
        self.rows = 0
        self.fingerprint = 0 if has_fingerprint else None
        self._order = [files.header.index(name) for name in table.column_names]
        self._is_in_order = list(files.header) == table.column_names
        self._header = render_header(table)
        self._digest = hashlib.sha256(self._header)
        self.order = KeyOrder(table, files.header)

    def takes_lines(self, header: bytes) -> bool:
        """Return whether `add_lines` understands the lines that follow *header*."""
        return self.order.position == 0 and header == self._header

    def add_lines(self, lines: bytes) -> bool:
        """Take in whole *lines* of bytes; return False, and take none, at a quote or CR.

        Without these a line is the canonical one, and its first cell ends at a comma.
        """
        if b'"' in lines or b"\r" in lines:
            return False
        lines.decode("utf-8")
        of_rows = lines.splitlines()
        self.order.follow([line.partition(b",")[0] for line in of_rows])
        self._digest.update(lines)
        self.rows += len(of_rows)
        if self.fingerprint is not None:
            self.fingerprint += sum(map(_fingerprint, of_rows))
        return True

    def add(self, rows: Sequence[list[str]]) -> None:
        """Take in *rows*, the next ones."""
        self.rows += len(rows)
        if (at := self.order.position) is not None:
            self.order.follow(["".join(row[at : at + 1]) for row in rows])
        if not self.order.is_ascending and self.fingerprint is None:
            return
        lines = self._render(rows)
        if self.order.is_ascending:
            self._digest.update("".join(lines).encode())
        if self.fingerprint is not None:
            self.fingerprint += sum(map(fingerprint_line, lines))

    def hexdigest(self) -> str:
        """Return the digest of the rows as a canonical file."""
        return self._digest.hexdigest()

    def _render(self, rows: Sequence[list[str]]) -> list[str]:
        """Return *rows* as canonical lines."""
        width = len(self._order)
        if not self._is_in_order:
            rows = [[row[at] for at in self._order] for row in rows if len(row) == width]
        return [render_line(row) for row in rows]


def render_line(cells: Sequence[str]) -> str:
    r"""Return *cells* as a canonical line of CSV: quotes only where they are needed.

    >>> render_line(["1", "a, b", ""])
    '1,"a, b",\n'
    """
    line = ",".join(cells)
    is_plain = '"' not in line and "\r" not in line and "\n" not in line
    if is_plain and line.count(",") == len(cells) - 1:
        return line + "\n"
    return ",".join(map(_quote, cells)) + "\n"


def _quote(cell: str) -> str:
    if any(character in cell for character in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def fingerprint_line(line: str) -> int:
    """Return the number that *line*, with its end, adds to its table's fingerprint.

    Added up it tells, in any order, whether two readers saw the same rows.
    """
    return _fingerprint(line[:-1].encode())


def _fingerprint(line: bytes) -> int:
    digest = hashlib.md5(line, usedforsecurity=False).hexdigest()
    return int(digest[:FINGERPRINT_DIGITS], 16)


def _describe(files: TableFiles, source: HashingReader, content: _Content) -> Survey:
    """Return what was read of *files*, in the words of the loader."""
    return Survey(
        files=files,
        sha256=source.hexdigest(),
        bytes=source.byte_count,
        rows=content.rows,
        form=describe_form(source, files.table, files.header, content.order),
        content_sha256=content.hexdigest() if content.order.is_ascending else None,
        has_quotes=source.has_quotes,
        has_returns=source.has_returns,
        fingerprint=content.fingerprint,
    )
