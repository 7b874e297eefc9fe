"""The events of a test, numbered and cut into moments as a gateway does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from boxgate_proto.strategy.v1 import window_pb2
from boxgate_sdk._wire import BAR_COLUMNS, TICK_COLUMNS
from boxgate_sdk.events import Bar, Tick


class Tape:
    """Numbered events, their moments and series.

    moments: lists of events. begins[i]: number of events before moment i. symbols, series: in the order of their index.
    """

    def __init__(self, events: Sequence[Bar | Tick], instruments: Sequence[str] | None, warmup: int) -> None:
        self.symbols = list(instruments or dict.fromkeys(e.symbol for e in events))
        self.series = list(dict.fromkeys((e.symbol, e.frame) for e in events))
        index = {series: i for i, series in enumerate(self.series)}
        self.events: list[Bar | Tick] = [
            e._replace(seq=i - warmup, warmup=i < warmup, series=index[e.symbol, e.frame]) for i, e in enumerate(events)
        ]
        self.has_ask = any(isinstance(e, Bar) and not math.isnan(e.ask_open) for e in events)
        self.start_ns = self.events[warmup - 1].time_ns if warmup else self.events[0].time_ns - 1 if self.events else 0
        self.moments: list[list[Bar | Tick]] = []
        for e in self.events:
            before = self.moments[-1][-1] if self.moments else None
            together = before is not None and before.time_ns == e.time_ns and not (before.is_tick or e.is_tick)
            if together and before is not None and before.warmup == e.warmup:
                self.moments[-1].append(e)
            else:
                self.moments.append([e])
        self.begins = [0]
        for moment in self.moments:
            self.begins.append(self.begins[-1] + len(moment))

    def first_seq(self, moment: int) -> int:
        """Return the number of the first event of a moment."""
        return self.moments[moment][0].seq

    def moment(self, index: int) -> list[tuple[int, Bar | Tick]]:
        """Return the events of a moment, each with the index of its instrument."""
        return [(self.symbols.index(e.symbol), e) for e in self.moments[index]]

    def window(self, begin: int, end: int) -> window_pb2.EventWindow:
        """Return the window of the moments in [begin, end), without an account."""
        events = self.events[self.begins[begin] : self.begins[end]]
        window = window_pb2.EventWindow(
            first_seq=events[0].seq,
            count=len(events),
            time_ns=[e.time_ns for e in events],
            series=[e.series for e in events] if len(self.series) > 1 else [],
            warmup=events[0].warmup,
        )
        bars = [e for e in events if isinstance(e, Bar)]
        ticks = [e for e in events if isinstance(e, Tick)]
        for name in BAR_COLUMNS if bars else ():
            if self.has_ask or not name.startswith("ask_"):
                getattr(window.bars, name).extend([getattr(e, name) for e in bars])
        for name in TICK_COLUMNS if ticks else ():
            getattr(window.ticks, name).extend([getattr(e, name) for e in ticks])
        return window
