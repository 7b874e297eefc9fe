"""Sum and squared deviations of the last n values, exact for prices of 100,000 that move by 0.01 too."""

from __future__ import annotations

from math import nan

from boxgate_sdk._block_sums import block_offsets


class Moments:
    """The sum of the distances of the last n values from the newest, and of the squared ones from their mean.

    Blocks of powers of two, as in boxgate_sdk.rolling, so the result depends on the n values alone. Distances are taken
    between neighbouring blocks, where the subtraction of prices is exact, and squares are only ever added: the
    mean of the squares minus the square of the mean would lose all digits that the price and its moves do not share.
    """

    __slots__ = ("_levels", "_newest", "_older", "_place", "_values", "n")

    def __init__(self, n: int) -> None:
        self.n = n
        self._place = -1
        self._values = [nan] * n
        # At place i of level k: both sums over the 2^k values up to i, relative to value i.
        sums: list[list[float]] = [[0.0] * n] + [[nan] * n for _ in range(n.bit_length() - 1)]
        squares: list[list[float]] = [[0.0] * n] + [[nan] * n for _ in range(n.bit_length() - 1)]
        self._levels = [(1 << k, sums[k], squares[k], sums[k + 1], squares[k + 1]) for k in range(n.bit_length() - 1)]
        (_, newest), *older = block_offsets(n)
        self._newest = (1 << newest, sums[newest], squares[newest])
        self._older = [(offset, float(1 << k), sums[k], squares[k]) for offset, k in older]

    def push(self, value: float) -> tuple[float, float]:
        """Take the next value; return (Σ (v − value), Σ (v − mean)²) over the last n, NaN until there are n."""
        values = self._values
        i = self._place + 1
        if i == self.n:
            i = 0
        self._place = i
        values[i] = value
        for half, sums, squares, larger_sums, larger_squares in self._levels:
            j = i - half  # a negative index wraps round the ring by itself
            apart = values[j] - value
            older, newer = sums[j], sums[i]
            between = (older - newer) / half + apart
            larger_sums[i] = (older + half * apart) + newer
            larger_squares[i] = (squares[j] + squares[i]) + between * between * (half / 2.0)
        count, sums, squares = self._newest
        total, square = sums[i], squares[i]
        size = float(count)
        for offset, added, sums, squares in self._older:
            j = i - offset
            apart = values[j] - value
            between = (sums[j] / added + apart) - total / size
            square = (square + squares[j]) + between * between * (size * added / (size + added))
            total += sums[j] + added * apart
            size += added
        return total, square
