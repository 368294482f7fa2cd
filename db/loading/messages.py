"""The message of each fault code: what is wrong, what was expected, what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from db.loading.cells import explain_number, is_blank
from db.loading.faults import Fault
from db.loading.instants import explain_instant
from db.loading.records import BadBytes, Record, UnreadableRecord
from utils.contract import Column, ForeignKey, Table
from utils.formats import shorten_value
from utils.rules import Rule
from utils.signatures import QUOTED_LINES, Signature, describe_encoding

# Characters besides the comma with which other programs separate columns.
DELIMITERS = {
    ";": "semicolons",
    "\t": "tabs",
    "|": "bars",
    "^": "carets",
    "=": "equals signs",
    "\x1f": "unit separators",
    ":": "colons",
    " ": "blanks",
}


# Names of a header that are listed.
MOST_NAMES = 20

_INTEGER = re.compile(r"-?[0-9]+")


class FaultMessages:
    """Builds the faults of the file of *table*, whose amounts are in *currency* if known.

    `header` names the columns of the file once they are known.
    """

    def __init__(self, table: Table, currency: str | None) -> None:
        self.file = f"{table.name}.csv"
        self.header: Sequence[str] = ()
        self._key = table.key
        self._parents = {key.column: key.parent_table for key in table.foreign_keys}
        self._currency = currency

    def _build(
        self,
        line: int,
        field: int,
        code: str,
        message: str,
        *,
        offset: int | None = None,
        value: str | None = None,
        expected: str | None = None,
        hint: str = "",
    ) -> Fault:
        if hint:
            message += f"; {hint}"
        column = self.header[field - 1] if 0 < field <= len(self.header) else None
        return Fault(self.file, line, field, code, message, column, offset, value, expected)

    # ---- The file and its header ---------------------------------------------------------

    def describe_format(self, signature: Signature) -> Fault:
        """Return the fault that the file is not CSV but what *signature* names."""
        return self._build(
            1,
            0,
            "E_FORMAT",
            signature.describe(),
            offset=0,
            expected="CSV",
        )

    def describe_encoding(self, encoding: str) -> Fault:
        """Return the fault that the file is in another *encoding*."""
        return self._build(
            1,
            0,
            "E_ENCODING",
            describe_encoding(encoding),
            offset=0,
            expected="UTF-8",
        )

    def describe_empty_file(self) -> Fault:
        """Return the fault that the file has no record."""
        return self._build(0, 0, "E_EMPTY", "the file is empty, expected a header")

    def describe_blank_start(self) -> Fault:
        """Return the fault that blank lines come before the header."""
        return self._build(
            1,
            0,
            "E_BLANK_LINE",
            "blank lines come before the header, remove them",
            offset=0,
            expected="the header",
        )

    def describe_delimiter(self, record: Record, finding: str) -> Fault:
        """Return the fault that the header *record* is not separated by commas."""
        return self._build(
            record.line,
            0,
            "E_DELIMITER",
            f"{finding}, expected columns separated by commas",
            offset=record.offset,
            expected="commas",
        )

    def describe_quoted_lines(self, record: Record) -> Fault:
        """Return the fault that the header *record* is in quotes as one field."""
        return self._build(
            record.line,
            0,
            "E_QUOTES",
            QUOTED_LINES,
            offset=record.offset,
            expected="columns separated by commas",
        )

    def describe_other_header(
        self, record: Record, expected: Sequence[str], finding: str
    ) -> Fault:
        """Return the *finding* on *record*, which is not the *expected* header."""
        return self._build(
            record.line,
            0,
            "E_HEADER",
            finding,
            offset=record.offset,
            expected=",".join(expected),
        )

    def describe_foreign_lines(self, record: Record, header_line: int) -> Fault:
        """Return the fault that *record* is before the header, in *header_line*."""
        is_comment = record.cells[0].startswith(("#", "//", "--"))
        return self._build(
            record.line,
            0,
            "E_HEADER",
            f"the header is in line {header_line}; remove the"
            f" {'comment' if is_comment else 'lines'} before it",
            offset=record.offset,
            expected="the header",
        )

    def describe_names(
        self, record: Record, expected: Sequence[str], pairs: Mapping[str, str]
    ) -> Fault:
        """Return the fault that the names of *record* are not the *expected* ones.

        *pairs* are the names that probably mean an expected one.
        """
        names = record.cells
        fields = [at for at, name in enumerate(names, start=1) if name not in expected]
        matched = f"{len({*names} & {*expected})} of {len(expected)} columns match"
        return self._build(
            record.line,
            fields[0] if len(fields) == 1 else 0,
            "E_HEADER",
            "; ".join([matched, *_list_name_faults(names, expected, pairs)]),
            offset=record.offset,
            value=names[fields[0] - 1] if len(fields) == 1 else None,
            expected=",".join(expected),
        )

    # ---- Bytes and records ---------------------------------------------------------------

    def describe_bad_bytes(self, bad: BadBytes) -> Fault:
        """Return the fault of bytes that are not text."""
        is_nul = bad.data.startswith(b"\0")
        message = f"a NUL at byte {bad.offset}, expected text"
        if not is_nul:
            message = (
                f"byte {bad.offset} is {bad.data.hex(' ')}, which is not UTF-8; save the"
                " file as UTF-8"
            )
        if bad.is_last:
            message += "; more such bytes in this row are not listed"
        return self._build(
            bad.line,
            bad.field,
            "E_NUL" if is_nul else "E_ENCODING",
            message,
            offset=bad.offset,
            value=bad.data.hex(" "),
            expected="UTF-8 text",
        )

    def describe_unreadable(self, error: UnreadableRecord) -> Fault:
        """Return the fault of a record that is not CSV."""
        return self._build(
            error.line, error.field, error.code, error.message, offset=error.offset
        )

    def describe_line(self, record: Record) -> Fault | None:
        """Return the fault of the complete line of *record*, if it is no row."""
        if is_blank(record):
            return self._describe_removable(record, "E_BLANK_LINE", "the line is blank")
        if record.cells == list(self.header):
            problem = "the header is repeated, as in joined files"
            return self._describe_removable(record, "E_HEADER", problem)
        if len(record.cells) > 1 and not any(map(str.strip, record.cells)):
            problem = "the line has commas and no value"
            return self._describe_removable(record, "E_BLANK_LINE", problem)
        return None

    def _describe_removable(self, record: Record, code: str, problem: str) -> Fault:
        message = f"{problem}, remove it"
        return self._build(record.line, 0, code, message, offset=record.offset)

    def describe_width(self, record: Record) -> Fault:
        """Return the fault that *record* has another number of fields than the header."""
        fault = self.describe_line(record)
        if fault is not None:
            return fault
        count = len(record.cells)
        noun = "field" if count == 1 else "fields"
        hint = self._explain_single_field(record.cells[0]) if count == 1 else ""
        more = record.cells[len(self.header) :]
        if more and not any(map(str.strip, more)):
            hint = f"remove {_name_last_commas(len(more))} of the line"
        return self._build(
            record.line,
            0,
            "E_FIELDS",
            f"{count} {noun}, expected {len(self.header)} as in the header",
            offset=record.offset,
            expected=str(len(self.header)),
            hint=hint,
        )

    def _explain_single_field(self, cell: str) -> str:
        """Return why a row is the one field *cell*, or ''."""
        if cell == "\x1a":
            return "it is a Ctrl-Z, which old programs write at the end, remove it"
        if cell.count(",") == len(self.header) - 1:
            return "the complete line is in quotes, remove them"
        for delimiter, name in DELIMITERS.items():
            if cell.count(delimiter) == len(self.header) - 1:
                return f"columns look separated by {name}, expected commas"
        return ""

    # ---- Cells and rules -----------------------------------------------------------------

    def describe_cell(
        self, record: Record, field: int, column: Column, code: str, expected: str
    ) -> Fault:
        """Return the fault *code* of the cell in *field* of *record*, which is *column*."""
        cell = record.cells[field - 1]
        return self._build(
            record.line,
            field,
            code,
            f"{column.name} is {shorten_value(cell)}, expected {expected}",
            offset=record.offset,
            value=cell,
            expected=expected,
            hint=self._advise(column, code, cell),
        )

    def _advise(self, column: Column, code: str, cell: str) -> str:
        """Return what to do about the *cell* of *column* with the fault *code*, or ''."""
        parent = self._parents.get(column.name)
        if code == "E_MISSING" and parent is not None:
            return f"add a row to {parent}.csv for all rows without one, or omit them"
        if code != "E_INTEGER":
            return ""
        is_key = parent is not None or column.name in self._key
        if is_key and re.search("[A-Za-z]", cell):
            return "replace each text by a number of its own, the same in all files"
        return explain_number(column, cell, self._currency)

    def describe_broken_rule(self, record: Record, rule: Rule, result: int | None) -> Fault:
        """Return the fault that *record* breaks *rule*; *result* is what a sum must be."""
        column = find_named_column(rule.name, self.header)
        if column is None:
            condition = " ".join(rule.expression.split())
            return self._build(
                record.line,
                0,
                "E_RULE",
                f"the row breaks the rule {rule.name}; expected {condition}",
                offset=record.offset,
                expected=condition,
            )
        field = self.header.index(column) + 1
        cell = record.cells[field - 1]
        expected = rule.describe_expected()
        hint = explain_instant(cell) if rule.is_instant else rule.suggest_value(cell)
        if result is not None and _INTEGER.fullmatch(cell):
            left, right = rule.equation or ("", "")
            if left == column:
                expected, hint = self._describe_result(record, int(cell), right, result)
        return self._build(
            record.line,
            field,
            "E_RULE",
            f"{column} is {shorten_value(cell)}, which breaks the rule {rule.name};"
            f" expected {expected}",
            offset=record.offset,
            value=cell,
            expected=expected,
            hint=hint,
        )

    def _describe_result(
        self, record: Record, value: int, computation: str, result: int
    ) -> tuple[str, str]:
        """Return *result* with the cells it is computed of, and a hint on *value*."""
        cells = {
            name: cell
            for name, cell in zip(self.header, record.cells, strict=True)
            if _INTEGER.fullmatch(cell)
        }
        difference = abs(result - value)
        equal = [
            name
            for name in re.findall(r"\w+", computation)
            if name in cells and abs(int(cells[name])) == difference
        ]
        hint = f"the difference is {' or '.join(equal)}" if equal else ""
        if any(name.startswith("tax") for name in equal):
            hint += ": are prices with tax?"
        shown = re.sub(r"\w+", lambda word: cells.get(word[0], word[0]), computation)
        return f"{result} = {shown}", hint

    def describe_rejection(self, record: Record, reason: str) -> Fault:
        """Return the fault that SQLite rejects *record* for another *reason*."""
        message = f"SQLite rejects the row: {reason}"
        return self._build(record.line, 0, "E_RULE", message, offset=record.offset)

    # ---- Keys and references -------------------------------------------------------------

    def describe_duplicate(
        self,
        line: int,
        column: str | None,
        message: str,
        *,
        offset: int,
        value: str,
    ) -> Fault:
        """Return the fault that the row in *line* repeats a unique value."""
        return self._build(
            line,
            self.header.index(column) + 1 if column else 0,
            "E_DUPLICATE",
            message,
            offset=offset,
            value=value,
            expected="a value not used before",
        )

    def describe_orphan(
        self, line: int, key: ForeignKey, value: int | str, *, offset: int
    ) -> Fault:
        """Return the fault that *value* of *key*, in *line*, refers to no row."""
        shown = value if isinstance(value, int) else shorten_value(value)
        parent = f"{key.parent_table}.csv"
        return self._build(
            line,
            self.header.index(key.column) + 1,
            "E_REFERENCE",
            f"{key.column} {shown} is not in {parent}",
            offset=offset,
            value=str(value),
            expected=f"a {key.parent_column} of {parent}",
        )


def _list_name_faults(
    names: Sequence[str], expected: Sequence[str], pairs: Mapping[str, str]
) -> list[str]:
    """Return what to do about the *names* of a header that should be the *expected* ones.

    *pairs* are the names that probably mean an expected one.
    """
    counts = Counter(name for name in names if name.strip())
    found = {*names, *pairs.values()}
    missing = [name for name in expected if name not in found]
    # A name that is not expected may mean a missing column.
    removal = "rename or remove"
    if not missing:
        removal = "remove, or declare in a schema of your own for --schema,"
    unnamed = [at for at, name in enumerate(names, start=1) if not name.strip()]
    removable = "" if missing else _describe_unnamed(unnamed, len(names))
    lists = {
        "perhaps rename": [
            f"{shorten_value(name)} to {pairs[name]}" for name in counts if name in pairs
        ],
        "add what is missing:": missing,
        "keep one of each repeated name:": [
            shorten_value(name) for name in counts if counts[name] > 1
        ],
        "remove": [removable] if removable else [],
        "name or remove what has no name: field": [
            str(at) for at in unnamed if not removable
        ],
        f"{removal} what is not expected:": [
            shorten_value(name)
            for name in counts
            if name not in expected and name not in pairs
        ],
    }
    return [f"{label} {_join_first(each)}" for label, each in lists.items() if each]


def _describe_unnamed(unnamed: Sequence[int], count: int) -> str:
    """Return the probable cause of the fields *unnamed* of a header of *count*, or ''.

    >>> _describe_unnamed([8], 8), _describe_unnamed([4], 8)
    ('the comma at the end of each line', '')
    """
    if unnamed == [1]:
        return "the first column, perhaps the index of pandas"
    is_end = list(unnamed) == list(range(count + 1 - len(unnamed), count + 1))
    return f"{_name_last_commas(len(unnamed))} of each line" if unnamed and is_end else ""


def _name_last_commas(count: int) -> str:
    """Return the words for the last *count* commas of a line.

    >>> _name_last_commas(1), _name_last_commas(2)
    ('the comma at the end', 'the 2 commas at the end')
    """
    return "the comma at the end" if count == 1 else f"the {count} commas at the end"


def _join_first(names: Sequence[str]) -> str:
    """Return the first of *names*, separated by commas, and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join([*names[:MOST_NAMES], *([f"… and {more:,} more"] if more > 0 else [])])


def find_named_column(rule: str, columns: Sequence[str]) -> str | None:
    """Return the column that begins the name of *rule*, the longest one if several do.

    >>> find_named_column("total_cents_is_right", ["total_cents", "total", "user_id"])
    'total_cents'
    """
    prefixes = [name for name in columns if rule.startswith(f"{name}_")]
    return max(prefixes, key=len, default=None)
