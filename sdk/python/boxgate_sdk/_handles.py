"""Opening the history handles of OnInit: mapped where the file can be seen, fetched by Arrow Flight elsewhere."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxgate_sdk.errors import EnvironmentMissing, HistoryHandleInvalid, HistoryUnreachable
from boxgate_sdk.frames import FRAME_NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxgate_proto.strategy.v1.strategy_pb2 import HistoryHandle
    from boxgate_sdk.context import Series
    from boxgate_sdk.data import Data

    Columns = dict[str, NDArray[Any]]

_BAR_COLUMNS = ("open_ns", "open", "high", "low", "close", "volume")
_ASK_COLUMNS = ("ask_open", "ask_high", "ask_low", "ask_close")
_SHAPES = {
    False: (_BAR_COLUMNS, _BAR_COLUMNS + _ASK_COLUMNS),
    True: tuple(("time_ns", "bid", "ask", *more) for more in ((), ("last",), ("volume",), ("last", "volume"))),
}
"""The lists of columns that the history of bars, and of ticks, may have."""


def open_handles(handles: Iterable[HistoryHandle], series: Sequence[Series], start_ns: int) -> Data:
    """Open one handle per series and return the history of the session.

    Raises HistoryHandleInvalid, HistoryUnreachable, EnvironmentMissing if NumPy or pyarrow is not installed.
    """
    try:
        from boxgate_sdk._series_rows import SeriesRows
        from boxgate_sdk.data import Data
    except ImportError as error:
        raise _missing(error) from error
    by_series = {handle.series: handle for handle in handles}
    if set(by_series) != set(range(len(series))):
        raise HistoryHandleInvalid(
            f"handles came for the series {sorted(by_series)}", "OnInitRequest.history", "one handle for each series"
        )
    rows = []
    for one in series:
        columns = _open(by_series[one.index], one, start_ns) if by_series[one.index].rows else None
        if by_series[one.index].rows < one.warmup_events:
            raise HistoryHandleInvalid(
                f"the history of {one.symbol} {one.frame} has {by_series[one.index].rows} rows",
                f"OnInitRequest.history[{one.index}]",
                f"at least those {one.warmup_events} of the warm-up",
            )
        rows.append(SeriesRows(one, columns))
    return Data(rows, start_ns)


def _open(handle: HistoryHandle, series: Series, start_ns: int) -> Columns:
    where = f"history of {series.symbol} {series.frame}"
    try:
        import pyarrow as pa
    except ImportError as error:
        raise _missing(error) from error
    try:
        columns = _mapped(handle, series, where) or _fetched(handle, series, where)
    except pa.ArrowException as error:
        raise HistoryHandleInvalid(
            f"it cannot be read ({type(error).__name__})", where, "an Arrow file, or stream, of one series"
        ) from error
    times = next(iter(columns.values()))
    last_ns = int(times[-1]) + (0 if series.is_tick else FRAME_NS[series.frame])
    if last_ns > start_ns:
        raise HistoryHandleInvalid(f"its last row became available at {last_ns}", where, f"nothing after {start_ns}")
    return columns


def _mapped(handle: HistoryHandle, series: Series, where: str) -> Columns | None:
    """Map the file of a handle and return views of the map; None if there is no file that may be read here."""
    import pyarrow as pa

    path = Path(handle.path)
    try:
        if not handle.path or not path.is_absolute() or not stat.S_ISREG(path.lstat().st_mode):
            return None
        source = pa.memory_map(handle.path, "r")
    except OSError:
        return None
    whole = source.read_buffer(source.size())
    source.seek(0)
    reader = pa.ipc.open_file(source)
    _check_schema(reader.schema, series, where)
    if reader.num_record_batches != 1:
        raise HistoryHandleInvalid(f"it has {reader.num_record_batches} batches", where, "one")
    batch = reader.get_batch(0)
    batch.validate()
    if batch.num_rows != handle.rows:
        raise _row_count(batch.num_rows, handle, where)
    for column in batch.columns:
        values = column.buffers()[1]
        inside = whole.address <= values.address and values.address + values.size <= whole.address + whole.size
        if column.null_count or not inside:
            raise HistoryHandleInvalid("a column is compressed or has nulls", where, "plain columns")
    return {name: batch.column(i).to_numpy(zero_copy_only=True) for i, name in enumerate(batch.schema.names)}


def _fetched(handle: HistoryHandle, series: Series, where: str) -> Columns:
    """Fetch the rows of a handle into memory."""
    import numpy as np
    from pyarrow import flight

    if not handle.location:
        raise HistoryUnreachable("its file cannot be read here, and it has no location", where)
    roots = {"tls_root_certs": handle.root_certificate} if handle.root_certificate else {}
    headers = [(b"authorization", b"Bearer " + handle.token.encode())] if handle.token else []
    try:
        # Without a time limit of its own: that of OnInit ends it.
        with flight.connect(handle.location, **roots) as client:
            reader = client.do_get(flight.Ticket(handle.ticket), flight.FlightCallOptions(headers=headers))
            _check_schema(reader.schema, series, where)
            columns = {one.name: np.empty(handle.rows, one.type.to_pandas_dtype()) for one in reader.schema}
            rows = 0
            for chunk in reader:
                batch = chunk.data
                if rows + batch.num_rows > handle.rows:
                    raise _row_count(rows + batch.num_rows, handle, where)
                batch.validate()
                for name, values in zip(columns, batch.columns, strict=True):
                    if values.null_count:
                        raise HistoryHandleInvalid("a column has nulls", where, "plain columns")
                    columns[name][rows : rows + batch.num_rows] = values.to_numpy(zero_copy_only=True)
                rows += batch.num_rows
    except (flight.FlightError, OSError) as error:
        raise HistoryUnreachable(
            f"the server said: {str(error).splitlines()[0].partition('. Detail')[0][:200]}", where
        ) from error
    if rows != handle.rows:
        raise _row_count(rows, handle, where)
    for values in columns.values():
        values.flags.writeable = False
    return columns


def _check_schema(schema: Any, series: Series, where: str) -> None:
    names = tuple(schema.names)
    types = [str(one.type) for one in schema]
    if names not in _SHAPES[series.is_tick] or types != ["int64"] + ["double"] * (len(names) - 1):
        raise HistoryHandleInvalid(
            f"its columns are {', '.join(names)[:200]}", where, "the time as int64, the other columns as double"
        )


def _row_count(rows: int, handle: HistoryHandle, where: str) -> HistoryHandleInvalid:
    return HistoryHandleInvalid(f"it has {rows} rows, or more", where, f"{handle.rows}, as the handle says")


def _missing(error: ImportError) -> EnvironmentMissing:
    return EnvironmentMissing(
        f"{error.name} is not installed",
        where="HISTORY_HANDLES",
        expected="NumPy and pyarrow beside the SDK",
        remedy="install boxgate-sdk[history], or leave HISTORY_HANDLES out of supports()",
    )
