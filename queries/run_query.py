"""One run of the cohort query: read, reconcile, summarize, write."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from queries.cohort_cells import (
    Cell,
    QueryRows,
    arrange_cells,
    build_rows,
    read_cells,
    require_arrangeable,
    split_segments,
)
from queries.cohorts import summarize_cells
from queries.customer_values import measure_spreads
from queries.options import Options
from queries.output import write_result
from queries.query_file import CohortQuery, name_file, read_cohort_query
from queries.reading import (
    DAYS_PATH,
    SEGMENTS_PATH,
    VALUES_PATH,
    QueryData,
    read_database,
    require_valid_rows,
)
from queries.reconciliation import find_differences, reconcile
from utils.database import find_currency
from utils.formats import count_minor_digits
from utils.helpers import DataError
from utils.processes import LostWorkerError

# Few runs use an engine or a forecast, and their imports take as long as all the others.
if TYPE_CHECKING:
    from utils.engines.process import Engine

SCHEMA_VERSION = "2.3"
DEFAULTS = Options()


class QueryResult(NamedTuple):
    """The rows of query_result.csv, the document of query_result.json, and the notes.

    Notes are for the terminal; *score* compares the forecast with the ground truth.
    """

    rows: QueryRows
    document: dict[str, Any]
    notes: list[str]
    score: dict[str, Any] | None = None


class QueryOutcome(NamedTuple):
    """The document that a run wrote and the *paths* of its files, with notes and score."""

    document: dict[str, Any]
    paths: list[Path]
    notes: list[str]
    score: dict[str, Any] | None


class ReconciliationError(RuntimeError):
    """The cells and the tables differ: rows break a rule, or the query has a fault."""


def query_database(
    database: Path,
    *,
    query_path: Path | None = None,
    options: Options = DEFAULTS,
    truth_dir: Path | None = None,
    out_dir: Path | None = None,
    worker_count: int = 1,
) -> QueryOutcome:
    """Run the query in *query_path*, or the project's own, on *database*; write the result.

    At most *worker_count* processes read the database; their number changes no byte.
    With *truth_dir* the forecast is compared with the ground truth there.  Without
    *out_dir* the files go to the project's root, and a copy of the JSON to the page.
    Raise `DataError` if the user can fix the fault; old files then stay as they were.
    """
    result = compute_result(
        database,
        query_path=query_path,
        options=options,
        truth_dir=truth_dir,
        worker_count=worker_count,
    )
    return publish_result(result, out_dir)


def query_files(
    engine: Engine,
    data_dir: Path,
    *,
    query_path: Path | None = None,
    options: Options = DEFAULTS,
    truth_dir: Path | None = None,
    out_dir: Path | None = None,
) -> QueryOutcome:
    """Run the query by *engine* on the files in *data_dir*; else as `query_database`."""
    from queries.engine_reading import read_engine

    query = read_cohort_query(query_path, options)
    data = read_engine(engine, data_dir, query, truth_dir)
    return publish_result(build_result(query, data), out_dir)


def publish_result(result: QueryResult, out_dir: Path | None) -> QueryOutcome:
    """Write the files of *result*; return what the terminal reports."""
    paths = write_result(result.rows, result.document, out_dir)
    return QueryOutcome(result.document, paths, result.notes, result.score)


def compute_result(
    database: Path,
    *,
    query_path: Path | None = None,
    options: Options = DEFAULTS,
    truth_dir: Path | None = None,
    worker_count: int = 1,
) -> QueryResult:
    """Return the result of a run on *database*; raise as `query_database`."""
    query = read_cohort_query(query_path, options)
    data = read_database(database, query, truth_dir, worker_count=worker_count)
    try:
        return build_result(query, data, worker_count=worker_count)
    except ReconciliationError:
        require_valid_rows(database)
        raise


# ---- From data to the document -----------------------------------------------------------


def build_result(
    query: CohortQuery, data: QueryData, *, worker_count: int = 1
) -> QueryResult:
    """Return the result of *query*; raise `ReconciliationError` if the default is wrong.

    At most *worker_count* processes compute the forecast.
    """
    options = query.options
    cells, segment_cells = _arrange_rows(query, data)
    reconciliation = reconcile(cells, data.totals)
    notes = [
        f"{name_file(query.path)}: {difference}"
        for difference in find_differences(reconciliation, data.rows.columns)
    ]
    if notes and query.is_default:
        raise ReconciliationError("the cohorts do not reconcile: " + "; ".join(notes))
    document = describe_source(query, data)
    omitted = None
    if options.omits_first_cohort:
        omitted = min((cell["cohort"] for cell in cells), default=None)
    document |= summarize(query, data, cells, omitted_cohort=omitted)
    document["reconciliation"] = reconciliation
    if options.by:
        document["segments"] = [
            {"segment": name}
            | summarize(query, data, members, segment=name, omitted_cohort=omitted)
            for name, members in split_segments(segment_cells).items()
        ]
    score = None
    if options.has_forecast:
        document["forecast"], score = build_forecast(
            query, data, cells, worker_count=worker_count
        )
    rows = build_rows(
        segment_cells if options.by else cells,
        data.rows.columns,
        has_segments=options.by is not None,
        grain=options.grain,
    )
    return QueryResult(rows, document, notes, score)


def _arrange_rows(query: CohortQuery, data: QueryData) -> tuple[list[Cell], list[Cell]]:
    """Return the rows of *data* as `arrange_cells` does; raise `DataError` for odd ones."""
    has_segments = query.options.by is not None
    is_by_quarter = query.options.grain == "quarter"
    cells = read_cells(data.rows, query.path)
    require_arrangeable(
        cells, query.path, has_segments=has_segments, is_by_quarter=is_by_quarter
    )
    return arrange_cells(
        cells, has_segments=has_segments, is_by_quarter=is_by_quarter, as_of=data.as_of
    )


def describe_source(query: CohortQuery, data: QueryData) -> dict[str, Any]:
    """Return the first part of the document: versions, digests and options."""
    used_paths = [VALUES_PATH] if data.values is not None else []
    if query.options.has_forecast:
        used_paths += [DAYS_PATH, SEGMENTS_PATH] if query.options.by else [DAYS_PATH]
    dataset = data.provenance.get("dataset", {})
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": data.as_of,
        "currency": find_currency(data.provenance),
        "currency_digits": count_minor_digits(find_currency(data.provenance)),
        "database": data.source,
        "dataset": {"content_sha256": dataset.get("content_sha256")},
        "query": {"file": name_file(query.path), "sha256": query.sha256},
        "other_queries": [
            {
                "file": name_file(path),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in used_paths
        ],
        "options": query.options.describe(),
    }


def summarize(
    query: CohortQuery,
    data: QueryData,
    cells: Sequence[Cell],
    *,
    segment: str | None = None,
    omitted_cohort: str | None,
) -> dict[str, Any]:
    """Return cohorts, cells, average and summary of all customers, or of a *segment*.

    The averages are without *omitted_cohort*.
    """
    spreads = measure_spreads(
        data.values,
        cells,
        segment,
        grain=query.options.grain,
        omitted_cohort=omitted_cohort,
    )
    return summarize_cells(cells, spreads, omitted_cohort=omitted_cohort)


def build_forecast(
    query: CohortQuery, data: QueryData, cells: Sequence[Cell], *, worker_count: int
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the forecast, or the reason why there is none, and its score."""
    from queries.forecast.forecast import add_cumulative_values, forecast_cohorts
    from queries.forecast.score import score_forecast

    is_by_quarter = query.options.grain == "quarter"
    try:
        forecast = forecast_cohorts(
            data.histories,
            data.totals.refunds,
            data.as_of or "",
            segments=data.segments,
            is_by_quarter=is_by_quarter,
            worker_count=worker_count,
        )
    except LostWorkerError:
        raise
    except DataError as error:
        return {"is_forecast": True, "refused": str(error)}, None
    add_cumulative_values(forecast.document, cells)
    if data.truth is None:
        return forecast.document, None
    score = score_forecast(
        forecast,
        data.truth.truths,
        data.truth.days,
        is_by_quarter=is_by_quarter,
    )
    return forecast.document, score
