"""People: names, e-mail addresses, countries and cities of users, as users.csv shows them.

A user has a given name and a family name, drawn apart; in both lists a few names are common
and many are rare.  The names of 2**BLOCK_BITS users, a block, are chosen by a permutation:
every pair of a given slot and a family slot is used by at most one user of the block and
country.  A common name has several slots.

An address is the text of the given slot, the text of the family slot and a number, which is
omitted where it is 0.  No two users have the same address:

- Texts contain no digit, and the same two texts never join to what two others join to
  (a test checks all pairs).  So equal addresses have equal texts and an equal number.
- The number contains, like the digits of a mixed radix, the block, the rank of the given
  slot among all slots with its text, and the rank of the family slot among all with its
  text.  So the users have the same block and the same two slots.
- A given slot belongs to one country, and the permutation is one to one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain, count, pairwise
from sys import intern
from typing import NamedTuple

from data_generation.model.channels import CHANNELS
from data_generation.model.distributions import apportion
from data_generation.model.markets import COUNTRIES
from data_generation.model.names import FAMILY_NAMES, GIVEN_NAMES
from data_generation.model.seasons import MINUTES, SECONDS
from data_generation.model.streams import Streams

# Slots per country, in bits of a user id.
GIVEN_BITS, FAMILY_BITS = 7, 8
GIVEN_SLOTS, FAMILY_SLOTS = 1 << GIVEN_BITS, 1 << FAMILY_BITS
BLOCK_BITS = GIVEN_BITS + FAMILY_BITS

# The share of the name of rank n is like 1 ÷ (n + NAME_OFFSET), after Zipf and Mandelbrot:
# the most common of 50 has 5 %.  Our own choice.
NAME_OFFSET = 9

# The half word that decides on a user's country and domain, and the one of the city.
PERSON_BITS = 16
COUNTRY_WORD_BITS = 10
DOMAIN_BITS = PERSON_BITS - COUNTRY_WORD_BITS
CITY_BITS = 8

# Domains that RFC 2606 reserves, with weights: one provider is the largest.
EMAIL_DOMAINS = {"example.com": 41, "example.net": 15, "example.org": 8}

# How addresses are written, by slot.  Of a given name: the name (G), its initial (g), or
# one of them with a middle initial (M, m).  Before the family name: a separator or nothing.
GIVEN_FORMS = "GGGgGMGm"
MIDDLE_INITIALS = "aejmlrbksdcthpnfgw"
SEPARATORS = (".", "_", "", ".", ".", "", ".", "_", ".", "", ".", ".", "-", ".", "", ".")

# Letters without a Unicode decomposition, for the ASCII part of an e-mail address.
ASCII_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "Ł": "L", "’": "", " ": ""})


class NewUsers(NamedTuple):
    """The users of one day in the order of their sign-ups, as their rows show them.

    *persons* are half words, whose high bits have decided on *countries*; *cities* are
    indexes of `build_city_tables`.
    """

    day: str
    first_id: int
    countries: Sequence[int]
    persons: Sequence[int]
    cities: Sequence[int]
    channels: Sequence[int]
    seconds: Sequence[int]


class NameSlots(NamedTuple):
    """Given or family names by country and slot, and their texts in addresses.

    *counts* are how many slots have the same text, *ranks* how many of them are before.
    """

    names: list[str]
    texts: list[str]
    counts: bytes
    ranks: bytes


class BlockTables(NamedTuple):
    """The permutation of a block in three tables, see `format_user_rows`.

    *ranks* are those of the given slots; they continue from block to block, so that every
    block has other numbers.
    """

    first: bytes
    second: list[int]
    third: bytes
    ranks: list[int]


def format_user_rows(streams: Streams, new_users: NewUsers) -> list[str]:
    """Return the rows of *new_users* in users.csv."""
    rows: list[str] = []
    for users in _cut_blocks(new_users):
        _append_rows(rows, users, build_block_tables(streams, users.first_id >> BLOCK_BITS))
    return rows


def _cut_blocks(new_users: NewUsers) -> Iterator[NewUsers]:
    """Yield *new_users* in groups that are each in one block."""
    day, first_id, *columns = new_users
    stop = first_id + len(new_users.countries)
    marks = [
        first_id,
        *range((first_id >> BLOCK_BITS) + 1 << BLOCK_BITS, stop, 1 << BLOCK_BITS),
        stop,
    ]
    for first, last in pairwise(marks):
        part = slice(first - first_id, last - first_id)
        yield NewUsers(day, first, *(column[part] for column in columns))


def _append_rows(rows: list[str], users: NewUsers, tables: BlockTables) -> None:
    """Append the rows of *users*, who are in one block, to *rows*.

    The low bits of an id, in two halves, are scrambled in three rounds: each adds a keyed
    random value of one half to the other one and can be undone, so no two users have the
    same two slots (Feistel; three rounds are enough by Luby and Rackoff 1988).  This loop
    is long because columns for its steps would take half as much time again.
    """
    first, second, third, ranks = tables
    given_names, given_texts, _, _ = build_given_slots()
    family_names, family_texts, counts, family_ranks = build_family_slots()
    domains, cities, add_row = build_domain_table(), build_city_tables(), rows.append
    channels = [f"{channel.name}," for channel in CHANNELS]
    day, minutes, seconds = users.day, MINUTES, SECONDS
    low_mask, high_mask, domain_mask = FAMILY_SLOTS - 1, GIVEN_SLOTS - 1, len(domains) - 1
    for user, country, person, city, channel, second_of_day in zip(
        count(users.first_id), *users[2:], strict=False
    ):
        low = user & low_mask
        half = (user >> FAMILY_BITS & high_mask | country << GIVEN_BITS) ^ first[low]
        family = low ^ second[half]
        given = half ^ third[family]
        number = ranks[given] * counts[family] + family_ranks[family]
        add_row(
            f"{user},{given_texts[given]}{family_texts[family]}{number or ''}"
            f"{domains[person & domain_mask]}{given_names[given]}{family_names[family]}"
            f"{cities[country][city]}{channels[channel]}"
            f"{day}{minutes[second_of_day // 60]}{seconds[second_of_day % 60]}\n"
        )


# Days are made in order, so one block is in use.
@lru_cache(maxsize=1)
def build_block_tables(streams: Streams, block: int) -> BlockTables:
    """Return the permutation of *block*, the same for all countries, and its ranks.

    The second and third table are by country and half, and keep the bits of the country.
    """
    drawn = streams.draw_bytes("users", "name", block, 2 * FAMILY_SLOTS + GIVEN_SLOTS)
    slots = build_given_slots()
    return BlockTables(
        first=bytes([value >> 8 - GIVEN_BITS for value in drawn[:FAMILY_SLOTS]]),
        second=[
            country << FAMILY_BITS | value
            for country in range(len(COUNTRIES))
            for value in drawn[2 * FAMILY_SLOTS :]
        ],
        third=len(COUNTRIES)
        * bytes([value >> 8 - GIVEN_BITS for value in drawn[FAMILY_SLOTS:-GIVEN_SLOTS]]),
        ranks=[
            block * size + rank
            for size, rank in zip(slots.counts, slots.ranks, strict=True)
        ],
    )


@cache
def build_given_slots() -> NameSlots:
    """Return the given names by country and slot."""
    names = _fill_slots(GIVEN_NAMES, GIVEN_SLOTS)
    texts = [_write_given_name(slot, to_ascii(name)) for slot, name in enumerate(names)]
    return _make_slots([f"{name} " for name in names], texts)


def _write_given_name(slot: int, name: str) -> str:
    """Return how the addresses of a given slot begin.

    >>> [_write_given_name(slot, "oskar") for slot in (2, 3, 5, 7)]
    ['oskar', 'o', 'oskar.r', 'ok']
    """
    form = GIVEN_FORMS[slot % len(GIVEN_FORMS)]
    middle = MIDDLE_INITIALS[slot % len(MIDDLE_INITIALS)]
    return {"G": name, "g": name[0], "M": f"{name}.{middle}", "m": name[0] + middle}[form]


@cache
def build_family_slots() -> NameSlots:
    """Return the family names by country and slot, each with its country."""
    names = _fill_slots(FAMILY_NAMES, FAMILY_SLOTS)
    texts = [
        SEPARATORS[slot % len(SEPARATORS)] + to_ascii(name)
        for slot, name in enumerate(names)
    ]
    cells = [
        f"{name},{COUNTRIES[slot >> FAMILY_BITS].code}," for slot, name in enumerate(names)
    ]
    return _make_slots(cells, texts)


def _fill_slots(names: Mapping[str, str], size: int) -> list[str]:
    """Return *size* names of each country in a row, in proportion to their shares."""
    return list(
        chain.from_iterable(
            _apportion_names(names[country.code].split(), size) for country in COUNTRIES
        )
    )


def _apportion_names(names: Sequence[str], size: int) -> list[str]:
    weights = [10**6 // (rank + NAME_OFFSET) for rank in range(1, len(names) + 1)]
    return [names[at] for at in apportion(weights, size)]


def _make_slots(names: Sequence[str], texts: Sequence[str]) -> NameSlots:
    """Return slots with *names* and *texts*, and how often each text occurs."""
    seen: dict[str, int] = {}
    ranks = []
    for text in texts:
        ranks.append(seen.get(text, 0))
        seen[text] = ranks[-1] + 1
    return NameSlots(
        # Equal texts are one object, so that all fit into the processor's cache.
        list(map(intern, names)),
        list(map(intern, texts)),
        bytes([seen[text] for text in texts]),
        bytes(ranks),
    )


# A common name has several slots.
@cache
def to_ascii(name: str) -> str:
    """Return *name* in small ASCII letters.

    >>> to_ascii("Łucja"), to_ascii("O’Connor")
    ('lucja', 'oconnor')
    """
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(ASCII_LETTERS))
    return decomposed.encode("ascii", "ignore").decode("ascii")


@cache
def build_domain_table() -> list[str]:
    """Return the domain of an address by the low bits of the half word of the person."""
    domains = list(EMAIL_DOMAINS)
    slots = apportion(list(EMAIL_DOMAINS.values()), 1 << DOMAIN_BITS)
    return [f"@{domains[at]}," for at in slots]


@cache
def build_country_table() -> list[int]:
    """Return indexes of COUNTRIES by word, in proportion to the weights."""
    return apportion([country.weight for country in COUNTRIES], 1 << COUNTRY_WORD_BITS)


@cache
def build_city_tables() -> list[list[str]]:
    """Return, for each country, its cities by word; the share of rank n is like 1 ÷ n."""
    return [
        [
            f"{country.cities[at]},"
            for at in apportion(
                [2520 // rank for rank in range(1, len(country.cities) + 1)], 1 << CITY_BITS
            )
        ]
        for country in COUNTRIES
    ]
