"""Compare a generated shop with bands for 51 statistics, most from published figures.

    python -m pip install -r benchmarks/requirements.txt
    python benchmarks/realism.py --users 20000 --seed 1 2 3

The script makes one shop a seed in a temporary folder and reads its five CSV files as an
analyst would, without the ground truth.  It prints Markdown: a table with one row a
statistic, how many bands come from which kind of source, how each row is measured, and
what is deliberately not modelled.  The exit status is 1 if a value is outside its band.

A *valid* order was paid and not cancelled.  The *value* of an order is its goods after
discounts, before shipping, tax and refunds.

Sources: CDNOW is the purchase log of Fader and Hardie's papers; UCI is the Online Retail
data set; Olist the Brazilian marketplace's; NRF, Adobe and Worldpay their yearly figures
for the United States; theLook a public demo shop whose profile of the day is a design.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from importlib.util import find_spec
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import correlation, fmean, linear_regression, stdev
from typing import Any, NamedTuple

# A script finds modules in its own folder; these are in the one above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.shop_files import DAY, Line, Order, Shop, read_shop
from data_generation.model.seasons import DAY_TICKS, demand, find_black_friday
from utils.helpers import PROJECT_ROOT, DataError, print_safely, report_error

WEEK_DAYS = 7
MONTHS_A_YEAR = 12

RETURNED = frozenset({"returned", "partially_returned"})

# An order this old has been delivered for 45 days: its returns are known.
OLD_ENOUGH = 60 * DAY

# In a smaller channel or country chance outweighs the difference.
LEAST_GROUP_USERS = 500

# BG/NBD for CDNOW, rates in weeks (Fader, Hardie, Lee 2005): what the generator draws from.
TRUTH = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}

# Share of CDNOW's customers who buy in the k-th 30 days after their first order.
CDNOW_ACTIVITY = (0.171, 0.131, 0.101, 0.091, 0.090, 0.086, 0.079)

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

NOT_MODELLED = (
    "fraud, chargebacks and abuse of returns",
    "stock: nothing sells out, no order waits for goods",
    "views, searches and abandoned carts: only purchases are recorded",
    "substitute products and recommendations",
    "price elasticity: demand does not depend on the price",
    "exchange rates: all money is in one currency, whatever the country",
    "households and companies: a customer is one person with one account",
    "marketing spend, and several channels sharing one customer",
    "several addresses, moves, and customers who change their e-mail address",
    "exchanges: goods are returned for money, never for another size",
    "reviews, ratings and support calls",
    "trends beyond the growth in sign-ups: no change of taste, competition or price level",
    "faulty rows: missing, duplicate or broken, as in the exports of real shops",
)


class Band(NamedTuple):
    """The values that a statistic may take, both ends included."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        """Return whether *value* is within the band; NaN never is."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        """Return the band as the table shows it.

        >>> str(Band(0.45, 0.56)), str(Band(2, math.inf)), str(Band(1, 1))
        ('0.45 to 0.56', '≥ 2', '1')
        """
        if self.high == math.inf:
            return f"≥ {self.low:g}"
        if self.low == self.high:
            return f"{self.low:g}"
        return f"{self.low:.4g} to {self.high:.4g}"


def around(centre: float, distance: float) -> Band:
    """Return the band of all values at most *distance* away from *centre*."""
    return Band(centre - distance, centre + distance)


class Kind(StrEnum):
    """What a band rests on."""

    PUBLISHED = "published figures"
    DEMO = "a demo shop, alone or beside a published figure"
    TRUTH = "the generator's own parameters"
    OWN = "the project's own choice"


class Source(NamedTuple):
    """Where a band comes from."""

    kind: Kind
    text: str


OWN = Source(Kind.OWN, "own")


def published(text: str) -> Source:
    """Return the source of a band around a published figure."""
    return Source(Kind.PUBLISHED, text)


def demo(text: str) -> Source:
    """Return the source of a band that rests on theLook."""
    return Source(Kind.DEMO, text)


def ground_truth(value: float) -> Source:
    """Return the source of a band around a parameter of the generator."""
    return Source(Kind.TRUTH, f"ground truth {value:g}")


class Row(NamedTuple):
    """One statistic; without a *band* it is not judged; *method* is how it is measured."""

    name: str
    band: Band | None
    source: Source
    method: str
    value: float


# ---- Statistics ------------------------------------------------------------------------


def share(answers: Iterable[bool]) -> float:
    """Return how many of *answers* are true, as a ratio; NaN of none.

    >>> share([True, False, True, True])
    0.75
    """
    known = list(answers)
    return ratio(sum(known), len(known))


def ratio(part: float, total: float) -> float:
    """Return *part* ÷ *total*; NaN where *total* is 0."""
    return part / total if total else math.nan


def mean(values: Iterable[float]) -> float:
    """Return the mean of *values*; NaN of none."""
    known = list(values)
    return fmean(known) if known else math.nan


def pearson(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Pearson's correlation; NaN where either side does not vary."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return correlation(first, second)


def top_share(values: Iterable[float], top: float) -> float:
    """Return the share of the largest *top* of *values* in their sum.

    >>> top_share([8, 1, 1, 0, 0], 0.2)
    0.8
    """
    falling = sorted(values, reverse=True)
    return ratio(sum(falling[: round(len(falling) * top)]), sum(falling))


def gini(values: Iterable[float]) -> float:
    """Return the Gini coefficient of *values*: 0 if they are equal, near 1 if one is all.

    >>> gini([1, 1, 1]), gini([0, 0, 0, 1])
    (0.0, 0.75)
    """
    rising = sorted(values)
    count = len(rising)
    weighted = sum((2 * rank - count - 1) * value for rank, value in enumerate(rising, 1))
    return ratio(weighted, count * sum(rising))


class Gap(NamedTuple):
    """How far the highest of several shares is above the lowest.

    *standard_errors* is the distance in standard errors of a difference of two shares;
    *ratio* is the higher one ÷ the lower one.
    """

    standard_errors: float
    ratio: float


def find_gap(groups: Iterable[tuple[int, int]]) -> Gap:
    """Return the gap between the shares of *groups*, each given as (hits, trials).

    >>> find_gap([(50, 100), (25, 100), (40, 100)]).ratio
    2.0
    """
    shares = sorted((hits / trials, hits, trials) for hits, trials in groups if trials)
    if not shares:
        return Gap(math.nan, math.nan)
    (low, low_hits, low_trials), (high, high_hits, high_trials) = shares[0], shares[-1]
    pooled = ratio(low_hits + high_hits, low_trials + high_trials)
    variance = pooled * (1 - pooled) * (1 / low_trials + 1 / high_trials)
    return Gap(ratio(high - low, math.sqrt(variance)), ratio(high, low))


# ---- Customers -------------------------------------------------------------------------


def add_months(day: datetime, months: int) -> datetime:
    """Return the first of the month that is *months* after the month of *day*.

    >>> add_months(datetime(2024, 1, 1), 18)
    datetime.datetime(2025, 7, 1, 0, 0)
    """
    years, month = divmod(day.month - 1 + months, MONTHS_A_YEAR)
    return day.replace(year=day.year + years, month=month + 1, day=1)


def find_cohort(shop: Shop) -> list[list[datetime]]:
    """Return the purchase times of those whose first order is in the first three months.

    As in CDNOW the observation ends 18 months after the start.  The list is empty if the
    data ends earlier.
    """
    recruited_by, observed_until = add_months(shop.start, 3), add_months(shop.start, 18)
    if shop.end < observed_until:
        return []
    return [
        [order.ordered_at for order in orders if order.ordered_at < observed_until]
        for orders in shop.orders_by_user.values()
        if orders[0].ordered_at < recruited_by
    ]


def is_active(times: Sequence[datetime], start_day: int, end_day: int) -> bool:
    """Return whether there is a later purchase in that range of days after the first."""
    first = times[0]
    return any(start_day * DAY < time - first <= end_day * DAY for time in times[1:])


def loyalty_rows(shop: Shop) -> list[Row]:
    """Return the rows on how often customers buy again, measured as in CDNOW."""
    cohort = find_cohort(shop)
    method = (
        "Customers whose first order is in the first three months, observed until 18 months"
        " after the start; orders of every status."
    )
    activity_method = (
        "The same customers: share with an order in days 30k to 30(k + 1) after their"
        " first. These bins fall between January and October, before the season of gifts,"
        " the first of them in the quietest months."
    )
    rows = [
        Row(
            "one-time buyers",
            Band(0.45, 0.56),
            published("CDNOW .505"),
            method,
            share(len(times) == 1 for times in cohort),
        ),
        Row(
            "repeat within 90 days",
            Band(0.25, 0.33),
            published("CDNOW .292"),
            method,
            share(is_active(times, 0, 90) for times in cohort),
        ),
        Row(
            "10 orders or more",
            Band(0.03, 0.07),
            published("CDNOW .049"),
            method,
            share(len(times) >= 10 for times in cohort),
        ),
    ]
    for k, activity in enumerate(CDNOW_ACTIVITY):
        active = share(is_active(times, 30 * k, 30 * (k + 1)) for times in cohort)
        source = published(f"CDNOW {activity:.3f}".replace("0.", "."))
        band = around(activity, 0.04)
        rows.append(Row(f"active in bin k = {k}", band, source, activity_method, active))
    return rows


def spending_rows(shop: Shop) -> list[Row]:
    """Return the rows on how customers differ in what they spend."""
    histories = list(shop.valid_orders_by_user.values())
    spent = [sum(order.value_cents for order in orders) for orders in histories]
    method = "Value of all valid orders of the window, per customer who has one."
    return [
        Row(
            "revenue of the top 20 % of customers",
            Band(0.62, 0.78),
            published("CDNOW .678, UCI .746"),
            method,
            top_share(spent, 0.2),
        ),
        Row(
            "Gini of customers' revenue",
            Band(0.55, 0.72),
            published("CDNOW .635"),
            method,
            gini(spent),
        ),
        _frequency_row(histories),
        *_order_value_rows(shop, histories),
    ]


def _frequency_row(histories: Iterable[Sequence[Order]]) -> Row:
    repeats = [orders[1:] for orders in histories if len(orders) > 1]
    return Row(
        "correlation of frequency and value",
        Band(0.05, 0.20),
        published("CDNOW .114"),
        "Pearson, over customers with two valid orders or more: number of repeat orders"
        " and their mean value, which Gamma-Gamma takes to be independent.",
        pearson(
            [len(orders) for orders in repeats],
            [fmean(order.value_cents for order in orders) for orders in repeats],
        ),
    )


def _order_value_rows(shop: Shop, histories: Iterable[Sequence[Order]]) -> list[Row]:
    values = [order.value_cents for order in shop.valid_orders]
    logarithms = [math.log(value) for value in values if value > 0]
    firsts = {orders[0].order_id for orders in histories}
    first, repeat = (
        mean(
            order.value_cents
            for order in shop.valid_orders
            if (order.order_id in firsts) is is_first
        )
        for is_first in (True, False)
    )
    return [
        Row(
            "standard deviation of ln order value",
            Band(0.65, 1.10),
            published("CDNOW .734, UCI 1.07"),
            "Valid orders of a value above 0.",
            stdev(logarithms) if len(logarithms) > 1 else math.nan,
        ),
        Row(
            "first ÷ repeat order value",
            Band(0.80, 1.00),
            published("CDNOW .878"),
            "Mean value of customers' first valid orders ÷ mean value of their later ones.",
            ratio(first, repeat),
        ),
    ]


# ---- Purchase process ------------------------------------------------------------------


class History(NamedTuple):
    """A customer's data for BG/NBD; *recency* and *age* count from the first order."""

    frequency: int
    recency: float
    age: float


def make_histories(shop: Shop, clock: Callable[[datetime], float]) -> list[History]:
    """Return every buyer's history, in the units of *clock*.

    The generator's first purchase is not part of the process; BG/NBD describes the repeat
    purchases and the dropout after each of them.
    """
    end = clock(shop.end)
    histories = []
    for orders in shop.orders_by_user.values():
        first, last = clock(orders[0].ordered_at), clock(orders[-1].ordered_at)
        histories.append(History(len(orders) - 1, last - first, end - first))
    return histories


def make_shop_clock(start: datetime, end: datetime) -> Callable[[datetime], float]:
    """Return the function from a timestamp to weeks of shop time since *start*.

    Shop time is calendar time weighted by the expected demand: a day in December is longer
    than one in July.  Within a day it runs evenly here, because the curve of the hours
    moves a timestamp by less than a day, which is small beside rates in weeks.
    """
    days = [start.date() + number * DAY for number in range((end - start).days)]
    ticks = list(accumulate(map(demand, days), initial=0))
    weeks = [tick / (DAY_TICKS * WEEK_DAYS) for tick in ticks]
    weeks.append(weeks[-1])

    def read_clock(instant: datetime) -> float:
        day, within = divmod(instant - start, DAY)
        return weeks[day] + (weeks[day + 1] - weeks[day]) * (within / DAY)

    return read_clock


def fit_bg_nbd(histories: Sequence[History]) -> dict[str, float]:
    """Return the maximum-likelihood parameters of BG/NBD for *histories*.

    The likelihood is equation 6 of Fader, Hardie and Lee (2005), in logarithms; the search
    is over the parameters' logarithms, which keeps them positive.
    """
    # Installed for the benchmarks only.
    import numpy as np  # type: ignore[import-not-found, unused-ignore]
    from scipy.optimize import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        minimize,
    )
    from scipy.special import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        gammaln,
    )

    frequency, recency, age = np.array(histories, dtype=float).T
    has_repeated = frequency > 0
    repeats = np.maximum(frequency, 1)

    def loss(logarithms: Any) -> float:
        r, alpha, a, b = np.exp(logarithms)
        common = gammaln(r + frequency) - gammaln(r) + r * np.log(alpha)
        common += gammaln(a + b) - gammaln(a + b + frequency)
        common += gammaln(b + frequency) - gammaln(b)
        alive = -(r + frequency) * np.log(alpha + age)
        dropped = np.log(a / (b + repeats - 1)) - (r + frequency) * np.log(alpha + recency)
        either = np.where(has_repeated, np.logaddexp(alive, dropped), alive)
        return -float(np.mean(common + either))

    start = np.log([0.5, 5.0, 1.0, 2.0])
    options = {"xatol": 1e-6, "fatol": 1e-12, "maxiter": 5000, "maxfev": 5000}
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    return dict(zip(TRUTH, map(float, np.exp(found.x)), strict=True))


def purchase_process_rows(shop: Shop) -> list[Row]:
    """Return the rows on BG/NBD's parameters, estimated from the orders."""
    method = (
        "BG/NBD by maximum likelihood over all buyers: time 0 is the first order, frequency"
        " the number of later ones, of every status; weeks of shop time: calendar time"
        " weighted by expected demand (seasons, weekdays, Black Friday). At 20,000 users"
        " chance alone moves r by 2 %, alpha by 3 %, a by 6 % and b by 9 % (standard"
        " deviations over 16 seeds); at 100,000 users by 1 %, 2 %, 3 % and 4 % (12 seeds)."
    )
    plain_method = "The same in weeks of the plain calendar, which the seasons disturb."
    in_shop_time = fit_bg_nbd(make_histories(shop, make_shop_clock(shop.start, shop.end)))
    in_plain_time = fit_bg_nbd(
        make_histories(shop, lambda instant: (instant - shop.start) / (WEEK_DAYS * DAY))
    )
    return [
        *(
            Row(
                f"BG/NBD {name}, shop time",
                around(truth, truth / 10),
                ground_truth(truth),
                method,
                in_shop_time[name],
            )
            for name, truth in TRUTH.items()
        ),
        *(
            Row(
                f"BG/NBD {name}, plain time",
                None,
                ground_truth(truth),
                plain_method,
                in_plain_time[name],
            )
            for name, truth in TRUTH.items()
        ),
    ]


# ---- Products and baskets --------------------------------------------------------------


def product_rows(shop: Shop) -> list[Row]:
    """Return the rows on how sales differ between products."""
    valid = {order.order_id for order in shop.valid_orders}
    revenue = dict.fromkeys((product.product_id for product in shop.products), 0)
    for line in shop.lines:
        if line.order_id in valid:
            revenue[line.product_id] += line.total_cents
    line_counts = Counter(line.product_id for line in shop.lines)
    return [
        Row(
            "revenue of the top 20 % of products",
            Band(0.70, 0.85),
            published("UCI .787"),
            "Line totals of valid orders; 20 % of the complete catalogue at the end, with"
            " products never sold.",
            top_share(revenue.values(), 0.2),
        ),
        Row(
            "Zipf slope of lines per product",
            Band(-1.2, -0.4),
            published("UCI -.57"),
            "Slope of ln lines on ln rank, least squares, from rank 10 to a quarter of the"
            " catalogue, as UCI's is over ranks 10 to 1,000 of 4,070.",
            zipf_slope(line_counts.values(), 10, len(shop.products) // 4),
        ),
        Row(
            "prices that end in 99",
            Band(1, 1),
            OWN,
            "Share of the catalogue.",
            share(product.price_cents % 100 == 99 for product in shop.products),
        ),
    ]


def zipf_slope(counts: Iterable[int], first_rank: int, last_rank: int) -> float:
    """Return the slope of ln count on ln rank, from *first_rank* to *last_rank*.

    >>> round(zipf_slope([1000 // rank for rank in range(1, 100)], 1, 50), 1)
    -1.0
    """
    ranked = list(enumerate(sorted(counts, reverse=True), 1))[first_rank - 1 : last_rank]
    if len(ranked) < 2:
        return math.nan
    return linear_regression(
        [math.log(rank) for rank, _ in ranked], [math.log(count) for _, count in ranked]
    ).slope


def basket_rows(shop: Shop) -> list[Row]:
    """Return the rows on the content of baskets."""
    baskets = list(shop.baskets.values())
    return [
        Row(
            "units per order",
            Band(2.2, 2.65),
            published("CDNOW 2.41"),
            "Sum of quantities.",
            mean(sum(line.quantity for line in basket) for basket in baskets),
        ),
        Row(
            "distinct lines per order",
            Band(1.5, 2.65),
            published("Olist 1.14, CDNOW 2.41 units"),
            "Order items; above a marketplace's, at most CDNOW's units.",
            mean(len(basket) for basket in baskets),
        ),
        Row(
            "baskets of distinct products",
            Band(1, 1),
            OWN,
            "Share of orders with no product on two lines.",
            share(_is_distinct(basket) for basket in baskets),
        ),
        Row(
            "lift of a further line's category",
            Band(2, math.inf),
            OWN,
            "How often a line after the order's first has the first one's category, ÷ how"
            " often it would at the category's share in all lines of the same month.",
            category_lift(shop),
        ),
        Row(
            "lines on promotion",
            Band(0.03, 0.25),
            OWN,
            "Lines with a discount.",
            share(line.discount_cents > 0 for line in shop.lines),
        ),
        Row(
            "orders with a coupon",
            Band(0.05, 0.25),
            OWN,
            "Orders with a discount on the whole order.",
            share(order.discount_cents > 0 for order in shop.orders),
        ),
    ]


def _is_distinct(basket: Sequence[Line]) -> bool:
    return len({line.product_id for line in basket}) == len(basket)


def category_lift(shop: Shop) -> float:
    """Return how much more often than by chance a basket stays within a category.

    Each month is computed alone; otherwise the seasons would look like a preference.
    """
    category = {product.product_id: product.category for product in shop.products}
    month_lines: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    further: list[tuple[tuple[int, int], str, str]] = []
    for order in shop.orders:
        month = (order.ordered_at.year, order.ordered_at.month)
        found = [category[line.product_id] for line in shop.baskets.get(order.order_id, ())]
        month_lines[month].update(found)
        further += [(month, found[0], other) for other in found[1:]]
    expected = sum(
        month_lines[month][first] / month_lines[month].total()
        for month, first, _ in further
    )
    return ratio(sum(first == other for _, first, other in further), expected)


# ---- Money and payments ----------------------------------------------------------------


def order_life_rows(shop: Shop) -> list[Row]:
    """Return the rows on cancellations and returns."""
    return [
        Row(
            "cancelled orders",
            Band(0.02, 0.05),
            published("Olist .006, UCI .148"),
            "Share of all orders.",
            share(order.status == "cancelled" for order in shop.orders),
        ),
        Row(
            "returns by value",
            Band(0.15, 0.20),
            published("NRF .165 to .193, online"),
            "Refunds ÷ totals paid, of valid orders placed 60 days before the end or"
            " earlier: by then they have been delivered for 45 days.",
            return_rate(shop),
        ),
    ]


def return_rate(shop: Shop) -> float:
    """Return what was refunded for returned goods, as a share of what was paid."""
    totals = {order.order_id: order.total_cents for order in old_orders(shop)}
    refunded = sum(
        payment.amount_cents
        for payment in shop.payments
        if payment.kind == "refund"
        and payment.status == "succeeded"
        and payment.order_id in totals
    )
    return ratio(refunded, sum(totals.values()))


def old_orders(shop: Shop) -> list[Order]:
    """Return the valid orders whose returns are known."""
    latest = shop.end - OLD_ENOUGH
    return [order for order in shop.valid_orders if order.ordered_at < latest]


def payment_rows(shop: Shop) -> list[Row]:
    """Return the rows on how customers pay."""
    succeeded = [charge for charge in shop.charges if charge.status == "succeeded"]
    methods = Counter(charge.method for charge in succeeded)
    methods["other"] = methods["bank_transfer"] + methods["gift_card"]
    mix = {"wallet": 0.39, "credit_card": 0.31, "debit_card": 0.18, "other": 0.12}
    mix_method = (
        "Succeeded charges, by number; other is bank_transfer and gift_card together."
    )
    return [
        Row(
            "payments per order",
            Band(1.03, 1.06),
            published("Olist 1.045"),
            "Charge rows, split and retried, succeeded and failed, ÷ all orders.",
            ratio(len(shop.charges), len(shop.orders)),
        ),
        Row(
            "failed attempts",
            Band(0.01, 0.06),
            OWN,
            "Failed ÷ all charge rows.",
            share(charge.status == "failed" for charge in shop.charges),
        ),
        *(
            Row(
                f"payments by {name}",
                around(part, 0.02),
                published(f"Worldpay {part:.2f}".replace("0.", ".")),
                mix_method,
                ratio(methods[name], len(succeeded)),
            )
            for name, part in mix.items()
        ),
    ]


# ---- Seasons ---------------------------------------------------------------------------


def season_rows(shop: Shop) -> list[Row]:
    """Return the rows on how demand varies over the year and the week."""
    by_day = Counter(order.ordered_at.date() for order in shop.orders)
    peak_method = (
        "Orders of the day ÷ orders of the mean day from 1 November to 31 December of its"
        " year; mean of the years."
    )
    return [
        Row(
            "Black Friday ÷ mean day of the season",
            Band(2.5, 3.0),
            published("Adobe 2.74"),
            peak_method,
            mean(peak_multiple(by_day, year, 0) for year in shop.years),
        ),
        Row(
            "Cyber Monday ÷ mean day of the season",
            Band(3.0, 3.7),
            published("Adobe 3.37"),
            peak_method,
            mean(peak_multiple(by_day, year, 3) for year in shop.years),
        ),
        Row(
            "November ÷ mean of the months before",
            Band(1.3, 2.2),
            published("UCI 1.94"),
            "Orders a day in November ÷ orders a day from January to October, in the last"
            " complete year; includes the shop's growth, as UCI's figure does.",
            november_multiple(by_day, shop.years),
        ),
        Row(
            "busiest ÷ quietest weekday",
            Band(1.10, 1.50),
            demo("CDNOW 1.14, theLook 1.35"),
            "Orders a day by weekday, January to October of every year; days without an"
            " order, which only a small shop has, are omitted.",
            weekday_range(by_day),
        ),
        _growth_row(shop),
        *_category_season_rows(shop),
    ]


def peak_multiple(by_day: Mapping[date, int], year: int, days_later: int) -> float:
    """Return the orders of a day after Black Friday ÷ those of the season's mean day."""
    season = [date(year, 11, 1) + number * DAY for number in range(30 + 31)]
    peak = find_black_friday(year) + days_later * DAY
    return ratio(by_day.get(peak, 0), mean(by_day.get(day, 0) for day in season))


def november_multiple(by_day: Mapping[date, int], years: Sequence[int]) -> float:
    """Return orders a day in November ÷ in the months before, of the last year."""
    if not years:
        return math.nan
    start, november, december = (date(years[-1], month, 1) for month in (1, 11, 12))
    daily = [
        mean(by_day.get(first + number * DAY, 0) for number in range((last - first).days))
        for first, last in pairwise((start, november, december))
    ]
    return ratio(daily[1], daily[0])


def weekday_range(by_day: Mapping[date, int]) -> float:
    """Return the busiest weekday's orders a day ÷ the quietest one's, out of season."""
    weekdays = [
        mean(
            count
            for day, count in by_day.items()
            if day.weekday() == weekday and day.month < 11
        )
        for weekday in range(WEEK_DAYS)
    ]
    return ratio(max(weekdays), min(weekdays))


def _growth_row(shop: Shop) -> Row:
    one, two = (add_months(shop.start, MONTHS_A_YEAR * years) for years in (1, 2))
    first = sum(user.signed_up_at < one for user in shop.users)
    second = sum(one <= user.signed_up_at < two for user in shop.users)
    return Row(
        "sign-ups in year 2 ÷ year 1",
        Band(1.2, 2.0),
        OWN,
        "The two years that begin with the first sign-up's month.",
        ratio(second, first) if shop.end >= two else math.nan,
    )


def _category_season_rows(shop: Shop) -> list[Row]:
    method = "The category's share in the lines of that month, every year taken together."
    june, december = (category_shares(shop, month) for month in (6, 12))
    coats, swim = "Coats & Knitwear", "Summer & Swim"
    return [
        Row(
            "coats: December ÷ June",
            Band(2.5, math.inf),
            demo("theLook 10"),
            method,
            ratio(december.get(coats, math.nan), june.get(coats, math.nan)),
        ),
        Row(
            "swimwear: June ÷ December",
            Band(2.5, math.inf),
            demo("theLook 10"),
            method,
            ratio(june.get(swim, math.nan), december.get(swim, math.nan)),
        ),
    ]


def category_shares(shop: Shop, month: int) -> dict[str, float]:
    """Return each category's share in the lines of the orders of calendar *month*."""
    category = {product.product_id: product.category for product in shop.products}
    counts = Counter(
        category[line.product_id]
        for order in shop.orders
        if order.ordered_at.month == month
        for line in shop.baskets.get(order.order_id, ())
    )
    return {name: count / counts.total() for name, count in counts.items()}


def hour_rows(shop: Shop) -> list[Row]:
    """Return the rows on how demand varies over the day."""
    counted = Counter(order.ordered_at.hour for order in shop.orders)
    hours = [counted[hour] for hour in range(24)]
    smooth = [sum(hours[(hour + step) % 24] for step in (-1, 0, 1)) for hour in range(24)]
    method = (
        "Orders by hour of the day in UTC; for the extremes each hour is taken together"
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
    ]


# ---- Groups of customers ---------------------------------------------------------------


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
    old = old_orders(shop)
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


# ---- The report ------------------------------------------------------------------------


def measure(shop: Shop) -> list[Row]:
    """Return every row of *shop*, in the order of the table."""
    return [
        *loyalty_rows(shop),
        *purchase_process_rows(shop),
        *spending_rows(shop),
        *basket_rows(shop),
        *product_rows(shop),
        *order_life_rows(shop),
        *payment_rows(shop),
        *season_rows(shop),
        *hour_rows(shop),
        *group_rows(shop),
    ]


def judge(values: Mapping[str, Row]) -> str:
    """Return the verdict on one statistic, measured in the shops *values*, by name."""
    missed = [shop for shop, row in values.items() if misses(row)]
    if all(row.band is None for row in values.values()):
        return "not judged"
    if not missed:
        return "ok"
    return "MISS" if len(values) == 1 else f"MISS ({', '.join(missed)})"


def misses(row: Row) -> bool:
    """Return whether *row* has a band and its value is outside."""
    return row.band is not None and row.value not in row.band


def format_value(value: float) -> str:
    """Return *value* with three decimals; whole numbers without, NaN as a dash.

    >>> format_value(0.5), format_value(19), format_value(math.nan)
    ('0.500', '19', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if value == int(value) else f"{value:.3f}"


def render_report(measured: Mapping[str, Sequence[Row]]) -> str:
    """Return the Markdown of the rows *measured*, which are by shop."""
    statistics = [
        dict(zip(measured, rows, strict=True))
        for rows in zip(*measured.values(), strict=True)
    ]
    firsts = [next(iter(values.values())) for values in statistics]
    numbers = {
        method: number
        for number, method in enumerate(dict.fromkeys(row.method for row in firsts), 1)
    }
    head = ["statistic", "target band", "source", *measured, "verdict"]
    lines = [_render_cells(head), _render_cells(["---"] * len(head))]
    for first, values in zip(firsts, statistics, strict=True):
        band = "–" if first.band is None else str(first.band)
        shown = [format_value(row.value) for row in values.values()]
        name = f"{first.name} [{numbers[first.method]}]"
        lines.append(_render_cells([name, band, first.source.text, *shown, judge(values)]))
    missed = sum(any(map(misses, values.values())) for values in statistics)
    judged = sum(row.band is not None for row in firsts)
    lines += ["", f"{judged - missed} of {judged} statistics are within their bands."]
    kinds = Counter(row.source.kind for row in firsts if row.band is not None)
    lines += ["", "What the bands rest on:", ""]
    lines += [f"- {kinds[kind]} on {kind}" for kind in Kind]
    lines += ["", "## How each row is measured", ""]
    lines += [f"{number}. {method}" for method, number in numbers.items()]
    lines += ["", "## What is deliberately not modelled", ""]
    lines += [f"- {omission}" for omission in NOT_MODELLED]
    return "\n".join(lines)


def _render_cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


# ---- The command -----------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        description="Compare a generated shop with published figures of real ones."
    )
    parser.add_argument(
        "--users",
        type=int,
        default=20_000,
        metavar="N",
        help="customers of each shop that is made (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        nargs="+",
        default=[42],
        metavar="S",
        help="seeds, a shop each (default: 42)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="measure the five CSV files in this folder instead of making a shop",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    try:
        require_libraries()
        if args.data_dir is not None:
            measured = {"ours": measure(read_shop(args.data_dir))}
        else:
            measured = {
                f"seed {seed}": measure(make_shop(seed, args.users))
                for seed in dict.fromkeys(args.seed)
            }
    except (DataError, OSError) as error:
        report_error("realism", error)
        return 1
    except KeyboardInterrupt:
        report_error("realism", "interrupted")
        return 130
    print_safely(render_report(measured))
    return int(any(misses(row) for rows in measured.values() for row in rows))


def require_libraries() -> None:
    """Raise `DataError` if the libraries for numbers are not installed."""
    for name in ("numpy", "scipy"):
        if find_spec(name) is None:
            raise DataError(
                f"{name} is not installed. It comes with:"
                " python -m pip install -r benchmarks/requirements.txt"
            )


def make_shop(seed: int, users: int) -> Shop:
    """Return the shop that the generator's command makes in its default window."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(PROJECT_ROOT / "generate_data.py"),
            "--generate",
            f"--seed={seed}",
            f"--users={users}",
            f"--out-dir={folder}",
        ]
        # The project's own script, with two numbers and a folder.
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
        if done.returncode != 0:
            raise DataError(f"generate_data.py ended with status {done.returncode}.")
        return read_shop(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
