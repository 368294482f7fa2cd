"""query_result.json has the form that queries/query_result.schema.json states."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import json
import unittest
from functools import cache
from typing import Any

import run_query
from queries.query_file import QUERY_PATH
from queries.run_query import SCHEMA_VERSION
from tests.shop import create_empty_shop, create_shop
from tests.support import ShopCase, sample_shop, skip_or_fail

SCHEMA_PATH = QUERY_PATH.with_name("query_result.schema.json")

# One run for each form of the document: by month and by quarter, with segments, with a
# forecast and with a refused one.  `sample_shop` holds the result without options.
ARGUMENTS: list[list[str]] = [
    ["--forecast"],
    ["--by", "channel"],
    ["--by", "category", "--cohort", "quarter", "--forecast"],
    ["--as-of", "2024-03-15", "--forecast"],
    ["--valid-status", "pending"],
]


@cache
def load_validator() -> Any:
    """Return a validator of the schema, which must be valid itself."""
    library: Any = importlib.import_module("jsonschema")
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    library.Draft202012Validator.check_schema(schema)
    return library.Draft202012Validator(schema)


def read_sample() -> dict[str, Any]:
    """Return the document of the sample shop."""
    text = (sample_shop() / "query_result.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


class ResultSchema(ShopCase):
    """The schema accepts every result, and nothing else."""

    def setUp(self) -> None:
        """Skip the test without the validator."""
        super().setUp()
        if importlib.util.find_spec("jsonschema") is None:
            skip_or_fail(self, "jsonschema is not installed: the JSON was not validated")

    def compute(self, *arguments: object) -> dict[str, Any]:
        """Return the document that a run with *arguments* writes."""
        self.succeed(run_query.main, "--out-dir", self.folder, *arguments)
        text = (self.folder / "query_result.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        return document

    def list_faults(self, document: dict[str, Any]) -> list[str]:
        """Return the faults that the schema finds in *document*."""
        return [
            f"{error.json_path}: {error.message:.200}"
            for error in load_validator().iter_errors(document)
        ]

    def test_result_without_options_is_valid(self) -> None:
        self.assertEqual(self.list_faults(read_sample()), [])

    def test_result_of_every_option_is_valid(self) -> None:
        for arguments in ARGUMENTS:
            with self.subTest(arguments):
                database = sample_shop() / "shop.db"
                document = self.compute("--database", database, *arguments)
                self.assertEqual(self.list_faults(document), [])

    def test_result_of_a_small_or_empty_shop_is_valid(self) -> None:
        for create in (create_shop, create_empty_shop):
            with self.subTest(create.__name__):
                self.database.unlink(missing_ok=True)
                create(self.database)
                document = self.compute("--database", self.database, "--forecast")
                self.assertEqual(self.list_faults(document), [])

    def test_result_of_another_engine_is_valid(self) -> None:
        document = read_sample()
        document["database"] = {"engine": "spark", "version": "4.3.0"}
        self.assertEqual(self.list_faults(document), [])
        document["database"]["bytes"] = 1
        self.assertNotEqual(self.list_faults(document), [])

    def test_missing_unknown_and_mistyped_values_are_rejected(self) -> None:
        valid = read_sample()
        changes: dict[str, Any] = {
            "another version": lambda d: d.update(schema_version="3.0"),
            "no cells": lambda d: d.pop("cells"),
            "a CLV without months": lambda d: d["summary"]["clv"][0].pop("months"),
            "three CLVs": lambda d: d["cohorts"][0]["clv"].pop(),
            "an unknown name": lambda d: d["summary"].update(ltv=1),
            "a flag of 2": lambda d: d["cells"][0].update(is_complete=2),
            "money as text": lambda d: d["cells"][0].update(net_cents="1"),
            "a cohort without a name": lambda d: d["cohorts"][0].pop("cohort"),
        }
        for name, change in changes.items():
            with self.subTest(name):
                document = copy.deepcopy(valid)
                change(document)
                self.assertNotEqual(self.list_faults(document), [])


class SchemaVersion(unittest.TestCase):
    """The version of the schema is that of the documents."""

    def test_version_is_in_the_title_of_the_schema(self) -> None:
        title = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))["title"]
        self.assertEqual(title, f"query_result.json, version {SCHEMA_VERSION}")
