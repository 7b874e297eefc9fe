"""What ctx.data.history returns: rows of one series, read-only. Needs NumPy and, for tables, pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from boxgate_sdk._extras import extra_missing

if TYPE_CHECKING:
    import polars
    import pyarrow
    from numpy.typing import NDArray

    Column = NDArray[Any]


class HistoryView:
    """Consecutive rows of one series, oldest first.

    symbol, frame: of the series. columns: names, the time first: `open_ns` of bars, `time_ns` of ticks, nanoseconds
    since 1970-01-01 UTC. Rows from before the start and rows of the tape lie in different memory; a view that has both
    has two parts. Nothing is copied but by to_numpy() and [] of a view with two parts.
    """

    __slots__ = ("_parts", "_rows", "columns", "frame", "symbol")

    def __init__(
        self, symbol: str, frame: str, names: tuple[str, ...], parts: list[tuple[tuple[Column, ...], int, int]]
    ) -> None:
        """Take the columns, and [begin, end) of the rows in them, of each part."""
        self.symbol = symbol
        self.frame = frame
        self.columns = names
        self._parts = parts
        self._rows = sum(end - begin for _, begin, end in parts)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def __getitem__(self, name: str) -> Column:
        """Return one column, shape (rows,), read-only. Raises KeyError."""
        if name not in self.columns:
            raise KeyError(f"{name!r}: the columns are {', '.join(self.columns)}")
        place = self.columns.index(name)
        pieces = [self._piece(part, place) for part in range(len(self._parts))]
        if len(pieces) == 1:
            return pieces[0]
        whole = np.concatenate(pieces)
        whole.flags.writeable = False
        return whole

    def __repr__(self) -> str:
        """Return a line for people."""
        return f"HistoryView({self.symbol} {self.frame}, {self._rows} rows)"

    def to_numpy(self) -> dict[str, Column]:
        """Return every column by name, read-only."""
        return {name: self[name] for name in self.columns}

    def to_arrow(self) -> pyarrow.Table:
        """Return a table on the same memory, one chunk per part."""
        import pyarrow as pa

        fields = [pa.field(name, _type(name), nullable=False) for name in self.columns]
        chunked = [
            pa.chunked_array([self._arrow(part, place) for part in range(len(self._parts))], type=one.type)
            for place, one in enumerate(fields)
        ]
        return pa.Table.from_arrays(chunked, schema=pa.schema(fields))

    def to_polars(self) -> polars.DataFrame:
        """Return a data frame on the same memory. Raises EnvironmentMissing without polars."""
        try:
            import polars as pl
        except ModuleNotFoundError as error:
            raise extra_missing(error, "History.to_polars", "history-polars") from error

        frame = pl.from_arrow(self.to_arrow(), rechunk=False)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def addresses(self, name: str) -> list[tuple[int, int]]:
        """Return where a column lies in memory: (address, bytes) of each part."""
        place = self.columns.index(name)
        pieces = [self._piece(part, place) for part in range(len(self._parts))]
        return [(piece.ctypes.data, piece.nbytes) for piece in pieces]

    def _piece(self, part: int, place: int) -> Column:
        columns, begin, end = self._parts[part]
        piece = columns[place][begin:end]
        piece.flags.writeable = False
        return piece

    def _arrow(self, part: int, place: int) -> Any:
        import pyarrow as pa

        piece = self._piece(part, place)
        kind = _type(self.columns[place])
        return pa.Array.from_buffers(kind, len(piece), [None, pa.py_buffer(piece)], null_count=0)


def _type(name: str) -> Any:
    import pyarrow as pa

    return pa.int64() if name in ("open_ns", "time_ns") else pa.float64()
