"""Settle a range of moments and apply the signals that answer them; look ahead for the next change of the account."""

from __future__ import annotations

from typing import Final

import numpy as np

from boxgate_engine.kernel.compilation import compiled, inlined
from boxgate_engine.kernel.fills import exposure, reduce_position, unrealised
from boxgate_engine.kernel.intents import accept_intent
from boxgate_engine.kernel.places import is_live
from boxgate_engine.kernel.records import END, OPEN, UNEXECUTED, Integers, Marks, Quotes, Record, Records, Sim
from boxgate_engine.kernel.settle import (
    is_active,
    is_quiet,
    is_quiet_account,
    mark_quietly,
    settle,
    settle_account,
    settle_opens,
    settle_quietly,
    stays_quiet,
    write_equity,
)
from boxgate_engine.kernel.targets import accept
from boxgate_engine.kernel.walk import settle_inside

ADVANCE: Final = 0
"""Settle moments and take what answers them."""
PLAN: Final = 1
"""Settle moments of a copy of the state until one changes the account, and mark them."""
MEET_NOW: Final = 2
"""Take intents and let the moment that is settled meet them."""


@compiled
def step(
    sim: Sim,
    q: Quotes,
    incoming: Records,
    intents: Records,
    first: int,
    end: int,
    settled: int,
    marks: Marks,
    purpose: int,
) -> int:
    """Do what the purpose says with moments [first, end). One function, so that the rules are compiled once.

    ADVANCE: settle the moments and apply after each the signals that answer it, or the intents. incoming: signals
    (SIGNAL_ROW) by moment, instrument, event and position in the answer; `event` indexes the quotes. intents:
    INTENT_ROW likewise; one of the two is empty. settled: number of leading moments that are settled already and only
    take their signals. The outputs must have room: FILLS_PER_INSTRUMENT_MAX per book and moment, and every incoming
    signal.

    PLAN: return the end of the range of moments that a window may hold: behind the last delivered moment whose
    settlement, that of undelivered moments before it included, changes nothing. Fills the marks of its events.

    MEET_NOW: apply the intents to moment first, which is settled: on a tick they meet it, on bars they wait as always.
    """
    if purpose == MEET_NOW:
        for k in range(intents.shape[0]):
            _take_intent(sim, q, intents[k])
        _meet_now(sim, q, first)
        return end
    # Held outside the loop: reaching into the state costs more than settling a quiet moment.
    book = sim.book
    specs = sim.specs
    account = sim.account[0]
    curve_ns = sim.curve_ns
    curve = sim.curve
    events = q.events
    moment_start = q.moment_start
    plans = purpose == PLAN
    together = not plans and not is_active(sim)
    version = account.version
    quiet = False
    p = 0
    taken = 0
    last = first
    m = first
    while m < end:
        if m >= first + settled:
            if together:
                # The next moment that takes a signal is settled like all others, and is the last of the range.
                reach = end if p == incoming.shape[0] else _moment_of(moment_start, incoming[p].event) + 1
                m = settle_quietly(book, specs, account, curve_ns, curve, q, m, reach)
                quiet = m == reach
                m -= quiet
            if not together or not quiet:
                settle(sim, q, m)
                if q.delivered[m] and not plans:
                    curve_ns[account.equity_rows] = events[moment_start[m]].time_ns
                    write_equity(book, specs, account, curve, account.equity_rows)
                    account.equity_rows += 1
        if plans:
            if account.version != version:
                return last
            if q.delivered[m]:
                last = m + 1
                write_marks(sim, q, m, marks)
        else:
            stop = moment_start[m + 1]
            while p < incoming.shape[0] and incoming[p].event < stop:
                p = _take(sim, q, incoming, p, stop)
            while taken < intents.shape[0] and intents[taken].event < stop:
                _take_intent(sim, q, intents[taken])
                taken += 1
        m += 1
    return last


@compiled
def plan_quietly(sim: Sim, copy: Sim, q: Quotes, first: int, end: int, marks: Marks) -> int:
    """Do as PLAN with moments [first, end) of a session of targets if all of them are quiet, else return -1.

    Moment first - 1, which is settled, is marked in any case. copy: a state whose book and account become copies, and
    of which nothing else changes.
    """
    for i in range(sim.book.shape[0]):
        copy.book[i] = sim.book[i]
    copy.account[0] = sim.account[0]
    write_marks(copy, q, first - 1, marks)
    if first < end and sim.rules[0].orders:
        return -1
    active = is_active(copy)
    last = first
    for m in range(first, end):
        start = q.moment_start[m]
        stop = q.moment_start[m + 1]
        if not is_quiet(copy.book, copy.specs, q.events, start, stop):
            return -1
        if active and not is_quiet_account(copy, q.events, start, stop):
            return -1
        mark_quietly(copy.book, copy.specs, q.events, start, stop)
        if active and not stays_quiet(copy):
            return -1
        if q.delivered[m]:
            last = m + 1
            write_marks(copy, q, m, marks)
    return last


@compiled
def _moment_of(moment_start: Integers, event: int) -> int:
    """Return the moment of an event."""
    return int(np.searchsorted(moment_start, event, side="right")) - 1


@inlined
def _meet_now(sim: Sim, q: Quotes, m: int) -> None:
    start = q.moment_start[m]
    quote = q.events[start]
    if not quote.tick or not quote.execution or quote.closed:
        return
    for i in range(sim.book.shape[0]):
        sim.executing[i] = start if sim.book[i].instrument == quote.instrument and is_live(sim, i) else -1
    settle_opens(sim, q)
    for i in range(sim.book.shape[0]):
        if sim.executing[i] >= 0:
            settle_inside(sim, quote, i)
    settle_account(sim, quote.time_ns, quote.seq)
    if q.delivered[m]:
        write_equity(sim.book, sim.specs, sim.account[0], sim.curve, sim.account[0].equity_rows - 1)


@compiled
def write_marks(sim: Sim, q: Quotes, m: int, marks: Marks) -> None:
    """Write the marks of moment m at each of its events."""
    total = 0.0
    margin = 0.0
    for i in range(sim.book.shape[0]):
        value = unrealised(sim.book[i], sim.specs[i])
        total += value
        margin += exposure(sim.book[i], sim.specs[i]) / sim.specs[i].leverage
        for e in range(q.moment_start[m], q.moment_start[m + 1]):
            marks.profit[i, e] = value
            if sim.book[i].trail > 0.0:
                marks.level[i, e] = _shown(sim.book[i].trail_level)
    for k in range(marks.trailing.shape[0]):
        for e in range(q.moment_start[m], q.moment_start[m + 1]):
            marks.order_level[k, e] = _shown(sim.orders[marks.trailing[k] - 1].level)
    value = sim.account[0].cash + total
    for e in range(q.moment_start[m], q.moment_start[m + 1]):
        marks.equity[e] = value
        marks.free_margin[e] = value - margin


@compiled
def _shown(level: float) -> float:
    """Return where a trailing stop stands, NaN while that is nowhere."""
    return level if level > 0.0 else np.nan


@compiled
def close_all(sim: Sim, seq: int) -> None:
    """Close every position at its last mark, at the time of the last row of the equity curve, and rewrite that row."""
    last = sim.account[0].equity_rows - 1
    time_ns = sim.curve_ns[last]
    for i in range(sim.book.shape[0]):
        book = sim.book[i]
        if book.lots != 0:
            raw = book.mark_bid if book.lots > 0 else book.mark_ask
            reduce_position(sim, i, abs(book.lots), raw, book.mark_bid, book.mark_ask, True, END, -1, time_ns, seq)
    write_equity(sim.book, sim.specs, sim.account[0], sim.curve, last)


@compiled
def _take_intent(sim: Sim, q: Quotes, incoming: Record) -> None:
    """Append an intent to the table and accept it."""
    account = sim.account[0]
    row = account.intents
    sim.intents[row] = incoming
    account.intents += 1
    intent = sim.intents[row]
    intent.seq = q.events[incoming.event].seq
    intent.time_ns = q.events[incoming.event].time_ns
    accept_intent(sim, row)


@compiled
def _take(sim: Sim, q: Quotes, incoming: Records, p: int, moment_end: int) -> int:
    """Append signal p to the table, accept it if it is its instrument's last of the moment, return p + 1."""
    account = sim.account[0]
    row = account.signals
    sim.signals[row] = incoming[p]
    account.signals += 1
    signal = sim.signals[row]
    signal.seq = q.events[incoming[p].event].seq
    signal.time_ns = q.events[incoming[p].event].time_ns
    signal.outcome = OPEN
    signal.next = -1
    following = p + 1
    if (
        following < incoming.shape[0]
        and incoming[following].event < moment_end
        and incoming[following].instrument == signal.instrument
    ):
        signal.outcome = UNEXECUTED
    else:
        accept(sim, row)
    return following
