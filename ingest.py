"""Load five CSV files into SQLite, and report on their integrity and trends."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.contract import SCHEMA_PATH
from utils.helpers import (
    DATABASE_PATH,
    PROJECT_ROOT,
    PUBLISHED_DIR,
    DataError,
    print_safely,
    render_files,
    report_error,
    show_path,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        prog="ingest.py",
        description="Load users, products, orders, order_items and payments from CSV into"
        " SQLite, all or nothing, and report on what was loaded.",
        epilog="Next: python run_query.py",
    )
    parser.add_argument("--ingest", action="store_true", help="load the files")
    parser.add_argument(
        "--report", action="store_true",
        help="write report.json and report.md: integrity and trends",
    )  # fmt: skip
    parser.add_argument(
        "--data-dir", type=Path, default=PROJECT_ROOT, metavar="DIR",
        help="folder of the CSV files (default: the project's root)",
    )  # fmt: skip
    parser.add_argument(
        "--database", type=Path, default=DATABASE_PATH, metavar="FILE",
        help="the database to make or to report on (default: db/ecommerce.db)",
    )  # fmt: skip
    parser.add_argument(
        "--schema", type=Path, default=SCHEMA_PATH, metavar="FILE",
        help="the tables and their rules (default: db/schema.sql)",
    )  # fmt: skip
    parser.add_argument(
        "--out-dir", type=Path, default=None, metavar="DIR",
        help="folder for the report (default: the project's root, with a copy of"
        " report.json for the page)",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if not (args.ingest or args.report):
        parser.print_help(sys.stderr)
        return 2
    try:
        if args.ingest:
            run_ingest(args.data_dir, args.database, args.schema)
        if args.report:
            run_report(args.database, args.out_dir)
    except (DataError, OSError, sqlite3.Error) as error:
        report_error("ingest", error)
        return 1
    except KeyboardInterrupt:
        report_error("ingest", "interrupted")
        return 130
    return 0


def run_ingest(data_dir: Path, database: Path, schema: Path) -> None:
    """Load *data_dir* into *database* and print what was loaded."""
    # Imported here so that --help and a mistyped option answer at once.
    from db.ingest import ingest_folder

    loaded = ingest_folder(data_dir, database, schema)
    print_safely(f"Loaded into {show_path(database)}:")
    print_safely(
        render_files((show_path(file.path), file.rows, file.sha256) for file in loaded)
    )
    for file in loaded:
        if file.manifest == "differs":
            print_safely(
                f"ingest: warning: {file.path.name} is not what datapackage.json says;"
                " it was loaded all the same, and the report tells of it.",
                file=sys.stderr,
            )


def run_report(database: Path, out_dir: Path | None) -> None:
    """Report on *database* and print the verdict."""
    from db.report import render_summary, report_database

    report = report_database(database, out_dir)
    print_safely(render_summary(report))
    folder = out_dir if out_dir is not None else PROJECT_ROOT
    written = [folder / "report.md", folder / "report.json"]
    if out_dir is None:
        written.append(PUBLISHED_DIR / "report.json")
    for path in written:
        print_safely(f"Written: {show_path(path)}")


if __name__ == "__main__":
    sys.exit(main())
