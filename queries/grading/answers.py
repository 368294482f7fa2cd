"""The cells of an answer, by segment, cohort and months since, and the right ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from queries.cohort_cells import (
    FLAG_COLUMNS,
    FLOW_COLUMNS,
    RUNNING_COLUMNS,
    Cell,
)
from queries.cohorts import add_ratios
from queries.customer_values import ALL_COHORTS
from queries.options import Options

# The columns of a cell that are ratios; the first three are rates.
RATE_COLUMNS = ("retention", "retention_low", "retention_high")
CUSTOMER_COLUMNS = (
    "aov_cents",
    "net_per_customer_cents",
    "cum_net_per_customer_cents",
    "cum_margin_per_customer_cents",
)
RATIO_COLUMNS = (*RATE_COLUMNS, *CUSTOMER_COLUMNS)

# What can be graded, in the order of query_result.csv.
FIGURE_COLUMNS = (
    "cohort_size",
    *FLOW_COLUMNS,
    *RUNNING_COLUMNS,
    *FLAG_COLUMNS,
    *RATIO_COLUMNS,
)
AMOUNT_COLUMNS = tuple(name for name in FIGURE_COLUMNS if name.endswith("_cents"))


class Place(NamedTuple):
    """What identifies a cell; *segment* is empty without segments."""

    segment: str
    cohort: str
    months_since: int


# The figures of each cell, by column; None is no value.
Figures = Mapping[str, "int | float | None"]
Answer = Mapping[Place, Figures]


class RightAnswer(NamedTuple):
    """The right cells, and what describes them: options, last day, currency."""

    cells: Answer
    options: Options
    as_of: str | None
    currency: str | None
    currency_digits: int

    @property
    def is_average(self) -> bool:
        """Return whether the cells are averages over all cohorts."""
        return all(place.cohort == ALL_COHORTS for place in self.cells)


def take_document(document: Mapping[str, Any], options: Options) -> RightAnswer:
    """Return the right answer in *document*, the result of a run with *options*."""
    cells: Iterable[Cell] = document["cells"]
    if options.by:
        cells = (
            {"segment": part["segment"]} | cell
            for part in document["segments"]
            for cell in part["cells"]
        )
    return RightAnswer(
        place_cells(cells),
        options,
        document["as_of"],
        document["currency"],
        document["currency_digits"],
    )


def place_cells(cells: Iterable[Cell]) -> dict[Place, Figures]:
    """Return *cells* by place, each with its figures only."""
    return {
        Place(cell.get("segment", ""), cell["cohort"], cell["months_since"]): {
            name: cell.get(name) for name in FIGURE_COLUMNS
        }
        for cell in cells
    }


def derive_cells(cells: Iterable[Cell]) -> dict[Place, Figures]:
    """Return *cells*, which have no ratios yet, with them, by place."""
    return place_cells(map(add_ratios, cells))
