"""A workspace with a small dataset and a run config, and the command line called in this process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.datasets import SynthRequest, make_synthetic
from boxgate_engine.timestamps import parse_utc_ns
from boxgate_server.__main__ import main

HERE = Path(__file__).parent
STRATEGIES = HERE / "strategies"
MISBEHAVING = HERE.parent / "sidecars" / "misbehaving.py"

CONFIG = """\
strategy:
  command: [python, strategies/trader.py]
  params: {}
dataset: small
instruments: [EURUSD]
frames: [M1]
window: {start: 2024-01-03T10:00:00, end: 2024-01-03T16:00:00}
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: data}
execution: {window_events: 64}
mode: debug
determinism: {master_seed: 7}
limits: {handshake_s: 30, reply_base_s: 20, stop_grace_s: 1}
"""
MATRIX = """\
strategy: {command: [python, strategies/trader.py]}
dataset: small
frames: [M1]
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: {ticks: 2}}
execution: {window_events: 64}
determinism: {master_seed: 7}
limits: {handshake_s: 30, reply_base_s: 20, stop_grace_s: 1}
matrix:
  instruments: [EURUSD]
  windows:
    - {start: 2024-01-03T08:00:00, end: 2024-01-03T10:00:00}
    - {start: 2024-01-03T10:00:00, end: 2024-01-03T12:00:00}
  params: {every: [10, 20], qty: {from: 1000, to: 2000, step: 500}}
"""
"""Twelve runs."""


@dataclass(frozen=True)
class Answered:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout, which must be all of stdout."""
        assert self.out.count("\n") == 1, self.out
        answered = json.loads(self.out)
        assert isinstance(answered, dict)
        return answered

    @property
    def error(self) -> dict[str, Any]:
        """The error of a failed command, after checking what must hold for each."""
        answered = self.json
        error = answered["error"]
        assert answered["status"] == ("refused" if self.code == 2 else "failed")
        assert self.code in (1, 2, 130)
        for name in ("code", "what", "where", "expected", "remedy"):
            assert error[name], name
        assert "Traceback" not in self.out + self.err
        assert error["code"] in self.err, "a person is told the code as well"
        assert isinstance(error, dict)
        return error


Boxgate = Callable[..., Answered]


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the dataset `small`: two days of minutes of EURUSD with ask and of BTCUSDT without."""
    root = tmp_path_factory.mktemp("data") / "datasets"
    make_synthetic(
        root,
        SynthRequest(
            seed=5,
            symbols=("BTCUSDT", "EURUSD"),
            frame="M1",
            start_ns=parse_utc_ns("2024-01-02"),
            end_ns=parse_utc_ns("2024-01-04"),
            name="small",
        ),
    )
    return root


@pytest.fixture
def workspace(tmp_path: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: run.yaml, the strategies, and the datasets by a link."""
    (tmp_path / "datasets").symlink_to(datasets)
    (tmp_path / "strategies").symlink_to(STRATEGIES)
    (tmp_path / ".cache").symlink_to(datasets.parent)
    (tmp_path / "run.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def matrix(workspace: Path) -> Path:
    """The file of a matrix of twelve runs in the workspace."""
    path = workspace / "matrix.yaml"
    path.write_text(MATRIX)
    return path


@pytest.fixture
def boxgate(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Boxgate:
    """Call the command line in this process, in the workspace."""

    def call(*arguments: str) -> Answered:
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return Answered(code, out, err)

    return call


@pytest.fixture
def runs(workspace: Path) -> Callable[[], list[str]]:
    """The names of what stands in the store of the workspace."""
    store = workspace / "artifacts" / "runs"
    return lambda: sorted(path.name for path in store.iterdir()) if store.is_dir() else []


@pytest.fixture
def nothing_left(workspace: Path) -> Iterator[None]:
    """Afterwards no process that was started in the workspace lives."""
    yield
    until = time.monotonic() + 5.0
    while (left := _processes_in(workspace)) and time.monotonic() < until:
        time.sleep(0.02)
    assert left == []


def _processes_in(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if os.readlink(entry / "cwd") == str(folder):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
