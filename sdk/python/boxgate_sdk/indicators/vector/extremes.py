"""The highest and the lowest of the last n values, over columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Highest:
    """The highest of the last n values up to each; NaN until there are n."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._tail: Floats = np.full(n - 1, np.nan)

    def push(self, values: Floats) -> Floats:
        """Take the next values, shape (rows,), and return the highest up to each, shape (rows,)."""
        rows = len(values)
        block = np.concatenate((self._tail, values))
        self._tail = block[rows:].copy()
        width = 1  # block[i] is the highest of `width` values from i on
        while 2 * width <= self.n:
            block = np.maximum(block[:-width], block[width:])
            width *= 2
        return np.maximum(block[:rows], block[self.n - width : self.n - width + rows])


class Lowest:
    """The lowest of the last n values up to each; NaN until there are n."""

    def __init__(self, n: int) -> None:
        self._highest = Highest(n)

    def push(self, values: Floats) -> Floats:
        """Take the next values, shape (rows,), and return the lowest up to each, shape (rows,)."""
        return 0.0 - self._highest.push(-values)
