"""Targets: acceptance, expiry, promotion and how they end (docs/spec/execution.md, section 4)."""

from __future__ import annotations

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.records import (
    EXECUTED,
    HOLD,
    NO_EXPIRY,
    NO_OP,
    OPEN,
    QTY_BELOW_MINIMUM,
    REJECTED,
    STOP_LOSS_SIDE,
    TAKE_PROFIT_SIDE,
    TARGET,
    UNEXECUTED,
    UPDATE_EXPIRY,
    UPDATE_REJECTION,
    Record,
    Sim,
)
from boxgate_engine.kernel.trails import give_bracket
from boxgate_engine.kernel.updates import write_update


@compiled
def accept(sim: Sim, row: int) -> None:
    """Take the signal in `row` of the signal table as its instrument's decision at the time of its moment."""
    signal = sim.signals[row]
    i = signal.instrument
    book = sim.book[i]
    if signal.adjust_only and (signal.side == 0 or _sign(book.lots) != signal.side):
        signal.outcome = NO_OP
    elif _equals_standing(book, signal):
        signal.outcome = NO_OP
    if signal.outcome == NO_OP:
        sim.account[0].no_ops += 1
        return
    reason = _rejection(book, signal)
    if reason != 0:
        signal.kind = HOLD
        signal.outcome = REJECTED
        signal.reason = reason
        stand_on_position(book)
        write_update(sim, UPDATE_REJECTION, i, signal.seq, signal.time_ns, reason)
    else:
        signal.kind = TARGET
        book.stand_side = signal.side
        book.stand_lots = signal.lots
        book.stand_price = signal.price
        book.stand_sl = signal.sl
        book.stand_tp = signal.tp
        book.stand_trail = signal.trail
        book.stand_until_ns = signal.valid_until_ns
        book.stand_signal = row
    signal.due_ns = arrival(book, signal)
    signal.next = -1
    if book.queue_head < 0:
        book.queue_head = row
    else:
        sim.signals[book.queue_tail].next = row
    book.queue_tail = row
    sim.account[0].version += 1


@compiled
def arrival(book: Record, decision: Record) -> int:
    """Return when a decision arrives: after its latency, never before the one that was made before it."""
    due_ns = max(decision.time_ns + decision.delay_ns, book.decided_ns)
    book.decided_ns = due_ns
    return int(due_ns)


@compiled
def expire(sim: Sim, time_ns: int, seq: int) -> None:
    """End every target whose valid_until_ns lies before `time_ns`."""
    for i in range(sim.book.shape[0]):
        book = sim.book[i]
        if book.work_live == 0 and book.queue_head < 0:
            continue
        if book.work_live and book.work_until_ns < time_ns and book.work_lots != book.lots:
            book.work_live = 0
            sim.signals[book.work_signal].outcome = UNEXECUTED
            if book.stand_signal == book.work_signal:
                stand_on_position(book)
            write_update(sim, UPDATE_EXPIRY, i, seq, time_ns, 0)
        row = book.queue_head
        while row >= 0:
            signal = sim.signals[row]
            if signal.kind == TARGET and signal.valid_until_ns < time_ns:
                signal.kind = HOLD
                signal.outcome = UNEXECUTED
                if book.stand_signal == row:
                    stand_on_position(book)
                write_update(sim, UPDATE_EXPIRY, i, seq, time_ns, 0)
            row = signal.next


@compiled
def promote(sim: Sim, i: int, open_ns: int, bid: float, ask: float) -> None:
    """Let the decisions that may meet an event replace instrument i's working target. bid, ask: its open."""
    book = sim.book[i]
    while book.queue_head >= 0 and sim.signals[book.queue_head].due_ns <= open_ns:
        row = book.queue_head
        signal = sim.signals[row]
        book.queue_head = signal.next
        if book.work_live and sim.signals[book.work_signal].outcome == OPEN:
            sim.signals[book.work_signal].outcome = UNEXECUTED
        book.work_live = signal.kind
        book.work_signal = row
        if signal.kind == TARGET:
            book.work_side = signal.side
            book.work_lots = signal.side * signal.lots
            book.work_price = signal.price
            book.work_sl = signal.sl
            book.work_tp = signal.tp
            book.work_trail = signal.trail
            book.work_until_ns = signal.valid_until_ns
            if signal.side != 0 and _sign(book.lots) == signal.side:
                give_bracket(book, sim.specs[i], signal.sl, signal.tp, signal.trail, row, bid, ask)
                follow_position(book)
            if book.work_lots == book.lots:
                signal.outcome = EXECUTED
        sim.account[0].version += 1
    if book.queue_head < 0:
        book.queue_tail = -1


@compiled
def remainder(book: Record) -> int:
    """Return the signed lots that the working target still asks for."""
    return book.work_lots - book.lots if book.work_live else 0


@compiled
def settle_target(sim: Sim, i: int) -> None:
    """Note that the working target is reached, if it is."""
    book = sim.book[i]
    if book.work_live and book.work_lots == book.lots and sim.signals[book.work_signal].outcome == OPEN:
        sim.signals[book.work_signal].outcome = EXECUTED


@compiled
def end_by_rejection(sim: Sim, i: int, reason: int, time_ns: int, seq: int) -> None:
    """The increasing part of the working target was refused at its fill."""
    book = sim.book[i]
    book.work_live = 0
    sim.signals[book.work_signal].outcome = REJECTED
    sim.signals[book.work_signal].reason = reason
    if book.stand_signal == book.work_signal:
        stand_on_position(book)
    write_update(sim, UPDATE_REJECTION, i, seq, time_ns, reason)


@compiled
def end_by_bracket(sim: Sim, i: int, side: int) -> None:
    """Stop loss, take profit or liquidation closed the whole position, which was of `side`.

    Queued decisions are only marked here: a walk may be undone, so `cut_queue` ends them when it is final.
    """
    book = sim.book[i]
    if book.work_live and (book.work_side == side or book.work_side == 0):
        book.work_live = 0
        signal = sim.signals[book.work_signal]
        if signal.outcome == OPEN:
            signal.outcome = EXECUTED if book.work_side == 0 else UNEXECUTED
    if book.stand_side == side or book.stand_side == 0:
        stand_on_position(book)
    if sim.rules[0].orders:
        return
    if side > 0:
        book.cut_long = 1
    else:
        book.cut_short = 1


@compiled
def cut_queue(sim: Sim, i: int) -> None:
    """End instrument i's queued decisions of a side whose position a bracket has closed."""
    book = sim.book[i]
    if not (book.cut_long or book.cut_short):
        return
    row = book.queue_head
    while row >= 0:
        signal = sim.signals[row]
        if signal.kind == TARGET and ((signal.side > 0 and book.cut_long) or (signal.side < 0 and book.cut_short)):
            signal.kind = HOLD
            signal.outcome = UNEXECUTED
        row = signal.next
    book.cut_long = 0
    book.cut_short = 0


@compiled
def stand_on_position(book: Record) -> None:
    """Make the standing target the position that remains."""
    book.stand_side = _sign(book.lots)
    book.stand_lots = abs(book.lots)
    book.stand_price = 0.0
    book.stand_sl = book.sl
    book.stand_tp = book.tp
    book.stand_trail = book.trail
    book.stand_until_ns = NO_EXPIRY
    book.stand_signal = -1


@compiled
def follow_position(book: Record) -> None:
    """Keep a standing target that is the position that remains at what the position has become."""
    if book.stand_signal < 0:
        stand_on_position(book)


@compiled
def _equals_standing(book: Record, signal: Record) -> bool:
    return (
        signal.side == book.stand_side
        and signal.lots == book.stand_lots
        and signal.price == book.stand_price
        and signal.sl == book.stand_sl
        and signal.tp == book.stand_tp
        and signal.trail == book.stand_trail
        and signal.valid_until_ns == book.stand_until_ns
    )


@compiled
def _rejection(book: Record, signal: Record) -> int:
    if signal.side == 0:
        return 0
    if signal.lots == 0:
        return QTY_BELOW_MINIMUM
    reference = signal.price
    if reference == 0.0:
        reference = book.mark_bid if signal.side > 0 else book.mark_ask
    if reference == 0.0:
        return 0
    if signal.sl > 0.0 and (signal.sl - reference) * signal.side >= 0.0:
        return STOP_LOSS_SIDE
    if signal.tp > 0.0 and (signal.tp - reference) * signal.side <= 0.0:
        return TAKE_PROFIT_SIDE
    return 0


@compiled
def _sign(lots: int) -> int:
    if lots > 0:
        return 1
    return -1 if lots < 0 else 0
