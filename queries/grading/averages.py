"""Averages over the cohorts, by age: the right ones, and the well-known wrong ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from statistics import fmean, median

from queries.cohort_cells import SUMMED_COLUMNS
from queries.cohorts import derive_ratios
from queries.customer_values import ALL_COHORTS, CLV_MONTHS
from queries.grading.answers import (
    FIGURE_COLUMNS,
    RATIO_COLUMNS,
    Answer,
    Figures,
    Place,
    RightAnswer,
)

Average = Callable[[Answer], Answer]

# The columns that a table of averages may have.
_CUMULATIVE = ("cum_net_per_customer_cents", "cum_margin_per_customer_cents")


def take_averages(right: RightAnswer, ages: Iterable[int]) -> RightAnswer:
    """Return the right averages in place of the cells of *right*.

    Of a table with no other *ages* than those of a CLV, only these are expected.
    """
    averages = average_by_size(right.cells)
    if {*ages} <= {*CLV_MONTHS}:
        averages = {p: each for p, each in averages.items() if p.months_since in CLV_MONTHS}
    return right._replace(cells=averages)


def average_by_size(cells: Answer) -> Answer:
    """Return the averages of *cells*: of each age, over the cohorts that completed it.

    Sums are divided by sums, as in `average` of query_result.json.
    """
    return _average(cells, _divide_sums)


def average_of_cohorts(cells: Answer) -> Answer:
    """Return the means of the cohorts' own ratios."""
    return _average(cells, lambda members: _combine(members, fmean))


def take_medians(cells: Answer) -> Answer:
    """Return the medians of the cohorts' own ratios."""
    return _average(cells, lambda members: _combine(members, median))


def include_running_month(cells: Answer) -> Answer:
    """Return averages that include the month that is still running."""
    return _average(
        {place: {**figures, "is_complete": 1} for place, figures in cells.items()},
        _divide_sums,
    )


def include_young_cohorts(cells: Answer) -> Answer:
    """Return averages to which a cohort that is too young adds its value so far."""
    latest: dict[str, Place] = {}
    for place in sorted(cells):
        latest[place.cohort] = place
    oldest = max((place.months_since for place in cells), default=0)
    carried = dict(cells)
    for place in latest.values():
        for age in range(place.months_since + 1, oldest + 1):
            carried[place._replace(months_since=age)] = cells[place]
    right, young = average_by_size(cells), include_running_month(carried)
    return {
        place: figures | {name: young[place][name] for name in _CUMULATIVE}
        for place, figures in right.items()
        if isinstance(figures, dict)
    }


def add_up_averages(cells: Answer) -> Answer:
    """Return averages whose cumulative net is the sum of those of all ages so far."""
    right = average_by_size(cells)
    places = sorted(right)
    steps = [right[place]["net_per_customer_cents"] or 0 for place in places]
    return {
        place: {**right[place], _CUMULATIVE[0]: total}
        for place, total in zip(places, accumulate(steps), strict=True)
    }


def _average(cells: Answer, derive: Callable[[Sequence[Figures]], Figures]) -> Answer:
    """Return what *derive* makes of the complete cells of each age."""
    by_age: dict[int, list[Figures]] = defaultdict(list)
    for place, figures in sorted(cells.items()):
        if figures["is_complete"] and figures["retention"] is not None:
            by_age[place.months_since].append(figures)
    none = dict.fromkeys(FIGURE_COLUMNS)
    return {
        Place("", ALL_COHORTS, age): {**none, **derive(members)}
        for age, members in sorted(by_age.items())
    }


def _divide_sums(members: Sequence[Figures]) -> Figures:
    return derive_ratios(
        {name: sum(cell[name] or 0 for cell in members) for name in SUMMED_COLUMNS}
    )


def _combine(
    members: Sequence[Figures], combine: Callable[[Sequence[float]], float]
) -> Figures:
    """Return what *combine* makes of the ratios of *members*."""
    ratios: dict[str, float | None] = {}
    for name in RATIO_COLUMNS:
        values = [value for cell in members if (value := cell[name]) is not None]
        ratios[name] = combine(values) if values else None
    return ratios


# Name, what the wrong answer is, why it is wrong, how to avoid it, and the function.
AVERAGE_MISTAKES: list[tuple[str, str, str, str, Average]] = [
    (
        "average_of_averages",
        "the averages of the cohorts are averaged",
        "a small cohort then weighs as much as a large one.",
        "divide the sum over all cohorts by the number of their customers.",
        average_of_cohorts,
    ),
    (
        "median_for_mean",
        "the median of the cohorts is taken in place of the mean",
        "a median does not add up to the revenue, and here it ignores the cohorts' sizes.",
        "divide the sum over all cohorts by the number of their customers.",
        take_medians,
    ),
    (
        "running_month_in_average",
        "the month that is still running is included in averages",
        "its figures will grow, so the averages of the youngest cohorts are too low.",
        "average only the cells whose month is over.",
        include_running_month,
    ),
    (
        "young_cohorts_in_average",
        "cohorts that are too young are included with their value so far",
        "nobody knows yet what they will be worth at that age, so the average is too low.",
        "average only the cohorts that have completed the age.",
        include_young_cohorts,
    ),
    (
        "averages_added_up",
        "the averages of the months are added up",
        "each age is an average of other cohorts, so the sum is that of none of them.",
        "divide cumulative sums of the cohorts that completed the age.",
        add_up_averages,
    ),
]
