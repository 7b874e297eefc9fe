"""Turning the columns of a window into events, lazily and without a step of Python per field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from math import nan
from operator import length_hint
from typing import TYPE_CHECKING

from boxgate_sdk.events import Bar, Tick

if TYPE_CHECKING:
    from boxgate_sdk._wire import Window
    from boxgate_sdk.context import Series

_CHUNK_EVENTS_MIN = 64
_CHUNK_EVENTS_MAX = 8192

_make_bar: Callable[[Iterable[object]], Bar] = partial(tuple.__new__, Bar)
_make_tick: Callable[[Iterable[object]], Tick] = partial(tuple.__new__, Tick)


class Roster:
    """The series of a session, and by index what each of their events says of them."""

    __slots__ = ("frames", "series", "symbols", "ticks")

    def __init__(self, series: tuple[Series, ...]) -> None:
        self.series = series
        self.symbols = [s.symbol for s in series]
        self.frames = [s.frame for s in series]
        self.ticks = [s.is_tick for s in series]


class Events:
    """The events of a window in order, each made when it is asked for. They can be gone through once.

    Where the reader is, is known without a step of Python per event: by the numbers that were not taken yet.
    """

    __slots__ = ("_roster", "numbers", "window")

    def __init__(self, window: Window, roster: Roster) -> None:
        self.window = window
        self._roster = roster
        self.numbers = iter(range(window.first_seq, window.first_seq + window.count))

    def __iter__(self) -> Iterator[Bar | Tick]:
        return chain.from_iterable(_chunks(self.window, self._roster, self.numbers))

    @property
    def index(self) -> int:
        """Place in the window of the event that was given last; -1 before the first."""
        return self.window.count - 1 - length_hint(self.numbers)

    @property
    def series(self) -> Series:
        """The series of the event that was given last."""
        return self._roster.series[self._series_index(self.index)]

    def moment_end(self, index: int) -> int:
        """Return the index behind the moment that event `index` belongs to: bars of one time, or a single tick."""
        window, ticks = self.window, self._roster.ticks
        if ticks[self._series_index(index)]:
            return index + 1
        time_ns = window.time_ns
        now = time_ns[index]
        end = index + 1
        while end < window.count and time_ns[end] == now and not ticks[self._series_index(end)]:
            end += 1
        return end

    def _series_index(self, index: int) -> int:
        column = self.window.series
        return column[index] if len(column) else 0


def _chunks(window: Window, roster: Roster, numbers: Iterator[int]) -> Iterator[Iterable[Bar | Tick]]:
    """Yield the events in growing chunks, so that a window of which little is consumed costs little.

    numbers: of the events; each is taken when its event is made.
    """
    begin = bar = tick = 0
    size = _CHUNK_EVENTS_MIN
    while begin < window.count:
        end = min(begin + size, window.count)
        times = window.time_ns[begin:end].tolist()
        of = window.series[begin:end].tolist() if len(roster.series) > 1 else None
        ticks = sum(map(roster.ticks.__getitem__, of)) if of is not None else len(times) * roster.ticks[0]
        if not ticks:
            yield _bars(window, bar, roster, of, times, numbers)
        elif ticks == len(times):
            yield _ticks(window, tick, roster, of, times, numbers)
        else:
            assert of is not None
            yield _mixed(window, bar, tick, roster, of, times, numbers)
        bar += len(times) - ticks
        tick += ticks
        begin = end
        size = min(size * 4, _CHUNK_EVENTS_MAX)


def _bars(
    window: Window, row: int, roster: Roster, of: list[int] | None, times: list[int], numbers: Iterator[int]
) -> Iterator[Bar | Tick]:
    """Return bars from `row` of the bar columns on, one per time. of: indices of their series, None for the only one.

    `times` or what is as long comes before `numbers`: where they end, no number is taken.
    """
    assert window.bars is not None
    columns = [_values(column, row, len(times)) for column in window.bars]
    return map(_make_bar, zip(*_names(roster, of), times, *columns, numbers, repeat(window.warmup)))


def _ticks(
    window: Window, row: int, roster: Roster, of: list[int] | None, times: list[int], numbers: Iterator[int]
) -> Iterator[Bar | Tick]:
    """Return ticks, as _bars."""
    assert window.ticks is not None
    columns = [_values(column, row, len(times)) for column in window.ticks]
    return map(_make_tick, zip(*_names(roster, of), times, *columns, numbers, repeat(window.warmup)))


def _mixed(
    window: Window, bar: int, tick: int, roster: Roster, of: list[int], times: list[int], numbers: Iterator[int]
) -> Iterator[Bar | Tick]:
    """Return bars and ticks in the order of the series in `of`."""
    first = window.first_seq + bar + tick
    kinds = [roster.ticks[i] for i in of]

    def only(values: Sequence[int], *, ticks: bool) -> list[int]:
        return [value for value, kind in zip(values, kinds, strict=True) if kind == ticks]

    seqs = range(first, first + len(of))
    bars = _bars(window, bar, roster, only(of, ticks=False), only(times, ticks=False), iter(only(seqs, ticks=False)))
    ticks = _ticks(window, tick, roster, only(of, ticks=True), only(times, ticks=True), iter(only(seqs, ticks=True)))
    return (next(ticks if kind else bars) for kind, _ in zip(kinds, numbers, strict=False))


def _names(roster: Roster, of: list[int] | None) -> tuple[Iterable[str], Iterable[str], Iterable[int]]:
    if of is None:
        return repeat(roster.symbols[0]), repeat(roster.frames[0]), repeat(0)
    return map(roster.symbols.__getitem__, of), map(roster.frames.__getitem__, of), of


def _values(column: memoryview, row: int, rows: int) -> Iterable[float]:
    """Return some values of a column, NaN where the window leaves it out."""
    return column[row : row + rows].tolist() if len(column) else repeat(nan)
