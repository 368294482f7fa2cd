"""What is in a basket."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import linear_regression, median

from benchmarks.realism_math import mean, ratio, share, split_variance
from benchmarks.realism_rows import NO_SOURCE, OWN, Band, Row, measured, published
from benchmarks.shop_files import Line, Shop

BEST_SELLERS = 15


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
            "Orders with a discount on the order itself.",
            share(order.discount_cents > 0 for order in shop.orders),
        ),
        *_size_rows(shop),
        Row(
            "lift of pairs of best sellers",
            Band(1.2, math.inf),
            measured("UCI 1.6, CJ 2.5"),
            f"Pairs of the {BEST_SELLERS} products in most orders: orders with both × all"
            " orders ÷ (orders with one × orders with the other); median of the pairs.",
            best_seller_lift(shop),
        ),
        Row(
            "orders raised to free shipping",
            Band(0.12, 0.28),
            published("Hemmati et al. .12 to .28"),
            "Share of the orders in the fifth below the threshold of free shipping that are"
            " missing there and found in the fifth above it. Expected is a parabola through"
            " ln orders of six further fifths, three below and three above. Best sellers'"
            " prices alone move it by .05 (SD over 7 seeds without padding).",
            padded_share(shop),
        ),
    ]


def _size_rows(shop: Shop) -> list[Row]:
    values = [order.value_cents for order in shop.valid_orders]
    return [
        Row(
            "largest ÷ mean order value",
            Band(30, 50),
            measured("CDNOW 36, Olist 48"),
            "Valid orders.",
            ratio(max(values, default=0), mean(values)),
        ),
        Row(
            "largest quantity of a line",
            None,
            NO_SOURCE,
            "Units of one product in one order.",
            max(line.quantity for line in shop.lines),
        ),
        Row(
            "most lines of an order",
            None,
            NO_SOURCE,
            "Order items.",
            max(map(len, shop.baskets.values())),
        ),
        Row(
            "spread of ln line total within a basket",
            None,
            measured("UCI .73, CJ .73"),
            "Standard deviation within orders of two lines or more, pooled.",
            math.sqrt(split_variance(_list_logarithms(shop)).within),
        ),
    ]


def _list_logarithms(shop: Shop) -> Iterator[list[float]]:
    """Yield the logarithms of the line totals of each basket."""
    for basket in shop.baskets.values():
        yield [math.log(line.total_cents) for line in basket if line.total_cents > 0]


def best_seller_lift(shop: Shop) -> float:
    """Return the median lift of the pairs of the best sellers."""
    found = [{line.product_id for line in basket} for basket in shop.baskets.values()]
    orders = Counter(product_id for basket in found for product_id in basket)
    best = {product_id for product_id, _ in orders.most_common(BEST_SELLERS)}
    pairs = Counter(
        pair for basket in found for pair in combinations(sorted(basket & best), 2)
    )
    lifts = [
        ratio(pairs[pair] * len(found), orders[pair[0]] * orders[pair[1]])
        for pair in combinations(sorted(best), 2)
    ]
    return median(lifts) if lifts else math.nan


def padded_share(shop: Shop) -> float:
    """Return the share of orders below free shipping that were raised above it.

    The orders that are missing below the threshold and those too many above it are two
    estimates of the same number; their mean is taken.
    """
    values = sorted(order.value_cents for order in shop.orders)
    paying = (order.value_cents for order in shop.orders if order.shipping_cents)
    threshold = 1 + max(paying, default=0)
    fifth = threshold // 5

    def count(step: int) -> int:
        low = threshold + step * fifth
        return bisect_left(values, low + fifth) - bisect_left(values, low)

    below, above = _interpolate([count(step) for step in (-4, -3, -2, 1, 2, 3)])
    return (below - count(-1) + count(0) - above) / 2 / below


def _interpolate(counts: Sequence[int]) -> tuple[float, float]:
    """Return the two counts in the middle of *counts*, from a parabola of logarithms.

    The positions are symmetric, so the slope and the parabola are fitted one by one.
    """
    positions = (-3.5, -2.5, -1.5, 1.5, 2.5, 3.5)
    logarithms = [math.log(max(count, 1)) for count in counts]
    slope = linear_regression(positions, logarithms).slope
    curve = linear_regression([position**2 for position in positions], logarithms)
    middle = curve.intercept + curve.slope / 4
    return math.exp(middle - slope / 2), math.exp(middle + slope / 2)


def _is_distinct(basket: Sequence[Line]) -> bool:
    return len({line.product_id for line in basket}) == len(basket)


def category_lift(shop: Shop) -> float:
    """Return how much more often than by chance a basket stays within a category.

    Each month is computed alone; otherwise the seasons would look like a preference.
    """
    month_lines: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    further: list[tuple[tuple[int, int], str, str]] = []
    for order in shop.orders:
        month = (order.ordered_at.year, order.ordered_at.month)
        found = [
            shop.category_of[line.product_id]
            for line in shop.baskets.get(order.order_id, ())
        ]
        month_lines[month].update(found)
        further += [(month, found[0], other) for other in found[1:]]
    expected = sum(
        month_lines[month][first] / month_lines[month].total()
        for month, first, _ in further
    )
    return ratio(sum(first == other for _, first, other in further), expected)
