"""The reference loop: execution as docs/spec/execution.md states it, plain and slow.

It shares no code with the engine and imports none of it. Each rule is a function of its own that names the section
it follows ("§4.2"). Lots are whole numbers, values are doubles, and every formula is evaluated in the order of the
page, so that results can be compared bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from account import Book, Spot, State
from fills import reduce_position, take_in
from grids import grid_value
from liquidation import call_margin, liquidate_at_marks
from marks import equity_row, unrealised, with_drawdowns
from orders import fill_increasing_part, fill_order, fill_reducing_part, is_reached, orders_of
from rates import check_rates, convert
from stamps import pay_in_the_bar, pay_in_the_gap
from tape import Moment, marking, moments_of, quotes_of, sort_tape, watched
from targets import accept, close_outcome, end_if_reached, expire, promote
from terms import (
    Counts,
    EquityRow,
    Event,
    MomentView,
    OpenPosition,
    PositionView,
    ReferenceError,
    Result,
    Rules,
    SignalIn,
    SignalRow,
    Spec,
    TargetView,
)
from walk import settle_inside

__all__ = ["Decide", "ReferenceError", "run", "run_with_signals", "sort_tape"]

Decide = Callable[[MomentView], list[SignalIn]]


def run(specs: Sequence[Spec], rules: Rules, events: Iterable[Event], start_ns: int, decide: Decide) -> Result:
    """Run the tape through the rules; decide is asked after each delivered moment.

    events: in tape order (`sort_tape`); those available at or before start_ns are not on the tape.
    Raises ReferenceError where the run fails.
    """
    state = State(specs=specs, rules=rules, cash=rules.cash, books=[Book() for _ in specs], start_ns=start_ns)
    moments = moments_of([event for event in events if event.time_ns > start_ns])
    check_rates(state)
    check_volumes(state, moments)
    curve = [equity_row(state, start_ns)]
    for moment in moments:
        state = settle(state, moment)
        if not moment.delivered:
            continue
        curve.append(equity_row(state, moment.time_ns))
        view = view_of(state, moment, curve[-1])
        state.updates = []
        accept(state, moment, decide(view))
    end_decisions(state)
    if rules.close_at_end and moments:
        close_positions_at_end(state, moments[-1])
        curve[-1] = equity_row(state, moments[-1].time_ns)
    assert_ledger(state)
    return result_of(state, curve)


def run_with_signals(
    specs: Sequence[Spec],
    rules: Rules,
    events: Iterable[Event],
    start_ns: int,
    signals: Mapping[int, Sequence[SignalIn]],
) -> Result:
    """Run with signals that are known beforehand: by the number of the event that they answer."""

    def decide(view: MomentView) -> list[SignalIn]:
        return [
            replace(signal, event_index_in_moment=index)
            for index in range(len(view.events))
            for signal in signals.get(view.seq + index, ())
        ]

    return run(specs, rules, events, start_ns, decide)


def settle(state: State, moment: Moment) -> State:
    """§5: rates, expiry, stamps, the opens of all instruments, inside the bar one after another, stamps, marks."""
    convert(state)
    for instrument in range(len(state.books)):
        expire(state, instrument, moment)
    pay_in_the_gap(state, moment)
    settle_opens(state, moment)
    for event, seq in moment.executions:
        state = settle_inside(state, event, seq)
    pay_in_the_bar(state, moment)
    for event, _ in moment.executions:
        state.books[event.instrument].mark = quotes_of(state, event)[3]
    convert(state)
    liquidate_at_marks(state, moment)
    call_margin(state, moment)
    return state


def settle_opens(state: State, moment: Moment) -> None:
    """§5.1: promotion, marks and excursions at the open, then lines a to d, each in instrument order."""
    executions = moment.executions
    for event, _ in executions:
        promote(state, event)
    opens: list[tuple[int, Spot]] = []
    for event, seq in executions:
        book = state.books[event.instrument]
        book.events += 1
        book.volume = event.volume
        book.mark = quotes_of(state, event)[0]
        take_in(book, book.mark)
        opens.append((event.instrument, Spot(book.mark, event.open_ns, seq)))
    for line in (reduce_market, close_reached_bracket, liquidate_reached, fill_reached_limit, increase_market):
        for instrument, spot in opens:
            line(state, instrument, spot)


def reduce_market(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 a."""
    book = state.books[instrument]
    if book.working is not None and book.working.price is None:
        fill_reducing_part(state, instrument, watched(spot.point, book.remainder > 0), spot, "MARKET")


def close_reached_bracket(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 b: stop loss, else take profit; the price is the open."""
    for order in orders_of(state, instrument):
        if order.kind in ("STOP_LOSS", "TAKE_PROFIT") and is_reached(order, watched(spot.point, order.buy)):
            state.fired[f"gap_{order.kind}"] += 1
            fill_order(state, instrument, order, watched(spot.point, order.buy), spot)
            return


def liquidate_reached(state: State, instrument: int, spot: Spot) -> None:
    """§5.1, between b and c: a liquidation level that the open has reached; the price is the open."""
    for order in orders_of(state, instrument):
        if order.kind == "LIQUIDATION" and is_reached(order, watched(spot.point, order.buy)):
            state.fired["gap_LIQUIDATION"] += 1
            fill_order(state, instrument, order, watched(spot.point, order.buy), spot)
            return


def fill_reached_limit(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 c: the price is the better open."""
    for order in orders_of(state, instrument):
        if order.kind == "LIMIT" and is_reached(order, watched(spot.point, order.buy)):
            state.fired["gap_LIMIT"] += 1
            fill_order(state, instrument, order, watched(spot.point, order.buy), spot)
            return


def increase_market(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 d."""
    book = state.books[instrument]
    if book.working is not None and book.working.price is None and book.remainder != 0:
        fill_increasing_part(state, instrument, watched(spot.point, book.remainder > 0), spot, "MARKET")


def close_positions_at_end(state: State, last: Moment) -> None:
    """§7, execution.close_at_end: a market fill at the last mark, time and seq of the last moment's last event."""
    seq = max(seq for seq in last.seqs if seq is not None)
    for instrument, book in enumerate(state.books):
        if book.position is None:
            continue
        assert book.mark is not None
        raw = marking(book.mark, book.lots)
        reduce_position(
            state, instrument, abs(book.lots), raw, Spot(book.mark, last.time_ns, seq), "MARKET", "END", None
        )
        end_if_reached(state, book)


def end_decisions(state: State) -> None:
    """§7: what still works is RESTING, what never met a bar UNEXECUTED."""
    for book in state.books:
        if book.working is not None:
            state.fired["resting_at_end"] += book.remainder != 0
            close_outcome(state, book.working, "RESTING")
        for decision in book.queue:
            if decision.target is not None:
                state.fired["queued_at_end"] += 1
                close_outcome(state, decision.target, "UNEXECUTED")


def check_volumes(state: State, moments: Sequence[Moment]) -> None:
    """Slippage by volume needs a volume that is not zero throughout, of ticks one of each."""
    for instrument in range(len(state.books)):
        if state.rules.slippage_of(instrument).model not in ("volume_share", "impact"):
            continue
        events = [event for moment in moments for event, _ in moment.executions if event.instrument == instrument]
        volumes = [event.volume for event in events]
        if events and (None in volumes or not any(volumes)):
            raise ReferenceError("VOLUME_MISSING", state.specs[instrument].symbol)


def assert_ledger(state: State) -> None:
    """§7: initial cash + Σ gross − Σ fees of all fills + Σ funding + Σ swap = cash."""
    gross = sum(trade.gross_pnl for trade in state.trades)
    fees = sum(fill.fee for fill in state.fills)
    flows = sum(flow.amount for flow in state.flows)
    turnover = sum(abs(trade.gross_pnl) for trade in state.trades) + sum(abs(fill.fee) for fill in state.fills)
    turnover += sum(abs(flow.amount) for flow in state.flows)
    assert abs(state.rules.cash + gross - fees + flows - state.cash) <= 1e-9 * max(abs(state.rules.cash), turnover)


def view_of(state: State, moment: Moment, row: EquityRow) -> MomentView:
    """What the strategy may know after this moment."""
    positions: list[PositionView] = []
    targets: list[TargetView] = []
    for instrument, book in enumerate(state.books):
        lot = state.specs[instrument].lot
        position, standing = book.position, book.standing
        if position is not None:
            assert book.mark is not None
            positions.append(
                PositionView(
                    position.position_id,
                    instrument,
                    position.side,
                    grid_value(abs(position.lots), lot),
                    position.entry,
                    position.sl,
                    position.tp,
                    unrealised(state, instrument, marking(book.mark, position.lots)),
                )
            )
        granted = position is not None and position.side == standing.side
        targets.append(
            TargetView(
                instrument,
                standing.side,
                grid_value(standing.lots, lot),
                grid_value(min(standing.lots, abs(book.lots)), lot) if granted else 0.0,
                standing.price,
                standing.sl,
                standing.tp,
                standing.valid_until_ns,
            )
        )
    events = [event for event in moment.events if event.delivered]
    return MomentView(
        moment.first_seq, moment.time_ns, events, state.cash, row.equity, positions, targets, list(state.updates)
    )


def result_of(state: State, curve: Sequence[EquityRow]) -> Result:
    """Put the rows in table order: trades by exit time and seq, signals by seq and instrument."""
    trades = sorted(state.trades, key=lambda trade: (trade.exit_time_ns, trade.exit_seq))
    assert all(outcome is not None for outcome in state.outcomes)
    signals = [
        SignalRow(
            record.seq,
            record.time_ns,
            state.specs[record.signal.instrument].symbol,
            record.signal.side,
            record.signal.qty,
            record.signal.price,
            record.signal.sl,
            record.signal.tp,
            record.signal.valid_until_ns,
            record.signal.adjust_only,
            outcome or "",
            reason,
        )
        for record, outcome, reason in zip(state.records, state.outcomes, state.reject_reasons, strict=True)
    ]
    # Records are in the order in which they were taken; a stable sort keeps the answer's order of equal keys.
    order = sorted(range(len(signals)), key=lambda i: (signals[i].seq, state.records[i].signal.instrument))
    outcomes = Counter(state.outcomes)
    counts = Counts(
        signals=len(signals),
        no_ops=outcomes["NO_OP"],
        rounded=sum(record.rounded for record in state.records),
        rejected=outcomes["REJECTED"],
        unexecuted=outcomes["UNEXECUTED"],
        path_dependent_bars=state.path_dependent_bars,
        margin_calls=state.margin_calls,
    )
    open_positions: list[OpenPosition] = []
    for instrument, book in enumerate(state.books):
        if book.position is not None:
            assert book.mark is not None
            spec = state.specs[instrument]
            mark = marking(book.mark, book.lots)
            open_positions.append(
                OpenPosition(
                    spec.symbol,
                    "LONG" if book.lots > 0 else "SHORT",
                    grid_value(abs(book.lots), spec.lot),
                    book.position.entry,
                    mark,
                    unrealised(state, instrument, mark),
                )
            )
    return Result(
        fills=state.fills,
        trades=[replace(trade, trade_id=place) for place, trade in enumerate(trades, start=1)],
        equity=with_drawdowns(curve),
        signals=[signals[i] for i in order],
        counts=counts,
        open_positions=open_positions,
        flows=state.flows,
        rules_fired=dict(state.fired),
    )
