"""The score: a forecast compared with the truth of a synthetic shop."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import unittest
from collections import Counter
from collections.abc import Sequence
from typing import Any

import run_query
from queries.forecast.score import (
    Truth,
    compare_with_truth,
    read_truth,
    score_forecast,
)
from tests.forecast_shop import (
    AS_OF,
    SEED,
    USERS,
    known_forecast,
    known_shop,
    known_sources,
    run_known,
)
from tests.support import Result, ShopCase, call, read_rows, skip_on_windows
from utils.helpers import DataError


class ForecastScore(unittest.TestCase):
    """The score compares forecast and truth, customer by customer."""

    def score(self, *, is_by_quarter: bool = False) -> dict[str, Any]:
        """Return the score of the known shop."""
        sources = known_sources()
        return score_forecast(
            known_forecast(),
            sources.truths,
            365,
            is_by_quarter=is_by_quarter,
        )

    def test_ground_truth_is_summed_by_cohort(self) -> None:
        sources = known_sources()
        expected: Counter[str] = Counter()
        realised: Counter[str] = Counter()
        for user_id in sources.histories.user_ids:
            cohort = sources.name_month(user_id)
            expected[cohort] += sources.truths[user_id].expected_cents
            realised[cohort] += sources.truths[user_id].realised_cents
        score = self.score()
        for record in score["cohorts"]:
            name = record["cohort"]
            self.assertEqual(record["expected_net_cents"], expected[name])
            self.assertEqual(record["realised_net_cents"], realised[name])
        total = score["total"]
        self.assertEqual(total["expected_net_cents"], expected.total())
        self.assertEqual(total["realised_net_cents"], realised.total())

    def test_scored_forecast_is_that_of_365_days(self) -> None:
        score = self.score()
        document = known_forecast().document
        net = document["total"][2]["net_cents"]["forecast"]
        self.assertAlmostEqual(score["total"]["forecast_net_cents"], net, delta=1)
        for record, cohort in zip(score["cohorts"], document["cohorts"], strict=True):
            net = cohort["horizons"][2]["net_cents"]["forecast"]
            self.assertAlmostEqual(record["forecast_net_cents"], net, delta=1)
            self.assertEqual(record["customer_count"], cohort["cohort_size"])

    def test_cohorts_and_tenths_add_up_to_all_customers_to_the_cent(self) -> None:
        score = self.score()
        for part in ("cohorts", "deciles"):
            self.assertEqual(
                sum(record["forecast_net_cents"] for record in score[part]),
                score["total"]["forecast_net_cents"],
            )

    def test_errors_are_shares_of_the_ground_truth(self) -> None:
        score = self.score()
        for record in (score["total"], *score["cohorts"], *score["deciles"]):
            for kind in ("expected", "realised"):
                cents = record[f"{kind}_net_cents"]
                if cents == 0:
                    self.assertIsNone(record[f"error_to_{kind}"])
                    continue
                share = record["forecast_net_cents"] / cents - 1
                # The forecast is rounded to cents, the error to four decimals.
                rounding = 0.5 / cents + 0.00005
                self.assertAlmostEqual(record[f"error_to_{kind}"], share, delta=rounding)
        missed = sum(
            abs(record["forecast_net_cents"] - record["expected_net_cents"])
            for record in score["cohorts"]
        )
        share = missed / score["total"]["expected_net_cents"]
        self.assertAlmostEqual(score["cohort_error"], share, delta=0.0001)

    def test_both_figures_are_compared_with_the_interval_of_the_forecast(self) -> None:
        score = self.score()
        document = known_forecast().document
        horizons = [group["horizons"][2]["net_cents"] for group in document["cohorts"]]
        net = document["total"][2]["net_cents"]
        records = (score["total"], *score["cohorts"])
        for record, forecast in zip(records, [net, *horizons], strict=True):
            for name, cents in forecast.items():
                self.assertEqual(record[f"{name}_net_cents"], cents)
        for record in (*records, *score["deciles"]):
            low, high = record["low_net_cents"], record["high_net_cents"]
            for kind in ("expected", "realised"):
                is_inside = low <= record[f"{kind}_net_cents"] <= high
                self.assertIs(record[f"contains_{kind}"], is_inside)

    def test_bound_is_inside(self) -> None:
        for low, high, expected in (
            (90, 100, True),
            (100, 110, True),
            (101, 110, False),
            (90, 99, False),
        ):
            net = {"forecast": 100, "low": low, "high": high}
            with self.subTest(low=low, high=high):
                found = compare_with_truth(net, [Truth(40, 0), Truth(60, 500)])
                self.assertIs(found["contains_expected"], expected)
                self.assertIs(found["contains_realised"], False)

    def test_deciles_rank_the_customers_in_groups_of_equal_size(self) -> None:
        score = self.score()
        deciles = score["deciles"]
        self.assertEqual([record["decile"] for record in deciles], list(range(1, 11)))
        sizes = [record["customer_count"] for record in deciles]
        self.assertLessEqual(max(sizes) - min(sizes), 1)
        means = [
            record["forecast_net_cents"] / record["customer_count"] for record in deciles
        ]
        self.assertEqual(means, sorted(means, reverse=True))
        for name in ("customer_count", "expected_net_cents", "realised_net_cents"):
            self.assertEqual(sum(record[name] for record in deciles), score["total"][name])
        # The first tenth has the largest expectation: the ranking is useful.
        expected = [record["expected_net_cents"] for record in deciles]
        self.assertEqual(max(expected), expected[0])
        self.assertGreater(expected[0], 5 * expected[-1])

    def test_score_by_quarter_has_the_same_total(self) -> None:
        by_month, by_quarter = self.score(), self.score(is_by_quarter=True)
        self.assertEqual(by_quarter["total"], by_month["total"])
        self.assertEqual(by_quarter["deciles"], by_month["deciles"])
        self.assertEqual(
            [record["cohort"] for record in by_quarter["cohorts"]],
            [f"{year}-Q{quarter}" for year in (2024, 2025) for quarter in (1, 2, 3, 4)],
        )

    def test_score_is_printed_and_not_written(self) -> None:
        plain = run_known()
        scored = run_known("--score", "--truth-dir", str(known_shop() / "truth"))
        self.assertEqual(scored.files, plain.files)
        self.assertNotIn("SCORE", plain.result.stdout)
        stdout = scored.result.stdout
        self.assertIn("SCORE: net of the next 365 days, USD", stdout)
        (line,) = [line for line in stdout.splitlines() if line.startswith("all ")]
        total = self.score()["total"]
        forecast, expected, realised = (
            f"{total[f'{kind}_net_cents'] / 100:,.2f}"
            for kind in ("forecast", "expected", "realised")
        )
        places = [
            "inside" if total[f"contains_{kind}"] else "outside"
            for kind in ("expected", "realised")
        ]
        self.assertEqual(
            line.split()[:7],
            [
                "all",
                f"{total['customer_count']:,}",
                forecast,
                expected,
                places[0],
                realised,
                places[1],
            ],
        )

    def test_terminal_counts_the_figures_inside_their_intervals(self) -> None:
        scored = run_known("--score", "--truth-dir", str(known_shop() / "truth"))
        _, _, counts = scored.result.stdout.partition("Inside the 95% intervals\n")
        for name, line in zip(("cohorts", "deciles"), counts.splitlines(), strict=False):
            records = self.score()[name]
            of_kinds = [
                f"{kind} {sum(each[f'contains_{kind}'] for each in records)} of"
                f" {len(records)}"
                for kind in ("expected", "realised")
            ]
            self.assertEqual(line.split(maxsplit=1)[1], ", ".join(of_kinds))


class WrongGroundTruth(ShopCase):
    """A truth of another shop or day is refused in one line, and old results stay."""

    def setUp(self) -> None:
        """Put old results and a copy of the truth into the folder."""
        super().setUp()
        self.truth = self.folder / "truth"
        shutil.copytree(known_shop() / "truth", self.truth)
        self.out = self.folder / "out"
        self.out.mkdir()
        for name in ("query_result.csv", "query_result.json"):
            (self.out / name).write_text("old", encoding="utf-8")

    def refuse(self, *words: str, options: Sequence[object] = ()) -> None:
        """Expect the truth in the folder to be refused with *words*."""
        result = call(
            run_query.main,
            "--database",
            known_shop() / "shop.db",
            "--forecast",
            "--score",
            "--truth-dir",
            self.truth,
            "--out-dir",
            self.out,
            *options,
        )
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in ("run_query: error: ", *words):
            self.assertIn(word, result.stderr)
        for path in self.out.iterdir():
            self.assertEqual(path.read_text(encoding="utf-8"), "old")

    def edit_manifest(self, **facts: object) -> None:
        """Write *facts* into the manifest of the truth."""
        path = self.truth / "datapackage.json"
        document = json.loads((known_shop() / "truth" / path.name).read_bytes())
        path.write_text(json.dumps(document | facts), encoding="utf-8")

    def test_ground_truth_of_another_shop_is_refused(self) -> None:
        for name, value in (
            ("seed", SEED + 1),
            ("users", USERS + 1),
            ("format_version", 1),
            ("process", "clumpy"),
            ("process", None),
            ("seed", None),
        ):
            with self.subTest(name, value=value):
                self.edit_manifest(**{name: value})
                stated = "unknown" if value is None else value
                self.refuse("truth of another shop", f"its {name} is {stated}", "--truth")
        self.edit_manifest(process="clumpy")
        self.refuse("its process is clumpy, the database's steady.")
        self.edit_manifest(is_calm=True)
        self.refuse("its is_calm is 1, the database's 0.")
        self.edit_manifest(window={"start": "2024-01-01", "end": "2025-12-30"})
        self.refuse("window_end is 2025-12-30, the database's 2025-12-31")
        self.edit_manifest(window="2024")
        self.refuse("datapackage.json: window is '2024', expected an object")

    def test_ground_truth_of_another_day_is_refused(self) -> None:
        self.refuse(
            "starts after 2025-12-31, the forecast after 2025-08-17",
            "Omit --as-of or --score",
            options=("--as-of", "2025-08-17"),
        )

    def test_missing_ground_truth_is_refused(self) -> None:
        (self.truth / "users.csv").unlink()
        self.refuse("users.csv: cannot be read", "python generate_data.py")
        shutil.rmtree(self.truth)
        self.refuse("datapackage.json: is missing", "python generate_data.py")

    def test_broken_manifest_is_refused(self) -> None:
        path = self.truth / "datapackage.json"
        for text in ("{", "[]", '"truth"', "[" * 100_000, "\x80"):
            with self.subTest(text[:5]):
                path.write_bytes(text.encode("latin-1"))
                self.refuse("datapackage.json")

    def test_impossible_horizon_is_refused(self) -> None:
        for days in (None, 0, -1, 367, 10**9, "365", True):
            with self.subTest(days):
                self.edit_manifest(horizon_days=days)
                shown = repr(days) if isinstance(days, str) else json.dumps(days)
                self.refuse(f"horizon_days is {shown}, expected an integer from 1 to 366")

    def test_incomplete_or_changed_ground_truth_is_refused(self) -> None:
        path = self.truth / "users.csv"
        complete = path.read_bytes()
        for broken in (
            complete[:-30],
            complete[: len(complete) // 2].rpartition(b"\n")[0] + b"\n",
            complete.replace(b"user_id", b"customer"),
            complete + b"2001,1,0.1,0.1,5000,,1,x,1,1,1\n",
            complete.replace(b",0,0\n", b",0,1\n", 1),
            b"",
            b"user_id\n\x00\n",
            b"\xff",
        ):
            with self.subTest(len(broken)):
                path.write_bytes(broken)
                self.refuse("users.csv: ", "python generate_data.py")

    def test_cell_that_is_no_amount_is_named_before_anything_is_written(self) -> None:
        lines = (self.truth / "users.csv").read_text(encoding="utf-8").split("\n")
        name = "realised_value_cents_365d"
        for cell in ("9" * 40, "1" + "0" * 16, "1e99", "nan", "1_0", "٣", "", "9" * 5000):
            with self.subTest(cell[:20]):
                changed = [*lines[:2], f"{lines[2].rpartition(',')[0]},{cell}", *lines[3:]]
                self.write_users("\n".join(changed))
                self.refuse(f"users.csv: line 3: {name} is ", "expected an integer from")
        self.write_users("\n".join(line.rpartition(",")[0] for line in lines))
        self.refuse(f"users.csv: line 2: {name} is '', expected an integer from")
        self.write_users("\n".join(["0" + line for line in lines]))
        self.refuse("users.csv: line 2: user_id is '', expected an integer from 1 to")

    def test_pipe_in_place_of_a_ground_truth_is_refused_without_waiting(self) -> None:
        skip_on_windows("pipes that have a name in a folder")
        for name in ("users.csv", "datapackage.json"):
            with self.subTest(name):
                (self.truth / name).unlink()
                os.mkfifo(self.truth / name)
                self.refuse(f"{name}: cannot be read: it is not a regular file")

    def write_users(self, text: str) -> None:
        """Write *text* as the users of the truth, and its hash into the manifest."""
        data = text.encode("utf-8")
        (self.truth / "users.csv").write_bytes(data)
        listed = {"path": "users.csv", "hash": f"sha256:{hashlib.sha256(data).hexdigest()}"}
        self.edit_manifest(resources=[listed])

    def test_manifest_without_the_file_is_refused(self) -> None:
        for resources in (None, [], [{"path": "users.csv"}]):
            with self.subTest(resources):
                self.edit_manifest(resources=resources)
                self.refuse("users.csv: is not the file that datapackage.json lists")

    def test_ground_truth_without_a_customer_is_refused(self) -> None:
        sources = known_sources()
        last = max(sources.histories.user_ids)
        truths = {user: truth for user, truth in sources.truths.items() if user != last}
        with self.assertRaisesRegex(DataError, f"user {last}, who bought, is missing"):
            score_forecast(known_forecast(), truths, 365)

    def test_hint_has_the_options_of_the_shop_and_replaces_no_file(self) -> None:
        shutil.rmtree(self.truth)
        self.refuse(
            f"generate_data.py --generate --truth --seed {SEED} --users {USERS}"
            " --start 2024-01-01 --end 2025-12-31 --process steady --out-dir"
            f" known-{SEED}, and add --truth-dir known-{SEED}/truth"
        )

    def test_ground_truth_with_another_number_of_users_is_refused(self) -> None:
        lines = (self.truth / "users.csv").read_text(encoding="utf-8").split("\n")
        self.write_users("\n".join(lines[:2] + lines[3:]))
        self.refuse(f"has {USERS - 1:,} users, the database {USERS}.", "--until")

    def test_ground_truth_in_which_a_customer_never_buys_is_refused(self) -> None:
        customer = max(known_sources().histories.user_ids)
        lines = (self.truth / "users.csv").read_text(encoding="utf-8").split("\n")
        self.assertIn(f"{customer},1,", lines[customer])
        lines[customer] = lines[customer].replace(f"{customer},1,", f"{customer},0,", 1)
        self.write_users("\n".join(lines))
        self.refuse(
            f"user {customer}, who bought, is missing or never buys", "another shop"
        )


class DatabaseWithoutSeed(ShopCase):
    """A shop whose database states no seed is compared with what it does state."""

    def load(self, facts: dict[str, object]) -> None:
        """Load the files of the known shop with *facts* as their manifest."""
        for path in known_shop().glob("*.csv"):
            shutil.copy(path, self.folder)
        (self.folder / "datapackage.json").write_text(json.dumps(facts), encoding="utf-8")
        self.assertEqual(self.ingest("--quiet").status, 0)

    def score(self) -> Result:
        """Score the forecast of the folder's database with the known shop's truth."""
        truth = ("--score", "--truth-dir", known_shop() / "truth")
        options = ("--database", self.database, "--out-dir", self.folder)
        return call(run_query.main, *options, *truth)

    def test_shop_of_a_blind_manifest_is_scored_as_with_the_seed(self) -> None:
        window = {"start": "2024-01-01", "end": "2025-12-31"}
        self.load({"window": window, "currency": "USD"})
        result = self.score()
        known = run_known("--score", "--truth-dir", str(known_shop() / "truth"))
        _, title, score = known.result.stdout.partition("SCORE:")
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertIn(title + score.partition("Written:")[0], result.stdout)

    def test_database_of_another_window_is_refused_without_naming_a_seed(self) -> None:
        self.load({"window": {"start": "2023-01-01", "end": "2025-12-31"}})
        result = self.score()
        self.assertEqual(result.status, 1)
        self.assertIn(
            "its window_start is 2024-01-01, the database's 2023-01-01. The database does"
            " not state the seed and the options of its shop, because the files were made"
            " with --blind, or loaded without datapackage.json.",
            result.stderr,
        )
        self.assertIn("--truth --seed SEED --start 2023-01-01", result.stderr)

    def test_last_day_that_no_manifest_states_is_named_for_the_load(self) -> None:
        with self.assertRaisesRegex(DataError, "--ingest --as-of 2025-12-31$"):
            read_truth(known_shop() / "truth", {}, "2025-12-30")

    def test_ground_truth_has_the_users_who_buy(self) -> None:
        truth = read_truth(known_shop() / "truth", {}, AS_OF)
        rows = read_rows(known_shop() / "truth" / "users.csv")
        buyers = {int(row["user_id"]) for row in rows if row["is_buyer"] == "1"}
        self.assertEqual(truth.truths.keys(), buyers)
        self.assertLess(len(buyers), USERS)
