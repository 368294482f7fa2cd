"""The cohort query of a run: its file, its text and the options applied to the text."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from queries.options import Options, apply_options
from utils.helpers import MOST_SQL_BYTES, PROJECT_ROOT, DataError, read_regular_file
from utils.sql_text import find_parts

QUERY_PATH = Path(__file__).resolve().with_name("join_query.sql")

# The CTE from which both the cells and the customers' values are summed.
CUSTOMERS_CTE = "customer_months"

# The CTE from which the purchases of a forecast are read.
ORDERS_CTE = "order_totals"


class CohortQuery(NamedTuple):
    """A query with its options: *sha256* is of the file's bytes, *text* has the options.

    *is_default* is true for the project's own query, whose figures must reconcile with the
    tables.  A user's query may exclude orders on purpose.
    """

    path: Path
    sha256: str
    text: str
    options: Options
    is_default: bool

    @property
    def has_values(self) -> bool:
        """Return whether the customers' own values can be read beside the cells."""
        return self.is_default and CUSTOMERS_CTE in find_parts(self.text).bodies


def read_cohort_query(path: Path | None, options: Options) -> CohortQuery:
    """Return the query in the file *path* with *options*; None is the project's own.

    Raise `DataError` if it cannot be read, or lacks a CTE that the options need.
    """
    if path is None:
        path = QUERY_PATH
    sql, text = _read_sql(path)
    composed = apply_options(text, options, path)
    if options.has_forecast and ORDERS_CTE not in find_parts(composed).bodies:
        raise DataError(
            f"{path}: has no CTE {ORDERS_CTE}, from which purchases are forecast. Omit"
            " --forecast, or copy the CTE from queries/join_query.sql."
        )
    is_default = path.resolve() == QUERY_PATH
    return CohortQuery(path, hashlib.sha256(sql).hexdigest(), composed, options, is_default)


def _read_sql(path: Path) -> tuple[bytes, str]:
    try:
        sql = read_regular_file(path, MOST_SQL_BYTES)
        text = sql.decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}. Name an SQL file with --query."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text: {error}.") from error
    if not text.strip():
        raise DataError(f"{path}: is empty. Expected one SELECT.")
    return sql, text


def name_file(path: Path) -> str:
    """Return *path* relative to the project, or only its name: the same on any machine.

    Bytes of a name that is not UTF-8, which JSON cannot contain, are escaped.
    """
    try:
        name = path.resolve().relative_to(PROJECT_ROOT).as_posix()
    except ValueError:
        name = path.name
    return os.fsencode(name).decode("utf-8", "backslashreplace")
