"""Reading any CSV file: each row is stored as it is, or named with its fault."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import sqlite3
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from db.loading.faults import Fault, Faults
from db.loading.loader import create_tables, load_table, open_new
from db.loading.records import Record, RecordReader, UnreadableRecord
from tests.fault_case import Edit, FaultCase, diagnose, put, swap_bytes
from tests.support import CORPORA_DIR, IN_CI, ShopCase, skip
from utils.contract import read_contract


class ChangedByte(FaultCase):
    """A changed byte is rejected at its line, or stored as it is."""

    def test_changed_byte_is_rejected_at_its_line_or_stored_as_it_is(self) -> None:
        chance = random.Random(11)  # noqa: S311
        contract = read_contract()
        refused = 0
        rounds = 600 if IN_CI else 12
        for _ in range(rounds):
            self.write_all()
            table = chance.choice(contract.tables)
            path = self.folder / f"{table.name}.csv"
            data = bytearray(path.read_bytes())
            at = chance.randrange(len(data))
            data[at] = chance.choice([0, 10, 13, 32, 34, 44, 45, 48, 57, 65, 200, 255])
            path.write_bytes(data)
            with self.subTest(table=table.name, at=at, byte=data[at]):
                found = self.find()
                refused += bool(found)
                result = self.ingest()
                self.assertEqual(result.status, int(bool(found)), result.stderr)
                self.assertNotIn("Traceback", result.stderr)
                if found:
                    self.require_place(found.first, path.name, bytes(data[:at]))
                else:
                    self.require_rows(table.name, path)
        self.assertGreater(refused, rounds // 2)

    def require_place(self, faults: list[Fault], file: str, before: bytes) -> None:
        """Fail unless one of *faults* leads to the line of *file* after the bytes *before*.

        A row with another key is valid; then its children are orphans.
        """
        line = before.count(b"\n") + 1
        leads = [
            fault.line in (line, line + 1) or f"in line {line}," in fault.message
            for fault in faults
            if fault.file == file
        ]
        if not any(leads):
            self.assertNotIn(b",", before.rpartition(b"\n")[2], faults)
            self.assertEqual({fault.code for fault in faults}, {"E_REFERENCE"})

    def require_rows(self, name: str, path: Path) -> None:
        """Fail unless the table *name* has the rows of *path*, as `csv` reads them."""
        header, *rows = csv.reader(io.StringIO(path.read_text("utf-8"), newline=""))
        stored = self.query(f"SELECT {', '.join(header)} FROM {name}")
        self.assertEqual(sorted([list(map(str, row)) for row in stored]), sorted(rows))


# Texts that people, spreadsheets and attackers put into cells.
ODD_CELLS = [
    *("", " ", "-1", "1.0", "1,001", "12.50", "€12,50", "12.500", "(1)", "1e400", "NaN"),
    *("9" * 5000, "x" * 200, "²", "٣٫٥", "１２", "½", "é", "\u00a0", "\u202e", "%s", "--"),
    *("2024-01-02", "2024-01-02 10:00:00+25:00", "9999-12-31T23:59:59-01:00", "31.12.24"),
    *("0000-00-00", "1704189600", "Germany", "de", "e481f5", ";", "\t", "#", "'", '"'),
    *("\n", "\r", "\0", "\x1a", "\udcff", ",", ",,,,,,,,"),
]


class OddCells(FaultCase):
    """An odd cell is named or stored, and the two paths of the loader agree on which."""

    def test_odd_cells_are_named_or_stored(self) -> None:
        chance = random.Random(17)  # noqa: S311
        refused = 0
        rounds = 1_000 if IN_CI else 15
        for number in range(rounds):
            self.write_all()
            for _ in range(chance.choice((1, 2, 5))):
                table = chance.choice(read_contract().tables)
                self.edit(table.name, put_odd_cell(chance))
            with self.subTest(number):
                found = self.find()
                refused += bool(found)
                result = self.ingest()
                self.assertEqual(result.status, int(bool(found)), result.stderr)
                self.assertNotIn("Traceback", result.stderr)
                if found:
                    self.assertIn(f"{found.total} fault", result.stderr)
        self.assertGreater(refused, rounds // 2)


def put_odd_cell(chance: random.Random) -> Edit:
    """Return the edit that writes one of `ODD_CELLS` over a random cell, without quotes."""

    def edit(data: bytes) -> bytes:
        cells = re.split(rb"([,\n])", data)
        text = chance.choice(ODD_CELLS).encode("utf-8", "surrogateescape")
        cells[2 * chance.randrange(len(cells) // 2)] = text
        return b"".join(cells)

    return edit


class BadBytes(FaultCase):
    """Each place with bytes that are no text is named, with line, field and byte."""

    def place(self) -> list[tuple[int, int, str, int | None]]:
        """Return line, field, code and byte of each fault."""
        return [
            (fault.line, fault.field, fault.code, fault.offset)
            for fault in self.find().first
        ]

    def test_bad_bytes_of_one_line_are_listed_one_by_one(self) -> None:
        header = b"user_id,email,full_name,country_code,city,acquisition_channel,"
        row = b"1,a@b,\xc4\xe4 K\xf6hl,SE,Lee\0\0ds,\xff,2024-01-01T00:00:00Z\n"
        data = header + b"signed_up_at\n" + row
        (self.folder / "users.csv").write_bytes(data)
        self.edit("orders", lambda data: data.splitlines()[0])
        self.edit("order_items", lambda data: data.splitlines()[0])
        self.edit("payments", lambda data: data.splitlines()[0])
        # The header has 75 bytes; "1,a@b," six more, "Ä ä K" has four more and a blank.
        self.assertEqual(
            self.place(),
            [
                (2, 3, "E_ENCODING", 81),
                (2, 3, "E_ENCODING", 85),
                (2, 5, "E_NUL", 95),
                (2, 6, "E_ENCODING", 100),
            ],
        )

    def test_bad_bytes_in_a_record_of_two_lines_have_their_own_line_and_field(self) -> None:
        self.edit("users", swap_bytes(b"Bob Brown,GB,Leeds", b'"B\xe9\nob",GB,L\xe9'))
        places = [(line, field, code) for line, field, code, _ in self.place()]
        self.assertEqual(places, [(3, 3, "E_ENCODING"), (4, 5, "E_ENCODING")])

    def test_bad_bytes_of_an_unreadable_record_are_listed(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"L\xe9"ds'))
        self.assertEqual(
            [place[:3] for place in self.place()],
            [(3, 5, "E_ENCODING"), (3, 5, "E_QUOTES")],
        )

    def test_offset_of_bad_bytes_includes_the_byte_order_mark(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b"L\xe9ds"))
        at = (self.folder / "users.csv").read_bytes().index(b"\xe9")
        self.assertEqual(self.place(), [(3, 5, "E_ENCODING", at)])
        self.edit("users", put(b"\xef\xbb\xbf", at=0))
        self.assertEqual(self.place(), [(3, 5, "E_ENCODING", at + 3)])

    def test_bad_bytes_of_one_record_are_listed_up_to_a_limit(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b"\xe9 " * 50_000))
        *_, last = found = self.list_faults()
        self.assertEqual(len(found), 100)
        self.assertIn("more such bytes in this row are not listed", last)


class Quotes(FaultCase):
    """A quote in the wrong place hides its own row and no other."""

    def test_open_quote_does_not_hide_the_rows_after_it(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"Leeds'))
        self.edit("users", swap_bytes(b"Null,SE", b"Null,x"))
        self.assertEqual(
            self.list_faults(),
            [
                "users.csv:3:5: E_QUOTES the quote that opens here is never closed",
                (
                    "users.csv:5:4: E_RULE country_code is 'x', which breaks the rule"
                    " country_code_is_two_capitals; expected 2 capital letters, such as DE"
                ),
            ],
        )

    def test_quote_closed_in_a_later_row_is_reported_where_it_opens(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"Leeds'))
        self.edit("users", swap_bytes(b"Lund", b'"Lund"'))
        self.edit("users", swap_bytes(b"Neil,IE", b"Neil,x"))
        self.assertEqual(
            self.list_faults(),
            [
                (
                    "users.csv:3:5: E_QUOTES the quote that opens here is closed only in"
                    " line 5, where text follows"
                ),
                (
                    "users.csv:4:4: E_RULE country_code is 'x', which breaks the rule"
                    " country_code_is_two_capitals; expected 2 capital letters, such as DE"
                ),
            ],
        )

    def test_text_after_a_quote_skips_the_other_lines_of_its_row(self) -> None:
        self.edit("users", swap_bytes(b"Bob Brown,GB,Leeds", b'"Bob"x,GB,"Le\neds"'))
        (fault,) = self.list_faults()
        self.assertTrue(fault.startswith("users.csv:3:3: E_QUOTES text follows"), fault)
        self.assertTrue(fault.endswith("; line 4 was skipped"), fault)

    def test_lines_skipped_before_a_complete_row_may_hide_other_rows(self) -> None:
        self.edit("users", swap_bytes(b"Bob Brown,GB,Leeds", b'"Bob"x,"G\nB\nLeeds'))
        first, *others = self.list_faults()
        self.assertTrue(first.startswith("users.csv:3:3: E_QUOTES text follows"), first)
        self.assertTrue(
            first.endswith(
                "; lines 4 to 5 were skipped; references to users.csv were not checked"
            ),
            first,
        )
        self.assertEqual(others, [])

    def test_stray_quotes_take_linear_time(self) -> None:
        header = b"payment_id,order_id,kind,method,status,amount_cents,processed_at\n"
        line_count = 5000
        for line in (b'"a"b,"c\n', b'""x,"y\n1,"\n', b'1,"\n', b'"""",""x\n'):
            with self.subTest(line):
                (self.folder / "payments.csv").write_bytes(header + line * line_count)
                reader = CountingReader((self.folder / "payments.csv").read_bytes())
                for _ in iterate_records(reader):
                    pass
                # Each line may be read once more, and the search looks some lines ahead.
                self.assertLess(reader.count, 10 * line_count * line.count(b"\n"))


class CountingReader(io.BytesIO):
    """Counts the lines that are read."""

    count = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line."""
        self.count += 1
        return super().readline(size)


def iterate_records(file: io.BytesIO) -> Iterator[Record | None]:
    """Yield the records of *file*, None for one that cannot be read."""
    reader = RecordReader(file, 7)
    while True:
        try:
            yield next(reader)
        except UnreadableRecord:
            yield None
        except StopIteration:
            return


class FieldLength(FaultCase):
    """The number of a field that is too long is right, however others are quoted."""

    def test_long_field_after_a_quoted_comma_or_line_break_has_its_number(self) -> None:
        for name, line in ((b'"Brown, Bob"', 3), (b'"Bob\nBrown"', 4)):
            with self.subTest(name):
                self.write_all()
                text = name + b",GB," + b"x" * 131_073
                self.edit("users", swap_bytes(b"Bob Brown,GB,Leeds", text))
                (fault,) = self.list_faults()
                self.assertTrue(fault.startswith(f"users.csv:{line}:5: E_TOO_LONG"), fault)

    def test_line_longer_than_all_its_fields_is_named_and_the_next_row_is_checked(
        self,
    ) -> None:
        # The same bound, at a field's limit that takes less time.
        self.addCleanup(csv.field_size_limit, csv.field_size_limit(8192))
        most = 7 * (8192 * 4 + 3) + 5
        self.edit("users", swap_bytes(b"Leeds", b"x," * (most // 2)))
        self.edit("users", swap_bytes(b"Null,SE", b"Null,x"))
        first, second = self.list_faults()
        self.assertEqual(
            first,
            f"users.csv:3: E_TOO_LONG a line is longer than {most:,} bytes, more than its"
            " fields may hold; references to users.csv were not checked",
        )
        self.assertTrue(second.startswith("users.csv:5:4: E_RULE country_code is 'x'"))

    def test_open_quote_that_exceeds_the_limit_is_named_with_the_limit(self) -> None:
        # The quote opens in line 3, and no line closes it within the limit of a field.
        text = b'"' + b"x" * 70_000 + b"\n" + b"y" * 70_000
        self.edit("users", swap_bytes(b"Leeds", text))
        first, *_ = self.list_faults()
        self.assertEqual(
            first,
            "users.csv:3:5: E_QUOTES the quote that opens here is never closed within"
            " 131,072 characters; line 4 was skipped; references to users.csv were not"
            " checked",
        )

    def test_long_quoted_field_full_of_commas_is_one_field(self) -> None:
        text = b'"' + b"Brown, " * 20_000 + b'"'
        self.edit("users", swap_bytes(b"Bob Brown", text))
        (fault,) = self.list_faults()
        self.assertTrue(fault.startswith("users.csv:3:3: E_TOO_LONG"), fault)

    def test_file_without_line_feeds_takes_no_memory(self) -> None:
        self.addCleanup(csv.field_size_limit, csv.field_size_limit(8192))
        self.edit("users", lambda data: data.replace(b"\n", b"\r") * 12_000)
        size = (self.folder / "users.csv").stat().st_size
        self.assertGreater(size, 4_000_000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        result = self.ingest()
        self.assertIn("users.csv:1: E_LINE_END", result.stderr)
        self.assertLess(tracemalloc.get_traced_memory()[1], size // 2)


# What becomes of the files of one collection, read with a schema of their own header.
# Those not listed are read as they are.
REFUSED = {
    "E_BLANK_LINE": [
        "blank_records",
        "leading_blank_lines",
        "trailing_blank_lines",
        "utf8_bom_blank_lines",
        "blank_lines_before_header",
    ],
    "E_DELIMITER": [
        "backslash_escape",
        "blank_records_between",
        "caret_basic",
        "caret_delimiter",
        "caret_quoted",
        "delim_0x1f",
        "extra_fields_non_empty",
        "extra_trailing_nonempty",
        "header_with_spaces",
        "leading_tabs_header",
        "multiline_quoted",
        "pipe_delimiter",
        "pipe_quoted",
        "pipe_with_spaces",
        "rfc_quote_escape",
        "semicolon_delimiter",
        "semicolon_quoted",
        "semicolon_with_spaces",
        "sep_caret",
        "sep_equal",
        "sep_equals",
        "sep_only",
        "sep_pipe",
        "sep_semicolon",
        "sep_tab",
        "tab_basic",
        "tab_delimiter",
        "tab_quoted",
        "tab_with_spaces",
        "utf8_bom_sep_pipe",
        "wide_row_extra_non_empty",
    ],
    "E_EMPTY": ["blank_only", "empty_file", "only_blank_lines"],
    "E_ENCODING": ["encoding_utf16le", "encoding_utf32be", "utf16le_bom", "utf32be_bom"],
    "E_FIELDS": [
        "extra_fields_empty",
        "extra_trailing_empty_fields",
        "ragged_rows_long_empty",
        "ragged_rows_short",
        "wide_row_extra_empty",
    ],
    "E_HEADER": [
        "ambiguous_delimiter",
        "control_byte_header",
        "duplicate_headers",
        "empty_header_names",
        "empty_headers",
        "hex_prefix_header",
        "non_ascii_header",
        "u8_prefix_header",
    ],
    "E_NUL": ["encoding_nul_first8k", "nul_in_8k"],
    "E_QUOTES": ["invalid_quote", "unterminated_quote"],
}


class ForeignCsvFiles(ShopCase):
    """CSV files of other programs give the right cells, or the right fault."""

    def read(self, path: Path) -> tuple[list[dict[str, str]], Faults]:
        """Return the rows of *path* as they are stored, or its faults.

        The schema has the columns of the file's header if SQLite takes them, all optional,
        or the words of a header without a comma.
        """
        header = next(csv.reader([_first_line(path)]), [])
        if len(header) == 1:
            header = re.findall(r"[A-Za-z]\w*", header[0], re.ASCII)
        is_plain = all(re.fullmatch(r"\w+", name, re.ASCII) for name in header)
        columns = header if is_plain and len(set(header)) == len(header) > 0 else ["a"]
        schema = self.folder / "schema.sql"
        declared = ", ".join(f"{name} TEXT" for name in columns)
        schema.write_text(
            f"CREATE TABLE t ({declared}, row_key INTEGER PRIMARY KEY) STRICT;", "utf-8"
        )
        contract = read_contract(schema)
        table = contract.tables[0]
        # The key is not in the file: SQLite counts it up.
        table = table._replace(columns=table.columns[:-1], key=(columns[0],))
        contract = contract._replace(tables=(table,))
        (self.folder / "t.csv").write_bytes(path.read_bytes())
        faults = diagnose(contract, self.folder)
        if faults:
            return [], faults
        with closing(open_new("")) as connection:
            create_tables(connection, contract)
            load_table(connection, table, self.folder / "t.csv", lambda _rows, _bytes: None)
            connection.row_factory = sqlite3.Row
            rows = connection.execute(
                f"SELECT {', '.join(columns)} FROM t ORDER BY row_key"
            )
            return [{name: row[name] or "" for name in columns} for row in rows], faults

    def list_files(self, folder: str) -> Iterable[Path]:
        """Return the CSV files of the collection *folder*."""
        paths = sorted((CORPORA_DIR / folder).rglob("*.csv"))
        if not paths:
            skip(f"no CSV corpora in {CORPORA_DIR}")
        return paths

    def test_files_with_known_faults_get_that_fault(self) -> None:
        codes = {name: code for code, names in REFUSED.items() for name in names}
        paths = self.list_files("rvl")
        self.assertLessEqual(codes.keys(), {path.stem for path in paths})
        for path in paths:
            with self.subTest(path.name):
                rows, faults = self.read(path)
                if path.stem in codes:
                    self.assertIn(codes[path.stem], {fault.code for fault in faults.first})
                    continue
                self.assertEqual(faults.first, [])
                text = path.read_bytes().decode("utf-8-sig")
                expected = list(csv.DictReader(io.StringIO(text, newline="")))
                self.assertEqual(rows, expected)

    def test_files_with_known_content_give_that_content(self) -> None:
        for path in self.list_files("csv-spectrum"):
            with self.subTest(path.name):
                rows, faults = self.read(path)
                text = (
                    path.parents[1].joinpath("json", f"{path.stem}.json").read_text("utf-8")
                )
                if path.stem == "location_coordinates":  # names with blanks
                    self.assertEqual({fault.code for fault in faults.first}, {"E_HEADER"})
                    continue
                self.assertEqual(faults.first, [])
                self.assertEqual(rows, json.loads(text))


def _first_line(path: Path) -> str:
    text = path.read_bytes().decode("utf-8-sig", "replace")
    return next((line for line in text.splitlines() if line.strip()), "")
