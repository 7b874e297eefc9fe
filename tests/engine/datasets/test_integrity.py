"""Nothing that is stored is read silently wrong: random bits of the Parquet files, and files cut under their reader."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets import check_dataset, open_dataset
from boxgate_engine.errors import DataDamaged

_READING_PROCESS = """
import sys
from pathlib import Path
from boxgate_engine.datasets import open_dataset
series = open_dataset(Path(sys.argv[1]), "x", cache_dir=Path(sys.argv[2])).series("EURUSD", "M1")
print(series.path, flush=True)
sys.stdin.readline()
print(float(series.columns["close"].sum()), flush=True)
"""


def test_d04_two_hundred_random_bits_are_all_found(store: Any, bars: Any) -> None:
    frozen = store.freeze(bars(500))
    (path,) = (store.root / frozen.manifest.hash).rglob("*.parquet")
    sound = path.read_bytes()
    path.chmod(0o644)
    chance = random.Random(20240101)
    found = 0
    for bit in chance.sample(range(len(sound) * 8), 200):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        fresh = store.folder / "fresh"
        with pytest.raises(DataDamaged) as caught:
            open_dataset(store.root, "x", cache_dir=fresh).series("EURUSD", "M1")
        problems = check_dataset(store.root, "x", fresh).problems
        assert {caught.value.error_code, *(problem.error_code for problem in problems)} == {"DATA_HASH"}
        found += len(problems)
        shutil.rmtree(fresh, ignore_errors=True)
    assert found == 200


def test_d19_a_file_cut_under_its_reader_ends_that_process_alone(store: Any, bars: Any) -> None:
    store.freeze(bars(50_000))
    here = open_dataset(store.root, "x", cache_dir=store.cache, memory_map=False)
    closes = here.series("EURUSD", "M1").columns["close"]
    command = [sys.executable, "-c", _READING_PROCESS, str(store.root), str(store.cache)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = here.series("EURUSD", "M1").path
        assert process.stdout.readline().strip() == str(path)
        assert path.stat().st_mode & 0o777 == 0o444
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.truncate(0)
        said, _ = process.communicate("\n", timeout=60)
    assert said == ""
    assert process.returncode == -signal.SIGBUS
    with pytest.raises(DataDamaged) as caught:
        here.check_unchanged()
    assert caught.value.error_code == "SNAPSHOT_MUTATED"
    assert np.array_equal(store.open("x").series("EURUSD", "M1").columns["close"], closes)
