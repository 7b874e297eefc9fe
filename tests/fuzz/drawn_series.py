"""Random market data in memory: a dataset as the engine reads it, without files."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from boxgate_engine.datasets import Dataset, Series
from boxgate_engine.datasets.content import FUNDING
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.instruments import Instrument

Columns = dict[str, npt.NDArray[Any]]
Steps = npt.NDArray[np.int64]

_PARTS = 6
"""Prices that a bar is made of."""


class MemoryDataset(Dataset):
    """Series by symbol and frame, and what instruments they are of; all else that a dataset has is left out."""

    def __init__(self, instruments: list[Instrument], series: Mapping[tuple[str, str], Columns]) -> None:
        self.instruments = {one.symbol: one for one in instruments}  # type: ignore[misc]
        self.manifest = SimpleNamespace(series=())  # type: ignore[misc, assignment]
        self.name = "drawn"  # type: ignore[misc]
        self._stored = dict.fromkeys(series)  # type: ignore[assignment]
        self._open = {
            (symbol, frame): Series(symbol, frame, "NONE" if frame == FUNDING else "BID", "", _mapped(columns))
            for (symbol, frame), columns in series.items()
        }


def _mapped(columns: Columns) -> Any:
    """Return what stands for the mapped file of a series."""
    return SimpleNamespace(mapped=SimpleNamespace(columns=columns))


def draw_ticks(rng: np.random.Generator, walk: Steps, size: Fraction, start_ns: int, span_ns: int) -> Columns:
    """Return ticks on a walk in half ticks; some share a nanosecond, some stand on whole minutes."""
    count = len(walk)
    times = np.sort(start_ns + rng.integers(0, span_ns, count))
    whole = rng.random(count) < 0.1
    times[whole] = times[whole] // 60_000_000_000 * 60_000_000_000
    times = np.sort(times)
    same = rng.random(count) < 0.1
    same[0] = False
    times = np.maximum.accumulate(np.where(same, 0, times))
    ask = walk + 2 * rng.integers(0, 4, count)
    return {"time_ns": times, "bid": _prices(walk, size), "ask": _prices(ask, size)}


def draw_bars(rng: np.random.Generator, walk: Steps, size: Fraction, start_ns: int, frame: str) -> Columns:
    """Return bars over a walk in half ticks with as many parts each, some bars missing; with the ask side."""
    parts = walk[: len(walk) // _PARTS * _PARTS].reshape(-1, _PARTS)
    asks = parts + 2 * rng.integers(0, 4, parts.shape)
    opens = start_ns + np.arange(len(parts)) * FRAME_NS[frame]
    kept = rng.random(len(parts)) > rng.choice((0.0, 0.03, 0.3))
    kept[[0, -1]] = True
    columns: Columns = {"open_ns": opens[kept]}
    for prefix, side in (("", parts[kept]), ("ask_", asks[kept])):
        for name, steps in zip(
            ("open", "high", "low", "close"), (side[:, 0], side.max(1), side.min(1), side[:, -1]), strict=True
        ):
            columns[prefix + name] = _prices(steps, size)
    return columns


def draw_walk(rng: np.random.Generator, count: int, level: int, move: float, *, halves: bool) -> Steps:
    """Return a random walk of half ticks with jumps, never below 12. level: where it begins, in ticks."""
    steps = rng.normal(0.0, max(move * level, 0.7), count)
    jumps = rng.random(count) < 0.01
    steps[jumps] *= 12
    ticks = np.rint(level + np.cumsum(steps)).astype(np.int64)
    floor = min(level, 6)
    ticks = np.where(ticks < floor, floor + (floor - ticks) % max(level, 7), ticks)  # thrown back, not stuck
    found: Steps = 2 * ticks + (rng.integers(0, 2, count) if halves else 0)
    return found


def larger_bars(finer: Columns, frame: str) -> Columns:
    """Return bars of a larger frame made of bars or ticks."""
    ticks = "time_ns" in finer
    times = finer["time_ns" if ticks else "open_ns"]
    opens = times // FRAME_NS[frame] * FRAME_NS[frame]
    first = np.flatnonzero(np.concatenate([[True], opens[1:] != opens[:-1]]))
    last = np.append(first[1:], len(opens)) - 1
    columns: Columns = {"open_ns": opens[first]}
    for prefix, side in (("", "bid"), ("ask_", "ask")):
        names = [side] * 4 if ticks else [f"{prefix}{name}" for name in ("open", "high", "low", "close")]
        if names[0] not in finer:
            continue
        columns[f"{prefix}open"] = finer[names[0]][first]
        columns[f"{prefix}high"] = np.maximum.reduceat(finer[names[1]], first)
        columns[f"{prefix}low"] = np.minimum.reduceat(finer[names[2]], first)
        columns[f"{prefix}close"] = finer[names[3]][last]
    if "volume" in finer:
        columns["volume"] = np.add.reduceat(finer["volume"], first)
    return columns


def without_ask(columns: Columns, frame: str) -> Columns:
    """Return bars without their ask side; ticks always have one."""
    return columns if frame == TICK else {name: each for name, each in columns.items() if not name.startswith("ask")}


def _prices(half_ticks: Steps, size: Fraction) -> npt.NDArray[np.float64]:
    half = size / 2
    prices: npt.NDArray[np.float64] = (half_ticks * half.numerator) / half.denominator
    return prices
