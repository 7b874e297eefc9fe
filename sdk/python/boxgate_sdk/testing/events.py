"""Making events by hand."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.frames import FRAME_NS

START_NS = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z, where made events begin unless told otherwise."""


def bar(
    close: float,
    *,
    open: float | None = None,
    high: float | None = None,
    low: float | None = None,
    volume: float = 1.0,
    ask_spread: float | None = None,
    open_ns: int = START_NS,
    symbol: str = "EURUSD",
    frame: str = "M1",
) -> Bar:
    """Return a bar that opens at open_ns; it opens at its close and has no shadows unless told otherwise.

    ask_spread: distance of the ask columns, None for a bar without. The run numbers the events.
    """
    first = close if open is None else open
    top = max(first, close) if high is None else high
    bottom = min(first, close) if low is None else low
    spread = nan if ask_spread is None else ask_spread
    return Bar(
        symbol=symbol,
        frame=frame,
        series=0,
        time_ns=open_ns + FRAME_NS[frame],
        open_ns=open_ns,
        open=first,
        high=top,
        low=bottom,
        close=close,
        volume=volume,
        ask_open=first + spread,
        ask_high=top + spread,
        ask_low=bottom + spread,
        ask_close=close + spread,
        seq=0,
        warmup=False,
    )


def bars(closes: Sequence[float], *, symbol: str = "EURUSD", frame: str = "M1", start_ns: int = START_NS) -> list[Bar]:
    """Return one bar per close, one after the other; each opens at the close before it."""
    opens = [closes[0], *closes[:-1]] if len(closes) else []
    return [
        bar(close, open=first, open_ns=start_ns + i * FRAME_NS[frame], symbol=symbol, frame=frame)
        for i, (first, close) in enumerate(zip(opens, closes, strict=True))
    ]


def tick(
    bid: float,
    ask: float | None = None,
    *,
    last: float = nan,
    volume: float = nan,
    time_ns: int = START_NS,
    symbol: str = "EURUSD",
) -> Tick:
    """Return a tick; the ask is the bid unless given."""
    return Tick(symbol, "tick", 0, time_ns, bid, bid if ask is None else ask, last, volume, seq=0, warmup=False)
