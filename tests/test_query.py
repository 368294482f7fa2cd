"""The figures of the cohort query: computed by hand and by independent computations."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import unittest
from array import array
from collections import Counter
from datetime import date, timedelta
from typing import Any, ClassVar
from unittest import mock

from queries import query_file
from queries.customer_values import (
    ALL_COHORTS,
    MeasuredSpreads,
    SpreadKey,
    measure_spreads,
)
from queries.query_file import QUERY_PATH
from queries.uncertainty import describe_spread
from tests.query_cases import NAMES, QueryCase, find_clv
from tests.recount import COLUMNS, recount_cohorts
from tests.shop import Row, create_shop
from tests.support import IN_CI, sample_shop
from utils.ratios import ratio

# The cells of the shop in tests/shop.py, computed by hand from its rows.  The cohort of
# January is users 1 and 2, that of February user 3.  Unit costs: teapot 1200, mug 400, lamp
# 3000.  User 2's cancelled order 4 and user 3's pending order 6 do not count.
#
#   2024-01, 0: orders 1 and 2.  Cost 1 x 1200 + 2 x 400 + 1 x 3000 = 5000.
#   2024-01, 1: order 3, user 1's second.  Refunds 833 (order 2) + 388 (order 3).
#   2024-01, 2: order 7.  Refund 611 (order 3).  Cost 1200 + 3000.  March is incomplete.
#   2024-02, 0: order 5, whose first charge failed and which was then paid in two parts.
#   2024-02, 1: no event.
#
#   cohort, months since, month, size, active, repeat, orders, units,
#       gross, discount, refund, net, cost, margin, net so far, margin so far, observed,
#       complete
CELLS_BY_HAND: list[Row] = [
    tuple(int(cell) if cell.lstrip("-").isdigit() else cell for cell in line.split())
    for line in """
        2024-01 0 2024-01 2 2 0 2 4 9000 500 0 8500 5000 3500 8500 3500 1 1
        2024-01 1 2024-02 2 1 1 1 1 1000 0 1221 -221 400 -621 8279 2879 1 1
        2024-01 2 2024-03 2 1 1 1 2 7000 1000 611 5389 4200 1189 13668 4068 1 0
        2024-02 0 2024-02 1 1 0 1 3 3000 0 0 3000 1200 1800 3000 1800 1 1
        2024-02 1 2024-03 1 0 0 0 0 0 0 0 0 0 0 3000 1800 1 0
    """.strip().splitlines()
]


RATIOS = (
    "retention",
    "retention_low",
    "retention_high",
    "aov_cents",
    "net_per_customer_cents",
    "cum_net_per_customer_cents",
    "cum_margin_per_customer_cents",
)


# Wilson's interval with z = 1.959964, z * z = 3.841459.  For n of n customers it starts at
# n / (n + z * z), for 0 of n it ends at z * z / (n + z * z), and for half of them it is
# 0.5 ± z / (2 * the root of (n + z * z)).
ALL_OF_1, ALL_OF_2, ALL_OF_3 = (0.206549, 1), (0.34238, 1), (0.438503, 1)


NONE_OF_1 = (0, 0.793451)


HALF_OF_2 = (0.094531, 0.905469)


class Cells(QueryCase):
    """Every cell is the one computed by hand."""

    def test_cells_of_the_small_shop_equal_those_computed_by_hand(self) -> None:
        create_shop(self.database)
        found = [tuple(cell[name] for name in NAMES) for cell in self.cells()]
        self.assertEqual(found, CELLS_BY_HAND)

    def test_csv_has_the_same_integers(self) -> None:
        create_shop(self.database)
        self.read_document()
        lines = [",".join(map(str, row)) for row in (COLUMNS, *CELLS_BY_HAND)]
        expected = "\n".join(lines) + "\n"
        self.assertEqual(self.read("query_result.csv").decode("utf-8"), expected)

    def test_order_with_several_items_and_payments_counts_once(self) -> None:
        # A direct join, 2 items x 3 payments, would turn 3,000 cents into 9,000.
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

    def test_order_without_items_counts(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "paid", 0), as_of="2024-01-31", order_items=[]
        )
        (cell,) = self.cells()
        self.assertEqual((cell["cohort_size"], cell["order_count"]), (1, 1))
        self.assertEqual((cell["unit_count"], cell["gross_cents"]), (0, 0))

    def test_cancelled_or_unpaid_order_does_not_set_the_cohort(self) -> None:
        for status in ("cancelled", "pending"):
            with self.subTest(status):
                self.create_orders(
                    (1, 1, "2024-01-10", status, 1000),
                    (2, 1, "2024-03-10", "paid", 1000),
                    as_of="2024-04-30",
                )
                months = [(c["cohort"], c["period_month"]) for c in self.cells()]
                self.assertEqual(months, [("2024-03", "2024-03"), ("2024-03", "2024-04")])

    def test_month_without_orders_is_zero_and_keeps_the_running_sum(self) -> None:
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

    def test_month_without_new_customers_has_no_cohort(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "paid", 1000),
            (2, 2, "2024-03-10", "paid", 1000),
            as_of="2024-03-31",
        )
        self.assertEqual({c["cohort"] for c in self.cells()}, {"2024-01", "2024-03"})

    def test_repeat_customers_are_those_with_a_second_order_so_far(self) -> None:
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

    def test_cohort_has_a_cell_for_every_month_of_many_years(self) -> None:
        self.create_orders((1, 1, "1900-12-31", "paid", 1000), as_of="2024-01-01")
        cells = self.cells()
        self.assertEqual(len(cells), (2024 - 1901) * 12 + 2)
        self.assertEqual(
            (cells[0]["period_month"], cells[-1]["period_month"]), ("1900-12", "2024-01")
        )


class Refunds(QueryCase):
    """A refund subtracts the share of goods in the month in which it was paid."""

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

    def test_refund_counts_in_the_month_of_payment(self) -> None:
        self.assertEqual(self.refund_months((1800, "2024-02-01")), [0, 1000, 0])

    def test_each_of_two_refunds_is_rounded_down(self) -> None:
        # 700 x 1000 / 1800 = 388.9 and 1100 x 1000 / 1800 = 611.1: together 999.
        refunds = self.refund_months((700, "2024-02-20"), (1100, "2024-02-21"))
        self.assertEqual(refunds, [0, 388 + 611, 0])

    def test_refunds_of_two_months_count_in_their_months(self) -> None:
        refunds = self.refund_months((700, "2024-02-29"), (1100, "2024-03-01"))
        self.assertEqual(refunds, [0, 388, 611])

    def test_failed_refund_does_not_count(self) -> None:
        refunds = self.refund_months((1800, "2024-02-01"), status="failed")
        self.assertEqual(refunds, [0, 0, 0])

    def test_refund_dated_before_its_order_counts_with_the_order(self) -> None:
        self.assertEqual(self.refund_months((1800, "2023-12-01")), [1000, 0, 0])

    def test_refund_does_not_make_its_customer_active(self) -> None:
        self.refund_months((1800, "2024-02-01"))
        self.assertEqual([cell["active_customers"] for cell in self.cells()], [1, 0, 0])

    def test_refund_of_a_free_order_is_zero(self) -> None:
        self.create_orders(
            (1, 1, "2024-01-10", "returned", 0),
            as_of="2024-01-31",
            payments=[(1, 1, "refund", "card", "succeeded", 0, "2024-01-11T00:00:00Z")],
        )
        self.assertEqual([cell["refund_cents"] for cell in self.cells()], [0])


class LastMonth(QueryCase):
    """The last month is complete if the as-of day is its last day."""

    def test_month_is_complete_only_on_its_last_day(self) -> None:
        for year in (2023, 2024, 2000, 1900) if IN_CI else (2024, 1900):
            self.create_orders((1, 1, f"{year}-01-01", "paid", 1000), as_of=f"{year}-12-31")
            for month in range(1, 13):
                next_month = date(year + month // 12, month % 12 + 1, 1)
                for days_before, is_complete in ((1, 1), (2, 0)):
                    as_of = str(next_month - timedelta(days=days_before))
                    with self.subTest(as_of):
                        self.assertEqual(self.last_cells(as_of), [1, is_complete][-month:])

    def last_cells(self, as_of: str) -> list[int]:
        """Return `is_complete` of the last two months, from the SQL alone."""
        self.set_as_of(as_of)
        sql = QUERY_PATH.read_text(encoding="utf-8")
        return [row[-1] for row in self.query(sql)][-2:]

    def test_clv_is_null_until_its_month_is_complete(self) -> None:
        # There are no later events: January's cohort stays at 13668 / 2 customers.
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
                # Two customers with 9501 and 4167: the median equals the mean.
                medians = [
                    find_clv(cohort, months)["median_cents"] for months in (3, 6, 12, 24)
                ]
                self.assertEqual(medians, list(expected))


class Ratios(QueryCase):
    """Ratios are exact quotients, rounded once, and null without a divisor."""

    def setUp(self) -> None:
        """Query the small shop."""
        super().setUp()
        create_shop(self.database)
        self.document = self.read_document()

    def test_ratios_of_cells_equal_those_computed_by_hand(self) -> None:
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

    def test_average_weighs_customers_of_complete_cells_only(self) -> None:
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
                    "chained_net_per_customer_cents": 3833.33,
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
                    "chained_net_per_customer_cents": 3722.83,  # 11500 / 3 - 221 / 2
                },
            ],
        )

    def test_summary_counts_the_cohorts_of_each_clv(self) -> None:
        # At the end of May both cohorts have completed month 3: 16668 / 3.  The net of
        # user 1 is 3500 + 1 + 6000, of user 2 4167 and of user 3 3000.  Their
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
                "large_first_cohort": None,
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

    def test_ratio_of_any_size_is_the_nearest_decimal(self) -> None:
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


class IndependentComputation(QueryCase):
    """Cells equal those of plain Python from the CSV files; sums, those of the report."""

    def test_cells_of_generated_shops_equal_those_of_plain_python(self) -> None:
        shops = (
            (7, "2023-12-15", "2024-02-28"),
            (42, "2023-02-01", "2024-02-29"),
            (2**64 - 1, "2022-11-30", "2025-01-15"),
        )
        for seed, start, end in shops if IN_CI else shops[:2]:
            with self.subTest(seed=seed):
                self.generate(
                    "--seed", seed, "--users", 200, "--start", start, "--end", end
                )
                self.assertEqual(self.ingest().status, 0)
                found = [tuple(cell[name] for name in NAMES) for cell in self.cells()]
                self.assertEqual(
                    found, recount_cohorts(self.folder, date.fromisoformat(end))
                )

    def test_sums_of_every_month_equal_those_of_the_report(self) -> None:
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
        reported = {
            row["month"]: row for row in report["trends"]["revenue_by_month"]["rows"]
        }
        self.assertEqual(list(months), sorted(months))
        for month, sums in months.items():
            with self.subTest(month):
                self.assertEqual({name: reported[month][name] for name in sums}, dict(sums))
        kpis = report["kpis"]
        self.assertEqual(
            sum(sums["net_cents"] for sums in months.values()), kpis["net_cents"]
        )
        self.assertEqual(result["summary"]["customer_count"], kpis["customer_count"])

    def test_default_query_is_the_file_that_the_library_names(self) -> None:
        create_shop(self.database)
        own = self.folder / "own.sql"
        own.write_bytes(QUERY_PATH.read_bytes())
        with mock.patch.object(query_file, "QUERY_PATH", own):
            self.assertEqual(self.read_document()["query"]["file"], "own.sql")

    def test_default_query_that_does_not_reconcile_writes_nothing(self) -> None:
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
            mock.patch.object(query_file, "QUERY_PATH", wrong),
            self.assertRaisesRegex(RuntimeError, "net of all cells, in cents"),
        ):
            self.run_query("--query", wrong)
        self.assertFalse(self.out_dir.exists())


class CustomerSpreads(unittest.TestCase):
    """Spreads that do not belong to the cells stop the run."""

    CELL: ClassVar[dict[str, Any]] = {
        "cohort": "2024-01",
        "months_since": 3,
        "is_complete": 1,
        "cum_net_cents": 30,
    }

    def test_values_that_add_up_to_the_cell_give_its_spread(self) -> None:
        values = {("all", "2024-01"): [array("q", [10, 20])] * 4}
        spreads = measure_spreads(values, [self.CELL], grain="month")
        self.assertEqual(set(spreads), {("2024-01", 3), (ALL_COHORTS, 3)})

    def test_values_that_do_not_add_up_to_the_cell_stop_the_run(self) -> None:
        values = {("all", "2024-01"): [array("q", [10, 21])] * 4}
        with self.assertRaisesRegex(RuntimeError, "do not add up to"):
            measure_spreads(values, [self.CELL], grain="month")

    def test_spreads_of_other_cohorts_stop_the_run(self) -> None:
        spread = describe_spread([10, 20])
        for cohorts in (["2024-02"], ["2024-01", "2024-02"], []):
            keys: list[SpreadKey] = [("month", 3, None, cohort) for cohort in cohorts]
            with (
                self.subTest(cohorts),
                self.assertRaisesRegex(RuntimeError, "complete cells differ"),
            ):
                measured = MeasuredSpreads(dict.fromkeys(keys, spread))
                measure_spreads(measured, [self.CELL], grain="month")


class ExamplesInTheTests(unittest.TestCase):
    """The examples in the docstrings of the tests are correct."""

    def test_examples_of_every_module_are_correct(self) -> None:
        for name in ("tests.recount", "tests.cdnow"):
            with self.subTest(name):
                result = doctest.testmod(importlib.import_module(name))
                self.assertGreater(result.attempted, 0)
                self.assertEqual(result.failed, 0)
