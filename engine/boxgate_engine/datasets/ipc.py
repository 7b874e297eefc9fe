"""Uncompressed Arrow IPC files of one record batch: what processes map instead of reading."""

from __future__ import annotations

import fcntl
import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from boxgate_engine.datasets.content import TIME_COLUMNS, Column


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapped file. columns: read-only arrays that are views into the map. address, bytes: where the map lies."""

    columns: dict[str, Column]
    address: int
    bytes: int


def write_ipc(columns: dict[str, Column], path: Path) -> None:
    """Write columns as an Arrow IPC file: one record batch, no compression, dictionary, statistics or metadata."""
    arrays = [pa.array(np.ascontiguousarray(values)) for values in columns.values()]
    fields = [pa.field(name, pa.int64() if name in TIME_COLUMNS else pa.float64(), nullable=False) for name in columns]
    schema = pa.schema(fields)
    batch = pa.record_batch(arrays, schema=schema)
    options = pa.ipc.IpcWriteOptions(compression=None)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        writer.write_batch(batch)


def map_ipc(path: Path) -> Mapped:
    """Map a file written by `write_ipc`. Raises OSError or pyarrow.ArrowException if it is not such a file.

    The file is locked, shared, for as long as the map lives: nothing that evicts files takes it away meanwhile.
    """
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        try:
            # The map keeps a duplicate of the descriptor, and with it the lock, until the last view of it is gone.
            whole = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError as error:
            raise pa.ArrowInvalid(f"the file cannot be mapped: {error}") from error
    batch = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0)
    columns = {name: batch.column(index).to_numpy(zero_copy_only=True) for index, name in enumerate(batch.schema.names)}
    return Mapped(columns=columns, address=whole.address, bytes=whole.size)
