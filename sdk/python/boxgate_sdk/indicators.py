"""Indicators for the per-bar form: one object per series, one push per bar."""

from __future__ import annotations

from math import isnan, nan

from boxgate_sdk.events import Bar


class Ema:
    """The exponential mean with weight 2 / (n + 1), begun with the first value; NaN before.

    It never forgets wholly: after 4 n values 0.03 % of the first is left.
    """

    __slots__ = ("_weight", "value")

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"an exponential mean needs n >= 1, got {n}")
        self._weight = 2.0 / (n + 1.0)
        self.value = nan

    def push(self, value: float) -> float:
        """Take the next value and return the mean."""
        before = self.value
        self.value = value if isnan(before) else before + self._weight * (value - before)
        return self.value


class Atr:
    """The average true range as Wilder smoothed it, weight 1 / n, begun with the first bar; NaN before."""

    __slots__ = ("_close", "n", "value")

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"an average true range needs n >= 1, got {n}")
        self.n = n
        self.value = nan
        self._close = nan

    def push(self, bar: Bar) -> float:
        """Take the next bar and return the average, quote currency."""
        close = self._close
        first = isnan(close)
        true_range = bar.high - bar.low if first else max(bar.high, close) - min(bar.low, close)
        self._close = bar.close
        self.value = true_range if first else self.value + (true_range - self.value) / self.n
        return self.value
