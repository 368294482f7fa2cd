"""Purchase processes: the times between a customer's purchases, and how cohorts differ.

In all of them a customer has a purchase rate, and leaves with a dropout probability after
each repeat purchase.  The `steady` process is BG/NBD, which most CLV models assume; the
others each break one of its assumptions, so that a model can be judged by data that do not
follow it.  The mean time between purchases is the same in the first three.
"""

from __future__ import annotations

from typing import NamedTuple


class Process(NamedTuple):
    """How the customers of a shop buy again.

    A gap passes *stages* one after the other, each exponential: 1 is a Poisson process, 2
    an Erlang distribution.  Of 1,000 gaps *short_per_mille* are short: their mean is
    *short_mean_per_mille* of the customer's mean gap, and the others are longer.
    *is_drifting* is whether a later cohort buys less often and leaves sooner.
    """

    stages: int = 1
    short_per_mille: int = 0
    short_mean_per_mille: int = 1000
    is_drifting: bool = False


STEADY = Process()

PROCESSES = {
    "steady": STEADY,
    # Purchases of groceries are more regular than a Poisson process: Erlang-2 fits them
    # (Platzer and Reutterer 2016, and Wheat and Morrison 1990 for the measure k, which is
    # 2.0 in UCI Online Retail and 2.1 in Complete Journey).
    "regular": Process(stages=2),
    # Purchases come in bursts (clumpiness: Zhang, Bradlow and Small 2015).  The figures are
    # our own choice: a burst has 3.3 purchases on average.
    "clumpy": Process(short_per_mille=700, short_mean_per_mille=150),
    # Later cohorts are worth less; the amounts are below.
    "drifting": Process(is_drifting=True),
}

# The drift, our own choice: each 30 days of sign-ups are a step, in 24 steps the purchase
# rate halves, in 48 the dropout probability doubles.  The parameters published for CDNOW
# are those of step 12; after step 36 nothing changes.
DRIFT_STEP_DAYS = 30
RATE_HALVING_STEPS = 24
DROPOUT_DOUBLING_STEPS = 48
MIDDLE_DRIFT_STEP = 12
LAST_DRIFT_STEP = 36


def find_drift_step(process: Process, day_number: int) -> int:
    """Return the step of the drift in which the users of a day sign up.

    >>> find_drift_step(STEADY, 400) == MIDDLE_DRIFT_STEP
    True
    >>> find_drift_step(PROCESSES["drifting"], 59)
    1
    """
    if not process.is_drifting:
        return MIDDLE_DRIFT_STEP
    return min(day_number // DRIFT_STEP_DAYS, LAST_DRIFT_STEP)
