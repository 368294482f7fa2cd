"""The figures of the report: computed by hand, and computed again in plain Python."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from typing import Any

from db.reporting.figures import find_last_complete_month, is_complete
from db.reporting.markdown import render_markdown, render_summary, summarize_kpis
from db.reporting.report import Report, read_report, report_database
from tests.report_case import ReportCase
from tests.shop import (
    ORDER_ITEMS,
    ORDERS,
    PAYMENTS,
    PRODUCTS,
    USERS,
    Row,
    create_empty_shop,
)
from utils.database import find_inexact_refund
from utils.helpers import DataError
from utils.markdown_tables import escape

VALID = {"paid", "shipped", "delivered", "partially_returned", "returned"}

MONEY = ("gross_cents", "discount_cents", "refund_cents", "net_cents", "order_count")

# The column of each trend that counts valid orders, or the units of one unit each.
ORDER_COLUMNS = {
    "category_mix": "unit_count",
    "channels": "order_count",
    "countries": "order_count",
    "orders_per_customer": "order_count",
    "refunds_and_cancellations": "order_count",
    "revenue_by_month": "order_count",
    "top_products": "unit_count",
    "weekday_by_hour": "order_count",
}


class Figures(ReportCase):
    """The trends of the small shop, computed by hand in `shop.py`."""

    def test_revenue_by_month_equals_the_figures_computed_by_hand(self) -> None:
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

    def test_key_figures_equal_those_computed_by_hand(self) -> None:
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

    def test_category_mix_has_gross_and_the_discount_on_lines(self) -> None:
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

    def test_top_products_are_at_most_ten_and_ties_are_ordered_by_product_id(self) -> None:
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

    def test_countries_have_customers_orders_money_and_shares(self) -> None:
        # Sweden: orders 1, 3 and 7 of Ann; Zoë never bought.
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("countries")],
            [
                ("SE", 2, 1, 3, 12000, 1500, 999, 9501, 0.5, 3167, 0.57),
                ("GB", 1, 1, 1, 5000, 0, 833, 4167, 1.0, 4167, 0.25),
                ("IE", 1, 1, 1, 3000, 0, 0, 3000, 1.0, 3000, 0.18),
            ],
        )

    def test_channel_without_an_order_is_listed(self) -> None:
        self.assertEqual(
            [tuple(row.values()) for row in self.trend("channels")],
            [
                ("organic", 2, 2, 4, 15000, 1500, 999, 12501, 1.0, 3125, 0.75),
                ("email", 1, 1, 1, 5000, 0, 833, 4167, 1.0, 4167, 0.25),
                ("paid_search", 1, 0, 0, 0, 0, 0, 0, 0.0, None, 0.0),
            ],
        )

    def test_orders_per_customer_are_capped_at_ten(self) -> None:
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

    def test_order_with_total_0_has_no_refund_of_goods(self) -> None:
        free = (1, 1, "2024-01-10T09:00:00Z", "returned", 1000, 1000, 0, 0, 0)
        row = self.trend("revenue_by_month", orders=[free])[0]
        self.assertEqual((row["net_cents"], row["refund_cents"]), (3800 + 200 - 1200, 0))


class IndependentComputation(ReportCase):
    """Plain Python computes the same figures on random shops."""

    def test_revenue_agrees_with_plain_python(self) -> None:
        for seed in range(4):
            shop = make_random_shop(random.Random(seed))  # noqa: S311
            trends = self.trends(**shop)
            with self.subTest("by month", seed=seed):
                expected = sum_by(shop, lambda _, at: at[:7])
                for row in trends["revenue_by_month"]["rows"]:
                    self.assertEqual(pick_money(row), expected[row["month"]], row)
            with self.subTest("by country", seed=seed):
                countries = {user[0]: str(user[3]) for user in shop["users"]}
                expected = sum_by(shop, partial(find_segment, countries))
                for row in trends["countries"]["rows"]:
                    self.assertEqual(pick_money(row), expected[row["country_code"]], row)
            with self.subTest("by channel", seed=seed):
                channels = {user[0]: str(user[5]) for user in shop["users"]}
                expected = sum_by(shop, partial(find_segment, channels))
                for row in trends["channels"]["rows"]:
                    channel = row["acquisition_channel"]
                    self.assertEqual(pick_money(row), expected[channel], row)

    def test_trends_sum_to_the_key_figures(self) -> None:
        for seed in range(4):
            shop = make_random_shop(random.Random(seed))  # noqa: S311
            report = self.report_shop(**shop)
            kpis = report["kpis"]
            for trend, column, total in [
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
                    self.assertEqual(sum(row[column] for row in rows), kpis[total])

    def test_every_trend_counts_the_orders_of_the_same_statuses(self) -> None:
        for status in (*sorted(VALID), "pending", "cancelled"):
            money = (1000, 0, 0, 0, 1000)
            trends = self.trends(
                orders=[(1, 1, "2024-01-10T09:00:00Z", status, *money)],
                order_items=[(1, 1, 1, 1, 1000, 0, 1000)],
                payments=[(1, 1, "refund", "card", "succeeded", 600, ORDERS[1][2])],
            )
            expected = int(status in VALID)
            for name, column in ORDER_COLUMNS.items():
                with self.subTest(name, status=status):
                    found = sum(row[column] for row in trends[name]["rows"])
                    self.assertEqual(found, expected)
            for name in ("revenue_by_month", "countries", "channels"):
                with self.subTest(name, status=status, column="refund_cents"):
                    found = sum(row["refund_cents"] for row in trends[name]["rows"])
                    self.assertEqual(found, 600 * expected)

    def test_weekday_matches_the_calendar_on_every_day_of_many_years(self) -> None:
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

    def test_orders_dated_by_day_have_no_heat_map_of_hours(self) -> None:
        orders = [(n, 1, f"2024-01-{n:02}T00:00:00Z", *ORDERS[0][3:]) for n in range(1, 11)]
        report = self.report_shop(orders=orders, order_items=[], payments=[])
        trend = report["trends"]["weekday_by_hour"]
        note = "all orders are dated at 00:00, so their hours are missing"
        self.assertEqual((trend["rows"], trend["note"]), ([], note))
        self.assertIn(f"Not available: {note}.", render_markdown(report))
        # Nine orders can all be placed in one hour.
        rows = self.trend("weekday_by_hour", orders=orders[:9], order_items=[], payments=[])
        self.assertEqual(sum(row["order_count"] for row in rows), 9)


class Calendar(ReportCase):
    """Months are calendar months: none is missing, and an incomplete one is marked."""

    def test_month_without_an_event_has_a_row_of_zeros(self) -> None:
        rows = self.trend("revenue_by_month", orders=[ORDERS[0], ORDERS[6]])
        self.assertEqual([row["month"] for row in rows], ["2024-01", "2024-02", "2024-03"])
        self.assertEqual(
            (rows[1]["order_count"], rows[1]["net_cents"], rows[1]["aov_cents"]),
            (0, 0, None),
        )

    def test_months_continue_to_the_last_day_of_the_data(self) -> None:
        rows = self.trend("revenue_by_month", as_of="2024-05-02")
        self.assertEqual([row["month"] for row in rows][-2:], ["2024-04", "2024-05"])
        self.assertEqual([row["is_complete"] for row in rows], [1, 1, 1, 1, 0])

    def test_month_is_complete_from_its_last_day(self) -> None:
        for as_of, expected in [
            ("2024-02-28", 0),
            ("2024-02-29", 1),
            ("2024-03-01", 1),
            ("2024-01-31", 0),
            (None, 0),
        ]:
            with self.subTest(as_of):
                self.assertEqual(is_complete("2024-02", as_of), expected)

    def test_month_after_a_stated_last_day_adds_no_months_before_it(self) -> None:
        late = (8, 2, "2052-03-14T00:00:00Z", "paid", *ORDERS[7][4:])
        rows = self.trend("revenue_by_month", orders=[*ORDERS[:7], late])
        self.assertEqual(
            [(row["month"], row["is_complete"]) for row in rows],
            [("2024-01", 1), ("2024-02", 1), ("2024-03", 0), ("2052-03", 0)],
        )

    def test_mistyped_year_does_not_add_thousands_of_months(self) -> None:
        early = (8, 2, "0024-03-14T00:00:00Z", "paid", *ORDERS[7][4:])
        rows = self.trend("revenue_by_month", orders=[*ORDERS[:7], early])
        self.assertEqual(
            [row["month"] for row in rows], ["0024-03", "2024-01", "2024-02", "2024-03"]
        )

    def test_last_day_outside_the_calendar_is_refused(self) -> None:
        with self.assertRaisesRegex(DataError, "as_of is '2024-02-30', expected a day"):
            read_report(self.make_shop(as_of="2024-02-30"))

    def test_last_complete_month_is_compared_with_the_same_month_a_year_before(
        self,
    ) -> None:
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
        # January 2024 is compared with January 2023; February is incomplete.
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

    def test_change_on_the_year_needs_the_same_month_a_year_before(self) -> None:
        # Thirteen complete months, but a gap where months were not filled.
        months = ["0024-12", *(f"2024-{n:02}" for n in range(1, 13))]
        rows = [
            {
                "month": month,
                "net_cents": 100,
                "order_count": 1,
                "aov_cents": 100,
                "new_customers": 1,
                "returning_customers": 0,
                "is_complete": 1,
            }
            for month in months
        ]
        last = find_last_complete_month(rows)
        assert last is not None
        self.assertEqual(last["month"], "2024-12")
        self.assertEqual(set(last["change_on_year"].values()), {None})


class SmallShops(ReportCase):
    """A shop without rows, with one row or with one day has a report."""

    def test_shop_without_rows_passes_and_every_trend_states_no_rows(self) -> None:
        report = read_report(create_empty_shop(self.folder / "shop.db"))
        self.assertEqual(report["verdict"]["status"], "pass")
        self.assertIsNone(report["as_of"])
        text = render_markdown(report)
        self.assertIn("No data yet", text)
        (line, *_) = summarize_kpis(report)
        self.assertTrue(line.startswith("No data: 0 valid orders of 0 customers"), line)
        self.assertEqual(text.count("\n\nNo rows.\n"), len(report["trends"]))
        self.assertNotRegex(text, r"(?i)\b(nan|inf|infinity|none|null)\b")

    def test_rates_without_a_denominator_are_null_and_sums_are_zero(self) -> None:
        kpis = read_report(create_empty_shop(self.folder / "shop.db"))["kpis"]
        for name, value in kpis.items():
            with self.subTest(name):
                is_share = name.endswith("_rate") or name.startswith(
                    ("aov", "net_per", "last")
                )
                self.assertEqual(value, None if is_share else 0)

    def test_shop_with_one_user_passes(self) -> None:
        report = self.report_shop(
            users=USERS[3:], products=[], orders=[], order_items=[], payments=[]
        )
        self.assertEqual(report["verdict"]["status"], "pass")
        self.assertIn("No rows", render_markdown(report))

    def test_shop_with_one_day_passes(self) -> None:
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


class LargeAmounts(ReportCase):
    """Amounts that overflow are reported, and no figure is computed from them."""

    def test_sum_that_overflows_is_noted_and_the_other_figures_are_reported(self) -> None:
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

    def test_inexact_refund_is_named_and_no_figure_uses_it(
        self,
    ) -> None:
        # Two products are beyond 2 ** 63 - 1; the third fits, but its share, 2 ** 53 + 1,
        # is not exact in floating point.
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

    def test_largest_exact_refund_is_correct_to_the_cent(self) -> None:
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

    def test_inexact_refund_of_an_invalid_order_is_ignored(self) -> None:
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


def find_segment(segments: dict[Any, str], order: Row, _: str) -> str:
    """Return the country or channel of the user of *order*."""
    return segments[order[1]]


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
