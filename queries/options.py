"""The options of the cohort query, and how they are applied to its text."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from utils.database import is_date
from utils.helpers import DataError
from utils.months import is_outside_years
from utils.shapes import list_of, text
from utils.sql_text import replace_body

COHORT_GRAINS = ("month", "quarter")

# The name of a segmentation → the CTE of join_query.sql with the segments.
SEGMENTS = {
    "channel": "channel_segments",
    "country": "country_segments",
    "category": "category_segments",
}

# Paid and not cancelled.  join_query.sql states the same list on purpose: the sums that
# check the query must not depend on it.
VALID_STATUSES = ("paid", "shipped", "delivered", "partially_returned", "returned")

# The statuses in query_result.json, with which `ingest.py --verify` runs the query again.
_STATUSES = list_of(text(".+", "an order status"), most=100)


class Options(NamedTuple):
    """The grain of the cohorts, the segments, the last day and the statuses that count.

    None means the default: no segments, the last day of the data, `VALID_STATUSES`.
    *omits_first_cohort* concerns the averages only.
    """

    grain: str = "month"
    by: str | None = None
    as_of: str | None = None
    valid_statuses: tuple[str, ...] | None = None
    has_forecast: bool = False
    omits_first_cohort: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the options as in the JSON."""
        statuses = self.valid_statuses or VALID_STATUSES
        return {
            "cohort": self.grain,
            "by": self.by,
            "as_of": self.as_of,
            "valid_statuses": list(statuses),
            "forecast": self.has_forecast,
            "omit_first_cohort": self.omits_first_cohort,
        }


def read_options(document: Mapping[str, Any]) -> Options:
    """Return the options in *document*, a query_result.json.

    The file may have been edited: an invalid option is replaced by its default.
    """
    options = document.get("options")
    if not isinstance(options, dict):
        return Options()
    grain, by, as_of = options.get("cohort"), options.get("by"), options.get("as_of")
    is_day = isinstance(as_of, str) and is_date(as_of) and not is_outside_years(as_of)
    statuses = options.get("valid_statuses")
    is_usable = next(_STATUSES("valid_statuses", statuses), None) is None
    valid_statuses = tuple(statuses) if is_usable and statuses else ()
    return Options(
        grain=grain if grain in COHORT_GRAINS else "month",
        by=by if isinstance(by, str) and by in SEGMENTS else None,
        as_of=as_of if is_day else None,
        valid_statuses=None if valid_statuses in ((), VALID_STATUSES) else valid_statuses,
        has_forecast=options.get("forecast") is True,
        omits_first_cohort=options.get("omit_first_cohort") is True,
    )


def apply_options(sql: str, options: Options, query_path: Path) -> str:
    """Return the query *sql* with *options* as the bodies of its CTEs.

    Raise `DataError` naming *query_path* if it lacks the CTE of a changed option.
    """
    bodies = {}
    if options.as_of is not None:
        bodies["as_of_dates"] = f"SELECT '{options.as_of}' AS as_of"
    if options.valid_statuses is not None:
        quoted = [status.replace("'", "''") for status in options.valid_statuses]
        bodies["valid_statuses"] = " UNION ALL ".join(
            f"SELECT '{status}' AS status" for status in quoted
        )
    if options.by is not None:
        bodies["customer_segments"] = f"SELECT user_id, segment FROM {SEGMENTS[options.by]}"
    for name, body in bodies.items():
        try:
            sql = replace_body(sql, name, body)
        except KeyError as error:
            raise DataError(
                f"{query_path}: has no CTE {name}, which the option replaces. Omit the"
                " option, or copy the CTEs of the options from queries/join_query.sql."
            ) from error
    return sql


def require_options(connection: sqlite3.Connection, options: Options, as_of: str) -> None:
    """Raise `DataError` unless *options* suit the data, which end on *as_of*."""
    require_day(options, as_of)
    require_statuses(options, list_statuses(connection))


def require_day(options: Options, as_of: str) -> None:
    """Raise `DataError` if *options* name a day after *as_of*, the last day of the data."""
    if options.as_of is not None and options.as_of > as_of:
        limit = f"end on {as_of}. Use that day or an earlier one" if as_of else "are empty"
        raise DataError(f"--as-of {options.as_of}: the data {limit}.")


def require_statuses(options: Options, known: Sequence[str]) -> None:
    """Raise `DataError` if *options* name an order status that is not *known*."""
    unknown = [name for name in options.valid_statuses or () if name not in known]
    if unknown:
        raise DataError(
            f"--valid-status {', '.join(map(repr, unknown))}: not an order status."
            f" Expected one or more of {', '.join(known)}."
        )


def list_statuses(connection: sqlite3.Connection) -> list[str]:
    """Return the order statuses that the schema allows, then others that occur."""
    (statement,) = connection.execute(
        "SELECT COALESCE(MAX(sql), '') FROM sqlite_schema WHERE name = 'orders'"
    ).fetchone()
    rule = re.search(r"\bstatus\s+IN\s*\(([^)]*)\)", statement, re.IGNORECASE)
    allowed = re.findall(r"'(\w+)'", re.sub("--.*", "", rule[1])) if rule else []
    found = connection.execute("SELECT DISTINCT status FROM orders ORDER BY status")
    return list(dict.fromkeys([*allowed, *(status for (status,) in found)]))
