"""Bar by bar and over windows: the same bits wherever windows are cut, and no trace of what lies too far back."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_sdk import Bar, Side, Signal, Signals, Strategy, indicators
from boxgate_sdk.indicators import vector
from boxgate_sdk.testing import InProcess

_OF_BARS = ("Adx", "Atr", "Cci", "Donchian", "Stochastic")
_OF_VALUES = ("Bollinger", "Ema", "Macd", "Rsi", "Sma", "Wma", "ZScore")


class _Hlc(NamedTuple):
    high: Any
    low: Any
    close: Any


def _lengths(name: str, n: int) -> tuple[int, ...]:
    least = max(n, 1 if name in {"Atr", "Donchian", "Ema", "Sma", "Stochastic", "Wma"} else 2)
    return {"Macd": (least - 1, least, 1 + n // 3), "Stochastic": (n, 1 + n // 4, 1 + n // 5)}.get(name, (least,))


def _by_bar(name: str, args: tuple[int, ...], rows: list[tuple[float, float, float]]) -> bytes:
    push = getattr(indicators, name)(*args).push
    readings = [push(_Hlc(*row)) for row in rows] if name in _OF_BARS else [push(row[2]) for row in rows]
    return np.array(readings, dtype=np.float64).tobytes()


def _by_window(name: str, args: tuple[int, ...], rows: list[tuple[float, float, float]], cuts: list[int]) -> bytes:
    push = getattr(vector, name)(*args).push
    parts = []
    for window in np.split(np.array(rows), sorted(cuts)):
        reading = push(_Hlc(*window.T)) if name in _OF_BARS else push(window[:, 2])
        assert {len(line) for line in (reading if isinstance(reading, tuple) else [reading])} == {len(window)}
        parts.append(np.column_stack(reading) if isinstance(reading, tuple) else reading[:, None])
    return np.concatenate(parts).tobytes()


@st.composite
def _rows(draw: st.DrawFn) -> list[tuple[float, float, float]]:
    """Bars on a grid, with stretches that stand still, or any floats at all that are of one size."""
    generator = random.Random(draw(st.integers(0, 10**6)))
    price, tick = draw(st.sampled_from([(1.1, 1e-5), (100_000.0, 0.01), (1300.0, 0.001), (2e-8, 1e-10), (0.0, 1.0)]))
    still = draw(st.sampled_from([0.0, 0.3, 0.95]))
    on_grid = draw(st.booleans())
    rows = []
    for _ in range(draw(st.integers(1, 150))):
        if generator.random() >= still:
            price += generator.gauss(0.0, 5.0) * tick
        close = round(price / tick) * tick if on_grid else price
        reach = 0.0 if generator.random() < still else abs(generator.gauss(0.0, 5.0)) * tick
        rows.append((close + reach, close - generator.choice((0.0, reach)), close))
    return rows


@pytest.mark.parametrize("name", _OF_BARS + _OF_VALUES)
@given(rows=_rows(), n=st.integers(1, 40), data=st.data())
def test_no_bit_depends_on_the_form_or_the_cuts(name: str, rows: Any, n: int, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=8))
    args = _lengths(name, n)
    assert _by_window(name, args, rows, cuts) == _by_bar(name, args, rows)


@pytest.mark.parametrize("name", _OF_BARS + _OF_VALUES)
def test_a_long_window_is_worked_through_in_pieces_that_do_not_show(name: str) -> None:
    rng = np.random.default_rng(3)
    closes = 1.1 + np.cumsum(rng.normal(0.0, 1e-4, 20_000))
    rows = [*zip((closes + 1e-4).tolist(), (closes - 2e-4).tolist(), closes.tolist(), strict=True)]
    assert _by_window(name, _lengths(name, 14), rows, []) == _by_bar(name, _lengths(name, 14), rows)


@pytest.mark.parametrize("name", ["Bollinger", "Cci", "Donchian", "Sma", "Stochastic", "Wma", "ZScore"])
def test_what_has_left_the_window_leaves_no_trace(name: str) -> None:
    rng = np.random.default_rng(4)
    closes = np.concatenate((rng.normal(0.0, 1e9, 1000), 1.1 + np.cumsum(rng.normal(0.0, 1e-4, 400))))
    rows = [*zip((closes + 1e-4).tolist(), (closes - 1e-4).tolist(), closes.tolist(), strict=True)]
    args = _lengths(name, 37)
    whole = np.frombuffer(_by_bar(name, args, rows)).reshape(1400, -1)
    fresh = np.frombuffer(_by_bar(name, args, rows[1000:])).reshape(400, -1)
    assert whole[1100:].tobytes() == fresh[100:].tobytes()


@pytest.mark.parametrize("name", _OF_BARS + _OF_VALUES)
def test_it_is_ready_after_the_events_it_names_and_stays_so(name: str) -> None:
    rng = np.random.default_rng(6)
    rows = [(c + 1.0, c - 1.0, c) for c in (100.0 + np.cumsum(rng.normal(0.0, 1.0, 200))).tolist()]
    for n in (1, 2, 7, 30):
        args = _lengths(name, n)
        warmup = getattr(indicators, name)(*args).warmup_events
        assert getattr(vector, name)(*args).warmup_events == warmup
        lines = np.frombuffer(_by_bar(name, args, rows)).reshape(200, -1)
        assert np.isnan(lines[: warmup - 1]).all()
        assert not np.isnan(lines[warmup - 1 :]).any()


class Touch(Strategy):
    """Buys below the lower band where the trend is up, sells above the upper one where it is down, in both forms."""

    vectorised = False

    def supports(self) -> tuple[str, ...]:
        return ("VECTOR",) if self.vectorised else ()

    def history_events(self) -> int:
        return indicators.Bollinger(10).warmup_events

    def on_init(self, ctx: object) -> None:
        forms: Any = vector if self.vectorised else indicators
        self.parts = [(forms.Bollinger(10, 1.0), forms.Atr(5), forms.Rsi(7)) for _ in self.ctx.series]

    def on_event(self, event: Any) -> Signal | None:
        bands, atr, rsi = (
            part.push(value) for part, value in zip(self.parts[event.series], self.of(event), strict=True)
        )
        if event.close < bands.lower - 0.1 * atr and rsi < 50.0:
            return Signal.buy(1.0)
        return Signal.sell(1.0) if event.close > bands.upper + 0.1 * atr and rsi > 50.0 else None

    def on_window(self, columns: Any) -> Signals | None:
        events, sides = [], []
        for bars in columns.bars():
            bands, atr, rsi = (part.push(v) for part, v in zip(self.parts[bars.series], self.of(bars), strict=True))
            buys = (bars.close < bands.lower - 0.1 * atr) & (rsi < 50.0)
            sells = (bars.close > bands.upper + 0.1 * atr) & (rsi > 50.0)
            rows = np.flatnonzero(buys | sells)
            events.append(bars.event_index[rows])
            sides.append(np.where(buys[rows], Side.BUY, Side.SELL))
        return Signals(event_index=np.concatenate(events), side=np.concatenate(sides), qty=1.0) if events else None

    def of(self, bars: Any) -> tuple[Any, Any, Any]:
        return bars.close, bars, bars.close


class TouchVector(Touch):
    vectorised = True


def test_a_strategy_of_two_series_signals_equally_in_both_forms_from_the_warm_up_on(two_symbols: list[Bar]) -> None:
    expected = InProcess(Touch, warmup=40).run(two_symbols, windows=1).signals
    assert len(expected) > 50
    windows: list[Any] = [1, 7, 4096, [3, 1, 50, 11]]
    forms: list[type[Strategy]] = [Touch, TouchVector]
    for form in forms:
        for cut in windows:
            assert InProcess(form, warmup=40).run(two_symbols, windows=cut).signals == expected
