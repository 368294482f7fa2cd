"""No text from outside controls the terminal, whichever way it enters."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from unittest import mock

import generate_data
import ingest
import run_query
import serve_frontend
from queries.summary import escape_between_colours
from tests.support import (
    SMALL_SAMPLE,
    FakeTerminal,
    Result,
    ShopCase,
    call,
    sample_shop,
    skip_on_windows,
)

# Sets the title of a window, rings, turns the text around, changes the colour.
HOSTILE = "a\x1b]0;b\x07\u202ec\x9b31m"
ESCAPED = "a\\x1b]0;b\\x07\\u202ec\\x9b31m"


class EveryEntry(ShopCase):
    """Control and bidirectional characters are escaped in all that is printed."""

    def setUp(self) -> None:
        """Copy a shop with its database and results."""
        super().setUp()
        shutil.copytree(sample_shop(*SMALL_SAMPLE), self.folder, dirs_exist_ok=True)

    def verify(self) -> Result:
        """Verify the folder."""
        folder = ("--data-dir", self.folder, "--out-dir", self.folder)
        return call(ingest.main, "--verify", "--database", self.database, *folder)

    def execute(self, sql: str) -> None:
        """Run *sql* on the database."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(sql)

    def load_cell(self) -> Result:
        """Load a date that is none."""
        self.edit_line("users.csv", 2, lambda line: line.rpartition(",")[0] + f",{HOSTILE}")
        return self.ingest()

    def load_header(self) -> Result:
        """Load a file with one more column."""
        self.edit_line("users.csv", 1, lambda line: f"{line},{HOSTILE}")
        return self.ingest()

    def segment_category(self) -> Result:
        """Segment by a category."""
        self.execute(f"UPDATE products SET category = '{HOSTILE}'")
        arguments = ("--by", "category", "--out-dir", self.folder)
        return call(run_query.main, "--database", self.database, *arguments)

    def list_rows(self) -> Result:
        """List the rows that a check finds, on a terminal."""
        self.execute(
            "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;"
            f" UPDATE orders SET status = '{HOSTILE}' WHERE order_id = 7"
        )
        screen = FakeTerminal()
        with mock.patch.object(sys, "stdout", screen):
            arguments = ["--database", str(self.database), "--rows", "values_order_status"]
            return Result(ingest.main(arguments), screen.getvalue(), "")

    def verify_json_key(self) -> Result:
        """Verify a report with one more key."""
        path = self.folder / "report.json"
        report = json.loads(path.read_bytes())
        path.write_text(json.dumps({**report, HOSTILE: 1}), encoding="utf-8")
        return self.verify()

    def verify_manifest_key(self) -> Result:
        """Verify a load whose manifest names a file that it does not have."""
        path = self.folder / "datapackage.json"
        manifest = json.loads(path.read_bytes())
        manifest["resources"][0]["path"] = f"{HOSTILE}.csv"
        path.write_text(json.dumps(manifest), encoding="utf-8")
        return call(generate_data.main, "--verify", "--out-dir", self.folder)

    def verify_table(self) -> Result:
        """Verify a database with one more table."""
        self.execute(f'CREATE TABLE "{HOSTILE}" (a INTEGER)')
        return self.verify()

    def verify_view(self) -> Result:
        """Verify a database with one more view."""
        self.execute(f'DROP TABLE IF EXISTS "{HOSTILE}"')
        self.execute(f'CREATE VIEW "{HOSTILE}" AS SELECT 1')
        return self.verify()

    def query_column(self) -> Result:
        """Run a query with a column that SQLite does not know."""
        path = self.folder / "own.sql"
        path.write_text(f'SELECT t."{HOSTILE}" FROM users AS t', encoding="utf-8")
        return call(run_query.main, "--database", self.database, "--query", path)

    def without_engine(self) -> Result:
        """Run an engine that is not in the folder that the environment names."""
        with mock.patch.dict(os.environ, {"SPARK_HOME": HOSTILE}):
            return call(run_query.main, "--engine", "spark", "--data-dir", self.folder)

    def test_no_entry_lets_control_characters_through(self) -> None:
        skip_on_windows("a path of Windows has no control characters")
        entries: dict[str, Callable[[], Result]] = {
            "cell": self.load_cell,
            "header": self.load_header,
            "category": self.segment_category,
            "row of a check": self.list_rows,
            "JSON key": self.verify_json_key,
            "path in a manifest": self.verify_manifest_key,
            "table name": self.verify_table,
            "view name": self.verify_view,
            "SQL message": self.query_column,
            "environment": self.without_engine,
            "database": lambda: call(ingest.main, "--report", "--database", HOSTILE),
            "folder": lambda: call(ingest.main, "--check", "--data-dir", HOSTILE),
            "query": lambda: call(run_query.main, "--query", HOSTILE),
            "results": lambda: call(serve_frontend.main, "--results-dir", HOSTILE),
            "check": lambda: call(ingest.main, "--rows", HOSTILE),
            "choice": lambda: call(run_query.main, "--by", HOSTILE),
            "number": lambda: call(serve_frontend.main, "--port", HOSTILE),
            "unknown argument": lambda: call(ingest.main, "--report", HOSTILE),
            "unknown option": lambda: call(generate_data.main, f"--{HOSTILE}"),
            "other scripts": lambda: call(run_query.main, HOSTILE),
        }
        for name, enter in entries.items():
            with self.subTest(name):
                result = enter()
                printed = result.stdout + result.stderr
                self.assertIn(ESCAPED, printed)
                unsafe = [c for c in printed if not c.isprintable() and c != "\n"]
                self.assertEqual(unsafe, [], printed)
                self.assertNotIn("Traceback", printed)

    def test_line_end_in_a_name_begins_no_line_of_the_verdict(self) -> None:
        self.execute('CREATE TABLE "x\n  passed  all" (a INTEGER)')
        result = self.verify()
        self.assertIn("x\\n  passed  all", result.stdout)
        self.assertNotIn("  passed  all", result.stdout.splitlines())

    def test_line_end_in_an_argument_begins_no_line_of_the_error(self) -> None:
        result = call(ingest.main, "--report", "x\ningest: all is well")
        self.assertIn("x\\ningest: all is well; --help", result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1)

    def test_wrong_usage_is_one_line_with_what_to_do(self) -> None:
        for main, argument, words in (
            (
                ingest.main,
                "--databse=x",
                "arguments: --databse=x; did you mean --database?",
            ),
            (ingest.main, "files", "arguments: files; --help lists the options"),
            (run_query.main, "--by=shop", "argument --by: invalid choice: 'shop' (choose"),
            (serve_frontend.main, "--port=x", "argument --port: 'x', expected a whole"),
            (generate_data.main, "--seed=x", "argument --seed: 'x', expected a whole"),
        ):
            with self.subTest(argument=argument):
                result = call(main, argument)
                self.assertEqual((result.status, result.stdout), (2, ""))
                self.assertIn(words, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)

    def test_line_end_in_a_path_begins_no_line_of_an_error(self) -> None:
        skip_on_windows("a path of Windows has no line ends")
        folder = self.folder / "x\ningest: all is well"
        folder.mkdir()
        (folder / "a\nb.csv").write_text("c\nd", encoding="utf-8")
        # Without DuckDB the error is that it is missing.
        engine = ("--engine", "duckdb", "--data-dir", folder)
        engines = [(run_query.main, engine)] if shutil.which("duckdb") else []
        for main, arguments in (
            (ingest.main, ("--report", "--database", folder / "none.db")),
            (ingest.main, ("--check", "--data-dir", folder)),
            (ingest.main, ("--check", "--data-dir", folder / "none")),
            (ingest.main, ("--verify", "--database", folder)),
            (run_query.main, ("--query", folder, "--database", self.database)),
            *engines,
            (generate_data.main, ("--verify", "--out-dir", folder)),
            (generate_data.main, ("--join-parts", "--out-dir", folder)),
            (serve_frontend.main, ("--results-dir", folder / "none")),
        ):
            with self.subTest(arguments=arguments):
                result = call(main, *arguments)
                first, *others = result.stderr.splitlines()
                self.assertIn("x\\ningest: all is well", first)
                self.assertNotIn("ingest: all is well", [line[:19] for line in others])

    def test_lines_of_faults_and_of_missing_files_are_lines(self) -> None:
        (self.folder / "users.csv").unlink()
        lines = self.ingest().stderr.splitlines()
        self.assertEqual(lines[-2], "Needed, with these columns:")
        self.assertTrue(lines[-1].startswith("  users.csv: user_id,email,"), lines)

    def test_line_end_in_the_folder_begins_no_line_of_the_list_of_files(self) -> None:
        skip_on_windows("a path of Windows has no line ends")
        folder = self.folder / "x\ny"
        shutil.copytree(sample_shop(), folder)
        result = call(
            ingest.main, "--ingest", "--data-dir", folder, "--database", folder / "shop.db"
        )
        self.assertEqual((result.status, result.stdout.count("\n")), (0, 6), result)

    def test_surrogate_of_a_name_that_is_not_utf_8_is_escaped(self) -> None:
        result = call(ingest.main, "--report", "\udcff")
        self.assertIn("unrecognized arguments: \\udcff", result.stderr)


class Exceptions(ShopCase):
    """Only our own colours, and rows for a file, are printed as they are."""

    def test_shades_are_kept_and_other_sequences_escaped(self) -> None:
        shade, plain = "\x1b[48;5;195;38;5;16m", "\x1b[0m"
        self.assertEqual(
            escape_between_colours(f"{shade}5{plain}\x1b[2J\x1b[31m"),
            f"{shade}5{plain}\\x1b[2J\\x1b[31m",
        )

    def test_rows_end_without_a_traceback_if_standard_output_is_closed(self) -> None:
        with mock.patch.object(sys, "stdout", None):
            database = str(sample_shop() / "shop.db")
            status = ingest.main(["--database", database, "--rows", "values_order_status"])
        self.assertEqual(status, 0)
