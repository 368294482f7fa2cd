"""Grade an answer: one file, or each file of a folder."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from queries.grading.answers import FIGURE_COLUMNS, Answer, RightAnswer, take_document
from queries.grading.averages import take_averages
from queries.grading.explanation import Compute, Explanation, explain_marks
from queries.grading.marking import Marks, mark_answer
from queries.grading.matching import SubmittedTable, match_submission
from queries.grading.mistakes import MistakeSet, average_answer, compute_mistakes
from queries.grading.placing import TRIANGLE_VALUE, list_average_ages
from queries.grading.submissions import read_submission
from queries.options import Options
from queries.run_query import compute_result
from utils.formats import count_noun, shorten_value
from utils.helpers import DataError, read_regular_file

# The files of a folder: the submissions of one exercise.
MOST_FILES = 1_000

_MOST_SCHEME_BYTES = 1 << 16
_MOST_POINTS = 1_000_000


class Rules(NamedTuple):
    """How answers are graded: what the command line states.

    *columns* are their headers with our columns, *required* the columns that count in any
    case, *scheme* the points of each column or None for the default.
    """

    columns: Mapping[str, str] = {}
    required: Sequence[str] = ()
    tolerance: float = 0
    scheme: Mapping[str, float] | None = None


class Reference(NamedTuple):
    """What answers are compared with: the *right* one, and those with mistakes."""

    right: RightAnswer
    compute: Compute


class Refusal(NamedTuple):
    """A file that cannot be graded, and why."""

    name: str
    reason: str


class Grade(NamedTuple):
    """The grade of one submission."""

    name: str
    table: SubmittedTable
    marks: Marks
    explanations: list[Explanation]
    right: RightAnswer


def prepare_reference(database: Path, options: Options, worker_count: int) -> Reference:
    """Return what answers to *options* are compared with, from *database*."""
    result = compute_result(database, options=options, worker_count=worker_count)
    right = take_document(result.document, options)
    if not right.cells:
        raise DataError(
            f"{database}: has no cohort with these options, so nothing can be graded."
            " Load the data of the exercise: python ingest.py --ingest"
        )
    known: dict[MistakeSet, Answer] = {}

    def compute(sets: Sequence[MistakeSet]) -> list[Answer]:
        missing = [made for made in sets if made not in known]
        answers = compute_mistakes(database, right, missing, worker_count)
        known.update(zip(missing, answers, strict=True))
        return [known[made] for made in sets]

    return Reference(right, compute)


def grade_folder(folder: Path, reference: Reference, rules: Rules) -> list[Grade | Refusal]:
    """Return the grade of each file in *folder*; one that is not usable stops no other.

    Folders in it and hidden files are not graded.  Raise `DataError` if it has no file.
    """
    paths = [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and not path.is_dir()
    ]
    if not 0 < len(paths) <= MOST_FILES:
        raise DataError(
            f"{folder}: has {count_noun(len(paths), 'file')}, expected 1 to {MOST_FILES:,}."
            " Name a folder of submissions, or one file."
        )
    grades: list[Grade | Refusal] = []
    for path in paths:
        try:
            grades.append(grade_file(path, reference, rules, is_alone=False))
        except DataError as error:
            reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path}:")
            grades.append(Refusal(_name_path(path), reason))
    return grades


def _name_path(path: Path) -> str:
    """Return the name of *path*, with bytes that are not UTF-8 escaped."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def grade_file(
    path: Path, reference: Reference, rules: Rules, *, is_alone: bool = True
) -> Grade:
    """Return the grade of the file *path*; raise `DataError` if it cannot be graded.

    Unless it *is_alone*, it may lack columns that the rules name for other files.
    """
    right = reference.right
    submission = read_submission(path, by_segment=right.options.by is not None)
    columns = {
        header: column
        for header, column in rules.columns.items()
        if is_alone or header in (*submission.headers, TRIANGLE_VALUE)
    }
    if ages := list_average_ages(submission, right, columns):
        reference = _take_average_reference(reference, ages)
        right = reference.right
    table = match_submission(submission, right, columns, str(path))
    marks = mark_answer(
        table,
        right,
        tolerance=rules.tolerance,
        required=rules.required,
        scheme=rules.scheme,
    )
    explanations = explain_marks(marks, right, rules.tolerance, reference.compute)
    return Grade(_name_path(path), table, marks, explanations, right)


def _take_average_reference(reference: Reference, ages: Sequence[int]) -> Reference:
    """Return what a table of averages at *ages* is compared with."""

    def compute(sets: Sequence[MistakeSet]) -> list[Answer]:
        of_cells = [tuple(one for one in made if one.average is None) for made in sets]
        answers = zip(reference.compute(of_cells), sets, strict=True)
        return [average_answer(cells, made) for cells, made in answers]

    return Reference(take_averages(reference.right, ages), compute)


def read_scheme(path: Path, required: Sequence[str] = ()) -> dict[str, float]:
    """Return the points of each column, from the table [points] of the TOML file *path*.

    Raise `DataError` if it is not one, or has no points for a *required* column.
    """
    remedy = "Expected a table [points] with lines such as net_cents = 20."
    try:
        document = tomllib.loads(read_regular_file(path, _MOST_SCHEME_BYTES).decode())
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise DataError(f"{path}: {reason}. {remedy}") from error
    except ValueError as error:
        raise DataError(f"{path}: is not TOML: {error}. {remedy}") from error
    points = document.get("points")
    if not isinstance(points, dict) or not points:
        raise DataError(f"{path}: has no table [points]. {remedy}")
    for name, value in points.items():
        if name not in FIGURE_COLUMNS:
            raise DataError(
                f"{path}: points.{name} is not a column. Expected names of"
                f" {', '.join(FIGURE_COLUMNS)}."
            )
        _require_points(name, value, path)
    for name in required:
        if name not in points:
            raise DataError(
                f"{path}: has no points for {name}, which --require names. Add them, or"
                " omit the column."
            )
    return points


def _require_points(name: str, value: Any, path: Path) -> None:
    is_number = type(value) in (int, float) and 0 <= value <= _MOST_POINTS
    if not is_number:
        raise DataError(
            f"{path}: points.{name} is {shorten_value(value)}, expected a number from 0 to"
            f" {_MOST_POINTS:,}."
        )
