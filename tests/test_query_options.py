"""The options of the cohort query: by hand and by an independent computation."""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist, fmean, median, stdev
from typing import Any

import ingest
import run_query
from queries import run_query as query
from queries.options import VALID_STATUSES, Options, read_options
from queries.output import render_csv
from queries.summary import render_result
from queries.verify_result import verify_result
from tests import recount
from tests.query_cases import GRAINS, SEGMENTS, OptionsCase, find_clv
from tests.recount import Customer, Value, name_columns
from tests.shop import (
    TANGLED_DAYS,
    Row,
    create_empty_shop,
    create_shop,
    create_tangled_shop,
    write_files,
)
from tests.support import (
    IN_CI,
    SMALL_SAMPLE,
    call,
    sample_shop,
)

# The figures that add up over the segments.
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


class IndependentComputation(OptionsCase):
    """Cells and CLV equal those of plain Python under every option."""

    def test_every_cell_of_generated_shops_equals_plain_python(self) -> None:
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

    def test_files_of_the_script_equal_those_of_the_recount(self) -> None:
        self.generate_shop(8, "2024-07-01", "2025-02-28")
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
                # The same with the recount as a command.
                options = ["--as-of", as_of, "--cohort", grain, "--valid-status"]
                options += [",".join(statuses), *(["--by", by] if by else [])]
                result = call(recount.main, self.folder, *options)
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertEqual(result.stdout, text)
                result = call(recount.main, self.folder, *options, "--values")
                self.assertEqual(len(result.stdout.splitlines()), 1 + len(customers))

    def test_cells_of_irregular_shops_equal_plain_python_under_every_combination(
        self,
    ) -> None:
        last = TANGLED_DAYS[-1]
        ways = (
            (None, None),
            (None, ("paid", "cancelled", "returned")),
            ("2024-03-31", None),
            ("2023-11-14", ("shipped", "delivered", "pending")),
        )
        for seed in (1, 2) if IN_CI else (1,):
            self.database.unlink(missing_ok=True)
            create_tangled_shop(self.database, seed=seed)
            write_files(self.database, self.folder)
            for as_of, statuses in ways if IN_CI else ways[::3]:
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

    def test_averages_without_the_first_cohort_equal_plain_python(self) -> None:
        self.generate_shop(11, "2024-05-02", "2025-03-20", users=100)
        day = date(2025, 3, 20)
        customers = recount.count_shop(self.folder, day, VALID_STATUSES)
        for grain, by in (("month", "channel"), ("quarter", None)):
            options = Options(grain, by, omits_first_cohort=True)
            with self.subTest(grain=grain, by=by):
                answer = query.compute_result(self.database, options=options)
                text = render_csv(answer.rows)
                self.assert_equal_to(customers, day, answer.document, text)
                # 3 months of at least the second cohort are complete.
                self.assertTrue(find_clv(answer.document["summary"], 3)["cents"])

    def assert_equal_to(
        self, customers: list[Customer], day: date, document: dict[str, Any], text: str
    ) -> None:
        """Fail unless *document* and CSV *text* are what *customers* did until *day*."""
        grain, by = document["options"]["cohort"], document["options"]["by"]
        cells = list(recount.count_cells(customers, day, grain, by))
        expected = [list(map(str, row)) for row in (name_columns(grain, by), *cells)]
        self.assertEqual(list(csv.reader(io.StringIO(text))), expected)
        of_all = list(recount.count_cells(customers, day, grain)) if by else cells
        columns = ("cohort", *name_columns(grain)[1:])
        found = [tuple(cell[name] for name in columns) for cell in document["cells"]]
        self.assertEqual(found, of_all)
        values = recount.list_values(customers, grain, by)
        omitted = None
        if document["options"]["omit_first_cohort"]:
            omitted = min(value.cohort for value in values)
        self.assert_values(values, day, document, omitted)
        for record in document.get("segments", []):
            name = record["segment"]
            self.assertEqual(
                [tuple(cell[n] for n in ("segment", *columns)) for cell in record["cells"]],
                [row for row in cells if row[0] == name],
            )
            mine = [value for value in values if value.segment == name]
            self.assert_values(mine, day, record, omitted)
        self.assertEqual(
            [record["segment"] for record in document.get("segments", [])],
            sorted({value.segment for value in values}) if by else [],
        )

    def assert_values(
        self,
        values: Sequence[Value],
        day: date,
        record: dict[str, Any],
        omitted: str | None,
    ) -> None:
        """Fail unless the CLV in *record* is that of the *values* of each customer.

        That of all cohorts is without the one of the name *omitted*.
        """
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
                self.assert_clv(nets, age, cohort)
                if nets and cohort["cohort"] != omitted:
                    cohort_counts[age] += 1
                    eligible[age] += nets
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
                # The JSON has two decimals.
                self.assertAlmostEqual(found, figure, delta=0.005_001)


class Quarters(OptionsCase):
    """Cohorts by quarter count each customer's own months."""

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

    # is_observed and is_complete: whether customers of March have begun, or completed, the
    # month.
    FLAGS = (
        ("2024-03-15", ["10", "00", "00"]),
        ("2024-03-31", ["11", "00", "00"]),
        ("2024-04-29", ["11", "10", "00"]),
        ("2024-04-30", ["11", "11", "00"]),
        ("2024-05-31", ["11", "11", "11"]),
    )

    def test_cells_by_quarter_equal_those_computed_by_hand(self) -> None:
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

    def test_ratio_is_null_until_all_customers_have_reached_the_month(self) -> None:
        create_shop(self.database)
        document = self.compute("quarter")
        self.assertEqual(
            [cell["retention"] for cell in document["cells"]], [1.0, None, None]
        )
        self.assertEqual(document["cohorts"][0]["last_months_since"], 0)
        self.assertEqual(document["average"], [])
        self.set_as_of("2024-05-31")
        document = self.compute("quarter")
        self.assertEqual(
            [cell["retention"] for cell in document["cells"]],
            [1.0, 0.333333, 0.333333, None, None],
        )

    def test_clv_is_null_until_the_last_month_has_that_age(self) -> None:
        # 16668 / 3, when a cohort of March would have completed June.
        create_shop(self.database)
        for as_of, expected in {"2024-06-29": None, "2024-06-30": 5556}.items():
            with self.subTest(as_of):
                self.set_as_of(as_of)
                (cohort,) = self.compute("quarter")["cohorts"]
                self.assertEqual(find_clv(cohort, 3)["cents"], expected)

    def test_customers_of_a_late_segment_stay_in_the_sum(self) -> None:
        # February's user is the only one from IE: that segment has no month 2 yet.
        create_shop(self.database)
        document = self.read_document("--cohort", "quarter", "--by", "country")
        sizes = [cell["cohort_size"] for cell in document["cells"]]
        self.assertEqual(sizes, [3, 3, 3])
        nets = [cell["cum_net_cents"] for cell in document["cells"]]
        self.assertEqual(nets, [11500, 11279, 16668])
        ages = {record["segment"]: len(record["cells"]) for record in document["segments"]}
        self.assertEqual(ages, {"GB": 3, "IE": 2, "SE": 3})

    def test_shop_without_orders_gives_the_header(self) -> None:
        create_empty_shop(self.database)
        for by in SEGMENTS:
            with self.subTest(by):
                arguments = ["--by", by] if by else []
                self.read_document("--cohort", "quarter", *arguments)
                expected = ",".join(name_columns("quarter", by)) + "\n"
                self.assertEqual(self.read("query_result.csv").decode("utf-8"), expected)


class Categories(OptionsCase):
    """The category of a customer has the largest amount in the first valid order."""

    # Teapot 1 and mug 2 have the category kitchen, lamp 3 and rug 4 home.
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
        """Return the number of customers in each category."""
        document = self.read_document("--by", "category", *arguments)
        return {
            record["segment"]: record["summary"]["customer_count"]
            for record in document["segments"]
        }

    def test_category_equals_the_one_computed_by_hand(self) -> None:
        # User 1 home, user 2 none, user 3 kitchen, user 4 kitchen.
        self.assertEqual(self.customers(), {"home": 1, "kitchen": 2, "none": 1})

    def test_category_equals_that_of_plain_python(self) -> None:
        write_files(self.database, self.folder)
        customers = recount.count_shop(self.folder, date(2024, 1, 31))
        found = Counter(customer.segments["category"] for customer in customers)
        self.assertEqual(found, self.customers())

    def test_category_depends_on_the_valid_orders(self) -> None:
        # With cancelled orders, order 5 is user 4's first one.
        self.assertEqual(
            self.customers("--valid-status", "paid,cancelled"),
            {"home": 2, "kitchen": 1, "none": 1},
        )
        self.assertEqual(self.customers("--valid-status", "cancelled"), {"home": 1})

    def test_category_does_not_change_with_a_later_order(self) -> None:
        self.assertEqual(
            self.customers("--as-of", "2024-01-11"), {"home": 1, "kitchen": 2, "none": 1}
        )


class EarlierDay(OptionsCase):
    """An earlier as-of day gives the result of that day."""

    def test_earlier_month_removes_one_diagonal_and_changes_no_complete_cell(self) -> None:
        for seed in (5, 6) if IN_CI else (5,):
            self.generate_shop(seed, "2023-12-10", "2024-06-30", users=120)
            for by in SEGMENTS if IN_CI else (None, "category"):
                cells = {
                    as_of: {
                        (
                            cell.get("segment"),
                            cell["cohort"],
                            cell["months_since"],
                        ): cell
                        for cell in list_cells(self.compute(by=by, as_of=as_of))
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
        """Fail unless one diagonal is between the cells of the two days."""
        gone = [new[key] for key in new.keys() - old.keys()]
        self.assertEqual(old.keys() - new.keys(), set())
        # The diagonal is the last month of every cohort.  A cohort whose first order is
        # after the earlier day is missing from the older cells.
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

    def test_month_of_the_earlier_day_is_incomplete(self) -> None:
        create_shop(self.database)
        for as_of, is_complete in {
            "2024-02-28": 0,
            "2024-02-29": 1,
            "2024-03-14": 1,
        }.items():
            with self.subTest(as_of):
                cells = self.compute(as_of=as_of)["cells"]
                flags = {cell["period_month"]: cell["is_complete"] for cell in cells}
                self.assertEqual(flags["2024-01"], 1)
                self.assertEqual(flags["2024-02"], is_complete)
                self.assertEqual(flags.get("2024-03", 0), 0)

    def test_later_orders_and_refunds_do_not_count(self) -> None:
        # On 19 February: without order 5, and without the 388 and 611 of order 3.
        create_shop(self.database)
        cells = self.compute(as_of="2024-02-19")["cells"]
        self.assertEqual(
            [(cell["cohort"], cell["months_since"], cell["net_cents"]) for cell in cells],
            [("2024-01", 0, 8500), ("2024-01", 1, 1000 - 833)],
        )

    def test_refund_dated_before_its_order_counts_with_the_order(self) -> None:
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
                cells = self.compute(as_of=as_of)["cells"]
                self.assertEqual([cell["refund_cents"] for cell in cells], expected)

    def test_day_before_the_first_order_has_no_cell(self) -> None:
        create_shop(self.database)
        for grain, by in itertools.product(GRAINS, SEGMENTS):
            with self.subTest(grain=grain, by=by):
                document = self.compute(grain, by, "2023-12-31")
                self.assertEqual((document["cells"], document["cohorts"]), ([], []))
                (excluded,) = document["reconciliation"]["excluded_orders"]
                self.assertEqual(excluded["reason"], "after the as-of day")
                self.assertEqual(excluded["order_count"], 8)

    def test_as_of_day_is_in_the_document_and_on_the_terminal(self) -> None:
        create_shop(self.database)
        result = self.run_query("--as-of", "2024-02-29")
        self.assertTrue(result.stdout.startswith("As of 2024-02-29: 3 customers"))
        document = json.loads(self.read("query_result.json"))
        self.assertEqual(document["as_of"], "2024-02-29")
        self.assertEqual(document["options"]["as_of"], "2024-02-29")


class Segments(OptionsCase):
    """Each customer is in one segment, and the segments add up."""

    def test_cells_of_the_segments_add_up_to_the_cells_of_all(self) -> None:
        self.generate_shop(11, "2023-08-20", "2024-02-29")
        for grain in GRAINS:
            plain = self.compute(grain)
            for by in SEGMENTS[1:]:
                with self.subTest(grain=grain, by=by):
                    document = self.compute(grain, by)
                    for name in ("cohorts", "cells", "average", "summary"):
                        self.assertEqual(document[name], plain[name], name)
                    self.assertGreater(len(document["segments"]), 1)
                    self.assert_sum(document)

    def assert_sum(self, document: dict[str, Any]) -> None:
        """Fail unless the cells of all segments add up to those of all customers."""
        sums: dict[tuple[str, int], Counter[str]] = {}
        for cell in list_cells(document):
            cohort = cell["cohort"]
            added = sums.setdefault((cohort, cell["months_since"]), Counter())
            added.update({name: cell[name] for name in ADDED})
        for cell in document["cells"]:
            cohort = cell["cohort"]
            # A segment may have no cell in a month that not all customers have reached.
            names = ADDED if cell["is_observed"] else ("net_cents", "order_count")
            added = sums[cohort, cell["months_since"]]
            self.assertEqual(
                {name: added[name] for name in names}, {name: cell[name] for name in names}
            )

    def test_segments_contain_all_buyers(self) -> None:
        self.generate_shop(12, "2023-10-01", "2024-02-29")
        ((buyers,),) = self.query(
            "SELECT COUNT(DISTINCT user_id) FROM orders"
            " WHERE status NOT IN ('pending', 'cancelled')"
        )
        for by in SEGMENTS[1:]:
            with self.subTest(by):
                segments = self.compute(by=by)["segments"]
                sizes = [
                    sum(cohort["cohort_size"] for cohort in record["cohorts"])
                    for record in segments
                ]
                self.assertEqual(sum(sizes), buyers)
                counts = [record["summary"]["customer_count"] for record in segments]
                self.assertEqual(sizes, counts)

    def test_segments_of_the_small_shop_equal_those_computed_by_hand(self) -> None:
        # Users 1 and 3 have the channel organic, user 2 e-mail; user 4 has no order.
        create_shop(self.database)
        self.read_document("--by", "channel")
        text = self.read("query_result.csv").decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text))
        self.assertEqual(tuple(header), ("segment", *recount.COLUMNS))
        selected = [
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
            selected,
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

    def test_clv_of_a_segment_is_of_cohorts_old_enough(self) -> None:
        create_shop(self.database)
        self.set_as_of("2024-04-30")
        document = self.compute(by="channel")
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
    """Return the cells of all segments, or those of all customers if there are none."""
    if not document["options"]["by"]:
        cells: Cells = document["cells"]
        return cells
    return [cell for record in document["segments"] for cell in record["cells"]]


class CustomerValues(OptionsCase):
    """The value of a customer at an age ends with the month of that age."""

    def test_clv_at_3_6_12_and_24_months_equals_the_one_computed_by_hand(self) -> None:
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
            document = self.compute(by=by)
            for age, cents in first.items():
                with self.subTest(by=by, months=age):
                    (cohort,) = document["cohorts"]
                    mean = (cents + 8) / 2
                    self.assertEqual(find_clv(cohort, age)["cents"], mean)
                    self.assertEqual(find_clv(cohort, age)["median_cents"], mean)
                    # The standard error of two values is half of their difference.
                    reach = 1.959964 * abs(cents - 8) / 2
                    for name, end in (("low", mean - reach), ("high", mean + reach)):
                        found = find_clv(cohort, age)[f"{name}_cents"]
                        self.assertAlmostEqual(found, end, delta=0.006)
        segments = {
            record["segment"]: record["cohorts"][0] for record in document["segments"]
        }
        for age, cents in first.items():
            # Each segment has one customer, so there is no interval.
            self.assertEqual(find_clv(segments["organic"], age)["median_cents"], cents)
            self.assertEqual(find_clv(segments["email"], age)["median_cents"], 8)
            self.assertIsNone(find_clv(segments["email"], age)["low_cents"])


class Averages(OptionsCase):
    """Averages are of complete cells only, weighted by customers."""

    def test_averages_are_sums_divided_by_sums(self) -> None:
        self.generate_shop(21, "2023-08-20", "2024-02-15")
        for grain, by in itertools.product(GRAINS, (None, "channel")):
            document = self.compute(grain, by)
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
        chained = Fraction(0)
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
            chained += Fraction(sum(cell["net_cents"] for cell in cells), customers)
            self.assertAlmostEqual(
                average["chained_net_per_customer_cents"], float(chained), delta=0.005_001
            )
            self.assertAlmostEqual(
                average["retention"], float(Fraction(active, customers)), delta=5.1e-7
            )


class OmittedFirstCohort(OptionsCase):
    """`--omit-first-cohort` changes the averages only."""

    def setUp(self) -> None:
        """Load the small shop, with two customers of January and one of February."""
        super().setUp()
        create_shop(self.database, as_of="2024-05-31")

    def test_averages_are_those_of_the_other_cohort(self) -> None:
        document = self.read_document("--omit-first-cohort")
        february = [cell for cell in document["cells"] if cell["cohort"] == "2024-02"]
        self.assertEqual(len(february), 4)
        for average, cell in zip(document["average"], february, strict=True):
            self.assertEqual((average["cohort_count"], average["customer_count"]), (1, 1))
            for name in ("retention", "aov_cents", "cum_net_per_customer_cents"):
                self.assertEqual(average[name], cell[name])
        # User 3 spent 3000.
        clv = find_clv(document["summary"], 3)
        self.assertEqual((clv["cents"], clv["median_cents"]), (3000, 3000))
        self.assertEqual(clv["cohort_count"], 1)

    def test_cells_cohorts_and_counts_stay(self) -> None:
        document = self.read_document()
        table = self.read("query_result.csv")
        found = self.read_document("--omit-first-cohort")
        self.assertEqual(self.read("query_result.csv"), table)
        for name in ("cohorts", "cells", "reconciliation"):
            self.assertEqual(found[name], document[name])
        for name in ("cohort_count", "customer_count", "large_first_cohort"):
            self.assertEqual(found["summary"][name], document["summary"][name])

    def test_first_cohort_is_that_of_all_segments(self) -> None:
        # Users 1 and 2 are from GB and SE, user 3, of February, is from IE.
        document = self.read_document("--omit-first-cohort", "--by", "country")
        counts = {
            record["segment"]: find_clv(record["summary"], 3)["cohort_count"]
            for record in document["segments"]
        }
        self.assertEqual(counts, {"GB": 0, "IE": 1, "SE": 0})

    def test_only_cohort_leaves_no_average(self) -> None:
        document = self.read_document("--omit-first-cohort", "--cohort", "quarter")
        self.assertEqual(document["average"], [])
        self.assertEqual(document["summary"]["cohort_count"], 1)

    def test_shop_without_orders_has_no_first_cohort(self) -> None:
        self.database.unlink()
        create_empty_shop(self.database)
        self.assertEqual(self.read_document("--omit-first-cohort")["cohorts"], [])

    def test_terminal_states_which_cohort_the_averages_omit(self) -> None:
        note = "The averages omit the first cohort, 2024-01."
        self.assertIn(note, self.run_query("--omit-first-cohort").stdout)
        self.assertNotIn("omit", self.run_query().stdout)

    def test_terminal_states_whether_a_large_first_cohort_counts(self) -> None:
        document = self.read_document()
        document["summary"]["large_first_cohort"] = {
            "cohort": "2024-01",
            "cohort_size": 1982,
            "median_of_later": 30,
        }
        for is_omitted, words in (
            (False, "it counts in the averages (--omit-first-cohort omits it)."),
            (True, "and the averages omit it."),
        ):
            document["options"]["omit_first_cohort"] = is_omitted
            text = " ".join(render_result(document, width=80).split())
            self.assertIn("has 1,982 customers, the median of the later ones is 30", text)
            self.assertIn(words, text)


class Reconciliation(OptionsCase):
    """Every order and every cent is accounted for."""

    def excluded(self, *arguments: object) -> list[tuple[str, int, int]]:
        """Return each reason, with its orders and cents."""
        document = self.read_document(*arguments)
        return [
            (record["reason"], record["order_count"], record["total_cents"])
            for record in document["reconciliation"]["excluded_orders"]
        ]

    def test_excluded_orders_are_counted_by_reason(self) -> None:
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

    def test_users_without_a_valid_order_are_counted(self) -> None:
        create_shop(self.database)
        # User 4 has no valid order; only user 1 has one that is shipped or delivered.
        for arguments, expected in (
            ([], 1),
            (["--as-of", "2024-03-01"], 1),
            (["--valid-status", "shipped,delivered"], 3),
        ):
            with self.subTest(arguments):
                reconciliation = self.read_document(*arguments)["reconciliation"]
                self.assertEqual(reconciliation["users_without_valid_order"], expected)
                self.assertEqual(reconciliation["user_count"], 4)

    def test_valid_and_excluded_orders_are_all_orders(self) -> None:
        for seed in (1, 2, 3):
            self.database.unlink(missing_ok=True)
            create_tangled_shop(self.database, seed=seed)
            ((count,),) = self.query("SELECT COUNT(*) FROM orders")
            for as_of in (None, "2024-02-29"):
                with self.subTest(seed=seed, as_of=as_of):
                    document = self.compute(as_of=as_of)
                    valid = sum(cell["order_count"] for cell in document["cells"])
                    excluded = document["reconciliation"]["excluded_orders"]
                    left_out = sum(record["order_count"] for record in excluded)
                    self.assertEqual(valid + left_out, count)

    def test_both_sides_of_every_sum_are_in_the_document(self) -> None:
        create_shop(self.database)
        sums = self.compute()["reconciliation"]["sums"]
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

    def test_refunds_by_both_months_have_the_same_total(self) -> None:
        create_shop(self.database)
        found = [
            tuple(record.values())
            for record in self.compute()["reconciliation"]["refunds_by_month"]
        ]
        # Order 2 is of January: 833.  Order 3 is of February: 388 + 611.
        self.assertEqual(
            found, [("2024-01", 0, 833), ("2024-02", 1221, 999), ("2024-03", 611, 0)]
        )

    def test_refunds_equal_those_summed_by_sql(self) -> None:
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
                    document = self.compute(as_of=as_of)
                    refunds = document["reconciliation"]["refunds_by_month"]
                    months = [record["month"] for record in refunds]
                    self.assertEqual(months, sorted({*paid_out, *of_orders}))
                    for name, sums in (
                        ("paid_out_cents", paid_out),
                        ("of_orders_cents", of_orders),
                    ):
                        self.assertEqual(
                            [record[name] for record in refunds], [sums[m] for m in months]
                        )
                    refund_cents = sum(cell["refund_cents"] for cell in document["cells"])
                    self.assertEqual(paid_out.total(), of_orders.total())
                    self.assertEqual(paid_out.total(), refund_cents)


class Verification(OptionsCase):
    """`--verify` runs the query with the options in the result."""

    OPTIONS = (
        "--by",
        "channel",
        "--cohort",
        "quarter",
        "--as-of",
        "2025-10-10",
        "--valid-status",
        "delivered,paid,returned",
        "--no-forecast",
        "--omit-first-cohort",
    )

    shop: Path
    results: Path

    @classmethod
    def setUpClass(cls) -> None:
        """Query the sample shop with options."""
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.shop, cls.results = sample_shop(*SMALL_SAMPLE), Path(temporary.name)
        result = call(
            run_query.main,
            "--database",
            cls.shop / "shop.db",
            "--out-dir",
            cls.results,
            *cls.OPTIONS,
        )
        if (result.status, result.stderr) != (0, ""):
            raise AssertionError(result)

    def setUp(self) -> None:
        """Copy the results."""
        super().setUp()
        shutil.copytree(self.results, self.out_dir)

    def find_faults(self) -> dict[str, str]:
        """Return the faults that the verification finds."""
        links = verify_result(self.shop / "shop.db", self.out_dir)
        return {link.name: link.fault for link in links if link.fault}

    def change(self, name: str, old: str, new: str) -> None:
        """Replace the first *old* in the result *name*."""
        text = self.read(name).decode("utf-8")
        self.assertIn(old, text)
        changed = text.replace(old, new, 1).encode("utf-8")
        (self.out_dir / name).write_bytes(changed)

    def test_result_with_options_is_verified(self) -> None:
        document = json.loads(self.read("query_result.json"))
        self.assertEqual(
            read_options(document),
            Options(
                "quarter",
                "channel",
                "2025-10-10",
                ("delivered", "paid", "returned"),
                omits_first_cohort=True,
            ),
        )
        self.assertEqual(self.find_faults(), {})

    def test_changed_cell_is_found(self) -> None:
        header, first, *_ = self.read("query_result.csv").decode("utf-8").split("\n")
        cells = first.split(",")
        at = header.split(",").index("net_cents")
        cells[at] = str(int(cells[at]) + 1)
        self.change("query_result.csv", first, ",".join(cells))
        faults = self.find_faults()
        self.assertEqual(list(faults), ["database -> query_result.csv"])
        self.assertIn("line 2 is", faults["database -> query_result.csv"])

    def test_changed_option_is_found(self) -> None:
        for old, new in (
            ('"cohort": "quarter"', '"cohort": "month"'),
            ('"by": "channel"', '"by": null'),
            ('"by": "channel"', '"by": "city"'),
            ('"as_of": "2025-10-10"', '"as_of": "2025-10-09"'),
            ('"as_of": "2025-10-10"', '"as_of": "2035-10-10"'),
            ('"delivered"', '"shipped"'),
            ('"delivered"', '"delivred"'),
            ('"omit_first_cohort": true', '"omit_first_cohort": false'),
            ('"options"', '"option"'),
        ):
            with self.subTest(new):
                before = self.read("query_result.json")
                self.change("query_result.json", old, new)
                self.assertNotEqual(self.find_faults(), {})
                (self.out_dir / "query_result.json").write_bytes(before)

    def test_invalid_options_become_the_defaults(self) -> None:
        for document in (
            {},
            {"options": None},
            {"options": ["quarter"]},
            {"options": {"cohort": ["quarter"], "by": {}, "as_of": 5, "valid_statuses": 1}},
            {"options": {"cohort": "week", "by": "x'; --", "as_of": "2024-02-30'"}},
            {"options": {"as_of": "1800-01-01"}},
            {"options": {"valid_statuses": [1, None]}},
            {"options": {"omit_first_cohort": 1}},
            {"options": {"valid_statuses": ["paid"] * 10_000}},
            {"options": {"valid_statuses": ["x" * 100_000]}},
        ):
            with self.subTest(document):
                self.assertEqual(read_options(document), Options())

    def test_verify_of_the_loader_includes_the_query_result(self) -> None:
        for folder in (self.shop, self.results):
            shutil.copytree(folder, self.folder, dirs_exist_ok=True)
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
