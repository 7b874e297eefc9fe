"""Faults that are never accepted and never repaired: the first of each kind is refused with file, row and column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import time_column
from boxgate_engine.datasets.formats.source import SourcePart
from boxgate_engine.datasets.formats.stamps import refuse_long_days
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS, TICK

_LOOKS_LIKE_ROWS_MIN = 10
"""So many rows are needed to say that bars look like those of another frame."""


def refuse_faults(part: SourcePart, zone: str | None) -> None:
    """Check the rows of one file by themselves.

    Raises DataRefused: DATA_VALUE (not finite, price not positive, volume negative, high or low not the extreme),
    DATA_ORDER (time falls), DATA_SCHEMA (bars closer than their frame, or all on the grid of a larger one), DATA_TZ.
    """
    for name, values in part.columns.items():
        if name == time_column(part.frame):
            continue
        numbers = values.view(np.float64)
        _refuse_where(part, name, ~np.isfinite(numbers), "a finite number")
        if name == "volume":
            _refuse_where(part, name, numbers < 0, "a volume of zero or more")
        else:
            _refuse_where(part, name, numbers <= 0, "a price above zero")
    if part.frame != TICK:
        for prefix in ("", "ask_"):
            if prefix + "open" in part.columns:
                _refuse_extremes(part, prefix)
    _refuse_falling(part)
    if part.frame != TICK:
        _refuse_wrong_frame(part)
    if part.frame in ("D1", "W1") and zone is not None:
        times_ns = part.columns["open_ns"].view(np.int64)
        refuse_long_days(times_ns, FRAME_NS[part.frame], zone, lambda row: part.where(row, None))


def _refuse_extremes(part: SourcePart, prefix: str) -> None:
    opens, highs, lows, closes = (
        part.columns[prefix + name].view(np.float64) for name in ("open", "high", "low", "close")
    )
    _refuse_where(part, prefix + "high", highs < lows, "a high that is not below the low")
    _refuse_where(part, prefix + "high", highs < np.maximum(opens, closes), "a high that is not below open or close")
    _refuse_where(part, prefix + "low", lows > np.minimum(opens, closes), "a low that is not above open or close")


def _refuse_where(part: SourcePart, column: str, bad: NDArray[np.bool_], expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        more = int(np.count_nonzero(bad)) - 1
        raise DataRefused(
            f"{column} is {part.columns[column][row]}" + (f", and {more} more rows like it" if more else ""),
            code="DATA_VALUE",
            where=part.where(row, column),
            expected=expected,
            remedy="correct or remove the row; prices are never repaired here",
        )


def _refuse_falling(part: SourcePart) -> None:
    times_ns = part.columns[time_column(part.frame)]
    falling = times_ns[1:] < times_ns[:-1]
    if falling.any():
        row = int(np.argmax(falling)) + 1
        raise DataRefused(
            "the time is before that of the row above",
            code="DATA_ORDER",
            where=part.where(row, "time"),
            expected="rows from the oldest to the newest",
            remedy="sort the file by time, oldest first",
        )


def _refuse_wrong_frame(part: SourcePart) -> None:
    """A bar is available at its open plus its frame: with too small a frame it would be seen before it was closed."""
    times_ns, step_ns = part.columns["open_ns"].view(np.int64), FRAME_NS[part.frame]
    steps_ns = np.diff(times_ns)
    # Local days are an hour shorter where clocks are set forward.
    shortest_ns = step_ns - (FRAME_NS["H1"] if part.frame in ("D1", "W1") else 0)
    close = (steps_ns > 0) & (steps_ns < shortest_ns)
    if close.any():
        raise _wrong_frame(part, int(np.argmax(close)) + 1, f"the bars are closer than {part.frame}")
    if len(times_ns) < _LOOKS_LIKE_ROWS_MIN:
        return
    for name in reversed([name for name, duration_ns in FRAME_NS.items() if duration_ns > step_ns]):
        days = name in ("D1", "W1")
        on_grid = steps_ns >= FRAME_NS[name] - FRAME_NS["H1"] if days else steps_ns % FRAME_NS[name] == 0
        if on_grid[steps_ns > 0].all():
            raise _wrong_frame(part, 0, f"all bars stand {name} or a multiple of it apart")


def _wrong_frame(part: SourcePart, row: int, what: str) -> DataRefused:
    return DataRefused(
        what,
        code="DATA_SCHEMA",
        where=part.where(row, "time"),
        expected=f"bars of the frame that was stated, {part.frame}",
        remedy="state the frame of the file with --frame",
    )
