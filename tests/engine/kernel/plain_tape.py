"""Random sources of a tape, and the tape that a plain sort makes of them, one event at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tape import ask_over

from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.tape import Source

MINUTE_NS = 60_000_000_000
BASE_NS = 1_704_067_200_000_000_000
"""A multiple of every frame: bars of all frames open here."""

FRAMES = ("M1", "M5", "M15", TICK)
BAR_PRICES = ("open", "high", "low", "close")
ASKS = ("ask_open", "ask_high", "ask_low", "ask_close")
TICK_SIZE = Fraction(1, 100_000)


@dataclass(frozen=True)
class PlainEvent:
    """One row of a source. values: of all its columns by name."""

    source: Source
    time_ns: int
    executes: bool
    values: dict[str, Any]

    @property
    def tick(self) -> bool:
        return self.source.frame == TICK

    @property
    def delivered(self) -> bool:
        return self.source.delivered >= 0

    @property
    def open_ns(self) -> int:
        return int(self.values["time_ns" if self.tick else "open_ns"])

    def quote(self) -> dict[str, float]:
        """Return bid and ask at the four points, as the kernel reads them."""
        found = {}
        for point in BAR_PRICES:
            bid = self.values["bid" if self.tick else point]
            found[f"bid_{point}"] = bid
            if self.source.spread is None:
                found[f"ask_{point}"] = self.values["ask" if self.tick else f"ask_{point}"]
            elif self.source.spread == 0.0:
                found[f"ask_{point}"] = bid
            else:
                found[f"ask_{point}"] = ask_over(bid, float(self.source.spread), TICK_SIZE.as_integer_ratio())
        return found


def plain_moments(sources: Sequence[Source]) -> list[list[PlainEvent]]:
    """Return the moments of the tape in order, without those after the last one that is delivered."""
    events = [event for source in sources for event in plain_events(source)]
    events.sort(key=lambda e: (e.time_ns, e.tick, -FRAME_NS.get(e.source.frame, 0), e.source.instrument))
    moments: list[list[PlainEvent]] = []
    for event in events:
        before = moments[-1][-1] if moments else None
        if before is not None and not before.tick and not event.tick and before.time_ns == event.time_ns:
            moments[-1].append(event)
        else:
            moments.append([event])
    while moments and not any(event.delivered for event in moments[-1]):
        moments.pop()
    return moments


def plain_events(source: Source) -> list[PlainEvent]:
    """Return the rows of a source, oldest first."""
    length = len(next(iter(source.columns.values())))
    rows = range(length)[source.rows] if isinstance(source.rows, slice) else [int(row) for row in source.rows]
    found = []
    for number, row in enumerate(rows):
        values = {name: column[row].item() for name, column in source.columns.items()}
        time_ns = values["time_ns"] if source.frame == TICK else values["open_ns"] + FRAME_NS[source.frame]
        executes = source.executes if isinstance(source.executes, bool) else bool(source.executes[number])
        found.append(PlainEvent(source, time_ns, executes, values))
    return found


@st.composite
def tapes(draw: st.DrawFn, *, sources_max: int = 5, rows_max: int = 12) -> list[Source]:
    """Draw sources of 1 to 3 instruments: bars and ticks, with and without ask, some of them not delivered.

    Times lie on few minutes, so that events of several sources often meet.
    """
    count = draw(st.integers(1, sources_max))
    shown = draw(st.permutations(range(count)))
    hidden = draw(st.sets(st.integers(0, count - 1), max_size=count - 1)) if count > 1 else set()
    order = sorted(set(range(count)) - hidden, key=lambda k: shown[k])
    return [draw(_source(rows_max, order.index(k) if k in order else -1)) for k in range(count)]


@st.composite
def _source(draw: st.DrawFn, rows_max: int, delivered: int) -> Source:
    frame = draw(st.sampled_from(FRAMES))
    length = draw(st.integers(1, rows_max))
    columns = draw(_ticks(length)) if frame == TICK else draw(_bars(frame, length))
    first = draw(st.integers(0, length))
    last = draw(st.integers(first, length))
    picked = draw(st.none() | st.lists(st.integers(0, length - 1), unique=True).map(sorted))
    rows: slice | np.ndarray = slice(first, last) if picked is None else np.array(picked, np.int64)
    count = last - first if picked is None else len(picked)
    has_ask = "ask" in columns or "ask_open" in columns
    some = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    executes: bool | np.ndarray = draw(st.booleans() | st.just(some))
    return Source(
        instrument=draw(st.integers(0, 2)),
        frame=frame,
        columns=columns,
        rows=rows,
        executes=executes,
        spread=draw(st.sampled_from([None, 0.0, 0.00012] if has_ask else [0.0, 0.00012])),
        tick_size=TICK_SIZE,
        delivered=delivered,
    )


@st.composite
def _bars(draw: st.DrawFn, frame: str, length: int) -> dict[str, np.ndarray]:
    opens = draw(st.lists(st.integers(0, 30), min_size=length, max_size=length, unique=True))
    names = [*BAR_PRICES, *(ASKS if draw(st.booleans()) else ())]
    columns = {"open_ns": BASE_NS + np.array(sorted(opens), np.int64) * FRAME_NS[frame]}
    columns |= {name: draw(_prices(length)) for name in names}
    return columns | {"volume": np.arange(length, dtype=np.float64)}


@st.composite
def _ticks(draw: st.DrawFn, length: int) -> dict[str, np.ndarray]:
    # Half minutes: every other one meets the close of a bar, and several ticks share one.
    halves = draw(st.lists(st.integers(0, 30), min_size=length, max_size=length))
    columns = {"time_ns": BASE_NS + np.array(sorted(halves), np.int64) * (MINUTE_NS // 2)}
    optional = [name for name in ("last", "volume") if draw(st.booleans())]
    return columns | {name: draw(_prices(length)) for name in ("bid", "ask", *optional)}


@st.composite
def _prices(draw: st.DrawFn, length: int) -> np.ndarray:
    steps = draw(st.lists(st.integers(100_000, 100_900), min_size=length, max_size=length))
    return np.array(steps, np.float64) / 100_000
