"""The documents tell the truth: their commands are run, their output is compared."""

from __future__ import annotations

import argparse
import doctest
import importlib
import pkgutil
import re
import unittest
from pathlib import Path

import generate_data
import ingest
import run_query
import serve_frontend
from tests.documents import OUTPUTS, copy_project, read_documents, renew_documents
from tests.support import ROOT, ShopCase

DOCUMENTS = ("README.md", "example_run.md", "design_notes.md", "grading_guide.md")
PACKAGES = ("data_generation", "db", "queries", "utils", "frontend")
SCRIPTS = (generate_data, ingest, run_query, serve_frontend)


# A file named in a document, with its folder or a pattern for its name.
FILE_NAME = r"`([\w.-]+(?:/[\w.*-]+)*\.(?:py|sql|md|js|css|html))`"


def list_files(folder: Path) -> set[str]:
    """Return the files below *folder*, caches left out."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


class ANewUser(ShopCase):
    """Follows the documents in a fresh copy of the project."""

    def test_sees_what_the_documents_show(self) -> None:
        shown = read_documents()
        renewed = renew_documents(shown, self.folder)
        for name, text in shown.items():
            with self.subTest(name):
                self.assertEqual(text.splitlines(), renewed[name].splitlines())
        made = list_files(self.folder / "shop") - list_files(
            copy_project(self.make_folder("untouched"))
        )
        self.assertEqual(made, OUTPUTS)

    def make_folder(self, name: str) -> Path:
        """Return a new folder."""
        folder = self.folder / name
        folder.mkdir()
        return folder

    def test_finds_only_outputs_that_git_ignores(self) -> None:
        rules = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
        for output in OUTPUTS:
            with self.subTest(output):
                self.assertTrue(
                    f"/{output}" in rules
                    or f"/{output}*" in rules
                    or f"/{output.rpartition('/')[0]}/" in rules
                )


class TheDocuments(unittest.TestCase):
    """Name what exists."""

    def test_link_only_to_files_that_exist(self) -> None:
        for document in DOCUMENTS:
            text = (ROOT / document).read_text(encoding="utf-8")
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                self.assertTrue((ROOT / target).exists(), f"{document}: {target}")

    def test_name_only_files_and_folders_that_exist(self) -> None:
        for document in DOCUMENTS:
            text = (ROOT / document).read_text(encoding="utf-8")
            for name in re.findall(FILE_NAME, text):
                found = [
                    *ROOT.glob(name),
                    *ROOT.glob(f"*/{name}"),
                    *ROOT.glob(f"*/*/{name}"),
                ]
                self.assertTrue(found or name in OUTPUTS, f"{document}: {name}")

    def test_the_readme_s_options_are_those_of_the_scripts(self) -> None:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        flags = re.MULTILINE | re.DOTALL
        for script in SCRIPTS:
            section = re.search(rf"^### `{script.__name__}\.py`\n(.*?)^##", text, flags)
            assert section is not None, script.__name__
            told = set(re.findall(r"^\| `(--[a-z-]+)", section[1], re.MULTILINE))
            self.assertEqual(told, _find_options(script.build_parser()), script.__name__)

    def test_the_map_shows_every_file_of_the_rooms(self) -> None:
        notes = (ROOT / "design_notes.md").read_text(encoding="utf-8")
        for package in PACKAGES:
            for path in sorted((ROOT / package).rglob("*")):
                name = path.relative_to(ROOT).as_posix()
                is_told = path.suffix in {".py", ".sql", ".js", ".css", ".html"}
                is_told = is_told and path.parent.name not in {"checks", "trends"}
                if is_told and path.name != "__init__.py":
                    self.assertIn(path.name, notes, name)


def _find_options(parser: argparse.ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }


def load_tests(
    _loader: unittest.TestLoader, tests: unittest.TestSuite, _pattern: str | None
) -> unittest.TestSuite:
    """Add the doctests of every module to *tests*."""
    names = [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages([str(ROOT / package)], prefix=f"{package}.")
    ]
    for name in (*names, *(script.__name__ for script in SCRIPTS)):
        tests.addTests(doctest.DocTestSuite(importlib.import_module(name)))
    return tests


if __name__ == "__main__":
    unittest.main()
