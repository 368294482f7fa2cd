"""The plan of a shop, its defaults, its parts, and spans of its days."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date
from itertools import accumulate, pairwise
from typing import NamedTuple

from data_generation.model.purchase_processes import PROCESSES
from data_generation.model.seasons import DAY_TICKS, Calendar
from data_generation.model.streams import LARGEST_SEED
from utils.months import find_window_error

DEFAULT_SEED = 42
DEFAULT_USERS = 5_000
DEFAULT_PROCESS = "steady"
# The default window is 24 complete months.
DEFAULT_START = date(2024, 1, 1)
DEFAULT_END = date(2025, 12, 31)

# A purchase stores its user's id in 27 bits; a window that ends later has more users.
MOST_USERS = 100_000_000
MOST_PARTS = 9_999


class Plan(NamedTuple):
    """A shop: *users* customers sign up from *start* to *end*, both included.

    Its window ends at *until*, which may be before or after *end*.  *users* and *end* set
    the pace of the sign-ups, so that a shop with a later *until* begins with the same
    events.

    *process* names how customers buy; *is_calm* is whether nothing unusual happens.
    """

    seed: int
    users: int
    start: date
    end: date
    until: date
    process: str = DEFAULT_PROCESS
    is_calm: bool = False

    @property
    def paced_days(self) -> int:
        """Return the number of days in which *users* sign up."""
        return (self.end - self.start).days + 1


def find_plan_error(plan: Plan) -> str | None:
    """Return why *plan* is not usable, in words; None if it is."""
    if not 0 <= plan.seed <= LARGEST_SEED:
        return f"seed {plan.seed}, expected 0 to {LARGEST_SEED}"
    if not 0 <= plan.users <= MOST_USERS:
        return f"{plan.users} users, expected 0 to {MOST_USERS}"
    if plan.end < plan.start:
        return f"end {plan.end} is before start {plan.start}"
    if plan.until < plan.start:
        return f"until {plan.until} is before start {plan.start}"
    if plan.process not in PROCESSES:
        return f"process {plan.process}, expected one of {', '.join(PROCESSES)}"
    return find_window_error(plan.start, max(plan.end, plan.until))


class Part(NamedTuple):
    """Part *number* of *total* of every file, by time; the parts in order are the file."""

    number: int
    total: int

    def name_file(self, table: str) -> str:
        """Return the name of this part of a table's file.

        >>> Part(2, 16).name_file("users"), Part(1, 1).name_file("users")
        ('users.csv.part-02-of-16', 'users.csv')
        """
        return f"{table}.csv{self.suffix}"

    @property
    def suffix(self) -> str:
        """Return the end of the names of this part's files.

        >>> Part(2, 16).suffix, Part(1, 1).suffix
        ('.part-02-of-16', '')
        """
        if self.total == 1:
            return ""
        width = len(str(self.total))
        return f".part-{self.number:0{width}}-of-{self.total}"


# The part of a shop that is not divided into several.
UNDIVIDED = Part(1, 1)


class Span(NamedTuple):
    """The days from *first* to *stop*, without *stop*; 0 is the first day of the window."""

    first: int
    stop: int


def cut_days(
    calendar: Calendar, signup_counts: Sequence[int], span: Span, count: int
) -> list[Span]:
    """Return *span*, cut into *count* spans of about the same work; some may be empty.

    *signup_counts* are by day.  The weight of a sign-up is one order, its first; earlier
    users place about one order in 250 days of average demand.
    """
    user_totals = accumulate(signup_counts)
    weights = [
        250 * DAY_TICKS * signups + total * (after - before)
        for signups, total, before, after in zip(
            signup_counts, user_totals, calendar.ticks, calendar.ticks[1:], strict=False
        )
    ][span.first : span.stop]
    totals = list(accumulate(weights, initial=0))
    marks = [0]
    for number in range(1, count):
        target = totals[-1] * number // count
        marks.append(bisect_left(totals, target))
    marks.append(len(weights))
    return [Span(span.first + first, span.first + stop) for first, stop in pairwise(marks)]
