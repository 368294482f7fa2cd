"""A grade as text for the terminal, as grade.json and as grade.md."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from queries.grading.explanation import Explanation
from queries.grading.grading import Grade
from queries.grading.marking import (
    RIGHT,
    Mark,
    count_by_column,
    count_by_region,
    count_marks,
    list_worst,
    share,
)
from queries.grading.matching import ColumnMatch
from utils.atomic_files import write_atomically
from utils.formats import align_columns, count_noun, format_percent, shorten_value
from utils.helpers import escape_line, render_json
from utils.markdown_tables import TableColumn, escape, render_table

GRADE_JSON = "grade.json"
GRADE_MARKDOWN = "grade.md"

SCHEMA_VERSION = "1.0"

# The most cells that are not right which grade.json lists.
_MOST_CELLS = 10_000

# A sentence of grade.md is cut beyond.
MOST_CHARACTERS = 2_000

# The most explanations that are named if they fit equally.
MOST_CHOICES = 4

# The headings of the columns that hold no figure.
_TEXT_HEADINGS = ("column", "where", "largest differences", "rank", "file")


def write_grade(grade: Grade, out_dir: Path) -> list[Path]:
    """Write grade.json and grade.md to *out_dir*; return their paths."""
    texts = {out_dir / name: text for name, text in render_grade_files(grade).items()}
    write_atomically(texts)
    return list(texts)


def render_grade_files(grade: Grade) -> dict[str, str]:
    """Return the texts of grade.json and grade.md, by name."""
    return {
        GRADE_JSON: render_json(describe_grade(grade)),
        GRADE_MARKDOWN: render_grade_markdown(grade),
    }


# ---- Terminal ----------------------------------------------------------------------------


def render_grade(grade: Grade, *, width: int) -> str:
    """Return *grade* as plain text of at most *width* columns, tables apart."""
    sections = [
        _wrap_all([_render_headline(grade)], width),
        _wrap_all(_list_matches(grade), width),
        align_columns(_tabulate_columns(grade)),
        align_columns(_tabulate_regions(grade)),
        align_columns(_tabulate_worst(grade)),
        _wrap_all(list_mistakes(grade), width),
        [_render_points(grade)],
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _wrap_all(lines: Iterable[str], width: int) -> list[str]:
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, max(width, 40), subsequent_indent="  ")
    ]


def _render_headline(grade: Grade) -> str:
    options = grade.right.options
    by = f" and {options.by}" if options.by else ""
    what = "averages of cohorts" if grade.right.is_average else "cohorts"
    return (
        f"{escape_line(grade.name)} ({grade.table.form}) beside the right answer: {what}"
        f" by {options.grain}{by}, as of {grade.right.as_of}."
    )


def _list_matches(grade: Grade) -> list[str]:
    """Return what was matched to what, and what was not."""
    matches = [*grade.table.keys, *grade.table.matches]
    same = sum(match.header == match.column and match.scale == 1 for match in matches)
    others = [
        f"{_quote(match.header)} is {match.column}{_describe_unit(match)}"
        for match in matches
        if match.header != match.column or match.scale != 1
    ]
    lines = [f"Matched: {', '.join(others)}."] if others else []
    if same:
        lines.append(f"Matched by our own names: {count_noun(same, 'column')}.")
    if grade.table.unknown:
        names = ", ".join(map(_quote, grade.table.unknown[:20]))
        lines.append(f"Not matched: {names}.")
    if grade.table.ignored:
        rows = count_noun(len(grade.table.ignored), "row")
        examples = ", ".join(map(_quote, dict.fromkeys(grade.table.ignored[:3])))
        lines.append(f"Not read: {rows} without a cohort and a month ({examples}).")
    if grade.marks.absent:
        lines.append(f"Not handed in: {', '.join(grade.marks.absent)}.")
    return lines


def _quote(header: str) -> str:
    return header if header.isidentifier() and len(header) < 30 else shorten_value(header)


def _describe_unit(match: ColumnMatch) -> str:
    if match.scale == 1:
        return ""
    return " (in percent)" if match.scale < 1 else f" (in units of {match.scale:g} cents)"


def _tabulate_columns(grade: Grade) -> list[list[str]]:
    """Return the counts and points of each column, under headings, and of all."""
    rows = [["column", "right", "wrong", "missing", "extra", "points"]]
    for column, counts in count_by_column(grade.marks).items():
        most = grade.marks.points[column]
        reached = f"{most * share(counts):.2f} of {most:g}"
        rows.append([column, *(f"{count:,}" for count in counts), reached])
    return rows


def _tabulate_regions(grade: Grade) -> list[list[str]]:
    """Return the counts of each region with a wrong cell; nothing if all are right."""
    regions = count_by_region(grade.marks, grade.right)
    rows = [
        [escape_line(name), *(f"{count:,}" for count in counts)]
        for name, counts in regions.items()
    ]
    return [["where", "right", "wrong", "missing", "extra"], *rows] if rows else []


def _tabulate_worst(grade: Grade) -> list[list[str]]:
    """Return the wrong cells with the largest differences; nothing if there are none."""
    rows = [_describe_mark(mark, grade) for mark in list_worst(grade.marks)]
    headings = ["largest differences", "column", "theirs", "right", "difference"]
    return [headings, *rows] if rows else []


def _describe_mark(mark: Mark, grade: Grade) -> list[str]:
    """Return the place, column, theirs, right and difference of a wrong cell."""
    place = mark.place
    segment = f"{shorten_value(place.segment)} " if place.segment else ""
    scale = find_scale(grade, mark.column)
    theirs = shorten_value(mark.theirs.text)[1:-1] if mark.theirs else ""
    return [
        f"{segment}{escape_line(place.cohort or 'all')} month {place.months_since}",
        mark.column,
        theirs,
        _show(mark.right, scale),
        _show(mark.difference, scale, sign="+"),
    ]


def find_scale(grade: Grade, column: str) -> float:
    """Return the factor from the unit of *column* in the submission to ours."""
    return next((one.scale for one in grade.table.matches if one.column == column), 1)


def _show(value: float | None, scale: float, *, sign: str = "") -> str:
    """Return *value* in the unit of the submission.

    >>> _show(123450, 100), _show(0.1474, 0.01), _show(-5, 1, sign="+"), _show(None, 1)
    ('1,234.50', '14.74', '-5', '')
    """
    if value is None:
        return ""
    number = Decimal(repr(round(value, 6))) / Decimal(repr(scale))
    if scale > 1:
        number = number.quantize(Decimal(1) / Decimal(repr(scale)))
    return f"{number:{sign},f}"


# ---- Mistakes ----------------------------------------------------------------------------


def list_mistakes(grade: Grade) -> list[str]:
    """Return which mistakes explain the wrong cells, with the reason and the remedy."""
    if grade.marks.is_full:
        return []
    lines = []
    for explanation in grade.explanations:
        lines.append(_describe_explanation(explanation))
        mistakes = dict.fromkeys(one for made in explanation.choices for one in made)
        for mistake in mistakes:
            name = f"({mistake.title}) " if len(mistakes) > 1 else ""
            lines.append(f"Why {name}it is wrong: {mistake.why}")
            lines.append(f"Instead: {mistake.instead}")
    explained = {column for one in grade.explanations for column in one.columns}
    others = [
        column
        for column, counts in count_by_column(grade.marks).items()
        if share(counts) < 1 and column not in explained
    ]
    if others:
        lines.append(f"No well-known mistake explains {join_words(others)}.")
    return lines


def _describe_explanation(explanation: Explanation) -> str:
    """Return which share of the wrong cells is what you get when mistakes are made."""
    columns = explanation.columns
    where = join_words(columns) if len(columns) <= 4 else f"{len(columns)} columns"
    choices = [
        f"when {join_words([mistake.title for mistake in made])}"
        for made in explanation.choices[:MOST_CHOICES]
    ]
    percent = format_percent(explanation.explained / explanation.wrong)
    text = (
        f"Likely mistake: {percent} of the wrong cells in {where} are what you get"
        f" {', or '.join(choices)}."
    )
    if len(explanation.choices) > 1:
        text += f" These {len(explanation.choices)} explanations fit equally."
    if explanation.contradicted:
        text += f" {count_noun(explanation.contradicted, 'cell')} contradict that."
    return text


def join_words(words: Sequence[str]) -> str:
    """Return *words* as a list in a sentence.

    >>> join_words(["a", "b", "c"]), join_words(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def _render_points(grade: Grade) -> str:
    marks = grade.marks
    counts = count_marks(marks.marks)
    total = f"{marks.reached_points:.2f} of {marks.most_points:g} points"
    if marks.is_full:
        return f"Full marks: {total}; all {counts.right:,} cells are right."
    return f"{total}; {format_percent(share(counts))} of the cells are right."


# ---- Files -------------------------------------------------------------------------------


def describe_grade(grade: Grade) -> dict[str, Any]:
    """Return the document of grade.json."""
    table, marks, right = grade.table, grade.marks, grade.right
    failed = [mark for mark in marks.marks if mark.verdict != RIGHT]
    return {
        "schema_version": SCHEMA_VERSION,
        "submission": {"file": grade.name, "form": table.form},
        "as_of": right.as_of,
        "currency": right.currency,
        "options": right.options.describe(),
        "matched": [match._asdict() for match in table.matches],
        "unmatched": table.unknown,
        "ignored_rows": len(table.ignored),
        "absent": marks.absent,
        "points": {
            "reached": round(marks.reached_points, 2),
            "most": marks.most_points,
            "is_full": marks.is_full,
        },
        "columns": [
            {"column": column, **counts._asdict(), "most_points": marks.points[column]}
            for column, counts in count_by_column(marks).items()
        ],
        "regions": [
            {"region": name, **counts._asdict()}
            for name, counts in count_by_region(marks, right).items()
        ],
        "explanations": [_describe_choices(one) for one in grade.explanations],
        "cell_count": len(failed),
        "cells": [_describe_cell(mark) for mark in failed[:_MOST_CELLS]],
    }


def _describe_choices(explanation: Explanation) -> dict[str, Any]:
    return explanation._asdict() | {
        "choices": [
            [
                {
                    "name": one.name,
                    "title": one.title,
                    "why": one.why,
                    "instead": one.instead,
                }
                for one in made
            ]
            for made in explanation.choices
        ]
    }


def _describe_cell(mark: Mark) -> dict[str, Any]:
    theirs = mark.theirs
    is_number = theirs is not None and math.isfinite(theirs.value)
    return {
        **mark.place._asdict(),
        "column": mark.column,
        "verdict": mark.verdict,
        "theirs": theirs.value if theirs is not None and is_number else None,
        "text": theirs.text if theirs else None,
        "right": mark.right,
    }


def render_grade_markdown(grade: Grade) -> str:
    """Return *grade* as the Markdown text to hand back."""
    notes = _list_matches(grade)
    parts = [
        "# Grade",
        escape(_render_headline(grade), width=MOST_CHARACTERS),
        f"**{escape(_render_points(grade))}**",
        "## Columns",
        _render_rows(_tabulate_columns(grade)),
        "\n".join(f"- {escape(line, width=MOST_CHARACTERS)}" for line in notes),
    ]
    mistakes = list_mistakes(grade)
    if mistakes:
        texts = [escape(line, width=MOST_CHARACTERS) for line in mistakes]
        parts += ["## Mistakes", "\n\n".join(texts)]
    regions = _tabulate_regions(grade)
    if regions:
        parts += ["## Where cells are wrong", _render_rows(regions)]
    worst = _tabulate_worst(grade)
    if worst:
        parts += ["## The largest differences", _render_rows(worst)]
    return "\n\n".join(parts) + "\n"


def _render_rows(rows: Sequence[Sequence[str]]) -> str:
    """Return *rows* as a Markdown table: headings, then texts with figures after them."""
    headings, *body = rows
    columns = [
        TableColumn(heading, is_figure=heading not in _TEXT_HEADINGS)
        for heading in headings
    ]
    return render_table(columns, body)
