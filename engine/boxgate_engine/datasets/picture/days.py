"""How much of each day a series covers."""

from __future__ import annotations

from typing import Final

import numpy as np

from boxgate_engine.calendars import Calendar
from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.frames import FRAME_NS, TICK

_DAY_NS: Final = FRAME_NS["D1"]
_WEEK_NS: Final = FRAME_NS["W1"]
_MONDAY_NS: Final = 4 * _DAY_NS
"""Monday 1970-01-05."""


class DayCounts:
    """Rows of each UTC day, of each week from Monday for weekly bars."""

    def __init__(self, frame: str, calendar: Calendar, first_ns: int, last_ns: int) -> None:
        self._frame = frame
        self._calendar = calendar
        self._unit_ns = _WEEK_NS if frame == "W1" else _DAY_NS
        self._start_ns = first_ns - (first_ns - _MONDAY_NS) % self._unit_ns
        self._span_ns = first_ns, last_ns
        self._rows = np.zeros((last_ns - self._start_ns) // self._unit_ns + 1, dtype=np.int64)

    def add(self, content: SeriesContent) -> None:
        """Count the next rows."""
        place = (content.times_ns - self._start_ns) // self._unit_ns
        counted = np.bincount(place - place[0])
        self._rows[place[0] : place[0] + len(counted)] += counted

    def result(self) -> JsonObject:
        """Return {unit_ns, start_ns, rows, expected, open_ns}: lists with one entry per day, the first at start_ns.

        expected: bars that the open hours between first and last row hold; of ticks None, for nobody knows how many
        there are to be. open_ns: for how long the market is open in that day, within first and last row.
        """
        starts = self._start_ns + np.arange(len(self._rows), dtype=np.int64) * self._unit_ns
        first_ns, last_ns = self._span_ns
        step_ns = 0 if self._frame == TICK else FRAME_NS[self._frame]
        from_ns = np.maximum(starts, first_ns)
        to_ns = np.maximum(np.minimum(starts + self._unit_ns, last_ns + max(step_ns, 1)), from_ns)
        open_ns = to_ns - from_ns - self._calendar.closed_ns_between(from_ns, to_ns)
        if step_ns == 0:
            expected = None
        elif step_ns >= _DAY_NS:  # The two hours of an FX Sunday are no day.
            expected = ((open_ns > 0) & (2 * open_ns >= open_ns.max())).astype(np.int64).tolist()
        else:
            expected = (open_ns // step_ns).tolist()
        return {
            "unit_ns": self._unit_ns,
            "start_ns": self._start_ns,
            "rows": self._rows.tolist(),
            "expected": expected,
            "open_ns": open_ns.tolist(),
        }
