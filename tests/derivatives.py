"""A check that derivatives of a log-likelihood are those of its value."""

from __future__ import annotations

import unittest
from collections.abc import Callable

from queries.forecast.newton import LogLikelihood, Vector

_STEP = 1e-5


def check_derivatives(
    test: unittest.TestCase, evaluate: Callable[[Vector], LogLikelihood], point: Vector
) -> None:
    """Compare gradient and Hessian of *evaluate* at *point* with central differences."""
    here = evaluate(point)
    for i, value in enumerate(point):
        up, down = (
            evaluate((*point[:i], value + sign * _STEP, *point[i + 1 :]))
            for sign in (1, -1)
        )
        slope = (up.value - down.value) / (2 * _STEP)
        test.assertAlmostEqual(here.gradient[i], slope, delta=1e-4)
        for j in range(i + 1):
            curvature = (up.gradient[j] - down.gradient[j]) / (2 * _STEP)
            test.assertAlmostEqual(here.hessian[i][j], curvature, delta=1e-4)
