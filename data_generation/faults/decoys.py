"""Decoys: unusual but legal orders.  Whoever lists one as a fault loses precision."""

from __future__ import annotations

from datetime import timedelta

from data_generation.faults.delivery_faults import repeat_payment, shift_instant
from data_generation.faults.fault_kinds import Edit, PlantedKind, Planter, Row, Site

# How many times as many units a large order has as the one it is copied from.
_FACTOR = 20


def _is_paid_in_full(row: Row, _site: Site) -> bool:
    return row["status"] in ("shipped", "delivered") and int(row["total_cents"]) > 0


def _multiply_amounts(row: Row, factor: int) -> Row:
    return {
        name: str(int(cell) * factor) if name.endswith("_cents") else cell
        for name, cell in row.items()
    }


def _copy_order(factor: int, seconds: int) -> Planter:
    """Return the planter of a copied order, *factor* times as large and a bit later."""

    def plant(row: Row, site: Site) -> Edit:
        order_id = site.memory[row["order_id"]] = site.take_id("orders")
        later = shift_instant(row["ordered_at"], timedelta(seconds=seconds))
        copied = _multiply_amounts(row, factor)
        return Edit(appended=({**copied, "order_id": order_id, "ordered_at": later},))

    return plant


def _copy_line(factor: int) -> Planter:
    def plant(row: Row, site: Site) -> Edit:
        copied = {
            **row,
            "order_item_id": site.take_id("order_items"),
            "order_id": site.memory[row["order_id"]],
            "quantity": str(int(row["quantity"]) * factor),
            "discount_cents": str(int(row["discount_cents"]) * factor),
            "line_total_cents": str(int(row["line_total_cents"]) * factor),
        }
        return Edit(appended=(copied,))

    return plant


def _copy_payment(factor: int, seconds: int) -> Planter:
    def plant(row: Row, site: Site) -> Edit:
        (copied,) = repeat_payment(row, site).appended
        later = shift_instant(row["processed_at"], timedelta(seconds=seconds))
        return Edit(
            appended=({**_multiply_amounts(copied, factor), "processed_at": later},)
        )

    return plant


def _copy_free_order(row: Row, site: Site) -> Edit:
    """Add an order of one gift: nothing is charged for it."""
    order_id = site.memory[row["order_id"]] = site.take_id("orders")
    return Edit(appended=({**_multiply_amounts(row, 0), "order_id": order_id},))


def _copy_free_line(row: Row, site: Site) -> Edit:
    copied = {
        **row,
        "order_item_id": site.take_id("order_items"),
        "order_id": site.memory[row["order_id"]],
        "discount_cents": str(int(row["quantity"]) * int(row["unit_price_cents"])),
        "line_total_cents": "0",
    }
    return Edit(appended=(copied,))


DECOY_KINDS = (
    PlantedKind(
        60,
        "large_order",
        "decoys",
        f"an order {_FACTOR} times as large as another, paid in full",
        "orders",
        {
            "orders": _copy_order(_FACTOR, 3_600),
            "order_items": _copy_line(_FACTOR),
            "payments": _copy_payment(_FACTOR, 3_600),
        },
        lanes=(50,),
        at_risk=_is_paid_in_full,
        rate=500,
        is_decoy=True,
    ),
    PlantedKind(
        61,
        "order_within_a_minute",
        "decoys",
        "another order of the same customer within a minute",
        "orders",
        {
            "orders": _copy_order(2, 40),
            "order_items": _copy_line(2),
            "payments": _copy_payment(2, 40),
        },
        lanes=(51,),
        at_risk=_is_paid_in_full,
        rate=500,
        is_decoy=True,
    ),
    PlantedKind(
        62,
        "free_order",
        "decoys",
        "an order of goods that are free after their discount",
        "orders",
        {"orders": _copy_free_order, "order_items": _copy_free_line},
        lanes=(52,),
        at_risk=_is_paid_in_full,
        rate=500,
        is_decoy=True,
    ),
)
