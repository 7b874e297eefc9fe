"""Turning the columns of a window into events, lazily and without a step of Python per field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from math import nan
from operator import length_hint
from typing import TYPE_CHECKING, TypeVar

from boxgate_sdk.events import Bar, Tick

if TYPE_CHECKING:
    from boxgate_sdk._wire import Window
    from boxgate_sdk.context import Series

T = TypeVar("T")

_CHUNK_EVENTS_MIN = 64
_CHUNK_EVENTS_MAX = 8192

_make_bar: Callable[[Iterable[object]], Bar] = partial(tuple.__new__, Bar)
_make_tick: Callable[[Iterable[object]], Tick] = partial(tuple.__new__, Tick)


class Events:
    """The events of a window in order, each made when it is asked for. They can be gone through once.

    Where the reader is, is known without a step of Python per event: by the numbers that were not taken yet.
    """

    __slots__ = ("_all_series", "_numbers", "window")

    def __init__(self, window: Window, series: tuple[Series, ...]) -> None:
        """Take a window and all series of the session."""
        self.window = window
        self._all_series = series
        self._numbers = iter(range(window.first_seq, window.first_seq + window.count))

    def __iter__(self) -> Iterator[Bar | Tick]:
        return chain.from_iterable(_chunks(self.window, self._all_series, self._numbers))

    @property
    def index(self) -> int:
        """Place in the window of the event that was given last; -1 before the first."""
        return self.window.count - 1 - length_hint(self._numbers)

    @property
    def series(self) -> Series:
        """The series of the event that was given last."""
        return self._all_series[self.window.series[self.index] if len(self.window.series) else 0]

    def moment_end(self, index: int) -> int:
        """Return the index behind the moment that event `index` belongs to."""
        return moment_end(self.window, self._all_series, index)


def moment_end(window: Window, series: tuple[Series, ...], index: int) -> int:
    """Return the index behind the moment that event `index` belongs to: bars of one time, or a single tick."""
    if _is_tick(window, series, index):
        return index + 1
    time_ns = window.time_ns
    now = time_ns[index]
    end = index + 1
    while end < window.count and time_ns[end] == now and not _is_tick(window, series, end):
        end += 1
    return end


def _is_tick(window: Window, series: tuple[Series, ...], index: int) -> bool:
    return series[window.series[index] if len(window.series) else 0].is_tick


def _chunks(window: Window, series: tuple[Series, ...], numbers: Iterator[int]) -> Iterator[Iterable[Bar | Tick]]:
    """Yield the events in growing chunks, so that a window of which little is consumed costs little.

    numbers: of the events; each is taken when its event is made.
    """
    begin = bar = tick = 0
    size = _CHUNK_EVENTS_MIN
    while begin < window.count:
        end = min(begin + size, window.count)
        times = window.time_ns[begin:end].tolist()
        if len(series) == 1:
            yield (_ticks if series[0].is_tick else _bars)(window, begin, repeat(series[0]), times, numbers)
        else:
            of = [series[i] for i in window.series[begin:end].tolist()]
            kinds = [s.is_tick for s in of]
            ticks = sum(kinds)
            if not ticks:
                yield _bars(window, bar, of, times, numbers)
            elif ticks == end - begin:
                yield _ticks(window, tick, of, times, numbers)
            else:
                yield _mixed(window, bar, tick, of, times, numbers)
            bar += end - begin - ticks
            tick += ticks
        begin = end
        size = min(size * 4, _CHUNK_EVENTS_MAX)


def _bars(
    window: Window, row: int, of: Iterable[Series], times: Sequence[int], numbers: Iterator[int]
) -> Iterator[Bar | Tick]:
    """Return bars from `row` of the bar columns on, one per time. of: the series of each.

    `times` or what is as long comes before `numbers`: where they end, no number is taken.
    """
    assert window.bars is not None
    columns = [_values(column, row, len(times)) for column in window.bars]
    return map(_make_bar, zip(*_names(of), times, *columns, numbers, repeat(window.warmup)))


def _ticks(
    window: Window, row: int, of: Iterable[Series], times: Sequence[int], numbers: Iterator[int]
) -> Iterator[Bar | Tick]:
    """Return ticks, as _bars."""
    assert window.ticks is not None
    columns = [_values(column, row, len(times)) for column in window.ticks]
    return map(_make_tick, zip(*_names(of), times, *columns, numbers, repeat(window.warmup)))


def _mixed(
    window: Window, bar: int, tick: int, of: list[Series], times: Sequence[int], numbers: Iterator[int]
) -> Iterator[Bar | Tick]:
    """Return bars and ticks in the order of the series in `of`."""
    first = window.first_seq + bar + tick

    def only(values: Sequence[T], *, ticks: bool) -> list[T]:
        return [value for value, s in zip(values, of, strict=True) if s.is_tick == ticks]

    seqs = range(first, first + len(of))
    bars = _bars(window, bar, only(of, ticks=False), only(times, ticks=False), iter(only(seqs, ticks=False)))
    ticks = _ticks(window, tick, only(of, ticks=True), only(times, ticks=True), iter(only(seqs, ticks=True)))
    return (next(ticks if s.is_tick else bars) for s, _ in zip(of, numbers, strict=False))


def _names(of: Iterable[Series]) -> tuple[Iterable[str], Iterable[str], Iterable[int]]:
    if isinstance(of, list):
        return [s.symbol for s in of], [s.frame for s in of], [s.index for s in of]
    one = next(iter(of))
    return repeat(one.symbol), repeat(one.frame), repeat(one.index)


def _values(column: memoryview, row: int, rows: int) -> Iterable[float]:
    """Return some values of a column, NaN where the window leaves it out."""
    return column[row : row + rows].tolist() if len(column) else repeat(nan)
