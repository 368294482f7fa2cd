"""Faults of entry: what people at a keyboard get wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise

from data_generation.faults.fault_kinds import Edit, PlantedKind, Planter, Row, Site

# ---- One customer with two accounts ------------------------------------------------------

# The most days from the first account to the second one.  Our own choice.
_MOST_DAYS = 180

# What finds the addresses of `_write_lookalike`, by choice: honest addresses have dots too.
_LOOKALIKE_CHECKS = ("duplicate_email_with_tag", "", "text_misspelled_domain")


def _write_other_case(row: Row, _choice: int) -> str:
    email = row["email"]
    return email[0].upper() + email[1:]


def _write_lookalike(row: Row, choice: int) -> str:
    """Return the address with a plus sign, dots or a typo; no other customer has these.

    >>> row = {"email": "ann.lee@example.com"}
    >>> [_write_lookalike(row, choice) for choice in range(3)]
    ['ann.lee+1@example.com', 'a.n.n.lee@example.com', 'ann.lee@exmaple.com']
    """
    email = row["email"]
    if choice == 0:
        return email.replace("@", "+1@")
    if choice == 1:
        return f"{email[0]}.{email[1]}.{email[2:]}"
    return email.replace("@example", "@exmaple")


def _write_invisible(row: Row, _choice: int) -> str:
    return row["email"].replace("@", "\u200b@")


def _write_decomposed(row: Row, _choice: int) -> str:
    r"""Return the address with the accent of the name as a character of its own (NFD).

    >>> row = {"email": "zoe@example.com", "full_name": "Zoë"}
    >>> print(ascii(_write_decomposed(row, 0)))
    'zoe\u0308@example.com'
    """
    name, at, domain = row["email"].partition("@")
    for letter, accent in pairwise(unicodedata.normalize("NFD", row["full_name"])):
        if unicodedata.combining(accent) and letter.lower() in name:
            return name.replace(letter.lower(), letter.lower() + accent, 1) + at + domain
    return row["email"]


def _has_later_day(row: Row, site: Site) -> bool:
    """Return whether a day of the window is left for a second sign-up."""
    return row["signed_up_at"][:10] < site.shop.last_day.isoformat()


def _has_accent_in_address(row: Row, site: Site) -> bool:
    return _has_later_day(row, site) and _write_decomposed(row, 0) != row["email"]


def _sign_up_later(row: Row, site: Site) -> str:
    """Return when the user of *row* signs up again: on a later day of the window.

    The time of day is that of any user, so that it is as frequent as in the clean shop.
    """
    first = date.fromisoformat(row["signed_up_at"][:10])
    days_left = (site.shop.last_day - first).days
    later = 1 + site.draw("day", row["user_id"], min(days_left, _MOST_DAYS))
    any_id = 1 + site.draw("time", row["user_id"], site.shop.row_counts["users"])
    time = site.shop.users.read(str(any_id))["signed_up_at"][10:]
    return (first + timedelta(days=later)).isoformat() + time


def _add_account(write: Callable[[Row, int], str]) -> Planter:
    """Return the planter of a second account, whose address *write* makes."""

    def plant(row: Row, site: Site) -> Edit:
        account = {
            "user_id": site.take_id("users"),
            "signed_up_at": _sign_up_later(row, site),
        }
        site.memory[row["user_id"]] = account
        choice = site.draw("form", row["user_id"], 3)
        added = ({**row, **account, "email": write(row, choice)},)
        is_lookalike = write is _write_lookalike
        return Edit(
            appended=added, expected=_LOOKALIKE_CHECKS[choice] if is_lookalike else None
        )

    return plant


def _use_second_account(row: Row, site: Site) -> Edit | None:
    """Move every second order since the second sign-up to the second account.

    The first of these is moved: it is why the customer signed up again.
    """
    user_id = row["user_id"]
    account = site.memory.get(user_id)
    if account is None or row["ordered_at"] < account["signed_up_at"]:
        return None
    is_moved = not site.memory.get(("moved", user_id), False)
    site.memory["moved", user_id] = is_moved
    cells = {"user_id": account["user_id"]}
    return Edit(cells, expected="", tier=3) if is_moved else None


# ---- Disguised missing values ------------------------------------------------------------


def _write_not_available(_row: Row, _site: Site) -> Edit:
    return Edit({"shipping_cents": "n/a"})


def _write_zero_cost(_row: Row, _site: Site) -> Edit:
    return Edit({"cost_cents": "0"})


def _write_epoch(_row: Row, _site: Site) -> Edit:
    return Edit({"ordered_at": "1970-01-01T00:00:00Z"})


def _write_test_address(_row: Row, site: Site) -> Edit:
    """Write an address that everybody uses; the loader refuses all but the first."""
    is_first = site.memory.setdefault("first", True)
    site.memory["first"] = False
    email = {"email": "test@test.com"}
    first = Edit(email, expected="text_placeholder", tier=2)
    return first if is_first else Edit(email)


# ---- Text --------------------------------------------------------------------------------


def _misspell_category(row: Row, site: Site) -> Edit:
    """Write the category in one of three other spellings."""
    category = row["category"]
    spellings = [category.upper(), category.lower(), category.replace(" ", "_") + "_"]
    return Edit({"category": spellings[site.draw("form", row["product_id"], 3)]})


def _add_blank(row: Row, _site: Site) -> Edit:
    return Edit({"city": row["city"] + " "})


def _has_composed_letter(row: Row, _site: Site) -> bool:
    name = row["full_name"]
    return not name.isascii() and unicodedata.normalize("NFD", name) != name


def _decompose_name(row: Row, _site: Site) -> Edit:
    return Edit({"full_name": unicodedata.normalize("NFD", row["full_name"])})


# ---- Numbers -----------------------------------------------------------------------------


def _flip_sign(row: Row, _site: Site) -> Edit:
    return Edit({"quantity": f"-{row['quantity']}"})


def price_line(row: Row, quantity: str, unit_price: str) -> Edit:
    """Return the edit that gives the line *row* a quantity and price, and their total."""
    total = int(quantity) * int(unit_price) - int(row["discount_cents"])
    cells = {
        "quantity": quantity,
        "unit_price_cents": unit_price,
        "line_total_cents": str(total),
    }
    return Edit({name: cell for name, cell in cells.items() if row[name] != cell})


def _type_quantity_twice(row: Row, _site: Site) -> Edit:
    return price_line(row, row["quantity"] * 2, row["unit_price_cents"])


def _is_priced(row: Row, _site: Site) -> bool:
    return int(row["unit_price_cents"]) > 0


def _find_other_price(row: Row, site: Site) -> str:
    """Return the price of another product, at which the discount is still possible."""
    start = site.draw("product", row["order_item_id"], len(site.shop.products))
    products = site.shop.products[start:] + site.shop.products[:start]
    least = -(-int(row["discount_cents"]) // int(row["quantity"]))
    prices = (product["price_cents"] for product in products)
    own = row["unit_price_cents"]
    return next((price for price in prices if price != own and int(price) >= least), "")


def _has_other_price(row: Row, site: Site) -> bool:
    return bool(_find_other_price(row, site))


def _take_other_price(row: Row, site: Site) -> Edit:
    return price_line(row, row["quantity"], _find_other_price(row, site))


# ---- Dates and statuses ------------------------------------------------------------------


def _write_february_30(row: Row, _site: Site) -> Edit:
    at = row["ordered_at"]
    return Edit({"ordered_at": f"{at[:5]}02-30{at[10:]}"})


def _write_other_status(row: Row, site: Site) -> Edit:
    statuses = ("complete", "refunded", "on_hold")
    return Edit({"status": statuses[site.draw("status", row["order_id"], 3)]})


_LETTERS = "full_name has a letter with an accent"

ENTRY_KINDS = (
    PlantedKind(
        30,
        "account_other_case",
        "entry",
        "a customer opened a second account with the same address in other case",
        "users",
        {"users": _add_account(_write_other_case), "orders": _use_second_account},
        lanes=(27,),
        at_risk=_has_later_day,
        fault_class="redundant",
        level="row",
        expected="duplicate_email_in_other_case",
        tier=2,
    ),
    PlantedKind(
        31,
        "account_lookalike",
        "entry",
        "a customer opened a second account: plus sign, dots or a typo in the address",
        "users",
        {"users": _add_account(_write_lookalike), "orders": _use_second_account},
        lanes=(28,),
        at_risk=_has_later_day,
        fault_class="redundant",
        level="row",
        expected="duplicate_email_with_tag",
    ),
    PlantedKind(
        32,
        "account_invisible",
        "entry",
        "a customer opened a second account with an invisible blank in the address",
        "users",
        {"users": _add_account(_write_invisible), "orders": _use_second_account},
        lanes=(29,),
        at_risk=_has_later_day,
        rate=2_000,
        fault_class="redundant",
        level="row",
        expected="text_invisible_characters",
        tier=2,
    ),
    PlantedKind(
        45,
        "account_decomposed",
        "entry",
        "a customer opened a second account with a decomposed accent (NFD) in the address",
        "users",
        {"users": _add_account(_write_decomposed), "orders": _use_second_account},
        lanes=(57, 58, 59, 60, 61),
        at_risk=_has_accent_in_address,
        fault_class="redundant",
        level="row",
        expected="text_invisible_characters",
        tier=2,
        mechanism="depends on the value itself",
        condition=_LETTERS,
    ),
    PlantedKind(
        33,
        "not_available",
        "entry",
        "n/a was entered for a fee that was not known",
        "orders",
        {"orders": _write_not_available},
        lanes=(30,),
        rate=2_000,
        fault_class="missing",
        expected="E_INTEGER",
        tier=1,
    ),
    PlantedKind(
        34,
        "zero_cost",
        "entry",
        "0 was entered for a cost that was not known",
        "products",
        {"products": _write_zero_cost},
        lanes=tuple(range(12)),
        rate=20_000,
        fault_class="missing",
        expected="price_without_cost",
    ),
    PlantedKind(
        35,
        "epoch_date",
        "entry",
        "an order without a date got 1970-01-01",
        "orders",
        {"orders": _write_epoch},
        lanes=(31,),
        rate=2_000,
        fault_class="missing",
        expected="causality_sign_up_before_order",
        tier=2,
    ),
    PlantedKind(
        36,
        "test_address",
        "entry",
        "test@test.com was entered for an address that was not known",
        "users",
        {"users": _write_test_address},
        lanes=(32,),
        fault_class="missing",
        expected="E_DUPLICATE",
        tier=1,
    ),
    PlantedKind(
        37,
        "category_spelling",
        "entry",
        "a category was entered in another spelling",
        "products",
        {"products": _misspell_category},
        lanes=tuple(range(12, 36)),
        rate=80_000,
        source="Tableau's skill for synthetic data: casing in 8 % of texts",
        expected="text_spellings",
    ),
    PlantedKind(
        38,
        "trailing_blank",
        "entry",
        "a city was entered with a blank at its end",
        "users",
        {"users": _add_blank},
        lanes=(33,),
        rate=10_000,
        expected="text_invisible_characters",
        tier=2,
    ),
    PlantedKind(
        39,
        "decomposed_name",
        "entry",
        "a name was entered in decomposed Unicode (NFD), which looks the same",
        "users",
        {"users": _decompose_name},
        lanes=(34, 35, 54, 55, 56),
        at_risk=_has_composed_letter,
        rate=10_000,
        expected="text_invisible_characters",
        mechanism="depends on the value itself",
        condition=_LETTERS,
    ),
    PlantedKind(
        40,
        "sign_flip",
        "entry",
        "a quantity has the wrong sign",
        "order_items",
        {"order_items": _flip_sign},
        lanes=(36,),
        rate=2_500,
        source="UCI Online Retail: 0.25 % negative quantities outside cancellations",
        expected="E_RULE",
        tier=1,
    ),
    PlantedKind(
        41,
        "quantity_twice",
        "entry",
        "a quantity was typed twice, 11 for 1, and the line recomputed",
        "order_items",
        {"order_items": _type_quantity_twice},
        lanes=(37,),
        at_risk=_is_priced,
        rate=2_000,
        level="relation",
        expected="money_items_make_subtotal",
        tier=2,
    ),
    PlantedKind(
        42,
        "other_price",
        "entry",
        "a line has the price of another product",
        "order_items",
        {"order_items": _take_other_price},
        lanes=(38,),
        at_risk=_has_other_price,
        rate=2_000,
        level="relation",
        expected="money_items_make_subtotal",
        tier=2,
    ),
    PlantedKind(
        43,
        "impossible_date",
        "entry",
        "an order has a date that is not in the calendar",
        "orders",
        {"orders": _write_february_30},
        lanes=(39,),
        rate=1_000,
        expected="E_RULE",
        tier=1,
    ),
    PlantedKind(
        44,
        "unknown_status",
        "entry",
        "an order has a status that the shop does not have",
        "orders",
        {"orders": _write_other_status},
        lanes=(40,),
        rate=2_000,
        expected="E_RULE",
        tier=1,
    ),
)
