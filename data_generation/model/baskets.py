"""Baskets: from the budget of an order to its lines of products.

A budget is measured in levels, sixteenths of a doubling, so that a customer's spending
level and an order's deviation are added, not multiplied.  A *choice* is a product and a
quantity, `index of the product << QUANTITY_BITS | quantity - 1`.  For each month, category
and price class there is a row of choices to draw from.  The more popular a product is and
the nearer its price is to the budget, the more often it is in the row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from functools import cache, lru_cache
from itertools import islice
from typing import NamedTuple

from data_generation.model.catalog import CATEGORIES, Product
from data_generation.model.customers import (
    LEVELS_PER_DOUBLING,
    ZERO_LEVEL,
    list_level_bounds,
)
from data_generation.model.distributions import (
    UNIT,
    DiscreteDistribution,
    apportion,
    discrete,
    gamma,
    powers_of_two,
    sample_quantiles,
)
from data_generation.model.seasons import Calendar, find_black_friday
from data_generation.model.streams import Streams, is_chosen

# Gamma-Gamma for CDNOW: an order is worth its customer's mean times Gamma(p) ÷ p, p 6.25.
SPEND_P = "6.25"
SPEND_P_PER_CENT = 625
MEAN_ORDER_CENTS = 8000
NOISE_BITS = 12

# Number of distinct products that a customer intends to buy, 1 to 6; the budget bounds it.
LINE_COUNT_WEIGHTS = (500, 240, 130, 70, 35, 25)
MOST_LINES = len(LINE_COUNT_WEIGHTS)
# Levels that a line's budget is below its order's: 16 × log2 of the line count 0 to 7.
LINE_LEVELS = (0, 0, 16, 25, 32, 37, 41, 45)
LEAST_CENTS_PER_LINE = 2400
MOST_CENTS_PER_LINE = 9000

# Units of a product in a line, 1 to 4.
UNIT_WEIGHTS = (100, 28, 11, 6)
QUANTITY_BITS = 2

# Of 256 further lines so many are of the first line's category.
SAME_CATEGORY_256THS = 141

# A price class is half a doubling of a line's budget, from LOWEST_CLASS_LEVEL on.
CLASS_STEPS = 8
CLASS_COUNT = 14
ROW_BITS = 8
ROW = 1 << ROW_BITS
CATEGORY_SIZE = CLASS_COUNT * ROW

# The level of an order's budget fits in a byte; that of MEAN_ORDER_CENTS is ZERO_VALUE.
ZERO_NOISE = 48
ZERO_VALUE = ZERO_LEVEL + ZERO_NOISE
LEVELS = 256

# The lowest price class begins near 7 dollars, where the cheapest products are.
LOWEST_CLASS_LEVEL = ZERO_VALUE - 56

# Likelihood of a choice, as a power of two, by its distance from the budget in levels.
CLOSENESS = [max(40 - gap * gap // 64, 0) for gap in range(LEVELS)]

# If a product is already in the basket, the choice so many places further on is tried.  The
# number is odd and no divisor of the table's size, so that every choice is reached.
STRIDE = 37

# Promotions: the share of products with a discount in a week, and the discounts.
PROMOTED_PER_MILLE = 60
PROMOTED_IN_BLACK_WEEK_PER_MILLE = 420
PROMOTION_PER_CENT: DiscreteDistribution[int] = discrete((10, 15, 20, 30), (40, 25, 25, 10))


class ChoiceTables(NamedTuple):
    """The choices that can be bought in a month.

    *choices* has ROW entries for each price class of each category.  *firsts* is, by byte,
    where the category of a first line begins in *choices*; *furthers* is the same for a
    further line, -1 for the category of the first line.
    """

    choices: list[int]
    firsts: list[int]
    furthers: list[int]


class PricedChoices(NamedTuple):
    """Every choice in a week: the end of its row in order_items.csv, and its cents."""

    texts: list[str]
    cents: list[int]


class BasketTables(NamedTuple):
    """Tables of budgets, line counts and price classes.

    *noise* is an order's deviation from its customer's level, by word; *line_counts* is by
    level and byte; *classes* is, by `level << 3 | line count`, where the price class of a
    line begins within a category.
    """

    noise: list[int]
    line_counts: list[bytes]
    classes: list[int]


@cache
def build_basket_tables() -> BasketTables:
    """Return the tables of budgets, line counts and price classes."""
    bounds, shift = list_level_bounds(), ZERO_NOISE - ZERO_LEVEL - 1
    intended = bytes(count + 1 for count in apportion(LINE_COUNT_WEIGHTS, 256))
    return BasketTables(
        noise=[
            bisect_right(bounds, value * 100 // SPEND_P_PER_CENT) + shift
            for value in sample_quantiles(gamma(SPEND_P), NOISE_BITS)
        ],
        line_counts=[
            intended.translate(
                bytes(_count_lines(cents, count) for count in range(MOST_LINES + 1)).ljust(
                    256
                )
            )
            for cents in level_cents()
        ],
        classes=[
            ROW * _find_class(level - shared)
            for level in range(LEVELS)
            for shared in LINE_LEVELS
        ],
    )


@cache
def level_cents() -> list[int]:
    """Return the budget at each level, in cents."""
    steps = powers_of_two(LEVELS_PER_DOUBLING, -ZERO_VALUE, LEVELS - ZERO_VALUE - 1)
    return [MEAN_ORDER_CENTS * step // UNIT for step in steps]


def _count_lines(cents: int, intended: int) -> int:
    """Return how many lines a budget of *cents* allows for an order of *intended* lines."""
    most = 1 + cents // LEAST_CENTS_PER_LINE
    least = min(cents // MOST_CENTS_PER_LINE, MOST_LINES)
    return max(least, min(intended, most))


def _find_class(level: int) -> int:
    return max(0, min((level - LOWEST_CLASS_LEVEL) // CLASS_STEPS, CLASS_COUNT - 1))


class Assortment:
    """The products on sale: their choices of a month and their prices of a week."""

    def __init__(
        self, streams: Streams, calendar: Calendar, products: Sequence[Product]
    ) -> None:
        self._streams = streams
        self._calendar = calendar
        self._products = products
        self._month: tuple[int, int] | None = None
        self._on_sale = [0] * len(CATEGORIES)
        self._week: int | None = None
        self._category_month: tuple[int, int] | None = None
        self._categories: list[int] = []
        self._list_prices = PricedChoices([], [])
        for product in products:
            texts, cents = price_product(product, 0)
            self._list_prices.texts.extend(texts)
            self._list_prices.cents.extend(cents)
        self._priced = self._list_prices
        self._tables = ChoiceTables([0] * (len(CATEGORIES) * CATEGORY_SIZE), [], [])

    def select_day(self, day_number: int) -> tuple[ChoiceTables, PricedChoices]:
        """Return what can be bought on a day, at which prices; fast in order of days.

        A product is on sale from the month after its launch, or from the window's start.
        """
        day = self._calendar.days[day_number]
        if self._month != (day.year, day.month):
            self._month = day.year, day.month
            self._update_choices(max(day_number - day.day + 1, 0), day.month)
        if self._week != count_weeks(day):
            self._week = count_weeks(day)
            self._priced = self._price_week(day)
        return self._tables, self._priced

    def list_categories(self, day_number: int) -> list[int]:
        """Return the category of a first line on a day, by byte."""
        day = self._calendar.days[day_number]
        first_day = max(day_number - day.day + 1, 0)
        if self._category_month != (day.year, day.month):
            self._category_month = day.year, day.month
            self._categories = _apportion_categories(
                self._list_on_sale(first_day), day.month
            )
        return self._categories

    def _list_on_sale(self, first_day: int) -> list[list[tuple[int, Product]]]:
        """Return the products, by category, on sale in the month from *first_day* on."""
        by_category: list[list[tuple[int, Product]]] = [[] for _ in CATEGORIES]
        for index, product in enumerate(self._products):
            if product.launch_day < first_day or product.launch_day < 0:
                by_category[product.category].append((index, product))
        return by_category

    def _update_choices(self, first_day: int, month: int) -> None:
        """Set the choices of the *month* that begins on *first_day*."""
        by_category = self._list_on_sale(first_day)
        for number, on_sale in enumerate(by_category):
            # In most months a category has no new product.
            if len(on_sale) != self._on_sale[number]:
                self._on_sale[number] = len(on_sale)
                start = number * CATEGORY_SIZE
                self._tables.choices[start : start + CATEGORY_SIZE] = _list_choices(
                    tuple(on_sale)
                )
        starts = [
            CATEGORY_SIZE * number for number in _apportion_categories(by_category, month)
        ]
        self._tables = ChoiceTables(
            self._tables.choices,
            starts,
            [
                *[-1] * SAME_CATEGORY_256THS,
                *(
                    starts[at * 256 // (256 - SAME_CATEGORY_256THS)]
                    for at in range(256 - SAME_CATEGORY_256THS)
                ),
            ],
        )

    def _price_week(self, day: date) -> PricedChoices:
        """Return the choices at the prices of the week of *day*."""
        texts, cents = self._list_prices
        priced = PricedChoices(texts.copy(), cents.copy())
        promotions = draw_promotions(self._streams, day, len(self._products))
        for index, per_cent in enumerate(promotions):
            if per_cent:
                start, stop = index << QUANTITY_BITS, index + 1 << QUANTITY_BITS
                changed = price_product(self._products[index], per_cent)
                priced.texts[start:stop], priced.cents[start:stop] = changed
        return priced


def _apportion_categories(
    by_category: Sequence[Sequence[tuple[int, Product]]], month: int
) -> list[int]:
    """Return 256 categories in proportion to their demand in *month*, where on sale."""
    return apportion(
        [
            category.weight * category.season[month - 1] if on_sale else 0
            for category, on_sale in zip(CATEGORIES, by_category, strict=True)
        ],
        256,
    )


# A promotion recurs, and the spans of one process have the same weeks.
@lru_cache(maxsize=4096)
def price_product(product: Product, per_cent: int) -> PricedChoices:
    r"""Return the choices of *product*, one for each quantity, at *per_cent* off.

    The lists are shared: do not change them.

    >>> product = Product(7, "", "", 0, "", 1299, 0, 0, 0)
    >>> price_product(product, 10).texts[1]
    ',7,2,1299,259,2339\n'
    """
    choices = PricedChoices([], [])
    for quantity in range(1, len(UNIT_WEIGHTS) + 1):
        price = quantity * product.price_cents
        discount = price * per_cent // 100
        choices.cents.append(price - discount)
        choices.texts.append(
            f",{product.product_id},{quantity},{product.price_cents},{discount},"
            f"{price - discount}\n"
        )
    return choices


# The spans of one process have the same products; so have several shops of one seed.
@lru_cache(maxsize=128)
def _list_choices(on_sale: tuple[tuple[int, Product], ...]) -> list[int]:
    """Return the choices of one category, ROW of them for each price class.

    The list is shared: do not change it.
    """
    budgets = level_cents()
    choices = [
        (
            index << QUANTITY_BITS | units,
            product.popularity * weight,
            bisect_right(budgets, (units + 1) * product.price_cents),
        )
        for index, product in on_sale
        for units, weight in enumerate(UNIT_WEIGHTS)
    ]
    codes = [choice for choice, _, _ in choices]
    rows: list[int] = []
    for number in range(CLASS_COUNT):
        middle = LOWEST_CLASS_LEVEL + number * CLASS_STEPS + CLASS_STEPS // 2
        weights = [weight << CLOSENESS[abs(level - middle)] for _, weight, level in choices]
        rows += map(codes.__getitem__, apportion(weights, ROW))
    return rows


def draw_promotions(streams: Streams, day: date, count: int) -> list[int]:
    """Return the discount of each of *count* products on *day*, in per cent; mostly 0.

    A promotion lasts from Monday to Sunday; in the week of Black Friday there are more.
    """
    week = count_weeks(day)
    is_black_week = week == count_weeks(find_black_friday(day.year))
    share = PROMOTED_IN_BLACK_WEEK_PER_MILLE if is_black_week else PROMOTED_PER_MILLE
    chosen = streams.draw("products", "is_promoted", week, count)
    depths = streams.draw("products", "promotion", week, count)
    return [
        PROMOTION_PER_CENT.item_at(depth) if is_chosen(word, share) else 0
        for word, depth in zip(chosen, depths, strict=True)
    ]


def count_weeks(day: date) -> int:
    """Return the number of weeks, Monday to Sunday, before the week of *day*."""
    return (day.toordinal() - 1) // 7


def fill_baskets(
    streams: Streams,
    unit: str,
    words: Sequence[int],
    levels: Sequence[int],
    line_counts: Sequence[int],
    tables: ChoiceTables,
) -> list[int]:
    """Return the choices of all lines of a block of orders, in the order of the orders.

    *words* are half words that choose the first lines: the low byte chooses the category.
    No order has the same product twice.  This is a hot loop: a function call for a further
    line would cost as much as the line itself.
    """
    choices, starts, furthers = tables
    classes, size = build_basket_tables().classes, len(choices)
    firsts = [
        choices[starts[word & 255] + classes[level << 3 | count] + (word >> 8)]
        for word, level, count in zip(words, levels, line_counts, strict=True)
    ]
    more = iter(
        streams.draw_halves(
            "order_items", "further_product_id", unit, sum(line_counts) - len(levels)
        )
    )
    lines: list[int] = []
    add_line = lines.append
    for choice, word, level, count in zip(firsts, words, levels, line_counts, strict=True):
        add_line(choice)
        if count > 1:
            start, offset = starts[word & 255], classes[level << 3 | count]
            taken = [choice >> QUANTITY_BITS]
            for further in islice(more, count - 1):
                at = furthers[further & 255]
                at = (start if at < 0 else at) + offset + (further >> 8)
                product = choices[at] >> QUANTITY_BITS
                while product in taken:
                    at = (at + STRIDE) % size
                    product = choices[at] >> QUANTITY_BITS
                taken.append(product)
                add_line(choices[at])
    return lines
