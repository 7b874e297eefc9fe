"""Rolling values for the per-bar form, equal to the last bit to those of boxgate_sdk.vector.

Sums are taken afresh for each bar over its n values, in one fixed order: blocks of the powers of two that make up n,
the newest and smallest block first, each block halved down to single values. So a sum depends on its n values alone,
not on how many came before or where a window was cut (a running sum, add the new and subtract the old, does).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import fsum, nan, sqrt
from typing import Any

from boxgate_sdk._block_sums import Sums, begin_sums, state_of


class _Rolling:
    """Sums or means of the last n values."""

    __slots__ = {"_sums": None, "n": "Values that are summed.", "push": "Take the next value, a float."}
    _mean: bool

    push: Callable[[float], float]

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"a rolling sum needs n >= 1, got {n}")
        self._begin(n, None)

    def _begin(self, n: int, state: tuple[Any, ...] | None) -> None:
        self.n = n
        self._sums: Sums = begin_sums(n, mean=self._mean, state=state)
        self.push = self._sums.send

    def __getstate__(self) -> tuple[Any, ...]:
        return self.n, state_of(self._sums)

    def __setstate__(self, state: tuple[int, tuple[Any, ...]]) -> None:
        self._begin(*state)


class RollingSum(_Rolling):
    """The sum of the last n values; NaN until there are n. O(log n) additions per value.

    push(value) takes the next value and returns the sum. What is no number is a TypeError, and ends it.
    """

    __slots__ = ()
    _mean = False


class RollingMean(_Rolling):
    """The mean of the last n values; NaN until there are n. push as in RollingSum."""

    __slots__ = ()
    _mean = True


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
