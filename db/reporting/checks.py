"""The SQL files of checks and trends: their headers, and what a check found."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from utils.helpers import PROJECT_ROOT, DataError

CHECKS_DIR = PROJECT_ROOT / "db" / "checks"
TRENDS_DIR = PROJECT_ROOT / "db" / "trends"

# The built-in checks, which have no SQL file.
INTACT_CHECK = "database_is_intact"
SCHEMA_CHECK = "database_matches_schema"
CONTENT_CHECK = "files_content_as_loaded"
TEXT_CHECK = "text_invisible_characters"

# The columns of their rows.
BUILT_IN_COLUMNS = {
    INTACT_CHECK: ["message"],
    SCHEMA_CHECK: ["object", "fault"],
    CONTENT_CHECK: ["table_name", "recorded_sha256", "found_sha256"],
    TEXT_CHECK: ["table_name", "row_id", "column_name", "invisible", "text_value"],
}

# Breaking rows shown of each check, and characters shown of a text in them.
SAMPLE_ROWS = 5
SAMPLE_CHARACTERS = 120

Row = dict[str, Any]


class Query(NamedTuple):
    """A file of `checks/` or `trends/`; *header* contains its `-- Word: text` lines."""

    name: str
    header: dict[str, str]
    sql: str
    file: str
    sha256: str

    def require_header(self, word: str) -> str:
        """Return the text of `-- word: text`; raise `DataError` if there is none."""
        if word not in self.header:
            raise DataError(
                f"{self.file}: no '-- {word}: …' line, expected one. Add it to the header."
            )
        return self.header[word]

    @property
    def needed_tables(self) -> list[str]:
        """Return the tables without whose rows the result has no meaning."""
        needed = self.header.get("Needs", "").rstrip(".")
        return needed.split(", ") if needed else []

    @property
    def key(self) -> list[str]:
        """Return the columns that identify a row of the result."""
        return self.require_header("Key").rstrip(".").split(", ")


class Thresholds(NamedTuple):
    """How many breaking rows are tolerated before a check warns or fails; None: any."""

    warn_above: int | None
    fail_above: int | None

    def find_status(self, count: int | None) -> str:
        """Return the status of a check that found *count* rows, or could not run.

        >>> Thresholds(warn_above=0, fail_above=10).find_status(10)
        'warn'
        """
        for status, limit in (("fail", self.fail_above), ("warn", self.warn_above)):
            if limit is not None and (count is None or count > limit):
                return status
        return "pass" if self != INFO_ONLY or count == 0 else "info"


INFO_ONLY = Thresholds(None, None)

# What a check of each severity tolerates, unless its header states other thresholds.
THRESHOLDS = {
    "error": Thresholds(warn_above=None, fail_above=0),
    "warning": Thresholds(warn_above=0, fail_above=None),
    "info": INFO_ONLY,
}


class Check(NamedTuple):
    """A rule for the data; *query* is None for a built-in check."""

    name: str
    title: str
    severity: str
    thresholds: Thresholds
    key: list[str]
    query: Query | None = None


class Findings(NamedTuple):
    """What a check found: *row_count* breaking rows, the first few of them as *sample*.

    *row_count* is None when the check could not run; *note* then states why.  If there was
    nothing to compare with, *is_applicable* is false and the check does not fail.
    """

    columns: list[str]
    row_count: int | None
    sample: list[list[Any]]
    note: str | None = None
    is_applicable: bool = True


BUILT_IN_CHECKS = [
    Check(
        INTACT_CHECK,
        "Every cell has its type; pages and indexes are intact",
        "error",
        THRESHOLDS["error"],
        key=["message"],
    ),
    Check(
        SCHEMA_CHECK,
        "Tables, indexes and rules are those of db/schema.sql",
        "error",
        THRESHOLDS["error"],
        key=["object"],
    ),
    Check(
        CONTENT_CHECK,
        "Every table contains exactly the cells that were loaded",
        "error",
        THRESHOLDS["error"],
        key=["table_name"],
    ),
    Check(
        TEXT_CHECK,
        "No text has invisible characters, blanks at an end, or a wrong encoding",
        "warning",
        THRESHOLDS["warning"],
        key=["table_name", "row_id", "column_name"],
    ),
]


def list_checks() -> list[Check]:
    """Return every check by name: the SQL files and the built-in checks."""
    from_files = [
        Check(
            query.name,
            query.require_header("Title"),
            read_severity(query),
            read_thresholds(query),
            query.key,
            query,
        )
        for query in read_queries(CHECKS_DIR)
    ]
    return sorted([*BUILT_IN_CHECKS, *from_files], key=lambda check: check.name)


def read_queries(folder: Path) -> list[Query]:
    """Return the SQL files of *folder*, sorted by name."""
    return [read_query(path) for path in sorted(folder.glob("*.sql"))]


def read_query(path: Path) -> Query:
    """Return the SQL file at *path*; raise `DataError` if it is not UTF-8."""
    data = path.read_bytes()
    try:
        sql = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text. Save it as UTF-8.") from error
    return Query(
        name=path.stem,
        header=read_sql_header(sql),
        sql=sql,
        file=f"db/{path.parent.name}/{path.name}",
        sha256=hashlib.sha256(data).hexdigest(),
    )


def read_sql_header(sql: str) -> dict[str, str]:
    r"""Return the lines `-- Word: text` of *sql* as word → text.

    >>> read_sql_header("-- Title: Users without an order\n-- Severity: info\nSELECT 1;")
    {'Title': 'Users without an order', 'Severity': 'info'}
    """
    return dict(re.findall(r"^-- ([A-Z][a-z]+): (.+)$", sql, flags=re.MULTILINE))


def read_severity(query: Query) -> str:
    """Return the severity that *query* states, which must be a known word."""
    severity = query.require_header("Severity")
    if severity not in THRESHOLDS:
        raise DataError(
            f"{query.file}: '-- Severity: {severity}', expected {', '.join(THRESHOLDS)}."
            " Correct the header."
        )
    return severity


def read_thresholds(query: Query) -> Thresholds:
    """Return what *query* tolerates: the rule of its severity, or its own lines instead.

    Those are `-- Warns: above 10 rows` and `-- Fails: above 100 rows`.
    """
    own = {}
    for word in ("Warns", "Fails"):
        text = query.header.get(word)
        if text is None:
            continue
        found = re.fullmatch(r"above (\d+) rows\.?", text, re.ASCII)
        if found is None:
            raise DataError(
                f"{query.file}: '-- {word}: {text}', expected '-- {word}: above N rows'."
                " Correct the header."
            )
        own[word] = int(found[1])
    if not own:
        return THRESHOLDS[read_severity(query)]
    return Thresholds(own.get("Warns"), own.get("Fails"))


def find_not_applicable(check: Check, row_counts: Mapping[str, int]) -> Findings | None:
    """Return the findings of a *check* that needs a table without rows, else None.

    *row_counts* has the number of rows of each table.
    """
    if check.query is None:
        return None
    for table in check.query.needed_tables:
        if table not in row_counts:
            raise DataError(
                f"{check.query.file}: '-- Needs: {table}', expected one of"
                f" {', '.join(row_counts)}. Correct the header."
            )
        if row_counts[table] == 0:
            note = f"not applicable: {table}.csv has no rows"
            return Findings(check.key, None, [], note=note, is_applicable=False)
    return None


def digest_queries(queries: Iterable[Mapping[str, str]]) -> str:
    """Return the SHA-256 over the digests of *queries*, each a *file* and its *sha256*."""
    digest = hashlib.sha256()
    for query in sorted(queries, key=lambda query: query["file"]):
        digest.update(f"{query['file']} {query['sha256']}\n".encode())
    return digest.hexdigest()


def sample_row(row: Sequence[object]) -> list[int | str | None]:
    """Return *row* as a sample shows it: numbers unchanged, long texts cut.

    >>> sample_row([17, None, 1e400])
    [17, None, 'inf']
    >>> [len(text) for text in sample_row(["x" * 500])]
    [120]
    """
    return [_sample_cell(cell) for cell in row]


def _sample_cell(cell: object) -> int | str | None:
    if cell is None or isinstance(cell, int):
        return cell
    text = str(cell)
    return text if len(text) <= SAMPLE_CHARACTERS else text[: SAMPLE_CHARACTERS - 1] + "…"


def describe_check(check: Check, findings: Findings) -> Row:
    """Return a check as the report contains it; *findings* decide the status."""
    status = "info"
    if findings.is_applicable:
        status = check.thresholds.find_status(findings.row_count)
    has_rows = findings.is_applicable and status != "pass"
    sql = check.query and {"file": check.query.file, "sha256": check.query.sha256}
    return {
        "check": check.name,
        "title": check.title,
        "severity": check.severity,
        "thresholds": check.thresholds._asdict(),
        "status": status,
        "count": findings.row_count,
        "key": check.key,
        "columns": findings.columns,
        "sample": findings.sample,
        "note": findings.note,
        "sql": sql,
        "all_rows": f"python ingest.py --rows {check.name}" if has_rows else None,
    }
