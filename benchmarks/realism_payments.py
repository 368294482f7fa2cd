"""How orders are paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from benchmarks.realism_math import ratio, share
from benchmarks.realism_rows import OWN, Band, Row, around, published
from benchmarks.shop_files import Payment, Shop


def payment_rows(shop: Shop) -> list[Row]:
    """Return the rows on how customers pay."""
    succeeded = [charge for charge in shop.charges if charge.status == "succeeded"]
    methods = Counter(charge.method for charge in succeeded)
    methods["other"] = methods["bank_transfer"] + methods["gift_card"]
    mix = {"wallet": 0.39, "credit_card": 0.31, "debit_card": 0.18, "other": 0.12}
    mix_method = (
        "Succeeded charges, by number; other is bank_transfer and gift_card together."
    )
    return [
        Row(
            "payments per order",
            Band(1.03, 1.06),
            published("Olist 1.045"),
            "Charge rows, split and retried, succeeded and failed, ÷ all orders.",
            ratio(len(shop.charges), len(shop.orders)),
        ),
        Row(
            "failed attempts",
            Band(0.01, 0.06),
            OWN,
            "Failed ÷ all charge rows.",
            share(charge.status == "failed" for charge in shop.charges),
        ),
        Row(
            "second attempts by another method",
            Band(0.15, 0.5),
            published("a survey .34"),
            "Charges after a failed one of the same order: share with another method.",
            share(before.method != after.method for before, after in _list_retries(shop)),
        ),
        *(
            Row(
                f"payments by {name}",
                around(part, 0.02),
                published(f"Worldpay {part:.2f}".replace("0.", ".")),
                mix_method,
                ratio(methods[name], len(succeeded)),
            )
            for name, part in mix.items()
        ),
    ]


def _list_retries(shop: Shop) -> Iterator[tuple[Payment, Payment]]:
    """Yield each failed charge with the next charge of its order."""
    last: dict[str, Payment] = {}
    for charge in shop.charges:
        before = last.get(charge.order_id)
        if before is not None and before.status == "failed":
            yield before, charge
        last[charge.order_id] = charge
