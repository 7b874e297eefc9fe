"""What an indicator over windows takes: columns of finite numbers. The rules are those of the form bar by bar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from boxgate_sdk.errors import IndicatorInputInvalid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

R = TypeVar("R")

_ROWS_MAX = 8192
"""Rows that are worked on at once: the arrays between stay in the cache of the processor. No result depends on it."""


class HighLowCloseColumns(Protocol):
    """What has columns high, low and close of one length: SeriesBars, or anything of your own."""

    @property
    def high(self) -> ArrayLike:
        """Highest price."""
        ...

    @property
    def low(self) -> ArrayLike:
        """Lowest price."""
        ...

    @property
    def close(self) -> ArrayLike:
        """Last price."""
        ...


class _OfColumns(ABC, Generic[R]):
    """Checks the columns, skips what comes before the first number, and works through the rest piece by piece."""

    def __init__(self, warmup_events: int, reading: Callable[..., R]) -> None:
        self.warmup_events = warmup_events
        self._reading = reading
        self._begun = False
        self._rows_max = max(_ROWS_MAX, 4 * warmup_events)

    def _push(self, *columns: ArrayLike) -> R:
        arrays = self._checked(columns)
        rows = len(arrays[0])
        skipped = self._skipped(arrays)
        self._begun = self._begun or skipped < rows
        with np.errstate(all="ignore"):  # NaN until ready, as bar by bar
            pieces = [
                self._next(*(array[at : at + self._rows_max] for array in arrays))
                for at in range(skipped, max(rows, skipped + 1), self._rows_max)
            ]
        absent = np.full(skipped, np.nan)
        return self._reading(*(np.concatenate((absent, *parts)) for parts in zip(*pieces, strict=True)))

    def _checked(self, columns: tuple[ArrayLike, ...]) -> list[Floats]:
        """Return the columns as arrays of one length, −0.0 as 0.0."""
        name = type(self).__name__
        try:
            arrays = [np.asarray(column, dtype=np.float64) + 0.0 for column in columns]
        except (TypeError, ValueError):
            raise IndicatorInputInvalid(name, "columns that hold more than numbers") from None
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1 or any(array.ndim != 1 for array in arrays):
            raise IndicatorInputInvalid(name, f"columns of shape {sorted(shapes)}", "columns of one shape (rows,)")
        return arrays

    def _skipped(self, arrays: list[Floats]) -> int:
        """Return how many rows come before the first number. Raises IndicatorInputInvalid for other holes."""
        absent = ~np.isfinite(arrays[0])
        for array in arrays[1:]:
            absent |= ~np.isfinite(array)
        if not absent.any():
            return 0
        skipped = 0 if self._begun else int(np.argmin(absent)) if not absent.all() else len(absent)
        if any(np.isinf(array[:skipped]).any() for array in arrays):
            skipped = 0
        holes = np.flatnonzero(absent[skipped:])
        if len(holes):
            row = skipped + int(holes[0])
            found = ", ".join(repr(float(array[row])) for array in arrays)
            raise IndicatorInputInvalid(type(self).__name__, f"{found} at row {row}")
        return skipped

    @abstractmethod
    def _next(self, *columns: Any) -> tuple[Floats, ...]:
        """Take columns of finite numbers, shape (rows,), and return the lines, each of this shape."""


class OfValues(_OfColumns[R]):
    """An indicator of one column. warmup_events: the rows after which it is ready."""

    def push(self, values: ArrayLike) -> R:
        """Take the next values, shape (rows,); return arrays of the same shape. Raises IndicatorInputInvalid."""
        return self._push(values)


class OfBars(_OfColumns[R]):
    """An indicator of high, low and close. warmup_events: the rows after which it is ready."""

    def push(self, bars: HighLowCloseColumns) -> R:
        """Take the next bars, columns of shape (rows,); return arrays of this shape. Raises IndicatorInputInvalid."""
        return self._push(bars.high, bars.low, bars.close)


class Before:
    """The value of the row before, across windows; NaN before the first."""

    def __init__(self) -> None:
        self._last = np.full(1, np.nan)

    def push(self, values: Floats) -> Floats:
        """Take the next values and return for each the one before it."""
        both = np.concatenate((self._last, values))
        self._last = both[-1:].copy()
        return both[:-1]


def alone(values: Floats) -> Floats:
    """Return the only line of an indicator."""
    return values
