"""Returns: how likely it is that the goods of an order are sent back.

The odds of a return are a product of factors: the customer's country and habit, the
category of the order's first line, the class of the order's number among the customer's
orders, and whether the order has a coupon.  So a logistic regression finds the factors.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import product

from data_generation.model.catalog import CATEGORIES
from data_generation.model.customers import RETURNER_WEIGHTS
from data_generation.model.markets import COUNTRIES

# Odds are fixed-point numbers; a chance is out of 65,536, as a half word is.
ODDS_BITS = 16
ODDS_UNIT = 1 << ODDS_BITS

# Factors in per cent of the first line's category.  Of clothing and shoes 46 % are returned
# in Germany, of electronics a low single-digit percentage (Asdecker, Bamberg); the steps
# between them are our own choice.
CATEGORY_PER_CENT = {
    "Tops & Shirts": 100,
    "Trousers & Jeans": 120,
    "Coats & Knitwear": 105,
    "Summer & Swim": 90,
    "Shoes": 125,
    "Bags & Accessories": 25,
    "Home & Kitchen": 8,
    "Beauty & Care": 4,
    "Toys & Games": 6,
}

# Factors of the classes of returners, see `customers`.  Our own choice: between customers
# with five orders or more the number of returns then varies three times as much as by
# chance, like the refunds of UCI Online Retail (3.3 times).
RETURNER_PER_CENT = (20, 100, 260, 20_000)

# Factors of the class of an order's number, and how many of 100 orders have it in a shop of
# two years.  Returns rise by 40 % from the first to the tenth order (SSRN 3895309).
NUMBER_PER_CENT, NUMBER_WEIGHTS = (100, 140, 168, 195), (46, 28, 15, 11)

# Factors of an order without and with a coupon; our own choice.
COUPON_PER_CENT = (100, 140)


@cache
def list_return_chances() -> list[list[list[int]]]:
    """Return the chance that an order is returned, unless it is cancelled, of 65,536.

    The indexes are: `class of the order's number << 1 | whether it has a coupon`, the
    category of its first line, and the two low fields of a trait: class of returners and
    country.
    """
    return [
        [
            [
                find_chance(odds, multiply(number, coupon, category, returner))
                for returner in RETURNER_PER_CENT
                for odds in list_country_odds()
            ]
            for category in _list_category_factors()
        ]
        for number in NUMBER_PER_CENT
        for coupon in COUPON_PER_CENT
    ]


def _list_category_factors() -> list[int]:
    return [CATEGORY_PER_CENT[category.name] for category in CATEGORIES]


def multiply(*per_cents: int) -> int:
    """Return the product of factors in per cent as a fixed-point number.

    >>> multiply(50, 300) / ODDS_UNIT
    1.5
    """
    factor = ODDS_UNIT
    for per_cent in per_cents:
        factor = factor * per_cent // 100
    return factor


def find_chance(odds: int, factor: int) -> int:
    """Return the chance at *odds* × *factor*, of 65,536.

    >>> find_chance(ODDS_UNIT, ODDS_UNIT), find_chance(ODDS_UNIT, 3 * ODDS_UNIT)
    (32768, 49152)
    """
    multiplied = odds * factor
    return (multiplied << 16) // (multiplied + (ODDS_UNIT << ODDS_BITS))


@cache
def list_country_odds() -> list[int]:
    """Return, for each country, the odds at which the stated share of orders is returned.

    They are those of a first order without a coupon and with all other factors at 100 %.
    """
    mix = list(_iterate_mix())
    total = sum(weight for weight, _ in mix)

    @cache
    def sum_chances(odds: int) -> int:
        return sum([weight * find_chance(odds, factor) for weight, factor in mix])

    candidates = range(0, ODDS_UNIT, ODDS_UNIT >> 10)
    return [
        candidates[
            bisect_left(
                candidates,
                total * (country.returned_per_mille << 16) // 1000,
                key=sum_chances,
            )
        ]
        for country in COUNTRIES
    ]


def _iterate_mix() -> Iterator[tuple[int, int]]:
    """Yield the orders of a typical shop, without coupons: weights and factors of odds."""
    for (category, factor), (returners, returner), (numbers, number) in product(
        zip(CATEGORIES, _list_category_factors(), strict=True),
        zip(RETURNER_WEIGHTS, RETURNER_PER_CENT, strict=True),
        zip(NUMBER_WEIGHTS, NUMBER_PER_CENT, strict=True),
    ):
        weight = category.weight * returners * numbers
        yield weight, multiply(factor, returner, number)
