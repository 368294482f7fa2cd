"""Baskets: from what a customer has in mind to spend, to lines of products.

Money in mind is counted in levels, sixteenths of an octave, so that a customer's level
and an order's chance are added, not multiplied.  A *choice* is a product and a quantity,
`product << QUANTITY_BITS | quantity - 1`, with its product's place in the catalogue.
For each month, category and price class there is a row of choices to draw from: likely
ones, by popularity and by how near they come to the money, stand in it often.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from functools import cache
from itertools import islice
from typing import NamedTuple

from data_generation.model.catalog import CATEGORIES, Product
from data_generation.model.customers import OCTAVE_STEPS, ZERO_LEVEL, list_level_bounds
from data_generation.model.distributions import (
    UNIT,
    Choice,
    deal,
    expand,
    gamma,
    octave_steps,
    weigh_choice,
)
from data_generation.model.seasons import Calendar, find_black_friday
from data_generation.model.streams import Streams, is_chosen

# Gamma-Gamma for CDNOW: an order is worth its customer's mean times Gamma(p) ÷ p, p 6.25.
SPEND_P = "6.25"
SPEND_P_PER_CENT = 625
MEAN_ORDER_CENTS = 8000
NOISE_BITS = 12

# Distinct products that a customer would like; the budget bounds them from both sides.
LINE_COUNT_WEIGHTS = (500, 240, 130, 70, 35, 25)
MOST_LINES = len(LINE_COUNT_WEIGHTS)
# What a line has less than its order, in levels: 16 × log2 of the line count 0 to 7.
LINE_LEVELS = (0, 0, 16, 25, 32, 37, 41, 45)
LEAST_CENTS_PER_LINE = 2400
MOST_CENTS_PER_LINE = 9000

# Units of a product that a customer takes, 1 to 4.
UNIT_WEIGHTS = (100, 28, 11, 6)
QUANTITY_BITS = 2

# A further product comes from the first one's category this often, of 256.
SAME_CATEGORY_256THS = 141

# A price class is half an octave of what a line may cost, from LOWEST_CLASS_LEVEL on.
CLASS_STEPS = 8
CLASS_COUNT = 14
ROW_BITS = 8
ROW = 1 << ROW_BITS
CATEGORY_SIZE = CLASS_COUNT * ROW

# Levels of an order's value lie in a byte; that of MEAN_ORDER_CENTS is ZERO_VALUE.
ZERO_NOISE = 48
ZERO_VALUE = ZERO_LEVEL + ZERO_NOISE
LEVELS = 256

# The lowest price class begins near 7 dollars, where the cheapest products are.
LOWEST_CLASS_LEVEL = ZERO_VALUE - 56

# How much likelier a choice is, in powers of two, that is so many levels off the money.
CLOSENESS = [max(40 - gap * gap // 64, 0) for gap in range(LEVELS)]

# A product already in the basket gives way to the choice so far on; odd, and no divisor of
# the table's size, so that every choice is reached.
STRIDE = 37

# Promotions: share of the products on offer in a week, and how deep.
PROMOTED_PER_MILLE = 60
PROMOTED_IN_BLACK_WEEK_PER_MILLE = 420
PROMOTION_PER_CENT: Choice[int] = weigh_choice((10, 15, 20, 30), (40, 25, 25, 10))


class Shelves(NamedTuple):
    """What can be bought in a month.

    *choices* has ROW entries for each price class of each category.  *firsts* tells by byte
    where a first line's category begins in it; *furthers* the same for a further line, -1
    for the first line's own.
    """

    choices: list[int]
    firsts: list[int]
    furthers: list[int]


class Labels(NamedTuple):
    """Every choice as bought in a week: end of its row in order_items.csv, and cents."""

    texts: list[str]
    cents: list[int]


class Spending(NamedTuple):
    """Tables of what an order will hold.

    *noise* is by word, in levels; *line_counts* by level and byte; *classes* tells by
    `level << 3 | line count` where a line's price class begins within a category.
    """

    noise: list[int]
    line_counts: list[bytes]
    classes: list[int]


@cache
def make_spending() -> Spending:
    """Return the tables of orders' values, line counts and price classes."""
    bounds, shift = list_level_bounds(), ZERO_NOISE - ZERO_LEVEL - 1
    wanted = bytes(count + 1 for count in deal(LINE_COUNT_WEIGHTS, 256))
    return Spending(
        noise=[
            bisect_right(bounds, value * 100 // SPEND_P_PER_CENT) + shift
            for value in expand(gamma(SPEND_P), NOISE_BITS)
        ],
        line_counts=[
            wanted.translate(
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
    """Return the money in mind at each level, in cents."""
    steps = octave_steps(OCTAVE_STEPS, -ZERO_VALUE, LEVELS - ZERO_VALUE - 1)
    return [MEAN_ORDER_CENTS * step // UNIT for step in steps]


def _count_lines(cents: int, wanted: int) -> int:
    """Return how many lines *cents* make of the number *wanted*, at least 1."""
    most = 1 + cents // LEAST_CENTS_PER_LINE
    least = min(cents // MOST_CENTS_PER_LINE, MOST_LINES)
    return max(least, min(wanted, most))


def _find_class(level: int) -> int:
    return max(0, min((level - LOWEST_CLASS_LEVEL) // CLASS_STEPS, CLASS_COUNT - 1))


class Stock:
    """The shelves of the running month, and the labels of the running week."""

    def __init__(
        self, streams: Streams, calendar: Calendar, products: Sequence[Product]
    ) -> None:
        self._streams = streams
        self._calendar = calendar
        self._products = products
        self._month: tuple[int, int] | None = None
        self._on_sale = [0] * len(CATEGORIES)
        self._week: int | None = None
        self._plain_labels = Labels([], [])
        for product in products:
            texts, cents = label_product(product, 0)
            self._plain_labels.texts.extend(texts)
            self._plain_labels.cents.extend(cents)
        self._labels = self._plain_labels
        self._shelves = Shelves([0] * (len(CATEGORIES) * CATEGORY_SIZE), [], [])

    def open_day(self, day_number: int) -> tuple[Shelves, Labels]:
        """Return what can be bought on a day; days are asked for in rising order.

        A product is on sale from the month after its launch, or from the window's start.
        """
        day = self._calendar.days[day_number]
        if self._month != (day.year, day.month):
            self._month = day.year, day.month
            self._stock_month(max(day_number - day.day + 1, 0), day.month)
        if self._week != count_weeks(day):
            self._week = count_weeks(day)
            self._labels = self._label(day)
        return self._shelves, self._labels

    def _stock_month(self, first_day: int, month: int) -> None:
        shelves: list[list[tuple[int, Product]]] = [[] for _ in CATEGORIES]
        for place, product in enumerate(self._products):
            if product.launch_day < first_day or product.launch_day < 0:
                shelves[product.category].append((place, product))
        for number, shelf in enumerate(shelves):
            # Most months bring a category nothing new.
            if len(shelf) != self._on_sale[number]:
                self._on_sale[number] = len(shelf)
                start = number * CATEGORY_SIZE
                self._shelves.choices[start : start + CATEGORY_SIZE] = _lay_out(shelf)
        starts = [
            CATEGORY_SIZE * number
            for number in deal(
                [
                    category.weight * category.season[month - 1] if shelf else 0
                    for category, shelf in zip(CATEGORIES, shelves, strict=True)
                ],
                256,
            )
        ]
        self._shelves = Shelves(
            self._shelves.choices,
            starts,
            [
                *[-1] * SAME_CATEGORY_256THS,
                *(
                    starts[at * 256 // (256 - SAME_CATEGORY_256THS)]
                    for at in range(256 - SAME_CATEGORY_256THS)
                ),
            ],
        )

    def _label(self, day: date) -> Labels:
        promotions = promote(self._streams, day, len(self._products))
        labels = Labels(self._plain_labels.texts.copy(), self._plain_labels.cents.copy())
        for place, per_cent in enumerate(promotions):
            if per_cent:
                start, stop = place << QUANTITY_BITS, place + 1 << QUANTITY_BITS
                changed = label_product(self._products[place], per_cent)
                labels.texts[start:stop], labels.cents[start:stop] = changed
        return labels


def label_product(product: Product, per_cent: int) -> Labels:
    r"""Return the labels of each quantity of *product* at *per_cent* off.

    >>> product = Product(7, "", "", 0, "", 1299, 0, 0, 0)
    >>> label_product(product, 10).texts[1]
    ',7,2,1299,259,2339\n'
    """
    labels = Labels([], [])
    for quantity in range(1, len(UNIT_WEIGHTS) + 1):
        price = quantity * product.price_cents
        discount = price * per_cent // 100
        labels.cents.append(price - discount)
        labels.texts.append(
            f",{product.product_id},{quantity},{product.price_cents},{discount},"
            f"{price - discount}\n"
        )
    return labels


def _lay_out(shelf: Sequence[tuple[int, Product]]) -> list[int]:
    """Return the choices of one category, ROW of them for each price class."""
    rising = level_cents()
    choices = [
        (
            place << QUANTITY_BITS | units,
            product.popularity * weight,
            bisect_right(rising, (units + 1) * product.price_cents),
        )
        for place, product in shelf
        for units, weight in enumerate(UNIT_WEIGHTS)
    ]
    names = [choice for choice, _, _ in choices]
    rows: list[int] = []
    for number in range(CLASS_COUNT):
        middle = LOWEST_CLASS_LEVEL + number * CLASS_STEPS + CLASS_STEPS // 2
        weights = [weight << CLOSENESS[abs(level - middle)] for _, weight, level in choices]
        rows += map(names.__getitem__, deal(weights, ROW))
    return rows


def promote(streams: Streams, day: date, count: int) -> list[int]:
    """Return the discount of each of *count* products on a day, in per cent; mostly 0.

    Promotions last a week, Monday to Sunday; in the week of Black Friday there are more.
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
    """Return how many weeks, Monday to Sunday, lie before the one of *day*."""
    return (day.toordinal() - 1) // 7


def fill_baskets(
    streams: Streams,
    unit: str,
    levels: Sequence[int],
    line_counts: Sequence[int],
    shelves: Shelves,
) -> list[int]:
    """Return the choices of all lines of a block of orders, in the orders' order.

    No order has a product twice.  A loop of one step an order; the call a further line
    would need is spared, as it would cost as much as the line.
    """
    choices, starts, furthers = shelves
    classes, size = make_spending().classes, len(choices)
    words = streams.draw_halves("order_items", "product_id", unit, len(levels))
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
    put = lines.append
    for choice, word, level, count in zip(firsts, words, levels, line_counts, strict=True):
        put(choice)
        if count > 1:
            start, place = starts[word & 255], classes[level << 3 | count]
            taken = [choice >> QUANTITY_BITS]
            for further in islice(more, count - 1):
                at = furthers[further & 255]
                at = (start if at < 0 else at) + place + (further >> 8)
                product = choices[at] >> QUANTITY_BITS
                while product in taken:
                    at = (at + STRIDE) % size
                    product = choices[at] >> QUANTITY_BITS
                taken.append(product)
                put(choices[at])
    return lines
