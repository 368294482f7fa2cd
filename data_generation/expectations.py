"""Expected orders of a customer whose hidden parameters are known, in closed form.

Time is counted in mean gaps of the customer, as fixed-point numbers.  A gap between two
purchases passes at most two exponential phases, with rates m and n.  So the expected
purchase rate of a customer who leaves with probability p after each repeat purchase is the
sum of two exponential functions,

    A e**(−k t) + B e**(−l t).

The decay rates k and l are the roots of x² − (m + n − (1 − p) h(0)) x + p m n, where h(s)
is the hazard of a purchase if the last one was a time s ago.  The weights follow from the
rate now, A + B = h(s), and from the purchases until the dropout, A ÷ k + B ÷ l = 1 ÷ p.
In the steady process this is BG/NBD: A = 1, k = p, B = 0.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from itertools import accumulate, repeat
from operator import mul

from data_generation.model.customers import FIRST_DELAY_TICKS
from data_generation.model.distributions import PRECISION, UNIT, UNIT_BITS
from data_generation.model.purchase_processes import Process

# e**-x is tabulated at 2**DECAY_BITS points per 1, with a Taylor series between them.
DECAY_BITS = 12


def expect_orders(
    process: Process, mean_gap: int, dropout: int, elapsed: int, horizon: int
) -> int:
    """Return the expected orders of a customer who is alive, as a fixed-point number.

    *mean_gap* is in ticks, *dropout* in 65,536ths.  The last order was *elapsed* ticks ago;
    the orders of the next *horizon* ticks are expected.

    >>> steady = Process()
    >>> expect_orders(steady, 1000, 0, 0, 2500) / UNIT
    2.5
    >>> round(expect_orders(steady, 1000, 65536 // 2, 700, 4000) / UNIT, 4)
    1.7293
    """
    time = (horizon << UNIT_BITS) // mean_gap
    hazard = find_hazard(process, (elapsed << UNIT_BITS) // mean_gap)
    orders = sum(
        weight * _integrate_decay(rate, time) >> UNIT_BITS
        for weight, rate in _find_terms(process, dropout, hazard)
    )
    # The difference of two terms, rounded down, can be below 0 by the last bit.
    return max(orders, 0)


def expect_first_orders(process: Process, mean_gap: int, dropout: int, horizon: int) -> int:
    """Return the expected orders of a customer who has not ordered yet.

    The first order follows after an exponential delay of rate μ; for the rest of the time τ
    the expectation is that of `expect_orders`.  The integral over the delay is q plus, for
    each term w e**(−k t), w (q − μ (e**(−kτ) − e**(−μτ)) ÷ (μ − k)) ÷ k, where
    q = 1 − e**(−μτ).
    """
    with localcontext() as context:
        context.prec = PRECISION
        arrival = 1 / Decimal(FIRST_DELAY_TICKS)
        late = (-arrival * horizon).exp()
        total = 1 - late
        for weight, rate in _find_terms(process, dropout, find_hazard(process, 0)):
            # The formula has removable singularities at k = 0 and k = μ; this avoids both.
            loss = (rate + Decimal("0.01")) / UNIT / mean_gap
            gone = arrival * ((-loss * horizon).exp() - late) / (arrival - loss)
            total += Decimal(weight) / UNIT / mean_gap * (1 - late - gone) / loss
        return int(total * UNIT)


def find_hazard(process: Process, elapsed: int) -> int:
    """Return the rate of purchases at a time *elapsed* after the last one.

    >>> find_hazard(Process(), 3 * UNIT) == UNIT
    True
    >>> round(find_hazard(Process(stages=2), UNIT) / UNIT, 4)
    1.3333
    """
    if process.stages == 2:
        return 4 * elapsed * UNIT // (UNIT + 2 * elapsed)
    fast, slow = _find_phase_rates(process)
    if fast == slow:
        return fast
    short = process.short_per_mille * decay((fast - slow) * elapsed >> UNIT_BITS)
    long = (1000 - process.short_per_mille) * UNIT
    return (short * fast + long * slow) // (short + long)


@cache
def _find_phase_rates(process: Process) -> tuple[int, int]:
    """Return the rates of the two phases of a gap, the larger one first."""
    if process.stages == 2:
        return 2 * UNIT, 2 * UNIT
    share, mean = process.short_per_mille, process.short_mean_per_mille
    return 1000 * UNIT // mean, (1000 - share) * 1000 * UNIT // (10**6 - share * mean)


def _find_terms(process: Process, dropout: int, hazard: int) -> list[tuple[int, int]]:
    """Return weight and decay rate of the terms of the expected purchase rate."""
    fast, slow = _find_decay_rates(process, dropout)
    one, other = _find_phase_rates(process)
    if one == other == hazard:
        return [(UNIT, slow)]
    product = one * other
    return [
        ((product - hazard * slow) // (fast - slow), slow),
        ((hazard * fast - product) // (fast - slow), fast),
    ]


@cache
def _find_decay_rates(process: Process, dropout: int) -> tuple[int, int]:
    """Return the decay rates of the two terms, the larger one first."""
    one, other = _find_phase_rates(process)
    total = one + other - (65536 - dropout) * find_hazard(process, 0) // 65536
    product = one * other * dropout // 65536
    with localcontext() as context:
        context.prec = PRECISION
        fast = (total + int(Decimal(total * total - 4 * product).sqrt())) // 2
    return fast, product // fast


def _integrate_decay(rate: int, time: int) -> int:
    """Return the integral of e**(−*rate* t) over t from 0 to *time*."""
    if rate == 0:
        return time
    return (UNIT - decay(rate * time >> UNIT_BITS)) * UNIT // rate


def decay(exponent: int) -> int:
    """Return e**-*exponent*; both are fixed-point numbers.

    >>> abs(decay(3 * UNIT // 2) - 958336741) < 4
    True
    """
    rest_bits = UNIT_BITS - DECAY_BITS
    points = _decay_points()
    if exponent >> rest_bits >= len(points):
        return 0
    rest = exponent & (1 << rest_bits) - 1
    factor = UNIT - rest + (rest * rest >> UNIT_BITS + 1)
    return points[exponent >> rest_bits] * factor >> UNIT_BITS


@cache
def _decay_points() -> list[int]:
    # Above 22, e**-x is less than the last bit.
    with localcontext() as context:
        context.prec = PRECISION
        step = (Decimal(-1) / (1 << DECAY_BITS)).exp()
        powers = accumulate(repeat(step, 22 << DECAY_BITS), mul, initial=Decimal(1))
        return list(map(int, map(mul, powers, repeat(Decimal(UNIT)))))
