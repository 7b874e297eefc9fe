"""A series on its way into a dataset: file, digest, tick size and quality report, made while its rows stream by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

from boxgate_engine.datasets.canonical import SeriesDigest
from boxgate_engine.datasets.content import Column, PriceBasis, SeriesContent, time_column
from boxgate_engine.datasets.manifest import StoredFile
from boxgate_engine.datasets.parquet import ParquetFile, file_sha256

Columns = Mapping[str, Column]

ROW_GROUP_ROWS: Final = 1 << 17
"""Rows of a row group, and of what is in memory of a series at a time. The file does not depend on how rows arrive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """What is known of a series before its rows."""

    symbol: str
    frame: str
    price_basis: PriceBasis
    names: tuple[str, ...]

    def content(self, columns: Columns) -> SeriesContent:
        """Return rows of the series as content."""
        return SeriesContent(symbol=self.symbol, frame=self.frame, price_basis=self.price_basis, columns=dict(columns))


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A series that was written. first_ns, last_ns: of its time column. file.path: as given to the writer."""

    heading: Heading
    rows: int
    first_ns: int
    last_ns: int
    digest: str
    file: StoredFile


class SeriesWriter:
    """Writes the rows of one series in stored order to a Parquet file; leaving by an error leaves the file unsound.

    observers: called with all rows, a row group at a time, in order. pool: runs the steps of a row group beside each
    other and beside the caller; a row group begins when the one before is done, so that nothing depends on it.
    """

    def __init__(
        self,
        path: Path,
        heading: Heading,
        pool: Executor,
        observers: Sequence[Callable[[SeriesContent], None]] = (),
    ) -> None:
        self.path: Final = path
        self.heading: Final = heading
        self.rows = 0
        self.first_ns = self.last_ns = 0
        self._pool = pool
        self._digest = SeriesDigest(heading.names)
        self._file = ParquetFile(path, heading.names)
        self._observers = tuple(observers)
        self._rows = RowBuffer(ROW_GROUP_ROWS)
        self._running: list[Future[None]] = []

    def add(self, columns: Columns) -> None:
        """Take the next rows. A failure of a row group before is raised here."""
        times_ns = columns[time_column(self.heading.frame)]
        if not len(times_ns):
            return
        if not self.rows:
            self.first_ns = self.last_ns = int(times_ns[0])
        assert times_ns[0] >= self.last_ns, "rows come in time order"
        self.last_ns = int(times_ns[-1])
        self.rows += len(times_ns)
        for group in self._rows.add(columns):
            self._write(group)

    def close(self) -> None:
        """Write what is left; the file is complete, and no observer is called any more."""
        rest = self._rows.rest()
        if rest is not None:
            self._write(rest)
        self._wait()
        self._file.close()

    def written(self, path: str) -> Written:
        """Return what was written, after `close`. path: how the manifest calls the file."""
        heading = self.heading
        file = StoredFile(path=path, sha256=file_sha256(self.path), bytes=self.path.stat().st_size, rows=self.rows)
        return Written(
            heading=heading,
            rows=self.rows,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            digest=self._digest.result(heading.symbol, heading.frame, heading.price_basis),
            file=file,
        )

    def _write(self, group: Columns) -> None:
        self._wait()
        self._running = [self._pool.submit(self._file.add, group), self._pool.submit(self._observe, group)]

    def _observe(self, group: Columns) -> None:
        self._digest.add(group)
        content = self.heading.content(group)
        for observer in self._observers:
            observer(content)

    def _wait(self) -> None:
        running, self._running = self._running, []
        for future in running:
            future.result()

    def __enter__(self) -> SeriesWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()


class RowBuffer:
    """Turns chunks of any size into chunks of one size."""

    def __init__(self, rows: int) -> None:
        self._size = rows
        self._chunks: list[Columns] = []
        self._count = 0

    def add(self, columns: Columns) -> Iterator[Columns]:
        """Take rows; yield as many whole chunks as there are."""
        self._chunks.append(columns)
        self._count += len(next(iter(columns.values())))
        if self._count < self._size:
            return
        joined = joined_rows(self._chunks)
        whole = self._count // self._size * self._size
        self._count -= whole
        # Copied, so that the rest does not keep everything before it in memory.
        self._chunks = [{name: values[whole:].copy() for name, values in joined.items()}] if self._count else []
        for start in range(0, whole, self._size):
            yield {name: values[start : start + self._size] for name, values in joined.items()}

    def rest(self) -> Columns | None:
        """Return what is left, None if nothing is."""
        chunks, self._chunks, self._count = self._chunks, [], 0
        return joined_rows(chunks) if chunks else None


def joined_rows(chunks: Sequence[Columns]) -> dict[str, Column]:
    """Return chunks one behind the other."""
    if len(chunks) == 1:
        return dict(chunks[0])
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
