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
from boxgate_engine.kernel.records import NO_EXPIRY, SIGNAL_ROW, SPEC, Records

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
    _refuse_faults(raw, instruments, seq)
    order = np.lexsort((np.arange(len(raw)), raw["event"], raw["instrument"], moment[raw["event"]]))
    signals = np.zeros(len(raw), SIGNAL_ROW)
    rounded = _on_grid(raw[order], specs, signals)
    vanished = [raw[order][f"has_{name}"] & (signals[name] <= 0) for name in _PRICES]
    off_grid = np.flatnonzero(np.any(vanished, axis=0))
    if len(off_grid):
        row = raw[order[off_grid[0]]]
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


def _refuse_faults(raw: Records, instruments: Sequence[Instrument], seq: Sequence[int] | np.ndarray) -> None:
    flat = raw["side"] == FLAT
    off_window = (raw["event"] < 0) | (raw["event"] >= len(seq))
    foreign = (raw["instrument"] < 0) | (raw["instrument"] >= len(instruments))
    scope = f"an index in [0, {len(instruments)})"
    checks = [
        (off_window, "PROTO_SEQ", "event_index is outside its window", "event_index in [0, consumed)"),
        (foreign, "PROTO_SCOPE", "unknown instrument", scope),
        (~np.isin(raw["side"], (BUY, SELL, FLAT)), "SIGNAL_ENUM", "unknown side", "BUY, SELL or FLAT"),
    ]
    for name in ("qty", *_PRICES):
        bad = raw[f"has_{name}"] & ~np.isfinite(raw[name])
        checks.append((bad, "SIGNAL_NOT_FINITE", f"{name} is not a finite number", f"a finite {name}"))
    negative = raw["has_qty"] & (raw["qty"] < 0)
    sized = raw["has_qty"] & (raw["qty"] != 0)
    checks += [
        (negative, "SIGNAL_RANGE", "qty is negative", "qty > 0; the side says the direction"),
        (~flat & ~sized, "SIGNAL_RANGE", "qty is missing or 0", "qty > 0 for BUY and SELL"),
        (flat & sized, "SIGNAL_RANGE", "FLAT carries a qty", "no qty for FLAT"),
    ]
    risk = raw["has_sl"] | raw["has_tp"] | raw["has_trail"]
    checks.append((flat & risk, "SIGNAL_RANGE", "FLAT carries a risk", "no sl, tp and trail for FLAT"))
    for name in _PRICES:
        low = raw[f"has_{name}"] & (raw[name] <= 0)
        checks.append((low, "SIGNAL_RANGE", f"{name} is not positive", f"{name} > 0, or absent"))
    both = raw["has_sl"] & raw["has_tp"]
    crossed = both & ~flat & np.where(raw["side"] == BUY, raw["sl"] >= raw["tp"], raw["sl"] <= raw["tp"])
    sides = "sl < tp for BUY, sl > tp for SELL"
    checks.append((crossed, "SIGNAL_RISK_SIDE", "sl and tp are on contradictory sides of each other", sides))
    lot_dens = np.array([float(i.lot_size.denominator) for i in instruments])
    tick_dens = np.array([float(i.tick_size.denominator) for i in instruments])
    known = np.clip(raw["instrument"], 0, len(instruments) - 1)
    for name, dens in (("qty", lot_dens), *((name, tick_dens) for name in _PRICES)):
        with np.errstate(invalid="ignore", over="ignore"):
            beyond = raw[f"has_{name}"] & (raw[name] * dens[known] >= STEPS_MAX)
        checks.append((beyond, "SIGNAL_RANGE", f"{name} is beyond 2^53 grid steps", f"a smaller {name}"))
    faults = np.array([mask for mask, *_ in checks])
    if not faults.any():
        return
    columns = np.flatnonzero(faults.any(axis=0))
    first = columns[np.argsort(raw["event"][columns], kind="stable")[0]]
    _, code, what, expected = checks[int(np.flatnonzero(faults[:, first])[0])]
    raise _fault(what, raw[first], seq, instruments, expected, code=code)


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


@njit(cache=True)
def _on_grid(raw: Records, specs: Records, signals: Records) -> int:
    rounded = 0
    for k in range(raw.shape[0]):
        answer = raw[k]
        signal = signals[k]
        spec = specs[answer.instrument]
        signal.event = answer.event
        signal.instrument = answer.instrument
        signal.side = 1 if answer.side == 1 else (-1 if answer.side == 2 else 0)
        signal.valid_until_ns = answer.valid_until_ns if answer.has_until else NO_EXPIRY
        signal.adjust_only = 1 if answer.adjust_only else 0
        changed = False
        if answer.has_qty and signal.side != 0:
            signal.lots = lots_within(answer.qty, spec.lot_num, spec.lot_den)
            changed = grid_value(signal.lots, spec.lot_num, spec.lot_den) != answer.qty
        if answer.has_price:
            signal.price = nearest_price(answer.price, spec.tick_num, spec.tick_den)
            changed = changed or signal.price != answer.price
        if answer.has_sl:
            signal.sl = nearest_price(answer.sl, spec.tick_num, spec.tick_den)
            changed = changed or signal.sl != answer.sl
        if answer.has_tp:
            signal.tp = nearest_price(answer.tp, spec.tick_num, spec.tick_den)
            changed = changed or signal.tp != answer.tp
        if answer.has_trail:
            signal.trail = nearest_price(answer.trail, spec.tick_num, spec.tick_den)
            changed = changed or signal.trail != answer.trail
        if changed:
            rounded += 1
    return rounded
