"""Make a shop in parts on Spark: spark-submit data_generation/spark_job.py --out URL.

Spark only distributes the parts and stores the lines.  Seed, part number and number of
parts determine every byte, as with generate_data.py --part.  The parts of a table are the
files of one folder, in order.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

# spark-submit puts the folder of this file on the path, not the project's root.
PROJECT_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT_ROOT))

from data_generation.datapackage import FileEntry  # noqa: E402
from data_generation.model.purchase_processes import PROCESSES  # noqa: E402
from data_generation.model.streams import LARGEST_SEED  # noqa: E402
from data_generation.parts import describe_parts, join_table  # noqa: E402
from data_generation.plan import (  # noqa: E402
    DEFAULT_END,
    DEFAULT_PROCESS,
    DEFAULT_SEED,
    DEFAULT_START,
    DEFAULT_USERS,
    MOST_PARTS,
    MOST_USERS,
    Plan,
    find_plan_error,
)
from utils.arguments import (  # noqa: E402
    CommandLineParser,
    day_of_years,
    whole_number,
)
from utils.contract import MANIFEST_NAME, read_contract  # noqa: E402
from utils.formats import count_noun  # noqa: E402
from utils.helpers import (  # noqa: E402
    DataError,
    print_safely,
    render_files,
    render_json,
    report_error,
)
from utils.months import FIRST_YEAR, LAST_YEAR  # noqa: E402

ARCHIVE = "shop"
CHUNK_CHARACTERS = 1 << 20

# What executors need: the code, and the contract that it reads.
ARCHIVED = ("data_generation/**/*.py", "utils/**/*.py", "db/schema.sql")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = CommandLineParser(
        prog="spark_job.py",
        description="Make all parts of a shop in parallel on Spark's executors: one folder"
        " per table, one file per part, and datapackage.json.",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="URL",
        help="folder on any file system that Hadoop supports, such as hdfs://host/shop",
    )
    parser.add_argument(
        "--parts",
        type=whole_number(1, MOST_PARTS),
        metavar="N",
        help="number of parts (default: as many as Spark runs at a time)",
    )
    parser.add_argument(
        "--no-table-hash",
        action="store_true",
        help="omit the hash of each complete table, for which the driver reads all lines",
    )
    _add_plan_options(parser)
    return parser


def _add_plan_options(parser: argparse.ArgumentParser) -> None:
    plan = parser.add_argument_group(
        "plan of the shop",
        "the options and defaults of generate_data.py, whose --help describes them",
    )
    seed = whole_number(0, LARGEST_SEED)
    plan.add_argument("--seed", type=seed, default=DEFAULT_SEED, metavar="N")
    users = whole_number(0, MOST_USERS)
    plan.add_argument("--users", type=users, default=DEFAULT_USERS, metavar="N")
    day = day_of_years(FIRST_YEAR, LAST_YEAR)
    plan.add_argument("--start", type=day, default=DEFAULT_START, metavar="DATE")
    plan.add_argument("--end", type=day, default=DEFAULT_END, metavar="DATE")
    plan.add_argument("--until", type=day, metavar="DATE")
    plan.add_argument(
        "--process",
        choices=PROCESSES,
        default=DEFAULT_PROCESS,
        help=f"how customers buy again (default: {DEFAULT_PROCESS})",
    )
    plan.add_argument("--calm", action="store_true")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    until = args.until or args.end
    plan = Plan(args.seed, args.users, args.start, args.end, until, args.process, args.calm)
    if error_text := find_plan_error(plan):
        parser.error(f"argument --start/--end/--until: {error_text}")
    try:
        from py4j.protocol import Py4JJavaError
        from pyspark import SparkContext
    except ImportError:
        report_error("spark_job", "pyspark is not installed. Start this with spark-submit.")
        return 1
    context = SparkContext.getOrCreate()
    context.setLogLevel("ERROR")
    try:
        generate_on_spark(context, plan, args)
    except DataError as error:
        report_error("spark_job", error)
        return 1
    except Py4JJavaError as error:
        report_error("spark_job", f"Spark failed: {error.java_exception.toString()}")
        return 1
    finally:
        context.stop()
    return 0


def generate_on_spark(context: Any, plan: Plan, args: argparse.Namespace) -> None:
    """Make all parts of *plan*, store them below args.out, and write their manifest."""
    from pyspark import StorageLevel

    out = args.out.rstrip("/")
    tables = [table.name for table in read_contract().tables]
    refuse_existing(context, out, [*tables, MANIFEST_NAME])
    total = args.parts or context.defaultParallelism
    plain_plan = tuple(plan)  # an executor has no class Plan before it unpacks the code
    with tempfile.TemporaryDirectory() as folder:
        context.addArchive(f"{pack_code(Path(folder))}#{ARCHIVE}")
        # Kept on the executors' disks, so that each part is made once instead of once for
        # each table.  If an executor is lost, its parts are made again with the same bytes.
        records = (
            context.parallelize(range(1, total + 1), total)
            .flatMap(lambda number: make_part(plain_plan, number, total))
            .persist(StorageLevel.DISK_ONLY)
        )
        parts = collect_entries(records, tables)
        for table in tables:
            chunks_of(records, table).saveAsTextFile(f"{out}/{table}")
        joined = {
            table: add_up(f"{table}.csv", parts[table])
            if args.no_table_hash
            else join_table(f"{table}.csv", read_back(records, table, parts[table]))
            for table in tables
        }
    document = describe_parts(plan, joined, parts)
    # Last, by one rename: where the manifest is, everything else is complete.
    write_text(context, f"{out}/{MANIFEST_NAME}", render_json(document))
    counts = f"{count_noun(plan.users, 'user')}, {count_noun(total, 'part')}"
    print_safely(f"Seed {plan.seed}, {counts} in {out}:")
    print_safely(render_joined(joined.values()))


def make_part(
    plain_plan: tuple[Any, ...], number: int, total: int
) -> Iterator[tuple[str, str]]:
    """Yield a part, on an executor: ("", its files as JSON), then (table, lines)."""
    from pyspark import SparkFiles

    sys.path.insert(0, SparkFiles.get(ARCHIVE))
    from data_generation.generate_data import generate_shop
    from data_generation.plan import Part, Plan
    from utils.contract import read_contract

    names = [table.name for table in read_contract().tables]
    with tempfile.TemporaryDirectory() as folder:
        part = Part(number, total)
        files = generate_shop(Plan(*plain_plan), Path(folder), part=part)
        yield "", json.dumps(dict(zip(names, files, strict=True)))
        for name in names:
            path = Path(folder, part.name_file(name))
            with open(path, encoding="utf-8", newline="") as file:
                # Spark appends a newline to what it writes, so the last one is removed.
                while lines := file.readlines(CHUNK_CHARACTERS):
                    yield name, "".join(lines)[:-1]


def collect_entries(records: Any, tables: Sequence[str]) -> dict[str, list[FileEntry]]:
    """Return the files of all parts among *records*, by table, with paths on Spark."""
    listed = records.filter(lambda record: record[0] == "").values().collect()
    entries = [json.loads(text) for text in listed]
    return {
        table: [
            FileEntry(*files[table])._replace(path=f"{table}/part-{number:05d}")
            for number, files in enumerate(entries)
        ]
        for table in tables
    }


def chunks_of(records: Any, table: str) -> Any:
    """Return the lines of *table* among *records*, in order."""
    return records.filter(lambda record: record[0] == table).values()


def read_back(
    records: Any, table: str, parts: Sequence[FileEntry]
) -> Iterator[tuple[FileEntry, Iterator[bytes]]]:
    """Yield each of *parts* with its bytes, as the executors store them."""
    with_part = chunks_of(records, table).mapPartitionsWithIndex(
        lambda index, chunks: ((index, chunk) for chunk in chunks)
    )
    chunks = with_part.toLocalIterator(prefetchPartitions=True)
    following = next(chunks, None)

    def read_part(index: int) -> Iterator[bytes]:
        nonlocal following
        while following is not None and following[0] == index:
            yield f"{following[1]}\n".encode()
            following = next(chunks, None)

    for index, part in enumerate(parts):
        yield part, read_part(index)


def add_up(name: str, parts: Sequence[FileEntry]) -> FileEntry:
    """Return the file *name* that *parts* make, without its hash."""
    size, rows = sum(part.bytes for part in parts), sum(part.rows for part in parts)
    return FileEntry(name, size, rows, "")


def render_joined(files: Collection[FileEntry]) -> str:
    """Return a line for each of the joined *files*, and where to find a missing hash."""
    text = render_files((file.path, file.rows, file.sha256) for file in files)
    if all(file.sha256 for file in files):
        return text
    return f"{text}\n  {MANIFEST_NAME} lists the sha256 of each part"


def pack_code(folder: Path) -> Path:
    """Return an archive in *folder* of the project's files that executors need."""
    path = folder / f"{ARCHIVE}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for pattern in ARCHIVED:
            for file in sorted(PROJECT_ROOT.glob(pattern)):
                archive.write(file, file.relative_to(PROJECT_ROOT))
    return path


# ---- The Hadoop file system, through Spark's bridge to Java ------------------------------


def open_path(context: Any, url: str) -> tuple[Any, Any]:
    """Return the file system of *url*, and its path there."""
    path = context._jvm.org.apache.hadoop.fs.Path(url)
    return path.getFileSystem(context._jsc.hadoopConfiguration()), path


def refuse_existing(context: Any, out: str, names: Sequence[str]) -> None:
    """Raise `DataError` if one of *names* exists in *out*."""
    for name in names:
        system, path = open_path(context, f"{out}/{name}")
        if system.exists(path):
            raise DataError(
                f"{out}/{name}: exists already, and nothing is overwritten. Name another"
                " folder with --out, or remove it."
            )


def write_text(context: Any, url: str, text: str) -> None:
    """Write *text* to *url* atomically."""
    system, path = open_path(context, url)
    _, hidden = open_path(context, f"{url}.partial")
    stream = system.create(hidden, True)
    stream.write(text.encode("utf-8"))
    stream.close()
    if not system.rename(hidden, path):
        raise DataError(f"{url}: cannot be written. Name another folder with --out.")


if __name__ == "__main__":
    sys.exit(main())
