"""What each incident does to the figures of the shop: clean, and with it alone.

A scratch database without rules holds the clean rows of the customers that any fault
touches.  The faults of one incident are applied to it, the figures of its customers are
computed before and after, and the faults are rolled back.  All figures are sums over
customers, so the difference is that of the shop.  A row that cannot be read, such as a
ragged one, counts as missing.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from data_generation.faults.shop_figures import (
    CleanSums,
    Figures,
    FigureSums,
    derive_figures,
)
from utils.answer_key import PlantedFault, read_planted_faults
from utils.connections import open_connection
from utils.contract import Contract, Table

_FIGURES_PATH = Path(__file__).with_name("shop_figures.sql")

# What the figures need of the clean files; all other columns are not stored.
_COLUMNS = {
    "users": ("user_id",),
    "orders": (
        "order_id",
        "user_id",
        "ordered_at",
        "status",
        "subtotal_cents",
        "discount_cents",
        "total_cents",
    ),
    "order_items": (
        "order_item_id",
        "order_id",
        "quantity",
        "unit_price_cents",
        "discount_cents",
    ),
    "payments": ("payment_id", "order_id", "amount_cents", "processed_at"),
}

# Only payments that pay something back are stored, in a table of this name.
_STORED_NAMES = {"payments": "refunds"}

# The customers of the touched orders, then all orders of these customers.
_TOUCH_CUSTOMERS = (
    """INSERT OR IGNORE INTO touched_users SELECT orders.user_id FROM orders
    WHERE orders.order_id IN (SELECT order_id FROM touched_orders)""",
    """INSERT OR IGNORE INTO touched_orders SELECT orders.order_id FROM orders
    WHERE orders.user_id IN (SELECT user_id FROM touched_users)""",
)


class IncidentFigures(NamedTuple):
    """The figures of the clean shop, and those with each incident alone, by its id."""

    clean: Figures
    by_incident: dict[str, Figures]


class EffectMeter:
    """Measures incidents on the clean files in *folder*; the scratch file is *path*.

    *row_counts* are those of the files, by table, and *last* is the last day of the shop.
    Only what *faults* touch can be measured.
    """

    def __init__(
        self,
        path: Path,
        contract: Contract,
        folder: Path,
        row_counts: Mapping[str, int],
        last: date,
        faults: Iterable[PlantedFault],
    ) -> None:
        self._tables = {t.name: t for t in contract.tables if t.name in _COLUMNS}
        self._folder = folder
        is_over = last.day == calendar.monthrange(last.year, last.month)[1]
        self._last_month = 12 * last.year + last.month - (not is_over)
        self._figures_sql = _FIGURES_PATH.read_text(encoding="utf-8")
        users = self._find_touched_users(faults, row_counts)
        sums = CleanSums(row_counts["users"], self._last_month)
        self._connection = open_connection(str(path))
        self._create_tables()
        self._load_rows(users, row_counts["orders"], sums)
        self._create_indexes()
        self.clean = sums.compute()

    def close(self) -> None:
        """Close the scratch database."""
        self._connection.close()

    def _create_tables(self) -> None:
        # Numbers are stored as numbers where they are some.
        script = "PRAGMA synchronous = OFF;"
        for name, columns in _COLUMNS.items():
            key, *others = columns
            stored = _STORED_NAMES.get(name, name)
            declared = ", ".join(
                [f"{key} INTEGER", *(f"{each} NUMERIC" for each in others)]
            )
            script += f"CREATE TABLE {stored} ({declared});"
        script += "CREATE TABLE touched_users (user_id INTEGER PRIMARY KEY);"
        script += "CREATE TABLE touched_orders (order_id INTEGER PRIMARY KEY);"
        self._connection.executescript(script)

    def _create_indexes(self) -> None:
        for name, (key, *others) in _COLUMNS.items():
            stored = _STORED_NAMES.get(name, name)
            references = [each for each in others if each in ("user_id", "order_id")]
            for column in (key, *references):
                self._connection.execute(
                    f"CREATE INDEX {stored}_{column}_idx ON {stored} ({column})"
                )

    def _read_lines(self, name: str) -> Iterator[str]:
        """Yield the rows of the clean file of the table *name*, as lines."""
        path = self._folder / f"{name}.csv"
        with open(path, encoding="utf-8", newline="\n") as lines:
            next(lines)
            yield from lines

    def _collect_ids(self, faults: Iterable[PlantedFault]) -> dict[str, set[int]]:
        """Return the ids that *faults* name, by column."""
        ids: dict[str, set[int]] = defaultdict(set)
        for fault in faults:
            for column, found in _list_ids(fault, self._tables[fault.table]).items():
                ids[column].update(found)
        return ids

    def _find_touched_users(
        self, faults: Iterable[PlantedFault], row_counts: Mapping[str, int]
    ) -> bytearray:
        """Return a 1 at the id of each user whose figures *faults* may change.

        The ids in a clean file are the numbers of its rows.
        """
        ids = self._collect_ids(faults)
        for name in ("order_items", "payments", "orders"):
            key, reference, *_ = _COLUMNS[name]
            lines = enumerate(self._read_lines(name), start=1)
            chosen = [line for number, line in lines if number in ids[key]]
            ids[reference].update(int(row[1]) for row in self._pick(name, chosen))
        touched = bytearray(row_counts["users"] + 1)
        for user_id in ids["user_id"]:
            if user_id < len(touched):
                touched[user_id] = 1
        return touched

    def _pick(self, name: str, lines: Iterable[str]) -> Iterator[Sequence[str]]:
        """Return what is stored of *lines* of the table *name*."""
        names = self._tables[name].column_names
        if name == "payments":
            lines = (line for line in lines if ",refund," in line and ",succeeded," in line)
        places = [names.index(column) for column in _COLUMNS[name]]
        # With one place, such as the first, it would return no sequence.
        pick = itemgetter(*places) if len(places) > 1 else itemgetter(slice(1))
        return (pick(line.rstrip("\n").split(",")) for line in lines)

    def _load_rows(self, users: bytearray, order_count: int, sums: CleanSums) -> None:
        """Store the rows of the *users* marked with 1; add all rows to *sums*."""
        orders = bytearray(order_count + 1)
        refunds = self._pick("payments", self._read_lines("payments"))
        for _, order_id, cents, processed_at in refunds:
            sums.add_refund(order_id, cents, processed_at)
        self._connection.execute("BEGIN")
        ids = ([user_id] for user_id, is_touched in enumerate(users) if is_touched)
        self._store("users", ids)
        self._store("orders", self._load_orders(users, orders, sums))
        lines = self._read_lines("order_items")
        touched = (line for line in lines if orders[int(line.split(",", 2)[1])])
        self._store("order_items", self._pick("order_items", touched))
        # Read again, because a list of all refunds would be the largest part of the memory.
        refunds = self._pick("payments", self._read_lines("payments"))
        self._store("payments", (row for row in refunds if orders[int(row[1])]))
        self._connection.execute("COMMIT")

    def _load_orders(
        self, users: bytearray, orders: bytearray, sums: CleanSums
    ) -> Iterator[Sequence[str]]:
        """Yield the rows of the *users*, whose *orders* are marked; add all to *sums*."""
        for row in self._pick("orders", self._read_lines("orders")):
            sums.add_order(row)
            if users[int(row[1])]:
                orders[int(row[0])] = 1
                yield row

    def _store(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Store *rows*, what the figures need of the table *name*."""
        stored = _STORED_NAMES.get(name, name)
        marks = ", ".join("?" * len(_COLUMNS[name]))
        self._connection.executemany(f"INSERT INTO {stored} VALUES ({marks})", rows)

    def _compute(self) -> FigureSums:
        """Return the sums over the touched orders and their customers."""
        options = {"last_month": self._last_month}
        return FigureSums(*self._connection.execute(self._figures_sql, options).fetchone())

    def measure(self, faults: Iterable[PlantedFault]) -> Figures:
        """Return the figures of the shop with these *faults* alone, which affect some."""
        effective = list(faults)
        self._connection.execute("BEGIN")
        self._touch(effective)
        for statement in _TOUCH_CUSTOMERS:
            self._connection.execute(statement)
        before = self._compute()
        for fault in effective:
            self._apply(fault)
        after = self._compute()
        self._connection.execute("ROLLBACK")
        sums = zip(self.clean, before, after, strict=True)
        return derive_figures(FigureSums(*(a - b + c for a, b, c in sums)))

    def _touch(self, faults: Iterable[PlantedFault]) -> None:
        """Record the customers and orders whose figures *faults* may change."""
        ids = self._collect_ids(faults)
        for column, table in (("user_id", "touched_users"), ("order_id", "touched_orders")):
            self._connection.executemany(
                f"INSERT OR IGNORE INTO {table} VALUES (?)",
                ([each] for each in ids[column]),
            )
        for name in ("order_items", "payments"):
            key, *_ = _COLUMNS[name]
            self._connection.executemany(
                "INSERT OR IGNORE INTO touched_orders"
                f" SELECT order_id FROM {_STORED_NAMES.get(name, name)} WHERE {key} = ?",
                ([each] for each in ids[key]),
            )

    def _apply(self, fault: PlantedFault) -> None:
        """Change the stored rows as *fault* does."""
        table = self._tables[fault.table]
        key, *others = _COLUMNS[table.name]
        stored = _STORED_NAMES.get(table.name, table.name)
        if _is_added_row(fault, table):
            self._store(table.name, self._pick(table.name, [fault.faulty]))
        elif fault.level == "file":
            self._connection.execute(f"DELETE FROM {stored} WHERE {key} >= ?", [fault.key])
        elif fault.column in others:
            self._connection.execute(
                f"UPDATE {stored} SET {fault.column} = ? WHERE {key} = ?",
                [fault.faulty, fault.key],
            )
        elif not fault.column and _loses_row(fault):
            self._connection.execute(f"DELETE FROM {stored} WHERE {key} = ?", [fault.key])


def measure_incidents(
    faults_path: Path,
    scratch: Path,
    contract: Contract,
    folder: Path,
    row_counts: Mapping[str, int],
    last: date,
) -> IncidentFigures:
    """Return what each incident in the file *faults_path* does to the shop in *folder*.

    *scratch* is a path for a database; the others are those of `EffectMeter`.
    """
    by_incident: dict[str, list[PlantedFault]] = defaultdict(list)
    for fault in read_planted_faults(faults_path):
        some = by_incident[fault.incident_id]
        if _affects_figures(fault):
            some.append(fault)
    faults = chain.from_iterable(by_incident.values())
    with closing(EffectMeter(scratch, contract, folder, row_counts, last, faults)) as meter:
        measured = {name: meter.measure(some) for name, some in by_incident.items()}
        return IncidentFigures(derive_figures(meter.clean), measured)


def _affects_figures(fault: PlantedFault) -> bool:
    """Return whether *fault* may change a figure: most cells are in none."""
    if fault.table not in _COLUMNS:
        return False
    if fault.column:
        return fault.column in _COLUMNS[fault.table]
    is_charge = fault.table == "payments" and ",charge," in fault.clean + fault.faulty
    return not is_charge


def _list_ids(fault: PlantedFault, table: Table) -> dict[str, Collection[int]]:
    """Return the ids of *table* and others that *fault* names, by column."""
    key, *_ = _COLUMNS[table.name]
    if fault.level == "file":
        first = int(fault.key)
        return {key: range(first, first + fault.clean.count("\n"))}
    named = {fault.column: fault.faulty}
    if _is_added_row(fault, table):
        named = dict(zip(table.column_names, fault.faulty.split(","), strict=True))
    elif fault.key:
        named[key] = fault.key
    return {column: [int(text)] for column, text in named.items() if text.isdigit()}


def _is_added_row(fault: PlantedFault, table: Table) -> bool:
    """Return whether *fault* is a row more, and no header or blank line."""
    is_row = fault.faulty.count(",") == len(table.columns) - 1
    return fault.fault_class == "redundant" and bool(fault.key) and is_row


def _loses_row(fault: PlantedFault) -> bool:
    """Return whether the row is missing or cannot be read; a late row is neither."""
    is_unreadable = fault.table != "users" and fault.faulty != fault.clean
    return fault.fault_class == "missing" or (
        fault.fault_class == "incorrect" and is_unreadable
    )
