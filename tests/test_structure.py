"""Rules of the project's structure: names, imports, doctests, words."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import unittest
from collections import defaultdict
from fnmatch import filter as filter_names
from functools import cache
from pathlib import Path

from tests.support import ROOT
from tests.test_documents import find_doctest_modules

PACKAGES = ("data_generation", "db", "queries", "frontend", "utils")
SCRIPTS = ("generate_data", "ingest", "run_query", "serve_frontend")

# The user chose these; every other module has a name of its own.
SHARED_FILE_NAMES = {"__init__.py", "generate_data.py", "ingest.py", "run_query.py"}

# What a module may import besides the standard library, where it does so within a function.
FOREIGN_IMPORTS = {"data_generation/spark_job.py": {"py4j", "pyspark"}}

# Public names that several modules define, and why.
SHARED_NAMES = {
    "main": "each script has one",
    "build_parser": "each script has one",
    "find_option_conflict": "each script has one",
    "run_verification": "of each script: what its --verify does",
}

# Words of the project's former private language; the style guide has the plain ones.  They
# are searched in lower case, which takes a third of the time of `re.IGNORECASE`.
UNPLAIN_WORDS = re.compile(
    r"(?<![a-z.])(?:roads?|tell|tells|telling|told|mend|mends|mended|mending|reckon\w*|wholly"
    r"|obey\w*|foretell\w*|foretold|(?:leave|leaves|leaving|left) away|for want of"
    r"|may be given again|what no shop knows|where chance starts|same shop goes on"
    r"|hung up|link by link|wants|wanted|asks|loose|loosely|rooms?|hoped|stands?|lies"
    r"|at all|says?|said|moments?)(?![a-z])"
)

# Where such a word is right, and why.
ALLOWED_WORDS = {
    ("tests/test_structure.py", ""): "the list itself",
    ("db/schema.sql", "tells"): "inside a CREATE statement, whose bytes SQLite stores",
    ("db/schema.sql", "obeys"): "a database records the digest of this file",
}


@cache
def list_files() -> list[str]:
    """Return the tracked files; without Git, those that a clone would have."""
    try:
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return sorted(
            path.relative_to(ROOT).as_posix()
            for path in ROOT.rglob("*")
            if path.suffix in {".py", ".sql", ".md", ".js", ".css", ".html", ".toml"}
            and not {".git", "node_modules"} & {*path.parts}
        )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def list_modules() -> list[str]:
    """Return the Python files of the scripts and packages."""
    return [
        name
        for name in list_files()
        if name.endswith(".py")
        and name.split("/")[0].removesuffix(".py") in (*PACKAGES, *SCRIPTS)
    ]


@cache
def read_tree(name: str) -> ast.Module:
    """Return the syntax tree of the file *name*."""
    return ast.parse((ROOT / name).read_bytes())


@cache
def list_imports(name: str) -> frozenset[str]:
    """Return the top-level packages that the file *name* imports."""
    found = set()
    for node in ast.walk(read_tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and node.level == 0, f"{name}: relative import"
            found.add(node.module.split(".")[0])
    return frozenset(found)


def find_module_names(document: Path) -> set[str]:
    """Return the names and patterns of Python files, such as `test_*.py`, in *document*."""
    return {*re.findall(r"[\w*]+\.py\b", document.read_text(encoding="utf-8"))}


class Imports(unittest.TestCase):
    """Scripts import packages, packages import utils, all import the standard library."""

    def test_packages_import_only_themselves_and_utils(self) -> None:
        for name in list_modules():
            package = name.split("/")[0]
            if package.endswith(".py"):
                continue
            allowed = {package, "utils"} if package != "utils" else {"utils"}
            upward = list_imports(name) & ({*PACKAGES, *SCRIPTS} - allowed)
            self.assertEqual(upward, set(), name)

    def test_scripts_do_not_import_each_other(self) -> None:
        for script in SCRIPTS:
            others = {*SCRIPTS} - {script}
            self.assertEqual(list_imports(f"{script}.py") & others, set(), script)

    def test_project_needs_only_the_standard_library(self) -> None:
        own = {*PACKAGES, *SCRIPTS}
        for name in list_modules():
            foreign = list_imports(name) - own - sys.stdlib_module_names
            self.assertLessEqual(foreign, FOREIGN_IMPORTS.get(name, set()), name)


class Scripts(unittest.TestCase):
    """What the scripts cannot share, because it precedes their imports, is equal."""

    def test_every_script_handles_ctrl_c_before_its_imports_in_the_same_way(self) -> None:
        handlings = {
            (ROOT / f"{script}.py")
            .read_text(encoding="utf-8")
            .partition("from __future__ import annotations\n")[2]
            .partition("import argparse\n")[0]
            for script in SCRIPTS
        }
        self.assertEqual(len(handlings), 1, handlings)
        self.assertIn("signal.SIG_DFL", *handlings)


class Names(unittest.TestCase):
    """Each public name has one meaning."""

    def test_no_two_modules_share_a_file_name(self) -> None:
        paths = defaultdict(list)
        for name in list_files():
            if name.endswith(".py"):
                paths[Path(name).name].append(name)
        shared = {
            name: found
            for name, found in paths.items()
            if len(found) > 1 and name not in SHARED_FILE_NAMES
        }
        self.assertEqual(shared, {})

    def test_no_two_modules_define_the_same_public_name(self) -> None:
        modules = defaultdict(list)
        for module in list_modules():
            for node in read_tree(module).body:
                if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                    continue
                if not node.name.startswith("_"):
                    modules[node.name].append(module)
        shared = {
            name: found
            for name, found in modules.items()
            if len(found) > 1 and name not in SHARED_NAMES
        }
        self.assertEqual(shared, {})


class Documents(unittest.TestCase):
    """What lists files lists all of them, and no other."""

    def test_readme_of_a_folder_names_its_modules(self) -> None:
        for document in list_files():
            folder = Path(document).parent
            if Path(document).name != "README.md" or folder == Path():
                continue
            modules = {
                path.name
                for path in map(Path, list_files())
                if path.parent == folder and path.suffix == ".py"
            }
            named = set()
            for pattern in find_module_names(ROOT / document):
                named |= {*filter_names(modules, pattern)}
            self.assertEqual(modules - named - {"__init__.py"}, set(), document)

    def test_layout_in_the_design_notes_lists_every_module(self) -> None:
        text = (ROOT / "design_notes.md").read_text(encoding="utf-8")
        layout = text.partition("## Layout\n")[2].partition("\n## ")[0]
        listed = {*re.findall(r"\w+", layout)}
        stems = {Path(name).stem for name in list_modules()} - {"__init__"}
        self.assertEqual(stems - listed, set())

    def test_every_module_that_a_document_names_exists(self) -> None:
        names = {Path(name).name for name in list_files()}
        for document in list_files():
            if document.endswith(".md"):
                for pattern in find_module_names(ROOT / document):
                    self.assertTrue(filter_names(names, pattern), (document, pattern))


class Doctests(unittest.TestCase):
    """Every doctest runs with the suite."""

    def test_every_module_with_a_doctest_is_in_the_suite(self) -> None:
        written = {
            name.removesuffix(".py").replace("/", ".")
            for name in list_files()
            if name.endswith(".py")
            and not name.startswith("tests/")
            and re.search(
                r"^ +>>> ", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
            )
        }
        self.assertLessEqual(written, {*find_doctest_modules()})
        self.assertGreater(len(written), 20)


class Words(unittest.TestCase):
    """All text is plain English."""

    def test_no_file_uses_the_former_private_language(self) -> None:
        hits = []
        for name in list_files():
            if name.endswith(".png"):
                continue
            text = (ROOT / name).read_text(encoding="utf-8")
            for number, line in enumerate(text.splitlines(), 1):
                hits += [
                    f"{name}:{number}: {line.strip()}"
                    for word in UNPLAIN_WORDS.findall(line.lower())
                    if not {(name, word), (name, "")} & ALLOWED_WORDS.keys()
                ]
        self.assertFalse(hits, "\n".join(hits))
