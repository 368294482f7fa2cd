"""What each incident does to the figures of the shop: clean, and with it alone.

A scratch database without rules holds the clean rows.  The faults of one incident are
applied to it, the figures of the touched customers are computed before and after, and the
faults are rolled back.  All figures are sums over customers, so the difference is that of
the shop.  A row that cannot be read, such as a ragged one, counts as missing.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from utils.answer_key import PlantedFault
from utils.connections import open_connection
from utils.contract import Contract, Table
from utils.ratios import ratio

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

# More customers at once would take memory, fewer would take time.
_CUSTOMERS_AT_ONCE = 10_000

# The customers of the touched orders, then all orders of these customers.
_TOUCH_CUSTOMERS = (
    """INSERT OR IGNORE INTO touched_users SELECT orders.user_id FROM orders
    WHERE orders.order_id IN (SELECT order_id FROM touched_orders)""",
    """INSERT OR IGNORE INTO touched_orders SELECT orders.order_id FROM orders
    WHERE orders.user_id IN (SELECT user_id FROM touched_users)""",
)


class FigureSums(NamedTuple):
    """Sums over customers; the cohorts are those that completed 12 months."""

    net_cents: int
    order_count: int
    customer_count: int
    repeat_count: int
    cohort_customer_count: int
    cohort_net_cents: int


class Figures(NamedTuple):
    """The figures of a shop as its owner knows them; None where nobody is counted."""

    net_cents: int
    order_count: int
    customer_count: int
    repeat_rate: float | None
    clv_12_cents: float | None


def derive_figures(sums: FigureSums) -> Figures:
    """Return the figures of *sums*.

    >>> derive_figures(FigureSums(900, 5, 4, 1, 2, 301))[3:]
    (0.25, 150.5)
    """
    return Figures(
        sums.net_cents,
        sums.order_count,
        sums.customer_count,
        ratio(sums.repeat_count, sums.customer_count),
        ratio(sums.cohort_net_cents, sums.cohort_customer_count, digits=2),
    )


class EffectMeter:
    """Measures incidents on the clean files in *folder*; the scratch file is *path*."""

    def __init__(self, path: Path, contract: Contract, folder: Path, last: date) -> None:
        self._tables = {t.name: t for t in contract.tables if t.name in _COLUMNS}
        is_over = last.day == calendar.monthrange(last.year, last.month)[1]
        self._last_month = 12 * last.year + last.month - (not is_over)
        self._figures_sql = _FIGURES_PATH.read_text(encoding="utf-8")
        self._connection = open_connection(str(path))
        self._create_tables()
        for table in self._tables.values():
            self._load_table(table, folder)
        self.clean = self._compute_clean()

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

    def _load_table(self, table: Table, folder: Path) -> None:
        key, *others = _COLUMNS[table.name]
        stored = _STORED_NAMES.get(table.name, table.name)
        self._connection.execute("BEGIN")
        with open(
            folder.joinpath(f"{table.name}.csv"), encoding="utf-8", newline="\n"
        ) as lines:
            next(lines)
            rows = (line.rstrip("\n").split(",") for line in lines)
            self._insert(table, rows)
        references = [each for each in others if each in ("user_id", "order_id")]
        for column in (key, *references):
            self._connection.execute(
                f"CREATE INDEX {stored}_{column}_idx ON {stored} ({column})"
            )
        self._connection.execute("COMMIT")

    def _insert(self, table: Table, rows: Iterable[Sequence[str]]) -> None:
        """Store the *rows* of *table*; of the payments, the refunds that succeeded."""
        names = table.column_names
        places = [names.index(column) for column in _COLUMNS[table.name]]
        if table.name == "payments":
            kind, status = names.index("kind"), names.index("status")
            rows = (
                row for row in rows if (row[kind], row[status]) == ("refund", "succeeded")
            )
        stored = _STORED_NAMES.get(table.name, table.name)
        marks = ", ".join("?" * len(places))
        self._connection.executemany(
            f"INSERT INTO {stored} VALUES ({marks})",
            ([row[at] for at in places] for row in rows),
        )

    def _compute(self) -> FigureSums:
        """Return the sums over the touched orders and their customers."""
        options = {"last_month": self._last_month}
        return FigureSums(*self._connection.execute(self._figures_sql, options).fetchone())

    def _compute_clean(self) -> FigureSums:
        """Return the sums over all customers, computed for some of them at a time."""
        sums = FigureSums(*[0] * len(FigureSums._fields))
        (last_id,) = self._connection.execute("SELECT MAX(user_id) FROM users").fetchone()
        for first_id in range(1, (last_id or 0) + 1, _CUSTOMERS_AT_ONCE):
            self._connection.execute("BEGIN")
            self._connection.execute(
                "INSERT INTO touched_orders SELECT order_id FROM orders"
                " WHERE user_id BETWEEN ? AND ?",
                [first_id, first_id + _CUSTOMERS_AT_ONCE - 1],
            )
            some = self._compute()
            self._connection.execute("ROLLBACK")
            sums = FigureSums(*(a + b for a, b in zip(sums, some, strict=True)))
        return sums

    def measure(self, faults: Iterable[PlantedFault]) -> Figures:
        """Return the figures of the shop with these *faults* alone, which affect some."""
        effective = list(faults)
        self._connection.execute("BEGIN")
        for fault in effective:
            self._touch(fault)
        for statement in _TOUCH_CUSTOMERS:
            self._connection.execute(statement)
        before = self._compute()
        for fault in effective:
            self._apply(fault)
        after = self._compute()
        self._connection.execute("ROLLBACK")
        sums = zip(self.clean, before, after, strict=True)
        return derive_figures(FigureSums(*(a - b + c for a, b, c in sums)))

    def _touch(self, fault: PlantedFault) -> None:
        """Record the customers and orders whose figures *fault* may change."""
        table = self._tables[fault.table]
        key, *_ = _COLUMNS[table.name]
        changed = {fault.column: fault.faulty}
        if _is_added_row(fault, table):
            changed = dict(zip(table.column_names, fault.faulty.split(","), strict=True))
        elif fault.key:
            changed[key] = fault.key
        for name, stored in (("user_id", "touched_users"), ("order_id", "touched_orders")):
            if changed.get(name, "").isdigit():
                self._connection.execute(
                    f"INSERT OR IGNORE INTO {stored} VALUES (?)", [int(changed[name])]
                )
        if table.name in ("order_items", "payments"):
            stored = _STORED_NAMES.get(table.name, table.name)
            comparison = ">=" if fault.level == "file" else "="
            self._connection.execute(
                "INSERT OR IGNORE INTO touched_orders"
                f" SELECT order_id FROM {stored} WHERE {key} {comparison} ?",
                [fault.key],
            )

    def _apply(self, fault: PlantedFault) -> None:
        """Change the stored rows as *fault* does."""
        table = self._tables[fault.table]
        key, *others = _COLUMNS[table.name]
        stored = _STORED_NAMES.get(table.name, table.name)
        if _is_added_row(fault, table):
            self._insert(table, [fault.faulty.split(",")])
        elif fault.level == "file":
            self._connection.execute(f"DELETE FROM {stored} WHERE {key} >= ?", [fault.key])
        elif fault.column in others:
            self._connection.execute(
                f"UPDATE {stored} SET {fault.column} = ? WHERE {key} = ?",
                [fault.faulty, fault.key],
            )
        elif not fault.column and _loses_row(fault):
            self._connection.execute(f"DELETE FROM {stored} WHERE {key} = ?", [fault.key])


def affects_figures(fault: PlantedFault) -> bool:
    """Return whether *fault* may change a figure: most cells are in none."""
    if fault.table not in _COLUMNS:
        return False
    if fault.column:
        return fault.column in _COLUMNS[fault.table]
    is_charge = fault.table == "payments" and ",charge," in fault.clean + fault.faulty
    return not is_charge


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
