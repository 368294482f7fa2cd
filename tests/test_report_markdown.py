"""The report as text: `report.md` and the summary on the terminal."""

from __future__ import annotations

import itertools
import re
import sqlite3
import unittest
from contextlib import closing
from typing import Any

from db.reporting.checks import (
    TRENDS_DIR,
    Check,
    Findings,
    Thresholds,
    describe_check,
)
from db.reporting.markdown import render_markdown, render_summary
from db.reporting.plots import render_plot
from db.reporting.report import derive_verdict, read_report
from tests.report_case import CHECK_COUNT, ReportCase
from tests.shop import ORDERS, PAYMENTS, PRODUCTS, USERS
from utils.markdown_tables import escape

# The title, key figures, checks and provenance; and a section for each trend.
FIXED_HEADINGS = 4
TREND_COUNT = len(list(TRENDS_DIR.glob("*.sql")))

HOSTILE_WORDS = [
    "a|b||c",
    "back\\|slash\\",
    "new\nline\r\n| --- |",
    "`tick` ``` fence",
    "<script>alert(1)</script><!-- ",
    "&lt;b&gt;",
    "**bold** _it_ ~~no~~ [link](javascript:alert(1)) ![x](y)",
    "# heading",
    "\u202eright to left\u2028\x1b[31m\x00",
    "$math$ $$",
    "x" * 5000,
    "Ünïcödé 日本語 🛍️",
]


STATUS_COLUMNS = (
    "Placed",
    "Pending",
    "Cancelled",
    "Orders",
    "Returned in part",
    "Returned",
)

# In the order of the report.  A column of bars has no name.
TABLE_HEADERS = [
    "Figure, Value, Definition",
    "Month, Gross, Discount, Refund, Net, Orders, New, Returning, AOV, Refund rate",
    "Category, Products, Units, Gross, Line discount, Gross share, ",
    "SKU, Product, Category, Units, Gross, Line discount",
    "Method, Charges, Failed, Charged, Refunded, Failed share, Charged share, ",
    f"Month, {', '.join(STATUS_COLUMNS)}, Cancellation rate, Return rate",
    "Country, Users, Customers, Orders, Net, Users who bought, AOV, Net share, ",
    "Channel, Users, Customers, Orders, Net, Users who bought, AOV, Net share, ",
    "Status, Rule, Severity, Rows, First rows, Check",
    "Table, Rows, Manifest, SHA-256 of the file, SHA-256 of the content",
    "Fact, Value",
]


class Markdown(ReportCase):
    """`report.md` is readable, and no value in the data breaks its tables."""

    def test_verdict_comes_first(self) -> None:
        lines = render_markdown(self.report_shop()).splitlines()
        self.assertEqual(
            lines[2], f"✅ **Sound.** {CHECK_COUNT} checks, 0 errors, 0 warnings."
        )
        self.assertRegex(
            lines[4],
            r"^Data as of 2024-03-15 · seed 7 · content `[0-9a-f]{12}` · amounts in EUR$",
        )

    def test_every_table_has_its_header(self) -> None:
        lines = render_markdown(self.report_shop()).splitlines()
        headers = [
            header[2:-2].replace(" | ", ", ")
            for header, rule in itertools.pairwise(lines)
            if rule.startswith("| --- ") and header.startswith("| ")
        ]
        self.assertEqual(headers, TABLE_HEADERS)

    def test_verdict_is_rendered_from_its_counts_and_not_from_its_text(self) -> None:
        report = self.report_shop()
        report["verdict"] = {
            "status": "fail",
            "errors": 1,
            "warnings": 2,
            "checks": 3,
            "text": "Hm",
        }
        line = render_markdown(report).splitlines()[2]
        self.assertEqual(line, "❌ **Not sound.** 3 checks, 1 error, 2 warnings.")

    def test_failed_check_is_listed_with_its_rows(self) -> None:
        orders = [*ORDERS[:7], (8, 2, "2024-01-01T00:00:00Z", "paid", *ORDERS[7][4:])]
        text = render_markdown(self.report_shop(orders=orders))
        self.assertIn(
            f"❌ **Not sound.** {CHECK_COUNT} checks, 2 errors, 0 warnings.", text
        )
        self.assertIn("## Findings", text)
        self.assertIn(
            "❌ **1\u00a0row breaks: No order is placed before its user signs up**"
            " (`causality_sign_up_before_order`)\n\n"
            "| order_id | user_id | signed_up_at | ordered_at |\n"
            "| --- | --- | --- | --- |\n"
            "| 8 | 2 | 2024-01-05T00:00:00Z | 2024-01-01T00:00:00Z |\n",
            text,
        )

    def test_contents_link_to_every_section(self) -> None:
        lines = render_markdown(self.report_shop()).splitlines()
        headings = [line[3:] for line in lines if line.startswith("## ")]
        links = [line for line in lines if line.startswith("- [")]
        self.assertEqual([link[3:].partition("]")[0] for link in links], headings)
        self.assertEqual(links[0], "- [Key figures](#key-figures)")
        self.assertLess(lines.index(links[-1]), lines.index("## Key figures"))

    def test_ten_orders_or_more_are_written_so(self) -> None:
        report = self.report_shop()
        rows = report["trends"]["orders_per_customer"]["rows"]
        for count, shown in ((9, "9"), (10, "10+")):
            rows[-1]["orders_per_customer"] = count
            self.assertIn(f"\n| {shown} | 1 |", render_markdown(report))

    def test_check_that_could_not_run_is_not_stated_as_true(self) -> None:
        report = self.report_shop()
        report["checks"][0].update(
            status="fail", count=None, title="All is well", note="too large"
        )
        words = "Not known whether this is true: All is well (too large)"
        self.assertIn(f"❌ **{words}** (`", render_markdown(report))
        self.assertIn(f"error: {words}", render_summary(report))

    def test_warning_does_not_fail_the_verdict(self) -> None:
        users = [*USERS[:3], (4, "ANN@example.com", *USERS[3][2:])]
        text = render_markdown(self.report_shop(users=users))
        self.assertIn(f"⚠️ **Sound.** {CHECK_COUNT} checks, 0 errors, 1 warning.", text)

    def test_figures_are_right_aligned_with_thousands_separators(self) -> None:
        rich = [(1, 1, 1, 1, 123456789, 0, 123456789)]
        text = render_markdown(self.report_shop(order_items=rich))
        self.assertIn("| Month | Gross | Discount |", text)
        self.assertIn("| --- | ---: | ---: |", text)
        self.assertIn("| 1,234,567.89 |", text)
        self.assertIn("1,234,567.89\u00a0EUR", text)

    def test_month_outside_the_calendar_is_printed_unchanged(self) -> None:
        path = self.make_shop(as_of="2026-01-31")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(
                "UPDATE orders SET ordered_at = '2025-99-01T00:00:00Z' WHERE order_id = 7"
            )
            connection.commit()
        report = read_report(path)
        text = render_markdown(report)
        self.assertIn("\n| 2025-99 | 70.00 |", text)
        self.assertIn("\n| Feb\u00a02024 | 40.00 |", text)
        self.assertNotIn("```mermaid", text)
        # The last month of the calendar: a refund was paid in March 2024.
        self.assertEqual(report["kpis"]["last_complete_month"]["month"], "2024-03")
        self.assertIn("Last complete month, Mar 2024:", render_summary(report))

    def test_hostile_values_do_not_break_a_table(self) -> None:
        words = list(enumerate(HOSTILE_WORDS, start=1))
        text = render_markdown(
            self.report_shop(
                users=[(n, f"{n}@x", w, "SE", w, w, USERS[0][6]) for n, w in words],
                products=[(n, w, w, w, w, *PRODUCTS[0][5:]) for n, w in words],
                order_items=[(n, 1, n, 1, 2000, 0, 2000) for n, _ in words],
                payments=[(n, 1, "charge", w, *PAYMENTS[0][4:]) for n, w in words],
            )
        )
        self.assert_tables_intact(text)
        self.assertIn(r"new\\nline\\r\\n\| --- \|", text)

    def test_address_in_a_value_does_not_become_a_link(self) -> None:
        for word, shown in (
            ("see https://evil.example/x", r"see https\://evil.example/x"),
            ("WWW.evil.example", r"WWW\.evil.example"),
            ("12:30, swww", "12:30, swww"),
        ):
            self.assertEqual(escape(word), shown)

    def test_count_of_one_has_a_singular_noun(self) -> None:
        report = self.report_shop(orders=ORDERS[:1], as_of="2024-01-31")
        self.assertIn("1 valid order of 1 customer, repeat", render_summary(report))
        text = render_markdown(report).replace("\u00a0", " ")
        self.assertIn("net from 1 order of 1 new and 0 returning customers", text)

    def test_hostile_values_in_the_manifest_do_not_break_a_table(self) -> None:
        path = self.make_shop()
        for word in HOSTILE_WORDS:
            with self.subTest(word=word):
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute(
                        "UPDATE submission_meta SET value = ? WHERE subject = 'generator'",
                        (word,),
                    )
                    connection.commit()
                report = read_report(path)
                self.assertIsNone(report["currency"])
                self.assert_tables_intact(render_markdown(report))
                self.assertTrue(render_summary(report).replace("\n", "").isprintable())

    def assert_tables_intact(self, text: str) -> None:
        """Fail unless every table of *text* is a table and nothing else became markup."""
        self.assertTrue(text.replace("\n", "").replace("\u00a0", "").isprintable())
        self.assertNotRegex(text, "<(?!check>)")
        for block in re.split(r"\n\n+", text):
            lines = block.splitlines()
            if lines[0].startswith("|"):
                widths = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}
                self.assertEqual(len(widths), 1, block)
                self.assertTrue(all(line.endswith(" |") for line in lines), block)
        headings = {line for line in text.splitlines() if line.startswith("#")}
        self.assertEqual(
            len(headings - {"## Findings"}), FIXED_HEADINGS + TREND_COUNT, headings
        )
        self.assertEqual(len(re.findall("^```", text, flags=re.MULTILINE)), 4)

    def test_escaped_values_are_displayed_literally(self) -> None:
        for word, shown in [
            ("a|b", r"a\|b"),
            ("line\nbreak\r\n", r"line\\nbreak\\r\\n"),
            ("`code`", r"\`code\`"),
            ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
            ("&#38; &#x26;", r"&amp;\#38; &amp;\#x26;"),
            ("Home & Garden; R&D", "Home & Garden; R&D"),
            ("*_x_* a_b", r"\*\_x\_\* a_b"),
            ("[x](y)", r"\[x\](y)"),
            ("\u202eevil\x00", r"\\u202eevil\\x00"),
            ("$x$ ~y~ #1 !", r"\$x\$ \~y\~ \#1 \!"),
            ("x" * 200, "x" * 159 + "…"),
            (None, "–"),
        ]:
            with self.subTest(word=word):
                self.assertEqual(escape(word), shown)


class Plot(unittest.TestCase):
    """Net revenue is plotted by month, quarter or year, in at most 24 bars."""

    def test_plot_has_at_most_24_bars_for_any_number_of_months(self) -> None:
        for count, bars, title in [
            (2, 2, "month"),
            (24, 24, "month"),
            (25, 9, "quarter"),
            (60, 20, "quarter"),
            (120, 10, "year"),
            (600, 24, "year"),
        ]:
            with self.subTest(count=count):
                plot = render_plot(make_months(count), "EUR")
                self.assertIn(f'title "Net revenue by {title}"', plot)
                labels = re.findall(
                    r'"([^"]+)"',
                    next(line for line in plot.splitlines() if "x-axis" in line),
                )
                self.assertEqual((len(labels), len(set(labels))), (bars, bars))

    def test_plot_states_how_many_years_are_not_shown(self) -> None:
        for count, expected in [
            (24 * 12, None),
            (25 * 12, "Not shown: 1 earlier year."),
            (50 * 12, "Not shown: 26 earlier years."),
        ]:
            with self.subTest(count=count):
                text = render_plot(make_months(count), None).partition("\n```")[2]
                self.assertEqual(text.strip() or None, expected)

    def test_plot_marks_an_incomplete_period(self) -> None:
        for count, complete, label, noun in [
            (3, 2, "00-03 *", "month"),
            (3, 3, None, "month"),
            (26, 25, "02-Q1 *", "quarter"),
            (26, 26, "02-Q1 *", "quarter"),  # February is over, the quarter is not
            (27, 27, None, "quarter"),
            (121, 121, "2010 *", "year"),
            (132, 132, None, "year"),
            (132, 131, "2010 *", "year"),
        ]:
            with self.subTest(count=count, complete=complete):
                plot = render_plot(make_months(count, complete), None)
                self.assertEqual(re.findall(r'"([^"]+ \*)"', plot), [label] * bool(label))
                note = f"\\* incomplete {noun}."
                self.assertEqual(plot.endswith(note), label is not None)

    def test_labels_keep_the_century_where_two_would_be_equal(self) -> None:
        rows = [{**make_months(1)[0], "month": "1924-01"}, *make_months(2)]
        rows[1]["month"], rows[2]["month"] = "2024-01", "2024-02"
        plot = render_plot(rows, None)
        self.assertIn('x-axis ["1924-01", "2024-01", "2024-02"]', plot)
        self.assertIn("bar [1.0, 1.0, 2.0]", plot)

    def test_bar_of_a_quarter_is_the_sum_of_its_months(self) -> None:
        plot = render_plot(make_months(27), None)  # 1 + 2 + 3, 4 + 5 + 6 and so on
        self.assertIn("bar [6.0, 15.0, 24.0,", plot)

    def test_negative_month_is_plotted_below_the_axis(self) -> None:
        rows = [
            {"month": "2024-01", "net_cents": 30050, "is_complete": 1},
            {"month": "2024-02", "net_cents": -12300, "is_complete": 1},
        ]
        plot = render_plot(rows, "EUR")
        self.assertIn('y-axis "EUR" -123.0 --> 300.5', plot)
        self.assertIn("bar [300.5, -123.0]", plot)

    def test_one_month_has_no_plot(self) -> None:
        self.assertEqual(render_plot([{"month": "2024-01", "net_cents": 5}], None), "")


class Summary(ReportCase):
    """The summary fits a terminal and begins with the verdict."""

    def test_summary_begins_with_the_verdict_and_has_six_lines(self) -> None:
        lines = render_summary(self.report_shop()).splitlines()
        self.assertEqual(
            lines,
            [
                f"Sound. {CHECK_COUNT} checks, 0 errors, 0 warnings.",
                "As of 2024-03-15: 5 valid orders of 3 customers, repeat rate 33.3%",
                "Net revenue 166.68 EUR, AOV 33.34 EUR",
                "Refund rate 9.9%, cancellation rate 25.0%, failed payments 22.2%",
                "Last complete month, Feb 2024: 27.79 EUR net from 2 orders of 1 new and",
                "  1 returning customer",
            ],
        )

    def test_summary_fits_a_terminal_of_80_columns(self) -> None:
        report = self.report_shop()
        report["kpis"]["last_complete_month"]["net_cents"] = 10**15
        for check in report["checks"]:
            command = f"python ingest.py --rows {check['check']}"
            check.update(status="fail", count=10**9, all_rows=command)
        title = "No title of any check is longer than the one in this test"
        report["checks"][0]["title"] = title
        lines = render_summary(report).splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertEqual(
            lines[1:4],
            [
                f"  error: 1,000,000,000 rows break: {title[:-13]}",
                "    in this test",
                f"    python ingest.py --rows {report['checks'][0]['check']}",
            ],
        )

    def test_command_is_on_one_line_however_long_it_is(self) -> None:
        report = self.report_shop()
        command = f"python ingest.py --rows {'long_' * 20}"
        report["checks"][0].update(status="warn", count=1, all_rows=command)
        self.assertIn(f"\n    {command}\n", render_summary(report))

    def test_failed_check_of_severity_warning_is_an_error_as_in_the_verdict(self) -> None:
        thresholds = Thresholds(warn_above=None, fail_above=2)
        check = Check("mine", "Mine", "warning", thresholds, ["key"])
        report = self.report_shop()
        report["checks"] = [describe_check(check, Findings(["key"], 3, [[1]]))]
        report["verdict"] = derive_verdict(report["checks"])
        self.assertEqual(
            render_summary(report).splitlines()[:2],
            ["Not sound. 1 check, 1 error, 0 warnings.", "  error: 3 rows break: Mine"],
        )

    def test_summary_lists_six_failed_checks_and_counts_the_others(self) -> None:
        path = self.make_shop()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("DELETE FROM payments WHERE kind = 'charge'")
            connection.execute("DELETE FROM order_items")
            connection.execute(
                "UPDATE orders SET user_id = 99, status = 'lost' WHERE order_id = 8"
            )
            connection.execute(
                "UPDATE submission_meta SET value = 'differs' WHERE property = 'manifest'"
            )
            connection.commit()
        text = render_summary(read_report(path))
        lines = text.splitlines()
        self.assertEqual(
            lines[0], f"Not sound. {CHECK_COUNT} checks, 7 errors, 2 warnings."
        )
        self.assertEqual(
            lines[1:3],
            [
                "  error: 7 rows break: Every order of goods has at least one item",
                "    python ingest.py --rows coverage_orders_without_items",
            ],
        )
        self.assertEqual(text.count("  error: "), 6)
        self.assertEqual(text.count("    python ingest.py --rows "), 6)
        self.assertIn("  and 3 more, see report.md", lines)
        self.assertLessEqual(len(lines), 20)


def make_months(count: int, complete: int | None = None) -> list[dict[str, Any]]:
    """Return *count* months from January 2000, with 1, 2, 3, … of net revenue.

    The first *complete* of them are complete; without a number, all.
    """
    return [
        {
            "month": f"{2000 + n // 12}-{n % 12 + 1:02}",
            "net_cents": 100 * (n + 1),
            "is_complete": int(complete is None or n < complete),
        }
        for n in range(count)
    ]
