"""Mutated CSV files and signals at random times never end in a traceback.

Each case is drawn by a fixed random seed, so a failure can be repeated.  CI runs more of
them than a user's run does.  `tests/test_mutated_documents.py` does the same for the other
documents that a command reads, and `tests/test_database.py` for damaged databases.
"""

from __future__ import annotations

import csv
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import ingest
import run_query
from tests.fault_case import FaultCase
from tests.support import (
    IN_CI,
    ROOT,
    Result,
    ShopCase,
    call,
    read_tree,
    sample_shop,
    skip,
    skip_on_windows,
)
from utils.contract import read_contract

# Text that readers of CSV, numbers, dates and terminals often take for something else.
FRAGMENTS = [
    b"\0",
    b"\r",
    b"\r\n",
    b"\n\n",
    b'"',
    b'""',
    b'"\n',
    b",",
    b";",
    b"\t",
    b"\\",
    b"#",
    b" ",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\x1b[31m",
    b"\x7f",
    "\u202e\u200b\u00a0\u2028".encode(),
    b"-1",
    b"+1",
    b"007",
    b"1.0",
    b"1e5",
    b"1_000",
    b"9223372036854775807",
    b"9223372036854775808",
    b"9" * 400,
    b"NaN",
    b"NULL",
    b"=1+1",
    b"0000-01-01T00:00:00Z",
    b"2024-02-30T00:00:00Z",
    b"9999-12-31T23:59:59Z",
    b"2024-01-01T00:00:00+01:00",
    "٣".encode(),
]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return *data* with one to three changes of a few bytes to some lines."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        data = chance.choice(MUTATIONS)(data, chance)
    return data


def _draw_range(data: bytes, chance: random.Random) -> tuple[int, int]:
    """Return the ends of a range of *data*, most often a short one."""
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((0, 1, 1, 2, 8, 60)))


def _insert(data: bytes, chance: random.Random) -> bytes:
    start, end = _draw_range(data, chance)
    return data[:start] + chance.choice(FRAGMENTS) + data[end:]


def _replace_cell(data: bytes, chance: random.Random) -> bytes:
    ends = [found.start() for found in re.finditer(rb"[,\n]", data)]
    if len(ends) < 2:
        return data
    at = chance.randrange(len(ends) - 1)
    return data[: ends[at] + 1] + chance.choice(FRAGMENTS) + data[ends[at + 1] :]


def _delete(data: bytes, chance: random.Random) -> bytes:
    start, end = _draw_range(data, chance)
    return data[:start] + data[end:]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start, end = _draw_range(data, chance)
    return data[:end] + data[start:]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data or b"x")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _swap_lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    _insert,
    _replace_cell,
    _replace_cell,
    _delete,
    _repeat,
    _flip,
    _cut,
    _swap_lines,
]


class CommandCase(ShopCase):
    """A test of many runs, of which none may end in a traceback."""

    def run_command(
        self, main: Callable[[Sequence[str]], int], *arguments: object
    ) -> Result:
        """Call *main*; fail unless it ends with 0 or 1 and printable lines."""
        result = call(main, *arguments)
        self.assertIn(result.status, (0, 1), result)
        # An error has its line, and no line moves the cursor or reorders other text.
        self.assertEqual("error: " in result.stderr, result.status == 1, result)
        for character in set(result.stdout + result.stderr) - {"\n"}:
            self.assertNotIn(unicodedata.category(character), ("Cc", "Cs"), result)
            self.assertNotIn(character, "\u202e\u2028", result)
        return result

    def report_and_query(self) -> None:
        """Report on the database, query it, and verify the results."""
        out = self.folder / "out"
        database = ["--database", self.database]
        self.run_command(ingest.main, "--report", *database, "--out-dir", out)
        self.run_command(run_query.main, "--no-forecast", *database, "--out-dir", out)
        folders = ["--data-dir", self.folder, "--out-dir", out]
        self.run_command(ingest.main, "--verify", *database, *folders)


class MutatedFiles(FaultCase, CommandCase):
    """Mutated CSV files are refused with a message, or loaded as they are."""

    def test_mutated_file_is_refused_in_words_or_stored_as_it_is(self) -> None:
        chance = random.Random(17)  # noqa: S311
        endings: Counter[int] = Counter()
        for number in range(600 if IN_CI else 30):
            self.write_all()
            name = chance.choice(read_contract().tables).name
            path = self.folder / f"{name}.csv"
            path.write_bytes(mutate(path.read_bytes(), chance))
            with self.subTest(number=number):
                self.database.unlink(missing_ok=True)
                load = ["--data-dir", self.folder, "--database", self.database]
                result = self.run_command(ingest.main, "--ingest", *load)
                endings[result.status] += 1
                self.assertEqual(self.database.exists(), result.status == 0)
                if result.status == 0:
                    self.require_same_rows(name, path)
                    self.report_and_query()
        self.assertGreater(endings[0], endings.total() // 20, endings)
        self.assertGreater(endings[1], endings.total() // 2, endings)

    def require_same_rows(self, table: str, path: Path) -> None:
        """Fail unless the database has the rows of the file, read by Python's reader."""
        with open(path, encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file)
        columns = ", ".join(f"CAST({name} AS TEXT)" for name in header)
        stored = self.query(f"SELECT {columns} FROM {table}")
        self.assertEqual(sorted(stored), sorted(map(tuple, rows)))


# Runs a script in a process that has written a line before it reads the script.  Ctrl-C
# ends it from then on, as from the first statement of the script, also where it was
# ignored.
START = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.argv = sys.argv[1:]
sys.path.insert(0, ".")
print(flush=True)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class RandomSignals(CommandCase):
    """A signal at any time ends a script with the status of that signal."""

    def test_signal_at_a_random_time_leaves_no_traceback_and_no_file(self) -> None:
        skip_on_windows("Windows has no such signals")
        if not IN_CI:
            skip("the signals at random times run in CI only: they take half a minute")
        chance = random.Random(29)  # noqa: S311
        self.copy_sample()
        shutil.copy(sample_shop() / "shop.db", self.database)
        out = ["--out-dir", self.folder / "out"]
        database = ["--database", self.database]
        commands: list[list[object]] = [
            ["generate_data.py", "--generate", "--users", "400", *out],
            ["ingest.py", "--ingest", "--data-dir", self.folder, *database],
            ["ingest.py", "--report", *database, *out],
            ["run_query.py", "--no-forecast", *database, *out],
        ]
        for number in range(48):
            command = commands[number % len(commands)]
            ending = chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
            with self.subTest(number=number, command=command[0], signal=ending):
                status, stderr = self.interrupt(command, ending, chance.uniform(0, 0.4))
                # It may be done before, or the signal comes before it has a handler.
                self.assertIn(status, (0, 128 + ending, -ending), stderr)
                self.assertNotIn("Traceback", stderr)
                leftovers = [name for name in read_tree(self.folder) if ".tmp" in name]
                self.assertEqual(leftovers, [])

    def interrupt(
        self, command: list[object], ending: signal.Signals, seconds: float
    ) -> tuple[int, str]:
        """Run *command*, send it *ending* after *seconds*; return status and stderr."""
        process = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, command)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(process.pid, ending)
        _, stderr = process.communicate(timeout=120)
        return process.returncode, stderr
