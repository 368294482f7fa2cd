"""Companions: a best seller is often bought together with another one.

Which products are best sellers follows from the rows of choices, so it changes when a
product is launched or ends.  The choices among them are rows of one more category.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import mul, sub
from typing import NamedTuple

from data_generation.model.baskets import (
    CATEGORY_SIZE,
    CLASS_COUNT,
    CLASS_STEPS,
    LEVELS,
    LOWEST_CLASS_LEVEL,
    ROW,
    SAME_CATEGORY,
    level_at,
)
from data_generation.model.catalog import CATEGORIES
from data_generation.model.distributions import fill_places, find_marks
from data_generation.model.prices import QUANTITY_BITS
from data_generation.model.seasons import PER_MILLE

# Of 1,000 lines, in how many a best seller is expected at least.
BEST_SELLER_PER_MILLE = 12
# Of 256 lines that follow a first line of a best seller, how many are of another one.  Our
# own choice, for the lift over chance of pairs of best sellers in UCI Online Retail (1.6)
# and Complete Journey (2.5).
COMPANION_256THS = 112

# The lines of each price class in per cent of all lines, as counted in a shop.
CLASS_PER_CENT = (14, 8, 13, 10, 11, 11, 12, 9, 8, 3, 1, 0)
SHARE_UNIT = ROW * sum(CLASS_PER_CENT) * sum(category.weight for category in CATEGORIES)

# Where the choices among the best sellers begin, and how many price classes share a row.
BEST_SELLERS = CATEGORY_SIZE * len(CATEGORIES)
COMPANION_CLASSES = 3


class BestSeller(NamedTuple):
    """A best seller: its index, its share of the lines in a week and its list price."""

    product: int
    share: int
    price_cents: int


def find_best_sellers(
    category: int, products: Sequence[int], marks: Sequence[Sequence[int]]
) -> dict[int, int]:
    """Return the best sellers of *products*, with their shares of all lines.

    *marks* are by price class: where in a row of *category* the places of each of
    *products* begin, and the end.
    """
    counts = zip(*(map(sub, row[1:], row) for row in marks), strict=True)
    weight = CATEGORIES[category].weight
    shares = [weight * sum(map(mul, CLASS_PER_CENT, by_class)) for by_class in counts]
    least = BEST_SELLER_PER_MILLE * SHARE_UNIT // PER_MILLE
    return {
        product: share
        for product, share in zip(products, shares, strict=True)
        if share >= least
    }


def list_companions(best_sellers: Sequence[BestSeller]) -> list[int]:
    """Return the rows of choices among *best_sellers*, one after the other.

    A best seller is in a row by its share, and somewhat more often the nearer its price is
    to the budget.
    """
    if not best_sellers:
        return [0] * CATEGORY_SIZE
    levels = [level_at(best.price_cents) for best in best_sellers]
    choices = [best.product << QUANTITY_BITS for best in best_sellers]
    rows: list[int] = []
    for likelihoods in _list_likelihoods():
        scaled = [
            ROW * best.share * likelihoods[level]
            for best, level in zip(best_sellers, levels, strict=True)
        ]
        rows += fill_places(choices, find_marks(scaled, ROW)) * COMPANION_CLASSES
    return rows


@cache
def _list_likelihoods() -> list[list[int]]:
    """Return how likely a best seller is by its level, for each row."""
    steps = CLASS_STEPS * COMPANION_CLASSES
    middles = range(LOWEST_CLASS_LEVEL + steps // 2, LEVELS, steps)
    return [
        [1 << max(12 - (level - middle) ** 2 // 512, 0) for level in range(LEVELS)]
        for middle in middles[: CLASS_COUNT // COMPANION_CLASSES]
    ]


def list_further_categories(starts: Sequence[int], same: int, companions: int) -> list[int]:
    """Return, by byte, where the category of a further line begins in the choices.

    Of 256 lines *same* are of the first line's category and *companions* of best sellers;
    the others are of the categories that begin at *starts*.

    >>> list_further_categories(range(256), 252, 2)[250:]
    [-1, -1, 27648, 27648, 0, 128]
    """
    others = 256 - same - companions
    return [
        *[SAME_CATEGORY] * same,
        *[BEST_SELLERS] * companions,
        *(starts[at * 256 // others] for at in range(others)),
    ]
