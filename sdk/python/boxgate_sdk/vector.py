"""Rolling values for the vector form: state is carried from window to window, and no result depends on the cuts.

Needs NumPy: install boxgate-sdk[vector]. Every value equals that of boxgate_sdk.rolling to the last bit, because both
add the same numbers in the same order. Prefix sums over a window do not: their rounding depends on where it begins,
and a tie between two averages is then decided by the cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxgate_sdk._block_sums import block_offsets
from boxgate_sdk._extras import extra_missing

try:
    import numpy as np
except ModuleNotFoundError as error:
    raise extra_missing(error, "boxgate_sdk.vector", "vector") from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class RollingSum:
    """The sums of the last n values at each of the values pushed; NaN until there are n."""

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"a rolling sum needs n >= 1, got {n}")
        self.n = n
        self._offsets = {k: offset for offset, k in block_offsets(n)}
        self._tail: Floats = np.full(n - 1, np.nan)

    def push(self, values: Floats) -> Floats:
        """Take the next values, shape (m,), and return the sum up to each, shape (m,)."""
        n, rows = self.n, len(values)
        block = np.concatenate((self._tail, values))
        self._tail = block[rows:].copy()
        # block[i] becomes the sum of 2^k values from i on; the last one of each level ends with the last value.
        total: Floats | None = None
        for k in range(n.bit_length()):
            if k in self._offsets:
                end = len(block) - self._offsets[k]
                part = block[end - rows : end]
                total = part if total is None else part + total
            if k + 1 < n.bit_length():
                half = 1 << k
                block = block[:-half] + block[half:]
        assert total is not None
        return total


class RollingMean:
    """The means of the last n values at each of the values pushed; NaN until there are n."""

    def __init__(self, n: int) -> None:
        self._sum = RollingSum(n)

    def push(self, values: Floats) -> Floats:
        """Take the next values, shape (m,), and return the mean up to each, shape (m,)."""
        total = self._sum.push(values)
        total /= self._sum.n
        return total
