"""The highest high and the lowest low of the last n bars."""

from __future__ import annotations

from collections import deque
from math import nan


class Extremes:
    """(highest, lowest) of the last n bars; NaN until there are n. A few comparisons per bar, whatever n."""

    __slots__ = ("_count", "_highs", "_lows", "n")

    def __init__(self, n: int) -> None:
        self.n = n
        self._count = 0
        # Only those that no later one has passed, so the first is the extreme.
        self._highs: deque[tuple[float, int]] = deque()
        self._lows: deque[tuple[float, int]] = deque()

    def push(self, high: float, low: float) -> tuple[float, float]:
        """Take the next bar and return the extremes of the last n."""
        count = self._count
        self._count = count + 1
        highs, lows = self._highs, self._lows
        while highs and highs[-1][0] <= high:
            highs.pop()
        while lows and lows[-1][0] >= low:
            lows.pop()
        highs.append((high, count))
        lows.append((low, count))
        gone = count - self.n
        if highs[0][1] == gone:
            highs.popleft()
        if lows[0][1] == gone:
            lows.popleft()
        return (highs[0][0], lows[0][0]) if gone >= -1 else (nan, nan)
