"""How far a value is from the mean of the last n, and how far the others are."""

from __future__ import annotations

from collections import deque
from math import nan, sqrt

from boxgate_sdk.indicators.inputs import OfBars, OfValues, factor, length
from boxgate_sdk.indicators.moments import Moments
from boxgate_sdk.indicators.readings import Bands

FLAT = 2e-14
"""A typical price is at its mean if it is nearer than this part of itself, as in TA-Lib."""


class Bollinger(OfValues[Bands[float]]):
    """The mean of the last n values, and lines `deviations` standard deviations (divisor n) above and below it."""

    __slots__ = ("_deviations", "_moments", "n")

    def __init__(self, n: int = 20, deviations: float = 2.0) -> None:
        self.n = length("Bollinger", "n", n, 2)
        super().__init__(Bands(nan, nan, nan), self.n)
        self._deviations = factor("Bollinger", "deviations", deviations)
        self._moments = Moments(self.n)

    def _next(self, value: float) -> Bands[float]:
        total, squares = self._moments.push(value)
        middle = value + total / self.n
        width = self._deviations * sqrt(squares / self.n)
        return Bands(middle + width, middle, middle - width)


class ZScore(OfValues[float]):
    """The distance from the mean of the last n values, standard deviations (divisor n); NaN where all are equal."""

    __slots__ = ("_moments", "n")

    def __init__(self, n: int) -> None:
        self.n = length("ZScore", "n", n, 2)
        super().__init__(nan, self.n)
        self._moments = Moments(self.n)

    def _next(self, value: float) -> float:
        total, squares = self._moments.push(value)
        deviation = sqrt(squares / self.n)
        return (-total / self.n) / deviation if deviation else nan


class Cci(OfBars[float]):
    """The distance of the typical price from its mean of n, over 0.015 mean absolute deviations. O(n) per bar.

    The typical price is (high + low + close) / 3. 0 where it is its mean, as in TA-Lib.
    """

    __slots__ = ("_moments", "_typical", "n")

    def __init__(self, n: int) -> None:
        self.n = length("Cci", "n", n, 2)
        super().__init__(nan, self.n)
        self._moments = Moments(self.n)
        self._typical: deque[float] = deque(maxlen=self.n)

    def _next(self, high: float, low: float, close: float) -> float:
        typical = (high + low + close) / 3.0
        self._typical.append(typical)
        offset = self._moments.push(typical)[0] / self.n
        if abs(offset) <= FLAT * abs(typical):
            return 0.0
        total = 0.0
        for value in self._typical:  # not sum(): it adds otherwise from Python 3.12 on
            total += abs((value - typical) - offset)
        return -offset / (0.015 * (total / self.n))
