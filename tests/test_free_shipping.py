"""Free shipping: orders just below the threshold are raised above it."""

from __future__ import annotations

import unittest

from data_generation.model.baskets import (
    CATEGORY_SIZE,
    CLASS_STEPS,
    LOWEST_CLASS_LEVEL,
    ROW,
    ChoiceTables,
    Picks,
    level_cents,
)
from data_generation.model.free_shipping import RAISED_256THS, Baskets, raise_orders
from data_generation.model.prices import QUANTITY_BITS
from data_generation.model.streams import Streams

# One product in each place of the rows of one category, with the price of its class.
CHOICES = [place << QUANTITY_BITS for place in range(CATEGORY_SIZE)]
TABLES = ChoiceTables(CHOICES, [0] * 256, [0] * 256, [], {})


def price_choices() -> list[int]:
    """Return the cents of every choice; the places of a row share its class evenly."""
    budgets = level_cents()
    cents = [0] * (CATEGORY_SIZE << QUANTITY_BITS)
    for place, choice in enumerate(CHOICES):
        level = LOWEST_CLASS_LEVEL + place // ROW * CLASS_STEPS
        cents[choice] = budgets[level + place % ROW * CLASS_STEPS // ROW]
    return cents


class RaisedOrders(unittest.TestCase):
    """Some orders that would miss free shipping by a fifth or less are raised."""

    def raise_all(self, line_cents: list[int], per_cent: int) -> Baskets:
        """Return 2,000 orders of lines with these cents after some were raised."""
        cents, count = price_choices(), len(line_cents)
        # Quantity 2 of the first products has the cents of the lines.
        lines = [place << QUANTITY_BITS | 1 for place in range(count)]
        for line, price in zip(lines, line_cents, strict=True):
            cents[line] = price
        baskets = Baskets(
            lines * 2000,
            list(range(0, 2000 * count + 1, count)),
            [sum(line_cents)] * 2000,
            [per_cent] * 2000,
        )
        words = [at * 31 & 0xFFFF for at in range(2000)]
        picks = Picks(
            bytes([word & 255 for word in words]), bytes([word >> 8 for word in words])
        )
        raise_orders(Streams(1), "x", baskets, picks, TABLES, cents)
        for start, stop, subtotal in zip(
            baskets.ends, baskets.ends[1:], baskets.subtotals, strict=False
        ):
            made = baskets.lines[start:stop]
            self.assertEqual(made[:-1], lines[:-1])
            self.assertEqual(sum(cents[line] for line in made), subtotal)
            self.assertEqual(len({line >> QUANTITY_BITS for line in made}), count)
        return baskets

    def test_share_of_the_orders_just_below_is_raised_a_little_above(self) -> None:
        for line_cents, per_cent in (
            ([6000], 0),
            ([7499], 0),
            ([5000, 2000], 0),
            ([1000, 1000, 5000], 0),
            ([8000], 10),
            ([8800], 15),
        ):
            with self.subTest(line_cents, per_cent=per_cent):
                subtotals = self.raise_all(line_cents, per_cent).subtotals
                raised = [cents for cents in subtotals if cents != sum(line_cents)]
                share = len(raised) / len(subtotals)
                self.assertAlmostEqual(share, RAISED_256THS / 256, delta=0.03)
                for cents in raised:
                    paid = cents - cents * per_cent // 100
                    self.assertTrue(7500 <= paid <= 9000, paid)

    def test_order_far_below_or_above_is_not_raised(self) -> None:
        for line_cents, per_cent in (([5999], 0), ([7500], 0), ([6600], 10), ([8824], 15)):
            with self.subTest(line_cents, per_cent=per_cent):
                subtotals = self.raise_all(line_cents, per_cent).subtotals
                self.assertEqual(set(subtotals), {sum(line_cents)})

    def test_order_without_a_dearer_choice_is_not_raised(self) -> None:
        lines, subtotals = [1] * 50, [7000] * 50
        baskets = Baskets(lines, list(range(51)), subtotals, [0] * 50)
        cents = [7000] * len(price_choices())
        raise_orders(
            Streams(1), "x", baskets, Picks(bytes(range(50)), bytes(50)), TABLES, cents
        )
        self.assertEqual((set(lines), set(subtotals)), ({1}, {7000}))
