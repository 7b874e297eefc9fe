"""The longest pauses of a series that its calendar explains."""

from __future__ import annotations

from typing import Final

import numpy as np

from boxgate_engine.calendars import Calendar
from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.datasets.quality import find_pauses

_LISTED_MAX: Final = 10


class LongestClosures:
    """Pauses between rows while the market was closed: all are counted, the longest kept."""

    def __init__(self, frame: str, calendar: Calendar) -> None:
        self._frame = frame
        self._calendar = calendar
        self._last_ns = np.zeros(0, dtype=np.int64)
        self._longest = np.zeros((2, 0), dtype=np.int64)
        self._count = 0

    def add(self, content: SeriesContent) -> None:
        """Take the next rows."""
        times_ns = np.concatenate((self._last_ns, content.times_ns))
        self._last_ns = content.times_ns[-1:].copy()
        pauses = find_pauses(times_ns, self._frame, self._calendar)
        explained = np.stack((pauses.from_ns[~pauses.is_gap], pauses.to_ns[~pauses.is_gap]))
        self._count += explained.shape[1]
        both = np.concatenate((self._longest, explained), axis=1)
        self._longest = both[:, np.argsort(both[0] - both[1], kind="stable")[:_LISTED_MAX]]

    def result(self) -> JsonObject:
        """Return {count, longest}: the longest are {from_ns, to_ns}, longest first."""
        from_ns, to_ns = self._longest.tolist()
        longest = [{"from_ns": a, "to_ns": b} for a, b in zip(from_ns, to_ns, strict=True)]
        return {"count": self._count, "longest": longest}
