"""Rows of a series as the kernel's quotes, written in one pass over the mapped columns."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
from numba import njit

from boxgate_engine.kernel.records import Floats, Integers, Records

_Prices: TypeAlias = tuple[Floats, Floats, Floats, Floats]
"""Open, high, low, close."""

HOUR_NS: Final = 3_600_000_000_000
NONE: Final = np.zeros(0)
"""Stands for a column that there is not."""
EVERY: Final = np.ones(0, np.bool_)
"""Stands for a mask that holds for every row."""


def fill_quotes(
    events: Records,
    times_ns: Integers,
    *,
    first_seq: int,
    instrument: int,
    frame_ns: int,
    opens_ns: Integers,
    executes: bool | np.ndarray,
    bids: _Prices,
    asks: _Prices | None,
    spread: float | Floats,
    tick_size: Fraction,
    volume: Floats | None,
    closed: np.ndarray | None,
) -> None:
    """Fill QUOTE records, and beside them the availability of each; all arrays of shape (n,).

    frame_ns: 0 for ticks. executes: for all, or by row. bids, asks: open, high, low and close; for ticks one column
    four times. asks None: bid + spread, one for all or one for each hour of the week. closed: mask of rows outside
    market hours.
    """
    num, den = tick_size.as_integer_ratio()
    one = isinstance(executes, bool)
    _fill(
        events,
        times_ns,
        first_seq,
        instrument,
        frame_ns,
        _read_only(opens_ns),
        executes is True,
        _read_only(EVERY if one else np.asarray(executes)),
        _four(bids),
        asks is not None,
        _four(asks or bids),
        _read_only(np.atleast_1d(np.asarray(spread, np.float64))),
        float(num),
        float(den),
        _read_only(NONE if volume is None else volume),
        _read_only(EVERY if closed is None else closed),
    )


def _four(columns: _Prices) -> _Prices:
    return _read_only(columns[0]), _read_only(columns[1]), _read_only(columns[2]), _read_only(columns[3])


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written: one type for mapped columns and for others, so one compiled function."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True)
def _fill(
    events: Records,
    times_ns: Integers,
    first_seq: int,
    instrument: int,
    frame_ns: int,
    opens_ns: Integers,
    executes: bool,
    executing: np.ndarray,
    bids: _Prices,
    quoted: bool,
    asks: _Prices,
    spread: Floats,
    num: float,
    den: float,
    volume: Floats,
    closed: np.ndarray,
) -> None:
    tick = 1 if frame_ns == 0 else 0
    width = spread[0]
    for row in range(events.shape[0]):
        event = events[row]
        opened = opens_ns[row]
        event.open_ns = opened
        event.time_ns = opened + frame_ns
        times_ns[row] = opened + frame_ns
        event.seq = first_seq + row
        event.instrument = instrument
        event.tick = tick
        event.execution = int(executing[row]) if executing.shape[0] else int(executes)
        event.volume = volume[row] if volume.shape[0] else 0.0
        event.closed = int(closed[row]) if closed.shape[0] else 0
        event.bid_open = bids[0][row]
        event.bid_high = bids[1][row]
        event.bid_low = bids[2][row]
        event.bid_close = bids[3][row]
        if quoted:
            event.ask_open = asks[0][row]
            event.ask_high = asks[1][row]
            event.ask_low = asks[2][row]
            event.ask_close = asks[3][row]
            continue
        if spread.shape[0] > 1:
            width = spread[(opened // HOUR_NS + 72) % 168]  # 1970-01-01 was a Thursday
        event.ask_open = _ask_over(bids[0][row], width, num, den)
        event.ask_high = _ask_over(bids[1][row], width, num, den)
        event.ask_low = _ask_over(bids[2][row], width, num, den)
        event.ask_close = _ask_over(bids[3][row], width, num, den)


@njit(cache=True, nogil=True)
def _ask_over(bid: float, spread: float, num: float, den: float) -> float:
    """Return bid + spread, or the grid price that the sum misses by no more than rounding.

    Two decimals rarely add to the double of their sum; an ask beside the grid would not be touched by an equal limit.
    """
    if spread == 0.0:
        return bid
    total = bid + spread
    nearest = np.rint(total * den / num) * num / den
    return nearest if abs(total - nearest) <= total * 2.0**-40 else total
