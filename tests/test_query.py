"""The cohort query: each cell by hand, by a second road, and what is refused."""

from __future__ import annotations

import csv
import doctest
import hashlib
import importlib
import importlib.util
import json
import os
import random
import re
import shutil
import sqlite3
import unittest
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import run_query
from db.reporting.checks import TRENDS_DIR
from queries import cohort_query, output
from queries import run_query as query
from queries.cohort_query import QUERY_PATH
from queries.options import Options, apply_options
from queries.reading import DAYS_PATH, VALUES_PATH
from queries.sql_text import replace_select
from queries.summary import render_summary
from tests.query_cases import find_clv
from tests.recount import COLUMNS, recount_cohorts
from tests.shop import Row, create_empty_shop, create_shop
from tests.support import (
    Result,
    ShopCase,
    call,
    refuse_to_replace,
    run_script,
    sample_shop,
    skip_or_fail,
)
from utils.contract import PROVENANCE_TABLE, read_contract
from utils.ratios import ratio

# The shop of tests/shop.py, worked out by hand from the rows told there.  January's
# cohort is users 1 and 2, February's is user 3.  Unit costs: teapot 1200, mug 400, lamp
# 3000.  User 2's cancelled order 4 and user 3's pending order 6 are nowhere.
#
#   2024-01, 0: orders 1 and 2.  Cost 1 x 1200 + 2 x 400 + 1 x 3000 = 5000.
#   2024-01, 1: order 3, user 1's second.  Refunds 833 (order 2) + 388 (order 3).
#   2024-01, 2: order 7.  Refund 611 (order 3).  Cost 1200 + 3000.  March still runs.
#   2024-02, 0: order 5, whose first charge failed and which was then paid in two parts.
#   2024-02, 1: nothing, so far.
#
#   cohort, months since, month, size, active, repeat, orders, units,
#       gross, discount, refund, net, cost, margin, net so far, margin so far, observed,
#       complete
CELLS_BY_HAND: list[Row] = [
    (
        "2024-01",
        0,
        "2024-01",
        2,
        2,
        0,
        2,
        4,
        9000,
        500,
        0,
        8500,
        5000,
        3500,
        8500,
        3500,
        1,
        1,
    ),
    (
        "2024-01",
        1,
        "2024-02",
        2,
        1,
        1,
        1,
        1,
        1000,
        0,
        1221,
        -221,
        400,
        -621,
        8279,
        2879,
        1,
        1,
    ),
    (
        "2024-01",
        2,
        "2024-03",
        2,
        1,
        1,
        1,
        2,
        7000,
        1000,
        611,
        5389,
        4200,
        1189,
        13668,
        4068,
        1,
        0,
    ),
    (
        "2024-02",
        0,
        "2024-02",
        1,
        1,
        0,
        1,
        3,
        3000,
        0,
        0,
        3000,
        1200,
        1800,
        3000,
        1800,
        1,
        1,
    ),
    ("2024-02", 1, "2024-03", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3000, 1800, 1, 0),
]

# The names of the cells in the JSON.
NAMES = ("cohort", *COLUMNS[1:])

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


# Wilson's interval with z = 1.959964, z * z = 3.841459.  Of all n customers it begins at
# n / (n + z * z), of none it ends at z * z / (n + z * z), and of half of them it reaches
# z / (2 * the root of (n + z * z)) to both sides of 0.5.
ALL_OF_1, ALL_OF_2, ALL_OF_3 = (0.206549, 1), (0.34238, 1), (0.438503, 1)
NONE_OF_1 = (0, 0.793451)
HALF_OF_2 = (0.094531, 0.905469)


class QueryCase(ShopCase):
    """A test with a database and a folder for results, both in `self.folder`."""

    @property
    def out_dir(self) -> Path:
        """Return where the results go."""
        return self.folder / "out"

    def run_query(self, *arguments: object) -> Result:
        """Run the script on the folder's database."""
        return call(
            run_query.main,
            "--database",
            self.database,
            "--out-dir",
            self.out_dir,
            *arguments,
        )

    def read_document(self, *arguments: object) -> dict[str, Any]:
        """Run the script, which must succeed without a word; return its JSON."""
        result = self.run_query(*arguments)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        document: dict[str, Any] = json.loads(self.read("query_result.json"))
        return document

    def read(self, name: str) -> bytes:
        """Return the bytes of a result."""
        return (self.out_dir / name).read_bytes()

    def cells(self) -> list[dict[str, Any]]:
        """Return the cells of the folder's database."""
        cells: list[dict[str, Any]] = self.read_document()["cells"]
        return cells

    def set_as_of(self, as_of: str) -> None:
        """Change the last day that the folder's database speaks for."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute(
                f"UPDATE {PROVENANCE_TABLE} SET value = ? WHERE property = 'as_of'",
                (as_of,),
            )
            connection.commit()

    def create_orders(self, *orders: Row, as_of: str, **tables: Sequence[Row]) -> None:
        """Make a shop of *orders*, each given as order_id, user_id, day, status and cents.

        The cents are those of one mug; *tables* may replace items and payments.
        """
        items = [(key, key, 2, 1, cents, 0, cents) for key, _, _, _, cents in orders]
        rows = {"order_items": items, "payments": []} | tables
        whole = [
            (key, user_id, f"{day}T12:00:00Z", status, cents, 0, 0, 0, cents)
            for key, user_id, day, status, cents in orders
        ]
        self.database.unlink(missing_ok=True)
        create_shop(self.database, orders=whole, as_of=as_of, **rows)


class EveryCell(QueryCase):
    """Is what a person with pencil and paper finds."""

    def test_of_the_small_shop_is_as_worked_out_by_hand(self) -> None:
        create_shop(self.database)
        found = [tuple(cell[name] for name in NAMES) for cell in self.cells()]
        self.assertEqual(found, CELLS_BY_HAND)

    def test_of_the_csv_is_the_same_integer(self) -> None:
        create_shop(self.database)
        self.read_document()
        lines = [",".join(map(str, row)) for row in (COLUMNS, *CELLS_BY_HAND)]
        expected = "\n".join(lines) + "\n"
        self.assertEqual(self.read("query_result.csv").decode("utf-8"), expected)

    def test_counts_one_order_once_however_many_items_and_payments_it_has(self) -> None:
        # Joined naively, 2 items x 3 payments make 9,000 of 3,000 cents.
        self.create_orders(
            (1, 1, "2024-01-10", "paid", 3000),
            as_of="2024-01-31",
            order_items=[(1, 1, 1, 1, 1000, 0, 1000), (2, 1, 2, 2, 1000, 0, 2000)],
            payments=[
                (1, 1, "charge", "card", "failed", 3000, "2024-01-10T12:00:01Z"),
                (2, 1, "charge", "gift_card", "succeeded", 500, "2024-01-10T12:00:02Z"),
                (3, 1, "charge", "card", "succeeded", 2500, "2024-01-10T12:00:03Z"),
            ],
        )
        (cell,) = self.cells()
        self.assertEqual((cell["order_count"], cell["unit_count"]), (1, 3))
        self.assertEqual((cell["gross_cents"], cell["net_cents"]), (3000, 3000))
        self.assertEqual(cell["cost_cents"], 1200 + 2 * 400)

    def test_keeps_an_order_that_has_no_items(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "paid", 0), as_of="2024-01-31", order_items=[]
        )
        (cell,) = self.cells()
        self.assertEqual((cell["cohort_size"], cell["order_count"]), (1, 1))
        self.assertEqual((cell["unit_count"], cell["gross_cents"]), (0, 0))

    def test_is_not_set_by_a_first_order_that_was_cancelled_or_never_paid(self) -> None:
        for status in ("cancelled", "pending"):
            with self.subTest(status):
                self.create_orders(
                    (1, 1, "2024-01-10", status, 1000),
                    (2, 1, "2024-03-10", "paid", 1000),
                    as_of="2024-04-30",
                )
                months = [(c["cohort"], c["period_month"]) for c in self.cells()]
                self.assertEqual(months, [("2024-03", "2024-03"), ("2024-03", "2024-04")])

    def test_of_a_quiet_month_is_0_and_keeps_what_was_summed_before(self) -> None:
        self.create_orders(
            (1, 1, "2023-11-30", "paid", 1000),
            (2, 1, "2024-02-01", "paid", 500),
            as_of="2024-03-31",
        )
        cells = self.cells()
        self.assertEqual([cell["months_since"] for cell in cells], [0, 1, 2, 3, 4])
        self.assertEqual([cell["net_cents"] for cell in cells], [1000, 0, 0, 500, 0])
        self.assertEqual(
            [c["cum_net_cents"] for c in cells], [1000, 1000, 1000, 1500, 1500]
        )
        self.assertEqual([cell["retention"] for cell in cells], [1, 0, 0, 1, 0])
        self.assertEqual(
            [cell["aov_cents"] for cell in cells], [1000, None, None, 500, None]
        )

    def test_of_a_month_without_new_customers_does_not_exist(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "paid", 1000),
            (2, 2, "2024-03-10", "paid", 1000),
            as_of="2024-03-31",
        )
        self.assertEqual({c["cohort"] for c in self.cells()}, {"2024-01", "2024-03"})

    def test_tells_who_bought_a_second_time_by_then(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "paid", 1000),
            (2, 1, "2024-01-20", "paid", 1000),
            (3, 2, "2024-01-10", "paid", 1000),
            (4, 2, "2024-03-10", "paid", 1000),
            (5, 2, "2024-03-11", "paid", 1000),
            (6, 3, "2024-01-10", "paid", 1000),
            as_of="2024-04-30",
        )
        self.assertEqual([c["repeat_customers"] for c in self.cells()], [1, 1, 2, 2])

    def test_over_many_years_is_there(self) -> None:
        self.create_orders((1, 1, "1899-12-31", "paid", 1000), as_of="2024-01-01")
        cells = self.cells()
        self.assertEqual(len(cells), (2024 - 1900) * 12 + 2)
        self.assertEqual(
            (cells[0]["period_month"], cells[-1]["period_month"]), ("1899-12", "2024-01")
        )


class ARefund(QueryCase):
    """Takes back the goods' share, in the month in which it was paid out."""

    def refund_months(self, *refunds: tuple[int, str], status: str = "succeeded") -> Any:
        """Return the refunds by month of one order: goods 1000 of a total of 1800."""
        payments: list[Row] = [
            (key, 1, "refund", "card", status, cents, f"{day}T12:00:00Z")
            for key, (cents, day) in enumerate(refunds, 1)
        ]
        self.database.unlink(missing_ok=True)
        create_shop(
            self.database,
            orders=[(1, 1, "2024-01-31T12:00:00Z", "returned", 1200, 200, 500, 300, 1800)],
            order_items=[(1, 1, 2, 1, 1200, 0, 1200)],
            payments=payments,
            as_of="2024-03-31",
        )
        return [cell["refund_cents"] for cell in self.cells()]

    def test_counts_in_the_month_it_was_paid_out(self) -> None:
        self.assertEqual(self.refund_months((1800, "2024-02-01")), [0, 1000, 0])

    def test_in_two_payments_is_rounded_down_one_by_one(self) -> None:
        # 700 x 1000 / 1800 = 388.9 and 1100 x 1000 / 1800 = 611.1: together 999.
        refunds = self.refund_months((700, "2024-02-20"), (1100, "2024-02-21"))
        self.assertEqual(refunds, [0, 388 + 611, 0])

    def test_in_two_months_counts_in_both(self) -> None:
        refunds = self.refund_months((700, "2024-02-29"), (1100, "2024-03-01"))
        self.assertEqual(refunds, [0, 388, 611])

    def test_that_failed_counts_nowhere(self) -> None:
        refunds = self.refund_months((1800, "2024-02-01"), status="failed")
        self.assertEqual(refunds, [0, 0, 0])

    def test_dated_before_its_order_counts_with_the_order(self) -> None:
        self.assertEqual(self.refund_months((1800, "2023-12-01")), [1000, 0, 0])

    def test_does_not_make_its_customer_active(self) -> None:
        self.refund_months((1800, "2024-02-01"))
        self.assertEqual([cell["active_customers"] for cell in self.cells()], [1, 0, 0])

    def test_of_an_order_that_cost_nothing_is_nothing(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "returned", 0),
            as_of="2024-01-31",
            payments=[(1, 1, "refund", "card", "succeeded", 0, "2024-01-11T00:00:00Z")],
        )
        self.assertEqual([cell["refund_cents"] for cell in self.cells()], [0])


class TheLastMonth(QueryCase):
    """Is complete when the as-of day is its last, in every month of every kind of year."""

    def test_runs_until_its_last_day(self) -> None:
        for year in (2023, 2024, 2000, 1900):
            self.create_orders((1, 1, f"{year}-01-01", "paid", 1000), as_of=f"{year}-12-31")
            for month in range(1, 13):
                next_month = date(year + month // 12, month % 12 + 1, 1)
                for days_before, is_complete in ((1, 1), (2, 0)):
                    as_of = str(next_month - timedelta(days=days_before))
                    with self.subTest(as_of):
                        self.assertEqual(self.last_cells(as_of), [1, is_complete][-month:])

    def last_cells(self, as_of: str) -> list[int]:
        """Return `is_complete` of the last two months, straight from the SQL."""
        self.set_as_of(as_of)
        sql = QUERY_PATH.read_text(encoding="utf-8")
        return [row[-1] for row in self.query(sql)][-2:]

    def test_gives_no_clv_before_it_is_over(self) -> None:
        # All but the orders is quiet: January's cohort stays at 13668 / 2 customers.
        create_shop(self.database)
        for as_of, expected in {
            "2024-04-29": (None, None, None, None),
            "2024-04-30": (6834, None, None, None),
            "2024-07-30": (6834, None, None, None),
            "2024-07-31": (6834, 6834, None, None),
            "2025-01-30": (6834, 6834, None, None),
            "2025-01-31": (6834, 6834, 6834, None),
            "2026-01-30": (6834, 6834, 6834, None),
            "2026-01-31": (6834, 6834, 6834, 6834),
        }.items():
            with self.subTest(as_of):
                self.set_as_of(as_of)
                cohort = self.read_document()["cohorts"][0]
                found = tuple(
                    find_clv(cohort, months)["cents"] for months in (3, 6, 12, 24)
                )
                self.assertEqual(found, expected)
                # Two customers of 9501 and 4167: the mean is the median, too.
                medians = [
                    find_clv(cohort, months)["median_cents"] for months in (3, 6, 12, 24)
                ]
                self.assertEqual(medians, list(expected))


class TheRatios(QueryCase):
    """Are exact quotients, rounded once, and null where nothing divides."""

    def setUp(self) -> None:
        """Query the small shop."""
        super().setUp()
        create_shop(self.database)
        self.document = self.read_document()

    def test_of_the_cells_are_as_worked_out_by_hand(self) -> None:
        found = [tuple(cell[name] for name in RATIOS) for cell in self.document["cells"]]
        self.assertEqual(
            found,
            [
                (1, *ALL_OF_2, 4250, 4250, 4250, 1750),
                (0.5, *HALF_OF_2, -221, -110.5, 4139.5, 1439.5),
                (0.5, *HALF_OF_2, 5389, 2694.5, 6834, 2034),
                (1, *ALL_OF_1, 3000, 3000, 3000, 1800),
                (0, *NONE_OF_1, None, 0, 3000, 1800),
            ],
        )

    def test_of_the_average_weigh_customers_of_complete_cells_only(self) -> None:
        self.assertEqual(
            self.document["average"],
            [
                {
                    "months_since": 0,
                    "cohort_count": 2,
                    "customer_count": 3,
                    "retention": 1,
                    "retention_low": ALL_OF_3[0],
                    "retention_high": ALL_OF_3[1],
                    "aov_cents": 3833.33,  # 11500 / 3
                    "net_per_customer_cents": 3833.33,
                    "cum_net_per_customer_cents": 3833.33,
                    "cum_margin_per_customer_cents": 1766.67,  # 5300 / 3
                },
                {
                    "months_since": 1,
                    "cohort_count": 1,
                    "customer_count": 2,
                    "retention": 0.5,
                    "retention_low": HALF_OF_2[0],
                    "retention_high": HALF_OF_2[1],
                    "aov_cents": -221,
                    "net_per_customer_cents": -110.5,
                    "cum_net_per_customer_cents": 4139.5,
                    "cum_margin_per_customer_cents": 1439.5,
                },
            ],
        )

    def test_of_the_summary_say_how_many_cohorts_they_are_of(self) -> None:
        # By May's end January's and February's cohorts are 3 months old: 16668 / 3.  Of
        # that user 1 has brought 3500 + 1 + 6000, user 2 4167 and user 3 3000.  Their
        # squared distances to the mean add up to 3945² + 1389² + 2556² = 24025482; the
        # standard error is the root of 24025482 / 2 / 3, 2001.0615, and 1.959964 of it
        # are 3922.01.
        self.set_as_of("2024-05-31")
        names = ("cents", "low_cents", "high_cents", "median_cents")
        too_young = [
            {"months": months, **dict.fromkeys(names), "cohort_count": 0}
            for months in (6, 12, 24)
        ]
        self.assertEqual(
            self.read_document()["summary"],
            {
                "cohort_count": 2,
                "customer_count": 3,
                "clv": [
                    {
                        "months": 3,
                        "cents": 5556,
                        "low_cents": 1633.99,
                        "high_cents": 9478.01,
                        "median_cents": 4167,
                        "cohort_count": 2,
                    },
                    *too_young,
                ],
            },
        )

    def test_are_the_nearest_decimal_of_any_size(self) -> None:
        for numerator, denominator, expected in (
            (1, 3, 0.33),
            (2, 3, 0.67),
            (1, 200, 0.01),
            (-1, 200, -0.01),
            (-1, 201, 0.0),
            (10**15 + 1, 2, 500000000000000.5),
            (0, 5, 0.0),
            (5, 0, None),
            (None, 5, None),
        ):
            with self.subTest(numerator=numerator, denominator=denominator):
                self.assertEqual(ratio(numerator, denominator, digits=2), expected)


class TheDocument(QueryCase):
    """Says what was read, in the shape that design_notes.md promises."""

    def setUp(self) -> None:
        """Query the small shop."""
        super().setUp()
        create_shop(self.database)
        self.document = self.read_document()

    def test_has_its_keys_in_the_order_promised(self) -> None:
        self.assertEqual(
            list(self.document),
            [
                "schema_version",
                "as_of",
                "currency",
                "database",
                "dataset",
                "query",
                "other_queries",
                "options",
                "cohorts",
                "cells",
                "average",
                "summary",
                "reconciliation",
            ],
        )
        self.assertEqual(
            list(self.document["cohorts"][0]),
            [
                "cohort",
                "cohort_size",
                "last_months_since",
                "clv",
            ],
        )
        self.assertEqual(
            list(self.document["reconciliation"]),
            [
                "sums",
                "user_count",
                "users_without_valid_order",
                "excluded_orders",
                "refunds_by_month",
            ],
        )
        self.assertEqual(list(self.document["cells"][0]), [*NAMES, *RATIOS])

    def test_names_the_bytes_it_was_made_from(self) -> None:
        database, sql = self.database.read_bytes(), QUERY_PATH.read_bytes()
        ((content,),) = self.query(
            f"SELECT value FROM {PROVENANCE_TABLE}"
            " WHERE subject = 'dataset' AND property = 'content_sha256'"
        )
        self.assertEqual(
            {name: self.document[name] for name in list(self.document)[:8]},
            {
                "schema_version": "2.0",
                "as_of": "2024-03-15",
                "currency": "EUR",
                "database": {
                    "sha256": hashlib.sha256(database).hexdigest(),
                    "bytes": len(database),
                },
                "dataset": {"content_sha256": content},
                "query": {
                    "file": "queries/join_query.sql",
                    "sha256": hashlib.sha256(sql).hexdigest(),
                },
                "other_queries": [
                    {
                        "file": "queries/customer_values.sql",
                        "sha256": hashlib.sha256(VALUES_PATH.read_bytes()).hexdigest(),
                    }
                ],
                "options": {
                    "cohort": "month",
                    "by": None,
                    "as_of": None,
                    "valid_statuses": [
                        "paid",
                        "shipped",
                        "delivered",
                        "partially_returned",
                        "returned",
                    ],
                    "forecast": False,
                },
            },
        )

    def test_is_the_same_bytes_in_another_process_time_zone_and_folder(self) -> None:
        first = [self.read(name) for name in ("query_result.csv", "query_result.json")]
        shutil.rmtree(self.out_dir)
        result = run_script(
            "run_query.py",
            "--database",
            "shop.db",
            "--out-dir",
            "out",
            cwd=self.folder,
            env={
                "TZ": "Pacific/Kiritimati",
                "PYTHONHASHSEED": "7",
                "LC_ALL": "C",
                "PYTHONIOENCODING": "ascii",
            },
        )
        self.assertEqual((result.status, result.stderr), (0, ""))
        second = [self.read(name) for name in ("query_result.csv", "query_result.json")]
        self.assertEqual(first, second)

    def test_leaves_the_database_as_it_was(self) -> None:
        before = self.database.read_bytes()
        self.read_document()
        self.assertEqual(self.database.read_bytes(), before)
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "shop.db"])

    def test_of_a_shop_without_orders_is_whole_and_says_so(self) -> None:
        for create in (create_empty_shop, create_shop_without_orders):
            with self.subTest(create.__name__):
                self.database.unlink()
                create(self.database)
                result = self.run_query()
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertIn("no valid order", result.stdout)
                document = json.loads(self.read("query_result.json"))
                self.assertEqual(
                    [document[name] for name in ("cohorts", "cells", "average")],
                    [[], [], []],
                )
                self.assertEqual(find_clv(document["summary"], 3)["cents"], None)
                header = self.read("query_result.csv").decode("utf-8")
                self.assertEqual(header, ",".join(COLUMNS) + "\n")


def create_shop_without_orders(path: Path) -> None:
    """Make a shop with users whom nothing has been sold to."""
    create_shop(path, orders=[], order_items=[], payments=[])


class TheSecondRoad(QueryCase):
    """From the CSV files, in plain Python: it ends at the same cells."""

    def test_equals_the_sql_on_every_cell_of_generated_shops(self) -> None:
        for seed, start, end in (
            (7, "2023-12-15", "2024-02-28"),
            (42, "2023-02-01", "2024-02-29"),
            (2**64 - 1, "2022-11-30", "2025-01-15"),
        ):
            with self.subTest(seed=seed):
                self.generate(
                    "--seed", seed, "--users", 200, "--start", start, "--end", end
                )
                self.assertEqual(self.ingest().status, 0)
                found = [tuple(cell[name] for name in NAMES) for cell in self.cells()]
                self.assertEqual(
                    found, recount_cohorts(self.folder, date.fromisoformat(end))
                )

    def test_through_the_report_gives_the_same_money_in_every_month(self) -> None:
        report, result = (
            json.loads((sample_shop() / name).read_text(encoding="utf-8"))
            for name in ("report.json", "query_result.json")
        )
        months: dict[str, Counter[str]] = {}
        for cell in result["cells"]:
            sums = months.setdefault(cell["period_month"], Counter())
            for name in (
                "order_count",
                "gross_cents",
                "discount_cents",
                "refund_cents",
                "net_cents",
            ):
                sums[name] += cell[name]
            if cell["months_since"] == 0:
                sums["new_customers"] += cell["cohort_size"]
            else:
                sums["returning_customers"] += cell["active_customers"]
        told = {row["month"]: row for row in report["trends"]["revenue_by_month"]["rows"]}
        self.assertEqual(list(months), sorted(months))
        for month, sums in months.items():
            with self.subTest(month):
                self.assertEqual({name: told[month][name] for name in sums}, dict(sums))
        kpis = report["kpis"]
        self.assertEqual(
            sum(sums["net_cents"] for sums in months.values()), kpis["net_cents"]
        )
        self.assertEqual(result["summary"]["customer_count"], kpis["customer_count"])

    def test_is_asked_of_the_file_that_the_library_names(self) -> None:
        create_shop(self.database)
        own = self.folder / "own.sql"
        own.write_bytes(QUERY_PATH.read_bytes())
        with mock.patch.object(cohort_query, "QUERY_PATH", own):
            self.assertEqual(self.read_document()["query"]["file"], "own.sql")

    def test_refuses_to_write_what_does_not_reconcile(self) -> None:
        create_shop(self.database)
        wrong = self.folder / "wrong.sql"
        # Each order once per payment: the fan-out that the query must not have.
        sql = QUERY_PATH.read_text(encoding="utf-8").replace(
            "    LEFT JOIN products\n",
            "    LEFT JOIN payments ON payments.order_id = orders.order_id\n"
            "    LEFT JOIN products\n",
        )
        wrong.write_text(sql, encoding="utf-8")
        with (
            mock.patch.object(cohort_query, "QUERY_PATH", wrong),
            self.assertRaisesRegex(RuntimeError, "net of all cells, in cents"),
        ):
            self.run_query("--query", wrong)
        self.assertFalse(self.out_dir.exists())


class AnotherEngine(QueryCase):
    """Runs the same file, unchanged, and gives the same rows."""

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

    def test_duckdb_gives_the_same_cells(self) -> None:
        connection = self.open_duckdb()
        sql = QUERY_PATH.read_text(encoding="utf-8")
        found = connection.execute(sql).fetchall()
        with (sample_shop() / "query_result.csv").open(
            encoding="utf-8", newline=""
        ) as file:
            expected = list(csv.reader(file))
        self.assertEqual({row[0] for row in found}, {"all"})
        self.assertEqual([list(map(str, row[1:])) for row in found], expected[1:])

    def test_duckdb_gives_the_same_under_every_option(self) -> None:
        connection = self.open_duckdb()
        text = QUERY_PATH.read_text(encoding="utf-8")
        selects = {
            path.name: path.read_text(encoding="utf-8") for path in (VALUES_PATH, DAYS_PATH)
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

    def test_may_divide_in_floating_point_and_cut_off_the_rest(self) -> None:
        create_shop(self.database, **make_large_refunds())
        trends = ("revenue_by_month", "countries", "channels")
        for path in (QUERY_PATH, *(TRENDS_DIR / f"{name}.sql" for name in trends)):
            with self.subTest(path.name):
                sql = path.read_text(encoding="utf-8")
                self.assertEqual(self.query(divide_in_floats(sql)), self.query(sql))

    def test_needs_no_rule_for_what_binds_tighter_than_concatenation(self) -> None:
        sql = QUERY_PATH.read_text(encoding="utf-8")
        self.assertNotRegex(sql, r"\|\| (\w+|\([^()]*\)) [-+*/%]")

    def test_finds_no_word_that_it_may_not_know(self) -> None:
        sql = re.sub("--.*", "", QUERY_PATH.read_text(encoding="utf-8")).upper()
        words = set(re.findall(r"[A-Z_]+", sql))
        known_to_few = {
            "RECURSIVE",
            "STRFTIME",
            "JULIANDAY",
            "DATE",
            "DATE_TRUNC",
            "EXTRACT",
            "ROUND",
            "GENERATE_SERIES",
            "LPAD",
            "PRINTF",
            "FORMAT",
            "IIF",
            "IF",
            "GREATEST",
            "LEAST",
            "TEXT",
            "STRING",
            "VARCHAR",
            "DIV",
            "TOTAL",
            "FILTER",
            "QUALIFY",
            "MATERIALIZED",
        }
        self.assertEqual(words & known_to_few, set())


def divide_in_floats(sql: str) -> str:
    """Return *sql* as an engine reads it that divides in floating point, such as Spark.

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


# Columns of the contract in an engine that does not know SQLite's types.
ENGINE_TYPES = {"INTEGER": "BIGINT", "TEXT": "VARCHAR"}


class TheQueryPlan(QueryCase):
    """Stays in proportion to the orders."""

    def test_reads_each_table_once_and_builds_no_index_of_its_own(self) -> None:
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


class RefusalCase(QueryCase):
    """A test with results that a refused run must not touch."""

    def setUp(self) -> None:
        """Query the small shop, so that there are results to lose."""
        super().setUp()
        create_shop(self.database)
        self.read_document()
        self.results = self.read("query_result.csv"), self.read("query_result.json")

    def assert_refused(self, *expected: str, arguments: Sequence[object] = ()) -> None:
        """Fail unless the run is refused with the *expected* texts and changed nothing."""
        result = self.run_query(*arguments)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertTrue(result.stderr.startswith("run_query: error: "), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for text in expected:
            self.assertIn(text, result.stderr)
        self.assertEqual(
            (self.read("query_result.csv"), self.read("query_result.json")), self.results
        )
        self.assertEqual(len(os.listdir(self.out_dir)), 2)


class ADatabase(RefusalCase):
    """That cannot be read is named, with what to do about it."""

    def test_missing_database_is_named_and_results_are_kept(self) -> None:
        # `test_database` has the other reasons why a database cannot be opened.
        self.database.unlink()
        self.assert_refused(str(self.database), "no such file", "python ingest.py --ingest")

    def test_whose_orders_are_of_nobody_is_refused(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("UPDATE orders SET user_id = 99 WHERE order_id = 5")
            connection.commit()
        self.assert_refused("row 5 of orders refers to a missing row of users")

    def test_whose_amounts_do_not_add_up_in_64_bits_is_refused(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(
                "UPDATE order_items SET quantity = 1, discount_cents = 0,"
                " unit_price_cents = 1 << 61, line_total_cents = 1 << 61"
            )
            connection.commit()
        self.assert_refused("the sum of its amounts overflows 64-bit integers")

    def test_whose_refund_is_too_large_for_its_share_is_refused(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("UPDATE payments SET amount_cents = 1 << 52")
            connection.commit()
        self.assert_refused(
            "the refund of payment_id 3 is too large", "overflows 64-bit integers"
        )

    def test_whose_refund_a_float_cannot_hold_is_refused(self) -> None:
        # 2 ** 53 + 1 of 1 of 1: the product fits, the share with its quarter does not.
        self.create_orders(
            (1, 1, "2024-01-10", "returned", 1),
            as_of="2024-01-31",
            payments=[(1, 1, "refund", "card", "succeeded", 2**53 + 1, AT_NOON)],
        )
        self.assert_refused("the refund of payment_id 1 is too large")

    def test_that_is_replaced_meanwhile_is_refused(self) -> None:
        def replace(path: Path) -> str:
            os.utime(path, (1, 1))
            return ""

        with mock.patch("utils.database.hash_file", replace):
            self.assert_refused(str(self.database), "was replaced during the run")

    def test_that_does_not_say_until_when_it_was_observed_is_refused(self) -> None:
        for as_of, expected in {
            "15 March": "as_of is '15 March', expected a day",
            "2023-02-30": "as_of is '2023-02-30', expected a day",
            "": "as_of is missing",
            "2024-03-11": "as_of is 2024-03-11, but the last order or refund is of",
        }.items():
            with self.subTest(expected):
                self.set_as_of(as_of)
                self.assert_refused(expected, PROVENANCE_TABLE, "python ingest.py --ingest")

    def test_with_a_refund_after_its_last_day_is_refused(self) -> None:
        refund = (1, 1, "refund", "card", "succeeded", 1000, "2024-02-01T00:00:00Z")
        self.create_orders(
            (1, 1, "2024-01-10", "returned", 1000), as_of="2024-01-31", payments=[refund]
        )
        self.assert_refused("but the last order or refund is of 2024-02-01T00:00:00Z")

    def test_that_is_a_folder_nobody_can_write_to_is_refused(self) -> None:
        blocked = self.folder / "blocked"
        blocked.write_text("a file", encoding="utf-8")
        self.assert_refused(
            str(blocked), "cannot be written", arguments=["--out-dir", blocked]
        )
        self.assertEqual(blocked.read_text(encoding="utf-8"), "a file")


class AQueryOfTheUser(RefusalCase):
    """May differ from ours in what it asks, not in what it gives."""

    CELL = (
        "SELECT '2024-01' AS cohort_month, 0 AS months_since, 2 AS cohort_size,"
        " 2 AS active_customers, 2 AS order_count, 8500 AS net_cents,"
        " 8500 AS cum_net_cents, 3500 AS cum_margin_cents, 1 AS is_complete"
    )

    def write_query(self, sql: str) -> Path:
        """Write *sql* to a file of the user's."""
        path = self.folder / "mine.sql"
        path.write_text(sql, encoding="utf-8")
        return path

    def test_that_cannot_be_run_is_refused(self) -> None:
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

    def test_that_is_missing_or_no_text_is_refused(self) -> None:
        path = self.folder / "mine.sql"
        self.assert_refused(str(path), "--query", arguments=["--query", path])
        path.write_bytes("SELECT 'ü'".encode("latin-1"))
        self.assert_refused(str(path), "is not UTF-8", arguments=["--query", path])

    def test_that_gives_no_cohort_cells_is_refused(self) -> None:
        for sql, expected in {
            "SELECT 1 AS cohort_month": "its result lacks months_since, cohort_size,",
            f"{self.CELL}, 1 AS cohort": "has a column cohort, the name that the JSON",
            f"{self.CELL}, 1 AS months_since": "its result has months_since more than once",
            f"{self.CELL} UNION ALL {self.CELL}": "row 2 of its result repeats cohort 2024-01,"
            " months since 0",
            self.CELL.replace(
                "8500 AS net", "85.5 AS net"
            ): "row 1 of its result: net_cents is 85.5, expected a whole number",
            self.CELL.replace("8500 AS net", "NULL AS net"): "net_cents is None",
            self.CELL.replace(
                "'2024-01'", "202401"
            ): "cohort_month is 202401, expected text",
            self.CELL.replace(
                "1 AS is_complete", "NULL AS is_complete"
            ): "is_complete is None, expected a whole number",
            f"{self.CELL}, x'00' AS picture": "picture is b'\\x00', expected text, a finite"
            " number or NULL",
            f"{self.CELL}, 9e999 AS ratio": "ratio is inf, expected text, a finite number",
        }.items():
            with self.subTest(sql):
                path = self.write_query(sql)
                self.assert_refused(str(path), expected, arguments=["--query", path])

    def test_is_run_as_it_is_and_what_it_leaves_out_is_noted(self) -> None:
        path = self.write_query(f"{self.CELL}, 'organic' AS channel, NULL AS note")
        result = self.run_query("--query", path)
        self.assertEqual(result.status, 0, result)
        self.assertIn("note: mine.sql: net of all cells, in cents: 8500;", result.stderr)
        self.assertIn("of all valid orders: 16668", result.stderr)
        document = json.loads(self.read("query_result.json"))
        self.assertEqual(document["query"]["file"], "mine.sql")
        self.assertEqual(document["cells"][0]["channel"], "organic")
        self.assertTrue(self.read("query_result.csv").endswith(b",1,organic,\n"))

    def test_may_give_the_future_as_null(self) -> None:
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


class TheFiles(QueryCase):
    """Lie where the user wants them, and nowhere else."""

    def setUp(self) -> None:
        """Put a small shop where its path needs quoting."""
        super().setUp()
        name = "50% off #1 & ü;.db" if os.name == "nt" else "50% off? #1 & ü;.db"
        self.path = create_shop(self.folder / name)
        self.root, self.published = self.folder / "root", self.folder / "page"
        for constant, folder in (
            ("PROJECT_ROOT", self.root),
            ("PUBLISHED_DIR", self.published),
        ):
            patch = mock.patch.object(output, constant, folder)
            patch.start()
            self.addCleanup(patch.stop)

    def test_go_to_the_root_and_a_copy_to_the_page(self) -> None:
        result = call(run_query.main, "--database", self.path)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        self.assertEqual(
            sorted(os.listdir(self.root)), ["query_result.csv", "query_result.json"]
        )
        self.assertEqual(os.listdir(self.published), ["query_result.json"])
        self.assertEqual(
            (self.root / "query_result.json").read_bytes(),
            (self.published / "query_result.json").read_bytes(),
        )

    def test_go_only_to_the_folder_that_was_named(self) -> None:
        result = call(
            run_query.main, "--database", self.path, "--out-dir", self.folder / "a" / "b"
        )
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted([self.path.name, "a"]))

    def test_are_swapped_in_together_or_not_at_all(self) -> None:
        self.published.write_text("a file where the folder should be", encoding="utf-8")
        result = call(run_query.main, "--database", self.path)
        self.assertEqual(result.status, 1)
        self.assertIn("cannot be written", result.stderr)
        self.assertEqual(os.listdir(self.root), [])

    def test_stay_as_they_were_when_the_second_cannot_be_swapped_in(self) -> None:
        for folder in (self.root, self.published):
            folder.mkdir()
        paths = [
            self.root / "query_result.csv",
            self.root / "query_result.json",
            self.published / "query_result.json",
        ]
        for path in paths:
            path.write_bytes(b"old")
        with refuse_to_replace("query_result.json"):
            result = call(run_query.main, "--database", self.path)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn("cannot be written", result.stderr)
        self.assertEqual([path.read_bytes() for path in paths], [b"old"] * 3)
        found = [
            path for folder in (self.root, self.published) for path in folder.iterdir()
        ]
        self.assertEqual(sorted(found), sorted(paths))


class TheScript(QueryCase):
    """Tells a person what it found, on any terminal."""

    def setUp(self) -> None:
        """Put a small shop into the folder."""
        super().setUp()
        create_shop(self.database)

    def test_prints_value_and_retention(self) -> None:
        self.set_as_of("2024-05-31")
        with mock.patch.dict(os.environ, COLUMNS="80"):
            result = self.run_query()
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "As of 2024-05-31: 3 customers in 2 cohorts by month of first order.",
                "",
                "CLV: net per customer so far, of the cohorts old enough",
                (
                    "   3 months        55.56 EUR   2 cohorts, 95% 16.34 to 94.78,"
                    " median 41.67"
                ),
                "   6 months   no cohort is old enough",
                "  12 months   no cohort is old enough",
                "  24 months   no cohort is old enough",
                "",
                "Retention by months since, in % of the cohort (* incomplete month)",
                "cohort   size   0    1    2    3    4",
                "2024-01     2 100   50   50    0    0",
                "2024-02     1 100    0    0    0",
                "average       100   33   33    0    0",
                "",
                # Orders 4 and 8, order 6, user 4.
                (
                    "Left out: 2 orders (status cancelled), 1 order (status pending),"
                    " 1 user without"
                ),
                "  a valid order.",
                "",
                f"Written: {self.out_dir / 'query_result.csv'}",
                f"Written: {self.out_dir / 'query_result.json'}",
            ],
        )

    def test_marks_the_month_that_still_runs(self) -> None:
        self.assertIn("2024-01     2 100   50   50*", self.run_query().stdout)

    def test_fits_the_terminal(self) -> None:
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        for width in (40, 72, 80, 132):
            with self.subTest(width=width):
                lines = render_summary(document, width=width).splitlines()
                table = lines[find_line(lines, "cohort ") :]
                self.assertEqual(table[13].split()[0], "average")
                self.assertLessEqual(max(map(len, table)), width)

    def test_says_what_does_not_fit(self) -> None:
        # 24 cohorts and ages; beside month and size there is room for 13 cells in 80.
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        for width, expected in {
            80: "Not shown: 12 older cohorts, 11 later months.",
            132: "Not shown: 12 older cohorts, 1 later month.",
            200: "Not shown: 12 older cohorts.",
        }.items():
            with self.subTest(width=width):
                lines = render_summary(document, width=width).splitlines()
                at = find_line(lines, "average ") + 1
                self.assertEqual(lines[at], expected)

    def test_rounds_half_a_cent_as_the_page_does(self) -> None:
        # In binary 110.5 / 100 is a little less than 1.105.
        document = self.read_document()
        for cents, expected in {110.5: "1.11", 33333.5: "333.34", -110.5: "-1.11"}.items():
            with self.subTest(cents):
                document["summary"]["clv"][0]["cents"] = cents
                self.assertIn(f" {expected} EUR", render_summary(document, width=80))

    def test_rounds_half_a_percent_up(self) -> None:
        document = self.read_document()
        for retention, expected in {0.125: "13", 0.145: "15", 0.5: "50"}.items():
            with self.subTest(retention):
                document["cells"][1]["retention"] = retention
                lines = render_summary(document, width=80).splitlines()
                january = lines[find_line(lines, "2024-01 ")]
                self.assertEqual(january.split()[3], expected)

    def test_leaves_with_2_on_wrong_usage_and_with_130_when_interrupted(self) -> None:
        self.assertEqual(self.run_query("--cohort", "2024").status, 2)
        with mock.patch.object(query, "query_database", side_effect=KeyboardInterrupt):
            result = self.run_query()
        self.assertEqual((result.status, result.stdout), (130, ""))
        self.assertEqual(result.stderr, "run_query: error: interrupted\n")

    def test_tells_every_option(self) -> None:
        result = self.run_query("--help")
        self.assertEqual(result.status, 0)
        for option in ("--database FILE", "--query FILE", "--out-dir DIR", "ingest.py"):
            self.assertIn(option, result.stdout)


def find_line(lines: Sequence[str], start: str) -> int:
    """Return where the line is that begins with *start*."""
    return next(at for at, line in enumerate(lines) if line.startswith(start))


class TheDocuments(unittest.TestCase):
    """Hold what they say."""

    def test_of_the_modules_are_right_in_every_example(self) -> None:
        for name in ("tests.recount", "tests.cdnow"):
            with self.subTest(name):
                result = doctest.testmod(importlib.import_module(name))
                self.assertGreater(result.attempted, 0)
                self.assertEqual(result.failed, 0)


if __name__ == "__main__":
    unittest.main()
