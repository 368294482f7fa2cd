"""`ingest.py --verify`: from the manifest to the query result, any change is found."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import sqlite3
import tempfile
import unittest
from contextlib import closing
from pathlib import Path
from typing import ClassVar
from unittest import mock

import ingest
import run_query
from db import verify as verify_module
from db.reporting import checks as checks_module
from db.reporting import report as report_module
from tests.support import (
    IN_CI,
    SMALL_SAMPLE,
    Result,
    ShopCase,
    call,
    sample_shop,
    skip_on_windows,
)
from utils.contract import SCHEMA_PATH, Table, read_contract
from utils.digest import dataset_digest, provenance_digest, table_digest
from utils.verification import find_json_difference, find_line_difference

RESULTS = ["report.json", "report.md", "query_result.csv", "query_result.json"]

# Weakens a CHECK without a trace in the rows.
WEAKEN = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'order_id > 0', '1') WHERE name = 'orders';
    PRAGMA schema_version = 1000;
"""

# Lets a NULL into a column that must not have one.
FORGET_NOT_NULL = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'ordered_at TEXT NOT', 'ordered_at TEXT');
    PRAGMA schema_version = 1000;
    UPDATE orders SET ordered_at = NULL WHERE order_id = 7;
    UPDATE sqlite_schema SET sql = replace(sql, 'ordered_at TEXT', 'ordered_at TEXT NOT');
    PRAGMA schema_version = 1001;
"""

# Makes a table again without its rules.
REBUILD = """
    CREATE TABLE copies AS SELECT * FROM {0};
    DROP TABLE {0};
    ALTER TABLE copies RENAME TO {0};
"""


# One more column of users, and one more table.
COLUMN = """\
    takes_newsletter INTEGER NOT NULL
    CONSTRAINT takes_newsletter_is_0_or_1 CHECK (takes_newsletter IN (0, 1)),
"""
TABLE = """
CREATE TABLE visits (
    visit_id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (user_id),
    page TEXT NOT NULL
) STRICT;
"""

CHECK_OF_COLUMN = """\
-- Question: which users have no choice of the newsletter?
-- Key: user_id.
-- Title: Every user takes the newsletter or not
-- Severity: error
SELECT users.user_id
FROM users
WHERE users.takes_newsletter NOT IN (0, 1)
ORDER BY users.user_id;
"""
TREND_OF_COLUMN = """\
-- Question: how many users take the newsletter?
-- Grain: one row per choice.
-- Title: Users by newsletter
SELECT
    users.takes_newsletter,
    COUNT(*) AS user_count
FROM users
GROUP BY users.takes_newsletter
ORDER BY users.takes_newsletter;
"""


class VerifyCase(ShopCase):
    """A test with a copy of `shop`, with its database, report and query result."""

    shop: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        """Make the shop, or use the one that exists."""
        super().setUpClass()
        cls.shop = sample_shop(*SMALL_SAMPLE)

    def setUp(self) -> None:
        """Copy all of it."""
        super().setUp()
        shutil.copytree(self.shop, self.folder, dirs_exist_ok=True)

    def verify(self, *arguments: object) -> Result:
        """Verify the folder."""
        return call(
            ingest.main,
            "--verify",
            "--data-dir",
            self.folder,
            "--database",
            self.database,
            "--out-dir",
            self.folder,
            *arguments,
        )

    def report(self, *arguments: object) -> Result:
        """Report on the database."""
        return call(
            ingest.main,
            "--report",
            "--database",
            self.database,
            "--out-dir",
            self.folder,
            *arguments,
        )

    def manipulate(self, script: str) -> None:
        """Run *script* on the database, without its rules."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(f"PRAGMA foreign_keys = OFF; {script}")

    def find_failed(self) -> dict[str, str]:
        """Return the failed verifications, by name, with their faults."""
        result = self.verify()
        self.assertNotIn("Traceback", result.stderr)
        failed = dict(re.findall(r"^  failed  (.+?): (.+)$", result.stdout, re.MULTILINE))
        self.assertEqual(result.status, int(bool(failed)), result)
        if failed:
            self.assertRegex(
                result.stderr, rf"error: {len(failed)} of \d+ verifications failed"
            )
        return failed

    def find_failed_of_load(self) -> dict[str, str]:
        """Return what failed from the manifest to the database, the cheapest part."""
        found = verify_module.verify_load(read_contract(), self.folder, self.database)
        return {name: fault for name, fault in found if fault}

    def change(self, sql: str, *parameters: object) -> None:
        """Change the database without its rules."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("PRAGMA foreign_keys = OFF")
            self.assertEqual(connection.execute(sql, parameters).rowcount, 1)
            connection.commit()


class RowOrder(unittest.TestCase):
    """Keys of any type sort as SQLite sorts them: NULL, numbers, texts, blobs."""

    def test_keys_of_mixed_types_sort_as_in_sqlite(self) -> None:
        table = read_contract().tables[0]
        at = table.column_names.index(table.key[0])
        keys = [b"1", "1", "10", "2", 10, 2.5, 2, -1, 10.5, None]
        rows = [
            tuple(key if place == at else "x" for place in range(len(table.column_names)))
            for key in keys
        ]
        found = sorted(rows, key=lambda row: verify_module._rank(table, row))
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE numbered (value)")
            connection.executemany(
                "INSERT INTO numbered VALUES (?)", [(key,) for key in keys]
            )
            expected = connection.execute("SELECT value FROM numbered ORDER BY value")
            self.assertEqual([row[at] for row in found], [value for (value,) in expected])


class UnchangedFiles(VerifyCase):
    """All verifications pass, and nothing is written."""

    def test_every_verification_passes_for_unchanged_files(self) -> None:
        result = self.verify()
        self.assertEqual((result.status, result.stderr), (0, ""))
        *names, last = result.stdout.splitlines()
        self.assertEqual(len(names), 5 + 1 + 5 + 1 + 2 + 2)
        self.assertEqual(last, f"All {len(names)} verifications passed.")
        self.assertTrue(all(name.startswith("  passed  ") for name in names), names)

    def test_quiet_verification_prints_nothing(self) -> None:
        result = call(
            ingest.main,
            "--verify",
            "--quiet",
            "--data-dir",
            self.folder,
            "--database",
            self.database,
            "--out-dir",
            self.folder,
        )
        self.assertEqual(result, Result(0, "", ""))

    def test_files_that_are_not_canonical_pass(self) -> None:
        path = self.folder / "users.csv"
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        with open(path, "w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerows([header[::-1], *(row[::-1] for row in reversed(rows))])
        (self.folder / "datapackage.json").unlink()
        self.assertEqual(self.ingest("--report", "--out-dir", self.folder).status, 0)
        failed = self.find_failed()
        self.assertEqual(list(failed), ["database -> query_result.json"])

    def test_verification_changes_no_file(self) -> None:
        before = {path: path.read_bytes() for path in self.folder.iterdir()}
        self.verify()
        after = {path: path.read_bytes() for path in self.folder.iterdir()}
        self.assertEqual(after, before)


class ChangedCell(VerifyCase):
    """A single cell, anywhere, is found and named."""

    def test_changed_cell_fails_its_table_and_the_report_only(self) -> None:
        self.change("UPDATE users SET city = 'Elsewhere' WHERE user_id = 3")
        failed = {name for name in self.find_failed() if "query" not in name}
        self.assertEqual(failed, {"users.csv -> users", "database -> report.json"})

    def test_difference_at_the_end_of_a_long_text_is_shown(self) -> None:
        path = self.folder / "users.csv"
        long = "x" * 500
        self.edit_line("users.csv", 2, lambda line: line.replace(",", f",{long}", 1))
        self.assertEqual(self.ingest().status, 0)
        self.change("UPDATE users SET email = email || '!' WHERE user_id = 1")
        place = self.find_failed_of_load()["users.csv -> users"]
        self.assertRegex(place, r"email is …x*\S+!', and …x*\S+[^!]' in users.csv")
        for find, texts in (
            (find_line_difference, (f"{long}a{long}", f"{long}b{long}")),
            (find_json_difference, (f'["{long}a{long}"]', f'["{long}b{long}"]')),
        ):
            shown = find(*texts) or ""
            self.assertRegex(shown, "is …x{20}ax*…, expected …x{20}bx*…")
        self.assertTrue(path.is_file())

    def test_changed_cell_of_any_column_is_named(self) -> None:
        sound = self.database.read_bytes()
        for table in read_contract().tables:
            for column in table.columns if IN_CI else table.columns[::9]:
                with self.subTest(table=table.name, column=column.name):
                    self.database.write_bytes(sound)
                    key = self.change_cell(table, column.name)
                    failed = self.find_failed()
                    place = failed[f"{table.name}.csv -> {table.name}"]
                    self.assertIn(f"{table.name}, {table.key[0]} {key}", place)
                    self.assertIn(f"in {table.name}.csv", place)
                    if column.name not in table.key:
                        self.assertIn(f": {column.name} is ", place)
                    self.assertIn("database -> report.json", failed)
                    self.assertTrue(any("-> query" in name for name in failed), failed)

    def change_cell(self, table: Table, column: str) -> int:
        """Change one cell; return its row's key."""
        key, (name,) = 7, table.key
        if column == name:
            self.change(f"UPDATE {table.name} SET {name} = 999999 WHERE {name} = {key}")
        elif table.find_column(column).type == "INTEGER":
            self.change(
                f"UPDATE {table.name} SET {column} = {column} + 1 WHERE {name} = {key}"
            )
        else:
            self.change(
                f"UPDATE {table.name} SET {column} = {column} || ' ' WHERE {name} = {key}"
            )
        return key

    def test_changed_cell_is_found_although_the_digests_are_changed_too(self) -> None:
        self.change("UPDATE users SET city = 'Elsewhere' WHERE user_id = 3")
        with closing(sqlite3.connect(self.database)) as connection:
            tables = read_contract().tables
            digests = {table.name: table_digest(connection, table) for table in tables}
            facts = [
                *((name, digest) for name, digest in digests.items()),
                ("dataset", dataset_digest(digests)),
            ]
            update = (
                "UPDATE submission_meta SET value = ? WHERE subject = ? AND property = ?"
            )
            for subject, digest in facts:
                connection.execute(update, (digest, subject, "content_sha256"))
            forged = provenance_digest(connection)
            connection.execute(update, (forged, "submission_meta", "content_sha256"))
            connection.commit()
        self.assertIn(
            "users, user_id 3: city is 'Elsewhere', and ",
            self.find_failed_of_load()["users.csv -> users"],
        )

    def test_added_and_deleted_rows_are_named(self) -> None:
        self.change("DELETE FROM payments WHERE payment_id = 5")
        self.assertIn(
            "payment_id 5 is missing",
            self.find_failed_of_load()["payments.csv -> payments"],
        )
        self.change(
            "INSERT INTO products SELECT 999, 'X', product_name, category, brand,"
            " price_cents, cost_cents, launched_at FROM products WHERE product_id = 1"
        )
        self.assertIn(
            "products, product_id 999 is not in products.csv",
            self.find_failed_of_load()["products.csv -> products"],
        )

    def test_row_that_appears_twice_is_named(self) -> None:
        sound = self.database.read_bytes()
        for key in (7, max(self.query("SELECT MAX(order_id) FROM orders"))[0]):
            self.database.write_bytes(sound)
            self.manipulate(
                f"{REBUILD.format('orders')}"
                f" INSERT INTO orders SELECT * FROM orders WHERE order_id = {key}"
            )
            self.assertIn(
                f"orders, order_id {key} appears twice, but once in orders.csv",
                self.find_failed_of_load()["orders.csv -> orders"],
            )

    def test_changed_fact_of_the_provenance_is_found(self) -> None:
        rows = self.query("SELECT subject, property FROM submission_meta")
        self.assertGreater(len(rows), 40)
        sound = self.database.read_bytes()
        for subject, name in rows if IN_CI else rows[::17]:
            with self.subTest(subject=subject, property=name):
                self.database.write_bytes(sound)
                self.change(
                    "UPDATE submission_meta SET value = '2020-01-01'"
                    " WHERE subject = ? AND property = ?",
                    subject,
                    name,
                )
                self.assertTrue(self.find_failed_of_load())

    def test_added_fact_of_the_provenance_is_found(self) -> None:
        self.change("INSERT INTO submission_meta VALUES ('submission_meta', 'n', 'x')")
        self.assertIn(
            "submission_meta was changed since the load",
            self.find_failed_of_load()["database -> submission_meta"],
        )

    def test_emptied_provenance_is_not_blamed_on_the_files(self) -> None:
        self.manipulate("DELETE FROM submission_meta")
        failed = self.find_failed()
        self.assertIn(
            f"{self.database}: submission_meta has no row, so there is nothing to compare"
            " the files with. Load the files again: python ingest.py --ingest",
            failed["CSV files -> database"],
        )
        self.assertNotIn("users.csv -> users", failed)
        self.assertIn("database -> report.json", failed)

    def test_listed_file_of_a_manifest_by_hand_is_not_generated_again(self) -> None:
        path = self.folder / "datapackage.json"
        document = json.loads(path.read_bytes())
        del document["seed"]
        path.write_text(json.dumps(document), encoding="utf-8")
        self.ingest()
        self.edit_line("users.csv", 2, lambda line: line.replace(",", ",x", 1))
        name = "datapackage.json -> users.csv"
        self.assertEqual(
            self.find_failed()[name],
            "users.csv is not the file that datapackage.json describes. Restore it, or"
            " correct its hash in datapackage.json and load the files again.",
        )
        document["seed"] = 42
        path.write_text(json.dumps(document), encoding="utf-8")
        self.assertIn(
            "Make the files again: python generate_data.py", self.find_failed()[name]
        )

    def test_changed_digit_of_a_csv_file_is_found(self) -> None:
        tables = read_contract().tables
        for table in tables if IN_CI else tables[::2]:
            with self.subTest(table.name):
                path = self.folder / f"{table.name}.csv"
                sound = path.read_bytes()
                head, digit, tail = re.split(
                    rb"([0-8])(?=[^0-9,\n]*,[^\n]*\n$)", sound, maxsplit=1
                )
                path.write_bytes(head + bytes([digit[0] + 1]) + tail)
                failed = self.find_failed_of_load()
                self.assertIn(f"datapackage.json -> {table.name}.csv", failed)
                self.assertIn(f"{table.name}.csv -> {table.name}", failed)
                path.write_bytes(sound)

    def test_changed_or_missing_manifest_is_found(self) -> None:
        path = self.folder / "datapackage.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        document["seed"] += 1
        path.write_text(json.dumps(document), encoding="utf-8")
        self.assertIn("datapackage.json -> database", self.find_failed_of_load())
        path.unlink()
        self.assertIn(
            "datapackage.json is missing",
            self.find_failed_of_load()["datapackage.json -> database"],
        )

    def test_changed_digit_of_a_result_is_found(self) -> None:
        chance = random.Random(4)  # noqa: S311
        for name in RESULTS:
            path = self.folder / name
            sound = path.read_text(encoding="utf-8")
            places = [match.start() for match in re.finditer("[0-9]", sound)]
            for place in chance.sample(places, 12 if IN_CI else 1):
                digit = str((int(sound[place]) + 1) % 10)
                with self.subTest(name=name, place=place):
                    path.write_text(
                        sound[:place] + digit + sound[place + 1 :],
                        encoding="utf-8",
                        newline="\n",
                    )
                    failed = self.find_failed()
                    ((only, _),) = failed.items()
                    self.assertTrue(only.endswith(f"-> {name}"), failed)
            path.write_text(sound, encoding="utf-8", newline="\n")


class RuleVerification(VerifyCase):
    """A database whose rules are not the schema's is found, and the object named."""

    def test_removed_added_and_weakened_rules_are_named(self) -> None:
        sound = self.database.read_bytes()
        find_failed = self.find_failed if IN_CI else self.find_failed_of_load
        for script, name, fault in (
            (
                "DROP INDEX payments_order_id_idx",
                "index payments_order_id_idx",
                "is missing",
            ),
            (WEAKEN, "table orders", "has other rules"),
            (
                "CREATE TRIGGER evil AFTER INSERT ON users BEGIN SELECT 1; END",
                "trigger evil",
                "is not in schema.sql",
            ),
            ("CREATE TABLE mine (x)", "table mine", "is not in schema.sql"),
            ("CREATE VIEW people AS SELECT 1", "view people", "is not in schema.sql"),
            (
                "CREATE INDEX users_city_idx ON users (city)",
                "index users_city_idx",
                "is not in schema.sql",
            ),
        ):
            with self.subTest(name):
                self.database.write_bytes(sound)
                self.manipulate(script)
                self.assertIn(f"{name} {fault}", find_failed()["schema.sql -> database"])
                rows = ("--rows", "database_matches_schema", "--database", self.database)
                self.assertIn(
                    f"\n{name},{fault}\n", self.succeed(ingest.main, *rows).stdout
                )
        result = self.report("--strict")
        self.assertEqual(result.status, 1)
        self.assertIn("failed checks: database_matches_schema", result.stderr)

    def test_table_rebuilt_without_rules_is_named_and_its_cells_pass(self) -> None:
        self.manipulate(REBUILD.format("orders"))
        failed = self.find_failed()
        self.assertIn("table orders has other rules", failed["schema.sql -> database"])
        self.assertNotIn("orders.csv -> orders", failed)
        self.assertIn("orders is not STRICT", failed["database -> report.json"])
        self.assertTrue(any("query" in name for name in failed), failed)


class ManipulatedDatabase(VerifyCase):
    """Cells that no rule would accept: one line each time, and never a traceback."""

    def test_manipulated_database_is_refused_by_readers_and_verified_to_the_end(
        self,
    ) -> None:
        sound = self.database.read_bytes()
        changes = [
            ("orders", "ordered_at = NULL"),
            ("orders", "order_id = x'00'"),
            ("users", "user_id = NULL"),
            ("users", "user_id = 'x'"),
            ("users", "signed_up_at = x'ff'"),
            ("submission_meta", "value = x'ff'"),
        ]
        rebuilt = [
            f"{REBUILD.format(table)} UPDATE {table} SET {change} WHERE rowid = 9;"
            for table, change in changes
        ]
        for script in (FORGET_NOT_NULL, *rebuilt):
            with self.subTest(script):
                self.database.write_bytes(sound)
                self.manipulate(script)
                failed = self.find_failed()
                self.assertIn("database -> report.json", failed)
                self.assertTrue(any("query" in name for name in failed), failed)
                for result in (
                    self.report(),
                    call(
                        run_query.main,
                        "--database",
                        self.database,
                        "--out-dir",
                        self.folder,
                    ),
                ):
                    self.assertEqual(result.status, 1)
                    self.assertRegex(
                        result.stderr,
                        r"\A\w+: error: \S+shop.db: (is damaged|differs from schema.sql)"
                        r"[^\n]+oad the files again: python ingest.py --ingest[^\n]*\n\Z",
                    )

    def test_endless_view_in_place_of_a_table_is_refused_without_reading_it(self) -> None:
        sound = self.database.read_bytes()
        for table in ("payments", "submission_meta"):
            with self.subTest(table):
                self.database.write_bytes(sound)
                columns = self.query(f"SELECT name FROM pragma_table_info('{table}')")
                self.manipulate(
                    f"DROP TABLE {table}; CREATE VIEW {table} AS"
                    " WITH RECURSIVE numbers (number) AS"
                    " (SELECT 1 UNION ALL SELECT number + 1 FROM numbers)"
                    f" SELECT {', '.join(f'number AS {name}' for (name,) in columns)}"
                    " FROM numbers;"
                )
                failed = self.find_failed()
                words = f"differs from schema.sql: {table} is not a table. Move it away"
                self.assertEqual(
                    [name for name, fault in failed.items() if words in fault],
                    [
                        "CSV files -> database",
                        "database -> report.json",
                        "database -> query result",
                    ],
                )

    def test_row_whose_key_has_another_type_is_named(self) -> None:
        self.manipulate(
            f"{REBUILD.format('users')} UPDATE users SET user_id = NULL WHERE rowid = 9;"
        )
        self.assertIn(
            "users, user_id null is not in users.csv",
            self.find_failed_of_load()["users.csv -> users"],
        )


class MissingFile(VerifyCase):
    """A missing file is named, with the command that makes it."""

    def test_missing_result_is_named_with_the_command_that_makes_it(self) -> None:
        for name, remedy in (
            ("report.json", "python ingest.py --report"),
            ("report.md", "python ingest.py --report"),
            ("query_result.csv", "python run_query.py"),
            ("query_result.json", "python run_query.py"),
        ):
            with self.subTest(name):
                path = self.folder / name
                kept = path.read_bytes()
                path.unlink()
                ((failed, fault),) = self.find_failed().items()
                self.assertTrue(failed.endswith(f"-> {name}"), failed)
                self.assertIn(f"{name} is missing", fault)
                self.assertIn(remedy, fault)
                path.write_bytes(kept)

    def test_folder_in_place_of_a_file_is_named(self) -> None:
        for name in ("report.json", "report.md", "query_result.json"):
            with self.subTest(name):
                path = self.folder / name
                kept = path.read_bytes()
                path.unlink()
                path.mkdir()
                failed = self.find_failed()
                self.assertTrue(
                    any(f"{name} cannot be read: " in fault for fault in failed.values())
                )
                path.rmdir()
                path.write_bytes(kept)
        (self.folder / "orders.csv").unlink()
        (self.folder / "orders.csv").mkdir()
        failed = self.find_failed()
        self.assertEqual(
            list(failed), ["datapackage.json -> orders.csv", "orders.csv -> orders"]
        )
        for fault in failed.values():
            self.assertTrue(fault.startswith("orders.csv cannot be read: "), fault)

    def test_pipe_in_place_of_a_file_is_named_without_waiting(self) -> None:
        skip_on_windows("pipes that have a name in a folder")
        names = [*RESULTS, "datapackage.json", "orders.csv"]
        for name in names:
            (self.folder / name).unlink()
            os.mkfifo(self.folder / name)
        found = [
            Path(re.split(":? cannot be read", fault)[0]).name
            for fault in self.find_failed().values()
            if "it is not a regular file" in fault
        ]
        self.assertEqual(sorted(found), sorted(names))

    def test_manifest_that_states_nothing_can_be_verified(self) -> None:
        (self.folder / "datapackage.json").write_text("{}", encoding="utf-8")
        self.assertEqual(self.ingest().status, 0)
        for main, action in ((ingest.main, ["--report"]), (run_query.main, [])):
            call(main, *action, "--database", self.database, "--out-dir", self.folder)
        self.assertEqual(self.find_failed(), {})

    def test_values_nested_too_deeply_to_compare_are_a_changed_line(self) -> None:
        for name in ("report.json", "query_result.json"):
            with self.subTest(name):
                path = self.folder / name
                kept = path.read_bytes()
                deep = "[" * 600 + "]" * 600
                path.write_bytes(kept.replace(b"{", f'{{"deep": {deep},'.encode(), 1))
                (fault,) = self.find_failed().values()
                self.assertIn("line 1 is ", fault)
                path.write_bytes(kept)

    def test_unreadable_file_is_named(self) -> None:
        refused = PermissionError(13, "Permission denied")
        with (
            mock.patch.object(verify_module, "hash_file", side_effect=refused),
            mock.patch.object(verify_module, "read_manifest", side_effect=refused),
        ):
            failed = self.find_failed()
        self.assertEqual(
            failed["datapackage.json -> database"],
            "datapackage.json cannot be read: Permission denied",
        )
        self.assertEqual(
            failed["users.csv -> users"], "users.csv cannot be read: Permission denied"
        )

    def test_full_temporary_folder_is_named(self) -> None:
        self.change("UPDATE users SET city = 'Elsewhere' WHERE user_id = 3")
        full = sqlite3.OperationalError("database or disk is full")
        with (
            mock.patch.object(verify_module, "load_table", side_effect=full),
            mock.patch.dict(os.environ, SQLITE_TMPDIR=str(self.folder)),
        ):
            result = self.verify()
        self.assertEqual(result.status, 1)
        where = self.folder if os.name != "nt" else ""
        self.assertIn(f"error: {where}", result.stderr)
        self.assertIn("cannot be loaded here to compare it: database or", result.stderr)

    def test_missing_csv_file_is_named(self) -> None:
        (self.folder / "orders.csv").unlink()
        self.assertEqual(
            sorted(self.find_failed()),
            ["datapackage.json -> orders.csv", "orders.csv -> orders"],
        )

    def test_missing_database_is_named(self) -> None:
        self.database.unlink()
        result = self.verify()
        self.assertEqual(result.status, 1)
        self.assertIn("shop.db: no such file", result.stderr)

    def test_damage_of_one_table_does_not_end_the_other_verifications(self) -> None:
        (page,) = self.query("SELECT rootpage FROM sqlite_schema WHERE name = 'payments'")[
            0
        ]
        ((size,),) = self.query("PRAGMA page_size")
        with open(self.database, "rb+") as file:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)
        failed = self.find_failed()
        self.assertEqual(
            list(failed),
            [
                "payments.csv -> payments",
                "database -> report.json",
                "database -> query result",
            ],
        )
        for fault in failed.values():
            self.assertRegex(fault, "is damaged: .* Move it away, then load")

    def test_database_that_cannot_be_read_does_not_end_the_other_verifications(
        self,
    ) -> None:
        data = self.database.read_bytes()
        self.database.write_bytes(data.replace(b"CONSTRAINT", b"CONSTRA\xd1NT"))
        self.assertEqual(
            list(self.find_failed()),
            [
                "CSV files -> database",
                "database -> report.json",
                "database -> query result",
            ],
        )
        self.assertIn("  passed  report.json -> report.md\n", self.verify().stdout)

    def test_database_of_no_load_does_not_end_the_other_verifications(self) -> None:
        sound = self.database.read_bytes()
        for data, script, words in (
            (sound, "DROP TABLE payments", "has no payments. Name another with"),
            (b"", "", "has no users, products, orders"),
            (b"user_id,email\n" * 100, "", "is not a SQLite database. Name another with"),
        ):
            with self.subTest(words):
                self.database.write_bytes(data)
                if script:
                    self.manipulate(script)
                failed = self.find_failed()
                self.assertEqual(
                    list(failed),
                    [
                        "CSV files -> database",
                        "database -> report.json",
                        "database -> query result",
                    ],
                )
                self.assertTrue(all(words in fault for fault in failed.values()), failed)
                self.assertIn("  passed  report.json -> report.md\n", self.verify().stdout)

    def test_csv_file_that_can_no_longer_be_loaded_is_named(self) -> None:
        path = Path(self.folder / "users.csv")
        path.write_text("user_id;email\n", encoding="utf-8")
        self.assertIn(
            "can no longer be loaded", self.find_failed_of_load()["users.csv -> users"]
        )

    def test_schema_with_another_rule_is_named_and_another_remark_passes(self) -> None:
        schema = self.folder / "schema.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        lacks = "loaded under another schema, lacks or changes"
        for changed, words in (
            (text + "-- one more remark\n", "  passed  schema.sql -> database\n"),
            (
                text.replace("CHECK (price_cents >= 0)", "CHECK (price_cents > 0)"),
                f"{lacks} CHECK price_cents_is_not_negative. Name that schema with",
            ),
            (
                text + TABLE,
                f"{lacks} the reference of visits.user_id, visits.page, visits.",
            ),
        ):
            with self.subTest(words):
                self.assertNotEqual(changed, text)
                schema.write_text(changed, encoding="utf-8")
                result = self.verify("--schema", schema)
                self.assertIn(words, result.stdout)
                self.assertEqual(result.status, int(lacks in words))


def write_lines(path: Path, *lines: str) -> None:
    """Write *lines* to the file *path*."""
    path.write_text("\n".join((*lines, "")), encoding="utf-8", newline="\n")


def load_under_schema(folder: Path) -> None:
    """Load the files in *folder* under its `schema.sql`, then report and query."""
    place = ("--database", folder / "shop.db", "--out-dir", folder)
    schema = ("--data-dir", folder, "--schema", folder / "schema.sql")
    for result in (
        call(ingest.main, "--ingest", "--report", "--strict", *place, *schema),
        call(run_query.main, *place),
    ):
        if (result.status, result.stderr) != (0, ""):
            raise AssertionError(result)


class AddedColumns(VerifyCase):
    """A schema with more columns and tables needs no option after the load."""

    @classmethod
    def setUpClass(cls) -> None:
        """Load the shop with one more column and one more table."""
        super().setUpClass()
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        shutil.copytree(cls.shop, folder, dirs_exist_ok=True)
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        text = text.replace(
            "    city TEXT NOT NULL,\n", f"    city TEXT NOT NULL,\n{COLUMN}"
        )
        (folder / "schema.sql").write_text(text + TABLE, encoding="utf-8")
        (folder / "datapackage.json").unlink()
        users = (folder / "users.csv").read_text(encoding="utf-8").splitlines()
        lines = [f"{line},{n % 2}" for n, line in enumerate(users[1:])]
        write_lines(folder / "users.csv", f"{users[0]},takes_newsletter", *lines)
        write_lines(folder / "visits.csv", "visit_id,user_id,page", "1,1,home", "2,1,cart")
        load_under_schema(folder)
        cls.shop = folder

    @property
    def schema(self) -> Path:
        """Return the schema with more columns."""
        return self.folder / "schema.sql"

    def test_report_of_a_schema_with_one_more_column_is_sound(self) -> None:
        report = json.loads((self.folder / "report.json").read_bytes())
        self.assertEqual(report["verdict"]["text"].split(".")[0], "Sound")
        self.assertEqual(report["tables"][-1], {"table": "visits", "rows": 2})
        self.assertEqual(
            report["dataset"]["content_sha256"],
            report["provenance"]["dataset"]["content_sha256"],
        )

    def test_verification_passes_with_and_without_the_option(self) -> None:
        self.assertEqual(self.find_failed(), {})
        result = self.verify("--schema", self.schema)
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertIn("  passed  visits.csv -> visits\n", result.stdout)

    def test_edited_cell_of_an_added_column_is_found(self) -> None:
        self.change("UPDATE users SET takes_newsletter = 1 WHERE user_id = 1")
        failed = self.find_failed_of_load()
        self.assertIn("user_id 1: takes_newsletter is", failed["users.csv -> users"])
        self.assertIn("files_content_as_loaded", self.report("--strict").stderr)

    def test_edited_cell_of_an_added_table_is_found(self) -> None:
        self.change("UPDATE visits SET page = 'home' WHERE visit_id = 2")
        self.assertIn(
            "visit_id 2: page is", self.find_failed_of_load()["visits.csv -> visits"]
        )
        self.assertIn("files_content_as_loaded", self.report("--strict").stderr)

    def test_rules_that_the_other_schema_lacks_are_named(self) -> None:
        text = self.schema.read_text(encoding="utf-8")
        for old, new in (
            ("CHECK (price_cents >= 0)", "CHECK (1)"),
            (" REFERENCES products (product_id)", ""),
            ("CREATE INDEX orders_user_id_idx ON orders (user_id);", ""),
        ):
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.schema.write_text(text, encoding="utf-8")
        load_under_schema(self.folder)
        self.assertIn(
            "loaded under another schema, lacks or changes CHECK"
            " price_cents_is_not_negative, index orders_user_id_idx, the reference of"
            " order_items.product_id. ",
            self.find_failed_of_load()["schema.sql -> database"],
        )

    def test_added_view_and_generated_column_pass_without_the_option(self) -> None:
        text = self.schema.read_text(encoding="utf-8")
        ours = text.replace(COLUMN, "").replace(TABLE, "")
        users = (self.folder / "users.csv").read_text(encoding="utf-8").splitlines()
        write_lines(self.folder / "users.csv", *(line.rpartition(",")[0] for line in users))
        generated = "    city TEXT NOT NULL,\n    town TEXT AS (UPPER(city)),\n"
        schema = ours.replace("    city TEXT NOT NULL,\n", generated)
        self.assertNotEqual(schema, ours)
        schema += "CREATE VIEW cities AS SELECT DISTINCT city FROM users;\n"
        self.schema.write_text(schema, encoding="utf-8")
        load_under_schema(self.folder)
        self.assertEqual(self.find_failed(), {})
        self.assertEqual(self.verify("--schema", self.schema).status, 0)

    def test_added_check_and_trend_of_the_added_column_are_reported(self) -> None:
        folders = {}
        for name, text in (("checks", CHECK_OF_COLUMN), ("trends", TREND_OF_COLUMN)):
            folders[name] = self.folder / name
            shutil.copytree(SCHEMA_PATH.parent / name, folders[name])
            (folders[name] / "values_newsletter.sql").write_text(text, encoding="utf-8")
        with (
            mock.patch.object(checks_module, "CHECKS_DIR", folders["checks"]),
            mock.patch.object(report_module, "TRENDS_DIR", folders["trends"]),
        ):
            self.assertEqual(self.report("--strict").status, 0)
            self.assertEqual(self.find_failed(), {})
        page = (self.folder / "report.md").read_text(encoding="utf-8")
        self.assertIn("| Every user takes the newsletter or not |", page)
        self.assertIn("## Users by newsletter", page)

    def test_table_changed_to_what_no_schema_may_have_is_named(self) -> None:
        sound = self.database.read_bytes()
        for change, words in (
            (
                'ALTER TABLE visits RENAME COLUMN page TO "select"',
                "column name 'select' in visits is a keyword of SQL",
            ),
            (REBUILD.format("visits"), "table visits, expected a PRIMARY KEY"),
        ):
            with self.subTest(words):
                self.database.write_bytes(sound)
                self.manipulate(change)
                result = self.report()
                self.assertEqual(result.status, 1)
                self.assertIn(f"error: the database was changed: {words}", result.stderr)


class ReportVerification(VerifyCase):
    """Only the changed file of a report is reported as failed."""

    def test_report_of_an_older_database_still_matches_its_page(self) -> None:
        self.change("UPDATE users SET city = 'Elsewhere' WHERE user_id = 3")
        failed = self.find_failed()
        self.assertIn(
            "the file is of another database, or of this one before it was changed",
            failed["database -> report.json"],
        )
        self.assertNotIn("report.json -> report.md", failed)

    def test_changed_digest_of_the_database_in_a_report_is_named(self) -> None:
        path = self.folder / "report.json"
        text = path.read_text(encoding="utf-8")
        digest = json.loads(text)["database"]["sha256"]
        other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
        path.write_text(text.replace(digest, other), encoding="utf-8", newline="\n")
        ((failed, fault),) = self.find_failed().items()
        self.assertEqual(failed, "database -> report.json")
        self.assertIn("database.sha256 is ", fault)
        self.assertIn(": it was changed, or the database was", fault)
        self.assertNotIn("another database", fault)

    def test_file_that_is_no_report_fails_one_verification(self) -> None:
        path = self.folder / "report.json"
        for text in ("[]", "{}", "null", '{"verdict": 7}', "[" * 100_000):
            with self.subTest(text[:20]):
                path.write_text(text, encoding="utf-8")
                found = verify_module.verify_report(self.database, self.folder)
                failed = [name for name, fault in found if fault]
                self.assertEqual(failed, ["database -> report.json"])

    def test_report_of_an_unreadable_database_is_compared_with_its_page(self) -> None:
        self.manipulate(REBUILD.format("orders"))
        self.assertNotIn("report.json -> report.md", self.find_failed())
        path = self.folder / "report.md"
        path.write_text(path.read_text(encoding="utf-8") + "x", encoding="utf-8")
        self.assertIn("report.json -> report.md", self.find_failed())


class KnownDigests(VerifyCase):
    """A report is verified with the digests of the load while these are still right."""

    def verify_load(self) -> verify_module.KnownDigests | None:
        """Verify the load; return the digests that the verification of a report gets."""
        found = verify_module.verify_load(read_contract(), self.folder, self.database)
        while True:
            try:
                next(found)
            except StopIteration as end:
                known: verify_module.KnownDigests | None = end.value
                return known

    def find_failed_of_report(self, known: verify_module.KnownDigests | None) -> list[str]:
        """Return what failed from the database to the report."""
        found = verify_module.verify_report(self.database, self.folder, known=known)
        return [fault for _, fault in found if fault]

    def test_no_table_is_digested_twice(self) -> None:
        digest = mock.Mock(side_effect=AssertionError("digested again"))
        with mock.patch.object(report_module, "digest_cells", digest):
            self.assertEqual(self.find_failed(), {})

    def test_change_after_the_load_was_verified_is_found(self) -> None:
        known = self.verify_load()
        self.assertEqual(self.find_failed_of_report(known), [])
        self.change("UPDATE users SET city = 'Elsewhere' WHERE user_id = 3")
        failed = self.find_failed_of_report(known)
        self.assertNotEqual(failed, [])
        self.assertEqual(failed, self.find_failed_of_report(None))

    def test_rows_of_a_write_ahead_log_are_digested_again(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        self.assertIsNone(self.verify_load())


class PageVerification(VerifyCase):
    """Without --out-dir the copies for the page are verified too."""

    def setUp(self) -> None:
        """Use the folder as the project's root."""
        super().setUp()
        self.page = self.folder / "page"
        self.page.mkdir()
        for name in ("report.json", "query_result.json"):
            shutil.copy(self.folder / name, self.page)
        for module in (
            "db.reporting.report",
            "db.verify",
            "queries.output",
            "queries.verify_result",
            "ingest",
        ):
            for name, path in (("PROJECT_ROOT", self.folder), ("PUBLISHED_DIR", self.page)):
                patched = mock.patch(f"{module}.{name}", path)
                patched.start()
                self.addCleanup(patched.stop)

    def verify(self, *arguments: object) -> Result:
        """Verify up to the copies that the page reads."""
        return call(
            ingest.main,
            *("--verify", "--data-dir", self.folder, "--database", self.database),
            *arguments,
        )

    def test_copies_of_the_page_pass(self) -> None:
        shutil.rmtree(self.page)
        for main, step in ((ingest.main, ["--report"]), (run_query.main, [])):
            self.succeed(main, *step, "--database", self.database)
        result = self.verify()
        self.assertEqual((result.status, result.stderr), (0, ""), result.stdout)
        for name in ("report.json", "query_result.json"):
            self.assertIn(f"  passed  {name} -> the page's copy\n", result.stdout)

    def test_changed_or_missing_copies_of_the_page_are_named(self) -> None:
        for name in ("report.json", "query_result.json"):
            path = self.page / name
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace("2025", "2035", 1), encoding="utf-8", newline="\n")
            with self.subTest(name):
                self.assertEqual(list(self.find_failed()), [f"{name} -> the page's copy"])
                path.unlink()
                ((_, fault),) = self.find_failed().items()
                self.assertIn(f"{name} is missing", fault)
            path.write_text(text, encoding="utf-8", newline="\n")

    def test_copy_of_the_existing_report_passes(self) -> None:
        self.change("UPDATE users SET city = 'Elsewhere' WHERE user_id = 3")
        self.assertNotIn("report.json -> the page's copy", self.find_failed())
