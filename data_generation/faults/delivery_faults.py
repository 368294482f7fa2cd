"""Faults of delivery: events that arrive twice, late, in another order or never."""

from __future__ import annotations

from datetime import datetime, timedelta

from data_generation.faults.fault_kinds import DROPPED, MOVED, Edit, PlantedKind, Row, Site


def shift_instant(text: str, change: timedelta) -> str:
    """Return the instant *text*, moved by *change*.

    >>> shift_instant("2024-02-28T23:30:00Z", timedelta(hours=1))
    '2024-02-29T00:30:00Z'
    """
    moved = datetime.fromisoformat(text.rstrip("Z")) + change
    return moved.isoformat() + "Z"


# ---- Twice -------------------------------------------------------------------------------


def _is_charge(row: Row, _site: Site) -> bool:
    return (row["kind"], row["status"]) == ("charge", "succeeded")


def _repeat_payment(row: Row, site: Site) -> Edit:
    return Edit(appended=({**row, "payment_id": site.take_id("payments")},))


def repeat_order(row: Row, site: Site) -> Edit:
    """Return the edit that adds a copy of the order *row* under a new id."""
    site.memory[row["order_id"]] = site.take_id("orders")
    return Edit(appended=({**row, "order_id": site.memory[row["order_id"]]},))


def repeat_line(row: Row, site: Site) -> Edit:
    """Return the edit that adds a copy of the line *row* for the copy of its order.

    A check lists the order, not its lines and payments.
    """
    ids = {
        "order_item_id": site.take_id("order_items"),
        "order_id": site.memory[row["order_id"]],
    }
    return Edit(appended=({**row, **ids},), expected="")


def repeat_payment(row: Row, site: Site) -> Edit:
    """Return the edit that adds a copy of the payment *row* for the copy of its order."""
    ids = {
        "payment_id": site.take_id("payments"),
        "order_id": site.memory[row["order_id"]],
    }
    return Edit(appended=({**row, **ids},), expected="")


# ---- By day ------------------------------------------------------------------------------


def is_first_day(row: Row, site: Site) -> bool:
    """Return whether the order *row* is of the first day of its incident with orders."""
    day: str = site.memory.setdefault(("day", site.incident), row["ordered_at"][:10])
    return row["ordered_at"].startswith(day)


def _load_again(row: Row, _site: Site) -> Edit:
    return Edit(appended=(row,))


def _drop(_row: Row, _site: Site) -> Edit:
    return DROPPED


def _move(_row: Row, _site: Site) -> Edit:
    return MOVED


def _is_afternoon(row: Row, site: Site) -> bool:
    return "12" <= row["ordered_at"][11:13] < "18" and is_first_day(row, site)


def _drop_method(row: Row, site: Site) -> Edit | None:
    """Drop a charge of the afternoon's first method; the others arrived."""
    if not _is_charge(row, site):
        return None
    method = site.memory.setdefault(("method", site.incident), row["method"])
    return DROPPED if row["method"] == method else None


# ---- Out of order ------------------------------------------------------------------------


def _is_refund_after_charge(row: Row, site: Site) -> bool:
    """Return whether the payment *row* is the refund of a charge that came before."""
    if _is_charge(row, site):
        site.memory.setdefault(row["order_id"], row["processed_at"])
        return False
    return row["kind"] == "refund" and row["order_id"] in site.memory


def _put_before_charge(row: Row, site: Site) -> Edit:
    charged_at = site.memory[row["order_id"]]
    early = timedelta(minutes=1 + site.draw("early", row["payment_id"], 50))
    return Edit({"processed_at": shift_instant(charged_at, -early)})


DELIVERY_KINDS = (
    PlantedKind(
        10,
        "payment_twice",
        "delivery",
        "the event of a payment was delivered twice and stored under two ids",
        "payments",
        {"payments": _repeat_payment},
        lanes=(12,),
        at_risk=_is_charge,
        rate=9_700,
        source="UCI Online Retail: 0.97 % of rows are exact duplicates",
        fault_class="redundant",
        level="row",
        expected="payments_match_order_status",
        tier=2,
    ),
    PlantedKind(
        11,
        "order_twice",
        "delivery",
        "an order with its lines and payments was delivered twice, under two ids",
        "orders",
        {
            "orders": repeat_order,
            "order_items": repeat_line,
            "payments": repeat_payment,
        },
        lanes=(13,),
        rate=9_700,
        source="UCI Online Retail: 0.97 % of rows are exact duplicates",
        fault_class="redundant",
        level="row",
        expected="duplicate_order_content",
    ),
    PlantedKind(
        12,
        "day_twice",
        "delivery",
        "the orders of a day were loaded twice",
        "orders",
        {"orders": _load_again, "order_items": _load_again, "payments": _load_again},
        at_risk=is_first_day,
        rate=1_000_000,
        fault_class="redundant",
        level="row",
        expected="E_DUPLICATE",
        tier=1,
        mechanism="depends on another column",
        condition="ordered_at is on one day",
    ),
    PlantedKind(
        13,
        "day_missing",
        "delivery",
        "the orders of a day never arrived",
        "orders",
        {"orders": _drop, "order_items": _drop, "payments": _drop},
        at_risk=is_first_day,
        rate=1_000_000,
        fault_class="missing",
        level="row",
        mechanism="depends on another column",
        condition="ordered_at is on one day",
        expected="coverage_missing_orders",
    ),
    PlantedKind(
        14,
        "late_rows",
        "delivery",
        "the orders of a day arrived after all others",
        "orders",
        {"orders": _move, "order_items": _move, "payments": _move},
        at_risk=is_first_day,
        rate=1_000_000,
        level="row",
        certainty="indicator",
        mechanism="depends on another column",
        condition="ordered_at is on one day",
    ),
    PlantedKind(
        15,
        "payments_lost",
        "delivery",
        "the charges of one payment method were lost for an afternoon",
        "orders",
        {"payments": _drop_method},
        at_risk=_is_afternoon,
        rate=1_000_000,
        fault_class="missing",
        level="row",
        expected="payments_match_order_status",
        tier=2,
        mechanism="depends on another column",
        condition="one method, orders from 12:00 to 18:00 of one day",
    ),
    PlantedKind(
        16,
        "payment_lost",
        "delivery",
        "the event of a payment never arrived",
        "payments",
        {"payments": _drop},
        lanes=(14,),
        at_risk=_is_charge,
        rate=2_000,
        fault_class="missing",
        level="row",
        expected="payments_match_order_status",
        tier=2,
    ),
    PlantedKind(
        17,
        "refund_before_charge",
        "delivery",
        "a refund has the time of an earlier event, before its charge",
        "payments",
        {"payments": _put_before_charge},
        lanes=(15, 16, 17),
        at_risk=_is_refund_after_charge,
        rate=20_000,
        expected="causality_charge_before_refund",
        tier=2,
    ),
)
