"""How sales differ between products, and what is in a basket."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import linear_regression

from benchmarks.realism_math import mean, ratio, share, top_share
from benchmarks.realism_rows import OWN, Band, Row, published
from benchmarks.shop_files import Line, Shop


def product_rows(shop: Shop) -> list[Row]:
    """Return the rows on how sales differ between products."""
    valid = {order.order_id for order in shop.valid_orders}
    revenue = dict.fromkeys((product.product_id for product in shop.products), 0)
    for line in shop.lines:
        if line.order_id in valid:
            revenue[line.product_id] += line.total_cents
    line_counts = Counter(line.product_id for line in shop.lines)
    return [
        Row(
            "revenue of the top 20 % of products",
            Band(0.70, 0.85),
            published("UCI .787"),
            "Line totals of valid orders; 20 % of the complete catalogue at the end, with"
            " products never sold.",
            top_share(revenue.values(), 0.2),
        ),
        Row(
            "Zipf slope of lines per product",
            Band(-1.2, -0.4),
            published("UCI -.57"),
            "Slope of ln lines on ln rank, least squares, from rank 10 to a quarter of the"
            " catalogue, as UCI's is over ranks 10 to 1,000 of 4,070.",
            zipf_slope(line_counts.values(), 10, len(shop.products) // 4),
        ),
        Row(
            "prices that end in 99",
            Band(1, 1),
            OWN,
            "Share of the catalogue.",
            share(product.price_cents % 100 == 99 for product in shop.products),
        ),
    ]


def zipf_slope(counts: Iterable[int], first_rank: int, last_rank: int) -> float:
    """Return the slope of ln count on ln rank, from *first_rank* to *last_rank*.

    >>> round(zipf_slope([1000 // rank for rank in range(1, 100)], 1, 50), 1)
    -1.0
    """
    ranked = list(enumerate(sorted(counts, reverse=True), 1))[first_rank - 1 : last_rank]
    if len(ranked) < 2:
        return math.nan
    return linear_regression(
        [math.log(rank) for rank, _ in ranked], [math.log(count) for _, count in ranked]
    ).slope


def basket_rows(shop: Shop) -> list[Row]:
    """Return the rows on the content of baskets."""
    baskets = list(shop.baskets.values())
    return [
        Row(
            "units per order",
            Band(2.2, 2.65),
            published("CDNOW 2.41"),
            "Sum of quantities.",
            mean(sum(line.quantity for line in basket) for basket in baskets),
        ),
        Row(
            "distinct lines per order",
            Band(1.5, 2.65),
            published("Olist 1.14, CDNOW 2.41 units"),
            "Order items; above a marketplace's, at most CDNOW's units.",
            mean(len(basket) for basket in baskets),
        ),
        Row(
            "baskets of distinct products",
            Band(1, 1),
            OWN,
            "Share of orders with no product on two lines.",
            share(_is_distinct(basket) for basket in baskets),
        ),
        Row(
            "lift of a further line's category",
            Band(2, math.inf),
            OWN,
            "How often a line after the order's first has the first one's category, ÷ how"
            " often it would at the category's share in all lines of the same month.",
            category_lift(shop),
        ),
        Row(
            "lines on promotion",
            Band(0.03, 0.25),
            OWN,
            "Lines with a discount.",
            share(line.discount_cents > 0 for line in shop.lines),
        ),
        Row(
            "orders with a coupon",
            Band(0.05, 0.25),
            OWN,
            "Orders with a discount on the whole order.",
            share(order.discount_cents > 0 for order in shop.orders),
        ),
    ]


def _is_distinct(basket: Sequence[Line]) -> bool:
    return len({line.product_id for line in basket}) == len(basket)


def category_lift(shop: Shop) -> float:
    """Return how much more often than by chance a basket stays within a category.

    Each month is computed alone; otherwise the seasons would look like a preference.
    """
    category = {product.product_id: product.category for product in shop.products}
    month_lines: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    further: list[tuple[tuple[int, int], str, str]] = []
    for order in shop.orders:
        month = (order.ordered_at.year, order.ordered_at.month)
        found = [category[line.product_id] for line in shop.baskets.get(order.order_id, ())]
        month_lines[month].update(found)
        further += [(month, found[0], other) for other in found[1:]]
    expected = sum(
        month_lines[month][first] / month_lines[month].total()
        for month, first, _ in further
    )
    return ratio(sum(first == other for _, first, other in further), expected)
