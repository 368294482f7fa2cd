"""Gamma-Gamma whose scale depends on how often a customer buys.

Gamma-Gamma assumes that the value of purchases is independent of their rate.  Where it is
not, the value of customers without a repeat purchase is forecast too high or too low,
because the spending model is fitted to those with one.  Here the scale of a customer is
gamma * factor^z, where z is the logarithm of the customer's expected rate
(r + x) / (alpha + T), less its mean among the repeat customers.  It is one parameter more,
which a likelihood-ratio test and the holdout must support: for customers without a repeat
purchase the effect is an extrapolation, and in CDNOW, where the test supports it clearly,
it makes the forecast of their value worse.

Source: note 045, Fader, Hardie 2024, on covariates in the Gamma-Gamma model,
brucehardie.com/notes/045/.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import NamedTuple

from queries.forecast.gamma_gamma import SpendingModel, digamma, trigamma
from queries.forecast.newton import (
    LogLikelihood,
    Vector,
    add_log_likelihoods,
    maximize,
)
from utils.helpers import DataError

# The effect is used where independence is rejected at this level.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class RateSpendingModel(SpendingModel):
    """Gamma-Gamma with the parameter rate_factor: of the scale, for each e-fold rate."""

    name = "Gamma-Gamma with a rate effect"
    parameter_names = ("p", "q", "gamma", "rate_factor")

    mean_log_rate: float

    def list_effects(self, log_rate: float) -> Vector:
        """Return z of a customer, the exponent of the rate factor."""
        return (log_rate - self.mean_log_rate,)

    def scale_at(self, log_rate: float) -> float:
        """Return the scale of customers whose expected rate is exp(*log_rate*)."""
        _, _, gamma, factor = self.parameters
        return gamma * math.exp(math.log(factor) * (log_rate - self.mean_log_rate))


class RateTest(NamedTuple):
    """The likelihood-ratio test of independence of spending and rate."""

    statistic: float
    p_value: float

    @property
    def is_significant(self) -> bool:
        """Return whether independence is rejected."""
        return self.p_value < SIGNIFICANCE


# Frequency, mean value of repeat purchases, logarithm of the expected rate.
RatedValue = tuple[int, float, float]


def fit_rate_effect(
    values: Iterable[RatedValue], plain: SpendingModel
) -> tuple[RateSpendingModel | None, RateTest | None]:
    """Return *plain*, fitted to *values* without their rates, with a rate effect.

    The model is None where its value has no finite mean, both where the values determine no
    effect.
    """
    try:
        rated = _fit_effect(Counter(values), plain)
    except DataError:
        return None, None
    statistic = max(0.0, 2 * (rated.log_likelihood - plain.log_likelihood))
    # A chi-square variable of one degree of freedom is the square of a normal one.
    test = RateTest(statistic, 2 * NormalDist().cdf(-math.sqrt(statistic)))
    return (rated if rated.parameters[1] > 1 else None), test


def _fit_effect(customers: Counter[RatedValue], plain: SpendingModel) -> RateSpendingModel:
    count = customers.total()
    mean_log_rate = sum(n * rate for (*_, rate), n in customers.items()) / count
    # In units of the plain model's scale, so that the search starts near its end.
    unit = plain.parameters[2]
    rows: dict[int, list[_Row]] = defaultdict(list)
    for (x, mean, log_rate), n in sorted(customers.items()):
        rows[x].append((x * mean / unit, log_rate - mean_log_rate, n))
    optimum = maximize(
        partial(_evaluate, _tally_rows(rows)),
        start=(*plain.parameters[:2], 1.0, 1.0),
        names=RateSpendingModel.parameter_names,
        model="spending model with a rate effect",
    )
    p, q, gamma, factor = optimum.parameters
    log_means = sum(n * math.log(mean) for (_, mean, _), n in customers.items())
    return RateSpendingModel(
        (p, q, gamma * unit, factor),
        log_likelihood=optimum.log_likelihood - log_means,
        customer_count=count,
        covariance=optimum.covariance,
        money_unit=plain.money_unit,
        frequency_correlation=plain.frequency_correlation,
        square_ratio=plain.square_ratio,
        mean_log_rate=mean_log_rate,
    )


# ---- The likelihood ----------------------------------------------------------------------


# The total of a customer's repeat purchases, z, and the number of such customers.
_Row = tuple[float, float, int]


class _RatedTally(NamedTuple):
    """The customers of one frequency: their number, the sums of z and of ln total."""

    frequency: int
    customer_count: int
    effects: float
    log_totals: float
    rows: Sequence[_Row]


def _tally_rows(rows: Mapping[int, Sequence[_Row]]) -> list[_RatedTally]:
    """Return the customers in *rows*, which are by frequency, with their sums."""
    return [
        _RatedTally(
            frequency,
            sum(n for _, _, n in of_frequency),
            sum(n * effect for _, effect, n in of_frequency),
            sum(n * math.log(total) for total, _, n in of_frequency),
            of_frequency,
        )
        for frequency, of_frequency in rows.items()
    ]


def _evaluate(tallies: Sequence[_RatedTally], parameters: Vector) -> LogLikelihood:
    """Return the log-likelihood, with derivatives by p, q, gamma and the rate factor.

    It is that of `gamma_gamma` with the scale of each customer, plus the sum of the
    logarithms of the means, which does not depend on the parameters.
    """
    by_frequency = [_evaluate_frequency(tally, parameters) for tally in tallies]
    return _by_parameters(add_log_likelihoods(by_frequency), parameters)


def _evaluate_frequency(tally: _RatedTally, parameters: Vector) -> LogLikelihood:
    """Return the part of the customers of one frequency.

    The derivatives are by p, q, ln gamma and ln of the rate factor.  With s the scale of a
    customer and t the total, those of ln(s + t) by ln s are s / (s + t) and
    s t / (s + t)^2.
    """
    p, q, gamma, factor = parameters
    x, n, effects, log_totals, rows = tally
    exp, log = math.exp, math.log
    log_gamma, log_factor = log(gamma), log(factor)
    log_scales = n * log_gamma + log_factor * effects
    logs = parts = effect_parts = bends = effect_bends = square_bends = 0.0
    for total, effect, copies in rows:
        scale = gamma * exp(log_factor * effect)
        rate = scale + total
        logs += copies * log(rate)
        part = copies * scale / rate
        bend = part * total / rate
        parts += part
        effect_parts += part * effect
        bends += bend
        bend *= effect
        effect_bends += bend
        square_bends += bend * effect
    px, k = p * x, p * x + q
    first, second = digamma(k), trigamma(k)
    return LogLikelihood(
        n * (math.lgamma(k) - math.lgamma(px) - math.lgamma(q))
        + q * log_scales
        + px * log_totals
        - k * logs,
        (
            x * (n * (first - digamma(px)) + log_totals - logs),
            n * (first - digamma(q)) + log_scales - logs,
            q * n - k * parts,
            q * effects - k * effect_parts,
        ),
        (
            (x * x * n * (second - trigamma(px)),),
            (x * n * second, n * (second - trigamma(q))),
            (-x * parts, n - parts, -k * bends),
            (
                -x * effect_parts,
                effects - effect_parts,
                -k * effect_bends,
                -k * square_bends,
            ),
        ),
    )


def _by_parameters(likelihood: LogLikelihood, parameters: Vector) -> LogLikelihood:
    """Return *likelihood* with derivatives by gamma and factor, not by logarithms."""
    divisors = (1.0, 1.0, *parameters[2:])
    gradient = likelihood.gradient
    return LogLikelihood(
        likelihood.value,
        tuple(g / divisor for g, divisor in zip(gradient, divisors, strict=True)),
        tuple(
            tuple(
                (second - (gradient[i] if i == j and i >= 2 else 0.0))
                / (divisors[i] * divisors[j])
                for j, second in enumerate(row)
            )
            for i, row in enumerate(likelihood.hessian)
        ),
    )
