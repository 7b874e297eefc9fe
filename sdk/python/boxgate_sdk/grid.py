"""Putting prices and quantities on the grid of an instrument, by the contract's rules.

A grid value is the correctly rounded quotient n · numerator / denominator. Every side of the contract computes it in
the same way, so that equal values are equal doubles.
"""

from __future__ import annotations

STEPS_MAX = 2**53
"""Most steps that a value may be away from zero; beyond it a double cannot tell neighbours apart."""


def round_price(price: float, numerator: int, denominator: int) -> float:
    """Return the nearest grid value, half to even. A price that is not finite or beyond the grid is returned as is."""
    steps = price * denominator / numerator
    if not abs(steps) <= STEPS_MAX:
        return price
    return round(steps) * numerator / denominator


def round_qty(qty: float, numerator: int, denominator: int) -> float:
    """Return the largest grid value that is not above qty >= 0. A qty beyond the grid is returned as is."""
    steps = qty * denominator / numerator
    if not 0 <= steps <= STEPS_MAX:
        return qty
    n = round(steps)
    while n * numerator / denominator > qty:
        n -= 1
    return n * numerator / denominator
