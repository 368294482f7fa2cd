"""What happened in a shop, day by day and event by event: a part of the ground truth."""

from __future__ import annotations

from data_generation.model.channels import CHANNELS
from data_generation.model.events import CAMPAIGN_NAMES, SALE_AFTERMATH, Event, Kind
from data_generation.model.seasons import DAY_TICKS, PER_MILLE, demand
from data_generation.spans import Shop

# Where an event of a kind can be seen: table and column.
PLACES = {
    Kind.CAMPAIGN: ("orders", "ordered_at"),
    Kind.SALE: ("orders", "ordered_at"),
    Kind.OUTAGE: ("orders", "ordered_at"),
    Kind.BAD_CHANNEL: ("users", "acquisition_channel"),
}


def list_event_truth(shop: Shop) -> list[str]:
    """Return the rows of events.csv: what happens in the window of *shop*.

    An event that ends after the window is listed with its last day.
    """
    days = shop.calendar.days
    return [
        f"{event.kind},{event.first},{event.end},{','.join(PLACES[event.kind])},"
        f"{find_value(event)},{event.per_mille},{describe_event(event)}\n"
        for event in shop.shocks.list_events(days[0], days[-1])
    ]


def find_value(event: Event) -> str:
    """Return the value of the column that *event* concerns; empty if it concerns all."""
    if event.kind is Kind.BAD_CHANNEL:
        return CHANNELS[event.subject].name
    return ""


def describe_event(event: Event) -> str:
    """Return a sentence on *event*, without commas."""
    size = format_per_cent(event.per_mille)
    if event.kind is Kind.CAMPAIGN:
        name = CAMPAIGN_NAMES[event.subject]
        return f"The campaign {name}: {size} more demand than usual."
    if event.kind is Kind.SALE:
        less = format_per_cent(event.per_mille // SALE_AFTERMATH)
        return (
            f"A sale: {size} more demand until {event.last}; from then on {less} less"
            f" until {event.end} as people have bought early."
        )
    if event.kind is Kind.BAD_CHANNEL:
        value = find_value(event)
        return f"Of the users who sign up by {value} {size} fewer than usual ever buy."
    return f"The shop is down: {size} less demand than usual."


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
