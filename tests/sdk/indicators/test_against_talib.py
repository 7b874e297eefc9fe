"""Every indicator against TA-Lib on real prices of EURUSD, BTC and gold, for short, usual and long lengths.

Python tests/bench/indicators.py prints the table. TA-Lib rounds a mean before it subtracts it from a price, and what is
left near zero is then off by more than 1e-9: on 13 of the bars for Cci (8.2e-9 at most), on 2,573 for the z-score made
of its SMA and STDDEV (2.9e-5 at most). At each of these bars the formula in fractions decides, and the SDK is within
1e-14 of it.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from boxgate_sdk import indicators

_BARS = 8000
"""Bars of each series that are compared at every change; all of them by `make test-slow`."""


def _check(row: Any) -> None:
    name = row.indicator.partition("(")[0]
    assert row.nan_as_talib, row
    assert row.cuts_equal, row
    if name in {"Cci", "ZScore"}:
        assert row.exact < 1e-14, row
        assert row.beyond < 0.1 * row.bars, row
        assert row.beyond == 0 or row.talib_exact > 1e-9, row
    else:
        assert row.talib <= 1e-9, row
        assert row.exact is None or row.exact < 1e-14, row


@pytest.mark.parametrize("length", [2, 14, 200])
def test_the_first_bars_of_each_series_are_those_of_talib(table: ModuleType, shared_data: Path, length: int) -> None:
    series = {name: table.Hlc(*(c[:_BARS] for c in bars)) for name, bars in table.load(shared_data).items()}
    rows = list(table.compare(series, (length,)))
    assert {row.indicator.partition("(")[0] for row in rows} == {
        name for name in indicators.__all__ if hasattr(getattr(indicators, name), "push")
    }
    for row in rows:
        _check(row)


@pytest.mark.slow
def test_all_bars_of_each_series_are_those_of_talib(table: ModuleType, shared_data: Path) -> None:
    for row in table.compare(table.load(shared_data)):
        _check(row)
        print(row)


@pytest.mark.parametrize("length", [2, 5, 14])
def test_a_market_that_stands_still_gives_what_talib_gives(table: ModuleType, length: int) -> None:
    rng = np.random.default_rng(5)
    moved = np.round(100.0 + np.cumsum(rng.normal(0.0, 0.1, 60)), 2)
    closes = np.concatenate((np.full(40, 1.1), moved, np.full(200, moved[-1]), moved))
    flat = np.concatenate((np.zeros(40), np.full(60, 0.2), np.zeros(200), np.full(60, 0.2)))
    bars = table.Hlc(closes + flat, closes - flat, closes)
    for row in table.compare({"flat": bars}, (length,)):
        _check(row)


@pytest.mark.parametrize(("price", "tick"), [(100_000.0, 0.01), (1e8, 1e-6), (1.1, 1e-5)])
def test_tiny_moves_of_a_high_price_lose_no_digits(table: ModuleType, price: float, tick: float) -> None:
    closes = price + tick * np.random.default_rng(8).integers(-3, 4, 250)
    bars = table.Hlc(closes + 2 * tick, closes - tick, closes)
    rows = [row for length in (2, 20, 75) for row in table.compare({"tiny": bars}, (length,))]
    exact = [row for row in rows if row.exact is not None]
    assert len(exact) == 9
    for row in exact:
        assert row.exact < 2e-14, row


def test_named_averages_of_a_short_series_by_hand() -> None:
    closes = [1.0, 2.0, 4.0, 8.0]
    wma, ema, rsi = indicators.Wma(2), indicators.Ema(3), indicators.Rsi(2)
    assert [wma.push(close) for close in closes][1:] == [5 / 3, 10 / 3, 20 / 3]
    assert [ema.push(close) for close in closes][2:] == [7 / 3, 7 / 3 + 0.5 * (8 - 7 / 3)]
    assert [rsi.push(close) for close in closes][2:] == [100.0, 100.0]
