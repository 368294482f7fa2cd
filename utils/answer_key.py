"""The answer key of planted faults: its files, their columns, and how they are read.

The generator writes `answer_key/` beside the faulty files; whoever grades findings reads
it.  data_generation/faults/README.md explains every column.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

from utils.helpers import DataError, open_regular_file
from utils.shapes import ANY_TEXT, COUNT, Document, list_of, read_document, record, text

FAULTY_FOLDER = "faulty"
KEY_FOLDER = "answer_key"

KEY_MANIFEST_NAME = "manifest.json"
FAULTS_NAME = "faults.csv"
INCIDENTS_NAME = "incidents.csv"
DECOYS_NAME = "decoys.csv"

_REMEDY = "Name the folder answer_key that --faults made."

_Record = TypeVar("_Record")


class PlantedFault(NamedTuple):
    """A changed cell, row or file, as a line of faults.csv lists it.

    *line* and *field* count from 1 in the faulty file; None is a row that is missing there,
    or a complete row.  *clean* and *faulty* are a cell, or a complete line.
    """

    fault_id: str
    incident_id: str
    kind: str
    fault_class: str
    level: str
    table: str
    key: str
    column: str
    line: int | None
    field: int | None
    clean: str
    faulty: str
    expected: str
    tier: int
    certainty: str
    effect_cents: int | None


class PlantedIncident(NamedTuple):
    """The cause of some faults, as a line of incidents.csv lists it.

    The figures of the shop are those of the clean one, and those with this incident alone.
    """

    incident_id: str
    kind: str
    family: str
    description: str
    table: str
    first_date: str
    last_date: str
    row_count: int
    mechanism: str
    condition: str
    source: str
    clean_net_cents: int
    net_cents: int
    clean_order_count: int
    order_count: int
    clean_customer_count: int
    customer_count: int
    clean_repeat_rate: float | None
    repeat_rate: float | None
    clean_clv_12_cents: float | None
    clv_12_cents: float | None


class Decoy(NamedTuple):
    """An unusual but legal row, as a line of decoys.csv lists it.

    *planted* is 1 for a row that is not in the clean file, 0 for one of the shop's own.
    """

    decoy_id: str
    kind: str
    table: str
    key: str
    line: int
    planted: int
    row: str
    description: str


# In the files `fault_class` is called class, which is a keyword of Python.
FAULT_COLUMNS = tuple("class" if n == "fault_class" else n for n in PlantedFault._fields)

_FILE = record(
    {"path": ANY_TEXT, "sha256": text("[0-9a-f]{64}", "64 hexadecimal digits")},
    {"rows": COUNT, "bytes": COUNT},
)

_KEY_MANIFEST = record(
    {
        "profile": ANY_TEXT,
        "clean": list_of(_FILE, least=1),
        "faulty": list_of(_FILE, least=1),
        "key": list_of(_FILE, least=1),
    }
)


def read_key_manifest(folder: Path) -> Document:
    """Return the manifest of the answer key in *folder*; raise `DataError` without one."""
    return read_document(folder / KEY_MANIFEST_NAME, _KEY_MANIFEST, remedy=_REMEDY)


def read_planted_faults(path: Path) -> Generator[PlantedFault, None, None]:
    """Yield the faults in the file *path* of an answer key, table by table."""
    return _read_records(path, FAULT_COLUMNS, PlantedFault)


def read_planted_incidents(path: Path) -> Generator[PlantedIncident, None, None]:
    """Yield the incidents in the file *path* of an answer key."""
    return _read_records(path, PlantedIncident._fields, PlantedIncident)


def read_decoys(path: Path) -> Generator[Decoy, None, None]:
    """Yield the decoys in the file *path* of an answer key."""
    return _read_records(path, Decoy._fields, Decoy)


def _read_records(
    path: Path, columns: tuple[str, ...], record_type: Callable[..., _Record]
) -> Generator[_Record, None, None]:
    """Yield the rows of the file *path* as records; raise `DataError` with a bad line."""
    converters = _list_converters(record_type)
    try:
        with open_regular_file(path) as file:
            rows = csv.reader((line.decode("utf-8") for line in file), strict=True)
            if next(rows, None) != list(columns):
                expected = ",".join(columns)
                raise DataError(f"{path}:1: expected the columns {expected}. {_REMEDY}")
            cells: list[Any]
            for cells in rows:
                try:
                    for place, convert in converters:
                        cells[place] = convert(cells[place])
                    record = record_type(*cells)
                except (IndexError, TypeError, ValueError) as error:
                    line = f"{path}:{rows.line_num}"
                    raise DataError(f"{line}: is not a row of it. {_REMEDY}") from error
                yield record
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise DataError(f"{path}: {reason}. {_REMEDY}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not CSV: {error}. {_REMEDY}") from error


def _list_converters(
    record_type: Callable[..., Any],
) -> list[tuple[int, Callable[[str], Any]]]:
    """Return what makes the values that *record_type* declares of cells, by their place.

    Texts stay as they are.
    """
    makers: dict[Any, Callable[[str], Any]] = {
        int: int,
        int | None: lambda cell: int(cell) if cell else None,
        float | None: lambda cell: float(cell) if cell else None,
    }
    types = get_type_hints(record_type).values()
    return [(at, makers[each]) for at, each in enumerate(types) if each is not str]
