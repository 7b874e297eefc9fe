"""From what a strategy answered to what the kernel takes: checked, on the grid, in order.

The answer is rebuilt from checked values; nothing else of it goes further. Faults that can never be right end the run;
faults relative to the market are left to the kernel, which rejects and reports them.
Source: docs/spec/strategy-protocol.md and docs/spec/execution.md, sections 1 and 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import njit

from boxgate_engine.errors import SignalError
from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.grid import grid_value, lots_within, nearest_price
from boxgate_engine.kernel.records import NO_EXPIRY, SIGNAL_ROW, SPEC, Integers, Record, Records

BUY: Final = 1
SELL: Final = 2
FLAT: Final = 3
"""Sides as the contract numbers them."""

STEPS_MAX: Final = 2**53
"""Grid values n·num ÷ den have n·num below it: beyond, they are no longer exact and neighbours are one double."""

_PRICES: Final = ("price", "sl", "tp", "trail")
"""Fields on the tick grid; trail is a distance and obeys the same rules."""

RAW_SIGNAL: Final = np.dtype(
    [
        ("event", "i8"),
        ("instrument", "i8"),
        ("side", "i8"),
        ("has_qty", "?"),
        ("has_price", "?"),
        ("has_sl", "?"),
        ("has_tp", "?"),
        ("has_trail", "?"),
        ("has_until", "?"),
        ("adjust_only", "?"),
        ("qty", "f8"),
        ("price", "f8"),
        ("sl", "f8"),
        ("tp", "f8"),
        ("trail", "f8"),
        ("valid_until_ns", "i8"),
    ]
)
"""One signal as the sidecar sent it: public fields only, presence beside the values. event: index in its window."""


def take_signals(
    raw: Records,
    specs: Records,
    instruments: Sequence[Instrument],
    *,
    seq: Sequence[int] | np.ndarray,
    moment: np.ndarray,
) -> tuple[Records, int, np.ndarray]:
    """Return (signals for the kernel, number of signals that were rounded, order).

    raw: RAW_SIGNAL records. seq, moment: shape (events,), number and moment of each event of the window.
    The signals are SIGNAL_ROW records in the order of docs/spec/execution.md 4.1; `event` stays the index in the
    window.
    order: shape (n,), index in `raw` of each. Raises SignalError for the first fault by event, then position.
    """
    if len(raw) == 0:
        return np.zeros(0, SIGNAL_ROW), 0, np.zeros(0, np.int64)
    _refuse_faults(raw, specs, instruments, seq)
    if len(raw) == 1:
        order = np.zeros(1, np.int64)
    else:  # stable: equal ones keep their order
        order = np.lexsort((raw["event"], raw["instrument"], moment[raw["event"]]))
    signals = np.zeros(len(raw), SIGNAL_ROW)
    rounded, vanished = put_on_grid(raw, order, specs, signals)
    if vanished >= 0:
        row = raw[order[vanished]]
        raise _fault("a price is less than half a tick", row, seq, instruments, "prices > 0", code="SIGNAL_RANGE")
    return signals, int(rounded), order


def kernel_specs(instruments: Sequence[Instrument]) -> Records:
    """Return the SPEC records of the instruments."""
    specs = np.zeros(len(instruments), SPEC)
    for record, instrument in zip(specs, instruments, strict=True):
        record["tick_num"], record["tick_den"] = instrument.tick_size.as_integer_ratio()
        record["lot_num"], record["lot_den"] = instrument.lot_size.as_integer_ratio()
        record["contract"] = instrument.contract_size.numerator / instrument.contract_size.denominator
    return specs


def _refuse_faults(
    raw: Records, specs: Records, instruments: Sequence[Instrument], seq: Sequence[int] | np.ndarray
) -> None:
    row, number = first_fault(raw, specs, len(seq))
    if row < 0:
        return
    code, what, expected = _FAULTS[number]
    expected = expected.format(instruments=len(instruments))
    raise _fault(what, raw[row], seq, instruments, expected, code=code)


_FAULTS: Final = (
    ("PROTO_SEQ", "event_index is outside its window", "event_index in [0, consumed)"),
    ("PROTO_SCOPE", "unknown instrument", "an index in [0, {instruments})"),
    ("SIGNAL_ENUM", "unknown side", "BUY, SELL or FLAT"),
    *(("SIGNAL_NOT_FINITE", f"{name} is not a finite number", f"a finite {name}") for name in ("qty", *_PRICES)),
    ("SIGNAL_RANGE", "qty is negative", "qty > 0; the side says the direction"),
    ("SIGNAL_RANGE", "qty is missing or 0", "qty > 0 for BUY and SELL"),
    ("SIGNAL_RANGE", "FLAT carries a qty", "no qty for FLAT"),
    ("SIGNAL_RANGE", "FLAT carries a risk", "no sl, tp and trail for FLAT"),
    *(("SIGNAL_RANGE", f"{name} is not positive", f"{name} > 0, or absent") for name in _PRICES),
    (
        "SIGNAL_RISK_SIDE",
        "sl and tp are on contradictory sides of each other",
        "sl < tp for BUY, sl > tp for SELL",
    ),
    *(("SIGNAL_RANGE", f"{name} is beyond 2^53 grid steps", f"a smaller {name}") for name in ("qty", *_PRICES)),
)
"""Code, what and expected of each fault, by the number that `_fault_of` gives it: in the order in which it looks."""


@njit(cache=True, nogil=True)
def first_fault(raw: Records, specs: Records, events: int) -> tuple[int, int]:
    """Return (row, number of its fault) of the first faulty signal by event, then position; (-1, -1) without one."""
    found = -1
    fault = -1
    for row in range(raw.shape[0]):
        if found >= 0 and raw[row].event >= raw[found].event:
            continue
        number = _fault_of(raw[row], specs, events)
        if number >= 0:
            found = row
            fault = number
    return found, fault


@njit(cache=True, nogil=True)
def _fault_of(signal: Record, specs: Records, events: int) -> int:
    """Return the index in _FAULTS of the first fault of a signal, -1 without one."""
    if signal.event < 0 or signal.event >= events:
        return 0
    if signal.instrument < 0 or signal.instrument >= specs.shape[0]:
        return 1
    if signal.side not in (BUY, SELL, FLAT):
        return 2
    flat = signal.side == FLAT
    sized = signal.has_qty and signal.qty != 0.0
    present = (signal.has_qty, signal.has_price, signal.has_sl, signal.has_tp, signal.has_trail)
    values = (signal.qty, signal.price, signal.sl, signal.tp, signal.trail)
    for k in range(5):
        if present[k] and not np.isfinite(values[k]):
            return 3 + k
    if signal.has_qty and signal.qty < 0.0:
        return 8
    if not flat and not sized:
        return 9
    if flat and sized:
        return 10
    if flat and (signal.has_sl or signal.has_tp or signal.has_trail):
        return 11
    for k in range(1, 5):
        if present[k] and values[k] <= 0.0:
            return 11 + k
    if signal.has_sl and signal.has_tp:
        if signal.side == BUY and signal.sl >= signal.tp:
            return 16
        if signal.side == SELL and signal.sl <= signal.tp:
            return 16
    spec = specs[signal.instrument]
    for k in range(5):
        if present[k] and values[k] * float(spec.lot_den if k == 0 else spec.tick_den) >= STEPS_MAX:
            return 17 + k
    return -1


def _fault(
    what: str,
    row: Records,
    seq: Sequence[int] | np.ndarray,
    instruments: Sequence[Instrument],
    expected: str,
    *,
    code: str,
) -> SignalError:
    event = int(row["event"])
    known = 0 <= int(row["instrument"]) < len(instruments)
    symbol = instruments[int(row["instrument"])].symbol if known else f"instrument {int(row['instrument'])}"
    number = int(seq[event]) if 0 <= event < len(seq) else None
    return SignalError(
        what,
        code=code,
        where=f"signal for {symbol} at event {number if number is not None else f'index {event}'}",
        expected=expected,
        remedy="correct the strategy's answer",
        seq=number,
    )


@njit(cache=True, nogil=True)
def put_on_grid(raw: Records, order: Integers, specs: Records, signals: Records) -> tuple[int, int]:
    """Fill `signals` in order. Returns the number of those that were rounded, and the first without a price, or -1."""
    rounded = 0
    vanished = -1
    for k in range(raw.shape[0]):
        answer = raw[order[k]]
        signal = signals[k]
        spec = specs[answer.instrument]
        signal.event = answer.event
        signal.instrument = answer.instrument
        signal.side = 1 if answer.side == BUY else (-1 if answer.side == SELL else 0)
        signal.valid_until_ns = answer.valid_until_ns if answer.has_until else NO_EXPIRY
        signal.adjust_only = 1 if answer.adjust_only else 0
        changed = False
        gone = False
        if answer.has_qty and signal.side != 0:
            signal.lots = lots_within(answer.qty, spec.lot_num, spec.lot_den)
            changed = grid_value(signal.lots, spec.lot_num, spec.lot_den) != answer.qty
        if answer.has_price:
            signal.price = nearest_price(answer.price, spec.tick_num, spec.tick_den)
            changed = changed or signal.price != answer.price
            gone = gone or signal.price <= 0.0
        if answer.has_sl:
            signal.sl = nearest_price(answer.sl, spec.tick_num, spec.tick_den)
            changed = changed or signal.sl != answer.sl
            gone = gone or signal.sl <= 0.0
        if answer.has_tp:
            signal.tp = nearest_price(answer.tp, spec.tick_num, spec.tick_den)
            changed = changed or signal.tp != answer.tp
            gone = gone or signal.tp <= 0.0
        if answer.has_trail:
            signal.trail = nearest_price(answer.trail, spec.tick_num, spec.tick_den)
            changed = changed or signal.trail != answer.trail
            gone = gone or signal.trail <= 0.0
        if changed:
            rounded += 1
        if gone and vanished < 0:
            vanished = k
    return rounded, vanished
