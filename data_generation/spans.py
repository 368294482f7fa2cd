"""Spans of days, as one process makes them: sign-ups first, then orders.

Sign-ups leave moments of purchase in sorted runs and their users' traits in scratch files;
orders read the slices of a day from every run.  So memory is bounded by a day and a run,
whatever the number of users; only the traits, two bytes a user, are held as a whole.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

from data_generation.model.baskets import Stock
from data_generation.model.catalog import CATEGORIES, LAUNCH_HOUR, Product, make_products
from data_generation.model.customers import (
    MOMENT_BITS,
    MOST_USER_ID,
    Signups,
    list_users,
    plan_signups,
    sign_up_day,
)
from data_generation.model.lifecycle import LIFE_DAYS
from data_generation.model.orders import Block, Desk, Ids, Rows, count_ids, plan_blocks
from data_generation.model.seasons import Calendar, plan_calendar
from data_generation.model.streams import Streams
from data_generation.plan import Plan, Span
from utils.helpers import DataError

# Moments of purchase that are sorted at a time.
RUN = 1 << 18
MOMENT_BYTES = 8
TRAIT_BYTES = 2

# Takes a table's name and lines of its file.
Write = Callable[[str, Sequence[str]], None]

# Told after every day: users signed up, orders made, rows written.
Tell = Callable[[int, int, int], None]


class Shop(NamedTuple):
    """A plan with what every process needs to know before it makes a day of it.

    *signups* has a count per day, *first_ids* the first user id of each and of the next.
    """

    streams: Streams
    calendar: Calendar
    products: list[Product]
    signups: list[int]
    first_ids: list[int]


@lru_cache(maxsize=1)
def open_shop(plan: Plan) -> Shop:
    """Return what *plan* settles; raise `DataError` if there would be too many users."""
    streams = Streams(plan.seed)
    calendar = plan_calendar(plan.start, plan.until)
    signups = plan_signups(streams, calendar, plan.users, plan.paced_days)
    first_ids = list(accumulate(signups, initial=1))
    if first_ids[-1] > MOST_USER_ID:
        raise DataError(
            f"{first_ids[-1] - 1} users would have signed up by {plan.until}, expected at"
            f" most {MOST_USER_ID}. Take fewer users or an earlier day."
        )
    return Shop(streams, calendar, make_products(streams, len(signups)), signups, first_ids)


def list_products(shop: Shop) -> list[str]:
    """Return the rows of products.csv."""
    return [
        f"{product.product_id},{product.sku},{product.name},"
        f"{CATEGORIES[product.category].name},{product.brand},{product.price_cents},"
        f"{product.cost_cents},{_find_launch(shop.calendar, product)}"
        f"T{LAUNCH_HOUR:02d}:00:00Z\n"
        for product in shop.products
    ]


def _find_launch(calendar: Calendar, product: Product) -> date:
    return date.fromordinal(calendar.start.toordinal() + product.launch_day)


class Diary(NamedTuple):
    """What the sign-ups of a span leave behind: who they are, when they will buy.

    *traits* and *moments* are files; each of *runs*, which are sorted, tells where in the
    latter its moments of each day begin.
    """

    traits: Path
    moments: Path
    runs: list[array[int]]

    def count_orders(self, days: int) -> int:
        """Return how many orders there will be in the first *days* of the window."""
        return sum(marks[days] - marks[0] for marks in self.runs) // MOMENT_BYTES


def sign_up_span(
    write: Write,
    tell: Tell,
    plan: Plan,
    span: Span,
    last_day: int,
    scratch: Path,
    is_written: bool,
) -> Diary:
    """Make the users of *span*, and their moments of purchase before day *last_day*.

    The rows go to *write* if *is_written*, the rest to files in *scratch*.
    """
    shop = open_shop(plan)
    number = span.first
    diary = Diary(scratch / f"traits.{number}", scratch / f"moments.{number}", [])
    signups = Signups()
    with (
        open(diary.traits, "wb") as traits_file,
        open(diary.moments, "wb") as moments_file,
    ):
        for day in range(*span):
            user_count = shop.signups[day]
            newcomers = sign_up_day(
                shop.streams,
                shop.calendar,
                day,
                shop.first_ids[day],
                user_count,
                shop.calendar.ticks[last_day],
                signups,
            )
            if is_written:
                write("users", list_users(newcomers))
            signups.traits.tofile(traits_file)
            del signups.traits[:], signups.departures[:]
            if len(signups.moments) >= RUN or day + 1 == span.stop:
                diary.runs.append(_spill(shop.calendar, last_day, signups, moments_file))
            tell(user_count, 0, user_count if is_written else 0)
    return diary


def _spill(
    calendar: Calendar, last_day: int, signups: Signups, file: IO[bytes]
) -> array[int]:
    """Sort the moments of *signups*, move them to *file*, return where each day's are."""
    start, run = file.tell(), signups.moments
    run.sort()
    marks = array("Q")
    at = 0
    for tick in calendar.ticks[: last_day + 1]:
        at = bisect_left(run, tick << MOMENT_BITS, lo=at)
        marks.append(start + MOMENT_BYTES * at)
    # In this machine's byte order: it is only read back by it.
    array("Q", run).tofile(file)
    run.clear()
    return marks


def read_traits(diaries: Sequence[Diary]) -> array[int]:
    """Return the traits of all users of *diaries*, by id; 0 is nobody's."""
    traits = array("H", [0])
    for diary in diaries:
        with open(diary.traits, "rb") as file:
            traits.fromfile(file, diary.traits.stat().st_size // TRAIT_BYTES)
    return traits


def read_moments(day: int, diaries: Sequence[Diary]) -> list[int]:
    """Return the moments of purchase of *day* in time order."""
    moments = array("Q")
    for diary in diaries:
        with open(diary.moments, "rb", buffering=0) as file:
            for marks in diary.runs:
                if marks[day + 1] > marks[day]:
                    file.seek(marks[day])
                    moments.frombytes(file.read(marks[day + 1] - marks[day]))
    return sorted(moments)


def plan_days(
    shop: Shop, days: range, diaries: Sequence[Diary]
) -> Iterator[tuple[int, Iterator[Block]]]:
    """Yield each of *days* with its orders in blocks."""
    traits = read_traits(diaries)
    for day in days:
        moments = read_moments(day, diaries)
        yield day, plan_blocks(shop.streams, shop.calendar.texts[day], moments, traits)


def count_span(
    _write: Write, _tell: Tell, plan: Plan, span: Span, diaries: Sequence[Diary]
) -> Ids:
    """Return how many orders, lines and payments come of the days of *span*."""
    shop = open_shop(plan)
    total = Ids()
    for _, blocks in plan_days(shop, range(*span), diaries):
        total = total.add(count_ids(blocks))
    return total


def order_span(
    write: Write, tell: Tell, plan: Plan, span: Span, diaries: Sequence[Diary], before: Ids
) -> Ids:
    """Make the orders of *span*, their lines, and the payments that fall into it.

    *before* is what `count_span` gives for all the days before.  The days in which orders
    still live at the span's start are made too, for their late payments, but not written.
    Return the ids in use at the end.
    """
    shop = open_shop(plan)
    stock = Stock(shop.streams, shop.calendar, shop.products)
    lead_in = max(span.first - LIFE_DAYS, 0)
    earlier = sum(diary.count_orders(lead_in) for diary in diaries)
    desk = Desk(shop.streams, shop.calendar, first_order_id=earlier + 1)
    for day, blocks in plan_days(shop, range(lead_in, span.stop), diaries):
        if day == span.first:
            desk.start_at(before)
        had = desk.ids
        for rows in desk.make_day(day, blocks, *stock.open_day(day)):
            if day >= span.first:
                for table, lines in zip(Rows._fields, rows, strict=True):
                    write(table, lines)
        if day >= span.first:
            tell(0, desk.ids.orders - had.orders, sum(desk.ids) - sum(had))
    return desk.ids
