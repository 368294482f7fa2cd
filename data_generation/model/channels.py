"""Acquisition channels: their shares by month, and which customers come through them.

The channel of a user is chosen given the user's purchase rate and spending level, so that
channels differ in what their customers are worth.  Rates and levels are not changed: over
all channels they keep the distributions of BG/NBD and Gamma-Gamma, also among the buyers.
"""

from __future__ import annotations

from functools import cache
from operator import mul, sub
from typing import NamedTuple

from data_generation.model.distributions import fill_places, find_marks


class Channel(NamedTuple):
    """An acquisition channel: its share of sign-ups, and what its users are like.

    *weight* is the share at the start of BASE_YEAR, which changes by *yearly_change* in
    every year; of 1,000 users *buyer_per_mille* ever buy.  At a given spending
    level, the channel's share among the quarter of the users with the highest purchase
    rates is larger by three quarters of *rate_tilt* per cent of its share among all users,
    and among the quarter with the lowest it is smaller by as much (see `_tilt`).
    *spend_tilt* is the same for spending levels.
    """

    name: str
    weight: int
    yearly_change: int
    buyer_per_mille: int
    rate_tilt: int
    spend_tilt: int


# Over all channels 86 % of the users buy; the share is highest for referrals.  Referred
# customers are worth at least 16 % more than others (Schmitt, Skiera, Van den Bulte 2011).
# The other tilts and the changes are our own choice: social grows, while e-mail, direct and
# search shrink.  Changes add up to 0, and so do both tilts at the weights of BASE_YEAR.
CHANNELS = (
    Channel("organic_search", 260, -14, 880, 0, 5),
    Channel("paid_search", 210, 3, 830, -9, 4),
    Channel("social", 180, 36, 800, -28, -26),
    Channel("email", 70, -7, 940, 27, -14),
    Channel("referral", 100, 0, 930, 60, 34),
    Channel("affiliate", 60, 2, 780, -34, -34),
    Channel("direct", 120, -20, 910, 9, 18),
)

# Shares change from month to month in the years around BASE_YEAR, and not beyond them.
BASE_YEAR = 2024
CHANGE_YEARS = 4

# Which channel a user comes through depends on the quarter of the users by purchase rate
# and on the quarter by spending level, both from the lowest to the highest.
QUARTER_BITS = 2
QUARTERS = range(1 << QUARTER_BITS)
CHOICE_BITS = 8


class ChannelTable(NamedTuple):
    """Channels by quarter of rates, quarter of levels and CHOICE_BITS of chance.

    *channels* are indexes of CHANNELS; *buyers* is how many of 65,536 such users buy.
    """

    channels: list[int]
    buyers: list[int]


def weigh_channels(year: int, month: int) -> list[int]:
    """Return the shares of the channels among the sign-ups of a month, as weights."""
    most = 12 * CHANGE_YEARS
    months = min(max(12 * (year - BASE_YEAR) + month - 1, -most), most)
    return [12 * channel.weight + channel.yearly_change * months for channel in CHANNELS]


@cache
def build_channel_table(year: int, month: int) -> ChannelTable:
    """Return the channels of the users who sign up in a month.

    Channels with more buyers also have customers who buy more often.  Therefore the shares
    of buyers are adjusted, by about 1 %, so that equally many of every quarter buy.
    """
    weights, size = weigh_channels(year, month), 1 << CHOICE_BITS
    per_mille = [channel.buyer_per_mille for channel in CHANNELS]
    rows = [
        find_marks([size * weight for weight in map(mul, weights, tilts)], size)
        for tilts in _list_tilts()
    ]
    counts = [sum(map(mul, per_mille, map(sub, marks[1:], marks))) for marks in rows]
    scale = 65536 * sum(counts)
    table = ChannelTable([], [])
    for marks, count in zip(rows, counts, strict=True):
        buyers = [scale * buyer // (1000 * count * len(rows)) for buyer in per_mille]
        table.channels.extend(fill_places(range(len(CHANNELS)), marks))
        table.buyers.extend(fill_places(buyers, marks))
    return table


@cache
def _list_tilts() -> list[list[int]]:
    """Return how each channel depends on the quarters, see `_tilt`."""
    return [
        [_tilt(channel, rate_quarter, level_quarter) for channel in CHANNELS]
        for rate_quarter in QUARTERS
        for level_quarter in QUARTERS
    ]


def _tilt(channel: Channel, rate_quarter: int, level_quarter: int) -> int:
    """Return 400 × the share of *channel* in these quarters ÷ its share of all users."""
    rate_side, level_side = 2 * rate_quarter - 3, 2 * level_quarter - 3
    return 400 + channel.rate_tilt * rate_side + channel.spend_tilt * level_side
