"""The report's files, the command line that makes them, and the rows of a check."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import ingest
from db.reporting import report as report_module
from db.reporting.checks import (
    BUILT_IN_CHECKS,
    THRESHOLDS,
    Check,
    Query,
    find_not_applicable,
    list_checks,
)
from db.reporting.markdown import render_markdown
from db.reporting.report import find_nearest_check, read_report, report_database
from tests.report_case import CHECK_COUNT, ReportCase
from tests.shop import PAYMENTS, USERS, Row, create_shop, seal_provenance
from tests.support import ROOT, call, refuse_to_replace
from tests.test_checks import NEED_PAYMENTS
from utils.contract import read_contract
from utils.digest import table_digest
from utils.helpers import DataError, hash_file

# Leaves every entry of an index behind when its row changes.
FORGET_AN_INDEX = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = sql || ' WHERE user_id < 0'
    WHERE name = 'users_email_idx';
    PRAGMA schema_version = 1000;
    UPDATE users SET email = email || '2';
    UPDATE sqlite_schema SET sql = replace(sql, ' WHERE user_id < 0', '');
    PRAGMA schema_version = 1001;
"""


class ReportFiles(ReportCase):
    """The report is written atomically, with the same bytes each time."""

    def test_report_json_and_report_md_are_written_and_nothing_else(self) -> None:
        out_dir = self.folder / "out"
        with mock.patch.object(report_module, "PUBLISHED_DIR", self.folder / "published"):
            report = report_database(self.make_shop(), out_dir)
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "shop.db"])
        self.assertEqual(sorted(os.listdir(out_dir)), ["report.json", "report.md"])
        self.assertEqual(json.loads((out_dir / "report.json").read_bytes()), report)

    def test_without_out_dir_a_copy_is_written_for_the_page(self) -> None:
        root, published = self.folder / "root", self.folder / "root" / "page"
        with (
            mock.patch.object(report_module, "PROJECT_ROOT", root),
            mock.patch.object(report_module, "PUBLISHED_DIR", published),
        ):
            report_database(self.make_shop())
        self.assertEqual(
            (root / "report.json").read_bytes(), (published / "report.json").read_bytes()
        )
        self.assertEqual(sorted(os.listdir(root)), ["page", "report.json", "report.md"])

    def test_refused_copy_leaves_all_files_unchanged(self) -> None:
        root, published = self.folder / "root", self.folder / "page"
        paths = [root / "report.json", root / "report.md", published / "report.json"]
        for folder in (root, published):
            folder.mkdir()
        for path in paths:
            path.write_bytes(b"old")
        with (
            mock.patch.object(report_module, "PROJECT_ROOT", root),
            mock.patch.object(report_module, "PUBLISHED_DIR", published),
            refuse_to_replace("report.md"),
            self.assertRaisesRegex(DataError, "report.md: cannot be written: in use"),
        ):
            report_database(self.make_shop())
        self.assertEqual([path.read_bytes() for path in paths], [b"old"] * 3)
        found = [path for folder in (root, published) for path in folder.iterdir()]
        self.assertEqual(sorted(found), sorted(paths))

    def test_markdown_is_rendered_from_the_json_alone(self) -> None:
        report_database(self.make_shop(), self.folder)
        document = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        self.assertEqual(
            (self.folder / "report.md").read_bytes(), render_markdown(document).encode()
        )

    def test_two_runs_write_the_same_bytes(self) -> None:
        path = self.make_shop()
        for name in ("one", "two"):
            report_database(path, self.folder / name)
        for file in ("report.json", "report.md"):
            one, two = (self.folder / name / file for name in ("one", "two"))
            self.assertEqual(one.read_bytes(), two.read_bytes())

    def test_no_definition_repeats_the_name_of_its_figure(self) -> None:
        report = self.report_shop()
        for key, definition in report["definitions"].items():
            with self.subTest(key):
                self.assertNotIn(": ", definition)
        self.assertEqual(report["definitions"]["net_cents"], "gross − discount − refund")

    def test_report_json_has_the_documented_keys(self) -> None:
        report = self.report_shop()
        self.assertEqual(
            list(report),
            [
                "schema_version",
                "as_of",
                "currency",
                "currency_digits",
                "database",
                "dataset",
                "queries",
                "verdict",
                "kpis",
                "definitions",
                "checks",
                "tables",
                "trends",
                "provenance",
            ],
        )
        self.assertEqual(
            list(report["checks"][0]),
            [
                "check",
                "title",
                "severity",
                "thresholds",
                "status",
                "count",
                "key",
                "columns",
                "sample",
                "note",
                "sql",
                "all_rows",
            ],
        )
        self.assertEqual(report["provenance"]["orders.csv"]["rows"], "8")
        self.assertEqual(
            [(row["table"], row["rows"]) for row in report["tables"]],
            [
                ("users", 4),
                ("products", 4),
                ("orders", 8),
                ("order_items", 10),
                ("payments", 13),
            ],
        )

    def test_report_identifies_the_database_and_leaves_it_unchanged(self) -> None:
        path = self.make_shop()
        before = hash_file(path)
        report = report_database(path, self.folder / "out")
        self.assertEqual(
            report["database"], {"sha256": before, "bytes": path.stat().st_size}
        )
        self.assertEqual(hash_file(path), before)
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "shop.db"])

    def test_path_with_characters_of_a_uri_is_opened(self) -> None:
        folder = self.folder / "50% #1 & a b Ü+"
        folder.mkdir()
        path = create_shop(folder / "shop;mode=rw.db")
        self.assertEqual(read_report(path)["kpis"]["order_count"], 5)

    def test_report_contains_the_digest_of_every_sql_file(self) -> None:
        report = self.report_shop()
        named = [entry["sql"] for entry in report["checks"] if entry["sql"]]
        named += [entry["sql"] for entry in report["trends"].values()]
        self.assertEqual(
            len(named), CHECK_COUNT - len(BUILT_IN_CHECKS) + len(report["trends"])
        )
        for sql in named:
            data = (ROOT / sql["file"]).read_bytes()
            self.assertEqual(hashlib.sha256(data).hexdigest(), sql["sha256"])
        lines = "".join(f"{sql['file']} {sql['sha256']}\n" for sql in named)
        expected = hashlib.sha256(lines.encode()).hexdigest()
        self.assertEqual(report["queries"]["sha256"], expected)

    def test_table_digest_changes_with_any_value_in_place_of_an_integer(self) -> None:
        items = next(t for t in read_contract().tables if t.name == "order_items")
        digests = set()
        values = [12, 13, None, "12\0x", "12 ", "", b"12\0", 12.0, 12.5]
        for value in values:
            with closing(sqlite3.connect(":memory:")) as connection:
                columns = ", ".join(items.column_names)
                connection.execute(f"CREATE TABLE {items.name} ({columns})")
                row = [1, 2, 3, value, 5, 6, 7]
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {items.name} VALUES ({marks})", row)
                digests.add(table_digest(connection, items))
        # NULL and an empty text are the same in a column of integers.
        self.assertEqual(len(digests), len(values) - 1)

    def test_table_digest_changes_with_any_value_in_place_of_a_text(self) -> None:
        payments = next(t for t in read_contract().tables if t.name == "payments")
        values = [
            "card",
            "card\0",
            "card\0x",
            "card,",
            'card"',
            "",
            " ",
            "\n",
            None,
            b"\0",
            5,
        ]
        digests = set()
        for value in values:
            with closing(sqlite3.connect(":memory:")) as connection:
                columns = ", ".join(payments.column_names)
                connection.execute(f"CREATE TABLE {payments.name} ({columns})")
                row = [1, 2, "charge", value, "succeeded", 6, "2024-01-01T00:00:00Z"]
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {payments.name} VALUES ({marks})", row)
                digests.add(table_digest(connection, payments))
        self.assertEqual(len(digests), len(values))

    def test_table_digest_is_the_sha256_of_the_canonical_csv_file(self) -> None:
        names = [
            "Mug",
            "Mug, big",
            'Mug "big"',
            "Mug\nbig",
            "Mug\rbig",
            " Mug'",
            "",
            "\ufeff",
        ]
        rows: list[Row] = [
            (number, f"S{number}", name, "k", "Ö", 5, 2, "2024-01-01T00:00:00Z")
            for number, name in enumerate(names, start=1)
        ]
        path = self.make_shop(products=rows[::-1], order_items=[])
        products = next(t for t in read_contract().tables if t.name == "products")
        digests = set()
        with closing(sqlite3.connect(path)) as connection:
            for batch_rows in (1, 3, 4096):
                with mock.patch("utils.digest._BATCH_ROWS", batch_rows):
                    digests.add(table_digest(connection, products))
        quoted = ["Mug", '"Mug, big"', '"Mug ""big"""', '"Mug\nbig"', '"Mug\rbig"', " Mug'"]
        lines = [
            f"{number},S{number},{name},k,Ö,5,2,2024-01-01T00:00:00Z\n"
            for number, name in enumerate([*quoted, '""', "\ufeff"], start=1)
        ]
        text = ",".join(products.column_names) + "\n" + "".join(lines)
        self.assertEqual(digests, {hashlib.sha256(text.encode("utf-8")).hexdigest()})


class Strict(ReportCase):
    """With `--strict` a pipeline stops on a report with a failed check."""

    def break_shop(self) -> Path:
        """Return a shop with an error (one order has payments) and sample rows enough."""
        path = self.make_shop(payments=PAYMENTS[:1])
        self.assertEqual(read_report(path)["verdict"]["status"], "fail")
        return path

    def test_strict_exits_1_when_a_check_of_severity_error_fails(self) -> None:
        path = self.break_shop()
        arguments: list[object] = ["--report", "--database", path, "--out-dir", self.folder]
        self.assertEqual(call(ingest.main, *arguments).status, 0)
        (self.folder / "report.json").unlink()
        result = call(ingest.main, *arguments, "--strict")
        self.assertEqual(result.status, 1)
        self.assertIn(
            "ingest: error: failed checks: payments_match_order_status", result.stderr
        )
        self.assertTrue((self.folder / "report.json").is_file())

    def test_strict_exits_0_on_warnings(self) -> None:
        path = self.make_shop(as_of="2024-03-15")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "UPDATE submission_meta SET value = 'differs' WHERE property = 'manifest'"
            )
            seal_provenance(connection)
            connection.commit()
        self.assertEqual(read_report(path)["verdict"]["status"], "warn")
        result = call(
            ingest.main,
            "--report",
            "--strict",
            "--database",
            path,
            "--out-dir",
            self.folder,
        )
        self.assertEqual((result.status, result.stderr), (0, ""))

    def test_strict_without_report_is_refused_as_wrong_usage(self) -> None:
        self.assertEqual(call(ingest.main, "--strict").status, 2)

    def test_strict_exits_1_when_an_index_is_missing(self) -> None:
        path = self.make_shop()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP INDEX payments_order_id_idx")
        result = call(
            ingest.main,
            "--report",
            "--strict",
            "--database",
            path,
            "--out-dir",
            self.folder,
        )
        self.assertEqual(result.status, 1)
        self.assertIn("failed checks: database_matches_schema", result.stderr)


class PaymentsNotSupplied(ReportCase):
    """A payments file with a header and no rows is no fault of each order."""

    def test_header_only_payments_make_one_warning_and_no_error(self) -> None:
        report = self.report_shop(payments=[])
        self.assertEqual(
            report["verdict"]["text"], f"Sound. {CHECK_COUNT} checks, 0 errors, 1 warning."
        )
        (warning,) = [each for each in report["checks"] if each["status"] == "warn"]
        self.assertEqual(
            (warning["check"], warning["sample"]),
            ("payments_not_supplied", [["payments.csv", 8, 0]]),
        )

    def test_checks_that_need_payments_are_not_applicable_in_words(self) -> None:
        report = self.report_shop(payments=[])
        without_count = {
            check["check"]: (check["status"], check["note"])
            for check in report["checks"]
            if check["count"] is None
        }
        note = "not applicable: payments.csv has no rows"
        self.assertEqual(without_count, dict.fromkeys(NEED_PAYMENTS, ("info", note)))
        self.assertEqual(render_markdown(report).count(f"| {note} |"), len(NEED_PAYMENTS))

    def test_rows_of_a_check_that_does_not_apply_are_a_note(self) -> None:
        name, path = "payments_match_order_status", self.make_shop(payments=[])
        result = call(ingest.main, "--rows", name, "--database", path)
        note = f"ingest: note: {name}: not applicable: payments.csv has no rows\n"
        self.assertEqual((result.status, result.stderr), (0, note))
        self.assertRegex(result.stdout, r"\Aorder_id,.*\n\Z")

    def test_needed_table_that_does_not_exist_is_named(self) -> None:
        query = Query("mine", {"Needs": "refunds."}, "", "db/checks/mine.sql", "")
        check = Check("mine", "Mine", "error", THRESHOLDS["error"], ["order_id"], query)
        with self.assertRaisesRegex(
            DataError, r"mine.sql: '-- Needs: refunds', expected one of users, orders\."
        ):
            find_not_applicable(check, {"users": 4, "orders": 8})


class RowsOfACheck(ReportCase):
    """`--rows CHECK` prints every row that breaks the rule, as CSV."""

    def test_rows_prints_every_row_of_every_check(self) -> None:
        path = self.make_shop(payments=PAYMENTS[:1])
        report = read_report(path)
        for check in report["checks"]:
            with self.subTest(check["check"]):
                result = call(ingest.main, "--rows", check["check"], "--database", path)
                self.assertEqual((result.status, result.stderr), (0, ""))
                header, *rows = csv.reader(io.StringIO(result.stdout))
                self.assertEqual(header, check["columns"])
                self.assertEqual(len(rows), check["count"])
                shown = [
                    ["" if cell is None else str(cell) for cell in row]
                    for row in check["sample"]
                ]
                self.assertEqual(rows[: len(shown)], shown)
                command = f"python ingest.py --rows {check['check']}"
                expected = None if check["status"] == "pass" else command
                self.assertEqual(check["all_rows"], expected)

    def test_rows_prints_every_row_of_the_built_in_checks(self) -> None:
        users = [(n, f"{n}@x", "N", "SE", "C", "a", USERS[0][6]) for n in range(1, 151)]
        path = self.make_shop(users=users)
        with closing(sqlite3.connect(path)) as connection:
            for table in read_contract().tables:
                column = next(c.name for c in table.columns if c.name not in table.key)
                connection.execute(f"UPDATE {table.name} SET {column} = {column} || '1'")
            connection.execute(
                "UPDATE submission_meta SET value = '1' WHERE property = 'seed'"
            )
            connection.commit()
            connection.executescript(FORGET_AN_INDEX)
        checks = {check["check"]: check for check in read_report(path)["checks"]}
        for name, count in (("database_is_intact", 150), ("files_content_as_loaded", 6)):
            with self.subTest(name):
                self.assertEqual(checks[name]["count"], count)
                result = call(ingest.main, "--rows", name, "--database", path)
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertEqual(len(result.stdout.splitlines()), 1 + count)

    def test_unknown_check_is_named_with_the_most_similar_name(self) -> None:
        result = call(
            ingest.main, "--rows", "duplicate_mail", "--database", self.make_shop()
        )
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertIn(
            "no check 'duplicate_mail'; did you mean duplicate_email?", result.stderr
        )

    def test_nearest_check_is_found_by_the_words_of_name_and_title(self) -> None:
        for given, nearest in (
            ("duplicate-mails", "duplicate_email"),
            ("Users_without_orders", "coverage_users_without_orders"),
            ("negative_amounts", "money_never_negative"),
            ("spreadsheet", "text_looks_like_formula"),
            ("same_product_twice", "duplicate_product_in_order"),
        ):
            with self.subTest(given=given):
                self.assertEqual(find_nearest_check(given, list_checks()), nearest)
        self.assertTrue(find_nearest_check("", list_checks()))


class UnreadableDatabase(ReportCase):
    """It is named, and nothing is written; `test_database` has all the reasons."""

    def test_missing_database_is_named_and_nothing_is_written(self) -> None:
        path, out = self.folder / "none.db", self.folder / "out"
        result = call(ingest.main, "--report", "--database", path, "--out-dir", out)
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertIn(f"ingest: error: {path}: no such file", result.stderr)
        self.assertFalse(out.exists())

    def test_database_replaced_during_the_report_gives_no_report(self) -> None:
        path, out = self.make_shop(), self.folder / "out"

        def replace_database(*_: object) -> str:
            os.utime(path, (1, 1))
            return "0" * 64

        with (
            mock.patch("utils.database.hash_file", replace_database),
            self.assertRaisesRegex(DataError, "was replaced during the run"),
        ):
            report_database(path, out)
        self.assertFalse(out.exists())

    def test_full_temporary_folder_is_named(self) -> None:
        path, out = self.make_shop(), self.folder / "out"
        full = sqlite3.OperationalError("database or disk is full")
        with (
            mock.patch("db.reporting.report.store_shared_ctes", side_effect=full),
            mock.patch.dict(os.environ, SQLITE_TMPDIR=str(self.folder)),
        ):
            result = call(ingest.main, "--report", "--database", path, "--out-dir", out)
        self.assertEqual((result.status, result.stdout), (1, ""))
        where = self.folder if os.name != "nt" else ""
        self.assertIn(f"ingest: error: {where}", result.stderr)
        self.assertIn("has no space for the temporary tables", result.stderr)
        self.assertIn("name another folder in SQLITE_TMPDIR.", result.stderr)

    def test_damaged_database_is_refused_or_fails_database_is_intact(self) -> None:
        for page in range(1, 12):
            with self.subTest(page=page):
                path = self.make_shop()
                with open(path, "rb+") as file:
                    file.seek(page * 4096)
                    file.write(b"\xa5" * 4096)
                try:
                    checks = read_report(path)["checks"]
                except DataError as error:
                    self.assertIn(f"{path}: is damaged: ", str(error))
                    self.assertIn("Move it away, then load", str(error))
                    continue
                found = {check["check"] for check in checks if check["status"] == "fail"}
                self.assertIn("database_is_intact", found)
