"""Run the cohort query alone, for parts of the customers in several processes.

    python benchmarks/cohort_query.py db/ecommerce.db 2

compare_queries.py and compare_cores.py measure it: run_query.py also checks the database,
measures intervals, reconciles and writes.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from queries.customer_parts import PartData, add_parts, split_query  # noqa: E402
from queries.forecast.histories import collect_histories  # noqa: E402
from queries.options import Options  # noqa: E402
from queries.query_file import read_cohort_query  # noqa: E402
from queries.reading import fetch_rows  # noqa: E402
from utils.database import open_database, run_reads  # noqa: E402


def count_rows(database: Path, workers: int) -> int:
    """Return how many rows the query returns; *workers* processes run it."""
    parts = split_query(read_cohort_query(None, Options()), workers)
    reads = [(fetch_rows, part.text) for part in parts]
    with open_database(database, defers_check=True) as connection:
        results = [*run_reads(connection, database, reads, workers)]
    no_purchases = collect_histories([])
    joined = add_parts([PartData(rows, {}, no_purchases, {}) for rows in results])
    return len(joined.rows.rows)


if __name__ == "__main__":
    sys.stdout.write(f"{count_rows(Path(sys.argv[1]), int(sys.argv[2]))}\n")
