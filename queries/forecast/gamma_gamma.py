"""Gamma-Gamma, what a customer's purchase is worth: mean values in, a fitted model out.

The values of a customer's purchases are Gamma(p, nu), and nu ~ Gamma(q, gamma).

Source: note 025, Fader, Hardie 2013, "The Gamma-Gamma Model of Monetary Value",
brucehardie.com/notes/025/.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from queries.forecast.bg_nbd import LEAST_REPEATERS
from queries.forecast.newton import Matrix, Measure, Vector, maximize, standard_errors
from utils.helpers import DataError


@dataclass(frozen=True)
class SpendingModel:
    """Gamma-Gamma with its money unit, and how well its parameters are known.

    *gamma* is in *money_unit*; p and q have none.  *covariance* is that of the logarithms
    of p, q, gamma, in this order.  *frequency_correlation* is the correlation of frequency
    and mean value among the customers: the model assumes that there is none.
    """

    p: float
    q: float
    gamma: float
    money_unit: str
    log_likelihood: float
    customer_count: int
    covariance: Matrix
    frequency_correlation: float

    @property
    def parameters(self) -> Vector:
        """Return p, q, gamma."""
        return self.p, self.q, self.gamma

    @property
    def standard_errors(self) -> Vector:
        """Return the standard errors of p, q, gamma."""
        return standard_errors(self.parameters, self.covariance)

    def expected_value(self, frequency: int, mean_value: float) -> float:
        """Return the value expected of the customer's next purchase (note 025).

        That is E[p / nu], where nu given the past is Gamma(q + p x, gamma + x mean).
        """
        shape = self.q + self.p * frequency
        return self.p * (self.gamma + frequency * mean_value) / (shape - 1)

    def expected_squares(self, frequency: int, mean_value: float) -> tuple[float, float]:
        """Return E[(p / nu)^2] and E[Z^2] = E[p (p + 1) / nu^2] of a purchase Z.

        By the inverse moments of the Gamma that `expected_value` names; both are infinite
        where its shape is 2 or less, as the tail of Z then has no variance.
        """
        shape = self.q + self.p * frequency
        if shape <= 2:
            return math.inf, math.inf
        rate = self.gamma + frequency * mean_value
        inverse_square = rate * rate / ((shape - 1) * (shape - 2))
        return self.p * self.p * inverse_square, self.p * (self.p + 1) * inverse_square


def fit_spending(values: Iterable[tuple[int, float]], *, money_unit: str) -> SpendingModel:
    """Fit Gamma-Gamma to (frequency, mean value) of the repeat customers.

    By maximum likelihood (`_measure_spending`), with `maximize` from p = gamma = 1 and q = 2.
    It works in units of the geometric mean, so that cents and dollars take the same road,
    which one giant does not bend; the record is in *money_unit*, as is the log-likelihood.
    Raise `DataError` where the data do not carry a model.
    """
    customers_by_value = Counter(values)
    _check_values(customers_by_value)
    count = customers_by_value.total()
    logs = sum(n * math.log(mean) for (_, mean), n in customers_by_value.items())
    unit = math.exp(logs / count)
    tally = _tally_values(customers_by_value, unit)
    peak = maximize(
        lambda parameters: _measure_spending(tally, parameters),
        start=(1.0, 2.0, 1.0),
        names=("p", "q", "gamma"),
        model="spending model",
    )
    p, q, gamma = peak.parameters
    if q <= 1:
        raise DataError(
            f"The spending model finds no mean value: q is {q:.2f}, expected above 1. A few"
            " customers spend without measure: look for test or wholesale orders."
        )
    return SpendingModel(
        p,
        q,
        gamma * unit,
        money_unit,
        log_likelihood=peak.log_likelihood - count * math.log(unit),
        customer_count=count,
        covariance=peak.covariance,
        frequency_correlation=_correlation(customers_by_value),
    )


def _check_values(customers_by_value: Mapping[tuple[int, float], int]) -> None:
    """Raise `DataError` unless enough repeat customers spent something, and not alike."""
    count = sum(customers_by_value.values())
    if any(frequency < 1 for frequency, _ in customers_by_value):
        raise ValueError("a customer without a repeat purchase has no mean value")
    unpaid = sum(n for (_, mean), n in customers_by_value.items() if not mean > 0)
    if unpaid:
        raise DataError(
            f"The spending model has {unpaid} of {count} repeat customers whose purchases"
            " are worth zero or less, expected more than zero. Leave them out of its fit."
        )
    if count < LEAST_REPEATERS:
        raise DataError(
            f"The spending model has {count} repeat customers with a value, expected at"
            f" least {LEAST_REPEATERS}. Load more customers or a longer window."
        )


def _correlation(customers_by_value: Mapping[tuple[int, float], int]) -> float:
    """Return the correlation of frequency and mean value; 0 where either is constant."""
    count = sum(customers_by_value.values())
    rows = customers_by_value.items()
    mean_x = sum(n * x for (x, _), n in rows) / count
    mean_m = sum(n * m for (_, m), n in rows) / count
    var_x = sum(n * (x - mean_x) ** 2 for (x, _), n in rows)
    var_m = sum(n * (m - mean_m) ** 2 for (_, m), n in rows)
    both = sum(n * (x - mean_x) * (m - mean_m) for (x, m), n in rows)
    return both / math.sqrt(var_x * var_m) if var_x > 0 and var_m > 0 else 0.0


# ---- The likelihood ----------------------------------------------------------------------


class _SpendingTally(NamedTuple):
    """Repeaters by frequency, then by what they spent in all, in a unit of the fit."""

    customer_count: int
    by_frequency: list[tuple[int, list[tuple[float, int]]]]
    log_means: float
    weighted_log_totals: float


def _tally_values(
    customers_by_value: Mapping[tuple[int, float], int], unit: float
) -> _SpendingTally:
    totals: dict[int, list[tuple[float, int]]] = defaultdict(list)
    log_means = weighted = 0.0
    for (frequency, mean), count in sorted(customers_by_value.items()):
        total = frequency * (mean / unit)
        totals[frequency].append((total, count))
        log_means += count * math.log(mean / unit)
        weighted += count * frequency * math.log(total)
    return _SpendingTally(
        sum(customers_by_value.values()), list(totals.items()), log_means, weighted
    )


def _measure_spending(tally: _SpendingTally, parameters: Vector) -> Measure:
    """Return the log-likelihood of Gamma-Gamma, and its derivatives by p, q, gamma.

    Note 025, of the mean m of x purchases, per customer:

        ln Gamma(p x + q) - ln Gamma(p x) - ln Gamma(q) + q ln gamma
        + (p x - 1) ln m + p x ln x - (p x + q) ln(gamma + x m)
    """
    p, q, gamma = parameters
    count = tally.customer_count
    log_gamma = math.log(gamma)
    level = p * tally.weighted_log_totals - tally.log_means
    level += count * (q * log_gamma - math.lgamma(q))
    g_p = tally.weighted_log_totals
    g_q = count * (log_gamma - _digamma(q))
    g_gamma = count * q / gamma
    h_pp = h_pq = h_pgamma = 0.0
    h_qq = -count * _trigamma(q)
    h_qgamma = count / gamma
    h_gamma = -count * q / gamma**2
    for x, rows in tally.by_frequency:
        n = sum(copies for _, copies in rows)
        logs = sum(copies * math.log(gamma + total) for total, copies in rows)
        rates = sum(copies / (gamma + total) for total, copies in rows)
        squares = sum(copies / (gamma + total) ** 2 for total, copies in rows)
        px, k = p * x, p * x + q
        first, second = _digamma(k), _trigamma(k)
        level += n * (math.lgamma(k) - math.lgamma(px)) - k * logs
        g_p += x * (n * (first - _digamma(px)) - logs)
        g_q += n * first - logs
        g_gamma -= k * rates
        h_pp += x * x * n * (second - _trigamma(px))
        h_pq += x * n * second
        h_qq += n * second
        h_pgamma -= x * rates
        h_qgamma -= rates
        h_gamma += k * squares
    return Measure(
        level,
        (g_p, g_q, g_gamma),
        ((h_pp,), (h_pq, h_qq), (h_pgamma, h_qgamma, h_gamma)),
    )


def _digamma(y: float) -> float:
    """Return the derivative of ln Gamma (Abramowitz, Stegun 1964, 6.3.5 and 6.3.18).

    >>> round(_digamma(1.0), 12)  # less Euler's constant
    -0.577215664902
    """
    shift = 0.0
    while y < 10:
        shift -= 1 / y
        y += 1
    s = 1 / (y * y)
    tail = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s / 132))))
    return shift + math.log(y) - 1 / (2 * y) - tail


def _trigamma(y: float) -> float:
    """Return the derivative of `_digamma` (Abramowitz, Stegun 1964, 6.4.6 and 6.4.12).

    >>> round(_trigamma(1.0) - math.pi**2 / 6, 12)
    0.0
    """
    shift = 0.0
    while y < 10:
        shift += 1 / (y * y)
        y += 1
    s = 1 / (y * y)
    tail = s * (1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * 5 / 66))))
    return shift + (1 + 1 / (2 * y) + tail) / y
