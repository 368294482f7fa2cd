"""Make a shop in parts on Spark: spark-submit data_generation/spark_job.py --out URL.

Spark only shares out the parts and stores the lines; every byte is decided by the seed, the
part's number and the number of parts, as with generate_data.py --part.  The parts of a
table are the files of one folder, in order.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# spark-submit puts the folder of this file on the path, not the project's.
PROJECT_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT_ROOT))

from generate_data import (  # noqa: E402
    DEFAULT_END,
    DEFAULT_SEED,
    DEFAULT_START,
    DEFAULT_USERS,
    parse_date,
    parse_part_count,
    parse_seed,
    parse_user_count,
)
from utils.helpers import DataError, print_safely, report_error  # noqa: E402

ARCHIVE = "shop"
CHUNK_CHARACTERS = 1 << 20

# What executors need: the code, and the contract that it reads.
SHIPPED = ("data_generation/**/*.py", "utils/**/*.py", "db/schema.sql")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        prog="spark_job.py",
        description="Make all parts of a shop in parallel on Spark's executors: a folder a"
        " table, a file a part, and datapackage.json.",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="URL",
        help="folder on any file system that Hadoop knows, such as hdfs://host/shop",
    )
    parser.add_argument(
        "--parts",
        type=parse_part_count,
        metavar="N",
        help="number of parts (default: what Spark can do at a time)",
    )
    parser.add_argument("--seed", type=parse_seed, default=DEFAULT_SEED, metavar="N")
    parser.add_argument(
        "--users", type=parse_user_count, default=DEFAULT_USERS, metavar="N"
    )
    parser.add_argument("--start", type=parse_date, default=DEFAULT_START, metavar="DATE")
    parser.add_argument("--end", type=parse_date, default=DEFAULT_END, metavar="DATE")
    parser.add_argument(
        "--until",
        type=parse_date,
        metavar="DATE",
        help="these five as those of generate_data.py",
    )
    parser.add_argument(
        "--no-whole-hash",
        action="store_true",
        help="leave the hash of each whole table away: for it the driver reads all lines",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    from data_generation.plan import Plan, find_fault

    parser = build_parser()
    args = parser.parse_args(argv)
    plan = Plan(args.seed, args.users, args.start, args.end, args.until or args.end)
    if fault := find_fault(plan):
        parser.error(f"argument --start/--end/--until: {fault}")
    try:
        from py4j.protocol import Py4JJavaError
        from pyspark import SparkContext
    except ImportError:
        report_error("spark_job", "pyspark is not there. Start this with spark-submit.")
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


def generate_on_spark(context: Any, plan: Any, args: argparse.Namespace) -> None:
    """Make all parts of *plan*, store them below args.out, and describe the whole."""
    from pyspark import StorageLevel

    from data_generation.datapackage import Written
    from data_generation.parts import describe_whole, join_table
    from utils.contract import MANIFEST_NAME, read_contract
    from utils.helpers import render_files, render_json

    out = args.out.rstrip("/")
    tables = [table.name for table in read_contract().tables]
    refuse_existing(context, out, [*tables, MANIFEST_NAME])
    total = args.parts or context.defaultParallelism
    stated = tuple(plan)  # an executor knows no Plan before it has unpacked the code
    with tempfile.TemporaryDirectory() as folder:
        context.addArchive(f"{pack_code(Path(folder))}#{ARCHIVE}")
        # Kept on the executors' disks, so each part is made once, and not once a table; one
        # that is lost with its executor is made again, the same to the byte.
        records = (
            context.parallelize(range(1, total + 1), total)
            .flatMap(lambda number: make_part(stated, number, total))
            .persist(StorageLevel.DISK_ONLY)
        )
        listed = [
            {name: Written(*file) for name, file in json.loads(text).items()}
            for text in records.filter(lambda record: record[0] == "").values().collect()
        ]
        for table in tables:
            chunks_of(records, table).saveAsTextFile(f"{out}/{table}")
        joined = {}
        for table in tables:
            pieces = [
                files[table]._replace(path=f"{table}/part-{number:05d}")
                for number, files in enumerate(listed)
            ]
            for files, piece in zip(listed, pieces, strict=True):
                files[table] = piece
            if args.no_whole_hash:
                joined[table] = add_up(f"{table}.csv", pieces)
            else:
                joined[table] = join_table(
                    f"{table}.csv", read_back(records, table, pieces)
                )
    parts = {table: [files[table] for files in listed] for table in tables}
    document = describe_whole(plan, joined, parts)
    # Last, and by one rename: where it is, all the rest is whole.
    write_text(context, f"{out}/{MANIFEST_NAME}", render_json(document))
    print_safely(f"Seed {plan.seed}, {plan.users:,} users, {total} parts in {out}:")
    print_safely(
        render_files((file.path, file.rows, file.sha256) for file in joined.values())
    )


def make_part(
    stated: tuple[Any, ...], number: int, total: int
) -> Iterator[tuple[str, str]]:
    """Yield what a part holds, as ("", its files as JSON), then (table, lines)."""
    from pyspark import SparkFiles

    sys.path.insert(0, SparkFiles.get(ARCHIVE))
    from data_generation.generate_data import Part, generate_shop
    from data_generation.plan import Plan
    from utils.contract import read_contract

    names = [table.name for table in read_contract().tables]
    with tempfile.TemporaryDirectory() as folder:
        part = Part(number, total)
        written = generate_shop(Plan(*stated), Path(folder), part=part)
        yield "", json.dumps(dict(zip(names, written, strict=True)))
        for name in names:
            path = Path(folder, part.name_file(name))
            with open(path, encoding="utf-8", newline="") as file:
                # Spark ends what it writes with a newline, so the last one is left away.
                while lines := file.readlines(CHUNK_CHARACTERS):
                    yield name, "".join(lines)[:-1]


def chunks_of(records: Any, table: str) -> Any:
    """Return the lines of *table* among *records*, in order."""
    return records.filter(lambda record: record[0] == table).values()


def read_back(records: Any, table: str, pieces: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each of *pieces* with its bytes, as the executors hold them."""
    with_part = chunks_of(records, table).mapPartitionsWithIndex(
        lambda index, chunks: ((index, chunk) for chunk in chunks)
    )
    chunks = with_part.toLocalIterator(prefetchPartitions=True)
    ahead = next(chunks, None)

    def read_piece(index: int) -> Iterator[bytes]:
        nonlocal ahead
        while ahead is not None and ahead[0] == index:
            yield f"{ahead[1]}\n".encode()
            ahead = next(chunks, None)

    for index, piece in enumerate(pieces):
        yield piece, read_piece(index)


def add_up(name: str, pieces: Sequence[Any]) -> Any:
    """Return the file *name* that *pieces* make, without its hash."""
    from data_generation.datapackage import Written

    size, rows = (sum(figures) for figures in zip(*(p[1:3] for p in pieces), strict=True))
    return Written(name, size, rows, "")


def pack_code(folder: Path) -> Path:
    """Return an archive, made in *folder*, of what executors need of this project."""
    path = folder / f"{ARCHIVE}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for pattern in SHIPPED:
            for file in sorted(PROJECT_ROOT.glob(pattern)):
                archive.write(file, file.relative_to(PROJECT_ROOT))
    return path


# ---- The Hadoop file system, by Spark's own way to Java ----------------------------------


def open_path(context: Any, url: str) -> tuple[Any, Any]:
    """Return the file system that *url* lies on, and its path there."""
    path = context._jvm.org.apache.hadoop.fs.Path(url)
    return path.getFileSystem(context._jsc.hadoopConfiguration()), path


def refuse_existing(context: Any, out: str, names: Sequence[str]) -> None:
    """Raise `DataError` if one of *names* is below *out* already."""
    for name in names:
        system, path = open_path(context, f"{out}/{name}")
        if system.exists(path):
            raise DataError(
                f"{out}/{name}: is there already, and nothing is overwritten. Name another"
                " folder with --out, or remove it."
            )


def write_text(context: Any, url: str, text: str) -> None:
    """Write *text* to *url* so that it appears whole."""
    system, path = open_path(context, url)
    _, hidden = open_path(context, f"{url}.partial")
    stream = system.create(hidden, True)
    stream.write(text.encode("utf-8"))
    stream.close()
    if not system.rename(hidden, path):
        raise DataError(f"{url}: cannot be written. Name another folder with --out.")


if __name__ == "__main__":
    sys.exit(main())
