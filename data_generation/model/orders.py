"""Orders, their lines, their money and their payments: one order day at a time.

A day is made in blocks of orders, so that memory is bounded by the block, and each block
in columns: bulk words, gathered through small tables of ready numbers and texts, joined
into rows.  What needs more than a table, one order in three, is told by `lives`.
"""

from __future__ import annotations

import operator
import struct
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, repeat
from typing import NamedTuple

from data_generation.model.baskets import (
    NOISE_BITS,
    Labels,
    Shelves,
    fill_baskets,
    make_spending,
)
from data_generation.model.catalog import COUNTRIES
from data_generation.model.customers import COUNTRY_BITS, MOMENT_BITS, USER_BITS
from data_generation.model.lifecycle import (
    BANK_TRANSFER,
    CHARGE_TEXTS,
    FIRST_PARTLY_RETURNED_LIFE,
    LIFE_BITS,
    LIFE_DAYS,
    PAYMENT_MASK,
    REFUND_TEXTS,
    RETURNED_TEXT,
    count_payments,
    final_statuses,
    find_end,
    find_payment,
    find_status,
    list_payments,
    make_lives,
    pay_delays,
)
from data_generation.model.seasons import (
    DAY_BITS,
    DAY_SECONDS,
    MINUTES,
    SECONDS,
    Calendar,
    make_clock,
)
from data_generation.model.streams import Streams

# Orders made at a time.  A part of the format: it names their streams.
BLOCK = 2048

# Coupons on the whole order: how many first and how many later orders have one.
WELCOME_COUPON_PER_MILLE, WELCOME_PER_CENT = 220, 10
COUPON_PER_MILLE, COUPON_PER_CENT = 70, 15

FREE_SHIPPING_CENTS = 7500


_TAXES = [country.tax_per_mille for country in COUNTRIES]
_SHIPPING = [country.shipping_cents for country in COUNTRIES]


class Money(NamedTuple):
    """The money of a block of orders in cents, a column each."""

    subtotals: list[int]
    discounts: list[int]
    shipping: list[int]
    taxes: list[int]
    totals: list[int]


def add_up(
    subtotals: list[int], per_cents: Sequence[int], countries: Sequence[int]
) -> Money:
    """Return the money of orders: coupon, shipping with a free threshold, tax on goods.

    *per_cents* are the coupons, *countries* indexes of COUNTRIES.

    >>> add_up([4999, 9998], [10, 0], [0, 1])._asdict()
    {'subtotals': [4999, 9998], 'discounts': [499, 0], 'shipping': [599, 0], \
'taxes': [315, 2000], 'totals': [5414, 11998]}
    """
    taxes, fees = _TAXES, _SHIPPING
    discounts = [
        subtotal * per_cent // 100 if per_cent else 0
        for subtotal, per_cent in zip(subtotals, per_cents, strict=True)
    ]
    goods = list(map(operator.sub, subtotals, discounts))
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
    """What a block of orders is before it has goods; a column each.

    *moments* are as `customers` makes them; *lives* as in `lives`.
    """

    unit: str
    moments: Sequence[int]
    users: list[int]
    countries: list[int]
    levels: list[int]
    line_counts: list[int]
    lives: list[int]


class Ids(NamedTuple):
    """How many orders, lines and payments there are, or have got their ids."""

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


def _deal_coupons() -> list[int]:
    """Return per cent off, by byte and 256 × whether it is a repeat order."""
    welcome, later = (
        256 * per_mille // 1000
        for per_mille in (WELCOME_COUPON_PER_MILLE, COUPON_PER_MILLE)
    )
    return [
        *([WELCOME_PER_CENT] * welcome + [0] * (256 - welcome)),
        *([COUPON_PER_CENT] * later + [0] * (256 - later)),
    ]


_COUPONS = _deal_coupons()


def plan_blocks(
    streams: Streams, day: str, moments: Sequence[int], traits: array[int]
) -> Iterator[Block]:
    """Yield the orders of *day* from its sorted *moments*, in blocks."""
    for start in range(0, len(moments), BLOCK):
        block = moments[start : start + BLOCK]
        yield _plan_block(streams, f"{day}/{start // BLOCK}", block, traits)


def _plan_block(
    streams: Streams, unit: str, moments: Sequence[int], traits: array[int]
) -> Block:
    spending, lives = make_spending(), make_lives()
    user_mask = (1 << USER_BITS) - 1
    country_mask = (1 << COUNTRY_BITS) - 1
    noise, shift = spending.noise, 16 - NOISE_BITS
    users = [moment >> 1 & user_mask for moment in moments]
    inner = list(map(traits.__getitem__, users))
    countries = [trait & country_mask for trait in inner]
    count = len(users)
    levels = [
        (trait >> COUNTRY_BITS) + noise[word >> shift]
        for trait, word in zip(
            inner, streams.draw_halves("orders", "basket_value", unit, count), strict=True
        )
    ]
    line_counts = spending.line_counts
    return Block(
        unit,
        moments,
        users,
        countries,
        levels,
        [
            line_counts[level][byte]
            for level, byte in zip(
                levels, streams.draw_bytes("orders", "line_count", unit, count), strict=True
            )
        ],
        [
            lives[country][word >> 16 - LIFE_BITS]
            for country, word in zip(
                countries, streams.draw_halves("orders", "life", unit, count), strict=True
            )
        ],
    )


def count_ids(blocks: Iterable[Block]) -> Ids:
    """Return how many orders, lines and payments come of *blocks*, soon or late."""
    payments = count_payments()
    total = Ids()
    for block in blocks:
        payment_count = sum([payments[life] for life in block.lives])
        total = total.add(Ids(len(block.users), sum(block.line_counts), payment_count))
    return total


class Rows(NamedTuple):
    """Finished lines of orders.csv, order_items.csv and payments.csv."""

    orders: list[str]
    order_items: list[str]
    payments: list[str]


class Ledger:
    """The payments of a day in the order of being noted: seconds of the day, and texts.

    A text is the payment's row without its id and instant.
    """

    def __init__(self) -> None:
        self.seconds: list[int] = []
        self.texts: list[str] = []

    def add(self, second: int, text: str) -> None:
        """Note a payment."""
        self.seconds.append(second)
        self.texts.append(text)


class Desk:
    """Where orders become rows: days come in order, ids run on, late payments wait."""

    def __init__(
        self, streams: Streams, calendar: Calendar, *, first_order_id: int
    ) -> None:
        self.ids = Ids(orders=first_order_id - 1)
        self._streams = streams
        self._calendar = calendar
        self._ledgers: dict[int, Ledger] = defaultdict(Ledger)

    def start_at(self, before: Ids) -> None:
        """Let the ids run on from *before*: what comes of all earlier orders.

        Of their payments, those that still wait have no id yet.
        """
        waiting = sum(len(ledger.texts) for ledger in self._ledgers.values())
        self.ids = before._replace(payments=before.payments - waiting)

    def make_day(
        self, day: int, blocks: Iterable[Block], shelves: Shelves, labels: Labels
    ) -> Iterator[Rows]:
        """Yield the rows of one day, block by block, and then its payments."""
        for block in blocks:
            lines = fill_baskets(
                self._streams, block.unit, block.levels, block.line_counts, shelves
            )
            yield self._make_block(day, block, lines, labels)
        ledger = self._ledgers.pop(day, Ledger())
        # One integer a payment; as few bits as can be, for the shortest are sorted fastest.
        bits = len(ledger.texts).bit_length()
        keys = [second << bits | place for place, second in enumerate(ledger.seconds)]
        keys.sort()
        # A payment of the last minutes may fall on the next day.
        today = bisect_left(keys, DAY_SECONDS << bits)
        for key in keys[today:]:
            second, place = (key >> bits) - DAY_SECONDS, key & (1 << bits) - 1
            self._ledgers[day + 1].add(second, ledger.texts[place])
        for start in range(0, today, BLOCK):
            block_keys = keys[start : min(start + BLOCK, today)]
            rows = self._list_payments(day, block_keys, bits, ledger.texts)
            yield Rows([], [], rows)

    def _make_block(
        self, day: int, block: Block, lines: Sequence[int], labels: Labels
    ) -> Rows:
        first_order, first_item = self.ids.orders + 1, self.ids.items + 1
        self.ids = self.ids._replace(
            orders=self.ids.orders + len(block.users), items=self.ids.items + len(lines)
        )
        orders = list(map(str, range(first_order, self.ids.orders + 1)))
        texts = labels.texts
        items = [
            f"{item},{order}{texts[line]}"
            for item, order, line in zip(
                range(first_item, self.ids.items + 1),
                chain.from_iterable(map(repeat, orders, block.line_counts)),
                lines,
                strict=True,
            )
        ]
        totals = [0, *accumulate(map(labels.cents.__getitem__, lines))]
        ends = [0, *accumulate(block.line_counts)]
        marks = list(map(totals.__getitem__, ends))
        money = add_up(
            list(map(operator.sub, marks[1:], marks)),
            self._draw_coupons(block),
            block.countries,
        )
        last_shares = {
            at: _share_last(money.totals[at], totals[ends[at] : ends[at + 1] + 1])
            for at, life in enumerate(block.lives)
            if life >= FIRST_PARTLY_RETURNED_LIFE and block.line_counts[at] > 1
        }
        seconds = self._find_seconds(day, block.moments)
        statuses = self._live(day, block, orders, seconds, money.totals, last_shares)
        return Rows(
            self._list_orders(day, orders, block.users, seconds, statuses, money), items, []
        )

    def _draw_coupons(self, block: Block) -> list[int]:
        """Return the coupon of each order, in per cent."""
        coupons = _COUPONS
        drawn = self._streams.draw_bytes("orders", "coupon", block.unit, len(block.users))
        return [
            coupons[(moment & 1) << 8 | byte]
            for moment, byte in zip(block.moments, drawn, strict=True)
        ]

    def _find_seconds(self, day: int, moments: Sequence[int]) -> list[int]:
        """Return the second of the day of each of *moments*."""
        start, stop = self._calendar.ticks[day : day + 2]
        length, clock = stop - start, make_clock()
        return [
            clock[((moment >> MOMENT_BITS) - start << DAY_BITS) // length]
            for moment in moments
        ]

    def _live(
        self,
        day: int,
        block: Block,
        orders: Sequence[str],
        seconds: Sequence[int],
        totals: Sequence[int],
        last_shares: Mapping[int, int],
    ) -> list[str]:
        """Return the orders' statuses at the window's end; note their payments.

        All payments are noted, in the same order wherever the window ends: their place
        decides between two of one second.
        """
        lives, count = block.lives, len(block.lives)
        drawn = self._streams.draw_bytes("orders", "pay_delay", block.unit, count)
        delays = drawn.translate(pay_delays())
        drawn = self._streams.draw_bytes("orders", "chance", block.unit, 8 * count)
        chances = struct.unpack(f"<{count}Q", drawn)
        self._charge_at_once(day, lives, orders, seconds, delays, totals)
        statuses = list(map(final_statuses().__getitem__, lives))
        midnight, ledgers = day * DAY_SECONDS, self._ledgers
        rare = [at for at, life in enumerate(lives) if life >= BANK_TRANSFER]
        for at in rare:
            life, last_share = lives[at], 0
            if life >= FIRST_PARTLY_RETURNED_LIFE:
                last_share = last_shares.get(at, 0)
                statuses[at] = statuses[at] if last_share else RETURNED_TEXT
            placed_at, order, total = midnight + seconds[at], orders[at], totals[at]
            delay, chance = delays[at], chances[at]
            # Four in five have one payment to note: a list for each would take 4 % more of
            # the whole run.
            if life & PAYMENT_MASK < BANK_TRANSFER:
                # Paid at once, then given back: its charge is noted already.
                moment = placed_at + delay + find_end(life, chance)
                text = f",{order}{REFUND_TEXTS[life & 3]}{last_share or total},"
            elif life == BANK_TRANSFER:
                moment = placed_at + find_payment(life, delay, chance)
                text = f",{order}{CHARGE_TEXTS[life]}{total},"
            else:
                for moment, text in list_payments(
                    life, placed_at, delay, chance, total, last_share
                ):
                    ledger = ledgers[moment // DAY_SECONDS]
                    ledger.add(moment % DAY_SECONDS, f",{order}{text}")
                continue
            ledgers[moment // DAY_SECONDS].add(moment % DAY_SECONDS, text)
        if day <= len(self._calendar.days) - LIFE_DAYS:
            return statuses
        end = self._calendar.end_second
        return [
            find_status(life, midnight + second, delay, chance, end, final)
            for life, second, delay, chance, final in zip(
                lives, seconds, delays, chances, statuses, strict=True
            )
        ]

    def _charge_at_once(
        self,
        day: int,
        lives: Sequence[int],
        orders: Sequence[str],
        seconds: Sequence[int],
        delays: Sequence[int],
        totals: Sequence[int],
    ) -> None:
        """Note the charges of the orders that are paid at once, by one payment."""
        charges, ledger = CHARGE_TEXTS, self._ledgers[day]
        ledger.seconds += [
            second + delay
            for second, delay, life in zip(seconds, delays, lives, strict=True)
            if life & PAYMENT_MASK < BANK_TRANSFER
        ]
        ledger.texts += [
            f",{order}{charges[life & 3]}{total},"
            for order, life, total in zip(orders, lives, totals, strict=True)
            if life & PAYMENT_MASK < BANK_TRANSFER
        ]

    def _list_orders(
        self,
        day: int,
        orders: Sequence[str],
        users: Sequence[int],
        seconds: Sequence[int],
        statuses: Sequence[str],
        money: Money,
    ) -> list[str]:
        """Return the rows of orders.csv."""
        text, minute_texts, second_texts = self._calendar.texts[day], MINUTES, SECONDS
        return [
            f"{order},{user},{text}{minute_texts[second // 60]}{second_texts[second % 60]}"
            f"{status}{subtotal},{discount},{fee},{tax},{total}\n"
            for order, user, second, status, subtotal, discount, fee, tax, total in zip(
                orders, users, seconds, statuses, *money, strict=True
            )
        ]

    def _list_payments(
        self, day: int, keys: Sequence[int], bits: int, texts: Sequence[str]
    ) -> list[str]:
        """Return the rows of the payments with *keys*: second of the day, place in *texts*.

        The place takes the lower *bits*.
        """
        first_id = self.ids.payments + 1
        self.ids = self.ids._replace(payments=self.ids.payments + len(keys))
        text, minute_texts, second_texts = self._calendar.texts[day], MINUTES, SECONDS
        mask = (1 << bits) - 1
        return [
            f"{payment}{texts[key & mask]}{text}"
            f"{minute_texts[second // 60]}{second_texts[second % 60]}\n"
            for payment, key in enumerate(keys, first_id)
            for second in [key >> bits]
        ]


def _share_last(total: int, totals: Sequence[int]) -> int:
    """Return the last line's share in an order's *total*; *totals* run up to each line."""
    return total * (totals[-1] - totals[-2]) // (totals[-1] - totals[0])
