"""Profiles: which kinds of faults to plant, how often, and when."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from data_generation.faults.fault_catalogue import KINDS
from data_generation.faults.fault_kinds import LANES, PlantedKind, Row
from data_generation.faults.ownership import Week
from utils.contract import read_contract
from utils.formats import shorten_value
from utils.helpers import DataError, read_regular_file

# A profile file has at most this many bytes.
_MOST_BYTES = 1 << 20

_MILLION = 1_000_000
_LEAST_RATE = Decimal("0.000001")

_BY_NAME = {kind.name: kind for kind in KINDS}

# Columns with the time of a row, for the window of a kind.
_TIME_COLUMNS = ("signed_up_at", "ordered_at", "processed_at", "launched_at")


class Choice(NamedTuple):
    """How a profile plants a kind; None is the kind's own value.

    *rate* is per million rows at risk.  Only rows from *first* to *last* are at risk, and
    only those with the cells *only*.
    """

    rate: int | None = None
    first: date | None = None
    last: date | None = None
    only: Mapping[str, str] = {}

    def allows(self, row: Row) -> bool:
        """Return whether *row* is at risk."""
        only = self.only
        if only and any(row[column] != value for column, value in only.items()):
            return False
        if self.first is None and self.last is None:
            return True
        day = next((row[name][:10] for name in _TIME_COLUMNS if name in row), "")
        # A line of an order has no time; `Planting` checks the day of its order.
        return not day or self.allows_day(day)

    def allows_day(self, day: str) -> bool:
        """Return whether *day*, as YYYY-MM-DD, is in the window."""
        first, last = self.first or date.min, self.last or date.max
        return first.isoformat() <= day <= last.isoformat()

    def find_lane_rate(self, kind: PlantedKind) -> int:
        """Return the rate per million within the lanes of *kind*."""
        rate = kind.rate if self.rate is None else self.rate
        if kind.is_batch:
            return rate
        return min(rate * LANES // len(kind.lanes), _MILLION)


class Profile(NamedTuple):
    """The kinds that are planted, by name."""

    name: str
    choices: Mapping[str, Choice]

    def replace_days(self, days: dict[bytes, Week]) -> None:
        """Give each batch kind with a window of its own exactly the days of that window."""
        for name, choice in self.choices.items():
            kind = _BY_NAME[name]
            if not kind.is_batch or choice.first is None or choice.last is None:
                continue
            for day in [day for day, week in days.items() if week.number == kind.number]:
                del days[day]
            for at in range((choice.last - choice.first).days + 1):
                text = (choice.first + timedelta(days=at)).isoformat()
                days[text.encode("ascii")] = Week(kind.number, 1)


def _choose(*names: str, factor: int = 1) -> dict[str, Choice]:
    return {
        name: Choice(min(_BY_NAME[name].rate * factor, _MILLION))
        if factor > 1
        else Choice()
        for name in names
    }


def _list_family(*families: str) -> list[str]:
    return [kind.name for kind in KINDS if kind.family in families]


_DECOYS = _list_family("decoys")

# `light` and `realistic` load; the others have kinds that the loader refuses.
BUILT_IN = {
    "light": _choose(
        *(
            kind.name
            for kind in KINDS
            if kind.tier == 2 and kind.family in ("delivery", "relations")
        ),
        *_DECOYS,
    ),
    "realistic": _choose(*(kind.name for kind in KINDS if kind.tier > 1), *_DECOYS),
    "hostile": _choose(*(kind.name for kind in KINDS), factor=3),
    **{
        family: _choose(*_list_family(family), *_DECOYS)
        for family in ("delivery", "export", "entry", "file")
    },
}


def read_profile(text: str) -> Profile:
    """Return the built-in profile called *text*, or the one in the TOML file *text*.

    Raise `DataError` if there is none, or with the line that is not usable.
    """
    if text in BUILT_IN:
        return Profile(text, BUILT_IN[text])
    path = Path(text)
    if path.suffix != ".toml":
        names = ", ".join(BUILT_IN)
        raise DataError(
            f"{text[:60]!r} is not a profile of faults, expected one of {names}, or a file"
            " whose name ends with .toml."
        )
    return _ProfileFile(path).read()


def _parse_number(text: str) -> Decimal | str:
    """Return the number *text*; as a text if decimals cannot hold or compare it.

    >>> _parse_number("0.25"), _parse_number("nan")
    (Decimal('0.25'), 'nan')
    """
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of 20 digits
        return text
    return number if number.is_finite() else text


class _ProfileFile:
    """A profile in a TOML file; each error names its line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""

    def read(self) -> Profile:
        """Return the profile; raise `DataError` with the first line that is not usable."""
        try:
            self._text = read_regular_file(self._path, _MOST_BYTES).decode("utf-8-sig")
            document = tomllib.loads(self._text, parse_float=_parse_number)
        except OSError as error:
            reason = error.strerror or error
            raise DataError(
                f"{self._path}: cannot be read: {reason}. Name another profile."
            ) from error
        # Those of tomllib name the line, but not where lists are nested too deeply.
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{self._path}: is not valid TOML: {error}. Correct it."
            ) from error
        if not document:
            self._refuse("", "", "no kind of fault, expected a table such as [late_rows]")
        choices = {name: self._read_choice(name, table) for name, table in document.items()}
        self._refuse_overlaps(choices)
        return Profile(self._path.stem, choices)

    def _read_choice(self, name: str, table: Any) -> Choice:
        if name not in _BY_NAME:
            known = ", ".join(sorted(_BY_NAME))
            self._refuse(
                name, "", f"{name[:40]!r} is not a kind of fault, expected one of {known}"
            )
        if not isinstance(table, dict):
            self._refuse(name, "", f"{name} is {shorten_value(table)}, expected a table")
        for option in table:
            if option not in ("rate", "from", "to", "only"):
                self._refuse(
                    name, option, f"{option[:40]!r}, expected rate, from, to or only"
                )
            if _BY_NAME[name].level == "file":
                reason = "it changes the end of the file, whatever its rows are"
                self._refuse(name, option, f"{name} takes no {option}: {reason}")
        first, last = (self._read_day(name, table, option) for option in ("from", "to"))
        if first and last and last < first:
            self._refuse(name, "to", f"to {last} is before from {first}")
        if _BY_NAME[name].is_batch and (first is None) != (last is None):
            self._refuse(name, "", f"{name} owns complete days, expected from and to")
        rate = self._read_rate(name, table)
        return Choice(rate, first, last, self._read_only(name, table))

    def _read_rate(self, name: str, table: Mapping[str, Any]) -> int | None:
        if "rate" not in table:
            return None
        rate = table["rate"]
        if type(rate) not in (int, Decimal) or not _LEAST_RATE <= rate <= 1:
            expected = f"a share of the rows at risk, from {_LEAST_RATE} to 1"
            self._refuse(name, "rate", f"rate is {rate}, expected {expected}")
        return int(rate * _MILLION)

    def _read_day(self, name: str, table: Mapping[str, Any], option: str) -> date | None:
        day = table.get(option)
        if day is not None and type(day) is not date:
            self._refuse(name, option, f"{option} is {day}, expected a day as 2025-03-31")
        return day

    def _read_only(self, name: str, table: Mapping[str, Any]) -> dict[str, str]:
        only = table.get("only", {})
        if not isinstance(only, dict):
            self._refuse(name, "only", f"only is {only}, expected {{column = 'value'}}")
        kind = _BY_NAME[name]
        (contract,) = (t for t in read_contract().tables if t.name == kind.table)
        for column in only:
            if column not in contract.column_names:
                known = ", ".join(contract.column_names)
                self._refuse(
                    name, "only", f"{column[:40]!r} is no column of {kind.table}: {known}"
                )
        return {column: str(value) for column, value in only.items()}

    def _refuse_overlaps(self, choices: Mapping[str, Choice]) -> None:
        """Raise `DataError` if two batch kinds have the same day."""
        windows = sorted(
            (choice.first, choice.last, name)
            for name, choice in choices.items()
            if _BY_NAME[name].is_batch and choice.first and choice.last
        )
        for (_, last, name), (first, _, other) in pairwise(windows):
            if first <= last:
                self._refuse(
                    other, "from", f"{other} begins on {first}, before {name} ends"
                )

    def _refuse(self, name: str, option: str, reason: str) -> NoReturn:
        line = self._find_line(name, option)
        raise DataError(f"{self._path}:{line}: {reason}. Correct the profile.")

    def _find_line(self, name: str, option: str) -> int:
        """Return the line of *option* in the table *name*; tomllib does not keep it."""
        is_within, found = False, 1
        for number, line in enumerate(self._text.splitlines(), start=1):
            header = re.match(r"\s*\[\s*[\"']?([^\"'\].]+)", line)
            if header:
                is_within = header[1].strip() == name
                found = number if is_within else found
            key = re.match(r"\s*[\"']?([^\s\"'=.]+)[\"']?\s*[=.]", line)
            if key and key[1] == (option if is_within else name):
                return number
        return found
