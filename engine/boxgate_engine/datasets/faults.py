"""Faults that are never accepted and never repaired: the first of each kind is refused with file, row and column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import time_column
from boxgate_engine.datasets.formats.first_fault import rows_before_fault
from boxgate_engine.datasets.formats.source import SourcePart
from boxgate_engine.datasets.formats.stamps import refuse_long_days
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS

_LOOKS_LIKE_ROWS_MIN = 10
"""So many rows are needed to say that bars look like those of another frame."""


class FaultCheck:
    """Checks the rows of one file, part by part, as if they were one.

    zone: of the stamps, None if they name it. Refused are: DATA_VALUE (not finite, price not positive, volume
    negative, high or low not the extreme), DATA_ORDER (time falls), DATA_SCHEMA (bars closer than their frame, or all
    on the grid of a larger one), DATA_TZ.
    """

    def __init__(self, zone: str | None) -> None:
        self._zone = zone
        self._first: SourcePart | None = None
        self._last_ns: int | None = None
        self._rows = 0
        self._larger: list[str] = []

    def add(self, part: SourcePart) -> tuple[SourcePart, DataRefused | None]:
        """Take the next rows of the file. Returns those before the first fault, and its refusal."""
        if not part.rows:
            return part, None
        sound, refusal = part, None
        try:
            self._refuse(part)
        except DataRefused:
            count, refusal = rows_before_fault(part.rows, lambda rows: self._refuse(part.head(rows)))
            sound = part.head(count)
        else:
            self._remember(part)
        return sound, refusal

    def _refuse(self, part: SourcePart) -> None:
        _refuse_values(part)
        steps_ns = self._steps_ns(part)
        _refuse_falling(part, steps_ns)
        if part.frame in FRAME_NS:
            _refuse_close(part, steps_ns)
        if part.frame in ("D1", "W1") and self._zone is not None:
            times_ns = part.columns["open_ns"].view(np.int64)
            refuse_long_days(times_ns, FRAME_NS[part.frame], self._zone, lambda row: part.where(row, None))

    def _remember(self, part: SourcePart) -> None:
        if self._first is None:
            self._first = replace(part, columns={key: values[:1].copy() for key, values in part.columns.items()})
            step_ns = FRAME_NS.get(part.frame)
            self._larger = [name for name, duration_ns in FRAME_NS.items() if step_ns and duration_ns > step_ns]
        if self._larger:
            steps_ns = self._steps_ns(part)
            self._larger = [name for name in self._larger if _on_grid(steps_ns[steps_ns > 0], name)]
        self._last_ns = int(part.columns[time_column(part.frame)][-1])
        self._rows += part.rows

    def _steps_ns(self, part: SourcePart) -> NDArray[np.int64]:
        """Return the step from the row before to each row, zero for the first of the file."""
        times_ns = part.columns[time_column(part.frame)].view(np.int64)
        before_ns = int(times_ns[0]) if self._last_ns is None else self._last_ns
        return np.diff(times_ns, prepend=np.int64(before_ns))

    def finish(self) -> None:
        """Say that the file is over: what holds for all its rows is checked."""
        if self._first is not None and self._larger and self._rows >= _LOOKS_LIKE_ROWS_MIN:
            raise _wrong_frame(self._first, 0, f"all bars stand {self._larger[-1]} or a multiple of it apart")


def _refuse_values(part: SourcePart) -> None:
    for name, values in part.columns.items():
        if name == time_column(part.frame):
            continue
        numbers = values.view(np.float64)
        _refuse_where(part, name, ~np.isfinite(numbers), "a finite number")
        if name == "volume":
            _refuse_where(part, name, numbers < 0, "a volume of zero or more")
        elif name == "rate":
            _refuse_where(part, name, np.abs(numbers) >= 1, "a fraction for each interval, such as 0.0001")
        else:
            _refuse_where(part, name, numbers <= 0, "a price above zero")
    if part.frame in FRAME_NS:
        for prefix in ("", "ask_"):
            if prefix + "open" in part.columns:
                _refuse_extremes(part, prefix)


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
        raise DataRefused(
            f"{column} is {part.columns[column][row]}",
            code="DATA_VALUE",
            where=part.where(row, column),
            expected=expected,
            remedy="correct or remove the row; values are never repaired here",
        )


def _refuse_falling(part: SourcePart, steps_ns: NDArray[np.int64]) -> None:
    falling = steps_ns < 0
    if falling.any():
        raise DataRefused(
            "the time is before that of the row above",
            code="DATA_ORDER",
            where=part.where(int(np.argmax(falling)), "time"),
            expected="rows from the oldest to the newest",
            remedy="sort the file by time, oldest first",
        )


def _refuse_close(part: SourcePart, steps_ns: NDArray[np.int64]) -> None:
    """A bar is available at its open plus its frame: with too small a frame it would be seen before it was closed."""
    # Local days are an hour shorter where clocks are set forward.
    shortest_ns = FRAME_NS[part.frame] - (FRAME_NS["H1"] if part.frame in ("D1", "W1") else 0)
    close = (steps_ns > 0) & (steps_ns < shortest_ns)
    if close.any():
        raise _wrong_frame(part, int(np.argmax(close)), f"the bars are closer than {part.frame}")


def _on_grid(steps_ns: NDArray[np.int64], frame: str) -> bool:
    """True if all steps are multiples of a frame; of days and weeks, that may be an hour shorter, at least as long."""
    if frame in ("D1", "W1"):
        return bool((steps_ns >= FRAME_NS[frame] - FRAME_NS["H1"]).all())
    return bool((steps_ns % FRAME_NS[frame] == 0).all())


def _wrong_frame(part: SourcePart, row: int, what: str) -> DataRefused:
    return DataRefused(
        what,
        code="DATA_SCHEMA",
        where=part.where(row, "time"),
        expected=f"bars of the frame that was stated, {part.frame}",
        remedy="state the frame of the file with --frame",
    )
