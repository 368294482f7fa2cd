"""The last step of `--verify`: run the query again and compare its results."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from queries.options import read_options
from queries.output import CSV_NAME, JSON_NAME, render_csv
from queries.run_query import compute_result
from utils.helpers import PROJECT_ROOT, PUBLISHED_DIR, DataError, render_json
from utils.verification import Verification, compare_text, read_json, read_texts

_REMEDY = "Run the query again: python run_query.py"


def verify_result(
    database: Path,
    out_dir: Path | None = None,
    *,
    query_path: Path | None = None,
    worker_count: int = 1,
) -> Iterator[Verification]:
    """Yield the comparison of each result in *out_dir* with that of a new run.

    Without *out_dir* the results are in the project's root and, for the page, in its data
    folder.  The new run uses the options in query_result.json, and at most *worker_count*
    processes.
    """
    folder = PROJECT_ROOT if out_dir is None else out_dir
    try:
        document = read_json(folder / JSON_NAME)
        options = read_options(document if isinstance(document, dict) else {})
        result = compute_result(
            database, query_path=query_path, options=options, worker_count=worker_count
        )
    except (DataError, sqlite3.Error) as error:
        yield Verification("database -> query result", str(error))
        return
    csv_text, json_text = render_csv(result.rows), render_json(result.document)
    for name, text in ((CSV_NAME, csv_text), (JSON_NAME, json_text)):
        yield compare_text(f"database -> {name}", folder / name, text, remedy=_REMEDY)
    if out_dir is None:
        # The copy may equal the existing result, even if that result is not correct.
        yield compare_text(
            f"{JSON_NAME} -> the page's copy",
            PUBLISHED_DIR / JSON_NAME,
            *read_texts(folder / JSON_NAME),
            json_text,
            remedy=_REMEDY,
        )
