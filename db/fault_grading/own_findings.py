"""What this project's own loader and report find in faulty files, as places."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from db.fault_grading.findings import Finding
from db.ingest import ingest_folder
from db.loading.faults import InputFaults
from db.reporting.checks import BUILT_IN_CHECKS, TEXT_CHECK
from db.reporting.report import list_rows, read_report
from utils.connections import open_connection
from utils.contract import SCHEMA_PATH, Table, read_contract

# More faults than an input has lines.
_ALL_FAULTS = 2**31

# The column of a check that names a row, and its table, the best one first.
_KEY_TABLES = {
    "last_user_id": "users",
    "last_product_id": "products",
    "order_item_id": "order_items",
    "payment_id": "payments",
    "order_id": "orders",
    "user_id": "users",
    "product_id": "products",
}

_LAST_DAY_OF_MONTH = "31"


def find_own(data_dir: Path, schema_path: Path = SCHEMA_PATH) -> tuple[list[Finding], bool]:
    """Return what the loader and the report find in *data_dir*, and whether it loads.

    If the loader refuses the files, its faults are the findings: there is no report.
    """
    contract = read_contract(schema_path)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "faulty.db")
        try:
            ingest_folder(
                data_dir,
                database,
                schema_path,
                max_errors=_ALL_FAULTS,
                place_option="TMPDIR",
            )
        except InputFaults as error:
            tables = {table.name: table for table in contract.tables}
            return [_place_fault(fault, tables) for fault in error.faults.first], False
        return list(_find_in_database(database)), True


def _place_fault(fault: Any, tables: Mapping[str, Table]) -> Finding:
    name = fault.file.removesuffix(".csv")
    column = fault.column or ""
    if not column and 0 < fault.field <= len(tables[name].columns):
        column = tables[name].columns[fault.field - 1].name
    return Finding(name, "", fault.line or None, column, fault.code)


def _find_in_database(database: Path) -> Iterator[Finding]:
    """Yield the rows that the checks of severity error and warning find in *database*."""
    built_in = {check.name for check in BUILT_IN_CHECKS} - {TEXT_CHECK}
    for check in read_report(database)["checks"]:
        if check["status"] not in ("fail", "warn") or check["check"] in built_in:
            continue
        rows = list_rows(database, check["check"], on_note=lambda _: None)
        columns = list(map(str, next(rows)))
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        yield from _place_rows(check["check"], named, database)


def _place_rows(
    check: str, rows: Sequence[Mapping[str, Any]], database: Path
) -> Iterator[Finding]:
    """Yield the places of the *rows* of a *check*."""
    if check == "text_spellings":
        yield from _place_spellings(check, rows, database)
        return
    for row in rows:
        if days := _find_days(row):
            yield Finding(row.get("table_name", "orders"), label=check, days=days)
        elif "first_missing_id" in row:
            for key in range(row["first_missing_id"], row["last_missing_id"] + 1):
                yield Finding("orders", str(key), label=check)
        elif "row_id" in row:
            column = row.get("column_name", "")
            yield Finding(row["table_name"], str(row["row_id"]), None, column, check)
        else:
            for column, table in _KEY_TABLES.items():
                if column in row:
                    yield Finding(table, str(row[column]), label=check)
                    break


def _find_days(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the first and last day that *row* of a check is about; None for a row."""
    if "day_text" in row:
        return row["day_text"], row["day_text"]
    if "month" in row:
        return f"{row['month']}-01", f"{row['month']}-{_LAST_DAY_OF_MONTH}"
    return None


def _place_spellings(
    check: str, rows: Sequence[Mapping[str, Any]], database: Path
) -> Iterator[Finding]:
    """Yield the rows with a spelling that fewer rows have than another one of its group."""
    most: dict[tuple[str, ...], int] = {}
    for row in rows:
        group = (row["table_name"], row["column_name"], row["folded_spelling"])
        most[group] = max(most.get(group, 0), row["row_count"])
    tables = {table.name: table for table in read_contract().tables}
    with closing(open_connection(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        for row in rows:
            name, column = row["table_name"], row["column_name"]
            if row["row_count"] == most[name, column, row["folded_spelling"]]:
                continue
            (key,) = tables[name].key
            selected = connection.execute(
                f"SELECT {key} FROM {name} WHERE {column} = ?", (row["spelling"],)
            )
            for (value,) in selected:
                yield Finding(name, str(value), None, column, check)
