"""Faults are planted with a key that gives the clean files back, byte for byte."""

from __future__ import annotations

import atexit
import csv
import json
import shutil
import tempfile
import unittest
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import generate_data
import ingest
import run_query
from data_generation.datapackage import FileEntry
from data_generation.faults.fault_catalogue import KINDS
from data_generation.faults.fault_kinds import LANES
from data_generation.faults.fault_profiles import BUILT_IN, read_profile
from data_generation.faults.plant import plant_faults
from data_generation.generate_data import generate_shop
from data_generation.plan import DEFAULT_END, DEFAULT_START, Plan
from tests.support import (
    IN_CI,
    ROOT,
    Result,
    ShopCase,
    call,
    hash_folder,
    read_tree,
    run_script,
)
from utils.answer_key import (
    FAULT_COLUMNS,
    PlantedFault,
    read_decoys,
    read_planted_faults,
    read_planted_incidents,
)
from utils.helpers import DataError, hash_file

SEEDS = (90210, 7, 1015, 31337, 424242) if IN_CI else (90210,)

# Every kind has a row at risk in a shop of this size.
USERS = 1000


@cache
def clean_shop(seed: int) -> tuple[Path, Plan, list[FileEntry]]:
    """Return the folder of a clean shop, its plan and its files, made once."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    plan = Plan(seed, USERS, DEFAULT_START, DEFAULT_END, DEFAULT_END)
    return folder, plan, generate_shop(plan, folder)


@cache
def faulty_shop(profile: str, seed: int = SEEDS[0]) -> Path:
    """Return a folder with a shop, its faulty copy and their key, made once.

    *profile* is a name, or the text of a TOML file.
    """
    clean, plan, files = clean_shop(seed)
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(clean, folder, dirs_exist_ok=True)
    name = profile
    if profile not in BUILT_IN:
        name = str(folder / "profile.toml")
        Path(name).write_text(profile, encoding="utf-8")
    plant_faults(plan, folder, read_profile(name), files)
    return folder


def list_faults(folder: Path) -> list[PlantedFault]:
    """Return the faults in the key of the shop in *folder*."""
    return list(read_planted_faults(folder / "answer_key" / "faults.csv"))


class Catalogue(unittest.TestCase):
    """Every kind has lanes, numbers and names of its own."""

    def test_no_two_kinds_share_a_lane_a_number_or_a_name(self) -> None:
        for is_product in (False, True):
            kinds = [each for each in KINDS if (each.table == "products") == is_product]
            lanes = Counter(lane for kind in kinds for lane in kind.lanes)
            self.assertEqual([lane for lane, count in lanes.items() if count > 1], [])
            self.assertLess(max(lanes), LANES)
        for values in ([kind.number for kind in KINDS], [kind.name for kind in KINDS]):
            self.assertEqual(len({*values}), len(KINDS))
        self.assertTrue(all(1 <= kind.number < LANES for kind in KINDS))

    def test_readme_lists_every_kind_with_its_rate_and_source(self) -> None:
        text = (ROOT / "data_generation/faults/README.md").read_text("utf-8")
        for kind in KINDS:
            found = f"`{kind.expected}`" if kind.expected else ""
            rate = f"{kind.rate / 10_000:g} %"
            rate = "" if kind.level == "file" else rate
            cells = (f"`{kind.name}`", kind.description, rate, kind.source)
            row = f"| {' | '.join(cells)} | {kind.tier} | {found} |"
            row = row.replace("|  |", "| |")
            if kind.is_decoy:
                row = f"| `{kind.name}` | {kind.description} | {rate} |"
            self.assertIn(row, text)

    def test_every_tier_states_what_should_find_it(self) -> None:
        for kind in KINDS:
            with self.subTest(kind=kind.name):
                self.assertEqual(kind.expected.startswith("E_"), kind.tier == 1)
                self.assertEqual(kind.tier <= 2, bool(kind.expected) and kind.tier < 3)
                self.assertFalse(kind.expected and kind.tier == 4)
                self.assertIn(kind.fault_class, ("missing", "incorrect", "redundant"))
                self.assertIn(kind.level, ("cell", "row", "relation", "file"))


class RoundTrip(ShopCase):
    """The faulty files and the key give the clean files."""

    def repair(self, folder: Path) -> Result:
        """Repair the faulty files in *folder* into the test's folder."""
        return call(
            generate_data.main,
            *("--repair", folder / "answer_key", "--data-dir", folder / "faulty"),
            *("--out-dir", self.folder),
        )

    def test_clean_files_are_those_of_a_run_without_faults(self) -> None:
        clean, _, _ = clean_shop(SEEDS[0])
        self.generate("--users", USERS, "--seed", SEEDS[0], "--faults", "light")
        for path in clean.iterdir():
            self.assertEqual(path.read_bytes(), (self.folder / path.name).read_bytes())

    def test_repair_gives_the_clean_files_for_every_profile(self) -> None:
        for profile in BUILT_IN if IN_CI else ("hostile",):
            for seed in SEEDS:
                with self.subTest(profile=profile, seed=seed):
                    shop = faulty_shop(profile, seed)
                    result = self.repair(shop)
                    self.assertEqual((result.status, result.stderr), (0, ""))
                    for name, sha256 in hash_folder(self.folder).items():
                        self.assertEqual(sha256, hash_file(shop / name), name)
                    self.assertEqual(len(hash_folder(self.folder)), 6)

    def test_every_chosen_kind_occurs(self) -> None:
        for seed in SEEDS:
            planted = {fault.kind for fault in list_faults(faulty_shop("hostile", seed))}
            decoys = read_decoys(faulty_shop("hostile", seed) / "answer_key/decoys.csv")
            planted |= {decoy.kind for decoy in decoys}
            self.assertEqual({kind.name for kind in KINDS} - planted, set(), seed)

    def test_same_seed_and_profile_give_the_same_bytes(self) -> None:
        shop = faulty_shop("hostile")
        hash_seed = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
        plan = ("--users", USERS, "--seed", SEEDS[0], "--faults", "hostile")
        result = run_script(
            "generate_data.py",
            *("--generate", "--out-dir", self.folder, *plan),
            env=hash_seed,
        )
        self.assertEqual((result.status, result.stderr), (0, ""))
        for folder in ("faulty", "answer_key"):
            self.assertEqual(read_tree(self.folder / folder), read_tree(shop / folder))

    def test_changed_faulty_file_is_refused_and_nothing_written(self) -> None:
        shop = faulty_shop("hostile")
        shutil.copytree(shop / "faulty", self.folder / "faulty")
        with open(self.folder / "faulty" / "users.csv", "ab") as file:
            file.write(b"x\n")
        result = call(
            generate_data.main,
            *("--repair", shop / "answer_key", "--data-dir", self.folder / "faulty"),
            *("--out-dir", self.folder / "out"),
        )
        self.assertEqual(result.status, 1)
        self.assertIn("users.csv: was changed after the key was made", result.stderr)
        self.assertFalse((self.folder / "out").exists())

    def test_damaged_key_is_refused_with_its_line(self) -> None:
        header = ",".join(FAULT_COLUMNS)
        path = self.folder / "faults.csv"
        for text, words in (
            ("", "faults.csv:1: expected the columns fault_id,"),
            (f"{header}\na,b\n", "faults.csv:2: is not a row"),
            (f"{header}\n{'x,' * 15}x\n", "faults.csv:2: is not a row"),
            (f'{header}\n"a\n', "faults.csv: is not CSV"),
        ):
            path.write_text(text, encoding="utf-8")
            with self.assertRaises(DataError) as caught:
                list(read_planted_faults(path))
            self.assertIn(words, str(caught.exception))

    def test_missing_key_is_named(self) -> None:
        result = self.repair(self.folder)
        self.assertEqual(result.status, 1)
        self.assertIn("manifest.json: cannot be read", result.stderr)


class Key(unittest.TestCase):
    """The key names each place once."""

    def test_no_cell_or_row_has_two_faults(self) -> None:
        faults = list_faults(faulty_shop("hostile"))
        places = Counter((each.table, each.line, each.field, each.key) for each in faults)
        self.assertEqual([place for place, count in places.items() if count > 1], [])
        complete = {(each.table, each.line) for each in faults if each.field is None}
        cells = {(each.table, each.line) for each in faults if each.field is not None}
        self.assertEqual(complete & cells, set())

    def test_faulty_cells_are_at_their_place(self) -> None:
        shop = faulty_shop("realistic")
        lines: dict[str, list[str]] = {}
        for fault in list_faults(shop):
            if fault.table not in lines:
                text = (shop / f"faulty/{fault.table}.csv").read_text(encoding="utf-8")
                lines[fault.table] = text.split("\n")
            if fault.line is None:
                continue
            line = lines[fault.table][fault.line - 1]
            found = line if fault.field is None else line.split(",")[fault.field - 1]
            self.assertEqual(found, fault.faulty)

    def test_faulty_manifest_gives_no_hint_of_the_seed(self) -> None:
        text = (faulty_shop("hostile") / "faulty/datapackage.json").read_text("utf-8")
        document = json.loads(text)
        self.assertEqual(
            {*document},
            {"$schema", "name", "title", "window", "currency", "resources"},
        )
        self.assertNotIn(str(SEEDS[0]), text)

    def test_another_profile_leaves_the_rows_of_a_kind_as_they_were(self) -> None:
        all_kinds = list_contents(faulty_shop("realistic"))
        for family in ("delivery", "export", "entry", "file") if IN_CI else ("entry",):
            of_family = list_contents(faulty_shop(family))
            common = {*all_kinds} & {*of_family}
            self.assertGreater(len(common), 0, family)
            for kind in common:
                self.assertEqual(of_family[kind], all_kinds[kind], kind)


def list_contents(folder: Path) -> dict[str, list[PlantedFault]]:
    """Return the faults of the shop in *folder* by kind, without their lines."""
    by_kind: dict[str, list[PlantedFault]] = {}
    for fault in list_faults(folder):
        by_kind.setdefault(fault.kind, []).append(fault._replace(line=None))
    return by_kind


class Detection(ShopCase):
    """What the key expects to be found is found."""

    def test_loader_names_each_fault_of_tier_1_and_nothing_else(self) -> None:
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.check_tier_1(faulty_shop("hostile", seed))

    def check_tier_1(self, shop: Path) -> None:
        """Compare the faults of the loader with those of tier 1."""
        errors = self.folder / "errors.jsonl"
        result = call(
            ingest.main,
            *("--check", "--data-dir", shop / "faulty", "--errors", errors),
            *("--database", self.database),
        )
        self.assertEqual(result.status, 1)
        listed = [json.loads(line) for line in errors.read_text("utf-8").splitlines()]
        found = {(each["file"], each["line"], each["code"]): each for each in listed}
        missing_keys = {each["value"] for each in listed if each["code"] == "E_REFERENCE"}
        places = set()
        for fault in list_faults(shop):
            if fault.tier > 1:
                continue
            if fault.line is None:
                self.assertIn(fault.key, missing_keys, fault)
                continue
            place = (f"{fault.table}.csv", fault.line)
            places.add(place)
            self.assertIn((*place, fault.expected), found, fault)
            if fault.field is not None:
                field = found[*place, fault.expected]["field"]
                self.assertEqual(field, fault.field, fault)
        self.assertEqual({(file, line) for file, line, _ in found} - places, set())

    def test_report_lists_each_fault_of_tier_2(self) -> None:
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.check_tier_2(faulty_shop("realistic", seed))

    def check_tier_2(self, shop: Path) -> None:
        """Compare the rows of checks with the faults of tier 2."""
        arguments = ("--data-dir", shop / "faulty", "--database", self.database)
        result = call(ingest.main, "--ingest", *arguments)
        self.assertEqual(result.status, 0, result)
        orders = {
            table: dict(self.query(f"SELECT {key}, order_id FROM {table}"))
            for table, key in (("order_items", "order_item_id"), ("payments", "payment_id"))
        }
        rows: dict[str, list[list[str]]] = {}
        for fault in list_faults(shop):
            self.assertGreater(fault.tier, 1, fault)
            if fault.tier != 2:
                continue
            if fault.expected not in rows:
                rows[fault.expected] = self.list_rows(fault.expected)
            keys = {fault.key}
            if fault.line is None:
                keys = {fault.clean.split(",")[1]}
            elif fault.table in orders:
                keys.add(str(orders[fault.table][int(fault.key)]))
            self.assertTrue(any(keys & {*row} for row in rows[fault.expected]), fault)

    def list_rows(self, check: str) -> list[list[str]]:
        """Return the rows that *check* of the report lists."""
        result = self.succeed(ingest.main, "--rows", check, "--database", self.database)
        return list(csv.reader(result.stdout.splitlines()))[1:]


class Secrecy(ShopCase):
    """The faulty files do not contain what was lost, and decoys are no faults."""

    def test_clean_cells_and_rows_are_not_in_the_faulty_files(self) -> None:
        shop = faulty_shop("hostile")
        text = b"\n".join(path.read_bytes() for path in (shop / "faulty").glob("*.csv"))
        lines = {*text.split(b"\n")}
        for fault in list_faults(shop):
            if fault.line is None:
                self.assertNotIn(fault.clean.encode("utf-8"), lines, fault)

    def test_planted_decoys_break_no_rule_and_no_check(self) -> None:
        profile = "".join(f"[{kind.name}]\n" for kind in KINDS if kind.is_decoy)
        shop = faulty_shop(profile)
        self.assertEqual(list_faults(shop), [])
        decoys = list(read_decoys(shop / "answer_key/decoys.csv"))
        kinds = {decoy.kind for decoy in decoys}
        self.assertEqual(len(kinds), 4, kinds)
        options = ("--database", self.database, "--out-dir", self.folder)
        arguments = ("--ingest", "--report", "--strict", "--data-dir", shop / "faulty")
        self.succeed(ingest.main, *arguments, *options)
        report = json.loads((self.folder / "report.json").read_text("utf-8"))
        self.assertEqual(report["verdict"]["status"], "pass")

    def test_decoys_are_at_their_lines(self) -> None:
        shop = faulty_shop("realistic")
        for decoy in read_decoys(shop / "answer_key/decoys.csv"):
            text = (shop / f"faulty/{decoy.table}.csv").read_text("utf-8")
            self.assertEqual(text.split("\n")[decoy.line - 1], decoy.row)


class Effects(ShopCase):
    """The figures of an incident are those of the report and the query of its shop."""

    def measure(self, folder: Path) -> list[Any]:
        """Return the figures of the files in *folder*, as report and query have them."""
        options = ("--database", self.database, "--out-dir", self.folder)
        arguments = ("--ingest", "--report", "--data-dir", folder, *options)
        result = call(ingest.main, *arguments)
        self.assertEqual(result.status, 0, result)
        result = call(run_query.main, *options, "--no-forecast")
        self.assertEqual(result.status, 0, result)
        kpis = json.loads((self.folder / "report.json").read_text("utf-8"))["kpis"]
        names = ("net_cents", "order_count", "customer_count", "repeat_rate")
        query = json.loads((self.folder / "query_result.json").read_text("utf-8"))
        (clv,) = (each for each in query["summary"]["clv"] if each["months"] == 12)
        return [*(kpis[name] for name in names), clv["cents"]]

    def test_figures_with_one_incident_alone_are_those_of_its_shop(self) -> None:
        kinds = ("test_orders", "exchanged_customers", "order_twice", "refund_on_order")
        for kind in (*kinds, "account_lookalike", "quantity_twice"):
            if not IN_CI and kind != kinds[1]:
                continue
            with self.subTest(kind=kind):
                shop = faulty_shop(f"[{kind}]\n")
                (incident,) = read_planted_incidents(shop / "answer_key/incidents.csv")
                figures = list(incident[-10:])
                self.assertEqual(self.measure(shop / "faulty"), figures[1::2])
                self.assertNotEqual(figures[0::2], figures[1::2])
        clean, _, _ = clean_shop(SEEDS[0])
        self.assertEqual(self.measure(clean), figures[0::2])


class Profiles(ShopCase):
    """A profile in a file is used as it is, or refused with its line."""

    def refuse(self, text: str, *words: str) -> None:
        """Fail unless the profile *text* is refused in words, and nothing is made."""
        path = self.folder / "p.toml"
        path.write_text(text, encoding="utf-8")
        result = call(
            generate_data.main,
            *("--generate", "--faults", path, "--out-dir", self.folder / "out"),
        )
        self.assertEqual(result.status, 1)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertFalse((self.folder / "out").exists())

    def test_profile_that_is_not_usable_is_refused_with_its_line(self) -> None:
        self.refuse("[late_rows]\n[late]\n", "p.toml:2: 'late' is not a kind", "late_rows")
        self.refuse("late_rows = 3\n", "p.toml:1: late_rows is 3, expected a table")
        self.refuse("[late_rows]\n\nrates = 1\n", "p.toml:3: 'rates', expected rate")
        self.refuse("[late_rows]\nrate = 1.5\n", "p.toml:2: rate is 1.5")
        self.refuse("[late_rows]\nrate = true\n", "p.toml:2: rate is True")
        self.refuse("[sign_flip]\nfrom = 'May'\n", "p.toml:2: from is May, expected a day")
        self.refuse(
            "[sign_flip]\nfrom = 2025-05-01\nto = 2025-04-01\n", "p.toml:3: to 2025-04-01"
        )
        self.refuse("[sign_flip]\nonly = {color = 'red'}\n", "p.toml:2: 'color' is no col")
        self.refuse("[late_rows]\nfrom = 2025-05-01\n", "p.toml:1: late_rows owns complete")
        self.refuse("[late_rows\n", "p.toml: is not valid TOML", "line 1")
        self.refuse("# nothing\n", "p.toml:1: no kind of fault")

    def test_two_batch_kinds_of_one_day_are_refused(self) -> None:
        window = "from = 2025-05-01\nto = 2025-05-07\n"
        self.refuse(
            f"[late_rows]\n{window}[day_missing]\n{window}", "begins on 2025-05-01, before"
        )

    def test_unknown_profile_is_refused_with_the_names_of_all(self) -> None:
        result = call(generate_data.main, "--generate", "--faults", "evil")
        self.assertEqual(result.status, 1)
        for name in BUILT_IN:
            self.assertIn(name, result.stderr)

    def test_rate_window_and_condition_are_kept(self) -> None:
        shop = faulty_shop(
            "[sign_flip]\nrate = 0.015625\nonly = {quantity = '1'}\n"
            "[late_rows]\nfrom = 2025-05-01\nto = 2025-05-31\n"
        )
        faults = list_faults(shop)
        flipped = [fault for fault in faults if fault.kind == "sign_flip"]
        self.assertEqual({fault.clean for fault in flipped}, {"1"})
        # All rows at risk within the one lane of 64: about 40 lines of 29 orders, with a
        # standard deviation of 11, as orders have 1 to 12 lines.
        self.assertTrue(8 < len(flipped) < 80, len(flipped))
        late = [fault for fault in faults if fault.table == "orders"]
        self.assertGreater(len(late), 0)
        days = {fault.clean.split(",")[2][:10] for fault in late}
        self.assertEqual(len(days), 1)
        self.assertEqual({day[:7] for day in days}, {"2025-05"})


class Command(ShopCase):
    """The command line of planted faults."""

    def test_small_seed_gives_a_warning_and_a_large_one_none(self) -> None:
        plan = ("--generate", "--users", 20, "--start", "2025-12-01", "--faults", "light")
        for seed, warning in ((9999, "warning: seed 9999 can be found"), (10000, "")):
            result = call(
                generate_data.main, *plan, "--seed", seed, "--out-dir", self.folder
            )
            self.assertEqual(result.status, 0, result)
            self.assertEqual(result.stderr[: len(warning) + 15].count(warning), 1)
            self.assertEqual(bool(result.stderr), bool(warning))

    def test_shop_without_users_has_no_faults(self) -> None:
        plan = ("--users", 0, "--seed", SEEDS[0], "--start", "2025-12-01")
        self.generate(*plan, "--faults", "hostile")
        kinds = {fault.table for fault in list_faults(self.folder)}
        self.assertLessEqual(kinds, {"products"})

    def test_faults_with_parts_or_some_tables_are_refused(self) -> None:
        for option in (("--part", "1/2"), ("--tables", "users")):
            result = call(generate_data.main, "--generate", "--faults", "light", *option)
            self.assertEqual(result.status, 2)
            self.assertIn("--faults needs all tables", result.stderr)

    def test_repair_needs_its_folder_and_takes_no_plan(self) -> None:
        for options, words in (
            (("--repair", "k"), "--repair and --data-dir need each other"),
            (("--generate", "--data-dir", "d"), "--repair and --data-dir need each other"),
            (("--repair", "k", "--data-dir", "d", "--seed", 1), "omit --seed"),
        ):
            result = call(generate_data.main, *options)
            self.assertEqual(result.status, 2)
            self.assertIn(words, result.stderr)
