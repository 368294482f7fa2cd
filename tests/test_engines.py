"""DuckDB and Spark give SQLite's results from the CSV files, and refuse what it refuses."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import ingest
import run_query
from queries.engine_reading import read_engine
from queries.options import Options
from queries.query_file import read_cohort_query
from queries.reading import read_database
from tests.documents import copy_project, render_document, run_command
from tests.engine_cases import (
    FAULTS,
    JVM_OPTIONS,
    PLAIN_EXECUTION,
    EngineCase,
    cdnow_shop,
    engine_parts,
    engine_shop,
    set_cell,
    write_valid_noncanonical_users,
)
from tests.support import (
    ROOT,
    call,
    skip_or_fail,
)
from tests.test_invisible_text import INVISIBLE, VISIBLE
from utils.contract import read_contract
from utils.engines.process import open_engine

README = ROOT / "utils" / "engines" / "README.md"


class DuckDbAnswers(EngineCase):
    """DuckDB gives the same results, byte for byte, and finds the same faults."""

    engine = "duckdb"

    def test_readme_shows_the_real_output(self) -> None:
        text = README.read_text(encoding="utf-8")
        copy = copy_project(self.folder)
        run_command("python generate_data.py --generate", copy)
        shown = render_document(text, lambda command: run_command(command, copy), copy)
        self.assertIn("$ python ingest.py --report --strict --engine duckdb", text)
        self.assertEqual(text.splitlines(), shown.splitlines())

    def test_query_is_the_same_under_every_option(self) -> None:
        for options in (
            [],
            ["--cohort", "quarter"],
            ["--by", "channel", "--forecast"],
            ["--by", "category", "--cohort", "quarter"],
            ["--by", "country", "--as-of", "2025-06-30"],
            ["--as-of", "2025-05-15", "--forecast", "--cohort", "quarter"],
            ["--valid-status", "paid,delivered,pending"],
            ["--as-of", "2020-01-01"],
            ["--omit-first-cohort", "--by", "channel", "--cohort", "quarter"],
        ):
            with self.subTest(options=options):
                self.assert_same_query(engine_shop(), engine_shop(), *options)

    def test_parts_give_the_same_results(self) -> None:
        for count in (1, 3, 16):
            with self.subTest(count):
                self.assert_same_query(engine_shop(), engine_parts(count))
                self.assert_same_report(engine_shop(), engine_parts(count))

    def test_cdnow_gives_the_same_results(self) -> None:
        shop = cdnow_shop()
        self.assert_same_query(shop, shop)
        self.assert_same_report(shop, shop)

    def test_cdnow_gives_the_purchases_of_the_same_forecast(self) -> None:
        # All that a forecast is computed from; on CDNOW the computation takes 5 s.
        shop = cdnow_shop()
        query = read_cohort_query(None, Options(has_forecast=True))
        found = read_engine(open_engine(self.engine), shop, query)
        expected = read_database(shop / "shop.db", query)
        # The published number of customers of the data set.
        self.assertEqual(len(found.histories.user_ids), 23_570)
        self.assertEqual(found.histories, expected.histories)
        self.assertEqual(found.as_of, expected.as_of)

    def test_files_that_are_not_canonical_give_the_same_results(self) -> None:
        self.copy_sample()
        write_valid_noncanonical_users(self.folder / "users.csv")
        orders = self.folder / "orders.csv"
        orders.write_bytes(orders.read_bytes().replace(b"\n", b"\r\n"))
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_query(self.folder, self.folder, "--by", "country")
        self.assert_same_report(self.folder, self.folder)

    def test_events_after_the_day_of_a_manifest_give_the_same_results(self) -> None:
        self.copy_sample()
        manifest = '{"window": {"end": "2025-06-30"}, "currency": "JPY"}'
        (self.folder / "datapackage.json").write_text(manifest, encoding="utf-8")
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_query(self.folder, self.folder)
        self.assert_same_report(self.folder, self.folder)

    def test_shop_without_rows_gives_the_same_results(self) -> None:
        for table in read_contract().tables:
            text = ",".join(table.column_names) + "\n"
            (self.folder / f"{table.name}.csv").write_text(text, encoding="utf-8")
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_query(self.folder, self.folder, "--by", "channel")
        self.assert_same_report(self.folder, self.folder)

    def test_shop_without_payments_gives_the_same_results(self) -> None:
        self.copy_sample()
        path = self.folder / "payments.csv"
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        (self.folder / "datapackage.json").unlink()
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_report(self.folder, self.folder)

    def test_texts_with_invisible_characters_give_the_same_warning(self) -> None:
        self.copy_sample()
        path = self.folder / "users.csv"
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        texts = [*(text for text, _, _ in INVISIBLE), *filter(None, VISIBLE)]
        for n, text in enumerate(texts):
            cells = lines[n].split(",")
            cells[header.split(",").index("city")] = f'"{text}"'
            lines[n] = ",".join(cells)
        text = "\n".join([header, *lines, ""])
        path.write_text(text, encoding="utf-8", newline="\n")
        (self.folder / "datapackage.json").unlink()
        loaded = self.ingest()
        self.assertEqual(loaded.status, 0, loaded)
        self.assert_same_report(self.folder, self.folder)

    def test_file_that_changes_during_the_run_is_refused(self) -> None:
        self.copy_sample()
        path = self.folder / "users.csv"

        def change(*_: object) -> None:
            os.utime(path, (1, 1))

        with mock.patch("utils.engines.session.run_script", change):
            result = self.run_query(self.engine)
        self.assertEqual(result.status, 1, result)
        self.assertIn("users.csv: was changed during the run", result.stderr)

    def test_translated_rules_accept_the_texts_that_sqlite_accepts(self) -> None:
        self.assert_same_rules()

    def test_report_finds_all_faults(self) -> None:
        self.copy_sample()
        for break_file, _, _ in FAULTS.values():
            break_file(self.folder)
        self.assert_found(list(FAULTS))

    def test_report_proposes_no_command_that_needs_a_database(self) -> None:
        self.copy_sample()
        set_cell(self.folder, "users", 2, "email", "no address")
        result = self.report(self.engine)
        self.assertIn("Not sound", result.stdout)
        for name in ("report.md", "report.json"):
            text = (self.out_dir / name).read_text(encoding="utf-8")
            self.assertNotIn("--rows", result.stdout + text)

    def test_query_refuses_each_fault(self) -> None:
        for name, (break_file, _, _) in FAULTS.items():
            with self.subTest(name):
                self.copy_sample()
                break_file(self.folder)
                result = self.run_query(self.engine)
                self.assertEqual((result.status, result.stdout), (1, ""), result)
                self.assertIn("The report lists all", result.stderr)
                self.assertNotIn("more failures", result.stderr)
                self.assertFalse(self.out_dir.exists())

    def test_rows_that_are_not_csv_are_refused(self) -> None:
        for line in ("1,2,3\n", '1,"a"b\n', "\n"):
            with self.subTest(line):
                self.copy_sample()
                with open(self.folder / "products.csv", "a", encoding="utf-8") as file:
                    file.write(line)
                result = self.run_query(self.engine)
                self.assertEqual((result.status, result.stdout), (1, ""), result)
                self.assertIn("products", result.stderr)

    def test_amounts_that_overflow_64_bits_are_refused(self) -> None:
        self.copy_sample()
        path = self.folder / "products.csv"
        for row in range(1, path.read_bytes().count(b"\n")):
            set_cell(self.folder, "products", row, "cost_cents", f"{2**62}")
        result = self.run_query(self.engine)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn("overflow 64-bit integers", result.stderr)

    def test_score_is_the_same(self) -> None:
        self.generate("--users", 800, "--truth", "--quiet")
        self.ingest("--quiet")
        truth = ["--forecast", "--score", "--truth-dir", self.folder / "truth"]
        of_sqlite = call(
            run_query.main, "--database", self.database, "--out-dir", self.out_dir, *truth
        )
        self.assertEqual(of_sqlite, self.run_query(self.engine, *truth))


class EnginesReadme(EngineCase):
    """The commands of the engines' README work as printed."""

    engine = "spark"

    def test_commands_of_the_readme_work_with_spark_configured_by_its_own_file(
        self,
    ) -> None:
        if shutil.which("duckdb") is None:
            skip_or_fail(self, "duckdb is missing: the commands of the README were not run")
        text = README.read_text(encoding="utf-8")
        commands = re.findall(r"^    python (.* --engine .*)$", text, re.MULTILINE)
        self.assertEqual(len(commands), 3)
        copy = copy_project(self.folder)
        for command in ("generate_data.py --generate --users 150", "ingest.py --ingest"):
            self.run_printed(command, copy)
        settings = self.folder / "conf"
        settings.mkdir()
        of_small_data = {
            **PLAIN_EXECUTION,
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.enabled": "false",
            "spark.driver.extraJavaOptions": JVM_OPTIONS,
        }
        text = "".join(f"{name} {value}\n" for name, value in of_small_data.items())
        (settings / "spark-defaults.conf").write_text(text, encoding="utf-8")
        for command in commands:
            with self.subTest(command):
                self.run_printed(command, copy, SPARK_CONF_DIR=os.fspath(settings))
        self.assertFalse((copy / "metastore_db").exists())

    def run_printed(self, command: str, copy: Path, **environment: str) -> None:
        """Run *command*, a script and its options, in *copy*."""
        finished = subprocess.run(
            [sys.executable, *shlex.split(command)],
            cwd=copy,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
        )
        self.assertEqual((finished.returncode, finished.stderr), (0, b""), finished)


class SparkAnswers(EngineCase):
    """Spark gives the same results, computed by several executors."""

    engine = "spark"

    def test_translated_rules_accept_the_texts_that_sqlite_accepts(self) -> None:
        self.assert_same_rules()

    def test_query_over_parts_is_the_same(self) -> None:
        self.assert_same_query(
            engine_shop(),
            engine_parts(16),
            "--by",
            "category",
            "--cohort",
            "quarter",
            "--forecast",
        )

    def test_report_on_parts_and_noncanonical_files_is_the_same(self) -> None:
        complete, parts = self.folder / "complete", self.folder / "parts"
        shutil.copytree(engine_shop(), complete)
        shutil.copytree(engine_parts(3), parts)
        write_valid_noncanonical_users(complete / "users.csv")
        for path in parts.glob("users.csv.part-*"):
            path.unlink()
        shutil.copy(complete / "users.csv", parts)
        database = complete / "shop.db"
        loaded = call(
            ingest.main, "--ingest", "--data-dir", complete, "--database", database
        )
        self.assertEqual(loaded.status, 0, loaded)
        self.assert_same_report(complete, parts)

    def test_cdnow_gives_the_same_results(self) -> None:
        shop = cdnow_shop()
        self.assert_same_query(shop, shop)

    def test_report_finds_all_faults(self) -> None:
        self.copy_sample()
        for break_file, _, _ in FAULTS.values():
            break_file(self.folder)
        self.assert_found(list(FAULTS))

    def test_rows_that_are_not_csv_are_refused(self) -> None:
        self.copy_sample()
        with open(self.folder / "products.csv", "a", encoding="utf-8") as file:
            file.write("1,2,3\n")
        result = self.run_query(self.engine, is_plain=True)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn("products.csv:302: the number of cells is 3", result.stderr)
