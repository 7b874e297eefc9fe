"""The rows of one series that a session may look back on: its history before the start, and the tape so far.

What lies before the start stays where it is, in the mapped file or the memory it was fetched into. What the tape
brings is appended to arrays that double when they are full; a row that was shown is never written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from boxgate_sdk.frames import FRAME_NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxgate_sdk.columns import SeriesBars, SeriesTicks
    from boxgate_sdk.context import Series

    Column = NDArray[Any]

TIME_COLUMNS = ("open_ns", "time_ns")
"""The columns of whole numbers; the others are doubles."""

_ROWS_FIRST = 1024
_NO_EVENTS: NDArray[np.int64] = np.empty(0, dtype=np.int64)


def column_names(series: Series) -> tuple[str, ...]:
    """Return the columns of a series of which there is no history."""
    if series.is_tick:
        return ("time_ns", "bid", "ask", "last", "volume")
    asks = ("ask_open", "ask_high", "ask_low", "ask_close") if series.has_ask else ()
    return ("open_ns", "open", "high", "low", "close", "volume", *asks)


class SeriesRows:
    """Columns of one series; the first one is the time: opens of bars, times of ticks."""

    def __init__(self, series: Series, before: Mapping[str, Column] | None) -> None:
        """Take the history. before: column by name, all that is available at or before the start; None if nothing."""
        self.series = series
        self.names = tuple(before) if before else column_names(series)
        self.before: tuple[Column, ...] = tuple(before.values()) if before else tuple(map(_empty, self.names))
        self.tape: tuple[Column, ...] = tuple(map(_empty, self.names))
        self._duration_ns = 0 if series.is_tick else FRAME_NS[series.frame]
        self._rows_before = len(self.before[0])
        self._rows_tape = 0
        self._warmup_left = 0
        # Of the window that is handled: where its events of this series are, and whether they are warm-up.
        self._events = _NO_EVENTS
        self._warmup = False
        self._begun = False

    def enter_window(self, rows: SeriesBars | SeriesTicks | None, times_ns: NDArray[np.int64], warmup: bool) -> None:
        """Take the events of a window. rows: those of this series, None if none. times_ns: of all its events."""
        if not self._begun:  # before the first event all history shows; from then on what was handled of it
            self._begun, self._warmup_left = True, self.series.warmup_events
        self._warmup = warmup
        self._events = _NO_EVENTS if rows is None else rows.event_index
        if rows is None or warmup:  # what is warm-up is history already
            return
        begin, end = self._rows_tape, self._rows_tape + len(rows.event_index)
        if end > len(self.tape[0]):
            self._grow(end)
        for name, column in zip(self.names, self.tape, strict=True):
            column[begin:end] = times_ns[rows.event_index] if name == "time_ns" else getattr(rows, name)

    def leave_window(self, consumed: int) -> None:
        """Keep what was handled; what lies behind has not happened."""
        handled = int(np.searchsorted(self._events, consumed))
        if self._warmup:
            self._warmup_left -= handled
        else:
            self._rows_tape += handled
        self._events = _NO_EVENTS

    def last(self, end_ns: int, count: int, index: int) -> tuple[tuple[int, int], tuple[int, int]] | int:
        """Return the places of the last `count` rows before `end_ns`: [begin, end) before the start, and on the tape.

        index: the event of the window that is handled, -1 for what came before the window. Returns how many rows
        there are if that is less than `count`.
        """
        before, tape = self._rows_before - self._warmup_left, self._rows_tape
        handled = int(np.searchsorted(self._events, index, side="right")) if len(self._events) else 0
        if self._warmup:
            before += handled
        else:
            tape += handled
        tape = self._until(self.tape[0], tape, end_ns)
        if not tape:
            before = self._until(self.before[0], before, end_ns)
        if before + tape < count:
            return before + tape
        begin = max(0, tape - count)
        return (before - (count - (tape - begin)), before), (begin, tape)

    def _until(self, times_ns: Column, rows: int, end_ns: int) -> int:
        """Return how many of the first rows lie before `end_ns`: bars that have closed, ticks of an earlier time."""
        opens_before = end_ns - self._duration_ns + (1 if self._duration_ns else 0)
        if not rows or times_ns[rows - 1] < opens_before:
            return rows
        return int(np.searchsorted(times_ns[:rows], opens_before))

    def _grow(self, rows: int) -> None:
        capacity = max(rows, 2 * len(self.tape[0]), _ROWS_FIRST)
        grown = []
        for column in self.tape:
            larger = np.empty(capacity, dtype=column.dtype)
            larger[: self._rows_tape] = column[: self._rows_tape]
            grown.append(larger)
        self.tape = tuple(grown)


def rows_of_window(columns: Any, count: int) -> Sequence[SeriesBars | SeriesTicks | None]:
    """Return what a window has of each of `count` series, by index."""
    found: list[SeriesBars | SeriesTicks | None] = [None] * count
    for rows in (*columns.bars(), *columns.ticks()):
        found[rows.series] = rows
    return found


def _empty(name: str) -> Column:
    return np.empty(0, dtype=np.int64 if name in TIME_COLUMNS else np.float64)
