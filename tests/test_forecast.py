"""The forecast of a shop: its sums, its horizons, its accuracy, its kept share."""

from __future__ import annotations

import json
import os
import tempfile
import unittest
from collections import Counter, defaultdict
from collections.abc import Mapping
from copy import deepcopy
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean
from unittest import mock

import run_query
from data_generation.generate_data import generate_shop
from data_generation.plan import Plan
from data_generation.truth import write_truth
from queries.forecast import fitting
from queries.forecast.calibration import forecast_customers
from queries.forecast.forecast import (
    HORIZON_MONTHS,
    MAX_DAYS_AHEAD,
    add_cumulative_values,
    add_differences,
    compute_kept_share,
    count_days_ahead,
)
from queries.forecast.histories import collect_histories
from queries.forecast.holdout import build_holdout
from queries.query_file import QUERY_PATH
from queries.summary import render_result
from tests.customer_samples import list_purchases, make_histories
from tests.forecast_shop import (
    AS_OF,
    SEED,
    Sources,
    known_forecast,
    known_shop,
    known_sources,
    ordinal,
    read_sources,
    run_known,
)
from tests.support import IN_CI, ShopCase, call, read_rows, run_script, skip
from utils.helpers import DataError

# A day in the middle of a month and of a quarter.
MID_QUARTER = "2025-08-17"


class ShopForecast(ShopCase):
    """The forecast of a shop adds up, is marked, and equals a second computation."""

    def test_forecast_equals_that_of_the_csv_files_without_sql(self) -> None:
        document = run_known().document
        expected = deepcopy(known_forecast().document)
        add_cumulative_values(expected, document["cells"])
        self.assertEqual(document["forecast"], expected)

    def test_total_is_the_sum_of_the_cohorts(self) -> None:
        document = known_forecast().document
        cohorts = document["cohorts"]
        self.assertEqual(len(cohorts), 24)
        sizes = Counter(map(known_sources().name_month, known_sources().histories.user_ids))
        self.assertEqual(
            {cohort["cohort"]: cohort["cohort_size"] for cohort in cohorts}, sizes
        )
        for at, total in enumerate(document["total"]):
            parts = [cohort["horizons"][at] for cohort in cohorts]
            cents, purchases = (
                sum(part[name]["forecast"] for part in parts) - total[name]["forecast"]
                for name in ("net_cents", "purchases")
            )
            self.assertEqual(cents, 0)
            # The purchases of each part are rounded to a tenth.
            self.assertLessEqual(abs(purchases), 0.1 * (len(parts) + 1) / 2)

    def test_cohorts_of_a_cent_each_add_up_to_the_total_within_their_intervals(
        self,
    ) -> None:
        # 25 groups of 0.4 cents are rounded to 0; their total is 10.
        groups = [[{"net_cents": {"forecast": 0, "low": 0, "high": 0}}] for _ in range(25)]
        add_differences(groups, [{"net_cents": {"forecast": 10}}])
        nets = [group[0]["net_cents"] for group in groups]
        self.assertEqual(sum(net["forecast"] for net in nets), 10)
        for net in nets:
            self.assertTrue(net["low"] <= net["forecast"] <= net["high"], net)

    def test_interval_of_the_total_is_narrower_than_the_sum(self) -> None:
        document = known_forecast().document
        for at, total in enumerate(document["total"]):
            parts = [cohort["horizons"][at] for cohort in document["cohorts"]]
            width, summed = (
                sum(
                    record["net_cents"]["high"] - record["net_cents"]["low"]
                    for record in records
                )
                for records in ([total], parts)
            )
            self.assertLess(width, 0.8 * summed)
            for record in (total, *parts):
                net = record["net_cents"]
                self.assertTrue(net["low"] < net["forecast"] < net["high"], net)

    def test_horizons_are_3_6_and_12_months(self) -> None:
        total = known_forecast().document["total"]
        self.assertEqual(
            [(record["months"], record["days"]) for record in total],
            [(3, 31 + 28 + 31), (6, 181), (12, 365)],
        )
        nets = [record["net_cents"]["forecast"] for record in total]
        self.assertEqual(nets, sorted(nets))

    def test_forecasts_of_customers_add_up_to_their_cohort(self) -> None:
        cohort_forecast = known_forecast()
        each = forecast_customers(cohort_forecast.customers, cohort_forecast.fit, 181)
        counts: dict[str, float] = defaultdict(float)
        values: dict[str, float] = defaultdict(float)
        for user_id, count, value in zip(
            known_sources().histories.user_ids, *each, strict=True
        ):
            cohort = known_sources().name_month(user_id)
            counts[cohort] += count
            values[cohort] += value * cohort_forecast.kept_share
        for cohort in cohort_forecast.document["cohorts"]:
            name, horizon = cohort["cohort"], cohort["horizons"][1]
            self.assertAlmostEqual(
                counts[name], horizon["purchases"]["forecast"], delta=0.051
            )
            # Half a cent of rounding, and a cent so that the cohorts add up to the total.
            self.assertAlmostEqual(
                values[name], horizon["net_cents"]["forecast"], delta=1.51
            )
            per_customer = values[name] / cohort["cohort_size"]
            self.assertAlmostEqual(
                per_customer, horizon["net_per_customer_cents"], delta=0.51
            )

    def test_cumulative_value_starts_from_the_net_so_far(self) -> None:
        document = run_known().document
        cells = {(c["cohort"], c["months_since"]): c for c in document["cells"]}
        ages = {c["cohort"]: c["last_months_since"] for c in document["cohorts"]}
        for cohort in document["forecast"]["cohorts"]:
            name, size = cohort["cohort"], cohort["cohort_size"]
            so_far = cells[name, ages[name]]["cum_net_cents"]
            for horizon in cohort["horizons"]:
                self.assertEqual(horizon["months_since"], ages[name] + horizon["months"])
                for kind in ("forecast", "low", "high"):
                    found = horizon["cum_net_per_customer_cents"][kind]
                    expected = (so_far + horizon["net_cents"][kind]) / size
                    self.assertAlmostEqual(found, expected, delta=0.51)

    def test_every_figure_is_marked_as_forecast(self) -> None:
        document = known_forecast().document
        self.assertIs(document["is_forecast"], True)
        for cohort in document["cohorts"]:
            self.assertEqual(set(cohort), {"cohort", "cohort_size", "horizons"})
        figures = {"purchases", "net_cents", "net_per_customer_cents"}
        for records in (document["total"], *(c["horizons"] for c in document["cohorts"])):
            for record in records:
                self.assertEqual(set(record) - {"months", "days"}, figures)
                for name in ("purchases", "net_cents"):
                    self.assertEqual(set(record[name]), {"forecast", "low", "high"})
        holdout = document["holdout"]
        for name in ("purchases", "value_cents"):
            compared = {"forecast", "actual", "error"}
            self.assertEqual(set(holdout[name]), {*compared, "low", "high"})
            self.assertEqual(set(holdout["naive"][name]), compared)
        for record in holdout["deciles"]:
            for name in ("purchases", "value_per_purchase_cents"):
                self.assertEqual(set(record[name]), compared)

    def test_terminal_output_is_marked_as_forecast(self) -> None:
        stdout = run_known().result.stdout
        self.assertIn("FORECAST, not fact", stdout)
        self.assertIn("FORECAST net per customer", stdout)
        until = known_forecast().document["holdout"]["fitted_until"]
        self.assertIn(f"Holdout: fitted until {until}, the model forecast", stdout)

    def test_terminal_prints_no_error_relative_to_zero(self) -> None:
        document = deepcopy(run_known().document)
        holdout = document["forecast"]["holdout"]
        for name in ("purchases", "value_cents"):
            holdout[name] |= {"actual": 0, "error": None}
        text = " ".join(render_result(document, width=80).split())
        self.assertIn("days after; there were 0. It forecast a value of", text)
        self.assertIn("it was 0.00. Per customer", text)

    def test_terminal_states_that_intervals_use_the_measured_variance(self) -> None:
        document = deepcopy(run_known().document)
        spending = document["forecast"]["spending_model"]
        sentence = "no finite variance (q is 1.42, not above 2): the intervals use"
        for q, is_finite in ((3.5, True), (1.423, False)):
            spending["has_finite_variance"] = is_finite
            spending["parameters"]["q"] = q
            text = " ".join(render_result(document, width=80).split())
            self.assertEqual(sentence in text, not is_finite)

    def test_forecast_is_the_default_except_with_another_query(self) -> None:
        place = ("--database", known_shop() / "shop.db", "--out-dir", self.folder)
        self.assertEqual(call(run_query.main, *place).status, 0)
        name = "query_result.json"
        self.assertEqual((self.folder / name).read_bytes(), run_known().files[name])
        other = self.folder / "other.sql"
        other.write_bytes(QUERY_PATH.read_bytes())
        self.assertEqual(call(run_query.main, *place, "--query", other).status, 0)
        self.assertNotIn("forecast", json.loads((self.folder / name).read_bytes()))

    def test_result_of_no_forecast_has_none(self) -> None:
        result = call(
            run_query.main,
            "--no-forecast",
            "--database",
            known_shop() / "shop.db",
            "--out-dir",
            self.folder,
        )
        self.assertEqual(result.status, 0)
        self.assertNotIn("orecast", result.stdout)
        plain = self.folder / "query_result.csv"
        document = json.loads(plain.with_suffix(".json").read_bytes())
        self.assertNotIn("forecast", document)
        self.assertEqual(plain.read_bytes(), run_known().files[plain.name])

    def test_forecast_by_quarter_has_the_same_total(self) -> None:
        found = run_known("--cohort", "quarter").document["forecast"]
        document = known_forecast().document
        self.assertEqual(found["total"], document["total"])
        self.assertEqual(found["holdout"], document["holdout"])
        sizes: Counter[str] = Counter()
        for cohort in document["cohorts"]:
            year, month = cohort["cohort"].split("-")
            sizes[f"{year}-Q{(int(month) + 2) // 3}"] += cohort["cohort_size"]
        self.assertEqual(
            {cohort["cohort"]: cohort["cohort_size"] for cohort in found["cohorts"]},
            sizes,
        )

    def test_quarter_that_has_not_ended_has_no_cumulative_value(self) -> None:
        run = run_known("--cohort", "quarter", "--as-of", MID_QUARTER)
        *ended, running = run.document["forecast"]["cohorts"]
        added = {"months_since", "cum_net_per_customer_cents"}
        for cohort in ended:
            for horizon in cohort["horizons"]:
                self.assertLessEqual(added, set(horizon), cohort["cohort"])
        self.assertEqual(running["cohort"], "2025-Q3")
        self.assertEqual(len(running["horizons"]), 3)
        for horizon in running["horizons"]:
            self.assertFalse(added & set(horizon))

    def test_forecast_by_channel_is_that_of_all_customers(self) -> None:
        found = dict(run_known("--by", "channel").document["forecast"])
        del found["segments"]
        self.assertEqual(found, run_known().document["forecast"])

    def test_segments_add_up_to_all_customers_to_the_cent(self) -> None:
        for by in ("channel", "category"):
            document = run_known("--by", by).document
            segments, total = (document["forecast"][key] for key in ("segments", "total"))
            self.assertEqual(
                [(one["segment"], one["customer_count"]) for one in segments],
                [
                    (one["segment"], one["summary"]["customer_count"])
                    for one in document["segments"]
                ],
            )
            for at, horizon in enumerate(total):
                nets = [one["horizons"][at]["net_cents"] for one in segments]
                with self.subTest(by=by, months=horizon["months"]):
                    self.assertEqual(
                        sum(net["forecast"] for net in nets),
                        horizon["net_cents"]["forecast"],
                    )
                    for net in nets:
                        self.assertLess(net["low"], net["forecast"])
                        self.assertLess(net["forecast"], net["high"])

    def test_forecast_of_a_segment_is_that_of_its_customers(self) -> None:
        cohort_forecast = known_forecast()
        users = {
            row["user_id"]: row["acquisition_channel"]
            for row in read_rows(known_shop() / "users.csv")
        }
        expected: dict[str, float] = defaultdict(float)
        customers = cohort_forecast.customers
        each = forecast_customers(customers, cohort_forecast.fit, 365)
        for user_id, cents in zip(customers.user_ids, each.cents, strict=True):
            expected[users[str(user_id)]] += cents * cohort_forecast.kept_share
        for one in run_known("--by", "channel").document["forecast"]["segments"]:
            found = one["horizons"][-1]["net_cents"]["forecast"]
            self.assertAlmostEqual(found, expected[one["segment"]], delta=1.51)

    def test_terminal_prints_the_largest_segments_first(self) -> None:
        stdout = run_known("--by", "channel").result.stdout
        _, _, table = stdout.partition("FORECAST net by channel")
        amounts = [
            float(line.split()[2].replace(",", "")) for line in table.splitlines()[2:9]
        ]
        self.assertEqual(amounts, sorted(amounts, reverse=True))

    def test_forecast_of_an_earlier_day_uses_nothing_later(self) -> None:
        until = ordinal(MID_QUARTER)
        found = run_known("--as-of", MID_QUARTER).document["forecast"]
        histories = make_histories(
            {
                user_id: [(day, cents) for day, cents in purchases if day <= until]
                for user_id, purchases in list_purchases(known_sources().histories).items()
            }
        )
        self.assertEqual(found["from"], MID_QUARTER)
        self.assertEqual([record["days"] for record in found["total"]], [92, 184, 365])
        self.assertEqual(found["cohorts"][-1]["cohort"], "2025-08")
        self.assertEqual(found["holdout"], build_holdout(histories, until))
        size = sum(cohort["cohort_size"] for cohort in found["cohorts"])
        self.assertEqual(size, len(histories.user_ids))

    def test_bytes_are_the_same_with_another_hash_seed(self) -> None:
        if not IN_CI:
            skip("the forecast with another hash seed runs in CI only: it takes seconds")
        seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
        result = run_script(
            "run_query.py",
            "--database",
            known_shop() / "shop.db",
            "--forecast",
            "--out-dir",
            self.folder,
            env={"PYTHONHASHSEED": seed},
        )
        self.assertEqual(result.status, 0, result)
        text = (self.folder / "query_result.json").read_bytes()
        self.assertEqual(text, run_known().files["query_result.json"])


class ErrorsOverSeeds(unittest.TestCase):
    """The forecast is near the expectation of the truth, and seasons improve the holdout.

    Measured on the seeds 1 to 40 at 3,000 users: the 95 % interval of a year, 12 to 17 % on
    either side, contained the expectation of the truth 39 times, the outcome 38 times.
    """

    def test_interval_contains_the_expectation_and_seasons_reduce_the_error(self) -> None:
        contained, errors, unadjusted_errors = 0, [], []
        seeds = (1, 2, 3) if IN_CI else (SEED,)
        for seed in seeds:
            # Outside CI one shop is enough, and the known shop exists already.
            sources = self.make_sources(seed) if IN_CI else known_sources()
            document = (sources.forecast() if IN_CI else known_forecast()).document
            (year,) = [each for each in document["total"] if each["months"] == 12]
            expected = sum(
                sources.truths[user].expected_cents for user in sources.histories.user_ids
            )
            low, high = (year["net_cents"][end] for end in ("low", "high"))
            contained += low <= expected <= high
            with self.subTest(seed=seed):
                self.assertAlmostEqual(
                    year["net_cents"]["forecast"] / expected, 1, delta=0.2
                )
            errors.append(abs(document["holdout"]["purchases"]["error"]))
            with mock.patch.object(fitting, "has_measurable_seasons", return_value=False):
                unadjusted = build_holdout(sources.histories, ordinal(AS_OF))
            unadjusted_errors.append(abs(unadjusted["purchases"]["error"]))
        self.assertGreaterEqual(contained, max(1, len(seeds) - 1))
        # In a single shop, chance decides.
        if len(seeds) > 1:
            self.assertLess(fmean(errors), 0.8 * fmean(unadjusted_errors))

    def make_sources(self, seed: int) -> Sources:
        """Return the input of the forecast of a shop of two years, and its truth."""
        plan = Plan(seed, 3000, date(2024, 1, 1), date(2025, 12, 31), date(2025, 12, 31))
        with tempfile.TemporaryDirectory() as name:
            generate_shop(plan, Path(name), tables=("orders", "payments"))
            write_truth(plan, Path(name))
            return read_sources(Path(name))


class DaysAhead(unittest.TestCase):
    """A horizon has the days of its months, from the day after the last day."""

    def test_days_ahead_end_before_the_same_day_of_a_later_month(self) -> None:
        for as_of, months, end in (
            # The first day after the horizon, from a calendar.
            ("2025-12-31", 12, "2027-01-01"),
            ("2023-12-31", 3, "2024-04-01"),
            ("2025-06-30", 6, "2026-01-01"),
            ("2026-02-28", 3, "2026-06-01"),
            ("2024-02-28", 12, "2025-02-28"),
            ("2024-02-29", 12, "2025-03-01"),
            ("2023-02-28", 12, "2024-03-01"),
            ("2025-11-30", 3, "2026-03-01"),
            ("2025-11-29", 3, "2026-02-28"),
            ("2023-11-29", 3, "2024-02-29"),
            ("2025-08-17", 6, "2026-02-18"),
            ("2025-09-30", 3, "2026-01-01"),
        ):
            with self.subTest(as_of, months=months):
                first = date.fromisoformat(as_of) + timedelta(days=1)
                expected = (date.fromisoformat(end) - first).days
                self.assertEqual(count_days_ahead(as_of, months), expected)

    def test_later_start_never_ends_earlier(self) -> None:
        for months in HORIZON_MONTHS:
            ends = [
                day + count_days_ahead(date.fromordinal(day).isoformat(), months)
                for day in range(ordinal("2023-01-01"), ordinal("2025-01-01"))
            ]
            self.assertEqual(ends, sorted(ends))

    def test_year_ahead_fits_the_clock(self) -> None:
        for day in range(ordinal("2023-01-01"), ordinal("2025-01-01")):
            ahead = count_days_ahead(date.fromordinal(day).isoformat(), 12)
            self.assertIn(ahead, (365, 366))
            self.assertLessEqual(ahead, MAX_DAYS_AHEAD)


class KeptShare(unittest.TestCase):
    """The kept share is what was not refunded, of months that ended two months ago."""

    # The goods of tests/shop.py after discounts, and refunds by the month of the order.
    HISTORIES = collect_histories(
        [(1, "2024-01-10", 8500), (1, "2024-02-29", 4000), (2, "2024-03-01", 6000)]
    )
    REFUNDS: Mapping[str, tuple[int, int]] = {
        "2024-01": (0, 833),
        "2024-02": (1221, 388 + 611),
        "2024-03": (611, 0),
    }

    def test_kept_share_equals_one_computed_by_hand(self) -> None:
        for as_of, expected in (
            ("2024-03-31", 1 - 833 / 8500),
            ("2024-04-29", 1 - 833 / 8500),
            ("2024-04-30", 1 - 1832 / 12_500),
            ("2024-05-31", 1 - 1832 / 18_500),
        ):
            with self.subTest(as_of):
                found = compute_kept_share(self.HISTORIES, self.REFUNDS, as_of)
                self.assertAlmostEqual(found, expected)

    def test_shop_without_an_old_month_is_refused(self) -> None:
        with self.assertRaisesRegex(DataError, "2 months before 2024-03-30"):
            compute_kept_share(self.HISTORIES, self.REFUNDS, "2024-03-30")

    def test_goods_of_no_value_are_refused_and_of_one_cent_are_not(self) -> None:
        free, cheap = (collect_histories([(1, "2024-01-10", cents)]) for cents in (0, 1))
        with self.assertRaisesRegex(DataError, "No goods were sold"):
            compute_kept_share(free, {}, "2024-12-31")
        self.assertEqual(compute_kept_share(cheap, {}, "2024-12-31"), 1.0)

    def test_kept_share_without_refunds_is_one(self) -> None:
        self.assertEqual(compute_kept_share(self.HISTORIES, {}, "2024-12-31"), 1.0)

    def test_refunds_of_all_goods_or_more_are_refused(self) -> None:
        # An interval of a negative net had its low above its high.
        goods = collect_histories([(1, "2024-01-10", 8500)])
        for cents, share in ((8500, "100%"), (17_000, "200%")):
            with self.assertRaisesRegex(DataError, f"Refunds are {share} of the goods"):
                compute_kept_share(goods, {"2024-01": (0, cents)}, "2024-12-31")
        found = compute_kept_share(goods, {"2024-01": (0, 8499)}, "2024-12-31")
        self.assertAlmostEqual(found, 1 / 8500)
