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

from data_generation.datapackage import FileEntry, describe_origin, describe_resource
from data_generation.days import WorkEstimate, choose_workers, cut_pieces
from data_generation.event_truth import list_day_truth, list_event_truth
from data_generation.expectations import expect_first_orders, expect_orders
from data_generation.generate_data import TableFile, without_garbage_collection
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
from data_generation.model.catalog import (
    BRANDS,
    CATEGORIES,
    COUNTRIES,
    METHODS,
    Product,
)
from data_generation.model.channels import CHANNELS
from data_generation.model.distributions import UNIT, UNIT_BITS
from data_generation.model.habits import find_habit
from data_generation.order_sizes import expect_size, list_size_factors
from data_generation.plan import Plan, Span
from data_generation.spans import (
    Shop,
    SignupFiles,
    build_shop,
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

# Orders and rows are made in the pieces of so many workers, even by a single one, so that
# not all of them are in memory together.
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
    names = [f"{name}.csv" for name in COLUMNS]
    with open_atomically([folder / name for name in (*names, MANIFEST_NAME)]) as opened:
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
        workers = choose_workers(workers, shop.first_ids[-1])
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
        # Gaps have 65,536 as their mean, see `customers.CustomerTables`.
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


def format_fraction(part: int, whole: int, digits: int) -> str:
    """Return *part* ÷ *whole*, rounded down to *digits* decimals.

    >>> format_fraction(5, 4, 3)
    '1.250'
    """
    scaled = part * 10**digits // whole
    return f"{scaled // 10**digits}.{scaled % 10**digits:0{digits}d}"


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


# ---- Products and curves ----------------------------------------------------------------


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


def list_curves() -> list[str]:
    """Return the rows of curves.csv: every constant of the model."""
    return [f"{curve},{position},{value}\n" for curve, position, value in _iterate_curves()]


def _iterate_curves() -> Iterator[tuple[str, str | int, str | int]]:
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
    yield from _iterate_events()
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
    for channel in CHANNELS:
        yield "channel weight", channel.name, channel.weight
        yield "channel weight change per year", channel.name, channel.yearly_change
        yield "channel tilt by purchase rate per cent", channel.name, channel.rate_tilt
        yield "channel tilt by spending level per cent", channel.name, channel.spend_tilt
        yield "buyers per mille", channel.name, channel.buyer_per_mille
    for country in COUNTRIES:
        yield "country weight", country.code, country.weight
        yield "hours from UTC", country.code, country.utc_offset_hours
        yield "tax per mille", country.code, country.tax_per_mille
        yield "shipping cents", country.code, country.shipping_cents
        yield "returned per mille", country.code, country.returned_per_mille
        for method, weight in zip(METHODS, country.methods, strict=True):
            yield "method weight", f"{country.code} {method}", weight
    yield from _iterate_returns()
    for channel in CHANNELS:
        per_cent = orders.COUPONS_BY_CHANNEL.get(channel.name, orders.COUPONS_ELSEWHERE)
        yield "coupons by channel per cent", channel.name, per_cent
    yield from _iterate_processes()
    yield from (("parameter", name, value) for name, value in _iterate_parameters())


def _iterate_returns() -> Iterator[tuple[str, str | int, int]]:
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


def _iterate_processes() -> Iterator[tuple[str, str, int]]:
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


def _iterate_events() -> Iterator[tuple[str, str | int, str | int]]:
    """Yield the constants of what happens in a shop."""
    yield from (("noise weight by days ago", *at) for at in enumerate(events.NOISE_WEIGHTS))
    for kind, per_cent in events.MONTH_EVENT_PER_CENT.items():
        yield "event of a month per cent", kind or "none", per_cent
    for kind, scope in events.SCOPES.items():
        for bound, days, per_mille in zip(("least", "most"), *scope, strict=True):
            yield "event days", f"{kind} {bound}", days
            yield "event size per mille", f"{kind} {bound}", per_mille


def _iterate_parameters() -> Iterator[tuple[str, str | int]]:
    """Yield the single constants: shapes, shares per mille, money in cents."""
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
    yield "returned whole of returned per mille", lifecycle.RETURNED_WHOLE_PER_MILLE
