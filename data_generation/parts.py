"""Parts of a shop, made apart: the manifest for the whole.

Each part comes with a manifest of its own, which tells its plan and its number.  The whole
is described only if all parts are there, belong to one plan, and are what their manifests
say; their bytes are read once, in order, for the hash of all together.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_generation.datapackage import Written, describe_package, read_manifest
from data_generation.generate_data import Part
from data_generation.plan import Plan
from utils.atomic_files import write_atomically
from utils.contract import MANIFEST_NAME, read_contract
from utils.helpers import DataError, render_json

BLOCK_BYTES = 1 << 20


def join_parts(folder: Path) -> tuple[Plan, int, list[Written]]:
    """Write the manifest of the parts in *folder*; return their plan, number and tables.

    Raise `DataError` naming a part that is missing, of another plan, or not what its
    manifest says; nothing is written then.
    """
    total = find_total(folder)
    parts = [Part(number, total) for number in range(1, total + 1)]
    plan = read_plans(folder, parts)
    listed = [read_files(folder / (MANIFEST_NAME + part.suffix)) for part in parts]
    for part, files in zip(parts, listed, strict=True):
        if list(files) != list(listed[0]):
            raise DataError(
                f"{folder / (MANIFEST_NAME + part.suffix)}: lists"
                f" {', '.join(files) or 'nothing'}, the first part {', '.join(listed[0])}."
                " Make all parts with the same --tables."
            )
    joined = {
        table: join_table(
            f"{table}.csv",
            [(files[table], read_blocks(folder / files[table].path)) for files in listed],
        )
        for table in listed[0]
    }
    by_table = {table: [files[table] for files in listed] for table in listed[0]}
    document = describe_whole(plan, joined, by_table)
    write_atomically({folder / MANIFEST_NAME: render_json(document)})
    return plan, total, list(joined.values())


def describe_whole(
    plan: Plan, joined: Mapping[str, Written], parts: Mapping[str, Sequence[Written]]
) -> dict[str, Any]:
    """Return the manifest of the tables *joined*, which lists the *parts* of each.

    A table without a hash of the whole, because nobody read it all, has only its parts'.
    """
    document = describe_package(plan, read_contract(), joined)
    for resource in document["resources"]:
        pieces = parts[resource["name"]]
        resource["path"] = [piece.path for piece in pieces]
        if resource["hash"] == "sha256:":
            del resource["hash"]
        resource["parts"] = [
            {
                "path": piece.path,
                "bytes": piece.bytes,
                "rows": piece.rows,
                "hash": f"sha256:{piece.sha256}",
            }
            for piece in pieces
        ]
    return document


def join_table(name: str, pieces: Iterable[tuple[Written, Iterable[bytes]]]) -> Written:
    """Return the file *name* that *pieces* make in order, each with its bytes in blocks.

    Raise `DataError` if the bytes of one are not those that it is said to have.
    """
    whole = hashlib.sha256()
    size = rows = 0
    for piece, blocks in pieces:
        own = hashlib.sha256()
        for block in blocks:
            own.update(block)
            whole.update(block)
        if own.hexdigest() != piece.sha256:
            raise DataError(
                f"{piece.path}: is not what its manifest says. Make that part again."
            )
        size += piece.bytes
        rows += piece.rows
    return Written(name, size, rows, whole.hexdigest())


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of the file at *path*; raise `DataError` if there is none."""
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing. Make that part again.") from error


def find_total(folder: Path) -> int:
    """Return how many parts the manifests in *folder* tell of, which must agree."""
    totals = {
        int(found[1]): path
        for path in sorted(folder.glob(f"{MANIFEST_NAME}.part-*"))
        if (found := re.fullmatch(r"part-\d+-of-(\d{1,4})", path.suffix[1:]))
    }
    if not totals:
        raise DataError(
            f"{folder}: holds no {MANIFEST_NAME}.part-K-of-N. Make the parts with"
            " --generate --part K/N, or name their folder with --out-dir."
        )
    if len(totals) > 1:
        raise DataError(
            f"{folder}: holds parts of {' and of '.join(map(str, sorted(totals)))}."
            " Keep those of one number."
        )
    return next(iter(totals))


def read_plans(folder: Path, parts: Sequence[Part]) -> Plan:
    """Return the plan that the manifests of all *parts* state."""
    paths = {part.number: folder / (MANIFEST_NAME + part.suffix) for part in parts}
    missing = [number for number, path in paths.items() if not path.is_file()]
    if missing:
        raise DataError(
            f"{folder}: of {len(parts)} parts {len(missing)} are missing:"
            f" {', '.join(map(str, missing[:20]))}{', …' if len(missing) > 20 else ''}."
            f" Make them with --generate --part {missing[0]}/{len(parts)} and the same"
            " options."
        )
    plans = {path: read_manifest(path)[0] for path in paths.values()}
    first = plans[paths[1]]
    for path, plan in plans.items():
        if plan != first:
            raise DataError(
                f"{path}: is of another shop than part 1. Keep the parts of one shop."
            )
    return first


def read_files(path: Path) -> dict[str, Written]:
    """Return the files that the manifest at *path* lists, by table."""
    return {
        file["name"]: Written(
            file["path"], file["bytes"], file["rows"], file["hash"].removeprefix("sha256:")
        )
        for file in json.loads(path.read_bytes())["resources"]
    }
