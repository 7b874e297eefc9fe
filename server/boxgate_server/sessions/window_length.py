"""How many events a window with FEEDBACK is given, by how far the ones before it were answered."""

from __future__ import annotations

from typing import Final

FIRST: Final = 64
"""Events of the first window, and of the shortest one after a stop."""
GROWTH: Final = 4
"""A window that was answered whole makes the next one so many times longer."""
MARGIN: Final = 2
"""After a stop the next window is so many times as long as what was answered, but at least half as long as before.

A window that ends too early costs a round trip, the time of writing some hundred events; one that reaches too far costs
the events that are written again.
"""


class WindowLength:
    """The length of the next window, in events. Operational: results do not depend on it, only the number of trips.

    events_max: of any window.
    """

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self.events = min(FIRST, events_max)

    def note(self, sent: int, consumed: int) -> None:
        """Take into account that of a window of `sent` events so many were answered.

        A window that was cut before the next change of the account is shorter than asked for, and says nothing when it
        was answered whole.
        """
        if consumed < sent:
            wanted = max(FIRST, MARGIN * consumed, self.events // 2)
        elif sent < self.events:
            return
        else:
            wanted = GROWTH * self.events
        self.events = min(wanted, self._events_max)
