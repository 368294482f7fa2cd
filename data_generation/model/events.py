"""What happens in a shop besides its seasons: noise from day to day, and named events.

Everything is drawn from streams that are named by calendar year or month, so a day has the
same shocks in every window that contains it, and a longer window only appends.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from data_generation.model.catalog import BRANDS, OPENING_PRODUCTS, Product
from data_generation.model.channels import CHANNELS
from data_generation.model.distributions import discrete
from data_generation.model.seasons import PER_MILLE, find_peak
from data_generation.model.streams import Streams, scale_word

# The demand of a day changes by the weighted sum of the draws of this day and the days
# before, each at most NOISE_PER_MILLE.  Their standard deviation is 20 % and neighbours
# correlate by .73; UCI Online Retail and CDNOW have 20 and 26 % beside chance.
NOISE_WEIGHTS = (5, 4, 3, 2, 1)
NOISE_PER_MILLE = 47
SEASON_DAYS = 30 + 31


class Kind(StrEnum):
    """What an event is."""

    CAMPAIGN = "campaign"
    SALE = "sale"
    OUTAGE = "outage"
    BAD_CHANNEL = "bad channel"
    VIRAL_PRODUCT = "viral product"
    PRICE_RISE = "price rise"


class Scope(NamedTuple):
    """How long an event of a kind lasts, and its size, per mille of what is usual.

    Both are bounds, the last one included.
    """

    days: tuple[int, int]
    per_mille: tuple[int, int]


# Our own choice: large enough to be found in a shop of 20,000 users.
SCOPES = {
    Kind.CAMPAIGN: Scope((5, 9), (250, 500)),
    Kind.SALE: Scope((7, 7), (300, 500)),
    Kind.OUTAGE: Scope((1, 2), (-950, -600)),
    Kind.BAD_CHANNEL: Scope((90, 180), (-600, -400)),
    Kind.VIRAL_PRODUCT: Scope((21, 21), (8000, 14_000)),
    Kind.PRICE_RISE: Scope((1, 1), (80, 160)),
}

# What a month has, in per cent: one of these events, or none.  None begins in November or
# December, whose peaks are published multiples of those months.
MONTH_EVENT_PER_CENT = {Kind.CAMPAIGN: 30, Kind.SALE: 20, Kind.OUTAGE: 20, None: 30}
MONTH_EVENTS = discrete(tuple(MONTH_EVENT_PER_CENT), tuple(MONTH_EVENT_PER_CENT.values()))
CAMPAIGN_NAMES = (
    "Winter Warm-Up",
    "Last of Winter",
    "Spring Launch",
    "Spring Refresh",
    "Garden Days",
    "Midsummer",
    "Summer Sale",
    "Back to School",
    "Autumn Launch",
    "Members' Week",
)

# An event of a month begins on one of these days, so that it ends before the next begins:
# a sale pulls orders forward from the two weeks after it.  A sale begins on a Monday, as
# all promotions do.
FIRST_DAYS = (13, 20)
SALE_AFTERMATH = 2

# What a sale takes off the prices, in per cent; one of the discounts of promotions.
SALE_PER_CENTS = (15, 20, 30)

# How many times as often as usual an order that is not its customer's first has a coupon
# during a campaign.  Our own choice.
CAMPAIGN_COUPONS = 3

# Each of these, with the column of its stream, happens once a year and begins on one of
# these days of the year, counted from 0.  What concerns products begins on a Monday, as
# prices and promotions do.
YEAR_EVENTS = {
    Kind.BAD_CHANNEL: "of_channel",
    Kind.VIRAL_PRODUCT: "of_product",
    Kind.PRICE_RISE: "of_brand",
}
FIRST_YEAR_DAYS = (30, 200)

# A shop pays for the channels that can turn bad.
BAD_CHANNELS = [
    number
    for number, channel in enumerate(CHANNELS)
    if channel.name in ("paid_search", "social")
]
# A viral product is chosen by a number below the first one, and its price is one of these,
# in cents, see `find_viral_product`.
VIRAL_CHOICES = 1 << 16
VIRAL_PRICES = range(2000, 7000)


class Event(NamedTuple):
    """An event from the day *first* to the day *last*, both included.

    *per_mille* is how much more there is than usual, or less.  *subject* is an index: of
    CHANNELS for a bad channel, of BRANDS for a price rise, of VIRAL_CHOICES for a viral
    product, of CAMPAIGN_NAMES for a campaign, of SALE_PER_CENTS for a sale.  A price rise
    lasts forever; its *last* day is its first one.
    """

    kind: Kind
    first: date
    last: date
    per_mille: int
    subject: int = 0

    def find_effect(self, day: date) -> int:
        """Return how much more demand there is on *day*, per mille.

        >>> sale = Event(Kind.SALE, date(2024, 2, 12), date(2024, 2, 18), 400)
        >>> [sale.find_effect(date(2024, 2, day)) for day in (11, 12, 18, 19)]
        [0, 400, 400, -200]
        """
        if self.kind in YEAR_EVENTS:
            return 0
        if self.first <= day <= self.last:
            return self.per_mille
        if self.kind is Kind.SALE and self.last < day <= self.end:
            return -self.per_mille // SALE_AFTERMATH
        return 0

    @property
    def end(self) -> date:
        """Return the last day that differs from a usual one."""
        if self.kind is not Kind.SALE:
            return self.last
        return self.last + SALE_AFTERMATH * (self.last + timedelta(days=1) - self.first)


class Shocks:
    """What happens in a shop: events, and noise from day to day; nothing if *is_calm*."""

    def __init__(self, streams: Streams, *, is_calm: bool = False) -> None:
        self.streams = streams
        self.is_calm = is_calm
        self._events_by_year: dict[int, list[Event]] = {}
        self._effects_by_year: dict[int, dict[date, int]] = {}
        self._noise_by_year: dict[int, list[int]] = {}

    def list_events(self, start: date, end: date) -> list[Event]:
        """Return what happens from *start* to *end*, in order of the first days."""
        return [
            event
            for year in range(start.year - 1, end.year + 1)
            for event in self.list_year(year)
            if start <= event.end and event.first <= end
        ]

    def find_factor(self, day: date) -> int:
        """Return the demand of *day*, per mille of what the season leads to expect."""
        return self.find_effect(day) * self.find_noise(day) // PER_MILLE

    def find_effect(self, day: date) -> int:
        """Return the demand of *day*, per mille of a day without an event."""
        if day.year not in self._effects_by_year:
            self._effects_by_year[day.year] = self._sum_effects(day.year)
        return PER_MILLE + self._effects_by_year[day.year].get(day, 0)

    def has_campaign(self, day: date) -> bool:
        """Return whether *day* is one of a campaign."""
        return any(
            event.kind is Kind.CAMPAIGN and event.first <= day <= event.last
            for event in self.list_year(day.year)
        )

    def find_bad_channels(self, day: date) -> dict[int, int]:
        """Return, by channel, how many buyers of 1,000 usual ones sign up on *day*.

        Channels without a change are omitted, so mostly there are none.
        """
        return {
            event.subject: PER_MILLE + event.per_mille
            for year in (day.year - 1, day.year)
            for event in self.list_year(year)
            if event.kind is Kind.BAD_CHANNEL and event.first <= day <= event.last
        }

    def list_year(self, year: int) -> list[Event]:
        """Return the events that begin in *year*, in order."""
        if self.is_calm:
            return []
        if year not in self._events_by_year:
            drawn = [*_draw_month_events(self.streams, year)]
            drawn += [_draw_year_event(self.streams, year, kind) for kind in YEAR_EVENTS]
            self._events_by_year[year] = sorted(drawn, key=lambda event: event.first)
        return self._events_by_year[year]

    def find_noise(self, day: date) -> int:
        """Return the demand of *day*, per mille of what season and events give it.

        Black Friday and Cyber Monday have none: their demand is a published multiple.
        """
        if self.is_calm or find_peak(day) != 100:
            return PER_MILLE
        if day.year not in self._noise_by_year:
            self._noise_by_year[day.year] = self._list_noise(day.year)
        return self._noise_by_year[day.year][(day - date(day.year, 1, 1)).days]

    def _sum_effects(self, year: int) -> dict[date, int]:
        """Return how much more demand there is, per mille, on the days with events."""
        effects: dict[date, int] = defaultdict(int)
        for event in self.list_year(year):
            for number in range((event.end - event.first).days + 1):
                day = event.first + timedelta(days=number)
                effects[day] += event.find_effect(day)
        return effects

    def _list_noise(self, year: int) -> list[int]:
        """Return the noise of each day of *year*, per mille.

        Its mean is PER_MILLE until October, and from November on too: the mean day of the
        season is what Black Friday is compared with.
        """
        lags = len(NOISE_WEIGHTS) - 1
        draws = [*self._draw_changes(year - 1)[-lags:], *self._draw_changes(year)]
        lagged = (islice(draws, lags - lag, None) for lag in range(lags + 1))
        changes = [
            sum(map(operator.mul, NOISE_WEIGHTS, drawn))
            for drawn in zip(*lagged, strict=False)
        ]
        return [
            PER_MILLE - sum(part) // len(part) + change
            for part in (changes[:-SEASON_DAYS], changes[-SEASON_DAYS:])
            for change in part
        ]

    def _draw_changes(self, year: int) -> list[int]:
        """Return the draws of the days of *year*, each at most NOISE_PER_MILLE from 0."""
        days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
        return [
            scale_word(word, -NOISE_PER_MILLE, NOISE_PER_MILLE + 1)
            for word in self.streams.draw("orders", "demand_noise", year, days)
        ]


def _draw_month_events(streams: Streams, year: int) -> Iterator[Event]:
    """Yield the events of the months of *year*, at most one each."""
    for number in range(len(CAMPAIGN_NAMES)):
        month = f"{year}-{number + 1:02d}"
        choice, begin, length, size, which = streams.draw("events", "of_month", month, 5)
        kind, subject = MONTH_EVENTS.item_at(choice), number
        first = date(year, number + 1, _scale_between(begin, FIRST_DAYS))
        if kind is Kind.SALE:
            first = first.replace(day=FIRST_DAYS[0])
            first += timedelta(days=-first.weekday() % 7)
            subject = scale_word(which, 0, len(SALE_PER_CENTS))
        if kind:
            yield _make_event(kind, first, length, size, subject)


def _draw_year_event(streams: Streams, year: int, kind: Kind) -> Event:
    """Return the event of *kind* of *year*."""
    begin, length, size, which = streams.draw("events", YEAR_EVENTS[kind], year, 4)
    first = date(year, 1, 1) + timedelta(days=_scale_between(begin, FIRST_YEAR_DAYS))
    if kind is Kind.BAD_CHANNEL:
        subject = BAD_CHANNELS[scale_word(which, 0, len(BAD_CHANNELS))]
    else:
        first -= timedelta(days=first.weekday())
        count = VIRAL_CHOICES if kind is Kind.VIRAL_PRODUCT else len(BRANDS)
        subject = scale_word(which, 0, count)
    return _make_event(kind, first, length, size, subject)


def find_viral_product(products: Sequence[Product], start: date, event: Event) -> int:
    """Return the index of the product that becomes viral by *event*.

    It is a product of medium popularity that is on sale until the end of *event*, in a
    window from *start* on, at a price that many products have.
    """
    last_day = (event.last - start).days
    on_sale = [
        index
        for index, product in enumerate(products[:OPENING_PRODUCTS])
        if product.end_day > last_day and product.price_cents in VIRAL_PRICES
    ]
    ranked = sorted(on_sale, key=lambda index: (-products[index].popularity, index))
    known = ranked[len(ranked) // 5 : len(ranked) // 2] or [0]
    return known[event.subject * len(known) // VIRAL_CHOICES]


def _make_event(kind: Kind, first: date, length: int, size: int, subject: int) -> Event:
    """Return the event whose words are *length* and *size*."""
    days = _scale_between(length, SCOPES[kind].days)
    per_mille = _scale_between(size, SCOPES[kind].per_mille)
    return Event(kind, first, first + timedelta(days=days - 1), per_mille, subject)


def _scale_between(word: int, bounds: tuple[int, int]) -> int:
    """Return *word*, scaled to an integer from the first to the second of *bounds*."""
    low, high = bounds
    return scale_word(word, low, high + 1)
