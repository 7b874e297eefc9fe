"""The FX week: Sunday 17:00 to Friday 17:00 in New York, summer time followed to the hour."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from boxgate_engine.calendars.calendar import Calendar, Sessions, Times, merged
from boxgate_engine.calendars.local_time import days_around, local_ns

_CLOSE: Final = timedelta(hours=17)
_FRIDAY, _SUNDAY = 4, 6
_DAY_NS: Final = 86_400_000_000_000
_WEEK_NS: Final = 7 * _DAY_NS
_BLOCK_NS: Final = 1461 * _DAY_NS
"""Closes are made once, in blocks of four years."""


class FxWeek(Calendar):
    """Open from Sunday 17:00 to Friday 17:00 in New York. Days end at 17:00, Monday to Friday. No holidays."""

    name = "fx"

    def sessions(self, start_ns: int, end_ns: int) -> Sessions:
        """Return the weeks that overlap the range, each one session."""
        closes, weekdays = _closes(start_ns, end_ns)
        begins, ends = closes[weekdays == _SUNDAY], closes[weekdays == _FRIDAY]
        ends = ends[np.searchsorted(ends, begins[0]) :]
        return merged(begins[: len(ends)], ends, start_ns, end_ns)

    def day_boundaries(self, start_ns: int, end_ns: int) -> Times:
        """Return every 17:00 in New York from Monday to Friday in the range."""
        closes, weekdays = _closes(start_ns, end_ns)
        return closes[(weekdays <= _FRIDAY) & (closes >= start_ns) & (closes < end_ns)]


def _closes(start_ns: int, end_ns: int) -> tuple[Times, Times]:
    """Return every 17:00 in New York in the range and at least a week around it, and its weekday (Monday 0)."""
    numbers = range((start_ns - _WEEK_NS) // _BLOCK_NS, (end_ns + _WEEK_NS) // _BLOCK_NS + 1)
    blocks = [_block(number) for number in numbers]
    return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])


@functools.cache
def _block(number: int) -> tuple[Times, Times]:
    zone = ZoneInfo("America/New_York")
    start_ns, end_ns = number * _BLOCK_NS, (number + 1) * _BLOCK_NS
    days = [(local_ns(day, _CLOSE, zone), day.weekday()) for day in days_around(start_ns, end_ns, zone, 1)]
    made = np.array([one for one in days if start_ns <= one[0] < end_ns], dtype=np.int64).reshape(-1, 2)
    return made[:, 0].copy(), made[:, 1].copy()
