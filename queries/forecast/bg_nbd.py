"""BG/NBD, how often a customer comes back: histories in, a fitted model out.

While alive, customers buy as a Poisson process of rate lambda ~ Gamma(r, alpha), and after
each purchase they drop out with probability p ~ Beta(a, b).  The first purchase of a
customer is day 0 of their history and is not counted; later ones count once a day.

Sources, by the short name that the docstrings use:

- FHL 2005: Fader, Hardie, Lee, "'Counting Your Customers' the Easy Way: An Alternative to
  the Pareto/NBD Model", Marketing Science 24(2), 275-284.
- Note 021: Fader, Hardie, Lee 2008, "Computing P(alive) Using the BG/NBD Model".
- Note 027: Fader, Hardie 2013, "Overcoming the BG/NBD Model's #NUM! Error Problem".

The notes are at brucehardie.com/notes/.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from queries.forecast.bg_nbd_expectations import (
    DAYS_PER_UNIT,
    TIME_UNIT,
    History,
    expect_by_age,
    expect_futures,
    expect_pairs,
    probability_alive,
)
from queries.forecast.newton import Matrix, Measure, Vector, maximize, standard_errors
from utils.helpers import DataError

# Below this the likelihood of three or four parameters is nearly flat, and 30 is where
# analysts stop quoting a cohort's mean.
LEAST_REPEATERS = 30

# The shortest forecast is three months: none is made from a shorter look than about that.
LEAST_WEEKS = 12


@dataclass(frozen=True)
class PurchaseModel:
    """BG/NBD with its parameters per week, and how well they are known.

    *covariance* is that of the logarithms of r, alpha, a, b, in this order: the inverse of
    the negative Hessian at the best fit.  Times go in as whole days.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    customer_count: int
    covariance: Matrix
    time_unit: str = TIME_UNIT

    @property
    def parameters(self) -> Vector:
        """Return r, alpha, a, b."""
        return self.r, self.alpha, self.a, self.b

    @property
    def standard_errors(self) -> Vector:
        """Return the standard errors of r, alpha, a, b."""
        return standard_errors(self.parameters, self.covariance)

    def probability_alive(self, frequency: int, recency_days: int, age_days: int) -> float:
        """Return the probability that the customer has not dropped out (note 021).

        A customer without a repeat purchase had no chance to: theirs is 1.
        """
        return probability_alive(self.parameters, (frequency, recency_days, age_days))

    def expected_purchases(self, days: int) -> float:
        """Return the repeat purchases of a new customer in *days* (FHL 2005)."""
        return self.expected_future(0, 0, 0, days)

    def expected_by_age(self, days: int) -> list[float]:
        """Return the repeat purchases of a new customer in 0, 1, ... *days* days."""
        return expect_by_age(self.parameters, days)

    def expected_future(
        self, frequency: int, recency_days: int, age_days: int, days: int
    ) -> float:
        """Return the purchases expected of the customer in the next *days*.

        The conditional expectation of FHL 2005.  Its closed form with Gauss's 2F1 divides
        by a - 1 and converges slowly over long horizons, so its integral over the dropout
        probability is computed instead: see queries/forecast/bg_nbd_expectations.py.
        """
        history = frequency, recency_days, age_days
        return expect_futures(self.parameters, [history], days)[0]

    def second_factorial_moment(
        self, frequency: int, recency_days: int, age_days: int, days: int
    ) -> float:
        """Return E[X(X - 1)] of the customer's purchases X in the next *days*."""
        history = frequency, recency_days, age_days
        return expect_pairs(self.parameters, [history], days)[0]


def fit_purchases(customers_by_history: Mapping[History, int]) -> PurchaseModel:
    """Fit BG/NBD to counts of customers by (frequency, recency days, age days).

    By maximum likelihood (`_measure_purchases`), with `maximize` from r = a = b = 1 and the
    alpha that gives the observed purchases per week.  Raise `DataError` where the data do
    not carry a model; the limits are the constants above.
    """
    _check_histories(customers_by_history)
    weeks = sum(n * age for (_, _, age), n in customers_by_history.items()) / DAYS_PER_UNIT
    repeats = sum(n * x for (x, _, _), n in customers_by_history.items())
    tally = _tally_histories(customers_by_history)
    peak = maximize(
        lambda parameters: _measure_purchases(tally, parameters),
        start=(1.0, weeks / repeats, 1.0, 1.0),
        names=("r", "alpha", "a", "b"),
        model="purchase model",
    )
    r, alpha, a, b = peak.parameters
    return PurchaseModel(
        r,
        alpha,
        a,
        b,
        log_likelihood=peak.log_likelihood,
        customer_count=tally.customer_count,
        covariance=peak.covariance,
    )


def _check_histories(customers_by_history: Mapping[History, int]) -> None:
    """Raise `DataError` unless the customers are enough, for long enough.

    A history that cannot be is the caller's fault: it raises `ValueError`.
    """
    repeaters = 0
    oldest = 0
    for (frequency, recency, age), count in customers_by_history.items():
        if not 0 <= recency <= age or (frequency > 0) != (recency > 0) or count < 1:
            raise ValueError(f"no history: {frequency}, {recency}, {age}, times {count}")
        oldest = max(oldest, age)
        if frequency:
            repeaters += count
    if not customers_by_history:
        raise DataError(
            "The purchase model has no customers. Load orders, or a window that has some."
        )
    if repeaters < LEAST_REPEATERS:
        raise DataError(
            f"The purchase model has {repeaters} repeat customers, expected at least"
            f" {LEAST_REPEATERS}. Load more customers or a longer window."
        )
    if oldest < LEAST_WEEKS * DAYS_PER_UNIT:
        raise DataError(
            f"The purchase model sees {oldest} days since the oldest first purchase,"
            f" expected at least {LEAST_WEEKS} weeks. Load a longer window, or wait."
        )


# ---- The likelihood ----------------------------------------------------------------------


class _PurchaseTally(NamedTuple):
    """Customers by what the likelihood needs of them.

    *by_frequency*, *by_age* (frequency, then age) and *repeaters* (frequency, then recency,
    age, count) are in order, so that sums do not hang on the order of the rows.
    """

    customer_count: int
    oldest: int
    by_frequency: list[tuple[int, int]]
    by_age: list[tuple[int, list[tuple[int, int]]]]
    repeaters: list[tuple[int, list[tuple[int, int, int]]]]


def _tally_histories(customers_by_history: Mapping[History, int]) -> _PurchaseTally:
    by_frequency: Counter[int] = Counter()
    by_age: dict[int, Counter[int]] = defaultdict(Counter)
    repeaters: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for (frequency, recency, age), count in sorted(customers_by_history.items()):
        by_frequency[frequency] += count
        by_age[frequency][age] += count
        if frequency:
            repeaters[frequency].append((recency, age, count))
    return _PurchaseTally(
        by_frequency.total(),
        max(age for _, _, age in customers_by_history),
        sorted(by_frequency.items()),
        [(frequency, sorted(ages.items())) for frequency, ages in by_age.items()],
        list(repeaters.items()),
    )


def _measure_purchases(tally: _PurchaseTally, parameters: Vector) -> Measure:
    """Return the log-likelihood of BG/NBD, and its derivatives by r, alpha, a, b.

    The likelihood of FHL 2005 in the form of note 027, whose logarithm is, per customer,
    ln A1 + ln A2 + ln(A3 + A4), A4 for repeaters only:

        A1 = Gamma(r + x) alpha^r / Gamma(r)
        A2 = B(a, b + x) / B(a, b)
        A3 = (alpha + T)^-(r + x)
        A4 = a / (b + x - 1) (alpha + t_x)^-(r + x)

    The Gamma functions are taken as products, as x is whole: Gamma(r + x) / Gamma(r) is
    r (r + 1) ... (r + x - 1), which is easily derived.  With d = ln A4 - ln A3, the sum is
    ln A3 + ln(1 + e^d), and neither overflows.
    """
    r, alpha, a, b = parameters
    count = tally.customer_count
    logs = [math.log(alpha + day / DAYS_PER_UNIT) for day in range(tally.oldest + 1)]
    rates = [1 / (alpha + day / DAYS_PER_UNIT) for day in range(tally.oldest + 1)]
    rising_r = _rise(tally, r)
    rising_b = _rise(tally, b)
    rising_ab = _rise(tally, a + b)
    level = count * r * math.log(alpha) + rising_r[0] + rising_b[0] - rising_ab[0]
    g_r = count * math.log(alpha) + rising_r[1]
    g_alpha = count * r / alpha
    g_a = -rising_ab[1]
    g_b = rising_b[1] - rising_ab[1]
    h_rr = rising_r[2]
    h_ralpha = count / alpha
    h_alpha = -count * r / alpha**2
    h_aa = h_ab = -rising_ab[2]
    h_bb = rising_b[2] - rising_ab[2]
    h_ra = h_rb = h_alphaa = h_alphab = 0.0
    for frequency, ages in tally.by_age:
        k = r + frequency
        log_sum = sum(n * logs[age] for age, n in ages)
        rate_sum = sum(n * rates[age] for age, n in ages)
        level -= k * log_sum
        g_r -= log_sum
        g_alpha -= k * rate_sum
        h_ralpha -= rate_sum
        h_alpha += k * sum(n * rates[age] ** 2 for age, n in ages)
    for frequency, rows in tally.repeaters:
        k = r + frequency
        c = 1 / (b + frequency - 1)
        sums = _weigh_dropout(rows, logs, rates, k, math.log(a * c))
        level += sums.soft
        g_r += sums.w_log
        g_alpha += k * sums.w_rate
        g_a += sums.w / a
        g_b -= c * sums.w
        h_rr += sums.v_log_log
        h_ralpha += sums.w_rate + k * sums.v_log_rate
        h_alpha += k * (k * sums.v_rate_rate - sums.w_square)
        h_ra += sums.v_log / a
        h_rb -= c * sums.v_log
        h_alphaa += k * sums.v_rate / a
        h_alphab -= k * c * sums.v_rate
        h_aa += (sums.v - sums.w) / a**2
        h_ab -= c * sums.v / a
        h_bb += c * c * (sums.v + sums.w)
    return Measure(
        level,
        (g_r, g_alpha, g_a, g_b),
        (
            (h_rr,),
            (h_ralpha, h_alpha),
            (h_ra, h_alphaa, h_aa),
            (h_rb, h_alphab, h_ab, h_bb),
        ),
    )


def _rise(tally: _PurchaseTally, y: float) -> tuple[float, float, float]:
    """Return the sum of ln(y (y + 1) ... (y + x - 1)) over customers, derived twice."""
    most = tally.by_frequency[-1][0]
    terms = [y + i for i in range(most)]
    logs = list(accumulate(map(math.log, terms), initial=0.0))
    firsts = list(accumulate((1 / term for term in terms), initial=0.0))
    seconds = list(accumulate((-1 / term**2 for term in terms), initial=0.0))
    return (
        sum(n * logs[x] for x, n in tally.by_frequency),
        sum(n * firsts[x] for x, n in tally.by_frequency),
        sum(n * seconds[x] for x, n in tally.by_frequency),
    )


class _DropoutSums(NamedTuple):
    """Sums over repeaters of one frequency; w = P(dropped out), v = w (1 - w).

    *soft* is of ln(1 + e^d); log, rate and square are the differences at T less at t_x of
    ln(alpha + t), of 1 / (alpha + t) and of its square.
    """

    soft: float
    w: float
    w_log: float
    w_rate: float
    w_square: float
    v: float
    v_log: float
    v_rate: float
    v_log_log: float
    v_log_rate: float
    v_rate_rate: float


def _weigh_dropout(
    rows: Sequence[tuple[int, int, int]],
    logs: Sequence[float],
    rates: Sequence[float],
    k: float,
    offset: float,
) -> _DropoutSums:
    """Return the sums of one frequency, with d = *offset* + *k* (ln A4 - ln A3's logs).

    The hot loop of the fit, hence flat and long: 0.6 microseconds a row, so that 100,000
    distinct histories are fitted in 1.1 s.
    """
    exp, log1p = math.exp, math.log1p
    soft = w_sum = w_log = w_rate = w_square = 0.0
    v_sum = v_log = v_rate = v_log_log = v_log_rate = v_rate_rate = 0.0
    for recency, age, count in rows:
        log = logs[age] - logs[recency]
        rate_now, rate_then = rates[age], rates[recency]
        rate = rate_now - rate_then
        d = offset + k * log
        if d > 0:
            odds = exp(-d)
            soft += count * (d + log1p(odds))
            alive = odds / (1 + odds)
            w = count / (1 + odds)
        else:
            odds = exp(d)
            soft += count * log1p(odds)
            alive = 1 / (1 + odds)
            w = count * odds / (1 + odds)
        v = w * alive
        w_sum += w
        w_log += w * log
        w_rate += w * rate
        w_square += w * rate * (rate_now + rate_then)
        v_sum += v
        v_log += v * log
        v_log_log += v * log * log
        v *= rate
        v_rate += v
        v_log_rate += v * log
        v_rate_rate += v * rate
    return _DropoutSums(
        soft,
        w_sum,
        w_log,
        w_rate,
        w_square,
        v_sum,
        v_log,
        v_rate,
        v_log_log,
        v_log_rate,
        v_rate_rate,
    )
