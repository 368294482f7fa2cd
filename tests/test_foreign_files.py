"""Files of other programs: a workbook, an archive, a page; each is named in one line."""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import sqlite3
from contextlib import closing

from tests.fault_case import FaultCase, put, set_line, swap_bytes, zip_up
from utils.contract import read_contract
from utils.signatures import find_other_encoding

UNCHECKED = "; its rows were not checked; references to users.csv were not checked"


class Containers(FaultCase):
    """A file that is not CSV has one fault, which names the format and the next step."""

    def expect(self, data: bytes, *words: str) -> None:
        """Replace users.csv by *data*; fail unless its only fault has all *words*."""
        (self.folder / "users.csv").write_bytes(data)
        (fault,) = self.list_faults()
        self.assertTrue(fault.startswith("users.csv:1: E_FORMAT the file looks like "))
        self.assertTrue(fault.endswith(UNCHECKED), fault)
        for word in words:
            self.assertIn(word, fault)

    def test_workbook_renamed_to_csv_is_named(self) -> None:
        for names in (
            ("[Content_Types].xml", "xl/workbook.xml"),
            ("docProps/app.xml", "xl/workbook.xml"),
        ):
            with self.subTest(names):
                self.expect(zip_up(*names), "an Excel workbook", "save its sheet as CSV")
        self.expect(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "(.xls)")

    def test_archive_renamed_to_csv_is_named(self) -> None:
        data = (self.folder / "users.csv").read_bytes()
        self.expect(zip_up("users.csv"), "a ZIP archive, expected CSV; unpack it")
        self.expect(gzip.compress(data), "a gzip file, expected CSV; decompress it")
        self.expect(bz2.compress(data), "a bzip2 file")
        self.expect(lzma.compress(data), "an xz file")

    def test_database_parquet_file_or_document_renamed_to_csv_is_named(self) -> None:
        path = self.folder / "some.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE users (a)")
        self.expect(path.read_bytes(), "an SQLite database", "export the table as CSV")
        self.expect(b"PAR1\x15\x04\x15\x00" + bytes(40) + b"PAR1", "a Parquet file")
        self.expect(b"%PDF-1.7\n", "a PDF document")
        self.expect(b'[{"user_id": 1}]', "a JSON document")

    def test_image_program_or_rtf_document_renamed_to_csv_is_named(self) -> None:
        size = b"\0\0\0\rIHDR" + bytes(200)
        self.expect(b"\x89PNG\r\n\x1a\n" + size, "an image", "get the table itself")
        self.expect(b"\xff\xd8\xff\xe0" + size, "an image")
        self.expect(b"\x7fELF\x02\x01\x01" + bytes(300), "a program, expected CSV")
        self.expect(b"{\\rtf1\\ansi user_id,email}", "an RTF document, expected CSV")

    def test_bytes_of_no_text_are_not_called_an_encoding(self) -> None:
        for head in (b"\x01\x02" + bytes(200), b"\x07\0" * 100, bytes(300)):
            with self.subTest(head[:4]):
                self.assertIsNone(find_other_encoding(head))

    def test_text_of_another_encoding_is_named_without_a_mark(self) -> None:
        text = "user_id,city\r\n1,Dvo\u0159\u00e1kov \u2013 \U0001f600\n" * 9
        for codec in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            for cut in (0, 1, 2, 3):
                with self.subTest(codec, cut=cut):
                    head = text.encode(codec)[: 256 - cut]
                    self.assertEqual(find_other_encoding(head), codec[:6].upper())

    def test_page_saved_instead_of_the_download_is_named(self) -> None:
        for page in (
            b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
            b"\xef\xbb\xbf\r\n <HTML lang=en>",
        ):
            with self.subTest(page):
                self.expect(page, "an HTML page", "download the CSV file again")


class FirstLines(FaultCase):
    """Lines before the header are named, and the rows after it are checked."""

    def test_comment_before_the_header_is_named_and_rows_are_checked(self) -> None:
        self.edit("users", swap_bytes(b"Null,SE", b"Null,x"))
        self.edit("users", put(b"# exported 2025-03-04\n", at=0))
        first, second = self.list_faults()
        self.assertEqual(
            first,
            "users.csv:1: E_HEADER the header is in line 2; remove the comment before it",
        )
        self.assertTrue(second.startswith("users.csv:6:4: E_RULE country_code is 'x'"))

    def test_title_before_the_header_is_named(self) -> None:
        self.edit("users", put(b"All our users,,,,,,\n2025,,,,,,\n\n", at=0))
        self.assertEqual(
            self.list_faults(),
            ["users.csv:1: E_HEADER the header is in line 4; remove the lines before it"],
        )

    def test_file_without_a_header_is_named(self) -> None:
        self.edit("payments", lambda data: data.partition(b"\n")[2])
        (fault,) = self.list_faults()
        self.assertTrue(
            fault.startswith(
                "payments.csv:1: E_HEADER the first line is a row, expected the header"
                " payment_id,order_id,kind,"
            ),
            fault,
        )

    def test_words_of_a_sentence_are_not_columns_separated_by_blanks(self) -> None:
        (self.folder / "users.csv").write_bytes(b"Your export is being made\n")
        (fault,) = self.list_faults()
        self.assertIn("E_HEADER 0 of 7 columns match", fault)

    def test_delimiter_is_named_where_its_pieces_are_similar_to_columns(self) -> None:
        names = b"Order ID;Customer ID;Created at;Status;Sub;Discounts;Shipping;Taxes;Total"
        self.edit("orders", set_line(1, names))
        (fault,) = self.list_faults()
        self.assertIn("orders.csv:1: E_DELIMITER columns look separated by semicol", fault)

    def test_line_in_quotes_is_named_as_one_fault(self) -> None:
        self.edit(
            "users",
            lambda data: b"".join(b'"%s"\n' % line for line in data.splitlines()),
        )
        (fault,) = self.list_faults()
        self.assertEqual(
            fault,
            "users.csv:1: E_QUOTES the complete line is in quotes, which makes it one"
            " field; remove the quotes around the lines" + UNCHECKED,
        )


class ForeignLines(FaultCase):
    """A line that is no row has one fault with its cause."""

    def test_repeated_header_of_joined_files_is_one_fault(self) -> None:
        self.edit("users", lambda data: data + data.splitlines(keepends=True)[0] * 2)
        message = "E_HEADER the header is repeated, as in joined files, remove it"
        self.assertEqual(
            self.list_faults(), [f"users.csv:6: {message}", f"users.csv:7: {message}"]
        )

    def test_lines_of_commas_are_one_fault_each(self) -> None:
        for commas in (b",,,,,,\n", b", ,,,,,\n", b",,,,,,,,\n"):
            with self.subTest(commas):
                self.write_all()
                self.edit("users", lambda data, commas=commas: data + commas * 2)  # type: ignore[misc]
                message = "E_BLANK_LINE the line has commas and no value, remove it"
                self.assertEqual(
                    self.list_faults(),
                    [f"users.csv:6: {message}", f"users.csv:7: {message}"],
                )

    def test_row_in_quotes_or_with_another_delimiter_has_its_cause(self) -> None:
        row = b"5,eve@example.com,Eve,GB,Leeds,social,2024-01-01T00:00:00Z"
        for line, cause in (
            (b'"%s"' % row, "the complete line is in quotes, remove them"),
            (row.replace(b",", b";"), "columns look separated by semicolons"),
        ):
            with self.subTest(line):
                self.write_all()
                self.edit("users", lambda data, line=line: data + line)  # type: ignore[misc]
                (fault,) = self.list_faults()
                self.assertIn(
                    f"users.csv:6: E_FIELDS 1 field, expected 7 as in the header; {cause}",
                    fault,
                )


class ExchangedFiles(FaultCase):
    """A file that contains another table is named as that, in one line."""

    def test_file_with_the_columns_of_another_table_is_named(self) -> None:
        names = [table.name for table in read_contract().tables]
        for name, other in itertools.permutations(names, 2):
            with self.subTest(name, other=other):
                self.write_all()
                data = (self.folder / f"{other}.csv").read_bytes()
                self.edit(name, lambda _, data=data: data)  # type: ignore[misc]
                (fault,) = self.list_faults()
                self.assertTrue(
                    fault.startswith(
                        f"{name}.csv:1: E_HEADER these are the columns of {other}.csv;"
                        " name each file after the table that it contains; its rows were"
                        " not checked"
                    ),
                    fault,
                )

    def test_exchanged_files_have_one_fault_each(self) -> None:
        users, orders = (self.folder / f"{name}.csv" for name in ("users", "orders"))
        text = orders.read_bytes()
        orders.write_bytes(users.read_bytes())
        users.write_bytes(text)
        first, second = self.list_faults()
        self.assertIn("users.csv:1: E_HEADER these are the columns of orders.csv;", first)
        self.assertIn("orders.csv:1: E_HEADER these are the columns of users.csv;", second)

    def test_file_that_lacks_a_column_is_not_called_another_table(self) -> None:
        self.edit("orders", swap_bytes(b"user_id,", b"product_id,"))
        (fault,) = self.list_faults()
        self.assertIn("E_HEADER 8 of 9 columns match", fault)


class Names(FaultCase):
    """The header has one fault: what matches, what is missing, and probable pairs."""

    def test_names_of_a_shop_platform_get_the_probable_columns_in_one_line(self) -> None:
        names = "Order ID,Customer ID,Created at,Status,Subtotal,Discounts,Shipping,Taxes"
        self.edit("orders", set_line(1, f"{names},Total".encode()))
        (fault,) = self.list_faults()
        self.assertIn(
            "orders.csv:1: E_HEADER 0 of 9 columns match; perhaps rename 'Order ID' to"
            " order_id, 'Customer ID' to user_id, 'Created at' to ordered_at, 'Status' to"
            " status, 'Subtotal' to subtotal_cents, 'Discounts' to discount_cents,"
            " 'Shipping' to shipping_cents, 'Taxes' to tax_cents, 'Total' to total_cents;",
            fault,
        )

    def test_extra_columns_have_a_next_step(self) -> None:
        for added, listed in ((b",phone", "'phone'"), (b",phone,note", "'phone', 'note'")):
            with self.subTest(listed):
                self.write_all()
                self.edit(
                    "users", swap_bytes(b"signed_up_at\n", b"signed_up_at%s\n" % added)
                )
                (fault,) = self.list_faults()
                self.assertIn(
                    "7 of 7 columns match; remove, or declare in a schema of your own for"
                    f" --schema, what is not expected: {listed};",
                    fault,
                )

    def test_header_of_very_many_names_is_read_at_once_and_shortened(self) -> None:
        self.edit("users", set_line(1, b",".join(b"x%d" % n for n in range(50_000))))
        (fault,) = self.list_faults()
        self.assertIn("; rename or remove what is not expected: 'x0', 'x1', ", fault)
        self.assertIn("… and 49,980 more; its rows were not checked", fault)

    def test_column_without_a_name_is_named_by_its_field(self) -> None:
        self.edit("users", swap_bytes(b"user_id,email", b"user_id,,email"))
        (fault,) = self.list_faults()
        self.assertIn(
            "7 of 7 columns match; name or remove what has no name: field 2; its", fault
        )

    def test_index_that_pandas_writes_has_a_next_step(self) -> None:
        self.edit("users", lambda data: b"," + data.replace(b"\n", b"\n0,")[:-2])
        (fault,) = self.list_faults()
        self.assertIn(
            "7 of 7 columns match; remove the first column, perhaps the index of pandas;"
            " its rows",
            fault,
        )

    def test_comma_at_the_end_of_each_line_has_a_next_step(self) -> None:
        for end, noun in ((b",", "the comma"), (b",,", "the 2 commas")):
            with self.subTest(end):
                self.write_all()
                self.edit("users", swap_bytes(b"\n", end + b"\n"))
                (fault,) = self.list_faults()
                self.assertIn(
                    f"7 of 7 columns match; remove {noun} at the end of each line; its",
                    fault,
                )

    def test_comma_at_the_end_of_a_row_has_a_next_step(self) -> None:
        self.edit("users", lambda data: data[:-1] + b",\n")
        (fault,) = self.list_faults()
        self.assertEqual(
            fault,
            "users.csv:5: E_FIELDS 8 fields, expected 7 as in the header; remove the comma"
            " at the end of the line",
        )
