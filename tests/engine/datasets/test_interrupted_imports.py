"""An import that is killed, stopped or out of room leaves nothing half, and nothing that stays for ever."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.datasets import check_dataset, list_datasets

_IMPORT = """
import resource, sys
from pathlib import Path
from boxgate_engine.datasets import ImportRequest, import_files, series_writer
from boxgate_engine.datasets.formats import pieces
from boxgate_engine.errors import BoxgateError

root, file, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
pieces.PIECE_BYTES, series_writer.ROW_GROUP_ROWS = 1 << 14, 1 << 10
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print("ready", flush=True)
try:
    import_files(root, ImportRequest(files=(file,), symbol="EURUSD", frame="M1", name="x"))
except BoxgateError as error:
    print(error.error_code, error.exit_code)
"""


def _start(root: Path, file: Path, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _IMPORT, str(root), str(file), str(limit)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def large_file(csv_file: Callable[..., Path]) -> Path:
    rows = (f"{1_709_294_400 + 60 * row},1.1,2.3,1.0,1.{row % 90 + 10},{row % 7}" for row in range(60_000))
    return csv_file("time,open,high,low,close,volume", *rows)


@pytest.mark.slow
def test_imports_killed_at_any_moment_leave_nothing_half(store: Any, large_file: Path) -> None:
    begin = time.monotonic()
    _start(store.folder / "first", large_file).communicate()
    whole_s = time.monotonic() - begin
    moments = random.Random(5)
    for _ in range(25):
        process = _start(store.root, large_file)
        time.sleep(moments.random() * whole_s)
        process.kill()
        process.communicate()
        assert [one.problem for one in list_datasets(store.root)] in ([], [None])
    result = store.take(large_file, symbol="EURUSD", frame="M1", name="x")
    assert store.published() == [result.manifest.hash]
    assert [path.name for path in store.root.glob(".unfinished*")] == []
    assert check_dataset(store.root, "x", store.cache).problems == ()
    assert store.take(large_file, symbol="EURUSD", frame="M1", name="x").created is False


def test_an_import_that_is_interrupted_leaves_nothing(store: Any, large_file: Path) -> None:
    process = _start(store.root, large_file)
    time.sleep(0.15)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    if process.returncode:  # It was not over before.
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert store.published() == []
    assert [path.name for path in store.root.glob(".unfinished*")] == []


def test_an_import_without_room_names_it_and_leaves_nothing(store: Any, large_file: Path) -> None:
    process = _start(store.root, large_file, limit=1 << 17)
    output, errors = process.communicate()
    assert (output, errors) == ("DATA_STORE 1\n", "")
    assert store.published() == []
    assert [path.name for path in store.root.glob(".unfinished*")] == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
