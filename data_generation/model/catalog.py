"""The catalogue: products, categories, brands, prices.

Brands are made up.  No text contains a comma, a quote or a line break, so that a row can be
joined with commas without quoting; a test checks this.
"""

from __future__ import annotations

from typing import NamedTuple

from data_generation.model.distributions import (
    UNIT_BITS,
    discrete,
    exponential,
    power_law_weight,
)
from data_generation.model.streams import WORDS, Streams, is_chosen, scale_word

# This many products were launched in the years before the window.
OPENING_PRODUCTS = 240
OPENING_DAYS = 3 * 365
# The days of the window from one launch of a product to the next.
LAUNCH_PACE = 12
# Launches happen at six in the morning; sales begin on the next day.
LAUNCH_HOUR = 6
# The least time from a launch, or the window's start, to the end of sales, and the mean
# time after it.  Our own choice: about 6 % of the products then end over 90 days before the
# end of two years; UCI Online Retail has 5.3 %, Complete Journey 4.4 %.
LEAST_LIFE_DAYS = 180
MEAN_LIFE_DAYS = 5_600

# The steps of words within a category: the fractional parts of √2, √3 and the golden ratio,
# in 2**-32.
STEPS = {"cost": 1_779_033_704, "life": 3_144_134_277, "popularity": 2_654_435_769}

# Draws for products come in blocks of this many rows.
PRODUCT_BLOCK = 64


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


class Category(NamedTuple):
    """A category of products: its *weight* in demand and monthly *season* in per cent.

    *low_cents* and *high_cents* bound the list prices; a mean cost is *cost_per_mille* of
    them.
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


class Brand(NamedTuple):
    """A brand: its price *tier* (0 low to 2 high) and its categories, by index."""

    name: str
    tier: int
    categories: tuple[int, ...]


# Every category has brands of each tier.
BRANDS = (
    Brand("Nordhavn", 1, (0, 1, 2)),
    Brand("Kestrel & Pine", 2, (2, 4, 5)),
    Brand("Maison Orée", 2, (6, 7)),
    Brand("Bluewater", 0, (0, 3, 7)),
    Brand("Lumenta", 1, (6, 7)),
    Brand("Fjällrist", 0, (2, 4, 5)),
    Brand("Casa Brava", 1, (3, 6)),
    Brand("Otterby", 0, (6, 8)),
    Brand("Grauwolf", 1, (1, 2, 4)),
    Brand("Petit Nuage", 2, (0, 8)),
    Brand("Halden", 0, (0, 1)),
    Brand("Żubrówna", 1, (5, 8)),
    Brand("Terra Viva", 2, (3, 7)),
    Brand("Oakhurst", 2, (1, 4)),
)
# Where each tier starts in the range of a category's prices, and how much it spans, half of
# its neighbour's, in 256ths.
TIER_STARTS, TIER_WIDTH = (0, 64, 128), 128

# Cents at the end of a list price, of 256 products.  Our own choice, near Complete Journey
# (35 % end in 99), Olist (18 %) and UCI Online Retail (24 % end in 95).
PRICE_ENDINGS = (99,) * 112 + (95,) * 56 + (0,) * 32 + (49,) * 28 + (90,) * 14 + (50,) * 14

# By how many per cent a product's cost differs at most from its category's.
COST_SPREAD_PER_CENT = 30
# Some products are sold almost without a margin to attract customers: of 1,000, how many,
# and the bounds of their costs.  They are neither among the most popular of their category
# nor in the lowest fifth of its prices, where the best sellers are: one of these would
# decide on the share of the lines at a loss, which is to be 1 to 3 % in every shop.
LOSS_LEADERS_PER_MILLE = 260
LOSS_LEADER_COST_PER_MILLE = (940, 950)
MOST_LEADER_POPULARITY = power_law_weight(WORDS * 15 // 100)

STYLES = _split_names(
    "Classic Everyday Heritage Organic Coastal Midnight Alpine Soft Modern Vintage Studio"
    " Weekend Café Field Nomad Signature"
)


class Product(NamedTuple):
    """A product as sold; *popularity* is its weight among those of its category.

    *brand* is an index of BRANDS; *price_cents* is the list price at its launch.  It is on
    sale from the day after *launch_day* to the day before *end_day*.
    """

    product_id: int
    sku: str
    name: str
    category: int
    brand: int
    price_cents: int
    cost_cents: int
    launch_day: int
    end_day: int
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
    # Steps spread these words evenly within a category, together too, so every shop has
    # best sellers and a long tail, and few products of either kind end or have no margin.
    words = {
        (column, number): streams.draw("products", column, category.name, 1)[0]
        for column in STEPS
        for number, category in enumerate(CATEGORIES)
    }
    for first in range(0, count_products(day_count), PRODUCT_BLOCK):
        block = first // PRODUCT_BLOCK
        draws = zip(
            *(
                streams.draw("products", column, block, PRODUCT_BLOCK)
                for column in ("category", "noun", "style", "brand", "price")
            ),
            strict=True,
        )
        for number, drawn in enumerate(draws, first):
            product = _make_product(number, *drawn)
            cost, life, popularity = (
                words[column, product.category] for column in ("cost", "life", "popularity")
            )
            product = product._replace(
                end_day=_find_end(product, life), popularity=power_law_weight(popularity)
            )
            for column, step in STEPS.items():
                at = column, product.category
                words[at] = (words[at] + step) % WORDS
            products.append(product._replace(cost_cents=_find_cost(product, cost)))
    return products[: count_products(day_count)]


_CATEGORY_NUMBERS = discrete(
    range(len(CATEGORIES)), [category.weight for category in CATEGORIES]
)


_CATEGORY_BRANDS = [
    [index for index, brand in enumerate(BRANDS) if number in brand.categories]
    for number in range(len(CATEGORIES))
]


def _make_product(
    number: int,
    category_word: int,
    noun_word: int,
    style_word: int,
    brand_word: int,
    price_word: int,
) -> Product:
    """Return product *number* (from 0) from its words, without cost, end and popularity."""
    category_number = _CATEGORY_NUMBERS.item_at(category_word)
    category, brands = CATEGORIES[category_number], _CATEGORY_BRANDS[category_number]
    noun = category.nouns[scale_word(noun_word, 0, len(category.nouns))]
    brand = brands[scale_word(brand_word, 0, len(brands))]
    price_cents = _make_price(category, BRANDS[brand].tier, price_word)
    return Product(
        product_id=number + 1,
        sku=f"{category.name[:2].upper()}-{number + 1:05d}",
        name=f"{STYLES[scale_word(style_word, 0, len(STYLES))]} {noun}",
        category=category_number,
        brand=brand,
        price_cents=price_cents,
        cost_cents=0,
        launch_day=launch_day(number),
        end_day=0,
        popularity=0,
    )


def _make_price(category: Category, tier: int, word: int) -> int:
    """Return a list price of *category* and *tier*; low prices are more common."""
    start = TIER_STARTS[tier] << 8
    share = scale_word(word, start, start + (TIER_WIDTH << 8))
    span = category.high_cents - category.low_cents
    cents = category.low_cents + (span * share * share >> 32)
    return round_price(cents, PRICE_ENDINGS[word & 255])


def round_price(cents: int, ending: int) -> int:
    """Return the price next to *cents* that ends in *ending*, at least a dollar.

    >>> round_price(2510, 99), round_price(2540, 0), round_price(2560, 0)
    (2499, 2500, 2600)
    """
    return max((cents - ending + 50) // 100, 1) * 100 + ending


def _find_cost(product: Product, word: int) -> int:
    """Return the cost of *product*: that of its category, more or less."""
    category = CATEGORIES[product.category]
    is_cheap = 5 * product.price_cents <= 4 * category.low_cents + category.high_cents
    is_popular = product.popularity > MOST_LEADER_POPULARITY
    if is_chosen(word, LOSS_LEADERS_PER_MILLE) and not (is_cheap or is_popular):
        low, high = LOSS_LEADER_COST_PER_MILLE
        return product.price_cents * (low + word % (high - low)) // 1000
    low, high = 100 - COST_SPREAD_PER_CENT, 100 + COST_SPREAD_PER_CENT
    per_mille = category.cost_per_mille * scale_word(word, low, high)
    return product.price_cents * per_mille // 100_000


def _find_end(product: Product, word: int) -> int:
    """Return the first day after *product* was on sale."""
    life = MEAN_LIFE_DAYS * exponential().value_at(word) >> UNIT_BITS
    return max(product.launch_day, 0) + LEAST_LIFE_DAYS + life
