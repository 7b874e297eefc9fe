"""§17: how many lots the fills of one execution event may take."""

from __future__ import annotations

import math
from fractions import Fraction

from account import State
from grids import grid_value


def begin_volume(state: State, instrument: int, volume: float | None) -> None:
    """A new event: the largest lot count whose grid value is <= volume × x; orders may be met again."""
    for book in state.books:
        if book.instrument == instrument:
            for order in book.orders:
                order.idle = False
            book.idle = False
    market = state.markets[instrument]
    market.lots_left = market.taker = None
    share = state.rules.volume_limit
    if share is not None:
        assert volume is not None
        lot, qty = state.specs[instrument].lot, volume * share
        n = math.floor(Fraction(qty) * lot[1] / lot[0])
        while grid_value(n, lot) > qty:
            n -= 1
        while grid_value(n + 1, lot) <= qty:
            n += 1
        market.lots_left = n


def cut(state: State, number: int, lots: int) -> int:
    """Return how many of these lots may fill: the limit is that of the instrument, for all its positions (§20)."""
    left = state.market_of(number).lots_left
    if left is None or lots <= left:
        return lots
    state.fired["volume_taken_by_another_position"] += state.market_of(number).taker not in (None, number)
    state.fired["volume_cut_to_nothing" if left == 0 else "volume_cut"] += 1
    return left


def take_lots(state: State, number: int, lots: int) -> None:
    """These lots were filled."""
    market = state.market_of(number)
    if market.lots_left is not None:
        market.lots_left -= lots
        market.taker = number
        assert market.lots_left >= 0
