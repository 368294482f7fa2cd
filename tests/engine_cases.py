"""Shops, faults and comparisons for the tests of the engines.

DuckDB and Spark are programs; the tests of a missing one are skipped, and fail in CI.
Spark runs as a small cluster: a master and two executors, each in its own process.
"""

from __future__ import annotations

import atexit
import csv
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any, ClassVar

import generate_data
import ingest
import run_query
from tests import cdnow
from tests.support import (
    Result,
    ShopCase,
    call,
    skip,
    skip_or_fail,
)
from tests.test_cdnow import MASTER
from utils.contract import read_contract
from utils.engines.dialects import DIALECTS
from utils.engines.process import (
    Script,
    find_program,
    open_engine,
    run_script,
)
from utils.engines.proofs import list_rules, translate_rule
from utils.helpers import DataError

TABLES = [table.name for table in read_contract().tables]

ENGINE_PLAN = ("--users", "800")

# One process, or a master and two executors of one core and 1 GiB.  The optimizing compiler
# is off, because it takes longer than the small data need.
JVM_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
LOCAL_SPARK_ARGUMENTS = [
    "--master",
    "local[2]",
    "--driver-java-options",
    JVM_OPTIONS,
    "--conf",
    "spark.sql.shuffle.partitions=2",
    "--conf",
    "spark.ui.enabled=false",
]
SPARK_ARGUMENTS = [
    *LOCAL_SPARK_ARGUMENTS,
    "--master",
    "local-cluster[2,1,1024]",
    "--conf",
    f"spark.executor.extraJavaOptions={JVM_OPTIONS}",
]

# Planning and compiling a statement takes longer than running it on small data.  The tests
# that compare results leave these as Spark has them; those that look for faults do not.
PLAIN_EXECUTION = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
}


def name_engine(name: str, *, is_plain: bool = False) -> list[str]:
    """Return the options that choose the engine *name* in the tests.

    With *is_plain* Spark is one process with `PLAIN_EXECUTION`.
    """
    if name != "spark":
        return ["--engine", name]
    words = SPARK_ARGUMENTS
    if is_plain:
        settings = map("=".join, PLAIN_EXECUTION.items())
        words = [*LOCAL_SPARK_ARGUMENTS, *chain(*zip(repeat("--conf"), settings))]
    return ["--engine", name, *(f"--spark-arg={each}" for each in words)]


def make_folder() -> Path:
    """Return a new folder that is removed when the tests end."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def engine_shop(*plan: str) -> Path:
    """Return a folder with the files and the database of a shop; do not change it.

    *plan* are options of the generator, instead of 800 users in two years.
    """
    folder = make_folder()
    plan = plan or ENGINE_PLAN
    made = call(generate_data.main, "--generate", *plan, "--out-dir", folder)
    loaded = call(
        ingest.main, "--ingest", "--data-dir", folder, "--database", folder / "shop.db"
    )
    assert (made.status, loaded.status) == (0, 0), (made, loaded)
    return folder


@cache
def engine_parts(count: int, *plan: str) -> Path:
    """Return a folder with the same shop in *count* parts, and its manifest."""
    folder = make_folder()
    for number in range(1, count + 1):
        made = call(
            generate_data.main,
            "--generate",
            *(plan or ENGINE_PLAN),
            "--part",
            f"{number}/{count}",
            "--out-dir",
            folder,
        )
        assert made.status == 0, made
    shutil.copy(engine_shop(*plan) / "datapackage.json", folder)
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


def choose_forecast(options: Sequence[object]) -> list[object]:
    """Return *options*, which omit the forecast unless they request or score it."""
    is_requested = "--forecast" in options or "--score" in options
    return [*([] if is_requested else ["--no-forecast"]), *options]


@cache
def query_sqlite(database: Path, *options: object) -> tuple[bytes, str]:
    """Return the CSV and the JSON of the query on *database*, without its source."""
    out_dir = make_folder()
    source = ["--database", database, "--out-dir", out_dir]
    result = call(run_query.main, *source, *choose_forecast(options))
    assert (result.status, result.stderr) == (0, ""), result
    return read_query_result(out_dir)[:2]


def read_report(out_dir: Path) -> tuple[str, dict[str, Any]]:
    """Return the report in *out_dir* without what names its program, and its loader."""
    report = json.loads((out_dir / "report.json").read_text(encoding="utf-8"))
    # These name the engine, and the digest includes its name.
    del report["database"], report["provenance"]["submission_meta"]
    # The command that lists the rows needs a database.
    for check in report["checks"]:
        del check["all_rows"]
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
    "an event of a year that is not counted": (
        lambda folder: set_cell(
            folder, "payments", 9, "processed_at", "2950-01-03T00:00:00Z"
        ),
        "database_is_intact",
        "2950-01-03",
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

    def run_query(self, engine: str, *options: object, is_plain: bool = False) -> Result:
        """Run the query over the folder's files by *engine*."""
        return call(
            run_query.main,
            *name_engine(engine, is_plain=is_plain),
            "--data-dir",
            self.folder,
            "--out-dir",
            self.out_dir,
            *choose_forecast(options),
        )

    def report(self, engine: str, *options: object, is_plain: bool = False) -> Result:
        """Report on the folder's files by *engine*."""
        return call(
            ingest.main,
            "--report",
            *name_engine(engine, is_plain=is_plain),
            "--data-dir",
            self.folder,
            "--out-dir",
            self.out_dir,
            *options,
        )


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
        """Fail unless the query over *folder* writes what the database of *shop* gives."""
        out_dir = self.folder / self.engine
        source = [*name_engine(self.engine), "--data-dir", folder]
        source += ["--out-dir", out_dir, *choose_forecast(options)]
        result = call(run_query.main, *source)
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
        result = self.report(self.engine, "--strict", is_plain=True)
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
        """Fail unless by every rule the engine accepts the `PROBES` that SQLite accepts."""
        arguments = LOCAL_SPARK_ARGUMENTS if self.engine == "spark" else []
        engine = open_engine(self.engine, arguments)
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
