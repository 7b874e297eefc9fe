"""Funding and swap stamps: what a position pays or receives at times that the tape does not have."""

from __future__ import annotations

from collections.abc import Mapping

from account import Book, Point, Position, State
from grids import grid_value
from rates import unit_value
from tape import Moment, quotes_of
from terms import Flow, Update


def pay_in_the_gap(state: State, moment: Moment) -> None:
    """§5.0: stamps up to the open, at the last mark before it; funding of all, then swap of all."""
    for kind in ("FUNDING", "SWAP"):
        pay(
            state,
            kind,
            {
                event.instrument: (event.open_ns, state.markets[event.instrument].mark, seq)
                for event, seq in moment.executions
            },
        )


def pay_in_the_bar(state: State, moment: Moment) -> None:
    """§5.3: stamps up to the close, at the close."""
    for kind in ("FUNDING", "SWAP"):
        pay(
            state,
            kind,
            {event.instrument: (event.time_ns, quotes_of(state, event)[3], seq) for event, seq in moment.executions},
        )


def pay(state: State, kind: str, executing: Mapping[int, tuple[int, Point | None, int]]) -> None:
    """Use up all stamps of these instruments until their time, on the positions held now, one after the other (§20).

    executing: until when, mark and seq by instrument.
    """
    for book in state.books:
        if book.instrument in executing:
            until_ns, mark, seq = executing[book.instrument]
            pay_position(state, kind, book, until_ns, mark, seq)
    for instrument, (until_ns, _, _) in executing.items():
        stamps = stamps_of(state, kind, instrument)
        state.stamps_used[kind, instrument] = sum(time_ns <= until_ns for time_ns, _ in stamps)


def pay_position(state: State, kind: str, book: Book, until_ns: int, mark: Point | None, seq: int) -> None:
    """All stamps that are not used up yet, on one position."""
    instrument, position = book.instrument, book.position
    used = state.stamps_used.get((kind, instrument), 0)
    for time_ns, number in stamps_of(state, kind, instrument)[used:]:
        if time_ns > until_ns:
            break
        if position is None:
            state.fired[f"{kind}_without_position"] += 1
            continue
        assert mark is not None
        mid = (mark[0] + mark[1]) / 2
        if kind == "FUNDING":
            flow = funding_flow(state, instrument, position, mid, number)
            position.funding_pool += flow
        else:
            flow = night_flow(state, instrument, position, mid) * number
            position.swap_pool += flow
        state.cash += flow
        state.flows.append(Flow(kind, instrument, seq, time_ns, flow))
        state.updates.append(Update(kind, instrument, seq, time_ns, amount=flow, position=book.name))
        state.fired[kind] += 1
        state.fired[f"{kind}_named"] += book.place > 0


def stamps_of(state: State, kind: str, instrument: int) -> list[tuple[int, float]]:
    """Return the stamps of an instrument after the start of the run."""
    by_instrument = state.rules.funding if kind == "FUNDING" else state.rules.swap_stamps
    if not by_instrument or (kind == "SWAP" and state.rules.swap_terms[instrument] is None):
        return []
    return [(time_ns, number) for time_ns, number in by_instrument[instrument] if time_ns > state.start_ns]


def funding_flow(state: State, instrument: int, position: Position, mid: float, rate: float) -> float:
    """Return ((Q × mid) × V) × r, paid by a long, received by a short."""
    qty = grid_value(abs(position.lots), state.specs[instrument].lot)
    amount = ((qty * mid) * unit_value(state, instrument)) * rate
    return -amount if position.lots > 0 else amount


def night_flow(state: State, instrument: int, position: Position, mid: float) -> float:
    """Return what one night gives the position; positive is received."""
    terms = state.rules.swap_terms[instrument]
    assert terms is not None
    spec = state.specs[instrument]
    qty, value = grid_value(abs(position.lots), spec.lot), unit_value(state, instrument)
    number = terms.long if position.lots > 0 else terms.short
    state.fired[f"SWAP_{terms.model}"] += 1
    if terms.model == "points":
        return ((number * grid_value(1, spec.tick)) * qty) * value
    if terms.model == "money_per_lot":
        return number * (qty / terms.lot_qty)
    assert terms.model == "annual_rate"
    return (((qty * mid) * value) * number) / 360
