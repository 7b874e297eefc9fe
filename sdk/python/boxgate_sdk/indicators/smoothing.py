"""A mean that remembers everything ever less: the recursion behind Ema, Macd, Rsi, Atr and Adx."""

from __future__ import annotations

from math import nan


class Smoothing:
    """mean + weight · (value − mean), begun with the sum of the first `seed` values over `divisor`; NaN before.

    One value after the other is the only order that gives equal bits wherever windows are cut; so this is plain Python
    in both forms, and push_all is as fast as a loop can be.
    """

    __slots__ = ("_divisor", "_total", "_weight", "seeding", "value")

    def __init__(self, seed: int, weight: float, divisor: int) -> None:
        self.seeding = seed
        """Values that are still missing to the first mean."""
        self.value = nan
        self._total = 0.0
        self._weight = weight
        self._divisor = divisor

    def push(self, value: float) -> float:
        """Take the next value and return the mean."""
        if self.seeding:
            self._total += value
            self.seeding -= 1
            if not self.seeding:
                self.value = self._total / self._divisor
            return self.value
        mean = self.value
        self.value = mean = mean + self._weight * (value - mean)
        return mean

    def hold(self) -> float:
        """Take an event without a value: 0 while seeding, no change after."""
        return self.push(0.0) if self.seeding else self.value

    def push_all(self, values: list[float]) -> list[float]:
        """Take the next values and return the mean after each."""
        first = [self.push(value) for value in values[: self.seeding]]
        mean, weight = self.value, self._weight
        means = [mean := mean + weight * (value - mean) for value in values[len(first) :]]
        self.value = mean
        return first + means


def exponential(n: int) -> Smoothing:
    """Return the smoothing with weight 2 / (n + 1), begun with the mean of the first n values."""
    return Smoothing(n, 2.0 / (n + 1.0), n)


def wilder(n: int) -> Smoothing:
    """Return the smoothing with weight 1 / n, begun with the mean of the first n values."""
    return Smoothing(n, 1.0 / n, n)
