"""Faults are planted with a key that gives the clean files back, byte for byte."""

from __future__ import annotations

import atexit
import csv
import json
import os
import shutil
import tempfile
import unittest
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import generate_data
import ingest
import run_query
from data_generation.datapackage import FileEntry
from data_generation.faults.fault_catalogue import KINDS
from data_generation.faults.fault_kinds import LANES
from data_generation.faults.fault_profiles import BUILT_IN, Choice, Profile, read_profile
from data_generation.faults.plant import plant_faults
from data_generation.faults.repair import repair_shop
from data_generation.faults.shop_figures import CleanSums, FigureSums
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
    run_spawned,
    skip,
    skip_without_processes,
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

# How many of the largest orders of a shop are decoys.
OWN_DECOYS = 3

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

    def test_repair_into_the_folder_of_the_faulty_files_is_refused(self) -> None:
        shop = faulty_shop("hostile")
        faulty = self.folder / "faulty"
        shutil.copytree(shop / "faulty", faulty)
        same = [faulty, self.folder / "." / "other" / ".." / "faulty"]
        (self.folder / "other").mkdir()
        if os.name != "nt":
            (self.folder / "link").symlink_to(faulty)
            same.append(self.folder / "link")
        for out_dir in same:
            with self.subTest(out_dir):
                arguments = ("--repair", shop / "answer_key", "--data-dir", faulty)
                result = call(generate_data.main, *arguments, "--out-dir", out_dir)
                self.assertEqual((result.status, result.stdout), (2, ""))
                self.assertIn("is the folder of the faulty files", result.stderr)
                self.assertEqual(read_tree(faulty), read_tree(shop / "faulty"))

    def test_repair_keeps_a_file_that_the_generator_did_not_make(self) -> None:
        (self.folder / "users.csv").write_text("mine", encoding="utf-8")
        result = self.repair(faulty_shop("hostile"))
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertIn(f"{self.folder / 'users.csv'}: would be replaced", result.stderr)
        self.assertEqual(read_tree(self.folder), {"users.csv": b"mine"})

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
            (f"{header}\n{',' * 13}1,,,\n", "faults.csv:2: is not a row"),
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


class SecondAccounts(unittest.TestCase):
    """A customer who opens a second account signs up later, and then orders with it."""

    def setUp(self) -> None:
        """List the second accounts of a shop by id, and the faults of their kinds."""
        self.shop = faulty_shop("realistic")
        faults = list_faults(self.shop)
        self.faults = [each for each in faults if each.kind.startswith("account_")]
        added = [each.faulty.split(",") for each in self.faults if each.table == "users"]
        self.accounts = {row[0]: row for row in added}

    def read_clean(self, name: str) -> list[list[str]]:
        """Return the rows of the clean table *name*."""
        text = (self.shop / f"{name}.csv").read_text(encoding="utf-8")
        return [line.split(",") for line in text.splitlines()[1:]]

    def test_second_sign_up_is_on_a_later_day_of_the_window(self) -> None:
        first_days: dict[tuple[str, ...], list[str]] = {}
        for _, _, *place, signed_up_at in self.read_clean("users"):
            first_days.setdefault(tuple(place), []).append(signed_up_at[:10])
        self.assertGreater(len(self.accounts), 9)
        for row in self.accounts.values():
            _, _, *place, signed_up_at = row
            latest = DEFAULT_END.isoformat()
            self.assertLess(min(first_days[tuple(place)]), signed_up_at[:10])
            self.assertLessEqual(signed_up_at[:10], latest)
        times = {row[-1][10:] for row in self.accounts.values()}
        self.assertEqual(len(times), len(self.accounts))

    def test_orders_of_the_second_account_are_after_its_sign_up(self) -> None:
        ordered_at = {row[0]: row[2] for row in self.read_clean("orders")}
        moved = [fault for fault in self.faults if fault.table == "orders"]
        self.assertGreater(len(moved), 0)
        for fault in moved:
            signed_up_at = self.accounts[fault.faulty][-1]
            self.assertLessEqual(signed_up_at, ordered_at[fault.key])


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


@cache
def small_shop(seed: int) -> tuple[Path, Plan, list[FileEntry]]:
    """Return the folder of a clean shop with a few orders a day, its plan and files."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    plan = Plan(seed, 200, date(2025, 1, 1), date(2025, 6, 30), date(2025, 6, 30))
    return folder, plan, generate_shop(plan, folder)


class OneKind(ShopCase):
    """The key of each kind alone gives the clean files back."""

    # A shop of a few orders a day has no row at risk of some kinds.
    RARE = 4

    def plant(self, kind: str, seed: int) -> bool:
        """Plant *kind* alone, repair the files; return whether there was a fault."""
        clean, plan, files = small_shop(seed)
        planted = plant_faults(plan, clean, Profile(kind, {kind: Choice()}), files)
        key, faulty = clean / "answer_key", clean / "faulty"
        repair_shop(key, faulty, self.folder)
        for name, sha256 in hash_folder(self.folder).items():
            self.assertEqual(sha256, hash_file(clean / name), name)
        changed = any(hash_file(faulty / each.path) != each.sha256 for each in files)
        self.assertEqual(changed, planted.fault_count + planted.decoy_count > OWN_DECOYS)
        return changed

    def test_repair_gives_the_clean_files_for_every_kind_alone(self) -> None:
        kinds = [kind.name for kind in KINDS]
        rare = set(kinds)
        for kind in kinds if IN_CI else kinds[::10]:
            for seed in SEEDS:
                with self.subTest(kind=kind, seed=seed):
                    if self.plant(kind, seed):
                        rare.discard(kind)
        if IN_CI:
            self.assertLessEqual(len(rare), self.RARE, rare)


class Workers(ShopCase):
    """Several processes write the same files as one."""

    def test_measuring_and_proving_apart_gives_the_same_bytes(self) -> None:
        skip_without_processes()
        clean, plan, files = small_shop(SEEDS[0])
        shutil.copytree(clean, self.folder, dirs_exist_ok=True)
        profile = read_profile("realistic")
        plant_faults(plan, self.folder, profile, files)
        expected = read_tree(self.folder)
        with mock.patch("data_generation.faults.plant.FEWEST_ROWS", 1):
            plant_faults(plan, self.folder, profile, files, workers=2)
        self.assertEqual(read_tree(self.folder), expected)

    def test_processes_that_are_started_by_spawn_give_the_same_bytes(self) -> None:
        if not IN_CI:
            skip("planting in new processes runs in CI only: it takes seconds")
        plan = ("--users", 40, "--seed", SEEDS[0], "--start", "2025-10-01")
        options = ("--generate", *plan, "--faults", "realistic", "--out-dir", self.folder)
        self.succeed(generate_data.main, *options, "--workers", 1)
        expected = read_tree(self.folder)
        threshold = "data_generation.faults.plant.FEWEST_ROWS"
        finished = run_spawned("generate_data", threshold, *options, "--workers", 2)
        self.assertEqual(finished.returncode, 0, finished)
        self.assertEqual(read_tree(self.folder), expected)


class LostContent(ShopCase):
    """The clean files cannot be made again from the faulty ones alone."""

    PROFILE = Profile("lost", {"payment_lost": Choice(rate=10_000)})

    def test_two_clean_shops_have_the_same_faulty_files(self) -> None:
        clean, plan, files = small_shop(SEEDS[0])
        folder = self.folder / "one"
        shutil.copytree(clean, folder)
        plant_faults(plan, folder, self.PROFILE, files)
        lost = list_faults(folder)
        self.assertGreater(len(lost), 0)
        other = self.folder / "other"
        shutil.copytree(clean, other)
        other_files = self.edit_payments(other, files, lost)
        plant_faults(plan, other, self.PROFILE, other_files)
        self.assertNotEqual(read_tree(other), read_tree(folder))
        self.assertEqual(read_tree(other / "faulty"), read_tree(folder / "faulty"))

    def edit_payments(
        self, folder: Path, files: list[FileEntry], lost: list[PlantedFault]
    ) -> list[FileEntry]:
        """Change the amount of each payment in *folder* that will be *lost*."""
        path = folder / "payments.csv"
        text = path.read_text("utf-8")
        for fault in lost:
            cells = fault.clean.split(",")
            cells[5] += "7"
            text = text.replace(f"\n{fault.clean}\n", f"\n{','.join(cells)}\n")
        path.write_text(text, encoding="utf-8", newline="\n")
        *others, payments = files
        return [*others, payments._replace(sha256=hash_file(path))]

    def test_faulty_folder_does_not_state_how_the_shop_was_made(self) -> None:
        _, plan, _ = clean_shop(SEEDS[0])
        faulty = faulty_shop("hostile") / "faulty"
        self.assertEqual(len(read_tree(faulty)), 6)
        text = (faulty / "datapackage.json").read_text("utf-8")
        for hint in (str(plan.seed), "seed", "sample", "truth", "fault", "generator"):
            self.assertNotIn(hint, text.lower())
        hashes = {hash_file(path) for path in faulty.iterdir()}
        clean_hashes = {file.sha256 for file in clean_shop(SEEDS[0])[2]}
        self.assertEqual(hashes & clean_hashes, set())

    def test_faulty_folder_alone_can_be_neither_verified_nor_repaired(self) -> None:
        faulty = faulty_shop("hostile") / "faulty"
        for options, words in (
            (("--verify", "--out-dir", faulty), "seed"),
            (
                ("--repair", faulty, "--data-dir", faulty, "--out-dir", self.folder),
                "manifest.json: cannot be read",
            ),
        ):
            with self.subTest(options[0]):
                result = call(generate_data.main, *options)
                self.assertEqual(result.status, 1)
                self.assertIn(words, result.stderr)
        self.assertEqual(read_tree(self.folder), {})


class SumsOfShop(unittest.TestCase):
    """The figures of a clean shop are sums over its orders and refunds."""

    def test_sums_are_those_worked_by_hand(self) -> None:
        sums = CleanSums(3, last_month=12 * 2025 + 6)
        # Pays back 500 x 900 / 1200 = 375 of goods, after the first 12 months.
        sums.add_refund("1", "500", "2025-03-01T00:00:00Z")
        for user, month, status, goods, total in (
            (1, "2024-01", "returned", 900, 1200),
            (1, "2025-01", "paid", 300, 300),
            (2, "2024-07", "delivered", 50, 60),  # its 12 months are not complete
            (3, "2024-07", "cancelled", 70, 70),
        ):
            key = "1" if status == "returned" else "2"
            amounts = (str(goods + 100), "100", str(total))
            sums.add_order((key, str(user), f"{month}-05T00:00:00Z", status, *amounts))
        self.assertEqual(
            sums.compute(),
            FigureSums(
                net_cents=900 - 375 + 300 + 50,
                order_count=3,
                customer_count=2,
                repeat_count=1,
                cohort_customer_count=1,
                cohort_net_cents=900 + 300,
            ),
        )


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
        for text in ("nan", "inf", "0.0", "1e-400", "9e-7"):
            for number in (text, f"-{text}"):
                self.refuse(
                    f"[late_rows]\nrate = {number}\n",
                    f"p.toml:2: rate is {number.replace('e', 'E')}, expected a share",
                    "from 0.000001 to 1",
                )
        for number in ("1e99999999999999999999", "-1e-99999999999999999999"):
            self.refuse(f"[late_rows]\nrate = {number}\n", f":2: rate is {number}, exp")
        for line in ("rate = 0.5", "from = 2030-01-01", "only = {quantity = '1'}"):
            option = line.partition(" ")[0]
            self.refuse(
                f"[truncated_file]\n{line}\n", f"p.toml:2: truncated_file takes no {option}"
            )
        self.refuse("[sign_flip]\nfrom = 'May'\n", "p.toml:2: from is May, expected a day")
        self.refuse(
            "[sign_flip]\nfrom = 2025-05-01\nto = 2025-04-01\n", "p.toml:3: to 2025-04-01"
        )
        self.refuse("[sign_flip]\nonly = {color = 'red'}\n", "p.toml:2: 'color' is no col")
        self.refuse("[late_rows]\nfrom = 2025-05-01\n", "p.toml:1: late_rows owns complete")
        self.refuse("[late_rows\n", "p.toml: is not valid TOML", "line 1")
        self.refuse(f"a = {'[' * 9999}", "p.toml: is not valid TOML", "recursion")
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

    def test_empty_name_of_a_profile_is_refused(self) -> None:
        options = ("--generate", "--out-dir", self.folder, "--faults", "")
        result = call(generate_data.main, *options)
        self.assertEqual((result.status, result.stdout), (2, ""))
        self.assertIn("--faults: '', expected the name of a profile", result.stderr)
        self.assertEqual(read_tree(self.folder), {})

    def test_rate_window_and_condition_are_kept(self) -> None:
        shop = faulty_shop(
            "[sign_flip]\nrate = 0.015625\nonly = {quantity = '1'}\n"
            "[late_rows]\nfrom = 2025-05-01\nto = 2025-05-31\n"
            "[quantity_twice]\nrate = 1\nto = 2024-12-31\n"
            "[other_price]\nrate = 1\nfrom = 2030-01-01\n"
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
        # A line has the day of its order.
        years = Counter(
            self.find_order_day(shop, fault)[:4]
            for fault in faults
            if fault.kind == "quantity_twice"
        )
        self.assertEqual({*years}, {"2024"})
        self.assertNotIn("other_price", {fault.kind for fault in faults})

    def find_order_day(self, shop: Path, fault: PlantedFault) -> str:
        """Return the day of the clean order of the line of *fault*."""
        lines = (shop / "order_items.csv").read_text("utf-8").splitlines()
        order_id = lines[int(fault.key)].split(",")[1]
        orders = (shop / "orders.csv").read_text("utf-8").splitlines()
        return orders[int(order_id)].split(",")[2][:10]


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

    def test_ground_truth_and_faults_of_one_run_are_those_of_two(self) -> None:
        plan = ("--generate", "--users", 20, "--start", "2025-12-01", "--seed", SEEDS[0])
        for folder, *options in (
            ("truth", "--truth"),
            ("faults", "--faults", "light"),
            ("both", "--truth", "--faults", "light"),
        ):
            out_dir = ("--out-dir", self.folder / folder)
            self.succeed(generate_data.main, *plan, *options, *out_dir)
        truth, faults, both = (
            read_tree(self.folder / name) for name in ("truth", "faults", "both")
        )
        self.assertEqual(both, truth | faults)
        self.assertGreater(len(both), len(faults))

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
