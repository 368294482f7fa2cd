"""The documents are true: their commands are run, their output is compared."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import unittest
from pathlib import Path

from tests.documents import (
    OUTPUT_FOLDERS,
    OUTPUTS,
    WITH_OUTPUT,
    copy_project,
    read_documents,
    renew_documents,
)
from tests.support import IN_CI, ROOT, ShopCase

PACKAGES = ("data_generation", "db", "queries", "utils", "frontend")
SCRIPTS = ("generate_data", "ingest", "run_query", "serve_frontend")

# A file named in a document, with its folder or a pattern for its name.
FILE_NAME = r"`([\w.-]+(?:/[\w.*-]+)*\.(?:py|sql|md|js|css|html|json))`"

# The layout in design_notes.md: the indented block that begins with the four scripts.
LAYOUT = re.compile(
    r"^    generate_data\.py +ingest\.py.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL
)


def list_documents() -> dict[str, str]:
    """Return the text of each Markdown document of the project, by name."""
    folders = (*PACKAGES, "tests", "benchmarks")
    paths = [*ROOT.glob("*.md"), *(p for f in folders for p in (ROOT / f).rglob("*.md"))]
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(paths)
        if path.relative_to(ROOT).as_posix() not in OUTPUTS
    }


def list_files(folder: Path) -> set[str]:
    """Return the files below *folder*, without caches."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


class FirstRun(ShopCase):
    """The commands of the documents work in a fresh copy of the project."""

    def test_commands_print_what_the_documents_show(self) -> None:
        # The generator's README shows a shop of 20,000 users.
        shown = read_documents(WITH_OUTPUT if IN_CI else WITH_OUTPUT[:2])
        renewed = renew_documents(shown, self.folder)
        for name, text in shown.items():
            with self.subTest(name):
                self.assertEqual(text.splitlines(), renewed[name].splitlines())
        made = list_files(self.folder / "shop") - list_files(
            copy_project(self.make_folder("untouched"))
        )
        beside = {name for name in made if name.split("/")[0] in OUTPUT_FOLDERS}
        self.assertEqual(made - beside, OUTPUTS)

    def make_folder(self, name: str) -> Path:
        """Return a new folder."""
        folder = self.folder / name
        folder.mkdir()
        return folder

    def test_git_ignores_every_output(self) -> None:
        rules = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
        beside = [f"{folder}/users.csv" for folder in OUTPUT_FOLDERS]
        for output in (*OUTPUTS, *beside):
            with self.subTest(output):
                self.assertTrue(
                    f"/{output}" in rules
                    or f"/{output}*" in rules
                    or f"/{output.rpartition('/')[0]}/" in rules
                )


class Documents(unittest.TestCase):
    """The documents name only what exists."""

    def test_documents_link_only_to_files_that_exist(self) -> None:
        for name, text in list_documents().items():
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                path = (ROOT / name).parent / target
                self.assertTrue(path.exists(), f"{name}: {target}")

    def test_documents_name_only_files_that_exist(self) -> None:
        for document, text in list_documents().items():
            folder = (ROOT / document).parent
            for name in re.findall(FILE_NAME, text):
                is_found = any(
                    any(start.glob(pattern))
                    for start in (folder, ROOT)
                    for pattern in (name, f"*/{name}", f"*/*/{name}")
                )
                self.assertTrue(is_found or name in OUTPUTS, f"{document}: {name}")

    def test_layout_in_the_design_notes_shows_every_module_and_folder(self) -> None:
        layout = LAYOUT.search((ROOT / "design_notes.md").read_text(encoding="utf-8"))
        assert layout is not None
        shown = set(re.findall(r"\w+", layout[0]))
        modules = [p for package in PACKAGES for p in (ROOT / package).rglob("*.py")]
        for path in [*modules, *ROOT.glob("*.py")]:
            name = path.parent.name if path.name == "__init__.py" else path.stem
            self.assertIn(name, shown, path.relative_to(ROOT).as_posix())

    def test_layout_in_the_design_notes_shows_only_what_exists(self) -> None:
        layout = LAYOUT.search((ROOT / "design_notes.md").read_text(encoding="utf-8"))
        assert layout is not None
        for name in re.findall(r"\b\w+\.(?:py|sql|html|css|js)\b", layout[0]):
            self.assertTrue(any(ROOT.glob(f"**/{name}")), name)


def find_doctest_modules() -> list[str]:
    """Return the names of the modules whose doctests are part of the suite."""
    return [
        *SCRIPTS,
        *(
            module.name
            for package in (*PACKAGES, "benchmarks")
            for module in pkgutil.walk_packages([str(ROOT / package)], prefix=f"{package}.")
            # It imports the package that it measures.
            if module.name != "benchmarks.faker_shop"
        ),
    ]


def load_tests(
    _loader: unittest.TestLoader, tests: unittest.TestSuite, _pattern: str | None
) -> unittest.TestSuite:
    """Add the doctests of every module to *tests*."""
    for name in find_doctest_modules():
        tests.addTests(doctest.DocTestSuite(importlib.import_module(name)))
    return tests
