"""Measure what the tests would miss: change one line of the code, run the tests, repeat.

    python benchmarks/mutants.py --seed 7 --count 300 --out mutants.jsonl
    python benchmarks/mutants.py --count 50 --paths db/loading 'db/checks/*.sql'

A *mutant* is the project with one expression or statement changed.  It is *killed* if a
test fails, errs or exceeds the time limit, and it *survives* if the complete suite passes.
A survivor is either equivalent to the original or shows a missing test.

Statements are drawn by chance from the random seed, then one change of each statement, so
a table of a hundred numbers counts once.  Docstrings, annotations, decorators and
`__repr__` are left as they are.  Each worker changes a clone of the last commit in a
temporary folder, never the project itself.  The test modules nearest to the changed module
run first, in the order in which they killed its earlier mutants.

`--out` keeps one JSON line a mutant; a run with the same file continues where the last one
stopped.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import fnmatch
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

# Test modules are not mutated, and neither is what measures them.
OMITTED = ("tests/*", "benchmarks/*", ".ci/*")

# A mutant that allocates without end fails instead of stopping the machine.
MEMORY_BYTES = 4 << 30

COMPARISONS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "in": "not in",
    "not in": "in",
    "is": "is not",
    "is not": "is",
}
ARITHMETIC = {"+": "-", "-": "+", "*": "//", "//": "*", "/": "*", "%": "*", "**": "*"}
SQL_TOKENS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "=": "<>",
    "<>": "=",
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "AND": "OR",
    "OR": "AND",
    "IN": "NOT IN",
    "EXISTS": "NOT EXISTS",
    "SUM": "MAX",
    "MAX": "MIN",
    "MIN": "MAX",
    "LEFT": "INNER",
    "ASC": "DESC",
    "DESC": "ASC",
    "UNION ALL": "UNION",
    "DISTINCT": "",
}


@dataclass(frozen=True)
class Change:
    """The bytes *start* to *end* of the file *path* replaced by *text*."""

    path: str
    line: int
    start: int
    end: int
    text: str
    kind: str

    def apply(self, source: bytes) -> bytes:
        """Return *source* with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]


@dataclass(frozen=True)
class Verdict:
    """What the tests did with a change: killed, timeout or survived."""

    change: Change
    status: str
    killed_by: str
    seconds: float


# ---- Changes of Python -----------------------------------------------------------------


class PythonSource:
    """A module as bytes and as a syntax tree."""

    def __init__(self, path: str, source: bytes) -> None:
        """Parse *source*, the content of *path*."""
        self.path = path
        self.source = source
        self.tree = ast.parse(source)
        self.line_starts = [0]
        for line in source.splitlines(keepends=True):
            self.line_starts.append(self.line_starts[-1] + len(line))

    def find_statements(self) -> list[list[Change]]:
        """Return the changes of each statement that has any."""
        found = (self._change_statement(node) for node in iterate_statements(self.tree))
        return [changes for changes in map(list, found) if changes]

    def _change_statement(self, statement: ast.stmt) -> Iterator[Change]:
        yield from self._remove(statement)
        for node in iterate_expressions(statement):
            yield from self._change_expression(node)

    def _remove(self, statement: ast.stmt) -> Iterator[Change]:
        if isinstance(statement, ast.Expr | ast.AugAssign | ast.Raise | ast.Delete):
            yield self._replace(statement, "pass", "remove statement")
        elif isinstance(statement, ast.Break | ast.Continue):
            yield self._replace(statement, "pass", "remove jump")
        elif isinstance(statement, ast.Return) and not is_none(statement.value):
            yield self._replace(statement, "return None", "return None")
        elif isinstance(statement, ast.If | ast.While):
            yield self._negate(statement.test)

    def _change_expression(self, node: ast.expr) -> Iterator[Change]:
        match node:
            case ast.Compare():
                yield from self._swap(
                    [node.left, *node.comparators], COMPARISONS, "comparison"
                )
            case ast.BoolOp():
                yield from self._swap(node.values, {"and": "or", "or": "and"}, "and/or")
            case ast.BinOp():
                yield from self._swap([node.left, node.right], ARITHMETIC, "operator")
            case ast.UnaryOp(op=ast.Not() | ast.USub()):
                yield self._replace(node, f"({self._text(node.operand)})", "drop sign")
            case ast.IfExp():
                yield self._negate(node.test)
            case ast.Constant():
                yield from self._change_constant(node)
            case ast.GeneratorExp() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                for part in node.generators:
                    yield from map(self._negate, part.ifs)

    def _change_constant(self, node: ast.Constant) -> Iterator[Change]:
        value = node.value
        if isinstance(value, bool):
            yield self._replace(node, str(not value), "boolean")
        elif isinstance(value, int | float):
            yield self._replace(node, f"({self._text(node)} + 1)", "off by one")
        elif isinstance(value, str | bytes) and value:
            opening = re.match(rb"[a-zA-Z]*(?:'''|\"\"\"|'|\")", self._bytes(node))
            if opening:
                at = self._span(node)[0] + opening.end()
                yield Change(self.path, node.lineno, at, at, "~", "text")

    def _negate(self, test: ast.expr) -> Change:
        return self._replace(test, f"(not ({self._text(test)}))", "negate condition")

    def _swap(
        self, operands: Sequence[ast.expr], swaps: dict[str, str], kind: str
    ) -> Iterator[Change]:
        """Yield the change of each operator between *operands*, brackets passed by."""
        for left, right in pairwise(operands):
            start, end = self._span(left)[1], self._span(right)[0]
            between = self.source[start:end].decode()
            found = re.search(r"not\s+in|is\s+not|[a-z]+|[^\s()a-z]+", between)
            if found and found[0] in swaps:
                at = start + len(between[: found.start()].encode())
                line = left.end_lineno or left.lineno
                end = at + len(found[0].encode())
                yield Change(self.path, line, at, end, swaps[found[0]], kind)

    def _replace(self, node: ast.expr | ast.stmt, text: str, kind: str) -> Change:
        return Change(self.path, node.lineno, *self._span(node), text, kind)

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_line = node.end_lineno or node.lineno
        return (
            self.line_starts[node.lineno - 1] + node.col_offset,
            self.line_starts[end_line - 1] + (node.end_col_offset or 0),
        )

    def _bytes(self, node: ast.expr) -> bytes:
        start, end = self._span(node)
        return self.source[start:end]

    def _text(self, node: ast.expr) -> str:
        return self._bytes(node).decode()


def is_none(node: ast.expr | None) -> bool:
    """Return whether *node* is absent or the constant None."""
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def iterate_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of *tree* that a test could notice."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
            continue
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.stmt) and not is_docstring(node):
            yield node
        stack += [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
        ]


def is_docstring(node: ast.stmt) -> bool:
    """Return whether *node* is nothing but a text."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def iterate_expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield the expressions of *statement* itself, without annotations and decorators."""
    stack: list[ast.AST] = []
    for name, value in ast.iter_fields(statement):
        if name not in {"annotation", "returns", "decorator_list", "type_params"}:
            stack += value if isinstance(value, list) else [value]
    while stack:
        node = stack.pop()
        # The texts of an f-string have no exact place before Python 3.12.
        if not isinstance(node, ast.AST) or isinstance(node, ast.stmt | ast.JoinedStr):
            continue
        if isinstance(node, ast.ExceptHandler | ast.match_case):
            continue
        if isinstance(node, ast.expr):
            yield node
        stack += [
            child
            for name, value in ast.iter_fields(node)
            if name != "annotation"
            for child in (value if isinstance(value, list) else [value])
        ]


# ---- Changes of SQL --------------------------------------------------------------------

_SQL_TOKEN = re.compile(
    r"--[^\n]*|'(?:[^']|'')*'|UNION ALL|NOT IN|NOT EXISTS|[A-Za-z_][\w.]*|\d+"
    r"|<>|[<>]=|\|\||\S"
)


def find_sql_statements(path: str, source: bytes) -> list[list[Change]]:
    """Return the changes of each line of the SQL *source* that has any.

    >>> [[change.text for change in line] for line in find_sql_statements("x", b"a > 1")]
    [['>=', '2']]
    """
    text = source.decode()
    lines: dict[int, list[Change]] = {}
    for token in _SQL_TOKEN.finditer(text):
        new = _change_sql_token(token[0])
        if new is not None:
            start = len(text[: token.start()].encode())
            line = text.count("\n", 0, token.start()) + 1
            end = start + len(token[0].encode())
            lines.setdefault(line, []).append(Change(path, line, start, end, new, "SQL"))
    return list(lines.values())


def _change_sql_token(token: str) -> str | None:
    if token.isdigit():
        return str(int(token) + 1)
    if token.startswith("'") and len(token) > 2:
        return f"'~{token[1:]}"
    return SQL_TOKENS.get(token)


# ---- The sample ------------------------------------------------------------------------


def list_files(root: Path, patterns: Sequence[str]) -> list[str]:
    """Return the tracked files of *root* to change: those that fit one of *patterns*.

    A pattern may be a folder.  Without patterns: every Python file.
    """
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    chosen = patterns or ["*.py"]
    return [
        name
        for name in sorted(listed.stdout.split())
        if name.endswith((".py", ".sql"))
        and not any(fnmatch.fnmatch(name, omitted) for omitted in OMITTED)
        and any(
            fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/")
            for pattern in chosen
        )
    ]


def find_statements(path: str, source: bytes) -> list[list[Change]]:
    """Return the changes of each statement of the file *path* that has any."""
    if path.endswith(".sql"):
        return find_sql_statements(path, source)
    return PythonSource(path, source).find_statements()


def is_valid(change: Change, source: bytes) -> bool:
    """Return whether the changed *source* is still Python and has another meaning."""
    if not change.path.endswith(".py"):
        return True
    try:
        changed = ast.parse(change.apply(source))
    except SyntaxError:
        return False
    return ast.dump(changed) != ast.dump(ast.parse(source))


def sample_changes(root: Path, paths: Sequence[str], seed: int, count: int) -> list[Change]:
    """Return *count* changes drawn by *seed*, at most one of each statement."""
    chance = random.Random(seed)  # noqa: S311
    statements = [
        changes
        for path in list_files(root, paths)
        for changes in find_statements(path, (root / path).read_bytes())
    ]
    chance.shuffle(statements)
    drawn: list[Change] = []
    for changes in statements:
        if len(drawn) == count:
            break
        chance.shuffle(changes)
        source = (root / changes[0].path).read_bytes()
        drawn += next(([c] for c in changes if is_valid(c, source)), [])
    return drawn


# ---- The tests -------------------------------------------------------------------------


def read_imports(path: Path) -> set[str]:
    """Return the dotted names that the module *path* imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def measure_distances(root: Path, module: str) -> dict[str, int]:
    """Return for each test module how many imports lead from it to the file *module*.

    `tests/support.py` imports every script and would make all modules near.
    """
    graph = {
        path.relative_to(root).with_suffix("").as_posix().replace("/", "."): path
        for path in root.rglob("*.py")
    }
    imports = {
        name: (read_imports(path) & graph.keys()) - {"tests.support"}
        for name, path in graph.items()
    }
    goal = module.removesuffix(".py").replace("/", ".")
    distances = {goal: 0}
    waiting = deque([goal])
    while waiting:
        reached = waiting.popleft()
        for name in sorted(imports):
            if reached in imports[name] and name not in distances:
                distances[name] = distances[reached] + 1
                waiting.append(name)
    tests = [name for name in graph if name.startswith("tests.test_")]
    return {name: distances.get(name, len(graph)) for name in tests}


class TestRun(NamedTuple):
    """How a run of the tests ended."""

    status: int | None
    output: str
    seconds: float


def run_tests(root: Path, modules: Sequence[str], limit: float) -> TestRun:
    """Run *modules* in *root* until the first failure; the status is None at *limit*."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "unittest", "--failfast", *modules],
            cwd=root,
            env={**os.environ, "TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=limit_memory,  # noqa: PLW1509
        )
        status: int | None
        try:
            output, _ = process.communicate(timeout=limit)
            status = process.returncode
        except subprocess.TimeoutExpired:
            status, output = None, ""
        finally:
            end_group(process.pid)
        process.communicate()
    return TestRun(status, output, time.perf_counter() - start)


def limit_memory() -> None:
    """Bound the memory of this process and its children, where the system can."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def end_group(group: int) -> None:
    """End what is left of the process group *group*."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def find_first_failure(output: str) -> str:
    """Return the name of the first test that *output* of unittest reports as failed.

    >>> find_first_failure("FAIL: test_x (tests.test_a.B.test_x) [1]")
    'tests.test_a.B.test_x'
    """
    found = re.search(r"^(?:FAIL|ERROR): \S+ \(([\w.]+)\)", output, re.MULTILINE)
    return found[1] if found else output.strip().rpartition("\n")[2]


# ---- The experiment --------------------------------------------------------------------


@dataclass
class Experiment:
    """The verdicts so far, kept in the file *out*."""

    out: Path
    tests: list[str]
    verdicts: list[Verdict] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> None:
        """Read the verdicts of an earlier run."""
        if self.out.exists():
            for line in self.out.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                change = Change(**record.pop("change"))
                self.verdicts.append(Verdict(change, **record))

    def add(self, verdict: Verdict) -> None:
        """Keep *verdict* in memory and in the file."""
        with self.lock:
            self.verdicts.append(verdict)
            with self.out.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(verdict))}\n")
            print(describe(verdict), flush=True)  # noqa: T201

    def order_modules(self, root: Path, path: str) -> list[str]:
        """Return the test modules, the likeliest to notice a change of *path* first."""
        distances = measure_distances(root, path)
        names = self.tests or [*distances]
        with self.lock:
            kills = Counter(
                ".".join(verdict.killed_by.split(".")[:2])
                for verdict in self.verdicts
                if verdict.change.path == path
            )
        return sorted(names, key=lambda name: (-kills[name], distances[name], name))


def judge(experiment: Experiment, root: Path, change: Change, limit: float) -> Verdict:
    """Return what the tests in the clone *root* do with *change*; undo it."""
    path = root / change.path
    source = path.read_bytes()
    try:
        write_changed(path, change.apply(source))
        run = run_tests(root, experiment.order_modules(root, change.path), limit)
    finally:
        write_changed(path, source)
    if run.status is None:
        return Verdict(change, "timeout", "", round(run.seconds, 1))
    status = "killed" if run.status else "survived"
    killed_by = find_first_failure(run.output) if run.status else ""
    return Verdict(change, status, killed_by, round(run.seconds, 1))


_next_time = time.time()
_time_lock = threading.Lock()


def write_changed(path: Path, content: bytes) -> None:
    """Write *content* with a time of its own: Python compares the times of cached code."""
    global _next_time  # noqa: PLW0603
    with _time_lock:
        _next_time += 2
        path.write_bytes(content)
        os.utime(path, (_next_time, _next_time))


def describe(verdict: Verdict) -> str:
    """Return one line on *verdict*."""
    change = verdict.change
    by = f" by {verdict.killed_by}" if verdict.killed_by else ""
    place = f"{change.path}:{change.line}"
    return f"{verdict.status:8} {verdict.seconds:6.1f} s  {place}  {change.kind}{by}"


def clone(folder: Path) -> Path:
    """Return a clone of the project's last commit in *folder*."""
    target = folder / "project"
    subprocess.run(  # noqa: S603
        ["git", "clone", "--quiet", str(ROOT), str(target)],  # noqa: S607
        check=True,
    )
    return target


def measure_unchanged(experiment: Experiment, root: Path) -> float:
    """Return the seconds that the tests take without a change; exit if they fail."""
    run = run_tests(root, experiment.order_modules(root, "utils/helpers.py"), 3600)
    if run.status != 0:
        sys.exit(f"mutants: error: the tests fail without a change:\n{run.output[-3000:]}")
    return run.seconds


def run_experiment(experiment: Experiment, changes: Sequence[Change], jobs: int) -> None:
    """Test *changes* with *jobs* workers, each in a clone of its own."""
    with tempfile.TemporaryDirectory() as folder:
        roots = [clone(make_folder(Path(folder), str(job))) for job in range(jobs)]
        limit = 30 + 4 * measure_unchanged(experiment, roots[0])
        print(f"time limit of a mutant: {limit:.0f} s", flush=True)  # noqa: T201
        waiting = deque(changes)

        def work(root: Path) -> None:
            while True:
                try:
                    change = waiting.popleft()
                except IndexError:
                    return
                experiment.add(judge(experiment, root, change, limit))

        with ThreadPoolExecutor(jobs) as executor:
            try:
                for done in [executor.submit(work, root) for root in roots]:
                    done.result()
            finally:
                waiting.clear()


def make_folder(parent: Path, name: str) -> Path:
    """Return the new folder *name* in *parent*."""
    folder = parent / name
    folder.mkdir()
    return folder


def render_summary(verdicts: Iterable[Verdict]) -> str:
    """Return the survivors with their changes, and the counts by folder."""
    known = sorted(verdicts, key=lambda verdict: (verdict.change.path, verdict.change.line))
    lines = [""]
    for verdict in known:
        if verdict.status == "survived":
            lines += [render_change(verdict.change), ""]
    folders = Counter(Path(verdict.change.path).parent.as_posix() for verdict in known)
    survivors = Counter(
        Path(verdict.change.path).parent.as_posix()
        for verdict in known
        if verdict.status == "survived"
    )
    lines += [
        f"{folder:28} {count:4} mutants, {survivors[folder]:3} survived"
        for folder, count in sorted(folders.items())
    ]
    total, survived = folders.total(), survivors.total()
    timeouts = sum(verdict.status == "timeout" for verdict in known)
    lines.append(
        f"{total} mutants: {total - survived} killed ({timeouts} by the time limit),"
        f" {survived} survived ({100 * survived / max(total, 1):.1f} %)"
    )
    return "\n".join(lines)


def render_change(change: Change) -> str:
    """Return the lines of *change*, before and after, as the project has them now."""
    source = (ROOT / change.path).read_bytes()
    first = source.rfind(b"\n", 0, change.start) + 1
    last = source.find(b"\n", change.end)
    before = source[first : last if last >= 0 else None].decode(errors="replace")
    changed = change.apply(source)
    shift = len(changed) - len(source)
    after = changed[first : last + shift if last >= 0 else None].decode(errors="replace")
    removed = "\n".join(f"- {line}" for line in before.splitlines())
    added = "\n".join(f"+ {line}" for line in after.splitlines())
    return f"{change.path}:{change.line}  {change.kind}\n{removed}\n{added}"


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = argparse.ArgumentParser(
        description="Change one line of the code at a time and count the changes that no"
        " test notices."
    )
    add = parser.add_argument
    add("--seed", type=int, default=7, metavar="N", help="random seed (default: 7)")
    add("--count", type=int, default=300, metavar="N", help="mutants (default: 300)")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="workers")
    add(
        "--paths",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders or patterns of the files to change (default: all Python files)",
    )
    add(
        "--tests",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="test modules to run, such as tests.test_query (default: all)",
    )
    add("--out", type=Path, required=True, metavar="FILE", help="one JSON line a mutant")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    args = build_parser().parse_args(argv)
    experiment = Experiment(args.out, args.tests)
    experiment.read()
    changes = sample_changes(ROOT, args.paths, args.seed, args.count)
    judged = {verdict.change for verdict in experiment.verdicts}
    waiting = [change for change in changes if change not in judged]
    if waiting:
        run_experiment(experiment, waiting, args.jobs)
    verdicts = [
        verdict for verdict in experiment.verdicts if verdict.change in set(changes)
    ]
    print(render_summary(verdicts))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
