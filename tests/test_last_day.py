"""The last day of the data and the years around it: stated, derived, bounded."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from queries.query_file import QUERY_PATH
from queries.sql_text import replace_select
from tests import shop
from tests.fault_case import FaultCase, set_cell
from tests.query_cases import QueryCase
from tests.support import ShopCase
from tests.test_checks import check_shop
from utils.database import EVENTS
from utils.months import FIRST_YEAR, LAST_YEAR

# Line 2 of each file, and the field with the time of the event.
EVENT_FIELDS = {"users": 7, "orders": 3, "payments": 7}


class YearsOfEvents(FaultCase):
    """An event or a last day outside the years 1900 to 2199 is refused at load."""

    def test_event_outside_the_years_is_named_by_file_line_and_column(self) -> None:
        for table, column in EVENTS:
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
        self.assertIn("the as-of day is of 2950-01-03, expected a day", result.stderr)
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
                found = check_shop(connection)["format_timestamp"]["count"]
                self.assertEqual(found, expected)
