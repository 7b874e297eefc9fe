"""Where the price is between the highest high and the lowest low."""

from __future__ import annotations

from math import nan

from boxgate_sdk.indicators.extremes import Extremes
from boxgate_sdk.indicators.inputs import OfBars, length
from boxgate_sdk.indicators.readings import Bands, StochasticLines
from boxgate_sdk.rolling import RollingMean

FLAT = 1e-14
"""Highest and lowest are equal if they differ by less than this part of their sum, as in TA-Lib."""


class Donchian(OfBars[Bands[float]]):
    """The highest high and the lowest low of the last n bars, this one among them, and their middle.

    A breakout is told by the channel of the bars before: read `value` before the push.
    """

    __slots__ = ("_extremes", "n")

    def __init__(self, n: int) -> None:
        self.n = length("Donchian", "n", n, 1)
        super().__init__(Bands(nan, nan, nan), self.n)
        self._extremes = Extremes(self.n)

    def _next(self, high: float, low: float, close: float) -> Bands[float]:
        upper, lower = self._extremes.push(high, low)
        return Bands(upper, (upper + lower) / 2.0, lower)


class Stochastic(OfBars[StochasticLines[float]]):
    """The place of the close in the range of the last n bars, percent: k its mean of k, d the mean of that of d.

    0 where the range is 0, as in TA-Lib.
    """

    __slots__ = ("_d", "_extremes", "_k")

    def __init__(self, n: int = 5, k: int = 3, d: int = 3) -> None:
        n = length("Stochastic", "n", n, 1)
        k, d = length("Stochastic", "k", k, 1), length("Stochastic", "d", d, 1)
        super().__init__(StochasticLines(nan, nan), n + k + d - 2)
        self._extremes = Extremes(n)
        self._k, self._d = RollingMean(k), RollingMean(d)

    def _next(self, high: float, low: float, close: float) -> StochasticLines[float]:
        highest, lowest = self._extremes.push(high, low)
        height = highest - lowest
        flat = height <= FLAT * (abs(highest) + abs(lowest))
        k = self._k.push(0.0 if flat else 100.0 * ((close - lowest) / height))
        d = self._d.push(k)
        return StochasticLines(k if d == d else nan, d)  # noqa: PLR0124  # NaN until both are there
