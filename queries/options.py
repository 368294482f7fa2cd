"""What may be asked of the cohort query beyond its defaults, and how it is put into it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from queries.sql_text import replace_body
from utils.database import is_date
from utils.helpers import DataError

COHORT_GRAINS = ("month", "quarter")

# What customers can be told apart by → the CTE of join_query.sql that does it.
SEGMENTS = {
    "channel": "channel_segments",
    "country": "country_segments",
    "category": "category_segments",
}

# Paid and not cancelled, as join_query.sql says too: the sums that it is checked with must
# not lean on it.
VALID_STATUSES = ("paid", "shipped", "delivered", "partially_returned", "returned")


class Options(NamedTuple):
    """The cohorts' *grain*, what to tell customers apart *by*, until when, which orders.

    None means the default: no segments, all that the data hold, `VALID_STATUSES`.
    *has_forecast* asks for what comes after, too.
    """

    grain: str = "month"
    by: str | None = None
    as_of: str | None = None
    valid_statuses: tuple[str, ...] | None = None
    has_forecast: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the options as the JSON says them."""
        statuses = self.valid_statuses or VALID_STATUSES
        return {
            "cohort": self.grain,
            "by": self.by,
            "as_of": self.as_of,
            "valid_statuses": list(statuses),
            "forecast": self.has_forecast,
        }


def read_options(document: Mapping[str, Any]) -> Options:
    """Return the options that *document* says it was made with; the default of the rest.

    The document may be anybody's: what is not an option is not taken.
    """
    said = document.get("options")
    if not isinstance(said, dict):
        return Options()
    grain, by, as_of = said.get("cohort"), said.get("by"), said.get("as_of")
    statuses = said.get("valid_statuses")
    names = statuses if isinstance(statuses, list) else []
    valid_statuses = tuple(name for name in names if isinstance(name, str))
    return Options(
        grain=grain if grain in COHORT_GRAINS else "month",
        by=by if isinstance(by, str) and by in SEGMENTS else None,
        as_of=as_of if isinstance(as_of, str) and is_date(as_of) else None,
        valid_statuses=None if valid_statuses in ((), VALID_STATUSES) else valid_statuses,
        has_forecast=said.get("forecast") is True,
    )


def put_options(sql: str, options: Options, query_path: Path) -> str:
    """Return the query *sql*, which came from *query_path*, with *options* in its CTEs.

    Raise `DataError` if it lacks the CTE of an option that is not the default.
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
                f"{query_path}: has no CTE {name}, in which the option would be put. Leave"
                " the option away, or take over the options of queries/join_query.sql."
            ) from error
    return sql


def require_options(connection: sqlite3.Connection, options: Options, as_of: str) -> None:
    """Raise `DataError` unless the data can answer *options*; they end with *as_of*."""
    require_day(options, as_of)
    require_statuses(options, list_statuses(connection))


def require_day(options: Options, as_of: str) -> None:
    """Raise `DataError` if *options* name a day after *as_of*, with which the data end."""
    if options.as_of is not None and options.as_of > as_of:
        ends = f"end with {as_of}. Name that day or an earlier one" if as_of else "are none"
        raise DataError(f"--as-of {options.as_of}: the data {ends}.")


def require_statuses(options: Options, known: Sequence[str]) -> None:
    """Raise `DataError` if *options* name a status of an order that is not *known*."""
    unknown = [name for name in options.valid_statuses or () if name not in known]
    if unknown:
        raise DataError(
            f"--valid-status {', '.join(map(repr, unknown))}: no status of an order."
            f" Expected some of {', '.join(known)}."
        )


def list_statuses(connection: sqlite3.Connection) -> list[str]:
    """Return the statuses that the rule of the orders allows, then others that occur."""
    (statement,) = connection.execute(
        "SELECT COALESCE(MAX(sql), '') FROM sqlite_schema WHERE name = 'orders'"
    ).fetchone()
    rule = re.search(r"\bstatus\s+IN\s*\(([^)]*)\)", statement, re.IGNORECASE)
    allowed = re.findall(r"'(\w+)'", re.sub("--.*", "", rule[1])) if rule else []
    found = connection.execute("SELECT DISTINCT status FROM orders ORDER BY status")
    return list(dict.fromkeys([*allowed, *(status for (status,) in found)]))
