"""What the scripts' command lines share: parser, types of values, the engine options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from utils.helpers import ENGINE_NAMES, DataError, escape_line

if TYPE_CHECKING:
    from datetime import date

# An error message quotes at most this many characters of a value.
_QUOTED = 30


class CommandLineParser(argparse.ArgumentParser):
    """A parser whose errors contain nothing that controls a terminal."""

    def error(self, message: str) -> NoReturn:
        """Print *message*, which may quote an argument, in one line; end with status 2.

        Not the usage: it has a dozen lines, and the fault is in one option.
        """
        if message.startswith("unrecognized arguments"):
            message += f"; {self._propose_option(message)}"
        self.exit(2, f"{self.prog}: error: {escape_line(message)}\n")

    def _propose_option(self, message: str) -> str:
        """Return the option most like the first one in *message*, or where all are."""
        # Imported here, like shlex below, because not every start of a script needs it.
        from difflib import get_close_matches

        given = re.search(r"--[\w-]+", message)
        nearest = get_close_matches(given[0] if given else "", self._option_string_actions)
        return f"did you mean {nearest[0]}?" if nearest else "--help lists the options"


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a type for argparse: a whole number from *least* to *most*.

    >>> whole_number(0, 10)("7")
    7
    """

    def parse(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) < _QUOTED
        if not is_number or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text[:_QUOTED]!r}, expected a whole number from {least} to {most}"
            )
        return int(text)

    return parse


def day_of_years(first: int, last: int) -> Callable[[str], date]:
    """Return a type for argparse: a day of the years *first* to *last*.

    >>> day_of_years(1900, 9000)("2025-12-31")
    datetime.date(2025, 12, 31)
    """

    def parse(text: str) -> date:
        found = _parse_day(text)
        if not first <= found.year <= last:
            raise argparse.ArgumentTypeError(
                f"{text!r}, expected a date of the years {first} to {last}"
            )
        return found

    return parse


def _parse_day(text: str) -> date:
    from datetime import date

    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise argparse.ArgumentTypeError(
            f"{text[:_QUOTED]!r}, expected a date such as 2025-12-31"
        )
    return found


def names(text: str) -> tuple[str, ...]:
    """Return the names in *text*, separated by commas, without duplicates.

    >>> names("paid, shipped,paid")
    ('paid', 'shipped')
    """
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise argparse.ArgumentTypeError(
            f"{text[:_QUOTED]!r}, expected one or more names separated by commas"
        )
    return found


def engine_options() -> argparse.ArgumentParser:
    """Return a parent parser with the options that choose and start an engine."""
    parent = argparse.ArgumentParser(add_help=False)
    engine = parent.add_argument_group(
        "another engine", "DuckDB and Spark read the CSV files, not the database"
    )
    engine.add_argument(
        "--engine",
        choices=("sqlite", *ENGINE_NAMES),
        default="sqlite",
        help="program that runs the queries (default: sqlite)",
    )
    engine.add_argument(
        "--spark-arg",
        action="append",
        default=[],
        metavar="ARG",
        help="with --engine spark: an argument for spark-sql, such as"
        " --spark-arg=--master --spark-arg=yarn; repeatable",
    )
    return parent


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that limits the processes of a run; None is the default."""
    parser.add_argument(
        "--workers",
        type=whole_number(1, 1_024),
        metavar="N",
        help="number of processes; small data use fewer (default: the number of"
        " processors)",
    )


# ---- Which options fit together ----------------------------------------------------------


def list_given(parser: argparse.ArgumentParser, args: argparse.Namespace) -> set[str]:
    """Return the options of *args* that have other values than the defaults of *parser*.

    An engine is also there with its name, such as `--engine spark`.
    """
    values = vars(args).items()
    given = {
        f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
        for name, value in values
        if value != parser.get_default(name)
    }
    return given | {f"--engine {args.engine}"}


def find_conflict(
    given: Collection[str],
    needs: Mapping[str, Sequence[str]],
    excludes: Mapping[str, tuple[str, Sequence[str]]],
) -> str | None:
    """Return which option of *given* would be ignored and what to do, None if none is.

    *needs* has the options of which one is needed for an effect of another; *excludes* the
    options that cannot have one beside another, and why.

    >>> find_conflict({"--points"}, {"--points": ("--grade",)}, {})
    '--points has no effect without --grade; add it, or omit --points'
    >>> excludes = {"--grade": ("is a run of its own", ("--report",))}
    >>> find_conflict({"--grade", "--report"}, {}, excludes)
    '--grade is a run of its own; omit --report'
    """
    for option, (reason, others) in excludes.items():
        useless = [other for other in others if other in given]
        if option in given and useless:
            return f"{option} {reason}; omit {' and '.join(useless)}"
    for option, others in needs.items():
        if option in given and not any(other in given for other in others):
            *first, last = others
            listed = f"{', '.join(first)} or {last}" if first else last
            add = "add one of them" if first else "add it"
            return f"{option} has no effect without {listed}; {add}, or omit {option}"
    return None


# ---- Commands in messages ----------------------------------------------------------------

# A command that a message proposes without other options, and the options with which it
# reads and writes what the present run does.
_PROPOSED_COMMAND = re.compile(
    r"python (?:(?:ingest|generate_data)\.py"
    r" (?P<action>--ingest|--check|--report|--rows \w+|--generate)|run_query\.py)(?! --)"
)
_SHARED_OPTIONS = {
    "--generate": {"--out-dir": "data_dir"},
    "--ingest": {
        "--data-dir": "data_dir",
        "--database": "database",
        "--schema": "schema",
    },
    "--check": {"--data-dir": "data_dir", "--database": "database", "--schema": "schema"},
    "--report": {"--database": "database", "--out-dir": "out_dir"},
    "--rows": {"--database": "database"},
    "run_query.py": {"--database": "database", "--out-dir": "out_dir"},
}


def complete_commands(text: str, args: argparse.Namespace) -> str:
    """Return *text*, in which each proposed command has the options of *args* it needs.

    An option that was not given is None or not in *args*.

    >>> args = argparse.Namespace(database="a shop.db", out_dir=None)
    >>> complete_commands("Report again: python ingest.py --report", args)
    "Report again: python ingest.py --report --database 'a shop.db'"
    """
    import shlex

    def complete(command: re.Match[str]) -> str:
        action, _, _ = (command["action"] or "run_query.py").partition(" ")
        options = [
            f" {option} {shlex.quote(str(value))}"
            for option, name in _SHARED_OPTIONS[action].items()
            if (value := getattr(args, name, None)) is not None
        ]
        return command[0] + "".join(options)

    return _PROPOSED_COMMAND.sub(complete, text)


def complete_error(error: Exception, args: argparse.Namespace) -> DataError:
    """Return *error* with complete commands, as `complete_commands` makes them."""
    lines = error.lines if isinstance(error, DataError) else (str(error),)
    return DataError(*(complete_commands(line, args) for line in lines))
