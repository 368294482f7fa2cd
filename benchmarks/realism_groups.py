"""How channels and countries differ."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from benchmarks.realism_math import Gap, find_gap
from benchmarks.realism_rows import OWN, Band, Row
from benchmarks.shop_files import RETURNED, Shop

# In a smaller channel or country chance outweighs the difference.
LEAST_GROUP_USERS = 500


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
    emails = Counter(user.email.casefold() for user in shop.users)
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
            "e-mail addresses used again",
            Band(0, 0),
            OWN,
            "Users less distinct addresses, whatever the case of the letters.",
            len(shop.users) - len(emails),
        ),
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
