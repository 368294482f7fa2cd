"""The files of an input folder: which of them are missing, and what is there instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from db.loading.header import normalize_name, pair_names
from db.loading.messages import DELIMITERS
from utils.contract import Contract, Table
from utils.formats import count_noun, shorten_value
from utils.helpers import PROJECT_ROOT, DataError
from utils.signatures import HEAD_BYTES, find_signature

# Other files of the folder that are listed.
_MOST_OTHERS = 10

# Ends of the names of files that may hold a table.
_ENDS = re.compile(
    r"(?:\.(?:csv|tsv|txt|gz|bz2|xz|zst|zip|7z|rar|xlsx?|ods|parquet))+$", re.IGNORECASE
)

# Of a table's columns, the share that a header must resemble to be called that table's.
_LEAST_SHARE = 0.5


class OtherFile(NamedTuple):
    """A file that is none of the contract; *table* is the missing one it probably holds.

    *fit* is the share of the table's columns that its header resembles, and whether it has
    the table's name; *proposal* is how to rename it, or ''.
    """

    name: str
    description: str
    table: Table | None
    fit: tuple[float, bool] = (0, False)
    proposal: str = ""


def require_files(contract: Contract, data_dir: Path) -> None:
    """Raise `DataError` naming every CSV file of *contract* that *data_dir* lacks.

    The message also lists the files that are there instead, and what is needed.
    """
    if not data_dir.is_dir():
        problem = "not a folder" if data_dir.exists() else "no such folder"
        raise DataError(f"{data_dir}: {problem}. Name the files' folder with --data-dir.")
    paths = {table: data_dir / f"{table.name}.csv" for table in contract.tables}
    missing = [table for table, path in paths.items() if not path.exists()]
    problems = [
        f"{path.name} is not a file"
        for path in paths.values()
        if path.exists() and not path.is_file()
    ]
    if missing:
        problems.append(f"missing {', '.join(paths[table].name for table in missing)}")
    if problems:
        remedy, *more = ["Replace it with the CSV file."]
        if missing:
            remedy, *more = _find_remedy(contract, missing, data_dir)
        raise DataError(f"{data_dir}: {', '.join(problems)}. {remedy}", *more)


def _find_remedy(contract: Contract, missing: Sequence[Table], data_dir: Path) -> list[str]:
    """Return the lines of the first proposal on the *missing* tables for *data_dir*."""
    names = [f"{table.name}.csv" for table in contract.tables]
    proposal = _propose_join(missing, data_dir) or _propose_folder(names, data_dir)
    if proposal:
        return [proposal]
    others, more = _find_others(contract, missing, data_dir)
    is_new = len(missing) == len(names) and not any(other.table for other in others)
    if is_new and data_dir.resolve() == PROJECT_ROOT:
        make = "make them: python generate_data.py --generate"
        return [f"Name their folder with --data-dir, or {make}"]
    return [
        "Put them there, or name their folder with --data-dir.",
        *_describe_others(others, more),
        "Needed, with these columns:",
        *(f"  {table.name}.csv: {','.join(table.column_names)}" for table in missing),
    ]


def _propose_join(missing: Sequence[Table], data_dir: Path) -> str:
    """Return how to join the parts of the *missing* tables, or '' if there are none."""
    for table in missing:
        name = f"{table.name}.csv"
        if any(data_dir.glob(f"{name}.part-*")):
            return (
                "It contains parts of files: join the parts of each file in order, as"
                f" 'cat {name}.part-* > {name}' does, or name another folder with"
                " --data-dir."
            )
    return ""


def _propose_folder(names: Sequence[str], data_dir: Path) -> str:
    """Return which folder in *data_dir* has all files *names*, or '' if none has."""
    folders = {path.parent for path in data_dir.glob(f"*/{names[0]}")}
    complete = [each for each in folders if all((each / name).is_file() for name in names)]
    if not complete:
        return ""
    shown = shorten_value(min(complete).name)
    return f"Its folder {shown} has all of them: name it with --data-dir."


def _find_others(
    contract: Contract, missing: Sequence[Table], data_dir: Path
) -> tuple[list[OtherFile], int]:
    """Return the files in *data_dir* that may hold a table, without those of *contract*.

    Those that probably hold one of the *missing* tables come first.  Of many files only
    the first are returned, and the number of the others.
    """
    known = {f"{table.name}.csv" for table in contract.tables}
    paths = [
        path
        for path in data_dir.iterdir()
        if path.name not in known and _ENDS.search(path.name) and path.is_file()
    ]
    paths.sort(key=lambda path: (not _find_named(path.name.lower(), missing), path.name))
    others = [_describe_file(path, contract, missing) for path in paths[:_MOST_OTHERS]]
    others.sort(key=lambda other: other.table is None)
    return _propose_once(others), len(paths) - len(others)


def _propose_once(others: Sequence[OtherFile]) -> list[OtherFile]:
    """Return *others*, of which only the one that fits best is proposed for a table."""
    best: dict[Table | None, OtherFile] = {}
    for other in sorted(others, key=lambda other: other.fit):
        best[other.table] = other
    return [
        other if other is best[other.table] else other._replace(proposal="")
        for other in others
    ]


def _describe_others(others: Sequence[OtherFile], more: int) -> list[str]:
    """Return the lines that list *others* and count the *more* that there are."""
    if not others:
        return ["The folder has no other CSV file."]
    return [
        "Found instead:",
        *(f"  {other.name}: {other.description}{other.proposal}" for other in others),
        *([f"  and {count_noun(more, 'more file')}"] if more else []),
    ]


def _describe_file(path: Path, contract: Contract, missing: Sequence[Table]) -> OtherFile:
    """Return what the file *path* is, and which of the *missing* tables it may hold."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return OtherFile(
            shorten_value(path.name), f"cannot be read: {error.strerror}", None
        )
    stem = normalize_name(_ENDS.sub("", path.name))
    line = (head.decode("utf-8-sig", "replace").splitlines() or [""])[0]
    signature = find_signature(head)
    if signature is not None:
        description = f"{signature.name}; {signature.remedy}"
        named = _find_named(stem, missing)
        return OtherFile(shorten_value(path.name), description, named)
    description = f"begins {shorten_value(line)}" if line else "is empty"
    shares = _compare_columns(line, contract.tables)
    similar = max(contract.tables, key=lambda table: shares[table])
    is_clear = shares[similar] >= _LEAST_SHARE
    table = similar if is_clear else _find_named(stem, missing)
    if table is None or table not in missing:
        return OtherFile(shorten_value(path.name), description, None)
    is_named = stem == table.name
    proposal = f"; {'' if is_named else 'perhaps '}rename it to {table.name}.csv"
    fit = (shares[table], is_named)
    return OtherFile(shorten_value(path.name), description, table, fit, proposal)


def _compare_columns(line: str, tables: Sequence[Table]) -> dict[Table, float]:
    """Return the share of the columns of each of *tables* that the header *line* names."""
    delimiter = next((each for each in (",", *DELIMITERS) if each in line), ",")
    names = [name for name in line.split(delimiter) if name.strip()]
    return {
        table: len(pair_names(names, table.column_names)) / len(table.columns)
        for table in tables
    }


def _find_named(stem: str, missing: Sequence[Table]) -> Table | None:
    """Return the *missing* table whose name is in *stem*, the longest name if several."""
    named = [table for table in missing if table.name in stem]
    return max(named, key=lambda table: len(table.name), default=None)
