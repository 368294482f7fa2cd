"""How prices are set and move, and what a promotion does to sales."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.realism_math import mean, ratio, share, split_variance
from benchmarks.realism_products import LEAST_LINES
from benchmarks.realism_rows import NO_SOURCE, OWN, Band, Row, measured, published
from benchmarks.shop_files import MONTHS_A_YEAR, WEEK_DAYS, Order, Product, Shop

# With fewer lines a week a promotion without a sale, which no file shows, is frequent.
LEAST_WEEKLY_LINES = 5


class PromotionWeek(NamedTuple):
    """A week in which a product has a discount.

    *expected* is what it would sell at its share of its category's lines in its other
    weeks; *paid* is the price paid ÷ the list price.
    """

    sold: int
    expected: float
    paid: float


def price_rows(shop: Shop) -> list[Row]:
    """Return the rows on prices, costs and margins."""
    cost = {product.product_id: product.cost_cents for product in shop.products}
    return [
        Row(
            "products whose price moved",
            Band(0.55, 0.95),
            measured("UCI .95, CJ .59"),
            f"Products with {LEAST_LINES} lines or more: share with several unit prices.",
            share(_price_moves(shop)),
        ),
        Row(
            "products whose price changes in a month",
            Band(0.12, 0.3),
            published("Cavallo .154 to .274"),
            "Products sold in two months running: share whose last unit price differs.",
            share(_list_price_changes(shop)),
        ),
        Row(
            "prices that end in 99",
            Band(0.3, 0.6),
            measured("CJ .35; Olist .18"),
            "Share of the catalogue.",
            share(product.price_cents % 100 == 99 for product in shop.products),
        ),
        Row(
            "spread of margins within a category",
            Band(0.01, math.inf),
            OWN,
            "Standard deviation of (price − cost) ÷ price within categories, pooled.",
            math.sqrt(split_variance(_group_margins(shop.products)).within),
        ),
        Row(
            "lines at a loss",
            Band(0.01, 0.03),
            OWN,
            "Share of lines whose total is below their cost.",
            share(
                line.total_cents < line.quantity * cost[line.product_id]
                for line in shop.lines
            ),
        ),
        Row(
            "categories per brand",
            None,
            NO_SOURCE,
            "Distinct categories of a brand's products, mean of the brands.",
            mean(map(len, _group_brands(shop.products))),
        ),
    ]


def _price_moves(shop: Shop) -> Iterator[bool]:
    sold = Counter(line.product_id for line in shop.lines)
    prices: dict[str, set[int]] = defaultdict(set)
    for line in shop.lines:
        prices[line.product_id].add(line.unit_price_cents)
    for product_id, found in prices.items():
        if sold[product_id] >= LEAST_LINES:
            yield len(found) > 1


def _list_price_changes(shop: Shop) -> Iterator[bool]:
    """Yield for each product and month if the price is another one in the next month."""
    prices: dict[str, dict[int, int]] = defaultdict(dict)
    for line in shop.lines:
        instant = shop.order_of[line.order_id].ordered_at
        month = instant.year * MONTHS_A_YEAR + instant.month
        prices[line.product_id][month] = line.unit_price_cents
    for found in prices.values():
        for month, cents in found.items():
            if month + 1 in found:
                yield cents != found[month + 1]


def _group_margins(products: Sequence[Product]) -> list[list[float]]:
    margins: dict[str, list[float]] = defaultdict(list)
    for product in products:
        margin = product.price_cents - product.cost_cents
        margins[product.category].append(margin / product.price_cents)
    return list(margins.values())


def _group_brands(products: Sequence[Product]) -> list[set[str]]:
    brands: dict[str, set[str]] = defaultdict(set)
    for product in products:
        brands[product.brand].add(product.category)
    return list(brands.values())


def promotion_rows(shop: Shop) -> list[Row]:
    """Return the rows on what promotions do."""
    weeks = find_promotions(shop)
    method = (
        f"Products of {LEAST_WEEKLY_LINES} lines a week or more, between their first and"
        " last week of sales: lines in weeks with a discount, and lines expected there at"
        " the product's share of its category's lines in its other weeks."
    )
    return [
        Row(
            "promotion weeks ÷ other weeks, share of sales",
            Band(1.3, 2.2),
            measured("CJ 1.94"),
            method,
            ratio(sum(week.sold for week in weeks), sum(week.expected for week in weeks)),
        ),
        Row(
            "elasticity to the price paid",
            Band(-3.2, -1.8),
            published("Bijmolt et al. -2.62; CJ -2.23"),
            f"{method} Exponent of price paid ÷ list price, by Poisson regression.",
            fit_elasticity(weeks),
        ),
    ]


def find_promotions(shop: Shop) -> list[PromotionWeek]:
    """Return the promotion weeks of the products that are sold often."""
    sold: dict[str, Counter[int]] = defaultdict(Counter)
    category_sold: dict[str, Counter[int]] = defaultdict(Counter)
    paid: dict[str, dict[int, float]] = defaultdict(dict)
    for line in shop.lines:
        week = find_week(shop.order_of[line.order_id])
        sold[line.product_id][week] += 1
        category_sold[shop.category_of[line.product_id]][week] += 1
        if line.discount_cents:
            list_price = line.quantity * line.unit_price_cents
            paid[line.product_id][week] = line.total_cents / list_price
    return [
        promotion
        for product_id, weekly in sold.items()
        for promotion in _compare_weeks(
            weekly, category_sold[shop.category_of[product_id]], paid[product_id]
        )
    ]


def find_week(order: Order) -> int:
    """Return the number of the week, from Monday to Sunday, in which *order* was placed."""
    return (order.ordered_at.toordinal() - 1) // WEEK_DAYS


def _compare_weeks(
    sold: Counter[int], category_sold: Counter[int], paid: dict[int, float]
) -> Iterator[PromotionWeek]:
    """Yield the promotion weeks of one product; its first and last week are incomplete."""
    weeks = range(min(sold) + 1, max(sold))
    others = [week for week in weeks if week not in paid]
    usual = ratio(
        sum(sold[week] for week in others), sum(category_sold[week] for week in others)
    )
    if sold.total() < LEAST_WEEKLY_LINES * max(len(weeks), 1) or math.isnan(usual):
        return
    for week in weeks:
        if week in paid:
            yield PromotionWeek(sold[week], usual * category_sold[week], paid[week])


def fit_elasticity(weeks: Sequence[PromotionWeek]) -> float:
    """Return the exponent of the price that explains what is sold in *weeks*.

    It maximizes the likelihood of Poisson counts with mean expected × paid^exponent; the
    derivative falls with the exponent, so bisection finds it.

    >>> round(fit_elasticity([PromotionWeek(40, 10, 0.5), PromotionWeek(4, 1, 0.5)]), 6)
    -2.0
    """
    low, high = -16.0, 16.0
    if not weeks:
        return math.nan
    while high - low > 1e-9:
        middle = (low + high) / 2
        slope = sum(
            math.log(week.paid) * (week.sold - week.expected * week.paid**middle)
            for week in weeks
        )
        low, high = (middle, high) if slope > 0 else (low, middle)
    return low
