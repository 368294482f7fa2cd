"""How channels and countries differ."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations
from statistics import NormalDist, fmean, stdev

from benchmarks.realism_math import Gap, find_gap, mean, ratio
from benchmarks.realism_rows import NO_SOURCE, OWN, Band, Row, published
from benchmarks.shop_files import (
    DAY,
    MONTHS_A_YEAR,
    RETURNED,
    Shop,
    add_months,
    group_items,
)

# In a smaller channel or country chance outweighs the difference.
LEAST_GROUP_USERS = 500

YEAR = 365 * DAY


def group_rows(shop: Shop) -> list[Row]:
    """Return the rows on how channels and countries differ."""
    channel_gap = max(_channel_gaps(shop))
    country_gap = max(_country_gaps(shop))
    least = f"among those with at least {LEAST_GROUP_USERS} users"
    chance = "; the largest of these gaps. By chance alone: about 3 errors."
    channel_method = (
        "Highest ÷ lowest share, and their distance in standard errors, of users who buy or"
        f" of buyers who buy again, {least}{chance}"
    )
    country_method = (
        "The same of old valid orders with a return, or of succeeded charges by a method,"
        f" {least}{chance}"
    )
    return [
        Row(
            "channels: highest ÷ lowest",
            Band(1.1, math.inf),
            OWN,
            channel_method,
            channel_gap.ratio,
        ),
        Row(
            "channels: standard errors apart",
            Band(4, math.inf),
            OWN,
            channel_method,
            channel_gap.standard_errors,
        ),
        Row(
            "countries: highest ÷ lowest",
            Band(1.2, math.inf),
            OWN,
            country_method,
            country_gap.ratio,
        ),
        Row(
            "countries: standard errors apart",
            Band(4, math.inf),
            OWN,
            country_method,
            country_gap.standard_errors,
        ),
        Row(
            "channels: highest ÷ lowest order value",
            None,
            NO_SOURCE,
            "Mean value of valid orders, by channel.",
            _order_value_ratio(shop),
        ),
        *_worth_rows(shop),
        _mix_row(shop),
    ]


def _channel_gaps(shop: Shop) -> Iterator[Gap]:
    """Yield the gaps between channels: in who buys, in who buys again."""
    orders = shop.orders_by_user
    counts: dict[str, list[int]] = defaultdict(list)
    for user in shop.users:
        counts[user.channel].append(len(orders.get(user.user_id, ())))
    large = [made for made in counts.values() if len(made) >= LEAST_GROUP_USERS]
    buyers = [[count for count in made if count] for made in large]
    yield find_gap(
        (len(bought), len(made)) for bought, made in zip(buyers, large, strict=True)
    )
    yield find_gap((sum(count > 1 for count in bought), len(bought)) for bought in buyers)


def _country_gaps(shop: Shop) -> Iterator[Gap]:
    """Yield the gaps between countries: in returns, in every method of payment."""
    users = Counter(user.country_code for user in shop.users)
    country_of = {user.user_id: user.country_code for user in shop.users}
    country = {order.order_id: country_of[order.user_id] for order in shop.orders}
    large = [name for name, count in users.items() if count >= LEAST_GROUP_USERS]
    old = shop.old_orders
    placed = Counter(country[order.order_id] for order in old)
    returned = Counter(country[order.order_id] for order in old if order.status in RETURNED)
    yield find_gap((returned[name], placed[name]) for name in large)
    paid: dict[str, Counter[str]] = defaultdict(Counter)
    for charge in shop.charges:
        if charge.status == "succeeded":
            paid[charge.method][country[charge.order_id]] += 1
    charges = sum(paid.values(), Counter[str]())
    for by_country in paid.values():
        yield find_gap((by_country[name], charges[name]) for name in large)


def _order_value_ratio(shop: Shop) -> float:
    channel = {user.user_id: user.channel for user in shop.users}
    by_channel = group_items(shop.valid_orders, lambda order: channel[order.user_id])
    means = [fmean(order.value_cents for order in orders) for orders in by_channel.values()]
    return ratio(max(means), min(means)) if means else math.nan


def _worth_rows(shop: Shop) -> list[Row]:
    method = (
        "Customers whose first valid order is a year old: value of their valid orders in"
        " that year (12-month CLV before refunds), by channel"
    )
    worth = list_first_year_values(shop)
    everyone = [value for values in worth.values() for value in values]
    intervals = [find_interval(values) for values in worth.values() if len(values) > 1]
    return [
        Row(
            "channels: pairs with a different CLV",
            Band(1, math.inf),
            OWN,
            f"{method}; pairs whose 95 % intervals do not overlap.",
            sum(first[1] < second[0] for first, second in permutations(intervals, 2)),
        ),
        Row(
            "referral ÷ mean CLV",
            Band(1.16, math.inf),
            published("Schmitt et al. 1.16"),
            f"{method}; mean of referred customers ÷ mean of all.",
            ratio(mean(worth.get("referral", ())), mean(everyone)),
        ),
    ]


def list_first_year_values(shop: Shop) -> dict[str, list[int]]:
    """Return by channel what each customer spent in the year after the first order."""
    channel = {user.user_id: user.channel for user in shop.users}
    worth: dict[str, list[int]] = defaultdict(list)
    for user_id, orders in shop.valid_orders_by_user.items():
        until = orders[0].ordered_at + YEAR
        if until <= shop.end:
            worth[channel[user_id]].append(
                sum(order.value_cents for order in orders if order.ordered_at < until)
            )
    return worth


def find_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of *values*, by the normal distribution."""
    centre, error = fmean(values), stdev(values) / math.sqrt(len(values))
    reach = NormalDist().inv_cdf(0.975) * error
    return centre - reach, centre + reach


def _mix_row(shop: Shop) -> Row:
    one, two = (add_months(shop.start, MONTHS_A_YEAR * years) for years in (1, 2))
    first = Counter(user.channel for user in shop.users if user.signed_up_at < one)
    second = Counter(user.channel for user in shop.users if one <= user.signed_up_at < two)
    gaps = [
        find_gap(((first[name], first.total()), (second[name], second.total())))
        for name in first
    ]
    return Row(
        "channels: change of their shares in sign-ups",
        Band(4, math.inf),
        OWN,
        "Share of the second year's sign-ups against the first year's, in standard errors;"
        " the channel that changes most. By chance alone: about 2.",
        max(gap.standard_errors for gap in gaps) if shop.end >= two else math.nan,
    )
