"""The slow road: every fault of the catalogue has its answer, and every fault is named."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import sqlite3
import tracemalloc
import unittest
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import ingest
from db.loading.diagnosis import find_faults
from db.loading.faults import Fault, Faults
from db.loading.loader import create_tables, load_table, open_new
from db.loading.records import Record, RecordReader, UnreadableRecord
from tests import shop
from tests.support import (
    CORPORA_DIR,
    IN_CI,
    ROOT,
    ShopCase,
    call,
    refuse_to_replace,
    skip,
    skip_on_windows,
)
from utils.contract import SCHEMA_PATH, read_contract

ROWS: dict[str, list[shop.Row]] = {
    "users": shop.USERS,
    "products": shop.PRODUCTS,
    "orders": shop.ORDERS,
    "order_items": shop.ORDER_ITEMS,
    "payments": shop.PAYMENTS,
}

Edit = Callable[[bytes], bytes]


def set_cell(line: int, field: int, value: str) -> Edit:
    """Return the edit that puts *value* into a cell; line and field count from 1."""

    def edit(data: bytes) -> bytes:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
        rows[line - 1][field - 1] = value
        return b"".join(",".join(row).encode("utf-8") + b"\n" for row in rows)

    return edit


def set_line(number: int, text: bytes) -> Edit:
    """Return the edit that replaces the line *number*, counted from 1."""

    def edit(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[number - 1] = text
        return b"\n".join(lines)

    return edit


def put(text: bytes, *, at: int) -> Edit:
    """Return the edit that puts *text* before the byte *at*."""
    return lambda data: data[:at] + text + data[at:]


def swap_bytes(old: bytes, new: bytes) -> Edit:
    """Return the edit that replaces every *old* with *new*."""
    return lambda data: data.replace(old, new)


class FaultCase(ShopCase):
    """A test with the five files of the small shop in its folder."""

    def setUp(self) -> None:
        """Write the files."""
        super().setUp()
        self.write_all()

    def write_all(self) -> None:
        """Write the five sound files."""
        for table in read_contract().tables:
            rows = [table.column_names, *ROWS[table.name]]
            text = "".join(",".join(map(str, row)) + "\n" for row in rows)
            (self.folder / f"{table.name}.csv").write_bytes(text.encode("utf-8"))

    def edit(self, name: str, edit: Edit) -> None:
        """Change the file of the table *name*."""
        path = self.folder / f"{name}.csv"
        path.write_bytes(edit(path.read_bytes()))

    def find(self) -> Faults:
        """Return the faults of the folder's files."""
        return find_faults(read_contract(), self.folder)

    def tell(self) -> list[str]:
        """Return the faults of the folder's files, a line each."""
        return [str(fault) for fault in self.find().first]


INTEGER = "expected whole cents such as 4299"
CATALOGUE: list[tuple[str, str, Edit, list[str]]] = [
    # A. The file.  Numbers are those of the catalogue that the project works from.
    ("2 zero bytes", "users", lambda _: b"", ["users.csv: E_EMPTY"]),
    ("2 only a BOM", "users", lambda _: b"\xef\xbb\xbf", ["users.csv: E_EMPTY"]),
    ("2 only blank lines", "users", lambda _: b"\n\r\n  \n", ["users.csv: E_EMPTY"]),
    ("3 header only", "payments", lambda data: data.split(b"\n")[0] + b"\n", []),
    (
        "4 column missing",
        "payments",
        swap_bytes(b",method,", b","),
        ["payments.csv:1: E_HEADER column method is missing"],
    ),
    (
        "4 column extra",
        "payments",
        swap_bytes(b"processed_at\n", b"processed_at,note\n"),
        ["payments.csv:1:8: E_HEADER column 'note' is not expected"],
    ),
    (
        "4 columns in another order",
        "payments",
        lambda data: b"\n".join(
            b",".join(reversed(line.split(b","))) for line in data.splitlines()
        ),
        [],
    ),
    (
        "4 column twice",
        "payments",
        swap_bytes(b",method,", b",kind,"),
        [
            "payments.csv:1:4: E_HEADER column 'kind' appears twice",
            "payments.csv:1: E_HEADER column method is missing",
        ],
    ),
    (
        "4 column in another case",
        "payments",
        swap_bytes(b",method,", b",Method,"),
        [
            "payments.csv:1:4: E_HEADER column 'Method' is not expected; did you mean method?"
        ],
    ),
    (
        "4 column misspelt",
        "payments",
        swap_bytes(b",method,", b",metod,"),
        ["payments.csv:1:4: E_HEADER column 'metod' is not expected; did you mean method?"],
    ),
    (
        "4 blanks around a column",
        "payments",
        swap_bytes(b",method,", b", method ,"),
        ["payments.csv:1:4: E_HEADER column ' method ' is not expected; did you mean"],
    ),
    (
        "4 column without a name",
        "payments",
        swap_bytes(b",method,", b",,"),
        [
            "payments.csv:1:4: E_HEADER column 4 has no name",
            "payments.csv:1: E_HEADER column method is missing",
        ],
    ),
    ("5 BOM", "users", put(b"\xef\xbb\xbf", at=0), []),
    (
        "6 UTF-16 with a mark",
        "users",
        lambda data: data.decode("utf-8").encode("utf-16"),
        ["users.csv:1: E_ENCODING the file looks like UTF-16, expected UTF-8"],
    ),
    (
        "6 UTF-16 without a mark",
        "users",
        lambda data: data.decode("utf-8").encode("utf-16-be"),
        ["users.csv:1: E_ENCODING the file looks like UTF-16, expected UTF-8"],
    ),
    (
        "6 UTF-32",
        "users",
        lambda data: data.decode("utf-8").encode("utf-32"),
        ["users.csv:1: E_ENCODING the file looks like UTF-32, expected UTF-8"],
    ),
    (
        "7 bytes that are not UTF-8",
        "users",
        swap_bytes("Å".encode(), b"\xc5"),
        ["users.csv:2:3: E_ENCODING byte 97 is c5, which is not UTF-8; save the file as"],
    ),
    (
        "8 NUL",
        "users",
        swap_bytes(b"Leeds", b"Lee\0ds"),
        ["users.csv:3:5: E_NUL a NUL at byte "],
    ),
    (
        "8 NULs and nothing else",
        "users",
        lambda data: b"\0" * len(data),
        ["users.csv:1:1: E_NUL a NUL at byte 0, expected text; its rows were not checked"],
    ),
    ("9 CRLF", "users", swap_bytes(b"\n", b"\r\n"), []),
    (
        "9 CR alone in a row",
        "users",
        swap_bytes(b",GB,", b",\rGB,"),
        ["users.csv:3: E_LINE_END a CR that is not part of a line end"],
    ),
    (
        "9 CR alone in all rows",
        "users",
        swap_bytes(b"\n", b"\r"),
        ["users.csv:1: E_LINE_END a CR that is not part of a line end"],
    ),
    (
        "9 two CRs before each LF",
        "users",
        swap_bytes(b"\n", b"\r\r\n"),
        ["users.csv:1: E_LINE_END a CR that is not part of a line end"],
    ),
    (
        "9 CR at the end of the file",
        "users",
        lambda data: data[:-1] + b"\r",
        ["users.csv:5: E_LINE_END a CR that is not part of a line end"],
    ),
    ("9 CRs within quotes", "users", swap_bytes(b"Leeds", b'"Le\re\r\r\nds\r"'), []),
    ("10 no line end at the end", "users", lambda data: data.rstrip(b"\n"), []),
    (
        "10 last row cut off",
        "users",
        lambda data: data[:-25],
        ["users.csv:5: E_FIELDS 6 fields, expected 7 as in the header"],
    ),
    (
        "11 blank line",
        "users",
        set_line(3, b""),
        [
            "users.csv:3: E_BLANK_LINE the line is blank, remove it",
            *(
                f"orders.csv:{line}:2: E_REFERENCE user_id 2 is not in"
                for line in (3, 5, 9)
            ),
        ],
    ),
    (
        "11 blanks in a line",
        "users",
        put(b"  \t\n", at=0),
        ["users.csv:1: E_BLANK_LINE blank lines come before the header"],
    ),
    (
        "11 blank lines at the end",
        "users",
        lambda data: data + b"\n\n",
        ["users.csv:6: E_BLANK_LINE", "users.csv:7: E_BLANK_LINE"],
    ),
    (
        "11 Ctrl-Z at the end",
        "users",
        lambda data: data + b"\x1a",
        ["users.csv:6: E_FIELDS 1 field, expected 7 as in the header; it is a Ctrl-Z"],
    ),
    (
        "11 two quotes are a cell",
        "users",
        set_line(3, b'""'),
        [
            "users.csv:3: E_FIELDS 1 field, expected 7 as in the header",
            *(
                f"orders.csv:{line}:2: E_REFERENCE user_id 2 is not in"
                for line in (3, 5, 9)
            ),
        ],
    ),
    (
        "12 row too short",
        "payments",
        swap_bytes(b"card,failed,3600", b"card,failed"),
        ["payments.csv:9: E_FIELDS 6 fields, expected 7 as in the header"],
    ),
    (
        "12 row too long",
        "payments",
        swap_bytes(b"card,failed,3600", b"card,failed,3,600"),
        ["payments.csv:9: E_FIELDS 8 fields, expected 7 as in the header"],
    ),
    (
        "13 quote never closed",
        "users",
        swap_bytes(b"Leeds", b'"Leeds'),
        ["users.csv:3:5: E_QUOTES the quote that opens here is never closed"],
    ),
    (
        "13 quote never closed, after a line break in quotes",
        "users",
        swap_bytes(b"Bob Brown,GB,Leeds", b'"Bob\nBrown",GB,"Leeds'),
        ["users.csv:4:5: E_QUOTES the quote that opens here is never closed"],
    ),
    (
        "14 text after a closing quote",
        "users",
        swap_bytes(b"Leeds", b'"Lee"ds'),
        ["users.csv:3:5: E_QUOTES text follows a closing quote, expected a comma"],
    ),
    ("14 quote within a cell without quotes", "users", swap_bytes(b"Leeds", b'Le"eds'), []),
    (
        "15 line breaks in quotes before a fault",
        "users",
        lambda data: swap_bytes(b"Null,SE", b"Null,se")(
            swap_bytes(b"Leeds", b'"Le\r\ne\nds"')(data)
        ),
        ["users.csv:7:4: E_RULE country_code is 'se', which breaks the rule country_code"],
    ),
    (
        "16 field too long",
        "users",
        swap_bytes(b"Leeds", b"x" * 131_073),
        ["users.csv:3:5: E_TOO_LONG a field is longer than 131,072 characters"],
    ),
    ("16 field just short enough", "users", swap_bytes(b"Leeds", b"x" * 131_072), []),
    (
        "17 semicolons",
        "users",
        swap_bytes(b",", b";"),
        ["users.csv:1: E_DELIMITER columns look separated by semicolons, expected columns"],
    ),
    (
        "17 tabs",
        "users",
        swap_bytes(b",", b"\t"),
        ["users.csv:1: E_DELIMITER columns look separated by tabs"],
    ),
    (
        "17 colons",
        "users",
        swap_bytes(b",", b":"),
        ["users.csv:1: E_DELIMITER columns look separated by colons"],
    ),
    (
        "17 blanks",
        "users",
        swap_bytes(b",", b" "),
        ["users.csv:1: E_DELIMITER columns look separated by blanks"],
    ),
    (
        "17 a line for Excel",
        "users",
        put(b"sep=,\n", at=0),
        ["users.csv:1: E_DELIMITER the first line sets a separator for Excel, remove it"],
    ),
    (
        "19 the file of another table",
        "users",
        lambda _: b"product_id,sku\n1,SKU-1\n",
        [
            "users.csv:1:1: E_HEADER column 'product_id' is not expected",
            "users.csv:1:2: E_HEADER column 'sku' is not expected",
            "users.csv:1: E_HEADER columns user_id, email, full_name, ",
        ],
    ),
    # B. The value.
    (
        "21 nothing where a value belongs",
        "users",
        set_cell(3, 5, ""),
        ["users.csv:3:5: E_MISSING city is '', expected a value"],
    ),
    ("21 the word NULL is a word", "users", set_cell(3, 5, "NULL"), []),
    (
        "21 the word NULL is no number",
        "orders",
        set_cell(9, 9, "NULL"),
        [f"orders.csv:9:9: E_INTEGER total_cents is 'NULL', {INTEGER}"],
    ),
    *[
        (
            f"22 {value!r} for an integer",
            "orders",
            set_cell(9, 9, value),
            [f"orders.csv:9:9: E_INTEGER total_cents is {value!r}, {INTEGER}{hint}"],
        )
        for value, hint in (
            (" 1200 ", "; perhaps 1200"),
            ("+1200", "; perhaps 1200"),
            ("01200", "; perhaps 1200"),
            ("1.2e3", ""),
            ("1e3", ""),
            ("1200.0", ""),
            ("5.", ""),
            ("1_200", ""),
            ("0x10", ""),
            ("１２", "; perhaps 12"),
            ("\u00a012", "; perhaps 12"),
            ("-0", "; perhaps 0"),
            ("inf", ""),
            ("nan", ""),
            ("1e400", ""),
            ("12.00", "; perhaps 1200"),
            ("19.99", "; perhaps 1999"),
            ("19.999", ""),
            ("19.9", ""),
            ("$19.99", ""),
        )
    ],
    *[
        (
            f"23 {value} for an integer",
            "orders",
            set_cell(9, 9, value),
            [f"orders.csv:9:9: E_RANGE total_cents is '{value}', expected an integer of"],
        )
        for value in (str(2**63), str(-(2**63) - 1))
    ],
    (
        "23 the largest integer",
        "order_items",
        set_cell(11, 7, str(2**63 - 1)),
        ["order_items.csv:11:7: E_RULE line_total_cents is '9223372036854775807'"],
    ),
    (
        "24 a thousand written with a comma",
        "orders",
        swap_bytes(b",1200\n", b",1,200\n"),
        ["orders.csv:9: E_FIELDS 10 fields, expected 9 as in the header"],
    ),
    (
        "24 negative money",
        "payments",
        set_cell(3, 6, "-1"),
        [
            "payments.csv:3:6: E_RULE amount_cents is '-1', which breaks the rule amount_cents"
        ],
    ),
    *[
        (
            f"25 {value} for an instant",
            "payments",
            set_cell(3, 7, value),
            [
                (
                    f"payments.csv:3:7: E_RULE processed_at is '{value}', which breaks the rule"
                    " processed_at_is_a_utc_instant; expected a valid UTC instant"
                )
            ],
        )
        for value in (
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-1-1T00:00:00Z",
            "now",
            "2460000.5",
            "2024-01-01",
            "2024-01-01T24:00:00Z",
            "2024-01-01T23:59:60Z",
            "2024-01-01T00:00:00+01:00",
            "2024-01-01 00:00:00",
            "2024-01-01T00:00:00",
        )
    ],
    (
        "26 a word in another case",
        "payments",
        set_cell(3, 3, "Charge"),
        [
            (
                "payments.csv:3:3: E_RULE kind is 'Charge', which breaks the rule"
                " kind_is_charge_or_refund; expected one of 'charge', 'refund'; did you mean"
                " 'charge'?"
            )
        ],
    ),
    (
        "26 a word with a blank",
        "payments",
        set_cell(3, 5, "succeeded "),
        ["payments.csv:3:5: E_RULE status is 'succeeded ', which breaks the rule"],
    ),
    ("26 addresses that differ in case", "users", set_cell(3, 2, "ANN@example.com"), []),
    *[
        (f"27 text {text[:12]!r}", "users", set_cell(3, 5, text), [])
        for text in (
            "O'Neil",
            "a;b",
            "-- x",
            "<script>alert(1)</script>",
            "=cmd|' /C calc'!A0",
            "\u202eabc",
            "🛒",
            "é",
            "e\u0301",
            "\u2028",
            "x" * 100_000,
        )
    ],
    # C. The relations.
    (
        "28 the same row twice",
        "users",
        lambda data: data + data.splitlines(keepends=True)[2],
        [
            "users.csv:6:1: E_DUPLICATE user_id '2' is already in line 3, expected it once",
            "users.csv:6:2: E_DUPLICATE email 'bob@example.com' is already in line 3",
        ],
    ),
    (
        "28 another row of the same key",
        "users",
        set_cell(5, 1, "2"),
        ["users.csv:5:1: E_DUPLICATE user_id '2' is already in line 3, expected it once"],
    ),
    (
        "28 a key of a row that was refused before",
        "users",
        lambda data: set_cell(5, 1, "2")(set_cell(3, 4, "x")(data)),
        [
            "users.csv:3:4: E_RULE country_code is 'x'",
            "users.csv:5:1: E_DUPLICATE user_id '2' is already in line 3, expected it once",
        ],
    ),
    (
        "29 no key",
        "payments",
        set_cell(3, 1, ""),
        ["payments.csv:3:1: E_MISSING payment_id is '', expected a value"],
    ),
    (
        "30 a unique value twice",
        "products",
        set_cell(5, 2, "SKU-2"),
        [
            "products.csv:5:2: E_DUPLICATE sku 'SKU-2' is already in line 3, expected it once"
        ],
    ),
    (
        "31 no such user",
        "orders",
        set_cell(9, 2, "77"),
        ["orders.csv:9:2: E_REFERENCE user_id 77 is not in users.csv"],
    ),
    (
        "31 no such order",
        "order_items",
        set_cell(11, 2, "77"),
        ["order_items.csv:11:2: E_REFERENCE order_id 77 is not in orders.csv"],
    ),
    (
        "31 no such product",
        "order_items",
        set_cell(11, 3, "77"),
        ["order_items.csv:11:3: E_REFERENCE product_id 77 is not in products.csv"],
    ),
    (
        "31 no such order of a payment",
        "payments",
        set_cell(14, 2, "77"),
        ["payments.csv:14:2: E_REFERENCE order_id 77 is not in orders.csv"],
    ),
    (
        "31 and something else in the row",
        "payments",
        lambda data: set_cell(14, 2, "77")(set_cell(14, 3, "gift")(data)),
        [
            "payments.csv:14:3: E_RULE kind is 'gift'",
            "payments.csv:14:2: E_REFERENCE order_id 77 is not in orders.csv",
        ],
    ),
    (
        "31 a parent that was refused for its city",
        "users",
        set_cell(3, 5, ""),
        ["users.csv:3:5: E_MISSING city is ''"],
    ),
    (
        "31 a parent whose key has another spelling",
        "users",
        set_cell(3, 1, "02"),
        [
            (
                "users.csv:3:1: E_INTEGER user_id is '02', expected a whole number such as 4299;"
                " perhaps 2"
            )
        ],
    ),
    (
        "32 rows in another order",
        "users",
        lambda data: b"\n".join([data.splitlines()[0], *reversed(data.splitlines()[1:])]),
        [],
    ),
    ("34 what the report finds is no fault", "payments", set_cell(2, 6, "4701"), []),
]


class TheCatalogue(FaultCase):
    """Each fault has its answer: the lines that begin so, and no others."""

    def test_of_faults(self) -> None:
        for fault, name, edit, expected in CATALOGUE:
            with self.subTest(fault):
                self.write_all()
                self.edit(name, edit)
                found = self.tell()
                self.assertEqual(len(found), len(expected), found)
                for line, beginning in zip(found, expected, strict=True):
                    self.assertEqual(line[: len(beginning)], beginning)

    def test_agrees_with_the_fast_road(self) -> None:
        for fault, name, edit, expected in CATALOGUE if IN_CI else CATALOGUE[::4]:
            with self.subTest(fault):
                self.write_all()
                self.edit(name, edit)
                self.assertEqual(self.ingest().status, int(bool(expected)))


class EveryFault(FaultCase):
    """One run names all of them."""

    def test_of_one_row(self) -> None:
        self.edit("orders", set_line(3, b"2,x,2024-02-30T00:00:00Z,Paid,-1,0,,01,x"))
        self.assertEqual(
            [(fault.field, fault.code) for fault in self.find().first],
            [
                (2, "E_INTEGER"),
                (7, "E_MISSING"),
                (8, "E_INTEGER"),
                (9, "E_INTEGER"),
                (3, "E_RULE"),
                (4, "E_RULE"),
                (5, "E_RULE"),
                (6, "E_RULE"),
            ],
        )

    def test_of_all_files_and_kinds(self) -> None:
        self.edit("users", set_cell(2, 4, "xx"))
        self.edit("products", set_cell(3, 1, "1"))
        self.edit("orders", set_line(4, b""))
        self.edit("order_items", set_cell(5, 4, "x"))
        self.edit("payments", set_cell(6, 2, "99"))
        codes = {(fault.file, fault.code) for fault in self.find().first}
        self.assertLessEqual(
            {
                ("users.csv", "E_RULE"),
                ("products.csv", "E_DUPLICATE"),
                ("orders.csv", "E_BLANK_LINE"),
                ("order_items.csv", "E_INTEGER"),
                ("payments.csv", "E_REFERENCE"),
            },
            codes,
        )

    def test_of_many_is_listed_up_to_a_number_and_counted(self) -> None:
        contract = read_contract()
        header = ",".join(contract.tables[4].column_names)
        rows = [f"{n},1,gift,card,failed,x,2024-01-01T00:00:00Z" for n in range(1, 3001)]
        (self.folder / "payments.csv").write_text("\n".join([header, *rows]), "utf-8")
        told: list[Fault] = []
        found = find_faults(contract, self.folder, max_errors=7, write_fault=told.append)
        self.assertEqual(len(found.first), 14)
        self.assertEqual(
            dict(found.counts),
            {("payments.csv", "E_INTEGER"): 3000, ("payments.csv", "E_RULE"): 3000},
        )
        self.assertEqual(len(told), 6000)
        result = self.ingest("--max-errors", 7)
        self.assertIn("… and 2,993 more E_INTEGER in payments.csv", result.stderr)
        self.assertIn("--errors FILE writes all of them", result.stderr)
        self.assertEqual(result.stderr.count("payments.csv:"), 14)

    def test_in_a_sound_chunk_s_neighbour_is_found_too(self) -> None:
        contract = read_contract()
        header = ",".join(contract.tables[4].column_names)
        rows = [f"{n},1,charge,card,failed,5,2024-01-01T00:00:00Z" for n in range(1, 3001)]
        for number in (1, 500, 501, 2750, 3000):
            rows[number - 1] += ","
        (self.folder / "payments.csv").write_text("\n".join([header, *rows]), "utf-8")
        lines = [fault.line for fault in self.find().first]
        self.assertEqual(lines, [2, 501, 502, 2751, 3001])


class TheReadme(ShopCase):
    """What the README shows of faults is what comes out."""

    def test_shows_the_faults_as_they_are_told(self) -> None:
        self.copy_sample()
        for name, line, at, value in (
            ("orders.csv", 17, 8, "12.50"),
            ("payments.csv", 5, 1, "99999999"),
        ):
            self.edit_line(
                name,
                line,
                lambda text, at=at, value=value: ",".join(  # type: ignore[misc]
                    value if n == at else cell for n, cell in enumerate(text.split(","))
                ),
            )
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        shown = re.findall(r"```text\n(ingest: error: .*?)```", readme, re.DOTALL)
        self.assertEqual(shown, [self.ingest().stderr])

    def test_names_every_code(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        sources = "".join(
            path.read_text(encoding="utf-8")
            for path in sorted((ROOT / "db" / "loading").glob("*.py"))
        )
        codes = set(re.findall(r"\"(E_[A-Z_]+)\"", sources))
        self.assertEqual(codes, set(re.findall(r"`(E_[A-Z_0-9]+)`", readme)))
        self.assertGreater(len(codes), 15)


class TheErrorsFile(FaultCase):
    """`--errors` writes every fault for programs."""

    def test_has_an_object_a_line(self) -> None:
        self.edit("users", set_cell(3, 5, ""))
        self.edit("payments", set_cell(3, 6, "12.50"))
        path = self.folder / "errors.jsonl"
        result = self.ingest("--errors", path, "--max-errors", 0)
        self.assertEqual(result.status, 1)
        self.assertIn(f"All of them are in {path}.", result.stderr)
        first, second = map(json.loads, path.read_text("utf-8").splitlines())
        self.assertEqual(
            first,
            {
                "file": "users.csv",
                "line": 3,
                "field": 5,
                "column": "city",
                "byte_offset": first["byte_offset"],
                "code": "E_MISSING",
                "value": "",
                "expected": "a value",
                "message": "city is '', expected a value",
            },
        )
        self.assertEqual((second["value"], second["column"]), ("12.50", "amount_cents"))
        data = (self.folder / "payments.csv").read_bytes()
        self.assertTrue(data[second["byte_offset"] :].startswith(b"2,2,charge,wallet"))

    def test_is_empty_without_faults_and_whole_or_not_at_all(self) -> None:
        path = self.folder / "errors.jsonl"
        path.write_text("old", "utf-8")
        self.assertEqual(self.ingest("--errors", path).status, 0)
        self.assertEqual(path.read_bytes(), b"")
        self.assertEqual([p.name for p in self.folder.glob(".*")], [])

    def test_takes_any_value(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b"\xff\xfe\0<>\x1b"))
        path = self.folder / "errors.jsonl"
        self.assertEqual(self.ingest("--errors", path).status, 1)
        objects = [json.loads(line) for line in path.read_bytes().splitlines()]
        self.assertEqual({entry["code"] for entry in objects}, {"E_ENCODING", "E_NUL"})

    def test_that_cannot_be_written_is_named_before_the_load(self) -> None:
        (self.folder / "file").touch()
        for path, reason in (
            (self.folder / "file" / "errors.jsonl", "file is not a folder"),
            (self.folder, "is a folder"),
            ("", "is a folder"),
            ("/", "is a folder"),
            ("a\0b", "cannot be written: embedded null"),
        ):
            with self.subTest(path):
                result = self.ingest("--errors", path)
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertIn(reason, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
                self.assertFalse(self.database.exists())

    def test_never_overwrites_what_a_load_reads_or_makes(self) -> None:
        self.assertEqual(self.ingest().status, 0)
        (self.folder / "datapackage.json").write_text("{}", "utf-8")
        schema = self.folder / "schema.sql"
        schema.write_bytes(SCHEMA_PATH.read_bytes())
        names = [
            "users.csv",
            "payments.csv",
            "datapackage.json",
            "schema.sql",
            "shop.db",
            "shop.db-journal",
            "shop.db-wal",
            "shop.db-shm",
            ".shop.db.lock",
        ]
        if os.name != "nt":
            (self.folder / "link").symlink_to(self.folder / "orders.csv")
            os.link(self.folder / "orders.csv", self.folder / "twin")
            names += ["link", "twin"]
        for is_sound in (True, False):
            before = {path: path.read_bytes() for path in self.folder.iterdir()}
            for name in names:
                with self.subTest(name, is_sound=is_sound):
                    result = self.ingest("--schema", schema, "--errors", self.folder / name)
                    self.assertEqual(result.status, 1)
                    self.assertIn("faults written there would overwrite", result.stderr)
                    after = {path: path.read_bytes() for path in self.folder.iterdir()}
                    self.assertEqual(after, before)
            self.edit("users", set_cell(3, 5, ""))

    def test_leaves_a_link_a_link(self) -> None:
        skip_on_windows("Windows has other links")
        self.edit("users", set_cell(3, 5, ""))
        (self.folder / "link").symlink_to(self.folder / "errors.jsonl")
        self.assertEqual(self.ingest("--errors", self.folder / "link").status, 1)
        self.assertTrue((self.folder / "link").is_symlink())
        self.assertIn("E_MISSING", (self.folder / "errors.jsonl").read_text("utf-8"))

    def test_may_be_a_stream_that_somebody_reads(self) -> None:
        skip_on_windows("Windows has no named pipes in folders")
        self.edit("users", set_cell(3, 5, ""))
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.assertIn("no program reads from it", self.ingest("--errors", pipe).stderr)
        with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
            result = self.ingest("--errors", pipe)
            self.assertIn("users.csv:3:5: E_MISSING", result.stderr)
            self.assertIn(b'"E_MISSING"', reader.read())
        self.assertTrue(pipe.is_fifo())
        self.assertIn("E_MISSING", self.ingest("--errors", os.devnull).stderr)
        self.assertFalse(Path(os.devnull).is_file())

    def test_that_runs_full_does_not_hide_the_faults(self) -> None:
        if not os.path.exists("/dev/full"):
            skip("no /dev/full")
        self.edit("users", set_cell(3, 5, ""))
        result = self.ingest("--errors", "/dev/full")
        self.assertEqual(result.status, 1)
        self.assertIn(
            "users.csv:3:5: E_MISSING city is '', expected a value", result.stderr
        )
        self.assertIn("/dev/full: cannot be written: No space left", result.stderr)

    def test_that_cannot_be_finished_does_not_hide_the_faults(self) -> None:
        self.edit("users", set_cell(3, 5, ""))
        with refuse_to_replace("errors.jsonl"):
            result = self.ingest("--errors", self.folder / "errors.jsonl")
        self.assertEqual(result.status, 1)
        self.assertIn("users.csv:3:5: E_MISSING", result.stderr)
        self.assertIn("errors.jsonl: cannot be written: in use", result.stderr)

    def test_tells_what_a_rule_expects(self) -> None:
        self.edit("payments", set_cell(3, 6, "-1"))
        path = self.folder / "errors.jsonl"
        self.ingest("--errors", path)
        (entry,) = map(json.loads, path.read_bytes().splitlines())
        self.assertEqual(entry["expected"], "amount_cents >= 0")


class TheCheckOption(FaultCase):
    """`--check` does all but publish."""

    def check(self, *expected: str) -> int:
        """Check the folder's files; return the status."""
        before = {path: path.read_bytes() for path in self.folder.iterdir()}
        result = call(
            ingest.main, "--check", "--data-dir", self.folder, "--database", self.database
        )
        for text in expected:
            self.assertIn(text, result.stdout + result.stderr)
        self.assertEqual({p: p.read_bytes() for p in self.folder.iterdir()}, before)
        return result.status

    def test_says_what_would_be_loaded_and_makes_nothing(self) -> None:
        self.assertEqual(self.check("No faults; nothing was loaded:", "users.csv"), 0)

    def test_names_the_faults_and_leaves_the_database(self) -> None:
        self.assertEqual(self.ingest().status, 0)
        self.edit("users", set_cell(3, 5, ""))
        self.assertEqual(self.check("users.csv:3:5: E_MISSING"), 1)

    def test_and_ingest_exclude_each_other(self) -> None:
        result = call(ingest.main, "--check", "--ingest")
        self.assertEqual(result.status, 2)
        self.assertIn("not allowed with", result.stderr)

    def test_a_wrong_number_of_errors_is_refused(self) -> None:
        for number in ("-1", "x", "1.5", "9" * 10):
            with self.subTest(number):
                result = call(ingest.main, "--check", "--max-errors", number)
                self.assertEqual(result.status, 2)


class AChangedByte(FaultCase):
    """Whatever byte changes: it is refused where it is, or stored as it stands."""

    def test_anywhere(self) -> None:
        chance = random.Random(11)  # noqa: S311
        contract = read_contract()
        refused = 0
        rounds = 600 if IN_CI else 30
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

        A row under another key is sound; then its children tell of it.
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


class BadBytes(FaultCase):
    """Each place with bytes that are no text is named, with line, field and byte."""

    def place(self) -> list[tuple[int, int, str, int | None]]:
        """Return line, field, code and byte of each fault."""
        return [
            (fault.line, fault.field, fault.code, fault.offset)
            for fault in self.find().first
        ]

    def test_of_one_line_are_told_one_by_one(self) -> None:
        header = b"user_id,email,full_name,country_code,city,acquisition_channel,"
        row = b"1,a@b,\xc4\xe4 K\xf6hl,SE,Lee\0\0ds,\xff,2024-01-01T00:00:00Z\n"
        data = header + b"signed_up_at\n" + row
        (self.folder / "users.csv").write_bytes(data)
        self.edit("orders", lambda data: data.splitlines()[0])
        self.edit("order_items", lambda data: data.splitlines()[0])
        self.edit("payments", lambda data: data.splitlines()[0])
        # The header has 75 bytes; "1,a@b," six more, "Ä ä K" stands for four and a blank.
        self.assertEqual(
            self.place(),
            [
                (2, 3, "E_ENCODING", 81),
                (2, 3, "E_ENCODING", 85),
                (2, 5, "E_NUL", 95),
                (2, 6, "E_ENCODING", 100),
            ],
        )

    def test_of_a_record_of_many_lines_are_found_by_their_position(self) -> None:
        self.edit("users", swap_bytes(b"Bob Brown,GB,Leeds", b'"B\xe9\nob",GB,L\xe9'))
        places = [(line, field, code) for line, field, code, _ in self.place()]
        self.assertEqual(places, [(3, 3, "E_ENCODING"), (4, 5, "E_ENCODING")])

    def test_of_a_record_that_cannot_be_read_are_told_too(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"L\xe9"ds'))
        self.assertEqual(
            [place[:3] for place in self.place()],
            [(3, 5, "E_ENCODING"), (3, 5, "E_QUOTES")],
        )

    def test_are_counted_behind_a_mark(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b"L\xe9ds"))
        at = (self.folder / "users.csv").read_bytes().index(b"\xe9")
        self.assertEqual(self.place(), [(3, 5, "E_ENCODING", at)])
        self.edit("users", put(b"\xef\xbb\xbf", at=0))
        self.assertEqual(self.place(), [(3, 5, "E_ENCODING", at + 3)])

    def test_without_number_in_a_record_are_told_up_to_a_number(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b"\xe9 " * 50_000))
        *_, last = found = self.tell()
        self.assertEqual(len(found), 100)
        self.assertIn("more such bytes in this row are not listed", last)


class AQuote(FaultCase):
    """A quote that is out of place costs its own row and no other."""

    def test_left_open_does_not_swallow_the_rows_after_it(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"Leeds'))
        self.edit("users", swap_bytes(b"Null,SE", b"Null,x"))
        self.assertEqual(
            self.tell(),
            [
                "users.csv:3:5: E_QUOTES the quote that opens here is never closed",
                (
                    "users.csv:5:4: E_RULE country_code is 'x', which breaks the rule"
                    " country_code_is_two_capitals"
                ),
            ],
        )

    def test_left_open_is_told_where_it_opens_if_a_later_quote_closes_it(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"Leeds'))
        self.edit("users", swap_bytes(b"Lund", b'"Lund"'))
        self.edit("users", swap_bytes(b"Neil,IE", b"Neil,x"))
        self.assertEqual(
            self.tell(),
            [
                (
                    "users.csv:3:5: E_QUOTES the quote that opens here is closed only in"
                    " line 5, where text follows"
                ),
                (
                    "users.csv:4:4: E_RULE country_code is 'x', which breaks the rule"
                    " country_code_is_two_capitals"
                ),
            ],
        )

    def test_followed_by_text_takes_the_other_lines_of_its_row_with_it(self) -> None:
        self.edit("users", swap_bytes(b"Bob Brown,GB,Leeds", b'"Bob"x,GB,"Le\neds"'))
        (told,) = self.tell()
        self.assertTrue(told.startswith("users.csv:3:3: E_QUOTES text follows"), told)
        self.assertTrue(told.endswith("; line 4 was skipped"), told)

    def test_takes_linear_time(self) -> None:
        header = b"payment_id,order_id,kind,method,status,amount_cents,processed_at\n"
        for line in (b'"a"b,"c\n', b'""x,"y\n1,"\n', b'1,"\n', b'"""",""x\n'):
            with self.subTest(line):
                (self.folder / "payments.csv").write_bytes(header + line * 20_000)
                reader = CountingReader((self.folder / "payments.csv").read_bytes())
                for _ in iterate_records(reader):
                    pass
                # Each line may be read once more, and the search looks some lines ahead.
                self.assertLess(reader.count, 10 * 20_000 * line.count(b"\n"))


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


class AFieldThatIsTooLong(FaultCase):
    """It is named by its number, however the others are quoted."""

    def test_behind_a_comma_or_a_line_break_in_quotes(self) -> None:
        for name, line in ((b'"Brown, Bob"', 3), (b'"Bob\nBrown"', 4)):
            with self.subTest(name):
                self.write_all()
                text = name + b",GB," + b"x" * 131_073
                self.edit("users", swap_bytes(b"Bob Brown,GB,Leeds", text))
                (told,) = self.tell()
                self.assertTrue(told.startswith(f"users.csv:{line}:5: E_TOO_LONG"), told)

    def test_of_which_the_commas_are_its_own(self) -> None:
        text = b'"' + b"Brown, " * 20_000 + b'"'
        self.edit("users", swap_bytes(b"Bob Brown", text))
        (told,) = self.tell()
        self.assertTrue(told.startswith("users.csv:3:3: E_TOO_LONG"), told)

    def test_costs_no_memory(self) -> None:
        self.edit("users", lambda data: data.replace(b"\n", b"\r") * 120_000)
        size = (self.folder / "users.csv").stat().st_size
        self.assertGreater(size, 40_000_000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        result = self.ingest()
        self.assertIn("users.csv:1: E_LINE_END", result.stderr)
        self.assertLess(tracemalloc.get_traced_memory()[1], size // 2)


class AKeyTwice(FaultCase):
    """Rows that share a key are told against the first one, whatever else they are."""

    def test_in_rows_that_are_both_refused(self) -> None:
        self.edit("users", set_cell(3, 4, "x"))
        self.edit("users", set_cell(5, 4, "y"))
        self.edit("users", set_cell(5, 1, "2"))
        self.assertEqual(
            [told for told in self.tell() if "E_DUPLICATE" in told],
            [
                (
                    "users.csv:5:1: E_DUPLICATE user_id '2' is already in line 3, expected it"
                    " once"
                )
            ],
        )

    def test_three_times_names_the_first(self) -> None:
        self.edit("users", lambda data: data + data.splitlines(keepends=True)[2] * 2)
        self.assertEqual(
            self.tell(),
            [
                f"users.csv:{line}:{what} is already in line 3, expected it once"
                for line in (6, 7)
                for what in (
                    "1: E_DUPLICATE user_id '2'",
                    "2: E_DUPLICATE email 'bob@example.com'",
                )
            ],
        )

    def test_is_not_found_in_pieces_of_rows(self) -> None:
        # The second line begins with the key of another row, and is none.
        self.edit("users", swap_bytes(b"Bob Brown", b"Bob\n3,Brown"))
        self.assertEqual(
            {(fault.file, fault.line, fault.code) for fault in self.find().first},
            {("users.csv", 3, "E_FIELDS"), ("users.csv", 4, "E_FIELDS")},
        )


class AHeader(FaultCase):
    """A header that tells which column is which hides no row; others say that they do."""

    def test_with_a_name_that_means_one_column_is_read_on_from(self) -> None:
        self.edit("users", swap_bytes(b",city,", b",City,"))
        self.edit("users", set_cell(3, 5, ""))
        self.edit("orders", set_cell(9, 2, "77"))
        self.assertEqual(
            self.tell(),
            [
                "users.csv:1:5: E_HEADER column 'City' is not expected; did you mean city?",
                "users.csv:3:5: E_MISSING city is '', expected a value",
                "orders.csv:9:2: E_REFERENCE user_id 77 is not in users.csv",
            ],
        )

    def test_after_blank_lines_is_read_on_from(self) -> None:
        self.edit("users", set_cell(3, 5, ""))
        self.edit("users", put(b"\n\n", at=0))
        self.assertEqual(
            [told.split(" ")[:2] for told in self.tell()],
            [["users.csv:1:", "E_BLANK_LINE"], ["users.csv:5:5:", "E_MISSING"]],
        )

    def test_that_does_not_tell_says_what_was_not_looked_at(self) -> None:
        self.edit("users", swap_bytes(b",city,", b",place,"))
        self.edit("orders", set_cell(9, 2, "77"))
        *_, last = self.tell()
        self.assertTrue(
            last.endswith(
                "column city is missing; its rows were not checked; references to"
                " users.csv were not checked"
            ),
            last,
        )

    def test_whose_name_may_mean_two_columns_is_not_guessed_at(self) -> None:
        columns = b"shipping_cents,tax_cents,total_cents"
        self.edit("orders", swap_bytes(columns, b"shipping_cents,tax_cents,otal_cents"))
        self.edit("orders", swap_bytes(b"subtotal_cents", b"btotal_cents"))
        self.assertIn("its rows were not checked", self.tell()[-1])

    def test_in_another_order_gives_an_orphan_its_own_field(self) -> None:
        self.edit("orders", set_cell(9, 2, "77"))
        self.edit(
            "orders",
            lambda data: b"".join(
                b",".join(reversed(line.split(b","))) + b"\n" for line in data.splitlines()
            ),
        )
        # Of nine columns the second is now the eighth.
        self.assertEqual(
            self.tell(), ["orders.csv:9:8: E_REFERENCE user_id 77 is not in users.csv"]
        )


class AnUnreadableParent(FaultCase):
    """Its children are judged if its key is known; else its fault says they are not."""

    def test_of_known_key_hides_no_orphan(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"Lee"ds'))
        self.edit("orders", set_cell(9, 2, "77"))
        self.assertIn(
            "orders.csv:9:2: E_REFERENCE user_id 77 is not in users.csv", self.tell()
        )

    def test_of_unknown_key_says_so(self) -> None:
        self.edit("users", swap_bytes(b"2,bob", b'"2"2,bob'))
        (told,) = self.tell()
        self.assertTrue(told.endswith("; references to users.csv were not checked"), told)


class TheList(FaultCase):
    """The faults are listed in the order of the lines."""

    def test_of_a_file_is_in_the_order_of_its_lines(self) -> None:
        self.edit("orders", set_cell(2, 2, "77"))
        self.edit("orders", set_cell(4, 1, "1"))
        self.edit("orders", set_cell(9, 4, "x"))
        found = [(fault.line, fault.code) for fault in self.find().first]
        self.assertEqual(
            [(line, code) for line, code in found if code != "E_REFERENCE" or line == 2],
            [(2, "E_REFERENCE"), (4, "E_DUPLICATE"), (9, "E_RULE")],
        )


class AnOwnSchema(ShopCase):
    """Another schema's rules mean in the diagnosis what they mean in the database."""

    def refuse(self, tables: str, **texts: str) -> list[str]:
        """Load *texts*, by table, under *tables*; return the faults, none if it loads."""
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        (meta,) = re.findall(r"CREATE TABLE submission_meta.*?;", text, re.DOTALL)
        schema = self.folder / "schema.sql"
        schema.write_text(tables + meta, encoding="utf-8")
        for name, cells in texts.items():
            path = self.folder / f"{name}.csv"
            path.write_text(cells, encoding="utf-8", newline="")
        result = self.ingest("--schema", schema)
        self.assertNotIn("Traceback", result.stderr)
        self.assertEqual(result.status, int(bool(result.stderr)), result.stderr)
        return result.stderr.splitlines()[1:]

    def test_takes_integers_to_the_edge_of_64_bits_and_no_further(self) -> None:
        tables = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER) STRICT;"
        for number in (2**63 - 1, -(2**63)):
            with self.subTest(number):
                self.assertEqual(self.refuse(tables, t=f"id,n\n1,{number}\n"), [])
                self.assertEqual(self.query("SELECT n FROM t"), [(number,)])
                # The same cell on the slow road, beside a row that needs it.
                self.assertEqual(
                    self.refuse(tables, t=f"id,n\n1,{number}\n2,x\n"),
                    ["t.csv:3:2: E_INTEGER n is 'x', expected a whole number such as 4299"],
                )
        for number in (2**63, -(2**63) - 1):
            with self.subTest(number):
                self.assertEqual(
                    self.refuse(tables, t=f"id,n\n1,{number}\n"),
                    [
                        (
                            f"t.csv:2:2: E_RANGE n is '{number}', expected an integer of at most"
                            " 64 bits"
                        )
                    ],
                )

    def test_requires_a_key_that_sqlite_would_count_up(self) -> None:
        tables = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT) STRICT;"
        self.assertEqual(
            self.refuse(tables, t="id,n\n1,a\n,b\n"),
            ["t.csv:3:1: E_MISSING id is '', expected a value"],
        )

    def test_compares_as_its_columns_do(self) -> None:
        tables = (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, status TEXT COLLATE NOCASE, zip TEXT,"
            " CONSTRAINT id_is_positive CHECK (t.id > 0),"
            " CONSTRAINT status_is_known CHECK (status IN ('paid')),"
            " CONSTRAINT zip_is_known CHECK (zip IN (12345))) STRICT;"
        )
        self.assertEqual(
            self.refuse(tables, t="id,status,zip\n1,Paid,12345\n0,PAID,12345\n"),
            ["t.csv:3:1: E_RULE id is '0', which breaks the rule id_is_positive"],
        )

    def test_tells_by_what_measure_values_are_the_same(self) -> None:
        table = "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT NOT NULL) STRICT;"
        for index, told in (
            (
                "mail COLLATE NOCASE)",
                "mail 'A' is already in line 2 under the collation NOCASE, expected it once",
            ),
            ("LOWER(mail) DESC)", "LOWER(mail) 'a' is already in line 2, expected it once"),
            (
                "mail) WHERE LENGTH(mail) = 1",
                "mail 'a' is already in line 2, expected it once where LENGTH(mail) = 1",
            ),
        ):
            with self.subTest(index):
                last = "a" if "WHERE" in index else "A"
                faults = self.refuse(
                    f"{table} CREATE UNIQUE INDEX t_mail_idx ON t ({index};",
                    t=f"id,mail\n1,a\n2,bb\n3,b\n4,{last}\n",
                )
                self.assertEqual(faults, [f"t.csv:5:2: E_DUPLICATE {told}"])

    def test_names_a_key_of_several_columns_that_refused_rows_share(self) -> None:
        tables = (
            "CREATE TABLE t (a INTEGER NOT NULL, b INTEGER NOT NULL, c TEXT NOT NULL,"
            " CONSTRAINT t_pk PRIMARY KEY (a, b)) STRICT;"
        )
        self.assertEqual(
            self.refuse(tables, t="a,b,c\n1,1,x\n1,2,\n1,2,\n2,1,y\n"),
            [
                "t.csv:3:3: E_MISSING c is '', expected a value",
                "t.csv:4:3: E_MISSING c is '', expected a value",
                (
                    "t.csv:4:1: E_DUPLICATE a '1', b '2' is already in line 3, expected it"
                    " once"
                ),
            ],
        )

    def test_shows_a_reference_escaped_and_cut(self) -> None:
        tables = (
            "CREATE TABLE p (code TEXT PRIMARY KEY) STRICT;"
            " CREATE TABLE c (id INTEGER PRIMARY KEY, code TEXT REFERENCES P) STRICT;"
        )
        long = "z" * 50
        self.assertEqual(
            self.refuse(tables, p="code\nA\n", c=f'id,code\n1,"A\nc.csv:9"\n2,{long}\n'),
            [
                r"c.csv:2:2: E_REFERENCE code 'A\nc.csv:9' is not in p.csv",
                f"c.csv:4:2: E_REFERENCE code '{long[:40]}'… is not in p.csv",
            ],
        )


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


class OtherPeoplesFiles(ShopCase):
    """CSV files that others wrote: the right cells, or the right fault."""

    def read(self, path: Path) -> tuple[list[dict[str, str]], Faults]:
        """Return the rows of *path* as they are stored, or its faults.

        The schema has the columns of the file's header if SQLite takes them, all optional.
        """
        header = next(csv.reader([_first_line(path)]), [])
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
        faults = find_faults(contract, self.folder)
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

    def test_with_known_faults_get_that_fault(self) -> None:
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

    def test_with_known_content_get_that_content(self) -> None:
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


if __name__ == "__main__":
    unittest.main()
