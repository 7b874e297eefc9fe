"""Series are views into a mapped file: read-only, without a copy, and made again where the cache is not sound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from boxgate_engine.datasets import SeriesContent, open_dataset
from boxgate_engine.errors import DataRefused, UserMistake

Bars = Callable[..., SeriesContent]


def test_every_column_lies_inside_the_map_and_is_read_only(store: Any, bars: Bars) -> None:
    content = bars(5000)
    store.freeze(content)
    series = store.open("x").series("EURUSD", "M1")
    address, size = series.map_address
    assert list(series.columns) == list(content.columns)
    for name, values in series.columns.items():
        assert address <= values.ctypes.data
        assert values.ctypes.data + values.nbytes <= address + size
        assert not values.flags.writeable
        assert values.flags.c_contiguous
        assert np.array_equal(values, content.columns[name])
        assert values.dtype == content.columns[name].dtype


def test_without_memory_map_the_columns_are_equal_and_outside_the_map(store: Any, bars: Bars) -> None:
    content = bars(5000)
    store.freeze(content)
    dataset = open_dataset(store.root, "x", cache_dir=store.cache, memory_map=False)
    series = dataset.series("EURUSD", "M1")
    address, size = series.map_address
    for name, values in series.columns.items():
        assert not address <= values.ctypes.data < address + size
        assert not values.flags.writeable
        assert np.array_equal(values, content.columns[name])


def test_mapping_allocates_nothing(store: Any, bars: Bars) -> None:
    store.freeze(bars(50_000))
    store.open("x").series("EURUSD", "M1")
    before = pa.total_allocated_bytes()
    series = store.open("x").series("EURUSD", "M1")
    assert all(np.isfinite(float(values.sum())) for values in series.columns.values())
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_the_cached_file_is_one_batch_without_metadata(store: Any, bars: Bars) -> None:
    store.freeze(bars(5000))
    path = store.open("x").series("EURUSD", "M1").path
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    assert reader.num_record_batches == 1
    assert reader.schema.metadata is None
    assert all(field.metadata is None for field in reader.schema)


def test_the_second_opening_reads_no_parquet(store: Any, bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    store.freeze(bars(100))
    store.open("x").series("EURUSD", "M1")

    def refuse(*_: object) -> None:
        raise AssertionError("a Parquet file was read again")

    monkeypatch.setattr("boxgate_engine.datasets.cache.read_series", refuse)
    assert store.open("x").series("EURUSD", "M1").rows == 100


@pytest.mark.parametrize("damage", ["truncate", "touch", "stamp", "other stamp", "remove"])
def test_a_cache_file_that_is_not_as_it_was_left_is_made_again(store: Any, bars: Bars, damage: str) -> None:
    content = bars(100)
    store.freeze(content)
    path = store.open("x").series("EURUSD", "M1").path
    stamp = path.with_suffix(".json")
    if damage == "truncate":
        path.chmod(0o644)
        os.truncate(path, 100)
    elif damage == "touch":
        os.utime(path)
    elif damage == "stamp":
        stamp.write_text("{")
    elif damage == "other stamp":
        stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "key": "0" * 64}))
    else:
        path.unlink()
    series = store.open("x").series("EURUSD", "M1")
    assert np.array_equal(series.columns["close"], content.columns["close"])
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


def test_processes_that_open_at_once_agree(store: Any, bars: Bars) -> None:
    store.freeze(bars(20_000))
    program = (
        "import sys; from pathlib import Path; from boxgate_engine.datasets import open_dataset;"
        "d = open_dataset(Path(sys.argv[1]), 'x', cache_dir=Path(sys.argv[2]));"
        "print(d.series('EURUSD', 'M1').columns['close'].sum(), d.series('EURUSD', 'H1').rows)"
    )
    command = [sys.executable, "-c", program, str(store.root), str(store.cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({process.communicate()[0] for process in running}) == 1
    assert [process.returncode for process in running] == [0, 0, 0]


def test_what_a_dataset_has_not_is_refused_by_name(store: Any, bars: Bars) -> None:
    store.freeze(bars(100, frame="H1", opens_ns=[3_600_000_000_000 * (1 + index) for index in range(100)]))
    opened = store.open("x")
    assert opened.frames("EURUSD") == ["H1"]
    assert opened.available_frames("EURUSD") == ["H1", "H4", "D1", "W1"]
    for symbol, frame, code in (("EURUS", "H1", "SERIES_UNKNOWN"), ("EURUSD", "M5", "FRAME_UNAVAILABLE")):
        with pytest.raises(DataRefused) as caught:
            opened.series(symbol, frame)
        assert caught.value.error_code == code
    with pytest.raises(UserMistake) as mistake:
        opened.series("EURUSD", "M2")
    assert mistake.value.error_code == "FRAME_UNKNOWN"


def test_the_measuring_script_reports_no_copy(repository: Path, tmp_path: Path) -> None:
    script = repository / "tests/bench/mapping.py"
    command = [sys.executable, str(script), "--rows", "200000", "--folder", str(tmp_path)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["rows"] == 200_000
    assert found["all_columns_inside_the_map"]
    assert found["arrow_allocated_bytes"] < 1_000_000
    assert found["rss_anon_growth_bytes"] < 20_000_000
