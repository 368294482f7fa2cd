"""Measure every step with one core and with several, beside peers and an older commit.

    python benchmarks/compare_cores.py
    python benchmarks/compare_cores.py --only path large --workers 8
    python benchmarks/compare_cores.py --users 5000 --rounds 1

Four groups, each with rounds of its own: `path`, from the generator to the forecast;
`large`, the query and the forecast of a larger shop; `generator`, beside tpchgen-cli;
`default`, the default shop and the start of each script.  A round runs every job of its
group once, in a rotated order, and ratios are taken within a round.  The round before the
others makes the files that the jobs read; it is not counted.

Every job is a complete process, from start to exit, with the processes that it starts.
`cores got` is their processor time ÷ wall time; `taken by others` is the same of all other
programs on the machine.  A run that had fewer free cores than it could use is marked;
without /proc/stat none is.

The older commit runs as its own command line does by default.  The peers are those of
peers.txt, installed on the first run.  The exit status is 1 if a target is not met.
Processes are measured with `os.wait4`, which Windows does not have; with the start method
forkserver, the default of CPython 3.14 on Linux, it misses the worker processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.compare_generators import (  # noqa: E402
    Run,
    Tool,
    describe_run,
    generator_tool,
    measure_tool,
    peer_tool,
)
from benchmarks.compare_queries import duckdb_command, query_command  # noqa: E402
from benchmarks.measuring import (  # noqa: E402
    BenchmarkError,
    Usage,
    add_rounds,
    clone_commit,
    describe_machine,
    describe_usage,
    note,
    parse_count,
    print_line,
    run_process,
    run_rounds,
)
from benchmarks.peers import default_environment, prepare_environment  # noqa: E402
from benchmarks.targets import (  # noqa: E402
    CPU,
    Job,
    Target,
    Usages,
    add_jobs,
    add_usages,
    compare_jobs,
    limit_peak,
    render_projection,
    render_targets,
    render_usages,
)
from utils.processes import count_processors  # noqa: E402

# The commit before the work was divided among the cores.
BASELINE = "3388f8d"

PATH_USERS = 150_000
LARGE_USERS = 430_000
GENERATOR_USERS = 1_000_000
DEFAULT_USERS = 5_000

SCRIPTS = ("generate_data.py", "ingest.py", "run_query.py", "serve_frontend.py")
PATH_STEPS = ("generate", "load", "report", "query", "forecast")
COMPLETE_PATH = "complete path"
VERIFIED = "load + report + query"
COHORT_QUERY = "cohort query"

TPCHGEN, DUCKDB = "tpchgen-cli", "DuckDB"

# --help takes some 0.1 s: one run measures several starts.
START_COUNT = 10

# Bounds of the targets; those of ratios are for the median of the rounds.
LEAST_SPEED_UP = 1.8
MOST_CPU_GROWTH = 1.08
LEAST_TO_TPCHGEN = 1.0
LEAST_TO_TPCHGEN_SF1 = 0.6
MOST_REPORT = 1.2
MOST_VERIFY = 1.0
MOST_QUERY = 0.9
MOST_LARGE_QUERY = 1.2
MOST_PATH = 1 / 3
MOST_FORECAST = 3.0
MOST_FORECAST_MIB = 200
MOST_DEFAULT_PATH = 1.0
# Starts of the same code differ by a few percent.
MOST_START = 1.05


Measures: TypeAlias = dict[Job, Callable[[], Usage]]


class Setup(NamedTuple):
    """How the groups measure: *limit* is the largest shop, *baseline* a clone."""

    rounds: int
    limit: int
    workers: tuple[int, ...]
    commit: str
    baseline: Path
    environment: Path
    scratch: Path

    @property
    def all_cores(self) -> int:
        """As many workers as the machine has cores."""
        return count_processors()

    def size(self, users: int) -> int:
        """Return *users*, or the limit."""
        return min(users, self.limit)


class Shop(NamedTuple):
    """A shop of *users* in *folder*, which the scripts in *root* make and read."""

    root: Path
    folder: Path
    users: int

    def measure(self, step: str, workers: int = 0) -> Usage:
        """Run *step*, by default with the workers that the script chooses."""
        script, *arguments = self.list_arguments(step)
        if workers:
            arguments += ["--workers", str(workers)]
        command = [sys.executable, str(self.root / script), *arguments]
        return run_process(command, self.folder)

    def list_arguments(self, step: str) -> list[str]:
        """Return the script of *step* and its options."""
        out = ["--out-dir", str(self.folder)]
        database = ["--database", str(self.folder / "shop.db")]
        files = ["--quiet", "--data-dir", str(self.folder), *database]
        users = ["--quiet", "--users", str(self.users)]
        # In a folder of its own: --verify runs the query of the result that it finds.
        forecast_out = ["--out-dir", str(self.folder / "forecast")]
        # At an older commit the query has a forecast on request only.
        no_forecast = ["--no-forecast"] if self.root == ROOT else []
        return {
            "generate": ["generate_data.py", "--generate", *users, *out],
            "load": ["ingest.py", "--ingest", *files],
            "report": ["ingest.py", "--report", "--quiet", *database, *out],
            "query": ["run_query.py", *no_forecast, *database, *out],
            "forecast": ["run_query.py", "--forecast", *database, *forecast_out],
            "verify": ["ingest.py", "--verify", *files, *out],
        }[step]


class Section(NamedTuple):
    """What one group measured, and its targets."""

    usages: Usages
    targets: list[Target]


@contextmanager
def make_shop(setup: Setup, root: Path, users: int) -> Iterator[Shop]:
    """Provide an empty folder for a shop."""
    with tempfile.TemporaryDirectory(dir=setup.scratch) as name:
        yield Shop(root, Path(name), setup.size(users))


def run_jobs(setup: Setup, measures: Measures) -> dict[Job, list[Usage]]:
    """Return what *measures* returned in each round."""
    return run_rounds(measures, setup.rounds, describe_usage)


# The groups


def measure_path(setup: Setup) -> Section:
    """Measure each step with each number of workers, beside the older commit."""
    with (
        make_shop(setup, ROOT, PATH_USERS) as shop,
        make_shop(setup, setup.baseline, PATH_USERS) as old_shop,
    ):
        users = shop.users
        usages = run_jobs(
            setup,
            {
                Job(step, users, workers): partial(shop.measure, step, workers)
                for workers in setup.workers
                for step in (*PATH_STEPS, "verify")
            }
            | list_cohort_queries(setup, shop)
            | {
                Job(step, users, program=setup.commit): partial(old_shop.measure, step)
                for step in PATH_STEPS
            },
        )
    for workers in setup.workers:
        add_sum(usages, COMPLETE_PATH, PATH_STEPS, Job("", users, workers))
        add_sum(usages, VERIFIED, VERIFIED.split(" + "), Job("", users, workers))
    add_sum(usages, COMPLETE_PATH, PATH_STEPS, Job("", users, program=setup.commit))
    return Section(usages, list_path_targets(setup, usages, users))


def add_sum(
    usages: dict[Job, list[Usage]], name: str, steps: Sequence[str], like: Job
) -> None:
    """Add the sum of *steps* as the step *name*; *like* has all but the step."""
    jobs = [like._replace(step=step) for step in steps]
    usages[like._replace(step=name)] = add_jobs(usages, jobs)


def list_cohort_queries(setup: Setup, shop: Shop) -> Measures:
    """Return the cohort query without its script, and DuckDB with the same SQL."""
    python = setup.environment / "bin" / "python"
    measures: Measures = {}
    for workers in setup.workers:
        command = query_command(shop.folder, workers)
        job = Job(COHORT_QUERY, shop.users, workers)
        measures[job] = partial(run_process, command, shop.folder)
    for threads in sorted({1, setup.all_cores}):
        command = duckdb_command(shop.folder, python, threads)
        job = Job(COHORT_QUERY, shop.users, threads, DUCKDB)
        measures[job] = partial(run_process, command, shop.folder)
    return measures


def list_path_targets(setup: Setup, usages: Usages, users: int) -> list[Target]:
    """Return the targets of the path, with a worker for each core."""
    job = partial(Job, users=users, workers=setup.all_cores)
    old_path = Job(COMPLETE_PATH, users, program=setup.commit)
    return [
        compare_jobs("report ÷ load", usages, job("report"), job("load"), MOST_REPORT),
        compare_jobs(
            f"verify ÷ ({VERIFIED})", usages, job("verify"), job(VERIFIED), MOST_VERIFY
        ),
        compare_query(setup, usages, users, MOST_QUERY),
        compare_jobs(
            "query with --forecast ÷ query",
            usages,
            job("forecast"),
            job("query"),
            MOST_FORECAST,
        ),
        compare_jobs(
            f"complete path, {users:,} users ÷ {setup.commit}",
            usages,
            job(COMPLETE_PATH),
            old_path,
            MOST_PATH,
        ),
    ]


def compare_query(setup: Setup, usages: Usages, users: int, bound: float) -> Target:
    """Return the target for the cohort query beside DuckDB, both on all cores."""
    return compare_jobs(
        f"{COHORT_QUERY}, {users:,} users ÷ DuckDB from CSV",
        usages,
        Job(COHORT_QUERY, users, setup.all_cores),
        Job(COHORT_QUERY, users, setup.all_cores, DUCKDB),
        bound,
    )


def measure_large(setup: Setup) -> Section:
    """Measure the query and the forecast of a large shop."""
    with make_shop(setup, ROOT, LARGE_USERS) as shop:
        for step in ("generate", "load"):
            note(f"{step}, {shop.users:,} users")
            shop.measure(step)
        usages = run_jobs(
            setup,
            {
                Job(step, shop.users, workers): partial(shop.measure, step, workers)
                for workers in setup.workers
                for step in ("query", "forecast")
            }
            | list_cohort_queries(setup, shop),
        )
    forecast = Job("forecast", shop.users, setup.all_cores)
    name = f"forecast, {shop.users:,} users: MiB of the largest process"
    return Section(
        usages,
        [
            compare_query(setup, usages, shop.users, MOST_LARGE_QUERY),
            limit_peak(name, usages, forecast, MOST_FORECAST_MIB),
        ],
    )


def measure_generators(setup: Setup) -> Section:
    """Measure the generator with each number of workers, beside tpchgen-cli."""
    users, many = setup.size(PATH_USERS), setup.size(GENERATOR_USERS)
    tools: dict[Job, Tool] = {}
    for workers in setup.workers:
        for size in {users, many}:
            tools[Job("generate", size, workers)] = generator_tool(size, workers)
    for threads in sorted({1, setup.all_cores}):
        for size in {users, many}:
            job = Job("generate", size, threads, TPCHGEN)
            tools[job] = peer_tool("tpchgen", size, threads, setup.environment)
    runs = run_rounds(
        {job: partial(measure_tool, tool, setup.scratch) for job, tool in tools.items()},
        setup.rounds,
        describe_run,
    )
    return Section(
        {job: [run.usage for run in of_job] for job, of_job in runs.items()},
        list_generator_targets(setup, runs, users, many),
    )


def list_generator_targets(
    setup: Setup, runs: dict[Job, list[Run]], users: int, many: int
) -> list[Target]:
    """Return the targets of the generator for *users*, and for *many*."""
    usages = {job: [run.usage for run in of_job] for job, of_job in runs.items()}
    one, two = Job("generate", many, 1), Job("generate", many, 2)
    targets = [
        compare_jobs(
            f"generate, {many:,} users: 1 worker ÷ 2 workers",
            usages,
            one,
            two,
            LEAST_SPEED_UP,
            is_least=True,
        ),
        compare_jobs(
            f"generate, {many:,} users: processor time of 2 workers ÷ 1 worker",
            usages,
            two,
            one,
            MOST_CPU_GROWTH,
            figure=CPU,
        ),
    ]
    for size, cores, bound in (
        (users, 1, LEAST_TO_TPCHGEN),
        (users, setup.all_cores, LEAST_TO_TPCHGEN),
        (many, 1, LEAST_TO_TPCHGEN_SF1),
    ):
        ours = Job("generate", size, cores)
        theirs = ours._replace(program=TPCHGEN)
        rows = runs[ours][0].rows, runs[theirs][0].rows
        # Rows per second: the peer's time ÷ ours, times our rows ÷ those of the peer.
        targets.append(
            compare_jobs(
                f"rows/s ÷ {TPCHGEN}, {rows[0]:,} and {rows[1]:,} rows, cores: {cores}",
                usages,
                theirs,
                ours,
                bound,
                factor=rows[0] / rows[1],
                is_least=True,
            )
        )
    return targets


def measure_default(setup: Setup) -> Section:
    """Measure the default shop and the start of each script, beside the older commit."""
    with (
        make_shop(setup, ROOT, DEFAULT_USERS) as shop,
        make_shop(setup, setup.baseline, DEFAULT_USERS) as old_shop,
    ):
        measures: Measures = {}
        for each, program in ((shop, ""), (old_shop, setup.commit)):
            for step in PATH_STEPS:
                measures[Job(step, each.users, 0, program)] = partial(each.measure, step)
            for script in SCRIPTS:
                job = Job(f"{START_COUNT} times {script} --help", 0, 1, program)
                measures[job] = partial(measure_start, each.root / script)
        usages = run_jobs(setup, measures)
    for program in ("", setup.commit):
        add_sum(usages, COMPLETE_PATH, PATH_STEPS, Job("", shop.users, program=program))
    targets = [
        compare_jobs(
            f"{job.subject} ÷ {setup.commit}",
            usages,
            job,
            job._replace(program=setup.commit),
            MOST_DEFAULT_PATH if job.users else MOST_START,
        )
        for job in usages
        if not job.program and job.step not in PATH_STEPS
    ]
    return Section(usages, targets)


def measure_start(script: Path) -> Usage:
    """Run the --help of *script* several times."""
    command = [sys.executable, str(script), "--help"]
    return add_usages(run_process(command, script.parent) for _ in range(START_COUNT))


GROUPS = {
    "path": measure_path,
    "large": measure_large,
    "generator": measure_generators,
    "default": measure_default,
}


# The command line


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(GROUPS),
        default=list(GROUPS),
        help="groups to measure (default: all)",
    )
    parser.add_argument(
        "--workers",
        nargs="+",
        type=parse_count,
        default=[4],
        metavar="N",
        help="numbers of workers besides 1, 2 and the number of cores (default: 4)",
    )
    parser.add_argument(
        "--users",
        type=parse_count,
        default=GENERATOR_USERS,
        metavar="N",
        help="size of the largest shop; a larger one of the targets is made smaller"
        " (default: %(default)s, which changes none)",
    )
    add_rounds(parser)
    parser.add_argument(
        "--baseline",
        default=BASELINE,
        metavar="COMMIT",
        help="older commit to compare with (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return 1 if a target is not met."""
    args = build_parser().parse_args(argv)
    machine = describe_machine()
    try:
        sections = measure_groups(args)
    except (BenchmarkError, OSError) as error:
        note(f"compare_cores: error: {error}")
        return 1
    except KeyboardInterrupt:
        note("compare_cores: error: interrupted")
        return 130
    targets = [target for section in sections for target in section.targets]
    usages = {job: runs for each in sections for job, runs in each.usages.items()}
    print_line(f"\n{render_targets(targets)}")
    print_line(f"\n{render_projection(usages)}")
    print_line(f"\n{machine}; rounds: {args.rounds}.")
    return 0 if all(target.is_met for target in targets) else 1


def measure_groups(args: argparse.Namespace) -> list[Section]:
    """Return what each group of *args* measured, in temporary folders."""
    environment = default_environment()
    prepare_environment(environment)
    with (
        tempfile.TemporaryDirectory(prefix="shop-baseline-") as clone,
        tempfile.TemporaryDirectory(prefix="shop-cores-") as scratch,
    ):
        clone_commit(args.baseline, Path(clone))
        setup = Setup(
            args.rounds,
            args.users,
            tuple(sorted({1, 2, count_processors(), *args.workers})),
            args.baseline,
            Path(clone),
            environment,
            Path(scratch),
        )
        return [measure_group(name, setup) for name in args.only]


def measure_group(name: str, setup: Setup) -> Section:
    """Measure the group *name*; print its runs, in case a later group fails."""
    section = GROUPS[name](setup)
    print_line(f"\n{name}\n\n{render_usages(section.usages)}")
    sys.stdout.flush()
    return section


if __name__ == "__main__":
    sys.exit(main())
