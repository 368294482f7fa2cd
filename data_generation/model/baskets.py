"""Baskets: from the budget of an order to its lines of products.

A budget is measured in levels, sixteenths of a doubling, so that a customer's spending
level and an order's deviation are added, not multiplied.  The budget of a line gives its
price class; for each category and price class there is a row of choices to draw from, see
`assortment`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import compress, islice
from typing import NamedTuple

from data_generation.model.customers import (
    LAST_ORDER_CLASS,
    LEVELS_PER_DOUBLING,
    ZERO_LEVEL,
    find_levels,
)
from data_generation.model.distributions import (
    UNIT,
    apportion,
    gamma,
    powers_of_two,
    sample_quantiles,
)
from data_generation.model.habits import CYCLE_MASK, Habit, find_habit
from data_generation.model.prices import QUANTITY_BITS
from data_generation.model.streams import Streams

# Gamma-Gamma: an order is worth its customer's mean times Gamma(p) ÷ p.  The p of 6.25 that
# is published for CDNOW (Fader, Hardie and Lee 2005) means a standard deviation of .43 of
# ln order value within a customer; in CDNOW's own data it is .587, in UCI Online Retail
# .90.  This p, our own choice, gives .57, and a correlation of .42 within customers (CDNOW
# .37, UCI Online Retail and Complete Journey .30).
SPEND_P = "4.6"
SPEND_P_PER_CENT = 460
MEAN_ORDER_CENTS = 7600
NOISE_BITS = 12

# How many levels an order is above its customer's: a first one, one after a short gap, and
# one after a long gap.  So order values grow with the gap before them: their correlation
# within a customer is .09 in CDNOW and Complete Journey, .19 in UCI Online Retail.
FIRST_STEP, SHORT_GAP_STEP, LONG_GAP_STEP = 1, -3, 4

# Number of distinct products that a customer intends to buy, 1 to 12; the budget bounds it.
# Mostly one, or many: pairs of best sellers are bought together more often than by chance
# only if the number of lines varies a lot.
LINE_COUNT_WEIGHTS = (700, 60, 40, 30, 28, 26, 25, 24, 23, 22, 21, 25)
COUNT_BITS = 4
# By line count, for `bytes.translate`.
HAS_FURTHER_LINES = bytes([count > 1 for count in range(256)])
# Levels that a line's budget is below its order's, by line count 0 to 12: 16 × log2 of the
# count, less for the first line, more for a further one, which is cheaper; and as much as
# the jitter of the lines makes them dearer on average.
FIRST_LEVELS = (0, 0, 13, 20, 26, 31, 35, 38, 41, 44, 46, 48, 50)
FURTHER_LEVELS = (0, 0, 30, 39, 45, 49, 53, 56, 58, 60, 62, 64, 65)
LEAST_CENTS_PER_LINE = 2100
MOST_CENTS_PER_LINE = 20_000

# A price class is half a doubling of a line's budget, from LOWEST_CLASS_LEVEL on.
CLASS_STEPS = 8
CLASS_COUNT = 12
ROW_BITS = 8
ROW = 1 << ROW_BITS
CATEGORY_SIZE = CLASS_COUNT * ROW

# By how many price classes the lines of an order of several cost more or less than its
# budget, by the place in the row.  Our own choice, for the spread of UCI Online Retail and
# Complete Journey (standard deviation of ln line total within an order .73).
CLASS_JITTER = (-3, 1, -1, 2, 0, -2, 3, 0, -1, 2, -3, 0, 1, -2, 0, 3)

# The level of an order's budget fits in a byte; that of MEAN_ORDER_CENTS is ZERO_VALUE.
ZERO_NOISE = 48
ZERO_VALUE = ZERO_LEVEL + ZERO_NOISE
LEVELS = 256

# The lowest price class begins near 7 dollars, where the cheapest products are.
LOWEST_CLASS_LEVEL = ZERO_VALUE - 56

# If a product is already in the basket, the choice this number of places on is tried.  The
# number has no factor in common with the table's size, so that every choice is reached.
STRIDE = 37

# The mark of further lines of the first line's category in `ChoiceTables`.
SAME_CATEGORY = -1

# Of 256 orders, how many have a category by their user's taste, and of 256 of these, how
# many a place in the row of choices too.  Our own choice, for the lifts over chance of
# Complete Journey (the same category as in the last order: 2.81) and of UCI Online Retail
# (a product bought before: 2.37).
TASTE_256THS, PRODUCT_TASTE_256THS = 126, 118
# By chance, for `bytes.translate`.
HAS_TASTE = bytes([chance < TASTE_256THS for chance in range(256)])


class ChoiceTables(NamedTuple):
    """The choices that can be bought on a day.

    *choices* has ROW entries for each price class of each category; the best sellers are
    one more category.  *firsts* is, by byte, where the category of a first line begins in
    *choices*; *furthers* is the same for a further line, SAME_CATEGORY for the category of
    the first line.  *companions* is used instead after a first line of one of the
    *best_sellers*, which have the shares of the products in all lines.
    """

    choices: list[int]
    firsts: list[int]
    furthers: list[int]
    companions: list[int]
    best_sellers: dict[int, int]


class BasketTables(NamedTuple):
    """Tables of budgets, line counts and price classes.

    *noise* is an order's deviation from its customer's level, by the kind of its purchase
    and by word; *line_counts* is by level and byte; *firsts* and *furthers* are, by
    `level << COUNT_BITS | line count`, the places of the choices of a first and of a
    further line within a category.
    """

    noise: list[list[int]]
    line_counts: list[bytes]
    firsts: list[list[int]]
    furthers: list[list[int]]


@cache
def build_basket_tables() -> BasketTables:
    """Return the tables of budgets, line counts and price classes."""
    most = len(LINE_COUNT_WEIGHTS)
    return BasketTables(
        noise=_list_noise(),
        line_counts=[
            _bound_line_counts(
                min(cents // MOST_CENTS_PER_LINE, most),
                min(1 + cents // LEAST_CENTS_PER_LINE, most),
            )
            for cents in level_cents()
        ],
        firsts=_list_places(FIRST_LEVELS),
        furthers=_list_places(FURTHER_LEVELS),
    )


def _list_noise() -> list[list[int]]:
    """Return an order's deviation from its customer's level, by kind and word."""
    levels = find_levels(
        [
            value * 100 // SPEND_P_PER_CENT
            for value in sample_quantiles(gamma(SPEND_P), NOISE_BITS)
        ]
    )
    shift = ZERO_NOISE - ZERO_LEVEL
    by_step = {
        step: [level + shift + step for level in levels]
        for step in dict.fromkeys(list_kind_steps())
    }
    return [by_step[step] for step in list_kind_steps()]


def list_kind_steps() -> list[int]:
    """Return how many levels an order is above its customer's, by kind of purchase."""
    return [FIRST_STEP] * 2 + [SHORT_GAP_STEP, LONG_GAP_STEP] * LAST_ORDER_CLASS


@cache
def level_cents() -> list[int]:
    """Return the budget at each level, in cents."""
    steps = powers_of_two(LEVELS_PER_DOUBLING, -ZERO_VALUE, LEVELS - ZERO_VALUE - 1)
    return [MEAN_ORDER_CENTS * step // UNIT for step in steps]


def level_at(cents: int) -> int:
    """Return the lowest level whose budget is more than *cents*."""
    return bisect_right(level_cents(), cents)


# Most budgets have the bounds of others.
@cache
def _bound_line_counts(least: int, most: int) -> bytes:
    """Return the line counts by byte of orders that have from *least* to *most* lines."""
    intended = apportion(LINE_COUNT_WEIGHTS, 256)
    return bytes([max(least, min(count + 1, most)) for count in intended])


def _list_places(line_levels: Sequence[int]) -> list[list[int]]:
    """Return the places of a line's choices within a category.

    They are by `level << COUNT_BITS | line count`, then by place in a row.
    """
    counts = 1 << COUNT_BITS
    levels, lowest = (*line_levels, *[0] * (counts - len(line_levels))), max(line_levels)
    alone, with_jitter = (
        [
            _list_class_places(find_class(level), has_jitter)
            for level in range(-lowest, LEVELS)
        ]
        for has_jitter in (False, True)
    )
    return [
        (with_jitter if count > 1 else alone)[lowest + level - levels[count]]
        for level in range(LEVELS)
        for count in range(counts)
    ]


@cache
def _list_class_places(number: int, has_jitter: bool) -> list[int]:
    """Return the places of the choices of price class *number* within a category.

    With jitter, they are in the rows of dearer classes as often as of cheaper ones, so
    there is less of it in the lowest and the highest classes.
    """
    most = min(number, CLASS_COUNT - 1 - number) if has_jitter else 0
    jitters = [max(-most, min(jitter, most)) for jitter in CLASS_JITTER]
    return [
        ROW * (number + jitters[(at + 3 * number) % len(jitters)]) + at for at in range(ROW)
    ]


def find_class(level: int) -> int:
    """Return the price class of a line with a budget of *level*."""
    return max(0, min((level - LOWEST_CLASS_LEVEL) // CLASS_STEPS, CLASS_COUNT - 1))


class Picks(NamedTuple):
    """Random bytes that choose lines: a category, and a place in the row of choices."""

    categories: bytes
    places: bytes


def draw_picks(streams: Streams, column: str, unit: str, count: int) -> Picks:
    """Return what *count* half words of a stream pick: the low byte picks the category."""
    drawn = streams.draw_bytes("order_items", column, unit, 2 * count)
    return Picks(drawn[::2], drawn[1::2])


def fill_baskets(
    streams: Streams,
    unit: str,
    picks: Picks,
    levels: Sequence[int],
    line_counts: bytes,
    tables: ChoiceTables,
) -> list[int]:
    """Return the choices of all lines of a block of orders, in the order of the orders.

    *picks* choose the first lines.  No order has the same product twice.  This is a hot
    loop: a function call for a further line would cost as much as the line itself.  Two
    orders in three have one line and take no step of it.
    """
    choices, starts, furthers, companions, best_sellers = tables
    budgets, size = build_basket_tables(), len(choices)
    first_places, further_places = budgets.firsts, budgets.furthers
    first_starts = list(map(starts.__getitem__, picks.categories))
    firsts = [
        choices[start + first_places[level << COUNT_BITS | count][place]]
        for start, place, level, count in zip(
            first_starts, picks.places, levels, line_counts, strict=True
        )
    ]
    further_count = sum(line_counts) - len(levels)
    more = zip(*draw_picks(streams, "further_product_id", unit, further_count), strict=True)
    lines: list[int] = []
    add_line, before = lines.append, 0
    orders = zip(
        range(1, len(firsts) + 1), firsts, first_starts, levels, line_counts, strict=True
    )
    for stop, first_choice, start, level, count in compress(
        orders, line_counts.translate(HAS_FURTHER_LINES)
    ):
        lines += firsts[before:stop]
        before, places = stop, further_places[level << COUNT_BITS | count]
        first = first_choice >> QUANTITY_BITS
        categories, taken = companions if first in best_sellers else furthers, [first]
        for category, place in islice(more, count - 1):
            at = categories[category]
            at = (start if at < 0 else at) + places[place]
            choice = choices[at]
            product = choice >> QUANTITY_BITS
            while product in taken:
                at = (at + STRIDE) % size
                choice = choices[at]
                product = choice >> QUANTITY_BITS
            taken.append(product)
            add_line(choice)
    lines += firsts[before:]
    return lines


def add_taste(streams: Streams, unit: str, picks: Picks, users: Sequence[int]) -> Picks:
    """Return the *picks* of a block of orders, some by the taste of their *users*.

    By taste, an order has the same category as other orders of its user or, less often, the
    same place in the row of choices too.
    """
    tastes = _list_tastes(find_habit(streams, "taste"))
    categories, places = bytearray(picks.categories), bytearray(picks.places)
    chances = streams.draw_bytes("order_items", "taste", unit, len(users))
    for at in compress(range(len(users)), chances.translate(HAS_TASTE)):
        taste = users[at] & CYCLE_MASK
        categories[at] = tastes.categories[taste]
        if chances[at] < PRODUCT_TASTE_256THS:
            places[at] = tastes.places[taste]
    return Picks(bytes(categories), bytes(places))


@lru_cache(maxsize=1)
def _list_tastes(habit: Habit) -> Picks:
    """Return what the taste *habit* picks for a cycle of users."""
    halves = habit.list_halves(range(CYCLE_MASK + 1))
    return Picks(
        bytes([half & 255 for half in halves]), bytes([half >> 8 for half in halves])
    )
