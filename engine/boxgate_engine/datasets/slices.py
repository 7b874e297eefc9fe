"""Slices: the physical piece of history that a sidecar may see before a run, and nothing behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from boxgate_engine.datasets.cache import cached_columns
from boxgate_engine.datasets.content import Column, time_column
from boxgate_engine.datasets.dataset import Dataset, Series
from boxgate_engine.datasets.durable import unfinished_file
from boxgate_engine.datasets.ipc import map_ipc, write_ipc
from boxgate_engine.errors import DataDamaged

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

    A file that was changed since it was written, or that another rule of aggregation made, is written anew.
    """
    series = dataset.series(symbol, frame)
    rows = slice_rows(series, start_ns)
    target = cache_dir / dataset.hash / symbol / SLICE_FOLDER / f"{frame}-{start_ns}.arrow"
    file = cached_columns(target, f"slice {start_ns} {series.digest}", lambda: _first_rows(series, rows))
    return Slice(path=file.path, columns=file.mapped.columns)


def write_slice(series: Series, start_ns: int, target: Path) -> int:
    """Write the rows of a series that are available at or before `start_ns`; return their number.

    A bar is available at its open plus its frame, a tick at its time. The file is a new Arrow IPC file of one record
    batch with fixed-width columns only: no later value, no dictionary, statistics, metadata or total length is in it.
    It appears complete or not at all.
    """
    rows = slice_rows(series, start_ns)
    with unfinished_file(target) as unfinished:
        write_ipc(_first_rows(series, rows), unfinished)
        unfinished.chmod(0o444)
    return rows


def slice_rows(series: Series, start_ns: int) -> int:
    """Return how many rows of a series are available at or before `start_ns`."""
    times_ns = series.columns[time_column(series.frame)]
    return int(np.searchsorted(times_ns, start_ns - series.duration_ns, side="right"))


def _first_rows(series: Series, rows: int) -> dict[str, Column]:
    return {name: values[:rows] for name, values in series.columns.items()}


def open_slice(path: Path) -> Slice:
    """Map a slice. Raises DataDamaged (DATA_HASH) if the file is no slice."""
    try:
        return Slice(path=path, columns=map_ipc(path).columns)
    except (OSError, pa.ArrowException) as error:
        raise DataDamaged(
            f"the file cannot be mapped ({type(error).__name__})",
            code="DATA_HASH",
            where=str(path),
            expected="a slice written by this program",
            remedy="delete the file; it is written again by the next run",
        ) from error
