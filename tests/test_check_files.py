"""The SQL files of checks and trends: headers, thresholds, and what all engines share."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import ingest
from db.reporting import checks as checks_module
from db.reporting import report as report_module
from db.reporting.checks import (
    CHECKS_DIR,
    THRESHOLDS,
    TRENDS_DIR,
    Query,
    Thresholds,
    read_queries,
    read_sql_header,
    read_thresholds,
)
from db.reporting.figures import KPI_TRENDS, NEEDED_COLUMNS
from tests.report_case import ReportCase
from tests.support import Result, call
from utils.helpers import DataError


class SqlFiles(unittest.TestCase):
    """A check or a trend is one SQL file with a header that describes it."""

    def test_every_file_states_its_question_title_and_key_or_grain(self) -> None:
        for folder, words in [
            (CHECKS_DIR, {"Question", "Key", "Title", "Severity"}),
            (TRENDS_DIR, {"Question", "Grain", "Title"}),
        ]:
            for query in read_queries(folder):
                with self.subTest(query.name):
                    self.assertLessEqual(words, set(query.header))
                    self.assertTrue(query.header["Question"].endswith("?"))

    def test_crlf_line_ends_change_the_digest_and_nothing_else(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for query in read_queries(CHECKS_DIR):
                data = query.sql.replace("\n", "\r\n").encode()
                Path(folder, f"{query.name}.sql").write_bytes(data)
            for query, copy in zip(
                read_queries(CHECKS_DIR), read_queries(Path(folder)), strict=True
            ):
                data = Path(folder, f"{query.name}.sql").read_bytes()
                self.assertEqual(copy.sha256, hashlib.sha256(data).hexdigest())
                self.assertEqual((copy.header, copy.sql), (query.header, query.sql))

    def test_every_severity_is_error_warning_or_info(self) -> None:
        for query in read_queries(CHECKS_DIR):
            with self.subTest(query.name):
                self.assertIn(query.header["Severity"], ("error", "warning", "info"))

    def test_rows_are_ordered_by_the_key(self) -> None:
        for query in read_queries(CHECKS_DIR):
            with self.subTest(query.name):
                clause = query.sql.rstrip().removesuffix(";").rpartition("ORDER BY")[2]
                columns = [name.strip().rpartition(".")[2] for name in clause.split(",")]
                self.assertEqual(columns[: len(query.key)], query.key)

    def test_no_file_uses_a_function_that_only_sqlite_has(self) -> None:
        sqlite_only = re.compile(
            r"(?i)\b(date|datetime|strftime|julianday|unixepoch|glob|ifnull|iif|printf|rowid"
            r"|group_concat|total|typeof|instr|pragma|now|current_\w+)\b\s*\(?",
        )
        for query in read_queries(CHECKS_DIR) + read_queries(TRENDS_DIR):
            code = re.sub(r"--.*|'[^']*'", "", query.sql)
            with self.subTest(query.name):
                self.assertEqual(sqlite_only.findall(code), [])

    def test_countries_and_channels_differ_in_the_column_alone(self) -> None:
        # Two files, so that each trend has one digest and one grain: they stay equal.
        bodies = [
            re.sub("--.*\n", "", (TRENDS_DIR / f"{name}.sql").read_text(encoding="utf-8"))
            for name in ("countries", "channels")
        ]
        countries = bodies[0].replace("country_code", "acquisition_channel")
        self.assertEqual(countries.replace("country_", "channel_"), bodies[1])

    def test_the_three_checks_of_the_payments_have_the_same_tolerances(self) -> None:
        found = [
            re.findall(r"\d+ AS (?:minor_units|parts)\b", query.sql)
            for query in read_queries(CHECKS_DIR)
            if "tolerances AS (" in query.sql
        ]
        self.assertEqual([len(tolerances) for tolerances in found], [2, 2, 2])
        self.assertEqual(found, found[:1] * 3)

    def test_both_checks_of_the_payments_define_rounding_alike(self) -> None:
        # Two files, because a check has one severity: an error and a warning.
        exact, rounded = (
            (CHECKS_DIR / f"{name}.sql").read_text(encoding="utf-8")
            for name in ("payments_match_order_status", "payments_differ_by_rounding")
        )
        bodies = [
            text[text.index("WITH") : text.rindex("WHERE")] for text in (exact, rounded)
        ]
        self.assertEqual(*bodies)

    def test_no_range_of_characters_depends_on_a_collation(self) -> None:
        for query in read_queries(CHECKS_DIR) + read_queries(TRENDS_DIR):
            with self.subTest(query.name):
                self.assertNotRegex(query.sql, r"BETWEEN '([A-Za-z]|\d)'")


class SeverityThresholds(unittest.TestCase):
    """The severity of a check sets its thresholds, unless its header states them."""

    def read(self, *lines: str) -> Thresholds:
        """Return the thresholds of a warning whose header also has *lines*."""
        sql = "\n".join(["-- Severity: warning", *lines, "SELECT 1;"])
        header = read_sql_header(sql)
        return read_thresholds(Query("stem", header, sql, "db/checks/stem.sql", ""))

    def test_thresholds_follow_the_severity_without_header_lines(self) -> None:
        for severity, statuses in (
            ("error", ("pass", "fail", "fail")),
            ("warning", ("pass", "warn", "warn")),
            ("info", ("pass", "info", "info")),
        ):
            thresholds = THRESHOLDS[severity]
            found = tuple(thresholds.find_status(count) for count in (0, 1, None))
            self.assertEqual(found, statuses, severity)

    def test_thresholds_in_the_header_replace_those_of_the_severity(self) -> None:
        thresholds = self.read("-- Warns: above 10 rows", "-- Fails: above 100 rows")
        self.assertEqual(
            [thresholds.find_status(count) for count in (0, 10, 11, 100, 101, None)],
            ["pass", "pass", "warn", "warn", "fail", "fail"],
        )
        self.assertEqual(self.read("-- Fails: above 5 rows").find_status(6), "fail")

    def test_unknown_severity_is_refused(self) -> None:
        header = {"Severity": "grave"}
        with self.assertRaises(DataError) as caught:
            read_thresholds(Query("stem", header, "", "db/checks/stem.sql", ""))
        self.assertIn("stem.sql: '-- Severity: grave'", str(caught.exception))

    def test_threshold_without_a_number_is_refused(self) -> None:
        with self.assertRaises(DataError) as caught:
            self.read("-- Warns: above ten rows")
        self.assertIn("db/checks/stem.sql: '-- Warns: above ten", str(caught.exception))


class InvalidCheckFile(ReportCase):
    """A check file that is not usable is named with what is wrong."""

    HEAD = "-- Key: user_id.\n-- Title: Mine\n-- Severity: error\n"

    def test_invalid_check_file_is_named_with_what_is_wrong(self) -> None:
        path = self.make_shop()
        checks = self.folder / "checks"
        checks.mkdir()
        for text, words in (
            ("-- Severity: error\nSELECT 1;", "no '-- Title: …' line"),
            ("-- Title: Mine\nSELECT 1;", "no '-- Severity: …' line"),
            ("-- Title: Mine\n-- Severity: error\nSELECT 1;", "no '-- Key: …' line"),
            (self.HEAD.replace("error", "grave"), "'-- Severity: grave', expected error"),
            (f"{self.HEAD}SELEKT 1;", 'near "SELEKT": syntax error. Correct its SQL'),
            (
                f"{self.HEAD}SELECT none FROM users;",
                "no such column: none. Correct its SQL",
            ),
            (f"{self.HEAD}DELETE FROM users;", "attempt to write a readonly database"),
            (f"{self.HEAD}SELECT 1; SELECT 2;", "one statement at a time"),
            (self.HEAD, "returns no rows, expected one SELECT"),
            ("\udcff", "is not UTF-8 text"),
        ):
            for arguments in (["--report", "--out-dir", self.folder], ["--rows", "mine"]):
                with (
                    self.subTest(text, arguments=arguments),
                    mock.patch.object(checks_module, "CHECKS_DIR", checks),
                ):
                    (checks / "mine.sql").write_bytes(
                        text.encode("utf-8", "surrogateescape")
                    )
                    result = call(ingest.main, *arguments, "--database", path)
                    self.assertEqual((result.status, result.stdout), (1, ""))
                    self.assertRegex(
                        result.stderr, r"\Aingest: error: \S*checks/mine.sql: .*\n\Z"
                    )
                    self.assertIn(words, result.stderr)


class InvalidTrendFile(ReportCase):
    """A trend whose result a report cannot contain is named with the cell at fault."""

    def setUp(self) -> None:
        """Make the shop, and a folder of trends; no check runs."""
        super().setUp()
        self.make_shop()
        self.trends_dir = self.folder / "trends"
        shutil.copytree(TRENDS_DIR, self.trends_dir)
        (self.folder / "checks").mkdir()
        for module, name, path in (
            (checks_module, "CHECKS_DIR", self.folder / "checks"),
            (report_module, "TRENDS_DIR", self.trends_dir),
        ):
            patched = mock.patch.object(module, name, path)
            patched.start()
            self.addCleanup(patched.stop)

    def report_with(self, select: str | None, *, name: str = "mine") -> Result:
        """Report on a shop whose trend *name* is *select*, or missing if that is None."""
        path = self.trends_dir / f"{name}.sql"
        kept = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        if select is not None:
            path.write_text(f"-- Title: Mine\n{select};", encoding="utf-8")
        result = call(
            ingest.main,
            *("--report", "--out-dir", self.folder, "--database", self.database),
        )
        path.unlink(missing_ok=True)
        if kept is not None:
            path.write_bytes(kept)
        return result

    def test_cell_of_another_type_is_named_with_its_row(self) -> None:
        for select, words in (
            ("SELECT NULL AS month", "month of row 1 is NULL, expected YYYY-MM"),
            ("SELECT 5 AS month", "month of row 1 is 5, expected YYYY-MM"),
            ("SELECT 'x' AS n_cents", "n_cents of row 1 is 'x', expected an integer"),
            ("SELECT 'x' AS c_share", "c_share of row 1 is 'x', expected an integer"),
            ("SELECT x'ff' AS x", r"x of row 1 is b'\xff', expected an integer or a text"),
            (
                "SELECT 1 AS x UNION ALL SELECT 1.5",
                "x of row 2 is 1.5, expected an integer or a text",
            ),
            ("SELECT AVG(user_id) AS x FROM users", "x of row 1 is 2.5, expected"),
            ("SELECT 1 AS n, 2 AS n", "more than one column is named n, expected"),
            ("SELECT 1 AS is_complete", "is named is_complete, expected another name"),
        ):
            with self.subTest(select):
                result = self.report_with(select)
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertRegex(
                    result.stderr,
                    r"\Aingest: error: \S*trends/mine.sql: .* Correct its SQL\.\n\Z",
                )
                self.assertIn(words, result.stderr)

    def test_integers_texts_and_missing_values_are_reported(self) -> None:
        result = self.report_with("SELECT 'a' AS name, NULL AS n_cents, 5 AS x_share")
        self.assertEqual((result.status, result.stderr), (0, ""))

    def test_trend_without_a_column_of_the_report_is_named(self) -> None:
        for name, columns in NEEDED_COLUMNS.items():
            for column in columns:
                others = [f"1 AS {each}" for each in columns if each != column]
                with self.subTest(name, column=column):
                    result = self.report_with(
                        f"SELECT {', '.join(others or '1')}", name=name
                    )
                    expected = (
                        f"ingest: error: db/trends/{name}.sql: no column is named {column},"
                        " expected one, because the report computes with it. Correct its"
                        " SQL, or give a trend of your own another name.\n"
                    )
                    self.assertEqual((result.status, result.stderr), (1, expected))

    def test_cell_of_the_report_that_is_no_integer_is_named(self) -> None:
        for cell, shown in (("NULL", "NULL"), ("'12'", "'12'"), ("1.5", "1.5")):
            with self.subTest(cell):
                result = self.report_with(
                    f"SELECT 'home' AS category, {cell} AS gross_cents", name="category_mix"
                )
                self.assertIn(
                    f"category_mix.sql: gross_cents of row 1 is {shown}, expected an"
                    " integer. Correct its SQL.",
                    result.stderr,
                )

    def test_trend_may_lack_what_the_report_only_shows(self) -> None:
        for name, columns in NEEDED_COLUMNS.items():
            sql = (TRENDS_DIR / f"{name}.sql").read_text(encoding="utf-8")
            needed = ", ".join(columns)
            with self.subTest(name):
                result = self.report_with(
                    f"SELECT {needed} FROM ({sql.rstrip().rstrip(';')})", name=name
                )
                self.assertEqual((result.status, result.stderr), (0, ""))

    def test_missing_trend_of_the_key_figures_is_named(self) -> None:
        for query in read_queries(TRENDS_DIR):
            with self.subTest(query.name):
                result = self.report_with(None, name=query.name)
                expected = ""
                if query.name in KPI_TRENDS:
                    expected = (
                        f"ingest: error: db/trends/{query.name}.sql: no such file, and the"
                        " key figures are computed of it. Restore the file.\n"
                    )
                self.assertEqual(result.stderr, expected)

    def test_several_rows_of_one_month_are_all_reported(self) -> None:
        rows = ["'2024-01' AS month, 'a' AS name, 1 AS n", "'2024-01', 'b', 2"]
        rows += ["'2024-03', 'a', 3"]
        result = self.report_with(" UNION ALL ".join(f"SELECT {row}" for row in rows))
        self.assertEqual((result.status, result.stderr), (0, ""))
        report = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        found = [list(row.values()) for row in report["trends"]["mine"]["rows"]]
        self.assertEqual(
            found, [["2024-01", "a", 1, 1], ["2024-01", "b", 2, 1], ["2024-03", "a", 3, 0]]
        )
