"""§4: how signals become targets (4.1), wait and expire (4.2), take over (4.3) and end (4.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from account import FLAT, Book, Decision, Point, Record, Spot, State, Target
from grids import grid_value, lots_of, nearest_tick
from hours import arrival, is_open
from tape import Moment
from terms import Event, ReferenceError, SignalIn, Update
from trails import give_bracket


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
            take(state, index, moment)
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
    values = [value for value in (signal.qty, signal.price, signal.sl, signal.tp, signal.trail) if value is not None]
    if not all(math.isfinite(value) for value in values):
        raise ReferenceError("SIGNAL_NOT_FINITE", f"{signal}")
    if signal.side == "FLAT":
        if signal.qty or any(value is not None for value in (signal.sl, signal.tp, signal.trail)):
            raise ReferenceError("SIGNAL_RANGE", "FLAT carries no qty and no risk")
    elif signal.qty is None or signal.qty <= 0:
        raise ReferenceError("SIGNAL_RANGE", f"qty {signal.qty}")
    priced = [value for value in (signal.price, signal.sl, signal.tp, signal.trail) if value is not None]
    if any(value <= 0 for value in priced):
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
    gridded = replace(
        signal,
        qty=qty,
        price=price(signal.price),
        sl=price(signal.sl),
        tp=price(signal.tp),
        trail=price(signal.trail),
    )
    return Record(seq, time_ns, gridded, lots, rounded=gridded != signal)


def take(state: State, index: int, moment: Moment) -> None:
    """§4.1 steps 3 to 6 for the signal that counts."""
    record = state.records[index]
    signal = record.signal
    book = state.books[signal.instrument]
    target = Target(
        signal.side,
        record.lots,
        signal.price,
        signal.sl,
        signal.tp,
        signal.valid_until_ns,
        record=index,
        trail=signal.trail,
    )
    if signal.adjust_only and (book.position is None or book.position.side != signal.side):
        state.fired["adjust_only_without_position"] += 1
        state.outcomes[index] = "NO_OP"
        return
    if is_same(target, book.standing):
        state.fired["no_op_equal_target"] += 1
        state.outcomes[index] = "NO_OP"
        return
    time_ns = arrival(state, signal.instrument, moment)
    state.fired["target_decided_while_closed"] += not is_open(state, signal.instrument, moment.time_ns)
    reason = rejection_of(target, state.markets[signal.instrument].mark)
    if reason is not None:
        state.fired[f"rejected_{reason}"] += 1
        reject(state, signal.instrument, index, reason, record.seq, record.time_ns)
        book.standing = position_that_remains(book)
        book.queue.append(Decision(time_ns, None))
        return
    state.fired["adjust_only_effective" if signal.adjust_only else "effective_signal"] += 1
    book.standing = target
    book.queue.append(Decision(time_ns, target))


def is_same(target: Target, standing: Target) -> bool:
    """§4.1 step 4: equal in everything but the signal that stated it."""
    return replace(target, record=None) == replace(standing, record=None)


def rejection_of(target: Target, mark: Point | None) -> str | None:
    """§4.1 step 5: the first reason that holds. Without a limit price and a mark nothing is checked but the lots."""
    if target.side == "FLAT":
        return None
    buy = target.side == "BUY"
    if target.lots == 0:
        return "QTY_BELOW_MINIMUM"
    reference = target.price
    if reference is None and mark is not None:
        reference = mark[0] if buy else mark[1]
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


def promote(state: State, event: Event, point: Point) -> None:
    """§4.3: decisions that may meet this event leave the queue and replace the working target.

    A tick has its own time as open: without latency no decision on the tape before it is later. point: the open.
    """
    book = state.books[event.instrument]
    while book.queue and book.queue[0].time_ns <= event.open_ns:
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
            give_bracket(state, event.instrument, decision.target.bracket, point)
            follow(book)
        end_if_reached(state, book)
    if book.queue:
        state.fired["decision_deferred"] += 1


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
    position = book.position
    return Target(position.side, abs(position.lots), sl=position.sl, tp=position.tp, trail=position.trail)


def follow(book: Book) -> None:
    """§4.4: a standing target that no signal states follows the position and its bracket."""
    if book.standing.record is None:
        book.standing = position_that_remains(book)


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
