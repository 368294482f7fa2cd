"""Parts of a shop: their joined manifest, and the parts that Spark makes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import unittest
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import generate_data
import run_query
from data_generation.datapackage import FileEntry
from data_generation.spark_job import add_up, pack_code, render_joined
from tests.engine_cases import SPARK_ARGUMENTS, engine_shop, make_folder
from tests.support import ROOT, ShopCase, call, skip_on_windows, skip_or_fail
from utils.contract import MANIFEST_NAME, read_contract

TABLES = [table.name for table in read_contract().tables]
USERS = ("--users", 150, "--end", "2024-06-30")


@cache
def small_shop() -> Path:
    """Return a folder with a small shop; do not change it."""
    folder = make_folder()
    call(generate_data.main, "--generate", *USERS, "--out-dir", folder)
    return folder


@cache
def small_parts() -> Path:
    """Return a folder with that shop in three parts; do not change it."""
    folder = make_folder()
    for number in (1, 2, 3):
        make_part(folder, number)
    return folder


def make_part(folder: Path, number: int, *options: object) -> None:
    """Make part *number* of three of the small shop in *folder*."""
    made = call(
        generate_data.main,
        "--generate",
        *(options or USERS),
        "--part",
        f"{number}/3",
        "--out-dir",
        folder,
    )
    assert made.status == 0, made


def read_json(path: Path) -> dict[str, Any]:
    """Return the document at *path*."""
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


class JoinedParts(ShopCase):
    """The joined manifest lists every part and all parts together."""

    def setUp(self) -> None:
        """Copy the parts, so that a test can damage them."""
        super().setUp()
        self.parts = self.folder / "parts"
        shutil.copytree(small_parts(), self.parts)

    def join(self) -> Any:
        """Join the parts."""
        return call(generate_data.main, "--join-parts", "--out-dir", self.parts)

    def test_joined_manifest_lists_the_hash_of_each_part_and_of_all(self) -> None:
        result = self.join()
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertIn("150 users, 2024-01-01 to 2024-06-30, 3 parts:", result.stdout)
        joined = read_json(self.parts / MANIFEST_NAME)
        complete = read_json(small_shop() / MANIFEST_NAME)
        for found, expected in zip(joined["resources"], complete["resources"], strict=True):
            self.assertEqual(found["path"], [part["path"] for part in found["parts"]])
            for part in found.pop("parts"):
                data = (self.parts / part["path"]).read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                self.assertEqual(
                    (part["hash"], part["bytes"]), (f"sha256:{digest}", len(data))
                )
            self.assertEqual(found | {"path": expected["path"]}, expected)
        self.assertEqual({**joined, "resources": []}, {**complete, "resources": []})

    def test_joined_parts_are_verified_by_their_seed(self) -> None:
        self.join()
        result = call(generate_data.main, "--verify", "--out-dir", self.parts)
        self.assertEqual((result.status, result.stderr), (0, ""), result.stdout)
        self.assertEqual(result.stdout.count("exactly what this seed makes"), 5)
        path = self.parts / "orders.csv.part-2-of-3"
        path.write_bytes(path.read_bytes().replace(b"delivered", b"shipped", 1))
        result = call(generate_data.main, "--verify", "--out-dir", self.parts)
        self.assertEqual(result.status, 1)
        self.assertIn("orders.csv  ", result.stdout)

    def test_joined_parts_without_the_hash_of_each_table_are_verified(self) -> None:
        self.join()
        document = read_json(self.parts / MANIFEST_NAME)
        for resource in document["resources"]:
            del resource["hash"]
        (self.parts / MANIFEST_NAME).write_text(json.dumps(document), encoding="utf-8")
        result = call(generate_data.main, "--verify", "--out-dir", self.parts)
        self.assertEqual((result.status, result.stderr), (0, ""), result.stdout)

    def test_pipe_in_place_of_a_part_is_refused_without_waiting(self) -> None:
        skip_on_windows("pipes that have a name in a folder")
        path = self.parts / "orders.csv.part-2-of-3"
        path.unlink()
        os.mkfifo(path)
        self.refuse("orders.csv.part-2-of-3: cannot be read: it is not a regular file")

    def test_missing_parts_are_named(self) -> None:
        (self.parts / f"{MANIFEST_NAME}.part-2-of-3").unlink()
        self.refuse("1 of 3 parts is missing: 2.", "--part 2/3")

    def test_message_lists_at_most_twenty_missing_parts(self) -> None:
        for path in self.parts.iterdir():
            path.unlink()
        (self.parts / f"{MANIFEST_NAME}.part-01-of-50").touch()
        listed = ", ".join(map(str, range(2, 22)))
        self.refuse(f"49 of 50 parts are missing: {listed}, ….", "--part 2/50")

    def test_part_named_without_zeros_is_named_with_the_expected_name(self) -> None:
        for path in self.parts.iterdir():
            path.rename(path.with_name(path.name.replace("-of-3", "-of-16")))
        manifest = self.parts / f"{MANIFEST_NAME}.part-2-of-16"
        self.refuse(
            f"{MANIFEST_NAME}.part-1-of-16: is named with other zeros, expected"
            f" {MANIFEST_NAME}.part-01-of-16. Rename it, and the other files of that part."
        )
        self.assertTrue(manifest.is_file())

    def test_table_of_a_part_named_with_other_zeros_is_named(self) -> None:
        path = self.parts / "orders.csv.part-2-of-3"
        path.rename(path.with_name("orders.csv.part-02-of-3"))
        self.refuse(
            "orders.csv.part-02-of-3: is named with other zeros, expected"
            " orders.csv.part-2-of-3. Rename it"
        )

    def test_missing_file_is_named_and_restored_by_making_its_part_again(self) -> None:
        (self.parts / "payments.csv.part-3-of-3").unlink()
        self.refuse("payments.csv.part-3-of-3: is missing")
        make_part(self.parts, 3)
        self.assertEqual(self.join().status, 0)

    def test_changed_part_is_refused(self) -> None:
        path = self.parts / "users.csv.part-1-of-3"
        path.write_bytes(path.read_bytes() + b"\n")
        self.refuse("users.csv.part-1-of-3: differs from its manifest")

    def test_exchanged_parts_are_refused(self) -> None:
        names = [f"{MANIFEST_NAME}.part-{number}-of-3" for number in (2, 3)]
        first, second = ((self.parts / name).read_bytes() for name in names)
        (self.parts / names[0]).write_bytes(second)
        (self.parts / names[1]).write_bytes(first)
        self.refuse(f"{names[0]}: lists part 3 of 3, expected part 2 of 3", "--part 2/3")

    def test_part_that_lists_other_files_is_refused_with_the_name_of_its_own(self) -> None:
        own, other = "users.csv.part-2-of-3", "users.csv.part-3-of-3"
        for path, found in ((other, other), ([own, other], "2 files")):
            with self.subTest(path):
                self.edit_part(2, path=path)
                self.refuse(f".part-2-of-3: lists {found}, expected {own}.", "--part 2/3")

    def test_bytes_and_rows_that_a_part_does_not_have_are_refused(self) -> None:
        for number in (1, 2, 3):
            for facts, words in (
                ({"bytes": 5}, "its manifest lists 5 and "),
                ({"rows": 70_000}, "and 70,001" if number == 1 else "and 70,000"),
            ):
                with self.subTest(number, facts=facts):
                    path = self.parts / f"{MANIFEST_NAME}.part-{number}-of-3"
                    kept = path.read_bytes()
                    self.edit_part(number, **facts)
                    self.refuse(f"error: users.csv.part-{number}-of-3: has ", words)
                    path.write_bytes(kept)

    def test_manifest_of_a_part_without_a_needed_value_is_named(self) -> None:
        for name in ("path", "bytes", "rows"):
            with self.subTest(name):
                self.edit_part(3, **{name: None})
                self.refuse(f"{MANIFEST_NAME}.part-3-of-3: ")
                make_part(self.parts, 3)
        path = self.parts / f"{MANIFEST_NAME}.part-1-of-3"
        path.write_text(json.dumps(read_json(path) | {"part": None}), encoding="utf-8")
        self.refuse(f"{MANIFEST_NAME}.part-1-of-3: lists no part, expected part 1 of 3")

    def test_number_of_parts_that_cannot_be_is_ignored(self) -> None:
        for path in self.parts.iterdir():
            path.unlink()
        for total in (0, 1):
            (self.parts / f"{MANIFEST_NAME}.part-1-of-{total}").touch()
        self.refuse("contains no datapackage.json.part-K-of-N")

    def edit_part(self, number: int, **facts: object) -> None:
        """Replace *facts* of the users in the manifest of part *number*."""
        path = self.parts / f"{MANIFEST_NAME}.part-{number}-of-3"
        document = read_json(path)
        document["resources"][0] |= facts
        path.write_text(json.dumps(document), encoding="utf-8")

    def test_parts_of_two_shops_are_refused(self) -> None:
        make_part(self.parts, 2, *USERS, "--seed", 43)
        self.refuse(f"{MANIFEST_NAME}.part-2-of-3: belongs to another shop than part 1")

    def test_parts_of_two_totals_are_refused(self) -> None:
        path = self.parts / f"{MANIFEST_NAME}.part-1-of-3"
        shutil.copy(path, self.parts / f"{MANIFEST_NAME}.part-1-of-4")
        self.refuse("contains parts of 3 and of 4")

    def test_parts_of_different_tables_are_refused(self) -> None:
        make_part(self.parts, 2, *USERS, "--tables", "users")
        self.refuse(f"{MANIFEST_NAME}.part-2-of-3: lists users, the first part users, ")

    def test_plan_with_more_users_than_all_parts_have_is_refused(self) -> None:
        for number in (1, 2, 3):
            path = self.parts / f"{MANIFEST_NAME}.part-{number}-of-3"
            document = read_json(path) | {"users": 99_999_999}
            path.write_text(json.dumps(document), encoding="utf-8")
        self.refuse(
            f"{self.parts}: users has 150 rows, its plan 99,999,999 users.", "--generate"
        )

    def test_part_of_another_version_is_refused_without_words_of_other_actions(
        self,
    ) -> None:
        path = self.parts / f"{MANIFEST_NAME}.part-1-of-3"
        document = read_json(path) | {"format_version": 1}
        path.write_text(json.dumps(document), encoding="utf-8")
        self.refuse("files are of format_version 1", "use the release that made them")

    def test_folder_without_parts_is_refused(self) -> None:
        for path in self.parts.glob(f"{MANIFEST_NAME}.*"):
            path.unlink()
        self.refuse("contains no datapackage.json.part-K-of-N", "--part K/N")

    def refuse(self, *words: str) -> None:
        """Fail unless joining prints *words* in one line, and writes nothing."""
        before = sorted(path.name for path in self.parts.iterdir())
        result = self.join()
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual(sorted(path.name for path in self.parts.iterdir()), before)

    def test_join_parts_refuses_options_of_the_plan(self) -> None:
        result = call(generate_data.main, "--join-parts", "--seed", 7)
        self.assertEqual(result.status, 2)
        self.assertIn("--join-parts reads the plan from the manifest", result.stderr)


class SparkJob(ShopCase):
    """The Spark job makes all parts on several executors, with the bytes of one machine."""

    def setUp(self) -> None:
        """Find spark-submit."""
        super().setUp()
        home = os.environ.get("SPARK_HOME")
        path = Path(home, "bin", "spark-submit") if home else None
        found = path if path and path.is_file() else shutil.which("spark-submit")
        if found is None:
            skip_or_fail(self, "spark-submit is neither in SPARK_HOME/bin nor on the PATH")
        self.submit = str(found)
        self.out = self.folder / "out"

    def run_job(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the job with *arguments* on a master and two executors."""
        return subprocess.run(
            [
                self.submit,
                *SPARK_ARGUMENTS,
                ROOT / "data_generation" / "spark_job.py",
                "--out",
                self.out,
                *map(str, arguments),
            ],
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=300,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
            cwd=self.folder,
        )

    def test_spark_job_gives_the_bytes_of_one_machine(self) -> None:
        done = self.run_job("--users", 800, "--parts", 16)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        complete = engine_shop()
        manifest = read_json(self.out / MANIFEST_NAME)
        made = read_json(complete / MANIFEST_NAME)
        for table, listed, expected in zip(
            TABLES, manifest["resources"], made["resources"], strict=True
        ):
            parts = [(self.out / path).read_bytes() for path in listed["path"]]
            self.assertEqual(len(parts), 16)
            self.assertEqual(b"".join(parts), (complete / f"{table}.csv").read_bytes())
            self.assertEqual(listed["hash"], expected["hash"])
            self.assertEqual(
                [part["hash"] for part in listed["parts"]],
                [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in parts],
            )
        self.assertIn("Seed 42, 800 users, 16 parts in ", done.stdout)
        with self.subTest("a lost part is made again by any machine"):
            again = self.folder / "again"
            call(
                generate_data.main,
                "--generate",
                "--users",
                800,
                "--part",
                "7/16",
                "--out-dir",
                again,
            )
            for table in TABLES:
                self.assertEqual(
                    (again / f"{table}.csv.part-07-of-16").read_bytes(),
                    (self.out / table / "part-00006").read_bytes(),
                )
        with self.subTest("nothing is overwritten"):
            refused = self.run_job("--users", 801, "--parts", 1)
            self.assertEqual(refused.returncode, 1)
            # spark-submit puts both streams of a Python script on its stdout.
            self.assertIn("spark_job: error: ", refused.stdout)
            self.assertIn("users: exists already", refused.stdout)
            self.assertEqual(read_json(self.out / MANIFEST_NAME), manifest)
        if shutil.which("duckdb"):
            with self.subTest("an engine reads the parts where they are"):
                results = [self.folder / "sqlite", self.folder / "duckdb"]
                sources: list[list[object]] = [
                    ["--database", complete / "shop.db"],
                    ["--engine", "duckdb", "--data-dir", self.out],
                ]
                for folder, source in zip(results, sources, strict=True):
                    ran = call(run_query.main, *source, "--out-dir", folder)
                    self.assertEqual(ran.status, 0, ran.stderr)
                csv = [(folder / "query_result.csv").read_bytes() for folder in results]
                self.assertEqual(*csv)


class SparkJobSummary(unittest.TestCase):
    """The Spark job prints what it made."""

    def test_table_without_a_hash_has_no_empty_sha256(self) -> None:
        parts = [FileEntry(f"users/part-{at}", 10, 3, "a" * 64) for at in (0, 1)]
        joined = add_up("users.csv", parts)
        self.assertEqual(
            render_joined([joined]),
            "  users.csv         6 rows\n  datapackage.json lists the sha256 of each part",
        )
        self.assertEqual(
            render_joined([joined._replace(sha256="b" * 64)]),
            f"  users.csv         6 rows  sha256 {'b' * 16}",
        )


class SparkJobRefusals(ShopCase):
    """The Spark job reports errors in one line, also without Spark."""

    def run_job(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script with Python itself, without pyspark."""
        return subprocess.run(
            [sys.executable, "-S", ROOT / "data_generation" / "spark_job.py", *arguments],
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )

    def test_spark_job_without_pyspark_is_refused(self) -> None:
        done = self.run_job("--out", "nowhere")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr,
            "spark_job: error: pyspark is not installed. Start this with spark-submit.\n",
        )

    def test_invalid_arguments_are_refused(self) -> None:
        for arguments, words in (
            ((), "--out"),
            (("--out", "x", "--parts", "0"), "argument --parts"),
            (("--out", "x", "--users", "-1"), "argument --users"),
            (
                ("--out", "x", "--start", "2025-01-01", "--end", "2024-01-01"),
                "--start/--end",
            ),
        ):
            with self.subTest(arguments):
                done = self.run_job(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(words, done.stderr)

    def test_archive_contains_all_modules_and_the_contract(self) -> None:
        archive = pack_code(self.folder)
        with zipfile.ZipFile(archive) as opened:
            packed = set(opened.namelist())
        modules = {
            path.relative_to(ROOT).as_posix()
            for name in ("data_generation", "utils")
            for path in (ROOT / name).rglob("*.py")
        }
        self.assertEqual(packed, modules | {"db/schema.sql"})
        for name in ("data_generation", "data_generation/model", "utils", "utils/engines"):
            self.assertIn(f"{name}/__init__.py", packed)

    def test_unpacked_archive_makes_a_part_without_the_project(self) -> None:
        with zipfile.ZipFile(pack_code(self.folder)) as opened:
            opened.extractall(self.folder / "code")
        script = (
            "import sys; from datetime import date; from pathlib import Path\n"
            "from data_generation.generate_data import generate_shop\n"
            "from data_generation.plan import Part, Plan\n"
            "end = date(2024, 6, 30)\n"
            "plan = Plan(42, 150, date(2024, 1, 1), end, end)\n"
            "generate_shop(plan, Path(sys.argv[1]), part=Part(2, 3))\n"
        )
        made = self.folder / "made"
        subprocess.run(
            [sys.executable, "-c", script, made], cwd=self.folder / "code", check=True
        )
        for path in made.iterdir():
            expected = small_parts() / path.name
            self.assertEqual(path.read_bytes(), expected.read_bytes(), path.name)
        self.assertEqual(len(list(made.iterdir())), len(TABLES) + 1)
