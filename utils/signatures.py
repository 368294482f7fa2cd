"""What a file is that is not the CSV file of its table, by its first bytes or its names.

It may be a workbook, an archive, a page, in another encoding, or hold another table.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import NamedTuple

from utils.contract import Table

# The first bytes of a file, which show its format and its encoding.
HEAD_BYTES = 4096

# Byte order marks of other encodings, the longer ones first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

# Bytes in which an encoding without a mark is recognized.
_HEAD_BYTES = 256


class Signature(NamedTuple):
    """What a file *is* that begins with one of *starts*, and how to get a CSV file of it.

    Of several formats with the same start, one whose first bytes also contain *mark* is
    meant.
    """

    starts: tuple[bytes, ...]
    mark: bytes
    name: str
    remedy: str

    def describe(self) -> str:
        """Return what the file is, what was expected, and the next step."""
        return f"the file looks like {self.name}, expected CSV; {self.remedy}"


_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_EXPORT = "export the table as CSV"
_EXPORT_SHEET = "open it and save its sheet as CSV in UTF-8"
_DECOMPRESS = "decompress it"
_GET_TABLE = "get the table itself as CSV"
_REPLACE = "replace it with the CSV file"

# The more special ones first; the starts are those of Unix's `file`.
_SIGNATURES = (
    Signature(_ZIP, b"[Content_Types].xml", "an Excel workbook", _EXPORT_SHEET),
    Signature(_ZIP, b"xl/", "an Excel workbook", _EXPORT_SHEET),
    Signature(_ZIP, b"opendocument", "an OpenDocument spreadsheet", _EXPORT_SHEET),
    Signature(_ZIP, b"", "a ZIP archive", "unpack it"),
    Signature((b"\xd0\xcf\x11\xe0",), b"", "an old Excel workbook (.xls)", _EXPORT_SHEET),
    Signature((b"\x1f\x8b",), b"", "a gzip file", _DECOMPRESS),
    Signature((b"BZh",), b"1AY&SY", "a bzip2 file", _DECOMPRESS),
    Signature((b"\xfd7zXZ\0",), b"", "an xz file", _DECOMPRESS),
    Signature((b"\x28\xb5\x2f\xfd",), b"", "a Zstandard file", _DECOMPRESS),
    Signature((b"7z\xbc\xaf\x27\x1c",), b"", "a 7-Zip archive", "unpack it"),
    Signature((b"Rar!\x1a\x07",), b"", "a RAR archive", "unpack it"),
    Signature((b"PAR1",), b"\x15", "a Parquet file", _EXPORT),
    Signature((b"ARROW1", b"FEA1"), b"\0", "an Arrow file", _EXPORT),
    Signature((b"SQLite format 3\0",), b"", "an SQLite database", _EXPORT),
    Signature((b"%pdf-",), b"", "a PDF document", _GET_TABLE),
    Signature((b"{\\rtf",), b"", "an RTF document", _GET_TABLE),
    Signature((b"\x89PNG", b"\xff\xd8\xff", b"GIF8"), b"", "an image", _GET_TABLE),
    Signature((b"\x7fELF",), b"", "a program", _REPLACE),
    Signature((b"MZ",), b"This program", "a program", _REPLACE),
    Signature(
        (b"<!doctype html", b"<html", b"<head", b"<body", b"<table"),
        b"",
        "an HTML page, perhaps of a sign-in or an error",
        "download the CSV file again",
    ),
    Signature((b"<?xml",), b"", "an XML document", _EXPORT),
    Signature((b"{", b"["), b"", "a JSON document", _EXPORT),
    Signature(
        (b"version https://git-lfs",), b"", "a pointer of Git LFS", "run 'git lfs pull'"
    ),
)


def find_signature(head: bytes) -> Signature | None:
    r"""Return the signature of a file that begins with *head*, or None if it may be CSV.

    A byte order mark, blanks and line ends before a document of text do not matter, nor
    does its case.

    >>> find_signature(b"\x1f\x8b\x08").name, find_signature(b"user_id,email\n")
    ('a gzip file', None)
    """
    text = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for signature in _SIGNATURES:
        is_start = head.startswith(signature.starts) or text.startswith(signature.starts)
        if is_start and signature.mark in head:
            return signature
    return None


def find_other_encoding(head: bytes) -> str | None:
    """Return the encoding of a file that begins with *head*, or None if it is UTF-8.

    >>> find_other_encoding("user_id,email".encode("utf-16-le"))
    'UTF-16'
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    # In text of mostly Western letters every other byte is NUL, or three of four.
    sample = head[:_HEAD_BYTES]
    nul_share = sample.count(0) / len(sample) if sample else 0
    name = "UTF-32" if nul_share > 0.7 else "UTF-16"
    is_likely = nul_share > 0.4 and any(
        _is_text(sample, f"{name}-{order}") for order in ("LE", "BE")
    )
    return name if is_likely else None


def _is_text(sample: bytes, encoding: str) -> bool:
    """Return whether *sample*, which may be cut, is text that begins as a header does."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return text[:1].isascii() and "".join(text.split()).isprintable()


def describe_encoding(encoding: str) -> str:
    """Return that the file is in another *encoding*, what was expected, the next step."""
    return f"the file looks like {encoding}, expected UTF-8; save it as UTF-8"


def describe_foreign_head(head: bytes) -> str | None:
    """Return what a file is that begins with *head*, or None if it may be CSV in UTF-8.

    >>> describe_foreign_head(b"%PDF-1.7")
    'the file looks like a PDF document, expected CSV; get the table itself as CSV'
    """
    signature = find_signature(head)
    if signature is not None:
        return signature.describe()
    encoding = find_other_encoding(head)
    return describe_encoding(encoding) if encoding else None


QUOTED_LINES = (
    "the complete line is in quotes, which makes it one field; remove the quotes around"
    " the lines"
)


def describe_other_table(
    names: Sequence[str], table: Table, tables: Sequence[Table]
) -> str | None:
    """Return which of *tables* a file with the columns *names* contains instead of *table*.

    Return None if none of them has all of its columns there, or *table* has as many there.
    """
    found = {*names}
    complete = [each for each in tables if found.issuperset(each.column_names)]
    best = max([table, *complete], key=lambda each: len(found & {*each.column_names}))
    if best is table:
        return None
    return (
        f"these are the columns of {best.name}.csv; name each file after the table that it"
        " contains"
    )
