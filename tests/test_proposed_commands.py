"""The commands that the scripts propose have the options of the present run."""

from __future__ import annotations

import re
import shlex
from unittest import mock

import ingest
import run_query
import serve_frontend
from frontend.server import DashboardServer
from tests.load_case import set_cell_of
from tests.support import call
from tests.test_verify import VerifyCase
from utils.arguments import complete_commands


class OptionsInUse(VerifyCase):
    """A proposed command can be run as it is."""

    def test_failed_verification_proposes_the_command_with_its_options(self) -> None:
        self.edit_line("users.csv", 3, lambda line: set_cell_of(line, 4, "Elsewhere"))
        stdout = self.verify().stdout
        folder, database = (shlex.quote(str(p)) for p in (self.folder, self.database))
        self.assertIn(
            f"python ingest.py --ingest --data-dir {folder} --database {database}\n", stdout
        )

    def test_rows_of_a_finding_are_listed_by_the_command_with_its_database(self) -> None:
        self.change("UPDATE orders SET total_cents = total_cents + 1 WHERE order_id = 1")
        stdout = self.report().stdout
        database = shlex.quote(str(self.database))
        self.assertRegex(
            stdout,
            rf"    python ingest\.py --rows \w+ --database {re.escape(database)}\n",
        )

    def test_generated_files_are_made_again_in_their_folder(self) -> None:
        args = ingest.build_parser().parse_args(["--verify", "--data-dir", "a shop"])
        text = "Make the files again: python generate_data.py --generate"
        self.assertEqual(complete_commands(text, args), f"{text} --out-dir 'a shop'")

    def test_defaults_are_not_repeated(self) -> None:
        args = ingest.build_parser().parse_args(["--verify"])
        text = "Load the files again: python ingest.py --ingest"
        self.assertEqual(complete_commands(text, args), text)

    def test_refused_database_is_loaded_by_the_command_with_its_name(self) -> None:
        path = self.folder / "a shop's.db"
        command = f": python ingest.py --ingest --database {shlex.quote(str(path))}\n"
        for main, action in ((ingest.main, ["--report"]), (run_query.main, [])):
            result = call(main, *action, "--database", path, "--out-dir", self.folder)
            self.assertEqual(result.status, 1)
            self.assertIn(command, result.stderr)

    def test_missing_results_are_made_by_the_commands_with_their_folder(self) -> None:
        empty = self.folder / "empty"
        empty.mkdir()
        with mock.patch.object(DashboardServer, "serve_forever"):
            result = call(serve_frontend.main, "--results-dir", empty, "--port", "0")
        for command in ("python ingest.py --report", "python run_query.py"):
            words = f"{command} --out-dir {shlex.quote(str(empty))}\n"
            self.assertIn(words, result.stderr)

    def test_verification_without_the_folder_of_the_load_names_data_dir(self) -> None:
        empty = self.folder / "empty"
        empty.mkdir()
        result = call(
            ingest.main, "--verify", "--data-dir", empty, "--database", self.database,
            "--out-dir", self.folder,
        )  # fmt: skip
        self.assertEqual(result.status, 1)
        hint = "is as it was loaded. If the files are in another folder, name it with"
        self.assertIn(f"no CSV file in {empty} {hint} --data-dir.\n", result.stdout)
        self.edit_line("users.csv", 3, lambda line: set_cell_of(line, 4, "Elsewhere"))
        self.assertNotIn(hint, self.verify().stdout)
