"""Thinning of long curves: of each equal stretch of time the lowest and the highest point are kept, where they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def thin_bars(time_ns: Integers, low: Floats, high: Floats, rising: npt.NDArray[np.bool_], buckets: int) -> Integers:
    """Return which extremes to draw: indices into the interleaved sequence low, high of every bar.

    time_ns: shape (n,), never decreasing. low, high: shape (n,). rising: shape (n,), True where the low came first.
    Returns the positions of the lows and highs that are kept, in the order in which they happened: entry 2·i is the
    first extreme of bar i and 2·i + 1 the second. At most 2 per bucket, plus the first and the last point. All points
    where there are no more than 2 · buckets of them.
    """
    first = np.where(rising, low, high)
    second = np.where(rising, high, low)
    values = np.column_stack([first, second]).ravel()
    return thin(np.repeat(time_ns, 2), values, buckets)


def thin(time_ns: Integers, values: Floats, buckets: int) -> Integers:
    """Return the indices of the points that keep the shape of a curve, ascending.

    time_ns, values: shape (n,), n >= 0, time never decreasing, values finite. buckets: equal stretches of time, >= 1.
    Of each bucket its first lowest and first highest point are kept, and of the curve its first and last point, so
    there are at most 2 · buckets + 2 indices; all where n <= 2 · buckets.
    """
    assert buckets >= 1, buckets
    count = len(time_ns)
    if count <= 2 * buckets:
        return np.arange(count, dtype=np.int64)
    width_ns = (int(time_ns[-1]) - int(time_ns[0])) // buckets + 1
    bucket = (time_ns - time_ns[0]) // width_ns
    starts = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]]))
    lengths = np.diff(np.append(starts, count))
    group = np.repeat(np.arange(len(starts)), lengths)
    keep = np.zeros(count, dtype=np.bool_)
    for extremes in (np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)):
        hits = np.flatnonzero(values == extremes[group])
        _, earliest = np.unique(group[hits], return_index=True)
        keep[hits[earliest]] = True
    keep[0] = keep[-1] = True
    return np.flatnonzero(keep).astype(np.int64)


def time_steps(time_ns: Integers) -> dict[str, Any]:
    """Return times as {unit_ms, steps}: the first in units since 1970, then the distance of each to the one before.

    A third of the text that whole instants need. The unit is a minute or a second where all times are whole ones,
    else a millisecond; what is finer is cut off.
    """
    time_ms = time_ns // 1_000_000
    unit_ms = next(unit for unit in (60_000, 1_000, 1) if not np.any(time_ms % unit))
    return {"unit_ms": unit_ms, "steps": np.diff(time_ms // unit_ms, prepend=0).tolist()}
