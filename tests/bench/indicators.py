"""Compare the indicators with TA-Lib on real series; prints a table of the largest relative differences.

    python tests/bench/indicators.py [--data DIR] [--speed]

A difference is relative to max(|x|, 1e-6 · price). Every bar is compared; NaN have to stand where TA-Lib has them, and
windows of random sizes have to give the same bits. Where a mean is subtracted from a price and little is left, TA-Lib
itself may be off by more than 1e-9: the last columns give the differences to the formula in fractions, at these bars
and some others of each series.
--speed measures both forms instead.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import talib

from boxgate_sdk import indicators
from boxgate_sdk.indicators import vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LENGTHS = (2, 14, 200)
TOLERANCE = 1e-9


class Hlc(NamedTuple):
    """Bars: of each a number, or of each a column."""

    high: Any
    low: Any
    close: Any


class Row(NamedTuple):
    """One line of the table.

    talib: largest difference to TA-Lib. beyond: bars with one above TOLERANCE. exact, talib_exact: the largest to the
    formula in fractions at these bars and up to 400 others, of the SDK and of TA-Lib; None where no bar needs them.
    """

    indicator: str
    series: str
    bars: int
    nan_as_talib: bool
    cuts_equal: bool
    talib: float
    beyond: int
    exact: float | None
    talib_exact: float | None


class Case(NamedTuple):
    """An indicator with its lengths, the TA-Lib function of the same lines, and the formula in fractions."""

    name: str
    args: tuple[int, ...]
    talib: Callable[..., tuple[Floats, ...]]
    exact: Callable[[list[Hlc]], tuple[float, ...]] | None = None

    @property
    def of_bars(self) -> bool:
        return self.name in {"Adx", "Atr", "Cci", "Donchian", "Stochastic"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the indicators with TA-Lib on real series.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BOXGATE_DATA", "../shared/data")))
    parser.add_argument("--speed", action="store_true", help="measure instead, bars per second")
    arguments = parser.parse_args()
    if arguments.speed:
        _print_speed(load(arguments.data)["EURUSD H1"])
        return
    print("| indicator | series | bars | to TA-Lib | bars beyond 1e-9 | to fractions | TA-Lib to fractions |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in compare(load(arguments.data)):
        assert row.nan_as_talib, row
        assert row.cuts_equal, row
        fractions = "| |" if row.exact is None else f"{row.exact:.1e} | {row.talib_exact:.1e} |"
        print(f"| {row.indicator} | {row.series} | {row.bars:,} | {row.talib:.1e} | {row.beyond or ''} | {fractions}")


def load(folder: Path) -> dict[str, Hlc]:
    """Return the three series by name, columns of shape (bars,)."""
    with zipfile.ZipFile(folder / "lean/forex/oanda/hour/eurusd.zip") as archive:
        euro = _bid(archive.read(archive.namelist()[0]))
    gold = []
    for path in sorted((folder / "lean/cfd/oanda/minute/xauusd").glob("*_quote.zip")):
        with zipfile.ZipFile(path) as archive:
            gold += _bid(archive.read(archive.namelist()[0]))
    with (folder / "binance_usdm/1h/BTCUSDT.csv").open(encoding="utf-8") as file:
        coin = [(float(row["high"]), float(row["low"]), float(row["close"])) for row in csv.DictReader(file)]
    return {
        name: Hlc(*np.array(rows).T.copy())
        for name, rows in (("EURUSD H1", euro), ("BTCUSDT H1", coin), ("XAUUSD M1", gold))
    }


def _bid(text: bytes) -> list[tuple[float, ...]]:
    """Return (high, low, close) of the bid from a file whose rows are time, open, high, low, close, …"""
    return [tuple(map(float, line.split(",")[2:5])) for line in text.decode("ascii").splitlines()]


def compare(series: dict[str, Hlc], lengths: tuple[int, ...] = LENGTHS) -> Iterator[Row]:
    """Yield a row for each indicator and series."""
    for case in cases(lengths):
        for name, bars in series.items():
            yield _row(case, name, bars)


def cases(lengths: tuple[int, ...]) -> Iterator[Case]:
    """Yield every indicator with each of the lengths."""
    for n in lengths:
        yield Case("Sma", (n,), lambda b, n: (talib.SMA(b.close, n),))
        yield Case("Ema", (n,), lambda b, n: (talib.EMA(b.close, n),))
        yield Case("Wma", (n,), lambda b, n: (talib.WMA(b.close, n),))
        yield Case("Rsi", (n,), lambda b, n: (talib.RSI(b.close, n),))
        yield Case("Atr", (n,), lambda b, n: (talib.ATR(b.high, b.low, b.close, n),))
        yield Case("Adx", (n,), _adx)
        yield Case("Cci", (n,), lambda b, n: (talib.CCI(b.high, b.low, b.close, n),), _exact_cci)
        yield Case("Bollinger", (n,), lambda b, n: talib.BBANDS(b.close, n, 2.0, 2.0), _exact_bands)
        yield Case("Donchian", (n,), _donchian)
        yield Case("ZScore", (n,), _z_score, _exact_z_score)
        yield Case("Stochastic", (n, 3, 3), _stochastic)
    yield Case("Stochastic", (5, 3, 3), _stochastic)
    for args in ((12, 26, 9), (2, 14, 2), (2, 200, 14)):
        yield Case("Macd", args, lambda b, *args: talib.MACD(b.close, *args))


def _row(case: Case, series: str, bars: Hlc) -> Row:
    by_bar = _push_bars(case, bars)
    expected = np.column_stack(case.talib(bars, *case.args))
    scale = 1e-6 * bars.close[:, None]
    differences = np.nan_to_num(_differences(by_bar, expected, scale)).max(axis=1)
    beyond = np.flatnonzero(differences > TOLERANCE)
    exact = other = None
    if case.exact is not None:
        samples = np.linspace(case.args[0] - 1, len(by_bar) - 1, min(400, 12_000 // case.args[0]))
        rows = np.union1d(beyond, samples.astype(int))
        fractions = np.array([case.exact(_window(bars, row, case.args[0])) for row in rows])
        exact, other = (float(np.nanmax(_differences(x[rows], fractions, scale[rows]))) for x in (by_bar, expected))
    return Row(
        indicator=f"{case.name}({', '.join(map(str, case.args))})",
        series=series,
        bars=len(by_bar),
        nan_as_talib=bool(np.array_equal(np.isnan(by_bar), np.isnan(expected))),
        cuts_equal=_push_windows(case, bars).tobytes() == by_bar.tobytes(),
        talib=float(differences.max()),
        beyond=len(beyond),
        exact=exact,
        talib_exact=other,
    )


def _push_bars(case: Case, bars: Hlc) -> Floats:
    """Return the lines of the form bar by bar, shape (bars, lines)."""
    push = getattr(indicators, case.name)(*case.args).push
    listed = [column.tolist() for column in bars]
    readings = [push(Hlc(*row)) for row in zip(*listed, strict=True)] if case.of_bars else [*map(push, listed[2])]
    return np.array(readings).reshape(len(readings), -1)


def _push_windows(case: Case, bars: Hlc) -> Floats:
    """Return the lines of the form over windows of many sizes, shape (bars, lines)."""
    push = getattr(vector, case.name)(*case.args).push
    cuts = np.cumsum(np.random.default_rng(1).choice([1, 3, 60, 500, 4096, 20_000], len(bars.close)))
    cuts = cuts[: int(np.searchsorted(cuts, len(bars.close)))]
    windows = zip(*(np.split(column, cuts) for column in bars), strict=True)
    readings = [push(Hlc(*window) if case.of_bars else window[2]) for window in windows]
    return np.concatenate([np.column_stack(r) if isinstance(r, tuple) else r[:, None] for r in readings])


def _differences(got: Floats, expected: Floats, scale: Floats) -> Floats:
    return np.abs(got - expected) / np.maximum(np.abs(expected), scale)


def _stochastic(bars: Hlc, n: int, k: int, d: int) -> tuple[Floats, ...]:
    return talib.STOCH(*bars, fastk_period=n, slowk_period=k, slowd_period=d)


def _adx(bars: Hlc, n: int) -> tuple[Floats, ...]:
    """ADX, and both directional indicators from the first ADX on."""
    adx, plus, minus = talib.ADX(*bars, n), talib.PLUS_DI(*bars, n), talib.MINUS_DI(*bars, n)
    absent = np.isnan(adx)
    return adx, np.where(absent, np.nan, plus), np.where(absent, np.nan, minus)


def _donchian(bars: Hlc, n: int) -> tuple[Floats, ...]:
    upper, lower = talib.MAX(bars.high, n), talib.MIN(bars.low, n)
    return upper, (upper + lower) / 2.0, lower


def _z_score(bars: Hlc, n: int) -> tuple[Floats, ...]:
    """TA-Lib has none: the price minus its SMA, over its STDDEV; NaN where all n prices are equal."""
    all_equal = talib.MAX(bars.close, n) == talib.MIN(bars.close, n)
    deviation = np.where(all_equal, np.nan, talib.STDDEV(bars.close, n))
    return ((bars.close - talib.SMA(bars.close, n)) / deviation,)


def _window(bars: Hlc, row: int, n: int) -> list[Hlc]:
    columns = (column[row + 1 - n : row + 1].tolist() for column in bars)
    return [Hlc(*map(Fraction, values)) for values in zip(*columns, strict=True)]


def _moments(values: list[Fraction]) -> tuple[Fraction, float]:
    mean = sum(values, Fraction(0)) / len(values)
    return mean, math.sqrt(sum(((value - mean) ** 2 for value in values), Fraction(0)) / len(values))


def _exact_bands(window: list[Hlc]) -> tuple[float, ...]:
    mean, deviation = _moments([bar.close for bar in window])
    width = 2 * Fraction(deviation)
    return float(mean + width), float(mean), float(mean - width)


def _exact_z_score(window: list[Hlc]) -> tuple[float, ...]:
    mean, deviation = _moments([bar.close for bar in window])
    return (float(window[-1].close - mean) / deviation if deviation else math.nan,)


def _exact_cci(window: list[Hlc]) -> tuple[float, ...]:
    """Of the typical prices as floats: which float a third of a sum is belongs to the input."""
    typical = [Fraction((float(bar.high) + float(bar.low) + float(bar.close)) / 3.0) for bar in window]
    mean = sum(typical, Fraction(0)) / len(typical)
    spread = sum((abs(value - mean) for value in typical), Fraction(0)) / len(typical)
    distance = typical[-1] - mean
    return (float(distance / (Fraction(0.015) * spread)) if abs(distance) > 2e-14 * typical[-1] else 0.0,)


def _print_speed(bars: Hlc, window: int = 4096) -> None:
    print(f"| indicator | windows of {window:,}, million bars/s | bar by bar, µs |")
    print("| --- | --- | --- |")
    columns = [
        Hlc(*(np.ascontiguousarray(c[at : at + window]) for c in bars)) for at in range(0, len(bars.close), window)
    ]
    listed = [Hlc(*row) for row in zip(*(column.tolist() for column in bars), strict=True)]
    for case in cases((14, 200)):
        windows = columns if case.of_bars else [column.close for column in columns]
        values = listed if case.of_bars else [bar.close for bar in listed]
        of_windows = min(_seconds(getattr(vector, case.name)(*case.args).push, windows) for _ in range(5))
        of_bars = min(_seconds(getattr(indicators, case.name)(*case.args).push, values) for _ in range(2))
        name = f"{case.name}({', '.join(map(str, case.args))})"
        print(f"| {name} | {len(values) / of_windows / 1e6:.1f} | {of_bars / len(values) * 1e6:.2f} |")


def _seconds(push: Callable[[Any], object], values: list[Any]) -> float:
    start = time.perf_counter()
    for value in values:
        push(value)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
