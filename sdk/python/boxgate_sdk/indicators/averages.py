"""Moving averages, and the distance between two of them."""

from __future__ import annotations

from math import nan

from boxgate_sdk._block_sums import block_offsets
from boxgate_sdk.errors import IndicatorLengthInvalid
from boxgate_sdk.indicators.inputs import OfValues, length
from boxgate_sdk.indicators.readings import MacdLines
from boxgate_sdk.indicators.smoothing import exponential
from boxgate_sdk.rolling import RollingMean


class Sma(OfValues[float]):
    """The mean of the last n values."""

    __slots__ = ("_mean", "n")

    def __init__(self, n: int) -> None:
        self.n = length("Sma", "n", n, 1)
        super().__init__(nan, self.n)
        self._mean = RollingMean(self.n)

    def push(self, value: float) -> float:
        """As OfValues; the usual case by itself, because this is the indicator that most strategies push most."""
        if type(value) is float and value - value == 0.0:
            self._begun = True
            self.value = mean = self._mean.push(value + 0.0)
            return mean
        return super().push(value)

    def _next(self, value: float) -> float:
        return self._mean.push(value)


class Ema(OfValues[float]):
    """The exponential mean with weight 2 / (n + 1), begun with the mean of the first n values.

    It never forgets wholly: 4 n values later 0.03 % of what it began with is left.
    """

    __slots__ = ("_mean", "n")

    def __init__(self, n: int) -> None:
        self.n = length("Ema", "n", n, 1)
        super().__init__(nan, self.n)
        self._mean = exponential(self.n)

    def _next(self, value: float) -> float:
        return self._mean.push(value)


class Wma(OfValues[float]):
    """The mean of the last n values with weights 1, 2, …, n, the newest heaviest."""

    __slots__ = ("_blocks", "_divisor", "_levels", "_newest", "_place", "n")

    def __init__(self, n: int) -> None:
        self.n = n = length("Wma", "n", n, 1)
        super().__init__(nan, n)
        self._place = -1
        # At place i of level k: the plain sum and the sum with weights 1 … 2^k of the 2^k values up to i.
        sums = [[nan] * n for _ in range(n.bit_length())]
        weighted = [[nan] * n for _ in range(n.bit_length())]
        self._levels = [(1 << k, sums[k], weighted[k], sums[k + 1], weighted[k + 1]) for k in range(n.bit_length() - 1)]
        self._blocks = [(offset, n - offset - (1 << k), sums[k], weighted[k]) for offset, k in block_offsets(n)]
        self._newest = (sums[0], weighted[0])
        self._divisor = n * (n + 1) / 2.0

    def _next(self, value: float) -> float:
        i = self._place + 1
        if i == self.n:
            i = 0
        self._place = i
        for ring in self._newest:
            ring[i] = value
        for half, sums, weighted, larger_sums, larger_weighted in self._levels:
            larger_weighted[i] = (weighted[i - half] + weighted[i]) + half * sums[i]
            larger_sums[i] = sums[i - half] + sums[i]
        total = 0.0
        for offset, lighter, sums, weighted in self._blocks:
            total += weighted[i - offset] + lighter * sums[i - offset]
        return total / self._divisor


class Macd(OfValues[MacdLines[float]]):
    """The fast exponential mean minus the slow one, and the exponential mean of that.

    Both means give their first value at event `slow`; the fast one begins with the `fast` values up to it.
    """

    __slots__ = ("_early", "_fast", "_signal", "_slow")

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        fast, slow = length("Macd", "fast", fast, 1), length("Macd", "slow", slow, 2)
        signal = length("Macd", "signal", signal, 1)
        if fast >= slow:
            raise IndicatorLengthInvalid("Macd", "fast", fast, f"fast smaller than slow, which is {slow}")
        super().__init__(MacdLines(nan, nan, nan), slow + signal - 1)
        self._early = slow - fast
        self._fast, self._slow, self._signal = exponential(fast), exponential(slow), exponential(signal)

    def _next(self, value: float) -> MacdLines[float]:
        slow = self._slow.push(value)
        if self._early:
            self._early -= 1
            return self.value
        macd = self._fast.push(value) - slow
        if self._slow.seeding:
            return self.value
        signal = self._signal.push(macd)
        return self.value if self._signal.seeding else MacdLines(macd, signal, macd - signal)
