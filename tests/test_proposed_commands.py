"""The commands that ingest.py proposes have the options of the present run."""

from __future__ import annotations

import re
import shlex

import ingest
from tests.load_case import set_cell_of
from tests.support import call
from tests.test_verify import VerifyCase


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
            rf"All rows: python ingest\.py --rows \w+ --database {re.escape(database)}\n",
        )

    def test_defaults_are_not_repeated(self) -> None:
        args = ingest.build_parser().parse_args(["--verify"])
        text = "Load the files again: python ingest.py --ingest"
        self.assertEqual(ingest.add_options_in_use(text, args), text)

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
