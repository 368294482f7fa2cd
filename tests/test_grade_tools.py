"""What other tools print is read as findings about the right rows, without the tools."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

from benchmarks.grade_tools import Score, describe_safety, render_scores
from benchmarks.measuring import Usage
from benchmarks.tool_duckdb import list_conditions, read_constraint_error
from benchmarks.tool_findings import (
    REFERENCE,
    Found,
    Record,
    drop_consequences,
    list_line_numbers,
    read_findings_file,
    read_records,
    write_findings,
)
from benchmarks.tool_frames import Frame, divide_records
from benchmarks.tool_frictionless import find_undecoded, list_constraints, read_error
from benchmarks.tool_great_expectations import read_results
from benchmarks.tool_pandera import read_failures
from benchmarks.tool_rules import (
    TableRules,
    list_table_rules,
    read_rules_file,
    write_rules,
)
from benchmarks.tool_sqlite_shell import read_shell_messages
from benchmarks.tool_sqlite_utils import read_failed_insert
from db.fault_grading.findings import read_findings
from utils.contract import read_contract

RULES = {table.name: table for table in list_table_rules(read_contract())}
USERS = RULES["users"]


class Rules(unittest.TestCase):
    """The rules that the tools get are those of the schema."""

    def test_columns_have_their_types_choices_bounds_and_patterns(self) -> None:
        columns = {column.name: column for column in USERS.columns}
        self.assertEqual(
            columns["user_id"], ("user_id", "integer", True, True, [], 1, None, "")
        )
        self.assertEqual(columns["signed_up_at"].type, "instant")
        self.assertEqual(columns["country_code"].pattern, "[A-Z][A-Z]")
        self.assertTrue(columns["email"].is_unique)
        self.assertFalse(columns["city"].is_unique)
        orders = {column.name: column for column in RULES["orders"].columns}
        self.assertIn("cancelled", orders["status"].choices)
        items = {column.name: column for column in RULES["order_items"].columns}
        self.assertEqual((items["quantity"].minimum, items["quantity"].maximum), (1, 10**6))
        self.assertEqual(
            list_constraints(columns["user_id"]), {"unique": True, "minimum": 1}
        )

    def test_rules_that_compare_columns_are_python_and_sql(self) -> None:
        rules = {rule.name: rule for rule in RULES["order_items"].row_rules}
        rule = rules["discount_cents_is_within_the_line"]
        within = "0 <= discount_cents and discount_cents <= quantity * unit_price_cents"
        self.assertEqual(rule.python, within)
        self.assertEqual(rules["order_item_id_is_positive"].python, "")

    def test_every_rule_of_the_schema_is_in_a_column_or_in_python(self) -> None:
        for table in RULES.values():
            expressed = {
                column.name
                for column in table.columns
                if column.choices or column.pattern or column.minimum is not None
            }
            for rule in table.row_rules:
                has_column = any(rule.name.startswith(name) for name in expressed)
                self.assertTrue(rule.python or has_column, rule.name)

    def test_rules_are_the_same_after_they_are_written_and_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rules.json")
            write_rules(list(RULES.values()), path)
            self.assertEqual(read_rules_file(path), list(RULES.values()))


class Lines(unittest.TestCase):
    """Records and lines of a file with every fault of its form."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "users.csv")

    def test_record_has_the_line_in_which_it_begins(self) -> None:
        self.path.write_bytes(b'a,b\n1,"x\ny"\n\n2\rz\n3,\xe9\n4,"q\n5,r\n')
        records = [(line, len(cells)) for line, cells in read_records(self.path)]
        self.assertEqual(records, [(1, 2), (2, 2), (4, 0), (5, 1), (5, 1), (6, 2), (7, 2)])

    def test_lone_return_ends_a_line_for_some_readers(self) -> None:
        self.path.write_bytes(b"a,b\n1\r2\n\n3,4\r\n5")
        self.assertEqual(list_line_numbers(self.path), [1, 2, 2, 3, 4, 5])

    def test_findings_are_a_file_that_the_grade_reads(self) -> None:
        found = Found("users", line=7, column="email", label="unique")
        write_findings([found, found, Found("orders", "17")], self.path)
        self.assertEqual(read_findings_file(self.path)[0], found)
        read = list(read_findings(self.path, read_contract()))
        self.assertEqual([(each.key, each.line) for each in read], [("", 7), ("17", None)])


class Consequences(unittest.TestCase):
    """A reference to a row that is in its file is no finding of its own."""

    def test_only_references_to_rows_that_are_not_in_the_file_remain(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        texts = dict.fromkeys(RULES, "header\n")
        texts["users"] += "1,refused\n"
        texts["orders"] += "10,1,2025\n11,9,2025\n"
        for name, text in texts.items():
            Path(folder.name, f"{name}.csv").write_text(text, encoding="utf-8")
        orphan = Found("orders", "11", None, "user_id", REFERENCE)
        other = Found("orders", "10", None, "user_id", "required")
        findings = [
            Found("orders", "10", None, "user_id", REFERENCE),
            Found("orders", line=2, label=REFERENCE),
            orphan,
            orphan._replace(key="", line=3),
            other,
        ]
        self.assertEqual(
            list(drop_consequences(findings, Path(folder.name), RULES.values())),
            [orphan, orphan._replace(key="", line=3), other],
        )


class Messages(unittest.TestCase):
    """The messages of each tool name a row, and a column where they can."""

    def test_sqlite_shell(self) -> None:
        text = (
            "d/users.csv:3: INSERT failed: UNIQUE constraint failed: users.email\n"
            "d/users.csv:4: INSERT failed: CHECK constraint failed: email_has_one_at_sign\n"
            "d/users.csv:9: expected 7 columns but found 8 - extras ignored\n"
            'd/users.csv:12: unescaped " character\n'
            "Runtime error near line 4: no such table\n"
        )
        check = "CHECK constraint failed: email_has_one_at_sign"
        self.assertEqual(
            list(read_shell_messages(text)),
            [
                Found("users", "", 3, "email", "UNIQUE constraint failed: users.email"),
                Found("users", "", 4, "", check),
                Found("users", "", 9, "", "expected 7 columns"),
                Found("users", "", 12, "", 'unescaped " character'),
            ],
        )

    def test_sqlite_utils_names_the_values_of_a_row(self) -> None:
        text = (
            "Error: UNIQUE constraint failed: users.email\n\n"
            'sql = INSERT INTO "users" ("email", "user_id") VALUES (?, ?)\n'
            "parameters = ['a(b)@c', '35']\n"
        )
        label = "Error: UNIQUE constraint failed: users.email"
        self.assertEqual(
            list(read_failed_insert(USERS, text)), [Found("users", "35", label=label)]
        )
        self.assertEqual(list(read_failed_insert(USERS, "Error: no such file")), [])

    def test_duckdb_names_the_value_of_a_key_but_not_of_a_check(self) -> None:
        orphan = (
            'Constraint Error: Violates foreign key constraint because key "order_id: 4"'
            " does not exist in the referenced table"
        )
        other = 'Constraint Error: Duplicate key "email: a@b" violates unique constraint.'
        check = "Constraint Error: CHECK constraint failed on table users with expression …"
        self.assertEqual(read_constraint_error(orphan), ("order_id", "4", REFERENCE))
        self.assertEqual(read_constraint_error(other), ("email", "a@b", "unique"))
        self.assertEqual(read_constraint_error(check), ("", "", ""))

    def test_duckdb_has_a_query_for_each_rule(self) -> None:
        labels = [label for _, label, _ in list_conditions(RULES["orders"])]
        self.assertEqual(labels.count("required"), len(RULES["orders"].columns))
        self.assertEqual((labels.count("unique"), labels.count("reference")), (1, 1))
        self.assertIn("status_is_known", labels)

    def test_frictionless_counts_records(self) -> None:
        records = [Record(1, []), Record(2, []), Record(4, [])]
        error = {"type": "type-error", "rowNumber": 3, "fieldName": "email"}
        found = Found("users", "", 4, "email", "type-error")
        self.assertEqual(read_error(USERS, error, records), found)
        extra = {"type": "extra-cell", "rowNumber": 2, "fieldName": ""}
        self.assertEqual(
            read_error(USERS, extra, records), Found("users", "", 2, "", "extra-cell")
        )
        undecoded = {"type": "encoding-error"}
        self.assertIsNone(read_error(USERS, undecoded, records))
        self.assertEqual(find_undecoded({"a": [error], "b": [undecoded]}), {"b"})


class Frames(unittest.TestCase):
    """Tools that validate frames name the position of a row."""

    def test_row_with_too_many_fields_is_a_finding_and_not_in_the_frame(self) -> None:
        records = [Record(1, ["a"] * 7), Record(2, ["a"] * 8), Record(3, [])]
        kept, refused = divide_records(USERS, records)
        self.assertEqual([record.line for record in kept], [3])
        self.assertEqual(refused, [Found("users", "", 2, "", "too many fields")])

    def test_pandera_lists_failures_of_cells_and_rows(self) -> None:
        failures = [
            make_failure("Column", "email", "field_uniqueness", 1),
            make_failure("DataFrameSchema", "city", "a_rule", 0),
            make_failure("Column", "city", "dtype('str')", None),
            make_failure("Column", "city", "dtype('str')", float("nan")),
        ]
        self.assertEqual(
            list(read_failures(make_frame(USERS), failures)),
            [
                Found("users", "", 9, "email", "field_uniqueness"),
                Found("users", "", 5, "", "a_rule"),
            ],
        )

    def test_great_expectations_lists_positions(self) -> None:
        results = [
            make_result("expect_a", "email", {"unexpected_index_list": [0, 1]}),
            make_result("expect_b", "a_rule", {"unexpected_index_list": [1]}),
            make_result("expect_c", "city", {}),
        ]
        self.assertEqual(
            [(f.line, f.column) for f in read_results(make_frame(USERS), results)],
            [(5, "email"), (9, "email"), (9, "")],
        )


def make_frame(table: TableRules) -> Frame:
    """Return a frame with two rows, in the lines 5 and 9."""
    return Frame(table, None, [5, 9])


def make_failure(context: str, column: str, check: str, at: float | None) -> dict[str, Any]:
    """Return a failure as pandera lists it."""
    return {"schema_context": context, "column": column, "check": check, "index": at}


def make_result(name: str, column: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as Great Expectations writes it."""
    expectation = {"type": name, "kwargs": {"column": column}}
    return {"expectation_config": expectation, "result": result}


class Table(unittest.TestCase):
    """The table has a row for each tool and profile."""

    def test_row_has_recall_by_tier_precision_incidents_and_times(self) -> None:
        grade = {
            "by_tier": [{"tier": 1, "recall": 0.9996}, {"tier": 3, "recall": 0.5}],
            "incidents": [{"is_found": True}, {"is_found": False}],
            "precision": None,
        }
        score = Score("hostile", "a tool", grade, Usage(1.25, 0.5, 0), "yes")
        self.assertEqual(
            render_scores([score], {"a tool": "tool 1.0"}).splitlines()[-1],
            "| hostile | a tool | 99.9 % | – | 50.0 % | – | 1 of 2 | 1.2 | 0.5 | yes"
            " | tool 1.0 |",
        )

    def test_old_data_are_safe_if_they_are_there_after_a_load_that_must_fail(self) -> None:
        refused, loaded = {"by_tier": [{"tier": 1}]}, {"by_tier": [{"tier": 2}]}
        self.assertEqual(describe_safety(refused, "", ""), "no database")
        self.assertEqual(describe_safety(refused, "a", "a"), "yes")
        self.assertEqual(describe_safety(refused, "a", "b"), "no")
        self.assertEqual(describe_safety(loaded, "a", "b"), "loads")
