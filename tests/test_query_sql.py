"""The SQL of the cohort query: other engines, its plan, and the parts of its text."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import random
import re
import sqlite3
import unittest
from collections import Counter
from contextlib import closing
from typing import Any

from db.reporting.checks import TRENDS_DIR
from queries.options import Options, apply_options
from queries.query_file import QUERY_PATH
from queries.reading import DAYS_PATH, SEGMENTS_PATH, VALUES_PATH
from tests.query_cases import QueryCase
from tests.shop import (
    Row,
    create_shop,
)
from tests.support import (
    sample_shop,
    skip_or_fail,
)
from utils.contract import PROVENANCE_TABLE, read_contract, split_sql
from utils.sql_text import find_parts, replace_body, replace_select

# The types of the columns in an engine without SQLite's types.
ENGINE_TYPES = {"INTEGER": "BIGINT", "TEXT": "VARCHAR"}


AT_NOON = "2024-01-11T12:00:00Z"


class AnotherEngine(QueryCase):
    """Another engine runs the unchanged file and returns the same rows."""

    def open_duckdb(self) -> Any:
        """Return a connection to DuckDB with the sample shop in it."""
        if importlib.util.find_spec("duckdb") is None:
            skip_or_fail(self, "duckdb is not installed: the query ran on SQLite only")
        duckdb: Any = importlib.import_module("duckdb")
        connection = duckdb.connect()
        self.addCleanup(connection.close)
        for table in read_contract().tables:
            connection.execute(
                f"CREATE TABLE {table.name} AS SELECT * FROM read_csv(?, header = true,"
                " columns = ?)",
                [
                    str(sample_shop() / f"{table.name}.csv"),
                    {column.name: ENGINE_TYPES[column.type] for column in table.columns},
                ],
            )
        connection.execute(
            f"CREATE TABLE {PROVENANCE_TABLE} AS SELECT 'dataset' AS subject,"
            " 'as_of' AS property, '2025-12-31' AS value"
        )
        return connection

    def test_duckdb_returns_the_same_cells(self) -> None:
        connection = self.open_duckdb()
        sql = QUERY_PATH.read_text(encoding="utf-8")
        found = connection.execute(sql).fetchall()
        with (sample_shop() / "query_result.csv").open(
            encoding="utf-8", newline=""
        ) as file:
            expected = list(csv.reader(file))
        self.assertEqual({row[0] for row in found}, {"all"})
        self.assertEqual([list(map(str, row[1:])) for row in found], expected[1:])

    def test_duckdb_returns_the_same_rows_under_every_option(self) -> None:
        connection = self.open_duckdb()
        text = QUERY_PATH.read_text(encoding="utf-8")
        selects = {
            path.name: path.read_text(encoding="utf-8")
            for path in (VALUES_PATH, DAYS_PATH, SEGMENTS_PATH)
        }
        for options in (
            Options(by="channel", as_of="2025-05-17"),
            Options(by="country", valid_statuses=("delivered", "cancelled")),
            Options(by="category"),
            Options(by="category", as_of="2024-12-31", valid_statuses=("returned",)),
        ):
            composed = apply_options(text, options, QUERY_PATH)
            questions = {"join_query.sql": composed} | {
                name: replace_select(composed, select) for name, select in selects.items()
            }
            for name, sql in questions.items():
                with self.subTest(name, **options._asdict()):
                    found = connection.execute(sql).fetchall()
                    with closing(sqlite3.connect(sample_shop() / "shop.db")) as sqlite:
                        expected = sqlite.execute(sql).fetchall()
                    self.assertTrue(expected)
                    self.assertEqual(found, expected)

    def test_engine_that_divides_in_floating_point_gets_the_same_cents(self) -> None:
        create_shop(self.database, **make_large_refunds())
        trends = ("revenue_by_month", "countries", "channels")
        for path in (QUERY_PATH, *(TRENDS_DIR / f"{name}.sql" for name in trends)):
            with self.subTest(path.name):
                sql = path.read_text(encoding="utf-8")
                self.assertEqual(self.query(divide_in_floats(sql)), self.query(sql))

    def test_every_word_of_the_query_is_known_to_all_engines(self) -> None:
        # Keywords and functions are written in upper case, names in lower case.
        for path in (QUERY_PATH, VALUES_PATH, DAYS_PATH, SEGMENTS_PATH):
            tokens = split_sql(path.read_text(encoding="utf-8"))
            words = {token for token in tokens if token.isidentifier()}
            with self.subTest(path.name):
                self.assertEqual({word for word in words if word.isupper()} - SHARED, set())


# In the SQL of SQLite 3.37, DuckDB, PostgreSQL and Spark, with the same meaning.
SHARED = {
    *("ALL", "AND", "AS", "BETWEEN", "BIGINT", "BY", "CASE", "CAST", "COALESCE", "CROSS"),
    *("DESC", "ELSE", "END", "FIRST_VALUE", "FROM", "GROUP", "IN", "INNER", "INTEGER"),
    *("JOIN", "LEAD", "LEFT", "ON", "ORDER", "OVER", "PARTITION", "PRECEDING", "ROWS"),
    *("ROW_NUMBER", "SELECT", "SUBSTR", "SUM", "THEN", "UNBOUNDED", "UNION", "WHEN"),
    *("WHERE", "WITH"),
}


def divide_in_floats(sql: str) -> str:
    """Return *sql* as an engine executes it that divides in floating point, such as Spark.

    SQLite's own CAST then cuts off, as such an engine's does.
    """
    divided, count = re.subn(r"/ ((?:refunds\.)?total_cents)\b", r"* 1.0 / \1", sql)
    assert count == 1, sql
    return divided


def make_large_refunds() -> dict[str, Any]:
    """Return the rows of a shop with refunds whose products come near 2 ** 63."""
    chance = random.Random(1)  # noqa: S311
    orders: list[Row] = []
    payments: list[Row] = []
    for key in range(1, 1001):
        goods, tax = chance.randrange(1, 10**9), chance.randrange(10**8)
        money = (goods, 0, 0, tax, goods + tax)
        orders.append((key, key % 4 + 1, "2024-01-10T12:00:00Z", "returned", *money))
        amount = chance.randrange(1, goods + tax)
        payments.append((key, key, "refund", "card", "succeeded", amount, AT_NOON))
    return {"orders": orders, "order_items": [], "payments": payments}


# The CTEs of join_query.sql, in order.
CTE_NAMES = [
    *("as_of_dates", "valid_statuses", "counted_remainders"),
    *("whole_segments", "channel_segments"),
    *("country_segments", "first_orders", "first_categories", "category_segments"),
    *("customer_segments", "as_of_days", "as_of_months", "order_totals"),
    *("refund_payments", "order_refunds", "order_events"),
    *("cohort_user_months", "customer_months", "cohort_months", "cohort_spans"),
    *("digits", "steps", "cells"),
]


class QueryPlan(QueryCase):
    """The cost of the query is proportional to the number of orders."""

    def test_query_scans_each_table_once_and_builds_no_index(self) -> None:
        create_shop(self.database)
        sql = QUERY_PATH.read_text(encoding="utf-8")
        plan = [row[-1] for row in self.query(f"EXPLAIN QUERY PLAN {sql}")]
        self.assertEqual([step for step in plan if "AUTOMATIC" in step], [])
        scans = Counter(
            step
            for step in plan
            if re.match(r"SCAN (users|products|orders|order_items|payments)\b", step)
        )
        self.assertEqual(scans, {"SCAN orders": 1, "SCAN payments": 1})


class PartsOfAQuery(unittest.TestCase):
    """The text of a query is divided by SQL's own tokens."""

    def test_body_may_contain_comments_quotes_and_parentheses(self) -> None:
        body = (
            " SELECT ')' AS a, \"as (\" AS b, ((1)) AS c -- ) AS d (\n"
            " /* ) SELECT 'it''s ( */ , 'it''s (' AS e "
        )
        for sql in (
            f"WITH one AS ({body}), two AS (SELECT 2) SELECT * FROM one",
            f"-- WITH one AS (SELECT 0)\nWITH one AS ({body}) SELECT 1",
            f"/* SELECT ( */ with ONE as\n\t({body})\nselect 1",
            f"WITH one (a, b, c, e) AS ({body}) SELECT 1",
            f"WITH one AS -- of all\n/* kinds */ ({body}) SELECT 1",
        ):
            with self.subTest(sql):
                start, end = find_parts(sql).bodies["one"]
                self.assertEqual(sql[start:end], body)
                changed = replace_body(sql, "one", "SELECT 3")
                self.assertEqual(changed, sql.replace(body, "SELECT 3"))

    def test_last_select_is_the_one_after_all_ctes(self) -> None:
        head = "WITH a AS (SELECT 1 AS x), b AS (SELECT 'SELECT' AS y) -- SELECT 5\n"
        self.assertEqual(
            replace_select(head + "SELECT * FROM a", "SELECT 2"), head + "SELECT 2"
        )
        self.assertEqual(
            replace_select("/* SELECT */ SELECT 1", "SELECT 2"), "/* SELECT */ SELECT 2"
        )

    def test_replacement_is_inserted_unchanged(self) -> None:
        # The body is not a pattern: backslashes and groups have no meaning.
        body = r"SELECT '\1 \g<0> %s {}' AS x"
        changed = replace_body("WITH a AS (SELECT 1) SELECT x FROM a", "a", body)
        with closing(sqlite3.connect(":memory:")) as connection:
            self.assertEqual(connection.execute(changed).fetchall(), [(r"\1 \g<0> %s {}",)])

    def test_status_with_quotes_stays_one_text(self) -> None:
        names = ("pai'd", "') UNION SELECT ('x", 'a"b', "-- c", "\\")
        sql = (
            "WITH valid_statuses AS (SELECT 'paid' AS status) SELECT * FROM valid_statuses"
        )
        composed = apply_options(sql, Options(valid_statuses=names), QUERY_PATH)
        with closing(sqlite3.connect(":memory:")) as connection:
            found = [status for (status,) in connection.execute(composed)]
        self.assertEqual(found, list(names))

    def test_missing_cte_is_a_key_error(self) -> None:
        for sql in ("", "SELECT 1", "WITH two AS (SELECT 1) SELECT 1", "AS (SELECT 1)"):
            with self.subTest(sql), self.assertRaises(KeyError):
                replace_body(sql, "one", "SELECT 1")

    def test_every_cte_of_the_default_query_is_found_and_runs(self) -> None:
        with closing(sqlite3.connect(sample_shop() / "shop.db")) as connection:
            sql = QUERY_PATH.read_text(encoding="utf-8")
            names = list(find_parts(sql).bodies)
            self.assertEqual(names, CTE_NAMES)
            for name in names:
                with self.subTest(name):
                    text = replace_select(sql, f"SELECT * FROM {name} LIMIT 1")
                    self.assertEqual(len(connection.execute(text).fetchall()), 1)
