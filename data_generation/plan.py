"""What to make, and which days of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import accumulate, pairwise
from typing import NamedTuple

from data_generation.model.seasons import DAY_TICKS, Calendar
from data_generation.model.streams import LARGEST_SEED

# A user's id has 27 bits where a moment of purchase is kept; growth needs some room.
MOST_USERS = 100_000_000
FIRST_YEAR, LAST_YEAR = 1900, 9000
MOST_DAYS = 36_525


class Plan(NamedTuple):
    """A shop: *users* customers sign up from *start* to *end*, both included.

    Its window ends at *until*, *end* or a later day; there the sign-ups go on at their
    pace, so that a shop with a later *until* begins with the very same events.
    """

    seed: int
    users: int
    start: date
    end: date
    until: date

    @property
    def paced_days(self) -> int:
        """Return the number of days in which *users* sign up."""
        return (self.end - self.start).days + 1


def find_fault(plan: Plan) -> str | None:
    """Return what keeps *plan* from being made, in words; None if nothing does."""
    if not 0 <= plan.seed <= LARGEST_SEED:
        return f"seed {plan.seed}, expected 0 to {LARGEST_SEED}"
    if not 0 <= plan.users <= MOST_USERS:
        return f"{plan.users} users, expected 0 to {MOST_USERS}"
    if plan.end < plan.start:
        return f"end {plan.end} is before start {plan.start}"
    if plan.until < plan.end:
        return f"until {plan.until} is before end {plan.end}"
    if not FIRST_YEAR <= plan.start.year <= plan.until.year <= LAST_YEAR:
        return f"{plan.start} to {plan.until}, expected years {FIRST_YEAR} to {LAST_YEAR}"
    if (plan.until - plan.start).days >= MOST_DAYS:
        return f"{plan.start} to {plan.until}, expected at most 100 years"
    return None


class Span(NamedTuple):
    """The days from *first* up to *stop*, which is not one of them; 0 is the first day."""

    first: int
    stop: int


def cut_days(
    calendar: Calendar, signups: Sequence[int], span: Span, pieces: int
) -> list[Span]:
    """Return *span* cut into *pieces* that take about the same work; some may be empty.

    A sign-up weighs as much as its first order; who signed up earlier comes back at the
    mean rate, which is near one order in 250 days of plain demand.
    """
    known = accumulate(signups)
    weights = [
        250 * DAY_TICKS * count + total * (after - before)
        for count, total, before, after in zip(
            signups, known, calendar.ticks, calendar.ticks[1:], strict=False
        )
    ][span.first : span.stop]
    totals = list(accumulate(weights, initial=0))
    marks = [0]
    for piece in range(1, pieces):
        target = totals[-1] * piece // pieces
        marks.append(next(day for day, total in enumerate(totals) if total >= target))
    marks.append(len(weights))
    return [Span(span.first + first, span.first + stop) for first, stop in pairwise(marks)]
