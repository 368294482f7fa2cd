"""Division in one place: exact in integers, then rounded once."""

from __future__ import annotations


def quotient(numerator: int | None, denominator: int | None) -> int | None:
    """Return the quotient as a whole number, halves rounded away from zero.

    It is None if one of both is None, or *denominator* is not positive.

    >>> quotient(5, 2), quotient(-5, 2), quotient(7, 3), quotient(1, 0), quotient(None, 1)
    (3, -3, 2, None, None)
    """
    if numerator is None or denominator is None or denominator <= 0:
        return None
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return rounded if numerator >= 0 else -rounded


def ratio(
    numerator: int | None, denominator: int | None, *, digits: int = 4
) -> float | None:
    """Return the quotient to *digits* decimals; None as for `quotient`.

    >>> ratio(1157, 7846, digits=6), ratio(1, 3), ratio(0, 5), ratio(5, 0)
    (0.147464, 0.3333, 0.0, None)
    >>> ratio(1, 8, digits=2), ratio(-1, 8, digits=2)
    (0.13, -0.13)
    """
    scale = 10**digits
    scaled = quotient(None if numerator is None else numerator * scale, denominator)
    return None if scaled is None else scaled / scale
