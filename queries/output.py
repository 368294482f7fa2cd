"""query_result.csv and query_result.json: their names, their text, and writing them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from queries.cohort_cells import QueryRows
from utils.atomic_files import write_atomically
from utils.helpers import PROJECT_ROOT, PUBLISHED_DIR, render_json

CSV_NAME = "query_result.csv"
JSON_NAME = "query_result.json"


def write_result(
    rows: QueryRows, document: Mapping[str, Any], out_dir: Path | None
) -> list[Path]:
    """Write CSV and JSON, all files or none; return their paths.

    Without *out_dir* they go to the project's root, and a copy of the JSON to the page.
    """
    folder = PROJECT_ROOT if out_dir is None else out_dir
    json_text = render_json(document)
    texts = {folder / CSV_NAME: render_csv(rows), folder / JSON_NAME: json_text}
    if out_dir is None:
        texts[PUBLISHED_DIR / JSON_NAME] = json_text
    write_atomically(texts)
    return list(texts)


def render_csv(rows: QueryRows) -> str:
    """Return *rows* as CSV with a header; NULL becomes an empty cell.

    A text that a spreadsheet would read as a formula gets an apostrophe in front, as
    OWASP recommends; a number, even a negative one, is never changed.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(escape_formula, rows.columns))
    writer.writerows([escape_formula(value) for value in row] for row in rows.rows)
    return text.getvalue()


def escape_formula(value: Any) -> Any:
    """Return *value* in a form that no spreadsheet reads as a formula.

    >>> [escape_formula(value) for value in ("=1+1", "-x", -1, "2024-01", None)]
    ["'=1+1", "'-x", -1, '2024-01', None]
    """
    is_formula = isinstance(value, str) and value.startswith(
        ("=", "+", "-", "@", "\t", "\r")
    )
    return f"'{value}" if is_formula else value
