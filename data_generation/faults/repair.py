"""Give back the clean files from faulty ones and their answer key, byte for byte."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

from data_generation.datapackage import FileEntry
from data_generation.replacing import require_own_files
from utils.answer_key import (
    DECOYS_NAME,
    FAULTS_NAME,
    PlantedFault,
    read_decoys,
    read_key_manifest,
    read_planted_faults,
)
from utils.atomic_files import open_atomically
from utils.contract import MANIFEST_NAME
from utils.helpers import DataError, hash_file, open_regular_file, render_json

_LINES_AT_ONCE = 4096


class TableRepair(NamedTuple):
    """What gives back the clean file of a table.

    *cells* are clean ones by line, with their field; *lines* are clean lines by line, None
    for a line that is removed; *missing* are rows by key, *end* the bytes that the file
    lacks at its end.
    """

    cells: dict[int, list[tuple[int, str]]]
    lines: dict[int, str | None]
    missing: dict[int, str]
    end: list[str]


def collect_repairs(faults_path: Path, decoys_path: Path) -> dict[str, TableRepair]:
    """Return what the files of an answer key state about each table."""
    repairs: dict[str, TableRepair] = defaultdict(
        lambda: TableRepair(defaultdict(list), {}, {}, [])
    )
    with closing(read_planted_faults(faults_path)) as faults:
        for fault in faults:
            _add_fault(repairs[fault.table], fault)
    with closing(read_decoys(decoys_path)) as decoys:
        for decoy in decoys:
            if decoy.planted:
                repairs[decoy.table].lines[decoy.line] = None
    return repairs


def _add_fault(repair: TableRepair, fault: PlantedFault) -> None:
    if fault.level == "file":
        repair.end.append(fault.clean)
    elif fault.line is None:
        repair.missing[int(fault.key)] = fault.clean
    elif fault.field is not None:
        repair.cells[fault.line].append((fault.field, fault.clean))
    elif fault.fault_class == "redundant":
        repair.lines[fault.line] = None
    elif fault.clean == fault.faulty:  # a row that was moved
        repair.lines[fault.line] = None
        repair.missing[int(fault.key)] = fault.clean
    else:
        repair.lines[fault.line] = fault.clean


def repair_lines(lines: Iterable[bytes], repair: TableRepair) -> Iterator[bytes]:
    """Yield the clean lines of a table whose faulty file has these *lines*.

    The keys of a clean file are 1, 2, 3 and so on, so a missing row has its place.
    """
    source = iter(lines)
    # The lines between two changed ones pass without being looked at.
    places = [0, *sorted(repair.cells.keys() | repair.lines.keys()), sys.maxsize]
    clean_lines = chain.from_iterable(
        chain(islice(source, place - previous - 1), _repair_next(source, place, repair))
        for previous, place in pairwise(places)
    )
    next_key = 0
    for key in (*sorted(repair.missing), sys.maxsize):
        yield from islice(clean_lines, key - next_key)
        if key in repair.missing:
            yield f"{repair.missing[key]}\n".encode()
        next_key = key + 1
    yield from (text.encode("utf-8") for text in repair.end)


def _repair_next(
    lines: Iterator[bytes], number: int, repair: TableRepair
) -> Iterator[bytes]:
    """Yield what the next of *lines*, with this *number*, is in the clean file."""
    for line in islice(lines, 1):
        clean = _repair_line(line, number, repair)
        if clean is not None:
            yield clean


def _repair_line(line: bytes, number: int, repair: TableRepair) -> bytes | None:
    if number in repair.lines:
        text = repair.lines[number]
        return None if text is None else f"{text}\n".encode()
    cells = line.rstrip(b"\n").split(b",")
    for field, clean in repair.cells[number]:
        cells[field - 1] = clean.encode("utf-8")
    return b",".join(cells) + b"\n"


def join_lines(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield *lines*, several thousand joined at a time."""
    while block := b"".join(islice(lines, _LINES_AT_ONCE)):
        yield block


def hash_repaired(path: Path, repair: TableRepair) -> str:
    """Return the SHA-256 of the clean file that *repair* makes of the faulty *path*."""
    digest = hashlib.sha256()
    with open_regular_file(path) as file:
        for block in join_lines(repair_lines(file, repair)):
            digest.update(block)
    return digest.hexdigest()


_ADVICE = "Use the faulty files and the answer key of one run of --faults."


def repair_shop(key_dir: Path, data_dir: Path, out_dir: Path) -> list[FileEntry]:
    """Write the clean files to *out_dir*, from the faulty ones in *data_dir*.

    Return their entries.  Raise `DataError` if a file is not the one of the answer key in
    *key_dir*; nothing is then written.
    """
    manifest = require_key_of(key_dir, data_dir)
    repairs = collect_repairs(key_dir / FAULTS_NAME, key_dir / DECOYS_NAME)
    paths = [file["path"] for file in manifest["clean"]]
    require_own_files([out_dir / path for path in paths])
    with open_atomically([out_dir / path for path in paths]) as opened:
        entries = []
        for path, file in zip(paths, opened, strict=True):
            if path == MANIFEST_NAME:
                file.write(render_json(manifest["clean_manifest"]).encode("utf-8"))
                continue
            repair = repairs[path.removesuffix(".csv")]
            entries.append(_write_repaired(data_dir / path, path, file, repair))
        for listed, file in zip(manifest["clean"], opened, strict=True):
            file.flush()
            if hash_file(Path(file.name)) != listed["sha256"]:
                raise DataError(
                    f"{key_dir}: does not give {listed['path']} back. {_ADVICE}"
                )
    return entries


def require_key_of(key_dir: Path, data_dir: Path) -> Mapping[str, Any]:
    """Return the manifest of the answer key in *key_dir*.

    Raise `DataError` unless it is that of the faulty files in *data_dir*, all unchanged.
    """
    manifest: Mapping[str, Any] = read_key_manifest(key_dir).content
    _require_hashes(key_dir, manifest["key"])
    _require_hashes(data_dir, manifest["faulty"])
    return manifest


def read_clean_files(key_dir: Path, data_dir: Path) -> Callable[[str], Iterator[bytes]]:
    """Return what yields the bytes of the clean file of a table, by the table's name.

    The answer key in *key_dir* has to be that of the faulty files in *data_dir*.
    """
    repairs = collect_repairs(key_dir / FAULTS_NAME, key_dir / DECOYS_NAME)

    def read_clean(table: str) -> Iterator[bytes]:
        with open_regular_file(data_dir / f"{table}.csv") as lines:
            yield from repair_lines(lines, repairs[table])

    return read_clean


def _write_repaired(
    source: Path, name: str, output: IO[bytes], repair: TableRepair
) -> FileEntry:
    digest = hashlib.sha256()
    size = rows = 0
    with open_regular_file(source) as lines:
        for block in join_lines(repair_lines(lines, repair)):
            output.write(block)
            digest.update(block)
            size += len(block)
            rows += block.count(b"\n")
    return FileEntry(name, size, rows - 1, digest.hexdigest())


def _require_hashes(folder: Path, listed: Iterable[Mapping[str, str]]) -> None:
    """Raise `DataError` unless the files *listed* are unchanged in *folder*."""
    for file in listed:
        path = folder / file["path"]
        try:
            sha256 = hash_file(path)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            raise DataError(f"{path}: {reason}. {_ADVICE}") from error
        if sha256 != file["sha256"]:
            raise DataError(f"{path}: was changed after the key was made. {_ADVICE}")
