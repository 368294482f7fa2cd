"""Make a synthetic shop: five CSV files and their manifest, the same bytes for a seed."""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    # Until `main` handles it, Ctrl-C ends the run at once: an import prints no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_generation.model.purchase_processes import PROCESSES
from data_generation.model.streams import LARGEST_SEED
from data_generation.plan import (
    DEFAULT_END,
    DEFAULT_PROCESS,
    DEFAULT_SEED,
    DEFAULT_START,
    DEFAULT_USERS,
    MOST_PARTS,
    MOST_USERS,
    UNDIVIDED,
    Part,
    Plan,
    find_plan_error,
)
from utils.arguments import (
    CommandLineParser,
    add_workers_option,
    day_of_years,
    whole_number,
)
from utils.helpers import (
    PROJECT_ROOT,
    DataError,
    print_safely,
    render_files,
    report_error,
    shorten_path,
)
from utils.months import FIRST_YEAR, LAST_YEAR
from utils.signals import raise_on_signals, report_interruption

if TYPE_CHECKING:
    from data_generation.datapackage import FileEntry
    from data_generation.faults.fault_profiles import Profile
    from data_generation.faults.plant import Planted

# Smaller seeds are tried one after the other in a few hours.
LEAST_SECRET_SEED = 10_000

# The defaults of --generate.  The parser keeps only options that were given, because
# --verify and --join-parts refuse all of these.
DEFAULTS: dict[str, Any] = {
    "seed": DEFAULT_SEED,
    "users": DEFAULT_USERS,
    "start": DEFAULT_START,
    "end": DEFAULT_END,
    "until": None,
    "process": DEFAULT_PROCESS,
    "calm": False,
    "tables": (),
    "part": UNDIVIDED,
    "truth": False,
    "blind": False,
    "faults": None,
}


def parse_part(text: str) -> Part:
    """Return the part that *text* names, written K/N.

    >>> parse_part("2/16")
    Part(number=2, total=16)
    """
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    number, total = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= total:
        raise argparse.ArgumentTypeError(
            f"{text[:30]!r}, expected K/N such as 2/16, where 1 <= K <= N <= {MOST_PARTS}"
        )
    return Part(number, total)


def parse_tables(text: str) -> tuple[str, ...]:
    """Return the names of tables in *text*, separated by commas."""
    # Imported here because it loads SQLite, which other options do not need.
    from utils.contract import read_contract

    known = [table.name for table in read_contract().tables]
    names = tuple(text.split(","))
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"{name[:30]!r} is not a table, expected one or more of {','.join(known)}"
            )
    return names


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this script."""
    parser = CommandLineParser(
        prog="generate_data.py",
        description="Make a synthetic shop: users, products, orders, order_items and"
        " payments as CSV files, and their manifest datapackage.json.",
        epilog="Next: python ingest.py --ingest",
    )
    _add_actions(parser)
    parser.add_argument(
        "--out-dir",
        type=Path,
        default=PROJECT_ROOT,
        metavar="DIR",
        help="folder for the files (default: the project's root)",
    )
    add_workers_option(parser)
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="with --repair: folder of the faulty files",
    )
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="print no progress bar and no summary, only errors",
    )
    _add_plan_options(parser)
    _add_choice_options(parser)
    return parser


def _add_actions(parser: argparse.ArgumentParser) -> None:
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--generate", action="store_true", help="write the files")
    action.add_argument(
        "--verify",
        action="store_true",
        help="check whether each file in --out-dir is exactly what the seed in its manifest"
        " makes; the shop is generated again in a temporary folder",
    )
    action.add_argument(
        "--join-parts",
        action="store_true",
        help="write one manifest for all parts in --out-dir, as --part made them; no part"
        " may be missing",
    )
    action.add_argument(
        "--repair",
        type=Path,
        metavar="KEY",
        help="write the clean files to --out-dir, from the faulty files in --data-dir and"
        " their answer key, the folder KEY",
    )


def _add_plan_options(parser: argparse.ArgumentParser) -> None:
    plan = parser.add_argument_group(
        "plan of the shop",
        "for --generate only; other actions read the plan from the manifest",
        argument_default=argparse.SUPPRESS,
    )
    plan.add_argument(
        "--seed",
        type=whole_number(0, LARGEST_SEED),
        metavar="N",
        help="random seed, 0 to 2**64 - 1; the same seed gives the same bytes"
        f" (default: {DEFAULT_SEED})",
    )
    plan.add_argument(
        "--users",
        type=whole_number(0, MOST_USERS),
        metavar="N",
        help=f"customers who sign up from --start to --end (default: {DEFAULT_USERS})",
    )
    day = day_of_years(FIRST_YEAR, LAST_YEAR)
    plan.add_argument(
        "--start",
        type=day,
        metavar="DATE",
        help=f"first day of the window (default: {DEFAULT_START})",
    )
    plan.add_argument(
        "--end",
        type=day,
        metavar="DATE",
        help=f"day until which --users sign up (default: {DEFAULT_END})",
    )
    plan.add_argument(
        "--until",
        type=day,
        metavar="DATE",
        help="last day of the window, before or after --end: the same shop, as it is on"
        " that day; --users and --end still set the pace of sign-ups (default: --end)",
    )
    plan.add_argument(
        "--process",
        choices=PROCESSES,
        help="how customers buy again: steady, as BG/NBD assumes; regular, at more even"
        " intervals; clumpy, in bursts; drifting, each cohort less than the one before"
        f" (default: {DEFAULT_PROCESS})",
    )
    plan.add_argument(
        "--calm",
        action="store_true",
        help="a shop without events, such as campaigns and outages, and without noise from"
        " day to day",
    )


def _add_choice_options(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_argument_group(
        "what to write", "for --generate only", argument_default=argparse.SUPPRESS
    )
    choice.add_argument(
        "--tables",
        type=parse_tables,
        metavar="NAMES",
        help="only these tables, such as users,orders; other files are not changed"
        " (default: all)",
    )
    choice.add_argument(
        "--part",
        type=parse_part,
        metavar="K/N",
        help="only part K of N of each file, for N machines; the parts in order are the"
        " file (default: 1/1, the complete file)",
    )
    choice.add_argument(
        "--truth",
        action="store_true",
        help="also write the ground truth to truth/: hidden parameters of users, products"
        " and seasons, the events, and the orders of the next year",
    )
    choice.add_argument(
        "--blind",
        action="store_true",
        help="write a manifest without the seed, for people who must not generate the same"
        " shop; keep the seed",
    )
    choice.add_argument(
        "--faults",
        metavar="PROFILE",
        help="also write a copy with planted faults to faulty/ and the answer key to"
        " answer_key/: light, realistic, hostile, delivery, export, entry, file or the name"
        " of a TOML file",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*; return the exit status."""
    try:
        with raise_on_signals():
            parser = build_parser()
            args = parser.parse_args(argv)
            refuse_folders(parser, args)
            if args.verify or args.join_parts or args.repair:
                refuse_choices(parser, args)
                return run_other_action(args)
            if args.generate:
                args = argparse.Namespace(**{**DEFAULTS, **vars(args)})
                run_generator(read_plan(parser, args), args)
                return 0
            parser.print_help(sys.stderr)
            return 2
    except (DataError, OSError) as error:
        report_error("generate_data", error)
        return 1
    except KeyboardInterrupt as end:
        return report_interruption("generate_data", end)


def refuse_folders(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with status 2 if the folders in *args* do not fit to --repair."""
    faulty, clean = args.data_dir, args.out_dir
    if (args.repair is None) != (faulty is None):
        parser.error("--repair and --data-dir need each other")
    if faulty and faulty.exists() and clean.exists() and faulty.samefile(clean):
        parser.error("--out-dir is the folder of the faulty files; choose another")


def run_other_action(args: argparse.Namespace) -> int:
    """Run the action of *args* that is not --generate; return the exit status."""
    if args.verify:
        return run_verification(args)
    return run_join(args) if args.join_parts else run_repair(args)


def refuse_choices(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with status 2 if *args* contain options that are for --generate only."""
    given = ", ".join(f"--{name}" for name in DEFAULTS if name in args)
    if given:
        actions = {"--verify": args.verify, "--join-parts": args.join_parts}
        action = next((name for name, chosen in actions.items() if chosen), "--repair")
        parser.error(f"{action} reads the plan from the manifest; omit {given}")


def read_plan(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Plan:
    """Return the plan that *args* state; end with status 2 if it is not usable."""
    if args.faults == "":
        parser.error("argument --faults: '', expected the name of a profile or of a file")
    if args.truth and args.part != UNDIVIDED:
        parser.error("--truth cannot be made in parts; omit --part")
    if args.blind and args.part != UNDIVIDED:
        parser.error("the manifests of parts state the seed; omit --blind or --part")
    if args.faults and (args.part != UNDIVIDED or args.tables):
        parser.error(
            "--faults needs all tables, each as one file; omit --part and --tables"
        )
    until = args.until or args.end
    plan = Plan(args.seed, args.users, args.start, args.end, until, args.process, args.calm)
    error_text = find_plan_error(plan)
    if error_text:
        # Seed and users have been checked by their argument types.
        days = "--start/--end/--until" if args.until else "--start/--end"
        parser.error(f"argument {days}: {error_text}")
    return plan


def run_generator(plan: Plan, args: argparse.Namespace) -> None:
    """Write the files of *plan* that *args* choose; print what was written."""
    # Imported here so that --help and usage errors appear without delay.
    from data_generation.generate_data import list_shop_paths
    from data_generation.replacing import require_own_files
    from utils.processes import count_processors

    profile = None
    if args.faults:
        # All kinds of faults are imported with the profiles.
        from data_generation.faults.fault_profiles import read_profile

        profile = read_profile(args.faults)
    warn_of_secrets(plan, args)
    workers = args.workers or count_processors()
    later_paths = list_later_paths(args)
    require_own_files(
        [*list_shop_paths(args.out_dir, args.tables, args.part), *later_paths]
    )
    files = write_clean_files(plan, args, workers)
    with warn_of_old_folders(later_paths):
        truth_files = write_truth_files(plan, args, workers) if args.truth else []
        planted = run_planting(plan, args, profile, files, workers) if profile else None
    if args.quiet:
        return
    print_clean_files(plan, args, [*files, *truth_files])
    if planted is not None:
        print_planted(args, planted)


def list_later_paths(args: argparse.Namespace) -> list[Path]:
    """Return the files that *args* choose beside those of the shop, which are first."""
    paths = []
    if args.truth:
        from data_generation.truth import list_truth_paths

        paths += list_truth_paths(args.out_dir)
    if args.faults:
        from data_generation.faults.plant import list_fault_paths

        paths += list_fault_paths(args.out_dir)
    return paths


@contextmanager
def warn_of_old_folders(paths: Sequence[Path]) -> Iterator[None]:
    """Print a warning if the block, which writes *paths* beside a new shop, fails."""
    folders = dict.fromkeys(shorten_path(path.parent) for path in paths if path.exists())
    try:
        yield
    except BaseException:
        if folders:
            print_warning(
                f"the files of the shop are new, but {' and '.join(folders)} may belong to"
                " earlier ones. Run the same command again."
            )
        raise


def warn_of_secrets(plan: Plan, args: argparse.Namespace) -> None:
    """Print a warning if the seed, which *args* keep secret, can be found all the same."""
    if (args.faults or args.blind) and plan.seed < LEAST_SECRET_SEED:
        print_warning(
            f"seed {plan.seed} can be found by trying, and it makes the clean files. Choose"
            " a large seed of your own with --seed."
        )
    if args.blind and args.truth:
        print_warning(
            "truth/ states the seed and what the customers do next. Do not hand it out."
        )


def print_warning(text: str) -> None:
    """Print *text* on stderr as a warning."""
    print_safely(f"generate_data: warning: {text}", file=sys.stderr)


def write_clean_files(
    plan: Plan, args: argparse.Namespace, workers: int
) -> list[FileEntry]:
    """Write the five files of *plan*, or those that *args* choose; return their entries."""
    from data_generation.generate_data import generate_shop
    from utils.progress import open_progress_bar

    with open_progress_bar(quiet=args.quiet) as on_progress:
        return generate_shop(
            plan,
            args.out_dir,
            tables=args.tables,
            part=args.part,
            is_blind=args.blind,
            workers=workers,
            on_progress=on_progress,
        )


def write_truth_files(
    plan: Plan, args: argparse.Namespace, workers: int
) -> list[FileEntry]:
    """Write the ground truth of the shop of *plan*; return the entries of its files."""
    from data_generation.truth import write_truth
    from utils.progress import open_progress_bar

    with open_progress_bar(quiet=args.quiet) as on_progress:
        return write_truth(plan, args.out_dir, workers=workers, on_progress=on_progress)


def print_clean_files(
    plan: Plan, args: argparse.Namespace, files: Sequence[FileEntry]
) -> None:
    """Print *plan*, the *files* that were made of it, and the next step after a part."""
    from utils.contract import MANIFEST_NAME

    part = args.part
    which = "" if part == UNDIVIDED else f", part {part.number} of {part.total}"
    print_safely(f"{render_plan(plan)}{which}:")
    print_files(args.out_dir, files, MANIFEST_NAME + part.suffix)
    if part != UNDIVIDED:
        print_safely("Next, with all parts in one folder: --join-parts")


def run_planting(
    plan: Plan,
    args: argparse.Namespace,
    profile: Profile,
    files: Sequence[FileEntry],
    workers: int,
) -> Planted:
    """Plant the faults of *profile* in the *files* of *plan*."""
    from data_generation.faults.plant import plant_faults

    return plant_faults(plan, args.out_dir, profile, files, workers=workers)


def print_planted(args: argparse.Namespace, planted: Planted) -> None:
    """Print what was planted, and the files of it."""
    from utils.answer_key import FAULTY_FOLDER
    from utils.contract import MANIFEST_NAME
    from utils.formats import count_noun

    faults = count_noun(planted.fault_count, "fault")
    incidents = count_noun(planted.incident_count, "incident")
    decoys = count_noun(planted.decoy_count, "decoy")
    print_safely(f"Profile {args.faults}: {faults} in {incidents}, {decoys}:")
    print_files(args.out_dir, planted.files, f"{FAULTY_FOLDER}/{MANIFEST_NAME}")
    if planted.absent:
        print_safely(f"No row is at risk of: {', '.join(planted.absent)}")
    print_safely(
        "Proven: the key and the faulty files give the clean files, byte for byte."
    )


def run_repair(args: argparse.Namespace) -> int:
    """Write the clean files from faulty ones and their answer key; print what they are."""
    from data_generation.faults.repair import repair_shop
    from utils.contract import MANIFEST_NAME

    files = repair_shop(args.repair, args.data_dir, args.out_dir)
    if not args.quiet:
        print_safely("Exactly the clean files:")
        print_files(args.out_dir, files, MANIFEST_NAME)
    return 0


def run_join(args: argparse.Namespace) -> int:
    """Write the manifest of the parts in the folder; print what it lists."""
    from data_generation.parts import join_parts
    from utils.contract import MANIFEST_NAME

    joined = join_parts(args.out_dir)
    if not args.quiet:
        print_safely(f"{render_plan(joined.plan)}, {joined.total} parts:")
        print_files(args.out_dir, joined.files, MANIFEST_NAME)
    return 0


def print_files(out_dir: Path, files: Sequence[FileEntry], manifest_name: str) -> None:
    """Print a line for each of *files* and for their manifest, all in *out_dir*."""
    print_safely(
        render_files(
            (shorten_path(out_dir / file.path), file.rows, file.sha256) for file in files
        )
    )
    print_safely(f"  {shorten_path(out_dir / manifest_name)}")


def render_plan(plan: Plan) -> str:
    """Return *plan* in words.

    >>> from datetime import date
    >>> render_plan(Plan(42, 5000, DEFAULT_START, DEFAULT_END, date(2026, 1, 31)))
    'Seed 42, 5,000 users by 2025-12-31, 2024-01-01 to 2026-01-31'
    """
    from utils.formats import count_noun

    by = "" if plan.until == plan.end else f" by {plan.end}"
    users = count_noun(plan.users, "user")
    process = "" if plan.process == DEFAULT_PROCESS else f", {plan.process} process"
    calm = ", calm" if plan.is_calm else ""
    return f"Seed {plan.seed}, {users}{by}, {plan.start} to {plan.until}{process}{calm}"


def run_verification(args: argparse.Namespace) -> int:
    """Print a verdict on each file in the folder; return 1 unless all are exact."""
    from data_generation.generate_data import verify_shop
    from utils.processes import count_processors

    out_dir = args.out_dir
    plan, verdicts = verify_shop(out_dir, workers=args.workers or count_processors())
    if not args.quiet:
        print_safely(f"{render_plan(plan)}:")
        width = max(len(shorten_path(out_dir / verdict.path)) for verdict in verdicts)
        for verdict in verdicts:
            path = shorten_path(out_dir / verdict.path)
            print_safely(f"  {path:<{width}}  {verdict.text}")
    wrong = sum(not verdict.is_exact for verdict in verdicts)
    verb = "is" if wrong == 1 else "are"
    if not wrong:
        return 0
    report_error(
        "generate_data",
        f"{wrong} of {len(verdicts)} files {verb} not what this seed makes. Make them"
        f" again: --generate {render_options(plan, [each.path for each in verdicts])} and"
        " the same --out-dir.",
    )
    return 1


def render_options(plan: Plan, paths: Sequence[str]) -> str:
    """Return the options that make the files at *paths*."""
    from utils.contract import read_contract

    options = f"--seed {plan.seed} --users {plan.users} --start {plan.start}"
    options += f" --end {plan.end}"
    if plan.until != plan.end:
        options += f" --until {plan.until}"
    if plan.process != DEFAULT_PROCESS:
        options += f" --process {plan.process}"
    if plan.is_calm:
        options += " --calm"
    tables = [path.removesuffix(".csv") for path in paths if path.endswith(".csv")]
    if tables and len(tables) < len(read_contract().tables):
        options += f" --tables {','.join(tables)}"
    return options


if __name__ == "__main__":
    sys.exit(main())
