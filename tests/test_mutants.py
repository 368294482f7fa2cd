"""The mutation test changes what it should, and each change is a valid program."""

from __future__ import annotations

import ast
import shutil
import unittest

from benchmarks.mutants import PythonSource, is_valid, sample_changes
from tests.support import ROOT, skip

SOURCE = b'''"""A docstring with 1 number."""


def find(values: list["int"], limit: int = 10) -> int | None:
    """Return the first of *values* below *limit*."""
    for value in values:
        if value < limit and not value == 3:
            return value  # a comment
    values.append("caf\xc3\xa9")
    return None
'''


class Mutations(unittest.TestCase):
    """The mutations of a module."""

    def test_changes_are_those_of_each_statement(self) -> None:
        statements = PythonSource("find.py", SOURCE).find_statements()
        changes = [change for changes in statements for change in changes]
        found = {(change.line, change.kind, change.text) for change in changes}
        self.assertEqual(
            found,
            {
                (4, "off by one", "(10 + 1)"),
                (7, "negate condition", "(not (value < limit and not value == 3))"),
                (7, "and/or", "or"),
                (7, "comparison", "<="),
                (7, "comparison", "!="),
                (7, "drop sign", "(value == 3)"),
                (7, "off by one", "(3 + 1)"),
                (8, "return None", "return None"),
                (9, "remove statement", "pass"),
                (9, "text", "~"),
            },
        )

    def test_each_change_leaves_a_valid_program(self) -> None:
        for changes in PythonSource("find.py", SOURCE).find_statements():
            for change in changes:
                with self.subTest(change=change):
                    self.assertTrue(is_valid(change, SOURCE))
                    ast.parse(change.apply(SOURCE))

    def test_same_seed_draws_the_same_changes(self) -> None:
        if not (ROOT / ".git").exists() or shutil.which("git") is None:
            skip("the sample is drawn from the tracked files of a Git clone: needs git")
        first, again, other = (
            sample_changes(ROOT, ["utils"], seed, 5) for seed in (1, 1, 2)
        )
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertEqual(len({(change.path, change.line) for change in first}), 5)
