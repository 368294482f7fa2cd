"""Prices: what each choice costs in a week, by list prices that move and by promotions.

A *choice* is a product and a quantity, `index of the product << QUANTITY_BITS | code of the
quantity`.  Prices and discounts change on Mondays only, so a week has one price list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from data_generation.model.catalog import CATEGORIES, Product, round_price
from data_generation.model.distributions import DiscreteDistribution, discrete
from data_generation.model.events import SALE_PER_CENTS, Event, Kind
from data_generation.model.seasons import PER_MILLE, Calendar, find_black_friday
from data_generation.model.streams import Streams, is_chosen, list_chosen

# Quantities by code.  Only the first UNIT_WEIGHTS, see `assortment`, are common.
QUANTITY_BITS = 3
QUANTITIES = (1, 2, 3, 4, 6, 10, 16, 24)

# Every four weeks from its launch, a product may get a new list price.
STEP_DAYS = 28
# The chance of a step, per mille, of 16 products: three are never changed.
# Cavallo 2018: in a month 15.4 % of products change (2008 to 2010), 27.4 % (2014 to 2017).
STEP_PER_MILLE = (0, 0, 0, 80, 110, 140, 160, 180, 200, 220, 250, 280, 300, 330, 360, 400)
# The sizes of steps, per mille.  Our own choice: seven in twelve are rises.
STEP_SIZES = (-150, -100, -80, -60, -40, 30, 40, 50, 60, 80, 100, 130)
# A list price stays within these per cents of the price at launch.
LEAST_PRICE_PER_CENT, MOST_PRICE_PER_CENT = 60, 170

# Promotions: the share of categories with promotions in a week, the share of the products
# of these with a discount, and the discounts.  In a sale and in the week of Black Friday
# every category has promotions.
PROMOTED_CATEGORIES_PER_MILLE = 350
PROMOTED_PER_MILLE = 130
PROMOTED_IN_SALE_PER_MILLE = 420
PROMOTION_PER_CENT: DiscreteDistribution[int] = discrete((10, 15, 20, 30), (40, 25, 25, 10))


class PricedChoices(NamedTuple):
    """Every choice in a week: the end of its row in order_items.csv, and its cents."""

    texts: list[str]
    cents: list[int]


class PriceHistory(NamedTuple):
    """The list prices of a product: from each of *days* on, the price in *cents*."""

    days: list[int]
    cents: list[int]

    def price_at(self, day: int) -> int:
        """Return the list price on *day*; before the launch, that at the launch."""
        return self.cents[bisect_right(self.days, day, lo=1) - 1]


def find_price_history(streams: Streams, product: Product, day_count: int) -> PriceHistory:
    """Return the list prices of *product* from its launch until day *day_count*.

    A longer window begins with the same prices.
    """
    count = max(day_count - product.launch_day, 0) // STEP_DAYS
    chance, *words = streams.draw("products", "price_step", product.product_id, count + 1)
    limit = STEP_PER_MILLE[chance % len(STEP_PER_MILLE)]
    history = PriceHistory([product.launch_day], [product.price_cents])
    for index in list_chosen(words, limit):
        cents = _step_price(product, history.cents[-1], words[index])
        if cents != history.cents[-1]:
            history.days.append(product.launch_day + (index + 1) * STEP_DAYS)
            history.cents.append(cents)
    return history


def raise_prices(history: PriceHistory, day: int, per_mille: int) -> PriceHistory:
    """Return *history* with all prices from *day* on higher by *per_mille*.

    A product that is launched later keeps its prices.

    >>> raise_prices(PriceHistory([-9, 30], [1999, 2999]), 14, 100)
    PriceHistory(days=[-9, 14, 30], cents=[1999, 2199, 3299])
    """
    at = bisect_left(history.days, day)
    if at == 0:
        return history
    raised = [
        round_price(cents * (PER_MILLE + per_mille) // PER_MILLE, cents % 100)
        for cents in history.cents[at - 1 :]
    ]
    return PriceHistory(
        [*history.days[:at], day, *history.days[at:]], [*history.cents[:at], *raised]
    )


def _step_price(product: Product, cents: int, word: int) -> int:
    """Return the next list price of *product* after *cents*, with the same ending."""
    size = STEP_SIZES[word % len(STEP_SIZES)]
    stepped = round_price(cents * (1000 + size) // 1000, product.price_cents % 100)
    per_cent = 100 * stepped // product.price_cents
    return stepped if LEAST_PRICE_PER_CENT <= per_cent <= MOST_PRICE_PER_CENT else cents


class PriceList:
    """The prices of all products; fast in order of weeks.

    *list_cents* are the list prices of the week by product.
    """

    def __init__(
        self,
        streams: Streams,
        calendar: Calendar,
        products: Sequence[Product],
        events: Sequence[Event] = (),
    ) -> None:
        self.histories = [
            find_price_history(streams, product, len(calendar.days)) for product in products
        ]
        for event in events:
            if event.kind is Kind.PRICE_RISE:
                day = (event.first - calendar.start).days
                for index, product in enumerate(products):
                    if product.brand == event.subject:
                        self.histories[index] = raise_prices(
                            self.histories[index], day, event.per_mille
                        )
        self._sales = {
            count_weeks(event.first): SALE_PER_CENTS[event.subject]
            for event in events
            if event.kind is Kind.SALE
        }
        self._products = products
        self._streams = streams
        self._week: int | None = None
        self._changes = self._list_changes(calendar.start)
        self.list_cents = [0] * len(products)
        self.priced = PricedChoices(
            [""] * (len(products) << QUANTITY_BITS), [0] * (len(products) << QUANTITY_BITS)
        )
        self.promotions: dict[int, int] = {}

    def select_week(self, day_number: int, day: date) -> bool:
        """Set the prices of the week of *day*; return whether the week is another one.

        *day_number* is the number of *day* in the window.  The prices are in *priced*, the
        discounts in *promotions*, as in `draw_promotions`.
        """
        week = count_weeks(day)
        if week == self._week:
            return False
        changed = self._update_list_prices(week, day_number - day.weekday())
        # What was promoted has its list price again, unless it is promoted again.
        per_cents = dict.fromkeys([*changed, *self.promotions], 0)
        self.promotions = draw_promotions(
            self._streams, day, self._products, self._sales.get(week, 0)
        )
        for index, per_cent in (per_cents | self.promotions).items():
            self._set_price(index, per_cent)
        return True

    def _update_list_prices(self, week: int, monday: int) -> Iterable[int]:
        """Set the list prices of *week*, from *monday* on; return whose may be new."""
        changed: Iterable[int] = range(len(self._products))
        if self._week is not None and self._week < week:
            weeks = range(self._week + 1, week + 1)
            changed = [index for at in weeks for index in self._changes.get(at, ())]
        self._week = week
        for index in changed:
            self.list_cents[index] = self.histories[index].price_at(monday)
        return changed

    def _list_changes(self, start: date) -> dict[int, list[int]]:
        """Return, by week, the products whose list price is new on its Monday."""
        changes: dict[int, list[int]] = defaultdict(list)
        first = start.toordinal() - 1
        for index, history in enumerate(self.histories):
            for day in history.days:
                changes[-(-(first + day) // 7)].append(index)
        return changes

    def _set_price(self, index: int, per_cent: int) -> None:
        """Set the prices of a product, at *per_cent* off its list price."""
        start, stop = index << QUANTITY_BITS, index + 1 << QUANTITY_BITS
        texts, cents = self.priced
        texts[start:stop], cents[start:stop] = price_product(
            self._products[index].product_id, self.list_cents[index], per_cent
        )


# Prices and promotions recur, and the spans of one process have the same weeks.
@lru_cache(maxsize=8192)
def price_product(product_id: int, price_cents: int, per_cent: int) -> PricedChoices:
    r"""Return the choices of a product, one for each quantity, at *per_cent* off.

    The lists are shared: do not change them.

    >>> price_product(7, 1299, 10).texts[1]
    ',7,2,1299,259,2339\n'
    """
    choices = PricedChoices([], [])
    start, middle = f",{product_id},", f",{price_cents},"
    for quantity in QUANTITIES:
        price = quantity * price_cents
        discount = price * per_cent // 100
        total = price - discount
        choices.texts.append(f"{start}{quantity}{middle}{discount},{total}\n")
        choices.cents.append(total)
    return choices


def draw_promotions(
    streams: Streams, day: date, products: Sequence[Product], sale_per_cent: int = 0
) -> dict[int, int]:
    """Return the discounts on *day* in per cent, by index of *products*.

    A promotion lasts from Monday to Sunday; in the week of Black Friday there are more.  So
    there are in a sale, all with the discount *sale_per_cent*.
    """
    week, count = count_weeks(day), len(products)
    share = PROMOTED_PER_MILLE
    categories = [
        is_chosen(word, PROMOTED_CATEGORIES_PER_MILLE)
        for word in streams.draw("products", "promoted_category", week, len(CATEGORIES))
    ]
    if sale_per_cent or week == count_weeks(find_black_friday(day.year)):
        categories, share = [True] * len(CATEGORIES), PROMOTED_IN_SALE_PER_MILLE
    chosen = streams.draw("products", "is_promoted", week, count)
    depths = streams.draw("products", "promotion", week, count)
    return {
        index: sale_per_cent or PROMOTION_PER_CENT.item_at(depths[index])
        for index in list_chosen(chosen, share)
        if categories[products[index].category]
    }


def count_weeks(day: date) -> int:
    """Return the number of weeks, Monday to Sunday, before the week of *day*."""
    return (day.toordinal() - 1) // 7
