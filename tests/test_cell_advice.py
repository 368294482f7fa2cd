"""The advice on a cell or a sum: one reading is proposed, of two the question is put."""

from __future__ import annotations

import unittest

from db.loading.instants import explain_instant
from db.loading.money import explain_amount
from tests.fault_case import FaultCase, set_cell, swap_bytes

SIGNS = ("-5-", "(5-)", "5--", "1-5", "1,23,45", "1,2,345.00", ".", ".5.0", "..5")


class Amounts(unittest.TestCase):
    """An amount with one reading gets its cents, another one the question."""

    def test_amount_with_one_reading_gets_its_cents(self) -> None:
        for cell, cents in (
            ("12.50", 1250),
            ("12.5", 1250),
            ("12.5000", 1250),
            ("12,50", 1250),
            ("12.50 EUR", 1250),
            ("€12.50", 1250),
            ("kr 12,50", 1250),
            ("-$12.50", -1250),
            ("\u221212.50", -1250),
            ("(12.50)", -1250),
            ("12.50-", -1250),
            ("12.50- EUR", -1250),
            ("\u20b91,23,456.00", 12345600),
            ("1,23,456", 123456),
            (".500", 50),
            ("-.5", -50),
            ("0.500", 50),
            ("1,250.00", 125000),
            ("1.250,00", 125000),
            ("1\u202f250,00\u00a0€", 125000),
            ("1'250.00", 125000),
            ("1,250,000.5", 125000050),
            ("15.299999999999999", 1530),
            (" 1250", 1250),
            ("0.0", 0),
        ):
            with self.subTest(cell):
                self.assertEqual(explain_amount(cell, None), f"perhaps {cents}")

    def test_amount_with_two_readings_gets_the_question(self) -> None:
        for cell, question in (
            ("12.500", "is the point a decimal point or a thousands separator?"),
            ("1,250", "is the comma a decimal comma or a thousands separator?"),
            ("1250.0", "is it 1250 or 125000 cents?"),
            ("12 EUR", "is it 12 or 1200 cents?"),
            ("1.25e3", "write it without an exponent"),
            ("12.345678", "it has a fraction of a cent"),
            ("\u20b91,23,456", "is it 123456 or 12345600 cents?"),
            ("1.500-", "is the point a decimal point or a thousands separator?"),
        ):
            with self.subTest(cell):
                self.assertEqual(explain_amount(cell, None), question)

    def test_amount_has_the_decimals_of_its_currency(self) -> None:
        for cell, currency, advice in (
            ("1,250", "JPY", "perhaps 1250"),
            ("1250.0", "JPY", "perhaps 1250"),
            ("1250 JPY", None, "perhaps 1250"),
            ("12.50", "JPY", "it has a fraction of a cent"),
            ("12.5", "KWD", "perhaps 12500"),
            ("12.50 KWD", "KWD", "perhaps 12500"),
            ("€12.50", "EUR", "perhaps 1250"),
            ("$12.50", "USD", "perhaps 1250"),
            ("₩1,250", None, "perhaps 1250"),
            ("1,250.500 KWD", None, "perhaps 1250500"),
            (".500", "KWD", "perhaps 500"),
            (".500", "JPY", "it has a fraction of a cent"),
        ):
            with self.subTest(cell, currency=currency):
                self.assertEqual(explain_amount(cell, currency), advice)

    def test_amount_in_another_currency_is_named_and_not_converted(self) -> None:
        for cell, code, currency in (
            ("12.50 EUR", "EUR", "JPY"),
            ("€12.50", "EUR", "USD"),
            ("12.50 KWD", "KWD", "EUR"),
        ):
            with self.subTest(cell, currency=currency):
                self.assertEqual(
                    explain_amount(cell, currency),
                    f"it is in {code}, not in {currency}: convert it, or correct the"
                    " currency",
                )

    def test_number_with_letters_of_no_currency_gets_no_guess(self) -> None:
        for cell in (
            "l2.50",
            "12.50 kg",
            "12.50 CR",
            "12.50x",
            "O.50",
            "12.50 EURO",
            "€12 USD",
        ):
            with self.subTest(cell):
                self.assertEqual(explain_amount(cell, None), "")

    def test_text_that_is_no_amount_gets_no_advice(self) -> None:
        for cell in (
            "",
            "-",
            "abc",
            "nan",
            "1,2,3",
            "1.2.50",
            "9" * 19,
            "9" * 5000,
            "(5",
            *SIGNS,
        ):
            with self.subTest(cell[:20]):
                self.assertEqual(explain_amount(cell, None), "")


class Instants(unittest.TestCase):
    """An instant with an offset gets its UTC spelling, another one what it lacks."""

    def test_instant_with_an_offset_gets_its_utc_spelling(self) -> None:
        for cell, spelling in (
            ("2024-01-02T10:00:00+01:00", "2024-01-02T09:00:00Z"),
            ("2024-01-01 01:30:00 +0200", "2023-12-31T23:30:00Z"),
            ("2024-01-02T10:00:00.250Z", "2024-01-02T10:00:00Z"),
            ("2024-01-02T10:00Z", "2024-01-02T10:00:00Z"),
            ("2024-01-02 10:00:00 UTC", "2024-01-02T10:00:00Z"),
            ("1704189600", "2024-01-02T10:00:00Z"),
            ("1704189600000", "2024-01-02T10:00:00Z"),
            ("2024-01-02  10:00:00+00", "2024-01-02T10:00:00Z"),
            ("20240102T100000Z", "2024-01-02T10:00:00Z"),
            ("2024/01/02 10:00:00Z", "2024-01-02T10:00:00Z"),
            ("2024.1.2 10:00 +01:00", "2024-01-02T09:00:00Z"),
        ):
            with self.subTest(cell):
                self.assertEqual(explain_instant(cell), f"perhaps {spelling}")

    def test_instant_without_an_offset_gets_what_it_lacks(self) -> None:
        for cell, lack in (
            ("2024-01-02", "time and time zone are missing"),
            ("2024-01-02 10:00:00", "the time zone is missing"),
            ("2024-01-02T10:00:00", "the time zone is missing"),
            ("31.12.2024", "write YYYY-MM-DD; time and time zone are missing"),
            ("01/02/2024 10:00", "which number is the month?"),
            ("2024/01/02 10:00:00", "the time zone is missing"),
            ("2024/1/2", "time and time zone are missing"),
            ("2024/13/02 10:00", "2024-13-02 is not in the calendar"),
            ("2024-02-30T00:00:00Z", "2024-02-30 is not in the calendar"),
            ("2024-01-01T23:59:60Z", "'23:59:60Z' is not a time of day"),
            ("2024-01-02 noon", "'noon' is not a time of day"),
            ("2024-01-02T", "time and time zone are missing"),
            ("0001-01-01T00:00:00+01:00", ""),
            ("now", ""),
            ("2460000.5", ""),
        ):
            with self.subTest(cell):
                self.assertEqual(explain_instant(cell), lack)

    def test_date_with_a_time_zone_lacks_the_time_of_day(self) -> None:
        for zone in ("Z", " UTC", " Z", "+10:00", "-05:00", " +0100", "GMT"):
            with self.subTest(zone):
                self.assertEqual(
                    explain_instant(f"2024-01-02{zone}"), "the time of day is missing"
                )

    def test_time_of_day_that_people_write_is_not_called_another_thing(self) -> None:
        for clock, advice in (
            ("10:00 AM", "write the time of day in 24 hours; the time zone is missing"),
            ("1:05:09 p.m. Z", "write the time of day in 24 hours"),
            ("10:00:00 CET", "convert it from 'CET' to UTC"),
            ("10:00 Europe/Berlin", "convert it from 'Europe/Berlin' to UTC"),
            ("9:30", "write the hour in two digits; the time zone is missing"),
            ("9:30+02:00", "write the hour in two digits"),
            ("10:00:00 ?", "'?' is not a time zone"),
        ):
            with self.subTest(clock):
                self.assertEqual(explain_instant(f"2024-01-02 {clock}"), advice)

    def test_digits_that_may_be_a_date_are_no_seconds(self) -> None:
        self.assertEqual(
            explain_instant("2024010210"), "is it a date or seconds since 1970?"
        )
        self.assertEqual(explain_instant("20240102100000"), "")

    def test_instant_that_the_loader_refuses_is_not_proposed(self) -> None:
        self.assertEqual(
            explain_instant("1900-01-01T00:00:00+01:00"),
            "in UTC it is 1899-12-31T23:00:00Z, expected an instant of the years 1900 to"
            " 2199",
        )

    def test_day_number_of_a_spreadsheet_is_a_hint_with_its_date(self) -> None:
        for cell, shown, lack in (
            ("45293", "2024-01-02", "time and time zone are missing"),
            ("45293.0", "2024-01-02 00:00", "the time zone is missing"),
            ("45293.4166", "2024-01-02 10:00", "the time zone is missing"),
            ("45293,416666666664", "2024-01-02 10:00", "the time zone is missing"),
            ("45293.99999", "2024-01-03 00:00", "the time zone is missing"),
            ("73050", "2099-12-31", "time and time zone are missing"),
        ):
            with self.subTest(cell):
                self.assertEqual(
                    explain_instant(cell),
                    f"it looks like a spreadsheet's day number: {shown}; {lack}",
                )

    def test_other_numbers_are_not_called_day_numbers_of_a_spreadsheet(self) -> None:
        for cell in ("4529", "452930", "12345", "73051", "-45293", "45293.", "45.293,4"):
            with self.subTest(cell):
                self.assertEqual(explain_instant(cell), "")

    def test_digits_of_another_script_are_not_called_a_wrong_date(self) -> None:
        for cell in (
            "\u0662\u0660\u0662\u0664-01-02",
            "2024-01-0\u0662",
            "\uff11\uff12/01/2024",
        ):
            with self.subTest(cell):
                self.assertEqual(explain_instant(cell), "")


class StatedCurrency(FaultCase):
    """The currency that the user states decides how an amount is read."""

    def test_amount_in_yen_has_no_decimals(self) -> None:
        self.edit("payments", set_cell(3, 6, "2400.0"))
        self.assertIn("is it 2400 or 240000 cents?", self.ingest().stderr)
        self.assertIn("perhaps 2400\n", self.ingest("--currency", "JPY").stderr)


class SpreadsheetDays(FaultCase):
    """A day number of a spreadsheet is refused, with a hint in the fault."""

    def test_day_number_is_never_converted(self) -> None:
        self.edit("orders", set_cell(9, 3, "45293.4166"))
        self.assertEqual(
            self.list_faults(),
            [
                (
                    "orders.csv:9:3: E_RULE ordered_at is '45293.4166', which breaks the"
                    " rule ordered_at_is_a_utc_instant; expected a valid UTC instant, such"
                    " as 2024-02-29T23:59:59Z; it looks like a spreadsheet's day number:"
                    " 2024-01-02 10:00; the time zone is missing"
                )
            ],
        )


class Keys(FaultCase):
    """A key in another spelling is proposed, and its children are no orphans."""

    def test_float_or_grouped_key_is_proposed_and_hides_no_row(self) -> None:
        for spelling in ("2.0", "2.00", "0,002"):
            with self.subTest(spelling):
                self.write_all()
                self.edit("users", swap_bytes(b"\n2,", b'\n"%s",' % spelling.encode()))
                (fault,) = self.list_faults()
                self.assertEqual(
                    fault,
                    f"users.csv:3:1: E_INTEGER user_id is '{spelling}', expected a whole"
                    " number such as 4299; perhaps 2",
                )

    def test_key_that_is_a_text_has_a_next_step(self) -> None:
        self.edit("orders", set_cell(9, 1, "e481f51c-bdc5"))
        fault = self.list_faults()[0]
        self.assertIn(
            "orders.csv:9:1: E_INTEGER order_id is 'e481f51c-bdc5', expected a whole"
            " number such as 4299; replace each text by a number of its own, the same in"
            " all files",
            fault,
        )

    def test_order_without_a_customer_has_a_next_step(self) -> None:
        self.edit("orders", set_cell(9, 2, ""))
        (fault,) = self.list_faults()
        self.assertEqual(
            fault,
            "orders.csv:9:2: E_MISSING user_id is '', expected a value; add a row to"
            " users.csv for all rows without one, or omit them",
        )


class Rules(FaultCase):
    """A broken rule is one fault, which contains what was expected."""

    def test_sum_of_prices_with_tax_contains_both_sides_and_the_question(self) -> None:
        self.edit("orders", set_cell(9, 9, "1000"))
        (fault,) = self.list_faults()
        self.assertEqual(
            fault,
            "orders.csv:9:9: E_RULE total_cents is '1000', which breaks the rule"
            " total_cents_is_subtotal_minus_discount_plus_shipping_plus_tax; expected"
            " 1200 = 1000 - 0 + 0 + 200; the difference is tax_cents: are prices with tax?",
        )

    def test_sum_that_differs_by_no_column_contains_both_sides(self) -> None:
        self.edit("order_items", set_cell(11, 7, "7"))
        (fault,) = self.list_faults()
        self.assertRegex(fault, r"expected 1000 = 1 \* 1000 - 0$")

    def test_negative_quantity_is_one_fault(self) -> None:
        self.edit("order_items", set_cell(11, 4, "-1"))
        self.edit("order_items", set_cell(11, 7, "-1000"))
        (fault,) = self.list_faults()
        self.assertTrue(fault.endswith("; expected quantity BETWEEN 1 AND 1000000"), fault)

    def test_country_written_out_contains_what_was_expected(self) -> None:
        for cell, hint in (("Germany", ""), ("de", "; perhaps DE")):
            with self.subTest(cell):
                self.edit("users", set_cell(3, 4, cell))
                (fault,) = self.list_faults()
                end = f"; expected 2 capital letters, such as DE{hint}"
                self.assertTrue(fault.endswith(end), fault)
