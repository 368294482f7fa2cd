"""Names, cities and e-mail addresses of the customers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median

from benchmarks.realism_math import ratio, share
from benchmarks.realism_rows import OWN, Band, Row, published
from benchmarks.shop_files import Shop, User, group_items


def name_rows(shop: Shop) -> list[Row]:
    """Return the rows on what users are called and where they live."""
    emails = Counter(user.email.casefold() for user in shop.users)
    countries = group_items(shop.users, lambda user: user.country_code).values()
    rank_method = (
        "Users by country; the name or city of most users ÷ the one of that rank, or of the"
        " last rank; median of the countries."
    )
    return [
        Row(
            "e-mail addresses used again",
            Band(0, 0),
            OWN,
            "Users less distinct addresses, whatever the case of the letters.",
            len(shop.users) - len(emails),
        ),
        Row(
            "e-mail addresses with the user's id",
            Band(0, 0.01),
            OWN,
            "Share whose local part has the id among its numbers.",
            share(user.user_id in re.findall(r"\d+", user.email) for user in shop.users),
        ),
        Row(
            "full names in use",
            Band(1000, math.inf),
            OWN,
            "1 ÷ the chance that two users of one country have the same full name: the"
            " number of names if all were as frequent.",
            count_names_in_use(countries),
        ),
        Row(
            "family names: first ÷ tenth",
            Band(1.5, 10),
            published("US Census 2010 2.30"),
            rank_method,
            median_rank_ratio(map(_list_family_names, countries), 10),
        ),
        Row(
            "cities: first ÷ fifth",
            Band(2, 10),
            published("Zipf 5"),
            rank_method,
            median_rank_ratio(map(_list_cities, countries), 5),
        ),
        Row(
            "city and channel, chi-square ÷ degrees",
            Band(0.75, 1.25),
            OWN,
            "Pearson's chi-square of independence within each country, ÷ the degrees of"
            " freedom; summed over the countries. By chance: 1.",
            city_channel_dependence(countries),
        ),
    ]


def _list_family_names(users: Iterable[User]) -> Iterator[str]:
    return (user.full_name.partition(" ")[2] for user in users)


def _list_cities(users: Iterable[User]) -> Iterator[str]:
    return (user.city for user in users)


def count_names_in_use(countries: Iterable[Iterable[User]]) -> float:
    """Return the pairs of users of one country ÷ those of them with the same full name."""
    pairs = same = 0
    for users in countries:
        counts = Counter(user.full_name for user in users)
        pairs += math.comb(counts.total(), 2)
        same += sum(math.comb(count, 2) for count in counts.values())
    return ratio(pairs, same)


def median_rank_ratio(groups: Iterable[Iterable[str]], rank: int) -> float:
    """Return how much more frequent the first is than the one of *rank*, median of groups.

    >>> median_rank_ratio(["aaaabb", "aab", "aaac"], 2)
    2.0
    """
    ratios = []
    for names in groups:
        counts = [count for _, count in Counter(names).most_common(rank)]
        ratios.append(counts[0] / counts[-1])
    return median(ratios)


def city_channel_dependence(countries: Iterable[Iterable[User]]) -> float:
    """Return chi-square ÷ degrees of freedom of city and channel, within countries."""
    squares = degrees = 0.0
    for users in countries:
        cells = Counter((user.city, user.channel) for user in users)
        cities, channels = Counter[str](), Counter[str]()
        for (city, channel), count in cells.items():
            cities[city] += count
            channels[channel] += count
        for city, in_city in cities.items():
            for channel, in_channel in channels.items():
                expected = in_city * in_channel / cells.total()
                squares += (cells[city, channel] - expected) ** 2 / expected
        degrees += (len(cities) - 1) * (len(channels) - 1)
    return ratio(squares, degrees)
