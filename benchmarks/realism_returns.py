"""How orders are cancelled and returned, and by whom."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from benchmarks.realism_math import mean, ratio, share
from benchmarks.realism_rows import NO_SOURCE, OWN, Band, Row, measured, published
from benchmarks.shop_files import RETURNED, SATURDAY, Shop, group_items

CLOTHING = (
    "Tops & Shirts",
    "Trousers & Jeans",
    "Coats & Knitwear",
    "Summer & Swim",
    "Shoes",
)

# In a smaller category chance decides which is the lowest.
LEAST_ORDERS = 200
# The fewest orders that show a customer's habit.
FREQUENT = 5

WORKING_HOURS = 10


def order_life_rows(shop: Shop) -> list[Row]:
    """Return the rows on cancellations and returns."""
    return [
        Row(
            "cancelled orders",
            Band(0.02, 0.05),
            published("Olist .006, UCI .148"),
            "Share of all orders.",
            share(order.status == "cancelled" for order in shop.orders),
        ),
        Row(
            "returns by value",
            Band(0.15, 0.20),
            published("NRF .165 to .193, online"),
            "Refunds ÷ totals paid, of valid orders placed 60 days before the end or"
            " earlier: by then they have been delivered for 45 days.",
            return_rate(shop),
        ),
        *_category_rows(shop),
        Row(
            "returns: with ÷ without coupon",
            None,
            NO_SOURCE,
            "Old valid orders: share with a return, with a coupon ÷ without one.",
            ratio(*(_return_share(shop, has_coupon=answer) for answer in (True, False))),
        ),
        *_returner_rows(shop),
        *_refund_rows(shop),
    ]


def _category_rows(shop: Shop) -> list[Row]:
    answers: dict[str, list[bool]] = defaultdict(list)
    for order in shop.old_orders:
        category = shop.main_category_of.get(order.order_id, "")
        answers[category].append(order.status in RETURNED)
    clothing = [answer for name in CLOTHING for answer in answers[name]]
    large = [found for found in answers.values() if len(found) >= LEAST_ORDERS]
    return [
        Row(
            "returns: clothing ÷ lowest category",
            Band(4, math.inf),
            published("Asdecker: clothing .46, electronics below .10"),
            "Old valid orders by the category of their first line: share with a return, of"
            " clothing and shoes together ÷ of the category with the lowest share.",
            ratio(share(clothing), min(map(share, large), default=math.nan)),
        ),
    ]


def _return_share(shop: Shop, *, has_coupon: bool) -> float:
    return share(
        order.status in RETURNED
        for order in shop.old_orders
        if (order.discount_cents > 0) is has_coupon
    )


def _returner_rows(shop: Shop) -> list[Row]:
    histories = group_items(shop.old_orders, lambda order: order.user_id).values()
    answers = [[order.status in RETURNED for order in orders] for orders in histories]
    frequent = [found for found in answers if len(found) >= FREQUENT]
    return [
        Row(
            "serial returners",
            Band(0.03, 0.06),
            published("Schulze .05"),
            f"Customers with {FREQUENT} old valid orders or more: share who returned goods"
            " of more than 80 % of them.",
            share(share(found) > 0.8 for found in frequent),
        ),
        Row(
            "return rate: tenth ÷ first order",
            Band(1.25, 1.5),
            published("SSRN 3895309 1.40"),
            "Old valid orders: share with a return, of customers' 8th to 12th ÷ of their"
            " first.",
            ratio(
                share(answer for found in answers for answer in found[7:12]),
                share(found[0] for found in answers),
            ),
        ),
        Row(
            "returns per customer, overdispersion",
            Band(2, 4.5),
            measured("UCI 3.3"),
            f"Customers with {FREQUENT} old valid orders or more: mean of (returns −"
            " expected)² ÷ binomial variance, at the rate of the customer's country.",
            overdispersion(shop),
        ),
    ]


def overdispersion(shop: Shop) -> float:
    """Return the variance of returns per customer ÷ that of coins tossed per country."""
    by_country: dict[str, list[bool]] = defaultdict(list)
    for order in shop.old_orders:
        by_country[shop.country_of[order.user_id]].append(order.status in RETURNED)
    rates = {country: share(answers) for country, answers in by_country.items()}
    found = []
    for user_id, orders in group_items(shop.old_orders, lambda o: o.user_id).items():
        rate = rates[shop.country_of[user_id]]
        if len(orders) >= FREQUENT and 0 < rate < 1:
            excess = sum(order.status in RETURNED for order in orders) - len(orders) * rate
            found.append(excess**2 / (len(orders) * rate * (1 - rate)))
    return mean(found)


def _refund_rows(shop: Shop) -> list[Row]:
    times: dict[str, list[datetime]] = defaultdict(list)
    for payment in shop.payments:
        order = shop.order_of[payment.order_id]
        if payment.kind == "refund" and order.status in RETURNED:
            times[shop.country_of[order.user_id]].append(payment.processed_at)
    busiest = sum(
        count_busiest(instant.hour for instant in found) for found in times.values()
    )
    all_times = [instant for found in times.values() for instant in found]
    method = "Refunds of returned goods, by the clock in UTC."
    return [
        Row(
            f"refunds in the busiest {WORKING_HOURS} hours",
            Band(0.8, 1),
            OWN,
            f"{method} Share in the {WORKING_HOURS} consecutive hours of the day that have"
            " most of a country's.",
            ratio(busiest, len(all_times)),
        ),
        Row(
            "refunds on Saturday and Sunday",
            Band(0, 0.15),
            OWN,
            method,
            share(instant.weekday() >= SATURDAY for instant in all_times),
        ),
    ]


def count_busiest(hours: Iterable[int]) -> int:
    """Return how many of *hours* are in the fullest WORKING_HOURS consecutive ones.

    >>> count_busiest([23, 0, 8, 9])
    3
    """
    counts = Counter(hours)
    return max(
        sum(counts[(first + step) % 24] for step in range(WORKING_HOURS))
        for first in range(24)
    )


def return_rate(shop: Shop) -> float:
    """Return what was refunded for returned goods, as a share of what was paid."""
    totals = {order.order_id: order.total_cents for order in shop.old_orders}
    refunded = sum(
        payment.amount_cents
        for payment in shop.payments
        if payment.kind == "refund"
        and payment.status == "succeeded"
        and payment.order_id in totals
    )
    return ratio(refunded, sum(totals.values()))
