"""The tests.  `python -m unittest` calls `load_tests`, which runs them in parallel."""

from __future__ import annotations

import unittest


def load_tests(
    loader: unittest.TestLoader, _tests: unittest.TestSuite, _pattern: str | None
) -> unittest.TestSuite:
    """Return all tests, as a suite that uses every processor."""
    # Here, because a run of one module needs none of it.
    from tests.parallel import discover

    return discover(loader)
