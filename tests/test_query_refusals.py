"""What the cohort query refuses: databases, queries and options."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

from queries.query_file import QUERY_PATH
from tests.query_cases import RefusalCase
from tests.support import skip_on_windows
from utils.contract import PROVENANCE_TABLE
from utils.helpers import MOST_SQL_BYTES
from utils.sql_text import find_parts

AT_NOON = "2024-01-11T12:00:00Z"


RATIOS = (
    "retention",
    "retention_low",
    "retention_high",
    "aov_cents",
    "net_per_customer_cents",
    "cum_net_per_customer_cents",
    "cum_margin_per_customer_cents",
)


class UnusableDatabase(RefusalCase):
    """A database that cannot be used is named, with the next step."""

    def test_missing_database_is_named_and_results_are_kept(self) -> None:
        # `test_database` has the other reasons why a database cannot be opened.
        self.database.unlink()
        self.assert_refused(str(self.database), "no such file", "python ingest.py --ingest")

    def test_order_without_a_user_is_refused(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("UPDATE orders SET user_id = 99 WHERE order_id = 5")
            connection.commit()
        self.assert_refused("row 5 of orders refers to a missing row of users")

    def test_amounts_that_overflow_64_bits_are_refused(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(
                "UPDATE order_items SET quantity = 1, discount_cents = 0,"
                " unit_price_cents = 1 << 61, line_total_cents = 1 << 61"
            )
            connection.commit()
        self.assert_refused(
            f"{self.database}: the sum of its amounts overflows 64-bit integers. Correct"
            " the data and load them again: python ingest.py --ingest"
        )

    def test_line_whose_total_is_wrong_is_refused(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(
                "UPDATE order_items SET line_total_cents = 999 WHERE order_item_id = 5"
            )
            connection.execute(
                "UPDATE order_items SET line_total_cents = 1 WHERE order_item_id = 6"
            )
            connection.commit()
        self.assert_refused("the total of order_item_id 5 is not quantity x price")

    def test_full_disk_of_temporary_files_is_named(self) -> None:
        full = sqlite3.OperationalError("database or disk is full")
        with mock.patch("queries.reading.run_cohort_query", side_effect=full):
            self.assert_refused("has no space for the temporary tables", "SQLITE_TMPDIR")

    def test_too_large_temporary_file_is_not_blamed_on_the_query(self) -> None:
        # So SQLite reports what exceeds `ulimit -f`.
        full = sqlite3.OperationalError("disk I/O error")
        full.sqlite_errorname = "SQLITE_IOERR_WRITE"
        with mock.patch("queries.reading.run_cohort_query", side_effect=full):
            self.assert_refused("has no space for the temporary tables", "larger files")

    def test_unreadable_database_is_not_blamed_on_the_query(self) -> None:
        unreadable = sqlite3.OperationalError("disk I/O error")
        unreadable.sqlite_errorname = "SQLITE_IOERR_READ"
        with mock.patch("queries.reading.run_cohort_query", side_effect=unreadable):
            self.assert_refused(f"{self.database}: cannot be read: disk I/O error. Allow")

    def test_overflow_within_the_query_is_refused(self) -> None:
        overflow = sqlite3.OperationalError("integer overflow")
        with mock.patch("queries.reading.run_cohort_query", side_effect=overflow):
            self.assert_refused("the sum of its amounts overflows 64-bit integers")

    def test_refund_whose_product_overflows_is_refused(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("UPDATE payments SET amount_cents = 1 << 52")
            connection.commit()
        self.assert_refused(
            "the refund of payment_id 3 is too large", "overflows 64-bit integers"
        )

    def test_refund_beyond_the_precision_of_a_float_is_refused(self) -> None:
        # The product (2 ** 53 + 1) * 1 fits, but the share plus 0.25 loses a cent.
        self.create_orders(
            (1, 1, "2024-01-10", "returned", 1),
            as_of="2024-01-31",
            payments=[(1, 1, "refund", "card", "succeeded", 2**53 + 1, AT_NOON)],
        )
        self.assert_refused("the refund of payment_id 1 is too large")

    def test_database_replaced_during_the_run_is_refused(self) -> None:
        def replace(path: Path) -> str:
            os.utime(path, (1, 1))
            return ""

        with mock.patch("utils.database.hash_file", replace):
            self.assert_refused(str(self.database), "was replaced during the run")

    def test_invalid_as_of_day_is_refused(self) -> None:
        for as_of, expected in {
            "15 March": "as_of is '15 March', expected a day",
            "2023-02-30": "as_of is '2023-02-30', expected a day",
            "": "as_of is missing",
            "2024-03-11": "as_of is 2024-03-11, but the last order or refund is of",
        }.items():
            with self.subTest(expected):
                self.set_as_of(as_of)
                self.assert_refused(expected, PROVENANCE_TABLE, "python ingest.py --ingest")

    def test_refund_after_the_last_day_is_refused(self) -> None:
        refund = (1, 1, "refund", "card", "succeeded", 1000, "2024-02-01T00:00:00Z")
        self.create_orders(
            (1, 1, "2024-01-10", "returned", 1000), as_of="2024-01-31", payments=[refund]
        )
        self.assert_refused("but the last order or refund is of 2024-02-01T00:00:00Z")

    def test_unwritable_folder_is_refused(self) -> None:
        blocked = self.folder / "blocked"
        blocked.write_text("a file", encoding="utf-8")
        self.assert_refused(
            str(blocked), "cannot be written", arguments=["--out-dir", blocked]
        )
        self.assertEqual(blocked.read_text(encoding="utf-8"), "a file")


class OwnQuery(RefusalCase):
    """A query of the user may choose other orders, but must return cohort cells."""

    CELL = (
        "SELECT '2024-01' AS cohort_month, 0 AS months_since, 2 AS cohort_size,"
        " 2 AS active_customers, 2 AS order_count, 8500 AS net_cents,"
        " 8500 AS cum_net_cents, 3500 AS cum_margin_cents, 1 AS is_complete"
    )

    def write_query(self, sql: str) -> Path:
        """Write *sql* to a file; return its path."""
        path = self.folder / "mine.sql"
        path.write_text(sql, encoding="utf-8")
        return path

    def test_query_that_cannot_be_run_is_refused(self) -> None:
        for sql, expected in {
            "": "is empty. Expected one SELECT.",
            " \n": "is empty",
            "-- a comment": "returns no rows",
            "SELECT 1; SELECT 2": "one statement",
            "SELEKT 1": 'near "SELEKT": syntax error',
            "SELECT 1 FROM shops": "no such table: shops",
            "DELETE FROM orders": "readonly",
            "PRAGMA user_version = 5": "readonly",
        }.items():
            with self.subTest(sql):
                path = self.write_query(sql)
                self.assert_refused(str(path), expected, arguments=["--query", path])

    def test_overflow_caused_by_the_query_is_not_blamed_on_the_amounts(self) -> None:
        path = self.write_query("SELECT 1")
        for fault in ("integer overflow", "parser stack overflow"):
            error = sqlite3.OperationalError(fault)
            with (
                self.subTest(fault),
                mock.patch("queries.reading.run_cohort_query", side_effect=error),
            ):
                self.assert_refused(
                    f"{path}: SQLite refuses it on {self.database}: {fault}. Expected one"
                    " SELECT. Fix the query",
                    arguments=["--query", path],
                )

    def test_query_that_is_a_device_a_pipe_or_very_large_is_refused(self) -> None:
        skip_on_windows("Windows has no such files")
        pipe, large = self.folder / "pipe.sql", self.folder / "large.sql"
        os.mkfifo(pipe)
        large.write_bytes(b" " * (MOST_SQL_BYTES + 1))
        for path, expected in {
            Path("/dev/zero"): "it is not a regular file. Name an SQL file with --query.",
            pipe: "it is not a regular file",
            large: "it has more than 1,048,576 bytes",
        }.items():
            with self.subTest(path):
                self.assert_refused(str(path), expected, arguments=["--query", path])

    def test_missing_or_binary_file_is_refused(self) -> None:
        path = self.folder / "mine.sql"
        self.assert_refused(str(path), "--query", arguments=["--query", path])
        path.write_bytes("SELECT 'ü'".encode("latin-1"))
        self.assert_refused(str(path), "is not UTF-8", arguments=["--query", path])

    def test_query_without_cohort_cells_is_refused(self) -> None:
        for sql, expected in {
            "SELECT 1 AS cohort_month": "its result lacks months_since, cohort_size,",
            f"{self.CELL}, 1 AS cohort": "has a column cohort, the name that the JSON",
            f"{self.CELL}, 1 AS months_since": "its result has months_since more than once",
            f"{self.CELL} UNION ALL {self.CELL}": "row 2 of its result repeats cohort"
            " 2024-01, months since 0",
            self.CELL.replace(
                "8500 AS net", "85.5 AS net"
            ): "row 1 of its result: net_cents is 85.5, expected a whole number",
            self.CELL.replace("8500 AS net", "NULL AS net"): "net_cents is NULL",
            self.CELL.replace(
                "'2024-01'", "202401"
            ): "cohort_month is 202401, expected a month as YYYY-MM",
            self.CELL.replace(
                "1 AS is_complete", "NULL AS is_complete"
            ): "is_complete is NULL, expected 0 or 1",
            f"{self.CELL}, x'00' AS picture": "picture is b'\\x00', expected text, a finite"
            " number or NULL",
            f"{self.CELL}, 9e999 AS ratio": "ratio is Infinity, expected text, a finite",
        }.items():
            with self.subTest(sql):
                path = self.write_query(sql)
                self.assert_refused(str(path), expected, arguments=["--query", path])

    def test_cell_that_cannot_be_is_refused_as_the_schema_of_the_json_does(self) -> None:
        for old, new, expected in (
            ("0 AS months", "-1 AS months", "months_since is -1, expected a whole number,"),
            ("1 AS is_c", "7 AS is_c", "row 1 of its result: is_complete is 7, expected 0"),
            ("2024-01", "2024-13", "cohort_month is '2024-13', expected a month as"),
            (
                "2024-01",
                "0024-01",
                "cohort_month is '0024-01', expected a month as YYYY-MM",
            ),
            ("2024-01", "", "cohort_month is '', expected a month as YYYY-MM of the years"),
            ("2 AS cohort_size", "0 AS cohort_size", "cohort_size is 0, expected a whole"),
            (
                "2 AS active_customers",
                "3 AS active_customers",
                "active_customers is 3, expected a whole number from 0 to 2, the size of",
            ),
            ("2 AS order", "-2 AS order", "order_count is -2, expected a whole number, at"),
            (
                "1 AS is",
                "'a' AS unit_count, 1 AS is",
                "unit_count is 'a', expected a whole",
            ),
            ("1 AS is", "NULL AS is_observed, 1 AS is", "is_observed is NULL, expected 0"),
        ):
            with self.subTest(new):
                self.assertIn(old, self.CELL)
                path = self.write_query(self.CELL.replace(old, new))
                self.assert_refused(str(path), expected, arguments=["--query", path])

    def test_own_query_runs_unchanged_and_its_differences_are_noted(self) -> None:
        path = self.write_query(f"{self.CELL}, 'organic' AS channel, NULL AS note")
        result = self.run_query("--query", path)
        self.assertEqual(result.status, 0, result)
        self.assertIn("note: mine.sql: net of all cells, in cents: 8500;", result.stderr)
        self.assertIn("of all valid orders: 16668", result.stderr)
        document = json.loads(self.read("query_result.json"))
        self.assertEqual(document["query"]["file"], "mine.sql")
        self.assertEqual(document["cells"][0]["channel"], "organic")
        self.assertTrue(self.read("query_result.csv").endswith(b",1,organic,\n"))

    def test_own_query_without_rows_is_not_reported_as_a_shop_without_orders(self) -> None:
        result = self.run_query("--query", self.write_query(f"{self.CELL} LIMIT 0"))
        self.assertEqual(result.status, 0, result)
        self.assertIn(
            "No cohorts: mine.sql returns no row for 5 valid orders until 2024-03-15, and"
            " both files have no cell. Correct the query.\n",
            result.stdout,
        )
        self.assertNotIn("no valid order", result.stdout)

    def test_own_query_may_return_future_cells_as_null(self) -> None:
        future = (
            "SELECT '2024-01', 1, 2, NULL, NULL, NULL, NULL, NULL, 0 UNION ALL"
            " SELECT '2024-02', 0, 1, 1, 3, 8168, 8168, 0, 1"
        )
        result = self.run_query(
            "--query", self.write_query(f"{self.CELL} UNION ALL {future}")
        )
        self.assertEqual((result.status, result.stderr), (0, ""))
        document = json.loads(self.read("query_result.json"))
        self.assertEqual([document["cells"][1][name] for name in RATIOS], [None] * 7)
        self.assertEqual(document["cohorts"][0]["last_months_since"], 0)
        self.assertEqual(len(document["average"]), 1)
        self.assertIn("\n2024-01,1,2,,,,,,0\n", self.read("query_result.csv").decode())


class WrongOption(RefusalCase):
    """A wrong option gets one clear line, and old results are kept."""

    def test_option_that_does_not_suit_the_data_is_refused(self) -> None:
        for arguments, *expected in (
            (
                ["--as-of", "2024-03-16"],
                "--as-of 2024-03-16",
                "the data end on 2024-03-15",
            ),
            (
                ["--valid-status", "payed,paid"],
                "--valid-status 'payed': not an order status",
                "paid,",
            ),
            (
                ["--valid-status", "pai'd"],
                '"pai\'d"',
                "Expected one or more of pending, paid",
            ),
            (["--valid-status", "a\nb\x1b[2J"], "'a\\nb\\x1b[2J'"),
        ):
            with self.subTest(arguments):
                self.assert_refused(*expected, arguments=arguments)

    def test_invalid_value_is_wrong_usage(self) -> None:
        for arguments, expected in (
            (["--as-of", "yesterday"], "'yesterday', expected a date such as 2025-12-31"),
            (["--as-of", "2024-02-30"], "'2024-02-30', expected a date"),
            (["--as-of", "20240229"], "'20240229', expected a date"),
            (["--as-of", "2024-03-15' OR 1"], "expected a date"),
            (
                ["--as-of", "1800-01-01"],
                "'1800-01-01', expected a date of the years 1900 to 2199",
            ),
            (["--valid-status", ""], "'', expected one or more names"),
            (["--valid-status", " ,,"], "' ,,', expected one or more names"),
            (["--by", "city"], "invalid choice: 'city'"),
            (["--cohort", "week"], "invalid choice: 'week'"),
            (["--score"], "--score evaluates the forecast; omit --no-forecast"),
            (
                ["--forecast", "--truth-dir", "truth"],
                "--truth-dir has no effect without --score; add it",
            ),
            (["--forecast", "--score", "--valid-status", "paid"], "omit --valid-status"),
        ):
            with self.subTest(arguments):
                result = self.run_query(*arguments)
                self.assertEqual((result.status, result.stdout), (2, ""))
                last = result.stderr.splitlines()[-1]
                self.assertTrue(last.startswith("run_query.py: error: "), last)
                self.assertIn(expected, last)
                found = self.read("query_result.csv"), self.read("query_result.json")
                self.assertEqual(found, self.results)

    def test_option_without_its_cte_in_the_own_query_is_refused(self) -> None:
        path = self.folder / "mine.sql"
        path.write_text("SELECT 1 AS one", encoding="utf-8")
        for arguments, expected in (
            (["--by", "channel"], "has no CTE customer_segments"),
            (["--as-of", "2024-03-01"], "has no CTE as_of_dates"),
            (["--valid-status", "paid"], "has no CTE valid_statuses"),
            (["--forecast"], "has no CTE order_totals"),
        ):
            with self.subTest(arguments):
                self.assert_refused(
                    str(path), expected, arguments=["--query", path, *arguments]
                )

    def test_cells_that_cannot_be_added_up_are_refused(self) -> None:
        path = self.folder / "mine.sql"
        sql = QUERY_PATH.read_text(encoding="utf-8")
        cte, select = sql[: find_parts(sql).select_at], sql[find_parts(sql).select_at :]
        quarter, country = ["--cohort", "quarter"], ["--by", "country"]
        for old, new, arguments, expected in (
            ("    unit_count,\n", "", quarter, "its result lacks unit_count"),
            ("    unit_count,\n", "", country, "its result lacks unit_count"),
            ("    1 AS is_observed,\n", "", quarter, "its result lacks is_observed"),
            ("unit_count", "NULL AS unit_count", quarter, "unit_count is NULL"),
            ("unit_count", "NULL AS unit_count", country, "unit_count is NULL"),
            ("unit_count", "0.5 AS unit_count", quarter, "unit_count is 0.5"),
            (
                "    segment,",
                "    NULLIF(segment, 'IE') AS segment,",
                country,
                "segment is NULL",
            ),
            (
                "AS cohort_month",
                "|| '!' AS cohort_month",
                quarter,
                "cohort_month is '2024-01!'",
            ),
        ):
            with self.subTest(expected, option=arguments[0]):
                self.assertIn(old, select)
                path.write_text(cte + select.replace(old, new, 1), encoding="utf-8")
                self.assert_refused(
                    str(path), expected, arguments=["--query", path, *arguments]
                )

    def test_missing_month_of_a_cohort_is_not_taken_for_the_next_one(self) -> None:
        path = self.folder / "mine.sql"
        sql = QUERY_PATH.read_text(encoding="utf-8")
        at = find_parts(sql).select_at
        select = sql[at:].replace("\nORDER BY", "\nWHERE months_since <> 1\nORDER BY", 1)
        path.write_text(sql[:at] + select, encoding="utf-8")
        self.assert_refused(
            "mine.sql: the cell 2 of cohort 2024-01 has months_since 2, expected 1.",
            arguments=["--query", path, "--cohort", "quarter"],
        )

    def test_malformed_ctes_are_refused(self) -> None:
        path = self.folder / "mine.sql"
        for sql in ("AS (SELECT 1)", ") AS (", "WITH a AS (SELECT", "((((", "'", "/*"):
            with self.subTest(sql):
                path.write_text(sql, encoding="utf-8")
                self.assert_refused(str(path), arguments=["--query", path])
