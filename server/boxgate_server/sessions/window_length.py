"""How many events a window with FEEDBACK is given, by how far the ones before it were answered."""

from __future__ import annotations

import math
from typing import Final

FIRST: Final = 64
"""Events of the first window."""
LEAST: Final = 16
"""Events of the shortest window: fewer cost hardly less."""
GROWTH: Final = 4
"""A window that was answered whole makes the next one so many times longer."""
SPREADS: Final = 4
"""A window is so many mean deviations longer than what the ones before it came to on average.

A window that ends too early costs a round trip, the time of writing some hundred events; one that reaches too far costs
the events that are written again.
"""
_MEAN_GAIN: Final = 1 / 8
_SPREAD_GAIN: Final = 1 / 4
"""Weight of the newest stretch, as timers of transmission estimate round trips."""


class WindowLength:
    """The length of the next window, in events. Operational: results do not depend on it, only the number of trips.

    events_max: of any window.
    """

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self._answered = 0
        self._mean = self._spread = 0.0
        self.events = min(FIRST, events_max)

    def note(self, sent: int, consumed: int, *, stopped: bool) -> None:
        """Take into account that of a window of `sent` events so many were answered.

        stopped: by what the answer said. A window that was cut before the next change of the account is shorter than
        asked for, and says nothing when it was answered whole.
        """
        self._answered += consumed
        if stopped:
            self._learn(self._answered)
            wanted = max(LEAST, math.ceil(self._mean + SPREADS * self._spread))
        elif sent < self.events:
            self._answered = 0
            return
        else:
            wanted = GROWTH * self.events
        self.events = min(wanted, self._events_max)

    def _learn(self, stretch: int) -> None:
        """Take in how many events it took until an answer stopped."""
        self._answered = 0
        if not self._mean:
            self._mean, self._spread = float(stretch), stretch / 2
            return
        error = stretch - self._mean
        self._mean += _MEAN_GAIN * error
        self._spread += _SPREAD_GAIN * (abs(error) - self._spread)
