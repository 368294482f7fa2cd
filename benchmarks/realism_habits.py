"""What a customer's orders have in common: taste, money and habits."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import fmean

from benchmarks.realism_math import pearson, ratio, split_variance
from benchmarks.realism_rows import OWN, Band, Row, measured
from benchmarks.shop_files import DAY, Line, Order, Shop

# One gap has nothing to be compared with.
LEAST_GAPS = 2


def taste_rows(shop: Shop) -> list[Row]:
    """Return the rows on what customers buy again."""
    bought = count_repeated_lines(shop, shop.baskets)
    by_chance = count_repeated_lines(shop, shuffle_products(shop))
    categories = shop.main_category_of
    return [
        Row(
            "same category as in the last order, lift",
            Band(1.8, 3.0),
            measured("CJ 2.81"),
            "Category of the first line: how often it is that of the customer's order"
            " before, ÷ how often by the categories' shares in all orders. The seasons"
            " alone give 1.07.",
            repeat_lift(
                shop, lambda order: categories.get(order.order_id), lambda _: "all"
            ),
        ),
        Row(
            "product bought again, lift",
            Band(1.4, 3.3),
            measured("UCI 2.37, CJ 3.25"),
            "Lines of repeat orders whose product an earlier order of the customer has, ÷"
            " the same after the products of all lines of a month change places at random.",
            ratio(bought, by_chance),
        ),
    ]


def habit_rows(shop: Shop) -> list[Row]:
    """Return the rows on what customers do as they did the last time."""
    methods = shop.method_of

    def find_country(order: Order) -> str:
        return shop.country_of[order.user_id]

    return [
        Row(
            "same payment method as last time, lift",
            Band(2, math.inf),
            OWN,
            "Method of the first succeeded charge: how often it is that of the order"
            " before, ÷ how often by the methods' shares in the customer's country.",
            repeat_lift(
                shop,
                lambda order: methods.get(order.order_id),
                find_country,
            ),
        ),
        Row(
            "same hour as last time, lift",
            None,
            measured("UCI 1.27, CJ 1.66"),
            "The same of the hour of the day.",
            repeat_lift(shop, lambda order: order.ordered_at.hour, find_country),
        ),
    ]


def repeat_lift(
    shop: Shop, trait: Callable[[Order], object], group: Callable[[Order], str]
) -> float:
    """Return how much more often than by chance consecutive orders share a *trait*.

    Chance is the share of the trait in all orders of the same *group*; an order whose
    trait is None does not count.
    """
    counts: dict[str, Counter[object]] = defaultdict(Counter)
    same: list[bool] = []
    chances: list[tuple[str, object]] = []
    for orders in shop.orders_by_user.values():
        known = [(trait(order), group(order)) for order in orders]
        known = [(value, name) for value, name in known if value is not None]
        for value, name in known:
            counts[name][value] += 1
        for (before, name), (after, _) in pairwise(known):
            same.append(before == after)
            chances.append((name, before))
    expected = sum(counts[name][value] / counts[name].total() for name, value in chances)
    return ratio(sum(same), expected)


def count_repeated_lines(shop: Shop, baskets: Mapping[str, Sequence[Line]]) -> int:
    """Return how many lines have a product of an earlier order of the same customer."""
    count = 0
    for orders in shop.orders_by_user.values():
        seen: set[str] = set()
        for order in orders:
            found = [line.product_id for line in baskets.get(order.order_id, ())]
            count += sum(product_id in seen for product_id in found)
            seen.update(found)
    return count


def shuffle_products(shop: Shop) -> dict[str, list[Line]]:
    """Return the baskets after the products of a month's lines changed places at random."""
    # The same every time, so that a shop has one value.
    chance = random.Random(1)  # noqa: S311
    by_month: dict[tuple[int, int], list[Line]] = defaultdict(list)
    for order in shop.orders:
        month = (order.ordered_at.year, order.ordered_at.month)
        by_month[month] += shop.baskets.get(order.order_id, ())
    baskets: dict[str, list[Line]] = defaultdict(list)
    for lines in by_month.values():
        products = [line.product_id for line in lines]
        chance.shuffle(products)
        for line, product_id in zip(lines, products, strict=True):
            baskets[line.order_id].append(line._replace(product_id=product_id))
    return baskets


def value_rows(shop: Shop) -> list[Row]:
    """Return the rows on the order values of one customer."""
    histories = list(shop.valid_orders_by_user.values())
    spread = split_variance(list(_list_logarithms(histories)))
    method = (
        "ln value of valid orders, customers with two or more: one-way analysis of variance"
    )
    return [
        Row(
            "spread of ln order value within a customer",
            Band(0.53, 0.65),
            measured("CDNOW .587"),
            f"{method}; square root of the variance within customers.",
            math.sqrt(spread.within),
        ),
        Row(
            "order values: correlation within customers",
            Band(0.30, 0.45),
            measured("CDNOW .37, UCI .30, CJ .30"),
            f"{method}; share of the variance that is between customers (ICC).",
            ratio(spread.between, spread.between + spread.within),
        ),
        Row(
            "correlation of gap and order value",
            Band(0.05, 0.15),
            measured("CDNOW .09, CJ .09, UCI .19"),
            "Customers with three valid orders or more: ln days since the order before and"
            " ln value, each less the customer's mean; Pearson over all orders.",
            gap_correlation(histories),
        ),
        Row(
            "first order value predicts later ones",
            Band(0.40, 0.60),
            measured("real shops .43 to .60"),
            "Spearman, over customers with two valid orders or more: value of the first and"
            " mean value of the later ones.",
            first_value_correlation(histories),
        ),
    ]


def _list_logarithms(histories: Sequence[Sequence[Order]]) -> Iterator[list[float]]:
    for orders in histories:
        yield [math.log(order.value_cents) for order in orders if order.value_cents > 0]


def gap_correlation(histories: Sequence[Sequence[Order]]) -> float:
    """Return the correlation of ln gap before an order and ln value, within customers."""
    all_gaps: list[float] = []
    all_values: list[float] = []
    for orders in histories:
        known = [order for order in orders if order.value_cents > 0]
        if len(known) - 1 >= LEAST_GAPS:
            times = [order.ordered_at for order in known]
            values = [math.log(order.value_cents) for order in known[1:]]
            all_gaps += _centre([_log_days(*pair) for pair in pairwise(times)])
            all_values += _centre(values)
    return pearson(all_gaps, all_values)


def _log_days(before: datetime, after: datetime) -> float:
    """Return ln of the days from *before* to *after*, at least an hour."""
    return math.log(max((after - before) / DAY, 1 / 24))


def _centre(values: Sequence[float]) -> list[float]:
    centre = fmean(values)
    return [value - centre for value in values]


def first_value_correlation(histories: Sequence[Sequence[Order]]) -> float:
    """Return the rank correlation of customers' first and mean later order values."""
    repeated = [orders for orders in histories if len(orders) > 1]
    firsts = [orders[0].value_cents for orders in repeated]
    later = [fmean(order.value_cents for order in orders[1:]) for orders in repeated]
    return pearson(_rank(firsts), _rank(later))


def _rank(values: Sequence[float]) -> list[int]:
    """Return the rank of each of *values*; equal ones in their order, as they are few."""
    ranks = [0] * len(values)
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        ranks[index] = rank
    return ranks
