"""A folder without our files: what is missing, what is there instead, what is needed."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from unittest import mock

import ingest
from db.loading.messages import DELIMITERS
from tests.fault_case import zip_up
from tests.support import ShopCase, call, skip, skip_on_windows
from utils.contract import read_contract


class InputFolder(ShopCase):
    """A folder that lacks files is described in terms of what it has."""

    def list_lines(self, data_dir: Path | None = None) -> list[str]:
        """Return the lines of the error, after the path, when the folder is loaded."""
        data_dir = self.folder / "data" if data_dir is None else data_dir
        result = call(
            ingest.main, "--check", "--data-dir", data_dir, "--database", self.database
        )
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        prefix = f"ingest: error: {data_dir}: "
        self.assertTrue(result.stderr.startswith(prefix), result.stderr)
        return result.stderr.removeprefix(prefix).splitlines()

    def put_files(self, **contents: str) -> None:
        """Write *contents* to files of the folder; `__` in a name is a dot."""
        folder = self.folder / "data"
        folder.mkdir(exist_ok=True)
        for name, text in contents.items():
            (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")

    def test_missing_folder_is_named(self) -> None:
        self.assertEqual(
            self.list_lines(),
            ["no such folder. Name the files' folder with --data-dir."],
        )

    def test_export_of_another_shop_is_listed_with_its_columns_and_ours(self) -> None:
        self.put_files(
            customers__csv="id;name;email\n",
            users__txt="user_id,email,name\n",
            export__txt="Order ID,Customer ID,Ordered at,Status,Sub total,Total\n",
        )
        first, *lines = self.list_lines()
        self.assertEqual(
            first,
            "missing users.csv, products.csv, orders.csv, order_items.csv, payments.csv."
            " Put them there, or name their folder with --data-dir.",
        )
        self.assertEqual(
            lines[:6],
            [
                "Found instead:",
                ("  'users.txt': begins 'user_id,email,name'; rename it to users.csv"),
                (
                    "  'export.txt': begins 'Order ID,Customer ID,Ordered at,Status,S'…;"
                    " perhaps rename it to orders.csv"
                ),
                "  'customers.csv': begins 'id;name;email'",
                "Needed, with these columns:",
                (
                    "  users.csv: user_id,email,full_name,country_code,city,"
                    "acquisition_channel,signed_up_at"
                ),
            ],
        )
        self.assertEqual(len(lines), 10)
        self.assertNotIn("generate_data.py", "".join(lines))

    def test_columns_decide_before_the_name_and_no_name_is_proposed_twice(self) -> None:
        _, _, orders, items, _ = read_contract().tables
        self.put_files(
            orders_items__csv=",".join(items.column_names) + "\n",
            orders_old__csv="order_id,note\n",
            **{"payments.txt": "payment_id\n", "payments-old.txt": "payment_id\n"},
            purchases__csv=",".join(orders.column_names) + "\n",
        )
        ends = {
            line.split("'")[1]: line.partition("; ")[2]
            for line in self.list_lines()
            if line.startswith("  '")
        }
        self.assertEqual(
            ends,
            {
                "orders_items.csv": "perhaps rename it to order_items.csv",
                "orders_old.csv": "",
                "payments-old.txt": "",
                "payments.txt": "rename it to payments.csv",
                "purchases.csv": "perhaps rename it to orders.csv",
            },
        )

    def test_file_with_the_columns_of_a_table_that_is_there_is_not_proposed(self) -> None:
        self.put_files(
            order_items__csv="",
            orders_items__csv=",".join(read_contract().tables[3].column_names) + "\n",
        )
        (line,) = (line for line in self.list_lines() if "orders_items" in line)
        self.assertNotIn("rename", line)

    def test_file_in_another_case_is_named(self) -> None:
        self.put_files(Users__CSV="user_id,email,name\n")
        if (self.folder / "data" / "users.csv").exists():
            skip("this file system ignores case")
        self.assertIn(
            "  'Users.CSV': begins 'user_id,email,name'; rename it to users.csv",
            self.list_lines(),
        )

    def test_table_is_recognized_whatever_separates_its_columns(self) -> None:
        columns = read_contract().tables[2].column_names
        for delimiter, name in DELIMITERS.items():
            with self.subTest(name):
                self.put_files(export__txt=delimiter.join(columns) + "\n")
                described = next(line for line in self.list_lines() if "export" in line)
                self.assertTrue(described.endswith("; perhaps rename it to orders.csv"))

    def test_file_with_a_second_ending_and_an_archive_are_named(self) -> None:
        self.copy_sample()
        self.put_files(users__csv__txt="user_id,email\n")
        for name in ("products", "orders", "order_items"):
            (self.folder / f"{name}.csv").rename(self.folder / "data" / f"{name}.csv")
        archive = self.folder / "data" / "payments.zip"
        archive.write_bytes(zip_up("payments.csv"))
        lines = self.list_lines()
        self.assertIn("missing users.csv, payments.csv. Put them there", lines[0])
        self.assertEqual(
            lines[1:4],
            [
                "Found instead:",
                "  'payments.zip': a ZIP archive; unpack it",
                "  'users.csv.txt': begins 'user_id,email'; rename it to users.csv",
            ],
        )
        self.assertEqual(len(lines), 7)

    def test_generator_is_proposed_only_in_a_project_root_without_files(self) -> None:
        self.put_files(note__txt="hello\n")
        root = self.folder / "data"
        with mock.patch("db.loading.inputs.PROJECT_ROOT", root.resolve()):
            (line,) = self.list_lines()
            command = f"python generate_data.py --generate --out-dir {quote(str(root))}"
            self.assertTrue(line.endswith(f", or make them: {command}"), line)
            self.put_files(users__txt="user_id,email\n")
            self.assertNotIn("generate_data.py", "".join(self.list_lines()))

    def test_parts_are_named_with_the_command_that_joins_them(self) -> None:
        self.put_files(users__csv="", **{"orders.csv.part-1-of-2": ""})
        (line,) = self.list_lines()
        self.assertIn(". It contains parts of files: join the parts of each file", line)
        self.assertIn("'cat orders.csv.part-* > orders.csv'", line)

    def test_parts_of_a_file_that_is_there_are_not_proposed(self) -> None:
        self.put_files(users__csv="", **{"users.csv.part-1-of-2": ""})
        self.assertNotIn("cat ", "".join(self.list_lines()))

    def test_folder_within_the_folder_that_has_all_files_is_named(self) -> None:
        self.copy_sample()
        inner = self.folder / "data" / "shop"
        inner.mkdir(parents=True)
        for path in self.folder.glob("*.csv"):
            path.rename(inner / path.name)
        (line,) = self.list_lines()
        end = ". Its folder 'shop' has all of them: name it with --data-dir."
        self.assertTrue(line.endswith(end), line)

    def test_odd_names_and_many_files_stay_one_line_each(self) -> None:
        skip_on_windows("no such name is possible there")
        self.put_files(**{f"a{number:02}.csv": "" for number in range(20)})
        (self.folder / "data" / "a\n\x1b[31m.csv").write_text("x\ny", encoding="utf-8")
        lines = self.list_lines()
        self.assertIn(r"  'a\n\x1b[31m.csv': begins 'x'", lines)
        self.assertEqual(lines[12], "  and 11 more files")
