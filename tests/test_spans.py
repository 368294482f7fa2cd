"""Workers, parts, tables and a later end of the window: the same bytes."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from data_generation import days
from data_generation.generate_data import generate_shop
from data_generation.model import assortment, lifecycle
from data_generation.model.habits import find_habit
from data_generation.model.people import build_block_tables
from data_generation.model.purchase_processes import PROCESSES
from data_generation.model.seasons import DAY_TICKS, plan_calendar
from data_generation.model.streams import Streams
from data_generation.plan import UNDIVIDED, Part, Plan, Span, cut_days, find_plan_error
from data_generation.spans import build_shop
from tests.support import IN_CI, ROOT, ShopCase, skip_without_processes
from utils.contract import MANIFEST_NAME, read_contract
from utils.helpers import DataError
from utils.months import FIRST_YEAR, LAST_YEAR

TABLES = [table.name for table in read_contract().tables]

# Over a turn of the year, with Black Friday and February.
PLAN = Plan(7, 300 if IN_CI else 60, date(2024, 11, 20), date(2025, 3, 9), date(2025, 3, 9))

SOME_PROCESSES = list(PROCESSES)[:: 1 if IN_CI else 3]

# Makes the shop of PLAN with two workers, which are started by a given method.
SPAWNING = """
import multiprocessing
import sys
from pathlib import Path

from data_generation import days
from data_generation.generate_data import generate_shop
from tests.test_spans import PLAN

multiprocessing.set_start_method(sys.argv[1])
days.USERS_PER_WORKER = days.USERS_PER_PIECE = 20
generate_shop(PLAN, Path(sys.argv[2]), workers=2)
"""


def run_out_of_space(*_arguments: object) -> None:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device")


def make_files(folder: Path, plan: Plan, **how: Any) -> dict[str, bytes]:
    """Return the files of *plan*, by name; *folder* is empty before and after."""
    with mock.patch.multiple(days, USERS_PER_WORKER=1, USERS_PER_PIECE=20):
        generate_shop(plan, folder, **how)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in files:
        (folder / name).unlink()
    return files


@cache
def known_files() -> dict[str, bytes]:
    """Return the files of PLAN, made once by this process alone; do not change them."""
    with tempfile.TemporaryDirectory() as folder:
        return make_files(Path(folder), PLAN)


class SpanCase(ShopCase):
    """A test that makes shops with any number of workers."""

    def make(self, plan: Plan = PLAN, **how: Any) -> dict[str, bytes]:
        """Return the files of *plan*, by name, and remove them from the folder."""
        return make_files(self.folder, plan, **how)

    def assert_same_files(self, made: dict[str, bytes], expected: dict[str, bytes]) -> None:
        """Fail, naming the files, if the two sets differ."""
        self.assertEqual(made.keys(), expected.keys())
        self.assertEqual([name for name in made if made[name] != expected[name]], [])


class SharedWork(SpanCase):
    """Any number of workers and parts, and any choice of tables, gives the same files."""

    def test_any_number_of_workers_gives_the_same_files(self) -> None:
        alone = known_files()
        self.assertEqual(alone.keys(), {MANIFEST_NAME, *(f"{name}.csv" for name in TABLES)})
        for workers in (2, 5):
            with self.subTest(workers=workers):
                self.assert_same_files(self.make(workers=workers), alone)

    def test_any_number_of_parts_gives_the_same_files(self) -> None:
        complete = dict(known_files())
        del complete[MANIFEST_NAME]
        for total in (1, 3, 16) if IN_CI else (1, 7):
            with self.subTest(parts=total):
                self.assert_same_files(self.join_parts(PLAN, total), complete)

    def test_workers_that_are_started_by_spawn_give_the_same_files(self) -> None:
        alone = known_files()
        skip_without_processes()
        methods = multiprocessing.get_all_start_methods()
        for method in methods if IN_CI else ["spawn"]:
            with self.subTest(method):
                subprocess.run(
                    [sys.executable, "-c", SPAWNING, method, self.folder],
                    check=True,
                    cwd=ROOT,
                    timeout=120,
                )
                made = {path.name: path.read_bytes() for path in self.folder.iterdir()}
                self.assert_same_files(made, alone)

    def test_parts_by_several_workers_give_the_same_files(self) -> None:
        complete = dict(known_files())
        del complete[MANIFEST_NAME]
        self.assert_same_files(self.join_parts(PLAN, 3, workers=2), complete)

    def test_every_process_gives_the_same_files_by_workers_and_in_parts(self) -> None:
        all_orders = set()
        for process in SOME_PROCESSES:
            with self.subTest(process):
                plan = PLAN._replace(process=process, users=600 if IN_CI else 80)
                alone = self.make(plan)
                self.assert_same_files(self.make(plan, workers=2), alone)
                del alone[MANIFEST_NAME]
                self.assert_same_files(self.join_parts(plan, 3), alone)
                all_orders.add(alone["orders.csv"])
        self.assertEqual(len(all_orders), len(SOME_PROCESSES))

    def test_more_parts_than_days_give_the_same_files(self) -> None:
        plan = PLAN._replace(end=date(2024, 11, 23), until=date(2024, 11, 23))
        complete = self.make(plan)
        del complete[MANIFEST_NAME]
        self.assert_same_files(self.join_parts(plan, 11), complete)

    def join_parts(self, plan: Plan, total: int, **how: Any) -> dict[str, bytes]:
        """Return the files that *total* parts make, put together in the order of names."""
        joined: dict[str, bytes] = {}
        for number in range(1, total + 1):
            part = Part(number, total)
            for name, data in self.make(plan, part=part, **how).items():
                if not name.startswith(MANIFEST_NAME):
                    self.assertEqual(name, part.name_file(name.split(".")[0]))
                    table = f"{name.split('.')[0]}.csv"
                    joined[table] = joined.get(table, b"") + data
        return joined

    def test_any_choice_of_tables_gives_the_same_files(self) -> None:
        complete = known_files()
        choices = (["users"], ["products", "payments"], ["order_items"], ["orders"])
        for tables in choices if IN_CI else choices[1:2]:
            with self.subTest(tables):
                made = self.make(tables=tables)
                self.assertIn(MANIFEST_NAME, made)
                del made[MANIFEST_NAME]
                self.assertEqual(
                    made, {f"{name}.csv": complete[f"{name}.csv"] for name in tables}
                )

    def test_size_of_sorted_runs_changes_no_byte(self) -> None:
        complete = known_files()
        with mock.patch("data_generation.spans.RUN_PURCHASES", 50):
            self.assert_same_files(self.make(), complete)

    def test_progress_ends_with_all_rows_and_all_work(self) -> None:
        for workers in (1, 2):
            with self.subTest(workers=workers):
                on_progress = mock.Mock()
                files = self.make(workers=workers, on_progress=on_progress)
                reports = [call.args for call in on_progress.call_args_list]
                rows = sum(files[f"{name}.csv"].count(b"\n") - 1 for name in TABLES)
                products = files["products.csv"].count(b"\n") - 1
                self.assertEqual(reports[-1], (rows - products, 1000))
                self.assertEqual(reports, sorted(reports, key=lambda report: report[0]))

    def test_progress_of_a_sign_up_counts_no_row_that_is_not_written(self) -> None:
        on_progress = mock.Mock()
        self.make(tables=["orders"], on_progress=on_progress)
        signup_reports = on_progress.call_args_list[: len(build_shop(PLAN).signup_counts)]
        self.assertEqual({call.args[0] for call in signup_reports}, {0})

    def test_garbage_collection_is_restored_after_a_run(self) -> None:
        self.addCleanup(gc.enable)
        for switch, is_on in ((gc.enable, True), (gc.disable, False)):
            switch()
            self.make(tables=["users"])
            self.assertEqual(gc.isenabled(), is_on)

    def test_failed_run_leaves_no_file(self) -> None:
        for workers, job in (
            (1, "sign_up_span"),
            (1, "order_span"),
            (2, "sign_up_span"),
            (2, "plan_piece"),
            (2, "order_piece"),
            (2, "pay_piece"),
        ):
            with (
                self.subTest(workers=workers, job=job),
                mock.patch.object(days, job, run_out_of_space),
                self.assertRaises(DataError),
            ):
                self.make(workers=workers)
            self.assertEqual(list(self.folder.iterdir()), [])


class ExtendedWindow(SpanCase):
    """A later end of the window appends to the files, and changes only young orders."""

    def test_later_end_appends_and_changes_only_the_status_of_young_orders(self) -> None:
        for process in SOME_PROCESSES:
            with self.subTest(process):
                plan = PLAN._replace(process=process, users=600 if IN_CI else 300)
                before = self.make(plan)
                longer = self.make(plan._replace(until=plan.until + timedelta(days=50)))
                for table in TABLES:
                    name = f"{table}.csv"
                    self.assertGreater(len(longer[name]), len(before[name]))
                    if table != "orders":
                        self.assertTrue(longer[name].startswith(before[name]), table)
                self.assert_orders_moved_on(before["orders.csv"], longer["orders.csv"])

    def assert_orders_moved_on(self, before: bytes, longer: bytes) -> None:
        """Fail if more than the status of an order changed, or an order was not young."""
        old_rows = [row.split(",") for row in before.decode().splitlines()[1:]]
        new_rows = [row.split(",") for row in longer.decode().splitlines()[1:]]
        rank = {"pending": 0, "paid": 1, "shipped": 2, "delivered": 3}
        young_from = (PLAN.until - timedelta(days=lifecycle.LIFECYCLE_DAYS)).isoformat()
        moved = 0
        for old, new in zip(old_rows, new_rows, strict=False):
            if old == new:
                continue
            moved += 1
            self.assertEqual(old[:3] + old[4:], new[:3] + new[4:])
            self.assertGreater(old[2], young_from)
            self.assertLess(rank[old[3]], rank.get(new[3], 4))
        self.assertGreater(moved, 20)

    def test_each_later_end_begins_with_the_files_of_the_earlier_one(self) -> None:
        step = [PLAN._replace(until=PLAN.until + timedelta(days=days)) for days in (1, 2)]
        one, two = (self.make(plan) for plan in step)
        self.assertTrue(two["payments.csv"].startswith(one["payments.csv"]))
        self.assertTrue(two["users.csv"].startswith(one["users.csv"]))

    def test_sign_ups_continue_at_the_same_pace_after_the_end(self) -> None:
        year = Plan(1, 3650, date(2024, 1, 1), date(2024, 12, 31), date(2025, 12, 31))
        signups = build_shop(year).signup_counts
        self.assertEqual(sum(signups[:366]), 3650)
        self.assertTrue(1.2 < sum(signups[366:]) / 3650 < 2)


class EarlierDay(SpanCase):
    """A shop can be made as it is on a day before all its users have signed up."""

    def test_files_until_a_day_begin_the_complete_files(self) -> None:
        complete = known_files()
        for before in (1, 31, 100) if IN_CI else (31,):
            early = self.make(PLAN._replace(until=PLAN.end - timedelta(days=before)))
            with self.subTest(days=before):
                for table in TABLES:
                    name = f"{table}.csv"
                    self.assertLess(len(early[name]), len(complete[name]) + (before < 31))
                    if table != "orders":
                        self.assertTrue(complete[name].startswith(early[name]), table)
                rows = zip(
                    *(files["orders.csv"].splitlines() for files in (early, complete)),
                    strict=False,
                )
                for early_row, row in rows:
                    self.assertEqual(
                        early_row.split(b",")[:3] + early_row.split(b",")[4:],
                        row.split(b",")[:3] + row.split(b",")[4:],
                    )

    def test_replay_day_by_day_ends_with_the_complete_shop(self) -> None:
        complete = known_files()
        row_counts = []
        for before in range(20 if IN_CI else 4, -1, -1):
            files = self.make(PLAN._replace(until=PLAN.end - timedelta(days=before)))
            row_counts.append(sum(data.count(b"\n") for data in files.values()))
        self.assertEqual(files, complete)
        self.assertEqual(row_counts, sorted(row_counts))

    def test_parts_and_workers_of_an_early_day_give_the_same_bytes(self) -> None:
        early = PLAN._replace(until=PLAN.end - timedelta(days=60))
        self.assertEqual(self.make(early, workers=2), self.make(early))


def clear_caches() -> None:
    """Remove what depends on the streams of a shop from memory."""
    build_shop.cache_clear()
    build_block_tables.cache_clear()
    find_habit.cache_clear()
    assortment._list_rows.cache_clear()


class RandomStreams(unittest.TestCase):
    """A random stream changes only the tables that depend on it."""

    MONEY = ("orders", "order_items", "payments")
    # The tables that depend on the stream of each column.
    REACH: ClassVar[dict[tuple[str, str], tuple[str, ...]]] = {
        ("users", "place"): ("users", *MONEY),
        ("users", "signed_up_at"): ("users", *MONEY),
        # The country decides on the hours, and so on the order of a day's orders.
        ("users", "person"): ("users", *MONEY),
        ("users", "signup_count"): ("users", *MONEY),
        # It decides on the length of the days, so on the seconds of sign-ups too.
        ("orders", "demand_noise"): ("users", *MONEY),
        ("users", "name"): ("users",),
        ("events", "of_month"): ("users", *MONEY),
        ("events", "of_channel"): MONEY,
        ("events", "of_product"): MONEY,
        ("events", "of_brand"): MONEY,
        # Rate and level decide on the channel, and the channel on who buys.
        ("users", "channel"): ("users", *MONEY),
        ("users", "spending_level"): ("users", *MONEY),
        ("users", "purchase_rate"): ("users", *MONEY),
        ("users", "dropout"): MONEY,
        # A taste is a habit, so a habit decides on goods too.
        ("users", "habit"): MONEY,
        ("orders", "ordered_at"): MONEY,
        ("orders", "first_ordered_at"): MONEY,
        ("orders", "basket_value"): MONEY,
        ("orders", "line_count"): MONEY,
        # A coupon decides whether an order is raised to free shipping.
        ("orders", "coupon"): MONEY,
        ("orders", "life"): ("orders", "payments"),
        ("orders", "is_returned"): ("orders", "payments"),
        ("orders", "pay_delay"): ("payments",),
        ("orders", "chance"): ("orders", "payments"),
        ("order_items", "product_id"): MONEY,
        ("order_items", "taste"): MONEY,
        ("order_items", "further_product_id"): MONEY,
        ("order_items", "raised_product_id"): MONEY,
        ("products", "category"): ("products", *MONEY),
        ("products", "noun"): ("products",),
        ("products", "style"): ("products",),
        # The price tier is that of the brand.
        ("products", "brand"): ("products", *MONEY),
        ("products", "cost"): ("products",),
        ("products", "life"): MONEY,
        ("products", "price_step"): MONEY,
        ("products", "bulk"): MONEY,
        ("products", "price"): ("products", *MONEY),
        # Best sellers are not sold at cost.
        ("products", "popularity"): ("products", *MONEY),
        ("products", "promoted_category"): MONEY,
        ("products", "is_promoted"): MONEY,
        ("products", "promotion"): MONEY,
        ("products", "promotion_place"): MONEY,
    }

    seen: ClassVar[set[tuple[str, str]]] = set()
    complete: ClassVar[dict[str, bytes]]

    @classmethod
    def setUpClass(cls) -> None:
        """Make the unchanged shop and record every stream."""
        cls.complete = cls.make_with(cls.note)
        del cls.complete[MANIFEST_NAME]

    @classmethod
    def note(cls, table: str, column: str) -> str:
        """Record a stream and return its name unchanged."""
        cls.seen.add((table, column))
        return column

    @staticmethod
    def make_with(rename: Callable[[str, str], str]) -> dict[str, bytes]:
        """Return the files of a shop whose streams are renamed by *rename*."""
        draw = Streams.draw_bytes

        def divert(
            streams: Streams, table: str, column: str, unit: object, count: int
        ) -> bytes:
            return draw(streams, table, rename(table, column), unit, count)

        clear_caches()
        # Every event that happens once a year begins by 31 July.
        last = date(2025, 7, 31)
        plan = PLAN._replace(users=600 if IN_CI else 250, end=last, until=last)
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(Streams, "draw_bytes", divert),
        ):
            made = make_files(Path(folder), plan)
        clear_caches()
        return made

    def test_changed_stream_changes_only_its_own_tables(self) -> None:
        reaches = list(self.REACH.items())
        for stream, reach in reaches if IN_CI else reaches[::7]:
            with self.subTest(stream=stream):
                self.assertIn(stream, self.seen)
                made = self.make_with(
                    lambda table, column, stream=stream: (  # type: ignore[misc]
                        f"new_{column}" if (table, column) == stream else column
                    )
                )
                changed = [
                    name
                    for name in TABLES
                    if made[f"{name}.csv"] != self.complete[f"{name}.csv"]
                ]
                self.assertEqual(sorted(changed), sorted(reach))

    def test_every_stream_is_covered_by_this_test(self) -> None:
        self.assertEqual(self.seen, self.REACH.keys())


class PlannedSpans(unittest.TestCase):
    """A plan is refused for every reason, and cut into spans of days."""

    def test_every_unusable_plan_is_refused(self) -> None:
        first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)
        for plan in (
            PLAN,
            Plan(0, 0, first, first, first),
            Plan(2**64 - 1, 100_000_000, last, last, last),
            Plan(1, 1, date(2000, 1, 1), date(2000, 1, 1), date(2099, 12, 31)),
        ):
            self.assertIsNone(find_plan_error(plan))
        for changes, words in (
            ({"seed": -1}, "seed"),
            ({"seed": 2**64}, "seed"),
            ({"users": -1}, "users"),
            ({"users": 10**9}, "users"),
            ({"end": date(2024, 1, 1)}, "before start"),
            ({"until": date(2024, 1, 1)}, "before start"),
            ({"process": "brisk"}, "expected one of steady, regular"),
            ({"start": date(1899, 12, 31)}, "years"),
            ({"until": date(2125, 1, 1)}, "100 years"),
        ):
            with self.subTest(changes):
                self.assertIn(words, find_plan_error(PLAN._replace(**changes)) or "")

    def test_plan_with_more_users_than_ids_is_refused(self) -> None:
        plan = Plan(1, 10**8, date(2024, 1, 1), date(2024, 1, 31), date(2034, 1, 1))
        with self.assertRaisesRegex(DataError, "users would have signed up"):
            build_shop(plan)

    def test_last_user_id_may_be_the_largest_one(self) -> None:
        day = date(2024, 1, 1)
        self.addCleanup(build_shop.cache_clear)
        with mock.patch("data_generation.spans.MOST_USER_ID", 10):
            self.assertEqual(build_shop(Plan(1, 10, day, day, day)).first_ids, [1, 11])
            with self.assertRaisesRegex(DataError, "11 users would have signed up"):
                build_shop(Plan(1, 11, day, day, day))

    def test_days_are_cut_into_spans_of_about_the_same_work(self) -> None:
        calendar = plan_calendar(date(2024, 1, 1), date(2025, 12, 31))
        signups = [5 + day // 100 for day in range(len(calendar.days))]
        for count in (1, 2, 7, 800):
            spans = cut_days(calendar, signups, Span(0, 731), count)
            self.assertEqual(len(spans), count)
            self.assertEqual((spans[0].first, spans[-1].stop), (0, 731))
            for one, other in pairwise(spans):
                self.assertEqual(one.stop, other.first)
        halves = cut_days(calendar, signups, Span(0, 731), 2)
        self.assertTrue(380 < halves[0].stop < 560, halves)

    def test_earlier_users_count_as_work(self) -> None:
        calendar = plan_calendar(date(2024, 1, 1), date(2025, 12, 31))
        # All sign up on the first day, which weighs as much as 250 later days of demand.
        first, _ = cut_days(calendar, [1000] + [0] * 730, Span(0, 731), 2)
        half = (calendar.ticks[-1] - 250 * DAY_TICKS) / 2
        self.assertEqual(first.stop, sum(tick < half for tick in calendar.ticks))

    def test_names_of_parts_sort_in_the_order_of_the_parts(self) -> None:
        names = [Part(number, 120).name_file("users") for number in range(1, 121)]
        self.assertEqual(names, sorted(names))
        self.assertEqual(UNDIVIDED.name_file("users"), "users.csv")
