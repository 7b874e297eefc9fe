"""The Parquet files at rest: written with page checksums, never read without verifying them and the file's hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from boxgate_engine.datasets.content import TIME_COLUMNS, Column, SeriesContent
from boxgate_engine.datasets.manifest import StoredFile, StoredSeries
from boxgate_engine.errors import DataDamaged

_HASH_CHUNK_BYTES: Final = 1 << 22


class ParquetFile:
    """A file that is written chunk by chunk, each a row group, in a `with` statement. It ends up read-only."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path: Final = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = pa.schema([(name, pa.int64() if name in TIME_COLUMNS else pa.float64()) for name in names])
        # Byte-stream splitting lets the compressor see the slowly moving bytes of prices side by side.
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="lz4",
            use_dictionary=False,
            use_byte_stream_split=list(names),
            write_statistics=False,
            write_page_checksum=True,
            store_schema=False,
        )

    def add(self, columns: Mapping[str, Column]) -> None:
        """Write the next rows."""
        arrays = [_array(field.type, columns[field.name]) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
        self.path.chmod(0o444)

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def read_series(folder: Path, series: StoredSeries) -> SeriesContent:
    """Return a stored series after verifying the hash of each of its files. Raises DataDamaged (DATA_HASH)."""
    parts = [_read_file(folder, file, series.columns) for file in series.files]
    columns: dict[str, Column] = {
        name: parts[0][name] if len(parts) == 1 else np.concatenate([part[name] for part in parts])
        for name in series.columns
    }
    return SeriesContent(symbol=series.symbol, frame=series.frame, price_basis=series.price_basis, columns=columns)


def stream_series(folder: Path, series: StoredSeries) -> Iterator[dict[str, Column]]:
    """Yield the rows of a stored series, verified like those of `read_series`, in chunks. Raises DataDamaged."""
    for file in series.files:
        verify_file(folder, file)
        yield from stream_file(folder / file.path, series.columns)


def stream_file(path: Path, names: Sequence[str]) -> Iterator[dict[str, Column]]:
    """Yield the row groups of a file that this program wrote. Raises DataDamaged (DATA_HASH)."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(names), use_threads=False)
                yield {name: np.ascontiguousarray(table.column(name).to_numpy()) for name in names}
    except (OSError, pa.ArrowException) as error:
        raise _undecodable(path, error) from error


def verify_file(folder: Path, file: StoredFile) -> None:
    """Check that a file has the hash of the manifest. Raises DataDamaged (DATA_HASH)."""
    path = folder / file.path
    try:
        if path.is_symlink():
            raise _damaged(path, "the file is a symbolic link", "a regular file")
        found = file_sha256(path)
    except OSError as error:
        raise _damaged(path, f"the file cannot be read ({error.strerror})", f"SHA-256 {file.sha256}") from error
    if found != file.sha256:
        raise _damaged(path, f"the file has SHA-256 {found}", f"SHA-256 {file.sha256}")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def _read_file(folder: Path, file: StoredFile, names: tuple[str, ...]) -> dict[str, Column]:
    verify_file(folder, file)
    path = folder / file.path
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read(columns=list(names), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise _undecodable(path, error) from error
    types = {name: pa.int64() if name in TIME_COLUMNS else pa.float64() for name in names}
    if {field.name: field.type for field in table.schema} != types or table.num_rows != file.rows:
        raise _damaged(path, "columns or rows differ from the manifest", f"{file.rows} rows of {', '.join(names)}")
    if any(column.null_count for column in table.columns):
        raise _damaged(path, "the file holds nulls", "a value in every row")
    return {name: np.ascontiguousarray(table.column(name).to_numpy()) for name in names}


def _array(kind: pa.DataType, values: Column) -> pa.Array:
    """Return a view of a column; `pa.array` would load pandas for it."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _undecodable(path: Path, error: Exception) -> DataDamaged:
    return _damaged(path, f"the file cannot be decoded ({error})", "a sound Parquet file")


def _damaged(path: Path, what: str, expected: str) -> DataDamaged:
    return DataDamaged(
        what,
        code="DATA_HASH",
        where=str(path),
        expected=expected,
        remedy="restore the dataset's folder from a copy, or delete it and import the data again",
    )
