"""Who signs up, what they are like inside, and when they buy.

Each customer carries hidden truth: a purchase rate and a dropout probability (BG/NBD) and
a spending level (Gamma-Gamma), drawn from the parameters published for CDNOW.

A sign-up day is made in columns: bulk words, gathered through tables small enough for the
processor's cache, joined into rows.  One loop a user is left, the moments of purchase.
"""

from __future__ import annotations

import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import count, pairwise
from typing import NamedTuple

from data_generation.model.catalog import (
    ASCII_LETTERS,
    CHANNELS,
    COUNTRIES,
    EMAIL_DOMAINS,
    Country,
)
from data_generation.model.distributions import (
    UNIT,
    beta,
    deal,
    expand,
    exponential,
    gamma,
    octave_steps,
)
from data_generation.model.seasons import (
    DAY_BITS,
    DAY_TICKS,
    MINUTES,
    SECONDS,
    Calendar,
    demand,
    make_clock,
)
from data_generation.model.streams import WORD_BITS, Streams, scale_word

# BG/NBD for CDNOW, in weeks: r .243, α 4.414, a .793, b 2.426 (Fader, Hardie, Lee 2005).
RATE_SHAPE = "0.243"
RATE_SCALE_TICKS = 4414 * 7 * DAY_TICKS // 1000
DROPOUT_A, DROPOUT_B = "0.793", "2.426"

# Gamma-Gamma for CDNOW: q 3.74; a customer's mean spending is proportional to
# 1 ÷ Gamma(q), whose mean is 1 ÷ (q − 1).
SPEND_Q = "3.74"
SPEND_Q_MINUS_1_PER_CENT = 274

# Gamma-Gamma takes spending to be independent of the rate; in CDNOW they correlate at
# .114.  So in this share of customers, in 64ths, one word decides on both.
SAME_WORD_64THS = 14

# Of those who buy, how many do so in the visit in which they sign up, of 1,024; the others
# come back later, after eight days on average.
SAME_VISIT_1024THS = 655
FIRST_DELAY_TICKS = 8 * DAY_TICKS
VISIT_TICKS = DAY_TICKS // 24

# Moments fetched at a time for each customer of a day; who needs more has a stream of
# one's own, read in pieces that double from the second size on.
MOMENT_WORDS = 6
MORE_MOMENT_WORDS = 64

# A level of spending is counted in steps of a sixteenth of an octave; ZERO_LEVEL is the
# population's mean.
OCTAVE_STEPS = 16
ZERO_LEVEL = 64

# Sizes of tables, in bits of the word that chooses from them: small enough to stay in the
# processor's cache.  The rates' is the largest, for their long tail.
PERSON_BITS = 12
PLACE_BITS = 10
TRAIT_BITS = 12
RATE_BITS = 14
GAP_SHIFT = WORD_BITS - TRAIT_BITS

# A moment of purchase is one integer: tick, user and whether it is a repeat purchase.
USER_BITS = 27
MOMENT_BITS = USER_BITS + 1
MOST_USER_ID = (1 << USER_BITS) - 1

# A user's traits are one 16-bit integer: spending level and country.
COUNTRY_BITS = 3


class Persons(NamedTuple):
    """Names by word: *heads* and *tails* stand around the id in a row of users.csv."""

    heads: list[str]
    tails: list[str]
    countries: list[int]


class Places(NamedTuple):
    """City and channel of one country by word, and the channel's share of buyers.

    *buyers* are out of 65,536.
    """

    texts: list[str]
    buyers: list[int]


class Temper(NamedTuple):
    """What BG/NBD and Gamma-Gamma draw for a customer, by word.

    *inverse_rates* are ticks between purchases: times a gap, which is a 16-bit fixed-point
    number of mean 1, shifted right by 12.  *dropouts* are out of 65,536; *levels* are steps
    of a sixteenth of an octave, ZERO_LEVEL the population's mean.
    """

    gaps: list[int]
    inverse_rates: list[int]
    dropouts: list[int]
    levels: list[int]


class Signups:
    """What sign-up days leave for order days, user by user and purchase by purchase.

    *traits* has an entry per user; *departures* too, in ticks: when the customer left for
    good, 0 if not before the end, -1 for one who never buys.
    """

    def __init__(self) -> None:
        self.traits = array("H")
        self.moments: list[int] = []
        self.departures: list[int] = []


def plan_signups(
    streams: Streams, calendar: Calendar, user_count: int, paced_days: int
) -> list[int]:
    """Return how many users sign up on each day of *calendar*.

    Sign-ups grow by the day, follow the demand half the way, and vary by chance; the
    cumulated weights are cut so that the counts of the first *paced_days* days add up to
    *user_count* exactly, and later days go on at that pace.
    """
    totals = [0]
    for number, day in enumerate(calendar.days):
        (chance,) = streams.draw("users", "signup_count", day, 1)
        pull = (DAY_TICKS + demand(day)) * scale_word(chance, 90, 110)
        totals.append(totals[-1] + (365 + number) * pull)
    marks = [user_count * total // totals[paced_days] for total in totals]
    return [after - before for before, after in pairwise(marks)]


class Traits(NamedTuple):
    """What the users of a day are, a column each: indexes of the tables below.

    *rates*, *dropouts* and *levels* are those of `Temper`.
    """

    rates: list[int]
    dropouts: list[int]
    levels: list[int]
    persons: list[int]
    places: list[int]


def draw_traits(streams: Streams, day: str, user_count: int) -> Traits:
    """Return what the users of *day* are."""
    places, rates, dropouts, spending, persons = (
        streams.draw_halves("users", column, day, user_count)
        for column in ("place", "purchase_rate", "dropout", "spending_level", "person")
    )
    shift = 16 - TRAIT_BITS
    return Traits(
        [rate >> 16 - RATE_BITS for rate in rates],
        [dropout >> shift for dropout in dropouts],
        [
            (rate if place & 63 < SAME_WORD_64THS else level) >> shift
            for rate, place, level in zip(rates, places, spending, strict=True)
        ],
        [person >> 16 - PERSON_BITS for person in persons],
        [place >> 16 - PLACE_BITS for place in places],
    )


class Newcomers(NamedTuple):
    """The users of one day in the order of signing up, as far as their rows show them."""

    day: str
    first_id: int
    countries: list[int]
    persons: list[int]
    places: list[int]
    seconds: list[int]


def sign_up_day(
    streams: Streams,
    calendar: Calendar,
    day_number: int,
    first_id: int,
    user_count: int,
    end_tick: int,
    signups: Signups,
) -> Newcomers:
    """Return the *user_count* users of one day; their ids run on from *first_id*.

    Their traits, and their moments of purchase before *end_tick*, go to *signups*.
    """
    day = calendar.texts[day_number]
    traits = draw_traits(streams, day, user_count)
    levels, places, clock = make_temper().levels, make_places(), make_clock()
    person_countries = make_persons().countries
    countries = [person_countries[person] for person in traits.persons]
    signups.traits.extend(
        [
            levels[level] << COUNTRY_BITS | country
            for level, country in zip(traits.levels, countries, strict=True)
        ]
    )
    buyers = [
        places[country].buyers[place]
        for country, place in zip(countries, traits.places, strict=True)
    ]
    midnight, next_midnight = calendar.ticks[day_number : day_number + 2]
    day_ticks = next_midnight - midnight
    ticks = [
        day_ticks * word >> WORD_BITS
        for word in sorted(streams.draw("users", "signed_up_at", day, user_count))
    ]
    _add_moments(streams, day, midnight, ticks, first_id, end_tick, buyers, traits, signups)
    # An order's second is found from its tick in the same way: none precedes its sign-up.
    seconds = [clock[(tick << DAY_BITS) // day_ticks] for tick in ticks]
    return Newcomers(day, first_id, countries, traits.persons, traits.places, seconds)


def list_users(newcomers: Newcomers) -> list[str]:
    """Return the rows of *newcomers* in users.csv."""
    heads, tails, _ = make_persons()
    places = [country.texts for country in make_places()]
    day, minutes, seconds = newcomers.day, MINUTES, SECONDS
    return [
        f"{user},{heads[person]}{user}{tails[person]}{places[country][place]}"
        f"{day}{minutes[second // 60]}{seconds[second % 60]}\n"
        for user, person, country, place, second in zip(
            map(str, count(newcomers.first_id)),
            newcomers.persons,
            newcomers.countries,
            newcomers.places,
            newcomers.seconds,
            strict=False,
        )
    ]


def _add_moments(
    streams: Streams,
    day: str,
    midnight: int,
    ticks: Sequence[int],
    first_id: int,
    end_tick: int,
    buyers: Sequence[int],
    traits: Traits,
    signups: Signups,
) -> None:
    """Append to *signups* the moments at which the users of one day buy, and departures.

    The first purchase follows the sign-up.  After that the gaps are exponential with the
    customer's rate, and after each repeat purchase the customer leaves for good with the
    customer's dropout probability (BG/NBD).  A loop of one step a purchase: it is long,
    because a call a user would take a third of the time again.
    """
    gaps, inverse_rates, dropouts, _ = make_temper()
    words = streams.draw("orders", "ordered_at", day, MOMENT_WORDS * len(ticks))
    put, leave = signups.moments.append, signups.departures.append
    for rank, user, tick, visit, buyer, rate, dropout in zip(
        count(),
        count(first_id),
        ticks,
        streams.draw("orders", "first_ordered_at", day, len(ticks)),
        buyers,
        traits.rates,
        traits.dropouts,
        strict=False,
    ):
        chance = visit & 65535
        if chance >= buyer:
            leave(-1)
            continue
        moment = midnight + tick
        if chance << 10 < buyer * SAME_VISIT_1024THS:
            moment += VISIT_TICKS * (visit >> 16) >> 16
        else:
            moment += FIRST_DELAY_TICKS * gaps[visit >> GAP_SHIFT] >> 16
        left_at = 0
        if moment < end_tick:
            put(moment << MOMENT_BITS | user << 1)
            source, index = words, rank * MOMENT_WORDS
            stop = index + MOMENT_WORDS
            inverse_rate, leaves = inverse_rates[rate], dropouts[dropout]
            moment += gaps[source[index] >> GAP_SHIFT] * inverse_rate >> 12
            while moment < end_tick:
                put(moment << MOMENT_BITS | user << 1 | 1)
                index += 1
                if index == stop:
                    index = 0 if source is words else stop
                    stop = 2 * index or MORE_MOMENT_WORDS
                    source = streams.draw("orders", "ordered_at", f"{day}/{rank}", stop)
                word = source[index]
                if word & 65535 < leaves:
                    left_at = moment
                    break
                moment += gaps[word >> GAP_SHIFT] * inverse_rate >> 12
        leave(left_at)


@cache
def make_temper() -> Temper:
    """Return the tables of rates, dropouts and spending levels."""
    bounds = list_level_bounds()
    return Temper(
        gaps=[value >> 16 for value in expand(exponential(), TRAIT_BITS)],
        inverse_rates=[
            min((RATE_SCALE_TICKS << 28) // max(value, 1), 1 << 44)
            for value in expand(gamma(RATE_SHAPE), RATE_BITS)
        ],
        dropouts=[value >> 16 for value in expand(beta(DROPOUT_A, DROPOUT_B), TRAIT_BITS)],
        # A high word means a high level, as it means a high rate.
        levels=[
            bisect_right(bounds, SPEND_Q_MINUS_1_PER_CENT * UNIT // 100 * UNIT // value) - 1
            for value in reversed(expand(gamma(SPEND_Q), TRAIT_BITS))
        ],
    )


@cache
def list_level_bounds() -> list[int]:
    """Return where each level of spending begins, as fixed-point numbers."""
    return octave_steps(2 * OCTAVE_STEPS, -2 * ZERO_LEVEL - 1, 2 * ZERO_LEVEL)[::2]


@cache
def make_persons() -> Persons:
    """Return names and countries, by the weight of the countries."""
    persons = Persons([], [], [])
    slots = deal([country.weight for country in COUNTRIES], 1 << PERSON_BITS)
    for number, country in enumerate(COUNTRIES):
        texts = _name_everyone(country)
        for at in range(slots.count(number)):
            head, tail = texts[at % len(texts)]
            persons.heads.append(head)
            persons.tails.append(tail)
            persons.countries.append(number)
    return persons


def _name_everyone(country: Country) -> list[tuple[str, str]]:
    """Return every name of *country* with each domain, as head and tail of a row."""
    return [
        (
            f"{_fold(given)}.{_fold(family)}.",
            f"@{domain},{given} {family},{country.code},",
        )
        for domain in EMAIL_DOMAINS
        for given in country.given_names
        for family in country.family_names
    ]


def _fold(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(ASCII_LETTERS))
    return decomposed.encode("ascii", "ignore").decode("ascii")


@cache
def make_places() -> tuple[Places, ...]:
    """Return, for each country, its cities and the channels to the shop."""
    size = 1 << PLACE_BITS
    # Stepping by an odd number through the channels' shares mixes them with the cities.
    channels = deal([channel.weight for channel in CHANNELS], size)
    mixed = [CHANNELS[channels[at * 389 % size]] for at in range(size)]
    return tuple(
        Places(
            [
                f"{country.cities[at * len(country.cities) // size]},{channel.name},"
                for at, channel in enumerate(mixed)
            ],
            [channel.buyer_per_mille * 65536 // 1000 for channel in mixed],
        )
        for country in COUNTRIES
    )
