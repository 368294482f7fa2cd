"""A submitted table is read, matched and marked cell by cell."""

from __future__ import annotations

import csv
import io
import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import run_query
from tests.query_cases import QueryCase
from tests.shop import create_tangled_shop
from tests.support import IN_CI, Result, call, read_rows, skip_on_windows

Record = dict[str, Any]

MONTH_NAMES = [
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
]


def write_csv(records: Sequence[Mapping[str, Any]], delimiter: str = ",") -> str:
    """Return *records* as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(records[0]), delimiter=delimiter, lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def name_month(month: str) -> str:
    """Return a month such as 2025-03 as Mar 2025."""
    return f"{MONTH_NAMES[int(month[5:]) - 1]} {month[:4]}"


class GradeCase(QueryCase):
    """A test that grades tables against the folder's database."""

    def setUp(self) -> None:
        """Make a shop with all that makes counts go wrong, and its right answer."""
        super().setUp()
        create_tangled_shop(self.database, seed=1)
        self.document = self.read_document()
        self.records: list[Record] = [
            {"cohort": cell["cohort"]} | cell for cell in self.document["cells"]
        ]

    def grade(
        self, text: str | bytes, *options: object, name: str = "theirs.csv"
    ) -> Result:
        """Grade a file with *text*."""
        path = self.folder / name
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return self.grade_path(path, *options)

    def grade_path(self, path: Path, *options: object) -> Result:
        """Grade the file *path*, with the grade in the folder `grades`."""
        place = ("--database", self.database, "--out-dir", self.folder / "grades")
        return call(run_query.main, *place, "--grade", path, *options)

    def read_grade(self) -> dict[str, Any]:
        """Return the last grade.json."""
        path = self.folder / "grades" / "grade.json"
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    def assert_full(self, text: str | bytes, *options: object) -> dict[str, Any]:
        """Fail unless *text* gets full marks; return its grade."""
        result = self.grade(text, *options)
        self.assertEqual((result.status, result.stderr), (0, ""), result.stdout)
        self.assertIn("Full marks", result.stdout)
        return self.read_grade()

    def pick(self, *columns: str) -> list[Record]:
        """Return these columns of the right cells."""
        return [{name: record[name] for name in columns} for record in self.records]


class Shapes(GradeCase):
    """A right answer gets full marks in any sane shape."""

    def assert_columns(self, grade: Mapping[str, Any], *columns: str) -> None:
        """Fail unless *columns* were graded, and no other."""
        self.assertEqual({one["column"] for one in grade["columns"]}, {*columns})

    def test_our_own_files(self) -> None:
        for name in ("query_result.csv", "query_result.json"):
            grade = self.assert_full(self.read(name))
            self.assertGreaterEqual(len(grade["columns"]), 15)
            self.assertEqual(grade["unmatched"], [])

    def test_other_delimiters_orders_encodings_and_line_ends(self) -> None:
        records = self.pick("net_cents", "months_since", "cohort", "active_customers")
        random.Random(3).shuffle(records)  # noqa: S311
        for delimiter in ",;\t|":
            text = write_csv(records, delimiter)
            with self.subTest(delimiter=delimiter):
                grade = self.assert_full(text)
                self.assert_columns(grade, "net_cents", "active_customers")
        text = write_csv(records)
        for data in (
            text.encode("utf-8-sig"),
            text.encode("utf-16"),
            text.replace("\n", "\r\n").encode("cp1252"),
            b"sep=,\r\n" + text.encode(),
            text.encode() + b"\n\n,,,\n",
        ):
            with self.subTest(data=data[:20]):
                self.assert_full(data)

    def test_spellings_of_months(self) -> None:
        spellings: tuple[Callable[[str], str], ...] = (
            lambda month: f"{month}-01",
            lambda month: f"{month}-01T00:00:00Z",
            lambda month: f"{month}-01 00:00:00",
            name_month,
            lambda month: f"{month[5:]}/{month[:4]}",
            lambda month: f"{month[5:]}/01/{month[:4]}",
            lambda month: f"01.{month[5:]}.{month[:4]}",
            lambda month: month.replace("-", ""),
            lambda month: f"{MONTH_NAMES[int(month[5:]) - 1]}-{month[2:4]}",
        )
        for spell in spellings:
            records = [
                {
                    "Cohort": spell(record["cohort"]),
                    "Order Month": spell(record["period_month"]),
                    "Orders": record["order_count"],
                }
                for record in self.records
            ]
            with self.subTest(records[0]["Cohort"]):
                self.assert_columns(self.assert_full(write_csv(records)), "order_count")

    def test_decimals_percents_nulls_and_synonyms(self) -> None:
        for null in ("", "NULL", "NaN", "n/a"):
            records = [
                {
                    "cohort_month": record["cohort"],
                    "month": record["months_since"],
                    "users": record["cohort_size"],
                    "Revenue (USD)": f"{record['net_cents'] / 100:,.2f}",
                    "AOV": null
                    if record["aov_cents"] is None
                    else f"$ {record['aov_cents'] / 100:.2f}",
                    "Retention Rate": f"{record['retention'] * 100:.1f} %",
                    "LTV": f"{record['cum_net_per_customer_cents'] / 100:.2f}",
                }
                for record in self.records
            ]
            with self.subTest(null):
                grade = self.assert_full(write_csv(records))
                found = {one["header"]: one["column"] for one in grade["matched"]}
                self.assertEqual(found["users"], "cohort_size")
                self.assertEqual(found["Revenue (USD)"], "net_cents")
                self.assertEqual(found["LTV"], "cum_net_per_customer_cents")

    def test_decimal_commas(self) -> None:
        records = [
            {
                "cohort": record["cohort"],
                "age": record["months_since"],
                "net": f"{record['net_cents'] / 100:.2f}".replace(".", ","),
            }
            for record in self.records
        ]
        self.assert_full(write_csv(records, ";"))

    def pivot(self, column: str, label: Callable[[Record], str]) -> list[Record]:
        """Return *column* as a triangle with a column for each label."""
        labels = sorted({label(record) for record in self.records})
        return [
            {"cohort": cohort, "size": members[0]["cohort_size"]}
            | dict.fromkeys(labels, "")
            | {label(record): record[column] for record in members}
            for cohort in sorted({record["cohort"] for record in self.records})
            for members in [[one for one in self.records if one["cohort"] == cohort]]
        ]

    def test_triangles(self) -> None:
        for label in (
            lambda record: str(record["months_since"]),
            lambda record: f"M{record['months_since']}",
            lambda record: record["period_month"],
            lambda record: name_month(record["period_month"]),
        ):
            for column in ("active_customers", "net_cents", "retention"):
                rows = self.pivot(column, label)
                with self.subTest(column=column, labels=list(rows[0])[:3]):
                    grade = self.assert_full(write_csv(rows))
                    self.assert_columns(grade, "cohort_size", column)
        text = write_csv(
            self.pivot("gross_cents", lambda record: f"{record['months_since']}")
        )
        self.assert_columns(
            self.assert_full(text, "--columns", "value=gross_cents"),
            "cohort_size",
            "gross_cents",
        )

    def test_a_triangle_whose_columns_are_cohorts(self) -> None:
        cohorts = sorted({record["cohort"] for record in self.records})
        ages = sorted({record["months_since"] for record in self.records})
        values = {
            (record["cohort"], record["months_since"]): record["order_count"]
            for record in self.records
        }
        rows = [
            {"month": age} | {cohort: values.get((cohort, age), "") for cohort in cohorts}
            for age in ages
        ]
        self.assert_columns(self.assert_full(write_csv(rows)), "order_count")

    def test_names_in_another_language_with_the_option(self) -> None:
        records = [
            {
                "Kohorte": one["cohort"],
                "Alter": one["months_since"],
                "Umsatz": one["net_cents"],
            }
            for one in self.records
        ]
        refused = self.grade(write_csv(records))
        self.assertEqual(refused.status, 1)
        self.assertIn("--columns THEIRS=months_since", refused.stderr)
        grade = self.assert_full(
            write_csv(records), "--columns", "Alter=months_since,Umsatz=net_cents"
        )
        self.assert_columns(grade, "net_cents")

    def test_an_unknown_name_is_matched_by_values_that_are_nearly_right(self) -> None:
        records = [
            {
                "Kohorte": one["cohort"],
                "month": one["months_since"],
                "Umsatz": f"{one['net_cents'] / 100:.2f}",
                "Nummer": number,
            }
            for number, one in enumerate(self.records)
        ]
        grade = self.assert_full(write_csv(records))
        self.assert_columns(grade, "net_cents")
        self.assertEqual(grade["unmatched"], ["Nummer"])

    def test_rows_of_totals_are_listed_and_not_graded(self) -> None:
        records = [*self.pick("cohort", "months_since", "net_cents")]
        records.append({"cohort": "Total", "months_since": "", "net_cents": 5})
        text = write_csv(records)
        self.assertEqual(self.assert_full(text)["ignored_rows"], 1)
        self.assertIn("a month (Total)", self.grade(text).stdout)

    def test_a_list_of_objects(self) -> None:
        self.assert_full(json.dumps(self.pick("cohort", "months_since", "margin_cents")))


class Marking(GradeCase):
    """Exactly the cells that differ lose points."""

    def test_our_result_with_any_options_gets_full_marks(self) -> None:
        for options in (
            ("--cohort", "quarter"),
            ("--by", "channel"),
            ("--cohort", "quarter", "--by", "category"),
            ("--as-of", "2024-03-15", "--valid-status", "paid,shipped,cancelled"),
        ):
            self.read_document(*options)
            for name in ("query_result.csv", "query_result.json"):
                with self.subTest(options=options, name=name):
                    self.assert_full(self.read(name), *options)

    def test_a_changed_cell_loses_exactly_that_cell(self) -> None:
        lines = self.read("query_result.csv").decode().splitlines()
        header = lines[0].split(",")
        chance = random.Random(5)  # noqa: S311
        for column in header[3:]:
            at = chance.randrange(1, len(lines))
            cells = lines[at].split(",")
            cells[header.index(column)] = str(int(cells[header.index(column)]) + 1)
            changed = [*lines[:at], ",".join(cells), *lines[at + 1 :]]
            with self.subTest(column):
                self.assertEqual(self.grade("\n".join(changed)).status, 1)
                (wrong,) = self.read_grade()["cells"]
                self.assertEqual(wrong["column"], column)
                self.assertEqual([wrong["cohort"], str(wrong["months_since"])], cells[:2])
                points = self.read_grade()["points"]
                lost = 10 / (len(lines) - 1)
                self.assertAlmostEqual(points["most"] - points["reached"], lost, places=2)

    def test_missing_and_extra_rows_and_texts_are_not_right(self) -> None:
        records = self.pick("cohort", "months_since", "net_cents")
        last = max(record["months_since"] for record in records)
        lost = records.pop(2)
        records[0]["net_cents"] = "=1+1"
        records.append({"cohort": "2023-10", "months_since": last + 1, "net_cents": 0})
        self.grade(write_csv(records))
        found = {cell["verdict"]: cell for cell in self.read_grade()["cells"]}
        self.assertEqual(found["missing"]["months_since"], lost["months_since"])
        self.assertEqual(found["extra"]["months_since"], last + 1)
        self.assertEqual(found["wrong"]["text"], "=1+1")

    def test_a_blank_future_cell_is_not_extra(self) -> None:
        records = self.pick("cohort", "months_since", "net_cents")
        records.append({"cohort": "2023-10", "months_since": 99, "net_cents": ""})
        self.assert_full(write_csv(records))

    def test_a_tolerance_accepts_amounts_that_are_near_and_no_count(self) -> None:
        records = self.pick("cohort", "months_since", "net_cents", "order_count")
        for record in records:
            record["net_cents"] += 2
        text = write_csv(records)
        self.assertEqual(self.grade(text, "--tolerance", 1).status, 1)
        self.assert_full(text, "--tolerance", 2)
        records[0]["order_count"] += 1
        self.assertEqual(self.grade(write_csv(records), "--tolerance", 2).status, 1)

    def test_a_ratio_is_right_as_far_as_its_digits_are_shown(self) -> None:
        for digits, status in ((6, 0), (2, 0), (4, 0)):
            records = [
                {
                    "cohort": record["cohort"],
                    "months_since": record["months_since"],
                    "retention": f"{record['retention']:.{digits}f}",
                }
                for record in self.records
            ]
            with self.subTest(digits):
                self.assertEqual(self.grade(write_csv(records)).status, status)
        records[1]["retention"] = f"{self.records[1]['retention'] + 0.0002:.4f}"
        self.assertEqual(self.grade(write_csv(records)).status, 1)

    def test_columns_not_handed_in_count_only_if_required(self) -> None:
        text = write_csv(self.pick("cohort", "months_since", "net_cents"))
        self.assert_full(text)
        result = self.grade(text, "--require", "net_cents,gross_cents")
        self.assertEqual(result.status, 1)
        self.assertIn("10.00 of 20 points", result.stdout)

    def test_points_of_the_reviewer(self) -> None:
        scheme = self.folder / "scheme.toml"
        scheme.write_text("[points]\nnet_cents = 30\ncohort_size = 1.5\n")
        text = self.read("query_result.csv")
        grade = self.assert_full(text, "--points", scheme)
        self.assertEqual(grade["points"]["reached"], 31.5)
        result = self.grade(text, "--points", scheme, "--require", "aov_cents")
        self.assertIn("has no points for aov_cents, which --require names", result.stderr)
        for content, reason in (
            ("", "has no table [points]"),
            ("[points]\nnet = 3\n", "points.net is not a column"),
            ("[points]\nnet_cents = -3\n", "points.net_cents is -3"),
            ("points", "is not TOML"),
        ):
            scheme.write_text(content)
            result = self.grade(text, "--points", scheme)
            with self.subTest(content):
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertIn(reason, result.stderr)

    def test_regions_count_the_cells_that_are_wrong_there(self) -> None:
        records = self.pick("cohort", "months_since", "net_cents")
        for record in records:
            if record["months_since"] == 0:
                record["net_cents"] += 1
        self.grade(write_csv(records))
        regions = {one["region"]: one for one in self.read_grade()["regions"]}
        self.assertEqual(regions["first month"]["right"], 0)
        self.assertNotIn("later months", regions)


class Folders(GradeCase):
    """Every file of a folder is graded, and ranked."""

    def setUp(self) -> None:
        """Make submissions: two right ones, a wrong one, and some that are not usable."""
        super().setUp()
        self.submissions = self.folder / "submissions"
        self.submissions.mkdir()
        (self.submissions / "inner").mkdir()
        right = self.pick("cohort", "months_since", "net_cents", "refund_cents")
        wrong = [
            one | {"net_cents": one["net_cents"] + one["refund_cents"]} for one in right
        ]
        self.put("ann.csv", write_csv(right))
        self.put("bob.json", json.dumps(right))
        self.put("=cmd().csv", write_csv(wrong))
        self.put("empty.csv", "")
        self.put(".hidden.csv", "")

    def put(self, name: str, text: str) -> None:
        """Write a submission."""
        (self.submissions / name).write_text(text, encoding="utf-8")

    def read_ranking(self) -> list[dict[str, str]]:
        """Return the records of ranking.csv."""
        return read_rows(self.folder / "grades" / "ranking.csv")

    def test_files_are_ranked_and_one_that_is_not_usable_stops_no_other(self) -> None:
        result = self.grade_path(self.submissions)
        self.assertEqual((result.status, result.stderr), (1, ""))
        records = self.read_ranking()
        self.assertEqual(
            [(one["rank"], one["file"]) for one in records],
            [("1", "ann.csv"), ("1", "bob.json"), ("3", "'=cmd().csv"), ("", "empty.csv")],
        )
        self.assertEqual(records[0]["points"], "20.0")
        self.assertIn("is empty", records[3]["not_graded"])
        self.assertIn("3 files graded.", result.stdout)
        self.assertIn("empty.csv: is empty.", result.stdout)
        names = {path.name for path in (self.folder / "grades").iterdir()}
        self.assertIn("ann.csv.grade.md", names)
        self.assertEqual(len(names), 7)

    def test_all_right_is_status_0_and_nothing_is_written_without_a_folder(self) -> None:
        for name in ("=cmd().csv", "empty.csv"):
            (self.submissions / name).unlink()
        result = call(
            run_query.main, "--database", self.database, "--grade", self.submissions
        )
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertNotIn("Written", result.stdout)
        self.assertFalse((self.folder / "grades").exists())

    def test_an_override_concerns_only_the_files_with_that_column(self) -> None:
        text = write_csv(self.pick("cohort", "months_since", "net_cents"))
        self.put("carl.csv", text.replace("net_cents", "Umsatz"))
        self.grade_path(self.submissions, "--columns", "Umsatz=net_cents")
        ranks = {one["file"]: one["rank"] for one in self.read_ranking()}
        self.assertEqual((ranks["ann.csv"], ranks["carl.csv"]), ("1", "1"))

    def test_a_folder_without_files_or_for_both_purposes_is_refused(
        self,
    ) -> None:
        result = self.grade_path(self.submissions / "inner")
        self.assertIn("has 0 files", result.stderr)
        result = self.grade_path(self.submissions, "--out-dir", self.submissions)
        self.assertEqual(result.status, 2)


class Hostile(GradeCase):
    """A submission that cannot be graded ends in one clear line."""

    def assert_refused(self, result: Result, reason: str) -> None:
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertTrue(result.stderr.startswith("run_query: error: "), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertLess(len(result.stderr), 2000)
        self.assertIn(reason, result.stderr)

    def test_what_is_no_table_is_refused(self) -> None:
        cohort = self.records[0]["cohort"]
        for content, reason in (
            (b"", "is empty"),
            (b"\n \n", "is empty"),
            (b"cohort,months_since,net\n", "has no row"),
            (b"\x7fELF\x00\x01\x02", "is not text"),
            (b"no table here\nbut some prose.\n", "has no delimiter"),
            (b"a,b\n1,2\n", "has no column for cohort"),
            (b"a,a\n1,2\n", "as the name of two columns"),
            (f"cohort,net_cents\n{cohort},5\n".encode(), "has no column for months_since"),
            (f"cohort,age,x\n{cohort},0,5\n".encode(), "has no figure"),
            (f"cohort,age,net\n{cohort},0,5\n{cohort},0,5\n".encode(), "repeats cohort"),
            (b"cohort,age,net\nx,0,5\ny,0,5\n", "has no column for cohort"),
            (b'cohort,age,net\n"' + b"x" * 200_000 + b'",0,5\n', "delimiter"),
            (b"[" * 100_000, "is not valid JSON"),
            (b'{"cells": 7}', "holds no table"),
            (b'{"cells": [{"cohort": [1]}]}', "holds [1] in a record"),
            (b"[1, 2]", "holds no table"),
            (b"cohort," + b"x," * 100_000 + b"\n" + b"1," * 100_001 + b"\n", "columns"),
        ):
            with self.subTest(content[:30]):
                self.assert_refused(self.grade(content), reason)

    def test_a_large_file_is_not_read(self) -> None:
        path = self.folder / "large.csv"
        with path.open("wb") as file:
            file.truncate(100 << 20)
        self.assert_refused(self.grade_path(path), "more than 16,777,216 bytes")

    def test_far_more_rows_than_there_are_cells_are_not_graded(self) -> None:
        lines = ["cohort,months_since,net_cents"]
        lines += [f"2023-10,{age},1" for age in range(1800)]
        result = self.grade("\n".join(lines))
        self.assert_refused(result, "has 1,800 cohorts and months")

    def test_damaged_files_end_in_a_line_or_a_grade(self) -> None:
        chance = random.Random(11)  # noqa: S311
        for name in ("query_result.csv", "query_result.json"):
            for _ in range(60 if IN_CI else 4):
                data = bytearray(self.read(name))
                for _ in range(chance.choice((1, 5, 50))):
                    data[chance.randrange(len(data))] = chance.randrange(256)
                result = self.grade(bytes(data[: chance.choice((900, len(data)))]))
                self.assertIn(result.status, (0, 1))
                self.assertLessEqual(result.stderr.count("\n"), 1)

    def test_a_missing_file_and_a_pipe_are_refused(self) -> None:
        self.assert_refused(self.grade_path(self.folder / "no.csv"), "No such file")
        skip_on_windows("Windows has no named pipes in folders")
        os.mkfifo(self.folder / "pipe")
        self.assert_refused(self.grade_path(self.folder / "pipe"), "not a regular file")

    def test_texts_of_strangers_are_escaped(self) -> None:
        records = self.pick("cohort", "months_since", "net_cents")
        records[0] |= {"net_cents": "\x1b]0;title\x07<b>|"}
        for record in records:
            record["\x1b[31mred"] = "=HYPERLINK(1)"
        result = self.grade(write_csv(records), name="\u202eevil.csv")
        self.assertEqual((result.status, result.stderr), (1, ""))
        page = (self.folder / "grades" / "grade.md").read_text(encoding="utf-8")
        for text in (result.stdout, page):
            self.assertTrue(text.replace("\n", "").isprintable(), text)
        self.assertNotIn("<b>", page)

    def test_numbers_that_would_take_long_are_texts(self) -> None:
        for number in ("9" * 5000, "1e99999999", "--1", "0x10", "١"):
            records = self.pick("cohort", "months_since", "net_cents")
            records[0]["net_cents"] = number
            result = self.grade(write_csv(records))
            with self.subTest(number[:20]):
                self.assertEqual((result.status, result.stderr), (1, ""))
                self.assertEqual(self.read_grade()["cell_count"], 1)

    def test_options_that_do_not_fit_are_wrong_usage(self) -> None:
        for options, reason in (
            (("--tolerance", 1), "--tolerance has no effect without --grade"),
            (("--grade", "x.csv", "--query", "q.sql"), "omit --query"),
            (("--grade", "x.csv", "--score"), "omit --score"),
            (("--grade", "x.csv", "--all"), "it does not print; omit --all"),
            (("--grade", "x.csv", "--columns", "a=b"), "expected THEIRS=OURS"),
            # A column that does not exist would give full marks without being handed in.
            (
                ("--grade", "x.csv", "--require", "net_cents,retenton"),
                "--require: 'retenton', expected names of cohort_size, active_customers",
            ),
        ):
            result = call(run_query.main, *options)
            with self.subTest(options):
                self.assertEqual(result.status, 2)
                self.assertIn(reason, result.stderr)
