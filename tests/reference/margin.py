"""Margin: the level at which a position is liquidated, and whether the equity is below a part of the margin."""

from __future__ import annotations

from account import State
from grids import grid_value
from marks import equity_row, unrealised
from rates import unit_value
from tape import marking


def liquidation_level(state: State, number: int) -> float | None:
    """Return the price at which the position is liquidated; None if there is none.

    Cross: what all other positions are worth at their last marks counts. Isolated: only the position's own margin.
    """
    rules, position, instrument = state.rules, state.books[number].position, state.books[number].instrument
    if position is None or (rules.margin_mode == "cross" and rules.maintenance == 0):
        return None
    qty_value = grid_value(abs(position.lots), state.specs[instrument].lot) * unit_value(state, instrument)
    share = rules.maintenance / rules.leverage_of(instrument)
    long = position.lots > 0
    if rules.margin_mode == "isolated":
        if long:
            level = ((position.entry * qty_value) - position.margin) / (qty_value * (1 - share))
        else:
            level = ((position.entry * qty_value) + position.margin) / (qty_value * (1 + share))
    else:
        profit, margin = others(state, number)
        worth = state.cash + profit
        if long:
            level = (((position.entry * qty_value) - worth) + rules.maintenance * margin) / (qty_value * (1 - share))
        else:
            level = (((position.entry * qty_value) + worth) - rules.maintenance * margin) / (qty_value * (1 + share))
    return None if long and level <= 0 else level


def others(state: State, number: int) -> tuple[float, float]:
    """Return Σ u and Σ I of the other open positions at last marks, in their order."""
    profit = margin = 0.0
    for other, book in enumerate(state.books):
        if other == number or book.position is None:
            continue
        point = state.market_of(other).mark
        assert point is not None
        mark = marking(point, book.lots)
        qty = grid_value(abs(book.lots), state.spec_of(other).lot)
        profit += unrealised(state, other, mark)
        margin += ((qty * mark) * unit_value(state, book.instrument)) / state.rules.leverage_of(book.instrument)
    return profit, margin


def is_below(state: State, part: float) -> bool:
    """Some position is open and the equity is less than this part of the margin."""
    row = equity_row(state, 0)
    return any(book.position is not None for book in state.books) and row.equity < part * row.margin_used


def profit_of(state: State, number: int) -> float:
    """Return u at the last mark."""
    mark = state.market_of(number).mark
    assert mark is not None
    return unrealised(state, number, marking(mark, state.books[number].lots))
