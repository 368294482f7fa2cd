"""What a file that is not CSV is, by its first bytes: a workbook, an archive, a page."""

from __future__ import annotations

import codecs
from typing import NamedTuple

# The first bytes of a file, which show its format and its encoding.
HEAD_BYTES = 4096


class Signature(NamedTuple):
    """What a file *is* that begins with one of *starts*, and how to get a CSV file of it.

    Of several formats with the same start, one whose first bytes also contain *mark* is
    meant.
    """

    starts: tuple[bytes, ...]
    mark: bytes
    name: str
    remedy: str


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
