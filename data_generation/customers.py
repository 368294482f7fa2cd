"""Who signs up, what they are like inside, and when they buy.

Each customer carries hidden truth: a purchase rate and a dropout probability (BG/NBD) and
a spending level (Gamma-Gamma), drawn from the parameters published for CDNOW.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import count, pairwise
from typing import NamedTuple

from data_generation.catalog import (
    ASCII_LETTERS,
    CHANNELS,
    COUNTRY_CHOICE,
    EMAIL_DOMAINS,
    Country,
)
from data_generation.distributions import UNIT, beta, exponential, gamma
from data_generation.seasons import (
    DAY_TICKS,
    MONTH_PER_CENT,
    WEEKDAY_PER_CENT,
    Calendar,
)
from data_generation.streams import WORD_BITS, Streams, is_chosen, scale_word

# BG/NBD for CDNOW, in weeks: r .243, α 4.414, a .793, b 2.426 (Fader, Hardie, Lee 2005).
RATE_SHAPE = "0.243"
RATE_SCALE_TICKS = 4414 * 7 * DAY_TICKS // 1000
DROPOUT_A, DROPOUT_B = "0.793", "2.426"

# Gamma-Gamma for CDNOW: q 3.74; a customer's mean spending is proportional to
# 1 ÷ Gamma(q), whose mean is 1 ÷ (q − 1).
SPEND_Q = "3.74"
SPEND_Q_MINUS_1_PER_CENT = 274

# Of those who sign up, how many ever buy, and how many of them in the same visit; the
# others come back later, after eight days on average.
BUYER_PER_MILLE = 860
SAME_VISIT_PER_MILLE = 640
FIRST_DELAY_TICKS = 8 * DAY_TICKS
VISIT_TICKS = DAY_TICKS // 24

# Words fetched at a time for one customer's moments: two a purchase.
MOMENT_WORDS = 32


class User(NamedTuple):
    """A customer: *row* is the line of users.csv, the rest is what orders are made from.

    *tick* is the moment of sign-up in shop time; *rate* and *spending_level* are
    fixed-point numbers, *dropout* is a word.
    """

    row: str
    user_id: int
    country: Country
    tick: int
    buys: bool
    rate: int
    dropout: int
    spending_level: int


class Purchase(NamedTuple):
    """A moment at which a customer buys; sorts by time, then by customer."""

    second: int
    user_id: int
    number: int
    country: Country
    spending_level: int


def plan_signups(streams: Streams, calendar: Calendar, user_count: int) -> list[int]:
    """Return how many of *user_count* users sign up on each day of *calendar*.

    Sign-ups grow by the day, follow week and season, and vary by chance; the cumulated
    weights are cut so that the days' counts add up to *user_count* exactly.
    """
    totals = [0]
    for number, day in enumerate(calendar.days):
        (chance,) = streams.draw("users", "signup_count", day, 1)
        weight = (365 + number) * WEEKDAY_PER_CENT[day.weekday()]
        weight = (
            weight * (100 + MONTH_PER_CENT[day.month - 1]) * scale_word(chance, 60, 140)
        )
        totals.append(totals[-1] + weight)
    marks = [user_count * total // totals[-1] for total in totals]
    return [after - before for before, after in pairwise(marks)]


def sign_up_users(
    streams: Streams, calendar: Calendar, day_number: int, first_id: int, user_count: int
) -> list[User]:
    """Return the *user_count* users of one day, in the order in which they sign up.

    Their ids run on from *first_id*.
    """
    day = calendar.days[day_number]
    draws = (
        streams.draw("users", column, day, user_count)
        for column in (
            "country_code", "city", "given_name", "family_name", "email", "channel",
            "is_buyer", "purchase_rate", "dropout", "spending_level",
        )
    )  # fmt: skip
    moments = sorted(streams.draw("users", "signed_up_at", day, user_count))
    return [
        _make_user(calendar, day_number, first_id + at, moment, *words)
        for at, (moment, *words) in enumerate(zip(moments, *draws, strict=True))
    ]


def _make_user(
    calendar: Calendar,
    day_number: int,
    user_id: int,
    moment: int,
    country_word: int,
    city: int,
    given_name: int,
    family_name: int,
    domain: int,
    channel: int,
    is_buyer: int,
    rate: int,
    dropout: int,
    spending_level: int,
) -> User:
    country = COUNTRY_CHOICE.item_at(country_word)
    given = country.given_names[scale_word(given_name, 0, len(country.given_names))]
    family = country.family_names[scale_word(family_name, 0, len(country.family_names))]
    day_start, day_stop = calendar.ticks[day_number : day_number + 2]
    # The same mapping as a purchase's, so that none comes out before the sign-up.
    tick = day_start + ((day_stop - day_start) * moment >> WORD_BITS)
    signed_up_at = calendar.format_instant(calendar.second_at(tick))
    row = (
        f"{user_id},{make_email(given, family, user_id, domain)},{given} {family},"
        f"{country.code},{country.cities[scale_word(city, 0, len(country.cities))]},"
        f"{CHANNELS.item_at(channel)},{signed_up_at}\n"
    )
    return User(
        row=row,
        user_id=user_id,
        country=country,
        tick=tick,
        buys=is_chosen(is_buyer, BUYER_PER_MILLE),
        rate=gamma(RATE_SHAPE).value_at(rate),
        dropout=beta(DROPOUT_A, DROPOUT_B).value_at(dropout),
        spending_level=find_spending_level(spending_level),
    )


def make_email(given: str, family: str, user_id: int, domain: int) -> str:
    """Return an ASCII address that no one else has.

    >>> make_email("Jérôme", "Weiß", 7, 0)
    'jerome.weiss.7@example.com'
    """
    domain_name = EMAIL_DOMAINS[scale_word(domain, 0, len(EMAIL_DOMAINS))]
    return f"{_fold(given)}.{_fold(family)}.{user_id}@{domain_name}"


def _fold(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(ASCII_LETTERS))
    return decomposed.encode("ascii", "ignore").decode("ascii")


def find_spending_level(word: int) -> int:
    """Return a customer's spending level in fixed point, the population's mean being 1."""
    draw = max(gamma(SPEND_Q).value_at(word), UNIT // 16)
    return SPEND_Q_MINUS_1_PER_CENT * UNIT // 100 * UNIT // draw


def find_purchases(
    streams: Streams, calendar: Calendar, user: User, unit: str
) -> list[Purchase]:
    """Return the moments within *calendar* at which *user* buys, in time order.

    *unit* names the customer's own stream.  The first purchase follows the sign-up.  After
    that the gaps are exponential with the customer's rate, and after each repeat purchase
    the customer leaves for good with the customer's dropout probability (BG/NBD).
    """
    if not user.buys:
        return []
    end = calendar.ticks[-1]
    words = _endless_words(streams, unit)
    tick = user.tick + _first_delay(next(words), next(words))
    purchases = []
    for number in count():
        if tick >= end:
            break
        second = calendar.second_at(tick)
        purchases.append(
            Purchase(second, user.user_id, number, user.country, user.spending_level)
        )
        gap, leaves = next(words), next(words)
        if user.rate == 0 or (number > 0 and leaves < user.dropout):
            break
        tick += exponential().value_at(gap) * RATE_SCALE_TICKS // user.rate
    return purchases


def _first_delay(visit: int, delay: int) -> int:
    if is_chosen(visit, SAME_VISIT_PER_MILLE):
        return VISIT_TICKS * delay >> WORD_BITS
    return FIRST_DELAY_TICKS * exponential().value_at(delay) // UNIT


def _endless_words(streams: Streams, unit: str) -> Iterator[int]:
    done = 0
    for size in (MOMENT_WORDS << doubling for doubling in count()):
        yield from streams.draw("orders", "ordered_at", unit, size)[done:]
        done = size
