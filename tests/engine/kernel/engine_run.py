"""Runs the engine on the reference loop's terms, through its own tape, signal intake and simulation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from fractions import Fraction
from typing import Any

import numpy as np
from account import State
from rates import legs_of

from boxgate_engine.frames import FRAME_NS
from boxgate_engine.instruments import Instrument
from boxgate_engine.results import Results, finish
from boxgate_engine.rules import AccountRules, Latency, MarginRules, RateLegs, SwapTerms, TradingCosts
from boxgate_engine.signal_intake import BUY, FLAT, RAW_SIGNAL, SELL, take_signals
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Source, Tape

Advance = Callable[[Simulation, Any, Any, int, int], None]

_FRAMES = {duration: name for name, duration in FRAME_NS.items()} | {0: "tick"}
_SIDES = {"BUY": BUY, "SELL": SELL, "FLAT": FLAT}


def run_engine(
    specs: Sequence[Any],
    rules: Any,
    events: Sequence[Any],
    start_ns: int,
    signals: Mapping[int, Sequence[Any]],
    *,
    chunk_events: int = 64,
) -> Results:
    """Return the engine's results. signals: by the number of the event they answer, as `run_with_signals` does."""
    return finish(simulate(specs, rules, events, start_ns, signals, chunk_events=chunk_events))


def simulate(
    specs: Sequence[Any],
    rules: Any,
    events: Sequence[Any],
    start_ns: int,
    signals: Mapping[int, Sequence[Any]],
    *,
    chunk_events: int = 64,
    advance: Advance | None = None,
) -> Simulation:
    """Return the simulation when the tape has ended; `advance` settles a chunk's moments in place of its own."""
    instruments = [instrument_of(spec) for spec in specs]
    simulation = Simulation(
        instruments,
        rules_of(specs, rules),
        start_ns=start_ns,
    )
    tape = Tape(sources(instruments, rules, [event for event in events if event.time_ns > start_ns]))
    start = 0
    last_seq = -1
    while start < tape.merged_events:
        chunk = tape.chunk(start, chunk_events)
        quotes = chunk.quotes
        close_markets(quotes, rules)
        index = chunk.quote_index
        moment = np.searchsorted(quotes.moment_start, index, side="right")
        raw = _raw_signals(chunk, signals)
        taken, rounded, _ = take_signals(
            raw, simulation.specs, instruments, seq=quotes.events["seq"][index], moment=moment
        )
        simulation.rounded += rounded
        taken["event"] = index[taken["event"]]
        (advance or type(simulation).advance)(simulation, quotes, taken, 0, chunk.moments)
        last_seq = chunk.first_seq + int(chunk.event_offset[-1]) - 1
        start += len(quotes.events)
    if rules.close_at_end and last_seq >= 0:
        simulation.close_all(last_seq)
    return simulation


def close_markets(quotes: Any, rules: Any) -> None:
    """Mark the events that open outside the hours of the rules."""
    for quote in quotes.events:
        quote["closed"] = not is_open(rules, int(quote["instrument"]), int(quote["open_ns"]))


def is_open(rules: Any, instrument: int, time_ns: int) -> bool:
    """Return whether the market of an instrument is open; without hours it always is."""
    return not rules.hours or any(opens <= time_ns < closes for opens, closes in rules.hours[instrument])


def rules_of(specs: Sequence[Any], rules: Any) -> AccountRules:
    """Return the reference's rules in the engine's terms."""
    return AccountRules(
        cash=rules.cash,
        leverage=list(rules.leverages) or rules.leverage,
        cash_account=rules.cash_account,
        costs=trading_costs(rules, len(specs)),
        path=rules.path,
        volume_limit=rules.volume_limit,
        latency=Latency(fixed_ns=rules.latency_ns, jitter_ns=rules.jitter_ns, seed=rules.seed),
        **account_terms(specs, rules),
    )


def account_terms(specs: Sequence[Any], rules: Any) -> dict[str, Any]:
    """Return margin, rates, funding and swap of the reference's rules as the engine takes them."""
    state = State(specs=specs, rules=rules, cash=rules.cash, books=[])
    return {
        "margin": MarginRules(
            mode=rules.margin_mode,
            maintenance=rules.maintenance,
            call=rules.margin_call,
            fee_bps=rules.liquidation_fee_bps,
        ),
        "rates": [_rate_legs(legs_of(state, i)) for i in range(len(specs))],
        "funding": [_stamps(series) for series in rules.funding],
        "swap": [terms and SwapTerms(**vars(terms)) for terms in rules.swap_terms],
        "swap_stamps": [
            _stamps(series if terms else ()) for series, terms in zip(rules.swap_stamps, rules.swap_terms, strict=True)
        ],
    }


def _rate_legs(legs: Any) -> RateLegs | None:
    if not legs:
        return None
    (first, direct), *rest = legs
    second, second_direct = rest[0] if rest else (None, True)
    return RateLegs(first=first, first_inverse=not direct, second=second, second_inverse=not second_direct)


def _stamps(series: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([time_ns for time_ns, _ in series], np.int64), np.array([number for _, number in series])


def trading_costs(rules: Any, instruments: int) -> list[TradingCosts]:
    """Return the costs of the reference's rules as the engine takes them, one for each instrument."""
    costs = []
    for i in range(instruments):
        fees = rules.fees[i] if rules.fees else None
        slippage = rules.slippage[i] if rules.slippage else None
        costs.append(
            TradingCosts(
                maker_bps=fees.maker_bps if fees else rules.fees_bps,
                taker_bps=fees.taker_bps if fees else rules.fees_bps,
                per_lot=fees.per_lot if fees else 0.0,
                lot_qty=fees.lot_qty if fees else 1.0,
                per_fill=fees.per_fill if fees else 0.0,
                minimum=fees.minimum if fees and fees.minimum > 0 else -math.inf,
                slippage_model=slippage.model if slippage else "bps",
                slippage=slippage.value if slippage else rules.slippage_bps,
            )
        )
    return costs


def sources(instruments: Sequence[Instrument], rules: Any, events: Sequence[Any]) -> list[Source]:
    """Return the events as the sources of a tape: one per instrument, frame and role."""
    groups: dict[tuple[int, int, bool, bool], list[Any]] = defaultdict(list)
    for event in events:
        groups[event.instrument, event.frame_ns, event.execution, event.delivered].append(event)
    found: list[Source] = []
    shown = 0
    for (instrument, frame_ns, execution, delivered), group in sorted(groups.items()):
        columns = _columns(group, frame_ns)
        found.append(
            Source(
                instrument=instrument,
                frame=_FRAMES[frame_ns],
                columns=columns,
                rows=slice(0, len(group)),
                executes=execution,
                spread=_spread(rules, instruments[instrument]),
                tick_size=instruments[instrument].tick_size,
                delivered=shown if delivered else -1,
            )
        )
        shown += delivered
    return found


def compare(reference: Any, results: Results) -> None:
    """Assert that both made the same signals, fills, trades, equity, counts and open positions, bit for bit."""
    tables = results.tables
    expected = {name: count for name, count in vars(reference.counts).items() if name in results.counts}
    counts = {name: results.counts[name] for name in expected}
    assert rows_of(tables.signals) == [astuple(row) for row in reference.signals]
    assert rows_of(tables.fills) == [astuple(row)[:13] for row in reference.fills]
    assert rows_of(tables.trades) == [astuple(row) for row in reference.trades]
    assert rows_of(tables.equity) == [astuple(row) for row in reference.equity]
    assert counts == expected
    assert [tuple(position.values()) for position in results.open_positions] == [
        astuple(position) for position in reference.open_positions
    ]


def rows_of(table: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a table as tuples, times as integers."""
    columns = []
    for name in table.column_names:
        column = table[name]
        if name == "time":
            column = column.cast("int64")
        columns.append(column.to_pylist())
    return list(zip(*columns, strict=True))


def _columns(group: Sequence[Any], frame_ns: int) -> dict[str, np.ndarray]:
    if frame_ns == 0:
        return {
            "time_ns": np.array([event.time_ns for event in group]),
            "bid": np.array([event.bid[0] for event in group]),
            "ask": np.array([event.ask[0] if event.ask else np.nan for event in group]),
            "volume": volumes(group),
        }
    columns = {"open_ns": np.array([event.open_ns for event in group]), "volume": volumes(group)}
    for k, point in enumerate(("open", "high", "low", "close")):
        columns[point] = np.array([event.bid[k] for event in group])
        if all(event.ask is not None for event in group):
            columns[f"ask_{point}"] = np.array([event.ask[k] for event in group])
    return columns


def volumes(group: Sequence[Any]) -> np.ndarray:
    """Return the volumes of events; 1 where a tape without volumes has none."""
    return np.array([1.0 if event.volume is None else event.volume for event in group])


def _spread(rules: Any, instrument: Instrument) -> float | np.ndarray | None:
    kind = rules.spread[0]
    if kind == "data":
        return None
    if kind == "none":
        return 0.0
    if kind == "price":
        return float(rules.spread[1])
    tick = instrument.tick_size
    if kind == "hours":
        return np.array(rules.spread[1]) * tick.numerator / tick.denominator
    return float(rules.spread[1] * tick.numerator / tick.denominator)


def instrument_of(spec: Any) -> Instrument:
    return Instrument(
        symbol=spec.symbol,
        asset_class="forex",
        quote_currency="USD",
        tick_size=Fraction(*spec.tick),
        lot_size=Fraction(*spec.lot),
        contract_size=Fraction(*spec.contract),
    )


def _raw_signals(chunk: Any, signals: Mapping[int, Sequence[Any]]) -> np.ndarray:
    rows = []
    for m in range(chunk.moments):
        if not chunk.quotes.delivered[m]:
            continue
        events = range(int(chunk.event_offset[m]), int(chunk.event_offset[m + 1]))
        for event in events:
            rows += [(event, signal) for signal in signals.get(chunk.first_seq + event, ())]
    raw = np.zeros(len(rows), RAW_SIGNAL)
    for record, (event, signal) in zip(raw, rows, strict=True):
        record["event"] = event
        record["instrument"] = signal.instrument
        record["side"] = _SIDES[signal.side]
        record["adjust_only"] = signal.adjust_only
        for name in ("qty", "price", "sl", "tp", "trail"):
            value = getattr(signal, name)
            record[f"has_{name}"] = value is not None
            record[name] = value if value is not None else 0.0
        record["has_until"] = signal.valid_until_ns is not None
        record["valid_until_ns"] = signal.valid_until_ns or 0
    return raw
