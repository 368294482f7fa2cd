"""How demand varies over the year and the week."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

from benchmarks.realism_math import mean, ratio
from benchmarks.realism_rows import OWN, Band, Row, demo, measured, published
from benchmarks.shop_files import DAY, MONTHS_A_YEAR, WEEK_DAYS, Shop, add_months
from data_generation.model.seasons import find_black_friday


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
        Row(
            "24 to 26 December ÷ the week before",
            Band(0.2, 0.7),
            measured("Olist .19 to .58"),
            "Orders a day on these days ÷ orders a day from 17 to 23 December; mean of the"
            " years.",
            mean(christmas_multiple(by_day, year) for year in shop.years),
        ),
        _growth_row(shop),
        *_category_season_rows(shop),
    ]


def peak_multiple(by_day: Mapping[date, int], year: int, days_later: int) -> float:
    """Return the orders of a day after Black Friday ÷ those of the season's mean day."""
    season = [date(year, 11, 1) + number * DAY for number in range(30 + 31)]
    peak = find_black_friday(year) + days_later * DAY
    return ratio(by_day.get(peak, 0), mean(by_day.get(day, 0) for day in season))


def christmas_multiple(by_day: Mapping[date, int], year: int) -> float:
    """Return the orders a day on 24 to 26 December ÷ those of the week before."""
    eve, week = date(year, 12, 24), date(year, 12, 17)
    return ratio(
        mean(by_day.get(eve + number * DAY, 0) for number in range(3)),
        mean(by_day.get(week + number * DAY, 0) for number in range(WEEK_DAYS)),
    )


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
    counts = Counter(
        shop.category_of[line.product_id]
        for order in shop.orders
        if order.ordered_at.month == month
        for line in shop.baskets.get(order.order_id, ())
    )
    return {name: count / counts.total() for name, count in counts.items()}
