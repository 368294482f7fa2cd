"""The catalogue of well-known wrong answers, and what each of them computes.

A mistake of the query is another body for one of its CTEs, or for two where one mistake has
two sides: mistakes/*.sql.  There, `previous_rows` are the rows of the same CTE without the
mistake, so that several mistakes of one CTE add to each other.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from queries.cohort_cells import QueryRows, arrange_cells, build_cells
from queries.grading.answers import Answer, RightAnswer, derive_cells
from queries.grading.averages import AVERAGE_MISTAKES, Average, average_by_size
from queries.grading.table_mistakes import TABLE_MISTAKES, Reshape
from queries.query_file import ORDERS_CTE, read_cohort_query
from queries.reading import fetch_rows, materialize_cte
from utils.database import is_overflow, limit_workers, open_database, run_reads
from utils.sql_text import find_parts, replace_body

FOLDER = Path(__file__).resolve().with_name("mistakes")

# The expensive CTEs, computed once for all mistakes that come after them.
_STORED_CTES = (ORDERS_CTE, "refund_payments")

# The bytes of the database for which a process is started: a run of the query for each
# mistake takes longer than one read of it.
_BYTES_PER_WORKER = 1 << 20

_HEADER = re.compile(
    r"^-- (Mistake|Why|Instead|Values): (.*(?:\n--     .*)*)", re.MULTILINE
)


# Other bodies by the name of the CTE that they replace.
Bodies = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Mistake:
    """A well-known wrong answer; each exists once.

    *title* completes "what you get when …"; *why* and *instead* are sentences.  *bodies*
    replace CTEs of the query, *reshape* changes the cells, and *average* averages them in
    another way; the last one concerns tables of averages only.
    """

    name: str
    title: str
    why: str
    instead: str
    bodies: Bodies = field(default_factory=dict)
    reshape: Reshape | None = None
    average: Average | None = None


# Mistakes made together; one is the usual case.
MistakeSet = tuple[Mistake, ...]


@cache
def read_mistakes() -> tuple[Mistake, ...]:
    """Return all mistakes, those with a variant for each of several values last."""
    found = [
        mistake
        for path in sorted(FOLDER.glob("*.sql"))
        for mistake in _read_file(path.stem, path.read_text(encoding="utf-8"))
    ]
    tables = [
        Mistake(name, title, why, instead, reshape=reshape)
        for name, title, why, instead, reshape in TABLE_MISTAKES
    ]
    averages = [
        Mistake(name, title, why, instead, average=average)
        for name, title, why, instead, average in AVERAGE_MISTAKES
    ]
    return tuple(sorted([*found, *tables, *averages], key=has_variants))


def has_variants(mistake: Mistake) -> bool:
    """Return whether *mistake* is one of several that differ in a value."""
    return ":" in mistake.name


def _read_file(name: str, sql: str) -> Iterator[Mistake]:
    """Yield the mistake in *sql*, or one for each of its values."""
    header = {key: re.sub(r"\s*\n--\s+", " ", text) for key, text in _HEADER.findall(sql)}
    bodies = {cte: sql[start:end] for cte, (start, end) in find_parts(sql).bodies.items()}
    values = header["Values"].split(", ") if "Values" in header else [""]
    for value in values:
        yield Mistake(
            f"{name}:{value}" if value else name,
            header["Mistake"].replace("{hours}", value),
            header["Why"],
            header["Instead"],
            {cte: body.replace("{hours}", value) for cte, body in bodies.items()},
        )


def apply_bodies(sql: str, changes: Iterable[Bodies]) -> str:
    """Return the query *sql* with the bodies of *changes*, one after the other."""
    for bodies in changes:
        for name, body in bodies.items():
            start, end = find_parts(sql).bodies[name]
            previous = f"WITH previous_rows AS ({sql[start:end]}\n)\n"
            sql = replace_body(sql, name, previous + body)
    return sql


def compute_mistakes(
    database: Path, right: RightAnswer, sets: Sequence[MistakeSet], worker_count: int
) -> list[Answer]:
    """Return the answer with each of *sets*, from at most *worker_count* processes."""
    text = read_cohort_query(None, right.options).text
    changes = [
        index for index, made in enumerate(sets) if any(mistake.bodies for mistake in made)
    ]
    answers: list[Answer] = [right.cells] * len(sets)
    with open_database(database, defers_check=True) as connection:
        count = limit_workers(database, worker_count, _BYTES_PER_WORKER)
        shares = [share for at in range(count) if (share := changes[at::count])]
        reads = [
            (run_mistakes, text, [[one.bodies for one in sets[at]] for at in share])
            for share in shares
        ]
        results = list(run_reads(connection, database, reads, count))
    for share, results_of_share in zip(shares, results, strict=True):
        for at, rows in zip(share, results_of_share, strict=True):
            answers[at] = _build_cells(rows, right)
    return [_reshape(cells, made) for cells, made in zip(answers, sets, strict=True)]


def run_mistakes(
    connection: sqlite3.Connection, text: str, sets: Sequence[Sequence[Bodies]]
) -> list[QueryRows | None]:
    """Return the rows of the query *text* with each of *sets* of other bodies.

    None is in place of rows whose sums overflow 64-bit integers.
    """
    stored = text
    try:
        for name in _STORED_CTES:
            stored = materialize_cte(connection, stored, name)
        names = list(find_parts(text).bodies)
        before_stored = {*names[: names.index(_STORED_CTES[0])]}
        rows: list[QueryRows | None] = []
        for changes in sets:
            is_early = any(name in before_stored for bodies in changes for name in bodies)
            sql = apply_bodies(text if is_early else stored, changes)
            rows.append(_fetch_sums(connection, sql))
        return rows
    finally:
        for name in _STORED_CTES:
            connection.execute(f"DROP TABLE IF EXISTS temp.stored_{name}")


def _fetch_sums(connection: sqlite3.Connection, sql: str) -> QueryRows | None:
    try:
        rows = fetch_rows(connection, sql)
    except sqlite3.OperationalError as error:
        if is_overflow(error):
            return None
        raise
    # A product that overflows is a floating-point number.
    is_exact = not any(isinstance(value, float) for row in rows.rows for value in row)
    return rows if is_exact else None


def _build_cells(rows: QueryRows | None, right: RightAnswer) -> Answer:
    """Return the cells of *rows*, arranged as the options of the *right* answer state.

    Without rows they are the right ones, which explain nothing.
    """
    if rows is None:
        return right.cells
    options = right.options
    cells, segment_cells = arrange_cells(
        build_cells(rows),
        has_segments=options.by is not None,
        is_by_quarter=options.grain == "quarter",
        as_of=right.as_of,
    )
    return derive_cells(segment_cells if options.by else cells)


def _reshape(cells: Answer, mistakes: MistakeSet) -> Answer:
    for mistake in mistakes:
        if mistake.reshape is not None:
            cells = mistake.reshape(cells)
    return cells


def average_answer(cells: Answer, mistakes: MistakeSet) -> Answer:
    """Return the averages of *cells*, in the way of *mistakes* if one has its own."""
    ways = [one.average for one in mistakes if one.average is not None]
    return (ways or [average_by_size])[0](cells)
