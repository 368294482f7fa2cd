"""Which column of a submission is which of ours, and in which unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from queries.cohort_cells import FLAG_COLUMNS
from queries.grading.answers import (
    AMOUNT_COLUMNS,
    FIGURE_COLUMNS,
    RATE_COLUMNS,
    Place,
    RightAnswer,
)
from queries.grading.cell_texts import is_null, read_number
from queries.grading.placing import (
    KEY_COLUMNS,
    TRIANGLE_VALUE,
    find_meanings,
    place_texts,
)
from queries.grading.submissions import Submission
from utils.formats import shorten_value
from utils.helpers import DataError

# A table with more rows than this multiple of the right ones, and these, is not graded: the
# time would grow with each of them.
_MOST_TIMES = 10
_MOST_MORE = 1_000


# What a header may be that has no known meaning, if its values differ by so little on
# average.  A column of flags resembles too many others.
_GUESSED_COLUMNS = tuple(name for name in FIGURE_COLUMNS if name not in FLAG_COLUMNS)
_LARGEST_GUESS = 0.05


class ColumnMatch(NamedTuple):
    """Their *header*, our *column*, and the factor from their unit to ours."""

    header: str
    column: str
    scale: float


class Figure(NamedTuple):
    """A value in our unit, half of its last digit shown, and its text.

    A text that is not a number has the value NaN, which equals nothing.
    """

    value: int | float
    half_step: float
    text: str


class SubmittedTable(NamedTuple):
    """The figures of a submission by place and column, and how they were found.

    *unknown* are its other headers; *ignored* the texts in place of a cohort of the rows
    that were not read, such as "Total"; *form* describes the file.
    """

    cells: dict[Place, dict[str, Figure]]
    keys: list[ColumnMatch]
    matches: list[ColumnMatch]
    unknown: list[str]
    ignored: list[str]
    form: str

    @property
    def columns(self) -> list[str]:
        """Return the columns handed in, in our order."""
        found = {match.column for match in self.matches}
        return [name for name in FIGURE_COLUMNS if name in found]


def match_submission(
    submission: Submission, right: RightAnswer, chosen: Mapping[str, str], source: str
) -> SubmittedTable:
    """Return the figures of *submission*; *chosen* are headers with our columns.

    Raise `DataError` naming *source* if its cells cannot be placed or graded.
    """
    _require_headers(submission, chosen, source)
    keys, entries, ignored = place_texts(submission, right, chosen, source)
    _require_few_places(entries, right, source)
    matches = _choose_columns(entries, right, chosen)
    if not matches:
        names = ", ".join(map(shorten_value, list(entries)[:20]))
        raise DataError(
            f"{source}: has no figure that can be graded among {names or 'no columns'}."
            " Name one: --columns THEIRS=net_cents"
        )
    cells: dict[Place, dict[str, Figure]] = {}
    for match in matches:
        for place, text in entries[match.header]:
            if not is_null(text):
                cells.setdefault(place, {})[match.column] = _read_figure(text, match.scale)
    known = {match.header for match in matches}
    unknown = [name for name in entries if name not in known]
    key_matches = [ColumnMatch(header, key, 1) for key, header in keys.items()]
    return SubmittedTable(cells, key_matches, matches, unknown, ignored, submission.form)


def _require_few_places(
    entries: Mapping[str, Sequence[tuple[Place, str]]], right: RightAnswer, source: str
) -> None:
    """Raise `DataError` if far more cells were handed in than exist."""
    count = max(map(len, entries.values()), default=0)
    if count > _MOST_TIMES * len(right.cells) + _MOST_MORE:
        raise DataError(
            f"{source}: has {count:,} cohorts and months, the right answer"
            f" {len(right.cells):,}. Expected one row for each cohort and month."
        )


def _require_headers(
    submission: Submission, chosen: Mapping[str, str], source: str
) -> None:
    for header in chosen:
        if header not in (*submission.headers, TRIANGLE_VALUE):
            names = ", ".join(map(shorten_value, submission.headers[:20]))
            raise DataError(
                f"{source}: has no column {shorten_value(header)}, which --columns names."
                f" Its columns are {names}."
            )


def _read_figure(text: str, scale: float) -> Figure:
    number = read_number(text)
    if number is None:
        return Figure(math.nan, 0, text)
    value = number.value if scale == 1 else round(number.value * scale, 6)
    value = int(value) if float(value).is_integer() else value
    return Figure(value, 0.5 * 10.0**-number.decimals * scale, text)


# ---- Columns and units -------------------------------------------------------------------


def _choose_columns(
    entries: Mapping[str, Sequence[tuple[Place, str]]],
    right: RightAnswer,
    chosen: Mapping[str, str],
) -> list[ColumnMatch]:
    """Return the column of each header that has one; none is used twice.

    Of several meanings the one with the nearest values is taken.  A header without a
    meaning, such as one in another language, has that of the column whose right values it
    nearly holds.
    """
    offers = []
    for at, (header, texts) in enumerate(entries.items()):
        meanings = [chosen[header]] if header in chosen else find_meanings(header)
        columns = [name for name in meanings if name in FIGURE_COLUMNS]
        is_unknown = not meanings
        for rank, column in enumerate(_GUESSED_COLUMNS if is_unknown else columns):
            distance, scale = _measure_distance(texts, column, right)
            if is_unknown and distance > _LARGEST_GUESS:
                continue
            certainty = 0 if header in chosen else 1 + (len(columns) > 1) + 2 * is_unknown
            offer = (certainty, distance, rank, at, scale)
            offers.append((offer, ColumnMatch(header, column, scale)))
    matches: dict[str, ColumnMatch] = {}
    for _, match in sorted(offers):
        if all(match.header != taken.header for taken in matches.values()):
            matches.setdefault(match.column, match)
    order = list(entries)
    return sorted(matches.values(), key=lambda match: order.index(match.header))


def _measure_distance(
    texts: Iterable[tuple[Place, str]], column: str, right: RightAnswer
) -> tuple[float, float]:
    """Return how far *texts* are from the right *column* in the best unit, and its factor.

    The distance is the mean relative difference, from 0 (equal) to 1.
    """
    pairs = []
    for place, text in texts:
        number = None if is_null(text) else read_number(text)
        value = right.cells.get(place, {}).get(column)
        if number is not None and value is not None:
            pairs.append((number.value, value))
    scales: tuple[float, ...] = (1,)
    if column in AMOUNT_COLUMNS:
        scales = (1, 10**right.currency_digits)
    elif column in RATE_COLUMNS:
        scales = (1, 0.01)
    return min((_average_difference(pairs, scale), scale) for scale in scales)


def _average_difference(
    pairs: Sequence[tuple[int | float, int | float]], scale: float
) -> float:
    """Return the mean relative difference of *pairs*, 1 if there are none.

    >>> _average_difference([(1, 100), (0, 0), (2, 100)], 100)
    0.16666666666666666
    """
    differences = [
        abs(theirs * scale - ours) / max(abs(theirs * scale), abs(ours))
        for theirs, ours in pairs
        if theirs or ours
    ]
    return sum(differences) / len(pairs) if pairs else 1.0


def parse_columns(text: str) -> dict[str, str]:
    """Return the headers in *text*, THEIRS=OURS,…, with our columns.

    A header with the column `none` is not graded.  Raise `ValueError` if a column is
    unknown.

    >>> parse_columns("Umsatz=net_cents, Monat = months_since")
    {'Umsatz': 'net_cents', 'Monat': 'months_since'}
    """
    chosen = {}
    for part in text.split(","):
        header, sign, column = (each.strip() for each in part.rpartition("="))
        column = "cohort" if column in ("cohort_month", "cohort_quarter") else column
        if not sign or not header or column not in (*KEY_COLUMNS, *FIGURE_COLUMNS, "none"):
            raise ValueError(
                f"{part.strip()[:40]!r}, expected THEIRS=OURS, where OURS is a column of"
                " query_result.csv, a ratio of query_result.json, or none"
            )
        chosen[header] = column
    return chosen
