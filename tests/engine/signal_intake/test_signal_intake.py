"""Signals on their way to the kernel: on the grid, in order, and the first fault by its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from grids import grid_value, lots_of, nearest_tick
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.errors import SignalError
from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.records import NO_EXPIRY
from boxgate_engine.signal_intake import BUY, FLAT, RAW_SIGNAL, SELL, STEPS_MAX, kernel_specs, take_signals

TICKS = (Fraction(1, 100_000), Fraction(1, 8), Fraction(1, 3), Fraction(5, 2), Fraction(25), Fraction(1))
LOTS = (Fraction(1, 100), Fraction(1, 3), Fraction(1000), Fraction(1))
EVENTS = 8
MOMENT = np.array([0, 0, 1, 2, 2, 2, 3, 4])
"""Moment of each event of the window."""
SEQ = np.arange(50, 50 + EVENTS)

Row = dict[str, Any]


def instruments_of(grids: Sequence[tuple[Fraction, Fraction]]) -> list[Instrument]:
    return [
        Instrument(
            symbol=f"I{k}",
            asset_class="forex",
            quote_currency="USD",
            tick_size=tick,
            lot_size=lot,
            contract_size=Fraction(1),
        )
        for k, (tick, lot) in enumerate(grids)
    ]


def raw_of(rows: Sequence[Row]) -> np.ndarray:
    """Records of rows; a value that is None is absent."""
    raw = np.zeros(len(rows), RAW_SIGNAL)
    for record, row in zip(raw, rows, strict=True):
        for name in ("event", "instrument", "side", "adjust_only"):
            record[name] = row.get(name, 0)
        for name in ("qty", "price", "sl", "tp", "trail"):
            if row.get(name) is not None:
                record[f"has_{name}"] = True
                record[name] = row[name]
        if row.get("valid_until_ns") is not None:
            record["has_until"] = True
            record["valid_until_ns"] = row["valid_until_ns"]
    return raw


def take(rows: Sequence[Row], instruments: Sequence[Instrument]) -> tuple[Any, int, np.ndarray]:
    return take_signals(raw_of(rows), kernel_specs(instruments), instruments, seq=SEQ, moment=MOMENT)


grids = st.lists(st.tuples(st.sampled_from(TICKS), st.sampled_from(LOTS)), min_size=1, max_size=3)


@st.composite
def right_rows(draw: st.DrawFn, count: int) -> list[Row]:
    """Signals without a fault, in no order, on or off the grid."""
    prices = st.none() | st.floats(30.0, 1e6) | st.integers(30, 10_000).map(float)
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        side = draw(st.sampled_from([BUY, SELL, FLAT]))
        row: Row = {
            "event": draw(st.integers(0, EVENTS - 1)),
            "instrument": draw(st.integers(0, count - 1)),
            "side": side,
            "price": draw(prices),
            "adjust_only": draw(st.booleans()),
            "valid_until_ns": draw(st.none() | st.integers(0, 2**62)),
        }
        if side != FLAT:
            row["qty"] = draw(st.floats(1e-9, 1e9) | st.integers(1, 10**6).map(float))
            levels = draw(st.lists(st.floats(30.0, 1e6), min_size=2, max_size=2, unique=True).map(sorted))
            row["trail"] = draw(prices)
            row["sl"], row["tp"] = levels if side == BUY else reversed(levels)
            row[draw(st.sampled_from(["sl", "tp", "qty"]))] = (
                draw(st.floats(30.0, 1e6)) if draw(st.booleans()) else 50.0
            )
            if row["sl"] is not None and (row["sl"] >= row["tp"]) == (side == BUY):
                row["sl"] = None
        rows.append(row)
    return rows


@given(st.data(), grids)
def test_signals_are_put_on_the_grid_and_in_order(data: st.DataObject, pairs: list[tuple[Fraction, Fraction]]) -> None:
    instruments = instruments_of(pairs)
    rows = data.draw(right_rows(len(pairs)))
    signals, rounded, order = take(rows, instruments)
    plain = sorted(
        range(len(rows)), key=lambda k: (MOMENT[rows[k]["event"]], rows[k]["instrument"], rows[k]["event"], k)
    )
    assert order.tolist() == plain
    changed = 0
    for signal, k in zip(signals, plain, strict=True):
        row = rows[k]
        tick, lot = (ratio.as_integer_ratio() for ratio in pairs[row["instrument"]])
        assert (signal["event"], signal["instrument"]) == (row["event"], row["instrument"])
        assert signal["side"] == {BUY: 1, SELL: -1, FLAT: 0}[row["side"]]
        assert signal["adjust_only"] == row["adjust_only"]
        assert signal["valid_until_ns"] == (NO_EXPIRY if row["valid_until_ns"] is None else row["valid_until_ns"])
        expected = {name: row.get(name) and nearest_tick(row[name], tick) for name in ("price", "sl", "tp", "trail")}
        assert {name: signal[name] or None for name in expected} == expected
        lots = lots_of(row["qty"], lot) if row.get("qty") else 0
        assert signal["lots"] == lots
        expected["qty"] = grid_value(lots, lot) if row.get("qty") else None
        changed += any(expected[name] != row.get(name) for name in expected)
    assert rounded == changed


@given(st.floats(1e-3, 1e9), st.sampled_from(LOTS))
def test_a_quantity_is_never_rounded_up_and_loses_less_than_a_lot(qty: float, lot: Fraction) -> None:
    signals, _, _ = take([{"side": BUY, "qty": qty}], instruments_of([(Fraction(1), lot)]))
    n = int(signals[0]["lots"])
    num, den = lot.as_integer_ratio()
    assert grid_value(n, (num, den)) <= qty < grid_value(n + 1, (num, den))


@given(st.integers(1, 2**40), st.sampled_from(TICKS), st.sampled_from(LOTS))
def test_what_is_on_the_grid_stays(n: int, tick: Fraction, lot: Fraction) -> None:
    row = {
        "side": BUY,
        "qty": grid_value(n, lot.as_integer_ratio()),
        "price": grid_value(n, tick.as_integer_ratio()),
    }
    signals, rounded, _ = take([row], instruments_of([(tick, lot)]))
    assert (rounded, signals[0]["lots"], signals[0]["price"]) == (0, n, row["price"])


FAULTS: dict[str, tuple[Row, str]] = {
    "event": ({"event": EVENTS}, "PROTO_SEQ"),
    "instrument": ({"instrument": 2}, "PROTO_SCOPE"),
    "side": ({"side": 0}, "SIGNAL_ENUM"),
    "not finite": ({"price": math.nan}, "SIGNAL_NOT_FINITE"),
    "negative": ({"qty": -1.0}, "SIGNAL_RANGE"),
    "huge": ({"price": 1e300}, "SIGNAL_RANGE"),
    "no distance": ({"trail": 0.0}, "SIGNAL_RANGE"),
    "endless distance": ({"trail": math.inf}, "SIGNAL_NOT_FINITE"),
    "crossed": ({"sl": 60.0, "tp": 50.0}, "SIGNAL_RISK_SIDE"),
}


@given(st.lists(st.tuples(st.integers(0, EVENTS - 1), st.none() | st.sampled_from(sorted(FAULTS))), max_size=8))
def test_the_first_fault_by_event_and_then_by_position_is_told(drawn: list[tuple[int, str | None]]) -> None:
    instruments = instruments_of([(Fraction(1), Fraction(1))] * 2)
    plain: Row = {"side": BUY, "qty": 10.0, "price": 50.0}
    rows = [{**plain, "event": event, **(FAULTS[fault][0] if fault else {})} for event, fault in drawn]
    wrong = [(row["event"], k) for k, row in enumerate(rows) if drawn[k][1] is not None]
    if not wrong:
        take(rows, instruments)
        return
    event, k = min(wrong)
    with pytest.raises(SignalError) as caught:
        take(rows, instruments)
    assert caught.value.error_code == FAULTS[drawn[k][1] or ""][1]
    assert caught.value.as_dict().get("seq") == (None if event >= EVENTS else SEQ[event])


@pytest.mark.parametrize("lot", [*LOTS, Fraction(100_000), Fraction(2**40, 3)])
@pytest.mark.parametrize("name", ["qty", "price"])
def test_values_end_where_grid_values_stop_being_exact(lot: Fraction, name: str) -> None:
    """Beyond it a product of two integers would not fit, and lots could not be counted to an end."""
    instruments = instruments_of([(lot, lot)])
    end = 2.0**53 / lot.denominator
    ((signal,), _, _) = take([{"side": BUY, "qty": end / 2, "price": end / 2}], instruments)
    assert 0 < signal["lots"] * lot.numerator < STEPS_MAX
    for value in (end, math.nextafter(end, math.inf) * 2, 1e19 / lot.denominator, 1e300):
        with pytest.raises(SignalError) as caught:
            take([{"side": BUY, "qty": 1e3, name: value}], instruments)
        assert caught.value.error_code == "SIGNAL_RANGE"


@pytest.mark.parametrize("name", ["price", "sl", "tp", "trail"])
def test_what_is_less_than_half_a_tick_is_refused(name: str) -> None:
    with pytest.raises(SignalError) as caught:
        take([{"side": BUY, "qty": 1.0, name: 0.4}], instruments_of([(Fraction(1), Fraction(1))]))
    assert caught.value.error_code == "SIGNAL_RANGE"


def test_flat_has_no_trail() -> None:
    with pytest.raises(SignalError) as caught:
        take([{"side": FLAT, "trail": 5.0}], instruments_of([(Fraction(1), Fraction(1))]))
    assert caught.value.error_code == "SIGNAL_RANGE"


def test_no_signal_is_no_work() -> None:
    signals, rounded, order = take([], instruments_of([(Fraction(1), Fraction(1))]))
    assert (len(signals), rounded, len(order)) == (0, 0, 0)
