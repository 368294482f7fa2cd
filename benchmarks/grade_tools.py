"""Grade other tools on the planted faults that our own loader and report are graded on.

    python benchmarks/grade_tools.py
    python benchmarks/grade_tools.py --users 20000 --seed 7 --profile realistic

A shop is made once for each profile of faults.  Every tool gets the same faulty files and
the rules of db/schema.sql that it can express, in the way that its documentation
recommends; the module of each tool states how, and the output repeats it.  What it finds is
graded with the answer key by `ingest.py --grade --findings`.

Each tool runs first on the clean files: that fills its database, compiles its modules, and
shows whether it raises alarms there.  The second run, on the faulty files, is measured.
The former content of the database is safe if it is the same after that run.

The tools are those of tools.txt, installed into an environment of their own; the sqlite3
shell must be on the PATH.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.measuring import (  # noqa: E402
    BenchmarkError,
    Usage,
    add_users,
    count_lines,
    describe_machine,
    note,
    parse_count,
    print_line,
    run_process,
)
from benchmarks.peers import (  # noqa: E402
    REQUIREMENTS,
    default_environment,
    find_shell,
    prepare_environment,
    read_versions,
)
from benchmarks.tool_findings import (  # noqa: E402
    drop_consequences,
    read_findings_file,
    write_findings,
)
from benchmarks.tool_rules import (  # noqa: E402
    list_table_rules,
    read_rules_file,
    write_rules,
)
from utils.answer_key import FAULTY_FOLDER, KEY_FOLDER  # noqa: E402
from utils.contract import read_contract  # noqa: E402

GENERATOR = ROOT / "generate_data.py"
INGEST = ROOT / "ingest.py"

DEFAULT_PROFILES = ("hostile", "realistic")
DEFAULT_SEED = 90210
DEFAULT_USERS = 1_000
TIERS = (1, 2, 3)

RULES_NAME = "rules.json"

# The content of a database of DuckDB, which another program must read.
_READ_DUCKDB = """
import hashlib, sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
rows = [connection.execute(query).fetchall() for query in sys.argv[2:]]
print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""


class Place(NamedTuple):
    """What a run of a tool reads: *data_dir* and *rules*; it writes to *folder*."""

    data_dir: Path
    rules: Path
    folder: Path

    @property
    def database(self) -> Path:
        """Return the path of the database, which holds the clean rows before."""
        return self.folder / "shop.db"

    @property
    def findings(self) -> Path:
        """Return the path of the file of findings."""
        return self.folder / "findings.csv"


class Tool(NamedTuple):
    """A tool: its *module* of this folder with *options*, or '' for our own scripts.

    *engine* is that of its database, or ''; *packages* are those of tools.txt.
    """

    name: str
    module: str = ""
    options: Sequence[str] = ()
    engine: str = ""
    packages: Sequence[str] = ()

    def list_words(self, place: Place, python: Path) -> list[str]:
        """Return the command line of a run at *place*; *python* has the packages."""
        if not self.module:
            return list_own_words(place)
        module = f"benchmarks.{self.module}"
        paths = [place.data_dir, place.rules, place.database, place.findings]
        return [str(python), "-m", module, *map(str, paths), *self.options]


TOOLS = (
    Tool("ours", engine="sqlite"),
    Tool("sqlite3 shell", "tool_sqlite_shell", engine="sqlite"),
    Tool("sqlite-utils", "tool_sqlite_utils", engine="sqlite", packages=["sqlite-utils"]),
    Tool("DuckDB, constraints", "tool_duckdb", (), "duckdb", ["duckdb"]),
    Tool("DuckDB, queries", "tool_duckdb", ["--queries"], "duckdb", ["duckdb"]),
    Tool("frictionless", "tool_frictionless", packages=["frictionless"]),
    Tool("pandera", "tool_pandera", packages=["pandera", "pandas"]),
    Tool(
        "Great Expectations",
        "tool_great_expectations",
        packages=["great_expectations", "pandas"],
    ),
)


class Score(NamedTuple):
    """The run of the tool *name* on the faulty files of *profile*; *grade* is the JSON."""

    profile: str
    name: str
    grade: dict[str, Any]
    usage: Usage
    safety: str


# ---- The tools ---------------------------------------------------------------------------


def list_own_words(place: Place) -> list[str]:
    """Return the command line of our own loader and report at *place*."""
    options: dict[str, Path | int] = {
        "--data-dir": place.data_dir,
        "--database": place.database,
        "--out-dir": place.folder,
        "--errors": place.folder / "errors.jsonl",
        "--max-errors": 1,
    }
    pairs = [str(word) for option in options.items() for word in option]
    return [sys.executable, str(INGEST), "--ingest", "--report", "--quiet", *pairs]


def describe_versions(tool: Tool, pins: Mapping[str, str]) -> str:
    """Return the versions of *tool*; *pins* has those of the packages."""
    if tool.packages:
        return ", ".join(f"{package} {pins[package]}" for package in tool.packages)
    if tool.module:
        return f"SQLite {read_shell_version()}"
    return f"SQLite {sqlite3.sqlite_version}"


def describe_configuration(module: str) -> str:
    """Return how the tool of *module* is configured: its docstring, as one paragraph."""
    return " ".join((import_module(f"benchmarks.{module}").__doc__ or "").split())


def read_shell_version() -> str:
    """Return the version of the sqlite3 shell on the PATH."""
    return _read_output([find_shell("grade_tools"), "--version"]).split()[0]


def _read_output(command: Sequence[str]) -> str:
    done = subprocess.run(  # noqa: S603  the benchmark makes the commands
        command, capture_output=True, check=True, text=True
    )
    return done.stdout


# ---- One run -----------------------------------------------------------------------------


def plant(users: int, seed: int, profile: str, folder: Path) -> None:
    """Make a shop in *folder*, its faulty files and their answer key."""
    options = {"--users": users, "--seed": seed, "--faults": profile, "--out-dir": folder}
    pairs = [str(word) for option in options.items() for word in option]
    command = [sys.executable, str(GENERATOR), "--generate", "--quiet", *pairs]
    run_process(command, ROOT)


def run_once(tool: Tool, place: Place, python: Path) -> Usage:
    """Run *tool*; return its time.  Our own scripts refuse files with status 1."""
    status = {0} if tool.module else {0, 1}
    return run_process(tool.list_words(place, python), ROOT, status=status)


def prepare_database(tool: Tool, place: Place) -> None:
    """Make the folder of *place*, with the empty tables if *tool* loads into SQLite."""
    place.folder.mkdir()
    if tool.module and tool.engine == "sqlite":
        contract = read_contract()
        with closing(sqlite3.connect(place.database)) as connection:
            for statement in (*contract.table_statements, *contract.index_statements):
                connection.execute(statement)


def read_content(tool: Tool, database: Path, python: Path) -> str:
    """Return a digest of all rows in *database*, '' without one."""
    queries = [f"SELECT * FROM {table.name} ORDER BY 1" for table in read_contract().tables]
    if tool.engine == "duckdb":
        return _read_output([str(python), "-c", _READ_DUCKDB, str(database), *queries])
    if tool.engine == "sqlite":
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
            rows = [opened.execute(query).fetchall() for query in queries]
        return hashlib.sha256(repr(rows).encode()).hexdigest()
    return ""


def grade(tool: Tool, place: Place, folder: Path) -> dict[str, Any]:
    """Return the grade of what *tool* found in the shop in *folder*."""
    options = {
        "--grade": folder / KEY_FOLDER,
        "--data-dir": place.data_dir,
        "--out-dir": place.folder,
    }
    if tool.module:
        found = read_findings_file(place.findings)
        causes = drop_consequences(found, place.data_dir, read_rules_file(place.rules))
        write_findings(causes, place.findings)
        options["--findings"] = place.findings
    pairs = [str(word) for option in options.items() for word in option]
    run_process([sys.executable, str(INGEST), "--quiet", *pairs], ROOT)
    text = (place.folder / "grade.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def describe_safety(result: Mapping[str, Any], before: str, after: str) -> str:
    """Return whether a database, with these contents, kept its rows in a failing load.

    Files without a fault of tier 1 load, and replace them.
    """
    if not before:
        return "no database"
    if before == after:
        return "yes"
    return "no" if any(row["tier"] == 1 for row in result["by_tier"]) else "loads"


def run_on_clean_files(tool: Tool, place: Place, python: Path) -> str:
    """Fill the database of *tool*; return the digest of its content."""
    prepare_database(tool, place)
    run_once(tool, place, python)
    if tool.module and (alarms := count_lines(place.findings) - 1):
        note(f"{tool.name}: {alarms} alarms in the clean files")
    return read_content(tool, place.database, python)


def score_tool(
    tool: Tool, folders: Mapping[str, Path], scratch: Path, python: Path
) -> list[Score]:
    """Return the scores of *tool* for each profile, whose shops are in *folders*."""
    rules = scratch / RULES_NAME
    clean = Place(next(iter(folders.values())), rules, scratch / tool.name)
    before = run_on_clean_files(tool, clean, python)
    scores = []
    for profile, folder in folders.items():
        place = Place(folder / FAULTY_FOLDER, rules, clean.folder / folder.name)
        place.folder.mkdir()
        if tool.engine:
            shutil.copyfile(clean.database, place.database)
        usage = run_once(tool, place, python)
        note(f"{tool.name}, {profile}: {usage.wall_seconds:.1f} s")
        result = grade(tool, place, folder)
        after = read_content(tool, place.database, python)
        safety = describe_safety(result, before, after)
        scores.append(Score(profile, tool.name, result, usage, safety))
    return scores


# ---- The table ---------------------------------------------------------------------------


def render_scores(scores: Sequence[Score], versions: Mapping[str, str]) -> str:
    """Return *scores* as a Markdown table; *versions* has those of each tool."""
    tiers = [f"tier {tier}" for tier in TIERS]
    names = ["profile", "tool", *tiers, "precision", "incidents", "wall s", "CPU s"]
    names += ["old data safe", "versions"]
    lines = [
        f"| {' | '.join(names)} |",
        f"| --- | --- |{' ---: |' * (len(names) - 4)} --- | --- |",
    ]
    return "\n".join([*lines, *(render_score(each, versions) for each in scores)])


def render_score(score: Score, versions: Mapping[str, str]) -> str:
    """Return *score* as a row of the table."""
    recalls = {row["tier"]: row["recall"] for row in score.grade["by_tier"]}
    incidents = score.grade["incidents"]
    cells = [
        score.profile,
        score.name,
        *(format_share(recalls.get(tier)) for tier in TIERS),
        format_share(score.grade["precision"]),
        f"{sum(each['is_found'] for each in incidents)} of {len(incidents)}",
        f"{score.usage.wall_seconds:.1f}",
        f"{score.usage.cpu_seconds:.1f}",
        score.safety,
        versions[score.name],
    ]
    return f"| {' | '.join(cells)} |"


def format_share(share: float | None) -> str:
    """Return *share* in per cent, rounded down, so that 100 % is all.

    >>> format_share(0.99999), format_share(1.0), format_share(None)
    ('99.9 %', '100.0 %', '–')
    """
    return "–" if share is None else f"{int(share * 1000) / 10:.1f} %"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    tools = [tool for tool in TOOLS if not args.tool or tool.name in args.tool]
    try:
        compare(tools, args.users, args.seed, args.profile)
    except (BenchmarkError, OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"grade_tools: error: {error}\n")
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_users(parser, DEFAULT_USERS)
    parser.add_argument(
        "--seed",
        type=parse_count,
        default=DEFAULT_SEED,
        metavar="N",
        help="random seed of the shop and of its faults (default: %(default)s)",
    )
    parser.add_argument(
        "--profile",
        nargs="+",
        default=DEFAULT_PROFILES,
        help="profiles of faults, or TOML files (default: hostile realistic)",
    )
    parser.add_argument(
        "--tool",
        nargs="+",
        choices=[tool.name for tool in TOOLS],
        metavar="TOOL",
        help="grade only these (default: all)",
    )
    return parser


def compare(tools: Sequence[Tool], users: int, seed: int, profiles: Sequence[str]) -> None:
    """Grade *tools* on a shop with the faults of each of *profiles*; print the table."""
    required = REQUIREMENTS.with_name("tools.txt")
    environment = default_environment("tools")
    prepare_environment(environment, required)
    pins = read_versions(required.read_text(encoding="utf-8"))
    versions = {tool.name: describe_versions(tool, pins) for tool in tools}
    python = environment / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="shop-tools-") as name:
        scratch = Path(os.path.realpath(name))
        write_rules(list_table_rules(read_contract()), scratch / RULES_NAME)
        folders = {each: scratch / Path(each).stem for each in profiles}
        for profile, folder in folders.items():
            plant(users, seed, profile, folder)
        scores = [
            score for tool in tools for score in score_tool(tool, folders, scratch, python)
        ]
    scores.sort(key=lambda score: list(folders).index(score.profile))
    print_line(f"{describe_machine()}; {users:,} users, seed {seed}\n")
    print_line(render_scores(scores, versions) + "\n")
    modules = dict.fromkeys(tool.module for tool in tools if tool.module)
    for module in (*modules, "tool_frames"):
        print_line(f"- {describe_configuration(module)}")


if __name__ == "__main__":
    sys.exit(main())
