"""Sum and squared deviations of the last n values: boxgate_sdk.indicators.moments over columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Moments:
    """(Σ (v − newest), Σ (v − mean)²) over the last n values up to each; NaN until there are n."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._tail: Floats = np.full(n - 1, np.nan)

    def push(self, newest: Floats) -> tuple[Floats, Floats]:
        """Take the next values, shape (rows,), and return both sums, shape (rows,)."""
        n, rows = self.n, len(newest)
        values = np.concatenate((self._tail, newest))
        self._tail = values[rows:].copy()
        sums, squares = np.zeros_like(values), np.zeros_like(values)
        total, square = sums[:0], squares[:0]
        size = 0.0
        for k in range(n.bit_length()):
            half = 1 << k
            if n >> k & 1:
                end = len(values) - int(size)
                block = slice(end - rows, end)
                if not size:
                    total, square = sums[block], squares[block]
                else:
                    apart = values[block] - newest
                    between = (sums[block] / half + apart) - total / size
                    square = (square + squares[block]) + between * between * (size * half / (size + half))
                    total = total + (sums[block] + half * apart)
                size += half
            if 2 * half <= n:
                apart = values[:-half] - values[half:]
                older, newer = sums[:-half], sums[half:]
                between = (older - newer) / half + apart
                sums = _behind(half, (older + half * apart) + newer)
                squares = _behind(half, (squares[:-half] + squares[half:]) + between * between * (half / 2.0))
        return total, square


def _behind(rows: int, values: Floats) -> Floats:
    """Return the values behind rows of NaN."""
    whole = np.empty(rows + len(values))
    whole[:rows] = np.nan
    whole[rows:] = values
    return whole
