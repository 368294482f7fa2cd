"""Whether a classifier can separate the customers of a shop from those of CDNOW."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, stdev

from benchmarks.realism_rows import Band, Row, measured
from benchmarks.shop_files import SATURDAY, Shop, group_items
from tests.cdnow import read_purchases

# CDNOW ends 15 months after its last first purchases.
OBSERVED = timedelta(days=450)
# Two gaps show a rhythm.
LEAST_DAYS = 3
MOST_GAPS = 6
# No gap is that short; one that is missing is a value too.
NO_GAP = 0.0
FOLDS = 5

# What a customer spent by day, in cents, in the order of the days.
Spending = dict[date, int]


def separability_row(shop: Shop, master: Path | None) -> Row:
    """Return the row on the classifier; *master* is CDNOW_master.txt, where it is known."""
    value = None
    if master is not None:
        value = measure_separability(list_shop_customers(shop), list_cdnow(master))
    return Row(
        "separability from CDNOW's customers, AUC",
        Band(0.5, 0.65),
        measured("two real shops .86 to .91"),
        f"Customers with {LEAST_DAYS} days of valid orders or more in the"
        f" {OBSERVED.days} days from their first one, as many of each side: their first"
        f" {MOST_GAPS} gaps ÷ their mean gap, share of weekends, mean ln value of a day"
        " less that of the shop's median day, spread of ln value. Gradient boosting, area"
        f" under the curve in {FOLDS}-fold cross-validation; needs --cdnow.",
        value,
    )


def list_shop_customers(shop: Shop) -> list[Spending]:
    """Return what the customers of *shop* spent, of those that are observed to the end."""
    return _observe(
        [(order.ordered_at.date(), order.value_cents) for order in orders]
        for orders in shop.valid_orders_by_user.values()
        if orders[0].ordered_at + OBSERVED < shop.end
    )


def list_cdnow(master: Path) -> list[Spending]:
    """Return what the customers of CDNOW spent, from the file *master*."""
    purchases = group_items(read_purchases(master), lambda bought: bought.user_id)
    return _observe(
        [(datetime.fromisoformat(one.at).date(), one.total_cents) for one in bought]
        for bought in purchases.values()
    )


def _observe(customers: Iterable[Sequence[tuple[date, int]]]) -> list[Spending]:
    """Return what each of *customers* spent by day, while all are observed."""
    found = []
    for bought in customers:
        until = min(bought)[0] + OBSERVED
        spending: Spending = defaultdict(int)
        for day, cents in sorted(bought):
            if day < until and cents > 0:
                spending[day] += cents
        if len(spending) >= LEAST_DAYS:
            found.append(dict(spending))
    return found


def measure_separability(first: Sequence[Spending], second: Sequence[Spending]) -> float:
    """Return the area under the curve of a classifier between two groups of customers."""
    # Installed for the benchmarks only.
    from sklearn.ensemble import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        GradientBoostingClassifier,
    )
    from sklearn.model_selection import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        StratifiedKFold,
        cross_val_score,
    )

    count = min(len(first), len(second))
    if count < FOLDS:
        return math.nan
    # The same every time, so that a shop has one value.
    chance = random.Random(1)  # noqa: S311
    features = [
        row
        for customers in (first, second)
        for row in chance.sample(describe_customers(customers), count)
    ]
    model = GradientBoostingClassifier(
        n_estimators=60, max_depth=3, min_samples_leaf=40, random_state=0
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    sides = [0] * count + [1] * count
    return fmean(cross_val_score(model, features, sides, cv=folds, scoring="roc_auc"))


def describe_customers(customers: Sequence[Spending]) -> list[list[float]]:
    """Return the features of each of *customers*, which no unit of money or time changes.

    The number of orders ÷ the shop's mean is left out: with the number of gaps it would
    name the shop by arithmetic.
    """
    usual = math.log(median(cents for spending in customers for cents in spending.values()))
    return [_describe(spending, usual) for spending in customers]


def _describe(spending: Spending, usual: float) -> list[float]:
    days = list(spending)
    gaps = [(after - before).days for before, after in pairwise(days)]
    mean_gap = fmean(gaps)
    rhythm = [gap / mean_gap for gap in gaps[:MOST_GAPS]]
    logarithms = list(map(math.log, spending.values()))
    return [
        *rhythm,
        *[NO_GAP] * (MOST_GAPS - len(rhythm)),
        fmean(day.weekday() >= SATURDAY for day in days),
        fmean(logarithms) - usual,
        stdev(logarithms),
    ]
