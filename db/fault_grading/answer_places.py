"""The places of an answer key: which faults a finding about a row hits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from db.fault_grading.findings import Finding
from utils.answer_key import (
    DECOYS_NAME,
    FAULTS_NAME,
    INCIDENTS_NAME,
    Decoy,
    PlantedFault,
    PlantedIncident,
    read_decoys,
    read_planted_faults,
    read_planted_incidents,
)
from utils.helpers import open_regular_file

# What a row belongs to: `("order", "17")` or `("user", "4")`.
Group = tuple[str, str]

# Whoever names an order has found what is wrong with its lines and payments.
_ORDER_COLUMNS = {"orders": 0, "order_items": 1, "payments": 1}

# The most days of an incident about which a time is a finding.
MOST_DAYS = 45


class AnswerKey(NamedTuple):
    """The faults, incidents and decoys that were planted."""

    faults: list[PlantedFault]
    incidents: list[PlantedIncident]
    decoys: list[Decoy]


class Hits(NamedTuple):
    """The faults that a finding is about: at its place, elsewhere in its row, or related.

    Related is what belongs to the same order, to the same user, or to the same account of
    nobody.
    """

    exact: list[PlantedFault]
    in_row: list[PlantedFault]
    related: list[PlantedFault]
    decoys: list[Decoy]
    incidents: list[PlantedIncident]


def read_answer_key(folder: Path) -> AnswerKey:
    """Return the answer key in *folder*; raise `DataError` if it is not one."""
    return AnswerKey(
        list(read_planted_faults(folder / FAULTS_NAME)),
        list(read_planted_incidents(folder / INCIDENTS_NAME)),
        list(read_decoys(folder / DECOYS_NAME)),
    )


class AnswerPlaces:
    """Finds what is planted at a place of the faulty files in *data_dir*.

    The rows of *findings* are read once, to know their keys, orders and users.
    """

    def __init__(self, key: AnswerKey, data_dir: Path, findings: Iterable[Finding]) -> None:
        self._incidents = key.incidents
        self._faults_by_key: dict[tuple[str, str], list[PlantedFault]] = defaultdict(list)
        self._faults_by_line: dict[tuple[str, int], list[PlantedFault]] = defaultdict(list)
        self._faults_by_group: dict[Group, list[PlantedFault]] = defaultdict(list)
        self._decoys: dict[tuple[str, str], list[Decoy]] = defaultdict(list)
        lines = {(fault.table, fault.line) for fault in key.faults if fault.line}
        lines |= {(finding.table, finding.line) for finding in findings if finding.line}
        keys = {(finding.table, finding.key) for finding in findings if finding.key}
        self._rows = RowReader(data_dir, lines, keys)
        self._orders_of_accounts = find_orders_of_accounts(key.faults)
        for fault in key.faults:
            self._add_fault(fault)
        for decoy in key.decoys:
            self._decoys[decoy.table, decoy.key].append(decoy)
            for group in list_groups(decoy.table, decoy.row):
                if group[0] == "order":
                    self._decoys[group].append(decoy)

    def _add_fault(self, fault: PlantedFault) -> None:
        if fault.key:
            self._faults_by_key[fault.table, fault.key].append(fault)
        if fault.line:
            self._faults_by_line[fault.table, fault.line].append(fault)
        row = self._rows.by_line.get((fault.table, fault.line or 0), "")
        # A row that is missing has its groups in the clean line.
        texts = {row, fault.clean if fault.level != "cell" else ""}
        for group in {group for text in texts for group in list_groups(fault.table, text)}:
            if group[0] == "order" or _is_about_user(fault):
                self._faults_by_group[group].append(fault)
            if not fault.column and group in self._orders_of_accounts:
                user = self._orders_of_accounts[group]
                self._faults_by_group["account", user].append(fault)

    def find_hits(self, finding: Finding) -> Hits:
        """Return what *finding* is about."""
        if finding.days:
            return Hits([], [], [], [], list(self._find_incidents(finding)))
        key, row = self._rows.locate(finding)
        here = [
            *(self._faults_by_line[finding.table, finding.line] if finding.line else ()),
            *(self._faults_by_key[finding.table, key] if key else ()),
        ]
        here = list(dict.fromkeys(here))
        exact = [fault for fault in here if _is_exact(fault, finding)]
        # An order that is missing has no row, but lines and payments that are missing too.
        groups = list_groups(finding.table, row or key)
        if finding.table == "users":
            groups.append(("account", key))
        related = [fault for group in groups for fault in self._faults_by_group[group]]
        decoys = self._decoys[finding.table, key] if key else []
        for group in groups:
            decoys = [*decoys, *self._decoys[group]]
        return Hits(
            exact,
            [fault for fault in here if fault not in exact],
            [fault for fault in dict.fromkeys(related) if fault not in here],
            list(dict.fromkeys(decoys)),
            [],
        )

    def _find_incidents(self, finding: Finding) -> Iterator[PlantedIncident]:
        assert finding.days is not None  # noqa: S101
        first, last = finding.days
        for incident in self._incidents:
            is_short = _count_days(incident.first_date, incident.last_date) <= MOST_DAYS
            if (
                is_short
                and finding.table in incident.table.split()
                and incident.first_date <= last
                and first <= incident.last_date
            ):
                yield incident


def find_orders_of_accounts(faults: Iterable[PlantedFault]) -> dict[Group, str]:
    """Return the orders that *faults* add for an account that they add, with its key."""
    added = [fault for fault in faults if fault.fault_class == "redundant"]
    accounts = {fault.key for fault in added if fault.table == "users"}
    orders = (
        list_groups("orders", each.faulty) for each in added if each.table == "orders"
    )
    return {
        groups[0]: groups[1][1]
        for groups in orders
        if len(groups) == 2 and groups[1][1] in accounts
    }


def _is_about_user(fault: PlantedFault) -> bool:
    """Return whether *fault* is an account, or the account of an order."""
    return fault.column == ("" if fault.table == "users" else "user_id")


def _is_exact(fault: PlantedFault, finding: Finding) -> bool:
    """Return whether *finding*, about the row of *fault*, is about its cell too."""
    return not finding.column or not fault.column or finding.column == fault.column


def _count_days(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days + 1


def list_groups(table: str, row: str) -> list[Group]:
    """Return the order and the user that the line *row* of *table* belongs to.

    >>> list_groups("orders", "17,4,2025-01-01T00:00:00Z"), list_groups("products", "1,A")
    ([('order', '17'), ('user', '4')], [])
    """
    cells = row.split(",", 2)
    groups = []
    if table in _ORDER_COLUMNS and len(cells) > _ORDER_COLUMNS[table]:
        groups.append(("order", cells[_ORDER_COLUMNS[table]]))
    if table == "orders" and len(cells) > 1:
        groups.append(("user", cells[1]))
    if table == "users" and cells[0]:
        groups.append(("user", cells[0]))
    return [(kind, text) for kind, text in groups if text]


class RowReader:
    """The rows of faulty files at some *lines* and with some *keys*, as texts.

    The files are read line by line: a planted fault may be a quote or a missing comma, and
    every line that the generator wrote begins with its key.
    """

    def __init__(
        self,
        data_dir: Path,
        lines: Collection[tuple[str, int]],
        keys: Collection[tuple[str, str]],
    ) -> None:
        self.by_line: dict[tuple[str, int], str] = {}
        self._by_key: dict[tuple[str, str], str] = {}
        for table in sorted({table for table, _ in (*lines, *keys)}):
            with open_regular_file(data_dir / f"{table}.csv") as file:
                for number, line in enumerate(file, start=1):
                    key = line.partition(b",")[0].decode("utf-8", "replace")
                    if (table, number) in lines:
                        self.by_line[table, number] = _decode(line)
                    if (table, key) in keys:
                        self._by_key.setdefault((table, key), _decode(line))

    def locate(self, finding: Finding) -> tuple[str, str]:
        """Return the key and the text of the row of *finding*, '' for what is not there."""
        if finding.line:
            row = self.by_line.get((finding.table, finding.line), "")
            return finding.key or row.partition(",")[0], row
        return finding.key, self._by_key.get((finding.table, finding.key), "")


def _decode(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")
