"""Real purchases: loader, report and query are right on data not from our generator.

The source is CDNOW_master.txt, 23,570 customers of a music shop and their 69,659 purchases
from January 1997 to June 1998, published by P. Fader and B. Hardie.  It is not part of the
project: the tests look for it in ../shared/data/cdnow beside the project's root, or in the
folder that SHOP_CDNOW_DIR names, and are skipped without it.
"""

from __future__ import annotations

import json
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import NormalDist, fmean, median, stdev
from typing import Any, NamedTuple
from unittest import mock

import ingest
import run_query
from tests import cdnow
from tests.customer_samples import CDNOW_DIR, find_cdnow
from tests.query_cases import find_clv
from tests.recount import COLUMNS, Customer, count_cells, count_shop, list_values
from tests.support import IN_CI, ShopCase, call, run_script, skip, skip_without_processes

MASTER = CDNOW_DIR / "CDNOW_master.txt"
LAST_DAY = date(1998, 6, 30)


class Known(NamedTuple):
    """Known figures of one cohort; dollars per customer are cumulative, to 4 decimals."""

    cohort_size: int
    first_month_cents: int
    active_in_month_1: int
    active_in_month_6: int
    active_in_month_12: int
    last_months_since: int
    dollars: dict[int, str]


# Cohorts by calendar month of the complete master file, counted from CDNOW_master.txt by a
# program other than this project's; cumulative figures include the month.
KNOWN = {
    "1997-01": Known(
        7846,
        29_906_017,
        1157,
        720,
        528,
        17,
        {0: "38.1163", 3: "57.5377", 6: "71.6062", 12: "95.7529", 17: "113.0713"},
    ),
    "1997-02": Known(
        8476,
        31_854_834,
        1312,
        626,
        568,
        16,
        {0: "37.5824", 3: "55.2961", 6: "68.6358", 12: "90.9418", 16: "104.6026"},
    ),
    "1997-03": Known(
        7248,
        27_988_449,
        1032,
        561,
        678,
        15,
        {0: "38.6154", 3: "55.5866", 6: "68.0634", 12: "91.8592", 15: "100.2409"},
    ),
}


class Year(NamedTuple):
    """The net of a cohort's customers after 12 months, in dollars.

    The mean, the bounds of its 95 % interval and the median.
    """

    mean: str
    low: str
    high: str
    median: str


# By the same program as `KNOWN`.
YEARS = {
    "1997-01": Year("95.75", "91.03", "100.47", "41.95"),
    "1997-02": Year("90.94", "87.01", "94.87", "40.25"),
    "1997-03": Year("91.86", "87.51", "96.21", "40.45"),
}


class RealPurchases(unittest.TestCase):
    """The complete path gives the figures that another program counted."""

    folder: Path
    document: dict[str, Any]
    cells: dict[tuple[str, int], dict[str, Any]]
    customers: list[Customer]

    @classmethod
    def setUpClass(cls) -> None:
        """Convert, load, report, query and recount once."""
        find_cdnow(MASTER.name)
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cdnow.convert_master(MASTER, cls.folder)
        database = ["--database", cls.folder / "shop.db"]
        out_dir = ["--out-dir", cls.folder]
        results = [call(ingest.main, "--ingest", "--data-dir", cls.folder, *database)]
        with ThreadPoolExecutor() as pool:
            # The report takes as long as the rest together.
            report = partial(run_script, "ingest.py", "--report", *database, *out_dir)
            reports = [pool.submit(report)] if IN_CI else []
            results.append(call(run_query.main, "--no-forecast", *database, *out_dir))
            cls.customers = count_shop(cls.folder, LAST_DAY)
        results += [running.result() for running in reports]
        if any((result.status, result.stderr) != (0, "") for result in results):
            raise AssertionError(results)
        cls.document = cls.read("query_result.json")
        cls.cells = {
            (cell["cohort"], cell["months_since"]): cell for cell in cls.document["cells"]
        }

    @classmethod
    def read(cls, name: str) -> dict[str, Any]:
        """Return the JSON document *name* in the folder."""
        document: dict[str, Any] = json.loads((cls.folder / name).read_bytes())
        return document

    def test_cells_are_a_triangle_of_51_complete_ones(self) -> None:
        self.assertEqual(self.document["as_of"], "1998-06-30")
        ages = {
            (cohort, months_since)
            for cohort, known in KNOWN.items()
            for months_since in range(known.last_months_since + 1)
        }
        self.assertEqual(len(ages), 18 + 17 + 16)
        self.assertEqual(set(self.cells), ages)
        self.assertEqual({cell["is_complete"] for cell in self.cells.values()}, {1})

    def test_active_customers_are_the_known_ones(self) -> None:
        for cohort, known in KNOWN.items():
            with self.subTest(cohort):
                active = [self.cells[cohort, k]["active_customers"] for k in (0, 1, 6, 12)]
                self.assertEqual(
                    active,
                    [
                        known.cohort_size,
                        known.active_in_month_1,
                        known.active_in_month_6,
                        known.active_in_month_12,
                    ],
                )
        self.assertEqual(self.document["summary"]["customer_count"], 23_570)

    def test_cumulative_net_is_the_known_one_to_the_cent(self) -> None:
        for cohort, known in KNOWN.items():
            first = self.cells[cohort, 0]["net_cents"]
            self.assertEqual(first, known.first_month_cents, cohort)
            for months_since, dollars in known.dollars.items():
                with self.subTest(cohort, months_since=months_since):
                    cell = self.cells[cohort, months_since]
                    exact = Fraction(cell["cum_net_cents"], known.cohort_size * 100)
                    self.assertEqual(f"{float(round(exact, 4)):.4f}", dollars)
                    cents = cell["cum_net_per_customer_cents"]
                    self.assertEqual(f"{cents / 100:.4f}", dollars)

    def test_clv_at_3_6_and_12_months_is_the_known_one(self) -> None:
        for cohort in self.document["cohorts"]:
            dollars = KNOWN[cohort["cohort"]].dollars
            for months in (3, 6, 12):
                with self.subTest(cohort["cohort"], months=months):
                    clv = find_clv(cohort, months)["cents"]
                    self.assertEqual(f"{clv / 100:.4f}", dollars[months])
            # No cohort is two years old.
            self.assertIsNone(find_clv(cohort, 24)["cents"])
            self.assertIsNone(find_clv(cohort, 24)["median_cents"])

    def test_interval_and_median_of_a_years_value_are_the_known_ones(self) -> None:
        found = {
            cohort["cohort"]: Year(
                *(
                    f"{find_clv(cohort, 12)[name] / 100:.2f}"
                    for name in ("cents", "low_cents", "high_cents", "median_cents")
                )
            )
            for cohort in self.document["cohorts"]
        }
        self.assertEqual(found, YEARS)

    def test_clv_equals_that_of_the_statistics_module(self) -> None:
        values = list_values(self.customers)
        groups = [
            (cohort, [value for value in values if value.cohort == cohort["cohort"]])
            for cohort in self.document["cohorts"]
        ]
        groups.append((self.document["summary"], values))
        for record, members in groups:
            for at, months in enumerate((3, 6, 12)):
                nets = [value.net_cents[at] for value in members]
                half_width = NormalDist().inv_cdf(0.975) * stdev(nets) / len(nets) ** 0.5
                expected = {
                    "cents": fmean(nets),
                    "low_cents": fmean(nets) - half_width,
                    "high_cents": fmean(nets) + half_width,
                    "median_cents": median(nets),
                }
                for name, figure in expected.items():
                    with self.subTest(record.get("cohort"), months=months, name=name):
                        # The JSON has two decimals.
                        found = find_clv(record, months)[name]
                        self.assertAlmostEqual(found, figure, delta=0.005_001)

    def test_every_purchase_disc_and_cent_is_counted(self) -> None:
        totals = [
            sum(cell[name] for cell in self.cells.values())
            for name in ("order_count", "unit_count", "net_cents", "refund_cents")
        ]
        self.assertEqual(totals, [69_659, 167_881, 250_031_563, 0])

    def test_every_cell_equals_the_recount_in_python(self) -> None:
        names = ("cohort", *COLUMNS[1:])
        found = [tuple(cell[name] for name in names) for cell in self.document["cells"]]
        self.assertEqual(found, list(count_cells(self.customers, LAST_DAY)))

    def test_any_number_of_workers_gives_the_same_files(self) -> None:
        skip_without_processes()
        database = ["--database", self.folder / "shop.db"]
        names = ("query_result.csv", "query_result.json")
        for workers in (2, 3, 8) if IN_CI else (3,):
            out_dir = self.folder / f"workers-{workers}"
            with mock.patch("queries.reading.BYTES_PER_WORKER", 1):
                options = ["--no-forecast", "--out-dir", out_dir, "--workers", workers]
                result = call(run_query.main, *database, *options)
            self.assertEqual((result.status, result.stderr), (0, ""))
            for name in names:
                with self.subTest(name, workers=workers):
                    expected = (self.folder / name).read_bytes()
                    self.assertEqual((out_dir / name).read_bytes(), expected)

    def test_report_finds_no_error(self) -> None:
        if not IN_CI:
            skip("the report on CDNOW is made in CI only: it takes seconds")
        report = self.read("report.json")
        self.assertEqual(report["verdict"]["errors"], 0, report["verdict"])
        self.assertEqual(report["kpis"]["net_cents"], 250_031_563)


class PurchaseFileConversion(ShopCase):
    """The converter turns a purchase into an order with one item and one payment."""

    LINES = (
        "",
        " customer_id  date number_of_cds  dollar_value",
        " 00001 19970101  1   11.77",
        " 00002 19970113  3   20.00",
        " 00002 19970112  2    0.00",
    )

    def convert(self, *lines: str) -> tuple[int, str]:
        """Convert *lines*; return the exit status and the text on stderr."""
        master = self.folder / "master.txt"
        master.write_text("\r\n".join(lines) + "\r\n", encoding="ascii", newline="")
        result = call(cdnow.main, master, self.folder / "csv")
        return result.status, result.stderr

    def test_each_line_total_is_exactly_the_amount_paid(self) -> None:
        self.assertEqual(self.convert(*self.LINES), (0, ""))
        items = (self.folder / "csv" / "order_items.csv").read_text(encoding="utf-8")
        # 2000 / 3 is not whole: the line is 3 x 667 minus a discount of 1.
        self.assertEqual(
            items.splitlines()[1:],
            ["1,1,1,1,1177,0,1177", "2,2,1,2,0,0,0", "3,3,1,3,667,1,2000"],
        )

    def test_customers_sign_up_with_their_first_purchase(self) -> None:
        self.convert(*self.LINES)
        users = (self.folder / "csv" / "users.csv").read_text(encoding="utf-8")
        self.assertEqual(
            [line.rpartition(",")[2] for line in users.splitlines()[1:]],
            ["1997-01-01T00:00:00Z", "1997-01-12T00:00:00Z"],
        )

    def test_converted_files_load(self) -> None:
        self.convert(*self.LINES)
        self.succeed(
            ingest.main,
            "--ingest",
            "--data-dir",
            self.folder / "csv",
            "--database",
            self.database,
        )
        self.assertEqual(self.query("SELECT COUNT(*) FROM payments"), [(3,)])

    def test_unreadable_line_is_named(self) -> None:
        for line in (
            "1 19970101 1",
            "1 19970101 1 11.7",
            "1 19970101 0 11.77",
            "1 1997 1 1.00",
        ):
            with self.subTest(line):
                status, stderr = self.convert(*self.LINES[:3], line)
                self.assertEqual(status, 1)
                self.assertIn(f"master.txt:4: '{line}', expected customer", stderr)

    def test_file_without_purchases_is_refused(self) -> None:
        status, stderr = self.convert("")
        self.assertEqual(status, 1)
        self.assertIn("master.txt: no line is a purchase", stderr)
