"""How demand varies over the day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from benchmarks.realism_math import pearson, ratio, share
from benchmarks.realism_rows import OWN, Band, Row, demo, measured
from benchmarks.shop_files import SATURDAY, Shop

EVENING = range(17, 23)
# In a smaller country chance decides between the hours.
LEAST_COUNTRY_ORDERS = 1000

# theLook's orders by hour of the day, per mille.  Written out, not imported: a benchmark
# that read the generator's own table would agree with any table.
THELOOK_HOURS = (
    36,
    30,
    24,
    20,
    18,
    17,
    17,
    18,
    20,
    22,
    27,
    34,
    40,
    46,
    51,
    57,
    64,
    72,
    76,
    78,
    75,
    62,
    52,
    45,
)


def hour_rows(shop: Shop) -> list[Row]:
    """Return the rows on how demand varies over the day."""
    counted = Counter(shop.read_local_time(order).hour for order in shop.orders)
    hours = [counted[hour] for hour in range(24)]
    smooth = smooth_hours(counted)
    method = (
        "Orders by hour of the day, by the clock of the customer's country without daylight"
        " saving; for the extremes each hour is taken together"
        " with the one before and the one after, because chance decides between neighbours."
    )
    return [
        Row(
            "correlation with the hour curve",
            Band(0.98, 1),
            demo("theLook"),
            method,
            pearson(hours, THELOOK_HOURS),
        ),
        Row(
            "quietest hour",
            Band(4, 6),
            demo("theLook 5"),
            method,
            smooth.index(min(smooth)),
        ),
        Row(
            "busiest hour",
            Band(19, 20),
            demo("theLook 19"),
            method,
            smooth.index(max(smooth)),
        ),
        Row(
            "countries busiest in their evening",
            Band(1, 1),
            OWN,
            f"Countries of {LEAST_COUNTRY_ORDERS} orders or more: share whose busiest hour,"
            f" taken as above, is from {EVENING[0]} to {EVENING[-1]} o'clock.",
            share(_list_evenings(shop)),
        ),
        Row(
            "hours of weekends, distance from weekdays",
            Band(0.05, 0.2),
            measured("Olist .10, UCI .19"),
            "Half the sum of the absolute differences of the hours' shares in orders; at"
            " 20,000 users chance alone gives .02.",
            weekend_distance(shop),
        ),
    ]


def smooth_hours(counted: Mapping[int, int]) -> list[int]:
    """Return each hour's count together with those of the hours before and after it."""
    return [
        sum(counted.get((hour + step) % 24, 0) for step in (-1, 0, 1)) for hour in range(24)
    ]


def _list_evenings(shop: Shop) -> Iterator[bool]:
    by_country: dict[str, Counter[int]] = defaultdict(Counter)
    for order in shop.orders:
        by_country[shop.country_of[order.user_id]][shop.read_local_time(order).hour] += 1
    for counted in by_country.values():
        if counted.total() >= LEAST_COUNTRY_ORDERS:
            smooth = smooth_hours(counted)
            yield smooth.index(max(smooth)) in EVENING


def weekend_distance(shop: Shop) -> float:
    """Return the total variation between the hours of weekends and of weekdays."""
    weekdays, weekends = Counter[int](), Counter[int]()
    for order in shop.orders:
        local = shop.read_local_time(order)
        (weekends if local.weekday() >= SATURDAY else weekdays)[local.hour] += 1
    differences = (
        ratio(weekdays[hour], weekdays.total()) - ratio(weekends[hour], weekends.total())
        for hour in range(24)
    )
    return sum(map(abs, differences)) / 2
