"""The life of an order: paid or not, cancelled, delivered, sent back, paid back.

One half word chooses a life by the habits of the customer's country; a life is a number
whose bits say how the order is paid and how it ends.  What would happen after the window's
last second is not known to the shop yet: it is not written, and an order's status is the
one it has at that moment.
"""

from __future__ import annotations

from functools import cache

from data_generation.model.catalog import COUNTRIES, METHODS, Country
from data_generation.model.distributions import deal
from data_generation.model.seasons import DAY_SECONDS

HOUR = 3600

# A life, bit by bit: the method (an index of METHODS), how it is paid, how it ends.
METHOD_BITS, PAYING_BITS = 2, 2
ENDING_SHIFT = METHOD_BITS + PAYING_BITS
PLAIN, SPLIT, RETRIED, UNPAID = range(4)
DELIVERED, CANCELLED, RETURNED, PARTLY_RETURNED = range(4)
BANK_TRANSFER = METHODS.index("bank_transfer")
LIFE_COUNT = 1 << ENDING_SHIFT + 2

# Lives below BANK_TRANSFER under this mask are paid at once, by one charge; a life below it
# as a whole ends there, delivered and kept.
PAYMENT_MASK = (1 << ENDING_SHIFT) - 1
# From this life on goods come back in part.
FIRST_PARTLY_RETURNED_LIFE = PARTLY_RETURNED << ENDING_SHIFT

SPLIT_PER_MILLE = 23
FAILED_PER_MILLE = 40
RETRIED_PER_MILLE = 780
CANCELLED_PER_MILLE = 24
# Of the orders that come back, so many come back whole; those of one line always do.
RETURNED_WHOLE_PER_MILLE = 620
LIFE_BITS = 12

LEAST_PAY_DELAY, MOST_PAY_DELAY = 15, 240
UNPAID_DAYS = 3

# After so many days all has happened: 4 to a bank transfer, 2.5 to the parcel's leaving,
# 7 on its way, 28 to a return, and one that has begun.
LIFE_DAYS = 43

# Statuses and payments as they stand in a row.
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
def make_lives() -> list[bytes]:
    """Return, for each country, the life of each word of LIFE_BITS bits."""
    return [_mix_lives(country) for country in COUNTRIES]


def _mix_lives(country: Country) -> bytes:
    endings = {
        CANCELLED: CANCELLED_PER_MILLE * 1000,
        RETURNED: country.returned_per_mille * RETURNED_WHOLE_PER_MILLE,
        PARTLY_RETURNED: country.returned_per_mille * (1000 - RETURNED_WHOLE_PER_MILLE),
    }
    endings[DELIVERED] = 1_000_000 - sum(endings.values())
    weights = [0] * LIFE_COUNT
    for method, share in enumerate(country.methods):
        for paying, per_million in _weigh_paying(method).items():
            for ending, weight in endings.items():
                weights[_name_life(method, paying, ending)] += share * per_million * weight
    return bytes(deal(weights, 1 << LIFE_BITS))


def _weigh_paying(method: int) -> dict[int, int]:
    """Return how orders by *method* are paid, in millionths; a transfer never fails."""
    split = SPLIT_PER_MILLE * 1000
    failed = 0 if method == BANK_TRANSFER else FAILED_PER_MILLE
    paying = {
        SPLIT: split,
        RETRIED: failed * RETRIED_PER_MILLE,
        UNPAID: failed * (1000 - RETRIED_PER_MILLE),
    }
    return {**paying, PLAIN: 1_000_000 - sum(paying.values())}


def _name_life(method: int, paying: int, ending: int) -> int:
    """Return the life's number, without what makes no difference to it."""
    if paying == UNPAID:
        ending = DELIVERED  # it has no goods to deliver; its end is in its story
    if paying == SPLIT and ending == PARTLY_RETURNED:
        ending = RETURNED  # so that no refund is larger than the charge it gives back
    return method | paying << METHOD_BITS | ending << ENDING_SHIFT


@cache
def count_payments() -> bytes:
    """Return the number of payments, refunds included, of each life."""
    counts = []
    for life in range(LIFE_COUNT):
        paying, ending = life >> METHOD_BITS & 3, life >> ENDING_SHIFT
        charges = 1 if paying in (PLAIN, UNPAID) else 2
        refunds = 0
        if paying != UNPAID and ending in (CANCELLED, RETURNED):
            refunds = 2 if paying == SPLIT else 1
        if ending == PARTLY_RETURNED:
            refunds = 1
        counts.append(charges + refunds)
    return bytes(counts)


@cache
def pay_delays() -> bytes:
    """Return the seconds from an order to its payment, by byte."""
    span = MOST_PAY_DELAY - LEAST_PAY_DELAY
    return bytes(LEAST_PAY_DELAY + span * byte // 255 for byte in range(256))


@cache
def final_statuses() -> list[str]:
    """Return what an order of each life has become when all has happened.

    An order of one line that would come back in part comes back whole.
    """
    statuses = []
    for life in range(LIFE_COUNT):
        paying, ending = life >> METHOD_BITS & 3, life >> ENDING_SHIFT
        statuses.append(CANCELLED_TEXT if paying == UNPAID else ENDING_TEXTS[ending])
    return statuses


def list_payments(
    life: int, second: int, pay_delay: int, chance: int, total: int, last_share: int
) -> list[tuple[int, str]]:
    """Return the payments of an order placed at *second*: (second, text), in time order.

    The text is the columns from kind to amount_cents.  *pay_delay* is in seconds; *chance*
    is 64 bits that decide on the other delays; *total* is in cents, *last_share* the share
    of the last line in it, 0 if it is the only one.
    """
    method, paying, ending = life & 3, life >> METHOD_BITS & 3, life >> ENDING_SHIFT
    paid_at = second + find_payment(life, pay_delay, chance)
    if paying == UNPAID:
        return [(paid_at, f"{FAILED_TEXTS[method]}{total},")]
    if paying == SPLIT:
        # A gift card pays a fifth to three fifths.
        gift = total * (51 + (102 * (chance >> 48 & 255) >> 8)) >> 8
        parts = [(GIFT_CARD, gift), (method, total - gift)]
    else:
        parts = [(method, total)]
    payments = [(paid_at, f"{CHARGE_TEXTS[name]}{part},") for name, part in parts]
    if paying == RETRIED:
        payments.insert(0, (second + pay_delay, f"{FAILED_TEXTS[method]}{total},"))
    if ending != DELIVERED:
        ended_at = paid_at + find_end(life, chance)
        if ending == PARTLY_RETURNED and last_share:
            parts = [(method, last_share)]
        payments += [(ended_at, f"{REFUND_TEXTS[name]}{part},") for name, part in parts]
    return payments


def find_status(
    life: int, second: int, pay_delay: int, chance: int, end: int, final: str
) -> str:
    """Return what an order placed at *second* is just before second *end*.

    *final* is what it is in the end.
    """
    paid_at = second + find_payment(life, pay_delay, chance)
    if life >> METHOD_BITS & 3 == UNPAID:
        return final if paid_at + UNPAID_DAYS * DAY_SECONDS < end else PENDING_TEXT
    if paid_at >= end:
        return PENDING_TEXT
    if life >> ENDING_SHIFT != DELIVERED and paid_at + find_end(life, chance) < end:
        return final
    if life >> ENDING_SHIFT == CANCELLED or paid_at + _ship_delay(chance) >= end:
        return PAID_TEXT
    return DELIVERED_TEXT if paid_at + find_delivery(chance) < end else SHIPPED_TEXT


def find_payment(life: int, pay_delay: int, chance: int) -> int:
    """Return the seconds from an order to its payment, or to the attempt it is left at."""
    if life & 3 == BANK_TRANSFER:
        return 20 * HOUR + (76 * HOUR * (chance & 65535) >> 16)
    if life >> METHOD_BITS & 3 == RETRIED:
        return pay_delay + 60 + (29 * 60 * (chance >> 56) >> 8)
    return pay_delay


def find_end(life: int, chance: int) -> int:
    """Return the seconds from payment to the cancellation or the return."""
    if life >> ENDING_SHIFT == CANCELLED:
        return HOUR // 4 + (23 * HOUR // 4 * (chance >> 16 & 255) >> 8)
    return (
        find_delivery(chance)
        + 3 * DAY_SECONDS
        + (25 * DAY_SECONDS * (chance >> 32 & 65535) >> 16)
    )


def find_delivery(chance: int) -> int:
    """Return the seconds from payment to delivery."""
    return _ship_delay(chance) + 20 * HOUR + (148 * HOUR * (chance >> 24 & 255) >> 8)


def _ship_delay(chance: int) -> int:
    return 6 * HOUR + (54 * HOUR * (chance >> 16 & 255) >> 8)
