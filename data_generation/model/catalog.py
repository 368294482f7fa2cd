"""The catalogue and the markets: products, categories, prices, countries, cities, names.

Cities and brands are made up, names are common ones, e-mail addresses use the domains that
RFC 2606 reserves.  No text contains a comma, a quote or a line break, so that a row can be
joined with commas without quoting; a test checks this.
"""

from __future__ import annotations

from typing import NamedTuple

from data_generation.model.distributions import discrete, power_law_weight
from data_generation.model.streams import WORDS, Streams, scale_word

CURRENCY = "USD"

# This many products were launched in the years before the window.
OPENING_PRODUCTS = 240
OPENING_DAYS = 3 * 365
# One product is launched every so many days of the window.
LAUNCH_PACE = 12
# Launches happen at six in the morning; sales begin in the next month.
LAUNCH_HOUR = 6

# 2**32 ÷ the golden ratio.
GOLDEN_STEP = 2_654_435_769

# Draws for products come in blocks of this many rows.
PRODUCT_BLOCK = 64


# Payment methods.  Over all countries the weights are near the shares in online retail in
# North America in 2024 (Worldpay): wallets .39, credit .31, debit .18, others .12.
METHODS = ("wallet", "credit_card", "debit_card", "bank_transfer")


class Country(NamedTuple):
    """A market: its share of sign-ups, clock, tax on goods, shipping fee, habits and names.

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
    given_names: tuple[str, ...]
    family_names: tuple[str, ...]


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


COUNTRIES = (
    Country(
        "US",
        380,
        -6,
        70,
        599,
        (38, 36, 20, 6),
        180,
        _split_names(
            "Fairmont_Falls Cedar_Junction New_Avalon Port_Linden Maple_Ridge"
            " Santa_Aurora Lake_Harmon Eastbridge Silver_Mesa Grand_Hollow"
        ),
        _split_names(
            "Olivia Emma Ava Sophia Mia Grace Hannah Zoe Liam Noah James Ethan Mason"
            " Lucas Henry Owen"
        ),
        _split_names(
            "Miller Carter Brooks Hayes Turner Coleman Foster Bennett Reed Sullivan"
            " Parker Hughes Ramirez Nguyen Washington Kim"
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
        _split_names(
            "Ashcombe Northwick Kingsmere Little_Harrow Stonebury Westerleigh_Bay Dunmoor"
        ),
        _split_names(
            "Amelia Isla Poppy Freya Florence Harriet Oliver George Arthur Alfie"
            " Callum Rhys"
        ),
        _split_names(
            "Smith Taylor Davies Evans Thomas Roberts Walker Wright Patel Thompson"
            " O’Connor Hall"
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
        _split_names(
            "Lindenburg Rosenheide Königsfurt Altmühlen Grünwaldau Sankt_Veitshagen"
            " Neustrand"
        ),
        _split_names(
            "Anna Lena Marie Sophie Jürgen Björn Lukas Jonas Käthe Felix Günther Heike"
        ),
        _split_names(
            "Müller Schäfer Schröder Weiß Krüger Hoffmann Wagner Becker Köhler Lange"
            " Vogel Jäger"
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
        _split_names(
            "Saint-Aurèle Montclair-sur-Loue Belleroche Villefrançon Château-Renard_Neuf"
            " Port-Émeraude"
        ),
        _split_names(
            "Chloé Léa Zoé Inès Camille Élodie Hugo Théo Jérôme François Noël Mathis"
        ),
        _split_names(
            "Martin Bernard Lefèvre Moreau Garçon Rousseau Dubois Léger Fournier Girard"
            " Mercier Guérin"
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
        _split_names("Villasol San_Telmo_del_Mar Peñafría Montelúcar Alcázar_Nuevo"),
        _split_names(
            "Lucía Sofía Martina Inés Begoña Íñigo Hugo Martín Álvaro José Ramón Nuria"
        ),
        _split_names(
            "García Fernández López Muñoz Ibáñez Núñez Ortega Gómez Vázquez Castro"
        ),
    ),
    Country(
        "SE",
        40,
        1,
        250,
        490,
        (44, 24, 20, 12),
        190,
        _split_names("Östervik Norrhamn Ljungsåker Björkdala Västerholmen"),
        _split_names("Astrid Elsa Åsa Ebba Märta Göran Björn Håkan Nils Sören"),
        _split_names(
            "Lindqvist Öberg Sjögren Åkesson Nyström Bergström Häggkvist Lundgren"
        ),
    ),
    Country(
        "PL",
        50,
        1,
        230,
        490,
        (42, 16, 18, 24),
        150,
        _split_names("Nowy_Brzeg Złotów_Górny Białe_Łąki Kamieńsko Świerkowo"),
        _split_names(
            "Zofia Małgorzata Łucja Agnieszka Wojciech Paweł Michał Stanisław Kasia Święto"
        ),
        _split_names(
            "Wiśniewski Wójcik Kowalczyk Zieliński Szymański Dąbrowski Kozłowski Jabłoński"
        ),
    ),
    Country(
        "BR",
        50,
        -3,
        170,
        690,
        (36, 42, 12, 10),
        110,
        _split_names(
            "São_Tibério Porto_Açucena Nova_Esperança_do_Vale Itaporã_da_Serra"
            " Ribeirão_Claro_Novo"
        ),
        _split_names("Ana Júlia Beatriz Conceição Luíza João Antônio Otávio Mateus Thaís"),
        _split_names("Silva Conceição Araújo Gonçalves Magalhães Simões Brandão Assunção"),
    ),
)


EMAIL_DOMAINS = ("example.com", "example.org", "example.net")

# Letters without a Unicode decomposition, for the ASCII part of an e-mail address.
ASCII_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "Ł": "L", "’": "", " ": ""})


class Category(NamedTuple):
    """A category of products: its *weight* in demand and monthly *season* in per cent.

    *low_cents* and *high_cents* bound the list prices; cost is *cost_per_mille* of them.
    """

    name: str
    weight: int
    season: tuple[int, ...]
    low_cents: int
    high_cents: int
    cost_per_mille: int
    nouns: tuple[str, ...]


ALL_YEAR = (100,) * 12
WINTER = (190, 160, 110, 60, 35, 25, 25, 35, 80, 140, 190, 210)
SUMMER = (30, 40, 70, 110, 170, 220, 230, 170, 90, 50, 35, 30)
GIFTS = (60, 75, 80, 80, 90, 85, 80, 80, 90, 100, 190, 230)

CATEGORIES = (
    Category(
        "Tops & Shirts",
        17,
        ALL_YEAR,
        1500,
        6500,
        430,
        _split_names("Oxford_Shirt Crew_Tee Linen_Blouse Polo Henley Flannel_Shirt Tunic"),
    ),
    Category(
        "Trousers & Jeans",
        13,
        ALL_YEAR,
        3500,
        12000,
        450,
        _split_names("Slim_Jeans Chinos Cargo_Trousers Wide_Trousers Corduroys Leggings"),
    ),
    Category(
        "Coats & Knitwear",
        12,
        WINTER,
        4500,
        24000,
        440,
        _split_names("Wool_Coat Parka Cable-Knit_Jumper Cardigan Down_Jacket Trench_Coat"),
    ),
    Category(
        "Summer & Swim",
        9,
        SUMMER,
        1800,
        7500,
        410,
        _split_names("Swim_Shorts Sundress Sandals Beach_Towel Sun_Hat Rash_Vest"),
    ),
    Category(
        "Shoes",
        12,
        ALL_YEAR,
        4000,
        18000,
        480,
        _split_names("Running_Shoes Loafers Ankle_Boots Canvas_Trainers Derby_Shoes Mules"),
    ),
    Category(
        "Bags & Accessories",
        10,
        GIFTS,
        1200,
        15000,
        400,
        _split_names("Tote_Bag Leather_Belt Weekend_Bag Card_Holder Scarf Backpack"),
    ),
    Category(
        "Home & Kitchen",
        11,
        GIFTS,
        900,
        9500,
        500,
        _split_names("Stoneware_Mug Iron_Pan Table_Runner Storage_Jar Bread_Knife Tray"),
    ),
    Category(
        "Beauty & Care",
        9,
        ALL_YEAR,
        700,
        5500,
        330,
        _split_names("Hand_Cream Face_Oil Bath_Salts Shaving_Soap Lip_Balm Shampoo_Bar"),
    ),
    Category(
        "Toys & Games",
        7,
        GIFTS,
        900,
        7000,
        520,
        _split_names("Puzzle Wooden_Train Card_Game Plush_Bear Building_Blocks Paint_Set"),
    ),
)

BRANDS = _split_names(
    "Nordhavn Kestrel_&_Pine Maison_Orée Bluewater Lumenta Fjällrist Casa_Brava Otterby"
    " Grauwolf Petit_Nuage Halden Żubrówna Terra_Viva Oakhurst"
)
STYLES = _split_names(
    "Classic Everyday Heritage Organic Coastal Midnight Alpine Soft Modern Vintage Studio"
    " Weekend Café Field Nomad Signature"
)


class Product(NamedTuple):
    """A product as sold; *popularity* is its weight among those of its category."""

    product_id: int
    sku: str
    name: str
    category: int
    brand: str
    price_cents: int
    cost_cents: int
    launch_day: int
    popularity: int


def count_products(day_count: int) -> int:
    """Return how many products are launched by the end of a window of *day_count* days."""
    return OPENING_PRODUCTS + max(day_count - 1, 0) // LAUNCH_PACE


def launch_day(number: int) -> int:
    """Return the day on which product *number* (from 0) is launched; 0 is the first day.

    >>> launch_day(0), launch_day(OPENING_PRODUCTS - 1) < 0, launch_day(OPENING_PRODUCTS)
    (-1095, True, 12)
    """
    if number < OPENING_PRODUCTS:
        return number * OPENING_DAYS // OPENING_PRODUCTS - OPENING_DAYS
    return (number - OPENING_PRODUCTS + 1) * LAUNCH_PACE


def make_products(streams: Streams, day_count: int) -> list[Product]:
    """Return the catalogue at the end of a window of *day_count* days, oldest first."""
    products: list[Product] = []
    # Golden-section steps spread the popularities of a category's products evenly, so that
    # every shop has best sellers and a long tail.
    popularities = [
        streams.draw("products", "popularity", category.name, 1)[0]
        for category in CATEGORIES
    ]
    for first in range(0, count_products(day_count), PRODUCT_BLOCK):
        block = first // PRODUCT_BLOCK
        draws = zip(
            *(
                streams.draw("products", column, block, PRODUCT_BLOCK)
                for column in ("category", "noun", "style", "brand", "price")
            ),
            strict=True,
        )
        for number, words in enumerate(draws, first):
            product = _make_product(number, *words)
            popularity = popularities[product.category]
            popularities[product.category] = (popularity + GOLDEN_STEP) % WORDS
            products.append(product._replace(popularity=power_law_weight(popularity)))
    return products[: count_products(day_count)]


_CATEGORY_NUMBERS = discrete(
    range(len(CATEGORIES)), [category.weight for category in CATEGORIES]
)


def _make_product(
    number: int,
    category_word: int,
    noun_word: int,
    style_word: int,
    brand_word: int,
    price_word: int,
) -> Product:
    """Return product *number* (from 0) from its words, without its popularity."""
    category_number = _CATEGORY_NUMBERS.item_at(category_word)
    category = CATEGORIES[category_number]
    noun = category.nouns[scale_word(noun_word, 0, len(category.nouns))]
    price_cents = _make_price(category, price_word)
    return Product(
        product_id=number + 1,
        sku=f"{category.name[:2].upper()}-{number + 1:05d}",
        name=f"{STYLES[scale_word(style_word, 0, len(STYLES))]} {noun}",
        category=category_number,
        brand=BRANDS[scale_word(brand_word, 0, len(BRANDS))],
        price_cents=price_cents,
        cost_cents=price_cents * category.cost_per_mille // 1000,
        launch_day=launch_day(number),
        popularity=0,
    )


def _make_price(category: Category, word: int) -> int:
    """Return a price of *category* that ends in 99 cents; low prices are more common."""
    share = scale_word(word, 0, 1 << 16)
    span = category.high_cents - category.low_cents
    return (category.low_cents + (span * share * share >> 32)) // 100 * 100 + 99
