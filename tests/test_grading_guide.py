"""The grading guide's commands run in the order in which a reader copies them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

from tests.documents import copy_project
from tests.support import IN_CI, ROOT, ShopCase, skip, skip_on_windows

# The server runs until it is stopped, and other tests run it; the tests do not run
# themselves; a new virtual environment needs the network.
LEFT_TO_OTHERS = ("serve_frontend.py", "-m unittest", "venv", "tests.cdnow", "../cdnow")

# What some commands must print, by a part of the command.
EXPECTED = {
    "--report": "Sound.",
    "filecmp": "'products.csv', 'datapackage.json'], [], [])",
    "--verify": "exactly what this seed makes",
    "cmp -": "the same",
    "--grade": "Full marks",
    "--score": "forecast and ground truth",
}


def read_commands() -> Iterator[str]:
    """Yield the commands of the guide's indented blocks."""
    text = (ROOT / "grading_guide.md").read_text(encoding="utf-8")
    for command in re.findall(r"^    (\S.*)$", text, re.MULTILINE):
        if not any(words in command for words in LEFT_TO_OTHERS):
            yield command


class GradingGuide(ShopCase):
    """The commands of the grading guide work as printed, in a copy of the project."""

    def test_every_command_succeeds_and_prints_what_the_guide_expects(self) -> None:
        skip_on_windows("the grading guide's commands are those of a POSIX shell")
        if not IN_CI:
            skip("the grading guide's commands run in CI only: they take a minute")
        copy = copy_project(self.folder)
        bin_dir = self.folder / "bin"
        bin_dir.mkdir()
        (bin_dir / "python").symlink_to(sys.executable)
        path = os.pathsep.join([str(bin_dir), os.environ["PATH"]])
        commands = list(read_commands())
        self.assertGreater(len(commands), 12)
        for command in commands:
            finished = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=copy,
                env={**os.environ, "PATH": path},
                capture_output=True,
                encoding="utf-8",
                timeout=300,
                check=False,
            )
            with self.subTest(command):
                self.assertEqual((finished.returncode, finished.stderr), (0, ""))
                for part, text in EXPECTED.items():
                    if part in command:
                        self.assertIn(text, finished.stdout)
