"""Falls from a peak: how deep, how long, how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from boxgate_engine.metrics.arrays import Figures, Float64Array, Int64Array, finite, mean


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
    peak = np.maximum.accumulate(equity)
    return np.clip(1.0 - equity / peak, 0.0, 1.0)


def drawdowns(times_ns: Int64Array, equity: Float64Array) -> list[Drawdown]:
    """Return every time below a peak, oldest first. times_ns, equity: shape (n,), n >= 1, oldest first."""
    # Compared, not divided: a fall by one unit in the last place is a fall.
    at_peak = np.flatnonzero(equity == np.maximum.accumulate(equity))
    ends = np.append(at_peak[1:], len(equity) - 1)
    below = ends - at_peak > 1
    below[-1] = ends[-1] > at_peak[-1]
    falls = drawdown(equity)
    found = []
    for start, end in zip(at_peak[below].tolist(), ends[below].tolist(), strict=True):
        lowest = start + int(np.argmax(falls[start : end + 1]))
        found.append(
            Drawdown(
                depth=float(falls[lowest]),
                from_ns=int(times_ns[start]),
                deepest_ns=int(times_ns[lowest]),
                to_ns=int(times_ns[end]),
                recovered=bool(equity[end] >= equity[start]),
            )
        )
    return found


def drawdown_figures(times_ns: Int64Array, equity: Float64Array, daily: Float64Array) -> Figures:
    """Return the metrics of the drawdowns over all marks, and those over the daily marks. daily: shape (days,)."""
    found = drawdowns(times_ns, equity)
    falls = drawdown(daily) if daily[0] > 0 else None
    return {
        "max_drawdown": float(drawdown(equity).max()),
        "max_drawdown_daily": None if falls is None else float(falls.max()),
        "max_drawdown_length_ns": max((one.length_ns for one in found), default=0),
        "average_drawdown": mean([one.depth for one in found]),
        "average_drawdown_length_ns": _mean_ns([one.length_ns for one in found]),
        "drawdowns": len(found),
        "ulcer_index": None if falls is None else finite(math.sqrt(math.fsum(falls * falls) / len(falls))),
    }


def _mean_ns(lengths_ns: list[int]) -> int | None:
    """Return the mean, rounded to the nearest nanosecond, halves up."""
    return (2 * sum(lengths_ns) + len(lengths_ns)) // (2 * len(lengths_ns)) if lengths_ns else None
