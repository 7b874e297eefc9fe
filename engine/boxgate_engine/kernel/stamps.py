"""Funding and swap: what a position pays or receives at given times (docs/spec/execution.md, sections 11 and 12)."""

from __future__ import annotations

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.grid import grid_value
from boxgate_engine.kernel.records import (
    SWAP_MONEY_PER_LOT,
    SWAP_POINTS,
    UPDATE_FUNDING,
    UPDATE_SWAP,
    Record,
    Records,
    Sim,
)
from boxgate_engine.kernel.updates import write_update


@compiled
def pay_funding(sim: Sim, i: int, until_ns: int, bid: float, ask: float, seq: int) -> None:
    """Use up instrument i's funding stamps until this time, on the position held now, at this bid and ask."""
    book = sim.book[i]
    account = sim.account[0]
    while book.next_funding < sim.specs[i].funding_end and sim.funding[book.next_funding].time_ns <= until_ns:
        stamp = sim.funding[book.next_funding]
        book.next_funding += 1
        if book.lots != 0:
            amount = _notional(book, sim.specs[i], bid, ask) * stamp.value
            flow = -amount if book.lots > 0 else amount
            book.funding_pool += flow
            account.funding_sum += flow
            account.funding_stamps += 1
            _move(sim, UPDATE_FUNDING, i, seq, stamp.time_ns, flow)


@compiled
def pay_swap(sim: Sim, i: int, until_ns: int, bid: float, ask: float, seq: int) -> None:
    """Use up instrument i's swap stamps until this time, on the position held now, at this bid and ask."""
    book = sim.book[i]
    while book.next_swap < sim.specs[i].swap_end and sim.swap[book.next_swap].time_ns <= until_ns:
        stamp = sim.swap[book.next_swap]
        book.next_swap += 1
        if book.lots != 0:
            flow = _night(book, sim.specs[i], bid, ask) * stamp.value
            book.swap_pool += flow
            sim.account[0].swap_sum += flow
            _move(sim, UPDATE_SWAP, i, seq, stamp.time_ns, flow)


@compiled
def is_due(book: Record, spec: Record, funding: Records, swap: Records, until_ns: int) -> bool:
    """Return whether the instrument has a stamp until this time."""
    if book.next_funding < spec.funding_end and funding[book.next_funding].time_ns <= until_ns:
        return True
    return bool(book.next_swap < spec.swap_end and swap[book.next_swap].time_ns <= until_ns)


@compiled
def _night(book: Record, spec: Record, bid: float, ask: float) -> float:
    value = spec.swap_long if book.lots > 0 else spec.swap_short
    quantity = grid_value(abs(book.lots), spec.lot_num, spec.lot_den)
    if spec.swap_model == SWAP_POINTS:
        return ((value * grid_value(1, spec.tick_num, spec.tick_den)) * quantity) * book.unit
    if spec.swap_model == SWAP_MONEY_PER_LOT:
        return value * (quantity / spec.swap_lot_qty)
    return (_notional(book, spec, bid, ask) * value) / 360.0


@compiled
def _notional(book: Record, spec: Record, bid: float, ask: float) -> float:
    return (grid_value(abs(book.lots), spec.lot_num, spec.lot_den) * ((bid + ask) / 2.0)) * book.unit


@compiled
def _move(sim: Sim, kind: int, i: int, seq: int, time_ns: int, flow: float) -> None:
    account = sim.account[0]
    account.cash = account.cash + flow
    write_update(sim, kind, i, seq, time_ns, 0)
    sim.updates[account.updates - 1].amount = flow
