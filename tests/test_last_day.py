"""The last day of the data is stated or derived, and its years are bounded."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import generate_data
import ingest
import run_query
from db.loading.last_day import (
    EXPECTED_SIGN_UPS,
    FAR_MONTHS,
    FAR_ONE_IN,
    MISTYPED_MONTHS,
)
from db.reporting.checks import CHECKS_DIR
from queries.query_file import QUERY_PATH
from tests import shop
from tests.fault_case import ROWS, FaultCase, set_cell
from tests.query_cases import QueryCase
from tests.support import IN_CI, ROOT, ShopCase, call, skip
from tests.test_checks import check_shop
from utils.contract import EVENTS, MANIFEST_NAME, SCHEMA_PATH
from utils.months import FIRST_YEAR, LAST_YEAR
from utils.sql_text import replace_select

# The field with the time of the event.
EVENT_FIELDS = {"users": 7, "orders": 3, "payments": 7}


class YearsOfEvents(FaultCase):
    """An event or a last day outside the years 1900 to 2199 is refused at load."""

    def test_event_outside_the_years_is_named_by_file_line_and_column(self) -> None:
        for table, column in sorted(EVENTS):
            for year in ("0000", "0001", "1899", "2200", "2950", "9999"):
                instant = f"{year}-01-03T00:00:00Z"
                with self.subTest(table=table, year=year):
                    expected = (
                        f"{column} is '{instant}', expected an instant of the years 1900"
                        " to 2199"
                    )
                    self.write_all()
                    self.edit(table, set_cell(3, EVENT_FIELDS[table], instant))
                    result = self.ingest()
                    self.assertEqual((result.status, result.stdout), (1, ""))
                    self.assertEqual(
                        result.stderr.splitlines()[1:],
                        [f"{table}.csv:3:{EVENT_FIELDS[table]}: E_RANGE {expected}"],
                    )

    def test_first_and_last_year_are_loaded(self) -> None:
        self.edit("users", set_cell(2, 7, "1900-01-01T00:00:00Z"))
        self.edit("payments", set_cell(2, 7, "2199-12-31T23:59:59Z"))
        self.assertEqual(self.ingest().status, 0)

    def test_product_may_be_launched_in_any_year(self) -> None:
        self.edit("products", set_cell(2, 8, "0001-01-01T00:00:00Z"))
        self.edit("products", set_cell(3, 8, "9999-12-31T00:00:00Z"))
        self.assertEqual(self.ingest().status, 0)

    def test_column_of_that_name_in_another_table_has_no_bounds(self) -> None:
        schema = self.folder / "schema.sql"
        schema.write_text(
            SCHEMA_PATH.read_text(encoding="utf-8")
            + "CREATE TABLE patents (patent_id INTEGER PRIMARY KEY, ordered_at TEXT)"
            " STRICT;",
            encoding="utf-8",
        )
        path = self.folder / "patents.csv"
        path.write_text("patent_id,ordered_at\n1,1899-01-03T00:00:00Z\n", encoding="utf-8")
        self.assertEqual(self.ingest("--schema", schema).status, 0)
        path.write_text("patent_id,ordered_at\nx,2950-01-03T00:00:00Z\n", encoding="utf-8")
        result = self.ingest("--schema", schema)
        self.assertIn("E_INTEGER", result.stderr)
        self.assertNotIn("E_RANGE", result.stderr)

    def test_text_that_is_no_instant_keeps_the_message_of_its_rule(self) -> None:
        for text in ("03.01.2024", "9/1/2024", "soon", "99990103"):
            with self.subTest(text):
                self.write_all()
                self.edit("orders", set_cell(2, 3, text))
                errors = self.ingest().stderr
                self.assertIn("breaks the rule ordered_at_is_a_utc_instant", errors)
                self.assertNotIn("E_RANGE", errors)


class YearsOfTheQuery(QueryCase):
    """A database that was made elsewhere meets the same years in the query."""

    def test_order_of_year_0_does_not_blame_the_query(self) -> None:
        self.create_orders((1, 1, "0000-01-03", "paid", 1000), as_of="2024-01-01")
        result = self.run_query()
        self.assertEqual(result.status, 1)
        self.assertIn("the first order is of 0000-01-03, expected a day", result.stderr)

    def test_months_after_the_years_are_not_lost_in_silence(self) -> None:
        self.create_orders((1, 1, "2024-01-03", "paid", 1000), as_of="2950-01-03")
        result = self.run_query()
        self.assertEqual(result.status, 1)
        self.assertIn("the as-of day is 2950-01-03, expected a day", result.stderr)
        self.assertEqual(self.run_query("--as-of", "2024-12-31").status, 0)

    def test_query_has_a_step_for_every_month_of_the_years(self) -> None:
        shop.create_shop(self.database)
        sql = QUERY_PATH.read_text(encoding="utf-8")
        ((steps,),) = self.query(replace_select(sql, "SELECT COUNT(*) FROM steps"))
        self.assertGreaterEqual(steps, 12 * (LAST_YEAR - FIRST_YEAR + 1))


class YearsOfTheReport(ShopCase):
    """A check of the report finds the same events in a database made elsewhere."""

    def test_check_finds_the_years_that_the_loader_refuses(self) -> None:
        shop.create_shop(self.database)
        for year in (0, FIRST_YEAR - 1, FIRST_YEAR, LAST_YEAR, LAST_YEAR + 1, 9999):
            with self.subTest(year), closing(sqlite3.connect(self.database)) as connection:
                connection.execute(
                    "UPDATE payments SET processed_at = ? WHERE payment_id = 2",
                    (f"{year:04}-01-03T00:00:00Z",),
                )
                expected = 0 if FIRST_YEAR <= year <= LAST_YEAR else 1
                found = check_shop(connection, "format_timestamp")["format_timestamp"][
                    "count"
                ]
                self.assertEqual(found, expected)


class StatedDay(FaultCase):
    """`--as-of` and `--currency` state what a manifest may state."""

    def setUp(self) -> None:
        """Put the last payment into a year that was mistyped: line 14 of the file."""
        super().setUp()
        self.edit("payments", set_cell(14, 7, "2052-03-12T20:00:10Z"))

    def read_facts(self) -> dict[str, str]:
        """Return the last day and the facts that a manifest states, as they are stored."""
        rows = self.query(
            "SELECT property, value FROM submission_meta WHERE subject = 'generator'"
            " OR property = 'as_of'"
        )
        return dict(rows)

    def query_shop(self) -> dict[str, Any]:
        """Return the document of the query on the folder's database."""
        result = call(run_query.main, "--database", self.database, "--out-dir", self.folder)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        document: dict[str, Any] = json.loads(
            (self.folder / "query_result.json").read_text(encoding="utf-8")
        )
        return document

    def test_stated_day_and_currency_are_recorded_as_facts_of_the_load(self) -> None:
        result = self.ingest("--as-of", "2024-03-31", "--currency", "EUR")
        self.assertEqual((result.status, result.stderr), (0, ""))
        expected = {"as_of": "2024-03-31", "window_end": "2024-03-31", "currency": "EUR"}
        self.assertEqual(self.read_facts(), expected)
        document = self.query_shop()
        self.assertEqual((document["as_of"], document["currency"]), ("2024-03-31", "EUR"))

    def test_event_after_the_stated_day_is_a_finding_of_the_report(self) -> None:
        self.ingest("--as-of", "2024-03-31")
        with closing(sqlite3.connect(self.database)) as connection:
            checks = check_shop(
                connection,
                "causality_far_after_other_events",
                "causality_nothing_after_as_of",
            )
        self.assertEqual(checks["causality_far_after_other_events"]["count"], 0)
        check = checks["causality_nothing_after_as_of"]
        self.assertEqual((check["status"], check["count"]), ("fail", 1))
        self.assertEqual(check["sample"][0][:2], ["payments", 13])

    def test_figures_of_the_report_are_named_with_the_later_events_in_them(self) -> None:
        self.ingest("--as-of", "2024-03-31")
        place = ("--database", self.database, "--out-dir", self.folder)
        result = self.succeed(ingest.main, "--report", *place)
        self.assertIn("\nAs of 2024-03-31 and 1 later event: 5 valid orders", result.stdout)
        text = (self.folder / "report.md").read_text(encoding="utf-8")
        self.assertIn("\nData as of 2024-03-31 and 1 later event · ", text)

    def test_mistyped_year_makes_no_cohort_old_enough_after_a_stated_day(self) -> None:
        self.ingest()
        clv = self.query_shop()["summary"]["clv"]
        self.assertEqual([record["cohort_count"] for record in clv], [2, 2, 2, 2])
        self.ingest("--as-of", "2024-03-31")
        clv = self.query_shop()["summary"]["clv"]
        self.assertEqual([record["cohort_count"] for record in clv], [0, 0, 0, 0])

    def test_mistyped_stated_day_is_named_by_load_and_report(self) -> None:
        self.write_all()
        stated_day_check = "causality_stated_day_far_after_events"
        for day, count in (("2052-12-31", 1), ("2033-04-01", 1), ("2033-03-31", 0)):
            for options in (("--as-of", day), ()):
                with self.subTest(day, options=options):
                    text = json.dumps({} if options else {"window": {"end": day}})
                    (self.folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
                    errors = self.ingest(*options).stderr
                    warning = f"warning: orders.csv: the stated last day, {day}, is"
                    self.assertEqual(errors.count(warning), count)
                    with closing(sqlite3.connect(self.database)) as connection:
                        check = check_shop(connection, stated_day_check)[stated_day_check]
                    self.assertEqual(
                        check["sample"], [[day, "2024-03-14T00:00:00Z"]] * count
                    )

    def test_warning_of_a_mistyped_stated_day_has_its_distance(self) -> None:
        self.write_all()
        self.assertEqual(
            self.ingest("--as-of", "2052-12-31").stderr,
            "ingest: warning: orders.csv: the stated last day, 2052-12-31, is 10,519 days"
            " after the last event (2024-03-14); months without events make cohorts old"
            " enough for a CLV. Correct --as-of, or the end of the window in"
            " datapackage.json.\n",
        )

    def test_stated_day_of_a_closed_shop_is_a_note_that_quiet_omits(self) -> None:
        self.write_all()
        note = (
            "ingest: note: orders.csv: the stated last day, {}, is {} days after the last"
            " event (2024-03-14); months without events make cohorts old enough for a"
            " CLV.\n"
        )
        for day, days in (("2025-05-01", "413"), ("2033-03-31", "3,304")):
            with self.subTest(day):
                result = self.ingest("--as-of", day)
                self.assertEqual(
                    (result.status, result.stderr), (0, note.format(day, days))
                )
                result = self.ingest("--as-of", day, "--quiet")
                self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertEqual(self.ingest("--as-of", "2025-04-30").stderr, "")

    def test_order_and_refund_after_the_stated_day_do_not_count(self) -> None:
        self.ingest("--as-of", "2024-02-15")
        document = self.query_shop()
        # Orders 1, 2 and 3 of two customers; order 4 is cancelled, the others are later.
        sums = {each["figure"]: each for each in document["reconciliation"]["sums"]}
        self.assertEqual(sums["order_count"]["of_cells"], 3)
        excluded = document["reconciliation"]["excluded_orders"]
        counts = {each["reason"]: each["order_count"] for each in excluded}
        self.assertEqual(counts, {"after the as-of day": 4, "status cancelled": 1})

    def test_other_value_than_the_manifest_states_is_refused(self) -> None:
        manifest = {"window": {"end": "2024-03-31"}, "currency": "EUR"}
        text = json.dumps(manifest)
        (self.folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
        for option, value, stated in (
            ("--as-of", "2024-04-01", "2024-03-31"),
            ("--currency", "USD", "EUR"),
        ):
            result = self.ingest(option, value)
            self.assertEqual((result.status, result.stdout), (1, ""))
            self.assertEqual(
                result.stderr,
                f"ingest: error: {option} {value}: datapackage.json states {stated}. Omit"
                " the option, or correct the manifest.\n",
            )
            self.assertFalse(self.database.exists())
        result = self.ingest("--as-of", "2024-03-31", "--currency", "EUR")
        self.assertEqual((result.status, result.stderr), (0, ""))

    def test_manifest_by_hand_in_the_readme_states_the_same_as_the_options(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (example,) = re.findall(r"^```json\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
        self.ingest("--as-of", "2025-12-31", "--currency", "EUR")
        facts = self.read_facts()
        (self.folder / MANIFEST_NAME).write_text(example, encoding="utf-8")
        self.assertEqual(self.ingest().stderr, "")
        self.assertEqual(self.read_facts(), facts)

    def test_unusable_value_or_missing_load_is_wrong_usage(self) -> None:
        for arguments, words in (
            (["--ingest", "--as-of", "2024-02-30"], "expected a date such as"),
            (["--ingest", "--as-of", "2950-01-01"], "the years 1900 to 2199"),
            (["--ingest", "--currency", "euro"], "expected an ISO 4217 code such as EUR"),
            (["--report", "--as-of", "2024-03-31"], "add --ingest or --check"),
            (["--report", "--currency", "EUR"], "state both in datapackage.json"),
        ):
            with self.subTest(arguments):
                result = call(ingest.main, *arguments, "--database", self.database)
                self.assertEqual((result.status, result.stdout), (2, ""))
                self.assertIn(words, result.stderr)


class GeneratedShops(ShopCase):
    """A generated shop of few users has years without events, and no warning of them."""

    def test_end_of_a_generated_window_without_events_is_no_finding(self) -> None:
        window = ("--start", "2018-01-01", "--end", "2020-12-31", "--until", "2022-07-31")
        self.assert_no_finding(1, 1, *window)

    def test_gap_in_a_generated_window_is_no_finding(self) -> None:
        if not IN_CI:
            skip("a gap in a generated window is tested in CI only: it takes seconds")
        window = ("--start", "2019-01-01", "--end", "2024-12-31")
        for seed in (3, 6):
            with self.subTest(seed):
                self.assert_no_finding(3, seed, *window)

    def test_edited_end_of_a_generated_window_is_named_by_load_and_report(self) -> None:
        window = ("--start", "2021-10-01", "--end", "2021-12-31")
        self.generate("--users", 60, *window)
        path = self.folder / MANIFEST_NAME
        text = path.read_text(encoding="utf-8")
        for day, count in (("2023-01-31", 0), ("2023-02-01", 1), ("2052-12-31", 1)):
            with self.subTest(day):
                path.write_text(text.replace("2021-12-31", day), encoding="utf-8")
                errors = self.ingest().stderr
                self.assertEqual(
                    errors.count(f"csv: the stated last day, {day}, is"), count
                )
                self.assertEqual(errors.count("warning: "), count, errors)
                with closing(sqlite3.connect(self.database)) as connection:
                    check = check_shop(connection)["causality_stated_day_far_after_events"]
                self.assertEqual([row[0] for row in check["sample"]], [day] * count)

    def assert_no_finding(self, users: int, seed: int, *window: str) -> None:
        """Generate and load a shop; fail if a day of it is found to be wrong."""
        plan = ("--generate", "--users", users, "--seed", seed, *window)
        result = call(generate_data.main, *plan, "--out-dir", self.folder)
        self.assertEqual(result.status, 0, result)
        self.assertNotIn("last day", self.ingest().stderr)
        names = [path.stem for path in CHECKS_DIR.glob("causality_*.sql")]
        with closing(sqlite3.connect(self.database)) as connection:
            checks = check_shop(connection, *names)
        self.assertEqual(len(checks), len(names))
        self.assertEqual([name for name in names if checks[name]["count"]], [])


class FarEvents(FaultCase):
    """Events far beyond all others are named in a warning; the load goes on.

    The 25 events of the small shop are from 2024-01-01 to 2024-03-14.
    """

    def test_mistyped_year_is_named_with_line_value_and_effect(self) -> None:
        self.edit("payments", set_cell(14, 7, "2052-03-12T20:00:10Z"))
        result = self.ingest()
        self.assertEqual(result.status, 0)
        self.assertEqual(
            result.stderr,
            "ingest: warning: payments.csv:14: processed_at is '2052-03-12T20:00:10Z'. No"
            " event is in the 10,224 days after 2024-03-14; without such late events, that"
            " would be the last day of the data instead of 2052-03-12, and fewer cohorts"
            " would be old enough for a CLV. Correct the rows, or load with --as-of"
            " 2024-03-14.\n",
        )
        as_of = self.query("SELECT value FROM submission_meta WHERE property = 'as_of'")
        self.assertEqual(as_of, [("2052-03-12",)])

    def test_stated_day_leaves_the_late_event_to_the_report(self) -> None:
        self.edit("payments", set_cell(14, 7, "2052-03-12T20:00:10Z"))
        self.assertEqual(self.ingest("--as-of", "2024-03-14").stderr, "")

    def test_gap_of_13_months_gives_no_warning(self) -> None:
        # The others are until March 2024.
        for day, words in (("2025-04-30", ""), ("2025-05-01", "in the 412 days after")):
            self.edit("payments", set_cell(14, 7, f"{day}T00:00:00Z"))
            errors = self.ingest().stderr
            self.assertEqual("warning" in errors, bool(words))
            self.assertIn(words, errors)

    def test_every_file_and_both_of_two_mistyped_years_are_named(self) -> None:
        self.add_users(200)
        self.edit("users", set_cell(3, 7, "2032-01-01T00:00:00Z"))
        self.edit("orders", set_cell(9, 3, "2052-01-01T00:00:00Z"))
        warnings = self.ingest().stderr.splitlines()
        self.assertEqual(
            [warning.split(": ")[2] for warning in warnings],
            ["users.csv:3", "orders.csv:9"],
        )
        for warning in warnings:
            self.assertIn("days after 2024-03-12; ", warning)

    def test_at_most_five_lines_of_a_file_are_named(self) -> None:
        self.add_users(200)
        for line in range(10, 17):
            self.edit("users", set_cell(line, 7, "2052-01-01T00:00:00Z"))
        errors = self.ingest().stderr
        self.assertIn("users.csv:10: ", errors)
        self.assertIn("(also in lines 11, 12, 13, 14, …). No event", errors)

    def test_one_mistyped_year_among_11_events_is_named(self) -> None:
        for table, rows in (("orders", 3), ("order_items", 4), ("payments", 4)):
            path = self.folder / f"{table}.csv"
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[: rows + 1]))
        self.edit("payments", set_cell(5, 7, "2052-02-14T20:31:00Z"))
        self.assertIn("payments.csv:5: processed_at is '2052-02-14", self.ingest().stderr)
        with closing(sqlite3.connect(self.database)) as connection:
            check = check_shop(connection, "causality_far_after_other_events")[
                "causality_far_after_other_events"
            ]
        self.assertEqual(check["sample"], [["payments", 4, "2052-02-14T20:31:00Z"]])

    def test_shop_that_opens_again_gives_no_warning(self) -> None:
        # Two of 25 events are more than one in 20.
        self.edit("payments", set_cell(13, 7, "2052-03-12T20:00:10Z"))
        self.edit("payments", set_cell(14, 7, "2052-03-12T20:00:10Z"))
        self.assertEqual(self.ingest().stderr, "")

    def test_checks_of_the_report_have_the_figures_of_the_load(self) -> None:
        sql = "".join(
            (CHECKS_DIR / f"causality_{name}.sql").read_text(encoding="utf-8")
            for name in ("far_after_other_events", "stated_day_far_after_events")
        )
        months = re.findall(r"(?:previous_number|months_later) > (\d+)", sql)
        self.assertEqual(
            [int(each) for each in months], [FAR_MONTHS, MISTYPED_MONTHS, FAR_MONTHS]
        )
        (one_in,) = re.findall(r"later_count \* (\d+) <=", sql)
        (sign_ups,) = re.findall(r"(\d+) \* month_counts\.all_months", sql)
        self.assertEqual((int(one_in), int(sign_ups)), (FAR_ONE_IN, EXPECTED_SIGN_UPS))

    def test_check_of_the_report_finds_the_events_of_which_the_load_warns(self) -> None:
        chance = random.Random(17)  # noqa: S311
        found = 0
        for _ in range(30 if IN_CI else 12):
            self.write_all()
            if chance.random() < 0.5:
                self.add_users(chance.randrange(100))
            for table in chance.choices(list(EVENT_FIELDS), k=chance.randint(1, 4)):
                day = date(2024, 3, 14) + timedelta(days=chance.randint(300, 600))
                line = chance.randrange(2, len(ROWS[table]) + 2)
                instant = f"{day}T00:00:00Z"
                self.edit(table, set_cell(line, EVENT_FIELDS[table], instant))
            warnings = self.ingest().stderr.splitlines()
            with closing(sqlite3.connect(self.database)) as connection:
                check = check_shop(connection, "causality_far_after_other_events")[
                    "causality_far_after_other_events"
                ]
            self.assertEqual(
                {warning.split(": ")[2].partition(".")[0] for warning in warnings},
                {table for table, *_ in check["sample"]},
            )
            found += check["count"]
        self.assertGreater(found, 10 if IN_CI else 0)

    def add_users(self, count: int) -> None:
        """Append *count* users of one day."""
        with (self.folder / "users.csv").open("a", encoding="utf-8") as file:
            for key in range(100, 100 + count):
                file.write(
                    f"{key},{key}@example.com,N,SE,Lund,organic,2024-01-01T00:00:00Z\n"
                )
