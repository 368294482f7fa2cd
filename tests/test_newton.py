"""Newton's method: where it finds the optimum, and where it is refused."""

from __future__ import annotations

import math
import unittest
from collections.abc import Callable, Sequence

from queries.forecast.newton import (
    MAX_DRIFT,
    LogLikelihood,
    Optimum,
    Vector,
    factorize,
    maximize,
)
from utils.helpers import DataError


def evaluate_parabola(optimum: float) -> Callable[[Vector], LogLikelihood]:
    """Return a log-likelihood of one parameter x: -(ln x - ln *optimum*)^2 / 2."""

    def evaluate(point: Vector) -> LogLikelihood:
        (x,) = point
        distance = math.log(x / optimum)
        return LogLikelihood(
            -(distance**2) / 2, (-distance / x,), (((distance - 1) / x**2,),)
        )

    return evaluate


class NewtonsMethod(unittest.TestCase):
    """The search finds the optimum, or is refused in words."""

    def search(self, evaluate: Callable[[Vector], LogLikelihood]) -> Optimum:
        """Return the optimum that is found from 1."""
        return maximize(evaluate, start=(1.0,), names=("r",), model="purchase model")

    def test_optimum_near_the_start_is_found_with_its_variance(self) -> None:
        found = self.search(evaluate_parabola(0.9 * MAX_DRIFT))
        self.assertAlmostEqual(found.parameters[0] / (0.9 * MAX_DRIFT), 1, delta=1e-3)
        self.assertAlmostEqual(found.covariance[0][0], 1, delta=1e-6)

    def test_end_does_not_depend_on_where_the_search_begins(self) -> None:
        def evaluate(point: Vector) -> LogLikelihood:
            # 1 - cosh(ln x - ln 4), whose optimum no single step reaches.
            (x,) = point
            growth, fall = x / 8, 2 / x
            return LogLikelihood(
                1 - growth - fall, ((fall - growth) / x,), ((-2 * fall / x**2,),)
            )

        for near in (None, (0.5,), (3.9996,), (9.0,)):
            with self.subTest(near):
                found = maximize(
                    evaluate, start=(1.0,), names=("r",), model="purchase model", near=near
                )
                self.assertAlmostEqual(found.parameters[0], 4, delta=1e-8)
                self.assertAlmostEqual(found.log_likelihood, 0, delta=1e-12)

    def test_optimum_far_from_the_start_is_refused(self) -> None:
        self.assertEqual(MAX_DRIFT, 1e4)
        for optimum in (1.1e4, 1 / 1.1e4):
            with (
                self.subTest(optimum),
                self.assertRaisesRegex(DataError, "r has no finite estimate"),
            ):
                self.search(evaluate_parabola(optimum))

    def test_gradient_that_never_improves_is_refused(self) -> None:
        def evaluate(point: Sequence[float]) -> LogLikelihood:
            # The gradient points up where the value falls.
            return LogLikelihood(-point[0], (1.0,), ((-1e-9,),))

        with self.assertRaisesRegex(DataError, "did not converge: it stopped at r 1"):
            self.search(evaluate)

    def test_factor_does_not_depend_on_the_scale(self) -> None:
        for scale in (1e-8, 1.0, 1e8):
            with self.subTest(scale):
                factor = factorize([[4 * scale**2], [2 * scale**2, 5 * scale**2]])
                assert factor is not None
                for row, expected in zip(factor, ((2.0,), (1.0, 2.0)), strict=True):
                    for entry, known in zip(row, expected, strict=True):
                        self.assertAlmostEqual(entry / scale, known, delta=1e-12)
                self.assertIsNone(factorize([[scale], [scale, scale]]))
