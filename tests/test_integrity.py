"""The central promise: from the seed to the last figure, no error stays hidden."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import unittest
from collections import defaultdict
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path

import generate_data
import ingest
import run_query
from db.reporting.report import read_report
from tests.support import (
    IN_CI,
    SMALL_SAMPLE,
    ShopCase,
    call,
    hash_folder,
    run_script,
    sample_shop,
)
from utils.contract import read_contract

# The questions of a reader who trusts nothing, written independently of db/checks.  Each
# question returns the rows that prove the data wrong.
INTEGRITY_QUESTIONS = {
    "an order without a user": """
        SELECT order_id FROM orders WHERE user_id NOT IN (SELECT user_id FROM users)""",
    "an item of no order": """
        SELECT order_item_id FROM order_items
        WHERE order_id NOT IN (SELECT order_id FROM orders)""",
    "an item of no product": """
        SELECT order_item_id FROM order_items
        WHERE product_id NOT IN (SELECT product_id FROM products)""",
    "a payment of no order": """
        SELECT payment_id FROM payments
        WHERE order_id NOT IN (SELECT order_id FROM orders)""",
    "an order without items": """
        SELECT order_id FROM orders
        WHERE order_id NOT IN (SELECT order_id FROM order_items)""",
    "an address used twice": """
        SELECT LOWER(email) FROM users GROUP BY LOWER(email) HAVING COUNT(*) > 1""",
    "a product twice in a basket": """
        SELECT order_id FROM order_items
        GROUP BY order_id, product_id HAVING COUNT(*) > 1""",
    "a line that does not add up": """
        SELECT order_item_id FROM order_items
        WHERE line_total_cents <> quantity * unit_price_cents - discount_cents""",
    "items that do not make the subtotal": """
        SELECT orders.order_id FROM orders JOIN order_items USING (order_id)
        GROUP BY orders.order_id HAVING SUM(line_total_cents) <> MAX(subtotal_cents)""",
    "a total that does not add up": """
        SELECT order_id FROM orders
        WHERE total_cents
            <> subtotal_cents - discount_cents + shipping_cents + tax_cents""",
    "an order before its sign-up": """
        SELECT order_id FROM orders JOIN users USING (user_id)
        WHERE ordered_at < signed_up_at""",
    "a product sold before its launch": """
        SELECT order_item_id FROM order_items JOIN orders USING (order_id)
        JOIN products USING (product_id) WHERE ordered_at < launched_at""",
    "a payment before its order": """
        SELECT payment_id FROM payments JOIN orders USING (order_id)
        WHERE processed_at < ordered_at""",
    "a refund before the charge": """
        SELECT refund.payment_id FROM payments AS refund
        WHERE refund.kind = 'refund' AND NOT EXISTS (
            SELECT 1 FROM payments AS charge WHERE charge.order_id = refund.order_id
            AND charge.kind = 'charge' AND charge.status = 'succeeded'
            AND charge.processed_at <= refund.processed_at)""",
    "something after the window": """
        SELECT user_id FROM users WHERE signed_up_at > '2025-12-31T23:59:59Z'
        UNION ALL
        SELECT order_id FROM orders WHERE ordered_at > '2025-12-31T23:59:59Z'
        UNION ALL
        SELECT payment_id FROM payments WHERE processed_at > '2025-12-31T23:59:59Z'""",
    "money that does not fit the status": """
        SELECT order_id FROM orders LEFT JOIN (
            SELECT order_id,
                SUM(CASE kind WHEN 'charge' THEN amount_cents ELSE 0 END) AS charges,
                SUM(CASE kind WHEN 'refund' THEN amount_cents ELSE 0 END) AS refunds
            FROM payments WHERE status = 'succeeded' GROUP BY order_id
        ) USING (order_id)
        WHERE CASE status
            WHEN 'pending' THEN COALESCE(charges, 0) = 0
            WHEN 'cancelled' THEN COALESCE(charges, 0) = COALESCE(refunds, 0)
            WHEN 'returned' THEN COALESCE(charges, 0) = total_cents
                AND COALESCE(refunds, 0) = total_cents
            WHEN 'partially_returned' THEN COALESCE(charges, 0) = total_cents
                AND COALESCE(refunds, 0) BETWEEN 1 AND total_cents - 1
            ELSE COALESCE(charges, 0) = total_cents AND COALESCE(refunds, 0) = 0
        END = 0""",
}

# One change by hand for each question, which it must find.
BREAKS = {
    "an order without a user": "UPDATE orders SET user_id = 0 WHERE order_id = 3",
    "an item of no order": "UPDATE order_items SET order_id = 0 WHERE order_item_id = 3",
    "an item of no product": "UPDATE order_items SET product_id = 0 WHERE order_id = 3",
    "a payment of no order": "UPDATE payments SET order_id = 0 WHERE payment_id = 3",
    "an order without items": "DELETE FROM order_items WHERE order_id = 3",
    "an address used twice": """
        UPDATE users SET email = (SELECT UPPER(email) FROM users WHERE user_id = 4)
        WHERE user_id = 3""",
    "a product twice in a basket": """
        INSERT INTO order_items SELECT 900000, order_id, product_id, quantity,
            unit_price_cents, discount_cents, line_total_cents
        FROM order_items WHERE order_item_id = 3""",
    "a line that does not add up": """
        UPDATE order_items SET line_total_cents = line_total_cents + 1
        WHERE order_item_id = 3""",
    "items that do not make the subtotal": """
        UPDATE order_items SET quantity = quantity + 1,
            line_total_cents = line_total_cents + unit_price_cents
        WHERE order_item_id = 3""",
    "a total that does not add up": """
        UPDATE orders SET total_cents = total_cents - 1
        WHERE order_id = 3""",
    "an order before its sign-up": """
        UPDATE orders SET ordered_at = '2001-01-01T00:00:00Z'
        WHERE order_id = 3""",
    "a product sold before its launch": """
        UPDATE products
        SET launched_at = '2025-12-31T00:00:00Z'""",
    "a payment before its order": """
        UPDATE payments SET processed_at = '2001-01-01T00:00:00Z'
        WHERE payment_id = 3""",
    "a refund before the charge": """
        UPDATE payments SET processed_at = '2025-12-31T00:00:00Z'
        WHERE kind = 'charge' AND order_id
            IN (SELECT order_id FROM payments WHERE kind = 'refund')""",
    "something after the window": """
        UPDATE users SET signed_up_at = '2026-01-01T00:00:00Z'
        WHERE user_id = 3""",
    "money that does not fit the status": "DELETE FROM payments WHERE kind = 'charge'",
}

# Columns in which a small change makes a value that is as possible as the old one.
FREE_COLUMNS = {
    "users.email",
    "users.full_name",
    "users.city",
    "users.acquisition_channel",
    "products.sku",
    "products.product_name",
    "products.category",
    "products.brand",
    "products.price_cents",
    "products.cost_cents",
    "order_items.order_id",
    "order_items.product_id",
    "payments.order_id",
    "payments.method",
    "payments.amount_cents",
    "orders.user_id",
}

OUTPUTS = (
    "users.csv",
    "products.csv",
    "orders.csv",
    "order_items.csv",
    "payments.csv",
    "datapackage.json",
    "shop.db",
    "report.json",
    "report.md",
    "query_result.csv",
    "query_result.json",
)


class IntegrityQuestions(ShopCase):
    """Independent SQL queries find no wrong row, over several seeds."""

    def test_integrity_questions_find_no_wrong_row(self) -> None:
        for seed in (1, 42, 2**64 - 1) if IN_CI else (2**64 - 1,):
            self.generate("--seed", seed, "--users", 400 if IN_CI else 100)
            self.assertEqual(self.ingest().status, 0)
            for name, sql in INTEGRITY_QUESTIONS.items():
                with self.subTest(name, seed=seed):
                    self.assertEqual(self.query(sql), [])

    def test_shop_on_the_days_of_a_replay_loads_and_passes_every_check(self) -> None:
        days = (date(2024, 1, 2), date(2024, 3, 1), date(2025, 8, 15))
        for day in days if IN_CI else days[:2]:
            with self.subTest(day=day):
                self.generate("--users", 100, "--until", day)
                self.assertEqual(self.ingest().status, 0)
                verdict = read_report(self.database)["verdict"]
                self.assertEqual(verdict["errors"], 0, verdict)

    def test_each_integrity_question_finds_its_change(self) -> None:
        self.assertEqual(set(BREAKS), set(INTEGRITY_QUESTIONS))
        for name, change in BREAKS.items():
            with self.subTest(name):
                shutil.copy(sample_shop() / "shop.db", self.database)
                with closing(sqlite3.connect(self.database)) as connection:
                    connection.execute("PRAGMA ignore_check_constraints = ON")
                    connection.execute("DROP INDEX users_email_idx")
                    connection.execute(change)
                    connection.commit()
                self.assertNotEqual(self.query(INTEGRITY_QUESTIONS[name]), [])

    def test_report_finds_no_error_in_generated_data(self) -> None:
        report = json.loads((sample_shop() / "report.json").read_text(encoding="utf-8"))
        self.assertEqual(report["verdict"]["errors"], 0, report["verdict"])
        self.assertEqual(report["verdict"]["status"], "pass", report["verdict"])


class ChangedCell(ShopCase):
    """A changed cell of any column is found by the next step."""

    def test_changed_cell_of_a_file_is_rejected_or_gives_a_warning(self) -> None:
        warned_only, changed = set(), set()
        self.copy_sample(*SMALL_SAMPLE)
        for table in read_contract().tables:
            path = self.folder / f"{table.name}.csv"
            sound = path.read_bytes()
            for at, name in list(enumerate(table.column_names))[:: 1 if IN_CI else 3]:
                changed.add(f"{table.name}.{name}")
                with self.subTest(table=table.name, column=name):
                    self.edit_line(path.name, 5, partial(_change, at))
                    result = self.ingest()
                    path.write_bytes(sound)
                    self.assertIn(f"{table.name}.csv", result.stderr)
                    self.assertNotIn("Traceback", result.stderr)
                    if result.status == 0:
                        warned_only.add(f"{table.name}.{name}")
        # Where no rule can detect it, the comparison with the manifest does.
        self.assertEqual(warned_only, FREE_COLUMNS & changed)

    def test_changed_cell_of_the_database_fails_the_report(self) -> None:
        for table in read_contract().tables:
            for column in table.columns if IN_CI else table.columns[::4]:
                with self.subTest(table=table.name, column=column.name):
                    shutil.copy(sample_shop(*SMALL_SAMPLE) / "shop.db", self.database)
                    self.set_cell(table.name, column.name, column.type)
                    verdict = read_report(self.database)["verdict"]
                    self.assertEqual(verdict["status"], "fail", verdict)

    def set_cell(self, table: str, column: str, type_name: str) -> None:
        """Change one cell of the folder's database by force, unless that is impossible."""
        change = f"{column} + 1000000" if type_name == "INTEGER" else f"{column} || 'x'"
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(f"UPDATE {table} SET {column} = {change} WHERE rowid = 3")
            connection.commit()


def _change(at: int, line: str) -> str:
    cells = line.split(",")
    cells[at] = f"{int(cells[at]) + 1}" if cells[at].isdigit() else f"{cells[at]}x"
    return ",".join(cells)


class RecordedResults(unittest.TestCase):
    """Report and query result identify the database that they are made from."""

    def test_report_and_query_result_name_the_database_they_read(self) -> None:
        database = (sample_shop() / "shop.db").read_bytes()
        expected = {"sha256": hashlib.sha256(database).hexdigest(), "bytes": len(database)}
        for name in ("report.json", "query_result.json"):
            document = json.loads((sample_shop() / name).read_text(encoding="utf-8"))
            self.assertEqual(document["database"], expected, name)

    def test_report_and_query_result_have_the_same_money(self) -> None:
        report = json.loads((sample_shop() / "report.json").read_text(encoding="utf-8"))
        result = json.loads(
            (sample_shop() / "query_result.json").read_text(encoding="utf-8")
        )
        for report_name, query_name in (
            ("gross_cents", "gross_cents"),
            ("discount_cents", "discount_cents"),
            ("refund_cents", "refund_cents"),
            ("order_count", "order_count"),
        ):
            total = sum(cell[query_name] for cell in result["cells"])
            self.assertEqual(report["kpis"][report_name], total, report_name)
        months: dict[str, int] = defaultdict(int)
        for cell in result["cells"]:
            months[cell["period_month"]] += cell["net_cents"]
        trend = report["trends"]["revenue_by_month"]["rows"]
        self.assertEqual({row["month"]: row["net_cents"] for row in trend}, months)


class CompleteChain(ShopCase):
    """All steps give the same bytes in every environment: in real processes, and here."""

    def test_another_environment_gives_identical_outputs(self) -> None:
        environment = {
            "PYTHONHASHSEED": "1234",
            "TZ": "Asia/Tokyo",
            "LC_ALL": "C",
            "PYTHONUTF8": "0",
            "COLUMNS": "40",
        }
        database = ("--database", self.database)
        out_dir = ("--out-dir", self.folder)
        for script, *arguments in (
            ("generate_data.py", "--generate", *SMALL_SAMPLE, *out_dir),
            ("ingest.py", "--ingest", "--data-dir", self.folder, *database),
            ("ingest.py", "--report", *database, *out_dir),
            ("run_query.py", *database, *out_dir),
        ):
            result = run_script(str(script), *arguments, cwd=Path("/"), env=environment)
            self.assertEqual((result.status, result.stderr), (0, ""), result)
        found = hash_folder(self.folder)
        self.assertEqual(set(found), set(OUTPUTS))
        self.assertEqual(found, hash_folder(sample_shop(*SMALL_SAMPLE)))


class ScriptMessages(unittest.TestCase):
    """Every script prints its --help and refuses unknown options."""

    def test_help_exits_0_and_a_wrong_option_exits_2(self) -> None:
        for script in (generate_data, ingest, run_query):
            with self.subTest(script.__name__):
                helped = call(script.main, "--help")
                self.assertEqual((helped.status, helped.stderr), (0, ""))
                self.assertIn("usage:", helped.stdout)
                self.assertEqual(call(script.main, "--no-such-option").status, 2)
