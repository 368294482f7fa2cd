"""No query compares every row of one table with every row of another, on any engine.

DuckDB orders its joins by the number of rows.  In the shops here each order has many
lines, because then it joins orders with products first wherever a query allows that.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import unittest
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import ingest
import run_query
from db.reporting.checks import CHECKS_DIR, TRENDS_DIR, read_queries
from queries.query_file import QUERY_PATH
from queries.reading import DAYS_PATH, SEGMENTS_PATH, VALUES_PATH
from tests.engine_cases import EngineCase
from tests.support import call
from utils.contract import read_contract
from utils.database import create_empty_database
from utils.engines.process import Engine, Script
from utils.sql_text import replace_select

Plan = dict[str, Any]

# Tables, CTEs and their aliases that have one row, ten rows, or one row per month.  A new
# CTE of one row is listed here if its plan does not show that.
FEW_ROWS = {
    *("as_of_of_data", "as_of_dates", "as_of_months", "stored_as_of_months"),
    *("thousands", "hundreds", "tens", "ones"),
    *("cohorts", "first_cohorts", "later_cohorts", "counted_remainders"),
    *("last_day", "far_months", "offsets", "sizes", "wrong_texts"),
}


def write_wide_shop(folder: Path, order_count: int, product_count: int) -> None:
    """Write a sound shop to *folder*: four users, and 20 lines in every order."""
    at, lines = "2025-05-01T10:00:00Z", 20
    launches = [f"2024-{month:02}{at[7:]}" for month in range(1, 13)]
    orders, items = range(1, order_count + 1), range(order_count * lines)
    names = ((number, f"u{number}@x.example") for number in range(1, 5))
    rows: dict[str, list[tuple[object, ...]]] = {
        "users": [(*each, "A", "DE", "B", "search", at) for each in names],
        "products": [
            (number, f"S{number}", "P", "c", "b", 9, 0, launches[number % 12])
            for number in range(1, product_count + 1)
        ],
        "orders": [
            (number, number % 4 + 1, at, "delivered", 100 * lines, 0, 0, 0, 100 * lines)
            for number in orders
        ],
        "order_items": [
            (line + 1, line // lines + 1, line % product_count + 1, 1, 100, 0, 100)
            for line in items
        ],
        "payments": [
            (2 * number - part, number, kind, "card", "succeeded", 100 * lines, at)
            for number in orders
            for part, kind in ((1, "charge"), (0, "refund"))
        ],
    }
    for table in read_contract().tables:
        with open(folder / f"{table.name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([table.column_names, *rows[table.name]])


class PlansExplained(Exception):
    """The plans were read, so the run ends."""


class PlansOfDuckDb(EngineCase):
    """DuckDB joins tables by equal keys, whatever their number of rows."""

    engine = "duckdb"

    def explain(self, engine: Engine, script: Script, folder: Path) -> None:
        """Read the plan of each query and stored table of *script* instead of its rows."""
        name, lines = "", []
        for text in script.finish().split(";\n"):
            *commands, statement = text.split("\n") if text.startswith(".") else [text]
            for command in commands:
                if command.startswith(".print"):
                    name = command.split()[-1]
                else:
                    lines.append(f"{command}\n")
            if statement.startswith("CREATE TABLE"):
                name = statement.split()[2]
            if statement.startswith(("CREATE TABLE", "SELECT")):
                lines.append(f".print @plan {name}\n")
                lines.append(f"EXPLAIN (FORMAT JSON) {statement};\n")
            if statement and not statement.startswith("SELECT"):
                lines.append(f"{statement};\n")
        finished = subprocess.run(
            [engine.program, "-init", os.devnull, "-batch", "-bail"],
            input="".join(lines),
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        self.assertEqual((finished.returncode, finished.stderr), (0, ""))
        for answer in finished.stdout.split("@plan ")[1:]:
            name, _, text = answer.partition("\n")
            ((self.plans[name],), _) = json.JSONDecoder().raw_decode(
                text, text.index("[\n")
            )
        raise PlansExplained

    def find_slow_joins(self) -> list[str]:
        """Return the joins of all queries that compare each row of two tables."""
        self.plans: dict[str, Plan] = {}
        for main, *options in (
            (ingest.main, "--report"),
            (run_query.main, "--by", "category", "--forecast"),
        ):
            with (
                mock.patch("utils.engines.session.run_script", self.explain),
                self.assertRaises(PlansExplained),
            ):
                call(main, "--engine", "duckdb", "--data-dir", self.folder, *options)
        self.assertLessEqual(
            {"counts_of_checks", "samples_of_checks", "cells", "spreads", "purchase_days"},
            # The checks are asked about some at a time, in queries with a number.
            {name.rstrip("_0123456789") for name in self.plans},
        )
        return [
            f"{name}: {node['name']} {node['extra_info']}"
            for name, plan in self.plans.items()
            for ctes in [list_large_ctes(plan)]
            for node in walk(plan)
            if is_slow_join(node, ctes)
        ]

    def test_no_join_compares_each_row_of_two_tables(self) -> None:
        for order_count, product_count in ((100, 40), (400, 100), (100, 1000)):
            with self.subTest(orders=order_count, products=product_count):
                write_wide_shop(self.folder, order_count, product_count)
                self.assertEqual(self.find_slow_joins(), [])

    def test_comparison_of_orders_with_products_is_found(self) -> None:
        write_wide_shop(self.folder, 100, 40)
        sql = (
            "SELECT orders.order_id FROM order_items, orders, products"
            " WHERE order_items.order_id = orders.order_id"
            " AND order_items.product_id = products.product_id"
            " AND products.launched_at > orders.ordered_at"
        )
        (check, *_) = read_queries(CHECKS_DIR)
        with mock.patch(
            "db.reporting.engine_report.read_queries",
            lambda _: [check._replace(name="trend", sql=sql)],
        ):
            found = self.find_slow_joins()
        self.assertEqual(len(found), 1, found)
        self.assertIn("ordered_at < launched_at", found[0])


def walk(node: Plan) -> Iterator[Plan]:
    """Yield *node* and all nodes below it."""
    yield node
    for child in node["children"]:
        yield from walk(child)


def list_large_ctes(plan: Plan) -> dict[str, Plan]:
    """Return the node of each CTE of *plan* that may be large, by its index."""
    return {
        node["extra_info"]["Table Index"]: node["children"][0]
        for node in walk(plan)
        if node["name"] == "CTE" and node["extra_info"]["CTE Name"] not in FEW_ROWS
    }


def is_slow_join(node: Plan, ctes: dict[str, Plan]) -> bool:
    """Return whether *node* compares each row of a table with each of another."""
    is_join = node["name"].endswith(("_JOIN", "_PRODUCT"))
    if not is_join or node["name"] in ("HASH_JOIN", "LEFT_DELIM_JOIN", "RIGHT_DELIM_JOIN"):
        return False
    left, right = node["children"]
    return reads_a_table(left, ctes) and reads_a_table(right, ctes)


def reads_a_table(node: Plan, ctes: dict[str, Plan]) -> bool:
    """Return whether *node* has as many rows as a table, as far as its plan shows."""
    facts = node["extra_info"]
    if node["name"] == "UNGROUPED_AGGREGATE":
        return False
    if node["name"] == "CTE_SCAN":
        cte = ctes.get(facts["CTE Index"])
        return cte is not None and reads_a_table(cte, ctes)
    if node["name"] == "SEQ_SCAN":
        return str(facts["Table"]).rpartition(".")[2] not in FEW_ROWS
    return any(reads_a_table(child, ctes) for child in node["children"])


class PlansOfSqlite(unittest.TestCase):
    """SQLite finds the rows of an inner loop by an index; it may build the index itself."""

    def test_no_inner_loop_reads_a_table_again(self) -> None:
        cohort_sql = QUERY_PATH.read_text(encoding="utf-8")
        queries = {
            query.name: query.sql
            for folder in (CHECKS_DIR, TRENDS_DIR)
            for query in read_queries(folder)
        }
        queries["join_query"] = cohort_sql
        for path in (VALUES_PATH, DAYS_PATH, SEGMENTS_PATH):
            select = path.read_text(encoding="utf-8")
            queries[path.stem] = replace_select(cohort_sql, select)
        with closing(create_empty_database(read_contract())) as connection:
            for name, sql in queries.items():
                with self.subTest(name):
                    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
                    self.assertEqual(list_repeated_scans(plan), [])

    def test_comparison_of_orders_with_products_is_found(self) -> None:
        sql = (
            "SELECT COUNT(*) FROM orders"
            " INNER JOIN products ON orders.ordered_at < products.launched_at"
        )
        exists = (
            "SELECT COUNT(*) FROM orders WHERE EXISTS ("
            "SELECT 1 FROM products WHERE orders.ordered_at < products.launched_at)"
        )
        with closing(create_empty_database(read_contract())) as connection:
            for text in (sql, exists):
                plan = connection.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()
                self.assertEqual(len(list_repeated_scans(plan)), 1, plan)


def list_repeated_scans(plan: list[tuple[int, int, int, str]]) -> list[str]:
    """Return the steps of *plan* that read a table once for each row of another."""
    steps = {number: step for number, _, _, step in plan}
    constants = {
        steps.get(parent, "").removeprefix("MATERIALIZE ")
        for _, parent, _, step in plan
        if step == "SCAN CONSTANT ROW"
    }
    scans: dict[int, list[str]] = {}
    for _, parent, _, step in plan:
        found = re.match(r"SCAN (\w+)", step)
        if found is not None and found[1] not in FEW_ROWS | constants:
            scans.setdefault(parent, []).append(step)
    return [
        step
        for parent, found in scans.items()
        for step in found[0 if steps.get(parent, "").startswith("CORRELATED") else 1 :]
    ]
