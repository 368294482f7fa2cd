"""The lifecycle of an order: paid or not, cancelled, delivered, returned, refunded.

A lifecycle is stored as a code of six bits: the payment method, how the order is paid, and
how it ends.  One half word of random bits chooses it, by the habits of the customer's
country, and another one whether goods are returned (see `returns`).  Events after the
window's last second are not written, and an order's status is the one at that second.
"""

from __future__ import annotations

from functools import cache

from data_generation.model.catalog import COUNTRIES, METHODS, Country
from data_generation.model.distributions import apportion
from data_generation.model.seasons import DAY_SECONDS

HOUR = 3600

# The parts of a code: the method (an index of METHODS), the way of payment, the ending.
METHOD_BITS, PAYING_BITS = 2, 2
ENDING_SHIFT = METHOD_BITS + PAYING_BITS
PLAIN, SPLIT, RETRIED, UNPAID = range(4)
DELIVERED, CANCELLED, RETURNED, PARTLY_RETURNED = range(4)
BANK_TRANSFER = METHODS.index("bank_transfer")
LIFECYCLE_COUNT = 1 << ENDING_SHIFT + 2

# If a code under this mask is below BANK_TRANSFER, the order is paid at once by one charge;
# if the code itself is below it, the order is also delivered and kept.
PAYMENT_MASK = (1 << ENDING_SHIFT) - 1
# From this code on goods are returned, and from the next one on only some of them.
FIRST_RETURNED = RETURNED << ENDING_SHIFT
FIRST_PARTLY_RETURNED = PARTLY_RETURNED << ENDING_SHIFT

SPLIT_PER_MILLE = 23
FAILED_PER_MILLE = 40
RETRIED_PER_MILLE = 780
CANCELLED_PER_MILLE = 24
# Of the orders with returns, so many are returned completely; those of one line always are.
RETURNED_WHOLE_PER_MILLE = 620
LIFECYCLE_BITS = 12

LEAST_PAY_DELAY, MOST_PAY_DELAY = 15, 240
UNPAID_DAYS = 3

# A lifecycle ends within so many days: 4 to a bank transfer, 2.5 to the dispatch, 7 to the
# delivery, 28 to a return, and the day of the order itself.
LIFECYCLE_DAYS = 43

# Statuses and payments as text of a row.
PENDING_TEXT, PAID_TEXT, SHIPPED_TEXT = ",pending,", ",paid,", ",shipped,"
ENDING_TEXTS = (",delivered,", ",cancelled,", ",returned,", ",partially_returned,")
DELIVERED_TEXT, CANCELLED_TEXT, RETURNED_TEXT, _ = ENDING_TEXTS
GIFT_CARD = len(METHODS)
CHARGE_TEXTS, FAILED_TEXTS, REFUND_TEXTS = (
    [f",{kind},{method},{status}," for method in (*METHODS, "gift_card")]
    for kind, status in (
        ("charge", "succeeded"),
        ("charge", "failed"),
        ("refund", "succeeded"),
    )
)


@cache
def build_lifecycle_tables() -> list[bytes]:
    """Return, for each country, the codes by word of LIFECYCLE_BITS bits.

    These are the codes of orders that are returned unless they are cancelled; of the others
    see `keep_goods`.
    """
    return [_build_lifecycle_table(country) for country in COUNTRIES]


def _build_lifecycle_table(country: Country) -> bytes:
    returned = 1000 - CANCELLED_PER_MILLE
    endings = {
        CANCELLED: CANCELLED_PER_MILLE * 1000,
        RETURNED: returned * RETURNED_WHOLE_PER_MILLE,
        PARTLY_RETURNED: returned * (1000 - RETURNED_WHOLE_PER_MILLE),
    }
    weights = [0] * LIFECYCLE_COUNT
    for method, share in enumerate(country.methods):
        for paying, per_million in _weigh_paying(method).items():
            for ending, weight in endings.items():
                weights[_encode_lifecycle(method, paying, ending)] += (
                    share * per_million * weight
                )
    return bytes(apportion(weights, 1 << LIFECYCLE_BITS))


@cache
def keep_goods() -> bytes:
    """Return by code the code of the same lifecycle without a return."""
    return bytes(
        code & PAYMENT_MASK if code >= FIRST_RETURNED else code
        for code in range(LIFECYCLE_COUNT)
    )


def _weigh_paying(method: int) -> dict[int, int]:
    """Return the ways of payment of *method*, in millionths; a transfer never fails."""
    split = SPLIT_PER_MILLE * 1000
    failed = 0 if method == BANK_TRANSFER else FAILED_PER_MILLE
    paying = {
        SPLIT: split,
        RETRIED: failed * RETRIED_PER_MILLE,
        UNPAID: failed * (1000 - RETRIED_PER_MILLE),
    }
    return {**paying, PLAIN: 1_000_000 - sum(paying.values())}


def _encode_lifecycle(method: int, paying: int, ending: int) -> int:
    """Return the code of a lifecycle; equivalent lifecycles have one code."""
    if paying == UNPAID:
        ending = DELIVERED  # an unpaid order has no further events
    if paying == SPLIT and ending == PARTLY_RETURNED:
        ending = RETURNED  # so that no refund is larger than its charge
    return method | paying << METHOD_BITS | ending << ENDING_SHIFT


@cache
def count_payments() -> bytes:
    """Return the number of payments, refunds included, by code."""
    counts = []
    for code in range(LIFECYCLE_COUNT):
        paying, ending = code >> METHOD_BITS & 3, code >> ENDING_SHIFT
        charges = 1 if paying in (PLAIN, UNPAID) else 2
        refunds = 0
        if paying != UNPAID and ending in (CANCELLED, RETURNED):
            refunds = 2 if paying == SPLIT else 1
        if ending == PARTLY_RETURNED:
            refunds = 1
        counts.append(charges + refunds)
    return bytes(counts)


@cache
def immediate_payment_delays() -> bytes:
    """Return the seconds from an order to its payment, by byte."""
    span = MOST_PAY_DELAY - LEAST_PAY_DELAY
    return bytes(LEAST_PAY_DELAY + span * byte // 255 for byte in range(256))


@cache
def final_statuses() -> list[str]:
    """Return the last status of an order, by code.

    An order of one line is never returned in part: it is returned completely.
    """
    statuses = []
    for code in range(LIFECYCLE_COUNT):
        paying, ending = code >> METHOD_BITS & 3, code >> ENDING_SHIFT
        statuses.append(CANCELLED_TEXT if paying == UNPAID else ENDING_TEXTS[ending])
    return statuses


# The 64 random bits of an order, called *chance* in the functions below:
#
#     bits     decide
#     0-15     how long a bank transfer takes
#     16-23    when the order is cancelled, or when it is shipped: never both
#     24-31    how long the delivery takes
#     32-47    when the goods are returned
#     48-55    how much a gift card pays
#     56-63    when a failed payment is tried again


# Seconds by byte: from payment to the cancellation or the dispatch, then to the delivery.
_CANCELLATION_DELAYS = [HOUR // 4 + (23 * HOUR // 4 * byte >> 8) for byte in range(256)]
_SHIP_DELAYS = [6 * HOUR + (54 * HOUR * byte >> 8) for byte in range(256)]
_TRANSIT_DELAYS = [20 * HOUR + (148 * HOUR * byte >> 8) for byte in range(256)]


def list_payments(
    code: int, second: int, pay_delay: int, chance: int, total: int, first_share: int
) -> list[tuple[int, str]]:
    """Return the payments of an order placed at *second*: (second, text), in time order.

    The text has the columns from kind to amount_cents.  *pay_delay* is in seconds; *chance*
    is 64 random bits for the other delays; *total* is in cents, *first_share* the share of
    the first line in it, 0 if it is the only line.
    """
    method, paying, ending = code & 3, code >> METHOD_BITS & 3, code >> ENDING_SHIFT
    paid_at = second + payment_delay(code, pay_delay, chance)
    if paying == UNPAID:
        return [(paid_at, f"{FAILED_TEXTS[method]}{total},")]
    if paying == SPLIT:
        # The gift card pays between a fifth and three fifths.
        gift = total * (51 + (102 * (chance >> 48 & 255) >> 8)) >> 8
        parts = [(GIFT_CARD, gift), (method, total - gift)]
    else:
        parts = [(method, total)]
    payments = [(paid_at, f"{CHARGE_TEXTS[name]}{part},") for name, part in parts]
    if paying == RETRIED:
        payments.insert(0, (second + pay_delay, f"{FAILED_TEXTS[method]}{total},"))
    if ending != DELIVERED:
        ended_at = paid_at + ending_delay(code, chance)
        if ending == PARTLY_RETURNED and first_share:
            parts = [(method, first_share)]
        payments += [(ended_at, f"{REFUND_TEXTS[name]}{part},") for name, part in parts]
    return payments


def find_status(
    code: int, second: int, pay_delay: int, chance: int, end: int, final: str
) -> str:
    """Return the status, just before second *end*, of an order placed at *second*.

    *final* is its last status.
    """
    paid_at = second + payment_delay(code, pay_delay, chance)
    if code >> METHOD_BITS & 3 == UNPAID:
        return final if paid_at + UNPAID_DAYS * DAY_SECONDS < end else PENDING_TEXT
    if paid_at >= end:
        return PENDING_TEXT
    if code >> ENDING_SHIFT != DELIVERED and paid_at + ending_delay(code, chance) < end:
        return final
    if (
        code >> ENDING_SHIFT == CANCELLED
        or paid_at + _SHIP_DELAYS[chance >> 16 & 255] >= end
    ):
        return PAID_TEXT
    return DELIVERED_TEXT if paid_at + delivery_delay(chance) < end else SHIPPED_TEXT


def payment_delay(code: int, pay_delay: int, chance: int) -> int:
    """Return the seconds from an order to its payment, or to its last failed attempt."""
    if code & 3 == BANK_TRANSFER:
        return 20 * HOUR + (76 * HOUR * (chance & 65535) >> 16)
    if code >> METHOD_BITS & 3 == RETRIED:
        return pay_delay + 60 + (29 * 60 * (chance >> 56) >> 8)
    return pay_delay


def ending_delay(code: int, chance: int) -> int:
    """Return the seconds from payment to the cancellation or the return."""
    if code >> ENDING_SHIFT == CANCELLED:
        return _CANCELLATION_DELAYS[chance >> 16 & 255]
    return (
        _SHIP_DELAYS[chance >> 16 & 255]
        + _TRANSIT_DELAYS[chance >> 24 & 255]
        + 3 * DAY_SECONDS
        + (25 * DAY_SECONDS * (chance >> 32 & 65535) >> 16)
    )


def delivery_delay(chance: int) -> int:
    """Return the seconds from payment to delivery."""
    return _SHIP_DELAYS[chance >> 16 & 255] + _TRANSIT_DELAYS[chance >> 24 & 255]
