"""Expected orders follow their formulas, computed here with floats."""

from __future__ import annotations

import math
import unittest
from collections.abc import Callable
from itertools import pairwise
from operator import mul

from data_generation.expectations import expect_first_orders, expect_orders
from data_generation.model.distributions import UNIT
from data_generation.model.purchase_processes import PROCESSES, STEADY, Process
from data_generation.model.seasons import DAY_TICKS
from tests.support import IN_CI

DROPOUTS = (0, 500, 30_000, 65_535)
YEAR = 365 * DAY_TICKS


def exponential_survival(x: float) -> float:
    """Return the probability that a steady gap is longer than *x*."""
    return math.exp(-x)


def erlang_survival(x: float) -> float:
    """Return the probability that a regular gap is longer than *x*."""
    return (1 + 2 * x) * math.exp(-2 * x)


def clumpy_survival(x: float) -> float:
    """Return the probability that a clumpy gap is longer than *x*."""
    return 0.7 * math.exp(-x / 0.15) + 0.3 * math.exp(-x * 0.3 / 0.895)


SURVIVALS: dict[str, Callable[[float], float]] = {
    "steady": exponential_survival,
    "regular": erlang_survival,
    "clumpy": clumpy_survival,
    "drifting": exponential_survival,
}


class Renewal:
    """Expected orders by the renewal equation, on a grid of *width* mean gaps.

    Its one ingredient is the distribution of a gap: the orders until t after an order are
    the integral of 1 + (1 − p) × (those until t − v) over the time v of the next one.
    """

    def __init__(
        self, survival: Callable[[float], float], dropout: float, width: float, steps: int
    ) -> None:
        self._survival = survival
        self._stays = 1 - dropout
        self._width = width
        shares = self._list_shares(0, steps)
        self._counts = [0.0]
        self._middles: list[float] = []
        for step in range(1, steps + 1):
            # The middle of the newest cell contains the count that is computed.
            known = math.fsum(map(mul, shares[1:step], reversed(self._middles)))
            known = sum(shares[:step]) + self._stays * (
                known + shares[0] * self._counts[-1] / 2
            )
            self._counts.append(known / (1 - self._stays * shares[0] / 2))
            self._middles.append((self._counts[-1] + self._counts[-2]) / 2)

    def _list_shares(self, elapsed: float, steps: int) -> list[float]:
        """Return the probability that the next order is in each of *steps* cells."""
        survivals = [
            self._survival(elapsed + step * self._width) for step in range(steps + 1)
        ]
        return [(high - low) / survivals[0] for high, low in pairwise(survivals)]

    def expect(self, elapsed: float, steps: int) -> float:
        """Return the expected orders in *steps* cells, *elapsed* after an order."""
        shares = self._list_shares(elapsed, steps)
        later = math.fsum(map(mul, shares, reversed(self._middles[:steps])))
        return sum(shares) + self._stays * later


class ExpectedOrders(unittest.TestCase):
    """Expected orders agree with the formula of BG/NBD and with the renewal equation."""

    def test_steady_orders_follow_the_formula_at_any_time_since_the_last_one(self) -> None:
        for mean_gap in (1000, 10**6, 2**48):
            for dropout in (1, *DROPOUTS[1:]):
                for horizon in (1, YEAR, 3 * YEAR):
                    p, exposure = dropout / 65536, horizon / mean_gap
                    exact = -math.expm1(-p * exposure) / p
                    for elapsed in (0, horizon):
                        known = STEADY, mean_gap, dropout, elapsed, horizon
                        found = expect_orders(*known) / UNIT
                        self.assertAlmostEqual(found, exact, delta=1e-4 + 1e-6 * exact)

    def test_orders_of_every_process_follow_the_renewal_equation(self) -> None:
        mean_gap, steps, width = 20 * DAY_TICKS, 600, 0.01
        for name, process in PROCESSES.items():
            for dropout in DROPOUTS:
                renewal = Renewal(SURVIVALS[name], dropout / 65536, width, steps)
                for elapsed in (0.0, 0.1, 1.0, 6.0):
                    for horizon in (5, 100, steps):
                        with self.subTest(name, p=dropout, s=elapsed, t=horizon):
                            found = expect_orders(
                                process,
                                mean_gap,
                                dropout,
                                int(elapsed * mean_gap),
                                int(horizon * width * mean_gap),
                            )
                            exact = renewal.expect(elapsed, horizon)
                            self.assertAlmostEqual(found / UNIT, exact, delta=1e-3)

    def test_orders_before_the_first_order_follow_the_integral(self) -> None:
        for process in PROCESSES.values():
            for mean_gap in (DAY_TICKS // 4, 20 * DAY_TICKS, 2**48):
                for dropout in DROPOUTS:
                    found = expect_first_orders(process, mean_gap, dropout, YEAR) / UNIT
                    exact = self.integrate_delay(process, mean_gap, dropout)
                    self.assertAlmostEqual(found, exact, delta=0.002 * (1 + exact))

    def integrate_delay(self, process: Process, mean_gap: int, dropout: int) -> float:
        """Return the mean over the first order's delay, by the midpoint rule."""
        steps, delay = 4000 if IN_CI else 1000, 8 * DAY_TICKS
        total = 0.0
        for step in range(steps):
            after = (2 * step + 1) * YEAR // (2 * steps)
            density = math.exp(-after / delay) / delay * YEAR / steps
            later = expect_orders(process, mean_gap, dropout, 0, YEAR - after)
            total += density * (1 + later / UNIT)
        return total
