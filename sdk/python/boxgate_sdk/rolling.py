"""Rolling values for the per-bar form, equal to the last bit to those of boxgate_sdk.vector.

Sums are taken afresh for each bar over its n values, in one fixed order: blocks of the powers of two that make up n,
the newest and smallest block first, each block halved down to single values. So a sum depends on its n values alone,
not on how many came before or where a window was cut (a running sum, add the new and subtract the old, does).
"""

from __future__ import annotations

from collections import deque
from math import fsum, nan, sqrt


class RollingSum:
    """The sum of the last n values; NaN until there are n. O(log n) additions per value."""

    __slots__ = ("_blocks", "_levels", "_newest", "_older", "_place", "n")

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"a rolling sum needs n >= 1, got {n}")
        self.n = n
        self._place = -1
        # _blocks[k] is a ring: at place i the sum of the 2^k values up to i, NaN where there are fewer.
        self._blocks = [[nan] * n for _ in range(n.bit_length())]
        self._levels = [(1 << k, self._blocks[k], self._blocks[k + 1]) for k in range(n.bit_length() - 1)]
        (_, self._newest), *self._older = [(offset, self._blocks[k]) for offset, k in block_offsets(n)]

    def push(self, value: float) -> float:
        """Take the next value and return the sum of the last n."""
        n = self.n
        place = self._place + 1
        if place == n:
            place = 0
        self._place = place
        self._blocks[0][place] = value
        for half, smaller, larger in self._levels:
            # A negative index wraps round the ring by itself.
            larger[place] = smaller[place - half] + smaller[place]
        total = self._newest[place]
        for offset, block in self._older:
            total = block[place - offset] + total
        return total


class RollingMean:
    """The mean of the last n values; NaN until there are n."""

    __slots__ = ("_sum",)

    def __init__(self, n: int) -> None:
        self._sum = RollingSum(n)

    def push(self, value: float) -> float:
        """Take the next value and return the mean of the last n."""
        return self._sum.push(value) / self._sum.n


class RollingDeviation:
    """Mean and standard deviation (divisor n) of the last n values; NaN until there are n. O(n) per value.

    Two passes with exact sums (math.fsum): no cancellation, and the built-in sum differs between Python versions.
    """

    __slots__ = ("_values", "n")

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"a rolling deviation needs n >= 1, got {n}")
        self.n = n
        self._values: deque[float] = deque(maxlen=n)

    def push(self, value: float) -> tuple[float, float]:
        """Take the next value and return (mean, deviation) of the last n."""
        values = self._values
        values.append(value)
        n = self.n
        if len(values) < n:
            return nan, nan
        mean = fsum(values) / n
        return mean, sqrt(fsum([(v - mean) * (v - mean) for v in values]) / n)


def block_offsets(n: int) -> list[tuple[int, int]]:
    """Return (offset, k) for each block of 2^k values that makes up n; the newest value has offset 0."""
    offsets = []
    offset = 0
    for k in range(n.bit_length()):
        if n >> k & 1:
            offsets.append((offset, k))
            offset += 1 << k
    return offsets
