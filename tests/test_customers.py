"""Customers follow the model: all of them together, while channels differ in value."""

from __future__ import annotations

import unittest
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from statistics import correlation, mean
from unittest import mock

from data_generation.model import channels, customers, markets, people, seasons
from data_generation.model.streams import Streams

DAYS = [str(date(2024, 1, 1) + timedelta(days=day)) for day in range(366)]


def list_traits(day_users: int, days: Sequence[str] = DAYS) -> Iterator[customers.Traits]:
    """Yield the traits of *day_users* users of each of *days*."""
    for day in days:
        yield customers.draw_traits(Streams(42), day, day_users)


def list_quarters(year: int) -> list[tuple[list[int], list[int]]]:
    """Return channels and buyers of each pair of quarters in January of *year*."""
    table = channels.build_channel_table(year, 1)
    size = 1 << channels.CHOICE_BITS
    return [
        (table.channels[at : at + size], table.buyers[at : at + size])
        for at in range(0, len(table.channels), size)
    ]


class Channels(unittest.TestCase):
    """Channels differ in what their customers are worth, and their shares change."""

    def test_tilts_and_yearly_changes_add_up_to_zero(self) -> None:
        for add_up in (
            sum(channel.yearly_change for channel in channels.CHANNELS),
            sum(channel.weight * channel.rate_tilt for channel in channels.CHANNELS),
            sum(channel.weight * channel.spend_tilt for channel in channels.CHANNELS),
        ):
            self.assertEqual(add_up, 0)

    def test_every_channel_has_users_of_every_kind_in_every_year(self) -> None:
        for year in (1, 2018, 2024, 2030, 9999):
            self.assertGreater(min(channels.weigh_channels(year, 12)), 0)
            for row, _ in list_quarters(year):
                self.assertEqual(len(set(row)), len(channels.CHANNELS), year)

    def test_equally_many_users_of_every_quarter_buy(self) -> None:
        for year in (2018, 2024, 2030):
            shares = [mean(buyers) / 65536 for _, buyers in list_quarters(year)]
            self.assertLess(max(shares) - min(shares), 1e-4, year)
            self.assertAlmostEqual(mean(shares), 0.86, delta=0.02)

    def test_shares_are_the_weights_and_move_with_the_years(self) -> None:
        shares = {
            year: Counter(at for row, _ in list_quarters(year) for at in row)
            for year in (2024, 2028)
        }
        for at, channel in enumerate(channels.CHANNELS):
            for year, counts in shares.items():
                expected = channel.weight + channel.yearly_change * (year - 2024)
                self.assertAlmostEqual(1000 * counts[at] / 4096, expected, delta=8)

    def test_channel_of_a_user_depends_on_rate_and_level_as_its_tilts_state(self) -> None:
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for traits in list_traits(100):
            for rate, level, channel in zip(
                traits.rates, traits.levels, traits.channels, strict=True
            ):
                found[channel].append((rate, level))
        same_word = customers.SAME_WORD_64THS / 64
        for at, tilted in enumerate(channels.CHANNELS):
            rates, levels = (mean(values) for values in zip(*found[at], strict=True))
            # A tilt of 1 adds (-3, -1, 1, 3) ÷ 16 to the shares of the quarters, whose
            # middles are (1, 3, 5, 7) ÷ 8: 5 ÷ 32 to the mean.  Both tilts act on both
            # means, because one word decides on rate and level of some customers.
            rate_tilt, spend_tilt = tilted.rate_tilt / 100, tilted.spend_tilt / 100
            self.assertAlmostEqual(
                rates / (1 << customers.RATE_BITS),
                0.5 + (rate_tilt + same_word * spend_tilt) * 5 / 32,
                delta=0.02,
            )
            self.assertAlmostEqual(
                levels / (1 << customers.TRAIT_BITS),
                0.5 + (spend_tilt + same_word * rate_tilt) * 5 / 32,
                delta=0.02,
            )


class Cities(unittest.TestCase):
    """A country has large and small cities, the same ones for every channel."""

    def test_cities_follow_their_ranks(self) -> None:
        for country, texts in zip(
            markets.COUNTRIES, people.build_city_tables(), strict=True
        ):
            counts = Counter(texts)
            largest = counts[f"{country.cities[0]},"]
            for rank, city in enumerate(country.cities, 1):
                self.assertAlmostEqual(largest / rank, counts[f"{city},"], delta=2)

    def test_city_and_channel_are_independent(self) -> None:
        cities, pairs = Counter[int](), Counter[tuple[int, int]]()
        shares = Counter[int]()
        for traits in list_traits(60):
            for word, channel in zip(traits.cities, traits.channels, strict=True):
                city = word * 10 >> people.CITY_BITS
                cities[city] += 1
                shares[channel] += 1
                pairs[city, channel] += 1
        total = cities.total()
        chi_square = sum(
            (pairs[city, channel] - expected) ** 2 / expected
            for city, in_city in cities.items()
            for channel, in_channel in shares.items()
            if (expected := in_city * in_channel / total)
        )
        # 9 × 6 = 54 degrees of freedom; more than 99.3 has a probability of 1 in 5,000.
        self.assertLess(chi_square, 99.3)


class Purchases(unittest.TestCase):
    """Purchase times follow the customer's hidden rate and dropout."""

    def sign_up(self, dropout: int, end_day: int = 700) -> customers.PurchaseSchedule:
        """Return the purchases of 400 customers who buy every two days."""
        tables = customers.build_customer_tables()
        # ticks between purchases = gap × inverse >> 12, where a gap of 1 is 65,536
        inverse = 2 * seasons.DAY_TICKS * 4096 // 65536
        patched = tables._replace(
            inverse_rates=[inverse] * 65536, dropouts=[dropout] * 4096
        )
        with mock.patch.object(seasons, "demand", return_value=seasons.DAY_TICKS):
            calendar = seasons.plan_calendar(date(2024, 1, 1), date(2025, 12, 31))
        signups = customers.PurchaseSchedule()
        # Without seasons and hours, times between purchases are those of demand time.
        clocks = [((0, 0), 0)] * len(customers.list_clocks())
        dial = [86_400 * share >> 15 for share in range(1 << 15)]
        with (
            mock.patch.object(customers, "build_customer_tables", return_value=patched),
            mock.patch.object(customers, "list_clocks", return_value=clocks),
            mock.patch.object(customers, "build_dial", return_value=dial),
        ):
            customers.sign_up_day(
                Streams(9), calendar, 0, 1, 400, calendar.ticks[end_day], signups
            )
        return signups

    def test_purchase_times_follow_the_customers_rate(self) -> None:
        by_user: dict[int, list[int]] = {}
        for purchase in self.sign_up(dropout=0).purchases:
            by_user.setdefault(
                purchase >> customers.USER_SHIFT & customers.MOST_USER_ID, []
            ).append(purchase)
        gaps = [
            (after >> customers.TIME_SHIFT) - (before >> customers.TIME_SHIFT)
            for purchases in by_user.values()
            for before, after in pairwise(purchases)
        ]
        self.assertGreater(min(map(len, by_user.values())), 250)
        days = [gap / 86_400 for gap in gaps]
        # Some 110,000 exponential gaps: the mean's error is 0.3 %.
        self.assertAlmostEqual(mean(days), 2, delta=0.03)
        self.assertAlmostEqual(sum(day > 2 for day in days) / len(days), 0.368, delta=0.01)
        self.assertGreater(correlation(days[:-1], days[1:]), -0.02)
        self.assertLess(correlation(days[:-1], days[1:]), 0.02)

    def test_customers_drop_out_with_their_probability(self) -> None:
        signups = self.sign_up(dropout=65536 // 4)
        left = [second for second in signups.departures if second > 0]
        never = signups.departures.count(-1)
        # Four repeat purchases on average: within 700 days all customers drop out.
        self.assertEqual(len(left) + never, 400)
        repeats = sum(purchase & customers.KIND_MASK > 0 for purchase in signups.purchases)
        self.assertAlmostEqual(repeats / len(left), 4, delta=0.6)
        last = {
            purchase >> customers.USER_SHIFT & customers.MOST_USER_ID: purchase
            >> customers.TIME_SHIFT
            for purchase in signups.purchases
        }
        self.assertEqual(sorted(last.values()), sorted(left))

    def test_end_of_the_window_does_not_change_earlier_purchases(self) -> None:
        longer, shorter = self.sign_up(dropout=100), self.sign_up(dropout=100, end_day=300)
        end = 300 * 86_400 << customers.TIME_SHIFT
        self.assertEqual(
            [purchase for purchase in longer.purchases if purchase < end], shorter.purchases
        )
