"""Short words for hand-computed cases: bars of one minute on a grid of whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loop import run_with_signals
from terms import Event, Fill, Result, Rules, SignalIn, Spec

MINUTE = 60
"""Length of a bar; any unit does, the rules only compare times."""


def bar(
    place: int,
    opened: float,
    high: float,
    low: float,
    closed: float,
    *,
    minutes: int = 1,
    instrument: int = 0,
    spread: float | None = None,
    execution: bool = True,
    delivered: bool = True,
) -> Event:
    """Return the bar that opens `place` minutes after the start. spread: width of its ask columns, if it has any."""
    bid = (opened, high, low, closed)
    ask = None if spread is None else (opened + spread, high + spread, low + spread, closed + spread)
    open_ns, frame_ns = place * MINUTE, minutes * MINUTE
    return Event("bar", instrument, open_ns + frame_ns, open_ns, bid, ask, execution, delivered, frame_ns)


def flat_bar(place: int, price: float, **options: Any) -> Event:
    """Return a bar that stands at one price."""
    return bar(place, price, price, price, price, **options)


def tick(time_ns: int, bid: float, ask: float, *, instrument: int = 0, delivered: bool = True) -> Event:
    """Return a tick."""
    return Event("tick", instrument, time_ns, time_ns, (bid,) * 4, (ask,) * 4, True, delivered)


def go(events: list[Event], signals: Mapping[int, SignalIn | list[SignalIn]], specs: int = 1, **rules: Any) -> Result:
    """Run events with signals by seq. Without a spread rule the ask is the bid; specs: instruments A, B, ... of 1."""
    lists = {seq: answer if isinstance(answer, list) else [answer] for seq, answer in signals.items()}
    rules.setdefault("spread", ("none",))
    return run_with_signals([Spec(symbol) for symbol in "ABC"[:specs]], Rules(**rules), events, 0, lists)


def buy(qty: float | None = 1.0, **fields: Any) -> SignalIn:
    """Return the signal BUY for instrument 0."""
    return SignalIn(**{"instrument": 0, "side": "BUY", "qty": qty, **fields})


def sell(qty: float | None = 1.0, **fields: Any) -> SignalIn:
    """Return the signal SELL for instrument 0."""
    return SignalIn(**{"instrument": 0, "side": "SELL", "qty": qty, **fields})


def flat(**fields: Any) -> SignalIn:
    """Return the signal FLAT for instrument 0."""
    return SignalIn(**{"instrument": 0, "side": "FLAT", **fields})


def short_form(fill: Fill) -> tuple[str, int, float, str]:
    """Return side, lots, price and reason of a fill."""
    return (fill.side, fill.lots, fill.price, fill.reason)


def fills(result: Result) -> list[tuple[str, int, float, str]]:
    """Return side, lots, price and reason of each fill."""
    return [short_form(fill) for fill in result.fills]


def outcomes(result: Result) -> list[str]:
    """Return the outcome of each signal, in the order of the table."""
    return [signal.outcome for signal in result.signals]
