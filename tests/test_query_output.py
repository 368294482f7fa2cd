"""The results of the cohort query: document, files and terminal."""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import run_query
from queries import output
from queries import run_query as query
from queries.forecast.score import GroundTruth
from queries.options import Options
from queries.query_file import QUERY_PATH
from queries.reading import VALUES_PATH
from queries.summary import render_result
from tests.query_cases import (
    GRAINS,
    NAMES,
    SEGMENTS,
    OptionsCase,
    QueryCase,
    find_clv,
    find_line,
)
from tests.recount import COLUMNS
from tests.shop import create_empty_shop, create_shop
from tests.support import (
    IN_CI,
    ROOT,
    FakeTerminal,
    call,
    refuse_to_replace,
    run_script,
    sample_shop,
    skip,
    skip_on_windows,
)
from utils.contract import PROVENANCE_TABLE
from utils.database import open_database

RATIOS = (
    "retention",
    "retention_low",
    "retention_high",
    "aov_cents",
    "net_per_customer_cents",
    "cum_net_per_customer_cents",
    "cum_margin_per_customer_cents",
)


class Document(QueryCase):
    """The document states its sources, in the promised form."""

    def setUp(self) -> None:
        """Query the small shop."""
        super().setUp()
        create_shop(self.database)
        self.document = self.read_document()

    def test_document_has_the_promised_keys_in_order(self) -> None:
        self.assertEqual(
            list(self.document),
            [
                "schema_version",
                "as_of",
                "currency",
                "currency_digits",
                "database",
                "dataset",
                "query",
                "other_queries",
                "options",
                "cohorts",
                "cells",
                "average",
                "summary",
                "reconciliation",
            ],
        )
        self.assertEqual(
            list(self.document["cohorts"][0]),
            [
                "cohort",
                "cohort_size",
                "last_months_since",
                "clv",
            ],
        )
        self.assertEqual(
            list(self.document["reconciliation"]),
            [
                "sums",
                "user_count",
                "users_without_valid_order",
                "excluded_orders",
                "refunds_by_month",
            ],
        )
        self.assertEqual(list(self.document["cells"][0]), [*NAMES, *RATIOS])

    def test_document_states_the_digests_of_its_sources(self) -> None:
        database, sql = self.database.read_bytes(), QUERY_PATH.read_bytes()
        ((content,),) = self.query(
            f"SELECT value FROM {PROVENANCE_TABLE}"
            " WHERE subject = 'dataset' AND property = 'content_sha256'"
        )
        self.assertEqual(
            {name: self.document[name] for name in list(self.document)[:9]},
            {
                "schema_version": "2.3",
                "as_of": "2024-03-15",
                "currency": "EUR",
                "currency_digits": 2,
                "database": {
                    "sha256": hashlib.sha256(database).hexdigest(),
                    "bytes": len(database),
                },
                "dataset": {"content_sha256": content},
                "query": {
                    "file": "queries/join_query.sql",
                    "sha256": hashlib.sha256(sql).hexdigest(),
                },
                "other_queries": [
                    {
                        "file": "queries/customer_values.sql",
                        "sha256": hashlib.sha256(VALUES_PATH.read_bytes()).hexdigest(),
                    }
                ],
                "options": {
                    "cohort": "month",
                    "by": None,
                    "as_of": None,
                    "valid_statuses": [
                        "paid",
                        "shipped",
                        "delivered",
                        "partially_returned",
                        "returned",
                    ],
                    "forecast": False,
                    "omit_first_cohort": False,
                },
            },
        )

    def test_query_whose_file_name_is_not_utf_8_is_named_in_the_result(self) -> None:
        own = self.folder / os.fsdecode(b"own \xff.sql")
        try:
            shutil.copy(QUERY_PATH, own)
        except OSError:
            skip("this file system has UTF-8 names only")
        document = self.read_document("--query", own)
        self.assertEqual(document["query"]["file"], "own \\xff.sql")

    def test_another_process_time_zone_and_folder_give_the_same_bytes(self) -> None:
        first = [self.read(name) for name in ("query_result.csv", "query_result.json")]
        shutil.rmtree(self.out_dir)
        result = run_script(
            "run_query.py",
            "--database",
            "shop.db",
            "--out-dir",
            "out",
            "--no-forecast",
            cwd=self.folder,
            env={
                "TZ": "Pacific/Kiritimati",
                "PYTHONHASHSEED": "7",
                "LC_ALL": "C",
                "PYTHONIOENCODING": "ascii",
            },
        )
        self.assertEqual((result.status, result.stderr), (0, ""))
        second = [self.read(name) for name in ("query_result.csv", "query_result.json")]
        self.assertEqual(first, second)

    def test_database_is_unchanged(self) -> None:
        before = self.database.read_bytes()
        self.read_document()
        self.assertEqual(self.database.read_bytes(), before)
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "shop.db"])

    def test_shop_without_orders_gives_a_complete_document(self) -> None:
        for create in (create_empty_shop, create_shop_without_orders):
            with self.subTest(create.__name__):
                self.database.unlink()
                create(self.database)
                result = self.run_query()
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertIn("no valid order", result.stdout)
                document = json.loads(self.read("query_result.json"))
                self.assertEqual(
                    [document[name] for name in ("cohorts", "cells", "average")],
                    [[], [], []],
                )
                self.assertEqual(find_clv(document["summary"], 3)["cents"], None)
                header = self.read("query_result.csv").decode("utf-8")
                self.assertEqual(header, ",".join(COLUMNS) + "\n")


def create_shop_without_orders(path: Path) -> None:
    """Create a shop with users and without orders."""
    create_shop(path, orders=[], order_items=[], payments=[])


class Files(QueryCase):
    """The files are written to the given folder, and nowhere else."""

    def setUp(self) -> None:
        """Create the small shop under a path that needs quoting in a URI."""
        super().setUp()
        name = "50% off #1 & ü;.db" if os.name == "nt" else "50% off? #1 & ü;.db"
        self.path = create_shop(self.folder / name)
        self.root, self.published = self.folder / "root", self.folder / "page"
        for constant, folder in (
            ("PROJECT_ROOT", self.root),
            ("PUBLISHED_DIR", self.published),
        ):
            patch = mock.patch.object(output, constant, folder)
            patch.start()
            self.addCleanup(patch.stop)

    def test_files_go_to_the_root_and_a_copy_to_the_page(self) -> None:
        result = call(run_query.main, "--database", self.path)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        self.assertEqual(
            sorted(os.listdir(self.root)), ["query_result.csv", "query_result.json"]
        )
        self.assertEqual(os.listdir(self.published), ["query_result.json"])
        self.assertEqual(
            (self.root / "query_result.json").read_bytes(),
            (self.published / "query_result.json").read_bytes(),
        )

    def test_files_go_only_to_the_named_folder(self) -> None:
        result = call(
            run_query.main, "--database", self.path, "--out-dir", self.folder / "a" / "b"
        )
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted([self.path.name, "a"]))

    def test_page_that_cannot_be_written_stops_all_files(self) -> None:
        self.published.write_text("a file where the folder should be", encoding="utf-8")
        result = call(run_query.main, "--database", self.path)
        self.assertEqual(result.status, 1)
        self.assertIn("cannot be written", result.stderr)
        self.assertEqual(os.listdir(self.root), [])

    def test_refused_rename_restores_all_old_files(self) -> None:
        for folder in (self.root, self.published):
            folder.mkdir()
        paths = [
            self.root / "query_result.csv",
            self.root / "query_result.json",
            self.published / "query_result.json",
        ]
        for path in paths:
            path.write_bytes(b"old")
        with refuse_to_replace("query_result.json"):
            result = call(run_query.main, "--database", self.path)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn("cannot be written", result.stderr)
        self.assertEqual([path.read_bytes() for path in paths], [b"old"] * 3)
        found = [
            path for folder in (self.root, self.published) for path in folder.iterdir()
        ]
        self.assertEqual(sorted(found), sorted(paths))


class SegmentNames(OptionsCase):
    """The name of a segment is safe in a spreadsheet and in a terminal."""

    def create_categories(self, *names: str) -> None:
        """Create a shop with one customer for each category in *names*."""
        self.database.unlink(missing_ok=True)
        keys = range(1, len(names) + 1)
        create_shop(
            self.database,
            products=[
                (key, f"SKU-{key}", "Thing", name, "Örn", 1000, 400, "2023-12-01T00:00:00Z")
                for key, name in zip(keys, names, strict=True)
            ],
            orders=[
                (key, key, "2024-01-10T12:00:00Z", "returned", 1000, 0, 0, 0, 1000)
                for key in keys
            ],
            order_items=[(key, key, key, 1, 1000, 0, 1000) for key in keys],
            # More than was paid, so that some numbers are negative.
            payments=[
                (key, key, "refund", "card", "succeeded", 1500, "2024-01-11T12:00:00Z")
                for key in keys
            ],
            as_of="2024-01-31",
        )

    def test_formula_is_escaped_in_the_csv_only(self) -> None:
        names = ("=1+1", "@SUM(A1)", '-2+3+cmd|" /C calc"!A0', "+1")
        self.create_categories(*names)
        document = self.read_document("--by", "category")
        text = self.read("query_result.csv").decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual({row["segment"] for row in rows}, {f"'{name}" for name in names})
        for row in rows:
            self.assertEqual(row["net_cents"], "-500")
            self.assertEqual(row["margin_cents"], "-900")
        # In the JSON the names are unchanged.
        self.assertEqual({r["segment"] for r in document["segments"]}, set(names))

    def test_control_characters_are_escaped_on_the_terminal(self) -> None:
        names = ("a\nb", "a\x1b[2Jc", "d\r\x07e", "f\u2028g\u202eh")
        self.create_categories(*names)
        result = self.run_query("--by", "category")
        self.assertEqual((result.status, result.stderr), (0, ""))
        for character in "\x1b\r\x07\u2028\u202e":
            self.assertNotIn(character, result.stdout)
        lines = result.stdout.split("\n")
        at = find_line(lines, "category ")
        self.assertEqual(
            [line.split()[0] for line in lines[at + 1 : at + 5]],
            ["a\\nb", "a\\x1b[2Jc", "d\\r\\x07e", "f\\u2028g\\u202eh"],
        )
        widths = {len(line) for line in lines[at : at + 5]}
        self.assertEqual(len(widths), 1, lines[at : at + 5])

    def test_long_name_is_cut_on_the_terminal_only(self) -> None:
        long = "Ölfarben " * 40
        self.create_categories(long, "Paper")
        result = self.run_query("--by", "category")
        lines = result.stdout.split("\n")
        at = find_line(lines, "category ")
        self.assertLessEqual(max(map(len, lines[at : at + 3])), 80)
        self.assertIn(f"\n{long[:39]}…  ", result.stdout)
        document = json.loads(self.read("query_result.json"))
        self.assertEqual({r["segment"] for r in document["segments"]}, {long, "Paper"})

    def test_line_ends_stay_in_one_cell_of_the_csv(self) -> None:
        names = ("a\nb", 'c"d', "e,f", " g ")
        self.create_categories(*names)
        self.read_document("--by", "category")
        text = self.read("query_result.csv").decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual({row["segment"] for row in rows}, set(names))


class Script(QueryCase):
    """The script prints its result on any terminal."""

    def setUp(self) -> None:
        """Put a small shop into the folder."""
        super().setUp()
        create_shop(self.database)

    def test_script_prints_clv_and_retention(self) -> None:
        self.set_as_of("2024-05-31")
        with mock.patch.dict(os.environ, COLUMNS="80"):
            result = self.run_query()
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "As of 2024-05-31: 3 customers in 2 cohorts by month of first order.",
                "",
                "CLV: net per customer so far, of the cohorts old enough",
                (
                    "   3 months        55.56 EUR   2 cohorts, 95% 16.34 to 94.78,"
                    " median 41.67"
                ),
                "   6 months   no cohort is old enough",
                "  12 months   no cohort is old enough",
                "  24 months   no cohort is old enough",
                "",
                "Retention by months since, in % of the cohort",
                "cohort   size   0    1    2    3    4",
                "2024-01     2 100   50   50    0    0",
                "2024-02     1 100    0    0    0",
                "average       100   33   33    0    0",
                "",
                # Orders 4 and 8, order 6, user 4.
                (
                    "Excluded: 2 orders (status cancelled), 1 order (status pending),"
                    " 1 user without"
                ),
                "  a valid order.",
                "",
                f"Written: {self.out_dir / 'query_result.csv'}",
                f"Written: {self.out_dir / 'query_result.json'}",
            ],
        )

    def test_clv_of_a_segment_has_the_number_of_its_cohorts(self) -> None:
        # User 2 of January is from GB and has spent 4167; that of IE, of February, is too
        # young.
        self.set_as_of("2024-04-30")
        lines = self.run_query("--by", "country").stdout.splitlines()
        at = find_line(lines, "CLV by country")
        self.assertIn("(number of cohorts old enough)", lines[at])
        self.assertEqual(lines[at + 3].split()[:4], ["GB", "1", "41.67", "(1)"])
        self.assertEqual(lines[at + 4].split()[:3], ["IE", "1", "-"])

    def test_incomplete_month_is_marked(self) -> None:
        stdout = self.run_query().stdout
        self.assertIn("2024-01     2 100   50   50*", stdout)
        self.assertIn("in % of the cohort (* incomplete month)\n", stdout)

    def test_output_fits_the_terminal(self) -> None:
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        self.assertIn("total", document["forecast"])
        segment = {"customer_count": 1234, "horizons": document["forecast"]["total"]}
        document["forecast"]["segments"] = [{"segment": "organic_search", **segment}]
        document["options"]["by"] = "channel"
        for width in (40, 72, 80, 132):
            with self.subTest(width=width):
                lines = render_result(document, width=width).splitlines()
                table = lines[find_line(lines, "cohort ") :]
                self.assertEqual(table[13].split()[0], "average")
                self.assertLessEqual(max(map(len, table)), width)

    def test_hidden_rows_and_columns_are_counted(self) -> None:
        # 24 cohorts and ages; 13 cells fit into 80 columns.
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        for width, expected in {
            80: "Not shown: 12 older cohorts, 11 later months. --all prints all cohorts.",
            132: "Not shown: 12 older cohorts, 1 later month. --all prints all cohorts.",
            200: "Not shown: 12 older cohorts. --all prints all cohorts.",
        }.items():
            with self.subTest(width=width):
                lines = render_result(document, width=width).splitlines()
                at = find_line(lines, "average ") + 1
                self.assertEqual(lines[at], expected)

    def test_all_cohorts_are_printed_on_request(self) -> None:
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        text = render_result(document, width=80, has_all_rows=True)
        names = [cohort["cohort"] for cohort in document["cohorts"]]
        # In the tables of retention and forecast.
        self.assertEqual(re.findall(r"^(\d{4}-\d\d) ", text, re.MULTILINE), names * 2)
        self.assertEqual(text.count("Not shown: 11 later months."), 1)
        self.assertNotIn("--all", text)

    def test_what_is_too_wide_is_printed_below_or_named(self) -> None:
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        interval = {"low_cents": 10**15, "high_cents": 10**15, "median_cents": 10**15}
        for clv in document["summary"]["clv"][:3]:
            clv |= {"cents": 10**15, **interval}
        net = {"forecast": 10**15, "low": 10**15, "high": 10**15}
        for horizon in document["forecast"]["total"]:
            horizon["net_cents"] = net
        for cohort in document["forecast"]["cohorts"]:
            for horizon in cohort["horizons"]:
                horizon["net_per_customer_cents"] = 10**15
        text = render_result(document, width=60)
        self.assertLessEqual(max(map(len, text.split("\n"))), 60)
        # In each row the amount, its interval and, until today, the median.
        amounts = text[: text.index("FORECAST net per")].count("10,000,000,000,000.00")
        self.assertEqual(amounts, 3 * 4 + 3 * 3)
        words = "Not shown: 12 older cohorts, the columns 3 months, 6 months."
        advice = "--all prints all cohorts. Widen the terminal."
        self.assertIn(f"{words} {advice}", " ".join(text.split()))

    def test_half_a_cent_is_rounded_as_on_the_page(self) -> None:
        # In binary 110.5 / 100 is a little less than 1.105.
        document = self.read_document()
        for cents, expected in {110.5: "1.11", 33333.5: "333.34", -110.5: "-1.11"}.items():
            with self.subTest(cents):
                document["summary"]["clv"][0]["cents"] = cents
                self.assertIn(f" {expected} EUR", render_result(document, width=80))

    def test_half_a_percent_is_rounded_up(self) -> None:
        document = self.read_document()
        for retention, expected in {0.125: "13", 0.145: "15", 0.5: "50"}.items():
            with self.subTest(retention):
                document["cells"][1]["retention"] = retention
                lines = render_result(document, width=80).splitlines()
                january = lines[find_line(lines, "2024-01 ")]
                self.assertEqual(january.split()[3], expected)

    def test_wrong_usage_exits_with_2_and_interruption_with_130(self) -> None:
        self.assertEqual(self.run_query("--cohort", "2024").status, 2)
        with mock.patch.object(query, "query_database", side_effect=KeyboardInterrupt):
            result = self.run_query()
        self.assertEqual((result.status, result.stdout), (130, ""))
        self.assertEqual(result.stderr, "run_query: error: interrupted\n")

    def test_database_is_opened_once_even_with_the_ground_truth(self) -> None:
        with (
            mock.patch("queries.reading.open_database", wraps=open_database) as opened,
            mock.patch(
                "queries.forecast.score.read_truth", return_value=GroundTruth(365, {})
            ),
        ):
            query.compute_result(self.database, truth_dir=self.folder)
        self.assertEqual(opened.call_count, 1)

    def test_help_lists_the_options(self) -> None:
        result = self.run_query("--help")
        self.assertEqual(result.status, 0)
        for option in ("--database FILE", "--query FILE", "--out-dir DIR", "ingest.py"):
            self.assertIn(option, result.stdout)


class TerminalTable(OptionsCase):
    """The table has colour on a terminal only, and fits its width."""

    ESCAPE = re.compile("\x1b\\[[0-9;]*m")

    def print_to(self, stream: io.StringIO, **environment: str) -> str:
        """Run the script on *stream*; return what it wrote there."""
        variables = {"TERM": "xterm-256color", "NO_COLOR": "", "COLUMNS": "80"}
        with (
            mock.patch.dict(os.environ, variables | environment),
            mock.patch.object(sys, "stdout", stream),
        ):
            status = run_query.main(
                ["--database", str(self.database), "--out-dir", str(self.out_dir)]
            )
        self.assertEqual(status, 0)
        return stream.getvalue()

    def test_colour_depends_on_terminal_and_environment(self) -> None:
        skip_on_windows("a console of Windows gets no colour")
        create_shop(self.database)
        plain = self.print_to(io.StringIO())
        self.assertNotIn("\x1b", plain)
        shaded = self.print_to(FakeTerminal())
        self.assertIn("\x1b[48;5;", shaded)
        self.assertEqual(self.ESCAPE.sub("", shaded), plain)
        for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            with self.subTest(variables):
                self.assertEqual(self.print_to(FakeTerminal(), **variables), plain)

    def test_real_terminal_has_colour_and_pipe_has_none(self) -> None:
        skip_on_windows("Windows has no pseudo-terminal")
        import pty

        create_shop(self.database)
        command = [
            sys.executable,
            str(ROOT / "run_query.py"),
            "--database",
            str(self.database),
            "--out-dir",
            str(self.out_dir),
        ]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": ""}
        ours, theirs = pty.openpty()
        try:
            subprocess.run(command, stdout=theirs, env=environment, check=True)
            shown = os.read(ours, 1 << 16).decode("utf-8")
        finally:
            os.close(theirs)
            os.close(ours)
        self.assertIn("\x1b[48;5;", shown)
        piped = subprocess.run(
            command, capture_output=True, env=environment, check=True
        ).stdout.decode("utf-8")
        self.assertNotIn("\x1b", piped)
        self.assertEqual(self.ESCAPE.sub("", shown).split(), piped.split())

    def test_retention_table_fits_every_width(self) -> None:
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        for width in (40, 41, 60, 79, 80, 132, 200):
            for has_colour in (False, True):
                with self.subTest(width=width, has_colour=has_colour):
                    text = render_result(document, width=width, has_colour=has_colour)
                    lines = self.ESCAPE.sub("", text).split("\n")
                    table = lines[find_line(lines, "cohort ") :]
                    self.assertLessEqual(max(map(len, table)), width)
                    # As many of the 24 months as fit, with 5 columns each.
                    shown = min(24, (width - len("cohort    size")) // 5)
                    self.assertEqual(len(table[0].split()), 2 + shown)

    def test_retention_table_has_the_cohorts_of_every_grain_and_segment(self) -> None:
        database = sample_shop() / "shop.db"
        ways = list(itertools.product(GRAINS, SEGMENTS))
        # The first is by month for all customers, the last by quarter for each category.
        for grain, by in ways if IN_CI else (ways[0], ways[-1]):
            document = query.compute_result(database, options=Options(grain, by)).document
            with self.subTest(grain=grain, by=by):
                lines = render_result(document, width=80).split("\n")
                at = find_line(lines, "cohort ")
                self.assertLessEqual(max(map(len, lines[at:])), 80)
                rows = lines[at + 1 : find_line(lines, "average ")]
                names = [row.split()[0] for row in rows]
                cohorts = [cohort["cohort"] for cohort in document["cohorts"]][-12:]
                self.assertEqual(names, cohorts)

    def test_each_segment_has_a_line(self) -> None:
        create_shop(self.database)
        self.set_as_of("2024-04-30")
        lines = self.run_query("--by", "channel").stdout.split("\n")
        at = find_line(lines, "channel ")
        self.assertEqual(
            [line.split() for line in lines[at + 1 : at + 4]],
            [
                ["organic", "2", "95.01", "(1)", "-", "-", "-", "-"],
                ["email", "1", "41.67", "(1)", "-", "-", "-", "-"],
                [],
            ],
        )

    def test_segments_are_the_ten_of_the_highest_value_with_intervals(self) -> None:
        create_shop(self.database)
        document = self.read_document("--by", "channel")
        summary = document["segments"][0]["summary"]
        document["segments"] = [
            {"segment": f"s{number}", "summary": copy.deepcopy(summary)}
            for number in range(12)
        ]
        for number, record in enumerate(document["segments"]):
            # The oldest age that a segment has decides, and s0 has none.
            for clv, cents in zip(
                record["summary"]["clv"], (900, 500 * number), strict=False
            ):
                known = {"cents": cents or None, "low_cents": 100, "high_cents": 200}
                clv.update(known, median_cents=None)
        lines = render_result(document, width=80).split("\n")
        at = find_line(lines, "channel ")
        self.assertTrue(lines[at].endswith("  95% at 6 months"))
        rows = lines[at + 1 : at + 11]
        self.assertEqual(
            [row.split()[0] for row in rows], [f"s{n}" for n in range(11, 1, -1)]
        )
        self.assertTrue(all(row.endswith("  1.00 to 2.00") for row in rows))
        self.assertEqual(lines[at + 11], "  … and 2 more (--all prints them)")
        text = render_result(document, width=80, has_all_rows=True)
        self.assertEqual(len(re.findall(r"^s\d+ ", text, re.MULTILINE)), 12)
        self.assertNotIn("more (--all", text)

    def test_amounts_of_many_digits_do_not_run_together(self) -> None:
        document = json.loads((sample_shop() / "query_result.json").read_bytes())
        amount = 10**13
        summary = document["summary"]
        for clv in summary["clv"]:
            clv |= {"cents": amount, "low_cents": None, "median_cents": None}
        document["options"]["by"] = "channel"
        document["segments"] = [{"segment": "email", "summary": summary}]
        horizons = [
            {"months": months, "net_per_customer_cents": amount} for months in (3, 6, 12)
        ]
        net = {"forecast": amount, "low": amount, "high": amount}
        document["forecast"] |= {
            "segments": [],
            "total": [{"months": months, "net_cents": net} for months in (3, 6, 12)],
            "cohorts": [{"cohort": "2024-01", "cohort_size": 10**9, "horizons": horizons}],
            "holdout": {"refused": "too short."},
        }
        text = render_result(document, width=160)
        shown = "100,000,000,000.00"
        for line in text.split("\n"):
            # Blanks surround each amount.
            self.assertEqual(line.count("100,000,000"), line.split().count(shown), line)
        self.assertEqual(text.count(shown), 4 + 4 + 3 * 3 + 3)
        for start in ("channel ", "cohort       "):
            lines = text.split("\n")
            at = find_line(lines, start)
            self.assertEqual(len(lines[at]), len(lines[at + 1]))

    def test_excluded_orders_are_counted_by_reason(self) -> None:
        create_shop(self.database)
        # Orders 7 and 8, order 4, order 6, user 4.
        text = " ".join(self.run_query("--as-of", "2024-03-10").stdout.split())
        self.assertIn(
            "Excluded: 2 orders (after the as-of day), 1 order (status cancelled),"
            " 1 order (status pending), 1 user without a valid order.",
            text,
        )
