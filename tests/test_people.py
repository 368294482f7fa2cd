"""People: every user has an own address, and names are as common as in their country."""

from __future__ import annotations

import re
import unittest
from collections import Counter
from itertools import product

from data_generation.model import people
from data_generation.model.markets import COUNTRIES
from data_generation.model.names import FAMILY_NAMES, GIVEN_NAMES
from data_generation.model.streams import Streams
from tests.support import IN_CI

BLOCK = 1 << people.BLOCK_BITS


def list_rows(first_id: int, countries: list[int], seed: int = 42) -> list[list[str]]:
    """Return the cells of users with consecutive ids in *countries*."""
    streams, size = Streams(seed), len(countries)
    persons, places = (
        streams.draw_halves("test", column, first_id, size)
        for column in ("person", "place")
    )
    new_users = people.NewUsers(
        "2024-02-29",
        first_id,
        countries,
        persons,
        [place >> 16 - people.CITY_BITS for place in places],
        [0] * size,
        [0] * size,
    )
    rows = people.format_user_rows(streams, new_users)
    return [row.rstrip("\n").split(",") for row in rows]


def list_local_parts(first_id: int, countries: list[int]) -> list[str]:
    """Return what is before the domain in the addresses of users."""
    words = [0] * len(countries)
    new_users = people.NewUsers("", first_id, countries, words, words, words, words)
    rows = people.format_user_rows(Streams(42), new_users)
    return [row[row.index(",") + 1 : row.index("@")] for row in rows]


def draw_countries(size: int) -> list[int]:
    """Return the countries of *size* users."""
    table, shift = people.build_country_table(), 16 - people.COUNTRY_WORD_BITS
    return [table[word >> shift] for word in Streams(7).draw_halves("test", "", 0, size)]


class Addresses(unittest.TestCase):
    """No two users have the same e-mail address, and none contains the user id."""

    def test_every_user_of_a_block_has_an_own_address_in_any_country(self) -> None:
        addresses: set[str] = set()
        countries = range(0, len(COUNTRIES), 1 if IN_CI else 4)
        for country in countries:
            addresses.update(list_local_parts(3 * BLOCK, [country] * BLOCK))
        self.assertEqual(len(addresses), BLOCK * len(countries))

    def test_every_user_of_several_blocks_has_an_own_address(self) -> None:
        addresses: set[str] = set()
        blocks = (0, 1, 2, 40, 4095) if IN_CI else (0, 4095)
        for block in blocks:
            addresses.update(list_local_parts(block * BLOCK, [0] * BLOCK))
        self.assertEqual(len(addresses), len(blocks) * BLOCK)

    def test_texts_of_two_names_never_join_to_those_of_others(self) -> None:
        parts: dict[str, tuple[str, str]] = {}
        given, family = people.build_given_slots(), people.build_family_slots()
        for at in range(len(COUNTRIES)):
            givens = given.texts[at << people.GIVEN_BITS :][: people.GIVEN_SLOTS]
            families = family.texts[at << people.FAMILY_BITS :][: people.FAMILY_SLOTS]
            for pair in product(sorted(set(givens)), sorted(set(families))):
                self.assertEqual(parts.setdefault("".join(pair), pair), pair)
        self.assertGreater(len(parts), 100_000)

    def test_address_is_ascii_at_a_reserved_domain_and_without_the_id(self) -> None:
        form = r"^[a-z]+([._-]?[a-z]+)+([1-9]\d*)?@example\.(com|net|org)$"
        for user_id, address, *_ in list_rows(10_000, draw_countries(5000)):
            self.assertRegex(address, form)
            self.assertNotIn(user_id, address)

    def test_one_domain_has_most_addresses(self) -> None:
        domains = Counter(
            row[1].split("@")[1] for row in list_rows(1, draw_countries(6400))
        )
        for domain, weight in people.EMAIL_DOMAINS.items():
            self.assertAlmostEqual(domains[domain] / 6400, weight / 64, delta=0.02)

    def test_a_third_of_the_addresses_of_the_first_users_has_no_number(self) -> None:
        rows = list_rows(1, draw_countries(20_000))
        plain = sum(not re.search(r"\d@", row[1]) for row in rows)
        self.assertTrue(0.3 < plain / len(rows) < 0.4)

    def test_users_of_two_blocks_have_the_rows_that_each_would_have_alone(self) -> None:
        countries = draw_countries(40)
        together = list_rows(BLOCK - 20, countries)
        for at, row in enumerate(together):
            (alone,) = list_rows(BLOCK - 20 + at, [countries[at]])
            self.assertEqual(row[:4:2], alone[:4:2])
            self.assertEqual(row[1].split("@")[0], alone[1].split("@")[0])
        self.assertEqual(len(together), 40)


class Names(unittest.TestCase):
    """Common names are common, rare names exist, and both names are drawn apart."""

    def test_many_users_have_tens_of_thousands_of_names(self) -> None:
        names = Counter(row[2] for row in list_rows(1, draw_countries(100_000)))
        self.assertGreater(len(names), 20_000)
        self.assertGreater(names.most_common(1)[0][1], 80)

    def test_names_have_the_shares_of_their_ranks(self) -> None:
        rows = list_rows(1, [1] * BLOCK)
        for lists, part in ((GIVEN_NAMES, 0), (FAMILY_NAMES, -1)):
            names = lists["GB"].split()
            counts = Counter(row[2].split(" ")[part] for row in rows)
            self.assertEqual(counts.keys(), set(names))
            weights = [1 / (rank + people.NAME_OFFSET) for rank in range(1, len(names) + 1)]
            for name, weight in zip(names, weights, strict=True):
                share = weight / sum(weights)
                self.assertAlmostEqual(counts[name] / BLOCK, share, delta=0.008)

    def test_given_and_family_names_are_independent(self) -> None:
        common = [lists["US"].split()[:6] for lists in (GIVEN_NAMES, FAMILY_NAMES)]
        pairs = Counter(row[2] for row in list_rows(1, [0] * 20_000))
        counts = {pair: pairs[" ".join(pair)] for pair in product(*common)}
        givens, families = Counter[str](), Counter[str]()
        for (given, family), found in counts.items():
            givens[given] += found
            families[family] += found
        total = sum(counts.values())
        chi_square = sum(
            (found - expected) ** 2 / expected
            for (given, family), found in counts.items()
            if (expected := givens[given] * families[family] / total)
        )
        # 25 degrees of freedom; more than 59.5 has a probability of 1 in 8,000.
        self.assertLess(chi_square, 59.5)

    def test_every_name_and_city_of_a_country_is_used(self) -> None:
        for at, country in list(enumerate(COUNTRIES))[:: 1 if IN_CI else 4]:
            rows = list_rows(1, [at] * 20_000)
            self.assertEqual({row[3] for row in rows}, {country.code})
            self.assertEqual({row[4] for row in rows}, set(country.cities))
            self.assertEqual(
                len({row[2].split(" ")[0] for row in rows}),
                len(GIVEN_NAMES[country.code].split()),
            )
