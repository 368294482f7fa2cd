"""What happened in a shop, day by day and event by event: a part of the ground truth."""

from __future__ import annotations

from collections.abc import Iterator

from data_generation.model.catalog import BRANDS
from data_generation.model.channels import CHANNELS
from data_generation.model.events import (
    CAMPAIGN_COUPONS,
    CAMPAIGN_NAMES,
    SALE_AFTERMATH,
    SALE_PER_CENTS,
    Event,
    Kind,
    find_viral_product,
)
from data_generation.model.prices import PROMOTED_IN_SALE_PER_MILLE
from data_generation.model.seasons import DAY_TICKS, PER_MILLE, demand
from data_generation.spans import Shop

# Where an event of a kind can be seen first: table and column.
PLACES = {
    Kind.CAMPAIGN: ("orders", "ordered_at"),
    Kind.SALE: ("orders", "ordered_at"),
    Kind.OUTAGE: ("orders", "ordered_at"),
    Kind.BAD_CHANNEL: ("users", "acquisition_channel"),
    Kind.VIRAL_PRODUCT: ("products", "product_id"),
    Kind.PRICE_RISE: ("products", "brand"),
}


SENTENCES = {
    Kind.CAMPAIGN: "The campaign {value}: {size} more demand than usual.",
    Kind.OUTAGE: "The shop is down: {size} less demand than usual.",
    Kind.BAD_CHANNEL: "Users who sign up through {value}: {size} fewer of them ever buy.",
    Kind.VIRAL_PRODUCT: "Product {value} becomes viral: {size} more of it is sold.",
    Kind.PRICE_RISE: "The list prices of {value} rise by {size} for good.",
}


def list_event_truth(shop: Shop) -> list[str]:
    """Return the rows of events.csv: what happens in the window of *shop*.

    An event that ends after the window is listed with its last day.
    """
    days = shop.calendar.days
    return [
        ",".join(map(str, cells)) + "\n"
        for event in shop.shocks.list_events(days[0], days[-1])
        for cells in _list_effects(shop, event)
    ]


def _list_effects(shop: Shop, event: Event) -> Iterator[tuple[object, ...]]:
    """Yield the cells of the rows of *event*, one for each column where it can be seen."""
    value = find_value(shop, event)
    last = "" if event.kind is Kind.PRICE_RISE else event.end
    sentence = describe_event(event, value)
    yield (
        *(event.kind, event.first, last, *PLACES[event.kind], value),
        *(event.per_mille, sentence),
    )
    place = event.kind, event.first, event.last
    if event.kind is Kind.SALE:
        per_mille = SALE_PER_CENTS[event.subject] * PER_MILLE // 100
        less, share = map(format_per_cent, (per_mille, PROMOTED_IN_SALE_PER_MILLE))
        sentence = f"The sale: {less} off the list prices of {share} of the products."
        yield *place, "order_items", "discount_cents", "", -per_mille, sentence
    elif event.kind is Kind.CAMPAIGN:
        per_mille = (CAMPAIGN_COUPONS - 1) * PER_MILLE
        name, more = CAMPAIGN_NAMES[event.subject], format_per_cent(per_mille)
        sentence = f"The campaign {name}: {more} more coupons for repeat customers."
        yield *place, "orders", "discount_cents", "", per_mille, sentence


def find_value(shop: Shop, event: Event) -> str:
    """Return the value of the column that *event* concerns; empty if it concerns all."""
    if event.kind is Kind.BAD_CHANNEL:
        return CHANNELS[event.subject].name
    if event.kind is Kind.PRICE_RISE:
        return BRANDS[event.subject].name
    if event.kind is Kind.VIRAL_PRODUCT:
        index = find_viral_product(shop.products, shop.calendar.start, event)
        return str(shop.products[index].product_id)
    return ""


def describe_event(event: Event, value: str) -> str:
    """Return a sentence on *event*, which concerns *value*, without commas."""
    size = format_per_cent(event.per_mille)
    if event.kind is Kind.SALE:
        less = format_per_cent(event.per_mille // SALE_AFTERMATH)
        return (
            f"A sale: {size} more demand until {event.last}; from then on {less} less"
            f" until {event.end} as people have bought early."
        )
    if event.kind is Kind.CAMPAIGN:
        value = CAMPAIGN_NAMES[event.subject]
    return SENTENCES[event.kind].format(value=value, size=size)


def format_per_cent(per_mille: int) -> str:
    """Return the size of *per_mille* in per cent, without its sign.

    >>> format_per_cent(-944)
    '94.4 %'
    """
    return f"{abs(per_mille) // 10}.{abs(per_mille) % 10} %"


def list_day_truth(shop: Shop) -> list[str]:
    """Return the rows of days.csv: what the demand of each day is made of, per mille.

    The season is in thousandths of an average day; the demand is all of them together.
    """
    shocks, ticks = shop.shocks, shop.calendar.ticks
    return [
        f"{day},{PER_MILLE * demand(day) // DAY_TICKS},{shocks.find_effect(day)},"
        f"{shocks.find_noise(day)},{PER_MILLE * (after - before) // DAY_TICKS}\n"
        for day, before, after in zip(shop.calendar.days, ticks, ticks[1:], strict=False)
    ]
