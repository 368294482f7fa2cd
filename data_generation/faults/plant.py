"""Make the faulty copy of a shop and its answer key, and prove that the key is right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from data_generation.datapackage import FileEntry, describe_blind_package
from data_generation.faults.effects import IncidentFigures, measure_incidents
from data_generation.faults.fault_catalogue import KINDS
from data_generation.faults.fault_kinds import ShopFacts, UserRows, split_row
from data_generation.faults.fault_profiles import Profile
from data_generation.faults.faulty_files import (
    FaultyFile,
    Happening,
    KeyWriter,
    write_rows,
)
from data_generation.faults.planting import Planting
from data_generation.faults.repair import collect_repairs, hash_repaired
from data_generation.faults.shop_figures import Figures
from data_generation.model.streams import Streams
from data_generation.plan import Plan
from utils.answer_key import (
    DECOYS_NAME,
    FAULTS_NAME,
    FAULTY_FOLDER,
    INCIDENTS_NAME,
    KEY_FOLDER,
    KEY_MANIFEST_NAME,
    PlantedIncident,
)
from utils.atomic_files import open_atomically, open_scratch_folder
from utils.contract import MANIFEST_NAME, Contract, read_contract
from utils.helpers import hash_file, parse_json, render_json
from utils.processes import run_tasks

# The fewest clean rows for which another process is started; for fewer, starting it would
# take longer.
FEWEST_ROWS = 100_000

_KEY_NAMES = (FAULTS_NAME, DECOYS_NAME, INCIDENTS_NAME)


class Planted(NamedTuple):
    """The files of a faulty shop and its key, and how much they contain.

    *absent* are chosen kinds for which the shop has no row at risk.
    """

    files: list[FileEntry]
    fault_count: int
    incident_count: int
    decoy_count: int
    absent: list[str]


def list_fault_paths(out_dir: Path) -> list[Path]:
    """Return the files that planting writes below *out_dir*."""
    return [out_dir / name for name in _list_names(read_contract())]


def _list_names(contract: Contract) -> list[str]:
    """Return the names of the faulty tables, their manifest, the key and its manifest."""
    return [
        *(f"{FAULTY_FOLDER}/{table.name}.csv" for table in contract.tables),
        f"{FAULTY_FOLDER}/{MANIFEST_NAME}",
        *(f"{KEY_FOLDER}/{name}" for name in _KEY_NAMES),
        f"{KEY_FOLDER}/{KEY_MANIFEST_NAME}",
    ]


def plant_faults(
    plan: Plan,
    out_dir: Path,
    profile: Profile,
    clean: Sequence[FileEntry],
    *,
    workers: int = 1,
) -> Planted:
    """Write the folders of faulty files and of their key beside the *clean* files.

    All files appear when the key has been proven: applied to the faulty files, it gives
    the bytes of the clean ones.
    """
    contract = read_contract()
    names = _list_names(contract)
    count = len(contract.tables)
    tables, (package, *keys, _) = names[:count], names[count:]
    with open_atomically([out_dir / name for name in names]) as opened:
        files = dict(zip(names, opened, strict=True))
        run = _Run(plan, out_dir, profile, clean, contract)
        writer, row_counts = run.write_tables(
            [files[name] for name in tables], [files[name] for name in keys]
        )
        effects = run.measure_and_prove(
            [files[name] for name in tables], [files[name] for name in keys[:2]], workers
        )
        incidents = run.list_incidents(writer.happenings, effects)
        write_rows(files[keys[-1]], (PlantedIncident._fields, *incidents))
        entries = [
            *(_describe_file(name, files[name], row_counts[name]) for name in tables),
            *(_describe_file(name, files[name]) for name in keys),
        ]
        document = describe_faulty_package(plan, contract, entries)
        files[package].write(render_json(document).encode("utf-8"))
        entries.append(_describe_file(package, files[package]))
        manifest = _describe_key(out_dir, profile, clean, entries)
        opened[-1].write(render_json(manifest).encode("utf-8"))
    return Planted(
        [entry for entry in entries if entry.path.endswith(".csv")],
        sum(writer.counts[kind.name] for kind in KINDS if not kind.is_decoy),
        sum(not happening.kind.is_decoy for happening in writer.happenings.values()),
        writer.decoy_count,
        [name for name in profile.choices if not writer.counts[name]],
    )


class _Run:
    """What planting reads: the clean files of *plan* in *out_dir*."""

    def __init__(
        self,
        plan: Plan,
        out_dir: Path,
        profile: Profile,
        clean: Sequence[FileEntry],
        contract: Contract,
    ) -> None:
        self._plan = plan
        self._out_dir = out_dir
        self._profile = profile
        self._contract = contract
        self._clean = clean
        self._row_counts = {file.path.removesuffix(".csv"): file.rows for file in clean}

    def write_tables(
        self, tables: Sequence[IO[bytes]], keys: Sequence[IO[bytes]]
    ) -> tuple[KeyWriter, dict[str, int]]:
        """Write the faulty files; return what was planted, and the rows by file.

        A kind that chance gave no row gets its nearest one in a second run, so a small
        shop has each kind too.
        """
        with open(self._out_dir / "users.csv", "rb") as users:
            facts = self._read_facts(users)
            planting, result = self._copy_tables(facts, {}, tables, keys)
            counts = result[0].counts
            missed = {n: key for n, (_, key) in planting.least.items() if not counts[n]}
            if missed:
                _, result = self._copy_tables(facts, missed, tables, keys)
        return result

    def _copy_tables(
        self,
        facts: ShopFacts,
        forced: Mapping[str, str],
        tables: Sequence[IO[bytes]],
        keys: Sequence[IO[bytes]],
    ) -> tuple[Planting, tuple[KeyWriter, dict[str, int]]]:
        for file in (*tables, *keys):
            file.seek(0)
            file.truncate()
        writer = KeyWriter(keys[0], keys[1])
        planting = Planting(facts, self._profile, forced, writer)
        row_counts = {}
        for table, file in zip(self._contract.tables, tables, strict=True):
            output = FaultyFile(file)
            with open(self._out_dir / f"{table.name}.csv", "rb") as lines:
                planting.copy_table(table, lines, output)
            row_counts[f"{FAULTY_FOLDER}/{table.name}.csv"] = output.lines - 1
        planting.add_own_decoys()
        return planting, (writer, row_counts)

    def measure_and_prove(
        self, tables: Sequence[IO[bytes]], keys: Sequence[IO[bytes]], workers: int
    ) -> IncidentFigures:
        """Return what the incidents do to the figures, once the key has been proven."""
        for file in (*tables, *keys):
            file.flush()
        paths = [Path(file.name) for file in tables]
        faults, decoys = (Path(file.name) for file in keys)
        is_small = sum(self._row_counts.values()) < FEWEST_ROWS
        # A worker that is ended could not remove the folder.
        with open_scratch_folder(self._out_dir) as scratch:
            shop = (self._contract, self._out_dir, self._row_counts, self._plan.until)
            jobs = [
                (measure_incidents, faults, scratch / "figures.db", *shop),
                (_prove, faults, decoys, self._clean, paths),
            ]
            effects, _ = run_tasks(_run_job, jobs, 1 if is_small else workers)
        result: IncidentFigures = effects
        return result

    def list_incidents(
        self, happenings: Mapping[str, Happening], effects: IncidentFigures
    ) -> list[PlantedIncident]:
        """Return what each incident is, and what it does alone to the figures."""
        return [
            self._describe_incident(
                incident_id, happenings[incident_id], effects.clean, figures
            )
            for incident_id, figures in effects.by_incident.items()
        ]

    def _describe_incident(
        self, incident_id: str, happening: Happening, clean: Figures, faulty: Figures
    ) -> PlantedIncident:
        kind, row_counts, days = happening
        first, last = days or (self._plan.start.isoformat(), self._plan.until.isoformat())
        return PlantedIncident(
            incident_id,
            kind.name,
            kind.family,
            kind.description,
            " ".join(row_counts),
            first,
            last,
            row_counts.total(),
            kind.mechanism,
            kind.condition,
            kind.source,
            clean.net_cents,
            faulty.net_cents,
            clean.order_count,
            faulty.order_count,
            clean.customer_count,
            faulty.customer_count,
            clean.repeat_rate,
            faulty.repeat_rate,
            clean.clv_12_cents,
            faulty.clv_12_cents,
        )

    def _read_facts(self, users: IO[bytes]) -> ShopFacts:
        names = {table.name: table.column_names for table in self._contract.tables}
        with open(self._out_dir / "products.csv", "rb") as lines:
            next(lines)
            products = [split_row(line, names["products"]) for line in lines]
        return ShopFacts(
            Streams(self._plan.seed),
            self._row_counts,
            self._plan.start,
            self._plan.until,
            products,
            UserRows(users, names["users"]),
            self._find_buyers(),
        )

    def _find_buyers(self) -> bytearray:
        """Return a 1 at the id of each user with an order, if a chosen kind needs it."""
        chosen = [kind for kind in KINDS if kind.name in self._profile.choices]
        buyers = bytearray(self._row_counts["users"] + 1)
        if any(kind.owns_customer for kind in chosen):
            with open(self._out_dir / "orders.csv", "rb") as lines:
                next(lines)
                for line in lines:
                    buyers[int(line.split(b",", 2)[1])] = 1
        return buyers


def describe_faulty_package(
    plan: Plan, contract: Contract, files: Sequence[FileEntry]
) -> dict[str, Any]:
    """Return the manifest of the faulty *files*, which does not help to make the clean."""
    tables = [table.name for table in contract.tables]
    by_table = {
        name: file._replace(path=f"{name}.csv")
        for file in files
        if (name := Path(file.path).stem) in tables
    }
    return describe_blind_package(plan, contract, by_table)


def _describe_file(name: str, file: IO[bytes], rows: int | None = None) -> FileEntry:
    """Return the entry of a *file* that is still being written; a header is no row."""
    file.flush()
    path = Path(file.name)
    if rows is None:
        with open(path, "rb") as lines:
            rows = sum(1 for _ in lines) - 1
    return FileEntry(name, path.stat().st_size, rows, hash_file(path))


def _describe_key(
    out_dir: Path,
    profile: Profile,
    clean: Sequence[FileEntry],
    files: Sequence[FileEntry],
) -> dict[str, Any]:
    """Return the manifest of the key, with the clean manifest in it for the repair."""
    text = (out_dir / MANIFEST_NAME).read_text(encoding="utf-8")
    sha256 = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return {
        "profile": profile.name,
        "clean": [
            *({"path": file.path, "sha256": file.sha256} for file in clean),
            {"path": MANIFEST_NAME, "sha256": sha256},
        ],
        "faulty": _list_hashes(files, FAULTY_FOLDER),
        "key": _list_hashes(files, KEY_FOLDER),
        "clean_manifest": parse_json(text),
    }


def _list_hashes(files: Sequence[FileEntry], folder: str) -> list[dict[str, str]]:
    return [
        {"path": file.path.removeprefix(f"{folder}/"), "sha256": file.sha256}
        for file in files
        if file.path.startswith(f"{folder}/")
    ]


def _run_job(job: Callable[..., Any], *arguments: Any) -> Any:
    return job(*arguments)


def _prove(
    faults: Path, decoys: Path, clean: Sequence[FileEntry], paths: Sequence[Path]
) -> None:
    """Raise `AssertionError` unless key and faulty files give the *clean* files back."""
    repairs = collect_repairs(faults, decoys)
    for entry, path in zip(clean, paths, strict=True):
        table = entry.path.removesuffix(".csv")
        if hash_repaired(path, repairs[table]) != entry.sha256:
            raise AssertionError(f"the answer key does not give {entry.path} back")
