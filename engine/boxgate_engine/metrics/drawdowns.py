"""Falls from a peak: how deep, how long, how often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from boxgate_engine.metrics.arrays import Figures, Float64Array, Int64Array, finite, mean

_BLOCK: Final = 1 << 13
"""Marks that are looked at together: few enough to stay in the processor's cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawdown:
    """One time below a peak. depth: fraction. from_ns: last mark at the peak. to_ns: first mark that reaches it again,
    or the last mark of all if recovered is False. deepest_ns: its lowest mark, the first of them.
    """

    depth: float
    from_ns: int
    deepest_ns: int
    to_ns: int
    recovered: bool

    @property
    def length_ns(self) -> int:
        """Nanoseconds from the peak to its recovery."""
        return self.to_ns - self.from_ns


def drawdown(equity: Float64Array) -> Float64Array:
    """Return the relative fall from the running peak.

    equity: shape (n,), account currency, n >= 1, the first value > 0, oldest first. Returns shape (n,), a fraction in
    [0, 1]: 0.0 at each new peak, 1.0 where nothing or less is left.
    """
    shares = np.empty(len(equity))
    peak = -math.inf
    for start in range(0, len(equity), _BLOCK):
        worth, fall = equity[start : start + _BLOCK], shares[start : start + _BLOCK]
        highest = float(worth.max())
        # Following the peak takes longer than all else, and most blocks have no new one.
        peaks = np.maximum(np.maximum.accumulate(worth), peak) if highest > peak else peak
        peak = max(highest, peak)
        np.divide(worth, peaks, out=fall)
        np.subtract(1.0, fall, out=fall)
        np.clip(fall, 0.0, 1.0, out=fall)
    return shares


def drawdowns(times_ns: Int64Array, equity: Float64Array) -> list[Drawdown]:
    """Return every time below a peak, oldest first. times_ns, equity: shape (n,), n >= 1, oldest first."""
    shares = drawdown(equity)
    return _falls(shares).listed(times_ns, equity, shares)


def deepest_drawdowns(times_ns: Int64Array, equity: Float64Array, most: int) -> tuple[int, list[Drawdown]]:
    """Return how many times below a peak there were, and the deepest of them, deepest first, then the earlier."""
    shares = drawdown(equity)
    falls = _falls(shares)
    order = np.lexsort((falls.starts, -falls.depths(shares)))[:most]
    chosen = _Falls(starts=falls.starts[order], ends=falls.ends[order])
    return len(falls.starts), chosen.listed(times_ns, equity, shares)


def drawdown_figures(times_ns: Int64Array, equity: Float64Array, daily: Float64Array) -> tuple[Figures, float]:
    """Return the metrics of the drawdowns over all marks and those over the daily marks; and the deepest in money.

    daily: shape (days,).
    """
    shares = drawdown(equity)
    falls = _falls(shares)
    depths, lengths_ns = falls.depths(shares), times_ns[falls.ends] - times_ns[falls.starts]
    daily_falls = drawdown(daily) if daily[0] > 0 else None
    figures: Figures = {
        "max_drawdown": float(shares.max()),
        "max_drawdown_daily": None if daily_falls is None else float(daily_falls.max()),
        "max_drawdown_length_ns": int(lengths_ns.max(initial=0)),
        "average_drawdown": mean(depths),
        "average_drawdown_length_ns": _mean_ns(lengths_ns),
        "drawdowns": len(depths),
        "ulcer_index": None
        if daily_falls is None
        else finite(math.sqrt(math.fsum((daily_falls * daily_falls).tolist()) / len(daily_falls))),
    }
    return figures, float(falls.depths_in_money(equity).max(initial=0.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Falls:
    """Times below a peak. starts, ends: shape (m,), indices of the last mark at the peak and the first at it again."""

    starts: Int64Array
    ends: Int64Array

    def depths(self, shares: Float64Array) -> Float64Array:
        """Return how deep each was. shares: of the curve, see `drawdown`."""
        if not len(self.starts):
            return np.zeros(0)
        return np.maximum(np.maximum.reduceat(shares, self._bounds)[::2], shares[self.ends])

    def depths_in_money(self, equity: Float64Array) -> Float64Array:
        """Return how deep each was, account currency."""
        if not len(self.starts):
            return np.zeros(0)
        lowest = np.minimum(np.minimum.reduceat(equity, self._bounds)[::2], equity[self.ends])
        return np.subtract(equity[self.starts], lowest)

    @property
    def _bounds(self) -> Int64Array:
        # The stretches between the falls, which are every other one, are looked at for nothing.
        return np.column_stack([self.starts, self.ends]).ravel()

    def listed(self, times_ns: Int64Array, equity: Float64Array, shares: Float64Array) -> list[Drawdown]:
        """Return them in their order."""
        found = []
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            lowest = start + int(np.argmax(shares[start : end + 1]))
            found.append(
                Drawdown(
                    depth=float(shares[lowest]),
                    from_ns=int(times_ns[start]),
                    deepest_ns=int(times_ns[lowest]),
                    to_ns=int(times_ns[end]),
                    recovered=bool(equity[end] >= equity[start]),
                )
            )
        return found


def _falls(shares: Float64Array) -> _Falls:
    # A fall by one unit in the last place is one: the quotient of different doubles is never rounded to 1.
    at_peak = np.flatnonzero(shares == 0.0)
    ends = np.append(at_peak[1:], len(shares) - 1)
    below = ends - at_peak > 1
    below[-1] = ends[-1] > at_peak[-1]
    return _Falls(starts=at_peak[below], ends=ends[below])


def _mean_ns(lengths_ns: Int64Array) -> int | None:
    """Return the mean, rounded to the nearest nanosecond, halves up."""
    count = len(lengths_ns)
    return (2 * sum(lengths_ns.tolist()) + count) // (2 * count) if count else None
