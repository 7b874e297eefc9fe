"""The tape: every event of a run in one total order, cut into chunks of whole moments.

Order: availability; bars before ticks; among bars the larger frame first; then instruments in config order. A run of
one series is never copied as a whole: chunks are made from the mapped columns as they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from boxgate_engine.calendars import Sessions
from boxgate_engine.frames import TICK, frame_duration_ns
from boxgate_engine.kernel.records import QUOTE, Floats, Integers, Quotes
from boxgate_engine.quotes import fill_quotes

BAR_VALUES = ("open", "high", "low", "close", "volume")
ASK_VALUES = ("ask_open", "ask_high", "ask_low", "ask_close")
TICK_VALUES = ("bid", "ask")
TICK_OPTIONAL = ("last", "volume")


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """Rows of one series on the tape.

    columns: of the whole series (see Series). rows: indices into the columns, ascending, or a slice of them.
    executes: shape (rows,) or a constant: which rows fill and mark. spread: added to the price columns to make the
    ask, which is put on the grid of tick_size: one for all, or an array of one for each hour of the week (168, Monday
    00:00 UTC first); or None to take the ask columns. delivered: the series' index in the
    session, or -1 if it is not delivered. hours: what opens outside of them does not fill; None for no such filter.
    """

    instrument: int
    frame: str
    columns: Mapping[str, np.ndarray]
    rows: slice | Integers
    executes: bool | np.ndarray
    spread: float | Floats | None
    tick_size: Fraction
    delivered: int
    hours: Sessions | None = None

    @property
    def frame_ns(self) -> int:
        """Duration of the frame, 0 for ticks."""
        return frame_duration_ns(self.frame)

    def part(self, name: str, part: slice) -> np.ndarray:
        """Return a column at some of the rows; a view where the rows are a slice."""
        if isinstance(self.rows, slice):
            return self.columns[name][self.rows.start + part.start : self.rows.start + part.stop]
        return self.columns[name][self.rows[part]]

    @property
    def available_ns(self) -> Integers:
        """Availability of each row."""
        if self.frame == TICK:
            return self.columns["time_ns"][self.rows]
        return self.columns["open_ns"][self.rows] + self.frame_ns

    def __len__(self) -> int:
        if isinstance(self.rows, slice):
            return int(self.rows.stop - self.rows.start)
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class EventColumns:
    """Delivered events, as the contract's windows carry them.

    time_ns, series: shape (n,). bars: columns of shape (n_bars,), ticks: of shape (n_ticks,), in order.
    """

    time_ns: Integers
    series: np.ndarray | None
    bars: dict[str, np.ndarray]
    ticks: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Whole, consecutive moments of the tape.

    quotes: what the kernel settles; includes events that are not delivered. columns: the delivered events.
    first_seq: number of the first delivered event. event_offset, bar_offset, tick_offset: shape (moments + 1,), number
    of delivered events, bars, ticks before each moment. quote_index: shape (n,), index in the quotes of each delivered
    event.
    """

    quotes: Quotes
    columns: EventColumns
    first_seq: int
    event_offset: Integers
    bar_offset: Integers
    tick_offset: Integers
    quote_index: Integers

    @property
    def moments(self) -> int:
        """Number of moments."""
        return len(self.quotes.delivered)

    @cached_property
    def moment(self) -> Integers:
        """Moment of each quote, shape (quotes,)."""
        if self.moments == len(self.quotes.events):  # one each
            return self.quotes.moment_start[:-1]
        return np.repeat(np.arange(self.moments), np.diff(self.quotes.moment_start))

    @cached_property
    def moment_of_event(self) -> Integers:
        """Moment of each delivered event, shape (n,)."""
        if len(self.quote_index) == len(self.quotes.events):  # all are
            return self.moment
        of_event: Integers = self.moment[self.quote_index]
        return of_event


class Tape:
    """The merged, ordered events of a run.

    events: number of delivered events; bars, ticks: of each kind. moments: number of delivered moments.
    """

    def __init__(self, sources: Sequence[Source], *, first_seq: int = 0) -> None:
        """Merge the sources. first_seq: number of the first delivered event, negative for a warm-up."""
        self._sources = [source for source in sources if len(source)]
        self._first_seq = first_seq
        # Series without a row here count for the columns: these are those of the session, not of one tape.
        session = [source for source in sources if source.delivered >= 0]
        self._has_ask = any(source.frame != TICK and "ask_open" in source.columns for source in session)
        self._tick_extra = [
            name for name in TICK_OPTIONAL if any(s.frame == TICK and name in s.columns for s in session)
        ]
        self._names_series = len({source.delivered for source in session}) > 1
        delivered = [source for source in session if len(source)]
        self.ticks = sum(len(source) for source in delivered if source.frame == TICK)
        self.bars = sum(len(source) for source in delivered) - self.ticks
        self.events = self.bars + self.ticks
        self._order: Order | None = None
        if len(self._sources) > 1 or not delivered:
            self._order = _merge(self._sources)
            self.moments = self._order.delivered_moments
        else:
            self.moments = self.events

    @property
    def sources(self) -> Sequence[Source]:
        """The series that have rows."""
        return self._sources

    @property
    def order(self) -> Order | None:
        """How they are merged; None for a single series, whose rows are the events."""
        return self._order

    @property
    def names_series(self) -> bool:
        """True if windows name the series of each event."""
        return self._names_series

    def chunk(self, start: int, events_max: int) -> Chunk:
        """Return whole moments from merged event `start` on: at most `events_max` delivered events, or one moment.

        `start` must be the first event of a moment: 0, or the `start` before plus the number of its quotes. The last
        moment of a chunk is delivered.
        """
        if self._order is None:
            return self._single(start, min(events_max, self.events - start))
        return self._merged(self._order, start, events_max)

    @property
    def merged_events(self) -> int:
        """Number of events up to and including the last delivered moment."""
        return self.events if self._order is None else self._order.events

    def _single(self, start: int, count: int) -> Chunk:
        source = self._sources[0]
        rows = slice(start, start + count)
        events = np.empty(count, QUOTE)
        times_ns = np.empty(count, np.int64)
        first_seq = self._first_seq + start
        _fill(events, times_ns, source, rows, first_seq)
        offset = np.arange(count + 1)
        none = np.zeros(count + 1, np.int64)
        tick = source.frame == TICK
        columns = EventColumns(
            times_ns,
            np.full(count, source.delivered, np.uint32) if self._names_series else None,
            {} if tick else _views(source, rows, self._bar_names()),
            _views(source, rows, self._tick_names()) if tick else {},
        )
        quotes = Quotes(events, offset, np.ones(count, np.uint8))
        return Chunk(
            quotes, columns, first_seq, offset, none if tick else offset, offset if tick else none, offset[:-1]
        )

    def _merged(self, order: Order, start: int, events_max: int) -> Chunk:
        first = int(np.searchsorted(order.moment_start, start))
        seq_start = order.moment_before[first]
        last = int(np.searchsorted(order.moment_before, seq_start + events_max, side="right")) - 1
        # Never less than one delivered moment, never a chunk that ends in the middle of undelivered ones.
        last = max(last, first + 1)
        while last > first + 1 and not order.moment_delivered[last - 1]:
            last -= 1
        while last < len(order.moment_delivered) and not order.moment_delivered[last - 1]:
            last += 1
        end = int(order.moment_start[last])
        picked = slice(start, end)
        count = end - start
        source_of = order.source[picked]
        events = np.empty(count, QUOTE)
        delivered_mask = np.zeros(count, bool)
        bar_mask = np.zeros(count, bool)
        for number, source in enumerate(self._sources):
            where = np.flatnonzero(source_of == number)
            if len(where) == 0:
                continue
            row = int(order.row[start + where[0]])
            part = np.empty(len(where), QUOTE)
            _fill(part, np.empty(len(where), np.int64), source, slice(row, row + len(where)), 0)
            events[where] = part
            delivered_mask[where] = source.delivered >= 0
            bar_mask[where] = source.frame != TICK
        events["seq"] = self._first_seq + order.seq[picked]
        moment_start = order.moment_start[first : last + 1] - start
        quotes = Quotes(events, np.ascontiguousarray(moment_start), order.moment_delivered[first:last].copy())
        columns = self._gather(order, start, source_of, delivered_mask, bar_mask, events)
        before = np.concatenate([[0], np.cumsum(delivered_mask)])
        bars_before = np.concatenate([[0], np.cumsum(delivered_mask & bar_mask)])
        return Chunk(
            quotes,
            columns,
            self._first_seq + int(seq_start),
            before[moment_start],
            bars_before[moment_start],
            (before - bars_before)[moment_start],
            np.flatnonzero(delivered_mask),
        )

    def _gather(
        self,
        order: Order,
        start: int,
        source_of: np.ndarray,
        delivered: np.ndarray,
        bars: np.ndarray,
        events: np.ndarray,
    ) -> EventColumns:
        series = np.zeros(len(source_of), np.uint32)
        columns: list[dict[str, np.ndarray]] = []
        for kind, names in ((delivered & bars, self._bar_names()), (delivered & ~bars, self._tick_names())):
            size = int(kind.sum())
            position = np.cumsum(kind) - 1
            values: dict[str, np.ndarray] = {}
            if size:
                values = {name: np.full(size, 0 if name == "open_ns" else np.nan, _dtype(name)) for name in names}
            for number, source in enumerate(self._sources):
                where = np.flatnonzero(source_of == number) if source.delivered >= 0 else np.empty(0, np.int64)
                if len(where) == 0 or not kind[where[0]]:
                    continue
                row = int(order.row[start + where[0]])
                series[where] = source.delivered
                for name in names:
                    if name in source.columns:
                        values[name][position[where]] = source.part(name, slice(row, row + len(where)))
            columns.append(values)
        named = series[delivered] if self._names_series else None
        return EventColumns(np.ascontiguousarray(events["time_ns"][delivered]), named, columns[0], columns[1])

    def _bar_names(self) -> list[str]:
        return ["open_ns", *BAR_VALUES, *(ASK_VALUES if self._has_ask else ())]

    def _tick_names(self) -> list[str]:
        return [*TICK_VALUES, *self._tick_extra]


def _fill(events: np.ndarray, times_ns: Integers, source: Source, rows: slice, first_seq: int) -> None:
    """Write rows of a source into QUOTE records, numbered from `first_seq`, and their availability into times_ns."""
    tick = source.frame == TICK
    opens = source.part("time_ns" if tick else "open_ns", rows)
    points = ("bid",) * 4 if tick else BAR_VALUES[:4]
    ask_points = ("ask",) * 4 if tick else ASK_VALUES
    # Prices of a series that does not execute are not read, so it needs no ask.
    quoted = source.spread is None and source.executes is not False
    fill_quotes(
        events,
        times_ns,
        first_seq=first_seq,
        instrument=source.instrument,
        frame_ns=source.frame_ns,
        opens_ns=opens,
        executes=source.executes if isinstance(source.executes, bool) else source.executes[rows],
        bids=_four(source, points, rows),
        asks=_four(source, ask_points, rows) if quoted else None,
        spread=0.0 if source.spread is None else source.spread,
        tick_size=source.tick_size,
        volume=source.part("volume", rows) if "volume" in source.columns else None,
        closed=None if source.hours is None else ~source.hours.hold(opens),
    )


def _four(source: Source, names: Sequence[str], rows: slice) -> tuple[Floats, Floats, Floats, Floats]:
    one, two, three, four = (source.part(name, rows) for name in names)
    return one, two, three, four


def _views(source: Source, rows: slice, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return rows of the columns without a copy; NaN for a column that only other series of the session have."""
    nothing = np.full(rows.stop - rows.start, np.nan)
    return {name: source.part(name, rows) if name in source.columns else nothing for name in names}


@dataclass(frozen=True, eq=False)
class Order:
    """The merge: per event its source, row within the source and number; per moment the delivered events before it."""

    source: np.ndarray
    row: np.ndarray
    seq: Integers
    moment_before: Integers
    moment_start: Integers
    moment_delivered: np.ndarray
    delivered_moments: int
    events: int


def _merge(sources: Sequence[Source]) -> Order:
    lengths = [len(source) for source in sources]
    number = np.repeat(np.arange(len(sources), dtype=np.int16), lengths)
    row = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]) if lengths else np.empty(0, np.int32)
    time_ns = np.concatenate([source.available_ns for source in sources]) if lengths else np.empty(0, np.int64)
    tick = np.array([source.frame == TICK for source in sources], bool)
    frame_ns = np.array([source.frame_ns for source in sources], np.int64)
    instrument = np.array([source.instrument for source in sources], np.int64)
    # lexsort is stable and its last key is the first: rows of one series keep their order.
    order = np.lexsort((instrument[number], -frame_ns[number], tick[number], time_ns))
    number = number[order]
    row = row[order]
    time_ns = time_ns[order]
    is_tick = tick[number]
    new = np.ones(len(order), bool)
    new[1:] = (time_ns[1:] != time_ns[:-1]) | is_tick[1:] | is_tick[:-1]
    moment_start = np.flatnonzero(new)
    delivered = np.array([source.delivered >= 0 for source in sources], bool)[number]
    moment_delivered = np.maximum.reduceat(delivered, moment_start) if len(order) else np.zeros(0, bool)
    wanted = int(np.flatnonzero(moment_delivered)[-1]) + 1 if moment_delivered.any() else 0
    moment_start = np.append(moment_start, len(order))[: wanted + 1]
    end = int(moment_start[-1]) if wanted else 0
    delivered = delivered[:end]
    before = np.concatenate([[0], np.cumsum(delivered)])
    moment_of = np.repeat(np.arange(wanted), np.diff(moment_start))
    # An event that is not delivered becomes known with the first delivered one of its moment or of the next.
    seq = np.where(delivered, before[:-1], before[moment_start[moment_of]])
    return Order(
        number[:end],
        row[:end],
        seq,
        before[moment_start],
        moment_start,
        moment_delivered[:wanted].astype(np.uint8),
        int(moment_delivered[:wanted].sum()),
        end,
    )


def _dtype(name: str) -> type:
    return np.int64 if name == "open_ns" else np.float64
