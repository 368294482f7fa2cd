"""The markets: countries with their cities, clocks, taxes, fees and payment methods.

Cities are made up.  No text contains a comma, a quote or a line break, as in `catalog`.
"""

from __future__ import annotations

from typing import NamedTuple

CURRENCY = "USD"

# Payment methods.  Over all countries the weights are near the shares in online retail in
# North America in 2024 (Worldpay): wallets .39, credit .31, debit .18, others .12.
METHODS = ("wallet", "credit_card", "debit_card", "bank_transfer")


class Country(NamedTuple):
    """A market: its share of sign-ups, clock, tax, shipping fee, habits and cities.

    The clock differs from UTC by complete hours, without daylight saving time.  *methods*
    are weights of `METHODS`; of 1,000 orders *returned_per_mille* are returned.
    """

    code: str
    weight: int
    utc_offset_hours: int
    tax_per_mille: int
    shipping_cents: int
    methods: tuple[int, int, int, int]
    returned_per_mille: int
    cities: tuple[str, ...]


COUNTRIES = (
    Country(
        "US",
        380,
        -6,
        70,
        599,
        (38, 36, 20, 6),
        180,
        (
            "Fairmont Falls",
            "Cedar Junction",
            "New Avalon",
            "Port Linden",
            "Maple Ridge",
            "Santa Aurora",
            "Lake Harmon",
            "Eastbridge",
            "Silver Mesa",
            "Grand Hollow",
        ),
    ),
    Country(
        "GB",
        160,
        0,
        200,
        399,
        (40, 25, 28, 7),
        205,
        (
            "Ashcombe",
            "Northwick",
            "Kingsmere",
            "Little Harrow",
            "Stonebury",
            "Westerleigh Bay",
            "Dunmoor",
        ),
    ),
    Country(
        "DE",
        150,
        1,
        190,
        490,
        (44, 20, 14, 22),
        270,
        (
            "Lindenburg",
            "Rosenheide",
            "Königsfurt",
            "Altmühlen",
            "Grünwaldau",
            "Sankt Veitshagen",
            "Neustrand",
        ),
    ),
    Country(
        "FR",
        100,
        1,
        200,
        490,
        (36, 44, 12, 8),
        170,
        (
            "Saint-Aurèle",
            "Montclair-sur-Loue",
            "Belleroche",
            "Villefrançon",
            "Château-Renard Neuf",
            "Port-Émeraude",
        ),
    ),
    Country(
        "ES",
        70,
        1,
        210,
        490,
        (40, 36, 18, 6),
        140,
        ("Villasol", "San Telmo del Mar", "Peñafría", "Montelúcar", "Alcázar Nuevo"),
    ),
    Country(
        "SE",
        40,
        1,
        250,
        490,
        (44, 24, 20, 12),
        190,
        ("Östervik", "Norrhamn", "Ljungsåker", "Björkdala", "Västerholmen"),
    ),
    Country(
        "PL",
        50,
        1,
        230,
        490,
        (42, 16, 18, 24),
        150,
        ("Nowy Brzeg", "Złotów Górny", "Białe Łąki", "Kamieńsko", "Świerkowo"),
    ),
    Country(
        "BR",
        50,
        -3,
        170,
        690,
        (36, 42, 12, 10),
        110,
        (
            "São Tibério",
            "Porto Açucena",
            "Nova Esperança do Vale",
            "Itaporã da Serra",
            "Ribeirão Claro Novo",
        ),
    ),
)
