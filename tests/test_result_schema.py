"""query_result.json has the shape that queries/query_result.schema.json states."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import json
import unittest
from typing import Any

import run_query
from queries.cohort_query import QUERY_PATH
from queries.run_query import SCHEMA_VERSION
from tests.shop import create_empty_shop, create_shop
from tests.support import ShopCase, sample_shop, skip_or_fail

SCHEMA_PATH = QUERY_PATH.with_name("query_result.schema.json")

# Each kind of document: by month and quarter, of segments, with a forecast or its refusal.
WAYS: list[list[str]] = [
    [],
    ["--forecast"],
    ["--by", "channel"],
    ["--by", "category", "--cohort", "quarter", "--forecast"],
    ["--as-of", "2024-03-15", "--forecast"],
    ["--valid-status", "pending"],
]


class TheSchema(ShopCase):
    """Holds every result, and nothing else."""

    def setUp(self) -> None:
        """Get the validator, or skip."""
        super().setUp()
        if importlib.util.find_spec("jsonschema") is None:
            skip_or_fail(self, "jsonschema is not installed: the JSON's shape was not held")
        library: Any = importlib.import_module("jsonschema")
        schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
        library.Draft202012Validator.check_schema(schema)
        self.validator = library.Draft202012Validator(schema)

    def compute(self, *arguments: object) -> dict[str, Any]:
        """Return the document that a run with *arguments* writes."""
        self.succeed(run_query.main, "--out-dir", self.folder, *arguments)
        text = (self.folder / "query_result.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        return document

    def list_faults(self, document: dict[str, Any]) -> list[str]:
        """Return what the schema says against *document*."""
        return [
            f"{error.json_path}: {error.message:.200}"
            for error in self.validator.iter_errors(document)
        ]

    def test_holds_the_result_of_every_option(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                document = self.compute("--database", sample_shop() / "shop.db", *way)
                self.assertEqual(self.list_faults(document), [])

    def test_holds_the_result_of_shops_with_little_or_nothing(self) -> None:
        for create in (create_shop, create_empty_shop):
            with self.subTest(create.__name__):
                self.database.unlink(missing_ok=True)
                create(self.database)
                document = self.compute("--database", self.database, "--forecast")
                self.assertEqual(self.list_faults(document), [])

    def test_holds_the_result_of_another_engine(self) -> None:
        document = self.compute("--database", sample_shop() / "shop.db")
        document["database"] = {"engine": "spark", "version": "4.3.0"}
        self.assertEqual(self.list_faults(document), [])
        document["database"]["bytes"] = 1
        self.assertNotEqual(self.list_faults(document), [])

    def test_refuses_what_is_missing_unknown_or_of_another_kind(self) -> None:
        sound = self.compute("--database", sample_shop() / "shop.db")
        spoilers: dict[str, Any] = {
            "another version": lambda d: d.update(schema_version="3.0"),
            "no cells": lambda d: d.pop("cells"),
            "a CLV without months": lambda d: d["summary"]["clv"][0].pop("months"),
            "a name nobody knows": lambda d: d["summary"].update(clv=1),
            "a flag of 2": lambda d: d["cells"][0].update(is_complete=2),
            "money in text": lambda d: d["cells"][0].update(net_cents="1"),
            "a cohort without a name": lambda d: d["cohorts"][0].pop("cohort"),
        }
        for name, spoil in spoilers.items():
            with self.subTest(name):
                document = copy.deepcopy(sound)
                spoil(document)
                self.assertNotEqual(self.list_faults(document), [])


class TheVersion(unittest.TestCase):
    """Of the schema is that of the documents."""

    def test_is_named_in_its_title(self) -> None:
        title = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))["title"]
        self.assertEqual(title, f"query_result.json, version {SCHEMA_VERSION}")


if __name__ == "__main__":
    unittest.main()
