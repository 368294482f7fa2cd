"""The CSV files of an engine: found in every layout, described as the loader does."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import unittest
from pathlib import Path

from tests.engine_cases import TABLES, FilesCase, engine_parts, engine_shop
from tests.fault_case import zip_up
from tests.support import (
    skip_on_windows,
)
from utils.contract import read_contract
from utils.engines.content import read_content, read_contents
from utils.engines.dialects import DIALECTS, DUCKDB, join_hadoop_paths
from utils.engines.files import find_table, find_tables
from utils.engines.process import (
    require_64_bits,
    select_error_lines,
)
from utils.engines.proofs import list_rules, translate_rule
from utils.helpers import ENGINE_NAMES, DataError
from utils.manifest import Manifest, compare_with_manifest

PLAN = ("--users", "60", "--start", "2025-12-01")


class FilesOfATable(FilesCase):
    """A table is one file or several parts; its content is what the loader records."""

    def find(self, folder: Path) -> None:
        """Find the tables in *folder*."""
        find_tables(read_contract(), folder)

    def test_content_equals_what_the_loader_records(self) -> None:
        self.copy_sample()
        users = (self.folder / "users.csv").read_text(encoding="utf-8")
        texts = {
            "canonical": users,
            "CRLF": users.replace("\n", "\r\n"),
            "a BOM": "\ufeff" + users,
            "quotes": users.replace(",", '","').replace("\n", '"\n"')[:-1].join(['"', ""]),
            "no line end at the end": users.removesuffix("\n"),
            "other columns": "".join(
                ",".join([*line.split(",")[1:], line.split(",")[0]]) + "\n"
                for line in users.splitlines()
            ),
        }
        for name, text in texts.items():
            with self.subTest(name):
                (self.folder / "users.csv").write_text(text, encoding="utf-8", newline="")
                self.assertEqual(self.ingest().status, 0)
                contents = read_contents(
                    find_tables(read_contract(), self.folder), has_fingerprints=False
                )
                computed = [
                    (content.sha256, str(content.bytes), str(content.rows), content.form)
                    for content in contents
                ]
                recorded = [
                    tuple(
                        self.recorded(f"{table}.csv", fact)
                        for fact in ("sha256", "bytes", "rows", "form")
                    )
                    for table in TABLES
                ]
                self.assertEqual(computed, recorded)
                self.assertEqual(
                    [content.content_sha256 for content in contents],
                    [self.recorded(table, "content_sha256") for table in TABLES],
                )

    def recorded(self, subject: str, fact: str) -> str:
        """Return a fact of `submission_meta`."""
        ((value,),) = self.query(
            "SELECT value FROM submission_meta WHERE subject = ? AND property = ?",
            subject,
            fact,
        )
        return str(value)

    def test_parts_have_the_same_content_in_every_layout(self) -> None:
        complete = engine_shop(*PLAN)
        expected = read_contents(
            find_tables(read_contract(), complete), has_fingerprints=True
        )
        spark = self.folder / "written by Spark"
        own = self.folder / "in folders of their own"
        for table in TABLES:
            header, *rows = (
                (complete / f"{table}.csv").read_text(encoding="utf-8").splitlines(True)
            )
            for at in range(12):
                part = spark / table / f"part-{at:05}-abc.csv"
                part.parent.mkdir(parents=True, exist_ok=True)
                few = rows[len(rows) * at // 12 : len(rows) * (at + 1) // 12]
                part.write_text(header + "".join(few), encoding="utf-8", newline="\n")
            (spark / table / "_SUCCESS").touch()
            for path in engine_parts(3, *PLAN).glob(f"{table}.csv.part-*"):
                number = path.name.partition(".csv.")[2]
                (own / number).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, own / number / f"{table}.csv")
        parts = [engine_parts(count, *PLAN) for count in (1, 3, 16)]
        for folder in (spark, own, *parts):
            with self.subTest(folder.name):
                found = read_contents(
                    find_tables(read_contract(), folder), has_fingerprints=True
                )
                # All fields except the files.
                self.assertEqual(
                    [each[1:] for each in found], [each[1:] for each in expected]
                )

    def test_quoted_cell_anywhere_in_a_large_file_keeps_all_rows(self) -> None:
        table = read_contract().tables[0]
        lines = [
            f"{number},user{number}@example.com,Ana Example,DE,Berlin,search,"
            "2025-01-01T00:00:00Z"
            for number in range(1, 30_001)
        ]
        for row in (0, 15_000, 29_999, None):
            rows = list(lines)
            if row is not None:
                rows[row] = rows[row].replace("Ana Example", '"Example, Ana"')
            data = "\n".join([",".join(table.column_names), *rows, ""]).encode()
            # The reader takes several blocks, of which at most one has the quotes.
            self.assertGreater(len(data), 2 << 20)
            (self.folder / "users.csv").write_bytes(data)
            content = read_content(find_table(table, self.folder), has_fingerprint=True)
            digests = (hashlib.md5(text.encode(), usedforsecurity=False) for text in rows)
            with self.subTest(row=row):
                self.assertEqual(content.rows, 30_000)
                self.assertEqual(content.content_sha256, hashlib.sha256(data).hexdigest())
                self.assertEqual(
                    content.fingerprint,
                    sum(int(digest.hexdigest()[:15], 16) for digest in digests),
                )
                self.assertEqual(
                    content.form, "canonical" if row is None else "UTF-8, quotes"
                )

    def test_manifest_that_lists_parts_is_compared_by_their_joined_hash(self) -> None:
        document = json.loads((engine_shop(*PLAN) / "datapackage.json").read_bytes())
        (listed,) = [each for each in document["resources"] if each["name"] == "users"]
        sha256 = listed["hash"].removeprefix("sha256:")
        listed["path"] = [f"users.csv.part-{number}-of-3" for number in (1, 2, 3)]
        manifest = Manifest(document, "0" * 64)
        for digest, words in ((sha256, "matches"), ("1" * 64, "differs")):
            self.assertEqual(compare_with_manifest(manifest, "users.csv", digest), words)

    def test_missing_part_table_or_folder_is_named(self) -> None:
        shutil.copytree(engine_parts(3, *PLAN), self.folder / "parts")
        (self.folder / "parts" / "orders.csv.part-2-of-3").unlink()
        words = r"orders\.csv\.part-2-of-3: no such file; of 3 parts, number 2 is missing"
        with self.assertRaisesRegex(DataError, words):
            self.find(self.folder / "parts")
        with self.assertRaisesRegex(DataError, "users.csv: no such file"):
            self.find(self.folder)
        with self.assertRaisesRegex(DataError, "no such folder"):
            self.find(self.folder / "nowhere")

    def test_part_of_another_number_or_twice_is_named(self) -> None:
        parts = self.folder / "parts"
        for name in ("orders.csv.part-4-of-3", "orders.csv.part-02-of-3"):
            with self.subTest(name):
                shutil.copytree(engine_parts(3, *PLAN), parts)
                shutil.copy(parts / "orders.csv.part-2-of-3", parts / name)
                with self.assertRaisesRegex(
                    DataError, r"part-\d+-of-3: there is no such part"
                ):
                    self.find(parts)
                shutil.rmtree(parts)

    def test_table_in_two_layouts_is_refused(self) -> None:
        self.copy_sample()
        shutil.copytree(engine_parts(3, *PLAN), self.folder, dirs_exist_ok=True)
        with self.assertRaisesRegex(DataError, "users more than once"):
            self.find(self.folder)

    def test_file_without_header_or_utf_8_is_refused(self) -> None:
        for name, text, words in (
            ("no header", b"1,2\n", "Correct the header"),
            ("Latin-1", b"\xe9", r"csv:302: the byte 0xE9 is not UTF-8"),
        ):
            with self.subTest(name):
                self.copy_sample()
                path = self.folder / "products.csv"
                head = b"" if name == "no header" else path.read_bytes()
                path.write_bytes(head + text)
                with self.assertRaisesRegex(DataError, words):
                    read_contents(
                        find_tables(read_contract(), self.folder), has_fingerprints=False
                    )


class ForeignFiles(FilesCase):
    """What is there instead of a CSV file is named before an engine starts."""

    def refuse(self, data: bytes, *words: str) -> None:
        """Replace orders.csv by *data*; fail unless the error has all *words*."""
        path = self.folder / "orders.csv"
        path.write_bytes(data)
        with self.assertRaises(DataError) as caught:
            find_tables(read_contract(), self.folder)
        for word in (f"{path}:1: ", *words):
            self.assertIn(word, str(caught.exception))

    def test_workbook_page_or_archive_in_place_of_a_file_is_named(self) -> None:
        self.copy_sample()
        book = zip_up("[Content_Types].xml", "xl/workbook.xml")
        self.refuse(book, "looks like an Excel workbook, expected CSV; open it and save")
        self.refuse(b"<!DOCTYPE html>\n<html>", "an HTML page", "download the CSV file")
        self.refuse(gzip.compress(b"order_id"), "a gzip file, expected CSV; decompress it")

    def test_file_in_utf_16_is_named(self) -> None:
        self.copy_sample()
        text = (self.folder / "orders.csv").read_text(encoding="utf-8")
        for codec in ("utf-16", "utf-16-le", "utf-32"):
            with self.subTest(codec):
                words = f"looks like {codec[:6].upper()}, expected UTF-8; save it as UTF-8"
                self.refuse(text.encode(codec), words)

    def test_lines_in_quotes_are_named(self) -> None:
        self.copy_sample()
        lines = (self.folder / "orders.csv").read_bytes().splitlines()
        data = b"".join(b'"%s"\n' % line for line in lines)
        self.refuse(data, "the complete line is in quotes", "remove the quotes around")

    def test_file_with_the_columns_of_another_table_is_named(self) -> None:
        self.copy_sample()
        for other in ("users", "order_items"):
            with self.subTest(other):
                data = (self.folder / f"{other}.csv").read_bytes()
                self.refuse(data, f"these are the columns of {other}.csv; name each file")

    def test_workbook_among_the_parts_of_a_table_is_named(self) -> None:
        shutil.copytree(engine_parts(3, *PLAN), self.folder, dirs_exist_ok=True)
        path = self.folder / "orders.csv.part-2-of-3"
        path.write_bytes(zip_up("xl/workbook.xml"))
        with self.assertRaisesRegex(DataError, "part-2-of-3:1: .* an Excel workbook"):
            find_tables(read_contract(), self.folder)


class Dialects(unittest.TestCase):
    """What an engine gets is in its own dialect."""

    def test_rules_are_translated_from_what_only_sqlite_understands(self) -> None:
        for dialect in DIALECTS.values():
            for table, rules in list_rules(read_contract()):
                for rule in rules:
                    with self.subTest(dialect.name, table=table.name, rule=rule.name):
                        text = translate_rule(dialect, rule.expression)
                        self.assertNotIn("GLOB", text)
                        self.assertNotIn("+0 days", text)

    def test_each_engine_of_the_command_line_has_a_dialect(self) -> None:
        self.assertEqual(tuple(DIALECTS), ENGINE_NAMES)

    def test_integer_beyond_64_bits_is_refused(self) -> None:
        require_64_bits(DUCKDB, "sums", [2**63 - 1, None, "text"])
        for value in (2**63, -(2**63) - 1):
            with self.assertRaisesRegex(DataError, "overflow 64-bit integers"):
                require_64_bits(DUCKDB, "sums", [1, value])

    def test_hadoop_path_joins_several_files_and_refuses_patterns(self) -> None:
        skip_on_windows("the paths are POSIX")
        self.assertEqual(join_hadoop_paths([Path("/a b/x.csv")]), "file:///a b/x.csv")
        self.assertEqual(
            join_hadoop_paths([Path("/d/1/x.csv"), Path("/d/2/x.csv")]),
            "file:///d/{1/x.csv,2/x.csv}",
        )
        with self.assertRaisesRegex(DataError, "Rename"):
            join_hadoop_paths([Path("/a[1]/x.csv")])

    def test_only_the_error_is_selected_from_a_log(self) -> None:
        log = (
            "Using Spark's default log4j profile: x\n"
            "26/11/25 06:54:11 WARN FileStreamSink: Assume no metadata\n"
            "java.io.FileNotFoundException: File file:/{a,b} does not exist\n"
            "\tat org.apache.hadoop.fs.X.y(X.java:1)\n"
            "[PATH_NOT_FOUND] Path does not exist: file:/a. SQLSTATE: 42K03\n"
            "Time taken: 1 seconds\n"
        )
        self.assertEqual(
            select_error_lines(log),
            ["[PATH_NOT_FOUND] Path does not exist: file:/a. SQLSTATE: 42K03"],
        )
