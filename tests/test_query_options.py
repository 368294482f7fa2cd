"""The options of the cohort query: by a second road, by hand, and what is refused."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist, fmean, median, stdev
from typing import Any
from unittest import mock

import ingest
import run_query
from queries import run_query as query
from queries.cohort_query import QUERY_PATH
from queries.options import VALID_STATUSES, Options, apply_options, read_options
from queries.output import render_csv
from queries.sql_text import find_parts, replace_body, replace_select
from queries.summary import render_summary
from queries.verify_result import verify_result
from tests import recount
from tests.query_cases import find_clv
from tests.recount import Customer, Value, name_columns
from tests.shop import (
    TANGLED_DAYS,
    Row,
    create_empty_shop,
    create_shop,
    create_tangled_shop,
    write_files,
)
from tests.support import IN_CI, ROOT, call, sample_shop, skip_on_windows
from tests.test_query import QueryCase, RefusalCase, find_line

GRAINS = ("month", "quarter")
SEGMENTS = (None, "channel", "country", "category")

# What can be added from segment to segment.
ADDED = (
    "cohort_size",
    "active_customers",
    "repeat_customers",
    "order_count",
    "unit_count",
    "gross_cents",
    "discount_cents",
    "refund_cents",
    "net_cents",
    "cost_cents",
    "margin_cents",
    "cum_net_cents",
    "cum_margin_cents",
)

Cells = list[dict[str, Any]]

# Segment, cohort, months since.
CellKey = tuple[str | None, str, int]


class OptionsCase(QueryCase):
    """A test that asks the folder's database, with options."""

    def ask(
        self, grain: str = "month", by: str | None = None, as_of: str | None = None
    ) -> dict[str, Any]:
        """Return the document of the folder's database."""
        options = Options(grain, by, as_of)
        return query.compute_result(self.database, options=options).document

    def generate_shop(self, seed: int, start: str, end: str, users: int = 200) -> None:
        """Load a generated shop into the folder's database."""
        self.generate("--seed", seed, "--users", users, "--start", start, "--end", end)
        self.assertEqual(self.ingest().status, 0)


class TheSecondRoad(OptionsCase):
    """Ends at the same cells and the same customers' values, whatever is asked."""

    def test_equals_every_cell_of_generated_shops(self) -> None:
        ways = (
            (2**63, "2023-11-30", "2024-09-15", "2024-08-11", ("returned", "delivered")),
            (42, "2024-05-02", "2025-03-20", "2025-01-31", None),
            (7, "2022-12-01", "2024-12-31", None, None),
        )
        for seed, start, end, as_of, statuses in ways if IN_CI else ways[:1]:
            self.generate_shop(seed, start, end)
            day = date.fromisoformat(as_of or end)
            customers = recount.count_shop(self.folder, day, statuses or VALID_STATUSES)
            self.assertGreater(len(customers), 100)
            for grain, by in itertools.product(GRAINS, SEGMENTS):
                options = Options(grain, by, as_of, statuses)
                with self.subTest(seed=seed, **options._asdict()):
                    answer = query.compute_result(self.database, options=options)
                    text = render_csv(answer.rows)
                    self.assert_equal_to(customers, day, answer.document, text)

    def test_equals_the_files_that_the_script_writes(self) -> None:
        self.generate_shop(8, "2024-01-01", "2025-02-28")
        for grain, by, as_of, statuses in (
            ("month", None, "2025-01-31", ("paid", "delivered", "returned")),
            ("quarter", "category", "2025-01-31", ("paid", "delivered", "returned")),
        ):
            with self.subTest(grain=grain, by=by):
                arguments = ["--cohort", grain, "--as-of", as_of]
                arguments += ["--valid-status", ",".join(statuses)]
                arguments += ["--by", by] if by else []
                document = self.read_document(*arguments)
                text = self.read("query_result.csv").decode("utf-8")
                day = date.fromisoformat(as_of)
                customers = recount.count_shop(self.folder, day, statuses)
                self.assert_equal_to(customers, day, document, text)
                # Also as a command.
                options = ["--as-of", as_of, "--cohort", grain, "--valid-status"]
                options += [",".join(statuses), *(["--by", by] if by else [])]
                result = call(recount.main, self.folder, *options)
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertEqual(result.stdout, text)
                result = call(recount.main, self.folder, *options, "--values")
                self.assertEqual(len(result.stdout.splitlines()), 1 + len(customers))

    def test_equals_the_cells_of_tangled_shops_under_every_mixture_of_options(self) -> None:
        last = TANGLED_DAYS[-1]
        for seed in (1, 2) if IN_CI else (1,):
            self.database.unlink(missing_ok=True)
            create_tangled_shop(self.database, seed=seed)
            write_files(self.database, self.folder)
            for as_of, statuses in (
                (None, None),
                (None, ("paid", "cancelled", "returned")),
                ("2024-03-31", None),
                ("2023-11-14", ("shipped", "delivered", "pending")),
            ):
                day = date.fromisoformat(as_of) if as_of else last
                names = statuses or VALID_STATUSES
                customers = recount.count_shop(self.folder, day, names)
                self.assertTrue(customers)
                for grain, by in itertools.product(GRAINS, SEGMENTS):
                    options = Options(grain, by, as_of, statuses)
                    with self.subTest(seed=seed, **options._asdict()):
                        answer = query.compute_result(self.database, options=options)
                        text = render_csv(answer.rows)
                        self.assert_equal_to(customers, day, answer.document, text)

    def assert_equal_to(
        self, customers: list[Customer], day: date, document: dict[str, Any], text: str
    ) -> None:
        """Fail unless *document* and CSV *text* are what *customers* did until *day*."""
        grain, by = document["options"]["cohort"], document["options"]["by"]
        cells = list(recount.count_cells(customers, day, grain, by))
        expected = [list(map(str, row)) for row in (name_columns(grain, by), *cells)]
        self.assertEqual(list(csv.reader(io.StringIO(text))), expected)
        whole = list(recount.count_cells(customers, day, grain)) if by else cells
        columns = ("cohort", *name_columns(grain)[1:])
        found = [tuple(cell[name] for name in columns) for cell in document["cells"]]
        self.assertEqual(found, whole)
        values = recount.list_values(customers, grain, by)
        self.assert_values(values, day, document)
        for record in document.get("segments", []):
            name = record["segment"]
            self.assertEqual(
                [tuple(cell[n] for n in ("segment", *columns)) for cell in record["cells"]],
                [row for row in cells if row[0] == name],
            )
            self.assert_values([v for v in values if v.segment == name], day, record)
        self.assertEqual(
            [record["segment"] for record in document.get("segments", [])],
            sorted({value.segment for value in values}) if by else [],
        )

    def assert_values(
        self, values: Sequence[Value], day: date, record: dict[str, Any]
    ) -> None:
        """Fail unless *record* tells CLV as the *values* of each customer do."""
        eligible: dict[int, list[int]] = {age: [] for age in recount.VALUE_AGES}
        cohort_counts: Counter[int] = Counter()
        for cohort in record["cohorts"]:
            members = [value for value in values if value.cohort == cohort["cohort"]]
            self.assertEqual(cohort["cohort_size"], len(members))
            for at, age in enumerate(recount.VALUE_AGES):
                last = recount.add_months(recount.last_month_of(cohort["cohort"]), age)
                nets: list[int] = []
                if recount.last_day_of(last) <= day:
                    nets = [value.net_cents[at] for value in members]
                    cohort_counts[age] += 1
                eligible[age] += nets
                self.assert_clv(nets, age, cohort)
        summary = record["summary"]
        self.assertEqual(summary["customer_count"], len(values))
        for age, nets in eligible.items():
            self.assert_clv(nets, age, summary)
            self.assertEqual(find_clv(summary, age)["cohort_count"], cohort_counts[age])

    def assert_clv(self, nets: Sequence[int], age: int, record: dict[str, Any]) -> None:
        """Fail unless *record* has the mean of *nets* at *age*, interval and median."""
        expected: list[float | None] = [None] * 4
        if nets:
            expected[0], expected[3] = fmean(nets), median(nets)
        if len(nets) > 1:
            z = NormalDist().inv_cdf(0.975)
            reach = z * stdev(nets) / len(nets) ** 0.5
            expected[1:3] = fmean(nets) - reach, fmean(nets) + reach
        names = ("cents", "low_cents", "high_cents", "median_cents")
        for name, figure in zip(names, expected, strict=True):
            found = find_clv(record, age)[name]
            if figure is None:
                self.assertIsNone(found)
            else:
                # Told to two places.
                self.assertAlmostEqual(found, figure, delta=0.005_001)


class TheCohortsByQuarter(OptionsCase):
    """Count each customer's own months, as worked out by hand from tests/shop.py."""

    # The first quarter: users 1 and 2 of January, user 3 of February.
    #
    #   0: orders 1, 2 and 5.
    #   1: January's February, order 3 and 1221 refunded; February's March, nothing.
    #   2: January's March, order 7 and 611 refunded; February has no April yet.
    #
    #   months since, size, active, orders, units, gross, discount, refund, net, cost,
    #       margin, repeat, net so far, margin so far
    BY_HAND = (
        (0, 3, 3, 3, 7, 12000, 500, 0, 11500, 6200, 5300, 0, 11500, 5300),
        (1, 3, 1, 1, 1, 1000, 0, 1221, -221, 400, -621, 1, 11279, 4679),
        (2, 3, 1, 1, 2, 7000, 1000, 611, 5389, 4200, 1189, 1, 16668, 5868),
    )

    # Observed is what also customers of March would have lived; complete, if to its end.
    FLAGS = (
        ("2024-03-15", ["10", "00", "00"]),
        ("2024-03-31", ["11", "00", "00"]),
        ("2024-04-29", ["11", "10", "00"]),
        ("2024-04-30", ["11", "11", "00"]),
        ("2024-05-31", ["11", "11", "11"]),
    )

    def test_are_as_worked_out_by_hand(self) -> None:
        create_shop(self.database)
        for as_of, flags in self.FLAGS:
            with self.subTest(as_of):
                self.set_as_of(as_of)
                self.read_document("--cohort", "quarter")
                text = self.read("query_result.csv").decode("utf-8")
                header, *rows = csv.reader(io.StringIO(text))
                self.assertEqual(tuple(header), recount.QUARTER_COLUMNS)
                self.assertEqual(
                    rows[:3],
                    [
                        ["2024-Q1", *map(str, cell), *flag]
                        for cell, flag in zip(self.BY_HAND, flags, strict=True)
                    ],
                )

    def test_have_no_ratio_before_all_have_reached_the_month(self) -> None:
        create_shop(self.database)
        document = self.ask("quarter")
        self.assertEqual(
            [cell["retention"] for cell in document["cells"]], [1.0, None, None]
        )
        self.assertEqual(document["cohorts"][0]["last_months_since"], 0)
        self.assertEqual(document["average"], [])
        self.set_as_of("2024-05-31")
        document = self.ask("quarter")
        self.assertEqual(
            [cell["retention"] for cell in document["cells"]],
            [1.0, 0.333333, 0.333333, None, None],
        )

    def test_have_a_clv_only_when_the_last_month_is_that_old(self) -> None:
        # 16668 / 3, when what would be March's cohort has lived June.
        create_shop(self.database)
        for as_of, expected in {"2024-06-29": None, "2024-06-30": 5556}.items():
            with self.subTest(as_of):
                self.set_as_of(as_of)
                (cohort,) = self.ask("quarter")["cohorts"]
                self.assertEqual(find_clv(cohort, 3)["cents"], expected)

    def test_of_a_segment_that_began_late_keep_their_customers_in_the_whole(self) -> None:
        # February's user is the only one from IE: that segment has no month 2 yet.
        create_shop(self.database)
        document = self.read_document("--cohort", "quarter", "--by", "country")
        sizes = [cell["cohort_size"] for cell in document["cells"]]
        self.assertEqual(sizes, [3, 3, 3])
        nets = [cell["cum_net_cents"] for cell in document["cells"]]
        self.assertEqual(nets, [11500, 11279, 16668])
        ages = {record["segment"]: len(record["cells"]) for record in document["segments"]}
        self.assertEqual(ages, {"GB": 3, "IE": 2, "SE": 3})

    def test_of_a_shop_without_orders_have_their_header(self) -> None:
        create_empty_shop(self.database)
        for by in SEGMENTS:
            with self.subTest(by):
                arguments = ["--by", by] if by else []
                self.read_document("--cohort", "quarter", *arguments)
                expected = ",".join(name_columns("quarter", by)) + "\n"
                self.assertEqual(self.read("query_result.csv").decode("utf-8"), expected)


class TheCategory(OptionsCase):
    """Of a customer is where most money of the first valid order went."""

    # Teapot 1 and mug 2 are of the kitchen; lamp 3 and rug 4 of the home.
    LINES: tuple[tuple[int, tuple[tuple[int, int], ...]], ...] = (
        (1, ((1, 1000), (3, 1000))),  # equal: the first by name
        (2, ()),  # nothing bought
        (3, ((1, 100),)),  # at the same instant as order 4, and of a lower number
        (4, ((3, 9000),)),
        (5, ((3, 9000),)),  # cancelled
        (6, ((1, 1500), (2, 1500), (3, 2000))),  # no line is larger than the lamp's
        (7, ((3, 1), (1, 0))),
    )
    ORDERS: tuple[tuple[int, int, str, str], ...] = (
        (1, 1, "2024-01-10", "paid"),
        (2, 2, "2024-01-10", "paid"),
        (3, 3, "2024-01-10", "paid"),
        (4, 3, "2024-01-10", "paid"),
        (5, 4, "2024-01-10", "cancelled"),
        (6, 4, "2024-01-11", "paid"),
        (7, 2, "2024-01-12", "paid"),  # not the first
    )

    def setUp(self) -> None:
        """Make the shop of those orders."""
        super().setUp()
        lines = [
            (key, product_id, cents)
            for key, of_order in self.LINES
            for product_id, cents in of_order
        ]
        totals = {key: sum(cents for _, cents in of_order) for key, of_order in self.LINES}
        items: list[Row] = [
            (at, key, product_id, 1, cents, 0, cents)
            for at, (key, product_id, cents) in enumerate(lines, 1)
        ]
        self.create_orders(
            *((*order, totals[order[0]]) for order in self.ORDERS),
            as_of="2024-01-31",
            order_items=items,
        )

    def customers(self, *arguments: object) -> dict[str, int]:
        """Return how many customers each category has."""
        document = self.read_document("--by", "category", *arguments)
        return {
            record["segment"]: record["summary"]["customer_count"]
            for record in document["segments"]
        }

    def test_is_as_worked_out_by_hand(self) -> None:
        # User 1 home, user 2 none, user 3 kitchen, user 4 kitchen.
        self.assertEqual(self.customers(), {"home": 1, "kitchen": 2, "none": 1})

    def test_is_that_of_the_second_road(self) -> None:
        write_files(self.database, self.folder)
        customers = recount.count_shop(self.folder, date(2024, 1, 31))
        found = Counter(customer.segments["category"] for customer in customers)
        self.assertEqual(found, self.customers())

    def test_follows_which_orders_are_valid(self) -> None:
        # Then order 5 is user 4's first.
        self.assertEqual(
            self.customers("--valid-status", "paid,cancelled"),
            {"home": 2, "kitchen": 1, "none": 1},
        )
        self.assertEqual(self.customers("--valid-status", "cancelled"), {"home": 1})

    def test_does_not_change_with_a_later_order(self) -> None:
        self.assertEqual(
            self.customers("--as-of", "2024-01-11"), {"home": 1, "kitchen": 2, "none": 1}
        )


class AnEarlierDay(OptionsCase):
    """Gives the world as it was then."""

    def test_a_month_back_takes_one_diagonal_and_changes_no_complete_cell(self) -> None:
        for seed in (5, 6):
            self.generate_shop(seed, "2023-09-10", "2024-06-30", users=120)
            for by in SEGMENTS:
                cells = {
                    as_of: {
                        (
                            cell.get("segment"),
                            cell["cohort"],
                            cell["months_since"],
                        ): cell
                        for cell in list_cells(self.ask(by=by, as_of=as_of))
                    }
                    for as_of in ("2024-06-30", "2024-05-31", "2024-04-30", "2024-05-17")
                }
                for later, earlier in (
                    ("2024-06-30", "2024-05-31"),
                    ("2024-05-31", "2024-04-30"),
                    ("2024-05-17", "2024-04-30"),
                    ("2024-06-30", "2024-05-17"),
                ):
                    with self.subTest(seed=seed, by=by, later=later, earlier=earlier):
                        self.assert_diagonal(cells[later], cells[earlier], later, earlier)

    def assert_diagonal(
        self,
        new: dict[CellKey, dict[str, Any]],
        old: dict[CellKey, dict[str, Any]],
        later: str,
        earlier: str,
    ) -> None:
        """Fail unless one diagonal lies between the cells of the two days."""
        gone = [new[key] for key in new.keys() - old.keys()]
        self.assertEqual(old.keys() - new.keys(), set())
        # The diagonal: the last month, once for each cohort there is.  A cohort that began
        # later in a month that ran on the earlier day is not there at all.
        begun = {key[:2] for key in new} - {key[:2] for key in old}
        self.assertLessEqual({cohort for _, cohort in begun}, {earlier[:7], later[:7]})
        if all(cell["is_complete"] for cell in old.values()):
            self.assertEqual({cohort for _, cohort in begun} - {later[:7]}, set())
        diagonal = [cell for cell in gone if cell["period_month"] == later[:7]]
        self.assertEqual(len(diagonal), len({key[:2] for key in new}))
        for cell in gone:
            if (cell.get("segment"), cell["cohort"]) not in begun:
                self.assertEqual(cell["period_month"], later[:7])
        for key, cell in old.items():
            if cell["is_complete"]:
                self.assertEqual(cell, new[key])
            else:
                self.assertEqual(cell["period_month"], earlier[:7])

    def test_marks_the_month_that_runs_then(self) -> None:
        create_shop(self.database)
        for as_of, is_complete in {
            "2024-02-28": 0,
            "2024-02-29": 1,
            "2024-03-14": 1,
        }.items():
            with self.subTest(as_of):
                cells = self.ask(as_of=as_of)["cells"]
                flags = {cell["period_month"]: cell["is_complete"] for cell in cells}
                self.assertEqual(flags["2024-01"], 1)
                self.assertEqual(flags["2024-02"], is_complete)
                self.assertEqual(flags.get("2024-03", 0), 0)

    def test_does_not_know_later_orders_and_refunds(self) -> None:
        # On 19 February: without order 5, and without the 388 and 611 of order 3.
        create_shop(self.database)
        cells = self.ask(as_of="2024-02-19")["cells"]
        self.assertEqual(
            [(cell["cohort"], cell["months_since"], cell["net_cents"]) for cell in cells],
            [("2024-01", 0, 8500), ("2024-01", 1, 1000 - 833)],
        )

    def test_counts_a_refund_dated_before_its_order_with_the_order(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "paid", 1000),
            (2, 1, "2024-02-10", "returned", 1000),
            as_of="2024-03-31",
            payments=[(1, 2, "refund", "card", "succeeded", 600, "2024-01-20T00:00:00Z")],
        )
        for as_of, expected in {
            "2024-01-31": [0],
            "2024-02-09": [0, 0],
            "2024-02-10": [0, 600],
        }.items():
            with self.subTest(as_of):
                cells = self.ask(as_of=as_of)["cells"]
                self.assertEqual([cell["refund_cents"] for cell in cells], expected)

    def test_before_the_first_order_has_no_cell(self) -> None:
        create_shop(self.database)
        for grain, by in itertools.product(GRAINS, SEGMENTS):
            with self.subTest(grain=grain, by=by):
                document = self.ask(grain, by, "2023-12-31")
                self.assertEqual((document["cells"], document["cohorts"]), ([], []))
                (excluded,) = document["reconciliation"]["excluded_orders"]
                self.assertEqual(excluded["reason"], "after the as-of day")
                self.assertEqual(excluded["order_count"], 8)

    def test_is_told_in_the_document_and_the_terminal(self) -> None:
        create_shop(self.database)
        result = self.run_query("--as-of", "2024-02-29")
        self.assertTrue(result.stdout.startswith("As of 2024-02-29: 3 customers"))
        document = json.loads(self.read("query_result.json"))
        self.assertEqual(document["as_of"], "2024-02-29")
        self.assertEqual(document["options"]["as_of"], "2024-02-29")


class TheSegments(OptionsCase):
    """Divide the shop, and nothing else."""

    def test_add_up_to_the_whole_in_every_cell(self) -> None:
        self.generate_shop(11, "2023-01-20", "2024-02-29")
        for grain in GRAINS:
            plain = self.ask(grain)
            for by in SEGMENTS[1:]:
                with self.subTest(grain=grain, by=by):
                    document = self.ask(grain, by)
                    for name in ("cohorts", "cells", "average", "summary"):
                        self.assertEqual(document[name], plain[name], name)
                    self.assertGreater(len(document["segments"]), 1)
                    self.assert_sum(document)

    def assert_sum(self, document: dict[str, Any]) -> None:
        """Fail unless the cells of all segments add up to those of the whole."""
        sums: dict[tuple[str, int], Counter[str]] = {}
        for cell in list_cells(document):
            cohort = cell["cohort"]
            added = sums.setdefault((cohort, cell["months_since"]), Counter())
            added.update({name: cell[name] for name in ADDED})
        for cell in document["cells"]:
            cohort = cell["cohort"]
            # Of a quarter's month that not all have reached, not all segments have a cell.
            names = ADDED if cell["is_observed"] else ("net_cents", "order_count")
            added = sums[cohort, cell["months_since"]]
            self.assertEqual(
                {name: added[name] for name in names}, {name: cell[name] for name in names}
            )

    def test_have_all_buyers_between_them(self) -> None:
        self.generate_shop(12, "2023-06-01", "2024-02-29")
        ((buyers,),) = self.query(
            "SELECT COUNT(DISTINCT user_id) FROM orders"
            " WHERE status NOT IN ('pending', 'cancelled')"
        )
        for by in SEGMENTS[1:]:
            with self.subTest(by):
                segments = self.ask(by=by)["segments"]
                sizes = [
                    sum(cohort["cohort_size"] for cohort in record["cohorts"])
                    for record in segments
                ]
                self.assertEqual(sum(sizes), buyers)
                counts = [record["summary"]["customer_count"] for record in segments]
                self.assertEqual(sizes, counts)

    def test_of_the_small_shop_are_as_worked_out_by_hand(self) -> None:
        # Organic brought users 1 and 3, e-mail user 2; user 4 has bought nothing.
        create_shop(self.database)
        self.read_document("--by", "channel")
        text = self.read("query_result.csv").decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text))
        self.assertEqual(tuple(header), ("segment", *recount.COLUMNS))
        told = [
            [
                row[header.index(name)]
                for name in (
                    "segment",
                    "cohort_month",
                    "months_since",
                    "cohort_size",
                    "net_cents",
                )
            ]
            for row in rows
        ]
        self.assertEqual(
            told,
            [
                ["email", "2024-01", "0", "1", "5000"],
                ["email", "2024-01", "1", "1", "-833"],
                ["email", "2024-01", "2", "1", "0"],
                ["organic", "2024-01", "0", "1", "3500"],
                ["organic", "2024-01", "1", "1", str(1000 - 388)],
                ["organic", "2024-01", "2", "1", str(6000 - 611)],
                ["organic", "2024-02", "0", "1", "3000"],
                ["organic", "2024-02", "1", "1", "0"],
            ],
        )

    def test_have_a_clv_only_of_cohorts_that_are_old_enough(self) -> None:
        create_shop(self.database)
        self.set_as_of("2024-04-30")
        document = self.ask(by="channel")
        found = {
            record["segment"]: [
                find_clv(cohort, 3)["cents"] for cohort in record["cohorts"]
            ]
            for record in document["segments"]
        }
        self.assertEqual(found, {"email": [4167], "organic": [9501, None]})
        counts = [
            find_clv(record["summary"], 3)["cohort_count"]
            for record in document["segments"]
        ]
        self.assertEqual(counts, [1, 1])


def list_cells(document: dict[str, Any]) -> Cells:
    """Return the cells of all segments, or of the whole if there are none."""
    if not document["options"]["by"]:
        cells: Cells = document["cells"]
        return cells
    return [cell for record in document["segments"] for cell in record["cells"]]


class TheValues(OptionsCase):
    """Of the customers end with the month of that age."""

    def test_at_3_6_12_and_24_months_are_as_worked_out_by_hand(self) -> None:
        # User 1 buys for a power of two in the months 0, 3, 4, 6, 7, 12, 13, 24 and 25.
        # User 2 buys once, for 8.
        months = (
            "2022-01",
            "2022-04",
            "2022-05",
            "2022-07",
            "2022-08",
            "2023-01",
            "2023-02",
            "2024-01",
            "2024-02",
        )
        self.create_orders(
            *((at + 1, 1, f"{month}-28", "paid", 2**at) for at, month in enumerate(months)),
            (10, 2, "2022-01-01", "paid", 8),
            as_of="2024-02-29",
        )
        # So far 1 + 2, then + 4 + 8, then + 16 + 32, then + 64 + 128.
        first = {3: 3, 6: 15, 12: 63, 24: 255}
        for by in (None, "channel"):
            document = self.ask(by=by)
            for age, cents in first.items():
                with self.subTest(by=by, months=age):
                    (cohort,) = document["cohorts"]
                    mean = (cents + 8) / 2
                    self.assertEqual(find_clv(cohort, age)["cents"], mean)
                    self.assertEqual(find_clv(cohort, age)["median_cents"], mean)
                    # Of two values the standard error is half of their distance.
                    reach = 1.959964 * abs(cents - 8) / 2
                    for name, end in (("low", mean - reach), ("high", mean + reach)):
                        found = find_clv(cohort, age)[f"{name}_cents"]
                        self.assertAlmostEqual(found, end, delta=0.006)
        segments = {
            record["segment"]: record["cohorts"][0] for record in document["segments"]
        }
        for age, cents in first.items():
            # Organic brought user 1, e-mail user 2; of one there is no interval.
            self.assertEqual(find_clv(segments["organic"], age)["median_cents"], cents)
            self.assertEqual(find_clv(segments["email"], age)["median_cents"], 8)
            self.assertIsNone(find_clv(segments["email"], age)["low_cents"])


class TheAverages(OptionsCase):
    """Are of complete cells only, weighted by customers, and say of how many."""

    def test_are_sums_divided_by_sums(self) -> None:
        self.generate_shop(21, "2023-01-20", "2024-02-15")
        for grain, by in itertools.product(GRAINS, (None, "channel")):
            document = self.ask(grain, by)
            for record in (document, *document.get("segments", [])):
                with self.subTest(grain=grain, segment=record.get("segment")):
                    self.assert_average(record)

    def assert_average(self, record: dict[str, Any]) -> None:
        """Fail unless the average of *record* is that of its complete cells."""
        complete: dict[int, Cells] = {}
        for cell in record["cells"]:
            if cell["is_complete"]:
                complete.setdefault(cell["months_since"], []).append(cell)
        ages = [average["months_since"] for average in record["average"]]
        self.assertEqual(ages, sorted(complete))
        for average in record["average"]:
            cells = complete[average["months_since"]]
            customers = sum(cell["cohort_size"] for cell in cells)
            net = sum(cell["cum_net_cents"] for cell in cells)
            active = sum(cell["active_customers"] for cell in cells)
            self.assertEqual(average["cohort_count"], len(cells))
            self.assertEqual(average["customer_count"], customers)
            self.assertAlmostEqual(
                average["cum_net_per_customer_cents"],
                float(Fraction(net, customers)),
                delta=0.005_001,
            )
            self.assertAlmostEqual(
                average["retention"], float(Fraction(active, customers)), delta=5.1e-7
            )


class TheReconciliation(OptionsCase):
    """Leaves no order and no cent unaccounted for."""

    def excluded(self, *arguments: object) -> list[tuple[str, int, int]]:
        """Return each reason, with its orders and cents."""
        document = self.read_document(*arguments)
        return [
            (record["reason"], record["order_count"], record["total_cents"])
            for record in document["reconciliation"]["excluded_orders"]
        ]

    def test_counts_each_order_left_out_with_its_reason(self) -> None:
        create_shop(self.database)
        # Cancelled are 4 and 8, pending is 6.
        self.assertEqual(
            self.excluded(),
            [("status cancelled", 2, 2400 + 1200), ("status pending", 1, 6000)],
        )
        # Later than February are 6, 7 and 8, whatever their status.
        self.assertEqual(
            self.excluded("--as-of", "2024-02-29"),
            [("after the as-of day", 3, 6000 + 7200 + 1200), ("status cancelled", 1, 2400)],
        )
        self.assertEqual(
            self.excluded("--valid-status", "delivered,shipped,cancelled,pending"),
            [
                ("status paid", 1, 3600),
                ("status partially_returned", 1, 6000),
                ("status returned", 1, 1800),
            ],
        )

    def test_tells_users_without_a_valid_order(self) -> None:
        create_shop(self.database)
        # User 4 has none; only user 1 has one that is shipped or delivered.
        for arguments, expected in (
            ([], 1),
            (["--as-of", "2024-03-01"], 1),
            (["--valid-status", "shipped,delivered"], 3),
        ):
            with self.subTest(arguments):
                reconciliation = self.read_document(*arguments)["reconciliation"]
                self.assertEqual(reconciliation["users_without_valid_order"], expected)
                self.assertEqual(reconciliation["user_count"], 4)

    def test_of_valid_and_excluded_orders_are_all_orders(self) -> None:
        for seed in (1, 2, 3):
            self.database.unlink(missing_ok=True)
            create_tangled_shop(self.database, seed=seed)
            ((count,),) = self.query("SELECT COUNT(*) FROM orders")
            for as_of in (None, "2024-02-29"):
                with self.subTest(seed=seed, as_of=as_of):
                    document = self.ask(as_of=as_of)
                    valid = sum(cell["order_count"] for cell in document["cells"])
                    excluded = document["reconciliation"]["excluded_orders"]
                    left_out = sum(record["order_count"] for record in excluded)
                    self.assertEqual(valid + left_out, count)

    def test_shows_both_sides_of_every_sum(self) -> None:
        create_shop(self.database)
        sums = self.ask()["reconciliation"]["sums"]
        # Orders 1, 2, 3, 5 and 7: 20000 gross, 1500 discount, 1832 refunded.
        self.assertEqual(
            {s["figure"]: (s["of_cells"], s["of_tables"]) for s in sums},
            {
                "customer_count": (3, 3),
                "order_count": (5, 5),
                "unit_count": (10, 10),
                "refund_cents": (1832, 1832),
                "net_cents": (16668, 16668),
            },
        )

    def test_dates_refunds_in_two_ways_to_the_same_total(self) -> None:
        create_shop(self.database)
        found = [
            tuple(record.values())
            for record in self.ask()["reconciliation"]["refunds_by_month"]
        ]
        # Order 2 is of January: 833.  Order 3 is of February: 388 + 611.
        self.assertEqual(
            found, [("2024-01", 0, 833), ("2024-02", 1221, 999), ("2024-03", 611, 0)]
        )

    def test_has_the_refunds_that_sql_sums(self) -> None:
        for seed in (4, 5):
            self.database.unlink(missing_ok=True)
            create_tangled_shop(self.database, seed=seed)
            rows = self.query(
                "SELECT MAX(ordered_at, processed_at), ordered_at,"
                " amount_cents * (subtotal_cents - orders.discount_cents) / total_cents"
                " FROM payments JOIN orders USING (order_id)"
                " WHERE kind = 'refund' AND payments.status = 'succeeded'"
                " AND total_cents > 0 AND orders.status NOT IN ('pending', 'cancelled')"
            )
            for as_of in ("2024-06-10", "2024-02-10"):
                with self.subTest(seed=seed, as_of=as_of):
                    paid_out: Counter[str] = Counter()
                    of_orders: Counter[str] = Counter()
                    for counted_at, ordered_at, share in rows:
                        if counted_at[:10] <= as_of:
                            paid_out[counted_at[:7]] += share
                            of_orders[ordered_at[:7]] += share
                    document = self.ask(as_of=as_of)
                    told = document["reconciliation"]["refunds_by_month"]
                    months = [record["month"] for record in told]
                    self.assertEqual(months, sorted({*paid_out, *of_orders}))
                    for name, sums in (
                        ("paid_out_cents", paid_out),
                        ("of_orders_cents", of_orders),
                    ):
                        self.assertEqual(
                            [record[name] for record in told], [sums[m] for m in months]
                        )
                    refunds = sum(cell["refund_cents"] for cell in document["cells"])
                    self.assertEqual(paid_out.total(), of_orders.total())
                    self.assertEqual(paid_out.total(), refunds)


class ASegmentsName(OptionsCase):
    """May be anything: it harms neither a spreadsheet nor a terminal."""

    def create_categories(self, *names: str) -> None:
        """Make a shop in which a user each first bought in a category of these *names*."""
        self.database.unlink(missing_ok=True)
        keys = range(1, len(names) + 1)
        create_shop(
            self.database,
            products=[
                (key, f"SKU-{key}", "Thing", name, "Örn", 1000, 400, "2023-12-01T00:00:00Z")
                for key, name in zip(keys, names, strict=True)
            ],
            orders=[
                (key, key, "2024-01-10T12:00:00Z", "returned", 1000, 0, 0, 0, 1000)
                for key in keys
            ],
            order_items=[(key, key, key, 1, 1000, 0, 1000) for key in keys],
            # More than was paid, so that there is a number below 0.
            payments=[
                (key, key, "refund", "card", "succeeded", 1500, "2024-01-11T12:00:00Z")
                for key in keys
            ],
            as_of="2024-01-31",
        )

    def test_that_is_a_formula_is_disarmed_in_the_csv_only(self) -> None:
        names = ("=1+1", "@SUM(A1)", '-2+3+cmd|" /C calc"!A0', "+1")
        self.create_categories(*names)
        document = self.read_document("--by", "category")
        text = self.read("query_result.csv").decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual({row["segment"] for row in rows}, {f"'{name}" for name in names})
        for row in rows:
            self.assertEqual(row["net_cents"], "-500")
            self.assertEqual(row["margin_cents"], "-900")
        # In the JSON a name is itself.
        self.assertEqual({r["segment"] for r in document["segments"]}, set(names))

    def test_with_control_characters_stays_on_its_line_of_the_terminal(self) -> None:
        names = ("a\nb", "a\x1b[2Jc", "d\r\x07e", "f\u2028g\u202eh")
        self.create_categories(*names)
        result = self.run_query("--by", "category")
        self.assertEqual((result.status, result.stderr), (0, ""))
        for character in "\x1b\r\x07\u2028\u202e":
            self.assertNotIn(character, result.stdout)
        lines = result.stdout.split("\n")
        at = find_line(lines, "category ")
        self.assertEqual(
            [line.split()[0] for line in lines[at + 1 : at + 5]],
            ["a\\nb", "a\\x1b[2Jc", "d\\r\\x07e", "f\\u2028g\\u202eh"],
        )
        widths = {len(line) for line in lines[at : at + 5]}
        self.assertEqual(len(widths), 1, lines[at : at + 5])

    def test_with_line_ends_is_one_cell_of_the_csv(self) -> None:
        names = ("a\nb", 'c"d', "e,f", " g ")
        self.create_categories(*names)
        self.read_document("--by", "category")
        text = self.read("query_result.csv").decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual({row["segment"] for row in rows}, set(names))


class AWrongOption(RefusalCase):
    """Gets one clear line, and the old results stay."""

    def test_that_the_data_cannot_answer_is_refused(self) -> None:
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

    def test_that_is_no_option_is_wrong_usage(self) -> None:
        for arguments, expected in (
            (["--as-of", "yesterday"], "'yesterday', expected a date such as 2025-12-31"),
            (["--as-of", "2024-02-30"], "'2024-02-30', expected a date"),
            (["--as-of", "20240229"], "'20240229', expected a date"),
            (["--as-of", "2024-03-15' OR 1"], "expected a date"),
            (["--valid-status", ""], "'', expected one or more names"),
            (["--valid-status", " ,,"], "' ,,', expected one or more names"),
            (["--by", "city"], "invalid choice: 'city'"),
            (["--cohort", "week"], "invalid choice: 'week'"),
            (["--score"], "--score evaluates the forecast; add --forecast"),
        ):
            with self.subTest(arguments):
                result = self.run_query(*arguments)
                self.assertEqual((result.status, result.stdout), (2, ""))
                last = result.stderr.splitlines()[-1]
                self.assertTrue(last.startswith("run_query.py: error: "), last)
                self.assertIn(expected, last)
                found = self.read("query_result.csv"), self.read("query_result.json")
                self.assertEqual(found, self.results)

    def test_that_the_users_query_does_not_know_is_refused(self) -> None:
        path = self.folder / "mine.sql"
        path.write_text("SELECT 1 AS one", encoding="utf-8")
        for arguments, expected in (
            (["--by", "channel"], "has no CTE customer_segments"),
            (["--as-of", "2024-03-01"], "has no CTE as_of_dates"),
            (["--valid-status", "paid"], "has no CTE valid_statuses"),
        ):
            with self.subTest(arguments):
                self.assert_refused(
                    str(path), expected, arguments=["--query", path, *arguments]
                )

    def test_that_the_users_cells_cannot_be_summed_for_is_refused(self) -> None:
        path = self.folder / "mine.sql"
        sql = QUERY_PATH.read_text(encoding="utf-8")
        cte, select = sql[: find_parts(sql).select_at], sql[find_parts(sql).select_at :]
        quarter, country = ["--cohort", "quarter"], ["--by", "country"]
        for old, new, arguments, expected in (
            ("    unit_count,\n", "", quarter, "its result lacks unit_count"),
            ("    unit_count,\n", "", country, "its result lacks unit_count"),
            ("    1 AS is_observed,\n", "", quarter, "its result lacks is_observed"),
            ("unit_count", "NULL AS unit_count", quarter, "unit_count is None"),
            ("unit_count", "NULL AS unit_count", country, "unit_count is None"),
            ("unit_count", "0.5 AS unit_count", quarter, "unit_count is 0.5"),
            (
                "    segment,",
                "    NULLIF(segment, 'IE') AS segment,",
                country,
                "segment is None",
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

    def test_of_a_query_that_only_looks_like_one_with_ctes_is_refused(self) -> None:
        path = self.folder / "mine.sql"
        for sql in ("AS (SELECT 1)", ") AS (", "WITH a AS (SELECT", "((((", "'", "/*"):
            with self.subTest(sql):
                path.write_text(sql, encoding="utf-8")
                self.assert_refused(str(path), arguments=["--query", path])


class TheChain(OptionsCase):
    """Is run again with the options that the result names."""

    OPTIONS = (
        "--by",
        "channel",
        "--cohort",
        "quarter",
        "--as-of",
        "2025-10-10",
        "--valid-status",
        "delivered,paid,returned",
    )

    path: Path
    results: Path

    @classmethod
    def setUpClass(cls) -> None:
        """Query the sample shop with options."""
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.path, cls.results = sample_shop() / "shop.db", Path(temporary.name)
        result = call(
            run_query.main, "--database", cls.path, "--out-dir", cls.results, *cls.OPTIONS
        )
        if (result.status, result.stderr) != (0, ""):
            raise AssertionError(result)

    def setUp(self) -> None:
        """Copy the results."""
        super().setUp()
        shutil.copytree(self.results, self.out_dir)

    def find_faults(self) -> dict[str, str]:
        """Return the links that do not hold."""
        links = verify_result(self.path, self.out_dir)
        return {link.name: link.fault for link in links if link.fault}

    def change(self, name: str, old: str, new: str) -> None:
        """Replace a text of a result, once."""
        text = self.read(name).decode("utf-8")
        self.assertIn(old, text)
        changed = text.replace(old, new, 1).encode("utf-8")
        (self.out_dir / name).write_bytes(changed)

    def test_holds_for_a_result_with_options(self) -> None:
        document = json.loads(self.read("query_result.json"))
        self.assertEqual(
            read_options(document),
            Options("quarter", "channel", "2025-10-10", ("delivered", "paid", "returned")),
        )
        self.assertEqual(self.find_faults(), {})

    def test_finds_a_changed_cell(self) -> None:
        header, first, *_ = self.read("query_result.csv").decode("utf-8").split("\n")
        cells = first.split(",")
        at = header.split(",").index("net_cents")
        cells[at] = str(int(cells[at]) + 1)
        self.change("query_result.csv", first, ",".join(cells))
        faults = self.find_faults()
        self.assertEqual(list(faults), ["database -> query_result.csv"])
        self.assertIn("line 2 is", faults["database -> query_result.csv"])

    def test_finds_a_changed_option(self) -> None:
        for old, new in (
            ('"cohort": "quarter"', '"cohort": "month"'),
            ('"by": "channel"', '"by": null'),
            ('"by": "channel"', '"by": "city"'),
            ('"as_of": "2025-10-10"', '"as_of": "2025-10-09"'),
            ('"as_of": "2025-10-10"', '"as_of": "2035-10-10"'),
            ('"delivered"', '"shipped"'),
            ('"delivered"', '"delivred"'),
            ('"options"', '"option"'),
        ):
            with self.subTest(new):
                before = self.read("query_result.json")
                self.change("query_result.json", old, new)
                self.assertNotEqual(self.find_faults(), {})
                (self.out_dir / "query_result.json").write_bytes(before)

    def test_takes_no_option_from_a_document_that_is_none(self) -> None:
        for document in (
            {},
            {"options": None},
            {"options": ["quarter"]},
            {"options": {"cohort": ["quarter"], "by": {}, "as_of": 5, "valid_statuses": 1}},
            {"options": {"cohort": "week", "by": "x'; --", "as_of": "2024-02-30'"}},
            {"options": {"valid_statuses": [1, None]}},
        ):
            with self.subTest(document):
                self.assertEqual(read_options(document), Options())

    def test_is_walked_by_the_loaders_command(self) -> None:
        self.copy_sample()
        for name in ("shop.db", "report.json", "report.md"):
            (self.folder / name).write_bytes((sample_shop() / name).read_bytes())
        for name in ("query_result.csv", "query_result.json"):
            (self.folder / name).write_bytes(self.read(name))
        arguments = (
            "--verify",
            "--data-dir",
            self.folder,
            "--database",
            self.database,
            "--out-dir",
            self.folder,
        )
        result = call(ingest.main, *arguments)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        self.edit_line("query_result.csv", 3, lambda line: line[:-1] + "7")
        result = call(ingest.main, *arguments)
        self.assertEqual(result.status, 1)
        self.assertIn("line 3 is", result.stdout + result.stderr)


class TheTerminal(OptionsCase):
    """Gets colour if it is one, and a table as wide as it is."""

    ESCAPE = re.compile("\x1b\\[[0-9;]*m")

    def print_to(self, stream: io.StringIO, **environment: str) -> str:
        """Run the script on *stream*; return what it wrote there."""
        variables = {"TERM": "xterm-256color", "NO_COLOR": "", "COLUMNS": "80"}
        with (
            mock.patch.dict(os.environ, variables | environment),
            mock.patch.object(sys, "stdout", stream),
        ):
            status = run_query.main(
                ["--database", str(self.database), "--out-dir", str(self.out_dir)]
            )
        self.assertEqual(status, 0)
        return stream.getvalue()

    def test_has_colour_only_if_it_wants_it(self) -> None:
        skip_on_windows("a console of Windows gets no colour")
        create_shop(self.database)
        plain = self.print_to(io.StringIO())
        self.assertNotIn("\x1b", plain)
        shaded = self.print_to(Terminal())
        self.assertIn("\x1b[48;5;", shaded)
        self.assertEqual(self.ESCAPE.sub("", shaded), plain)
        for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            with self.subTest(variables):
                self.assertEqual(self.print_to(Terminal(), **variables), plain)

    def test_that_is_real_has_colour_and_a_pipe_none(self) -> None:
        skip_on_windows("Windows has no pseudo-terminal")
        import pty

        create_shop(self.database)
        command = [
            sys.executable,
            str(ROOT / "run_query.py"),
            "--database",
            str(self.database),
            "--out-dir",
            str(self.out_dir),
        ]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": ""}
        ours, theirs = pty.openpty()
        try:
            subprocess.run(command, stdout=theirs, env=environment, check=True)
            shown = os.read(ours, 1 << 16).decode("utf-8")
        finally:
            os.close(theirs)
            os.close(ours)
        self.assertIn("\x1b[48;5;", shown)
        piped = subprocess.run(
            command, capture_output=True, env=environment, check=True
        ).stdout.decode("utf-8")
        self.assertNotIn("\x1b", piped)
        self.assertEqual(self.ESCAPE.sub("", shown).split(), piped.split())

    def test_shows_a_triangle_that_fits(self) -> None:
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        for width in (40, 41, 60, 79, 80, 132, 200):
            for has_colour in (False, True):
                with self.subTest(width=width, has_colour=has_colour):
                    text = render_summary(document, width=width, has_colour=has_colour)
                    lines = self.ESCAPE.sub("", text).split("\n")
                    table = lines[find_line(lines, "cohort ") :]
                    self.assertLessEqual(max(map(len, table)), width)
                    # As many months as there is room for, of 24 and 5 columns each.
                    room = min(24, (width - len("cohort    size")) // 5)
                    self.assertEqual(len(table[0].split()), 2 + room)

    def test_shows_a_triangle_of_quarters_and_segments_too(self) -> None:
        database = sample_shop() / "shop.db"
        for grain, by in itertools.product(GRAINS, SEGMENTS):
            document = query.compute_result(database, options=Options(grain, by)).document
            with self.subTest(grain=grain, by=by):
                lines = render_summary(document, width=80).split("\n")
                at = find_line(lines, "cohort ")
                self.assertLessEqual(max(map(len, lines[at:])), 80)
                rows = lines[at + 1 : find_line(lines, "average ")]
                names = [row.split()[0] for row in rows]
                cohorts = [cohort["cohort"] for cohort in document["cohorts"]][-12:]
                self.assertEqual(names, cohorts)

    def test_shows_each_segment_on_a_line(self) -> None:
        create_shop(self.database)
        self.set_as_of("2024-04-30")
        lines = self.run_query("--by", "channel").stdout.split("\n")
        at = find_line(lines, "channel ")
        self.assertEqual(
            [line.split() for line in lines[at + 1 : at + 4]],
            [
                ["email", "1", "41.67", "-", "-", "-"],
                ["organic", "2", "95.01", "-", "-", "-"],
                [],
            ],
        )

    def test_says_what_was_left_out(self) -> None:
        create_shop(self.database)
        # Orders 7 and 8, order 4, order 6, user 4.
        text = " ".join(self.run_query("--as-of", "2024-03-10").stdout.split())
        self.assertIn(
            "Left out: 2 orders (after the as-of day), 1 order (status cancelled),"
            " 1 order (status pending), 1 user without a valid order.",
            text,
        )


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return that it is."""
        return True


class TheTextOfAQuery(unittest.TestCase):
    """Is taken apart as SQL, not as characters."""

    def test_has_its_bodies_between_comments_quotes_and_parentheses(self) -> None:
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

    def test_has_its_select_after_all_ctes(self) -> None:
        head = "WITH a AS (SELECT 1 AS x), b AS (SELECT 'SELECT' AS y) -- SELECT 5\n"
        self.assertEqual(
            replace_select(head + "SELECT * FROM a", "SELECT 2"), head + "SELECT 2"
        )
        self.assertEqual(
            replace_select("/* SELECT */ SELECT 1", "SELECT 2"), "/* SELECT */ SELECT 2"
        )

    def test_keeps_what_is_put_into_it_as_it_is(self) -> None:
        # No pattern: a backslash or a group is nothing special.
        body = r"SELECT '\1 \g<0> %s {}' AS x"
        changed = replace_body("WITH a AS (SELECT 1) SELECT x FROM a", "a", body)
        with closing(sqlite3.connect(":memory:")) as connection:
            self.assertEqual(connection.execute(changed).fetchall(), [(r"\1 \g<0> %s {}",)])

    def test_has_a_status_as_text_whatever_is_in_it(self) -> None:
        names = ("pai'd", "') UNION SELECT ('x", 'a"b', "-- c", "\\")
        sql = (
            "WITH valid_statuses AS (SELECT 'paid' AS status) SELECT * FROM valid_statuses"
        )
        composed = apply_options(sql, Options(valid_statuses=names), QUERY_PATH)
        with closing(sqlite3.connect(":memory:")) as connection:
            found = [status for (status,) in connection.execute(composed)]
        self.assertEqual(found, list(names))

    def test_without_the_cte_is_a_key_error(self) -> None:
        for sql in ("", "SELECT 1", "WITH two AS (SELECT 1) SELECT 1", "AS (SELECT 1)"):
            with self.subTest(sql), self.assertRaises(KeyError):
                replace_body(sql, "one", "SELECT 1")

    def test_of_every_query_of_ours_runs_when_each_cte_is_asked(self) -> None:
        with closing(sqlite3.connect(sample_shop() / "shop.db")) as connection:
            sql = QUERY_PATH.read_text(encoding="utf-8")
            names = re.findall(r"^(?:WITH )?(\w+) AS \($", sql, re.MULTILINE)
            self.assertEqual(list(find_parts(sql).bodies), names)
            for name in names:
                with self.subTest(name):
                    text = replace_select(sql, f"SELECT * FROM {name} LIMIT 1")
                    self.assertEqual(len(connection.execute(text).fetchall()), 1)


if __name__ == "__main__":
    unittest.main()
