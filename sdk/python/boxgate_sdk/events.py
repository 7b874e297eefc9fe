"""What a strategy is told: a closed bar, or a tick. Both are plain tuples with names."""

from __future__ import annotations

from typing import ClassVar, NamedTuple


class _BarFields(NamedTuple):
    symbol: str
    frame: str
    series: int
    time_ns: int
    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    ask_open: float
    ask_high: float
    ask_low: float
    ask_close: float
    seq: int
    warmup: bool


class Bar(_BarFields):
    """A bar that has closed.

    series: its index in ctx.series, handy as the key of state. time_ns: when it became available, nanoseconds since
    1970-01-01 UTC. open_ns: when it opened. Prices in quote currency, on the side that ctx.series[series].price_basis
    says; ask_* are NaN where the series has no ask. seq: number on the tape, negative in warm-up.
    warmup: True before the tape: signals are discarded.
    """

    __slots__ = ()
    is_tick: ClassVar[bool] = False


class _TickFields(NamedTuple):
    symbol: str
    frame: str
    series: int
    time_ns: int
    bid: float
    ask: float
    last: float
    volume: float
    seq: int
    warmup: bool


class Tick(_TickFields):
    """A change of the quote. last and volume are NaN where there was no trade; the rest is as in Bar."""

    __slots__ = ()
    is_tick: ClassVar[bool] = True
