"""The constants of the model, as curves: a part of the ground truth."""

from __future__ import annotations

from collections.abc import Iterator

from data_generation.model import (
    assortment,
    baskets,
    catalog,
    companions,
    customers,
    events,
    free_shipping,
    lifecycle,
    orders,
    prices,
    purchase_processes,
    returns,
    seasons,
)
from data_generation.model.catalog import CATEGORIES
from data_generation.model.channels import CHANNELS
from data_generation.model.distributions import format_fraction
from data_generation.model.markets import COUNTRIES, METHODS

# The name of a curve, a position on it and the value there.
Point = tuple[str, str | int, str | int]
# The name and the value of a single constant.
Parameter = tuple[str, str | int]


def list_curves() -> list[str]:
    """Return the rows of curves.csv: every constant of the model."""
    return [f"{curve},{position},{value}\n" for curve, position, value in _iterate_curves()]


def _iterate_curves() -> Iterator[Point]:
    """Yield the points of all curves."""
    yield from _iterate_demand()
    yield from _iterate_events()
    yield from _iterate_assortment()
    yield from _iterate_channels()
    yield from _iterate_countries()
    yield from _iterate_returns()
    yield from _iterate_coupons()
    yield from _iterate_processes()
    for name, value in (
        *_iterate_customer_parameters(),
        *_iterate_product_parameters(),
        *_iterate_order_parameters(),
    ):
        yield "parameter", name, value


def _iterate_demand() -> Iterator[Point]:
    """Yield the demand by hour, weekday, month and on days of their own."""
    for curve, by_hour in (
        ("order hour weight on weekdays", seasons.WEEKDAY_HOURS),
        ("order hour weight at weekends", seasons.WEEKEND_HOURS),
        ("daytime customers' orders by hour per cent more", seasons.DAYTIME_PER_CENT),
    ):
        yield from ((curve, *at) for at in enumerate(by_hour))
    yield from (
        ("demand by weekday per cent", *at) for at in enumerate(seasons.WEEKDAY_PER_CENT, 1)
    )
    yield from (
        ("demand by month per cent", *at) for at in enumerate(seasons.MONTH_PER_CENT, 1)
    )
    yield "demand on a peak day per cent", "Black Friday", seasons.BLACK_FRIDAY_PER_CENT
    yield "demand on a peak day per cent", "Cyber Monday", seasons.CYBER_MONDAY_PER_CENT
    for (month, day), per_cent in seasons.HOLIDAYS_PER_CENT.items():
        yield "demand on a holiday per cent", f"{month:02d}-{day:02d}", per_cent


def _iterate_events() -> Iterator[Point]:
    """Yield the constants of what happens in a shop."""
    yield from (("noise weight by days ago", *at) for at in enumerate(events.NOISE_WEIGHTS))
    for kind, per_cent in events.MONTH_EVENT_PER_CENT.items():
        yield "event of a month per cent", kind or "none", per_cent
    for kind, scope in events.SCOPES.items():
        for bound, days, per_mille in zip(("least", "most"), *scope, strict=True):
            yield "event days", f"{kind} {bound}", days
            yield "event size per mille", f"{kind} {bound}", per_mille


def _iterate_assortment() -> Iterator[Point]:
    """Yield what is sold: categories, promotions, prices, numbers of lines and units."""
    for category in CATEGORIES:
        yield "category weight", category.name, category.weight
        for month, per_cent in enumerate(category.season, 1):
            yield "category season per cent", f"{category.name} {month}", per_cent
    for per_cent, lift in assortment.PROMOTION_LIFTS.items():
        yield "sales at a discount of 256", per_cent, lift
    yield from (("price step per mille", *at) for at in enumerate(prices.STEP_PER_MILLE))
    yield from (("size of a price step", *at) for at in enumerate(prices.STEP_SIZES))
    yield from (
        ("line count weight", *at) for at in enumerate(baskets.LINE_COUNT_WEIGHTS, 1)
    )
    yield from (("unit weight", *at) for at in enumerate(assortment.UNIT_WEIGHTS, 1))
    yield from (("price class jitter", *at) for at in enumerate(baskets.CLASS_JITTER))


def _iterate_channels() -> Iterator[Point]:
    """Yield the constants of each channel."""
    for channel in CHANNELS:
        yield "channel weight", channel.name, channel.weight
        yield "channel weight change per year", channel.name, channel.yearly_change
        yield "channel tilt by purchase rate per cent", channel.name, channel.rate_tilt
        yield "channel tilt by spending level per cent", channel.name, channel.spend_tilt
        yield "buyers per mille", channel.name, channel.buyer_per_mille


def _iterate_countries() -> Iterator[Point]:
    """Yield the constants of each country."""
    for country in COUNTRIES:
        yield "country weight", country.code, country.weight
        yield "hours from UTC", country.code, country.utc_offset_hours
        yield "tax per mille", country.code, country.tax_per_mille
        yield "shipping cents", country.code, country.shipping_cents
        yield "returned per mille", country.code, country.returned_per_mille
        for method, weight in zip(METHODS, country.methods, strict=True):
            yield "method weight", f"{country.code} {method}", weight


def _iterate_returns() -> Iterator[Point]:
    """Yield the factors of the odds of a return, and the shares of the classes."""
    yield from (("returners of 256", *at) for at in enumerate(customers.RETURNER_WEIGHTS))
    for country, odds in zip(COUNTRIES, returns.list_country_odds(), strict=True):
        yield "return odds of 65536", country.code, odds
    for name, per_cent in returns.CATEGORY_PER_CENT.items():
        yield "return odds by category per cent", name, per_cent
    for feature, per_cents in (
        ("class of returners", returns.RETURNER_PER_CENT),
        ("class of order number", returns.NUMBER_PER_CENT),
        ("coupon", returns.COUPON_PER_CENT),
    ):
        yield from (
            (f"return odds by {feature} per cent", *at) for at in enumerate(per_cents)
        )


def _iterate_coupons() -> Iterator[Point]:
    """Yield how much more or less often the customers of each channel have a coupon."""
    for channel in CHANNELS:
        per_cent = orders.COUPONS_BY_CHANNEL.get(channel.name, orders.COUPONS_ELSEWHERE)
        yield "coupons by channel per cent", channel.name, per_cent


def _iterate_processes() -> Iterator[Point]:
    """Yield the constants of the purchase processes."""
    for name, process in purchase_processes.PROCESSES.items():
        yield "stages of a gap", name, process.stages
        yield "short gaps per mille", name, process.short_per_mille
        yield "mean of short gaps per mille", name, process.short_mean_per_mille
        yield "cohorts drift", name, int(process.is_drifting)
    for name, value in (
        ("days of a step", purchase_processes.DRIFT_STEP_DAYS),
        ("steps that halve the rate", purchase_processes.RATE_HALVING_STEPS),
        ("steps that double the dropout", purchase_processes.DROPOUT_DOUBLING_STEPS),
        ("step of the published parameters", purchase_processes.MIDDLE_DRIFT_STEP),
        ("last step", purchase_processes.LAST_DRIFT_STEP),
    ):
        yield "drift", name, value


def _iterate_customer_parameters() -> Iterator[Parameter]:
    """Yield how often customers order, and how much they spend."""
    yield "BG/NBD r", customers.RATE_SHAPE
    yield (
        "BG/NBD alpha in weeks",
        format_fraction(customers.RATE_SCALE_TICKS, 7 * seasons.DAY_TICKS, 3),
    )
    yield "BG/NBD a", customers.DROPOUT_A
    yield "BG/NBD b", customers.DROPOUT_B
    yield "Gamma-Gamma p", baskets.SPEND_P
    yield "first order in 16ths of a doubling more", baskets.FIRST_STEP
    yield "order after a short gap in 16ths of a doubling more", baskets.SHORT_GAP_STEP
    yield "order after a long gap in 16ths of a doubling more", baskets.LONG_GAP_STEP
    yield "long gap in days", customers.LONG_GAP_TICKS // seasons.DAY_TICKS
    yield "Gamma-Gamma q", customers.SPEND_Q
    yield "mean order in mind cents", baskets.MEAN_ORDER_CENTS
    yield "noise per mille of a weight", events.NOISE_PER_MILLE
    yield "variance of sign-ups by their mean", customers.SIGNUP_VARIANCE
    yield "same word for rate and spending of 64", customers.SAME_WORD_64THS
    yield "first order in the visit of sign-up of 1024", customers.SAME_VISIT_1024THS


def _iterate_product_parameters() -> Iterator[Parameter]:
    """Yield which products are sold, and at what prices."""
    yield "category by taste of 256", baskets.TASTE_256THS
    yield "product by taste of 256", baskets.PRODUCT_TASTE_256THS
    yield "further line of the same category of 256", assortment.SAME_CATEGORY_256THS
    yield "best seller per mille of lines", companions.BEST_SELLER_PER_MILLE
    yield "further line after a best seller of another of 256", companions.COMPANION_256THS
    yield "low rows with a bulk quantity per mille", assortment.BULK_ROWS_PER_MILLE
    yield "high rows with a bulk quantity per mille", assortment.BULK_HIGH_ROWS_PER_MILLE
    yield "days of a period of age", assortment.PERIOD_DAYS
    yield "periods that halve the weight", assortment.HALF_LIFE_PERIODS
    yield "least life of a product in days", catalog.LEAST_LIFE_DAYS
    yield "mean further life of a product in days", catalog.MEAN_LIFE_DAYS
    yield "spread of costs per cent", catalog.COST_SPREAD_PER_CENT
    yield "loss leaders per mille", catalog.LOSS_LEADERS_PER_MILLE
    yield "days between price steps", prices.STEP_DAYS
    yield "categories with promotions per mille", prices.PROMOTED_CATEGORIES_PER_MILLE
    yield "promoted products of these per mille", prices.PROMOTED_PER_MILLE
    yield "promoted in a sale or Black Week per mille", prices.PROMOTED_IN_SALE_PER_MILLE


def _iterate_order_parameters() -> Iterator[Parameter]:
    """Yield how orders are priced and paid, and how they end."""
    yield "welcome coupon per mille", orders.WELCOME_COUPON_PER_MILLE
    yield "welcome coupon per cent off", orders.WELCOME_PER_CENT
    yield "coupon per mille", orders.COUPON_PER_MILLE
    yield "coupon per cent off", orders.COUPON_PER_CENT
    yield "coupons during a campaign times", events.CAMPAIGN_COUPONS
    yield "free shipping from cents", free_shipping.FREE_SHIPPING_CENTS
    yield "raised to free shipping of 256", free_shipping.RAISED_256THS
    yield "paid by the habitual method per mille", lifecycle.HABIT_PER_MILLE
    yield "split payments per mille", lifecycle.SPLIT_PER_MILLE
    yield "failed attempts per mille", lifecycle.FAILED_PER_MILLE
    for name, way in (
        ("retried", lifecycle.RETRIED),
        ("retried by another method", lifecycle.SWITCHED),
        ("retried twice", lifecycle.RETRIED_TWICE),
        ("given up", lifecycle.UNPAID),
        ("given up after a second attempt", lifecycle.UNPAID_TWICE),
    ):
        yield f"{name} after failure per mille", lifecycle.FAILED_PAYING_PER_MILLE[way]
    yield "cancelled per mille", lifecycle.CANCELLED_PER_MILLE
    yield "returned whole of returned per mille", lifecycle.RETURNED_COMPLETELY_PER_MILLE
