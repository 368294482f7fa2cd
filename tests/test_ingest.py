"""Ingesting: the manifest, the files, the target, the schema and the command line."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import ingest
from db.loading import loader
from db.loading.messages import find_named_column
from db.verify import verify_load
from tests.load_case import LoadCase, set_cell_of
from tests.support import (
    IN_CI,
    ROOT,
    SAMPLE_USERS,
    ShopCase,
    call,
    run_script,
    skip_on_windows,
)
from utils.contract import SCHEMA_PATH, read_contract
from utils.rules import read_rules


def exchange(path: Path) -> None:
    """Change a letter of the file *path*; its size and its time of modification stay."""
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"@", b"A", 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class Manifest(LoadCase):
    """A manifest is compared with the files and does not change what is loaded."""

    def test_changed_file_is_loaded_recorded_and_named_in_a_warning(self) -> None:
        self.edit_line("users.csv", 2, lambda line: set_cell_of(line, 4, "Elsewhere"))
        result = self.ingest()
        self.assertEqual(result.status, 0)
        self.assertIn("users.csv differs from datapackage.json", result.stderr)
        self.assertEqual(self.compare("users.csv"), "differs")
        self.assertEqual(self.compare("orders.csv"), "matches")

    def test_as_of_without_a_manifest_is_the_day_of_the_last_event(self) -> None:
        (self.folder / "datapackage.json").unlink()
        self.load()
        self.assertEqual(self.compare("users.csv"), "absent")
        last = max(
            self.query(f"SELECT MAX({column}) FROM {table}")[0][0]
            for table, column in (
                ("users", "signed_up_at"),
                ("orders", "ordered_at"),
                ("payments", "processed_at"),
            )
        )
        as_of = self.query("SELECT value FROM submission_meta WHERE property = 'as_of'")
        self.assertEqual(as_of, [(last[:10],)])

    def test_values_of_a_manifest_that_have_no_meaning_are_named(self) -> None:
        for name, value, words in (
            ("seed", [1], "seed is [1], expected an integer from 0 to "),
            ("seed", 1.0, "seed is 1.0, expected an integer"),
            ("users", True, "users is true, expected an integer"),
            ("users", 2**64, "users is 18446744073709551616, expected an integer from 0"),
            ("currency", "Euro", "currency is 'Euro', expected an ISO 4217 code such as"),
            ("window", "always", "window is 'always', expected an object"),
            ("resources", {}, "resources is {}, expected a list"),
            ("resources", [None], "resources[0] is null, expected an object"),
            ("resources", [{"path": 5}], "resources[0].path is 5, expected a text"),
            ("resources", [{"path": ["a", 5]}], "resources[0].path[1] is 5, expected"),
            ("resources", [{}] * 10_001, "resources has 10001 entries, expected 0 to"),
        ):
            with self.subTest(words):
                self.write_manifest({name: value})
                self.refuse(f"datapackage.json: {words}", "Correct the manifest")

    def test_manifest_of_another_program_is_ignored_where_it_is_not_ours(self) -> None:
        self.write_manifest({"license": [7], "seed": None, "resources": [{"path": "x"}]})
        self.load()
        self.assertEqual(self.compare("users.csv"), "unlisted")

    def test_hash_of_another_program_is_compared_only_if_it_is_a_sha256(self) -> None:
        data = (self.folder / "users.csv").read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        not_compared = "not compared: no SHA-256"
        for listed, answer in (
            ({"hash": f"SHA256:{sha256.upper()}"}, "matches"),
            ({"hash": sha256}, "matches"),
            ({"hash": f"sha256:{sha256[:-1]}"}, "differs"),
            ({"hash": md5}, not_compared),
            ({"hash": f"md5:{md5}"}, not_compared),
            ({}, not_compared),
        ):
            with self.subTest(listed):
                self.write_manifest({"resources": [{"path": "./users.csv", **listed}]})
                self.load()
                self.assertEqual(self.compare("users.csv"), answer)
                found = verify_load(read_contract(), self.folder, self.database)
                link = dict(found).get("datapackage.json -> users.csv")
                word = None if link is None else "differs" if link else "matches"
                self.assertEqual(word or not_compared, answer, link)

    def test_manifest_with_an_impossible_day_is_rejected(self) -> None:
        for day in ("2025-13-45", "2026-02-31", "tomorrow", "٢٠٢٥-١٢-٣١", 7):
            with self.subTest(day):
                self.write_manifest({"window": {"start": "2024-01-01", "end": day}})
                self.refuse(f"datapackage.json: window.end is {day!r}, expected a day")

    def test_window_too_long_for_tables_by_month_is_refused(self) -> None:
        for start, end, words in (
            ("2024-01-01", "9999-12-31", "window.end is '9999-12-31', expected a day as"),
            ("0001-01-01", "2024-12-31", "window.start is '0001-01-01', expected a day"),
            (
                "2024-01-01",
                "2150-01-01",
                "window is 2024-01-01 to 2150-01-01, expected at most 100 years",
            ),
            (
                "2024-01-02",
                "2024-01-01",
                "window is 2024-01-02 to 2024-01-01, expected an end that is not before",
            ),
        ):
            with self.subTest(end):
                self.write_manifest({"window": {"start": start, "end": end}})
                self.refuse(f"datapackage.json: {words}", "Correct the manifest")

    def test_byte_order_mark_before_a_manifest_is_accepted(self) -> None:
        path = self.folder / "datapackage.json"
        path.write_text('{"currency": "EUR"}', encoding="utf-8-sig")
        self.load()
        currency = self.query(
            "SELECT value FROM submission_meta WHERE property = 'currency'"
        )
        self.assertEqual(currency, [("EUR",)])

    def test_manifest_that_is_not_json_is_named(self) -> None:
        for text in (
            "{",
            "[]",
            "\udcff",
            '{"seed": "\\ud800"}',
            '{"other": 1e999}',
            '{"other": NaN}',
            f'{{"other": {"9" * 5000}}}',
            f'{{"other": {"[" * 60}{"]" * 60}}}',
            "[" * 100_000,
        ):
            with self.subTest(text[:20]):
                data = text.encode("utf-8", "surrogateescape")
                (self.folder / "datapackage.json").write_bytes(data)
                self.refuse("datapackage.json: ", "Correct the manifest")

    def test_pipe_in_place_of_a_manifest_is_refused_without_waiting(self) -> None:
        skip_on_windows("pipes that have a name in a folder")
        path = self.folder / "datapackage.json"
        path.unlink()
        os.mkfifo(path)
        self.refuse("datapackage.json: cannot be read: it is not a regular file")

    def write_manifest(self, document: object) -> None:
        """Write *document* as the manifest."""
        path = self.folder / "datapackage.json"
        path.write_text(json.dumps(document), encoding="utf-8")

    def compare(self, name: str) -> str:
        """Return the comparison recorded for the file *name*."""
        ((value,),) = self.query(
            "SELECT value FROM submission_meta WHERE subject = ? AND property = 'manifest'",
            name,
        )
        return str(value)


class MissingFile(LoadCase):
    """A missing or changing file is named, and the old database stays."""

    def setUp(self) -> None:
        """Load a sound database first: the one that must stay."""
        super().setUp()
        self.load()
        self.before = self.database.read_bytes()

    def refuse(self, *expected: str) -> str:
        """Also check that the old database is unchanged and no other file is left."""
        beside = set(os.listdir(self.folder))
        errors = super().refuse(*expected)
        self.assertNotIn("Traceback", errors)
        self.assertEqual(self.database.read_bytes(), self.before)
        self.assertEqual(set(os.listdir(self.folder)), beside)
        return errors

    def change_during_load(self, change: Callable[[Path], object]) -> None:
        """Call *change* with the path of users.csv when it has been read."""
        read = loader.load_table
        path = self.folder / "users.csv"

        def read_and_change(*arguments: Any) -> Any:
            loaded = read(*arguments)
            if path in arguments:
                change(path)
            return loaded

        with mock.patch("db.loading.loader.load_table", read_and_change):
            self.refuse("a file changed while it was read", "run again")

    def test_file_that_changes_while_it_is_read_stops_the_load(self) -> None:
        self.change_during_load(lambda path: path.write_bytes(path.read_bytes() + b"\n"))

    def test_file_exchanged_with_its_size_and_time_kept_stops_the_load(self) -> None:
        self.change_during_load(exchange)

    def test_exchanged_file_stops_the_load_where_changes_have_no_time(self) -> None:
        with (
            mock.patch("db.ingest.HAS_CHANGE_TIME", new=False),
            mock.patch("db.ingest.identify_file", lambda path: (path.stat().st_size,)),
        ):
            self.change_during_load(exchange)

    def test_folder_in_place_of_a_file_is_named(self) -> None:
        (self.folder / "orders.csv").unlink()
        (self.folder / "orders.csv").mkdir()
        self.refuse("orders.csv is not a file. Replace it with the CSV file.")
        (self.folder / "users.csv").unlink()
        self.refuse("orders.csv is not a file, missing users.csv. Put them there")

    def test_file_in_place_of_the_folder_is_named(self) -> None:
        result = call(ingest.main, "--ingest", "--data-dir", self.folder / "users.csv")
        self.assertEqual(result.status, 1)
        self.assertIn("users.csv: not a folder", result.stderr)


class TargetDatabase(LoadCase):
    """The old database is replaced atomically, or stays."""

    def test_target_that_is_no_database_is_not_replaced(self) -> None:
        self.database.write_text("my shopping list " * 100, encoding="utf-8")
        before = self.database.read_bytes()
        self.refuse("shop.db: file is not a database; it was left as it is")
        self.assertEqual(self.database.read_bytes(), before)

    def test_target_with_other_tables_is_not_replaced(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("CREATE TABLE recipes (name)")
        before = self.database.read_bytes()
        self.refuse("shop.db: holds other tables (recipes), so it was left as it is")
        self.assertEqual(self.database.read_bytes(), before)

    def test_read_only_target_is_not_replaced(self) -> None:
        self.load()
        with mock.patch("db.loading.swap.os.access", return_value=False):
            self.refuse("shop.db: is read-only")

    def test_leftover_of_a_deleted_database_is_named(self) -> None:
        for suffix in ("-journal", "-wal", "-shm"):
            with self.subTest(suffix):
                leftover = self.folder / f"shop.db{suffix}"
                leftover.write_bytes(b"left")
                self.refuse(f"shop.db{suffix}: left by a deleted database")
                leftover.unlink()

    def test_device_is_not_replaced(self) -> None:
        skip_on_windows("Windows has no device files")
        result = call(
            ingest.main, "--ingest", "--data-dir", self.folder, "--database", os.devnull
        )
        self.assertEqual(result.status, 1)
        self.assertIn("is not a regular file", result.stderr)
        self.assertFalse(Path(os.devnull).is_file())

    def test_full_disk_is_named_and_the_old_database_stays(self) -> None:
        self.load()
        before = self.database.read_bytes()
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname = "SQLITE_FULL"
        with mock.patch("db.loading.loader.load_table", side_effect=full):
            self.refuse(
                "shop.db: cannot be made: database or disk is full",
                "Free some space",
                "--database",
            )
        self.assertEqual(self.database.read_bytes(), before)

    def test_target_that_is_a_folder_is_named(self) -> None:
        self.database.mkdir()
        self.refuse("shop.db: is a folder")

    def test_target_below_a_file_is_named(self) -> None:
        (self.folder / "file").touch()
        result = call(
            ingest.main,
            "--ingest",
            "--data-dir",
            self.folder,
            "--database",
            self.folder / "file" / "shop.db",
        )
        self.assertEqual(result.status, 1)
        self.assertIn("cannot create a database here", result.stderr)

    def test_missing_folders_of_the_target_are_created(self) -> None:
        deep = self.folder / "a" / "b" / "shop.db"
        self.succeed(ingest.main, "--ingest", "--data-dir", self.folder, "--database", deep)
        self.assertTrue(deep.is_file())

    def test_target_that_a_program_writes_is_not_replaced(self) -> None:
        self.load()
        before = self.database.read_bytes()
        with (
            closing(sqlite3.connect(self.database, isolation_level=None)) as other,
            mock.patch("db.loading.swap.LOCK_TIMEOUT", 0.05),
        ):
            other.execute("BEGIN IMMEDIATE")
            self.refuse("shop.db: cannot be replaced: database is locked")
        self.assertEqual(self.database.read_bytes(), before)

    def test_reader_of_the_old_database_reads_on(self) -> None:
        skip_on_windows("Windows does not rename over an open file")
        self.load()
        with closing(sqlite3.connect(self.database)) as reader:
            rows = reader.execute("SELECT user_id FROM users ORDER BY user_id")
            first = rows.fetchone()
            self.edit_line("users.csv", 2, lambda line: set_cell_of(line, 4, "Elsewhere"))
            self.assertEqual(self.ingest().status, 0)
            self.assertEqual(
                [first, *rows], [(number,) for number in range(1, SAMPLE_USERS + 1)]
            )
        self.assertEqual(
            self.query("SELECT city FROM users WHERE user_id = 1"), [("Elsewhere",)]
        )

    def test_log_of_the_old_database_does_not_damage_the_new_one(self) -> None:
        self.load()
        with closing(sqlite3.connect(self.database)) as writer:
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("UPDATE users SET city = 'Elsewhere'")
            writer.commit()
        self.load()
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])
        self.assertEqual(self.query("SELECT 1 FROM users WHERE city = 'Elsewhere'"), [])

    def test_target_keeps_its_permissions_and_its_link(self) -> None:
        skip_on_windows("Windows has other permissions and links")
        self.load()
        self.database.chmod(0o640)
        link = self.folder / "link.db"
        link.symlink_to(self.database)
        self.succeed(ingest.main, "--ingest", "--data-dir", self.folder, "--database", link)
        self.assertTrue(link.is_symlink())
        self.assertEqual(stat.S_IMODE(self.database.stat().st_mode), 0o640)

    def test_swap_works_without_renaming_over_an_open_file(self) -> None:
        with mock.patch("db.loading.swap.IS_WINDOWS", True):
            self.load()
            self.load()
            with mock.patch(
                "db.loading.swap.os.replace", side_effect=PermissionError(13, "in use")
            ):
                self.refuse("shop.db: cannot be replaced: in use.")
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])

    def test_failed_rename_or_sync_keeps_the_old_database(self) -> None:
        self.load()
        before = self.database.read_bytes()
        beside = set(os.listdir(self.folder))
        for step in ("os.replace", "os.fsync"):
            with (
                self.subTest(step),
                mock.patch(f"db.loading.swap.{step}", side_effect=OSError(28, "full")),
            ):
                self.refuse("full")
            self.assertEqual(self.database.read_bytes(), before)
            self.assertEqual(set(os.listdir(self.folder)), beside)

    def test_interruption_keeps_the_old_database(self) -> None:
        self.load()
        before = self.database.read_bytes()
        with mock.patch("db.loading.loader.load_table", side_effect=KeyboardInterrupt):
            result = self.ingest()
        self.assertEqual(result.status, 130)
        self.assertEqual(self.database.read_bytes(), before)


class SchemaFile(LoadCase):
    """The schema is an input like the others."""

    def test_missing_or_invalid_schema_is_named(self) -> None:
        schema = self.folder / "schema.sql"
        for text in (None, "CREATE TABEL x (y)", "", "CREATE TABLE users (user_id"):
            with self.subTest(text):
                if text is not None:
                    schema.write_text(text, encoding="utf-8")
                result = self.ingest("--schema", schema)
                self.assertEqual(result.status, 1)
                self.assertIn("schema.sql: ", result.stderr)

    def test_schema_that_is_a_device_is_refused(self) -> None:
        skip_on_windows("Windows has no such file")
        result = self.ingest("--schema", "/dev/zero")
        self.assertEqual(result.status, 1)
        self.assertIn("/dev/zero: cannot be read: it is not a regular file", result.stderr)

    def test_schema_that_csv_files_cannot_fill_is_named(self) -> None:
        schema = self.folder / "schema.sql"
        elsewhere = self.folder / "elsewhere.db"
        key = "INTEGER PRIMARY KEY"
        trigger = "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END;"
        for text, fault in (
            (f"ATTACH '{elsewhere}' AS other;", "too many attached databases"),
            ("CREATE TABLE users (user_id INT PRIMARY KEY);", "user_id is INT, expected"),
            ("CREATE TABLE users (user_id REAL PRIMARY KEY);", "user_id is REAL, expected"),
            ("CREATE TABLE users (user_id INTEGER);", "users, expected a PRIMARY KEY"),
            ("CREATE TABLE users (a TEXT PRIMARY KEY) WITHOUT ROWID;", "no WITHOUT ROWID"),
            (f'CREATE TABLE "a b" (user_id {key});', "table name 'a b'"),
            (f'CREATE TABLE users ("a b" {key});', "column name 'a b'"),
            (f"CREATE TABLE users (user_id {key}); {trigger}", "trigger t"),
            (f"CREATE TABLE users (user_id {key});", "table users is not STRICT"),
            (f'CREATE TABLE "order" (a {key}) STRICT;', "'order' is a keyword of SQL"),
            (
                f'CREATE TABLE t (a {key}, "index" TEXT) STRICT;',
                "'index' in t is a keyword",
            ),
            (f"CREATE TABLE t (a {key} ON CONFLICT IGNORE) STRICT;", "ON CONFLICT after"),
            (f"CREATE TABLE t (a {key}, b TEXT CHECK (b > '')) STRICT;", "has no name"),
            (f"CREATE TABLE t (a {key} REFERENCES u) STRICT;", "t.a refers to u, no such"),
            (
                f"CREATE TABLE t (a {key}, b TEXT, c TEXT REFERENCES t (b)) STRICT;",
                "foreign key mismatch",
            ),
            (
                (
                    "CREATE TABLE p (a TEXT, b TEXT, PRIMARY KEY (a, b)) STRICT;"
                    f" CREATE TABLE c (i {key}, a TEXT, b TEXT,"
                    " FOREIGN KEY (a, b) REFERENCES p) STRICT;"
                ),
                "a FOREIGN KEY of c has several columns",
            ),
            (
                f"CREATE TABLE t (a {key}) STRICT;",
                (
                    "is not usable: no such table: submission_meta; the database was left"
                    " as it is. Correct it, or omit --schema."
                ),
            ),
        ):
            with self.subTest(fault):
                schema.write_text(text, encoding="utf-8")
                (self.folder / "t.csv").write_text("a\n", encoding="utf-8")
                result = self.ingest("--schema", schema)
                self.assertEqual(result.status, 1)
                self.assertIn("schema.sql: ", result.stderr)
                self.assertIn(fault, result.stderr)
                self.assertNotIn("space", result.stderr)
                self.assertFalse(elsewhere.exists())

    def test_keys_equal_in_another_case_are_named_as_duplicates(self) -> None:
        schema = self.folder / "schema.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        self.edit_line("users.csv", 3, partial(set_cell_of, at=1, value="Same@example.com"))
        self.edit_line("users.csv", 8, partial(set_cell_of, at=1, value="same@example.com"))
        for index in ("email COLLATE NOCASE", "LOWER(email)"):
            with self.subTest(index):
                schema.write_text(
                    text.replace("ON users (email)", f"ON users ({index})"),
                    encoding="utf-8",
                )
                result = self.ingest("--schema", schema)
                self.assertEqual(result.status, 1)
                self.assertIn("users.csv:8", result.stderr)

    def test_changed_rule_of_a_schema_is_enforced(self) -> None:
        schema = self.folder / "schema.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        schema.write_text(
            text.replace("quantity BETWEEN 1", "quantity BETWEEN 2"), encoding="utf-8"
        )
        result = self.ingest("--schema", schema)
        self.assertEqual(result.status, 1)
        self.assertIn(
            "E_RULE quantity is '1', which breaks the rule quantity_is_from_1",
            result.stderr,
        )

    def test_empty_cell_of_an_optional_column_is_stored_as_null(self) -> None:
        schema = self.folder / "schema.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        for at, declared in ((6, "cost_cents INTEGER"), (4, "brand TEXT")):
            with self.subTest(declared):
                self.copy_sample()
                optional = text.replace(f"{declared} NOT NULL", declared)
                schema.write_text(optional, encoding="utf-8")
                self.edit_line("products.csv", 3, partial(set_cell_of, at=at, value=""))
                result = self.ingest("--schema", schema)
                self.assertEqual(result.status, 0, result.stderr)
                column = declared.split()[0]
                rows = self.query(f"SELECT product_id FROM products WHERE {column} IS NULL")
                self.assertEqual(rows, [(2,)])

    def test_name_of_every_rule_begins_with_a_column(self) -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(SCHEMA_PATH.read_text(encoding="utf-8"))
        contract = read_contract()
        for table, statement in zip(
            contract.tables, contract.table_statements, strict=False
        ):
            rules = [rule.name for rule in read_rules(statement)]
            self.assertEqual(len(rules), statement.count("CHECK ("), table.name)
            for rule in rules:
                self.assertIsNotNone(find_named_column(rule, table.column_names), rule)


class IngestCommand(ShopCase):
    """The command line of ingest.py."""

    def test_missing_action_prints_help_and_exits_2(self) -> None:
        result = call(ingest.main)
        self.assertEqual(result.status, 2)
        self.assertIn("--ingest", result.stderr)

    def test_option_that_would_be_ignored_is_refused(self) -> None:
        for *options, useless in (
            ("--report", "--data-dir", "no folder"),
            ("--report", "--schema", "none.sql"),
            ("--ingest", "--out-dir", "out"),
            ("--rows", "duplicate_key", "--out-dir", "out"),
            ("--rows", "duplicate_key", "--workers", "2"),
            ("--report", "--max-errors", "0"),
            ("--database", "shop.db"),
        ):
            name = options[-1]
            with self.subTest([*options, useless]):
                result = call(ingest.main, *options, useless)
                self.assertEqual((result.status, result.stdout), (2, ""))
                self.assertIn(f"error: {name} has no effect without --", result.stderr)
                self.assertIn(f", or omit {name}\n", result.stderr)

    def test_unknown_option_exits_2(self) -> None:
        self.assertEqual(call(ingest.main, "--digest").status, 2)

    def test_ingest_and_report_run_in_one_call(self) -> None:
        self.copy_sample()
        result = self.ingest("--report", "--out-dir", self.folder)
        self.assertEqual((result.status, result.stderr), (0, ""))
        for name in ("shop.db", "report.json", "report.md"):
            self.assertTrue((self.folder / name).is_file(), name)

    def test_error_is_one_message_without_a_traceback_in_a_real_process(self) -> None:
        result = run_script(
            "ingest.py",
            "--ingest",
            "--data-dir",
            self.folder,
            "--database",
            self.database,
            env={"PYTHONIOENCODING": "ascii"},
        )
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertTrue(result.stderr.startswith("ingest: error: "), result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_character_that_the_terminal_lacks_is_escaped(self) -> None:
        self.copy_sample()
        self.edit_line("orders.csv", 3, partial(set_cell_of, at=3, value="bezahlt ✓"))
        environments = [
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
            {"PYTHONIOENCODING": "cp1252"},
        ]
        for env in environments if IN_CI else environments[1:2]:
            with self.subTest(env):
                result = run_script(
                    "ingest.py",
                    "--ingest",
                    "--data-dir",
                    self.folder,
                    "--database",
                    self.database,
                    env=env,
                )
                self.assertEqual(result.status, 1)
                self.assertNotIn("Traceback", result.stderr)
                self.assertIn(r"status is 'bezahlt \u2713'", result.stderr)

    def test_load_and_report_finish_although_standard_output_is_closed(self) -> None:
        self.copy_sample()
        process = subprocess.Popen(
            [
                sys.executable,
                "-u",
                ROOT / "ingest.py",
                "--ingest",
                "--report",
                "--data-dir",
                self.folder,
                "--database",
                self.database,
                "--out-dir",
                self.folder,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        with process.stderr:
            self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(process.wait(), 0)
        self.assertTrue((self.folder / "report.md").is_file())

    def test_control_characters_of_a_path_are_escaped(self) -> None:
        result = call(ingest.main, "--report", "--database", self.folder / "a\x1b]0;b\x07")
        self.assertIn("a\\x1b]0;b\\x07: no such file", result.stderr)

    def test_help_names_every_option_of_the_script(self) -> None:
        result = call(ingest.main, "--help")
        self.assertEqual(result.status, 0)
        for option in (
            "--ingest",
            "--report",
            "--data-dir",
            "--database",
            "--schema",
            "--out-dir",
        ):
            self.assertIn(option, result.stdout)
