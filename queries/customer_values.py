"""The net of each customer at the ages of CLV, and its spread in each cohort.

A cohort's CLV is a mean; its interval and its median need the customers' own values.  From
SQLite these are fetched; another engine returns sums and middle values instead.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from queries.cohort_cells import Cell
from queries.uncertainty import Spread, describe_spread
from utils.months import month_text, quarter_text

# The ages of a cohort at which its CLV is given, in months.
CLV_MONTHS = (3, 6, 12, 24)

# The key for all cohorts together; no cohort has this name.
ALL_COHORTS = ""

# (Cohort, months since) → the spread of its customers' values.
Spreads = Mapping[tuple[str, int], Spread]

# (Segment, cohort by month) → the customers' values, one array for each age.
# (In quotes, because Python 3.11 cannot subscript an array.)
ValueArrays: TypeAlias = "dict[tuple[str, str], list[array[int]]]"

# Grain, months since, segment or None for all, cohort or `ALL_COHORTS`.
SpreadKey = tuple[str, int, str | None, str]


class MeasuredSpreads(NamedTuple):
    """The spreads of all cohorts, as another engine measured them."""

    spreads: dict[SpreadKey, Spread]


def collect_values(rows: Iterable[tuple[Any, ...]]) -> ValueArrays:
    """Return the values in *rows* of customer_values.sql.

    A row is the segment, the month number of the cohort, and the net at each age.
    """
    values: dict[tuple[str, int], list[array[int]]] = {}
    for segment, cohort, *amounts in rows:
        arrays = values.get((segment, cohort))
        if arrays is None:
            arrays = values[segment, cohort] = [array("q") for _ in CLV_MONTHS]
        for age_array, amount in zip(arrays, amounts, strict=True):
            age_array.append(amount)
    return {
        (segment, month_text(cohort)): arrays
        for (segment, cohort), arrays in values.items()
    }


def measure_spreads(
    values: ValueArrays | MeasuredSpreads | None,
    cells: Sequence[Cell],
    segment: str | None = None,
    *,
    grain: str,
    omitted_cohort: str | None = None,
) -> Spreads:
    """Return the spread of each complete cell of *cells* at an age of CLV.

    *segment* chooses its customers only; None chooses all.  The key `ALL_COHORTS` holds
    the customers of all cohorts that have completed the age, without *omitted_cohort*.
    An engine has omitted it already.
    """
    if values is None:
        return {}
    complete = {
        (cell["cohort"], cell["months_since"])
        for cell in cells
        if cell["is_complete"] and cell["months_since"] in CLV_MONTHS
    }
    if isinstance(values, MeasuredSpreads):
        spreads = _select_spreads(values, complete, segment, grain)
    else:
        amounts = _select_amounts(values, complete, segment, grain, omitted_cohort)
        spreads = {key: describe_spread(of_key) for key, of_key in amounts.items()}
    for cell in cells:
        spread = spreads.get((cell["cohort"], cell["months_since"]))
        if spread and spread.total_cents != cell["cum_net_cents"]:
            raise RuntimeError(f"the customers' values do not add up to {cell}: {spread}")
    return spreads


def _select_amounts(
    values: ValueArrays,
    complete: set[tuple[str, int]],
    segment: str | None,
    grain: str,
    omitted_cohort: str | None,
) -> Mapping[tuple[str, int], array[int]]:
    """Return the values of each cohort and age in *complete*, and of all of them.

    The latter are without *omitted_cohort*.
    """
    selected: dict[tuple[str, int], array[int]] = {}
    for (of_segment, month), arrays in values.items():
        if segment not in (None, of_segment):
            continue
        cohort = quarter_text(month) if grain == "quarter" else month
        names = [cohort] if cohort == omitted_cohort else [cohort, ALL_COHORTS]
        for months, amounts in zip(CLV_MONTHS, arrays, strict=True):
            if (cohort, months) in complete:
                for name in names:
                    selected.setdefault((name, months), array("q")).extend(amounts)
    return selected


def _select_spreads(
    values: MeasuredSpreads,
    complete: set[tuple[str, int]],
    segment: str | None,
    grain: str,
) -> dict[tuple[str, int], Spread]:
    """Return the spread of each cohort and age in *complete*, and of all of them."""
    selected = {
        (cohort, months): spread
        for (of_grain, months, of_segment, cohort), spread in values.spreads.items()
        if (of_grain, of_segment) == (grain, segment)
    }
    measured = {key for key in selected if key[0] != ALL_COHORTS}
    if measured != complete:
        raise RuntimeError(
            f"the engine's spreads and the complete cells differ: {measured ^ complete}"
        )
    return selected
