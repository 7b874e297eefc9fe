"""The tape against a plain sort: order, moments, numbers, quotes and columns, wherever it is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_tape import ASKS, BAR_PRICES, BASE_NS, MINUTE_NS, TICK_SIZE, PlainEvent, plain_moments, tapes

from boxgate_engine.tape import Chunk, Source, Tape

BAR_NAMES = ("open_ns", *BAR_PRICES, "volume", *ASKS)
TICK_NAMES = ("bid", "ask", "last", "volume")
cuts = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def chunks_of(tape: Tape, sizes: Sequence[int]) -> Iterator[Chunk]:
    """Cut a tape into chunks of the given sizes, again and again."""
    start = 0
    for size in itertools.cycle(sizes):
        if start >= tape.merged_events:
            return
        chunk = tape.chunk(start, size)
        assert chunk.moments > 0
        yield chunk
        start += len(chunk.quotes.events)


@given(tapes(), st.integers(-40, 0))
def test_events_come_in_the_order_of_a_plain_sort(sources: list[Source], first_seq: int) -> None:
    tape = Tape(sources, first_seq=first_seq)
    moments = plain_moments(sources)
    events = [event for moment in moments for event in moment]
    quotes = [quote for chunk in chunks_of(tape, [1_000]) for quote in chunk.quotes.events]
    assert len(quotes) == len(events)
    for quote, event, seq in zip(quotes, events, seqs_of(moments, first_seq), strict=True):
        assert (quote["time_ns"], quote["open_ns"]) == (event.time_ns, event.open_ns)
        assert (quote["instrument"], quote["tick"]) == (event.source.instrument, event.tick)
        assert quote["execution"] == event.executes
        assert quote["seq"] == seq
        if event.executes:
            assert {name: quote[name] for name in event.quote()} == event.quote()


def seqs_of(moments: list[list[PlainEvent]], first_seq: int) -> list[int]:
    """Numbers of all events; one that is not delivered has that of the first delivered one with or after it."""
    found = []
    seq = first_seq
    for moment in moments:
        first = seq
        for event in moment:
            found.append(seq if event.delivered else first)
            seq += event.delivered
    return found


@given(tapes(), cuts)
def test_chunks_are_whole_moments_of_at_most_the_events_asked_for(sources: list[Source], sizes: list[int]) -> None:
    tape = Tape(sources)
    moments = plain_moments(sources)
    position = 0
    for chunk, size in zip(chunks_of(tape, sizes), itertools.cycle(sizes), strict=False):
        mine = moments[position : position + chunk.moments]
        position += chunk.moments
        assert np.diff(chunk.quotes.moment_start).tolist() == [len(moment) for moment in mine]
        shown = [any(event.delivered for event in moment) for moment in mine]
        assert chunk.quotes.delivered.tolist() == shown
        assert shown[-1]
        assert chunk.event_offset[-1] <= size or sum(shown) == 1
        # Nothing more would have fitted.
        after = [sum(event.delivered for event in moment) for moment in moments[position:]]
        following = next((count for count in after if count), None)
        assert following is None or chunk.event_offset[-1] + following > size
    assert position == len(moments)


@given(tapes(), cuts)
def test_cuts_change_neither_quotes_nor_columns(sources: list[Source], sizes: list[int]) -> None:
    tape = Tape(sources)
    whole = list(chunks_of(tape, [10_000]))
    parts = list(chunks_of(tape, sizes))
    if not whole:
        assert parts == []
        return
    (one,) = whole
    assert one.quotes.events.tobytes() == b"".join(part.quotes.events.tobytes() for part in parts)
    assert [part.first_seq for part in parts] == [
        sum(int(part.event_offset[-1]) for part in parts[:k]) for k in range(len(parts))
    ]
    assert joined(one.columns.time_ns, [part.columns.time_ns for part in parts])
    assert (one.columns.series is None) == (not tape.names_series)
    if one.columns.series is not None:
        assert joined(one.columns.series, [part.columns.series for part in parts])
    for kind in ("bars", "ticks"):
        columns = getattr(one.columns, kind)
        for name in columns:
            found = [getattr(part.columns, kind)[name] for part in parts if getattr(part.columns, kind)]
            assert joined(columns[name], found), (kind, name)


def joined(whole: np.ndarray, parts: Sequence[Any]) -> bool:
    return bool(whole.tobytes() == np.concatenate(parts).tobytes())


@given(tapes(), cuts)
def test_columns_and_offsets_are_those_of_the_delivered_events(sources: list[Source], sizes: list[int]) -> None:
    tape = Tape(sources)
    moments = plain_moments(sources)
    position = 0
    for chunk in chunks_of(tape, sizes):
        mine = moments[position : position + chunk.moments]
        position += chunk.moments
        events = [event for moment in mine for event in moment]
        shown = [event for event in events if event.delivered]
        assert [events[k] for k in chunk.quote_index] == shown
        assert chunk.event_offset.tolist() == running(mine, lambda event: event.delivered)
        assert chunk.bar_offset.tolist() == running(mine, lambda event: event.delivered and not event.tick)
        assert chunk.tick_offset.tolist() == running(mine, lambda event: event.delivered and event.tick)
        assert chunk.columns.time_ns.tolist() == [event.time_ns for event in shown]
        if chunk.columns.series is not None:
            assert chunk.columns.series.tolist() == [event.source.delivered for event in shown]
        bars = [event for event in shown if not event.tick]
        ticks = [event for event in shown if event.tick]
        assert_columns(chunk.columns.bars, bars, sources, BAR_NAMES)
        assert_columns(chunk.columns.ticks, ticks, sources, TICK_NAMES)
    assert tape.events == sum(event.delivered for moment in moments for event in moment)
    assert tape.moments == sum(any(event.delivered for event in moment) for moment in moments)
    assert (tape.bars, tape.ticks) == (
        sum(event.delivered and not event.tick for moment in moments for event in moment),
        sum(event.delivered and event.tick for moment in moments for event in moment),
    )


def running(moments: list[list[PlainEvent]], counts: Any) -> list[int]:
    return [0, *itertools.accumulate(sum(map(counts, moment)) for moment in moments)]


def assert_columns(
    columns: dict[str, np.ndarray], events: list[PlainEvent], sources: Sequence[Source], names: Sequence[str]
) -> None:
    """A column is there if a series of the session has it, and NaN for events of a series without."""
    kinds = {event.tick for event in events}
    if not events:
        assert not any(len(column) for column in columns.values())
        return
    (tick,) = kinds
    session = [source for source in sources if source.delivered >= 0 and (source.frame == "tick") == tick]
    assert columns.keys() == {name for name in names if any(name in source.columns for source in session)}
    for name, column in columns.items():
        expected = np.array([event.values.get(name, np.nan) for event in events], column.dtype)
        assert column.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("frame", ["M5", "tick"])
def test_the_columns_of_one_series_are_views_of_its_mapped_arrays(frame: str) -> None:
    names = ["open_ns", *BAR_PRICES, "volume", *ASKS] if frame != "tick" else ["bid", "ask", "last"]
    columns: dict[str, np.ndarray] = {name: np.arange(100.0) + 1.0 for name in names}
    key = "time_ns" if frame == "tick" else "open_ns"
    columns[key] = BASE_NS + np.arange(100) * 5 * MINUTE_NS
    for column in columns.values():
        column.flags.writeable = False
    source = one_source(frame, columns, slice(10, 90))
    for chunk in chunks_of(Tape([source]), [32]):
        found = chunk.columns.ticks if frame == "tick" else chunk.columns.bars
        assert found.keys() == set(names)
        for name in names:
            assert np.shares_memory(found[name], columns[name]), name
            assert not found[name].flags.writeable


def test_a_series_without_a_row_still_decides_which_columns_the_session_has() -> None:
    """A column is absent only if no series of the session has it; the warm-up of one series may be empty."""
    times = BASE_NS + np.arange(4) * MINUTE_NS
    plain = {"open_ns": times, **{name: np.ones(4) for name in (*BAR_PRICES, "volume")}}
    both = {**plain, **{name: np.full(4, 2.0) for name in ASKS}}
    sources = [one_source("M1", plain, slice(0, 4)), one_source("M1", both, slice(0, 0), delivered=1)]
    (chunk,) = chunks_of(Tape(sources), [10])
    assert all(np.isnan(chunk.columns.bars[name]).all() for name in ASKS)
    assert chunk.columns.series is not None


def test_at_one_instant_larger_frames_come_before_smaller_ones_and_ticks_last() -> None:
    at = BASE_NS + 5 * MINUTE_NS
    tick = {"time_ns": np.array([at]), "bid": np.ones(1), "ask": np.ones(1)}

    def bar(frame_ns: int) -> dict[str, np.ndarray]:
        return {"open_ns": np.array([at - frame_ns]), **{name: np.ones(1) for name in (*BAR_PRICES, "volume")}}

    sources = [
        one_source("tick", tick, slice(0, 1), delivered=0),
        one_source("M1", bar(MINUTE_NS), slice(0, 1), delivered=1, instrument=1),
        one_source("M1", bar(MINUTE_NS), slice(0, 1), delivered=2, instrument=0),
        one_source("M5", bar(5 * MINUTE_NS), slice(0, 1), delivered=3, instrument=1),
    ]
    (chunk,) = chunks_of(Tape(sources), [10])
    assert chunk.columns.series is not None
    assert chunk.columns.series.tolist() == [3, 2, 1, 0]
    assert chunk.quotes.moment_start.tolist() == [0, 3, 4]


def test_a_tape_without_an_event_has_no_chunk() -> None:
    columns = {"open_ns": np.empty(0, np.int64), **{name: np.empty(0) for name in (*BAR_PRICES, "volume")}}
    for sources in ([], [one_source("M1", columns, slice(0, 0))]):
        tape = Tape(sources)
        assert (tape.events, tape.moments, tape.merged_events) == (0, 0, 0)


def one_source(
    frame: str, columns: dict[str, np.ndarray], rows: slice, *, delivered: int = 0, instrument: int = 0
) -> Source:
    return Source(
        instrument=instrument,
        frame=frame,
        columns=columns,
        rows=rows,
        executes=True,
        spread=0.0,
        tick_size=TICK_SIZE,
        delivered=delivered,
    )
