"""The cohorts as text for a terminal: the headline, and a triangle sized to the window."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
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
        money = _money(cents) + (f" {currency}" if currency else "")
        cohorts = _count(summary[f"clv_{months}m_cohort_count"], "cohort")
        lines.append(f"  {months:>2} months   {money:>14}   {cohorts}")
    return lines


def _render_triangle(document: Mapping[str, Any], width: int) -> list[str]:
    """Return the latest cohorts' retention as a table of at most *width* columns."""
    cohorts = document["cohorts"][-_MOST_ROWS:]
    name_width = max(len("average"), *(len(cohort["cohort_month"]) for cohort in cohorts))
    sizes = [f"{cohort['cohort_size']:,}" for cohort in cohorts]
    size_width = max(len("size"), *map(len, sizes)) + 2
    room = max(1, (width - name_width - size_width) // _CELL_WIDTH)
    ages = sorted({cell["months_since"] for cell in document["cells"]})
    hidden = [
        _count(number, noun)
        for number, noun in (
            (len(document["cohorts"]) - len(cohorts), "older cohort"),
            (len(ages[room:]), "later month"),
        )
        if number
    ]
    ages = ages[:room]
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
        *(textwrap.wrap(f"Not shown: {', '.join(hidden)}.", width) if hidden else []),
    ]


def _render_cells(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)


def _mark(cell: Cell) -> str:
    if cell["retention"] is None:
        return ""
    text = _percent(cell["retention"])
    return text if cell["is_complete"] else text.rstrip() + "*"


def _money(cents: float) -> str:
    """Return *cents* as an amount, half a cent rounded away from zero.

    Through the decimal that the JSON shows: in binary, 110.5 cents are 1.10499….

    >>> _money(110.5), _money(33333.5), _money(-0.5), _money(123456)
    ('1.11', '333.34', '-0.01', '1,234.56')
    """
    return f"{_round(Decimal(repr(cents)).scaleb(-2), '0.01'):,}"


def _percent(share: float | None) -> str:
    """Return *share* in whole percent, with room for a mark: `15 `, `<1 `, `0 `."""
    if share is None:
        return ""
    return "<1 " if 0 < share < 0.005 else f"{_round(Decimal(repr(share)) * 100, '1')} "


def _round(number: Decimal, unit: str) -> Decimal:
    return number.quantize(Decimal(unit), rounding=ROUND_HALF_UP)


def _count(number: int, noun: str) -> str:
    """Return *number* and its *noun*.

    >>> _count(1, "cohort"), _count(1200, "cohort")
    ('1 cohort', '1,200 cohorts')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
