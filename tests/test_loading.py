"""The fast path: what a load leaves in the database, whatever the form of the files."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from unittest import mock

from db.ingest import ingest_folder
from db.loading import loader, second_process
from tests.load_case import LoadCase, set_cell_of
from tests.support import SAMPLE_USERS, ShopCase
from utils.contract import SCHEMA_PATH, read_contract
from utils.csv_bytes import BUFFER_BYTES

# The sample shop's database promises the same bytes from version to version: this is the
# digest of its definitions and records, which contain the digests of all rows.  The
# versions of Python and SQLite are not part of it.
GOLDEN = "a0601fe3af79d8bbd89ed05862a9ae82cf07d6ef9709ff46f65785d96766e052"


def end_at_once(*_arguments: object) -> None:
    """Be a process that the system ends."""
    os._exit(1)


class LoadedDatabase(LoadCase):
    """The result of a successful load."""

    def test_database_holds_every_cell_of_the_files(self) -> None:
        self.load()
        for table in read_contract().tables:
            rows = self.query(f"SELECT * FROM {table.name} ORDER BY 1")
            lines = [",".join(map(str, row)) for row in rows]
            header, *expected = (
                (self.folder / f"{table.name}.csv").read_text(encoding="utf-8").splitlines()
            )
            self.assertEqual(header.split(","), table.column_names)
            self.assertEqual(lines, expected, table.name)

    def test_records_and_definitions_have_the_published_digest(self) -> None:
        self.load()
        recorded = self.query(
            "SELECT subject, property, value FROM submission_meta"
            " WHERE subject NOT IN ('loader', 'submission_meta')"
            " UNION ALL SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2, 3"
        )
        self.assertEqual(hashlib.sha256(repr(recorded).encode()).hexdigest(), GOLDEN)

    def test_each_file_is_recorded_as_it_was_read(self) -> None:
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

    def test_schema_generator_and_loader_are_recorded(self) -> None:
        self.load()
        schema = hashlib.sha256(SCHEMA_PATH.read_bytes()).hexdigest()
        self.assertEqual(self.read_meta("schema.sql"), {"sha256": schema})
        self.assertEqual(
            self.read_meta("generator"),
            {
                "seed": "42",
                "users": str(SAMPLE_USERS),
                "format_version": "3",
                "currency": "USD",
                "process": "steady",
                "is_calm": "0",
                "window_start": "2024-01-01",
                "window_end": "2025-12-31",
            },
        )
        self.assertEqual(
            sorted(self.read_meta("loader")),
            ["python_version", "sqlite_version", "tool_version"],
        )

    def test_tables_are_strict_and_all_indexes_exist(self) -> None:
        self.load()
        strict = self.query("SELECT COUNT(*) FROM pragma_table_list WHERE strict = 1")
        indexes = self.query(
            "SELECT COUNT(*) FROM sqlite_schema WHERE sql LIKE 'CREATE%INDEX%'"
        )
        contract = read_contract()
        self.assertEqual(strict, [(len(contract.tables) + 1,)])
        self.assertEqual(indexes, [(len(contract.index_statements),)])

    def test_second_load_gives_the_same_bytes(self) -> None:
        self.load()
        first = self.database.read_bytes()
        self.load()
        self.assertEqual(self.database.read_bytes(), first)

    def test_one_process_and_two_give_the_same_bytes(self) -> None:
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

    def test_faults_in_both_processes_are_named(self) -> None:
        with mock.patch.object(second_process, "BYTES_FOR_TWO", 0):
            for name, at in (("users.csv", 0), ("payments.csv", 5)):
                self.edit_line(name, 4, partial(set_cell_of, at=at, value="x"))
            self.refuse("users.csv:4:1: E_INTEGER", "payments.csv:4:6: E_INTEGER")
        self.assertEqual([path.name for path in self.folder.glob(".*")], [])

    def test_end_of_the_second_process_is_named(self) -> None:
        with (
            mock.patch.object(second_process, "BYTES_FOR_TWO", 0),
            mock.patch.object(second_process, "count_processors", return_value=2),
            mock.patch.object(second_process, "load_shard", end_at_once),
        ):
            self.refuse("the second process of the load was ended by the system")
        self.assertFalse(self.database.exists())

    def test_progress_is_reported_to_the_end(self) -> None:
        for smallest in (0, 1 << 40):
            reported: list[tuple[int, int]] = []
            with (
                self.subTest(smallest),
                mock.patch.object(second_process, "BYTES_FOR_TWO", smallest),
                mock.patch.object(loader, "CHUNK_ROWS", 50),
            ):
                outcome = ingest_folder(
                    self.folder,
                    self.database,
                    on_progress=lambda *now, reported=reported: reported.append(now),
                )
                self.assertEqual(reported, sorted(reported))
                rows = sum(file.rows for file in outcome.files)
                self.assertEqual(reported[-1], (rows, 1000))
                self.assertGreater(len(reported), 3)

    def test_no_file_stays_beside_the_database(self) -> None:
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

    def test_columns_in_another_order_are_loaded(self) -> None:
        path = self.folder / "users.csv"
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        self.load()
        expected = self.query("SELECT * FROM users")
        text = "\n".join(",".join(reversed(row)) for row in rows)
        path.write_text(text, encoding="utf-8", newline="\n")
        self.load()
        self.assertEqual(self.query("SELECT * FROM users"), expected)

    def test_quoted_text_is_stored_unchanged(self) -> None:
        name = 'A "quoted", name\r\nover two lines — ünïcode ✓ <script>'
        quoted = name.replace('"', '""')
        self.edit_line("users.csv", 2, lambda line: set_cell_of(line, 2, f'"{quoted}"'))
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


class SplitFiles(ShopCase):
    """Large files are split between two processes by the sizes of the files alone."""

    def split(self, *sizes: int) -> tuple[list[str], list[str]]:
        """Return the names of the two lists for five files of *sizes* bytes."""
        contract = read_contract()
        for table, size in zip(contract.tables, sizes, strict=True):
            with open(self.folder / f"{table.name}.csv", "wb") as file:
                file.truncate(size)
        own, others = second_process.split_tables(contract, self.folder)
        return [table.name for table in own], [table.name for table in others]

    def test_small_files_are_not_split(self) -> None:
        names = [table.name for table in read_contract().tables]
        self.assertEqual(self.split((1 << 23) - 1, 0, 0, 0, 0), (names, []))
        self.assertEqual(self.split(0, 0, 0, 0, 0), (names, []))

    def test_second_process_gets_the_first_tables_up_to_half_of_the_bytes(self) -> None:
        users, products, orders, items, payments = (
            table.name for table in read_contract().tables
        )
        quarter = 1 << 21
        for sizes, own, others in (
            # Exactly 8 MiB is large; half of the bytes may be in the second process.
            (
                (quarter, quarter, quarter, quarter, 0),
                [orders, items, payments],
                [users, products],
            ),
            # One byte more than half is too many.
            (
                (quarter, quarter + 1, quarter, quarter - 1, 0),
                [products, orders, items, payments],
                [users],
            ),
            # The first table alone has more than half.
            (
                (3 * quarter, quarter, 0, 0, 0),
                [users, products, orders, items, payments],
                [],
            ),
            # The proportions of a generated shop.
            (
                (101 << 16, 1 << 10, 127 << 16, 115 << 16, 164 << 16),
                [items, payments],
                [users, products, orders],
            ),
        ):
            with self.subTest(sizes):
                self.assertEqual(self.split(*sizes), (own, others))


class ValueFormats(LoadCase):
    """The form of a file is recorded from all of its blocks."""

    def read_form(self, data: bytes) -> str:
        """Return the form that is recorded for users.csv with *data*."""
        (self.folder / "users.csv").write_bytes(data)
        files = ingest_folder(self.folder, self.database, is_check=True).files
        return files[0].form

    def test_form_of_a_large_file_has_what_only_its_first_block_shows(self) -> None:
        for table in read_contract().tables[1:]:
            path = self.folder / f"{table.name}.csv"
            path.write_text(",".join(table.column_names) + "\n", encoding="utf-8")
        header = b"user_id,email,full_name,country_code,city,acquisition_channel,"
        city = b"Lund" * 100
        row = b"%d,%d@example.com,A B,SE,%s,email,2024-01-01T00:00:00Z\n"
        rows = [row % (number, number, city) for number in range(1, 1_301)]
        self.assertGreater(sum(map(len, rows)), 2 * BUFFER_BYTES)
        start = header + b"signed_up_at\n"
        self.assertEqual(self.read_form(start + b"".join(rows)), "canonical")
        quoted = [rows[0].replace(b"A B", b'"A B"'), *rows[1:]]
        self.assertEqual(self.read_form(start + b"".join(quoted)), "UTF-8, quotes")
        swapped = [rows[1], rows[0], *rows[2:]]
        self.assertEqual(
            self.read_form(start + b"".join(swapped)), "UTF-8, rows in another order"
        )
        marked = b"\xef\xbb\xbf" + start + b"".join(rows)
        self.assertEqual(self.read_form(marked), "UTF-8, BOM")

    def test_line_end_divided_between_two_blocks_is_one_line_end(self) -> None:
        header = ",".join(read_contract().tables[0].column_names) + "\r\n"
        row = "{0},{0}@example.com,{1},SE,Lund,email,2024-01-01T00:00:00Z\r\n"
        text = header
        number = 0
        while len(text) < BUFFER_BYTES - 500:
            number += 1
            text += row.format(number, "A B")
        # The CR is the last byte of the first block.
        missing = BUFFER_BYTES + 1 - len(text) - len(row.format(number + 1, ""))
        text += row.format(number + 1, "x" * missing)
        self.assertEqual(text[BUFFER_BYTES - 1 : BUFFER_BYTES + 1], "\r\n")
        text += row.format(number + 2, "A B")
        for table in read_contract().tables[1:]:
            path = self.folder / f"{table.name}.csv"
            path.write_text(",".join(table.column_names) + "\n", encoding="utf-8")
        self.assertEqual(self.read_form(text.encode()), "UTF-8, CRLF")
        mixed = text.encode() + row.format(number + 3, "A B").encode().replace(b"\r", b"")
        self.assertEqual(self.read_form(mixed), "UTF-8, mixed line ends")


class Warnings(LoadCase):
    """What is allowed, but probably not intended, gives a warning."""

    def warn(self) -> list[str]:
        """Return the warnings of a load."""
        return ingest_folder(self.folder, self.database).warnings

    def test_sound_file_gives_no_warning(self) -> None:
        self.assertEqual(self.warn(), [])
        path = self.folder / "users.csv"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        self.edit_line("users.csv", 2, lambda line: set_cell_of(line, 2, '"a\nb\rc"'))
        self.assertEqual(self.warn(), [])

    def test_file_without_rows_gives_a_warning(self) -> None:
        path = self.folder / "payments.csv"
        path.write_bytes(path.read_bytes().split(b"\n")[0])
        self.assertEqual(self.warn(), ["payments.csv has a header and no rows."])

    def test_files_without_rows_give_one_warning(self) -> None:
        for name in ("orders.csv", "order_items.csv", "payments.csv"):
            path = self.folder / name
            path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        self.assertEqual(
            self.warn(),
            ["orders.csv, order_items.csv, payments.csv have a header and no rows."],
        )

    def test_warning_names_the_line_where_line_ends_change(self) -> None:
        for line in (3, 5):
            self.edit_line("users.csv", line, lambda text: f"{text}\r")
        self.assertEqual(
            self.warn(), ["users.csv:3 ends with CRLF, the lines before it with LF."]
        )
