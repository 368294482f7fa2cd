"""Loading: one transaction, one swap; every fault has a place, nothing is lost."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import unittest
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import ingest
from db.ingest import ingest_folder
from db.loading import loader, second_process
from db.loading.faults import MOST_FAULTS
from db.loading.messages import find_named_column
from tests.support import (
    ROOT,
    SAMPLE_USERS,
    ShopCase,
    call,
    run_script,
    skip_on_windows,
)
from utils.contract import SCHEMA_PATH, read_contract


def end_at_once(*_arguments: object) -> None:
    """Be a process that the system ends."""
    os._exit(1)


class LoadCase(ShopCase):
    """A test with the sample shop's files in its folder."""

    def setUp(self) -> None:
        """Copy the files."""
        super().setUp()
        self.copy_sample()

    def load(self, *arguments: object) -> None:
        """Ingest the folder, which must succeed."""
        result = self.ingest(*arguments)
        self.assertEqual(result.status, 0, result.stderr)

    def refuse(self, *expected: str) -> str:
        """Ingest the folder, which must fail with each of *expected* on stderr."""
        result = self.ingest()
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        for line in expected:
            self.assertIn(line, result.stderr)
        return result.stderr


class ALoadedDatabase(LoadCase):
    """What a successful ingest leaves behind."""

    def test_holds_every_cell_of_the_files(self) -> None:
        self.load()
        for table in read_contract().tables:
            rows = self.query(f"SELECT * FROM {table.name} ORDER BY 1")
            lines = [",".join(map(str, row)) for row in rows]
            header, *expected = (
                (self.folder / f"{table.name}.csv").read_text(encoding="utf-8").splitlines()
            )
            self.assertEqual(header.split(","), table.column_names)
            self.assertEqual(lines, expected, table.name)

    def test_records_each_file_as_it_was_read(self) -> None:
        self.load()
        for table in read_contract().tables:
            data = (self.folder / f"{table.name}.csv").read_bytes()
            expected = {
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": str(len(data)),
                "rows": str(data.count(b"\n") - 1),
                "rows_stored": str(data.count(b"\n") - 1),
                "form": "canonical",
                "manifest": "matches",
            }
            self.assertEqual(self.read_meta(f"{table.name}.csv"), expected)

    def test_records_rules_maker_and_loader(self) -> None:
        self.load()
        schema = hashlib.sha256(SCHEMA_PATH.read_bytes()).hexdigest()
        self.assertEqual(self.read_meta("schema.sql"), {"sha256": schema})
        self.assertEqual(
            self.read_meta("generator"),
            {
                "seed": "42",
                "users": str(SAMPLE_USERS),
                "format_version": "2",
                "currency": "USD",
                "window_start": "2024-01-01",
                "window_end": "2025-12-31",
            },
        )
        self.assertEqual(
            sorted(self.read_meta("loader")),
            ["python_version", "sqlite_version", "tool_version"],
        )

    def test_has_strict_tables_and_the_schema_s_indexes(self) -> None:
        self.load()
        strict = self.query("SELECT COUNT(*) FROM pragma_table_list WHERE strict = 1")
        indexes = self.query(
            "SELECT COUNT(*) FROM sqlite_schema WHERE sql LIKE 'CREATE%INDEX%'"
        )
        contract = read_contract()
        self.assertEqual(strict, [(len(contract.tables) + 1,)])
        self.assertEqual(indexes, [(len(contract.index_statements),)])

    def test_is_the_same_bytes_when_loaded_again(self) -> None:
        self.load()
        first = self.database.read_bytes()
        self.load()
        self.assertEqual(self.database.read_bytes(), first)

    def test_is_the_same_bytes_with_one_process_or_two(self) -> None:
        found = set()
        with mock.patch.object(second_process, "BYTES_FOR_TWO", 0):
            for processors in (1, 2):
                with mock.patch.object(
                    second_process, "count_processors", return_value=processors
                ):
                    self.load()
                found.add(self.database.read_bytes())
        self.assertEqual(len(found), 1)
        two = self.query("SELECT * FROM submission_meta")
        self.load()
        self.assertEqual(self.query("SELECT * FROM submission_meta"), two)

    def test_by_two_processes_names_the_faults_of_either(self) -> None:
        with mock.patch.object(second_process, "BYTES_FOR_TWO", 0):
            for name, at in (("users.csv", 0), ("payments.csv", 5)):
                self.edit_line(name, 4, partial(_set_cell, at=at, value="x"))
            self.refuse("users.csv:4:1: E_INTEGER", "payments.csv:4:6: E_INTEGER")
        self.assertEqual([path.name for path in self.folder.glob(".*")], [])

    def test_by_two_processes_says_if_one_was_ended(self) -> None:
        with (
            mock.patch.object(second_process, "BYTES_FOR_TWO", 0),
            mock.patch.object(second_process, "count_processors", return_value=2),
            mock.patch.object(second_process, "load_shard", end_at_once),
        ):
            self.refuse("the second process of the load was ended by the system")
        self.assertFalse(self.database.exists())

    def test_tells_of_its_progress_to_the_end(self) -> None:
        for smallest in (0, 1 << 40):
            told: list[tuple[int, int]] = []
            with (
                self.subTest(smallest),
                mock.patch.object(second_process, "BYTES_FOR_TWO", smallest),
                mock.patch.object(loader, "CHUNK_ROWS", 50),
            ):
                outcome = ingest_folder(
                    self.folder,
                    self.database,
                    on_progress=lambda *now, told=told: told.append(now),
                )
                self.assertEqual(told, sorted(told))
                rows = sum(file.rows for file in outcome.files)
                self.assertEqual(told[-1], (rows, 1000))
                self.assertGreater(len(told), 3)

    def test_leaves_no_file_beside_it(self) -> None:
        before = set(os.listdir(self.folder))
        self.load()
        self.assertEqual(set(os.listdir(self.folder)) - before, {self.database.name})

    def test_content_digest_does_not_depend_on_row_order_quotes_or_line_ends(self) -> None:
        self.load()
        expected = self.read_meta("users")
        path = self.folder / "users.csv"
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        forms = {
            "reversed": "\n".join([header, *reversed(rows)]),
            "quoted": "\n".join(
                ",".join(f'"{cell}"' for cell in row.split(",")) for row in [header, *rows]
            ),
            "CRLF and BOM": "\ufeff" + "\r\n".join([header, *rows]) + "\r\n",
        }
        for form, text in forms.items():
            with self.subTest(form):
                path.write_bytes(text.encode("utf-8"))
                self.load()
                self.assertEqual(self.read_meta("users"), expected)

    def test_takes_columns_in_any_order(self) -> None:
        path = self.folder / "users.csv"
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        self.load()
        expected = self.query("SELECT * FROM users")
        text = "\n".join(",".join(reversed(row)) for row in rows)
        path.write_text(text, encoding="utf-8", newline="\n")
        self.load()
        self.assertEqual(self.query("SELECT * FROM users"), expected)

    def test_keeps_quoted_text_as_it_is(self) -> None:
        name = 'A "quoted", name\r\nover two lines — ünïcode ✓ <script>'
        quoted = name.replace('"', '""')
        self.edit_line("users.csv", 2, lambda line: _set_cell(line, 2, f'"{quoted}"'))
        self.load()
        self.assertEqual(
            self.query("SELECT full_name FROM users WHERE user_id = 1"), [(name,)]
        )

    def read_meta(self, subject: str) -> dict[str, str]:
        """Return the provenance of *subject* from the folder's database."""
        return dict(
            self.query(
                "SELECT property, value FROM submission_meta WHERE subject = ?", subject
            )
        )


class TheManifest(LoadCase):
    """A manifest is compared, not obeyed."""

    def test_a_changed_file_is_said_and_recorded_and_loaded(self) -> None:
        self.edit_line("users.csv", 2, lambda line: _set_cell(line, 4, "Elsewhere"))
        result = self.ingest()
        self.assertEqual(result.status, 0)
        self.assertIn("users.csv differs from datapackage.json", result.stderr)
        self.assertEqual(self.compare("users.csv"), "differs")
        self.assertEqual(self.compare("orders.csv"), "matches")

    def test_data_without_a_manifest_is_as_of_its_last_event(self) -> None:
        (self.folder / "datapackage.json").unlink()
        self.load()
        self.assertEqual(self.compare("users.csv"), "absent")
        (last,) = self.query("SELECT MAX(processed_at) FROM payments")
        as_of = self.query("SELECT value FROM submission_meta WHERE property = 'as_of'")
        self.assertEqual(as_of, [(last[0][:10],)])

    def test_a_manifest_with_odd_values_is_not_trusted(self) -> None:
        manifest = {"seed": [1], "window": "always", "resources": [None, {"path": "x"}]}
        (self.folder / "datapackage.json").write_text(
            json.dumps(manifest), encoding="utf-8"
        )
        self.load()
        self.assertEqual(self.compare("users.csv"), "unlisted")

    def test_a_window_that_never_was_is_refused(self) -> None:
        for day in ("2025-13-45", "2026-02-31", "tomorrow", "٢٠٢٥-١٢-٣١", 7):
            with self.subTest(day):
                manifest = {"window": {"start": "2024-01-01", "end": day}}
                text = json.dumps(manifest)
                (self.folder / "datapackage.json").write_text(text, encoding="utf-8")
                self.refuse(f"datapackage.json: window_end is {day!r}, expected a day")

    def test_a_broken_manifest_is_named(self) -> None:
        for text in ("{", "[]", "\udcff", '{"seed": "\\ud800"}', "[" * 100_000):
            with self.subTest(text[:20]):
                data = text.encode("utf-8", "surrogateescape")
                (self.folder / "datapackage.json").write_bytes(data)
                self.refuse("datapackage.json: ", "Correct the manifest")

    def compare(self, name: str) -> str:
        """Return the comparison recorded for the file *name*."""
        ((value,),) = self.query(
            "SELECT value FROM submission_meta WHERE subject = ? AND property = 'manifest'",
            name,
        )
        return str(value)


def _set_cell(line: str, at: int, value: str) -> str:
    cells = line.split(",")
    cells[at] = value
    return ",".join(cells)


class AFaultInAFile(LoadCase):
    """Each fault is named with file, line and field, and changes nothing."""

    def setUp(self) -> None:
        """Load a sound database first: the one that must stay."""
        super().setUp()
        self.load()
        self.before = self.database.read_bytes()

    def refuse(self, *expected: str) -> str:
        """Also see that the old database is untouched and nothing lies about."""
        beside = set(os.listdir(self.folder))
        errors = super().refuse(*expected)
        self.assertNotIn("Traceback", errors)
        self.assertEqual(self.database.read_bytes(), self.before)
        self.assertEqual(set(os.listdir(self.folder)), beside)
        return errors

    def break_cell(self, name: str, line: int, at: int, value: str) -> None:
        """Set one cell; *at* counts from 0."""
        self.edit_line(name, line, lambda text: _set_cell(text, at, value))

    def test_text_where_an_integer_belongs(self) -> None:
        # What STRICT tables let through is refused too: one value, one spelling.
        for value in (
            "12.50",
            "abc",
            " 12",
            "12 ",
            "+12",
            "012",
            "1e3",
            "5.0",
            "-0",
            "1_000",
            "0x10",
            "NULL",
            "N/A",
            "１２",
            "１",
            "\u00a012",
            "NaN",
        ):
            with self.subTest(value):
                self.copy_sample()
                self.break_cell("orders.csv", 17, 8, value)
                self.refuse(f"orders.csv:17:9: E_INTEGER total_cents is {value!r}")

    def test_an_integer_beyond_64_bits(self) -> None:
        for value in (str(2**63), str(-(2**63) - 1), "9" * 40, "9" * 5000):
            with self.subTest(len(value)):
                self.copy_sample()
                self.break_cell("orders.csv", 17, 8, value)
                self.refuse("orders.csv:17:9: E_RANGE total_cents is '")

    def test_an_empty_cell(self) -> None:
        for name, at, column in (
            ("users.csv", 0, "user_id"),
            ("users.csv", 4, "city"),
            ("orders.csv", 2, "ordered_at"),
            ("payments.csv", 5, "amount_cents"),
        ):
            with self.subTest(column):
                self.copy_sample()
                self.break_cell(name, 3, at, "")
                self.refuse(f"{name}:3:{at + 1}: E_MISSING {column} is ''")

    def test_a_day_or_time_that_never_was(self) -> None:
        for value in (
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01 00:00:00",
            "2024-01-01T00:00:00+00:00",
            "2024-1-1T0:0:0Z",
            "2024-01-01",
            "now",
            "2460000.5",
        ):
            with self.subTest(value):
                self.copy_sample()
                self.break_cell("orders.csv", 17, 2, value)
                self.refuse(
                    "orders.csv:17:3: E_RULE ordered_at is ", "ordered_at_is_a_utc_instant"
                )

    def test_a_broken_rule(self) -> None:
        for name, at, value, rule in (
            ("users.csv", 1, "no-at-sign", "email_has_one_at_sign"),
            ("users.csv", 3, "us", "country_code_is_two_capitals"),
            ("products.csv", 5, "-1", "price_cents_is_not_negative"),
            ("orders.csv", 3, "Delivered", "status_is_known"),
            ("orders.csv", 8, "1", "total_cents_is_subtotal_minus_discount_plus_shipping"),
            ("order_items.csv", 3, "0", "quantity_is_from_1_to_a_million"),
            ("order_items.csv", 3, "1000001", "quantity_is_from_1_to_a_million"),
            ("order_items.csv", 4, str(10**12 + 1), "unit_price_cents_is_from_0_to"),
            ("order_items.csv", 6, "1", "line_total_cents_is_quantity_times_unit_price"),
            ("payments.csv", 2, "gift", "kind_is_charge_or_refund"),
            ("payments.csv", 5, "-5", "amount_cents_is_not_negative"),
        ):
            with self.subTest(rule):
                self.copy_sample()
                self.break_cell(name, 4, at, value)
                self.refuse(f"{name}:4:{at + 1}: E_RULE ", rule)

    def test_a_key_that_comes_twice_names_both_lines(self) -> None:
        self.break_cell("orders.csv", 9, 0, "3")
        self.refuse("orders.csv:9:1: E_DUPLICATE order_id '3' is already in line 4")

    def test_an_address_that_comes_twice_names_both_lines(self) -> None:
        self.break_cell("users.csv", 3, 1, "same@example.com")
        self.break_cell("users.csv", 8, 1, "same@example.com")
        self.refuse(
            "users.csv:8:2: E_DUPLICATE email 'same@example.com' is already in line 3"
        )

    def test_an_orphan_names_the_missing_parent(self) -> None:
        for name, at, column, parent in (
            ("orders.csv", 1, "user_id", "users.csv"),
            ("order_items.csv", 1, "order_id", "orders.csv"),
            ("order_items.csv", 2, "product_id", "products.csv"),
            ("payments.csv", 1, "order_id", "orders.csv"),
        ):
            with self.subTest(name=name, column=column):
                self.copy_sample()
                self.break_cell(name, 12, at, "987654")
                self.refuse(
                    f"{name}:12:{at + 1}: E_REFERENCE {column} 987654 is not in {parent}"
                )

    def test_a_refused_parent_does_not_make_orphans(self) -> None:
        self.break_cell("users.csv", 2, 3, "usa")
        errors = self.refuse("users.csv:2:4: E_RULE")
        self.assertIn("1 fault in the input", errors)

    def test_a_ragged_row(self) -> None:
        for edit, found in ((lambda line: line + ",x", 10), (lambda line: line[:5], 2)):
            with self.subTest(found):
                self.copy_sample()
                self.edit_line("orders.csv", 17, edit)
                self.refuse(f"orders.csv:17: E_FIELDS {found} fields, expected 9")

    def test_every_row_short_by_one(self) -> None:
        path = self.folder / "products.csv"
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        short = [row.rpartition(",")[0] for row in rows]
        path.write_text("\n".join([header, *short]), encoding="utf-8", newline="\n")
        self.refuse("products.csv:2: E_FIELDS 7 fields, expected 8")

    def test_a_blank_line(self) -> None:
        self.edit_line("orders.csv", 16, lambda line: f"{line}\n")
        self.refuse("orders.csv:17: E_BLANK_LINE")

    def test_lines_count_right_after_quoted_line_breaks(self) -> None:
        self.break_cell("users.csv", 2, 2, '"one\ntwo\r\nthree"')
        self.break_cell("users.csv", 9, 3, "x")
        self.refuse("users.csv:9:4: E_RULE country_code is 'x'")

    def test_a_quote_left_open_is_reported_where_it_opens(self) -> None:
        self.break_cell("users.csv", 5, 2, '"open')
        self.refuse("users.csv:5:3: E_QUOTES the quote that opens here is never closed")

    def test_a_wrong_header(self) -> None:
        for header, expected in (
            (
                "user_id,mail,full_name,country_code,city,acquisition_channel,signed_up_at",
                "users.csv:1:2: E_HEADER column 'mail' is not expected; did you mean email?",
            ),
            (
                "user_id,email,full_name,country_code,city,acquisition_channel",
                "users.csv:1: E_HEADER column signed_up_at is missing",
            ),
            (
                "user_id,email,Full_Name,country_code,city,acquisition_channel,signed_up_at",
                "users.csv:1:3: E_HEADER column 'Full_Name' is not expected; did you mean",
            ),
            (
                "user_id,email,email,country_code,city,acquisition_channel,signed_up_at",
                "users.csv:1:3: E_HEADER column 'email' appears twice",
            ),
            (
                "user_id;email;full_name;country_code;city;acquisition_channel;signed_up_at",
                "users.csv:1: E_DELIMITER columns look separated by semicolons",
            ),
        ):
            with self.subTest(expected):
                self.copy_sample()
                self.edit_line("users.csv", 1, lambda _, header=header: header)  # type: ignore[misc]
                self.refuse(expected)

    def test_an_empty_file(self) -> None:
        for data in (b"", b"\xef\xbb\xbf"):
            with self.subTest(data):
                (self.folder / "orders.csv").write_bytes(data)
                self.refuse("orders.csv: E_EMPTY")

    def test_bytes_that_are_not_utf_8(self) -> None:
        path = self.folder / "users.csv"
        sound = path.read_bytes()
        line_two = sound.index(b"\n") + 1
        position = sound.index(b",", line_two) + 1
        path.write_bytes(sound[:position] + b"\xe9" + sound[position:])
        self.refuse(f"users.csv:2:2: E_ENCODING byte {position} is e9, which is not UTF-8")
        path.write_bytes(sound.decode("utf-8").encode("utf-16"))
        self.refuse("users.csv:1: E_ENCODING the file looks like UTF-16")

    def test_a_nul_character(self) -> None:
        self.break_cell("users.csv", 6, 4, "a\0b")
        self.refuse("users.csv:6:5: E_NUL a NUL at byte ")

    def test_a_file_that_changes_while_it_is_read(self) -> None:
        read = loader.load_table
        path = self.folder / "users.csv"

        def read_and_touch(*arguments: Any) -> Any:
            loaded = read(*arguments)
            path.write_bytes(path.read_bytes() + b"\n")
            return loaded

        with mock.patch("db.loading.loader.load_table", read_and_touch):
            self.refuse("a file changed while it was read", "run again")

    def test_a_folder_in_the_place_of_a_file(self) -> None:
        (self.folder / "orders.csv").unlink()
        (self.folder / "orders.csv").mkdir()
        self.refuse("orders.csv is not a file. Replace it with the CSV file.")
        (self.folder / "users.csv").unlink()
        self.refuse("orders.csv is not a file, missing users.csv. Make them with")

    def test_a_file_in_the_place_of_the_folder(self) -> None:
        result = call(ingest.main, "--ingest", "--data-dir", self.folder / "users.csv")
        self.assertEqual(result.status, 1)
        self.assertIn("users.csv: not a folder", result.stderr)

    def test_a_table_file_that_is_missing(self) -> None:
        (self.folder / "orders.csv").unlink()
        (self.folder / "users.csv").unlink()
        self.refuse(
            "missing users.csv, orders.csv", "generate_data.py --generate", "--data-dir"
        )

    def test_many_faults_are_cut_and_counted(self) -> None:
        path = self.folder / "payments.csv"
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        rows = [_set_cell(row, 3, "") for row in rows]
        path.write_text("\n".join([header, *rows]), encoding="utf-8", newline="\n")
        errors = self.refuse(f"{len(rows)} faults in the input")
        self.assertIn(f"… and {len(rows) - MOST_FAULTS} more", errors)

    def test_faults_of_every_kind_and_file_come_in_one_run(self) -> None:
        self.break_cell("users.csv", 4, 3, "x")
        self.break_cell("orders.csv", 7, 4, "1.5")
        self.break_cell("order_items.csv", 5, 2, "999999")
        self.edit_line("payments.csv", 6, lambda line: line + ",")
        self.refuse(
            "users.csv:4:4", "orders.csv:7:5", "order_items.csv:5:3", "payments.csv:6"
        )


class AWarning(LoadCase):
    """What is allowed, yet hardly meant, is said."""

    def warn(self) -> list[str]:
        """Return the warnings of a load."""
        return ingest_folder(self.folder, self.database).warnings

    def test_is_not_given_for_a_sound_file(self) -> None:
        self.assertEqual(self.warn(), [])
        path = self.folder / "users.csv"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        self.edit_line("users.csv", 2, lambda line: _set_cell(line, 2, '"a\nb\rc"'))
        self.assertEqual(self.warn(), [])

    def test_tells_of_a_file_without_rows(self) -> None:
        path = self.folder / "payments.csv"
        path.write_bytes(path.read_bytes().split(b"\n")[0])
        self.assertEqual(self.warn(), ["payments.csv has a header and no rows."])

    def test_tells_where_line_ends_change(self) -> None:
        for line in (3, 5):
            self.edit_line("users.csv", line, lambda text: f"{text}\r")
        self.assertEqual(
            self.warn(), ["users.csv:3 ends with CRLF, the lines before it with LF."]
        )


class ATarget(LoadCase):
    """The database that is replaced is replaced whole or not at all."""

    def test_that_is_not_a_database_is_left_alone(self) -> None:
        self.database.write_text("my shopping list " * 100, encoding="utf-8")
        before = self.database.read_bytes()
        self.refuse("shop.db: file is not a database; it was left as it is")
        self.assertEqual(self.database.read_bytes(), before)

    def test_that_holds_other_tables_is_left_alone(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("CREATE TABLE recipes (name)")
        before = self.database.read_bytes()
        self.refuse("shop.db: holds other tables (recipes), so it was left as it is")
        self.assertEqual(self.database.read_bytes(), before)

    def test_that_is_read_only_is_left_alone(self) -> None:
        self.load()
        with mock.patch("db.loading.swap.os.access", return_value=False):
            self.refuse("shop.db: is read-only")

    def test_that_is_gone_but_left_its_log_is_named(self) -> None:
        for suffix in ("-journal", "-wal", "-shm"):
            with self.subTest(suffix):
                leftover = self.folder / f"shop.db{suffix}"
                leftover.write_bytes(b"left")
                self.refuse(f"shop.db{suffix}: left by a deleted database")
                leftover.unlink()

    def test_that_is_a_device_is_left_alone(self) -> None:
        skip_on_windows("Windows has no device files")
        result = call(
            ingest.main, "--ingest", "--data-dir", self.folder, "--database", os.devnull
        )
        self.assertEqual(result.status, 1)
        self.assertIn("is not a regular file", result.stderr)
        self.assertFalse(Path(os.devnull).is_file())

    def test_that_does_not_fit_on_the_disk_is_named(self) -> None:
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

    def test_that_is_a_folder_is_named(self) -> None:
        self.database.mkdir()
        self.refuse("shop.db: is a folder")

    def test_in_a_folder_that_is_a_file_is_named(self) -> None:
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

    def test_in_a_folder_that_is_missing_is_made(self) -> None:
        deep = self.folder / "a" / "b" / "shop.db"
        self.succeed(ingest.main, "--ingest", "--data-dir", self.folder, "--database", deep)
        self.assertTrue(deep.is_file())

    def test_that_a_program_writes_to_is_left_alone(self) -> None:
        self.load()
        before = self.database.read_bytes()
        with (
            closing(sqlite3.connect(self.database, isolation_level=None)) as other,
            mock.patch("db.loading.swap.LOCK_TIMEOUT", 0.05),
        ):
            other.execute("BEGIN IMMEDIATE")
            self.refuse("shop.db: cannot be replaced: database is locked")
        self.assertEqual(self.database.read_bytes(), before)

    def test_that_a_program_reads_keeps_serving_its_reader(self) -> None:
        skip_on_windows("Windows does not rename over an open file")
        self.load()
        with closing(sqlite3.connect(self.database)) as reader:
            rows = reader.execute("SELECT user_id FROM users ORDER BY user_id")
            first = rows.fetchone()
            self.edit_line("users.csv", 2, lambda line: _set_cell(line, 4, "Elsewhere"))
            self.assertEqual(self.ingest().status, 0)
            self.assertEqual(
                [first, *rows], [(number,) for number in range(1, SAMPLE_USERS + 1)]
            )
        self.assertEqual(
            self.query("SELECT city FROM users WHERE user_id = 1"), [("Elsewhere",)]
        )

    def test_in_wal_mode_leaves_no_log_to_ruin_its_successor(self) -> None:
        self.load()
        with closing(sqlite3.connect(self.database)) as writer:
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("UPDATE users SET city = 'Elsewhere'")
            writer.commit()
        self.load()
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])
        self.assertEqual(self.query("SELECT 1 FROM users WHERE city = 'Elsewhere'"), [])

    def test_keeps_its_permissions_and_its_link(self) -> None:
        skip_on_windows("Windows has other permissions and links")
        self.load()
        self.database.chmod(0o640)
        link = self.folder / "link.db"
        link.symlink_to(self.database)
        self.succeed(ingest.main, "--ingest", "--data-dir", self.folder, "--database", link)
        self.assertTrue(link.is_symlink())
        self.assertEqual(stat.S_IMODE(self.database.stat().st_mode), 0o640)

    def test_is_swapped_on_windows_too(self) -> None:
        with mock.patch("db.loading.swap.IS_WINDOWS", True):
            self.load()
            self.load()
            with mock.patch(
                "db.loading.swap.os.replace", side_effect=PermissionError(13, "in use")
            ):
                self.refuse("shop.db: cannot be replaced: in use.")
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])

    def test_survives_a_failure_of_the_last_step(self) -> None:
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

    def test_survives_an_interruption(self) -> None:
        self.load()
        before = self.database.read_bytes()
        with mock.patch("db.loading.loader.load_table", side_effect=KeyboardInterrupt):
            result = self.ingest()
        self.assertEqual(result.status, 130)
        self.assertEqual(self.database.read_bytes(), before)


class ASchema(LoadCase):
    """The schema is an input like the others."""

    def test_that_is_missing_or_broken_is_named(self) -> None:
        schema = self.folder / "schema.sql"
        for text in (None, "CREATE TABEL x (y)", "", "CREATE TABLE users (user_id"):
            with self.subTest(text):
                if text is not None:
                    schema.write_text(text, encoding="utf-8")
                result = self.ingest("--schema", schema)
                self.assertEqual(result.status, 1)
                self.assertIn("schema.sql: ", result.stderr)

    def test_that_csv_files_cannot_fill_is_named(self) -> None:
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
            (f'CREATE TABLE t (a {key}, "index" TEXT) STRICT;', "'index' in t is a word"),
            (f"CREATE TABLE t (a {key} ON CONFLICT IGNORE) STRICT;", "ON CONFLICT after"),
            (f"CREATE TABLE t (a {key}, b TEXT CHECK (b > '')) STRICT;", "has no name"),
            (f"CREATE TABLE t (a {key} REFERENCES u) STRICT;", "t.a refers to u, no such"),
            (
                f"CREATE TABLE t (a {key}, b TEXT, c TEXT REFERENCES t (b)) STRICT;",
                "foreign key mismatch",
            ),
            (
                (
                    "CREATE TABLE p (a TEXT, b TEXT, PRIMARY KEY (a, b)) STRICT; CREATE TABLE c"
                    f" (i {key}, a TEXT, b TEXT, FOREIGN KEY (a, b) REFERENCES p) STRICT;"
                ),
                "a FOREIGN KEY of c has several columns",
            ),
            (f"CREATE TABLE t (a {key}) STRICT;", "no such table: submission_meta"),
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

    def test_whose_keys_are_the_same_in_other_letters_names_the_duplicate(self) -> None:
        schema = self.folder / "schema.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        self.edit_line("users.csv", 3, partial(_set_cell, at=1, value="Same@example.com"))
        self.edit_line("users.csv", 8, partial(_set_cell, at=1, value="same@example.com"))
        for index in ("email COLLATE NOCASE", "LOWER(email)"):
            with self.subTest(index):
                schema.write_text(
                    text.replace("ON users (email)", f"ON users ({index})"),
                    encoding="utf-8",
                )
                result = self.ingest("--schema", schema)
                self.assertEqual(result.status, 1)
                self.assertIn("users.csv:8", result.stderr)

    def test_with_another_rule_is_obeyed(self) -> None:
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

    def test_with_a_column_that_may_be_empty_stores_nothing_there(self) -> None:
        schema = self.folder / "schema.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        for at, declared in ((6, "cost_cents INTEGER"), (4, "brand TEXT")):
            with self.subTest(declared):
                self.copy_sample()
                optional = text.replace(f"{declared} NOT NULL", declared)
                schema.write_text(optional, encoding="utf-8")
                self.edit_line("products.csv", 3, partial(_set_cell, at=at, value=""))
                result = self.ingest("--schema", schema)
                self.assertEqual(result.status, 0, result.stderr)
                column = declared.split()[0]
                rows = self.query(f"SELECT product_id FROM products WHERE {column} IS NULL")
                self.assertEqual(rows, [(2,)])

    def test_names_a_column_in_every_rule(self) -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(SCHEMA_PATH.read_text(encoding="utf-8"))
        contract = read_contract()
        for table, statement in zip(
            contract.tables, contract.table_statements, strict=False
        ):
            rules = [
                line.split()[1] for line in statement.splitlines() if "CONSTRAINT" in line
            ]
            self.assertEqual(len(rules), statement.count("CHECK ("), table.name)
            for rule in rules:
                self.assertIsNotNone(find_named_column(rule, table.column_names), rule)


class TheCommand(ShopCase):
    """The command line of ingest.py."""

    def test_without_an_action_prints_help_and_exits_2(self) -> None:
        result = call(ingest.main)
        self.assertEqual(result.status, 2)
        self.assertIn("--ingest", result.stderr)

    def test_an_unknown_option_exits_2(self) -> None:
        self.assertEqual(call(ingest.main, "--digest").status, 2)

    def test_ingest_and_report_in_one_call(self) -> None:
        self.copy_sample()
        result = self.ingest("--report", "--out-dir", self.folder)
        self.assertEqual((result.status, result.stderr), (0, ""))
        for name in ("shop.db", "report.json", "report.md"):
            self.assertTrue((self.folder / name).is_file(), name)

    def test_a_fault_is_one_message_without_a_traceback_in_a_real_process(self) -> None:
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

    def test_a_value_that_the_terminal_lacks_is_escaped(self) -> None:
        self.copy_sample()
        self.edit_line("orders.csv", 3, partial(_set_cell, at=3, value="bezahlt ✓"))
        for env in (
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
            {"PYTHONIOENCODING": "cp1252"},
        ):
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

    def test_does_its_work_when_nobody_reads_what_it_says(self) -> None:
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

    def test_a_path_with_control_characters_is_escaped(self) -> None:
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


if __name__ == "__main__":
    unittest.main()
