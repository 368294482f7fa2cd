"""The ground truth agrees with the data and is not contained in it."""

from __future__ import annotations

import json
import math
import re
import tempfile
import unittest
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import correlation, mean
from unittest import mock

from data_generation import days, truth
from data_generation.generate_data import generate_shop
from data_generation.model import catalog
from data_generation.model.channels import CHANNELS
from data_generation.model.lifecycle import LIFECYCLE_DAYS
from data_generation.model.purchase_processes import PROCESSES
from data_generation.plan import Plan
from tests.support import IN_CI, ShopCase, read_rows, read_tree
from utils.contract import read_contract

PLAN = Plan(3, 2000, date(2024, 1, 1), date(2025, 6, 30), date(2025, 6, 30))
SMALL_PLAN = Plan(3, 60, date(2024, 1, 1), date(2024, 2, 29), date(2024, 2, 29))

Rows = list[dict[str, str]]


def infer_type(values: set[str]) -> str:
    """Return the type of the Table Schema that fits all *values*; empty ones fit any."""
    known = values - {""}
    for name, pattern in (
        ("integer", r"-?\d+"),
        ("number", r"-?\d+(\.\d+)?(e-\d+)?"),
        ("date", r"\d{4}-\d\d-\d\d"),
        ("datetime", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    ):
        if known and all(re.fullmatch(pattern, value) for value in known):
            return name
    return "string"


class GroundTruth(unittest.TestCase):
    """The truth of a shop agrees with what that shop does."""

    folder: Path
    users: Rows
    later: Rows
    refunds: Rows

    @classmethod
    def setUpClass(cls) -> None:
        """Write the truth of a shop, and make the same shop with 14 more months."""
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        truth.write_truth(PLAN, cls.folder)
        cls.users = read_rows(cls.folder / "truth" / "users.csv")
        # A year, and the days in which its last orders are returned.
        longer = PLAN._replace(until=PLAN.until + timedelta(days=365 + LIFECYCLE_DAYS))
        generate_shop(longer, cls.folder / "later", tables=["orders", "payments"])
        cls.later = read_rows(cls.folder / "later" / "orders.csv")
        cls.refunds = [
            row
            for row in read_rows(cls.folder / "later" / "payments.csv")
            if row["kind"] == "refund"
        ]

    def later_orders(self) -> dict[str, list[dict[str, str]]]:
        """Return the later shop's orders by user."""
        by_user: dict[str, list[dict[str, str]]] = {}
        for row in self.later:
            by_user.setdefault(row["user_id"], []).append(row)
        return by_user

    def test_manifest_of_the_ground_truth_describes_its_files(self) -> None:
        folder = self.folder / "truth"
        manifest = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
        self.assertEqual((manifest["seed"], manifest["horizon_days"]), (3, 365))
        for resource in manifest["resources"]:
            rows = read_rows(folder / resource["path"])
            self.assertEqual(len(rows), resource["rows"])
            fields = [field["name"] for field in resource["schema"]["fields"]]
            self.assertEqual(list(rows[0]), fields)
            for field in resource["schema"]["fields"]:
                values = {row[field["name"]] for row in rows}
                with self.subTest(resource["path"], field=field["name"]):
                    self.assertEqual(field["type"], infer_type(values))

    def test_no_table_has_a_column_name_of_the_ground_truth(self) -> None:
        for table in read_contract().tables:
            names = {name for name, _ in truth.COLUMNS["users"]} - {"user_id"}
            self.assertFalse(names & set(table.column_names))

    def test_ground_truth_lists_every_user_once(self) -> None:
        ids = [int(row["user_id"]) for row in self.users]
        self.assertEqual(ids, list(range(1, 2001)))

    def test_habitual_method_is_the_one_of_most_charges(self) -> None:
        method_of = {user["user_id"]: user["habitual_method"] for user in self.users}
        user_of = {row["order_id"]: row["user_id"] for row in self.later}
        payments = read_rows(self.folder / "later" / "payments.csv")
        charges = [row for row in payments if row["kind"] == "charge"]
        same = [
            row["method"] == method_of[user_of[row["order_id"]]]
            for row in charges
            if user_of[row["order_id"]] in method_of
        ]
        self.assertAlmostEqual(sum(same) / len(same), 0.81, delta=0.05)

    def test_class_of_returners_ranks_them_by_their_returned_orders(self) -> None:
        class_of = {user["user_id"]: user["returner_class"] for user in self.users}
        answers: dict[str, list[bool]] = {}
        for row in self.later:
            if row["user_id"] in class_of and row["status"] != "cancelled":
                found = answers.setdefault(class_of[row["user_id"]], [])
                found.append(row["status"].endswith("returned"))
        rates = [sum(found) / len(found) for _, found in sorted(answers.items())]
        self.assertEqual(len(rates), 4)
        self.assertEqual(rates, sorted(rates))

    def test_ground_truth_agrees_on_non_buyers_and_departures(self) -> None:
        by_user = self.later_orders()
        left_count = 0
        for user in self.users:
            order_times = [row["ordered_at"] for row in by_user.get(user["user_id"], [])]
            if user["is_buyer"] == "0":
                self.assertEqual((order_times, user["is_alive"]), ([], "0"))
            elif user["dropped_out_at"]:
                left_count += 1
                self.assertEqual(user["is_alive"], "0")
                self.assertEqual(order_times[-1], user["dropped_out_at"])
                self.assertLess(user["dropped_out_at"], "2025-07")
            else:
                self.assertEqual(user["is_alive"], "1")
        self.assertGreater(left_count, 250)

    def test_realised_next_year_equals_that_of_a_longer_shop(self) -> None:
        counts: Counter[str] = Counter()
        values: Counter[str] = Counter()
        valid = {}
        for row in self.later:
            if "2025-07-01" <= row["ordered_at"] < "2026-07-01":
                counts[row["user_id"]] += 1
                if row["status"] not in ("pending", "cancelled"):
                    goods = int(row["subtotal_cents"]) - int(row["discount_cents"])
                    valid[row["order_id"]] = row["user_id"], goods, int(row["total_cents"])
                    values[row["user_id"]] += goods
        for row in self.refunds:
            if row["order_id"] in valid:
                user, goods, total = valid[row["order_id"]]
                values[user] -= int(row["amount_cents"]) * goods // total
        for row in self.users:
            user = row["user_id"]
            self.assertEqual(int(row["realised_orders_365d"]), counts[user])
            self.assertEqual(int(row["realised_value_cents_365d"]), values[user])

    def test_expected_orders_agree_with_realised_orders(self) -> None:
        pairs = sorted(
            (float(row["expected_orders_365d"]), int(row["realised_orders_365d"]))
            for row in self.users
            if row["is_alive"] == "1"
        )
        for group in (pairs, pairs[: -len(pairs) // 10], pairs[-len(pairs) // 10 :]):
            expected, realised = (sum(column) for column in zip(*group, strict=True))
            # A customer's orders spread at most as (1 + expectation) times a Poisson's.
            error = math.sqrt(sum(mu * (1 + mu) for mu, _ in group))
            self.assertLess(abs(realised - expected), 4 * error, (expected, realised))

    def test_expected_value_agrees_with_realised_value(self) -> None:
        expected, realised = (
            sum(int(row[f"{name}_value_cents_365d"]) for row in self.users)
            for name in ("expected", "realised")
        )
        self.assertAlmostEqual(realised / expected, 1, delta=0.12)

    def test_spending_levels_correlate_with_order_values(self) -> None:
        spent: dict[str, list[int]] = {}
        for row in self.later:
            spent.setdefault(row["user_id"], []).append(int(row["subtotal_cents"]))
        pairs = [
            (math.log(int(user["spending_level_cents"])), math.log(mean(cents)))
            for user in self.users
            if len(cents := spent.get(user["user_id"], [])) >= 4
        ]
        self.assertGreater(correlation(*zip(*pairs, strict=True)), 0.8)

    def test_hidden_parameters_have_the_means_of_their_distributions(self) -> None:
        rates = [float(row["purchase_rate_per_week"]) for row in self.users]
        dropouts = [float(row["dropout_probability"]) for row in self.users]
        # Gamma(.243) with scale 1/4.414: its standard deviation is twice its mean.
        self.assertAlmostEqual(mean(rates), 0.243 / 4.414, delta=4 * 0.112 / 44)
        self.assertAlmostEqual(mean(dropouts), 0.793 / 3.219, delta=4 * 0.21 / 44)

    def test_popularity_shares_add_up_to_one_in_each_category(self) -> None:
        rows = read_rows(self.folder / "truth" / "products.csv")
        shares: Counter[str] = Counter()
        for row in rows:
            shares[row["category"]] += float(row["popularity_share"])  # type: ignore[assignment]
        self.assertEqual(len(shares), len(catalog.CATEGORIES))
        for share in shares.values():
            self.assertAlmostEqual(share, 1, delta=0.001)
        best = [row for row in rows if row["popularity_rank"] == "1"]
        self.assertEqual(len(best), len(catalog.CATEGORIES))

    def test_curves_contain_the_constants_of_the_model(self) -> None:
        rows = read_rows(self.folder / "truth" / "curves.csv")
        values = {(row["curve"], row["position"]): row["value"] for row in rows}
        self.assertEqual(len(values), len(rows))
        self.assertEqual(values["parameter", "BG/NBD alpha in weeks"], "4.413")
        for channel in CHANNELS:
            found = values["buyers per mille", channel.name]
            self.assertEqual(int(found), channel.buyer_per_mille)


class GroundTruthOfEachProcess(ShopCase):
    """Expected and realised orders agree, also where BG/NBD does not describe the shop."""

    def test_expected_orders_agree_with_realised_orders_by_tenths(self) -> None:
        # The default is tested above.
        for process in list(PROCESSES)[1 : None if IN_CI else 2]:
            pairs = sorted(
                (float(row["expected_orders_365d"]), int(row["realised_orders_365d"]))
                for seed in range(4 if IN_CI else 1)
                for row in self.list_users(PLAN._replace(seed=seed, process=process))
                if row["is_alive"] == "1"
            )
            bounds = [len(pairs) * tenth // 10 for tenth in range(11)]
            for low, high in [(0, len(pairs)), *pairwise(bounds)]:
                with self.subTest(process, low=low, high=high):
                    self.assert_sums_agree(pairs[low:high])

    def list_users(self, plan: Plan) -> Rows:
        """Return the truth about the users of *plan*."""
        truth.write_truth(plan, self.folder)
        return read_rows(self.folder / "truth" / "users.csv")

    def assert_sums_agree(self, pairs: list[tuple[float, int]]) -> None:
        """Fail unless the expected and the realised orders of *pairs* have similar sums."""
        expected, realised = (sum(column) for column in zip(*pairs, strict=True))
        # The orders of a known customer spread at most as those of a geometric one, and
        # those of a clumpy one, whose gaps have 4.4 times a Poisson's variance, more.
        error = math.sqrt(sum(mu * (4.4 + mu) for mu, _ in pairs))
        self.assertLess(abs(realised - expected), 3 * error + 1, (expected, realised))


class GroundTruthFiles(ShopCase):
    """The truth can be written for any shop and by any number of workers."""

    def test_ground_truth_changes_no_byte_of_the_data_and_leaves_no_other_file(
        self,
    ) -> None:
        generate_shop(SMALL_PLAN, self.folder)
        before = read_tree(self.folder)
        truth.write_truth(SMALL_PLAN, self.folder)
        names = ["datapackage.json", *(f"{name}.csv" for name in truth.COLUMNS)]
        after = read_tree(self.folder)
        self.assertEqual(
            after.keys() - before.keys(), {f"{truth.FOLDER}/{name}" for name in names}
        )
        self.assertEqual({name: after[name] for name in before}, before)

    def test_number_of_workers_changes_no_byte_of_the_ground_truth(self) -> None:
        for process in PROCESSES if IN_CI else list(PROCESSES)[-1:]:
            plan = SMALL_PLAN._replace(users=300 if IN_CI else 60, process=process)
            truth.write_truth(plan, self.folder)
            alone = read_tree(self.folder)
            with mock.patch.multiple(days, USERS_PER_WORKER=1, USERS_PER_PIECE=20):
                truth.write_truth(plan, self.folder, workers=2)
            self.assertEqual(read_tree(self.folder), alone)

    def test_ground_truth_of_the_smallest_shops_can_be_written(self) -> None:
        leap_day = date(2024, 2, 29)
        for users in (0, 1, 2) if IN_CI else (1,):
            for plan in (
                Plan(1, users, leap_day, leap_day, leap_day),
                SMALL_PLAN._replace(users=users),
                SMALL_PLAN._replace(users=users, until=date(2024, 4, 30)),
            ):
                truth.write_truth(plan, self.folder)
                rows = read_rows(self.folder / "truth" / "users.csv")
                self.assertGreaterEqual(len(rows), users)
