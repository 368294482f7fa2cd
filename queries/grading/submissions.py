"""Read a submission: a table in a file of somebody else, of which nothing is trusted."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from utils.formats import shorten_value
from utils.helpers import DataError, parse_json, read_regular_file

# A cohort table of a hundred years has 720,600 cells; nobody hands that in.
MOST_BYTES = 16 << 20
MOST_COLUMNS = 1_000
MOST_ROWS = 200_000
MOST_VALUES = 2_000_000

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

# The lines of a file that show which delimiter it has.
_SHOWN_LINES = 50


class Submission(NamedTuple):
    """A table as texts; *form* describes the file, for the one who grades it."""

    headers: list[str]
    rows: list[list[str]]
    form: str


def read_submission(path: Path, *, by_segment: bool) -> Submission:
    """Return the table in the file *path*, with segments if *by_segment* and it has some.

    Raise `DataError` if the file is not one, or exceeds the bounds.
    """
    try:
        data = read_regular_file(path, MOST_BYTES)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be graded: {error.strerror or error}. Expected a CSV or JSON"
            f" file of at most {MOST_BYTES >> 20} MiB."
        ) from error
    text = _decode(data, path)
    if not text.strip():
        raise DataError(f"{path}: is empty. Expected a table with a header.")
    is_json = text.lstrip()[0] in "{["
    table = _read_json(text, path, by_segment) if is_json else _read_csv(text, path)
    return _clean(table, path)


def _decode(data: bytes, path: Path) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            # Spreadsheets on Windows save CSV in this code page.
            text = data.decode("cp1252", "replace")
    if "\0" in text:
        raise DataError(f"{path}: is not text. Expected a CSV or JSON file.")
    return text


def _clean(table: Submission, path: Path) -> Submission:
    """Return *table* without empty rows, and without empty columns that have no name."""
    rows = [row for row in table.rows if any(row)]
    if not rows:
        raise DataError(f"{path}: has no row below its header. Expected a table.")
    used = [
        at
        for at, header in enumerate(table.headers)
        if header or any(row[at] for row in rows)
    ]
    headers = [table.headers[at] for at in used]
    if twice := [name for name, count in Counter(headers).items() if count > 1]:
        raise DataError(
            f"{path}: has {shorten_value(twice[0])} as the name of two columns. Rename one."
        )
    return Submission(headers, [[row[at] for at in used] for row in rows], table.form)


# ---- CSV ---------------------------------------------------------------------------------


def _read_csv(text: str, path: Path) -> Submission:
    stated = re.match(r"sep=([,;|\t])\r?\n", text)  # as Excel writes it
    text = text[stated.end() :] if stated else text
    delimiter = stated[1] if stated else guess_delimiter(text)
    if delimiter is None:
        raise DataError(
            f"{path}: has no delimiter that gives each line the same number of fields, two"
            " or more. Expected commas, semicolons, tabs or bars."
        )
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        headers = [header.strip() for header in next(lines)]
        _require_count(len(headers), MOST_COLUMNS, "columns", path)
        rows = []
        for row in lines:
            rows.append(_fit_row(row, len(headers), f"{path}:{lines.line_num}"))
            _require_count(len(rows), MOST_ROWS, "rows", path)
    except csv.Error as error:
        raise DataError(f"{path}:{lines.line_num}: is not CSV: {error}.") from error
    return Submission(headers, rows, f"CSV, {_DELIMITERS[delimiter]}")


def guess_delimiter(text: str) -> str | None:
    r"""Return the delimiter of the CSV *text*, or None if none gives equal lines.

    Of several the one with the most fields is returned.

    >>> guess_delimiter("cohort;net\n2025-01;1,5\n"), guess_delimiter("cohort net\n1 2\n")
    (';', None)
    """
    counts = {}
    for delimiter in _DELIMITERS:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            lengths = {len(row) for row in islice(lines, _SHOWN_LINES) if row}
        except csv.Error:
            continue
        if len(lengths) == 1 and (length := lengths.pop()) > 1:
            counts[delimiter] = length
    return max(counts, key=lambda one: counts[one], default=None)


def _fit_row(row: Sequence[str], length: int, place: str) -> list[str]:
    cells = [cell.strip() for cell in row]
    if any(cells[length:]):
        raise DataError(f"{place}: has {len(cells)} fields, the header {length}.")
    return cells[:length] + [""] * (length - len(cells))


def _require_count(count: int, most: int, what: str, path: Path) -> None:
    if count > most:
        raise DataError(f"{path}: has more than {most:,} {what}. Expected a cohort table.")


# ---- JSON --------------------------------------------------------------------------------


def _read_json(text: str, path: Path, by_segment: bool) -> Submission:
    try:
        document = parse_json(text)
    except ValueError as error:
        raise DataError(f"{path}: is not valid JSON: {error}.") from error
    records = list(_list_records(document, path, by_segment))
    _require_count(len(records), MOST_ROWS, "rows", path)
    headers = list(dict.fromkeys(name for record in records for name in record))
    _require_count(len(headers), MOST_COLUMNS, "columns", path)
    _require_count(len(headers) * len(records), MOST_VALUES, "values", path)
    rows = [
        [_write_value(record.get(name), path) for name in headers] for record in records
    ]
    return Submission([header.strip() for header in headers], rows, "JSON")


def _list_records(
    document: Any, path: Path, by_segment: bool
) -> Iterable[Mapping[str, Any]]:
    """Return the records of a list, or the cells of a query_result.json."""
    records = document
    if isinstance(document, dict):
        records = document.get("cells")
        segments = document.get("segments")
        if by_segment and isinstance(segments, list):
            records = [
                {"segment": part.get("segment")} | cell
                for part in segments
                if isinstance(part, dict) and isinstance(part.get("cells"), list)
                for cell in part["cells"]
                if isinstance(cell, dict)
            ]
    is_table = isinstance(records, list) and all(isinstance(one, dict) for one in records)
    if not is_table or not records:
        raise DataError(
            f"{path}: holds no table. Expected a list of objects, or an object with such a"
            " list under cells, as in query_result.json."
        )
    rows: list[dict[str, Any]] = records
    return rows


def _write_value(value: Any, path: Path) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value.strip()
    raise DataError(
        f"{path}: holds {shorten_value(value)} in a record. Expected texts and numbers."
    )
