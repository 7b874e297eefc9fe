"""A slice holds what was available at the start, and not one byte of what came after."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from boxgate_engine.datasets import SeriesContent, open_slice, shared_slice, slice_rows, write_slice
from boxgate_engine.datasets.checking import check_dataset
from boxgate_engine.errors import DataDamaged

Bars = Callable[..., SeriesContent]

_MINUTE_NS = 60_000_000_000


@pytest.mark.parametrize("with_ask", [True, False])
def test_no_byte_of_a_later_value_is_in_the_file(store: Any, bars: Bars, with_ask: bool) -> None:
    content = bars(3000, with_ask=with_ask)
    # Every value is made unique, so that finding one of them in the file tells where it came from.
    unique = {
        name: values if name == "open_ns" else values + np.arange(len(values)) * 1e-9 + index * 1e-6
        for index, (name, values) in enumerate(content.columns.items())
    }
    store.freeze(replace(content, columns=unique))
    series = store.open("x").series("EURUSD", "M1")
    start_ns = int(series.times_ns[1000]) + 5
    target = store.folder / "slice.arrow"
    assert write_slice(series, start_ns, target) == 1000
    raw = target.read_bytes()
    for name, values in series.columns.items():
        form = "<q" if name == "open_ns" else "<d"
        assert raw.count(struct.pack(form, values[999].item())) == 1, name
        for later in values[1000:].tolist():
            assert struct.pack(form, later) not in raw, name
    assert struct.pack("<q", 3000) not in raw
    assert len(raw) < 1000 * 8 * len(unique) + 4096


@pytest.mark.parametrize(
    ("offset_ns", "rows"), [(-1, 0), (0, 0), (_MINUTE_NS - 1, 0), (_MINUTE_NS, 1), (10 * _MINUTE_NS, 10), (10**18, 500)]
)
def test_a_bar_belongs_to_it_once_it_is_closed(store: Any, bars: Bars, offset_ns: int, rows: int) -> None:
    store.freeze(bars(500))
    series = store.open("x").series("EURUSD", "M1")
    start_ns = int(series.times_ns[0]) + offset_ns
    assert slice_rows(series, start_ns) == rows
    target = store.folder / "slice.arrow"
    write_slice(series, start_ns, target)
    cut = open_slice(target)
    assert cut.rows == rows
    for name, values in series.columns.items():
        assert np.array_equal(cut.columns[name], values[:rows])


def test_a_tick_belongs_to_it_at_its_time(store: Any, bars: Bars) -> None:
    times = np.array([10, 20, 20, 30], dtype=np.int64) + 1_700_000_000_000_000_000
    columns: dict[str, Any] = {"time_ns": times, "bid": np.full(4, 1.1), "ask": np.full(4, 1.2)}
    store.freeze(SeriesContent(symbol="EURUSD", frame="tick", price_basis="BID", columns=columns))
    series = store.open("x").series("EURUSD", "tick")
    assert [slice_rows(series, int(times[0]) + offset) for offset in (-1, 0, 9, 10, 20)] == [0, 1, 1, 3, 4]


def test_the_file_has_no_metadata_and_one_batch(store: Any, bars: Bars) -> None:
    store.freeze(bars(500))
    opened = store.open("x")
    cut = shared_slice(opened, "EURUSD", "M1", int(bars(500).times_ns[100]), cache_dir=store.cache)
    reader = pa.ipc.open_file(pa.memory_map(str(cut.path)))
    assert reader.num_record_batches == 1
    assert reader.schema.metadata is None
    assert [str(field.type) for field in reader.schema] == ["int64"] + ["double"] * 9


def test_runs_with_one_start_share_one_file_and_equal_bytes(store: Any, bars: Bars) -> None:
    store.freeze(bars(500))
    start_ns = int(bars(500).times_ns[100])
    first = shared_slice(store.open("x"), "EURUSD", "M1", start_ns, cache_dir=store.cache)
    state = first.path.stat()
    again = shared_slice(store.open("x"), "EURUSD", "M1", start_ns, cache_dir=store.cache)
    assert again.path == first.path
    assert again.path.stat().st_mtime_ns == state.st_mtime_ns
    other = store.folder / "other.arrow"
    write_slice(store.open("x").series("EURUSD", "M1"), start_ns, other)
    assert other.read_bytes() == first.path.read_bytes()


def test_a_slice_that_is_none_is_named(store: Any) -> None:
    path = store.folder / "slice.arrow"
    path.write_bytes(b"ARROW1\0\0")
    with pytest.raises(DataDamaged) as caught:
        open_slice(path)
    assert caught.value.error_code == "DATA_HASH"


@pytest.mark.parametrize("frame", ["M1", "M5"])
def test_a_check_finds_a_slice_that_was_changed(store: Any, bars: Bars, frame: str) -> None:
    store.freeze(bars(500))
    opened = store.open("x")
    cut = shared_slice(opened, "EURUSD", frame, int(bars(500).times_ns[450]), cache_dir=store.cache)
    assert check_dataset(store.root, "x", store.cache).problems == ()
    cut.path.chmod(0o644)
    with cut.path.open("r+b") as file:
        file.seek(2000)
        file.write(b"\x01\x02")
    assert len(check_dataset(store.root, "x", store.cache).problems) == 1


def test_a_slice_that_was_changed_is_written_anew(store: Any, bars: Bars) -> None:
    store.freeze(bars(500))
    start_ns = int(bars(500).times_ns[450])
    cut = shared_slice(store.open("x"), "EURUSD", "M1", start_ns, cache_dir=store.cache)
    raw = cut.path.read_bytes()
    cut.path.chmod(0o644)
    with cut.path.open("r+b") as file:
        file.seek(2000)
        file.write(b"\x01\x02")
    assert cut.path.read_bytes() != raw
    again = shared_slice(store.open("x"), "EURUSD", "M1", start_ns, cache_dir=store.cache)
    assert again.path == cut.path
    assert again.path.read_bytes() == raw
    assert again.path.stat().st_mode & 0o777 == 0o444
