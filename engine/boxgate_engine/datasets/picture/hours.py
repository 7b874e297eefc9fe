"""Spreads and volumes by hour of the day, UTC."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.frames import FRAME_NS, TICK

_HOUR_NS: Final = FRAME_NS["H1"]
_HOURS: Final = 24
_EXACT_TICKS: Final = 4096
"""Spreads up to so many ticks are kept exactly, larger ones to a part in 2,048; so there are not too many to keep."""
_HOUR_STRIDE: Final = 1 << 56


class HourCounts:
    """Rows, volume and spreads of each hour of the day. Spreads of bars are those at their closes."""

    def __init__(self, frame: str, tick_size: Fraction) -> None:
        self._frame = frame
        self._tick = float(tick_size)
        self._rows = np.zeros(_HOURS, dtype=np.int64)
        self._volume = np.zeros(_HOURS)
        self._has_volume = False
        self._keys: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._times: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._has_ask = False

    def add(self, content: SeriesContent) -> None:
        """Count the next rows."""
        hour = content.times_ns // _HOUR_NS % _HOURS
        self._rows += np.bincount(hour, minlength=_HOURS)
        if "volume" in content.columns:
            volume = content.columns["volume"].view(np.float64)
            self._has_volume |= bool(np.any(volume))
            self._volume += np.bincount(hour, weights=volume, minlength=_HOURS)
        bid, ask = ("bid", "ask") if self._frame == TICK else ("close", "ask_close")
        if content.has_ask:
            self._has_ask = True
            self._add_spreads(hour, content.columns[ask].view(np.float64) - content.columns[bid].view(np.float64))

    def result(self) -> JsonObject:
        """Return {spread, volume}, lists of 24, the first for 00:00 to 01:00.

        spread: {unit "ticks", rows, median, p95} or None without an ask side; median and p95 are spreads that occur
        (the lower median), None in an hour without rows.
        volume: {kind, rows, total, mean}: kind "volume" for what was traded (mean per row), else "rows": bars or ticks,
        total equals rows and mean is the share of all rows.
        """
        rows = self._rows.tolist()
        if self._has_volume:
            total = self._volume.tolist()
            mean = [value / count if count else None for value, count in zip(total, rows, strict=True)]
            volume: dict[str, Any] = {"kind": "volume", "rows": rows, "total": total, "mean": mean}
        else:
            share = (self._rows / max(int(self._rows.sum()), 1)).tolist()
            volume = {"kind": "rows", "rows": rows, "total": rows, "mean": share}
        return {"spread": self._spreads() if self._has_ask else None, "volume": volume}

    def _add_spreads(self, hour: npt.NDArray[np.int64], spread: npt.NDArray[np.float64]) -> None:
        ticks = np.rint(spread / self._tick).astype(np.int64)
        size = np.abs(ticks)
        if len(size) and size.max() >= _EXACT_TICKS:
            coarse = np.exp2(np.floor(np.log2(np.maximum(size, 1) / (_EXACT_TICKS // 2)))).astype(np.int64)
            coarse = np.maximum(coarse, 1)
            ticks = ticks // coarse * coarse
        # One key for hour and spread: sorting one column of integers is the whole work.
        keys, times = np.unique(hour * _HOUR_STRIDE + ticks, return_counts=True)
        all_keys, all_times = np.concatenate((self._keys, keys)), np.concatenate((self._times, times))
        self._keys, place = np.unique(all_keys, return_inverse=True)
        self._times = np.bincount(place, weights=all_times, minlength=len(self._keys)).astype(np.int64)

    def _spreads(self) -> dict[str, Any]:
        hour = (self._keys + _HOUR_STRIDE // 2) // _HOUR_STRIDE
        ticks = self._keys - hour * _HOUR_STRIDE
        found: dict[str, Any] = {"unit": "ticks", "rows": self._rows.tolist(), "median": [], "p95": []}
        for number in range(_HOURS):
            inside = hour == number
            below = np.cumsum(self._times[inside])
            for name, share in (("median", 0.5), ("p95", 0.95)):
                value = int(ticks[inside][np.searchsorted(below, share * below[-1])]) if len(below) else None
                found[name].append(value)
        return found
