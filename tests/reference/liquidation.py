"""What the marks at the end of a moment do to the account: liquidation and the margin call."""

from __future__ import annotations

from account import Spot, State
from margin import is_below, profit_of
from orders import liquidate
from tape import Moment, marking
from terms import Update


def liquidate_at_marks(state: State, moment: Moment) -> None:
    """Cross: while the equity is below the maintenance margin, the position with the lowest u is closed."""
    if state.rules.margin_mode != "cross" or state.rules.maintenance == 0:
        return
    while is_below(state, state.rules.maintenance):
        held = [number for number, book in enumerate(state.books) if book.position is not None]
        worst = min(held, key=lambda number: profit_of(state, number))
        mark = state.market_of(worst).mark
        assert mark is not None
        state.fired["liquidated_at_marks"] += 1
        state.fired["named_liquidated_at_marks"] += state.books[worst].place > 0
        raw = marking(mark, state.books[worst].lots)
        liquidate(state, worst, raw, Spot(mark, moment.time_ns, moment.last_seq))


def call_margin(state: State, moment: Moment) -> None:
    """Tell and count that the equity fell below the call level; once until it has been above it again."""
    called = state.rules.margin_call > 0 and is_below(state, state.rules.margin_call)
    if called and not state.called:
        first = next(book for book in state.books if book.position is not None)
        call = Update("MARGIN_CALL", first.instrument, moment.last_seq, moment.time_ns, position=first.name)
        state.updates.append(call)
        state.fired["margin_call_names_position"] += first.place > 0
        state.margin_calls += 1
        state.fired["margin_call"] += 1
    state.called = called
