"""The diagnostic path: one run names every fault, and lists what it could not check."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from unittest import mock

import ingest
from db.loading.diagnosis import find_faults
from db.loading.faults import Fault, require_writable
from tests.fault_case import FaultCase, put, set_cell, set_line, swap_bytes
from tests.support import ROOT, ShopCase, call, refuse_to_replace, skip, skip_on_windows
from utils.contract import SCHEMA_PATH, read_contract
from utils.helpers import DataError


class FaultReport(FaultCase):
    """One run reports every fault."""

    def test_one_row_with_seven_faults_lists_all_of_them(self) -> None:
        self.edit("orders", set_line(3, b"2,x,2024-02-30T00:00:00Z,Paid,-1,0,,01,x"))
        self.assertEqual(
            [(fault.field, fault.code) for fault in self.find().first],
            [
                (2, "E_INTEGER"),
                (7, "E_MISSING"),
                (8, "E_INTEGER"),
                (9, "E_INTEGER"),
                (3, "E_RULE"),
                (4, "E_RULE"),
                (5, "E_RULE"),
            ],
        )

    def test_faults_in_all_files_are_found_in_one_run(self) -> None:
        self.edit("users", set_cell(2, 4, "xx"))
        self.edit("products", set_cell(3, 1, "1"))
        self.edit("orders", set_line(4, b""))
        self.edit("order_items", set_cell(5, 4, "x"))
        self.edit("payments", set_cell(6, 2, "99"))
        codes = {(fault.file, fault.code) for fault in self.find().first}
        self.assertLessEqual(
            {
                ("users.csv", "E_RULE"),
                ("products.csv", "E_DUPLICATE"),
                ("orders.csv", "E_BLANK_LINE"),
                ("order_items.csv", "E_INTEGER"),
                ("payments.csv", "E_REFERENCE"),
            },
            codes,
        )

    def test_many_faults_are_listed_up_to_the_limit_and_counted(self) -> None:
        contract = read_contract()
        header = ",".join(contract.tables[4].column_names)
        rows = [f"{n},1,gift,card,failed,x,2024-01-01T00:00:00Z" for n in range(1, 1101)]
        (self.folder / "payments.csv").write_text("\n".join([header, *rows]), "utf-8")
        written: list[Fault] = []
        found = find_faults(
            contract,
            self.folder,
            currency=None,
            max_errors=7,
            write_fault=written.append,
        )
        self.assertEqual(len(found.first), 14)
        self.assertEqual(
            dict(found.counts),
            {
                ("payments.csv", "amount_cents", "E_INTEGER"): 1100,
                ("payments.csv", "kind", "E_RULE"): 1100,
            },
        )
        self.assertEqual(len(written), 2200)
        result = self.ingest("--max-errors", 7)
        self.assertIn(
            "    1,100  E_INTEGER     payments.csv amount_cents (7 listed)\n", result.stderr
        )
        self.assertIn("--errors FILE writes all of them", result.stderr)
        self.assertEqual(result.stderr.count("payments.csv:"), 14)
        # By default a hundred of each kind are listed.
        result = self.ingest()
        self.assertIn(
            "    1,100  E_RULE        payments.csv kind (100 listed)\n", result.stderr
        )
        self.assertEqual(result.stderr.count("payments.csv:"), 200)

    def test_faults_of_one_column_do_not_hide_those_of_another(self) -> None:
        header = ",".join(read_contract().tables[4].column_names)
        rows = [f"{n},1,gift,card,failed,5,2024-01-01T00:00:00Z" for n in range(1, 201)]
        rows += [f"{n},1,charge,card,paid,5,2024-01-01T00:00:00Z" for n in range(201, 801)]
        (self.folder / "payments.csv").write_text("\n".join([header, *rows]), "utf-8")
        self.edit("users", set_cell(3, 5, ""))
        first, *lines = self.ingest().stderr.splitlines()
        self.assertIn("801 faults in the input", first)
        self.assertEqual(
            lines[:3],
            [
                "        1  E_MISSING     users.csv city",
                "      600  E_RULE        payments.csv status (100 listed)",
                "      200  E_RULE        payments.csv kind (100 listed)",
            ],
        )
        self.assertEqual(
            [
                sum(f" {column} is " in line for line in lines)
                for column in ("kind", "status")
            ],
            [100, 100],
        )
        self.assertIn("--errors FILE writes all of them", lines[-1])

    def test_faults_at_the_edges_of_chunks_are_found(self) -> None:
        contract = read_contract()
        header = ",".join(contract.tables[4].column_names)
        rows = [f"{n},1,charge,card,failed,5,2024-01-01T00:00:00Z" for n in range(1, 3001)]
        for number in (1, 500, 501, 2750, 3000):
            rows[number - 1] += ","
        (self.folder / "payments.csv").write_text("\n".join([header, *rows]), "utf-8")
        lines = [fault.line for fault in self.find().first]
        self.assertEqual(lines, [2, 501, 502, 2751, 3001])


class LoadingReadme(ShopCase):
    """The faults in the README are those of the code."""

    def test_faults_in_the_readme_are_what_a_load_prints(self) -> None:
        self.copy_sample()
        for name, line, at, value in (
            ("orders.csv", 17, 8, "12.50"),
            ("payments.csv", 5, 1, "99999999"),
        ):
            self.edit_line(
                name,
                line,
                lambda text, at=at, value=value: ",".join(  # type: ignore[misc]
                    value if n == at else cell for n, cell in enumerate(text.split(","))
                ),
            )
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        shown = re.findall(r"```text\n(ingest: error: .*?)```", readme, re.DOTALL)
        self.assertEqual(shown, [self.ingest().stderr])

    def test_readme_names_every_code(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        sources = "".join(
            path.read_text(encoding="utf-8")
            for path in sorted((ROOT / "db" / "loading").glob("*.py"))
        )
        codes = set(re.findall(r"\"(E_[A-Z_]+)\"", sources))
        self.assertEqual(codes, set(re.findall(r"`(E_[A-Z_0-9]+)`", readme)))
        self.assertGreater(len(codes), 15)


class ErrorsFile(FaultCase):
    """`--errors` writes every fault for programs."""

    def test_errors_file_has_one_object_per_line(self) -> None:
        self.edit("users", set_cell(3, 5, ""))
        self.edit("payments", set_cell(3, 6, "12.50"))
        path = self.folder / "errors.jsonl"
        result = self.ingest("--errors", path, "--max-errors", 0)
        self.assertEqual(result.status, 1)
        self.assertIn(f"All of them are in {path}.", result.stderr)
        first, second = map(json.loads, path.read_text("utf-8").splitlines())
        self.assertEqual(
            first,
            {
                "file": "users.csv",
                "line": 3,
                "field": 5,
                "column": "city",
                "byte_offset": first["byte_offset"],
                "code": "E_MISSING",
                "value": "",
                "expected": "a value",
                "message": "city is '', expected a value",
            },
        )
        self.assertEqual((second["value"], second["column"]), ("12.50", "amount_cents"))
        data = (self.folder / "payments.csv").read_bytes()
        self.assertTrue(data[second["byte_offset"] :].startswith(b"2,2,charge,wallet"))

    def test_errors_file_is_empty_without_faults(self) -> None:
        path = self.folder / "errors.jsonl"
        self.edit("users", set_cell(3, 5, ""))
        self.assertEqual(self.ingest("--errors", path).status, 1)
        self.assertIn("E_MISSING", path.read_text("utf-8"))
        self.edit("users", set_cell(3, 5, "Leeds"))
        self.assertEqual(self.ingest("--errors", path).status, 0)
        self.assertEqual(path.read_bytes(), b"")
        self.assertEqual([p.name for p in self.folder.glob(".*")], [])

    def test_errors_file_takes_bytes_that_are_not_text(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b"\xff\xfe\0<>\x1b"))
        path = self.folder / "errors.jsonl"
        self.assertEqual(self.ingest("--errors", path).status, 1)
        objects = [json.loads(line) for line in path.read_bytes().splitlines()]
        self.assertEqual({entry["code"] for entry in objects}, {"E_ENCODING", "E_NUL"})

    def test_unusable_errors_path_is_named_before_the_load(self) -> None:
        (self.folder / "file").touch()
        for path, reason in (
            (self.folder / "file" / "errors.jsonl", "file is not a folder"),
            (self.folder, "is a folder"),
            ("", "is a folder"),
            ("/", "is a folder"),
            ("a\0b", "cannot be written: embedded null"),
        ):
            with self.subTest(path):
                result = self.ingest("--errors", path)
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertIn(reason, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
                self.assertFalse(self.database.exists())

    def test_message_of_require_writable_has_path_reason_and_remedy(self) -> None:
        skip_on_windows("Windows has no device files of this kind")
        folder, file = self.folder / "folder", self.folder / "file"
        folder.mkdir()
        file.touch()
        socket_path = self.folder / "socket"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(socket_path))
            for path, reason in (
                (folder, "is a folder"),
                (socket_path, "is not a regular file"),
                (file / "errors", f"cannot be written: {file} is not a folder"),
                (
                    self.folder / "users.csv",
                    f"faults written there would overwrite {self.folder / 'users.csv'}",
                ),
            ):
                with self.subTest(reason), self.assertRaises(DataError) as caught:
                    require_writable(path, [self.folder / "users.csv"])
                self.assertEqual(
                    str(caught.exception),
                    f"{path}: {reason}. Name another file with --errors.",
                )
        with (
            mock.patch("db.loading.faults.os.access", return_value=False),
            self.assertRaises(DataError) as caught,
        ):
            require_writable(file, [])
        self.assertEqual(
            str(caught.exception),
            f"{file}: is read-only. Name another file with --errors.",
        )
        require_writable(file, [])

    def test_errors_file_never_overwrites_inputs_or_outputs(self) -> None:
        self.assertEqual(self.ingest().status, 0)
        (self.folder / "datapackage.json").write_text("{}", "utf-8")
        schema = self.folder / "schema.sql"
        schema.write_bytes(SCHEMA_PATH.read_bytes())
        names = [
            "users.csv",
            "payments.csv",
            "datapackage.json",
            "schema.sql",
            "shop.db",
            "shop.db-journal",
            "shop.db-wal",
            "shop.db-shm",
            ".shop.db.lock",
        ]
        if os.name != "nt":
            (self.folder / "link").symlink_to(self.folder / "orders.csv")
            os.link(self.folder / "orders.csv", self.folder / "twin")
            names += ["link", "twin"]
        for is_sound in (True, False):
            before = {path: path.read_bytes() for path in self.folder.iterdir()}
            for name in names:
                with self.subTest(name, is_sound=is_sound):
                    result = self.ingest("--schema", schema, "--errors", self.folder / name)
                    self.assertEqual(result.status, 1)
                    self.assertIn("faults written there would overwrite", result.stderr)
                    after = {path: path.read_bytes() for path in self.folder.iterdir()}
                    self.assertEqual(after, before)
            self.edit("users", set_cell(3, 5, ""))

    def test_file_with_another_content_is_not_replaced_by_faults(self) -> None:
        other = self.folder / "another.db"
        for content in (b"SQLite format 3\0", b"notes\n", b'{"file": "users.csv"}\n'):
            with self.subTest(content):
                other.write_bytes(content)
                result = self.ingest("--errors", other)
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertIn(
                    f"{other}: has another content than faults. Name another file with"
                    " --errors.",
                    result.stderr,
                )
                self.assertEqual(other.read_bytes(), content)

    def test_errors_file_behind_a_link_keeps_the_link(self) -> None:
        skip_on_windows("Windows has other links")
        self.edit("users", set_cell(3, 5, ""))
        (self.folder / "link").symlink_to(self.folder / "errors.jsonl")
        self.assertEqual(self.ingest("--errors", self.folder / "link").status, 1)
        self.assertTrue((self.folder / "link").is_symlink())
        self.assertIn("E_MISSING", (self.folder / "errors.jsonl").read_text("utf-8"))

    def test_errors_go_to_a_pipe_if_a_program_reads_it(self) -> None:
        skip_on_windows("Windows has no named pipes in folders")
        self.edit("users", set_cell(3, 5, ""))
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.assertIn(": no program reads from it", self.ingest("--errors", pipe).stderr)
        with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
            result = self.ingest("--errors", pipe)
            self.assertIn("users.csv:3:5: E_MISSING", result.stderr)
            self.assertIn(b'"E_MISSING"', reader.read())
        self.assertTrue(pipe.is_fifo())
        self.assertIn("E_MISSING", self.ingest("--errors", os.devnull).stderr)
        self.assertFalse(Path(os.devnull).is_file())

    def test_full_device_does_not_hide_the_faults(self) -> None:
        if not os.path.exists("/dev/full"):
            skip("no /dev/full")
        self.edit("users", set_cell(3, 5, ""))
        result = self.ingest("--errors", "/dev/full")
        self.assertEqual(result.status, 1)
        self.assertIn(
            "users.csv:3:5: E_MISSING city is '', expected a value", result.stderr
        )
        self.assertIn("/dev/full: cannot be written: No space left", result.stderr)

    def test_device_that_is_full_after_some_faults_does_not_hide_the_others(self) -> None:
        if not os.path.exists("/dev/full"):
            skip("no /dev/full")
        # More than a buffer of the file holds, so a write fails and not the close.
        self.edit("users", lambda data: data + b"x\n" * 500)
        result = self.ingest("--errors", "/dev/full")
        self.assertEqual(result.status, 1)
        self.assertIn("500", result.stderr)
        self.assertIn("/dev/full: cannot be written: No space left", result.stderr)

    def test_failed_rename_of_the_errors_file_does_not_hide_the_faults(self) -> None:
        self.edit("users", set_cell(3, 5, ""))
        with refuse_to_replace("errors.jsonl"):
            result = self.ingest("--errors", self.folder / "errors.jsonl")
        self.assertEqual(result.status, 1)
        self.assertIn("users.csv:3:5: E_MISSING", result.stderr)
        self.assertIn("errors.jsonl: cannot be written: in use", result.stderr)

    def test_errors_file_contains_the_expression_of_a_broken_rule(self) -> None:
        self.edit("payments", set_cell(3, 6, "-1"))
        path = self.folder / "errors.jsonl"
        self.ingest("--errors", path)
        (entry,) = map(json.loads, path.read_bytes().splitlines())
        self.assertEqual(entry["expected"], "amount_cents >= 0")

    def test_errors_file_contains_advice_in_the_message_only(self) -> None:
        self.edit("users", set_cell(3, 4, "de"))
        self.edit("orders", set_cell(9, 2, ""))
        self.edit("orders", set_cell(8, 9, "6000"))
        self.edit("payments", set_cell(3, 3, "Charge"))
        self.edit("payments", set_cell(4, 6, "12.50"))
        path = self.folder / "errors.jsonl"
        self.ingest("--errors", path)
        entries = [json.loads(line) for line in path.read_bytes().splitlines()]
        self.assertGreaterEqual(len(entries), 5)
        for entry in entries:
            with self.subTest(entry["message"]):
                self.assertIn(f"expected {entry['expected']}", entry["message"])
                self.assertNotIn(";", entry["expected"])


class CheckOption(FaultCase):
    """`--check` does everything except replacing the database."""

    def check(self, *expected: str) -> int:
        """Check the folder's files; return the status."""
        before = {path: path.read_bytes() for path in self.folder.iterdir()}
        result = call(
            ingest.main, "--check", "--data-dir", self.folder, "--database", self.database
        )
        for text in expected:
            self.assertIn(text, result.stdout + result.stderr)
        self.assertEqual({p: p.read_bytes() for p in self.folder.iterdir()}, before)
        return result.status

    def test_check_lists_the_files_and_creates_nothing(self) -> None:
        self.assertEqual(self.check("No faults; nothing was loaded:", "users.csv"), 0)

    def test_check_names_the_faults_and_keeps_the_database(self) -> None:
        self.assertEqual(self.ingest().status, 0)
        self.edit("users", set_cell(3, 5, ""))
        self.assertEqual(self.check("users.csv:3:5: E_MISSING"), 1)

    def test_check_writes_nothing_beside_a_read_only_database(self) -> None:
        self.assertEqual(self.ingest().status, 0)
        refused, access = PermissionError(13, "Permission denied"), os.access

        def is_allowed(path: Path, mode: int) -> bool:
            return Path(path) != self.database and access(path, mode)

        for path in (self.database, self.folder / "none" / "shop.db"):
            with (
                self.subTest(path),
                mock.patch("db.loading.swap.os.access", is_allowed),
                mock.patch("db.loading.swap._open_lock", side_effect=refused),
                mock.patch("db.loading.swap._make_folders", side_effect=refused),
            ):
                arguments = ("--data-dir", self.folder, "--database", path)
                self.succeed(ingest.main, "--check", *arguments)
                self.assertEqual(call(ingest.main, "--ingest", *arguments).status, 1)

    def test_check_and_ingest_exclude_each_other(self) -> None:
        result = call(ingest.main, "--check", "--ingest")
        self.assertEqual(result.status, 2)
        self.assertIn("not allowed with", result.stderr)

    def test_invalid_number_of_errors_exits_2(self) -> None:
        for number in ("-1", "x", "1.5", "9" * 10):
            with self.subTest(number):
                result = call(ingest.main, "--check", "--max-errors", number)
                self.assertEqual(result.status, 2)


class DuplicateKeys(FaultCase):
    """Rows that share a key are reported with the line of the first one."""

    def test_key_shared_by_two_rejected_rows_is_reported(self) -> None:
        self.edit("users", set_cell(3, 4, "x"))
        self.edit("users", set_cell(5, 4, "y"))
        self.edit("users", set_cell(5, 1, "2"))
        self.assertEqual(
            [fault for fault in self.list_faults() if "E_DUPLICATE" in fault],
            [
                (
                    "users.csv:5:1: E_DUPLICATE user_id '2' is already in line 3,"
                    " expected it once"
                )
            ],
        )

    def test_key_used_three_times_names_the_first_line(self) -> None:
        self.edit("users", lambda data: data + data.splitlines(keepends=True)[2] * 2)
        self.assertEqual(
            self.list_faults(),
            [
                f"users.csv:{line}:{what} is already in line 3, expected it once"
                for line in (6, 7)
                for what in (
                    "1: E_DUPLICATE user_id '2'",
                    "2: E_DUPLICATE email 'bob@example.com'",
                )
            ],
        )

    def test_pieces_of_a_broken_row_are_no_duplicates(self) -> None:
        # The second line begins with the key of another row, and is none.
        self.edit("users", swap_bytes(b"Bob Brown", b"Bob\n3,Brown"))
        self.assertEqual(
            {(fault.file, fault.line, fault.code) for fault in self.find().first},
            {("users.csv", 3, "E_FIELDS"), ("users.csv", 4, "E_FIELDS")},
        )


class Headers(FaultCase):
    """With a usable header all rows are checked; otherwise the unchecked ones are named."""

    def test_rows_are_checked_after_a_misspelt_column_name(self) -> None:
        self.edit("users", swap_bytes(b",city,", b",City,"))
        self.edit("users", set_cell(3, 5, ""))
        self.edit("orders", set_cell(9, 2, "77"))
        self.assertEqual(
            self.list_faults(),
            [
                (
                    "users.csv:1:5: E_HEADER 6 of 7 columns match; perhaps rename 'City' to"
                    " city"
                ),
                "users.csv:3:5: E_MISSING city is '', expected a value",
                "orders.csv:9:2: E_REFERENCE user_id 77 is not in users.csv",
            ],
        )

    def test_rows_are_checked_after_blank_lines_before_the_header(self) -> None:
        self.edit("users", set_cell(3, 5, ""))
        self.edit("users", put(b"\n\n", at=0))
        self.assertEqual(
            [fault.split(" ")[:2] for fault in self.list_faults()],
            [["users.csv:1:", "E_BLANK_LINE"], ["users.csv:5:5:", "E_MISSING"]],
        )

    def test_unknown_header_names_what_was_not_checked(self) -> None:
        self.edit("users", swap_bytes(b",city,", b",place,"))
        self.edit("orders", set_cell(9, 2, "77"))
        *_, last = self.list_faults()
        self.assertTrue(
            last.endswith(
                "; add what is missing: city; rename or remove what is not expected:"
                " 'place'; its rows were not checked;"
                " references to users.csv were not checked"
            ),
            last,
        )

    def test_ambiguous_column_name_is_not_guessed(self) -> None:
        columns = b"shipping_cents,tax_cents,total_cents"
        self.edit("orders", swap_bytes(columns, b"shipping_cents,tax_cents,otal_cents"))
        self.edit("orders", swap_bytes(b"subtotal_cents", b"btotal_cents"))
        self.assertIn("its rows were not checked", self.list_faults()[-1])

    def test_field_of_an_orphan_follows_the_order_of_the_header(self) -> None:
        self.edit("orders", set_cell(9, 2, "77"))
        self.edit(
            "orders",
            lambda data: b"".join(
                b",".join(reversed(line.split(b","))) + b"\n" for line in data.splitlines()
            ),
        )
        # Of nine columns the second is now the eighth.
        self.assertEqual(
            self.list_faults(),
            ["orders.csv:9:8: E_REFERENCE user_id 77 is not in users.csv"],
        )


class RejectedParent(FaultCase):
    """Children of a rejected row are checked if its key is known; else that is stated."""

    UNCHECKED = "; references to users.csv were not checked"

    def test_rows_in_quotes_or_with_another_delimiter_make_no_orphans(self) -> None:
        for change in (lambda row: b'"%s"' % row, lambda row: row.replace(b",", b";")):
            self.write_all()
            header, *rows = (self.folder / "users.csv").read_bytes().splitlines()
            with self.subTest(change(rows[0])):
                changed = b"\n".join([header, *map(change, rows)])
                self.edit("users", lambda _data, changed=changed: changed)  # type: ignore[misc]
                faults = self.list_faults()
                self.assertEqual(len(faults), len(rows), faults)
                for fault in faults:
                    self.assertIn(": E_FIELDS 1 field, expected 7", fault)
                    self.assertTrue(fault.endswith(self.UNCHECKED), fault)

    def test_key_without_a_guess_makes_no_orphans(self) -> None:
        for key, code in ((b"2e0", "E_INTEGER"), (b"U2", "E_INTEGER"), (b"", "E_MISSING")):
            with self.subTest(key):
                self.write_all()
                self.edit("users", swap_bytes(b"\n2,bob", b"\n%s,bob" % key))
                (fault,) = self.list_faults()
                self.assertTrue(fault.startswith(f"users.csv:3:1: {code} user_id"), fault)
                self.assertTrue(fault.endswith(self.UNCHECKED), fault)

    def test_byte_in_a_key_that_is_not_utf_8_makes_no_orphans(self) -> None:
        self.edit("users", swap_bytes(b"\n2,bob", b"\n\xff2,bob"))
        (fault,) = self.list_faults()
        self.assertTrue(fault.startswith("users.csv:3:1: E_ENCODING"), fault)
        self.assertTrue(fault.endswith(self.UNCHECKED), fault)

    def test_line_without_a_key_hides_no_orphan(self) -> None:
        for line in (b"", b'""', b",,,,,,", b"\x1a"):
            with self.subTest(line):
                self.write_all()
                self.edit("users", lambda data, line=line: data + line + b"\n")  # type: ignore[misc]
                self.edit("orders", set_cell(9, 2, "77"))
                fault, orphan = self.list_faults()
                self.assertNotIn(self.UNCHECKED, fault)
                self.assertIn("E_REFERENCE user_id 77 is not in users.csv", orphan)

    def test_unreadable_row_with_a_known_key_hides_no_orphan(self) -> None:
        self.edit("users", swap_bytes(b"Leeds", b'"Lee"ds'))
        self.edit("orders", set_cell(9, 2, "77"))
        self.assertIn(
            "orders.csv:9:2: E_REFERENCE user_id 77 is not in users.csv", self.list_faults()
        )

    def test_unreadable_row_with_an_unknown_key_names_what_was_not_checked(self) -> None:
        self.edit("users", swap_bytes(b"2,bob", b'"2"2,bob'))
        (fault,) = self.list_faults()
        self.assertTrue(fault.endswith("; references to users.csv were not checked"), fault)


class FaultOrder(FaultCase):
    """The faults are listed in the order of the lines."""

    def test_faults_of_a_file_are_listed_in_order_of_lines(self) -> None:
        self.edit("orders", set_cell(2, 2, "77"))
        self.edit("orders", set_cell(4, 1, "1"))
        self.edit("orders", set_cell(9, 4, "x"))
        found = [(fault.line, fault.code) for fault in self.find().first]
        self.assertEqual(
            [(line, code) for line, code in found if code != "E_REFERENCE" or line == 2],
            [(2, "E_REFERENCE"), (4, "E_DUPLICATE"), (9, "E_RULE")],
        )


class CustomSchema(ShopCase):
    """The rules of another schema mean in the diagnosis what they mean in the database."""

    def refuse(self, tables: str, **texts: str) -> list[str]:
        """Load *texts*, by table, under *tables*; return the faults, none if it loads."""
        # The last table, submission_meta, is in no CSV file.
        meta = read_contract().table_statements[-1]
        schema = self.folder / "schema.sql"
        schema.write_text(tables + meta, encoding="utf-8")
        for name, cells in texts.items():
            path = self.folder / f"{name}.csv"
            path.write_text(cells, encoding="utf-8", newline="")
        result = self.ingest("--schema", schema)
        self.assertNotIn("Traceback", result.stderr)
        self.assertEqual(result.status, int(bool(result.stderr)), result.stderr)
        return result.stderr.splitlines()[1:]

    def test_integers_of_64_bits_are_stored_and_larger_ones_rejected(self) -> None:
        tables = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER) STRICT;"
        for number in (2**63 - 1, -(2**63)):
            with self.subTest(number):
                self.assertEqual(self.refuse(tables, t=f"id,n\n1,{number}\n"), [])
                self.assertEqual(self.query("SELECT n FROM t"), [(number,)])
                # The same cell on the diagnostic path, beside a row that leads there.
                self.assertEqual(
                    self.refuse(tables, t=f"id,n\n1,{number}\n2,x\n"),
                    ["t.csv:3:2: E_INTEGER n is 'x', expected a whole number such as 4299"],
                )
        for number in (2**63, -(2**63) - 1):
            with self.subTest(number):
                self.assertEqual(
                    self.refuse(tables, t=f"id,n\n1,{number}\n"),
                    [
                        (
                            f"t.csv:2:2: E_RANGE n is '{number}', expected an integer"
                            " of at most 64 bits"
                        )
                    ],
                )

    def test_empty_key_is_rejected_although_sqlite_would_number_it(self) -> None:
        tables = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT) STRICT;"
        self.assertEqual(
            self.refuse(tables, t="id,n\n1,a\n,b\n"),
            ["t.csv:3:1: E_MISSING id is '', expected a value"],
        )

    def test_rules_compare_with_the_collation_of_their_column(self) -> None:
        tables = (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, status TEXT COLLATE NOCASE, zip TEXT,"
            " CONSTRAINT id_is_positive CHECK (t.id > 0),"
            " CONSTRAINT status_is_known CHECK (status IN ('paid')),"
            " CONSTRAINT zip_is_known CHECK (zip IN (12345))) STRICT;"
        )
        self.assertEqual(
            self.refuse(tables, t="id,status,zip\n1,Paid,12345\n0,PAID,12345\n"),
            [
                (
                    "t.csv:3:1: E_RULE id is '0', which breaks the rule id_is_positive;"
                    " expected t.id > 0"
                )
            ],
        )

    def test_rule_that_computes_another_column_or_a_text_is_shown_as_it_is(self) -> None:
        for rule, expected in (
            ("CONSTRAINT n_is_not_m CHECK (m = n + 1)", "m = n + 1"),
            ("CONSTRAINT t_is_n CHECK (t = n + 1)", "t = n + 1"),
            ("CONSTRAINT is_sum CHECK (m = n + 1)", "m = n + 1"),
        ):
            with self.subTest(rule):
                (fault,) = self.refuse(
                    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, m INTEGER, t TEXT,"
                    f" {rule}) STRICT;",
                    t="id,n,m,t\n1,2,2,x\n",
                )
                self.assertTrue(fault.endswith(f"; expected {expected}"), fault)

    def test_duplicate_names_the_collation_and_the_condition(self) -> None:
        table = "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT NOT NULL) STRICT;"
        for index, message in (
            (
                "mail COLLATE NOCASE)",
                (
                    "mail 'A' is already in line 2 under the collation NOCASE,"
                    " expected it once"
                ),
            ),
            ("LOWER(mail) DESC)", "LOWER(mail) 'a' is already in line 2, expected it once"),
            (
                "mail) WHERE LENGTH(mail) = 1",
                "mail 'a' is already in line 2, expected it once where LENGTH(mail) = 1",
            ),
        ):
            with self.subTest(index):
                last = "a" if "WHERE" in index else "A"
                faults = self.refuse(
                    f"{table} CREATE UNIQUE INDEX t_mail_idx ON t ({index};",
                    t=f"id,mail\n1,a\n2,bb\n3,b\n4,{last}\n",
                )
                self.assertEqual(faults, [f"t.csv:5:2: E_DUPLICATE {message}"])

    def test_duplicate_of_an_expression_without_a_column_has_no_field(self) -> None:
        tables = (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT NOT NULL) STRICT;"
            " CREATE UNIQUE INDEX t_mail_idx ON t (LENGTH('xx'), mail);"
        )
        self.assertEqual(
            self.refuse(tables, t="id,mail\n1,a\n2,a\n"),
            [
                (
                    "t.csv:3: E_DUPLICATE LENGTH('xx') '2', mail 'a' is already in line 2,"
                    " expected it once"
                )
            ],
        )

    def test_key_of_several_columns_shared_by_rejected_rows_is_named(self) -> None:
        tables = (
            "CREATE TABLE t (a INTEGER NOT NULL, b INTEGER NOT NULL, c TEXT NOT NULL,"
            " CONSTRAINT t_pk PRIMARY KEY (a, b)) STRICT;"
        )
        self.assertEqual(
            self.refuse(tables, t="a,b,c\n1,1,x\n1,2,\n1,2,\n2,1,y\n"),
            [
                "t.csv:3:3: E_MISSING c is '', expected a value",
                "t.csv:4:3: E_MISSING c is '', expected a value",
                (
                    "t.csv:4:1: E_DUPLICATE a '1', b '2' is already in line 3, expected it"
                    " once"
                ),
            ],
        )

    def test_value_of_a_reference_is_escaped_and_shortened(self) -> None:
        tables = (
            "CREATE TABLE p (code TEXT PRIMARY KEY) STRICT;"
            " CREATE TABLE c (id INTEGER PRIMARY KEY, code TEXT REFERENCES P) STRICT;"
        )
        long = "z" * 50
        self.assertEqual(
            self.refuse(tables, p="code\nA\n", c=f'id,code\n1,"A\nc.csv:9"\n2,{long}\n'),
            [
                r"c.csv:2:2: E_REFERENCE code 'A\nc.csv:9' is not in p.csv",
                f"c.csv:4:2: E_REFERENCE code '{long[:40]}'… is not in p.csv",
            ],
        )
