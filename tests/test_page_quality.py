"""The page has no fault that axe-core or Lighthouse finds.

In a module of its own, because Lighthouse measures speed: it runs when all other tests have
ended.
"""

from __future__ import annotations

from tests.support import skip_or_fail
from tests.test_page import BrowserCase, find_modules


class PageQuality(BrowserCase):
    """The page as axe-core and Lighthouse judge it; the latter measures its speed."""

    def test_axe_core_and_lighthouse_find_no_fault(self) -> None:
        for package in ("axe-core", "lighthouse"):
            if not (find_modules() / package).is_dir():
                skip_or_fail(
                    self, f"SHOP_NODE_MODULES names no folder that contains {package}"
                )
        self.expect_checks("check_quality.js", at_least=6)
