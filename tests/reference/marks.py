"""§7: unrealised profit and the equity curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from account import State
from grids import grid_value
from rates import unit_value
from tape import marking
from terms import EquityRow


def equity_row(state: State, time_ns: int) -> EquityRow:
    """§7: sums over open positions at the last marks, in their order (§20). The drawdown is filled in at the end."""
    profit = gross = net = margin = 0.0
    for number, book in enumerate(state.books):
        if book.position is None:
            continue
        point = state.market_of(number).mark
        assert point is not None
        mark = marking(point, book.lots)
        profit += unrealised(state, number, mark)
        exposure = (grid_value(abs(book.lots), state.spec_of(number).lot) * mark) * unit_value(state, book.instrument)
        margin += exposure / state.rules.leverage_of(book.instrument)
        gross += exposure
        net += exposure if book.lots > 0 else -exposure
    return EquityRow(time_ns, state.cash + profit, state.cash, profit, margin, gross, net, 0.0)


def with_drawdowns(curve: Sequence[EquityRow]) -> list[EquityRow]:
    """§7: 1 − equity ÷ running peak, clipped to [0, 1]; the first row is the first peak."""
    rows: list[EquityRow] = []
    peak = curve[0].equity
    for row in curve:
        peak = max(peak, row.equity)
        rows.append(replace(row, drawdown=min(1.0, max(0.0, 1 - row.equity / peak))))
    return rows


def unrealised(state: State, number: int, mark: float) -> float:
    """§6: u of the position at this mark; 0 without a position."""
    book = state.books[number]
    position = book.position
    if position is None:
        return 0.0
    qty, value = grid_value(abs(position.lots), state.spec_of(number).lot), unit_value(state, book.instrument)
    return ((mark - position.entry if position.lots > 0 else position.entry - mark) * qty) * value
