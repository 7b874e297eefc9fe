"""What indicators refuse, by name, and what they skip."""

from __future__ import annotations

import math
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from boxgate_sdk import errors, indicators
from boxgate_sdk.indicators import vector
from boxgate_sdk.testing import bars

_LENGTHS: list[tuple[str, tuple[Any, ...], str]] = [
    ("Sma", (0,), "Sma.n"),
    ("Ema", (-1,), "Ema.n"),
    ("Wma", (1.5,), "Wma.n"),
    ("Rsi", (1,), "Rsi.n"),
    ("Atr", (0,), "Atr.n"),
    ("Adx", (1,), "Adx.n"),
    ("Cci", (1,), "Cci.n"),
    ("Bollinger", (1,), "Bollinger.n"),
    ("Bollinger", (20, -1.0), "Bollinger.deviations"),
    ("Bollinger", (20, math.nan), "Bollinger.deviations"),
    ("Bollinger", (20, "wide"), "Bollinger.deviations"),
    ("Donchian", ("20",), "Donchian.n"),
    ("ZScore", (None,), "ZScore.n"),
    ("Macd", (26, 12), "Macd.fast"),
    ("Macd", (12, 26, 0), "Macd.signal"),
    ("Stochastic", (5, 0), "Stochastic.k"),
]


@pytest.mark.parametrize("forms", [indicators, vector])
@pytest.mark.parametrize(("name", "args", "where"), _LENGTHS)
def test_a_length_that_gives_nothing_is_refused_by_name(
    forms: Any, name: str, args: tuple[Any, ...], where: str
) -> None:
    with pytest.raises(errors.IndicatorLengthInvalid) as refused:
        getattr(forms, name)(*args)
    assert refused.value.where == where
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, None, "high", [1.0]])
def test_a_hole_is_refused_and_changes_nothing(wrong: Any) -> None:
    mean, control = indicators.Ema(2), indicators.Ema(2)
    for value in (1.0, 2.0, 4.0):
        mean.push(value)
        control.push(value)
    with pytest.raises(errors.IndicatorInputInvalid, match=r"Ema\.push"):
        mean.push(wrong)
    assert mean.push(3.0) == control.push(3.0)


@pytest.mark.parametrize("row", [(math.nan, 1.0, 1.0), (1.0, math.inf, 1.0), (1.0, 1.0, None)])
def test_a_hole_in_a_bar_is_refused(row: tuple[Any, Any, Any]) -> None:
    atr = indicators.Atr(2)
    atr.push(bars([1.0])[0])
    with pytest.raises(errors.IndicatorInputInvalid, match=r"Atr\.push"):
        atr.push(SimpleNamespace(high=row[0], low=row[1], close=row[2]))
    with pytest.raises(errors.IndicatorInputInvalid, match="a bar: high, low and close"):
        atr.push(1.0)  # type: ignore[arg-type]  # the mistake that is tested


def test_a_hole_in_a_window_is_named_by_its_row_and_nothing_of_the_window_counts() -> None:
    mean, control = vector.Sma(2), vector.Sma(2)
    for form in (mean, control):
        form.push([1.0, 2.0])
    with pytest.raises(errors.IndicatorInputInvalid, match="nan at row 1"):
        mean.push([3.0, math.nan, 5.0])
    assert mean.push([7.0]).tolist() == control.push([7.0]).tolist() == [4.5]


@pytest.mark.parametrize(
    "values", [[1.0, math.inf], [math.inf, 1.0], [math.nan, math.inf, 1.0], [math.nan, 1.0, math.nan]]
)
def test_only_nan_and_only_before_the_first_number_is_skipped(values: list[float]) -> None:
    with pytest.raises(errors.IndicatorInputInvalid):
        vector.Ema(2).push(values)
    by_bar = indicators.Ema(2)
    with pytest.raises(errors.IndicatorInputInvalid):
        [by_bar.push(value) for value in values]


def test_columns_of_unequal_length_or_two_dimensions_or_text_are_refused() -> None:
    ones = np.ones(3)
    with pytest.raises(errors.IndicatorInputInvalid, match="shape"):
        vector.Atr(2).push(SimpleNamespace(high=ones, low=ones, close=ones[:2]))
    with pytest.raises(errors.IndicatorInputInvalid, match="shape"):
        vector.Sma(2).push(np.ones((2, 2)))
    with pytest.raises(errors.IndicatorInputInvalid, match="more than numbers"):
        vector.Sma(2).push(np.array(["a"]))


def test_indicators_chain_because_nan_before_the_first_number_are_skipped() -> None:
    talib = pytest.importorskip("talib")
    closes = 100.0 + np.cumsum(np.random.default_rng(1).normal(0.0, 1.0, 90))
    expected = talib.EMA(talib.RSI(closes, 14), 5)
    rsi, mean = indicators.Rsi(14), indicators.Ema(5)
    by_bar = np.array([mean.push(rsi.push(close)) for close in closes.tolist()])
    assert np.allclose(by_bar, expected, rtol=1e-12, equal_nan=True)
    for cut in (0, 5, 14, 40):
        strength, smooth = vector.Rsi(14), vector.Ema(5)
        parts = [smooth.push(strength.push(part)) for part in np.split(closes, [cut])]
        assert np.concatenate(parts).tobytes() == by_bar.tobytes()


def test_numbers_of_numpy_count_as_what_they_are() -> None:
    plain, narrow = indicators.Ema(3), indicators.Ema(3)
    for value in (0.1, 0.7, 0.3, 0.9):
        exact = float(np.float32(value))
        plain.push(exact)
        narrow.push(np.float32(value))  # type: ignore[arg-type]  # what an array of float32 gives
    assert isinstance(narrow.value, float)
    assert narrow.value == plain.value


def test_a_window_without_rows_gives_none() -> None:
    assert vector.Ema(3).push([]).tolist() == []
    assert [len(line) for line in vector.Macd().push([])] == [0, 0, 0]


def test_the_z_score_of_equal_prices_is_absent() -> None:
    z = indicators.ZScore(3)
    assert all(math.isnan(z.push(1.1)) for _ in range(9))
    assert np.isnan(vector.ZScore(3).push(np.full(9, 1.1))).all()


def test_the_channel_before_the_push_is_that_of_the_bars_before() -> None:
    channel = indicators.Donchian(2)
    for bar in bars([1.0, 2.0]):
        channel.push(bar)
    before = channel.value.upper
    last = bars([3.0])[0]
    assert before < last.high == channel.push(last).upper


def test_the_form_bar_by_bar_needs_no_numpy() -> None:
    program = "import sys, boxgate_sdk.indicators; print('numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
