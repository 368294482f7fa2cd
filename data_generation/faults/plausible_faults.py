"""Faults that nobody can see without the clean data: every value is plausible."""

from __future__ import annotations

from data_generation.faults.fault_kinds import Edit, PlantedKind, Row, Site
from data_generation.model.channels import CHANNELS


def _pair_customer(row: Row, site: Site) -> Edit:
    """Pair each chosen customer with the next one; their orders are exchanged."""
    waiting = site.memory.pop("waiting", None)
    if waiting is None:
        site.memory["waiting"] = row
    else:
        # Both have signed up when the later one has.
        site.memory[waiting["user_id"]] = (row["user_id"], row["signed_up_at"])
        site.memory[row["user_id"]] = (waiting["user_id"], row["signed_up_at"])
    return Edit()


def _exchange_order(row: Row, site: Site) -> Edit | None:
    other, since = site.memory.get(row["user_id"], ("", ""))
    return Edit({"user_id": other}) if other and row["ordered_at"] > since else None


def _move_price(row: Row, site: Site) -> Edit:
    """Move the list price by 1 to 3 %, at least by a cent."""
    price = int(row["price_cents"])
    change = max(1, price * (10 + site.draw("change", row["product_id"], 20)) // 1000)
    return Edit({"price_cents": str(price + change)})


def _change_channel(row: Row, site: Site) -> Edit:
    others = [each.name for each in CHANNELS if each.name != row["acquisition_channel"]]
    at = site.draw("channel", row["user_id"], len(others))
    return Edit({"acquisition_channel": others[at]})


PLAUSIBLE_KINDS = (
    PlantedKind(
        56,
        "exchanged_customers",
        "plausible",
        "the orders of two customers were exchanged",
        "users",
        {"users": _pair_customer, "orders": _exchange_order},
        lanes=(47, 48),
        rate=10_000,
        tier=4,
    ),
    PlantedKind(
        57,
        "moved_price",
        "plausible",
        "a list price was moved within its usual range",
        "products",
        {"products": _move_price},
        lanes=tuple(range(36, 48)),
        rate=20_000,
        tier=4,
    ),
    PlantedKind(
        58,
        "other_channel",
        "plausible",
        "a customer was attributed to another channel",
        "users",
        {"users": _change_channel},
        lanes=(49,),
        rate=10_000,
        tier=4,
    ),
)
