"""How often customers buy again, and how they differ in what they spend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import fmean, stdev

from benchmarks.realism_math import gini, mean, pearson, ratio, share, top_share
from benchmarks.realism_rows import Band, Row, around, measured, published
from benchmarks.shop_files import DAY, Order, Shop, add_months

# Share of CDNOW's customers who buy in the k-th 30 days after their first order.
CDNOW_ACTIVITY = (0.171, 0.131, 0.101, 0.091, 0.090, 0.086, 0.079)


def find_cohort(shop: Shop) -> list[list[datetime]]:
    """Return the purchase times of those whose first order is in the first three months.

    As in CDNOW the observation ends 18 months after the start.  The list is empty if the
    data ends earlier.
    """
    recruited_by, observed_until = add_months(shop.start, 3), add_months(shop.start, 18)
    if shop.end < observed_until:
        return []
    return [
        [order.ordered_at for order in orders if order.ordered_at < observed_until]
        for orders in shop.orders_by_user.values()
        if orders[0].ordered_at < recruited_by
    ]


def is_active(times: Sequence[datetime], start_day: int, end_day: int) -> bool:
    """Return whether there is a later purchase in that range of days after the first."""
    first = times[0]
    return any(start_day * DAY < time - first <= end_day * DAY for time in times[1:])


def loyalty_rows(shop: Shop) -> list[Row]:
    """Return the rows on how often customers buy again, measured as in CDNOW."""
    cohort = find_cohort(shop)
    method = (
        "Customers whose first order is in the first three months, observed until 18 months"
        " after the start; orders of every status."
    )
    activity_method = (
        "The same customers: share with an order in days 30k to 30(k + 1) after their"
        " first. These bins fall between January and October, before the season of gifts,"
        " the first of them in the quietest months."
    )
    rows = [
        Row(
            "one-time buyers",
            Band(0.45, 0.56),
            published("CDNOW .505"),
            method,
            share(len(times) == 1 for times in cohort),
        ),
        Row(
            "repeat within 90 days",
            Band(0.25, 0.33),
            published("CDNOW .292"),
            method,
            share(is_active(times, 0, 90) for times in cohort),
        ),
        Row(
            "10 orders or more",
            Band(0.03, 0.07),
            published("CDNOW .049"),
            method,
            share(len(times) >= 10 for times in cohort),
        ),
    ]
    for k, activity in enumerate(CDNOW_ACTIVITY):
        active = share(is_active(times, 30 * k, 30 * (k + 1)) for times in cohort)
        source = published(f"CDNOW {activity:.3f}".replace("0.", "."))
        band = around(activity, 0.04)
        rows.append(Row(f"active in bin k = {k}", band, source, activity_method, active))
    return rows


def spending_rows(shop: Shop) -> list[Row]:
    """Return the rows on how customers differ in what they spend."""
    histories = list(shop.valid_orders_by_user.values())
    spent = [sum(order.value_cents for order in orders) for orders in histories]
    method = "Value of all valid orders of the window, per customer who has one."
    return [
        Row(
            "revenue of the top 20 % of customers",
            Band(0.62, 0.78),
            published("CDNOW .678, UCI .746"),
            method,
            top_share(spent, 0.2),
        ),
        Row(
            "Gini of customers' revenue",
            Band(0.55, 0.72),
            published("CDNOW .635"),
            method,
            gini(spent),
        ),
        Row(
            "revenue of the top 1 % of customers",
            Band(0.12, 0.2),
            measured("CDNOW .158"),
            method,
            top_share(spent, 0.01),
        ),
        _frequency_row(histories),
        *_order_value_rows(shop, histories),
    ]


def _frequency_row(histories: Iterable[Sequence[Order]]) -> Row:
    repeats = [orders[1:] for orders in histories if len(orders) > 1]
    return Row(
        "correlation of frequency and value",
        Band(0.05, 0.20),
        published("CDNOW .114"),
        "Pearson, over customers with two valid orders or more: number of repeat orders"
        " and their mean value, which Gamma-Gamma takes to be independent.",
        pearson(
            [len(orders) for orders in repeats],
            [fmean(order.value_cents for order in orders) for orders in repeats],
        ),
    )


def _order_value_rows(shop: Shop, histories: Iterable[Sequence[Order]]) -> list[Row]:
    values = [order.value_cents for order in shop.valid_orders]
    logarithms = [math.log(value) for value in values if value > 0]
    firsts = {orders[0].order_id for orders in histories}
    first, repeat = (
        mean(
            order.value_cents
            for order in shop.valid_orders
            if (order.order_id in firsts) is is_first
        )
        for is_first in (True, False)
    )
    return [
        Row(
            "standard deviation of ln order value",
            Band(0.65, 1.10),
            published("CDNOW .734, UCI 1.07"),
            "Valid orders of a value above 0.",
            stdev(logarithms) if len(logarithms) > 1 else math.nan,
        ),
        Row(
            "first ÷ repeat order value",
            Band(0.80, 1.00),
            published("CDNOW .878"),
            "Mean value of customers' first valid orders ÷ mean value of their later ones.",
            ratio(first, repeat),
        ),
    ]
