"""Runs sessions of orders in the engine, on the reference loop's terms."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from engine_run import close_markets, instrument_of, is_open, rules_of, sources

from boxgate_engine.intent_intake import RAW_INTENT, OrderNames, RawIntents, take_intents, utc_day_end
from boxgate_engine.kernel import intent_records as words
from boxgate_engine.kernel import records
from boxgate_engine.kernel.records import NO_EXPIRY
from boxgate_engine.results import Results, finish
from boxgate_engine.signal_intake import BUY, SELL
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Tape

KINDS = {name: getattr(words, name) for name in ("SUBMIT", "REPLACE", "CANCEL", "PROTECT")}
TYPES = {name: getattr(words, name) for name in ("MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP")}
TIFS = {name: getattr(words, name) for name in ("GTC", "DAY", "GTD", "IOC", "FOK")}
OUTCOMES = {
    words.FILLED: "FILLED",
    words.CANCELLED: "CANCELLED",
    words.EXPIRED: "EXPIRED",
    words.WORKING: "WORKING",
    words.DONE: "DONE",
    records.REJECTED: "REJECTED",
    records.UNEXECUTED: "UNEXECUTED",
}
CANCELS = {
    words.CANCEL_INTENT: "INTENT",
    words.CANCEL_REDUCE_ONLY: "REDUCE_ONLY",
    words.CANCEL_OCO: "OCO",
    words.CANCEL_IOC: "IOC",
    words.CANCEL_FOK: "FOK",
}
REJECTS = {
    records.INSUFFICIENT_MARGIN: "INSUFFICIENT_MARGIN",
    records.QTY_BELOW_MINIMUM: "QTY_BELOW_MINIMUM",
    records.STOP_LOSS_SIDE: "STOP_LOSS_SIDE",
    records.TAKE_PROFIT_SIDE: "TAKE_PROFIT_SIDE",
    words.MARKET_CLOSED: "MARKET_CLOSED",
    records.SHORT_NOT_ALLOWED: "SHORT_NOT_ALLOWED",
    records.RATE_UNKNOWN: "RATE_UNKNOWN",
    words.STOP_PRICE_SIDE: "STOP_PRICE_SIDE",
    words.POST_ONLY: "POST_ONLY",
    words.TOO_MANY_ORDERS: "TOO_MANY_ORDERS",
    words.ORDER_NOT_WORKING: "ORDER_NOT_WORKING",
    words.NO_POSITION: "NO_POSITION",
    words.TOO_MANY_POSITIONS: "TOO_MANY_POSITIONS",
}
UPDATES = {
    records.UPDATE_FILL: "FILL",
    records.UPDATE_REJECTION: "REJECTION",
    records.UPDATE_EXPIRY: "EXPIRY",
    records.UPDATE_FUNDING: "FUNDING",
    records.UPDATE_LIQUIDATION: "LIQUIDATION",
    records.UPDATE_SWAP: "SWAP",
    records.UPDATE_MARGIN_CALL: "MARGIN_CALL",
    words.UPDATE_CANCELLATION: "CANCELLATION",
}

Rounds = Mapping[int, Sequence[Sequence[Any]]]
Advance = Callable[[Simulation, Any, Any, int, int], None]


def run_orders(
    case: Any, *, chunk_events: int = 64, advance: Advance | None = None, hedging: bool = False
) -> tuple[Simulation, Results, OrderNames]:
    """Run a case of the reference loop's generator; `advance` settles a chunk's moments in place of the engine's own.

    A chunk in which no answer goes on is settled as one window, another one moment by moment.
    """
    rules = case.rules
    instruments = [instrument_of(spec) for spec in case.specs]
    simulation = Simulation(
        instruments,
        rules_of(case.specs, rules),
        start_ns=case.start_ns,
        orders=True,
        hedging=hedging,
    )
    tape = Tape(sources(instruments, rules, [event for event in case.events if event.time_ns > case.start_ns]))
    names = OrderNames()
    start = 0
    last_seq = -1
    while start < tape.merged_events:
        chunk = tape.chunk(start, chunk_events)
        close_markets(chunk.quotes, rules)
        settle = advance or type(simulation).advance
        if any(len(rounds) > 1 for rounds in _rounds_of(chunk, case.intents, 0, chunk.moments).values()):
            for m in range(chunk.moments):
                _settle_moment(simulation, chunk, m, case, instruments, names, settle)
        else:
            taken = _taken(simulation, chunk, 0, chunk.moments, 0, case, instruments, names)
            settle(simulation, chunk.quotes, taken, 0, chunk.moments)
        last_seq = chunk.first_seq + int(chunk.event_offset[-1]) - 1
        start += len(chunk.quotes.events)
    if rules.close_at_end and last_seq >= 0:
        simulation.close_all(last_seq)
    return simulation, finish(simulation), names


def rows_of_orders(simulation: Simulation) -> list[tuple[Any, ...]]:
    """Return the intents as (number, seq, time, kind, valid_until, outcome, reason, filled), in table order."""
    intents = simulation.sim.intents[: int(simulation.sim.account["intents"][0])]
    rows = intents[np.lexsort((np.arange(len(intents)), intents["instrument"], intents["seq"]))]
    found = []
    for row in rows:
        outcome = OUTCOMES[int(row["outcome"])]
        reason = int(row["reason"])
        until = int(row["valid_until_ns"])
        found.append(
            (
                int(row["order"]),
                int(row["seq"]),
                int(row["time_ns"]),
                {number: name for name, number in KINDS.items()}[int(row["kind"])],
                None if until == NO_EXPIRY else until,
                outcome,
                {"CANCELLED": CANCELS, "REJECTED": REJECTS}.get(outcome, {}).get(reason),
                int(row["filled"]),
            )
        )
    return found


def rows_of_updates(simulation: Simulation, names: OrderNames) -> list[tuple[Any, ...]]:
    """Return the account updates as (kind, instrument, seq, time, reason, client id, position)."""
    found = []
    for row in simulation.sim.updates[: int(simulation.sim.account["updates"][0])]:
        kind = UPDATES[int(row["kind"])]
        reason = {"CANCELLATION": CANCELS, "REJECTION": REJECTS}.get(kind, {}).get(int(row["reason"]))
        client_id = names.client_id(int(row["order"])) or None
        position = names.position(int(row["name"]))
        found.append((kind, int(row["instrument"]), int(row["seq"]), int(row["time_ns"]), reason, client_id, position))
    return found


def _settle_moment(
    simulation: Simulation, chunk: Any, m: int, case: Any, instruments: Any, names: OrderNames, settle: Advance
) -> None:
    rounds = max((len(one) for one in _rounds_of(chunk, case.intents, m, m + 1).values()), default=1)
    if rounds == 1:
        settle(simulation, chunk.quotes, _taken(simulation, chunk, m, m + 1, 0, case, instruments, names), m, m + 1)
        return
    settle(simulation, chunk.quotes, np.zeros(0, words.INTENT_ROW), m, m + 1)
    for number in range(rounds):
        taken = _taken(simulation, chunk, m, m + 1, number, case, instruments, names)
        if number < rounds - 1:
            simulation.apply_now(chunk.quotes, taken, m)
        else:
            simulation.advance(chunk.quotes, taken, m, m + 1, settled=1)


def _rounds_of(chunk: Any, intents: Rounds, first: int, end: int) -> dict[int, Sequence[Sequence[Any]]]:
    """Return the rounds of each delivered event of moments [first, end), by its index in the chunk's window."""
    found = {}
    for m in range(first, end):
        if chunk.quotes.delivered[m]:
            for event in range(int(chunk.event_offset[m]), int(chunk.event_offset[m + 1])):
                if chunk.first_seq + event in intents:
                    found[event] = intents[chunk.first_seq + event]
    return found


def _taken(
    simulation: Simulation,
    chunk: Any,
    first: int,
    end: int,
    number: int,
    case: Any,
    instruments: Any,
    names: OrderNames,
) -> Any:
    """Return the INTENT_ROW records of one round of the moments [first, end)."""
    stated = [
        (event, intent)
        for event, rounds in sorted(_rounds_of(chunk, case.intents, first, end).items())
        if number < len(rounds)
        for intent in rounds[number]
    ]
    rows = np.zeros(len(stated), RAW_INTENT)
    for row, (event, intent) in zip(rows, stated, strict=True):
        row["event"] = event
        row["kind"] = KINDS[intent.kind]
        row["instrument"] = intent.instrument
        row["side"] = {"BUY": BUY, "SELL": SELL}.get(intent.side, 0)
        row["type"] = TYPES.get(intent.type, 0)
        submits = intent.kind in ("SUBMIT", "REPLACE")
        row["tif"] = TIFS[intent.tif] if submits else 0
        row["reduce_only"], row["post_only"] = intent.reduce_only, intent.post_only
        for name in ("qty", "price", "stop_price", "trail", "sl", "tp", "risk_trail", "valid_until_ns"):
            value = getattr(intent, name)
            row[f"has_{name}"] = value is not None
            row[name] = 0 if value is None else value
    index = chunk.quote_index
    quotes = chunk.quotes
    taken, rounded, _ = take_intents(
        RawIntents(
            rows,
            [intent.client_id for _, intent in stated],
            [intent.oco for _, intent in stated],
            [intent.position for _, intent in stated],
        ),
        names,
        simulation.specs,
        instruments,
        seq=quotes.events["seq"][index],
        moment=np.searchsorted(quotes.moment_start, index, side="right"),
        time_ns=quotes.events["time_ns"][index],
        day_end=_day_end(case.rules),
    )
    simulation.rounded += rounded
    taken["event"] = index[taken["event"]]
    if case.rules.hours:
        for row in taken:
            shut = not is_open(case.rules, int(row["instrument"]), int(quotes.events["time_ns"][row["event"]]))
            if shut and row["kind"] == words.SUBMIT and row["tif"] not in (words.GTC, words.GTD):
                row["reason"] = words.MARKET_CLOSED
    return taken


def _day_end(rules: Any) -> Callable[[int, int], int]:
    if not rules.day_ends:
        return utc_day_end

    def end(instrument: int, time_ns: int) -> int:
        ends = rules.day_ends[instrument]
        place = bisect_right(ends, time_ns)
        return int(ends[place]) if place < len(ends) else NO_EXPIRY

    return end
