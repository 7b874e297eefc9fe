"""Slices: the physical piece of history that a sidecar may see before a run, and nothing behind it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from boxgate_engine.datasets.content import Column, time_column
from boxgate_engine.datasets.dataset import Dataset, Series
from boxgate_engine.datasets.durable import locked, unfinished_file
from boxgate_engine.datasets.ipc import map_ipc, write_ipc
from boxgate_engine.errors import DataDamaged
from boxgate_engine.frames import frame_duration_ns

SLICE_FOLDER: Final = "slices"
"""Folder of the shared slices inside the cache folder of a symbol."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A slice on disk. columns: read-only views into its map, as in `Series`."""

    path: Path
    columns: dict[str, Column]

    @property
    def rows(self) -> int:
        """Number of bars or ticks; zero if nothing was available at the start."""
        return len(next(iter(self.columns.values())))


def shared_slice(dataset: Dataset, symbol: str, frame: str, start_ns: int, *, cache_dir: Path) -> Slice:
    """Return the slice of a series for runs that start at `start_ns`, written once and shared by all of them.

    Raises DataDamaged (DATA_HASH) if a file of its name is there that does not end where the slice does.
    """
    series = dataset.series(symbol, frame)
    # A series that is aggregated by another rule has another digest, and so another slice.
    key = hashlib.sha256(series.digest.encode()).hexdigest()[:16]
    target = cache_dir / dataset.hash / symbol / SLICE_FOLDER / f"{frame}-{start_ns}.{key}.arrow"
    with locked(target.with_suffix(".lock")):
        if not target.exists():
            write_slice(series, start_ns, target)
    opened = open_slice(target)
    rows = slice_rows(series, start_ns)
    times = time_column(frame)
    if opened.rows != rows or not np.array_equal(opened.columns[times][-1:], series.columns[times][:rows][-1:]):
        raise _damaged(target, "the slice does not end where it should")
    return opened


def write_slice(series: Series, start_ns: int, target: Path) -> int:
    """Write the rows of a series that are available at or before `start_ns`; return their number.

    A bar is available at its open plus its frame, a tick at its time. The file is a new Arrow IPC file of one record
    batch with fixed-width columns only: no later value, no dictionary, statistics, metadata or total length is in it.
    It appears complete or not at all.
    """
    rows = slice_rows(series, start_ns)
    columns: dict[str, Column] = {name: values[:rows] for name, values in series.columns.items()}
    with unfinished_file(target) as unfinished:
        write_ipc(columns, unfinished)
        unfinished.chmod(0o444)
    return rows


def slice_rows(series: Series, start_ns: int) -> int:
    """Return how many rows of a series are available at or before `start_ns`."""
    times_ns = series.columns[time_column(series.frame)]
    return int(np.searchsorted(times_ns, start_ns - frame_duration_ns(series.frame), side="right"))


def open_slice(path: Path) -> Slice:
    """Map a slice. Raises DataDamaged (DATA_HASH) if the file is no slice."""
    try:
        return Slice(path=path, columns=map_ipc(path).columns)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, f"the file cannot be mapped ({type(error).__name__})") from error


def _damaged(path: Path, what: str) -> DataDamaged:
    return DataDamaged(
        what,
        code="DATA_HASH",
        where=str(path),
        expected="a slice written by this program",
        remedy="delete the file; it is written again by the next run",
    )
