"""A tape without the events that cannot matter to an account that only holds what it has.

Such an account shows the last marks and no others. So where its equity is asked for at some moments only, the last
event of each series before each of them gives the kernel the same state there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from boxgate_engine.frames import TICK
from boxgate_engine.kernel.records import Integers
from boxgate_engine.metrics.arrays import DAY_NS
from boxgate_engine.tape import Source, Tape


def thinned(tape: Tape, start: int, cuts: Integers) -> Tape:
    """Return of each series the last event before each of the cuts, and the last that marks.

    start: the first merged event that counts. cuts: numbers of merged events where moments begin, or the number of all.
    """
    kept = []
    for number, source in enumerate(tape.sources):
        places = _Places(tape, number)
        before = places.before(cuts)
        rows = np.unique(before) - 1
        if not isinstance(source.executes, bool):
            executing = np.flatnonzero(source.executes)
            marking = np.searchsorted(executing, before)
            rows = np.union1d(rows, executing[marking[marking > 0] - 1])
        rows = rows[rows >= places.before(np.array([start]))]
        executes = source.executes if isinstance(source.executes, bool) else source.executes[rows]
        kept.append(replace(source, rows=_of_columns(source, rows), executes=executes))
    return Tape(kept)


def day_cuts(tape: Tape) -> Integers:
    """Return the ends of the last delivered moments of the UTC days, as numbers of merged events, ascending."""
    if not tape.merged_events:
        return np.zeros(0, np.int64)
    first = min(int(_times(source)[0]) for source in tape.sources)
    last = max(int(_times(source)[-1]) + source.frame_ns for source in tape.sources)
    days = np.arange(first // DAY_NS, last // DAY_NS + 2, dtype=np.int64) * DAY_NS
    before = sum(_before(source, days) for source in tape.sources)
    if tape.order is None:
        return np.unique(before)
    delivered = np.flatnonzero(tape.order.moment_delivered)
    ends = np.concatenate([[0], tape.order.moment_start[delivered + 1]])
    return np.unique(ends[np.searchsorted(ends, before, side="right") - 1])


def stamp_cuts(tape: Tape, instrument: int, stamps_ns: Integers) -> Integers:
    """Return begin and end of the moments in which stamps of an instrument are due, as numbers of merged events.

    A stamp is due in the first event of the instrument that executes and is not available before it.
    """
    due = np.full(len(stamps_ns), tape.merged_events)
    for number, source in enumerate(tape.sources):
        if source.instrument == instrument and source.executes is not False:
            rows = _before(source, stamps_ns)
            if not isinstance(source.executes, bool):
                executing = np.append(np.flatnonzero(source.executes), len(source))
                rows = executing[np.searchsorted(executing, rows)]
            due = np.minimum(due, _Places(tape, number).of(rows))
    due = np.unique(due[due < tape.merged_events])
    if tape.order is None:
        return np.union1d(due, due + 1)
    moment = np.searchsorted(tape.order.moment_start, due, side="right") - 1
    return np.union1d(tape.order.moment_start[moment], tape.order.moment_start[moment + 1])


class _Places:
    """Where the rows of a series stand on the tape: the numbers of its merged events."""

    def __init__(self, tape: Tape, number: int) -> None:
        """number: of the series among the sources."""
        self._all = None if tape.order is None else np.flatnonzero(tape.order.source == number)
        self._end = tape.merged_events

    def before(self, events: Integers) -> Integers:
        """Return how many rows stand before each merged event."""
        return events if self._all is None else np.searchsorted(self._all, events)

    def of(self, rows: Integers) -> Integers:
        """Return the merged event of each row, the number of all for a row behind the end of the tape."""
        if self._all is None:
            return np.minimum(rows, self._end)
        return np.append(self._all, self._end)[np.minimum(rows, len(self._all))]


def _times(source: Source) -> Integers:
    """Return when each row becomes available, less the duration of its frame."""
    return source.part("time_ns" if source.frame == TICK else "open_ns", slice(0, len(source)))


def _before(source: Source, times_ns: Integers) -> Integers:
    """Return how many rows are available before each time."""
    return np.searchsorted(_times(source), times_ns - source.frame_ns)


def _of_columns(source: Source, rows: Integers) -> Integers:
    """Return the indices into the columns of rows of the source."""
    return source.rows.start + rows if isinstance(source.rows, slice) else source.rows[rows]
