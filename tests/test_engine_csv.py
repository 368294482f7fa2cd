"""DuckDB reads the cells that the loader reads, or the files are refused before it starts.

The features are those in which readers of CSV differ.
"""

from __future__ import annotations

import csv
import io
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import ClassVar

import run_query
from tests.engine_cases import EngineCase, engine_parts, engine_shop
from tests.support import call
from utils.contract import read_contract
from utils.engines.content import TableContent, read_content
from utils.engines.dialects import DUCKDB, CsvSource
from utils.engines.files import find_table
from utils.engines.process import Row, Script, open_engine, run_script
from utils.engines.session import open_session, run_session
from utils.helpers import DataError

# The bytes of a cell.
CELLS = {
    "a blank before a quote": b' "shoes"',
    "blanks before a quote": b'   "shoes"',
    "a blank before quotes around a comma": b' "a,b"',
    "a blank as quoted text before a quote": b'" ""shoes"""',
    "a tab before a quote": b'\t"shoes"',
    "a no-break space before a quote": b'\xc2\xa0"shoes"',
    "a blank after a quote": b'"shoes" ',
    "a tab after a quote": b'"shoes"\t',
    "text after a quote": b'"shoes"x',
    "a quote within": b'5" shoes',
    "a quote at the end": b'5"',
    "quotes within": b'a "b" c',
    "two quotes within": b'a""b',
    "two quotes at the begin": b'""shoes',
    "quoted text": b'"shoes"',
    "a quoted quote": b'"a""b"',
    "quoted quotes at both ends": b'"""a"""',
    "a quote alone, quoted": b'""""',
    "a quote alone": b'"',
    "a quote that is not closed": b'"shoes',
    "a quote escaped by a backslash": b'"a\\"b"',
    "a backslash": b"a\\",
    "a quoted backslash": b'"a\\"',
    "an escaped line feed": b"a\\nb",
    "a comma in quotes": b'"a,b"',
    "a comma in single quotes": b"'a,b'",
    "single quotes": b"'a'",
    "a quoted LF": b'"a\nb"',
    "a quoted CRLF": b'"a\r\nb"',
    "a quoted CR": b'"a\rb"',
    "a CR": b"a\rb",
    "a NUL": b"a\0b",
    "a BOM": b"\xef\xbb\xbfa",
    "no text": b"",
    "quotes without text": b'""',
    "NULL": b"NULL",
    "null": b"null",
    "quoted NULL": b'"NULL"',
    "\\N": b"\\N",
    "N/A": b"N/A",
    "a number sign": b"#1",
    "two slashes": b"// a",
    "blanks at the ends": b" a ",
    "a tab at the begin": b"\ta",
    "a blank alone": b" ",
    "leading zeros": b"007",
    "a plus sign": b"+1",
    "an exponent": b"1e3",
    "a decimal point": b"1.0",
    "another delimiter": b"a;b|c\td",
    "other line breaks of Unicode": b"a\xe2\x80\xa8b\xc2\x85c\x0b\x0c\x1c\x1d\x1ed",
    "a Control-Z": b"a\x1ab",
    "an accent as a character of its own": b"e\xcc\x81",
    "a character above 65,535": b"\xf0\x9f\x98\x80",
    "a noncharacter": b"\xef\xbf\xbf",
    "Latin-1": b"caf\xe9",
    "half of a surrogate pair": b"\xed\xa0\x80",
    "an overlong NUL": b"\xc0\x80",
    "100,000 characters": b"x" * 100_000,
    "200,000 characters": b"x" * 200_000,
    "200,000 characters in quotes": b'"' + b"x" * 200_000 + b'"',
    "4,000,000 characters": b"x" * 4_000_000,
}


def swap(text: bytes, line: int) -> bytes:
    """Return *text* with LF instead of CRLF at the end of *line*, counted from 0."""
    lines = text.splitlines(keepends=True)
    lines[line] = lines[line].replace(b"\r\n", b"\n")
    return b"".join(lines)


def quote_all(text: bytes) -> bytes:
    """Return *text* with quotes around all cells."""
    return b'"' + text.replace(b",", b'","').replace(b"\n", b'"\n"')[:-1]


# How each form of a file is made of a canonical one, of a header and three lines.
FILES: dict[str, Callable[[bytes], bytes]] = {
    "canonical": lambda text: text,
    "a BOM": lambda text: b"\xef\xbb\xbf" + text,
    "two BOMs": lambda text: b"\xef\xbb\xbf" * 2 + text,
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "CR": lambda text: text.replace(b"\n", b"\r"),
    "CRLF in the header only": lambda text: text.replace(b"\n", b"\r\n", 1),
    "CRLF but in the header": lambda text: swap(text.replace(b"\n", b"\r\n"), 0),
    "LF among CRLF": lambda text: swap(text.replace(b"\n", b"\r\n"), 1),
    "LF after CRLF": lambda text: swap(text.replace(b"\n", b"\r\n"), 3),
    "CR at the end of LF": lambda text: text[:-1] + b"\r",
    "CR at the end of CRLF": lambda text: text[:-1].replace(b"\n", b"\r\n") + b"\r",
    "two CRs at each end": lambda text: text.replace(b"\n", b"\r\r\n"),
    "no line end at the end": lambda text: text[:-1],
    "CRLF and no line end at the end": lambda text: text[:-1].replace(b"\n", b"\r\n"),
    "quotes around all cells": quote_all,
    "quotes around all cells, CRLF": lambda text: quote_all(text).replace(b"\n", b"\r\n"),
    "quotes around the header": lambda text: (
        quote_all(text[: text.index(b"\n") + 1]) + text[text.index(b"\n") + 1 :]
    ),
    "blanks after commas": lambda text: text.replace(b",", b", "),
    "an empty line at the end": lambda text: text + b"\n",
    "an empty line in the middle": lambda text: text.replace(b"\n2,", b"\n\n2,"),
    "an empty line after the header": lambda text: text.replace(b"\n", b"\n\n", 1),
    "an empty line with CRLF": lambda text: text.replace(b"\n", b"\r\n") + b"\r\n",
    "a line of a blank": lambda text: text + b" \n",
    "a line of commas": lambda text: text + b"," * 7 + b"\n",
    "a comment": lambda text: text.replace(b"\n", b"\n# a comment\n", 1),
    "a comma at one end": lambda text: text.replace(b"\n2,", b",\n2,"),
    "a comma at the end of every line": lambda text: text.replace(b"\n", b",\n"),
    "a comma too many and one too few": lambda text: text.replace(b"\n2,", b",\n2"),
    "a cell too few": lambda text: text.replace(b"2,S2,", b"2,"),
    "half a line at the end": lambda text: text[: text.rindex(b",")],
    "a BOM after the header": lambda text: text.replace(b"\n1", b'\n\xef\xbb\xbf"1"', 1),
    "half of a BOM at the end": lambda text: text[: text.index(b"\n") + 1] + b"\xef\xbb",
    "no rows": lambda text: text[: text.index(b"\n") + 1],
    "a header without line end": lambda text: text[: text.index(b"\n")],
    "nothing": lambda _: b"",
}

# Texts in a column of integers, all of them in bounds if they are read as numbers.
NUMBERS = (
    *("0", "7", "007", "+7", "-0", "00", "1e3", "1E3", "1.0", "1.", "7.5", ".5", "1,000"),
    *(
        " 7",
        "7 ",
        "\t7",
        "7\t",
        "\xa07",
        "1_000",
        "1'000",
        "0x10",
        "0b1",
        "0o7",
        "1f",
        "7L",
    ),
    *("\u0663", "\uff17", "\u00b2", "\u22127", "--7", "+-7", "7-", "+", "-", "x"),
    *("true", "NaN", "inf", "NULL", "$7", "7%", "7 7", "\ufeff7", "7\n", "\n7"),
    *(f"{2**31}", f"{2**53 + 1}", f"{2**63 - 1}", f"{2**63}", f"{10**30}", "0" * 400),
)

# What the cells of a random file are made of.
FRAGMENTS = [cell for cell in CELLS.values() if len(cell) < 100] + [b"\xef\xbb"]

COLUMNS = [
    *("product_id", "sku", "product_name", "category", "brand"),
    *("price_cents", "cost_cents", "launched_at"),
]


def write_products(cell: bytes, columns: list[str]) -> bytes:
    """Return a file of three products; the second one has the category *cell*."""
    lines = [",".join(columns).encode()]
    for number in (1, 2, 3):
        cells: dict[str, bytes] = {
            "product_id": b"%d" % number,
            "sku": b"S%d" % number,
            "category": cell if number == 2 else b"socks",
            "price_cents": b"100",
            "cost_cents": b"50",
            "launched_at": b"2025-01-01T00:00:00Z",
        }
        lines.append(b",".join(cells.get(name, b"text") for name in columns))
    return b"\n".join(lines) + b"\n"


def draw_products(draw: random.Random) -> bytes:
    """Return a file of at most five products in *draw*'s form, CSV or not."""
    end = draw.choice((b"\n", b"\n", b"\r\n"))
    text = draw.choice((b"", b"", b"", b"\xef\xbb\xbf")) + ",".join(COLUMNS).encode() + end
    for number in range(draw.randrange(6)):
        width = draw.choices((len(COLUMNS), 7, 9), (98, 1, 1))[0]
        cells = [b"%d" % number]
        for _ in range(width - 1):
            count = draw.choices((0, 1, 2), (80, 17, 3))[0]
            cells.append(b"a" if count == 0 else b"".join(draw.choices(FRAGMENTS, k=count)))
        odd = draw.choice((b"\n", b"\r\n", b"\r", b"\n\n", b"", b",\n"))
        text += b",".join(cells) + (odd if draw.random() < 0.02 else end)
    return text[: -draw.randrange(1, 4)] if draw.random() < 0.1 else text


def list_features() -> dict[str, bytes]:
    """Return the bytes of products.csv with each feature, by its name."""
    last = [name for name in COLUMNS if name != "category"] + ["category"]
    first = ["category", *last[:-1]]
    features = {
        f"{name}, {place}": write_products(cell, columns)
        for name, cell in CELLS.items()
        for place, columns in (("within", COLUMNS), ("first", first), ("last", last))
    }
    plain = write_products(b"shoes", COLUMNS)
    return features | {name: change(plain) for name, change in FILES.items()}


class CsvFeatures(EngineCase):
    """What readers of CSV read in different ways gives no different answer."""

    engine: ClassVar[str] = "duckdb"

    def setUp(self) -> None:
        """Write the header of each table."""
        super().setUp()
        for table in read_contract().tables:
            self.write(table.name, ",".join(table.column_names).encode() + b"\n")

    def write(self, table: str, data: bytes) -> None:
        """Write the file of *table*."""
        (self.folder / f"{table}.csv").write_bytes(data)

    def load_products(self) -> list[Row] | None:
        """Return the products as the loader reads them, or None if it refuses them."""
        if self.ingest("--quiet").status != 0:
            return None
        with closing(sqlite3.connect(self.database)) as connection:
            columns = ", ".join(f"CAST({name} AS TEXT)" for name in COLUMNS)
            return connection.execute(
                f"SELECT {columns} FROM products ORDER BY product_id"
            ).fetchall()

    def survey_products(self) -> TableContent | DataError:
        """Return what is found in the file before an engine starts, or its error."""
        try:
            (table,) = (
                table for table in read_contract().tables if table.name == "products"
            )
            return read_content(find_table(table, self.folder), has_fingerprint=False)
        except DataError as error:
            return error

    def add_products(self, script: Script, at: int, content: TableContent) -> None:
        """Add to *script* the query *at* of the products in the file that was surveyed."""
        copy = self.folder / f"products-{at}.csv"
        shutil.copy(self.folder / "products.csv", copy)
        source = CsvSource(
            content.files.header, self.folder, [copy], [], content.has_quotes
        )
        script.add_statements(*DUCKDB.read_csv(f"products_{at}", source))
        columns = ", ".join(COLUMNS)
        script.add_query(str(at), f"SELECT {columns} FROM products_{at} ORDER BY 1")

    def test_duckdb_reads_what_the_loader_reads_or_nothing(self) -> None:
        script = Script(DUCKDB)
        loaded: dict[str, list[Row] | None] = {}
        for at, (name, data) in enumerate(list_features().items()):
            self.write("products", data)
            rows, content = self.load_products(), self.survey_products()
            if isinstance(content, DataError):
                self.assertIn("products.csv:", str(content), name)
                continue
            loaded[name] = rows
            self.add_products(script, at, content)
        run_script(open_engine("duckdb"), script, self.folder)
        for (name, rows), found in zip(loaded.items(), script.rows.values(), strict=True):
            with self.subTest(name):
                if rows is not None:
                    self.assertEqual(found, rows)
                else:
                    # A proof refuses what the loader refuses: no value, or no integer.
                    invalid = [row for row in found if None in row or not row[0].isdigit()]
                    self.assertTrue(invalid, found)

    def test_random_files_are_read_alike_or_refused(self) -> None:
        draw, script = random.Random(17), Script(DUCKDB)  # noqa: S311
        expected: dict[str, list[Row]] = {}
        for at in range(1000):
            data = draw_products(draw)
            self.write("products", data)
            content = self.survey_products()
            if isinstance(content, TableContent):
                text = io.StringIO(data.decode("utf-8-sig"), newline="\n")
                _, *rows = csv.reader(text, strict=True)
                expected[str(at)] = [tuple(cell or None for cell in row) for row in rows]
                self.add_products(script, at, content)
        run_script(open_engine("duckdb"), script, self.folder)
        self.assertEqual(script.rows, expected)
        self.assertGreater(len(expected), 300)

    def test_both_read_what_is_unusual_but_unambiguous(self) -> None:
        features = list_features()
        for name in (
            *("canonical", "a BOM", "CRLF", "quotes around all cells, CRLF"),
            *("a quote within, last", "a quoted CRLF, first", "quoted NULL, within"),
            *("leading zeros, within", "100,000 characters, last", "no rows"),
        ):
            with self.subTest(name):
                self.write("products", features[name])
                self.assertIsInstance(self.survey_products(), TableContent)

    def test_same_texts_are_integers(self) -> None:
        lines, expected = [], []
        for number, text in enumerate(NUMBERS, 1):
            line = write_products(b"shoes", COLUMNS).splitlines()[1].decode()
            quoted = '"' + text + '"'
            lines.append(
                line.replace("1,S1,", f"{number},S{number},").replace("50", quoted)
            )
            self.write("products", "\n".join([",".join(COLUMNS), lines[-1], ""]).encode())
            if self.load_products() is not None:
                expected.append(text)
        self.write("products", "\n".join([",".join(COLUMNS), *lines, ""]).encode())
        session = open_session(open_engine("duckdb"), self.folder)
        session.script.add_query(
            "numbers",
            "SELECT product_id FROM products WHERE cost_cents IS NOT NULL"
            " ORDER BY product_id",
        )
        run_session(session)
        found = [NUMBERS[number - 1] for (number,) in session.script.rows["numbers"]]
        self.assertEqual(found, expected)
        self.assertIn("7", found)
        self.assertNotIn("007", found)

    def assert_refused(self, words: str) -> None:
        """Fail unless DuckDB's query and report end with *words*, none of them its own."""
        for run in (self.run_query, self.report):
            result = run(self.engine)
            self.assertEqual((result.status, result.stdout), (1, ""), result)
            self.assertIn(words, result.stderr)
            self.assertNotIn("DuckDB ended", result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertFalse(self.out_dir.exists())

    def test_blank_before_a_quote_does_not_change_a_segment_in_silence(self) -> None:
        self.write("products", write_products(b' "shoes"', COLUMNS))
        self.assertIsNotNone(self.load_products())
        self.assert_refused("products.csv:3: the cell ' \"shoes\"' has a blank before")

    def test_mixed_line_ends_are_refused_in_words_with_a_remedy(self) -> None:
        text = write_products(b"shoes", COLUMNS)
        self.write("products", FILES["LF among CRLF"](text))
        self.assertIsNotNone(self.load_products())
        self.assert_refused("products.csv:2: this row ends with LF, the first line break")
        self.assert_refused("Write all lines with LF, or load the files")


class FaultsOfParts(EngineCase):
    """The part and the line at fault are named, not the first part."""

    engine: ClassVar[str] = "duckdb"

    def setUp(self) -> None:
        """Copy a shop in three parts; name the second one of the users."""
        super().setUp()
        self.shop = self.folder / "parts"
        shutil.copytree(engine_parts(3), self.shop)
        self.part = self.shop / "users.csv.part-2-of-3"
        first = self.shop / "users.csv.part-1-of-3"
        self.header = first.read_bytes().splitlines(keepends=True)[0]
        # Only the first part of the generator has a header.
        self.rows = self.part.read_bytes()

    def assert_refused(self, words: str) -> None:
        """Fail unless the query reports *words* after the name of the second part."""
        source = ["--engine", self.engine, "--data-dir", self.shop]
        result = call(run_query.main, *source, "--out-dir", self.out_dir)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn(f"{self.part}{words}", result.stderr)

    def test_fault_names_its_part_and_line(self) -> None:
        first = self.rows.splitlines(keepends=True)[0]
        for name, line, words in (
            ("Latin-1", b"\xe9\n", ":3: the byte 0xE9 is not UTF-8"),
            ("a NUL", b"\0\n", ":3: is not CSV: a NUL byte"),
            ("few cells", b"1,2\n", ":3: the number of cells is 2, expected 7"),
            ("an empty line", b"\n", ":3: is an empty line"),
            ("an open quote", b'1,"a\n', ":3: is not CSV: a cell begins with a quote"),
            ("text after a quote", b'1,"a"b\n', ":3: is not CSV: text follows"),
            ("a blank", b'1, "a",,,,,\n', ":3: the cell ' \"a\"' has a blank before"),
            ("a line end", b"1,a,,,,,\r\n", ":3: this row ends with CRLF"),
            ("no line end", b"1,a,,,,,", ": its last line has no line end"),
            ("a long line", b"x" * 4_000_000 + b"\n", ":3: is not CSV: a line that is too"),
        ):
            with self.subTest(name):
                self.part.write_bytes(self.header + first + line)
                self.assert_refused(words)

    def test_cell_that_begins_in_one_part_and_ends_in_the_next_is_refused(self) -> None:
        name = self.rows.split(b",")[2]
        before, after = self.rows.split(name, 1)
        self.part.write_bytes(before + b'"A\n')
        following = self.shop / "users.csv.part-3-of-3"
        following.write_bytes(b'B"' + after + following.read_bytes())
        self.assert_refused(":1: is not CSV: a cell begins with a quote and has no closing")

    def test_mark_before_rows_without_header_is_refused(self) -> None:
        self.part.write_bytes(b"\xef\xbb\xbf" + self.rows)
        self.assert_refused(":1: begins with a byte order mark")

    def test_header_of_a_part_that_is_not_that_of_the_table_is_named(self) -> None:
        first, *rest = self.header.decode().split(",")
        for name, columns in (
            ("another order", [*rest[:-1], first, rest[-1]]),
            ("another name", ["id", *rest]),
            ("a column too few", rest),
        ):
            with self.subTest(name):
                self.part.write_bytes(",".join(columns).encode() + self.rows)
                self.assert_refused(f":1: the columns are '{columns[0]}, ")

    def test_header_with_another_line_end_than_its_rows_is_refused(self) -> None:
        self.part.write_bytes(self.header.replace(b"\n", b"\r\n") + self.rows)
        self.assert_refused(":2: this row ends with LF, the first line break")

    def test_line_break_in_the_first_row_that_hides_the_line_end_is_refused(self) -> None:
        # Without a header, engines take the break in quotes for the line end of the part.
        for line_break, end in (
            *((b"\r\n", b"\n"), (b"\r", b"\n")),
            *((b"\n", b"\r\n"), (b"\r", b"\r\n")),
        ):
            rows = self.rows.replace(b"\n", end)
            name = rows.split(b",")[2]
            broken = rows.replace(name, b'"A' + line_break + b'B"', 1)
            with self.subTest(line_break=line_break, end=end):
                self.part.write_bytes(broken)
                self.assert_refused(":1: this row ends with ")
                header = self.header.replace(b"\n", end)
                self.part.write_bytes(header + broken)
                source = ["--engine", self.engine, "--data-dir", self.shop]
                result = call(run_query.main, *source, "--out-dir", self.out_dir)
                self.assertEqual(result.status, 0, result)

    def test_parts_with_line_ends_of_their_own_give_the_same_results(self) -> None:
        for header in (self.header, b""):
            with self.subTest(header=header):
                self.part.write_bytes((header + self.rows).replace(b"\n", b"\r\n"))
                self.assert_same_query(engine_shop(), self.shop, "--by", "channel")
