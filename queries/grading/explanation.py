"""Which well-known mistakes explain the cells that are not right: the smallest set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from queries.grading.answers import Answer, Place, RightAnswer
from queries.grading.marking import RIGHT, Mark, Marks, allow_difference
from queries.grading.mistakes import Mistake, MistakeSet, has_variants, read_mistakes

# No mistake is named for fewer wrong cells: they may be equal by chance.
FEWEST_CELLS = 3

# The share of a column's wrong cells that a set must explain, and the share of all of them
# that is enough to look no further.
_LEAST_SHARE = 0.5
_ENOUGH_SHARE = 0.98

# By this share of the wrong cells two mistakes must explain more than one.
_GAIN_OF_PAIR = 0.02

# The pairs that are computed have one of the mistakes that fit best alone, and one of those
# that seem to add the rest: how many of both, by each of two measures.
_BEST_SINGLES = 2
_PARTNERS = 3

# Half of a pair brings theirs nearer than this to the right answer, or explains this share.
_NEARER = 0.9
_SOME_SHARE = 0.1

# Each mistake of the best pair is then replaced by those that resemble it most: how many.
_NEIGHBOURS = 2

# Returns the answers with sets of mistakes.  (In quotes for Python 3.11.)
Compute: TypeAlias = "Callable[[Sequence[MistakeSet]], list[Answer]]"


class Explanation(NamedTuple):
    """The mistakes that explain *columns*: several *choices* if they fit equally.

    Of *wrong* cells *explained* have the value of the mistakes; *contradicted* cells have
    another value than they, although it is right.
    """

    columns: list[str]
    choices: list[MistakeSet]
    explained: int
    wrong: int
    contradicted: int


class _Cell(NamedTuple):
    """A cell of a column with wrong cells: theirs, the right value, what may differ."""

    place: Place
    theirs: int | float | None
    right: int | float | None
    allowed: float
    is_right: bool


class _Fit(NamedTuple):
    explained: int
    contradicted: int

    @property
    def net(self) -> int:
        return self.explained - self.contradicted


def explain_marks(
    marks: Marks, right: RightAnswer, tolerance: float, compute: Compute
) -> list[Explanation]:
    """Return the explanations of *marks*, none if no mistake explains half of a column.

    *compute* returns the answers with sets of mistakes.  Pairs are tried only if no single
    mistake explains nearly everything.
    """
    trials = _Trials(_collect_cells(marks, right, tolerance), compute)
    if sum(trials.wrong.values()) < FEWEST_CELLS:
        return []
    mistakes = [one for one in read_mistakes() if right.is_average or one.average is None]
    trials.add([(one,) for one in mistakes if not has_variants(one)])
    if not trials.are_enough():
        trials.add([(one,) for one in mistakes if has_variants(one)])
    if not trials.are_enough():
        trials.add(_propose_pairs(trials))
        trials.add(_propose_neighbours(trials))
    return list(trials.list_explanations())


def _collect_cells(
    marks: Marks, right: RightAnswer, tolerance: float
) -> dict[str, list[_Cell]]:
    """Return the cells of each column that has a wrong one."""
    columns: dict[str, list[_Cell]] = {}
    for mark in marks.marks:
        columns.setdefault(mark.column, []).append(_describe_cell(mark, right, tolerance))
    return {
        column: cells
        for column, cells in columns.items()
        if not all(cell.is_right for cell in cells)
    }


def _describe_cell(mark: Mark, right: RightAnswer, tolerance: float) -> _Cell:
    allowed, theirs = 0.0, None
    if mark.theirs is not None:
        theirs = mark.theirs.value
        digits = right.currency_digits
        allowed = allow_difference(mark.column, mark.theirs, digits, tolerance)
    return _Cell(mark.place, theirs, mark.right, allowed, mark.verdict == RIGHT)


class _Trial(NamedTuple):
    """A set of mistakes, the answer with them, and how it fits to each column."""

    mistakes: MistakeSet
    answer: Answer
    fits: Mapping[str, _Fit]


class _Trials:
    """The sets of mistakes tried so far on the columns that have wrong cells."""

    def __init__(self, columns: Mapping[str, Sequence[_Cell]], compute: Compute) -> None:
        self.columns = columns
        self.wrong = {
            column: sum(not cell.is_right for cell in cells)
            for column, cells in columns.items()
        }
        self.tried: list[_Trial] = []
        self._compute = compute

    def add(self, sets: Sequence[MistakeSet]) -> None:
        """Try *sets*."""
        for mistakes, answer in zip(sets, self._compute(sets), strict=True):
            fits = {
                column: _measure_fit(column, cells, answer)
                for column, cells in self.columns.items()
            }
            self.tried.append(_Trial(mistakes, answer, fits))

    def cover(self, trial: _Trial, columns: Iterable[str]) -> list[str]:
        """Return those of *columns* that *trial* explains for the most part."""
        return [
            column
            for column in columns
            if trial.fits[column].net >= _LEAST_SHARE * self.wrong[column]
        ]

    def score(self, trial: _Trial, columns: Iterable[str]) -> int:
        """Return how many wrong cells of *columns* the *trial* explains."""
        return sum(trial.fits[column].net for column in self.cover(trial, columns))

    def are_enough(self) -> bool:
        """Return whether one trial explains nearly all wrong cells."""
        best = max(self.score(trial, self.columns) for trial in self.tried)
        return best >= _ENOUGH_SHARE * sum(self.wrong.values())

    def list_explanations(self) -> Iterator[Explanation]:
        """Yield the best explanation of all columns, then that of those which remain."""
        columns = list(self.columns)
        while columns and (best := self._choose(columns)):
            covered = self.cover(best[0], columns)
            fits = [best[0].fits[column] for column in covered]
            yield Explanation(
                covered,
                [trial.mistakes for trial in best],
                sum(fit.explained for fit in fits),
                sum(self.wrong[column] for column in covered),
                sum(fit.contradicted for fit in fits),
            )
            columns = [column for column in columns if column not in covered]

    def _choose(self, columns: Sequence[str]) -> list[_Trial]:
        """Return the trials that explain most of *columns*, all if several are equal.

        Two mistakes must explain more than one alone.
        """
        chosen: list[_Trial] = []
        most = 0.0
        for size in (1, 2):
            scores = [
                (self.score(trial, columns), trial)
                for trial in self.tried
                if len(trial.mistakes) == size
            ]
            best = max((score for score, _ in scores), default=0)
            if best > most:
                chosen = [trial for score, trial in scores if score == best]
                most = best + _GAIN_OF_PAIR * sum(self.wrong[name] for name in columns)
        if not chosen:
            return []
        covered = self.cover(chosen[0], columns)
        if sum(self.wrong[name] for name in covered) < FEWEST_CELLS:
            return []
        return [trial for trial in chosen if self.cover(trial, columns) == covered]


def _measure_fit(column: str, cells: Sequence[_Cell], answer: Answer) -> _Fit:
    """Return how many wrong and right cells of *column* are explained, contradicted."""
    explained = contradicted = 0
    for cell in cells:
        value = answer.get(cell.place, {}).get(column)
        if value is None or cell.theirs is None:
            is_equal = value is cell.theirs
        else:
            is_equal = abs(value - cell.theirs) <= cell.allowed
        explained += is_equal and not cell.is_right
        contradicted += cell.is_right and not is_equal
    # A mistake may also make cells that neither they nor we have.
    known = {cell.place for cell in cells}
    contradicted += sum(
        place not in known and figures[column] is not None
        for place, figures in answer.items()
    )
    return _Fit(explained, contradicted)


# ---- Pairs -------------------------------------------------------------------------------


# The differences from the right value, in all wrong columns one after the other.
_Differences = list[float]


def _propose_pairs(trials: _Trials) -> list[MistakeSet]:
    """Return the pairs that probably explain most.

    For each of the mistakes that fit best alone, the partners are those that add the rest:
    two mistakes differ from the right answer by about as much as the one and the other
    together, or, if one of them moves figures to other cells, by the product of the factors
    by which they change the sum of a column.
    """
    singles = {trial.mistakes[0]: trial for trial in trials.tried}
    theirs = _list_differences(trials, None)
    differences = {one: _list_differences(trials, trial) for one, trial in singles.items()}
    factors = {one: _list_factors(trials, trial) for one, trial in singles.items()}
    their_factors = _list_factors(trials, None)
    pairs: dict[frozenset[Mistake], MistakeSet] = {}
    for one in _find_best_singles(trials, singles, theirs, differences):
        others = [other for other in singles if _can_combine(one, other)]
        rest = _subtract(theirs, differences[one])
        other_factors = _subtract(their_factors, factors[one])
        by_difference = sorted(
            others, key=lambda other: _measure_rest(rest, differences[other])
        )
        by_factor = sorted(
            others, key=lambda other: _measure_rest(other_factors, factors[other])
        )
        for other in (*by_difference[:_PARTNERS], *by_factor[:_PARTNERS]):
            pairs.setdefault(frozenset((one, other)), _order_pair(one, other))
    return list(pairs.values())


def _find_best_singles(
    trials: _Trials,
    singles: Mapping[Mistake, _Trial],
    theirs: _Differences,
    differences: Mapping[Mistake, _Differences],
) -> list[Mistake]:
    """Return the mistakes nearest to *theirs*, and those that explain most cells.

    One that brings nothing nearer and explains few cells, as is usual beside random
    numbers, is not half of a pair.
    """
    distances = {one: _measure_rest(theirs, differences[one]) for one in singles}
    explained = {
        one: sum(fit.explained for fit in trial.fits.values())
        for one, trial in singles.items()
    }
    far = _NEARER * sum(map(abs, theirs))
    few = _SOME_SHARE * sum(trials.wrong.values())
    nearest = sorted(singles, key=lambda one: distances[one])[:_BEST_SINGLES]
    most = sorted(singles, key=lambda one: -explained[one])[:_BEST_SINGLES]
    return [
        one
        for one in dict.fromkeys((*nearest, *most))
        if distances[one] < far or explained[one] > few
    ]


def _propose_neighbours(trials: _Trials) -> list[MistakeSet]:
    """Return pairs like the best one, with a mistake that resembles one of its two."""
    best = max(trials.tried, key=lambda trial: trials.score(trial, trials.columns))
    if len(best.mistakes) < 2:
        return []
    singles = [trial for trial in trials.tried if len(trial.mistakes) == 1]
    differences = {trial.mistakes[0]: _list_differences(trials, trial) for trial in singles}
    known = {frozenset(trial.mistakes) for trial in trials.tried}
    pairs = []
    for kept, replaced in (best.mistakes, best.mistakes[::-1]):
        others = sorted(
            (one for one in differences if one is not replaced and _can_combine(kept, one)),
            key=lambda one: _measure_rest(differences[replaced], differences[one]),
        )
        pairs += [_order_pair(kept, one) for one in others[:_NEIGHBOURS]]
    return [pair for pair in pairs if frozenset(pair) not in known]


def _order_pair(one: Mistake, other: Mistake) -> MistakeSet:
    """Return both in the order of the catalogue, in which they are applied."""
    catalogue = read_mistakes()
    return (one, other) if catalogue.index(one) < catalogue.index(other) else (other, one)


def _can_combine(one: Mistake, other: Mistake) -> bool:
    """Return whether both can be made: not two values of one, or two ways to average."""
    are_ways = one.average is not None and other.average is not None
    return not are_ways and one.name.partition(":")[0] != other.name.partition(":")[0]


def _list_differences(trials: _Trials, trial: _Trial | None) -> _Differences:
    """Return by how much theirs, or a *trial*, differs from the right values.

    Each column is measured by the mean size of its right values.
    """
    differences = []
    for column, cells in trials.columns.items():
        sizes = [abs(cell.right) for cell in cells if cell.right is not None]
        unit = sum(sizes) / len(sizes) if any(sizes) else 1
        for cell in cells:
            value = cell.theirs
            if trial is not None:
                value = trial.answer.get(cell.place, {}).get(column)
            difference = (value or 0) - (cell.right or 0)
            differences.append(0.0 if math.isnan(difference) else difference / unit)
    return differences


def _list_factors(trials: _Trials, trial: _Trial | None) -> _Differences:
    """Return the logarithm of the factor by which the sum of each column changes."""
    factors = []
    for column, cells in trials.columns.items():
        right = sum(cell.right or 0 for cell in cells)
        if trial is None:
            values: Iterable[int | float | None] = (cell.theirs for cell in cells)
        else:
            values = (figures[column] for figures in trial.answer.values())
        total = sum(value for value in values if value and not math.isnan(value))
        factors.append(math.log(total / right) if right > 0 and total > 0 else 0.0)
    return factors


def _subtract(theirs: _Differences, explained: _Differences) -> _Differences:
    return [one - other for one, other in zip(theirs, explained, strict=True)]


def _measure_rest(theirs: _Differences, explained: _Differences) -> float:
    return sum(abs(one - other) for one, other in zip(theirs, explained, strict=True))
