"""Free shipping: orders just below its threshold are raised above it.

Customers add to an order that would miss free shipping by a little.  The last line of such
an order becomes a dearer choice of the first line's category, so that the number of lines,
from which ids follow, stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

from data_generation.model.baskets import (
    ROW,
    STRIDE,
    ChoiceTables,
    Picks,
    find_class,
    level_at,
)
from data_generation.model.prices import QUANTITY_BITS
from data_generation.model.streams import Streams

# Goods for at least this amount, after discounts, are sent free of charge.
FREE_SHIPPING_CENTS = 7500

# Of 256 orders that would miss it by a fifth or less, how many are raised, if there is such
# a choice, which one in seven lacks.  So 22 % are raised: 12 to 28 % in an experiment of
# Hemmati et al. (2021).
RAISED_256THS = 66
# By chance, for `bytes.translate`.
IS_RAISED = bytes([chance < RAISED_256THS for chance in range(256)])
LEAST_RAISED_CENTS = FREE_SHIPPING_CENTS - FREE_SHIPPING_CENTS // 5

# A raised order is above the threshold by at most this amount.
MOST_ABOVE_CENTS = FREE_SHIPPING_CENTS // 5

# How many choices are tried.  More would only find the rare ones of categories whose
# products have other prices.
TRIED_CHOICES = 32


class Baskets(NamedTuple):
    """The lines of a block of orders, and by order their cents and coupons.

    The lines of an order are those between two *ends*.
    """

    lines: list[int]
    ends: Sequence[int]
    subtotals: list[int]
    per_cents: Sequence[int]


def raise_orders(
    streams: Streams,
    unit: str,
    baskets: Baskets,
    picks: Picks,
    tables: ChoiceTables,
    cents: Sequence[int],
) -> None:
    """Raise some orders of *baskets* above the threshold of free shipping, in place.

    *picks* choose the first lines, *cents* are the prices of all choices.
    """
    lines, ends, subtotals, per_cents = baskets
    chances = streams.draw_bytes("order_items", "raised_product_id", unit, len(subtotals))
    least, most = 100 * LEAST_RAISED_CENTS, 100 * FREE_SHIPPING_CENTS
    for at in compress(range(len(subtotals)), chances.translate(IS_RAISED)):
        if not least <= subtotals[at] * (100 - per_cents[at]) < most:
            continue
        # Rounded up, because the coupon's cents are rounded down.
        missing = -(-most // (100 - per_cents[at])) - subtotals[at]
        first, last = ends[at], ends[at + 1] - 1
        taken = [line >> QUANTITY_BITS for line in lines[first:last]]
        before = cents[lines[last]]
        category, place = picks.categories[at], picks.places[at]
        choice = _find_choice(tables, category, place, taken, cents, before + missing)
        if choice is not None:
            lines[last] = choice
            subtotals[at] += cents[choice] - before


def _find_choice(
    tables: ChoiceTables,
    category: int,
    place: int,
    taken: Sequence[int],
    cents: Sequence[int],
    least: int,
) -> int | None:
    """Return a choice that *category* and *place* pick for *least* cents or a little more.

    Its product is not in *taken*.  Return None if the row of the price has no such choice.
    It is a row for orders of one line, whose prices are near each other; only some places
    of it are tried.
    """
    most = least + MOST_ABOVE_CENTS
    level = level_at(least + MOST_ABOVE_CENTS // 2)
    start = tables.firsts[category] + ROW * find_class(level)
    for step in range(TRIED_CHOICES):
        choice = tables.choices[start + (place + STRIDE * step) % ROW]
        if least <= cents[choice] < most and choice >> QUANTITY_BITS not in taken:
            return choice
    return None
