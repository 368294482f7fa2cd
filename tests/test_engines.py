"""Other engines: SQLite's answers over the files themselves, and clear refusals.

DuckDB and Spark are reached by their own programs; where one is missing its tests are
skipped, in CI they fail.  Spark runs as a small cluster: a master and two executors, each a
process of its own.
"""

from __future__ import annotations

import atexit
import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import generate_data
import ingest
import run_query
from tests import cdnow
from tests.documents import copy_project
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
from utils.engines.content import read_contents
from utils.engines.dialects import DIALECTS, join_hadoop_paths
from utils.engines.files import find_tables
from utils.engines.process import find_program, select_error_lines
from utils.engines.proofs import list_rules, translate_rule
from utils.helpers import DataError
from utils.manifest import Manifest, compare_with_manifest

TABLES = [table.name for table in read_contract().tables]

# A master and two executors of one core and 1 GiB; small data need no optimizing compiler.
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
    """Return a new folder that goes when the tests end."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def shop_of_800() -> Path:
    """Return a folder with a shop, its database and its parts; do not change it."""
    folder = make_folder()
    made = call(generate_data.main, "--generate", "--users", 800, "--out-dir", folder)
    loaded = call(
        ingest.main, "--ingest", "--data-dir", folder, "--database", folder / "shop.db"
    )
    assert (made.status, loaded.status) == (0, 0), (made, loaded)
    return folder


@cache
def parts_of_800(count: int) -> Path:
    """Return a folder with that shop in *count* parts, and its manifest."""
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
        skip(f"{MASTER} is not there: name its folder in SHOP_CDNOW_DIR")
    folder = make_folder()
    cdnow.convert_master(MASTER, folder)
    loaded = call(
        ingest.main, "--ingest", "--data-dir", folder, "--database", folder / "shop.db"
    )
    assert loaded.status == 0, loaded
    return folder


def set_cell(folder: Path, table: str, row: int, column: str, value: str) -> list[str]:
    """Put *value* into a cell of the file of *table*; return its row as it was."""
    path = folder / f"{table}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    before = list(rows[row])
    rows[row][rows[0].index(column)] = value
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return before


def spoil_users(path: Path) -> None:
    """Make the users at *path* as odd as a sound file can be, and unsorted."""
    name = 'Ana "=É"\u2028, the\r\nsecond; -- '
    set_cell(path.parent, "users", 4, "full_name", name)
    set_cell(path.parent, "users", 5, "email", "  white@Space.example ")
    header, first, rows = path.read_bytes().split(b"\n", 2)
    path.write_bytes(b"\xef\xbb\xbf" + header + b"\n" + rows + first + b"\n")


# What is broken, and the check and the words by which the report names it.
FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "an integer that is none": (
        lambda folder: set_cell(folder, "orders", 3, "tax_cents", "12.50"),
        "database_is_intact",
        "'12.50'",
    ),
    "an integer beyond 64 bits": (
        lambda folder: set_cell(folder, "products", 3, "cost_cents", f"{2**63}"),
        "database_is_intact",
        f"'{2**63}'",
    ),
    "an integer in another spelling": (
        lambda folder: set_cell(folder, "order_items", 3, "quantity", " 1"),
        "database_is_intact",
        "' 1'",
    ),
    "no value": (
        lambda folder: set_cell(folder, "users", 3, "city", ""),
        "database_is_intact",
        "city",
    ),
    "a key that is there twice": (
        lambda folder: set_cell(folder, "payments", 3, "payment_id", "1"),
        "duplicate_key",
        "payments",
    ),
    "a UNIQUE that is there twice": (
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
    "a reference to nothing": (
        lambda folder: set_cell(folder, "order_items", 5, "order_id", "99999999"),
        "orphan_item_of_no_order",
        "99999999",
    ),
    "a CHECK on a word": (
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
    "a day that never was": (
        lambda folder: set_cell(
            folder, "payments", 7, "processed_at", "2025-02-29T10:00:00Z"
        ),
        "database_matches_schema",
        "processed_at_is_a_utc_instant",
    ),
}


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


class AMissingEngine(FilesCase):
    """Is named, with what to install."""

    def test_is_named_and_nothing_written(self) -> None:
        home = os.fspath(self.folder / "no-spark")
        for engine, environment, words in (
            ("duckdb", {}, ["'duckdb' on the PATH", "pip install duckdb-cli"]),
            ("spark", {}, ["'spark-sql' on the PATH", "SPARK_HOME"]),
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


class AFailingEngine(FilesCase):
    """Is told of in its own words; the results of an earlier run stay."""

    def setUp(self) -> None:
        """Put files, old results and the place of a program there."""
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

    def fake(self, body: str) -> None:
        """Let both engines be the shell script *body*."""
        for name in ("duckdb", "spark-sql"):
            program = self.bin / name
            program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
            program.chmod(0o755)

    def fake_in_python(self, code: str) -> None:
        """Let both engines run *code*, on a machine that has no other programs."""
        self.fake(f'exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"')

    def assert_told(self, *words: str) -> None:
        """Fail unless both runs by both engines end with *words*, and change nothing."""
        for engine in DIALECTS:
            for run in (self.run_query, self.report):
                with self.subTest(engine, run=run.__name__):
                    result = run(engine)
                    self.assertEqual((result.status, result.stdout), (1, ""), result)
                    for word in words:
                        self.assertIn(word, result.stderr)
                    for path, text in self.old.items():
                        self.assertEqual(path.read_text(encoding="utf-8"), text)

    def test_says_why(self) -> None:
        self.fake(
            "echo '26/01/01 10:00:00 WARN Noise' >&2\n"
            "echo '[BOOM] no table orders' >&2\nexit 3"
        )
        self.assert_told("ended with status 3", "[BOOM] no table orders")
        self.assertNotIn("Noise", self.run_query("spark").stderr)

    def test_is_told_of_when_it_is_killed(self) -> None:
        self.fake("kill -9 $$")
        self.assert_told("ended by signal 9")

    def test_is_not_believed_before_its_end(self) -> None:
        self.fake("exit 0")
        self.assert_told("ended with status 0")

    def test_is_not_believed_when_it_gives_no_rows(self) -> None:
        # The script is the last argument; its first mark stands before the first answer.
        self.fake_in_python(
            "import re, sys; script = open(sys.argv[-1]).read();"
            ' print(re.search("@@[0-9a-f]* version", script)[0]); print("no JSON at all")'
        )
        self.assert_told("'no JSON at all' is not a row")

    def test_tells_of_amounts_beyond_64_bits(self) -> None:
        self.fake("echo '[ARITHMETIC_OVERFLOW] long overflow' >&2; exit 1")
        self.assert_told("overflow 64-bit integers")

    def test_ends_with_the_run(self) -> None:
        # Written and renamed, so that it is never read half.
        self.fake_in_python(
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
                # Sooner than an engine that does not listen would be killed.
                _, stderr = process.communicate(timeout=8)
                self.assertEqual(process.returncode, 128 + getattr(signal, name), stderr)
                self.assertRaises(ProcessLookupError, os.kill, engine, 0)

    def wait_for(self, path: Path) -> str:
        """Return the text of the file at *path*, as soon as there is one."""
        patience = time.monotonic() + 20
        while not (path.exists() and path.read_text(encoding="utf-8")):
            self.assertLess(time.monotonic(), patience, f"{path} did not come")
            time.sleep(0.05)
        return path.read_text(encoding="utf-8")


class OddOptions(FilesCase):
    """Are refused in one line."""

    def test_that_mean_nothing_to_the_engine(self) -> None:
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

    def test_an_address_elsewhere(self) -> None:
        present = mock.patch("utils.engines.process.find_program", return_value="spark-sql")
        for address in ("hdfs://host:8020/shop", "s3a://bucket/shop"):
            with self.subTest(address), present:
                result = call(run_query.main, "--engine", "spark", "--data-dir", address)
                self.assertEqual(result.status, 1, result)
                self.assertIn("Mount it", result.stderr)


class AnotherQuery(FilesCase):
    """Is refused before anything is run, if it is not one SELECT."""

    def test_that_is_not_one_select(self) -> None:
        self.copy_sample()
        path = self.folder / "own.sql"
        present = mock.patch("utils.engines.process.find_program", return_value="duckdb")
        for sql in ("SELEC 1", "SELECT 1; DROP TABLE users", "DROP TABLE users"):
            with self.subTest(sql), present:
                path.write_text(sql, encoding="utf-8")
                result = self.run_query("duckdb", "--query", path)
                self.assertEqual((result.status, result.stdout), (1, ""), result)
                self.assertIn("own.sql", result.stderr)
                self.assertIn("one SELECT", result.stderr)


class TheFiles(FilesCase):
    """Are found as one or in parts, and digested as the loader does."""

    def find(self, folder: Path) -> None:
        """Find the tables in *folder*."""
        find_tables(read_contract(), folder)

    def test_digest_as_the_loader_does(self) -> None:
        self.copy_sample()
        users = (self.folder / "users.csv").read_text(encoding="utf-8")
        texts = {
            "canonical": users,
            "CRLF": users.replace("\n", "\r\n"),
            "a BOM": "\ufeff" + users,
            "quotes": users.replace(",", '","').replace("\n", '"\n"')[:-1].join(['"', ""]),
            "no end": users.removesuffix("\n"),
            "other columns": "".join(
                ",".join([*line.split(",")[1:], line.split(",")[0]]) + "\n"
                for line in users.splitlines()
            ),
        }
        for name, text in texts.items():
            with self.subTest(name):
                (self.folder / "users.csv").write_text(text, encoding="utf-8", newline="")
                self.assertEqual(self.ingest().status, 0)
                surveyed = read_contents(
                    find_tables(read_contract(), self.folder), has_fingerprints=False
                )
                told = [
                    (survey.sha256, str(survey.bytes), str(survey.rows), survey.form)
                    for survey in surveyed
                ]
                recorded = [
                    tuple(
                        self.recorded(f"{table}.csv", fact)
                        for fact in ("sha256", "bytes", "rows", "form")
                    )
                    for table in TABLES
                ]
                self.assertEqual(told, recorded)
                self.assertEqual(
                    [survey.content_sha256 for survey in surveyed],
                    [self.recorded(table, "content_sha256") for table in TABLES],
                )

    def recorded(self, subject: str, fact: str) -> str:
        """Return what the database says it was loaded from."""
        ((value,),) = self.query(
            "SELECT value FROM submission_meta WHERE subject = ? AND property = ?",
            subject,
            fact,
        )
        return str(value)

    def test_are_the_same_in_any_layout(self) -> None:
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
                # All but the files.
                self.assertEqual(
                    [each[1:] for each in found], [each[1:] for each in expected]
                )

    def test_are_those_of_a_manifest_that_lists_their_parts(self) -> None:
        document = json.loads((shop_of_800() / "datapackage.json").read_bytes())
        (listed,) = [each for each in document["resources"] if each["name"] == "users"]
        sha256 = listed["hash"].removeprefix("sha256:")
        listed["path"] = [f"users.csv.part-{number}-of-3" for number in (1, 2, 3)]
        manifest = Manifest(document, "0" * 64)
        for digest, words in ((sha256, "matches"), ("1" * 64, "differs")):
            self.assertEqual(compare_with_manifest(manifest, "users.csv", digest), words)

    def test_are_refused_when_one_is_missing(self) -> None:
        shutil.copytree(parts_of_800(3), self.folder / "parts")
        (self.folder / "parts" / "orders.csv.part-2-of-3").unlink()
        with self.assertRaisesRegex(DataError, "of 3 parts, number 2 is missing"):
            self.find(self.folder / "parts")
        with self.assertRaisesRegex(DataError, "users.csv: no such file"):
            self.find(self.folder)
        with self.assertRaisesRegex(DataError, "no such folder"):
            self.find(self.folder / "nowhere")

    def test_are_refused_when_a_table_is_there_twice(self) -> None:
        self.copy_sample()
        shutil.copytree(parts_of_800(3), self.folder, dirs_exist_ok=True)
        with self.assertRaisesRegex(DataError, "users more than once"):
            self.find(self.folder)

    def test_are_refused_without_a_header_or_utf_8(self) -> None:
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


class TheScript(unittest.TestCase):
    """Says to each engine what it understands."""

    def test_holds_every_rule_without_what_only_sqlite_knows(self) -> None:
        for dialect in DIALECTS.values():
            for table, rules in list_rules(read_contract()):
                for rule in rules:
                    with self.subTest(dialect.name, table=table.name, rule=rule.name):
                        text = translate_rule(dialect, rule.expression)
                        self.assertNotIn("GLOB", text)
                        self.assertNotIn("+0 days", text)

    def test_names_several_files_to_hadoop_as_one_path(self) -> None:
        skip_on_windows("the paths are POSIX")
        self.assertEqual(join_hadoop_paths([Path("/a b/x.csv")]), "file:///a b/x.csv")
        self.assertEqual(
            join_hadoop_paths([Path("/d/1/x.csv"), Path("/d/2/x.csv")]),
            "file:///d/{1/x.csv,2/x.csv}",
        )
        with self.assertRaisesRegex(DataError, "Rename"):
            join_hadoop_paths([Path("/a[1]/x.csv")])

    def test_shows_of_a_log_what_went_wrong(self) -> None:
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
    """A test that runs an engine; the class names it."""

    engine: ClassVar[str] = ""

    def setUp(self) -> None:
        """Look for the engine."""
        super().setUp()
        try:
            find_program(DIALECTS[self.engine])
        except DataError as error:
            skip_or_fail(self, str(error))
        if self.engine == "spark" and shutil.which("java") is None:
            skip_or_fail(self, "there is no java: nothing ran on Spark")

    def assert_same_query(self, shop: Path, folder: Path, *options: object) -> None:
        """Fail unless the query over *folder* gives what the database of *shop* gives."""
        results = []
        for name, source in (
            ("sqlite", ["--database", shop / "shop.db"]),
            (self.engine, [*name_engine(self.engine), "--data-dir", folder]),
        ):
            out_dir = self.folder / name
            result = call(run_query.main, *source, "--out-dir", out_dir, *options)
            self.assertEqual((result.status, result.stderr), (0, ""), result)
            document = (out_dir / "query_result.json").read_text(encoding="utf-8")
            parsed = json.loads(document)
            source_text = json.dumps(parsed["database"], indent=1).replace("\n", "\n ")
            results.append(
                (
                    (out_dir / "query_result.csv").read_bytes(),
                    document.replace(source_text, "the source"),
                )
            )
        self.assertEqual(parsed["database"]["engine"], self.engine)
        self.assertRegex(parsed["database"]["version"], r"^\d+\.\d+")
        self.assertEqual(results[0], results[1])

    def assert_same_report(self, shop: Path, folder: Path) -> dict[str, Any]:
        """Fail unless the report over *folder* is that on the database of *shop*."""
        reports = []
        for name, source in (
            ("sqlite", ["--database", shop / "shop.db"]),
            (self.engine, [*name_engine(self.engine), "--data-dir", folder]),
        ):
            out_dir = self.folder / name
            result = call(ingest.main, "--report", *source, "--out-dir", out_dir)
            self.assertEqual((result.status, result.stderr), (0, ""), result)
            self.assertTrue((out_dir / "report.md").is_file())
            report = json.loads((out_dir / "report.json").read_text(encoding="utf-8"))
            # What names the engine, and the digest over it.
            del report["database"], report["provenance"]["submission_meta"]
            loader = report["provenance"].pop("loader")
            reports.append(json.dumps(report, indent=1))
        self.assertEqual(loader["engine"], self.engine)
        self.assertEqual(reports[0], reports[1])
        parsed: dict[str, Any] = json.loads(reports[1])
        return parsed

    def assert_found(self, names: Sequence[str]) -> None:
        """Fail unless the report names the faults *names*, and the query refuses them."""
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


class OnDuckDB(EngineCase):
    """The same answers, byte for byte, and the same faults."""

    engine = "duckdb"

    def test_the_query_is_the_same_under_every_option(self) -> None:
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

    def test_parts_give_the_same(self) -> None:
        for count in (1, 3, 16):
            with self.subTest(count):
                self.assert_same_query(shop_of_800(), parts_of_800(count))
                self.assert_same_report(shop_of_800(), parts_of_800(count))

    def test_cdnow_gives_the_same(self) -> None:
        shop = cdnow_shop()
        self.assert_same_query(shop, shop, "--forecast")
        self.assert_same_report(shop, shop)

    def test_files_that_are_not_canonical_give_the_same(self) -> None:
        self.copy_sample()
        spoil_users(self.folder / "users.csv")
        orders = self.folder / "orders.csv"
        orders.write_bytes(orders.read_bytes().replace(b"\n", b"\r\n"))
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_query(self.folder, self.folder, "--by", "country")
        self.assert_same_report(self.folder, self.folder)

    def test_a_shop_without_rows_gives_the_same(self) -> None:
        for table in read_contract().tables:
            text = ",".join(table.column_names) + "\n"
            (self.folder / f"{table.name}.csv").write_text(text, encoding="utf-8")
        self.assertEqual(self.ingest().status, 0)
        self.assert_same_query(self.folder, self.folder, "--by", "channel")
        self.assert_same_report(self.folder, self.folder)

    def test_a_file_that_changes_meanwhile_is_refused(self) -> None:
        self.copy_sample()
        path = self.folder / "users.csv"

        def change(*_: object) -> None:
            os.utime(path, (1, 1))

        with mock.patch("utils.engines.session.run_script", change):
            result = self.run_query(self.engine)
        self.assertEqual(result.status, 1, result)
        self.assertIn("users.csv: was changed during the run", result.stderr)

    def test_each_fault_is_found(self) -> None:
        for name, (break_file, _, _) in FAULTS.items():
            self.copy_sample()
            break_file(self.folder)
            self.assert_found([name])
            with self.subTest(name):
                shutil.rmtree(self.out_dir)
                result = self.run_query(self.engine)
                self.assertEqual((result.status, result.stdout), (1, ""), result)
                self.assertIn("The report lists all", result.stderr)
                self.assertFalse(self.out_dir.exists())

    def test_rows_that_are_no_csv_are_refused(self) -> None:
        for line in ("1,2,3\n", '1,"a"b\n', "\n"):
            with self.subTest(line):
                self.copy_sample()
                with open(self.folder / "products.csv", "a", encoding="utf-8") as file:
                    file.write(line)
                result = self.run_query(self.engine)
                self.assertEqual((result.status, result.stdout), (1, ""), result)
                self.assertIn("products", result.stderr)

    def test_amounts_beyond_64_bits_are_refused(self) -> None:
        self.copy_sample()
        path = self.folder / "products.csv"
        for row in range(1, path.read_bytes().count(b"\n")):
            set_cell(self.folder, "products", row, "cost_cents", f"{2**62}")
        result = self.run_query(self.engine)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn("overflow 64-bit integers", result.stderr)

    def test_the_score_is_the_same(self) -> None:
        self.generate("--users", 800, "--truth", "--quiet")
        self.ingest("--quiet")
        truth = ["--forecast", "--score", "--truth-dir", self.folder / "truth"]
        of_sqlite = call(
            run_query.main, "--database", self.database, "--out-dir", self.out_dir, *truth
        )
        self.assertEqual(of_sqlite, self.run_query(self.engine, *truth))


class TheReadme(EngineCase):
    """Shows commands that work as printed, with Spark configured by its own file."""

    engine = "spark"

    def test_what_to_do_beyond_this_machine(self) -> None:
        if shutil.which("duckdb") is None:
            skip_or_fail(self, "duckdb is not installed: the README was not followed")
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        section = text.partition("## When you outgrow this machine")[2].partition("\n## ")[
            0
        ]
        commands = re.findall(r"^    python (.* --engine .*)$", section, re.MULTILINE)
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
    """The same answers, by several executors."""

    engine = "spark"

    def test_the_query_is_the_same_in_parts(self) -> None:
        self.assert_same_query(
            shop_of_800(),
            parts_of_800(16),
            "--by",
            "category",
            "--cohort",
            "quarter",
            "--forecast",
        )

    def test_the_report_is_the_same_in_parts_and_odd_files(self) -> None:
        whole, parts = self.folder / "whole", self.folder / "parts"
        shutil.copytree(shop_of_800(), whole)
        shutil.copytree(parts_of_800(3), parts)
        spoil_users(whole / "users.csv")
        for path in parts.glob("users.csv.part-*"):
            path.unlink()
        shutil.copy(whole / "users.csv", parts)
        database = whole / "shop.db"
        loaded = call(ingest.main, "--ingest", "--data-dir", whole, "--database", database)
        self.assertEqual(loaded.status, 0, loaded)
        self.assert_same_report(whole, parts)

    def test_cdnow_gives_the_same(self) -> None:
        shop = cdnow_shop()
        self.assert_same_query(shop, shop)

    def test_every_fault_is_found(self) -> None:
        self.copy_sample()
        for break_file, _, _ in FAULTS.values():
            break_file(self.folder)
        self.assert_found(list(FAULTS))

    def test_rows_that_are_no_csv_are_refused(self) -> None:
        self.copy_sample()
        with open(self.folder / "products.csv", "a", encoding="utf-8") as file:
            file.write("1,2,3\n")
        result = self.run_query(self.engine)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn("MALFORMED_RECORD", result.stderr)


if __name__ == "__main__":
    unittest.main()
