"""Aggregation of bars or ticks to a larger frame: UTC-aligned, only non-empty bars, one result on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import BAR_COLUMNS, Column, SeriesContent
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS, TICK

VERSION: Final = "boxgate.aggregation/1"
"""Name of the rules below; part of the key of everything that is cached from them."""

_WEEK_ORIGIN_NS: Final = 4 * FRAME_NS["D1"]
"""Monday 1970-01-05 00:00 UTC: weeks start on Mondays."""


def aggregate(content: SeriesContent, frame: str) -> SeriesContent:
    """Return the bars of a larger frame.

    A bar opens at the UTC multiple of its frame (W1: Monday 00:00) and exists if at least one source row lies in it.
    Bid and ask have their own open, high, low, close. Volume is the sum in time order; of ticks without a volume
    column, their number. Bars of ticks with bid and ask are bid bars with ask columns, bars of
    trades have LAST prices and no ask columns.
    Raises DataRefused (FRAME_UNAVAILABLE) if a source bar would reach over the end of a target bar.
    """
    opens_ns = bucket_opens_ns(content.times_ns, frame)
    if content.frame != TICK:
        _check_inside(content, opens_ns, frame)
    starts = np.flatnonzero(np.concatenate(([True], opens_ns[1:] != opens_ns[:-1])))
    columns: dict[str, Column] = {"open_ns": opens_ns[starts]}
    columns |= _side(starts, content, "")
    columns["volume"] = _volume(starts, content)
    if content.has_ask:
        columns |= _side(starts, content, "ask_")
    return SeriesContent(symbol=content.symbol, frame=frame, price_basis=content.price_basis, columns=columns)


def bucket_opens_ns(times_ns: NDArray[np.int64], frame: str) -> NDArray[np.int64]:
    """Return for each time, int64 ns UTC, the open of the bar of `frame` that holds it."""
    duration_ns = FRAME_NS[frame]
    origin_ns = _WEEK_ORIGIN_NS if frame == "W1" else 0
    return (times_ns - origin_ns) // duration_ns * duration_ns + origin_ns


def can_make(frame: str, source_frame: str) -> bool:
    """True if bars of `frame` can be made of whole rows of `source_frame`."""
    if frame not in FRAME_NS:
        return False
    return source_frame == TICK or (
        FRAME_NS[source_frame] < FRAME_NS[frame] and FRAME_NS[frame] % FRAME_NS[source_frame] == 0
    )


def _side(starts: NDArray[np.intp], content: SeriesContent, prefix: str) -> dict[str, Column]:
    if content.frame == TICK:
        opens = highs = lows = closes = content.columns["ask" if prefix else "bid"]
    else:
        opens, highs, lows, closes = (content.columns[prefix + name] for name in BAR_COLUMNS[1:5])
    ends = np.concatenate((starts[1:], [content.rows])) - 1
    return {
        prefix + "open": opens[starts],
        prefix + "high": np.maximum.reduceat(highs, starts),
        prefix + "low": np.minimum.reduceat(lows, starts),
        prefix + "close": closes[ends],
    }


def _volume(starts: NDArray[np.intp], content: SeriesContent) -> NDArray[np.float64]:
    counts = np.diff(np.concatenate((starts, [content.rows])))
    if "volume" not in content.columns:
        return counts.astype(np.float64)
    # bincount adds one value after the other in time order; add.reduceat adds in pairs, and the last bit differs.
    bar_of_row = np.repeat(np.arange(len(starts)), counts)
    volumes = content.columns["volume"].view(np.float64)
    return np.asarray(np.bincount(bar_of_row, weights=volumes, minlength=len(starts)), dtype=np.float64)


def _check_inside(content: SeriesContent, opens_ns: NDArray[np.int64], frame: str) -> None:
    over = content.times_ns + FRAME_NS[content.frame] > opens_ns + FRAME_NS[frame]
    if over.any():
        row = int(np.argmax(over))
        raise DataRefused(
            f"the {content.frame} bar at {int(content.times_ns[row])} ns reaches over the end of its {frame} bar",
            code="FRAME_UNAVAILABLE",
            where=f"{content.symbol} {frame}",
            expected=f"{content.frame} bars that open on the UTC grid of their frame",
            remedy=f"import {frame} bars, or a finer frame of {content.symbol}",
        )
