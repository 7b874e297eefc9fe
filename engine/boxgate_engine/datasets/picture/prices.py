"""The price line of a series, thinned to the lowest and highest price of equal stretches of time."""

from __future__ import annotations

from typing import Final

import numpy as np

from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.frames import TICK

_STRETCHES: Final = 1_000
"""So many stretches: no more can be told apart on a wide page."""


class PriceRange:
    """Lowest and highest price (bars: low and high, ticks: bid) of each stretch."""

    def __init__(self, frame: str, first_ns: int, last_ns: int) -> None:
        self._columns = ("bid", "bid") if frame == TICK else ("low", "high")
        self._first_ns = first_ns
        self._width_ns = (last_ns - first_ns) // _STRETCHES + 1
        self._low = np.full(_STRETCHES, np.inf)
        self._high = np.full(_STRETCHES, -np.inf)

    def add(self, content: SeriesContent) -> None:
        """Take the next rows."""
        place = (content.times_ns - self._first_ns) // self._width_ns
        starts = np.flatnonzero(np.concatenate(([True], place[1:] != place[:-1])))
        low, high = (content.columns[name].view(np.float64) for name in self._columns)
        at = place[starts]
        self._low[at] = np.minimum(self._low[at], np.minimum.reduceat(low, starts))
        self._high[at] = np.maximum(self._high[at], np.maximum.reduceat(high, starts))

    def result(self) -> JsonObject:
        """Return {start_ns, width_ns, index, low, high}: stretch `index[i]` begins at start_ns + index[i] · width_ns.

        Stretches without rows are left out.
        """
        some = np.flatnonzero(np.isfinite(self._low))
        return {
            "start_ns": self._first_ns,
            "width_ns": self._width_ns,
            "index": some.tolist(),
            "low": self._low[some].tolist(),
            "high": self._high[some].tolist(),
        }
