"""Columns as arrays, and numbers that are finite or undefined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Figures = dict[str, float | int | None]
"""Metrics of one group by name."""

DAY_NS: Final = 86_400_000_000_000
YEAR_NS: Final = 31_557_600_000_000_000
"""365.25 days."""

_BLOCK_BITS: Final = 15
_BLOCK: Final = 1 << _BLOCK_BITS
_FEW: Final = 256
_HUGE: Final = 2.0**900


def floats(column: pa.ChunkedArray) -> Float64Array:
    """Return a column of doubles as an array of shape (n,)."""
    values: Float64Array = column.to_numpy()
    return values


def integers(column: pa.ChunkedArray) -> Int64Array:
    """Return a column of integers or times as an array of shape (n,)."""
    values: Int64Array = column.cast(pa.int64()).to_numpy()
    return values


def finite(value: float) -> float | None:
    """Return the value, 0.0 for -0.0, None if it is beyond the doubles."""
    return float(value) + 0.0 if math.isfinite(value) else None


def ratio(above: float, below: float) -> float | None:
    """Return above / below, None if that is undefined."""
    return None if below == 0.0 else finite(above / below)


def total(values: Float64Array) -> float | None:
    """Return the correctly rounded sum."""
    return finite(exact_sum(values))


def mean(values: Float64Array) -> float | None:
    """Return the mean by a correctly rounded sum, None of nothing."""
    return finite(exact_sum(values) / len(values)) if len(values) else None


def correlation(one: Sequence[float] | Float64Array, other: Sequence[float] | Float64Array) -> float | None:
    """Return Pearson's correlation, None below two pairs or where one side is constant."""
    first, second = np.asarray(one), np.asarray(other)
    if len(first) < 2 or first.min() == first.max() or second.min() == second.max():
        return None
    first, second = first - exact_sum(first) / len(first), second - exact_sum(second) / len(second)
    scale = math.sqrt(exact_sum(first * first)) * math.sqrt(exact_sum(second * second))
    return ratio(exact_sum(first * second), scale)


def exact_sum(values: Float64Array) -> float:
    """Return `math.fsum` of an array of shape (n,): the sum of all, rounded once."""
    summed = ExactSum()
    summed.add(values)
    return summed.value()


class ExactSum:
    """The sum of many arrays, as `math.fsum` gives it of all their values, at the speed of array arithmetic.

    Each block is split into few parts whose sums have no rounding, whatever their order. Source: Rump, Ogita, Oishi,
    Accurate Floating-Point Summation, Part I, 2008, algorithm 3.2 (ExtractVector).
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._parts: list[float] = []

    def add(self, values: Float64Array) -> None:
        """Add an array of shape (n,)."""
        if len(values) <= _FEW:
            self._parts += values.tolist()
            return
        room = np.empty((2, min(len(values), _BLOCK)))
        for start in range(0, len(values), _BLOCK):
            self._add_block(values[start : start + _BLOCK], room)

    def value(self) -> float:
        """Return the sum of all that was added, rounded once."""
        return math.fsum(self._parts)

    def _add_block(self, rest: Float64Array, room: Float64Array) -> None:
        high, low = room[:, : len(rest)]
        while largest := max(float(rest.max()), -float(rest.min())):
            if not largest < _HUGE:  # NaN too
                self._parts += rest.tolist()
                return
            # All are below 2^-16 of this power of two, and they are fewer than 2^16. So what is left of each after it
            # was added and taken away is a multiple of 2^-53 of it, and the sum of all such has no more than 53 digits.
            power = math.ldexp(1.0, math.frexp(largest)[1] + _BLOCK_BITS + 1)
            np.add(rest, power, out=high)
            np.subtract(high, power, out=high)
            self._parts.append(float(high.sum()))
            rest = np.subtract(rest, high, out=low)
