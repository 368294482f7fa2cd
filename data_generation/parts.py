"""The manifest of a shop that was made in parts.

Each part has a manifest of its own with its plan and its number.  The manifest of all parts
is written only if no part is missing, all belong to one plan, and their files have the
bytes, the rows and the hashes that their manifests list.  The files are read once, in
order, for the hash of all together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_generation.datapackage import (
    FileEntry,
    TableEntry,
    describe_package,
    read_package,
)
from data_generation.plan import Part, Plan
from data_generation.spans import require_planned_users
from utils.atomic_files import write_atomically
from utils.contract import MANIFEST_NAME, read_contract
from utils.formats import count_noun
from utils.helpers import DataError, open_regular_file, render_json

BLOCK_BYTES = 1 << 20

# Numbers of missing parts that a message lists.
MOST_LISTED = 20


class JoinedParts(NamedTuple):
    """The parts of one shop: how many, of which plan, and their joined *files*."""

    plan: Plan
    total: int
    files: list[FileEntry]


def join_parts(folder: Path) -> JoinedParts:
    """Write the manifest of the parts in *folder*.

    Raise `DataError`, without writing anything, if a part is missing, belongs to another
    plan, or differs from its manifest, and if all together lack users of the plan.
    """
    total = find_total(folder)
    plan, parts = read_parts(folder, total)
    by_table = {table: [files[table] for files in parts] for table in parts[0]}
    joined = {
        table: join_table(
            f"{table}.csv", ((file, read_blocks(folder / file.path)) for file in files)
        )
        for table, files in by_table.items()
    }
    if "users" in joined:
        require_planned_users(folder, plan, joined["users"].rows)
    document = describe_parts(plan, joined, by_table)
    write_atomically({folder / MANIFEST_NAME: render_json(document)})
    return JoinedParts(plan, total, list(joined.values()))


def find_total(folder: Path) -> int:
    """Return the number of parts that the manifests in *folder* state."""
    totals = sorted(
        int(found[1])
        for path in folder.glob(f"{MANIFEST_NAME}.part-*")
        if (found := re.fullmatch(r"part-[0-9]+-of-([0-9]{1,4})", path.suffix[1:]))
        and int(found[1]) > 1
    )
    if not totals:
        raise DataError(
            f"{folder}: contains no {MANIFEST_NAME}.part-K-of-N. Make the parts with"
            " --generate --part K/N, or name their folder with --out-dir."
        )
    if totals[0] != totals[-1]:
        numbers = " and of ".join(map(str, dict.fromkeys(totals)))
        raise DataError(f"{folder}: contains parts of {numbers}. Keep those of one number.")
    return totals[0]


def read_parts(folder: Path, total: int) -> tuple[Plan, list[dict[str, FileEntry]]]:
    """Return the plan of all parts in *folder*, and the files of each by table."""
    parts = [Part(number, total) for number in range(1, total + 1)]
    paths = [folder / (MANIFEST_NAME + part.suffix) for part in parts]
    _refuse_missing(folder, paths)
    packages = [read_package(path) for path in paths]
    first_plan, first_tables, _ = packages[0]
    for path, part, (plan, tables, stated) in zip(paths, parts, packages, strict=True):
        _refuse_other_part(path, part, tables, stated)
        if plan != first_plan:
            raise DataError(
                f"{path}: belongs to another shop than part 1. Keep the parts of one shop."
            )
        if list(tables) != list(first_tables):
            raise DataError(
                f"{path}: lists {', '.join(tables) or 'no table'}, the first part"
                f" {', '.join(first_tables)}. Make all parts with the same --tables."
            )
    return first_plan, [
        {
            name: FileEntry(table.paths[0], table.bytes, table.rows, table.sha256)
            for name, table in tables.items()
        }
        for _, tables, _ in packages
    ]


def _refuse_other_part(
    path: Path, part: Part, tables: Mapping[str, TableEntry], stated: Part | None
) -> None:
    """Raise `DataError` unless the manifest at *path* states *part* and lists its files."""
    found = f"part {stated.number} of {stated.total}" if stated else "no part"
    expected = f"part {part.number} of {part.total}"
    if stated == part:
        others = (
            (entry.paths, part.name_file(table))
            for table, entry in tables.items()
            if entry.paths != (part.name_file(table),)
        )
        paths, expected = next(others, ((), ""))
        if not paths:
            return
        found = paths[0] if len(paths) == 1 else f"{len(paths)} files"
    raise DataError(
        f"{path}: lists {found}, expected {expected}. Make it again with --generate --part"
        f" {part.number}/{part.total} and the same options."
    )


def _refuse_missing(folder: Path, paths: Sequence[Path]) -> None:
    """Raise `DataError` if one of *paths*, the manifests of all parts, does not exist."""
    missing = [number for number, path in enumerate(paths, 1) if not path.is_file()]
    for number in missing:
        _refuse_other_zeros(paths[number - 1])
    if missing:
        listed = ", ".join(map(str, missing[:MOST_LISTED]))
        verb = "is" if len(missing) == 1 else "are"
        raise DataError(
            f"{folder}: {len(missing)} of {len(paths)} parts {verb} missing: {listed}"
            f"{', …' if len(missing) > MOST_LISTED else ''}."
            f" Make them with --generate --part {missing[0]}/{len(paths)} and the same"
            " options."
        )


def _refuse_other_zeros(path: Path) -> None:
    """Raise `DataError` if *path*, a missing file, has other zeros in its name."""
    bare = _remove_zeros(path.name)
    stem, _, _ = path.name.rpartition(".part-")
    for other in sorted(path.parent.glob(f"{stem}.part-*")):
        if _remove_zeros(other.name) == bare:
            raise DataError(
                f"{other}: is named with other zeros, expected {path.name}. Rename it, and"
                " the other files of that part."
            )


def _remove_zeros(name: str) -> str:
    """Return *name* without the zeros before the number of its part.

    >>> _remove_zeros("users.csv.part-002-of-16")
    'users.csv.part-2-of-16'
    """
    return re.sub(r"\.part-0+(?=[0-9])", ".part-", name)


def describe_parts(
    plan: Plan, joined: Mapping[str, FileEntry], parts: Mapping[str, Sequence[FileEntry]]
) -> dict[str, Any]:
    """Return the manifest of the tables *joined*, which lists the *parts* of each.

    A joined table whose SHA-256 is empty was not read; it is listed without a hash.
    """
    document = describe_package(plan, read_contract(), joined)
    for resource in document["resources"]:
        files = parts[resource["name"]]
        resource["path"] = [file.path for file in files]
        if resource["hash"] == "sha256:":
            del resource["hash"]
        resource["parts"] = [
            {
                "path": file.path,
                "bytes": file.bytes,
                "rows": file.rows,
                "hash": f"sha256:{file.sha256}",
            }
            for file in files
        ]
    return document


def join_table(name: str, parts: Iterable[tuple[FileEntry, Iterable[bytes]]]) -> FileEntry:
    """Return the file *name* that *parts* in order make, each given with blocks of bytes.

    Raise `DataError` if a part does not have its SHA-256, its bytes or its rows.
    """
    joined_hash = hashlib.sha256()
    size = rows = 0
    for at, (part, blocks) in enumerate(parts):
        part_hash = hashlib.sha256()
        part_bytes = lines = 0
        for block in blocks:
            part_hash.update(block)
            joined_hash.update(block)
            part_bytes += len(block)
            lines += block.count(b"\n")
        if part_hash.hexdigest() != part.sha256:
            raise DataError(
                f"{part.path}: differs from its manifest. Make that part again."
            )
        # Only the first part has a header.
        listed_lines = part.rows + (at == 0)
        if (part_bytes, lines) != (part.bytes, listed_lines):
            raise DataError(
                f"{part.path}: has {count_noun(part_bytes, 'byte')} and"
                f" {count_noun(lines, 'line')}, its manifest lists {part.bytes:,} and"
                f" {listed_lines:,}. Make that part again."
            )
        size += part.bytes
        rows += part.rows
    return FileEntry(name, size, rows, joined_hash.hexdigest())


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of the file at *path*; raise `DataError` if it cannot be read."""
    try:
        with open_regular_file(path) as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except FileNotFoundError as error:
        _refuse_other_zeros(path)
        raise DataError(f"{path}: is missing. Make that part again.") from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror or error}. Make that part again."
        ) from error
