"""A workspace with a small dataset, matrices in it, and one start of Ray for the tests of a module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.datasets import SynthRequest, make_synthetic
from boxgate_engine.timestamps import parse_utc_ns
from boxgate_server.cluster.build import this_build
from boxgate_server.cluster.execution import RayExecution
from boxgate_server.cluster.messages import Job, Limits
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.driver import Driven, drive
from boxgate_server.matrix.execution.in_process import InProcess
from boxgate_server.matrix.execution.work import Execution
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.planner import make_plan

STRATEGY = Path(__file__).with_name("wilful.py")

CONFIG = """\
strategy: {command: [python, strategies/wilful.py]}
dataset: small
frames: [M1]
account: {currency: USD, cash: 100000, leverage: 30, equivalents: [[USD, USDT]]}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: {ticks: 2}}
limits: {handshake_s: 120, reply_base_s: 120, stop_grace_s: 1}
matrix:
  instruments: [EURUSD, BTCUSDT]
  windows:
    - {start: 2024-01-03T08:00:00, end: 2024-01-03T10:00:00}
    - {start: 2024-01-03T10:00:00, end: 2024-01-03T12:00:00}
  params: {every: {from: 5, to: 25, step: 5}, will: [""]}
runner: {concurrency: {max_workers: 2}}
"""
"""Twenty runs."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory of the tests of a module."""
    folder = tmp_path_factory.mktemp("cluster")
    make_synthetic(
        folder / "datasets",
        SynthRequest(
            seed=5,
            symbols=("BTCUSDT", "EURUSD"),
            frame="M1",
            start_ns=parse_utc_ns("2024-01-02"),
            end_ns=parse_utc_ns("2024-01-04"),
            name="small",
        ),
    )
    (folder / "strategies").mkdir()
    (folder / "strategies" / "wilful.py").write_text(STRATEGY.read_text())
    (folder / "matrix.yaml").write_text(CONFIG)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


class Matrices:
    """Matrices of a working directory: planned, and computed by any execution."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def plan(self, *overrides: str, store: str = "artifacts") -> tuple[MatrixFile, Plan, MatrixFolder]:
        """Return file, plan and folder of the matrix with some keys set."""
        file = load_matrix(self.work / "matrix.yaml", [f"io.artifacts_store={store}", *overrides])
        plan = make_plan(file, folder=self.work)
        return file, plan, MatrixFolder(self.work / file.store, plan.matrix_id, file.io.address)

    def drive(self, execution: Execution, *overrides: str, store: str = "artifacts", **named: Any) -> Driven:
        """Compute the matrix with some keys set."""
        file, plan, folder = self.plan(*overrides, store=store)
        return drive(plan, file, folder, execution, **named)

    def alone(self, *overrides: str) -> Driven:
        """Compute the matrix undisturbed in this process, in a store of its own."""
        store = self.work / "alone"
        execution = InProcess(folder=self.work, store=store / "runs")
        try:
            return self.drive(execution, *overrides, store=str(store))
        finally:
            execution.close()


@pytest.fixture(scope="module")
def matrices(work: Path) -> Matrices:
    """Matrices of the working directory."""
    return Matrices(work)


@pytest.fixture(scope="module")
def two_workers(work: Path) -> Iterator[RayExecution]:
    """Two workers of Ray, for all tests of a module."""
    execution = RayExecution(
        Job(
            folder=str(work),
            store=str(work / "artifacts" / "runs"),
            build=this_build(),
            workers=2,
            group_by=("symbol", "frame"),
            limits=Limits(),
        )
    )
    yield execution
    execution.close()


@pytest.fixture
def witness(work: Path) -> Iterator[Path]:
    """Where the wilful strategy tells that it pauses, until the file `go` is there."""
    place = work / "witness"
    place.mkdir()
    yield place
    for path in place.iterdir():
        path.unlink()
    place.rmdir()


def children(pid: int) -> list[int]:
    """Return all descendants of a process, children first."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found + [one for child in found for one in children(child)]


@pytest.fixture
def descendants() -> Callable[[int], list[int]]:
    """Return all descendants of a process."""
    return children
