"""Customers: their sign-ups, their hidden parameters and the times of their purchases.

Each customer has hidden parameters: a purchase rate and a dropout probability (BG/NBD) and
a spending level (Gamma-Gamma), drawn with the parameters published for CDNOW.  A spending
level is a mean order value on a logarithmic scale, in sixteenths of a doubling, so that a
customer's level and an order's deviation are added instead of multiplied.

A sign-up day is made column by column: random words (see `streams`) are drawn in bulk, used
as indexes of tables that fit into the processor's cache, and the results joined into rows.
Only the purchase times need a loop with one step per user.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from functools import cache, lru_cache
from itertools import accumulate, count, pairwise
from typing import NamedTuple

from data_generation.model.channels import (
    CHOICE_BITS,
    QUARTER_BITS,
    build_channel_table,
)
from data_generation.model.distributions import (
    PRECISION,
    UNIT,
    UNIT_BITS,
    apportion,
    beta,
    exponential,
    fill_places,
    gamma,
    hyperexponential,
    powers_of_two,
    sample_quantiles,
)
from data_generation.model.events import Shocks
from data_generation.model.habits import find_habit
from data_generation.model.markets import COUNTRIES
from data_generation.model.people import (
    CITY_BITS,
    COUNTRY_WORD_BITS,
    NewUsers,
    build_country_table,
)
from data_generation.model.purchase_processes import (
    DROPOUT_DOUBLING_STEPS,
    LAST_DRIFT_STEP,
    MIDDLE_DRIFT_STEP,
    RATE_HALVING_STEPS,
    STEADY,
    Process,
    find_drift_step,
)
from data_generation.model.seasons import (
    DAY_TICKS,
    HABITS,
    PER_MILLE,
    SHARE_BITS,
    SLOT_BITS,
    Calendar,
    Clock,
    build_dial,
    demand,
    find_peak,
    make_clock,
)
from data_generation.model.streams import WORD_BITS, Streams

# BG/NBD for CDNOW, in weeks: r .243, α 4.414, a .793, b 2.426 (Fader, Hardie, Lee 2005).
RATE_SHAPE = "0.243"
RATE_SCALE_TICKS = 4414 * 7 * DAY_TICKS // 1000
DROPOUT_A, DROPOUT_B = "0.793", "2.426"

# Gamma-Gamma for CDNOW: q 3.74; a customer's mean spending is proportional to
# 1 ÷ Gamma(q), whose mean is 1 ÷ (q − 1).  The shape p of one order is in `baskets`.
SPEND_Q = "3.74"
SPEND_Q_MINUS_1_PER_CENT = 274

# Gamma-Gamma assumes that spending is independent of the purchase rate; in CDNOW their
# correlation is .114.  So for this share of customers, in 64ths, one word decides on both:
# enough to outweigh that rare orders, which follow a long gap, are larger (see `baskets`).
SAME_WORD_64THS = 24

# The variance of a day's sign-ups ÷ their mean, where chance alone gives 1; CDNOW has 3.5
# and a teaching sample 1.35.
SIGNUP_VARIANCE = 2

# Of the customers who buy, how many of 1,024 do so in the visit in which they sign up; the
# others buy later, after eight days on average.
SAME_VISIT_1024THS = 655
FIRST_DELAY_TICKS = 8 * DAY_TICKS
VISIT_TICKS = DAY_TICKS // 24

# The inverse rate of customers who do not buy again in any window.
MOST_INVERSE_RATE = 1 << 44

# The largest dropout probability, in 65,536ths.
CERTAIN_DROPOUT = 65535

# Words drawn in bulk for the purchases of each customer of a day.  A customer with more
# purchases gets a stream of its own, whose drawn length doubles from MORE_GAP_WORDS on.
GAP_WORDS = 6
MORE_GAP_WORDS = 64

# Spending levels per doubling of the amount; ZERO_LEVEL is the mean of all customers.
LEVELS_PER_DOUBLING = 16
ZERO_LEVEL = 64

# Of 256 customers, how many hardly ever return goods, do so as most people do, do so often
# and nearly always: the classes of returners.  About 5 % of customers return over 80 % of
# what they buy (Schulze); the other shares are our own choice.
RETURNER_WEIGHTS = (100, 105, 40, 11)

# Sizes of tables, in bits of the word that is their index: small enough for the processor's
# cache.  The table of purchase rates is the largest because they have a long tail.
TRAIT_BITS = 12
RATE_BITS = 14
GAP_SHIFT = WORD_BITS - TRAIT_BITS

# A purchase is one integer: its second of the window, its user, the class of its number
# among the customer's orders, and whether it follows a long gap.
GAP_BITS, CLASS_BITS, USER_BITS = 1, 2, 27
USER_SHIFT = GAP_BITS + CLASS_BITS
TIME_SHIFT = USER_SHIFT + USER_BITS
MOST_USER_ID = (1 << USER_BITS) - 1
KIND_MASK = (1 << USER_SHIFT) - 1

# The class of a customer's first order, the second, …; it is 3 for all later ones.
ORDER_CLASSES = (0, 1, 1, 2, 2, 2, 2)
LAST_ORDER_CLASS = 3
# The bits of the class in the purchases after the first one.
REPEAT_KINDS = [order_class << GAP_BITS for order_class in ORDER_CLASSES[1:]]
LAST_REPEAT_KIND = LAST_ORDER_CLASS << GAP_BITS
LONG_GAP_TICKS = 8 * 7 * DAY_TICKS

# A user's traits are one 16-bit integer: spending level, channel, class of returners and
# country.
COUNTRY_BITS, RETURNER_BITS, CHANNEL_BITS = 3, 2, 3
RETURNER_SHIFT = COUNTRY_BITS
CHANNEL_SHIFT = RETURNER_SHIFT + RETURNER_BITS
LEVEL_SHIFT = CHANNEL_SHIFT + CHANNEL_BITS
COUNTRY_MASK = (1 << COUNTRY_BITS) - 1
RETURNER_MASK = (1 << RETURNER_BITS) - 1


class CustomerTables(NamedTuple):
    """The distributions of BG/NBD and Gamma-Gamma, by word.

    A time between purchases, in ticks, is gap × inverse rate >> 12, where a gap is one of
    `build_gaps`.  *dropouts* are out of 65,536; *levels* are spending levels,
    whose mean is ZERO_LEVEL.
    """

    inverse_rates: list[int]
    dropouts: list[int]
    levels: list[int]


class PurchaseTables(NamedTuple):
    """The tables for the purchases of the users of one day; see `CustomerTables`."""

    gaps: list[int]
    inverse_rates: list[int]
    dropouts: list[int]


class PurchaseSchedule:
    """The result of sign-up days: traits, purchases and departures of their users.

    *traits* has one entry per user.  So has *departures*: the second of the customer's last
    purchase, 0 for one who stays until the end, -1 for one who never buys.
    """

    def __init__(self) -> None:
        self.traits = array("H")
        self.purchases: list[int] = []
        self.departures: list[int] = []


def plan_signups(
    shocks: Shocks, calendar: Calendar, user_count: int, paced_days: int
) -> list[int]:
    """Return how many users sign up on each day of *calendar*.

    Sign-ups grow from day to day, follow half of the changes of demand that season and
    events make, and vary randomly.  The counts of the first *paced_days* days add up to
    *user_count* exactly; later days continue at the same pace.
    """
    weights = [
        (365 + number) * (DAY_TICKS + demand(day) * shocks.find_effect(day) // PER_MILLE)
        for number, day in enumerate(calendar.days)
    ]
    if not shocks.is_calm:
        weights = _vary_signups(shocks.streams, calendar, user_count, paced_days, weights)
    totals = list(accumulate(weights, initial=0))
    marks = [user_count * total // totals[paced_days] for total in totals]
    return [after - before for before, after in pairwise(marks)]


def _vary_signups(
    streams: Streams,
    calendar: Calendar,
    user_count: int,
    paced_days: int,
    weights: Sequence[int],
) -> list[int]:
    """Return *weights* with noise, so that a day's count has SIGNUP_VARIANCE × its mean.

    A part of the weight is multiplied by an exponential draw; its square is the variance ÷
    the square of the mean.  It is at most all of it, so few users vary less.  Black Friday
    and Cyber Monday do not vary.
    """
    gaps, varied = build_gaps(STEADY), []
    paced = SIGNUP_VARIANCE * sum(weights[:paced_days])
    with localcontext() as context:
        context.prec = PRECISION
        for day, weight in zip(calendar.days, weights, strict=True):
            (word,) = streams.draw("users", "signup_count", day, 1)
            square = (paced << 20) // max(user_count * weight, paced)
            part = int(Decimal(square).sqrt()) if find_peak(day) == 100 else 0
            varied.append(
                weight * (1024 - part) + (weight * part * gaps[word >> GAP_SHIFT] >> 16)
            )
    return varied


class Traits(NamedTuple):
    """The users of a day, one column per trait, as indexes of the tables in this module.

    *rates*, *dropouts* and *levels* are indexes of `CustomerTables`.  *persons* and
    *cities* are as in `NewUsers`, *channels* are indexes of `CHANNELS`, and *buyers* is how
    many of 65,536 such users buy.
    """

    rates: list[int]
    dropouts: list[int]
    levels: list[int]
    persons: Sequence[int]
    cities: list[int]
    channels: list[int]
    buyers: list[int]


def draw_traits(streams: Streams, day: str, user_count: int) -> Traits:
    """Return the traits of the users of *day*."""
    places, rates, dropouts, spending, persons = (
        streams.draw_halves("users", column, day, user_count)
        for column in ("place", "purchase_rate", "dropout", "spending_level", "person")
    )
    rate_shift, shift, city_shift = 16 - RATE_BITS, 16 - TRAIT_BITS, 16 - CITY_BITS
    levels = [
        (rate if place & 63 < SAME_WORD_64THS else level) >> shift
        for rate, place, level in zip(rates, places, spending, strict=True)
    ]
    chances = streams.draw_bytes("users", "channel", day, user_count)
    channels, buyers = build_channel_table(int(day[:4]), int(day[5:7]))
    high, low = 16 - QUARTER_BITS, TRAIT_BITS - QUARTER_BITS
    choices = [
        (rate >> high << QUARTER_BITS | level >> low) << CHOICE_BITS | chance
        for rate, level, chance in zip(rates, levels, chances, strict=True)
    ]
    return Traits(
        [rate >> rate_shift for rate in rates],
        [dropout >> shift for dropout in dropouts],
        levels,
        persons,
        [place >> city_shift for place in places],
        [channels[choice] for choice in choices],
        [buyers[choice] for choice in choices],
    )


class SignUps(NamedTuple):
    """The sign-ups of one day in order of time, by column.

    *drawn* are the indexes of the users in the order in which they are drawn, *ticks* are
    of the window, *seconds* of the day, and *clocks* are as in `list_clocks`.
    """

    drawn: list[int]
    ticks: list[int]
    seconds: list[int]
    clocks: list[Clock]


def sign_up_day(
    streams: Streams,
    calendar: Calendar,
    day_number: int,
    first_id: int,
    user_count: int,
    end_tick: int,
    schedule: PurchaseSchedule,
    process: Process = STEADY,
    bad_channels: Mapping[int, int] | None = None,
) -> NewUsers:
    """Return the *user_count* users of one day; their ids begin with *first_id*.

    Their traits, and their purchases before *end_tick*, are appended to *schedule*; they
    buy by *process*.  *bad_channels* are those of `Shocks.find_bad_channels`.
    """
    day = calendar.texts[day_number]
    traits = draw_traits(streams, day, user_count)
    if bad_channels:
        traits = _reduce_buyers(traits, bad_channels)
    levels = build_customer_tables().levels
    by_word, shift = build_country_table(), 16 - COUNTRY_WORD_BITS
    countries = [by_word[person >> shift] for person in traits.persons]
    signups = _order_signups(
        calendar,
        day_number,
        streams.draw("users", "signed_up_at", day, user_count),
        countries,
    )
    persons = [traits.persons[at] for at in signups.drawn]
    countries = [countries[at] for at in signups.drawn]
    returners = find_habit(streams, "returner").list_consecutive(first_id, user_count)
    # `array.extend` would take twice the time.
    schedule.traits += array(
        "H",
        [
            levels[level] << LEVEL_SHIFT
            | channel << CHANNEL_SHIFT
            | returner << RETURNER_SHIFT
            | country
            for level, channel, country, returner in zip(
                traits.levels,
                traits.channels,
                countries,
                returners.translate(list_returner_classes()),
                strict=True,
            )
        ],
    )
    _add_purchases(
        streams,
        calendar,
        day_number,
        signups,
        first_id,
        end_tick,
        traits,
        find_purchase_tables(process, day_number),
        schedule,
    )
    return NewUsers(
        day, first_id, countries, persons, traits.cities, traits.channels, signups.seconds
    )


def _order_signups(
    calendar: Calendar, day: int, words: Sequence[int], countries: Sequence[int]
) -> SignUps:
    """Return the sign-ups that *words* choose on a *day*, in order of time.

    *countries* are those of the users who are drawn; the order depends on their clocks.
    """
    clocks, dial = list_clocks(), build_dial()
    first_tick, slots, profile, _ = calendar.day_times[day]
    ticks = [slots * word >> WORD_BITS - SLOT_BITS for word in words]
    # The lowest bit of a word, which does not matter for the time, is the habit.
    drawn_clocks = [
        clocks[country * HABITS + (word & 1)]
        for country, word in zip(countries, words, strict=True)
    ]
    # One integer per user, of as few bits as possible: short ones are sorted faster.
    bits = len(words).bit_length()
    keys = [
        dial[(tick << SHARE_BITS) // slots + starts[profile]] - offset << bits | at
        for at, tick, (starts, offset) in zip(count(), ticks, drawn_clocks, strict=False)
    ]
    keys.sort()
    drawn = [key & (1 << bits) - 1 for key in keys]
    return SignUps(
        drawn,
        [first_tick + ticks[at] for at in drawn],
        [key >> bits for key in keys],
        [drawn_clocks[at] for at in drawn],
    )


@cache
def list_clocks() -> list[Clock]:
    """Return the clock of each habit of each country."""
    return [
        make_clock(country.utc_offset_hours, habit)
        for country in COUNTRIES
        for habit in range(HABITS)
    ]


def _reduce_buyers(traits: Traits, per_mille: Mapping[int, int]) -> Traits:
    """Return *traits* with *per_mille* of the buyers of each channel that it has."""
    buyers = [
        buyer * per_mille.get(channel, PER_MILLE) // PER_MILLE
        for buyer, channel in zip(traits.buyers, traits.channels, strict=True)
    ]
    return traits._replace(buyers=buyers)


def _add_purchases(
    streams: Streams,
    calendar: Calendar,
    day_number: int,
    signups: SignUps,
    first_id: int,
    end_tick: int,
    traits: Traits,
    tables: PurchaseTables,
    schedule: PurchaseSchedule,
) -> None:
    """Append to *schedule* the purchases of the users of one day, and their departures.

    The first purchase follows the sign-up.  After that the times between purchases are
    gaps ÷ the customer's rate, and after each repeat purchase the customer leaves with the
    customer's dropout probability.  With exponential gaps this is BG/NBD.  This hot loop is
    long because a function call per user would take a third more time.
    """
    gaps, inverse_rates, dropouts = tables
    delays = build_gaps(STEADY)
    slot_days, day_times, dial = calendar.slot_days, calendar.day_times, build_dial()
    day, user_count = calendar.texts[day_number], len(signups.ticks)
    words = streams.draw("orders", "ordered_at", day, GAP_WORDS * user_count)
    add_purchase, add_departure = schedule.purchases.append, schedule.departures.append
    kinds, last = REPEAT_KINDS, len(REPEAT_KINDS)
    user_step = 1 << USER_SHIFT
    first_user = first_id * user_step
    for first_word, user, signup_tick, (starts, offset), visit, buyer, rate, dropout in zip(
        range(0, len(words), GAP_WORDS),
        range(first_user, first_user + user_count * user_step, user_step),
        signups.ticks,
        signups.clocks,
        streams.draw("orders", "first_ordered_at", day, user_count),
        traits.buyers,
        traits.rates,
        traits.dropouts,
        strict=True,
    ):
        # The low 16 bits decide whether the user ever buys, and whether at once; the high
        # bits decide when.
        chance = visit & 65535
        if chance >= buyer:
            add_departure(-1)
            continue
        if chance << 10 < buyer * SAME_VISIT_1024THS:
            tick = signup_tick + (VISIT_TICKS * (visit >> 16) >> 16)
        else:
            tick = signup_tick + (FIRST_DELAY_TICKS * delays[visit >> GAP_SHIFT] >> 16)
        left_at = 0
        if tick < end_tick:
            start, slots, profile, midnight = day_times[slot_days[tick >> SLOT_BITS]]
            share = (tick - start << SHARE_BITS) // slots
            second = midnight + dial[share + starts[profile]] - offset
            add_purchase(second << TIME_SHIFT | user)
            number = 0
            source, index = words, first_word
            stop = index + GAP_WORDS
            inverse_rate, leaves = inverse_rates[rate], dropouts[dropout]
            gap = gaps[source[index] >> GAP_SHIFT] * inverse_rate >> 12
            tick += gap
            while tick < end_tick:
                start, slots, profile, midnight = day_times[slot_days[tick >> SLOT_BITS]]
                share = (tick - start << SHARE_BITS) // slots
                second = midnight + dial[share + starts[profile]] - offset
                kind = kinds[number] if number < last else LAST_REPEAT_KIND
                add_purchase(second << TIME_SHIFT | user + kind + (gap > LONG_GAP_TICKS))
                number += 1
                index += 1
                if index == stop:
                    # The words are used up.  The customer's own stream gives more: it is
                    # drawn again from its start, twice as long each time.
                    index = 0 if source is words else stop
                    stop = 2 * index or MORE_GAP_WORDS
                    unit = f"{day}/{first_word // GAP_WORDS}"
                    source = streams.draw("orders", "ordered_at", unit, stop)
                # The low 16 bits decide on the dropout, the high bits on the next purchase.
                word = source[index]
                if word & 65535 < leaves:
                    left_at = second
                    break
                gap = gaps[word >> GAP_SHIFT] * inverse_rate >> 12
                tick += gap
        add_departure(left_at)


def find_purchase_tables(process: Process, day_number: int) -> PurchaseTables:
    """Return the tables for the purchases of the users who sign up on a day."""
    tables = build_customer_tables()
    step = find_drift_step(process, day_number)
    if step != MIDDLE_DRIFT_STEP:
        tables = _build_drifted_tables(step)
    return PurchaseTables(build_gaps(process), tables.inverse_rates, tables.dropouts)


# Days are made in order, so one step is in use.
@lru_cache(maxsize=1)
def _build_drifted_tables(step: int) -> CustomerTables:
    """Return the tables of a *step* of the drift, see `purchase_processes`."""
    tables = build_customer_tables()
    last = LAST_DRIFT_STEP - MIDDLE_DRIFT_STEP
    slower = powers_of_two(RATE_HALVING_STEPS, -MIDDLE_DRIFT_STEP, last)[step]
    sooner = powers_of_two(DROPOUT_DOUBLING_STEPS, -MIDDLE_DRIFT_STEP, last)[step]
    return tables._replace(
        inverse_rates=[rate * slower >> UNIT_BITS for rate in tables.inverse_rates],
        dropouts=[
            min(dropout * sooner >> UNIT_BITS, CERTAIN_DROPOUT)
            for dropout in tables.dropouts
        ],
    )


@cache
def build_gaps(process: Process) -> list[int]:
    """Return the times between purchases by word, in 16-bit fixed point, with mean 1."""
    if process.stages == 2:
        # The sum of two exponential stages, each half as long.
        return [value >> 17 for value in sample_quantiles(gamma("2"), TRAIT_BITS)]
    table = exponential()
    if process.short_per_mille:
        table = hyperexponential(process.short_per_mille, process.short_mean_per_mille)
    return [value >> 16 for value in sample_quantiles(table, TRAIT_BITS)]


@cache
def build_customer_tables() -> CustomerTables:
    """Return the tables of purchase rates, dropouts and spending levels."""
    scale, unit = RATE_SCALE_TICKS << 28, SPEND_Q_MINUS_1_PER_CENT * UNIT // 100 * UNIT
    least = scale // MOST_INVERSE_RATE
    return CustomerTables(
        inverse_rates=[
            scale // value if value > least else MOST_INVERSE_RATE
            for value in sample_quantiles(gamma(RATE_SHAPE), RATE_BITS)
        ],
        dropouts=[
            value >> 16
            for value in sample_quantiles(beta(DROPOUT_A, DROPOUT_B), TRAIT_BITS)
        ],
        # A high word gives a high level, as it gives a high rate.
        levels=find_levels(
            [
                unit // value
                for value in reversed(sample_quantiles(gamma(SPEND_Q), TRAIT_BITS))
            ]
        ),
    )


def find_levels(values: Sequence[int]) -> list[int]:
    """Return the spending level of each of *values*, fixed-point numbers that ascend."""
    bounds = list_level_bounds()
    marks = [bisect_left(values, bound) for bound in bounds]
    return fill_places(range(-1, len(bounds)), [0, *marks, len(values)])


@cache
def list_level_bounds() -> list[int]:
    """Return the lower bound of each spending level, as fixed-point numbers."""
    return powers_of_two(2 * LEVELS_PER_DOUBLING, -2 * ZERO_LEVEL - 1, 2 * ZERO_LEVEL)[::2]


@cache
def list_returner_classes() -> bytes:
    """Return the class of returners by the byte of the habit "returner"."""
    return bytes(apportion(RETURNER_WEIGHTS, 256))
