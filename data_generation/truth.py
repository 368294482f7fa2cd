"""The ground truth of a shop: hidden parameters of its customers, products and seasons.

It is written to the folder `truth/` beside the five files, which do not change.  What a
customer does in the year after the window is given twice: expected, in closed form from the
hidden parameters (see `expectations`), and realised, by a simulation with a longer window.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from data_generation.curve_truth import list_curves
from data_generation.datapackage import FileEntry, describe_origin, describe_resource
from data_generation.days import WorkEstimate, choose_workers, cut_pieces
from data_generation.event_truth import list_day_truth, list_event_truth
from data_generation.expectations import expect_first_orders, expect_orders
from data_generation.generate_data import TableFile, without_garbage_collection
from data_generation.model import baskets, customers, lifecycle, orders, seasons
from data_generation.model.catalog import BRANDS, CATEGORIES, Product
from data_generation.model.distributions import UNIT, UNIT_BITS, format_fraction
from data_generation.model.habits import find_habit
from data_generation.model.markets import METHODS
from data_generation.order_sizes import expect_size, list_size_factors
from data_generation.plan import Plan, Span
from data_generation.spans import (
    Shop,
    SignupFiles,
    build_shop,
    count_planned_users,
    plan_days,
    read_traits,
    sign_up_span,
)
from utils.atomic_files import open_atomically, open_scratch_folder
from utils.contract import MANIFEST_NAME
from utils.helpers import render_json
from utils.processes import run_tasks

FOLDER = "truth"

# The length of the next year, in days of the calendar.
HORIZON_DAYS = 365

# Columns by file, with the types of the Table Schema.
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "users": (
        ("user_id", "integer"),
        ("is_buyer", "integer"),
        ("purchase_rate_per_week", "number"),
        ("dropout_probability", "number"),
        ("spending_level_cents", "integer"),
        ("returner_class", "integer"),
        ("habitual_method", "string"),
        ("dropped_out_at", "datetime"),
        ("is_alive", "integer"),
        ("expected_orders_365d", "number"),
        ("expected_value_cents_365d", "integer"),
        ("realised_orders_365d", "integer"),
        ("realised_value_cents_365d", "integer"),
    ),
    "products": (
        ("product_id", "integer"),
        ("category", "string"),
        ("popularity_rank", "integer"),
        ("popularity_share", "number"),
        ("price_tier", "integer"),
        ("discontinued_at", "datetime"),
    ),
    "events": (
        ("kind", "string"),
        ("first_date", "date"),
        ("last_date", "date"),
        ("table", "string"),
        ("column", "string"),
        ("value", "string"),
        ("size_per_mille", "integer"),
        ("description", "string"),
    ),
    "days": (
        ("date", "date"),
        ("season_per_mille", "integer"),
        ("events_per_mille", "integer"),
        ("noise_per_mille", "integer"),
        ("demand_per_mille", "integer"),
    ),
    "curves": (("curve", "string"), ("position", "string"), ("value", "number")),
}

# Orders and rows are made in the pieces for this number of workers, even by a single one,
# so that not all of them are in memory together.
PIECE_WORKERS = 4

# The net value of orders is measured for bands of spending levels, half a doubling each.
# Neighbouring bands with fewer orders than this are measured together: the highest budgets
# are not used up, so the figure of all orders would be too high for them.
YIELD_LEVELS = 8
LEAST_YIELD_ORDERS = 500


class NextYear(NamedTuple):
    """The HORIZON_DAYS after a window, by user id less 1.

    *orders* counts all orders placed.  *values* are the cents of those that are paid and
    not cancelled, net of discounts and refunds.  *yields* are by band of levels: the net
    value of orders in millionths of their budgets, which depend on the gaps before them.
    """

    orders: array[int]
    values: array[int]
    yields: list[int]

    def select(self, shop: Shop, span: Span) -> NextYear:
        """Return the part of the users who sign up on the days of *span*."""
        start, stop = shop.first_ids[span.first] - 1, shop.first_ids[span.stop] - 1
        return NextYear(self.orders[start:stop], self.values[start:stop], self.yields)


def list_truth_paths(out_dir: Path) -> list[Path]:
    """Return the files of the ground truth in *out_dir*, the manifest last."""
    names = (*(f"{name}.csv" for name in COLUMNS), MANIFEST_NAME)
    return [out_dir / FOLDER / name for name in names]


def write_truth(
    plan: Plan,
    out_dir: Path,
    *,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[FileEntry]:
    """Write the ground truth of the shop of *plan* to the folder `truth` in *out_dir*.

    Return the entries of the files, without their manifest.  Raise `DataError` if *out_dir*
    cannot be written to; the files of an earlier run then remain unchanged.
    """
    folder = out_dir / FOLDER
    with open_atomically(list_truth_paths(out_dir)) as opened:
        *files, manifest = opened
        tables = {
            name: TableFile(f"{FOLDER}/{name}.csv", file)
            for name, file in zip(COLUMNS, files, strict=True)
        }
        for name, table in tables.items():
            table.write_header([column for column, _ in COLUMNS[name]])
        shop = build_shop(plan)
        tables["products"].write_rows(list_product_truth(shop))
        tables["events"].write_rows(list_event_truth(shop))
        tables["days"].write_rows(list_day_truth(shop))
        tables["curves"].write_rows(list_curves())
        workers = choose_workers(workers, count_planned_users(plan))
        with open_scratch_folder(folder) as scratch, without_garbage_collection():
            next_year = _realise_next_year(plan, scratch, workers, on_progress)
        tasks = (
            (plan, span, next_year.select(shop, span))
            for span in cut_pieces(shop, Span(0, len(shop.calendar.days)), PIECE_WORKERS)
        )
        for rows in run_tasks(_list_user_truth, list(tasks), workers):
            tables["users"].write_rows(rows)
        written = [table.describe() for table in tables.values()]
        manifest.write(render_json(_describe(plan, written)).encode("utf-8"))
    return written


def _describe(plan: Plan, written: Sequence[FileEntry]) -> dict[str, Any]:
    """Return the manifest of the ground truth; its paths are relative to its own folder."""
    return {
        **describe_origin(plan, f"The truth about a synthetic shop: seed {plan.seed}"),
        "horizon_days": HORIZON_DAYS,
        "resources": [
            describe_resource(
                file._replace(path=f"{name}.csv"),
                name,
                {"fields": [{"name": column, "type": kind} for column, kind in columns]},
            )
            for file, (name, columns) in zip(written, COLUMNS.items(), strict=True)
        ],
    }


# ---- Users ------------------------------------------------------------------------------


class HiddenUser(NamedTuple):
    """The hidden parameters of a user, and what the user did until the end of the window.

    *mean_gap* is in ticks, *dropout* in 65,536ths; *trait* and *departure* are entries of
    `customers.PurchaseSchedule`.  *method* is the habitual one, an index of METHODS;
    *last_second* is that of the last order, or None.
    """

    user_id: int
    mean_gap: int
    dropout: int
    trait: int
    departure: int
    method: int
    last_second: int | None


def _list_user_truth(plan: Plan, span: Span, next_year: NextYear) -> list[str]:
    """Return the rows of users.csv for the days of *span*.

    *next_year* has the users who sign up in *span* only.
    """
    shop = build_shop(plan)
    calendar = shop.calendar
    end = calendar.start + timedelta(days=len(calendar.days) + HORIZON_DAYS - 1)
    horizon = seasons.plan_calendar(
        calendar.days[-1] + timedelta(days=1), end, shop.shocks.find_factor
    ).ticks[-1]
    days = [day for day in range(*span) if shop.signup_counts[day]]
    users = chain.from_iterable(_find_users(shop, day) for day in days)
    return [
        _format_user(shop, next_year.yields, horizon, user, order_count, value)
        for user, order_count, value in zip(
            users, next_year.orders, next_year.values, strict=True
        )
    ]


def _find_users(shop: Shop, day: int) -> Iterator[HiddenUser]:
    """Yield the users who sign up on *day*."""
    calendar, first_id = shop.calendar, shop.first_ids[day]
    user_count, end_tick = shop.signup_counts[day], calendar.ticks[-1]
    schedule = customers.PurchaseSchedule()
    customers.sign_up_day(
        *(shop.streams, calendar, day, first_id, user_count, end_tick, schedule),
        shop.process,
        shop.shocks.find_bad_channels(calendar.days[day]),
    )
    # A user's purchases are in time order, so the last one remains.
    last_seconds = {
        purchase >> customers.USER_SHIFT & customers.MOST_USER_ID: purchase
        >> customers.TIME_SHIFT
        for purchase in schedule.purchases
    }
    tables = customers.find_purchase_tables(shop.process, day)
    traits = customers.draw_traits(shop.streams, calendar.texts[day], user_count)
    methods = lifecycle.list_habitual_methods()
    habits = find_habit(shop.streams, "method").list_consecutive(first_id, user_count)
    for user_id, rate, dropout, trait, departure, habit in zip(
        count(first_id),
        traits.rates,
        traits.dropouts,
        schedule.traits,
        schedule.departures,
        habits,
        strict=False,
    ):
        # Gaps have 65,536 as their mean, see `customers.build_gaps`.
        mean_gap = 16 * tables.inverse_rates[rate]
        yield HiddenUser(
            *(user_id, mean_gap, tables.dropouts[dropout], trait, departure),
            methods[trait & customers.COUNTRY_MASK][habit],
            last_seconds.get(user_id),
        )


def _format_user(
    shop: Shop,
    yields: Sequence[int],
    horizon: int,
    user: HiddenUser,
    order_count: int,
    value_cents: int,
) -> str:
    """Return the row of *user*, who places *order_count* orders in the next year.

    *value_cents* is their value, *horizon* the length of the next year in ticks.
    """
    mean_gap, dropout = user.mean_gap, user.dropout
    level = user.trait >> customers.LEVEL_SHIFT
    budget = baskets.level_cents()[level + baskets.ZERO_NOISE]
    is_alive = user.departure == 0
    expected, size = _expect_user_orders(shop, user, horizon) if is_alive else (0, 0)
    value = expected * size * budget * yields[level // YIELD_LEVELS] // 10**6
    left_at = ""
    if user.departure > 0:
        left_at = shop.calendar.format_timestamp(user.departure)
    return (
        f"{user.user_id},{int(user.departure >= 0)},"
        f"{format_fraction(7 * seasons.DAY_TICKS, mean_gap, 9)},"
        f"{format_fraction(dropout, 65536, 6)},{budget},"
        f"{user.trait >> customers.RETURNER_SHIFT & customers.RETURNER_MASK},"
        f"{METHODS[user.method]},{left_at},{int(is_alive)},"
        f"{format_fraction(expected, UNIT, 4)},{value >> 2 * UNIT_BITS},"
        f"{order_count},{value_cents}\n"
    )


def _expect_user_orders(shop: Shop, user: HiddenUser, horizon: int) -> tuple[int, int]:
    """Return the expected orders of *user*, who is alive, and their mean factor.

    Both are fixed-point numbers.
    """
    known, elapsed = (shop.process, user.mean_gap, user.dropout), None
    if user.last_second is None:
        expected = expect_first_orders(*known, horizon)
    else:
        elapsed = shop.calendar.ticks[-1] - shop.calendar.tick_at(user.last_second)
        expected = expect_orders(*known, elapsed, horizon)
    size = expect_size(shop.process, user.mean_gap, elapsed, expected, horizon)
    return expected, size


# ---- The next year ----------------------------------------------------------------------


def _realise_next_year(
    plan: Plan,
    scratch: Path,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> NextYear:
    """Return what the users do after the window, from the same shop with a longer window.

    The longer window ends when the last order's goods may have been returned, but only the
    orders of the next year are made.
    """
    days = HORIZON_DAYS + lifecycle.LIFECYCLE_DAYS
    longer = plan._replace(until=plan.until + timedelta(days=days))
    shop = build_shop(longer)
    first_day = (plan.until - plan.start).days + 1
    year = Span(first_day, first_day + HORIZON_DAYS)
    estimate = WorkEstimate(shop.first_ids[year.stop] - 1, on_progress)
    signup_files = _sign_up_users(longer, year.stop, scratch, workers, estimate)
    estimate.order_count = sum(
        files.count_orders(year.stop) - files.count_orders(year.first)
        for files in signup_files
    )
    user_count = shop.first_ids[first_day] - 1
    counts, values, sizes = (array("q", [0]) * user_count for _ in range(3))
    factors = list_size_factors()
    tasks = [(longer, span, signup_files) for span in cut_pieces(shop, year, PIECE_WORKERS)]
    for buyers, kinds, net_values in run_tasks(_realise_orders, tasks, workers):
        for user, kind, value in zip(buyers, kinds, net_values, strict=True):
            # Not of the users who sign up in the next year.
            if user <= user_count:
                counts[user - 1] += 1
                values[user - 1] += value
                sizes[user - 1] += factors[kind]
        estimate.add(0, len(buyers), len(buyers))
    traits = read_traits(signup_files)[1 : user_count + 1]
    return NextYear(counts, values, _find_yields(traits, counts, sizes, values))


def _sign_up_users(
    plan: Plan, last_day: int, scratch: Path, workers: int, estimate: WorkEstimate
) -> list[SignupFiles]:
    """Make the users who sign up before *last_day*, and their purchases before it."""
    shop = build_shop(plan)
    spans = cut_pieces(shop, Span(0, last_day), workers)
    tasks = [
        (_ignore_rows, _ignore_progress, plan, span, last_day, scratch, False)
        for span in spans
    ]
    all_files = []
    for span, files in zip(spans, run_tasks(sign_up_span, tasks, workers), strict=True):
        estimate.add(shop.first_ids[span.stop] - shop.first_ids[span.first], 0, 0)
        all_files.append(files)
    return all_files


def _ignore_rows(_table: str, _rows: Sequence[str]) -> None:
    """Write nothing."""


def _ignore_progress(_users: int, _orders: int, _rows: int) -> None:
    """Report nothing: the process that has the estimate does."""


def _realise_orders(
    plan: Plan, span: Span, signup_files: Sequence[SignupFiles]
) -> tuple[array[int], array[int], array[int]]:
    """Return the user, the kind and the net value in cents of each order of *span*.

    An order that is not paid, or is cancelled, has no value.
    """
    shop = build_shop(plan)
    builder = orders.OrderBuilder(shop.streams, shop.calendar, orders.Ids())
    users, kinds, values = array("q"), array("B"), array("q")
    # By order: the cents of goods and of all, for the refunds.
    placed: list[tuple[int, int]] = []
    for day, planned in plan_days(shop, span, signup_files):
        blocks = list(planned)
        for block in blocks:
            kinds.extend(purchase & customers.KIND_MASK for purchase in block.purchases)
        for rows in builder.make_day(day, blocks, shop.assortment):
            for row in rows.orders:
                _, user, _, status, subtotal, discount, _, _, total = row.split(",")
                is_valid = status not in ("pending", "cancelled")
                goods = int(subtotal) - int(discount) if is_valid else 0
                users.append(int(user))
                values.append(goods)
                placed.append((goods, int(total)))
    for payments in builder.payments_by_day.values():
        for text in payments.texts:
            _, order, kind, _, _, amount, _ = text.split(",")
            if kind == "refund":
                goods, total_cents = placed[int(order) - 1]
                values[int(order) - 1] -= int(amount) * goods // total_cents
    return users, kinds, values


def _find_yields(
    traits: Sequence[int],
    counts: Sequence[int],
    sizes: Sequence[int],
    values: Sequence[int],
) -> list[int]:
    """Return the net value of orders by band of levels, in millionths of their budgets.

    *sizes* are the sums of the factors of a user's orders.  Products, prices, promotions,
    cancellations and returns make the difference.
    """
    bands = baskets.LEVELS // YIELD_LEVELS
    order_counts, budgets, net_values = [0] * bands, [0] * bands, [0] * bands
    cents = baskets.level_cents()
    for trait, order_count, size, value in zip(traits, counts, sizes, values, strict=True):
        level = trait >> customers.LEVEL_SHIFT
        band = level // YIELD_LEVELS
        order_counts[band] += order_count
        budgets[band] += size * cents[level + baskets.ZERO_NOISE] >> UNIT_BITS
        net_values[band] += value
    yields = [0] * bands
    for start, stop in pool_bands(order_counts):
        budget = sum(budgets[start:stop])
        figure = 10**6 * sum(net_values[start:stop]) // max(budget, 1)
        yields[start:stop] = [figure] * (stop - start)
    return yields


def pool_bands(order_counts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the groups of neighbouring bands that have LEAST_YIELD_ORDERS together.

    They are ranges of indexes; the last group has the bands that are left, too.

    >>> pool_bands([300, 200, 900, 10, 0]), pool_bands([3, 4])
    ([(0, 2), (2, 5)], [(0, 2)])
    """
    stops, orders = [0], 0
    for band, order_count in enumerate(order_counts, 1):
        orders += order_count
        if orders >= LEAST_YIELD_ORDERS:
            stops.append(band)
            orders = 0
    stops[1:] = [*stops[1:-1], len(order_counts)]
    return list(pairwise(stops))


# ---- Products ---------------------------------------------------------------------------


def list_product_truth(shop: Shop) -> list[str]:
    """Return the rows of products.csv: popularity within the category, price tier, end."""
    by_category: list[list[Product]] = [[] for _ in CATEGORIES]
    for product in shop.products:
        by_category[product.category].append(product)
    ranks = {
        product.product_id: rank
        for in_category in by_category
        for rank, product in enumerate(
            sorted(
                in_category, key=lambda product: (-product.popularity, product.product_id)
            ),
            1,
        )
    }
    totals = [
        sum(product.popularity for product in in_category) for in_category in by_category
    ]
    return [
        f"{product.product_id},{CATEGORIES[product.category].name},"
        f"{ranks[product.product_id]},"
        f"{format_fraction(product.popularity, totals[product.category], 6)},"
        f"{BRANDS[product.brand].tier},{_find_end(shop, product)}\n"
        for product in shop.products
    ]


def _find_end(shop: Shop, product: Product) -> str:
    """Return when *product* was discontinued, empty if that is after the window."""
    days = shop.calendar.texts
    return f"{days[product.end_day]}T00:00:00Z" if product.end_day < len(days) else ""
