"""A grade as text: grade.md, and the tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from db.fault_grading.cleaned_files import DAMAGES, OUTCOMES
from db.fault_grading.fault_grades import PLACES
from utils.formats import align_columns, count_noun, format_count, format_percent
from utils.markdown_tables import TableColumn, render_table

Row = Mapping[str, Any]

# What the columns of counts are called.
_HEADINGS = {
    "planted": "Planted",
    "exact": "Found",
    "in_row": "Elsewhere in the row",
    "related": "Through its order",
    "missed": "Missed",
    "repaired": "Repaired",
    "changed": "Changed",
    "left": "Left",
    "recall": "Recall",
}

_TIERS = {
    1: "1: the loader refuses it",
    2: "2: a check lists it",
    3: "3: only comparisons show it",
}

_DAMAGES = {
    "cells_changed": "cells that were right and are wrong now",
    "rows_lost": "rows that were right and are gone",
    "rows_added": "rows that the clean files do not have",
}

# The most rows of a list that are shown.
_SHOWN = 20


def render_terminal(grade: Row) -> str:
    """Return the grade as a few lines and a table by tier, for the terminal."""
    headings, rows = _tabulate_tiers(grade)
    return "\n".join([*_list_sentences(grade), "", *align_columns([headings, *rows])])


def render_fault_grade(grade: Row) -> str:
    """Return grade.md, complete but for the long lists, which are in grade.json."""
    parts = [
        f"# Grade of {grade['graded']}",
        "\n".join(f"- {sentence}" for sentence in _list_sentences(grade)),
        "## By tier",
        _render(*_tabulate_tiers(grade)),
        "## By kind",
        _render(*_tabulate_kinds(grade)),
        "## By class",
        _render(*_tabulate(grade, "by_class", "Class", lambda row: row["class"])),
    ]
    if "incidents" in grade:
        parts += ["## Incidents", _render(*_tabulate_incidents(grade))]
    for name, title in (
        ("missed", "Missed faults"),
        ("false_alarms", "False alarms"),
        ("decoys_flagged", "Decoys that were listed"),
    ):
        if grade.get(name):
            parts += [f"## {title}", _render_list(grade[name])]
    return "\n\n".join(parts) + "\n"


def _list_sentences(grade: Row) -> Iterator[str]:
    """Yield the totals of *grade* in words."""
    faults = grade["faults"]
    if "findings" in grade:
        found = faults["planted"] - faults["missed"]
        findings = grade["findings"]
        yield (
            f"Recall {format_percent(faults['recall'])}: {format_count(found)} of"
            f" {count_noun(faults['planted'], 'planted fault')} found."
        )
        yield (
            f"Precision {format_percent(grade['precision'])}:"
            f" {format_count(findings['right'])} of"
            f" {count_noun(findings['count'], 'finding')} right,"
            f" {count_noun(findings['false_alarms'], 'false alarm')},"
            f" {count_noun(findings['decoys'], 'decoy')},"
            f" {format_count(findings['uncounted'])} not counted."
        )
        incidents = grade["incidents"]
        yield (
            f"{format_count(sum(each['is_found'] for each in incidents))} of"
            f" {count_noun(len(incidents), 'incident')} found."
        )
        uncounted = sum(each["planted"] for each in grade["uncounted_faults"])
        yield (
            f"{count_noun(uncounted, 'fault')} counted for neither side: nobody can see"
            " them without the clean data, or they need judgement."
        )
    else:
        yield (
            f"Repaired {format_percent(faults['recall'])}:"
            f" {format_count(faults['repaired'])} of"
            f" {count_noun(faults['planted'], 'planted fault')};"
            f" {format_count(faults['changed'])} changed to something else,"
            f" {format_count(faults['left'])} left."
        )
        damage = ", ".join(
            f"{format_count(grade['damage'][name])} {_DAMAGES[name]}" for name in DAMAGES
        )
        yield f"Damage: {damage}."
        yield f"{count_noun(grade['decoys_removed'], 'planted decoy')} removed."
    if not grade.get("loads", True):
        yield (
            "The loader refuses these files, so no check of the report has run: correct"
            " what it names, and grade again."
        )


# ---- Tables ------------------------------------------------------------------------------


def _tabulate(
    grade: Row, name: str, heading: str, label: Any
) -> tuple[list[str], list[list[str]]]:
    """Return the headings and rows of the groups *name*, each with its *label*."""
    counts = list(PLACES if "findings" in grade else OUTCOMES)
    columns = ["planted", *counts]
    rows = [
        [
            label(row),
            *(format_count(row[column]) for column in columns),
            format_percent(row["recall"]),
        ]
        for row in grade[name]
    ]
    return [heading, *(_HEADINGS[column] for column in [*columns, "recall"])], rows


def _tabulate_tiers(grade: Row) -> tuple[list[str], list[list[str]]]:
    return _tabulate(grade, "by_tier", "Tier", lambda row: _TIERS[row["tier"]])


def _tabulate_kinds(grade: Row) -> tuple[list[str], list[list[str]]]:
    return _tabulate(
        grade, "by_kind", "Tier and kind", lambda row: f"{row['tier']} {row['kind']}"
    )


def _tabulate_incidents(grade: Row) -> tuple[list[str], list[list[str]]]:
    headings = ["Incident", "Planted", "Found"]
    rows = [
        [
            f"{each['incident_id']}: {each['description']}",
            format_count(each["planted"]),
            "yes" if each["is_found"] else "no",
        ]
        for each in grade["incidents"]
    ]
    return headings, rows


def _render(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = [
        TableColumn(heading, is_figure=at > 0, width=160)
        for at, heading in enumerate(headings)
    ]
    return render_table(columns, rows)


def _render_list(rows: Sequence[Row]) -> str:
    shown = [[str(cell) for cell in row.values()] for row in rows[:_SHOWN]]
    names = [name.replace("_", " ").capitalize() for name in rows[0]]
    table = render_table([TableColumn(name) for name in names], shown)
    more = len(rows) - len(shown)
    return table + (
        f"\n\nAnd {count_noun(more, 'row')} more in grade.json." if more else ""
    )
