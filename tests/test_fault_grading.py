"""Findings and cleaned files are graded with the key: found, missed, damaged."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import generate_data
import ingest
from data_generation.faults.fault_catalogue import KINDS
from db.fault_grading.answer_places import AnswerKey
from db.fault_grading.cleaned_files import grade_cleaned
from db.fault_grading.fault_grades import INVISIBLE_TIER, grade_findings
from db.fault_grading.findings import Finding, read_findings
from db.fault_grading.own_findings import find_own
from tests.shop import ORDER_ITEMS, ORDERS, PAYMENTS, PRODUCTS, USERS, Row
from tests.support import IN_CI, Result, ShopCase, call, read_tree, skip
from tests.test_planted_faults import SEEDS, faulty_shop
from utils.answer_key import Decoy, PlantedFault, PlantedIncident
from utils.contract import read_contract
from utils.helpers import DataError

ROWS: dict[str, list[Row]] = {
    "users": USERS,
    "products": PRODUCTS,
    "orders": ORDERS,
    "order_items": ORDER_ITEMS,
    "payments": PAYMENTS,
}

# What the faulty files have: the line of a copied order and its line, and a planted decoy.
COPIED_ORDER: Row = (9, 1, "2024-03-12T20:00:00Z", "shipped", 7000, 1000, 0, 1200, 7200)
COPIED_ITEM: Row = (11, 9, 1, 1, 2000, 0, 2000)
DECOY_ITEM: Row = (12, 2, 2, 1, 1000, 0, 1000)


def fault(place: str, clean: str = "", faulty: str = "", **others: Any) -> PlantedFault:
    """Return a fault at *place*, `table key [column]`; *others* replace its parts."""
    table, key, *column = place.split()
    name = column[0] if column else ""
    table_columns = {each.name: each.column_names for each in read_contract().tables}
    field = table_columns[table].index(name) + 1 if name else None
    plain = PlantedFault(
        fault_id=place,
        incident_id="one-1",
        kind="one",
        fault_class="incorrect",
        level="cell" if name else "row",
        table=table,
        key=key,
        column=name,
        line=int(key) + 1,
        field=field,
        clean=clean,
        faulty=faulty,
        expected="",
        tier=2,
        certainty="error",
        effect_cents=None,
    )
    return plain._replace(**others)


def join(row: Row) -> str:
    """Return *row* as a line of a file without quotes."""
    return ",".join(map(str, row))


FAULTS = [
    fault("users 3 city", "Cork", "cork "),
    fault("users 4 full_name", "Zoë Null", "ZoÃ« Null", tier=4),
    fault("users 2 email", "bob@example.com", "bob@example.con", certainty="indicator"),
    fault("order_items 6 quantity", "3", "33", tier=3, incident_id="two-1", kind="two"),
    fault("orders 9", "", join(COPIED_ORDER), fault_class="redundant"),
    fault("order_items 11", "", join(COPIED_ITEM), fault_class="redundant"),
    fault("payments 3", join(PAYMENTS[2]), fault_class="missing", line=None),
]

DECOYS = [
    Decoy("d-1", "big", "order_items", "12", 13, 1, join(DECOY_ITEM), "a line"),
    Decoy("d-2", "own", "products", "4", 5, 0, "", "never sold"),
]


def describe_incident(name: str, tables: str, days: tuple[str, str]) -> PlantedIncident:
    """Return an incident in *tables* from the first to the last of *days*."""
    figures = (0,) * 11
    words = (name.split("-", maxsplit=1)[0], "entry", "what", tables, *days)
    return PlantedIncident(name, *words, 1, "at random", "", "own", *figures[1:])


KEY = AnswerKey(
    FAULTS,
    [
        describe_incident("one-1", "users orders", ("2024-01-01", "2024-12-31")),
        describe_incident("two-1", "order_items", ("2024-02-29", "2024-02-29")),
    ],
    DECOYS,
)


def make_faulty_rows() -> dict[str, list[list[Any]]]:
    """Return the rows of the faulty files."""
    rows = {name: [list(row) for row in table] for name, table in ROWS.items()}
    for each in FAULTS:
        if each.column and each.field:
            rows[each.table][int(each.key) - 1][each.field - 1] = each.faulty
    rows["orders"].append(list(COPIED_ORDER))
    rows["order_items"] += [list(COPIED_ITEM), list(DECOY_ITEM)]
    del rows["payments"][2]
    return rows


def write_files(folder: Path, rows: Mapping[str, Sequence[Sequence[object]]]) -> Path:
    """Write *rows* by table as five files to *folder*."""
    for table in read_contract().tables:
        with open(folder / f"{table.name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([table.column_names, *rows[table.name]])
    return folder


class GradedFindings(ShopCase):
    """A finding counts for the fault at its place, in its row, or of its order."""

    def grade(self, *findings: Finding) -> dict[str, Any]:
        """Return the grade of *findings* in the faulty files."""
        return grade_findings(KEY, write_files(self.folder, make_faulty_rows()), findings)

    def assert_counts(self, findings: Sequence[Finding], **expected: int) -> None:
        """Fail unless the counts of *findings* and faults are those *expected*, or 0."""
        grade = self.grade(*findings)
        counts = Counter(grade["findings"]) + Counter(
            {name: grade["faults"][name] for name in ("exact", "in_row", "related")}
        )
        del counts["count"]
        self.assertEqual(counts, Counter(expected))

    def test_place_of_a_finding_decides_what_it_finds(self) -> None:
        for finding, expected in (
            (Finding("users", "3", column="city"), {"right": 1, "exact": 1}),
            (Finding("users", "3"), {"right": 1, "exact": 1}),
            (Finding("users", line=4, column="city"), {"right": 1, "exact": 1}),
            (Finding("users", "3", column="email"), {"right": 1, "in_row": 1}),
            # Its line has the fault, so the order is right.
            (Finding("orders", "5"), {"right": 1, "related": 1}),
            (Finding("orders", "9"), {"right": 1, "exact": 1, "related": 1}),
            # The payment that is missing belongs to it.
            (Finding("orders", "2"), {"right": 1, "related": 1}),
            (Finding("payments", "3"), {"right": 1, "exact": 1}),
            (Finding("users", "1"), {"false_alarms": 1}),
            (Finding("users", "77"), {"false_alarms": 1}),
            (Finding("products", "4"), {"decoys": 1}),
            (Finding("users", "4", column="full_name"), {"uncounted": 1}),
            (Finding("users", "2", column="email"), {"uncounted": 1}),
        ):
            with self.subTest(finding.describe()):
                self.assert_counts([finding], **expected)

    def test_finding_that_is_given_twice_counts_once(self) -> None:
        self.assert_counts([Finding("users", "1")] * 2, false_alarms=1)

    def test_finding_about_a_day_finds_the_incident_of_that_day(self) -> None:
        days = ("2024-02-29", "2024-02-29")
        grade = self.grade(Finding("order_items", days=days))
        self.assertEqual([each["is_found"] for each in grade["incidents"]], [False, True])
        self.assertEqual((grade["faults"]["recall"], grade["precision"]), (0, 1))
        # An incident of a year is at no time, and users have no incident of a day.
        self.assert_counts([Finding("users", days=days)], false_alarms=1)

    def test_account_of_nobody_finds_its_orders(self) -> None:
        account = fault("users 1", faulty=join(USERS[0]), fault_class="redundant")
        order = fault("orders 1", faulty=join(ORDERS[0]), fault_class="redundant")
        line = fault("order_items 1", faulty=join(ORDER_ITEMS[0]), fault_class="redundant")
        other = fault("orders 2", faulty=join(ORDERS[1]), fault_class="redundant")
        key = KEY._replace(faults=[account, order, line, other])
        folder = write_files(self.folder, ROWS)
        for finding, found in ((Finding("users", "1"), 3), (Finding("users", "2"), 0)):
            with self.subTest(finding.key):
                grade = grade_findings(key, folder, [finding])
                self.assertEqual(
                    grade["faults"]["planted"] - grade["faults"]["missed"], found
                )

    def test_number_of_a_missing_order_finds_its_lines_and_payments(self) -> None:
        missing = [
            fault(f"{table} 1", clean=join(rows[0]), fault_class="missing", line=None)
            for table, rows in (("orders", ORDERS), ("order_items", ORDER_ITEMS))
        ]
        rows = {name: list(table) for name, table in ROWS.items()}
        for each in missing:
            rows[each.table] = rows[each.table][1:]
        folder = write_files(self.folder, rows)
        key = KEY._replace(faults=missing, decoys=[])
        grade = grade_findings(key, folder, [Finding("orders", "1")])
        counts = [grade["faults"][name] for name in ("exact", "related", "missed")]
        self.assertEqual(counts, [1, 1, 0])

    def test_shares_are_those_of_the_counted_faults_and_findings(self) -> None:
        grade = self.grade(
            Finding("users", "3"),
            Finding("orders", "9"),
            Finding("users", "1"),
            Finding("users", "4"),
        )
        self.assertEqual(grade["faults"]["planted"], 5)
        self.assertEqual(grade["faults"]["recall"], 3 / 5)
        self.assertEqual(grade["precision"], 2 / 3)
        self.assertAlmostEqual(grade["f1"], 2 * 0.6 / (0.6 + 2 / 3) * 2 / 3)
        self.assertEqual(
            [(row["tier"], row["planted"], row["missed"]) for row in grade["by_tier"]],
            [(2, 4, 1), (3, 1, 1)],
        )
        self.assertEqual(
            [place["place"] for place in grade["missed"]],
            ["order_items 6 quantity", "payments 3"],
        )

    def test_nothing_found_has_no_precision(self) -> None:
        grade = self.grade()
        self.assertEqual((grade["faults"]["recall"], grade["precision"]), (0, None))
        self.assertIsNone(grade["f1"])


class FileOfFindings(ShopCase):
    """The findings of any tool are read, or refused with their line."""

    def read(self, text: str) -> list[Finding]:
        """Return the findings in a file with *text*."""
        path = self.folder / "found.csv"
        path.write_text(text, encoding="utf-8")
        return list(read_findings(path, read_contract()))

    def test_rows_and_cells_are_named_by_key_or_by_line(self) -> None:
        self.assertEqual(
            self.read(
                "\ufeffTable,KEY,column,label\norders,7,user_id,dup\nusers.csv,3,,\n"
            ),
            [Finding("orders", "7", None, "user_id", "dup"), Finding("users", "3")],
        )
        self.assertEqual(
            self.read("file,line,field\ndata/orders.csv,7,2\nusers,3,\n\nusers,4,99\n"),
            [
                Finding("orders", line=7, column="user_id"),
                Finding("users", line=3),
                Finding("users", line=4),
            ],
        )

    def test_what_names_no_place_is_refused_with_its_line(self) -> None:
        for text, words in (
            ("", ":1: no columns that name a row"),
            ("table,row\n", ":1: 'row' is not a column of findings"),
            ("table,column\n", ":1: no columns that name a row"),
            ("table,key\nclients,1\n", ":2: 'clients' is not a table, expected one of"),
            ("table,key,column\nusers,1,town\n", ":2: 'town' is not a column of users"),
            ("table,key\nusers,\n", ":2: names no row"),
            ("file,line\nusers.csv,0\n", ":2: line is '0', expected a number from 1 on"),
            ("file,line\nusers.csv,x\n", ":2: line is 'x', expected a number"),
            ("table,key\nusers,1,2\n", ":2: 3 fields, expected 2"),
            ('table,key\nusers,"1\n', "is not CSV in UTF-8"),
        ):
            with self.subTest(text):
                with self.assertRaises(DataError) as caught:
                    self.read(text)
                self.assertIn(words, str(caught.exception))


class CleanedFiles(ShopCase):
    """Cleaned files are compared with the clean ones, row by row."""

    def grade(self, edit: Callable[[dict[str, list[list[Any]]]], object]) -> dict[str, Any]:
        """Return the grade of the faulty files after *edit* of their rows."""
        rows = make_faulty_rows()
        edit(rows)

        def read_clean(table: str) -> list[bytes]:
            return (clean / f"{table}.csv").read_bytes().splitlines(keepends=True)

        clean, cleaned = self.folder / "clean", self.folder / "cleaned"
        for folder, content in ((clean, ROWS), (cleaned, rows)):
            folder.mkdir(exist_ok=True)
            write_files(folder, content)
        return grade_cleaned(KEY, cleaned, read_contract(), read_clean)

    def assert_outcomes(
        self, edit: Callable[[dict[str, list[list[Any]]]], object], **expected: int
    ) -> None:
        """Fail unless *edit* has these outcomes; all other faults are left."""
        grade = self.grade(edit)
        counts = {**grade["faults"], **grade["damage"]}
        shown = {"repaired", "changed", "cells_changed", "rows_lost", "rows_added"}
        found = {name: counts[name] for name in shown if counts[name]}
        self.assertEqual(found, expected)

    def test_unchanged_files_are_left_without_damage(self) -> None:
        self.assert_outcomes(lambda rows: rows)

    def test_clean_files_repair_everything(self) -> None:
        clean: Any = ROWS
        grade = self.grade(lambda rows: rows.update(clean))
        self.assertEqual((grade["faults"]["recall"], grade["precision"]), (1, 1))
        self.assertEqual(grade["decoys_removed"], 1)

    def test_each_change_has_its_outcome(self) -> None:
        def set_cell(table: str, row: int, field: int, cell: object) -> Any:
            return lambda rows: rows[table][row - 1].__setitem__(field - 1, cell)

        def remove(table: str, row: int) -> Any:
            return lambda rows: rows[table].pop(row - 1)

        new_user = [7, *USERS[0][1:]]
        for name, edit, expected in (
            ("a repaired cell", set_cell("users", 3, 5, "Cork"), {"repaired": 1}),
            ("a wrong repair", set_cell("users", 3, 5, "Dublin"), {"changed": 1}),
            ("a right cell", set_cell("users", 1, 5, "Lund"), {"cells_changed": 1}),
            ("a cell beside", set_cell("users", 3, 4, "GB"), {"cells_changed": 1}),
            ("a lost row", remove("products", 1), {"rows_lost": 1}),
            ("a row with a fault", remove("users", 3), {"changed": 1, "rows_lost": 1}),
            (
                "a new row",
                lambda r: r["users"].append(new_user),
                {"rows_added": 1},
            ),
            ("a copy", remove("orders", 9), {"repaired": 1}),
            # Either delivery of an order may be kept.
            ("the other copy", remove("orders", 7), {"repaired": 1}),
            (
                "a missing row",
                lambda rows: rows["payments"].append(PAYMENTS[2]),
                {"repaired": 1},
            ),
            (
                "a wrong row",
                lambda rows: rows["payments"].append([*PAYMENTS[2][:5], 1, "x"]),
                {"changed": 1},
            ),
        ):
            with self.subTest(name):
                self.assert_outcomes(edit, **expected)

    def test_order_of_rows_and_columns_does_not_count(self) -> None:
        grade = self.grade(lambda rows: rows["orders"].reverse())
        self.assertEqual(sum(grade["damage"].values()), 0)

    def test_lines_that_are_no_rows_are_judged_together(self) -> None:
        blank = fault("payments 1", "", "", fault_class="redundant", key="", line=3)
        key = KEY._replace(faults=[blank])
        for text, repaired in (("", 1), ("\n", 0), (",,,,,,\n", 0)):
            with self.subTest(text):
                folder = write_files(self.folder, ROWS)
                with open(folder / "payments.csv", "a", encoding="utf-8") as file:
                    file.write(text)
                grade = grade_cleaned(key, folder, read_contract(), self.read_clean)
                self.assertEqual(grade["faults"]["repaired"], repaired)

    def read_clean(self, table: str) -> list[bytes]:
        """Return the lines of the shop's own *table*."""
        lines = [read_columns(table), *map(join, ROWS[table])]
        return [f"{line}\n".encode() for line in lines]

    def test_file_that_is_not_the_table_is_refused(self) -> None:
        for text, words in (
            ("a,b\n", ":1: has other columns"),
            ("", "users.csv: is empty"),
            (None, "cannot be read"),
        ):
            write_files(self.folder, ROWS)
            path = self.folder / "users.csv"
            path.unlink() if text is None else path.write_text(text, encoding="utf-8")
            with self.subTest(words), self.assertRaises(DataError) as caught:
                grade_cleaned(KEY, self.folder, read_contract(), self.read_clean)
            self.assertIn(words, str(caught.exception))


def read_columns(table: str) -> str:
    """Return the header of *table*."""
    found = next(each for each in read_contract().tables if each.name == table)
    return ",".join(found.column_names)


class OwnFindings(ShopCase):
    """The loader finds all of tier 1, the report all of tier 2; neither finds more."""

    def grade(self, profile: str, seed: int, *arguments: object) -> tuple[Result, Any]:
        """Return the result of --grade on a planted shop, and its JSON."""
        key = faulty_shop(profile, seed) / "answer_key"
        result = call(ingest.main, "--grade", key, "--out-dir", self.folder, *arguments)
        return result, json.loads((self.folder / "grade.json").read_text(encoding="utf-8"))

    def test_loader_finds_every_fault_of_its_tier_and_no_other(self) -> None:
        for seed in SEEDS:
            with self.subTest(seed=seed):
                result, grade = self.grade("hostile", seed)
                self.assertEqual((result.status, result.stderr), (0, ""), result)
                self.assertEqual(grade["by_tier"][0]["recall"], 1)
                self.assertEqual(grade["precision"], 1)
                self.assertIn("Precision 100.0%", result.stdout)

    def test_report_finds_every_fault_of_its_tier_and_no_other(self) -> None:
        profiles = ("realistic", "light", "delivery", "export", "entry") if IN_CI else ()
        for profile in profiles:
            for seed in SEEDS if profile == "realistic" else SEEDS[:1]:
                with self.subTest(profile, seed=seed):
                    _, grade = self.grade(profile, seed)
                    found = {row["tier"]: row["recall"] for row in grade["by_tier"]}
                    self.assertEqual(found.get(2 if grade["loads"] else 1, 1), 1)
                    self.assertEqual(grade["false_alarms"], [])
                    self.assertEqual(grade["decoys_flagged"], [])

    def test_each_check_that_the_key_names_finds_something(self) -> None:
        if not IN_CI:
            skip("needs a report about another planted shop, so it runs in CI only")
        findings, _ = find_own(faulty_shop("realistic", SEEDS[0]) / "faulty")
        named = {kind.expected for kind in KINDS if 1 < kind.tier < INVISIBLE_TIER}
        self.assertEqual(named - {finding.label for finding in findings}, {""})

    def test_spelling_of_fewer_rows_is_the_finding(self) -> None:
        rows = {name: [list(row) for row in table] for name, table in ROWS.items()}
        rows["products"][3][3] = "Kitchen"
        findings, loads = find_own(write_files(self.folder, rows))
        self.assertTrue(loads)
        self.assertIn(
            Finding("products", "4", None, "category", "text_spellings"), findings
        )

    def test_full_folder_is_named_with_the_variable_that_names_another(self) -> None:
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname = "SQLITE_FULL"
        files = write_files(self.folder, ROWS)
        with (
            mock.patch("db.loading.loader.load_table", side_effect=full),
            self.assertRaisesRegex(DataError, "choose another place with TMPDIR"),
        ):
            find_own(files)

    def test_share_below_the_least_one_fails_a_strict_run(self) -> None:
        for options, status in (
            (("--strict",), 1),
            (("--strict", "--least-recall", 1), 0),
        ):
            with self.subTest(options):
                result, _ = self.grade("hostile", SEEDS[0], *options)
                self.assertEqual(result.status, status)
                if status:
                    self.assertRegex(result.stderr, r"the recall is .*%, expected 100%")

    def test_clean_files_get_full_marks_and_faulty_ones_none(self) -> None:
        shop = faulty_shop("hostile", SEEDS[0])
        key, clean = shop / "answer_key", self.folder / "clean"
        self.succeed(
            generate_data.main,
            *("--repair", key, "--data-dir", shop / "faulty", "--out-dir", clean),
        )
        before = read_tree(shop)
        result = call(ingest.main, "--grade", key, "--cleaned", clean, "--strict")
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        self.assertIn("Repaired 100.0%", result.stdout)
        self.assertEqual(read_tree(shop), before)

    def test_options_that_do_not_fit_are_refused(self) -> None:
        for options, words in (
            (("--findings", "x"), "--findings has no effect without --grade; add it"),
            (("--grade", "k", "--database", "x"), "omit --database"),
            (("--grade", "k", "--ingest"), "--grade is a run of its own; omit --ingest"),
            (("--grade", "k", "--least-recall", "5"), "add --strict"),
            (("--grade", "k", "--findings", "x", "--cleaned", "y"), "not allowed with"),
        ):
            with self.subTest(options):
                result = call(ingest.main, *options)
                self.assertEqual(result.status, 2)
                self.assertIn(words, result.stderr)

    def test_key_of_other_files_is_refused(self) -> None:
        key = faulty_shop("hostile", SEEDS[0]) / "answer_key"
        result = call(ingest.main, "--grade", key, "--data-dir", self.folder)
        self.assertEqual(result.status, 1)
        self.assertIn("Use the faulty files and the answer key of one run", result.stderr)
