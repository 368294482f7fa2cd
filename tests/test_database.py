"""Opening a loaded database for reading: what is wrong with it is named, with a remedy."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import ingest
import run_query
from tests.shop import create_empty_shop, create_shop
from tests.support import (
    IN_CI,
    SMALL_SAMPLE,
    ShopCase,
    call,
    sample_shop,
    skip_on_windows,
    skip_without_processes,
)
from utils.database import open_database, run_reads
from utils.helpers import DataError
from utils.processes import run_tasks

# Puts NULLs into a column that must not have one.
WRITE_NULLS = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'ordered_at TEXT NOT', 'ordered_at TEXT');
    PRAGMA schema_version = 1000;
    UPDATE orders SET ordered_at = NULL;
    UPDATE sqlite_schema SET sql = replace(sql, 'ordered_at TEXT', 'ordered_at TEXT NOT');
    PRAGMA schema_version = 1001;
"""


# Moves an item to another order, but leaves it at its old place in the index.
FORGET_AN_INDEX_ENTRY = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = sql || ' WHERE order_item_id < 0'
    WHERE name = 'order_items_order_id_idx';
    PRAGMA schema_version = 1000;
    UPDATE order_items SET order_id = order_id + 1 WHERE order_item_id = 1;
    UPDATE sqlite_schema SET sql = replace(sql, ' WHERE order_item_id < 0', '');
    PRAGMA schema_version = 1001;
"""


class DatabaseCase(ShopCase):
    """A test with the small shop's database in its folder."""

    def setUp(self) -> None:
        """Make the database."""
        super().setUp()
        create_shop(self.database)

    def change(self, script: str) -> None:
        """Run *script* on the database."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(script)

    def assert_refused(self, path: Path, *words: str) -> None:
        """Fail unless opening *path* raises `DataError` with the path and all *words*."""
        with self.assertRaises(DataError) as caught, open_database(path):
            pass
        for word in (str(path), *words):
            self.assertIn(word, str(caught.exception))


class InvalidDatabase(DatabaseCase):
    """An invalid database is named, with the command that makes a valid one."""

    def test_missing_file_is_named_and_not_created(self) -> None:
        path = self.folder / "none.db"
        self.assert_refused(path, "no such file", "python ingest.py --ingest")
        self.assertFalse(path.exists())

    def test_folder_is_named(self) -> None:
        self.assert_refused(self.folder, "is a folder", "Name a file with --database.")

    def test_device_and_pipe_are_not_reported_as_missing_files(self) -> None:
        skip_on_windows("Windows has no such files")
        pipe = self.folder / "pipe.db"
        os.mkfifo(pipe)
        for path in (Path("/dev/zero"), pipe):
            with self.subTest(path):
                self.assert_refused(path, "is not a regular file", "with --database")

    def test_text_file_is_named(self) -> None:
        path = self.folder / "users.csv"
        path.write_text("user_id,email\n" * 100, encoding="utf-8")
        self.assert_refused(path, "is not a SQLite database", "python ingest.py --ingest")

    def test_empty_file_lacks_all_tables(self) -> None:
        path = self.folder / "empty.db"
        path.touch()
        self.assert_refused(
            path,
            "has no users, products, orders",
            "submission_meta",
            "python ingest.py --ingest",
        )


class DatabaseWithOtherTables(DatabaseCase):
    """Each difference from the schema is named."""

    def test_missing_table_and_missing_column_are_named(self) -> None:
        self.change("DROP TABLE payments; ALTER TABLE users RENAME COLUMN city TO town;")
        self.assert_refused(
            self.database, "has no users.city, payments.", "python ingest.py --ingest"
        )

    def test_each_missing_column_is_named(self) -> None:
        self.change("DROP TABLE orders; CREATE TABLE orders (order_id, user_id, status);")
        self.assert_refused(
            self.database, "has no orders.ordered_at", "orders.discount_cents"
        )

    def test_table_that_accepts_other_cells_is_named(self) -> None:
        for old, new, words in (
            ("STRICT", "", "payments is not STRICT"),
            ("amount_cents INTEGER", "amount_cents TEXT", "amount_cents is TEXT"),
            (
                "processed_at TEXT NOT NULL",
                "processed_at TEXT",
                "processed_at may be NULL",
            ),
            (
                "NOT NULL PRIMARY KEY",
                "NOT NULL",
                "payments.payment_id is not a key",
            ),
        ):
            with self.subTest(words):
                self.database.unlink()
                create_shop(self.database, payments=[])
                ((sql,),) = self.query(
                    "SELECT sql FROM sqlite_schema WHERE name = 'payments'"
                )
                self.change(f"DROP TABLE payments; {sql.replace(old, new)}")
                self.assert_refused(self.database, words, "Load the files again")

    def test_null_in_required_column_is_named_and_listed_row_by_row(self) -> None:
        self.change(WRITE_NULLS)
        self.assert_refused(
            self.database,
            "is damaged: NULL value in orders.ordered_at. Move it away, then load",
        )
        # The command that the message names.
        result = call(
            ingest.main, "--rows", "database_is_intact", "--database", self.database
        )
        self.assertEqual(result.stdout.count("NULL value in orders.ordered_at"), 8)

    def test_database_is_opened_with_damage_for_its_verification(self) -> None:
        self.change(WRITE_NULLS)
        with open_database(self.database, allow_damage=True) as connection:
            rows = connection.execute("SELECT DISTINCT ordered_at FROM orders").fetchall()
        self.assertEqual(rows, [(None,)])


class DamagedFile(DatabaseCase):
    """A damaged file is named in one line by each command that reads it."""

    def assert_damage(self, main: Callable[..., int], *arguments: object) -> None:
        """Fail unless *main* reports in one line that the database is damaged."""
        before = self.database.read_bytes()
        result = call(main, *arguments, "--database", self.database)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertRegex(
            result.stderr,
            r"\A\w+: error: \S+shop\.db: is damaged: [^\n]+ Move it[^\n]+\n\Z",
        )
        self.assertEqual(self.database.read_bytes(), before)

    def test_row_missing_from_an_index_gives_no_wrong_figures(self) -> None:
        self.change(FORGET_AN_INDEX_ENTRY)
        self.assert_damage(run_query.main, "--out-dir", self.folder / "out")
        self.assertFalse((self.folder / "out").exists())

    def test_message_of_sqlite_that_is_not_utf8_gives_no_traceback(self) -> None:
        data = self.database.read_bytes()
        self.assertIn(b"CONSTRAINT", data)
        self.database.write_bytes(data.replace(b"CONSTRAINT", b"CONSTRA\xd1NT"))
        sample = sample_shop()
        self.assert_damage(run_query.main, "--out-dir", self.folder / "out")
        self.assert_damage(ingest.main, "--report", "--out-dir", self.folder / "out")
        self.assert_damage(ingest.main, "--rows", "database_is_intact")
        self.assert_damage(ingest.main, "--ingest", "--data-dir", sample)

    def test_changed_bytes_anywhere_give_one_line_and_no_traceback(self) -> None:
        chance = random.Random(17)  # noqa: S311
        sound = self.database.read_bytes()
        out_dir = self.folder / "out"
        commands: list[tuple[Callable[..., int], tuple[object, ...]]] = [
            (run_query.main, ("--out-dir", out_dir)),
            (ingest.main, ("--report", "--out-dir", out_dir)),
            (ingest.main, ("--rows", "database_is_intact")),
            (ingest.main, ("--verify", "--quiet", "--out-dir", out_dir)),
            (ingest.main, ("--ingest", "--data-dir", sample_shop(*SMALL_SAMPLE))),
        ]
        counts: Counter[int] = Counter()
        for number in range(60 if IN_CI else 6):
            damaged = change_bytes(sound, chance)
            for main, arguments in commands:
                with self.subTest(number=number, arguments=arguments):
                    self.database.write_bytes(damaged)
                    result = call(main, *arguments, "--database", self.database)
                    counts[result.status] += 1
                    self.assertRegex(result.stderr, r"\A(\w+: error: [^\n]+\n)?\Z")
                    self.assertEqual(result.status, int(bool(result.stderr)))
        self.assertGreater(counts[1], 5, counts)


def change_bytes(sound: bytes, chance: random.Random) -> bytes:
    """Return *sound* with a few bits and bytes changed, most of them at its beginning."""
    damaged = bytearray(sound)
    for _ in range(chance.choice((1, 1, 3, 20))):
        place = chance.randrange(chance.choice((len(sound), 8192)))
        damaged[place] = chance.choice((damaged[place] ^ 1, chance.randrange(256)))
    return bytes(damaged)


class DatabaseInUse(DatabaseCase):
    """A program that writes, or a load that replaces the file, never mixes two states."""

    def test_log_that_the_folder_does_not_allow_is_named(self) -> None:
        self.change("PRAGMA journal_mode = WAL")
        refused = sqlite3.OperationalError("unable to open database file")
        refused.sqlite_errorname = "SQLITE_CANTOPEN"
        with (
            mock.patch("utils.database._connect_read_only", side_effect=refused),
            mock.patch("utils.database.os.access", return_value=False),
        ):
            self.assert_refused(self.database, "It is in WAL mode", "allow writing there")

    def test_database_that_is_being_written_is_named_without_a_long_wait(self) -> None:
        with (
            closing(sqlite3.connect(self.database, isolation_level=None)) as writer,
            mock.patch("utils.database.LOCK_TIMEOUT", 0.0),
        ):
            writer.execute("BEGIN EXCLUSIVE")
            self.assert_refused(self.database, "is being written by another program")

    def assert_replacement_is_noticed(self, replace: Callable[[], object]) -> None:
        """Fail unless `DataError` is raised if *replace* is called while it is open."""
        message = "was replaced during the run"
        with (
            self.assertRaisesRegex(DataError, message),
            open_database(self.database) as connection,
        ):
            replace()
            # The block still reads the database that was opened.
            (count,) = connection.execute("SELECT COUNT(*) FROM orders").fetchone()
            self.assertEqual(count, 8)

    def test_replaced_database_is_noticed_and_not_mixed_with_the_new_one(self) -> None:
        skip_on_windows("Windows does not rename over an open file")
        other = create_empty_shop(self.folder / "other.db")
        self.assert_replacement_is_noticed(lambda: os.replace(other, self.database))

    def test_changed_time_of_the_file_is_noticed(self) -> None:
        self.assert_replacement_is_noticed(lambda: os.utime(self.database, (1, 1)))


def count_orders(connection: sqlite3.Connection, path: Path) -> tuple[int, int]:
    """Add a line to *path*; return the number of orders, and the process."""
    with open(path, "a", encoding="utf-8") as file:
        print(os.getpid(), file=file)
    return connection.execute("SELECT COUNT(*) FROM orders").fetchone()[0], os.getpid()


class SeveralReads(DatabaseCase):
    """Reads in several processes return the state that was opened."""

    def setUp(self) -> None:
        """Skip where no process can be started."""
        skip_without_processes()
        super().setUp()

    def run_reads(self, connection: sqlite3.Connection, workers: int) -> set[int]:
        """Count the orders three times; return the processes that did."""
        reads = [(count_orders, self.folder / "reads.txt")] * 3
        counts, processes = zip(
            *run_reads(connection, self.database, reads, workers), strict=True
        )
        self.assertEqual(counts, (8, 8, 8))
        return set(processes)

    def test_each_worker_reads_the_database_by_itself(self) -> None:
        with open_database(self.database) as connection:
            self.assertEqual(self.run_reads(connection, 1), {os.getpid()})
            self.assertNotIn(os.getpid(), self.run_reads(connection, 2))

    def test_replaced_database_is_not_mixed_with_the_new_one(self) -> None:
        skip_on_windows("Windows does not rename over an open file")
        other = create_empty_shop(self.folder / "other.db")

        def replace(*arguments: Any) -> Iterator[None]:
            os.replace(other, self.database)
            yield from run_tasks(*arguments)

        with (
            self.assertRaisesRegex(DataError, "was replaced during the run"),
            open_database(self.database) as connection,
            mock.patch("utils.database.run_tasks", replace),
        ):
            self.run_reads(connection, 2)
        self.assertFalse((self.folder / "reads.txt").exists())

    def test_no_program_writes_before_the_last_read(self) -> None:
        with (
            open_database(self.database) as connection,
            closing(sqlite3.connect(self.database, timeout=0)) as writer,
        ):
            reads = [(count_orders, self.folder / "reads.txt")] * 3
            for _ in run_reads(connection, self.database, reads, 2):
                with self.assertRaisesRegex(sqlite3.OperationalError, "is locked"):
                    writer.execute("DELETE FROM payments")
                    writer.commit()
                writer.rollback()

    def test_database_in_wal_mode_is_read_by_one_connection(self) -> None:
        with closing(sqlite3.connect(self.database)) as writer:
            writer.execute("PRAGMA journal_mode = WAL")
            with open_database(self.database) as connection:
                writer.execute("DELETE FROM payments")
                writer.execute("DELETE FROM order_items")
                writer.execute("DELETE FROM orders")
                writer.commit()
                self.assertEqual(self.run_reads(connection, 2), {os.getpid()})


class ReadOnlyConnection(DatabaseCase):
    """A read-only connection changes nothing."""

    def test_statement_that_writes_is_rejected(self) -> None:
        before = self.database.read_bytes()
        with (
            self.assertRaisesRegex(DataError, "attempt to write a readonly database"),
            open_database(self.database) as connection,
        ):
            connection.execute("DELETE FROM payments")
        self.assertEqual(self.database.read_bytes(), before)

    def test_statement_that_attaches_a_file_is_rejected(self) -> None:
        other = self.folder / "other.db"
        with (
            self.assertRaisesRegex(sqlite3.OperationalError, "too many attached"),
            open_database(self.database) as connection,
        ):
            connection.execute("ATTACH ? AS other", (str(other),))
        self.assertFalse(other.exists())

    def test_text_that_is_not_utf_8_is_read_with_a_mark(self) -> None:
        self.change("UPDATE users SET city = CAST(x'c5' AS TEXT) WHERE user_id = 1")
        with open_database(self.database) as connection:
            ((city,),) = connection.execute("SELECT city FROM users WHERE user_id = 1")
        self.assertEqual(city, "\ufffd")
