"""Run the commands that the documents show, in a fresh copy of the project.

`python -m tests.documents` writes the real output into the documents; the tests only
compare.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.support import ROOT

WITH_OUTPUT = ("README.md", "example_run.md", "data_generation/README.md")

# Shows output of DuckDB over the files that the commands of the others make.
WITH_DUCKDB = ("utils/engines/README.md",)

# The files that the commands write, relative to the root.
OUTPUTS = {
    "users.csv",
    "products.csv",
    "orders.csv",
    "order_items.csv",
    "payments.csv",
    "datapackage.json",
    "report.json",
    "report.md",
    "query_result.csv",
    "query_result.json",
    "db/ecommerce.db",
    "frontend/data/report.json",
    "frontend/data/query_result.json",
    "shop.html",
}

# The folders that commands of the documents write in the project: shops of their own, and
# an answer that is graded.
OUTPUT_FOLDERS = ("march", "answers", "exercise", "known")

_CONSOLE = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_EXCERPT = re.compile(
    r"^```(csv|json|markdown) (\S+)(| \S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_QUERY = re.compile(
    r"^(```sql (\S+)\n(.*?)^```\n\n```text)\n.*?^```$", re.MULTILINE | re.DOTALL
)


def render_document(text: str, run: Callable[[str], str], folder: Path) -> str:
    """Return *text* with fresh output of its commands and fresh first lines of its files.

    *run* returns the output of a command.  A block ```` ```csv users.csv ```` keeps its
    number of lines and gets the first lines of that file in *folder*; with a text after the
    name, it gets the header and all lines that contain the text.  The block after
    ```` ```sql shop.db ```` gets the rows that the query finds in that database.
    """

    def renew_console(block: re.Match[str]) -> str:
        commands = re.findall(r"^\$ (.*)$", block[0], re.MULTILINE)
        return "".join(f"$ {command}\n{run(command)}" for command in commands)

    def renew_excerpt(block: re.Match[str]) -> str:
        language, name, words, old = block.groups()
        header, *lines = (folder / name).read_text(encoding="utf-8").splitlines()
        if words:
            shown = [header, *(line for line in lines if words.strip() in line)]
        else:
            shown = [header, *lines][: old.count("\n")]
        head = "".join(f"{line}\n" for line in shown)
        return f"```{language} {name}{words}\n{head}```"

    def renew_query(block: re.Match[str]) -> str:
        head, name, query = block.groups()
        return f"{head}\n{render_query(folder / name, query)}```"

    text = _EXCERPT.sub(renew_excerpt, _CONSOLE.sub(renew_console, text))
    return _QUERY.sub(renew_query, text)


def render_query(database: Path, query: str) -> str:
    """Return the rows that *query* finds in *database*, in columns below their names."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(query)
        rows = [[name for name, *_ in cursor.description], *cursor]
    columns = [[str(value) for value in column] for column in zip(*rows, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(
            value.rjust(width) if number else value.ljust(width)
            for number, (value, width) in enumerate(zip(values, widths, strict=True))
        )
        for values in zip(*columns, strict=True)
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def copy_project(folder: Path) -> Path:
    """Copy the scripts and packages, without outputs; return the copy.

    What Python has compiled is copied too: it is valid, as the times of files are kept.
    """
    copy = folder / "shop"
    copy.mkdir()
    for script in ROOT.glob("*.py"):
        shutil.copy(script, copy)
    for package in ("data_generation", "db", "queries", "utils", "frontend"):
        shutil.copytree(
            ROOT / package,
            copy / package,
            ignore=shutil.ignore_patterns("*ecommerce.db*", "data"),
        )
    return copy


def run_command(command: str, folder: Path) -> str:
    """Run *command*, `python` and a script, in *folder*; return both streams.

    The server is stopped once it has printed its address.  Port 8000 may be in use, so any
    port is shown as 8000.
    """
    python, *arguments = command.split()
    if python != "python":
        raise ValueError(command)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    with process:
        if arguments != ["serve_frontend.py"]:
            return process.communicate(timeout=60)[0]
        assert process.stdout is not None
        # A server that prints nothing is stopped, which ends the loop.
        deadline = threading.Timer(30, process.kill)
        deadline.start()
        address = next((line for line in process.stdout if "Server running" in line), "")
        deadline.cancel()
        process.kill()
    return re.sub(r"localhost:\d+", "localhost:8000", address)


def renew_documents(documents: dict[str, str], scratch: Path) -> dict[str, str]:
    """Return *documents*, texts by name, with the output of a run in a fresh copy."""
    copy = copy_project(scratch)
    outputs: dict[str, str] = {}

    def run(command: str) -> str:
        if command not in outputs:
            outputs[command] = run_command(command, copy)
        return outputs[command]

    return {name: render_document(text, run, copy) for name, text in documents.items()}


def read_documents(names: Sequence[str] = WITH_OUTPUT) -> dict[str, str]:
    """Return the texts of the documents *names*, by name."""
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}


if __name__ == "__main__":
    shown = read_documents([*WITH_OUTPUT, *(WITH_DUCKDB if shutil.which("duckdb") else ())])
    with tempfile.TemporaryDirectory() as temporary:
        for name, text in renew_documents(shown, Path(temporary)).items():
            (ROOT / name).write_text(text, encoding="utf-8", newline="\n")
