"""Run the cohort query read-only, reconcile, derive, write query_result.csv and .json."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from array import array
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from queries.cohorts import (
    ADDED_COLUMNS,
    CLV_MONTHS,
    FLAG_COLUMNS,
    Cell,
    Result,
    Spreads,
    add_segments,
    name_column,
    name_quarter,
    read_cells,
    roll_up_quarters,
    split_segments,
    summarize_cells,
)
from queries.engine_reading import read_engine
from queries.forecast.forecast import add_cumulative_values, forecast_cohorts
from queries.forecast.score import Truth, read_truth, score_forecast
from queries.options import Options, put_options
from queries.reading import (
    DAYS_PATH,
    VALUES_PATH,
    MeasuredValues,
    Reading,
    Values,
    read_database,
    read_query,
    require_as_of,
    require_sound,
)
from queries.reconciliation import find_differences, reconcile
from queries.uncertainty import Spread, describe_spread
from utils.atomic_files import write_atomically
from utils.database import find_as_of, find_currency, open_database, read_provenance
from utils.engines.process import Engine
from utils.helpers import (
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    render_json,
)

SCHEMA_VERSION = "2.0"
QUERY_PATH = Path(__file__).resolve().with_name("join_query.sql")
DEFAULTS = Options()
CSV_NAME = "query_result.csv"
JSON_NAME = "query_result.json"

# A month as the query names it.
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")


class Answer(NamedTuple):
    """What the query gave, the document made of it, and what its reader should know.

    *score* is there if the forecast was held against the truth.
    """

    result: Result
    document: dict[str, Any]
    notes: list[str]
    score: dict[str, Any] | None = None


class Unreconciled(RuntimeError):
    """The cells do not add up to the tables: broken rows, or a fault of the query."""


class AnswerKey(NamedTuple):
    """The truth by user id, and how many days it looks ahead."""

    days: int
    truths: dict[int, Truth]


class Outcome(NamedTuple):
    """What a run wrote, and what its reader should know about it."""

    document: dict[str, Any]
    paths: list[Path]
    notes: list[str]
    score: dict[str, Any] | None


def query_database(
    database: Path,
    *,
    query_path: Path = QUERY_PATH,
    options: Options = DEFAULTS,
    truth_dir: Path | None = None,
    out_dir: Path | None = None,
) -> Outcome:
    """Run the query at *query_path* on *database* and write CSV and JSON.

    With *truth_dir* the forecast is held against the truth there.  Without *out_dir* the
    results go to the project's root, and a copy of the JSON to the page.  Raise `DataError`
    when the user can mend it; old results then stay as they were.
    """
    answer = compute_result(database, query_path, options, truth_dir)
    return publish(answer, out_dir)


def query_files(
    engine: Engine,
    data_dir: Path,
    *,
    query_path: Path = QUERY_PATH,
    options: Options = DEFAULTS,
    truth_dir: Path | None = None,
    out_dir: Path | None = None,
) -> Outcome:
    """Let *engine* run the query over the CSV files in *data_dir*; write CSV and JSON.

    All else is as in `query_database`.
    """
    sql = read_query(query_path)
    is_ours = query_path.resolve() == QUERY_PATH
    text = put_options(sql.decode("utf-8-sig"), options, query_path)
    require_default_orders(options, truth_dir)
    reading = read_engine(engine, data_dir, text, query_path, options, tells_values=is_ours)
    require_as_of(reading.provenance, reading.totals, data_dir)
    key = None
    if truth_dir is not None:
        as_of = options.as_of or find_as_of(reading.provenance) or ""
        key = AnswerKey(*read_truth(truth_dir, reading.provenance, as_of))
    return publish(answer_reading(reading, query_path, options, key), out_dir)


def publish(answer: Answer, out_dir: Path | None) -> Outcome:
    """Write *answer*; return what its reader should know."""
    paths = write_result(answer.result, answer.document, out_dir)
    return Outcome(answer.document, paths, answer.notes, answer.score)


def compute_result(
    database: Path,
    query_path: Path = QUERY_PATH,
    options: Options = DEFAULTS,
    truth_dir: Path | None = None,
) -> Answer:
    """Run the query at *query_path* on *database*; raise what `query_database` does."""
    sql = read_query(query_path)
    is_ours = query_path.resolve() == QUERY_PATH
    text = put_options(sql.decode("utf-8-sig"), options, query_path)
    # First, as it is soon read, and the query may take long.
    key = find_truth(database, options, truth_dir) if truth_dir else None
    reading = read_database(database, text, query_path, options, tells_values=is_ours)
    try:
        return answer_reading(reading, query_path, options, key)
    except Unreconciled:
        require_sound(database)
        raise


def answer_reading(
    reading: Reading, query_path: Path, options: Options, key: AnswerKey | None
) -> Answer:
    """Return the answer that *reading* gives; raise `Unreconciled` if ours is wrong."""
    is_ours = query_path.resolve() == QUERY_PATH
    is_by_quarter = options.grain == "quarter"
    sql = read_query(query_path)
    as_of = options.as_of or find_as_of(reading.provenance)
    monthly = read_cells(reading.result, query_path)
    cells = whole = arrange_cells(monthly, query_path, options, as_of)
    if options.by:
        # Added by month, then rolled up: a quarter of one segment may end before that of
        # another, and would be missing from the sum.
        together = add_segments(monthly)
        whole = arrange_cells(together, query_path, options._replace(by=None), as_of)
    reconciliation = reconcile(whole, reading.totals)
    document = {
        "schema_version": SCHEMA_VERSION,
        "as_of": as_of,
        "currency": find_currency(reading.provenance),
        "database": reading.source,
        "dataset": {
            "content_sha256": reading.provenance.get("dataset", {}).get("content_sha256")
        },
        "query": describe_sql(query_path, sql),
        "other_queries": [
            describe_sql(path, path.read_bytes())
            for path, is_used in (
                (VALUES_PATH, reading.values is not None),
                (DAYS_PATH, options.has_forecast),
            )
            if is_used
        ],
        "options": options.describe(),
        **summarize_cells(
            whole, spread_values(reading.values, whole, is_by_quarter=is_by_quarter)
        ),
        "reconciliation": reconciliation,
    }
    if options.by:
        document["segments"] = [
            {"segment": name}
            | summarize_cells(
                members,
                spread_values(reading.values, members, name, is_by_quarter=is_by_quarter),
            )
            for name, members in split_segments(cells).items()
        ]
    notes = [
        f"{_name_file(query_path)}: {difference}"
        for difference in find_differences(reconciliation, reading.result.columns)
    ]
    if notes and is_ours:
        # Another query may leave orders out on purpose; ours may not be written like that.
        raise Unreconciled("the cohorts do not reconcile: " + "; ".join(notes))
    result = build_result(cells, reading.result.columns, options)
    if not options.has_forecast:
        return Answer(result, document, notes)
    document["forecast"], score = build_forecast(reading, options, as_of or "", key)
    if "refused" not in document["forecast"]:
        add_cumulative_values(document["forecast"], whole)
    return Answer(result, document, notes, score)


def describe_sql(path: Path, sql: bytes) -> dict[str, str]:
    """Return what names the *sql* in the file *path*."""
    return {"file": _name_file(path), "sha256": hashlib.sha256(sql).hexdigest()}


def find_truth(database: Path, options: Options, truth_dir: Path) -> AnswerKey:
    """Return the truth in *truth_dir*; raise `DataError` if it is not *database*'s."""
    require_default_orders(options, truth_dir)
    with open_database(database) as connection:
        provenance = read_provenance(connection)
    as_of = options.as_of or find_as_of(provenance) or ""
    return AnswerKey(*read_truth(truth_dir, provenance, as_of))


def require_default_orders(options: Options, truth_dir: Path | None) -> None:
    """Raise `DataError` if *options* choose orders of which the truth says nothing."""
    if truth_dir is not None and options.valid_statuses:
        raise DataError(
            "--score compares with what the default orders bring, so that --valid-status"
            " makes it meaningless. Leave one of them away."
        )


def build_forecast(
    reading: Reading, options: Options, as_of: str, key: AnswerKey | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the forecast of *reading*, or why there is none, and its score by *key*."""
    is_by_quarter = options.grain == "quarter"
    try:
        projection = forecast_cohorts(
            reading.histories, reading.totals.refunds, as_of, is_by_quarter=is_by_quarter
        )
    except DataError as error:
        return {"is_forecast": True, "refused": str(error)}, None
    if key is None:
        return projection.document, None
    return projection.document, score_forecast(
        projection, reading.histories, key.truths, key.days, is_by_quarter=is_by_quarter
    )


# ---- From rows to the document -----------------------------------------------------------


def arrange_cells(
    cells: list[Cell], query_path: Path, options: Options, as_of: str | None
) -> list[Cell]:
    """Return *cells* in the grain and the segments that *options* ask for."""
    if options.by:
        require_columns(cells, ("segment", *ADDED_COLUMNS), query_path)
    else:
        # One segment, of all.
        cells = [{name: cell[name] for name in cell if name != "segment"} for cell in cells]
    if options.grain == "month" or not cells:
        return cells
    require_columns(cells, ("cohort", *ADDED_COLUMNS, *FLAG_COLUMNS), query_path)
    segments = split_segments(cells).values() if options.by else [cells]
    last_month = (as_of or "0000-00")[:7]
    return [cell for members in segments for cell in roll_up_quarters(members, last_month)]


def require_columns(cells: Sequence[Cell], needed: Sequence[str], query_path: Path) -> None:
    """Raise `DataError` if *cells*, which *query_path* gave, lack a value of *needed*."""
    missing = [name for name in needed if cells and name not in cells[0]]
    if missing:
        raise DataError(
            f"{query_path}: its result lacks {', '.join(missing)}, which this option sums."
            " Take over the columns of queries/join_query.sql."
        )
    for cell in cells:
        for name in needed:
            if not _is_summable(name, cell[name]):
                raise DataError(
                    f"{query_path}: {name_column(name)} is {cell[name]!r}, which this option"
                    " cannot sum."
                    " Expected what queries/join_query.sql gives."
                )


def _is_summable(name: str, value: Any) -> bool:
    if name == "segment":
        return isinstance(value, str)
    if name == "cohort":
        return isinstance(value, str) and _MONTH.fullmatch(value) is not None
    return isinstance(value, int)


def spread_values(
    values: Values | MeasuredValues | None,
    cells: Sequence[Cell],
    segment: str | None = None,
    *,
    is_by_quarter: bool,
) -> Spreads:
    """Return how the customers of each cohort of *cells* differ at the ages of CLV.

    Of *segment* only, if it is named.  Under the name '' are all cohorts that are old
    enough for that age.
    """
    if values is None:
        return {}
    complete = {
        (cell["cohort"], cell["months_since"]) for cell in cells if cell["is_complete"]
    }
    if isinstance(values, MeasuredValues):
        spreads = _pick_spreads(values, complete, segment, is_by_quarter=is_by_quarter)
    else:
        amounts = _pick_amounts(values, complete, segment, is_by_quarter=is_by_quarter)
        spreads = {key: describe_spread(of_key) for key, of_key in amounts.items()}
    for cell in cells:
        spread = spreads.get((cell["cohort"], cell["months_since"]))
        if spread and spread.total_cents != cell["cum_net_cents"]:
            raise RuntimeError(f"the customers' values do not add up to {cell}: {spread}")
    return spreads


def _pick_amounts(
    values: Values,
    complete: Collection[tuple[str, int]],
    segment: str | None,
    *,
    is_by_quarter: bool,
) -> Mapping[tuple[str, int], array[int]]:
    """Return the amounts of each cohort and age that is *complete*, and of all of them."""
    amounts: dict[tuple[str, int], array[int]] = {}
    for (of_segment, month), arrays in values.items():
        if segment is not None and of_segment != segment:
            continue
        cohort = name_quarter(month) if is_by_quarter else month
        for months, of_age in zip(CLV_MONTHS, arrays, strict=True):
            if (cohort, months) in complete:
                for name in (cohort, ""):
                    amounts.setdefault((name, months), array("q")).extend(of_age)
    return amounts


def _pick_spreads(
    values: MeasuredValues,
    complete: Collection[tuple[str, int]],
    segment: str | None,
    *,
    is_by_quarter: bool,
) -> dict[tuple[str, int], Spread]:
    """Return the spread of each cohort and age that is *complete*, and of all of them."""
    wanted = "quarter" if is_by_quarter else "month"
    spreads = {
        (cohort, months): spread
        for (grain, months, of_segment, cohort), spread in values.spreads.items()
        if grain == wanted and of_segment == segment
    }
    told = {key for key in spreads if key[0]}
    expected = {key for key in complete if key[1] in CLV_MONTHS}
    if told != expected:
        raise RuntimeError(f"the spreads are not those of the cells: {told ^ expected}")
    return spreads


def build_result(cells: Sequence[Cell], columns: Sequence[str], options: Options) -> Result:
    """Return *cells* as rows, with the *columns* of the query where they still exist."""
    if not cells:
        names = [name for name in columns if name != "segment"]
        if options.grain == "quarter":
            names = ["cohort_quarter", "months_since", *ADDED_COLUMNS, *FLAG_COLUMNS]
        if options.by:
            names.insert(0, "segment")
        return Result(tuple(names), [])
    names = [name_column(name, options.grain) for name in cells[0]]
    return Result(tuple(names), [tuple(cell.values()) for cell in cells])


# ---- To files ----------------------------------------------------------------------------


def write_result(
    result: Result, document: Mapping[str, Any], out_dir: Path | None
) -> list[Path]:
    """Write CSV and JSON, all of them or none; return their paths."""
    json_text = render_json(document)
    folder = PROJECT_ROOT if out_dir is None else out_dir
    texts = {folder / CSV_NAME: render_csv(result), folder / JSON_NAME: json_text}
    if out_dir is None:
        texts[PUBLISHED_DIR / JSON_NAME] = json_text
    write_atomically(texts)
    return list(texts)


def render_csv(result: Result) -> str:
    """Return the rows as CSV: a header, numbers as they are, NULL as nothing.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, as
    OWASP advises; a number, also a negative one, is never touched.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(escape_formula, result.columns))
    writer.writerows([escape_formula(value) for value in row] for row in result.rows)
    return text.getvalue()


def escape_formula(value: Any) -> Any:
    """Return *value*, which no spreadsheet takes for a formula any more.

    >>> escape_formula("=1+1"), escape_formula("-x"), escape_formula(-1), escape_formula("2024-01"), escape_formula(None)
    ("'=1+1", "'-x", -1, '2024-01', None)
    """
    is_formula = isinstance(value, str) and value.startswith(
        ("=", "+", "-", "@", "\t", "\r")
    )
    return f"'{value}" if is_formula else value


def _name_file(path: Path) -> str:
    """Return *path* relative to the project, or only its name: the same on any machine."""
    try:
        return path.resolve().relative_to(PROJECT_ROOT).as_posix()
    except ValueError:
        return path.name
