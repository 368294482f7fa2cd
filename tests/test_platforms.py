"""Scripts run without POSIX, and give the same bytes on 32-bit WebAssembly."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import unittest
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from tests.support import (
    ROOT,
    SAMPLE_USERS,
    SMALL_SAMPLE,
    Result,
    ShopCase,
    read_tree,
    sample_shop,
    skip_or_fail,
)

# Modules and names that the standard library does not have on Windows.
POSIX_MODULES = (
    "fcntl",
    "grp",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
)
POSIX_NAMES = ("fork", "forkpty", "getuid", "geteuid", "O_DIRECTORY", "sysconf", "wait4")

# The outputs that do not contain the versions of Python and SQLite.
SAME_BYTES = (
    "users.csv",
    "products.csv",
    "orders.csv",
    "order_items.csv",
    "payments.csv",
    "datapackage.json",
    "query_result.csv",
)

# A part of a shop over Black Friday and a leap day; a few tables with the truth.
PART = (
    "--generate",
    "--seed",
    2**64 - 1,
    "--users",
    400,
    "--start",
    "2023-11-01",
    "--end",
    "2024-03-10",
    "--part",
    "2/3",
)
KNOWN = (
    "--generate",
    "--users",
    200,
    "--end",
    "2024-06-30",
    "--until",
    "2024-08-31",
    "--tables",
    "users,payments",
    "--truth",
)

WITHOUT_POSIX = f"""
import os, runpy, signal, sys
for name in {POSIX_MODULES!r}:
    sys.modules[name] = None
for name in {POSIX_NAMES!r}:
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGALRM", "SIGHUP", "alarm", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)
script, *sys.argv = sys.argv[1:]
sys.argv.insert(0, script)
sys.path.insert(0, os.path.dirname(script))
runpy.run_path(script, run_name="__main__")
"""


class WithoutPosix(ShopCase):
    """No script needs a module or function that Windows does not have."""

    def run_without_posix(self, script: str, *arguments: object) -> Result:
        """Run *script* without the POSIX modules, on a cp1252 console."""
        finished = subprocess.run(
            [sys.executable, "-c", WITHOUT_POSIX, ROOT / script, *map(str, arguments)],
            env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
            capture_output=True,
            encoding="cp1252",
            timeout=60,
            check=False,
        )
        return Result(finished.returncode, finished.stdout, finished.stderr)

    def test_all_scripts_run_without_posix(self) -> None:
        for script, *arguments in (
            ("generate_data.py", "--generate", *SMALL_SAMPLE, "--out-dir", self.folder),
            (
                "ingest.py",
                "--ingest",
                "--report",
                "--data-dir",
                self.folder,
                "--database",
                self.database,
                "--out-dir",
                self.folder,
            ),
            ("run_query.py", "--database", self.database, "--out-dir", self.folder),
            ("serve_frontend.py", "--help"),
        ):
            result = self.run_without_posix(str(script), *arguments)
            self.assertEqual((result.status, result.stderr), (0, ""), result)

    def test_page_is_served_without_posix(self) -> None:
        server = subprocess.Popen(
            [
                sys.executable,
                "-c",
                WITHOUT_POSIX,
                ROOT / "serve_frontend.py",
                "--port",
                "0",
                "--results-dir",
                sample_shop(*SMALL_SAMPLE),
            ],
            env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
            stdout=subprocess.PIPE,
            encoding="cp1252",
        )
        with server:
            self.addCleanup(server.kill)
            assert server.stdout is not None
            port = urlsplit(server.stdout.readline().split()[-1]).port
            for name in ("", "data/report.json", "data/query_result.json"):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                with closing(connection):
                    connection.request("GET", f"/frontend/{name}")
                    self.assertEqual(connection.getresponse().status, 200, name)
            server.kill()

    def test_characters_that_the_console_lacks_are_escaped(self) -> None:
        folder = self.folder / "łódź ✓"
        result = self.run_without_posix("ingest.py", "--ingest", "--data-dir", folder)
        self.assertEqual(result.status, 1)
        self.assertIn("\\u0142ód\\u017a \\u2713", result.stderr)


class SourceText(unittest.TestCase):
    """The source names an encoding wherever it opens a file."""

    def test_no_file_is_opened_with_a_default_encoding(self) -> None:
        script = (
            "import sys, warnings; warnings.simplefilter('error', EncodingWarning);"
            " sys.path.insert(0, '.'); import tests.support as s;"
            " s.sample_shop(*s.SMALL_SAMPLE)"
        )
        finished = subprocess.run(
            [sys.executable, "-X", "warn_default_encoding", "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        self.assertEqual((finished.returncode, finished.stderr), (0, ""))


class WebAssemblyRun(ShopCase):
    """CPython 3.14 in WebAssembly (32-bit, musl, no processes) gives the same bytes."""

    def test_webassembly_gives_the_same_bytes(self) -> None:
        modules = os.environ.get("SHOP_NODE_MODULES")
        pyodide = Path(modules or "") / "pyodide"
        if shutil.which("node") is None or not modules or not pyodide.is_dir():
            skip_or_fail(self, "needs node, and SHOP_NODE_MODULES with the package pyodide")
        self.run_in_node(
            pyodide,
            ["generate_data", "--generate", "--users", SAMPLE_USERS, "--out-dir", "/out"],
            [
                "ingest",
                "--ingest",
                "--report",
                "--data-dir",
                "/out",
                "--database",
                "/out/shop.db",
                "--out-dir",
                "/out",
            ],
            ["run_query", "--database", "/out/shop.db", "--out-dir", "/out"],
            ["generate_data", *PART, "--workers", 4, "--out-dir", "/out/part"],
            ["generate_data", *KNOWN, "--out-dir", "/out/known"],
        )
        for name, arguments in (("part", PART), ("known", KNOWN)):
            self.generate(*arguments, "--out-dir", self.folder / "here")
            self.assertEqual(
                read_tree(self.folder / "here"), read_tree(self.folder / name), name
            )
            shutil.rmtree(self.folder / "here")
        here, there = sample_shop(), self.folder
        for name in SAME_BYTES:
            self.assertEqual(_hash(here / name), _hash(there / name), name)
        one, other = (
            json.loads((folder / "report.json").read_text(encoding="utf-8"))
            for folder in (here, there)
        )
        for key in ("dataset", "kpis", "trends", "verdict"):
            self.assertEqual(one[key], other[key], key)

    def run_in_node(self, pyodide: Path, *commands: list[object]) -> None:
        """Run *commands*, each a script's module with its arguments, in WebAssembly."""
        lines = "\n".join(json.dumps([*map(str, command)]) for command in commands)
        finished = subprocess.run(
            ["node", ROOT / "tests" / "wasm" / "run_path.mjs", pyodide, ROOT, self.folder],
            input=lines,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        self.assertEqual(finished.returncode, 0, finished.stderr + finished.stdout)
        sys.stderr.write(finished.stdout.splitlines()[-1] + "\n")


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
