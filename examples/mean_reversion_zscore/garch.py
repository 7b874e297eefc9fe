"""The volatility of the next bar by GARCH(1,1): h(t+1) = omega + alpha · r(t)² + beta · h(t)."""

from __future__ import annotations

from math import ceil, fsum, log, nan, sqrt


class GarchSigma:
    """The standard deviation that is expected of the next return. value: NaN until min_periods returns are there.

    omega: > 0, in squared units of the scaled return. alpha, beta: ≥ 0, their sum below 1. log_returns: ln(c / c') or
    c / c' − 1. scale: what returns are multiplied by, 10,000 for hundredths of a percent. min_periods: h begins with
    the mean of the first so many squared returns. floor: the smallest value, scaled too. value is divided by scale
    again: a fraction of the price.
    """

    def __init__(
        self,
        *,
        omega: float,
        alpha: float,
        beta: float,
        log_returns: bool = True,
        scale: float = 10_000.0,
        min_periods: int = 100,
        floor: float = 0.0,
    ) -> None:
        self.omega = omega
        self.alpha = alpha
        self.beta = beta
        self.log_returns = log_returns
        self.scale = scale
        self.min_periods = min_periods
        self.floor = floor
        self.value = nan
        self._close = nan
        self._squares: list[float] = []
        self._variance = nan

    def push(self, close: float) -> float:
        """Take the next close, > 0, and return the deviation expected of the next return."""
        before, self._close = self._close, close
        if not before > 0.0:  # NaN: the first close has no return
            return self.value
        change = log(close / before) if self.log_returns else close / before - 1.0
        scaled = change * self.scale
        if len(self._squares) < self.min_periods:
            self._squares.append(scaled * scaled)
            if len(self._squares) < self.min_periods:
                return self.value
            self._variance = fsum(self._squares) / self.min_periods
        else:
            self._variance = self.omega + self.alpha * (scaled * scaled) + self.beta * self._variance
        self.value = max(sqrt(self._variance), self.floor) / self.scale
        return self.value


def memory_bars(beta: float, min_periods: int) -> int:
    """Return the closes after which less than e⁻⁸ = 0.03 % of the variance that it began with is left."""
    return 1 + min_periods + ceil(8.0 / (1.0 - beta))
