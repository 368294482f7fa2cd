"""Run the cohort query read-only, derive its ratios, write query_result.csv and .json."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from utils.contract import PROVENANCE_TABLE, read_contract
from utils.helpers import (
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    hash_file,
    open_whole,
    render_json,
)

SCHEMA_VERSION = "1.0"
QUERY_PATH = Path(__file__).resolve().with_name("join_query.sql")
CSV_NAME = "query_result.csv"
JSON_NAME = "query_result.json"

# The ages at which a cohort's value is told, in months.
CLV_MONTHS = (3, 6, 12)

# What a query must give: the key of a cell, and what its ratios are made of.
KEY_COLUMNS = ("cohort_month", "months_since", "cohort_size")
SUMMED_COLUMNS = (
    "cohort_size",
    "active_customers",
    "order_count",
    "net_cents",
    "cum_net_cents",
    "cum_margin_cents",
)
NEEDED_COLUMNS = tuple(dict.fromkeys((*KEY_COLUMNS, *SUMMED_COLUMNS, "is_complete")))

# SQLite turns a larger product into a floating-point number, and says nothing.
LARGEST_INTEGER = 2**63 - 1

# How long to wait for another program's lock on the database, in seconds.
LOCK_TIMEOUT = 5.0

NEXT_STEP = "Make it with: python ingest.py --ingest"

# Paid and not cancelled.  Said a second time, as the check must not lean on the query.
_VALID = """
    orders.status IN ('paid', 'shipped', 'delivered', 'partially_returned', 'returned')
"""

_ORDERS_SQL = f"""
    SELECT
        COUNT(DISTINCT orders.user_id),
        COALESCE(SUM(orders.discount_cents), 0),
        MAX(orders.ordered_at)
    FROM orders
    WHERE {_VALID}
"""

_LINES_SQL = f"""
    SELECT COALESCE(SUM(order_items.line_total_cents), 0)
    FROM order_items
    CROSS JOIN orders
        ON order_items.order_id = orders.order_id
    WHERE {_VALID}
"""

_REFUNDS_SQL = f"""
    SELECT
        payments.amount_cents,
        orders.subtotal_cents - orders.discount_cents,
        orders.total_cents,
        payments.processed_at
    FROM payments
    CROSS JOIN orders
        ON payments.order_id = orders.order_id
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
        AND orders.total_cents > 0
        AND {_VALID}
"""

Cell = dict[str, Any]


class Provenance(NamedTuple):
    """What `submission_meta` says of the data; a fact it does not state is None."""

    as_of: str | None
    currency: str | None
    content_sha256: str | None


class Totals(NamedTuple):
    """The whole shop's figures, summed table by table without the cohort query."""

    buyer_count: int
    net_cents: int
    last_event_at: str | None


class Result(NamedTuple):
    """What the query gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Reading(NamedTuple):
    """All that is taken from the database, in one snapshot; *source* names the file."""

    provenance: Provenance
    totals: Totals
    result: Result
    source: dict[str, Any]


class Outcome(NamedTuple):
    """What a run wrote, and what its reader should know about it."""

    document: dict[str, Any]
    paths: list[Path]
    notes: list[str]


def query_database(
    database: Path, *, query_path: Path = QUERY_PATH, out_dir: Path | None = None
) -> Outcome:
    """Run the query at *query_path* on *database* and write CSV and JSON.

    Without *out_dir* they go to the project's root, and a copy of the JSON to the page.
    Raise `DataError` when the user can mend it; old results then stay as they were.
    """
    sql = read_query(query_path)
    reading = read_database(database, sql.decode("utf-8-sig"), query_path)
    provenance = reading.provenance
    document = {
        "schema_version": SCHEMA_VERSION,
        "as_of": provenance.as_of,
        "currency": provenance.currency,
        "database": reading.source,
        "dataset": {"content_sha256": provenance.content_sha256},
        "query": {
            "file": _name_file(query_path),
            "sha256": hashlib.sha256(sql).hexdigest(),
        },
        **summarize_cells(build_cells(reading.result, query_path)),
    }
    notes = find_differences(document, reading.totals, query_path)
    if notes and query_path.resolve() == QUERY_PATH:
        # Another query may leave orders out on purpose; ours may not be written like that.
        require_references(database)
        raise RuntimeError("the cohorts do not reconcile: " + "; ".join(notes))
    return Outcome(document, write_result(reading.result, document, out_dir), notes)


# Reading


def read_query(query_path: Path) -> bytes:
    """Return the bytes of the SQL file at *query_path*."""
    try:
        sql = query_path.read_bytes()
        text = sql.decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{query_path}: cannot be read: {error.strerror}."
            " Name an SQL file with --query."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{query_path}: is not UTF-8 text: {error}.") from error
    if not text.strip():
        raise DataError(f"{query_path}: is empty. Expected one SELECT.")
    return sql


def read_only_uri(database: Path) -> str:
    """Return the URI that opens *database* read-only, whatever characters its path has.

    `Path.as_uri` is not used: SQLite refuses the host that it writes for a Windows share.

    >>> read_only_uri(Path("50% off?.db")).endswith("/50%25%20off%3F.db?mode=ro")
    True
    """
    path = Path(os.path.abspath(database)).as_posix()
    root = "" if path.startswith("/") else "/"
    return f"file://{root}{quote(os.fsencode(path), safe='/:')}?mode=ro"


def read_database(database: Path, sql: str, query_path: Path) -> Reading:
    """Run *sql*, which came from *query_path*, and read the facts that go with it."""
    before = _identify(database)
    with open_read_only(database) as connection:
        try:
            provenance = read_provenance(connection)
            totals = sum_tables(connection)
        except (sqlite3.Error, OverflowError) as error:
            raise _refuse_database(database, error) from error
        _check_as_of(provenance, totals, database)
        try:
            result = fetch_result(connection, sql)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise DataError(
                f"{query_path}: SQLite refuses it on {database}: {error}."
                " Expected one SELECT; mend it, or leave --query away."
            ) from error
        source = {"sha256": hash_file(database), "bytes": before[0]}
    if _identify(database) != before:
        raise DataError(f"{database}: changed while it was read. Run the query again.")
    return Reading(provenance, totals, result, source)


@contextmanager
def open_read_only(database: Path) -> Iterator[sqlite3.Connection]:
    """Open *database*, check that it holds the contract's tables, begin one snapshot."""
    tables = {table.name for table in read_contract().tables} | {PROVENANCE_TABLE}
    try:
        connection = sqlite3.connect(
            read_only_uri(database), uri=True, isolation_level=None, timeout=LOCK_TIMEOUT
        )
    except sqlite3.Error as error:
        raise _refuse_database(database, error) from error
    with closing(connection):
        try:
            connection.execute("BEGIN")
            rows = connection.execute("SELECT name FROM sqlite_schema").fetchall()
        except sqlite3.Error as error:
            raise _refuse_database(database, error) from error
        if missing := sorted(tables - {name for (name,) in rows}):
            raise DataError(f"{database}: has no table {', '.join(missing)}. {NEXT_STEP}")
        yield connection


def fetch_result(connection: sqlite3.Connection, sql: str) -> Result:
    """Run the one SELECT in *sql*; raise `ValueError` if it is something else."""
    cursor = connection.execute(sql)
    if cursor.description is None:
        raise ValueError("it gives no rows")
    return Result(tuple(column[0] for column in cursor.description), cursor.fetchall())


def read_provenance(connection: sqlite3.Connection) -> Provenance:
    """Read what was loaded, and until when it was observed."""
    facts = {
        (subject, name): value
        for subject, name, value in connection.execute(
            f"SELECT subject, property, value FROM {PROVENANCE_TABLE}"
        )
    }
    return Provenance(
        as_of=facts.get(("dataset", "as_of")),
        currency=facts.get(("generator", "currency")),
        content_sha256=facts.get(("dataset", "content_sha256")),
    )


def sum_tables(connection: sqlite3.Connection) -> Totals:
    """Sum the valid orders table by table; refunds one by one, in Python's integers.

    Raise `OverflowError` if one is too large for the query's integers.
    """
    buyer_count, discount_cents, last_event_at = connection.execute(_ORDERS_SQL).fetchone()
    (net_cents,) = connection.execute(_LINES_SQL).fetchone()
    net_cents -= discount_cents
    for amount, goods, total, processed_at in connection.execute(_REFUNDS_SQL):
        if amount * goods > LARGEST_INTEGER:
            raise OverflowError
        net_cents -= amount * goods // total
        last_event_at = max(last_event_at, processed_at)
    return Totals(buyer_count, net_cents, last_event_at)


def require_references(database: Path) -> None:
    """Raise `DataError` if a row of *database* refers to a row that is not there."""
    with open_read_only(database) as connection:
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise DataError(
            f"{database}: row {broken[1]} of {broken[0]} refers to a row of {broken[2]}"
            " that is not there. Mend the data and load them: python ingest.py --ingest"
        )


def _refuse_database(database: Path, error: sqlite3.Error | OverflowError) -> DataError:
    if isinstance(error, OverflowError) or "overflow" in str(error):
        return DataError(
            f"{database}: its amounts are too large to reckon with in 64 bits."
        )
    if "locked" in str(error):
        return DataError(f"{database}: another program writes to it. Run again after it.")
    return DataError(f"{database}: cannot be read: {error}. {NEXT_STEP}")


def _identify(database: Path) -> tuple[int, ...]:
    """Return what changes when the file at *database* does: size first."""
    try:
        status = database.stat()
    except FileNotFoundError as error:
        raise DataError(f"{database}: no such database. {NEXT_STEP}") from error
    if database.is_dir():
        raise DataError(f"{database}: is a folder. Name a file with --database.")
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def _check_as_of(provenance: Provenance, totals: Totals, database: Path) -> None:
    """Raise `DataError` unless every event lies before the end of the as-of day."""
    if provenance.as_of is None and totals.last_event_at is None:
        return
    as_of = provenance.as_of or "missing"
    last_event_at = totals.last_event_at or ""
    if not _is_day(as_of):
        fault = f"as_of is {as_of}, expected YYYY-MM-DD"
    elif last_event_at[:10] > as_of:
        fault = f"as_of is {as_of}, yet the last order or refund is of {last_event_at}"
    else:
        return
    raise DataError(
        f"{database}: {PROVENANCE_TABLE}: {fault}."
        " Load the data again: python ingest.py --ingest"
    )


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


# Deriving


def ratio(numerator: int | None, denominator: int | None, *, digits: int) -> float | None:
    """Return the quotient to *digits* decimals; None when there is nothing to divide by.

    Exact until the one rounding, halves away from zero.  Nothing else here divides.

    >>> ratio(1157, 7846, digits=6)
    0.147464
    >>> ratio(1, 8, digits=2), ratio(-1, 8, digits=2), ratio(0, 0, digits=2)
    (0.13, -0.13, None)
    """
    if numerator is None or not denominator:
        return None
    scale = 10**digits
    whole = (2 * abs(numerator) * scale + denominator) // (2 * denominator)
    quotient: float = (whole if numerator >= 0 else -whole) / scale
    return quotient


def derive_ratios(sums: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the ratios of one cell, or of several cells summed."""
    customers = sums["cohort_size"]
    return {
        "retention": ratio(sums["active_customers"], customers, digits=6),
        "aov_cents": ratio(sums["net_cents"], sums["order_count"], digits=2),
        "net_per_customer_cents": ratio(sums["net_cents"], customers, digits=2),
        "cum_net_per_customer_cents": ratio(sums["cum_net_cents"], customers, digits=2),
        "cum_margin_per_customer_cents": ratio(
            sums["cum_margin_cents"], customers, digits=2
        ),
    }


def build_cells(result: Result, query_path: Path) -> list[Cell]:
    """Return one dictionary per row: the query's columns, then the ratios.

    Raise `DataError` naming *query_path* when the result is not one of cohort cells.
    """
    if missing := [name for name in NEEDED_COLUMNS if name not in result.columns]:
        raise DataError(
            f"{query_path}: its result lacks {', '.join(missing)}. Expected the columns of"
            f" {_name_file(QUERY_PATH)}; others may be added."
        )
    if twice := [name for name, count in Counter(result.columns).items() if count > 1]:
        raise DataError(f"{query_path}: gives {', '.join(twice)} more than once.")
    cells = []
    seen = set()
    for number, row in enumerate(result.rows, 1):
        cell = dict(zip(result.columns, row, strict=True))
        _check_cell(cell, f"{query_path}: row {number} of its result")
        key = cell["cohort_month"], cell["months_since"]
        if key in seen:
            raise DataError(
                f"{query_path}: row {number} of its result is cohort {key[0]}, months since"
                f" {key[1]} again. Expected one row for each."
            )
        seen.add(key)
        cells.append(cell | derive_ratios(cell))
    return cells


def _check_cell(cell: Cell, place: str) -> None:
    """Raise `DataError` naming *place* unless *cell* can be summed and written.

    Only a cell that is not complete, say one of the future, may lack figures.
    """
    for name, value in cell.items():
        if name == "cohort_month":
            fits = isinstance(value, str)
        elif name in NEEDED_COLUMNS:
            may_lack = name not in KEY_COLUMNS and not cell["is_complete"]
            fits = isinstance(value, int) or (value is None and may_lack)
        else:
            fits = (
                value is None
                or isinstance(value, (int, str))
                or (isinstance(value, float) and math.isfinite(value))
            )
        if not fits:
            kind = "text" if name == "cohort_month" else "a whole number"
            raise DataError(f"{place}: {name} is {value!r}, expected {kind}.")


def summarize_cells(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return cohorts, cells, average and summary: what the JSON says beside its source."""
    cohorts = build_cohorts(cells)
    average = build_average(cells)
    return {
        "cohorts": cohorts,
        "cells": list(cells),
        "average": average,
        "summary": build_summary(cohorts, average),
    }


def build_cohorts(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return one record per cohort, with its CLV at the ages it has wholly reached."""
    by_cohort: dict[str, dict[int, Cell]] = {}
    for cell in cells:
        by_cohort.setdefault(cell["cohort_month"], {})[cell["months_since"]] = cell
    cohorts = []
    for cohort_month, ages in by_cohort.items():
        observed = [age for age, cell in ages.items() if cell["net_cents"] is not None]
        cohort: dict[str, Any] = {
            "cohort_month": cohort_month,
            "cohort_size": next(iter(ages.values()))["cohort_size"],
            "last_months_since": max(observed, default=None),
        }
        for months in CLV_MONTHS:
            cell = ages.get(months, {})
            value = cell["cum_net_per_customer_cents"] if cell.get("is_complete") else None
            cohort[f"clv_{months}m_cents"] = value
        cohorts.append(cohort)
    return cohorts


def build_average(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return one record per age over its complete cells, weighted by cohort size.

    Sums are divided by sums: an average of the cells' ratios would weigh a small cohort
    like a large one.
    """
    by_age: dict[int, list[Cell]] = {}
    for cell in cells:
        if cell["is_complete"]:
            by_age.setdefault(cell["months_since"], []).append(cell)
    average = []
    for months_since, members in sorted(by_age.items()):
        sums = {name: sum(cell[name] for cell in members) for name in SUMMED_COLUMNS}
        average.append(
            {
                "months_since": months_since,
                "cohort_count": len(members),
                "customer_count": sums["cohort_size"],
            }
            | derive_ratios(sums)
        )
    return average


def build_summary(
    cohorts: Sequence[Mapping[str, Any]], average: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the shop in a few figures: the average CLV, and of how many cohorts it is."""
    by_age = {record["months_since"]: record for record in average}
    summary: dict[str, Any] = {
        "cohort_count": len(cohorts),
        "customer_count": sum(cohort["cohort_size"] for cohort in cohorts),
    }
    for months in CLV_MONTHS:
        record = by_age.get(months, {})
        summary[f"clv_{months}m_cents"] = record.get("cum_net_per_customer_cents")
        summary[f"clv_{months}m_cohort_count"] = record.get("cohort_count", 0)
    return summary


def find_differences(
    document: Mapping[str, Any], totals: Totals, query_path: Path
) -> list[str]:
    """Compare the cells with the tables' own sums; return what differs, as notes."""
    net_cents = sum(cell["net_cents"] or 0 for cell in document["cells"])
    customer_count = document["summary"]["customer_count"]
    return [
        f"{_name_file(query_path)}: {name}: {found}; of all valid orders: {expected}"
        for name, found, expected in (
            ("net of all cells, in cents", net_cents, totals.net_cents),
            ("customers of all cohorts", customer_count, totals.buyer_count),
        )
        if found != expected
    ]


# Writing


def write_result(
    result: Result, document: Mapping[str, Any], out_dir: Path | None
) -> list[Path]:
    """Write CSV and JSON; return their paths.  None is swapped in before all are whole."""
    json_text = render_json(document)
    folder = PROJECT_ROOT if out_dir is None else out_dir
    texts = {folder / CSV_NAME: render_csv(result), folder / JSON_NAME: json_text}
    if out_dir is None:
        texts[PUBLISHED_DIR / JSON_NAME] = json_text
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(open_whole(path)).write(text.encode("utf-8"))
    return list(texts)


def render_csv(result: Result) -> str:
    """Return the rows as the query gave them: a header, integers, NULL as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows(result.rows)
    return text.getvalue()


def _name_file(path: Path) -> str:
    """Return *path* relative to the project, or only its name: the same on any machine."""
    try:
        return path.resolve().relative_to(PROJECT_ROOT).as_posix()
    except ValueError:
        return path.name


# Telling

_MOST_ROWS = 12
_CELL_WIDTH = 5


def render_summary(document: Mapping[str, Any], *, width: int) -> str:
    """Return the result as plain text, with a table of at most *width* columns."""
    summary = document["summary"]
    if not summary["cohort_count"]:
        return "No cohorts: the database holds no valid order, and both files no cell."
    customers = _count(summary["customer_count"], "customer")
    cohorts = _count(summary["cohort_count"], "cohort")
    return "\n".join(
        [
            f"As of {document['as_of']}: {customers} in {cohorts} by month of first order.",
            "",
            *_render_clv(summary, document["currency"]),
            "",
            *_render_triangle(document, max(width, 40)),
        ]
    )


def _render_clv(summary: Mapping[str, Any], currency: str | None) -> list[str]:
    lines = ["CLV: net per customer so far, of the cohorts old enough"]
    for months in CLV_MONTHS:
        cents = summary[f"clv_{months}m_cents"]
        if cents is None:
            lines.append(f"  {months:>2} months   no cohort is old enough")
            continue
        money = f"{cents / 100:,.2f}" + (f" {currency}" if currency else "")
        cohorts = _count(summary[f"clv_{months}m_cohort_count"], "cohort")
        lines.append(f"  {months:>2} months   {money:>14}   {cohorts}")
    return lines


def _render_triangle(document: Mapping[str, Any], width: int) -> list[str]:
    """Return the latest cohorts' retention as a table of at most *width* columns."""
    cohorts = document["cohorts"][-_MOST_ROWS:]
    hidden_count = len(document["cohorts"]) - len(cohorts)
    name_width = max(len("average"), *(len(cohort["cohort_month"]) for cohort in cohorts))
    sizes = [f"{cohort['cohort_size']:,}" for cohort in cohorts]
    size_width = max(len("size"), *map(len, sizes)) + 2
    room = max(1, (width - name_width - size_width) // _CELL_WIDTH)
    ages = sorted({cell["months_since"] for cell in document["cells"]})[:room]
    marks = {(c["cohort_month"], c["months_since"]): _mark(c) for c in document["cells"]}
    means = {age["months_since"]: _percent(age["retention"]) for age in document["average"]}
    rows = [["cohort", "size", *(f"{age} " for age in ages)]]
    for cohort, size in zip(cohorts, sizes, strict=True):
        month = cohort["cohort_month"]
        rows.append([month, size, *(marks.get((month, age), "") for age in ages)])
    rows.append(["average", "", *(means.get(age, "") for age in ages)])
    return [
        "Retention by months since, in % of the cohort (* the month still runs)",
        *(
            f"{name:<{name_width}}{size:>{size_width}}{_render_cells(cells)}".rstrip()
            for name, size, *cells in rows
        ),
        *([f"Not shown: {_count(hidden_count, 'older cohort')}."] if hidden_count else []),
    ]


def _render_cells(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)


def _mark(cell: Cell) -> str:
    if cell["retention"] is None:
        return ""
    text = _percent(cell["retention"])
    return text if cell["is_complete"] else text.rstrip() + "*"


def _percent(share: float | None) -> str:
    """Return *share* in whole percent, with room for a mark: `15 `, `<1 `, `0 `."""
    if share is None:
        return ""
    return "<1 " if 0 < share < 0.005 else f"{share * 100:.0f} "


def _count(number: int, noun: str) -> str:
    """Return *number* and its *noun*.

    >>> _count(1, "cohort"), _count(1200, "cohort")
    ('1 cohort', '1,200 cohorts')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
