"""Tick and lot grids: value n is n·num/den, the exact product divided once.

`n * 0.00001` differs from the decimal double for more than half of all prices, and then a limit would not be touched
by an equal low; a ratio of whole numbers does not.
"""

from __future__ import annotations

import numpy as np

from boxgate_engine.kernel.compilation import compiled


@compiled
def grid_value(n: int, num: int, den: int) -> float:
    """Return the double nearest to n·num/den. n·num must be below 2^53 in magnitude."""
    return float(n * num) / float(den)


@compiled
def lots_within(qty: float, num: int, den: int) -> int:
    """Return the largest n with grid value <= qty (toward zero). qty: base units, >= 0, at most 2^53 lots."""
    n = int(np.rint(qty * den / num))
    while grid_value(n, num, den) > qty:
        n -= 1
    while grid_value(n + 1, num, den) <= qty:
        n += 1
    return n


@compiled
def nearest_tick(price: float, num: int, den: int) -> int:
    """Return the number of the nearest grid price, ties to even."""
    return int(np.rint(price * den / num))


@compiled
def nearest_price(price: float, num: int, den: int) -> float:
    """Return the nearest grid price, ties to even; 0.0 for less than half a tick."""
    return grid_value(nearest_tick(price, num, den), num, den)


@compiled
def round_up(price: float, num: int, den: int) -> float:
    """Return the smallest grid price >= price: what a buyer pays."""
    n = nearest_tick(price, num, den)
    while grid_value(n, num, den) < price:
        n += 1
    while grid_value(n - 1, num, den) >= price:
        n -= 1
    return grid_value(n, num, den)


@compiled
def round_down(price: float, num: int, den: int) -> float:
    """Return the largest grid price <= price, but at least one tick: what a seller gets."""
    n = nearest_tick(price, num, den)
    while grid_value(n, num, den) > price:
        n -= 1
    while grid_value(n + 1, num, den) <= price:
        n += 1
    return grid_value(max(n, 1), num, den)


@compiled
def ticks_away(price: float, ticks: int, num: int, den: int) -> float:
    """Return the grid price that many ticks above a grid price, at least one tick."""
    if ticks == 0:
        return price
    return grid_value(max(nearest_tick(price, num, den) + ticks, 1), num, den)
