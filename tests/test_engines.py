"""DuckDB and Spark give SQLite's answers from the CSV files, and refuse what it refuses.

The engines are programs; the tests of a missing one are skipped, and fail in CI.  Spark
runs as a small cluster: a master and two executors, each in its own process.
"""

from __future__ import annotations

import atexit
import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import generate_data
import ingest
import run_query
from tests import cdnow
from tests.documents import copy_project, render_document, run_command
from tests.support import (
    ROOT,
    Result,
    ShopCase,
    call,
    skip,
    skip_on_windows,
    skip_or_fail,
)
from tests.test_cdnow import MASTER
from utils.contract import read_contract
from utils.engines.content import read_content, read_contents
from utils.engines.dialects import DIALECTS, join_hadoop_paths
from utils.engines.files import find_table, find_tables
from utils.engines.process import (
    Script,
    find_program,
    open_engine,
    run_script,
    select_error_lines,
)
from utils.engines.proofs import list_rules, translate_rule
from utils.helpers import DataError
from utils.manifest import Manifest, compare_with_manifest

TABLES = [table.name for table in read_contract().tables]

README = ROOT / "utils" / "engines" / "README.md"

# A master and two executors of one core and 1 GiB.  The optimizing compiler is off, because
# it takes longer than the small data need.
_JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
SPARK_ARGUMENTS = [
    "--master",
    "local-cluster[2,1,1024]",
    "--driver-java-options",
    _JVM,
    "--conf",
    f"spark.executor.extraJavaOptions={_JVM}",
    "--conf",
    "spark.sql.shuffle.partitions=2",
    "--conf",
    "spark.ui.enabled=false",
]


def name_engine(name: str) -> list[str]:
    """Return the options that choose the engine *name* in the tests."""
    if name != "spark":
        return ["--engine", name]
    return ["--engine", name, *(f"--spark-arg={each}" for each in SPARK_ARGUMENTS)]


def make_folder() -> Path:
    """Return a new folder that is removed when the tests end."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def shop_of_800() -> Path:
    """Return a folder with the files and the database of a shop; do not change it."""
    folder = make_folder()
    made = call(generate_data.main, "--generate", "--users", 800, "--out-dir", folder)
    loaded = call(
        ingest.main, "--ingest", "--data-dir", folder, "--database", folder / "shop.db"
    )
    assert (made.status, loaded.status) == (0, 0), (made, loaded)
    return folder


@cache
def parts_of_800(count: int) -> Path:
    """Return a folder with the same shop in *count* parts, and its manifest."""
    folder = make_folder()
    for number in range(1, count + 1):
        made = call(
            generate_data.main,
            "--generate",
            "--users",
            800,
            "--part",
            f"{number}/{count}",
            "--out-dir",
            folder,
        )
        assert made.status == 0, made
    shutil.copy(shop_of_800() / "datapackage.json", folder)
    return folder


@cache
def cdnow_shop() -> Path:
    """Return a folder with the CDNOW purchases and their database; skip without them."""
    if not MASTER.is_file():
        skip(f"{MASTER} is missing: name its folder in SHOP_CDNOW_DIR")
    folder = make_folder()
    cdnow.convert_master(MASTER, folder)
    loaded = call(
        ingest.main, "--ingest", "--data-dir", folder, "--database", folder / "shop.db"
    )
    assert loaded.status == 0, loaded
    return folder


def read_query_result(out_dir: Path) -> tuple[bytes, str, dict[str, Any]]:
    """Return the CSV in *out_dir*, the JSON without its source, and the source."""
    table = (out_dir / "query_result.csv").read_bytes()
    text = (out_dir / "query_result.json").read_text(encoding="utf-8")
    source = json.loads(text)["database"]
    indented = json.dumps(source, indent=1).replace("\n", "\n ")
    return table, text.replace(indented, "the source"), source


@cache
def query_sqlite(database: Path, *options: object) -> tuple[bytes, str]:
    """Return the CSV and the JSON of the query on *database*, without its source."""
    out_dir = make_folder()
    source = ["--database", database, "--out-dir", out_dir]
    result = call(run_query.main, *source, *options)
    assert (result.status, result.stderr) == (0, ""), result
    return read_query_result(out_dir)[:2]


def read_report(out_dir: Path) -> tuple[str, dict[str, Any]]:
    """Return the report in *out_dir* without what names its program, and its loader."""
    report = json.loads((out_dir / "report.json").read_text(encoding="utf-8"))
    # These name the engine, and the digest includes its name.
    del report["database"], report["provenance"]["submission_meta"]
    loader = report["provenance"].pop("loader")
    return json.dumps(report, indent=1), loader


@cache
def report_sqlite(database: Path) -> str:
    """Return the report on *database* without what names its program."""
    out_dir = make_folder()
    result = call(ingest.main, "--report", "--database", database, "--out-dir", out_dir)
    assert (result.status, result.stderr) == (0, ""), result
    return read_report(out_dir)[0]


def set_cell(folder: Path, table: str, row: int, column: str, value: str) -> list[str]:
    """Write *value* to a cell of the file of *table*; return the row before the change."""
    path = folder / f"{table}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    before = list(rows[row])
    rows[row][rows[0].index(column)] = value
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return before


def write_valid_noncanonical_users(path: Path) -> None:
    """Change the users at *path* to a valid file in an unusual form, and unsorted."""
    name = 'Ana "=É"\u2028, the\r\nsecond; -- '
    set_cell(path.parent, "users", 4, "full_name", name)
    set_cell(path.parent, "users", 5, "email", "  white@Space.example ")
    header, first, rows = path.read_bytes().split(b"\n", 2)
    path.write_bytes(b"\xef\xbb\xbf" + header + b"\n" + rows + first + b"\n")


# How each fault is made, the check of the report that finds it, and text of its sample.
FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a cell that is not an integer": (
        lambda folder: set_cell(folder, "orders", 3, "tax_cents", "12.50"),
        "database_is_intact",
        "'12.50'",
    ),
    "an integer beyond 64 bits": (
        lambda folder: set_cell(folder, "products", 3, "cost_cents", f"{2**63}"),
        "database_is_intact",
        f"'{2**63}'",
    ),
    "an integer with a blank": (
        lambda folder: set_cell(folder, "order_items", 3, "quantity", " 1"),
        "database_is_intact",
        "' 1'",
    ),
    "a missing value": (
        lambda folder: set_cell(folder, "users", 3, "city", ""),
        "database_is_intact",
        "city",
    ),
    "a duplicate key": (
        lambda folder: set_cell(folder, "payments", 3, "payment_id", "1"),
        "duplicate_key",
        "payments",
    ),
    "a duplicate UNIQUE value": (
        lambda folder: set_cell(
            folder,
            "products",
            5,
            "sku",
            set_cell(folder, "products", 4, "brand", "Any")[1],
        ),
        "database_matches_schema",
        "sku",
    ),
    "a reference to no row": (
        lambda folder: set_cell(folder, "order_items", 5, "order_id", "99999999"),
        "orphan_item_of_no_order",
        "99999999",
    ),
    "a CHECK on a list of texts": (
        lambda folder: set_cell(folder, "orders", 5, "status", "lost"),
        "database_matches_schema",
        "status_is_known",
    ),
    "a CHECK by GLOB": (
        lambda folder: set_cell(folder, "users", 5, "country_code", "dE"),
        "database_matches_schema",
        "country_code_is_two_capitals",
    ),
    "a CHECK on a sum": (
        lambda folder: set_cell(folder, "orders", 7, "total_cents", "1"),
        "database_matches_schema",
        "total_cents_is_subtotal",
    ),
    "a date that does not exist": (
        lambda folder: set_cell(
            folder, "payments", 7, "processed_at", "2025-02-29T10:00:00Z"
        ),
        "database_matches_schema",
        "processed_at_is_a_utc_instant",
    ),
}


# Texts near the borders of the rules on texts.
PROBES = (
    "DE",
    "dE",
    "D",
    "DEU",
    "D1",
    "ÄÖ",
    "DE\n",
    "card",
    "Card",
    "paid",
    "charge",
    "succeeded",
    "search",
    "a@b.example",
    "a@b",
    "a@b@c.example",
    "@",
    " ",
    "SKU-000001",
    "2024-02-29T23:59:59Z",
    "2025-02-29T10:00:00Z",
    "2025-01-01T24:00:00Z",
    "2025-01-01T23:59:60Z",
    "2025-1-01T00:00:00Z",
    "2025-01-01 00:00:00",
    "2025-01-01T00:00:00",
    "2025-01-01T00:00:00z",
    "2025-01-01T00:00:00+00:00",
    "2025-13-01T00:00:00Z",
    "2025-01-01T00:00:00Z ",
    "2025-01-01",
    "now",
)


class FilesCase(ShopCase):
    """A test over files, with a folder for results beside them."""

    def setUp(self) -> None:
        """Name the folder."""
        super().setUp()
        self.out_dir = self.folder / "out"

    def run_query(self, engine: str, *options: object) -> Result:
        """Run the query over the folder's files by *engine*."""
        return call(
            run_query.main,
            *name_engine(engine),
            "--data-dir",
            self.folder,
            "--out-dir",
            self.out_dir,
            *options,
        )

    def report(self, engine: str, *options: object) -> Result:
        """Report on the folder's files by *engine*."""
        return call(
            ingest.main,
            "--report",
            *name_engine(engine),
            "--data-dir",
            self.folder,
            "--out-dir",
            self.out_dir,
            *options,
        )


# ---- Without an engine -------------------------------------------------------------------


class MissingEngine(FilesCase):
    """The program of an engine is not installed."""

    def test_missing_engine_is_named_and_nothing_written(self) -> None:
        home = os.fspath(self.folder / "no-spark")
        for engine, environment, words in (
            ("duckdb", {}, ["'duckdb' on the PATH", "pip install duckdb-cli"]),
            ("spark", {}, ["'spark-sql' on the PATH", "pip install pyspark", "SPARK_HOME"]),
            ("spark", {"SPARK_HOME": home}, [home, "named by SPARK_HOME"]),
        ):
            for run in (self.run_query, self.report):
                with (
                    self.subTest(engine, run=run.__name__),
                    mock.patch.dict(os.environ, {"PATH": "", **environment}),
                ):
                    if "SPARK_HOME" not in environment:
                        os.environ.pop("SPARK_HOME", None)
                    result = run(engine)
                    self.assertEqual((result.status, result.stdout), (1, ""), result)
                    self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                    for word in words:
                        self.assertIn(word, result.stderr)
                    self.assertFalse(self.out_dir.exists())


class FailingEngine(FilesCase):
    """The engine's own error is reported; the results of an earlier run stay."""

    def setUp(self) -> None:
        """Create files, old results and the folder of a program."""
        skip_on_windows("the program is a script of the shell")
        super().setUp()
        self.copy_sample()
        self.out_dir.mkdir()
        self.old = {
            self.out_dir / name: f"old {name}"
            for name in ("query_result.csv", "query_result.json", "report.json")
        }
        for old, text in self.old.items():
            old.write_text(text, encoding="utf-8")
        self.bin = self.folder / "home" / "bin"
        self.bin.mkdir(parents=True)
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        home = os.fspath(self.bin.parent)
        patch = mock.patch.dict(os.environ, {"PATH": path, "SPARK_HOME": home})
        patch.start()
        self.addCleanup(patch.stop)

    def replace_engines(self, body: str) -> None:
        """Replace the programs of both engines by the shell script *body*."""
        for name in ("duckdb", "spark-sql"):
            program = self.bin / name
            program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
            program.chmod(0o755)

    def replace_engines_by_python(self, code: str) -> None:
        """Replace the programs of both engines by the Python *code*."""
        self.replace_engines(
            f'exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"'
        )

    def assert_reported(self, *words: str) -> None:
        """Fail unless query and report by both engines end with *words*, writing nothing."""
        for engine in DIALECTS:
            for run in (self.run_query, self.report):
                with self.subTest(engine, run=run.__name__):
                    result = run(engine)
                    self.assertEqual((result.status, result.stdout), (1, ""), result)
                    for word in words:
                        self.assertIn(word, result.stderr)
                    for path, text in self.old.items():
                        self.assertEqual(path.read_text(encoding="utf-8"), text)

    def test_error_of_the_engine_is_reported_without_its_log(self) -> None:
        self.replace_engines(
            "echo '26/01/01 10:00:00 WARN Noise' >&2\n"
            "echo '[BOOM] no table orders' >&2\nexit 3"
        )
        self.assert_reported("ended with status 3", "[BOOM] no table orders")
        self.assertNotIn("Noise", self.run_query("spark").stderr)

    def test_signal_that_killed_the_engine_is_reported(self) -> None:
        self.replace_engines("kill -9 $$")
        self.assert_reported("ended by signal 9")

    def test_output_without_its_end_is_refused(self) -> None:
        self.replace_engines("exit 0")
        self.assert_reported("ended with status 0")

    def test_output_that_is_not_json_is_refused(self) -> None:
        # The script is the last argument; its first separator precedes the first answer.
        self.replace_engines_by_python(
            "import re, sys; script = open(sys.argv[-1]).read();"
            ' print(re.search("@@[0-9a-f]* version", script)[0]); print("no JSON at all")'
        )
        self.assert_reported("'no JSON at all' is not a row")

    def test_overflow_of_64_bits_is_reported(self) -> None:
        self.replace_engines("echo '[ARITHMETIC_OVERFLOW] long overflow' >&2; exit 1")
        self.assert_reported("overflow 64-bit integers")

    def test_engine_ends_when_the_run_is_interrupted(self) -> None:
        # The file is renamed when it is complete, so that no half of it is read.
        self.replace_engines_by_python(
            f"import os, time; path = {str(self.folder / 'pid')!r};"
            ' file = open(path + ".new", "w"); print(os.getpid(), file=file); file.close();'
            ' os.rename(path + ".new", path); time.sleep(60)'
        )
        for name in ("SIGINT", "SIGTERM"):
            with self.subTest(name):
                (self.folder / "pid").unlink(missing_ok=True)
                process = subprocess.Popen(
                    [
                        sys.executable,
                        ROOT / "run_query.py",
                        "--engine",
                        "duckdb",
                        "--data-dir",
                        self.folder,
                        "--out-dir",
                        self.out_dir,
                    ],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
                engine = int(self.wait_for(self.folder / "pid"))
                process.send_signal(getattr(signal, name))
                # In less time than an engine that ignores SIGTERM gets before SIGKILL.
                _, stderr = process.communicate(timeout=8)
                self.assertEqual(process.returncode, 128 + getattr(signal, name), stderr)
                self.assertRaises(ProcessLookupError, os.kill, engine, 0)

    def wait_for(self, path: Path) -> str:
        """Return the text of the file at *path*, as soon as it exists."""
        deadline = time.monotonic() + 20
        while not (path.exists() and path.read_text(encoding="utf-8")):
            self.assertLess(time.monotonic(), deadline, f"{path} was not written")
            time.sleep(0.05)
        return path.read_text(encoding="utf-8")


class EngineOptions(FilesCase):
    """Options that do not fit the engine are refused before it is started."""

    def test_option_without_meaning_for_the_engine_is_refused(self) -> None:
        cases: list[tuple[Any, list[object], str]] = [
            (run_query, ["--spark-arg=x"], "--spark-arg is for --engine spark"),
            (run_query, ["--engine", "duckdb", "--spark-arg=x"], "--spark-arg is for"),
            (run_query, ["--data-dir", "."], "add --engine"),
            (run_query, ["--engine", "duckdb", "--database", "x.db"], "--database is"),
            (run_query, ["--engine", "hadoop"], "invalid choice"),
            (ingest, ["--report", "--spark-arg=x"], "--spark-arg is for"),
            (ingest, ["--ingest", "--engine", "duckdb"], "add --report"),
        ]
        for name, *value in (
            ["--ingest"],
            ["--check"],
            ["--rows", "duplicate_key"],
            ["--verify"],
            ["--database", "x.db"],
            ["--schema", "x.sql"],
        ):
            given: list[object] = ["--report", "--engine", "duckdb", name, *value]
            cases.append((ingest, given, f"{name} works with SQLite only"))
        for script, options, words in cases:
            with self.subTest(script=script.__name__, options=options):
                result = call(script.main, *options)
                self.assertEqual(result.status, 2, result)
                self.assertIn(words, result.stderr)

    def test_remote_address_is_refused(self) -> None:
        installed = mock.patch(
            "utils.engines.process.find_program", return_value="spark-sql"
        )
        for address in ("hdfs://host:8020/shop", "s3a://bucket/shop"):
            with self.subTest(address), installed:
                result = call(run_query.main, "--engine", "spark", "--data-dir", address)
                self.assertEqual(result.status, 1, result)
                self.assertIn("Mount it", result.stderr)


class OwnQuery(FilesCase):
    """A query of the user is checked before the engine is started."""

    def test_query_that_is_not_one_select_is_refused(self) -> None:
        self.copy_sample()
        path = self.folder / "own.sql"
        installed = mock.patch("utils.engines.process.find_program", return_value="duckdb")
        for sql in ("SELEC 1", "SELECT 1; DROP TABLE users", "DROP TABLE users"):
            with self.subTest(sql), installed:
                path.write_text(sql, encoding="utf-8")
                result = self.run_query("duckdb", "--query", path)
                self.assertEqual((result.status, result.stdout), (1, ""), result)
                self.assertIn("own.sql", result.stderr)
                self.assertIn("one SELECT", result.stderr)


class FilesOfATable(FilesCase):
    """A table is one file or several parts; its content is what the loader records."""

    def find(self, folder: Path) -> None:
        """Find the tables in *folder*."""
        find_tables(read_contract(), folder)

    def test_content_equals_what_the_loader_records(self) -> None:
        self.copy_sample()
        users = (self.folder / "users.csv").read_text(encoding="utf-8")
        texts = {
            "canonical": users,
            "CRLF": users.replace("\n", "\r\n"),
            "a BOM": "\ufeff" + users,
            "quotes": users.replace(",", '","').replace("\n", '"\n"')[:-1].join(['"', ""]),
            "no line end at the end": users.removesuffix("\n"),
            "other columns": "".join(
                ",".join([*line.split(",")[1:], line.split(",")[0]]) + "\n"
                for line in users.splitlines()
            ),
        }
        for name, text in texts.items():
            with self.subTest(name):
                (self.folder / "users.csv").write_text(text, encoding="utf-8", newline="")
                self.assertEqual(self.ingest().status, 0)
                contents = read_contents(
                    find_tables(read_contract(), self.folder), has_fingerprints=False
                )
                computed = [
                    (content.sha256, str(content.bytes), str(content.rows), content.form)
                    for content in contents
                ]
                recorded = [
                    tuple(
                        self.recorded(f"{table}.csv", fact)
                        for fact in ("sha256", "bytes", "rows", "form")
                    )
                    for table in TABLES
                ]
                self.assertEqual(computed, recorded)
                self.assertEqual(
                    [content.content_sha256 for content in contents],
                    [self.recorded(table, "content_sha256") for table in TABLES],
                )

    def recorded(self, subject: str, fact: str) -> str:
        """Return a fact of `submission_meta`."""
        ((value,),) = self.query(
            "SELECT value FROM submission_meta WHERE subject = ? AND property = ?",
            subject,
            fact,
        )
        return str(value)

    def test_parts_have_the_same_content_in_every_layout(self) -> None:
        whole = shop_of_800()
        expected = read_contents(find_tables(read_contract(), whole), has_fingerprints=True)
        spark = self.folder / "written by Spark"
        own = self.folder / "in folders of their own"
        for table in TABLES:
            header, *rows = (
                (whole / f"{table}.csv").read_text(encoding="utf-8").splitlines(True)
            )
            for at in range(12):
                part = spark / table / f"part-{at:05}-abc.csv"
                part.parent.mkdir(parents=True, exist_ok=True)
                few = rows[len(rows) * at // 12 : len(rows) * (at + 1) // 12]
                part.write_text(header + "".join(few), encoding="utf-8", newline="\n")
            (spark / table / "_SUCCESS").touch()
            for path in parts_of_800(3).glob(f"{table}.csv.part-*"):
                number = path.name.partition(".csv.")[2]
                (own / number).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, own / number / f"{table}.csv")
        for folder in (spark, own, parts_of_800(1), parts_of_800(3), parts_of_800(16)):
            with self.subTest(folder.name):
                found = read_contents(
                    find_tables(read_contract(), folder), has_fingerprints=True
                )
                # All fields except the files.
                self.assertEqual(
                    [each[1:] for each in found], [each[1:] for each in expected]
                )

    def test_quoted_cell_anywhere_in_a_large_file_keeps_all_rows(self) -> None:
        table = read_contract().tables[0]
        lines = [
            f"{number},user{number}@example.com,Ana Example,DE,Berlin,search,"
            "2025-01-01T00:00:00Z"
            for number in range(1, 30_001)
        ]
        for row in (0, 15_000, 29_999, None):
            rows = list(lines)
            if row is not None:
                rows[row] = rows[row].replace("Ana Example", '"Example, Ana"')
            data = "\n".join([",".join(table.column_names), *rows, ""]).encode()
            # The reader takes several blocks, of which at most one has the quotes.
            self.assertGreater(len(data), 2 << 20)
            (self.folder / "users.csv").write_bytes(data)
            content = read_content(find_table(table, self.folder), has_fingerprint=True)
            digests = (hashlib.md5(text.encode(), usedforsecurity=False) for text in rows)
            with self.subTest(row=row):
                self.assertEqual(content.rows, 30_000)
                self.assertEqual(content.content_sha256, hashlib.sha256(data).hexdigest())
                self.assertEqual(
                    content.fingerprint,
                    sum(int(digest.hexdigest()[:15], 16) for digest in digests),
                )
                self.assertEqual(
                    content.form, "canonical" if row is None else "UTF-8, quotes"
                )

    def test_manifest_that_lists_parts_is_compared_by_their_joined_hash(self) -> None:
        document = json.loads((shop_of_800() / "datapackage.json").read_bytes())
        (listed,) = [each for each in document["resources"] if each["name"] == "users"]
        sha256 = listed["hash"].removeprefix("sha256:")
        listed["path"] = [f"users.csv.part-{number}-of-3" for number in (1, 2, 3)]
        manifest = Manifest(document, "0" * 64)
        for digest, words in ((sha256, "matches"), ("1" * 64, "differs")):
            self.assertEqual(compare_with_manifest(manifest, "users.csv", digest), words)

    def test_missing_part_table_or_folder_is_named(self) -> None:
        shutil.copytree(parts_of_800(3), self.folder / "parts")
        (self.folder / "parts" / "orders.csv.part-2-of-3").unlink()
        with self.assertRaisesRegex(DataError, "of 3 parts, number 2 is missing"):
            self.find(self.folder / "parts")
        with self.assertRaisesRegex(DataError, "users.csv: no such file"):
            self.find(self.folder)
        with self.assertRaisesRegex(DataError, "no such folder"):
            self.find(self.folder / "nowhere")

    def test_table_in_two_layouts_is_refused(self) -> None:
        self.copy_sample()
        shutil.copytree(parts_of_800(3), self.folder, dirs_exist_ok=True)
        with self.assertRaisesRegex(DataError, "users more than once"):
            self.find(self.folder)

    def test_file_without_header_or_utf_8_is_refused(self) -> None:
        for name, text, words in (
            ("no header", b"1,2\n", "Correct the header"),
            ("Latin-1", b"\xe9", "not CSV in UTF-8"),
        ):
            with self.subTest(name):
                self.copy_sample()
                path = self.folder / "products.csv"
                head = b"" if name == "no header" else path.read_bytes()
                path.write_bytes(head + text)
                with self.assertRaisesRegex(DataError, words):
                    read_contents(
                        find_tables(read_contract(), self.folder), has_fingerprints=False
                    )


class Dialects(unittest.TestCase):
    """What an engine gets is in its own dialect."""

    def test_rules_are_translated_from_what_only_sqlite_understands(self) -> None:
        for dialect in DIALECTS.values():
            for table, rules in list_rules(read_contract()):
                for rule in rules:
                    with self.subTest(dialect.name, table=table.name, rule=rule.name):
                        text = translate_rule(dialect, rule.expression)
                        self.assertNotIn("GLOB", text)
                        self.assertNotIn("+0 days", text)

    def test_hadoop_path_joins_several_files_and_refuses_patterns(self) -> None:
        skip_on_windows("the paths are POSIX")
        self.assertEqual(join_hadoop_paths([Path("/a b/x.csv")]), "file:///a b/x.csv")
        self.assertEqual(
            join_hadoop_paths([Path("/d/1/x.csv"), Path("/d/2/x.csv")]),
            "file:///d/{1/x.csv,2/x.csv}",
        )
        with self.assertRaisesRegex(DataError, "Rename"):
            join_hadoop_paths([Path("/a[1]/x.csv")])

    def test_only_the_error_is_selected_from_a_log(self) -> None:
        log = (
            "Using Spark's default log4j profile: x\n"
            "26/11/25 06:54:11 WARN FileStreamSink: Assume no metadata\n"
            "java.io.FileNotFoundException: File file:/{a,b} does not exist\n"
            "\tat org.apache.hadoop.fs.X.y(X.java:1)\n"
            "[PATH_NOT_FOUND] Path does not exist: file:/a. SQLSTATE: 42K03\n"
            "Time taken: 1 seconds\n"
        )
        self.assertEqual(
            select_error_lines(log),
            ["[PATH_NOT_FOUND] Path does not exist: file:/a. SQLSTATE: 42K03"],
        )


# ---- With the engines --------------------------------------------------------------------


class EngineCase(FilesCase):
    """A test that runs the *engine* of its class."""

    engine: ClassVar[str] = ""

    def setUp(self) -> None:
        """Skip the test if the engine is missing."""
        super().setUp()
        try:
            find_program(DIALECTS[self.engine])
        except DataError as error:
            skip_or_fail(self, str(error))
        if self.engine == "spark" and shutil.which("java") is None:
            skip_or_fail(self, "java is missing: nothing was run on Spark")

    def assert_same_query(self, shop: Path, folder: Path, *options: object) -> None:
        """Fail unless the query over *folder* writes the results of the database of *shop*."""
        out_dir = self.folder / self.engine
        source = [*name_engine(self.engine), "--data-dir", folder]
        result = call(run_query.main, *source, "--out-dir", out_dir, *options)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        table, document, engine = read_query_result(out_dir)
        self.assertEqual(engine["engine"], self.engine)
        self.assertRegex(engine["version"], r"^\d+\.\d+")
        self.assertEqual((table, document), query_sqlite(shop / "shop.db", *options))

    def assert_same_report(self, shop: Path, folder: Path) -> None:
        """Fail unless the report on *folder* equals that on the database of *shop*."""
        out_dir = self.folder / self.engine
        source = [*name_engine(self.engine), "--data-dir", folder]
        result = call(ingest.main, "--report", *source, "--out-dir", out_dir)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        self.assertTrue((out_dir / "report.md").is_file())
        report, loader = read_report(out_dir)
        self.assertEqual(loader["engine"], self.engine)
        self.assertEqual(report, report_sqlite(shop / "shop.db"))

    def assert_found(self, names: Sequence[str]) -> None:
        """Fail unless the report contains each of the faults *names*."""
        result = self.report(self.engine, "--strict")
        self.assertEqual(result.status, 1, result)
        report = json.loads((self.out_dir / "report.json").read_text(encoding="utf-8"))
        checks = {check["check"]: check for check in report["checks"]}
        for name in names:
            _, check, words = FAULTS[name]
            with self.subTest(name):
                self.assertEqual(checks[check]["status"], "fail")
                self.assertGreater(checks[check]["count"], 0)
                self.assertIn(words, json.dumps(checks[check]["sample"]))
        self.assertEqual(checks["files_content_as_loaded"]["count"], 0)

    def assert_same_rules(self) -> None:
        """Fail unless the engine accepts the `PROBES` that SQLite accepts, by every rule."""
        engine = open_engine(self.engine)
        script = Script(engine.dialect)
        expected: dict[str, list[str]] = {}
        for table, rules in list_rules(read_contract()):
            for rule in rules:
                (column, *others) = [
                    each for each in table.column_names if each in rule.expression.split()
                ] or [""]
                if others or table.find_column(column).type != "TEXT":
                    continue
                name = f"{table.name}.{rule.name}"
                expected[name] = self.list_accepted(column, rule.expression)
                texts = ", ".join(f"({engine.dialect.quote(text)})" for text in PROBES)
                condition = translate_rule(engine.dialect, rule.expression)
                script.add_query(
                    name,
                    f"SELECT {column} FROM (VALUES {texts}) AS probes ({column})"
                    f" WHERE {condition} ORDER BY {column}",
                )
        run_script(engine, script, self.folder)
        found = {name: [text for (text,) in rows] for name, rows in script.rows.items()}
        self.assertEqual(found, expected)
        # Each of the two translations takes part.
        self.assertTrue(any("two_capitals" in name for name in expected))
        self.assertTrue(any("utc_instant" in name for name in expected))

    def list_accepted(self, column: str, condition: str) -> list[str]:
        """Return those of `PROBES` for which SQLite finds *condition* true."""
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"CREATE TABLE probes ({column} TEXT) STRICT")
            connection.executemany(
                "INSERT INTO probes VALUES (?)", [(text,) for text in PROBES]
            )
            rows = connection.execute(
                f"SELECT {column} FROM probes WHERE {condition} ORDER BY {column}"
            )
            return [text for (text,) in rows]


class OnDuckDB(EngineCase):
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
        ):
            with self.subTest(options=options):
                self.assert_same_query(shop_of_800(), shop_of_800(), *options)

    def test_parts_give_the_same_results(self) -> None:
        for count in (1, 3, 16):
            with self.subTest(count):
                self.assert_same_query(shop_of_800(), parts_of_800(count))
                self.assert_same_report(shop_of_800(), parts_of_800(count))

    def test_cdnow_gives_the_same_results(self) -> None:
        shop = cdnow_shop()
        self.assert_same_query(shop, shop, "--forecast")
        self.assert_same_report(shop, shop)

    def test_files_that_are_not_canonical_give_the_same_results(self) -> None:
        self.copy_sample()
        write_valid_noncanonical_users(self.folder / "users.csv")
        orders = self.folder / "orders.csv"
        orders.write_bytes(orders.read_bytes().replace(b"\n", b"\r\n"))
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_query(self.folder, self.folder, "--by", "country")
        self.assert_same_report(self.folder, self.folder)

    def test_shop_without_rows_gives_the_same_results(self) -> None:
        for table in read_contract().tables:
            text = ",".join(table.column_names) + "\n"
            (self.folder / f"{table.name}.csv").write_text(text, encoding="utf-8")
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_query(self.folder, self.folder, "--by", "channel")
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


class TheReadme(EngineCase):
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
        (settings / "spark-defaults.conf").write_text(
            "spark.sql.shuffle.partitions 2\nspark.ui.enabled false\n"
            f"spark.driver.extraJavaOptions {_JVM}\n",
            encoding="utf-8",
        )
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


class OnSpark(EngineCase):
    """Spark gives the same results, computed by several executors."""

    engine = "spark"

    def test_translated_rules_accept_the_texts_that_sqlite_accepts(self) -> None:
        self.assert_same_rules()

    def test_query_over_parts_is_the_same(self) -> None:
        self.assert_same_query(
            shop_of_800(),
            parts_of_800(16),
            "--by",
            "category",
            "--cohort",
            "quarter",
            "--forecast",
        )

    def test_report_on_parts_and_noncanonical_files_is_the_same(self) -> None:
        whole, parts = self.folder / "whole", self.folder / "parts"
        shutil.copytree(shop_of_800(), whole)
        shutil.copytree(parts_of_800(3), parts)
        write_valid_noncanonical_users(whole / "users.csv")
        for path in parts.glob("users.csv.part-*"):
            path.unlink()
        shutil.copy(whole / "users.csv", parts)
        database = whole / "shop.db"
        loaded = call(ingest.main, "--ingest", "--data-dir", whole, "--database", database)
        self.assertEqual(loaded.status, 0, loaded)
        self.assert_same_report(whole, parts)

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
        result = self.run_query(self.engine)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn("MALFORMED_RECORD", result.stderr)
