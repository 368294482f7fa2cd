"""All days of a part: sign-ups, then orders, made in this process or in several.

Several processes make pieces of the days, many more than there are processes, so that none
waits long for another.  The part's rows are written in order while later pieces are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import reduce
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data_generation.model.lifecycle import LIFECYCLE_DAYS
from data_generation.model.orders import Ids
from data_generation.pieces import (
    KeptPayments,
    PlannedOrders,
    order_piece,
    pay_piece,
    plan_piece,
)
from data_generation.plan import Part, Plan, Span, cut_days
from data_generation.spans import (
    Shop,
    SignupFiles,
    count_span,
    order_span,
    sign_up_span,
)
from data_generation.workers import Executor, Write

if TYPE_CHECKING:
    from concurrent.futures import Future

# The users of each process: about the fewest for which it saves more time than its start
# costs.
USERS_PER_WORKER = 20_000

# There are enough pieces for each worker that none waits long for another one, but none is
# too small to be worth its files.
PIECES_PER_WORKER = 16
USERS_PER_PIECE = 5_000

ORDER_TABLES = ("orders", "order_items", "payments")

# The progress of a run is estimated from these: the relative work of a sign-up and of an
# order, and the number of orders per user.
SIGNUP_WORK, ORDER_WORK = 1, 2
ORDERS_PER_USER = 2


class WorkEstimate:
    """The progress of a run, as rows made and work done per mille of the estimate."""

    def __init__(
        self, user_count: int, on_progress: Callable[[int, int], None] | None
    ) -> None:
        self.order_count = ORDERS_PER_USER * user_count
        self._user_count = user_count
        self._on_progress = on_progress
        self._rows = 0
        self._done = 0

    def add(self, users: int, orders: int, rows: int) -> None:
        """Add *users* and *orders* that have been made, and *rows* that were written."""
        self._rows += rows
        self._done += SIGNUP_WORK * users + ORDER_WORK * orders
        work = SIGNUP_WORK * self._user_count + ORDER_WORK * self.order_count
        if self._on_progress is not None:
            self._on_progress(self._rows, 1000 * self._done // max(work, self._done, 1))


class PartDays(NamedTuple):
    """The days of a part and the days before it, each cut into spans of equal work.

    The orders of the days of *lead_in* can have payments in the part; those of the
    *earlier* days cannot.
    """

    earlier: list[Span]
    lead_in: list[Span]
    own: list[Span]
    user_count: int
    workers: int


def divide_days(shop: Shop, part: Part, workers: int) -> PartDays:
    """Return the days of *part* for at most *workers*; a small part gets fewer."""
    calendar, counts = shop.calendar, shop.signup_counts
    all_days = Span(0, len(calendar.days))
    own = cut_days(calendar, counts, all_days, part.total)[part.number - 1]
    lead_in = max(own.first - LIFECYCLE_DAYS, 0)
    user_count = sum(counts[: own.stop])
    workers = choose_workers(workers, user_count)
    earlier, lead_in_days, own_days = (
        cut_pieces(shop, days, workers)
        for days in (Span(0, lead_in), Span(lead_in, own.first), own)
    )
    return PartDays(earlier, lead_in_days, own_days, user_count, workers)


def choose_workers(workers: int, user_count: int) -> int:
    """Return how many of *workers* save time for a shop of *user_count* users."""
    return max(1, min(workers, user_count // USERS_PER_WORKER))


def cut_pieces(shop: Shop, days: Span, workers: int) -> list[Span]:
    """Return *days* in pieces for *workers*; a single worker needs no more than one."""
    most = PIECES_PER_WORKER * workers if workers > 1 else 1
    user_count = shop.first_ids[days.stop] - 1
    pieces = max(1, min(most, user_count // USERS_PER_PIECE))
    spans = cut_days(shop.calendar, shop.signup_counts, days, pieces)
    return [span for span in spans if span.first < span.stop]


class Work(NamedTuple):
    """The *days* of a *plan* to be made, and which *tables* of them.

    Scratch files are in the folder *scratch*.
    """

    plan: Plan
    days: PartDays
    tables: Collection[str]
    scratch: Path
    estimate: WorkEstimate

    def has_orders(self) -> bool:
        """Return whether more than users is to be made."""
        return bool(self.days.own) and any(table in ORDER_TABLES for table in self.tables)

    def list_signups(self) -> Iterator[tuple[Any, ...]]:
        """Yield the arguments of `sign_up_span` for each span."""
        days = self.days
        last_day = max((span.stop for span in days.own), default=0)
        for span in [*days.earlier, *days.lead_in, *days.own]:
            is_written = span in days.own and "users" in self.tables
            yield self.plan, span, last_day, self.scratch, is_written

    def note_orders(self, signup_files: Sequence[SignupFiles]) -> None:
        """Correct the estimate by the number of orders of *signup_files*."""
        last_day = self.days.own[-1].stop
        self.estimate.order_count = sum(
            files.count_orders(last_day) for files in signup_files
        )


def make_days(work: Work, write: Write) -> None:
    """Make the users and then the orders of *work* in this process."""
    on_progress = work.estimate.add
    signup_files = [sign_up_span(write, on_progress, *task) for task in work.list_signups()]
    if not work.has_orders():
        return
    work.note_orders(signup_files)
    (own,) = work.days.own
    counts = (
        count_span(write, on_progress, work.plan, span, signup_files)
        for span in [*work.days.earlier, *work.days.lead_in]
    )
    before = reduce(Ids.add, counts, Ids())
    order_span(write, on_progress, work.plan, own, signup_files, before)


def share_days(work: Work, executor: Executor) -> None:
    """Make the users and then the orders of *work* in several processes.

    A sign-up day does not depend on other days, but a piece of order days needs the
    purchases of all users and the number of all earlier orders and lines.
    """
    signup_files = list(executor.run(sign_up_span, work.list_signups()))
    if work.has_orders():
        work.note_orders(signup_files)
        _make_orders(work, executor, _plan_orders(work, executor, signup_files))


def _plan_orders(
    work: Work, executor: Executor, signup_files: Sequence[SignupFiles]
) -> list[tuple[Span, PlannedOrders, Ids]]:
    """Return each piece of order days, its planned orders, and the ids before them."""
    plan, days = work.plan, work.days
    counts = executor.run(count_span, ((plan, span, signup_files) for span in days.earlier))
    before = reduce(Ids.add, counts, Ids())
    spans = [*days.lead_in, *days.own]
    tasks = (
        (plan, span, signup_files, work.scratch.joinpath(f"planned.{span.first}"))
        for span in spans
    )
    all_planned = list(executor.run(plan_piece, tasks))
    for files in signup_files:
        files.purchases.unlink()
    ids = accumulate((planned.ids for planned in all_planned), Ids.add, initial=before)
    return list(zip(spans, all_planned, ids, strict=False))


def _make_orders(
    work: Work, executor: Executor, pieces: Sequence[tuple[Span, PlannedOrders, Ids]]
) -> None:
    """Make the orders of *pieces*, their lines and their payments."""
    _, _, ids_before_part = pieces[len(work.days.lead_in)]
    payments = PaymentPass(work, executor, ids_before_part.payments)
    plan, scratch, own = work.plan, work.scratch, work.days.own
    tasks = (
        (plan, span, planned, before, scratch.joinpath(f"kept.{span.first}"), span in own)
        for span, planned, before in pieces
    )
    all_kept = executor.run(order_piece, tasks)
    for (span, *_), kept in zip(pieces, all_kept, strict=True):
        payments.add(span, kept)
    payments.finish()


class PaymentPass:
    """The last pass of several processes over the days of *work*: payments.

    *count_before* is the number of payments of all orders before the part.
    """

    def __init__(self, work: Work, executor: Executor, count_before: int) -> None:
        self._work = work
        self._executor = executor
        self._last_id = count_before
        self._all_kept: list[KeptPayments] = []
        self._futures: deque[tuple[Span, Future[Any]]] = deque()

    def add(self, span: Span, kept: KeptPayments) -> None:
        """Let a worker write the payments of *span*, whose orders made those *kept*."""
        work, days = self._work, self._work.days
        self._all_kept.append(kept)
        if span in days.lead_in:
            # A payment that is made in the part or later has no id yet.
            self._last_id -= kept.count(Span(days.own[0].first, kept.last_day + 1))
        elif "payments" in work.tables:
            # The files of the others are removed while the worker begins.
            all_kept = [kept for kept in self._all_kept if kept.last_day >= span.first]
            first_id = self._last_id + 1
            self._last_id += sum(kept.count(span) for kept in all_kept)
            future = self._executor.submit(pay_piece, work.plan, span, all_kept, first_id)
            self._futures.append((span, future))
            if len(self._futures) > days.workers:
                self._finish_oldest()

    def finish(self) -> None:
        """Wait until all payments are written."""
        while self._futures:
            self._finish_oldest()

    def _finish_oldest(self) -> None:
        span, future = self._futures.popleft()
        self._executor.finish(future)
        for kept in self._all_kept:
            if kept.last_day < span.stop:
                kept.path.unlink(missing_ok=True)
        self._all_kept = [kept for kept in self._all_kept if kept.last_day >= span.stop]
