"""`ingest.py --verify`: the chain from the manifest to the query result, link by link."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import sqlite3
import unittest
from contextlib import closing
from pathlib import Path

import ingest
from db.digest import dataset_digest, provenance_digest, table_digest
from tests.support import IN_CI, Result, ShopCase, call, sample_shop
from utils.contract import SCHEMA_PATH, Table, read_contract

RESULTS = ["report.json", "report.md", "query_result.csv", "query_result.json"]


class ChainCase(ShopCase):
    """A test with the sample shop, taken through the whole path, in its folder."""

    def setUp(self) -> None:
        """Copy all of it."""
        super().setUp()
        shutil.copytree(sample_shop(), self.folder, dirs_exist_ok=True)

    def verify(self) -> Result:
        """Walk the chain."""
        return call(
            ingest.main, "--verify", "--data-dir", self.folder,
            "--database", self.database, "--out-dir", self.folder,
        )  # fmt: skip

    def find_broken(self) -> dict[str, str]:
        """Return the broken links, by name, with what is said of them."""
        result = self.verify()
        self.assertNotIn("Traceback", result.stderr)
        broken = dict(re.findall(r"^  broken  (.+?): (.+)$", result.stdout, re.MULTILINE))
        self.assertEqual(result.status, int(bool(broken)), result)
        if broken:
            self.assertRegex(
                result.stderr, rf"error: {len(broken)} of \d+ links are broken"
            )
        return broken

    def change(self, sql: str, *parameters: object) -> None:
        """Change the database behind everybody's back, past its rules."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("PRAGMA foreign_keys = OFF")
            self.assertEqual(connection.execute(sql, parameters).rowcount, 1)
            connection.commit()


class AWholeChain(ChainCase):
    """Nothing was changed."""

    def test_holds_in_every_link(self) -> None:
        result = self.verify()
        self.assertEqual((result.status, result.stderr), (0, ""))
        *links, last = result.stdout.splitlines()
        self.assertEqual(len(links), 5 + 1 + 5 + 1 + 2 + 2)
        self.assertEqual(last, f"All {len(links)} links hold.")
        self.assertTrue(all(link.startswith("  holds   ") for link in links), links)

    def test_says_nothing_when_quiet(self) -> None:
        result = call(
            ingest.main, "--verify", "--quiet", "--data-dir", self.folder,
            "--database", self.database, "--out-dir", self.folder,
        )  # fmt: skip
        self.assertEqual(result, Result(0, "", ""))

    def test_holds_for_files_that_are_not_canonical(self) -> None:
        path = self.folder / "users.csv"
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        with open(path, "w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerows([header[::-1], *(row[::-1] for row in reversed(rows))])
        (self.folder / "datapackage.json").unlink()
        self.assertEqual(self.ingest("--report", "--out-dir", self.folder).status, 0)
        broken = self.find_broken()
        self.assertEqual(list(broken), ["database -> query_result.json"])

    def test_is_only_read(self) -> None:
        before = {path: path.read_bytes() for path in self.folder.iterdir()}
        self.verify()
        after = {path: path.read_bytes() for path in self.folder.iterdir()}
        self.assertEqual(after, before)


class OneChangedCell(ChainCase):
    """A single cell, anywhere, is found and named."""

    def test_of_any_column_in_the_database(self) -> None:
        sound = self.database.read_bytes()
        for table in read_contract().tables:
            for column in table.columns if IN_CI else table.columns[::3]:
                with self.subTest(table=table.name, column=column.name):
                    self.database.write_bytes(sound)
                    key = self.change_cell(table, column.name)
                    broken = self.find_broken()
                    place = broken[f"{table.name}.csv -> {table.name}"]
                    self.assertIn(f"{table.name}, {table.key[0]} {key}", place)
                    self.assertIn(f"in {table.name}.csv", place)
                    if column.name not in table.key:
                        self.assertIn(f": {column.name} is ", place)
                    self.assertIn("database -> report.json", broken)
                    self.assertTrue(any("-> query" in link for link in broken), broken)

    def change_cell(self, table: Table, column: str) -> int:
        """Change one cell; return its row's key."""
        key, (name,) = 7, table.key
        if column == name:
            self.change(f"UPDATE {table.name} SET {name} = 999999 WHERE {name} = {key}")
        elif table.find_column(column).type == "INTEGER":
            self.change(
                f"UPDATE {table.name} SET {column} = {column} + 1 WHERE {name} = {key}"
            )
        else:
            self.change(
                f"UPDATE {table.name} SET {column} = {column} || ' ' WHERE {name} = {key}"
            )
        return key

    def test_even_if_the_recorded_digests_are_changed_with_it(self) -> None:
        self.change("UPDATE users SET city = 'Elsewhere' WHERE user_id = 3")
        with closing(sqlite3.connect(self.database)) as connection:
            tables = read_contract().tables
            digests = {table.name: table_digest(connection, table) for table in tables}
            facts = [
                *((name, digest) for name, digest in digests.items()),
                ("dataset", dataset_digest(digests)),
            ]
            update = (
                "UPDATE submission_meta SET value = ? WHERE subject = ? AND property = ?"
            )
            for subject, digest in facts:
                connection.execute(update, (digest, subject, "content_sha256"))
            forged = provenance_digest(connection)
            connection.execute(update, (forged, "submission_meta", "content_sha256"))
            connection.commit()
        self.assertIn(
            "users, user_id 3: city is 'Elsewhere', and ",
            self.find_broken()["users.csv -> users"],
        )

    def test_a_row_too_many_or_too_few(self) -> None:
        self.change("DELETE FROM payments WHERE payment_id = 5")
        self.assertIn(
            "payment_id 5 is missing", self.find_broken()["payments.csv -> payments"]
        )
        self.change(
            "INSERT INTO products SELECT 999, 'X', product_name, category, brand,"
            " price_cents, cost_cents, launched_at FROM products WHERE product_id = 1"
        )
        self.assertIn(
            "products, product_id 999 is not in products.csv",
            self.find_broken()["products.csv -> products"],
        )

    def test_of_the_provenance(self) -> None:
        rows = self.query("SELECT subject, property FROM submission_meta")
        self.assertGreater(len(rows), 40)
        sound = self.database.read_bytes()
        for subject, name in rows if IN_CI else rows[::7]:
            with self.subTest(subject=subject, property=name):
                self.database.write_bytes(sound)
                self.change(
                    "UPDATE submission_meta SET value = '2020-01-01'"
                    " WHERE subject = ? AND property = ?",
                    subject, name,
                )  # fmt: skip
                result = self.verify()
                self.assertEqual(result.status, 1)

    def test_of_a_file(self) -> None:
        for table in read_contract().tables:
            with self.subTest(table.name):
                path = self.folder / f"{table.name}.csv"
                sound = path.read_bytes()
                head, digit, tail = re.split(
                    rb"([0-8])(?=[^0-9,\n]*,[^\n]*\n$)", sound, maxsplit=1
                )
                path.write_bytes(head + bytes([digit[0] + 1]) + tail)
                broken = self.find_broken()
                self.assertIn(f"datapackage.json -> {table.name}.csv", broken)
                self.assertIn(f"{table.name}.csv -> {table.name}", broken)
                path.write_bytes(sound)

    def test_of_the_manifest(self) -> None:
        path = self.folder / "datapackage.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        document["seed"] += 1
        path.write_text(json.dumps(document), encoding="utf-8")
        self.assertIn("datapackage.json -> database", self.find_broken())
        path.unlink()
        self.assertIn(
            "datapackage.json is missing",
            self.find_broken()["datapackage.json -> database"],
        )

    def test_of_a_result_wherever_it_is(self) -> None:
        chance = random.Random(4)  # noqa: S311
        for name in RESULTS:
            path = self.folder / name
            sound = path.read_text(encoding="utf-8")
            places = [match.start() for match in re.finditer("[0-9]", sound)]
            for place in chance.sample(places, 12 if IN_CI else 2):
                digit = str((int(sound[place]) + 1) % 10)
                with self.subTest(name=name, place=place):
                    path.write_text(
                        sound[:place] + digit + sound[place + 1 :],
                        encoding="utf-8",
                        newline="\n",
                    )
                    broken = self.find_broken()
                    (link,) = broken
                    self.assertTrue(link.endswith(f"-> {name}"), broken)
            path.write_text(sound, encoding="utf-8", newline="\n")


class AMissingLink(ChainCase):
    """What is not there is named, with what makes it."""

    def test_is_named_with_the_command_that_makes_it(self) -> None:
        for name, remedy in (
            ("report.json", "python ingest.py --report"),
            ("report.md", "python ingest.py --report"),
            ("query_result.csv", "python run_query.py"),
            ("query_result.json", "python run_query.py"),
        ):
            with self.subTest(name):
                path = self.folder / name
                kept = path.read_bytes()
                path.unlink()
                ((link, fault),) = self.find_broken().items()
                self.assertTrue(link.endswith(f"-> {name}"), link)
                self.assertIn(f"{name} is missing", fault)
                self.assertIn(remedy, fault)
                path.write_bytes(kept)

    def test_is_a_file_of_the_load(self) -> None:
        (self.folder / "orders.csv").unlink()
        self.assertEqual(
            sorted(self.find_broken()),
            ["datapackage.json -> orders.csv", "orders.csv -> orders"],
        )

    def test_is_the_database(self) -> None:
        self.database.unlink()
        result = self.verify()
        self.assertEqual(result.status, 1)
        self.assertIn("shop.db: no such file", result.stderr)

    def test_is_a_file_that_can_no_longer_be_loaded(self) -> None:
        path = Path(self.folder / "users.csv")
        path.write_text("user_id;email\n", encoding="utf-8")
        self.assertIn("can no longer be loaded", self.find_broken()["users.csv -> users"])

    def test_is_the_schema_of_the_load(self) -> None:
        schema = self.folder / "schema.sql"
        text = SCHEMA_PATH.read_text(encoding="utf-8")
        schema.write_text(text + "-- one more remark\n", encoding="utf-8")
        result = call(
            ingest.main, "--verify", "--data-dir", self.folder, "--schema", schema,
            "--database", self.database, "--out-dir", self.folder,
        )  # fmt: skip
        self.assertEqual(result.status, 1)
        self.assertIn("the rules have changed since the load", result.stdout)


if __name__ == "__main__":
    unittest.main()
