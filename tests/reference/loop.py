"""The reference loop: execution as docs/spec/execution.md states it, plain and slow.

It shares no code with the engine and imports none of it. Each rule is a function of its own that names the section
it follows ("§4.2"). Lots are whole numbers, values are doubles, and every formula is evaluated in the order of the
page, so that results can be compared bit for bit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

from terms import (
    Counts,
    EquityRow,
    Event,
    Fill,
    MomentView,
    OpenPosition,
    PositionView,
    Prices,
    Ratio,
    ReferenceError,
    Result,
    Rules,
    SignalIn,
    SignalRow,
    Spec,
    TargetView,
    Trade,
    Update,
)

Decide = Callable[[MomentView], list[SignalIn]]
Point = tuple[float, float]
"""A bid and an ask at one instant."""


def run(specs: Sequence[Spec], rules: Rules, events: Iterable[Event], start_ns: int, decide: Decide) -> Result:
    """Run the tape through the rules; decide is asked after each delivered moment.

    events: in tape order (`sort_tape`); those available at or before start_ns are not on the tape.
    Raises ReferenceError where the run fails.
    """
    state = State(specs=specs, rules=rules, cash=rules.cash, books=[Book() for _ in specs])
    moments = moments_of([event for event in events if event.time_ns > start_ns])
    curve = [equity_row(state, start_ns)]
    for moment in moments:
        state = settle(state, moment)
        if not moment.delivered:
            continue
        curve.append(equity_row(state, moment.time_ns))
        view = view_of(state, moment, curve[-1])
        state.updates = []
        accept(state, moment, decide(view))
    if rules.close_at_end and moments:
        close_positions_at_end(state, moments[-1])
        curve[-1] = equity_row(state, moments[-1].time_ns)
    end_decisions(state)
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


# ---------------------------------------------------------------------------------------------------------------------
# State


@dataclass(frozen=True)
class Target:
    """What an instrument is asked to be. lots: 0 for FLAT. record: index of its signal, None if no signal states it."""

    side: str
    lots: int
    price: float | None = None
    sl: float | None = None
    tp: float | None = None
    valid_until_ns: int | None = None
    record: int | None = None

    @property
    def signed_lots(self) -> int:
        return {"BUY": self.lots, "SELL": -self.lots, "FLAT": 0}[self.side]


FLAT = Target(side="FLAT", lots=0)


@dataclass(frozen=True)
class Decision:
    """A target, or None for *hold*, that waits for the first bar it may meet."""

    time_ns: int
    target: Target | None


@dataclass
class Position:
    """A holding. lots: signed, never 0. The pools hold the entry's fee and slippage not yet shared out."""

    position_id: int
    lots: int
    entry: float
    sl: float | None
    tp: float | None
    bracket_record: int | None
    fee_pool: float
    slippage_pool: float
    lowest: float
    highest: float
    entry_seq: int
    entry_time_ns: int
    entry_event: int
    path_dependent: bool

    @property
    def side(self) -> str:
        return "BUY" if self.lots > 0 else "SELL"


@dataclass
class Book:
    """All that belongs to one instrument (§4). mark: last bid and ask. events: its execution events so far."""

    position: Position | None = None
    standing: Target = FLAT
    working: Target | None = None
    queue: list[Decision] = field(default_factory=list)
    mark: Point | None = None
    events: int = 0

    @property
    def lots(self) -> int:
        return self.position.lots if self.position else 0

    @property
    def remainder(self) -> int:
        """Lots, signed, that the working target has not reached (§4.3)."""
        return self.working.signed_lots - self.lots if self.working else 0

    def copy(self) -> Book:
        position = replace(self.position) if self.position else None
        return replace(self, position=position, queue=list(self.queue))


@dataclass(frozen=True)
class Record:
    """A signal on the grid."""

    seq: int
    time_ns: int
    signal: SignalIn
    lots: int
    rounded: bool


@dataclass
class State:
    """The whole account. outcomes: one per record, None while it is open."""

    specs: Sequence[Spec]
    rules: Rules
    cash: float
    books: list[Book]
    records: list[Record] = field(default_factory=list)
    outcomes: list[str | None] = field(default_factory=list)
    reject_reasons: list[str | None] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    path_dependent_bars: int = 0
    next_position_id: int = 1
    fired: Counter[str] = field(default_factory=Counter)

    def copy(self) -> State:
        return replace(
            self,
            books=[book.copy() for book in self.books],
            outcomes=list(self.outcomes),
            reject_reasons=list(self.reject_reasons),
            fills=list(self.fills),
            trades=list(self.trades),
            updates=list(self.updates),
            fired=self.fired.copy(),
        )


@dataclass(frozen=True)
class Moment:
    """All bars that become available at one instant, or one tick (§3).

    first_seq: number of its first delivered event, or of the first one of the next delivered moment.
    """

    time_ns: int
    events: list[Event]
    seqs: list[int | None]
    first_seq: int

    @property
    def delivered(self) -> bool:
        return any(event.delivered for event in self.events)

    @property
    def executions(self) -> list[tuple[Event, int]]:
        """The execution events and the seq of their fills, in instrument order (§6, last paragraph)."""
        pairs = [
            (event, self.first_seq if seq is None else seq)
            for event, seq in zip(self.events, self.seqs, strict=True)
            if event.execution
        ]
        pairs.sort(key=lambda pair: pair[0].instrument)
        assert len({event.instrument for event, _ in pairs}) == len(pairs)
        return pairs


@dataclass(frozen=True)
class Spot:
    """Where and when a fill happens: the current point, the time and number it is booked under."""

    point: Point
    time_ns: int
    seq: int
    path_dependent: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# §1 Grids


def grid_value(n: int, size: Ratio) -> float:
    """§1: n·num ÷ den, rounded once. Division of two ints is correctly rounded."""
    return n * size[0] / size[1]


def lots_of(qty: float, lot: Ratio) -> int:
    """§1: the largest n whose grid value is <= qty."""
    n = math.floor(Fraction(qty) * lot[1] / lot[0])
    if n > 2**53:
        raise ReferenceError("SIGNAL_RANGE", f"{qty} is more than 2^53 lots")
    while grid_value(n, lot) > qty:
        n -= 1
    while grid_value(n + 1, lot) <= qty:
        n += 1
    if n > 2**53:
        raise ReferenceError("SIGNAL_RANGE", f"{qty} is more than 2^53 lots")
    return n


def nearest_tick(price: float, tick: Ratio) -> float:
    """§1: price, sl and tp of a signal. A price that rounds to 0 is an error."""
    ticks = (price * float(tick[1])) / float(tick[0])
    if not ticks <= 2.0**53:
        raise ReferenceError("SIGNAL_RANGE", f"{price} is more than 2^53 ticks")
    n = round(ticks)
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


# ---------------------------------------------------------------------------------------------------------------------
# §2 Quotes


def asks_of(state: State, event: Event) -> Prices:
    """§2: the ask of each of the four prices."""
    rule = state.rules.spread
    if rule[0] == "data":
        if event.ask is None:
            raise ReferenceError("SPREAD_MISSING", f"no ask columns for instrument {event.instrument}")
        return event.ask
    if rule[0] == "none":
        return event.bid
    assert len(rule) == 2
    width = rule[1] if rule[0] == "price" else grid_value(int(rule[1]), state.specs[event.instrument].tick)
    opened, high, low, close = event.bid
    return (opened + width, high + width, low + width, close + width)


def quotes_of(state: State, event: Event) -> tuple[Point, Point, Point, Point]:
    """§2: bid and ask at open, high, low and close."""
    asks = asks_of(state, event)
    bids = event.bid
    return ((bids[0], asks[0]), (bids[1], asks[1]), (bids[2], asks[2]), (bids[3], asks[3]))


def watched(point: Point, buy: bool) -> float:
    """§2: buy orders and exits of shorts (which buy) watch the ask, the others the bid."""
    return point[1] if buy else point[0]


def marking(point: Point, lots: int) -> float:
    """§2: a long position is marked at the bid, a short one at the ask."""
    return point[0] if lots > 0 else point[1]


# ---------------------------------------------------------------------------------------------------------------------
# §3 Tape and moments


def sort_tape(events: Iterable[Event]) -> list[Event]:
    """§3: availability; bars before ticks; larger frame first; instruments in config order. Stable."""
    return sorted(events, key=lambda e: (e.time_ns, e.kind == "tick", -e.frame_ns, e.instrument))


def moments_of(events: Sequence[Event]) -> list[Moment]:
    """§3: group the tape; what comes after the last delivered moment is dropped."""
    groups: list[list[Event]] = []
    for event in events:
        together = groups and event.kind == "bar" and groups[-1][-1].kind == "bar"
        if together and groups[-1][-1].time_ns == event.time_ns:
            groups[-1].append(event)
        else:
            groups.append([event])
    while groups and not any(event.delivered for event in groups[-1]):
        groups.pop()
    moments: list[Moment] = []
    next_seq = 0
    for group in groups:
        first_seq = next_seq
        seqs: list[int | None] = []
        for event in group:
            seqs.append(next_seq if event.delivered else None)
            next_seq += event.delivered
        moments.append(Moment(group[0].time_ns, group, seqs, first_seq))
    return moments


# ---------------------------------------------------------------------------------------------------------------------
# §4.1 Acceptance


def accept(state: State, moment: Moment, signals: Sequence[SignalIn]) -> None:
    """§4.1: check all, put all on the grid, and let the last one of each instrument decide."""
    delivered = [seq for seq in moment.seqs if seq is not None]
    for signal in signals:
        check_signal(state, signal, len(delivered))
    first = len(state.records)
    for signal in sorted(signals, key=lambda s: (s.instrument, s.event_index_in_moment)):
        state.records.append(on_the_grid(state, signal, delivered[signal.event_index_in_moment], moment.time_ns))
        state.outcomes.append(None)
        state.reject_reasons.append(None)
    counting = {state.records[index].signal.instrument: index for index in range(first, len(state.records))}
    for index in range(first, len(state.records)):
        if counting[state.records[index].signal.instrument] == index:
            take(state, index)
        else:
            state.fired["signal_superseded_in_moment"] += 1
            state.outcomes[index] = "UNEXECUTED"


def check_signal(state: State, signal: SignalIn, events: int) -> None:
    """§4.1 step 1: what can never be right ends the run, also in a signal that does not count."""
    if signal.side not in ("BUY", "SELL", "FLAT"):
        raise ReferenceError("SIGNAL_ENUM", f"side {signal.side!r}")
    if not 0 <= signal.instrument < len(state.specs):
        raise ReferenceError("PROTO_SCOPE", f"instrument {signal.instrument}")
    if not 0 <= signal.event_index_in_moment < events:
        raise ReferenceError("PROTO_SCOPE", f"event index {signal.event_index_in_moment}")
    values = [value for value in (signal.qty, signal.price, signal.sl, signal.tp) if value is not None]
    if not all(math.isfinite(value) for value in values):
        raise ReferenceError("SIGNAL_NOT_FINITE", f"{signal}")
    if signal.side == "FLAT":
        if signal.qty is not None or signal.sl is not None or signal.tp is not None:
            raise ReferenceError("SIGNAL_RANGE", "FLAT carries no qty and no risk")
    elif signal.qty is None or signal.qty <= 0:
        raise ReferenceError("SIGNAL_RANGE", f"qty {signal.qty}")
    if any(value <= 0 for value in values):
        raise ReferenceError("SIGNAL_RANGE", f"{signal}")
    if signal.sl is not None and signal.tp is not None:
        in_order = signal.sl < signal.tp if signal.side == "BUY" else signal.sl > signal.tp
        if not in_order:
            raise ReferenceError("SIGNAL_RISK_SIDE", f"{signal.side} sl {signal.sl} tp {signal.tp}")


def on_the_grid(state: State, signal: SignalIn, seq: int, time_ns: int) -> Record:
    """§4.1 step 2 and §1; `rounded` if at least one value changed."""
    spec = state.specs[signal.instrument]

    def price(value: float | None) -> float | None:
        return None if value is None else nearest_tick(value, spec.tick)

    lots = 0 if signal.qty is None else lots_of(signal.qty, spec.lot)
    qty = None if signal.qty is None else grid_value(lots, spec.lot)
    gridded = replace(signal, qty=qty, price=price(signal.price), sl=price(signal.sl), tp=price(signal.tp))
    return Record(seq, time_ns, gridded, lots, rounded=gridded != signal)


def take(state: State, index: int) -> None:
    """§4.1 steps 3 to 6 for the signal that counts."""
    record = state.records[index]
    signal = record.signal
    book = state.books[signal.instrument]
    target = Target(signal.side, record.lots, signal.price, signal.sl, signal.tp, signal.valid_until_ns, record=index)
    if signal.adjust_only and (book.position is None or book.position.side != signal.side):
        state.fired["adjust_only_without_position"] += 1
        state.outcomes[index] = "NO_OP"
        return
    if is_same(target, book.standing):
        state.fired["no_op_equal_target"] += 1
        state.outcomes[index] = "NO_OP"
        return
    reason = rejection_of(target, book)
    if reason is not None:
        state.fired[f"rejected_{reason}"] += 1
        reject(state, signal.instrument, index, reason, record.seq, record.time_ns)
        book.standing = position_that_remains(book)
        book.queue.append(Decision(record.time_ns, None))
        return
    state.fired["adjust_only_effective" if signal.adjust_only else "effective_signal"] += 1
    book.standing = target
    book.queue.append(Decision(record.time_ns, target))


def is_same(target: Target, standing: Target) -> bool:
    """§4.1 step 4: equal in everything but the signal that stated it."""
    return replace(target, record=None) == replace(standing, record=None)


def rejection_of(target: Target, book: Book) -> str | None:
    """§4.1 step 5: the first reason that holds. Without a limit price and a mark nothing is checked but the lots."""
    if target.side == "FLAT":
        return None
    buy = target.side == "BUY"
    if target.lots == 0:
        return "QTY_BELOW_MINIMUM"
    reference = target.price
    if reference is None and book.mark is not None:
        reference = book.mark[0] if buy else book.mark[1]
    if reference is None:
        return None
    if target.sl is not None and (target.sl >= reference if buy else target.sl <= reference):
        return "STOP_LOSS_SIDE"
    if target.tp is not None and (target.tp <= reference if buy else target.tp >= reference):
        return "TAKE_PROFIT_SIDE"
    return None


def reject(state: State, instrument: int, record: int | None, reason: str, seq: int, time_ns: int) -> None:
    """Give the signal its outcome and tell the account."""
    assert record is not None
    state.outcomes[record] = "REJECTED"
    state.reject_reasons[record] = reason
    state.updates.append(Update("REJECTION", instrument, seq, time_ns, reject_reason=reason))


# ---------------------------------------------------------------------------------------------------------------------
# §4.2 to §4.4 Expiry, promotion, ends of targets


def expire(state: State, instrument: int, moment: Moment) -> None:
    """§4.2: what is older than its valid_until_ns ends before anything else of the moment."""
    book = state.books[instrument]
    time_ns = moment.time_ns

    def is_over(target: Target | None) -> bool:
        return target is not None and target.valid_until_ns is not None and target.valid_until_ns < time_ns

    def end(target: Target) -> None:
        close_outcome(state, target, "UNEXECUTED")
        if is_standing(book, target):
            book.standing = position_that_remains(book)
        state.updates.append(Update("EXPIRY", instrument, moment.first_seq, time_ns))

    if book.working is not None and is_over(book.working) and book.remainder != 0:
        state.fired["expiry_working"] += 1
        ended, book.working = book.working, None
        end(ended)
    for place, decision in enumerate(book.queue):
        if decision.target is not None and is_over(decision.target):
            state.fired["expiry_queued"] += 1
            book.queue[place] = Decision(decision.time_ns, None)
            end(decision.target)


def promote(state: State, event: Event) -> None:
    """§4.3: decisions that may meet this event leave the queue and replace the working target."""
    book = state.books[event.instrument]
    while book.queue and (event.kind == "tick" or book.queue[0].time_ns <= event.open_ns):
        decision = book.queue.pop(0)
        if book.working is not None:
            state.fired["working_target_replaced"] += book.remainder != 0
            close_outcome(state, book.working, "UNEXECUTED")
        book.working = decision.target
        if decision.target is None:
            state.fired["hold_promoted"] += 1
            continue
        if book.position is not None and book.position.side == decision.target.side:
            state.fired["bracket_replaced_at_promotion"] += 1
            give_bracket(book.position, decision.target)
        end_if_reached(state, book)
    if book.queue:
        state.fired["decision_deferred"] += 1


def give_bracket(position: Position, target: Target) -> None:
    """§4.3, §4.4: the bracket of the position becomes the target's; absent levels are removed."""
    position.sl = target.sl
    position.tp = target.tp
    position.bracket_record = target.record


def end_if_reached(state: State, book: Book) -> None:
    """§4.3: when the remainder is 0 the signal is EXECUTED."""
    if book.working is not None and book.remainder == 0:
        close_outcome(state, book.working, "EXECUTED")


def close_outcome(state: State, target: Target, outcome: str) -> None:
    """Give the target's signal an outcome, if that is still open."""
    if target.record is not None and state.outcomes[target.record] is None:
        state.outcomes[target.record] = outcome


def is_standing(book: Book, target: Target) -> bool:
    """The standing target is the one that this signal stated."""
    return target.record is not None and book.standing.record == target.record


def position_that_remains(book: Book) -> Target:
    """§4.4: the position as a standing target; FLAT if there is none."""
    if book.position is None:
        return FLAT
    return Target(book.position.side, abs(book.position.lots), sl=book.position.sl, tp=book.position.tp)


def end_by_bracket(state: State, book: Book, side: str) -> None:
    """§4.4: a stop loss or take profit closed the whole position, which had this side."""
    if book.working is not None and book.working.side in (side, "FLAT"):
        close_outcome(state, book.working, "EXECUTED" if book.working.side == "FLAT" else "UNEXECUTED")
        book.working = None
    elif book.working is not None:
        state.fired["other_side_survives_working"] += 1
    for place, decision in enumerate(book.queue):
        if decision.target is not None and decision.target.side == side:
            state.fired["queued_turned_to_hold_by_bracket"] += 1
            close_outcome(state, decision.target, "UNEXECUTED")
            book.queue[place] = Decision(decision.time_ns, None)
        elif decision.target is not None and decision.target.side != "FLAT":
            state.fired["other_side_survives_queued"] += 1
    if book.standing.side in (side, "FLAT"):
        book.standing = FLAT


def end_by_rejection(state: State, instrument: int, reason: str, spot: Spot) -> None:
    """§4.4: the increasing part was refused at the fill."""
    book = state.books[instrument]
    assert book.working is not None
    ended, book.working = book.working, None
    reject(state, instrument, ended.record, reason, spot.seq, spot.time_ns)
    if is_standing(book, ended):
        book.standing = position_that_remains(book)


# ---------------------------------------------------------------------------------------------------------------------
# §5 Settling a moment


def settle(state: State, moment: Moment) -> State:
    """§5: expiry, the opens of all instruments, inside the bar one after another, marks."""
    for instrument in range(len(state.books)):
        expire(state, instrument, moment)
    settle_opens(state, moment)
    for event, seq in moment.executions:
        state = settle_inside(state, event, seq)
    for event, _ in moment.executions:
        state.books[event.instrument].mark = quotes_of(state, event)[3]
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
        book.mark = quotes_of(state, event)[0]
        take_in(book, book.mark)
        opens.append((event.instrument, Spot(book.mark, event.open_ns, seq)))
    for line in (reduce_market, close_reached_bracket, fill_reached_limit, increase_market):
        for instrument, spot in opens:
            line(state, instrument, spot)


def reduce_market(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 a."""
    book = state.books[instrument]
    if book.working is not None and book.working.price is None:
        fill_reducing_part(state, instrument, watched(spot.point, book.remainder > 0), spot, "MARKET")


def close_reached_bracket(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 b: stop loss, else take profit; the price is the open."""
    for order in orders_of(state.books[instrument]):
        if order.kind != "LIMIT" and is_reached(order, watched(spot.point, order.buy)):
            state.fired[f"gap_{order.kind}"] += 1
            fill_order(state, instrument, order, watched(spot.point, order.buy), spot)
            return


def fill_reached_limit(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 c: the price is the better open."""
    for order in orders_of(state.books[instrument]):
        if order.kind == "LIMIT" and is_reached(order, watched(spot.point, order.buy)):
            state.fired["gap_LIMIT"] += 1
            fill_order(state, instrument, order, watched(spot.point, order.buy), spot)
            return


def increase_market(state: State, instrument: int, spot: Spot) -> None:
    """§5.1 d."""
    book = state.books[instrument]
    if book.working is not None and book.working.price is None and book.remainder != 0:
        fill_increasing_part(state, instrument, watched(spot.point, book.remainder > 0), spot, "MARKET")


def settle_inside(state: State, event: Event, seq: int) -> State:
    """§5.2 and the table of §8: walk both paths from the same state and keep the one that execution.path names."""
    up = walk(state.copy(), event, seq, "ohlc")
    down = walk(state.copy(), event, seq, "olhc")
    count = len(state.fills)
    path_dependent = fills_made(up, count) != fills_made(down, count)
    path = chosen_path(state, event, up, down)
    state.fired[f"path_{state.rules.path}"] += 1
    if not path_dependent:
        return up if path == "ohlc" else down
    state.fired[f"path_dependent_{state.rules.path}_{path}"] += 1
    state.path_dependent_bars += 1
    return walk(state, event, seq, path, path_dependent=True)


def fills_made(state: State, count: int) -> list[tuple[str, int, float, str]]:
    """§8: what two walks are compared by: side, lots, price and reason."""
    return [(fill.side, fill.lots, fill.price, fill.reason) for fill in state.fills[count:]]


def chosen_path(state: State, event: Event, up: State, down: State) -> str:
    """§8, the table."""
    rule = state.rules.path
    if rule in ("ohlc", "olhc"):
        return rule
    if rule == "adaptive":
        opened, high, low, _ = event.bid
        return "ohlc" if (high - opened) < (opened - low) else "olhc"
    value_up = value_at_close(up, event)
    value_down = value_at_close(down, event)
    if value_up == value_down:
        return "olhc"
    if rule == "pessimistic":
        return "ohlc" if value_up < value_down else "olhc"
    assert rule == "optimistic"
    return "ohlc" if value_up > value_down else "olhc"


def value_at_close(state: State, event: Event) -> float:
    """§8: cash + u of this instrument at its close."""
    close = quotes_of(state, event)[3]
    return state.cash + unrealised(state, event.instrument, marking(close, state.books[event.instrument].lots))


# ---------------------------------------------------------------------------------------------------------------------
# §8 Paths


@dataclass(frozen=True)
class Order:
    """What can fill inside a bar. below: it is reached when the watched price is <= level, else when it is >=."""

    kind: str
    level: float
    buy: bool
    below: bool


def orders_of(book: Book) -> list[Order]:
    """§8: stop loss, take profit, limit, in the order in which they win ties."""
    orders: list[Order] = []
    position = book.position
    if position is not None:
        short = position.lots < 0
        if position.sl is not None:
            orders.append(Order("STOP_LOSS", position.sl, buy=short, below=not short))
        if position.tp is not None:
            orders.append(Order("TAKE_PROFIT", position.tp, buy=short, below=short))
    if book.working is not None and book.working.price is not None and book.remainder != 0:
        buy = book.remainder > 0
        orders.append(Order("LIMIT", book.working.price, buy=buy, below=buy))
    return orders


def is_reached(order: Order, price: float) -> bool:
    """§5: a touch is enough."""
    return price <= order.level if order.below else price >= order.level


def walk(state: State, event: Event, seq: int, path: str, path_dependent: bool = False) -> State:
    """§8: lead the current point along the path and fill what it meets. Changes and returns state."""
    opened, high, low, close = quotes_of(state, event)
    points = [opened, high, low, close] if path == "ohlc" else [opened, low, high, close]
    instrument = event.instrument
    book = state.books[instrument]
    spot = Spot(points[0], event.open_ns, seq, path_dependent)
    for start, end in pairwise(points):
        s = 0.0
        while True:
            take_in(book, spot.point)
            order = next((o for o in orders_of(book) if is_reached(o, watched(spot.point, o.buy))), None)
            if order is not None:
                state.fired[f"inside_at_point_{order.kind}"] += 1
                fill_order(state, instrument, order, watched(spot.point, order.buy), spot)
                continue
            touch = next_touch(orders_of(book), spot.point, start, end, s)
            if touch is None:
                break
            s, order = touch
            spot = replace(spot, point=point_at(start, end, s, order), time_ns=event.time_ns)
            take_in(book, spot.point)
            state.fired[f"inside_touch_{order.kind}"] += 1
            fill_order(state, instrument, order, order.level, spot)
        spot = replace(spot, point=end, time_ns=event.time_ns)
    take_in(book, spot.point)
    return state


def next_touch(
    orders: Sequence[Order], point: Point, start: Point, end: Point, s_now: float
) -> tuple[float, Order] | None:
    """§8 step 2: the smallest s on this segment; ties go to the first of the orders."""
    best: tuple[float, Order] | None = None
    for order in orders:
        p0, p1 = watched(start, order.buy), watched(end, order.buy)
        if is_reached(order, watched(point, order.buy)) or not is_reached(order, p1):
            continue
        s = max((order.level - p0) / (p1 - p0), s_now)
        if best is None or s < best[0]:
            best = (s, order)
    return best


def point_at(start: Point, end: Point, s: float, order: Order) -> Point:
    """§8: both sides at parameter s, the side that the order watches exactly at its level."""
    bid = start[0] + (end[0] - start[0]) * s
    ask = start[1] + (end[1] - start[1]) * s
    return (bid, order.level) if order.buy else (order.level, ask)


def take_in(book: Book, point: Point) -> None:
    """§7: a position keeps the lowest and highest price of its marking side."""
    if book.position is not None:
        price = marking(point, book.position.lots)
        book.position.lowest = min(book.position.lowest, price)
        book.position.highest = max(book.position.highest, price)


# ---------------------------------------------------------------------------------------------------------------------
# §6 Fills


def fill_order(state: State, instrument: int, order: Order, raw: float, spot: Spot) -> None:
    """§8, last paragraph but one: a bracket closes the whole position; a limit reduces, then increases."""
    if order.kind == "LIMIT":
        fill_reducing_part(state, instrument, raw, spot, "LIMIT")
        if state.books[instrument].remainder != 0:
            fill_increasing_part(state, instrument, raw, spot, "LIMIT")
        return
    book = state.books[instrument]
    assert book.position is not None
    side = book.position.side
    slipping = "STOP" if order.kind == "STOP_LOSS" else "LIMIT"
    reduce_position(state, instrument, abs(book.lots), raw, spot, slipping, order.kind, book.position.bracket_record)
    end_by_bracket(state, book, side)


def fill_reducing_part(state: State, instrument: int, raw: float, spot: Spot, kind: str) -> None:
    """§4.3: what of the remainder leads the position towards 0, and not beyond."""
    book = state.books[instrument]
    if book.working is None or book.remainder == 0 or (book.remainder > 0) == (book.lots > 0):
        return
    lots = min(abs(book.remainder), abs(book.lots))
    if lots > 0:
        state.fired[f"reduction_{kind}_{'whole' if lots == abs(book.lots) else 'part'}"] += 1
        reduce_position(state, instrument, lots, raw, spot, kind, "SIGNAL", book.working.record)
        end_if_reached(state, book)


def fill_increasing_part(state: State, instrument: int, raw: float, spot: Spot, kind: str) -> None:
    """§6: the rest of the remainder, wholly or not at all; a refusal ends the target."""
    book = state.books[instrument]
    assert book.working is not None
    assert book.lots == 0 or (book.lots > 0) == (book.remainder > 0)
    reason = increase_position(state, instrument, book.remainder, raw, spot, kind, book.working)
    if reason is None:
        end_if_reached(state, book)
    else:
        state.fired[f"rejected_at_fill_{reason}"] += 1
        end_by_rejection(state, instrument, reason, spot)


def price_of(state: State, instrument: int, raw: float, buy: bool, kind: str) -> float:
    """§6: market and stop fills slip, limits and take profits do not; then the tick grid against the trader."""
    slip = state.rules.slippage_bps / 10000
    slipped = raw
    if kind in ("MARKET", "STOP"):
        slipped = raw * (1 + slip) if buy else raw * (1 - slip)
    return against_the_trader(slipped, state.specs[instrument].tick, buy)


def fee_of(state: State, price: float, qty: float, contract: float) -> float:
    """§6."""
    return ((price * qty) * contract) * state.rules.fees_bps / 10000


def reduce_position(
    state: State, instrument: int, lots: int, raw: float, spot: Spot, kind: str, reason: str, record: int | None
) -> None:
    """§6, reduction: cash, pools and one trade row."""
    book = state.books[instrument]
    position = book.position
    assert position is not None
    assert 0 < lots <= abs(position.lots)
    spec = state.specs[instrument]
    long = position.lots > 0
    closing = lots == abs(position.lots)
    take_in(book, spot.point)
    price = price_of(state, instrument, raw, not long, kind)
    qty, contract = grid_value(lots, spec.lot), grid_value(1, spec.contract)
    fee = fee_of(state, price, qty, contract)
    slippage = (abs(price - raw) * qty) * contract
    gross = ((price - position.entry if long else position.entry - price) * qty) * contract
    state.cash = (state.cash + gross) - fee
    held = grid_value(abs(position.lots), spec.lot)
    fee_share = position.fee_pool if closing else position.fee_pool * qty / held
    slippage_share = position.slippage_pool if closing else position.slippage_pool * qty / held
    position.fee_pool -= fee_share
    position.slippage_pool -= slippage_share
    log_fill(state, instrument, not long, lots, price, raw, fee, slippage, kind, reason, record, spot)
    mae, mfe = excursions(position, qty, contract)
    fees = fee_share + fee
    state.trades.append(
        Trade(
            trade_id=0,
            instrument=spec.symbol,
            side="LONG" if long else "SHORT",
            qty=qty,
            entry_seq=position.entry_seq,
            entry_time_ns=position.entry_time_ns,
            entry_price=position.entry,
            exit_seq=spot.seq,
            exit_time_ns=spot.time_ns,
            exit_price=price,
            exit_reason=reason,
            gross_pnl=gross,
            fees=fees,
            funding=0.0,
            swap=0.0,
            net_pnl=gross - fees,
            slippage_cost=slippage_share + slippage,
            mae=mae,
            mfe=mfe,
            bars_held=book.events - position.entry_event,
            path_dependent=position.path_dependent or spot.path_dependent,
        )
    )
    position.lots -= lots if long else -lots
    if closing:
        book.position = None


def excursions(position: Position, qty: float, contract: float) -> tuple[float, float]:
    """§7: mae <= 0 and mfe >= 0 of a quantity of the position."""
    if position.lots > 0:
        worst, best = position.lowest - position.entry, position.highest - position.entry
    else:
        worst, best = position.entry - position.highest, position.entry - position.lowest
    return min(0.0, (worst * qty) * contract), max(0.0, (best * qty) * contract)


def increase_position(
    state: State, instrument: int, lots: int, raw: float, spot: Spot, kind: str, target: Target
) -> str | None:
    """§6, increase: check, then cash, average entry, pools and bracket. lots: signed. Returns why it was rejected."""
    book = state.books[instrument]
    old = book.position
    spec = state.specs[instrument]
    buy = lots > 0
    price = price_of(state, instrument, raw, buy, kind)
    qty, contract = grid_value(abs(lots), spec.lot), grid_value(1, spec.contract)
    fee = fee_of(state, price, qty, contract)
    slippage = (abs(price - raw) * qty) * contract
    new_lots = book.lots + lots
    if old is None:
        entry = price
    else:
        held, holding = grid_value(abs(old.lots), spec.lot), grid_value(abs(new_lots), spec.lot)
        entry = (old.entry * held + price * qty) / holding
    if state.rules.cash_account and not buy:
        return "SHORT_NOT_ALLOWED"
    if margin_is_short(state, instrument, new_lots, entry, price, fee):
        return "INSUFFICIENT_MARGIN"
    state.cash -= fee
    mark = marking(spot.point, lots)
    if old is None:
        state.fired[f"opened_{kind}"] += 1
        old = book.position = Position(
            position_id=state.next_position_id,
            lots=0,
            entry=entry,
            sl=None,
            tp=None,
            bracket_record=None,
            fee_pool=0.0,
            slippage_pool=0.0,
            lowest=mark,
            highest=mark,
            entry_seq=spot.seq,
            entry_time_ns=spot.time_ns,
            entry_event=book.events,
            path_dependent=False,
        )
        state.next_position_id += 1
    else:
        state.fired[f"enlarged_{kind}"] += 1
    old.lots, old.entry = new_lots, entry
    old.fee_pool += fee
    old.slippage_pool += slippage
    old.path_dependent = old.path_dependent or spot.path_dependent
    take_in(book, spot.point)
    give_bracket(old, target)
    log_fill(state, instrument, buy, abs(lots), price, raw, fee, slippage, kind, "ENTRY", target.record, spot)
    return None


def margin_is_short(state: State, instrument: int, lots: int, entry: float, price: float, fee: float) -> bool:
    """§6: with this position as it would be at its fill price, the others at their last marks."""
    profit = margin = 0.0
    for other, book in enumerate(state.books):
        if other == instrument:
            held_lots, held_entry, mark = lots, entry, price
        elif book.position is not None:
            assert book.mark is not None
            held_lots, held_entry, mark = book.lots, book.position.entry, marking(book.mark, book.lots)
        else:
            continue
        spec = state.specs[other]
        qty, contract = grid_value(abs(held_lots), spec.lot), grid_value(1, spec.contract)
        profit += ((mark - held_entry if held_lots > 0 else held_entry - mark) * qty) * contract
        margin += (qty * mark) * contract
    return margin / state.rules.leverage > (state.cash - fee) + profit


def log_fill(
    state: State,
    instrument: int,
    buy: bool,
    lots: int,
    price: float,
    raw: float,
    fee: float,
    slippage: float,
    kind: str,
    reason: str,
    record: int | None,
    spot: Spot,
) -> None:
    """§6: the row of a fill, and its account update."""
    spec = state.specs[instrument]
    qty, contract = grid_value(lots, spec.lot), grid_value(1, spec.contract)
    taker = kind != "LIMIT"
    bid, ask = spot.point
    fill = Fill(
        seq=spot.seq,
        time_ns=spot.time_ns,
        instrument=spec.symbol,
        side="BUY" if buy else "SELL",
        qty=qty,
        price=price,
        reference_price=raw,
        fee=fee,
        slippage=slippage,
        liquidity="TAKER" if taker else "MAKER",
        reason=reason,
        signal_seq=None if record is None else state.records[record].seq,
        path_dependent=spot.path_dependent,
        lots=lots,
        spread_cost=(((ask - bid) / 2) * qty) * contract if taker else 0.0,
    )
    state.fired[f"fill_{reason}"] += 1
    state.fills.append(fill)
    state.updates.append(
        Update("FILL", instrument, spot.seq, spot.time_ns, fill.side, qty, price, fee, fill_reason=reason)
    )


# ---------------------------------------------------------------------------------------------------------------------
# §7 Marks, equity, the end


def unrealised(state: State, instrument: int, mark: float) -> float:
    """§6: u of the position at this mark; 0 without a position."""
    position = state.books[instrument].position
    if position is None:
        return 0.0
    spec = state.specs[instrument]
    qty, contract = grid_value(abs(position.lots), spec.lot), grid_value(1, spec.contract)
    return ((mark - position.entry if position.lots > 0 else position.entry - mark) * qty) * contract


def equity_row(state: State, time_ns: int) -> EquityRow:
    """§7: sums over open positions at the last marks, in instrument order. The drawdown is filled in at the end."""
    profit = gross = net = 0.0
    for instrument, book in enumerate(state.books):
        if book.position is None:
            continue
        assert book.mark is not None
        spec = state.specs[instrument]
        mark = marking(book.mark, book.lots)
        qty, contract = grid_value(abs(book.lots), spec.lot), grid_value(1, spec.contract)
        profit += unrealised(state, instrument, mark)
        exposure = (qty * mark) * contract
        gross += exposure
        net += exposure if book.lots > 0 else -exposure
    return EquityRow(time_ns, state.cash + profit, state.cash, profit, gross / state.rules.leverage, gross, net, 0.0)


def with_drawdowns(curve: Sequence[EquityRow]) -> list[EquityRow]:
    """§7: 1 − equity ÷ running peak, clipped to [0, 1]; the first row is the first peak."""
    rows: list[EquityRow] = []
    peak = curve[0].equity
    for row in curve:
        peak = max(peak, row.equity)
        rows.append(replace(row, drawdown=min(1.0, max(0.0, 1 - row.equity / peak))))
    return rows


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


def assert_ledger(state: State) -> None:
    """§7: initial cash + Σ gross − Σ fees of all fills = cash."""
    gross = sum(trade.gross_pnl for trade in state.trades)
    fees = sum(fill.fee for fill in state.fills)
    turnover = sum(abs(trade.gross_pnl) for trade in state.trades) + fees
    assert abs(state.rules.cash + gross - fees - state.cash) <= 1e-9 * max(abs(state.rules.cash), turnover)


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
        rules_fired=dict(state.fired),
    )
