"""generate_data.py on the command line: options, output, interruptions."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import chdir, suppress
from pathlib import Path
from unittest import mock

import generate_data
from data_generation.generate_data import generate_shop, verify_shop
from data_generation.model.purchase_processes import PROCESSES
from tests.support import (
    IN_CI,
    ROOT,
    Result,
    ShopCase,
    call,
    hash_folder,
    read_tree,
    refuse_to_replace,
    skip,
    skip_on_windows,
)
from utils.contract import MANIFEST_NAME, read_contract
from utils.processes import count_processors

TABLES = [table.name for table in read_contract().tables]
FILES = [f"{table}.csv" for table in TABLES]

# Enough for two workers, which start from 40,000 users on, and for a second of work.
MANY_USERS = 60_000

# A window that takes a fraction of the default one's time.
SHORT = ("--end", "2024-03-31")


class CommandCase(ShopCase):
    """A test that runs generate_data.py on its folder."""

    def run_command(self, *arguments: object) -> Result:
        """Return the result of the command with *arguments*."""
        return call(generate_data.main, *arguments, "--out-dir", self.folder)

    def refuse(self, *arguments: object, words: str) -> None:
        """Fail unless *arguments* are a usage error with *words* that writes nothing."""
        with self.subTest(arguments):
            before = os.listdir(self.folder)
            result = self.run_command(*arguments)
            self.assertEqual(result.status, 2, result)
            self.assertIn(words, result.stderr.splitlines()[-1])
            self.assertEqual(result.stdout, "")
            self.assertEqual(os.listdir(self.folder), before)


class GenerateCommand(CommandCase):
    """The command line of generate_data.py."""

    def test_missing_action_prints_help_and_exits_2(self) -> None:
        result = call(generate_data.main)
        self.assertEqual(result.status, 2)
        self.assertIn("--generate", result.stderr)

    def test_help_states_the_defaults(self) -> None:
        result = call(generate_data.main, "--help")
        self.assertEqual(result.status, 0)
        text = " ".join(result.stdout.split())
        for default in (
            *("42", "5000", "2024-01-01", "2025-12-31", "--end", "steady", "all"),
        ):
            self.assertIn(f"(default: {default})", text)

    def test_invalid_seed_count_or_date_is_refused(self) -> None:
        for option, value in (
            ("--seed", "-1"),
            ("--seed", str(2**64)),
            ("--seed", "1.5"),
            ("--seed", "x"),
            ("--seed", "１"),
            ("--users", "-1"),
            ("--users", "many"),
            ("--users", "100000001"),
            ("--start", "2024-02-30"),
            ("--start", "20240101"),
            ("--end", "tomorrow"),
            ("--end", "9999-12-31"),
            ("--until", "2026-1-1"),
            ("--workers", "0"),
            ("--workers", "1025"),
            ("--workers", "all"),
        ):
            self.refuse("--generate", option, value, words=f"argument {option}: {value!r}")

    def test_unknown_process_is_refused_with_the_names_of_all(self) -> None:
        for words in ("--process: invalid choice: 'brisk'", *PROCESSES):
            self.refuse("--generate", "--process", "brisk", words=words)

    def test_summary_names_what_is_not_the_default(self) -> None:
        for options, end in (
            (("--process", "steady"), ":"),
            (("--process", "clumpy"), ", clumpy process:"),
            (("--calm",), ", calm:"),
        ):
            result = self.run_command("--generate", *SHORT, "--users", 2, *options)
            self.assertIn(f"2024-01-01 to 2024-03-31{end}\n", result.stdout)

    def test_window_that_ends_early_or_is_too_long_is_refused(self) -> None:
        for option, value in (
            ("--end", "2023-12-31"),
            ("--end", "2200-01-01"),
            ("--start", "2026-01-01"),
            ("--until", "2023-12-31"),
            ("--until", "2200-01-01"),
        ):
            self.refuse("--generate", option, value, words=option)
            self.refuse("--generate", option, value, words=value)

    def test_usage_error_appears_without_loading_the_generator(self) -> None:
        script = (
            "import sys, generate_data\n"
            "try: generate_data.main(['--generate', '--part', 'x'])\n"
            "except SystemExit: print(*sys.modules)"
        )
        finished = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        self.assertIn("--part", finished.stderr)
        loaded = finished.stdout.split()
        for module in ("data_generation.generate_data", "sqlite3"):
            self.assertNotIn(module, loaded)

    def test_every_written_file_is_printed(self) -> None:
        result = self.succeed(
            generate_data.main,
            *("--generate", "--users", 3, *SHORT, "--out-dir", self.folder),
        )
        head, *lines = result.stdout.splitlines()
        self.assertEqual(head, "Seed 42, 3 users, 2024-01-01 to 2024-03-31:")
        for name, line in zip([*FILES, MANIFEST_NAME], lines, strict=True):
            self.assertIn(name, line)

    def test_quiet_run_prints_errors_only(self) -> None:
        self.assertEqual(
            self.run_command("--generate", "--users", 3, *SHORT, "--quiet"),
            Result(0, "", ""),
        )
        self.assertEqual(self.run_command("--verify", "--quiet"), Result(0, "", ""))
        (self.folder / "users.csv").write_text("x", encoding="utf-8")
        result = self.run_command("--verify", "--quiet")
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertIn("1 of 6 files is not what this seed makes", result.stderr)

    def test_number_of_workers_defaults_to_the_processors(self) -> None:
        self.generate("--users", 3, *SHORT)
        for action, plan, name, job in (
            ("--generate", ("--users", 3, *SHORT), "generate_shop", generate_shop),
            ("--verify", (), "verify_shop", verify_shop),
        ):
            for arguments, workers in (
                (plan, count_processors()),
                ((*plan, "--workers", 3), 3),
            ):
                with (
                    self.subTest(action=action, workers=workers),
                    mock.patch(f"data_generation.generate_data.{name}", wraps=job) as spy,
                ):
                    self.assertEqual(self.run_command(action, *arguments).status, 0)
                    self.assertEqual(spy.call_args.kwargs["workers"], workers)

    def test_unwritable_folder_is_named(self) -> None:
        (self.folder / "file").touch()
        result = call(
            generate_data.main, "--generate", "--out-dir", self.folder / "file" / "deep"
        )
        self.assertEqual(result.status, 1)
        self.assertIn("cannot be written", result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_failure_or_interruption_leaves_the_old_files_unchanged(self) -> None:
        self.generate("--users", 20, *SHORT)
        before = hash_folder(self.folder)
        for error, status in (
            (OSError(28, "No space left on device"), 1),
            (KeyboardInterrupt(), 130),
        ):
            with (
                self.subTest(status),
                mock.patch("data_generation.spans.plan_blocks", side_effect=error),
            ):
                result = self.run_command("--generate", "--users", 50, *SHORT)
                self.assertEqual(result.status, status)
                self.assertEqual(hash_folder(self.folder), before)

    def test_refused_rename_restores_every_old_file(self) -> None:
        self.generate("--users", 20, *SHORT)
        before = hash_folder(self.folder)
        for link in (os.link, mock.Mock(side_effect=OSError(95, "no links here"))):
            with (
                refuse_to_replace("orders.csv"),
                mock.patch("utils.atomic_files.os.link", link),
            ):
                result = self.run_command("--generate", "--users", 50, *SHORT)
            self.assertEqual(result.status, 1)
            self.assertIn("orders.csv: cannot be written: in use", result.stderr)
            self.assertEqual(hash_folder(self.folder), before)


class GenerateOptions(CommandCase):
    """A shop can have fewer tables, parts, a later end, or its ground truth."""

    def read(self, folder: str, name: str) -> str:
        """Return the text of a file below the folder."""
        return (self.folder / folder / name).read_text(encoding="utf-8")

    def make(self, folder: str, *arguments: object) -> Result:
        """Make a small shop in a folder below the folder."""
        return self.succeed(
            generate_data.main,
            "--generate",
            "--users",
            150,
            "--end",
            "2024-06-30",
            *arguments,
            "--out-dir",
            self.folder / folder,
        )

    def test_later_until_appends_to_the_files(self) -> None:
        self.make("short")
        result = self.make("long", "--until", "2024-07-31")
        self.assertEqual(
            result.stdout.splitlines()[0],
            "Seed 42, 150 users by 2024-06-30, 2024-01-01 to 2024-07-31:",
        )
        for name in FILES:
            short, long = self.read("short", name), self.read("long", name)
            self.assertGreater(len(long), len(short))
            if name != "orders.csv":
                self.assertTrue(long.startswith(short), name)
                continue
            # Only an order's status may move.
            for row, later in zip(short.splitlines(), long.splitlines(), strict=False):
                old, new = row.split(","), later.split(",")
                self.assertEqual((old[:3], old[4:]), (new[:3], new[4:]))

    def test_until_equal_to_end_changes_nothing(self) -> None:
        self.make("plain")
        result = self.make("until", "--until", "2024-06-30")
        self.assertIn("Seed 42, 150 users, 2024-01-01 to 2024-06-30:\n", result.stdout)
        self.assertEqual(
            hash_folder(self.folder / "plain"), hash_folder(self.folder / "until")
        )

    def test_tables_option_changes_no_other_file(self) -> None:
        self.make("all")
        some = self.folder / "some"
        some.mkdir()
        (some / "users.csv").write_text("mine", encoding="utf-8")
        result = self.make("some", "--tables", "payments,orders")
        self.assertEqual(len(result.stdout.splitlines()), 4)
        self.assertEqual(
            sorted(os.listdir(some)),
            ["datapackage.json", "orders.csv", "payments.csv", "users.csv"],
        )
        self.assertEqual(self.read("some", "users.csv"), "mine")
        for name in ("orders.csv", "payments.csv"):
            self.assertEqual(self.read("some", name), self.read("all", name))

    def test_unknown_table_is_refused(self) -> None:
        for text in (
            "",
            "user",
            "users,",
            ",users",
            "users, orders",
            "users;orders",
            "users,submission_meta",
        ):
            self.refuse("--generate", "--tables", text, words="argument --tables: ")
            self.refuse("--generate", "--tables", text, words=",".join(TABLES))

    def test_concatenated_parts_are_the_complete_files(self) -> None:
        self.make("complete")
        for number in (1, 2, 3):
            result = self.make("parts", "--part", f"{number}/3")
            self.assertIn(f"to 2024-06-30, part {number} of 3:\n", result.stdout)
            self.assertIn("--join-parts", result.stdout)
        parts = sorted(os.listdir(self.folder / "parts"))
        self.assertEqual(len(parts), 18)
        for name in FILES:
            together = "".join(
                self.read("parts", part) for part in parts if part.startswith(f"{name}.")
            )
            self.assertEqual(together, self.read("complete", name))

    def test_part_1_of_1_is_the_complete_shop(self) -> None:
        self.make("complete")
        self.make("part", "--part", "1/1")
        self.assertEqual(
            hash_folder(self.folder / "complete"), hash_folder(self.folder / "part")
        )

    def test_invalid_part_is_refused(self) -> None:
        for text in (
            "0/4",
            "5/4",
            "1/10000",
            "1",
            "1/",
            "/4",
            "1/4/4",
            "a/b",
            "1 / 4",
            "１/4",
            "",
            "1/4\n",
        ):
            self.refuse("--generate", "--part", text, words="argument --part: ")
            self.refuse("--generate", "--part", text, words="1 <= K <= N <= 9999")

    def test_truth_option_writes_the_ground_truth_beside_the_data(self) -> None:
        plain = ("--generate", "--users", 40, "--end", "2024-06-30")
        self.succeed(generate_data.main, *plain, "--out-dir", self.folder / "plain")
        result = self.succeed(
            generate_data.main, *plain, "--truth", "--out-dir", self.folder / "known"
        )
        self.assertIn("truth/users.csv", result.stdout.replace("\\", "/"))
        truth = self.folder / "known" / "truth"
        self.assertEqual(len((truth / "users.csv").read_bytes().splitlines()), 41)
        for path in (self.folder / "plain").iterdir():
            self.assertEqual(
                path.read_bytes(), (self.folder / "known" / path.name).read_bytes()
            )

    def test_blind_manifest_states_no_seed_and_describes_the_same_files(self) -> None:
        plan = ("--users", "20", "--start", "2025-06-01", "--seed", "8675309")
        self.generate(*plan)
        usual = json.loads((self.folder / "datapackage.json").read_text(encoding="utf-8"))
        self.generate(*plan, "--blind")
        text = (self.folder / "datapackage.json").read_text(encoding="utf-8")
        blind = json.loads(text)
        self.assertNotIn("seed", text)
        self.assertNotIn("8675309", text)
        for name in ("window", "currency", "resources"):
            self.assertEqual(blind[name], usual[name])
        self.assertEqual(self.ingest().status, 0)
        warned = call(
            generate_data.main,
            *("--generate", "--blind", "--users", 1, "--out-dir", self.folder),
        )
        self.assertIn("seed 42 can be found by trying", warned.stderr)
        verified = call(generate_data.main, "--verify", "--out-dir", self.folder)
        self.assertEqual((verified.status, verified.stdout), (1, ""))
        self.assertIn(
            "is a manifest of --blind or --faults, which states no", verified.stderr
        )
        self.assertNotIn("is not a manifest of this generator", verified.stderr)
        refused = call(generate_data.main, "--generate", "--blind", "--part", "1/2")
        self.assertEqual(refused.status, 2)

    def test_ground_truth_beside_a_blind_manifest_gives_a_warning(self) -> None:
        plan = ("--generate", "--users", 2, *SHORT, "--seed", 8675309)
        for options, words in (
            (("--blind", "--truth"), "warning: truth/ states the seed and what"),
            (("--blind",), ""),
            (("--truth",), ""),
        ):
            result = self.run_command(*plan, *options, "--quiet")
            self.assertEqual((result.status, result.stdout), (0, ""), result)
            self.assertEqual(result.stderr.count("\n"), bool(words))
            self.assertIn(words, result.stderr)

    def test_ground_truth_of_a_part_is_refused(self) -> None:
        self.refuse("--generate", "--truth", "--part", "1/2", words="omit --part")

    def test_verify_refuses_options_of_the_plan(self) -> None:
        self.generate("--users", 2, *SHORT)
        for option, value in (
            ("--seed", 42),
            ("--users", 5000),
            ("--start", "2024-01-01"),
            ("--end", "2025-12-31"),
            ("--until", "2025-12-31"),
            ("--process", "clumpy"),
            ("--tables", "users"),
            ("--part", "1/1"),
        ):
            self.refuse("--verify", option, value, words=f"omit {option}")
        self.refuse("--verify", "--truth", words="omit --truth")
        self.refuse("--verify", "--calm", words="omit --calm")
        self.refuse("--verify", "--users", 2, "--seed", 1, words="omit --seed, --users")


class ReplacedFiles(CommandCase):
    """A run replaces what a former one made, and no file of other origin."""

    PLAN = ("--generate", "--users", 2, *SHORT, "--seed", 8675309, "--quiet")

    def refuse_place(self, name: str, *options: object, words: str) -> None:
        """Fail unless the run names the place *name* with *words* and changes nothing."""
        before = read_tree(self.folder)
        result = self.run_command(*self.PLAN, *options)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertIn(f"{self.folder / name}: {words}", result.stderr)
        self.assertIn("choose another folder with --out-dir", result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1)
        self.assertEqual(read_tree(self.folder), before)

    def test_file_that_the_generator_did_not_make_is_kept(self) -> None:
        for name, options in (
            ("users.csv", ()),
            ("payments.csv", ("--tables", "payments")),
            ("orders.csv.part-1-of-2", ("--part", "1/2")),
            (MANIFEST_NAME, ()),
            ("truth/users.csv", ("--truth",)),
            ("faulty/users.csv", ("--faults", "light")),
            ("answer_key/faults.csv", ("--faults", "light")),
        ):
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            for text in ("", "{}", '{"name": "my-data", "resources": []}'):
                with self.subTest(name, text=text):
                    path.write_text("mine", encoding="utf-8")
                    if text and name != MANIFEST_NAME:
                        path.with_name(MANIFEST_NAME).write_text(text, encoding="utf-8")
                    self.refuse_place(name, *options, words="would be replaced, but")
            path.unlink()
            path.with_name(MANIFEST_NAME).unlink(missing_ok=True)

    def test_shop_of_a_former_run_is_replaced_even_with_a_part_missing(self) -> None:
        for former in (
            (),
            ("--blind",),
            ("--tables", "users"),
            ("--part", "1/2"),
            ("--truth", "--faults", "light"),
        ):
            # Folders that are already there are written again, too.
            later = former if "--truth" in former else ()
            with self.subTest(former):
                self.succeed(self.make, *former, "--seed", 90210)
                (self.folder / "orders.csv").unlink(missing_ok=True)
                self.succeed(self.make, *later)
                self.succeed(self.make, "--part", "2/2")

    def make(self, arguments: Sequence[str]) -> int:
        """Run the command with *arguments* on the folder."""
        plan = [*map(str, self.PLAN), "--out-dir", str(self.folder)]
        return generate_data.main([*plan, *arguments])

    def test_folder_that_is_a_file_is_named_before_the_shop_is_replaced(self) -> None:
        self.succeed(self.make)
        options = ("--seed", 90210, "--truth", "--faults", "light")
        for name in ("truth", "faulty", "answer_key"):
            (self.folder / name).touch()
            self.refuse_place(name, *options, words="cannot be written: Not a directory")
            (self.folder / name).unlink()
        for name in ("orders.csv", "truth/users.csv", "answer_key/manifest.json"):
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / name).mkdir(parents=True)
            self.refuse_place(name, *options, words="cannot be written: Is a directory")
            (self.folder / name).rmdir()

    def test_failure_after_the_five_files_names_the_folders_of_earlier_ones(self) -> None:
        options = ("--truth", "--faults", "light")
        for folders in ((), ("truth",), ("truth", "answer_key")):
            for folder in folders:
                (self.folder / folder).mkdir(exist_ok=True)
                for name, text in (
                    (MANIFEST_NAME, '{"format_version": 1}'),
                    ("days.csv", ""),
                ):
                    (self.folder / folder / name).write_text(text, encoding="utf-8")
                (self.folder / folder / "faults.csv").touch()
            full = OSError(28, "No space left on device")
            for raised, status in ((full, 1), (KeyboardInterrupt(), 130)):
                with (
                    self.subTest(status=status, folders=folders),
                    mock.patch("data_generation.truth.write_truth", side_effect=raised),
                ):
                    result = self.run_command(*self.PLAN, *options)
                    self.assertEqual(result.status, status)
                    paths = " and ".join(str(self.folder / name) for name in folders)
                    warning = f"are new, but {paths} may belong to earlier ones"
                    self.assertEqual(warning in result.stderr, bool(folders))
                    self.assertEqual(result.stderr.count("\n"), 1 + bool(folders))


class Verification(CommandCase):
    """--verify prints for each file whether it is exactly what its seed makes."""

    def verify(self) -> Result:
        """Return the result of --verify on the folder."""
        return self.run_command("--verify")

    def test_unchanged_shop_passes_and_stays_unchanged(self) -> None:
        self.generate("--users", 20, "--seed", 7, "--end", "2024-06-30")
        before = hash_folder(self.folder)
        result = self.verify()
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertEqual(result.stdout.count("exactly what this seed makes"), 6)
        self.assertIn("Seed 7, 20 users, 2024-01-01 to 2024-06-30:", result.stdout)
        self.assertEqual(hash_folder(self.folder), before)

    def test_shop_with_fewer_tables_and_a_later_end_passes(self) -> None:
        self.generate(
            "--users",
            20,
            "--end",
            "2024-06-30",
            "--until",
            "2024-07-31",
            "--process",
            "drifting",
            "--tables",
            "users,orders",
        )
        result = self.verify()
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertEqual(result.stdout.count("exactly what this seed makes"), 3)
        self.assertIn(
            "20 users by 2024-06-30, 2024-01-01 to 2024-07-31, drifting process:",
            result.stdout,
        )

    def test_message_contains_the_options_that_make_the_files_again(self) -> None:
        options = (
            "--seed 7 --users 20 --start 2024-02-01 --end 2024-06-30 --until 2024-07-31"
            " --process regular --calm --tables users,orders"
        )
        self.generate(*options.split())
        before = hash_folder(self.folder)
        (self.folder / "orders.csv").unlink()
        self.assertIn(f"--generate {options} and", self.verify().stderr)
        self.generate(*options.split())
        self.assertEqual(hash_folder(self.folder), before)

    def test_changed_forged_or_missing_file_is_named(self) -> None:
        self.generate("--users", 20, *SHORT)
        orders, manifest = self.folder / "orders.csv", self.folder / MANIFEST_NAME
        was = hashlib.sha256(orders.read_bytes()).hexdigest()
        orders.write_bytes(orders.read_bytes().replace(b"delivered", b"shipped", 1))
        result = self.verify()
        self.assertEqual(result.status, 1)
        self.assertRegex(result.stdout, r"orders\.csv +differs from what this seed makes")
        self.assertEqual(result.stdout.count("exactly what this seed makes"), 5)
        self.assertIn("1 of 6 files", result.stderr)

        forged = hashlib.sha256(orders.read_bytes()).hexdigest()
        manifest.write_text(
            manifest.read_text(encoding="utf-8").replace(was, forged), encoding="utf-8"
        )
        result = self.verify()
        self.assertRegex(result.stdout, r"orders\.csv +matches its manifest, but not what")
        self.assertRegex(result.stdout, r"datapackage\.json +differs from what")
        self.assertIn("2 of 6 files are not what this seed makes", result.stderr)

        orders.unlink()
        self.assertRegex(self.verify().stdout, r"orders\.csv +missing")

    def test_missing_or_foreign_manifest_is_refused_with_a_remedy(self) -> None:
        for text, words in (
            (None, "cannot be read"),
            ("{}", "is not a manifest of this generator: seed is missing"),
            ("[1]", "is not a manifest of this generator: the document is [1]"),
            ("no JSON", "is not valid JSON"),
            ("[" * 100_000, "is not valid JSON: it has more than 50 levels"),
            ('["\\ud800"]', "is not valid JSON: it contains half of a character"),
        ):
            with self.subTest(text):
                if text is not None:
                    (self.folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
                result = self.verify()
                self.assertEqual(result.status, 1)
                self.assertIn(words, result.stderr)
                self.assertIn("--generate", result.stderr)

    def test_second_value_of_a_repeated_key_does_not_replace_the_first(self) -> None:
        self.generate("--users", 2, *SHORT)
        manifest = self.folder / MANIFEST_NAME
        text = manifest.read_text(encoding="utf-8")
        for old in ('"seed": 42', '"name": "orders"'):
            with self.subTest(old):
                self.assertIn(old, text)
                manifest.write_text(text.replace(old, f"{old}, {old}"), encoding="utf-8")
                result = self.verify()
                self.assertEqual((result.status, result.stdout), (1, ""))
                key = old.split('"')[1]
                self.assertIn(f"it has '{key}' twice in one object", result.stderr)

    def test_files_of_another_format_version_are_named_and_not_made_again(self) -> None:
        self.generate("--users", 2, *SHORT)
        path = self.folder / MANIFEST_NAME
        document = json.loads(path.read_bytes())
        # Earlier manifests do not state these.
        del document["process"], document["is_calm"]
        for version, advice in (
            (1, "they can be loaded as they are"),
            (2, "data_generation/README.md, Format versions"),
            (999, "Use the newer release of the project"),
        ):
            path.write_text(json.dumps({**document, "format_version": version}))
            for action in ("--verify", "--join-parts"):
                if action == "--join-parts":
                    path.rename(path.with_name(f"{MANIFEST_NAME}.part-1-of-2"))
                    path.with_name(f"{MANIFEST_NAME}.part-2-of-2").touch()
                with self.subTest(action, version=version):
                    result = call(generate_data.main, action, "--out-dir", self.folder)
                    self.assertEqual((result.status, result.stdout), (1, ""))
                    self.assertIn(f"files are of format_version {version}", result.stderr)
                    self.assertIn(advice, result.stderr)

    def test_invalid_plan_is_refused(self) -> None:
        self.generate("--users", 2, "--start", "2025-12-01")
        manifest = self.folder / MANIFEST_NAME
        text = manifest.read_text(encoding="utf-8")
        for old, new, words in (
            ('"seed": 42', '"seed": "42"', "generator: seed is '42', expected an integer"),
            ('"seed": 42', '"seed": -42', "seed is -42, expected an integer from 0"),
            ('"users": 2,', '"users": -2,', "users is -2, expected an integer from 0"),
            ('"users": 2,', '"users": 2.0,', "users is 2.0, expected an integer"),
            ('"users": 2,', '"users": 200000000,', "usable plan: 200000000 users"),
            ('"users": 2,', '"users": 20,', "users has 2 rows, its plan 20 users"),
            ('"process": "steady"', '"process": 1', "process is 1, expected the name"),
            ('"process": "steady"', '"process": "brisk"', "plan: process brisk, expected"),
            ('"is_calm": false', '"is_calm": 0', "is_calm is 0, expected true or false"),
            ('"users": 2,', '"users": 1,', "users has 2 rows, its plan 1 user."),
            ('"users_by": "2025', '"users_by": "2023', "is before start 2025-12-01"),
            ('"end": "2025', '"end": "2023', "is before start 2025-12-01"),
            ('"end": "2025', '"end": "2125', "at most 100 years"),
        ):
            with self.subTest(new):
                self.assertIn(old, text)
                manifest.write_text(text.replace(old, new), encoding="utf-8")
                result = self.verify()
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertIn(words, result.stderr)

    def test_manifest_never_names_a_file_outside_its_folder(self) -> None:
        self.generate("--users", 2, *SHORT)
        for path in (
            "/dev/zero",
            "../users.csv",
            "a/../../users.csv",
            ".hidden",
            "C:users.csv",
            "\\\\host\\users.csv",
            "\x1b]0;title\x07.csv",
            "\0",
            "",
            5,
            [],
            ["users.csv", ".."],
        ):
            with self.subTest(path):
                self.edit_first_resource(path=path)
                self.refuse_manifest("resources[0].path", "expected ")

    def test_unusable_list_of_tables_is_refused(self) -> None:
        self.generate("--users", 2, *SHORT)
        for facts, words in (
            ({"name": "customers"}, "resources list customers, products, orders, "),
            ({"name": "orders"}, "resources list orders, products, orders, "),
            ({"name": None}, "resources[0].name is null, expected the name of a table"),
            ({"rows": -1}, "resources[0].rows is -1, expected an integer from 0 to "),
            ({"bytes": "9"}, "resources[0].bytes is '9', expected an integer"),
            ({"hash": "sha256:"}, "resources[0].hash is 'sha256:', expected sha256: and"),
        ):
            with self.subTest(words):
                kept = (self.folder / MANIFEST_NAME).read_bytes()
                self.edit_first_resource(**facts)
                self.refuse_manifest(words)
                (self.folder / MANIFEST_NAME).write_bytes(kept)
        self.edit_manifest(resources=[])
        self.refuse_manifest("resources has 0 entries, expected 1 to ")

    def test_pipe_or_folder_in_place_of_a_file_is_named_without_waiting(self) -> None:
        skip_on_windows("pipes that have a name in a folder")
        self.generate("--users", 2, *SHORT)
        for make in (os.mkfifo, os.mkdir):
            with self.subTest(make.__name__):
                path = self.folder / "users.csv"
                path.rename(self.folder / "kept")
                make(path)
                self.assertRegex(self.verify().stdout, r"users\.csv +cannot be read: ")
                os.rmdir(path) if path.is_dir() else path.unlink()
                (self.folder / "kept").rename(path)
        (self.folder / MANIFEST_NAME).unlink()
        os.mkfifo(self.folder / MANIFEST_NAME)
        self.refuse_manifest("cannot be read: it is not a regular file")

    def edit_first_resource(self, **facts: object) -> None:
        """Replace *facts* of the first file that the manifest lists."""
        resources = json.loads((self.folder / MANIFEST_NAME).read_bytes())["resources"]
        resources[0] = {**resources[0], "name": "users", "path": "users.csv"} | facts
        self.edit_manifest(resources=resources)

    def edit_manifest(self, **facts: object) -> None:
        """Replace *facts* of the manifest."""
        path = self.folder / MANIFEST_NAME
        document = json.loads(path.read_bytes()) | facts
        path.write_text(json.dumps(document), encoding="utf-8")

    def refuse_manifest(self, *words: str) -> None:
        """Fail unless the verification is refused in one line with *words*."""
        result = self.verify()
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in (f"{MANIFEST_NAME}: ", *words):
            self.assertIn(word, result.stderr)


class StoppedRun(ShopCase):
    """A stopped run of several processes leaves no incomplete file and no process."""

    # The scratch files of the passes after the sign-ups: plan, orders, payments.
    LATER_FILES = ("planned.*", "kept.*", "pay_piece.*.payments")

    def setUp(self) -> None:
        """Make an earlier shop, which must not change."""
        skip_on_windows("signals as a POSIX terminal sends them")
        super().setUp()
        self.generate("--users", 20, *SHORT)
        self.before = hash_folder(self.folder)

    def start(self, pattern: str = "purchases.*", least: int = 2) -> subprocess.Popen[str]:
        """Start a run of two workers in a process group.

        Return it once there are *least* scratch files whose names match *pattern*.
        """
        process = subprocess.Popen(
            [
                sys.executable,
                ROOT / "generate_data.py",
                "--generate",
                "--users",
                str(MANY_USERS),
                "--workers",
                "2",
                "--out-dir",
                self.folder,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self.addCleanup(self.end, process)
        deadline = time.monotonic() + 60
        while len(list(self.folder.glob(f".scratch.*.partial/{pattern}"))) < least:
            self.assertIsNone(process.poll(), "ended before it could be stopped")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        """End what is left of the group of *process*."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)

    def test_ctrl_c_leaves_the_old_files_unchanged(self) -> None:
        process = self.start()
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(
            (process.returncode, stdout, stderr),
            (130, "", "generate_data: error: interrupted\n"),
        )
        self.assertEqual(hash_folder(self.folder), self.before)
        with self.assertRaises(ProcessLookupError):
            os.killpg(process.pid, 0)

    def test_sigterm_leaves_the_old_files_unchanged(self) -> None:
        process = self.start()
        process.terminate()
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(
            (process.returncode, stdout, stderr),
            (143, "", "generate_data: error: terminated\n"),
        )
        self.assertEqual(hash_folder(self.folder), self.before)
        with self.assertRaises(ProcessLookupError):
            os.killpg(process.pid, 0)

    def test_sigterm_in_a_later_pass_leaves_the_old_files_unchanged(self) -> None:
        for pattern in self.LATER_FILES if IN_CI else self.LATER_FILES[:1]:
            with self.subTest(pattern):
                process = self.start(pattern, 1)
                process.terminate()
                _, stderr = process.communicate(timeout=60)
                self.assertEqual(
                    (process.returncode, stderr),
                    (143, "generate_data: error: terminated\n"),
                )
                self.assertEqual(hash_folder(self.folder), self.before)
                with self.assertRaises(ProcessLookupError):
                    os.killpg(process.pid, 0)

    def test_loss_of_a_worker_is_reported(self) -> None:
        if not Path("/proc/self/stat").exists():
            skip("finds the workers in /proc")
        patterns = ["purchases.*", *self.LATER_FILES]
        for pattern in patterns if IN_CI else patterns[:1]:
            with self.subTest(pattern):
                process = self.start(pattern, 1)
                os.kill(max(self.find_workers(process)), signal.SIGKILL)
                stdout, stderr = process.communicate(timeout=60)
                self.assertEqual((process.returncode, stdout), (1, ""), stderr)
                self.assertRegex(
                    stderr,
                    r"\Agenerate_data: error: a worker process was ended [^\n]+"
                    r" Use fewer --workers\.\n\Z",
                )
                self.assertEqual(hash_folder(self.folder), self.before)

    def test_sigkill_leaves_the_old_files_unchanged(self) -> None:
        process = self.start()
        process.kill()
        process.wait(timeout=60)
        self.end(process)
        after = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.iterdir()
            if not path.name.startswith(".")
        }
        self.assertEqual(after, self.before)
        for name in set(os.listdir(self.folder)) - self.before.keys():
            # The pattern in .gitignore.
            self.assertRegex(name, r"^\..*\.partial$")

    @staticmethod
    def find_workers(process: subprocess.Popen[str]) -> list[int]:
        """Return the other processes in the group of *process*."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # State, parent and group follow the name in brackets.
                group = path.read_text(encoding="utf-8").rpartition(")")[2].split()[2]
                if int(group) == process.pid != int(path.parent.name):
                    found.append(int(path.parent.name))
        return found


class GeneratorReadmes(CommandCase):
    """The examples of generate_data.py in the READMEs work."""

    def test_examples_of_the_readmes_run(self) -> None:
        text = "\n".join(
            (ROOT / folder / "README.md").read_text(encoding="utf-8")
            for folder in (".", "data_generation")
        )
        examples = re.findall(
            r"^    python generate_data\.py ([^&|\n]*)$", text, re.MULTILINE
        )
        self.assertGreater(len(examples), 2)
        for example in examples:
            with self.subTest(example):
                options = re.sub(r"--users \d+", "", example).split()
                if "--generate" in options:
                    # The options matter, not the size.
                    options += ["--users", "50", "--start", "2025-01-01"]
                if "--out-dir" not in options:
                    options += ["--out-dir", "."]
                with chdir(self.folder):
                    self.succeed(generate_data.main, *options)
