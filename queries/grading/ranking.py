"""The grades of a folder of submissions, best first: as a table and as ranking.csv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from queries.cohort_cells import QueryRows
from queries.grading.grade_output import join_words, render_grade_files
from queries.grading.grading import Grade, Refusal
from queries.grading.marking import count_marks, share
from queries.output import render_csv
from utils.atomic_files import write_atomically
from utils.formats import align_columns, count_noun, format_percent
from utils.helpers import escape_line

RANKING_CSV = "ranking.csv"

_COLUMNS = (
    *("rank", "file", "points", "most_points", "right_cells", "cells"),
    *("mistakes", "not_graded"),
)

# A longer text is cut in the table; ranking.csv has it complete.
_MOST_CHARACTERS = 60


class RankedGrade(NamedTuple):
    """A grade with its rank; grades with equal points share one."""

    rank: int
    grade: Grade


def rank_grades(grades: Iterable[Grade | Refusal]) -> list[RankedGrade]:
    """Return *grades* without the refusals, those with the most points first."""
    graded = [grade for grade in grades if isinstance(grade, Grade)]
    graded.sort(key=lambda grade: (-_measure(grade), grade.name))
    points = [_measure(grade) for grade in graded]
    return [RankedGrade(points.index(_measure(one)) + 1, one) for one in graded]


def _measure(grade: Grade) -> float:
    most = grade.marks.most_points
    return round(grade.marks.reached_points / most, 6) if most else 0.0


def render_ranking(grades: Sequence[Grade | Refusal]) -> str:
    """Return the ranking of *grades* as a table, and the files that are not graded."""
    refusals = [one for one in grades if isinstance(one, Refusal)]
    rows = [["rank", "file", "points", "right cells", "likely mistake"]]
    for rank, grade in rank_grades(grades):
        points = f"{grade.marks.reached_points:.2f} of {grade.marks.most_points:g}"
        right = format_percent(share(count_marks(grade.marks.marks)))
        name = escape_line(grade.name)
        rows.append([str(rank), name, points, right, _shorten(name_mistakes(grade))])
    lines = [f"{count_noun(len(grades) - len(refusals), 'file')} graded."]
    lines += ["", *align_columns(rows)] if rows[1:] else []
    if refusals:
        lines += ["", f"Not graded: {count_noun(len(refusals), 'file')}."]
        lines += [
            f"  {escape_line(one.name)}: {escape_line(one.reason)}" for one in refusals
        ]
    return "\n".join(lines)


def name_mistakes(grade: Grade) -> str:
    """Return the mistakes of *grade* in words."""
    found = [
        " or ".join(join_words([one.title for one in made]) for made in explanation.choices)
        for explanation in grade.explanations
    ]
    return "; ".join(found) or (
        "" if grade.marks.is_full else "none of the well-known ones"
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def write_ranking(grades: Sequence[Grade | Refusal], out_dir: Path) -> Path:
    """Write ranking.csv, and the files of each grade, to *out_dir*; return its path."""
    texts = {
        out_dir / RANKING_CSV: render_csv(QueryRows(_COLUMNS, list(_list_rows(grades))))
    }
    for grade in grades:
        if isinstance(grade, Grade):
            for name, text in render_grade_files(grade).items():
                texts[out_dir / f"{grade.name}.{name}"] = text
    write_atomically(texts)
    return out_dir / RANKING_CSV


def _list_rows(grades: Sequence[Grade | Refusal]) -> Iterator[tuple[object, ...]]:
    for rank, grade in rank_grades(grades):
        counts = count_marks(grade.marks.marks)
        yield (
            rank,
            escape_line(grade.name),
            round(grade.marks.reached_points, 2),
            grade.marks.most_points,
            counts.right,
            sum(counts),
            name_mistakes(grade),
            None,
        )
    for one in grades:
        if isinstance(one, Refusal):
            name, reason = escape_line(one.name), escape_line(one.reason)
            yield (None, name, 0, None, None, None, None, reason)
