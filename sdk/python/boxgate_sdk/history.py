"""The last events of each series, as many as the strategy declared to need."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from boxgate_sdk.errors import HistoryBeyondDeclared, HistoryShort
from boxgate_sdk.events import Bar, Tick


class History:
    """One ring per series, by index of the series; a ring of length 0 keeps nothing."""

    __slots__ = ("rings",)

    def __init__(self, lengths: Sequence[int]) -> None:
        self.rings: list[deque[Bar | Tick]] = [deque(maxlen=n) for n in lengths]

    @property
    def keep(self) -> Callable[[Bar | Tick], None] | None:
        """What takes each event; None where no ring holds any."""
        if not any(ring.maxlen for ring in self.rings):
            return None
        return self.rings[0].append if len(self.rings) == 1 else self._append

    def declared(self, series: int) -> int:
        """Return how many events the ring of a series holds."""
        return self.rings[series].maxlen or 0

    def require(self, series: int, events: int) -> None:
        """Lengthen a ring to hold at least this many events."""
        if events > self.declared(series):
            self.rings[series] = deque(self.rings[series], maxlen=events)

    def last(self, series: int, events: int, symbol: str, frame: str) -> list[Bar | Tick]:
        """Return exactly this many events, oldest first. Raises HistoryBeyondDeclared and HistoryShort."""
        ring = self.rings[series]
        if events > self.declared(series):
            raise HistoryBeyondDeclared(symbol, frame, events, self.declared(series))
        if events > len(ring):
            raise HistoryShort(symbol, frame, events, len(ring))
        return [ring[i] for i in range(len(ring) - events, len(ring))] if events < len(ring) else list(ring)

    def _append(self, event: Bar | Tick) -> None:
        self.rings[event.series].append(event)
