"""The last link of the chain: from the database to the query's results, run again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from queries.options import read_options
from queries.run_query import (
    CSV_NAME,
    JSON_NAME,
    QUERY_PATH,
    compute_result,
    render_csv,
)
from utils.helpers import PROJECT_ROOT, PUBLISHED_DIR, DataError, render_json
from utils.verification import Verification, compare_text, read_json, read_texts

_QUERY = "Run the query again: python run_query.py"


def verify_result(
    database: Path, out_dir: Path | None = None, *, query_path: Path = QUERY_PATH
) -> Iterator[Verification]:
    """Yield the links from *database* to the results in *out_dir*.

    Without it they are looked for in the project's root and where the page reads them.
    The query is run with the options that the result itself names.
    """
    folder = PROJECT_ROOT if out_dir is None else out_dir
    try:
        document = read_json(folder / JSON_NAME)
        options = read_options(document if isinstance(document, dict) else {})
        answer = compute_result(database, query_path, options)
    except (DataError, sqlite3.Error) as error:
        yield Verification("database -> query result", str(error))
        return
    text = render_json(answer.document)
    yield compare_text(
        f"database -> {CSV_NAME}",
        folder / CSV_NAME,
        render_csv(answer.result),
        remedy=_QUERY,
    )
    yield compare_text(f"database -> {JSON_NAME}", folder / JSON_NAME, text, remedy=_QUERY)
    if out_dir is None:
        # A copy of what is there holds, whether that is right or not.
        path = PUBLISHED_DIR / JSON_NAME
        yield compare_text(
            f"{JSON_NAME} -> the page's copy",
            path,
            *read_texts(folder / JSON_NAME),
            text,
            remedy=_QUERY,
        )
