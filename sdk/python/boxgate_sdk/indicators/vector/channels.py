"""Where the price is between the highest high and the lowest low, over columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxgate_sdk.indicators import channels
from boxgate_sdk.indicators.readings import Bands, StochasticLines
from boxgate_sdk.indicators.vector.extremes import Highest, Lowest
from boxgate_sdk.indicators.vector.inputs import OfBars
from boxgate_sdk.vector import RollingMean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Donchian(OfBars[Bands["Floats"]]):
    """The highest high and the lowest low of the last n bars, this one among them, and their middle."""

    def __init__(self, n: int) -> None:
        super().__init__(channels.Donchian(n).warmup_events, Bands)
        self._highest, self._lowest = Highest(n), Lowest(n)

    def _next(self, high: Floats, low: Floats, close: Floats) -> tuple[Floats, Floats, Floats]:
        upper, lower = self._highest.push(high), self._lowest.push(low)
        return upper, (upper + lower) / 2.0, lower


class Stochastic(OfBars[StochasticLines["Floats"]]):
    """The place of the close in the range of the last n bars, percent: k its mean of k, d the mean of that of d."""

    def __init__(self, n: int = 5, k: int = 3, d: int = 3) -> None:
        super().__init__(channels.Stochastic(n, k, d).warmup_events, StochasticLines)
        self._highest, self._lowest = Highest(n), Lowest(n)
        self._k, self._d = RollingMean(k), RollingMean(d)

    def _next(self, high: Floats, low: Floats, close: Floats) -> tuple[Floats, Floats]:
        highest, lowest = self._highest.push(high), self._lowest.push(low)
        height = highest - lowest
        flat = height <= channels.FLAT * (np.abs(highest) + np.abs(lowest))
        k = self._k.push(np.where(flat, 0.0, 100.0 * ((close - lowest) / height)))
        d = self._d.push(k)
        return np.where(np.isnan(d), np.nan, k), d
