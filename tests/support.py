"""What the tests share: calls of the scripts, and sample shops."""

from __future__ import annotations

import atexit
import contextlib
import csv
import hashlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from unittest import mock

import generate_data
import ingest
import run_query
from utils.processes import count_processors

ROOT = Path(__file__).resolve().parent.parent

# Data sets of other people, which are not part of the project.
CORPORA_DIR = Path(os.environ.get("SHOP_CORPORA_DIR", ROOT.parent / "shared" / "corpora"))

# Enough for every kind of order to occur.
SAMPLE_USERS = 150

# Enough for a shop whose documents have all their parts: a report takes half the time.
SMALL_SAMPLE = ("--users", "40", "--start", "2025-01-01")

# In CI every tool is installed, so a test that would skip fails instead.
IN_CI = os.environ.get("CI") == "true"

# Where the processes of a parallel run keep what `make_once` makes.
shared_dir: Path | None = None

# Numbers of processes whose results are compared with those of one.
WORKER_COUNTS = (2, 3, 8) if IN_CI else (3,)


class Result(NamedTuple):
    """The exit status and both streams of a script."""

    status: int
    stdout: str
    stderr: str


def call(main: Callable[[Sequence[str]], int], *arguments: object) -> Result:
    """Call *main* with *arguments* as its command line."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as exit_request:
            status = int(exit_request.code or 0)
    return Result(status, stdout.getvalue(), stderr.getvalue())


class FakeTerminal(io.StringIO):
    """A stream that reports that it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def run_spawned(
    script: str, threshold: str, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run *script* in a new process whose workers are started by spawn; no data are small.

    That is how Windows and macOS start them: none is a copy of its parent.  *threshold* is
    the dotted name of the constant below which no worker is started.
    """
    code = f"""
import multiprocessing, sys
import {threshold.rpartition(".")[0]}, {script}
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    {threshold} = 1
    sys.exit({script}.main(sys.argv[1:]))
"""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def run_script(
    script: str, *arguments: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Result:
    """Run *script* of the project in a process of its own, with *env* added to ours."""
    finished = subprocess.run(
        [sys.executable, ROOT / script, *(str(argument) for argument in arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
        check=False,
    )
    return Result(finished.returncode, finished.stdout, finished.stderr)


def hash_folder(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in *folder*, by name; hidden ones too."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return every file in and below *folder*, by its path relative to *folder*."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of the CSV file at *path*."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


_skipped: Counter[str] = Counter()


def skip(reason: str) -> NoReturn:
    """Skip the running test or class; its reason is printed at the end of the run."""
    count_skip(reason)
    raise unittest.SkipTest(reason)


def count_skip(reason: str) -> None:
    """Count a test or class skipped for *reason*, to be printed at the end of the run."""
    if not _skipped:
        atexit.register(_print_skipped)
    _skipped[reason] += 1


@contextlib.contextmanager
def refuse_to_replace(name: str) -> Iterator[None]:
    """Make the system refuse every rename of a new file to *name*."""
    replace_file = os.replace

    def replace(source: Path, target: Path) -> None:
        # A restored old file has another suffix.
        if target.name == name and source.name.endswith(f".{os.getpid()}.partial"):
            raise PermissionError(13, "in use", str(source), None, str(target))
        replace_file(source, target)

    with mock.patch("utils.atomic_files.os.replace", replace):
        yield


def skip_on_windows(reason: str) -> None:
    """Skip the running test on Windows."""
    if os.name == "nt":
        skip(reason)


def skip_without_processes() -> None:
    """Skip the running test where no process can be started."""
    if count_processors() == 1 and not hasattr(os, "fork"):
        skip("needs several processes")


def skip_or_fail(test: unittest.TestCase, reason: str) -> NoReturn:
    """Skip *test* for a missing tool; in CI, where none may be missing, fail it."""
    if IN_CI:
        raise test.failureException(reason)
    skip(reason)


def _print_skipped() -> None:
    for reason, count in _skipped.items():
        sys.stderr.write(f"skipped {count}: {reason}\n")


class ShopCase(unittest.TestCase):
    """A test with a temporary folder, `self.folder`."""

    def setUp(self) -> None:
        """Make the folder."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()

    def succeed(self, main: Callable[[Sequence[str]], int], *arguments: object) -> Result:
        """Call *main*; fail unless it succeeds with nothing on stderr."""
        result = call(main, *arguments)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        return result

    def generate(self, *arguments: object) -> None:
        """Make a shop in the folder."""
        self.succeed(generate_data.main, "--generate", "--out-dir", self.folder, *arguments)

    def copy_sample(self, *plan: str) -> None:
        """Put the CSV files and the manifest of the `sample_shop` into the folder."""
        sample = sample_shop(*plan)
        for path in [*sample.glob("*.csv"), sample / "datapackage.json"]:
            if path.name != "query_result.csv":
                shutil.copy(path, self.folder)

    @property
    def database(self) -> Path:
        """Return the path of the folder's database."""
        return self.folder / "shop.db"

    def ingest(self, *arguments: object) -> Result:
        """Load the folder's files into its database."""
        return call(
            ingest.main,
            "--ingest",
            "--data-dir",
            self.folder,
            "--database",
            self.database,
            *arguments,
        )

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of *sql* on the folder's database."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def edit_line(self, name: str, number: int, edit: Callable[[str], str]) -> None:
        """Replace line *number* (1 is the header) of the folder's file *name*."""
        path = self.folder / name
        lines = path.read_bytes().decode("utf-8").split("\n")
        lines[number - 1] = edit(lines[number - 1])
        path.write_bytes("\n".join(lines).encode("utf-8"))


def make_once(name: str, fill: Callable[[Path], None]) -> Path:
    """Return a folder that *fill* fills, once for all processes of a parallel run.

    A process that needs the folder *name* while another one fills it waits.
    """
    if shared_dir is None:
        alone = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, alone, ignore_errors=True)
        fill(alone)
        return alone
    folder, claim = shared_dir / name, shared_dir / f"{name}.claim"
    while not folder.exists():
        try:
            claim.mkdir()
        except FileExistsError:
            time.sleep(0.05)
            continue
        try:
            unfinished = Path(tempfile.mkdtemp(dir=shared_dir))
            fill(unfinished)
            unfinished.rename(folder)
        except BaseException:
            claim.rmdir()
            raise
    return folder


@cache
def sample_shop(*plan: str) -> Path:
    """Return a folder with all outputs for a small shop, made once; do not change it.

    *plan* are options of the generator, instead of `SAMPLE_USERS` in two years.
    """
    plan = plan or ("--users", str(SAMPLE_USERS))
    return make_once(f"sample {' '.join(plan)}", partial(_make_sample, plan))


def _make_sample(plan: Sequence[str], folder: Path) -> None:
    """Generate, load, report on and query the shop of *plan* in *folder*."""
    steps: list[tuple[Callable[[Sequence[str]], int], list[object]]] = [
        (generate_data.main, ["--generate", *plan, "--out-dir", folder]),
        (
            ingest.main,
            [
                "--ingest",
                "--report",
                "--data-dir",
                folder,
                "--database",
                folder / "shop.db",
                "--out-dir",
                folder,
            ],
        ),
        (run_query.main, ["--database", folder / "shop.db", "--out-dir", folder]),
    ]
    for main, arguments in steps:
        result = call(main, *arguments)
        if result.status != 0:
            raise AssertionError(result)
