"""A market that never closes, such as that of coins."""

from __future__ import annotations

import numpy as np

from boxgate_engine.calendars.calendar import DAY_NS, Calendar, Sessions, Times


class AlwaysOpen(Calendar):
    """Open at every moment; its days end at midnight UTC."""

    name = "always"

    def sessions(self, start_ns: int, end_ns: int) -> Sessions:
        """Return the range itself as one session."""
        some = np.array([start_ns, end_ns] if end_ns > start_ns else [], dtype=np.int64)
        return Sessions(opens=some[:1], closes=some[1:])

    def day_boundaries(self, start_ns: int, end_ns: int) -> Times:
        """Return every midnight UTC of the range."""
        return np.arange(-(-start_ns // DAY_NS) * DAY_NS, end_ns, DAY_NS, dtype=np.int64)
