"""§17: how many lots the fills of one execution event may take."""

from __future__ import annotations

import math
from fractions import Fraction

from account import State
from grids import grid_value


def begin_volume(state: State, instrument: int, volume: float | None) -> None:
    """A new event: the largest lot count whose grid value is <= volume × x; orders may be met again."""
    book = state.books[instrument]
    for order in book.orders:
        order.idle = False
    book.idle = False
    book.lots_left = None
    share = state.rules.volume_limit
    if share is not None:
        assert volume is not None
        lot, qty = state.specs[instrument].lot, volume * share
        n = math.floor(Fraction(qty) * lot[1] / lot[0])
        while grid_value(n, lot) > qty:
            n -= 1
        while grid_value(n + 1, lot) <= qty:
            n += 1
        book.lots_left = n


def cut(state: State, instrument: int, lots: int) -> int:
    """Return how many of these lots may fill."""
    left = state.books[instrument].lots_left
    if left is None or lots <= left:
        return lots
    state.fired["volume_cut_to_nothing" if left == 0 else "volume_cut"] += 1
    return left


def take_lots(state: State, instrument: int, lots: int) -> None:
    """These lots were filled."""
    book = state.books[instrument]
    if book.lots_left is not None:
        book.lots_left -= lots
        assert book.lots_left >= 0
