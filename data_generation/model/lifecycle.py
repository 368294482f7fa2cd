"""The lifecycle of an order: paid or not, cancelled, delivered, returned, refunded.

A lifecycle is stored as a code of seven bits: the payment method, how the order is paid,
and how it ends.  One half word of random bits chooses it, by the habits of the customer and
the country, and another one whether goods are returned (see `returns`).  Events after the
window's last second are not written, and an order's status is the one at that second.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from data_generation.model.distributions import apportion, find_marks
from data_generation.model.markets import COUNTRIES, METHODS, Country
from data_generation.model.seasons import DAY_SECONDS

HOUR = 3600

# The parts of a code: the method (an index of METHODS), the way of payment, the ending.
METHOD_BITS, PAYING_BITS = 2, 3
ENDING_SHIFT = METHOD_BITS + PAYING_BITS
METHOD_MASK, PAYING_MASK = (1 << METHOD_BITS) - 1, (1 << PAYING_BITS) - 1
# From UNPAID on the order is not paid.
PLAIN, SPLIT, RETRIED, SWITCHED, RETRIED_TWICE, UNPAID, UNPAID_TWICE = range(7)
DELIVERED, CANCELLED, RETURNED, PARTLY_RETURNED = range(4)
BANK_TRANSFER = METHODS.index("bank_transfer")
# Attempts to pay, by way of payment; the eighth way is not in use.
ATTEMPTS = (1, 1, 2, 2, 3, 1, 2, 1)
LIFECYCLE_COUNT = 1 << ENDING_SHIFT + 2

# If a code under this mask is below BANK_TRANSFER, the order is paid at once by one charge;
# if the code itself is below it, the order is also delivered and kept.
PAYMENT_MASK = (1 << ENDING_SHIFT) - 1
# From this code on goods are returned, and from the next one on only some of them.
FIRST_RETURNED = RETURNED << ENDING_SHIFT
FIRST_PARTLY_RETURNED = PARTLY_RETURNED << ENDING_SHIFT

# The same as tables for `bytes.translate`, which select orders faster than a loop.
_BYTES = range(256)
IS_CHARGED_AT_ONCE = bytes([code & PAYMENT_MASK < BANK_TRANSFER for code in _BYTES])
HAS_LATER_PAYMENTS = bytes([code >= BANK_TRANSFER for code in _BYTES])
IS_PARTLY_RETURNED = bytes([code >= FIRST_PARTLY_RETURNED for code in _BYTES])

# Of 1,000 orders, how many are paid by the customer's habitual method; the others are paid
# by any of the country's.  Our own choice: the method is then that of the last order twice
# as often as by chance.
HABIT_PER_MILLE = 750

SPLIT_PER_MILLE = 23
FAILED_PER_MILLE = 36
# What follows a first failed attempt.  Of the further attempts 34 % are made by another
# method, the share of customers in a survey who try another card.  The rest is our own
# choice.
FAILED_PAYING_PER_MILLE = {
    RETRIED: 415,
    SWITCHED: 305,
    RETRIED_TWICE: 60,
    UNPAID: 160,
    UNPAID_TWICE: 60,
}
CANCELLED_PER_MILLE = 24
# Of 1,000 orders with returns, how many are returned completely; those of one line always
# are.
RETURNED_COMPLETELY_PER_MILLE = 620
LIFECYCLE_BITS = 12

LEAST_PAY_DELAY, MOST_PAY_DELAY = 15, 240
UNPAID_DAYS = 3

# The most days of a lifecycle: 4 to a bank transfer, 2.5 to the dispatch, 7 to the
# delivery, 28 to a return, 9 hours to its refund, and the day of the order itself.
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
def list_habitual_methods() -> list[list[int]]:
    """Return the habitual method by country and by the byte of the habit "method"."""
    return [apportion(country.methods, 256) for country in COUNTRIES]


@cache
def build_lifecycle_tables() -> list[list[bytes]]:
    """Return the codes by country, by the byte of the habit "method", and by word.

    A word has LIFECYCLE_BITS bits.  The codes are those of orders that are returned unless
    they are cancelled; of the others see `keep_goods`.
    """
    all_tables = []
    for country, habits in zip(COUNTRIES, list_habitual_methods(), strict=True):
        tables = [_build_lifecycle_table(country, habit) for habit in range(len(METHODS))]
        all_tables.append([tables[habit] for habit in habits])
    return all_tables


def _build_lifecycle_table(country: Country, habit: int) -> bytes:
    """Return the codes of the customers whose habitual method is *habit*."""
    returned = 1000 - CANCELLED_PER_MILLE
    endings = {
        CANCELLED: CANCELLED_PER_MILLE * 1000,
        RETURNED: returned * RETURNED_COMPLETELY_PER_MILLE,
        PARTLY_RETURNED: returned * (1000 - RETURNED_COMPLETELY_PER_MILLE),
    }
    weights = [0] * LIFECYCLE_COUNT
    for method, share in enumerate(_weigh_methods(country, habit)):
        for paying, per_million in _weigh_paying(method).items():
            for ending, weight in endings.items():
                weights[_encode_lifecycle(method, paying, ending)] += (
                    share * per_million * weight
                )
    size = 1 << LIFECYCLE_BITS
    marks = find_marks([size * weight for weight in weights], size)
    # Joining bytes takes a tenth of the time of `apportion`.
    return b"".join(
        bytes([code]) * (stop - start) for code, (start, stop) in enumerate(pairwise(marks))
    )


def _weigh_methods(country: Country, habit: int) -> list[int]:
    """Return the weights of METHODS for customers whose habitual method is *habit*."""
    weights = [(1000 - HABIT_PER_MILLE) * share for share in country.methods]
    weights[habit] += HABIT_PER_MILLE * sum(country.methods)
    return weights


@cache
def keep_goods() -> bytes:
    """Return by code the code of the same lifecycle without a return."""
    return bytes(
        code & PAYMENT_MASK if code >= FIRST_RETURNED else code
        for code in range(LIFECYCLE_COUNT)
    )


def _weigh_paying(method: int) -> dict[int, int]:
    """Return the ways of payment of *method*, in millionths; a transfer never fails."""
    failed = 0 if method == BANK_TRANSFER else FAILED_PER_MILLE
    paying = {
        SPLIT: SPLIT_PER_MILLE * 1000,
        **{way: failed * weight for way, weight in FAILED_PAYING_PER_MILLE.items()},
    }
    return {**paying, PLAIN: 1_000_000 - sum(paying.values())}


def _encode_lifecycle(method: int, paying: int, ending: int) -> int:
    """Return the code of a lifecycle; equivalent lifecycles have one code."""
    if paying >= UNPAID:
        ending = DELIVERED  # an unpaid order has no further events
    if paying == SPLIT and ending == PARTLY_RETURNED:
        ending = RETURNED  # so that no refund is larger than its charge
    return method | paying << METHOD_BITS | ending << ENDING_SHIFT


def split_code(code: int) -> tuple[int, int, int]:
    """Return the parts of a code: the method, the way of payment and the ending.

    >>> split_code(BANK_TRANSFER | PLAIN << METHOD_BITS | RETURNED << ENDING_SHIFT)
    (3, 0, 2)
    """
    return code & METHOD_MASK, code >> METHOD_BITS & PAYING_MASK, code >> ENDING_SHIFT


@cache
def count_payments() -> bytes:
    """Return the number of payments, refunds included, by code, for `bytes.translate`."""
    counts = []
    for code in range(LIFECYCLE_COUNT):
        _, paying, ending = split_code(code)
        parts = 2 if paying == SPLIT else 1
        charges = ATTEMPTS[paying] + parts - 1
        refunds = 0
        if paying < UNPAID and ending != DELIVERED:
            refunds = 1 if ending == PARTLY_RETURNED else parts
        counts.append(charges + refunds)
    return bytes(counts).ljust(256)


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
        _, paying, ending = split_code(code)
        statuses.append(CANCELLED_TEXT if paying >= UNPAID else ENDING_TEXTS[ending])
    return statuses


# Refunds of returned goods are made in working hours: the 168 hours of a week become, one
# after the other, the 42 hours of a working week, quarters of an hour from nine to five
# o'clock on Monday to Friday and from nine to eleven on Saturday; our own choice.
WEEK_HOURS = 7 * 24
_WORKING_SECONDS = [
    DAY_SECONDS * (quarter // 32) + HOUR * 9 + HOUR // 4 * (quarter % 32)
    for quarter in range(WEEK_HOURS)
]


# All seconds that the functions below take and return are local time, counted from the
# midnight before a Monday.
#
# The 64 random bits of an order, called *chance* in the functions below:
#
#     bits     decide
#     0-15     how long a bank transfer takes
#     16-23    when the order is cancelled, or when it is shipped: never both
#     24-31    how long the delivery takes
#     32-47    when the goods are returned
#     48-55    how much a gift card pays; by which other method a failed payment is tried
#              again; when it is tried for the third time
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
    method, paying, ending = split_code(code)
    *failed_at, paid_at = (
        second + delay for delay in list_attempts(code, pay_delay, chance)
    )
    payments = [(at, f"{FAILED_TEXTS[method]}{total},") for at in failed_at]
    if paying >= UNPAID:
        return [*payments, (paid_at, f"{FAILED_TEXTS[method]}{total},")]
    if paying == SWITCHED:
        # One of the other two methods that are immediate.
        method = (method + 1 + (chance >> 48 & 1)) % BANK_TRANSFER
    parts = [(method, total)]
    if paying == SPLIT:
        # The gift card pays between a fifth and three fifths.
        gift = total * (51 + (102 * (chance >> 48 & 255) >> 8)) >> 8
        parts = [(GIFT_CARD, gift), (method, total - gift)]
    payments += [(paid_at, f"{CHARGE_TEXTS[name]}{part},") for name, part in parts]
    if ending != DELIVERED:
        ended_at = find_ending(code, paid_at, chance)
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
    if code >> METHOD_BITS & PAYING_MASK >= UNPAID:
        return final if paid_at + UNPAID_DAYS * DAY_SECONDS < end else PENDING_TEXT
    if paid_at >= end:
        return PENDING_TEXT
    if code >> ENDING_SHIFT != DELIVERED and find_ending(code, paid_at, chance) < end:
        return final
    if (
        code >> ENDING_SHIFT == CANCELLED
        or paid_at + _SHIP_DELAYS[chance >> 16 & 255] >= end
    ):
        return PAID_TEXT
    return DELIVERED_TEXT if paid_at + delivery_delay(chance) < end else SHIPPED_TEXT


def payment_delay(code: int, pay_delay: int, chance: int) -> int:
    """Return the seconds from an order to its payment, or to its last failed attempt."""
    return list_attempts(code, pay_delay, chance)[-1]


def list_attempts(code: int, pay_delay: int, chance: int) -> list[int]:
    """Return the seconds from an order to each attempt to pay it."""
    if code & METHOD_MASK == BANK_TRANSFER:
        return [20 * HOUR + (76 * HOUR * (chance & 65535) >> 16)]
    second = pay_delay + 60 + (29 * 60 * (chance >> 56) >> 8)
    third = second + 60 + (29 * 60 * (chance >> 48 & 255) >> 8)
    return [pay_delay, second, third][: ATTEMPTS[code >> METHOD_BITS & PAYING_MASK]]


def find_ending(code: int, paid_at: int, chance: int) -> int:
    """Return the second at which an order paid at *paid_at* is cancelled or refunded."""
    if code >> ENDING_SHIFT == CANCELLED:
        return paid_at + _CANCELLATION_DELAYS[chance >> 16 & 255]
    return move_to_working_hours(
        paid_at
        + _SHIP_DELAYS[chance >> 16 & 255]
        + _TRANSIT_DELAYS[chance >> 24 & 255]
        + 3 * DAY_SECONDS
        + (25 * DAY_SECONDS * (chance >> 32 & 65535) >> 16)
    )


def move_to_working_hours(second: int) -> int:
    """Return the working time for *second* of the same week; it never decreases.

    >>> move_to_working_hours(4 * HOUR) == 10 * HOUR
    True
    """
    hour, rest = divmod(second, HOUR)
    hour_of_week = hour % WEEK_HOURS
    return HOUR * (hour - hour_of_week) + _WORKING_SECONDS[hour_of_week] + rest // 4


def delivery_delay(chance: int) -> int:
    """Return the seconds from payment to delivery."""
    return _SHIP_DELAYS[chance >> 16 & 255] + _TRANSIT_DELAYS[chance >> 24 & 255]
