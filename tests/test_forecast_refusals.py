"""The refusals of a forecast: data that support no model, and the reason in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import run_query
from tests import shop
from tests.customer_samples import list_purchases
from tests.forecast_shop import AS_OF, known_sources
from tests.support import ShopCase, call


class Purchase(NamedTuple):
    """An order of one item, with neither tax nor shipping."""

    user_id: int
    day: str
    cents: int


def spread_purchases(
    *, users: int, repeats: int, first: str, gap_days: int, starts: int = 60
) -> Iterator[Purchase]:
    """Yield *repeats* + 1 purchases of each of *users*, who start on *starts* days."""
    for user_id in range(1, users + 1):
        start = date.fromisoformat(first) + timedelta(days=user_id % starts)
        for number in range(repeats + 1):
            day = start + timedelta(days=number * (gap_days + user_id % 5))
            # The values differ between customers.
            yield Purchase(user_id, day.isoformat(), 1000 + user_id % 7)


class NoForecast(ShopCase):
    """Data that support no forecast: the reason is printed, all else is written."""

    def create(self, purchases: Sequence[Purchase], as_of: str) -> None:
        """Write a database with *purchases*."""
        numbered = list(enumerate(purchases, 1))
        users = sorted({purchase.user_id for purchase in purchases})
        shop.create_shop(
            self.database,
            users=[
                (
                    user,
                    f"u{user}@example.com",
                    f"U {user}",
                    "SE",
                    "Lund",
                    "organic",
                    "2020-01-01T00:00:00Z",
                )
                for user in users
            ],
            orders=[
                (
                    number,
                    each.user_id,
                    f"{each.day}T12:00:00Z",
                    "paid",
                    each.cents,
                    0,
                    0,
                    0,
                    each.cents,
                )
                for number, each in numbered
            ],
            order_items=[
                (number, number, 1, 1, each.cents, 0, each.cents)
                for number, each in numbered
            ],
            payments=[],
            as_of=as_of,
        )

    def refuse(self, *words: str, options: Sequence[object] = ()) -> None:
        """Expect a result without a forecast, and *words* in the reason."""
        result = call(
            run_query.main,
            "--database",
            self.database,
            "--out-dir",
            self.folder,
            "--forecast",
            *options,
        )
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        document = json.loads((self.folder / "query_result.json").read_bytes())
        found = document["forecast"]
        self.assertEqual(found, {"is_forecast": True, "refused": found["refused"]})
        for word in words:
            self.assertIn(word, found["refused"])
        self.assertTrue((self.folder / "query_result.csv").is_file())
        printed = " ".join(result.stdout.split())
        self.assertIn(f"No forecast: {found['refused']}", printed)
        self.assertNotIn("FORECAST", result.stdout)

    def test_empty_database_is_refused(self) -> None:
        shop.create_empty_shop(self.database)
        self.refuse("no orders to forecast from", "Load")

    def test_day_before_any_order_is_refused(self) -> None:
        self.create(
            [*spread_purchases(users=60, repeats=3, first="2024-01-01", gap_days=20)],
            "2024-12-31",
        )
        self.refuse("no customers", "2023-12-31", options=("--as-of", "2023-12-31"))

    def test_shop_of_a_few_orders_is_refused(self) -> None:
        shop.create_shop(self.database)
        self.refuse("has 1 repeat customer, expected at least 30")

    def test_shop_of_three_weeks_is_refused(self) -> None:
        weeks = spread_purchases(
            users=80, repeats=1, first="2023-12-25", gap_days=2, starts=10
        )
        self.create([*weeks], "2024-01-15")
        self.refuse("21 days since the oldest first purchase", "12 weeks")

    def test_customers_without_repeat_purchases_are_refused(self) -> None:
        self.create(
            [*spread_purchases(users=400, repeats=0, first="2023-01-01", gap_days=1)],
            "2024-12-31",
        )
        self.refuse("0 repeat customers, expected at least 30")

    def test_repeats_on_the_first_day_do_not_count(self) -> None:
        once = [*spread_purchases(users=90, repeats=0, first="2024-01-01", gap_days=1)]
        self.create([*once, *once, *once], "2024-12-31")
        self.refuse("0 repeat customers, expected at least 30")

    def test_single_cohort_is_refused(self) -> None:
        cohort = spread_purchases(
            users=80, repeats=5, first="2024-01-01", gap_days=25, starts=31
        )
        self.create([*cohort], "2024-12-31")
        self.refuse("All customers first bought in 2024-01", "at least 2")

    def test_orders_of_no_value_are_refused(self) -> None:
        gifts = [
            Purchase(user_id, date.fromordinal(day).isoformat(), 0)
            for user_id, purchases in list_purchases(known_sources().histories).items()
            for day, _ in purchases
        ]
        self.create(gifts, AS_OF)
        self.refuse("Nothing was spent on repeat purchases", "Check the order items")
