"""The reference loop: execution as docs/spec/execution.md states it, plain and slow.

It shares no code with the engine and imports none of it. Each rule is a function of its own that names the section
it follows ("§4.2"). Lots are whole numbers, values are doubles, and every formula is evaluated in the order of the
page, so that results can be compared bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from account import Book, Market, Spot, State
from fills import reduce_position
from grids import grid_value
from hours import check_latency, has_latency, is_open
from intents import accept_intents
from liquidation import call_margin, liquidate_at_marks
from marks import equity_row, unrealised, with_drawdowns
from orders import fill_increasing_part, fill_order, fill_reducing_part, is_reached, orders_of
from rates import check_rates, convert
from stamps import pay_in_the_bar, pay_in_the_gap
from tape import Moment, marking, moments_of, quotes_of, sort_tape, watched
from targets import accept, close_outcome, end_if_reached, expire, promote
from terms import (
    Answer,
    Counts,
    EquityRow,
    Event,
    Intent,
    MomentView,
    OpenPosition,
    OrderRow,
    OrderView,
    PositionView,
    ReferenceError,
    Result,
    Rules,
    SignalIn,
    SignalRow,
    Spec,
    TargetView,
)
from volume import begin_volume
from walk import settle_inside, stand_at
from working import (
    end_immediate_orders,
    expire_orders,
    fill_market_orders,
    fill_reached_orders,
    promote_intents,
    quantity,
    reduce_market_orders,
)

__all__ = ["Decide", "ReferenceError", "run", "run_with_intents", "run_with_signals", "sort_tape"]

Decide = Callable[[MomentView], Sequence[SignalIn] | Answer]
"""Signals, or in a session of orders (rules.orders) an answer; after one marked `more` it is asked again."""

MOST_CONTINUATIONS = 1000


def run(specs: Sequence[Spec], rules: Rules, events: Iterable[Event], start_ns: int, decide: Decide) -> Result:
    """Run the tape through the rules; decide is asked after each delivered moment.

    events: in tape order (`sort_tape`); those available at or before start_ns are not on the tape.
    Raises ReferenceError where the run fails.
    """
    state = State(
        specs=specs,
        rules=rules,
        cash=rules.cash,
        books=[Book(instrument) for instrument in range(len(specs))],
        markets=[Market() for _ in specs],
        start_ns=start_ns,
    )
    moments = moments_of([event for event in events if event.time_ns > start_ns])
    check_rates(state)
    check_volumes(state, moments)
    check_latency(state, moments)
    curve = [equity_row(state, start_ns)]
    for moment in moments:
        state = settle(state, moment)
        if not moment.delivered:
            continue
        state = converse(state, moment, decide)
        curve.append(equity_row(state, moment.time_ns))
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


def run_with_intents(
    specs: Sequence[Spec],
    rules: Rules,
    events: Iterable[Event],
    start_ns: int,
    intents: Mapping[int, Sequence[Sequence[Intent]]],
) -> Result:
    """Run with intents that are known beforehand: by the number of the event that they answer, in rounds.

    Rounds of the events of one moment are answered together; all but the last are marked `more`.
    """

    def decide(view: MomentView) -> Answer:
        rounds = [intents.get(view.seq + index, ()) for index in range(len(view.events))]
        given = tuple(
            replace(intent, event_index_in_moment=index)
            for index, by_round in enumerate(rounds)
            for intent in (by_round[view.round] if view.round < len(by_round) else ())
        )
        return Answer(given, more=view.round + 1 < max(map(len, rounds)))

    return run(specs, replace(rules, orders=True), events, start_ns, decide)


def converse(state: State, moment: Moment, decide: Decide) -> State:
    """Deliver a moment and take what is answered; §16: as long as an answer is marked `more`."""
    place = 0
    while True:
        view = view_of(state, moment, equity_row(state, moment.time_ns), place)
        state.updates = []
        answer = decide(view)
        if isinstance(answer, Answer) != state.rules.orders and (isinstance(answer, Answer) or answer):
            raise ReferenceError("SIGNAL_MIXED", "a session has signals or intents")
        if not isinstance(answer, Answer):
            accept(state, moment, answer)
            return state
        accept_intents(state, moment, answer.intents)
        if not answer.more:
            return state
        if has_latency(state):
            raise ReferenceError("CONFIG", "more goes without latency")
        place += 1
        if place > MOST_CONTINUATIONS:
            raise ReferenceError("ORDER_LOOP", f"{place} continuations at seq {moment.first_seq}")
        state = settle_again(state, moment)


def settle_again(state: State, moment: Moment) -> State:
    """§16: intents of an unfinished answer meet the tick of the moment at once; on bars they wait."""
    ticks = [(event, seq) for event, seq in moment.executions if event.kind == "tick"]
    if not ticks:
        state.fired["more_on_bars"] += 1
        return state
    state.fired["more_on_tick"] += 1
    fills = len(state.fills)
    settle_lines(state, ticks)
    for number, event, seq in in_order(state, ticks):
        state = settle_inside(state, number, event, seq)
    state.fired["more_fills"] += len(state.fills) > fills
    liquidate_at_marks(state, moment)
    call_margin(state, moment)
    return state


def settle(state: State, moment: Moment) -> State:
    """§5: rates, expiry, stamps, the opens of all instruments, inside the bar one after another, stamps, marks."""
    convert(state)
    for instrument in range(len(state.specs)):
        expire(state, instrument, moment)
    for number in range(len(state.books)):
        expire_orders(state, number, moment)
    pay_in_the_gap(state, moment)
    settle_opens(state, moment)
    for number, event, seq in in_order(state, moment.executions):
        state = settle_inside(state, number, event, seq)
    pay_in_the_bar(state, moment)
    for event, _ in moment.executions:
        state.markets[event.instrument].mark = quotes_of(state, event)[3]
    convert(state)
    liquidate_at_marks(state, moment)
    call_margin(state, moment)
    return state


def settle_opens(state: State, moment: Moment) -> None:
    """§5.1: what an event brings along, then its lines."""
    for event, _ in moment.executions:
        state.markets[event.instrument].events += 1
        state.markets[event.instrument].volume = event.volume
        begin_volume(state, event.instrument, event.volume)
    settle_lines(state, moment.executions)


def settle_lines(state: State, executions: Sequence[tuple[Event, int]]) -> None:
    """§5.1: promotion, marks and excursions at the open, then lines a to d, each in instrument order.

    §19: where the market is closed only the marks move.
    """
    met = [(event, seq) for event, seq in executions if is_open(state, event.instrument, event.open_ns)]
    for event, _ in met:
        promote(state, event, quotes_of(state, event)[0])
    for number, event, seq in in_order(state, met):
        promote_intents(state, number, event, quotes_of(state, event)[0], seq)
    for event, _ in executions:
        state.markets[event.instrument].mark = quotes_of(state, event)[0]
    for number, event, _ in in_order(state, executions):
        stand_at(state, number, quotes_of(state, event)[0])
    opens = [
        (number, Spot(quotes_of(state, event)[0], event.open_ns, seq)) for number, event, seq in in_order(state, met)
    ]
    for line in LINES_OF_ORDERS if state.rules.orders else LINES_OF_TARGETS:
        for number, spot in opens:
            line(state, number, spot)


def in_order(state: State, executions: Sequence[tuple[Event, int]]) -> list[tuple[int, Event, int]]:
    """§20: the positions that meet these events: the unnamed, then the named by instrument and place."""
    events = {event.instrument: (event, seq) for event, seq in executions}
    return [(number, *events[book.instrument]) for number, book in enumerate(state.books) if book.instrument in events]


def reduce_market(state: State, number: int, spot: Spot) -> None:
    """§5.1 a."""
    book = state.books[number]
    if book.working is not None and book.working.price is None:
        fill_reducing_part(state, number, watched(spot.point, book.remainder > 0), spot, "MARKET")


def close_reached_bracket(state: State, number: int, spot: Spot) -> None:
    """§5.1 b: stop loss, else take profit; the price is the open."""
    for order in orders_of(state, number):
        if order.kind in ("STOP_LOSS", "TAKE_PROFIT") and is_reached(order, watched(spot.point, order.buy)):
            state.fired[f"gap_{order.kind}"] += 1
            fill_order(state, number, order, watched(spot.point, order.buy), spot)
            return


def liquidate_reached(state: State, number: int, spot: Spot) -> None:
    """§5.1, between b and c: a liquidation level that the open has reached; the price is the open."""
    for order in orders_of(state, number):
        if order.kind == "LIQUIDATION" and is_reached(order, watched(spot.point, order.buy)):
            state.fired["gap_LIQUIDATION"] += 1
            fill_order(state, number, order, watched(spot.point, order.buy), spot)
            return


def fill_reached_limit(state: State, number: int, spot: Spot) -> None:
    """§5.1 c: the price is the better open."""
    for order in orders_of(state, number):
        if order.kind == "LIMIT" and is_reached(order, watched(spot.point, order.buy)):
            state.fired["gap_LIMIT"] += 1
            fill_order(state, number, order, watched(spot.point, order.buy), spot)
            return


def increase_market(state: State, number: int, spot: Spot) -> None:
    """§5.1 d."""
    book = state.books[number]
    if book.working is not None and book.working.price is None and book.remainder != 0:
        fill_increasing_part(state, number, watched(spot.point, book.remainder > 0), spot, "MARKET")


LINES_OF_TARGETS = (reduce_market, close_reached_bracket, liquidate_reached, fill_reached_limit, increase_market)
LINES_OF_ORDERS = (
    reduce_market_orders,
    close_reached_bracket,
    liquidate_reached,
    fill_reached_orders,
    fill_market_orders,
    end_immediate_orders,
)
"""§5.1: the lines of an open, in their order."""


def close_positions_at_end(state: State, last: Moment) -> None:
    """§7, execution.close_at_end: a market fill at the last mark, time and seq of the last moment's last event."""
    seq = max(seq for seq in last.seqs if seq is not None)
    for number, book in enumerate(state.books):
        if book.position is None:
            continue
        mark = state.market_of(number).mark
        assert mark is not None
        raw = marking(mark, book.lots)
        reduce_position(state, number, abs(book.lots), raw, Spot(mark, last.time_ns, seq), "MARKET", "END", None)
        end_if_reached(state, book)


def end_decisions(state: State) -> None:
    """§7: what still works is RESTING (orders: WORKING), what never met a bar UNEXECUTED."""
    for book in state.books:
        for order in book.orders:
            state.fired["working_at_end"] += 1
            state.intent_outcomes[order.record] = "WORKING"
        for queued in book.intents:
            state.fired["intent_queued_at_end"] += 1
            state.intent_outcomes[queued.record] = "UNEXECUTED"
        if book.working is not None:
            state.fired["resting_at_end"] += book.remainder != 0
            close_outcome(state, book.working, "RESTING")
        for decision in book.queue:
            if decision.target is not None:
                state.fired["queued_at_end"] += 1
                close_outcome(state, decision.target, "UNEXECUTED")


def check_volumes(state: State, moments: Sequence[Moment]) -> None:
    """Slippage by volume and a volume limit need a volume that is not zero throughout, of ticks one of each."""
    for instrument in range(len(state.specs)):
        by_volume = state.rules.slippage_of(instrument).model in ("volume_share", "impact")
        if not by_volume and state.rules.volume_limit is None:
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


def view_of(state: State, moment: Moment, row: EquityRow, place: int) -> MomentView:
    """What the strategy may know after this moment."""
    positions: list[PositionView] = []
    targets: list[TargetView] = []
    orders: list[OrderView] = []
    for number, book in enumerate(state.books):
        instrument, lot = book.instrument, state.spec_of(number).lot
        position, standing = book.position, book.standing
        if position is not None:
            mark = state.markets[instrument].mark
            assert mark is not None
            positions.append(
                PositionView(
                    position.position_id,
                    instrument,
                    position.side,
                    grid_value(abs(position.lots), lot),
                    position.entry,
                    position.sl,
                    position.tp,
                    unrealised(state, number, marking(mark, position.lots)),
                    position.trail,
                    position.trail_level,
                    book.name,
                )
            )
        orders += [
            OrderView(
                order.client_id,
                instrument,
                "BUY" if order.buy else "SELL",
                order.type,
                grid_value(order.lots, lot),
                grid_value(order.filled, lot),
                order.price,
                order.stop_price,
                order.trail,
                order.level,
                order.triggered,
                order.valid_until_ns,
                position=book.name,
            )
            for order in book.orders
        ]
        orders += [waiting_order(state, queued.record) for queued in book.intents if is_submit(state, queued.record)]
        if state.rules.orders:
            continue
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
                standing.trail,
            )
        )
    events = [event for event in moment.events if event.delivered]
    return MomentView(
        moment.first_seq,
        moment.time_ns,
        events,
        state.cash,
        row.equity,
        positions,
        targets,
        list(state.updates),
        orders,
        place,
    )


def is_submit(state: State, record: int) -> bool:
    return state.intents[record].intent.kind == "SUBMIT"


def waiting_order(state: State, record: int) -> OrderView:
    """An order that has not begun to work."""
    intent = state.intents[record].intent
    assert intent.qty is not None
    return OrderView(
        intent.client_id,
        intent.instrument,
        intent.side,
        intent.type,
        intent.qty,
        0.0,
        intent.price,
        intent.stop_price,
        intent.trail,
        None,
        False,
        intent.valid_until_ns,
        queued=True,
        position=intent.position,
    )


def result_of(state: State, curve: Sequence[EquityRow]) -> Result:
    """Put the rows in table order: trades by exit time and seq, signals by seq and instrument."""
    places = sorted(range(len(state.trades)), key=lambda i: (state.trades[i].exit_time_ns, state.trades[i].exit_seq))
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
    outcomes = Counter(state.outcomes + state.intent_outcomes)
    counts = Counts(
        signals=len(signals) + len(state.intents),
        no_ops=outcomes["NO_OP"],
        rounded=sum(r.rounded for r in state.records) + sum(r.rounded for r in state.intents),
        rejected=outcomes["REJECTED"],
        unexecuted=outcomes["UNEXECUTED"],
        path_dependent_bars=state.path_dependent_bars,
        margin_calls=state.margin_calls,
    )
    open_positions: list[OpenPosition] = []
    for number, book in enumerate(state.books):
        if book.position is not None:
            point, spec = state.market_of(number).mark, state.spec_of(number)
            assert point is not None
            mark = marking(point, book.lots)
            open_positions.append(
                OpenPosition(
                    spec.symbol,
                    "LONG" if book.lots > 0 else "SHORT",
                    grid_value(abs(book.lots), spec.lot),
                    book.position.entry,
                    mark,
                    unrealised(state, number, mark),
                )
            )
    return Result(
        fills=state.fills,
        trades=[replace(state.trades[i], trade_id=trade_id) for trade_id, i in enumerate(places, start=1)],
        equity=with_drawdowns(curve),
        signals=[signals[i] for i in order],
        counts=counts,
        open_positions=open_positions,
        flows=state.flows,
        orders=rows_of_intents(state),
        trade_positions=[state.trade_positions[i] for i in places],
        open_position_ids=[book.position.position_id for book in state.books if book.position is not None],
        rules_fired=dict(state.fired),
    )


def rows_of_intents(state: State) -> list[OrderRow]:
    """By seq, then instrument, then the place in the answer."""
    rows: list[OrderRow] = []
    numbers = {client_id: number for number, client_id in enumerate(state.submitted, start=1)}
    order = sorted(range(len(state.intents)), key=lambda i: (state.intents[i].seq, state.intents[i].intent.instrument))
    for place in order:
        record, outcome = state.intents[place], state.intent_outcomes[place]
        intent = record.intent
        assert outcome is not None
        rows.append(
            OrderRow(
                0 if intent.kind == "PROTECT" else numbers[intent.client_id],
                record.seq,
                record.time_ns,
                state.specs[intent.instrument].symbol,
                intent.kind,
                intent.client_id,
                intent.side,
                intent.type,
                intent.qty,
                intent.price,
                intent.stop_price,
                intent.trail,
                intent.tif,
                intent.valid_until_ns,
                intent.reduce_only,
                intent.post_only,
                intent.oco,
                intent.sl,
                intent.tp,
                intent.risk_trail,
                outcome,
                state.intent_reasons[place],
                state.filled[place],
                quantity(state, place),
                intent.position,
            )
        )
    return rows
