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


def total(values: Sequence[float] | Float64Array) -> float | None:
    """Return the correctly rounded sum."""
    return finite(math.fsum(values))


def mean(values: Sequence[float] | Float64Array) -> float | None:
    """Return the mean by a correctly rounded sum, None of nothing."""
    return finite(math.fsum(values) / len(values)) if len(values) else None


def correlation(one: Sequence[float] | Float64Array, other: Sequence[float] | Float64Array) -> float | None:
    """Return Pearson's correlation, None below two pairs or where one side is constant."""
    if len(one) < 2 or min(one) == max(one) or min(other) == max(other):
        return None
    first, second = np.asarray(one) - math.fsum(one) / len(one), np.asarray(other) - math.fsum(other) / len(other)
    scale = math.sqrt(math.fsum(first * first)) * math.sqrt(math.fsum(second * second))
    return ratio(math.fsum(first * second), scale)
