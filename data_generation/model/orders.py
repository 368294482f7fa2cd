"""Orders, their lines, their money and their payments: one day at a time.

A day is made in blocks of orders, so that memory is bounded by the block.  A block is made
column by column: random words are drawn in bulk, used as indexes of small tables of
finished numbers and texts, and the results joined into rows.  One order in three has more
events than a table can hold; the functions of `lifecycle` compute those.
"""

from __future__ import annotations

import operator
import struct
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, compress, repeat
from typing import NamedTuple

from data_generation.model.assortment import Assortment
from data_generation.model.baskets import (
    NOISE_BITS,
    ChoiceTables,
    Picks,
    add_taste,
    build_basket_tables,
    draw_picks,
    fill_baskets,
)
from data_generation.model.channels import CHANNELS
from data_generation.model.customers import (
    CHANNEL_SHIFT,
    COUNTRY_MASK,
    GAP_BITS,
    KIND_MASK,
    LAST_ORDER_CLASS,
    LEVEL_SHIFT,
    TIME_SHIFT,
    USER_SHIFT,
)
from data_generation.model.events import CAMPAIGN_COUPONS
from data_generation.model.free_shipping import (
    FREE_SHIPPING_CENTS,
    Baskets,
    raise_orders,
)
from data_generation.model.habits import CYCLE_MASK, find_habit
from data_generation.model.lifecycle import (
    BANK_TRANSFER,
    CHARGE_TEXTS,
    FIRST_PARTLY_RETURNED,
    HAS_LATER_PAYMENTS,
    HOUR,
    IS_CHARGED_AT_ONCE,
    IS_PARTLY_RETURNED,
    LIFECYCLE_BITS,
    LIFECYCLE_DAYS,
    METHOD_MASK,
    MOST_PAY_DELAY,
    PAYMENT_MASK,
    REFUND_TEXTS,
    RETURNED_TEXT,
    build_lifecycle_tables,
    count_payments,
    final_statuses,
    find_ending,
    find_status,
    immediate_payment_delays,
    keep_goods,
    list_payments,
    payment_delay,
)
from data_generation.model.markets import COUNTRIES
from data_generation.model.prices import PricedChoices
from data_generation.model.returns import list_return_chances
from data_generation.model.seasons import DAY_SECONDS, MINUTES, SECONDS, Calendar
from data_generation.model.streams import Streams

# Orders of a block.  Part of the format: the streams are named by the block's number.
BLOCK = 2048

# Coupons on an order: how many first and how many later orders of 1,000 have one.
WELCOME_COUPON_PER_MILLE, WELCOME_PER_CENT = 220, 10
COUPON_PER_MILLE, COUPON_PER_CENT = 70, 15
# How often customers of these channels have coupons, in per cent of the shares above;
# those of all others, COUPONS_ELSEWHERE.  Our own choice: coupons come by e-mail and from
# affiliates.
COUPONS_BY_CHANNEL = {"affiliate": 180, "email": 150}
COUPONS_ELSEWHERE = 91

# The bits of a trait that decide on returns: the class of returners and the country.
RETURN_MASK = (1 << CHANNEL_SHIFT) - 1
# The bits of a trait that decide on coupons: its channel, and all below.
COUPON_MASK = (1 << LEVEL_SHIFT) - 1
# The bits of a purchase that state its user and kind.
UNTIMED_MASK = (1 << TIME_SHIFT) - 1
LIFE_SHIFT = 16 - LIFECYCLE_BITS

_TAXES = [country.tax_per_mille for country in COUNTRIES]
_SHIPPING = [country.shipping_cents for country in COUNTRIES]


class Money(NamedTuple):
    """The money of a block of orders in cents, by column."""

    subtotals: list[int]
    discounts: list[int]
    shipping: list[int]
    taxes: list[int]
    totals: list[int]


def compute_money(
    subtotals: list[int], per_cents: Sequence[int], countries: Sequence[int]
) -> Money:
    """Return the money of orders: coupon, shipping with a free threshold, tax on goods.

    *per_cents* are the coupons; *countries* are indexes of COUNTRIES.

    >>> compute_money([4999, 9998], [10, 0], [0, 1])._asdict()
    {'subtotals': [4999, 9998], 'discounts': [499, 0], 'shipping': [599, 0], \
'taxes': [315, 2000], 'totals': [5414, 11998]}
    """
    taxes, fees = _TAXES, _SHIPPING
    discounts, goods = [0] * len(subtotals), subtotals.copy()
    # One order in ten has a coupon.
    for at in compress(range(len(subtotals)), per_cents):
        discounts[at] = subtotals[at] * per_cents[at] // 100
        goods[at] -= discounts[at]
    shipping = [
        0 if cents >= FREE_SHIPPING_CENTS else fees[country]
        for cents, country in zip(goods, countries, strict=True)
    ]
    tax = [
        (cents * taxes[country] + 500) // 1000
        for cents, country in zip(goods, countries, strict=True)
    ]
    totals = list(map(operator.add, map(operator.add, goods, shipping), tax))
    return Money(subtotals, discounts, shipping, tax, totals)


class Block(NamedTuple):
    """A block of orders before its lines are chosen, by column.

    *purchases* and *traits* are integers as in `customers`, *lifecycles* codes as in
    `lifecycle`.  *picks* choose the first lines.  *kinds* are
    `class of the order's number << 1 | whether it has a coupon`.  The integers of the last
    four columns fit into a byte.
    """

    unit: str
    purchases: Sequence[int]
    users: Sequence[int]
    traits: Sequence[int]
    picks: Picks
    levels: Sequence[int]
    line_counts: bytes
    kinds: Sequence[int]
    lifecycles: bytes


class PlacedOrders(NamedTuple):
    """A block of orders with their ids, times and totals, by column.

    *countries* are indexes of COUNTRIES, *seconds* of the day, *delays* seconds until an
    immediate payment, *chances* 64 random bits, *totals* cents.  *first_shares* are the
    cents of the first line, by index, for orders of several lines that are returned in
    part.
    """

    ids: list[str]
    countries: list[int]
    lifecycles: bytes
    seconds: list[int]
    delays: bytes
    chances: tuple[int, ...]
    totals: list[int]
    first_shares: dict[int, int]


class Ids(NamedTuple):
    """Numbers of orders, lines and payments, which are also the last ids in use."""

    orders: int = 0
    items: int = 0
    payments: int = 0

    def add(self, other: Ids) -> Ids:
        """Return the sums of both."""
        return Ids(
            self.orders + other.orders,
            self.items + other.items,
            self.payments + other.payments,
        )


@cache
def build_kind_tables(has_campaign: bool) -> list[list[bytes]]:
    """Return the kind of an order, see `Block`, by the low byte of its user's trait.

    The second index is the kind of the purchase, the third a random byte.  During a
    campaign more orders have a coupon.
    """
    by_channel = [
        [
            bytes([order_class << 1 | 1]) * limit
            + bytes([order_class << 1]) * (256 - limit)
            for order_class in [kind >> GAP_BITS for kind in range(KIND_MASK + 1)]
            for limit in [
                256
                * (CAMPAIGN_COUPONS if has_campaign and order_class else 1)
                * _coupon_per_mille(channel.name, order_class)
                // 1000
            ]
        ]
        for channel in CHANNELS
    ]
    return [table for table in by_channel for _ in range(1 << CHANNEL_SHIFT)]


def _coupon_per_mille(channel: str, order_class: int) -> int:
    per_mille = COUPON_PER_MILLE if order_class else WELCOME_COUPON_PER_MILLE
    return per_mille * COUPONS_BY_CHANNEL.get(channel, COUPONS_ELSEWHERE) // 100


# The coupon by the kind of an order, in per cent.
_COUPONS = [0, WELCOME_PER_CENT, *[0, COUPON_PER_CENT] * LAST_ORDER_CLASS]


def plan_blocks(
    streams: Streams,
    day: str,
    purchases: Sequence[int],
    traits: array[int],
    categories: bytes,
    *,
    has_campaign: bool,
) -> Iterator[Block]:
    """Yield the blocks of orders of *day*, from its sorted *purchases*.

    *traits* are by user; *categories* are those of the day's first lines, by byte.
    """
    kind_tables = build_kind_tables(has_campaign)
    for start in range(0, len(purchases), BLOCK):
        block = purchases[start : start + BLOCK]
        unit = f"{day}/{start // BLOCK}"
        yield _plan_block(streams, unit, block, traits, categories, kind_tables)


def _plan_block(
    streams: Streams,
    unit: str,
    purchases: Sequence[int],
    traits: array[int],
    categories: bytes,
    kind_tables: Sequence[Sequence[bytes]],
) -> Block:
    baskets = build_basket_tables()
    noise, shift = baskets.noise, 16 - NOISE_BITS
    users = list_users(purchases)
    user_traits = [traits[user] for user in users]
    purchase_kinds = [purchase & KIND_MASK for purchase in purchases]
    count = len(purchases)
    levels = [
        (trait >> LEVEL_SHIFT) + noise[kind][word >> shift]
        for trait, kind, word in zip(
            user_traits,
            purchase_kinds,
            streams.draw_halves("orders", "basket_value", unit, count),
            strict=True,
        )
    ]
    line_counts = baskets.line_counts
    picks = draw_picks(streams, "product_id", unit, count)
    picks = add_taste(streams, unit, picks, users)
    kinds = [
        kind_tables[trait & COUPON_MASK][kind][byte]
        for trait, kind, byte in zip(
            user_traits,
            purchase_kinds,
            streams.draw_bytes("orders", "coupon", unit, count),
            strict=True,
        )
    ]
    return Block(
        unit,
        purchases,
        users,
        user_traits,
        picks,
        levels,
        bytes(
            [
                line_counts[level][byte]
                for level, byte in zip(
                    levels,
                    streams.draw_bytes("orders", "line_count", unit, count),
                    strict=True,
                )
            ]
        ),
        kinds,
        _draw_lifecycles(
            streams,
            unit,
            users,
            user_traits,
            picks.categories.translate(categories),
            kinds,
        ),
    )


def list_users(purchases: Iterable[int]) -> list[int]:
    """Return the users of *purchases*."""
    # Without their time they are one digit of CPython's integers, which is faster.
    return [(purchase & UNTIMED_MASK) >> USER_SHIFT for purchase in purchases]


def _draw_lifecycles(
    streams: Streams,
    unit: str,
    users: Sequence[int],
    traits: Sequence[int],
    categories: bytes,
    kinds: Sequence[int],
) -> bytes:
    """Return the lifecycle of each order.

    *categories* are those of the first lines.  This is a hot loop: a pass for each table
    would take a third more time.
    """
    methods = find_habit(streams, "method").list_cycle()
    tables, chances, kept = build_lifecycle_tables(), list_return_chances(), keep_goods()
    count = len(users)
    codes = [
        code if word < chances[kind][category][trait & RETURN_MASK] else kept[code]
        for user, trait, category, kind, life, word in zip(
            users,
            traits,
            categories,
            kinds,
            streams.draw_halves("orders", "life", unit, count),
            streams.draw_halves("orders", "is_returned", unit, count),
            strict=True,
        )
        for code in (
            tables[trait & COUNTRY_MASK][methods[user & CYCLE_MASK]][life >> LIFE_SHIFT],
        )
    ]
    return bytes(codes)


def count_ids(blocks: Iterable[Block]) -> Ids:
    """Return how many orders, lines and payments *blocks* result in, at any time."""
    payments = count_payments()
    total = Ids()
    for block in blocks:
        payment_count = sum(block.lifecycles.translate(payments))
        total = total.add(Ids(len(block.purchases), sum(block.line_counts), payment_count))
    return total


class Rows(NamedTuple):
    """Finished lines of orders.csv and order_items.csv."""

    orders: list[str]
    order_items: list[str]


class DayPayments:
    """The payments of a day, in the order of their orders: seconds of the day, and texts.

    A text is the payment's row without its id and time.
    """

    __slots__ = ("seconds", "texts")

    def __init__(self) -> None:
        self.seconds: list[int] = []
        self.texts: list[str] = []

    def add(self, second: int, text: str) -> None:
        """Append a payment."""
        self.seconds.append(second)
        self.texts.append(text)

    def extend(self, seconds: Iterable[int], texts: Iterable[str]) -> None:
        """Append payments by column."""
        self.seconds.extend(seconds)
        self.texts.extend(texts)


def format_payments(payments: DayPayments, day: str, first_id: int) -> Iterator[list[str]]:
    """Yield the rows of the payments of *day* in time order, some at a time."""
    texts, minute_texts, second_texts = payments.texts, MINUTES, SECONDS
    # One integer per payment, of as few bits as possible: short ones are sorted faster.
    bits = len(texts).bit_length()
    mask = (1 << bits) - 1
    keys = [second << bits | index for index, second in enumerate(payments.seconds)]
    keys.sort()
    for start in range(0, len(keys), BLOCK):
        yield [
            f"{payment}{texts[key & mask]}{day}"
            f"{minute_texts[second // 60]}{second_texts[second % 60]}\n"
            for payment, key in enumerate(keys[start : start + BLOCK], first_id + start)
            for second in [key >> bits]
        ]


class OrderBuilder:
    """Makes rows of orders, day after day; keeps the last ids in use, and the payments.

    The payments of a day are complete when the day and all before it have been made.
    *ids.payments* is not used.
    """

    def __init__(self, streams: Streams, calendar: Calendar, ids: Ids) -> None:
        self.ids = ids
        self.payments_by_day: dict[int, DayPayments] = defaultdict(DayPayments)
        self._after_midnight = DayPayments()
        self._streams = streams
        self._calendar = calendar
        # The start of the window by country: local time, in seconds since a Monday.
        self._local_starts = [
            DAY_SECONDS * calendar.start.weekday() + HOUR * country.utc_offset_hours
            for country in COUNTRIES
        ]

    def count_payments(self) -> int:
        """Return how many payments are kept."""
        return sum(len(payments.texts) for payments in self.payments_by_day.values())

    def make_day(
        self, day: int, blocks: Iterable[Block], assortment: Assortment
    ) -> Iterator[Rows]:
        """Yield the rows of one day, block by block, from the products of *assortment*."""
        for block in blocks:
            tables, priced = assortment.select_day(day)
            baskets = self._fill_baskets(block, tables, priced.cents)
            yield self._make_block(day, block, baskets, priced)
        if self._after_midnight.texts:
            # Not before the day ends: they follow the later payments of its other orders.
            seconds, texts = self._after_midnight.seconds, self._after_midnight.texts
            self.payments_by_day[day + 1].extend(seconds, texts)
            self._after_midnight = DayPayments()

    def _fill_baskets(
        self, block: Block, tables: ChoiceTables, cents: Sequence[int]
    ) -> Baskets:
        """Return the lines of *block*, whose choices have these *cents*."""
        lines = fill_baskets(
            self._streams,
            block.unit,
            block.picks,
            block.levels,
            block.line_counts,
            tables,
        )
        totals = [0, *accumulate(map(cents.__getitem__, lines))]
        ends = [0, *accumulate(block.line_counts)]
        totals_at_ends = list(map(totals.__getitem__, ends))
        baskets = Baskets(
            lines,
            ends,
            list(map(operator.sub, totals_at_ends[1:], totals_at_ends)),
            list(map(_COUPONS.__getitem__, block.kinds)),
        )
        raise_orders(self._streams, block.unit, baskets, block.picks, tables, cents)
        return baskets

    def _make_block(
        self, day: int, block: Block, baskets: Baskets, priced: PricedChoices
    ) -> Rows:
        """Return the orders and lines of *block*; keep its payments for their days."""
        first_order, first_item = self.ids.orders + 1, self.ids.items + 1
        self.ids = self.ids.add(Ids(len(block.purchases), len(baskets.lines)))
        orders = list(map(str, range(first_order, self.ids.orders + 1)))
        texts = priced.texts
        items = [
            f"{item},{order}{texts[line]}"
            for item, order, line in zip(
                range(first_item, self.ids.items + 1),
                chain.from_iterable(map(repeat, orders, block.line_counts)),
                baskets.lines,
                strict=True,
            )
        ]
        money, placed = self._place_orders(day, block, orders, baskets, priced.cents)
        statuses = self._add_payments(day, placed)
        rows = self._list_orders(day, placed, block.users, statuses, money)
        return Rows(rows, items)

    def _place_orders(
        self,
        day: int,
        block: Block,
        orders: list[str],
        baskets: Baskets,
        cents: Sequence[int],
    ) -> tuple[Money, PlacedOrders]:
        """Return the money and columns of *orders*, from the *cents* of all choices."""
        lines, ends, subtotals, per_cents = baskets
        countries = [trait & COUNTRY_MASK for trait in block.traits]
        money = compute_money(subtotals, per_cents, countries)
        count, midnight = len(orders), day * DAY_SECONDS
        delays = self._streams.draw_bytes("orders", "pay_delay", block.unit, count)
        chances = self._streams.draw_bytes("orders", "chance", block.unit, 8 * count)
        return money, PlacedOrders(
            orders,
            countries,
            block.lifecycles,
            [(purchase >> TIME_SHIFT) - midnight for purchase in block.purchases],
            delays.translate(immediate_payment_delays()),
            struct.unpack(f"<{count}Q", chances),
            money.totals,
            {
                at: money.totals[at] * cents[lines[ends[at]]] // subtotals[at]
                for at in compress(
                    range(count), block.lifecycles.translate(IS_PARTLY_RETURNED)
                )
                if block.line_counts[at] > 1
            },
        )

    def _add_payments(self, day: int, placed: PlacedOrders) -> list[str]:
        """Add the payments of *placed* to their days; return the statuses at the end.

        Payments after the window are added too: the place of a payment decides between two
        of the same second, and must not depend on where the window ends.
        """
        self._add_immediate_charges(day, placed)
        statuses = list(map(final_statuses().__getitem__, placed.lifecycles))
        self._add_later_payments(day, placed, statuses)
        if day <= len(self._calendar.days) - LIFECYCLE_DAYS:
            return statuses
        midnight, end = day * DAY_SECONDS, self._calendar.end_second
        return [
            find_status(code, start + midnight + second, delay, chance, start + end, final)
            for start, code, second, delay, chance, final in zip(
                map(self._local_starts.__getitem__, placed.countries),
                placed.lifecycles,
                placed.seconds,
                placed.delays,
                placed.chances,
                statuses,
                strict=True,
            )
        ]

    def _add_immediate_charges(self, day: int, placed: PlacedOrders) -> None:
        """Add the charges of the orders that are paid at once, by one payment."""
        charges, selected = CHARGE_TEXTS, placed.lifecycles.translate(IS_CHARGED_AT_ONCE)
        seconds = list(compress(map(operator.add, placed.seconds, placed.delays), selected))
        texts = [
            f",{order}{charges[code & METHOD_MASK]}{total},"
            for order, code, total in compress(
                zip(placed.ids, placed.lifecycles, placed.totals, strict=True), selected
            )
        ]
        # The orders are in time order, so only the last ones can be paid after midnight.
        early = bisect_left(placed.seconds, DAY_SECONDS - MOST_PAY_DELAY)
        count = sum(selected[:early])
        self.payments_by_day[day].extend(seconds[:count], texts[:count])
        for second, text in zip(seconds[count:], texts[count:], strict=True):
            if second < DAY_SECONDS:
                self.payments_by_day[day].add(second, text)
            else:
                self._after_midnight.add(second - DAY_SECONDS, text)

    def _add_later_payments(
        self, day: int, placed: PlacedOrders, statuses: list[str]
    ) -> None:
        """Add all other payments; set the status of orders of one line that are returned.

        A hot loop: four in five of these orders have one payment, and a list for each would
        take 4 % of the run.
        """
        orders, countries, lifecycles, seconds, delays, chances, totals, first_shares = (
            placed
        )
        payments_by_day = self.payments_by_day
        local_midnights = [start + day * DAY_SECONDS for start in self._local_starts]
        for at in compress(range(len(orders)), lifecycles.translate(HAS_LATER_PAYMENTS)):
            code, first_share = lifecycles[at], 0
            if code >= FIRST_PARTLY_RETURNED:
                first_share = first_shares.get(at, 0)
                statuses[at] = statuses[at] if first_share else RETURNED_TEXT
            midnight, order, total = local_midnights[countries[at]], orders[at], totals[at]
            placed_at, delay, chance = midnight + seconds[at], delays[at], chances[at]
            if code & PAYMENT_MASK < BANK_TRANSFER:
                # Paid at once, then refunded: the charge has been added already.
                paid_at = find_ending(code, placed_at + delay, chance)
                text = f",{order}{REFUND_TEXTS[code & 3]}{first_share or total},"
            elif code == BANK_TRANSFER:
                paid_at = placed_at + payment_delay(code, delay, chance)
                text = f",{order}{CHARGE_TEXTS[code]}{total},"
            else:
                for paid_at, text in list_payments(
                    code, placed_at, delay, chance, total, first_share
                ):
                    days, second = divmod(paid_at - midnight, DAY_SECONDS)
                    payments_by_day[day + days].add(second, f",{order}{text}")
                continue
            days, second = divmod(paid_at - midnight, DAY_SECONDS)
            day_payments = payments_by_day[day + days]
            day_payments.seconds.append(second)
            day_payments.texts.append(text)

    def _list_orders(
        self,
        day: int,
        placed: PlacedOrders,
        users: Sequence[int],
        statuses: Sequence[str],
        money: Money,
    ) -> list[str]:
        """Return the rows of orders.csv."""
        text, minute_texts, second_texts = self._calendar.texts[day], MINUTES, SECONDS
        return [
            f"{order},{user},{text}{minute_texts[second // 60]}{second_texts[second % 60]}"
            f"{status}{subtotal},{discount},{fee},{tax},{total}\n"
            for order, user, second, status, subtotal, discount, fee, tax, total in zip(
                placed.ids, users, placed.seconds, statuses, *money, strict=True
            )
        ]
