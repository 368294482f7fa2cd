"""The cohorts as text for a terminal: the headline, and a triangle sized to the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from queries.cohorts import CLV_MONTHS, Cell

_MOST_ROWS = 12
_CELL_WIDTH = 5


def render_summary(document: Mapping[str, Any], *, width: int) -> str:
    """Return the result as plain text, with a table of at most *width* columns."""
    summary = document["summary"]
    if not summary["cohort_count"]:
        return "No cohorts: the database holds no valid order, and both files no cell."
    customers = _count(summary["customer_count"], "customer")
    cohorts = _count(summary["cohort_count"], "cohort")
    return "\n".join(
        [
            f"As of {document['as_of']}: {customers} in {cohorts} by month of first order.",
            "",
            *_render_clv(summary, document["currency"]),
            "",
            *_render_triangle(document, max(width, 40)),
        ]
    )


def _render_clv(summary: Mapping[str, Any], currency: str | None) -> list[str]:
    lines = ["CLV: net per customer so far, of the cohorts old enough"]
    for months in CLV_MONTHS:
        cents = summary[f"clv_{months}m_cents"]
        if cents is None:
            lines.append(f"  {months:>2} months   no cohort is old enough")
            continue
        money = f"{cents / 100:,.2f}" + (f" {currency}" if currency else "")
        cohorts = _count(summary[f"clv_{months}m_cohort_count"], "cohort")
        lines.append(f"  {months:>2} months   {money:>14}   {cohorts}")
    return lines


def _render_triangle(document: Mapping[str, Any], width: int) -> list[str]:
    """Return the latest cohorts' retention as a table of at most *width* columns."""
    cohorts = document["cohorts"][-_MOST_ROWS:]
    hidden_count = len(document["cohorts"]) - len(cohorts)
    name_width = max(len("average"), *(len(cohort["cohort_month"]) for cohort in cohorts))
    sizes = [f"{cohort['cohort_size']:,}" for cohort in cohorts]
    size_width = max(len("size"), *map(len, sizes)) + 2
    room = max(1, (width - name_width - size_width) // _CELL_WIDTH)
    ages = sorted({cell["months_since"] for cell in document["cells"]})[:room]
    marks = {(c["cohort_month"], c["months_since"]): _mark(c) for c in document["cells"]}
    means = {age["months_since"]: _percent(age["retention"]) for age in document["average"]}
    rows = [["cohort", "size", *(f"{age} " for age in ages)]]
    for cohort, size in zip(cohorts, sizes, strict=True):
        month = cohort["cohort_month"]
        rows.append([month, size, *(marks.get((month, age), "") for age in ages)])
    rows.append(["average", "", *(means.get(age, "") for age in ages)])
    return [
        "Retention by months since, in % of the cohort (* the month still runs)",
        *(
            f"{name:<{name_width}}{size:>{size_width}}{_render_cells(cells)}".rstrip()
            for name, size, *cells in rows
        ),
        *([f"Not shown: {_count(hidden_count, 'older cohort')}."] if hidden_count else []),
    ]


def _render_cells(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)


def _mark(cell: Cell) -> str:
    if cell["retention"] is None:
        return ""
    text = _percent(cell["retention"])
    return text if cell["is_complete"] else text.rstrip() + "*"


def _percent(share: float | None) -> str:
    """Return *share* in whole percent, with room for a mark: `15 `, `<1 `, `0 `."""
    if share is None:
        return ""
    return "<1 " if 0 < share < 0.005 else f"{share * 100:.0f} "


def _count(number: int, noun: str) -> str:
    """Return *number* and its *noun*.

    >>> _count(1, "cohort"), _count(1200, "cohort")
    ('1 cohort', '1,200 cohorts')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
