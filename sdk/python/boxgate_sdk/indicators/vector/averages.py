"""Moving averages over columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxgate_sdk.indicators import averages
from boxgate_sdk.indicators.readings import MacdLines
from boxgate_sdk.indicators.smoothing import exponential
from boxgate_sdk.indicators.vector.inputs import OfValues, alone
from boxgate_sdk.vector import RollingMean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Sma(OfValues["Floats"]):
    """The mean of the last n values."""

    def __init__(self, n: int) -> None:
        super().__init__(averages.Sma(n).warmup_events, alone)
        self._mean = RollingMean(n)

    def _next(self, values: Floats) -> tuple[Floats]:
        return (self._mean.push(values),)


class Ema(OfValues["Floats"]):
    """The exponential mean with weight 2 / (n + 1), begun with the mean of the first n values."""

    def __init__(self, n: int) -> None:
        super().__init__(averages.Ema(n).warmup_events, alone)
        self._mean = exponential(n)

    def _next(self, values: Floats) -> tuple[Floats]:
        return (np.array(self._mean.push_all(values.tolist())),)


class Wma(OfValues["Floats"]):
    """The mean of the last n values with weights 1, 2, …, n, the newest heaviest."""

    def __init__(self, n: int) -> None:
        super().__init__(averages.Wma(n).warmup_events, alone)
        self.n = n
        self._tail: Floats = np.full(n - 1, np.nan)

    def _next(self, values: Floats) -> tuple[Floats]:
        n, rows = self.n, len(values)
        sums = np.concatenate((self._tail, values))
        self._tail = sums[rows:].copy()
        weighted = sums
        total = np.zeros(rows)
        offset = 0
        # sums[i] and weighted[i] are those of the `size` values from i on.
        for k in range(n.bit_length()):
            size = 1 << k
            if n >> k & 1:
                at = slice(n - offset - size, n - offset - size + rows)
                total += weighted[at] + (n - offset - size) * sums[at]
                offset += size
            if 2 * size <= n:
                weighted = (weighted[:-size] + weighted[size:]) + size * sums[size:]
                sums = sums[:-size] + sums[size:]
        return (total / (n * (n + 1) / 2.0),)


class Macd(OfValues[MacdLines["Floats"]]):
    """The fast exponential mean minus the slow one, and the exponential mean of that."""

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        super().__init__(averages.Macd(fast, slow, signal).warmup_events, MacdLines)
        self._early = slow - fast
        self._fast, self._slow, self._signal = exponential(fast), exponential(slow), exponential(signal)

    def _next(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        listed = values.tolist()
        early = min(self._early, len(listed))
        self._early -= early
        unready = min(max(self._slow.seeding - 1, 0), len(listed))
        slow = np.array(self._slow.push_all(listed))
        fast = np.array([np.nan] * early + self._fast.push_all(listed[early:]))
        macd = fast - slow
        missing = self._signal.seeding
        signal = np.array([np.nan] * unready + self._signal.push_all(macd[unready:].tolist()))
        macd[: unready + max(missing - 1, 0)] = np.nan
        return macd, signal, macd - signal
