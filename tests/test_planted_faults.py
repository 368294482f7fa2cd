"""Faults are planted with a key that gives the clean files back, byte for byte."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import unittest
from collections import Counter
from functools import cache
from pathlib import Path

import generate_data
from data_generation.faults.fault_catalogue import KINDS
from data_generation.faults.fault_kinds import LANES
from data_generation.faults.fault_profiles import BUILT_IN
from tests.support import IN_CI, Result, ShopCase, call, hash_folder, read_tree
from utils.answer_key import PlantedFault, read_decoys, read_planted_faults
from utils.helpers import hash_file

SEEDS = (90210, 7, 1015, 31337, 424242) if IN_CI else (90210,)

# Every kind has a row at risk in a shop of this size.
USERS = 1000


@cache
def faulty_shop(profile: str, seed: int = SEEDS[0]) -> Path:
    """Return a folder with a shop, its faulty copy and their key, made once."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    plan = ("--users", USERS, "--seed", seed, "--faults", profile, "--quiet")
    result = call(generate_data.main, "--generate", *plan, "--out-dir", folder)
    if result.status != 0:
        raise AssertionError(result)
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

    def test_every_tier_states_what_should_find_it(self) -> None:
        for kind in KINDS:
            with self.subTest(kind=kind.name):
                self.assertEqual(kind.expected.startswith("E_"), kind.tier == 1)
                self.assertEqual(bool(kind.expected), kind.tier <= 2)
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
        self.generate("--users", USERS, "--seed", SEEDS[0])
        shop = faulty_shop("hostile")
        for path in self.folder.iterdir():
            self.assertEqual(path.read_bytes(), (shop / path.name).read_bytes(), path.name)

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
        plan = ("--users", USERS, "--seed", SEEDS[0])
        self.generate(*plan, "--faults", "hostile", "--workers", 3)
        for folder in ("faulty", "answer_key"):
            made = read_tree(self.folder / folder)
            self.assertEqual(made, read_tree(shop / folder))

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
