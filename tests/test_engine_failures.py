"""A missing or failing engine, or a wrong option, is reported; no result is written."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import ingest
import run_query
from tests.engine_cases import FilesCase
from tests.support import (
    ROOT,
    call,
    skip_on_windows,
)
from utils.engines.dialects import DIALECTS


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
        """Fail unless query and report by both engines report *words* and write nothing."""
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
        self.assert_reported("ended with status 3. Its error:", "[BOOM] no table orders")
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
            ' print(re.search("@@[0-9a-f]* version", script)[0]); print("no JSON here")'
        )
        self.assert_reported("'no JSON here' is not a row")

    def test_overflow_of_64_bits_is_reported(self) -> None:
        self.replace_engines("echo '[ARITHMETIC_OVERFLOW] long overflow' >&2; exit 1")
        self.assert_reported("overflow 64-bit integers")

    def test_spark_gets_the_arguments_and_options_of_the_user_after_ours(self) -> None:
        self.replace_engines_by_python(
            "import os, sys; sys.exit(' '.join(sys.argv[1:])"
            " + ' | ' + os.environ['SPARK_SUBMIT_OPTS'])"
        )
        with mock.patch.dict(os.environ, {"SPARK_SUBMIT_OPTS": "-Dmine=1"}):
            options = ["--engine", "spark", "--spark-arg=--conf", "--spark-arg=a.b=c"]
            result = call(run_query.main, *options, "--data-dir", self.folder)
        self.assertRegex(
            result.stderr,
            r"spark\.sql\.catalogImplementation=in-memory .*--conf a\.b=c -f \S+\.sql"
            r" \| -Xlog:disable .* -Dmine=1\n\Z",
        )

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
            (run_query, ["--spark-arg=x"], "no effect without --engine spark"),
            (run_query, ["--engine", "duckdb", "--spark-arg=x"], "without --engine spark"),
            (run_query, ["--data-dir", "."], "no effect without --engine; add it"),
            (run_query, ["--engine", "duckdb", "--database", "x"], "omit --database"),
            (run_query, ["--engine", "hadoop"], "invalid choice"),
            (ingest, ["--report", "--spark-arg=x"], "without --engine spark"),
            (ingest, ["--ingest", "--engine", "duckdb"], "omit --ingest"),
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
            cases.append((ingest, given, f"without SQLite; omit {name}"))
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
