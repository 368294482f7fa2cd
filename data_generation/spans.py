"""Spans of days, each made by one process: sign-ups first, then orders.

Sign-up days write their purchases in sorted runs, and the traits of their users, to scratch
files.  Order days read their slice of every run.  So memory is bounded by a day and a run,
whatever the number of users; only the traits, two bytes per user, are all in memory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

from data_generation.model.assortment import Assortment
from data_generation.model.catalog import (
    BRANDS,
    CATEGORIES,
    LAUNCH_HOUR,
    Product,
    make_products,
)
from data_generation.model.customers import (
    MOST_USER_ID,
    TIME_SHIFT,
    PurchaseSchedule,
    plan_signups,
    sign_up_day,
)
from data_generation.model.events import Shocks
from data_generation.model.lifecycle import LIFECYCLE_DAYS
from data_generation.model.orders import (
    Block,
    DayPayments,
    Ids,
    OrderBuilder,
    Rows,
    count_ids,
    format_payments,
    plan_blocks,
)
from data_generation.model.people import format_user_rows
from data_generation.model.purchase_processes import PROCESSES, Process
from data_generation.model.seasons import DAY_SECONDS, Calendar, plan_calendar
from data_generation.model.streams import Streams
from data_generation.plan import Plan, Span
from data_generation.workers import OnProgress, Write
from utils.formats import count_noun
from utils.helpers import DataError

# Purchases that are sorted and written at a time.
RUN_PURCHASES = 1 << 18
PURCHASE_BYTES = 8
# Days whose purchases are read at a time.
DAYS_AT_A_TIME = 8
TRAIT_BYTES = 2


class Shop(NamedTuple):
    """What every process needs before it makes a day of a plan.

    *signup_counts* are by day; *first_ids* are the first user ids of each day and of the
    day after the last.  The *assortment* changes from day to day.
    """

    streams: Streams
    shocks: Shocks
    calendar: Calendar
    products: list[Product]
    signup_counts: list[int]
    first_ids: list[int]
    assortment: Assortment
    process: Process


# The ground truth needs two windows of a shop in turn.
@lru_cache(maxsize=2)
def build_shop(plan: Plan) -> Shop:
    """Return the shop of *plan*; raise `DataError` if it would have too many users."""
    streams = Streams(plan.seed)
    shocks = Shocks(streams, is_calm=plan.is_calm)
    calendar = plan_calendar(plan.start, plan.until, shocks.find_factor)
    counts = _plan_window_signups(shocks, plan, calendar)
    first_ids = list(accumulate(counts, initial=1))
    user_count = first_ids[-1] - 1
    if user_count > MOST_USER_ID:
        raise DataError(
            f"{user_count} users would have signed up by {plan.until}, expected at"
            f" most {MOST_USER_ID}. Use fewer users or an earlier day."
        )
    products = make_products(streams, len(counts))
    events = shocks.list_events(plan.start, plan.until)
    assortment = Assortment(streams, calendar, products, events)
    return Shop(
        streams,
        shocks,
        calendar,
        products,
        counts,
        first_ids,
        assortment,
        PROCESSES[plan.process],
    )


def _plan_window_signups(shocks: Shocks, plan: Plan, calendar: Calendar) -> list[int]:
    """Return how many users sign up on each day of *calendar*, the window of *plan*.

    The pace is set by the days until the plan's end, which may be after the window.
    """
    paced = calendar if plan.until >= plan.end else plan_calendar(plan.start, plan.end)
    counts = plan_signups(shocks, paced, plan.users, plan.paced_days)
    return counts[: len(calendar.days)]


def count_planned_users(plan: Plan) -> int:
    """Return how many users sign up in the window of *plan*.

    Raise `DataError` if they are too many.
    """
    return build_shop(plan).first_ids[-1] - 1


def require_planned_users(place: Path, plan: Plan, rows: int) -> None:
    """Raise `DataError` unless *rows*, stated in *place*, are the users of *plan*.

    A plan of a hundred million users is not carried out to compare a file of sixty.
    """
    expected = count_planned_users(plan)
    if rows != expected:
        raise DataError(
            f"{place}: users has {count_noun(rows, 'row')}, its plan"
            f" {count_noun(expected, 'user')}. Make the files again with --generate."
        )


def format_product_rows(shop: Shop) -> list[str]:
    """Return the rows of products.csv."""
    return [
        f"{product.product_id},{product.sku},{product.name},"
        f"{CATEGORIES[product.category].name},{BRANDS[product.brand].name},{product.price_cents},"
        f"{product.cost_cents},{_find_launch(shop.calendar, product)}"
        f"T{LAUNCH_HOUR:02d}:00:00Z\n"
        for product in shop.products
    ]


def _find_launch(calendar: Calendar, product: Product) -> date:
    return date.fromordinal(calendar.start.toordinal() + product.launch_day)


class SignupFiles(NamedTuple):
    """The scratch files of a span's sign-ups: the users' traits and their purchases.

    *purchases* holds sorted runs; each of *runs* lists where in it every day begins.
    """

    traits: Path
    purchases: Path
    runs: list[array[int]]

    def count_orders(self, days: int) -> int:
        """Return how many orders there are in the first *days* of the window."""
        return sum(starts[days] - starts[0] for starts in self.runs) // PURCHASE_BYTES


def sign_up_span(
    write: Write,
    on_progress: OnProgress,
    plan: Plan,
    span: Span,
    last_day: int,
    scratch: Path,
    is_written: bool,
) -> SignupFiles:
    """Make the users of *span*, and their purchases before day *last_day*.

    The rows go to *write* if *is_written*, the rest to files in *scratch*.
    """
    shop = build_shop(plan)
    number = span.first
    files = SignupFiles(scratch / f"traits.{number}", scratch / f"purchases.{number}", [])
    schedule = PurchaseSchedule()
    with (
        open(files.traits, "wb") as traits_file,
        open(files.purchases, "wb") as purchases_file,
    ):
        for day in range(*span):
            user_count = shop.signup_counts[day]
            if user_count:
                new_users = sign_up_day(
                    shop.streams,
                    shop.calendar,
                    day,
                    shop.first_ids[day],
                    user_count,
                    shop.calendar.ticks[last_day],
                    schedule,
                    shop.process,
                    shop.shocks.find_bad_channels(shop.calendar.days[day]),
                )
                if is_written:
                    write("users", format_user_rows(shop.streams, new_users))
            schedule.traits.tofile(traits_file)
            del schedule.traits[:], schedule.departures[:]
            if len(schedule.purchases) >= RUN_PURCHASES or day + 1 == span.stop:
                files.runs.append(_write_run(last_day, schedule.purchases, purchases_file))
            on_progress(user_count, 0, user_count if is_written else 0)
    return files


def _write_run(last_day: int, purchases: list[int], file: IO[bytes]) -> array[int]:
    """Move *purchases* to *file*, sorted; return where in it every day begins."""
    start = file.tell()
    purchases.sort()
    starts = array("Q")
    at = 0
    for day in range(last_day + 1):
        at = bisect_left(purchases, day * DAY_SECONDS << TIME_SHIFT, lo=at)
        starts.append(start + PURCHASE_BYTES * at)
    # In this machine's byte order: only this machine reads the file.
    array("Q", purchases).tofile(file)
    purchases.clear()
    return starts


def read_traits(signup_files: Sequence[SignupFiles]) -> array[int]:
    """Return the traits of all users of *signup_files*, by id; no user has id 0."""
    traits = array("H", [0])
    for files in signup_files:
        with open(files.traits, "rb") as file:
            traits.fromfile(file, files.traits.stat().st_size // TRAIT_BYTES)
    return traits


def read_purchases(span: Span, signup_files: Sequence[SignupFiles]) -> Iterator[list[int]]:
    """Yield the purchases of each day of *span* in time order."""
    for first in range(span.first, span.stop, DAYS_AT_A_TIME):
        yield from _read_days(
            range(first, min(first + DAYS_AT_A_TIME, span.stop)), signup_files
        )


def _read_days(days: range, signup_files: Sequence[SignupFiles]) -> Iterator[list[int]]:
    """Yield the purchases of each of *days*, which are read together from every run."""
    slices = []
    for files in signup_files:
        with open(files.purchases, "rb", buffering=0) as file:
            for starts in files.runs:
                start, stop = starts[days.start], starts[days.stop]
                if start < stop:
                    file.seek(start)
                    slices.append((array("Q", file.read(stop - start)), start, starts))
    for day in days:
        purchases = array("Q")
        for values, start, starts in slices:
            first, stop = starts[day] - start, starts[day + 1] - start
            purchases += values[first // PURCHASE_BYTES : stop // PURCHASE_BYTES]
        yield sorted(purchases)


def plan_days(
    shop: Shop, span: Span, signup_files: Sequence[SignupFiles]
) -> Iterator[tuple[int, Iterator[Block]]]:
    """Yield each day of *span* with its orders in blocks."""
    traits = read_traits(signup_files)
    for day, purchases in enumerate(read_purchases(span, signup_files), span.first):
        yield (
            day,
            plan_blocks(
                shop.streams,
                shop.calendar.texts[day],
                purchases,
                traits,
                shop.assortment.list_categories(day),
                has_campaign=shop.shocks.has_campaign(shop.calendar.days[day]),
            ),
        )


def count_span(
    _write: Write,
    _on_progress: OnProgress,
    plan: Plan,
    span: Span,
    signup_files: Sequence[SignupFiles],
) -> Ids:
    """Return how many orders, lines and payments the days of *span* result in."""
    shop = build_shop(plan)
    total = Ids()
    for _, blocks in plan_days(shop, span, signup_files):
        total = total.add(count_ids(blocks))
    return total


def order_span(
    write: Write,
    on_progress: OnProgress,
    plan: Plan,
    span: Span,
    signup_files: Sequence[SignupFiles],
    before: Ids,
) -> None:
    """Make the orders of *span*, their lines, and the payments made in it.

    *before* is the result of `count_span` for all days before.  The last LIFECYCLE_DAYS
    before *span* are made too, without writing them, for the later payments of their
    orders.
    """
    shop = build_shop(plan)
    lead_in = Span(max(span.first - LIFECYCLE_DAYS, 0), span.first)
    orders = sum(files.count_orders(lead_in.first) for files in signup_files)
    builder = OrderBuilder(shop.streams, shop.calendar, Ids(orders))
    for day, blocks in plan_days(shop, lead_in, signup_files):
        for _ in builder.make_day(day, blocks, shop.assortment):
            pass
        builder.payments_by_day.pop(day, None)
    builder.ids = before
    payment_count = before.payments - builder.count_payments()
    for day, blocks in plan_days(shop, span, signup_files):
        write_orders(write, on_progress, builder.make_day(day, blocks, shop.assortment))
        payments = builder.payments_by_day.pop(day, DayPayments())
        write_payments(
            write, on_progress, payments, shop.calendar.texts[day], payment_count + 1
        )
        payment_count += len(payments.texts)


def write_orders(write: Write, on_progress: OnProgress, all_rows: Iterable[Rows]) -> None:
    """Write the orders of a day and their lines."""
    for rows in all_rows:
        write("orders", rows.orders)
        write("order_items", rows.order_items)
        on_progress(0, len(rows.orders), len(rows.orders) + len(rows.order_items))


def write_payments(
    write: Write, on_progress: OnProgress, payments: DayPayments, day: str, first_id: int
) -> None:
    """Write the *payments* of *day*."""
    for rows in format_payments(payments, day, first_id):
        write("payments", rows)
    on_progress(0, 0, len(payments.texts))
