"""What J. Welles Wilder smoothed with weight 1 / n: strength, range and direction."""

from __future__ import annotations

from math import isnan, nan

from boxgate_sdk.indicators.inputs import OfBars, OfValues, length
from boxgate_sdk.indicators.readings import AdxLines
from boxgate_sdk.indicators.smoothing import Smoothing, wilder


class Rsi(OfValues[float]):
    """The part of the rises in all changes, percent, both smoothed over n; 0 where nothing has changed, as in TA-Lib.

    The first value comes with the n-th change, so at event n + 1.
    """

    __slots__ = ("_before", "_gains", "_losses", "n")

    def __init__(self, n: int) -> None:
        self.n = length("Rsi", "n", n, 2)
        super().__init__(nan, self.n + 1)
        self._before = nan
        self._gains, self._losses = wilder(self.n), wilder(self.n)

    def _next(self, value: float) -> float:
        change = value - self._before
        self._before = value
        if isnan(change):
            return nan
        gain = self._gains.push(change if change > 0.0 else 0.0)
        moved = gain + self._losses.push(-change if change < 0.0 else 0.0)
        return 100.0 * (gain / moved) if moved else 0.0


class Atr(OfBars[float]):
    """The average true range, smoothed over n. A range needs the close before, so the first value is at event n + 1."""

    __slots__ = ("_before", "_range", "n")

    def __init__(self, n: int) -> None:
        self.n = length("Atr", "n", n, 1)
        super().__init__(nan, self.n + 1)
        self._before = nan
        self._range = wilder(self.n)

    def _next(self, high: float, low: float, close: float) -> float:
        before, self._before = self._before, close
        if isnan(before):
            return nan
        return self._range.push(max(high, before) - min(low, before))


class Adx(OfBars[AdxLines[float]]):
    """The average directional index of n with both directional indicators, percent; first at event 2 n.

    The moves are begun as in TA-Lib, with the sum of the first n − 1 over n.
    """

    __slots__ = ("_before", "_index", "_minus", "_moves", "_plus", "_range", "n")

    def __init__(self, n: int) -> None:
        self.n = n = length("Adx", "n", n, 2)
        super().__init__(AdxLines(nan, nan, nan), 2 * n)
        self._before = (nan, nan, nan)
        self._moves = 0
        self._plus, self._minus, self._range = (Smoothing(n - 1, 1.0 / n, n) for _ in range(3))
        self._index = wilder(n)

    def _next(self, high: float, low: float, close: float) -> AdxLines[float]:
        high_before, low_before, close_before = self._before
        self._before = (high, low, close)
        if isnan(close_before):
            return self.value
        up, down = high - high_before, low_before - low
        plus = self._plus.push(up if up > down and up > 0.0 else 0.0)
        minus = self._minus.push(down if down > up and down > 0.0 else 0.0)
        true_range = self._range.push(max(high, close_before) - min(low, close_before))
        self._moves += 1
        if self._moves < self.n:
            return self.value
        plus_di = 100.0 * (plus / true_range) if true_range else 0.0
        minus_di = 100.0 * (minus / true_range) if true_range else 0.0
        both = plus_di + minus_di
        adx = self._index.push(100.0 * (abs(plus_di - minus_di) / both)) if both else self._index.hold()
        return self.value if self._index.seeding else AdxLines(adx, plus_di, minus_di)
