"""How far a value is from the mean of the last n, and how far the others are, over columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxgate_sdk.indicators import deviations as by_bar
from boxgate_sdk.indicators.readings import Bands
from boxgate_sdk.indicators.vector.inputs import OfBars, OfValues, alone
from boxgate_sdk.indicators.vector.moments import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Bollinger(OfValues[Bands["Floats"]]):
    """The mean of the last n values, and lines `deviations` standard deviations (divisor n) above and below it."""

    def __init__(self, n: int = 20, deviations: float = 2.0) -> None:
        super().__init__(by_bar.Bollinger(n, deviations).warmup_events, Bands)
        self.n = n
        self._deviations = float(deviations)
        self._moments = Moments(n)

    def _next(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        total, squares = self._moments.push(values)
        middle = values + total / self.n
        width = self._deviations * np.sqrt(squares / self.n)
        return middle + width, middle, middle - width


class ZScore(OfValues["Floats"]):
    """The distance from the mean of the last n values, standard deviations (divisor n); NaN where all are equal."""

    def __init__(self, n: int) -> None:
        super().__init__(by_bar.ZScore(n).warmup_events, alone)
        self.n = n
        self._moments = Moments(n)

    def _next(self, values: Floats) -> tuple[Floats]:
        total, squares = self._moments.push(values)
        deviation = np.sqrt(squares / self.n)
        return (np.where(deviation == 0.0, np.nan, (-total / self.n) / deviation),)


class Cci(OfBars["Floats"]):
    """The distance of the typical price from its mean of n, over 0.015 mean absolute deviations. O(n) per bar."""

    def __init__(self, n: int) -> None:
        super().__init__(by_bar.Cci(n).warmup_events, alone)
        self.n = n
        self._moments = Moments(n)
        self._tail: Floats = np.full(n - 1, np.nan)

    def _next(self, high: Floats, low: Floats, close: Floats) -> tuple[Floats]:
        typical = (high + low + close) / 3.0
        rows = len(typical)
        values = np.concatenate((self._tail, typical))
        self._tail = values[rows:].copy()
        offset = self._moments.push(typical)[0] / self.n
        total, distance = np.zeros(rows), np.empty(rows)
        for at in range(self.n):  # the oldest first, as bar by bar
            np.subtract(values[at : at + rows], typical, out=distance)
            np.subtract(distance, offset, out=distance)
            np.abs(distance, out=distance)
            total += distance
        flat = np.abs(offset) <= by_bar.FLAT * np.abs(typical)
        return (np.where(flat, 0.0, -offset / (0.015 * (total / self.n))),)
