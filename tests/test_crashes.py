"""However an ingest ends, the database is the old one or the new one.

The sweeps let an ingest fail at its first step, then at its second, and so on to the end.
A step is a call into the system or into SQLite.  By default every few steps are tried, in
CI each of them.
"""

from __future__ import annotations

import errno
import io
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, redirect_stdout, suppress
from functools import cache, partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ClassVar, NamedTuple
from unittest import mock

import generate_data
import ingest
import run_query
from db.loading import second_process
from db.loading.swap import lock_database, lock_target, require_replaceable
from queries.customer_values import collect_values
from tests.support import (
    IN_CI,
    ROOT,
    SMALL_SAMPLE,
    Result,
    ShopCase,
    call,
    hash_folder,
    sample_shop,
    skip,
    skip_on_windows,
)
from tests.test_structure import list_modules
from utils.atomic_files import write_atomically
from utils.contract import SCHEMA_PATH, read_contract
from utils.database import create_empty_database, list_objects
from utils.helpers import DataError, print_safely
from utils.processes import add_progress

if sys.platform != "win32":
    import resource

# Calls whose effect can be seen from outside this process, or that wait for something.
STEPS = frozenset(
    [
        "chmod",
        "chown",
        "close",
        "connect",
        "execute",
        "executemany",
        "flock",
        "fsync",
        "listdir",
        "mkdir",
        "open",
        "readinto",
        "replace",
        "rmdir",
        "stat",
        "unlink",
    ]
)

# Calls that the system may refuse.
REFUSABLE = frozenset(
    ["chmod", "flock", "fsync", "listdir", "mkdir", "open", "readinto", "replace"]
)

# Calls with which a second process starts, before it does its work.
START = STEPS | {"_after_fork", "clear", "append", "getpid", "get_ident", "signal"}

STRIDE = 1 if IN_CI else 41


class Ending(NamedTuple):
    """The exit status of a run in its own process, and its stderr."""

    status: int
    stderr: str


def stop_coverage() -> None:
    """Stop measuring coverage in this process and in those that it starts.

    A process that is killed or that leaves by `os._exit` saves no coverage.  And the calls
    by which coverage starts in a second process would count as steps of the load.
    """
    sys.settrace(None)
    coverage = sys.modules.get("coverage.multiproc")
    if coverage is not None:
        BaseProcess._bootstrap = coverage.original_bootstrap  # type: ignore[attr-defined]


@cache
def load_two_shops(*plan: str) -> tuple[bytes, bytes, bytes]:
    """Return two loaded databases, the old and the new one, and the new `users.csv`.

    They are of the `sample_shop` of *plan*.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, databases = Path(name), []
        sample = sample_shop(*plan)
        for path in [*sample.glob("*.csv"), sample / "datapackage.json"]:
            shutil.copy(path, folder)
        users, database = folder / "users.csv", folder / "shop.db"
        for old, new in ((b"", b""), (b"202", b"201")):
            users.write_bytes(users.read_bytes().replace(old, new, 1))
            result = call(
                ingest.main, "--ingest", "--data-dir", folder, "--database", database
            )
            if result.status != 0:
                raise AssertionError(result)
            databases.append(database.read_bytes())
        if databases[0] == databases[1]:
            raise AssertionError("the databases do not differ")
        return databases[0], databases[1], users.read_bytes()


class CrashCase(ShopCase):
    """A test with a database loaded before, and files for another one."""

    plan: ClassVar[tuple[str, ...]] = SMALL_SAMPLE

    def setUp(self) -> None:
        """Copy the files and the new database; know the old one."""
        skip_on_windows("Windows has no fork")
        super().setUp()
        self.old, self.new, users = load_two_shops(*self.plan)
        self.copy_sample(*self.plan)
        (self.folder / "users.csv").write_bytes(users)
        self.database.write_bytes(self.new)
        self.inputs = set(os.listdir(self.folder))
        self.seen: Counter[str] = Counter()

    def restore(self) -> None:
        """Put the old database back."""
        self.database.write_bytes(self.old)

    def run_apart(
        self,
        prepare: Callable[[], object],
        main: Callable[[Sequence[str]], int] = ingest.main,
        arguments: Sequence[str] | None = None,
    ) -> Ending:
        """Run *main*, by default an ingest, in a process that first calls *prepare*."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - the end of this process is the point of it
            status = 99
            with suppress(BaseException):
                stop_coverage()
                sys.stdout = sys.stderr = os.fdopen(writing, "w", encoding="utf-8")
                # The parent may ignore them, as under nohup.
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                prepare()
                status = main(arguments or self.arguments())
                sys.setprofile(None)
            os._exit(status)
        os.close(writing)
        with open(reading, encoding="utf-8") as pipe:
            stderr = pipe.read()
        _, waited = os.waitpid(child, 0)
        return Ending(os.waitstatus_to_exitcode(waited), stderr)

    def arguments(self) -> list[str]:
        """Return the command line of an ingest of the folder."""
        return [
            "--ingest",
            "--quiet",
            "--data-dir",
            str(self.folder),
            "--database",
            str(self.database),
        ]

    def find_state(self, *, allow_files: bool = False) -> str:
        """Return whether the database is `old` or `new`; fail if it is neither.

        It must open read-only, and unless *allow_files* no other file may lie beside it.
        """
        found = self.database.read_bytes()
        state = {self.old: "old", self.new: "new"}.get(found, "neither")
        self.assertIn(state, ("old", "new"))
        self.seen[state] += 1
        with closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        ) as connection:
            self.assertEqual(connection.execute("PRAGMA quick_check").fetchall(), [("ok",)])
        if not allow_files:
            self.assertEqual(set(os.listdir(self.folder)), self.inputs)
        return state

    def assert_worker_lost(self, ending: Ending, program: str) -> None:
        """Fail unless *program* reports in one line that the system ended a worker."""
        self.assertEqual(ending.status, 1)
        self.assertRegex(
            ending.stderr,
            rf"\A{program}: error: a worker process was ended by the system, [^\n]+"
            r" Use fewer --workers.\n\Z",
        )

    def recover(self) -> None:
        """Check that another ingest succeeds and removes what was left."""
        result = self.ingest()
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual(self.database.read_bytes(), self.new)
        self.assertEqual(set(os.listdir(self.folder)), self.inputs)

    def report_points(self, what: str) -> None:
        """Print in CI how many points were tried, and what was found there."""
        total = self.seen.total()
        self.assertGreater(self.seen["old"], 0, self.seen)
        if IN_CI:
            self.assertGreater(self.seen["new"], 0, self.seen)
            sys.stderr.write(
                f"\n{what}: old or new {total} of {total}"
                f" ({self.seen['old']} old, {self.seen['new']} new)\n"
            )


def act_at_step(
    number: int,
    act: Callable[[], None],
    names: frozenset[str] = STEPS,
    *,
    is_second: bool = False,
) -> list[str]:
    """Call *act* before the step *number*, counted from 1, of this process.

    If *is_second* the steps of the process that it starts count instead, and not its own.
    Return a list that the names of the steps are put into.
    """
    steps: list[str] = []
    process = os.getpid()

    def watch(_frame: FrameType, event: str, function: Any) -> None:
        if event != "c_call" or (os.getpid() == process) is is_second:
            return
        # `str.replace` is no call into the system.
        if function.__name__ in names and not isinstance(function.__self__, str | bytes):
            steps.append(function.__name__)
            if len(steps) == number:
                act()

    sys.setprofile(watch)
    return steps


def act_at_line(number: int, act: Callable[[], None], code: CodeType | None = None) -> None:
    """Call *act* before the line *number*, counted from 1, that executes of *code*.

    Without *code*, count the lines of the project that this process executes.
    """
    lines = 0
    process = os.getpid()
    folders = tuple(str(ROOT / name) for name in ("db", "utils", "ingest.py"))

    def watch(frame: FrameType, event: str, _value: object) -> Any:
        nonlocal lines
        if code is None:
            is_counted = frame.f_code.co_filename.startswith(folders)
            is_counted = is_counted and os.getpid() == process
        else:
            is_counted = frame.f_code is code
        if not is_counted:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                act()
        return watch

    sys.settrace(watch)


def act_at_call(number: int, act: Callable[[], None], code: CodeType) -> None:
    """Call *act* at the call or return number *number*, counted from 1, in *code*.

    Unlike a trace function this one survives the start of a process under coverage.
    """
    events = 0

    def watch(frame: FrameType, _event: str, _value: object) -> None:
        nonlocal events
        if frame.f_code is code:
            events += 1
            if events == number:
                act()

    sys.setprofile(watch)


def send(number: int) -> None:
    """Send a signal to this process."""
    os.kill(os.getpid(), number)


def send_to_group(number: int) -> None:
    """Send a signal to all processes of the group of this one, then wait for it."""
    os.killpg(0, number)
    time.sleep(30)


def kill_parent(survived: Path, *_arguments: object) -> None:
    """Kill the parent of this process; create *survived* if this one is not ended too."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)
    survived.touch()


def send_soon(number: int) -> None:
    """Send a signal to this process after half a second; end it after a minute."""
    signal.alarm(60)
    threading.Timer(0.5, send, [number]).start()


def list_signal_endings(program: str) -> list[tuple[signal.Signals, Ending]]:
    """Return the signals that end *program*, and how it ends."""
    return [
        (number, Ending(128 + number, f"{program}: error: {word}\n"))
        for number, word in (
            (signal.SIGINT, "interrupted"),
            (signal.SIGTERM, "terminated"),
            (signal.SIGHUP, "terminated"),
        )
    ]


class IngestSteps(CrashCase):
    """The sweeps try what a load does: every kind of step in their lists occurs in one."""

    def test_each_kind_of_step_occurs_in_a_load(self) -> None:
        for is_refusable in (False, True):
            names = REFUSABLE if is_refusable else STEPS
            with self.subTest(is_refusable=is_refusable):
                # A new folder, so that one is made, and an old database.
                shutil.rmtree(self.folder / "new", ignore_errors=True)
                target = self.folder / "new" / "shop.db"
                found: set[str] = set()
                for _ in range(2):
                    steps = act_at_step(0, lambda: None, names)
                    try:
                        result = call(
                            ingest.main,
                            "--ingest",
                            "--data-dir",
                            self.folder,
                            "--database",
                            target,
                        )
                    finally:
                        sys.setprofile(None)
                    self.assertEqual(result.status, 0, result.stderr)
                    found |= set(steps)
                self.assertEqual(names - found, set())


class KilledIngest(CrashCase):
    """SIGKILL at the k-th step."""

    def sweep(self) -> int:
        """Kill at one step after the other; return how many steps there are."""
        number = 1
        while True:
            self.restore()
            ending = self.run_apart(
                partial(act_at_step, number, partial(send, signal.SIGKILL))
            )
            with self.subTest(step=number):
                if ending.status == 0:
                    return number
                self.assertEqual(ending, Ending(-signal.SIGKILL, ""))
                self.find_state(allow_files=True)
                self.recover()
            number += STRIDE

    def test_killed_load_leaves_the_old_database_or_the_new_one(self) -> None:
        self.assertGreater(self.sweep(), 50)
        self.report_points("SIGKILL")

    def test_killed_load_of_two_processes_leaves_the_old_database_or_the_new_one(
        self,
    ) -> None:
        with (
            mock.patch.object(second_process, "BYTES_FOR_TWO", 0),
            mock.patch.object(second_process, "count_processors", return_value=2),
        ):
            self.assertEqual(self.ingest().status, 0)
            self.new = self.database.read_bytes()
            with mock.patch(f"{__name__}.STRIDE", 3 if IN_CI else 29):
                self.assertGreater(self.sweep(), 50)
        self.report_points("SIGKILL of two processes")


class ConcurrentProcess(CrashCase):
    """The end of a second process is reported, and the old database stays."""

    # The second process loads two tables of this shop.
    plan = ()

    def setUp(self) -> None:
        """Divide every load between two processes."""
        super().setUp()
        for name, value in (("BYTES_FOR_TWO", 0), ("count_processors", lambda: 2)):
            patched = mock.patch.object(second_process, name, value)
            patched.start()
            self.addCleanup(patched.stop)
        self.assertEqual(self.ingest().status, 0)
        self.new = self.database.read_bytes()

    def test_kill_of_the_second_process_is_reported_and_keeps_the_old_database(
        self,
    ) -> None:
        number = 1
        while True:
            self.restore()
            kill = partial(send, signal.SIGKILL)
            ending = self.run_apart(partial(act_at_step, number, kill, is_second=True))
            if ending.status == 0:
                break
            with self.subTest(step=number):
                self.assertEqual(ending.status, 1)
                self.assertRegex(
                    ending.stderr, r"\Aingest: error: the second process of [^\n]+\n\Z"
                )
                self.assertEqual(self.find_state(), "old")
            number += 1 if IN_CI else 5
        self.assertGreater(number, 15)
        self.assertEqual(self.find_state(), "new")

    def test_second_process_killed_while_it_reports_progress_does_not_hang_the_load(
        self,
    ) -> None:
        def prepare(number: int) -> None:
            signal.alarm(60)
            kill = partial(send, signal.SIGKILL)
            act_at_call(number, kill, add_progress.__code__)

        for number in range(1, 5):
            self.restore()
            ending = self.run_apart(partial(prepare, number))
            with self.subTest(call=number):
                self.assertEqual(ending.status, 1)
                self.assertIn("the second process of the load was ended", ending.stderr)
                self.assertEqual(self.find_state(), "old")

    def test_fault_in_the_second_process_keeps_its_traceback(self) -> None:
        self.restore()
        with (
            mock.patch.object(second_process, "create_indexes", {}),
            self.assertRaises(TypeError) as caught,
        ):
            self.ingest()
        self.assertIn("in load_shard", "".join(caught.exception.__notes__))
        self.assertEqual(self.find_state(), "old")

    def test_second_process_that_gets_sighup_at_its_start_prints_nothing(self) -> None:
        def close_terminal() -> None:
            os.killpg(0, signal.SIGHUP)

        def prepare(number: int) -> None:
            os.setpgid(0, 0)
            act_at_step(number, close_terminal, START, is_second=True)

        for number in range(1, 14, 1 if IN_CI else 3):
            self.restore()
            ending = self.run_apart(partial(prepare, number))
            with self.subTest(step=number):
                self.assertEqual(ending, Ending(129, "ingest: error: terminated\n"))
                self.assertEqual(self.find_state(), "old")


class SignalAtEachStep(CrashCase):
    """SIGINT, SIGTERM and SIGHUP at the k-th step."""

    def test_signal_ends_the_run_with_its_status_and_leaves_no_files(self) -> None:
        for sent, ending in list_signal_endings("ingest"):
            with self.subTest(sent.name):
                self.seen.clear()
                self.sweep(sent, ending)
                self.report_points(sent.name)

    def sweep(self, sent: signal.Signals, expected: Ending) -> None:
        """Send the signal at one step after the other."""
        number = 1
        while True:
            self.restore()
            ending = self.run_apart(partial(act_at_step, number, partial(send, sent)))
            if ending.status == 0:
                self.assertEqual(self.find_state(), "new")
                return
            with self.subTest(step=number):
                self.assertEqual(ending, expected)
                self.find_state()
            number += STRIDE

    def test_second_signal_does_not_interrupt_the_clean_up(self) -> None:
        def send_twice() -> None:
            send(signal.SIGTERM)
            send(signal.SIGINT)

        self.restore()
        # Of two that come while signals are held, the system delivers either one first.
        for step in range(40, 80, 1 if IN_CI else 7):
            self.restore()
            ending = self.run_apart(partial(act_at_step, step, send_twice))
            with self.subTest(step=step):
                self.assertIn(ending.status, (130, 143))
                self.find_state()

    def test_signal_at_a_random_line_ends_a_load_of_one_or_two_processes(self) -> None:
        chance = random.Random(17)  # noqa: S311
        for _ in range(100 if IN_CI else 4):
            # Before these lines the handlers are not set, after them the load has ended.
            line = chance.randrange(20, 4000)
            for size in (0, 1 << 30):
                self.restore()
                with (
                    self.subTest(line=line, size=size),
                    mock.patch.object(second_process, "BYTES_FOR_TWO", size),
                    mock.patch.object(second_process, "count_processors", lambda: 2),
                ):
                    self.assert_terminated(
                        partial(act_at_line, line, partial(send, signal.SIGTERM))
                    )

    def assert_terminated(self, prepare: Callable[[], object]) -> None:
        """Fail unless a load after *prepare* is terminated and leaves no file."""
        ending = self.run_apart(prepare)
        self.assertEqual(ending, Ending(143, "ingest: error: terminated\n"))
        self.assertEqual(set(os.listdir(self.folder)), self.inputs)

    def test_two_signals_at_once_end_the_run_as_one_does(self) -> None:
        def send_both() -> None:
            both = [signal.SIGTERM, signal.SIGINT]
            # The run may have blocked them by itself.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, both)
            for number in both:
                send(number)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        for step in range(40, 80, 1 if IN_CI else 7):
            self.restore()
            ending = self.run_apart(partial(act_at_step, step, send_both))
            with self.subTest(step=step):
                self.assertIn(ending, [each for _, each in list_signal_endings("ingest")])
                self.find_state()


class SignalDuringResults(CrashCase):
    """A signal at any step of another command leaves the old files or the new ones."""

    def test_signal_ends_the_command_with_its_status_and_keeps_complete_files(self) -> None:
        chance = random.Random(4)  # noqa: S311
        databases = [self.folder / "new.db", self.folder / "old.db"]
        for path, content in zip(databases, (self.new, self.old), strict=True):
            path.write_bytes(content)
        generate = ["--generate", "--users", "20", "--end", "2024-03-31", "--seed"]
        for program, main, lines in (
            ("generate_data", generate_data.main, [[*generate, seed] for seed in "12"]),
            ("ingest", ingest.main, [["--report", "--database", p] for p in databases]),
            (
                "run_query",
                run_query.main,
                [["--no-forecast", "--database", p] for p in databases],
            ),
        ):
            out_dir = self.folder / program
            new, old = ([*map(str, line), "--out-dir", str(out_dir)] for line in lines)
            files = []
            for line in (new, old):
                self.assertEqual(call(main, *line).status, 0)
                files.append(hash_folder(out_dir))
            count = self.count_steps(main, old)
            for sent, expected in list_signal_endings(program)[:: 1 if IN_CI else 2]:
                for step in chance.sample(range(1, count), 10 if IN_CI else 1):
                    with self.subTest(program, sent=sent.name, step=step):
                        prepare = partial(act_at_step, step, partial(send, sent))
                        ending = self.run_apart(prepare, main, new)
                        self.assertEqual(ending.status, expected.status)
                        # After the results themselves, if they have been printed.
                        self.assertTrue(ending.stderr.endswith(expected.stderr), ending)
                        self.assertNotIn("Traceback", ending.stderr)
                        self.assertIn(hash_folder(out_dir), files)

    def test_signal_while_the_scratch_folder_is_removed_leaves_no_file(self) -> None:
        out_dir = self.folder / "out"
        line = ["--generate", "--users", "20", "--end", "2024-01-31"]
        line += ["--out-dir", str(out_dir)]
        self.succeed(generate_data.main, *line)
        files = hash_folder(out_dir)
        removals = frozenset({"unlink", "rmdir"})
        for number in range(1, 4):
            terminate = partial(act_at_step, number, partial(send, signal.SIGTERM))
            ending = self.run_apart(partial(terminate, removals), generate_data.main, line)
            with self.subTest(removal=number):
                self.assertEqual(ending.status, 143)
                self.assertEqual(hash_folder(out_dir), files)

    def test_signal_while_rows_or_verifications_are_printed_gives_one_line(self) -> None:
        folder, database = str(self.folder), ["--database", str(self.database)]
        verify = ["--verify", "--data-dir", folder, "--out-dir", folder]
        for option, function in (
            (["--rows", "files_rows_in_table"], ingest.print_rows),
            (verify, ingest.run_verification),
        ):
            for line in range(1, 20, 1 if IN_CI else 6):
                prepare = partial(
                    act_at_line, line, partial(send, signal.SIGTERM), function.__code__
                )
                ending = self.run_apart(prepare, ingest.main, [*option, *database])
                with self.subTest(option[0], line=line):
                    self.assertNotIn("Traceback", ending.stderr)
                    if ending.status != 0:
                        self.assertEqual(ending.status, 143)
                        self.assertTrue(
                            ending.stderr.endswith("ingest: error: terminated\n")
                        )

    @staticmethod
    def count_steps(main: Callable[[Sequence[str]], int], line: Sequence[str]) -> int:
        """Return the number of steps of the command *line*."""
        try:
            steps = act_at_step(0, lambda: None)
            call(main, *line)
        finally:
            sys.setprofile(None)
        return len(steps)


class SignalInFinalizer(unittest.TestCase):
    """A signal that arrives while Python finalizes an object is not lost."""

    CODE = """
import signal
from utils.signals import SignalReceived, raise_on_signals
class Sender:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
try:
    with raise_on_signals():
        Sender()
except SignalReceived as received:
    print(received.status)
"""

    def test_signal_in_a_finalizer_prints_no_traceback_and_ends_the_run(self) -> None:
        finished = subprocess.run(
            [sys.executable, "-c", self.CODE],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        self.assertEqual((finished.stdout, finished.stderr), ("143\n", ""))


class InterruptedImport(ShopCase):
    """Ctrl-C during the imports of a script gives no traceback."""

    CODE = """
import os, runpy, signal, sys
_, module, *sys.argv = sys.argv
class Finder:
    def find_spec(name, *_):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
runpy.run_path(sys.argv[0], run_name="__main__")
"""

    def test_ctrl_c_during_an_import_leaves_no_traceback(self) -> None:
        skip_on_windows("Windows cannot send SIGINT to a process")
        for script, modules in {
            "generate_data": ["argparse", "utils.signals", "data_generation.generate_data"],
            "ingest": ["argparse", "utils.signals", "db.ingest", "db.loading.loader"],
            "run_query": ["argparse", "utils.signals", "queries.run_query"],
            "serve_frontend": ["utils.signals", "frontend.server", "http.server"],
        }.items():
            for module in modules if IN_CI else modules[-1:]:
                with self.subTest(script, module=module):
                    self.interrupt(script, module)

    def interrupt(self, script: str, module: str) -> None:
        """Send Ctrl-C when *script* imports *module*; fail unless it ends in order."""
        folders = {"serve_frontend": "--results-dir", "ingest": "--data-dir"}
        options = [folders.get(script, "--out-dir"), str(self.folder)]
        actions = {"generate_data": "--generate", "ingest": "--check"}
        options += filter(None, [actions.get(script)])
        finished = subprocess.run(
            [sys.executable, "-c", self.CODE, module, f"{script}.py", *options],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        endings = {(-signal.SIGINT, ""), (130, f"{script}: error: interrupted\n")}
        if script == "serve_frontend":
            endings.add((0, ""))
        self.assertIn((finished.returncode, finished.stderr), endings)
        self.assertEqual(os.listdir(self.folder), [])


class LongStatement(CrashCase):
    """A signal ends the run also while SQLite executes a statement."""

    ENDLESS = (
        "WITH RECURSIVE numbers (n) AS ("
        " SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
        ") SELECT COUNT(*) AS cohort_month FROM numbers"
    )

    def write(self, text: str) -> str:
        """Write *text* to a file; return its path."""
        path = self.folder / "endless.sql"
        path.write_text(text, encoding="utf-8")
        self.inputs |= {path.name}
        return str(path)

    def query_arguments(self, *arguments: str) -> list[str]:
        """Return the command line of a query."""
        out_dir = str(self.folder / "out")
        place = ["--database", str(self.database), "--out-dir", out_dir]
        return ["--no-forecast", *place, *arguments]

    def test_every_connection_ends_its_statements_at_a_signal(self) -> None:
        opened = [
            name
            for name in list_modules()
            if "sqlite3.connect(" in (ROOT / name).read_text(encoding="utf-8")
        ]
        self.assertEqual(opened, ["utils/connections.py"])

    def test_signal_ends_an_endless_query(self) -> None:
        arguments = self.query_arguments("--query", self.write(self.ENDLESS))
        for sent, expected in list_signal_endings("run_query")[:: 1 if IN_CI else 3]:
            with self.subTest(sent.name):
                ending = self.run_apart(partial(send_soon, sent), run_query.main, arguments)
                self.assertEqual(ending, expected)

    def test_signal_ends_an_endless_schema(self) -> None:
        schema = SCHEMA_PATH.read_text(encoding="utf-8")
        path = self.write(f"{schema}CREATE TABLE counts AS {self.ENDLESS};")
        arguments = [*self.arguments(), "--schema", path]
        for sent, expected in list_signal_endings("ingest")[:: 1 if IN_CI else 3]:
            with self.subTest(sent.name):
                self.restore()
                ending = self.run_apart(partial(send_soon, sent), ingest.main, arguments)
                self.assertEqual(ending, expected)
                self.assertEqual(self.find_state(), "old")

    def test_signal_while_values_are_fetched_is_not_reported_as_a_lock(self) -> None:
        for sent, expected in list_signal_endings("run_query")[:: 1 if IN_CI else 3]:
            for line in range(1, 12, 1 if IN_CI else 3):
                prepare = partial(
                    act_at_line, line, partial(send, sent), collect_values.__code__
                )
                ending = self.run_apart(prepare, run_query.main, self.query_arguments())
                with self.subTest(sent.name, line=line):
                    self.assertEqual(ending, expected)


class WorkersCase(CrashCase):
    """A test of a command whose results exist already, made from other data."""

    def write_old_results(
        self, main: Callable[[Sequence[str]], int], *arguments: str
    ) -> None:
        """Write the results of one process; then put others in their place."""
        self.main, self.out_dir = main, self.folder / "out"
        self.line = [*arguments, "--database", str(self.database)]
        self.line += ["--out-dir", str(self.out_dir)]
        self.assertEqual(call(main, *self.line, "--workers", 1).status, 0)
        self.new_results = hash_folder(self.out_dir)
        for path in self.out_dir.iterdir():
            path.write_bytes(b"old")
        self.old_results = hash_folder(self.out_dir)

    def sweep_parent(self, program: str, threshold: str, steps: range) -> None:
        """Send a signal to the parent of two workers at each of *steps*.

        *threshold* is the number below which *program* starts no worker.
        """

        def prepare(number: int, sent: int) -> None:
            mock.patch(threshold, 1).start()
            act_at_step(number, partial(send, sent))

        endings = list_signal_endings(program)
        line = [*self.line, "--workers", "2"]
        for number in steps:
            sent, expected = endings[number % len(endings)]
            with self.subTest(sent.name, step=number):
                ending = self.run_apart(partial(prepare, number, sent), self.main, line)
                if ending.status == 0:
                    break
                self.assertEqual(ending.status, expected.status)
                self.assertTrue(ending.stderr.endswith(expected.stderr), ending)
                self.assertNotIn("Traceback", ending.stderr)
                self.assertIn(
                    hash_folder(self.out_dir), (self.old_results, self.new_results)
                )
        self.assertEqual(hash_folder(self.out_dir), self.new_results)


class QueryWorkers(WorkersCase):
    """However a query of several processes ends, its files are the old ones or the new."""

    def setUp(self) -> None:
        """Let there be old results."""
        super().setUp()
        self.write_old_results(run_query.main, "--no-forecast")

    def run_workers(self, act: Callable[[], object], name: str) -> Ending:
        """Run the query in two workers, one of which calls *act* instead of *name*."""

        def prepare() -> None:
            os.setpgid(0, 0)
            signal.alarm(60)
            mock.patch("queries.reading.BYTES_PER_WORKER", 1).start()
            mock.patch(f"queries.reading.{name}", lambda *_, **__: act()).start()

        return self.run_apart(prepare, run_query.main, [*self.line, "--workers", "2"])

    def test_killed_worker_is_reported_and_keeps_the_old_files(self) -> None:
        names = ("run_cohort_query", "require_types", "sum_tables", "describe_file")
        for name in names if IN_CI else names[:1]:
            with self.subTest(name):
                ending = self.run_workers(partial(send, signal.SIGKILL), name)
                self.assert_worker_lost(ending, "run_query")
                self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_killed_run_leaves_no_worker_and_the_old_files(self) -> None:
        survived = self.folder / "survived"

        # `run_apart` returns when all processes have closed the stream of errors.
        ending = self.run_workers(partial(kill_parent, survived), "run_cohort_query")
        self.assertEqual(ending, Ending(-signal.SIGKILL, ""))
        self.assertFalse(survived.exists())
        self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_signal_to_all_processes_ends_them_with_one_line(self) -> None:
        for sent, expected in list_signal_endings("run_query")[:: 1 if IN_CI else 3]:
            with self.subTest(sent.name):
                ending = self.run_workers(partial(send_to_group, sent), "run_cohort_query")
                self.assertEqual(ending, expected)
                self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_signal_at_any_step_of_the_parent_keeps_complete_files(self) -> None:
        steps = range(1, 400, 1 if IN_CI else 67)
        self.sweep_parent("run_query", "queries.reading.BYTES_PER_WORKER", steps)


class ForecastProcessesEnd(CrashCase):
    """However a forecast by several processes ends, its files are the old or the new."""

    def setUp(self) -> None:
        """Put old results into the folder."""
        super().setUp()
        self.out_dir = self.folder / "out"
        self.out_dir.mkdir()
        for name in ("query_result.csv", "query_result.json"):
            (self.out_dir / name).write_bytes(b"old")
        self.old_results = hash_folder(self.out_dir)

    def run_workers(self, act: Callable[[], object], *names: str) -> Ending:
        """Forecast in two workers, one of which calls *act* instead of one of *names*."""
        # Made here, not in the process of the run.
        database = sample_shop() / "shop.db"

        def prepare() -> None:
            os.setpgid(0, 0)
            signal.alarm(60)
            mock.patch("queries.forecast.forecast.PURCHASES_PER_WORKER", 1).start()
            for name in names:
                mock.patch(f"queries.forecast.{name}", lambda *_, **__: act()).start()

        arguments = ["--database", str(database), "--out-dir", str(self.out_dir)]
        return self.run_apart(
            prepare, run_query.main, [*arguments, "--workers", "2", "--forecast"]
        )

    def test_killed_worker_is_reported_and_not_a_refusal(self) -> None:
        names = (
            "fitting.fit_with_clock",
            "fitting.fit_spending",
            "holdout.count_holdout_days",
        )
        for name in names if IN_CI else names[-1:]:
            with self.subTest(name):
                ending = self.run_workers(partial(send, signal.SIGKILL), name)
                self.assert_worker_lost(ending, "run_query")
                self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_killed_run_leaves_no_worker_and_the_old_files(self) -> None:
        survived = self.folder / "survived"

        names = ("fitting.fit_with_clock", "holdout.count_holdout_days")
        for name in names if IN_CI else names[:1]:
            with self.subTest(name):
                # `run_apart` returns when all processes have closed the stream of errors.
                ending = self.run_workers(partial(kill_parent, survived), name)
                self.assertEqual(ending, Ending(-signal.SIGKILL, ""))
                self.assertFalse(survived.exists())
                self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_signal_to_all_processes_ends_them_with_one_line(self) -> None:
        for sent, expected in list_signal_endings("run_query")[:: 1 if IN_CI else 3]:
            with self.subTest(sent.name):
                ending = self.run_workers(
                    partial(send_to_group, sent), "fitting.fit_with_clock"
                )
                self.assertEqual(ending, expected)
                self.assertEqual(hash_folder(self.out_dir), self.old_results)


class ReportWorkers(WorkersCase):
    """However a report of several processes ends, its files are the old ones or the new."""

    def setUp(self) -> None:
        """Let there be old results."""
        super().setUp()
        self.write_old_results(ingest.main, "--report")

    def run_workers(
        self, act: Callable[..., object], name: str, *, at_start: Callable[[], object] = int
    ) -> Ending:
        """Report in two workers, which call *act* instead of *name*."""

        def prepare() -> None:
            os.setpgid(0, 0)
            signal.alarm(60)
            mock.patch("db.reporting.report.BYTES_PER_WORKER", 1).start()
            mock.patch(f"db.reporting.report.{name}", act).start()
            at_start()

        return self.run_apart(prepare, ingest.main, [*self.line, "--workers", "2"])

    def test_killed_worker_is_reported_and_keeps_the_old_files(self) -> None:
        names = ("collect_findings", "execute_query")
        for name in names if IN_CI else names[:1]:
            with self.subTest(name):
                ending = self.run_workers(lambda *_: send(signal.SIGKILL), name)
                self.assert_worker_lost(ending, "ingest")
                self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_killed_run_leaves_no_worker_and_the_old_files(self) -> None:
        survived = self.folder / "survived"

        # `run_apart` returns when all processes have closed the stream of errors.
        ending = self.run_workers(partial(kill_parent, survived), "collect_findings")
        self.assertEqual(ending, Ending(-signal.SIGKILL, ""))
        self.assertFalse(survived.exists())
        self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_signal_ends_endless_statements_of_all_workers(self) -> None:
        def never_end(connection: sqlite3.Connection, _query: object) -> None:
            connection.execute(LongStatement.ENDLESS).fetchall()

        def send_to_all(connection: sqlite3.Connection, query: object) -> None:
            os.killpg(0, number)
            never_end(connection, query)

        for sent, expected in list_signal_endings("ingest")[:: 1 if IN_CI else 3]:
            number = int(sent)
            with self.subTest(sent.name):
                alone = self.run_workers(
                    never_end, "execute_query", at_start=partial(send_soon, sent)
                )
                self.assertEqual(alone, expected)
                self.assertEqual(self.run_workers(send_to_all, "execute_query"), expected)
                self.assertEqual(hash_folder(self.out_dir), self.old_results)

    def test_signal_at_any_step_of_the_parent_keeps_complete_files(self) -> None:
        steps = range(1, 1_000, 1 if IN_CI else 149)
        self.sweep_parent("ingest", "db.reporting.report.BYTES_PER_WORKER", steps)


class RefusedSystemCall(CrashCase):
    """The k-th call that the system may refuse is refused."""

    def test_call_that_the_system_refuses_gives_one_line(self) -> None:
        for code in (errno.ENOSPC, errno.EIO, errno.EACCES):
            with self.subTest(errno.errorcode[code]):
                self.seen.clear()
                self.sweep(code)
                self.report_points(errno.errorcode[code])

    def sweep(self, code: int) -> None:
        """Refuse one call after the other."""

        def refuse() -> None:
            raise OSError(code, os.strerror(code))

        number = 1
        while True:
            self.restore()
            steps: list[str] = []
            try:
                steps = act_at_step(number, refuse, REFUSABLE)
                result = self.ingest()
            finally:
                sys.setprofile(None)
            with self.subTest(step=number, call=steps[-1]):
                state = self.find_state()
                if len(steps) < number:
                    self.assertEqual((result.status, state), (0, "new"))
                    return
                self.check(result, state)
            number += STRIDE

    def check(self, result: Result, state: str) -> None:
        """Fail unless the message matches the state of the database."""
        self.assertNotIn("Traceback", result.stderr)
        if result.status == 0:
            self.assertEqual(state, "new")
            return
        self.assertEqual(result.status, 1)
        self.assertRegex(result.stderr, r"\Aingest: error: [^\n]+\n\Z")
        if "left as it is" in result.stderr:
            self.assertEqual(state, "old")
        if state == "new":
            self.assertIn("is the new database, but its folder", result.stderr)


class FullDisk(CrashCase):
    """The k-th page no longer fits on the disk."""

    def test_full_disk_keeps_the_old_database_and_is_reported(self) -> None:
        page = 4096
        for size in range(0, len(self.new) + page, page * STRIDE):
            with self.subTest(size=size):
                self.restore()
                ending = self.run_apart(partial(self.limit, size))
                state = self.find_state()
                if size < len(self.new):
                    self.assertEqual((ending.status, state), (1, "old"))
                    self.assertRegex(ending.stderr, r"\Aingest: error: [^\n]+\n\Z")
                    self.assertIn("left as it is", ending.stderr)
        self.restore()
        self.assertEqual(self.run_apart(partial(self.limit, 1 << 30)).status, 0)
        self.assertEqual(self.find_state(), "new")
        self.report_points("disk full")

    @staticmethod
    def limit(size: int) -> None:
        """Limit every file of this process to *size* bytes."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class ReplacedDatabase(CrashCase):
    """Files beside the old database do not damage the new one and are not lost."""

    def die_writing(self, mode: str) -> None:
        """Change the old database in a process that is killed during the change."""
        self.restore()

        def write() -> None:
            connection = sqlite3.connect(self.database, isolation_level=None)
            connection.execute(f"PRAGMA journal_mode = {mode}")
            # So small a cache that changed pages go to the file before the end.
            connection.execute("PRAGMA cache_size = 1")
            connection.execute("BEGIN")
            connection.execute("UPDATE payments SET amount_cents = 1")
            connection.execute("UPDATE users SET city = 'Elsewhere'")
            if mode == "WAL":
                connection.execute("COMMIT")
            send(signal.SIGKILL)

        self.assertEqual(self.run_apart(write).status, -signal.SIGKILL)

    def test_unfinished_change_is_rolled_back_and_the_database_replaced(self) -> None:
        self.die_writing("DELETE")
        self.assertTrue((self.folder / "shop.db-journal").exists())
        self.recover()
        self.find_state()

    def test_leftover_log_is_applied_and_the_database_replaced(self) -> None:
        self.die_writing("WAL")
        self.assertTrue((self.folder / "shop.db-wal").exists())
        self.recover()
        self.find_state()

    def test_leftover_journal_still_restores_the_database_after_rejected_input(
        self,
    ) -> None:
        self.die_writing("DELETE")
        with open(self.folder / "users.csv", "a", encoding="utf-8") as file:
            file.write("x\n")
        self.assertEqual(self.ingest().status, 1)
        with closing(sqlite3.connect(self.database)) as connection:
            cities = connection.execute("SELECT 1 FROM users WHERE city = 'Elsewhere'")
            self.assertEqual(cities.fetchall(), [])
        self.assertEqual(self.find_state(), "old")

    def test_database_read_in_wal_mode_is_kept_and_the_lock_is_named(self) -> None:
        self.restore()
        with closing(sqlite3.connect(self.database, isolation_level=None)) as reader:
            reader.execute("PRAGMA journal_mode = WAL")
            reader.execute("BEGIN")
            before = reader.execute("SELECT COUNT(*), MAX(signed_up_at) FROM users")
            expected = before.fetchall()
            with mock.patch("db.loading.swap.LOCK_TIMEOUT", 0.05):
                result = self.ingest()
            self.assertEqual(result.status, 1)
            self.assertIn("shop.db: cannot be replaced: database is locked", result.stderr)
            again = reader.execute("SELECT COUNT(*), MAX(signed_up_at) FROM users")
            self.assertEqual(again.fetchall(), expected)
        self.recover()

    def test_damaged_database_is_kept_or_replaced_without_a_traceback(self) -> None:
        for start in (16, 100, 4096, 20_000):
            with self.subTest(start):
                damaged = bytearray(self.old)
                damaged[start : start + 2000] = b"\xa5" * 2000
                self.database.write_bytes(damaged)
                result = self.ingest()
                self.assertNotIn("Traceback", result.stderr)
                found = self.database.read_bytes()
                self.assertEqual(found, damaged if result.status else self.new)


class ForeignDatabase(CrashCase):
    """A database with content that no load made is not replaced."""

    def make(self, script: str, *, mode: str = "DELETE") -> bytes:
        """Put a database made by *script* in the old one's place; return its bytes."""
        self.database.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            connection.executescript(script)
        return self.database.read_bytes()

    def refuse(self, words: str) -> None:
        """Check that a load and a check both refuse it and leave it unchanged."""
        before = self.database.read_bytes()
        for step in ("--ingest", "--check"):
            result = call(
                ingest.main, step, "--data-dir", self.folder, "--database", self.database
            )
            self.assertEqual((result.status, result.stdout), (1, ""), result)
            self.assertRegex(
                result.stderr, r"\Aingest: error: \S+shop.db: holds [^\n]+\n\Z"
            )
            self.assertIn(words, result.stderr)
            self.assertEqual(self.database.read_bytes(), before)
            self.assertEqual(set(os.listdir(self.folder)), self.inputs)

    def test_database_of_other_origin_is_kept_whatever_it_holds(self) -> None:
        for script, words in (
            ("CREATE VIEW recipes AS SELECT 1", "what no load made (view recipes)"),
            ("PRAGMA user_version = 7", "what no load made (a user_version)"),
            ("PRAGMA application_id = 7", "what no load made (a application_id)"),
            ("CREATE TABLE submission_meta (x)", "other tables (submission_meta)"),
            (
                "CREATE TABLE submission_meta (subject, property, value)",
                "other tables (submission_meta)",
            ),
            ("CREATE TABLE users (wish)", "other tables (users)"),
        ):
            with self.subTest(script):
                self.make(script)
                self.refuse(words)

    def test_database_of_other_origin_keeps_its_log_in_wal_mode(self) -> None:
        self.make("CREATE TABLE recipes (name TEXT)", mode="WAL")
        self.refuse("other tables (recipes)")

        def write() -> None:
            connection = sqlite3.connect(self.database, isolation_level=None)
            connection.execute("INSERT INTO recipes VALUES ('pie')")
            send(signal.SIGKILL)

        self.run_apart(write)
        before = self.database.read_bytes()
        log = self.folder / "shop.db-wal"
        kept = log.read_bytes()
        result = self.ingest()
        self.assertIn("holds other tables (recipes), so it was left", result.stderr)
        self.assertEqual((self.database.read_bytes(), log.read_bytes()), (before, kept))

    def test_table_view_or_trigger_of_the_user_prevents_the_swap(self) -> None:
        for script, words in (
            ("CREATE TABLE notes (note TEXT)", "what no load made (table notes)"),
            ("CREATE VIEW rich AS SELECT 1", "what no load made (view rich)"),
            (
                "CREATE TRIGGER log AFTER INSERT ON users BEGIN SELECT 1; END",
                "what no load made (trigger log)",
            ),
        ):
            with self.subTest(script):
                self.restore()
                with closing(sqlite3.connect(self.database)) as connection:
                    connection.execute(script)
                self.refuse(words)

    def test_additional_index_or_statistics_do_not_prevent_the_swap(self) -> None:
        self.restore()
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("CREATE INDEX mine ON users (city)")
            connection.execute("ANALYZE")
        self.recover()

    def test_database_of_a_load_under_another_schema_is_replaced(self) -> None:
        schema = self.folder / "other.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        schema.write_text(f"{text}CREATE VIEW rich AS SELECT 1;", encoding="utf-8")
        self.assertEqual(self.ingest("--schema", schema).status, 0)
        contract = read_contract(schema)
        schema.unlink()
        require_replaceable(self.database, contract)
        with closing(create_empty_database(contract)) as model:
            ours = list_objects(model)
        with lock_database(self.database, ours):
            pass
        # Of this one the new database would have no view.
        with self.assertRaisesRegex(DataError, "no load made .view rich."):
            require_replaceable(self.database)

    def test_circle_of_links_is_named(self) -> None:
        self.database.unlink()
        other = self.folder / "other.db"
        other.symlink_to(self.database)
        self.database.symlink_to(other)
        result = self.ingest()
        self.assertEqual(result.status, 1)
        self.assertIn("shop.db: is a link to nothing", result.stderr)
        self.assertTrue(self.database.is_symlink() and other.is_symlink())


class RefusedSwap(CrashCase):
    """A refused swap is reported with a remedy, and the old database stays as it was."""

    def refuse(self, code: int) -> str:
        """Refuse the swap; return stderr."""

        def replace(_source: object, _target: object) -> None:
            raise OSError(code, os.strerror(code))

        with mock.patch("db.loading.swap.os.replace", replace):
            result = self.ingest()
        self.assertEqual(result.status, 1)
        return result.stderr

    def test_refused_swap_leaves_a_database_in_wal_mode(self) -> None:
        self.restore()
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            expected = list(connection.iterdump())
        self.assertIn("left as it is", self.refuse(errno.EPERM))
        self.assertEqual(set(os.listdir(self.folder)), self.inputs)
        with closing(sqlite3.connect(self.database)) as connection:
            self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("wal",))
            self.assertEqual(list(connection.iterdump()), expected)
        self.recover()

    def test_refused_swap_names_the_remedy_for_its_error(self) -> None:
        for code, advice in (
            (errno.EPERM, "Become the owner of the file and try again"),
            (errno.EROFS, "Allow writing to it and to its folder and try again"),
            (errno.ENOSPC, "Free some space and try again"),
            (errno.EBUSY, "Close the programs that use it and try again"),
        ):
            self.restore()
            with self.subTest(errno.errorcode[code]):
                message = self.refuse(code)
                self.assertIn(f"shop.db: cannot be replaced: {os.strerror(code)}", message)
                self.assertIn(advice, message)
                self.assertEqual(self.find_state(), "old")

    def test_database_that_cannot_be_locked_names_the_remedy_for_its_error(self) -> None:
        for name, advice in (
            ("SQLITE_FULL", "Free some space and try again"),
            ("SQLITE_IOERR_WRITE", "Free some space and try again"),
            ("SQLITE_CANTOPEN", "Allow writing to it and to its folder and try again"),
            ("SQLITE_BUSY", "Close the programs that use it and try again"),
        ):
            error = sqlite3.OperationalError("refused")
            error.sqlite_errorname = name
            with (
                self.subTest(name),
                mock.patch("db.loading.swap._restore_wal_mode", side_effect=error),
            ):
                ending = self.run_apart(int)
                self.assertEqual(ending.status, 1)
                self.assertIn(
                    f"shop.db: cannot be replaced: refused. {advice}", ending.stderr
                )

    def test_lock_file_that_is_a_folder_is_named(self) -> None:
        lock = self.folder / ".shop.db.lock"
        lock.mkdir()
        self.restore()
        result = self.ingest()
        self.assertEqual(result.status, 1)
        self.assertIn(f"{lock}: cannot be locked: Is a directory. If no", result.stderr)

    def test_refused_file_of_several_is_named(self) -> None:
        paths = [self.folder / name for name in ("one", "two", "three")]
        for path in paths:
            path.write_bytes(b"old")
        for name in ("link", "copy2"):
            with self.subTest(name):
                self.refuse_to_keep(paths, is_copied=name == "copy2")

    def refuse_to_keep(self, paths: list[Path], *, is_copied: bool) -> None:
        """Refuse a link or a copy of the second of *paths*."""
        make_link = os.link

        def link(source: Path, target: Path) -> None:
            if is_copied or source.name == "two":
                raise OSError(errno.EPERM, "no links", str(source), None, str(target))
            make_link(source, target)

        def copy(source: Path, target: Path) -> None:
            if source.name == "two":
                raise OSError(errno.ENOSPC, "full", str(target))
            target.write_bytes(source.read_bytes())

        with (
            mock.patch("utils.atomic_files.os.link", link),
            mock.patch("utils.atomic_files.shutil.copy2", copy),
            self.assertRaises(DataError) as caught,
        ):
            write_atomically(dict.fromkeys(paths, "new"))
        self.assertEqual(
            str(caught.exception),
            f"{paths[1]}: cannot be written: full. Free some space, or choose another"
            " folder.",
        )
        self.assertEqual([path.read_bytes() for path in paths], [b"old"] * 3)


class ReadOnlyFolder(ShopCase):
    """A read-only folder is named with a remedy by the loader and by the report."""

    def test_folder_without_permission_gives_one_line(self) -> None:
        self.copy_sample(*SMALL_SAMPLE)
        refused = PermissionError(13, "Permission denied")
        for arguments in (["--ingest", "--data-dir", self.folder], ["--report"]):
            with (
                self.subTest(arguments),
                mock.patch("db.loading.swap._require_file", side_effect=refused),
                mock.patch("utils.database.Path.is_file", side_effect=refused)
                if arguments == ["--report"]
                else nullcontext(),
            ):
                result = call(ingest.main, *arguments, "--database", self.database)
                self.assertEqual(result.status, 1)
                self.assertRegex(
                    result.stderr,
                    r"\Aingest: error: \S+shop.db: cannot be read: Permission denied."
                    r" Allow [^\n]+ --database.\n\Z",
                )


class ClosedStream(ShopCase):
    """A stream that is closed or full does not affect the other one."""

    def test_closed_stream_is_skipped_and_the_other_gets_no_errors(self) -> None:
        with io.StringIO() as stdout, redirect_stdout(stdout):
            print_safely("an error", file=None)
            self.assertEqual(stdout.getvalue(), "")
            print_safely("a result")
            self.assertEqual(stdout.getvalue(), "a result\n")

    def test_full_output_stream_is_reported_and_the_load_is_done(self) -> None:
        if not os.path.exists("/dev/full"):
            skip("there is no /dev/full")
        self.copy_sample(*SMALL_SAMPLE)
        command = [
            sys.executable,
            "ingest.py",
            "--ingest",
            "--data-dir",
            str(self.folder),
            "--database",
            str(self.database),
        ]
        with open("/dev/full", "w", encoding="utf-8") as full:
            finished = subprocess.run(
                command,
                cwd=ROOT,
                stdout=full,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                check=False,
            )
            self.assertEqual(finished.returncode, 1)
            self.assertEqual(
                finished.stderr,
                "ingest: error: standard output: cannot be written: No space left on"
                " device. The work itself is complete; redirect the output elsewhere.\n",
            )
            self.assertTrue(self.database.is_file())
            deaf = subprocess.run(
                [*command, "--schema", "none.sql"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=full,
                encoding="utf-8",
                check=False,
            )
            self.assertEqual((deaf.returncode, deaf.stdout), (1, ""))


class MissingMemory(CrashCase):
    """A process that gets no more memory reports it."""

    def test_missing_memory_gives_one_line_and_keeps_the_old_database(self) -> None:
        self.restore()
        with mock.patch("db.loading.loader.load_table", side_effect=MemoryError):
            result = self.ingest()
        self.assertEqual(result.status, 1)
        self.assertRegex(result.stderr, r"\Aingest: error: out of memory; [^\n]+\n\Z")
        self.assertEqual(self.find_state(), "old")


class ConcurrentIngests(CrashCase):
    """One of several ingests runs; the others report it and do nothing."""

    def test_parallel_ingests_never_mix_and_never_disturb_a_reader(self) -> None:
        for count in (2, 8):
            with self.subTest(count):
                self.race(count, seconds=4.0 if IN_CI else 0.2)

    def race(self, count: int, seconds: float) -> None:
        """Read while *count* processes ingest two data sets in turn."""
        other = self.folder / "other"
        other.mkdir()
        sample = sample_shop(*SMALL_SAMPLE)
        for path in [*sample.glob("*.csv"), sample / "datapackage.json"]:
            shutil.copy(path, other)
        self.restore()
        stop = other / "stop"
        end = time.monotonic() + seconds
        work = partial(self.ingest_until, stop, [self.folder, other])
        with self.fork(count, work) as wait_for_statuses:
            reads = 0
            while reads < 10 or time.monotonic() < end:
                self.read()
                reads += 1
            stop.touch()
            statuses = wait_for_statuses()
        shutil.rmtree(other)
        self.assertEqual(set(statuses), {0})
        self.find_state()

    @contextmanager
    def fork(
        self, count: int, work: Callable[[], None]
    ) -> Iterator[Callable[[], list[int]]]:
        """Do *work* in *count* processes; the block gets a function to wait for them."""
        children = []
        for _ in range(count):
            child = os.fork()
            if child == 0:  # pragma: no cover
                status = 99
                with suppress(BaseException):
                    stop_coverage()
                    work()
                    status = 0
                os._exit(status)
            children.append(child)
        try:
            yield lambda: [
                os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children
            ]
        except BaseException:
            for child in children:
                os.kill(child, signal.SIGKILL)
            raise

    def ingest_until(self, stop: Path, folders: list[Path]) -> None:
        """Ingest *folders* in turn until *stop* exists; raise if one fails on its own."""
        number = os.getpid()
        while not stop.exists():
            number += 1
            result = call(
                ingest.main,
                "--ingest",
                "--data-dir",
                folders[number % 2],
                "--database",
                self.database,
            )
            if result.status != 0 and "another ingest is writing it" not in result.stderr:
                raise AssertionError(result)

    def read(self) -> None:
        """Read two tables that must agree."""
        with closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        ) as connection:
            connection.execute("BEGIN")
            (first,) = connection.execute(
                "SELECT signed_up_at FROM users WHERE user_id = 1"
            ).fetchone()
            (verdict,) = connection.execute(
                "SELECT value FROM submission_meta"
                " WHERE subject = 'users.csv' AND property = 'manifest'"
            ).fetchone()
        self.assertIn((first[:4], verdict), {("2025", "matches"), ("2015", "differs")})

    def test_second_ingest_reports_the_first_and_does_nothing(self) -> None:
        self.restore()
        with lock_target(self.database):
            result = self.ingest()
        self.assertEqual(result.status, 1)
        self.assertIn("shop.db: another ingest is writing it; this one did", result.stderr)
        self.assertEqual(self.find_state(), "old")


class LeftoverFiles(CrashCase):
    """Files of a crashed run are removed by the next one; other files stay."""

    def test_files_of_a_crashed_run_are_removed(self) -> None:
        for name in (
            ".shop.db.1.partial",
            ".shop.db.99999.shard.partial",
            ".shop.db.7.partial-journal",
            ".shop.db.lock",
        ):
            (self.folder / name).write_bytes(b"left")
        self.recover()

    def test_files_with_similar_names_stay(self) -> None:
        names = {".shop.db.partial", ".other.db.1.partial", ".shop.db.1.partial.bak"}
        for name in names:
            (self.folder / name).write_bytes(b"mine")
        self.assertEqual(self.ingest().status, 0)
        self.assertEqual(set(os.listdir(self.folder)), self.inputs | names)

    def test_new_folder_is_removed_after_a_failed_load(self) -> None:
        target = self.folder / "a" / "b" / "shop.db"
        with open(self.folder / "users.csv", "a", encoding="utf-8") as file:
            file.write("x\n")
        result = call(
            ingest.main, "--ingest", "--data-dir", self.folder, "--database", target
        )
        self.assertEqual(result.status, 1)
        self.assertTrue(re.search(r"users\.csv:\d+: E_FIELDS", result.stderr))
        self.assertEqual(set(os.listdir(self.folder)), self.inputs)
