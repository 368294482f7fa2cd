"""A generated shop for the tests of the forecast, and its forecast by two computations.

One is `run_query.py` on the database; the other reads the CSV files without SQL.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import generate_data
import ingest
import run_query
from queries.forecast.forecast import CohortForecast, forecast_cohorts
from queries.forecast.histories import PurchaseHistories, collect_histories
from queries.forecast.score import Truth
from tests.support import IN_CI, Result, call, make_once, read_rows

SEED, USERS = 5, 1200 if IN_CI else 500
AS_OF = "2025-12-31"
INVALID_STATUSES = ("pending", "cancelled")


def ordinal(day: str) -> int:
    """Return the ordinal of a day such as 2024-02-29."""
    return date.fromisoformat(day).toordinal()


class Sources(NamedTuple):
    """The input of a forecast, read from the CSV files without SQL."""

    histories: PurchaseHistories
    refunds: dict[str, tuple[int, int]]
    truths: dict[int, Truth]

    def forecast(
        self, as_of: str = AS_OF, *, is_by_quarter: bool = False
    ) -> CohortForecast:
        """Return the forecast."""
        return forecast_cohorts(
            self.histories, self.refunds, as_of, is_by_quarter=is_by_quarter
        )

    def name_month(self, user_id: int) -> str:
        """Return the month of the user's first purchase."""
        place = self.histories.user_ids.index(user_id)
        return date.fromordinal(self.histories.first_days[place]).isoformat()[:7]


def read_sources(folder: Path) -> Sources:
    """Return the input of a forecast from the files in *folder*, with the truth."""
    goods: dict[str, tuple[str, int, int]] = {}
    bought: Counter[tuple[int, str]] = Counter()
    for row in read_rows(folder / "orders.csv"):
        if row["status"] not in INVALID_STATUSES:
            day = row["ordered_at"][:10]
            cents = int(row["subtotal_cents"]) - int(row["discount_cents"])
            goods[row["order_id"]] = day[:7], cents, int(row["total_cents"])
            bought[int(row["user_id"]), day] += cents
    returned: Counter[str] = Counter()
    for row in read_rows(folder / "payments.csv"):
        if row["kind"] == "refund" and row["order_id"] in goods:
            month, cents, total = goods[row["order_id"]]
            returned[month] += int(row["amount_cents"]) * cents // total
    return Sources(
        collect_histories(
            (user, day, cents) for (user, day), cents in sorted(bought.items())
        ),
        {month: (0, cents) for month, cents in returned.items()},
        {
            int(row["user_id"]): Truth(
                int(row["expected_value_cents_365d"]), int(row["realised_value_cents_365d"])
            )
            for row in read_rows(folder / "truth" / "users.csv")
        },
    )


@cache
def known_shop() -> Path:
    """Return a folder with a shop, its truth and its database; do not change it."""
    return make_once("known shop", _make_known_shop)


def _make_known_shop(folder: Path) -> None:
    """Generate the known shop and its truth in *folder*, and load it."""
    generate = ["--generate", "--truth", "--quiet", "--seed", SEED, "--users", USERS]
    load = ["--ingest", "--quiet", "--data-dir", folder, "--database", folder / "shop.db"]
    results = [
        call(generate_data.main, *generate, "--out-dir", folder),
        call(ingest.main, *load),
    ]
    if any(result.status != 0 for result in results):
        raise AssertionError(results)


@cache
def known_sources() -> Sources:
    """Return the input of the known shop's forecast."""
    return read_sources(known_shop())


@cache
def known_forecast() -> CohortForecast:
    """Return the forecast of the known shop, from the CSV files."""
    return known_sources().forecast()


class Run(NamedTuple):
    """The result of a run, and the files that it wrote, by name."""

    result: Result
    files: dict[str, bytes]

    @property
    def document(self) -> dict[str, Any]:
        """Return the JSON."""
        document: dict[str, Any] = json.loads(self.files["query_result.json"])
        return document


@cache
def run_known(*options: str) -> Run:
    """Forecast the known shop with *options*; return the result and its files."""
    with tempfile.TemporaryDirectory() as name:
        result = call(
            run_query.main,
            "--database",
            known_shop() / "shop.db",
            "--out-dir",
            name,
            "--forecast",
            *options,
        )
        files = {path.name: path.read_bytes() for path in Path(name).iterdir()}
    if (result.status, result.stderr) != (0, ""):
        raise AssertionError(result)
    return Run(result, files)
