"""The assortment: which choices an order's lines are drawn from on a day.

For each category and price class there is a row of choices.  The more popular a product is
and the nearer its price is to the budget, the more often it is in the row.  A promoted
product takes places of others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate, repeat
from operator import floordiv, itemgetter, lshift
from typing import NamedTuple

from data_generation.model.baskets import (
    CATEGORY_SIZE,
    CLASS_COUNT,
    CLASS_STEPS,
    LEVELS,
    LOWEST_CLASS_LEVEL,
    ROW,
    ROW_BITS,
    ChoiceTables,
    level_at,
)
from data_generation.model.catalog import CATEGORIES, Product
from data_generation.model.companions import (
    BEST_SELLERS,
    COMPANION_256THS,
    BestSeller,
    find_best_sellers,
    list_companions,
    list_further_categories,
)
from data_generation.model.distributions import (
    UNIT_BITS,
    apportion,
    cumulate,
    fill_places,
    powers_of_two,
)
from data_generation.model.events import Event, Kind, find_viral_product
from data_generation.model.prices import (
    QUANTITIES,
    QUANTITY_BITS,
    PricedChoices,
    PriceList,
    count_weeks,
)
from data_generation.model.seasons import PER_MILLE, Calendar
from data_generation.model.streams import Streams, is_chosen

# Weights of the units of a product in a line, 1 to 4.
UNIT_WEIGHTS = (100, 28, 11, 6)

# Of 256 further lines, how many are of the first line's category.  Our own choice.
SAME_CATEGORY_256THS = 48

# Of 1,000 rows of low and of high price classes, how many have one choice, of 256, of a
# bulk quantity, and the most that this quantity costs; in high classes it is the largest.
# Our own choice: the largest order is then 30 to 50 times the mean (CDNOW: 36, Olist: 48).
BULK_ROWS_PER_MILLE, BULK_HIGH_ROWS_PER_MILLE = 100, 700
FIRST_HIGH_CLASS = 8
MOST_BULK_CENTS = 400_000
BULK_CODES = range(len(UNIT_WEIGHTS), len(QUANTITIES))

# The days of a period, and the periods in which a product's weight halves.  It also changes
# with the price from the launch on, with an elasticity of -1.  Our own choice: the response
# to regular prices is weaker than that to promotions.
PERIOD_DAYS, HALF_LIFE_PERIODS, MOST_PERIODS = 91, 24, 160

# The places of a row.
PLACES = list(range(ROW))

# How much more of a product is sold at a discount, in 256ths, by the discount in per cent:
# (1 − d)**-4.3.  The products of a category compete, so the measured elasticity is about
# -2.1; the mean of 1,851 is -2.62 (Bijmolt, van Heerde and Pieters 2005), that of Complete
# Journey -2.23.
PROMOTION_LIFTS = {10: 403, 15: 515, 20: 668, 30: 1187}


class Offer(NamedTuple):
    """A product on the shelf: its index, its weight and its list price."""

    product: int
    weight: int
    price_cents: int


class CategoryRows(NamedTuple):
    """The rows of a category, one after the other, in *choices*.

    *marks* are by price class: where in a row the places of each offer begin, and the end.
    """

    choices: list[int]
    marks: list[list[int]]


class Assortment:
    """The products on sale: their choices of a day and their prices of a week."""

    def __init__(
        self,
        streams: Streams,
        calendar: Calendar,
        products: Sequence[Product],
        events: Sequence[Event] = (),
    ) -> None:
        self._streams = streams
        self._calendar = calendar
        self._products = products
        self._ranked: list[list[int]] = [[] for _ in CATEGORIES]
        for index in sorted(range(len(products)), key=lambda at: -products[at].popularity):
            self._ranked[products[index].category].append(index)
        self._prices = PriceList(streams, calendar, products, events)
        self._viral = _list_viral_weeks(calendar, products, events)
        self._shelf_days = _list_shelf_days(products)
        self._shelves = [-1] * len(CATEGORIES)
        # What is sold more of the promoted and viral products, in ROWths.
        self._lifts: dict[int, int] = {}
        self._offers: list[tuple[Offer, ...]] = [()] * len(CATEGORIES)
        self._rows = [CategoryRows([0] * CATEGORY_SIZE, [])] * len(CATEGORIES)
        self._day_number: int | None = None
        self._month: tuple[int, int] | None = None
        self._category_month: tuple[int, int] | None = None
        self._categories = b""
        # The shares of the best sellers in all lines, by category.
        self._best_sellers: list[dict[int, int]] = [{} for _ in CATEGORIES]
        self._tables = ChoiceTables([0] * (BEST_SELLERS + CATEGORY_SIZE), [], [], [], {})

    def select_day(self, day_number: int) -> tuple[ChoiceTables, PricedChoices]:
        """Return what can be bought on a day, at which prices; fast in order of days.

        A product is on sale from the day after its launch, or from the window's start.
        """
        if day_number == self._day_number:
            return self._tables, self._prices.priced
        self._day_number, day = day_number, self._calendar.days[day_number]
        week = count_weeks(day)
        changed = self._update_rows(day_number)
        has_new_prices = self._prices.select_week(day_number, day)
        if has_new_prices:
            changed += self._list_promoted()
            self._lifts = _find_lifts(self._prices.promotions, self._viral.get(week, {}))
            changed += self._list_promoted()
        for number in dict.fromkeys(changed):
            start = number * CATEGORY_SIZE
            choices = self._rows[number].choices
            self._tables.choices[start : start + CATEGORY_SIZE] = choices
            self._promote_category(number, week)
        if changed or has_new_prices:
            self._update_best_sellers()
        if self._month != (day.year, day.month):
            self._month = day.year, day.month
            self._update_starts(day_number)
        return self._tables, self._prices.priced

    def list_categories(self, day_number: int) -> bytes:
        """Return the category of a first line on a day, by byte."""
        day = self._calendar.days[day_number]
        if self._category_month != (day.year, day.month):
            self._category_month = day.year, day.month
            first_day = max(day_number - day.day + 1, 0)
            weights = [
                category.weight * category.season[day.month - 1]
                if any(_is_on_sale(self._products[index], first_day) for index in ranked)
                else 0
                for category, ranked in zip(CATEGORIES, self._ranked, strict=True)
            ]
            self._categories = bytes(apportion(weights, 256))
        return self._categories

    def _update_starts(self, day_number: int) -> None:
        """Set the tables of categories in the month of a day."""
        starts = [CATEGORY_SIZE * number for number in self.list_categories(day_number)]
        same = SAME_CATEGORY_256THS
        self._tables = self._tables._replace(
            firsts=starts,
            furthers=list_further_categories(starts, same, 0),
            companions=list_further_categories(starts, same, COMPANION_256THS),
        )

    def _update_best_sellers(self) -> None:
        """Set the best sellers and the choices among them."""
        shares = {
            product: share
            for best_sellers in self._best_sellers
            for product, share in best_sellers.items()
        }
        lifts, prices = self._lifts, self._prices.list_cents
        found = [
            BestSeller(product, share * (ROW + lifts.get(product, 0)), prices[product])
            for product, share in shares.items()
        ]
        self._tables = self._tables._replace(best_sellers=shares)
        self._tables.choices[BEST_SELLERS:] = list_companions(found)

    def _update_rows(self, day_number: int) -> list[int]:
        """Set the rows of a day, without promotions; return the categories that changed."""
        changed: list[int] = []
        for number, days in enumerate(self._shelf_days):
            shelf = bisect_right(days, day_number)
            if shelf != self._shelves[number]:
                self._shelves[number] = shelf
                offers = self._list_offers(days[shelf - 1], number)
                if offers:
                    self._offers[number] = offers
                    self._rows[number] = _list_rows(self._streams, offers)
                    self._best_sellers[number] = find_best_sellers(
                        number,
                        [offer.product for offer in offers],
                        self._rows[number].marks,
                    )
                    changed.append(number)
        return changed

    def _list_offers(self, day_number: int, category: int) -> tuple[Offer, ...]:
        """Return the products of a category on sale on a day, the most popular first."""
        offers: list[Offer] = []
        for index in self._ranked[category]:
            product = self._products[index]
            if _is_on_sale(product, day_number):
                price = self._prices.histories[index].price_at(day_number)
                weight = _weigh(product, price, day_number - product.launch_day)
                offers.append(Offer(index, weight, price))
        return tuple(offers)

    def _list_promoted(self) -> list[int]:
        """Return the category of each product that is promoted or viral."""
        return [self._products[index].category for index in self._lifts]

    def _promote_category(self, number: int, week: int) -> None:
        """Change the choices of a category for promotions and viral product of *week*."""
        promoted = [
            (position, self._lifts[offer.product])
            for position, offer in enumerate(self._offers[number])
            if offer.product in self._lifts
        ]
        if promoted:
            chances = self._streams.draw_bytes(
                "products", "promotion_place", f"{number}/{week}", CLASS_COUNT
            )
            start = number * CATEGORY_SIZE
            _promote(self._tables.choices, start, self._rows[number], promoted, chances)


def _find_lifts(promotions: Mapping[int, int], viral: Mapping[int, int]) -> dict[int, int]:
    """Return what is sold more of promoted and of viral products, in ROWths.

    *promotions* are discounts in per cent, *viral* is what being viral adds.
    """
    lifts = {index: PROMOTION_LIFTS[at] - ROW for index, at in promotions.items()}
    return lifts | {index: lifts.get(index, 0) + lift for index, lift in viral.items()}


def _list_viral_weeks(
    calendar: Calendar, products: Sequence[Product], events: Sequence[Event]
) -> dict[int, dict[int, int]]:
    """Return, by week and product, how much more is sold, in ROWths of what is usual."""
    return {
        week: {
            find_viral_product(products, calendar.start, event): (
                event.per_mille * ROW // PER_MILLE
            )
        }
        for event in events
        if event.kind is Kind.VIRAL_PRODUCT
        for week in range(count_weeks(event.first), count_weeks(event.last) + 1)
    }


def _is_on_sale(product: Product, day_number: int) -> bool:
    is_launched = product.launch_day < day_number or product.launch_day < 0
    return is_launched and day_number < product.end_day


def _list_shelf_days(products: Sequence[Product]) -> list[list[int]]:
    """Return, by category, the days on which its rows are made anew: launches and ends."""
    all_days: list[list[int]] = [[] for _ in CATEGORIES]
    for product in products:
        all_days[product.category] += [product.launch_day + 1, product.end_day]
    return [sorted([0, *(day for day in days if day > 0)]) for days in all_days]


@cache
def _age_weights() -> list[int]:
    return [
        weight >> UNIT_BITS - 8
        for weight in powers_of_two(HALF_LIFE_PERIODS, -MOST_PERIODS, 0)[::-1]
    ]


def _weigh(product: Product, price_cents: int, age_days: int) -> int:
    """Return the weight of *product* at a list price and an age; at least 1."""
    weight = product.popularity * _age_weights()[min(age_days // PERIOD_DAYS, MOST_PERIODS)]
    return max(weight * product.price_cents // price_cents, 1)


@cache
def _list_closeness() -> list[list[int]]:
    """Return how likely a choice is by its level, as a power of two, by price class."""
    middles = range(LOWEST_CLASS_LEVEL + CLASS_STEPS // 2, LEVELS, CLASS_STEPS)
    return [
        [max(40 - (level - middle) ** 2 // 64, 0) for level in range(LEVELS)]
        for middle in middles[:CLASS_COUNT]
    ]


# The spans of one process have the same products; so have several shops of one seed.
@lru_cache(maxsize=256)
def _list_rows(streams: Streams, offers: tuple[Offer, ...]) -> CategoryRows:
    """Return the rows of the category of *offers*.

    The lists are shared: do not change them.
    """
    rows = CategoryRows([], [])
    codes = [offer.product << QUANTITY_BITS for offer in offers]
    scaled = [ROW * offer.weight for offer in offers]
    levels = [_list_unit_levels(offer.price_cents) for offer in offers]
    for unit_weights in zip(*map(_weigh_units, levels), strict=True):
        marks, row = _fill_row(codes, scaled, unit_weights)
        rows.choices.extend(row)
        rows.marks.append(marks)
    _add_bulk(streams, rows.choices, offers)
    return rows


@cache
def _list_unit_levels(price_cents: int) -> tuple[int, ...]:
    """Return the levels of the prices of one unit, of two units, …."""
    units = range(1, len(UNIT_WEIGHTS) + 1)
    return tuple([level_at(count * price_cents) for count in units])


@cache
def _weigh_units(levels: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return, by price class, the cumulated weights of units whose prices have *levels*."""
    select_levels = itemgetter(*levels)
    return [
        tuple(accumulate(map(lshift, UNIT_WEIGHTS, select_levels(closeness))))
        for closeness in _list_closeness()
    ]


def _fill_row(
    codes: Sequence[int], scaled: Sequence[int], unit_weights: Sequence[tuple[int, ...]]
) -> tuple[list[int], list[int]]:
    """Return where in a row the places of each product begin, and the row.

    *codes* are the choices of one unit, *scaled* the weights of the products × ROW, and
    *unit_weights* are from `_weigh_units`.  Most products have no place in a row; therefore
    places are divided among the products first, then those of each among its units.
    """
    totals, total = cumulate(
        [weight * units[-1] for weight, units in zip(scaled, unit_weights, strict=True)],
        ROW,
    )
    marks = list(map(floordiv, totals, repeat(total)))
    choices: list[int] = []
    starts: list[int] = []
    columns = zip(codes, scaled, unit_weights, totals, marks, marks[1:], strict=False)
    for code, weight, (one, two, three, _), before, start, stop in columns:
        if start < stop:
            choices += code, code | 1, code | 2, code | 3
            starts += (
                start,
                (before + weight * one) // total,
                (before + weight * two) // total,
                (before + weight * three) // total,
            )
    return marks, fill_places(choices, [*starts, marks[-1]])


def _add_bulk(streams: Streams, rows: list[int], offers: Sequence[Offer]) -> None:
    """Change a place of some of *rows* to a bulk quantity of the same product."""
    prices = {offer.product: offer.price_cents for offer in offers}
    words = streams.draw("products", "bulk", max(prices), CLASS_COUNT)
    for number, word in enumerate(words):
        is_high = number >= FIRST_HIGH_CLASS
        if is_chosen(word, BULK_HIGH_ROWS_PER_MILLE if is_high else BULK_ROWS_PER_MILLE):
            at = number * ROW + word % ROW
            product = rows[at] >> QUANTITY_BITS
            most = MOST_BULK_CENTS // prices[product]
            codes = [code for code in BULK_CODES if QUANTITIES[code] <= most]
            code = codes[-1] if is_high else codes[(word >> ROW_BITS) % len(codes)]
            rows[at] = product << QUANTITY_BITS | code


def _promote(
    choices: list[int],
    start: int,
    rows: CategoryRows,
    promoted: Sequence[tuple[int, int]],
    chances: bytes,
) -> None:
    """Give more places of *rows*, which begin at *start* of *choices*, to some products.

    *promoted* are positions among the offers, with what is sold more in ROWths of what is
    sold else.  *chances* are random bytes, one for each price class.
    """
    firsts = range(start, start + CATEGORY_SIZE, ROW)
    for first, marks, chance in zip(firsts, rows.marks, chances, strict=True):
        added: list[int] = []
        others: list[int] = []
        after = 0
        for position, lift in promoted:
            low, high = marks[position], marks[position + 1]
            if low < high:
                others += PLACES[after:low]
                after, size = high, high - low
                select_some = select_evenly(size, (lift * size + chance) // ROW)
                added += select_some(choices[first + low : first + high])
        others += PLACES[after:]
        if added and others:
            _replace_some(choices, first, others, added, chance)


@cache
def select_evenly(size: int, number: int) -> Callable[[Sequence[int]], Sequence[int]]:
    """Return what selects *number* of *size* items, spread evenly.

    >>> select_evenly(6, 4)("abcdef"), select_evenly(6, 1)("abcdef")
    (('a', 'b', 'd', 'e'), 'a')
    """
    if number < 2:
        return itemgetter(slice(number))
    return itemgetter(*[at * size // number for at in range(number)])


def _replace_some(
    choices: list[int],
    start: int,
    places: Sequence[int],
    added: Sequence[int],
    chance: int,
) -> None:
    """Put *added* in three of four *places* of a row at most, spread evenly.

    The row begins at *start* of *choices*.  *chance*, a byte, decides where the first one
    is.
    """
    size = len(places)
    number = min(len(added), size * 3 // 4)
    step, unit = ROW * size, ROW * number
    for scaled, choice in zip(
        range(chance * size, chance * size + number * step, step), added, strict=False
    ):
        choices[start + places[scaled // unit]] = choice
