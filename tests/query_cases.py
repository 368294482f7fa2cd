"""What the tests of the cohort query share."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import run_query
from queries import run_query as query
from queries.options import Options
from tests.recount import COLUMNS
from tests.shop import Row, create_shop
from tests.support import (
    Result,
    ShopCase,
    call,
)
from utils.contract import PROVENANCE_TABLE

GRAINS = ("month", "quarter")


SEGMENTS = (None, "channel", "country", "category")

# The names of the cells in the JSON.
NAMES = ("cohort", *COLUMNS[1:])


def find_clv(record: Mapping[str, Any], months: int) -> dict[str, Any]:
    """Return the CLV at *months* of a cohort, or of a summary, of the JSON."""
    (clv,) = (clv for clv in record["clv"] if clv["months"] == months)
    return dict(clv)


def find_line(lines: Sequence[str], start: str) -> int:
    """Return the index of the first line that starts with *start*."""
    return next(at for at, line in enumerate(lines) if line.startswith(start))


class QueryCase(ShopCase):
    """A test with a database and a folder for results, both in `self.folder`."""

    @property
    def out_dir(self) -> Path:
        """Return the folder of the results."""
        return self.folder / "out"

    def run_query(self, *arguments: object) -> Result:
        """Run the script on the folder's database, without a forecast by default."""
        choice = () if "--forecast" in arguments else ("--no-forecast",)
        place = ("--database", self.database, "--out-dir", self.out_dir)
        return call(run_query.main, *place, *choice, *arguments)

    def read_document(self, *arguments: object) -> dict[str, Any]:
        """Run the script, which must succeed without messages; return its JSON."""
        result = self.run_query(*arguments)
        self.assertEqual((result.status, result.stderr), (0, ""), result)
        document: dict[str, Any] = json.loads(self.read("query_result.json"))
        return document

    def read(self, name: str) -> bytes:
        """Return the bytes of a result."""
        return (self.out_dir / name).read_bytes()

    def cells(self) -> list[dict[str, Any]]:
        """Return the cells of the folder's database."""
        cells: list[dict[str, Any]] = self.read_document()["cells"]
        return cells

    def set_as_of(self, as_of: str) -> None:
        """Change the as-of day of the folder's database."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute(
                f"UPDATE {PROVENANCE_TABLE} SET value = ? WHERE property = 'as_of'",
                (as_of,),
            )
            connection.commit()

    def create_orders(self, *orders: Row, as_of: str, **tables: Sequence[Row]) -> None:
        """Create a shop of *orders*: order_id, user_id, day, status and cents of each.

        The cents are those of one mug; *tables* may replace items and payments.
        """
        items = [(key, key, 2, 1, cents, 0, cents) for key, _, _, _, cents in orders]
        rows = {"order_items": items, "payments": []} | tables
        order_rows = [
            (key, user_id, f"{day}T12:00:00Z", status, cents, 0, 0, 0, cents)
            for key, user_id, day, status, cents in orders
        ]
        self.database.unlink(missing_ok=True)
        create_shop(self.database, orders=order_rows, as_of=as_of, **rows)


class OptionsCase(QueryCase):
    """A test that queries the folder's database with options."""

    def compute(
        self, grain: str = "month", by: str | None = None, as_of: str | None = None
    ) -> dict[str, Any]:
        """Return the document of the folder's database."""
        options = Options(grain, by, as_of)
        return query.compute_result(self.database, options=options).document

    def generate_shop(self, seed: int, start: str, end: str, users: int = 200) -> None:
        """Load a generated shop into the folder's database."""
        self.generate("--seed", seed, "--users", users, "--start", start, "--end", end)
        self.assertEqual(self.ingest().status, 0)


class RefusalCase(QueryCase):
    """A test with results that a refused run must not change."""

    def setUp(self) -> None:
        """Query the small shop, so that there are results to keep."""
        super().setUp()
        create_shop(self.database)
        self.read_document()
        self.results = self.read("query_result.csv"), self.read("query_result.json")

    def assert_refused(self, *expected: str, arguments: Sequence[object] = ()) -> None:
        """Fail unless the run is refused with the *expected* texts and changed nothing."""
        result = self.run_query(*arguments)
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        self.assertTrue(result.stderr.startswith("run_query: error: "), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for text in expected:
            self.assertIn(text, result.stderr)
        self.assertEqual(
            (self.read("query_result.csv"), self.read("query_result.json")), self.results
        )
        self.assertEqual(len(os.listdir(self.out_dir)), 2)
