"""How sales differ between products, when they begin and when they end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from statistics import linear_regression

from benchmarks.realism_math import share, top_share
from benchmarks.realism_rows import OWN, Band, Row, measured, published
from benchmarks.shop_files import DAY, Shop

# The fewest lines of a product with which chance does not decide when it is sold last.
LEAST_LINES = 50
SILENT = 90 * DAY


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
        *_life_rows(shop),
    ]


def _life_rows(shop: Shop) -> list[Row]:
    sold = Counter(line.product_id for line in shop.lines)
    first_sales: dict[str, datetime] = {}
    last_sales: dict[str, datetime] = {}
    for order in shop.orders:
        for line in shop.baskets.get(order.order_id, ()):
            first_sales.setdefault(line.product_id, order.ordered_at)
            last_sales[line.product_id] = order.ordered_at
    launched = [
        product.product_id for product in shop.products if product.launched_at >= shop.start
    ]
    return [
        Row(
            "products that end",
            Band(0.03, 0.08),
            measured("UCI .053, CJ .044"),
            f"Products with {LEAST_LINES} lines or more: share whose last sale was over"
            f" {SILENT.days} days before the end of the data.",
            share(
                shop.end - last > SILENT
                for product_id, last in last_sales.items()
                if sold[product_id] >= LEAST_LINES
            ),
        ),
        Row(
            "first sales on the 1st of a month",
            Band(0, 0.1),
            OWN,
            "Products launched in the window: share of those sold whose first sale was on a"
            " first day of a month, which is 1 day in 30.",
            share(
                first_sales[product_id].day == 1
                for product_id in launched
                if product_id in first_sales
            ),
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
