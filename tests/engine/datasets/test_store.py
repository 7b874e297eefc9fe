"""The store: complete or absent, never altered unnoticed, the same for every repetition."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from boxgate_engine.datasets import SeriesContent, check_dataset, list_datasets
from boxgate_engine.datasets.catalogue import read_catalogue, register
from boxgate_engine.datasets.durable import unfinished_folder
from boxgate_engine.errors import BoxgateError, DataDamaged, DataRefused

Bars = Callable[..., SeriesContent]

_LINES = ["time,open,high,low,close,volume", *(f"{1709294400 + 60 * i},1.1,1.3,1.0,1.2,5" for i in range(50))]

_INTERRUPTED_IMPORT = """
import os, signal, sys
from pathlib import Path
from boxgate_engine.datasets import ImportRequest, durable, import_files, parquet, store

def killed_before(module, name):
    def die(*arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(module, name, die)

def killed_after(module, name):
    real = getattr(module, name)
    def act(*arguments, **options):
        result = real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, act)

root, file, point = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
when, module, name = point.split()
modules = {"store": store, "durable": durable, "parquet.ParquetFile": parquet.ParquetFile}
{"before": killed_before, "after": killed_after}[when](modules[module], name)
import_files(root, ImportRequest(files=(file,), symbol="EURUSD", frame="M1", name="x"))
"""


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize(
    ("point", "complete"),
    [
        ("before parquet.ParquetFile add", False),
        ("after parquet.ParquetFile add", False),
        ("after parquet.ParquetFile close", False),
        ("before store to_text", False),
        ("before store publish_folder", False),
        ("before durable _sync", False),
        ("after store publish_folder", True),
        ("before store register", True),
        ("after store register", True),
    ],
)
def test_an_import_that_is_killed_leaves_no_half_dataset(
    store: Any, csv_file: Callable[..., Path], point: str, complete: bool
) -> None:
    path = csv_file(*_LINES)
    command = [sys.executable, "-c", _INTERRUPTED_IMPORT, str(store.root), str(path), point]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [one.problem for one in list_datasets(store.root)] == [None] * complete
    result = store.take(path, symbol="EURUSD", frame="M1", name="x")
    assert result.created != complete
    assert store.published() == [result.manifest.hash]
    undisturbed = type(store)(store.folder / "undisturbed")
    undisturbed.take(path, symbol="EURUSD", frame="M1", name="x")
    assert _tree(store.root) == _tree(undisturbed.root)


def test_an_import_that_fails_leaves_nothing(store: Any, csv_file: Callable[..., Path]) -> None:
    with pytest.raises(DataRefused):
        store.take(csv_file(*_LINES[:5], "1709294400,1,1,1,1,1"), symbol="EURUSD", frame="M1", name="x")
    assert store.published() == []
    assert read_catalogue(store.root) == {}


def test_a_repetition_changes_nothing(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file(*_LINES)
    first = store.take(path, symbol="EURUSD", frame="M1", name="x")
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file() and path.suffix}
    again = store.take(path, symbol="EURUSD", frame="M1", name="x")
    assert (first.created, again.created) == (True, False)
    assert first.manifest == again.manifest
    assert {path: path.stat().st_mtime_ns for path in before if path.suffix != ".lock"} == {
        path: time for path, time in before.items() if path.suffix != ".lock"
    }


def test_processes_that_import_at_once_agree(store: Any, csv_file: Callable[..., Path]) -> None:
    files = [csv_file(*_LINES[: 20 + index], name=f"{index}.csv") for index in range(3)]
    program = (
        "import sys; from pathlib import Path; from boxgate_engine.datasets import ImportRequest, import_files;"
        "root, file, symbol = sys.argv[1:];"
        "import_files(Path(root), ImportRequest(files=(Path(file),), symbol=symbol, frame='M1', name='x'))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(store.root), str(files[index % 3]), symbol])
        for index, symbol in enumerate(("EURUSD", "GBPUSD", "NZDUSD"))
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert list(store.open("x").instruments) == ["EURUSD", "GBPUSD", "NZDUSD"]
    assert check_dataset(store.root, "x", store.cache).problems == ()


def test_left_overs_of_the_dead_are_removed_and_those_of_the_living_are_not(store: Any, bars: Bars) -> None:
    with unfinished_folder(store.root) as living:
        dead = store.root / ".unfinished-folder-dead"
        dead.mkdir()
        store.freeze(bars(10))
        assert living.is_dir()
        assert not dead.exists()


def test_d04_every_flipped_bit_of_a_parquet_file_is_found(store: Any, bars: Bars) -> None:
    frozen = store.freeze(bars(400))
    (path,) = (store.root / frozen.manifest.hash).rglob("*.parquet")
    sound = path.read_bytes()
    path.chmod(0o644)
    for position in range(0, len(sound), max(len(sound) // 60, 1)):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(DataDamaged) as caught:
            store.open("x").series("EURUSD", "M1")
        assert caught.value.error_code == "DATA_HASH"
        assert str(path) in caught.value.where
        assert frozen.manifest.series[0].files[0].sha256 in caught.value.expected
    path.write_bytes(sound)
    assert store.open("x").series("EURUSD", "M1").rows == 400


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1"])
def test_d01_to_d03_a_file_of_the_store_without_content_is_found(store: Any, bars: Bars, content: bytes) -> None:
    frozen = store.freeze(bars(10))
    (path,) = (store.root / frozen.manifest.hash).rglob("*.parquet")
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(DataDamaged) as caught:
        store.open("x").series("EURUSD", "M1")
    assert caught.value.error_code == "DATA_HASH"


def test_d04_damage_after_the_first_use_is_found_at_the_next_opening(store: Any, bars: Bars) -> None:
    frozen = store.freeze(bars(10))
    store.open("x").series("EURUSD", "M1")
    (path,) = (store.root / frozen.manifest.hash).rglob("*.parquet")
    path.chmod(0o644)
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    os.utime(path, ns=(0, 1_700_000_000_000_000_000))
    with pytest.raises(DataDamaged):
        store.open("x").series("EURUSD", "M1")


def test_a_file_that_lies_with_the_right_hash_is_found_by_its_content(store: Any, bars: Bars) -> None:
    frozen = store.freeze(bars(10), name="x")
    other = store.freeze(bars(10, seed=2), name="y")
    folder = store.root / frozen.manifest.hash
    (path,) = folder.rglob("*.parquet")
    (source,) = (store.root / other.manifest.hash).rglob("*.parquet")
    path.chmod(0o644)
    path.write_bytes(source.read_bytes())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["series"][0]["files"][0]["sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataDamaged, match="has digest"):
        store.open("x").series("EURUSD", "M1")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("instruments", 0, "tick_size"), "1/1000"),
        (("instruments", 0, "lot_size"), "2/1"),
        (("series", 0, "digest"), "00" * 32),
        (("series", 0, "price_basis"), "ASK"),
        (("series", 0, "columns"), ["open_ns", "open"]),
        (("series", 0, "rows"), 11),
        (("series", 0, "files"), []),
        (("series", 0, "files", 0, "path"), "../../../etc/passwd"),
        (("series", 0, "files", 0, "path"), "/etc/passwd"),
        (("hash",), "00" * 32),
        (("schema",), "boxgate.dataset/9"),
        (("series",), []),
    ],
)
def test_d13_a_manifest_that_does_not_give_the_hash_is_refused(
    store: Any, bars: Bars, path: tuple[str | int, ...], value: Any
) -> None:
    frozen = store.freeze(bars(10))
    file = store.root / frozen.manifest.hash / "manifest.json"
    manifest = json.loads(file.read_text())
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(json.dumps(manifest))
    with pytest.raises(DataDamaged) as caught:
        store.open("x")
    assert (caught.value.error_code, caught.value.exit_code) == ("DATA_HASH", 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "boxgate.dataset/1"}'])
def test_d13_a_manifest_that_is_none_is_refused(store: Any, bars: Bars, text: str) -> None:
    frozen = store.freeze(bars(10))
    (store.root / frozen.manifest.hash / "manifest.json").write_text(text)
    with pytest.raises(DataDamaged) as caught:
        store.open("x")
    assert caught.value.error_code == "DATA_HASH"


def test_d13_a_mapped_file_that_changes_during_its_use_voids_it(store: Any, bars: Bars) -> None:
    store.freeze(bars(10))
    opened = store.open("x")
    series = opened.series("EURUSD", "M1")
    opened.check_unchanged()
    os.utime(series.path, ns=(0, 5))
    with pytest.raises(DataDamaged) as caught:
        opened.check_unchanged()
    assert caught.value.error_code == "SNAPSHOT_MUTATED"
    series.path.unlink()
    with pytest.raises(DataDamaged):
        opened.check_unchanged()


def test_d14_links_are_not_followed(store: Any, bars: Bars) -> None:
    frozen = store.freeze(bars(10))
    folder = store.root / frozen.manifest.hash
    moved = store.folder / "elsewhere"
    folder.rename(moved)
    folder.symlink_to(moved)
    with pytest.raises(DataRefused) as caught:
        store.open("x")
    assert caught.value.error_code == "DATASET_UNKNOWN"
    folder.unlink()
    moved.rename(folder)
    (path,) = folder.rglob("*.parquet")
    path.rename(store.folder / "file")
    path.symlink_to(store.folder / "file")
    with pytest.raises(DataDamaged):
        store.open("x").series("EURUSD", "M1")


def test_a_dataset_is_opened_by_name_and_by_hash(store: Any, bars: Bars) -> None:
    digest = store.freeze(bars(10), name="euro").manifest.hash
    assert (store.open("euro").name, store.open("euro").hash) == ("euro", digest)
    assert store.open(digest).hash == store.open(f"sha256:{digest}").hash == digest
    with pytest.raises(DataRefused) as caught:
        store.open("0" * 64)
    assert caught.value.error_code == "DATASET_UNKNOWN"


def test_the_path_says_class_symbol_and_frame(store: Any, bars: Bars) -> None:
    frozen = store.freeze(bars(10))
    assert (store.root / frozen.manifest.hash / "forex/EURUSD/M1/part-0.parquet").is_file()
    written = json.loads((store.root / frozen.manifest.hash / "manifest.json").read_text())
    assert written["schema"] == "boxgate.dataset/1"
    assert written["rows"] == 10
    assert written["instruments"][0]["tick_size"] == "1/100000"
    assert {"source", "licence", "first_ns", "last_ns", "series"} <= set(written)


@pytest.mark.parametrize("text", ["- a", "x: 5", "x: abc", "x: [", "../x: " + "0" * 64, "latest: " + "0" * 64])
def test_a_catalogue_that_cannot_be_read_is_named(store: Any, text: str) -> None:
    store.root.mkdir()
    (store.root / "datasets.yaml").write_text(text)
    with pytest.raises(DataRefused) as caught:
        read_catalogue(store.root)
    assert caught.value.error_code == "DATA_CATALOGUE"
    assert "datasets.yaml" in caught.value.where


def test_names_that_yaml_would_read_otherwise_keep_their_meaning(store: Any) -> None:
    entries = {"yes": "0" * 64, "1.0": "1" * 64, "2024-01-01": "2" * 64, "null": "3" * 64, "demo": "a" * 64}
    for name, digest in entries.items():
        register(store.root, name, digest)
    assert read_catalogue(store.root) == dict(sorted(entries.items()))
    assert yaml.safe_load((store.root / "datasets.yaml").read_text())["demo"] == "a" * 64


def test_registrations_at_once_are_all_kept(store: Any) -> None:
    threads = [threading.Thread(target=register, args=(store.root, f"n{i}", f"{i:064x}")) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_catalogue(store.root)) == 12


def test_a_check_names_every_problem(store: Any, bars: Bars) -> None:
    frozen = store.freeze(bars(100), bars(100, symbol="GBPUSD", seed=3))
    opened = store.open("x")
    for symbol in ("EURUSD", "GBPUSD"):
        opened.series(symbol, "M1")
        opened.series(symbol, "M5")
    sound = check_dataset(store.root, "x", store.cache)
    assert (sound.rows, sound.files, sound.problems) == (200, 6, ())
    folder = store.root / frozen.manifest.hash
    parquet = folder / "forex/EURUSD/M1/part-0.parquet"
    parquet.chmod(0o644)
    parquet.write_bytes(parquet.read_bytes()[:-1])
    (folder / "extra.txt").write_text("x")
    cached = store.cache / frozen.manifest.hash / "GBPUSD/M5.arrow"
    cached.chmod(0o644)
    with cached.open("r+b") as file:
        file.seek(600)
        file.write(b"\x01")
    places = [problem.where for problem in check_dataset(store.root, "x", store.cache).problems]
    assert [Path(place).name for place in places] == ["part-0.parquet", "extra.txt", "M5.arrow"]


def test_a_listing_shows_what_is_damaged_or_missing(store: Any, bars: Bars) -> None:
    good = store.freeze(bars(10), name="good").manifest.hash
    bad = store.freeze(bars(10, seed=2), name="bad").manifest.hash
    (store.root / bad / "manifest.json").write_text("{}")
    register(store.root, "gone", "e" * 64)
    listed = {one.names: one for one in list_datasets(store.root)}
    assert listed["good",].hash == good
    assert listed["good",].problem is None
    for name in ("bad", "gone"):
        problem = listed[name,].problem
        assert isinstance(problem, BoxgateError)
        assert problem.error_code == "DATA_HASH"


def test_a_name_whose_dataset_is_gone_is_given_to_the_next_import(store: Any, csv_file: Callable[..., Path]) -> None:
    options = {"symbol": "EURUSD", "frame": "M1", "name": "coins"}
    first = store.take(csv_file(*_LINES), **options)
    shutil.rmtree(store.root / first.manifest.hash)
    again = store.take(csv_file(*_LINES[:-1]), **options)
    assert again.replaced == first.manifest.hash
    assert store.open("coins").hash == again.manifest.hash != first.manifest.hash
    assert store.take(csv_file(*_LINES[:-1]), **options).replaced is None


def test_a_folder_that_cannot_be_written_is_named(store: Any, bars: Bars) -> None:
    store.folder.joinpath("datasets").write_text("a file in the way")
    with pytest.raises(BoxgateError) as caught:
        store.freeze(bars(10))
    assert (caught.value.error_code, caught.value.exit_code) == ("DATA_STORE", 1)


def test_a_full_disk_leaves_nothing(store: Any, bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("boxgate_engine.datasets.parquet.ParquetFile.add", full)
    with pytest.raises(BoxgateError, match="No space left") as caught:
        store.freeze(bars(10))
    assert caught.value.error_code == "DATA_STORE"
    assert store.published() == []
    assert read_catalogue(store.root) == {}


def test_adding_a_series_keeps_the_others_and_their_files(
    store: Any, bars: Bars, csv_file: Callable[..., Path]
) -> None:
    first = store.freeze(bars(100), name="x", tick_size=Fraction(1, 100_000))
    path = csv_file("time,bid,ask", "1709294400,1.1,1.2", name="ticks.csv")
    second = store.take(path, symbol="GBPUSD", frame="tick", name="x")
    assert first.manifest.hash != second.manifest.hash
    opened = store.open("x")
    assert np.array_equal(opened.series("EURUSD", "M1").columns["close"], bars(100).columns["close"])
    assert check_dataset(store.root, "x", store.cache).problems == ()
    assert check_dataset(store.root, first.manifest.hash, store.cache).problems == ()
