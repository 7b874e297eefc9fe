"""The Kalman filter of a level that wanders: x(t) = x(t−1) + w, price = x(t) + v, with variances q of w and r of v."""

from __future__ import annotations

from math import ceil, sqrt


class KalmanMean:
    """The filtered level of a series of prices. value: the level after the last push, NaN before the first.

    q, r: variances, both > 0. Only their ratio counts: the filter begins at the first price with the variance r, so
    multiplying both by the same number changes nothing. The larger q is beside r, the faster it follows.
    """

    def __init__(self, q: float, r: float) -> None:
        self.q = q
        self.r = r
        self.value = float("nan")
        self.variance = r

    def push(self, price: float) -> float:
        """Take the next price, finite, and return the level."""
        if self.value != self.value:  # NaN: the first price
            self.value = price
            return price
        predicted = self.variance + self.q
        gain = predicted / (predicted + self.r)
        self.value += gain * (price - self.value)
        self.variance = (1.0 - gain) * predicted
        return self.value


def memory_bars(q: float, r: float) -> int:
    """Return the bars after which less than e⁻⁸ = 0.03 % of where the filter began is left."""
    ratio = q / r
    gain = 2.0 * ratio / (sqrt(ratio * ratio + 4.0 * ratio) + ratio)  # where it no longer changes
    return ceil(8.0 / gain)
