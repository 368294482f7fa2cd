"""How orders are paid, cancelled and returned."""

from __future__ import annotations

from collections import Counter

from benchmarks.realism_math import ratio, share
from benchmarks.realism_rows import OWN, Band, Row, around, published
from benchmarks.shop_files import Shop


def order_life_rows(shop: Shop) -> list[Row]:
    """Return the rows on cancellations and returns."""
    return [
        Row(
            "cancelled orders",
            Band(0.02, 0.05),
            published("Olist .006, UCI .148"),
            "Share of all orders.",
            share(order.status == "cancelled" for order in shop.orders),
        ),
        Row(
            "returns by value",
            Band(0.15, 0.20),
            published("NRF .165 to .193, online"),
            "Refunds ÷ totals paid, of valid orders placed 60 days before the end or"
            " earlier: by then they have been delivered for 45 days.",
            return_rate(shop),
        ),
    ]


def return_rate(shop: Shop) -> float:
    """Return what was refunded for returned goods, as a share of what was paid."""
    totals = {order.order_id: order.total_cents for order in shop.old_orders}
    refunded = sum(
        payment.amount_cents
        for payment in shop.payments
        if payment.kind == "refund"
        and payment.status == "succeeded"
        and payment.order_id in totals
    )
    return ratio(refunded, sum(totals.values()))


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
