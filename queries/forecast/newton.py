"""The top of a log-likelihood, by Newton's method on the logarithms of its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from utils.helpers import DataError

# How far a parameter may run from its start, as a factor.  A Gamma or Beta of such a shape
# spreads by a hundredth of its mean or less: no data tell it from a constant.
MOST_DRIFT = 1e4

# Newton's method needs 5 to 15 steps; one that needs more is lost.
MOST_STEPS = 100

# No step multiplies or divides a parameter by more than e.
LONGEST_STEP = 1.0

# Stop where the next step promises less than half of this in log-likelihood: every
# parameter is then within 1e-4 of its standard error of the best.
LEAST_PROMISE = 1e-8

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


class Measure(NamedTuple):
    """A log-likelihood with its first and second derivatives, the lower triangle."""

    log_likelihood: float
    gradient: Vector
    hessian: Matrix


class Optimum(NamedTuple):
    """Where the maximize ended; *covariance* is of the logarithms of the parameters."""

    parameters: Vector
    log_likelihood: float
    covariance: Matrix


def maximize(
    measure: Callable[[Vector], Measure],
    *,
    start: Vector,
    names: Sequence[str],
    model: str,
) -> Optimum:
    """Return where the log-likelihood that *measure* gives is largest.

    Newton's method on the logarithms of the parameters, with exact derivatives: damped
    towards the gradient where the surface is not concave, no step over `LONGEST_STEP`,
    halved until it climbs.  It ends where the surface is concave and the step promises
    less than `LEAST_PROMISE`.  Nelder-Mead, the trade's habit, takes 309 evaluations on the
    2,357 customers of CDNOW where this takes 7, and gives no covariance.

    Raise `DataError` where a parameter drifts further than `MOST_DRIFT` from *start*, and
    where `MOST_STEPS` do not end it.
    """
    point = start
    here = _in_logarithms(measure(point), point)
    for _ in range(MOST_STEPS):
        factor, damping = _factorize_damped(here.hessian)
        step = _solve(factor, here.gradient)
        promise = sum(g * s for g, s in zip(here.gradient, step, strict=True))
        if not damping and promise < LEAST_PROMISE:
            return Optimum(point, here.log_likelihood, _invert(factor))
        scale = min(1.0, LONGEST_STEP / max(map(abs, step)))
        rounding = 1e-12 * abs(here.log_likelihood)
        while True:
            ahead = tuple(x * math.exp(scale * s) for x, s in zip(point, step, strict=True))
            there = _in_logarithms(measure(ahead), ahead)
            if there.log_likelihood >= here.log_likelihood - rounding:
                break
            scale /= 2
            if scale < 1e-9:
                raise DataError(_tell_lost(model, names, point))
        point, here = ahead, there
        for name, value, origin in zip(names, point, start, strict=True):
            if not origin / MOST_DRIFT < value < origin * MOST_DRIFT:
                raise DataError(
                    f"The {model} does not fit these customers: {name} runs off to"
                    f" {value:.3g}, where no data can tell how they differ: they are too"
                    " alike or too few. Load more customers or a longer window."
                )
    raise DataError(_tell_lost(model, names, point))


def _tell_lost(model: str, names: Sequence[str], point: Vector) -> str:
    found = ", ".join(
        f"{name} {value:.4g}" for name, value in zip(names, point, strict=True)
    )
    return (
        f"The {model} did not converge: it stopped at {found}. Load more customers or a"
        " longer window."
    )


def _in_logarithms(measure: Measure, point: Vector) -> Measure:
    """Return *measure* at *point* with its derivatives by the parameters' logarithms."""
    gradient = tuple(x * g for x, g in zip(point, measure.gradient, strict=True))
    hessian = tuple(
        tuple(
            point[i] * point[j] * second + (gradient[i] if i == j else 0.0)
            for j, second in enumerate(row)
        )
        for i, row in enumerate(measure.hessian)
    )
    return Measure(measure.log_likelihood, gradient, hessian)


def _factorize_damped(hessian: Matrix) -> tuple[Matrix, float]:
    """Return the Cholesky factor of *hessian* negated, and what had to be added for it.

    That is 0 where the surface is concave, else the first of a rising row that makes it so,
    as a share of each diagonal entry (Marquardt 1963): one for all would hold back a
    parameter of which the data say little.
    """
    damping = 0.0
    floor = 1e-12 * max(abs(second) for row in hessian for second in row)
    diagonal = [max(abs(row[-1]), floor) for row in hessian]
    while True:
        factor = factorize(
            [
                [
                    -second + (damping * diagonal[i] if i == j else 0.0)
                    for j, second in enumerate(row)
                ]
                for i, row in enumerate(hessian)
            ]
        )
        if factor is not None:
            return factor, damping
        damping = damping * 4 if damping else 1e-3


def factorize(matrix: Sequence[Sequence[float]]) -> Matrix | None:
    """Return the Cholesky factor of a lower triangle; None if not positive definite.

    >>> factorize([[4.0], [2.0, 5.0]])
    ((2.0,), (1.0, 2.0))
    """
    factor: list[list[float]] = []
    for i, row in enumerate(matrix):
        line: list[float] = []
        for j in range(i):
            rest = row[j] - sum(line[k] * factor[j][k] for k in range(j))
            line.append(rest / factor[j][j])
        square = row[i] - sum(entry * entry for entry in line)
        # Next to nothing left of the diagonal is rounding, not curvature.
        if not square > 1e-13 * abs(row[i]):
            return None
        line.append(math.sqrt(square))
        factor.append(line)
    return tuple(map(tuple, factor))


def _solve(factor: Matrix, right: Sequence[float]) -> Vector:
    """Return the solution of L L' x = *right* for the Cholesky *factor* L."""
    size = len(factor)
    half: list[float] = []
    for i in range(size):
        rest = right[i] - sum(factor[i][k] * half[k] for k in range(i))
        half.append(rest / factor[i][i])
    solution = [0.0] * size
    for i in reversed(range(size)):
        rest = half[i] - sum(factor[k][i] * solution[k] for k in range(i + 1, size))
        solution[i] = rest / factor[i][i]
    return tuple(solution)


def _invert(factor: Matrix) -> Matrix:
    size = len(factor)
    return tuple(_solve(factor, [float(i == j) for j in range(size)]) for i in range(size))


def standard_errors(parameters: Vector, covariance: Matrix) -> Vector:
    """Return the errors of *parameters* from the *covariance* of their logarithms."""
    return tuple(value * math.sqrt(covariance[i][i]) for i, value in enumerate(parameters))


def delta_variance(slopes: Sequence[float], covariance: Matrix) -> float:
    """Return the variance of what has these *slopes* by the parameters, to first order.

    >>> delta_variance([1.0, 2.0], ((1.0, 0.5), (0.5, 1.0)))
    7.0
    """
    variance = sum(
        x * y * covariance[i][j] for i, x in enumerate(slopes) for j, y in enumerate(slopes)
    )
    # Rounding may leave a little less than nothing of slopes that cancel.
    return max(0.0, variance)
