"""Opening a handle copies nothing of a mapped file, and takes nothing that is not the history it names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from boxgate_proto.strategy.v1.strategy_pb2 import HistoryHandle
from boxgate_sdk import errors
from boxgate_sdk._handles import open_handles
from boxgate_sdk._series_rows import SeriesRows
from boxgate_sdk._wire import Window
from boxgate_sdk.context import Series
from boxgate_sdk.data import Data
from boxgate_sdk.frames import FRAME_NS

_MINUTE = FRAME_NS["M1"]
_NAMES = ("open_ns", "open", "high", "low", "close", "volume")


def _series(warmup: int = 0) -> Series:
    return Series(
        index=0,
        symbol="EURUSD",
        frame="M1",
        instrument=0,
        price_basis="BID",
        has_ask=False,
        warmup_events=warmup,
    )


def _columns(rows: int) -> dict[str, Any]:
    values = np.arange(rows, dtype=np.float64)
    return {"open_ns": np.arange(rows, dtype=np.int64) * _MINUTE, **dict.fromkeys(_NAMES[1:], values)}


def _write(path: Path, columns: dict[str, Any], *, batches: int = 1, **options: Any) -> HistoryHandle:
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink:
        writer = pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options))
        for batch in table.to_batches(max_chunksize=-(-table.num_rows // batches)):
            writer.write_batch(batch)
        writer.close()
    return HistoryHandle(series=0, rows=table.num_rows, path=str(path))


def _open(handle: HistoryHandle, start_ns: int | None = None, warmup: int = 0) -> Data:
    return open_handles([handle], [_series(warmup)], handle.rows * _MINUTE if start_ns is None else start_ns)


def test_ten_million_rows_are_viewed_in_the_map_without_a_copy(tmp_path: Path) -> None:
    rows = 10_000_000
    handle = _write(tmp_path / "slice.arrow", _columns(rows))
    before = pa.total_allocated_bytes()
    data = _open(handle)
    assert pa.total_allocated_bytes() - before < 10_000  # the footer of the file
    before = pa.total_allocated_bytes()
    view = data.history("EURUSD", "M1", rows * _MINUTE + 1, rows)
    table = view.to_arrow()
    columns = view.to_numpy()
    assert pa.total_allocated_bytes() == before
    frame = view.to_polars()
    assert pa.total_allocated_bytes() - before < 10_000  # what is handed over: descriptions of arrays
    assert (len(view), table.num_rows, frame.height, len(columns["close"])) == (rows,) * 4
    mapped = re.search(rf"^(\w+)-(\w+) r--\S* .*{re.escape(handle.path)}$", Path("/proc/self/maps").read_text(), re.M)
    assert mapped
    begin, end = int(mapped[1], 16), int(mapped[2], 16)
    for name in _NAMES:
        places = [
            *view.addresses(name),
            (columns[name].ctypes.data, columns[name].nbytes),
            (table[name].chunk(0).buffers()[1].address, table[name].chunk(0).buffers()[1].size),
            (frame[name].to_numpy(allow_copy=False).ctypes.data, rows * 8),
        ]
        for address, size in places:
            assert begin <= address
            assert address + size <= end
            assert size == rows * 8


def test_a_view_that_spans_the_start_keeps_its_first_part_in_the_map(tmp_path: Path) -> None:
    data = _open(_write(tmp_path / "slice.arrow", _columns(1000)))
    _deliver(data, 1000, 10)
    view = data.history("EURUSD", "M1", 1010 * _MINUTE + 1, 30)
    chunks = view.to_arrow()["close"].chunks
    assert [len(chunk) for chunk in chunks] == [20, 10]
    assert chunks[0].buffers()[1].address == view.addresses("close")[0][0]
    whole = data.history("EURUSD", "M1", 1000 * _MINUTE, 1000)
    assert view.addresses("close")[0][0] == whole.addresses("close")[0][0] + 980 * 8
    assert view["close"].tolist() == [float(i) for i in range(980, 1010)]


def test_a_row_of_the_tape_is_moved_a_bounded_number_of_times(tmp_path: Path) -> None:
    data = _open(_write(tmp_path / "slice.arrow", _columns(100)))
    rows = data._all[0]
    moves = 0
    tape: Any = rows.tape
    events = 200_000
    for first in range(0, events, 50):
        _deliver(data, 100 + first, 50)
        data.history("EURUSD", "M1", (150 + first) * _MINUTE + 1, 120)
        if rows.tape is not tape:
            moves += len(tape[0])
            tape = rows.tape
    assert moves <= 2 * events
    last = data.history("EURUSD", "M1", (100 + events) * _MINUTE + 1, 100 + events)
    assert np.array_equal(last["close"], np.arange(100 + events))


def _deliver(data: Data, first: int, count: int) -> None:
    def column(values: Any) -> memoryview[Any]:
        return memoryview(values.tobytes()).cast("q" if values.dtype == np.int64 else "d")

    opens = np.arange(first, first + count, dtype=np.int64) * _MINUTE
    empty: memoryview[Any] = memoryview(b"").cast("d")
    bars = [column(opens), *[column(np.arange(first, first + count, dtype=np.float64))] * 5, *[empty] * 4]
    window = Window(first - 100, count, False, column(opens + _MINUTE), empty, bars, None, None, None)

    class Ctx:
        series = (_series(),)
        seq = None

    if data._ctx is None:
        data.attach(Ctx())  # type: ignore[arg-type]  # what it reads of a context
    data.enter_window(window, vector=False)
    data.leave_window(count)


def _named(**changes: Any) -> Callable[[Path], HistoryHandle]:
    def make(path: Path) -> HistoryHandle:
        handle = _write(path, _columns(50))
        for name, value in changes.items():
            setattr(handle, name, value)
        return handle

    return make


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_named(rows=49), "HISTORY_HANDLE"),
        (_named(rows=51), "HISTORY_HANDLE"),
        (_named(path="/nowhere/slice.arrow"), "HISTORY_UNREACHABLE"),
        (_named(path="relative.arrow"), "HISTORY_UNREACHABLE"),
        (_named(path="/dev/zero"), "HISTORY_UNREACHABLE"),
        (_named(path="/etc"), "HISTORY_UNREACHABLE"),
        (_named(path="/nowhere", location="grpc://127.0.0.1:1"), "HISTORY_UNREACHABLE"),
        (_named(path=__file__), "HISTORY_HANDLE"),
        (_named(series=1), "HISTORY_HANDLE"),
        (lambda path: _write(path, _columns(50), batches=2), "HISTORY_HANDLE"),
        (lambda path: _write(path, _columns(5000), compression="lz4"), "HISTORY_HANDLE"),
        (lambda path: _write(path, {**_columns(50), "future": np.zeros(50)}), "HISTORY_HANDLE"),
        (lambda path: _write(path, {**_columns(50), "close": np.zeros(50, np.float32)}), "HISTORY_HANDLE"),
        (lambda path: _write(path, {**_columns(50), "close": pa.array([None] * 50, pa.float64())}), "HISTORY_HANDLE"),
        (lambda path: _write(path, {"open_ns": np.arange(50)}), "HISTORY_HANDLE"),
    ],
)
def test_what_is_not_the_history_that_a_handle_names_is_refused(
    tmp_path: Path, make: Callable[[Path], HistoryHandle], code: str
) -> None:
    with pytest.raises(errors.ProtocolError) as caught:
        _open(make(tmp_path / "slice.arrow"))
    assert caught.value.code == code


@pytest.mark.parametrize(("start_ns", "right"), [(50 * _MINUTE, True), (50 * _MINUTE - 1, False)])
def test_a_file_that_reaches_beyond_the_start_is_refused(tmp_path: Path, start_ns: int, right: bool) -> None:
    handle = _write(tmp_path / "slice.arrow", _columns(50))
    if right:
        assert isinstance(_open(handle, start_ns)._all[0], SeriesRows)
        return
    with pytest.raises(errors.HistoryHandleInvalid, match="nothing after"):
        _open(handle, start_ns)


def test_a_history_shorter_than_the_warm_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.HistoryHandleInvalid, match="warm-up"):
        _open(_write(tmp_path / "slice.arrow", _columns(50)), warmup=51)
