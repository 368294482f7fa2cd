"""The report: its figures, its words, and what it says when it cannot be made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import re
import sqlite3
import tempfile
import unittest
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import ingest
from db.reporting import checks as checks_module
from db.reporting import report as report_module
from db.reporting.checks import BUILT_IN_CHECKS, CHECKS_DIR
from db.reporting.figures import find_last_complete_month, is_complete
from db.reporting.markdown import escape, render_markdown, render_plot, render_summary
from db.reporting.report import Report, read_report, report_database
from tests.shop import (
    ORDER_ITEMS,
    ORDERS,
    PAYMENTS,
    PRODUCTS,
    USERS,
    Row,
    create_empty_shop,
    create_shop,
    seal_provenance,
)
from tests.support import ROOT, call, refuse_to_replace
from utils.contract import read_contract
from utils.database import find_inexact_refund
from utils.digest import table_digest
from utils.helpers import DataError, hash_file

CHECK_COUNT = len(list(CHECKS_DIR.glob("*.sql"))) + len(BUILT_IN_CHECKS)

VALID = {"paid", "shipped", "delivered", "partially_returned", "returned"}


class FolderCase(unittest.TestCase):
    """A test with a temporary folder, `self.folder`."""

    def setUp(self) -> None:
        """Make the folder."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()

    def make_shop(self, **rows: Any) -> Path:
        """Make a shop in the folder, the one worked by hand but for *rows*."""
        path = self.folder / "shop.db"
        path.unlink(missing_ok=True)
        return create_shop(path, **rows)

    def report_shop(self, **rows: Any) -> Report:
        """Return the report on a shop with *rows*, as a reader of the JSON has it."""
        document: Report = json.loads(json.dumps(read_report(self.make_shop(**rows))))
        return document

    def trend(self, name: str, **rows: Any) -> list[dict[str, Any]]:
        """Return the rows of the trend *name* for a shop with *rows*."""
        found: list[dict[str, Any]] = self.report_shop(**rows)["trends"][name]["rows"]
        return found


class TheFigures(FolderCase):
    """The trends of the small shop, worked by hand in `shop.py`."""

    def test_revenue_by_month_is_what_was_worked_by_hand(self) -> None:
        columns = (
            "month",
            "gross_cents",
            "discount_cents",
            "refund_cents",
            "net_cents",
            "order_count",
            "new_customers",
            "returning_customers",
            "aov_cents",
            "refund_rate",
            "returning_share",
            "is_complete",
        )
        # AOV is net / orders: 2779 / 2 = 1389.5, rounded half up.  Refund rate is refund
        # / (gross - discount): 1221 / 4000 = .30525, 611 / 6000 = .10183.
        expected = [
            ("2024-01", 9000, 500, 0, 8500, 2, 2, 0, 4250, 0.0, 0.0, 1),
            ("2024-02", 4000, 0, 1221, 2779, 2, 1, 1, 1390, 0.3053, 0.5, 1),
            ("2024-03", 7000, 1000, 611, 5389, 1, 0, 1, 5389, 0.1018, 1.0, 0),
        ]
        self.assertEqual(
            self.trend("revenue_by_month"),
            [dict(zip(columns, row, strict=True)) for row in expected],
        )

    def test_key_figures_are_what_was_worked_by_hand(self) -> None:
        self.assertEqual(
            self.report_shop()["kpis"],
            {
                "gross_cents": 20000,
                "discount_cents": 1500,
                "refund_cents": 1832,
                "net_cents": 16668,
                "order_count": 5,
                "placed_count": 8,
                "user_count": 4,
                "customer_count": 3,
                "repeat_customer_count": 1,
                "aov_cents": 3334,  # 16668 / 5 = 3333.6
                "net_per_customer_cents": 5556,
                "repeat_rate": 0.3333,
                "refund_rate": 0.099,  # 1832 / 18500 = .09903
                "cancellation_rate": 0.25,  # orders 4 and 8 of 8
                "return_rate": 0.4,  # orders 2 and 3 of 5
                "failed_payment_rate": 0.2222,  # payments 8 and 12 of 9 charges
                "last_complete_month": {
                    "month": "2024-02",
                    "net_cents": 2779,
                    "order_count": 2,
                    "new_customers": 1,
                    "returning_customers": 1,
                    "aov_cents": 1390,  # 2779 / 2 = 1389.5
                    "change_on_year": {
                        "net_cents": None,
                        "order_count": None,
                        "new_customers": None,
                        "returning_customers": None,
                    },
                },
            },
        )

    def test_the_last_month_is_held_against_the_same_month_a_year_before(self) -> None:
        months = [f"2023-{n:02}" for n in range(1, 13)] + ["2024-01", "2024-02"]
        rows = [
            {
                "month": month,
                "net_cents": 100 * n,
                "order_count": n,
                "aov_cents": 100,
                "new_customers": 0 if n == 1 else 2,
                "returning_customers": 4 - n // 13,
                "is_complete": int(n < 14),
            }
            for n, month in enumerate(months, start=1)
        ]
        # January 2024 against January 2023; February still runs.
        last = find_last_complete_month(rows)
        assert last is not None
        self.assertEqual((last["month"], last["net_cents"]), ("2024-01", 1300))
        self.assertEqual(
            last["change_on_year"],
            {
                "net_cents": 12.0,
                "order_count": 12.0,
                "new_customers": None,  # from none to two is no share of none
                "returning_customers": -0.25,
            },
        )

    def test_category_mix_tells_gross_and_the_discount_on_lines(self) -> None:
        # Home: lamps of orders 2 and 7.  Kitchen: pots of 1 and 7, mugs of 1, 3 and 5.
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("category_mix")],
            [("home", 1, 2, 10000, 0, 0.5), ("kitchen", 2, 8, 10000, 200, 0.5)],
        )

    def test_top_products_are_ranked_by_gross(self) -> None:
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("top_products")],
            [
                (3, "SKU-3", "Lamp", "home", 2, 10000, 0),
                (2, "SKU-2", "Mug", "kitchen", 6, 6000, 200),
                (1, "SKU-1", "Teapot", "kitchen", 2, 4000, 0),
            ],
        )

    def test_top_products_are_ten_at_most_and_equals_come_by_number(self) -> None:
        products = [(n, f"SKU-{n}", "Mug", *PRODUCTS[1][3:]) for n in range(1, 13)]
        items = [(n, 1, n, 1, 1000, 0, 1000) for n in range(1, 13)]
        rows = self.trend("top_products", products=products, order_items=items)
        self.assertEqual([row["product_id"] for row in rows], list(range(1, 11)))

    def test_payment_methods_count_attempts_of_all_orders(self) -> None:
        # Card: charges 1, 4, 5, 8 (failed), 10, 13; refunds 6, 7, 11.
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("payment_methods")],
            [
                ("card", 6, 1, 17700, 4200, 0.1667, 0.6887),
                ("wallet", 2, 1, 6000, 1000, 0.5, 0.2335),
                ("gift_card", 1, 0, 2000, 0, 0.0, 0.0778),
            ],
        )

    def test_cancellations_and_returns_count_in_the_month_of_the_order(self) -> None:
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("refunds_and_cancellations")],
            [
                ("2024-01", 2, 0, 0, 2, 1, 0, 1, 0.0, 0.5),
                ("2024-02", 3, 0, 1, 2, 0, 1, 1, 0.3333, 0.5),
                ("2024-03", 3, 1, 1, 1, 0, 0, 0, 0.3333, 0.0),
            ],
        )

    def test_countries_add_up_to_the_whole(self) -> None:
        # Sweden: orders 1, 3 and 7 of Ann; Zoë never bought.
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("countries")],
            [
                ("SE", 2, 1, 3, 12000, 1500, 999, 9501, 0.5, 3167, 0.57),
                ("GB", 1, 1, 1, 5000, 0, 833, 4167, 1.0, 4167, 0.25),
                ("IE", 1, 1, 1, 3000, 0, 0, 3000, 1.0, 3000, 0.18),
            ],
        )

    def test_a_channel_that_sold_nothing_is_there_all_the_same(self) -> None:
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("channels")],
            [
                ("organic", 2, 2, 4, 15000, 1500, 999, 12501, 1.0, 3125, 0.75),
                ("email", 1, 1, 1, 5000, 0, 833, 4167, 1.0, 4167, 0.25),
                ("paid_search", 1, 0, 0, 0, 0, 0, 0, 0.0, None, 0.0),
            ],
        )

    def test_orders_per_customer_end_with_ten_or_more(self) -> None:
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("orders_per_customer")],
            [(1, 2, 2, 0.6667), (3, 1, 3, 0.3333)],
        )
        orders = [(n, 1 + n // 14, *ORDERS[0][2:]) for n in range(1, 15)]
        self.assertEqual(
            [
                tuple(row.values())
                for row in self.trend("orders_per_customer", orders=orders)
            ],
            [(1, 1, 1, 0.5), (10, 1, 13, 0.5)],
        )

    def test_an_order_without_a_total_gives_no_refund_of_goods(self) -> None:
        free = (1, 1, "2024-01-10T09:00:00Z", "returned", 1000, 1000, 0, 0, 0)
        row = self.trend("revenue_by_month", orders=[free])[0]
        self.assertEqual((row["net_cents"], row["refund_cents"]), (3800 + 200 - 1200, 0))


class TheSecondRoad(FolderCase):
    """The same figures by plain Python, on shops that chance made."""

    def test_revenue_agrees_with_plain_python(self) -> None:
        for seed in range(4):
            shop = make_random_shop(random.Random(seed))  # noqa: S311
            trends = self.report_shop(**shop)["trends"]
            with self.subTest("by month", seed=seed):
                expected = sum_by(shop, lambda _, at: at[:7])
                for row in trends["revenue_by_month"]["rows"]:
                    self.assertEqual(pick_money(row), expected[row["month"]], row)
            with self.subTest("by country", seed=seed):
                countries = {user[0]: str(user[3]) for user in shop["users"]}
                expected = sum_by(shop, partial(find_country, countries))
                for row in trends["countries"]["rows"]:
                    self.assertEqual(pick_money(row), expected[row["country_code"]], row)

    def test_the_parts_add_up_to_the_whole(self) -> None:
        for seed in range(4):
            shop = make_random_shop(random.Random(seed))  # noqa: S311
            report = self.report_shop(**shop)
            kpis = report["kpis"]
            for trend, column, whole in [
                ("revenue_by_month", "net_cents", "net_cents"),
                ("countries", "net_cents", "net_cents"),
                ("channels", "net_cents", "net_cents"),
                ("category_mix", "gross_cents", "gross_cents"),
                ("revenue_by_month", "order_count", "order_count"),
                ("revenue_by_month", "new_customers", "customer_count"),
                ("refunds_and_cancellations", "order_count", "order_count"),
                ("refunds_and_cancellations", "placed_count", "placed_count"),
                ("countries", "customer_count", "customer_count"),
                ("channels", "user_count", "user_count"),
                ("weekday_by_hour", "order_count", "order_count"),
            ]:
                with self.subTest(seed=seed, trend=trend, column=column):
                    rows = report["trends"][trend]["rows"]
                    self.assertEqual(sum(row[column] for row in rows), kpis[whole])

    def test_the_weekday_is_the_calendars_on_every_day_of_many_years(self) -> None:
        days = [
            first + timedelta(days=number)
            for first, count in [
                (date(1896, 1, 1), 3660),  # over 1900, which has no 29 February
                (date(1999, 1, 1), 800),  # over 2000, which has one
                (date(2019, 1, 1), 3660),
                (date(2096, 1, 1), 3660),  # over 2100, which has none
            ]
            for number in range(count)
        ]
        orders = [
            (n, 1, f"{day}T{day.day % 24:02}:59:59Z", *ORDERS[0][3:])
            for n, day in enumerate(days, start=1)
        ]
        rows = self.trend("weekday_by_hour", orders=orders, order_items=[], payments=[])
        self.assertEqual(
            {(row["weekday"], row["hour"]): row["order_count"] for row in rows},
            {(weekday, hour): 0 for weekday in range(7) for hour in range(24)}
            | Counter((day.weekday(), day.day % 24) for day in days),
        )

    def test_a_digest_is_the_sha256_of_the_canonical_csv_file(self) -> None:
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
        with closing(sqlite3.connect(path)) as connection:
            digest = table_digest(connection, products)
        quoted = ["Mug", '"Mug, big"', '"Mug ""big"""', '"Mug\nbig"', '"Mug\rbig"', " Mug'"]
        lines = [
            f"{number},S{number},{name},k,Ö,5,2,2024-01-01T00:00:00Z\n"
            for number, name in enumerate([*quoted, '""', "\ufeff"], start=1)
        ]
        text = ",".join(products.column_names) + "\n" + "".join(lines)
        self.assertEqual(digest, hashlib.sha256(text.encode("utf-8")).hexdigest())


class TheGate(FolderCase):
    """A pipeline can stop on the report, and see all rows of a check."""

    def break_shop(self) -> Path:
        """Return a shop with an error (no payment of any order) and sample rows enough."""
        path = self.make_shop(payments=[])
        self.assertEqual(read_report(path)["verdict"]["status"], "fail")
        return path

    def test_strict_exits_1_when_an_error_level_check_fails(self) -> None:
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

    def test_strict_lets_warnings_pass(self) -> None:
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

    def test_strict_without_a_report_is_wrong_usage(self) -> None:
        self.assertEqual(call(ingest.main, "--strict").status, 2)

    def test_the_rows_of_a_check_are_all_printed(self) -> None:
        path = self.break_shop()
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

    def test_the_rows_of_the_checks_made_here_are_all_printed_too(self) -> None:
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

    def test_strict_sees_that_the_rules_are_gone(self) -> None:
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

    def test_a_check_that_is_unknown_is_named_with_the_nearest(self) -> None:
        result = call(
            ingest.main, "--rows", "duplicate_mail", "--database", self.make_shop()
        )
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertIn(
            "no check 'duplicate_mail'; did you mean duplicate_email?", result.stderr
        )

    def test_the_report_names_the_sql_that_made_it(self) -> None:
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


class AWrongCheckFile(FolderCase):
    """A check of one's own that is no check is named in one clear line."""

    HEAD = "-- Key: user_id.\n-- Title: Mine\n-- Severity: error\n"

    def test_is_named_with_what_is_wrong(self) -> None:
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


class TheCalendar(FolderCase):
    """Months are calendar months: none is missing, and one that still runs is marked."""

    def test_a_month_in_which_nothing_happened_is_there_with_zeros(self) -> None:
        rows = self.trend("revenue_by_month", orders=[ORDERS[0], ORDERS[6]])
        self.assertEqual([row["month"] for row in rows], ["2024-01", "2024-02", "2024-03"])
        self.assertEqual(
            (rows[1]["order_count"], rows[1]["net_cents"], rows[1]["aov_cents"]),
            (0, 0, None),
        )

    def test_months_go_on_to_the_last_day_of_the_data(self) -> None:
        rows = self.trend("revenue_by_month", as_of="2024-05-02")
        self.assertEqual([row["month"] for row in rows][-2:], ["2024-04", "2024-05"])
        self.assertEqual([row["is_complete"] for row in rows], [1, 1, 1, 1, 0])

    def test_a_month_is_complete_from_its_last_day_on(self) -> None:
        for as_of, expected in [
            ("2024-02-28", 0),
            ("2024-02-29", 1),
            ("2024-03-01", 1),
            ("2024-01-31", 0),
            (None, 0),
        ]:
            with self.subTest(as_of):
                self.assertEqual(is_complete("2024-02", as_of), expected)

    def test_a_mistyped_year_does_not_make_thousands_of_months(self) -> None:
        early = (8, 2, "0024-03-14T00:00:00Z", "paid", *ORDERS[7][4:])
        rows = self.trend("revenue_by_month", orders=[*ORDERS[:7], early])
        self.assertEqual(
            [row["month"] for row in rows], ["0024-03", "2024-01", "2024-02", "2024-03"]
        )

    def test_a_last_day_that_is_no_day_is_refused(self) -> None:
        with self.assertRaisesRegex(DataError, "as_of is '2024-02-30', expected a day"):
            read_report(self.make_shop(as_of="2024-02-30"))


class SmallShops(FolderCase):
    """Nothing at all, one row, one day: words instead of a crash."""

    def test_a_shop_without_rows_is_sound_and_says_there_is_nothing(self) -> None:
        report = read_report(create_empty_shop(self.folder / "shop.db"))
        self.assertEqual(report["verdict"]["status"], "pass")
        self.assertIsNone(report["as_of"])
        text = render_markdown(report)
        self.assertIn("No data yet", text)
        self.assertEqual(text.count("there is nothing to tell yet"), len(report["trends"]))
        self.assertNotRegex(text, r"(?i)\b(nan|inf|infinity|none|null)\b")

    def test_rates_of_nothing_are_null_and_sums_are_zero(self) -> None:
        kpis = read_report(create_empty_shop(self.folder / "shop.db"))["kpis"]
        for name, value in kpis.items():
            with self.subTest(name):
                is_share = name.endswith("_rate") or name.startswith(
                    ("aov", "net_per", "last")
                )
                self.assertEqual(value, None if is_share else 0)

    def test_one_user_is_a_shop(self) -> None:
        report = self.report_shop(
            users=USERS[3:], products=[], orders=[], order_items=[], payments=[]
        )
        self.assertEqual(report["verdict"]["status"], "pass")
        self.assertIn("No rows", render_markdown(report))

    def test_one_day_is_a_shop(self) -> None:
        report = self.report_shop(
            orders=ORDERS[:1],
            order_items=ORDER_ITEMS[:2],
            payments=PAYMENTS[:1],
            users=USERS[:1],
            products=PRODUCTS[:2],
            as_of="2024-01-10",
        )
        self.assertEqual(report["verdict"]["status"], "pass")
        self.assertIsNone(report["kpis"]["last_complete_month"])
        self.assertIn("| Jan\u00a02024 \\* |", render_markdown(report))

    def test_amounts_that_do_not_fit_are_said_and_the_report_survives(self) -> None:
        huge = 2**62
        for quantity in (1, 4):  # the sum overflows, then already the product
            with self.subTest(quantity=quantity):
                items = [(n, n, 1, quantity, huge, 0, huge) for n in (1, 2, 3)]
                path = self.make_shop(order_items=[])
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("PRAGMA ignore_check_constraints = ON")
                    connection.executemany(
                        "INSERT INTO order_items VALUES (?, ?, ?, ?, ?, ?, ?)", items
                    )
                    connection.commit()
                report = report_database(path, self.folder)
                self.assertEqual(report["verdict"]["status"], "fail")
                self.assertIn("overflows", report["trends"]["revenue_by_month"]["note"])
                self.assertEqual(report["trends"]["revenue_by_month"]["rows"], [])
                self.assertIsNone(report["kpis"]["net_cents"])
                self.assertEqual(report["kpis"]["order_count"], 5)
                self.assertIn("Net revenue –", render_summary(report))

    def test_a_refund_whose_share_is_not_exact_is_said_and_no_figure_leans_on_it(
        self,
    ) -> None:
        # Two products are beyond 2 ** 63 - 1; the third fits, but its share, 2 ** 53 + 1,
        # is more than a floating-point number holds to the cent.
        for amount, goods, tax in [
            (99_999_999_987, 99_999_999_993, 20_000_000_000),
            (2**32, 2**31, 0),
            (2**53 + 1, 1, 0),
        ]:
            with self.subTest(amount=amount, goods=goods):
                report = self.report_refund(amount, goods, tax)
                note = "the refund of payment_id 14 is too large"
                for name in ("revenue_by_month", "countries", "channels"):
                    trend = report["trends"][name]
                    self.assertEqual((trend["rows"], trend["note"]), ([], note))
                self.assertIsNone(report["kpis"]["refund_cents"])
                self.assertIsNone(report["kpis"]["net_cents"])
                self.assertIsNone(report["kpis"]["refund_rate"])
                self.assertEqual(report["kpis"]["order_count"], 1)
                self.assertIn(f"Not available: {escape(note)}.", render_markdown(report))
                self.assertIn(f"AOV –: {note}", render_summary(report))

    def test_the_largest_refund_that_is_exact_is_told_to_the_cent(self) -> None:
        for amount, goods, tax in [
            (2**32 - 1, 2**31, 1),  # the product is 2 ** 31 less than 2 ** 63
            (2**53, 1, 0),
            (99_999_987, 99_999_993, 20_000_000),
        ]:
            with self.subTest(amount=amount, goods=goods):
                kpis = self.report_refund(amount, goods, tax)["kpis"]
                self.assertEqual(kpis["refund_cents"], amount * goods // (goods + tax))

    def report_refund(self, amount: int, goods: int, tax: int) -> Report:
        """Return the report on one order of *goods* with a refund of *amount*."""
        money = (goods, 0, 0, tax, goods + tax)
        return self.report_shop(
            orders=[(*ORDERS[0][:3], "returned", *money)],
            order_items=[(1, 1, 1, 1, goods, 0, goods)],
            payments=[
                (14, 1, "refund", "card", "succeeded", amount, "2024-02-01T00:00:00Z")
            ],
        )

    def test_an_inexact_refund_of_an_order_that_does_not_count_is_no_matter(self) -> None:
        path = self.make_shop()
        with closing(sqlite3.connect(path)) as connection:
            for status, payment_id in [("cancelled", None), ("paid", 6)]:
                with self.subTest(status):
                    connection.execute(
                        "UPDATE orders SET status = ? WHERE order_id = 4", (status,)
                    )
                    connection.execute(
                        "UPDATE payments SET amount_cents = 1 << 62 WHERE order_id = 4"
                    )
                    self.assertEqual(find_inexact_refund(connection), payment_id)


class TheMarkdown(FolderCase):
    """`report.md` is pleasant, and nothing in the data can break it."""

    def test_the_verdict_comes_first(self) -> None:
        lines = render_markdown(self.report_shop()).splitlines()
        self.assertEqual(
            lines[2], f"✅ **Sound.** {CHECK_COUNT} checks, 0 errors, 0 warnings."
        )
        self.assertRegex(
            lines[4],
            r"^Data as of 2024-03-15 · seed 7 · content `[0-9a-f]{12}` · amounts in EUR$",
        )

    def test_the_verdict_is_made_of_its_figures_and_not_of_its_sentence(self) -> None:
        report = self.report_shop()
        report["verdict"] = {
            "status": "fail",
            "errors": 1,
            "warnings": 2,
            "checks": 3,
            "text": "Hm",
        }
        line = render_markdown(report).splitlines()[2]
        self.assertEqual(line, "❌ **Not sound.** 3 checks, 1 error, 2 warnings.")

    def test_a_broken_shop_says_so_and_shows_the_rows(self) -> None:
        orders = [*ORDERS[:7], (8, 2, "2024-01-01T00:00:00Z", "paid", *ORDERS[7][4:])]
        text = render_markdown(self.report_shop(orders=orders))
        self.assertIn(
            f"❌ **Not sound.** {CHECK_COUNT} checks, 2 errors, 0 warnings.", text
        )
        self.assertIn("## What to look at", text)
        self.assertIn(
            "❌ **No order is placed before its user signs up**: 1\u00a0row"
            " (`causality_sign_up_before_order`)\n\n"
            "| order_id | user_id | signed_up_at | ordered_at |\n"
            "| --- | --- | --- | --- |\n"
            "| 8 | 2 | 2024-01-05T00:00:00Z | 2024-01-01T00:00:00Z |\n",
            text,
        )

    def test_a_warning_leaves_the_shop_sound(self) -> None:
        users = [*USERS[:3], (4, "ANN@example.com", *USERS[3][2:])]
        text = render_markdown(self.report_shop(users=users))
        self.assertIn(f"⚠️ **Sound.** {CHECK_COUNT} checks, 0 errors, 1 warning.", text)

    def test_figures_stand_to_the_right_with_thousands_separators(self) -> None:
        rich = [(1, 1, 1, 1, 123456789, 0, 123456789)]
        text = render_markdown(self.report_shop(order_items=rich))
        self.assertIn("| Month | Gross | Discount |", text)
        self.assertIn("| --- | ---: | ---: |", text)
        self.assertIn("| 1,234,567.89 |", text)
        self.assertIn("1,234,567.89\u00a0EUR", text)

    def test_hostile_words_cannot_break_a_table(self) -> None:
        words = list(enumerate(HOSTILE_WORDS, start=1))
        text = render_markdown(
            self.report_shop(
                users=[(n, f"{n}@x", w, "SE", w, w, USERS[0][6]) for n, w in words],
                products=[(n, w, w, w, w, *PRODUCTS[0][5:]) for n, w in words],
                order_items=[(n, 1, n, 1, 2000, 0, 2000) for n, _ in words],
                payments=[(n, 1, "charge", w, *PAYMENTS[0][4:]) for n, w in words],
            )
        )
        self.assert_is_whole(text)
        self.assertIn(r"new\\nline\\r\\n\| --- \|", text)

    def test_an_address_in_a_value_becomes_no_link(self) -> None:
        for word, shown in (
            ("see https://evil.example/x", r"see https\://evil.example/x"),
            ("WWW.evil.example", r"WWW\.evil.example"),
            ("12:30, swww", "12:30, swww"),
        ):
            self.assertEqual(escape(word), shown)

    def test_one_of_a_thing_is_told_as_one(self) -> None:
        report = self.report_shop(orders=ORDERS[:1], as_of="2024-01-31")
        self.assertIn("1 valid order of 1 customer, repeat", render_summary(report))
        text = render_markdown(report).replace("\u00a0", " ")
        self.assertIn("net from 1 order of 1 new and 0 returning customers", text)

    def test_hostile_words_in_the_manifest_cannot_break_a_table(self) -> None:
        path = self.make_shop()
        for word in HOSTILE_WORDS:
            with self.subTest(word=word):
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute(
                        "UPDATE submission_meta SET value = ? WHERE subject = 'generator'",
                        (word,),
                    )
                    connection.commit()
                report = read_report(path)
                self.assertIsNone(report["currency"])
                self.assert_is_whole(render_markdown(report))
                self.assertTrue(render_summary(report).replace("\n", "").isprintable())

    def assert_is_whole(self, text: str) -> None:
        """Fail unless every table of *text* is a table and nothing else became markup."""
        self.assertTrue(text.replace("\n", "").replace("\u00a0", "").isprintable())
        self.assertNotRegex(text, "<(?!check>)")
        for block in re.split(r"\n\n+", text):
            lines = block.splitlines()
            if lines[0].startswith("|"):
                widths = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}
                self.assertEqual(len(widths), 1, block)
                self.assertTrue(all(line.endswith(" |") for line in lines), block)
        headings = {line for line in text.splitlines() if line.startswith("#")}
        self.assertEqual(len(headings - {"## What to look at"}), 13, headings)
        self.assertEqual(len(re.findall("^```", text, flags=re.MULTILINE)), 4)

    def test_escaped_words_show_what_they_are(self) -> None:
        for word, shown in [
            ("a|b", r"a\|b"),
            ("line\nbreak\r\n", r"line\\nbreak\\r\\n"),
            ("`code`", r"\`code\`"),
            ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
            ("*_x_* a_b", r"\*\_x\_\* a_b"),
            ("[x](y)", r"\[x\](y)"),
            ("\u202eevil\x00", r"\\u202eevil\\x00"),
            ("$x$ ~y~ #1 !", r"\$x\$ \~y\~ \#1 \!"),
            ("x" * 200, "x" * 159 + "…"),
            (None, "–"),
        ]:
            with self.subTest(word=word):
                self.assertEqual(escape(word), shown)

    def test_the_plot_finds_room_for_any_number_of_months(self) -> None:
        for count, bars, title in [
            (2, 2, "month"),
            (24, 24, "month"),
            (25, 9, "quarter"),
            (60, 20, "quarter"),
            (120, 10, "year"),
            (600, 24, "year"),
        ]:
            with self.subTest(count=count):
                plot = render_plot(make_months(count), "EUR")
                self.assertIn(f'title "Net revenue by {title}"', plot)
                labels = re.findall(
                    r'"([^"]+)"',
                    next(line for line in plot.splitlines() if "x-axis" in line),
                )
                self.assertEqual((len(labels), len(set(labels))), (bars, bars))

    def test_the_plot_says_how_many_years_it_leaves_out(self) -> None:
        for count, expected in [
            (24 * 12, None),
            (25 * 12, "Not shown: 1 earlier year."),
            (50 * 12, "Not shown: 26 earlier years."),
        ]:
            with self.subTest(count=count):
                text = render_plot(make_months(count), None).partition("\n```")[2]
                self.assertEqual(text.strip() or None, expected)

    def test_the_plot_marks_the_period_that_still_runs(self) -> None:
        for count, complete, label, noun in [
            (3, 2, "00-03 *", "month"),
            (3, 3, None, "month"),
            (26, 25, "02 Q1 *", "quarter"),
            (26, 26, "02 Q1 *", "quarter"),  # February is over, the quarter is not
            (27, 27, None, "quarter"),
            (121, 121, "2010 *", "year"),
            (132, 132, None, "year"),
            (132, 131, "2010 *", "year"),
        ]:
            with self.subTest(count=count, complete=complete):
                plot = render_plot(make_months(count, complete), None)
                self.assertEqual(re.findall(r'"([^"]+ \*)"', plot), [label] * bool(label))
                note = f"\\* the data do not cover the whole {noun}."
                self.assertEqual(plot.endswith(note), label is not None)

    def test_a_mistyped_century_has_a_bar_of_its_own(self) -> None:
        rows = [{**make_months(1)[0], "month": "1924-01"}, *make_months(2)]
        rows[1]["month"], rows[2]["month"] = "2024-01", "2024-02"
        plot = render_plot(rows, None)
        self.assertIn('x-axis ["1924-01", "2024-01", "2024-02"]', plot)
        self.assertIn("bar [1.0, 1.0, 2.0]", plot)

    def test_a_quarter_is_the_sum_of_its_months(self) -> None:
        plot = render_plot(make_months(27), None)  # 1 + 2 + 3, 4 + 5 + 6 and so on
        self.assertIn("bar [6.0, 15.0, 24.0,", plot)

    def test_a_month_that_lost_money_is_below_the_axis(self) -> None:
        rows = [
            {"month": "2024-01", "net_cents": 30050, "is_complete": 1},
            {"month": "2024-02", "net_cents": -12300, "is_complete": 1},
        ]
        plot = render_plot(rows, "EUR")
        self.assertIn('y-axis "EUR" -123.0 --> 300.5', plot)
        self.assertIn("bar [300.5, -123.0]", plot)

    def test_one_month_needs_no_plot(self) -> None:
        self.assertEqual(render_plot([{"month": "2024-01", "net_cents": 5}], None), "")

    def test_the_summary_is_short_and_says_the_verdict_first(self) -> None:
        lines = render_summary(self.report_shop()).splitlines()
        self.assertEqual(
            lines,
            [
                f"Sound. {CHECK_COUNT} checks, 0 errors, 0 warnings.",
                "As of 2024-03-15: 5 valid orders of 3 customers, repeat rate 33.3%",
                "Net revenue 166.68 EUR, AOV 33.34 EUR",
                "Refund rate 9.9%, cancellation rate 25.0%, failed payments 22.2%",
                (
                    "Feb 2024, the last complete month, brought 27.79 EUR net from 2 orders"
                    " of 1 new"
                ),
                "  and 1 returning customer",
            ],
        )

    def test_the_summary_fits_a_narrow_terminal(self) -> None:
        report = self.report_shop()
        report["kpis"]["last_complete_month"]["net_cents"] = 10**15
        for check in report["checks"]:
            check.update(status="fail", count=10**6)
        lines = render_summary(report).splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertEqual(
            lines[4:6],
            [
                "  error: Nothing happens after the last day that the manifest states:",
                "    1,000,000 rows",
            ],
        )

    def test_the_summary_names_the_worst_findings_and_counts_the_rest(self) -> None:
        path = self.make_shop()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("DELETE FROM payments")
            connection.execute("DELETE FROM order_items")
            connection.execute(
                "UPDATE orders SET user_id = 99, status = 'lost' WHERE order_id = 8"
            )
            connection.execute(
                "UPDATE submission_meta SET value = 'differs' WHERE property = 'manifest'"
            )
            connection.commit()
        text = render_summary(read_report(path))
        lines = text.replace("\n    ", " ").splitlines()
        self.assertEqual(lines[0], f"Not sound. {CHECK_COUNT} checks, 6 errors, 1 warning.")
        self.assertEqual(lines[1], "  error: Every order has at least one item: 8 rows")
        self.assertEqual(lines[7], "  and 1 more, in the report")
        self.assertEqual(
            lines[8], "  All rows: python ingest.py --rows coverage_orders_without_items"
        )
        self.assertLessEqual(len(text.splitlines()), 15)


class TheFiles(FolderCase):
    """What is written, where, and that it is the same each time."""

    def test_both_files_are_written_and_nothing_else(self) -> None:
        out_dir = self.folder / "out"
        with mock.patch.object(report_module, "PUBLISHED_DIR", self.folder / "published"):
            report = report_database(self.make_shop(), out_dir)
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "shop.db"])
        self.assertEqual(sorted(os.listdir(out_dir)), ["report.json", "report.md"])
        self.assertEqual(json.loads((out_dir / "report.json").read_bytes()), report)

    def test_without_a_folder_the_page_gets_a_copy(self) -> None:
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

    def test_a_copy_that_is_refused_leaves_all_files_as_they_were(self) -> None:
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

    def test_the_markdown_is_made_from_the_json_alone(self) -> None:
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

    def test_the_document_has_the_keys_that_its_readers_rely_on(self) -> None:
        report = self.report_shop()
        self.assertEqual(
            list(report),
            [
                "schema_version",
                "as_of",
                "currency",
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

    def test_the_report_names_the_file_that_was_read_and_leaves_it_alone(self) -> None:
        path = self.make_shop()
        before = hash_file(path)
        report = report_database(path, self.folder / "out")
        self.assertEqual(
            report["database"], {"sha256": before, "bytes": path.stat().st_size}
        )
        self.assertEqual(hash_file(path), before)
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "shop.db"])

    def test_a_path_full_of_marks_that_a_uri_uses_is_found(self) -> None:
        folder = self.folder / "50% #1 & a b Ü+"
        folder.mkdir()
        path = create_shop(folder / "shop;mode=rw.db")
        self.assertEqual(read_report(path)["kpis"]["order_count"], 5)


class AnUnreadableDatabase(FolderCase):
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

    def test_a_damaged_database_is_refused_or_found_not_whole(self) -> None:
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


# ---- Helpers -----------------------------------------------------------------------------

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

MONEY = ("gross_cents", "discount_cents", "refund_cents", "net_cents", "order_count")

HOSTILE_WORDS = [
    "a|b||c",
    "back\\|slash\\",
    "new\nline\r\n| --- |",
    "`tick` ``` fence",
    "<script>alert(1)</script><!-- ",
    "&lt;b&gt;",
    "**bold** _it_ ~~no~~ [link](javascript:alert(1)) ![x](y)",
    "# heading",
    "\u202eright to left\u2028\x1b[31m\x00",
    "$math$ $$",
    "x" * 5000,
    "Ünïcödé 日本語 🛍️",
]


def make_months(count: int, complete: int | None = None) -> list[dict[str, Any]]:
    """Return *count* months from January 2000, with 1, 2, 3, … of net revenue.

    The first *complete* of them are over; if that is not told, all.
    """
    return [
        {
            "month": f"{2000 + n // 12}-{n % 12 + 1:02}",
            "net_cents": 100 * (n + 1),
            "is_complete": int(complete is None or n < complete),
        }
        for n in range(count)
    ]


def make_random_shop(chance: random.Random) -> dict[str, list[Row]]:
    """Return a shop of users, orders, items and payments that keeps only the CHECKs."""
    users: list[Row] = [
        (
            n,
            f"{n}@x.example",
            "N",
            chance.choice(["SE", "GB", "IE"]),
            "C",
            chance.choice(["a", "b"]),
            "2023-01-01T00:00:00Z",
        )
        for n in range(1, 13)
    ]
    orders: list[Row] = []
    items: list[Row] = []
    payments: list[Row] = []
    for order_id in range(1, 61):
        subtotal = 0
        for _ in range(chance.randint(1, 3)):
            quantity, price = chance.randint(1, 4), chance.randint(0, 9999)
            discount = chance.randint(0, quantity * price)
            line = quantity * price - discount
            items.append(
                (
                    len(items) + 1,
                    order_id,
                    chance.randint(1, 4),
                    quantity,
                    price,
                    discount,
                    line,
                )
            )
            subtotal += line
        discount, shipping, tax = chance.randint(0, subtotal), chance.randint(0, 900), 77
        total = subtotal - discount + shipping + tax
        status = chance.choice([*sorted(VALID), "pending", "cancelled"])
        user_id = chance.randint(1, 12)
        money = (subtotal, discount, shipping, tax, total)
        orders.append((order_id, user_id, random_instant(chance), status, *money))
        for _ in range(chance.randint(0, 3)):
            payments.append(
                (
                    len(payments) + 1,
                    order_id,
                    chance.choice(["charge", "refund"]),
                    "card",
                    chance.choice(["succeeded", "succeeded", "failed"]),
                    chance.randint(0, total),
                    random_instant(chance),
                )
            )
    return {"users": users, "orders": orders, "order_items": items, "payments": payments}


def random_instant(chance: random.Random) -> str:
    """Return an instant of the thirteen months before 15 March 2024."""
    day = date(2023, 2, 15) + timedelta(days=chance.randrange(394))
    return f"{day}T{chance.randrange(24):02}:30:00Z"


def pick_money(row: dict[str, Any]) -> dict[str, int]:
    """Return the columns of MONEY in *row*."""
    return {column: row[column] for column in MONEY}


def find_country(countries: dict[Any, str], order: Row, _: str) -> str:
    """Return the country of the user of *order*."""
    return countries[order[1]]


def sum_by(
    shop: dict[str, list[Row]], label: Callable[[Row, str], str]
) -> dict[str, dict[str, int]]:
    """Return the sums of MONEY by *label* of an order and an instant."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(MONEY, 0))
    valid = {order[0]: order for order in shop["orders"] if order[3] in VALID}
    for order in valid.values():
        group = sums[label(order, str(order[2]))]
        group["order_count"] += 1
        group["discount_cents"] += int(order[5])
        group["net_cents"] -= int(order[5])
    for _, order_id, _, quantity, price, discount, _ in of_orders(
        shop["order_items"], valid
    ):
        group = sums[label(valid[order_id], str(valid[order_id][2]))]
        group["gross_cents"] += quantity * price
        group["discount_cents"] += discount
        group["net_cents"] += quantity * price - discount
    for _, order_id, kind, _, status, amount, at in of_orders(shop["payments"], valid):
        if (kind, status) == ("refund", "succeeded"):
            order = valid[order_id]
            share = amount * (int(order[4]) - int(order[5])) // int(order[8])
            sums[label(order, at)]["refund_cents"] += share
            sums[label(order, at)]["net_cents"] -= share
    return sums


def of_orders(rows: Sequence[Row], orders: dict[Any, Row]) -> Iterator[Any]:
    """Yield the *rows* whose second cell is the key of one of *orders*."""
    return (row for row in rows if row[1] in orders)


if __name__ == "__main__":
    unittest.main()
