"""Pieces of the order days, made by several processes: planned, then ordered, then paid.

An order's id follows from the purchases before it, a line's id from the line counts of all
orders before, and a payment can be made 43 days after its order.  So three passes share the
work, and none does anything twice: a file of each piece hands its columns to the next pass.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

from data_generation.model.baskets import Picks
from data_generation.model.orders import (
    BLOCK,
    Block,
    DayPayments,
    Ids,
    OrderBuilder,
    count_ids,
    list_users,
)
from data_generation.plan import Plan, Span
from data_generation.spans import (
    SignupFiles,
    build_shop,
    plan_days,
    write_orders,
    write_payments,
)
from data_generation.workers import OnProgress, Write


class PlannedOrders(NamedTuple):
    """The file of a piece's planned orders: how many there are by day, and their *ids*."""

    path: Path
    order_counts: list[int]
    ids: Ids


class KeptPayments(NamedTuple):
    """The file of the payments of a piece's orders.

    *places* has, for each day with payments, where they begin, how many they are, and how
    many bytes their texts have.
    """

    path: Path
    places: dict[int, tuple[int, int, int]]

    @property
    def last_day(self) -> int:
        """Return the last day with payments, -1 if there is none."""
        return max(self.places, default=-1)

    def count(self, span: Span) -> int:
        """Return how many payments there are on the days of *span*."""
        return sum(
            count for day, (_, count, _) in self.places.items() if day in range(*span)
        )


def plan_piece(
    _write: Write,
    _on_progress: OnProgress,
    plan: Plan,
    span: Span,
    signup_files: Sequence[SignupFiles],
    path: Path,
) -> PlannedOrders:
    """Plan the orders of *span* and store them at *path*."""
    planned = PlannedOrders(path, [], Ids())
    total = Ids()
    with open(path, "wb") as file:
        for _, blocks in plan_days(build_shop(plan), span, signup_files):
            order_count = 0
            for block in blocks:
                _write_block(file, block)
                total = total.add(count_ids([block]))
                order_count += len(block.purchases)
            planned.order_counts.append(order_count)
    return planned._replace(ids=total)


def _write_block(file: IO[bytes], block: Block) -> None:
    # In this machine's byte order: only this machine reads the file.
    array("Q", block.purchases).tofile(file)
    array("H", block.traits).tofile(file)
    for column in (*block.picks, block.levels, block.line_counts, block.kinds):
        file.write(bytes(column))
    file.write(block.lifecycles)


def _read_blocks(file: IO[bytes], day: str, order_count: int) -> Iterator[Block]:
    """Yield the blocks of *day*, which `_write_block` has written."""
    for start in range(0, order_count, BLOCK):
        count = min(BLOCK, order_count - start)
        purchases = array("Q")
        purchases.fromfile(file, count)
        traits = array("H")
        traits.fromfile(file, count)
        category_picks, place_picks, *columns = [file.read(count) for _ in range(6)]
        yield Block(
            f"{day}/{start // BLOCK}",
            purchases.tolist(),
            list_users(purchases),
            traits,
            Picks(category_picks, place_picks),
            *columns,
        )


def order_piece(
    write: Write,
    on_progress: OnProgress,
    plan: Plan,
    span: Span,
    planned: PlannedOrders,
    before: Ids,
    path: Path,
    is_written: bool,
) -> KeptPayments:
    """Make the orders of *span* and their lines; store their payments at *path*.

    *before* is the number of ids of all orders before.  The rows go to *write* if
    *is_written*.  Remove the file of the *planned* orders.
    """
    shop = build_shop(plan)
    builder = OrderBuilder(shop.streams, shop.calendar, before)
    kept = KeptPayments(path, {})
    with open(planned.path, "rb") as source, open(path, "wb") as target:
        for day, order_count in enumerate(planned.order_counts, span.first):
            blocks = _read_blocks(source, shop.calendar.texts[day], order_count)
            all_rows = builder.make_day(day, blocks, shop.assortment)
            if is_written:
                write_orders(write, on_progress, all_rows)
            else:
                for _ in all_rows:
                    pass
            _keep_payments(target, kept, day, builder.payments_by_day.pop(day, None))
        for day, payments in builder.payments_by_day.items():
            _keep_payments(target, kept, day, payments)
    planned.path.unlink()
    return kept


def _keep_payments(
    file: IO[bytes], kept: KeptPayments, day: int, payments: DayPayments | None
) -> None:
    """Write the *payments* of *day*, if there are any, to *file* and note their place."""
    if payments is not None and payments.texts:
        start = file.tell()
        array("I", payments.seconds).tofile(file)
        size = file.write("\n".join(payments.texts).encode("ascii"))
        kept.places[day] = start, len(payments.seconds), size


def pay_piece(
    write: Write,
    on_progress: OnProgress,
    plan: Plan,
    span: Span,
    all_kept: Sequence[KeptPayments],
    first_id: int,
) -> None:
    """Write the payments made in *span*.

    *all_kept* are those of the pieces whose orders can have such payments, in order.
    """
    texts = build_shop(plan).calendar.texts
    with ExitStack() as stack:
        files = [stack.enter_context(open(kept.path, "rb")) for kept in all_kept]
        for day in range(*span):
            payments = DayPayments()
            for file, kept in zip(files, all_kept, strict=True):
                if day in kept.places:
                    _read_payments(file, kept.places[day], payments)
            write_payments(write, on_progress, payments, texts[day], first_id)
            first_id += len(payments.texts)


def _read_payments(
    file: IO[bytes], place: tuple[int, int, int], payments: DayPayments
) -> None:
    """Append to *payments* those at *place* in *file*."""
    start, count, size = place
    seconds = array("I")
    file.seek(start)
    seconds.fromfile(file, count)
    payments.extend(seconds, file.read(size).decode("ascii").split("\n"))
