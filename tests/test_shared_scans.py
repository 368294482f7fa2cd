"""Checks that read the same rows find in one pass what each of them finds alone."""

from __future__ import annotations

import sqlite3
import tempfile
import unittest
from contextlib import closing
from pathlib import Path

from db.reporting.checks import CHECKS_DIR, SAMPLE_ROWS, Query, read_queries
from db.reporting.shared_scans import count_together, group_by_source
from tests.shop import create_tangled_shop
from utils.connections import open_connection
from utils.sql_text import find_simple_select


def make_query(name: str, sql: str) -> Query:
    """Return a query of this name and text."""
    return Query(name, header={}, sql=sql, file=f"{name}.sql", sha256="")


class SharedScans(unittest.TestCase):
    """One pass counts the rows of several checks."""

    def test_every_check_finds_the_rows_that_it_finds_alone(self) -> None:
        found = 0
        for seed in (1, 2, 3):
            with tempfile.TemporaryDirectory() as folder:
                database = Path(folder, "shop.db")
                create_tangled_shop(database, seed=seed)
                with closing(sqlite3.connect(database)) as connection:
                    found += self.compare_groups(connection)
        self.assertGreater(found, 0)

    def compare_groups(self, connection: sqlite3.Connection) -> int:
        """Fail unless each group finds what its checks find alone; return how much."""
        found = 0
        for group in group_by_source(read_queries(CHECKS_DIR)):
            counted = count_together(connection, group)
            for alone, (limited, count) in zip(group, counted, strict=True):
                with self.subTest(alone.name):
                    rows = connection.execute(alone.sql).fetchall()
                    first = connection.execute(limited.sql)
                    columns = [column[0] for column in first.description]
                    self.assertEqual(count, len(rows))
                    self.assertEqual(first.fetchall(), rows[:SAMPLE_ROWS])
                    self.assertLessEqual({*alone.key}, {*columns})
                found += count
        return found

    def test_checks_of_one_source_are_found(self) -> None:
        groups = group_by_source(read_queries(CHECKS_DIR))
        self.assertEqual(
            [[query.name for query in group] for group in groups],
            [
                [
                    *("coverage_orders_without_goods", "coverage_orders_without_items"),
                    *("money_discount_within_order", "money_order_total"),
                    "values_order_status",
                ],
                ["coverage_users_without_orders", "format_country_code", "format_email"],
                ["files_differ_from_manifest", "files_without_manifest"],
                ["money_discount_within_line", "money_line_total"],
                [
                    *("price_below_cost", "price_differs_from_list"),
                    "price_hundred_times_list",
                ],
            ],
        )

    def test_condition_may_end_with_a_comment(self) -> None:
        with closing(open_connection(":memory:")) as connection:
            connection.execute("CREATE TABLE numbers AS SELECT 1 AS n UNION SELECT 2")
            queries = [
                make_query(str(n), f"SELECT n FROM numbers WHERE n > {n} -- n\nORDER BY n;")
                for n in (0, 2)
            ]
            counted = count_together(connection, queries)
            rows = [connection.execute(query.sql).fetchall() for query, _ in counted]
        self.assertEqual([count for _, count in counted], [2, 0])
        self.assertEqual(rows, [[(1,), (2,)], []])


class SimpleSelects(unittest.TestCase):
    """Only a SELECT whose rows are those of its source is counted by its condition."""

    def test_statements_of_other_rows_are_not_simple(self) -> None:
        for sql in (
            "SELECT n FROM numbers ORDER BY n",
            "SELECT n FROM numbers WHERE n > 1",
            "SELECT MAX(n) AS n FROM numbers WHERE n > 1 ORDER BY n",
            "SELECT DISTINCT n FROM numbers WHERE n > 1 ORDER BY n",
            "SELECT n FROM numbers WHERE n > 1 GROUP BY n ORDER BY n",
            "SELECT n FROM numbers WHERE n > 1 ORDER BY n LIMIT 1",
            "SELECT n FROM a WHERE n > 1 UNION SELECT n FROM b WHERE n > 1 ORDER BY n",
            "WITH a AS (SELECT 1 AS n) SELECT n FROM a WHERE n > 1 ORDER BY n",
            "VALUES (1)",
            "",
        ):
            with self.subTest(sql):
                self.assertIsNone(find_simple_select(sql))

    def test_words_in_texts_comments_and_subqueries_are_no_clauses(self) -> None:
        sql = (
            "-- Question: which?\nSELECT n FROM numbers WHERE n <> 'group' /* limit */"
            " AND NOT EXISTS (SELECT 1 FROM others WHERE a = n) ORDER BY n; -- having\n"
        )
        found = find_simple_select(sql)
        assert found is not None
        self.assertEqual(found.text, sql[sql.index("SELECT") : sql.index(";")])
        self.assertEqual(found.source, "numbers")
