"""Their figures beside the right ones: what is wrong, where, and the points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from queries.grading.answers import (
    AMOUNT_COLUMNS,
    FIGURE_COLUMNS,
    RATE_COLUMNS,
    RATIO_COLUMNS,
    Place,
    RightAnswer,
)
from queries.grading.matching import Figure, SubmittedTable

# The points of a column, unless the reviewer's scheme states others.
DEFAULT_POINTS = 10

# How many of the latest cohorts are called young.
YOUNG_COHORTS = 3

# The wrong cells that are listed.
WORST_COUNT = 10

# A ratio may be rounded as shown, but not to less than this: half of one percent point,
# half of one unit of the currency.
_COARSEST_RATE = 0.005
_COARSEST_UNITS = 0.5

# Half of the last digit of the right ratios, and what floating-point numbers lose.
_RATE_STEP = 0.5e-6
_CENTS_STEP = 0.005
_NOISE = 1e-9

RIGHT, WRONG, MISSING, EXTRA = "right", "wrong", "missing", "extra"


class Mark(NamedTuple):
    """One cell of one column: theirs and the right value, and what that makes it.

    *theirs* is None if it is missing, *right* is None if there is no right value.
    """

    place: Place
    column: str
    theirs: Figure | None
    right: int | float | None
    verdict: str

    @property
    def difference(self) -> int | float | None:
        """Return theirs minus the right value, or None if one of them is no number."""
        if self.theirs is None or self.right is None or math.isnan(self.theirs.value):
            return None
        return self.theirs.value - self.right


class Marks(NamedTuple):
    """The marks of an answer, the weight of each column, and those not handed in."""

    marks: list[Mark]
    points: dict[str, float]
    absent: list[str]

    @property
    def is_full(self) -> bool:
        """Return whether every cell is right."""
        return all(mark.verdict == RIGHT for mark in self.marks)

    @property
    def most_points(self) -> float:
        """Return the points of an answer without a fault."""
        return sum(self.points.values())

    @property
    def reached_points(self) -> float:
        """Return the points of this answer."""
        counts = count_by_column(self)
        return sum(points * share(counts[column]) for column, points in self.points.items())


def mark_answer(
    table: SubmittedTable,
    right: RightAnswer,
    *,
    tolerance: float = 0,
    required: Sequence[str] = (),
    scheme: Mapping[str, float] | None = None,
) -> Marks:
    """Return the marks of *table*: amounts may differ by *tolerance* cents.

    The *required* columns count even if they were not handed in.  *scheme* has the points
    of the columns that count, instead of `DEFAULT_POINTS` for each.
    """
    handed_in = table.columns
    counted = [name for name in FIGURE_COLUMNS if name in {*handed_in, *required}]
    if scheme is not None:
        counted = [name for name in counted if name in scheme]
    marks = [
        mark for column in counted for mark in _mark_column(column, table, right, tolerance)
    ]
    points = {name: (scheme or {}).get(name, DEFAULT_POINTS) for name in counted}
    absent = [name for name in FIGURE_COLUMNS if name not in {*handed_in, *required}]
    return Marks(marks, points, absent)


def _mark_column(
    column: str, table: SubmittedTable, right: RightAnswer, tolerance: float
) -> Iterable[Mark]:
    """Yield a mark for each place where they or we have a value."""
    for place in sorted({*right.cells, *table.cells}):
        theirs = table.cells.get(place, {}).get(column)
        value = right.cells.get(place, {}).get(column)
        if theirs is None and value is None:
            continue
        if theirs is None:
            verdict = MISSING
        elif value is None:
            verdict = EXTRA
        else:
            allowed = allow_difference(column, theirs, right.currency_digits, tolerance)
            is_right = abs(theirs.value - value) <= allowed
            verdict = RIGHT if is_right else WRONG
        yield Mark(place, column, theirs, value, verdict)


def allow_difference(column: str, theirs: Figure, digits: int, tolerance: float) -> float:
    """Return by how much *theirs* may differ from the right value of *column*.

    Counts are exact, sums of cents too, but for *tolerance*; a ratio is rounded as shown.
    """
    if column in RATE_COLUMNS:
        return min(theirs.half_step, _COARSEST_RATE) + _RATE_STEP + _NOISE
    if column not in AMOUNT_COLUMNS:
        return 0
    if column in RATIO_COLUMNS:
        shown = min(theirs.half_step, _COARSEST_UNITS * 10.0**digits)
        return max(tolerance, shown + _CENTS_STEP + _NOISE)
    # Decimals of a binary number, such as 12.340000001, are the same cents.
    return max(tolerance, _CENTS_STEP)


# ---- Counts ------------------------------------------------------------------------------


class Counts(NamedTuple):
    """How many cells are right, wrong, missing, extra."""

    right: int = 0
    wrong: int = 0
    missing: int = 0
    extra: int = 0


def count_marks(marks: Iterable[Mark]) -> Counts:
    """Return how many of *marks* have each verdict."""
    verdicts = [mark.verdict for mark in marks]
    return Counts(*(verdicts.count(name) for name in (RIGHT, WRONG, MISSING, EXTRA)))


def share(counts: Counts) -> float:
    """Return the share of cells that are right; all are, where there are none.

    >>> share(Counts(3, 1)), share(Counts())
    (0.75, 1.0)
    """
    return counts.right / sum(counts) if sum(counts) else 1.0


def count_by_column(marks: Marks) -> dict[str, Counts]:
    """Return the counts of each column that counts."""
    return {
        column: count_marks(mark for mark in marks.marks if mark.column == column)
        for column in marks.points
    }


def count_by_region(marks: Marks, right: RightAnswer) -> dict[str, Counts]:
    """Return the counts of each region that has a wrong cell: ages, cohorts, segments."""
    last_ages: dict[tuple[str, str], int] = {}
    for place in right.cells:
        cohort = place.segment, place.cohort
        last_ages[cohort] = max(last_ages.get(cohort, 0), place.months_since)
    cohorts = sorted({place.cohort for place in right.cells})
    young = set() if right.is_average else set(cohorts[-YOUNG_COHORTS:])

    def find_regions(place: Place) -> Iterable[str]:
        last = last_ages.get((place.segment, place.cohort), -1)
        yield "first month" if place.months_since == 0 else "later months"
        if place.months_since == last:
            yield "last month"
        if place.months_since > last:
            yield "after the last month"
        if place.cohort in young:
            yield f"the {len(young)} youngest cohorts"
        if place.segment:
            yield f"segment {place.segment}"

    regions: dict[str, list[Mark]] = {}
    for mark in marks.marks:
        for name in find_regions(mark.place):
            regions.setdefault(name, []).append(mark)
    counts = {name: count_marks(members) for name, members in sorted(regions.items())}
    return {name: found for name, found in counts.items() if share(found) < 1}


def list_worst(marks: Marks) -> list[Mark]:
    """Return the wrong cells with the largest differences, each relative to its column."""
    sums: dict[str, list[float]] = {}
    for mark in marks.marks:
        if mark.right is not None:
            sums.setdefault(mark.column, []).append(abs(mark.right))
    sizes = {column: sum(values) / len(values) or 1 for column, values in sums.items()}

    def measure(mark: Mark) -> float:
        if mark.difference is None:
            return math.inf
        return abs(mark.difference) / sizes[mark.column]

    wrong = [mark for mark in marks.marks if mark.verdict == WRONG]
    return sorted(wrong, key=lambda mark: (-measure(mark), mark.place))[:WORST_COUNT]
