"""The columns of a window, for the vector form. Needs NumPy: install boxgate-sdk[vector]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from boxgate_sdk._wire import BAR_COLUMNS, TICK_COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxgate_sdk._wire import Window
    from boxgate_sdk.context import Series

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SeriesBars:
    """The bars of one series in a window. event_index[i] is the place of row i among all events of the window."""

    series: int
    symbol: str
    frame: str
    event_index: Ints
    open_ns: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    ask_open: Floats
    ask_high: Floats
    ask_low: Floats
    ask_close: Floats


@dataclass(frozen=True, slots=True)
class SeriesTicks:
    """The ticks of one series in a window, as SeriesBars."""

    series: int
    symbol: str
    frame: str
    event_index: Ints
    bid: Floats
    ask: Floats
    last: Floats
    volume: Floats


class Columns:
    """Read-only views of one window.

    first_seq: number of the first event. count: events. warmup: True before the tape. time_ns, series: shape (count,),
    one per event, in order. bars() and ticks() give the values, series by series.
    """

    def __init__(self, window: Window, series: tuple[Series, ...]) -> None:
        self.first_seq = window.first_seq
        self.count = window.count
        self.warmup = window.warmup
        self.time_ns: Ints = np.frombuffer(window.time_ns, dtype=np.int64)
        self._window = window
        self._series = series

    @cached_property
    def series(self) -> Ints:
        """Index in ctx.series of each event, shape (count,)."""
        if not len(self._window.series):
            return np.zeros(self.count, dtype=np.int64)
        return np.frombuffer(self._window.series, dtype=np.uint32).astype(np.int64)

    def bars(self) -> Iterator[SeriesBars]:
        """Yield the bars of each series that has any in this window, by index of the series."""
        for series, event_index, columns in self._split(self._window.bars, len(BAR_COLUMNS), ticks=False):
            yield SeriesBars(series.index, series.symbol, series.frame, event_index, *columns)

    def ticks(self) -> Iterator[SeriesTicks]:
        """Yield the ticks of each series that has any in this window, by index of the series."""
        for series, event_index, columns in self._split(self._window.ticks, len(TICK_COLUMNS), ticks=True):
            yield SeriesTicks(series.index, series.symbol, series.frame, event_index, *columns)

    def _split(
        self, columns: list[memoryview] | None, width: int, *, ticks: bool
    ) -> Iterator[tuple[Series, Ints, list[NDArray[Any]]]]:
        if columns is None or not len(columns[0]):
            return
        rows = len(columns[0])
        arrays = [_array(column, rows) for column in columns[:width]]
        if len(self._series) == 1:
            yield self._series[0], np.arange(self.count), arrays
            return
        kinds = np.array([s.is_tick for s in self._series])
        event_index = np.flatnonzero(kinds[self.series] == ticks)
        of_row = self.series[event_index]
        # Rows of one series side by side, in their order: each is then a slice. Numbers of 8 bits are sorted fast.
        order = np.argsort(of_row.astype(np.min_scalar_type(len(self._series))), kind="stable")
        event_index = event_index[order]
        arrays = [array[order] if array.strides[0] else array for array in arrays]
        for array in arrays:
            array.flags.writeable = False
        ends = np.cumsum(np.bincount(of_row, minlength=len(self._series))).tolist()
        for series, begin, end in zip(self._series, [0, *ends], ends, strict=False):
            if end > begin:
                yield series, event_index[begin:end], [array[begin:end] for array in arrays]


def _array(column: memoryview, rows: int) -> NDArray[Any]:
    """Return a view of a column, NaN where the window leaves it out."""
    if len(column) != rows:
        return _absent(rows)
    return np.frombuffer(column, dtype=np.int64 if column.format == "q" else np.float64)


@lru_cache(maxsize=16)
def _absent(rows: int) -> Floats:
    """Return a read-only column of NaN, all of which are one number in memory."""
    return np.broadcast_to(np.float64(np.nan), (rows,))
