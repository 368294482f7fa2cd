"""Mutated documents are read, or refused in one line; none is a crash.

The counts are those of CI; a user's run takes a quarter.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import generate_data
from data_generation.datapackage import FileEntry
from db.verify import verify_report
from queries.forecast.score import read_truth
from queries.options import apply_options
from queries.query_file import QUERY_PATH
from queries.verify_result import verify_result
from tests.engine_cases import make_folder
from tests.support import IN_CI, ShopCase, call, sample_shop
from utils.contract import MANIFEST_NAME, read_contract
from utils.helpers import DataError
from utils.load_facts import collect_file_facts, list_facts
from utils.manifest import read_generator, read_manifest
from utils.verification import Verification

PLAN = ("--users", 5, "--start", "2025-12-01", "--end", "2025-12-31")
PARTS = 2

# Values that other programs, damaged disks and attackers write.
ODD_VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2**63, 2**64, 10**40, 1.5, 1e308, -0.0),
    *("", "x" * 100_000, "\0", "\x1b]0;title\x07\u202e", "\ud800", "9" * 5000, "__proto__"),
    *("/dev/zero", "/dev/stdin", "../../etc/passwd", "C:\\x", "users.csv", "a/b/c"),
    *("9999-12-31", "0000-01-01", "2025-02-30", "2025-W01-1", "2025-12-31", "EUR"),
    *([], {}, [[]], [None] * 20, [{}], {"path": "/dev/zero"}, {"start": None}),
]

# What is put into the bytes of a document.
ODD_BYTES = [
    *(b"\xef\xbb\xbf", b"\0", b"\xff", b"[" * 2000),
    *(b"1e999", b"NaN", b"{", b"9" * 400),
]


def mutate_value(document: dict[str, Any], chance: random.Random) -> bytes:
    """Return *document* as JSON in which one value is replaced, removed or repeated."""
    changed = copy.deepcopy(document)
    outer, key = chance.choice(list(list_places(changed)))
    action = chance.randrange(8)
    if action == 0:
        del outer[key]
    elif action == 1:
        outer[key] = [outer[key]] * chance.choice((1, 2, 30))
    elif action == 2:
        for _ in range(chance.choice((3, 60, 600))):
            outer[key] = [outer[key]]
    else:
        outer[key] = chance.choice(ODD_VALUES)
    return json.dumps(changed).encode("utf-8")


def list_places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list or object in *value* with each of its indexes or names."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        # The fields of the tables are many, and no command reads them.
        pairs = [(name, inner) for name, inner in value.items() if name != "schema"]
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, inner in pairs:
        yield value, key
        yield from list_places(inner)


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return *data* with an odd piece put in, or without its end."""
    at = chance.choice((0, chance.randrange(len(data))))
    if chance.randrange(4) == 0:
        return data[:at]
    return data[:at] + chance.choice(ODD_BYTES) + data[at + chance.choice((0, 1)) :]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return the JSON document *data*, changed in one place."""
    if chance.randrange(3) == 0:
        return mutate_bytes(data, chance)
    return mutate_value(json.loads(data), chance)


@cache
def tiny_shop() -> Path:
    """Return a folder with a shop of five users; do not change it."""
    folder = make_folder()
    call(generate_data.main, "--generate", *PLAN, "--out-dir", folder)
    return folder


class MutatedDocuments(ShopCase):
    """A mutated document ends a command with status 0 or 1 and at most one line of error.

    A traceback fails the test as an error, and reading a device would never end it.
    """

    def count_outcomes(
        self, path: Path, count: int, run: Callable[[], tuple[int, str]]
    ) -> Counter[int]:
        """Call *run* for *count* mutations of the file *path*; return the statuses."""
        chance = random.Random(f"{self.id()} {path.name}")  # noqa: S311
        count = count if IN_CI else count // 4
        kept = path.read_bytes()
        statuses: Counter[int] = Counter()
        for number in range(count):
            with self.subTest(path.name, number=number):
                path.write_bytes(mutate(kept, chance))
                status, stderr = run()
                self.assertIn(status, (0, 1))
                self.assertLessEqual(stderr.count("\n"), 1, stderr)
                self.assertLess(len(stderr), 1000)
                self.assertTrue(stderr.isprintable() or stderr.endswith("\n"), stderr)
                statuses[status] += 1
        path.write_bytes(kept)
        self.assertGreater(statuses[1], count // 3, "most mutations are faults")
        return statuses

    def copy_shop(self) -> None:
        """Put the tiny shop into the folder."""
        for path in tiny_shop().iterdir():
            (self.folder / path.name).write_bytes(path.read_bytes())

    def test_mutated_manifest_ends_a_verification_by_seed_in_one_line(self) -> None:
        self.copy_shop()

        def copy_tables(_plan: object, folder: Path, *, tables: list[str], **_: Any) -> Any:
            (folder / MANIFEST_NAME).write_bytes(b"")
            return [FileEntry(f"{table}.csv", 0, 0, "") for table in tables]

        def run() -> tuple[int, str]:
            result = call(generate_data.main, "--verify", "--out-dir", self.folder)
            return result.status, result.stderr

        # The shop of each accepted plan would be made again, which other tests do.
        with mock.patch("data_generation.generate_data.generate_shop", copy_tables):
            self.count_outcomes(self.folder / MANIFEST_NAME, 200, run)

    def test_mutated_part_ends_joining_in_one_line(self) -> None:
        for number in range(1, PARTS + 1):
            part = f"{number}/{PARTS}"
            self.generate(*PLAN, "--part", part)

        def run() -> tuple[int, str]:
            result = call(generate_data.main, "--join-parts", "--out-dir", self.folder)
            return result.status, result.stderr

        for number in range(1, PARTS + 1):
            path = self.folder / f"{MANIFEST_NAME}.part-{number}-of-{PARTS}"
            statuses = self.count_outcomes(path, 50, run)
            self.assertGreater(statuses[0], 0, "some mutations have no meaning")

    def test_mutated_manifest_ends_a_load_in_one_line(self) -> None:
        self.copy_shop()
        contract = read_contract()

        def read() -> tuple[int, str]:
            try:
                manifest = read_manifest(self.folder / MANIFEST_NAME)
            except DataError as error:
                return 1, ascii(str(error))
            for row in list_facts(collect_file_facts(contract, [], manifest)):
                self.assertTrue(all(text.isprintable() for text in row), row)
            return 0, ""

        self.count_outcomes(self.folder / MANIFEST_NAME, 200, read)

        def load() -> tuple[int, str]:
            result = self.ingest()
            # Files that a mutated manifest no longer describes are warnings, a line each.
            return result.status, "" if result.status == 0 else result.stderr

        self.count_outcomes(self.folder / MANIFEST_NAME, 40, load)

    def test_mutated_report_fails_its_verification_in_words(self) -> None:
        text = (sample_shop() / "report.json").read_text(encoding="utf-8")
        for name in ("report.json", "report.md"):
            shutil.copy(sample_shop() / name, self.folder)

        with mock.patch("db.verify.read_report", return_value=json.loads(text)):
            self.verify_mutated("report.json", verify_report, count=30)

    def test_mutated_query_result_fails_its_verification_in_words(self) -> None:
        for name in ("query_result.json", "query_result.csv"):
            shutil.copy(sample_shop() / name, self.folder)
        csv_text = (self.folder / "query_result.csv").read_text(encoding="utf-8")
        document = json.loads((self.folder / "query_result.json").read_bytes())
        result = mock.Mock(document=document)
        path = self.folder / "query_result.json"
        # Only the options are read; among hundreds of cells a mutation would miss them.
        options = {"options": document["options"]}
        path.write_text(json.dumps(options), encoding="utf-8")
        with (
            mock.patch("queries.verify_result.compute_result", return_value=result) as run,
            mock.patch("queries.verify_result.render_csv", return_value=csv_text),
        ):
            self.verify_mutated("query_result.json", verify_result, count=100)
            for call_of_run in run.call_args_list:
                chosen = call_of_run.kwargs["options"]
                self.assertLess(len(repr(chosen)), 1000)
                apply_options(QUERY_PATH.read_text(encoding="utf-8"), chosen, QUERY_PATH)

    def verify_mutated(
        self,
        name: str,
        verify: Callable[[Path, Path], Iterator[Verification]],
        *,
        count: int,
    ) -> None:
        """Call *verify* for *count* mutations of the file *name*."""

        def run() -> tuple[int, str]:
            faults = [each.fault for each in verify(self.database, self.folder)]
            for fault in faults:
                self.assertLess(len(fault), 1000)
                self.assertNotIn("\n", fault)
            return int(any(faults)), ""

        self.count_outcomes(self.folder / name, count, run)

    def test_mutated_ground_truth_is_read_or_refused_in_one_line(self) -> None:
        document = json.loads((tiny_shop() / MANIFEST_NAME).read_bytes())
        facts = {name: str(fact) for name, fact in read_generator(document).items()}
        users = (
            b"user_id,is_buyer,expected_value_cents_365d,realised_value_cents_365d\n"
            b"1,1,4451,0\n2,1,0,-17\n3,1,3,900\n"
        )
        path = self.folder / "users.csv"

        def write_manifest(data: bytes) -> None:
            digest = hashlib.sha256(data).hexdigest()
            resource = {"name": "users", "path": "users.csv", "hash": f"sha256:{digest}"}
            stated = document | {"horizon_days": 365, "resources": [resource]}
            (self.folder / MANIFEST_NAME).write_text(json.dumps(stated), encoding="utf-8")

        def read() -> tuple[int, str]:
            try:
                truth = read_truth(self.folder, {"generator": facts}, facts["window_end"])
            except DataError as error:
                return 1, ascii(str(error))
            figures = [figure for each in truth.truths.values() for figure in each]
            self.assertLessEqual(max(map(abs, figures), default=0), 10**15)
            return 0, ""

        path.write_bytes(users)
        write_manifest(users)
        self.assertEqual(read(), (0, ""))
        self.count_outcomes(self.folder / MANIFEST_NAME, 200, read)
        chance = random.Random("users of the ground truth")  # noqa: S311
        for number in range(200):
            with self.subTest(number):
                data = mutate_bytes(users, chance)
                path.write_bytes(data)
                write_manifest(data)
                status, stderr = read()
                self.assertLess(len(stderr), 1000)
                self.assertIn(status, (0, 1))
