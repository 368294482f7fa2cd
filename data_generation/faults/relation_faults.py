"""Faults of relations: references and sums that do not hold."""

from __future__ import annotations

from data_generation.faults.fault_kinds import DROPPED, Edit, PlantedKind, Row, Site
from data_generation.faults.file_faults import join_row

_BROKEN_ORDER = Edit(broken=("order_id",))


def _is_buyer(row: Row, site: Site) -> bool:
    return site.shop.buyers[int(row["user_id"])] == 1


def _drop_user(row: Row, site: Site) -> Edit:
    site.memory[row["user_id"]] = True
    return DROPPED


def _break_order(row: Row, site: Site) -> Edit | None:
    return Edit(broken=("user_id",)) if row["user_id"] in site.memory else None


def _drop_order(_row: Row, _site: Site) -> Edit:
    return DROPPED


def _break_child(_row: Row, _site: Site) -> Edit:
    return _BROKEN_ORDER


def _repeat_key(row: Row, _site: Site) -> Edit:
    """Add the row of another customer with the same key."""
    other = {"email": f"other{row['user_id']}@shop.example", "full_name": "Kim Other"}
    return Edit(after=(join_row({**row, **other}),))


def _add_to_total(row: Row, site: Site) -> Edit:
    return Edit({"total_cents": str(int(row["total_cents"]) + _draw_cents(row, site))})


def _add_to_subtotal(row: Row, site: Site) -> Edit:
    cents = _draw_cents(row, site)
    return Edit(
        {name: str(int(row[name]) + cents) for name in ("subtotal_cents", "total_cents")}
    )


def _draw_cents(row: Row, site: Site) -> int:
    return 100 + site.draw("cents", row["order_id"], 900)


def _is_full_charge(row: Row, _site: Site) -> bool:
    return (row["kind"], row["status"]) == ("charge", "succeeded")


def _change_amount(row: Row, site: Site) -> Edit:
    """Add a tenth or more to a charge, which no rounding explains."""
    amount = int(row["amount_cents"])
    change = 10 + amount // 10 + site.draw("cents", row["payment_id"], amount // 2 + 1)
    return Edit({"amount_cents": str(amount + change)})


RELATION_KINDS = (
    PlantedKind(
        50,
        "deleted_user",
        "relations",
        "a customer was deleted, and the orders were kept",
        "users",
        {"users": _drop_user, "orders": _break_order},
        lanes=(41,),
        at_risk=_is_buyer,
        rate=2_000,
        fault_class="missing",
        level="row",
        expected="E_REFERENCE",
        tier=1,
        owns_customer=True,
    ),
    PlantedKind(
        51,
        "deleted_order",
        "relations",
        "an order was deleted, and its lines and payments were kept",
        "orders",
        {"orders": _drop_order, "order_items": _break_child, "payments": _break_child},
        lanes=(42,),
        rate=2_000,
        fault_class="missing",
        level="row",
        expected="E_REFERENCE",
        tier=1,
    ),
    PlantedKind(
        52,
        "duplicate_key",
        "relations",
        "two customers were given the same id",
        "users",
        {"users": _repeat_key},
        lanes=(43,),
        rate=1_000,
        fault_class="redundant",
        level="row",
        expected="E_DUPLICATE",
        tier=1,
    ),
    PlantedKind(
        53,
        "total_off",
        "relations",
        "the total of an order is not the sum of its parts",
        "orders",
        {"orders": _add_to_total},
        lanes=(44,),
        rate=2_000,
        level="relation",
        expected="E_RULE",
        tier=1,
    ),
    PlantedKind(
        54,
        "subtotal_off",
        "relations",
        "the subtotal of an order is not the sum of its lines",
        "orders",
        {"orders": _add_to_subtotal},
        lanes=(45,),
        rate=2_000,
        level="relation",
        expected="money_items_make_subtotal",
        tier=2,
    ),
    PlantedKind(
        55,
        "payment_off",
        "relations",
        "a charge is above the total of its order",
        "payments",
        {"payments": _change_amount},
        lanes=(46,),
        at_risk=_is_full_charge,
        rate=2_000,
        level="relation",
        expected="payments_match_order_status",
        tier=2,
    ),
)
