"""§1: the tick and lot grids. A grid value is n·num ÷ den, rounded once."""

from __future__ import annotations

import math
from fractions import Fraction

from terms import Ratio, ReferenceError


def grid_value(n: int, size: Ratio) -> float:
    """§1: n·num ÷ den, rounded once. Division of two ints is correctly rounded."""
    return n * size[0] / size[1]


def lots_of(qty: float, lot: Ratio) -> int:
    """§1: the largest n whose grid value is <= qty."""
    if qty * float(lot[1]) >= 2.0**53:
        raise ReferenceError("SIGNAL_RANGE", f"{qty} is beyond 2^53 steps")
    n = math.floor(Fraction(qty) * lot[1] / lot[0])
    while grid_value(n, lot) > qty:
        n -= 1
    while grid_value(n + 1, lot) <= qty:
        n += 1
    return n


def nearest_tick(price: float, tick: Ratio) -> float:
    """§1: price, sl and tp of a signal. A price that rounds to 0 is an error."""
    steps = price * float(tick[1])
    if steps >= 2.0**53:
        raise ReferenceError("SIGNAL_RANGE", f"{price} is beyond 2^53 steps")
    n = round(steps / float(tick[0]))
    if n == 0:
        raise ReferenceError("SIGNAL_RANGE", f"{price} rounds to 0")
    return grid_value(n, tick)


def against_the_trader(price: float, tick: Ratio, buy: bool) -> float:
    """§1 and §6: a buy takes the smallest grid value >= price, a sell the largest <= price, never below 1 tick."""
    n = math.floor(Fraction(price) * tick[1] / tick[0])
    if buy:
        while grid_value(n, tick) >= price:
            n -= 1
        while grid_value(n, tick) < price:
            n += 1
        return grid_value(n, tick)
    while grid_value(n, tick) > price:
        n -= 1
    while grid_value(n + 1, tick) <= price:
        n += 1
    return grid_value(max(n, 1), tick)
