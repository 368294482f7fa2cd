"""Faults of exports: a program that wrote the wrong column, unit or time."""

from __future__ import annotations

from datetime import timedelta

from data_generation.faults.delivery_faults import (
    repeat_line,
    repeat_order,
    repeat_payment,
    shift_instant,
)
from data_generation.faults.fault_kinds import Edit, PlantedKind, Row, Site
from data_generation.faults.file_faults import join_row
from data_generation.model.markets import COUNTRIES

_AMOUNTS = {
    "orders": (
        "subtotal_cents",
        "discount_cents",
        "shipping_cents",
        "tax_cents",
        "total_cents",
    ),
    "order_items": ("unit_price_cents", "discount_cents", "line_total_cents"),
    "payments": ("amount_cents",),
}

# Complete hours ahead of UTC, by country.
_AHEAD = {country.code: country.utc_offset_hours for country in COUNTRIES}

# Hours from UTC that differ from summer time.
_DISTANT = -3


# ---- Missing cells -----------------------------------------------------------------------


def _is_later_line(row: Row, site: Site) -> bool:
    """Return whether the line *row* is not the first of its order."""
    previous = site.memory.get("order_id")
    site.memory["order_id"] = row["order_id"]
    return row["order_id"] == previous


def _blank_order(_row: Row, _site: Site) -> Edit:
    return Edit({"order_id": ""})


def _blank_customer(_row: Row, _site: Site) -> Edit:
    return Edit({"user_id": ""})


# ---- Wrong columns -----------------------------------------------------------------------


def _is_returned(row: Row, _site: Site) -> bool:
    return row["status"] == "returned" and int(row["subtotal_cents"]) > 0


def _refund_order(row: Row, _site: Site) -> Edit:
    return Edit({column: "0" for column in _AMOUNTS["orders"] if row[column] != "0"})


def _has_several(row: Row, _site: Site) -> bool:
    return row["quantity"] != "1" and row["unit_price_cents"] != row["line_total_cents"]


def _put_unit_price(row: Row, _site: Site) -> Edit:
    return Edit({"line_total_cents": row["unit_price_cents"]})


def _swap_columns(row: Row, _site: Site) -> Edit:
    swapped = {**row, "email": row["full_name"], "full_name": row["email"]}
    return Edit(text=join_row(swapped))


# ---- Wrong units -------------------------------------------------------------------------


def _is_of_channel(row: Row, site: Site) -> bool:
    """Return whether the customer came through the first channel of the incident."""
    channel = site.shop.users.read(row["user_id"])["acquisition_channel"]
    first: str = site.memory.setdefault(("channel", site.incident), channel)
    return channel == first


def _multiply_order(row: Row, _site: Site) -> Edit:
    return _multiply(row, "orders")._replace(expected="")


def _multiply_line(row: Row, _site: Site) -> Edit:
    return _multiply(row, "order_items")


def _multiply_payment(row: Row, _site: Site) -> Edit:
    return _multiply(row, "payments")._replace(expected="")


def _multiply(row: Row, table: str) -> Edit:
    """Return the edit that writes the amounts of *row* a hundred times too large."""
    return Edit({name: row[name] + "00" for name in _AMOUNTS[table] if row[name] != "0"})


def _divide_payment(row: Row, site: Site) -> Edit | None:
    """Write the charge *row* of the incident's first method in complete units."""
    if row["kind"] != "charge" or row["status"] != "succeeded":
        return None
    method = site.memory.setdefault(("method", site.incident), row["method"])
    is_of_method = row["method"] == method and len(row["amount_cents"]) > 2
    return Edit({"amount_cents": row["amount_cents"][:-2]}) if is_of_method else None


# ---- Wrong times -------------------------------------------------------------------------


def _is_of_country(row: Row, site: Site) -> bool:
    """Return whether the order is from the incident's country, of a distant time zone.

    An hour is as much as summer time changes.  An order that would precede the sign-up is
    left, as a check would find it at once.
    """
    user = site.shop.users.read(row["user_id"])
    country = user["country_code"]
    if _AHEAD[country] > _DISTANT:
        return False
    first: str = site.memory.setdefault(("country", site.incident), country)
    local = shift_instant(row["ordered_at"], timedelta(hours=_AHEAD[country]))
    return country == first and local >= user["signed_up_at"]


def _write_local_time(row: Row, site: Site) -> Edit:
    country = site.shop.users.read(row["user_id"])["country_code"]
    hours = timedelta(hours=_AHEAD[country])
    site.memory[row["order_id"]] = hours
    return Edit({"ordered_at": shift_instant(row["ordered_at"], hours)})


def _write_local_payment(row: Row, site: Site) -> Edit:
    local = shift_instant(row["processed_at"], site.memory[row["order_id"]])
    return Edit({"processed_at": local}, expected="")


def _swap_day_and_month(text: str) -> str:
    """Return the instant *text* with the day as month; '' if there is no such day.

    >>> _swap_day_and_month("2024-03-07T10:00:00Z"), _swap_day_and_month("2024-03-13T")
    ('2024-07-03T10:00:00Z', '')
    """
    month, day = text[5:7], text[8:10]
    return f"{text[:5]}{day}-{month}{text[10:]}" if day <= "12" and day != month else ""


def _becomes_later(row: Row, site: Site) -> bool:
    """Return whether the swap makes a paid order later, and not later than the window."""
    swapped = _swap_day_and_month(row["ordered_at"])
    is_paid = row["status"] not in ("pending", "cancelled")
    is_later = row["ordered_at"] < swapped
    return is_paid and is_later and swapped[:10] <= site.shop.last_day.isoformat()


def _swap_date(row: Row, _site: Site) -> Edit:
    return Edit({"ordered_at": _swap_day_and_month(row["ordered_at"])})


# ---- Left in -----------------------------------------------------------------------------


def _add_test_account(row: Row, site: Site) -> Edit:
    account = site.take_id("users")
    site.memory["account", row["user_id"]] = account
    cells = {"email": f"test{account}@shop.example", "full_name": "Test Test"}
    return Edit(appended=({**row, "user_id": account, **cells},))


def _add_test_order(row: Row, site: Site) -> Edit | None:
    """Add the copy of an order of the tester's own account to the test account."""
    account = site.memory.get(("account", row["user_id"]))
    if account is None:
        return None
    copied = repeat_order(row, site)
    orders = tuple({**order, "user_id": account} for order in copied.appended)
    return Edit(appended=orders, expected="")


EXPORT_KINDS = (
    PlantedKind(
        20,
        "blank_order_cells",
        "export",
        "an order's id was written in its first line only",
        "order_items",
        {"order_items": _blank_order},
        lanes=(18, 19),
        at_risk=_is_later_line,
        drawn_by="order_id",
        rate=5_000,
        fault_class="missing",
        expected="E_MISSING",
        tier=1,
        mechanism="depends on another column",
        condition="not the first line of its order",
    ),
    PlantedKind(
        21,
        "customer_missing",
        "export",
        "orders of guests were exported without a customer for a week",
        "orders",
        {"orders": _blank_customer},
        rate=249_000,
        source="UCI Online Retail: 24.9 % of rows have no customer",
        fault_class="missing",
        expected="E_MISSING",
        tier=1,
    ),
    PlantedKind(
        22,
        "refund_on_order",
        "export",
        "a refund was booked on the order as a whole, so that its lines disagree",
        "orders",
        {"orders": _refund_order},
        lanes=(20, 21),
        at_risk=_is_returned,
        rate=20_000,
        level="relation",
        expected="money_items_make_subtotal",
        tier=2,
        mechanism="depends on another column",
        condition="status is returned",
    ),
    PlantedKind(
        23,
        "unit_price_as_total",
        "export",
        "the unit price was exported as the total of the line",
        "order_items",
        {"order_items": _put_unit_price},
        lanes=(22,),
        at_risk=_has_several,
        expected="E_RULE",
        tier=1,
        mechanism="depends on another column",
        condition="quantity is above 1",
    ),
    PlantedKind(
        24,
        "swapped_columns",
        "export",
        "e-mail address and name are in each other's column",
        "users",
        {"users": _swap_columns},
        lanes=(23,),
        rate=2_000,
        level="row",
        expected="E_RULE",
        tier=1,
    ),
    PlantedKind(
        25,
        "units_as_cents",
        "export",
        "one channel's amounts were multiplied by 100 once more for a week",
        "orders",
        {
            "orders": _multiply_order,
            "order_items": _multiply_line,
            "payments": _multiply_payment,
        },
        at_risk=_is_of_channel,
        rate=1_000_000,
        mechanism="depends on another column",
        condition="acquisition_channel of the customer, in one week",
        expected="price_hundred_times_list",
    ),
    PlantedKind(
        26,
        "cents_as_units",
        "export",
        "one payment method's charges were written in complete units for a week",
        "orders",
        {"payments": _divide_payment},
        rate=1_000_000,
        expected="payments_match_order_status",
        tier=2,
        mechanism="depends on another column",
        condition="method, in one week",
    ),
    PlantedKind(
        27,
        "local_time",
        "export",
        "one country's local time was written as UTC for a week",
        "orders",
        {"orders": _write_local_time, "payments": _write_local_payment},
        at_risk=_is_of_country,
        rate=1_000_000,
        mechanism="depends on another column",
        condition="country_code of the customer, in one week",
    ),
    PlantedKind(
        28,
        "swapped_date",
        "export",
        "day and month of an order are swapped",
        "orders",
        {"orders": _swap_date},
        lanes=(24, 25),
        at_risk=_becomes_later,
        expected="causality_order_before_payment",
        tier=2,
        mechanism="depends on the value itself",
        condition="the swapped date exists and is later",
    ),
    PlantedKind(
        29,
        "test_orders",
        "export",
        "a tester's account and its orders were left in",
        "users",
        {
            "users": _add_test_account,
            "orders": _add_test_order,
            "order_items": repeat_line,
            "payments": repeat_payment,
        },
        lanes=(26,),
        rate=2_000,
        fault_class="redundant",
        level="row",
        expected="text_placeholder",
    ),
)
