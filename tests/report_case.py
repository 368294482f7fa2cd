"""What the tests of the report share: reports on the shop computed by hand."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from db.reporting.checks import BUILT_IN_CHECKS, CHECKS_DIR
from db.reporting.report import Report, Row, read_report, run_trends
from tests.shop import create_shop
from tests.support import ShopCase
from utils.database import find_as_of, read_provenance

CHECK_COUNT = len(list(CHECKS_DIR.glob("*.sql"))) + len(BUILT_IN_CHECKS)


class ReportCase(ShopCase):
    """A test of the report on a shop in the temporary folder `self.folder`."""

    def make_shop(self, **rows: Any) -> Path:
        """Create the shop computed by hand, with *rows* instead of its own."""
        self.database.unlink(missing_ok=True)
        return create_shop(self.database, **rows)

    def report_shop(self, **rows: Any) -> Report:
        """Return the report on a shop with *rows*, as `report.json` contains it."""
        text = json.dumps(read_report(self.make_shop(**rows))) if rows else _sound_report()
        report: Report = json.loads(text)
        return report

    def trends(self, **rows: Any) -> dict[str, Row]:
        """Return the trends of a shop with *rows*, without the rest of a report."""
        with closing(sqlite3.connect(self.make_shop(**rows))) as connection:
            return run_trends(connection, find_as_of(read_provenance(connection)))

    def trend(self, name: str, **rows: Any) -> list[Row]:
        """Return the rows of the trend *name* for a shop with *rows*."""
        found: list[Row] = self.trends(**rows)[name]["rows"]
        return found


@cache
def _sound_report() -> str:
    """Return the report on the shop computed by hand, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        return json.dumps(read_report(create_shop(Path(folder, "shop.db"))))
