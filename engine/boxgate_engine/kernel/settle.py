"""Settle one moment completely (docs/spec/execution.md, section 5)."""

from __future__ import annotations

from numba import njit

from boxgate_engine.kernel.fills import exposure, touch, unrealised
from boxgate_engine.kernel.records import Quotes, Record, Records, Sim
from boxgate_engine.kernel.targets import cut_queue, expire, promote
from boxgate_engine.kernel.walk import (
    any_level_in_range,
    exit_by_bracket,
    increase_towards_target,
    reached,
    reduce_towards_target,
    settle_inside,
    touch_range,
)


@njit(cache=True)
def settle_moment(sim: Sim, q: Quotes, m: int) -> None:
    """Settle moment m of the quotes; afterwards every mark of its instruments is its close."""
    first = q.moment_start[m]
    end = q.moment_start[m + 1]
    expire(sim, q.events[first].time_ns, q.events[first].seq)

    instruments = sim.book.shape[0]
    for i in range(instruments):
        sim.executing[i] = -1
    for e in range(first, end):
        if q.events[e].execution:
            sim.executing[q.events[e].instrument] = e
            sim.book[q.events[e].instrument].events += 1
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _open(sim, q.events[sim.executing[i]])
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _market_reduction(sim, q.events[sim.executing[i]])
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _gap_bracket(sim, q.events[sim.executing[i]])
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _gap_limit(sim, q.events[sim.executing[i]])
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _market_increase(sim, q.events[sim.executing[i]])
    for i in range(instruments):
        if sim.executing[i] >= 0:
            settle_inside(sim, q.events[sim.executing[i]], i)
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _close(sim.book[i], q.events[sim.executing[i]])


@njit(cache=True)
def settle_quietly(book: Records, events: Records, first: int, end: int) -> bool:
    """Settle a moment in which nothing fills, expires or is promoted: only marks and excursions move.

    first, end: its events. Returns False, without any effect, if more may happen; `settle_moment` gives the same result
    and costs ten times as much. Most moments are quiet.
    """
    for i in range(book.shape[0]):
        one = book[i]
        if one.queue_head >= 0 or (one.work_live and one.work_lots != one.lots):
            return False
    for e in range(first, end):
        quote = events[e]
        if quote.execution and any_level_in_range(book[quote.instrument], quote):
            return False
    for e in range(first, end):
        quote = events[e]
        if quote.execution:
            one = book[quote.instrument]
            one.events += 1
            touch(one, quote.bid_open, quote.ask_open)
            touch_range(one, quote)
            _close(one, quote)
    return True


@njit(cache=True)
def write_equity(book: Records, specs: Records, account: Record, row: Record, time_ns: int) -> None:
    """Write one row of the equity curve at the last marks."""
    profit = 0.0
    gross = 0.0
    net = 0.0
    margin = 0.0
    for i in range(book.shape[0]):
        one = book[i]
        if one.lots != 0:
            profit += unrealised(one, specs[i])
            notional = exposure(one, specs[i])
            gross += notional
            margin += notional / specs[i].leverage
            net += notional if one.lots > 0 else -notional
    row.time_ns = time_ns
    row.equity = account.cash + profit
    row.cash = account.cash
    row.unrealised_pnl = profit
    row.margin_used = margin
    row.exposure_gross = gross
    row.exposure_net = net


@njit(cache=True)
def _open(sim: Sim, quote: Record) -> None:
    book = sim.book[quote.instrument]
    if book.queue_head >= 0:
        promote(sim, quote.instrument, quote.open_ns, quote.tick != 0)
    book.mark_bid = quote.bid_open
    book.mark_ask = quote.ask_open
    book.volume = quote.volume
    touch(book, quote.bid_open, quote.ask_open)


@njit(cache=True)
def _market_reduction(sim: Sim, quote: Record) -> None:
    book = sim.book[quote.instrument]
    if book.work_live and book.work_price == 0.0 and book.work_lots != book.lots:
        raw = quote.bid_open if book.lots > 0 else quote.ask_open
        reduce_towards_target(
            sim, quote.instrument, raw, quote.bid_open, quote.ask_open, True, quote.open_ns, quote.seq
        )


@njit(cache=True)
def _gap_bracket(sim: Sim, quote: Record) -> None:
    book = sim.book[quote.instrument]
    if book.lots == 0:
        return
    long = book.lots > 0
    raw = quote.bid_open if long else quote.ask_open
    stop = book.sl > 0.0 and reached(book.sl, long, raw)
    if stop or (book.tp > 0.0 and reached(book.tp, not long, raw)):
        exit_by_bracket(sim, quote.instrument, stop, raw, quote.bid_open, quote.ask_open, quote.open_ns, quote.seq)
        cut_queue(sim, quote.instrument)


@njit(cache=True)
def _gap_limit(sim: Sim, quote: Record) -> None:
    book = sim.book[quote.instrument]
    if not book.work_live or book.work_price == 0.0 or book.work_lots == book.lots:
        return
    i = quote.instrument
    buys = book.work_lots > book.lots
    raw = quote.ask_open if buys else quote.bid_open
    if reached(book.work_price, buys, raw):
        reduce_towards_target(sim, i, raw, quote.bid_open, quote.ask_open, False, quote.open_ns, quote.seq)
        increase_towards_target(sim, i, raw, quote.bid_open, quote.ask_open, False, quote.open_ns, quote.seq)


@njit(cache=True)
def _market_increase(sim: Sim, quote: Record) -> None:
    book = sim.book[quote.instrument]
    if book.work_live and book.work_price == 0.0 and book.work_lots != book.lots:
        raw = quote.ask_open if book.work_lots > book.lots else quote.bid_open
        increase_towards_target(
            sim, quote.instrument, raw, quote.bid_open, quote.ask_open, True, quote.open_ns, quote.seq
        )


@njit(cache=True)
def _close(book: Record, quote: Record) -> None:
    book.mark_bid = quote.bid_close
    book.mark_ask = quote.ask_close
    book.volume = quote.volume
