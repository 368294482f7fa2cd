"""SQL files that begin with the same CTEs find the same rows when these are stored."""

from __future__ import annotations

import sqlite3
import tempfile
import unittest
from contextlib import closing
from pathlib import Path

from db.reporting.checks import CHECKS_DIR, TRENDS_DIR, Query, read_queries
from db.reporting.shared_ctes import group_queries, store_shared_ctes
from tests.shop import create_tangled_shop
from utils.connections import open_connection

SUMS = "WITH sums AS (\n    SELECT SUM(n) AS n FROM numbers GROUP BY n\n)"


def make_query(name: str, sql: str) -> Query:
    """Return a query of this name and text."""
    return Query(name, header={}, sql=sql, file=f"{name}.sql", sha256="")


class SharedCtes(unittest.TestCase):
    """What several files begin with is stored once, and changes no row."""

    def setUp(self) -> None:
        """Open a database with three numbers."""
        self.connection = open_connection(":memory:")
        self.addCleanup(self.connection.close)
        self.connection.execute("CREATE TABLE numbers (n)")
        self.connection.execute("INSERT INTO numbers VALUES (1), (2), (2)")

    def list_tables(self) -> list[str]:
        """Return the names of the temporary tables."""
        return [
            name
            for (name,) in self.connection.execute("SELECT name FROM temp.sqlite_schema")
        ]

    def run_stored(self, *texts: str) -> tuple[list[list[tuple[object, ...]]], list[str]]:
        """Return the rows of the queries *texts*, and the tables made for them."""
        queries = [make_query(str(at), sql) for at, sql in enumerate(texts)]
        with store_shared_ctes(self.connection, queries) as stored:
            rows = [self.connection.execute(each.sql).fetchall() for each in stored]
            tables = self.list_tables()
        self.assertEqual(self.list_tables(), [])
        return rows, tables

    def test_every_file_finds_the_rows_that_it_finds_alone(self) -> None:
        for seed in (1, 2, 3):
            with tempfile.TemporaryDirectory() as folder:
                database = Path(folder, "shop.db")
                create_tangled_shop(database, seed=seed)
                with closing(sqlite3.connect(database)) as connection:
                    self.compare_groups(
                        connection, [*read_queries(CHECKS_DIR), *read_queries(TRENDS_DIR)]
                    )

    def compare_groups(self, connection: sqlite3.Connection, queries: list[Query]) -> None:
        """Fail unless each group of *queries* finds what its queries find alone."""
        grouped = []
        for group in group_queries(queries):
            grouped += group
            with store_shared_ctes(connection, group) as stored:
                for query, alone in zip(stored, group, strict=True):
                    with self.subTest(query.name):
                        self.assertEqual(
                            connection.execute(query.sql).fetchall(),
                            connection.execute(alone.sql).fetchall(),
                        )
        self.assertEqual(sorted(grouped), sorted(queries))

    def test_files_of_sums_share_their_ctes(self) -> None:
        groups = group_queries([*read_queries(CHECKS_DIR), *read_queries(TRENDS_DIR)])
        shared = [{query.name for query in group} for group in groups if len(group) > 1]
        self.assertEqual(
            shared,
            [
                {
                    "causality_far_after_other_events",
                    "causality_stated_day_far_after_events",
                },
                {"cohort_first_is_too_large", "orders_per_customer"},
                {"payments_differ_by_rounding", "payments_match_order_status"},
                {"volume_unusual_day", "refunds_and_cancellations", "weekday_by_hour"},
                {"category_mix", "top_products"},
                {"channels", "countries", "revenue_by_month"},
            ],
        )

    def test_same_beginning_is_computed_once(self) -> None:
        rows, tables = self.run_stored(
            f"{SUMS} SELECT n FROM sums ORDER BY n",
            f"-- Other\n{SUMS} SELECT MAX(n) FROM sums",
        )
        self.assertEqual((rows, tables), ([[(1,), (4,)], [(4,)]], ["shared_0"]))

    def test_other_text_before_a_cte_keeps_it_apart(self) -> None:
        texts = [
            f"WITH numbers AS (SELECT {n} AS n), sums AS (\n"
            "SELECT SUM(n) AS n FROM numbers GROUP BY n\n) SELECT n FROM sums"
            for n in (5, 6)
        ]
        self.assertEqual(self.run_stored(*texts), ([[(5,)], [(6,)]], []))

    def test_cte_that_aggregates_nothing_is_not_stored(self) -> None:
        text = "WITH copies AS (\n    SELECT n FROM numbers\n) SELECT MAX(n) FROM copies"
        self.assertEqual(self.run_stored(text, text), ([[(2,)]] * 2, []))

    def test_cte_that_fails_leaves_the_queries_as_they_are(self) -> None:
        self.connection.execute("INSERT INTO numbers VALUES (1 << 62), (1 << 62)")
        queries = [make_query(name, f"{SUMS} SELECT n FROM sums") for name in "ab"]
        with store_shared_ctes(self.connection, queries) as stored:
            self.assertEqual(stored, queries)
            with self.assertRaisesRegex(sqlite3.OperationalError, "integer overflow"):
                self.connection.execute(stored[0].sql).fetchall()
        self.assertEqual(self.list_tables(), [])
