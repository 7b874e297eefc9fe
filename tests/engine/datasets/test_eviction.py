"""The cache keeps within its limit, and takes away nothing that a process uses."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from boxgate_engine.config.model import CacheConfig
from boxgate_engine.datasets import cache_entries, clear_cache, open_dataset, shared_slice
from boxgate_engine.datasets.durable import locked
from boxgate_engine.datasets.eviction import SIZE_MAX_DEFAULT, keep_within

_MAPPING_PROCESS = """
import sys
from pathlib import Path
from boxgate_engine.datasets import open_dataset
series = open_dataset(Path(sys.argv[1]), "x", cache_dir=Path(sys.argv[2])).series("EURUSD", "M1")
print(float(series.columns["close"].sum()), flush=True)
sys.stdin.readline()
print(float(series.columns["close"].sum()), flush=True)
"""


@contextmanager
def _other_process(store: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that has mapped EURUSD M1, said the sum of its closes, and waits for a line."""
    command = [sys.executable, "-c", _MAPPING_PROCESS, str(store.root), str(store.cache)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _names(store: Any) -> list[str]:
    return [entry.path.name for entry in cache_entries(store.cache)]


@pytest.fixture
def two_frames(store: Any, bars: Any) -> Any:
    """A store whose cache holds M1 and, used later, M5 of EURUSD; nothing maps them any more."""
    store.freeze(bars())
    opened = store.open("x")
    opened.series("EURUSD", "M1")
    opened.series("EURUSD", "M5")
    del opened
    return store


def test_the_least_recently_used_file_goes_first(two_frames: Any) -> None:
    for seconds, entry in enumerate(cache_entries(two_frames.cache)):  # The clock of a file system may be coarse.
        os.utime(entry.path.with_suffix(".lock"), (seconds, seconds))
    assert _names(two_frames) == ["M1.arrow", "M5.arrow"]
    two_frames.open("x").series("EURUSD", "M1")  # M5 is now the one that was used least recently.
    total = sum(entry.bytes for entry in cache_entries(two_frames.cache))
    assert keep_within(two_frames.cache, total) == 0
    assert _names(two_frames) == ["M5.arrow", "M1.arrow"]
    assert keep_within(two_frames.cache, total - 1) == 0
    assert _names(two_frames) == ["M1.arrow"]


def test_a_use_changes_no_time_that_files_are_known_by(two_frames: Any) -> None:
    before = {entry.path: entry.path.stat().st_mtime_ns for entry in cache_entries(two_frames.cache)}
    held = two_frames.open("x")
    held.series("EURUSD", "M1")
    held.check_unchanged()
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_another_process_maps_stays_until_it_is_gone(two_frames: Any) -> None:
    with _other_process(two_frames) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        first = process.stdout.readline()
        assert keep_within(two_frames.cache, 0) > 0
        assert [(entry.path.name, entry.in_use) for entry in cache_entries(two_frames.cache)] == [("M1.arrow", True)]
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == first
        process.wait()
    assert keep_within(two_frames.cache, 0) == 0
    assert _names(two_frames) == []


def test_a_killed_process_holds_nothing(two_frames: Any) -> None:
    with _other_process(two_frames) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.wait()
    assert clear_cache(two_frames.cache)[1] == 0
    assert _names(two_frames) == []


def test_a_column_alone_keeps_its_file(two_frames: Any) -> None:
    closes = two_frames.open("x").series("EURUSD", "M1").columns["close"]
    clear_cache(two_frames.cache)
    assert _names(two_frames) == ["M1.arrow"]
    assert np.isfinite(closes).all()
    del closes
    clear_cache(two_frames.cache)
    assert _names(two_frames) == []


def test_what_is_being_written_stays(two_frames: Any) -> None:
    with locked(cache_entries(two_frames.cache)[0].path.with_suffix(".lock")):
        clear_cache(two_frames.cache)
        assert _names(two_frames) == ["M1.arrow"]


def test_copies_in_memory_let_their_file_go(two_frames: Any) -> None:
    opened = open_dataset(two_frames.root, "x", cache_dir=two_frames.cache, memory_map=False)
    opened.series("EURUSD", "M1")
    clear_cache(two_frames.cache)
    assert _names(two_frames) == []
    opened.check_unchanged()


def test_a_limit_below_one_series_works_and_warns_once(store: Any, bars: Any, caplog: pytest.LogCaptureFixture) -> None:
    store.freeze(bars())
    with caplog.at_level(logging.WARNING):
        opened = open_dataset(store.root, "x", cache_dir=store.cache, cache_size_max=1)
        closes = opened.series("EURUSD", "M1").columns["close"]
        opened.series("EURUSD", "M5")
    assert np.array_equal(closes, bars().columns["close"])
    opened.check_unchanged()
    assert len(caplog.records) == 1
    assert "data_provider.cache.size_max" in caplog.text


def test_what_was_evicted_is_made_again(two_frames: Any, bars: Any) -> None:
    clear_cache(two_frames.cache)
    assert np.array_equal(two_frames.open("x").series("EURUSD", "M1").columns["close"], bars().columns["close"])


def test_slices_are_evicted_too(two_frames: Any) -> None:
    opened = two_frames.open("x")
    end_ns = int(opened.series("EURUSD", "M1").times_ns[-1])
    shared_slice(opened, "EURUSD", "M1", end_ns, cache_dir=two_frames.cache)
    assert f"M1-{end_ns}.arrow" in _names(two_frames)
    clear_cache(two_frames.cache)
    assert _names(two_frames) == ["M1.arrow"]


def test_only_files_of_datasets_are_touched(two_frames: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.arrow").write_bytes(b"mine")
    (two_frames.cache / "notes").mkdir()
    (two_frames.cache / "notes" / "b.arrow").write_bytes(b"mine")
    (two_frames.cache / ("0" * 64)).symlink_to(outside)
    next(path for path in two_frames.cache.iterdir() if path.is_dir()).joinpath("link").symlink_to(outside)
    clear_cache(two_frames.cache)
    assert (outside / "a.arrow").exists()
    assert (two_frames.cache / "notes" / "b.arrow").exists()


@pytest.mark.parametrize(("text", "size"), [("20GiB", 20 * 2**30), ("1.5 MB", 1_500_000), (4096, 4096)])
def test_a_limit_is_written_as_people_write_it(text: object, size: int) -> None:
    assert CacheConfig.model_validate({"size_max": text}).size_max == size


@pytest.mark.parametrize("text", ["", "much", "20 XiB", "-1GiB", 0, True, "GiB"])
def test_a_limit_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        CacheConfig.model_validate({"size_max": text})


def test_the_config_and_the_library_have_one_default() -> None:
    assert CacheConfig().size_max == SIZE_MAX_DEFAULT
