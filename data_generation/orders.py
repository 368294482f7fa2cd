"""Baskets, money, payments and the life of an order.

One order day at a time: its purchases become orders, items and payments.  What would
happen after the window's last second is not known to the shop yet, so it is not written,
and an order's status is the one it has at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from data_generation.catalog import Product, Shelves
from data_generation.customers import Purchase
from data_generation.distributions import UNIT, Choice, gamma, weigh_choice
from data_generation.seasons import DAY_SECONDS, Calendar, find_black_friday
from data_generation.streams import Streams, is_chosen, scale_word

HOUR = 3600

# Gamma-Gamma for CDNOW: an order is worth its customer's mean times Gamma(p) ÷ p, p 6.25.
SPEND_P = "6.25"
SPEND_P_PER_CENT = 625
MEAN_ORDER_CENTS = 7800

# Distinct products that a customer would like; the budget bounds them from both sides.
LINE_COUNTS: Choice[int] = weigh_choice((1, 2, 3, 4, 5, 6), (500, 240, 130, 70, 35, 25))
LEAST_CENTS_PER_LINE = 2400
MOST_CENTS_PER_LINE = 9000
# Units of a product that a customer would take at the most.
MOST_UNITS: Choice[int] = weigh_choice((1, 2, 3, 4), (550, 250, 120, 80))
# A further product comes from the first one's category this often.
SAME_CATEGORY_PER_MILLE = 550
# Products that a customer looks at before taking the one nearest to the budget.
CANDIDATES = 6

# Promotions: share of the products on offer in a week, and how deep.
PROMOTED_PER_MILLE = 60
PROMOTED_IN_BLACK_WEEK_PER_MILLE = 420
PROMOTION_PER_CENT: Choice[int] = weigh_choice((10, 15, 20, 30), (40, 25, 25, 10))
# Coupons on the whole order.
WELCOME_COUPON_PER_MILLE = 220
WELCOME_PER_CENT = 10
COUPON_PER_MILLE = 70
COUPON_PER_CENT = 15

FREE_SHIPPING_CENTS = 7500

# Shares of payments by method in online retail in North America in 2024 (Worldpay).
METHODS: Choice[str] = weigh_choice(
    ("wallet", "credit_card", "debit_card", "bank_transfer"), (39, 31, 18, 12)
)
SPLIT_PER_MILLE = 30
FAILED_PER_MILLE = 45
RETRIED_PER_MILLE = 780
CANCELLED_PER_MILLE = 24
RETURNED_PER_MILLE = 165
RETURNED_WHOLE_PER_MILLE = 520
UNPAID_DAYS = 3


class Line(NamedTuple):
    """A line of a basket; *discount_cents* is on the whole line."""

    product: Product
    quantity: int
    discount_cents: int

    @property
    def total_cents(self) -> int:
        """Return what the line costs."""
        return self.quantity * self.product.price_cents - self.discount_cents


class Amounts(NamedTuple):
    """The money of an order, in cents, as the contract adds it up."""

    subtotal: int
    discount: int
    shipping: int
    tax: int

    @property
    def total(self) -> int:
        """Return what the customer is asked to pay."""
        return self.subtotal - self.discount + self.shipping + self.tax


class Payment(NamedTuple):
    """A payment of an order; sorts by time, then order, then by *number* within it."""

    second: int
    order_id: int
    number: int
    kind: str
    method: str
    status: str
    amount_cents: int


class Order(NamedTuple):
    """An order with its rows for orders.csv and order_items.csv and its payments."""

    row: str
    item_rows: list[str]
    payments: list[Payment]


class Chance(NamedTuple):
    """The words that decide one order's life, one for each question."""

    coupon: int
    method: int
    split: int
    gift_share: int
    pay_delay: int
    fails: int
    retries: int
    retry_delay: int
    cancels: int
    ship_delay: int
    deliver_delay: int
    returns: int
    return_delay: int
    return_whole: int


def promote(streams: Streams, calendar: Calendar, day_number: int, count: int) -> list[int]:
    """Return the discount of each of *count* products on a day, in per cent; mostly 0.

    Promotions last a week, Monday to Sunday; in the week of Black Friday there are more.
    """
    day = calendar.days[day_number]
    week = _count_weeks(day)
    is_black_week = week == _count_weeks(find_black_friday(day.year))
    share = PROMOTED_IN_BLACK_WEEK_PER_MILLE if is_black_week else PROMOTED_PER_MILLE
    chosen = streams.draw("products", "is_promoted", week, count)
    depths = streams.draw("products", "promotion", week, count)
    return [
        PROMOTION_PER_CENT.item_at(depth) if is_chosen(word, share) else 0
        for word, depth in zip(chosen, depths, strict=True)
    ]


def _count_weeks(day: date) -> int:
    """Return how many weeks, Monday to Sunday, lie before the one of *day*."""
    return (day.toordinal() - 1) // 7


def make_order_day(
    streams: Streams,
    calendar: Calendar,
    day_number: int,
    purchases: Sequence[Purchase],
    shelves: Shelves,
    promotions: Sequence[int],
    *,
    first_order_id: int,
    first_item_id: int,
) -> Iterator[Order]:
    """Yield the orders of one day from its *purchases*, which are in time order.

    *promotions* is what `promote` returned for the day.  Ids run on from *first_order_id*
    and *first_item_id*.
    """
    day = calendar.days[day_number]
    item_id = first_item_id
    chances = zip(
        *(streams.draw("orders", name, day, len(purchases)) for name in Chance._fields),
        strict=True,
    )
    baskets = _fill_baskets(streams, day, purchases, shelves, promotions)
    for order_id, (purchase, lines, words) in enumerate(
        zip(purchases, baskets, chances, strict=True), start=first_order_id
    ):
        chance = Chance(*words)
        amounts = add_up(lines, purchase, chance.coupon)
        status, payments = live_order(
            purchase.second, amounts, lines, chance, calendar.end_second
        )
        yield Order(
            row=f"{order_id},{purchase.user_id},{calendar.format_instant(purchase.second)},"
            f"{status},{amounts.subtotal},{amounts.discount},{amounts.shipping},"
            f"{amounts.tax},{amounts.total}\n",
            item_rows=[
                f"{item_id + at},{order_id},{line.product.product_id},{line.quantity},"
                f"{line.product.price_cents},{line.discount_cents},{line.total_cents}\n"
                for at, line in enumerate(lines)
            ],
            payments=[payment._replace(order_id=order_id) for payment in payments],
        )
        item_id += len(lines)


def _fill_baskets(
    streams: Streams,
    day: object,
    purchases: Sequence[Purchase],
    shelves: Shelves,
    promotions: Sequence[int],
) -> Iterator[list[Line]]:
    count = len(purchases)
    budgets = [
        order_value(purchase.spending_level, word)
        for purchase, word in zip(
            purchases, streams.draw("orders", "basket_value", day, count), strict=True
        )
    ]
    sizes = [
        _count_lines(budget, LINE_COUNTS.item_at(word))
        for budget, word in zip(
            budgets, streams.draw("orders", "line_count", day, count), strict=True
        )
    ]
    line_total = sum(sizes)
    most_units = iter(streams.draw("order_items", "quantity", day, line_total))
    categories = iter(streams.draw("order_items", "category", day, 2 * line_total))
    candidates = iter(
        streams.draw("order_items", "product_id", day, CANDIDATES * line_total)
    )
    for budget, size in zip(budgets, sizes, strict=True):
        lines: list[Line] = []
        left = budget
        for place in range(size):
            most = MOST_UNITS.item_at(next(most_units))
            words = [next(candidates) for _ in range(CANDIDATES)]
            category = _pick_category(shelves, lines, next(categories), next(categories))
            shelf = shelves.products[category]
            product = _pick_product(shelf, words, left // (size - place), most, lines)
            if product is not None:
                quantity = _count_units(product, left // (size - place), most)
                price = quantity * product.price_cents
                left = max(left - price, 0)
                per_cent = promotions[product.product_id - 1]
                lines.append(Line(product, quantity, price * per_cent // 100))
        yield lines


def _count_lines(budget: int, wanted: int) -> int:
    """Return how many lines *budget* makes of the number *wanted*, at least 1."""
    most = 1 + budget // LEAST_CENTS_PER_LINE
    least = min(budget // MOST_CENTS_PER_LINE, LINE_COUNTS.items[-1])
    return max(least, min(wanted, most))


def order_value(spending_level: int, word: int) -> int:
    """Return the value, in cents, that a customer of *spending_level* has in mind."""
    noise = gamma(SPEND_P).value_at(word) * 100 // SPEND_P_PER_CENT
    return (MEAN_ORDER_CENTS * spending_level // UNIT) * noise // UNIT


def _pick_category(shelves: Shelves, lines: list[Line], stays: int, word: int) -> int:
    if lines and is_chosen(stays, SAME_CATEGORY_PER_MILLE):
        return lines[0].product.category
    return shelves.categories.item_at(word)


def _pick_product(
    shelf: Choice[Product], words: Sequence[int], budget: int, most: int, lines: list[Line]
) -> Product | None:
    """Return the candidate whose units come nearest to *budget*, not yet in the basket.

    *most* units are taken of it.  The first product of a basket always has one; later there
    may be none.
    """
    taken = {line.product.product_id for line in lines}
    candidates = [shelf.item_at(word) for word in words]
    return min(
        (product for product in candidates if product.product_id not in taken),
        key=lambda product: abs(
            _count_units(product, budget, most) * product.price_cents - budget
        ),
        default=None,
    )


def _count_units(product: Product, budget: int, most: int) -> int:
    """Return how many units come nearest to *budget*, from 1 to *most*."""
    price = product.price_cents
    return max(1, min((budget + price // 2) // price, most))


def add_up(lines: Sequence[Line], purchase: Purchase, coupon: int) -> Amounts:
    """Return an order's money: coupon, shipping with a free threshold, tax on goods."""
    subtotal = sum(line.total_cents for line in lines)
    discount = 0
    if purchase.number == 0 and is_chosen(coupon, WELCOME_COUPON_PER_MILLE):
        discount = subtotal * WELCOME_PER_CENT // 100
    elif purchase.number > 0 and is_chosen(coupon, COUPON_PER_MILLE):
        discount = subtotal * COUPON_PER_CENT // 100
    goods = subtotal - discount
    return Amounts(
        subtotal=subtotal,
        discount=discount,
        shipping=0 if goods >= FREE_SHIPPING_CENTS else purchase.country.shipping_cents,
        tax=(goods * purchase.country.tax_per_mille + 500) // 1000,
    )


def live_order(
    second: int, amounts: Amounts, lines: Sequence[Line], chance: Chance, end_second: int
) -> tuple[str, list[Payment]]:
    """Return an order's status at *end_second* and its payments until then.

    The order was placed at *second*.  The payments have order id 0, and times after it.
    """
    status, payments = "pending", []
    for at, next_status, happening in _tell_story(second, amounts, lines, chance):
        if at >= end_second:
            break
        status = next_status
        payments += happening
    numbered = [payment._replace(number=number) for number, payment in enumerate(payments)]
    return status, numbered


Episode = tuple[int, str, list[Payment]]


def _tell_story(
    second: int, amounts: Amounts, lines: Sequence[Line], chance: Chance
) -> Iterator[Episode]:
    """Yield what happens to an order in time order: when, its status then, payments."""
    method = METHODS.item_at(chance.method)
    paid_at = second + _payment_delay(method, chance.pay_delay)
    is_split = is_chosen(chance.split, SPLIT_PER_MILLE)
    if (
        not is_split
        and method != "bank_transfer"
        and is_chosen(chance.fails, FAILED_PER_MILLE)
    ):
        yield paid_at, "pending", [_charge(paid_at, method, amounts.total, "failed")]
        if not is_chosen(chance.retries, RETRIED_PER_MILLE):
            yield paid_at + UNPAID_DAYS * DAY_SECONDS, "cancelled", []
            return
        paid_at += scale_word(chance.retry_delay, 60, HOUR // 2)
    charges = [_charge(paid_at, method, amounts.total)]
    if is_split:
        charges = _split_charge(charges[0], chance.gift_share)
    yield paid_at, "paid", charges
    if is_chosen(chance.cancels, CANCELLED_PER_MILLE):
        cancelled_at = paid_at + scale_word(chance.ship_delay, HOUR // 4, 6 * HOUR)
        yield cancelled_at, "cancelled", _refund_all(cancelled_at, charges)
        return
    shipped_at = paid_at + scale_word(chance.ship_delay, 6 * HOUR, 60 * HOUR)
    yield shipped_at, "shipped", []
    delivered_at = shipped_at + scale_word(chance.deliver_delay, 20 * HOUR, 7 * 24 * HOUR)
    yield delivered_at, "delivered", []
    if is_chosen(chance.returns, RETURNED_PER_MILLE):
        days = scale_word(chance.return_delay, 3 * DAY_SECONDS, 28 * DAY_SECONDS)
        yield _return_goods(delivered_at + days, amounts, lines, chance, charges)


def _payment_delay(method: str, word: int) -> int:
    if method == "bank_transfer":
        return scale_word(word, 20 * HOUR, 96 * HOUR)
    return scale_word(word, 15, 240)


def _charge(second: int, method: str, amount: int, status: str = "succeeded") -> Payment:
    return Payment(second, 0, 0, "charge", method, status, amount)


def _split_charge(charge: Payment, gift_share: int) -> list[Payment]:
    """Return *charge* as two: a gift card pays a fifth to three fifths of it."""
    gift = charge.amount_cents * scale_word(gift_share, 200, 600) // 1000
    return [
        charge._replace(method="gift_card", amount_cents=gift),
        charge._replace(amount_cents=charge.amount_cents - gift),
    ]


def _refund_all(second: int, charges: Sequence[Payment]) -> list[Payment]:
    return [charge._replace(second=second, kind="refund") for charge in charges]


def _return_goods(
    second: int,
    amounts: Amounts,
    lines: Sequence[Line],
    chance: Chance,
    charges: Sequence[Payment],
) -> Episode:
    """Return the refund of the whole order, or of its last line's share in it."""
    last = charges[-1]
    refund = amounts.total * lines[-1].total_cents // amounts.subtotal
    is_whole = len(lines) == 1 or is_chosen(chance.return_whole, RETURNED_WHOLE_PER_MILLE)
    if is_whole or not 0 < refund < last.amount_cents:
        return second, "returned", _refund_all(second, charges)
    part = last._replace(second=second, kind="refund", amount_cents=refund)
    return second, "partially_returned", [part]
