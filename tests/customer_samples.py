"""Customers for the tests of the models: those of CDNOW, and simulated ones.

The CDNOW files are 2,357 customers of a music shop and their purchases to 30 June 1998; the
literature fits them to 30 September 1997.  They are not part of the project: the tests look
for them in ../shared/data/cdnow beside the project's root, or in the folder that
SHOP_CDNOW_DIR names, and are skipped without them.
"""

from __future__ import annotations

import math
import os
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from queries.forecast.bg_nbd import PurchaseModel
from queries.forecast.bg_nbd_expectations import PurchaseSummary
from queries.forecast.forecast_sums import SimilarCustomers
from queries.forecast.gamma_gamma import SpendingModel
from queries.forecast.histories import PurchaseHistories, collect_histories
from tests.support import ROOT, read_rows, skip

CDNOW_DIR = Path(
    os.environ.get("SHOP_CDNOW_DIR", ROOT.parent / "shared" / "data" / "cdnow")
)
CALIBRATION_END = date(1997, 9, 30)

NO_COVARIANCE = ((0.0,) * 4,) * 4


def find_cdnow(name: str) -> Path:
    """Return the path of the CDNOW file *name*; skip the test without it."""
    path = CDNOW_DIR / name
    if not path.is_file():
        skip(f"{path} is missing: name its folder in SHOP_CDNOW_DIR")
    return path


@cache
def read_cdnow_summary() -> Mapping[PurchaseSummary, int]:
    """Return the customers of the published summary, whose weeks are days over 7."""
    return Counter(
        (
            int(row["frequency"]),
            round(float(row["recency"]) * 7),
            round(float(row["T"]) * 7),
        )
        for row in read_rows(find_cdnow("cdnow_customers_summary.csv"))
    )


class Customer(NamedTuple):
    """One customer: frequency, recency, age, and the mean value of a repeat purchase."""

    frequency: int
    recency_days: int
    age_days: int
    mean_value: float

    @property
    def summary(self) -> PurchaseSummary:
        """Return what the purchase model needs."""
        return self.frequency, self.recency_days, self.age_days

    @property
    def spent(self) -> float:
        """Return the value of all repeat purchases."""
        return self.frequency * self.mean_value


def group_customers(customers: Iterable[Customer]) -> list[SimilarCustomers]:
    """Return *customers* as the forecast needs them, each counted by itself."""
    return [
        SimilarCustomers(x, age, [recency], [1], [x * mean], [(x * mean) ** 2])
        for x, recency, age, mean in customers
    ]


@cache
def read_cdnow_sample() -> tuple[list[Customer], int]:
    """Return the customers of the published sample, in dollars, and their later purchases.

    The latter is the number of days with a purchase after the calibration.
    """
    path = find_cdnow("CDNOW_sample.txt")
    cents: dict[str, Counter[date]] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        if line.strip():
            _, number, day, _, dollars = line.split()
            bought = date.fromisoformat(day)
            cents.setdefault(number, Counter())[bought] += round(float(dollars) * 100)
    customers = []
    later_count = 0
    for days in cents.values():
        first, *repeats = sorted(day for day in days if day <= CALIBRATION_END)
        later_count += len(days) - 1 - len(repeats)
        customers.append(
            Customer(
                len(repeats),
                (repeats[-1] - first).days if repeats else 0,
                (CALIBRATION_END - first).days,
                fmean(days[day] / 100 for day in repeats) if repeats else 0.0,
            )
        )
    return customers, later_count


def make_histories(
    purchases_by_user: Mapping[int, Iterable[tuple[int, int]]],
) -> PurchaseHistories:
    """Return histories from each user's purchases: day as an ordinal, and cents."""
    return collect_histories(
        (user_id, date.fromordinal(day).isoformat(), cents)
        for user_id, purchases in sorted(purchases_by_user.items())
        for day, cents in purchases
    )


def list_purchases(histories: PurchaseHistories) -> dict[int, list[tuple[int, int]]]:
    """Return each user's purchases in *histories*: day as an ordinal, and cents."""
    purchases = list(zip(histories.days, histories.cents, strict=True))
    return {
        user_id: purchases[start:end]
        for user_id, (start, end) in zip(
            histories.user_ids, pairwise(histories.starts), strict=True
        )
    }


def make_purchase_model(*parameters: float) -> PurchaseModel:
    """Return a model whose parameters have no error."""
    return PurchaseModel(parameters, 0.0, 0, NO_COVARIANCE)


def make_spending_model(
    p: float, q: float, gamma: float, *, square_ratio: float = math.inf
) -> SpendingModel:
    """Return a model whose parameters have no error."""
    return SpendingModel(
        (p, q, gamma), 0.0, 0, NO_COVARIANCE[:3], "dollar", 0.0, square_ratio
    )


# Fader, Hardie, Lee 2005, table 2, with the fourth decimal of CLVTools' test.
PUBLISHED_PURCHASES = make_purchase_model(0.2426, 4.4136, 0.7929, 2.4259)


def list_values(customers: Sequence[Customer]) -> list[tuple[int, float]]:
    """Return the input of the spending model."""
    return [(c.frequency, c.mean_value) for c in customers if c.mean_value > 0]


def count_summaries(customers: Sequence[Customer]) -> Counter[PurchaseSummary]:
    """Return the input of the purchase model."""
    return Counter(customer.summary for customer in customers)


def draw_purchase_days(
    rng: random.Random, rate: float, dropout: float, weeks: float
) -> list[int]:
    """Return the distinct days on which a customer buys while alive, within *weeks*."""
    days: list[int] = []
    now = 0.0
    while True:
        now += rng.expovariate(1.0) / max(rate, 1e-12)
        if now > weeks:
            return days
        day = math.ceil(now * 7)
        if day not in days[-1:]:
            days.append(day)
        if rng.random() < dropout:
            return days


class SimulatedShop:
    """Customers for whom both models are true, observed at *age_days*."""

    def __init__(
        self,
        seed: int,
        count: int,
        *,
        age_days: int,
        purchases: Sequence[float] = (0.8, 9.0, 0.7, 2.5),
        spending: Sequence[float] = (6.0, 4.0, 15.0),
        later_days: int = 0,
    ) -> None:
        rng = random.Random(seed)  # noqa: S311
        r, alpha, a, b = purchases
        p, q, gamma = spending
        self.customers: list[Customer] = []
        self.later_count = 0
        self.later_value = 0.0
        for _ in range(count):
            rate = rng.gammavariate(r, 1 / alpha)
            dropout = rng.betavariate(a, b)
            nu = rng.gammavariate(q, 1 / gamma)
            days = draw_purchase_days(rng, rate, dropout, (age_days + later_days) / 7)
            values = [rng.gammavariate(p, 1 / nu) for _ in days]
            seen = sum(day <= age_days for day in days)
            self.customers.append(
                Customer(
                    seen,
                    days[seen - 1] if seen else 0,
                    age_days,
                    fmean(values[:seen]) if seen else 0.0,
                )
            )
            self.later_count += len(days) - seen
            self.later_value += sum(values[seen:])


@cache
def simulate_year() -> list[Customer]:
    """Return 400 simulated customers after 364 days; do not change them."""
    return SimulatedShop(2, 400, age_days=364).customers
