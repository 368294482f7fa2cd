"""Amounts are shown with the digits of their currency, by ISO 4217."""

from __future__ import annotations

import json
from typing import Any

import ingest
import run_query
from tests.fault_case import FaultCase

# 166.68 net of 5 orders and 3 customers, in cents; as of a year later all cohorts are old
# enough for the CLV at 12 months: 16668 / 3 = 5556.
NET = {"EUR": "166.68", "JPY": "16,668", "KWD": "16.668", "XXX": "166.68"}
CLV = {"EUR": "55.56", "JPY": "5,556", "KWD": "5.556", "XXX": "55.56"}
DIGITS = {"EUR": 2, "JPY": 0, "KWD": 3, "XXX": 2}


class MinorUnits(FaultCase):
    """The yen has no decimals, the Kuwaiti dinar has three."""

    def load(self, currency: str) -> None:
        """Load the small shop with amounts in *currency*."""
        result = self.ingest("--as-of", "2025-03-31", "--currency", currency)
        self.assertEqual((result.status, result.stderr), (0, ""))

    def run_on_shop(self, main: Any, *arguments: object) -> str:
        """Return what *main* prints about the folder's database."""
        source = ["--database", self.database, "--out-dir", self.folder]
        return self.succeed(main, *arguments, *source).stdout

    def read_digits(self, name: str) -> int:
        """Return the digits that the result *name* states for the page."""
        digits: int = json.loads((self.folder / name).read_bytes())["currency_digits"]
        return digits

    def test_report_shows_yen_without_and_dinars_with_three_decimals(self) -> None:
        for currency, amount in NET.items():
            with self.subTest(currency):
                self.load(currency)
                printed = self.run_on_shop(ingest.main, "--report")
                self.assertIn(f"Net revenue {amount} {currency}, ", printed)
                text = (self.folder / "report.md").read_text(encoding="utf-8")
                self.assertEqual(self.read_digits("report.json"), DIGITS[currency])
                self.assertIn(f"| Net revenue | {amount}\u00a0{currency} |", text)
                # Orders 1 and 2: 8500 of goods, all in January.
                january = {0: "8,500", 2: "85.00", 3: "8.500"}[DIGITS[currency]]
                self.assertRegex(text, rf"\| Jan\u00a02024 \|.* {january} \|")
                # The plot has the same scale.
                top = january.replace(",", "")
                self.assertIn(f'y-axis "{currency}" 0.0 --> {float(top)}', text)

    def test_query_shows_yen_without_and_dinars_with_three_decimals(self) -> None:
        for currency, amount in CLV.items():
            with self.subTest(currency):
                self.load(currency)
                printed = self.run_on_shop(run_query.main, "--by", "country")
                self.assertEqual(self.read_digits("query_result.json"), DIGITS[currency])
                self.assertRegex(printed, rf" 12 months +{amount} {currency} ")

    def test_amounts_without_a_currency_have_two_decimals(self) -> None:
        self.assertEqual(self.ingest().status, 0)
        self.assertIn(
            f"Net revenue {NET['XXX']}, ", self.run_on_shop(ingest.main, "--report")
        )
